/* Bounds of what the model and a trace keep; what they cut is counted in `lost`. */
#ifndef COLLECTOR_MODEL_BOUNDS_H
#define COLLECTOR_MODEL_BOUNDS_H

#include <stdint.h>

#define TASKS_LIVE_MAX (1u << 20)  /* pending at one time; later ones are not recorded */
#define TASKS_ENDED_MAX (1u << 14) /* kept after their end, for late records about them */
#define FRAMES_MAX (1u << 18)      /* distinct positions in functions; later ones are one frame */
#define STACKS_MAX (1u << 20)      /* nodes of the stack tree; later stacks are not kept */
#define PROCESS_STACKS_MAX (1u << 20) /* stacks, and codes, of one process */
#define STACK_DEPTH_MAX 512u          /* frames of one stack, from the innermost */
#define AUDIT_MAX 100000u
#define ANOMALY_MAX 100000u
#define SAMPLES_MAX (1u << 20)
#define CELLS_MAX 100000u
#define THREADS_MAX (1u << 18)
#define LOOPS_MAX 100000u
#define LOOP_RUNS_MAX 100000u
#define REFUSALS_MAX 100000u
#define REFUSED_KEPT 16u        /* coroutines that loops refused, of one process: the last ones */
#define SHORT_WAITS_MAX 100000u /* below min_step, kept for the exception they brought */
#define JOBS_MAX 500000u
#define JOBS_LIVE_MAX (1u << 17) /* of one process, given and not done */
#define QUEUES_MAX 50000u
#define CALLBACKS_MAX (1u << 17) /* of one process; with more, all so far are forgotten */
#define QUEUE_SAMPLES_MAX 1000000u
#define INNER_RUNS_MAX 16              /* of a thread, runs of loops whose step has not ended */
#define LOSSES_MAX 512u                /* kinds of losses; later ones are one kind */
#define LOSS_MAX ((uint64_t)INT64_MAX) /* of one kind: SQLite's largest number */
#define COVERAGE_MAX 8192u
#define TEXT_BYTES_MAX (256u << 20) /* of all interned strings */
#define EXCEPTION_MAX 256           /* bytes of "ValueError: row 1" */
#define WHAT_MAX 160                /* bytes of "what it waits for" */
#define LOOP_DEPTH 8  /* loops nested on one thread (nest_asyncio, or a loop within a loop) */
#define CELL_DEPTH 16 /* cells run by cells */

#endif
