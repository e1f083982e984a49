/* Code objects of a target, with their texts and line tables. See target.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "probe/target/state.h"
#include "probe/target/unicode.h"

#define TEXT_CHARS_MAX 4096u /* of a file's or function's name; longer ones are cut */
#define UTF8_PER_CHAR 6u     /* a surrogate's escape */
#define STR_HEAD_MAX 64u
#define TABLE_BYTES_MAX (256u << 10)

int target_code_key(struct target *t, uint64_t code, struct target_code_key *ret)
{
	const struct layout *lay = &t->layout;
	const struct memory *m = &t->memory;
	uint16_t name = lay->code_qualname == OFF_ABSENT ? lay->code_name : lay->code_qualname;
	struct target_code_key key;
	uint64_t type;
	int rc = memory_read_pointer(m, code + lay->object_type, &type);

	if (rc || type != t->symbol[SYMBOL_CODE])
		return rc ? rc : -EPROTO;
	rc = memory_read_pointer(m, code + lay->code_filename, &key.filename);
	if (!rc)
		rc = memory_read_pointer(m, code + name, &key.name);
	if (!rc)
		rc = memory_read_pointer(m, code + lay->code_linetable, &key.linetable);
	if (!rc)
		rc = memory_read(
			m, code + lay->code_firstlineno, &key.firstlineno, sizeof(key.firstlineno));
	if (!rc)
		*ret = key;
	return rc;
}

int target_long_text_read(struct target *t, uint64_t str, size_t max_chars, char **ret)
{
	const struct layout *lay = &t->layout;
	cleanup(freep) void *data = NULL;
	cleanup(freep) char *text = NULL;
	unsigned char head[STR_HEAD_MAX];
	uint64_t type, length, at;
	unsigned int width;
	uint32_t state;
	size_t n = lay->str_state + sizeof(state);
	int rc = n <= sizeof(head) ? memory_read(&t->memory, str, head, n) : -EPROTO;

	if (rc)
		return rc;
	if (lay->object_type + 8u > n || lay->str_length + 8u > n)
		return -EPROTO;
	memcpy(&type, head + lay->object_type, sizeof(type));
	memcpy(&length, head + lay->str_length, sizeof(length));
	memcpy(&state, head + lay->str_state, sizeof(state));
	if (str % 8 || type != t->symbol[SYMBOL_STR])
		return -EPROTO;
	width = unicode_width(state);
	if (!width)
		return -EPROTO;
	n = length < max_chars ? (size_t)length : max_chars;
	at = str + (state & UNICODE_ASCII ? lay->str_ascii_data : lay->str_compact_data);
	data = malloc(n * width + 1);
	text = malloc(n * UTF8_PER_CHAR + 1);
	if (!data || !text)
		return -ENOMEM;
	rc = n ? memory_read(&t->memory, at, data, n * width) : 0;
	if (rc)
		return rc;
	n = unicode_utf8(data, width, n, text, n * UTF8_PER_CHAR);
	text[n] = '\0';
	*ret = TAKE(text);
	return 0;
}

int target_text_read(struct target *t, uint64_t str, char **ret)
{
	return target_long_text_read(t, str, TEXT_CHARS_MAX, ret);
}

static int table_read(struct target *t, uint64_t bytes, struct target_code *ret)
{
	const struct layout *lay = &t->layout;
	cleanup(freep) unsigned char *table = NULL;
	uint64_t type, size;
	int rc = memory_read_pointer(&t->memory, bytes + lay->object_type, &type);

	if (rc || type != t->symbol[SYMBOL_BYTES])
		return rc ? rc : -EPROTO;
	rc = memory_read(&t->memory, bytes + lay->bytes_size, &size, sizeof(size));
	if (rc || !size || size > TABLE_BYTES_MAX)
		return rc;
	table = malloc((size_t)size);
	if (!table)
		return -ENOMEM;
	rc = memory_read(&t->memory, bytes + lay->bytes_data, table, (size_t)size);
	if (rc)
		return rc;
	ret->table = TAKE(table);
	ret->table_size = (size_t)size;
	return 0;
}

int target_code_read(struct target *t, uint64_t code, struct target_code *ret)
{
	cleanup(target_code_clear) struct target_code parts = {0};
	struct target_code_key key;
	int rc = target_code_key(t, code, &key);

	if (!rc)
		rc = target_text_read(t, key.filename, &parts.file);
	if (!rc)
		rc = target_text_read(t, key.name, &parts.function);
	if (!rc)
		rc = table_read(t, key.linetable, &parts);
	if (rc)
		return rc;
	parts.firstlineno = key.firstlineno;
	*ret = parts;
	parts = (struct target_code){0};
	return 0;
}

void target_code_clear(struct target_code *code)
{
	free(code->file);
	free(code->function);
	free(code->table);
	*code = (struct target_code){0};
}
