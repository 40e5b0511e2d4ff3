/*
 * What may happen instead of the next step: the old server ends or dies before it has come to rest, or the swap is cancelled, by whomever, and
 * the old server goes on.
 */
#include "core/event.h"
#include "core/function.h"
#include "swap/swap.h"

#include <errno.h>

bool antk_swap_rests(struct antk_swap *s)
{
    atomic_store(&s->at_rest, true);
    return !s->group || atomic_fetch_sub(&s->group->busy, 1) == 1;
}

void antk_swap_rest_in_peace_locked(struct antk_swap *s)
{
    s->old = NULL;
    s->report.restarted = true;
    s->report.step = ANT_SWAP_START;
    s->quiescent_ns = s->c.endpoint->died_ns;
    antk_swap_rests(s);
}

struct antk_body *antk_swap_old_ended(struct antk_notice *notice)
{
    struct antk_swap *s = antk_swap_of_notice(notice);
    if (!antk_candidate_cancel_locked(&s->c, -ESRCH))
        return NULL;
    antk_report_ledger_locked(s);
    atomic_store(&s->c.undone, true);
    return s->c.requester;
}

struct antk_body *antk_swap_old_died(struct antk_notice *notice)
{
    struct antk_swap *s = antk_swap_of_notice(notice);
    if (antk_candidate_fate(&s->c) != ANTK_PENDING || atomic_load(&s->at_rest))
        return NULL;
    antk_swap_rest_in_peace_locked(s);
    return s->c.requester;
}

void antk_swap_old_returned(struct antk_notice *notice, struct antk_thread *client,
                            struct antk_thread *own)
{
    struct antk_swap *s = antk_swap_of_notice(notice);
    const struct antk_machine_ops *ops = client->machine->ops;
    struct antk_times now;
    if (!antk_old_is_measured(s))
        return;
    ops->times(client, &now);
    s->lent_ns += now.blocked_ns - s->old_at_notice.blocked_ns;
    for (int activity = 0; activity < ANTK_ACTIVITIES; activity++)
        s->lent_ns += now.cpu_ns[activity] - s->old_at_notice.cpu_ns[activity];
    atomic_store(&client->watched_from_ns, 0);
    ops->watch(own);
    ops->times(own, &s->old_at_notice);
}

void antk_swap_cancelled(struct antk_candidate *c)
{
    struct antk_swap *s = antk_swap_of(c);
    struct antk_endpoint *ep = c->endpoint;
    antk_lock(&ep->lock);
    if (ep->notice == &s->notice) {
        ep->notice = NULL;
        ep->receiving = false; /* in a group the old server, at rest, may have wanted messages */
    }
    antk_event_settle_locked(ep);
    bool accepted = s->accepted;
    if (s->old && ep->body == s->old && !accepted && antk_old_is_measured(s)) {
        atomic_store(&s->old->thread->watched_from_ns, 0);
        antk_times_of(s->old, &s->old_at_rest);
        s->old_measured = true;
    }
    uint64_t now_ns = antk_now(ep->core->machine);
    if (s->report.step_time_ns[ANT_SWAP_REGISTER] == 0) /* else they have been noted */
        antk_report_callbacks_locked(s, now_ns);
    if (antk_times_exact(s) && antk_swap_begun(s))
        antk_times_of(c->body, &s->new_after);
    if (s->notified)
        antk_report_ledger_locked(s);
    if (accepted)
        s->report.blackout_ns = now_ns - s->quiescent_ns;
    antk_unlock(&ep->lock);
    if (accepted) {
        if (s->old_watched)
            antk_watchdog_begin(s->old); /* anew: it has something to go on with */
        atomic_store(&s->released, true);
        antk_unpark(ep->core->machine, s->old->thread);
    }
}

int ant_swap_cancel(uint32_t function)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (function == 0)
        return -EINVAL;
    struct antk_endpoint *ep = antk_function_pin(self, function);
    if (!ep)
        return -ESRCH;
    antk_lock(&ep->lock);
    struct antk_candidate *c = ep->swap;
    if (c)
        atomic_fetch_add(&c->refs, 1);
    antk_unlock(&ep->lock);
    int rc = !c ? -ENOENT : antk_candidate_cancel(c, -ECANCELED) ? 0 : -EALREADY;
    if (rc == 0)
        antk_unpark(self->core->machine, c->requester->thread);
    if (c)
        antk_candidate_put(c);
    antk_unpin(ep);
    return rc;
}
