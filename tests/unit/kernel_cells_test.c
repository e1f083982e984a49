/* Messages of a kernel's iopub channel: signed, forged, broken, and what they tell of cells. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "collector/kernel_cells.h"

#define KEY "a0436f6c-1916-498b-8eb9-e81ab9368e84"
#define NOW_NS (5000 * 1000000000ull)
/* 2026-11-21T06:55:00Z */
#define WALL_NS (1795244100ull * 1000000000ull)

struct told {
	struct ev_head head;
	char text[64];
	int32_t count;
	uint32_t failed, cut;
};

struct bench {
	struct kernel_cells *cells;
	struct told told[8];
	size_t count;
	int answer;
};

static int sink(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct bench *b = ctx;
	struct told *told = &b->told[b->count++];
	const struct ev_cell_begin *begin = (const void *)record;
	const struct ev_cell_end *end = (const void *)record;

	assert_true(b->count <= 8);
	assert_int_equal(pid, 7);
	assert_int_equal(record_check(record, record->size_words * 8ull), 0);
	told->head = *record;
	if (record->kind == EV_cell_begin) {
		told->count = begin->execution_count;
		told->cut = begin->cut;
		snprintf(told->text, sizeof(told->text), "%.*s", (int)begin->source_len,
			(const char *)(begin + 1));
	} else {
		told->count = end->execution_count;
		told->failed = end->failed;
		snprintf(told->text, sizeof(told->text), "%.*s", (int)end->error_len,
			(const char *)(end + 1));
	}
	return b->answer;
}

static struct bench bench_of(const char *key)
{
	return (struct bench){.cells = kernel_cells_new(7, 9, key)};
}

static void sign(const char *const *parts, char hex[65])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int n;
	char all[4096] = "";

	for (unsigned int i = 0; i < 4; i++)
		strcat(all, parts[i]);
	assert_non_null(HMAC(EVP_sha256(), KEY, (int)strlen(KEY), (unsigned char *)all, strlen(all),
		digest, &n));
	for (unsigned int i = 0; i < 32; i++)
		sprintf(hex + 2 * i, "%02x", digest[i]);
}

/* header, parent, content; signature NULL: the right one */
static int take(struct bench *b, const char *header, const char *parent, const char *content,
	const char *signature)
{
	const char *parts[] = {header, parent, "{}", content};
	struct message_frame frames[7] = {{"kernel.topic", 12}, {"<IDS|MSG>", 9}};
	char hex[65];

	if (!signature) {
		sign(parts, hex);
		signature = hex;
	}
	frames[2] = (struct message_frame){signature, strlen(signature)};
	for (unsigned int i = 0; i < 4; i++)
		frames[3 + i] = (struct message_frame){parts[i], strlen(parts[i])};
	return kernel_cells_take(b->cells, frames, 7, NOW_NS, WALL_NS, sink, b);
}

#define HEADER(type) "{\"msg_type\": \"" type "\", \"date\": \"2026-11-21T06:54:59.750000Z\"}"
#define MADE_NS (NOW_NS - 250000000) /* what such a message says of itself */
#define SEEN_NS (MADE_NS - 1)        /* a cell from before us, before such a message was made */
#define PARENT "{\"msg_id\": \"m1\", \"msg_type\": \"execute_request\"}"
#define INPUT "{\"code\": \"await x()\", \"execution_count\": 4}"
#define BUSY "{\"execution_state\": \"busy\"}"
#define IDLE "{\"execution_state\": \"idle\"}"

TEST(cell_is_told_with_its_source_number_and_error)
{
	struct bench b = bench_of(KEY);

	assert_int_equal(take(&b, HEADER("status"), PARENT, BUSY, NULL), 0);
	assert_int_equal(take(&b, HEADER("execute_input"), PARENT, INPUT, NULL), 0);
	assert_int_equal(take(&b, HEADER("stream"), PARENT, "{\"text\": \"out\"}", NULL), 0);
	assert_int_equal(take(&b, HEADER("error"), PARENT, "{\"ename\": \"KeyError\"}", NULL), 0);
	assert_int_equal(take(&b, HEADER("status"), PARENT, IDLE, NULL), 0);
	assert_int_equal(b.count, 2);
	assert_int_equal(b.told[0].head.kind, EV_cell_begin);
	assert_int_equal(b.told[0].head.tid, 9);
	assert_int_equal(b.told[0].head.time_ns, MADE_NS);
	assert_string_equal(b.told[0].text, "await x()");
	assert_int_equal(b.told[0].count, 4);
	assert_int_equal(b.told[1].head.kind, EV_cell_end);
	assert_int_equal(b.told[1].count, 4);
	assert_int_equal(b.told[1].failed, 1);
	assert_string_equal(b.told[1].text, "KeyError");
	kernel_cells_free(b.cells);
}

