/* The live lines of `attach`. See attach_live.h. */
#include "collector/attach_live.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "collector/held.h"
#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "probe/base/units.h"

#define FRAMES_MOST 128u
#define FRAMES_SHOWN 40u /* of a deep stack its ends: so many, and so many of them inner ones */
#define FRAMES_INNER 30u
#define FRAME_CHARS 200
#define DURATION_BYTES 32

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* "12:03:04.512  " */
static void print_time(void)
{
	struct timespec t;
	struct tm tm;
	char text[16];

	clock_gettime(CLOCK_REALTIME, &t);
	if (!localtime_r(&t.tv_sec, &tm) || !strftime(text, sizeof(text), "%H:%M:%S", &tm))
		return;
	printf("%s.%03ld  ", text, t.tv_nsec / 1000000);
}

static void print_frame(const struct model_frame *frame)
{
	cleanup(freep) char *file = text_for_terminal(held_path(frame->file), FRAME_CHARS);
	cleanup(freep) char *function = text_for_terminal(frame->function, FRAME_CHARS);

	if (frame->execution_count >= 0)
		printf("    In [%" PRId64 "]:%" PRIu32 "  %s\n", frame->execution_count,
			frame->line, function ? function : "?");
	else
		printf("    %s:%" PRIu32 "  %s\n", file ? file : "?", frame->line,
			function ? function : "?");
}

/* Library code between two frames of the user's is one line: most of it is the import machinery or
 * the loop. */
static void print_frames(const struct model_frame *frame, size_t n)
{
	for (size_t i = 0, hidden = 0; i < n; i++) {
		bool last = i + 1 == n || frame[i + 1].user;

		if (frame[i].user || !i) {
			print_frame(&frame[i]);
			continue;
		}
		hidden++;
		if (!last)
			continue;
		if (hidden == 1)
			print_frame(&frame[i]);
		else
			printf("    %zu library frames hidden\n", hidden);
		hidden = 0;
	}
}

static void print_stall(const struct recorder_held *held, uint64_t ns)
{
	struct model_frame frame[FRAMES_MOST];
	size_t n = model_held_frames(&held->at, frame, FRAMES_MOST);
	size_t inner = n > FRAMES_SHOWN ? FRAMES_INNER : n;
	char duration[DURATION_BYTES], place[HELD_PLACE_BYTES];

	print_time();
	printf("the loop has been held for %s, %s\n",
		duration_format(ns, duration, sizeof(duration)), held_place(&held->at, place));
	print_frames(frame, inner);
	if (inner < n) {
		printf("    %zu more frames\n", n - FRAMES_SHOWN);
		print_frames(
			frame + n - (FRAMES_SHOWN - FRAMES_INNER), FRAMES_SHOWN - FRAMES_INNER);
	}
	fflush(stdout);
}

static void print_end(uint64_t ns)
{
	char duration[DURATION_BYTES];

	print_time();
	printf("it goes on after %s\n", duration_format(ns, duration, sizeof(duration)));
	fflush(stdout);
}

void attach_live_say(const char *format, ...)
{
	va_list args;

	print_time();
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

void attach_live_end(struct attach_live *live)
{
	char duration[DURATION_BYTES];

	if (live->told_since_ns)
		attach_live_say("it was held to its end, for %s",
			duration_format(
				clock_ns() - live->told_since_ns, duration, sizeof(duration)));
	live->told_since_ns = 0;
}

void attach_live(struct attach_live *live, struct recorder *recorder)
{
	uint64_t now_ns = clock_ns();
	struct recorder_held held;
	bool is_held = recorder_held(recorder, &held) != 0;

	if (live->told_since_ns && (!is_held || held.since_ns != live->told_since_ns)) {
		print_end(now_ns - live->told_since_ns);
		live->told_since_ns = 0;
	}
	if (!is_held || held.since_ns == live->told_since_ns ||
		now_ns < held.since_ns + live->stall_ns)
		return;
	print_stall(&held, now_ns - held.since_ns);
	live->told_since_ns = held.since_ns;
}
