/* The live view drawn: from the top down the head, then a view's rows, or all about one, or help.
 */
#include "viewer/live_draw.h"

#include <errno.h>

/* Lines that stay for the rows where the terminal is low: views, titles, keys, some rows. */
#define BODY_LEAST 7
#define HEAD_LINES 8
#define LINE_BYTES 256

/* A narrow terminal cuts the end off: help tells the others. */
#define KEYS_LIST " q quit  ? help  1-4 views  j k rows  Enter details  s sort  w window  p pause"
#define KEYS_DETAIL " q quit  Esc back  j k scroll"

static const char *const help_lines[] = {
	"awaitscope live",
	"",
	"  1 2 3 4, Tab    loops, tasks, blocking calls, cells",
	"  j k, arrows     choose a row; PgUp PgDn g G go farther",
	"  Enter, l        all about it: stacks, what a task waits for, a cell's source",
	"  Esc, h          back",
	"  s               sort by the next key",
	"  w               loops: the last 10 s, the last minute, everything recorded",
	"  a               also what belongs to Jupyter and to libraries",
	"  p, space        stop here, and go on",
	"  q, Ctrl-C       quit",
	"",
	"A loop is held while it does not come back to its selector; its stack is above.",
	"Lag: how late a callback that becomes due at a random moment runs.",
	"A bar shows what the loop was busy with: blocked, computing, waiting (for GC,",
	"the GIL, a CPU), unknown or too short to tell.",
};

static int lines_draw(
	struct live_screen *screen, const live_lines *lines, size_t from, int row, int end)
{
	for (size_t i = from; i < lines->n && row < end; i++)
		live_screen_line(screen, row++, lines->at[i].style, false, lines->at[i].text);
	return row;
}

static void views_draw(const struct live_face *face, struct live_screen *screen, int row)
{
	unsigned int keys;
	char line[LINE_BYTES] = "", window[32] = "";
	size_t n = 0;

	for (int i = 0; i < LIVE_VIEWS; i++)
		n += (size_t)snprintf(line + n, sizeof(line) - n,
			i == (int)face->look.view ? "[%d %s] " : " %d %s  ", i + 1,
			live_view_name((enum live_view)i));
	if (face->look.view == LIVE_LOOPS && face->look.seconds)
		snprintf(window, sizeof(window), ", the last %u s", face->look.seconds);
	else if (face->look.view == LIVE_LOOPS)
		snprintf(window, sizeof(window), ", everything");
	snprintf(line + n, sizeof(line) - n, " %zu by %s%s%s", face->order.n,
		live_sort_name(&face->look, &keys), window, face->paused ? ", PAUSED" : "");
	live_screen_line(screen, row, STYLE_bold, false, line);
}

size_t live_chosen(const struct live_face *face, const struct live_model *model)
{
	for (size_t i = 0; i < face->order.n; i++)
		if (live_row_id(model, face->look.view, face->order.at[i]) ==
			face->chosen[face->look.view])
			return i;
	return 0;
}

static void top_follow(struct live_face *face, size_t chosen)
{
	size_t *top = &face->top[face->look.view];

	if (chosen < *top)
		*top = chosen;
	if (face->shown && chosen >= *top + face->shown)
		*top = chosen + 1 - face->shown;
	if (*top + face->shown > face->order.n)
		*top = face->order.n > face->shown ? face->order.n - face->shown : 0;
}

static int list_draw(struct live_face *face, struct live_model *model, struct live_screen *screen,
	struct live_paper *paper, int row, int end)
{
	size_t chosen, top, n;
	int rc;

	free(face->order.at);
	face->order = (struct live_order){0};
	rc = live_sorted(model, &face->look, &face->order);
	if (rc)
		return rc;
	views_draw(face, screen, row++);
	face->shown = end > row + 1 ? (size_t)(end - row - 1) : 0;
	chosen = live_chosen(face, model);
	top_follow(face, chosen);
	top = face->top[face->look.view];
	n = face->order.n - top < face->shown ? face->order.n - top : face->shown;
	rc = live_table(model, &face->look, paper, face->order.at + top, n);
	for (size_t i = 0; i < paper->lines.n && !rc; i++)
		live_screen_line(screen, row + (int)i, paper->lines.at[i].style,
			i == chosen - top + 1, paper->lines.at[i].text);
	if (!n) {
		live_line(paper, STYLE_dim, "  nothing yet%s",
			face->order.hidden ? "; a shows what belongs to Jupyter and libraries"
					   : "");
		lines_draw(screen, &paper->lines, 0, row, end);
	}
	return rc;
}

static int detail_draw(struct live_face *face, struct live_model *model, struct live_screen *screen,
	struct live_paper *paper, int row, int end)
{
	int rc = live_detail(model, face->look.view, face->detail_id, paper);
	size_t room = end > row ? (size_t)(end - row) : 0, n;

	if (rc == -ENOENT) {
		live_line(paper, STYLE_dim, "  it is not there any more");
		rc = 0;
	}
	n = paper->lines.n;
	if (face->detail_top + room > n)
		face->detail_top = n > room ? n - room : 0;
	face->shown = room;
	lines_draw(screen, &paper->lines, face->detail_top, row, end);
	return rc;
}

static void help_draw(struct live_screen *screen, int row, int end)
{
	for (size_t i = 0; i < sizeof(help_lines) / sizeof(*help_lines) && row < end; i++)
		live_screen_line(screen, row++, i ? STYLE_plain : STYLE_bold, false, help_lines[i]);
}

int live_draw(struct live_face *face, struct live_model *model, struct live_screen *screen)
{
	struct live_paper paper = {.model = model, .screen.ascii = face->ascii};
	int rows, columns, row, rc;

	live_screen_size(screen, &rows, &columns);
	paper.screen.width = (size_t)columns;
	live_screen_clear(screen);
	rc = live_head(model, &paper);
	row = lines_draw(screen, &paper.lines, 0, 0, rows > BODY_LEAST + 2 ? rows - BODY_LEAST : 2);
	if (row < HEAD_LINES && rows >= HEAD_LINES + BODY_LEAST)
		row = HEAD_LINES; /* what is below does not move when a loop is held */
	live_lines_free(&paper.lines);
	if (rc)
		return rc;
	if (face->help)
		help_draw(screen, row, rows - 1);
	else if (face->detail)
		rc = detail_draw(face, model, screen, &paper, row, rows - 1);
	else
		rc = list_draw(face, model, screen, &paper, row, rows - 1);
	live_screen_line(screen, rows - 1, STYLE_dim, false,
		face->help || face->detail ? KEYS_DETAIL : KEYS_LIST);
	live_lines_free(&paper.lines);
	live_screen_show(screen);
	return paper.failed ? -ENOMEM : rc;
}
