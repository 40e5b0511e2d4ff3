/* Promise 6: the highest priority wakes in time, and whoever computes is the highest that is ready, the first of its level. */
#include "check.h"

#include <stdlib.h>

struct span {
    uint64_t from_ns, to_ns;
    int32_t priority;
};

static struct span all[CHECK_RECORDS], own[CHECK_RECORDS];

static int by_begin(const void *left, const void *right)
{
    const struct span *a = left, *b = right;
    if (a->from_ns != b->from_ns)
        return a->from_ns < b->from_ns ? -1 : 1;
    return a->to_ns < b->to_ns ? -1 : a->to_ns > b->to_ns;
}

/* The first of spans that do not overlap each other which ends after a time. */
static uint32_t first_after(const struct span *spans, uint32_t count, uint64_t time_ns)
{
    uint32_t from = 0, to = count;
    while (from < to) {
        uint32_t middle = (from + to) / 2;
        if (spans[middle].to_ns > time_ns)
            to = middle;
        else
            from = middle + 1;
    }
    return from;
}

/*
 * Whoever computed without a pause had the processor for itself, so nobody of a higher priority was ready meanwhile, nor
 * anybody of its own who had begun before: a process that is preempted is the first of its level to go on.
 */
static void check_overlap(struct check *c, const struct span *ready, uint32_t owns)
{
    for (uint32_t i = first_after(own, owns, ready->from_ns);
         i < owns && own[i].from_ns < ready->to_ns; i++)
        if (own[i].priority < ready->priority ||
            (own[i].priority == ready->priority && own[i].from_ns > ready->from_ns))
            check_violation(c, 6, "priority %d computed at %llu ns, while %d was ready from %llu to %llu",
                            own[i].priority, (unsigned long long)own[i].from_ns, ready->priority,
                            (unsigned long long)ready->from_ns, (unsigned long long)ready->to_ns);
}

void check_priority(struct check *c)
{
    uint32_t alls = 0, owns = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct history_record *r = c->records[i];
        /* One switch may be going on when it becomes ready, the core's watchdog may have a few turns, and its own is to come. */
        if (r->kind == HISTORY_LATE && r->time_ns > r->late.wanted_ns + 8 * c->begin->switch_ns)
            check_violation(c, 6, "the highest priority woke %llu ns late",
                            (unsigned long long)(r->time_ns - r->late.wanted_ns));
        if (r->kind != HISTORY_WORKED || r->worked.work_ns == 0)
            continue;
        struct span span = {r->worked.from_ns, r->time_ns, r->worked.priority};
        all[alls++] = span;
        if (span.to_ns - span.from_ns == r->worked.work_ns)
            own[owns++] = span;
    }
    qsort(own, owns, sizeof own[0], by_begin);
    for (uint32_t i = 1; i < owns; i++)
        if (own[i].from_ns < own[i - 1].to_ns)
            check_violation(c, 6, "two computed at once at %llu ns", (unsigned long long)own[i].from_ns);
    for (uint32_t i = 0; i < alls; i++)
        check_overlap(c, &all[i], owns);
}
