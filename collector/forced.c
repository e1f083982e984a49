/* Two words from the environment. See forced.h. */
#include "collector/forced.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENV_LAYOUT "AWAITSCOPE_LAYOUT"
#define ENV_POINTS "AWAITSCOPE_POINTS"

int forced_read(struct forced *ret, const char **ret_why)
{
	static const char *const layouts[] = {[LAYOUT_SHIPPED] = "shipped",
		[LAYOUT_PUBLISHED] = "published",
		[LAYOUT_DWARF] = "dwarf"};
	const char *layout = getenv(ENV_LAYOUT), *points = getenv(ENV_POINTS);
	struct forced said = {.layout = LAYOUT_ANY, .points = POINT_ANY};

	for (unsigned int i = 0; layout && i < LAYOUT_ANY; i++)
		if (!strcmp(layout, layouts[i]))
			said.layout = (enum layout_source)i;
	if (layout && said.layout == LAYOUT_ANY) {
		*ret_why = ENV_LAYOUT " is none of shipped, published, dwarf";
		return -EINVAL;
	}
	if (points && !strcmp(points, "symbols"))
		said.points = POINT_SYMBOLS;
	else if (points && !strcmp(points, "recovered"))
		said.points = POINT_RECOVERED;
	else if (points) {
		*ret_why = ENV_POINTS " is none of symbols, recovered";
		return -EINVAL;
	}
	*ret = said;
	return 0;
}

const char *forced_missing(const struct forced *forced, const struct points *points)
{
	for (unsigned int kind = POINT_STEP; forced->points != POINT_ANY && kind <= POINT_SET;
		kind++)
		if (points->why[kind])
			return points->why[kind];
	return NULL;
}
