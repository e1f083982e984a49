/* `awaitscope export`: a trace in the forms of other tools. Results go to stdout or a file, errors
 * to stderr. */
#include "viewer/commands.h"

#include <errno.h>

#include "probe/base/cleanup.h"
#include "viewer/arguments.h"
#include "viewer/complain.h"
#include "viewer/export.h"
#include "viewer/output_file.h"

#define COMMAND "export"
#define WHY_BYTES 1024

static const struct form {
	const char *name;
	const char *doc;
	int (*write)(struct report *report, FILE *out);
} forms[] = {
	{"perfetto", "trace events as JSON, for ui.perfetto.dev and chrome://tracing",
		export_perfetto},
	{"speedscope", "the samples of held loops, for speedscope.app", export_speedscope},
	{"folded", "the same, a line a stack with µs, for flame graphs", export_folded},
	{"prometheus", "the numbers as metrics in text", export_prometheus},
};
#define FORMS (sizeof(forms) / sizeof(*forms))

struct export_command {
	const struct form *form;
	const char *trace, *output;
};

enum { OPTION_format = ARGUMENTS_LONG };

static const struct option long_options[] = {
	{"format", required_argument, NULL, OPTION_format},
	{"output", required_argument, NULL, 'o'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static void usage_print(void)
{
	fputs("Usage: awaitscope export --format FORMAT [-o FILE] TRACE\n"
	      "Write a recorded trace for another tool.\n\n",
		stdout);
	for (size_t i = 0; i < FORMS; i++)
		printf("  %-18s %s\n", forms[i].name, forms[i].doc);
	fputs("\n  -o, --output FILE  write there instead of to stdout (mode 0600)\n"
	      "  -h, --help         this text\n"
	      "\n"
	      "Example:\n"
	      "  awaitscope export --format perfetto -o trace.json trace.db\n"
	      "\n"
	      "Exit status: 0 done, 2 wrong usage or no readable trace.\n",
		stdout);
}

static int form_set(struct export_command *command, const char *name)
{
	for (size_t i = 0; i < FORMS; i++)
		if (!strcmp(forms[i].name, name)) {
			command->form = &forms[i];
			return 0;
		}
	return complain(
		COMMAND, "no format is called %s; awaitscope export --help lists them", name);
}

/* 0: go on; else the exit status + 1. */
static int arguments_parse(int argc, char **argv, struct export_command *command)
{
	int option;

	optind = 0; /* glibc: begin anew */
	while ((option = arguments_next(COMMAND, argc, argv, "ho:", long_options)) !=
		ARGUMENTS_END) {
		if (option == 'h') {
			usage_print();
			return 1;
		}
		if (option == ARGUMENTS_WRONG)
			return EXIT_WRONG + 1;
		if (option == 'o')
			command->output = optarg;
		else if (form_set(command, optarg))
			return EXIT_WRONG + 1;
	}
	if (!command->form)
		return complain(COMMAND, "name a --format; awaitscope export --help lists them") +
		       1;
	if (optind + 1 != argc)
		return complain(COMMAND, "name one trace; see awaitscope export --help") + 1;
	command->trace = argv[optind];
	return 0;
}

static int export_write(const struct export_command *command, struct report *report)
{
	FILE *out = NULL;
	int rc = output_file_open(command->output, command->trace, &out);
	bool read_failed;

	if (rc == -EBUSY)
		return complain(
			COMMAND, "-o %s is the trace itself; name another file", command->output);
	if (rc)
		return complain(COMMAND, "cannot write %s: %s", command->output, strerror(-rc));
	errno = 0;
	rc = command->form->write(report, out);
	read_failed = rc && rc != -ENOMEM && !ferror(out);
	if (read_failed)
		complain(COMMAND, "%s", trace_why(report->trace));
	rc = output_file_close(out, rc);
	if (rc && !read_failed)
		complain(COMMAND, "cannot write %s: %s",
			command->output ? command->output : "the export", strerror(-rc));
	return rc ? EXIT_WRONG : 0;
}

int export_main(int argc, char **argv)
{
	const struct report_options options = {0};
	struct export_command command = {0};
	cleanup(trace_freep) struct trace *trace = NULL;
	cleanup(report_freep) struct report *report = NULL;
	char why[WHY_BYTES];
	int rc = arguments_parse(argc, argv, &command);

	if (rc)
		return rc - 1;
	if (trace_open(command.trace, why, sizeof(why), &trace))
		return complain(COMMAND, "%s", why);
	rc = report_read(trace, &options, &report);
	if (rc)
		return complain(COMMAND, "%s", rc == -ENOMEM ? "out of memory" : trace_why(trace));
	return export_write(&command, report);
}
