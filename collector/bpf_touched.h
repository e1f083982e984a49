/* What a system call touched, as the kernel's side tells it, for people: a path, a peer, a child's
 * command line. Silent. */
#ifndef COLLECTOR_BPF_TOUCHED_H
#define COLLECTOR_BPF_TOUCHED_H

#include <stddef.h>
#include <stdint.h>

#define TOUCHED_TEXT_BYTES 512u

/* touches: enum kernel_touches, which says what the bytes are; of a checked record. "": nothing. */
void touched_text(uint32_t touches, const void *touched, size_t size, char buf[TOUCHED_TEXT_BYTES]);

#endif
