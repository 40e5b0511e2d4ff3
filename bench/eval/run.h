/* Running the program paper, again and again, several at a time. */
#ifndef EVAL_RUN_H
#define EVAL_RUN_H

#include "sweep.h"

struct run {
    struct point *point; /* its result goes to point->runs[kind] */
    enum run_kind kind;
    const char *profile, *aim; /* aim NULL: swaps at random */
    unsigned swaps;
    double weight; /* how long it takes, in whatever unit */
};

/*
 * Does all runs, options->jobs at a time, started in this order; on the virtual clock each has a CPU of its own. RUN_OWN comes
 * after its point's RUN_PAPER, one at a time. Returns what sweep_run does.
 */
int run_all(const struct run *runs, size_t count, const struct options *options, char *paper, double *wall_s);

#endif
