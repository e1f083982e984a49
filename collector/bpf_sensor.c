/* Loads and attaches the program in the kernel. See bpf_sensor.h. */
#include "collector/bpf_sensor.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "collector/bpf_clock.h"
#include "collector/bpf_links.h"
#include "collector/bpf_uprobes.h"
#include "probe/base/cleanup.h"

/* generated; its own style */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include "probe/bpf/loops.skel.h"
#pragma GCC diagnostic pop

struct bpf_sensor {
	struct loops *program;
	struct ring_buffer *ring;
	struct loop_slot *slots; /* mapped */
	size_t slots_bytes;
	const struct points *points;
	uint32_t pid;
	bool many_probes; /* at a time; see bpf_uprobes_prepare() */
	struct bpf_links links;
	size_t watches; /* the first ones: tracepoints */
};

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static void sensor_freep(struct bpf_sensor **s)
{
	bpf_sensor_free(*s);
}

/* The last one first: the steps' beginnings before their ends. */
void bpf_sensor_detach(struct bpf_sensor *s)
{
	bpf_links_detach(&s->links);
}

void bpf_sensor_free(struct bpf_sensor *s)
{
	if (!s)
		return;
	bpf_links_clear(&s->links);
	ring_buffer__free(s->ring);
	if (s->slots)
		munmap(s->slots, s->slots_bytes);
	loops__destroy(s->program);
	free(s);
}

static int refuse(const char **ret_why, int rc, const char *why)
{
	*ret_why = why;
	return rc;
}

/* ---- life ------------------------------------------------------------------------------- */

static const struct point *point_first(const struct points *points, enum point_kind kind)
{
	for (uint32_t i = 0; i < points->count; i++)
		if (points->point[i].kind == kind)
			return &points->point[i];
	return NULL;
}

/* Of all points of a kind; they are called with the same registers, or there is only one. */
static void arguments_set(struct point_argument to[POINT_ARGUMENTS_MAX],
	const struct points *points, enum point_kind kind)
{
	const struct point *p = point_first(points, kind);

	if (p)
		memcpy(to, p->argument, sizeof(p->argument));
}

static void audit_kinds_set(struct audit_kind kinds[AUDIT_KINDS])
{
	static const struct {
		const char *event;
		uint32_t first;
	} list[AUDIT_KINDS] = {
#define AUDIT(event, first, count) {event, first},
#include "probe/audit.def"
#undef AUDIT
	};

	for (size_t i = 0; i < AUDIT_KINDS; i++) {
		size_t n = strlen(list[i].event);
		bool any_ending = list[i].event[n - 1] == '*';
		struct audit_kind *kind = &kinds[i];

		n -= any_ending;
		*kind = (struct audit_kind){.first = list[i].first};
		memcpy(kind->name.text, list[i].event, n);
		memset(kind->mask.text, 0xff, any_ending ? n : sizeof(kind->mask.text));
	}
}

static void configure(struct kernel_config *config, const struct bpf_sensor_options *o)
{
	config->target = *o->target;
	config->tgid = o->pid;
	config->min_block_ns = o->min_block_ns;
	config->min_step_ns = o->min_step_ns;
	config->streams = getenv("AWAITSCOPE_STREAMS") != NULL;
	arguments_set(config->step, o->points, POINT_STEP);
	arguments_set(config->task_new, o->points, POINT_TASK_NEW);
	arguments_set(config->set, o->points, POINT_SET);
	arguments_set(config->gc_start, o->points, POINT_GC_START);
	arguments_set(config->gc_done, o->points, POINT_GC_DONE);
	arguments_set(config->audit, o->points, POINT_AUDIT);
	audit_kinds_set(config->audit_kind);
}

static int slots_map(struct bpf_sensor *s)
{
	long page = sysconf(_SC_PAGESIZE);
	size_t bytes = SLOTS_MAX * sizeof(struct loop_slot);
	void *at;

	s->slots_bytes = (bytes + (size_t)page - 1) / (size_t)page * (size_t)page;
	at = mmap(NULL, s->slots_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		bpf_map__fd(s->program->maps.slots), 0);
	if (at == MAP_FAILED)
		return -errno;
	s->slots = at;
	for (uint32_t i = 0; i < SLOTS_MAX; i++)
		if (bpf_map_update_elem(bpf_map__fd(s->program->maps.slots_free), NULL, &i, 0))
			return -errno;
	return 0;
}

