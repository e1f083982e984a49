/* What the code of coroutines does, as far as it is stored: writes of what was read before an
 * await. */
#include "collector/model_state.h"

#include "collector/instructions.h"
#include "collector/linetable.h"

#include <stdlib.h>
#include <string.h>

#define STALE_WRITES_MAX 16u /* of one function */

void body_opcodes(struct model *model, struct process *p, const struct ev_opcodes *r)
{
	size_t names, numbers;
	const char *text = record_tail(&r->head, 0, &names);
	const unsigned char *bytes = record_tail(&r->head, 1, &numbers);

	if (!p->opcodes)
		p->opcodes = malloc(sizeof(*p->opcodes));
	if (!p->opcodes)
		loss_add(model, p, "records without memory", 1);
	else
		opcodes_read(p->opcodes, text, names, bytes, numbers);
}

static uint32_t line_at(const struct code *c, uint32_t offset)
{
	return linetable_find(c->line_format, c->firstlineno, c->table, c->size, offset).line;
}

static uint32_t names_count(const char *text, size_t size)
{
	uint32_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += !text[i];
	return n;
}

void body_record(struct model *model, struct process *p, const struct ev_body *r)
{
	const struct code *c = code_get(p, r->code);
	struct stale_write found[STALE_WRITES_MAX];
	struct body body = {.cells = r->cells};
	size_t free_size, n;
	const char *free_text;

	if (!c || !p->opcodes || c->place.owner != PLACE_USER || !model_room(model))
		return;
	body.at = record_tail(&r->head, 0, &body.size);
	body.names.text = record_tail(&r->head, 1, &body.names.size);
	body.locals.text = record_tail(&r->head, 2, &body.locals.size);
	free_text = record_tail(&r->head, 3, &free_size);
	body.free = names_count(free_text, free_size);
	n = stale_writes_find(p->opcodes, &body, found, STALE_WRITES_MAX);
	for (size_t i = 0; i < n; i++)
		STORE_PUT(model->store, stale_write, NUMBER(p->id), TEXT_OF(c->file),
			TEXT_OF(c->function),
			TEXT_OF(pool_text(&model->pool, found[i].name, strlen(found[i].name))),
			NUMBER(line_at(c, found[i].read_at)), NUMBER(line_at(c, found[i].await_at)),
			NUMBER(line_at(c, found[i].write_at)), NUMBER(found[i].guarded));
}
