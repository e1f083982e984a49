/* When to sample which busy loop. See sampler.h. */
#include "collector/sampler.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/sampled.h"
#include "probe/base/cleanup.h"
#include "probe/sampling.h"

#define LOOPS_MAX 128u /* busy at one time; further ones are not sampled */
/*
 * Of a core, at most a 50th: where reading is slow, it is rarer. Of CPU time, and not of the first
 * sample, which reads all codes and costs several times the others.
 */
#define COST_SHARE 50u
#define PROCESSES_MAX 4096u
#define SERVED_PERIODS 3u /* so long after its last sample a sensor is believed to go on */

struct held { /* a busy loop that has been looked at */
	struct busy_loop busy;
	uint64_t last_ns; /* of its last sample; 0: none yet */
	uint64_t next_ns;
	/* of its thread: at the last sample, at the first, at the first of those in that call */
	struct thread_clocks clocks, first, call_first;
	uint64_t call_since_ns;
	bool seen; /* in this look */
};

struct sampler {
	struct sampled **process;
	size_t processes;
	struct held held[LOOPS_MAX];
	size_t holds;
	struct busy_loop loops[LOOPS_MAX];
	struct sampler_counts counts;
	uint64_t random;
	bool queued; /* something may wait to be handed out */
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int sampler_new(struct sampler **ret)
{
	struct sampler *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->random = clock_ns(CLOCK_MONOTONIC) | 1;
	*ret = s;
	return 0;
}

void sampler_free(struct sampler *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->processes; i++)
		sampled_free(s->process[i]);
	free(s->process);
	free(s);
}

/* ---- processes --------------------------------------------------------------------------- */

/* Index, or s->processes. */
static size_t process_find(const struct sampler *s, uint32_t pid)
{
	size_t i = 0;

	while (i < s->processes && sampled_pid(s->process[i]) != pid)
		i++;
	return i;
}

