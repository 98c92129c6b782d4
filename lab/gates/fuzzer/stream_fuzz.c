// SPDX-License-Identifier: GPL-2.0-only
/*
 * A libFuzzer target for the parser of the migration stream.
 *
 * The parser's verdict on a stream is compared with that of a second
 * implementation of include/uapi/linux/nvvgpu.h, which has the whole stream in
 * memory and keeps no state.  Both must agree to the byte, however the stream
 * is cut into writes.
 *
 * An input is a struct input, followed by a stream, which is corrected first as
 * @fix says; or by a plan, from which a stream is built as a sender builds it,
 * and then damaged.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include <sanitizer/asan_interface.h>

#include "stream.h"

#define INPUT_MAX	4096
#define EVENTS_MAX	(INPUT_MAX / sizeof(struct nvvgpu_mig_record) + 1)

/* Limits of a stream built from a plan */
#define PLAN_RECORDS	8
#define PLAN_DATA	64

#define FIX_IDENTITY	0x01	/* the header is meant for this receiver */
#define FIX_TYPE	0x04	/* a known type, or an optional one */
#define FIX_LENGTH	0x08	/* within the input */
#define FIX_NUMBER	0x10
#define FIX_SPAN	0x20	/* not less than the data */

#define MODE_PLAN	0x01
#define MODE_SINGLE	0x02	/* writes of one byte each */

struct input {
	u8 mode;	/* MODE_* */
	u8 fix;		/* FIX_* */
	u8 unfixed;	/* number of the record that is not corrected */
	u8 slices[5];	/* lengths of writes, repeated */
	u8 bytes[];
};

/* A result of reading a stream; a refusal is the last one */
struct event {
	int what;	/* enum nvvgpu_stream_event, or a negative errno */
	size_t at;	/* byte that completes it */
	const u8 *state;	/* struct nvvgpu_mig_state, and data */
	u32 len;	/* of the data */
};

struct events {
	unsigned int nr;
	struct event event[EVENTS_MAX];
};

struct made {
	size_t len;
	unsigned int records;
	size_t start[PLAN_RECORDS + 2];
	u8 bytes[INPUT_MAX];
};

static struct nvvgpu_mig_header own;

/* Oldest state version that this side loads; that of own is the newest */
#define OLDEST		2
static struct nvvgpu_record records[2];
static struct nvvgpu_record *record;
static size_t received;	/* bytes of its data so far */

#define CHECK(cond) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__,	\
			__LINE__, __func__, #cond);			\
		abort();						\
	}								\
} while (0)

static u64 get_le(const u8 *p, unsigned int bytes)
{
	u64 val = 0;

	while (bytes--)
		val = val << 8 | p[bytes];

	return val;
}

static void put_le(u8 *p, u64 val, unsigned int bytes)
{
	for (; bytes--; val >>= 8)
		*p++ = val;
}

#define HEADER(field)	offsetof(struct nvvgpu_mig_header, field)
#define RECORD(field)	offsetof(struct nvvgpu_mig_record, field)
#define STATE(field)	offsetof(struct nvvgpu_mig_state, field)

static const struct {
	size_t begin, end;
	int err;
} identity[] = {
	{ HEADER(magic), HEADER(major), -EINVAL },
	{ HEADER(major), HEADER(minor), -EPROTONOSUPPORT },
	{ HEADER(type), HEADER(backend_version), -EINVAL },
	{ HEADER(reserved), sizeof(struct nvvgpu_mig_header), -EINVAL },
};

#define NR_IDENTITY	(sizeof(identity) / sizeof(*identity))

/* The second implementation */

static void add(struct events *events, int what, size_t at)
{
	CHECK(events->nr < EVENTS_MAX);
	events->event[events->nr++] = (struct event){ .what = what, .at = at };
}

