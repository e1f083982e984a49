/* Classification of code by its file name, and the public names of library functions. Pure
 * functions. */
#include "collector/place.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/shorten.h"
#include "probe/base/cleanup.h"
#include "probe/base/text.h"

#define DIGITS "0123456789"
#define INPUT_HASH_BYTES 6 /* of the hash in the name of a cell's file */

static bool starts_with(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

/* Path below a folder that is a component of it, the last such folder; NULL: none. */
static const char *below(const char *file, const char *folder)
{
	const char *found = NULL;

	for (const char *p = strstr(file, folder); p; p = strstr(p + 1, folder))
		found = p + strlen(folder);
	return found;
}

static const char *below_stdlib(const char *file, const char *stdlib)
{
	size_t n = strlen(stdlib), folder = n;

	if (!n)
		return NULL;
	if (!strncmp(file, stdlib, n) && file[n] == '/') {
		file += n + 1;
		return starts_with(file, "lib-dynload/") ? file + strlen("lib-dynload/") : file;
	}
	/* The zipped library stands beside the folder: lib/python311.zip/asyncio/tasks.py. */
	while (folder && stdlib[folder - 1] != '/')
		folder--;
	if (!strncmp(file, stdlib, folder) && starts_with(file + folder, "python")) {
		const char *zip = strstr(file + folder, ".zip/");

		return zip ? zip + strlen(".zip/") : NULL;
	}
	return NULL;
}

/* "requests/api.py" -> "requests.api"; "asyncio/__init__.py" -> "asyncio". */
static void module_of_path(const char *path, char *buf, size_t size)
{
	size_t n = strlen(path);
	const char *dot = strrchr(path, '.');

	if (dot && !strchr(dot, '/'))
		n = (size_t)(dot - path);
	if (n >= strlen("/__init__") &&
		!strncmp(path + n - strlen("/__init__"), "/__init__", strlen("/__init__")))
		n -= strlen("/__init__");
	if (n >= size)
		n = size - 1;
	for (size_t i = 0; i < n; i++)
		buf[i] = path[i] == '/' ? '.' : path[i];
	buf[n] = '\0';
}

/* Names in angle brackets are no files: code typed in is the user's, code made by libraries is
 * theirs. */
static struct place bracketed(const char *file, const char *function)
{
	struct place p = {.owner = PLACE_GENERATED};

	if (starts_with(file, "<frozen ")) {
		p.owner = PLACE_STDLIB;
		snprintf(p.module, sizeof(p.module), "%s", file + strlen("<frozen "));
		p.module[strcspn(p.module, ">")] = '\0';
		return p;
	}
	/* dataclasses compile their methods as "<string>" too. */
	if (starts_with(function, "__create_fn__"))
		return p;
	if (text_is_typed_in(file))
		p.owner = PLACE_USER;
	return p;
}

/*
 * The script that a package's installation puts into a folder of programs
 * (/usr/bin/jupyter-execute): a few lines at module level without a suffix. A program of the user's
 * that stands there has functions too, and those are user code.
 */
static bool is_entry_script(const char *file, const char *function)
{
	const char *name = strrchr(file, '/');

	return name && name - file >= 4 && !strncmp(name - 4, "/bin", 4) && !strchr(name, '.') &&
	       !strcmp(function, "<module>");
}

struct place place_of(const char *file, const char *stdlib, const char *function)
{
	/* Where packages are installed, or where IPython stands in a source checkout. */
	static const char *const folders[] = {"/site-packages/", "/dist-packages/"};
	static const char *const machinery[] = {"/IPython/", "/ipykernel/"};
	struct place p = {.owner = PLACE_PACKAGE};
	const char *path;

	if (file[0] == '<')
		return bracketed(file, function);
	if (text_is_interpreters(file))
		return (struct place){.owner = PLACE_GENERATED};
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		path = below(file, folders[i]);
		if (path) {
			module_of_path(path, p.module, sizeof(p.module));
			return p;
		}
	}
	for (size_t i = 0; i < sizeof(machinery) / sizeof(*machinery); i++) {
		path = below(file, machinery[i]);
		if (path) {
			module_of_path(path - strlen(machinery[i]) + 1, p.module, sizeof(p.module));
			return p;
		}
	}
	path = below_stdlib(file, stdlib);
	if (path) {
		p.owner = PLACE_STDLIB;
		module_of_path(path, p.module, sizeof(p.module));
		return p;
	}
	if (is_entry_script(file, function)) {
		module_of_path(strrchr(file, '/') + 1, p.module, sizeof(p.module));
		return p;
	}
	p.owner = PLACE_USER;
	return p;
}

