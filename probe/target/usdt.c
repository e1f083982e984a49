/* Reads .note.stapsdt. See usdt.h. */
#include "probe/target/usdt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "probe/target/machine.h"

#define NOTE_TYPE 3u /* NT_STAPSDT */
#define NOTES_MAX 4096u

struct note_head {
	uint32_t name_size, desc_size, type;
};

static size_t aligned(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

/* ---- arguments --------------------------------------------------------------------------- */

/* "%rax" within n bytes, as an offset in struct pt_regs. */
static int register_parse(const char *text, size_t n, uint16_t *ret)
{
	enum machine_register reg;
	int rc = machine_register_parse(text, n, &reg);

	if (!rc)
		*ret = machine_register_offset(reg);
	return rc;
}

/* n bytes behind the "@": %reg, disp(%reg), $constant. An index register is another form. */
static int place_parse(const char *text, size_t n, struct point_argument *ret)
{
	const char *open = memchr(text, '(', n);
	char *end;

	if (n && *text == '%') {
		ret->kind = ARGUMENT_REGISTER;
		return register_parse(text, n, &ret->reg);
	}
	if (n && *text == '$') {
		ret->kind = ARGUMENT_CONSTANT;
		ret->value = strtoll(text + 1, &end, 0);
		return end == text + n && n > 1 ? 0 : -EINVAL;
	}
	if (!open || text[n - 1] != ')')
		return -EINVAL;
	ret->kind = ARGUMENT_MEMORY;
	ret->value = open == text ? 0 : strtoll(text, &end, 0);
	if (open != text && end != open)
		return -EINVAL; /* symbol(%rip) */
	return register_parse(open + 1, n - (size_t)(open + 1 - text) - 1, &ret->reg);
}

int usdt_argument_parse(const char *text, struct point_argument *ret, size_t *ret_used)
{
	struct point_argument argument = {0};
	size_t used = strcspn(text, " ");
	char *end;
	long size = strtol(text, &end, 10);
	int rc;

	if (*end != '@' || (size_t)(end - text) >= used)
		return -EINVAL;
	argument.is_signed = size < 0;
	size = labs(size);
	if (size != 1 && size != 2 && size != 4 && size != 8)
		return -EINVAL;
	argument.size = (uint8_t)size;
	rc = place_parse(end + 1, used - (size_t)(end + 1 - text), &argument);
	if (rc)
		return rc;
	*ret = argument;
	*ret_used = used;
	return 0;
}

static void arguments_parse(const char *text, struct point_argument *ret)
{
	for (unsigned int i = 0; i < POINT_ARGUMENTS_MAX && *text; i++) {
		size_t used = strcspn(text, " ");

		if (usdt_argument_parse(text, &ret[i], &used))
			ret[i] = (struct point_argument){.kind = ARGUMENT_NONE};
		text += used;
		text += strspn(text, " ");
	}
}

/* ---- notes ------------------------------------------------------------------------------- */

/* The text at *at with its NUL, and *at behind it; NULL: it does not end. */
static const char *text_take(const char **at, const char *end)
{
	const char *text = *at;
	const char *nul = text < end ? memchr(text, '\0', (size_t)(end - text)) : NULL;

	if (nul)
		*at = nul + 1;
	return nul ? text : NULL;
}

/* Description: address, base, semaphore; provider, name, arguments. */
static bool site_parse(const char *desc, size_t size, const char *provider, uint64_t moved_base,
	struct usdt_site *ret)
{
	const char *at = desc + 3 * sizeof(uint64_t), *end = desc + size;
	const char *by, *name, *arguments;
	uint64_t words[3];
	struct usdt_site site = {0};

	if (size < sizeof(words))
		return false;
	memcpy(words, desc, sizeof(words));
	by = text_take(&at, end);
	name = by ? text_take(&at, end) : NULL;
	arguments = name ? text_take(&at, end) : NULL;
	if (!arguments || strcmp(by, provider))
		return false;
	site.name = name;
	/* a prelinked file was moved after the notes were written: its base tells how far */
	site.address = words[0] + (moved_base ? moved_base - words[1] : 0);
	site.semaphore = words[2] ? words[2] + (moved_base ? moved_base - words[1] : 0) : 0;
	arguments_parse(arguments, site.argument);
	*ret = site;
	return true;
}

void usdt_each(const struct elf_file *file, const char *provider,
	void (*fn)(void *ctx, const struct usdt_site *site), void *ctx)
{
	uint64_t address, base = 0;
	size_t size, unused, at = 0;
	const char *notes = elf_file_section(file, ".note.stapsdt", &size, &address);

	if (!notes)
		return;
	elf_file_section(file, ".stapsdt.base", &unused, &base);
	for (unsigned int i = 0; i < NOTES_MAX; i++) {
		struct note_head head;
		struct usdt_site site;
		size_t desc;

		if (size - at < sizeof(head))
			return;
		memcpy(&head, notes + at, sizeof(head));
		at += sizeof(head);
		if (head.name_size > size || head.desc_size > size)
			return;
		desc = at + aligned(head.name_size);
		if (desc > size || head.desc_size > size - desc)
			return;
		if (head.type == NOTE_TYPE && head.name_size == sizeof("stapsdt") &&
			!memcmp(notes + at, "stapsdt", sizeof("stapsdt")) &&
			site_parse(notes + desc, head.desc_size, provider, base, &site))
			fn(ctx, &site);
		at = desc + aligned(head.desc_size);
		if (at > size)
			return;
	}
}