/* Returns the size of the header, 0 if it is refused or incomplete. */
static size_t read_header(const u8 *bytes, size_t len, struct events *events)
{
	const u8 *mine = (const u8 *)&own;
	size_t i, at;
	u64 version;

	for (i = 0; i < NR_IDENTITY; i++) {
		for (at = identity[i].begin; at < identity[i].end; at++) {
			if (at >= len)
				return 0;
			if (bytes[at] == mine[at])
				continue;
			add(events, identity[i].err, at);
			return 0;
		}
	}
	if (len < sizeof(own))
		return 0;

	version = get_le(bytes + HEADER(backend_version), 4);
	if (version < OLDEST ||
	    version > get_le(mine + HEADER(backend_version), 4))
		add(events, -EPROTONOSUPPORT, sizeof(own) - 1);
	else
		return sizeof(own);

	return 0;
}

/* Returns the errno that the head of a record is refused with, at byte @at. */
static int read_record(const u8 *rec, size_t len, u64 number, size_t *at)
{
	u32 type, length, least = 0, most = NVVGPU_MIG_LENGTH_MAX;

	*at = RECORD(length) - 1;
	if (len <= *at)
		return 0;
	type = get_le(rec + RECORD(type), 4);
	if (!(type & 0x80000000) && type != 1 && type != 2)
		return -EOPNOTSUPP;

	*at = RECORD(number) - 1;
	if (len <= *at)
		return 0;
	length = get_le(rec + RECORD(length), 4);
	if (type == 1) {
		least = sizeof(struct nvvgpu_mig_state);
		most = NVVGPU_MIG_DATA_MAX + least;
	} else if (type == 2) {
		most = 0;
	}
	if (length > most)
		return -EMSGSIZE;
	if (length < least)
		return -EINVAL;

	*at = sizeof(struct nvvgpu_mig_record) - 1;
	if (len <= *at)
		return 0;

	return get_le(rec + RECORD(number), 8) == number ? 0 : -EBADMSG;
}

/* Whether a state record may stand for @span bytes from @offset */
static bool valid(u64 offset, u64 span, u32 data)
{
	unsigned __int128 end = (unsigned __int128)offset + span;

	return span && span >= data && end <= (unsigned __int128)1 << 64;
}

static void read_stream(const u8 *bytes, size_t len, struct events *events)
{
	size_t at, pos;
	u64 number;
	int err;

	events->nr = 0;
	pos = read_header(bytes, len, events);
	if (!pos)
		return;

	for (number = 0; pos < len; number++) {
		const u8 *rec = bytes + pos;
		const u8 *body = rec + sizeof(struct nvvgpu_mig_record);
		struct event *event;
		u32 type, length;

		err = read_record(rec, len - pos, number, &at);
		at += pos;
		if (err) {
			add(events, err, at);
			return;
		}
		pos += sizeof(struct nvvgpu_mig_record);
		if (len < pos)
			return;
		length = get_le(rec + RECORD(length), 4);
		type = get_le(rec + RECORD(type), 4);
		at = pos + sizeof(struct nvvgpu_mig_state);
		if (type == 1 && len >= at &&
		    !valid(get_le(body + STATE(offset), 8),
			   get_le(body + STATE(span), 8),
			   length - sizeof(struct nvvgpu_mig_state))) {
			add(events, -EINVAL, at - 1);
			return;
		}
		if (len - pos < length)
			return;

		pos += length;
		switch (type) {
		case 1:
			add(events, NVVGPU_STREAM_STATE, pos - 1);
			event = &events->event[events->nr - 1];
			event->state = body;
			event->len = length - sizeof(struct nvvgpu_mig_state);
			break;
		case 2:
			add(events, NVVGPU_STREAM_END, pos - 1);
			if (pos < len)
				add(events, -EINVAL, pos);
			return;
		}
	}
}

/* The parser */

