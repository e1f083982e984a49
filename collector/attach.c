/*
 * One attach from beginning to end: may it be, the interpreter found, the sensor placed, watched
 * until something ends it. Nothing here writes to the target or stops it.
 */
#include "collector/attach.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "collector/attach_live.h"
#include "collector/attach_target.h"
#include "collector/feed_series.h"
#include "collector/follow.h"
#include "collector/log.h"
#include "collector/named_cells.h"
#include "collector/program.h"
#include "collector/signals.h"
#include "collector/trace_path.h"
#include "probe/base/cleanup.h"
#include "probe/base/text.h"

#define ARGV_BYTES 32768u
#define ARGV_MAX 256u
#define NAME_CHARS 60
#define HOW_BYTES 256
#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull
/* Every process there is, is looked at: some ms of CPU time. */
#define LOOK_NS (100 * NS_PER_MS)
/* Its mappings are read: 0.1 ms. An import of asyncio takes 30. */
#define ASYNCIO_NS (10 * NS_PER_MS)
/* So long an interpreter that is starting may make no sense. */
#define STARTS_NS (10 * NS_PER_S)

/* linux/capability.h: what loading, reading another's memory, and tracing want. */
#define CAP_SYS_PTRACE 19u
#define CAP_SYS_ADMIN 21u
/* inode of the first pid namespace (PROC_PID_INIT_INO, include/linux/proc_ns.h) */
#define FIRST_PID_NAMESPACE 0xeffffffcu
/* The same of user namespaces (PROC_USER_INIT_INO) */
#define FIRST_USER_NAMESPACE 0xeffffffdu

struct attachment {
	const struct run_options *options;
	char *const *argv;
	uint32_t pid; /* the first one */
	struct attach_target target;
	struct follow *follow;       /* NULL: the first one only */
	struct feed_series *series;  /* the recorder's */
	char argv_bytes[ARGV_BYTES]; /* of the first one */
	size_t argv_len;
	uint64_t end_ns;   /* --duration; UINT64_MAX: none */
	uint64_t look_ns;  /* when the next start is looked for again */
	uint64_t found_ns; /* when it was found */
	struct attach_live live;
	struct named_cells *cells;
	struct recording recording;
};

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- may it be? -------------------------------------------------------------------------- */

static uint64_t capabilities(void)
{
	cleanup(fclosep) FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	uint64_t caps = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %" SCNx64, &caps) == 1)
			break;
	return caps;
}

/* The command line that would do it, as a shell takes it. malloc'd. */
static char *sudo_line(char *const *argv)
{
	char program[PATH_MAX], *text = NULL;
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	program[n > 0 ? n : 0] = '\0';
	fprintf(out, "sudo %s", n > 0 ? program : "awaitscope");
	for (size_t i = 0; argv[i]; i++) {
		bool plain = *argv[i] && !argv[i][strcspn(argv[i], " \t\n'\"\\$`&|;<>()*?[]#~!{}")];

		fprintf(out, " %s", plain ? "" : "'");
		for (const char *p = argv[i]; *p; p++)
			fputs(*p == '\'' ? "'\\''" : (char[]){*p, '\0'}, out);
		fputs(plain ? "" : "'", out);
	}
	return fclose(out) ? NULL : text;
}

static int privileges_check(const struct attachment *a)
{
	uint64_t caps = capabilities();
	cleanup(freep) char *line = NULL, *sudo = NULL;
	struct stat st;

	if (!(caps >> CAP_SYS_ADMIN & 1) || !(caps >> CAP_SYS_PTRACE & 1)) {
		line = sudo_line(a->argv);
		sudo = program_find("sudo");
		log_error("watching a process from the kernel needs root; run it so: %s%s",
			line ? line : "sudo awaitscope attach PID",
			sudo ? "" : " (there is no sudo here: as root, without that word)");
		return STATUS_UNTRACEABLE;
	}
	if (!stat("/proc/self/ns/user", &st) && st.st_ino != FIRST_USER_NAMESPACE) {
		log_error("root of a user namespace (a rootless container) may not load programs "
			  "into the kernel: attach from the host, as its root");
		return STATUS_UNTRACEABLE;
	}
	if (!stat("/proc/self/ns/pid", &st) && st.st_ino != FIRST_PID_NAMESPACE) {
		log_error("process ids here are a container's own: attach from the host, which "
			  "knows the process by another id, or start the container with "
			  "--pid=host");
		return STATUS_UNTRACEABLE;
	}
	return 0;
}

static int process_check(struct attachment *a)
{
	char path[64];
	FILE *file;
	int rc = attach_target_find(&a->target, a->pid);

	if (rc) {
		log_error("there is no process %" PRIu32
			  "%s; awaitscope attach lists those that can be watched",
			a->pid, rc == -EINVAL ? " (it is a thread of one)" : "");
		return STATUS_UNTRACEABLE;
	}
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/cmdline", a->pid);
	file = fopen(path, "re");
	if (file) {
		a->argv_len = fread(a->argv_bytes, 1, sizeof(a->argv_bytes) - 1, file);
		fclose(file);
	}
	return 0;
}

