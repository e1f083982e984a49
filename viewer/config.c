/* Reads the settings of a check: finds the file, has it parsed, and takes each key by one table. */
#include "viewer/config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "probe/base/cleanup.h"
#include "probe/base/units.h"
#include "viewer/rule.h"
#include "viewer/toml.h"

#define OWN_NAME "awaitscope.toml"
#define PROJECT_NAME "pyproject.toml"
#define CONFIG_MOST (1 << 20) /* bytes; a larger file is no configuration */

struct reader { /* of one file */
	struct config *config;
	const char *path;
	char *why;
	size_t size;
};

static int wrong(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int wrong(struct reader *r, const char *format, ...)
{
	va_list args;
	int n = snprintf(r->why, r->size, "%s: ", r->path);

	va_start(args, format);
	if (n >= 0 && (size_t)n < r->size)
		vsnprintf(r->why + n, r->size - (size_t)n, format, args);
	va_end(args);
	return -EINVAL;
}

/* ---- keys */

static int take_duration(struct reader *r, const char *key, const json_t *value, uint64_t *ret_ns)
{
	const char *text = json_string_value(value);
	uint64_t ns;

	if (!text || duration_parse(text, 0, &ns) || !ns)
		return wrong(r, "%s needs a duration with its unit, as %s = \"250ms\"", key, key);
	*ret_ns = ns;
	return 0;
}

static int take_stall(struct reader *r, const char *key, const json_t *value)
{
	return take_duration(r, key, value, &r->config->stall_ns);
}

static int take_min_block(struct reader *r, const char *key, const json_t *value)
{
	return take_duration(r, key, value, &r->config->min_block_ns);
}

static int take_await_timeout(struct reader *r, const char *key, const json_t *value)
{
	return take_duration(r, key, value, &r->config->await_timeout_ns);
}

static int take_allow_unchecked(struct reader *r, const char *key, const json_t *value)
{
	if (!json_is_boolean(value))
		return wrong(r, "%s needs true or false", key);
	r->config->allow_unchecked = json_is_true(value);
	return 0;
}

static int fail_on_add(struct reader *r, const char *key, const json_t *value)
{
	const char *text = json_string_value(value), **at;

	if (!text)
		return wrong(r, "%s needs conditions as texts: %s = [\"error\", \"leaked=0\"]", key,
			key);
	at = list_add(&r->config->fail_on);
	if (!at)
		return -ENOMEM;
	*at = text;
	return 0;
}

static int take_fail_on(struct reader *r, const char *key, const json_t *value)
{
	size_t i;
	const json_t *item;
	int rc = 0;

	if (!json_is_array(value))
		return fail_on_add(r, key, value);
	if (!json_array_size(value))
		return wrong(
			r, "%s is empty, so nothing could fail; leave it out for [\"error\"]", key);
	json_array_foreach(value, i, item) rc = rc ? rc : fail_on_add(r, key, item);
	return rc;
}

static int take_baseline(struct reader *r, const char *key, const json_t *value)
{
	const char *text = json_string_value(value), *folder = r->config->allow.folder;

	if (!text || !*text)
		return wrong(r, "%s needs the path of a trace", key);
	if (asprintf(&r->config->baseline, "%s%s%s", *text == '/' ? "" : folder,
		    *text == '/' ? "" : "/", text) < 0) {
		r->config->baseline = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int allow_key(struct reader *r, const char *key, const json_t *value, struct allowance *a)
{
	const char *text = json_string_value(value);

	if (!text || !*text)
		return wrong(r, "%s of an entry of allow needs a text", key);
	if (!strcmp(key, "file"))
		a->file = text;
	else if (!strcmp(key, "function"))
		a->function = text;
	else if (!strcmp(key, "reason"))
		a->reason = text;
	else if (!strcmp(key, "rule"))
		a->rule = rule_find(text);
	else
		return wrong(r,
			"an entry of allow has no key %s; there are rule, file, function and "
			"reason",
			key);
	if (!strcmp(key, "rule") && !a->rule)
		return wrong(r, "no rule is called %s; awaitscope rules lists them", text);
	return 0;
}

static int allow_add(struct reader *r, json_t *entry)
{
	struct allowance a = {0}, *at;
	const char *key;
	json_t *value;
	int rc = 0;

	if (!json_is_object(entry))
		return wrong(r, "allow needs tables: [[allow]] with rule, file or function");
	json_object_foreach(entry, key, value) rc = rc ? rc : allow_key(r, key, value, &a);
	if (rc)
		return rc;
	if (!a.rule && !a.file && !a.function)
		return wrong(r, "an entry of allow names neither rule, file nor function, so it "
				"would allow everything");
	at = list_add(&r->config->allow.entries);
	if (!at)
		return -ENOMEM;
	*at = a;
	return 0;
}

static int take_allow(struct reader *r, const char *key, const json_t *value)
{
	size_t i;
	json_t *item;
	int rc = 0;

	if (!json_is_array(value))
		return wrong(r, "%s needs tables: [[%s]] with rule, file or function", key, key);
	json_array_foreach(value, i, item) rc = rc ? rc : allow_add(r, item);
	return rc;
}

static const struct key {
	const char *name;
	int (*take)(struct reader *r, const char *key, const json_t *value);
} keys[] = {
	{"fail-on", take_fail_on},
	{"allow-unchecked", take_allow_unchecked},
	{"baseline", take_baseline},
	{"stall", take_stall},
	{"min-block", take_min_block},
	{"await-timeout", take_await_timeout},
	{"allow", take_allow},
};
#define KEYS (sizeof(keys) / sizeof(*keys))

static int key_unknown(struct reader *r, const char *name)
{
	char known[256] = "", *p = known; /* every name of the table fits */

	for (size_t i = 0; i < KEYS; i++)
		p += snprintf(p, (size_t)(known + sizeof(known) - p), "%s%s", i ? ", " : "",
			keys[i].name);
	return wrong(r, "there is no key %s; there are %s", name, known);
}

static int keys_take(struct reader *r, json_t *table)
{
	const char *name;
	json_t *value;
	int rc;

	json_object_foreach(table, name, value)
	{
		const struct key *key = NULL;

		for (size_t i = 0; i < KEYS; i++)
			if (!strcmp(keys[i].name, name))
				key = &keys[i];
		rc = key ? key->take(r, name, value) : key_unknown(r, name);
		if (rc)
			return rc;
	}
	return 0;
}

/* ---- files */

/* Ordinary files, and /dev/null for none at all. */
static int text_read(struct reader *r, char **ret, size_t *ret_n)
{
	cleanup(closep) int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	cleanup(freep) char *text = NULL;
	struct stat st;
	size_t n = 0;
	ssize_t got = 1;

	if (fd < 0 || fstat(fd, &st))
		return wrong(r, "cannot be read: %s", strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return wrong(r, "is no ordinary file, so it is no configuration");
	text = malloc(CONFIG_MOST + 1);
	if (!text)
		return -ENOMEM;
	while (n <= CONFIG_MOST && got > 0) {
		got = read(fd, text + n, CONFIG_MOST + 1 - n);
		if (got < 0)
			return wrong(r, "cannot be read: %s", strerror(errno));
		n += (size_t)got;
	}
	if (n > CONFIG_MOST)
		return wrong(r, "is larger than 1 MiB, so it is no configuration");
	*ret = TAKE(text);
	*ret_n = n;
	return 0;
}

static bool is_project(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !strcmp(slash ? slash + 1 : path, PROJECT_NAME);
}

static int folder_set(struct config *config, const char *path)
{
	cleanup(freep) char *whole = realpath(path, NULL);
	char *slash = whole ? strrchr(whole, '/') : NULL;

	if (!slash)
		return -ENOMEM;
	slash[slash == whole] = '\0';
	config->allow.folder = TAKE(whole);
	config->path = strdup(path);
	config->allow.name = config->path;
	return config->path ? 0 : -ENOMEM;
}

/* 1: a pyproject.toml that says nothing to us. */
static int file_take(struct config *config, const char *path, char *why, size_t size)
{
	struct reader r = {config, path, why, size};
	cleanup(freep) char *text = NULL;
	char where[512];
	size_t n = 0;
	json_t *table;
	int rc = text_read(&r, &text, &n);

	if (!rc)
		rc = toml_read(text, n, where, sizeof(where), &config->values);
	if (rc == -EINVAL && text)
		return wrong(&r, "this is no TOML: %s", where);
	if (rc)
		return rc;
	table = config->values;
	if (is_project(path)) {
		table = json_object_get(json_object_get(table, "tool"), "awaitscope");
		if (!table)
			return 1;
		if (!json_is_object(table))
			return wrong(&r, "tool.awaitscope needs to be a table");
	}
	rc = folder_set(config, path);
	return rc ? rc : keys_take(&r, table);
}

/* From the current folder up to the root: 1: there is none. */
static int file_find(struct config *config, char *why, size_t size)
{
	static const char *const names[] = {OWN_NAME, PROJECT_NAME};
	char folder[PATH_MAX], path[PATH_MAX + sizeof(PROJECT_NAME) + 1];
	int rc = 1;

	if (!getcwd(folder, sizeof(folder)) || *folder != '/')
		return 1;
	for (;;) {
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
			snprintf(path, sizeof(path), "%s%s%s", folder, folder[1] ? "/" : "",
				names[i]);
			if (access(path, F_OK))
				continue;
			rc = file_take(config, path, why, size);
			if (rc <= 0)
				return rc;
			config_free(config);
		}
		if (!folder[1])
			return 1;
		strrchr(folder, '/')[strrchr(folder, '/') == folder] = '\0';
	}
}

int config_read(const char *path, char *why, size_t size, struct config *ret)
{
	int rc = path ? file_take(ret, path, why, size) : file_find(ret, why, size);

	if (rc == 1 && path) {
		snprintf(why, size, "%s: has no table [tool.awaitscope]", path);
		return -EINVAL;
	}
	if (rc == -ENOMEM)
		snprintf(why, size, "out of memory");
	return rc < 0 ? rc : 0;
}

void config_free(struct config *config)
{
	free(config->path);
	free(config->allow.folder);
	free(config->allow.entries.at);
	free(config->fail_on.at);
	free(config->baseline);
	json_decref(config->values);
	*config = (struct config){0};
}
