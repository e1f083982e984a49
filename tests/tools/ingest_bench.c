/*
 * ingest_bench: how fast records become a trace, on one core, from the ring to the closed file,
 * with tasks that come and go, waits, wakeups and timers as a busy service has them. Prints one
 * JSON object a case. Run by hand and by scripts/bench.py.
 *
 *   ingest_bench [RECORDS]                           both cases; default 4,000,000 records
 *   ingest_bench RECORDS MIN_STEP_NS TRACE           one case, the trace is kept
 *   ingest_bench RECORDS day                         a day of a loop in so many records: fails
 * where a sum in the trace is not what was given, or memory in use grows with the run
 */
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collector/model.h"
#include "collector/rings.h"
#include "tests/unit/ring_writer.h"

#define RECORDS 4000000ull
#define MIN_STEP_NS 100000u    /* the default of --min-step */
#define TASKS 1000u            /* alive at one time */
#define LIFE 64u               /* steps of a task */
#define STEPS_A_TURN 8u        /* of the loop */
#define STEP_NS 10000u         /* a step every so often */
#define STALL_STEPS (1u << 17) /* a turn that takes long, every so many steps */
#define STALL_NS 150000000u
#define TURN_RECORDS 20000 /* what a turn of the recorder finds in the ring */
#define DAY_NS 86400000000000ull
#define DAY_BYTES (512u << 20) /* the default of --max-size */
#define TENTHS 10u
/* By then the collector keeps as many ended tasks, and pages of the file, as it ever will. */
#define SETTLED_RECORDS 5000000ull
/* Between the tenths of a run: totals of the seconds since the last commit come and go. */
#define FLAT_KIB (8u << 10)

enum { PID = 4711, TID = 4711, LOOP = 1, FUTURES = 0x100000000 };

