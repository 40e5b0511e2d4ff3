/* Statistics by sorting: exact. The median of an even number is halfway between the middle two; p99 is a nearest rank. */
#include "statistics.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

struct statistics statistics_of(uint64_t *ns, size_t count)
{
    long double sum_ns = 0; /* 64 bits of mantissa: exact as long as the sum is below 584 years */

    if (count == 0) {
        return (struct statistics){0};
    }
    qsort(ns, count, sizeof *ns, compare);
    for (size_t i = 0; i < count; i++) {
        sum_ns += (long double)ns[i];
    }
    uint64_t middle_two_ns = ns[(count - 1) / 2] + ns[count / 2];
    return (struct statistics){
        .count = count,
        .min_ns = ns[0],
        .median_ns = (double)middle_two_ns / 2,
        .mean_ns = (double)(sum_ns / (long double)count),
        .p99_ns = ns[(count * 99 + 99) / 100 - 1],
        .max_ns = ns[count - 1],
    };
}
