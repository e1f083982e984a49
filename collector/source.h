/* Source text of an instruction, shortened to one line: what a user would call it. Reads files of
 * the target with care. Silent. */
#ifndef COLLECTOR_SOURCE_H
#define COLLECTOR_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/linetable.h"

struct source_cache;

int source_cache_new(struct source_cache **ret);
void source_cache_free(struct source_cache *cache); /* accepts NULL */
/*
 * The text of a file that user `uid` may read; NULL: not there, not a regular file, too large, or
 * not theirs to see. `file` must be interned: it is the cache's key. The cache owns the text.
 */
const char *source_of_file(struct source_cache *cache, const char *file, uint32_t uid);
/*
 * Whether that file, or the __init__.py beside it or one folder up, is of a DB-API module: it says
 * so by `apilevel`. `file` as above.
 */
bool source_is_database(struct source_cache *cache, const char *file, uint32_t uid);
/*
 * What stands at `at`: the exact columns where they are known, else the whole line; white space
 * becomes single blanks, what does not fit ends in an ellipsis. false: there is no such place in
 * the text.
 */
bool source_excerpt(const char *text, const struct position *at, char *buf, size_t size);

#endif
