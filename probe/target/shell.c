/* IPython/core/history.py's In, found through __main__. See shell.h. */
#include "probe/target/shell.h"

#include <errno.h>
#include <string.h>

#include "probe/target/object.h"
#include "probe/target/task_state.h"

#define SOURCE_CHARS_MAX (256u << 10)
#define INPUTS_MAX 10000000u

struct input {
	uint32_t number;
	char *source;
};

static int newest_read(struct target *t, uint64_t list, struct input *ret)
{
	const struct layout *lay = &t->layout;
	char type[OBJECT_NAME_BYTES];
	uint64_t count, items, str;
	int rc = object_type_name(t, list, type);

	if (rc || strcmp(type, "list"))
		return rc ? rc : -EPROTO;
	rc = memory_read(&t->memory, list + lay->bytes_size, &count, sizeof(count));
	if (rc || count < 2 || count > INPUTS_MAX) /* the first one is empty: numbers begin at 1 */
		return rc ? rc : -ENOENT;
	rc = memory_read_pointer(&t->memory, list + lay->list_items, &items);
	if (!rc)
		rc = memory_read_pointer(&t->memory, items + 8 * (count - 1), &str);
	if (!rc)
		rc = target_long_text_read(t, str, SOURCE_CHARS_MAX, &ret->source);
	if (!rc)
		ret->number = (uint32_t)(count - 1);
	return rc;
}

/* 1: found. */
static int input_in(struct target *t, void *ctx, uint64_t interp)
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
		rc = newest_read(t, list, ctx);
	return rc == -ENOENT ? 0 : rc ? rc : 1;
}

int target_input_read(struct target *t, uint32_t *ret_number, char **ret_source)
{
	struct input input;
	int rc = target_interpreters_each(t, input_in, &input);

	if (rc != 1)
		return rc ? rc : -ENOENT;
	*ret_number = input.number;
	*ret_source = input.source;
	return 0;
}
