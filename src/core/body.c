/* Bodies: the way a thread enters and leaves its process, and the priority that it has there; see process.h. */
#include "core/core.h"
#include "core/candidate.h"
#include "core/contain.h"
#include "core/direct.h"
#include "core/function.h"

#include <errno.h>
#include <string.h>

_Thread_local struct antk_body *antk_self;
_Thread_local uint32_t antk_aside;

ANTK_APART void antk_leave(struct antk_body *self, int status)
{
    self->exit_status = status;
    longjmp(*self->frame.base, 1);
}

ANTK_APART struct antk_body *antk_obey(struct antk_body *self)
{
    if (!self->attached)
        antk_leave(self, -ESHUTDOWN);
    return NULL;
}

inline int antk_wait_park(struct antk_body *self, uint64_t deadline_ns, struct antk_wait wait)
{
    int rc = -EINTR;
    if (!(atomic_load(&self->flags) & ANTK_ABANDONED))
        rc = antk_park(self->thread, deadline_ns, wait);
    if (ANTK_RARELY(atomic_load(&self->flags) & ANTK_ABANDONED))
        return self->attached ? -ESHUTDOWN : -EINTR;
    return rc;
}

/* ---- bodies ---- */

static struct antk_body *take_body(struct antk_core *core)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        antk_bodies_reap(core, attempt > 0);
        antk_lock(&core->lock);
        struct antk_body *body = core->free_bodies;
        if (body)
            core->free_bodies = body->next;
        antk_unlock(&core->lock);
        if (body)
            return body;
    }
    return NULL;
}

static void give_body_back(struct antk_core *core, struct antk_body *body)
{
    antk_lock(&core->lock);
    body->next = core->free_bodies;
    core->free_bodies = body;
    antk_unlock(&core->lock);
}

/* ---- warm threads: those of ended processes, kept for the next ones ---- */

static struct antk_carrier *take_warm_locked(struct antk_core *core, size_t stack_bytes)
{
    struct antk_carrier **link = &core->warm_threads;
    while (*link && (*link)->stack_bytes != stack_bytes)
        link = &(*link)->next;
    struct antk_carrier *carrier = *link;
    if (carrier) {
        *link = carrier->next;
        core->warm_thread_count--;
    }
    return carrier;
}

static void keep_warm_locked(struct antk_core *core, struct antk_thread *thread)
{
    if (core->warm_thread_count == core->config.warm_threads)
        return;
    struct antk_carrier *carrier = antk_carrier_stay(thread);
    carrier->next = core->warm_threads;
    core->warm_threads = carrier;
    core->warm_thread_count++;
}

/*
 * Only a thread that has come back the ordinary way: one that was ended by force, or left by a fault, may have been left anyhow. And none that has run code of
 * an object that can be unloaded: the destructors of its thread-local variables are still to run.
 */
static bool may_be_kept(struct antk_body *body)
{
    return body->core->config.warm_threads > 0 && body->returned && !body->object &&
           !body->transformer_object && atomic_load(&body->flags) == 0 &&
           atomic_load(&body->death) == 0;
}

static void end_warm(struct antk_core *core)
{
    for (;;) {
        antk_lock(&core->lock);
        struct antk_carrier *carrier = core->warm_threads;
        if (carrier)
            core->warm_threads = carrier->next;
        antk_unlock(&core->lock);
        if (!carrier)
            return;
        antk_carrier_end(carrier);
    }
}

/* ---- bodies, listed ---- */

/* Gives it a warm thread, if there is one. False: the shutdown waits for nobody any more. */
static bool list_body(struct antk_core *core, struct antk_body *body)
{
    antk_lock(&core->lock);
    if (core->given_up) {
        body->next = core->free_bodies;
        core->free_bodies = body;
        antk_unlock(&core->lock);
        return false;
    }
    body->live_prev = NULL;
    body->live_next = core->live_bodies;
    if (core->live_bodies)
        core->live_bodies->live_prev = body;
    core->live_bodies = body;
    body->listed = true;
    if (!body->attached)
        body->own_thread.carrier = take_warm_locked(core, body->own_frame.stack_bytes);
    antk_unlock(&core->lock);
    return true;
}

