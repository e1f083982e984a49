/* IPython/core/history.py's In, found through __main__. See shell.h. */
#include "probe/target/shell.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/target/object.h"
#include "probe/target/task_state.h"

#define SOURCE_CHARS_MAX (256u << 10)
#define INPUTS_MAX 10000000u

#define TRANSFORMED "get_ipython()" /* what IPython makes of a magic */
#define NAME_BYTES 24

struct search {
	target_input_fn fn;
	void *ctx;
	size_t most;
	uint32_t number;
	char *source;
};

/* What was typed as number n is the variable _in. */
static bool typed_take(struct target *t, struct search *s, uint64_t names, uint64_t n)
{
	char name[NAME_BYTES], *source;
	uint64_t str;

	snprintf(name, sizeof(name), "_i%" PRIu64, n);
	if (object_dict_get(t, names, name, &str) ||
		target_long_text_read(t, str, SOURCE_CHARS_MAX, &source))
		return false;
	if (!s->fn(s->ctx, source)) {
		free(source);
		return false;
	}
	s->source = source;
	return true;
}

/* 1: it is the one; 0: it is not. */
static int entry_take(
	struct target *t, struct search *s, uint64_t names, uint64_t str, uint64_t n, bool newest)
{
	char *source;
	bool is, other;
	int rc = target_long_text_read(t, str, SOURCE_CHARS_MAX, &source);

	if (rc)
		return rc == -ESRCH ? rc : 0;
	is = s->fn(s->ctx, source);
	other = newest || strstr(source, TRANSFORMED);
	if (is)
		s->source = source;
	else
		free(source);
	if (!is && !(other && typed_take(t, s, names, n)))
		return 0;
	s->number = (uint32_t)n;
	return 1;
}

/* From the newest; the first one is empty, since numbers begin at 1. */
static int list_search(struct target *t, struct search *s, uint64_t names, uint64_t list)
{
	const struct layout *lay = &t->layout;
	char type[OBJECT_NAME_BYTES];
	uint64_t count, items, str;
	int rc = object_type_name(t, list, type);

	if (rc || strcmp(type, "list"))
		return rc ? rc : -EPROTO;
	rc = memory_read(&t->memory, list + lay->bytes_size, &count, sizeof(count));
	if (rc || count < 2 || count > INPUTS_MAX)
		return rc ? rc : -ENOENT;
	rc = memory_read_pointer(&t->memory, list + lay->list_items, &items);
	for (uint64_t n = count - 1; !rc && n && count - n <= s->most; n--) {
		rc = memory_read_pointer(&t->memory, items + 8 * n, &str);
		if (!rc)
			rc = entry_take(t, s, names, str, n, n == count - 1);
	}
	return rc ? rc : -ENOENT;
}

/* 1: found. */
static int search_in(struct target *t, void *ctx, uint64_t interp)
{
	uint64_t modules, module, names, list;
	int rc = memory_read_pointer(&t->memory, interp + t->layout.interp_modules, &modules);

	if (!rc)
		rc = modules ? object_dict_get(t, modules, "__main__", &module) : -ENOENT;
	if (!rc)
		rc = memory_read_pointer(&t->memory, module + t->layout.module_dict, &names);
	if (!rc)
		rc = object_dict_get(t, names, "In", &list);
	if (!rc)
		rc = list_search(t, ctx, names, list);
	return rc == -ENOENT ? 0 : rc;
}

int target_input_find(struct target *t, size_t most, target_input_fn fn, void *ctx,
	uint32_t *ret_number, char **ret_source)
{
	struct search search = {.fn = fn, .ctx = ctx, .most = most};
	int rc = target_interpreters_each(t, search_in, &search);

	if (rc != 1)
		return rc ? rc : -ENOENT;
	*ret_number = search.number;
	*ret_source = search.source;
	return 0;
}
