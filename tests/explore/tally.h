/* What many runs came to: how many, of which length, and the chance that they had. */
#ifndef EXPLORE_TALLY_H
#define EXPLORE_TALLY_H

#include "options.h"
#include "run.h"

/* Of the runs of one depth. */
struct depth_tally {
    uint64_t runs;
    uint32_t threads_least, threads_most; /* n */
    uint64_t points_least, points_most;   /* k */
};

struct tally {
    uint64_t violations; /* runs with any */
    uint64_t direct;     /* requests served by direct calls */
    struct depth_tally depth[DEPTH_MAX + 1];
};

void tally_run(struct tally *tally, uint32_t depth, const struct outcome *outcome);
void tally_add(struct tally *tally, const struct tally *other);
/* A table, and the line that ends the program's output. Returns whether all is well. */
bool tally_print(const struct tally *tally, double wall_s);

#endif
