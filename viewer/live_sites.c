/* Blocking calls in the live view, summed by place as they come; and the notebook's cells. */
#include "viewer/live_model.h"

#include <errno.h>
#include <stdlib.h>

#include "viewer/names.h"

#define SITES_MOST 4096u  /* places kept; calls of others are only counted */
#define SITE_SLOTS 16384u /* a power of two, four times as many */
#define CELLS_MOST 500    /* shown, the newest */

/* ---- blocking calls ---------------------------------------------------------------------- */

/* Texts are kept once, so they are equal where their pointers are. */
static size_t slot_of(const struct live_site *site)
{
	const uint64_t parts[] = {(uintptr_t)site->at.file, (uintptr_t)site->call,
		(uintptr_t)site->class, (uint64_t)site->at.line};
	uint64_t hash = 14695981039346656037u; /* FNV-1a, by words */

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		hash = (hash ^ parts[i]) * 1099511628211u;
	return (hash ^ hash >> 32) & (SITE_SLOTS - 1);
}

static bool alike(const struct live_site *a, const struct live_site *b)
{
	return a->at.file == b->at.file && a->at.line == b->at.line && a->call == b->call &&
	       a->class == b->class;
}

/* *ret NULL: there are too many. */
static int site_get(struct live_model *model, const struct live_site *call, struct live_site **ret)
{
	size_t slot = slot_of(call);
	struct live_site *site;

	while (model->site_slots[slot]) {
		site = &model->sites.at[model->site_slots[slot] - 1];
		if (alike(site, call)) {
			*ret = site;
			return 0;
		}
		slot = (slot + 1) & (SITE_SLOTS - 1);
	}
	*ret = NULL;
	if (model->sites.n >= SITES_MOST)
		return 0;
	site = list_add(&model->sites);
	if (!site)
		return -ENOMEM;
	*site = *call;
	model->site_slots[slot] = (int)model->sites.n;
	*ret = site;
	return 0;
}

static int call_take(struct live_model *model, sqlite3_stmt *rows)
{
	struct live_site call = {.id = sqlite3_column_int64(rows, 0),
		.loop = sqlite3_column_int64(rows, 1),
		.stack = sqlite3_column_int64(rows, 2),
		.call = call_words(&model->strings, column_text(rows, 6), column_text(rows, 11),
			column_text(rows, 7)),
		.class = live_text(model, rows, 7)};
	uint64_t ns = column_ns(rows, 10);
	struct live_site *site;

	model->call_id = call.id;
	if (!call.call || !call.class || live_place_of(model, rows, 3, &call.at) ||
		site_get(model, &call, &site))
		return -ENOMEM;
	if (!site) {
		model->sites_cut++;
		return 0;
	}
	if (!site->count || ns >= site->longest_ns) { /* the longest stands for them */
		site->longest_ns = ns;
		site->stack = call.stack;
		site->target = live_text(model, rows, 8);
	}
	site->count++;
	site->total_ns += ns;
	site->last_ns = column_ns(rows, 9);
	return site->target ? 0 : -ENOMEM;
}

int live_sites_read(struct live_model *model, uint64_t deadline_ns)
{
	sqlite3_stmt *rows = live_rows(model, QUERY_live_call);
	int rc = rows ? 0 : -EIO;

	if (!model->site_slots)
		model->site_slots = calloc(SITE_SLOTS, sizeof(*model->site_slots));
	if (!model->site_slots)
		return -ENOMEM;
	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, model->call_id);
	while (!rc && (rc = trace_next(model->trace, rows)) == 1) {
		rc = call_take(model, rows);
		if (rc || !live_late(deadline_ns))
			continue;
		model->behind = true;
		break;
	}
	return rc;
}

/* ---- cells ------------------------------------------------------------------------------- */

static void cells_drop(struct live_model *model)
{
	for (size_t i = 0; i < model->cells.n; i++)
		free(model->cells.at[i].line);
	model->cells.n = 0;
}

void live_cells_free(struct live_model *model)
{
	cells_drop(model);
	free(model->cells.at);
}

static int cell_take(struct live_model *model, sqlite3_stmt *rows)
{
	const char *source = column_text(rows, 8);
	struct live_cell *cell = list_add(&model->cells);

	if (!cell)
		return -ENOMEM;
	cell->id = sqlite3_column_int64(rows, 0);
	cell->process = sqlite3_column_int64(rows, 1);
	cell->loop = sqlite3_column_int64(rows, 2);
	cell->count = sqlite3_column_int64(rows, 3);
	cell->began_ns = column_ns(rows, 4);
	cell->ended_ns = column_ns(rows, 5);
	cell->status = live_text(model, rows, 6);
	cell->filename = live_text(model, rows, 7);
	cell->line = strndup(source, strcspn(source, "\n"));
	cell->tasks = column_ns(rows, 9);
	live_loop_is_users(model, cell->loop);
	return cell->status && cell->filename && cell->line ? 0 : -ENOMEM;
}

int live_cells_read(struct live_model *model)
{
	sqlite3_stmt *rows = live_rows(model, QUERY_live_cell);
	int rc = rows ? 0 : -EIO;

	cells_drop(model);
	if (rc)
		return rc;
	sqlite3_bind_int(rows, 1, CELLS_MOST);
	while (!rc && (rc = trace_next(model->trace, rows)) == 1)
		rc = cell_take(model, rows);
	return rc;
}
