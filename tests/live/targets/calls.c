/* An extension module whose calls into libc go through its own table, for tests of the agent's
 * wrappers. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51 /* asm/auxvec.h, Linux 5.14 */
#endif
#define HANDLER_BYTES 3072 /* of stack that a handler may use which sleeps */

static useconds_t nap_us;
static volatile sig_atomic_t naps;
static int null_fd;
static volatile sig_atomic_t signals;
static volatile sig_atomic_t spoiled; /* times that a call changed errno although it succeeded */

static PyObject *nap(PyObject *self, PyObject *arg)
{
	useconds_t us = (useconds_t)PyLong_AsLong(arg);

	Py_BEGIN_ALLOW_THREADS usleep(us);
	Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

/* The child shares our memory and our thread's data until it is gone. */
static PyObject *vfork_nap(PyObject *self, PyObject *arg)
{
	useconds_t us = (useconds_t)PyLong_AsLong(arg);
	int status = -1;
	pid_t pid = vfork();

	if (pid == 0) {
		usleep(us);
		_exit(7);
	}
	waitpid(pid, &status, 0);
	return PyLong_FromLong(WEXITSTATUS(status));
}

static void on_signal(int number)
{
	int error = errno;
	char byte;

	errno = E2BIG;
	if (read(null_fd, &byte, 1) || errno != E2BIG)
		spoiled++;
	signals++;
	errno = error;
}

/* A signal every so many microseconds, whose handler calls into libc. */
static PyObject *storm_begin(PyObject *self, PyObject *arg)
{
	long us = PyLong_AsLong(arg);
	struct itimerval every = {{0, us}, {0, us}};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	Py_RETURN_NONE;
}

/* (whether signals came, how often errno was spoiled) */
static PyObject *storm_end(PyObject *self, PyObject *arg)
{
	struct itimerval none = {{0, 0}, {0, 0}};

	setitimer(ITIMER_REAL, &none, NULL);
	return Py_BuildValue("(Oi)", signals > 100 ? Py_True : Py_False, (int)spoiled);
}

static void on_small_stack(int number)
{
	(void)number;
	usleep(nap_us);
	naps++;
}

/*
 * A handler whose own stack has room for the kernel's frame, a few calls, and no more: below it
 * lies no memory. It may come again while it runs, so its signal is not blocked.
 */
static PyObject *nap_on_a_small_stack(PyObject *self, PyObject *arg)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = getauxval(AT_MINSIGSTKSZ);
	size_t size = (room + HANDLER_BYTES + page - 1) / page * page;
	char *low =
		mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t stack = {.ss_sp = low + page, .ss_size = room + HANDLER_BYTES};
	struct sigaction action = {
		.sa_handler = on_small_stack, .sa_flags = SA_ONSTACK | SA_NODEFER};

	if (low == MAP_FAILED || mprotect(low, page, PROT_NONE) || sigaltstack(&stack, NULL))
		return PyErr_SetFromErrno(PyExc_OSError);
	nap_us = (useconds_t)PyLong_AsLong(arg);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	return PyLong_FromLong(naps);
}

static PyMethodDef methods[] = {
	{"nap", nap, METH_O, NULL},
	{"vfork_nap", vfork_nap, METH_O, NULL},
	{"storm_begin", storm_begin, METH_O, NULL},
	{"nap_on_a_small_stack", nap_on_a_small_stack, METH_O, NULL},
	{"storm_end", storm_end, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "calls", NULL, -1, methods};

PyMODINIT_FUNC PyInit_calls(void)
{
	return PyModule_Create(&module);
}
