/*
 * Features of the kernel and what we may do with them: each is tried on this very process. See
 * doctor.h. Leaves nothing behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "collector/doctor.h"
#include "collector/procfs.h"
#include "collector/session.h"
#include "probe/base/cleanup.h"
#include "probe/target/process.h"

#define BTF "/sys/kernel/btf/vmlinux"
#define UPROBE_TYPE "/sys/bus/event_source/devices/uprobe/type"
#define TRACEPOINT "events/syscalls/sys_enter_epoll_wait/id"
#define PARANOID "/proc/sys/kernel/perf_event_paranoid"
#define PTRACE_SCOPE "/proc/sys/kernel/yama/ptrace_scope"
#define LOCKDOWN "/sys/kernel/security/lockdown"
/* bpf_loop(), which the stack walk uses: include/uapi/linux/bpf.h@5.17 */
#define KERNEL_MAJOR 5
#define KERNEL_MINOR 17
#define CAP_SYS_PTRACE 19u /* linux/capability.h */
#define CAP_SYS_ADMIN 21u
/* inode of the first pid namespace (PROC_PID_INIT_INO, include/linux/proc_ns.h) */
#define FIRST_PID_NAMESPACE 0xeffffffcu
#define MEND_SUDO "sudo -E %s attach PID"

/* First line of a file; false: it cannot be read. */
static bool line_read(const char *path, char *buf, size_t size)
{
	cleanup(fclosep) FILE *file = fopen(path, "re");

	if (!file || !fgets(buf, (int)size, file))
		return false;
	buf[strcspn(buf, "\n")] = '\0';
	return true;
}

static char *sudo_of(const struct doctor *d)
{
	char *text;

	return asprintf(&text, MEND_SUDO, d->program) < 0 ? NULL : text;
}

static void kernel_ask(struct doctor *d)
{
	struct utsname name;
	int major = 0, minor = 0;
	bool enough;

	uname(&name);
	sscanf(name.release, "%d.%d", &major, &minor);
	enough = major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR);
	doctor_add(d, DOCTOR_SYSTEM, "kernel", enough ? DOCTOR_YES : DOCTOR_NO, true,
		enough ? NULL : "a newer kernel; awaitscope run needs none of this", "Linux %s%s",
		name.release, enough ? "" : ": attach needs 5.17 (bpf_loop)");
#if !defined(__x86_64__)
	doctor_add(d, DOCTOR_SYSTEM, "architecture", DOCTOR_NO, true, NULL,
		"%s: attach is for x86-64", name.machine);
#endif
}

/* ---- privileges -------------------------------------------------------------------------- */

static void privileges_ask(struct doctor *d)
{
	cleanup(freep) char *sudo = sudo_of(d);
	cleanup(freep) char *mend = NULL;
	uint64_t caps = 0;
	bool admin, ptrace;

	procfs_status((uint32_t)getpid(), "CapEff", 16, &caps);
	admin = caps >> CAP_SYS_ADMIN & 1;
	ptrace = caps >> CAP_SYS_PTRACE & 1;
	if (admin && ptrace) {
		doctor_add(d, DOCTOR_SYSTEM, "privileges", DOCTOR_YES, true, NULL,
			"%s, with CAP_SYS_ADMIN and CAP_SYS_PTRACE",
			geteuid() ? "not root" : "root");
		return;
	}
	if (asprintf(&mend,
		    "%s; or once: sudo setcap cap_sys_admin,cap_sys_ptrace,cap_dac_read_search+ep "
		    "%s; in a container: --cap-add=SYS_ADMIN --cap-add=SYS_PTRACE",
		    sudo ? sudo : "", d->program) < 0)
		mend = NULL;
	doctor_add(d, DOCTOR_SYSTEM, "privileges", DOCTOR_NO, true, mend, "missing: %s%s%s",
		admin ? "" : "CAP_SYS_ADMIN", admin || ptrace ? "" : ", ",
		ptrace ? "" : "CAP_SYS_PTRACE");
}

static void namespace_ask(struct doctor *d)
{
	struct stat st;
	bool first = !stat("/proc/self/ns/pid", &st) && st.st_ino == FIRST_PID_NAMESPACE;

	doctor_add(d, DOCTOR_SYSTEM, "process ids", first ? DOCTOR_YES : DOCTOR_NO, true,
		first ? NULL
		      : "attach from the host, or start the container with: --pid=host "
			"--privileged",
		"%s", first ? "the host's own" : "a container's own: the kernel counts otherwise");
}

