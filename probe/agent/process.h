/* The process record. */
#ifndef PROBE_AGENT_PROCESS_H
#define PROBE_AGENT_PROCESS_H

void process_announce(void); /* what runs here; the first record of its rings. GIL */

#endif
