/* Which slots were patched, as far as others must know. */
#ifndef PROBE_AGENT_GOT_H
#define PROBE_AGENT_GOT_H

#include <stdbool.h>

bool got_selector_uvloop(void); /* an epoll call of uvloop or libuv is wrapped. any */

#endif
