/* The program: its commands, in one table, and what --help and --version say. The only place that
 * sees both halves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/commands.h"
#include "viewer/commands.h"

#define STATUS_USAGE 2
#define NAME_LONG 32 /* no command's name is longer */
/* As many wrong letters still mean a known command. */
#define TYPO_MAX 2

static int command_run(int argc, char **argv)
{
	return run_main(argc, argv, trace_done);
}

static int command_attach(int argc, char **argv)
{
	return attach_main(argc, argv, trace_done);
}

static int command_inside(int argc, char **argv)
{
	return inside_main(argc, argv, trace_done);
}

/* Recorded there, shown here. */
static int command_live(int argc, char **argv)
{
	return live_main(argc, argv, trace_done, live_view);
}

static const struct command {
	const char *name;
	const char *doc;
	const char *example;
	int (*main)(int argc, char **argv); /* argv[0] is the name; returns the exit status */
} commands[] = {
	{"run", "run a notebook, a cell script or a command and record its event loops",
		"awaitscope run analysis.ipynb", command_run},
	{"attach",
		"watch a running process from outside: nothing is changed in it, nothing restarted",
		"sudo awaitscope attach 4711", command_attach},
	{"inside", "tell how a notebook records itself: %load_ext awaitscope", "awaitscope inside",
		command_inside},
	{"live", "show the loops and tasks of a process, or of a trace, as they are now",
		"sudo awaitscope live 4711", command_live},
	{"report", "say what a trace shows: stalls, cells, leaked tasks, blocking calls",
		"awaitscope report trace.db", report_main},
	{"check", "judge a trace for CI: exit status, JUnit, SARIF, GitHub annotations",
		"awaitscope check --fail-on warning trace.db", check_main},
	{"diff", "tell what became better or worse from one trace to another",
		"awaitscope diff main.db branch.db", diff_main},
	{"export", "write a trace for Perfetto, speedscope, flame graphs or Prometheus",
		"awaitscope export --format perfetto -o trace.json trace.db", export_main},
	{"doctor", "tell what this kernel, these privileges and a process allow",
		"awaitscope doctor", doctor_main},
	{"rules", "list the rules, or explain one", "awaitscope rules AS101", rules_main},
};
#define COMMANDS (sizeof(commands) / sizeof(*commands))

static int help(FILE *out)
{
	fputs("usage: awaitscope COMMAND [OPTION...] ...\n\n"
	      "Shows why an asyncio event loop stalls, and in a notebook which cell did it.\n\n",
		out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].doc);
	fputs("\nawaitscope COMMAND --help lists a command's options; awaitscope --version tells "
	      "the version.\n\nExamples:\n",
		out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %s\n", commands[i].example);
	return 0;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Edit distance; texts longer than a name are far from every name. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_LONG + 1], n = strlen(b), before, above;

	if (strlen(a) > NAME_LONG || n > NAME_LONG)
		return NAME_LONG;
	for (size_t k = 0; k <= n; k++)
		row[k] = k;
	for (size_t i = 0; a[i]; i++) {
		before = row[0];
		row[0] = i + 1;
		for (size_t k = 0; k < n; k++) {
			above = row[k + 1];
			row[k + 1] = smallest(above + 1, row[k] + 1, before + (a[i] != b[k]));
			before = above;
		}
	}
	return row[n];
}

static int unknown(const char *name)
{
	const struct command *nearest = &commands[0];

	for (size_t i = 1; i < COMMANDS; i++)
		if (distance(name, commands[i].name) < distance(name, nearest->name))
			nearest = &commands[i];
	if (distance(name, nearest->name) <= TYPO_MAX)
		fprintf(stderr, "awaitscope: no command is called %s; did you mean %s?\n", name,
			nearest->name);
	else
		fprintf(stderr,
			"awaitscope: no command is called %s; awaitscope --help lists them\n",
			name);
	return STATUS_USAGE;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		help(stderr);
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], "help") && argc > 2) { /* of one command, as its own --help */
		argv[1] = argv[2];
		argv[2] = "--help";
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return help(stdout);
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("awaitscope " AWAITSCOPE_VERSION);
		return 0;
	}
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].main(argc - 1, argv + 1);
	return unknown(argv[1]);
}