TEST(forged_message_is_counted_and_not_looked_at)
{
	struct bench b = bench_of(KEY);
	char wrong[65];

	memset(wrong, '0', 64);
	wrong[64] = '\0';
	take(&b, HEADER("execute_input"), PARENT, INPUT, wrong);
	take(&b, HEADER("execute_input"), PARENT, INPUT, "");
	take(&b, HEADER("execute_input"), PARENT, INPUT, "not hexadecimal");
	assert_int_equal(b.count, 0);
	assert_int_equal(kernel_cells_counts(b.cells).forged, 3);
	kernel_cells_free(b.cells);

	b = bench_of(""); /* a kernel without a key signs nothing */
	take(&b, HEADER("execute_input"), PARENT, INPUT, "");
	assert_int_equal(b.count, 1);
	kernel_cells_free(b.cells);
}

TEST(broken_messages_are_counted)
{
	struct bench b = bench_of(KEY);
	const struct message_frame none[] = {{"<IDS|MSG>", 9}, {"", 0}};

	kernel_cells_take(b.cells, none, 2, NOW_NS, WALL_NS, sink, &b);
	kernel_cells_take(b.cells, none, 0, NOW_NS, WALL_NS, sink, &b);
	take(&b, "[]", PARENT, INPUT, NULL);
	take(&b, "{", PARENT, INPUT, NULL);
	take(&b, HEADER("execute_input"), "{", INPUT, NULL);
	take(&b, HEADER("execute_input"), PARENT, "{\"code\": 1}", NULL);
	take(&b, HEADER("execute_input"), PARENT,
		"{\"code\": \"\", \"execution_count\": 99999999999}", NULL);
	assert_int_equal(b.count, 0);
	assert_int_equal(kernel_cells_counts(b.cells).malformed, 7);
	kernel_cells_free(b.cells);
}

TEST(cells_that_cannot_be_told_are_missed)
{
	struct bench b = bench_of(KEY);

	/* its beginning was before us; a subshell's; twice the same request */
	take(&b, HEADER("status"), PARENT, IDLE, NULL);
	take(&b, HEADER("execute_input"), "{\"msg_id\": \"m2\", \"subshell_id\": \"s\"}", INPUT,
		NULL);
	take(&b, HEADER("execute_input"), PARENT, INPUT, NULL);
	take(&b, HEADER("execute_input"), PARENT, INPUT, NULL);
	assert_int_equal(b.count, 1);
	assert_int_equal(kernel_cells_counts(b.cells).missed, 3);
	/* a silent request has no input; it is no cell, whatever is asked while it runs */
	take(&b, HEADER("status"), "{\"msg_id\": \"m4\", \"msg_type\": \"execute_request\"}", BUSY,
		NULL);
	take(&b, HEADER("status"), "{\"msg_id\": \"m5\", \"msg_type\": \"debug_request\"}", BUSY,
		NULL);
	take(&b, HEADER("status"), "{\"msg_id\": \"m4\", \"msg_type\": \"execute_request\"}", IDLE,
		NULL);
	/* other requests end without a cell */
	take(&b, HEADER("status"), "{\"msg_id\": \"m3\", \"msg_type\": \"complete_request\"}", IDLE,
		NULL);
	assert_int_equal(kernel_cells_counts(b.cells).missed, 3);
	kernel_cells_free(b.cells);
}

