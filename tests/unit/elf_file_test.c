/* Files of a target are anybody's: our own program as it is, then broken in thousands of ways. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/target/dwarf.h"
#include "probe/target/elf_file.h"
#include "probe/target/points.h"
#include "probe/target/task_functions.h"
#include "probe/target/usdt.h"

#define ROUNDS 300u
#define BREAKS_MAX 24u /* bytes changed in one round */
#define HEAD_BYTES 4096u

static void site_count(void *ctx, const struct usdt_site *site)
{
	*(size_t *)ctx += strlen(site->name) + site->argument[0].size;
}

/* Everything that points_find() and target_open() ask of a file. */
static void ask_everything(struct elf_file *file)
{
	const struct elf_segment *segment;
	struct task_functions functions;
	struct elf_file *debug;
	struct elf_range range;
	struct layout layout;
	uint64_t address, size;
	size_t members, sites = 0, segments = elf_file_segments(file, &segment);

	for (int minor = 9; minor <= 12; minor += 3) {
		task_functions_by_symbols(file, minor, &functions);
		task_functions_recover(file, minor, &functions);
	}
	usdt_each(file, "python", site_count, &sites);
	assert_int_equal(layout_shipped(12, &layout), 0);
	dwarf_layout_read(&file, 1, &layout, &members);
	elf_file_symbol(file, "main", &address, &size);
	for (size_t i = 0; i < segments; i++) {
		elf_file_function(file, segment[i].begin, &range);
		elf_file_text(file, segment[i].end - 1);
		elf_file_word(file, segment[i].begin);
		assert_null(elf_file_bytes(file, segment[i].end - 1, SIZE_MAX));
	}
	if (!elf_file_open_debug(file, "/nonexistent", &debug))
		elf_file_free(debug);
}

static int open_bytes(const unsigned char *bytes, size_t n, struct elf_file **ret)
{
	int fd = memfd_create("elf", MFD_CLOEXEC), rc;
	char path[64];

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = elf_file_open(path, ret);
	close(fd);
	return rc;
}

static unsigned char *own_bytes(const char *path, size_t *ret_n)
{
	int fd = open(path, O_RDONLY);
	unsigned char *bytes;
	struct stat st;

	assert_true(fd >= 0 && !fstat(fd, &st));
	*ret_n = (size_t)st.st_size;
	bytes = malloc(*ret_n);
	assert_int_equal(read(fd, bytes, *ret_n), *ret_n);
	close(fd);
	return bytes;
}

TEST(our_own_symbols_functions_and_bytes_are_found)
{
	struct elf_file *file;
	struct elf_range range;
	uint64_t address, size, offset;

	assert_int_equal(elf_file_open("/proc/self/exe", &file), 0);
	assert_true(elf_file_has_symbols(file));
	assert_int_equal(elf_file_symbol(file, "ask_everything", &address, &size), 0);
	assert_memory_equal(
		elf_file_bytes(file, address, 16), (void *)(uintptr_t)ask_everything, 16);
	assert_true(elf_file_function(file, address + 1, &range));
	assert_int_equal(range.begin, address);
	assert_int_equal(elf_file_offset(file, address, &offset), 0);
	assert_int_equal(elf_file_symbol(file, "no_such_symbol", &address, &size), -ENOENT);
	assert_true(elf_file_import(file, "memcmp") || elf_file_import(file, "strlen") ||
		    elf_file_import(file, "free"));
	assert_int_equal(elf_file_offset(file, UINT64_MAX, &offset), -ENOENT);
	assert_string_equal(elf_file_text(file, UINT64_MAX), "");
	ask_everything(file);
	elf_file_free(file);
}

TEST(what_is_no_elf_file_is_refused)
{
	static const unsigned char cut[] = "\177ELF\2\1\1";
	struct elf_file *file;

	assert_int_equal(open_bytes((const unsigned char *)"", 0, &file), -EPROTO);
	assert_int_equal(open_bytes(cut, sizeof(cut), &file), -EPROTO);
	assert_int_equal(open_bytes((const unsigned char *)"#!/bin/sh\n", 10, &file), -EPROTO);
	assert_int_equal(elf_file_open("/proc", &file), -EPROTO);
	assert_int_equal(elf_file_open("/dev/null", &file), -EPROTO);
	assert_int_equal(elf_file_open("/nonexistent", &file), -ENOENT);
	elf_file_free(NULL);
}

static uint32_t next(uint32_t *random)
{
	*random = *random * 1664525u + 1013904223u;
	return *random >> 8;
}

static size_t section_headers(const unsigned char *bytes)
{
	ElfW(Ehdr) header;

	memcpy(&header, bytes, sizeof(header));
	return header.e_shoff;
}

/* Headers and section headers are where a broken number does harm; some of it anywhere. */
static size_t place(uint32_t *random, size_t n, size_t sections)
{
	switch (next(random) % 4) {
	case 0:
		return next(random) % HEAD_BYTES;
	case 1:
		return sections + next(random) % (n - sections);
	default:
		return (size_t)next(random) * 64 % n;
	}
}

static void survives(const char *path, unsigned int rounds)
{
	size_t n, sections, opened = 0;
	unsigned char *whole = own_bytes(path, &n), *broken = malloc(n);
	uint32_t random = FUZZ_SEED;

	sections = section_headers(whole);
	for (unsigned int round = 0; round < rounds; round++) {
		size_t kept = round % 8 ? n : next(&random) * 64ull % n;
		struct elf_file *file;

		memcpy(broken, whole, n);
		for (unsigned int i = next(&random) % BREAKS_MAX; i; i--)
			broken[place(&random, n, sections)] =
				(unsigned char)(next(&random) % 3 ? next(&random) : 0xff);
		if (open_bytes(broken, kept, &file))
			continue;
		opened++;
		ask_everything(file);
		elf_file_free(file);
	}
	assert_true(opened > rounds / 10); /* else nothing was tried */
	free(whole);
	free(broken);
}

TEST(broken_files_are_survived)
{
	survives("/proc/self/exe", ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(our_own_symbols_functions_and_bytes_are_found),
		RUN(what_is_no_elf_file_is_refused),
		RUN(broken_files_are_survived),
	};

	return RUN_TESTS(tests);
}
