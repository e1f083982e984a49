/*
 * Slot hooks on _asyncio.Task and its two callback types: every task of the C module, however made,
 * and every step of it. Each hook calls the original exactly once, adds no frame and changes no
 * result.
 */
#include "probe/agent/boot.h"
#include "probe/agent/slot.h"
#include "probe/agent/task.h"
#include "probe/agent/wakeup.h"

typedef PyObject *(*call_fn)(PyObject *, PyObject *, PyObject *);
typedef int (*init_fn)(PyObject *, PyObject *, PyObject *);
typedef void (*finalize_fn)(PyObject *);
typedef PyObject *(*fast_fn)(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
typedef PyObject *(*class_fn)(PyObject *, PyTypeObject *, PyObject *const *, size_t, PyObject *);

static const char shown[] = "_asyncio.Task.__init__";
static struct task_layout layout;
static union original {
	void *pointer;
	call_fn call;
	init_fn init;
	finalize_fn finalize;
	PyCFunction method;
	fast_fn fast;
	class_fn in_class;
} task_init, task_finalize, step_call, wakeup_call, wakeup_method, task_cancel, task_set_name;

static PyObject *str_cr_suspended;

/* ---- creation ----------------------------------------------------------- */

/*
 * Whether an eager task took its first step: it is done, waits, or its coroutine has begun. Without
 * a running loop it does not. rc: what its __init__ returned; it fails where the step raises
 * KeyboardInterrupt or SystemExit.
 */
static bool eager_stepped(PyObject *task, int rc)
{
	PyObject *coro = object_at(task, layout.coro), *suspended;
	bool begun;

	if (rc || object_int_at(task, layout.state) != TASK_PENDING || !coro)
		return object_int_at(task, layout.state) != TASK_PENDING;
	if (object_at(task, layout.waiter))
		return true;
	if (!task_coro_native(coro) || !str_cr_suspended)
		return loop_runs_here(object_at(task, layout.loop));
	suspended = object_get(coro, str_cr_suspended);
	begun = suspended == Py_True;
	Py_DecRef(suspended);
	return begun;
}

static struct task_after after_of(PyObject *task)
{
	return (struct task_after){
		.coro = object_at(task, layout.coro),
		.waiter = object_at(task, layout.waiter),
		.exception = object_at(task, layout.exception),
		.state = (uint32_t)object_int_at(task, layout.state),
	};
}

static void born(PyObject *task, struct task_birth *birth)
{
	birth->coro = object_at(task, layout.coro);
	task_birth_write(birth, task, object_at(task, layout.loop), object_at(task, layout.name));
}

static int init_eager(PyObject *self, PyObject *args, PyObject *kwargs, struct task_birth *birth)
{
	bool announced = task_birth_eager(birth, self, kwargs);
	struct error_aside error;
	struct task_after after;
	struct task_step step;
	uint64_t end_ns;
	int rc;

	task_step_begin(self, NULL, &step);
	rc = task_init.init(self, args, kwargs);
	end_ns = task_step_end(self, &step);
	if (!agent.on || (rc && !announced))
		return rc;
	error_put_aside(&error);
	if (announced)
		task_name_write(self, object_at(self, layout.name));
	else
		born(self, birth);
	if (eager_stepped(self, rc)) {
		after = after_of(self);
		task_step_write(self, &step, end_ns, &after);
	}
	error_restore(&error);
	return rc;
}

static int on_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct task_birth birth;
	int rc;

	if (!task_due())
		return task_init.init(self, args, kwargs);
	cell_try();
	task_birth_take(task_coro_arg(args, 0, kwargs), 0, &birth);
	if (task_is_eager(kwargs))
		return init_eager(self, args, kwargs, &birth);
	rc = task_init.init(self, args, kwargs);
	if (rc == 0 && agent.on)
		born(self, &birth);
	return rc;
}

/* ---- steps -------------------------------------------------------------- */

/*
 * After the original has returned: NULL means that an error is on its way, KeyboardInterrupt or
 * SystemExit.
 */
static void step_done(PyObject *task, const struct task_step *step, PyObject *result)
{
	uint64_t end_ns = task_step_end(task, step);
	struct error_aside error;
	struct task_after after;

	if (!agent.on || step->begin_ns < agent.since_ns)
		return;
	if (result && !object_at(task, layout.waiter) &&
		object_int_at(task, layout.state) == TASK_PENDING) {
		task_step_again(task, step, end_ns);
		return;
	}
	if (!result)
		error_put_aside(&error);
	after = after_of(task);
	task_step_write(task, step, end_ns, &after);
	if (!result)
		error_restore(&error);
}

bool task_is_step(PyObject *function)
{
	const PyTypeObject *type = Py_TYPE(function);

	return type == layout.step || type == layout.wakeup ||
	       (type == &PyCFunction_Type &&
		       object_at(function, CFUNCTION_DEF_OFF) == layout.wakeup_def);
}

/* Because its future is done, or with an exception (NULL: neither, or the other). */
static void step_begin(PyObject *task, PyObject *future, PyObject *exception, struct task_step *ret)
{
	task_step_begin(task, object_at(task, layout.loop), ret);
	if (future)
		wakeup_begin(task, object_at(task, layout.coro), future, ret->begin_ns);
	else if (__builtin_expect(exception && PyExceptionInstance_Check(exception), 0))
		wakeup_received(task, object_at(task, layout.coro), exception, ret->begin_ns);
}

