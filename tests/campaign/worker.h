/* Workers: processes that run one plan after another, each with a checker of its own beside it. */
#ifndef WORKER_H
#define WORKER_H

#include "plan.h"

#include <stdatomic.h>

#define WORKER_VIOLATIONS 64u
#define WORKER_SAYS 10000u /* runs, from one word of how far it is to the next */
#define WORKER_DEATHS 4u   /* of workers are enough */
#define WORKER_LIMIT_S 15u /* for one run, on the wall's clock */

/* What came of all runs so far; shared by all workers, each count by itself. */
struct totals {
    _Atomic uint64_t next_run;
    _Atomic uint64_t faults, runs, simulated_ns;
    _Atomic uint64_t requests, results, direct, swaps, rollbacks, restarts;
    _Atomic uint64_t reached[HISTORY_FAULTS], recovered[HISTORY_FAULTS], clean_errors[HISTORY_FAULTS];
    _Atomic uint64_t deaths[HISTORY_PARTIES][HISTORY_STEPS]; /* [0]: while no swap went on */
    _Atomic uint32_t violations;
    _Atomic uint32_t lost; /* workers that have died */
    struct {
        uint64_t seed;
        char text[sizeof((struct history_verdict *)0)->text];
    } violation[WORKER_VIOLATIONS];
};

struct totals *totals_new(void);
void totals_add(struct totals *t, uint64_t seed, const struct history_verdict *verdict);
void totals_violation(struct totals *t, uint64_t seed, const char *text);

/* Runs the plans of a campaign, in `jobs` processes, until that many faults were reached. */
void workers_run(struct totals *t, uint64_t seed, uint64_t faults, uint32_t jobs);
/* Runs one plan in a process of its own; trace_fd as in run_plan. A process that dies or does not end is a violation too. */
void worker_try(const struct plan *plan, int trace_fd, struct history_verdict *verdict);

#endif