struct feed {
	struct model *model;
	struct rings *rings;
	struct ring_writer writer;
	uint64_t time_ns, records;
	uint64_t pause_ns;                                  /* in the selector, before each turn */
	uint64_t turns, busy_ns, select_ns, steps, step_ns; /* what was given */
	uint64_t planned;                                   /* records */
	uint64_t memory_kib[TENTHS]; /* the most in use in each tenth of them */
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t memory_kib(void)
{
	unsigned long pages = 0;
	FILE *in = fopen("/proc/self/statm", "re");

	if (!in || fscanf(in, "%*u %lu", &pages) != 1)
		abort();
	fclose(in);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static void note_memory(struct feed *f)
{
	uint64_t *most = &f->memory_kib[f->records < f->planned ? f->records * TENTHS / f->planned
								: TENTHS - 1];
	uint64_t kib = memory_kib();

	if (kib > *most)
		*most = kib;
}

/* A record_fn. */
static int take(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct feed *f = ctx;

	return model_record(f->model, pid, record);
}

static void drain(struct feed *f, int final)
{
	if (rings_drain_at(f->rings, f->time_ns + RINGS_HOLDBACK_NS, final, take, f) < 0 ||
		model_tick(f->model, now_ns(CLOCK_MONOTONIC)))
		abort();
	note_memory(f);
}

static void give(struct feed *f, struct ev_head *h, unsigned int kind, size_t size)
{
	h->time_ns = f->time_ns;
	h->tid = TID;
	h->kind = (uint16_t)kind;
	h->size_words = (uint16_t)((size + 7) / 8);
	if (ring_writer_put(&f->writer, 0, h))
		abort();
	if (++f->records % TURN_RECORDS == 0)
		drain(f, 0);
}

static void give_process(struct feed *f)
{
	static const char texts[] = "app.py/usr/bin/python33.13.0/usr/lib/python3.13";
	struct {
		struct ev_process process;
		char texts[sizeof(texts)];
	} p = {{.pid = PID,
		       .hexversion = 0x030d00f0,
		       .abi = RING_ABI,
		       .argv_len = 6,
		       .executable_len = 16,
		       .version_len = 6,
		       .stdlib_len = 19},
		""};

	memcpy(p.texts, texts, sizeof(texts));
	give(f, &p.process.head, EV_process, sizeof(p.process) + sizeof(texts) - 1);
}

static void give_texts(struct feed *f)
{
	struct {
		struct ev_code code;
		char texts[32];
	} code = {{.id = 1, .firstlineno = 1, .file_len = 14, .function_len = 5},
		"/home/u/app.pyfetch"};
	struct {
		struct ev_stack stack;
		uint32_t frames[2];
	} stack = {{.id = 1, .frames_len = 8}, {1, 7}};

	give(f, &code.code.head, EV_code, sizeof(code.code) + 19);
	give(f, &stack.stack.head, EV_stack, sizeof(stack.stack) + 8);
}

static void give_loop(struct feed *f)
{
	static const char type[] = "asyncio.unix_events._UnixSelectorEventLoop";
	struct {
		struct ev_loop_start start;
		char type[sizeof(type)];
	} l = {{.loop = LOOP, .type_len = sizeof(type) - 1}, ""};

	memcpy(l.type, type, sizeof(type));
	give(f, &l.start.head, EV_loop_start, sizeof(l.start) + sizeof(type) - 1);
}

static void give_task(struct feed *f, uint64_t task)
{
	struct {
		struct ev_task_new new;
		char texts[16];
	} t = {{.task = task, .loop = LOOP, .stack = 1, .code = 1, .name_len = 6, .coro_len = 5},
		"Task-1fetch"};

	give(f, &t.new.head, EV_task_new, sizeof(t.new) + 11);
}

/* One task's turn: woken by a timer or another task, one step, done after LIFE of them. */
static void give_step(struct feed *f, uint64_t step)
{
	uint64_t task = 1 + step % TASKS, age = step / TASKS % LIFE;
	uint64_t future = FUTURES + task;
	struct ev_wakeup wakeup = {.task = task,
		.future = future,
		.set_ns = f->time_ns - 1,
		.by = step % 2 ? 0 : 1 + (step + 1) % TASKS,
		.by_tid = TID,
		.how = step % 2 ? WAKE_TIMER : WAKE_RESULT,
		.stack = 1};
	struct ev_timer timer = {
		.loop = LOOP, .due_ns = f->time_ns - step % 3000, .future = future};
	struct ev_step record = {.task = task,
		.begin_ns = f->time_ns,
		.waits_on = age + 1 < LIFE ? future : 0,
		.state = age + 1 < LIFE ? TASK_PENDING : TASK_FINISHED,
		.await_stack = 1};

	if (!age)
		give_task(f, task);
	else if (step % 2)
		give(f, &timer.head, EV_timer, sizeof(timer));
	if (age)
		give(f, &wakeup.head, EV_wakeup, sizeof(wakeup));
	f->time_ns += STEP_NS / 2;
	give(f, &record.head, EV_step, sizeof(record));
	f->steps++;
	f->step_ns += STEP_NS / 2;
	f->time_ns += STEP_NS / 2;
}

static void give_turn(struct feed *f, uint64_t begin_ns, uint64_t stall_ns)
{
	struct ev_iteration turn = {.loop = LOOP, .begin_ns = begin_ns, .select_ns = f->pause_ns};

	f->time_ns += stall_ns;
	turn.cpu_ns = (int64_t)(f->time_ns - begin_ns);
	f->turns++;
	f->busy_ns += f->time_ns - begin_ns;
	f->select_ns += f->pause_ns;
	give(f, &turn.head, EV_iteration, sizeof(turn));
}

static void feed(struct feed *f, uint64_t records)
{
	uint64_t begin_ns = 0;

	f->planned = records;
	give_process(f);
	give_texts(f);
	give_loop(f);
	for (uint64_t step = 0; f->records < records; step++) {
		if (step % STEPS_A_TURN == 0) {
			f->time_ns += f->pause_ns;
			begin_ns = f->time_ns;
		}
		give_step(f, step);
		if (step % STEPS_A_TURN == STEPS_A_TURN - 1)
			give_turn(
				f, begin_ns, step % STALL_STEPS == STALL_STEPS - 1 ? STALL_NS : 0);
	}
	if (f->steps % STEPS_A_TURN)
		give_turn(f, begin_ns, 0);
}

/* All records of a run into the closed trace. Returns the CPU time up to its closing. */
static uint64_t run(struct feed *f, const char *folder, const char *path, uint64_t min_step_ns,
	uint64_t max_bytes, uint64_t records)
{
	struct model_options options = {.t0_ns = 1000000000,
		.stall_ns = 100000000,
		.min_step_ns = min_step_ns,
		.min_block_ns = 1000000,
		.max_bytes = max_bytes,
		.mode = "run",
		.sensor = "agent"};
	uint64_t cpu_ns;

	f->time_ns = options.t0_ns;
	ring_writer_open(&f->writer, folder, "ring-4711", PID, RING_BYTES, 1);
	if (model_open(path, &options, &f->model) || rings_open(folder, &f->rings))
		abort();
	feed(f, records);
	f->writer.file->closed = 1;
	drain(f, 1);
	cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	if (model_close(f->model, f->time_ns))
		abort();
	model_free(f->model);
	rings_free(f->rings);
	ring_writer_close(&f->writer);
	unlink(f->writer.path);
	return cpu_ns;
}

static void measure(const char *what, const char *folder, const char *path, uint64_t min_step_ns,
	uint64_t records)
{
	struct feed f = {0};
	uint64_t begin_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID), cpu_ns, close_ns;
	struct rusage usage;
	struct stat st;

	cpu_ns = run(&f, folder, path, min_step_ns, 0, records) - begin_ns;
	close_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID) - begin_ns - cpu_ns;
	if (stat(path, &st))
		abort();
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"case\": \"%s\", \"records\": %llu, \"cpu_ns\": %llu, \"close_ns\": %llu, "
	       "\"records_per_s\": %.0f, \"bytes\": %lld, \"peak_kib\": %ld}\n",
		what, (unsigned long long)f.records, (unsigned long long)cpu_ns,
		(unsigned long long)close_ns, (double)f.records * 1e9 / (double)cpu_ns,
		(long long)st.st_size, usage.ru_maxrss);
}

