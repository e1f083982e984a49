/* Texts and times as JSON. */
#include "viewer/json_values.h"

#include <string.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"

json_t *json_text(const char *text)
{
	cleanup(freep) char *valid = text_to_utf8(text, strlen(text));

	return valid ? json_string(valid) : NULL;
}

json_t *json_text_or_null(const char *text)
{
	return text && *text ? json_text(text) : json_null();
}

json_t *json_ms(uint64_t ns)
{
	return json_real((double)(ns / 1000 + (ns % 1000 >= 500)) / 1000.0);
}
