/* Promises of probe/base/text.h. */
#include "probe/base/text.h"

#include "tests/unit/unit.h"

static void shown(const char *s, size_t max, const char *expected)
{
	char *text = text_for_terminal(s, max);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

TEST(control_bytes_never_reach_a_terminal)
{
	shown("a\033[31mb", 0, "a\\x1b[31mb");
	shown("a\nb\tc\rd\x7f", 0, "a\\nb\\x09c\\x0dd\\x7f");
	shown("c1:\xc2\x9b.", 0, "c1:\\x9b.");
	shown("raw:\x9b.", 0, "raw:\\x9b.");
}

TEST(what_reorders_a_line_is_shown_as_its_number)
{
	shown("a\xe2\x80\xae"
	      "b",
		0, "a\\u202eb");
	shown("a\xe2\x80\xa8"
	      "b",
		0, "a\\u2028b");
	shown("a\xe2\x81\xa6"
	      "b",
		0, "a\\u2066b");
}

TEST(bytes_that_are_no_utf8_are_escaped_one_by_one)
{
	shown("\xff\xfe", 0, "\\xff\\xfe");
	shown("\xc0\xaf", 0, "\\xc0\\xaf");                   /* overlong */
	shown("\xed\xa0\x80", 0, "\\xed\\xa0\\x80");          /* a surrogate */
	shown("\xf4\x90\x80\x80", 0, "\\xf4\\x90\\x80\\x80"); /* above U+10FFFF */
	shown("\xe6\x97", 0, "\\xe6\\x97");                   /* cut */
	shown("日本", 0, "日本");
}

TEST(a_cut_is_shown_and_keeps_within_the_limit)
{
	shown("abcdef", 6, "abcdef");
	shown("abcdefg", 6, "abcde…");
	shown("日本語だ", 3, "日本…");
	shown("abc\033def", 6, "abc…"); /* an escape is never cut in two */
	shown("ab", 1, "…");
	shown("", 1, "");
}

TEST(wide_characters_take_two_columns_and_marks_none)
{
	assert_int_equal(text_width(""), 0);
	assert_int_equal(text_width("abc…█µ"), 6);
	assert_int_equal(text_width("日本"), 4);
	assert_int_equal(text_width("e\xcc\x81"), 1);
	assert_int_equal(text_fit("日本", 3), 3);
	assert_int_equal(text_fit("abc", 9), 3);
	assert_int_equal(text_fit("abc", 0), 0);
}

TEST(to_utf8_replaces_each_bad_byte)
{
	char *text = text_to_utf8("a\0b\xff\xe6\x97\xa5", 7);

	assert_string_equal(text, "a\xef\xbf\xbd"
				  "b\xef\xbf\xbd"
				  "日");
	free(text);
	text = text_to_utf8("", 0);
	assert_string_equal(text, "");
	free(text);
}

/* Whatever the bytes: printable, valid UTF-8, within the limit. */
TEST(any_bytes_become_safe_text)
{
	uint64_t seed = FUZZ_SEED;

	for (int round = 0; round < 20000; round++) {
		char bytes[24];
		size_t n = unit_random(&seed) % sizeof(bytes), max = unit_random(&seed) % 12;
		char *text, *again;

		for (size_t i = 0; i < n; i++)
			bytes[i] = (char)(unit_random(&seed) % 255 + 1);
		bytes[n] = '\0';
		text = text_for_terminal(bytes, max);
		again = text_to_utf8(text, strlen(text));
		assert_string_equal(text, again);
		for (const char *p = text; *p; p++)
			assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
		assert_true(text_fit(text, 5) <= strlen(text));
		free(text);
		free(again);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(control_bytes_never_reach_a_terminal),
		RUN(what_reorders_a_line_is_shown_as_its_number),
		RUN(bytes_that_are_no_utf8_are_escaped_one_by_one),
		RUN(a_cut_is_shown_and_keeps_within_the_limit),
		RUN(wide_characters_take_two_columns_and_marks_none),
		RUN(to_utf8_replaces_each_bad_byte),
		RUN(any_bytes_become_safe_text),
	};

	return RUN_TESTS(tests);
}