static void check_state(const struct event *event)
{
	const struct nvvgpu_mig_state *state = &record->state;
	u64 offset = le64_to_cpu(state->offset);
	u64 span = le64_to_cpu(state->span);
	u32 len = nvvgpu_record_bytes(record);

	CHECK(len <= NVVGPU_MIG_DATA_MAX);
	CHECK(span && span >= len && offset + (span - 1) >= offset);

	CHECK(len == event->len);
	CHECK(!memcmp(state, event->state, sizeof(*state)));
	CHECK(!memcmp(record->data, event->state + sizeof(*state), len));
}

/* A refusal is final. */
static void check_refused(struct nvvgpu_stream *stream, int err)
{
	const char *why = stream->why;
	size_t room;

	CHECK(why && *why);
	CHECK(stream->refused == err);
	nvvgpu_stream_room(stream, &room);
	CHECK(room == 0);
	CHECK(nvvgpu_stream_advance(stream, 0) == err);
	CHECK(stream->why == why);
}

/* Data that has not been received must not be read. */
static void poison(void)
{
	ASAN_POISON_MEMORY_REGION(record->data, received);
	received = 0;
}

/* Returns the bytes from @room to the end of its object. */
static size_t room_end(struct nvvgpu_stream *stream, const u8 *room)
{
	const u8 *head = (u8 *)&record->head, *state = (u8 *)&record->state;

	if (room >= (u8 *)record->data &&
	    room <= (u8 *)record->data + NVVGPU_MIG_DATA_MAX)
		return (u8 *)record->data + NVVGPU_MIG_DATA_MAX - room;
	if (room >= state && room < state + sizeof(record->state))
		return state + sizeof(record->state) - room;
	if (room >= head && room < state)
		return state - room;

	return (u8 *)(&stream->header + 1) - room;
}

/* Returns the place for the next bytes, at most @most of them. */
static void *make_room(struct nvvgpu_stream *stream, size_t *n, size_t most)
{
	u8 *room = nvvgpu_stream_room(stream, n);
	u8 *data = record->data;

	if (*n)
		CHECK(*n <= room_end(stream, room));
	*n = min(*n, most);
	if (room >= data && room <= data + NVVGPU_MIG_DATA_MAX) {
		ASAN_UNPOISON_MEMORY_REGION(room, *n);
		received = room + *n - data;
	}

	return room;
}

static int advance(struct nvvgpu_stream *stream, size_t len)
{
	int what = nvvgpu_stream_advance(stream, len);

	if (what < 0)
		check_refused(stream, what);

	return what;
}

/* Feed a stream to the parser like data.c, in writes of these lengths. */
static void feed(const u8 *bytes, size_t len, const u8 *slices,
		 unsigned int nr_slices, const struct events *events)
{
	const struct event *event = events->event;
	const struct event *end = event + events->nr;
	struct nvvgpu_stream stream;
	size_t done = 0, left = 0;
	unsigned int i = 0;

	memset(&stream, 0xa5, sizeof(stream));
	nvvgpu_stream_init(&stream, &own, OLDEST, record);
	poison();

	while (done < len) {
		void *room;
		size_t n;
		int what;

		if (!left)
			left = nr_slices ? 1 + slices[i++ % nr_slices] : len;
		room = make_room(&stream, &n, min(left, len - done));
		if (n)
			memcpy(room, bytes + done, n);
		what = advance(&stream, n);
		if (what) {
			CHECK(event < end);
			CHECK(what == event->what);
		}
		if (what < 0) {
			CHECK(done <= event->at);
			CHECK(event->at < done + (n ?: 1));
			CHECK(event + 1 == end);
			return;
		}
		/* No progress would be an endless loop. */
		CHECK(n > 0);
		done += n;
		left -= n;
		if (!what)
			continue;

		CHECK(event->at == done - 1);
		if (what == NVVGPU_STREAM_STATE) {
			check_state(event);
			poison();
			/* The GPU may still read this record. */
			record = &records[record == records];
			nvvgpu_stream_use(&stream, record);
		}
		event++;
	}
	CHECK(event == end);
	CHECK(!stream.refused && !stream.why);
}

