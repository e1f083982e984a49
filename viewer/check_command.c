/* `awaitscope check`: a trace against conditions, for CI. Results go to stdout, errors to stderr.
 */
#include "viewer/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "probe/base/units.h"
#include "viewer/check.h"
#include "viewer/screen.h"

#define EXIT_FAILED 1
#define EXIT_WRONG 2
#define WHY_BYTES 1024

struct check_command {
	const char *trace, *junit, *sarif;
	bool github, allow_unchecked, quiet, verbose, no_color;
	condition_list conditions;
	struct report_options read;
};

static const char usage[] =
	"Usage: awaitscope check [OPTION]... TRACE\n"
	"Judge a recorded trace; exit status 1 if it fails.\n"
	"\n"
	"  --fail-on COND      may be given several times; error if it is not given. COND is\n"
	"                      a rule (AS102: any finding of it; AS102:3: three or more),\n"
	"                      a severity (note, warning, error: that one or worse), or\n"
	"                      a measure and its limit (lag.p99=50ms, leaked=0: fails above it)\n"
	"  --allow-unchecked   rules and measures that could not be judged do not fail the check\n"
	"  --junit FILE        write JUnit XML, a case for each rule and measure\n"
	"  --sarif FILE        write SARIF 2.1.0\n"
	"  --github            print GitHub annotations; append a summary to $GITHUB_STEP_SUMMARY\n"
	"  --stall TIME        what counts as a stall; not below what the trace was recorded with\n"
	"  --min-block TIME    blocking calls to count; not below what the trace was recorded "
	"with\n"
	"  -q, --quiet         only the outcome\n"
	"  -v, --verbose       findings that fail no condition, too\n"
	"  --no-color          no colours on a terminal either (NO_COLOR does the same)\n"
	"  --help              this text\n"
	"\n"
	"Example:\n"
	"  awaitscope check --fail-on error --fail-on lag.p99=50ms --sarif awaitscope.sarif "
	"trace.db\n"
	"\n"
	"Exit status: 0 passed, 1 failed, 2 wrong usage or no readable trace.\n";

enum {
	OPTION_fail_on = 256,
	OPTION_allow_unchecked,
	OPTION_junit,
	OPTION_sarif,
	OPTION_github,
	OPTION_stall,
	OPTION_min_block,
	OPTION_no_color,
	OPTION_help,
	OPTION_later
};

static const struct option long_options[] = {
	{"fail-on", required_argument, NULL, OPTION_fail_on},
	{"allow-unchecked", no_argument, NULL, OPTION_allow_unchecked},
	{"junit", required_argument, NULL, OPTION_junit},
	{"sarif", required_argument, NULL, OPTION_sarif},
	{"github", no_argument, NULL, OPTION_github},
	{"stall", required_argument, NULL, OPTION_stall},
	{"min-block", required_argument, NULL, OPTION_min_block},
	{"quiet", no_argument, NULL, 'q'},
	{"verbose", no_argument, NULL, 'v'},
	{"no-color", no_argument, NULL, OPTION_no_color},
	{"help", no_argument, NULL, OPTION_help},
	{"config", required_argument, NULL, OPTION_later},
	{"baseline", required_argument, NULL, OPTION_later},
	{"await-timeout", required_argument, NULL, OPTION_later},
	{NULL, 0, NULL, 0},
};

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line; what a path or an argument holds must not reach the terminal raw. */
static void complain(const char *format, ...)
{
	cleanup(freep) char *raw = NULL, *safe = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&raw, format, args);
	va_end(args);
	if (n < 0)
		raw = NULL;
	safe = raw ? text_for_terminal(raw, 0) : NULL;
	fprintf(stderr, "awaitscope check: %s\n", safe ? safe : "out of memory");
}

static int threshold_set(const char *option, const char *text, uint64_t *ret_ns)
{
	uint64_t ns;

	if (duration_parse(text, 0, &ns) || !ns) {
		complain("%s %s is no duration: write a number and a unit, as 250ms; see "
			 "awaitscope check --help",
			option, text);
		return EXIT_WRONG;
	}
	*ret_ns = ns;
	return 0;
}

