/* Small traces made by SQL in a folder of their own. */
#ifndef TESTS_UNIT_TRACE_FILE_H
#define TESTS_UNIT_TRACE_FILE_H

#include <sqlite3.h>
#include <unistd.h>

#include "collector/schema.h"
#include "collector/schema_sql.h"
#include "tests/unit/unit.h"

struct trace_file {
	char folder[64], path[96];
	sqlite3 *sql;
};

static inline void trace_file_sql(struct trace_file *f, const char *sql)
{
	char *error = NULL;

	if (sqlite3_exec(f->sql, sql, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s in %s", error, sql);
}

/* A trace with nothing in it but the schema and what run would write to meta; stall 100 ms, 10 s
 * long. */
static inline void trace_file_make(struct trace_file *f)
{
	char identity[128];

	snprintf(f->folder, sizeof(f->folder), "/tmp/awaitscope-test-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/trace.db", f->folder);
	assert_int_equal(sqlite3_open(f->path, &f->sql), SQLITE_OK);
	snprintf(identity, sizeof(identity), "PRAGMA application_id = %d; PRAGMA user_version = %d",
		SCHEMA_APPLICATION_ID, SCHEMA_VERSION);
	trace_file_sql(f, identity);
	trace_file_sql(f, schema_sql);
	trace_file_sql(f, "INSERT INTO meta VALUES ('started_at', '2024-06-07T08:09:10Z'), "
			  "('duration_ns', 10000000000),"
			  "('mode', 'run'), ('stall_ns', 100000000), ('min_block_ns', 1000000), "
			  "('min_step_ns', 100000),"
			  "('complete', 1), ('notebook', '/home/u/demo.ipynb')");
}

static inline void trace_file_close(struct trace_file *f)
{
	assert_int_equal(sqlite3_close(f->sql), SQLITE_OK);
	f->sql = NULL;
}

static inline void trace_file_remove(struct trace_file *f)
{
	static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
	char path[128];

	sqlite3_close(f->sql);
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		snprintf(path, sizeof(path), "%s%s", f->path, ends[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(f->folder), 0);
}

#endif
