/*
 * What one evaluation came to: its runs, the figures drawn from them, and the three ways in which they are shown.
 *
 * Where there was no run with swaps, the run without them is the one that is reported.
 */
#ifndef PAPER_REPORT_H
#define PAPER_REPORT_H

#include "jitter.h"
#include "options.h"
#include "statistics.h"

struct evaluation {
    const struct options *options;
    struct paper_jitter jitter;  /* on the real clock */
    struct paper_run calm, busy; /* without and with swaps; busy is all zero if none were asked for */
    uint64_t t0_ns;
    uint64_t wall_ns; /* from the start of the program to its output */
};

/* The means of the swaps' shares, ns. */
struct swap_shares {
    double base, request_work, result_work, higher_priority;
};

struct figures {
    const struct paper_run *run; /* the one that is reported */
    struct statistics response_calm, response, swap, blackout;
    bool has_difference, has_swaps, has_longest, has_bound;
    int64_t difference_ns; /* of the longest responses, with swaps less without */
    struct swap_shares swap_shares;
    struct paper_ledger ledger; /* of all runs */
    uint64_t simulated_ns;      /* ... */
    bool real_time;             /* the machine keeps priorities on a real clock */
    size_t violations;          /* swaps that took longer than their own bound and the jitter together */
    bool has_throttling;
    long rt_runtime_us, rt_period_us; /* what Linux leaves to real-time threads */
};

/* Draws the figures. Returns 0, or -ENOMEM. */
int figures_of(const struct evaluation *evaluation, struct figures *figures);

/* One JSON object on stdout. Returns 0, or -1 (said on stderr). */
int report_json(const struct evaluation *evaluation, const struct figures *figures);
/* Why there is no bound: a sentence's end. */
const char *report_why_no_bound(const struct evaluation *evaluation, const struct figures *figures);
/* The same for people. */
void report_text(const struct evaluation *evaluation, const struct figures *figures);
/* Every sample, as CSV, to a descriptor, which is closed. Returns 0, or a negative errno value. */
int report_samples(const struct evaluation *evaluation, int fd);

#endif
