/*
 * What the target library finds in a live process, as JSON lines for tests:
 *   peek points PID MINOR any|symbols|recovered
 *   peek target PID
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/target/points.h"
#include "probe/target/target.h"

#define STATUS_REFUSED 3

static int print(json_t *object)
{
	int rc = json_dumpf(object, stdout, JSON_ENSURE_ASCII);

	json_decref(object);
	return rc || putchar('\n') == EOF;
}

static int refused(int rc, const char *why)
{
	fprintf(stderr, "%s: %s\n", strerror(-rc), why);
	return STATUS_REFUSED;
}

static json_t *argument_json(const struct point_argument *a)
{
	return json_pack("[i, i, i, i, I]", (int)a->kind, (int)a->reg, (int)a->size,
		(int)a->is_signed, (json_int_t)a->value);
}

static int peek_points(uint32_t pid, char **argv)
{
	enum point_source source = !strcmp(argv[1], "symbols")     ? POINT_SYMBOLS
				   : !strcmp(argv[1], "recovered") ? POINT_RECOVERED
								   : POINT_ANY;
	const char *why = "";
	struct points points;
	int rc = points_find(pid, atoi(argv[0]), source, &points, &why);

	if (rc && rc != -ENOENT)
		return refused(rc, why);
	for (uint32_t i = 0; i < points.count; i++) {
		const struct point *p = &points.point[i];

		print(json_pack("{s: s, s: s, s: b, s: s, s: s, s: I, s: I, s: I, s: [o, o, o]}",
			"kind", point_kind_name(p->kind), "source", point_source_name(p->source),
			"emulated", p->cost == POINT_EMULATED, "path",
			points.object[p->object].path, "name", points.object[p->object].name,
			"offset", (json_int_t)p->offset, "address", (json_int_t)p->address,
			"semaphore", (json_int_t)p->semaphore, "arguments",
			argument_json(&p->argument[0]), argument_json(&p->argument[1]),
			argument_json(&p->argument[2])));
	}
	for (unsigned int kind = 0; kind < POINT_KINDS; kind++)
		if (points.why[kind])
			print(json_pack("{s: s, s: s}", "missing",
				point_kind_name((enum point_kind)kind), "why", points.why[kind]));
	print(json_pack("{s: b}", "ends_whole", points.ends_whole));
	points_clear(&points);
	return 0;
}

static json_t *layout_json(const struct layout *lay)
{
	json_t *all = json_object();

#define MEMBER(structure, member, ...)                                                             \
	json_object_set_new(all, #structure "." #member, json_integer(lay->structure##_##member));
#include "probe/target/layout.def"
#undef MEMBER
	return all;
}

static int peek_target(uint32_t pid, char **argv)
{
	struct target_constants told;
	struct target *target;
	const char *why = "";
	int rc = target_open(pid, 0, &target, &why);

	if (rc)
		return refused(rc, why);
	target_constants(target, &told);
	print(json_pack("{s: i, s: i, s: I, s: I, s: I, s: I, s: I, s: o}", "minor",
		told.layout.minor, "source", told.layout.source, "runtime",
		(json_int_t)told.runtime, "runtime_size", (json_int_t)told.runtime_size,
		"gil_begin", (json_int_t)told.gil_begin, "gil_end", (json_int_t)told.gil_end,
		"gil_last_holder", (json_int_t)told.gil_last_holder, "layout",
		layout_json(&told.layout)));
	target_free(target);
	return 0;
}

static const struct {
	const char *name;
	int arguments; /* behind the pid */
	int (*peek)(uint32_t pid, char **argv);
} peeks[] = {
	{"points", 2, peek_points},
	{"target", 0, peek_target},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(peeks) / sizeof(*peeks); i++)
		if (argc == 3 + peeks[i].arguments && !strcmp(argv[1], peeks[i].name))
			return peeks[i].peek((uint32_t)atoi(argv[2]), argv + 3);
	fprintf(stderr, "usage: peek WHAT PID [ARGUMENT...]\n");
	return 2;
}
