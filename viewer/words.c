/* The list of words.def as a table. */
#include "viewer/words.h"

#include <stddef.h>

const struct word words_list[] = {
#define WORD(word, meaning) {word, meaning},
#include "viewer/words.def"
#undef WORD
	{NULL, NULL},
};
