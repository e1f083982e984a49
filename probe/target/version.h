/* The full version of a target's interpreter, as it tells itself (sys.version). Silent. */
#ifndef PROBE_TARGET_VERSION_H
#define PROBE_TARGET_VERSION_H

#include <stdint.h>

/* PY_VERSION_HEX of the process that runs Python 3.minor; its micro version is 0 where that is not
 * to be found. */
uint32_t target_version(uint32_t pid, int minor);

#endif