/* Puts it where its thread will be joined, or, if it has none, where it can be used again. Is it detached? Else its thread may be kept. */
static bool unlist_body(struct antk_core *core, struct antk_body *body, bool joinable, bool keep)
{
    antk_lock(&core->lock);
    *(body->live_prev ? &body->live_prev->live_next : &core->live_bodies) = body->live_next;
    if (body->live_next)
        body->live_next->live_prev = body->live_prev;
    body->listed = false;
    bool detached = (atomic_load(&body->flags) & ANTK_DETACHED) != 0;
    if (!detached && keep)
        keep_warm_locked(core, &body->own_thread);
    if (!detached) {
        struct antk_body **list = joinable ? &core->ended_bodies : &core->free_bodies;
        body->next = *list;
        *list = body;
    }
    antk_unlock_last(&core->lock);
    return detached;
}

/* Takes one that ended off its list: one that can be joined, or any. Nobody else sees it then. */
static struct antk_body *take_ended(struct antk_core *core, bool wait, bool any)
{
    antk_lock(&core->lock);
    struct antk_body **link = &core->ended_bodies;
    while (*link && !any &&
           !(atomic_load(&(*link)->launched) && (wait || antk_thread_join(&(*link)->own_thread, false))))
        link = &(*link)->next;
    struct antk_body *body = *link;
    if (body)
        *link = body->next;
    antk_unlock(&core->lock);
    return body;
}

/* Its thread has been joined. */
static void let_objects_go(struct antk_body *body)
{
    antk_object_put(body->object);
    antk_object_put(body->transformer_object);
}

void antk_bodies_reap(struct antk_core *core, bool wait)
{
    struct antk_body *body;
    while ((body = take_ended(core, wait, false)) != NULL) {
        if (wait)
            antk_thread_join(&body->own_thread, true);
        let_objects_go(body);
        give_body_back(core, body);
    }
}

void antk_bodies_reap_last(struct antk_core *core)
{
    struct antk_body *body;
    while ((body = take_ended(core, true, true)) != NULL)
        if (atomic_exchange(&body->launched, true)) {
            antk_thread_join(&body->own_thread, true);
            let_objects_go(body);
        }
    end_warm(core);
}

static void init_body(struct antk_body *body, struct antk_endpoint *ep, int priority)
{
    body->endpoint = ep;
    body->incarnation = atomic_fetch_add(&ep->core->incarnations, 1) + 1;
    atomic_store(&body->stop, atomic_load(&ep->stopping));
    atomic_store(&body->flags, 0);
    atomic_store(&body->inside, 1);
    atomic_store(&body->launched, false);
    atomic_store(&body->own_thread.created, false);
    body->candidate = NULL;
    body->attached = NULL;
    body->own_thread.own_scheduling = false;
    atomic_store(&body->base_priority, priority);
    atomic_store(&body->raised_priority, 0);
    atomic_store(&body->lowered, 0);
    atomic_store(&body->runs, body);
    atomic_store(&body->lent_level, 0);
    body->exit_status = 0;
    body->dispose = NULL;
    body->returned = false;
    atomic_store(&body->death, 0);
    atomic_store(&body->busy_since_ns, 0);
    atomic_store(&body->stray, false);
    body->last_function.function = 0;
    body->left = false;
    body->wanted_back = false;
    body->told_of_swap = false;
    atomic_store(&body->retired, false);
    body->own_thread.index = ep->index;
    memset(&body->server, 0, sizeof body->server);
    body->object = NULL;
    body->transformer_object = NULL;
}

static struct ant_loaded *object_of(const struct antk_body_start *start)
{
    return start->server.program ? antk_object_of_program(start->server.program)
                                 : antk_object_of((const void *)(uintptr_t)start->user_entry);
}

