/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The straight line through measured points, by least squares.
 */
#ifndef _NVVGPU_SELFTEST_FIT_H
#define _NVVGPU_SELFTEST_FIT_H

/**
 * struct fit - sums over the points
 * @n: number of points
 * @x: sum of their first coordinates
 * @y: sum of the second ones
 * @xx: sum of the squares of the first ones
 * @xy: sum of the products
 */
struct fit {
	double n, x, y, xx, xy;
};

static inline void fit_add(struct fit *fit, double x, double y)
{
	fit->n++;
	fit->x += x;
	fit->y += y;
	fit->xx += x * x;
	fit->xy += x * y;
}

static inline double fit_slope(const struct fit *fit)
{
	return (fit->n * fit->xy - fit->x * fit->y) /
	       (fit->n * fit->xx - fit->x * fit->x);
}

/* Where the line meets the second axis */
static inline double fit_start(const struct fit *fit)
{
	return (fit->y - fit_slope(fit) * fit->x) / fit->n;
}

#endif /* _NVVGPU_SELFTEST_FIT_H */
