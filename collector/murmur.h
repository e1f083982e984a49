/* MurmurHash2, the 32-bit one: ipykernel names the file of a cell after it. Silent. */
#ifndef COLLECTOR_MURMUR_H
#define COLLECTOR_MURMUR_H

#include <stddef.h>
#include <stdint.h>

#define MURMUR_CELL_SEED 0xc70f6907u /* ipykernel/compiler.py, get_tmp_hash_seed() */

uint32_t murmur2(const void *bytes, size_t size, uint32_t seed);

#endif
