/*
 * Who had the GIL while a loop was held for want of it, as the kernel saw or samples from outside
 * say. Asked of the stalls of which waiting for it is a part that counts.
 */
#include "viewer/report.h"

#include <errno.h>

#include "probe/base/cleanup.h"
#include "probe/base/units.h"
#include "viewer/names.h"
#include "viewer/text_parts.h"

#define SHARE_LEAST 10 /* one part in so many of the stall */

/* A row: place, thread, samples, its id, how long it had the GIL, whether the kernel saw that; a
 * holder's rows together, its main place first. */
static int holder_take(struct report *report, sqlite3_stmt *rows)
{
	struct gil_holder *h = list_add(&report->holders);

	if (!h)
		return -ENOMEM;
	h->samples = column_ns(rows, 4);
	h->held_ns = column_ns(rows, 6);
	h->thread = keep_column(report, rows, 3);
	return h->thread ? keep_place(report, rows, 0, &h->place) : -ENOMEM;
}

/*
 * Of how long each had it only the shares count, of all that had it: what was sampled stands for
 * other causes too. What the kernel saw is so long; the rest of the wait is nobody's.
 */
static void holders_share(struct report *report, struct stall *s, uint64_t all_ns, bool exact)
{
	struct gil_holder *h = &report->holders.at[s->holders_at];
	uint64_t gil_ns = s->causes.ns[CAUSE_gil];

	s->unheld_ns = gil_ns;
	for (size_t i = 0; i < s->holders; i++) {
		if (all_ns > gil_ns || (all_ns && !exact))
			h[i].held_ns = (uint64_t)((__uint128_t)h[i].held_ns * gil_ns / all_ns);
		s->unheld_ns -= h[i].held_ns;
	}
	s->holder = *h;
}

static int holder_read(struct report *report, struct stall *s)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int64_t last = -1; /* no thread's */
	uint64_t all_ns = 0;
	bool exact = false;
	int rc = trace_rows(report->trace, QUERY_gil_holder, &rows);

	if (rc)
		return rc;
	s->holders_at = report->holders.n;
	sqlite3_bind_int64(rows, 1, s->iteration);
	while ((rc = trace_next(report->trace, rows)) == 1) {
		if (sqlite3_column_int64(rows, 5) == last)
			continue;
		last = sqlite3_column_int64(rows, 5);
		all_ns += column_ns(rows, 6);
		exact = sqlite3_column_int(rows, 7);
		if (s->holders == HOLDERS_MAX)
			continue;
		rc = holder_take(report, rows);
		if (rc)
			return rc;
		s->holders++;
	}
	if (s->holders)
		holders_share(report, s, all_ns, exact);
	return rc < 0 ? rc : 0;
}

int holders_read(struct report *report)
{
	int rc = 0;

	for (size_t i = 0; i < report->stalls.n && !rc; i++) {
		struct stall *s = &report->stalls.at[i];

		if (s->causes.ns[CAUSE_gil] &&
			(s->causes.ns[CAUSE_gil] >= report->stall_ns ||
				s->causes.ns[CAUSE_gil] >= s->busy_ns / SHARE_LEAST))
			rc = holder_read(report, s);
	}
	return rc;
}

void holders_print_others(
	const struct report *report, int cell, const struct stall *stall, FILE *out)
{
	char text[DURATION_BYTES];

	for (size_t i = 1; i < stall->holders; i++) {
		const struct gil_holder *h = &report->holders.at[stall->holders_at + i];
		const char *function = function_name(&h->place);

		if (h->held_ns < stall->causes.ns[CAUSE_gil] / SHARE_LEAST)
			continue;
		if (*h->thread)
			fprintf(out, "; %sthread %s",
				strcmp(h->thread, stall->holder.thread) ? "" : "another ",
				h->thread);
		else
			fputs("; another thread", out);
		if (function)
			fprintf(out, ", in %s", function);
		fputs(", ", out);
		place_print(report, cell, &h->place, out);
		fprintf(out, ", had it %s", duration_format(h->held_ns, text, sizeof(text)));
	}
}
