/* `awaitscope check`: a trace against conditions, for CI. Results go to stdout, errors to stderr.
 */
#include "viewer/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "probe/base/cleanup.h"
#include "viewer/arguments.h"
#include "viewer/check.h"
#include "viewer/complain.h"
#include "viewer/config.h"

#define EXIT_FAILED 1
#define COMMAND "check"
#define WHY_BYTES 1024

struct check_command {
	const char *junit, *sarif, *config_path, *baseline;
	bool github;
	struct arguments arguments;
	struct check check;
	struct config config;
};

struct judged { /* what was read, to be freed together: OLD and NEW */
	struct trace *traces[2];
	struct report *reports[2];
	struct report_options options[2];
	struct diff diff;
};

static const char usage[] =
	"Usage: awaitscope check [OPTION]... TRACE\n"
	"Judge a recorded trace; exit status 1 if it fails.\n"
	"\n"
	"  --config FILE       settings; awaitscope.toml or pyproject.toml, with its table\n"
	"                      [tool.awaitscope], is looked for from the current folder upward\n"
	"  --fail-on COND      may be given several times; error if it is not given. COND is\n"
	"                      a rule (AS102: any finding of it; AS102:3: three or more),\n"
	"                      a severity (note, warning, error: that one or worse), or\n"
	"                      a measure and its limit (lag.p99=50ms, leaked=0: fails above it)\n"
	"  --baseline OLD.db   fail too if anything is worse than in OLD, and let rules and "
	"severities\n"
	"                      count only what is new or worse; on a starved machine wall-clock\n"
	"                      measures are set aside (awaitscope diff tells it in full)\n"
	"  --allow-unchecked   rules and measures that could not be judged do not fail the check\n"
	"  --junit FILE        write JUnit XML, a case for each rule and measure\n"
	"  --sarif FILE        write SARIF 2.1.0\n"
	"  --github            print GitHub annotations; append a summary to $GITHUB_STEP_SUMMARY\n"
	"  --stall TIME        what counts as a stall; not below what the trace was recorded with\n"
	"  --min-block TIME    blocking calls to count; not below what the trace was recorded "
	"with\n"
	"  --await-timeout TIME  how long an await without a timeout may be pending (30s)\n"
	"  -q, --quiet         only the outcome\n"
	"  -v, --verbose       also findings that fail no condition, and those that are "
	"suppressed\n"
	"  --no-color          no colours on a terminal either (NO_COLOR does the same)\n"
	"  -h, --help          this text\n"
	"\n"
	"Measures, each of all loops together or of the worst one; a check fails above the "
	"limit:\n";

static const char usage_end[] =
	"\n"
	"Settings are TOML: fail-on, allow-unchecked, baseline, stall, min-block and await-timeout "
	"as\n"
	"the options, and tables [[allow]] with rule, file, function (patterns) and reason. "
	"Findings\n"
	"that one matches, or whose line has the comment # awaitscope: ignore[AS101], fail "
	"nothing\n"
	"and are counted. Options go before settings.\n"
	"\n"
	"Example:\n"
	"  awaitscope check --fail-on error --fail-on lag.p99=50ms --sarif awaitscope.sarif "
	"trace.db\n"
	"\n"
	"Exit status: 0 passed, 1 failed, 2 wrong usage or no readable trace.\n";

enum {
	OPTION_config = ARGUMENTS_OWN,
	OPTION_fail_on,
	OPTION_baseline,
	OPTION_allow_unchecked,
	OPTION_junit,
	OPTION_sarif,
	OPTION_github
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, OPTION_config},
	{"fail-on", required_argument, NULL, OPTION_fail_on},
	{"baseline", required_argument, NULL, OPTION_baseline},
	{"allow-unchecked", no_argument, NULL, OPTION_allow_unchecked},
	{"junit", required_argument, NULL, OPTION_junit},
	{"sarif", required_argument, NULL, OPTION_sarif},
	{"github", no_argument, NULL, OPTION_github},
	{NULL, 0, NULL, 0},
};

