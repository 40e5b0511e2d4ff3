/*
 * Death: the end of a process that it has not chosen: by a fault of its own, by force (ant_kill, its watchdog, a swap's `force`).
 *
 * Whoever takes the body from its endpoint, under the endpoint's lock, ends the process, and nobody else does: its own thread when it leaves, or, if that runs
 * outside the core, whoever ends it by force. From then on the thread can do nothing in the core (see antk_enter); it is stopped by a signal where that is safe, and else
 * abandoned. A server's endpoint stays and waits for a successor, any other is closed.
 */
#include "core/candidate.h"
#include "core/core.h"
#include "core/direct.h"
#include "core/event.h"

#include <errno.h>

/* A body stops acting for its endpoint; with that it is decided what becomes of the process. Endpoint's lock held. */
static enum antk_end take_body_locked(struct antk_endpoint *ep, struct antk_body *body)
{
    int death = atomic_load(&body->death);
    if (ep->body != body || ep->closed)
        return ANTK_NOT_ACTING;
    ep->body = NULL;
    ep->receiving = false;
    antk_event_settle_locked(ep);
    if (death == 0 || !ep->program || atomic_load(&ep->stopping)) {
        ep->closed = true;
        return ANTK_ENDED;
    }
    ep->death = death;
    ep->died_ns = antk_now(ep->core->machine);
    return ANTK_DIED;
}

/* It waits for a successor now. False: it was asked to end meanwhile. */
static bool wait_for_successor(struct antk_endpoint *ep, struct antk_news *news)
{
    antk_lock(&ep->lock);
    bool waits = !atomic_load(&ep->stopping);
    ep->dead = waits;
    ep->closed = !waits;
    antk_monitor_news_locked(ep, ANT_CHANGE_DIED, 0, news);
    antk_unlock(&ep->lock);
    return waits;
}

/* A swap may be bringing a successor already: it need not wait for the dead. */
static void tell_swap(struct antk_endpoint *ep)
{
    antk_lock(&ep->lock);
    struct antk_body *requester = ep->dead && ep->notice ? ep->notice->died(ep->notice) : NULL;
    antk_unlock(&ep->lock);
    if (requester)
        antk_unpark(ep->core->machine, requester->thread);
}

/* Ends it as it was decided, when this incarnation has stopped acting for it. What has died may yet turn out to have ended. */
static enum antk_end finish(struct antk_endpoint *ep, uint32_t incarnation, enum antk_end end,
                            int death, int status)
{
    struct antk_core *core = ep->core;
    if (end == ANTK_NOT_ACTING)
        return end;
    if (death != 0) {
        antk_trace_add(core, antk_self->endpoint->index, ANT_EVENT_DEATH, ep->index, death);
        status = -EOWNERDEAD;
    }
    if (end == ANTK_DIED) {
        antk_pin_again(ep);     /* the dead keep their place */
        antk_monitors_free(ep); /* first: one that comes back would be a result of the successor's */
        antk_requests_bereave(ep, incarnation);
        struct antk_news news;
        if (wait_for_successor(ep, &news)) {
            antk_monitors_tell_news(core, &news); /* before the swap is */
            tell_swap(ep);
            return end;
        }
    }
    antk_trace_add(core, ep->index, ANT_EVENT_EXIT, status, 0);
    antk_lock(&ep->lock);
    int error = atomic_load(&ep->stopping) ? -ESHUTDOWN : -EOWNERDEAD;
    antk_unlock(&ep->lock);
    antk_endpoint_close(ep, error, status);
    if (end == ANTK_DIED)
        antk_unpin(ep);
    return ANTK_ENDED;
}

enum antk_end antk_process_end(struct antk_body *self, int status)
{
    struct antk_endpoint *ep = self->endpoint;
    antk_lock(&ep->lock);
    enum antk_end end = take_body_locked(ep, self);
    antk_unlock(&ep->lock);
    /* Acting or not: if it was killed just then, an old state may have been left to it. */
    if (atomic_load(&self->flags) & ANTK_KILLED)
        antk_endpoint_retire(self);
    return finish(ep, self->incarnation, end, atomic_load(&self->death), status);
}

/* Has it a successor that is about to be given the endpoint? Then that is told to end. */
static bool is_succeeded_locked(struct antk_endpoint *ep)
{
    return ep->notice && ep->swap && antk_candidate_fate(ep->swap) == ANTK_COMMITTED;
}

