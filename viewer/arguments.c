/* See arguments.h. */
#include "viewer/arguments.h"

#include <assert.h>

#include "probe/base/units.h"
#include "viewer/complain.h"

#define NO_MORE (-1)
#define ROWS_MAX 24
#define LETTERS_BYTES (2 * ROWS_MAX)

enum { /* ids of shared options without a letter */
	LONG_FIRST = 256,
	OPTION_stall = LONG_FIRST,
	OPTION_min_block,
	OPTION_await_timeout,
	OPTION_all,
	OPTION_no_color
};

static const struct {
	unsigned int offer; /* 0: every command has it */
	struct option option;
} shared[] = {
	{OFFER_THRESHOLDS, {"stall", required_argument, NULL, OPTION_stall}},
	{OFFER_THRESHOLDS, {"min-block", required_argument, NULL, OPTION_min_block}},
	{OFFER_AWAIT_TIMEOUT, {"await-timeout", required_argument, NULL, OPTION_await_timeout}},
	{OFFER_ALL, {"all", no_argument, NULL, OPTION_all}},
	{OFFER_OUTPUT, {"output", required_argument, NULL, 'o'}},
	{OFFER_TEXT, {"quiet", no_argument, NULL, 'q'}},
	{OFFER_TEXT, {"verbose", no_argument, NULL, 'v'}},
	{OFFER_TEXT, {"no-color", no_argument, NULL, OPTION_no_color}},
	{0, {"help", no_argument, NULL, 'h'}},
};

struct table { /* as getopt_long() takes it */
	struct option row[ROWS_MAX + 1];
	char letters[LETTERS_BYTES];
	size_t rows, bytes;
};

static void row_add(struct table *table, const struct option *option)
{
	assert(table->rows < ROWS_MAX);
	table->row[table->rows++] = *option;
	if (option->val >= LONG_FIRST)
		return;
	table->letters[table->bytes++] = (char)option->val;
	if (option->has_arg == required_argument)
		table->letters[table->bytes++] = ':';
}

static void table_make(const struct arguments_spec *spec, struct table *ret)
{
	*ret = (struct table){
		.letters = ":", .bytes = 1}; /* a missing value is not an unknown option */
	for (const struct option *o = spec->option; o->name; o++)
		row_add(ret, o);
	for (size_t i = 0; i < sizeof(shared) / sizeof(*shared); i++)
		if (!shared[i].offer || shared[i].offer & spec->offers)
			row_add(ret, &shared[i].option);
}

/* The next option's id with optarg; NO_MORE, with optind at what follows; '?', and complained. */
static int option_next(const char *command, const struct table *table, int argc, char **argv)
{
	char letter[3] = "-";
	const char *what;
	int id;

	opterr = 0;
	id = getopt_long(argc, argv, table->letters, table->row, NULL);
	if (id != ':' && id != '?')
		return id;
	letter[1] = (char)optopt;
	if (id == ':')
		what = "a value is missing after";
	else if (optopt >= LONG_FIRST)
		what = "no value belongs to";
	else
		what = "unknown or ambiguous option";
	complain(command, "%s %s; see awaitscope %s --help", what,
		id == '?' && optopt && optopt < LONG_FIRST ? letter : argv[optind - 1], command);
	return '?';
}

/* A duration that is not zero. */
static int threshold_take(const char *command, const char *option, uint64_t *ret_ns)
{
	uint64_t ns;

	if (duration_parse(optarg, 0, &ns) || !ns)
		return complain(command,
			"%s %s is no duration: write a number and a unit, as 250ms; see awaitscope "
			"%s --help",
			option, optarg, command);
	*ret_ns = ns;
	return 0;
}

static int option_take(
	const struct arguments_spec *spec, int option, struct arguments *ret, void *own)
{
	switch (option) {
	case '?':
		return EXIT_WRONG;
	case OPTION_stall:
		return threshold_take(spec->command, "--stall", &ret->read.stall_ns);
	case OPTION_min_block:
		return threshold_take(spec->command, "--min-block", &ret->read.min_block_ns);
	case OPTION_await_timeout:
		return threshold_take(
			spec->command, "--await-timeout", &ret->read.await_timeout_ns);
	case OPTION_all:
		ret->read.all = true;
		return 0;
	case OPTION_no_color:
		ret->write.no_color = true;
		return 0;
	case 'o':
		ret->output = optarg;
		return 0;
	case 'q':
		ret->write.quiet = true;
		return 0;
	case 'v':
		ret->write.verbose = true;
		return 0;
	default:
		return spec->take(own, option);
	}
}

static int traces_check(const struct arguments_spec *spec, int count, char **names)
{
	if (count == spec->traces)
		return 0;
	if (spec->traces == 2)
		return complain(spec->command,
			"name two traces, the old one first; see awaitscope %s --help",
			spec->command);
	if (!count)
		return complain(
			spec->command, "name a trace; see awaitscope %s --help", spec->command);
	return complain(spec->command, "one trace at a time, not also %s; see awaitscope %s --help",
		names[1], spec->command);
}

int arguments_parse(
	const struct arguments_spec *spec, int argc, char **argv, struct arguments *ret, void *own)
{
	struct table table;
	int option, rc = 0;

	table_make(spec, &table);
	optind = 0; /* glibc: begin anew */
	while (!rc && (option = option_next(spec->command, &table, argc, argv)) != NO_MORE) {
		if (option == 'h') {
			spec->help();
			return 1;
		}
		rc = option_take(spec, option, ret, own);
	}
	if (!rc)
		rc = traces_check(spec, argc - optind, argv + optind);
	ret->traces = (const char *const *)argv + optind;
	return rc ? rc + 1 : 0;
}