/* `from` is what the user calls the place of this condition. */
static int condition_add(struct check_command *command, const char *from, const char *text)
{
	struct condition *c = list_add(&command->check.conditions);
	char why[WHY_BYTES];

	if (!c) {
		complain(COMMAND, "out of memory");
		return EXIT_WRONG;
	}
	if (condition_parse(text, c, why, sizeof(why))) {
		complain(COMMAND, "%s %s: %s", from, text, why);
		return EXIT_WRONG;
	}
	return 0;
}

static int option_take(void *own, int option)
{
	struct check_command *command = own;

	switch (option) {
	case OPTION_config:
		command->config_path = optarg;
		return 0;
	case OPTION_fail_on:
		return condition_add(command, "--fail-on", optarg);
	case OPTION_baseline:
		command->baseline = optarg;
		return 0;
	case OPTION_allow_unchecked:
		command->check.allow_unchecked = true;
		return 0;
	case OPTION_junit:
		command->junit = optarg;
		return 0;
	case OPTION_sarif:
		command->sarif = optarg;
		return 0;
	default:
		command->github = true;
		return 0;
	}
}

static void usage_print(void)
{
	fputs(usage, stdout);
	measures_print(stdout);
	fputs(usage_end, stdout);
}

static const struct arguments_spec spec = {
	.command = COMMAND,
	.offers = OFFER_THRESHOLDS | OFFER_AWAIT_TIMEOUT | OFFER_TEXT,
	.option = long_options,
	.take = option_take,
	.help = usage_print,
	.traces = 1,
};

/* What the command line says goes before the file; error if neither names a condition. */
static int config_apply(struct check_command *command)
{
	struct config *config = &command->config;
	struct report_options *read = &command->arguments.read;
	bool given = command->check.conditions.n > 0;
	char why[WHY_BYTES];
	int rc = 0;

	if (config_read(command->config_path, why, sizeof(why), config)) {
		complain(COMMAND, "%s", why);
		return EXIT_WRONG;
	}
	command->check.allow_unchecked |= config->allow_unchecked;
	read->stall_ns = read->stall_ns ? read->stall_ns : config->stall_ns;
	read->min_block_ns = read->min_block_ns ? read->min_block_ns : config->min_block_ns;
	if (!read->await_timeout_ns)
		read->await_timeout_ns = config->await_timeout_ns;
	if (config->path)
		read->allow = &config->allow;
	command->check.allow = read->allow;
	for (size_t i = 0; i < config->fail_on.n && !given && !rc; i++) {
		cleanup(freep) char *from = NULL;

		if (asprintf(&from, "%s: fail-on", config->path) < 0)
			from = NULL;
		rc = condition_add(command, from ? from : "fail-on", config->fail_on.at[i]);
	}
	if (!rc && !command->check.conditions.n)
		rc = condition_add(command, "--fail-on", "error");
	if (!command->baseline)
		command->baseline = config->baseline;
	return rc;
}

typedef int (*form_fn)(const struct check *check, const struct report *report, FILE *out);

static int form_write(const struct check_command *command, const struct report *report,
	const char *path, int flags, form_fn write)
{
	int fd, rc, error;
	FILE *out;

	if (!path || !*path)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
	out = fd < 0 ? NULL : fdopen(fd, flags & O_APPEND ? "a" : "w");
	if (!out) {
		complain(COMMAND, "cannot write %s: %s", path, strerror(errno));
		return EXIT_WRONG;
	}
	errno = 0;
	rc = write(&command->check, report, out);
	error = rc == -ENOMEM ? ENOMEM : rc && errno ? errno : -rc;
	if (fclose(out) && !error)
		error = errno;
	if (error)
		complain(COMMAND, "cannot write %s: %s", path, strerror(error));
	return error ? EXIT_WRONG : 0;
}

