/* Whose code a file is, and the names users know functions by. */
#include "tests/unit/unit.h"

#include "collector/place.h"
#include "collector/source.h"

#define STDLIB "/usr/lib/python3.11"

static void is(const char *file, enum place_owner owner, const char *module)
{
	struct place p = place_of(file, STDLIB, "f");

	if (p.owner != owner || strcmp(p.module, module))
		fail_msg("%s: owner %d, module '%s'", file, p.owner, p.module);
}

TEST(place_knows_the_users_code)
{
	is("/home/ada/analysis.py", PLACE_USER, "");
	is("app.py", PLACE_USER, "");
	is("/tmp/ipykernel_4711/3195554542.py", PLACE_USER, "");
	is("<ipython-input-3-0123456789ab>", PLACE_USER, "");
	is("<stdin>", PLACE_USER, "");
	is("<string>", PLACE_USER, "");
	is("/usr/lib/python3.11x/mine.py", PLACE_USER, "");
	is("/usr/lib/python3.1/mine.py", PLACE_USER, "");
}

TEST(place_knows_the_library)
{
	is(STDLIB "/subprocess.py", PLACE_STDLIB, "subprocess");
	is(STDLIB "/asyncio/tasks.py", PLACE_STDLIB, "asyncio.tasks");
	is(STDLIB "/asyncio/__init__.py", PLACE_STDLIB, "asyncio");
	is("/usr/lib/python311.zip/asyncio/tasks.py", PLACE_STDLIB, "asyncio.tasks");
	is("<frozen importlib._bootstrap>", PLACE_STDLIB, "importlib._bootstrap");
	is("<frozen posixpath>", PLACE_STDLIB, "posixpath");
}

TEST(place_knows_packages_and_machinery)
{
	is("/usr/lib/python3/dist-packages/requests/api.py", PLACE_PACKAGE, "requests.api");
	is(STDLIB "/site-packages/uvloop/__init__.py", PLACE_PACKAGE, "uvloop");
	is("/home/ada/venv/lib/python3.11/site-packages/aiohttp/client.py", PLACE_PACKAGE,
		"aiohttp.client");
	is("/home/ada/src/ipykernel/ipykernel/kernelbase.py", PLACE_PACKAGE,
		"ipykernel.kernelbase");
	is("/opt/IPython/core/interactiveshell.py", PLACE_PACKAGE, "IPython.core.interactiveshell");
	is("<attrs generated init mine.Row>", PLACE_GENERATED, "");
	is("__init__", PLACE_GENERATED, "");
	assert_int_equal(place_of("<string>", STDLIB, "__create_fn__.<locals>.__init__").owner,
		PLACE_GENERATED);
}

TEST(place_knows_a_packages_entry_script)
{
	assert_int_equal(
		place_of("/usr/bin/jupyter-execute", STDLIB, "<module>").owner, PLACE_PACKAGE);
	assert_int_equal(
		place_of("/home/ada/venv/bin/nbconvert", STDLIB, "<module>").owner, PLACE_PACKAGE);
	assert_int_equal(place_of("/home/ada/bin/mine", STDLIB, "main").owner, PLACE_USER);
	assert_int_equal(place_of("/home/ada/bin/mine.py", STDLIB, "<module>").owner, PLACE_USER);
	assert_int_equal(place_of("/home/ada/mine", STDLIB, "<module>").owner, PLACE_USER);
}

TEST(place_without_a_stdlib_is_the_users)
{
	assert_int_equal(place_of("/usr/lib/python3.11/queue.py", "", "get").owner, PLACE_USER);
}

TEST(place_finds_the_hash_of_a_cell_file)
{
	unsigned long hash = 0;

	assert_true(place_cell_hash("/tmp/ipykernel_4711/3195554542.py", &hash));
	assert_int_equal(hash, 3195554542u);
	assert_true(place_cell_hash("/home/ada/tmp/ipykernel_1/0.py", &hash));
	assert_false(
		place_cell_hash("/usr/lib/python3/dist-packages/ipykernel/kernelbase.py", &hash));
	assert_false(place_cell_hash("/tmp/ipykernel_4711/12x.py", &hash));
	assert_false(place_cell_hash("/tmp/ipykernel_/1.py", &hash));
	assert_false(
		place_cell_hash("/tmp/ipykernel_4711/123456789012345678901234567890.py", &hash));
}

static void called(const char *file, const char *function, const char *want)
{
	struct place p = place_of(file, STDLIB, function);
	char name[100];

	assert_string_equal(
		place_public_name(p.module, p.owner, function, name, sizeof(name)), want);
}