static void lockdown_ask(struct doctor *d)
{
	char line[128];

	if (line_read(LOCKDOWN, line, sizeof(line)) && strstr(line, "[confidentiality]"))
		doctor_add(d, DOCTOR_SYSTEM, "lockdown", DOCTOR_NO, true,
			"boot without lockdown=confidentiality",
			"confidentiality: BPF programs may not read memory");
}

/* ---- BPF --------------------------------------------------------------------------------- */

static void btf_ask(struct doctor *d)
{
	bool there = !access(BTF, R_OK);

	doctor_add(d, DOCTOR_SYSTEM, "BTF", there ? DOCTOR_YES : DOCTOR_NO, true,
		there ? NULL : "a kernel built with CONFIG_DEBUG_INFO_BTF=y (Debian's are)", "%s",
		there ? BTF : "this kernel does not describe its types");
}

static int bpf_call(enum bpf_cmd command, union bpf_attr *attr)
{
	int fd = (int)syscall(SYS_bpf, command, attr, sizeof(*attr));

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* r0 = 0; exit */
static int bpf_program_try(void)
{
	static const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K}, {.code = BPF_JMP | BPF_EXIT}};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_KPROBE,
		.insns = (uint64_t)(uintptr_t)code,
		.insn_cnt = 2,
		.license = (uint64_t)(uintptr_t) "GPL",
	};

	return bpf_call(BPF_PROG_LOAD, &attr);
}

static int bpf_ring_try(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_RINGBUF,
		.max_entries = (uint32_t)sysconf(_SC_PAGESIZE),
	};

	return bpf_call(BPF_MAP_CREATE, &attr);
}

static void bpf_ask(struct doctor *d)
{
	cleanup(freep) char *sudo = sudo_of(d);
	int rc = bpf_program_try();

	if (!rc)
		rc = bpf_ring_try();
	if (!rc)
		doctor_add(d, DOCTOR_SYSTEM, "BPF programs", DOCTOR_YES, true, NULL,
			"a program and a ring buffer were loaded");
	else if (rc == -ENOSYS)
		doctor_add(d, DOCTOR_SYSTEM, "BPF programs", DOCTOR_NO, true,
			"in a container: --security-opt seccomp=unconfined, or --privileged",
			"this kernel, or a sandbox around us, has no bpf(2)");
	else
		doctor_add(d, DOCTOR_SYSTEM, "BPF programs", DOCTOR_NO, true,
			rc == -EPERM ? sudo : NULL, "not permitted: %s", strerror(-rc));
}

/* ---- perf events ------------------------------------------------------------------------- */

static int perf_try(struct perf_event_attr *attr, pid_t pid, int cpu)
{
	int fd;

	attr->size = sizeof(*attr);
	fd = (int)syscall(SYS_perf_event_open, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

struct own_place {
	uint64_t address, offset;
	char path[4096];
};

static bool own_place_is(void *ctx, const struct process_map *map)
{
	struct own_place *place = ctx;

	if (place->address < map->begin || place->address >= map->end)
		return false;
	place->offset = place->address - map->begin + map->offset;
	snprintf(place->path, sizeof(place->path), "%s", map->path);
	return true;
}

/* A uprobe on a function of our own that nobody calls meanwhile, gone at once. */
static int uprobe_try(uint32_t type)
{
	struct own_place place = {.address = (uint64_t)(uintptr_t)doctor_system};
	struct perf_event_attr attr = {.type = type, .disabled = 1};

	process_maps_each((uint32_t)getpid(), own_place_is, &place);
	attr.config1 = (uint64_t)(uintptr_t)place.path;
	attr.config2 = place.offset;
	return place.path[0] ? perf_try(&attr, getpid(), -1) : -ENOENT;
}

static void uprobes_ask(struct doctor *d)
{
	cleanup(freep) char *sudo = sudo_of(d);
	char line[32];
	int rc;

	if (!line_read(UPROBE_TYPE, line, sizeof(line))) {
		doctor_add(d, DOCTOR_SYSTEM, "uprobes", DOCTOR_NO, true,
			"a kernel built with CONFIG_UPROBE_EVENTS=y (Debian's are)",
			"this kernel has none, or /sys is not mounted");
		return;
	}
	rc = uprobe_try((uint32_t)strtoul(line, NULL, 10));
	doctor_add(d, DOCTOR_SYSTEM, "uprobes", rc ? DOCTOR_NO : DOCTOR_YES, true, rc ? sudo : NULL,
		rc ? "not permitted: %s" : "one was placed in this program%s",
		rc ? strerror(-rc) : "");
}

static void samples_ask(struct doctor *d)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_CPU_CLOCK, .disabled = 1};
	cleanup(freep) char *sudo = sudo_of(d);
	char line[32] = "?";
	int rc = perf_try(&attr, -1, 0);

	line_read(PARANOID, line, sizeof(line));
	if (rc)
		doctor_add(d, DOCTOR_SYSTEM, "CPU samples", DOCTOR_NO, false, sudo,
			"not permitted: %s (kernel.perf_event_paranoid is %s)", strerror(-rc),
			line);
	else
		doctor_add(d, DOCTOR_SYSTEM, "CPU samples", DOCTOR_YES, false, NULL,
			"the CPU clock can be sampled");
}

