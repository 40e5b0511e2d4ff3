/* What is said of many times at once: how many, the least, the middle, the mean, the 99th percentile, the most. */
#ifndef PAPER_STATISTICS_H
#define PAPER_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

struct statistics {
    size_t count; /* 0: the others are meaningless */
    uint64_t min_ns, p99_ns, max_ns;
    double median_ns, mean_ns; /* these may fall between two nanoseconds */
};

/* Sorts the times. */
struct statistics statistics_of(uint64_t *ns, size_t count);

#endif
