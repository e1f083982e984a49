/*
 * Jupyter's messages (jupyter_client's docs/messaging.rst, protocol 5.3 and 5.4) on iopub. See
 * kernel_cells.h. Must not look at a message before its signature holds.
 */
#include "collector/kernel_cells.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "probe/base/cleanup.h"

#define DELIMITER "<IDS|MSG>"
#define DIGEST_BYTES 32u
#define ID_BYTES 64u /* of a message id; longer ones are no key here */
#define UNSEEN "\n"  /* for the id of a request that came before us; no id is that */
#define SOURCE_BYTES_MAX (256u << 10) /* as the agent */
#define ERROR_BYTES_MAX 256u
#define SECOND_NS 1000000000ull
/* A message's own date is believed if it is this young: clocks of containers may be off. */
#define AGE_MAX_NS (10 * SECOND_NS)

enum part { PART_HEADER, PART_PARENT, PART_METADATA, PART_CONTENT, PARTS };

struct open_cell {
	char id[ID_BYTES]; /* of the request that it answers; "": this place is free */
	int32_t execution_count;
	char error[ERROR_BYTES_MAX];
};

struct kernel_cells {
	uint32_t pid, tid;
	char *key;
	struct kernel_cells_counts counts;
	struct open_cell open[KERNEL_CELLS_OPEN_MAX];
	char begun[ID_BYTES]; /* the last request to run code whose beginning was seen */
	uint64_t last_ns;     /* of the last record: order is kept */
	int32_t newest;       /* the number of the cell whose beginning was told last */
	uint64_t seen_ns;     /* when the cell from before us ran */
};

struct kernel_cells *kernel_cells_new(uint32_t pid, uint32_t tid, const char *key)
{
	struct kernel_cells *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->pid = pid;
	k->tid = tid;
	k->key = strdup(key);
	if (!k->key) {
		free(k);
		return NULL;
	}
	return k;
}

void kernel_cells_free(struct kernel_cells *k)
{
	if (!k)
		return;
	OPENSSL_cleanse(k->key, strlen(k->key));
	free(k->key);
	free(k);
}

struct kernel_cells_counts kernel_cells_counts(const struct kernel_cells *k)
{
	return k->counts;
}

/* ---- signatures -------------------------------------------------------------------------- */

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* HMAC-SHA256 over header, parent, metadata and content, in lower-case hexadecimal. */
static bool signature_holds(
	const char *key, const struct message_frame *signature, const struct message_frame *part)
{
	unsigned char told[DIGEST_BYTES], made[EVP_MAX_MD_SIZE];
	cleanup(freep) unsigned char *all = NULL;
	const char *hex = signature->bytes;
	size_t size = 0, at = 0;
	unsigned int n = 0;

	if (!*key)
		return true;
	if (signature->size != 2 * DIGEST_BYTES)
		return false;
	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		int high = nibble(hex[2 * i]), low = nibble(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		told[i] = (unsigned char)(high << 4 | low);
	}
	for (unsigned int i = 0; i < PARTS; i++)
		size += part[i].size;
	all = malloc(size + 1);
	if (!all)
		return false;
	for (unsigned int i = 0; i < PARTS; at += part[i++].size)
		memcpy(all + at, part[i].bytes, part[i].size);
	return HMAC(EVP_sha256(), key, (int)strlen(key), all, size, made, &n) &&
	       n == DIGEST_BYTES && !CRYPTO_memcmp(told, made, DIGEST_BYTES);
}

/* ---- time -------------------------------------------------------------------------------- */

/* "2026-11-21T06:55:00.123456Z" as CLOCK_REALTIME; 0: not a date. */
static uint64_t date_parse(const char *text)
{
	struct tm tm = {0};
	const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	uint64_t ns = 0, unit = SECOND_NS / 10;
	time_t seconds;

	if (!rest)
		return 0;
	if (*rest == '.')
		for (rest++; *rest >= '0' && *rest <= '9' && unit; rest++, unit /= 10)
			ns += (uint64_t)(*rest - '0') * unit;
	if (strcmp(rest, "Z") && strcmp(rest, "+00:00"))
		return 0;
	seconds = timegm(&tm);
	return seconds > 0 ? (uint64_t)seconds * SECOND_NS + ns : 0;
}

/* When it was made, where its date can be true; else when it came. */
static uint64_t message_time(const json_t *header, uint64_t monotonic_ns, uint64_t realtime_ns)
{
	uint64_t made_ns = date_parse(json_string_value(json_object_get(header, "date")));
	uint64_t age_ns = realtime_ns - made_ns;

	if (!made_ns || made_ns > realtime_ns || age_ns > AGE_MAX_NS || age_ns > monotonic_ns)
		return monotonic_ns;
	return monotonic_ns - age_ns;
}

/* ---- records ----------------------------------------------------------------------------- */

