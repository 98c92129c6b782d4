/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The format of the migration stream.  Free of kernel dependencies, so that it
 * can be built and fuzzed in user space.
 */
#ifndef NVVGPU_STREAM_H
#define NVVGPU_STREAM_H

#include <linux/types.h>
#include <uapi/linux/nvvgpu.h>

#include <asm/byteorder.h>

/**
 * enum nvvgpu_stream_event - what the received bytes complete
 * @NVVGPU_STREAM_MORE: nothing, or a record to be skipped
 * @NVVGPU_STREAM_STATE: a state record
 * @NVVGPU_STREAM_END: the end record
 */
enum nvvgpu_stream_event {
	NVVGPU_STREAM_MORE,
	NVVGPU_STREAM_STATE,
	NVVGPU_STREAM_END,
};

/**
 * struct nvvgpu_record - a record in memory
 * @head: type, length and number
 * @state: beginning of the payload
 * @data: rest of the payload, has room for NVVGPU_MIG_DATA_MAX bytes
 */
struct nvvgpu_record {
	struct nvvgpu_mig_record head;
	struct nvvgpu_mig_state state;
	void *data;
};

/* Bytes at @data of a state record */
static inline u32 nvvgpu_record_bytes(const struct nvvgpu_record *record)
{
	return le32_to_cpu(record->head.length) - sizeof(record->state);
}

/* The part of a stream that is being received */
enum nvvgpu_stream_part {
	NVVGPU_STREAM_IN_HEADER,
	NVVGPU_STREAM_IN_HEAD,
	NVVGPU_STREAM_IN_STATE,
	NVVGPU_STREAM_IN_DATA,
	NVVGPU_STREAM_AT_END,
};

/**
 * struct nvvgpu_stream - a stream that is being received
 * @own: header that this side would send, from nvvgpu_stream_header()
 * @oldest: oldest state version of the back-end that can be loaded; the newest
 *	is that of @own
 * @part: part that is being received
 * @buf: buffer for that part
 * @size: bytes of that part
 * @have: bytes of that part that have been received
 * @number: number of the next record
 * @header: received header
 * @record: buffer for records, owned by the caller
 * @why: reason of a refusal in words
 * @refused: reason of a refusal as an errno, else 0
 */
struct nvvgpu_stream {
	const struct nvvgpu_mig_header *own;
	u32 oldest;
	enum nvvgpu_stream_part part;
	void *buf;
	size_t size;
	size_t have;
	u64 number;
	struct nvvgpu_mig_header header;
	struct nvvgpu_record *record;
	const char *why;
	int refused;
};

/* Receiving */
void nvvgpu_stream_init(struct nvvgpu_stream *stream,
			const struct nvvgpu_mig_header *own, u32 oldest,
			struct nvvgpu_record *record);
void *nvvgpu_stream_room(const struct nvvgpu_stream *stream, size_t *room);
int nvvgpu_stream_advance(struct nvvgpu_stream *stream, size_t len);
void nvvgpu_stream_use(struct nvvgpu_stream *stream,
		       struct nvvgpu_record *record);

/* Sending */
void nvvgpu_stream_header(struct nvvgpu_mig_header *header);
void nvvgpu_stream_head(struct nvvgpu_record *record, u32 type, u64 number,
			u32 length);

#endif /* NVVGPU_STREAM_H */