static int notebook_read(struct attachment *a)
{
	const char *path = a->options->notebook;
	struct notebook_cells *notebook = NULL;
	int rc = path ? notebook_cells_read(path, &notebook) : 0;

	if (rc && rc != -ENOMEM) {
		log_error("--notebook %s %s", path,
			rc == -EPROTO ? "is no notebook (JSON with a list of cells)"
				      : strerror(-rc));
		return STATUS_USAGE;
	}
	if (!rc)
		rc = named_cells_new(notebook, &a->cells);
	if (rc)
		log_error("no memory");
	return rc ? STATUS_OURS : 0;
}

/* ---- beginning to watch ------------------------------------------------------------------ */

static int refuse(const struct attachment *a, int rc, const char *why)
{
	if (rc == -ESRCH && !a->argv_len)
		log_error("process %" PRIu32 " has no program in it: it is a part of the kernel, "
			  "or dead already; awaitscope attach lists those that can be watched",
			a->pid);
	else if (rc == -ESRCH)
		log_error("process %" PRIu32 " ended before it could be watched", a->pid);
	else if (rc == -ENOMEM)
		log_error("no memory");
	else
		log_error("process %" PRIu32 " cannot be watched: %s%s; awaitscope doctor %" PRIu32
			  " tells more",
			a->pid, why,
			a->target.unserved ? "; awaitscope watches CPython 3.8 to 3.14 with the GIL"
					   : "",
			a->pid);
	return STATUS_UNTRACEABLE;
}

/* What came of it goes to the recorder. 0, -EAGAIN, or it cannot be watched. */
static int watch_begin(struct attachment *a, const char **ret_why)
{
	int rc = attach_target_watch(&a->target, a->options, ret_why);

	if (rc)
		return rc;
	rc = feed_series_add(a->series, a->target.pid, bpf_feed_base(a->target.feed));
	if (rc)
		a->target.feed = NULL;
	return rc;
}

static const char *plural(unsigned int n)
{
	return n == 1 ? "" : "s";
}

static void watch_told(const struct attachment *a)
{
	unsigned int loops = bpf_feed_loops(a->target.feed);

	if (!a->found_ns)
		log_note("watching process %" PRIu32 ", %u thread%s with a loop; Ctrl-C ends",
			a->pid, loops, plural(loops));
	else
		attach_live_say("watching process %" PRIu32 ", %u thread%s with a loop",
			a->target.pid, loops, plural(loops));
	log_detail("its layout is from %s; its probe points are from %s", a->target.layout_from,
		a->target.points_from);
}

/* ---- the recording ----------------------------------------------------------------------- */

static char *trace_name(const struct attachment *a)
{
	char *words[ARGV_MAX + 1];
	size_t n = 0;

	for (size_t at = 0; at < a->argv_len && n < ARGV_MAX; at += strlen(a->argv_bytes + at) + 1)
		words[n++] = (char *)a->argv_bytes + at;
	words[n] = NULL;
	return n ? trace_name_of_command(words) : strdup("process");
}

/* The target's command line, for people. */
static char *command_text(const struct attachment *a)
{
	cleanup(freep) char *line = calloc(1, a->argv_len + 1);

	if (!line)
		return NULL;
	memcpy(line, a->argv_bytes, a->argv_len);
	for (size_t i = 0; i + 1 < a->argv_len; i++)
		if (!line[i])
			line[i] = ' ';
	return text_to_utf8(line, strnlen(line, a->argv_len));
}

static void owner_note(struct attachment *a)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%" PRIu32, a->pid);
	if (stat(path, &st))
		return;
	a->recording.owner_uid = st.st_uid;
	a->recording.owner_gid = st.st_gid;
}

static int begin(struct attachment *a)
{
	cleanup(freep) char *name = trace_name(a);
	cleanup(freep) char *command = command_text(a);
	int status = recording_feed(&a->recording, feed_series_base(a->series));

	if (status)
		return status;
	if (!name || !command) {
		log_error("cannot record: no memory");
		return STATUS_OURS;
	}
	recorder_look(a->recording.recorder, named_cells_look, a->cells);
	return recording_begin(&a->recording, name, (pid_t)a->pid, "command", command);
}

/* ---- while it is watched ----------------------------------------------------------------- */

/* The process is not there any more: whether to go on without it. */
static bool left(struct attachment *a, const char *how, bool executed)
{
	uint32_t pid = a->target.pid;
	cleanup(freep) char *name = NULL;

	attach_live_end(&a->live);
	feed_series_end(a->series, pid);
	attach_target_leave(&a->target);
	if (!a->follow) {
		log_note("process %" PRIu32 " %s", pid, how);
		return false;
	}
	name = text_for_terminal(follow_name(a->follow), NAME_CHARS);
	attach_live_say("process %" PRIu32 " %s; waiting for the next start of %s, Ctrl-C ends",
		pid, how, name ? name : "it");
	follow_ended(a->follow, executed);
	a->look_ns = 0;
	return true;
}

