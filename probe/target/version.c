/*
 * Looks for "3.11.2 (main, ..." in the interpreter's data: Py_GetVersion() keeps it there from the
 * beginning on (Python/getversion.c@3.8 to 3.14). See version.h.
 */
#include "probe/target/version.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "probe/target/memory.h"

#define REGION_BYTES_MAX (8u << 20) /* of one mapping; the rest is not searched */
#define FINAL 0xf0u

/* "11.2 (", "13.0rc1 (", after "3."; 0: it is not that. */
static uint32_t parse(const char *at, int minor)
{
	static const struct {
		const char *name;
		uint32_t level;
	} levels[] = {{"a", 0xa0}, {"b", 0xb0}, {"rc", 0xc0}};
	uint32_t level = FINAL;
	unsigned long micro;
	char *end;

	if (strtol(at, &end, 10) != minor || *end != '.')
		return 0;
	at = end + 1;
	micro = strtoul(at, &end, 10);
	if (end == at || micro > 255)
		return 0;
	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		size_t n = strlen(levels[i].name);

		if (strncmp(end, levels[i].name, n))
			continue;
		level = levels[i].level | (uint32_t)(strtoul(end + n, &end, 10) & 15);
		break;
	}
	end += *end == '+'; /* built from a working tree */
	if (strncmp(end, " (", 2))
		return 0;
	return 3u << 24 | (uint32_t)minor << 16 | (uint32_t)micro << 8 | level;
}

static uint32_t search(const struct memory *memory, uint64_t begin, uint64_t end, int minor)
{
	size_t size = end - begin < REGION_BYTES_MAX ? (size_t)(end - begin) : REGION_BYTES_MAX;
	cleanup(freep) char *bytes = malloc(size + 1);
	uint32_t found = 0;

	if (!bytes || memory_read(memory, begin, bytes, size))
		return 0;
	bytes[size] = '\0';
	for (char *at = bytes; !found && (at = memmem(at, (size_t)(bytes + size - at), "3.", 2));
		at += 2)
		found = parse(at + 2, minor);
	return found;
}

/* "begin-end perms offset dev inode   path" (proc(5)) */
uint32_t target_version(uint32_t pid, int minor)
{
	struct memory memory = memory_of_process(pid);
	cleanup(fclosep) FILE *maps = NULL;
	cleanup(freep) char *line = NULL;
	bool python = false;
	uint32_t found = 0;
	char path[64];
	size_t size = 0;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/maps", pid);
	maps = fopen(path, "re");
	while (maps && !found && getline(&line, &size, maps) > 0) {
		uint64_t begin, end;
		char perms[5];
		int name = 0;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s %*s %n", &begin, &end, perms,
			    &name) < 3)
			continue;
		if (name && line[name] == '/')
			python = strstr(line + name, "python") != NULL;
		else if (name && line[name] == '[')
			python = false;
		/* its data, and the pages without a file that follow: .bss */
		if (python && perms[0] == 'r' && perms[1] == 'w')
			found = search(&memory, begin, end, minor);
	}
	return found ? found : 3u << 24 | (uint32_t)minor << 16 | FINAL;
}
