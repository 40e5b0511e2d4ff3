/* Candidates: see candidate.h. */
#include "core/candidate.h"
#include "core/event.h"
#include "core/function.h"
#include "core/loop.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void antk_candidate_init(struct antk_candidate *c, const struct antk_candidate_ops *ops,
                         struct antk_endpoint *ep, const struct ant_program *program,
                         struct antk_body *requester)
{
    c->ops = ops;
    c->endpoint = ep;
    c->program = program;
    c->requester = requester;
    c->state = ANTK_NO_FRAME;
    c->fate = &c->own_fate;
    c->next = c;
    atomic_store(&c->refs, 1);
}

void antk_candidate_join(struct antk_candidate *c, struct antk_candidate *other)
{
    c->fate = other->fate;
    c->next = other->next;
    other->next = c;
}

bool antk_candidate_is_beside(const struct antk_candidate *c, const struct antk_endpoint *ep)
{
    const struct antk_candidate *other = c;
    while (other->endpoint != ep && other->next != c)
        other = other->next;
    return other->endpoint == ep;
}

void antk_candidate_put(struct antk_candidate *c)
{
    if (atomic_fetch_sub(&c->refs, 1) == 1)
        c->ops->destroy(c);
}

/* ---- on the candidate's thread ---- */

/* Waits until it may go that far. False: it has been given up before. */
static bool may_go(struct antk_body *self, struct antk_candidate *c, enum antk_go how_far)
{
    for (;;) {
        if (antk_candidate_fate(c) != ANTK_PENDING)
            return false;
        if (atomic_load(&c->go) >= how_far)
            return true;
        if (antk_wait_park(self, ANTK_NEVER,
                           (struct antk_wait){"the swap to begin", -1, true, false}) == -EINTR)
            return false;
    }
}

static int call_out(struct antk_body *self, int (*callback)(struct ant_server *server))
{
    antk_go_outside(self);
    int rc = callback(&self->server);
    antk_come_back(self);
    return rc;
}

static int prepare(struct antk_body *self, struct antk_candidate *c)
{
    if (!c->program->prepare)
        return 0;
    int rc = call_out(self, c->program->prepare);
    if (rc == 0) {
        antk_times_of(self, &c->prepared_times);
        atomic_store(&c->prepared, true);
        antk_unpark(self->core->machine, c->requester->thread);
    }
    return rc;
}

static int start(struct antk_body *self, struct antk_candidate *c)
{
    int rc = c->ops->bring_state(c);
    return rc == 0 && c->program->start ? call_out(self, c->program->start) : rc;
}

static int candidate_main(struct antk_body *self)
{
    struct antk_candidate *c = self->candidate;
    antk_thread_settle(&self->own_thread);
    if (!may_go(self, c, ANTK_PREPARES))
        return -ESHUTDOWN;
    self->dispose = c->program->dispose;
    atomic_store(&self->stray, true);
    atomic_fetch_add(&c->endpoint->strays, 1);
    int rc = prepare(self, c);
    if (rc == 0 && !may_go(self, c, ANTK_STARTS))
        return -ESHUTDOWN;
    if (rc == 0)
        rc = start(self, c);
    if (rc == 0)
        rc = antk_loop_fits(c);
    if (rc != 0) {
        antk_candidate_cancel(c, rc);
        return rc;
    }
    c->ops->enroll(c);
    if (antk_candidate_fate(c) != ANTK_COMMITTED)
        return 0;
    self->own_thread.observed = c->program->timing && c->program->timing->observe;
    self->candidate = NULL;
    antk_loop_forget(c);
    antk_candidate_put(c);
    return antk_server_loop(self);
}

/* Its requester may have given up waiting (abandoned), or wait for this. */
bool antk_candidate_end(struct antk_body *self, int status, bool *given_up)
{
    struct antk_candidate *c = self->candidate;
    struct antk_endpoint *ep = self->endpoint;
    antk_lock(&self->core->lock);
    c->ending = true;
    bool abandoned = c->abandoned;
    antk_unlock(&self->core->lock);
    if (abandoned) /* back in the core, it shall not starve with what it holds; else its requester sees to that */
        self->core->machine->ops->set_priority(self->thread, atomic_load(&self->base_priority));
    antk_candidate_cancel(c, -EOWNERDEAD);
    antk_functions_remove(ep, self->incarnation);
    atomic_fetch_add(&c->swallowed, antk_requests_disown(ep, self->incarnation));
    antk_endpoint_retire(self);
    antk_areas_sweep(ep, self->incarnation, false);
    if (atomic_load(&self->stray))
        atomic_fetch_sub(&ep->strays, 1);
    antk_loop_forget(c);
    antk_lock(&ep->lock);
    bool fresh = !ep->program;
    antk_unlock(&ep->lock);
    if (fresh) /* there is nobody else to the process */
        antk_endpoint_close(ep, -EOWNERDEAD, status);
    self->candidate = NULL;
    *given_up = !abandoned;
    return fresh;
}

