// SPDX-License-Identifier: GPL-2.0-only
/*
 * The format of the migration stream: its header and the heads of its records
 * are checked as they come, byte by byte, a payload when all of it has come,
 * before anybody acts on it.
 */
#include <kunit/visibility.h>
#include <linux/crc32.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/minmax.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include "stream.h"

static u32 nvvgpu_stream_crc(const void *buf, size_t len)
{
	return ~crc32c(~0, buf, len);
}

static u32 nvvgpu_stream_payload_crc(const struct nvvgpu_piece *piece)
{
	u32 length = le32_to_cpu(piece->record.length);
	u32 head = min(length, sizeof(piece->state));
	u32 crc = crc32c(~0, &piece->state, head);

	return ~crc32c(crc, piece->data, length - head);
}

/**
 * nvvgpu_stream_header() - complete the beginning of a stream
 * @header: with all that is about the vGPU filled in, the rest zeroed
 */
void nvvgpu_stream_header(struct nvvgpu_mig_header *header)
{
	memcpy(header->magic, NVVGPU_MIG_MAGIC, NVVGPU_MIG_MAGIC_LEN);
	header->major = cpu_to_le16(NVVGPU_MIG_MAJOR);
	header->minor = cpu_to_le16(NVVGPU_MIG_MINOR);
	header->crc = cpu_to_le32(nvvgpu_stream_crc(header,
						    offsetof(typeof(*header),
							     crc)));
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_stream_header);

/**
 * nvvgpu_stream_record() - make the head of a record
 * @piece: with the payload, if any
 * @type: NVVGPU_MIG_*
 * @number: of the record
 * @len: bytes of payload
 */
void nvvgpu_stream_record(struct nvvgpu_piece *piece, u32 type, u64 number,
			  u32 len)
{
	struct nvvgpu_mig_record *record = &piece->record;

	record->type = cpu_to_le32(type);
	record->length = cpu_to_le32(len);
	record->number = cpu_to_le64(number);
	record->payload_crc = cpu_to_le32(nvvgpu_stream_payload_crc(piece));
	record->crc = cpu_to_le32(nvvgpu_stream_crc(record,
						    offsetof(typeof(*record),
							     crc)));
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_stream_record);

/**
 * nvvgpu_stream_begin() - expect a stream
 * @stream: to be set up
 * @own: what this side would send
 * @piece: for the first record
 */
void nvvgpu_stream_begin(struct nvvgpu_stream *stream,
			 const struct nvvgpu_mig_header *own,
			 struct nvvgpu_piece *piece)
{
	memset(stream, 0, sizeof(*stream));
	stream->own = own;
	stream->piece = piece;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_stream_begin);

/**
 * nvvgpu_stream_room() - where the next bytes of a stream go
 * @stream: the stream
 * @room: how many bytes there may be, 0 at the end and once it is refused
 *
 * Return: where, for nvvgpu_stream_came()
 */
void *nvvgpu_stream_room(struct nvvgpu_stream *stream, size_t *room)
{
	struct nvvgpu_piece *piece = stream->piece;
	size_t have = stream->have;
	void *part = NULL;
	size_t size = have;

	switch (stream->part) {
	case NVVGPU_STREAM_IN_HEADER:
		part = &stream->header;
		size = sizeof(stream->header);
		break;
	case NVVGPU_STREAM_IN_RECORD:
		part = &piece->record;
		size = sizeof(piece->record);
		break;
	case NVVGPU_STREAM_IN_PAYLOAD:
		size = le32_to_cpu(piece->record.length);
		if (have < sizeof(piece->state)) {
			part = &piece->state;
			size = min(size, sizeof(piece->state));
		} else {
			part = piece->data;
			size -= sizeof(piece->state);
			have -= sizeof(piece->state);
		}
		break;
	case NVVGPU_STREAM_AT_END:
		break;
	}
	*room = stream->refused ? 0 : size - have;

	return part + have;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_stream_room);

static int nvvgpu_stream_refuse(struct nvvgpu_stream *stream, int err,
				const char *why)
{
	stream->why = why;
	stream->refused = err;

	return err;
}

