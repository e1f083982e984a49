/*
 * Offsets of members by libdw. One pass over the compile units finds the types that dwarf.def
 * names; then each path is followed through them. See dwarf.h. Must not believe a size it reads.
 */
#include "probe/target/dwarf.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <gelf.h>
#include <string.h>

#include "probe/base/cleanup.h"

#define PEELED_MAX 16u /* typedefs and qualifiers of one type */
#define NESTED_MAX 8u  /* structures without a name inside each other */
#define PATH_PART_MAX 64u

static const struct name { /* of a member in debug information */
	uint16_t place;    /* in struct layout */
	uint8_t first, last;
	const char *type, *path;
} names[] = {
#define DWARF(structure, member, first, last, type, path)                                          \
	{offsetof(struct layout, structure##_##member), first, last, type, path},
#include "probe/target/dwarf.def"
#undef DWARF
};
#define NAMES (sizeof(names) / sizeof(*names))

#define TEXTS_MAX 8u

struct text { /* a section that names stand in */
	const char *begin;
	size_t size;
};

struct found {
	struct text text[TEXTS_MAX];
	size_t texts;
	Dwarf_Die type[NAMES]; /* the complete structure each name's type is */
	bool has[NAMES];
	size_t missing;
};

/* ---- names ------------------------------------------------------------------------------- */

static void texts_take(Elf *elf, struct found *found)
{
	static const char *const sections[] = {".debug_info", ".debug_str", ".debug_line_str"};
	size_t strings;
	Elf_Scn *section = NULL;

	if (!elf || elf_getshdrstrndx(elf, &strings))
		return;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		const char *name = gelf_getshdr(section, &header)
					   ? elf_strptr(elf, strings, header.sh_name)
					   : NULL;
		Elf_Data *data;

		for (size_t i = 0; name && i < sizeof(sections) / sizeof(*sections); i++) {
			if (strcmp(name, sections[i]) || found->texts == TEXTS_MAX)
				continue;
			data = elf_rawdata(section, NULL);
			if (data && data->d_buf)
				found->text[found->texts++] =
					(struct text){data->d_buf, data->d_size};
		}
	}
}

/* libdw 0.188 hands out names that do not end within their section. NULL: there is none. */
static const char *name_of(const struct found *found, Dwarf_Die *die)
{
	const char *name = dwarf_diename(die);

	for (size_t i = 0; name && i < found->texts; i++) {
		const struct text *t = &found->text[i];

		if (name >= t->begin && name < t->begin + t->size)
			return memchr(name, '\0', t->size - (size_t)(name - t->begin)) ? name
										       : NULL;
	}
	return NULL;
}

/* ---- types ------------------------------------------------------------------------------- */

/* Through typedefs and qualifiers to a complete structure or union. */
static bool structure_of(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Attribute attribute;

	*ret = *die;
	for (unsigned int i = 0; i < PEELED_MAX; i++) {
		int tag = dwarf_tag(ret);

		if (tag == DW_TAG_structure_type || tag == DW_TAG_union_type)
			return !dwarf_hasattr(ret, DW_AT_declaration);
		if ((tag != DW_TAG_typedef && tag != DW_TAG_const_type &&
			    tag != DW_TAG_volatile_type) ||
			!dwarf_attr(ret, DW_AT_type, &attribute) ||
			!dwarf_formref_die(&attribute, ret))
			return false;
	}
	return false;
}

static void type_take(Dwarf_Die *die, int minor, struct found *found)
{
	int tag = dwarf_tag(die);
	const char *name;
	Dwarf_Die type;

	if (tag != DW_TAG_typedef && tag != DW_TAG_structure_type)
		return;
	name = name_of(found, die);
	if (!name)
		return;
	for (size_t i = 0; i < NAMES; i++) {
		if (found->has[i] || minor < names[i].first || minor > names[i].last ||
			strcmp(name, names[i].type) || !structure_of(die, &type))
			continue;
		found->type[i] = type;
		found->has[i] = true;
		found->missing--;
	}
}

/* All units until each type has been met in full: most name them without their members. */
static void types_find(Dwarf *dwarf, int minor, struct found *found)
{
	Dwarf_Off at = 0, next;
	size_t header;

	while (found->missing && !dwarf_nextcu(dwarf, at, &next, &header, NULL, NULL, NULL)) {
		Dwarf_Die unit, die;

		if (dwarf_offdie(dwarf, at + header, &unit) && !dwarf_child(&unit, &die))
			do
				type_take(&die, minor, found);
			while (found->missing && !dwarf_siblingof(&die, &die));
		if (next <= at)
			break;
		at = next;
	}
}

/* ---- members ----------------------------------------------------------------------------- */

static bool member_offset(Dwarf_Die *member, uint64_t *ret)
{
	Dwarf_Attribute attribute;
	Dwarf_Word offset;

	if (!dwarf_attr(member, DW_AT_data_member_location, &attribute)) {
		*ret = 0; /* of a union, or the first one */
		return !dwarf_hasattr(member, DW_AT_data_bit_offset);
	}
	if (dwarf_formudata(&attribute, &offset))
		return false;
	*ret = offset;
	return true;
}

/* The member of this name, also within members that have none. */
static bool member_find(const struct found *f, Dwarf_Die *type, const char *name,
	unsigned int depth, uint64_t *ret_offset, Dwarf_Die *ret)
{
	Dwarf_Die die, inner;

	if (depth > NESTED_MAX || dwarf_child(type, &die))
		return false;
	do {
		Dwarf_Attribute attribute;
		const char *told;
		uint64_t offset;

		if (dwarf_tag(&die) != DW_TAG_member || !member_offset(&die, &offset) ||
			!dwarf_attr(&die, DW_AT_type, &attribute) ||
			!dwarf_formref_die(&attribute, &inner))
			continue;
		told = name_of(f, &die);
		if (told && !strcmp(told, name)) {
			*ret_offset = offset;
			*ret = inner;
			return true;
		}
		if (!told && structure_of(&inner, &inner) &&
			member_find(f, &inner, name, depth + 1, ret_offset, ret)) {
			*ret_offset += offset;
			return true;
		}
	} while (!dwarf_siblingof(&die, &die));
	return false;
}

static bool path_follow(const struct found *found, Dwarf_Die *type, const char *path, uint64_t *ret)
{
	Dwarf_Die at = *type;
	uint64_t sum = 0;

	while (*path) {
		size_t n = strcspn(path, ".");
		char part[PATH_PART_MAX];
		uint64_t offset;
		Dwarf_Die next;

		if (n >= sizeof(part))
			return false;
		memcpy(part, path, n);
		part[n] = '\0';
		if (!structure_of(&at, &at) || !member_find(found, &at, part, 0, &offset, &next))
			return false;
		sum += offset;
		at = next;
		path += n + (path[n] == '.');
	}
	*ret = sum;
	return true;
}

static bool place_of(const struct found *found, Dwarf_Die *type, const char *path, uint64_t *ret)
{
	Dwarf_Word size;

	if (*path)
		return path_follow(found, type, path, ret);
	if (dwarf_aggregate_size(type, &size))
		return false;
	*ret = size;
	return true;
}

/* ---- a layout ---------------------------------------------------------------------------- */

static size_t members_take(struct elf_file *file, struct layout *layout)
{
	Dwarf *dwarf = dwarf_begin_elf(elf_file_handle(file), DWARF_C_READ, NULL);
	struct found found = {.texts = 0};
	size_t taken = 0;
	uint64_t place;

	if (!dwarf)
		return 0;
	for (size_t i = 0; i < NAMES; i++)
		found.missing += layout->minor >= names[i].first && layout->minor <= names[i].last;
	texts_take(elf_file_handle(file), &found);
	if (dwarf_getalt(dwarf))
		texts_take(dwarf_getelf(dwarf_getalt(dwarf)), &found);
	types_find(dwarf, layout->minor, &found);
	for (size_t i = 0; i < NAMES; i++) {
		if (!found.has[i] || !place_of(&found, &found.type[i], names[i].path, &place) ||
			place >= OFF_ABSENT)
			continue;
		*(uint16_t *)((char *)layout + names[i].place) = (uint16_t)place;
		taken++;
	}
	dwarf_end(dwarf);
	return taken;
}

int dwarf_layout_read(
	struct elf_file *const *files, size_t count, struct layout *layout, size_t *ret_members)
{
	struct layout told = *layout;
	size_t members = 0;

	for (size_t i = 0; i < count; i++)
		members += members_take(files[i], &told);
	if (!members)
		return -ENODATA;
	told.source = LAYOUT_DWARF;
	*layout = told;
	*ret_members = members;
	return 0;
}
