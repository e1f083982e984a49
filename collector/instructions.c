/* See instructions.h. */
#include "collector/instructions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/base/cleanup.h"

#define LOCALS_MAX 256u  /* followed; values in later ones are not */
#define FEEDS_MAX 16u    /* shared reads that one value comes from */
#define OPERANDS_MAX 8u  /* on the interpreter's stack that are still known by name */
#define AWAITS_MAX 64u   /* of one function that are told */
#define SUBSCRIPT 26     /* BINARY_OP's NB_SUBSCR, Include/opcode.h@3.14 */
#define SPECIAL_AENTER 2 /* LOAD_SPECIAL, Include/internal/pycore_ceval.h@3.14 */
#define SPECIAL_AEXIT 3

enum does {
	UNKNOWN, /* something with operands that is not followed */
	NOTHING,
	EXTEND,
	READ_LOCAL,
	READ_TWO_LOCALS,
	WRITE_LOCAL,
	WRITE_THEN_READ_LOCAL,
	WRITE_TWO_LOCALS,
	READ_GLOBAL,
	READ_NAME,
	WRITE_NAME,
	READ_CELL,
	WRITE_CELL,
	MAKE_CELL,
	READ_ATTRIBUTE,
	READ_METHOD,
	WRITE_ATTRIBUTE,
	READ_ITEM,
	OPERATE,
	WRITE_ITEM,
	CONSTANT,
	SMALL_INT,
	COPY,
	SWAP,
	AWAIT,
	GUARD,
	END,
};

/* ---- names ----------------------------------------------------------------------------------- */

static const char *name_at(const struct names *names, uint32_t index)
{
	size_t at = 0;

	while (index-- && at < names->size) {
		const char *end = memchr(names->text + at, '\0', names->size - at);

		if (!end)
			return NULL;
		at = (size_t)(end - names->text) + 1;
	}
	return at < names->size && memchr(names->text + at, '\0', names->size - at)
		       ? names->text + at
		       : NULL;
}

static const char *next_name(const char **at, const char *end)
{
	const char *name = *at, *nul = name < end ? memchr(name, '\0', (size_t)(end - name)) : NULL;

	if (!nul)
		return NULL;
	*at = nul + 1;
	return name;
}

void opcodes_read(struct opcodes *ret, const char *names, size_t names_size,
	const unsigned char *numbers, size_t count)
{
	static const struct {
		const char *name;
		enum does does;
	} list[] = {
#define INSTRUCTION(name, does) {#name, does},
#include "collector/instructions.def"
#undef INSTRUCTION
	};
	const char *at = names, *end = names + names_size, *name;

	*ret = (struct opcodes){
		.known = true, .item_is_operation = true, .attribute_shifted = true};
	for (size_t i = 0; i < count && (name = next_name(&at, end)); i++) {
		for (size_t k = 0; k < sizeof(list) / sizeof(*list); k++)
			if (!strcmp(name, list[k].name))
				ret->does[numbers[i]] = (unsigned char)list[k].does;
		ret->global_shifted |= !strcmp(name, "RESUME");
		ret->attribute_shifted &= strcmp(name, "LOAD_METHOD") != 0;
		ret->item_is_operation &= strcmp(name, "BINARY_SUBSCR") != 0;
	}
	ret->cells_with_locals = ret->global_shifted;
}

/* ---- values ---------------------------------------------------------------------------------- */

struct path { /* "$counter", "$state.count", "%self.total", "$rows[c1]"; "": not followed */
	char text[SHARED_NAME_BYTES];
};

struct feed { /* a shared read that a value comes from */
	struct path path;
	uint32_t read_at, awaits; /* awaits before it */
};

struct value {
	struct feed feed[FEEDS_MAX];
	uint32_t feeds;
};

struct operand {
	struct path path;
	uint32_t feed; /* its own in the statement; FEEDS_MAX: none */
};

