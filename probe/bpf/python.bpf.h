/*
 * Reading the interpreter of the thread in hand: thread states, frames, strings. Every read may
 * fail. What is known of the process in hand the program that includes this says.
 */
#ifndef PROBE_BPF_PYTHON_H
#define PROBE_BPF_PYTHON_H

#include "probe/bpf/state.bpf.h"

#define THREADS_SCANNED 4096u
#define SCAN_AGAIN_NS 500000000u /* of a thread that Python does not know */

typedef const volatile struct target_constants python_target;

/* Each program has its own. NULL: nothing is known of it. */
static __always_inline python_target *target_now(void);
/* As records that are not of one process alone have it; 0: they are. */
static __always_inline __u32 process_now(void);
/* As records have it. */
static __always_inline __u32 thread_now(void);

static __always_inline __u64 read_u64(__u64 address)
{
	__u64 value = 0;

	bpf_probe_read_user(&value, sizeof(value), (void *)address);
	return value;
}

struct thread_scan {
	python_target *target;
	__u64 thread, thread_id, found;
};

static long thread_scan_one(__u32 i, struct thread_scan *scan)
{
	if (!scan->thread)
		return 1;
	if (read_u64(scan->thread + scan->target->layout.thread_thread_id) == scan->thread_id) {
		scan->found = scan->thread;
		return 1;
	}
	scan->thread = read_u64(scan->thread + scan->target->layout.thread_next);
	return 0;
}

/* The thread's state in the newest interpreter, GIL held or not; 0: it has none there. */
__noinline __u64 thread_scan(__u64 thread_id)
{
	struct thread_scan scan = {.target = target_now(), .thread_id = thread_id};
	__u64 interp;

	if (!scan.target || !thread_id)
		return 0;
	interp = read_u64(scan.target->runtime + scan.target->layout.runtime_interpreters_head);
	if (!interp)
		return 0;
	scan.thread = read_u64(interp + scan.target->layout.interp_threads_head);
	bpf_loop(THREADS_SCANNED, thread_scan_one, &scan, 0);
	return scan.found;
}

/* The state of the slot's thread, proven anew at each use. */
static __always_inline __u64 thread_of(struct loop_slot *s)
{
	python_target *target = target_now();
	__u64 now_ns;

	if (target && s->thread &&
		read_u64(s->thread + target->layout.thread_thread_id) == s->thread_id)
		return s->thread;
	now_ns = bpf_ktime_get_ns();
	if (now_ns < s->scan_after_ns)
		return 0;
	s->thread = thread_scan(s->thread_id);
	if (!s->thread)
		s->scan_after_ns = now_ns + SCAN_AGAIN_NS;
	return s->thread;
}

/* As layout_position() wants it. */
static __always_inline __u64 frame_instr(python_target *target, __u64 frame)
{
	__s32 lasti = 0;

	if (target->layout.code_instructions != OFF_ABSENT)
		return read_u64(frame + target->layout.frame_instr);
	bpf_probe_read_user(&lasti, sizeof(lasti), (void *)(frame + target->layout.frame_instr));
	return (__u64)(__s64)lasti;
}

/* ---- codes */

#define FILE_BYTES 192u
#define FUNCTION_BYTES 96u
#define TABLE_BYTES 512u
#define TELL_AGAIN_NS 1000000u /* of a code that may be another one by now */

struct code_record {
	struct ev_kernel_code ev;
	unsigned char file[FILE_BYTES], function[FUNCTION_BYTES], table[TABLE_BYTES];
};

/* A str's state, 0: it is none; its characters to `to`, of at most max bytes. */
static __always_inline __u32 str_to(
	python_target *target, __u64 str, void *to, __u32 max, __u32 *ret_bytes)
{
	__u64 length, data;
	__u32 state = 0;

	*ret_bytes = 0;
	if (!str || read_u64(str + target->layout.object_type) != target->str_type)
		return 0;
	bpf_probe_read_user(&state, sizeof(state), (void *)(str + target->layout.str_state));
	length = read_u64(str + target->layout.str_length) * (state >> 2 & 7);
	if (length > max)
		length = max;
	data = str +
	       (state & 0x40 ? target->layout.str_ascii_data : target->layout.str_compact_data);
	if (bpf_probe_read_user(to, (__u32)length, (void *)data))
		return 0;
	*ret_bytes = (__u32)length;
	return state;
}

