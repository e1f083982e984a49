/* `awaitscope check`: conditions, what they found, and the forms that tell it to other tools. */
#ifndef VIEWER_CHECK_H
#define VIEWER_CHECK_H

#include <stdio.h>

#include "viewer/diff.h"
#include "viewer/output.h"
#include "viewer/rule.h"

struct condition {
	const char *text;        /* as it was asked for */
	const struct rule *rule; /* of a rule */
	uint64_t least;          /* findings of it that fail: 1, or AS102:3 */
	bool by_severity;
	enum severity severity;
	const struct measure *measure;
	double limit;
	bool by_baseline; /* nothing may be worse than there */
	/* the outcome */
	bool failed, unchecked; /* unchecked: could not be judged, in part or at all */
	bool aside;             /* a wall-clock measure of a starved machine: not judged */
	uint64_t findings;
	double value;
};

typedef LIST(struct condition) condition_list;

struct check { /* one judgement, for all forms that tell it */
	condition_list conditions;
	bool allow_unchecked, passed;
	const struct output_options *text;
	const struct allowlist *allow; /* NULL: none */
	const struct diff *diff;       /* from the baseline; NULL: there is none */
};

/* A sentence that tells what is wrong with the text, in `why`; -EINVAL. */
int condition_parse(const char *text, struct condition *ret, char *why, size_t size);
/* Each measure with its unit and meaning, for --help. */
void measures_print(FILE *out);
/* Does a condition that failed count this finding? */
bool finding_fails(const condition_list *conditions, const struct finding *finding);
/* "lag.p99=50ms: 497 ms", "AS102: not checked (needs agent)". */
void outcome_print(const struct check *check, const struct report *report,
	const struct condition *condition, FILE *out);

/* Is this condition met, so that it does not fail the check? */
bool condition_passes(const struct check *check, const struct condition *condition);
/* What was found, each condition's outcome, what was suppressed; the last line is the outcome. */
void check_text(const struct check *check, const struct report *report, FILE *out);
/* Fills the outcomes. */
void check_judge(struct check *check, const struct report *report);
/* 0, -ENOMEM, -EIO. */
int check_junit(const struct check *check, const struct report *report, FILE *out);
int check_sarif(const struct check *check, const struct report *report, FILE *out);
/* Annotations for stdout; the summary is Markdown. */
int check_github(const struct check *check, const struct report *report, FILE *out);
int check_summary(const struct check *check, const struct report *report, FILE *out);
/* "2 findings suppressed: 1 by # awaitscope: ignore, 1 by awaitscope.toml". */
void suppressed_print(const struct report *report, FILE *out);

struct location {   /* in the files that people have: a notebook, a script */
	char *path; /* relative to the current folder where below it; NULL: none */
	int line;   /* 0: unknown */
	int cell;   /* NONE: in no cell */
};

/* The notebook that a cell is of: the one that was run, else one that a command line names and that
 * holds its source. The caller frees it; NULL: not known. */
char *cell_notebook(const struct report *report, int cell);
/* The caller frees ret->path. -ENOMEM. */
int location_find(const struct report *report, const struct finding *finding, struct location *ret);

#endif
