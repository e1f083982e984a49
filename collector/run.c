/* `awaitscope run`: its options and help; whether a notebook, a cell script or a command is meant.
 */
#include "collector/run.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "collector/log.h"
#include "collector/options.h"

static void help(void)
{
	puts("usage: awaitscope run [OPTION...] NOTEBOOK.ipynb\n"
	     "       awaitscope run [OPTION...] --cells SCRIPT.py\n"
	     "       awaitscope run [OPTION...] -- COMMAND [ARGUMENT...]\n\n"
	     "Runs it and records what its event loops do.\n");
	options_list(OPTIONS_RUN);
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
	struct run_options o = options_defaults(done);
	struct options_said said = {.level = LOG_NORMAL, .color = true};
	int own = 1; /* arguments before the first -- are ours */
	char **command;
	int status;

	while (own < argc && strcmp(argv[own], "--"))
		own++;
	command = own < argc ? argv + own + 1 : NULL;
	argv[own] = NULL;
	log_setup(said.level, said.color);
	status = options_parse(OPTIONS_RUN, own, argv, &o, &said);
	if (said.help) {
		help();
		return 0;
	}
	if (!status && !strcmp(o.sensor, "bpf")) {
		log_error("--sensor bpf: run's agent sees a program from its first task on, which "
			  "the kernel alone would not; --sensor auto uses both, awaitscope attach "
			  "PID "
			  "the kernel alone");
		status = STATUS_UNTRACEABLE;
	}
	return status ? status : run_what(&o, argv + optind, own - optind, command);
}