static __always_inline void code_put(python_target *target, __u64 code, __u64 file, __u64 now_ns)
{
	__u16 name = target->layout.code_qualname == OFF_ABSENT ? target->layout.code_name
								: target->layout.code_qualname;
	struct code_record *r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	__u64 table, size;

	if (!r) {
		lose(LOSS_RING);
		return;
	}
	__builtin_memset(&r->ev, 0, sizeof(r->ev));
	r->ev.head = (struct ev_head)HEAD(kernel_code, now_ns);
	r->ev.head.size_words = sizeof(*r) / 8;
	r->ev.code = code;
	r->ev.pid = process_now();
	r->ev.file_object = file;
	bpf_probe_read_user(&r->ev.firstlineno, sizeof(r->ev.firstlineno),
		(void *)(code + target->layout.code_firstlineno));
	r->ev.file_state = str_to(target, file, r->file, FILE_BYTES, &r->ev.file_bytes);
	r->ev.function_state = str_to(
		target, read_u64(code + name), r->function, FUNCTION_BYTES, &r->ev.function_bytes);
	table = read_u64(code + target->layout.code_linetable);
	size = read_u64(table + target->layout.bytes_size);
	r->ev.table_bytes = (__u32)size;
	barrier_var(size); /* what is compared is what is used, for the verifier */
	if (size > TABLE_BYTES)
		size = TABLE_BYTES;
	barrier_var(size); /* so that the verifier sees the bound where it is used */
	size &= TABLE_BYTES * 2 - 1;
	if (bpf_probe_read_user(r->table, (__u32)size, (void *)(table + target->layout.bytes_data)))
		r->ev.table_bytes = 0;
	r->ev.file_len = FILE_BYTES;
	r->ev.function_len = FUNCTION_BYTES;
	r->ev.table_len = TABLE_BYTES;
	RECORD_SUBMIT(r);
}

/* Those that stay and were seen last: nearly all, found without the table. */
#define CODES_SEEN 1024u /* a power of two */
#define CODE_ALIGN_SHIFT 4

__u64 codes_seen[CODES_SEEN][2]; /* code_key(), its co_filename */

/* Before a stack refers to it. */
static __always_inline void code_tell(python_target *target, __u64 code, struct scratch *to)
{
	__u64 *seen = codes_seen[code >> CODE_ALIGN_SHIFT & (CODES_SEEN - 1)];
	__u64 key = code_key(process_now(), code);
	struct known_code *known, new = {.told_ns = to->now_ns};

	new.file = read_u64(code + target->layout.code_filename);
	if (seen[0] == key && seen[1] == new.file)
		return;
	known = bpf_map_lookup_elem(&codes, &key);
	if (known && known->file == new.file && known->stays) {
		seen[0] = key;
		seen[1] = new.file;
		return;
	}
	if (known && known->file == new.file && to->now_ns - known->told_ns < TELL_AGAIN_NS)
		return;
	bpf_map_update_elem(&codes, &key, &new, BPF_ANY);
	code_put(target, code, new.file, to->now_ns);
	to->told = 1;
}

/* ---- frames */

struct walk {
	python_target *target;
	struct scratch *to;
};

/*
 * What is wanted of a frame, in one reading: each costs the more, the shorter it is. A power of
 * two; 3.8: 24 to 108, 3.11 and later: 0 or 32 to 75.
 */
#define FRAME_BYTES (FRAME_WORDS * 8)

static __always_inline __u32 frame_begin(python_target *target)
{
	__u32 code = target->layout.frame_code, previous = target->layout.frame_previous;

	return code < previous ? code : previous;
}

static __always_inline __u32 frame_end(python_target *target)
{
	__u32 owner = target->layout.frame_owner;

	return (owner == OFF_ABSENT ? target->layout.frame_instr : owner) + 4;
}

/* The word with that member, of a frame that was read. */
static __always_inline __u64 frame_word(python_target *target, const struct scratch *to, __u32 off)
{
	return to->raw[(off - frame_begin(target)) >> 3 & (FRAME_WORDS - 1)];
}