struct walk {
	const struct opcodes *opcodes;
	const struct body *body;
	struct value statement; /* what the current statement has read */
	struct operand operand[OPERANDS_MAX];
	uint32_t operands;
	struct operand copied[2]; /* what an augmented assignment writes back to */
	uint32_t copies;
	bool swapped; /* the instruction before exchanged operands */
	bool guarded;
	uint32_t await_at[AWAITS_MAX], awaits;
	bool made_cell[LOCALS_MAX];
	struct value local[LOCALS_MAX];
	struct stale_write *found;
	size_t n, max;
};

/* "$": a global or a variable of an outer function; "%": a local, of which only parts are shared.
 */
static bool path_shared(const struct path *path)
{
	return *path->text == '$' || (*path->text == '%' && strpbrk(path->text, ".["));
}

static void path_make(struct path *ret, const char *kind, const char *name)
{
	if (!name || snprintf(ret->text, sizeof(ret->text), "%s%s", kind, name) >=
			     (int)sizeof(ret->text))
		*ret->text = '\0';
}

static void path_extend(struct path *path, const char *before, const char *part, const char *after)
{
	size_t n = strlen(path->text), left = sizeof(path->text) - n;

	if (!n || !part ||
		snprintf(path->text + n, left, "%s%s%s", before, part, after) >= (int)left)
		*path->text = '\0';
}

static void feed_add(struct value *value, const struct feed *feed)
{
	if (value->feeds < FEEDS_MAX)
		value->feed[value->feeds++] = *feed;
}

static struct operand *operand_push(struct walk *w)
{
	if (w->operands == OPERANDS_MAX) {
		memmove(w->operand, w->operand + 1, sizeof(w->operand) - sizeof(*w->operand));
		w->operands--;
	}
	w->operand[w->operands] = (struct operand){.feed = FEEDS_MAX};
	return &w->operand[w->operands++];
}

static struct operand operand_pop(struct walk *w)
{
	static const struct operand none = {.feed = FEEDS_MAX};

	return w->operands ? w->operand[--w->operands] : none;
}

static void read_path(struct walk *w, uint32_t at, const char *kind, const char *name)
{
	struct operand *o = operand_push(w);

	path_make(&o->path, kind, name);
	if (!*o->path.text || w->statement.feeds == FEEDS_MAX)
		return;
	o->feed = w->statement.feeds;
	feed_add(&w->statement, &(struct feed){o->path, at, w->awaits});
}

static void read_local(struct walk *w, uint32_t at, uint32_t index)
{
	read_path(w, at, "%", name_at(&w->body->locals, index));
	for (uint32_t i = 0; index < LOCALS_MAX && i < w->local[index].feeds; i++)
		feed_add(&w->statement, &w->local[index].feed[i]);
}

/* A variable shared with inner functions, or one of an outer function's. */
static void cell_path(const struct walk *w, uint32_t arg, struct path *ret)
{
	const struct body *b = w->body;
	uint32_t all = 0;
	bool outer;

	while (name_at(&b->locals, all))
		all++;
	if (w->opcodes->cells_with_locals) {
		outer = arg >= LOCALS_MAX || !w->made_cell[arg];
	} else {
		outer = arg >= b->cells;
		arg += all - b->cells - b->free;
	}
	path_make(ret, outer ? "$" : "%", name_at(&b->locals, arg));
}

/* The path on top goes on with a part of it. */
static void part_read(struct walk *w, struct operand *o)
{
	if (o->feed < w->statement.feeds)
		w->statement.feed[o->feed].path = o->path;
}

static void item_read(struct walk *w)
{
	struct operand key = operand_pop(w), container = operand_pop(w);

	path_extend(&container.path, "[", *key.path.text ? key.path.text : NULL, "]");
	part_read(w, &container);
	*operand_push(w) = container;
}

/* ---- writes ---------------------------------------------------------------------------------- */

static void statement_end(struct walk *w)
{
	w->statement.feeds = 0;
	w->operands = 0;
	w->copies = 0;
}