bool place_cell_hash(const char *file, unsigned long *ret_hash)
{
	const char *p = below(file, "/ipykernel_");
	size_t n;

	if (!p)
		return false;
	n = strspn(p, DIGITS);
	if (!n || p[n] != '/')
		return false;
	p += n + 1;
	n = strspn(p, DIGITS);
	if (!n || n > 10 || strcmp(p + n, ".py"))
		return false;
	*ret_hash = strtoul(p, NULL, 10);
	return true;
}

bool place_input_number(const char *file, unsigned long *ret_number)
{
	static const char prefix[] = "<ipython-input-";
	const char *digits = file + sizeof(prefix) - 1;
	size_t n;

	if (!starts_with(file, prefix))
		return false;
	n = strspn(digits, DIGITS);
	if (!n || n > 9 || digits[n] != '-')
		return false;
	*ret_number = strtoul(digits, NULL, 10);
	return true;
}

/* The first digits of the SHA-1 of the cell, which ends a line (IPython/core/compilerop.py@8.5). */
bool place_input_is(const char *file, const char *source)
{
	size_t size = strlen(source), count = strlen(file);
	const char *hash = strrchr(file, '-');
	cleanup(freep) char *text = malloc(size + 2);
	unsigned char digest[EVP_MAX_MD_SIZE];
	char told[2 * INPUT_HASH_BYTES + 1];

	if (!text || !hash || count < (size_t)(hash - file) + 2 + 2 * INPUT_HASH_BYTES)
		return false;
	memcpy(text, source, size + 1);
	if (!size || text[size - 1] != '\n')
		text[size++] = '\n';
	if (!EVP_Digest(text, size, digest, NULL, EVP_sha1(), NULL))
		return false;
	for (size_t i = 0; i < INPUT_HASH_BYTES; i++)
		snprintf(told + 2 * i, 3, "%02x", digest[i]);
	return !strncmp(hash + 1, told, 2 * INPUT_HASH_BYTES) &&
	       !strcmp(hash + 1 + 2 * INPUT_HASH_BYTES, ">");
}

/* The module as users import it. */
static void public_module(const char *module, enum place_owner owner, char *buf, size_t size)
{
	size_t n = 0;

	if (starts_with(module, "concurrent.futures")) {
		snprintf(buf, size, "concurrent.futures");
		return;
	}
	for (const char *part = module; *part;) {
		size_t len = strcspn(part, ".");

		if (part[0] != '_' && n + len + 2 < size) {
			if (n)
				buf[n++] = '.';
			memcpy(buf + n, part, len);
			n += len;
		}
		part += len + (part[len] == '.');
		if (owner == PLACE_PACKAGE && n)
			break; /* packages export their functions at the top */
	}
	buf[n] = '\0';
}

char *place_public_name(
	const char *module, enum place_owner owner, const char *function, char *buf, size_t size)
{
	char base[128], name[256];
	const char *local = below(function, "<locals>.");
	char *last;

	public_module(module, owner, base, sizeof(base));
	shorten(name, sizeof(name), "%s", local ? local : function);
	last = strrchr(name, '.');
	if (last && (!strcmp(last, ".__init__") || !strcmp(last, ".__new__") ||
			    !strcmp(last, ".__call__")))
		*last = '\0';
	return shorten(buf, size, "%s%s%s", base, base[0] ? "." : "", name);
}
