/* What the files behind target.h share. */
#ifndef PROBE_TARGET_STATE_H
#define PROBE_TARGET_STATE_H

#include "probe/target/layout.h"
#include "probe/target/target.h"

enum target_symbol { SYMBOL_RUNTIME, SYMBOL_CODE, SYMBOL_STR, SYMBOL_BYTES, SYMBOLS };

struct target {
	struct memory memory;
	struct layout layout;
	uint64_t symbol[SYMBOLS];
	uint64_t runtime_size; /* of its _PyRuntime; 0: not known */
	struct snapshot snapshot;
};

#endif
