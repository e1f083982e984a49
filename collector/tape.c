/*
 * Tapes: records as lines of text and back. Called by the tape tool, by tests and by whoever dumps
 * a live trace. What a kind's fields are comes from record.h alone; nothing here knows a kind by
 * name.
 */
#include "collector/tape.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "probe/base/cleanup.h"

/* ---- writing --------------------------------------------------------------------------------- */

/* Length of the valid UTF-8 sequence at s (RFC 3629: no overlong form, no surrogate); 0: none. */
static size_t utf8_len(const unsigned char *s, const unsigned char *end, uint32_t *ret_point)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc0 ? 2 : 0;
	uint32_t point = len == 1 ? s[0] : s[0] & (0x7fu >> len);

	if (!len || s[0] >= 0xf8 || (size_t)(end - s) < len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (s[i] & 0x3f);
	}
	if (point < smallest[len] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	*ret_point = point;
	return len;
}

/* A byte that is no UTF-8 is written as Python's surrogateescape reads it, \udc80 to \udcff. */
static void write_text(FILE *file, const unsigned char *s, size_t n)
{
	const unsigned char *end = s + n;
	uint32_t point = 0;

	putc('"', file);
	while (s < end) {
		size_t len = utf8_len(s, end, &point);

		if (!len) {
			fprintf(file, "\\udc%02x", *s++);
			continue;
		}
		if (point == '"' || point == '\\')
			fprintf(file, "\\%c", (char)point);
		else if (point == '\n')
			fputs("\\n", file);
		else if (point < 0x20 || (point >= 0x7f && point < 0xa0))
			fprintf(file, "\\u%04x", point);
		else
			fwrite(s, 1, len, file);
		s += len;
	}
	putc('"', file);
}

static void write_bytes(FILE *file, const unsigned char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(file, "%02x", s[i]);
}

static void write_pairs(FILE *file, const unsigned char *s, size_t n)
{
	for (size_t i = 0; i + 8 <= n; i += 8) {
		uint32_t pair[2];

		memcpy(pair, s + i, sizeof(pair));
		fprintf(file, "%s%" PRIu32 ":%" PRIu32, i ? "," : "", pair[0], pair[1]);
	}
}

static void write_tail(FILE *file, const struct field *f, const void *bytes, size_t n)
{
	if (!n)
		return;
	fprintf(file, " %s=", f->name);
	if (f->type == FIELD_TEXT)
		write_text(file, bytes, n);
	else if (f->type == FIELD_BYTES)
		write_bytes(file, bytes, n);
	else
		write_pairs(file, bytes, n);
}

/* Numbers that are 0 are left out, like empty tails. */
static void write_number(FILE *file, const struct field *f, const void *record)
{
	const char *at = (const char *)record + f->off;
	union {
		uint64_t u64;
		int64_t s64;
		uint32_t u32;
		int32_t s32;
	} v = {0};
	size_t size = f->type == FIELD_u64 || f->type == FIELD_s64 ? 8 : 4;

	memcpy(&v, at, size);
	if (f->type == FIELD_s32)
		v.s64 = v.s32;
	if (!v.u64)
		return;
	if (f->type == FIELD_s32 || f->type == FIELD_s64)
		fprintf(file, " %s=%" PRId64, f->name, v.s64);
	else
		fprintf(file, " %s=%" PRIu64, f->name, v.u64);
}

int tape_write(struct tape_writer *w, uint32_t pid, const struct ev_head *record)
{
	const struct kind *k = record_kind(record->kind);
	unsigned int tail = 0;

	assert(k);
	if (w->pid != pid)
		fprintf(w->file, "@%" PRIu32 "\n", pid);
	w->pid = pid;
	fprintf(w->file, "%" PRIu64 " %" PRIu32 " %s", (uint64_t)record->time_ns, record->tid,
		k->name);
	for (size_t i = 0; i < k->fields; i++) {
		const struct field *f = &k->field[i];
		const void *bytes;
		size_t n;

		if (f->type < FIELD_TEXT) {
			write_number(w->file, f, record);
			continue;
		}
		bytes = record_tail(record, tail++, &n);
		write_tail(w->file, f, bytes, n);
	}
	putc('\n', w->file);
	return ferror(w->file) ? -EIO : 0;
}

