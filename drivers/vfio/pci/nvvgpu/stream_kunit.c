// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the migration stream: a stream is received as it was sent, and
 * a malformed one is refused.
 */
#include <kunit/test.h>
#include <linux/errno.h>
#include <linux/string.h>

#include "stream.h"

/* Room for a header and records, except for the largest record */
#define TEST_LEN	1024
#define TEST_RECORDS	4

struct test_stream {
	struct nvvgpu_mig_header own;
	struct nvvgpu_stream stream;
	u8 bytes[TEST_LEN];
	size_t len;
	unsigned int nr;
	size_t record[TEST_RECORDS + 1];	/* where each begins */
	struct nvvgpu_record received;

	unsigned int states;
	bool end;
	size_t taken;
};

static int test_init(struct kunit *test)
{
	struct test_stream *ts;

	ts = kunit_kzalloc(test, sizeof(*ts), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ts);
	ts->received.data = kunit_kzalloc(test, NVVGPU_MIG_DATA_MAX, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ts->received.data);
	ts->own.type = cpu_to_le32(1145);
	strscpy(ts->own.backend, "kunit");
	ts->own.fb_bytes = cpu_to_le64(1 << 30);
	ts->own.bar_bytes[0] = cpu_to_le64(1 << 24);
	ts->own.backend_version = cpu_to_le32(3);
	nvvgpu_stream_header(&ts->own);
	test->priv = ts;

	return 0;
}

static void test_send(struct test_stream *ts, const void *bytes, size_t len)
{
	memcpy(ts->bytes + ts->len, bytes, len);
	ts->len += len;
}

static void test_send_header(struct test_stream *ts,
			     const struct nvvgpu_mig_header *header)
{
	ts->len = 0;
	ts->nr = 0;
	test_send(ts, header, sizeof(*header));
}

static void test_send_record(struct test_stream *ts, u32 type,
			     const void *payload, u32 len)
{
	struct nvvgpu_record record;

	nvvgpu_stream_head(&record, type, ts->nr, len);
	ts->record[ts->nr++] = ts->len;
	test_send(ts, &record.head, sizeof(record.head));
	test_send(ts, payload, len);
	ts->record[ts->nr] = ts->len;
}

static void test_send_state(struct test_stream *ts, u64 offset, u64 span,
			    const char *data)
{
	struct {
		struct nvvgpu_mig_state state;
		char data[32];
	} payload = {
		.state.kind = cpu_to_le32(7),
		.state.offset = cpu_to_le64(offset),
		.state.span = cpu_to_le64(span),
	};

	strscpy(payload.data, data);
	test_send_record(ts, NVVGPU_MIG_STATE, &payload,
			 sizeof(payload.state) + strlen(data));
}

/* A header, two state records with an optional record between them, an end */
static void test_send_all(struct test_stream *ts)
{
	test_send_header(ts, &ts->own);
	test_send_state(ts, 0, 10, "first");
	test_send_record(ts, NVVGPU_MIG_OPTIONAL | 77, "skip me", 7);
	test_send_state(ts, U64_MAX, 1, "");
	test_send_record(ts, NVVGPU_MIG_END, NULL, 0);
}

/* Receive like data.c: 0, or the errno of the refusal */
static int test_write(struct test_stream *ts, const void *buf, size_t len,
		      size_t slice)
{
	size_t n;

	for (; len; buf += n, len -= n, ts->taken += n) {
		void *room = nvvgpu_stream_room(&ts->stream, &n);
		int ret;

		n = min3(n, slice, len);
		memcpy(room, buf, n);
		ret = nvvgpu_stream_advance(&ts->stream, n);
		if (ret < 0)
			return ret;
		ts->states += ret == NVVGPU_STREAM_STATE;
		ts->end |= ret == NVVGPU_STREAM_END;
	}

	return 0;
}

static int test_receive(struct test_stream *ts, size_t slice)
{
	ts->states = 0;
	ts->end = false;
	ts->taken = 0;
	nvvgpu_stream_init(&ts->stream, &ts->own, 2, &ts->received);

	return test_write(ts, ts->bytes, ts->len, slice);
}

static void stream_comes_out_whole(struct kunit *test)
{
	struct test_stream *ts = test->priv;
	size_t slice;

	test_send_all(ts);
	for (slice = 1; slice <= ts->len; slice++) {
		KUNIT_EXPECT_EQ(test, test_receive(ts, slice), 0);
		KUNIT_EXPECT_EQ(test, ts->states, 2);
		KUNIT_EXPECT_TRUE(test, ts->end);
		KUNIT_EXPECT_NULL(test, ts->stream.why);
	}
}

