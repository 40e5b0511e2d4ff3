/* HTML: text that is escaped, figures that are inlined, and the style sheet. */
#ifndef EVAL_HTML_H
#define EVAL_HTML_H

#include <stdio.h>

/* To the end of <body>'s tag. */
void html_begin(FILE *file, const char *title);
void html_end(FILE *file);

void html_text(FILE *file, const char *text);

/* A table cell with a number of so many decimals, or a dash if it is NAN. */
void html_number(FILE *file, double value, int decimals);

/* The SVG that gnuplot made, without what only a file needs; its ids get name before them, for the page has several. Returns 0 or -1. */
int html_svg(FILE *file, const char *folder, const char *name);

#endif