static void feed_all_ways(const struct input *input, const u8 *bytes,
			  size_t len, struct events *events)
{
	static const u8 single[] = { 0 };

	read_stream(bytes, len, events);
	feed(bytes, len, NULL, 0, events);
	if (input->mode & MODE_SINGLE)
		feed(bytes, len, single, sizeof(single), events);
	else
		feed(bytes, len, input->slices, sizeof(input->slices), events);
}

/* A stream taken from the input */

static void fix_header(u8 *bytes, u8 fix)
{
	const u8 *mine = (const u8 *)&own;
	unsigned int i;

	for (i = 0; fix & FIX_IDENTITY && i < NR_IDENTITY; i++)
		memcpy(bytes + identity[i].begin, mine + identity[i].begin,
		       identity[i].end - identity[i].begin);
}

static void fix_record(u8 *rec, size_t len, u64 number, u8 fix)
{
	size_t left = len - sizeof(struct nvvgpu_mig_record);
	u8 *body = rec + sizeof(struct nvvgpu_mig_record);
	u32 type = get_le(rec + RECORD(type), 4);
	u32 length = get_le(rec + RECORD(length), 4);

	if (fix & FIX_TYPE && !(type & NVVGPU_MIG_OPTIONAL))
		type = type % 8 ? NVVGPU_MIG_STATE : NVVGPU_MIG_END;
	if (fix & FIX_LENGTH) {
		u32 least = type == NVVGPU_MIG_STATE ?
			    sizeof(struct nvvgpu_mig_state) : 0;

		if (type == NVVGPU_MIG_END || left < least)
			length = 0;
		else
			length = least + length % (min(left - least, (size_t)255) + 1);
	}
	put_le(rec + RECORD(type), type, 4);
	put_le(rec + RECORD(length), length, 4);
	if (fix & FIX_NUMBER)
		put_le(rec + RECORD(number), number, 8);
	if (fix & FIX_SPAN && type == NVVGPU_MIG_STATE && length <= left &&
	    length >= sizeof(struct nvvgpu_mig_state)) {
		u64 span = get_le(body + STATE(span), 8);

		put_le(body + STATE(offset) + 7, 0, 1);
		put_le(body + STATE(span), span % U32_MAX + 1 + length, 8);
	}
}

static void fix_stream(u8 *bytes, size_t len, u8 fix, u8 unfixed)
{
	size_t pos = sizeof(struct nvvgpu_mig_header);
	u64 number;

	if (len < pos)
		return;
	fix_header(bytes, fix);
	for (number = 0; len - pos >= sizeof(struct nvvgpu_mig_record);
	     number++) {
		u32 length;

		if (number != unfixed)
			fix_record(bytes + pos, len - pos, number, fix);
		length = get_le(bytes + pos + RECORD(length), 4);
		pos += sizeof(struct nvvgpu_mig_record);
		if (len - pos < length)
			break;
		pos += length;
	}
}

static void try_stream(const struct input *input, size_t len)
{
	static struct events events;
	static u8 bytes[INPUT_MAX];

	memcpy(bytes, input->bytes, len);
	if (input->fix)
		fix_stream(bytes, len, input->fix, input->unfixed);
	feed_all_ways(input, bytes, len, &events);
}

/* A stream built from a plan */

struct plan {
	const u8 *at;
	size_t left;
};

static u64 take(struct plan *plan, unsigned int bytes)
{
	unsigned int n = plan->left < bytes ? plan->left : bytes;
	u64 val = get_le(plan->at, n);

	plan->at += n;
	plan->left -= n;

	return val;
}

static void make_record(struct made *made, u32 type, const void *body, u32 len)
{
	struct nvvgpu_record record;

	nvvgpu_stream_head(&record, type, made->records, len);
	made->start[made->records++] = made->len;
	memcpy(made->bytes + made->len, &record.head, sizeof(record.head));
	made->len += sizeof(record.head);
	if (len)
		memcpy(made->bytes + made->len, body, len);
	made->len += len;
	made->start[made->records] = made->len;
}

