/* The model against any records: nothing a target writes ends the recording, and what is kept is
 * consistent. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/model.h"

#define MS 1000000ull

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/model_test.XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

static const char *trace(void)
{
	static char path[128];
	static int n;

	snprintf(path, sizeof(path), "%s/%d.db", folder, n++);
	return path;
}

static struct model *new_keeping_model(const char *path, uint64_t max_bytes, uint64_t keep_ns)
{
	struct model_options options = {.t0_ns = 1000,
		.stall_ns = 100 * MS,
		.min_step_ns = 100000,
		.min_block_ns = MS,
		.max_bytes = max_bytes,
		.keep_ns = keep_ns,
		.mode = "tape",
		.sensor = "agent"};
	struct model *model;

	assert_int_equal(model_open(path, &options, &model), 0);
	return model;
}

static struct model *new_model(const char *path, uint64_t max_bytes)
{
	return new_keeping_model(path, max_bytes, 0);
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

/* What every trace keeps, whatever was recorded. */
static void check_trace(const char *path)
{
	assert_int_equal(
		ask(path,
			"SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"),
		1);
	assert_int_equal(ask(path, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
	assert_int_equal(ask(path, "SELECT value FROM meta WHERE key = 'complete'"), 1);
	assert_int_equal(
		ask(path, "SELECT count(*) FROM iteration WHERE busy_ns != cpu_ns + gc_ns + gil_ns "
			  "+ runq_ns + blocked_sleep_ns"
			  " + blocked_network_ns + blocked_file_ns + blocked_subprocess_ns + "
			  "blocked_dns_ns + blocked_database_ns"
			  " + blocked_lock_ns + blocked_fault_ns + blocked_other_ns + unknown_ns"),
		0);
	assert_int_equal(ask(path, "SELECT count(*) FROM iteration WHERE min(cpu_ns, gc_ns, "
				   "gil_ns, runq_ns, blocked_sleep_ns,"
				   " blocked_network_ns, blocked_file_ns, blocked_lock_ns, "
				   "blocked_other_ns, unknown_ns) < 0"),
		0);
}

/* Who had the CPU while a loop waited had no more of it than that. */
static void check_takers(const char *path)
{
	assert_int_equal(
		ask(path, "SELECT count(*) FROM (SELECT loop, begin_ns, sum(duration_ns) had FROM "
			  "cpu_taken GROUP BY loop, begin_ns) t WHERE had > (SELECT sum(runq_ns) "
			  "FROM "
			  "iteration i WHERE i.loop = t.loop AND i.begin_ns = t.begin_ns)"),
		0);
}

/* Make a random record's references small, so that records meet each other; times mostly go
 * forward. */
static void tame(uint64_t *random, struct ev_head *r, uint64_t *time_ns)
{
	const struct kind *k = record_kind(r->kind);

	*time_ns += unit_random(random) % (2 * MS);
	r->time_ns = unit_random(random) % 50 ? *time_ns : unit_random(random);
	r->tid = 1 + (uint32_t)(unit_random(random) % 3);
	for (size_t i = 0; i < k->fields - k->tails; i++) {
		const struct field *f = &k->field[i];
		char *at = (char *)r + f->off;
		uint64_t wide = unit_random(random) % 12;
		uint32_t narrow = (uint32_t)wide;

		if (!(unit_random(random) % 20))
			continue; /* as random as it is */
		if (!strcmp(f->name, "begin_ns"))
			wide = *time_ns - unit_random(random) % (3 * MS);
		else if (strstr(f->name, "_ns"))
			wide = unit_random(random) % MS;
		if (f->type == FIELD_u64 || f->type == FIELD_s64)
			memcpy(at, &wide, sizeof(wide));
		else
			memcpy(at, &narrow, sizeof(narrow));
	}
	if (r->kind == EV_stack) { /* of codes that there are */
		size_t size;
		uint32_t *pair = (uint32_t *)record_tail(r, 0, &size);

		for (size_t i = 0; i < size / sizeof(*pair); i++)
			pair[i] %= 12;
	}
}

static void fuzz(const char *path, uint64_t seed, int records, uint64_t max_bytes, uint64_t keep_ns)
{
	static uint64_t buf[EV_SIZE_MAX / 8];
	struct model *model = new_keeping_model(path, max_bytes, keep_ns);
	struct ev_head *r = (struct ev_head *)buf;
	uint64_t random = seed | 1, time_ns = 5000;

	for (int n = 0; n < records; n++) {
		unsigned int kind = 1 + (unsigned int)(unit_random(&random) % (EV_KINDS - 1));

		if (kind == EV_process && unit_random(&random) % 50)
			kind = EV_step;
		unit_random_record(&random, kind, 60, buf);
		tame(&random, r, &time_ns);
		assert_int_equal(
			model_record(model, 1 + (uint32_t)(unit_random(&random) % 2), r), 0);
		if (n % 1000 == 0)
			assert_int_equal(model_tick(model, time_ns), 0);
	}
	model_process_end(model, 1, time_ns, SIGKILL);
	assert_int_equal(model_close(model, time_ns), 0);
	model_free(model);
	check_trace(path);
	check_takers(path);
}

TEST(model_survives_any_records)
{
	const char *path = trace();

	fuzz(path, FUZZ_SEED, 60000, 0, 0);
	assert_true(ask(path, "SELECT count(*) FROM cpu_taken") > 10);
	fuzz(trace(), unit_seed(), 30000, 0, 0);
	fuzz(trace(), unit_seed(), 60000, 2u << 20, 0); /* its last rows have no room */
	fuzz(trace(), unit_seed(), 30000, 0, 5000 * MS);
}

static void put_step(struct model *model, uint64_t task, uint64_t begin_ns, uint64_t end_ns)
{
	struct ev_step r = {.head = {end_ns, 1, EV_step, sizeof(r) / 8},
		.task = task,
		.begin_ns = begin_ns,
		.waits_on = 99};

	assert_int_equal(model_record(model, 1, &r.head), 0);
}

static void put_iteration(struct model *model, uint64_t begin_ns, uint64_t end_ns)
{
	struct ev_iteration r = {.head = {end_ns, 1, EV_iteration, sizeof(r) / 8},
		.loop = 1,
		.begin_ns = begin_ns,
		.cpu_ns = -1,
		.runq_ns = -1};

	assert_int_equal(model_record(model, 1, &r.head), 0);
}

static void put_task(struct model *model, uint64_t task, uint64_t time_ns)
{
	struct ev_task_new r = {.head = {time_ns, 1, EV_task_new, sizeof(r) / 8}, .task = task};

	assert_int_equal(model_record(model, 1, &r.head), 0);
}

/* 100 s, of which 10 s are to be kept: a long and a short iteration and step every 10 ms, a task
 * every second that ends with the step after it, and one that never does. */
TEST(model_keeps_the_last_minutes)
{
	const uint64_t t0 = 1000, end = 100000 * MS;
	const char *path = trace();
	struct model *model = new_keeping_model(path, 0, 10000 * MS);
	int64_t from;

	put_task(model, 7, t0 + 1);
	for (uint64_t ns = 10 * MS; ns <= end; ns += 10 * MS) {
		struct ev_step last = {.head = {t0 + ns, 1, EV_step, sizeof(last) / 8},
			.task = 100 + ns / (1000 * MS),
			.begin_ns = t0 + ns - 2 * MS,
			.state = TASK_FINISHED};

		put_iteration(model, t0 + ns - 5 * MS, t0 + ns - 3 * MS);
		put_iteration(model, t0 + ns - 3 * MS, t0 + ns - 3 * MS + 50000);
		put_step(model, 7, t0 + ns - 5 * MS, t0 + ns - 4 * MS);
		if (ns % (1000 * MS) == 0) {
			put_task(model, last.task, t0 + ns - 2 * MS);
			assert_int_equal(model_record(model, 1, &last.head), 0);
		}
		assert_int_equal(model_tick(model, t0 + ns), 0);
	}
	assert_int_equal(model_close(model, t0 + end), 0);
	model_free(model);
	check_trace(path);
	from = ask(path, "SELECT value FROM meta WHERE key = 'kept_from_ns'");
	assert_in_range(from, end - 11000 * MS, end - 10000 * MS);
	assert_int_equal(
		ask(path, "SELECT count(*) FROM iteration"), (end - (uint64_t)from) / (10 * MS));
	assert_int_equal(ask(path, "SELECT sum(count) FROM iteration_total"),
		(end - (uint64_t)from) / (10 * MS));
	assert_int_equal(
		ask(path, "SELECT iterations FROM loop"), 2 * (end - (uint64_t)from) / (10 * MS));
	assert_int_equal(
		ask(path, "SELECT busy_ns = (SELECT sum(busy_ns) FROM iteration) + (SELECT "
			  "sum(busy_ns) FROM iteration_total) FROM loop"),
		1);
	assert_int_equal(ask(path, "SELECT max_busy_ns FROM loop"), 2 * MS);
	assert_int_equal(ask(path, "SELECT count(*) FROM task WHERE state = 'done'"),
		(end - (uint64_t)from) / (1000 * MS) + 1);
	assert_int_equal(
		ask(path, "SELECT steps FROM task WHERE state = 'pending'"), end / (10 * MS));
}

TEST(model_stays_below_max_bytes)
{
	const char *path = trace();
	struct model *model = new_model(path, 8u << 20);
	const int count = 400000;
	struct stat st;

	for (int n = 0; n < count; n++) {
		put_iteration(model, 2000 + (uint64_t)n * MS, 2000 + (uint64_t)n * MS + MS / 2);
		put_step(model, 1 + (uint64_t)n % 50, 2000 + (uint64_t)n * MS,
			2000 + (uint64_t)n * MS + MS / 2);
		if (n % 500 == 0)
			assert_int_equal(model_tick(model, (uint64_t)n * MS + MS), 0);
	}
	assert_int_equal(model_close(model, 0), 0);
	model_free(model);
	check_trace(path);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_size, 1u << 20, 8u << 20);
	/* Nothing is missing from the totals; waits that had no room are counted. */
	assert_int_equal(ask(path, "SELECT (SELECT count(*) FROM iteration) + (SELECT sum(count) "
				   "FROM iteration_total)"),
		count);
	assert_int_equal(ask(path, "SELECT (SELECT count(*) FROM task_step) + (SELECT sum(count) "
				   "FROM step_total)"),
		count);
	assert_int_equal(ask(path, "SELECT iterations FROM loop"), count);
	assert_true(ask(path, "SELECT value FROM meta WHERE key = 'folded_ns'") > 100000);
}

TEST(model_folds_exactly)
{
	const char *path = trace();
	struct model *model = new_model(path, 0);
	uint64_t at = 2000, sum = 0;

	for (int n = 0; n < 30000; n++) {
		uint64_t busy = 1 + (uint64_t)n * 7 % 99000;

		put_step(model, 1, at, at + busy);
		put_iteration(model, at, at + busy);
		at += busy + 1000;
		sum += busy;
		if (n % 100 == 0)
			model_tick(model, at);
	}
	assert_int_equal(model_close(model, at), 0);
	model_free(model);
	check_trace(path);
	assert_int_equal(ask(path, "SELECT sum(duration_ns) FROM step_total"), sum);
	assert_int_equal(ask(path, "SELECT sum(busy_ns) FROM iteration_total"), sum);
	assert_int_equal(ask(path, "SELECT count(*) FROM task_step"), 0);
	assert_int_equal(ask(path, "SELECT count(*) FROM step_total WHERE duration_ns NOT BETWEEN "
				   "count << bucket AND"
				   " (count << (bucket + 1)) - 1 AND bucket > 0"),
		0);
	assert_int_equal(ask(path, "SELECT busy_ns FROM task"), sum);
}

TEST(model_commits_every_quarter_second)
{
	const char *path = trace();
	struct model *model = new_model(path, 0);

	put_step(model, 1, 2000, 2000 + MS);
	assert_int_equal(model_tick(model, 3600000 * MS), 0);
	assert_int_equal(ask(path, "SELECT count(*) FROM task_step"), 1);
	put_step(model, 1, 2000 + 2 * MS, 2000 + 3 * MS);
	assert_int_equal(model_tick(model, 3600249 * MS), 0);
	assert_int_equal(ask(path, "SELECT count(*) FROM task_step"), 1);
	assert_int_equal(model_tick(model, 3600250 * MS), 0);
	assert_int_equal(ask(path, "SELECT count(*) FROM task_step"), 2);
	model_free(model); /* as after a crash */
	assert_int_equal(ask(path, "SELECT value FROM meta WHERE key = 'complete'"), 0);
	assert_int_equal(ask(path, "SELECT count(*) FROM task_step"), 2);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

TEST(model_goes_on_after_a_full_disk)
{
	const char *path = trace();
	struct model *model = new_model(path, 0);
	uint64_t at = 2000, now = 1000000 * MS;
	struct rlimit before;
	int refused = 0, n;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	for (n = 0; n < 40000; n++, at += 2 * MS) {
		put_step(model, 1 + (uint64_t)n % 100, at, at + MS);
		put_iteration(model, at, at + 50);
		if (n == 10000)
			limit_files(1200000);
		if (n == 30000)
			limit_files(before.rlim_cur);
		if (n % 1000 == 0 && model_tick(model, now += 300 * MS))
			refused++;
	}
	assert_true(refused > 0);
	assert_int_not_equal(model_close(model, at), 0); /* the first error of the recording */
	model_free(model);
	check_trace(path);
	/* Rows of facts were lost and counted; tasks, loops and totals are whole. */
	assert_true(
		ask(path, "SELECT count FROM lost WHERE what = 'rows that the disk refused'") > 0);
	assert_int_equal(ask(path, "SELECT count(*) FROM task"), 100);
	assert_int_equal(ask(path, "SELECT sum(steps) FROM task"), n);
	assert_int_equal(ask(path, "SELECT sum(count) FROM iteration_total"), n);
}

static int64_t lost(const char *path, const char *what)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "SELECT coalesce(sum(count), 0) FROM lost WHERE what = '%s'",
		what);
	return ask(path, sql);
}

