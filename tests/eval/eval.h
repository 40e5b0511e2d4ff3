/* What the tests of the paper's model share: its numbers, a run that must go well, and statistics of what came of it. */
#ifndef EVAL_H
#define EVAL_H

#include "fixture.h"
#include "model.h"

/* The base swap time of AnT. */
#define BASE_NS US(7400)

struct spread {
    uint64_t min, median, max;
    double mean;
};

/* The paper's numbers, E = 10 and R = 1 ms, one client, costs as AnT's. */
struct paper_params paper_defaults(void);

/*
 * Runs the model; pauses in units of the longest response without swaps. What must hold in any run is asserted: every request
 * answered once, every swap done, and its shares adding up. The caller ends it with paper_run_fini.
 */
struct paper_run play(const struct paper_params *params, unsigned swaps);

struct spread swap_times(const struct paper_run *run);
struct spread response_times(const struct paper_run *run);

#endif