static void nvvgpu_stream_next(struct nvvgpu_stream *stream,
			       enum nvvgpu_stream_part part)
{
	stream->part = part;
	stream->have = 0;
}

/* Is a field of the header, as far as it has come, another one than this side's? */
static bool nvvgpu_stream_differs(const struct nvvgpu_stream *stream,
				  const void *field, size_t len)
{
	size_t begin = field - (const void *)&stream->header;

	if (stream->have <= begin)
		return false;

	return memcmp(field, (const void *)stream->own + begin,
		      min(len, stream->have - begin));
}

static int nvvgpu_stream_check_header(struct nvvgpu_stream *stream)
{
	const struct nvvgpu_mig_header *header = &stream->header;

	if (nvvgpu_stream_differs(stream, &header->magic, sizeof(header->magic)))
		return nvvgpu_stream_refuse(stream, -EINVAL,
					    "it is not one of nvvgpu");
	if (nvvgpu_stream_differs(stream, &header->major, sizeof(header->major)))
		return nvvgpu_stream_refuse(stream, -EPROTONOSUPPORT,
					    "its format is of another version");
	if (nvvgpu_stream_differs(stream, &header->type, sizeof(header->type)))
		return nvvgpu_stream_refuse(stream, -EINVAL,
					    "it is of another vGPU type");
	if (nvvgpu_stream_differs(stream, &header->backend,
				  sizeof(header->backend)))
		return nvvgpu_stream_refuse(stream, -EINVAL,
					    "it is of another back-end");
	if (nvvgpu_stream_differs(stream, &header->fb_bytes,
				  sizeof(header->fb_bytes)))
		return nvvgpu_stream_refuse(stream, -EINVAL,
					    "its framebuffer has another size");
	if (nvvgpu_stream_differs(stream, &header->bar_bytes,
				  sizeof(header->bar_bytes)))
		return nvvgpu_stream_refuse(stream, -EINVAL,
					    "its BARs have other sizes");

	if (stream->have < sizeof(*header))
		return NVVGPU_STREAM_MORE;
	if (nvvgpu_stream_crc(header, offsetof(typeof(*header), crc)) !=
	    le32_to_cpu(header->crc))
		return nvvgpu_stream_refuse(stream, -EBADMSG,
					    "its header is damaged");
	if (le32_to_cpu(header->backend_version) >
	    le32_to_cpu(stream->own->backend_version))
		return nvvgpu_stream_refuse(stream, -EPROTONOSUPPORT,
					    "its back-end is newer");

	nvvgpu_stream_next(stream, NVVGPU_STREAM_IN_RECORD);

	return NVVGPU_STREAM_MORE;
}

static int nvvgpu_stream_check_length(struct nvvgpu_stream *stream, u32 type,
				      u32 length)
{
	u32 least = 0, most = NVVGPU_MIG_LENGTH_MAX;

	if (type == NVVGPU_MIG_END)
		most = 0;
	else if (type == NVVGPU_MIG_STATE)
		least = sizeof(struct nvvgpu_mig_state);
	if (length > most)
		return nvvgpu_stream_refuse(stream, -EMSGSIZE,
					    "a record is too large");
	if (length < least)
		return nvvgpu_stream_refuse(stream, -EINVAL,
					    "a record is too short");

	return 0;
}

static int nvvgpu_stream_check_payload(struct nvvgpu_stream *stream)
{
	const struct nvvgpu_mig_record *record = &stream->piece->record;

	if (stream->have < le32_to_cpu(record->length))
		return NVVGPU_STREAM_MORE;

	nvvgpu_stream_next(stream, le32_to_cpu(record->type) == NVVGPU_MIG_END ?
				   NVVGPU_STREAM_AT_END :
				   NVVGPU_STREAM_IN_RECORD);

	return NVVGPU_STREAM_RECORD;
}