/* A waiter is gone from its stack as soon as it is told. */
void antk_waiters_wake(struct antk_core *core, struct antk_waiter *waiter)
{
    while (waiter) {
        struct antk_waiter *next = waiter->next;
        struct antk_body *body = waiter->body;
        atomic_store(&waiter->done, true);
        antk_unpark(core->machine, body->thread);
        waiter = next;
    }
}

static int body_main(void *arg)
{
    struct antk_body *self = arg;
    antk_self = self;
    antk_functions_enter_thread();
    jmp_buf base;
    self->own_frame.base = &base;
    self->own_frame.stack_high = (uintptr_t)__builtin_frame_address(0);
    self->frame = self->own_frame;
    antk_contain_enter_thread(self);
    if (setjmp(base) == 0)
        self->exit_status = self->entry(self);
    atomic_store(&self->inside, 1);
    self->returned = true;
    return 0;
}

/* The thread is no process any more. */
static void leave_thread(struct antk_body *self)
{
    antk_functions_leave_thread();
    antk_contain_leave_thread(self);
    antk_self = NULL;
}

/* Who waits for the end of the process is told when its place is free. */
static void leave_endpoint(struct antk_body *self, bool ended)
{
    struct antk_waiter *waiters = ended ? antk_endpoint_bury(self->endpoint) : NULL;
    antk_unpin(self->endpoint);
    antk_waiters_wake(self->core, waiters);
}

/* Is its program to clean up after it? Not if it was ended by force, wherever it stood: it may hold a lock, or be in the midst of a change. */
static bool has_to_dispose(struct antk_body *self, bool given_up)
{
    uint32_t forced = atomic_load(&self->flags) & ~(uint32_t)(given_up ? ANTK_ABANDONED : 0);
    return self->dispose && forced == 0 && atomic_load(&self->death) == 0;
}

/*
 * It is no process any more, but is not yet seen to have ended. One that was replaced stays below its successor meanwhile, which serves, and is nobody's hindrance in the
 * next swap (bound.h).
 */
static void dispose(struct antk_body *self, bool replaced)
{
    if (replaced)
        self->machine->ops->set_priority(&self->own_thread, antk_own_level(self) - 1);
    self->server.state = NULL;
    self->server.state_bytes = 0;
    antk_aside++;
    self->dispose(&self->server);
    antk_aside--;
}

/* Whether its entry has returned, or it was left by longjmp, or by the program's pthread_exit. */
static void body_leave(void *arg)
{
    struct antk_body *self = arg;
    struct antk_core *core = self->core;
    antk_direct_break(self);
    atomic_store(&self->inside, 1);
    if (atomic_load(&self->flags) & ANTK_KILLED) {
        /* It may have been abandoned, and shall not starve with what it holds. Under the lock: whoever abandons it may be about to. */
        antk_lock(&core->lock);
        antk_set_priority_unlock(&self->own_thread, atomic_load(&self->base_priority), &core->lock);
    }
    struct antk_candidate *candidate = self->candidate;
    bool given_up = false;
    bool ended = candidate && antk_candidate_end(self, self->exit_status, &given_up);
    ended |= antk_process_end(self, self->exit_status) == ANTK_ENDED;
    leave_thread(self);
    if (has_to_dispose(self, given_up))
        dispose(self, !candidate && !ended);
    if (candidate)
        antk_candidate_ended(candidate);
    leave_endpoint(self, ended);
    bool keep = may_be_kept(self);
    if (keep)
        antk_carrier_prepare(&self->own_thread);
    if (unlist_body(core, self, true, keep)) {
        antk_thread_detach_self(); /* its shutdown has not waited for this thread */
    } else {
        /* From here on this is a thread to be joined, and nothing but: ant_shutdown counts on it. */
        atomic_fetch_sub(&core->live_threads, 1);
        struct antk_thread *notify = atomic_load(&core->shutting_down) ? core->boot->thread : NULL;
        core->machine->ops->ended(core->machine, &self->own_thread, notify);
    }
    antk_core_put(core);
}