static int condition_add(struct check_command *command, const char *text)
{
	struct condition *c = list_add(&command->conditions);
	char why[WHY_BYTES];

	if (!c) {
		complain("out of memory");
		return EXIT_WRONG;
	}
	if (condition_parse(text, c, why, sizeof(why))) {
		complain("--fail-on %s: %s", text, why);
		return EXIT_WRONG;
	}
	return 0;
}

static int option_take(struct check_command *command, int option, const char *name)
{
	switch (option) {
	case OPTION_fail_on:
		return condition_add(command, optarg);
	case OPTION_allow_unchecked:
		command->allow_unchecked = true;
		return 0;
	case OPTION_junit:
		command->junit = optarg;
		return 0;
	case OPTION_sarif:
		command->sarif = optarg;
		return 0;
	case OPTION_github:
		command->github = true;
		return 0;
	case OPTION_stall:
		return threshold_set("--stall", optarg, &command->read.stall_ns);
	case OPTION_min_block:
		return threshold_set("--min-block", optarg, &command->read.min_block_ns);
	case OPTION_no_color:
		command->no_color = true;
		return 0;
	case OPTION_later:
		complain("--%s is not in this version yet; see awaitscope check --help", name);
		return EXIT_WRONG;
	case 'q':
		command->quiet = true;
		return 0;
	default:
		command->verbose = true;
		return 0;
	}
}

/* 0: go on; else the exit status + 1. */
static int arguments_parse(int argc, char **argv, struct check_command *command)
{
	int option, rc, index = 0;

	optind = 0; /* glibc: begin anew */
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":qv", long_options, &index)) != -1) {
		if (option == OPTION_help) {
			fputs(usage, stdout);
			return 1;
		}
		if (option == ':' || option == '?') {
			complain("%s %s; see awaitscope check --help",
				option == ':' ? "a value is missing after"
				: optopt      ? "no value belongs to, or unknown:"
					      : "unknown or ambiguous option",
				argv[optind - 1]);
			return EXIT_WRONG + 1;
		}
		rc = option_take(command, option, long_options[index].name);
		if (rc)
			return rc + 1;
	}
	if (optind + 1 != argc) {
		complain(optind == argc ? "name a trace; see awaitscope check --help"
					: "one trace at a time; see awaitscope check --help");
		return EXIT_WRONG + 1;
	}
	command->trace = argv[optind];
	if (!command->conditions.n && condition_add(command, "error"))
		return EXIT_WRONG + 1;
	return 0;
}

static void finding_print(struct screen *screen, const struct finding *f, bool fails)
{
	cleanup(freep) char *message = text_for_terminal(f->message, 0);
	cleanup(freep) char *advice = text_for_terminal(f->advice, 0);
	char head[64];
	int n = snprintf(head, sizeof(head), "%s %-7s ", f->rule->id, severity_name(f->severity));

	screen_put(screen, fails ? STYLE_red : STYLE_plain, head);
	screen_wrap(screen, STYLE_plain, message ? message : "", (size_t)n, (size_t)n);
	if (!fails || !advice || !*advice)
		return;
	fprintf(screen->out, "%*s", n, "");
	screen_wrap(screen, STYLE_plain, advice, (size_t)n, (size_t)n);
}