/* ---- parsing --------------------------------------------------------------------------------- */

struct text { /* what is left of a line */
	const char *p, *end;
};

struct parser {
	struct text line;
	const char *why; /* why it is no record */
	const struct kind *kind;
	uint64_t seen;          /* bit i: field i was given */
	unsigned char *scratch; /* decoded tails of this line, one after the other as given */
	size_t scratch_size, scratch_used;
	struct {
		size_t off, len;
	} tail[64]; /* in scratch; by field */
	_Alignas(8) unsigned char record[EV_SIZE_MAX];
};

static int refuse(struct parser *p, const char *why)
{
	p->why = why;
	return -EINVAL;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static void skip_space(struct text *t)
{
	while (t->p < t->end && is_space(*t->p))
		t->p++;
}

static bool at_end(const struct text *t)
{
	return t->p == t->end || is_space(*t->p);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Digits as far as they go, at most max; -1 for none or too large. */
static int parse_digits(struct text *t, uint64_t max, uint64_t *ret)
{
	unsigned int base = 10;
	uint64_t value = 0;
	const char *begin;

	if (t->end - t->p > 2 && t->p[0] == '0' && t->p[1] == 'x') {
		base = 16;
		t->p += 2;
	}
	for (begin = t->p; t->p < t->end; t->p++) {
		int digit = hex_digit(*t->p);

		if (digit < 0 || (unsigned int)digit >= base)
			break;
		if (value > (max - (unsigned int)digit) / base)
			return -1;
		value = value * base + (unsigned int)digit;
	}
	if (t->p == begin)
		return -1;
	*ret = value;
	return 0;
}

/* A number that must end at a space or the end of the line. */
static int parse_number(struct parser *p, enum field_type type, void *ret)
{
	bool small = type == FIELD_u32 || type == FIELD_s32;
	bool is_signed = type == FIELD_s64 || type == FIELD_s32;
	uint64_t max = small ? UINT32_MAX : UINT64_MAX, value;
	bool negative = is_signed && p->line.p < p->line.end && *p->line.p == '-';

	if (is_signed)
		max = (max >> 1) + negative;
	p->line.p += negative;
	if (parse_digits(&p->line, max, &value) < 0 || !at_end(&p->line))
		return refuse(p, "not a number, or one that does not fit its field");
	if (negative)
		value = -value;
	if (small)
		*(uint32_t *)ret = (uint32_t)value;
	else
		*(uint64_t *)ret = value;
	return 0;
}

static int scratch_put(struct parser *p, const void *bytes, size_t n)
{
	if (n > EV_SIZE_MAX - p->scratch_used)
		return refuse(p, "longer than a record can be");
	if (!n)
		return 0;
	if (p->scratch_used + n > p->scratch_size) {
		size_t size = (p->scratch_used + n) * 2;
		void *grown = realloc(p->scratch, size);

		if (!grown)
			return -ENOMEM;
		p->scratch = grown;
		p->scratch_size = size;
	}
	memcpy(p->scratch + p->scratch_used, bytes, n);
	p->scratch_used += n;
	return 0;
}

static int put_point(struct parser *p, uint32_t point)
{
	unsigned char s[4];
	size_t n = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n; i-- > 1; point >>= 6)
		s[i] = 0x80 | (point & 0x3f);
	s[0] = (unsigned char)(lead[n] | point);
	return scratch_put(p, s, n);
}

static int parse_hex4(struct text *t, uint32_t *ret)
{
	uint32_t value = 0;

	if (t->end - t->p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(*t->p++);

		if (digit < 0)
			return -1;
		value = value << 4 | (uint32_t)digit;
	}
	*ret = value;
	return 0;
}

/* After "\u". */
static int parse_unicode(struct parser *p)
{
	struct text *t = &p->line;
	uint32_t point, low;

	if (parse_hex4(t, &point) < 0)
		return refuse(p, "\\u wants four hex digits");
	if (point >= 0xdc80 && point <= 0xdcff) { /* a byte that is no UTF-8; see write_text() */
		unsigned char byte = point & 0xff;

		return scratch_put(p, &byte, 1);
	}
	if (point >= 0xd800 && point <= 0xdbff) {
		if (t->end - t->p < 2 || t->p[0] != '\\' || t->p[1] != 'u')
			return refuse(p, "half a surrogate pair");
		t->p += 2;
		if (parse_hex4(t, &low) < 0 || low < 0xdc00 || low > 0xdfff)
			return refuse(p, "half a surrogate pair");
		point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
	} else if (point >= 0xdc00 && point <= 0xdfff) {
		return refuse(p, "half a surrogate pair");
	}
	return put_point(p, point);
}

/* After a backslash. */
static int parse_escape(struct parser *p)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (p->line.p == p->line.end)
		return refuse(p, "text without a closing quote");
	if (*p->line.p == 'u') {
		p->line.p++;
		return parse_unicode(p);
	}
	at = *p->line.p ? strchr(from, *p->line.p) : NULL;
	if (!at)
		return refuse(p, "an escape that JSON does not know");
	p->line.p++;
	return scratch_put(p, &to[at - from], 1);
}