int antk_body_start(struct antk_endpoint *ep, const struct antk_body_start *start,
                    struct antk_body **started)
{
    struct antk_core *core = ep->core;
    struct antk_body *body = take_body(core);
    if (!body)
        return -EAGAIN;
    if (antk_contain_give_stack(body) != 0) {
        give_body_back(core, body);
        return -ENOMEM;
    }
    init_body(body, ep, start->priority);
    atomic_store(&body->raised_priority, start->raised_priority);
    atomic_store(&body->lowered, start->lowered);
    atomic_store(&body->own_thread.priority, antk_body_level(body)); /* nobody else knows it yet */
    body->own_thread.interruptible = core->config.contain_faults;
    body->own_thread.held = start->held;
    body->own_frame.stack_bytes = start->stack_bytes;
    body->entry = start->entry;
    body->user_entry = start->user_entry;
    body->user_arg = start->user_arg;
    body->candidate = start->candidate;
    body->server = start->server;
    struct ant_loaded *object = object_of(start);
    body->object = object;
    *started = body;
    if (!start->candidate) {
        antk_lock(&ep->lock);
        ep->body = body;
        atomic_store(&body->stop, atomic_load(&ep->stopping));
        antk_unlock(&ep->lock);
    }
    antk_pin_again(ep);
    bool listed = list_body(core, body);
    antk_trace_add(core, ep->index, ANT_EVENT_CREATE, ep->index, start->priority);
    int rc = -ESHUTDOWN;
    if (listed) {
        atomic_fetch_add(&core->live_threads, 1);
        atomic_fetch_add(&core->holders, 1);
        rc = antk_thread_start(core->machine, &body->own_thread, start->stack_bytes, body_main,
                               body_leave, body);
        if (atomic_exchange(&body->launched, true))
            antk_thread_detach(&body->own_thread); /* it has ended already, and the shutdown has left it to this */
        if (rc != 0) {
            atomic_fetch_sub(&core->live_threads, 1);
            atomic_fetch_sub(&core->holders, 1); /* not the last: the caller has one */
        }
    }
    if (rc != 0) {
        antk_object_put(object);
        antk_log(&core->log, listed ? ANT_LOG_ERROR : ANT_LOG_DEBUG,
                 "no thread for process %u (%s): %s", ep->index, ep->name, strerror(-rc));
        antk_lock(&ep->lock);
        if (ep->body == body)
            ep->body = NULL;
        antk_unlock(&ep->lock);
        antk_unpin(ep);
        if (listed)
            unlist_body(core, body, false, false);
    }
    return rc;
}

int antk_body_adopt(struct antk_endpoint *ep, int priority, struct antk_body **adopted)
{
    struct antk_core *core = ep->core;
    struct antk_body *body = take_body(core);
    init_body(body, ep, priority);
    atomic_store(&body->own_thread.priority, priority);
    int rc = antk_contain_give_stack(body);
    if (rc == 0)
        rc = core->machine->ops->adopt(core->machine, &body->own_thread);
    if (rc != 0)
        return rc;
    ep->body = body;
    antk_thread_stack(&body->own_frame.stack_high, &body->own_frame.stack_bytes);
    body->frame = body->own_frame;
    antk_contain_enter_thread(body); /* for servers that it runs in direct calls */
    antk_functions_enter_thread();
    list_body(core, body);
    antk_pin_again(ep);
    atomic_store(&body->inside, 0); /* it is the program's thread, and back there soon */
    antk_self = body;
    *adopted = body;
    return 0;
}

void antk_body_disown(struct antk_body *body)
{
    struct antk_core *core = body->core;
    leave_thread(body);
    antk_unpin(body->endpoint);
    unlist_body(core, body, false, false);
    core->machine->ops->leave(core->machine, &body->own_thread);
}

/* With a stack of no size it never lends its thread to a server: that would run below its own priority there. */
static void learn_stack(struct antk_body *body)
{
    antk_thread_stack(&body->own_frame.stack_high, &body->own_frame.stack_bytes);
    if (body->own_thread.own_scheduling && body->machine->kind == ANT_MACHINE_FIFO)
        body->own_frame.stack_bytes = 0;
    body->own_frame.base = NULL;
    body->frame = body->own_frame;
}

