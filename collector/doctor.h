/*
 * What `awaitscope doctor` has found: one answer a feature, in plain words, with what would mend
 * it.
 */
#ifndef COLLECTOR_DOCTOR_H
#define COLLECTOR_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum doctor_answer { DOCTOR_YES, DOCTOR_PARTLY, DOCTOR_NO };
enum doctor_scope { DOCTOR_SYSTEM, DOCTOR_PROGRAM, DOCTOR_TARGET, DOCTOR_SCOPES };

struct doctor_feature {
	enum doctor_scope scope;
	const char *name;
	enum doctor_answer answer;
	bool needed; /* attach cannot do without */
	char *found; /* may hold texts of a target: whoever shows it escapes it */
	char *mend;  /* NULL: nothing to mend, or nobody can */
};

struct doctor {
	struct doctor_feature *feature;
	size_t count;
	bool no_memory;
	const char *program; /* how this program is called in a command to copy */
};

/* Adds one; the answer's sentence and the command that mends it (NULL: none). */
void doctor_add(struct doctor *d, enum doctor_scope scope, const char *name,
	enum doctor_answer answer, bool needed, const char *mend, const char *found, ...)
	__attribute__((format(printf, 7, 8)));

/* What this kernel and these privileges allow; tried out on ourselves, not guessed. Silent. */
void doctor_system(struct doctor *d);
/* What that process allows. Nothing in it is touched but read. -ESRCH: there is none. Silent. */
int doctor_target(struct doctor *d, uint32_t pid);

#endif