int sampler_process(struct sampler *s, uint32_t pid, uint32_t hexversion)
{
	struct sampled *new, **more;

	sampler_process_end(s, pid);
	if (s->processes >= PROCESSES_MAX)
		return -ENOBUFS;
	more = reallocarray(s->process, s->processes + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->process = more;
	new = sampled_new(pid, hexversion);
	if (!new)
		return -ENOMEM;
	s->process[s->processes++] = new;
	return 0;
}

void sampler_process_end(struct sampler *s, uint32_t pid)
{
	size_t at = process_find(s, pid);

	if (at == s->processes)
		return;
	sampled_free(s->process[at]);
	s->process[at] = s->process[--s->processes];
}

/* ---- time -------------------------------------------------------------------------------- */

/* Three quarters to five quarters of it: a program's own rhythm must not meet ours. xorshift64*. */
static uint64_t jitter(struct sampler *s, uint64_t period_ns)
{
	s->random ^= s->random >> 12;
	s->random ^= s->random << 25;
	s->random ^= s->random >> 27;
	return period_ns / 4 * 3 + s->random * 0x2545f4914f6cdd1dull % (period_ns / 2 + 1);
}

static uint64_t period(uint64_t age_ns, uint64_t cost_ns)
{
	uint64_t ns = age_ns / SAMPLING_PERIODS_PER_AGE;

	ns = ns > SAMPLING_PERIOD_MAX_NS ? SAMPLING_PERIOD_MAX_NS : ns;
	ns = ns < SAMPLING_PERIOD_MIN_NS ? SAMPLING_PERIOD_MIN_NS : ns;
	return ns < cost_ns * COST_SHARE ? cost_ns * COST_SHARE : ns;
}

/* ---- looking ----------------------------------------------------------------------------- */

static struct held *held_get(struct sampler *s, const struct busy_loop *busy)
{
	struct held *h;

	for (size_t i = 0; i < s->holds; i++) {
		h = &s->held[i];
		if (h->busy.pid != busy->pid || h->busy.file != busy->file ||
			h->busy.slot != busy->slot)
			continue;
		if (h->busy.loop.busy_since_ns != busy->loop.busy_since_ns)
			*h = (struct held){0};
		h->busy = *busy;
		return h;
	}
	if (s->holds == LOOPS_MAX)
		return NULL;
	h = &s->held[s->holds++];
	*h = (struct held){.busy = *busy};
	return h;
}

static void held_forget_unseen(struct sampler *s)
{
	size_t left = 0;

	for (size_t i = 0; i < s->holds; i++)
		if (s->held[i].seen)
			s->held[left++] = s->held[i];
	s->holds = left;
}

/* Whose code keeps the loop from the GIL. It counts only if the loop has waited for it all the
 * time. */
static void take_holder(const struct feed *feed, struct sampled *process, const struct held *h,
	uint64_t now_ns, uint64_t stands_for_ns)
{
	int rc;

	if (!feed->ops->waits_for_gil(feed, &h->busy))
		return;
	rc = sampled_take_holder(process, &h->busy.loop, now_ns, stands_for_ns);
	if (!rc && feed->ops->waits_for_gil(feed, &h->busy))
		sampled_keep(process);
	else
		sampled_drop(process);
}

/* The feed's own sensor has samples of that thread while it is on a CPU, also of now. */
static bool is_served(const struct feed *feed, const struct held *h, uint64_t now_ns)
{
	uint64_t since_ns = h->busy.loop.busy_since_ns, last_ns;

	if (!feed->ops->sampled_ns)
		return false;
	last_ns = feed->ops->sampled_ns(feed, &h->busy);
	return last_ns > since_ns &&
	       now_ns < last_ns + SERVED_PERIODS * period(now_ns - since_ns, 0);
}

static void clocks_note(struct held *h)
{
	const struct ring_loop *loop = &h->busy.loop;

	if (!h->first.cpu_ns)
		h->first = h->clocks;
	if (!loop->call || h->call_since_ns == loop->call_since_ns)
		return;
	h->call_since_ns = loop->call_since_ns;
	h->call_first = h->clocks;
}

/* A sample counts only if the iteration has gone on all the time. */
static void take(struct sampler *s, const struct feed *feed, struct held *h)
{
	size_t at = process_find(s, h->busy.pid);
	uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC), cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t since_ns = h->busy.loop.busy_since_ns, wait_ns;
	uint64_t stands_for_ns = begin_ns - (h->last_ns ? h->last_ns : since_ns);
	bool served = is_served(feed, h, begin_ns);
	int rc = -ESRCH;

	if (at < s->processes && begin_ns > since_ns && feed->ops->still_busy(feed, &h->busy))
		rc = sampled_take(s->process[at], &h->busy.loop,
			feed->ops->native ? feed->ops->native(feed, &h->busy) : NULL, begin_ns,
			served ? 0 : stands_for_ns, &h->clocks);
	s->queued = true;
	if (rc == -EALREADY && feed->ops->still_busy(feed, &h->busy)) {
		rc = 0; /* where it was the other sensor tells */
	} else if (!rc && feed->ops->still_busy(feed, &h->busy)) {
		sampled_keep(s->process[at]);
		clocks_note(h);
		take_holder(feed, s->process[at], h, begin_ns, stands_for_ns);
		s->counts.taken++;
	} else if (at < s->processes) {
		sampled_drop(s->process[at]);
		s->counts.ended += !rc;
		s->counts.torn += rc == -EAGAIN;
		rc = rc ? rc : -ESRCH;
	}
	cpu_ns = h->last_ns ? clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns : 0;
	wait_ns = period(begin_ns - since_ns, cpu_ns);
	h->last_ns = rc ? h->last_ns : begin_ns;
	h->next_ns = begin_ns + jitter(s, rc == -EAGAIN ? wait_ns / 4 : wait_ns);
	if (rc == -ENOTSUP)
		h->next_ns = UINT64_MAX;
}

