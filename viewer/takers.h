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
/* Of it, what the machine's hypervisor took while the loop was on a CPU. */
uint64_t takers_stolen(const taker_list *takers);
/* "; of that the CPU was had by ffmpeg (pid 812) 71 %, make (several processes) 20 %" */
void takers_print(const taker_list *takers, uint64_t wait_ns, FILE *out);

struct machine_load { /* of the seconds in which something was; all 0: not known */
	double busy_ns, stolen_ns, all_ns; /* sums over CPUs */
	int cpus;
};

/* That of one stall, to what is there already. 0, or what the trace said. */
int load_add(struct report *report, const struct stall *stall, struct machine_load *load);
/* At most 1: the kernel counts in ticks. Only where all_ns is not 0. */
double load_share(const struct machine_load *load);
/* There were idle CPUs: it was not the machine that had none left. */
bool load_is_low(const struct machine_load *load);
/* "; the machine's 2 CPUs were 98 % busy then" */
void load_print(const struct machine_load *load, FILE *out);

#endif
