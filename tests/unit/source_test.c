/* What the source of a module tells about it. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/source.h"

#define FOLDER_BYTES 100
#define PATH_BYTES 300

static void write_file(char *path, const char *folder, const char *name, const char *text)
{
	FILE *out;

	snprintf(path, PATH_BYTES, "%s/%s", folder, name);
	out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static bool is_database(const char *path)
{
	struct source_cache *cache;
	bool is;

	assert_int_equal(source_cache_new(&cache), 0);
	is = source_is_database(cache, path, getuid());
	assert_int_equal(
		source_is_database(cache, path, getuid()), is); /* the same when asked again */
	source_cache_free(cache);
	return is;
}

TEST(source_knows_a_db_api_module_by_its_apilevel)
{
	char folder[] = "/tmp/source_test.XXXXXX", path[PATH_BYTES], init[PATH_BYTES],
	     inner[FOLDER_BYTES];

	assert_non_null(mkdtemp(folder));
	write_file(path, folder, "db.py", "import socket\napilevel = \"2.0\"\n");
	assert_true(is_database(path));
	write_file(path, folder, "db.py", "apilevel: str = '2.0'\n");
	assert_true(is_database(path));
	write_file(path, folder, "db.py",
		"# apilevel = 2\ndef f(apilevel=2):\n    apilevel = 3\napilevels = 4\n");
	assert_false(is_database(path));
	write_file(init, folder, "__init__.py", "from .constants import apilevel, threadsafety\n");
	assert_true(is_database(path)); /* its package */
	write_file(init, folder, "__init__.py", "from .drivers import apilevels\n");
	assert_false(is_database(path));
	unlink(init);
	snprintf(inner, sizeof(inner), "%s/inner", folder);
	assert_int_equal(mkdir(inner, 0700), 0);
	write_file(init, folder, "__init__.py", "apilevel = '2.0'\n");
	write_file(path, inner, "protocol.py", "pass\n");
	assert_false(is_database(path)); /* beside a package, not in it */
	write_file(path, inner, "__init__.py", "");
	snprintf(path, sizeof(path), "%s/protocol.py", inner);
	assert_true(is_database(path));
	assert_false(is_database("/nonexistent/db.py"));
	assert_false(is_database("<string>"));
	assert_false(is_database(""));
	unlink(path);
	snprintf(path, sizeof(path), "%s/__init__.py", inner);
	unlink(path);
	rmdir(inner);
	unlink(init);
	snprintf(path, sizeof(path), "%s/db.py", folder);
	unlink(path);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(source_knows_a_db_api_module_by_its_apilevel),
	};

	return RUN_TESTS(tests);
}
