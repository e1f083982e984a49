/*
 * The calling thread's own frames, read raw by the layout of this version. The layout is proven on
 * the live stack and on a suspended coroutine before the first use; what does not agree is refused
 * by name. Must not run Python code after that.
 */
#include "probe/agent/frame.h"

#include <dlfcn.h>
#include <errno.h>

#include "probe/agent/agent.h"
#include "probe/agent/symver.h"
#include "probe/target/unicode.h"

#define WALK_MAX 65536u  /* frames followed at most; deeper ones are not even counted */
#define PROVE_FRAMES 64u /* of the live stack that must agree */

static struct layout lay;
static bool frames_proven;
static bool generators_proven;
static bool variables_proven;
static bool local_names_proven;
static const void *code_type; /* &PyCode_Type */
static const void *str_type;
static const void *bytes_type;

/* ---- reading ----------------------------------------------------------------------------- */

static inline const void *pointer_at(const void *base, uint16_t off)
{
	const void *p;

	memcpy(&p, (const char *)base + off, sizeof(p));
	return p;
}

static inline int32_t int_at(const void *base, uint16_t off)
{
	int32_t i;

	memcpy(&i, (const char *)base + off, sizeof(i));
	return i;
}

static inline size_t size_at(const void *base, uint16_t off)
{
	size_t n;

	memcpy(&n, (const char *)base + off, sizeof(n));
	return n;
}

bool code_is(const void *object)
{
	return object && !((uintptr_t)object & LAYOUT_CODE_MASK) &&
	       pointer_at(object, lay.object_type) == code_type;
}

const char *type_name(const void *type)
{
	return pointer_at(type, lay.type_name);
}

void code_read(const void *code, struct code_parts *ret)
{
	ret->filename = pointer_at(code, lay.code_filename);
	ret->name = pointer_at(
		code, lay.code_qualname == OFF_ABSENT ? lay.code_name : lay.code_qualname);
	ret->linetable = pointer_at(code, lay.code_linetable);
	ret->firstlineno = int_at(code, lay.code_firstlineno);
	ret->flags = int_at(code, lay.code_flags);
}

static uint32_t position_of(const void *frame, const void *code)
{
	bool inside = lay.code_instructions != OFF_ABSENT; /* a pointer into the code */
	uint64_t instr = inside ? (uintptr_t)pointer_at(frame, lay.frame_instr)
				: (uint64_t)(int64_t)int_at(frame, lay.frame_instr);
	uint32_t position = layout_position(&lay, (uintptr_t)code, instr);

	/* ob_size, as in every sized object */
	if (inside && position >= size_at(code, lay.bytes_size) * LAYOUT_CODE_UNIT)
		return 0;
	return position;
}

static bool frame_read(const void *frame, struct frame_ref *ret)
{
	ret->code = frame_code(frame);
	if (!code_is(ret->code))
		return false;
	ret->position = position_of(frame, ret->code);
	return true;
}

static const void *frame_innermost(void)
{
	const void *thread = PyGILState_GetThisThreadState();
	const void *cframe;

	if (!thread)
		return NULL;
	if (lay.thread_cframe == OFF_ABSENT)
		return pointer_at(thread, lay.thread_frame);
	cframe = pointer_at(thread, lay.thread_cframe);
	return cframe ? pointer_at(cframe, lay.cframe_current_frame) : NULL;
}

static bool frame_is_python(const void *frame)
{
	return lay.frame_owner == OFF_ABSENT ||
	       *((const char *)frame + lay.frame_owner) < LAYOUT_OWNER_C;
}

static size_t walk(struct frame_ref *frames, size_t max, uint32_t *ret_cut)
{
	const void *f = frame_innermost();
	uint32_t cut = 0;
	size_t n = 0;

	for (unsigned int i = 0; f && i < WALK_MAX; i++, f = pointer_at(f, lay.frame_previous)) {
		if (!frame_is_python(f))
			continue;
		if (n == max) {
			cut++;
			continue;
		}
		if (!frame_read(f, &frames[n]))
			return 0;
		n++;
	}
	*ret_cut = cut;
	return n;
}

size_t frames_here(struct frame_ref *frames, size_t max, uint32_t *ret_cut)
{
	return frames_proven ? walk(frames, max, ret_cut) : 0;
}

