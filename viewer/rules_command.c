/* `awaitscope rules [ID]`: the list, or one rule with its cause, an example and better code. */
#include "viewer/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "viewer/complain.h"
#include "viewer/rule.h"
#include "viewer/screen.h"

#define COMMAND "rules"
#define INDENT_CODE "    "

static const char usage[] = "Usage: awaitscope rules [ID]\n"
			    "List the rules, or explain one: why it matters, what it looks like, "
			    "what to write instead.\n"
			    "\n"
			    "ID is as AS101, or the rule's name.\n"
			    "\n"
			    "Example:\n"
			    "  awaitscope rules AS101\n"
			    "\n"
			    "Exit status: 0 done, 2 wrong usage or no such rule.\n";

static void code_print(FILE *out, const char *code)
{
	while (*code) {
		size_t n = strcspn(code, "\n");

		fprintf(out, "%s%.*s\n", n ? INDENT_CODE : "", (int)n, code);
		code += n + (code[n] == '\n');
	}
}

static void rule_print(struct screen *screen, const struct rule *rule)
{
	screen_put(screen, STYLE_bold, rule->id);
	fprintf(screen->out, " %s (%s)\n\n", rule->name, severity_name(rule->severity));
	fputs("Fires when: ", screen->out);
	screen_wrap(screen, STYLE_plain, rule->sentence, strlen("Fires when: "), 2);
	fputs("Needs: ", screen->out);
	screen_wrap(screen, STYLE_plain, rule_needs_text(rule), strlen("Needs: "), 2);
	if (!rule->check)
		screen_wrap(screen, STYLE_plain,
			"This version does not record its evidence yet: it is never checked.", 0,
			0);
	fputc('\n', screen->out);
	screen_put(screen, STYLE_bold, "Why: ");
	screen_wrap(screen, STYLE_plain, rule->cause, strlen("Why: "), 0);
	fputc('\n', screen->out);
	code_print(screen->out, rule->example);
	fputc('\n', screen->out);
	screen_put(screen, STYLE_bold, "Instead: ");
	screen_wrap(screen, STYLE_plain, rule->advice, strlen("Instead: "), 0);
	fputc('\n', screen->out);
	code_print(screen->out, rule->better);
	fprintf(screen->out, "\nWhere it is meant, the line can say so: # awaitscope: ignore[%s]\n",
		rule->id);
}

static void rules_print(struct screen *screen)
{
	for (size_t i = 0; i < rules_count; i++) {
		char head[64];
		int n = snprintf(head, sizeof(head), "%s %-7s  %-25s  ", rules[i].id,
			severity_name(rules[i].severity), rules[i].name);

		fputs(head, screen->out);
		screen_wrap(screen, STYLE_plain, rules[i].sentence, (size_t)n, (size_t)n);
	}
	fputs("\nawaitscope rules ID explains one. In a synchronous cell AS101 to AS112 are "
	      "notes.\n",
		screen->out);
}

static int told(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	return complain(COMMAND, "cannot write: %s", strerror(errno));
}

int rules_main(int argc, char **argv)
{
	struct screen screen;
	const struct rule *rule;

	screen_init(&screen, stdout, false);
	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc == 1) {
		rules_print(&screen);
		return told();
	}
	rule = argc == 2 ? rule_find(argv[1]) : NULL;
	if (argc > 2)
		return complain(COMMAND,
			"one rule at a time, not also %s; see awaitscope rules --help", argv[2]);
	if (!rule)
		return complain(
			COMMAND, "no rule is called %s; awaitscope rules lists them", argv[1]);
	rule_print(&screen, rule);
	return told();
}
