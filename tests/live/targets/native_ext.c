/* A C extension that waits and computes below functions of its own; built by test_native.py. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <poll.h>
#include <stdint.h>
#include <time.h>

__attribute__((noinline)) static int ext_waits(int ms)
{
	volatile int rest = ms, got; /* so that the call is not its last act */

	got = poll(NULL, 0, rest);
	return got + rest - ms;
}

__attribute__((noinline)) static uint64_t ext_burns(int64_t ns)
{
	struct timespec t;
	uint64_t sum = 1;
	int64_t end;

	clock_gettime(CLOCK_MONOTONIC, &t);
	end = t.tv_sec * 1000000000 + t.tv_nsec + ns;
	do {
		for (int i = 0; i < 100000; i++)
			sum = sum * 6364136223846793005u + 1442695040888963407u;
		clock_gettime(CLOCK_MONOTONIC, &t);
	} while (t.tv_sec * 1000000000 + t.tv_nsec < end);
	return sum;
}

static PyObject *block(PyObject *self, PyObject *ms)
{
	int got = ext_waits((int)PyLong_AsLong(ms)); /* and holds the GIL */

	return PyLong_FromLong(got);
}

static PyObject *burn(PyObject *self, PyObject *ms)
{
	uint64_t sum = ext_burns(PyLong_AsLong(ms) * 1000000);

	return PyLong_FromUnsignedLongLong(sum);
}

static PyMethodDef methods[] = {
	{"block", block, METH_O, NULL}, {"burn", burn, METH_O, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {
	PyModuleDef_HEAD_INIT, "native_ext", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_native_ext(void)
{
	return PyModule_Create(&module);
}
