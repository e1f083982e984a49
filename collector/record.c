/*
 * Field tables of the event kinds, expanded from event.def, and the check of one record against
 * them. Called by whoever takes records from a ring or a tape. Must not read past what it was
 * given.
 */
#include "collector/record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Expansions of a list: clang-format would take them apart. */
/* clang-format off */
#define EVENT(name, id, doc) enum { TAILS_##name = 0
#define TEXT(name, doc) + 1
#define END(name) };
#include "probe/event.def"

/* One function a kind: FIELD does not know its struct, but a typedef in the function does. */
#define EVENT(name_, id, doc_)                         \
	static const struct kind *kind_##name_(void)   \
	{                                              \
		typedef struct ev_##name_ self;        \
		static const char doc_text[] = doc_;   \
		static const struct field members[] = {
#define FIELD(type_, name_, doc) {#name_, FIELD_##type_, offsetof(self, name_)},
#define TEXT(name_, doc) {#name_, FIELD_TEXT, offsetof(self, name_##_len)},
#define BYTES(name_, doc) {#name_, FIELD_BYTES, offsetof(self, name_##_len)},
#define PAIRS(name_, doc) {#name_, FIELD_PAIRS, offsetof(self, name_##_len)},
#define END(name_)                                                         \
		};                                                         \
		static const struct kind the_kind = {                      \
			.name = #name_,                                    \
			.doc = doc_text,                                   \
			.size = sizeof(self),                              \
			.fields = sizeof(members) / sizeof(members[0]),    \
			.tails = TAILS_##name_,                            \
			.field = members,                                  \
		};                                                         \
		return &the_kind;                                          \
	}
#include "probe/event.def"
/* clang-format on */

const struct kind *record_kind(unsigned int id)
{
	switch (id) {
#define EVENT(name, id_, doc)                                                                      \
	case id_:                                                                                  \
		return kind_##name();
#include "probe/event.def"
	default:
		return NULL;
	}
}

int record_kind_id(const char *name)
{
	for (unsigned int id = 0; id < EV_KINDS; id++) {
		const struct kind *k = record_kind(id);

		if (k && !strcmp(k->name, name))
			return (int)id;
	}
	return -1;
}

/* Its n-th tail's length, as written. */
static uint32_t tail_len(const struct kind *k, const void *record, size_t n)
{
	uint32_t len;

	memcpy(&len, (const char *)record + k->field[k->fields - k->tails + n].off, sizeof(len));
	return len;
}

int record_check(const void *p, size_t avail)
{
	const struct ev_head *h = p;
	const struct kind *k;
	size_t size, used;

	if (avail < sizeof(*h) || h->kind == EV_pad)
		return -EPROTO;
	k = record_kind(h->kind);
	size = (size_t)h->size_words * 8;
	if (!k || size > avail || size < k->size)
		return -EPROTO;
	used = k->size;
	for (size_t n = 0; n < k->tails; n++) {
		size_t len = tail_len(k, p, n);

		if (len > size - used)
			return -EPROTO;
		if (k->field[k->fields - k->tails + n].type == FIELD_PAIRS && len % 8)
			return -EPROTO;
		used += len;
	}
	return size - used < 8 ? 0 : -EPROTO;
}

const void *record_tail(const struct ev_head *r, unsigned int n, size_t *ret_len)
{
	const struct kind *k = record_kind(r->kind);
	size_t off;

	assert(k && n < k->tails);
	off = k->size;
	for (unsigned int i = 0; i < n; i++)
		off += tail_len(k, r, i);
	*ret_len = tail_len(k, r, n);
	return (const char *)r + off;
}