/* ---- tracepoints ------------------------------------------------------------------------- */

static void tracepoints_ask(struct doctor *d)
{
	static const char *const folders[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	cleanup(freep) char *sudo = sudo_of(d);
	bool denied = false;

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/" TRACEPOINT, folders[i]);
		if (!access(path, R_OK)) {
			doctor_add(d, DOCTOR_SYSTEM, "tracepoints", DOCTOR_YES, true, NULL,
				"of system calls, in %s", folders[i]);
			return;
		}
		denied |= errno == EACCES;
	}
	doctor_add(d, DOCTOR_SYSTEM, "tracepoints", DOCTOR_NO, true,
		denied ? sudo
		       : "sudo mount -t tracefs nodev /sys/kernel/tracing; in a container: -v "
			 "/sys/kernel/tracing:/sys/kernel/tracing:ro",
		denied ? "not to be read by us" : "tracefs is not mounted here");
}

/* ---- memory of others -------------------------------------------------------------------- */

static void memory_ask(struct doctor *d)
{
	static const char mend[] = "sudo sysctl kernel.yama.ptrace_scope=0, or use sudo";
	uint64_t caps = 0;
	char line[32] = "0";

	procfs_status((uint32_t)getpid(), "CapEff", 16, &caps);
	line_read(PTRACE_SCOPE, line, sizeof(line));
	if (*line == '3')
		doctor_add(d, DOCTOR_SYSTEM, "reading processes", DOCTOR_NO, true,
			"reboot: a value of 3 stays until then", "kernel.yama.ptrace_scope is 3");
	else if (caps >> CAP_SYS_PTRACE & 1)
		doctor_add(d, DOCTOR_SYSTEM, "reading processes", DOCTOR_YES, true, NULL,
			"every process (CAP_SYS_PTRACE)");
	else if (*line == '0')
		doctor_add(d, DOCTOR_SYSTEM, "reading processes", DOCTOR_PARTLY, false, NULL,
			"those of this user (kernel.yama.ptrace_scope is 0)");
	else if (*line == '1')
		doctor_add(d, DOCTOR_SYSTEM, "reading processes", DOCTOR_PARTLY, false, mend,
			"children of awaitscope run only (kernel.yama.ptrace_scope is 1)");
	else
		doctor_add(d, DOCTOR_SYSTEM, "reading processes", DOCTOR_NO, false, mend,
			"none (kernel.yama.ptrace_scope is %s)", line);
}

/* ---- this program ------------------------------------------------------------------------ */

static void program_ask(struct doctor *d)
{
	cleanup(freep) char *folder = NULL;
	cleanup(freep) char *looked = NULL;
	int rc = library_find(&folder, &looked);

	doctor_add(d, DOCTOR_PROGRAM, "agent", rc ? DOCTOR_NO : DOCTOR_YES, false,
		rc ? "set AWAITSCOPE_LIB to the folder that holds agent.so" : NULL,
		rc ? "agent.so is not in %s: awaitscope run cannot record"
		   : "for awaitscope run, without privileges: %s",
		rc ? (looked ? looked : "its places") : folder);
#ifdef AWAITSCOPE_BPF
	doctor_add(d, DOCTOR_PROGRAM, "attach", DOCTOR_YES, true, NULL,
		"the kernel's part is built in");
#else
	doctor_add(d, DOCTOR_PROGRAM, "attach", DOCTOR_NO, true,
		"build it with clang and bpftool installed (scripts/deps.sh)",
		"this build has no kernel part (AWAITSCOPE_BPF is off)");
#endif
}

void doctor_system(struct doctor *d)
{
	kernel_ask(d);
	privileges_ask(d);
	namespace_ask(d);
	lockdown_ask(d);
	btf_ask(d);
	bpf_ask(d);
	uprobes_ask(d);
	tracepoints_ask(d);
	samples_ask(d);
	memory_ask(d);
	program_ask(d);
}
