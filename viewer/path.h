/* The critical path of long waits: who waited for whom, and what each link spent its time on.
 * Silent. */
#ifndef VIEWER_PATH_H
#define VIEWER_PATH_H

#include "viewer/report.h"

enum path_kind {
	PATH_task,   /* it waited for `task`, whose links tell for what that took so long */
	PATH_woken,  /* it was woken by a step of `task` */
	PATH_slept,  /* until a timer */
	PATH_thread, /* until the thread `task` was done */
	PATH_waited, /* until something that no task of this loop did: a socket, mostly */
	PATH_held,   /* a blocking call held the loop, its own or another task's */
	PATH_late,   /* it could have gone on, and the loop was busy with something else */
	PATH_ran,    /* it ran, waited for its turn, or waited for less than a part worth a link */
};

#define PATH_ROOT SIZE_MAX

struct path_link {     /* equal parent, kind, what, task and place */
	size_t parent; /* index of a link, or PATH_ROOT */
	enum path_kind kind;
	const char *what; /* "Lock.acquire", "time.sleep(1)"; "" where kind says all */
	const char *task; /* the name of the task or thread that it led to; "" */
	const char *coro; /* that task's; "" */
	struct place place;
	uint64_t count, ns;
};

struct path {
	int process, loop, cell;
	int64_t task;
	const char *name, *coro, *what;
	struct place place;
	uint64_t begin_ns, ns;
	uint64_t part_ns; /* PATH_ran has the waits that are shorter */
	LIST(struct path_link)
	links; /* those of one parent sum to its ns, those of the root to the path's */
};

typedef LIST(struct path) path_list;

/*
 * The longest waits of user code of at least --stall that led to another task, longest first, one a
 * place. The caller frees: paths_free(). -ENOMEM, -EIO
 */
int paths_find(struct report *report, path_list *ret);
void paths_free(path_list *paths);
const char *path_kind_name(enum path_kind kind);

#endif
