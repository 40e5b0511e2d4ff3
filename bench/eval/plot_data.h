/* The numbers of a figure, as they are plotted. */
#ifndef EVAL_PLOT_DATA_H
#define EVAL_PLOT_DATA_H

#include "sweep.h"

enum {
    TITLE_BYTES = 64,
    MAX_PANELS = 3,
    MAX_COLUMNS = PAIRS,
    DASHED_COLUMN = 4
};

struct plot_data {
    unsigned panels, columns;
    char titles[MAX_PANELS][TITLE_BYTES];
    double at[MAX_PANELS][PAPER_CLIENTS + 1][MAX_COLUMNS]; /* [panel][clients][column], ms; NAN: there is none */
    double highest;
};

/* number: of the figure in the paper, 7 to 10. kind: RUN_PAPER or RUN_OWN. */
void plot_data_fill(struct plot_data *data, const struct sweep *sweep, unsigned number, enum run_kind kind);

/* What a column is called in the legend; title has room for TITLE_BYTES. */
void plot_data_column(char *title, unsigned number, unsigned column, bool real);

#endif
