/*
 * `awaitscope doctor`: its options, and what was found as text or JSON. See doctor.h.
 */
#include "collector/doctor.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/commands.h"
#include "collector/log.h"
#include "collector/run.h"
#include "probe/base/cleanup.h"
#include "probe/base/text.h"

#define NAME_COLUMNS 18
#define TEXT_CHARS 400
#define PID_CHARS 60

static const char *const answers[] = {
	[DOCTOR_YES] = "yes", [DOCTOR_PARTLY] = "partly", [DOCTOR_NO] = "no"};
static const char *const scopes[] = {[DOCTOR_SYSTEM] = "kernel and privileges",
	[DOCTOR_PROGRAM] = "this program",
	[DOCTOR_TARGET] = "the process"};

/* ---- what was found ---------------------------------------------------------------------- */

void doctor_add(struct doctor *d, enum doctor_scope scope, const char *name,
	enum doctor_answer answer, bool needed, const char *mend, const char *found, ...)
{
	struct doctor_feature *more = reallocarray(d->feature, d->count + 1, sizeof(*more));
	struct doctor_feature *new;
	va_list args;

	if (!more) {
		d->no_memory = true;
		return;
	}
	d->feature = more;
	new = &more[d->count++];
	*new = (struct doctor_feature){scope, name, answer, needed, NULL, NULL};
	va_start(args, found);
	if (vasprintf(&new->found, found, args) < 0)
		new->found = NULL;
	va_end(args);
	new->mend = mend ? strdup(mend) : NULL;
	d->no_memory |= !new->found || (mend && !new->mend);
}

/* It was answered with yes. */
static bool has(const struct doctor *d, const char *name)
{
	for (size_t i = 0; i < d->count; i++)
		if (!strcmp(d->feature[i].name, name) && d->feature[i].answer == DOCTOR_YES)
			return true;
	return false;
}

static void doctor_clear(struct doctor *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->feature[i].found);
		free(d->feature[i].mend);
	}
	free(d->feature);
}

static bool attach_works(const struct doctor *d)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->feature[i].needed && d->feature[i].answer == DOCTOR_NO)
			return false;
	return true;
}

/* One sentence: whether attach works, else what it lacks. malloc'd. */
static char *verdict(const struct doctor *d, uint32_t pid)
{
	char *text = NULL;
	size_t size, lacks = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	if (attach_works(d) && pid)
		fprintf(out, "awaitscope attach %" PRIu32 " works", pid);
	else if (attach_works(d))
		fputs("awaitscope attach works here", out);
	else
		fprintf(out, "awaitscope attach does not work%s; it lacks: ",
			pid ? " on this process" : " here");
	for (size_t i = 0; i < d->count; i++)
		if (d->feature[i].needed && d->feature[i].answer == DOCTOR_NO)
			fprintf(out, "%s%s", lacks++ ? ", " : "", d->feature[i].name);
	if (!attach_works(d) && !pid && has(d, "agent"))
		fputs(". awaitscope run records without any of that", out);
	return fclose(out) ? NULL : text;
}

/* ---- telling it -------------------------------------------------------------------------- */

static void text_print(const struct doctor *d, uint32_t pid)
{
	cleanup(freep) char *told = verdict(d, pid);
	enum doctor_scope last = DOCTOR_SCOPES;

	for (size_t i = 0; i < d->count; i++) {
		const struct doctor_feature *f = &d->feature[i];
		cleanup(freep) char *found = text_for_terminal(f->found, TEXT_CHARS);

		if (f->scope != last)
			printf("%s%s\n", i ? "\n" : "", scopes[f->scope]);
		last = f->scope;
		printf("  %-6s  %-*s  %s\n", answers[f->answer], NAME_COLUMNS, f->name,
			found ? found : "");
		if (f->mend && f->answer != DOCTOR_YES)
			printf("  %-6s  %-*s  mend: %s\n", "", NAME_COLUMNS, "", f->mend);
	}
	printf("\n%s.\n", told ? told : "");
}

