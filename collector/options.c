/* The options of the recording commands, in one table. See options.h. */
#include "collector/options.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "collector/log.h"
#include "probe/base/units.h"

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull

#define LONG_FIRST 256 /* ids of getopt above every letter: this and the row */

#define RUN OPTIONS_RUN
#define LIVE OPTIONS_LIVE
#define WATCH (OPTIONS_ATTACH | OPTIONS_LIVE)
#define BOTH (OPTIONS_RUN | OPTIONS_ATTACH)
#define ALL (OPTIONS_RUN | OPTIONS_ATTACH | OPTIONS_LIVE)

struct row;
typedef int (*take_fn)(
	const struct row *row, const char *value, struct run_options *o, struct options_said *said);

struct row {
	unsigned int commands; /* enum options_command, or several */
	char letter;           /* 0: none */
	const char *name;
	const char *value; /* NULL: takes none */
	take_fn take;
	size_t off; /* of the member of struct run_options, where take() sets one */
	const char *doc;
};

static int wrong(const char *option, const char *value, const char *expected)
{
	log_error("--%s %s: %s", option, value, expected);
	return STATUS_USAGE;
}

static int duration_take(const char *option, const char *value, uint64_t bare_ns, uint64_t *ret_ns)
{
	if (!strcmp(value, "0")) { /* needs no unit */
		*ret_ns = 0;
		return 0;
	}
	return duration_parse(value, bare_ns, ret_ns)
		       ? wrong(option, value,
				 bare_ns ? "not a number of seconds, nor a duration such as 90s or "
					   "2m"
					 : "not a duration such as 100us, 1ms or 2s")
		       : 0;
}

/* Of which none makes no sense: it would be read as "without end". */
static int some_take(const char *option, const char *value, uint64_t bare_ns, uint64_t *ret_ns)
{
	int status = duration_take(option, value, bare_ns, ret_ns);

	return status || *ret_ns ? status : wrong(option, value, "it has to be more than 0");
}

/* ---- what an option does with its value: 0, or an exit status and it is said why */

static void *member(const struct row *row, struct run_options *o)
{
	return (char *)o + row->off;
}

#define TAKE_FN(name)                                                                              \
	static int name(const struct row *row, const char *value, struct run_options *o,           \
		struct options_said *said)

TAKE_FN(take_flag)
{
	*(bool *)member(row, o) = true;
	return 0;
}

TAKE_FN(take_text)
{
	*(const char **)member(row, o) = value;
	return 0;
}

TAKE_FN(take_trace)
{
	return *value ? take_text(row, value, o, said)
		      : wrong(row->name, "''", "a file name is needed");
}

TAKE_FN(take_duration)
{
	return duration_take(row->name, value, 0, member(row, o));
}

TAKE_FN(take_stall)
{
	return some_take(row->name, value, 0, member(row, o));
}

/* A bare number is seconds. */
TAKE_FN(take_seconds)
{
	return some_take(row->name, value, NS_PER_S, member(row, o));
}

TAKE_FN(take_keep)
{
	int status = take_seconds(row, value, o, said);

	return status || o->keep_ns >= NS_PER_S ? status
						: wrong(row->name, value, "keep at least 1s");
}

TAKE_FN(take_size)
{
	return size_parse(value, member(row, o))
		       ? wrong(row->name, value, "not a size such as 512M or 2G")
		       : 0;
}

TAKE_FN(take_sensor)
{
	if (strcmp(value, "auto") && strcmp(value, "agent") && strcmp(value, "bpf"))
		return wrong(row->name, value, "one of auto, agent, bpf");
	return take_text(row, value, o, said);
}

TAKE_FN(take_quiet)
{
	said->level = LOG_QUIET;
	return 0;
}

TAKE_FN(take_verbose)
{
	said->level = LOG_VERBOSE;
	return 0;
}

TAKE_FN(take_no_color)
{
	said->color = false;
	return 0;
}

TAKE_FN(take_help)
{
	said->help = true;
	return 0;
}

#define AT(member) offsetof(struct run_options, member)

