/*
 * `awaitscope inside`: how a notebook records itself; with --record, which the module of %load_ext
 * passes, the recorder of a process whose agent came from inside it. That one belongs to nobody: it
 * ends with the process, or when it is asked to.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "collector/control.h"
#include "collector/log.h"
#include "collector/options.h"
#include "collector/procfs.h"
#include "collector/run.h"
#include "collector/signals.h"
#include "collector/trace_path.h"
#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "probe/control.h"

#define FIRST_OWN_FD 3u
#define TRACES_MAX 1000 /* of one pid in one folder: in containers pids come again */
/* What was written before a request is in the answer: rings hold records back for a few ms. */
#define SETTLES_NS 50000000ull
#define NS_PER_S 1000000000ull
#define BEGAN_INSIDE                                                                               \
	"begun from inside: nothing from before is in it, and tasks that other threads' loops "    \
	"had by then only once they step"

struct inside {
	struct run_options options;
	struct recording recording;
	struct signals signals;
	struct control control;
	pid_t pid;
	int pidfd;
	char *name, *trace;
	bool dropped;
};

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- beginning ----------------------------------------------------------- */

/* What the process has open is not ours to hold open. By number: glibc has a wrapper from 2.34 on.
 */
static void descriptors_close(void)
{
	if (syscall(SYS_close_range, FIRST_OWN_FD, UINT_MAX, 0))
		for (int fd = FIRST_OWN_FD; fd < 1024; fd++) /* Linux before 5.9 */
			close(fd);
}

/* The notebook that jupyter_server started the kernel for, else its command line. */
static int subject_find(struct inside *i, const char **ret_what, char **ret_value)
{
	cleanup(freep) char *session = procfs_variable((uint32_t)i->pid, "JPY_SESSION_NAME");
	cleanup(freep) char **argv = NULL;
	cleanup(freep) char *runs = NULL;
	int rc = procfs_argv((uint32_t)i->pid, &argv);

	if (rc)
		return rc;
	*ret_value = session && !access(session, R_OK) ? realpath(session, NULL) : NULL;
	*ret_what = *ret_value ? "notebook" : "command";
	i->name = session ? trace_name_of_file(session) : trace_name_of_command(argv);
	if (!*ret_value) {
		runs = procfs_runs((uint32_t)i->pid, argv);
		*ret_value = runs ? text_to_utf8(runs, strlen(runs)) : NULL;
	}
	return i->name && *ret_value ? 0 : -ENOMEM;
}

/* The first free name in the current folder, from the root: the process may leave the folder. */
static int trace_choose(struct inside *i)
{
	cleanup(freep) char *folder = realpath(".", NULL);
	char more[16] = "";
	int rc = folder ? folder_check(folder) : -errno;

	if (rc) {
		log_error("the trace cannot be written into %s: %s; os.chdir() to a folder of "
			  "yours, then %%load_ext awaitscope",
			folder ? folder : "the current folder", strerror(-rc));
		return STATUS_USAGE;
	}
	for (int n = 2; n <= TRACES_MAX; n++) {
		free(TAKE(i->trace));
		if (asprintf(&i->trace, "%s/awaitscope-%s-%d%s.db", folder, i->name, (int)i->pid,
			    more) < 0)
			break;
		if (path_check_new(i->trace, false) != -EEXIST)
			return 0;
		snprintf(more, sizeof(more), "-%d", n);
	}
	log_error("no name is left for a trace in %s", folder);
	return STATUS_OURS;
}

static int begin(struct inside *i)
{
	cleanup(freep) char *value = NULL;
	const char *what;
	int status, rc = subject_find(i, &what, &value);

	if (rc) {
		log_error("process %d: %s", (int)i->pid, strerror(-rc));
		return STATUS_OURS;
	}
	status = trace_choose(i);
	if (status)
		return status;
	i->options.trace = i->trace;
	i->recording.inside = true;
	status = recording_prepare(&i->recording, &i->options);
	if (status)
		return status;
	rc = control_open(&i->control, session_dir(i->recording.session));
	if (rc) {
		log_error("no socket in %s: %s", session_dir(i->recording.session), strerror(-rc));
		return STATUS_OURS;
	}
	signals_settle();
	status = recording_begin(&i->recording, i->name, i->pid, what, value);
	if (!status)
		model_coverage(
			recorder_model(i->recording.recorder), "note", "agent", BEGAN_INSIDE);
	return status;
}