void antk_candidate_ended(struct antk_candidate *c)
{
    struct antk_core *core = c->endpoint->core;
    antk_lock(&core->lock);
    atomic_store(&c->ended, true);
    bool abandoned = c->abandoned; /* not since it has begun to end */
    antk_unlock(&core->lock);
    if (!abandoned)
        antk_unpark(core->machine, c->requester->thread);
    antk_candidate_put(c);
}

/* ---- on the requester's ---- */

int antk_candidate_create(struct antk_candidate *c, int priority, size_t stack_bytes,
                          enum ant_start_reason reason, uint32_t function, uint32_t generation)
{
    struct antk_body_start start = {
        .priority = priority,
        .lowered = reason != ANT_START_FRESH && c->program->prepare != NULL,
        .held = true,
        .stack_bytes = stack_bytes,
        .entry = candidate_main,
        .candidate = c,
        .server = {.program = c->program, .reason = reason, .function = function, .generation = generation},
    };
    atomic_fetch_add(&c->refs, 1);
    int rc = antk_body_start(c->endpoint, &start, &c->body);
    if (rc != 0)
        atomic_fetch_sub(&c->refs, 1);
    return rc;
}

void antk_candidate_release(struct antk_candidate *c, bool first)
{
    struct antk_core *core = c->endpoint->core;
    antk_lock(&core->lock);
    bool exists = !atomic_load(&c->ended); /* its thread, that is */
    if (exists && c->body->own_thread.held) {
        antk_thread_release(&c->body->own_thread, first);
    } else if (exists && antk_candidate_fate(c) == ANTK_PENDING &&
               atomic_exchange(&c->body->lowered, 0) != 0) {
        core->machine->ops->set_priority(c->body->thread, antk_body_level(c->body));
    }
    antk_unlock(&core->lock);
}

static void let_go(struct antk_candidate *c, enum antk_go how_far)
{
    atomic_store(&c->go, how_far);
    antk_unpark(c->endpoint->core->machine, c->body->thread);
}

void antk_candidate_prepare(struct antk_candidate *c, int64_t timeout_ns)
{
    if (!c->program->prepare)
        return;
    uint64_t deadline_ns = antk_deadline(c->endpoint->core->machine, timeout_ns);
    let_go(c, ANTK_PREPARES);
    while (!atomic_load(&c->prepared) && antk_candidate_fate(c) == ANTK_PENDING) {
        int rc = antk_candidate_park(c, deadline_ns, "a new server to prepare, process");
        if (rc != 0 && !atomic_load(&c->prepared))
            antk_candidate_cancel(c, rc);
    }
}

void antk_candidate_go(struct antk_candidate *c)
{
    let_go(c, ANTK_STARTS);
}

bool antk_candidate_commit(struct antk_candidate *c)
{
    uint32_t pending = ANTK_PENDING;
    return atomic_compare_exchange_strong(c->fate, &pending, ANTK_COMMITTED);
}

/* Its drivers may have more to do than its successor alone would ever give them (bound.h: request_min_ns). */
static void inherit_pace_locked(struct antk_endpoint *ep)
{
    const struct ant_timing *timing = ep->program ? ep->program->timing : NULL;
    uint64_t min_ns = timing ? timing->request_min_ns : 0;
    if (ep->out.count == 0 || !ep->program)
        ep->inherited_min_ns = UINT64_MAX;
    else if (min_ns < ep->inherited_min_ns)
        ep->inherited_min_ns = min_ns;
}

void antk_candidate_succeed_locked(struct antk_candidate *c, uint32_t generation)
{
    struct antk_endpoint *ep = c->endpoint;
    struct antk_body *body = c->body;
    assert(c->program); /* antk_program_check */
    inherit_pace_locked(ep);
    if (ep->program != c->program) /* what was seen of another says nothing of this one */
        memset(ep->longest_ns, 0, sizeof ep->longest_ns);
    ep->body = body;
    ep->program = c->program;
    antk_object_put(ep->object);
    ep->object = antk_object_get(body->object);
    ep->generation = generation;
    if (c->own_state)
        ep->state = c->state;
    if (c->priority != 0)
        ep->priority = c->priority;
    atomic_store(&body->base_priority, ep->priority);
    atomic_store(&body->stop, atomic_load(&ep->stopping));
    antk_loop_succeed_locked(c);
    antk_functions_publish_locked(ep, body->incarnation);
    atomic_store(&body->stray, false);
    atomic_fetch_sub(&ep->strays, 1);
    antk_event_renew_locked(ep); /* results of its own are no longer passed over, either */
}

