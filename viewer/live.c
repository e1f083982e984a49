/*
 * `awaitscope live`, the part that looks: keys, and the loop that reads the trace and draws.
 * Without a terminal it prints what there is, once.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "probe/base/cleanup.h"
#include "viewer/commands.h"
#include "viewer/complain.h"
#include "viewer/live_page.h"
#include "viewer/live_screen.h"

#define COMMAND "live"
#define WHY_BYTES 1024
#define REFRESH_MS 500
#define OPEN_MS 20 /* until the recorder has made the trace */
#define NS_PER_MS 1000000ull
#define WINDOW_SHORT 10 /* s */
#define SNAPSHOT_ROWS 20
/* Lines that stay for the rows where the terminal is low: views, titles, keys, some rows. */
#define BODY_LEAST 7
#define HEAD_LINES 8
#define LINE_BYTES 256

#define KEYS_LIST " 1-4 views  j k rows  Enter details  s sort  w window  a all  p pause  ? q"
#define KEYS_DETAIL " j/k scroll  Esc back  q quit"

struct live {
	struct trace *trace;
	struct live_model *model;
	struct live_screen *screen;
	struct live_look look;
	int recorder;  /* readable when it has ended; -1: not ours, or ended */
	int signals;   /* readable when one came */
	sigset_t mask; /* as it was */
	bool ascii, help, detail, paused, quit;
	int64_t chosen[LIVE_VIEWS]; /* id of a row; 0: the first */
	size_t top[LIVE_VIEWS];     /* the first row shown */
	int64_t detail_id;
	size_t detail_top;
	size_t shown;            /* rows that fit */
	struct live_order order; /* of the view, as drawn */
};

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

/* ---- beginning and end ------------------------------------------------------------------- */

static int signals_open(struct live *live)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	if (sigprocmask(SIG_BLOCK, &set, &live->mask))
		return -errno;
	live->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return live->signals < 0 ? -errno : 0;
}

static void signals_close(struct live *live)
{
	struct signalfd_siginfo info;

	while (read(live->signals, &info, sizeof(info)) == sizeof(info)) /* it has been obeyed */
		continue;
	close(live->signals);
	sigprocmask(SIG_SETMASK, &live->mask, NULL);
}

/* Waits; true: a signal has come, or the recorder has ended where there is one. */
static bool wait_for(struct live *live, int ms)
{
	struct pollfd fds[] = {
		{.fd = live->signals, .events = POLLIN}, {.fd = live->recorder, .events = POLLIN}};

	poll(fds, 2, ms);
	live->quit |= fds[0].revents != 0;
	if (fds[1].revents)
		live->recorder = -1;
	return live->quit || fds[1].revents;
}

/* Of a trace that its recorder is about to make. LIVE_NO_TRACE: it did not. */
static int trace_wait(struct live *live, const char *path)
{
	bool recorded = live->recorder >= 0, over = !recorded;
	char why[WHY_BYTES];

	for (;;) {
		if (!trace_open(path, why, sizeof(why), &live->trace))
			return 0;
		if (over)
			return recorded ? LIVE_NO_TRACE : complain(COMMAND, "%s", why);
		over = wait_for(live, OPEN_MS);
		if (live->quit)
			return LIVE_NO_TRACE;
	}
}

static int refuse(const struct live *live, int rc)
{
	return complain(COMMAND, "%s", rc == -ENOMEM ? "out of memory" : trace_why(live->trace));
}

/* Another program may hold the file for a moment: what is shown is what was read before. */
static int read_again(struct live *live)
{
	int rc = live_model_read(live->model);

	if (!rc)
		rc = live_figures_read(live->model, live->look.seconds);
	return rc == -EBUSY ? 0 : rc;
}

/* ---- once, without a terminal ------------------------------------------------------------ */

static void lines_print(live_lines *lines)
{
	for (size_t i = 0; i < lines->n; i++)
		puts(lines->at[i].text);
	live_lines_free(lines);
}

