/* What the C calls that agents time wait for, where they say more of that than system calls do. */
#ifndef PROBE_BPF_NAMED_H
#define PROBE_BPF_NAMED_H

#include "probe/bpf/partition.h"

/* Of the classes of calls.def those that no system call has. */
#define NAMED_dns PART_DNS
#define NAMED_database PART_DATABASE
#define NAMED_sleep 0
#define NAMED_network 0
#define NAMED_file 0
#define NAMED_subprocess 0
#define NAMED_lock 0
#define NAMED_other 0

/* Calls that say better than the system calls in them what they wait for. enum part_class; 0: no
 * more than those. */
static __always_inline __u32 call_named(__u32 call)
{
	switch (call) {
#define CALL(name, id, class, doc)                                                                 \
	case id:                                                                                   \
		return NAMED_##class;
#include "probe/calls.def"
#undef CALL
	default:
		return 0;
	}
}

#endif
