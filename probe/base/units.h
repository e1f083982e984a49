/* Durations and sizes as people write them: 100us, 1.5ms, 30s, 10m, 2h; 512M, 2G. Silent. */
#ifndef PROBE_BASE_UNITS_H
#define PROBE_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* A bare number takes `bare_unit_ns` per unit (0: a unit is required). -EINVAL: not a duration;
 * -ERANGE: too long. */
int duration_parse(const char *text, uint64_t bare_unit_ns, uint64_t *ret_ns);
/* Suffix K, M, G (powers of 1024), optional "B" or "iB"; none: bytes. */
int size_parse(const char *text, uint64_t *ret_bytes);
/* "1.24 s", "480 ms", "35.2 ms", "812 µs", "90 ns": three digits that matter and a unit. Returns
 * buf. */
char *duration_format(uint64_t ns, char *buf, size_t size);

#endif