const void *frame_outside(const void *inner)
{
	const void *f = NULL;

	if (frames_proven)
		f = inner ? pointer_at(inner, lay.frame_previous) : frame_innermost();
	while (f && !frame_is_python(f))
		f = pointer_at(f, lay.frame_previous);
	return f;
}

static const void *untagged_at(const void *base, uint16_t off)
{
	return (const void *)((uintptr_t)pointer_at(base, off) & ~(uintptr_t)LAYOUT_CODE_MASK);
}

const void *frame_code(const void *frame)
{
	return untagged_at(frame, lay.frame_code);
}

static void *variable_at(const void *frame, unsigned int place)
{
	return (void *)untagged_at(frame, (uint16_t)(lay.frame_locals + place * sizeof(void *)));
}

void *frame_variable(const void *frame, unsigned int place)
{
	return variables_proven ? variable_at(frame, place) : NULL;
}

static bool named(const struct frame_ref *frame, const char *name)
{
	char text[64];
	size_t len = str_read(pointer_at(frame->code, lay.code_name), text, sizeof(text));

	return len == strlen(name) && !memcmp(text, name, len);
}

bool frames_are(const char *inner, const char *outer)
{
	struct frame_ref frames[2];
	uint32_t cut;

	return frames_here(frames, 2, &cut) == 2 && named(&frames[0], inner) &&
	       named(&frames[1], outer);
}

/* NULL: it has ended (FRAME_COMPLETED, FRAME_CLEARED). */
static const void *generator_frame(const void *generator)
{
	if (lay.generator_frame_state == OFF_ABSENT)
		return pointer_at(generator, lay.generator_frame);
	if (*((const signed char *)generator + lay.generator_frame_state) > 0)
		return NULL;
	return (const char *)generator + lay.generator_frame;
}

static bool generator_read(const void *generator, struct frame_ref *ret)
{
	const void *frame = generator_frame(generator);

	return frame && frame_read(frame, ret);
}

bool frame_of_generator(const void *generator, struct frame_ref *ret)
{
	return generators_proven && generator_read(generator, ret);
}

void *variable_of_generator(const void *generator, unsigned int place)
{
	const void *frame = generators_proven ? generator_frame(generator) : NULL;

	return frame ? frame_variable(frame, place) : NULL;
}

bool frame_of_generator_proven(void)
{
	return generators_proven;
}

/* ---- text -------------------------------------------------------------------------------- */

size_t str_read(const void *str, char *buf, size_t size)
{
	const char *data;
	size_t length;
	uint32_t state;
	unsigned int width;

	if (!str || pointer_at(str, lay.object_type) != str_type)
		return 0;
	state = (uint32_t)int_at(str, lay.str_state);
	width = unicode_width(state);
	length = size_at(str, lay.str_length);
	if (!width)
		return 0;
	data = (const char *)str +
	       (state & UNICODE_ASCII ? lay.str_ascii_data : lay.str_compact_data);
	if (!(state & UNICODE_ASCII))
		return unicode_utf8(data, width, length, buf, size);
	if (length > size)
		length = size;
	memcpy(buf, data, length);
	return length;
}

const char *str_ascii(const void *str, size_t *ret_size)
{
	uint32_t state;

	if (!frames_proven || pointer_at(str, lay.object_type) != str_type)
		return NULL;
	state = (uint32_t)int_at(str, lay.str_state);
	if (!unicode_width(state) || !(state & UNICODE_ASCII))
		return NULL;
	*ret_size = size_at(str, lay.str_length);
	return (const char *)str + lay.str_ascii_data;
}

const void *bytes_read(const void *bytes, size_t *ret_size)
{
	if (!bytes || pointer_at(bytes, lay.object_type) != bytes_type)
		return NULL;
	*ret_size = size_at(bytes, lay.bytes_size);
	return (const char *)bytes + lay.bytes_data;
}

/* ---- proofs ------------------------------------------------------------------------------ */

/* 1: attribute `name` of `object` is exactly `expected`; 0: not; no error is left set. */
static bool attribute_is(PyObject *object, const char *name, const void *expected)
{
	PyObject *value = PyObject_GetAttrString(object, name);
	bool same = value && value == expected;

	if (!value)
		PyErr_Clear();
	Py_DecRef(value);
	return same;
}

static bool attribute_is_int(PyObject *object, const char *name, long expected)
{
	PyObject *value = PyObject_GetAttrString(object, name);
	bool same = value && PyLong_AsLong(value) == expected;

	PyErr_Clear();
	Py_DecRef(value);
	return same;
}

