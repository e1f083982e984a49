/*
 * AS101 to AS107 and AS112: calls that block the loop. A site counts where it held one turn of its
 * loop for --stall/10 or more in all; in a synchronous cell it is a note.
 */
#include <errno.h>

#include "probe/base/cleanup.h"
#include "viewer/advice.h"
#include "viewer/names.h"
#include "viewer/rule.h"

#define LEAST_SHARE 10 /* of --stall, in sum per site and turn */

struct held { /* by one site, in turns where it was enough */
	uint64_t ns, count, longest_ns;
};

struct weight {                 /* of one site */
	struct held loop, cell; /* cell: inside a synchronous one */
	struct held turn;       /* the turn that is being added up */
	uint64_t turn_begin_ns;
	bool turn_open, turn_in_cell;
	const struct rule *rule; /* NULL: none judges it */
	bool manager; /* AS112: of the user's, and synchronous: it is what is to change */
	bool import;
	bool finalizer; /* in what Python calls when an object goes away */
	bool callback;  /* the loop itself called it: it is not known who asked for that */
	struct place place, caller;
	size_t finding; /* its index */
};

static const struct class_rule {
	const char *class, *rule;
} class_rules[] = {
	{"sleep", "AS101"},
	{"network", "AS102"},
	{"file", "AS103"},
	{"database", "AS104"},
	{"subprocess", "AS105"},
	{"dns", "AS106"},
	{"lock", "AS107"},
};

static const struct rule *rule_of_class(const char *class)
{
	for (size_t i = 0; i < sizeof(class_rules) / sizeof(*class_rules); i++)
		if (!strcmp(class_rules[i].class, class))
			return rule_find(class_rules[i].rule);
	return NULL;
}

/*
 * Is frame i of the judge's, inside of the innermost user frame or that itself, an __enter__ or
 * __exit__ that user code called by `with`? The coroutine is further out.
 */
static bool is_context_manager(const struct judge *judge, size_t i)
{
	static const char *const names[] = {"__enter__", "__exit__", "__aenter__", "__aexit__"};
	const struct frame *f = &judge->frames.at[i];
	bool named = false;

	for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++)
		named |= !strcmp(name_last(f->place.function), names[k]);
	return named && i + 1 < judge->frames.n && (f->user || judge->frames.at[i + 1].user);
}

/* Such a frame of the user's own that could be asynchronous. */
static bool is_to_change(const struct judge *judge, size_t i)
{
	const struct frame *f = &judge->frames.at[i];
	const char *inside = f->place.file ? library_path(f->place.file) : NULL;

	/* contextlib runs the user's generator */
	return strncmp(name_last(f->place.function), "__a", strlen("__a")) != 0 &&
	       (f->user || (inside && !strcmp(inside, "contextlib.py")));
}

/* IPython (8.35) gives cells an open() of its own, which is what they asked for. */
static bool is_machinery(const struct frame *f)
{
	const char *inside = f->place.file ? library_path(f->place.file) : NULL;

	return inside && strcmp(f->place.function, "_modified_open") != 0 &&
	       (!strncmp(inside, "IPython/", strlen("IPython/")) ||
		       !strncmp(inside, "ipykernel/", strlen("ipykernel/")));
}

/* Showing a value, printing, and flushing that: also for a library that user code called. */
static bool shows(const struct judge *judge, int user)
{
	for (int i = 0; i < user; i++)
		if (is_machinery(&judge->frames.at[i]))
			return true;
	return false;
}

/*
 * asyncio's own doing, for a call that is the right one; or the birth of a thread or, by Popen(), a
 * child, which lasts until the machine lets that run: asyncio's way to make a child is the same.
 */
static bool is_inherent(const struct judge *judge, int user)
{
	const char *inside;

	for (int i = 0; i < user; i++) {
		const struct frame *f = &judge->frames.at[i];

		inside = f->place.file ? library_path(f->place.file) : NULL;
		if (!inside)
			continue;
		if (i + 1 == user && !strncmp(inside, "asyncio/", strlen("asyncio/")))
			return true;
		if (!strcmp(inside, "threading.py") &&
			!strcmp(name_last(f->place.function), "start"))
			return true;
		if (i + 1 == user && !strcmp(inside, "subprocess.py") &&
			!strcmp(name_last(f->place.function), "__init__"))
			return true;
	}
	return false;
}

