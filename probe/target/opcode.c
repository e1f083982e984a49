/* See opcode.h. */
#include "probe/target/opcode.h"

#include <stddef.h>

#define SPECIALIZING_MINOR                                                                         \
	11 /* from there on an instruction that ran a few times says what it calls */

bool opcode_calls_c(int minor, uint32_t opcode)
{
	static const struct {
		int minor;
		uint32_t first, last;
	} calls[] = {
#define CALLS(minor, first, last) {minor, first, last},
#include "probe/target/opcode.def"
#undef CALLS
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (calls[i].minor == minor && opcode >= calls[i].first && opcode <= calls[i].last)
			return true;
	return false;
}

bool opcode_calls_any(int minor)
{
	return minor < SPECIALIZING_MINOR;
}