TEST(cell_from_before_us_ends_with_the_first_request_that_is_done)
{
	struct bench b = bench_of(KEY);

	assert_int_equal(
		kernel_cells_running(b.cells, 12, "hangs()", SEEN_NS, NOW_NS - 5, sink, &b), 0);
	/* what front ends ask meanwhile ends no cell */
	take(&b, HEADER("status"), "{\"msg_id\": \"m3\", \"msg_type\": \"kernel_info_request\"}",
		IDLE, NULL);
	assert_int_equal(b.count, 1);
	take(&b, HEADER("error"), PARENT, "{\"ename\": \"KeyboardInterrupt\"}", NULL);
	take(&b, HEADER("status"), PARENT, IDLE, NULL);
	assert_int_equal(b.count, 2);
	assert_string_equal(b.told[0].text, "hangs()");
	assert_int_equal(b.told[0].head.time_ns, NOW_NS - 5);
	assert_int_equal(b.told[1].count, 12);
	assert_string_equal(b.told[1].text, "KeyboardInterrupt");
	assert_true(b.told[1].head.time_ns >= b.told[0].head.time_ns);
	take(&b, HEADER("status"), PARENT, IDLE, NULL);
	assert_int_equal(b.count, 2);
	assert_int_equal(kernel_cells_counts(b.cells).missed, 1);
	kernel_cells_free(b.cells);
}

TEST(cell_from_before_us_has_ended_when_another_begins)
{
	struct bench b = bench_of(KEY);

	assert_int_equal(
		kernel_cells_running(b.cells, 12, "short()", SEEN_NS, NOW_NS - 5, sink, &b), 0);
	take(&b, HEADER("status"), PARENT, BUSY, NULL);
	take(&b, HEADER("execute_input"), PARENT, INPUT, NULL);
	take(&b, HEADER("status"), PARENT, IDLE, NULL);
	assert_int_equal(b.count, 4);
	assert_int_equal(b.told[1].head.kind, EV_cell_end);
	assert_int_equal(b.told[1].count, 12);
	assert_int_equal(b.told[2].count, 4);
	assert_int_equal(b.told[3].count, 4);
	kernel_cells_free(b.cells);
}

/* Its messages were on their way when it was seen to run: one cell, however many of them come. */
static void cell_begins_once(uint64_t seen_ns, unsigned int late)
{
	struct bench b = bench_of(KEY);

	assert_int_equal(
		kernel_cells_running(b.cells, 4, "await x()", seen_ns, NOW_NS - 5, sink, &b), 0);
	if (late > 2) /* the one before it has no other end */
		take(&b, HEADER("status"),
			"{\"msg_id\": \"m0\", \"msg_type\": \"execute_request\"}", IDLE, NULL);
	if (late > 1)
		take(&b, HEADER("status"), PARENT, BUSY, NULL);
	take(&b, HEADER("execute_input"), PARENT, INPUT, NULL);
	assert_int_equal(b.count, 1);
	take(&b, HEADER("status"), PARENT, IDLE, NULL);
	take(&b, HEADER("status"), "{\"msg_id\": \"m2\", \"msg_type\": \"execute_request\"}", BUSY,
		NULL);
	assert_int_equal(b.count, 2);
	assert_int_equal(b.told[1].head.kind, EV_cell_end);
	assert_int_equal(b.told[1].count, 4);
	assert_int_equal(kernel_cells_counts(b.cells).cells, 1);
	assert_int_equal(kernel_cells_counts(b.cells).missed, late > 2);
	kernel_cells_free(b.cells);
}

TEST(cell_whose_messages_come_late_begins_once)
{
	cell_begins_once(SEEN_NS, 1); /* the subscription came between the two */
	cell_begins_once(MADE_NS + 1, 1);
	cell_begins_once(MADE_NS + 1, 2);
	cell_begins_once(MADE_NS + 1, 3);
}

TEST(cell_that_a_message_told_begins_once)
{
	struct bench b = bench_of(KEY);

	take(&b, HEADER("execute_input"), PARENT, INPUT, NULL);
	assert_int_equal(kernel_cells_running(b.cells, 4, "await x()", NOW_NS, 0, sink, &b), 0);
	assert_int_equal(b.count, 1);
	take(&b, HEADER("status"), PARENT, IDLE, NULL);
	assert_int_equal(kernel_cells_running(b.cells, 4, "await x()", NOW_NS, 0, sink, &b), 0);
	assert_int_equal(b.count, 2);
	kernel_cells_free(b.cells);
}

