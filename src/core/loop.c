/* The library's loop: see loop.h. */
#include "core/loop.h"

#include "core/direct.h"
#include "core/ipc.h"
#include "core/timer.h"
#include "core/watch.h"

#include <errno.h>

/* With messages all the time, descriptors are looked at so often only; when one was ready, after each message. */
#define LOOK_NS (50 * ANT_NS_PER_US)

/* ---- waiting ---- */

/* The first timer, if it is due. */
static bool call_timer(struct antk_body *self)
{
    struct antk_timers *timers = self->endpoint->timers;
    uint64_t next_ns = antk_timers_next(timers), now_ns, expirations;
    if (next_ns == ANTK_NEVER || next_ns > (now_ns = antk_now(self->machine)) || !antk_claim(self))
        return false;
    uint32_t id = antk_timers_expire(timers, now_ns, &expirations);
    antk_go_outside(self);
    self->server.program->timer(&self->server, id, expirations);
    antk_come_back(self);
    antk_receive_end(self);
    return true;
}

static bool is_time_to_look(struct antk_body *self, struct antk_loop *loop)
{
    uint64_t now_ns = antk_now(self->machine);
    if (!loop->ready && now_ns - loop->looked_ns < LOOK_NS)
        return false;
    loop->looked_ns = now_ns;
    return true;
}

/* One descriptor, if one is ready. */
static bool call_ready(struct antk_body *self, struct antk_loop *loop)
{
    struct antk_watches *watches = self->endpoint->watches;
    struct ant_watch one;
    if (!antk_watches_any(watches) || !is_time_to_look(self, loop))
        return false;
    loop->ready = antk_watches_next(watches, &one);
    if (!loop->ready || !antk_claim(self)) /* else it is ready still when it comes to its turn */
        return false;
    antk_go_outside(self);
    self->server.program->ready(&self->server, one.fd, one.events, one.cookie);
    antk_come_back(self);
    antk_receive_end(self);
    return true;
}

/* While it waits its client may run it, and change what it should wait for: so that is looked at before. */
struct wait {
    uint64_t deadline_ns;
    int fd; /* -1: for messages only */
};

static struct wait plan_wait(struct antk_endpoint *ep)
{
    return (struct wait){antk_timers_next(ep->timers),
                         antk_watches_any(ep->watches) ? antk_watches_fd(ep->watches) : -1};
}

/* A deadlock (`virtual`) that ends a server's wait is not the server's to solve: whoever caused it has been told too. */
static inline void wait_for_event(struct antk_body *self, struct antk_loop *loop,
                                  const struct wait *wait, bool idle)
{
    struct antk_thread *thread = &self->own_thread; /* that is what waits, even if the body is lent */
    if (atomic_load(&self->flags) & ANTK_ABANDONED)
        return;
    if (ANTK_RARELY(wait->fd >= 0))
        loop->ready |= antk_real_poll(thread, wait->deadline_ns, wait->fd) == 1;
    else
        antk_park(thread, wait->deadline_ns, (struct antk_wait){"a message", -1, idle, true});
    if (ANTK_RARELY(antk_is_lent(self)) && wait->fd < 0 && wait->deadline_ns == ANTK_NEVER)
        antk_direct_await_end(self);
}

ANTK_WHOLE void antk_loop_receive(struct antk_body *self, struct antk_loop *loop,
                                  struct ant_message *message)
{
    struct antk_endpoint *ep = self->endpoint;
    antk_receive_end(self);
    for (;;) {
        struct wait wait = {ANTK_NEVER, -1};
        bool called = false, idle = true;
        if (ANTK_RARELY(atomic_load_explicit(&ep->has_sources, memory_order_relaxed))) {
            antk_regain(self);
            called = call_timer(self);
            called |= call_ready(self, loop);
            wait = plan_wait(ep);
        }
        if (antk_next_messages(self, !called, message, 1, &idle) > 0)
            break;
        if (!called)
            wait_for_event(self, loop, &wait, idle);
    }
}

/* ---- whose they are ---- */

static void note_sources_locked(struct antk_endpoint *ep)
{
    atomic_store(&ep->has_sources, ep->watches != NULL || ep->timers != NULL);
}

void antk_loop_adopt(struct antk_endpoint *ep, struct antk_watches *watches, struct antk_timers *timers)
{
    antk_lock(&ep->lock);
    ep->watches = watches ? watches : ep->watches;
    ep->timers = timers ? timers : ep->timers;
    note_sources_locked(ep);
    antk_unlock(&ep->lock);
}

void antk_loop_changed(struct antk_body *self)
{
    if (!antk_is_lent(self))
        return;
    antk_lock(&self->endpoint->lock);
    self->wanted_back = true;
    antk_unlock(&self->endpoint->lock);
}

void antk_loop_close(struct antk_endpoint *ep)
{
    antk_lock(&ep->lock);
    struct antk_watches *watches = ep->watches;
    struct antk_timers *timers = ep->timers;
    ep->watches = NULL;
    ep->timers = NULL;
    note_sources_locked(ep);
    antk_unlock(&ep->lock);
    antk_watches_destroy(watches);
    antk_timers_destroy(timers);
}

/* ---- in a swap ---- */

void antk_loop_lock_inherited(struct antk_candidate *c)
{
    antk_lock(&c->endpoint->lock);
    if (antk_candidate_fate(c) != ANTK_CANCELLED)
        return;
    antk_unlock(&c->endpoint->lock);
    antk_leave(c->body, -ESHUTDOWN);
}

int antk_loop_fits(struct antk_candidate *c)
{
    struct antk_endpoint *ep = c->endpoint;
    if (!atomic_load(&ep->has_sources) && !c->watches && !c->timers)
        return 0;
    bool new_watches = c->own_watches || c->disinherited, new_timers = c->own_timers || c->disinherited;
    antk_loop_lock_inherited(c);
    bool watches = antk_watches_any(new_watches ? c->watches : ep->watches);
    bool timers = antk_timers_any(new_timers ? c->timers : ep->timers);
    antk_unlock(&ep->lock);
    if ((watches && !c->program->ready) || (timers && !c->program->timer)) {
        antk_log(&ep->core->log, ANT_LOG_WARNING,
                 "process %u (%s): version %u cannot be called back for the %s that it would inherit",
                 ep->index, ep->name, c->program->version,
                 watches && !c->program->ready ? "descriptors" : "timers");
        return -ENOTSUP;
    }
    return watches ? antk_real_prepare_poll(&c->body->own_thread) : 0;
}

void antk_loop_succeed_locked(struct antk_candidate *c)
{
    struct antk_endpoint *ep = c->endpoint;
    struct antk_watches *watches = ep->watches;
    struct antk_timers *timers = ep->timers;
    if (!atomic_load(&ep->has_sources) && !c->watches && !c->timers)
        return;
    if (c->own_watches || c->disinherited) {
        ep->watches = c->watches;
        c->watches = watches;
    }
    if (c->own_timers || c->disinherited) {
        ep->timers = c->timers;
        c->timers = timers;
    }
    note_sources_locked(ep);
}

void antk_loop_forget(struct antk_candidate *c)
{
    antk_watches_destroy(c->watches);
    antk_timers_destroy(c->timers);
    c->watches = NULL;
    c->timers = NULL;
}