static bool try_to_cancel(struct antk_candidate *c, int error)
{
    uint32_t pending = ANTK_PENDING,
             positive = error < 0 && error > -(1 << 23) ? (uint32_t)-error : EINVAL;
    if (!atomic_compare_exchange_strong(c->fate, &pending, ANTK_CANCELLED | positive << 8))
        return false;
    c->blamed = true;
    return true;
}

static void undo(struct antk_candidate *c)
{
    c->ops->cancelled(c);
    c->failed = antk_self && antk_self->candidate == c; /* its body may just come about */
    atomic_store(&c->undone, true);
}

bool antk_candidate_cancel(struct antk_candidate *c, int error)
{
    if (!try_to_cancel(c, error))
        return false;
    struct antk_body *requester =
        c->requester; /* with the last one undone, it may be gone, and all of them with it */
    struct antk_candidate *other = c;
    do {
        struct antk_candidate *next = other->next;
        undo(other);
        other = next;
    } while (other != c);
    if (requester != antk_self)
        antk_unpark(requester->core->machine, requester->thread);
    return true;
}

bool antk_candidate_cancel_locked(struct antk_candidate *c, int error)
{
    if (!try_to_cancel(c, error))
        return false;
    atomic_store(&c->others_left, true);
    return true;
}

static bool undo_what_was_left(struct antk_candidate *c)
{
    struct antk_candidate *one = c;
    while (!atomic_exchange(&one->others_left, false)) {
        one = one->next;
        if (one == c)
            return false;
    }
    for (struct antk_candidate *other = one->next; other != one; other = other->next)
        undo(other);
    return true;
}

void antk_candidate_await_undone(struct antk_candidate *c)
{
    struct antk_wait wait = {"a cancelled swap to be undone, process", c->endpoint->index, false, false};
    while (!atomic_load(&c->undone))
        if (!undo_what_was_left(c))
            antk_park(c->requester->thread, ANTK_NEVER, wait);
}

int antk_candidate_park(struct antk_candidate *c, uint64_t deadline_ns, const char *what)
{
    struct antk_body *self = c->requester;
    if (atomic_load(&self->endpoint->stopping))
        return -ESHUTDOWN;
    int rc =
        antk_wait_park(self, deadline_ns, (struct antk_wait){what, c->endpoint->index, false, false});
    return rc == 0 && atomic_load(&self->endpoint->stopping) ? -ESHUTDOWN : rc;
}

/*
 * A candidate that is inside the core sees the flag when it waits there or comes out, and ends (see antk_enter); outside, it may never come
 * back. Then it is abandoned.
 */
static bool give_up(struct antk_candidate *c)
{
    struct antk_core *core = c->endpoint->core;
    antk_lock(&core->lock);
    bool over = c->ending; /* then its body may soon be another process's */
    uint32_t incarnation = over ? 0 : c->body->incarnation;
    if (!over) { /* in this order: whoever comes out of ant_work because of stop must find the flag */
        atomic_fetch_or(&c->body->flags, ANTK_ABANDONED);
        antk_fence_heavy();
        over = atomic_load(&c->body->inside) != 0;
        atomic_store(&c->body->stop, 1);
    }
    antk_unlock(&core->lock);
    if (over)
        return false;
    antk_functions_remove(c->endpoint, incarnation);
    atomic_fetch_add(&c->swallowed, antk_requests_disown(c->endpoint, incarnation));
    antk_lock(&core->lock);
    c->abandoned = !c->ending;
    bool abandoned = c->abandoned;
    if (abandoned) /* should it spin, it must not do so at the level of the server that goes on */
        core->machine->ops->set_priority(c->body->thread, ANTK_LEVEL_LOWEST);
    antk_unlock(&core->lock);
    if (abandoned)
        antk_log(&core->log, ANT_LOG_WARNING,
                 "process %u (%s): a new server is given up, does not come back from prepare or start, and is abandoned",
                 c->endpoint->index, c->endpoint->name);
    return abandoned;
}

/* It ends at its requester's level: it must not have to wait behind the server that would not make room. */
static void hasten(struct antk_candidate *c)
{
    struct antk_core *core = c->endpoint->core;
    antk_lock(&core->lock);
    if (!atomic_load(&c->ended)) /* so its thread exists */
        core->machine->ops->set_priority(c->body->thread, atomic_load(&c->requester->thread->priority));
    antk_unlock(&core->lock);
}

bool antk_candidate_wind_up(struct antk_candidate *c)
{
    struct antk_wait wait = {"a new server that failed to end", c->endpoint->index, false, false};
    antk_candidate_await_undone(c);
    if (!c->failed && atomic_load(&c->go) != ANTK_WAITS && give_up(c))
        return true;
    hasten(c);
    while (!atomic_load(&c->ended)) {
        antk_unpark(c->endpoint->core->machine, c->body->thread);
        if (!atomic_load(&c->ended))
            antk_park(c->requester->thread, ANTK_NEVER, wait);
    }
    return false;
}