static int view_print(struct live *live, struct live_paper *paper)
{
	struct live_order order = {0};
	size_t shown;
	int rc = live_sorted(live->model, &live->look, &order);

	if (rc)
		return rc;
	shown = order.n < SNAPSHOT_ROWS ? order.n : SNAPSHOT_ROWS;
	if (shown)
		live_line(paper, STYLE_bold, "%s", live_view_name(live->look.view));
	rc = live_table(live->model, &live->look, paper, order.at, shown);
	if (order.n > shown)
		live_line(paper, STYLE_dim, "  and %zu more", order.n - shown);
	free(order.at);
	if (shown)
		putchar('\n');
	lines_print(&paper->lines);
	return rc;
}

static int snapshot(struct live *live)
{
	struct live_paper paper = {.model = live->model};
	int rc = 0;

	screen_init(&paper.screen, stdout, true);
	do
		rc = read_again(live);
	while (!rc && live->model->behind);
	if (!rc && !live->model->recorded)
		live->look.seconds = LIVE_WHOLE;
	if (!rc)
		rc = live_figures_read(live->model, live->look.seconds);
	if (!rc)
		rc = live_head(live->model, &paper);
	lines_print(&paper.lines);
	for (int view = 0; view < LIVE_VIEWS && !rc; view++) {
		live->look.view = (enum live_view)view;
		rc = view_print(live, &paper);
	}
	if (rc)
		return refuse(live, rc);
	if (fflush(stdout))
		return complain(COMMAND, "cannot write: %s", strerror(errno));
	return 0;
}

/* ---- drawing ----------------------------------------------------------------------------- */

static int lines_draw(struct live *live, const live_lines *lines, size_t from, int row, int end)
{
	for (size_t i = from; i < lines->n && row < end; i++)
		live_screen_line(live->screen, row++, lines->at[i].style, false, lines->at[i].text);
	return row;
}

static void views_draw(struct live *live, int row)
{
	unsigned int keys;
	char line[LINE_BYTES] = "", window[32] = "";
	size_t n = 0;

	for (int i = 0; i < LIVE_VIEWS; i++)
		n += (size_t)snprintf(line + n, sizeof(line) - n,
			i == (int)live->look.view ? "[%d %s] " : " %d %s  ", i + 1,
			live_view_name((enum live_view)i));
	if (live->look.view == LIVE_LOOPS && live->look.seconds)
		snprintf(window, sizeof(window), ", the last %u s", live->look.seconds);
	else if (live->look.view == LIVE_LOOPS)
		snprintf(window, sizeof(window), ", everything");
	snprintf(line + n, sizeof(line) - n, " %zu by %s%s%s", live->order.n,
		live_sort_name(&live->look, &keys), window, live->paused ? ", PAUSED" : "");
	live_screen_line(live->screen, row, STYLE_bold, false, line);
}

/* Where the chosen row stands; the first where it has gone. */
static size_t chosen_index(const struct live *live)
{
	for (size_t i = 0; i < live->order.n; i++)
		if (live_row_id(live->model, live->look.view, live->order.at[i]) ==
			live->chosen[live->look.view])
			return i;
	return 0;
}

static void top_follow(struct live *live, size_t chosen)
{
	size_t *top = &live->top[live->look.view];

	if (chosen < *top)
		*top = chosen;
	if (live->shown && chosen >= *top + live->shown)
		*top = chosen + 1 - live->shown;
	if (*top + live->shown > live->order.n)
		*top = live->order.n > live->shown ? live->order.n - live->shown : 0;
}

static int list_draw(struct live *live, struct live_paper *paper, int row, int end)
{
	size_t chosen, top, n;
	int rc;

	free(live->order.at);
	live->order = (struct live_order){0};
	rc = live_sorted(live->model, &live->look, &live->order);
	if (rc)
		return rc;
	views_draw(live, row++);
	live->shown = end > row + 1 ? (size_t)(end - row - 1) : 0;
	chosen = chosen_index(live);
	top_follow(live, chosen);
	top = live->top[live->look.view];
	n = live->order.n - top < live->shown ? live->order.n - top : live->shown;
	rc = live_table(live->model, &live->look, paper, live->order.at + top, n);
	for (size_t i = 0; i < paper->lines.n && !rc; i++)
		live_screen_line(live->screen, row + (int)i, paper->lines.at[i].style,
			i == chosen - top + 1, paper->lines.at[i].text);
	if (!n) {
		live_line(paper, STYLE_dim, "  nothing yet%s",
			live->order.hidden ? "; a shows what belongs to Jupyter and libraries"
					   : "");
		lines_draw(live, &paper->lines, 0, row, end);
	}
	return rc;
}

