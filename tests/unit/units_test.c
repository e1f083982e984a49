/* Promises of probe/base/units.h. */
#include "probe/base/units.h"

#include <errno.h>

#include "tests/unit/unit.h"

static uint64_t duration(const char *text)
{
	uint64_t ns = 77;

	assert_int_equal(duration_parse(text, 0, &ns), 0);
	return ns;
}

static void refused(const char *text, int rc)
{
	uint64_t ns = 77;

	assert_int_equal(duration_parse(text, 0, &ns), rc);
	assert_int_equal(ns, 77); /* untouched on failure */
}

TEST(durations_take_units)
{
	assert_int_equal(duration("100us"), 100000);
	assert_int_equal(duration("100µs"), 100000);
	assert_int_equal(duration("1.5ms"), 1500000);
	assert_int_equal(duration("30s"), 30000000000);
	assert_int_equal(duration("10m"), 600000000000);
	assert_int_equal(duration("10min"), 600000000000);
	assert_int_equal(duration("2h"), 7200000000000);
	assert_int_equal(duration("0s"), 0);
	assert_int_equal(duration("0.0000000019s"), 1);
	assert_int_equal(duration("1.123456789999s"), 1123456789);
}

TEST(durations_without_a_unit_are_refused_unless_there_is_a_default)
{
	uint64_t ns;

	refused("5", -EINVAL);
	assert_int_equal(duration_parse("5", 1000000000, &ns), 0);
	assert_int_equal(ns, 5000000000);
}

TEST(what_is_no_duration_is_refused)
{
	static const char *const wrong[] = {"", "ms", "-1s", "+1s", "1e3s", "0x10s", "1,5s", "1.s",
		".5s", "1s2", " 1s", "1 s", "inf", "nan"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		refused(wrong[i], -EINVAL);
}

TEST(too_long_durations_are_refused)
{
	refused("99999999999999999999s", -ERANGE);
	refused("9223372037s", -ERANGE);
	assert_int_equal(duration("9223372036s"), 9223372036000000000);
}

TEST(sizes_take_powers_of_1024)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} sizes[] = {{"512M", 512ull << 20}, {"2G", 2ull << 30}, {"2GiB", 2ull << 30},
		{"64KB", 64 << 10}, {"7", 7}, {"1.5K", 1536}};
	uint64_t bytes;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		assert_int_equal(size_parse(sizes[i].text, &bytes), 0);
		assert_int_equal(bytes, sizes[i].bytes);
	}
	assert_int_equal(size_parse("1T", &bytes), -EINVAL);
	assert_int_equal(size_parse("99999999999G", &bytes), -ERANGE);
}

TEST(durations_are_shown_with_three_digits_and_a_unit)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} shown[] = {
		{0, "0 ms"},
		{1, "1 ns"},
		{999, "999 ns"},
		{1000, "1.00 µs"},
		{9994, "9.99 µs"},
		{9995, "10.0 µs"},
		{99949, "99.9 µs"},
		{99950, "100 µs"},
		{812000, "812 µs"},
		{999499, "999 µs"},
		{999500, "1.00 ms"},
		{35200000, "35.2 ms"},
		{480000000, "480 ms"},
		{999500000, "1.00 s"},
		{1240000000, "1.24 s"},
		{119000000000, "119 s"},
		{119500000000, "1.99 min"},
		{750000000000, "12.5 min"},
		{5400000000000, "90.0 min"},
		{7200000000000, "2.00 h"},
		{UINT64_MAX, "213504 d"},
	};
	char buf[32];

	for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++)
		assert_string_equal(duration_format(shown[i].ns, buf, sizeof(buf)), shown[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(durations_take_units),
		RUN(durations_without_a_unit_are_refused_unless_there_is_a_default),
		RUN(what_is_no_duration_is_refused),
		RUN(too_long_durations_are_refused),
		RUN(sizes_take_powers_of_1024),
		RUN(durations_are_shown_with_three_digits_and_a_unit),
	};

	return RUN_TESTS(tests);
}
