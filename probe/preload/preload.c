/*
 * LD_PRELOADed into every program of a run: in a Python it loads the agent when the interpreter
 * starts to run something or a loop, in any other program it does nothing. Needs no library at all,
 * since it also gets into programs that have no libc like ours.
 */
#include "probe/python.h"
#include "probe/ring.h"

#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#define RTLD_NOW 2 /* bits/dlfcn.h; glibc and musl agree */
#define RUN_EVENT "cpython.run_"
/* A loop begins: an interpreter within another program may never say that it runs something. */
#define LOOP_EVENT "sys.set_asyncgen_hook"
#define CLEAR_EVENT "cpython._PySys_ClearAuditHooks"
#define DOMAIN_RAW 0 /* PYMEM_DOMAIN_RAW, Include/cpython/pymem.h */

typedef int (*audit_hook)(const char *event, void *args, void *data);
typedef int (*agent_open)(int abi);
typedef int (*agent_audit)(const char *event, void *args);

struct allocator { /* PyMemAllocatorEx, Include/cpython/pymem.h; the same from 3.5 on */
	void *ctx;
	void *(*malloc)(void *ctx, size_t size);
	void *(*calloc)(void *ctx, size_t count, size_t size);
	void *(*realloc)(void *ctx, void *p, size_t size);
	void (*free)(void *ctx, void *p);
};

/* Weak: absent in most programs. */
extern int PySys_AddAuditHook(audit_hook hook, void *data) __attribute__((weak));
extern void PyMem_GetAllocator(int domain, struct allocator *allocator) __attribute__((weak));
extern void PyMem_SetAllocator(int domain, struct allocator *allocator) __attribute__((weak));
extern const char *Py_GetVersion(void) __attribute__((weak));
extern int pypy_execute_source(char *source) __attribute__((weak)); /* of PyPy's library only */
extern void *dlopen(const char *path, int flags) __attribute__((weak));
extern void *dlsym(void *handle, const char *name) __attribute__((weak));
extern char *getenv(const char *name) __attribute__((weak));
#pragma weak open
#pragma weak close
#pragma weak write
#pragma weak lseek
#pragma weak getpid
#pragma weak readlink

static agent_audit forward;
static int tried;

static int starts_with(const char *text, const char *beginning)
{
	while (*beginning)
		if (*text++ != *beginning++)
			return 0;
	return 1;
}

/*
 * The interpreter keeps our hook in a block of its raw allocator, made before Py_Initialize(). With
 * -X dev or PYTHONMALLOC=debug it later frees that block through the debug allocator, which did not
 * make it and aborts (3.8.18 and 3.13.0). So the block is remembered, and its free led past
 * whatever allocator is there then.
 */
static struct allocator early; /* what made the block */
static struct allocator late;  /* what is there when the hooks are cleared */
static void *block;

static void *block_malloc(void *ctx, size_t size)
{
	void *p = early.malloc(ctx, size);

	if (!block)
		block = p;
	return p;
}

static void block_free(void *ctx, void *p)
{
	if (!p || p != block) {
		late.free(ctx, p);
		return;
	}
	block = 0;
	PyMem_SetAllocator(DOMAIN_RAW, &late);
	early.free(early.ctx, p);
}

/*
 * ctx stays what it was: a thread that reads the exchanged struct halfway still gets a pair that
 * fits.
 */
static void block_free_expect(void)
{
	struct allocator ours;

	PyMem_GetAllocator(DOMAIN_RAW, &late);
	ours = late;
	ours.free = block_free;
	PyMem_SetAllocator(DOMAIN_RAW, &ours);
}

/*
 * A missing agent, or one of another release, is no agent: the program runs as if nothing had been
 * asked.
 */
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
	if (!tried && (starts_with(event, RUN_EVENT) || starts_with(event, LOOP_EVENT))) {
		tried = 1;
		agent_load();
	}
	if (forward)
		forward(event, args);
	if (event[0] == 'c' && block && starts_with(event, CLEAR_EVENT))
		block_free_expect();
	return 0;
}

/* ---- interpreters that are not served ------------------------------------- */

#define PATH_BYTES 4096

struct line {
	size_t used;
	char data[PATH_BYTES];
};

static void put(struct line *l, const char *text, size_t max)
{
	for (; *text && *text != '\n' && max-- > 0 && l->used < sizeof(l->data) - 1; text++)
		l->data[l->used++] = *text;
	l->data[l->used] = '\0';
}

static void put_number(struct line *l, unsigned int number)
{
	char digits[12];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	put(l, digits + at, sizeof(digits));
}

/* Other programs may have a Python in them and never use it; they are left alone. */
static int program_is_python(void)
{
	struct line path;
	ssize_t n = readlink("/proc/self/exe", path.data, sizeof(path.data) - 1);
	size_t name = 0, i;

	if (n <= 0)
		return 0;
	path.data[n] = '\0';
	for (i = 0; path.data[i]; i++)
		if (path.data[i] == '/')
			name = i + 1;
	return starts_with(path.data + name, "python") || starts_with(path.data + name, "pypy");
}

/* A line in the session's file, so that the recorder can say why there is no trace of this one. */
static void refuse(const char *version)
{
	const char *folder = getenv ? getenv(ENV_SESSION) : 0;
	struct line path = {0}, line = {0};
	int fd;

	if (!folder || folder[0] != '/' || !open || !close || !write || !lseek || !getpid ||
		!readlink || !program_is_python())
		return;
	put(&path, folder, sizeof(path.data));
	put(&path, "/" UNTRACED_FILE, sizeof(path.data));
	fd = open(path.data, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	put_number(&line, (unsigned int)getpid());
	put(&line, " ", 1);
	put(&line, version, UNTRACED_VERSION_BYTES);
	line.data[line.used++] = '\n';
	if (lseek(fd, 0, SEEK_END) < UNTRACED_BYTES - (off_t)line.used &&
		write(fd, line.data, line.used) < 0)
		line.used = 0; /* a full disk: nothing is said */
	close(fd);
}

/* An interpreter, and one that the agent knows? */
static int served(void)
{
	enum python_kind kind = PYTHON_UNKNOWN;
	int minor;

	if (pypy_execute_source)
		refuse("PyPy");
	else if (Py_GetVersion)
		kind = python_kind(Py_GetVersion(), &minor);
	if (kind != PYTHON_SERVED && kind != PYTHON_UNKNOWN)
		refuse(Py_GetVersion());
	return kind == PYTHON_SERVED;
}

/* Before Py_Initialize(), so that the hook is there from the first event on. */
__attribute__((constructor)) static void preload(void)
{
	struct allocator ours;

	if (!served() || !PySys_AddAuditHook || !PyMem_GetAllocator || !PyMem_SetAllocator ||
		!dlopen || !dlsym || !getenv)
		return;
	PyMem_GetAllocator(DOMAIN_RAW, &early);
	ours = early;
	ours.malloc = block_malloc;
	PyMem_SetAllocator(DOMAIN_RAW, &ours);
	PySys_AddAuditHook(on_audit, 0);
	PyMem_SetAllocator(DOMAIN_RAW, &early);
}