/* ---- a day */

/* The one number that a statement gives. */
static uint64_t ask(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *statement;
	uint64_t value;

	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) ||
		sqlite3_step(statement) != SQLITE_ROW)
		abort();
	value = (uint64_t)sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return value;
}

/* What the trace says beside what was given. 1: they differ. */
static int compare(sqlite3 *db, const struct feed *f)
{
	const struct {
		const char *what, *sql;
		uint64_t given;
	} sums[] = {
		{"turns", "SELECT iterations FROM loop", f->turns},
		{"busy_ns", "SELECT busy_ns FROM loop", f->busy_ns},
		{"select_ns", "SELECT select_ns FROM loop", f->select_ns},
		{"turns_by_second",
			"SELECT (SELECT sum(count) FROM iteration_total) + (SELECT count(*) FROM "
			"iteration)",
			f->turns},
		{"busy_ns_by_second",
			"SELECT (SELECT sum(busy_ns) FROM iteration_total) + (SELECT sum(busy_ns) "
			"FROM iteration)",
			f->busy_ns},
		{"causes_ns",
			"SELECT (SELECT sum(busy_ns) FROM iteration_total) + (SELECT sum(cpu_ns) "
			"FROM iteration)",
			f->busy_ns},
		{"steps",
			"SELECT (SELECT sum(count) FROM step_total) + (SELECT count(*) FROM "
			"task_step)",
			f->steps},
		{"step_ns",
			"SELECT (SELECT sum(duration_ns) FROM step_total) + (SELECT "
			"coalesce(sum(duration_ns), 0) FROM task_step)",
			f->step_ns},
	};
	int wrong = 0;

	for (size_t i = 0; i < sizeof(sums) / sizeof(*sums); i++) {
		uint64_t told = ask(db, sums[i].sql);

		printf("\"%s\": [%llu, %llu], ", sums[i].what, (unsigned long long)sums[i].given,
			(unsigned long long)told);
		wrong |= told != sums[i].given;
	}
	return wrong;
}

