/* `awaitscope run`: its options and help; whether a notebook, a cell script or a command is meant.
 */
#include "collector/run.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "collector/log.h"
#include "probe/base/text.h"
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
	OPT_NO_COLOR
};

static const struct {
	const char *name;  /* long; NULL: only the letter */
	int id;            /* the letter, or an option_id */
	const char *value; /* NULL: takes none */
	const char *doc;
} options[] = {
	{"trace", 'o', "TRACE",
		"write the trace there (default: awaitscope-<name>-<pid>.db in the current "
		"folder)"},
	{"force", OPT_FORCE, NULL, "write over an existing trace or notebook"},
	{"timeout", OPT_TIMEOUT, "S",
		"notebook: end a cell that runs longer, in seconds or with a unit (90, 2m); status "
		"124"},
	{"allow-errors", OPT_ALLOW_ERRORS, NULL, "notebook: go on after a cell that fails"},
	{"kernel", OPT_KERNEL, "NAME",
		"notebook: the kernel to use (default: the one the notebook names)"},
	{"output", OPT_OUTPUT, "NB", "notebook: save the executed notebook there"},
	{"cells", OPT_CELLS, NULL, "the file is a script with cells that begin with '# %%'"},
	{"stall", OPT_STALL, "DURATION",
		"an iteration of at least this is a stall (default: 100ms)"},
	{"min-block", OPT_MIN_BLOCK, "DURATION",
		"shorter blocking calls are only summed (default: 1ms)"},
	{"min-step", OPT_MIN_STEP, "DURATION",
		"shorter steps are only summed; 0 keeps all (default: 100us)"},
	{"max-size", OPT_MAX_SIZE, "SIZE", "of the trace; sums more when reached (default: 512M)"},
	{"sensor", OPT_SENSOR, "auto|agent|bpf", "how to look (default: auto)"},
	{"keep", OPT_KEEP, "DURATION", "keep only the last minutes; not in this build"},
	{"tape", OPT_TAPE, "FILE", "also write every event as a line of text"},
	{"quiet", 'q', NULL, "no progress and no verdict"},
	{"verbose", 'v', NULL, "say more"},
	{"no-color", OPT_NO_COLOR, NULL, "no colour on a terminal"},
	{"help", 'h', NULL, "this text"},
};
#define OPTIONS (sizeof(options) / sizeof(*options))

static void help(void)
{
	puts("usage: awaitscope run [OPTION...] NOTEBOOK.ipynb\n"
	     "       awaitscope run [OPTION...] --cells SCRIPT.py\n"
	     "       awaitscope run [OPTION...] -- COMMAND [ARGUMENT...]\n\n"
	     "Runs it and records what its event loops do.\n");
	for (size_t i = 0; i < OPTIONS; i++) {
		char left[64];
		const char *value = options[i].value ? options[i].value : "";

		if (options[i].id < 256)
			snprintf(left, sizeof(left), "-%c, --%s%s%s", options[i].id,
				options[i].name, *value ? "=" : "", value);
		else
			snprintf(left, sizeof(left), "    --%s%s%s", options[i].name,
				*value ? "=" : "", value);
		printf("  %-28s %s\n", left, options[i].doc);
	}
	puts("\nWhile a loop is held it is said where: in the notebook's progress line on a "
	     "terminal, else in "
	     "a line once it lasts 1 s\n(10 s where a cell's own code runs); beside a command in a "
	     "line after "
	     "5 s (with -v 1 s); never with -q.");
	puts("\nStatus: of a notebook 0, 1 a cell failed, 124 timeout, 125 the kernel died, 130 "
	     "interrupted; of a command its own,\n"
	     "126 not executable, 127 not found, 128+n ended by signal n, 125 awaitscope failed; 2 "
	     "wrong usage, 3 not traceable.\n\n"
	     "Examples:\n"
	     "  awaitscope run --timeout 120 analysis.ipynb\n"
	     "  awaitscope run -o trace.db -- python3 app.py --port 8080");
}

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

static int set_sensor(struct run_options *o, const char *value)
{
	o->sensor = value;
	if (!strcmp(value, "auto") || !strcmp(value, "agent"))
		return 0;
	if (strcmp(value, "bpf"))
		return wrong("sensor", value, "one of auto, agent, bpf");
	log_error("--sensor bpf: this build has no eBPF sensor yet; --sensor agent needs none");
	return STATUS_UNTRACEABLE;
}

