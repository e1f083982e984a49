/* Threads' names, read from outside. See bpf_thread.h. */
#include "collector/bpf_thread.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "probe/base/cleanup.h"
#include "probe/target/process.h"
#include "probe/target/thread_name.h"

#define PATH_BYTES 96
#define COMM_BYTES 32
#define NAMES_MAX 4096u /* then all are forgotten and read anew */
#define LOOK_AGAIN_NS 100000000u
#define COST_SHARE 50u /* of a core, at most a 50th: where there are many, it is rarer */
#define HELD_NS 20000000u

struct known_name {
	uint64_t thread_id;
	char *name;
};

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void name_free(void *value, void *ctx)
{
	struct known_name *known = value;

	free(known->name);
	free(known);
}

static void names_forget(struct bpf_threads *t)
{
	map_each(&t->names, name_free, NULL);
	map_free(&t->names);
	t->names = (struct map){0};
}

void bpf_threads_clear(struct bpf_threads *t)
{
	names_forget(t);
	*t = (struct bpf_threads){0};
}

/* A target_named_fn. */
static void name_take(void *ctx, const struct target_named *thread)
{
	struct bpf_threads *t = ctx;
	struct known_name *known = map_get(&t->names, thread->tid);
	char *name;

	if (known && known->thread_id == thread->thread_id && !strcmp(known->name, thread->name))
		return;
	name = strdup(thread->name);
	if (name && !known) {
		known = calloc(1, sizeof(*known));
		if (known && map_put(&t->names, thread->tid, known)) {
			free(known);
			known = NULL;
		}
	}
	if (!name || !known) {
		free(name);
		return;
	}
	free(known->name);
	*known = (struct known_name){thread->thread_id, name};
}

static void names_read(struct bpf_threads *t, uint64_t now_ns)
{
	uint64_t begin_ns = cpu_ns(), wait_ns;

	if (t->names.count >= NAMES_MAX)
		names_forget(t);
	if (t->target && target_named_each(t->target, &t->active, name_take, t))
		t->active = 0; /* it was torn, or is another's memory by now */
	wait_ns = (cpu_ns() - begin_ns) * COST_SHARE;
	t->next_ns = now_ns + (wait_ns > LOOK_AGAIN_NS ? wait_ns : LOOK_AGAIN_NS);
}

void bpf_threads_look(struct bpf_threads *t, uint64_t held_since_ns, uint64_t now_ns)
{
	if (now_ns > held_since_ns + HELD_NS && now_ns > t->next_ns)
		names_read(t, now_ns);
}

/* As the kernel has it; bytes. */
static size_t comm_read(uint32_t pid, uint32_t tid, uint32_t outer_pid, char name[COMM_BYTES])
{
	char path[PATH_BYTES];
	cleanup(closep) int fd = -1;
	ssize_t n;

	if (outer_pid) {
		pid = outer_pid;
		tid = process_thread_outer(pid, tid);
	}
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/task/%" PRIu32 "/comm", pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, name, COMM_BYTES);
	if (n > 0 && name[n - 1] == '\n')
		n--;
	return n > 0 ? (size_t)n : 0;
}

static const struct known_name *name_get(
	const struct bpf_threads *t, uint32_t tid, uint64_t thread_id)
{
	const struct known_name *known = map_get(&t->names, tid);

	return known && known->thread_id == thread_id ? known : NULL;
}

bool bpf_thread_again(
	const struct bpf_threads *t, uint32_t tid, uint64_t thread_id, uint64_t now_ns)
{
	return now_ns >= t->next_ns || name_get(t, tid, thread_id);
}

bool bpf_thread_put(struct bpf_threads *t, struct record_queue *queue, uint32_t pid, uint32_t tid,
	uint64_t thread_id, uint64_t now_ns)
{
	const struct known_name *known;
	char comm[COMM_BYTES];
	const char *name = comm;
	bool named = true;
	struct ev_thread *ev;
	size_t n;

	names_read(t, now_ns);
	known = name_get(t, tid, thread_id);
	if (known) {
		name = known->name;
		n = strlen(name);
	} else if (tid == pid) { /* as threading calls it */
		name = "MainThread";
		n = strlen(name);
	} else {
		n = comm_read(pid, tid, t->outer_pid, comm);
		named = false;
	}
	ev = RECORD_NEW(queue, thread, n, tid, now_ns);
	if (!ev)
		return false;
	ev->ident = thread_id;
	ev->name_len = (uint32_t)n;
	record_tail_put(ev + 1, name, n);
	return named;
}