TEST(model_bounds_short_waits_that_bring_exceptions)
{
	const char *path = trace();
	struct model *model = new_model(path, 0);
	const int count = 100003;
	struct ev_wakeup w = {.head = {0, 1, EV_wakeup, sizeof(w) / 8},
		.task = 1,
		.future = 99,
		.how = WAKE_EXCEPTION,
		.exception = 1};
	uint64_t at = 2000;

	put_step(model, 1, at, at + 100);
	for (int n = 0; n < count; n++) {
		w.head.time_ns = at += 1000;
		assert_int_equal(model_record(model, 1, &w.head), 0);
		put_step(model, 1, at, at + 100);
	}
	assert_int_equal(model_close(model, at), 0);
	model_free(model);
	check_trace(path);
	assert_int_equal(ask(path, "SELECT count(*) FROM \"await\" WHERE received = '?'"), 100000);
	assert_int_equal(lost(path, "short waits with an exception, beyond the limit"), 3);
}

static void put_job(struct model *model, uint64_t job, uint64_t at, bool run)
{
	struct ev_job_new new = {.head = {at, 1, EV_job_new, sizeof(new) / 8}, .job = job};
	struct ev_job_run done = {
		.head = {at + 10, 2, EV_job_run, sizeof(done) / 8}, .job = job, .begin_ns = at};

	assert_int_equal(model_record(model, 1, &new.head), 0);
	if (run)
		assert_int_equal(model_record(model, 1, &done.head), 0);
}

