/* libzmq's SUB socket on a kernel's port. See iopub.h. Must never send. */
#include "collector/iopub.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#include "collector/connection_file.h"
#include "collector/running_cell.h"
#include "probe/base/cleanup.h"

#define FRAMES_MAX 64u /* of a message: topic, delimiter, signature, four parts, buffers */
#define QUEUE_MESSAGES 10000
#define HANDSHAKE_MS 50 /* it takes about 2 on a quiet machine */
#define MONITOR "inproc://handshake"
#define PAIR_NS 10000u /* two clocks read farther apart are read again: a machine may be busy */
#define PAIR_TRIES 8
#define MESSAGE_BYTES_MAX                                                                          \
	(256ll << 20) /* a longer one closes the connection, which is made anew                    \
		       */

struct iopub {
	uint32_t pid;
	void *context, *socket;
	int fd;
	struct kernel_cells *cells;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void iopub_close(struct iopub *i)
{
	if (!i)
		return;
	if (i->socket)
		zmq_close(i->socket);
	if (i->context)
		zmq_ctx_term(i->context);
	kernel_cells_free(i->cells);
	free(i);
}

static void iopub_freep(struct iopub **i)
{
	iopub_close(*i);
}

/* Connects, and waits a moment for it, so that the next cell to begin is told. */
static int connect_to(struct iopub *i, const char *endpoint)
{
	void *monitor = zmq_socket(i->context, ZMQ_PAIR);
	zmq_pollitem_t item = {.socket = monitor, .events = ZMQ_POLLIN};
	bool monitored = monitor &&
			 !zmq_socket_monitor(i->socket, MONITOR, ZMQ_EVENT_HANDSHAKE_SUCCEEDED) &&
			 !zmq_connect(monitor, MONITOR);
	int rc = zmq_connect(i->socket, endpoint) ? -errno : 0;

	if (!rc && monitored)
		zmq_poll(&item, 1, HANDSHAKE_MS);
	zmq_socket_monitor(i->socket, NULL, 0);
	if (monitor)
		zmq_close(monitor);
	return rc;
}

static int socket_open(struct iopub *i, const char *endpoint)
{
	int rc;
	const int none = 0, queue = QUEUE_MESSAGES;
	const int64_t most = MESSAGE_BYTES_MAX;
	size_t size = sizeof(i->fd);

	i->context = zmq_ctx_new();
	i->socket = i->context ? zmq_socket(i->context, ZMQ_SUB) : NULL;
	if (!i->socket || zmq_setsockopt(i->socket, ZMQ_LINGER, &none, sizeof(none)) ||
		zmq_setsockopt(i->socket, ZMQ_RCVHWM, &queue, sizeof(queue)) ||
		zmq_setsockopt(i->socket, ZMQ_MAXMSGSIZE, &most, sizeof(most)) ||
		zmq_setsockopt(i->socket, ZMQ_SUBSCRIBE, "", 0))
		return -errno;
	rc = connect_to(i, endpoint);
	return !rc && zmq_getsockopt(i->socket, ZMQ_FD, &i->fd, &size) ? -errno : rc;
}

int iopub_open(uint32_t pid, uint32_t tid, struct iopub **ret, const char **ret_why)
{
	cleanup(connection_file_clear) struct connection_file file = {0};
	cleanup(iopub_freep) struct iopub *i = calloc(1, sizeof(*i));
	int rc = i ? connection_file_read(pid, &file, ret_why) : -ENOMEM;

	if (rc)
		return rc;
	i->pid = pid;
	i->cells = kernel_cells_new(pid, tid, file.key);
	rc = i->cells ? socket_open(i, file.iopub) : -ENOMEM;
	if (rc) {
		*ret_why = "its iopub channel cannot be reached";
		return rc;
	}
	*ret = TAKE(i);
	return 0;
}

int iopub_fd(const struct iopub *i)
{
	return i->fd;
}

struct kernel_cells_counts iopub_counts(const struct iopub *i)
{
	return kernel_cells_counts(i->cells);
}

/* ---- messages ---------------------------------------------------------------------------- */

struct parts {
	zmq_msg_t message[FRAMES_MAX];
	size_t count;
};

static void parts_clear(struct parts *p)
{
	while (p->count)
		zmq_msg_close(&p->message[--p->count]);
}

/* One message, its frames beyond the bound dropped. 1; 0: none is there; -errno. */
static int receive(struct iopub *i, struct parts *parts)
{
	zmq_msg_t extra;
	int more = 1;

	while (more) {
		bool kept = parts->count < FRAMES_MAX;
		zmq_msg_t *to = kept ? &parts->message[parts->count] : &extra;

		zmq_msg_init(to);
		if (zmq_msg_recv(to, i->socket, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(to);
			return errno == EAGAIN ? 0 : -errno;
		}
		more = zmq_msg_more(to);
		if (kept)
			parts->count++;
		else
			zmq_msg_close(to);
	}
	return 1;
}

/* Both clocks at one time, as near as a thread that may lose its CPU can read them. */
static void clocks_read(uint64_t *ret_monotonic_ns, uint64_t *ret_realtime_ns)
{
	uint64_t nearest_ns = UINT64_MAX;

	for (int i = 0; i < PAIR_TRIES && nearest_ns > PAIR_NS; i++) {
		uint64_t before_ns = clock_ns(CLOCK_MONOTONIC);
		uint64_t realtime_ns = clock_ns(CLOCK_REALTIME);
		uint64_t apart_ns = clock_ns(CLOCK_MONOTONIC) - before_ns;

		if (apart_ns >= nearest_ns)
			continue;
		nearest_ns = apart_ns;
		*ret_monotonic_ns = before_ns + apart_ns / 2;
		*ret_realtime_ns = realtime_ns;
	}
}

int iopub_drain(struct iopub *i, record_fn sink, void *ctx)
{
	for (;;) {
		cleanup(parts_clear) struct parts parts = {.count = 0};
		struct message_frame frame[FRAMES_MAX];
		uint64_t monotonic_ns = 0, realtime_ns = 0;
		int rc = receive(i, &parts);

		if (rc == -EINTR)
			continue;
		if (rc <= 0)
			return 0; /* a broken connection is libzmq's to mend */
		for (size_t k = 0; k < parts.count; k++)
			frame[k] = (struct message_frame){
				zmq_msg_data(&parts.message[k]), zmq_msg_size(&parts.message[k])};
		clocks_read(&monotonic_ns, &realtime_ns);
		rc = kernel_cells_take(
			i->cells, frame, parts.count, monotonic_ns, realtime_ns, sink, ctx);
		if (rc)
			return rc;
	}
}

/* Two looks agree: it ran between them. What has come by then may be its own beginning. */
int iopub_running(
	struct iopub *i, struct target *target, uint64_t now_ns, record_fn sink, void *ctx)
{
	cleanup(freep) char *source = NULL;
	cleanup(freep) char *again = NULL;
	uint32_t number, number_again;
	uint64_t seen_ns;
	int rc;

	if (running_cell_find(target, i->pid, &number, &source))
		return 0;
	seen_ns = clock_ns(CLOCK_MONOTONIC);
	if (running_cell_find(target, i->pid, &number_again, &again) || number_again != number)
		return 0;
	rc = iopub_drain(i, sink, ctx);
	return rc ? rc
		  : kernel_cells_running(
			    i->cells, (int32_t)number, source, seen_ns, now_ns, sink, ctx);
}
