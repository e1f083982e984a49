/*
 * Tables of what was announced already: code objects, stacks, names. Bounded; a full table is
 * emptied and announces anew under new ids. One short lock that nobody ever blocks on: who does not
 * get it at once goes without (id 0).
 */
#ifndef PROBE_AGENT_INTERN_H
#define PROBE_AGENT_INTERN_H

#include "probe/agent/frame.h"

/*
 * Id of a stack, innermost frame first; 0 = none, or could not be announced. *ret_told: what all of
 * its codes do was asked for. any, with an own ring or the GIL
 */
uint32_t stack_intern(const struct frame_ref *frames, size_t n, uint32_t cut, bool *ret_told);

/* True once for a code object that has an id: what it does is to be told now. GIL */
bool code_body_due(const void *code);

#endif
