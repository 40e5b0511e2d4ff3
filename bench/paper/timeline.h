/* Who had the processor when: what the model's processes note of their work, and where one response time went by that. */
#ifndef PAPER_TIMELINE_H
#define PAPER_TIMELINE_H

#include "model.h"

/* A piece of PU work, preempted time included. */
struct paper_piece {
    uint64_t begin_ns, end_ns;
    unsigned client; /* whose request it was for */
};

/* Of one process, in order. It alone adds to it. */
struct paper_log {
    struct paper_piece *pieces;
    size_t count, capacity;
};

/* -ENOMEM. */
int paper_log_add(struct paper_log *log, uint64_t begin_ns, uint64_t end_ns, unsigned client);
void paper_log_fini(struct paper_log *log);

/* The shares of a response; swaps: those of the run, by their reports. */
struct paper_shares paper_shares_of(const struct paper_params *params, const struct paper_response *response,
                                    const struct paper_log *server, const struct paper_log *driver,
                                    const struct ant_swap_report *swaps, size_t swap_count);

#endif
