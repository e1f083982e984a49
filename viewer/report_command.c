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
#include "viewer/output_file.h"
#include "viewer/rule.h"
#include "viewer/screen.h"

#define COMMAND "report"
#define WHY_BYTES 1024
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
	const char *trace, *output; /* output NULL: stdout */
	const struct format *format;
	struct report_options read;
	struct output_options write;
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

enum {
	OPTION_format = ARGUMENTS_LONG,
	OPTION_all,
	OPTION_no_source,
	OPTION_stall,
	OPTION_min_block,
	OPTION_await_timeout,
	OPTION_no_color
};

static const struct option long_options[] = {
	{"format", required_argument, NULL, OPTION_format},
	{"all", no_argument, NULL, OPTION_all},
	{"no-source", no_argument, NULL, OPTION_no_source},
	{"output", required_argument, NULL, 'o'},
	{"stall", required_argument, NULL, OPTION_stall},
	{"min-block", required_argument, NULL, OPTION_min_block},
	{"await-timeout", required_argument, NULL, OPTION_await_timeout},
	{"quiet", no_argument, NULL, 'q'},
	{"verbose", no_argument, NULL, 'v'},
	{"no-color", no_argument, NULL, OPTION_no_color},
	{"help", no_argument, NULL, 'h'},
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

static int option_take(struct report_command *command, int option)
{
	switch (option) {
	case OPTION_format:
		return format_set(command, optarg);
	case OPTION_all:
		command->read.all = true;
		return 0;
	case OPTION_no_source:
		command->write.no_source = true;
		return 0;
	case OPTION_stall:
		return threshold_take(COMMAND, "--stall", optarg, &command->read.stall_ns);
	case OPTION_min_block:
		return threshold_take(COMMAND, "--min-block", optarg, &command->read.min_block_ns);
	case OPTION_await_timeout:
		return threshold_take(
			COMMAND, "--await-timeout", optarg, &command->read.await_timeout_ns);
	case OPTION_no_color:
		command->write.no_color = true;
		return 0;
	case 'o':
		command->output = optarg;
		return 0;
	case 'q':
		command->write.quiet = true;
		return 0;
	default:
		command->write.verbose = true;
		return 0;
	}
}

/* 0: go on; else the exit status + 1. */
static int arguments_parse(int argc, char **argv, struct report_command *command)
{
	int option, rc;

	optind = 0; /* glibc: begin anew */
	while ((option = arguments_next(COMMAND, argc, argv, "ho:qv", long_options)) !=
		ARGUMENTS_END) {
		if (option == 'h') {
			fputs(usage, stdout);
			return 1;
		}
		rc = option == ARGUMENTS_WRONG ? EXIT_WRONG : option_take(command, option);
		if (rc)
			return rc + 1;
	}
	if (optind == argc)
		return complain(COMMAND, "name a trace; see awaitscope report --help") + 1;
	if (optind + 1 < argc)
		return complain(COMMAND,
			       "one trace at a time, not also %s; see awaitscope report --help",
			       argv[optind + 1]) +
		       1;
	command->trace = argv[optind];
	return 0;
}

static void read_complain(struct trace *trace, const struct report_options *options, int rc)
{
	if (rc == -ERANGE)
		complain(COMMAND,
			"%s was recorded with higher thresholds than asked for: --stall and "
			"--min-block can only be raised",
			trace_path(trace));
	else if (rc == -ENOMEM)
		complain(COMMAND, "%s: out of memory", trace_path(trace));
	else
		complain(COMMAND, "%s", trace_why(trace));
}

static int report_write(struct report_command *command, struct report *report)
{
	FILE *out = NULL;
	int rc = output_file_open(command->output, command->trace, &out);
	bool read_failed;

	if (rc == -EBUSY)
		complain(COMMAND, "-o %s is the trace itself; name another file", command->output);
	else if (rc)
		complain(COMMAND, "cannot write %s: %s", command->output, strerror(-rc));
	if (rc)
		return EXIT_WRONG;
	errno = 0;
	rc = command->format->write(report, &command->write, out);
	read_failed = rc && !ferror(out);
	if (rc == -ENOMEM)
		complain(COMMAND, "%s: out of memory", command->trace);
	else if (read_failed)
		complain(COMMAND, "%s", trace_why(report->trace));
	rc = output_file_close(out, rc);
	if (rc && !read_failed)
		complain(COMMAND, "cannot write %s: %s",
			command->output ? command->output : "the report", strerror(-rc));
	return rc ? EXIT_WRONG : 0;
}

int report_main(int argc, char **argv)
{
	struct report_command command = {.format = &formats[0]};
	cleanup(trace_freep) struct trace *trace = NULL;
	cleanup(report_freep) struct report *report = NULL;
	char why[WHY_BYTES];
	int rc = arguments_parse(argc, argv, &command);

	if (rc)
		return rc - 1;
	if (trace_open(command.trace, why, sizeof(why), &trace)) {
		complain(COMMAND, "%s", why);
		return EXIT_WRONG;
	}
	if (trace_warning(trace))
		complain(COMMAND, "%s: %s", command.trace, trace_warning(trace));
	rc = report_read(trace, &command.read, &report);
	if (rc) {
		read_complain(trace, &command.read, rc);
		return EXIT_WRONG;
	}
	return report_write(&command, report);
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
