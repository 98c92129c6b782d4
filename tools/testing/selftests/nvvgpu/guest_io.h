/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a guest that uses ordinary VFs, and the test that starts it, agree on.
 */
#ifndef _NVVGPU_GUEST_IO_H
#define _NVVGPU_GUEST_IO_H

#include <stddef.h>

#include <linux/types.h>

/* The guest sends packets to the host, which sends each back inverted. */
#define GUEST_ADDR	"10.77.0.2"
#define HOST_ADDR	"10.77.0.1"
#define NETMASK		"255.255.255.0"
#define ECHO_PORT	7777
#define PACKETS		200
#define PACKET_LEN	1200

/* It writes to its disk, reads that back, and the host reads the same disk. */
#define DISK_BYTES	(8UL << 20)
#define DISK_CHUNK	(256UL << 10)

static inline void io_fill(void *buf, size_t len, __u32 seed)
{
	__u32 x = seed * 2654435761U + 1;
	__u8 *p = buf;

	while (len--) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		*p++ = x;
	}
}

#endif /* _NVVGPU_GUEST_IO_H */