TEST(date_that_cannot_be_true_is_not_believed)
{
	static const char *const dates[] = {"2026-11-21T06:55:01Z", "2026-11-21T06:40:00Z",
		"1969-01-01T00:00:00Z", "2026-11-21T06:54:59+02:00", "soon", ""};
	struct bench b = bench_of(KEY);
	char header[128], parent[64];

	for (unsigned int i = 0; i < 6; i++) {
		snprintf(header, sizeof(header),
			"{\"msg_type\": \"execute_input\", \"date\": \"%s\"}", dates[i]);
		snprintf(parent, sizeof(parent), "{\"msg_id\": \"p%u\"}", i);
		take(&b, header, parent, INPUT, NULL);
		assert_int_equal(b.told[i].head.time_ns, NOW_NS);
	}
	kernel_cells_free(b.cells);
}

TEST(long_source_is_cut_between_characters)
{
	size_t size = 300 << 10;
	char *content = malloc(3 * size + 64), *at = content;
	const char *parts[4];
	struct message_frame frames[6] = {{"<IDS|MSG>", 9}};
	struct bench b = bench_of("");

	at += sprintf(at, "{\"execution_count\": 1, \"code\": \"x");
	for (size_t i = 0; i < size; i++)
		at += sprintf(at, "\xe2\x82\xac");
	strcpy(at, "\"}");
	parts[0] = HEADER("execute_input");
	parts[1] = PARENT;
	parts[2] = "{}";
	parts[3] = content;
	frames[1] = (struct message_frame){"", 0};
	for (unsigned int i = 0; i < 4; i++)
		frames[2 + i] = (struct message_frame){parts[i], strlen(parts[i])};
	kernel_cells_take(b.cells, frames, 6, NOW_NS, WALL_NS, sink, &b);
	assert_int_equal(b.count, 1); /* record_check() knows UTF-8 */
	assert_in_range(b.told[0].cut, 3 * size + 1 - (256 << 10), 3 * size + 3 - (256 << 10));
	kernel_cells_free(b.cells);
	free(content);
}

TEST(random_bytes_never_make_a_record)
{
	struct bench b = bench_of(KEY);
	unsigned char bytes[256];
	uint32_t random = FUZZ_SEED;

	for (unsigned int round = 0; round < 5000; round++) {
		struct message_frame frames[8];

		for (unsigned int i = 0; i < sizeof(bytes); i++) {
			random = random * 1664525u + 1013904223u;
			bytes[i] = (unsigned char)(random >> 24);
		}
		for (unsigned int i = 0; i < 8; i++)
			frames[i] = (struct message_frame){bytes + 8 * i, bytes[i] % 64};
		frames[bytes[9] % 3] = (struct message_frame){"<IDS|MSG>", 9};
		assert_int_equal(kernel_cells_take(
					 b.cells, frames, bytes[10] % 9, NOW_NS, WALL_NS, sink, &b),
			0);
	}
	assert_int_equal(b.count, 0);
	kernel_cells_free(b.cells);
}

TEST(sink_that_refuses_stops_it)
{
	struct bench b = bench_of(KEY);

	b.answer = -ENOSPC;
	assert_int_equal(take(&b, HEADER("execute_input"), PARENT, INPUT, NULL), -ENOSPC);
	kernel_cells_free(b.cells);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(cell_is_told_with_its_source_number_and_error),
		RUN(forged_message_is_counted_and_not_looked_at),
		RUN(broken_messages_are_counted),
		RUN(cells_that_cannot_be_told_are_missed),
		RUN(cell_from_before_us_ends_with_the_first_request_that_is_done),
		RUN(cell_from_before_us_has_ended_when_another_begins),
		RUN(cell_whose_messages_come_late_begins_once),
		RUN(cell_that_a_message_told_begins_once),
		RUN(date_that_cannot_be_true_is_not_believed),
		RUN(long_source_is_cut_between_characters),
		RUN(random_bytes_never_make_a_record),
		RUN(sink_that_refuses_stops_it),
	};

	return RUN_TESTS(tests);
}