/* A module's own code, or the import system that reads it, also for a library that needs it now. */
static bool is_import(const struct judge *judge, const char *call)
{
	static const char system[] = "<frozen importlib";

	if (!strncmp(call, "import ", 7) || !strncmp(call, "from ", 5))
		return true;
	return judge->frames.n && judge->frames.at[0].place.file &&
	       !strncmp(judge->frames.at[0].place.file, system, strlen(system));
}

/* Under weakref.finalize(), or a __del__ of the user's. */
static bool is_finalizer(const struct judge *judge)
{
	for (size_t i = 0; i < judge->frames.n; i++) {
		const struct frame *f = &judge->frames.at[i];
		const char *inside = f->place.file ? library_path(f->place.file) : NULL;
		const char *name = name_last(f->place.function);

		if ((f->user && !strcmp(name, "__del__")) ||
			(inside && !strcmp(inside, "weakref.py") && !strcmp(name, "__call__")))
			return true;
	}
	return false;
}

static bool is_machinery_loop(const struct report *report, int loop)
{
	return loop != NONE && report->loops.at[loop].machinery;
}

/* The place of a callback in C is where it was given to the loop: none of its own stack. */
static int is_request(struct judge *judge, const struct site *site, bool *ret)
{
	frame_list *frames = &judge->frames;
	int rc;

	frames->n = 0;
	rc = site->stack ? report_stack(judge->report, site->stack, frames) : 0;
	*ret = !rc && file_is_user(judge->report, site->place.file);
	for (size_t i = 0; i < frames->n && *ret; i++)
		if (frames->at[i].place.file == site->place.file &&
			frames->at[i].place.line == site->place.line)
			*ret = false;
	return rc;
}

static int site_judge(struct judge *judge, const struct site *site, struct weight *w)
{
	int user, rc = step_frames(judge, site->stack, &user);
	bool outer = false;

	if (rc)
		return rc;
	w->callback =
		judge->callback && !site->in_step && !is_machinery_loop(judge->report, site->loop);
	if (site->machinery && !w->callback)
		return 0;
	if (w->callback) {
		bool requested;

		rc = is_request(judge, site, &requested);
		w->place = requested ? site->place : (struct place){.function = ""};
		w->callback = !requested;
		w->rule = rule_of_class(site->class);
		return rc;
	}
	w->finalizer = is_finalizer(judge);
	if (site->stack && user == NONE) { /* library code alone, or it calls a function in C */
		w->place = (struct place){.function = ""};
		w->rule = w->finalizer ? rule_of_class(site->class) : NULL;
		return 0;
	}
	if (!site->stack && !file_is_user(judge->report, site->place.file))
		return 0;
	if (shows(judge, user))
		return 0;
	if (user > 0 && is_inherent(judge, user))
		return 0;
	w->import = is_import(judge, site->call);
	if (w->import && !w->loop.count)
		return 0; /* cells begin with them */
	w->place = site->stack ? judge->frames.at[user].place : site->place;
	if (site->stack)
		w->caller = frames_caller(judge, user);
	w->rule = rule_of_class(site->class);
	for (size_t i = judge->frames.n; w->rule && w->loop.count && i-- > 0;) {
		if (outer && is_context_manager(judge, i)) {
			w->rule = rule_find("AS112");
			w->manager = is_to_change(judge, i);
		}
		outer |= judge->frames.at[i].user;
	}
	return 0;
}

/* The turn of this site is over: does it count? */
static void turn_close(const struct report *report, struct weight *w)
{
	struct held *to = w->turn_in_cell ? &w->cell : &w->loop;

	if (w->turn_open && w->turn.ns >= report->stall_ns / LEAST_SHARE) {
		to->ns += w->turn.ns;
		to->count += w->turn.count;
		if (w->turn.longest_ns > to->longest_ns)
			to->longest_ns = w->turn.longest_ns;
	}
	w->turn = (struct held){0};
	w->turn_open = false;
}

