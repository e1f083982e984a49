/* One recording of `run`: checks before anything runs, the trace's beginning, its end and what is
 * said about it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "collector/bpf_both.h"
#include "collector/log.h"
#include "collector/procfs.h"
#include "collector/run.h"
#include "collector/trace_path.h"
#include "collector/untraced.h"
#include "probe/base/cleanup.h"

#define CAP_SYS_ADMIN 21u /* linux/capability.h: what loading a program into the kernel wants */

/* A note of every report of an agent alone. */
#define AGENT_ALONE                                                                                \
	"agent alone: CPU time is not split into user and kernel, page faults are told only "      \
	"where they read a disk or last" HOW_TO_SEE_MORE
#ifdef AWAITSCOPE_BPF
#define HOW_TO_SEE_MORE "; sudo awaitscope attach PID measures both"
#else
#define HOW_TO_SEE_MORE "; a build with eBPF measures both"
#endif

/* The one sentence about a file that cannot be made. */
static int refuse(const char *what, const char *path, int rc)
{
	if (rc == -EEXIST)
		log_error("%s %s exists already; --force writes over it", what, path);
	else if (rc == -EISDIR)
		log_error("%s %s is a folder", what, path);
	else if (rc == -EINVAL)
		log_error("%s %s is no regular file, so it is not written over", what, path);
	else
		log_error("cannot write %s %s: %s%s", what, path, strerror(-rc),
			rc == -ENOSPC ? "; make room there, or write it elsewhere" : "");
	return rc == -ENOSPC || rc == -EIO || rc == -ENOMEM ? STATUS_OURS : STATUS_USAGE;
}

static int check_files(const struct run_options *o)
{
	cleanup(freep) char *folder = NULL;
	int rc;

	rc = o->trace ? path_check_new(o->trace, o->force) : 0;
	if (rc)
		return refuse("trace", o->trace, rc);
	rc = o->output ? path_check_new(o->output, o->force) : 0;
	if (rc)
		return refuse("notebook", o->output, rc);
	rc = o->tape ? path_check_new(o->tape, o->force) : 0;
	if (rc)
		return refuse("tape", o->tape, rc);
	rc = o->trace ? 0 : folder_check(".");
	if (!rc)
		return 0;
	folder = realpath(".", NULL);
	log_error("cannot write the trace into %s: %s; -o TRACE puts it elsewhere",
		folder ? folder : "the current folder", strerror(-rc));
	return STATUS_USAGE;
}

/* A tape can hold whatever a trace can. */
static int tape_open(const char *path, FILE **ret)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	*ret = fdopen(fd, "w");
	return *ret ? 0 : -errno;
}

int recording_check(struct recording *r, const struct run_options *o)
{
	int status = check_files(o);
	int rc;

	r->options = o;
	r->owner_uid = r->owner_gid = UINT32_MAX;
	if (status)
		return status;
	rc = o->tape ? tape_open(o->tape, &r->tape) : 0;
	return rc ? refuse("tape", o->tape, rc) : 0;
}

int recording_feed(struct recording *r, struct feed *feed)
{
	int rc = recorder_open(feed, r->tape, &r->recorder);

	if (!rc)
		return 0;
	log_error("cannot record: %s", strerror(-rc));
	return STATUS_OURS;
}

#ifdef AWAITSCOPE_BPF
static bool may_use_kernel(void)
{
	uint64_t caps = 0;

	return !procfs_status((uint32_t)getpid(), "CapEff", 16, &caps) && caps >> CAP_SYS_ADMIN & 1;
}

/* The agents' feed, with the kernel's side of their threads where that may be had. */
static struct feed *beside_agents(
	struct recording *r, const struct run_options *o, struct feed *rings)
{
	cleanup(freep) char *agent = NULL;
	struct bpf_both_options options = {.session = session_dir(r->session),
		.min_block_ns = o->min_block_ns,
		.min_step_ns = o->min_step_ns};
	const char *why = "no memory";
	struct feed *both;
	int rc;

	if (!strcmp(o->sensor, "agent") || !may_use_kernel())
		return rings;
	rc = asprintf(&agent, "%s/agent.so", r->library) < 0 ? -ENOMEM : 0;
	options.agent = agent;
	if (!rc)
		rc = bpf_both_open(&options, rings, &both, &why);
	r->beside = !rc;
	if (!rc)
		return both;
	if (rc != -EPERM) /* in a container, root of it is none of the kernel's */
		log_note("the agent records alone: %s", why);
	return rings;
}
#else
static struct feed *beside_agents(
	struct recording *r, const struct run_options *o, struct feed *rings)
{
	return rings;
}
#endif

