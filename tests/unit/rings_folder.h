/*
 * A session folder that a test writes ring files into, and what rings.c hands out of them. For the
 * tests of rings.c: one folder at a time.
 */
#ifndef TESTS_UNIT_RINGS_FOLDER_H
#define TESTS_UNIT_RINGS_FOLDER_H

#include "tests/unit/unit.h"

#include <dirent.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "collector/rings.h"
#include "tests/unit/ring_writer.h"

#define NOW 1000000000000ull    /* 1,000 s: any time after the records' */
#define SETTLED (NOW + 5000000) /* losses seen by then are told: 5 ms are held back */
#define SMALL 4096u

static char folder[64];
static struct rings *rings;

struct taken { /* what a drain handed out */
	unsigned int records, refuse_from;
	uint32_t pid[4096];
	uint64_t mark[4096]; /* loop of a loop_stop, count of a lost */
	char lost[8][40];    /* what was lost, as told */
	unsigned int losts;
};
static struct taken taken;

static inline int take(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct taken *t = ctx;
	unsigned int at = t->records % 4096;

	assert_int_equal(record_check(record, record->size_words * 8ull), 0);
	if (t->refuse_from && t->records >= t->refuse_from)
		return -ENOSPC;
	t->pid[at] = pid;
	if (record->kind == EV_loop_stop) {
		t->mark[at] = ((const struct ev_loop_stop *)record)->loop;
	} else if (record->kind == EV_lost) {
		size_t n;
		const void *what = record_tail(record, 0, &n);

		t->mark[at] = ((const struct ev_lost *)record)->count;
		snprintf(t->lost[t->losts++ % 8], sizeof(t->lost[0]), "%.*s", (int)n,
			(const char *)what);
	}
	t->records++;
	return 0;
}

static inline int drain(uint64_t now_ns, int final)
{
	memset(&taken, 0, sizeof(taken));
	return rings_drain_at(rings, now_ns, final, take, &taken);
}

static inline int open_rings(void **state)
{
	(void)state;
	strcpy(folder, "/dev/shm/rings-test-XXXXXX");
	if (!mkdtemp(folder)) {
		strcpy(folder, "/tmp/rings-test-XXXXXX");
		assert_non_null(mkdtemp(folder));
	}
	assert_int_equal(rings_open(folder, &rings), 0);
	return 0;
}

static inline int close_rings(void **state)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	(void)state;
	rings_free(rings);
	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, entry->d_type == DT_DIR ? AT_REMOVEDIR : 0);
	closedir(dir);
	return rmdir(folder);
}

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, open_rings, close_rings)

/* A loop_stop of 24 bytes that is told again by its mark. */
static inline int put(
	const struct ring_writer *w, unsigned int slot, uint64_t time_ns, uint64_t mark)
{
	struct ev_loop_stop r = {{time_ns, 1, EV_loop_stop, sizeof(r) / 8}, mark};

	return ring_writer_put(w, slot, &r);
}

static inline void expect_marks(const uint64_t *mark, unsigned int n)
{
	assert_int_equal(taken.records, n);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(taken.mark[i], mark[i]);
}
#define EXPECT(...)                                                                                \
	expect_marks((const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

static inline bool exists(const char *name)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return !lstat(path, &st);
}

#endif