static int json_print(const struct doctor *d, uint32_t pid)
{
	static const char *const short_scopes[] = {"system", "program", "process"};
	cleanup(freep) char *told = verdict(d, pid);
	json_t *list = json_array(), *all;
	int rc;

	for (size_t i = 0; i < d->count; i++) {
		const struct doctor_feature *f = &d->feature[i];
		cleanup(freep) char *found = text_to_utf8(f->found, strlen(f->found));

		json_array_append_new(
			list, json_pack("{s: s, s: s, s: s, s: b, s: s, s: s?}", "scope",
				      short_scopes[f->scope], "name", f->name, "answer",
				      answers[f->answer], "needed", f->needed, "found",
				      found ? found : "", "mend", f->mend));
	}
	all = json_pack("{s: s, s: o?, s: b, s: s, s: o}", "awaitscope", AWAITSCOPE_VERSION, "pid",
		pid ? json_integer(pid) : NULL, "attach", attach_works(d), "verdict",
		told ? told : "", "features", list);
	rc = json_dumpf(all, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) || putchar('\n') == EOF;
	json_decref(all);
	return rc;
}

/* ---- the command ------------------------------------------------------------------------- */

static int help(void)
{
	puts("usage: awaitscope doctor [--format text|json] [PID]\n\n"
	     "Tells what this kernel, these privileges and that process allow, feature by feature: "
	     "why not where not,\nand the command that would mend it. Changes nothing.\n\n"
	     "  --format text|json   how to tell it (default: text)\n"
	     "  -h, --help           this text\n\n"
	     "Status: 0; 2 wrong usage; 3 that process cannot be traced as things are.\n\n"
	     "Examples:\n  awaitscope doctor\n  sudo awaitscope doctor 4711");
	return 0;
}

static int arguments_parse(int argc, char **argv, bool *ret_json, bool *ret_help)
{
	static const struct option options[] = {
		{"format", required_argument, NULL, 'f'}, {"help", no_argument, NULL, 'h'}, {0}};
	int option;

	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (option == 'h') {
			*ret_help = true;
		} else if (option == 'f' && (!strcmp(optarg, "json") || !strcmp(optarg, "text"))) {
			*ret_json = *optarg == 'j';
		} else {
			log_error(option == 'f' ? "--format is text or json"
						: "there is no such option; awaitscope "
						  "doctor --help lists them");
			return STATUS_USAGE;
		}
	}
	if (argc - optind > 1) {
		log_error("one process at a time");
		return STATUS_USAGE;
	}
	return 0;
}

static int pid_parse(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || end == text || *end || !n || n > INT32_MAX || *text == '-') {
		cleanup(freep) char *shown = text_for_terminal(text, PID_CHARS);

		log_error("%s is no process id", shown ? shown : "that");
		return STATUS_USAGE;
	}
	*ret = (uint32_t)n;
	return 0;
}

int doctor_main(int argc, char **argv)
{
	cleanup(doctor_clear) struct doctor d = {0};
	char program[PATH_MAX];
	bool json = false, wants_help = false;
	uint32_t pid = 0;
	int status = arguments_parse(argc, argv, &json, &wants_help);
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (wants_help && !status)
		return help();
	if (!status && argv[optind])
		status = pid_parse(argv[optind], &pid);
	if (status)
		return status;
	program[n > 0 ? n : 0] = '\0';
	d.program = n > 0 ? program : "awaitscope";
	doctor_system(&d);
	if (pid && doctor_target(&d, pid)) {
		log_error("there is no process %" PRIu32 "; awaitscope attach lists those "
			  "that can be watched",
			pid);
		return STATUS_UNTRACEABLE;
	}
	if (d.no_memory) {
		log_error("no memory");
		return STATUS_OURS;
	}
	if (json)
		json_print(&d, pid);
	else
		text_print(&d, pid);
	return pid && !attach_works(&d) ? STATUS_UNTRACEABLE : 0;
}
