/*
 * Opens a trace and runs the statements of query.def on it. It takes a file that anybody may have
 * made: nothing in it is trusted, nothing in it is run (trusted_schema off), and nothing of it is
 * changed.
 */
#include "viewer/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "collector/schema.h"
#include "probe/base/cleanup.h"

#define SQLITE_MAGIC "SQLite format 3" /* with its NUL the first 16 bytes of every database */
#define BUSY_MS 2000                   /* a recorder that commits holds nothing longer */
#define WHY_BYTES 1024
/* src/os.h of SQLite: PENDING_BYTE + 2, and how many there are. */
#define SHARED_FIRST (0x40000000 + 2)
#define SHARED_BYTES 510

struct trace {
	sqlite3 *sql;
	char *path;
	const char *warning;
	int held; /* for trace_recorded(); -1: not open */
	char why[WHY_BYTES];
};

const char *const trace_queries[QUERY_COUNT] = {
#define QUERY(name, sql) sql,
#include "viewer/query.def"
#undef QUERY
#define CAUSE(id, key, column, family) " " #column ","
	[QUERY_iteration] = "SELECT loop, begin_ns, busy_ns, cell,"
#include "viewer/causes.def"
			    " id FROM iteration",
	[QUERY_live_iteration] =
		"SELECT loop, begin_ns, busy_ns, cell,"
#include "viewer/causes.def"
		" id, file, line, function FROM iteration WHERE id > ?1 ORDER BY id",
#undef CAUSE
};

static int sql_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_NOTADB:
		return -EINVAL;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	default:
		return -EIO;
	}
}

static void explain(int rc, const char *path, const char *detail, char *why, size_t size)
{
	switch (rc) {
	case -ENOMEM:
		snprintf(why, size, "%s: out of memory", path);
		break;
	case -EINVAL:
		snprintf(why, size, "%s is not a SQLite file, so it is no awaitscope trace", path);
		break;
	case -EBUSY:
		snprintf(why, size, "%s is locked by another program; try again when that is done",
			path);
		break;
	case -EACCES:
		snprintf(why, size, "%s may not be read: Permission denied", path);
		break;
	default:
		if (!strncmp(detail, "no such ", strlen("no such "))) {
			snprintf(why, size,
				"%s was written by another version of awaitscope (%s); read it "
				"with that one, or record again",
				path, detail);
			break;
		}
		snprintf(why, size,
			"%s is damaged or incomplete (%s); copy it whole, with its -wal file if "
			"there is one, or record "
			"again",
			path, detail);
	}
}

/* What can be said before SQLite is asked. */
static int check_file(const char *path, char *why, size_t size)
{
	char magic[sizeof(SQLITE_MAGIC)] = "";
	cleanup(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && errno == ENOENT) {
		snprintf(why, size, "no such file: %s", path);
		return -ENOENT;
	}
	if (fd < 0 || fstat(fd, &st) < 0) {
		int rc = -errno;

		snprintf(why, size, "%s cannot be read: %s", path, strerror(-rc));
		return rc;
	}
	if (S_ISDIR(st.st_mode)) {
		snprintf(why, size,
			"%s is a folder; name the .db file in it that awaitscope run wrote", path);
		return -EISDIR;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(why, size, "%s is not an ordinary file, so it is no awaitscope trace",
			path);
		return -EINVAL;
	}
	if (!st.st_size) {
		snprintf(why, size, "%s is empty: nothing was recorded into it", path);
		return -EINVAL;
	}
	if (pread(fd, magic, sizeof(magic), 0) != sizeof(magic) ||
		memcmp(magic, SQLITE_MAGIC, sizeof(magic))) {
		explain(-EINVAL, path, "", why, size);
		return -EINVAL;
	}
	return 0;
}

static int pragma_number(sqlite3 *sql, const char *text, int64_t *ret)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = sqlite3_prepare_v2(sql, text, -1, &rows, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(rows);
	if (rc != SQLITE_ROW)
		return rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
	*ret = sqlite3_column_int64(rows, 0);
	return SQLITE_OK;
}

static bool plain_byte(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("/._-", c);
}

/* file:PATH?immutable=1, every byte that could mean something in a URI as %XX. */
static char *immutable_uri(const char *path)
{
	static const char begin[] = "file:", end[] = "?immutable=1";
	char *uri = malloc(sizeof(begin) + strlen(path) * 3 + sizeof(end)), *p;

	if (!uri)
		return NULL;
	p = stpcpy(uri, begin);
	for (; *path; path++)
		p += plain_byte((unsigned char)*path) ? sprintf(p, "%c", *path)
						      : sprintf(p, "%%%02X", (unsigned char)*path);
	strcpy(p, end);
	return uri;
}

