/* Values of our JSON, made the same way in every form. NULL when out of memory. */
#ifndef VIEWER_JSON_VALUES_H
#define VIEWER_JSON_VALUES_H

#include <jansson.h>
#include <stdint.h>

/* A text of the target, made valid UTF-8. */
json_t *json_text(const char *text);
/* The same; null where there is none. */
json_t *json_text_or_null(const char *text);
/* ms, rounded to 1 µs. */
json_t *json_ms(uint64_t ns);

#endif
