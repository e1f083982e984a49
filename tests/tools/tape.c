/*
 * tape: a tape in, a trace out, with no Python and no target; or the rings of a session folder as a
 * tape. Run by tests/tapes/replay.py and by whoever wants to look at what a target wrote. Exit
 * status 0, or 1 with one line on stderr.
 *
 *   tape [--set KEY=NUMBER]... [--end PID=WAIT_STATUS]... TRACE < TAPE
 *   tape --dump SESSION_FOLDER > TAPE
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "collector/model.h"
#include "collector/rings.h"
#include "collector/tape.h"
#include "probe/base/cleanup.h"

#define ENDS 64 /* processes whose end one call can tell */

struct replay {
	struct model *model;
	struct model_options options;
	uint64_t end_ns; /* of the trace: the latest record, or what --set end_ns= said */
	size_t ends;
	struct {
		uint32_t pid;
		int status;
	} end[ENDS];
};

__attribute__((format(printf, 1, 2))) static int fail(const char *format, ...)
{
	va_list args;

	fputs("tape: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	putc('\n', stderr);
	return 1;
}

static int dump_record(void *ctx, uint32_t pid, const struct ev_head *record)
{
	return tape_write(ctx, pid, record);
}

static int dump(const char *folder)
{
	struct tape_writer writer = {.file = stdout};
	struct rings *rings = NULL;
	int rc = rings_peek(folder, &rings);

	if (rc)
		return fail("%s: %s", folder, strerror(-rc));
	rc = rings_drain(rings, 1, dump_record, &writer);
	rings_free(rings);
	if (rc < 0 || fflush(stdout))
		return fail("writing the tape: %s", strerror(rc < 0 ? -rc : errno));
	return 0;
}

static int replay_record(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct replay *r = ctx;
	int rc = model_record(r->model, pid, record);

	if (record->time_ns > r->end_ns)
		r->end_ns = record->time_ns;
	return rc ? rc : model_tick(r->model, record->time_ns);
}

/* KEY=NUMBER: a field of model_options, or end_ns. */
static int set_option(struct replay *r, const char *word)
{
	const struct {
		const char *name;
		uint64_t *value;
	} known[] = {
		{"t0_ns", &r->options.t0_ns},
		{"stall_ns", &r->options.stall_ns},
		{"min_step_ns", &r->options.min_step_ns},
		{"min_block_ns", &r->options.min_block_ns},
		{"max_bytes", &r->options.max_bytes},
		{"end_ns", &r->end_ns},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t n = strlen(known[i].name);

		if (!strncmp(word, known[i].name, n) && word[n] == '=' &&
			sscanf(word + n + 1, "%" SCNu64, known[i].value) == 1)
			return 0;
	}
	return fail("--set %s: no such option", word);
}

static int set_end(struct replay *r, const char *word)
{
	if (r->ends == ENDS ||
		sscanf(word, "%" SCNu32 "=%d", &r->end[r->ends].pid, &r->end[r->ends].status) != 2)
		return fail("--end %s: wants PID=WAIT_STATUS", word);
	r->ends++;
	return 0;
}

static int replay(struct replay *r, const char *path)
{
	unsigned long line = 0;
	const char *why = NULL;
	int rc = model_open(path, &r->options, &r->model);
	int closed;

	if (rc)
		return fail("%s: %s", path, strerror(-rc));
	rc = tape_read(stdin, replay_record, r, &line, &why);
	for (size_t i = 0; i < r->ends && !rc; i++)
		rc = model_process_end(r->model, r->end[i].pid, r->end_ns, r->end[i].status);
	closed = model_close(r->model, r->end_ns);
	model_free(r->model);
	if (why)
		return fail("line %lu: %s", line, why);
	if (rc || closed)
		return fail("%s: %s", path, strerror(rc ? -rc : -closed));
	return 0;
}

int main(int argc, char **argv)
{
	struct replay r = {
		.options.stall_ns = 100000000,
		.options.min_step_ns = 100000,
		.options.min_block_ns = 1000000,
		.options.mode = "tape",
		.options.sensor = "agent",
	};
	int at = 1;

	if (argc == 3 && !strcmp(argv[1], "--dump"))
		return dump(argv[2]);
	for (; at + 2 < argc; at += 2) {
		if (strcmp(argv[at], "--set") && strcmp(argv[at], "--end"))
			break;
		if (argv[at][2] == 's' ? set_option(&r, argv[at + 1]) : set_end(&r, argv[at + 1]))
			return 1;
	}
	if (at + 1 != argc || argv[at][0] == '-')
		return fail("usage: tape [--set KEY=NUMBER]... [--end PID=STATUS]... TRACE < TAPE\n"
			    "       tape --dump FOLDER");
	return replay(&r, argv[at]);
}
