/* An extension module whose calls into libc go through its own table, for tests of the agent's wrappers. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static int null_fd;
static volatile sig_atomic_t signals;
static volatile sig_atomic_t spoiled; /* times that a call changed errno although it succeeded */

static PyObject *nap(PyObject *self, PyObject *arg)
{
	useconds_t us = (useconds_t)PyLong_AsLong(arg);

	Py_BEGIN_ALLOW_THREADS
	usleep(us);
	Py_END_ALLOW_THREADS
	Py_RETURN_NONE;
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

static PyMethodDef methods[] = {
	{"nap", nap, METH_O, NULL},
	{"vfork_nap", vfork_nap, METH_O, NULL},
	{"storm_begin", storm_begin, METH_O, NULL},
	{"storm_end", storm_end, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "calls", NULL, -1, methods};

PyMODINIT_FUNC PyInit_calls(void)
{
	return PyModule_Create(&module);
}
