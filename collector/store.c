/*
 * SQLite, as a trace is written: prepared statements, one transaction a batch, WAL. Called by the
 * model only; the numbers were measured (50,000 rows a commit: 2.7 M narrow rows/s).
 */
#include "collector/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "collector/schema.h"
#include "collector/schema_close_sql.h"
#include "collector/schema_sql.h"
#include "probe/base/cleanup.h"

#define BUSY_MS                                                                                    \
	200 /* a reader that locks the file: wait this long, then try again at the next commit */

/* statfs types without a header of their own. */
#define MAGIC_CIFS 0xff534d42u
#define MAGIC_SMB2 0xfe534d42u
#define MAGIC_FUSE 0x65735546u
#define MAGIC_CEPH 0x00c36400u
#define MAGIC_LUSTRE 0x0bd00bd0u
#define MAGIC_GPFS 0x47504653u

struct store {
	sqlite3 *sql;
	sqlite3_stmt *put[STORE_ROWS];
	size_t columns[STORE_ROWS];
	size_t pending;
	int error; /* of the current batch */
	bool open; /* a transaction is open */
	char *path;
};

/* A sum that no INTEGER holds, of lengths that a target made up, stays at the most: as a REAL it
 * would be refused, and the batch with it. */
#define ADD(column) #column "=min(" #column "+excluded." #column ",9223372036854775807)"

static const char *const put_sql[STORE_ROWS] = {
#define PUT(name, sql) sql,
#include "collector/store.def"
#undef PUT
};

static int sql_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_TOOBIG:
		return -EFBIG;
	default:
		return -EIO;
	}
}

static int run(struct store *store, const char *sql)
{
	int rc = sql_errno(sqlite3_exec(store->sql, sql, NULL, NULL, NULL));

	/* of the file that readers share SQLite only says that it cannot be written */
	return rc == -EIO && sqlite3_system_errno(store->sql) == ENOSPC ? -ENOSPC : rc;
}

static int create_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	/* Closed before SQLite opens it: closing a descriptor drops the process's locks on the
	 * file. */
	close(fd);
	return 0;
}

/* A WAL needs memory shared between the file's readers, which these do not give. */
static bool is_network(const char *path)
{
	static const uint32_t magic[] = {NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, MAGIC_CIFS, MAGIC_SMB2,
		V9FS_MAGIC, AFS_SUPER_MAGIC, CODA_SUPER_MAGIC, MAGIC_FUSE, MAGIC_CEPH, MAGIC_LUSTRE,
		MAGIC_GPFS};
	struct statfs fs;

	if (statfs(path, &fs))
		return false;
	for (size_t i = 0; i < sizeof(magic) / sizeof(*magic); i++)
		if ((uint32_t)fs.f_type == magic[i])
			return true;
	return false;
}

/* The journal mode now in force; "" on failure. */
static void journal_mode(struct store *store, const char *sql, char *ret_mode, size_t size)
{
	sqlite3_stmt *s = NULL;

	ret_mode[0] = '\0';
	if (!sqlite3_prepare_v2(store->sql, sql, -1, &s, NULL) && sqlite3_step(s) == SQLITE_ROW)
		snprintf(ret_mode, size, "%s", (const char *)sqlite3_column_text(s, 0));
	sqlite3_finalize(s);
}

static int set_journal(struct store *store, bool exclusive, int *ret_exclusive)
{
	char mode[16];
	int rc = run(store, "PRAGMA page_size=16384");

	if (!rc && exclusive)
		rc = run(store, "PRAGMA locking_mode=EXCLUSIVE");
	if (rc)
		return rc;
	journal_mode(store, "PRAGMA journal_mode=WAL", mode, sizeof(mode));
	if (strcmp(mode, "wal") && !exclusive) {
		/* No shared memory here after all. */
		exclusive = true;
		rc = run(store, "PRAGMA locking_mode=EXCLUSIVE");
		if (rc)
			return rc;
		journal_mode(store, "PRAGMA journal_mode=WAL", mode, sizeof(mode));
	}
	*ret_exclusive = exclusive;
	return run(store, "PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=4000; PRAGMA "
			  "journal_size_limit=67108864;"
			  "PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY");
}

static int make_schema(struct store *store)
{
	char sql[128];
	int rc;

	snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%d",
		SCHEMA_APPLICATION_ID, SCHEMA_VERSION);
	rc = run(store, "BEGIN IMMEDIATE");
	if (!rc)
		rc = run(store, sql);
	if (!rc)
		rc = run(store, schema_sql);
	return rc ? rc : run(store, "COMMIT");
}

static int prepare(struct store *store)
{
	for (int i = 0; i < STORE_ROWS; i++) {
		int rc = sqlite3_prepare_v3(store->sql, put_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
			&store->put[i], NULL);

		if (rc != SQLITE_OK)
			return sql_errno(rc);
		store->columns[i] = (size_t)sqlite3_bind_parameter_count(store->put[i]);
	}
	return 0;
}

static void store_freep(struct store **store)
{
	store_free(*store);
}

