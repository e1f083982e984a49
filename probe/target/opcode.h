/* What an instruction of bytecode is, by version: one list, opcode.def. Silent. */
#ifndef PROBE_TARGET_OPCODE_H
#define PROBE_TARGET_OPCODE_H

#include <stdbool.h>
#include <stdint.h>

/* It calls what may be a C function; false: it does not, or the version is not known. */
bool opcode_calls_c(int minor, uint32_t opcode);
/* Whether a call of a Python function has the same opcode, however often it ran (to 3.10). */
bool opcode_calls_any(int minor);

#endif
