/*
 * Who had the CPU while loops were ready to run: by programs, as the kernel saw. Asked by the rule
 * of starved loops. What is not known of a wait is in nobody's part.
 */
#include "viewer/takers.h"

#include <errno.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "viewer/names.h"

#define BY_HYPERVISOR 0 /* for a pid, in the trace */
#define TOLD_MAX 3      /* programs in a sentence */
#define SHARE_LEAST 20  /* one part in so many of the wait is worth naming */
#define PERCENT 100
#define BUSY_LEAST 80   /* percent of all CPUs: below it there was one for it */
#define STOLEN_LEAST 20 /* one part in so many of all CPUs is worth a word */

static struct taker *taker_of(taker_list *takers, const char *name)
{
	for (size_t i = 0; i < takers->n; i++)
		if (!strcmp(takers->at[i].name, name))
			return &takers->at[i];
	return NULL;
}

/* A row: pid, name, how long. */
static int take(struct report *report, taker_list *takers, sqlite3_stmt *rows)
{
	const char *name = keep_column(report, rows, 1);
	struct taker *t = name ? taker_of(takers, name) : NULL;
	int64_t pid = sqlite3_column_int64(rows, 0);

	if (name && !t) {
		t = list_add(takers);
		if (t)
			*t = (struct taker){.name = name, .pid = pid};
	}
	if (!t)
		return -ENOMEM;
	t->several |= t->pid != pid;
	t->ns += column_ns(rows, 2);
	return 0;
}

static int longest_compare(const void *a, const void *b)
{
	const struct taker *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	return strcmp(x->name, y->name);
}

int takers_add(struct report *report, const struct stall *stall, taker_list *takers)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_cpu_taken, &rows);

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, stall->iteration);
	while ((rc = trace_next(report->trace, rows)) == 1) {
		rc = take(report, takers, rows);
		if (rc)
			return rc;
	}
	if (takers->n)
		qsort(takers->at, takers->n, sizeof(*takers->at), longest_compare);
	return rc;
}

bool takers_known(const taker_list *takers, uint64_t wait_ns)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < takers->n; i++)
		sum += takers->at[i].ns;
	return sum && sum >= wait_ns / 2;
}

uint64_t takers_stolen(const taker_list *takers)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < takers->n; i++)
		ns += takers->at[i].pid == BY_HYPERVISOR ? takers->at[i].ns : 0;
	return ns;
}

void takers_print(const taker_list *takers, uint64_t wait_ns, FILE *out)
{
	const char *between = "; of that the CPU was had by ";

	for (size_t i = 0; i < takers->n && i < TOLD_MAX; i++) {
		const struct taker *t = &takers->at[i];

		if (t->ns < wait_ns / SHARE_LEAST)
			break;
		if (t->pid == BY_HYPERVISOR)
			continue;
		fprintf(out, "%s%s ", between, t->name);
		if (t->several)
			fputs("(several processes)", out);
		else
			fprintf(out, "(pid %lld)", (long long)t->pid);
		fprintf(out, " %.0f %%", (double)t->ns * PERCENT / (double)wait_ns);
		between = ", ";
	}
}

int load_add(struct report *report, const struct stall *stall, struct machine_load *load)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_machine, &rows);

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, (sqlite3_int64)stall->begin_ns);
	sqlite3_bind_int64(rows, 2, (sqlite3_int64)(stall->begin_ns + stall->busy_ns));
	rc = trace_next(report->trace, rows);
	if (rc != 1)
		return rc;
	load->busy_ns += sqlite3_column_double(rows, 0);
	load->stolen_ns += sqlite3_column_double(rows, 1);
	load->all_ns += sqlite3_column_double(rows, 2);
	if (sqlite3_column_int(rows, 3) > load->cpus)
		load->cpus = sqlite3_column_int(rows, 3);
	return 0;
}

double load_share(const struct machine_load *load)
{
	return load->busy_ns < load->all_ns ? load->busy_ns / load->all_ns : 1;
}

bool load_is_low(const struct machine_load *load)
{
	return load->all_ns > 0 &&
	       (load->busy_ns + load->stolen_ns) * PERCENT < load->all_ns * BUSY_LEAST;
}

void load_print(const struct machine_load *load, FILE *out)
{
	if (load->all_ns <= 0)
		return;
	fprintf(out, load->cpus == 1 ? "; the machine's CPU was" : "; the machine's %d CPUs were",
		load->cpus);
	fprintf(out, " %.0f %% busy then", load_share(load) * PERCENT);
	if (load->stolen_ns >= load->all_ns / STOLEN_LEAST)
		fprintf(out, ", and %.0f %% taken by its hypervisor",
			load->stolen_ns * PERCENT / load->all_ns);
}
