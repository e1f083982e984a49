/* The trace file: who may read it, what it refuses, what a full disk costs. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/schema.h"
#include "collector/store.h"

static char folder[64];

static const char *in_folder(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/store_test.XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

static int64_t ask(const char *path, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *s;
	int64_t n;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return n;
}

static struct store *new_store(const char *path)
{
	struct store *store;
	int exclusive = -1;

	assert_int_equal(store_open(path, &store, &exclusive), 0);
	assert_int_equal(exclusive, 0);
	return store;
}

static void put_steps(struct store *store, int count)
{
	for (int i = 0; i < count; i++)
		STORE_PUT(store, step, NUMBER(1), ID(0), NUMBER(1), NUMBER(i), NUMBER(1000));
}

TEST(store_is_for_its_owner_alone)
{
	const char *path = in_folder("mode.db");
	mode_t before = umask(0);
	struct store *store = new_store(path);
	char wal[160];
	struct stat st;

	umask(before);
	put_steps(store, 1);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	assert_int_equal(stat(wal, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	store_free(store);
}

TEST(store_takes_no_existing_file)
{
	struct store *store;
	int exclusive, fd = open(in_folder("taken.db"), O_CREAT | O_WRONLY, 0600);
	struct stat st;

	assert_int_equal(write(fd, "mine", 4), 4);
	close(fd);
	assert_int_equal(store_open(in_folder("taken.db"), &store, &exclusive), -EEXIST);
	assert_int_equal(stat(in_folder("taken.db"), &st), 0);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(symlink("elsewhere.db", in_folder("link.db")), 0);
	assert_int_equal(store_open(in_folder("link.db"), &store, &exclusive), -EEXIST);
	assert_int_equal(access(in_folder("elsewhere.db"), F_OK), -1);
	assert_int_equal(store_open(in_folder("no/such.db"), &store, &exclusive), -ENOENT);
}

TEST(store_names_are_file_names)
{
	struct stat st;
	char before[256];
	struct store *store;

	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(folder), 0);
	store = new_store("file:odd?mode=memory");
	store_free(store);
	assert_int_equal(stat("file:odd?mode=memory", &st), 0);
	assert_int_equal(chdir(before), 0);
}

TEST(store_reads_while_it_records)
{
	const char *path = in_folder("live.db");
	struct store *store = new_store(path);

	put_steps(store, 3);
	assert_int_equal(ask(path, "SELECT count(*) FROM task_step"), 0);
	assert_int_equal(store_pending(store), 3);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(store_pending(store), 0);
	assert_int_equal(ask(path, "SELECT count(*) FROM task_step"), 3);
	put_steps(store, 3);
	store_free(store); /* as after a crash: what was committed is there */
	assert_int_equal(ask(path, "SELECT count(*) FROM task_step"), 3);
}

TEST(store_ends_as_one_file)
{
	const char *path = in_folder("whole.db");
	struct store *store = new_store(path);
	char wal[160];

	put_steps(store, 1000);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(store_checkpoint(store), 0);
	assert_int_equal(store_finish(store), 0);
	store_free(store);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	assert_int_equal(access(wal, F_OK), -1);
	assert_int_equal(ask(path, "SELECT count(*) FROM task_step"), 1000);
	assert_int_equal(ask(path, "PRAGMA application_id"), SCHEMA_APPLICATION_ID);
	assert_int_equal(ask(path, "PRAGMA user_version"), SCHEMA_VERSION);
	assert_int_equal(ask(path, "PRAGMA page_size"), 16384);
	assert_int_equal(ask(path, "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND "
				   "name = 'iteration_loop'"),
		1);
}

/* A limit on file sizes stands for a disk that is full and later has room again. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

TEST(store_goes_on_after_a_full_disk)
{
	const char *path = in_folder("full.db");
	struct store *store = new_store(path);
	struct rlimit before;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	put_steps(store, 100);
	assert_int_equal(store_commit(store), 0);
	limit_files(1u << 20);
	put_steps(store, 200000);
	assert_true(store_commit(store) < 0);
	assert_int_equal(store_pending(store), 0);
	limit_files(before.rlim_cur);
	put_steps(store, 11);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(store_finish(store), 0);
	store_free(store);
	assert_int_equal(ask(path, "SELECT count(*) FROM task_step"), 111);
	assert_int_equal(
		ask(path,
			"SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"),
		1);
}

TEST(store_waits_for_a_program_that_locks_the_file)
{
	const char *path = in_folder("locked.db");
	struct store *store = new_store(path);
	sqlite3 *other;

	assert_int_equal(sqlite3_open_v2(path, &other, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	put_steps(store, 5);
	assert_int_equal(store_commit(store), -EAGAIN); /* lost, and said so */
	assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	put_steps(store, 7);
	assert_int_equal(store_commit(store), 0);
	sqlite3_close(other);
	store_free(store);
	assert_int_equal(ask(path, "SELECT count(*) FROM task_step"), 7);
}

TEST(store_adds_up_what_no_number_holds)
{
	const char *path = in_folder("sums.db");
	struct store *store = new_store(path);

	for (int i = 0; i < 3; i++) {
		STORE_PUT(store, step_total, NUMBER(1), NUMBER(0), NUMBER(0), NUMBER(62), NUMBER(1),
			NUMBER(INT64_MAX - 5));
		STORE_PUT(store, iteration_total, NUMBER(1), NUMBER(0), NUMBER(0), NUMBER(62),
			NUMBER(1), NUMBER(INT64_MAX - 5), NUMBER(1));
		assert_int_equal(store_commit(store), 0);
	}
	assert_int_equal(store_finish(store), 0);
	store_free(store);
	assert_int_equal(ask(path, "SELECT duration_ns FROM step_total"), INT64_MAX);
	assert_int_equal(ask(path, "SELECT busy_ns FROM iteration_total"), INT64_MAX);
	assert_int_equal(ask(path, "SELECT select_ns FROM iteration_total"), 3);
	assert_int_equal(ask(path, "SELECT count FROM iteration_total"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(store_is_for_its_owner_alone),
		RUN(store_takes_no_existing_file),
		RUN(store_names_are_file_names),
		RUN(store_reads_while_it_records),
		RUN(store_ends_as_one_file),
		RUN(store_goes_on_after_a_full_disk),
		RUN(store_waits_for_a_program_that_locks_the_file),
		RUN(store_adds_up_what_no_number_holds),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