static int weights_make(struct judge *judge)
{
	const struct report *report = judge->report;
	int rc = 0;

	judge->weights = calloc(report->sites.n + 1, sizeof(*judge->weights));
	if (!judge->weights)
		return -ENOMEM;
	for (size_t i = 0; i < report->calls.n; i++) {
		const struct call *c = &report->calls.at[i];
		const struct turn *turn = turn_at(report, c->loop, c->begin_ns);
		uint64_t begin_ns = turn ? turn->begin_ns : c->begin_ns;
		struct weight *w = &judge->weights[c->site];

		if (!w->turn_open || w->turn_begin_ns != begin_ns)
			turn_close(report, w);
		w->turn_open = true;
		w->turn_begin_ns = begin_ns;
		w->turn_in_cell =
			in_synchronous(report, report->sites.at[c->site].cell, c->begin_ns);
		w->turn.ns += call_ns(c);
		w->turn.count++;
		if (call_ns(c) > w->turn.longest_ns)
			w->turn.longest_ns = call_ns(c);
	}
	for (size_t i = 0; i < report->sites.n && !rc; i++) {
		struct weight *w = &judge->weights[i];

		turn_close(report, w);
		if (w->loop.count || w->cell.count)
			rc = site_judge(judge, &report->sites.at[i], w);
	}
	return rc;
}

static int site_find(struct judge *judge, const struct rule *rule, size_t index)
{
	const struct report *report = judge->report;
	const struct site *s = &report->sites.at[index];
	struct weight *w = &judge->weights[index];
	const struct held *held = w->loop.count ? &w->loop : &w->cell;
	struct finding *f = finding_at(judge, rule, s->process, s->cell, &w->place);

	if (!f)
		return -ENOMEM;
	w->finding = (size_t)(f - report->findings.at);
	if (!f->count || (f->severity == SEVERITY_note && w->loop.count))
		f->severity = w->loop.count && !w->import ? rule->severity : SEVERITY_note;
	if (!w->place.file && f->severity == rule->severity)
		f->severity = severity_lower(f->severity);
	if (held->longest_ns > f->longest_ns) {
		f->longest_ns = held->longest_ns;
		f->caller = w->caller;
		f->subject = s->call;
		f->words = s->words;
		f->detail = s->class;
		f->advice = w->manager     ? rule->advice
			    : w->import    ? ADVICE_IMPORT
			    : w->finalizer ? ADVICE_FINALIZER
					   : NULL;
	}
	f->count += held->count;
	f->cost_ns += held->ns;
	f->costed = true;
	if (s->delay_ns > f->delay_ns)
		f->delay_ns = s->delay_ns;
	if (s->tasks_delayed != NOT_COUNTED && s->tasks_delayed > f->delayed) {
		f->delayed = s->tasks_delayed;
		f->delayed_most = s->delayed_most;
	}
	return 0;
}

static int gains_find(struct judge *judge, const struct rule *rule)
{
	struct report *report = judge->report;

	for (size_t i = 0; i < report->calls.n; i++) {
		const struct call *c = &report->calls.at[i];
		const struct weight *w = &judge->weights[c->site];
		const struct turn *turn =
			w->rule == rule ? turn_at(report, c->loop, c->begin_ns) : NULL;

		if (turn && finding_gain(&report->findings.at[w->finding], c->loop, turn->begin_ns,
				    call_ns(c)))
			return -ENOMEM;
	}
	return 0;
}

static const char *advice_keep(struct judge *judge, const struct finding *f)
{
	cleanup(freep) char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	const char *kept;

	if (out) {
		advice_at_print(out, judge->report, f->cell, &f->place, cause_of_class(f->detail),
			f->subject);
		judge->failed |= fclose(out) != 0;
	}
	kept = text ? string_keep(&judge->report->strings, text + (*text == ' ')) : NULL;
	judge->failed |= !kept;
	return kept ? kept : "";
}

/* The site of the longest wait of a finding of which it is known who ended it; NULL: of none. */
static const struct site *ended_site(const struct judge *judge, const struct finding *f)
{
	const struct report *report = judge->report;
	size_t index = (size_t)(f - report->findings.at);
	const struct site *longest = NULL;

	for (size_t i = 0; i < report->sites.n; i++) {
		const struct site *s = &report->sites.at[i];

		if (judge->weights[i].rule == f->rule && judge->weights[i].finding == index &&
			(s->ended_thread || s->ended_process) &&
			(!longest || s->max_ns > longest->max_ns))
			longest = s;
	}
	return longest;
}

