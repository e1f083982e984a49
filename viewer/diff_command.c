/* `awaitscope diff`: what became better or worse between two traces. Results go to stdout, errors
 * to stderr. */
#include "viewer/commands.h"

#include <errno.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "viewer/arguments.h"
#include "viewer/complain.h"
#include "viewer/diff.h"
#include "viewer/screen.h"

#define EXIT_WORSE 1
#define COMMAND "diff"
#define WHY_BYTES 1024

struct diff_command {
	struct arguments arguments;
	bool json;
};

static const char usage[] =
	"Usage: awaitscope diff [OPTION]... OLD NEW\n"
	"Tell what became better or worse from one trace to another, per cell and rule.\n"
	"\n"
	"Cells are told by their source, edited ones by their place between the others. What two\n"
	"runs of one program differ by is no change; where the machine was starved, wall-clock\n"
	"measures are set aside.\n"
	"\n"
	"  --format FORMAT    text (default) or json\n"
	"  --all              tasks that only library code created, too\n"
	"  --stall TIME       what counts as a stall; not below what NEW was recorded with\n"
	"  --min-block TIME   blocking calls to count; not below what NEW was recorded with\n"
	"  -q, --quiet        only the verdict\n"
	"  -v, --verbose      notes and what was set aside, too\n"
	"  --no-color         no colours on a terminal either (NO_COLOR does the same)\n"
	"  -h, --help         this text\n"
	"\n"
	"Example:\n"
	"  awaitscope diff main.db branch.db\n"
	"\n"
	"Exit status: 0 nothing is worse, 1 something is, 2 wrong usage or no readable trace.\n";

enum { OPTION_format = ARGUMENTS_OWN };

static const struct option long_options[] = {
	{"format", required_argument, NULL, OPTION_format},
	{NULL, 0, NULL, 0},
};

/* The only one of its own: --format. */
static int option_take(void *own, int option)
{
	struct diff_command *command = own;

	command->json = !strcmp(optarg, "json");
	if (command->json || !strcmp(optarg, "text"))
		return 0;
	return complain(
		COMMAND, "--format %s is none of text, json; see awaitscope diff --help", optarg);
}

static void usage_print(void)
{
	fputs(usage, stdout);
}

static const struct arguments_spec spec = {
	.command = COMMAND,
	.offers = OFFER_THRESHOLDS | OFFER_ALL | OFFER_TEXT,
	.option = long_options,
	.take = option_take,
	.help = usage_print,
	.traces = 2,
};

static char *words(const struct diff *diff, const struct change *c, bool how)
{
	cleanup(freep) char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	if (how)
		change_how(c, out);
	else
		change_where(diff, c, out);
	return fclose(out) ? NULL : text_for_terminal(text, 0);
}

static void change_print(const struct diff *diff, const struct change *c, struct screen *screen)
{
	const struct finding *f = c->new.finding ? c->new.finding : c->old.finding;
	cleanup(freep) char *where = words(diff, c, false), *how = words(diff, c, true);
	cleanup(freep) char *message = f ? text_for_terminal(f->message, 0) : NULL;

	fprintf(screen->out, "  %s: ", where ? where : "?");
	if (c->rule)
		fprintf(screen->out, "%s %s, %s", c->rule->id, c->rule->name, how ? how : "?");
	else
		fprintf(screen->out, "%s %s", c->measure, how ? how : "?");
	fputc('\n', screen->out);
	if (!message)
		return;
	fputs("    ", screen->out);
	screen_wrap(screen, STYLE_plain, message, 4, 4);
}

static void section_print(const struct diff *diff, enum change_kind kind, const char *title,
	enum style style, struct screen *screen)
{
	bool any = false;

	for (size_t i = 0; i < diff->changes.n; i++) {
		const struct change *c = &diff->changes.at[i];

		if (c->kind != kind)
			continue;
		if (!any) {
			screen_put(screen, style, title);
			fputc('\n', screen->out);
		}
		any = true;
		change_print(diff, c, screen);
	}
	if (any)
		fputc('\n', screen->out);
}

static void diff_print(const struct output_options *options, const struct diff *diff)
{
	cleanup(freep) char *remarks = NULL;
	struct screen screen;
	size_t size;
	FILE *out = open_memstream(&remarks, &size);

	screen_init(&screen, stdout, options->no_color);
	if (!options->quiet) {
		section_print(diff, CHANGE_worse, "Worse", STYLE_red, &screen);
		section_print(diff, CHANGE_better, "Better", STYLE_bold, &screen);
	}
	if (options->verbose) {
		section_print(diff, CHANGE_aside, "Set aside", STYLE_dim, &screen);
		section_print(diff, CHANGE_note, "Notes", STYLE_dim, &screen);
	}
	if (out) {
		diff_remarks(diff, out);
		fclose(out);
	}
	for (char *line = remarks, *end; line && *line && !options->quiet; line = end + 1) {
		end = strchr(line, '\n');
		*end = '\0';
		screen_wrap(&screen, STYLE_plain, line, 0, 2);
	}
	diff_verdict(diff, stdout);
	fputs(".\n", stdout);
}

static int diff_run(const struct diff_command *command)
{
	struct report_options options[2] = {{0}, command->arguments.read};
	struct trace *traces[2] = {NULL, NULL};
	struct report *reports[2] = {NULL, NULL};
	struct diff diff = {0};
	char why[WHY_BYTES] = "out of memory";
	int status = 0;

	if (diff_read(command->arguments.traces, options, traces, reports, why, sizeof(why)))
		status = complain(COMMAND, "%s", why);
	else if (diff_make(reports[0], reports[1], &diff))
		status = complain(COMMAND, "out of memory");
	else if (command->json && diff_json(&diff, stdout) == -ENOMEM)
		status = complain(COMMAND, "out of memory");
	else if (!command->json)
		diff_print(&command->arguments.write, &diff);
	if (!status && (fflush(stdout) || ferror(stdout)))
		status = complain(COMMAND, "cannot write the outcome: %s", strerror(errno));
	if (!status && diff.worse)
		status = EXIT_WORSE;
	diff_free(&diff);
	for (int s = 0; s < 2; s++) {
		report_free(reports[s]);
		trace_free(traces[s]);
	}
	return status;
}

int diff_main(int argc, char **argv)
{
	struct diff_command command = {0};
	int rc = arguments_parse(&spec, argc, argv, &command.arguments, &command);

	return rc ? rc - 1 : diff_run(&command);
}
