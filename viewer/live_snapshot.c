/* What the live view shows, once and as text: for a pipe, or a terminal that cannot be drawn on. */
#include "viewer/live_draw.h"

#define SNAPSHOT_ROWS 20
#define WINDOW 10 /* s, where it is still recorded */

static void lines_print(live_lines *lines)
{
	for (size_t i = 0; i < lines->n; i++)
		puts(lines->at[i].text);
	live_lines_free(lines);
}

static int view_print(
	struct live_model *model, const struct live_look *look, struct live_paper *paper)
{
	struct live_order order = {0};
	size_t shown;
	int rc = live_sorted(model, look, &order);

	if (rc)
		return rc;
	shown = order.n < SNAPSHOT_ROWS ? order.n : SNAPSHOT_ROWS;
	if (shown) {
		live_line(paper, STYLE_plain, "%s", "");
		live_line(paper, STYLE_bold, "%s", live_view_name(look->view));
	}
	rc = live_table(model, look, paper, order.at, shown);
	if (order.n > shown)
		live_line(paper, STYLE_dim, "  and %zu more", order.n - shown);
	free(order.at);
	lines_print(&paper->lines);
	return rc;
}

int live_snapshot(struct live_model *model)
{
	struct live_paper paper = {.model = model};
	struct live_look look = {0};
	int rc = 0;

	screen_init(&paper.screen, stdout, true);
	do
		rc = live_model_read(model);
	while (!rc && model->behind);
	look.seconds = model->recorded ? WINDOW : LIVE_WHOLE;
	if (!rc)
		rc = live_figures_read(model, look.seconds);
	if (!rc)
		rc = live_head(model, &paper);
	lines_print(&paper.lines);
	for (int view = 0; view < LIVE_VIEWS && !rc; view++) {
		look.view = (enum live_view)view;
		rc = view_print(model, &look, &paper);
	}
	return rc;
}
