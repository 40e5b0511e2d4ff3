/*
 * Which units of a row are free: the longest free runs, found and changed in O(log n).
 *
 * A bitmap of the units, and a segment tree over its words. A node knows the free run at its start, the one at its end,
 * and the longest anywhere in it; so neighbouring free runs are one run without anybody joining them. A node that is
 * wholly free or wholly taken speaks for what is below it, which is then out of date until a change descends through it.
 *
 * Half a byte a unit: a bit, and two nodes of 12 bytes for 64 units; touched only as far as the row has been cut up. Takes
 * no lock.
 */
#ifndef ANTK_RUNS_H
#define ANTK_RUNS_H

#include <stdint.h>

#define ANTK_NO_RUN UINT32_MAX

struct antk_run_node {
    uint32_t prefix; /* free units at the start */
    uint32_t suffix; /* free units at the end */
    uint32_t best;   /* longest free run; 0: wholly taken; all units: wholly free */
};

struct antk_runs {
    struct antk_run_node *nodes;
    uint64_t *words; /* a bit per unit, 1: free */
    uint32_t count;
};

/* A row of count units (1 up), all free. -ENOMEM. */
int antk_runs_init(struct antk_runs *runs, uint32_t count);
void antk_runs_fini(struct antk_runs *runs);

/* The first unit of the lowest or of the highest place where length units (1 up) are free; ANTK_NO_RUN if there is none. */
uint32_t antk_runs_lowest(const struct antk_runs *runs, uint32_t length);
uint32_t antk_runs_highest(const struct antk_runs *runs, uint32_t length);

/* Makes units taken or free, whatever they were. A length of 0 is nothing. */
void antk_runs_take(struct antk_runs *runs, uint32_t first, uint32_t length);
void antk_runs_give(struct antk_runs *runs, uint32_t first, uint32_t length);

static inline uint32_t antk_runs_largest(const struct antk_runs *runs)
{
    return runs->nodes[0].best;
}

#endif
