/* A TOML text as the same in JSON's types; dates, which no setting of ours is, become null. Silent.
 */
#ifndef VIEWER_TOML_H
#define VIEWER_TOML_H

#include <jansson.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The caller owns *ret. -EINVAL: it is no TOML, `why` says where ("line 3: ..."); -ENOMEM. */
int toml_read(const char *text, size_t n, char *why, size_t size, json_t **ret);

#ifdef __cplusplus
}
#endif

#endif
