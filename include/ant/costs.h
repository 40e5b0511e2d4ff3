/*
 * Costs: what calls into the inner core take beside the time that they take anyway, so that another machine's inner core (AnT's
 * own, say) can be modelled.
 *
 * Costs are spent as PU work: on `virtual` they advance the clock, on real machines the processor computes for as long. While it spends
 * a cost a process can be preempted like any other. Paper: section 4.2, the base swap time.
 */
#ifndef ANT_COSTS_H
#define ANT_COSTS_H

#include <ant/base.h>

ANT_BEGIN_DECLS

/* The most that one cost may be: 10 s. */
#define ANT_COST_MAX_NS (UINT64_C(10) * ANT_NS_PER_S)

/* Each 0 (nothing) to ANT_COST_MAX_NS; else ant_boot returns -EINVAL. */
struct ant_costs {
    uint64_t create_ns; /* creating a process: ant_process_create, ant_serve, and step 2 of a swap beside its own cost; the creator's */
    /*
     * [1] to [12]: the steps of a swap (enum ant_swap_step), each spent by whoever makes the step (docs/swap.md), right after it was
     * reached; but that of step 4 right after step 5, when the old server has given up its loop, and that of step 11 right before it, so
     * that it is part of the swap time. [0] must be 0.
     */
    uint64_t step_ns[13];
    /* Another process gets the processor: that one's, before it runs on; whatever falls due meanwhile waits. `virtual` only: real machines say in the log that they ignore it. */
    uint64_t switch_ns;
    uint64_t remap_page_ns; /* each page of a request, or of its data, that moves to another window by ant_send, ant_call or ant_reply; the caller's */
};

ANT_END_DECLS

#endif