/* Looks for its next start. */
static void seek(struct attachment *a, uint64_t now_ns)
{
	uint32_t pid;

	if (now_ns < a->look_ns)
		return;
	a->look_ns = now_ns + LOOK_NS;
	if (follow_find(a->follow, &pid) || attach_target_find(&a->target, pid))
		return;
	attach_live_say("it has been started again, as process %" PRIu32, pid);
	a->found_ns = now_ns;
	a->look_ns = 0;
}

/* It is there, but nothing to watch was in it yet. An interpreter that is only just starting cannot
 * be understood. False: it never will. */
static bool retry(struct attachment *a, uint64_t now_ns)
{
	const char *why = "";
	char how[HOW_BYTES];
	int rc;

	if (now_ns < a->look_ns)
		return true;
	a->look_ns = now_ns + (a->target.waits ? ASYNCIO_NS : LOOK_NS);
	rc = watch_begin(a, &why);
	if (!rc)
		watch_told(a);
	if (!rc || rc == -EAGAIN || rc == -ESRCH || now_ns < a->found_ns + STARTS_NS)
		return true;
	snprintf(how, sizeof(how), "cannot be watched: %s", why);
	return left(a, how, false);
}

/* One turn; false: the recording ends. */
static bool turn(struct attachment *a, bool ended)
{
	uint64_t now_ns = clock_ns();

	if (a->target.pidfd < 0) {
		seek(a, now_ns);
		return true;
	}
	if (ended)
		return left(a, "has ended", false);
	if (!a->target.feed)
		return retry(a, now_ns);
	return !bpf_feed_execed(a->target.feed) || left(a, "has become another program", true);
}

static void watch(struct attachment *a, const struct signals *signals)
{
	struct signalfd_siginfo info;
	bool ended;

	do {
		struct pollfd fds[] = {{.fd = signals->fd, .events = POLLIN},
			{.fd = a->target.pidfd, .events = POLLIN}};

		if (recorder_poll(a->recording.recorder, fds, 2) < 0)
			break; /* no memory */
		attach_live(&a->live, a->recording.recorder);
		if (signals_next(signals, &info) || clock_ns() >= a->end_ns)
			break;
		ended = fds[1].revents != 0;
	} while (turn(a, ended));
}

/* The series is the caller's where it returns 0 or -EAGAIN. */
static int watch_first(struct attachment *a, const char **ret_why)
{
	int rc = a->options->follow ? follow_new(a->pid, &a->follow) : 0;

	if (!rc)
		rc = feed_series_new(&a->series);
	if (rc)
		return rc;
	rc = watch_begin(a, ret_why);
	if (rc && rc != -EAGAIN)
		feed_series_base(a->series)->ops->free(feed_series_base(a->series));
	return rc;
}

static int run(struct attachment *a, const struct signals *signals)
{
	uint64_t began_ns = clock_ns();
	int status = recording_check(&a->recording, a->options), rc;
	const char *why = "";

	if (status)
		return status;
	a->recording.t0_ns = clock_ns();
	rc = watch_first(a, &why);
	if (rc && rc != -EAGAIN)
		return refuse(a, rc, why);
	owner_note(a);
	status = begin(a);
	if (status)
		return status;
	if (rc)
		log_note("process %" PRIu32
			 " has not imported asyncio: it is watched as soon as it "
			 "has; Ctrl-C ends",
			a->pid);
	else
		watch_told(a);
	log_detail("ready after %" PRIu64 " ms", (clock_ns() - began_ns) / 1000000);
	a->end_ns = a->options->duration_ns ? clock_ns() + a->options->duration_ns : UINT64_MAX;
	watch(a, signals);
	recording_end(&a->recording);
	return 0;
}

int attach(const struct run_options *options, uint32_t pid, char *const *argv)
{
	cleanup(freep) struct attachment *a = calloc(1, sizeof(*a));
	struct signals signals = {.fd = -1};
	int status;

	if (!a) {
		log_error("no memory");
		return STATUS_OURS;
	}
	*a = (struct attachment){.options = options,
		.argv = argv,
		.pid = pid,
		.target = {.pidfd = -1},
		.live = {.stall_ns = options->stall_ns}};
	status = notebook_read(a);
	if (!status)
		status = process_check(a);
	if (!status)
		status = privileges_check(a);
	if (!status && signals_catch(&signals)) {
		log_error("cannot watch for signals: %s", strerror(errno));
		status = STATUS_OURS;
	}
	if (!status) {
		signals_settle();
		status = run(a, &signals);
	}
	recording_free(&a->recording);
	named_cells_free(a->cells);
	follow_free(a->follow);
	attach_target_leave(&a->target);
	closep(&signals.fd);
	return status;
}