static PyObject *on_step(PyObject *self, PyObject *args, PyObject *kwargs)
{
	PyObject *task, *result;
	long off = layout.step_exception;
	struct task_step step;

	if (!task_due() || !(task = object_at(self, WRAPPER_TASK_OFF)))
		return step_call.call(self, args, kwargs);
	Py_IncRef(task); /* the wrapper may lose it inside the call */
	step_begin(task, NULL, off ? object_at(self, off) : NULL, &step);
	result = step_call.call(self, args, kwargs);
	step_done(task, &step, result);
	Py_DecRef(task);
	return result;
}

static PyObject *on_wakeup_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
	PyObject *task, *result;
	struct task_step step;

	if (!task_due() || !(task = object_at(self, WRAPPER_TASK_OFF)))
		return wakeup_call.call(self, args, kwargs);
	Py_IncRef(task);
	step_begin(task, PyTuple_Size(args) > 0 ? PyTuple_GetItem(args, 0) : NULL, NULL, &step);
	result = wakeup_call.call(self, args, kwargs);
	step_done(task, &step, result);
	Py_DecRef(task);
	return result;
}

static PyObject *on_wakeup_method(PyObject *task, PyObject *future)
{
	struct task_step step;
	PyObject *result;

	if (!task_due())
		return wakeup_method.method(task, future);
	Py_IncRef(task);
	step_begin(task, future, NULL, &step);
	result = wakeup_method.method(task, future);
	step_done(task, &step, result);
	Py_DecRef(task);
	return result;
}

/* ---- cancel, set_name, finalize ----------------------------------------- */

/* After the original: False where the task was done already, which changes nothing. */
static PyObject *cancelled(PyObject *task, PyObject *result)
{
	if (result == Py_True && agent_ours())
		task_cancel_write(task, task_here());
	return result;
}

static PyObject *on_cancel(PyObject *self, PyObject *none)
{
	return cancelled(self, task_cancel.method(self, none));
}

static PyObject *on_cancel_fast(
	PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	return cancelled(self, task_cancel.fast(self, args, count, names));
}

static PyObject *on_cancel_class(
	PyObject *self, PyTypeObject *type, PyObject *const *args, size_t count, PyObject *names)
{
	return cancelled(self, task_cancel.in_class(self, type, args, count, names));
}

static PyObject *on_set_name(PyObject *self, PyObject *value)
{
	PyObject *result = task_set_name.method(self, value);

	if (result && agent_ours()) {
		thread_seen();
		task_name_write(self, object_at(self, layout.name));
	}
	return result;
}

static void on_finalize(PyObject *self)
{
	struct error_aside error;
	uint32_t flags = 0;

	if (agent_ours() && object_at(self, layout.coro)) {
		error_put_aside(&error);
		if (object_int_at(self, layout.state) == TASK_PENDING) {
			flags = GONE_PENDING;
			if (!object_described_true(layout.log_destroy_pending, self))
				flags |= GONE_QUIET;
		} else if (object_at(self, layout.exception) &&
			   object_described_true(layout.log_traceback, self)) {
			flags = GONE_UNRETRIEVED;
		}
		if (flags) {
			thread_seen();
			task_gone_write(self, flags);
		}
		error_restore(&error);
	}
	task_finalize.finalize(self);
}

/* ---- installation ------------------------------------------------------- */

static void wakeup_place(void)
{
	static const char name[] = "_asyncio task wakeup";
	struct method_def *def = layout.wakeup_def;

	if (layout.wakeup) {
		slot_place(layout.wakeup, SLOT_CALL, "__call__", on_wakeup_call,
			&wakeup_call.pointer, name);
		return;
	}
	wakeup_method.pointer = def->function;
	method_place(def, on_wakeup_method, name);
}

static void cancel_place(void)
{
	static const char name[] = "_asyncio.Task.cancel";
	struct method_def *def = method_find(layout.task, "cancel");
	void *hook = NULL;

	if (def && def->flags == METH_NOARGS)
		hook = on_cancel;
	else if (def && def->flags == CALL_FASTCALL_KEYWORDS)
		hook = on_cancel_fast;
	else if (def && def->flags == CALL_METHOD)
		hook = on_cancel_class;
	if (!hook) {
		hook_report(name, "not a method of a known kind");
		return;
	}
	task_cancel.pointer = def->function;
	method_place(def, hook, name);
}

static void set_name_place(void)
{
	static const char name[] = "_asyncio.Task.set_name";
	struct method_def *def = method_find(layout.task, "set_name");

	if (!def || def->flags != METH_O) {
		hook_report(name, "not a method of a known kind");
		return;
	}
	task_set_name.pointer = def->function;
	method_place(def, on_set_name, name);
}

static int hooks_place(void)
{
	int rc = slot_place(layout.step, SLOT_CALL, "__call__", on_step, &step_call.pointer,
		"_asyncio task step");
	if (rc)
		return rc;
	wakeup_place();
	rc = slot_place(layout.task, SLOT_INIT, "__init__", on_init, &task_init.pointer, shown);
	if (rc == 0)
		slot_inherit(layout.task, SLOT_INIT, task_init.pointer, on_init);
	rc = slot_place(layout.task, SLOT_FINALIZE, "__del__", on_finalize, &task_finalize.pointer,
		"_asyncio.Task.__del__");
	if (rc == 0)
		slot_inherit(layout.task, SLOT_FINALIZE, task_finalize.pointer, on_finalize);
	cancel_place();
	set_name_place();
	return 0;
}

int task_open(void)
{
	const char *reason = NULL;
	int rc = boot_task(&layout, &reason);

	wakeup_open(rc ? NULL : &layout);
	if (rc) {
		hook_report(shown, reason);
		return rc;
	}
	str_cr_suspended = PyUnicode_InternFromString("cr_suspended");
	rc = hooks_place();
	Py_DecRef((PyObject *)layout.task);
	return rc;
}