struct choices { /* what is no option of the recording */
	enum log_level level;
	bool color, help;
};

static int set(struct run_options *o, struct choices *c, int id, const char *value)
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
		log_error("--keep: this build has no flight recorder yet; --max-size bounds the "
			  "trace");
		return STATUS_USAGE;
	default:
		return STATUS_USAGE;
	}
}

/* getopt's ':' and '?', in our words. arg: where it stopped. */
static int refuse_option(int id, const char *arg)
{
	if (id == ':')
		log_error("%s needs a value; awaitscope run --help lists the options", arg);
	else
		log_error("%s is no option of run, or a part of several; awaitscope run --help "
			  "lists them",
			arg);
	return STATUS_USAGE;
}

static int parse(int argc, char **argv, struct run_options *o, struct choices *c)
{
	struct option longs[OPTIONS + 1] = {0};
	char shorts[2 * OPTIONS + 2] = ":"; /* a missing value is told from an unknown option */
	int id, status = 0;

	for (size_t i = 0; i < OPTIONS; i++) {
		longs[i] = (struct option){
			options[i].name, options[i].value != NULL, NULL, options[i].id};
		if (options[i].id < 256)
			sprintf(shorts + strlen(shorts), "%c%s", options[i].id,
				options[i].value ? ":" : "");
	}
	opterr = 0;
	while (!status && (id = getopt_long(argc, argv, shorts, longs, NULL)) != -1)
		status = id == ':' || id == '?' ? refuse_option(id, argv[optind - 1])
						: set(o, c, id, optarg);
	return status;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && !strcmp(text + n - m, end);
}

/* One file is to be run in a kernel: is it one, and the kind that was said? */
static int run_file(const struct run_options *o, const char *path)
{
	struct stat st;
	bool there = !stat(path, &st);

	if (!there && errno == ENOENT && !strchr(path, '/') && !strchr(path, '.'))
		log_error(
			"%s: no such notebook; a command comes after --: awaitscope run -- %s ...",
			path, path);
	else if (!there)
		log_error("%s: %s", path,
			errno == ENOENT ? (o->cells ? "no such script" : "no such notebook")
					: strerror(errno));
	else if (S_ISDIR(st.st_mode))
		log_error("%s is a folder, not a %s", path, o->cells ? "script" : "notebook");
	else if (!o->cells && ends_with(path, ".py"))
		log_error("%s is a script: awaitscope run -- python3 %s runs it, awaitscope run "
			  "--cells %s runs its '# %%%%' cells",
			path, path, path);
	else if (o->cells && ends_with(path, ".ipynb"))
		log_error("%s is a notebook: leave --cells out", path);
	else
		return run_notebook(o, path);
	return STATUS_USAGE;
}

static int run_what(const struct run_options *o, char **files, int count, char **command)
{
	if (command && count)
		log_error("either a file or a command after --, not both (%s)", files[0]);
	else if (command && !command[0])
		log_error("a command is missing after --");
	else if (command &&
		 (o->cells || o->kernel || o->output || o->allow_errors || o->timeout_ns))
		log_error("--cells, --kernel, --output, --allow-errors and --timeout are for "
			  "notebooks, not for a command");
	else if (command)
		return run_command(o, command);
	else if (count > 1)
		log_error(
			"more than one file; a command comes after --: awaitscope run -- %s %s ...",
			files[0], files[1]);
	else if (!count)
		log_error("what to run? NOTEBOOK.ipynb, --cells SCRIPT.py, or -- COMMAND");
	else
		return run_file(o, files[0]);
	return STATUS_USAGE;
}

int run_main(int argc, char **argv, trace_done_fn done)
{
	struct run_options o = {
		.sensor = "auto",
		.stall_ns = 100 * NS_PER_MS,
		.min_block_ns = NS_PER_MS,
		.min_step_ns = NS_PER_MS / 10,
		.max_bytes = 512ull << 20,
		.done = done,
	};
	struct choices c = {.level = LOG_NORMAL, .color = true};
	int own = 1; /* arguments before the first -- are ours */
	char **command;
	int status;

	while (own < argc && strcmp(argv[own], "--"))
		own++;
	command = own < argc ? argv + own + 1 : NULL;
	argv[own] = NULL;
	log_setup(c.level, c.color);
	status = parse(own, argv, &o, &c);
	if (c.help) {
		help();
		return 0;
	}
	log_setup(c.level, c.color);
	return status ? status : run_what(&o, argv + optind, own - optind, command);
}