int store_open(const char *path, struct store **ret, int *ret_exclusive)
{
	cleanup(store_freep) struct store *store = calloc(1, sizeof(*store));
	int exclusive = 0, rc;

	/* "./": a name like "file:x" or ":memory:" is a file's name here. */
	if (!store || asprintf(&store->path, "%s%s", path[0] == '/' ? "" : "./", path) < 0)
		return -ENOMEM;
	rc = create_file(store->path);
	if (rc)
		return rc;
	rc = sql_errno(sqlite3_open_v2(
		store->path, &store->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
	if (!rc) {
		sqlite3_busy_timeout(store->sql, BUSY_MS);
		rc = set_journal(store, is_network(store->path), &exclusive);
	}
	if (!rc)
		rc = make_schema(store);
	if (!rc)
		rc = prepare(store);
	if (rc) {
		unlink(store->path); /* ours, and nothing is in it */
		return rc;
	}
	*ret_exclusive = exclusive;
	*ret = TAKE(store);
	return 0;
}

void store_free(struct store *store)
{
	if (!store)
		return;
	for (int i = 0; i < STORE_ROWS; i++)
		sqlite3_finalize(store->put[i]);
	sqlite3_close(store->sql);
	free(store->path);
	free(store);
}

static void bind(sqlite3_stmt *s, int column, const struct value *v)
{
	if (v->type == VALUE_INT)
		sqlite3_bind_int64(s, column, v->number);
	else if (v->type == VALUE_TEXT)
		sqlite3_bind_text(s, column, v->text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(s, column);
}

void store_put(struct store *store, enum store_row row, const struct value *values, size_t columns)
{
	sqlite3_stmt *s = store->put[row];
	int rc;

	assert(columns == store->columns[row]);
	store->pending++;
	if (store->error)
		return; /* the batch will be rolled back */
	if (!store->open) {
		store->error = run(store, "BEGIN IMMEDIATE");
		if (store->error == -EBUSY)
			store->error =
				-EAGAIN; /* somebody writes into our file: this batch is lost */
		if (store->error)
			return;
		store->open = true;
	}
	for (size_t i = 0; i < columns; i++)
		bind(s, (int)i + 1, &values[i]);
	rc = sqlite3_step(s);
	sqlite3_reset(s);
	assert(rc != SQLITE_CONSTRAINT && rc != SQLITE_MISMATCH); /* a row against our own schema */
	if (rc != SQLITE_DONE)
		store->error = sql_errno(rc) ? sql_errno(rc) : -EIO;
}

size_t store_pending(const struct store *store)
{
	return store->pending;
}

int store_commit(struct store *store)
{
	int rc = store->error;

	if (!rc && store->open)
		rc = run(store, "COMMIT");
	if (rc == -EBUSY)
		return rc;
	/* A full disk may have rolled it back already; then there is nothing left to roll back. */
	if (rc && !sqlite3_get_autocommit(store->sql))
		run(store, "ROLLBACK");
	store->open = false;
	store->pending = 0;
	store->error = 0;
	return rc;
}

uint64_t store_bytes(const struct store *store)
{
	sqlite3_stmt *s = NULL;
	uint64_t bytes = 0;

	if (!sqlite3_prepare_v2(store->sql,
		    "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, "
		    "pragma_freelist_count, pragma_page_size",
		    -1, &s, NULL) &&
		sqlite3_step(s) == SQLITE_ROW)
		bytes = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return bytes;
}

static int forget(struct store *store, const char *sql, uint64_t before_ns)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(store->sql, sql, -1, &s, NULL);

	if (rc == SQLITE_OK) {
		sqlite3_bind_int64(s, 1, (sqlite3_int64)before_ns);
		rc = sqlite3_step(s);
	}
	sqlite3_finalize(s);
	return sql_errno(rc);
}

int store_forget(struct store *store, uint64_t before_ns)
{
	static const char *const list[] = {
#define FORGET(sql) sql,
#include "collector/forget.def"
#undef FORGET
	};
	int rc = run(store, "BEGIN IMMEDIATE");

	for (size_t i = 0; i < sizeof(list) / sizeof(*list) && !rc; i++)
		rc = forget(store, list[i], before_ns);
	if (!rc)
		rc = run(store, "COMMIT");
	if (rc && !sqlite3_get_autocommit(store->sql))
		run(store, "ROLLBACK");
	return rc;
}

int store_checkpoint(struct store *store)
{
	return sql_errno(
		sqlite3_wal_checkpoint_v2(store->sql, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL));
}

/* Sorted in files, as memory would grow with the trace (300 MB for 6 M steps); in memory where
 * those have no room. */
static int make_indexes(struct store *store)
{
	int rc = run(store, "PRAGMA temp_store=FILE");

	if (!rc)
		rc = run(store, schema_close_sql);
	if (!rc)
		return 0;
	rc = run(store, "PRAGMA temp_store=MEMORY");
	return rc ? rc : run(store, schema_close_sql);
}

int store_finish(struct store *store)
{
	char mode[16];
	int rc = make_indexes(store);
	int checkpoint = sql_errno(sqlite3_wal_checkpoint_v2(
		store->sql, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL));

	/* A reader in the middle of a query keeps the WAL; the last one to close it then removes
	 * it. */
	for (int i = 0; i < STORE_ROWS; i++) {
		sqlite3_finalize(store->put[i]);
		store->put[i] = NULL;
	}
	journal_mode(store, "PRAGMA journal_mode=DELETE", mode, sizeof(mode));
	if (!rc && checkpoint != -EBUSY)
		rc = checkpoint;
	return rc;
}
