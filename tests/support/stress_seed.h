/*
 * A run of the small model on the virtual machine that follows from two numbers: what the model is like and what is done
 * to it from the first, which of equals goes first from the second. Used by the test of a thousand seeds, and by
 * seed_trace, which compares builds; both take one seed for the two.
 */
#ifndef STRESS_SEED_H
#define STRESS_SEED_H

#include "stress_model.h"

/* What came of it. */
struct seed_outcome {
    struct model_ledger ledger;
    uint32_t swaps, rollbacks;
    uint64_t hash; /* of the text of the trace */
    size_t events;
};

/*
 * Boots a core on the virtual machine, runs the model, audits the trace, writes its text to a file descriptor, shuts down.
 * Where the mover is not `flat`, the clients probe stale addresses.
 * model: what the model is like, and what is done to it. order: the core's seed.
 * trace_fd: where the text goes; it must be a file that can be read back if outcome->hash is wanted.
 * Failures are recorded (stress.h).
 */
void seed_run(uint64_t model, uint64_t order, int trace_fd, struct seed_outcome *outcome);

#endif
