/* The longest swap, from the times of all who can delay it: the analysis (analysis.c), and what it is given (bound.c). */
#ifndef ANTK_BOUND_H
#define ANTK_BOUND_H

#include "core/process.h"

#include <ant/bound.h>

/* A driver, by where it stands. */
enum antk_rank {
    ANTK_BELOW_SERVER,
    ANTK_BESIDE_SERVER,
    ANTK_ABOVE_SERVER,
    ANTK_ABOVE_REQUESTER, /* or beside it */
};

struct antk_task_driver {
    struct ant_driver_timing timing;
    enum antk_rank rank;
};

struct antk_task {
    uint64_t request_ns, result_ns, request_min_ns;
    uint32_t requests;   /* 0: any number */
    uint64_t before_ns;  /* steps 1 to 3: the requester, before the old server is told */
    uint64_t between_ns; /* step 6: the requester, when the old server has given up its loop */
    uint64_t after_ns;   /* step 11: the requester, when the new server serves */
    uint64_t server_ns;  /* steps 4, 5, 7 to 10, and `start`: at the server's priority */
    uint64_t exit_ns;    /* step 12 of swaps before, still ahead: at the server's priority too */
    uint64_t switch_ns;  /* a context switch */
    const struct antk_task_driver *drivers;
    size_t driver_count;
};

/* -ERANGE: none, or beyond 1,000 hours. */
int antk_bound_analyse(const struct antk_task *task, uint64_t *bound_ns);

/* May a swap with this deadline begin? *bound_ns: the longest that it may take. -ETIME: no. Or as ant_swap_bound. */
int antk_bound_admit(struct antk_endpoint *ep, const struct ant_program *program, int64_t deadline_ns,
                     uint64_t *bound_ns);

#endif
