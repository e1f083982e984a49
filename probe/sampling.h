/* When a busy loop's thread is sampled: by the recorder from outside, or by a program in the
 * kernel. Integers only. */
#ifndef PROBE_SAMPLING_H
#define PROBE_SAMPLING_H

#define SAMPLING_HELD_NS 20000000ull /* an iteration is looked at from this age on */
/*
 * A stall of 100 ms gets 8 samples, one of 400 ms 38. The older an iteration is, the rarer: the
 * number grows with the logarithm of its length, and each sample tells what time it stands for.
 */
#define SAMPLING_PERIOD_MIN_NS 10000000ull
#define SAMPLING_PERIOD_MAX_NS 1000000000ull
#define SAMPLING_PERIODS_PER_AGE 64u

#endif
