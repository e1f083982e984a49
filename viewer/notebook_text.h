/* Where a cell's code stands in the text of a notebook file. Silent. */
#ifndef VIEWER_NOTEBOOK_TEXT_H
#define VIEWER_NOTEBOOK_TEXT_H

/*
 * The line, from 1, of the notebook's text that holds the cell's `line`; 0: no cell has this
 * source. Where the whole source is one JSON string, that is the line of the string.
 */
int notebook_line(const char *text, const char *source, int line);

#endif
