/* How busy the machine's CPUs are, about once a second. Silent. */
#ifndef COLLECTOR_MACHINE_H
#define COLLECTOR_MACHINE_H

#include <stdbool.h>

#include "probe/event.h"

struct machine {          /* zeroed before */
	uint64_t last_ns; /* when it was looked at; 0: never */
	uint64_t busy_ns, stolen_ns;
};

/*
 * True: *ret tells of the time since the last look, which was a second ago or, at the `end`, a
 * tenth of one. Its head has no tid.
 */
bool machine_look(struct machine *m, uint64_t now_ns, bool end, struct ev_machine *ret);

#endif