static void outcome_show(
	const struct check_command *command, const struct report *report, bool passed)
{
	struct screen screen;

	screen_init(&screen, stdout, command->no_color);
	for (size_t i = 0; i < report->findings.n && !command->quiet; i++) {
		const struct finding *f = &report->findings.at[i];
		bool fails = finding_fails(&command->conditions, f);

		if (fails || command->verbose)
			finding_print(&screen, f, fails);
	}
	for (size_t i = 0; i < command->conditions.n && !command->quiet; i++) {
		const struct condition *c = &command->conditions.at[i];
		bool fails = c->failed || (c->unchecked && !command->allow_unchecked);
		cleanup(freep) char *outcome = NULL, *safe = NULL;
		size_t size;
		FILE *text = open_memstream(&outcome, &size);

		if (!text)
			continue;
		outcome_print(report, c, text);
		fclose(text);
		safe = text_for_terminal(outcome, 0);
		screen_put(
			&screen, fails ? STYLE_red : STYLE_plain, fails ? "failed  " : "passed  ");
		screen_wrap(&screen, STYLE_plain, safe ? safe : "", 8, 8);
	}
	printf("awaitscope check: %s\n", passed ? "passed" : "failed");
}

typedef int (*form_fn)(const struct check_command *command, const struct report *report, FILE *out);

static int junit_write(const struct check_command *command, const struct report *report, FILE *out)
{
	return check_junit(report, &command->conditions, command->allow_unchecked, out);
}

static int sarif_write(const struct check_command *command, const struct report *report, FILE *out)
{
	(void)command;
	return check_sarif(report, out);
}

static int form_write(const struct check_command *command, const struct report *report,
	const char *path, form_fn write)
{
	int fd, rc;
	FILE *out;

	if (!path)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!out) {
		complain("cannot write %s: %s", path, strerror(errno));
		return EXIT_WRONG;
	}
	rc = write(command, report, out);
	if (fclose(out) || rc) {
		complain("cannot write %s: %s", path, rc ? strerror(-rc) : strerror(errno));
		return EXIT_WRONG;
	}
	return 0;
}

static int github_write(
	const struct check_command *command, const struct report *report, bool passed)
{
	const char *path = getenv("GITHUB_STEP_SUMMARY");
	FILE *out;

	if (!command->github)
		return 0;
	check_github(report, stdout);
	if (!path || !*path)
		return 0;
	out = fopen(path, "ae");
	if (!out) {
		complain("cannot write %s: %s", path, strerror(errno));
		return EXIT_WRONG;
	}
	check_summary(report, &command->conditions, passed, out);
	return fclose(out) ? EXIT_WRONG : 0;
}

/* The reports must not be written over the trace. */
static bool is_trace(const struct check_command *command, const char *path)
{
	cleanup(freep) char *a = path ? realpath(path, NULL) : NULL;
	cleanup(freep) char *b = realpath(command->trace, NULL);

	return a && b && !strcmp(a, b);
}

static int check_run(struct check_command *command)
{
	cleanup(trace_freep) struct trace *trace = NULL;
	cleanup(report_freep) struct report *report = NULL;
	char why[WHY_BYTES];
	bool passed;
	int rc;

	if (trace_open(command->trace, why, sizeof(why), &trace)) {
		complain("%s", why);
		return EXIT_WRONG;
	}
	if (is_trace(command, command->junit) || is_trace(command, command->sarif)) {
		complain("%s is the trace itself; name another file", command->trace);
		return EXIT_WRONG;
	}
	rc = report_read(trace, &command->read, &report);
	if (rc) {
		complain("%s", rc == -ERANGE
				       ? "the trace was recorded with higher thresholds than asked "
					 "for: --stall and --min-block can only be raised"
			       : rc == -ENOMEM ? "out of memory"
					       : trace_why(trace));
		return EXIT_WRONG;
	}
	passed = conditions_judge(report, &command->conditions, command->allow_unchecked);
	outcome_show(command, report, passed);
	if (form_write(command, report, command->junit, junit_write) ||
		form_write(command, report, command->sarif, sarif_write) ||
		github_write(command, report, passed))
		return EXIT_WRONG;
	if (fflush(stdout)) {
		complain("cannot write the outcome: %s", strerror(errno));
		return EXIT_WRONG;
	}
	return passed ? 0 : EXIT_FAILED;
}

int check_main(int argc, char **argv)
{
	struct check_command command = {0};
	int rc = arguments_parse(argc, argv, &command);

	rc = rc ? rc - 1 : check_run(&command);
	free(command.conditions.at);
	return rc;
}
