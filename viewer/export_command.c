/* `awaitscope export`: a trace in the forms of other tools. Results go to stdout or a file, errors
 * to stderr. */
#include "viewer/commands.h"

#include "probe/base/cleanup.h"
#include "viewer/arguments.h"
#include "viewer/complain.h"
#include "viewer/export.h"
#include "viewer/reading.h"

#define COMMAND "export"

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
	struct report *report; /* borrowed */
};

enum { OPTION_format = ARGUMENTS_OWN };

static const struct option long_options[] = {
	{"format", required_argument, NULL, OPTION_format},
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

/* The only one of its own: --format. */
static int option_take(void *own, int option)
{
	struct export_command *command = own;

	for (size_t i = 0; i < FORMS; i++)
		if (!strcmp(forms[i].name, optarg)) {
			command->form = &forms[i];
			return 0;
		}
	return complain(
		COMMAND, "no format is called %s; awaitscope export --help lists them", optarg);
}

static const struct arguments_spec spec = {
	.command = COMMAND,
	.offers = OFFER_OUTPUT,
	.option = long_options,
	.take = option_take,
	.help = usage_print,
	.traces = 1,
};

static int form_write(void *ctx, FILE *out)
{
	const struct export_command *command = ctx;

	return command->form->write(command->report, out);
}

int export_main(int argc, char **argv)
{
	struct export_command command = {0};
	struct arguments arguments = {0};
	cleanup(trace_freep) struct trace *trace = NULL;
	cleanup(report_freep) struct report *report = NULL;
	int rc = arguments_parse(&spec, argc, argv, &arguments, &command);

	if (rc)
		return rc - 1;
	if (!command.form)
		return complain(COMMAND, "name a --format; awaitscope export --help lists them");
	if (reading_open(COMMAND, arguments.traces[0], &arguments.read, &trace, &report))
		return EXIT_WRONG;
	command.report = report;
	return reading_write(COMMAND, arguments.output, trace, form_write, &command);
}