/* Whoever waits for our output has it all then. */
static bool ready_say(const struct inside *i)
{
	int null;

	printf(CONTROL_READY "%c%d%c%s%c%s%c", 0, (int)getpid(), 0,
		session_dir(i->recording.session), 0, i->trace, 0);
	if (fflush(stdout))
		return false;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	return null >= 0 && dup2(null, STDOUT_FILENO) >= 0 && dup2(null, STDERR_FILENO) >= 0;
}

/* ---- recording ----------------------------------------------------------- */

static void settle(struct inside *i)
{
	uint64_t until = clock_ns() + SETTLES_NS;

	while (clock_ns() < until && recorder_poll(i->recording.recorder, NULL, 0) >= 0)
		;
	model_tell(recorder_model(i->recording.recorder));
}

/* False: the recording ends. */
static bool answer(struct inside *i, char request)
{
	i->dropped = request == CONTROL_DROP;
	if (request == CONTROL_END || i->dropped)
		return false;
	if (request && request != CONTROL_HTML)
		settle(i);
	control_answer(&i->control, request, i->trace);
	return true;
}

static void record(struct inside *i)
{
	struct signalfd_siginfo info;
	bool goes_on = true;

	while (goes_on) {
		struct pollfd fds[] = {{.fd = i->pidfd, .events = POLLIN},
			{.fd = i->signals.fd, .events = POLLIN},
			{.fd = i->control.fd, .events = POLLIN}};

		if (recorder_poll(i->recording.recorder, fds, 3) < 0 || fds[0].revents)
			break;
		goes_on = !signals_next(&i->signals, &info) || info.ssi_signo == SIGHUP;
		if (goes_on)
			goes_on = answer(i, control_next(&i->control));
	}
	if (i->dropped)
		recording_drop(&i->recording);
	else
		recording_end(&i->recording);
}

static int record_process(struct inside *i)
{
	int status;

	descriptors_close();
	log_setup(LOG_QUIET, false);
	/* by number: glibc has a wrapper only from 2.36 */
	i->pidfd = (int)syscall(SYS_pidfd_open, i->pid, 0);
	if (i->pidfd < 0 || signals_catch(&i->signals)) {
		log_error("process %d cannot be watched: %s", (int)i->pid, strerror(errno));
		return STATUS_UNTRACEABLE;
	}
	i->control.signals = &i->signals;
	status = begin(i);
	if (!status && ready_say(i))
		record(i);
	else
		recording_drop(&i->recording);
	return status;
}

/* ---- the command --------------------------------------------------------- */

static const char usage[] =
	"usage: awaitscope inside\n\n"
	"Tells how a notebook, or any IPython, records itself: the lines for its first cell.\n\n"
	"  -h, --help  this text\n\n"
	"%load_ext awaitscope starts a recorder beside the process, as awaitscope inside --record "
	"PID, which\nends with the process.\n\n"
	"Example:\n"
	"  awaitscope inside\n";

/* sys.path of Debian's own Python has a link to it. */
static int lines_tell(void)
{
	cleanup(freep) char *library = NULL, *looked = NULL;

	if (library_find(&library, &looked)) {
		log_error("the module is not in %s; set AWAITSCOPE_LIB to the folder that has "
			  "agent.so",
			looked ? looked : "its folder");
		return STATUS_OURS;
	}
	printf("import sys; sys.path.append('%s/python')\n%%load_ext awaitscope\n", library);
	return 0;
}

int inside_main(int argc, char **argv, trace_done_fn done)
{
	struct inside i = {.options = options_defaults(done),
		.signals = {.fd = -1},
		.control = {.fd = -1, .asker = -1},
		.pidfd = -1};
	int status;

	if (argc == 1)
		return lines_tell();
	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc != 3 || strcmp(argv[1], "--record") || (i.pid = atoi(argv[2])) <= 0) {
		log_error("inside takes no arguments; awaitscope inside --help says more");
		return STATUS_USAGE;
	}
	status = record_process(&i);
	recording_free(&i.recording);
	control_close(&i.control);
	closep(&i.pidfd);
	closep(&i.signals.fd);
	free(i.name);
	free(i.trace);
	return status;
}