static int nvvgpu_stream_check_record(struct nvvgpu_stream *stream)
{
	const struct nvvgpu_mig_record *record = &stream->piece->record;
	u32 type = le32_to_cpu(record->type);
	int ret;

	if (stream->have < offsetofend(typeof(*record), type))
		return NVVGPU_STREAM_MORE;
	if (type != NVVGPU_MIG_STATE && type != NVVGPU_MIG_END &&
	    !(type & NVVGPU_MIG_OPTIONAL))
		return nvvgpu_stream_refuse(stream, -EOPNOTSUPP,
					    "a record that must be understood is of an unknown type");

	if (stream->have < offsetofend(typeof(*record), length))
		return NVVGPU_STREAM_MORE;
	ret = nvvgpu_stream_check_length(stream, type,
					 le32_to_cpu(record->length));
	if (ret)
		return ret;

	if (stream->have < offsetofend(typeof(*record), number))
		return NVVGPU_STREAM_MORE;
	if (le64_to_cpu(record->number) != stream->number)
		return nvvgpu_stream_refuse(stream, -EBADMSG,
					    "a record is missing or out of order");

	if (stream->have < sizeof(*record))
		return NVVGPU_STREAM_MORE;
	if (nvvgpu_stream_crc(record, offsetof(typeof(*record), crc)) !=
	    le32_to_cpu(record->crc))
		return nvvgpu_stream_refuse(stream, -EBADMSG,
					    "the head of a record is damaged");

	stream->number++;
	nvvgpu_stream_next(stream, NVVGPU_STREAM_IN_PAYLOAD);

	return nvvgpu_stream_check_payload(stream);
}

/**
 * nvvgpu_stream_came() - some bytes of a stream have come
 * @stream: the stream
 * @len: bytes that were put where nvvgpu_stream_room() told, not more than it
 *	told; 0 when there are more but no room
 *
 * A record that is whole is not checked yet: that takes time, and the next one
 * may come in meanwhile, see nvvgpu_stream_go_on() and nvvgpu_stream_check().
 *
 * Return: enum nvvgpu_stream_event, or a negative errno when the stream is
 * refused, see include/uapi/linux/nvvgpu.h; then @stream->why tells why.
 */
int nvvgpu_stream_came(struct nvvgpu_stream *stream, size_t len)
{
	if (stream->refused)
		return stream->refused;

	stream->have += len;
	switch (stream->part) {
	case NVVGPU_STREAM_IN_HEADER:
		return nvvgpu_stream_check_header(stream);
	case NVVGPU_STREAM_IN_RECORD:
		return nvvgpu_stream_check_record(stream);
	case NVVGPU_STREAM_IN_PAYLOAD:
		return nvvgpu_stream_check_payload(stream);
	default:
		return nvvgpu_stream_refuse(stream, -EINVAL,
					    "there is data after its end");
	}
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_stream_came);

/**
 * nvvgpu_stream_go_on() - have the next record in another place
 * @stream: that has just told NVVGPU_STREAM_RECORD
 * @piece: for the next record
 */
void nvvgpu_stream_go_on(struct nvvgpu_stream *stream,
			 struct nvvgpu_piece *piece)
{
	stream->piece = piece;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_stream_go_on);

/**
 * nvvgpu_stream_check() - whether a record that is whole is also sound
 * @piece: the record
 * @why: why not, in words
 *
 * Return: NVVGPU_STREAM_STATE, NVVGPU_STREAM_END, or NVVGPU_STREAM_MORE when
 * nothing is to be done about it; a negative errno when the stream is refused.
 */
int nvvgpu_stream_check(const struct nvvgpu_piece *piece, const char **why)
{
	u64 offset = le64_to_cpu(piece->state.offset);
	u64 span = le64_to_cpu(piece->state.span);

	if (nvvgpu_stream_payload_crc(piece) !=
	    le32_to_cpu(piece->record.payload_crc)) {
		*why = "a record is damaged";
		return -EBADMSG;
	}

	switch (le32_to_cpu(piece->record.type)) {
	case NVVGPU_MIG_STATE:
		if (span && span >= nvvgpu_piece_bytes(piece) &&
		    span - 1 <= U64_MAX - offset)
			return NVVGPU_STREAM_STATE;
		*why = "a piece of state cannot be";
		return -EINVAL;
	case NVVGPU_MIG_END:
		return NVVGPU_STREAM_END;
	default:
		return NVVGPU_STREAM_MORE;
	}
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_stream_check);
