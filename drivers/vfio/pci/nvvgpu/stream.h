/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The format of the migration stream.  Knows no kernel, so that it can be built
 * and fuzzed in user space.
 */
#ifndef NVVGPU_STREAM_H
#define NVVGPU_STREAM_H

#include <linux/types.h>
#include <uapi/linux/nvvgpu.h>

#include <asm/byteorder.h>

/**
 * enum nvvgpu_stream_event - what a receiver has when some bytes have come
 * @NVVGPU_STREAM_MORE: nothing yet
 * @NVVGPU_STREAM_STATE: a whole piece of state, in &struct nvvgpu_stream
 * @NVVGPU_STREAM_END: the whole stream; from here on nothing is taken
 */
enum nvvgpu_stream_event {
	NVVGPU_STREAM_MORE,
	NVVGPU_STREAM_STATE,
	NVVGPU_STREAM_END,
};

enum nvvgpu_stream_part {
	NVVGPU_STREAM_IN_HEADER,
	NVVGPU_STREAM_IN_RECORD,
	NVVGPU_STREAM_IN_PAYLOAD,
	NVVGPU_STREAM_AT_END,
};

/**
 * struct nvvgpu_stream - a stream that is being received
 * @own: what this side would send itself, from nvvgpu_stream_header()
 * @part: which part is being received
 * @have: bytes of it that have come
 * @number: of the next record
 * @header: that has come
 * @record: that has come last
 * @payload: NVVGPU_MIG_LENGTH_MAX bytes, the owner's
 * @why: in words, when the stream has been refused
 * @refused: and the errno
 */
struct nvvgpu_stream {
	const struct nvvgpu_mig_header *own;
	enum nvvgpu_stream_part part;
	size_t have;
	u64 number;
	struct nvvgpu_mig_header header;
	struct nvvgpu_mig_record record;
	void *payload;
	const char *why;
	int refused;
};

/* Receiving */
void nvvgpu_stream_begin(struct nvvgpu_stream *stream,
			 const struct nvvgpu_mig_header *own, void *payload);
void *nvvgpu_stream_room(struct nvvgpu_stream *stream, size_t *room);
int nvvgpu_stream_came(struct nvvgpu_stream *stream, size_t len);

static inline const struct nvvgpu_mig_state *
nvvgpu_stream_state(const struct nvvgpu_stream *stream)
{
	return stream->payload;
}

static inline const void *
nvvgpu_stream_data(const struct nvvgpu_stream *stream, u32 *len)
{
	*len = le32_to_cpu(stream->record.length) -
	       sizeof(struct nvvgpu_mig_state);

	return stream->payload + sizeof(struct nvvgpu_mig_state);
}

/* Sending */
void nvvgpu_stream_header(struct nvvgpu_mig_header *header);
void nvvgpu_stream_record(struct nvvgpu_mig_record *record, u32 type,
			  u64 number, const void *payload, u32 len);

#endif /* NVVGPU_STREAM_H */
