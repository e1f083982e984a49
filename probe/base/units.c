/* Durations and sizes as people write them. Locale never matters here: a decimal point is a point.
 */
#include "probe/base/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define US 1000ull
#define MS (1000 * US)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

#define FRACTION_DIGITS 9 /* digits after the point that count; more are read and dropped */

struct unit {
	const char *name;
	uint64_t value;
};

static const struct unit duration_units[] = {
	{"ns", 1},
	{"us", US},
	{"µs", US},
	{"ms", MS},
	{"s", SECOND},
	{"m", MINUTE},
	{"min", MINUTE},
	{"h", HOUR},
	{"d", DAY},
};

static const struct unit size_units[] = {
	{"", 1},
	{"B", 1},
	{"K", 1ull << 10},
	{"KB", 1ull << 10},
	{"KiB", 1ull << 10},
	{"M", 1ull << 20},
	{"MB", 1ull << 20},
	{"MiB", 1ull << 20},
	{"G", 1ull << 30},
	{"GB", 1ull << 30},
	{"GiB", 1ull << 30},
};

struct decimal {
	uint64_t whole;
	uint64_t fraction; /* of 10^FRACTION_DIGITS */
};

/* Digits with at most one point; *ret_rest is what follows them. */
static int decimal_parse(const char *text, struct decimal *ret, const char **ret_rest)
{
	struct decimal d = {0};
	uint64_t place = 1;
	const char *p = text;

	for (int i = 0; i < FRACTION_DIGITS; i++)
		place *= 10;
	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(d.whole, 10, &d.whole) ||
			__builtin_add_overflow(d.whole, (uint64_t)(*p - '0'), &d.whole))
			return -ERANGE;
	if (*p == '.') {
		p++;
		if (*p < '0' || *p > '9')
			return -EINVAL;
		for (; *p >= '0' && *p <= '9'; p++) {
			place /= 10;
			d.fraction += (uint64_t)(*p - '0') * place;
		}
	}
	*ret = d;
	*ret_rest = p;
	return 0;
}

/* Times and sizes are kept as signed 64-bit numbers in traces, so that is the limit. */
static int decimal_scale(struct decimal d, uint64_t unit, uint64_t *ret)
{
	unsigned __int128 value = (unsigned __int128)d.whole * unit;

	value += (unsigned __int128)d.fraction * unit / 1000000000u;
	if (value > INT64_MAX)
		return -ERANGE;
	*ret = (uint64_t)value;
	return 0;
}

static const struct unit *unit_find(const struct unit *units, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(units[i].name, name))
			return &units[i];
	return NULL;
}

int duration_parse(const char *text, uint64_t bare_unit_ns, uint64_t *ret_ns)
{
	const struct unit *unit;
	struct decimal d;
	const char *rest;
	int rc = decimal_parse(text, &d, &rest);

	if (rc)
		return rc;
	if (!*rest)
		return bare_unit_ns ? decimal_scale(d, bare_unit_ns, ret_ns) : -EINVAL;
	unit = unit_find(duration_units, sizeof(duration_units) / sizeof(*duration_units), rest);
	return unit ? decimal_scale(d, unit->value, ret_ns) : -EINVAL;
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
	const struct unit *unit;
	struct decimal d;
	const char *rest;
	int rc = decimal_parse(text, &d, &rest);

	if (rc)
		return rc;
	unit = unit_find(size_units, sizeof(size_units) / sizeof(*size_units), rest);
	return unit ? decimal_scale(d, unit->value, ret_bytes) : -EINVAL;
}

char *duration_format(uint64_t ns, char *buf, size_t size)
{
	static const struct {
		const char *name;
		uint64_t value,
			below; /* shown in this unit where it rounds to less than `below` units */
	} units[] = {
		{"ns", 1, 1000},
		{"µs", US, 1000},
		{"ms", MS, 1000},
		{"s", SECOND, 120},
		{"min", MINUTE, 120},
		{"h", HOUR, 48},
		{"d", DAY, UINT64_MAX},
	};
	size_t i = 0;
	double value = (double)ns;

	if (!ns) {
		snprintf(buf, size, "0 ms");
		return buf;
	}
	while (value >= (double)units[i].below - 0.5) {
		i++;
		value = (double)ns / (double)units[i].value;
	}
	/* 9.995 and 99.95 would round up to a digit too many. */
	snprintf(buf, size, "%.*f %s",
		!i || value >= 99.95 ? 0
		: value >= 9.995     ? 1
				     : 2,
		value, units[i].name);
	return buf;
}