TEST(model_forgets_jobs_that_are_done)
{
	const char *path = trace();
	struct model *model = new_model(path, 0);
	const int count = 300000;
	size_t before = 0;

	for (int n = 0; n < count; n++) {
		put_job(model, 1 + (uint64_t)n, 2000 + 20 * (uint64_t)n, true);
		if (n % 1000)
			continue;
		assert_int_equal(model_tick(model, (uint64_t)n * MS + 300 * MS), 0);
		if (n == count / 10)
			before = mallinfo2().uordblks;
	}
	/* 50 MB of jobs came meanwhile; SQLite's cache takes up to 16 MB. */
	assert_true(mallinfo2().uordblks < before + (20u << 20));
	assert_int_equal(model_close(model, 0), 0);
	model_free(model);
	check_trace(path);
	assert_int_equal(
		ask(path, "SELECT count(*) FROM executor_job WHERE began_ns = given_ns"), count);
}

/* With no tick between: it is no time that bounds them. */
TEST(model_forgets_tasks_that_have_ended_however_fast_they_come)
{
	const char *path = trace();
	struct model *model = new_model(path, 0);
	const uint64_t count = 200000;
	size_t before = 0;

	for (uint64_t n = 0; n < count; n++) {
		uint64_t at = 2000 + n * 1000;
		struct ev_step last = {.head = {at + 300, 1, EV_step, sizeof(last) / 8},
			.task = 1 + n,
			.begin_ns = at + 200,
			.state = TASK_FINISHED};

		put_task(model, 1 + n, at);
		put_step(model, 1 + n, at + 50, at + 100);
		assert_int_equal(model_record(model, 1, &last.head), 0);
		if (n == count / 4)
			before = mallinfo2().uordblks;
	}
	/* 90 MB of tasks came meanwhile; SQLite's cache takes up to 16 MB. */
	assert_true(mallinfo2().uordblks < before + (20u << 20));
	assert_int_equal(model_close(model, 0), 0);
	model_free(model);
	check_trace(path);
	assert_int_equal(ask(path, "SELECT count(*) FROM task WHERE state = 'done' AND steps = 2"),
		(int64_t)count);
}

