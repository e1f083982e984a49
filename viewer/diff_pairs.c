/*
 * Which cell, process and file of one trace is which of the other. Cells: in order, those of equal
 * source, and between them those that have the most lines in common, as an edited cell has.
 */
#include "viewer/diff.h"

#include <errno.h>

#include "probe/base/cleanup.h"

#define PAIRS_MOST                                                                                 \
	4000000   /* cells of OLD times cells of NEW that are weighed; beyond, in order            \
		   */
#define SAME 1000 /* weight of equal sources; of others less: the share of common lines */
#define ALIKE 1   /* of cells with nothing in common: better than none */

static uint64_t line_hash(const char *line, size_t n)
{
	uint64_t h = 0xcbf29ce484222325; /* FNV-1a */

	for (; n; line++, n--)
		h = (h ^ (unsigned char)*line) * 0x100000001b3;
	return h;
}

struct lines { /* hashes of a cell's lines that are not blank, sorted */
	uint64_t *at;
	size_t n;
};

static int hash_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int lines_make(const char *source, struct lines *ret)
{
	size_t room = 1;

	for (const char *p = source; *p; p++)
		room += *p == '\n';
	ret->at = calloc(room, sizeof(*ret->at));
	if (!ret->at)
		return -ENOMEM;
	while (*source) {
		size_t n = strcspn(source, "\n"), blank = strspn(source, " \t\r");

		if (blank < n)
			ret->at[ret->n++] = line_hash(source + blank, n - blank);
		source += n + (source[n] == '\n');
	}
	qsort(ret->at, ret->n, sizeof(*ret->at), hash_compare);
	return 0;
}

static int likeness(const struct lines *a, const struct lines *b)
{
	size_t i = 0, k = 0, common = 0, all = a->n + b->n;

	while (i < a->n && k < b->n) {
		if (a->at[i] == b->at[k]) {
			common++;
			i++;
			k++;
		} else if (a->at[i] < b->at[k]) {
			i++;
		} else {
			k++;
		}
	}
	return all ? ALIKE + (int)(common * 2 * (SAME / 2) / all) : ALIKE;
}

struct aligner { /* best[i][k]: of the first i cells of OLD and k of NEW */
	const struct diff *diff;
	struct lines *lines[2];
	size_t n[2];
	int *best;
};

static int weight_of(const struct aligner *a, size_t i, size_t k)
{
	const char *old = a->diff->old->cells.at[i].source;
	const char *new = a->diff->new->cells.at[k].source;

	return strcmp(old, new) ? likeness(&a->lines[0][i], &a->lines[1][k]) : SAME * 2;
}

static void align(struct aligner *a)
{
	size_t width = a->n[1] + 1;

	for (size_t i = 1; i <= a->n[0]; i++)
		for (size_t k = 1; k <= a->n[1]; k++) {
			int up = a->best[(i - 1) * width + k], left = a->best[i * width + k - 1];
			int both = a->best[(i - 1) * width + k - 1] + weight_of(a, i - 1, k - 1);
			int most = up > left ? up : left;

			a->best[i * width + k] = both > most ? both : most;
		}
	for (size_t i = a->n[0], k = a->n[1]; i && k;) {
		int here = a->best[i * width + k];

		if (here == a->best[(i - 1) * width + k]) {
			i--;
		} else if (here == a->best[i * width + k - 1]) {
			k--;
		} else {
			a->diff->cell_pair[0][--i] = (int)--k;
			a->diff->cell_pair[1][k] = (int)i;
		}
	}
}

static int aligner_run(struct aligner *a)
{
	const struct report *const reports[2] = {a->diff->old, a->diff->new};
	int rc = 0;

	for (int s = 0; s < 2; s++) {
		a->lines[s] = calloc(a->n[s] + 1, sizeof(*a->lines[s]));
		for (size_t i = 0; i < a->n[s] && a->lines[s] && !rc; i++)
			rc = lines_make(reports[s]->cells.at[i].source, &a->lines[s][i]);
		if (!a->lines[s])
			rc = -ENOMEM;
	}
	a->best = rc ? NULL : calloc((a->n[0] + 1) * (a->n[1] + 1), sizeof(*a->best));
	if (a->best)
		align(a);
	else
		rc = -ENOMEM;
	for (int s = 0; s < 2; s++) {
		for (size_t i = 0; i < a->n[s] && a->lines[s]; i++)
			free(a->lines[s][i].at);
		free(a->lines[s]);
	}
	free(a->best);
	return rc;
}

static int *pairs_new(size_t n)
{
	int *pairs = malloc((n + 1) * sizeof(*pairs));

	for (size_t i = 0; pairs && i < n; i++)
		pairs[i] = NONE;
	return pairs;
}

