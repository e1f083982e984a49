/* Native stacks by libdwfl. See native.h. */
#include "probe/target/native.h"

#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOK_AGAIN_NS 1000000000ull /* at what it has mapped, for an address that is in no file */
#define NS_PER_S 1000000000ull

struct native {
	Dwfl *dwfl;
	uint32_t pid;
	bool attached;
	uint64_t looked_ns; /* at its maps */
	char *interpreter, *hidden;
	char root[32];
	const struct native_state *state; /* what is being unwound */
};

struct unwinding {
	struct native *native;
	struct native_frame *frame;
	uint32_t count;
	bool tells; /* one is of neither the interpreter nor the C library, or says what it waits
		       for */
};

/* ---- its files --------------------------------------------------------------------------- */

/* As the process sees it; callbacks get no argument of ours, so the folder is the module's. */
static int find_elf(Dwfl_Module *module, void **folder, const char *name, Dwarf_Addr base,
	char **ret_path, Elf **ret_elf)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (!*folder || name[0] != '/' ||
		snprintf(path, sizeof(path), "%s%s", (const char *)*folder, name) >= PATH_MAX)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -1;
	}
	if (fd >= 0)
		*ret_path = strdup(path);
	return fd;
}

/* Nothing is looked for elsewhere, least of all on a network. */
static int find_debuginfo(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
	const char *file, const char *link, GElf_Word crc, char **ret_path)
{
	return -1;
}

static const Dwfl_Callbacks files = {
	.find_elf = find_elf,
	.find_debuginfo = find_debuginfo,
};

static int folder_set(
	Dwfl_Module *module, void **folder, const char *name, Dwarf_Addr base, void *arg)
{
	*folder = arg;
	return DWARF_CB_OK;
}

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void look(struct native *n)
{
	n->looked_ns = clock_ns();
	dwfl_report_begin(n->dwfl);
	dwfl_linux_proc_report(n->dwfl, (pid_t)n->pid);
	dwfl_report_end(n->dwfl, NULL, NULL);
	dwfl_getmodules(n->dwfl, folder_set, n->root, 0);
}

/* ---- its thread, which is a copy --------------------------------------------------------- */

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread)
{
	struct native *n = arg;

	if (*thread)
		return 0;
	*thread = arg;
	return (pid_t)n->pid;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread)
{
	*thread = arg;
	return true;
}

static bool memory_read(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *ret, void *arg)
{
	const struct native_state *s = ((struct native *)arg)->state;
	uint64_t begin = s->reg[7], off = address - begin; /* 7: rsp */

	if (address < begin || s->stack_bytes < sizeof(*ret) || off > s->stack_bytes - sizeof(*ret))
		return false;
	memcpy(ret, (const char *)s->stack + off, sizeof(*ret));
	return true;
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	const struct native_state *s = ((struct native *)arg)->state;
	Dwarf_Word reg[NATIVE_REGISTERS];

	for (unsigned int i = 0; i < NATIVE_REGISTERS; i++)
		reg[i] = s->reg[i];
	return dwfl_thread_state_registers(thread, 0, NATIVE_REGISTERS, reg);
}

static const Dwfl_Thread_Callbacks threads = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = memory_read,
	.set_initial_registers = set_registers,
};

/* ---- frames ------------------------------------------------------------------------------ */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_c_library(const char *object)
{
	const char *name = base_name(object);

	return !strncmp(name, "libc.so", 7) || !strncmp(name, "libc-", 5) ||
	       !strncmp(name, "libpthread", 10) || !strncmp(name, "ld-", 3);
}

