/* Whose code a file is: the user's, the standard library's, an installed package's or IPython's
 * machinery. Silent. */
#ifndef COLLECTOR_PLACE_H
#define COLLECTOR_PLACE_H

#include <stdbool.h>
#include <stddef.h>

enum place_owner { PLACE_USER, PLACE_STDLIB, PLACE_PACKAGE, PLACE_GENERATED };

struct place {
	enum place_owner owner;
	/* Dotted name by the path: "concurrent.futures._base"; empty for user code. Cut where it
	 * does not fit. */
	char module[128];
};

/* stdlib: folder of the standard library, no trailing slash; "" where unknown. */
struct place place_of(const char *file, const char *stdlib, const char *function);
/* "/tmp/ipykernel_PID/HASH.py": 1 and the hash; else 0. */
bool place_cell_hash(const char *file, unsigned long *ret_hash);
/* "<ipython-input-N-HASH>", of IPython in a terminal: 1 and the number; else 0. */
bool place_input_number(const char *file, unsigned long *ret_number);
/* And whether HASH is of this text: without magics, as the shell changes these. */
bool place_input_is(const char *file, const char *source);
/*
 * The name a user knows a function by: private modules and the inner modules of packages are left
 * out, __init__ is its class. "threading.Event.wait", "concurrent.futures.Future.result",
 * "requests.get". Returns buf.
 */
char *place_public_name(
	const char *module, enum place_owner owner, const char *function, char *buf, size_t size);

#endif
