/*
 * Two traces of the same notebook or program: what became better or worse, per cell and rule.
 * Counts, structure, CPU time and waits; what a busy machine stretches is set aside where it was
 * busy. Silent.
 */
#ifndef VIEWER_DIFF_H
#define VIEWER_DIFF_H

#include <stdio.h>

#include "viewer/rule.h"

enum change_kind {
	CHANGE_none, /* or within what repeats of one program differ by */
	CHANGE_note, /* told, but neither better nor worse */
	CHANGE_aside,
	CHANGE_better,
	CHANGE_worse,
};

struct side { /* of a change: what one trace says */
	uint64_t count, cost_ns, longest_ns;
	enum severity severity;
	const struct finding *finding; /* the first of those that are equal; NULL: none */
	const char *status;            /* of a cell */
	bool costed;
};

struct change {
	enum change_kind kind;
	const struct rule *rule; /* NULL: a measure */
	const char *measure;     /* cpu, blocked:sleep, ..., status; NULL: a rule */
	bool cells;              /* the unit is a cell, else a process */
	int unit[2];             /* its index in OLD and NEW; NONE */
	const char *file, *function;
	struct side old, new;
};

struct diff {
	const struct report *old, *new;
	int *cell_pair[2], *process_pair[2]; /* the other side's index, or NONE */
	struct strings strings;
	LIST(struct change) changes; /* worst first */
	int *change_of_new;          /* each of NEW's findings: its change, or NONE */
	size_t worse, better, aside;
	size_t added, removed, edited; /* cells */
	double starved_share[2];       /* of busy time, ready to run but without a CPU */
	bool starved, new_starved;     /* either of them; NEW: so that costs mean little */
	bool no_causes;                /* one of them cannot tell where time went */
};

/*
 * Opens and reads OLD and NEW, paths[0] and [1], with the higher of their thresholds; options[1] is
 * given. paths[0] NULL: there is no OLD. On failure `why` is a sentence. The caller owns all four,
 * set or NULL.
 */
int diff_read(const char *const paths[2], struct report_options options[2], struct trace *traces[2],
	struct report *reports[2], char *why, size_t size);
/* NEW's findings that OLD has, and no better: finding.known. */
void diff_mark(const struct diff *diff, struct report *new);
/* The caller frees *ret: diff_free(). -ENOMEM. It borrows both reports. */
int diff_make(const struct report *old, const struct report *new, struct diff *ret);
void diff_free(struct diff *diff);
/* "2 worse, 1 better" or "No change"; then what was set aside, as sentences. */
void diff_verdict(const struct diff *diff, FILE *out);
void diff_remarks(const struct diff *diff, FILE *out);
/* Was this rule checked in OLD but not in NEW, or the other way round? */
bool rule_incomparable(const struct diff *diff, const struct rule *rule);
/* What a change is about: "In [3]", "app.py"; and how: "new", "2 → 1", "0 ms → 200 ms". */
void change_where(const struct diff *diff, const struct change *change, FILE *out);
void change_how(const struct change *change, FILE *out);

/* Parts, each in its own file. */
int cells_pair(struct diff *diff);
int processes_pair(struct diff *diff);
/* The name of a file of OLD in NEW: another checkout has another folder. */
const char *file_in_new(const struct diff *diff, const char *file);
enum change_kind change_judge(const struct diff *diff, const struct change *change);

/* 0, -ENOMEM, -EIO. */
int diff_json(const struct diff *diff, FILE *out);

#endif
