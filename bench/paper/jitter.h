/* How late this machine runs a thread whose time has come: what no bound can promise less than. */
#ifndef PAPER_JITTER_H
#define PAPER_JITTER_H

#include "model.h"

struct paper_jitter {
    uint64_t p999_ns, max_ns;
};

/*
 * Measures, like cyclictest: a process of the highest priority sleeps until a time, a millisecond after the last, again and
 * again for two seconds, and notes how late it runs; meanwhile one at the server's priority computes for four fifths of the time. In a core of its own, on
 * the real clock. Returns 0, or what ant_boot or the creation of a process returned.
 */
int paper_jitter_measure(const struct paper_params *params, struct paper_jitter *jitter);

#endif
