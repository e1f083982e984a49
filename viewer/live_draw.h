/* The live view on a terminal: what the person at it has chosen, and how it is drawn. Silent. */
#ifndef VIEWER_LIVE_DRAW_H
#define VIEWER_LIVE_DRAW_H

#include "viewer/live_page.h"
#include "viewer/live_screen.h"

struct live_face {
	struct live_look look;
	bool ascii, help, detail, paused;
	int64_t chosen[LIVE_VIEWS]; /* id of a row; 0: the first */
	size_t top[LIVE_VIEWS];     /* the first row shown */
	int64_t detail_id;
	size_t detail_top;
	size_t shown; /* rows that fit, when last drawn */
	struct live_order
		order; /* of the view, when last drawn; whoever has the face frees order.at */
};

/* -ENOMEM, -EIO. */
int live_draw(struct live_face *face, struct live_model *model, struct live_screen *screen);
/* Where the chosen row stands in the order; the first where it has gone. */
size_t live_chosen(const struct live_face *face, const struct live_model *model);

/* Once, as text on stdout. The trace is read to its end before. The same errors. */
int live_snapshot(struct live_model *model);

#endif
