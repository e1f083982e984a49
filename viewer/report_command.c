/* `awaitscope report`, and the lines that end a recording. These log; the rest of the viewer is
 * silent. */
#include "viewer/commands.h"

#include <errno.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "viewer/arguments.h"
#include "viewer/complain.h"
#include "viewer/finding_store.h"
#include "viewer/output.h"
#include "viewer/reading.h"
#include "viewer/rule.h"
#include "viewer/screen.h"
#include "viewer/words.h"

#define COMMAND "report"
#define WHY_BYTES 1024
#define WORD_COLUMNS 15
/* What a shell leaves as it is. */
#define PLAIN_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@,="

typedef int (*format_fn)(struct report *report, const struct output_options *options, FILE *out);

static const struct format {
	const char *name;
	format_fn write;
} formats[] = {
	{"text", report_text},
	{"json", report_json},
	{"html", report_html},
	{"markdown", report_markdown},
};

struct report_command {
	struct arguments arguments;
	const struct format *format;
	struct report *report; /* borrowed */
};

static const char usage[] =
	"Usage: awaitscope report [OPTION]... TRACE\n"
	"Tell what a recorded trace says: what held the event loop, which cell, which line.\n"
	"\n"
	"  --format FORMAT    text (default), json, html or markdown\n"
	"  --all              tasks that only library code created, too\n"
	"  --no-source        leave the sources of cells out\n"
	"  -o, --output FILE  write there instead of to stdout (mode 0600)\n"
	"  --stall TIME       what counts as a stall; not below what the trace was recorded with "
	"(100ms)\n"
	"  --min-block TIME   blocking calls to list; not below what the trace was recorded with "
	"(1ms)\n"
	"  --await-timeout TIME  how long an await without a timeout may be pending (30s)\n"
	"  -q, --quiet        only the verdict\n"
	"  -v, --verbose      every row, each stall, and the stacks of blocking calls\n"
	"  --no-color         no colours on a terminal either (NO_COLOR does the same)\n"
	"  -h, --help         this text\n"
	"\n"
	"Example:\n"
	"  awaitscope report --format json awaitscope-analysis-4711.db | jq .verdict\n"
	"  awaitscope report --format html -o analysis.html awaitscope-analysis-4711.db\n"
	"\n"
	"Exit status: 0 done, 2 wrong usage or no readable trace.\n";

enum { OPTION_format = ARGUMENTS_OWN, OPTION_no_source };

static const struct option long_options[] = {
	{"format", required_argument, NULL, OPTION_format},
	{"no-source", no_argument, NULL, OPTION_no_source},
	{NULL, 0, NULL, 0},
};

static int format_set(struct report_command *command, const char *name)
{
	char known[128] = "", *p = known; /* every name of the table fits */

	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		if (!strcmp(formats[i].name, name)) {
			command->format = &formats[i];
			return 0;
		}
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		p += snprintf(p, (size_t)(known + sizeof(known) - p), "%s%s", i ? ", " : "",
			formats[i].name);
	complain(COMMAND,
		"--format %s is not among what this version writes: %s; see awaitscope report "
		"--help",
		name, known);
	return EXIT_WRONG;
}

static int option_take(void *own, int option)
{
	struct report_command *command = own;

	if (option == OPTION_format)
		return format_set(command, optarg);
	command->arguments.write.no_source = true;
	return 0;
}

static void usage_print(void)
{
	struct screen screen;

	fputs(usage, stdout);
	screen_init(&screen, stdout, true);
	puts("\nWords:");
	for (const struct word *w = words_list; w->word; w++) {
		printf("  %-*s", WORD_COLUMNS - 2, w->word);
		screen_wrap(&screen, STYLE_plain, w->meaning, WORD_COLUMNS, WORD_COLUMNS);
	}
}

static const struct arguments_spec spec = {
	.command = COMMAND,
	.offers = OFFER_THRESHOLDS | OFFER_AWAIT_TIMEOUT | OFFER_ALL | OFFER_OUTPUT | OFFER_TEXT,
	.option = long_options,
	.take = option_take,
	.help = usage_print,
	.traces = 1,
};

static int form_write(void *ctx, FILE *out)
{
	const struct report_command *command = ctx;

	return command->format->write(command->report, &command->arguments.write, out);
}

int report_main(int argc, char **argv)
{
	struct report_command command = {.format = &formats[0]};
	cleanup(trace_freep) struct trace *trace = NULL;
	cleanup(report_freep) struct report *report = NULL;
	int rc = arguments_parse(&spec, argc, argv, &command.arguments, &command);

	if (rc)
		return rc - 1;
	if (reading_open(
		    COMMAND, command.arguments.traces[0], &command.arguments.read, &trace, &report))
		return EXIT_WRONG;
	command.report = report;
	return reading_write(COMMAND, command.arguments.output, trace, form_write, &command);
}

static void line_print(const char *text)
{
	cleanup(freep) char *safe = text_for_terminal(text, 0);

	fprintf(stderr, "%s\n", safe ? safe : "out of memory");
}

void trace_done(const char *path, bool quiet)
{
	const struct report_options options = {0};
	cleanup(trace_freep) struct trace *trace = NULL;
	cleanup(report_freep) struct report *report = NULL;
	cleanup(freep) char *line = NULL, *next = NULL;
	char why[WHY_BYTES];
	const char *quote;
	size_t size;
	FILE *out;

	if (trace_open(path, why, sizeof(why), &trace)) {
		line_print(why);
		return;
	}
	if (report_read(trace, &options, &report)) {
		line_print(trace_why(trace));
		return;
	}
	if (findings_store(path, report))
		line_print("The findings could not be stored in the trace; report and check judge "
			   "it anew.");
	if (quiet)
		return;
	line_print(report->verdict);
	out = open_memstream(&line, &size);
	if (out) {
		coverage_print(report, out);
		fputs("; ", out);
		unchecked_print(report, out);
		fputc('.', out);
		fclose(out);
	}
	line_print(line ? line : "out of memory");
	quote = strspn(path, PLAIN_BYTES) == strlen(path)
			? ""
			: "'"; /* good enough to copy; a quote in a name is not */
	if (asprintf(&next, "Trace: %s   Next: awaitscope report %s%s%s", path, quote, path,
		    quote) < 0)
		next = NULL;
	line_print(next ? next : path);
}