static void stream_records_are_as_sent(struct kunit *test)
{
	struct test_stream *ts = test->priv;
	const struct nvvgpu_mig_state *state = &ts->received.state;

	test_send_header(ts, &ts->own);
	test_send_state(ts, 0x123456789a, 0x1000, "some data");
	KUNIT_ASSERT_EQ(test, test_receive(ts, TEST_LEN), 0);
	KUNIT_ASSERT_EQ(test, ts->states, 1);

	KUNIT_EXPECT_EQ(test, le32_to_cpu(state->kind), 7);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(state->offset), 0x123456789a);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(state->span), 0x1000);
	KUNIT_ASSERT_EQ(test, nvvgpu_record_bytes(&ts->received), 9);
	KUNIT_EXPECT_EQ(test, memcmp(ts->received.data, "some data", 9), 0);
}

/* All other bytes are only checked by the back-end. */
static void stream_changed_head_is_refused(struct kunit *test)
{
	struct test_stream *ts = test->priv;
	unsigned int i, bit;
	size_t at;

	test_send_all(ts);
	for (i = 0; i < ts->nr; i++) {
		for (bit = 0; bit < 8; bit++) {
			at = ts->record[i] +
			     offsetof(struct nvvgpu_mig_record, number) + bit;
			ts->bytes[at] ^= 1 << bit;
			KUNIT_EXPECT_EQ_MSG(test, test_receive(ts, TEST_LEN),
					    -EBADMSG, "byte %zu", at);
			KUNIT_EXPECT_FALSE(test, ts->end);
			KUNIT_EXPECT_NOT_NULL(test, ts->stream.why);
			/* Neither the changed record nor a later one was used. */
			KUNIT_EXPECT_EQ_MSG(test, ts->states,
					    (at >= ts->record[1]) +
					    (at >= ts->record[3]),
					    "byte %zu", at);
			ts->bytes[at] ^= 1 << bit;
		}
	}
	KUNIT_EXPECT_EQ(test, test_receive(ts, TEST_LEN), 0);
}

static void stream_cut_off_has_no_end(struct kunit *test)
{
	struct test_stream *ts = test->priv;

	test_send_all(ts);
	while (ts->len--) {
		KUNIT_EXPECT_EQ(test, test_receive(ts, TEST_LEN), 0);
		KUNIT_EXPECT_FALSE(test, ts->end);
	}
}

static void stream_records_stay_in_order(struct kunit *test)
{
	struct test_stream *ts = test->priv;
	u8 first[sizeof(struct nvvgpu_mig_record) + 1];
	size_t len;

	/* exchanged: records of the same length */
	test_send_header(ts, &ts->own);
	test_send_record(ts, NVVGPU_MIG_OPTIONAL, "A", 1);
	test_send_record(ts, NVVGPU_MIG_OPTIONAL, "B", 1);
	test_send_record(ts, NVVGPU_MIG_END, NULL, 0);
	KUNIT_EXPECT_EQ(test, test_receive(ts, TEST_LEN), 0);
	memcpy(first, ts->bytes + ts->record[0], sizeof(first));
	memcpy(ts->bytes + ts->record[0], ts->bytes + ts->record[1],
	       sizeof(first));
	memcpy(ts->bytes + ts->record[1], first, sizeof(first));
	KUNIT_EXPECT_EQ(test, test_receive(ts, TEST_LEN), -EBADMSG);
	KUNIT_EXPECT_EQ(test, ts->taken, ts->record[0]);

	/* repeated */
	memcpy(ts->bytes + ts->record[0], first, sizeof(first));
	KUNIT_EXPECT_EQ(test, test_receive(ts, TEST_LEN), -EBADMSG);
	KUNIT_EXPECT_EQ(test, ts->taken, ts->record[1]);

	/* lost */
	test_send_all(ts);
	len = ts->len - ts->record[2];
	memmove(ts->bytes + ts->record[1], ts->bytes + ts->record[2], len);
	ts->len = ts->record[1] + len;
	KUNIT_EXPECT_EQ(test, test_receive(ts, TEST_LEN), -EBADMSG);
	KUNIT_EXPECT_EQ(test, ts->states, 1);
}

static void stream_nothing_after_the_end(struct kunit *test)
{
	struct test_stream *ts = test->priv;
	size_t room;

	test_send_all(ts);
	KUNIT_ASSERT_EQ(test, test_receive(ts, TEST_LEN), 0);
	nvvgpu_stream_room(&ts->stream, &room);
	KUNIT_EXPECT_EQ(test, room, 0);
	KUNIT_EXPECT_EQ(test, test_write(ts, "x", 1, 1), -EINVAL);
}

