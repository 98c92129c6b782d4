// SPDX-License-Identifier: GPL-2.0-only
/*
 * The format of the migration stream.  Its header and the heads of its records
 * are checked byte by byte as they are received, so that a stream is refused
 * before any of it is used.
 */
#include <kunit/visibility.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/minmax.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include "stream.h"

/**
 * nvvgpu_stream_header() - complete the header of a stream
 * @header: header with the fields about the vGPU filled in, the rest zeroed
 */
void nvvgpu_stream_header(struct nvvgpu_mig_header *header)
{
	memcpy(header->magic, NVVGPU_MIG_MAGIC, NVVGPU_MIG_MAGIC_LEN);
	header->major = cpu_to_le16(NVVGPU_MIG_MAJOR);
	header->minor = cpu_to_le16(NVVGPU_MIG_MINOR);
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_stream_header);

/**
 * nvvgpu_stream_head() - fill in the head of a record
 * @record: the record
 * @type: NVVGPU_MIG_*
 * @number: number of the record
 * @length: bytes of payload
 */
void nvvgpu_stream_head(struct nvvgpu_record *record, u32 type, u64 number,
			u32 length)
{
	record->head.type = cpu_to_le32(type);
	record->head.length = cpu_to_le32(length);
	record->head.number = cpu_to_le64(number);
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_stream_head);

static void nvvgpu_stream_enter(struct nvvgpu_stream *stream,
				enum nvvgpu_stream_part part)
{
	struct nvvgpu_record *record = stream->record;

	stream->part = part;
	stream->have = 0;
	switch (part) {
	case NVVGPU_STREAM_IN_HEADER:
		stream->buf = &stream->header;
		stream->size = sizeof(stream->header);
		break;
	case NVVGPU_STREAM_IN_HEAD:
		stream->buf = &record->head;
		stream->size = sizeof(record->head);
		break;
	case NVVGPU_STREAM_IN_STATE:
		stream->buf = &record->state;
		stream->size = min(le32_to_cpu(record->head.length),
				   sizeof(record->state));
		break;
	case NVVGPU_STREAM_IN_DATA:
		stream->buf = record->data;
		stream->size = nvvgpu_record_bytes(record);
		break;
	case NVVGPU_STREAM_AT_END:
		stream->buf = NULL;
		stream->size = 0;
		break;
	}
}

/**
 * nvvgpu_stream_init() - expect a stream
 * @stream: stream to set up
 * @own: header that this side would send
 * @oldest: oldest state version of the back-end that can be loaded
 * @record: buffer for the first record
 */
void nvvgpu_stream_init(struct nvvgpu_stream *stream,
			const struct nvvgpu_mig_header *own, u32 oldest,
			struct nvvgpu_record *record)
{
	memset(stream, 0, sizeof(*stream));
	stream->own = own;
	stream->oldest = oldest;
	stream->record = record;
	nvvgpu_stream_enter(stream, NVVGPU_STREAM_IN_HEADER);
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_stream_init);

/**
 * nvvgpu_stream_room() - find the place for the next bytes of a stream
 * @stream: the stream
 * @room: set to the room there, 0 at the end or after a refusal
 *
 * Return: the place, for nvvgpu_stream_advance()
 */
void *nvvgpu_stream_room(const struct nvvgpu_stream *stream, size_t *room)
{
	*room = stream->refused ? 0 : stream->size - stream->have;

	return stream->buf + stream->have;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_stream_room);

static int nvvgpu_stream_refuse(struct nvvgpu_stream *stream, int err,
				const char *why)
{
	stream->why = why;
	stream->refused = err;

	return err;
}

/* Whether the received bytes of a header field differ from this side's */
static bool nvvgpu_stream_differs(const struct nvvgpu_stream *stream,
				  const void *field, size_t len)
{
	size_t begin = field - (const void *)&stream->header;

	if (stream->have <= begin)
		return false;

	return memcmp(field, (const void *)stream->own + begin,
		      min(len, stream->have - begin));
}

/* Compare the fields that have been received so far. */
static int nvvgpu_stream_compare_header(struct nvvgpu_stream *stream)
{
	const struct nvvgpu_mig_header *header = &stream->header;

	if (nvvgpu_stream_differs(stream, &header->magic, sizeof(header->magic)))
		return nvvgpu_stream_refuse(stream, -EINVAL, "bad magic");
	if (nvvgpu_stream_differs(stream, &header->major, sizeof(header->major)))
		return nvvgpu_stream_refuse(stream, -EPROTONOSUPPORT,
					    "unsupported format version");
	if (nvvgpu_stream_differs(stream, &header->type, sizeof(header->type)))
		return nvvgpu_stream_refuse(stream, -EINVAL,
					    "vGPU type mismatch");
	if (nvvgpu_stream_differs(stream, &header->backend,
				  sizeof(header->backend)))
		return nvvgpu_stream_refuse(stream, -EINVAL,
					    "back-end mismatch");
	if (nvvgpu_stream_differs(stream, &header->fb_bytes,
				  sizeof(header->fb_bytes)))
		return nvvgpu_stream_refuse(stream, -EINVAL,
					    "framebuffer size mismatch");
	if (nvvgpu_stream_differs(stream, &header->bar_bytes,
				  sizeof(header->bar_bytes)))
		return nvvgpu_stream_refuse(stream, -EINVAL,
					    "BAR size mismatch");
	if (nvvgpu_stream_differs(stream, &header->reserved,
				  sizeof(header->reserved)))
		return nvvgpu_stream_refuse(stream, -EINVAL,
					    "reserved field is not zero");

	return 0;
}

