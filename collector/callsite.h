/* What a blocking C call was, for the user: its class and its name, from the Python frames above
 * it. Silent. */
#ifndef COLLECTOR_CALLSITE_H
#define COLLECTOR_CALLSITE_H

#include "collector/model_state.h"

/* "clock_nanosleep"; NULL: no such id. */
const char *callsite_syscall(uint32_t call);
enum block_class callsite_class(struct model *model, const struct process *p, uint32_t call,
	const struct stack *s, int fd, const char *target);
/* What the kernel, which sees no stack, accounts it to. */
enum block_class callsite_raw_class(uint32_t call, int fd);
const char *callsite_class_name(enum block_class class);
/*
 * The callee at the border of user and library code, "requests.get"; where the innermost frame is
 * user code, the source text of its instruction, "time.sleep(0.2)". Returns buf.
 */
char *callsite_name(struct model *model, const struct process *p, const struct stack *s,
	const char *syscall, char *buf, size_t size);
/*
 * Of work in C: the source text where user code gave it to its loop, "loop.call_soon(time.sleep,
 * 1)". False: not known.
 */
bool callsite_request(struct model *model, const struct process *p, const struct stack *given,
	char *buf, size_t size);

#endif
