/* The options of the recording commands, in one table. See options.h. */
#include "collector/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "collector/log.h"
#include "probe/base/units.h"

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull

enum option_id {
	OPT_KEEP = 256,
	OPT_TIMEOUT,
	OPT_ALLOW_ERRORS,
	OPT_KERNEL,
	OPT_OUTPUT,
	OPT_CELLS,
	OPT_SENSOR,
	OPT_MIN_STEP,
	OPT_MAX_SIZE,
	OPT_FORCE,
	OPT_STALL,
	OPT_MIN_BLOCK,
	OPT_TAPE,
	OPT_NO_COLOR,
	OPT_DURATION,
	OPT_NO_JUPYTER,
	OPT_FOLLOW,
	OPT_NOTEBOOK
};

#define RUN OPTIONS_RUN
#define ATTACH OPTIONS_ATTACH
#define LIVE OPTIONS_LIVE
#define WATCH (OPTIONS_ATTACH | OPTIONS_LIVE)
#define BOTH (OPTIONS_RUN | OPTIONS_ATTACH)
#define ALL (OPTIONS_RUN | OPTIONS_ATTACH | OPTIONS_LIVE)

static const struct {
	unsigned int commands; /* enum options_command, or several */
	const char *name;
	int id;            /* the letter, or an option_id */
	const char *value; /* NULL: takes none */
	const char *doc;
} options[] = {
	{BOTH, "trace", 'o', "TRACE",
		"write the trace there (default: awaitscope-<name>-<pid>.db in the current "
		"folder)"},
	{LIVE, "trace", 'o', "TRACE", "keep the recording there (default: it is temporary)"},
	{ALL, "force", OPT_FORCE, NULL, "write over an existing trace or notebook"},
	{RUN, "timeout", OPT_TIMEOUT, "S",
		"notebook: end a cell that runs longer, in seconds or with a unit (90, 2m); status "
		"124"},
	{RUN, "allow-errors", OPT_ALLOW_ERRORS, NULL, "notebook: go on after a cell that fails"},
	{RUN, "kernel", OPT_KERNEL, "NAME",
		"notebook: the kernel to use (default: the one the notebook names)"},
	{RUN, "output", OPT_OUTPUT, "NB", "notebook: save the executed notebook there"},
	{RUN, "cells", OPT_CELLS, NULL, "the file is a script with cells that begin with '# %%'"},
	{WATCH, "duration", OPT_DURATION, "DURATION",
		"end after so long (90s, 10m); else with Ctrl-C or the process's end"},
	{WATCH, "follow", OPT_FOLLOW, NULL,
		"when it ends, wait for its next start and go on in the same trace"},
	{WATCH, "notebook", OPT_NOTEBOOK, "NB",
		"the kernel's notebook: cells are found in it by their code where the kernel does "
		"not tell them"},
	{WATCH, "no-jupyter", OPT_NO_JUPYTER, NULL,
		"do not ask a kernel for its cells on its iopub channel"},
	{ALL, "stall", OPT_STALL, "DURATION",
		"an iteration of at least this is a stall (default: 100ms)"},
	{ALL, "min-block", OPT_MIN_BLOCK, "DURATION",
		"shorter blocking calls are only summed (default: 1ms)"},
	{ALL, "min-step", OPT_MIN_STEP, "DURATION",
		"shorter steps are only summed; 0 keeps all (default: 100us)"},
	{ALL, "max-size", OPT_MAX_SIZE, "SIZE",
		"of the trace; sums more when reached (default: 512M)"},
	{BOTH, "sensor", OPT_SENSOR, "auto|agent|bpf", "how to look (default: auto)"},
	{ALL, "keep", OPT_KEEP, "DURATION",
		"a flight recorder: keep only the last so long (10m), and what still goes on"},
	{BOTH, "tape", OPT_TAPE, "FILE", "also write every event as a line of text"},
	{ALL, "quiet", 'q', NULL, "no progress and no verdict"},
	{BOTH, "verbose", 'v', NULL, "say more"},
	{ALL, "no-color", OPT_NO_COLOR, NULL, "no colour on a terminal"},
	{ALL, "help", 'h', NULL, "this text"},
};
#define OPTIONS (sizeof(options) / sizeof(*options))

static int wrong(const char *option, const char *value, const char *expected)
{
	log_error("--%s %s: %s", option, value, expected);
	return STATUS_USAGE;
}

static int set_duration(const char *option, const char *value, uint64_t bare_ns, uint64_t *ret_ns)
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

static int set_keep(const char *value, uint64_t *ret_ns)
{
	int status = set_duration("keep", value, NS_PER_S, ret_ns);

	return status || *ret_ns >= NS_PER_S ? status : wrong("keep", value, "keep at least 1s");
}

static int set_sensor(struct run_options *o, const char *value)
{
	o->sensor = value;
	if (!strcmp(value, "auto") || !strcmp(value, "agent") || !strcmp(value, "bpf"))
		return 0;
	return wrong("sensor", value, "one of auto, agent, bpf");
}

static int set(struct run_options *o, struct options_said *c, int id, const char *value)
{
	switch (id) {
	case 'o':
		o->trace = value;
		return *value ? 0 : wrong("trace", "''", "a file name is needed");
	case 'q':
		c->level = LOG_QUIET;
		return 0;
	case 'v':
		c->level = LOG_VERBOSE;
		return 0;
	case 'h':
		c->help = true;
		return 0;
	case OPT_NO_COLOR:
		c->color = false;
		return 0;
	case OPT_FORCE:
		o->force = true;
		return 0;
	case OPT_CELLS:
		o->cells = true;
		return 0;
	case OPT_ALLOW_ERRORS:
		o->allow_errors = true;
		return 0;
	case OPT_KERNEL:
		o->kernel = value;
		return 0;
	case OPT_OUTPUT:
		o->output = value;
		return 0;
	case OPT_TAPE:
		o->tape = value;
		return 0;
	case OPT_SENSOR:
		return set_sensor(o, value);
	case OPT_TIMEOUT:
		return set_duration("timeout", value, NS_PER_S, &o->timeout_ns);
	case OPT_NO_JUPYTER:
		o->no_jupyter = true;
		return 0;
	case OPT_NOTEBOOK:
		o->notebook = value;
		return 0;
	case OPT_FOLLOW:
		o->follow = true;
		return 0;
	case OPT_DURATION:
		return set_duration("duration", value, NS_PER_S, &o->duration_ns);
	case OPT_STALL:
		return set_duration("stall", value, 0, &o->stall_ns);
	case OPT_MIN_BLOCK:
		return set_duration("min-block", value, 0, &o->min_block_ns);
	case OPT_MIN_STEP:
		return set_duration("min-step", value, 0, &o->min_step_ns);
	case OPT_MAX_SIZE:
		return size_parse(value, &o->max_bytes)
			       ? wrong("max-size", value, "not a size such as 512M or 2G")
			       : 0;
	case OPT_KEEP:
		return set_keep(value, &o->keep_ns);
	default:
		return STATUS_USAGE;
	}
}

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
			options[i].name, options[i].value != NULL, NULL, options[i].id};
		if (options[i].id < 256)
			sprintf(shorts + strlen(shorts), "%c%s", options[i].id,
				options[i].value ? ":" : "");
	}
	opterr = 0;
	while (!status && (id = getopt_long(argc, argv, shorts, longs, NULL)) != -1)
		status = id == ':' || id == '?' ? refuse_option(argv[0], id, argv[optind - 1])
						: set(o, said, id, optarg);
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
		if (options[i].id < 256)
			snprintf(left, sizeof(left), "-%c, --%s%s%s", options[i].id,
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