static const struct row options[] = {
	{BOTH, 'o', "trace", "TRACE", take_trace, AT(trace),
		"write the trace there (default: awaitscope-<name>-<pid>.db in the current "
		"folder)"},
	{LIVE, 'o', "trace", "TRACE", take_trace, AT(trace),
		"keep the recording there (default: it is temporary)"},
	{ALL, 0, "force", NULL, take_flag, AT(force), "write over an existing trace or notebook"},
	{RUN, 0, "timeout", "S", take_seconds, AT(timeout_ns),
		"notebook: end a cell that runs longer, in seconds or with a unit (90, 2m); status "
		"124"},
	{RUN, 0, "allow-errors", NULL, take_flag, AT(allow_errors),
		"notebook: go on after a cell that fails"},
	{RUN, 0, "kernel", "NAME", take_text, AT(kernel),
		"notebook: the kernel to use (default: the one the notebook names)"},
	{RUN, 0, "output", "NB", take_text, AT(output),
		"notebook: save the executed notebook there"},
	{RUN, 0, "cells", NULL, take_flag, AT(cells),
		"the file is a script with cells that begin with '# %%'"},
	{WATCH, 0, "duration", "DURATION", take_seconds, AT(duration_ns),
		"end after so long (90s, 10m); else with Ctrl-C or the process's end"},
	{WATCH, 0, "follow", NULL, take_flag, AT(follow),
		"when it ends, wait for its next start and go on in the same trace"},
	{WATCH, 0, "notebook", "NB", take_text, AT(notebook),
		"the kernel's notebook: cells are found in it by their code where the kernel does "
		"not tell them"},
	{WATCH, 0, "no-jupyter", NULL, take_flag, AT(no_jupyter),
		"do not ask a kernel for its cells on its iopub channel"},
	{ALL, 0, "stall", "DURATION", take_stall, AT(stall_ns),
		"an iteration of at least this is a stall (default: 100ms)"},
	{ALL, 0, "min-block", "DURATION", take_duration, AT(min_block_ns),
		"shorter blocking calls are only summed (default: 1ms)"},
	{ALL, 0, "min-step", "DURATION", take_duration, AT(min_step_ns),
		"shorter steps are only summed; 0 keeps all (default: 100us)"},
	{ALL, 0, "max-size", "SIZE", take_size, AT(max_bytes),
		"of the trace; sums more when reached (default: 512M)"},
	{BOTH, 0, "sensor", "auto|agent|bpf", take_sensor, AT(sensor),
		"how to look (default: auto)"},
	{ALL, 0, "keep", "DURATION", take_keep, AT(keep_ns),
		"a flight recorder: keep only the last so long (10m), and what still goes on"},
	{BOTH, 0, "tape", "FILE", take_text, AT(tape), "also write every event as a line of text"},
	{ALL, 'q', "quiet", NULL, take_quiet, 0, "no progress and no verdict"},
	{BOTH, 'v', "verbose", NULL, take_verbose, 0, "say more"},
	{ALL, 0, "no-color", NULL, take_no_color, 0, "no colour on a terminal"},
	{ALL, 'h', "help", NULL, take_help, 0, "this text"},
};
#define OPTIONS (sizeof(options) / sizeof(*options))

/* getopt's ':' and '?', in our words. arg: where it stopped. */
static int refuse_option(const char *command, int id, const char *arg)
{
	if (id == ':')
		log_error("%s needs a value; awaitscope %s --help lists the options", arg, command);
	else
		log_error("%s is no option of %s, or a part of several; awaitscope %s --help "
			  "lists them",
			arg, command, command);
	return STATUS_USAGE;
}

/* id: getopt's, a letter or LONG_FIRST and the row. */
static int option_take(enum options_command command, int id, const char *value,
	struct run_options *o, struct options_said *said)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (options[i].commands & command &&
			(id == options[i].letter || id == LONG_FIRST + (int)i))
			return options[i].take(&options[i], value, o, said);
	return STATUS_USAGE;
}

int options_parse(enum options_command command, int argc, char **argv, struct run_options *o,
	struct options_said *said)
{
	struct option longs[OPTIONS + 1] = {0};
	char shorts[2 * OPTIONS + 2] = ":"; /* a missing value is told from an unknown option */
	int id, status = 0;
	size_t n = 0;

	for (size_t i = 0; i < OPTIONS; i++) {
		if (!(options[i].commands & command))
			continue;
		longs[n++] = (struct option){
			options[i].name, options[i].value != NULL, NULL, LONG_FIRST + (int)i};
		if (options[i].letter)
			sprintf(shorts + strlen(shorts), "%c%s", options[i].letter,
				options[i].value ? ":" : "");
	}
	opterr = 0;
	while (!status && (id = getopt_long(argc, argv, shorts, longs, NULL)) != -1)
		status = id == ':' || id == '?' ? refuse_option(argv[0], id, argv[optind - 1])
						: option_take(command, id, optarg, o, said);
	log_setup(said->level, said->color);
	return status;
}

void options_list(enum options_command command)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		char left[64];
		const char *value = options[i].value ? options[i].value : "";

		if (!(options[i].commands & command))
			continue;
		if (options[i].letter)
			snprintf(left, sizeof(left), "-%c, --%s%s%s", options[i].letter,
				options[i].name, *value ? "=" : "", value);
		else
			snprintf(left, sizeof(left), "    --%s%s%s", options[i].name,
				*value ? "=" : "", value);
		printf("  %-28s %s\n", left, options[i].doc);
	}
}

struct run_options options_defaults(trace_done_fn done)
{
	return (struct run_options){
		.sensor = "auto",
		.stall_ns = 100 * NS_PER_MS,
		.min_block_ns = NS_PER_MS,
		.min_step_ns = NS_PER_MS / 10,
		.max_bytes = 512ull << 20,
		.done = done,
	};
}