int bpf_sensor_open(const struct bpf_sensor_options *o, bpf_record_fn fn, void *ctx,
	struct bpf_sensor **ret, const char **ret_why)
{
	cleanup(sensor_freep) struct bpf_sensor *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return refuse(ret_why, -ENOMEM, "no memory");
	libbpf_set_print(quiet);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	s->pid = o->pid;
	s->points = o->points;
	s->program = loops__open();
	if (!s->program)
		return refuse(ret_why, -errno, "the program for the kernel cannot be opened");
	configure((struct kernel_config *)&s->program->rodata->config, o);
	s->many_probes = bpf_uprobes_prepare(s->program->obj);
	rc = loops__load(s->program);
	if (rc == -EPERM)
		return refuse(
			ret_why, -EPERM, "loading a program into the kernel is not permitted");
	if (rc)
		return refuse(ret_why, rc,
			"this kernel does not take the program (5.18 or newer with BTF is needed)");
	rc = slots_map(s);
	if (rc)
		return refuse(ret_why, rc, "the program's tables cannot be mapped");
	s->ring = ring_buffer__new(bpf_map__fd(s->program->maps.ring), fn, ctx, NULL);
	if (!s->ring)
		return refuse(ret_why, -errno, "the program's ring cannot be mapped");
	*ret = TAKE(s);
	return 0;
}

int bpf_sensor_watch(struct bpf_sensor *s, const char **ret_why)
{
	struct bpf_program *const programs[] = {
		s->program->progs.on_thread_exit,
		s->program->progs.on_exec,
		s->program->progs.on_waking,
		s->program->progs.on_switch,
		s->program->progs.on_sys_exit,
		s->program->progs.on_sys_enter,
	};

	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		int rc = bpf_links_add(&s->links, bpf_program__attach_trace(programs[i]));

		if (rc)
			return refuse(
				ret_why, rc, "this kernel's tracepoints cannot be attached to");
	}
	s->watches = s->links.count;
	return 0;
}

void bpf_sensor_unwatch(struct bpf_sensor *s)
{
	for (size_t i = 0; i < s->watches; i++) {
		bpf_link__destroy(s->links.tie[i].link);
		s->links.tie[i] = BPF_UNTIED;
	}
	s->watches = 0;
}

/* ---- probes ----------------------------------------------------------------------------- */

static struct bpf_program *program_of(const struct bpf_sensor *s, enum point_kind kind)
{
	switch (kind) {
	case POINT_STEP:
		return s->program->progs.on_step;
	case POINT_STEP_END:
		return s->program->progs.on_step_end;
	case POINT_TASK_NEW:
		return s->program->progs.on_task_new;
	case POINT_SET:
		return s->program->progs.on_future_set;
	case POINT_PYTHON:
		return s->program->progs.on_python_task;
	case POINT_AUDIT:
		return s->program->progs.on_audit;
	case POINT_GC_START:
		return s->program->progs.on_gc_start;
	case POINT_GC_DONE:
		return s->program->progs.on_gc_done;
	default:
		return NULL;
	}
}

int bpf_sensor_probe(struct bpf_sensor *s, enum point_kind kind)
{
	struct bpf_program *program = program_of(s, kind);

	return program ? bpf_uprobes_place(
				 &s->links, program, s->pid, s->points, kind, s->many_probes)
		       : -ENOENT;
}

int bpf_sensor_clock(struct bpf_sensor *s, uint32_t tid)
{
	int fd = bpf_clock_open(tid);
	struct bpf_link *link;

	if (fd < 0)
		return fd;
	link = bpf_program__attach_perf_event(s->program->progs.on_cpu_clock, fd);
	if (!link) {
		close(fd);
		return -errno;
	}
	return bpf_links_add(&s->links, link); /* which has the descriptor */
}

/* ---- threads and slots ------------------------------------------------------------------ */

