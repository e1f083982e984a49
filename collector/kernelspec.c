/* Jupyter's kernel folders, in Jupyter's order. See kernelspec.h. */
#include "collector/kernelspec.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "collector/program.h"
#include "probe/base/cleanup.h"

#define NATIVE "python3" /* the kernel that every ipykernel is, described or not */
#define DIRS_MAX 32      /* JUPYTER_PATH may name more: those are not searched */

struct dirs { /* folders that hold kernel folders */
	char *path[DIRS_MAX];
	size_t count;
};

static void dirs_free(struct dirs *d)
{
	for (size_t i = 0; i < d->count; i++)
		free(d->path[i]);
}

static void add(struct dirs *d, const char *base, const char *below)
{
	if (!base || !*base || d->count == DIRS_MAX)
		return;
	if (asprintf(&d->path[d->count], "%s%s", base, below) >= 0)
		d->count++;
}

static void add_each(struct dirs *d, const char *list, const char *below)
{
	cleanup(freep) char *copy = list ? strdup(list) : NULL;
	char *rest = copy, *one;

	while (rest && (one = strsep(&rest, ":")))
		add(d, one, below);
}

/* jupyter_core's paths.py: JUPYTER_PATH, then the environment's and the user's, then the system's.
 */
static void dirs_fill(struct dirs *d)
{
	const char *data = getenv("JUPYTER_DATA_DIR"), *xdg = getenv("XDG_DATA_HOME"),
		   *home = getenv("HOME");
	cleanup(freep) char *python = program_find("python3");

	add_each(d, getenv("JUPYTER_PATH"), "/kernels");
	add(d, getenv("VIRTUAL_ENV"), "/share/jupyter/kernels");
	add(d, getenv("CONDA_PREFIX"), "/share/jupyter/kernels");
	if (data && *data)
		add(d, data, "/kernels");
	else if (xdg && *xdg)
		add(d, xdg, "/jupyter/kernels");
	else
		add(d, home, "/.local/share/jupyter/kernels");
	if (python)
		*strrchr(python, '/') = '\0';
	add(d, python, "/../share/jupyter/kernels");
	add(d, "/usr/local", "/share/jupyter/kernels");
	add(d, "/usr", "/share/jupyter/kernels");
	add(d, home, "/.ipython/kernels");
}

void kernelspec_free(struct kernelspec *k)
{
	if (!k)
		return;
	free(k->name);
	free(k->dir);
	free(k->interpreter);
	free(k->language);
	free(k);
}

static void kernelspec_freep(struct kernelspec **k)
{
	kernelspec_free(*k);
}

static void decrefp(json_t **json)
{
	json_decref(*json);
}

/* The program of a kernel: "python" means that of the prefix its folder stands in, as the tool that
 * installed it did. */
static char *interpreter_of(const char *dir, const char *program)
{
	const char *share = strstr(dir, "/share/jupyter/kernels/");
	cleanup(freep) char *path = NULL;

	if (!program || !*program)
		return NULL;
	if (!strchr(program, '/') && share) {
		if (asprintf(&path, "%.*s/bin/%s", (int)(share - dir), dir, program) < 0)
			return NULL;
		if (!access(path, X_OK))
			return TAKE(path);
	}
	return program_find(program);
}

/* -ENOENT where the folder describes no kernel. */
static int load(const char *name, char *dir, struct kernelspec **ret)
{
	cleanup(kernelspec_freep) struct kernelspec *k = calloc(1, sizeof(*k));
	cleanup(freep) char *file = NULL;
	cleanup(decrefp) json_t *json = NULL;
	const char *language;

	if (!k || asprintf(&file, "%s/kernel.json", dir) < 0)
		return -ENOMEM;
	json = json_load_file(file, JSON_ALLOW_NUL, NULL);
	if (!json)
		return -ENOENT;
	language = json_string_value(json_object_get(json, "language"));
	k->name = strdup(name);
	k->dir = strdup(dir);
	k->interpreter = interpreter_of(
		dir, json_string_value(json_array_get(json_object_get(json, "argv"), 0)));
	k->language = language ? strdup(language) : NULL;
	if (!k->name || !k->dir)
		return -ENOMEM;
	*ret = TAKE(k);
	return 0;
}

/* Calls each() for every kernel folder until it returns 0 or an error other than -ENOENT. */
static int for_each(int (*each)(void *ctx, const char *name, char *dir), void *ctx)
{
	cleanup(dirs_free) struct dirs dirs = {0};
	int rc = -ENOENT;

	dirs_fill(&dirs);
	for (size_t i = 0; i < dirs.count && rc == -ENOENT; i++) {
		DIR *dir = opendir(dirs.path[i]);
		struct dirent *entry;

		while (dir && rc == -ENOENT && (entry = readdir(dir))) {
			cleanup(freep) char *path = NULL;

			if (entry->d_name[0] == '.')
				continue;
			rc = asprintf(&path, "%s/%s", dirs.path[i], entry->d_name) < 0
				     ? -ENOMEM
				     : each(ctx, entry->d_name, path);
		}
		if (dir)
			closedir(dir);
	}
	return rc;
}

struct search {
	const char *name;
	struct kernelspec *found;
};

static int search_one(void *ctx, const char *name, char *dir)
{
	struct search *s = ctx;

	return strcasecmp(name, s->name) ? -ENOENT : load(name, dir, &s->found);
}

int kernelspec_find(const char *name, struct kernelspec **ret)
{
	struct search search = {.name = strcmp(name, "python") ? name : NATIVE};
	cleanup(kernelspec_freep) struct kernelspec *native = NULL;
	int rc = for_each(search_one, &search);

	if (!rc)
		*ret = search.found;
	if (rc != -ENOENT || strcmp(search.name, NATIVE))
		return rc;
	native = calloc(1, sizeof(*native));
	if (!native || !(native->name = strdup(NATIVE)) || !(native->language = strdup("python")))
		return -ENOMEM;
	*ret = TAKE(native);
	return 0;
}

static int list_one(void *ctx, const char *name, char *dir)
{
	cleanup(kernelspec_freep) struct kernelspec *k = NULL;
	json_t *names = ctx;

	if (!load(name, dir, &k))
		json_object_set_new(names, name, json_true());
	return -ENOENT; /* go on */
}

char *kernelspec_names(void)
{
	cleanup(decrefp) json_t *names = json_object();
	char *text = NULL;
	const char *name;
	json_t *value;
	size_t size;
	FILE *out;

	if (!names)
		return NULL;
	for_each(list_one, names);
	if (!json_object_size(names))
		json_object_set_new(names, NATIVE, json_true());
	out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	json_object_foreach(names, name, value) fprintf(out, "%s%s", ftell(out) ? ", " : "", name);
	return fclose(out) ? NULL : text;
}

char *kernelspec_of_notebook(const char *path)
{
	/* lenient: the driver judges whether it is a notebook */
	cleanup(decrefp) json_t *json =
		json_load_file(path, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	json_t *spec = json_object_get(json_object_get(json, "metadata"), "kernelspec");
	const char *name = json_string_value(json_object_get(spec, "name"));

	return name && *name ? strdup(name) : NULL;
}
