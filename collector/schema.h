/* What identifies a trace. schema.sql is the schema itself. */
#ifndef COLLECTOR_SCHEMA_H
#define COLLECTOR_SCHEMA_H

#define SCHEMA_VERSION 1 /* PRAGMA user_version; removing or renaming a column raises it */
#define SCHEMA_APPLICATION_ID 0x41575343 /* PRAGMA application_id, "AWSC" */

#endif
