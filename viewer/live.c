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
#include "viewer/live_draw.h"

#define COMMAND "live"
#define WHY_BYTES 1024
#define REFRESH_MS 500
#define OPEN_MS 20 /* until the recorder has made the trace */
#define NS_PER_MS 1000000ull
#define WINDOW_SHORT 10 /* s */

struct live {
	struct trace *trace;
	struct live_model *model;
	struct live_screen *screen;
	struct live_face face;
	int recorder;  /* readable when it has ended; -1: not ours, or ended */
	int signals;   /* readable when one came */
	sigset_t mask; /* as it was */
	bool quit;
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

/* A status; 0 where nothing is wrong. */
static int told(const struct live *live, int rc)
{
	return rc ? complain(
			    COMMAND, "%s", rc == -ENOMEM ? "out of memory" : trace_why(live->trace))
		  : 0;
}

/* Another program may hold the file for a moment: what is shown is what was read before. */
static int read_again(struct live *live)
{
	int rc = live_model_read(live->model);

	if (!rc)
		rc = live_figures_read(live->model, live->face.look.seconds);
	return rc == -EBUSY ? 0 : rc;
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

	if (live->face.detail) {
		live->face.detail_top =
			moved(live->face.detail_top, key, live->face.shown, SIZE_MAX / 2);
		return;
	}
	if (!live->face.order.n)
		return;
	index = moved(
		live_chosen(&live->face, live->model), key, live->face.shown, live->face.order.n);
	live->face.chosen[live->face.look.view] =
		live_row_id(live->model, live->face.look.view, live->face.order.at[index]);
}

static void view_set(struct live *live, int view)
{
	live->face.look.view = (enum live_view)((view + LIVE_VIEWS) % LIVE_VIEWS);
	live->face.detail = live->face.help = false;
	live->face.order.n = 0; /* its rows are those of the view before, until it is drawn */
}

static void detail_open(struct live *live)
{
	if (live->face.detail || live->face.help || !live->face.order.n)
		return;
	live->face.detail_id = live_row_id(live->model, live->face.look.view,
		live->face.order.at[live_chosen(&live->face, live->model)]);
	live->face.detail = true;
	live->face.detail_top = 0;
}

static void sort_next(struct live *live)
{
	unsigned int keys, *sort = &live->face.look.sort[live->face.look.view];

	live_sort_name(&live->face.look, &keys);
	*sort = (*sort + 1) % keys;
	live->face.top[live->face.look.view] = 0;
	live->face.chosen[live->face.look.view] = 0; /* from the first row on */
}

static void window_next(struct live *live)
{
	live->face.look.seconds = live->face.look.seconds == WINDOW_SHORT        ? LIVE_SECONDS_MOST
				  : live->face.look.seconds == LIVE_SECONDS_MOST ? LIVE_WHOLE
										 : WINDOW_SHORT;
}

static void letter(struct live *live, int key)
{
	if (key >= '1' && key < '1' + LIVE_VIEWS)
		view_set(live, key - '1');
	else if (key == 'q')
		live->quit = true;
	else if (key == '?')
		live->face.help = !live->face.help;
	else if (key == 's')
		sort_next(live);
	else if (key == 'w')
		window_next(live);
	else if (key == 'a')
		live->face.look.all = !live->face.look.all;
	else if (key == 'p' || key == ' ')
		live->face.paused = !live->face.paused;
}

static void key_take(struct live *live, int key)
{
	if (key >= ' ')
		letter(live, key);
	else if (key == LIVE_KEY_NEXT)
		view_set(live, (int)live->face.look.view + 1);
	else if (key == LIVE_KEY_PREVIOUS)
		view_set(live, (int)live->face.look.view - 1);
	else if (key == LIVE_KEY_ENTER)
		detail_open(live);
	else if (key == LIVE_KEY_BACK && live->face.help)
		live->face.help = false;
	else if (key == LIVE_KEY_BACK)
		live->face.detail = false;
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
			rc = live->face.paused ? 0 : read_again(live);
			next_ms = clock_ms() + (live->model->behind ? 0 : REFRESH_MS);
		}
		if (!rc)
			rc = live_draw(&live->face, live->model, live->screen);
		if (!rc)
			wait_until(live, next_ms);
		while (!rc && !live->quit && (key = live_screen_key(live->screen)) != LIVE_KEY_NONE)
			key_take(live, key);
		if (!rc && !live->face.paused)
			rc = live_figures_read(live->model, live->face.look.seconds);
	}
	return rc;
}

/* Where nothing can be drawn: what there is, of a process after a while. */
static int tell_once(struct live *live, uint64_t watch_ns)
{
	int status;

	if (live->recorder >= 0)
		wait_for(live, (int)(watch_ns / NS_PER_MS));
	status = told(live, live_snapshot(live->model));
	if (!status && fflush(stdout))
		status = complain(COMMAND, "cannot write: %s", strerror(errno));
	return status;
}

static int look(struct live *live, bool color, uint64_t watch_ns)
{
	struct screen probe;
	int rc = live_screen_open(color, &live->screen);

	if (rc == -ENODEV)
		return tell_once(live, watch_ns);
	if (rc)
		return told(live, rc);
	screen_init(&probe, stdout, true);
	live->face.ascii = probe.ascii;
	rc = read_again(live);
	if (!live->model->recorded)
		live->face.look.seconds = LIVE_WHOLE;
	if (!rc)
		rc = watch(live);
	live_screen_close(live->screen);
	return told(live, rc);
}

int live_view(const char *path, bool color, int recorder, uint64_t watch_ns)
{
	struct live live = {.recorder = recorder, .face.look.seconds = WINDOW_SHORT};
	const char *forbidden = getenv("NO_COLOR");
	int status;

	if (signals_open(&live))
		return complain(COMMAND, "cannot watch for signals: %s", strerror(errno));
	status = trace_wait(&live, path);
	if (!status && live_model_new(live.trace, &live.model))
		status = complain(COMMAND, "out of memory");
	if (!status && live_screen_possible())
		status = look(&live, color && !(forbidden && *forbidden), watch_ns);
	else if (!status)
		status = tell_once(&live, watch_ns);
	free(live.face.order.at);
	live_model_free(live.model);
	trace_free(live.trace);
	signals_close(&live);
	return status;
}
