/* Code cells of a notebook by the names ipykernel gives to their code. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <unistd.h>

#include "collector/murmur.h"
#include "collector/notebook_cells.h"

static int read_text(const char *text, struct notebook_cells **ret)
{
	char path[] = "/tmp/notebook_cells_XXXXXX";
	int fd = mkstemp(path), rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	rc = notebook_cells_read(path, ret);
	unlink(path);
	return rc;
}

static unsigned long hash_of(const char *source)
{
	return murmur2(source, strlen(source), MURMUR_CELL_SEED);
}

TEST(cells_are_found_by_the_hash_of_their_source)
{
	struct notebook_cells *cells;
	struct notebook_cell cell;

	assert_int_equal(read_text("{\"nbformat\": 4, \"cells\": ["
				   "{\"cell_type\": \"markdown\", \"source\": \"# title\"},"
				   "{\"cell_type\": \"code\", \"source\": [\"a = 1\\n\", \"a\"]},"
				   "{\"cell_type\": \"code\", \"source\": \"await f()\"},"
				   "{\"cell_type\": \"code\", \"source\": \"await f()\"},"
				   "{\"cell_type\": \"code\"}, 7]}",
				 &cells),
		0);
	assert_int_equal(notebook_cells_find(cells, hash_of("a = 1\na"), &cell), 0);
	assert_string_equal(cell.source, "a = 1\na");
	assert_int_equal(cell.index, 1);
	assert_int_equal(cell.alike, 0);
	assert_int_equal(notebook_cells_find(cells, hash_of("await f()"), &cell), 0);
	assert_int_equal(cell.index, 2);
	assert_int_equal(cell.alike, 1);
	assert_int_equal(notebook_cells_find(cells, hash_of("# title"), &cell), -ENOENT);
	notebook_cells_free(cells);
}

TEST(format_3_is_read_too)
{
	struct notebook_cells *cells;
	struct notebook_cell cell;

	assert_int_equal(
		read_text("{\"nbformat\": 3, \"worksheets\": [{\"cells\": [{\"cell_type\": "
			  "\"code\", \"input\": [\"1\"]}]}]}",
			&cells),
		0);
	assert_int_equal(notebook_cells_find(cells, hash_of("1"), &cell), 0);
	notebook_cells_free(cells);
}

TEST(what_is_no_notebook_is_refused)
{
	struct notebook_cells *cells;

	for (const char *const *text = (const char *const[]){"", "[]", "{}", "{\"cells\": 1}",
		     "{\"worksheets\": []}", NULL};
		*text; text++)
		assert_int_equal(read_text(*text, &cells), -EPROTO);
	assert_int_equal(notebook_cells_read("/nonexistent.ipynb", &cells), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(cells_are_found_by_the_hash_of_their_source),
		RUN(format_3_is_read_too),
		RUN(what_is_no_notebook_is_refused),
	};

	return RUN_TESTS(tests);
}
