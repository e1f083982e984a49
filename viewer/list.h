/* A growing array: LIST(struct x) xs = {0}; struct x *one = list_add(&xs) is zeroed, or NULL when
 * out of memory. */
#ifndef VIEWER_LIST_H
#define VIEWER_LIST_H

#include <stdlib.h>
#include <string.h>

#define LIST(type)                                                                                 \
	struct {                                                                                   \
		type *at;                                                                          \
		size_t n, room;                                                                    \
	}

static inline void *list_room(void *at, size_t n, size_t *room, size_t size)
{
	size_t more = n < *room ? *room : n ? n * 2 : 16;

	if (more == *room)
		return at;
	at = reallocarray(at, more, size);
	if (at)
		*room = more;
	return at;
}

#define list_add(l)                                                                                \
	({                                                                                         \
		void *at_ = list_room((l)->at, (l)->n, &(l)->room, sizeof(*(l)->at));              \
		if (at_)                                                                           \
			(l)->at = at_;                                                             \
		at_ ? memset(&(l)->at[(l)->n++], 0, sizeof(*(l)->at)) : NULL;                      \
	})

#endif
