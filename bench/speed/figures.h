/* All figures of a run, one for each row, in the order of the table. */
#ifndef SPEED_FIGURES_H
#define SPEED_FIGURES_H

#include "options.h"

struct figures {
    struct figure *at;
    size_t count;
};

/* Measures all that is wanted. */
void figures_measure(struct figures *figures, const struct options *options, const struct place *place);
/* The medians of the figures of several runs, row by row; measured is what each run has measured. */
void figures_median(struct figures *median, const struct figures *runs, unsigned count);
void figures_free(struct figures *figures);

/* For people. */
void figures_table(const struct figures *figures, const struct place *place);
/* For programs: an array of objects, whose members docs/measurements.md lists. */
void figures_json(const struct figures *figures, const struct place *place);
/* How many of the wanted rows with a target hold it; *targets: how many there are. */
unsigned figures_holding(const struct figures *figures, unsigned *targets);

#endif
