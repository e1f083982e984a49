/* Promises of `awaitscope report`: exit statuses, one line of error, where the output goes. */
#include <fcntl.h>
#include <sys/stat.h>

#include "probe/base/cleanup.h"
#include "tests/unit/trace_file.h"
#include "viewer/commands.h"

#define ARGS_MAX 8

static struct trace_file file;
static char out[16384], err[4096];

static void take(int fd, char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size - 1, 0);

	buf[n > 0 ? n : 0] = '\0';
}

/* Runs the command with what it prints in out and err; the words end with NULL. */
static int run(const char *const *words)
{
	char *argv[ARGS_MAX + 2] = {(char *)"report"};
	int argc = 1, rc, kept[2] = {dup(1), dup(2)};
	cleanup(closep) int to_out = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	cleanup(closep) int to_err = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	for (; *words; words++)
		argv[argc++] = (char *)*words;
	fflush(stdout);
	dup2(to_out, 1);
	dup2(to_err, 2);
	rc = report_main(argc, argv);
	fflush(stdout);
	dup2(kept[0], 1);
	dup2(kept[1], 2);
	close(kept[0]);
	close(kept[1]);
	take(to_out, out, sizeof(out));
	take(to_err, err, sizeof(err));
	return rc;
}

#define REPORT(...) run((const char *const[]){__VA_ARGS__, NULL})

static void wrong(int rc, const char *sentence)
{
	assert_int_equal(rc, 2);
	assert_string_equal(out, "");
	if (!strstr(err, sentence))
		fail_msg("'%s' does not say '%s'", err, sentence);
	assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1); /* one line */
}

static int make(void **state)
{
	trace_file_make(&file);
	trace_file_close(&file);
	return 0;
}

static int drop(void **state)
{
	trace_file_remove(&file);
	return 0;
}

TEST(wrong_usage_is_2_and_names_the_option)
{
	wrong(REPORT("--bogus", file.path), "--bogus; see awaitscope report --help");
	wrong(REPORT("-x", file.path), "-x; see awaitscope report --help");
	wrong(REPORT("--all=1", file.path), "--all=1");
	wrong(REPORT("--format"), "--format; see awaitscope report --help");
	wrong(REPORT("--stall", "soon", file.path), "--stall soon");
	wrong(REPORT("--min-block", "5", file.path), "--min-block 5");
	wrong(REPORT("-q"), "name a trace");
	wrong(REPORT(file.path, "another.db"), "another.db");
}

TEST(formats_that_do_not_exist_are_refused_with_those_that_do)
{
	wrong(REPORT("--format", "pdf", file.path),
		"--format pdf is not among what this version writes: text, json, html, markdown");
	wrong(REPORT("--format", "", file.path), "text, json");
}

TEST(lower_thresholds_than_recorded_are_refused)
{
	wrong(REPORT("--stall", "99ms", file.path), "can only be raised");
	wrong(REPORT("--min-block", "999us", file.path), "can only be raised");
	assert_int_equal(REPORT("--stall", "100ms", file.path), 0);
}

TEST(no_trace_is_2)
{
	wrong(REPORT("/nowhere/trace.db"), "no such file: /nowhere/trace.db");
	wrong(REPORT(file.folder), "is a folder");
}

TEST(names_with_control_bytes_are_escaped_in_errors)
{
	wrong(REPORT("no\033[2Jsuch\nfile"), "no\\x1b[2Jsuch\\nfile");
}

TEST(text_and_json_go_to_stdout)
{
	assert_int_equal(REPORT(file.path), 0);
	assert_non_null(strstr(out, "Nothing was recorded"));
	assert_string_equal(err, "");
	assert_int_equal(REPORT("--format", "json", file.path), 0);
	assert_int_equal(out[0], '{');
	assert_string_equal(err, "");
	assert_int_equal(REPORT("-q", file.path), 0);
	assert_string_equal(strchr(out, '\n'), "\n");
}

TEST(help_is_0_and_has_an_example)
{
	assert_int_equal(REPORT("--help"), 0);
	assert_non_null(strstr(out, "Example:"));
}

TEST(an_output_file_is_private_and_never_the_trace)
{
	struct stat st;
	char path[128];

	snprintf(path, sizeof(path), "%s/report.json", file.folder);
	assert_int_equal(REPORT("--format=json", "-o", path, file.path), 0);
	assert_string_equal(out, "");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(st.st_size > 100);
	unlink(path);
	wrong(REPORT("-o", file.path, file.path), "is the trace itself");
	wrong(REPORT("-o", "/nowhere/report", file.path), "cannot write /nowhere/report");
	wrong(REPORT("-o", "/dev/full", file.path),
		"cannot write /dev/full: No space left on device");
}

TEST(a_recording_ends_with_three_lines_on_stderr)
{
	cleanup(closep) int to_err = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	int kept = dup(2), lines = 0;

	dup2(to_err, 2);
	trace_done(file.path, false);
	dup2(kept, 2);
	close(kept);
	take(to_err, err, sizeof(err));
	for (const char *p = err; *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 3);
	assert_non_null(strstr(err, "no rule was checked"));
	assert_non_null(strstr(err, "Next: awaitscope report /"));
}

TEST(a_quiet_recording_tells_nothing_and_stores_its_findings)
{
	cleanup(closep) int to_err = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	sqlite3 *sql = NULL;
	sqlite3_stmt *rows = NULL;
	int kept = dup(2);

	assert_int_equal(sqlite3_open(file.path, &sql), SQLITE_OK);
	assert_int_equal(sqlite3_exec(sql,
				 "INSERT INTO finding VALUES ('AS999', 'of before', 'note', NULL, "
				 "NULL, NULL, NULL, 1, NULL, '')",
				 NULL, NULL, NULL),
		SQLITE_OK);
	dup2(to_err, 2);
	trace_done(file.path, true);
	dup2(kept, 2);
	close(kept);
	take(to_err, err, sizeof(err));
	assert_string_equal(err, "");
	assert_int_equal(sqlite3_prepare_v2(sql, "SELECT count(*) FROM finding", -1, &rows, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(rows), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(rows, 0), 0);
	sqlite3_finalize(rows);
	sqlite3_close(sql);
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(wrong_usage_is_2_and_names_the_option),
		EACH(formats_that_do_not_exist_are_refused_with_those_that_do),
		EACH(lower_thresholds_than_recorded_are_refused),
		EACH(no_trace_is_2),
		EACH(names_with_control_bytes_are_escaped_in_errors),
		EACH(text_and_json_go_to_stdout),
		EACH(help_is_0_and_has_an_example),
		EACH(an_output_file_is_private_and_never_the_trace),
		EACH(a_recording_ends_with_three_lines_on_stderr),
		EACH(a_quiet_recording_tells_nothing_and_stores_its_findings),
	};

	return RUN_TESTS(tests);
}
