/* The lines of the live view: how one is written, and what stands above every view. */
#include "viewer/live_page.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "probe/base/units.h"
#include "viewer/names.h"
#include "viewer/text_parts.h"

#define NS_PER_S 1000000000ull
#define COMMAND_MOST 60         /* characters */
#define HEAD_FRAMES 5           /* lines of the stack above every view */
#define FRAMES_READ 64          /* of the stack, innermost first */
#define QUIET_NS (5 * NS_PER_S) /* a recorder writes four times a second where anything happens */

/* ---- lines ------------------------------------------------------------------------------- */

void live_lines_free(live_lines *lines)
{
	for (size_t i = 0; i < lines->n; i++)
		free(lines->at[i].text);
	free(lines->at);
	*lines = (live_lines){0};
}

static void line_keep(struct live_paper *paper, enum style style, char *text)
{
	struct live_line *line = text ? list_add(&paper->lines) : NULL;

	paper->failed |= !line;
	if (line)
		*line = (struct live_line){text, style};
	else
		free(text);
}

void live_line(struct live_paper *paper, enum style style, const char *format, ...)
{
	cleanup(freep) char *safe = NULL;
	char *text = NULL;
	size_t size;
	va_list args;

	va_start(args, format);
	safe = text_vformat(format, args);
	va_end(args);
	paper->screen.out = safe ? open_memstream(&text, &size) : NULL;
	if (paper->screen.out) { /* as the terminal can show it */
		screen_put(&paper->screen, STYLE_plain, safe);
		fclose(paper->screen.out);
	}
	line_keep(paper, style, text);
}

int live_table_lines(struct live_paper *paper, struct table *table)
{
	char *text = NULL;
	size_t size;
	int rc;

	paper->screen.out = open_memstream(&text, &size);
	if (!paper->screen.out)
		return -ENOMEM;
	rc = table_print(table, &paper->screen);
	if (fclose(paper->screen.out))
		rc = -ENOMEM;
	for (char *p = text, *end; p && !rc && (end = strchr(p, '\n')); p = end + 1)
		line_keep(
			paper, p == text ? STYLE_dim : STYLE_plain, strndup(p, (size_t)(end - p)));
	free(text);
	return rc || paper->failed ? -ENOMEM : 0;
}

/* ---- names ------------------------------------------------------------------------------- */

char *live_cell_name(const struct live_cell *cell, char *buf, size_t size)
{
	if (cell->count)
		snprintf(buf, size, "In [%" PRId64 "]", cell->count);
	else
		snprintf(buf, size, cell->ended_ns ? "cell %" PRId64 : "In [*]", cell->id);
	return buf;
}

/* The cell whose code the file is: of several executions of the same source the one nearby, else
 * the newest. */
static const struct live_cell *cell_of_code(
	const struct live_model *model, const char *file, int64_t near)
{
	const struct live_cell *cell = live_cell_of(model, near);

	if (cell && cell->filename == file && *file) /* texts are kept once */
		return cell;
	for (size_t i = 0; i < model->cells.n; i++)
		if (model->cells.at[i].filename == file && *file)
			return &model->cells.at[i];
	return NULL;
}

char *live_place_text(const struct live_model *model, const struct live_place *place, int64_t near)
{
	const struct live_cell *cell = place->file ? cell_of_code(model, place->file, near) : NULL;
	char name[LIVE_CELL_BYTES], *text;
	int n;

	if (!place->file)
		return strdup("");
	n = asprintf(&text, "%s:%d",
		cell ? live_cell_name(cell, name, sizeof(name)) : path_shown(place->file),
		place->line);
	return n < 0 ? NULL : text;
}

static bool is_named(const struct live_place *place)
{
	return place->function && *place->function && *place->function != '<';
}

/* "in score() at In [7]:2". */
static char *place_words(const struct live_model *model, const struct live_place *place)
{
	cleanup(freep) char *where = live_place_text(model, place, 0);
	bool named = is_named(place);
	char *text;

	if (!where || asprintf(&text, "%s%s%sat %s", named ? "in " : "",
			      named ? place->function : "", named ? "() " : "", where) < 0)
		return NULL;
	return text;
}

/* ---- stacks ------------------------------------------------------------------------------ */

static void frame_line(struct live_paper *paper, const struct live_place *place, bool user)
{
	cleanup(freep) char *where = live_place_text(paper->model, place, paper->near);

	live_line(paper, user ? STYLE_plain : STYLE_dim, "    %s  %s", where ? where : "?",
		place->function);
}

static void hidden_line(struct live_paper *paper, size_t hidden)
{
	if (hidden)
		live_line(paper, STYLE_dim, "    %zu library frame%s hidden", hidden,
			hidden == 1 ? "" : "s");
}

int live_stack(struct live_model *model, struct live_paper *paper, int64_t stack, size_t most)
{
	sqlite3_stmt *rows = live_rows(model, QUERY_stack_frames);
	size_t hidden = 0, lines = 0, n = 0;
	int rc = rows ? 0 : -EIO;

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, stack);
	sqlite3_bind_int(rows, 2, FRAMES_READ);
	for (; !rc && lines < most && (rc = trace_next(model->trace, rows)) == 1; n++) {
		bool user = sqlite3_column_int(rows, 3) != 0;
		struct live_place place;

		rc = live_place_of(model, rows, 0, &place);
		if (rc)
			break;
		if (!user && n) { /* the innermost is shown whosever it is */
			hidden++;
			continue;
		}
		hidden_line(paper, hidden);
		lines += hidden != 0;
		hidden = 0;
		frame_line(paper, &place, user);
		lines++;
	}
	if (lines < most)
		hidden_line(paper, hidden);
	sqlite3_reset(rows);
	return rc < 0 ? rc : 0;
}