int cells_pair(struct diff *diff)
{
	struct aligner a = {.diff = diff, .n = {diff->old->cells.n, diff->new->cells.n}};
	int rc = 0;

	for (int s = 0; s < 2; s++) {
		diff->cell_pair[s] = pairs_new(a.n[s]);
		if (!diff->cell_pair[s])
			return -ENOMEM;
	}
	if (!a.n[0] || !a.n[1])
		rc = 0;
	else if (a.n[0] <= PAIRS_MOST / a.n[1])
		rc = aligner_run(&a);
	else
		for (size_t i = 0; i < a.n[0] && i < a.n[1]; i++)
			diff->cell_pair[0][i] = diff->cell_pair[1][i] = (int)i;
	for (size_t i = 0; i < a.n[0]; i++)
		diff->removed += diff->cell_pair[0][i] == NONE;
	for (size_t k = 0; k < a.n[1]; k++) {
		int old = diff->cell_pair[1][k];

		diff->added += old == NONE;
		diff->edited += old != NONE && strcmp(diff->old->cells.at[old].source,
						       diff->new->cells.at[k].source) != 0;
	}
	return rc;
}

/* Those of equal command lines, then the others in order of their beginning. */
int processes_pair(struct diff *diff)
{
	const struct report *old = diff->old, *new = diff->new;

	diff->process_pair[0] = pairs_new(old->processes.n);
	diff->process_pair[1] = pairs_new(new->processes.n);
	if (!diff->process_pair[0] || !diff->process_pair[1])
		return -ENOMEM;
	for (int pass = 0; pass < 2; pass++)
		for (size_t k = 0; k < new->processes.n; k++) {
			const struct process *p = &new->processes.at[k];
			size_t i = 0;

			if (diff->process_pair[1][k] != NONE || !p->has_loop)
				continue;
			while (i < old->processes.n &&
				(diff->process_pair[0][i] != NONE ||
					!old->processes.at[i].has_loop ||
					(!pass && strcmp(old->processes.at[i].argv, p->argv))))
				i++;
			if (i == old->processes.n)
				continue;
			diff->process_pair[0][i] = (int)k;
			diff->process_pair[1][k] = (int)i;
		}
	return 0;
}

/* ---- files */

static bool names(const struct report *report, const char *file)
{
	for (size_t i = 0; i < report->findings.n; i++) {
		const char *one = report->findings.at[i].place.file;

		if (one && !strcmp(one, file))
			return true;
	}
	for (size_t i = 0; i < report->sites.n; i++) {
		const char *one = report->sites.at[i].place.file;

		if (one && !strcmp(one, file))
			return true;
	}
	return false;
}

/* Bytes at the end that are equal; 0 where not even the last name is. */
static size_t common_end(const char *a, const char *b)
{
	size_t n = 0, la = strlen(a), lb = strlen(b);
	const char *last = strrchr(b, '/');

	while (n < la && n < lb && a[la - n - 1] == b[lb - n - 1])
		n++;
	return n >= strlen(last ? last : b) || (n == lb && n == la) ? n : 0;
}

static void best_take(
	const struct diff *diff, const char *file, const char *one, const char **best, size_t *most)
{
	size_t n = one ? common_end(file, one) : 0;

	if (n > *most && !names(diff->old, one)) {
		*most = n;
		*best = one;
	}
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static const char *file_named(const struct report *report, const char *name)
{
	for (size_t i = 0; i < report->findings.n; i++) {
		const char *one = report->findings.at[i].place.file;

		if (one && !strcmp(last_name(one), name))
			return one;
	}
	for (size_t i = 0; i < report->sites.n; i++) {
		const char *one = report->sites.at[i].place.file;

		if (one && !strcmp(last_name(one), name))
			return one;
	}
	return NULL;
}

/* A script that was copied under another name to be changed: what differs in the command lines. */
static const char *script_in_new(const struct diff *diff, const char *file)
{
	const char *found = NULL;

	for (size_t i = 0; i < diff->old->processes.n && !found; i++) {
		int k = diff->process_pair[0][i];
		json_t *old = json_loads(diff->old->processes.at[i].argv, 0, NULL);
		json_t *new =
			k == NONE ? NULL : json_loads(diff->new->processes.at[k].argv, 0, NULL);

		for (size_t w = 1; w < json_array_size(old) && !found; w++) {
			const char *a = json_string_value(json_array_get(old, w));
			const char *b = json_string_value(json_array_get(new, w));

			if (a && b && strcmp(a, b) && !strcmp(last_name(a), last_name(file)))
				found = file_named(diff->new, last_name(b));
		}
		json_decref(old);
		json_decref(new);
	}
	return found && !names(diff->old, found) ? found : NULL;
}

const char *file_in_new(const struct diff *diff, const char *file)
{
	const char *best = file, *script;
	size_t most = 0;

	if (names(diff->new, file))
		return file;
	script = script_in_new(diff, file);
	if (script)
		return script;
	for (size_t i = 0; i < diff->new->findings.n; i++)
		best_take(diff, file, diff->new->findings.at[i].place.file, &best, &most);
	for (size_t i = 0; i < diff->new->sites.n; i++)
		best_take(diff, file, diff->new->sites.at[i].place.file, &best, &most);
	return best;
}
