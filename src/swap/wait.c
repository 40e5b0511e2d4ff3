/* The requester's three waits in a swap (swap.c): in step 2, while the new server prepares; until the old server is at rest, between steps 3 and 6, and until the new one is registered, from step 6 to step 11. */
#include "swap/swap.h"

#include <errno.h>

/* What a process has used of the processor between two looks does not count: it was before. */
static void forget(struct antk_times *counted_from, const struct antk_times *from,
                   const struct antk_times *to)
{
    for (int activity = 0; activity < ANTK_ACTIVITIES; activity++)
        counted_from->cpu_ns[activity] += to->cpu_ns[activity] - from->cpu_ns[activity];
}

void antk_swap_prepare(struct antk_swap *s, int64_t timeout_ns)
{
    struct antk_machine *machine = s->c.endpoint->core->machine;
    struct antk_times before, after;
    if (!s->c.program->prepare)
        return;
    uint64_t begin_ns = antk_now(machine);
    antk_times_of(s->c.requester, &before);
    antk_body_raise(s->c.requester, s->raised_priority); /* so that its limit holds */
    antk_candidate_release(&s->c, false);
    antk_candidate_prepare(&s->c, timeout_ns);
    antk_times_of(s->c.requester, &after);
    s->report.prepare_ns = antk_now(machine) - begin_ns;
    forget(&s->requester_before, &before, &after);
    if (s->deadline_ns != ANTK_NEVER)
        s->deadline_ns += s->report.prepare_ns;
}

/* When the requester must have seen the next change: within a time limit, and before the deadline of the swap, if it has one. */
static uint64_t deadline_of(struct antk_swap *s, uint64_t from_ns, int64_t timeout_ns)
{
    uint64_t limit_ns = antk_deadline_from(from_ns, timeout_ns);
    return limit_ns < s->deadline_ns ? limit_ns : s->deadline_ns;
}

bool antk_swap_is_ending(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    bool in_time = antk_now(ep->core->machine) < s->deadline_ns, may = s->force;
    s->force = false; /* once */
    if (in_time && may && antk_process_force(ep, -ETIMEDOUT, 0, &s->accepted) == 0)
        return true;
    antk_lock(&ep->lock);
    bool dying = !ep->body && !ep->closed;
    antk_unlock(&ep->lock);
    return in_time && dying;
}

void antk_swap_await_rest(struct antk_swap *s, int64_t timeout_ns)
{
    struct antk_machine *machine = s->c.endpoint->core->machine;
    uint64_t deadline_ns = deadline_of(s, antk_now(machine), timeout_ns);
    while (!atomic_load(&s->at_rest) && antk_candidate_fate(&s->c) == ANTK_PENDING) {
        int rc = antk_candidate_park(&s->c, deadline_ns, "a server to come to rest, process");
        if (rc == 0 || atomic_load(&s->at_rest))
            continue;
        if (rc == -ETIMEDOUT && antk_swap_is_ending(s))
            deadline_ns = deadline_of(s, antk_now(machine), ANTK_ENDING_TIMEOUT_NS);
        else
            antk_candidate_cancel(&s->c, rc);
    }
}

void antk_swap_await_enrolment(struct antk_swap *s, int64_t timeout_ns)
{
    uint64_t now_ns = antk_now(s->c.endpoint->core->machine);
    uint64_t from_ns = s->unattended ? s->report.step_time_ns[ANT_SWAP_START] : now_ns;
    uint64_t deadline_ns = deadline_of(s, from_ns, timeout_ns);
    struct antk_wait wait = {"the last steps of a swap, process", s->c.endpoint->index, false, false};
    while (antk_candidate_fate(&s->c) == ANTK_PENDING) {
        int rc = antk_candidate_park(&s->c, deadline_ns, "a new server to start, process");
        if (rc != 0)
            antk_candidate_cancel(&s->c, rc);
    }
    while (antk_candidate_fate(&s->c) == ANTK_COMMITTED && !atomic_load(&s->enrolled))
        antk_park(s->c.requester->thread, ANTK_NEVER, wait);
}
