/* `awaitscope check`: conditions, what they found, and the forms that tell it to other tools. */
#ifndef VIEWER_CHECK_H
#define VIEWER_CHECK_H

#include <stdio.h>

#include "viewer/rule.h"

struct condition {
	const char *text;        /* as it was asked for */
	const struct rule *rule; /* of a rule */
	uint64_t least;          /* findings of it that fail: 1, or AS102:3 */
	bool by_severity;
	enum severity severity;
	const struct measure *measure;
	double limit;
	/* the outcome */
	bool failed, unchecked; /* unchecked: could not be judged, in part or at all */
	uint64_t findings;
	double value;
};

typedef LIST(struct condition) condition_list;

/* A sentence that tells what is wrong with the text, in `why`; -EINVAL. */
int condition_parse(const char *text, struct condition *ret, char *why, size_t size);
/* Fills the outcomes; true if the check passes. */
bool conditions_judge(
	const struct report *report, condition_list *conditions, bool allow_unchecked);
/* Does a condition that failed count this finding? */
bool finding_fails(const condition_list *conditions, const struct finding *finding);
/* "lag.p99=50ms: 497 ms", "AS102: not checked (needs agent)". */
void outcome_print(const struct report *report, const struct condition *condition, FILE *out);

/* 0, -ENOMEM, -EIO. */
int check_junit(const struct report *report, const condition_list *conditions, bool allow_unchecked,
	FILE *out);
int check_sarif(const struct report *report, FILE *out);
/* Annotations for stdout; the summary is Markdown. */
void check_github(const struct report *report, FILE *out);
void check_summary(
	const struct report *report, const condition_list *conditions, bool passed, FILE *out);

struct location {   /* in the files that people have: a notebook, a script */
	char *path; /* relative to the current folder where below it; NULL: none */
	int line;   /* 0: unknown */
	int cell;   /* NONE: in no cell */
};

/* The caller frees ret->path. -ENOMEM. */
int location_find(const struct report *report, const struct finding *finding, struct location *ret);

#endif