/* What was in use. 1: it grew after the run had settled. */
static int compare_memory(const struct feed *f)
{
	uint64_t least = UINT64_MAX, most = 0;
	const char *comma = "";

	printf("\"memory_kib\": [");
	for (unsigned int i = 0; i < TENTHS; i++) {
		uint64_t kib = f->memory_kib[i];

		printf("%s%llu", comma, (unsigned long long)kib);
		comma = ", ";
		if ((i + 1) * f->planned / TENTHS <= SETTLED_RECORDS)
			continue;
		least = kib < least ? kib : least;
		most = kib > most ? kib : most;
	}
	printf("], \"flat\": %s, ", most - least <= FLAT_KIB ? "true" : "false");
	return most - least > FLAT_KIB;
}

static int day(const char *folder, const char *path, uint64_t records)
{
	/* a step is a wakeup, the step itself and every other time a timer */
	uint64_t turns = records / (STEPS_A_TURN * 5 / 2 + 1);
	struct feed f = {.pause_ns = DAY_NS / turns - (uint64_t)STEPS_A_TURN * STEP_NS};
	uint64_t begin_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID), cpu_ns;
	struct rusage usage;
	struct stat st;
	sqlite3 *db;
	int wrong, grew;

	run(&f, folder, path, MIN_STEP_NS, DAY_BYTES, records);
	cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID) - begin_ns;
	if (stat(path, &st) || sqlite3_open(path, &db))
		abort();
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"records\": %llu, \"hours\": %.1f, \"cpu_s\": %.0f, \"peak_kib\": %ld, "
	       "\"bytes\": %lld, ",
		(unsigned long long)f.records, (double)f.time_ns / 3600e9, (double)cpu_ns / 1e9,
		usage.ru_maxrss, (long long)st.st_size);
	grew = compare_memory(&f);
	wrong = compare(db, &f);
	printf("\"lost\": %llu, \"exact\": %s}\n",
		(unsigned long long)ask(db, "SELECT coalesce(sum(count), 0) FROM lost"),
		wrong ? "false" : "true");
	sqlite3_close(db);
	return wrong || grew;
}

/* In a process of its own, so that the peak of memory is its own. */
static int measure_apart(const char *what, const char *folder, const char *path,
	uint64_t min_step_ns, uint64_t records)
{
	pid_t pid = fork();
	int status = 1;

	if (!pid) {
		measure(what, folder, path, min_step_ns, records);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

int main(int argc, char **argv)
{
	uint64_t records = argc > 1 ? strtoull(argv[1], NULL, 0) : RECORDS;
	char folder[] = "/var/tmp/ingest-bench-XXXXXX", path[64];
	int failed;

	if (!records || (argc == 3 && strcmp(argv[2], "day")) || argc > 4)
		return 2;
	if (!mkdtemp(folder))
		return 1;
	snprintf(path, sizeof(path), "%s/trace.db", folder);
	if (argc == 3) {
		failed = day(folder, path, records);
		unlink(path);
		return rmdir(folder) || failed;
	}
	if (argc == 4) {
		failed =
			measure_apart("kept", folder, argv[3], strtoull(argv[2], NULL, 0), records);
		return rmdir(folder) || failed;
	}
	failed = measure_apart("default folding", folder, path, MIN_STEP_NS, records);
	unlink(path);
	failed |= measure_apart("every step a row", folder, path, 0, records);
	unlink(path);
	return rmdir(folder) || failed;
}
