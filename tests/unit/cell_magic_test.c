/* Whose code a magic compiled, and where it stands. The hash is ipykernel's name for such a body.
 */
#include "tests/unit/unit.h"

#include "collector/cell_magic.h"

#define BODY_HASH 1187874075u /* of "import time\ntime.sleep(0.25)\n" */

TEST(magic_finds_the_body_of_a_cell)
{
	struct magic_shift by;

	assert_true(magic_body_is("%%capture out\nimport time\ntime.sleep(0.25)", BODY_HASH, &by));
	assert_int_equal(by.lines, 1);
	assert_true(magic_body_is(
		"\n  \n%%capture\n%%time\nimport time\ntime.sleep(0.25)\n", BODY_HASH, &by));
	assert_int_equal(by.lines, 4);
	assert_false(magic_body_is("import time\ntime.sleep(0.25)\n", BODY_HASH, &by));
	assert_false(magic_body_is("%%capture\ntime.sleep(0.25)\n", BODY_HASH, &by));
	assert_false(magic_body_is("%%capture", BODY_HASH, &by));
	assert_false(magic_body_is("", BODY_HASH, &by));
}

#define TIMED                                                                                      \
	"%%time\nx = 1\nasync def fetch (n):\n    pass\n@cached\ndef load(): return lambda: 1\n"

TEST(magic_finds_a_function_by_its_definition)
{
	struct magic_shift by;

	assert_true(magic_code_is(TIMED, "<module>", 1, true, &by));
	assert_int_equal(by.lines, 1);
	assert_int_equal(by.columns, 0);
	assert_false(magic_code_is(TIMED, "<module>", 1, false, &by));
	assert_true(magic_code_is(TIMED, "fetch", 2, false, &by));
	assert_true(magic_code_is(TIMED, "Loader.<locals>.load", 4, false, &by));
	assert_true(magic_code_is(TIMED, "load.<locals>.<lambda>", 5, true, &by));
	assert_false(magic_code_is(TIMED, "load.<locals>.<lambda>", 1, true, &by));
	assert_false(magic_code_is(TIMED, "fetch", 1, true, &by));
	assert_false(magic_code_is(TIMED, "fet", 2, true, &by));
	assert_false(magic_code_is(TIMED, "fetch", 4000000000u, true, &by));
	assert_false(magic_code_is(TIMED, "fetch", 0, true, &by));
	assert_false(magic_code_is("async def fetch(n): pass", "fetch", 1, true, &by));
}

TEST(magic_finds_the_one_statement_that_is_timed)
{
	struct magic_shift by;

	assert_true(
		magic_code_is("import time\nx = %time time.sleep(1)", "<module>", 1, true, &by));
	assert_int_equal(by.lines, 1);
	assert_int_equal(by.columns, strlen("x = %time "));
	assert_true(magic_code_is("%timeit -n1 -r 2 f()", "inner", 1, true, &by));
	assert_int_equal(by.lines, 0);
	assert_int_equal(by.columns, strlen("%timeit -n1 -r 2 "));
	assert_false(magic_code_is("%time f()\n%time g()", "<module>", 1, true, &by));
	assert_false(magic_code_is("print('100%time')", "<module>", 1, true, &by));
	assert_false(magic_code_is("%time", "<module>", 1, true, &by));
	assert_false(magic_code_is("%timeit -n", "inner", 1, true, &by));
}

int main(void)
{
	const struct CMUnitTest tests[] = {RUN(magic_finds_the_body_of_a_cell),
		RUN(magic_finds_a_function_by_its_definition),
		RUN(magic_finds_the_one_statement_that_is_timed)};

	return RUN_TESTS(tests);
}