/* ---- the head ---------------------------------------------------------------------------- */

/* What the trace is at this moment. */
static void state_text(const struct live_model *model, char *buf, size_t size)
{
	uint64_t quiet_ns =
		model->now_ns > model->committed_ns ? model->now_ns - model->committed_ns : 0;
	char text[DURATION_BYTES], now[DURATION_BYTES];

	duration_text(model->now_ns, now);
	if (model->complete)
		snprintf(buf, size, "recorded for %s, ended", now);
	else if (!model->recorded)
		snprintf(buf, size, "recorded for %s, the recorder is gone", now);
	else if (quiet_ns >= QUIET_NS)
		snprintf(buf, size, "recording for %s, nothing new for %s", now,
			duration_text(quiet_ns, text));
	else
		snprintf(buf, size, "recording for %s", now);
}

static void title_line(const struct live_model *model, struct live_paper *paper)
{
	const struct live_process *first = model->processes.n ? &model->processes.at[0] : NULL;
	const char *slash = strrchr(model->notebook, '/');
	cleanup(freep) char *command = first ? command_text(first->argv) : NULL;
	cleanup(freep) char *shown =
		command ? text_for_terminal(command, COMMAND_MOST)
			: strdup(first ? "" : "no process with an event loop yet");
	char pid[64] = "";

	if (model->processes.n > 1)
		snprintf(pid, sizeof(pid), "%zu processes", model->processes.n);
	else if (first)
		snprintf(pid, sizeof(pid), "process %" PRId64, first->pid);
	live_line(paper, STYLE_bold, "%s%s%s%s%s",
		*model->notebook ? slash ? slash + 1 : model->notebook : "",
		*model->notebook ? ", " : "", pid, *pid && shown && *shown ? ", " : "",
		shown ? shown : "");
}

static void counts_line(const struct live_model *model, struct live_paper *paper)
{
	char state[160], lost[64] = "", reading[64] = "";
	size_t pending = 0;

	for (size_t i = 0; i < model->tasks.n; i++)
		pending += !model->tasks.at[i].ended_ns && model->tasks.at[i].user;
	if (model->lost)
		snprintf(lost, sizeof(lost), ", %" PRIu64 " lost", model->lost);
	if (model->behind)
		snprintf(reading, sizeof(reading), "; reading, %.0f %%", model->read_share * 100);
	state_text(model, state, sizeof(state));
	live_line(paper, STYLE_dim, "%s; %zu task%s pending%s%s", state, pending,
		pending == 1 ? "" : "s", lost, reading);
}

static void holder_line(
	const struct live_model *model, struct live_paper *paper, const struct live_held *held)
{
	cleanup(freep) char *where = held->gil_thread ? place_words(model, &held->gil_at) : NULL;

	if (held->gil_thread)
		live_line(paper, STYLE_red, "it waits for the GIL, which %s has, %s",
			*held->gil_thread ? held->gil_thread : "another thread",
			where ? where : "?");
}

static int held_lines(
	struct live_model *model, struct live_paper *paper, const struct live_loop *loop)
{
	const struct live_held *held = &loop->held;
	cleanup(freep) char *where = place_words(model, &held->at);
	char text[DURATION_BYTES];

	live_line(paper, STYLE_red, "%s has been held for %s, %s, %s", loop->thread_name,
		duration_text(model->now_ns - held->begin_ns, text), where ? where : "?",
		held->computes ? "computing" : "waiting");
	holder_line(model, paper, held);
	return held->stack ? live_stack(model, paper, held->stack, HEAD_FRAMES) : 0;
}

static int past_lines(struct live_model *model, struct live_paper *paper)
{
	const struct live_past *past = &model->past;
	const struct live_loop *loop = live_loop_of(model, past->loop);
	cleanup(freep) char *where = place_words(model, &past->at);
	char ago[DURATION_BYTES], text[DURATION_BYTES];

	if (!loop)
		return 0;
	live_line(paper, STYLE_dim, "%s ago %s was held for %s, %s",
		duration_text(model->now_ns > past->end_ns ? model->now_ns - past->end_ns : 0, ago),
		loop->thread_name, duration_text(past->ns, text), where ? where : "?");
	return past->stack ? live_stack(model, paper, past->stack, HEAD_FRAMES - 1) : 0;
}

int live_head(struct live_model *model, struct live_paper *paper)
{
	const struct live_loop *held = live_held_longest(model);
	const char *warning = trace_warning(model->trace);

	title_line(model, paper);
	counts_line(model, paper);
	if (warning)
		live_line(paper, STYLE_dim, "%s", warning);
	if (held)
		return held_lines(model, paper, held);
	if (!model->recorded)
		return 0;
	live_line(paper, STYLE_plain, "no loop is held now");
	return past_lines(model, paper);
}