int bpf_sensor_threads(struct bpf_sensor *s, struct bpf_thread *ret, size_t max)
{
	struct bpf_link *link = bpf_program__attach_iter(s->program->progs.each_thread, NULL);
	size_t got = 0, bytes = max * sizeof(*ret);
	int fd, rc = 0;
	ssize_t n;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		rc = -errno;
	while (fd >= 0 && got < bytes && (n = read(fd, (char *)ret + got, bytes - got)) > 0)
		got += (size_t)n;
	if (fd >= 0)
		close(fd);
	bpf_link__destroy(link);
	return rc ? rc : (int)(got / sizeof(*ret));
}

struct loop_slot *bpf_sensor_slot(struct bpf_sensor *s, uint32_t *ret_index)
{
	uint32_t index;

	if (bpf_map_lookup_and_delete_elem(bpf_map__fd(s->program->maps.slots_free), NULL, &index))
		return NULL;
	memset(&s->slots[index], 0, sizeof(s->slots[index]));
	s->slots[index].syscall = NO_SYSCALL;
	*ret_index = index;
	return &s->slots[index];
}

int bpf_sensor_slot_publish(struct bpf_sensor *s, uint32_t index)
{
	uint32_t tid = s->slots[index].tid;

	/* a thread that has got one meanwhile keeps it */
	if (!bpf_map_update_elem(bpf_map__fd(s->program->maps.slot_of), &tid, &index, BPF_NOEXIST))
		return 0;
	s->slots[index].tid = 0;
	bpf_map_update_elem(bpf_map__fd(s->program->maps.slots_free), NULL, &index, 0);
	return -EEXIST;
}

const struct loop_slot *bpf_sensor_slots(const struct bpf_sensor *s)
{
	return s->slots;
}

const struct futex_wait *bpf_sensor_wait(const struct bpf_sensor *s, uint32_t index)
{
	return &s->program->bss->futex_waits[index];
}

void bpf_sensor_turn_forget(struct bpf_sensor *s, uint32_t index)
{
	s->slots[index].begin_ns = 0;
	s->slots[index].busy_since_ns = 0;
}

void bpf_sensor_turn_seen(struct bpf_sensor *s, uint32_t index, uint64_t begin_ns)
{
	s->slots[index].turning_ns = begin_ns;
}

uint64_t bpf_sensor_loop_id(struct bpf_sensor *s)
{
	return __atomic_add_fetch(&s->program->bss->loops, 1, __ATOMIC_RELAXED);
}

int bpf_sensor_approve(struct bpf_sensor *s, uint32_t tid, int32_t epfd)
{
	return bpf_map_update_elem(bpf_map__fd(s->program->maps.approved), &tid, &epfd, BPF_ANY)
		       ? -errno
		       : 0;
}

int bpf_sensor_run_once(struct bpf_sensor *s, uint64_t code)
{
	__u64 *known = s->program->bss->run_once_code;

	for (unsigned int i = 0; i < RUN_ONCE_MAX; i++) {
		if (known[i] && known[i] != code)
			continue;
		known[i] = code;
		return 0;
	}
	return -ENOSPC;
}

bool bpf_sensor_is_run_once(const struct bpf_sensor *s, uint64_t code)
{
	bool is = false;

	for (unsigned int i = 0; i < RUN_ONCE_MAX; i++)
		is |= s->program->bss->run_once_code[i] == code;
	return is && code;
}

void bpf_sensor_code_stays(struct bpf_sensor *s, uint64_t code, uint64_t file)
{
	const struct known_code known = {.file = file, .stays = 1};

	bpf_map_update_elem(bpf_map__fd(s->program->maps.codes), &code, &known, BPF_EXIST);
}

/* ---- records ---------------------------------------------------------------------------- */

int bpf_sensor_fd(const struct bpf_sensor *s)
{
	return ring_buffer__epoll_fd(s->ring);
}

int bpf_sensor_consume(struct bpf_sensor *s)
{
	return ring_buffer__consume(s->ring);
}

uint64_t bpf_sensor_loss(const struct bpf_sensor *s, enum kernel_loss what)
{
	return s->program->bss->losses[what];
}

uint64_t bpf_sensor_exec_ns(const struct bpf_sensor *s)
{
	return s->program->bss->exec_ns;
}