static void make_payload(struct made *made, struct plan *plan)
{
	struct {
		struct nvvgpu_mig_state state;
		u8 data[PLAN_DATA];
	} body;
	u8 op = take(plan, 1);
	u32 len = take(plan, 1) % (PLAN_DATA + 1), i;
	u64 offset = take(plan, op & 2 ? 8 : 2);
	u64 span = len + take(plan, op & 4 ? 8 : 2);

	if (offset > U64_MAX - PLAN_DATA)
		offset = U64_MAX - PLAN_DATA;
	if (!valid(offset, span, len))
		span = PLAN_DATA;
	body.state.kind = cpu_to_le32(take(plan, 1));
	body.state.flags = cpu_to_le32(take(plan, 1));
	body.state.offset = cpu_to_le64(offset);
	body.state.span = cpu_to_le64(span);
	for (i = 0; i < len; i++)
		body.data[i] = take(plan, 1);

	if (op & 1)
		make_record(made, NVVGPU_MIG_OPTIONAL | op, body.data, len);
	else
		make_record(made, NVVGPU_MIG_STATE, &body,
			    sizeof(body.state) + len);
}

static void make_stream(struct made *made, struct plan *plan)
{
	struct nvvgpu_mig_header header = own;
	unsigned int nr = take(plan, 1) % (PLAN_RECORDS + 1);

	header.backend_version =
		cpu_to_le32(OLDEST + take(plan, 1) %
			    (le32_to_cpu(own.backend_version) - OLDEST + 1));
	nvvgpu_stream_header(&header);
	memcpy(made->bytes, &header, sizeof(header));
	made->len = sizeof(header);
	made->records = 0;
	while (nr--)
		make_payload(made, plan);
	make_record(made, NVVGPU_MIG_END, NULL, 0);
}

/* Exactly the records that were sent are received. */
static void check_round_trip(const struct made *made,
			     const struct events *events)
{
	const struct event *event = events->event;
	unsigned int i;

	for (i = 0; i < made->records; i++) {
		const u8 *rec = made->bytes + made->start[i];

		if (get_le(rec, 4) & NVVGPU_MIG_OPTIONAL)
			continue;
		CHECK(event < events->event + events->nr);
		CHECK(event->at == made->start[i + 1] - 1);
		CHECK(event->what == (i + 1 < made->records ?
				      NVVGPU_STREAM_STATE : NVVGPU_STREAM_END));
		if (event->what == NVVGPU_STREAM_STATE) {
			CHECK(event->state ==
			      rec + sizeof(struct nvvgpu_mig_record));
			CHECK(event->len ==
			      made->start[i + 1] - made->start[i] -
			      sizeof(struct nvvgpu_mig_record) -
			      sizeof(struct nvvgpu_mig_state));
		}
		event++;
	}
	CHECK(event == events->event + events->nr);
}

static void add_record(struct made *to, const struct made *from, unsigned int i)
{
	size_t len = from->start[i + 1] - from->start[i];

	memcpy(to->bytes + to->len, from->bytes + from->start[i], len);
	to->len += len;
}

enum damage {
	DAMAGE_BYTE,
	DAMAGE_CUT,
	DAMAGE_SWAP,
	DAMAGE_DROP,
	DAMAGE_REPEAT,
	DAMAGE_APPEND,
	NR_DAMAGES,
};

/* Returns false if the stream cannot be damaged in this way. */
static bool damage(struct made *bad, const struct made *made,
		   enum damage kind, struct plan *plan)
{
	unsigned int i, one, other;