/* At most max bytes, and no part of a character. */
static size_t text_cut(const char *text, size_t size, size_t max)
{
	if (size <= max)
		return size;
	while (max && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	return max;
}

static void *record_new(
	const struct kernel_cells *k, uint16_t kind, size_t fixed, size_t tails, uint64_t time_ns)
{
	size_t size = (fixed + tails + 7) & ~(size_t)7;
	struct ev_head *head = calloc(1, size);

	if (head)
		*head = (struct ev_head){time_ns, k->tid, kind, (uint16_t)(size / 8)};
	return head;
}

static int begin_put(struct kernel_cells *k, const char *text, size_t size, int32_t execution_count,
	uint64_t time_ns, record_fn sink, void *ctx)
{
	size_t kept = text_cut(text, size, SOURCE_BYTES_MAX);
	cleanup(freep) struct ev_cell_begin *ev =
		record_new(k, EV_cell_begin, sizeof(*ev), kept, time_ns);

	if (!ev)
		return -ENOMEM;
	ev->execution_count = execution_count;
	ev->cut = (uint32_t)(size - kept);
	ev->source_len = (uint32_t)kept;
	memcpy(ev + 1, text, kept);
	return sink(ctx, k->pid, &ev->head);
}

static int end_put(struct kernel_cells *k, const struct open_cell *cell, uint64_t time_ns,
	record_fn sink, void *ctx)
{
	size_t n = strlen(cell->error);
	cleanup(freep) struct ev_cell_end *ev = record_new(k, EV_cell_end, sizeof(*ev), n, time_ns);

	if (!ev)
		return -ENOMEM;
	ev->execution_count = cell->execution_count;
	ev->failed = n != 0;
	ev->error_len = (uint32_t)n;
	memcpy(ev + 1, cell->error, n);
	return sink(ctx, k->pid, &ev->head);
}

/* ---- messages ---------------------------------------------------------------------------- */

struct message {
	json_t *part[PARTS];
	const char *type, *parent_id;
	uint64_t made_ns, time_ns; /* its own date; in order */
};

static void message_clear(struct message *m)
{
	for (unsigned int i = 0; i < PARTS; i++)
		json_decref(m->part[i]);
}

/* The open cell of a request, or with "" a free place. NULL: none. */
static struct open_cell *cell_find(struct kernel_cells *k, const char *id)
{
	for (unsigned int i = 0; i < KERNEL_CELLS_OPEN_MAX; i++)
		if (!strcmp(k->open[i].id, id))
			return &k->open[i];
	return NULL;
}

static bool runs_code(const struct message *m)
{
	const char *request = json_string_value(json_object_get(m->part[PART_PARENT], "msg_type"));

	return request && !strcmp(request, "execute_request");
}

/* Whether a message answers a request to run code that began before we listened. */
static bool from_before(const struct kernel_cells *k, const struct message *m)
{
	return runs_code(m) && strcmp(k->begun, m->parent_id);
}

/* The same, or the one whose beginning was not seen, if that ran when it was said. */
static struct open_cell *cell_of(struct kernel_cells *k, const struct message *m)
{
	struct open_cell *cell = cell_find(k, m->parent_id);

	return cell || !from_before(k, m) || m->made_ns < k->seen_ns ? cell : cell_find(k, UNSEEN);
}

int kernel_cells_running(struct kernel_cells *k, int32_t execution_count, const char *source,
	uint64_t seen_ns, uint64_t now_ns, record_fn sink, void *ctx)
{
	struct open_cell *cell = cell_find(k, "");

	if (k->counts.cells && k->newest == execution_count)
		return 0;
	if (!cell)
		return -ENOBUFS;
	*cell = (struct open_cell){.id = UNSEEN, .execution_count = execution_count};
	k->counts.cells++;
	k->newest = execution_count;
	k->seen_ns = seen_ns;
	k->last_ns = now_ns > k->last_ns ? now_ns : k->last_ns;
	return begin_put(k, source, strlen(source), execution_count, now_ns, sink, ctx);
}

/* A subshell's cells run in threads of their own, which a message does not name (JEP 91). */
static bool in_subshell(const struct message *m)
{
	const json_t *id = json_object_get(m->part[PART_PARENT], "subshell_id");

	return id && !json_is_null(id);
}

/* Whether it began the cell that is told as from before us: the message was on its way then. */
static bool unseen_is(struct kernel_cells *k, const struct message *m, json_int_t count)
{
	struct open_cell *before = cell_find(k, UNSEEN);

	if (!before || before->execution_count != count)
		return false;
	snprintf(before->id, sizeof(before->id), "%s", m->parent_id);
	return true;
}

static int input_take(struct kernel_cells *k, const struct message *m, record_fn sink, void *ctx)
{
	const json_t *source = json_object_get(m->part[PART_CONTENT], "code");
	json_int_t count =
		json_integer_value(json_object_get(m->part[PART_CONTENT], "execution_count"));
	struct open_cell *cell = cell_find(k, "");

	if (!json_is_string(source) || count < INT32_MIN || count > INT32_MAX) {
		k->counts.malformed++;
		return 0;
	}
	if (!cell || in_subshell(m) || cell_find(k, m->parent_id)) {
		k->counts.missed++;
		return 0;
	}
	if (unseen_is(k, m, count))
		return 0;
	*cell = (struct open_cell){.execution_count = (int32_t)count};
	snprintf(cell->id, sizeof(cell->id), "%s", m->parent_id);
	k->counts.cells++;
	k->newest = cell->execution_count;
	return begin_put(k, json_string_value(source), json_string_length(source), (int32_t)count,
		m->time_ns, sink, ctx);
}

static void error_take(struct kernel_cells *k, const struct message *m)
{
	const char *name = json_string_value(json_object_get(m->part[PART_CONTENT], "ename"));
	struct open_cell *cell = cell_of(k, m);

	if (!cell)
		return;
	name = name && *name ? name : "Exception";
	snprintf(cell->error, sizeof(cell->error), "%.*s",
		(int)text_cut(name, strlen(name), ERROR_BYTES_MAX - 1), name);
}

/* Requests run one after the other: what was running before us has ended when another begins. */
static int busy_take(struct kernel_cells *k, const struct message *m, record_fn sink, void *ctx)
{
	struct open_cell *before = cell_find(k, UNSEEN);
	bool another = from_before(k, m) && !in_subshell(m) && m->made_ns >= k->seen_ns;
	int rc = 0;

	if (runs_code(m)) /* others are answered meanwhile, by the control channel's thread */
		snprintf(k->begun, sizeof(k->begun), "%s", m->parent_id);
	if (before && another) {
		rc = end_put(k, before, m->time_ns, sink, ctx);
		*before = (struct open_cell){.id = ""};
	}
	return rc;
}

static int status_take(struct kernel_cells *k, const struct message *m, record_fn sink, void *ctx)
{
	const char *state =
		json_string_value(json_object_get(m->part[PART_CONTENT], "execution_state"));
	struct open_cell *cell = cell_of(k, m);
	int rc;

	if (state && !strcmp(state, "busy"))
		return busy_take(k, m, sink, ctx);
	if (!state || strcmp(state, "idle"))
		return 0;
	if (!cell) { /* a silent request, which is no cell, or one that was running before us */
		k->counts.missed += from_before(k, m);
		return 0;
	}
	rc = end_put(k, cell, m->time_ns, sink, ctx);
	*cell = (struct open_cell){.id = ""};
	return rc;
}

static int message_take(struct kernel_cells *k, struct message *m, record_fn sink, void *ctx)
{
	k->last_ns = m->made_ns > k->last_ns ? m->made_ns : k->last_ns;
	m->time_ns = k->last_ns;
	if (!strcmp(m->type, "execute_input"))
		return input_take(k, m, sink, ctx);
	if (!strcmp(m->type, "status"))
		return status_take(k, m, sink, ctx);
	if (!strcmp(m->type, "error"))
		error_take(k, m);
	return 0;
}

/* Whether a message of this type is looked at at all: outputs may be large. */
static bool type_matters(const char *type)
{
	return !strcmp(type, "execute_input") || !strcmp(type, "status") || !strcmp(type, "error");
}

static json_t *part_parse(const struct message_frame *frame)
{
	return json_loadb(frame->bytes, frame->size, JSON_ALLOW_NUL, NULL);
}

/* 1: it matters and is whole; 0: it does not matter; -EPROTO. */
static int message_parse(const struct message_frame *part, struct message *m)
{
	m->part[PART_HEADER] = part_parse(&part[PART_HEADER]);
	m->type = json_string_value(json_object_get(m->part[PART_HEADER], "msg_type"));
	if (!m->type)
		return -EPROTO;
	if (!type_matters(m->type))
		return 0;
	m->part[PART_PARENT] = part_parse(&part[PART_PARENT]);
	m->part[PART_CONTENT] = part_parse(&part[PART_CONTENT]);
	m->parent_id = json_string_value(json_object_get(m->part[PART_PARENT], "msg_id"));
	if (!m->part[PART_PARENT] || !m->part[PART_CONTENT])
		return -EPROTO;
	return m->parent_id && *m->parent_id && strlen(m->parent_id) < ID_BYTES;
}

int kernel_cells_take(struct kernel_cells *k, const struct message_frame *frame, size_t count,
	uint64_t monotonic_ns, uint64_t realtime_ns, record_fn sink, void *ctx)
{
	cleanup(message_clear) struct message m = {0};
	size_t at = 0;
	int rc;

	while (at < count && (frame[at].size != strlen(DELIMITER) ||
				     memcmp(frame[at].bytes, DELIMITER, frame[at].size)))
		at++;
	if (count - at < 2 + PARTS) {
		k->counts.malformed++;
		return 0;
	}
	if (!signature_holds(k->key, &frame[at + 1], &frame[at + 2])) {
		k->counts.forged++;
		return 0;
	}
	rc = message_parse(&frame[at + 2], &m);
	k->counts.malformed += rc < 0;
	if (rc <= 0)
		return 0;
	m.made_ns = message_time(m.part[PART_HEADER], monotonic_ns, realtime_ns);
	return message_take(k, &m, sink, ctx);
}