TEST(model_bounds_jobs_that_nobody_takes)
{
	const char *path = trace();
	struct model *model = new_model(path, 0);
	const int most = 1 << 17;

	for (int n = 0; n < most + 5; n++)
		put_job(model, 1 + (uint64_t)n, 2000 + (uint64_t)n, false);
	assert_int_equal(model_close(model, 0), 0);
	model_free(model);
	check_trace(path);
	assert_int_equal(
		ask(path, "SELECT count(*) FROM executor_job WHERE began_ns IS NULL"), most);
	assert_int_equal(lost(path, "executor jobs beyond the limit"), 5);
}

TEST(model_keeps_a_queue_that_stays_as_it_is_in_one_sample)
{
	const char *path = trace();
	struct model *model = new_model(path, 0);

	for (uint64_t n = 0; n < 1000; n++) {
		struct ev_queue q = {.head = {2000 + n * 1000 * MS, 1, EV_queue, sizeof(q) / 8},
			.queue = 1 + n % 2,
			.size = n % 2 ? 7 : n / 100};

		assert_int_equal(model_record(model, 1, &q.head), 0);
	}
	assert_int_equal(model_close(model, 0), 0);
	model_free(model);
	check_trace(path);
	assert_int_equal(ask(path, "SELECT count(*) FROM queue_sample WHERE queue = 2"), 1);
	assert_int_equal(ask(path, "SELECT count(*) FROM queue_sample WHERE queue = 1"), 10);
	assert_int_equal(
		ask(path, "SELECT seen_ns FROM queue WHERE id = 2"), 999000 * (int64_t)MS + 1000);
}