	if (kind == DAMAGE_BYTE || kind == DAMAGE_CUT || kind == DAMAGE_APPEND) {
		size_t at = take(plan, 2) % made->len;
		u8 with = take(plan, 1);

		memcpy(bad->bytes, made->bytes, made->len);
		bad->len = made->len;
		if (kind == DAMAGE_BYTE)
			bad->bytes[at] ^= with ?: 1;
		else if (kind == DAMAGE_CUT)
			bad->len = at;
		else
			bad->bytes[bad->len++] = with;
		return true;
	}

	one = take(plan, 1) % made->records;
	other = take(plan, 1) % made->records;
	if ((kind == DAMAGE_SWAP && one == other) ||
	    (kind == DAMAGE_DROP && one == made->records - 1))
		return false;

	bad->len = made->start[0];
	memcpy(bad->bytes, made->bytes, bad->len);
	for (i = 0; i < made->records; i++) {
		if (kind == DAMAGE_SWAP && (i == one || i == other)) {
			add_record(bad, made, one + other - i);
			continue;
		}
		if (kind == DAMAGE_DROP && i == one)
			continue;
		add_record(bad, made, i);
		if (kind == DAMAGE_REPEAT && i == one)
			add_record(bad, made, i);
	}

	return true;
}

/* Up to the damage, the events must equal those of the undamaged stream. */
static void check_damaged(const struct made *made, const struct events *good,
			  const struct made *bad, const struct events *events,
			  enum damage kind)
{
	unsigned int i, whole = events->nr;
	size_t same = 0;

	while (same < made->len && same < bad->len &&
	       made->bytes[same] == bad->bytes[same])
		same++;
	for (i = 0; i < events->nr && events->event[i].at < same; i++) {
		CHECK(i < good->nr);
		CHECK(events->event[i].what == good->event[i].what);
		CHECK(events->event[i].at == good->event[i].at);
	}
	/* The parser cannot detect a changed byte of data. */
	if (kind == DAMAGE_BYTE)
		return;

	/* The record number or the missing end reveals any other damage. */
	if (kind != DAMAGE_CUT) {
		CHECK(whole);
		CHECK(events->event[--whole].what < 0);
	}
	CHECK(i >= whole);
	for (i = 0; i < whole; i++)
		if (kind != DAMAGE_APPEND &&
		    !(kind == DAMAGE_REPEAT && whole == good->nr))
			CHECK(events->event[i].what != NVVGPU_STREAM_END);
}

static void try_plan(const struct input *input, size_t len)
{
	struct plan plan = { .at = input->bytes, .left = len };
	static struct events events, damaged;
	static struct made made, bad;
	enum damage kind;

	make_stream(&made, &plan);
	feed_all_ways(input, made.bytes, made.len, &events);
	check_round_trip(&made, &events);

	kind = input->fix % NR_DAMAGES;
	if (!damage(&bad, &made, kind, &plan))
		return;
	feed_all_ways(input, bad.bytes, bad.len, &damaged);
	check_damaged(&made, &events, &bad, &damaged, kind);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	for (record = records; record < records + 2; record++) {
		record->data = malloc(NVVGPU_MIG_DATA_MAX);
		CHECK(record->data);
		ASAN_POISON_MEMORY_REGION(record->data, NVVGPU_MIG_DATA_MAX);
	}
	record = records;
	own.type = cpu_to_le32(1145);
	memcpy(own.backend, "fuzz", 4);
	own.fb_bytes = cpu_to_le64(1ULL << 30);
	own.bar_bytes[0] = cpu_to_le64(1 << 24);
	own.bar_bytes[2] = cpu_to_le64(1 << 16);
	own.backend_version = cpu_to_le32(3);
	nvvgpu_stream_header(&own);

	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t len)
{
	const struct input *input = (const void *)bytes;

	if (len < sizeof(*input) || len - sizeof(*input) > INPUT_MAX)
		return 0;
	len -= sizeof(*input);
	if (input->mode & MODE_PLAN)
		try_plan(input, len);
	else
		try_stream(input, len);

	return 0;
}