static int detail_draw(struct live *live, struct live_paper *paper, int row, int end)
{
	int rc = live_detail(live->model, live->look.view, live->detail_id, paper);
	size_t room = end > row ? (size_t)(end - row) : 0, n;

	if (rc == -ENOENT) {
		live_line(paper, STYLE_dim, "  it is not there any more");
		rc = 0;
	}
	n = paper->lines.n;
	if (live->detail_top + room > n)
		live->detail_top = n > room ? n - room : 0;
	live->shown = room;
	lines_draw(live, &paper->lines, live->detail_top, row, end);
	return rc;
}

static void help_draw(struct live *live, int row, int end)
{
	for (size_t i = 0; i < sizeof(help_lines) / sizeof(*help_lines) && row < end; i++)
		live_screen_line(
			live->screen, row++, i ? STYLE_plain : STYLE_bold, false, help_lines[i]);
}

static int draw(struct live *live)
{
	struct live_paper paper = {.model = live->model, .screen.ascii = live->ascii};
	int rows, columns, row, rc;

	live_screen_size(live->screen, &rows, &columns);
	paper.screen.width = (size_t)columns;
	live_screen_clear(live->screen);
	rc = live_head(live->model, &paper);
	row = lines_draw(live, &paper.lines, 0, 0, rows > BODY_LEAST + 2 ? rows - BODY_LEAST : 2);
	if (row < HEAD_LINES && rows >= HEAD_LINES + BODY_LEAST)
		row = HEAD_LINES; /* what is below does not move when a loop is held */
	live_lines_free(&paper.lines);
	if (rc)
		return rc;
	if (live->help)
		help_draw(live, row, rows - 1);
	else if (live->detail)
		rc = detail_draw(live, &paper, row, rows - 1);
	else
		rc = list_draw(live, &paper, row, rows - 1);
	live_screen_line(live->screen, rows - 1, STYLE_dim, false,
		live->help || live->detail ? KEYS_DETAIL : KEYS_LIST);
	live_lines_free(&paper.lines);
	live_screen_show(live->screen);
	return paper.failed ? -ENOMEM : rc;
}

/* ---- keys -------------------------------------------------------------------------------- */

static size_t moved(size_t at, int key, size_t page, size_t n)
{
	size_t last = n ? n - 1 : 0;

	page = page ? page : 1;
	switch (key) {
	case LIVE_KEY_UP:
		return at ? at - 1 : 0;
	case LIVE_KEY_DOWN:
		return at < last ? at + 1 : last;
	case LIVE_KEY_PAGE_UP:
		return at > page ? at - page : 0;
	case LIVE_KEY_PAGE_DOWN:
		return at + page < last ? at + page : last;
	case LIVE_KEY_HOME:
		return 0;
	case LIVE_KEY_END:
		return last;
	default:
		return at;
	}
}

static void move(struct live *live, int key)
{
	size_t index;

	if (live->detail) {
		live->detail_top = moved(live->detail_top, key, live->shown, SIZE_MAX / 2);
		return;
	}
	if (!live->order.n)
		return;
	index = moved(chosen_index(live), key, live->shown, live->order.n);
	live->chosen[live->look.view] =
		live_row_id(live->model, live->look.view, live->order.at[index]);
}

static void view_set(struct live *live, int view)
{
	live->look.view = (enum live_view)((view + LIVE_VIEWS) % LIVE_VIEWS);
	live->detail = live->help = false;
}

static void detail_open(struct live *live)
{
	if (live->detail || live->help || !live->order.n)
		return;
	live->detail_id =
		live_row_id(live->model, live->look.view, live->order.at[chosen_index(live)]);
	live->detail = true;
	live->detail_top = 0;
}

static void sort_next(struct live *live)
{
	unsigned int keys, *sort = &live->look.sort[live->look.view];

	live_sort_name(&live->look, &keys);
	*sort = (*sort + 1) % keys;
	live->top[live->look.view] = 0;
	live->chosen[live->look.view] = 0; /* from the first row on */
}