/* "; thread worker ended the wait, in put, app.py:9"; malloc'd, "" where it is not known. */
static char *ended_text(const struct report *report, const struct finding *f, const struct site *s)
{
	/* how a library lets go, Condition.notify() say, tells nobody anything */
	bool placed = s && s->ended.file && file_is_user(report, s->ended.file);
	const char *function = placed ? function_name(&s->ended) : NULL;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	if (s && s->ended_process) {
		fprintf(out, "; process %s ended the wait", s->ended_process);
	} else if (s) {
		fprintf(out,
			*s->ended_thread ? "; thread %s ended the wait"
					 : "; another thread ended the wait",
			s->ended_thread);
		if (function)
			fprintf(out, ", in %s", function);
		fputs(placed ? ", " : "", out);
		if (placed)
			place_print(report, f->cell, &s->ended, out);
	}
	fclose(out);
	return text;
}

static json_t *ended_evidence(struct judge *judge, const struct site *s)
{
	if (s && s->ended_process)
		return json_pack("{s:s}", "process", utf8_keep(judge, s->ended_process));
	return s ? json_pack("{s:s,s:s?,s:i,s:s}", "thread", utf8_keep(judge, s->ended_thread),
			   "file", s->ended.file ? utf8_keep(judge, s->ended.file) : NULL, "line",
			   s->ended.line, "function", utf8_keep(judge, s->ended.function))
		 : NULL;
}

static const char *circumstance(const struct report *report, const struct finding *f)
{
	bool finalizer = f->advice && !strcmp(f->advice, ADVICE_FINALIZER);

	if (f->severity == SEVERITY_note && f->cell != NONE &&
		report->cells.at[f->cell].synchronous)
		return ", as a synchronous cell does by design";
	if (f->place.file)
		return "";
	return finalizer
		       ? ", called as an object went away"
		       : ", called by the loop itself: a function in C, time.sleep say, was given "
			 "to call_soon(), call_later() or the like";
}

static void finding_end(struct judge *judge, struct finding *f)
{
	const struct site *ended = ended_site(judge, f);
	cleanup(freep) char *who = ended_text(judge->report, f, ended);
	char often[96], delayed[96];
	const char *why;

	if (f->severity == SEVERITY_error && f->cost_ns < judge->report->stall_ns)
		f->severity = SEVERITY_warning;
	if (f->count > 1) /* of the waits in it: one requests.get has several */
		snprintf(often, sizeof(often), "%llu times, %s in all, the longest %s",
			(unsigned long long)f->count, time_text(f->cost_ns),
			time_text(f->longest_ns));
	else
		snprintf(often, sizeof(often), "for %s", time_text(f->cost_ns));
	delayed_text(f, delayed, sizeof(delayed));
	why = circumstance(judge->report, f);
	finding_say(judge, f, "%s held the event loop %s%s%s%s", f->words, often, delayed, why,
		who ? who : "");
	if (!f->advice)
		f->advice = advice_keep(judge, f);
	finding_evidence(judge, f,
		json_pack("{s:s,s:s,s:I,s:f,s:o,s:o*}", "call", utf8_keep(judge, f->subject),
			"class", f->detail, "calls", (json_int_t)f->count, "longest_ms",
			(double)(f->longest_ns / 1000) / 1000.0, "tasks_delayed",
			f->delayed ? json_integer(f->delayed) : json_null(), "ended_by",
			ended_evidence(judge, ended)));
}

int rule_blocking(struct judge *judge, const struct rule *rule)
{
	struct report *report = judge->report;
	size_t first = report->findings.n;
	int rc = judge->weights ? 0 : weights_make(judge);

	for (size_t i = 0; i < report->sites.n && !rc; i++)
		if (judge->weights[i].rule == rule)
			rc = site_find(judge, rule, i);
	if (!rc && report->findings.n > first)
		rc = gains_find(judge, rule);
	for (size_t i = first; i < report->findings.n && !rc; i++)
		finding_end(judge, &report->findings.at[i]);
	return rc;
}