static void stream_refusal_is_final(struct kunit *test)
{
	struct test_stream *ts = test->priv;
	size_t room;

	KUNIT_ASSERT_EQ(test, test_receive(ts, 1), 0);
	KUNIT_ASSERT_EQ(test, test_write(ts, "x", 1, 1), -EINVAL);
	nvvgpu_stream_room(&ts->stream, &room);
	KUNIT_EXPECT_EQ(test, room, 0);
	KUNIT_EXPECT_EQ(test, nvvgpu_stream_advance(&ts->stream, 0), -EINVAL);
	KUNIT_EXPECT_STREQ(test, ts->stream.why, "bad magic");
}

#define TEST_FIELD(field, ret) \
	{ offsetof(struct nvvgpu_mig_header, field), ret, #field }

/* Refused at the first byte that differs */
static void stream_for_somebody_else(struct kunit *test)
{
	static const struct {
		size_t at;
		int ret;
		const char *name;
	} fields[] = {
		TEST_FIELD(magic, -EINVAL),
		TEST_FIELD(magic[NVVGPU_MIG_MAGIC_LEN - 1], -EINVAL),
		TEST_FIELD(major, -EPROTONOSUPPORT),
		TEST_FIELD(type, -EINVAL),
		TEST_FIELD(backend, -EINVAL),
		TEST_FIELD(backend[NVVGPU_NAME_LEN - 1], -EINVAL),
		TEST_FIELD(fb_bytes, -EINVAL),
		TEST_FIELD(bar_bytes[0], -EINVAL),
		TEST_FIELD(bar_bytes[NVVGPU_MAX_BARS - 1], -EINVAL),
		TEST_FIELD(reserved, -EINVAL),
	};
	struct test_stream *ts = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		test_send_header(ts, &ts->own);
		ts->bytes[fields[i].at] ^= 0x40;
		KUNIT_EXPECT_EQ_MSG(test, test_receive(ts, 1), fields[i].ret,
				    "%s", fields[i].name);
		KUNIT_EXPECT_EQ_MSG(test, ts->taken, fields[i].at, "%s",
				    fields[i].name);
	}
}

static void stream_versions(struct kunit *test)
{
	struct test_stream *ts = test->priv;
	struct nvvgpu_mig_header header = ts->own;

	/* From the oldest to this side's own */
	header.backend_version = cpu_to_le32(2);
	test_send_header(ts, &header);
	KUNIT_EXPECT_EQ(test, test_receive(ts, TEST_LEN), 0);

	header.backend_version = cpu_to_le32(4);
	test_send_header(ts, &header);
	KUNIT_EXPECT_EQ(test, test_receive(ts, TEST_LEN), -EPROTONOSUPPORT);

	header.backend_version = cpu_to_le32(1);
	test_send_header(ts, &header);
	KUNIT_EXPECT_EQ(test, test_receive(ts, TEST_LEN), -EPROTONOSUPPORT);
}

static void stream_unknown_records(struct kunit *test)
{
	struct test_stream *ts = test->priv;

	test_send_header(ts, &ts->own);
	test_send_record(ts, NVVGPU_MIG_OPTIONAL | NVVGPU_MIG_STATE, "x", 1);
	test_send_record(ts, U32_MAX, NULL, 0);
	KUNIT_EXPECT_EQ(test, test_receive(ts, TEST_LEN), 0);
	KUNIT_EXPECT_EQ(test, ts->states, 0);

	test_send_record(ts, NVVGPU_MIG_END + 1, NULL, 0);
	KUNIT_EXPECT_EQ(test, test_receive(ts, 1), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, ts->taken, ts->record[2] +
			offsetofend(struct nvvgpu_mig_record, type) - 1);
}

/* Receive the head of a record of this type and length. */
static int test_head(struct test_stream *ts, u32 type, u32 len)
{
	struct nvvgpu_mig_record record = {
		.type = cpu_to_le32(type),
		.length = cpu_to_le32(len),
	};

	test_send_header(ts, &ts->own);
	test_send(ts, &record, offsetofend(typeof(record), length));

	return test_receive(ts, TEST_LEN) ?:
	       test_write(ts, &record.number, 1, 1);
}

