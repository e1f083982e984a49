/* `awaitscope run NOTEBOOK.ipynb`, `--cells SCRIPT.py`: driver.py runs it in a kernel, the kernel
 * alone is traced. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "collector/driver.h"
#include "collector/held.h"
#include "collector/kernel_output.h"
#include "collector/kernelspec.h"
#include "collector/log.h"
#include "collector/program.h"
#include "collector/run.h"
#include "collector/signals.h"
#include "collector/trace_path.h"
#include "collector/untraced.h"
#include "probe/base/cleanup.h"
#include "probe/base/text.h"

#define INSTALL "apt install python3-nbclient python3-ipykernel, or: pip install nbclient ipykernel"
#define PYTHONS 3 /* places to look for an interpreter with nbclient */
#define NO_STATUS INT32_MIN

struct notebook {
	const struct run_options *options;
	const char *path;
	struct recording recording;
	struct signals signals;
	struct driver driver;
	struct kernel_output *output;
	struct kernelspec *kernel;
	pid_t kernel_pid; /* 0: not started */
	int kernel_pidfd;
	int cell, cells; /* the one that runs, from 1; how many there are */
	char progress[48];
	struct held_line held;
	int stop_signal; /* the first that told us to stop; 0: none */
	int stops;
	int status;       /* of the whole, once over */
	bool over, heard; /* heard: the driver has said something */
	bool asked;       /* the kernel lived until it was asked to end */
	bool unusable;    /* this interpreter cannot run the driver; nothing was started */
};

/* Events: what the driver says, and what it means for the run. */

static const char *text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return text ? text : "";
}

static void finish(struct notebook *n, int status)
{
	n->over = true;
	n->status = status;
}

static void on_unusable(struct notebook *n, const json_t *event)
{
	n->unusable = true;
	log_detail("no %s in this interpreter", text_of(event, "missing"));
	finish(n, STATUS_OURS);
}

static void on_bad(struct notebook *n, const json_t *event)
{
	cleanup(freep) char *text = text_for_terminal(text_of(event, "text"), 400);

	log_error("%s %s", n->path, text ? text : "is no notebook");
	finish(n, STATUS_USAGE);
}

static void on_kernel(struct notebook *n, const json_t *event)
{
	cleanup(freep) char *name = trace_name_of_file(n->path);
	cleanup(freep) char *path = text_to_utf8(n->path, strlen(n->path));
	int status;

	n->kernel_pid = (pid_t)json_integer_value(json_object_get(event, "pid"));
	n->kernel_pidfd = (int)syscall(SYS_pidfd_open, n->kernel_pid, 0);
	n->cells = (int)json_integer_value(json_object_get(event, "cells"));
	if (!n->cells)
		log_note("%s has no code cell: its kernel is started, and has nothing to run",
			n->path);
	status = name && path
			 ? recording_begin(&n->recording, name, n->kernel_pid, "notebook", path)
			 : STATUS_OURS;
	if (status) {
		finish(n, status);
		driver_command(&n->driver, "kill");
	} else {
		driver_command(&n->driver, "go");
	}
}

/* The kernel's own loop runs by the time of its first cell, so the agent is there or will never be.
 */
static void check_traced(struct notebook *n)
{
	struct pollfd ended = {.fd = n->kernel_pidfd, .events = POLLIN};
	char reason[UNTRACED_REASON_BYTES];

	recorder_take(n->recording.recorder); /* so that new ring files are seen */
	if (recorder_processes(n->recording.recorder) || poll(&ended, 1, 0) != 0)
		return;
	n->recording.untraced_said = true;
	log_error("the kernel %s is not traced: %s", n->kernel->name,
		untraced_reason(session_dir(n->recording.session), n->kernel_pid,
			n->kernel->language, reason, sizeof(reason)));
}

static void on_begin(struct notebook *n, const json_t *event)
{
	if (!n->cell)
		check_traced(n);
	n->cell = (int)json_integer_value(json_object_get(event, "cell"));
	snprintf(n->progress, sizeof(n->progress), "cell %d of %d", n->cell, n->cells);
	n->held.shown = false;
	log_progress("%s", n->progress);
}

