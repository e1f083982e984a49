/*
 * The rules, from rules.def, and what their checks share. A check adds findings to the report; it
 * judges user code only, and where its evidence is ambiguous it adds a note or nothing.
 */
#ifndef VIEWER_RULE_H
#define VIEWER_RULE_H

#include <jansson.h>
#include <stdio.h>

#include "viewer/report.h"

struct judge;

/* What a trace must hold before a rule can be judged. */
enum rule_needs {
	NEEDS_TASKS = 1,
	NEEDS_CALLS = 2,
	NEEDS_CAUSES = 4,
	NEEDS_CELLS = 8,        /* of kernels; a program that is none has no cells to miss */
	NEEDS_STDLIB_LOOP = 16, /* sees asyncio's own loops, not uvloop's */
};

struct rule {
	const char *id, *name;
	enum severity severity; /* of certain evidence at full cost */
	unsigned int needs;
	const char *hooks; /* of the agent, separated by commas: none of them may be refused */
	int (*check)(struct judge *judge, const struct rule *rule); /* NULL: not yet */
	const char *sentence;                                       /* fires when */
	const char *advice, *cause, *example, *better;
};

extern const struct rule rules[];
extern const size_t rules_count;

const struct rule *rule_find(const char *id); /* NULL: no such rule */
/* "agent, cells" as the reports say it. */
const char *rule_needs_text(const struct rule *rule);
const char *severity_name(enum severity severity);
/* Is this rule judged by this report? */
bool rule_checked(const struct report *report, const struct rule *rule);
size_t rules_checked(const struct report *report);
/* "not checked: AS209, AS404". */
void unchecked_print(const struct report *report, FILE *out);

struct judge { /* of one report; made and freed by findings_read() */
	struct report *report;
	struct weight *weights; /* of each site, see rule_blocking.c */
	frame_list frames;      /* scratch */
	bool callback; /* of the stack in frames: the loop itself called C code, as a callback */
	bool failed;   /* out of memory while a text was made */
};

/*
 * The finding of this rule at this place, made where there is none; NULL when out of memory. Its
 * count is 0 then: whoever finds adds up. Pointers hold until the next call.
 */
struct finding *finding_at(struct judge *judge, const struct rule *rule, int process, int cell,
	const struct place *place);
/* Time of one iteration that would not have been without it. */
int finding_gain(struct finding *finding, int loop, uint64_t begin_ns, uint64_t ns);
/* Tasks that a stall delayed, of which this was part: the most by one. */
void finding_delayed(struct finding *finding, const struct stall *stall);
/* " and delayed 12 tasks by up to 480 ms"; empty where none is known. */
void delayed_text(const struct finding *finding, char *buf, size_t size);
/* The message after its place: one sentence without a capital. */
void finding_say(struct judge *judge, struct finding *finding, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Facts for programs; takes the object. */
void finding_evidence(struct judge *judge, struct finding *finding, json_t *evidence);
/* A text of the target as valid UTF-8, kept. */
const char *utf8_keep(struct judge *judge, const char *text);
/* At most four in one sentence. */
const char *time_text(uint64_t ns);
enum severity severity_lower(enum severity severity);

/* Columns: process, loop, cell, file, line, function. */
struct row_place {
	int process, loop, cell;
	struct place place;
};
int row_place_take(struct judge *judge, sqlite3_stmt *rows, struct row_place *ret);
/* Is this file the user's: a cell, or of no library known by its place? */
bool file_is_user(const struct report *report, const char *file);
/*
 * The frames of a stack that ran inside one turn of a loop, innermost first, into judge->frames;
 * *ret_user is the innermost one of user code, or NONE: then nothing of it may be judged.
 */
int step_frames(struct judge *judge, int64_t stack, int *ret_user);
/*
 * Of what step_frames() gave: where code that exec() or eval() made at frame `user` was called
 * from, by code of the user's that a file or a cell holds. file NULL: it is such code itself.
 */
struct place frames_caller(const struct judge *judge, int user);
/* The last part of a qualified name: "__enter__" of Connection.__enter__. */
const char *name_last(const char *qualified);
/* What a call held its loop for: a database computes as well, the others only wait. */
uint64_t call_ns(const struct call *call);
/* A turn of this loop that holds this time; NULL: it was short, or there was none. */
const struct turn *turn_at(const struct report *report, int loop, uint64_t time_ns);
/* The stall that is this turn; NULL: it is none. */
const struct stall *stall_of(const struct report *report, const struct turn *turn);
/* The execution of a cell, of this file, that was under way; NONE: there was none. */
int cell_running(const struct report *report, const char *file, uint64_t time_ns);
/* Did this synchronous cell hold the loop at this time, by design? */
bool in_synchronous(const struct report *report, int cell, uint64_t time_ns);

#define RULE(id, name, severity, needs, hooks, check, ...)                                         \
	int check(struct judge *judge, const struct rule *rule);
#define RULE_UNCHECKED(...)
#include "viewer/rules.def"
#undef RULE
#undef RULE_UNCHECKED

#endif
