/* Which loop is held at this moment, and where: by the samples of an iteration that has no row yet.
 */
#include "viewer/live_model.h"

#include <errno.h>

#define NS_PER_S 1000000000ull
/* A sample is at most so old where its iteration goes on: they are taken once a second at least and
 * written four times a second. */
#define HELD_FRESH_NS (3 * NS_PER_S)
/* Rows of an old trace that tell of no loop held now. */
#define SAMPLES_BACK 1000

/* The loop that runs on this thread now. */
static struct live_loop *loop_on(struct live_model *model, int64_t thread)
{
	struct live_loop *found = NULL;

	for (size_t i = 0; i < model->loops.n; i++) {
		struct live_loop *loop = &model->loops.at[i];

		if (loop->thread == thread && !loop->ended_ns &&
			(!found || loop->began_ns > found->began_ns))
			found = loop;
	}
	return found;
}

static int64_t newest(int64_t seen, int64_t last)
{
	return last - SAMPLES_BACK > seen ? last - SAMPLES_BACK : seen;
}

static int sample_take(struct live_model *model, sqlite3_stmt *rows)
{
	struct live_loop *loop = loop_on(model, sqlite3_column_int64(rows, 1));
	const char *state = column_text(rows, 9);
	struct live_held held = {.begin_ns = column_ns(rows, 2),
		.time_ns = column_ns(rows, 3),
		.stack = sqlite3_column_int64(rows, 4),
		.task = sqlite3_column_int64(rows, 8),
		.computes = *state == 'R'};

	model->sample_id = sqlite3_column_int64(rows, 0);
	if (!loop)
		return 0;
	if (loop->held.begin_ns == held.begin_ns) {
		held.gil_ns = loop->held.gil_ns;
		held.gil_thread = loop->held.gil_thread;
		held.gil_at = loop->held.gil_at;
	}
	loop->held = held;
	return live_place_of(model, rows, 5, &loop->held.at);
}

static int holder_take(struct live_model *model, sqlite3_stmt *rows)
{
	struct live_loop *loop = loop_on(model, sqlite3_column_int64(rows, 1));

	model->gil_id = sqlite3_column_int64(rows, 0);
	if (!loop || loop->held.begin_ns != column_ns(rows, 2))
		return 0;
	loop->held.gil_ns = column_ns(rows, 7);
	loop->held.gil_thread = live_text(model, rows, 3);
	return loop->held.gil_thread ? live_place_of(model, rows, 4, &loop->held.gil_at) : -ENOMEM;
}

static int newest_read(struct live_model *model, enum query query, int64_t after,
	int (*take)(struct live_model *, sqlite3_stmt *))
{
	sqlite3_stmt *rows = live_rows(model, query);
	int rc = rows ? 0 : -EIO;

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, after);
	while (!rc && (rc = trace_next(model->trace, rows)) == 1)
		rc = take(model, rows);
	return rc;
}

/* Whether its iteration has a row: those read may not be the last ones. */
static int held_ended(struct live_model *model, const struct live_loop *loop, bool *ret)
{
	sqlite3_stmt *rows;
	int rc;

	*ret = loop->last_begin_ns >= loop->held.begin_ns;
	if (*ret || !model->behind)
		return 0;
	rows = live_rows(model, QUERY_live_ended);
	if (!rows)
		return -EIO;
	sqlite3_bind_int64(rows, 1, loop->id);
	sqlite3_bind_int64(rows, 2, (sqlite3_int64)loop->held.begin_ns);
	rc = trace_next(model->trace, rows);
	*ret = rc == 1 && sqlite3_column_int(rows, 0);
	return rc < 0 ? rc : 0;
}

/* Where its iteration has a row, or the sample is too old, the loop goes on. */
static int held_settle(struct live_model *model)
{
	int rc = 0;

	for (size_t i = 0; i < model->loops.n && !rc; i++) {
		struct live_loop *loop = &model->loops.at[i];
		struct live_held *held = &loop->held;
		bool ended = !model->recorded || held->time_ns + HELD_FRESH_NS < model->now_ns;

		if (held->begin_ns && !ended)
			rc = held_ended(model, loop, &ended);
		if (ended)
			*held = (struct live_held){0};
	}
	return rc;
}

int live_held_read(struct live_model *model)
{
	sqlite3_stmt *rows = live_rows(model, QUERY_live_last);
	int rc = rows ? trace_next(model->trace, rows) : -EIO;
	int64_t sample, holder;

	if (rc < 0)
		return rc;
	sample = sqlite3_column_int64(rows, 1);
	holder = sqlite3_column_int64(rows, 2);
	rc = newest_read(model, QUERY_live_sample, newest(model->sample_id, sample), sample_take);
	if (!rc)
		rc = newest_read(
			model, QUERY_live_holder, newest(model->gil_id, holder), holder_take);
	return rc ? rc : held_settle(model);
}

const struct live_loop *live_held_longest(const struct live_model *model)
{
	const struct live_loop *longest = NULL;

	for (size_t i = 0; i < model->loops.n; i++) {
		const struct live_loop *loop = &model->loops.at[i];

		if (loop->held.begin_ns && model->now_ns >= loop->held.begin_ns + model->stall_ns &&
			(!longest || loop->held.begin_ns < longest->held.begin_ns))
			longest = loop;
	}
	return longest;
}
