/* Writes the table `finding` of a trace that has just been closed: the one place where the viewer
 * writes to a trace. */
#include "viewer/finding_store.h"

#include <errno.h>

#include "viewer/rule.h"

#define BUSY_MS 2000

static const char insert_sql[] =
	"INSERT INTO finding(rule, name, severity, process, cell, file, line, count, cost_ns, "
	"message) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

static int bind_text(sqlite3_stmt *row, int column, const char *text)
{
	return text ? sqlite3_bind_text(row, column, text, -1, SQLITE_STATIC)
		    : sqlite3_bind_null(row, column);
}

static int finding_put(sqlite3_stmt *row, const struct report *report, const struct finding *f)
{
	sqlite3_reset(row);
	sqlite3_clear_bindings(row);
	bind_text(row, 1, f->rule->id);
	bind_text(row, 2, f->rule->name);
	bind_text(row, 3, severity_name(f->severity));
	if (f->process != NONE)
		sqlite3_bind_int64(row, 4, report->processes.at[f->process].id);
	if (f->cell != NONE)
		sqlite3_bind_int64(row, 5, report->cells.at[f->cell].id);
	bind_text(row, 6, f->place.file);
	if (f->place.line)
		sqlite3_bind_int(row, 7, f->place.line);
	sqlite3_bind_int64(row, 8, (sqlite3_int64)f->count);
	if (f->costed)
		sqlite3_bind_int64(row, 9, (sqlite3_int64)f->cost_ns);
	bind_text(row, 10, f->message);
	return sqlite3_step(row) == SQLITE_DONE ? 0 : -EIO;
}

static int findings_put(sqlite3 *sql, const struct report *report)
{
	sqlite3_stmt *row = NULL;
	int rc = sqlite3_exec(sql, "BEGIN IMMEDIATE; DELETE FROM finding", NULL, NULL, NULL) ? -EIO
											     : 0;

	if (!rc && sqlite3_prepare_v2(sql, insert_sql, -1, &row, NULL))
		rc = -EIO;
	for (size_t i = 0; i < report->findings.n && !rc; i++)
		rc = finding_put(row, report, &report->findings.at[i]);
	sqlite3_finalize(row);
	if (sqlite3_exec(sql, rc ? "ROLLBACK" : "COMMIT", NULL, NULL, NULL) && !rc)
		rc = -EIO;
	return rc;
}

int findings_store(const char *path, const struct report *report)
{
	sqlite3 *sql = NULL;
	int rc = sqlite3_open_v2(path, &sql, SQLITE_OPEN_READWRITE, NULL) ? -EIO : 0;

	if (!rc) {
		sqlite3_busy_timeout(sql, BUSY_MS);
		sqlite3_db_config(sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		sqlite3_db_config(sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
		rc = findings_put(sql, report);
	}
	sqlite3_close(sql);
	return rc;
}