static void on_finish(struct notebook *n, const json_t *event)
{
	cleanup(freep) char *error = text_for_terminal(text_of(event, "error"), 200);

	if (!error || !*error || n->stops)
		return;
	if (json_is_true(json_object_get(event, "allowed"))) {
		log_detail("cell %d of %d failed, which is allowed: %s", n->cell, n->cells, error);
		return;
	}
	log_target(text_of(event, "traceback"));
	log_error("cell %d of %d failed: %s", n->cell, n->cells, error);
}

static void on_unsaved(struct notebook *n, const json_t *event)
{
	cleanup(freep) char *text = text_for_terminal(text_of(event, "text"), 200);

	log_error(
		"cannot write the executed notebook %s: %s", n->options->output, text ? text : "");
	n->status = STATUS_OURS;
}

/* How the kernel ended, as a clause: " with status 3", " by signal 9 (Killed)". */
static void describe_end(char *buf, size_t size, int returned)
{
	if (returned == NO_STATUS)
		snprintf(buf, size, "%s", "");
	else if (returned < 0)
		snprintf(buf, size, " by signal %d (%s)", -returned, strsignal(-returned));
	else
		snprintf(buf, size, " with status %d", returned);
}

/* Popen's returncode as a wait status. */
static int wait_status(int returned)
{
	return returned < 0 ? -returned : returned << 8;
}

/* What is said at the end, by how it ended; `ended` is describe_end()'s clause. Each returns the
 * exit status. */

static int end_done(const struct notebook *n, const char *ended, const char *text)
{
	if (n->asked || !n->cells) /* a kernel that is slow to end is ended by Jupyter's signal */
		log_detail("the kernel ended%s", ended);
	else if (*ended && strcmp(ended, " with status 0"))
		log_note("the kernel ended%s after its last cell", ended);
	return n->status;
}

static int end_failed(const struct notebook *n, const char *ended, const char *text)
{
	return STATUS_CELL_FAILED; /* on_finish() has said it */
}

static int end_timeout(const struct notebook *n, const char *ended, const char *text)
{
	log_error("cell %d of %d ran longer than --timeout %g s: it was interrupted and the "
		  "notebook ended",
		n->cell, n->cells, (double)n->options->timeout_ns / 1e9);
	return STATUS_TIMEOUT;
}

static int end_died(const struct notebook *n, const char *ended, const char *text)
{
	log_error("the kernel died in cell %d of %d: it ended%s", n->cell, n->cells, ended);
	return STATUS_OURS;
}

static int end_unstarted(const struct notebook *n, const char *ended, const char *text)
{
	if (*ended)
		log_error("the kernel %s did not start: it ended%s", n->kernel->name, ended);
	else
		log_error("the kernel %s did not start: %s", n->kernel->name, text);
	return STATUS_OURS;
}

static int end_interrupted(const struct notebook *n, const char *ended, const char *text)
{
	if (n->cell)
		log_error("interrupted in cell %d of %d", n->cell, n->cells);
	else
		log_error("interrupted before the first cell");
	return n->stop_signal && n->stop_signal != SIGINT ? STATUS_SIGNAL + n->stop_signal
							  : STATUS_INTERRUPTED;
}

static int end_broken(const struct notebook *n, const char *ended, const char *text)
{
	log_error("the notebook could not be run: %s", text);
	return STATUS_OURS;
}

static const struct {
	const char *how;
	int (*end)(const struct notebook *n, const char *ended, const char *text);
} ends[] = {
	{"done", end_done},
	{"failed", end_failed},
	{"timeout", end_timeout},
	{"died", end_died},
	{"unstarted", end_unstarted},
	{"interrupted", end_interrupted},
	{"broken", end_broken},
};

static void on_end(struct notebook *n, const json_t *event)
{
	cleanup(freep) char *text = text_for_terminal(text_of(event, "text"), 400);
	const json_t *status = json_object_get(event, "status");
	int returned = json_is_integer(status) ? (int)json_integer_value(status) : NO_STATUS;
	char ended[96];

	describe_end(ended, sizeof(ended), returned);
	n->asked = json_is_true(json_object_get(event, "asked"));
	if (n->kernel_pid && returned != NO_STATUS)
		recorder_process_end(
			n->recording.recorder, (uint32_t)n->kernel_pid, wait_status(returned));
	log_progress_end();
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (!strcmp(ends[i].how, text_of(event, "how")))
			finish(n, ends[i].end(n, ended, text ? text : ""));
}

