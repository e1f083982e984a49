/* Audit events, where the interpreter has their USDT probe: which, where, and the first text asked
 * for. */
#ifndef PROBE_BPF_AUDIT_H
#define PROBE_BPF_AUDIT_H

#include "probe/bpf/steps.bpf.h"

struct audit_search {
	union audit_name name;
	__u32 found; /* index in config.audit_kind; AUDIT_KINDS: none of them */
};

static long audit_compare(__u32 i, struct audit_search *search)
{
	__u64 differs = 0;

	if (i >= AUDIT_KINDS)
		return 1;
#pragma unroll
	for (__u32 w = 0; w < AUDIT_NAME_WORDS; w++)
		differs |= (search->name.word[w] ^ config.audit_kind[i].name.word[w]) &
			   config.audit_kind[i].mask.word[w];
	if (differs)
		return 0;
	search->found = i;
	return 1;
}

/*
 * The argument if it is a str; of an address or a list of words, its first. An object that is none
 * of these has no str there.
 */
static __always_inline __u64 audit_str(__u64 arguments, __u32 at)
{
	__u64 item, inner;

	if (!arguments || at >= read_u64(arguments + TUPLE_SIZE_OFF))
		return 0;
	item = read_u64(arguments + LAY.tuple_item + 8ull * at);
	if (!item || read_u64(item + LAY.object_type) == config.target.str_type)
		return item;
	inner = read_u64(item + LAY.tuple_item);
	if (!inner || read_u64(inner + LAY.object_type) == config.target.str_type)
		return inner;
	return read_u64(inner); /* PyListObject.ob_item lies where a tuple's first item does,
				   CPython 3.8 to 3.13 */
}

static __always_inline int audit_put(
	struct loop_slot *s, __u32 index, __u64 name, __u64 arguments, __u64 now_ns)
{
	struct audit_search search = {.found = AUDIT_KINDS};
	struct scratch *to = scratch_get(index);
	struct ev_kernel_audit *ev;
	struct stack stack;
	__u32 len, at;

	if (!to || bpf_probe_read_user_str(
			   search.name.text, sizeof(search.name.text), (void *)name) < 0)
		return 0;
	bpf_loop(AUDIT_KINDS, audit_compare, &search, 0);
	at = search.found;
	if (at >= AUDIT_KINDS)
		return 0;
	stack = stack_walk(s, to, sizeof(*ev));
	ev = (struct ev_kernel_audit *)to->record;
	*ev = (struct ev_kernel_audit){.head = HEAD(kernel_audit, now_ns),
		.task = open_task(s),
		.name_0 = search.name.word[0],
		.name_1 = search.name.word[1],
		.name_2 = search.name.word[2],
		.cut = stack.cut,
		.frames_len = stack.count * sizeof(struct kernel_frame)};
	ev->str_state = str_read(
		audit_str(arguments, config.audit_kind[at].first), to, NAME_BYTES_MAX, &len);
	ev->detail_len = len;
	return record_put(to, sizeof(*ev), stack.count, len, to->told);
}

#endif
