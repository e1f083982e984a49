/* Finds asyncio's C functions in a file. See task_functions.h. Must not believe what it reads. */
#include "probe/target/task_functions.h"

#include <errno.h>
#include <string.h>

#include "probe/target/machine.h"

/* Python/CPython Include/typeslots.h, Include/cpython/object.h: the same from 3.8 to 3.14 */
#define SLOT_TP_CALL 50
#define SLOT_TP_INIT 60
#define TYPE_NAME 24u
#define TYPE_CALL 128u
#define TYPE_INIT 296u
#define SPEC_SLOTS 24u /* PyType_Spec.slots */
#define SLOTS_MAX 64u  /* of one type */
#define METHOD_CODE 8u /* PyMethodDef.ml_meth */
#define METHOD_BYTES 32u
#define SENDERS_MAX 256u
#define CALLED_MAX 64u /* functions a wrapper calls */
#define STUBS_MAX 4u

static const char no_set[] = "no method of Future that sets it was found";
static const char no_register[] = "no function _register_task() was found";
static const char changed_set[] = "the compiler has changed the arguments of Future's methods";

/* ---- by symbols -------------------------------------------------------------------------- */

static struct task_function by_symbol(
	const struct elf_file *file, const char *name, const char *missing, const char *changed)
{
	uint64_t address, size;
	int rc = elf_file_symbol(file, name, &address, &size);

	if (rc)
		return (struct task_function){.why = rc == -ENOTUNIQ ? changed : missing};
	return (struct task_function){.address = address};
}

void task_functions_by_symbols(const struct elf_file *file, int minor, struct task_functions *ret)
{
	ret->step = by_symbol(file, "task_step_impl", "there is no symbol task_step_impl",
		"the compiler has changed the arguments of task_step_impl");
	ret->task_new = by_symbol(file, "_asyncio_Task___init__",
		"there is no symbol _asyncio_Task___init__",
		"the compiler has changed the arguments of _asyncio_Task___init__");
	ret->wakeup = by_symbol(file, minor < 10 ? "TaskWakeupMethWrapper_call" : "task_wakeup",
		"there is no symbol of the wakeup function",
		"the compiler has changed the arguments of the wakeup function");
	ret->set[0] = by_symbol(file, "_asyncio_Future_set_result", no_set, changed_set);
	ret->set[1] = by_symbol(file, "_asyncio_Future_set_exception", no_set, changed_set);
	ret->python = by_symbol(file, "_asyncio__register_task", no_register,
		"the compiler has changed the arguments of _register_task()");
}

/* ---- by relocations ---------------------------------------------------------------------- */

/* A function of the file begins there. */
static bool is_function(const struct elf_file *file, uint64_t address)
{
	struct elf_range range;

	return address && elf_file_function(file, address, &range) && range.begin == address;
}

struct names { /* functions that data names */
	uint64_t task_init, step_call, wakeup_call, wakeup_method, set_result, set_exception,
		register_task;
};

static uint64_t function_at(const struct elf_file *file, uint64_t slot)
{
	uint64_t function = elf_file_word(file, slot);

	return is_function(file, function) ? function : 0;
}

/* The function of one slot of a PyType_Spec's list, {int slot; void *pfunc}, ended by 0. */
static uint64_t spec_slot(const struct elf_file *file, uint64_t slots, int32_t wanted)
{
	for (unsigned int i = 0; i < SLOTS_MAX; i++, slots += 16) {
		const void *bytes = elf_file_bytes(file, slots, 16);
		int32_t slot;

		if (!bytes)
			return 0;
		memcpy(&slot, bytes, sizeof(slot));
		if (!slot)
			return 0;
		if (slot == wanted)
			return function_at(file, slots + 8);
	}
	return 0;
}

/* `at` holds a type's name: of a static type (to 3.11), or of the description of a heap type. */
static uint64_t type_slot(
	const struct elf_file *file, int minor, uint64_t at, uint64_t place, int32_t slot)
{
	if (minor < 12)
		return function_at(file, at - TYPE_NAME + place);
	return spec_slot(file, elf_file_word(file, at + SPEC_SLOTS), slot);
}