static int forms_write(const struct check_command *command, const struct report *report)
{
	const char *summary = command->github ? getenv("GITHUB_STEP_SUMMARY") : NULL;
	int rc = form_write(command, report, command->junit, O_TRUNC, check_junit);

	if (!rc)
		rc = form_write(command, report, command->sarif, O_TRUNC, check_sarif);
	if (!rc)
		rc = form_write(command, report, summary, O_APPEND, check_summary);
	if (!rc && command->github && check_github(&command->check, report, stdout)) {
		complain(COMMAND, "out of memory");
		rc = EXIT_WRONG;
	}
	return rc;
}

static bool is_same(const char *one, const char *other)
{
	struct stat a, b;

	return one && other && !stat(one, &a) && !stat(other, &b) && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino && S_ISREG(a.st_mode);
}

/* What is written must not go over what is read, nor one form over the other. */
static int outputs_check(const struct check_command *command)
{
	const char *const outputs[] = {command->junit, command->sarif};
	const char *const inputs[] = {
		command->arguments.traces[0], command->config.path, command->baseline};

	for (size_t i = 0; i < 2; i++) {
		for (size_t k = 0; k < sizeof(inputs) / sizeof(*inputs); k++)
			if (is_same(outputs[i], inputs[k])) {
				complain(COMMAND,
					"%s is what is to be judged by; name another file to write",
					outputs[i]);
				return EXIT_WRONG;
			}
		if (outputs[i] && !*outputs[i]) {
			complain(COMMAND, "no file is named \"\"; see awaitscope check --help");
			return EXIT_WRONG;
		}
	}
	if (command->junit && command->sarif &&
		(!strcmp(command->junit, command->sarif) ||
			is_same(command->junit, command->sarif))) {
		complain(COMMAND, "--junit and --sarif both name %s", command->sarif);
		return EXIT_WRONG;
	}
	return 0;
}

static void judged_free(struct judged *j)
{
	diff_free(&j->diff);
	for (int s = 0; s < 2; s++) {
		report_free(j->reports[s]);
		trace_free(j->traces[s]);
	}
}

/* The trace, and what is worse in it than in the baseline, if there is one. */
static int judged_read(struct check_command *command, struct judged *j)
{
	const char *const paths[2] = {command->baseline, command->arguments.traces[0]};
	struct condition *c;
	char why[WHY_BYTES] = "out of memory";

	j->options[1] = command->arguments.read;
	if (diff_read(paths, j->options, j->traces, j->reports, why, sizeof(why))) {
		complain(COMMAND, "%s", why);
		return EXIT_WRONG;
	}
	if (!command->baseline)
		return 0;
	c = list_add(&command->check.conditions);
	if (!c || diff_make(j->reports[0], j->reports[1], &j->diff)) {
		complain(COMMAND, "out of memory");
		return EXIT_WRONG;
	}
	*c = (struct condition){.text = "baseline", .by_baseline = true};
	diff_mark(&j->diff, j->reports[1]);
	command->check.diff = &j->diff;
	return 0;
}

static int check_run(struct check_command *command)
{
	cleanup(judged_free) struct judged j = {0};
	int rc = config_apply(command);

	if (!rc)
		rc = outputs_check(command);
	if (!rc)
		rc = judged_read(command, &j);
	if (rc)
		return rc;
	check_judge(&command->check, j.reports[1]);
	rc = forms_write(command, j.reports[1]);
	if (rc)
		return rc;
	check_text(&command->check, j.reports[1], stdout);
	if (fflush(stdout)) {
		complain(COMMAND, "cannot write the outcome: %s", strerror(errno));
		return EXIT_WRONG;
	}
	return command->check.passed ? 0 : EXIT_FAILED;
}

int check_main(int argc, char **argv)
{
	struct check_command command = {0};
	int rc = arguments_parse(&spec, argc, argv, &command.arguments, &command);

	command.check.text = &command.arguments.write;
	rc = rc ? rc - 1 : check_run(&command);
	free(command.check.conditions.at);
	config_free(&command.config);
	return rc;
}
