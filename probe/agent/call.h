/*
 * The wrapped C calls: what got.c puts into slots, and the originals the wrappers go on to.
 */
#ifndef PROBE_AGENT_CALL_H
#define PROBE_AGENT_CALL_H

#include "probe/agent/agent.h"

enum call_id { /* of calls.def; 0 = none */
#define CALL(name, id, class, doc) CALL_##name = id,
#include "probe/calls.def"
#undef CALL
	CALLS_END,
};

enum call_variant { /* the same symbol means different things in different objects */
	CALL_PLAIN,
	CALL_INTERPRETER, /* condition variables of the interpreter are its GIL */
	CALL_UVLOOP,      /* epoll in uvloop or libuv is the loop's own selector */
};

void *call_wrapper(enum call_id id, enum call_variant variant);

/*
 * The real functions; got.c sets one before it patches the first slot of that name, and never
 * again.
 */
extern void *call_real[CALLS_END];
#define REAL(call, type, params) ((type(*) params)call_real[CALL_##call])

/* What the target of a call into sqlite is read with; NULL where not found. */
struct call_sqlite {
	void *(*db_handle)(void *stmt);
	const char *(*db_filename)(void *db, const char *name);
};
extern struct call_sqlite call_sqlite;

#endif
