/* See window.h. */
#include "collector/window.h"

#define NS_PER_S 1000000000ull
#define WHOLE_SLICES (WINDOW_SLICES - 2)

static uint64_t slice_length(uint64_t keep_ns)
{
	uint64_t ns = keep_ns / WHOLE_SLICES + (keep_ns % WHOLE_SLICES != 0);

	return ns / NS_PER_S * NS_PER_S + (ns % NS_PER_S ? NS_PER_S : 0);
}

uint64_t window_from(uint64_t keep_ns, uint64_t now_ns)
{
	uint64_t slice_ns = slice_length(keep_ns);

	return now_ns > keep_ns ? (now_ns - keep_ns) / slice_ns * slice_ns : 0;
}

void window_add(struct window *window, uint64_t keep_ns, uint64_t end_ns, uint64_t busy_ns,
	uint64_t select_ns)
{
	uint64_t number = end_ns / slice_length(keep_ns);
	struct window_slice *s = &window->slice[number % WINDOW_SLICES];

	if (s->number != number)
		*s = (struct window_slice){.number = number};
	s->counts.iterations++;
	s->counts.busy_ns += busy_ns;
	s->counts.select_ns += select_ns;
	if (busy_ns > s->counts.max_busy_ns)
		s->counts.max_busy_ns = busy_ns;
}

struct window_counts window_sum(const struct window *window, uint64_t keep_ns, uint64_t from_ns)
{
	uint64_t first = from_ns / slice_length(keep_ns);
	struct window_counts sum = {0};

	for (unsigned int i = 0; i < WINDOW_SLICES; i++) {
		const struct window_counts *c = &window->slice[i].counts;

		if (window->slice[i].number < first)
			continue;
		sum.iterations += c->iterations;
		sum.busy_ns += c->busy_ns;
		sum.select_ns += c->select_ns;
		if (c->max_busy_ns > sum.max_busy_ns)
			sum.max_busy_ns = c->max_busy_ns;
	}
	return sum;
}
