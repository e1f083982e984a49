/*
 * What the live view looks like: lines of text, from the model and from what the person at it has
 * chosen. The same lines go to a terminal and to a pipe. Silent.
 */
#ifndef VIEWER_LIVE_PAGE_H
#define VIEWER_LIVE_PAGE_H

#include "viewer/live_model.h"
#include "viewer/screen.h"

enum live_view { LIVE_LOOPS, LIVE_TASKS, LIVE_SITES, LIVE_CELLS, LIVE_VIEWS };

struct live_look {
	enum live_view view;
	unsigned int sort[LIVE_VIEWS]; /* index of the key that rows are sorted by */
	unsigned int seconds;          /* the window of loops' figures, or LIVE_WHOLE */
	bool all;                      /* also what is Jupyter's or libraries' own */
};

struct live_line {
	char *text; /* safe for a terminal; may be longer than it is wide */
	enum style style;
};

typedef LIST(struct live_line) live_lines;

struct live_paper { /* what lines are written on */
	const struct live_model *model;
	struct screen screen; /* .out is set for each line */
	live_lines lines;
	int64_t near; /* the cell that what is written is about; 0: none */
	bool failed;  /* out of memory */
};

struct live_order { /* the rows of a view: indexes into the model's list */
	size_t *at;
	size_t n, hidden; /* hidden: rows that live_look.all would show */
};

void live_lines_free(live_lines *lines);
/* One line, escaped; nothing of what a target wrote reaches a terminal raw. */
void live_line(struct live_paper *paper, enum style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A table's titles, dim, and its rows. -ENOMEM. */
int live_table_lines(struct live_paper *paper, struct table *table);
/* Frames of a stack, innermost first, at most so many lines; libraries' are summed up. -EIO. */
int live_stack(struct live_model *model, struct live_paper *paper, int64_t stack, size_t most);
const char *live_task_state_text(const struct live_model *model, const struct live_task *task);
#define LIVE_LAG_BYTES 64
/* A percentile. Below --min-step only totals are kept: there it is known to be less, and no more.
 * Returns buf. */
char *live_lag_text(
	const struct live_model *model, const struct lag *lag, uint64_t ns, char *buf, size_t size);
/* "In [3]:2", "app.py:7". near: a cell, of the task that the place was met in; 0: none. malloc'd;
 * NULL when out of memory. */
char *live_place_text(const struct live_model *model, const struct live_place *place, int64_t near);
#define LIVE_CELL_BYTES 32
/* "In [3]", "In [*]" while it runs and its number is not known. Returns buf. */
char *live_cell_name(const struct live_cell *cell, char *buf, size_t size);

/* What is shown of every view: the process, what holds a loop now and its stack. -EIO. */
int live_head(struct live_model *model, struct live_paper *paper);
/* Which rows, in which order. The caller frees ret->at. -ENOMEM. */
int live_sorted(
	const struct live_model *model, const struct live_look *look, struct live_order *ret);
const char *live_view_name(enum live_view view);
/* The name of the key that rows of this view are sorted by; *ret_keys: how many there are. */
const char *live_sort_name(const struct live_look *look, unsigned int *ret_keys);
int64_t live_row_id(const struct live_model *model, enum live_view view, size_t index);
/* Titles, and these rows; nothing where there is none. -ENOMEM. */
int live_table(const struct live_model *model, const struct live_look *look,
	struct live_paper *paper, const size_t *rows, size_t n);
/* All about one row. -EIO; -ENOENT: it is not there any more. */
int live_detail(
	struct live_model *model, enum live_view view, int64_t id, struct live_paper *paper);

#endif
