/*
 * The three line tables of CPython 3.8 to 3.14, read as Objects/lnotab_notes.txt (3.8, 3.10) and
 * Objects/locations.md (3.11+) describe them. Called once per interned frame; trusts no byte.
 */
#include "collector/linetable.h"

#include "probe/event.h"

static const struct position NOWHERE = {0, 0, -1, -1};

static uint32_t line_add(uint32_t line, int64_t delta)
{
	int64_t sum = (int64_t)line + delta;

	return sum > 0 && sum <= INT32_MAX ? (uint32_t)sum : 0;
}

static struct position line_only(uint32_t line)
{
	struct position p = NOWHERE;

	p.line = line;
	return p;
}

/* 3.8, 3.9: pairs (bytes of code, signed lines) since the previous pair. */
static struct position find_lnotab(
	uint32_t line, const unsigned char *t, size_t size, uint32_t position)
{
	uint64_t at = 0;

	for (size_t i = 0; i + 1 < size; i += 2) {
		at += t[i];
		if (at > position)
			break;
		line = line_add(line, (signed char)t[i + 1]);
	}
	return line_only(line);
}

/* 3.10: pairs (length of a range, signed lines since the range before); -128: the range has no
 * line. */
static struct position find_310(
	uint32_t line, const unsigned char *t, size_t size, uint32_t position)
{
	uint64_t end = 0;

	for (size_t i = 0; i + 1 < size; i += 2) {
		int delta = (signed char)t[i + 1];

		end += t[i];
		if (delta != -128)
			line = line_add(line, delta);
		if (position < end)
			return delta == -128 ? NOWHERE : line_only(line);
	}
	return NOWHERE;
}

struct bytes {
	const unsigned char *at, *end;
};

static unsigned int take(struct bytes *b)
{
	return b->at < b->end ? *b->at++ : 0;
}

static uint32_t take_varint(struct bytes *b)
{
	unsigned int byte = take(b), shift = 0;
	uint32_t value = byte & 63;

	while (byte & 64 && shift < 24) {
		byte = take(b);
		shift += 6;
		value |= (uint32_t)(byte & 63) << shift;
	}
	return value;
}

static int64_t take_svarint(struct bytes *b)
{
	uint32_t value = take_varint(b);

	return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

enum {                          /* codes of the 3.11 location table */
	LOCATION_ONE_LINE = 10, /* to 12: the line delta is code - 10 */
	LOCATION_NO_COLUMNS = 13,
	LOCATION_LONG = 14,
	LOCATION_NONE = 15,
};

static struct position location(unsigned int code, uint32_t *line, struct bytes *b)
{
	struct position p = NOWHERE;

	if (code == LOCATION_NONE)
		return p;
	if (code == LOCATION_LONG || code == LOCATION_NO_COLUMNS)
		*line = line_add(*line, take_svarint(b));
	else if (code >= LOCATION_ONE_LINE)
		*line += code - LOCATION_ONE_LINE;
	p.line = p.end_line = *line;
	if (code == LOCATION_LONG) {
		p.end_line = line_add(*line, take_varint(b));
		p.col = (int32_t)take_varint(b) - 1;
		p.end_col = (int32_t)take_varint(b) - 1;
	} else if (code < LOCATION_ONE_LINE) {
		unsigned int second = take(b);

		p.col = (int32_t)(code << 3 | second >> 4);
		p.end_col = p.col + (int32_t)(second & 15);
	} else if (code < LOCATION_NO_COLUMNS) {
		p.col = (int32_t)take(b);
		p.end_col = (int32_t)take(b);
	}
	return p;
}

static struct position find_311(
	uint32_t line, const unsigned char *t, size_t size, uint32_t position)
{
	struct bytes b = {t, t + size};
	uint64_t end = 0;

	while (b.at < b.end) {
		unsigned int first = take(&b);
		struct position p;

		end += ((first & 7) + 1) * 2; /* code units of two bytes */
		p = location(first >> 3 & 15, &line, &b);
		if (position < end)
			return p;
	}
	return NOWHERE;
}

struct position linetable_find(
	uint32_t format, uint32_t firstlineno, const void *table, size_t size, uint32_t position)
{
	switch (format) {
	case LINE_DIRECT:
		return line_only(position);
	case LINE_LNOTAB:
		return find_lnotab(firstlineno, table, size, position);
	case LINE_TABLE310:
		return find_310(firstlineno, table, size, position);
	case LINE_TABLE311:
		return find_311(firstlineno, table, size, position);
	default:
		return line_only(firstlineno);
	}
}
