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
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "collector/attach_live.h"
#include "collector/bpf_feed.h"
#include "collector/log.h"
#include "collector/signals.h"
#include "collector/trace_path.h"
#include "probe/base/cleanup.h"
#include "probe/base/text.h"

#define ARGV_BYTES 32768u
#define ARGV_MAX 256u
#define TEXT_CHARS 300
#define NS_PER_S 1000000000ull

/* linux/capability.h: what loading, reading another's memory, and tracing want. */
#define CAP_SYS_PTRACE 19u
#define CAP_SYS_ADMIN 21u
/* inode of the first pid namespace (PROC_PID_INIT_INO, include/linux/proc_ns.h) */
#define FIRST_PID_NAMESPACE 0xeffffffcu

struct attachment {
	const struct run_options *options;
	char *const *argv;
	uint32_t pid;
	int pidfd;
	char argv_bytes[ARGV_BYTES]; /* of the target */
	size_t argv_len;
	struct bpf_feed *feed; /* the recorder's */
	uint64_t end_ns;       /* --duration; UINT64_MAX: none */
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
	cleanup(freep) char *line = NULL;
	struct stat st;

	if (!(caps >> CAP_SYS_ADMIN & 1) || !(caps >> CAP_SYS_PTRACE & 1)) {
		line = sudo_line(a->argv);
		log_error("watching a process from the kernel needs root; run it so: %s",
			line ? line : "sudo awaitscope attach PID");
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

	a->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)a->pid, 0);
	if (a->pidfd < 0) {
		log_error("there is no process %" PRIu32 "%s", a->pid,
			errno == EINVAL ? " (it is a thread of one)" : "");
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

/* ---- the target -------------------------------------------------------------------------- */

static int refuse(const struct attachment *a, int rc, const char *why)
{
	if (rc == -ESRCH)
		log_error("process %" PRIu32 " ended before it could be watched", a->pid);
	else
		log_error("process %" PRIu32 " cannot be watched: %s", a->pid, why);
	return STATUS_UNTRACEABLE;
}

static int feed_open(struct attachment *a)
{
	struct bpf_feed_options options = {.pid = a->pid,
		.min_block_ns = a->options->min_block_ns,
		.min_step_ns = a->options->min_step_ns,
		.jupyter = !a->options->no_jupyter};
	const char *why = "";
	int rc = target_open(a->pid, 0, &options.target, &why);

	if (rc)
		return refuse(a, rc, why);
	options.points = calloc(1, sizeof(*options.points));
	rc = options.points ? points_find(a->pid, target_minor(options.target), POINT_ANY,
				      options.points, &why)
			    : -ENOMEM;
	if (rc && rc != -ENOENT) {
		target_free(options.target);
		free(options.points);
		return refuse(a, rc, why);
	}
	rc = bpf_feed_open(&options, &a->feed, &why);
	return rc ? refuse(a, rc, why) : 0;
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
	int status = recording_feed(&a->recording, bpf_feed_base(a->feed));

	if (status)
		return status;
	if (!name || !command) {
		log_error("cannot record: no memory");
		return STATUS_OURS;
	}
	return recording_begin(&a->recording, name, (pid_t)a->pid, "command", command);
}

static void watch(struct attachment *a, const struct signals *signals)
{
	struct attach_live live = {.stall_ns = a->options->stall_ns};
	struct pollfd fds[] = {
		{.fd = signals->fd, .events = POLLIN}, {.fd = a->pidfd, .events = POLLIN}};
	struct signalfd_siginfo info;

	for (;;) {
		if (recorder_poll(a->recording.recorder, fds, 2) < 0)
			break; /* no memory */
		attach_live(&live, a->recording.recorder);
		if (signals_next(signals, &info) || fds[1].revents || clock_ns() >= a->end_ns)
			break;
		if (!bpf_feed_execed(a->feed))
			continue;
		log_note("process %" PRIu32 " has become another program: the recording ends",
			a->pid);
		break;
	}
	if (fds[1].revents)
		log_note("process %" PRIu32 " has ended", a->pid);
}

static int run(struct attachment *a, const struct signals *signals)
{
	uint64_t began_ns = clock_ns();
	unsigned int loops;
	int status = recording_check(&a->recording, a->options);

	a->recording.t0_ns = clock_ns();
	if (!status)
		status = feed_open(a);
	if (status)
		return status;
	owner_note(a);
	status = begin(a);
	if (status)
		return status;
	loops = bpf_feed_loops(a->feed);
	log_note("watching process %" PRIu32 ", %u thread%s with a loop; Ctrl-C ends", a->pid,
		loops, loops == 1 ? "" : "s");
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
	*a = (struct attachment){.options = options, .argv = argv, .pid = pid, .pidfd = -1};
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
	closep(&a->pidfd);
	closep(&signals.fd);
	return status;
}