static bool prove_code(PyObject *code)
{
	struct code_parts parts;

	code_read(code, &parts);
	return attribute_is(code, "co_filename", parts.filename) &&
	       attribute_is(code, "co_name", pointer_at(code, lay.code_name)) &&
	       (lay.code_qualname == OFF_ABSENT || attribute_is(code, "co_qualname", parts.name)) &&
	       attribute_is(code, lay.minor < 10 ? "co_lnotab" : "co_linetable", parts.linetable) &&
	       attribute_is_int(code, "co_firstlineno", parts.firstlineno) &&
	       attribute_is_int(code, "co_flags", parts.flags);
}

/* The frame object says the same as the raw frame. */
static bool prove_frame(PyObject *frame, const struct frame_ref *ref)
{
	PyObject *lasti;
	long at;

	if (!attribute_is(frame, "f_code", ref->code) || !prove_code((PyObject *)ref->code))
		return false;
	lasti = PyObject_GetAttrString(frame, "f_lasti");
	at = lasti ? PyLong_AsLong(lasti) : -1;
	Py_DecRef(lasti);
	PyErr_Clear();
	return ref->position == (at < 0 ? 0 : (uint32_t)at);
}

static const char *prove_stack(void)
{
	struct frame_ref frames[PROVE_FRAMES];
	PyObject *frame = (PyObject *)PyEval_GetFrame();
	const char *reason = NULL;
	uint32_t cut = 0;
	size_t n;

	if (!frame)
		return "no Python frame to prove the layout on";
	n = walk(frames, PROVE_FRAMES, &cut);
	Py_IncRef(frame);
	for (size_t i = 0; i < n && !reason; i++) {
		PyObject *back;

		if (!frame || frame == Py_None || !prove_frame(frame, &frames[i])) {
			reason = "raw frames differ from the interpreter's own";
			break;
		}
		back = PyObject_GetAttrString(frame, "f_back");
		Py_DecRef(frame);
		frame = back;
	}
	if (!reason && (!n || (!cut && frame != Py_None)))
		reason = "the raw stack has another depth than the interpreter's own";
	PyErr_Clear();
	Py_DecRef(frame);
	return reason;
}

static const char *prove_text(void)
{
	/* one of each width; the last also needs surrogates escaped */
	static const char *const samples[] = {
		"plain", "caf\xc3\xa9", "\xe2\x98\x83 snow", "\xf0\x9d\x95\x92 wide"};
	PyObject *bytes = PyBytes_FromStringAndSize("a\0b", 3);
	const char *reason = NULL;
	const void *data;
	size_t size = 0;

	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]) && !reason; i++) {
		PyObject *str = PyUnicode_FromString(samples[i]);
		char text[32];

		if (!str || str_read(str, text, sizeof(text)) != strlen(samples[i]) ||
			memcmp(text, samples[i], strlen(samples[i])))
			reason = "raw strings differ from the interpreter's own";
		Py_DecRef(str);
	}
	data = bytes ? bytes_read(bytes, &size) : NULL;
	if (!data || size != 3 || memcmp(data, "a\0b", 3))
		reason = "raw bytes differ from the interpreter's own";
	Py_DecRef(bytes);
	PyErr_Clear();
	return reason;
}

/* One coroutine suspended in another awaitable, in a namespace of its own; imports nothing. */
static const char proof_source[] = "class Once:\n"
				   "    def __await__(self):\n"
				   "        yield self\n"
				   "async def outer(first, second):\n"
				   "    await Once()\n"
				   "coroutine = outer(Once, Once.__await__)\n"
				   "coroutine.send(None)\n"
				   "inner = coroutine.cr_await\n"
				   "outer_frame = coroutine.cr_frame\n"
				   "inner_frame = inner.gi_frame\n";

static bool prove_generator(PyObject *names, const char *generator, const char *frame)
{
	struct frame_ref ref;
	PyObject *g = PyDict_GetItemString(names, generator);
	PyObject *f = PyDict_GetItemString(names, frame);

	return g && f && generator_read(g, &ref) && prove_frame(f, &ref);
}

PyObject *code_local_names(const void *code)
{
	return local_names_proven ? (PyObject *)pointer_at(code, lay.code_local_names) : NULL;
}

