/* What to do instead of a call: the texts of advice.def with the call's own arguments in them. */
#include "viewer/advice.h"

#include <stdbool.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "viewer/names.h"
#include "viewer/rule.h"
#include "viewer/source_text.h"

#define ARGUMENTS_MAX 40 /* longer ones are not repeated */
#define CALL_MAX 80      /* nor longer calls of what a call returned */

/* A call as it was written, "open(path).read()": its arguments begin at the last `(` that is not
 * within others. False: it is not written as one call, or was cut. */
static bool call_split(const char *call, size_t *ret_callee)
{
	size_t depth = 0, n = strlen(call);
	char quote = 0;

	if (!n || call[n - 1] != ')')
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = call[i];

		if (quote) {
			if (c == '\\' && call[i + 1])
				i++;
			else if (c == quote)
				quote = 0;
		} else if (c == '"' || c == '\'') {
			quote = c;
		} else if (c == '(' || c == '[' || c == '{') {
			if (c == '(' && !depth)
				*ret_callee = i;
			depth++;
		} else if (c == ')' || c == ']' || c == '}') {
			if (!depth-- || (!depth && i + 1 < n && !strchr(".([", call[i + 1])))
				return false;
		} else if (!depth && strchr(" =;:,+", c)) {
			return false; /* a statement, or more than a call */
		}
	}
	return !quote && !depth;
}

/* The arguments as the call was written, where that is known and short: "(0.2)". */
static const char *arguments(const char *call)
{
	size_t callee;

	if (!call || !call_split(call, &callee) || strlen(call + callee) > ARGUMENTS_MAX)
		return "()";
	return call + callee;
}

/* requests.get(url) as to_thread() takes it: "(requests.get, url)". */
static void thread_print(FILE *out, const char *call)
{
	size_t callee, n = call ? strcspn(call, "(") : 0;
	const char *inside;

	if (!n || strcspn(call, " =:;") < n) {
		fputs("()", out);
	} else if (!call_split(call, &callee)) { /* a name alone, or one that was cut */
		fprintf(out, call[strlen(call) - 1] == ')' ? "()" : "(%.*s, ...)", (int)n, call);
	} else if (callee > n) { /* open(path).read(): all of it belongs there */
		fprintf(out, strlen(call) <= CALL_MAX ? "(lambda: %s)" : "()", call);
	} else if (strlen(call + callee) > ARGUMENTS_MAX) {
		fprintf(out, "(%.*s, ...)", (int)n, call);
	} else {
		inside = call + callee + 1;
		fprintf(out, "(%.*s%s%s", (int)n, call, *inside == ')' ? "" : ", ", inside);
	}
}

void advice_print(FILE *out, enum cause cause, const char *call)
{
	static const struct {
		enum cause cause;
		const char *call, *text;
	} advices[] = {
#define ADVICE(cause, call, text) {CAUSE_##cause, call, text},
#include "viewer/advice.def"
#undef ADVICE
	};
	const char *text = "";

	for (size_t i = 0; i < sizeof(advices) / sizeof(*advices) && !*text; i++)
		if (advices[i].cause == cause &&
			!strncmp(call ? call : "", advices[i].call, strlen(advices[i].call)))
			text = advices[i].text;
	if (*text)
		fputc(' ', out);
	for (; *text; text++) {
		if (*text == '%' && text[1] == 's')
			fputs(arguments(call), out);
		else if (*text == '%' && text[1] == 't')
			thread_print(out, call);
		else {
			fputc(*text, out);
			continue;
		}
		text++;
	}
}

static const struct cell *cell_with(const struct report *report, int cell, const char *file)
{
	int of = cell_of_file(report, file, cell);

	return of == NONE ? NULL : &report->cells.at[of];
}

/* A module that is imported runs its own code once; a cell's own code can await. What exec() runs
 * is no module. */
static bool is_module_body(const struct report *report, int cell, const struct place *place)
{
	return *place->file != '<' && !strcmp(place->function, "<module>") &&
	       !cell_with(report, cell, place->file);
}

static bool is_plain_function(const struct report *report, int cell, const struct place *place)
{
	const struct cell *own = cell_with(report, cell, place->file);
	cleanup(freep) char *text = own ? NULL : source_read(place->file);
	const char *source = own ? own->source : text;

	return source && source_in_plain_function(source, place->line, name_last(place->function));
}

/* Python itself calls __eq__ and the like, and awaits nothing. */
static void plain_print(FILE *out, const char *function)
{
	bool special = !strncmp(name_last(function), "__", 2);

	fprintf(out,
		" That needs a coroutine, which %s %s call it in a thread, by await "
		"asyncio.to_thread().",
		function, special ? "can't be:" : "is not: make it one, or");
}

void advice_at_print(FILE *out, const struct report *report, int cell, const struct place *place,
	enum cause cause, const char *call)
{
	bool placed = place->file && place->function && place->line > 0;

	if (placed && is_module_body(report, cell, place)) {
		fputs(" " ADVICE_IMPORT, out);
		return;
	}
	advice_print(out, cause, call);
	if (placed && is_plain_function(report, cell, place))
		plain_print(out, place->function);
}