/* As a person would write it. */
static void name_shown(const struct path *path, char *ret)
{
	const char *open = strchr(path->text, '[');
	int n = open ? (int)(open - path->text) : (int)strlen(path->text);

	snprintf(ret, SHARED_NAME_BYTES, "%.*s%s", n - 1 < SHARED_NAME_BYTES - 6 ? n - 1 : 0,
		path->text + 1, open ? "[...]" : "");
}

/* Was it read again since the last await? Then what was written may have been compared with it. */
static bool read_again(const struct walk *w, const struct path *path)
{
	for (uint32_t i = 0; i < w->statement.feeds; i++)
		if (!strcmp(w->statement.feed[i].path.text, path->text) &&
			w->statement.feed[i].awaits == w->awaits)
			return true;
	return false;
}

static void write_shared(struct walk *w, uint32_t at, const struct path *path)
{
	if (!*path->text || !path_shared(path) || read_again(w, path))
		return;
	for (uint32_t i = 0; i < w->statement.feeds; i++) {
		const struct feed *f = &w->statement.feed[i];

		if (strcmp(f->path.text, path->text))
			continue;
		for (uint32_t k = f->awaits; k < w->awaits && k < AWAITS_MAX && w->n < w->max;
			k++) {
			struct stale_write *s = &w->found[w->n++];

			*s = (struct stale_write){.read_at = f->read_at,
				.await_at = w->await_at[k],
				.write_at = at,
				.guarded = w->guarded};
			name_shown(path, s->name);
		}
		return;
	}
}

static void write_local(struct walk *w, uint32_t index)
{
	if (index < LOCALS_MAX)
		w->local[index] = w->statement;
	statement_end(w);
}

static void write_attribute(struct walk *w, uint32_t at, const char *name)
{
	struct operand o = w->swapped && w->copies ? w->copied[0] : operand_pop(w);

	path_extend(&o.path, ".", name, "");
	write_shared(w, at, &o.path);
	statement_end(w);
}

static void write_item(struct walk *w, uint32_t at)
{
	bool augmented = w->swapped && w->copies == 2;
	struct operand key = augmented ? w->copied[1] : operand_pop(w);
	struct operand container = augmented ? w->copied[0] : operand_pop(w);

	path_extend(&container.path, "[", *key.path.text ? key.path.text : NULL, "]");
	write_shared(w, at, &container.path);
	statement_end(w);
}

/* DUP_TOP, or COPY 1: the object of an attribute. DUP_TOP_TWO, or COPY 2 twice: container and key.
 */
static void copy(struct walk *w)
{
	uint32_t known = w->operands < 2 ? w->operands : 2;

	if (w->copies)
		return;
	for (uint32_t i = 0; i < known; i++)
		w->copied[i] = w->operand[w->operands - known + i];
	w->copies = known;
}

/* ---- the walk -------------------------------------------------------------------------------- */

static void constant(struct walk *w, const char *kind, uint32_t arg)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", arg);
	path_make(&operand_push(w)->path, kind, number);
}

static void reads(struct walk *w, enum does does, uint32_t at, uint32_t arg)
{
	const struct opcodes *ops = w->opcodes;
	struct path path;
	struct operand *o;

	switch (does) {
	case READ_LOCAL:
		read_local(w, at, arg);
		break;
	case READ_TWO_LOCALS:
		read_local(w, at, arg >> 4);
		read_local(w, at, arg & 15);
		break;
	case READ_GLOBAL:
		read_path(w, at, "$", name_at(&w->body->names, arg >> ops->global_shifted));
		break;
	case READ_NAME:
		read_path(w, at, "$", name_at(&w->body->names, arg));
		break;
	case READ_CELL:
		cell_path(w, arg, &path);
		read_path(w, at, "", *path.text ? path.text : NULL);
		break;
	case READ_ATTRIBUTE:
	case READ_METHOD: {
		bool shifted = does == READ_ATTRIBUTE && ops->attribute_shifted;
		const char *name = name_at(&w->body->names, arg >> shifted);

		w->guarded |= name && !strcmp(name, "acquire");
		o = w->operands ? &w->operand[w->operands - 1] : operand_push(w);
		path_extend(&o->path, ".", name, "");
		part_read(w, o);
		break;
	}
	default:
		item_read(w);
	}
}