static int parse_text(struct parser *p)
{
	struct text *t = &p->line;

	if (t->p == t->end || *t->p != '"')
		return refuse(p, "text must be a JSON string");
	t->p++;
	while (t->p < t->end && *t->p != '"') {
		const char *begin = t->p;
		int rc;

		while (t->p < t->end && *t->p != '"' && *t->p != '\\' &&
			(unsigned char)*t->p >= 0x20)
			t->p++;
		rc = scratch_put(p, begin, (size_t)(t->p - begin));
		if (rc)
			return rc;
		if (t->p == t->end || *t->p == '"')
			break;
		if (*t->p++ != '\\')
			return refuse(p, "a control character in a text");
		rc = parse_escape(p);
		if (rc)
			return rc;
	}
	if (t->p == t->end)
		return refuse(p, "text without a closing quote");
	t->p++;
	return at_end(t) ? 0 : refuse(p, "something follows a text's closing quote");
}

static int parse_bytes(struct parser *p)
{
	struct text *t = &p->line;

	while (!at_end(t)) {
		int high = hex_digit(t->p[0]);
		int low = t->end - t->p > 1 ? hex_digit(t->p[1]) : -1;
		unsigned char byte;
		int rc;

		if (high < 0 || low < 0)
			return refuse(p, "bytes must be pairs of hex digits");
		byte = (unsigned char)(high << 4 | low);
		t->p += 2;
		rc = scratch_put(p, &byte, 1);
		if (rc)
			return rc;
	}
	return 0;
}

static int parse_pairs(struct parser *p)
{
	static const char shape[] = "pairs must be a:b,a:b with numbers of 32 bits";
	struct text *t = &p->line;

	while (!at_end(t)) {
		uint32_t pair[2];
		uint64_t value;
		int rc;

		for (int i = 0; i < 2; i++) {
			if (parse_digits(t, UINT32_MAX, &value) < 0)
				return refuse(p, shape);
			pair[i] = (uint32_t)value;
			if (i == 0 && (t->p == t->end || *t->p++ != ':'))
				return refuse(p, shape);
		}
		rc = scratch_put(p, pair, sizeof(pair));
		if (rc)
			return rc;
		if (at_end(t))
			break;
		if (*t->p++ != ',' || at_end(t))
			return refuse(p, shape);
	}
	return 0;
}

/* The length of the word up to `stop`, a space or the end. */
static size_t word_len(const struct text *t, char stop)
{
	const char *q = t->p;

	while (q < t->end && *q != stop && !is_space(*q))
		q++;
	return (size_t)(q - t->p);
}

/* name=value */
static int parse_field(struct parser *p)
{
	size_t n = word_len(&p->line, '='), i;
	const struct field *f = NULL;
	int rc;

	for (i = 0; i < p->kind->fields && !f; i++) {
		const struct field *g = &p->kind->field[i];

		if (strlen(g->name) == n && !memcmp(g->name, p->line.p, n))
			f = g;
	}
	if (!f)
		return refuse(p, "the kind has no such field");
	i = (size_t)(f - p->kind->field);
	p->line.p += n;
	if (p->line.p == p->line.end || *p->line.p++ != '=')
		return refuse(p, "a field is name=value");
	if (p->seen & 1ull << i)
		return refuse(p, "a field is given twice");
	p->seen |= 1ull << i;
	if (f->type < FIELD_TEXT)
		return parse_number(p, f->type, p->record + f->off);
	p->tail[i].off = p->scratch_used;
	rc = f->type == FIELD_TEXT    ? parse_text(p)
	     : f->type == FIELD_BYTES ? parse_bytes(p)
				      : parse_pairs(p);
	if (!rc)
		p->tail[i].len = p->scratch_used - p->tail[i].off;
	return rc;
}

