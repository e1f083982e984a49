/* Tables of modules that say what a wait was for, and the naming of calls. Reads resolved stacks
 * only. */
#include "collector/callsite.h"

#include <string.h>

#include "collector/shorten.h"
#include "collector/source.h"
#include "probe/control.h"

static const struct call {
	const char *name;
	enum block_class class;
} calls[] = {
#define CALL(name, id, class, doc) [id] = {#name, CLASS_##class},
#include "probe/calls.def"
#undef CALL
#define SYSCALL(name, id, class, fd, touches) [id] = {#name, CLASS_##class},
#include "probe/syscalls.def"
#undef SYSCALL
};

enum call_id {
#define CALL(name, id, class, doc) CALL_##name = id,
#include "probe/calls.def"
#undef CALL
#define SYSCALL(name, id, class, fd, touches) SYSCALL_##name = id,
#include "probe/syscalls.def"
#undef SYSCALL
};

/* Whatever they do inside; a sleep in a retry under requests is still a sleep. */
static bool says_itself(enum block_class class)
{
	return class == CLASS_dns || class == CLASS_database;
}

static const struct call *call_of(uint32_t id)
{
	return id < sizeof(calls) / sizeof(*calls) && calls[id].name ? &calls[id] : NULL;
}

const char *callsite_syscall(uint32_t call)
{
	const struct call *c = call_of(call);

	return c ? c->name : NULL;
}

const char *callsite_class_name(enum block_class class)
{
	static const char *const names[CLASSES] = {"sleep", "network", "file", "subprocess", "dns",
		"database", "lock", "fault", "other"};

	return names[class];
}

/* Is `module` this one, or inside it? */
static bool is_within(const char *module, const char *prefix)
{
	size_t n = strlen(prefix);

	return !strncmp(module, prefix, n) && (!module[n] || module[n] == '.');
}

/*
 * What waits under a library's frames are for, whatever the C call; the first row that has a frame
 * wins. A child's exit is polled with sleeps, a queue waits on a semaphore, a driver reads a
 * socket.
 */
static const struct rule {
	const char *module;
	enum block_class class;
} rules[] = {
	{"subprocess", CLASS_subprocess},
	{"multiprocessing.popen_fork", CLASS_subprocess},
	{"multiprocessing.popen_forkserver", CLASS_subprocess},
	{"multiprocessing.popen_spawn_posix", CLASS_subprocess},
	{"concurrent.futures", CLASS_lock},
	{"threading", CLASS_lock},
	{"queue", CLASS_lock},
	{"multiprocessing.queues", CLASS_lock},
	{"multiprocessing.synchronize", CLASS_lock},
	{"multiprocessing.pool", CLASS_lock},
	{"multiprocessing.connection", CLASS_lock},
	{"filelock", CLASS_lock},
	/* DB-API modules that is_database() may not know: their apilevel is in a C module. */
	{"pymysql", CLASS_database},
	{"MySQLdb", CLASS_database},
	{"mysql.connector", CLASS_database},
	{"psycopg", CLASS_database},
	{"psycopg2", CLASS_database},
	{"pg8000", CLASS_database},
	{"oracledb", CLASS_database},
	{"pymssql", CLASS_database},
	{"pytds", CLASS_database},
	{"clickhouse_driver", CLASS_database},
	{"snowflake.connector", CLASS_database},
	{"ssl", CLASS_network},
	{"socket", CLASS_network},
	{"http", CLASS_network},
	{"urllib.request", CLASS_network},
	{"socketserver", CLASS_network},
	{"smtplib", CLASS_network},
	{"ftplib", CLASS_network},
	{"urllib3", CLASS_network},
};