static void writes(struct walk *w, enum does does, uint32_t at, uint32_t arg)
{
	struct path path;

	switch (does) {
	case WRITE_LOCAL:
		write_local(w, arg);
		break;
	case WRITE_THEN_READ_LOCAL:
		write_local(w, arg >> 4);
		read_local(w, at, arg & 15);
		break;
	case WRITE_TWO_LOCALS:
		write_local(w, arg >> 4);
		write_local(w, arg & 15);
		break;
	case WRITE_NAME:
		path_make(&path, "$", name_at(&w->body->names, arg));
		write_shared(w, at, &path);
		statement_end(w);
		break;
	case WRITE_CELL:
		cell_path(w, arg, &path);
		write_shared(w, at, &path);
		statement_end(w);
		break;
	case WRITE_ATTRIBUTE:
		write_attribute(w, at, name_at(&w->body->names, arg));
		break;
	default:
		write_item(w, at);
	}
}

static void others(struct walk *w, enum does does, uint32_t at, uint32_t arg)
{
	switch (does) {
	case NOTHING:
		break;
	case MAKE_CELL:
		if (arg < LOCALS_MAX)
			w->made_cell[arg] = true;
		break;
	case CONSTANT:
		constant(w, "c", arg);
		break;
	case SMALL_INT:
		constant(w, "i", arg);
		break;
	case COPY:
		copy(w);
		break;
	case AWAIT:
		if (w->awaits < AWAITS_MAX)
			w->await_at[w->awaits++] = at;
		w->operands = 0;
		break;
	case GUARD:
		w->guarded |= w->opcodes->item_is_operation
				      ? arg == SPECIAL_AENTER || arg == SPECIAL_AEXIT
				      : true;
		break;
	case END:
		statement_end(w);
		break;
	default: /* a call, an operation: its operands are gone, its result has no name */
		w->operands = 0;
	}
}

static void step(struct walk *w, enum does does, uint32_t at, uint32_t arg)
{
	bool copies_more = does == COPY && w->copies;

	if (does == OPERATE && w->opcodes->item_is_operation && arg == SUBSCRIPT)
		does = READ_ITEM;
	if (does == READ_LOCAL || does == READ_TWO_LOCALS || does == READ_GLOBAL ||
		does == READ_NAME || does == READ_CELL || does == READ_ATTRIBUTE ||
		does == READ_METHOD || does == READ_ITEM)
		reads(w, does, at, arg);
	else if ((does >= WRITE_LOCAL && does <= WRITE_TWO_LOCALS) || does == WRITE_NAME ||
		 does == WRITE_CELL || does == WRITE_ATTRIBUTE || does == WRITE_ITEM)
		writes(w, does, at, arg);
	else if (!copies_more)
		others(w, does, at, arg);
	if (does != NOTHING)
		w->swapped = does == SWAP;
}

size_t stale_writes_find(
	const struct opcodes *opcodes, const struct body *body, struct stale_write *ret, size_t max)
{
	cleanup(freep) struct walk *w = calloc(1, sizeof(*w));
	uint32_t arg = 0;

	if (!w || !opcodes->known)
		return 0;
	w->opcodes = opcodes;
	w->body = body;
	w->found = ret;
	w->max = max;
	for (size_t i = 0; i + 1 < body->size; i += 2) {
		enum does does = (enum does)opcodes->does[body->at[i]];

		arg = arg << 8 | body->at[i + 1];
		if (does == EXTEND)
			continue;
		step(w, does, (uint32_t)i, arg);
		arg = 0;
	}
	return w->n;
}