static const struct {
	const char *name;
	void (*on)(struct notebook *n, const json_t *event);
} events[] = {
	{"unusable", on_unusable},
	{"bad", on_bad},
	{"kernel", on_kernel},
	{"begin", on_begin},
	{"finish", on_finish},
	{"unsaved", on_unsaved},
	{"end", on_end},
};

static void on_event(struct notebook *n, const json_t *event)
{
	const char *name = text_of(event, "event");

	n->heard = true;
	for (size_t i = 0; i < sizeof(events) / sizeof(*events) && !n->over; i++)
		if (!strcmp(events[i].name, name))
			events[i].on(n, event);
}

/* Signals: the kernel is interrupted, then it is killed, then nothing is waited for. */

static void on_signal(struct notebook *n, int number)
{
	if (number == SIGUSR1 || number == SIGUSR2)
		return;
	if (!n->stops)
		n->stop_signal = number;
	n->stops += number == SIGQUIT ? 2 : 1;
	if (n->stops > 2) {
		kill(n->driver.pid, SIGKILL);
	} else if (n->stops == 2) {
		driver_command(&n->driver, "kill");
	} else {
		log_note("interrupting the kernel; once more kills it");
		driver_command(&n->driver, "interrupt");
	}
}

/* Everything the driver says, until it has no more to say. */
static void converse(struct notebook *n)
{
	struct pollfd fds[] = {{.fd = n->driver.events, .events = POLLIN},
		{.fd = n->signals.fd, .events = POLLIN}};
	struct signalfd_siginfo info;
	json_t *event;
	int rc = 0;

	while (rc != -EPIPE) {
		if (recorder_poll(n->recording.recorder, fds, 2) < 0)
			break;
		kernel_output_show(n->output, 0);
		if (n->cell && !n->over)
			held_progress(&n->held, n->recording.recorder, n->progress);
		while (signals_next(&n->signals, &info))
			on_signal(n, (int)info.ssi_signo);
		while (!(rc = driver_event(&n->driver, &event))) {
			on_event(n, event);
			json_decref(event);
		}
	}
}

/* The job, as driver.py's head describes it. */
static json_t *job_of(const struct notebook *n)
{
	const struct run_options *o = n->options;
	const char *slash = strrchr(n->path, '/');
	cleanup(freep) char *folder =
		slash ? strndup(n->path, (size_t)(slash - n->path) + 1) : strdup(".");
	json_t *environment = json_object();
	const struct session_variable *var;
	size_t count;

	var = session_environment(n->recording.session, &count);
	for (size_t i = 0; i < count; i++)
		json_object_set_new(environment, var[i].name, json_string(var[i].value));
	return json_pack("{s:s, s:b, s:s, s:{s:s, s:s?, s:s?}, s:o, s:o, s:b, s:s?, s:b}",
		"notebook", n->path, "cells", o->cells, "folder", folder, "kernel", "name",
		n->kernel->name, "dir", n->kernel->dir, "interpreter", n->kernel->interpreter,
		"environment", environment, "timeout",
		o->timeout_ns ? json_real((double)o->timeout_ns / 1e9) : json_null(),
		"allow_errors", o->allow_errors, "output", o->output, "force", o->force);
}

/* The driver ended without saying how: tell what it complained of. */
static void lost_driver(struct notebook *n)
{
	cleanup(freep) char *complaint = driver_complaint(&n->driver);
	cleanup(freep) char *text = complaint ? text_for_terminal(complaint, 400) : NULL;

	if (n->kernel_pidfd >= 0)
		syscall(SYS_pidfd_send_signal, n->kernel_pidfd, SIGKILL, NULL, 0);
	if (n->stops) {
		finish(n, end_interrupted(n, "", ""));
	} else if (!n->heard) { /* too old a Python, or none at all */
		n->unusable = true;
		log_detail("%s", text ? text : "it ended at once");
	} else {
		finish(n, end_broken(n, "", text ? text : "its driver ended unexpectedly"));
	}
}

