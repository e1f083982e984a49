/* What to do instead of a call: the texts of advice.def with the call's own arguments in them. */
#include "viewer/advice.h"

#include <string.h>

#define ARGUMENTS_MAX 40 /* longer ones are not repeated */

/* The arguments as the call was written, where that is known and short: "(0.2)". */
static const char *arguments(const char *call)
{
	const char *open = call ? strchr(call, '(') : NULL;

	return open && strlen(open) <= ARGUMENTS_MAX && call[strlen(call) - 1] == ')' ? open : "()";
}

/* requests.get(url) as to_thread() takes it: "(requests.get, url)". */
static void thread_print(FILE *out, const char *call)
{
	const char *inside = arguments(call) + 1;
	size_t n = call ? strcspn(call, "(") : 0;

	if (!n)
		fputs("()", out);
	else if (call[n] == '(' && !strcmp(arguments(call), call + n))
		fprintf(out, "(%.*s%s%s", (int)n, call, *inside == ')' ? "" : ", ", inside);
	else
		fprintf(out, "(%.*s, ...)", (int)n, call);
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
