/* MurmurHash2 by Austin Appleby, 32 bits, as ipykernel computes it over a cell's UTF-8 source. */
#include "collector/murmur.h"

#define MIX 0x5bd1e995u

uint32_t murmur2(const void *bytes, size_t size, uint32_t seed)
{
	const unsigned char *p = bytes;
	uint32_t h = seed ^ (uint32_t)size;
	size_t left = size;

	for (; left >= 4; p += 4, left -= 4) {
		uint32_t k =
			p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;

		k *= MIX;
		k ^= k >> 24;
		k *= MIX;
		h = h * MIX ^ k;
	}
	if (left) {
		uint32_t k = p[0];

		if (left > 1)
			k |= (uint32_t)p[1] << 8;
		if (left > 2)
			k |= (uint32_t)p[2] << 16;
		h = (h ^ k) * MIX;
	}
	h ^= h >> 13;
	h *= MIX;
	return h ^ h >> 15;
}
