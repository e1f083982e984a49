/* What to do instead of a call: the texts of advice.def with the call's own arguments in them. */
#include "viewer/advice.h"

#include <stdbool.h>
#include <string.h>

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
