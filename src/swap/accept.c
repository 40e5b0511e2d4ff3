/*
 * The old server's steps in a swap (swap.c): 4, 5, and 12, which is its last. In between it rests, in ant_swap_accept: that is its quiescent point.
 */
#include "core/core.h"
#include "core/event.h"
#include "swap/swap.h"

#include <errno.h>

/* ---- 4: the old server looks for a swap, before it looks for requests or results ---- */

void antk_step_4_look(struct antk_notice *notice)
{
    struct antk_swap *s = antk_swap_of_notice(notice);
    if (s->report.step_time_ns[ANT_SWAP_LOOK] == 0)
        antk_swap_step(s, ANT_SWAP_LOOK);
}

/* ---- 5: the old server gives up its loop and wakes the requester ---- */

/* Endpoint's lock held. From here until it is released it does nothing in the core. */
static void come_to_rest_locked(struct antk_swap *s)
{
    const struct ant_costs *costs = &s->c.endpoint->core->costs;
    if (antk_old_is_measured(s)) {
        atomic_store(&s->old->thread->watched_from_ns, 0);
        antk_times_of(s->old, &s->old_at_rest);
        s->old_measured = true;
    }
    s->old_watched = atomic_exchange(&s->old->busy_since_ns, 0) != 0;
    s->old_costs_ns = costs->step_ns[ANT_SWAP_LOOK] + costs->step_ns[ANT_SWAP_WAKE_REQUESTER];
    s->accepted = true;
    s->report.step = ANT_SWAP_START;
    s->quiescent_ns = antk_swap_step(s, ANT_SWAP_WAKE_REQUESTER);
}

/* Nobody serves any more: so what step 4 costs is spent here too, after the old server's own work. */
static void step_5_wake_requester(struct antk_swap *s)
{
    antk_swap_spend(s, ANT_SWAP_LOOK);
    antk_swap_spend(s, ANT_SWAP_WAKE_REQUESTER);
    if (s->unattended)
        antk_step_6_start(s);
    if (antk_swap_rests(s) && !s->unattended)
        antk_unpark(s->c.endpoint->core->machine, s->c.requester->thread);
}

/* Waits until the swap is decided, and the old server told so. False: before that it has to go on once more, for another member of its group. */
static bool rest(struct antk_swap *s, struct antk_body *self)
{
    struct antk_wait wait = {"the swap that replaces it", s->c.endpoint->index, true, false};
    while (!atomic_load(&s->released)) {
        if (s->group && antk_gather_goes_on(s, self))
            return false;
        antk_park(self->thread, ANTK_NEVER, wait);
    }
    return true;
}

int ant_swap_accept(void)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!self->told_of_swap)
        return -EINVAL;
    self->told_of_swap = false;
    struct antk_endpoint *ep = self->endpoint;
    antk_lock(&ep->lock);
    struct antk_swap *s = ep->notice ? antk_swap_of_notice(ep->notice) : NULL;
    bool pending = s && antk_candidate_fate(&s->c) == ANTK_PENDING;
    bool killed = (atomic_load(&self->flags) & ANTK_KILLED) != 0; /* it is replaced as a dead one, then */
    bool going_on = pending && !killed &&
                    s->report.step_time_ns[ANT_SWAP_LOOK] != 0; /* else it is another one, not looked at yet */
    int rc = going_on ? 0 : -ECANCELED;
    if (s && !pending) {
        ep->notice = NULL; /* whoever has cancelled it is about to: it shall not be seen again */
        antk_event_settle_locked(ep);
    }
    if (going_on) {
        atomic_fetch_add(&s->c.refs, 1);
        come_to_rest_locked(s);
    }
    antk_unlock(&ep->lock);
    if (rc != 0)
        return rc;
    step_5_wake_requester(s);
    bool decided = rest(s, self);
    if (decided && antk_candidate_fate(&s->c) == ANTK_COMMITTED)
        antk_step_12_exit(s);
    antk_candidate_put(&s->c);
    return decided ? -ECANCELED : -EAGAIN;
}

/* A server that swaps itself is at rest where it stands. */
void antk_swap_rest_at_once(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    antk_lock(&ep->lock);
    antk_step_4_look(&s->notice);
    come_to_rest_locked(s);
    antk_unlock(&ep->lock);
    step_5_wake_requester(s);
}

/* ---- 12: the old server exits ---- */

void antk_step_12_exit(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    struct antk_body *self = antk_self;
    antk_lock(&ep->lock);
    antk_swap_step(s, ANT_SWAP_EXIT);
    s->report.step = ANT_SWAP_EXIT;
    antk_unlock(&ep->lock);
    antk_swap_spend(s, ANT_SWAP_EXIT);
    antk_lock(&ep->lock);
    ep->exiting--;
    antk_unlock(&ep->lock);
    antk_candidate_put(&s->c);
    antk_leave(self, 0);
}
