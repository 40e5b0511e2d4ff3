/* Times that were measured: every one is kept, so that the percentiles are exact. */
#ifndef SAMPLES_H
#define SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct samples { /* all zero: none */
    uint64_t *ns;
    size_t count, capacity;
    size_t dropped; /* for want of memory */
    bool sorted;
};

struct summary {
    size_t count;
    double min_us, median_us, p99_us, max_us; /* meaningless if count is 0 */
};

void samples_add(struct samples *samples, uint64_t ns);
void samples_append(struct samples *to, const struct samples *from);

/* The smallest sample that is not below `percent` per cent of them (the least for 0); 0 if there are none. Sorts them. */
uint64_t samples_rank_ns(struct samples *samples, size_t percent);
struct summary samples_summary(struct samples *samples);

void samples_fini(struct samples *samples);

#endif
