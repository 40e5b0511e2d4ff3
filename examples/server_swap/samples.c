/* Samples: a vector that doubles, sorted when it is asked for its percentiles (nearest rank). */
#include "samples.h"

#include <stdlib.h>

void samples_add(struct samples *samples, uint64_t ns)
{
    if (samples->count == samples->capacity) {
        size_t capacity = samples->capacity > 0 ? samples->capacity * 2 : 4096;
        uint64_t *larger = realloc(samples->ns, capacity * sizeof *larger);
        if (larger == NULL) {
            samples->dropped++;
            return;
        }
        samples->ns = larger;
        samples->capacity = capacity;
    }
    samples->ns[samples->count++] = ns;
    samples->sorted = false;
}

void samples_append(struct samples *to, const struct samples *from)
{
    for (size_t i = 0; i < from->count; i++) {
        samples_add(to, from->ns[i]);
    }
    to->dropped += from->dropped;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

uint64_t samples_rank_ns(struct samples *samples, size_t percent)
{
    if (samples->count == 0) {
        return 0;
    }
    if (!samples->sorted) {
        qsort(samples->ns, samples->count, sizeof *samples->ns, compare);
        samples->sorted = true;
    }
    size_t rank = (samples->count * percent + 99) / 100;
    return samples->ns[rank > 0 ? rank - 1 : 0];
}

struct summary samples_summary(struct samples *samples)
{
    return (struct summary){
        .count = samples->count,
        .min_us = (double)samples_rank_ns(samples, 0) / 1000.0,
        .median_us = (double)samples_rank_ns(samples, 50) / 1000.0,
        .p99_us = (double)samples_rank_ns(samples, 99) / 1000.0,
        .max_us = (double)samples_rank_ns(samples, 100) / 1000.0,
    };
}

void samples_fini(struct samples *samples)
{
    free(samples->ns);
    *samples = (struct samples){0};
}
