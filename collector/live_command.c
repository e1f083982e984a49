/*
 * `awaitscope live`: its options and help; a process is recorded by a child, as by attach, while
 * this process shows the trace. Whoever sees the viewer hands in what shows it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "collector/attach.h"
#include "collector/options.h"
#include "collector/signals.h"
#include "collector/trace_path.h"
#include "probe/base/cleanup.h"

#define SNAPSHOT_NS 2000000000ull /* without a terminal or --duration */
#define REPLACED_MS 10            /* between two looks whether the recorder has begun */
#define FOLDER_NAME "/awaitscope-live-XXXXXX"
#define TRACE_NAME "/trace.db"

struct live_recorder { /* the child, and what it was told */
	struct run_options options;
	uint32_t process;
	char *const *argv;
	char *folder; /* of a trace that nobody wanted to keep; NULL: -o */
	char *path;   /* of the trace */
	int messages; /* what the child says, until the terminal is free */
	pid_t pid;
};

static void help(void)
{
	puts("usage: awaitscope live [OPTION...] PID | TRACE\n\n"
	     "Shows what event loops do while they do it: which is held now and where, its lag and "
	     "what it was busy with,\n"
	     "its tasks and what they wait for, the calls that block, a notebook's cells. ? lists "
	     "the keys.\n"
	     "A number is a process, recorded as by awaitscope attach (needs root); a file is a "
	     "trace, also one that is still\n"
	     "recorded. Without a terminal it prints once what there is.\n");
	options_list(OPTIONS_LIVE);
	puts("\nAll but --no-color and --help are for a PID. Without -o its recording is "
	     "temporary.\n\n"
	     "Status: 0 done, also when the process ended; 2 wrong usage, or no readable trace; 3 "
	     "the process cannot be traced.\n\n"
	     "Examples:\n"
	     "  sudo awaitscope live 4711\n"
	     "  sudo awaitscope live -o trace.db 4711\n"
	     "  awaitscope live awaitscope-app-4711.db");
}

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

static int nothing_to_do(const char *what, int rc)
{
	log_error("%s: %s", what, strerror(rc < 0 ? -rc : rc));
	return STATUS_OURS;
}

/* ---- the recorder ------------------------------------------------------------------------ */

static void folder_remove(struct live_recorder *r)
{
	if (!r->folder)
		return;
	trace_remove(r->path);
	rmdir(r->folder);
}

/* The verdict is told by who shows the trace, when the terminal is free. */
static void done_later(const char *path, bool quiet)
{
}

#ifdef AWAITSCOPE_BPF
static void record(struct live_recorder *r, pid_t parent)
{
	int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	int status;

	/* Ctrl-C is for the one with the terminal. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || nowhere < 0)
		_exit(STATUS_OURS);
	dup2(nowhere, STDIN_FILENO);
	dup2(nowhere, STDOUT_FILENO);
	dup2(r->messages, STDERR_FILENO);
	log_setup(LOG_QUIET, false);
	status = attach(&r->options, r->process, r->argv);
	if (getppid() != parent)
		folder_remove(r); /* nobody else is there to do it */
	exit(status);
}
#else
static void record(struct live_recorder *r, pid_t parent)
{
	dup2(r->messages, STDERR_FILENO);
	log_error("this awaitscope was built without its eBPF sensor, so it cannot attach; "
		  "awaitscope live TRACE shows a trace");
	exit(STATUS_UNTRACEABLE);
}
#endif

/* Where the trace goes. */
static int path_find(struct live_recorder *r)
{
	const char *base = getenv("TMPDIR");

	if (r->options.trace) {
		r->path = strdup(r->options.trace);
		return r->path ? 0 : -ENOMEM;
	}
	if (asprintf(&r->folder, "%s" FOLDER_NAME, base && *base ? base : "/tmp") < 0) {
		r->folder = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(r->folder)) {
		free(TAKE(r->folder));
		return -errno;
	}
	if (asprintf(&r->path, "%s" TRACE_NAME, r->folder) < 0)
		r->path = NULL;
	r->options.trace = r->path;
	return r->path ? 0 : -ENOMEM;
}

/* A pidfd of the child, or -errno. */
static int recorder_start(struct live_recorder *r, const struct signals *signals)
{
	pid_t parent = getpid();

	r->messages = memfd_create("messages", MFD_CLOEXEC);
	if (r->messages < 0)
		return -errno;
	fflush(NULL);
	r->pid = fork();
	if (r->pid < 0)
		return -errno;
	if (!r->pid) {
		signals_restore(signals);
		record(r, parent);
	}
	/* by number: glibc has a wrapper only from 2.36 */
	return (int)syscall(SYS_pidfd_open, r->pid, 0);
}

