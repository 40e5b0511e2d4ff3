/*
 * One seed of the small model on the virtual machine: what the model is like, what is done to it and which equal choice
 * is taken all follow from the seed. Used by the test of a thousand seeds, and by seed_trace, which compares builds.
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
 * trace_fd: where the text goes; it must be a file that can be read back if outcome->hash is wanted, or -1 for none.
 * Failures are recorded (stress.h).
 */
void seed_run(uint64_t seed, int trace_fd, struct seed_outcome *outcome);

#endif
