/*
 * The response-time analysis of a swap.
 *
 * From the notice on, the old server's rest of work and the parties' own steps run at the server's priority (the window below), and
 * each burst of a driver above it makes the window longer, so that further bursts may fall into it: the fixed point is the
 * longest window. The requester's own steps before, between and after cannot be held up, except by drivers above the requester.
 *
 * Of a serial driver's bursts two are at least its WAIT and a burst apart, and the first can come at once (its WAIT passed while the
 * requester created the new server). A timer that falls due at the very end of the window still comes first, so the end counts
 * as inside. And there are no more bursts than requests that can be with the driver:
 *
 * - While the server works on a request: all requests but that one, and, when it is sent, that one.
 * - While it works on a result: the server runs, so a driver above it is not computing: it is idle, and then has nothing, or it
 *   waits, with its burst behind it. So all requests but these two.
 * - A driver above it that overlaps its WAITs has nothing left to compute when the server runs: only what the server sends now.
 * - So has a serial one that is always idle again before the next request can reach it: if even the shortest work
 *   before a request is sent takes no less than the longest WAIT.
 */
#include "swap/bound.h"

#include <errno.h>

#define BEYOND_NS (UINT64_C(3600000) * ANT_NS_PER_S)
/* A window that has not come to rest by then grows burst by burst: its drivers leave the others next to nothing. */
#define ROUNDS_MAX 100000u
/*
 * Without anything in the way: to the new thread, the old server, the requester, the old server (to park), the new one, the
 * requester.
 */
#define SWITCHES 6u

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How many requests may yet make a driver compute; UINT64_MAX: any number. */
static uint64_t most_bursts(const struct antk_task *task, const struct antk_task_driver *d,
                            enum antk_activity activity)
{
    const struct ant_driver_timing *timing = &d->timing;
    uint64_t wait_max_ns = timing->wait_max_ns ? timing->wait_max_ns : timing->wait_ns;
    bool above = d->rank >= ANTK_ABOVE_SERVER;
    bool sends = activity == ANTK_REQUEST_WORK;
    if (above && (timing->overlaps || task->request_min_ns >= wait_max_ns))
        return sends ? 1 : 0;
    if (task->requests == 0)
        return UINT64_MAX;
    if (sends)
        return task->requests;
    uint32_t elsewhere = above ? 2 : 1;
    return task->requests > elsewhere ? task->requests - elsewhere : 0;
}

/* For how long a driver can have the processor during a window; UINT64_MAX: without limit. */
static uint64_t interference_ns(const struct antk_task *task, const struct antk_task_driver *d,
                                enum antk_activity activity, uint64_t window_ns)
{
    const struct ant_driver_timing *timing = &d->timing;
    if (d->rank == ANTK_BELOW_SERVER)
        return 0;
    uint64_t bursts = most_bursts(task, d, activity);
    uint64_t replies = task->requests ? task->requests : UINT64_MAX;
    uint64_t period_ns = timing->wait_ns + timing->burst_min_ns;
    if (!timing->overlaps && period_ns > 0) {
        bursts = lesser(bursts, window_ns / period_ns + 1);
        replies = lesser(replies, window_ns / period_ns + 1);
    }
    uint64_t burst_ns = timing->burst_ns + 2 * task->switch_ns,
             reply_ns = timing->reply_ns + 2 * task->switch_ns, sum_ns;
    if (__builtin_mul_overflow(burst_ns, burst_ns ? bursts : 0, &burst_ns) ||
        __builtin_mul_overflow(reply_ns, reply_ns ? replies : 0, &reply_ns) ||
        __builtin_add_overflow(burst_ns, reply_ns, &sum_ns))
        return UINT64_MAX;
    return sum_ns;
}

/* The longest swap whose notice finds the server at this kind of work, of which work_ns are left. -ERANGE. */
static int longest_ns(const struct antk_task *task, enum antk_activity activity, uint64_t work_ns,
                      uint64_t *swap_ns)
{
    uint64_t own_ns =
        work_ns + task->between_ns + task->server_ns + task->exit_ns + SWITCHES * task->switch_ns;
    uint64_t around_ns = task->before_ns + task->after_ns;
    uint64_t window_ns = own_ns, before_ns;
    uint32_t rounds = 0;
    do {
        before_ns = window_ns;
        window_ns = own_ns;
        for (size_t i = 0; i < task->driver_count; i++) {
            const struct antk_task_driver *d = &task->drivers[i];
            uint64_t exposed_ns = before_ns + (d->rank == ANTK_ABOVE_REQUESTER ? around_ns : 0);
            uint64_t more_ns = interference_ns(task, d, activity, exposed_ns);
            if (more_ns > BEYOND_NS)
                return -ERANGE;
            window_ns += more_ns;
        }
        if (window_ns > BEYOND_NS || ++rounds > ROUNDS_MAX)
            return -ERANGE;
    } while (window_ns != before_ns);
    *swap_ns = window_ns + around_ns;
    return 0;
}

int antk_bound_analyse(const struct antk_task *task, uint64_t *bound_ns)
{
    uint64_t request_ns, result_ns;
    int rc = longest_ns(task, ANTK_REQUEST_WORK, task->request_ns, &request_ns);
    if (rc == 0)
        rc = longest_ns(task, ANTK_RESULT_WORK, task->result_ns, &result_ns);
    if (rc == 0)
        *bound_ns = request_ns > result_ns ? request_ns : result_ns;
    return rc;
}
