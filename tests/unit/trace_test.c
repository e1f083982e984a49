/* Promises of viewer/trace.h: what is a trace, what is none, and what is said then. */
#include "viewer/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/trace_file.h"
#include "viewer/causes.h"

#define NOBODY 65534

static void refused(const char *path, int rc, const char *sentence)
{
	struct trace *trace = NULL;
	char why[256] = "";

	assert_int_equal(trace_open(path, why, sizeof(why), &trace), rc);
	assert_null(trace);
	if (!strstr(why, sentence))
		fail_msg("'%s' does not say '%s'", why, sentence);
	assert_non_null(strstr(why, path));
	assert_null(strchr(why, '\n'));
}

TEST(every_statement_fits_the_schema)
{
	struct trace_file f;

	trace_file_make(&f);
	for (int i = 0; i < QUERY_COUNT; i++) {
		sqlite3_stmt *rows = NULL;

		if (sqlite3_prepare_v2(f.sql, trace_queries[i], -1, &rows, NULL) != SQLITE_OK)
			fail_msg("%s: %s", trace_queries[i], sqlite3_errmsg(f.sql));
		assert_true(sqlite3_stmt_readonly(rows));
		sqlite3_finalize(rows);
	}
	trace_file_remove(&f);
}

/* A cause that is a column and no row of causes.def would be missing from every sum. */
TEST(every_cause_column_of_the_schema_is_a_cause)
{
	sqlite3_stmt *rows = NULL;
	struct trace_file f;
	int n = 0;

	trace_file_make(&f);
	assert_int_equal(sqlite3_prepare_v2(f.sql,
				 "SELECT count(*) FROM pragma_table_info('iteration') WHERE name "
				 "LIKE '%\\_ns' ESCAPE '\\'"
				 " AND name NOT IN ('begin_ns', 'busy_ns', 'select_ns')",
				 -1, &rows, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(rows), SQLITE_ROW);
	n = sqlite3_column_int(rows, 0);
	sqlite3_finalize(rows);
	assert_int_equal(n, CAUSE_COLUMNS);
	trace_file_remove(&f);
}

TEST(a_trace_opens_and_reads)
{
	sqlite3_stmt *rows = NULL;
	struct trace *trace = NULL;
	struct trace_file f;
	char why[256];
	int n = 0;

	trace_file_make(&f);
	trace_file_close(&f);
	assert_int_equal(trace_open(f.path, why, sizeof(why), &trace), 0);
	assert_null(trace_warning(trace));
	assert_int_equal(trace_rows(trace, QUERY_meta, &rows), 0);
	while (trace_next(trace, rows) == 1)
		n++;
	assert_int_equal(n, 8);
	rows_freep(&rows);
	trace_free(trace);
	trace_file_remove(&f);
}

TEST(what_is_no_trace_is_said_in_a_sentence)
{
	struct trace_file f;
	char other[128];
	int fd;

	trace_file_make(&f);
	snprintf(other, sizeof(other), "%s/other", f.folder);
	refused(other, -ENOENT, "no such file");
	refused(f.folder, -EISDIR, "is a folder");
	refused("/dev/null", -EINVAL, "not an ordinary file");
	fd = open(other, O_RDWR | O_CREAT | O_TRUNC, 0600);
	refused(other, -EINVAL, "is empty");
	assert_int_equal(write(fd, "SQLite, but not really a database\n", 34), 34);
	refused(other, -EINVAL, "not a SQLite file");
	assert_int_equal(pwrite(fd, "SQLite format 3", 16, 0), 16);
	refused(other, -EINVAL, "not a SQLite file");
	close(fd);
	unlink(other);
	trace_file_sql(&f, "PRAGMA user_version = 99");
	refused(f.path, -EPROTO, "schema 99");
	trace_file_sql(&f, "PRAGMA application_id = 7");
	refused(f.path, -EINVAL, "no awaitscope trace");
	trace_file_remove(&f);
}

TEST(a_cut_trace_is_damaged_and_does_no_harm)
{
	struct trace *trace = NULL;
	struct trace_file f;
	struct stat st;
	char why[512];

	trace_file_make(&f);
	trace_file_close(&f);
	assert_int_equal(stat(f.path, &st), 0);
	for (off_t size = st.st_size - 512; size > 0; size -= 4096 / 3) {
		int rc;

		assert_int_equal(truncate(f.path, size), 0);
		rc = trace_open(f.path, why, sizeof(why), &trace);
		if (!rc) { /* what is gone is only seen by reading it */
			sqlite3_stmt *rows = NULL;

			rc = trace_rows(trace, QUERY_cell, &rows);
			rows_freep(&rows);
			trace_free(trace);
		} else {
			assert_true(rc == -EIO || rc == -EINVAL);
			assert_non_null(strstr(why, f.path));
		}
	}
	trace_file_remove(&f);
}

TEST(a_name_that_looks_like_a_uri_is_a_name)
{
	refused("file:nothing?mode=memory", -ENOENT, "no such file");
}

/* Not as root, who may write everywhere: 0 opened with a warning, 1 otherwise. */
static int open_as_nobody(const char *path)
{
	struct trace *trace = NULL;
	char why[256];

	if (geteuid() == 0 && (setgid(NOBODY) || setuid(NOBODY)))
		return 1;
	if (trace_open(path, why, sizeof(why), &trace))
		return 1;
	return !trace_warning(trace);
}

TEST(a_trace_in_a_folder_that_cannot_be_written_opens_with_a_warning)
{
	struct trace_file f;
	int status;
	pid_t child;

	trace_file_make(&f);
	trace_file_sql(&f, "PRAGMA journal_mode = WAL; CREATE TABLE t(x)");
	trace_file_close(&f);
	assert_int_equal(chmod(f.path, 0444), 0);
	assert_int_equal(chmod(f.folder, 0555), 0);
	child = fork();
	if (!child)
		_exit(open_as_nobody(f.path));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(chmod(f.folder, 0700), 0);
	trace_file_remove(&f);
}

TEST(reading_changes_nothing)
{
	sqlite3_stmt *rows = NULL;
	struct trace *trace = NULL;
	struct trace_file f;
	struct stat before, after;
	char why[256];

	trace_file_make(&f);
	trace_file_close(&f);
	assert_int_equal(stat(f.path, &before), 0);
	assert_int_equal(trace_open(f.path, why, sizeof(why), &trace), 0);
	assert_int_equal(trace_rows(trace, QUERY_loop, &rows), 0);
	assert_int_equal(trace_next(trace, rows), 0);
	rows_freep(&rows);
	trace_free(trace);
	assert_int_equal(stat(f.path, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	trace_file_remove(&f); /* and nothing is left beside it, or the folder would not go */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(every_statement_fits_the_schema),
		RUN(every_cause_column_of_the_schema_is_a_cause),
		RUN(a_trace_opens_and_reads),
		RUN(what_is_no_trace_is_said_in_a_sentence),
		RUN(a_cut_trace_is_damaged_and_does_no_harm),
		RUN(a_name_that_looks_like_a_uri_is_a_name),
		RUN(a_trace_in_a_folder_that_cannot_be_written_opens_with_a_warning),
		RUN(reading_changes_nothing),
	};

	return RUN_TESTS(tests);
}
