/* What the words of a report mean; the list is words.def. */
#ifndef VIEWER_WORDS_H
#define VIEWER_WORDS_H

struct word {
	const char *word, *meaning;
};

extern const struct word words_list[]; /* the last one's word is NULL */

#endif