static void window_next(struct live *live)
{
	live->look.seconds = live->look.seconds == WINDOW_SHORT        ? LIVE_SECONDS_MOST
			     : live->look.seconds == LIVE_SECONDS_MOST ? LIVE_WHOLE
								       : WINDOW_SHORT;
}

static void letter(struct live *live, int key)
{
	if (key >= '1' && key < '1' + LIVE_VIEWS)
		view_set(live, key - '1');
	else if (key == 'q')
		live->quit = true;
	else if (key == '?')
		live->help = !live->help;
	else if (key == 's')
		sort_next(live);
	else if (key == 'w')
		window_next(live);
	else if (key == 'a')
		live->look.all = !live->look.all;
	else if (key == 'p' || key == ' ')
		live->paused = !live->paused;
}

static void key_take(struct live *live, int key)
{
	if (key >= ' ')
		letter(live, key);
	else if (key == LIVE_KEY_NEXT)
		view_set(live, (int)live->look.view + 1);
	else if (key == LIVE_KEY_PREVIOUS)
		view_set(live, (int)live->look.view - 1);
	else if (key == LIVE_KEY_ENTER)
		detail_open(live);
	else if (key == LIVE_KEY_BACK && live->help)
		live->help = false;
	else if (key == LIVE_KEY_BACK)
		live->detail = false;
	else
		move(live, key);
}

/* ---- the loop ---------------------------------------------------------------------------- */

static uint64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / NS_PER_MS;
}

/* Until a key, a signal, the recorder's end, or then. */
static void wait_until(struct live *live, uint64_t then_ms)
{
	uint64_t now_ms = clock_ms();
	struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = live->signals, .events = POLLIN}, {.fd = live->recorder, .events = POLLIN}};
	int n = poll(fds, 3, then_ms > now_ms ? (int)(then_ms - now_ms) : 0);

	if (n <= 0) /* a resize interrupts it */
		return;
	if (fds[1].revents || fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
		live->quit = true;
	if (fds[2].revents)
		live->recorder = -1;
}

static int watch(struct live *live)
{
	uint64_t next_ms = 0;
	int rc = 0, key;

	while (!rc && !live->quit) {
		if (clock_ms() >= next_ms) {
			rc = live->paused ? 0 : read_again(live);
			next_ms = clock_ms() + (live->model->behind ? 0 : REFRESH_MS);
		}
		if (!rc)
			rc = draw(live);
		if (!rc)
			wait_until(live, next_ms);
		while (!rc && !live->quit && (key = live_screen_key(live->screen)) != LIVE_KEY_NONE)
			key_take(live, key);
		if (!rc && !live->paused)
			rc = live_figures_read(live->model, live->look.seconds);
	}
	return rc;
}

static int look(struct live *live, bool color)
{
	struct screen probe;
	int rc = live_screen_open(color, &live->screen);

	if (rc == -ENODEV)
		return snapshot(live);
	if (rc)
		return refuse(live, rc);
	screen_init(&probe, stdout, true);
	live->ascii = probe.ascii;
	rc = read_again(live);
	if (!live->model->recorded)
		live->look.seconds = LIVE_WHOLE;
	if (!rc)
		rc = watch(live);
	live_screen_close(live->screen);
	return rc ? refuse(live, rc) : 0;
}

int live_view(const char *path, bool color, int recorder, uint64_t watch_ns)
{
	struct live live = {.recorder = recorder, .look.seconds = WINDOW_SHORT};
	const char *forbidden = getenv("NO_COLOR");
	int status;

	if (signals_open(&live))
		return complain(COMMAND, "cannot watch for signals: %s", strerror(errno));
	status = trace_wait(&live, path);
	if (!status && live_model_new(live.trace, &live.model))
		status = complain(COMMAND, "out of memory");
	if (!status && live_screen_possible()) {
		status = look(&live, color && !(forbidden && *forbidden));
	} else if (!status) {
		if (recorder >= 0)
			wait_for(&live, (int)(watch_ns / NS_PER_MS));
		status = snapshot(&live);
	}
	free(live.order.at);
	live_model_free(live.model);
	trace_free(live.trace);
	signals_close(&live);
	return status;
}