int recording_prepare(struct recording *r, const struct run_options *o)
{
	cleanup(freep) char *looked = NULL;
	struct feed *feed;
	int status = recording_check(r, o);
	int rc;

	if (status)
		return status;
	rc = library_find(&r->library, &looked);
	if (rc) {
		log_error("agent.so is not in %s; set AWAITSCOPE_LIB to the folder that has it",
			looked ? looked : "its folder");
		return STATUS_OURS;
	}
	rc = session_open(r->library, o->min_block_ns, o->min_step_ns, &r->session);
	if (rc) {
		log_error("cannot make a folder for the recording in /dev/shm or /tmp: %s",
			strerror(-rc));
		return STATUS_OURS;
	}
	rc = rings_feed_open(session_dir(r->session), &feed);
	if (!rc)
		return recording_feed(r, beside_agents(r, o, feed));
	log_error("cannot record: %s", strerror(-rc));
	return STATUS_OURS;
}

int recording_begin(
	struct recording *r, const char *name, pid_t pid, const char *what, const char *value)
{
	const struct run_options *o = r->options;
	const struct model_options model = {
		.stall_ns = o->stall_ns,
		.min_step_ns = o->min_step_ns,
		.min_block_ns = o->min_block_ns,
		.max_bytes = o->max_bytes,
		.keep_ns = o->keep_ns,
		.t0_ns = r->t0_ns,
		.mode = r->inside    ? "inline"
			: r->session ? "run"
				     : "attach",
		.sensor = o->sensor,
	};
	cleanup(freep) char *path = o->trace ? strdup(o->trace) : trace_path_default(name, pid);
	int rc = path ? path_check_new(path, o->force) : -ENOMEM;

	if (rc)
		return refuse("trace", path ? path : name, rc);
	if (o->force)
		trace_remove(path);
	rc = recorder_begin(r->recorder, path, &model);
	if (rc && rc != -EEXIST) /* the place was free, so what SQLite left there is ours */
		trace_remove(path);
	if (rc)
		return refuse("trace", path, rc);
	trace_give(path, r->owner_uid, r->owner_gid);
	model_meta(recorder_model(r->recorder), what, value);
	if (r->session && !r->beside)
		model_coverage(recorder_model(r->recorder), "note", "agent", AGENT_ALONE);
	r->real_path = realpath(path, NULL);
	r->path = TAKE(path);
	return 0;
}

void recording_drop(struct recording *r)
{
	if (!r->path)
		return;
	recorder_free(TAKE(r->recorder));
	trace_remove(r->path);
	free(TAKE(r->path));
}

/*
 * The path to the trace as of now. The program may have removed the current folder, and then SQLite
 * opens no relative path, not even ../trace.db. NULL: the trace is gone.
 */
static const char *path_now(const struct recording *r)
{
	cleanup(freep) char *real_path = realpath(r->path, NULL);

	if (!r->real_path || (real_path && !strcmp(real_path, r->real_path)))
		return r->path;
	return access(r->real_path, F_OK) ? NULL : r->real_path;
}

/* Interpreters of this recording that are not served, as a sentence, which is a note of the trace
 * too. NULL: none. */
static char *untraced_note(struct recording *r)
{
	char reason[UNTRACED_REASON_BYTES], more[32] = "";
	unsigned int count;
	char *note;
	pid_t pid;

	if (r->untraced_said || !r->session)
		return NULL;
	count = untraced_noted(session_dir(r->session), &pid, reason, sizeof(reason));
	if (count > 1)
		snprintf(more, sizeof(more), " (and %u more)", count - 1);
	if (!count || asprintf(&note, "process %d%s is not traced: %s", (int)pid, more, reason) < 0)
		return NULL;
	model_coverage(recorder_model(r->recorder), "note", "agent", note);
	return note;
}

/* What the trace says, or why it says nothing. */
static void verdict(struct recording *r, const char *path, const char *untraced)
{
	bool empty = !recorder_processes(r->recorder);

	if (untraced)
		log_error("%s%s", untraced, empty ? "; the trace is empty" : "");
	if (untraced && empty)
		return;
	r->options->done(path, log_level() <= LOG_QUIET);
	if (log_level() <= LOG_QUIET && empty && !r->untraced_said)
		log_error("no Python process with an event loop was seen; the trace is empty");
}

void recording_end(struct recording *r)
{
	cleanup(freep) char *untraced = NULL;
	unsigned int running;
	const char *path;
	int rc;

	if (!r->path)
		return;
	untraced = untraced_note(r);
	rc = recorder_finish(r->recorder);
	running = recorder_running(r->recorder);
	path = path_now(r);
	if (path)
		trace_give(path, r->owner_uid, r->owner_gid);
	log_progress_end();
	if (running && r->session)
		log_error("%u traced process%s still running; recording has stopped", running,
			running == 1 ? " is" : "es are");
	if (!path)
		log_error("the trace %s was removed while the program ran; -o TRACE puts it "
			  "elsewhere",
			r->path);
	else if (rc) /* its losses may be among what could not be written: a verdict from it could
		   read as clean */
		log_error("the trace is incomplete, so there is no verdict; what it has: "
			  "awaitscope report %s",
			path);
	else
		verdict(r, path, untraced);
}

void recording_free(struct recording *r)
{
	recorder_free(r->recorder);
	session_free(r->session);
	if (r->tape)
		fclose(r->tape);
	free(r->path);
	free(r->real_path);
	free(r->library);
}
