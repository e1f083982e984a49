/*
 * LD_PRELOADed into every program of a run: in a Python it loads the agent when the interpreter starts to run something, in any other
 * program it does nothing. Needs no library at all, since it also gets into programs that have no libc like ours.
 */
#include "probe/ring.h"

#define RTLD_NOW 2 /* bits/dlfcn.h; both known C libraries agree */
#define RUN_EVENT "cpython.run_"

typedef int (*audit_hook)(const char *event, void *args, void *data);
typedef int (*agent_open)(int abi);
typedef int (*agent_audit)(const char *event, void *args);

/* Weak: absent in most programs. */
extern int PySys_AddAuditHook(audit_hook hook, void *data) __attribute__((weak));
extern void *dlopen(const char *path, int flags) __attribute__((weak));
extern void *dlsym(void *handle, const char *name) __attribute__((weak));
extern char *getenv(const char *name) __attribute__((weak));

static agent_audit forward;
static int tried;

static int starts_with(const char *text, const char *beginning)
{
	while (*beginning)
		if (*text++ != *beginning++)
			return 0;
	return 1;
}

/* A missing agent, or one of another release, is no agent: the program runs as if nothing had been asked. */
static void agent_load(void)
{
	const char *path = getenv(ENV_AGENT);
	void *agent = path && *path ? dlopen(path, RTLD_NOW) : 0;
	agent_open open = agent ? (agent_open)dlsym(agent, "awaitscope_agent_open") : 0;
	agent_audit audit = agent ? (agent_audit)dlsym(agent, "awaitscope_agent_audit") : 0;

	if (open && audit && open(RING_ABI) == 0)
		forward = audit;
}

static int on_audit(const char *event, void *args, void *data)
{
	(void)data;
	if (forward) {
		forward(event, args);
	} else if (!tried && starts_with(event, RUN_EVENT)) {
		tried = 1;
		agent_load();
	}
	return 0;
}

/* Before Py_Initialize(), so that the hook is there from the first event on. */
__attribute__((constructor)) static void preload(void)
{
	if (PySys_AddAuditHook && dlopen && dlsym && getenv)
		PySys_AddAuditHook(on_audit, 0);
}
