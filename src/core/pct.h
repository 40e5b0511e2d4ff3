/*
 * Probabilistic concurrency testing: which thread of `virtual` runs, and where that changes, drawn from the seed alone.
 *
 * Burckhardt, Kothari, Musuvathi, Nagarakatti: A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs, ASPLOS 2010.
 * Each thread gets a random rank, and the ready one of the highest rank runs. d - 1 preemption points of the run are change points: the
 * thread that reaches the i-th one drawn has rank i from there on, below all that have reached none. A bug that shows whenever d
 * instructions of certain threads come in a certain order is met with a probability of 1/(n k^(d-1)) at least, in a run of n
 * threads and k preemption points.
 */
#ifndef ANTK_PCT_H
#define ANTK_PCT_H

#include <stdint.h>

struct antk_pct {
    uint64_t random;
    uint32_t threads; /* that have a rank */
    uint64_t points;  /* preemption points reached */
    uint32_t changes; /* depth - 1 */
    uint64_t change_at[];
};

/* change points are among the first `steps` preemption points. NULL: no memory. */
struct antk_pct *antk_pct_create(uint32_t depth, uint32_t steps, uint64_t seed);
void antk_pct_destroy(struct antk_pct *pct);

/* The rank of a new thread: above depth, and nobody else's. */
uint64_t antk_pct_rank(struct antk_pct *pct);
/* A preemption point is reached: the rank that the running thread is to have from now on, or 0: the one that it has. */
uint64_t antk_pct_point(struct antk_pct *pct);

#endif