static void put_run(struct model *model, uint64_t loop, uint64_t at)
{
	struct ev_loop_start start = {
		.head = {at, 1, EV_loop_start, sizeof(start) / 8}, .loop = loop};
	struct ev_loop_stop stop = {
		.head = {at + 10, 1, EV_loop_stop, sizeof(stop) / 8}, .loop = loop};

	assert_int_equal(model_record(model, 1, &start.head), 0);
	assert_int_equal(model_record(model, 1, &stop.head), 0);
}

TEST(model_bounds_runs_and_knows_when_each_ended)
{
	const char *path = trace();
	struct model *model = new_model(path, 0);

	for (uint64_t n = 0; n < 100002; n++)
		put_run(model, 1, 2000 + n * 20);
	assert_int_equal(model_close(model, 0), 0);
	model_free(model);
	check_trace(path);
	assert_int_equal(
		ask(path, "SELECT count(*) FROM loop_run WHERE ended_ns = began_ns + 10"), 100000);
	assert_int_equal(lost(path, "runs of loops beyond the limit"), 2);
	assert_int_equal(ask(path, "SELECT ended_ns FROM loop"), 1000 + 100001 * 20 + 10);
}

TEST(model_takes_no_existing_file)
{
	const char *path = trace();
	struct model_options options = {.mode = "run"};
	struct model *model = new_model(path, 0), *second;

	assert_int_equal(model_open(path, &options, &second), -EEXIST);
	assert_int_equal(model_close(model, 0), 0);
	model_free(model);
	model_free(NULL);
	check_trace(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(model_survives_any_records),
		RUN(model_keeps_the_last_minutes),
		RUN(model_stays_below_max_bytes),
		RUN(model_folds_exactly),
		RUN(model_commits_every_quarter_second),
		RUN(model_goes_on_after_a_full_disk),
		RUN(model_bounds_short_waits_that_bring_exceptions),
		RUN(model_forgets_jobs_that_are_done),
		RUN(model_forgets_tasks_that_have_ended_however_fast_they_come),
		RUN(model_bounds_jobs_that_nobody_takes),
		RUN(model_keeps_a_queue_that_stays_as_it_is_in_one_sample),
		RUN(model_bounds_runs_and_knows_when_each_ended),
		RUN(model_takes_no_existing_file),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
