/*
 * The code object of a method of a class of a module, looked up as the interpreter would: by name,
 * in sys.modules, the module, the class. See target.h.
 */
#include <errno.h>

#include "probe/target/object.h"
#include "probe/target/task_state.h"

struct search {
	const struct target_method *method;
	uint64_t code;
};

static int namespace_of(struct target *t, uint64_t object, uint16_t place, uint64_t *ret)
{
	int rc = memory_read_pointer(&t->memory, object + place, ret);

	return !rc && !*ret ? -ENOENT : rc;
}

static int interpreter_search(struct target *t, void *ctx, uint64_t interp)
{
	const struct layout *lay = &t->layout;
	struct search *s = ctx;
	uint64_t at, type, function;
	int rc = namespace_of(t, interp, lay->interp_modules, &at);

	if (!rc)
		rc = object_dict_get(t, at, s->method->module, &at);
	if (!rc)
		rc = namespace_of(t, at, lay->module_dict, &at);
	if (!rc)
		rc = object_dict_get(t, at, s->method->type, &at);
	if (!rc)
		rc = namespace_of(t, at, lay->type_dict, &at);
	if (!rc)
		rc = object_dict_get(t, at, s->method->name, &function);
	if (!rc)
		rc = memory_read_pointer(&t->memory, function + lay->function_code, &s->code);
	/* somebody may have put in its place what is no function */
	if (!rc && (object_type(t, s->code, &type) || type != t->symbol[SYMBOL_CODE]))
		s->code = 0;
	return s->code != 0; /* else perhaps in the next interpreter */
}

int target_method_code(struct target *t, const struct target_method *method, uint64_t *ret)
{
	struct search s = {.method = method};
	int rc = target_interpreters_each(t, interpreter_search, &s);

	if (rc < 0)
		return rc;
	if (!s.code)
		return -ENOENT;
	*ret = s.code;
	return 0;
}