static __always_inline bool frame_is_python(python_target *target, const struct scratch *to)
{
	__u32 owner = target->layout.frame_owner;

	return owner == OFF_ABSENT ||
	       (__u8)(frame_word(target, to, owner) >> ((owner - frame_begin(target)) & 7) * 8) <
		       LAYOUT_OWNER_C;
}

/* 1: there is no room for it. */
static __always_inline long frame_put(struct scratch *to, __u64 code, __u64 instr)
{
	__u32 place = to->fixed + to->count * sizeof(struct kernel_frame);
	struct kernel_frame *at;

	if (place > RECORD_BYTES - sizeof(*at))
		return 1;
	at = (struct kernel_frame *)(to->record + place);
	at->code = code;
	at->instr = instr;
	to->count++;
	return 0;
}

static __always_inline __u32 is_run_once(__u64 code)
{
	__u32 is = 0;

#pragma unroll
	for (__u32 i = 0; i < RUN_ONCE_MAX; i++)
		is |= code && run_once_code[i] == code;
	return is;
}

static long walk_one(__u32 i, struct walk *w)
{
	python_target *target = w->target;
	struct scratch *to = w->to;
	__u32 size = (frame_end(target) - frame_begin(target) + 7) & ~7u;
	__u64 frame = to->frame, code, instr;

	barrier_var(size); /* what is compared is what is used, for the verifier */
	if (!frame)
		return 1;
	if (size > FRAME_BYTES ||
		bpf_probe_read_user(to->raw, size, (void *)(frame + frame_begin(target)))) {
		to->cut++; /* its page is not there: what lies further out is not known */
		return 1;
	}
	to->frame = frame_word(target, to, target->layout.frame_previous);
	if (!frame_is_python(target, to))
		return 0;
	code = frame_word(target, to, target->layout.frame_code) & ~(__u64)LAYOUT_CODE_MASK;
	instr = frame_word(target, to, target->layout.frame_instr);
	if (target->layout.code_instructions == OFF_ABSENT)
		instr = (__u64)(__s64)(__s32)instr;
	to->run_once |= is_run_once(code);
	if (to->count >= FRAMES_MAX) {
		to->cut++;
		return 0;
	}
	if (frame_put(to, code, instr))
		return 1;
	code_tell(target, code, to);
	return 0;
}

/* The frame that a thread is in. */
static __always_inline __u64 innermost(python_target *target, __u64 thread)
{
	__u64 frame;

	if (target->layout.thread_cframe == OFF_ABSENT)
		return read_u64(thread + target->layout.thread_frame);
	frame = read_u64(thread + target->layout.thread_cframe);
	return frame ? read_u64(frame + target->layout.cframe_current_frame) : 0;
}

struct stack {
	__u32 count, cut, run_once;
};

/* That of a thread by its state, behind a record's fixed part in the scratch; 0: no frames. */
static __always_inline struct stack stack_of(__u64 thread, struct scratch *to, __u32 fixed)
{
	struct walk w = {.target = target_now(), .to = to};

	to->now_ns = bpf_ktime_get_ns();
	to->fixed = fixed;
	to->count = to->cut = to->run_once = to->told = 0;
	to->frame = thread && w.target ? innermost(w.target, thread) : 0;
	if (to->frame)
		bpf_loop(FRAMES_MAX * 4, walk_one, &w, 0);
	return (struct stack){
		to->count < FRAMES_MAX ? to->count : FRAMES_MAX, to->cut, to->run_once};
}

/* The slot's thread's. */
static __always_inline struct stack stack_walk(struct loop_slot *s, struct scratch *to, __u32 fixed)
{
	struct stack stack = stack_of(thread_of(s), to, fixed);

	if (!stack.count && s->loop)
		lose(LOSS_FRAMES);
	return stack;
}

/*
 * The characters of a str, as they lie in memory, to scratch->text, at most max of bytes (a power
 * of two); its state, 0: it is none.
 */
static __always_inline __u32 str_read(__u64 str, struct scratch *to, __u32 max, __u32 *ret_len)
{
	python_target *target = target_now();

	*ret_len = 0;
	return target ? str_to(target, str, to->text, max, ret_len) : 0;
}

#endif
