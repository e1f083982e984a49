/*
 * Which interpreters are served. Asked by the preload object before it does anything, by the agent,
 * and by the recorder, that says why one was not traced; so no libc and no Python.
 */
#ifndef PROBE_PYTHON_H
#define PROBE_PYTHON_H

#define PYTHON_MINOR_MIN 8
#define PYTHON_MINOR_MAX 14

enum python_kind {
	PYTHON_SERVED,
	PYTHON_OLD,
	PYTHON_NEW,
	PYTHON_FREE_THREADED,
	PYTHON_PYPY,
	PYTHON_UNKNOWN, /* no version at all */
};

static inline int python_says(const char *version, const char *part)
{
	for (; *version; version++) {
		const char *a = version, *b = part;

		while (*b && *a == *b) {
			a++;
			b++;
		}
		if (!*b)
			return 1;
	}
	return 0;
}

/* A number of at most three digits. */
static inline const char *python_number(const char *p, int *ret)
{
	int digits = 0;

	*ret = 0;
	for (; *p >= '0' && *p <= '9' && digits < 3; p++, digits++)
		*ret = *ret * 10 + (*p - '0');
	return p;
}

/* What Py_GetVersion() says: "3.11.2 (main, ...)", "3.13.0 experimental free-threading build (...".
 */
static inline enum python_kind python_kind(const char *version, int *ret_minor)
{
	const char *p;
	int major;

	p = python_number(version, &major);
	if (python_says(version, "PyPy"))
		return PYTHON_PYPY;
	if (major == 0 || *p != '.')
		return PYTHON_UNKNOWN;
	python_number(p + 1, ret_minor);
	if (major < 3 || (major == 3 && *ret_minor < PYTHON_MINOR_MIN))
		return PYTHON_OLD;
	if (major > 3 || *ret_minor > PYTHON_MINOR_MAX)
		return PYTHON_NEW;
	return python_says(version, "free-threading") ? PYTHON_FREE_THREADED : PYTHON_SERVED;
}

#endif