/* Functions of the standard library in which nothing waits but a look-up of a name. */
static bool looks_up(const struct frame *f)
{
	return !strcmp(f->module, "socket") &&
	       (!strcmp(f->function, "getaddrinfo") || !strcmp(f->function, "getfqdn"));
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* A driver in C is a module of its package: what it reads from a socket is the database's. */
static bool is_driver(const char *object)
{
	const struct place place = place_of(object, "", "");

	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (rules[i].class == CLASS_database && is_within(place.module, rules[i].module))
			return true;
	return false;
}

/*
 * What a C function on the stack waits for: the calls that say it themselves, as an agent knows
 * them by hooks, and all of sqlite. CLASSES: it does not tell.
 */
static enum block_class native_class(const struct frame *f, enum block_class class)
{
	const char *object = base_name(f->file);

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (calls[i].name && says_itself(calls[i].class) &&
			!strcmp(calls[i].name, f->function))
			return calls[i].class;
	if (!strncmp(object, "libsqlite3.so", strlen("libsqlite3.so")) ||
		!strncmp(object, "_sqlite3.", strlen("_sqlite3.")))
		return CLASS_database;
	return class == CLASS_network && is_driver(f->file) ? CLASS_database : CLASSES;
}

/* A class that the stack proves, from its inner end to the innermost Python function. */
static enum block_class proven_class(const struct stack *s, enum block_class class)
{
	enum block_class proven = CLASSES;

	for (uint32_t i = s ? s->count : 0; s && i < s->count + s->natives; i++) {
		proven = native_class(s->at[i].frame, class);
		if (proven != CLASSES)
			return proven;
	}
	return s && s->count && looks_up(s->at[0].frame) ? CLASS_dns : CLASSES;
}

/* Frames below the innermost user frame: what the user called. */
static uint32_t library_frames(const struct stack *s)
{
	uint32_t n = 0;

	while (s && n < s->count && s->at[n].frame != s->user)
		n++;
	return n;
}

/* Is one of its frames in a module that says, by `apilevel`, that it is a database's? */
static bool is_database(struct model *model, const struct process *p, const struct stack *s)
{
	for (uint32_t i = 0; s && i < s->count; i++)
		if (s->at[i].frame->file && s->at[i].frame->owner != PLACE_STDLIB &&
			source_is_database(model->sources, s->at[i].frame->file, p->uid))
			return true;
	return false;
}

/* Frames at the bottom of every thread: they run other code and wait for nothing. */
static bool runs_others(const struct frame *f)
{
	static const char *const names[] = {"_bootstrap", "_bootstrap_inner", "run", "_worker"};
	const char *dot = strrchr(f->function, '.'), *name = dot ? dot + 1 : f->function;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return is_within(f->module, "threading") ||
			       is_within(f->module, "concurrent.futures");
	return false;
}

static bool has_module(const struct stack *s, const char *module)
{
	uint32_t n = library_frames(s);

	for (uint32_t i = 0; i < n; i++)
		if (is_within(s->at[i].frame->module, module) && !runs_others(s->at[i].frame))
			return true;
	return false;
}

/* The import system reads a module's file: for whom does not matter. */
static bool is_import(const struct stack *s, enum block_class class)
{
	return class == CLASS_file && s && s->count &&
	       is_within(s->at[0].frame->module, "importlib");
}

/* "127.0.0.1:80", "[::1]:80", "socket:[4711]" are peers; "/run/x", "pipe:[4711]" are not. */
static bool is_peer(const char *target)
{
	if (!strncmp(target, "socket:", 7))
		return true;
	return target[0] != '/' && strncmp(target, "pipe:", 5) && strchr(target, ':');
}

/* These wait for descriptors; given none they sleep. */
static bool is_sleep(uint32_t id, int fd)
{
	return fd < 0 && (id == SYSCALL_select || id == SYSCALL_pselect6 || id == SYSCALL_poll ||
				 id == SYSCALL_ppoll);
}

enum block_class callsite_raw_class(uint32_t call, int fd)
{
	const struct call *c = call_of(call);

	if (!c)
		return CLASS_other;
	return is_sleep(call, fd) ? CLASS_sleep : c->class;
}

/* A notebook that shows its own report (%awaitscope) waits for us: nothing that it should mend. */
static bool is_recorder(const char *target)
{
	const char *slash = strrchr(target, '/');

	return slash && !strcmp(slash + 1, CONTROL_SOCKET);
}

static enum block_class class_of_call(uint32_t id, int fd, const char *target)
{
	const struct call *c = call_of(id);

	if (!c)
		return CLASS_other;
	if (id == CALL_select && fd >= 0)
		return CLASS_network;
	if (is_sleep(id, fd))
		return CLASS_sleep;
	if (!strcmp(target, "anon_inode:[eventpoll]"))
		return c->class; /* a selector that is not the loop's own */
	if (is_recorder(target))
		return CLASS_other;
	if (!strncmp(target, "anon_inode:", 11))
		return CLASS_other; /* an eventfd's write wakes another thread */
	if (c->class == CLASS_file && is_peer(target))
		return CLASS_network;
	if (c->class == CLASS_network && !strncmp(target, "pipe:", 5))
		return CLASS_file;
	return c->class;
}

enum block_class callsite_class(struct model *model, const struct process *p, uint32_t call,
	const struct stack *s, int fd, const char *target)
{
	enum block_class class = class_of_call(call, fd, target), proven;

	if (says_itself(class) || is_import(s, class))
		return class;
	proven = proven_class(s, class);
	if (proven != CLASSES)
		return proven;
	if (class == CLASS_network && is_database(model, p, s))
		return CLASS_database;
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		if (rules[i].class == CLASS_network &&
			(class == CLASS_sleep || class == CLASS_lock))
			continue;
		if (rules[i].class == CLASS_database && class == CLASS_sleep)
			continue;
		if (has_module(s, rules[i].module))
			return rules[i].class;
	}
	return class;
}

