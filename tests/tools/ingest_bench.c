/*
 * ingest_bench: how fast records become a trace, on one core, from the ring to the closed file,
 * with tasks that come and go, waits, wakeups and timers as a busy service has them. Prints one
 * JSON object a case. Run by hand and by scripts/bench.py.
 *
 *   ingest_bench [RECORDS]                           both cases; default 4,000,000 records
 *   ingest_bench RECORDS MIN_STEP_NS TRACE           one case, the trace is kept
 */
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

enum { PID = 4711, TID = 4711, LOOP = 1, FUTURES = 0x100000000 };

struct feed {
	struct model *model;
	struct rings *rings;
	struct ring_writer writer;
	uint64_t time_ns, records;
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
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
	f->time_ns += STEP_NS / 2;
}

static void feed(struct feed *f, uint64_t records)
{
	give_process(f);
	give_texts(f);
	give_loop(f);
	for (uint64_t step = 0; f->records < records; step++) {
		struct ev_iteration turn = {.loop = LOOP, .cpu_ns = STEPS_A_TURN * STEP_NS / 2};

		give_step(f, step);
		if (step % STALL_STEPS == STALL_STEPS - 1) {
			f->time_ns += STALL_NS;
			turn.cpu_ns += STALL_NS;
		}
		if (step % STEPS_A_TURN != STEPS_A_TURN - 1)
			continue;
		turn.begin_ns = f->time_ns - (uint64_t)turn.cpu_ns - STEPS_A_TURN * STEP_NS / 2;
		give(f, &turn.head, EV_iteration, sizeof(turn));
	}
}

static void measure(const char *what, const char *folder, const char *path, uint64_t min_step_ns,
	uint64_t records)
{
	struct model_options options = {.t0_ns = 1000000000,
		.stall_ns = 100000000,
		.min_step_ns = min_step_ns,
		.min_block_ns = 1000000,
		.mode = "run",
		.sensor = "agent"};
	struct feed f = {.time_ns = options.t0_ns};
	uint64_t begin_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID), cpu_ns, close_ns;
	struct rusage usage;
	struct stat st;

	ring_writer_open(&f.writer, folder, "ring-4711", PID, RING_BYTES, 1);
	if (model_open(path, &options, &f.model) || rings_open(folder, &f.rings))
		abort();
	feed(&f, records);
	f.writer.file->closed = 1;
	drain(&f, 1);
	cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID) - begin_ns;
	if (model_close(f.model, f.time_ns) || stat(path, &st))
		abort();
	close_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID) - begin_ns - cpu_ns;
	model_free(f.model);
	rings_free(f.rings);
	ring_writer_close(&f.writer);
	unlink(f.writer.path);
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"case\": \"%s\", \"records\": %llu, \"cpu_ns\": %llu, \"close_ns\": %llu, "
	       "\"records_per_s\": %.0f, \"bytes\": %lld, \"peak_kib\": %ld}\n",
		what, (unsigned long long)f.records, (unsigned long long)cpu_ns,
		(unsigned long long)close_ns, (double)f.records * 1e9 / (double)cpu_ns,
		(long long)st.st_size, usage.ru_maxrss);
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
	char folder[] = "/tmp/ingest-bench-XXXXXX", path[64];
	int failed;

	if (!records || argc == 3 || argc > 4)
		return 2;
	if (!mkdtemp(folder))
		return 1;
	snprintf(path, sizeof(path), "%s/trace.db", folder);
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
