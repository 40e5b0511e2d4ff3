/* Promise 6: the highest priority wakes in time, and the lowest computes only while no other does. */
#include "check.h"

#include <stdlib.h>

struct span {
    uint64_t from_ns, to_ns;
};

static struct span low[CHECK_RECORDS], high[CHECK_RECORDS];

static int by_begin(const void *left, const void *right)
{
    const struct span *a = left, *b = right;
    return a->from_ns < b->from_ns ? -1 : a->from_ns > b->from_ns;
}

/* Two sets of spans; those of low do not overlap each other. */
static void check_overlap(struct check *c, uint32_t lows, uint32_t highs)
{
    qsort(low, lows, sizeof low[0], by_begin);
    for (uint32_t h = 0; h < highs; h++) {
        uint32_t from = 0, to = lows; /* the first that ends after the other has begun */
        while (from < to) {
            uint32_t middle = (from + to) / 2;
            if (low[middle].to_ns > high[h].from_ns)
                to = middle;
            else
                from = middle + 1;
        }
        if (from < lows && low[from].from_ns < high[h].to_ns)
            check_violation(c, 6, "the lowest priority computed at %llu ns, while a higher one was ready from %llu to %llu",
                            (unsigned long long)low[from].from_ns,
                            (unsigned long long)high[h].from_ns, (unsigned long long)high[h].to_ns);
    }
}

void check_priority(struct check *c)
{
    uint32_t lows = 0, highs = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct history_record *r = c->records[i];
        /* One switch may be going on when it becomes ready, the core's watchdog may have a few turns, and its own is to come. */
        if (r->kind == HISTORY_LATE && r->time_ns > r->late.wanted_ns + 8 * c->begin->switch_ns)
            check_violation(c, 6, "the highest priority woke %llu ns late",
                            (unsigned long long)(r->time_ns - r->late.wanted_ns));
        if (r->kind != HISTORY_WORKED || r->worked.work_ns == 0)
            continue;
        struct span span = {r->worked.from_ns, r->time_ns};
        if (r->worked.priority > 1)
            high[highs++] = span;
        else if (span.to_ns - span.from_ns == r->worked.work_ns) /* undisturbed, so all of it was its own */
            low[lows++] = span;
    }
    check_overlap(c, lows, highs);
}