/* ---- names */

static const char *source_of(struct model *model, const struct process *p, const struct frame *f)
{
	const struct cell *c = cell_for_file(p, f->file);

	return c ? c->source : source_of_file(model->sources, f->file, p->uid);
}

static bool name_from_source(
	struct model *model, const struct process *p, const struct frame *f, char *buf, size_t size)
{
	const char *text = source_of(model, p, f);
	struct position at = {f->line, f->end_line, f->col, f->end_col};

	return text && source_excerpt(text, &at, buf, size);
}

bool callsite_request(struct model *model, const struct process *p, const struct stack *given,
	char *buf, size_t size)
{
	return name_from_source(model, p, given->user, buf, size);
}

/* Importing runs through frozen frames: the module that is being run is the name. */
static char *name_import(const struct stack *s, uint32_t frames, char *buf, size_t size)
{
	for (uint32_t i = frames; i-- > 0;) {
		const struct frame *f = s->at[i].frame;

		if (!strcmp(f->function, "<module>") && f->module[0])
			return shorten(buf, size, "import %s", f->module);
	}
	return shorten(buf, size, "import");
}

/* Of n library frames those that the innermost callback consists of; n: it is none of theirs. */
static uint32_t callback_frames(const struct stack *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (callback_is_run(s->at[i].frame))
			return i;
	return n;
}

/* IPython (8.35) gives cells an open() of its own, around the real one. */
static bool is_cells_open(const struct frame *f)
{
	return !strcmp(f->function, "_modified_open") && is_within(f->module, "IPython");
}

char *callsite_name(struct model *model, const struct process *p, const struct stack *s,
	const char *syscall, char *buf, size_t size)
{
	uint32_t library = library_frames(s), n = callback_frames(s, library);
	const struct frame *f;

	if (!s || !s->count)
		return shorten(buf, size, "%s", syscall);
	if (n == 1 && library == 1 && s->user && is_cells_open(s->at[0].frame))
		n = library = 0;
	if (!n) /* user code called it, or the loop itself: call_soon(time.sleep, 1) */
		return !library && name_from_source(model, p, s->user, buf, size)
			       ? buf
			       : shorten(buf, size, "%s", syscall);
	/* Without user code: the innermost function; else what user code called. */
	f = s->at[s->user ? n - 1 : 0].frame;
	if (is_within(f->module, "importlib"))
		return name_import(s, n, buf, size);
	return place_public_name(f->module, f->owner, f->function, buf, size);
}
