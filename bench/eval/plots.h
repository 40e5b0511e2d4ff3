/* The paper's Figures 7 to 10: data, gnuplot scripts, SVG. */
#ifndef EVAL_PLOTS_H
#define EVAL_PLOTS_H

#include "sweep.h"

struct figure {
    const char *name; /* of its files: NAME.dat, NAME.gp, NAME.svg */
    const char *title;
    const char *caption; /* what is seen, for the page */
    unsigned number;     /* in the paper */
    enum run_kind kind;  /* RUN_PAPER, or RUN_OWN: on the real clock only */
};

enum {
    MAX_FIGURES = 8
};

/* The figures of a clock, in order. Returns how many. */
size_t plots_figures(const struct options *options, const struct figure **figures);

/* gnuplot is there. Says on stderr what to install if it is not. Returns 0 or -1. */
int plots_check(void);

/* Writes them all. Says on stderr what went wrong; returns 0 or -1. */
int plots_write(const char *folder, const struct sweep *sweep);

#endif