uint64_t sampler_look(struct sampler *s, const struct feed *feed, uint64_t now_ns)
{
	size_t n = feed->ops->busy(feed, s->loops, LOOPS_MAX);
	uint64_t next_ns = UINT64_MAX;

	for (size_t i = 0; i < s->holds; i++)
		s->held[i].seen = false;
	for (size_t i = 0; i < n; i++) {
		struct held *h = held_get(s, &s->loops[i]);

		if (!h)
			continue;
		h->seen = true;
		if (!h->next_ns)
			h->next_ns = h->busy.loop.busy_since_ns + SAMPLING_HELD_NS;
		if (h->next_ns <= now_ns)
			take(s, feed, h);
		next_ns = h->next_ns < next_ns ? h->next_ns : next_ns;
	}
	held_forget_unseen(s);
	return next_ns;
}

int sampler_task(struct sampler *s, uint32_t pid, uint64_t task, uint64_t future, uint64_t now_ns)
{
	size_t at = process_find(s, pid);

	if (at == s->processes)
		return -ESRCH;
	s->queued = true;
	return sampled_task(s->process[at], task, future, now_ns);
}

int sampler_hand_out(struct sampler *s, uint32_t pid, uint64_t until_ns, record_fn sink, void *ctx)
{
	size_t at;

	if (!s->queued) /* nearly always: this stands before every record */
		return 0;
	at = process_find(s, pid);
	return at < s->processes ? sampled_hand_out(s->process[at], until_ns, sink, ctx) : 0;
}

int sampler_hand_out_all(struct sampler *s, uint64_t until_ns, record_fn sink, void *ctx)
{
	int rc = 0;

	if (!s->queued)
		return 0;
	s->queued = false;
	for (size_t i = 0; i < s->processes; i++) {
		rc = rc ? rc : sampled_hand_out(s->process[i], until_ns, sink, ctx);
		s->queued |= sampled_pending(s->process[i]);
	}
	return rc;
}

int sampler_longest(const struct sampler *s, struct busy_loop *ret)
{
	const struct held *longest = NULL;

	for (size_t i = 0; i < s->holds; i++) {
		const struct held *h = &s->held[i];

		if (h->last_ns &&
			(!longest || h->busy.loop.busy_since_ns < longest->busy.loop.busy_since_ns))
			longest = h;
	}
	if (longest)
		*ret = longest->busy;
	return longest != NULL;
}

void sampler_ended(struct sampler *s, uint32_t pid)
{
	for (size_t i = 0; i < s->holds; i++) {
		struct held *h = &s->held[i];
		struct thread_clocks now;

		if (h->busy.pid == pid && h->first.cpu_ns &&
			process_thread_clocks(pid, h->busy.loop.tid, &now) &&
			now.cpu_ns >= h->clocks.cpu_ns && now.runq_ns >= h->clocks.runq_ns)
			h->clocks = now;
	}
}

int sampler_used(const struct sampler *s, const struct busy_loop *busy, struct sampler_used *ret)
{
	for (size_t i = 0; i < s->holds; i++) {
		const struct held *h = &s->held[i];

		if (h->busy.pid != busy->pid || h->busy.file != busy->file ||
			h->busy.slot != busy->slot ||
			h->busy.loop.busy_since_ns != busy->loop.busy_since_ns ||
			!h->first.cpu_ns || !h->clocks.cpu_ns)
			continue;
		*ret = (struct sampler_used){h->clocks.cpu_ns - h->first.cpu_ns,
			h->clocks.runq_ns - h->first.runq_ns, 0};
		if (busy->loop.call && h->call_since_ns == busy->loop.call_since_ns)
			ret->call_cpu_ns = h->clocks.cpu_ns - h->call_first.cpu_ns;
		return 0;
	}
	return -ENOENT;
}

void sampler_counts(const struct sampler *s, struct sampler_counts *ret)
{
	*ret = s->counts;
}