/* Of outer() they are its two arguments. */
static void prove_local_names(PyObject *names)
{
	PyObject *frame = PyDict_GetItemString(names, "outer_frame");
	PyObject *code = frame ? PyObject_GetAttrString(frame, "f_code") : NULL;
	PyObject *want = code ? PyObject_GetAttrString(code, "co_varnames") : NULL, *raw;

	if (want && lay.code_local_names != OFF_ABSENT) {
		raw = (PyObject *)pointer_at(code, lay.code_local_names);
		local_names_proven = raw && Py_TYPE(raw) == Py_TYPE(want) &&
				     PyTuple_Size(raw) == PyTuple_Size(want) &&
				     PyTuple_GetItem(raw, 1) == PyTuple_GetItem(want, 1);
	}
	Py_DecRef(want);
	Py_DecRef(code);
	PyErr_Clear();
}

/* What outer() was called with. */
static const char *prove_variables(PyObject *names)
{
	const void *frame = generator_frame(PyDict_GetItemString(names, "coroutine"));
	PyObject *first = PyDict_GetItemString(names, "Once");
	PyObject *second = PyObject_GetAttrString(first, "__await__");

	variables_proven = frame && second && variable_at(frame, 0) == first &&
			   variable_at(frame, 1) == second;
	Py_DecRef(second);
	return variables_proven ? NULL : "the variables of a suspended coroutine were not found";
}

static const char *prove_coroutine(PyObject *names)
{
	PyObject *code = Py_CompileString(proof_source, "<awaitscope>", Py_file_input);
	PyObject *result = code ? PyEval_EvalCode(code, names, names) : NULL;
	const char *reason = NULL;
	struct frame_ref ref;
	PyObject *coroutine;

	Py_DecRef(code);
	if (!result)
		return "the proof could not run";
	Py_DecRef(result);
	if (!prove_generator(names, "coroutine", "outer_frame") ||
		!prove_generator(names, "inner", "inner_frame"))
		reason = "the frame of a suspended coroutine was not found";
	else
		hook_report("frame variables", prove_variables(names));
	if (!reason)
		prove_local_names(names);
	coroutine = PyDict_GetItemString(names, "coroutine");
	result = PyObject_CallMethod(coroutine, "close", NULL);
	if (!reason && (!result || generator_read(coroutine, &ref)))
		reason = "the end of a coroutine was not seen";
	Py_DecRef(result);
	return reason;
}

static const char *prove_generators(void)
{
	PyObject *names = PyDict_New();
	const char *reason = "out of memory";

	if (names && !PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()))
		reason = prove_coroutine(names);
	PyErr_Clear();
	if (names)
		PyDict_Clear(names);
	Py_DecRef(names);
	PyErr_Clear();
	return reason;
}

static const char *layout_choose(void)
{
	const void *runtime = dlsym(RTLD_DEFAULT, "_PyRuntime");
	int rc = layout_shipped(agent.minor, &lay);

	if (rc)
		return "no layout for this version";
	if (runtime)
		rc = layout_refine(&lay, runtime, LAYOUT_DEBUG_BYTES);
	if (rc == -ENOTSUP)
		return "a free-threaded build";
	code_type = dlsym(RTLD_DEFAULT, "PyCode_Type");
	str_type = dlsym(RTLD_DEFAULT, "PyUnicode_Type");
	bytes_type = dlsym(RTLD_DEFAULT, "PyBytes_Type");
	if (!code_type || !str_type || !bytes_type)
		return "the interpreter exports no type objects";
	if (strcmp(type_name(code_type), "code"))
		return "raw types differ from the interpreter's own";
	return NULL;
}

const struct layout *frame_layout(void)
{
	return frames_proven ? &lay : NULL;
}

int frame_open(void)
{
	PyObject *type, *value, *traceback;
	const char *reason;

	if (frames_proven)
		return 0;
	PyErr_Fetch(&type, &value, &traceback);
	reason = layout_choose();
	if (!reason)
		reason = prove_text();
	if (!reason)
		reason = prove_stack();
	frames_proven = !reason;
	hook_report("frames", reason);
	if (!reason) {
		reason = prove_generators();
		generators_proven = !reason;
		hook_report("coroutine frames", reason);
	}
	PyErr_Restore(type, value, traceback);
	return frames_proven ? 0 : -ENOTSUP;
}