/* An SQLite code; on success *ret is open and its schema could be read. */
static int open_as(const char *name, int flags, sqlite3 **ret)
{
	sqlite3 *sql = NULL;
	int64_t tables;
	int rc = sqlite3_open_v2(
		name, &sql, flags | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(sql, BUSY_MS);
		sqlite3_db_config(sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		sqlite3_db_config(sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
		sqlite3_exec(
			sql, "PRAGMA query_only = 1; PRAGMA cache_size = -32768", NULL, NULL, NULL);
		rc = pragma_number(sql, "SELECT count(*) FROM sqlite_master", &tables);
	}
	if (rc != SQLITE_OK) {
		sqlite3_close(sql);
		return rc;
	}
	*ret = sql;
	return SQLITE_OK;
}

/*
 * A trace in WAL mode needs a shared-memory file beside it, which a reader may have to make: so
 * read-write first, then read-only (another process keeps that file), then, in a folder that cannot
 * be written, as it lies on the disk.
 */
static int open_any(struct trace *trace)
{
	cleanup(freep) char *uri = NULL;
	int rc = open_as(trace->path, SQLITE_OPEN_READWRITE, &trace->sql);

	if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_NOTADB || (rc & 0xff) == SQLITE_NOMEM)
		return rc;
	if (open_as(trace->path, SQLITE_OPEN_READONLY, &trace->sql) == SQLITE_OK)
		return SQLITE_OK;
	if ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_BUSY)
		return rc;
	uri = immutable_uri(trace->path);
	if (!uri)
		return SQLITE_NOMEM;
	if (open_as(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, &trace->sql) != SQLITE_OK)
		return rc;
	trace->warning = "its folder cannot be written, so the trace was read as it lies on the "
			 "disk: what a recorder has not "
			 "yet moved from the -wal file into it is missing";
	return SQLITE_OK;
}

static int check_schema(struct trace *trace, char *why, size_t size)
{
	int64_t application = 0, version = 0;
	int rc = pragma_number(trace->sql, "PRAGMA application_id", &application);

	if (rc == SQLITE_OK)
		rc = pragma_number(trace->sql, "PRAGMA user_version", &version);
	if (rc != SQLITE_OK) {
		explain(sql_errno(rc), trace->path, sqlite3_errstr(rc), why, size);
		return sql_errno(rc);
	}
	if (application != SCHEMA_APPLICATION_ID) {
		snprintf(why, size, "%s is a SQLite file, but no awaitscope trace", trace->path);
		return -EINVAL;
	}
	if (version != SCHEMA_VERSION) {
		snprintf(why, size,
			"%s is a trace of schema %lld and this awaitscope reads schema %d; use the "
			"release that "
			"recorded it, or record again",
			trace->path, (long long)version, SCHEMA_VERSION);
		return -EPROTO;
	}
	return 0;
}

/*
 * A trace that was closed in good order is mapped: whole tables are read several times, and a
 * quarter of that was copying pages (10 M records, 2026-11-21). Not one that is still written,
 * which could shrink under the mapping.
 */
static void map_closed(struct trace *trace)
{
	int64_t complete = 0;

	if (pragma_number(trace->sql, "SELECT value FROM meta WHERE key = 'complete'", &complete) ==
			SQLITE_OK &&
		complete == 1)
		sqlite3_exec(trace->sql, "PRAGMA mmap_size = 134217728", NULL, NULL, NULL);
}

int trace_open(const char *path, char *why, size_t size, struct trace **ret)
{
	cleanup(trace_freep) struct trace *trace = calloc(1, sizeof(*trace));
	int rc;

	if (trace) {
		trace->held = -1;
		trace->path = strdup(path);
	}
	if (!trace || !trace->path) {
		explain(-ENOMEM, path, "", why, size);
		return -ENOMEM;
	}
	rc = check_file(path, why, size);
	if (rc)
		return rc;
	rc = open_any(trace);
	if (rc != SQLITE_OK) {
		explain(sql_errno(rc), path, sqlite3_errstr(rc), why, size);
		return sql_errno(rc);
	}
	rc = check_schema(trace, why, size);
	if (rc)
		return rc;
	map_closed(trace);
	*ret = TAKE(trace);
	return 0;
}

void trace_free(struct trace *trace)
{
	if (!trace)
		return;
	sqlite3_close(trace->sql);
	closep(&trace->held); /* not before: closing a file drops all of this process's locks on it
			       */
	free(trace->path);
	free(trace);
}

void trace_freep(struct trace **trace)
{
	trace_free(*trace);
}

void rows_freep(sqlite3_stmt **rows)
{
	sqlite3_finalize(*rows);
}

const char *trace_path(const struct trace *trace)
{
	return trace->path;
}

const char *trace_warning(const struct trace *trace)
{
	return trace->warning;
}

/*
 * Every connection to a database with a WAL has a shared lock on the bytes from SHARED_FIRST on
 * (SQLite, "File Locking And Concurrency"); F_GETLK tells of others' only.
 */
bool trace_recorded(struct trace *trace)
{
	struct flock lock = {.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = SHARED_FIRST,
		.l_len = SHARED_BYTES};

	if (trace->held < 0)
		trace->held = open(trace->path, O_RDONLY | O_CLOEXEC);
	return trace->held >= 0 && !fcntl(trace->held, F_GETLK, &lock) && lock.l_type != F_UNLCK;
}

const char *trace_why(struct trace *trace)
{
	int rc = sqlite3_errcode(trace->sql);

	explain(sql_errno(rc), trace->path, sqlite3_errmsg(trace->sql), trace->why,
		sizeof(trace->why));
	return trace->why;
}

int trace_rows(struct trace *trace, enum query query, sqlite3_stmt **ret)
{
	return sql_errno(sqlite3_prepare_v2(trace->sql, trace_queries[query], -1, ret, NULL));
}

int trace_next(struct trace *trace, sqlite3_stmt *rows)
{
	int rc = sqlite3_step(rows);

	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : sql_errno(rc);
}

uint64_t column_ns(sqlite3_stmt *rows, int column)
{
	int64_t ns = sqlite3_column_int64(rows, column);

	return ns > 0 ? (uint64_t)ns : 0;
}

const char *column_text(sqlite3_stmt *rows, int column)
{
	const unsigned char *text = sqlite3_column_text(rows, column);

	return text ? (const char *)text : "";
}