bool antk_process_bury_dead(struct antk_endpoint *ep)
{
    struct antk_body *requester = NULL;
    antk_lock(&ep->lock);
    if (ep->dead && ep->notice) /* under the same lock: else its successor may yet commit */
        requester = ep->notice->gone(ep->notice);
    bool dead = ep->dead && !is_succeeded_locked(ep);
    if (dead) {
        ep->dead = false;
        ep->closed = true;
        ep->notice = NULL;
    }
    antk_unlock(&ep->lock);
    if (!dead)
        return false;
    if (requester)
        antk_unpark(ep->core->machine, requester->thread);
    antk_endpoint_close(ep, -ESHUTDOWN, -EOWNERDEAD);
    struct antk_waiter *waiters = antk_endpoint_bury(ep);
    antk_unpin(ep);
    antk_waiters_wake(ep->core, waiters);
    return true;
}

/* ---- by force ---- */

/*
 * Its process is gone; its thread runs outside the core, and shall not do so at the level of those who live. If it is back by now, it is about to leave at its own. The thread
 * of a client, which lives, is at that one's level, if that is above the server's: below, whoever is between would keep it from coming back.
 */
static void abandon(struct antk_core *core, struct antk_body *body, uint32_t incarnation)
{
    antk_lock(&core->lock);
    if (body->listed && body->incarnation == incarnation && atomic_load(&body->inside) == 0) {
        antk_lock(&body->endpoint->lock); /* it may be run by a client's thread, and be about to be given back */
        core->machine->ops->set_priority(body->thread, antk_direct_level_without(body));
        antk_unlock(&body->endpoint->lock);
        if (core->config.contain_faults && core->machine->kind != ANT_MACHINE_VIRTUAL)
            antk_thread_interrupt(body->thread);
    }
    antk_unlock(&core->lock);
}

int antk_process_force(struct antk_endpoint *ep, int why, uint64_t busy_since_ns, const bool *unless)
{
    struct antk_core *core = ep->core;
    enum antk_end end = ANTK_NOT_ACTING;
    antk_lock(&ep->lock);
    struct antk_body *body = ep->closed || (unless && *unless) ? NULL : ep->body;
    if (!body || (busy_since_ns != 0 && atomic_load(&body->busy_since_ns) != busy_since_ns)) {
        antk_unlock(&ep->lock);
        return -ESRCH;
    }
    if (body->attached) { /* the program's own thread: there is no place to take it out of its process to */
        antk_unlock(&ep->lock);
        return -EPERM;
    }
    int none = 0;
    uint32_t incarnation = body->incarnation;
    atomic_compare_exchange_strong(&body->death, &none, why);
    /* In this order: see antk_enter, antk_wait_park and ant_work. */
    atomic_fetch_or(&body->flags, ANTK_ABANDONED | ANTK_KILLED);
    atomic_store(&body->stop, 1);
    antk_fence_heavy();
    bool outside = atomic_load(&body->inside) == 0;
    if (outside) {
        end = take_body_locked(ep, body);
        antk_pin_again(ep);
    }
    antk_unlock(&ep->lock);
    if (!outside) {
        antk_unpark(core->machine, body->thread); /* its slot stays, even if the thread is through by now */
        return 0;
    }
    abandon(core, body, incarnation);
    if (finish(ep, incarnation, end, why, 0) == ANTK_ENDED)
        antk_waiters_wake(core, antk_endpoint_bury(ep));
    antk_unpin(ep);
    atomic_store(&core->stop_tries, 0);
    atomic_store(&core->stop_due_ns, 0);
    if (core->config.contain_faults && antk_watchdog_ensure(core) == 0)
        antk_watchdog_wake(core); /* it tries again */
    return 0;
}

uint32_t antk_interrupt_all(struct antk_core *core)
{
    uint32_t count = 0;
    if (core->machine->kind == ANT_MACHINE_VIRTUAL)
        return 0; /* whoever does not run there is in the core */
    antk_lock(&core->lock);
    for (struct antk_body *body = core->live_bodies; body; body = body->live_next) {
        if (!(atomic_load(&body->flags) & ANTK_KILLED) || atomic_load(&body->inside) != 0)
            continue;
        antk_thread_interrupt(body->thread);
        count++;
    }
    antk_unlock(&core->lock);
    return count;
}

/* A new server that is not registered yet means itself, not the predecessor whose id it has. */
static int kill_candidate(struct antk_body *self)
{
    atomic_store(&self->death, -EOWNERDEAD);
    atomic_fetch_or(&self->flags, ANTK_ABANDONED | ANTK_KILLED);
    return 0;
}

int ant_kill(ant_pid pid)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    struct antk_endpoint *ep = antk_pin(self->core, pid);
    if (!ep)
        return -ESRCH;
    int rc = -EPERM;
    if (self->candidate && ep == self->endpoint)
        rc = kill_candidate(self);
    else if (!antk_is_own(ep))
        rc = antk_process_force(ep, -EOWNERDEAD, 0, NULL);
    antk_unpin(ep);
    return rc;
}