/* Of the C library's functions those that say what the system calls in them wait for. */
static bool is_look_up(const char *function)
{
	static const struct {
		const char *name, *class;
	} calls[] = {
#define CALL(name, id, class, doc) {#name, #class},
#include "probe/calls.def"
#undef CALL
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (!strcmp(calls[i].class, "dns") && !strcmp(calls[i].name, function))
			return true;
	return false;
}

static void name_put(Dwfl_Module *module, uint64_t pc, const char *object, char *buf)
{
	GElf_Off off = 0;
	GElf_Sym sym = {0};
	const char *name = dwfl_module_addrinfo(module, pc, &off, &sym, NULL, NULL, NULL);
	Dwarf_Addr begin = 0;

	if (name && off < sym.st_size) {
		snprintf(buf, NATIVE_NAME_BYTES, "%s", name);
		return;
	}
	dwfl_module_info(module, NULL, &begin, NULL, NULL, NULL, NULL, NULL);
	snprintf(buf, NATIVE_NAME_BYTES, "%s+%#" PRIx64, base_name(object), pc - begin);
}

/* The file that is mapped at an address; NULL: none. */
static const char *object_at(const struct native *n, uint64_t address)
{
	Dwfl_Module *module = dwfl_addrmodule(n->dwfl, address);

	return module ? dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, NULL) : NULL;
}

static int frame_take(Dwfl_Frame *frame, void *arg)
{
	struct unwinding *u = arg;
	struct native_frame *to = &u->frame[u->count];
	Dwfl_Module *module;
	Dwarf_Addr pc;
	bool exact;

	if (u->count == NATIVE_FRAMES_MAX || !dwfl_frame_pc(frame, &pc, &exact))
		return DWARF_CB_ABORT;
	pc -= exact ? 0 : 1; /* a return address may be the next function's */
	module = dwfl_addrmodule(u->native->dwfl, pc);
	to->object = object_at(u->native, pc);
	if (!to->object || !strcmp(to->object, u->native->interpreter))
		return DWARF_CB_ABORT;
	if (u->native->hidden && !strcmp(to->object, u->native->hidden))
		return DWARF_CB_OK;
	name_put(module, pc, to->object, to->function);
	u->tells |= !is_c_library(to->object) || is_look_up(to->function);
	u->count++;
	return DWARF_CB_OK;
}

uint32_t native_unwind(struct native *n, const struct native_state *state,
	struct native_frame ret[NATIVE_FRAMES_MAX], bool *ret_elsewhere)
{
	struct unwinding u = {.native = n, .frame = ret};
	uint64_t pc = state->reg[NATIVE_REGISTERS - 1];

	if (!dwfl_addrmodule(n->dwfl, pc) && clock_ns() - n->looked_ns > LOOK_AGAIN_NS)
		look(n);
	n->state = state;
	if (!n->attached)
		n->attached = dwfl_attach_state(n->dwfl, NULL, (pid_t)n->pid, &threads, n);
	if (n->attached)
		dwfl_getthread_frames(n->dwfl, (pid_t)n->pid, frame_take, &u);
	n->state = NULL;
	*ret_elsewhere = u.count != 0;
	return u.tells ? u.count : 0;
}

/* ---- life -------------------------------------------------------------------------------- */

int native_new(uint32_t pid, uint64_t interpreter, const char *hidden, struct native **ret)
{
	struct native *n = calloc(1, sizeof(*n));
	const char *object;

	if (!n)
		return -ENOMEM;
	n->pid = pid;
	n->dwfl = dwfl_begin(&files);
	snprintf(n->root, sizeof(n->root), "/proc/%" PRIu32 "/root", pid);
	if (n->dwfl)
		look(n);
	object = n->dwfl ? object_at(n, interpreter) : NULL;
	n->interpreter = object ? strdup(object) : NULL;
	n->hidden = hidden ? realpath(hidden, NULL) : NULL;
	if (!n->interpreter) {
		bool none = n->dwfl && !object;

		native_free(n);
		return none ? -ENOENT : -ENOMEM;
	}
	*ret = n;
	return 0;
}

void native_free(struct native *n)
{
	if (!n)
		return;
	dwfl_end(n->dwfl);
	free(n->interpreter);
	free(n->hidden);
	free(n);
}
