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
 * enum nvvgpu_stream_event - what a receiver has
 * @NVVGPU_STREAM_MORE: nothing yet, or nothing to be done about it
 * @NVVGPU_STREAM_RECORD: a whole record, told by nvvgpu_stream_came()
 * @NVVGPU_STREAM_STATE: it is a piece of state, told by nvvgpu_stream_check()
 * @NVVGPU_STREAM_END: it is the end, told by nvvgpu_stream_check()
 */
enum nvvgpu_stream_event {
	NVVGPU_STREAM_MORE,
	NVVGPU_STREAM_RECORD,
	NVVGPU_STREAM_STATE,
	NVVGPU_STREAM_END,
};

/**
 * struct nvvgpu_piece - a record in memory
 * @record: its head
 * @state: what its payload begins with, if it has that much
 * @data: the rest of it, room for NVVGPU_MIG_DATA_MAX bytes
 */
struct nvvgpu_piece {
	struct nvvgpu_mig_record record;
	struct nvvgpu_mig_state state;
	void *data;
};

/* Bytes at @data of a piece of state */
static inline u32 nvvgpu_piece_bytes(const struct nvvgpu_piece *piece)
{
	return le32_to_cpu(piece->record.length) - sizeof(piece->state);
}

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
 * @piece: where records go, the owner's
 * @why: in words, when the stream has been refused
 * @refused: and the errno
 */
struct nvvgpu_stream {
	const struct nvvgpu_mig_header *own;
	enum nvvgpu_stream_part part;
	size_t have;
	u64 number;
	struct nvvgpu_mig_header header;
	struct nvvgpu_piece *piece;
	const char *why;
	int refused;
};

/* Receiving */
void nvvgpu_stream_begin(struct nvvgpu_stream *stream,
			 const struct nvvgpu_mig_header *own,
			 struct nvvgpu_piece *piece);
void *nvvgpu_stream_room(struct nvvgpu_stream *stream, size_t *room);
int nvvgpu_stream_came(struct nvvgpu_stream *stream, size_t len);
void nvvgpu_stream_go_on(struct nvvgpu_stream *stream,
			 struct nvvgpu_piece *piece);
int nvvgpu_stream_check(const struct nvvgpu_piece *piece, const char **why);

/* Sending */
void nvvgpu_stream_header(struct nvvgpu_mig_header *header);
void nvvgpu_stream_record(struct nvvgpu_piece *piece, u32 type, u64 number,
			  u32 len);

#endif /* NVVGPU_STREAM_H */