TEST(place_names_calls_as_users_know_them)
{
	called("/usr/lib/python3/dist-packages/requests/api.py", "get", "requests.get");
	called(STDLIB "/subprocess.py", "run", "subprocess.run");
	called(STDLIB "/threading.py", "Event.wait", "threading.Event.wait");
	called(STDLIB "/queue.py", "Queue.get", "queue.Queue.get");
	called(STDLIB "/concurrent/futures/_base.py", "Future.result",
		"concurrent.futures.Future.result");
	called(STDLIB "/concurrent/futures/thread.py", "ThreadPoolExecutor.shutdown",
		"concurrent.futures.ThreadPoolExecutor.shutdown");
	called(STDLIB "/subprocess.py", "Popen.__init__", "subprocess.Popen");
	called(STDLIB "/urllib/request.py", "urlopen", "urllib.request.urlopen");
	called(STDLIB "/functools.py", "singledispatch.<locals>.wrapper", "functools.wrapper");
}

TEST(source_takes_the_columns)
{
	const char *text = "import x\n    y = time.sleep(\n        0.2) + 1\n";
	struct position at = {2, 3, 8, 12}, line = {2, 0, -1, -1};
	char buf[64];

	assert_true(source_excerpt(text, &at, buf, sizeof(buf)));
	assert_string_equal(buf, "time.sleep(0.2)");
	assert_true(source_excerpt(text, &line, buf, sizeof(buf)));
	assert_string_equal(buf, "y = time.sleep(");
}

TEST(source_says_with)
{
	const char *text = "    with guard:\n        pass\n";
	struct position at = {1, 1, 9, 14};
	char buf[64];

	assert_true(source_excerpt(text, &at, buf, sizeof(buf)));
	assert_string_equal(buf, "with guard");
}

TEST(source_says_the_head_of_a_statement)
{
	const char *text = "for line in open(':'[0:]):\n    out(line)\nwith a(): b()\n";
	struct position loop = {1, 2, 0, 13}, with = {3, 3, 0, 13}, body = {3, 3, 10, 13};
	struct position line = {3, 3, -1, -1};
	char buf[64];

	assert_true(source_excerpt(text, &loop, buf, sizeof(buf)));
	assert_string_equal(buf, "for line in open(':'[0:])");
	assert_true(source_excerpt(text, &with, buf, sizeof(buf)));
	assert_string_equal(buf, "with a()");
	assert_true(source_excerpt(text, &body, buf, sizeof(buf)));
	assert_string_equal(buf, "b()");
	assert_true(source_excerpt(text, &line, buf, sizeof(buf)));
	assert_string_equal(buf, "with a(): b()"); /* which part is not known */
}

TEST(source_is_cut_at_a_whole_character)
{
	const char *text = "f('ääääääääääääääääääääääääääää')";
	struct position at = {1, 0, -1, -1};
	char buf[17];

	assert_true(source_excerpt(text, &at, buf, sizeof(buf)));
	assert_string_equal(buf, "f('äääää…");
}

TEST(source_has_no_place_beyond_its_end)
{
	struct position beyond = {9, 9, 0, 4}, none = {0, 0, -1, -1}, wide = {1, 1, 0, 400};
	char buf[64];

	assert_false(source_excerpt("x\ny\n", &beyond, buf, sizeof(buf)));
	assert_false(source_excerpt("x\ny\n", &none, buf, sizeof(buf)));
	assert_true(source_excerpt("x\ny\n", &wide, buf, sizeof(buf)));
	assert_string_equal(buf, "x");
}

TEST(source_opens_only_regular_files)
{
	struct source_cache *cache;

	assert_int_equal(source_cache_new(&cache), 0);
	assert_null(source_of_file(cache, "/dev/null", 0));
	assert_null(source_of_file(cache, "/no/such/file.py", 0));
	assert_null(source_of_file(cache, "relative.py", 0));
	source_cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(place_knows_the_users_code),
		RUN(place_knows_the_library),
		RUN(place_knows_packages_and_machinery),
		RUN(place_knows_a_packages_entry_script),
		RUN(place_without_a_stdlib_is_the_users),
		RUN(place_finds_the_hash_of_a_cell_file),
		RUN(place_names_calls_as_users_know_them),
		RUN(source_takes_the_columns),
		RUN(source_says_with),
		RUN(source_says_the_head_of_a_statement),
		RUN(source_is_cut_at_a_whole_character),
		RUN(source_has_no_place_beyond_its_end),
		RUN(source_opens_only_regular_files),
	};

	return RUN_TESTS(tests);
}