/*
 * Append the tails in the order of the event list, whatever order they were given in, and set the
 * size.
 */
static int finish_record(struct parser *p, struct ev_head *head)
{
	const struct kind *k = p->kind;
	size_t size = k->size;

	for (size_t i = k->fields - k->tails; i < k->fields; i++) {
		uint32_t len = p->seen & 1ull << i ? (uint32_t)p->tail[i].len : 0;

		if (len > sizeof(p->record) - size)
			return refuse(p, "longer than a record can be");
		memcpy(p->record + k->field[i].off, &len, sizeof(len));
		if (len)
			memcpy(p->record + size, p->scratch + p->tail[i].off, len);
		size += len;
	}
	while (size % 8)
		p->record[size++] = 0;
	head->size_words = (uint16_t)(size / 8);
	memcpy(p->record, head, sizeof(*head));
	return 0;
}

/* TIME TID KIND field=value ... */
static int parse_record(struct parser *p)
{
	struct ev_head head = {0};
	char name[32];
	size_t n;
	int rc, id;

	rc = parse_number(p, FIELD_u64, &head.time_ns);
	skip_space(&p->line);
	if (!rc)
		rc = parse_number(p, FIELD_u32, &head.tid);
	if (rc)
		return refuse(p, "a record begins with its time and its thread's id");
	skip_space(&p->line);
	n = word_len(&p->line, ' ');
	if (n >= sizeof(name))
		return refuse(p, "no such kind of event");
	memcpy(name, p->line.p, n);
	name[n] = '\0';
	id = record_kind_id(name);
	if (id < 0 || id == EV_pad)
		return refuse(p, "no such kind of event");
	p->line.p += n;
	p->kind = record_kind((unsigned int)id);
	assert(p->kind->fields <= sizeof(p->tail) / sizeof(p->tail[0]));
	head.kind = (uint16_t)id;
	p->seen = 0;
	p->scratch_used = 0;
	memset(p->record, 0, p->kind->size);
	for (skip_space(&p->line); p->line.p < p->line.end; skip_space(&p->line)) {
		rc = parse_field(p);
		if (rc)
			return rc;
	}
	return finish_record(p, &head);
}

static void parser_free(struct parser *p)
{
	free(p->scratch);
	free(p);
}

static void parser_freep(struct parser **p)
{
	if (*p)
		parser_free(*p);
}

static int read_line(struct parser *p, uint32_t *pid, record_fn sink, void *ctx)
{
	int rc;

	skip_space(&p->line);
	if (p->line.p == p->line.end || *p->line.p == '#')
		return 0;
	if (*p->line.p == '@') {
		p->line.p++;
		rc = parse_number(p, FIELD_u32, pid);
		skip_space(&p->line);
		return !rc && p->line.p == p->line.end && *pid ? 0
							       : refuse(p, "@ wants a process id");
	}
	if (!*pid)
		return refuse(p, "no @PID line says whose record this is");
	rc = parse_record(p);
	return rc ? rc : sink(ctx, *pid, (const struct ev_head *)(const void *)p->record);
}

int tape_read(FILE *file, record_fn sink, void *ctx, unsigned long *ret_line, const char **ret_why)
{
	cleanup(parser_freep) struct parser *p = calloc(1, sizeof(*p));
	cleanup(freep) char *buf = NULL;
	unsigned long number = 0;
	uint32_t pid = 0;
	size_t size = 0;
	ssize_t n;
	int rc;

	if (!p)
		return -ENOMEM;
	for (;;) {
		errno = 0;
		n = getline(&buf, &size, file);
		if (n < 0)
			return ferror(file) || errno == ENOMEM ? (errno ? -errno : -EIO) : 0;
		number++;
		while (n && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
			n--;
		p->line = (struct text){buf, buf + n};
		p->why = NULL;
		rc = read_line(p, &pid, sink, ctx);
		if (p->why) {
			*ret_line = number;
			*ret_why = p->why;
		}
		if (rc)
			return rc;
	}
}