int antk_body_join(struct antk_endpoint *ep, int priority, bool keeps, struct antk_attached *attached)
{
    struct antk_core *core = ep->core;
    struct antk_body *body = take_body(core);
    if (!body)
        return -EAGAIN;
    init_body(body, ep, priority);
    body->attached = attached;
    attached->body = body;
    body->own_thread.own_scheduling = keeps;
    atomic_store(&body->own_thread.priority, priority);
    antk_thread_renew(&body->own_thread);
    int rc = antk_contain_give_stack(body);
    if (rc == 0)
        rc = core->machine->ops->join(core->machine, &body->own_thread, &attached->before);
    if (rc != 0) {
        give_body_back(core, body);
        return rc;
    }
    learn_stack(body);
    if (!list_body(core, body)) {
        core->machine->ops->part(core->machine, !keeps, &attached->before);
        return -ESHUTDOWN;
    }
    antk_lock(&ep->lock);
    ep->body = body;
    atomic_store(&body->stop, atomic_load(&ep->stopping));
    antk_unlock(&ep->lock);
    antk_pin_again(ep);
    antk_contain_enter_thread(body); /* for servers that it runs in direct calls */
    antk_functions_enter_thread();
    antk_trace_add(core, ep->index, ANT_EVENT_CREATE, ep->index, priority);
    atomic_store(&body->inside, 0); /* as in antk_body_adopt */
    antk_self = body;
    return 0;
}

void antk_body_part(struct antk_body *self)
{
    struct antk_core *core = self->core;
    const struct antk_scheduling *before = &self->attached->before;
    bool keeps = self->own_thread.own_scheduling;
    antk_direct_break(self);
    atomic_store(&self->inside, 1);
    bool ended = antk_process_end(self, 0) == ANTK_ENDED;
    leave_thread(self);
    leave_endpoint(self, ended);
    if (!unlist_body(core, self, false, false)) { /* else its shutdown has not waited for it */
        atomic_fetch_sub(&core->live_threads, 1);
        if (atomic_load(&core->shutting_down))
            antk_unpark(core->machine, core->boot->thread);
    }
    core->machine->ops->part(core->machine, !keeps, before);
    antk_core_put(core);
}

/* ---- priorities ---- */

static int max(int a, int b)
{
    return a > b ? a : b;
}

int antk_own_level(struct antk_body *body)
{
    return max(atomic_load(&body->base_priority) - atomic_load(&body->lowered),
               atomic_load(&body->raised_priority));
}

/* Of one that has been killed outside the core nobody needs anything more. */
static int level_of_run(struct antk_body *body)
{
    bool over = (atomic_load(&body->flags) & ANTK_KILLED) && atomic_load(&body->inside) == 0;
    return over ? ANTK_LEVEL_LOWEST : antk_own_level(body);
}

int antk_body_level(struct antk_body *body)
{
    struct antk_body *host = antk_host_of(body);
    int level = max(antk_own_level(host), (int)atomic_load(&host->lent_level));
    return max(level, level_of_run(atomic_load(&host->runs)));
}

/* And once more, if it has changed meanwhile: whoever changes something writes it, and then looks what follows. On `virtual` nobody comes in between. */
void antk_body_settle_unlock(struct antk_body *body)
{
    struct antk_thread *thread = atomic_load(&body->thread);
    struct antk_lock *lock = &body->endpoint->lock;
    if (lock->machine) {
        antk_set_priority_unlock(thread, antk_body_level(body), lock);
        return;
    }
    for (int level = -1; level != antk_body_level(body);) {
        level = antk_body_level(body);
        body->machine->ops->set_priority(thread, level);
    }
    antk_unlock(lock);
}

void antk_body_raise(struct antk_body *body, int level)
{
    antk_lock(&body->endpoint->lock);
    atomic_store(&body->raised_priority, level);
    if (antk_body_level(body) != atomic_load(&body->thread->priority))
        antk_body_settle_unlock(body);
    else
        antk_unlock(&body->endpoint->lock);
}