static void stream_sizes_are_limited(struct kunit *test)
{
	static const struct {
		u32 type, least, most;
	} sizes[] = {
		{ NVVGPU_MIG_STATE, sizeof(struct nvvgpu_mig_state),
		  sizeof(struct nvvgpu_mig_state) + NVVGPU_MIG_DATA_MAX },
		{ NVVGPU_MIG_OPTIONAL, 0, NVVGPU_MIG_LENGTH_MAX },
		{ NVVGPU_MIG_END, 0, 0 },
	};
	struct test_stream *ts = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		u32 type = sizes[i].type;

		KUNIT_EXPECT_EQ(test, test_head(ts, type, sizes[i].least), 0);
		KUNIT_EXPECT_EQ(test, test_head(ts, type, sizes[i].most), 0);
		KUNIT_EXPECT_EQ(test, test_head(ts, type, sizes[i].most + 1),
				-EMSGSIZE);
		KUNIT_EXPECT_EQ(test, test_head(ts, type, U32_MAX), -EMSGSIZE);
		if (sizes[i].least)
			KUNIT_EXPECT_EQ(test, test_head(ts, type,
							sizes[i].least - 1),
					-EINVAL);
	}
}

static void stream_longest_record(struct kunit *test)
{
	struct test_stream *ts = test->priv;
	u32 size = sizeof(struct nvvgpu_mig_state) + NVVGPU_MIG_DATA_MAX;
	struct nvvgpu_mig_state *state;
	struct nvvgpu_record record;
	u8 *payload;

	payload = kunit_kzalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, payload);
	state = (void *)payload;
	state->span = cpu_to_le64(NVVGPU_MIG_DATA_MAX);
	payload[size - 1] = 0xa5;
	nvvgpu_stream_head(&record, NVVGPU_MIG_STATE, 0, size);

	test_send_header(ts, &ts->own);
	test_send(ts, &record.head, sizeof(record.head));
	KUNIT_ASSERT_EQ(test, test_receive(ts, TEST_LEN), 0);
	KUNIT_ASSERT_EQ(test, test_write(ts, payload, size - 1, size), 0);
	KUNIT_EXPECT_EQ(test, ts->states, 0);
	KUNIT_ASSERT_EQ(test, test_write(ts, payload + size - 1, 1, 1), 0);
	KUNIT_EXPECT_EQ(test, ts->states, 1);
	KUNIT_EXPECT_EQ(test, nvvgpu_record_bytes(&ts->received),
			NVVGPU_MIG_DATA_MAX);
	KUNIT_EXPECT_EQ(test, memcmp(ts->received.data, state + 1,
				     NVVGPU_MIG_DATA_MAX), 0);
}

/* Refused before any of the data is received */
static void stream_invalid_state_is_refused(struct kunit *test)
{
	static const struct {
		u64 offset, span;
		const char *data;
		int ret;
	} states[] = {
		{ 0, 1, "", 0 },
		{ 0, U64_MAX, "", 0 },
		{ U64_MAX, 1, "", 0 },
		{ U64_MAX - 9, 10, "data", 0 },
		{ 0, 0, "", -EINVAL },			/* empty */
		{ 0, 3, "data", -EINVAL },		/* less than the data */
		{ U64_MAX, 2, "", -EINVAL },		/* wraps */
		{ U64_MAX - 9, 11, "data", -EINVAL },
		{ 2, U64_MAX, "", -EINVAL },
	};
	struct test_stream *ts = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		test_send_header(ts, &ts->own);
		test_send_state(ts, states[i].offset, states[i].span,
				states[i].data);
		KUNIT_EXPECT_EQ_MSG(test, test_receive(ts, 1), states[i].ret,
				    "state %u", i);
		KUNIT_EXPECT_EQ(test, ts->states, !states[i].ret);
		if (states[i].ret)
			KUNIT_EXPECT_EQ(test, ts->taken, ts->record[0] +
					sizeof(struct nvvgpu_mig_record) +
					sizeof(struct nvvgpu_mig_state) - 1);
	}
}

static struct kunit_case stream_cases[] = {
	KUNIT_CASE(stream_comes_out_whole),
	KUNIT_CASE(stream_records_are_as_sent),
	KUNIT_CASE(stream_changed_head_is_refused),
	KUNIT_CASE(stream_cut_off_has_no_end),
	KUNIT_CASE(stream_records_stay_in_order),
	KUNIT_CASE(stream_nothing_after_the_end),
	KUNIT_CASE(stream_refusal_is_final),
	KUNIT_CASE(stream_for_somebody_else),
	KUNIT_CASE(stream_versions),
	KUNIT_CASE(stream_unknown_records),
	KUNIT_CASE(stream_sizes_are_limited),
	KUNIT_CASE(stream_longest_record),
	KUNIT_CASE(stream_invalid_state_is_refused),
	{ }
};

static struct kunit_suite stream_suite = {
	.name = "nvvgpu-stream",
	.init = test_init,
	.test_cases = stream_cases,
};

kunit_test_suites(&stream_suite);
