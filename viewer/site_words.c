/*
 * What reports call the sites of blocking calls, where the trace has no name that the user wrote:
 * the C call and its kind; what the loop itself called; who ran code that no file holds.
 */
#include <errno.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "viewer/names.h"
#include "viewer/rule.h"

static const struct {
	const char *class, *words;
} kinds[] = {
	{"sleep", "a sleep"},
	{"network", "a network call"},
	{"file", "a file operation"},
	{"database", "a database call"},
	{"subprocess", "a wait for a child process"},
	{"dns", "a look-up of a host's name"},
	{"lock", "a wait for a lock"},
};

const char *call_words(
	struct strings *strings, const char *call, const char *syscall, const char *class)
{
	cleanup(freep) char *words = NULL;

	if (strcmp(call, syscall) != 0)
		return string_keep(strings, call);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(kinds[i].class, class) != 0)
			continue;
		if (asprintf(&words, "%s (%s)", kinds[i].words, call) < 0) {
			words = NULL;
			return NULL;
		}
		return string_keep(strings, words);
	}
	return string_keep(strings, call);
}

char *sites_note(const struct report *report)
{
	uint64_t queued_ns = 0;
	char *text = NULL;

	for (size_t i = 0; i < report->calls.n; i++) {
		const struct call *c = &report->calls.at[i];

		if (!report->sites.at[c->site].machinery)
			queued_ns += c->off_ns - c->waited_ns;
	}
	if (queued_ns < report->min_block_ns || asprintf(&text,
							"Of these times %s went by while a call "
							"was over and its thread waited for a CPU "
							"or the GIL; findings leave that out.",
							time_text(queued_ns)) < 0)
		return NULL;
	return text;
}

/* Is the place in the stack itself? Else it is where the callback was given to the loop. */
static int is_in_stack(struct report *report, const struct site *s, bool *ret)
{
	frame_list frames = {0};
	int rc = report_stack(report, s->stack, &frames);

	*ret = false;
	for (size_t i = 0; i < frames.n; i++)
		*ret |= frames.at[i].place.file == s->place.file &&
			frames.at[i].place.line == s->place.line;
	free(frames.at);
	return rc;
}

int sites_name(struct report *report)
{
	struct judge judge = {.report = report};
	int rc = 0, user;

	for (size_t i = 0; i < report->sites.n && !rc; i++) {
		struct site *s = &report->sites.at[i];
		const char *file = s->place.file;
		bool made = file && *file == '<' && cell_of_file(report, file, NONE) == NONE;

		s->words = call_words(&report->strings, s->call, s->syscall, s->class);
		if (!s->words)
			rc = -ENOMEM;
		if (rc || !s->stack || (s->in_step && !made))
			continue;
		rc = step_frames(&judge, s->stack, &user);
		if (!rc && made && user != NONE)
			s->caller = frames_caller(&judge, user);
		if (!rc && judge.callback && !s->in_step)
			rc = is_in_stack(report, s, &s->by_loop);
	}
	free(judge.frames.at);
	return rc;
}
