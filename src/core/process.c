/* Processes: creating them, ending them, waiting for them, what they are and do. */
#include "core/candidate.h"
#include "core/contain.h"
#include "core/core.h"

#include <errno.h>

static int user_main(struct antk_body *self)
{
    antk_go_outside(self);
    int status = self->user_entry(self->user_arg);
    antk_come_back(self);
    return status;
}

int ant_process_create(const struct ant_process_options *options, int (*entry)(void *arg),
                       void *arg, ant_pid *pid)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    antk_objects_close(self->core);
    struct antk_body_start start = {
        .priority = options && options->priority ? options->priority : atomic_load(&self->base_priority),
        .stack_bytes =
            options && options->stack_bytes ? options->stack_bytes : self->core->config.stack_bytes,
        .entry = user_main,
        .user_entry = entry,
        .user_arg = arg,
    };
    if (!entry || !antk_process_options_ok(start.priority, start.stack_bytes))
        return -EINVAL;
    antk_contain_learn(self->core, (uintptr_t)entry);
    antk_spend(self, self->core->costs.create_ns);
    const char *name = options && options->name ? options->name : "process";
    struct antk_endpoint *ep;
    int rc = antk_endpoint_open(self->core, name, start.priority, &ep);
    if (rc != 0)
        return rc;
    ant_pid before = pid ? *pid : 0;
    if (pid)
        *pid = antk_endpoint_pid(ep); /* the new process may look there at once */
    struct antk_body *body;
    rc = antk_body_start(ep, &start, &body);
    if (rc != 0 && pid)
        *pid = before;
    antk_unpin(ep);
    return rc;
}

bool antk_process_options_ok(int priority, size_t stack_bytes)
{
    return priority >= ANT_PRIORITY_MIN && priority <= ANT_PRIORITY_MAX &&
           stack_bytes >= ANTK_STACK_MIN && stack_bytes <= ANTK_STACK_MAX;
}

void ant_exit(int status)
{
    ANTK_ENTER(self);
    if (self && self != self->core->boot && !self->attached)
        antk_leave(self, status);
}

/* A process that has ended is remembered in its slot until that is used again. */
static int ended_status(struct antk_core *core, ant_pid pid, int *status)
{
    uint32_t index = (uint32_t)pid;
    if (index == 0 || index > core->config.max_processes)
        return -ESRCH;
    struct antk_endpoint *ep = &core->endpoints[index - 1];
    antk_lock(&ep->lock);
    bool known = ep->ended_generation != 0 && ep->ended_generation == (uint32_t)(pid >> 32);
    int kept = ep->ended_status;
    antk_unlock(&ep->lock);
    if (!known)
        return -ESRCH;
    if (status)
        *status = kept;
    return 0;
}

/* False: it has been taken off the list already, to be woken. */
static bool forget_waiter(struct antk_endpoint *ep, struct antk_waiter *waiter)
{
    antk_lock(&ep->lock);
    for (struct antk_waiter **link = &ep->waiters; *link; link = &(*link)->next) {
        if (*link == waiter) {
            *link = waiter->next;
            antk_unlock(&ep->lock);
            return true;
        }
    }
    antk_unlock(&ep->lock);
    return false;
}

static int wait_for_end(struct antk_body *self, struct antk_endpoint *ep, uint64_t deadline_ns, int *status)
{
    struct antk_waiter waiter = {.body = self};
    struct antk_wait wait = {"the end of process", ep->index, false, false};
    antk_lock(&ep->lock);
    if (ep->ended_generation == (uint32_t)(antk_endpoint_pid(ep) >> 32)) {
        waiter.status = ep->ended_status;
        atomic_store(&waiter.done, true);
    } else {
        waiter.next = ep->waiters;
        /* cppcheck-suppress autoVariables ; it is off the list before this function returns */
        ep->waiters = &waiter;
    }
    antk_unlock(&ep->lock);
    int rc = 0;
    while (!atomic_load(&waiter.done) && rc == 0) {
        if (atomic_load(&self->endpoint->stopping))
            rc = -ESHUTDOWN;
        else
            rc = antk_wait_park(self, deadline_ns, wait);
    }
    if (!atomic_load(&waiter.done) && forget_waiter(ep, &waiter))
        return rc;
    while (!atomic_load(&waiter.done)) /* it is just being told, on its stack */
        antk_park(self->thread, ANTK_NEVER, wait);
    if (status)
        *status = waiter.status;
    return 0;
}

int ant_wait(ant_pid pid, int64_t timeout_ns, int *status)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    struct antk_endpoint *ep = antk_pin(self->core, pid);
    if (!ep)
        return ended_status(self->core, pid, status);
    int rc = -EDEADLK;
    if (ep != self->endpoint)
        rc = wait_for_end(self, ep, antk_deadline(self->core->machine, timeout_ns), status);
    antk_unpin(ep);
    return rc;
}

int ant_stop(ant_pid pid, int64_t timeout_ns, int *status)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    struct antk_endpoint *ep = antk_pin(self->core, pid);
    if (!ep)
        return -ESRCH;
    int rc = 0;
    if (ep == self->endpoint)
        rc = -EDEADLK;
    else if (antk_is_own(ep))
        rc = -EPERM;
    else if (!antk_endpoint_stop(ep))
        rc = -ESRCH;
    else
        rc = wait_for_end(self, ep, antk_deadline(self->core->machine, timeout_ns), status);
    antk_unpin(ep);
    return rc;
}

int ant_priority_set(ant_pid pid, int priority)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (priority < ANT_PRIORITY_MIN || priority > ANT_PRIORITY_MAX)
        return -EINVAL;
    struct antk_endpoint *ep = antk_pin(self->core, pid);
    if (!ep)
        return -ESRCH;
    if (self->candidate && ep == self->endpoint) {
        self->candidate->priority = priority;
        antk_unpin(ep);
        return 0;
    }
    antk_lock(&ep->lock);
    struct antk_body *body = ep->body;
    int rc = !body ? -ESRCH : body->own_thread.own_scheduling ? -EPERM : 0;
    if (rc == 0) {
        ep->priority = priority;
        atomic_store(&body->base_priority, priority);
        if (self->core->direct_calls)
            antk_fence_heavy(); /* its thread may begin or end a direct call: see direct.c */
        antk_body_settle_unlock(body);
    } else {
        antk_unlock(&ep->lock);
    }
    antk_unpin(ep);
    return rc;
}

ant_pid ant_self(void)
{
    struct antk_body *self = antk_current();
    return self ? antk_endpoint_pid(self->endpoint) : 0;
}

uint64_t ant_now(void)
{
    struct antk_body *self = antk_current();
    return self ? antk_now(self->core->machine) : 0;
}

int ant_work(uint64_t work_ns)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    self->core->machine->ops->work(self->thread, work_ns, &self->stop);
    antk_check(self);
    return atomic_load(&self->stop) ? -ESHUTDOWN : 0;
}

void antk_spend(struct antk_body *self, uint64_t cost_ns)
{
    static const _Atomic uint32_t never; /* a call that costs something is not cut short */
    if (cost_ns != 0)
        self->core->machine->ops->work(self->thread, cost_ns, &never);
}

int ant_sleep(uint64_t time_ns)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    uint64_t until_ns = time_ns < ANTK_NEVER ? time_ns : ANTK_NEVER - 1;
    while (antk_now(self->core->machine) < until_ns) {
        if (atomic_load(&self->stop))
            return -ESHUTDOWN;
        if (antk_wait_park(self, until_ns, (struct antk_wait){"a time", -1, false, false}) == -EINTR)
            antk_check(self);
    }
    return 0;
}