static int nvvgpu_stream_check_header(struct nvvgpu_stream *stream)
{
	const struct nvvgpu_mig_header *header = &stream->header;
	u32 version;
	int ret;

	ret = nvvgpu_stream_compare_header(stream);
	if (ret)
		return ret;
	if (stream->have < sizeof(*header))
		return NVVGPU_STREAM_MORE;
	version = le32_to_cpu(header->backend_version);
	if (version < stream->oldest)
		return nvvgpu_stream_refuse(stream, -EPROTONOSUPPORT,
					    "state version of the back-end is too old");
	if (version > le32_to_cpu(stream->own->backend_version))
		return nvvgpu_stream_refuse(stream, -EPROTONOSUPPORT,
					    "state version of the back-end is too new");

	nvvgpu_stream_enter(stream, NVVGPU_STREAM_IN_HEAD);

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
					    "record is too long");
	if (length < least)
		return nvvgpu_stream_refuse(stream, -EINVAL,
					    "record is too short");

	return 0;
}

/* Act on the end of a record, which stays in place until it is overwritten. */
static int nvvgpu_stream_complete(struct nvvgpu_stream *stream)
{
	switch (le32_to_cpu(stream->record->head.type)) {
	case NVVGPU_MIG_STATE:
		nvvgpu_stream_enter(stream, NVVGPU_STREAM_IN_HEAD);
		return NVVGPU_STREAM_STATE;
	case NVVGPU_MIG_END:
		nvvgpu_stream_enter(stream, NVVGPU_STREAM_AT_END);
		return NVVGPU_STREAM_END;
	default:
		nvvgpu_stream_enter(stream, NVVGPU_STREAM_IN_HEAD);
		return NVVGPU_STREAM_MORE;
	}
}

static int nvvgpu_stream_check_head(struct nvvgpu_stream *stream)
{
	const struct nvvgpu_mig_record *head = &stream->record->head;
	u32 type = le32_to_cpu(head->type);
	int ret;

	if (stream->have < offsetofend(typeof(*head), type))
		return NVVGPU_STREAM_MORE;
	if (type != NVVGPU_MIG_STATE && type != NVVGPU_MIG_END &&
	    !(type & NVVGPU_MIG_OPTIONAL))
		return nvvgpu_stream_refuse(stream, -EOPNOTSUPP,
					    "unknown type of a mandatory record");

	if (stream->have < offsetofend(typeof(*head), length))
		return NVVGPU_STREAM_MORE;
	ret = nvvgpu_stream_check_length(stream, type,
					 le32_to_cpu(head->length));
	if (ret)
		return ret;

	if (stream->have < sizeof(*head))
		return NVVGPU_STREAM_MORE;
	if (le64_to_cpu(head->number) != stream->number)
		return nvvgpu_stream_refuse(stream, -EBADMSG,
					    "record is missing or out of order");

	stream->number++;
	if (!head->length)
		return nvvgpu_stream_complete(stream);
	nvvgpu_stream_enter(stream, NVVGPU_STREAM_IN_STATE);

	return NVVGPU_STREAM_MORE;
}

static int nvvgpu_stream_check_state(struct nvvgpu_stream *stream)
{
	const struct nvvgpu_record *record = stream->record;
	u64 offset = le64_to_cpu(record->state.offset);
	u64 span = le64_to_cpu(record->state.span);

	if (stream->have < stream->size)
		return NVVGPU_STREAM_MORE;
	if (record->head.type == cpu_to_le32(NVVGPU_MIG_STATE) &&
	    (!span || span < nvvgpu_record_bytes(record) ||
	     span - 1 > U64_MAX - offset))
		return nvvgpu_stream_refuse(stream, -EINVAL,
					    "invalid state record");

	if (le32_to_cpu(record->head.length) <= sizeof(record->state))
		return nvvgpu_stream_complete(stream);
	nvvgpu_stream_enter(stream, NVVGPU_STREAM_IN_DATA);

	return NVVGPU_STREAM_MORE;
}

/**
 * nvvgpu_stream_advance() - account for received bytes and check them
 * @stream: the stream
 * @len: bytes stored at nvvgpu_stream_room(), at most the room there; 0 to
 *	report data that there is no room for
 *
 * Return: enum nvvgpu_stream_event, or a negative errno if the stream is
 * refused, see include/uapi/linux/nvvgpu.h; @stream->why is the reason then.
 */
int nvvgpu_stream_advance(struct nvvgpu_stream *stream, size_t len)
{
	if (stream->refused)
		return stream->refused;

	stream->have += len;
	switch (stream->part) {
	case NVVGPU_STREAM_IN_HEADER:
		return nvvgpu_stream_check_header(stream);
	case NVVGPU_STREAM_IN_HEAD:
		return nvvgpu_stream_check_head(stream);
	case NVVGPU_STREAM_IN_STATE:
		return nvvgpu_stream_check_state(stream);
	case NVVGPU_STREAM_IN_DATA:
		return stream->have < stream->size ? NVVGPU_STREAM_MORE :
						     nvvgpu_stream_complete(stream);
	default:
		return nvvgpu_stream_refuse(stream, -EINVAL,
					    "data after the end");
	}
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_stream_advance);

/**
 * nvvgpu_stream_use() - receive the next record in another place
 * @stream: stream that has just returned NVVGPU_STREAM_STATE
 * @record: buffer for the next record
 */
void nvvgpu_stream_use(struct nvvgpu_stream *stream,
		       struct nvvgpu_record *record)
{
	stream->record = record;
	nvvgpu_stream_enter(stream, NVVGPU_STREAM_IN_HEAD);
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_stream_use);
