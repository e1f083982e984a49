/* Who had the CPU while loops were ready to run: by programs, from the trace's table cpu_taken. */
#ifndef VIEWER_TAKERS_H
#define VIEWER_TAKERS_H

#include <stdio.h>

#include "viewer/report.h"

struct taker {
	const char *name;
	int64_t pid;
	bool several; /* processes of that name: pid is one of them */
	uint64_t ns;
};

typedef LIST(struct taker) taker_list;

/* Those of one stall, to what is there already; the longest first. 0, or what the trace said. */
int takers_add(struct report *report, const struct stall *stall, taker_list *takers);
/* Whether they account for so much of that wait that one may speak of shares. */
bool takers_known(const taker_list *takers, uint64_t wait_ns);
/* "; of that the CPU was had by ffmpeg (pid 812) 71 %, make (several processes) 20 %" */
void takers_print(const taker_list *takers, uint64_t wait_ns, FILE *out);

#endif