static void keep(uint64_t *kept, uint64_t found)
{
	if (!*kept)
		*kept = found;
}

/* Of Future's methods, not Task's, which have the same names: what comes after them tells. */
static void setters_take(const struct elf_file *file, uint64_t at, struct names *names)
{
	const char *second = elf_file_text(file, elf_file_word(file, at + METHOD_BYTES));
	const char *third = elf_file_text(file, elf_file_word(file, at + 2 * METHOD_BYTES));

	if (strcmp(second, "set_exception") != 0 || strcmp(third, "add_done_callback") != 0)
		return;
	keep(&names->set_result, function_at(file, at + METHOD_CODE));
	keep(&names->set_exception, function_at(file, at + METHOD_BYTES + METHOD_CODE));
}

static void name_take(const struct elf_file *file, int minor, uint64_t at, struct names *names)
{
	const char *name = elf_file_text(file, elf_file_word(file, at));

	if (!strcmp(name, "_asyncio.Task"))
		keep(&names->task_init, type_slot(file, minor, at, TYPE_INIT, SLOT_TP_INIT));
	else if (!strcmp(name, "TaskStepMethWrapper") ||
		 !strcmp(name, "_asyncio.TaskStepMethWrapper"))
		keep(&names->step_call, type_slot(file, minor, at, TYPE_CALL, SLOT_TP_CALL));
	else if (!strcmp(name, "TaskWakeupMethWrapper"))
		keep(&names->wakeup_call, type_slot(file, minor, at, TYPE_CALL, SLOT_TP_CALL));
	else if (!strcmp(name, "task_wakeup"))
		keep(&names->wakeup_method, function_at(file, at + METHOD_CODE));
	else if (!strcmp(name, "_register_task"))
		keep(&names->register_task, function_at(file, at + METHOD_CODE));
	else if (!strcmp(name, "set_result"))
		setters_take(file, at, names);
}

static void names_find(const struct elf_file *file, int minor, struct names *ret)
{
	const struct elf_segment *segment;
	size_t segments = elf_file_segments(file, &segment);

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < segments; i++) {
		if (segment[i].executable || !segment[i].bytes)
			continue;
		for (uint64_t at = (segment[i].begin + 7) & ~7ull; at + 8 <= segment[i].end;
			at += 8)
			name_take(file, minor, at, ret);
	}
}

/* ---- by calls ---------------------------------------------------------------------------- */

struct calls { /* direct calls and jumps of a range of code */
	const struct elf_file *file;
	uint64_t begin, end, at;
};

/* The next one, whether or not an instruction begins there; false: no more. */
static bool calls_next(struct calls *c, uint64_t *ret_to)
{
	const unsigned char *code = elf_file_bytes(c->file, c->begin, c->end - c->begin);
	bool jump;

	for (; code && c->at + 5 <= c->end; c->at++) {
		size_t off = c->at - c->begin;

		if (!machine_call(code + off, c->end - c->begin - off, c->at, ret_to, &jump))
			continue;
		c->at++;
		return true;
	}
	return false;
}

static bool calls_to(const struct elf_file *file, const struct elf_range *from, uint64_t to)
{
	struct calls calls = {file, from->begin, from->end, from->begin};
	uint64_t target;

	while (calls_next(&calls, &target))
		if (target == to)
			return true;
	return false;
}

struct senders {                  /* functions that send into a coroutine */
	uint64_t word;            /* of the imported function; 0: it is defined here */
	uint64_t stub[STUBS_MAX]; /* what calls of it go to */
	size_t stubs;
	uint64_t function[SENDERS_MAX];
	size_t functions;
};

static void sender_add(const struct elf_file *file, struct senders *s, uint64_t at)
{
	struct elf_range range;

	if (!elf_file_function(file, at, &range) || s->functions == SENDERS_MAX)
		return;
	for (size_t i = 0; i < s->functions; i++)
		if (s->function[i] == range.begin)
			return;
	s->function[s->functions++] = range.begin;
}

