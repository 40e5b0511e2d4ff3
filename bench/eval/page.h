/* The report for people: index.html, which has everything in it. */
#ifndef EVAL_PAGE_H
#define EVAL_PAGE_H

#include "host.h"
#include "stated.h"

#include <stdio.h>

/*
 * Writes it, last of all files: so a folder with an index.html has a whole report. The figures are there already. Says on
 * stderr what went wrong; returns 0 or -1.
 */
int page_write(const char *folder, const struct sweep *sweep, const struct stated_list *list, const struct host *host);

/* The two long tables of it. */
void page_stated(FILE *file, const struct stated_list *list, bool real);
void page_runs(FILE *file, const struct sweep *sweep);

#endif