/* One interpreter's try. n->unusable afterwards: try another. */
static void run_with(struct notebook *n, const char *python)
{
	cleanup(freep) char *log = NULL;
	json_t *job = job_of(n);
	int rc = -ENOMEM;

	n->over = n->heard = n->unusable = false;
	n->status = 0;
	log_detail("driver: %s", python);
	if (job && asprintf(&log, "%s/driver.log", session_dir(n->recording.session)) >= 0)
		rc = driver_start(
			&n->driver, python, n->recording.library, log, kernel_output_fd(n->output));
	if (rc) {
		log_error("cannot start %s: %s", python, strerror(-rc));
		finish(n, STATUS_OURS);
	} else {
		driver_send(&n->driver, job);
		converse(n);
		if (!n->over)
			lost_driver(n);
	}
	json_decref(job);
	driver_stop(&n->driver);
}

/* The kernel's own interpreter, else one on PATH, else the system's. */
static void run_with_any(struct notebook *n)
{
	cleanup(freep) char *on_path = program_find("python3");
	const char *python[PYTHONS] = {n->kernel->interpreter, on_path, "/usr/bin/python3"};

	if (python[0] && !program_is_python(python[0])) /* env, conda, R */
		python[0] = NULL;
	n->unusable = true;
	for (size_t i = 0; i < PYTHONS && n->unusable; i++) {
		bool again = !python[i] || access(python[i], X_OK);

		for (size_t k = 0; k < i; k++)
			again |= python[k] && python[i] && !strcmp(python[k], python[i]);
		if (!again)
			run_with(n, python[i]);
	}
	if (!n->unusable)
		return;
	log_error("no python3 with nbclient%s was found; install it: " INSTALL,
		n->kernel->dir ? "" : " and ipykernel");
	finish(n, STATUS_OURS);
}

static void run_with_output(struct notebook *n)
{
	int rc = kernel_output_open(session_dir(n->recording.session), &n->output);

	if (rc) {
		log_error("cannot write to the session folder: %s", strerror(-rc));
		finish(n, STATUS_OURS);
		return;
	}
	run_with_any(n);
	kernel_output_show(n->output, 1);
}

static int find_kernel(struct notebook *n)
{
	cleanup(freep) char *asked = n->options->cells ? NULL : kernelspec_of_notebook(n->path);
	const char *name = n->options->kernel ? n->options->kernel : asked ? asked : "python3";
	cleanup(freep) char *names = NULL, *shown = NULL;
	int rc = kernelspec_find(name, &n->kernel);

	if (!rc)
		return 0;
	if (rc != -ENOENT) {
		log_error("cannot look for kernels: %s", strerror(-rc));
		return STATUS_OURS;
	}
	names = kernelspec_names();
	shown = text_for_terminal(name, 100);
	log_error("no kernel is named %s%s; there are: %s%s", shown,
		n->options->kernel ? "" : ", which the notebook asks for", names ? names : "",
		n->options->kernel ? "" : " (--kernel NAME chooses)");
	return STATUS_USAGE;
}

/* --force must not take the notebook's own place. */
static int check_own_files(const struct run_options *o, const char *path)
{
	const char *written[] = {o->trace, o->output, o->tape};
	struct stat notebook, st;

	for (size_t i = 0; i < sizeof(written) / sizeof(*written); i++) {
		if (!written[i] || stat(path, &notebook) || stat(written[i], &st))
			continue;
		if (st.st_dev == notebook.st_dev && st.st_ino == notebook.st_ino) {
			log_error("%s is what is to be run: it is never written over", written[i]);
			return STATUS_USAGE;
		}
	}
	return 0;
}

int run_notebook(const struct run_options *options, const char *path)
{
	struct notebook n = {.options = options,
		.path = path,
		.kernel_pidfd = -1,
		.signals = {.fd = -1},
		.held = {.stall_ns = options->stall_ns}};
	int rc = signals_catch(&n.signals); /* first: the session folder must not outlive us */

	if (rc) {
		log_error("cannot watch for signals: %s", strerror(-rc));
		return STATUS_OURS;
	}
	n.status = check_own_files(options, path);
	if (!n.status)
		n.status = find_kernel(&n);
	if (!n.status)
		n.status = recording_prepare(&n.recording, options);
	if (!n.status) {
		signals_settle();
		run_with_output(&n);
		recording_end(&n.recording);
	}
	kernel_output_free(n.output);
	recording_free(&n.recording);
	kernelspec_free(n.kernel);
	closep(&n.kernel_pidfd);
	closep(&n.signals.fd);
	return n.status;
}
