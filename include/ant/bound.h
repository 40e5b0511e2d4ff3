/*
 * The bound: how long a swap of a server may take at most, by response-time analysis, and what a program declares for it.
 *
 * A swap waits until the old server's callback returns, and then runs at the server's priority; all that time its drivers may take
 * the processor. How often they can is what the analysis finds out. It knows: a server that makes at most one request for each
 * that it serves, to one of its drivers, at the end of `request` or before, and none in `result`; processes at or above the server's
 * priority that compute nothing (nor call anything that costs), its drivers apart. What a program with a loop of its own does while it has
 * no request or result in hand (after a time limit, or before ant_swap_accept) is neither declared nor observed: it has to be nothing. docs/evaluation.md has the analysis. Paper: sections 3.2 and 4.2.
 */
#ifndef ANT_BOUND_H
#define ANT_BOUND_H

#include <ant/base.h>

ANT_BEGIN_DECLS

struct ant_program;

/* The most drivers that one program can declare, and the longest time. */
#define ANT_TIMED_DRIVERS_MAX 16u
#define ANT_TIMING_MAX_NS (UINT64_C(3600) * ANT_NS_PER_S)

/* A driver: whom a server asks while it serves, and who computes, waits for a device, and replies. */
struct ant_driver_timing {
    uint32_t function;     /* under which it is asked: there its priority is looked up. 0, or nobody serves it: above the server's */
    bool overlaps;         /* it takes the next request while earlier ones wait; else after its own WAIT */
    uint64_t burst_ns;     /* PU work on a request before its WAIT, at most ... */
    uint64_t burst_min_ns; /* ... and at least; 0: not known */
    uint64_t wait_ns;      /* its WAIT, at least ... */
    uint64_t wait_max_ns;  /* ... and at most; 0: always wait_ns */
    uint64_t reply_ns;     /* PU work after the WAIT, up to the reply, at most */
};

/*
 * What a program declares of its times, each without the time in which others had the processor, but with what calls cost (costs.h):
 * remapping, and two context switches for each WAIT in a callback.
 */
struct ant_timing {
    uint64_t request_ns;     /* in `request`, `ready` or `timer`, at most: PU work and WAIT */
    uint64_t result_ns;      /* in `result`, at most */
    uint64_t start_ns;       /* in `start`, and in a transformer, when it replaces another program, at most */
    uint64_t request_min_ns; /* PU work for a request before its driver is asked, at least; 0: not known */
    uint32_t requests;       /* in the server, its queue, and its drivers at once, at most: with synchronous clients, how many there are; 0: not known */
    bool observe;            /* the core measures each callback, and the longest seen counts where it is longer than what is declared */
    /* All the drivers that it may ask, and those of a program that it replaces, until all is answered that this had out; borrowed, like the program. */
    const struct ant_driver_timing *drivers;
    size_t driver_count;
};

/* A bound, and what it was made from. */
struct ant_bound {
    uint64_t bound_ns;   /* no swap takes longer, the time of `prepare` not counted */
    uint64_t request_ns; /* the longest `request` ... */
    uint64_t result_ns;  /* ... and `result`: declared, or observed */
    uint64_t base_ns;    /* the swap's own work, `start` included */
    bool observed;       /* request_ns or result_ns is what was seen so far: a longer one may come */
};

/*
 * Tells how long a swap of a server by the calling process may take at most (its swap_ns), as things stand now.
 *
 * function: any function id of the server. program: the one that would replace it; as in ant_swap.
 * bound: filled on success. Any process; never blocks, and nothing is touched.
 * What the swap itself takes is known on `virtual`: the core's costs, and `start` as declared. On real machines it is no less than the
 * longest base that any swap on this core has shown, so there must have been one, and `start` as declared on top of that, as that
 * swap may have had none; what the kernel and the hardware take beside (interrupts, other programs) is in no bound.
 * On `other`, which does not enforce priorities, a bound is only an estimate.
 *
 * Errors:
 *   -EINVAL  function is 0, bound is NULL, or the program is not one that ant_serve would take
 *   -EPROTO  the program was built for another ABI
 *   -ESRCH   nobody serves that function
 *   -ENOTSUP the server was not made by ant_serve
 *   -ENODATA something is not known: the server's program declares no times; or the new one, which has a `start` or needs a transformer,
 *            declares none; or the server is to be observed, and neither was anything seen yet nor is anything declared; or no
 *            swap was seen (real machines)
 *   -ERANGE  there is no bound: the caller's priority is not above the server's (it is the server itself, say), or drivers can have
 *            the processor for ever
 *   -EPERM   the calling thread is no process
 */
ANT_API int ant_swap_bound(uint32_t function, const struct ant_program *program, struct ant_bound *bound);

ANT_END_DECLS

#endif
