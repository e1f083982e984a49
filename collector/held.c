/* The line that tells of a held loop. See held.h. */
#include "collector/held.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/log.h"
#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "probe/base/units.h"

#define SETTLE_NS 200000000ull /* beyond --stall, before anything is said */
#define REWRITE_NS 200000000ull
#define LINE_AFTER_NS 1000000000ull
#define NOTE_AFTER_NS 5000000000ull
#define OWN_CELL_AFTER_NS 10000000000ull
#define DURATION_BYTES 32
#define PLACE_CHARS 100

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Below the current folder a path is shown from there. */
const char *held_path(const char *file)
{
	char here[PATH_MAX];
	size_t n;

	if (!getcwd(here, sizeof(here)))
		return file;
	n = strlen(here);
	return n > 1 && !strncmp(file, here, n) && file[n] == '/' && file[n + 1] ? file + n + 1
										 : file;
}

/* "in score() at In [1]:7", "at line 3 of this cell", "in main() at app.py:12". Returns buf. */
char *held_place(const struct model_held *at, char buf[HELD_PLACE_BYTES])
{
	bool named = at->function && at->function[0] != '<';
	char name[HELD_PLACE_BYTES], place[HELD_PLACE_BYTES];
	cleanup(freep) char *shown_name = NULL, *shown_place = NULL;

	snprintf(name, sizeof(name), "%s%s%s", named ? "in " : "", named ? at->function : "",
		named ? "() " : "");
	if (at->in_cell && at->execution_count >= 0)
		snprintf(
			place, sizeof(place), "In [%" PRId64 "]:%u", at->execution_count, at->line);
	else if (at->in_cell)
		snprintf(place, sizeof(place), "line %u of this cell", at->line);
	else
		snprintf(place, sizeof(place), "%s:%u", held_path(at->file), at->line);
	shown_name = text_for_terminal(name, PLACE_CHARS);
	shown_place = text_for_terminal(place, PLACE_CHARS);
	snprintf(buf, HELD_PLACE_BYTES, "%sat %s", shown_name ? shown_name : "",
		shown_place ? shown_place : "?");
	return buf;
}

/* How long; 0: not for so long that anything is said. */
static uint64_t held_ns(const struct held_line *line, struct recorder *r, uint64_t now_ns,
	struct recorder_held *ret)
{
	uint64_t ns;

	if (!recorder_held(r, ret) || now_ns < ret->since_ns)
		return 0;
	ns = now_ns - ret->since_ns;
	return ns >= line->stall_ns + SETTLE_NS ? ns : 0;
}

static void told(struct held_line *line, const struct recorder_held *held, uint64_t now_ns)
{
	line->told_ns = now_ns;
	line->told_since_ns = held->since_ns;
}

void held_progress(struct held_line *line, struct recorder *r, const char *prefix)
{
	uint64_t now_ns = clock_ns(), ns, after_ns;
	struct recorder_held held;
	char duration[DURATION_BYTES], place[HELD_PLACE_BYTES];

	ns = held_ns(line, r, now_ns, &held);
	if (!ns) {
		if (line->shown)
			log_progress("%s", prefix);
		line->shown = false;
		return;
	}
	after_ns = held.at.own_cell ? OWN_CELL_AFTER_NS : LINE_AFTER_NS;
	if (log_terminal() ? now_ns - line->told_ns < REWRITE_NS
			   : ns < after_ns || line->told_since_ns == held.since_ns)
		return;
	log_progress("%s: %s for %s, %s", prefix, held.at.own_cell ? "running" : "loop held",
		duration_format(ns, duration, sizeof(duration)), held_place(&held.at, place));
	told(line, &held, now_ns);
	line->shown = log_terminal();
}

void held_note(struct held_line *line, struct recorder *r)
{
	uint64_t now_ns = clock_ns(), ns;
	struct recorder_held held;
	char duration[DURATION_BYTES], place[HELD_PLACE_BYTES];

	ns = held_ns(line, r, now_ns, &held);
	if (ns < (log_level() >= LOG_VERBOSE ? LINE_AFTER_NS : NOTE_AFTER_NS) ||
		line->told_since_ns == held.since_ns)
		return;
	log_note("process %" PRIu32 ": its loop has been held for %s, %s", held.pid,
		duration_format(ns, duration, sizeof(duration)), held_place(&held.at, place));
	told(line, &held, now_ns);
}
