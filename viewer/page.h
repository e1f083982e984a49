/*
 * A report as a page: what its sections hold is written once (report_page.c), how a page looks is a
 * form. Texts are given as the target had them; each form escapes for itself.
 */
#ifndef VIEWER_PAGE_H
#define VIEWER_PAGE_H

#include "viewer/output.h"

enum page_mark { MARK_plain, MARK_number, MARK_code, MARK_strong };

struct page_form {
	void (*begin)(FILE *out, const char *title);
	void (*heading)(FILE *out, const char *text);
	void (*paragraph)(FILE *out, enum page_mark mark, const char *text);
	/* Titles end with NULL. prose: its cells are sentences. */
	void (*table_begin)(FILE *out, const char *const *titles, bool prose);
	void (*row_begin)(FILE *out);
	void (*cell)(FILE *out, enum page_mark mark, const char *text);
	void (*row_end)(FILE *out);
	void (*table_end)(FILE *out);
	/* A block of code with its name. */
	void (*source)(FILE *out, const char *name, const char *text);
	/* A list, and lists in its items: depth is 0 for the outermost. An item's text comes first.
	 */
	void (*list_begin)(FILE *out, size_t depth);
	void (*item_begin)(FILE *out, size_t depth, enum page_mark mark, const char *text);
	void (*item_end)(FILE *out, size_t depth);
	void (*list_end)(FILE *out, size_t depth);
	/* Where it can draw: when loops were held. -ENOMEM. */
	int (*timeline)(FILE *out, const struct report *report);
	void (*end)(FILE *out);
	bool words; /* read by itself, so what the words mean stands below */
};

extern const struct page_form page_markdown, page_html;

int report_page(struct report *report, const struct output_options *options,
	const struct page_form *form, FILE *out);

/* Without control and reordering characters, as on a terminal, but lines stay lines and tabs become
 * spaces. The caller frees it; NULL when out of memory. */
char *page_text(const char *raw);
/* Inside Markdown; a table's cell too: nothing of a target begins HTML, Markdown or another line.
 */
void markdown_print(FILE *out, const char *raw);
/* Inside HTML, attributes too. */
void html_print(FILE *out, const char *raw);

#endif
