// SPDX-License-Identifier: GPL-2.0
/*
 * A guest without an operating system: console on the first serial port, a 16550
 */
#include "job.h"
#include "bare.h"

#define UART			0x3f8
#define UART_DATA		(UART + 0)
#define UART_INTERRUPTS		(UART + 1)
#define UART_FIFO		(UART + 2)
#define   UART_FIFO_ENABLE	0x07
#define UART_LINE		(UART + 3)
#define   UART_LINE_8N1		0x03
#define UART_MODEM		(UART + 4)
#define   UART_MODEM_READY	0x03
#define UART_STATUS		(UART + 5)
#define   UART_STATUS_INPUT	0x01
#define   UART_STATUS_ROOM	0x20

/* Set up the port; QEMU ignores the baud rate. */
void console_init(void)
{
	out8(UART_INTERRUPTS, 0);
	out8(UART_LINE, UART_LINE_8N1);
	out8(UART_FIFO, UART_FIFO_ENABLE);
	out8(UART_MODEM, UART_MODEM_READY);
}

/**
 * console_write() - write text to the console
 * @text: the text
 * @len: bytes
 */
void console_write(const char *text, size_t len)
{
	while (len--) {
		while (!(in8(UART_STATUS) & UART_STATUS_ROOM))
			;
		out8(UART_DATA, *text++);
	}
}

/**
 * console_pending() - check for input on the console
 *
 * Return: true if console_read() would not wait.
 */
bool console_pending(void)
{
	return in8(UART_STATUS) & UART_STATUS_INPUT;
}

/**
 * console_read() - wait for a character from the console
 *
 * Return: the character.
 */
int console_read(void)
{
	while (!console_pending())
		cpu_idle();

	return in8(UART_DATA);
}
