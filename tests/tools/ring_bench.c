/*
 * ring_bench: how fast rings are read, checked, put in order and handed out, on one core, the
 * target's side not counted. Prints one line a case: rings, records a second, bytes a second. Run
 * by hand and by scripts that gather measurements.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "collector/rings.h"
#include "tests/unit/ring_writer.h"

#define ROUNDS 50

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int take(void *ctx, uint32_t pid, const struct ev_head *record)
{
	*(uint64_t *)ctx += record->size_words * 8ull;
	return 0;
}

/*
 * What a busy loop writes: a step a turn, now and then a task. The rings take turns of `run`
 * records.
 */
static uint64_t fill(const struct ring_writer *w, unsigned int run, uint64_t *time_ns)
{
	struct ev_step step = {
		.head = {.tid = 1, .kind = EV_step, .size_words = sizeof(step) / 8}, .task = 1};
	struct {
		struct ev_task_new new;
		char texts[32];
	} task = {.new = {.name_len = 7, .coro_len = 18}, .texts = "Task-12fetch.<locals>.one"};
	struct ev_iteration turn = {
		.head = {.tid = 1, .kind = EV_iteration, .size_words = sizeof(turn) / 8}};
	uint64_t records = 0;

	task.new.head = (struct ev_head){.tid = 1, .kind = EV_task_new};
	task.new.head.size_words = (uint16_t)((sizeof(task.new) + 25 + 7) / 8);
	for (unsigned int slot = 0;; slot = (slot + 1) % w->rings) {
		for (unsigned int i = 0; i < run; i++) {
			struct ev_head *h = &step.head;

			if (records % 8 < 2)
				h = records % 8 ? &task.new.head : &turn.head;
			h->time_ns = ++*time_ns;
			if (ring_writer_put(w, slot, h))
				return records;
			records++;
		}
	}
}

static void measure(const char *folder, unsigned int count, unsigned int run)
{
	uint64_t records = 0, bytes = 0, cpu_ns = 0, time_ns = now_ns(CLOCK_MONOTONIC) / 2;
	struct rings *rings = NULL;
	struct ring_writer w;

	ring_writer_open(&w, folder, "ring-1", 1, RING_BYTES, count);
	if (rings_open(folder, &rings))
		abort();
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t begin_ns;

		records += fill(&w, run, &time_ns);
		begin_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
		if (rings_drain(rings, 0, take, &bytes) <= 0)
			abort();
		cpu_ns += now_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns;
	}
	printf("%u rings, turns of %u: %.1f M records/s, %.2f GB/s, %.0f ns a record\n", count, run,
		(double)records * 1e3 / (double)cpu_ns, (double)bytes / (double)cpu_ns,
		(double)cpu_ns / (double)records);
	rings_free(rings);
	unlink(w.path);
	ring_writer_close(&w);
}

int main(void)
{
	char folder[] = "/dev/shm/ring-bench-XXXXXX";

	if (!mkdtemp(folder))
		return 1;
	measure(folder, 1, 1);
	measure(folder, 4, 100);
	measure(folder, 4, 1);
	measure(folder, 64, 1);
	return rmdir(folder) ? 1 : 0;
}