/*
 * Where a file is in the trace's place (old; < 0: none), until the recorder has put its own there:
 * the old one is never shown. False: it refused to, or a signal came.
 */
static bool old_replaced(const struct live_recorder *r, int old, int recorder, int signals)
{
	struct pollfd fds[] = {
		{.fd = recorder, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
	struct stat was, is;

	if (old < 0 || fstat(old, &was))
		return true;
	while (stat(r->path, &is) || (is.st_ino == was.st_ino && is.st_dev == was.st_dev))
		if (poll(fds, 2, REPLACED_MS) > 0)
			return false;
	return true;
}

static void messages_tell(const struct live_recorder *r)
{
	char buf[4096];
	ssize_t n;

	for (off_t at = 0; (n = pread(r->messages, buf, sizeof(buf), at)) > 0; at += n)
		fwrite(buf, 1, (size_t)n, stderr);
}

/* Its exit status; 0 where it is we who ended it. A temporary trace needs no good end. */
static int recorder_end(struct live_recorder *r)
{
	int status = 0;
	bool ended = waitpid(r->pid, &status, WNOHANG) == r->pid;

	if (!ended) {
		log_note("the recording ends; the kernel takes some seconds to take its probes "
			 "away");
		kill(r->pid, r->folder ? SIGKILL : SIGTERM);
		while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
			continue;
	}
	messages_tell(r);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return ended ? STATUS_OURS : 0;
}

static void temporary_tell(const struct live_recorder *r)
{
	log_note("the recording was temporary; to keep it: awaitscope live -o trace.db %" PRIu32,
		r->process);
}

/* ---- the two uses ------------------------------------------------------------------------ */

static int show_process(struct live_recorder *r, const struct options_said *said,
	trace_done_fn done, trace_view_fn view)
{
	uint64_t watch_ns = r->options.duration_ns ? r->options.duration_ns : SNAPSHOT_NS;
	struct signals signals = {.fd = -1}; /* none ends this process before it has cleaned up */
	cleanup(closep) int ends = -1, old = -1;
	int rc = path_find(r), status, seen = 0;

	if (rc)
		return nothing_to_do("cannot make a folder for the recording", rc);
	r->options.done = done_later;
	old = open(r->path, O_PATH | O_CLOEXEC); /* while it is open no new file has its inode */
	rc = signals_catch(&signals);
	ends = rc ? rc : recorder_start(r, &signals);
	if (ends < 0) {
		folder_remove(r);
		return nothing_to_do("cannot start recording", ends);
	}
	if (old_replaced(r, old, ends, signals.fd))
		seen = view(r->path, said->color, ends, watch_ns);
	status = recorder_end(r);
	folder_remove(r);
	if (!status && seen > 0)
		status = seen;
	if (!status && !r->folder)
		done(r->path, said->level <= LOG_QUIET);
	else if (!status)
		temporary_tell(r);
	closep(&signals.fd);
	return status;
}

static int show_trace(const struct run_options *o, const struct options_said *said,
	const char *path, trace_view_fn view)
{
	const struct run_options plain = options_defaults(o->done);

	if (o->trace || o->duration_ns || o->keep_ns || o->notebook || o->follow || o->force ||
		o->stall_ns != plain.stall_ns || o->min_block_ns != plain.min_block_ns ||
		o->min_step_ns != plain.min_step_ns || o->max_bytes != plain.max_bytes) {
		log_error("a trace is only read: options of a recording go with a PID");
		return STATUS_USAGE;
	}
	return view(path, said->color, -1, 0);
}

int live_main(int argc, char **argv, trace_done_fn done, trace_view_fn view)
{
	struct live_recorder recorder = {
		.options = options_defaults(done), .argv = argv, .messages = -1};
	struct options_said said = {.level = LOG_NORMAL, .color = true};
	unsigned long process;
	int status;

	log_setup(said.level, said.color);
	status = options_parse(OPTIONS_LIVE, argc, argv, &recorder.options, &said);
	if (said.help) {
		help();
		return 0;
	}
	if (status)
		return status;
	if (argc - optind != 1) {
		log_error("name one process (awaitscope attach lists them) or one trace; "
			  "awaitscope live --help tells more");
		return STATUS_USAGE;
	}
	if (!is_number(argv[optind]))
		return show_trace(&recorder.options, &said, argv[optind], view);
	errno = 0;
	process = strtoul(argv[optind], NULL, 10);
	if (errno || !process || process > INT32_MAX) {
		log_error("%s is no process id; a trace of that name is ./%s", argv[optind],
			argv[optind]);
		return STATUS_USAGE;
	}
	recorder.process = (uint32_t)process;
	status = show_process(&recorder, &said, done, view);
	closep(&recorder.messages);
	free(recorder.folder);
	free(recorder.path);
	return status;
}