/* Stubs of the imported function, and calls that go through its word without a stub. */
static void indirect_take(const struct elf_file *file, const struct elf_segment *segment,
	uint64_t at, struct senders *s)
{
	const unsigned char *code = segment->bytes + (at - segment->begin);
	uint64_t word, start;

	if (!machine_indirect(code, segment->end - at, at, &word) || word != s->word)
		return;
	sender_add(file, s, at);
	for (start = at; at - start < 6 && start > segment->begin; start--)
		if (start + machine_stub_prefix(
				    segment->bytes + (start - segment->begin), at - start) ==
				at &&
			s->stubs < STUBS_MAX)
			s->stub[s->stubs++] = start;
}

static void direct_take(
	const struct elf_file *file, const struct elf_segment *segment, struct senders *s)
{
	struct calls calls = {file, segment->begin, segment->end, segment->begin};
	uint64_t to;

	while (calls_next(&calls, &to))
		for (size_t i = 0; i < s->stubs; i++)
			if (to == s->stub[i])
				sender_add(file, s, calls.at - 1);
}

static void senders_find(const struct elf_file *file, int minor, struct senders *s)
{
	const char *name = minor < 10 ? "_PyGen_Send" : "PyIter_Send";
	const struct elf_segment *segment;
	size_t segments = elf_file_segments(file, &segment);
	uint64_t size;

	memset(s, 0, sizeof(*s));
	s->word = elf_file_import(file, name);
	if (!s->word && !elf_file_symbol(file, name, &s->stub[0], &size))
		s->stubs = 1;
	for (size_t i = 0; i < segments && s->word; i++) {
		if (!segment[i].executable || !segment[i].bytes)
			continue;
		for (uint64_t at = segment[i].begin; at < segment[i].end; at++)
			indirect_take(file, &segment[i], at, s);
	}
	for (size_t i = 0; i < segments; i++)
		if (segment[i].executable && segment[i].bytes)
			direct_take(file, &segment[i], s);
}

/* `from` calls `to`, or calls a function that does. */
static bool leads_to(const struct elf_file *file, uint64_t from, uint64_t to)
{
	struct elf_range range, next;
	struct calls calls;
	uint64_t called;

	if (!from || !elf_file_function(file, from, &range))
		return false;
	if (calls_to(file, &range, to))
		return true;
	calls = (struct calls){file, range.begin, range.end, range.begin};
	for (unsigned int i = 0; i < CALLED_MAX && calls_next(&calls, &called);)
		if (elf_file_function(file, called, &next) && next.begin == called) {
			if (calls_to(file, &next, to))
				return true;
			i++;
		}
	return false;
}

static struct task_function found(uint64_t address, const char *why)
{
	return address ? (struct task_function){.address = address}
		       : (struct task_function){.why = why};
}

void task_functions_recover(const struct elf_file *file, int minor, struct task_functions *ret)
{
	struct senders senders;
	struct names names;
	uint64_t step = 0;
	unsigned int steps = 0;

	names_find(file, minor, &names);
	senders_find(file, minor, &senders);
	for (size_t i = 0; i < senders.functions; i++) {
		if (!leads_to(file, names.step_call, senders.function[i]) &&
			!leads_to(file, names.wakeup_method, senders.function[i]) &&
			!leads_to(file, names.wakeup_call, senders.function[i]))
			continue;
		step = senders.function[i];
		steps++;
	}
	ret->step = found(steps == 1 ? step : 0,
		steps ? "more than one function may be the step function"
		      : "no function below TaskStepMethWrapper sends into a coroutine");
	ret->task_new = found(names.task_init, "its data names no type _asyncio.Task");
	ret->wakeup = found(minor < 10 ? names.wakeup_call : names.wakeup_method,
		"its data names no wakeup function");
	ret->set[0] = found(names.set_result, no_set);
	ret->set[1] = found(names.set_exception, no_set);
	ret->python = found(names.register_task, no_register);
}
