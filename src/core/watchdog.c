/*
 * The watchdog: a process of the core's own, above all others, that ends servers which take too long for one message, and tries again to stop
 * threads that were to end by force and were not to be interrupted where they stood.
 *
 * It sleeps until the first server is due that was busy when it looked. A server that becomes busy compares its own time with that, and wakes it if it will be due
 * before; so a message costs a reading of the clock, and servers with nothing to do keep nobody awake. While it looks, everybody wakes it.
 */
#include "core/core.h"

#include <errno.h>

#define RETRY_NS (ANT_NS_PER_MS / 2)
#define RETRIES 200

ANTK_APART void antk_watchdog_begin(struct antk_body *self)
{
    struct antk_core *core = self->core;
    uint64_t now_ns = antk_now(core->machine);
    uint64_t due_ns = now_ns + atomic_load_explicit(&self->endpoint->watchdog_ns, memory_order_relaxed);
    atomic_store(&self->busy_since_ns, now_ns);
    if (due_ns < atomic_load(&core->watchdog_due_ns))
        antk_watchdog_wake(core);
}

void antk_watchdog_wake(struct antk_core *core)
{
    struct antk_endpoint *ep = atomic_load(&core->watchdog);
    if (!ep)
        return;
    antk_lock(&ep->lock);
    struct antk_body *body = ep->body;
    antk_unlock(&ep->lock);
    if (body)
        antk_unpark(core->machine, body->thread);
}

/* When a busy server is due, or ANTK_NEVER; one that is due by now is ended. */
static uint64_t look_at(struct antk_endpoint *ep)
{
    if (atomic_load(&ep->watchdog_ns) == 0)
        return ANTK_NEVER;
    antk_lock(&ep->lock);
    struct antk_body *body = ep->body;
    uint64_t watchdog_ns =
        atomic_load(&ep->watchdog_ns); /* this body's: before, the place may have been another's */
    uint64_t since_ns = body ? atomic_load(&body->busy_since_ns) : 0;
    if (body)
        antk_pin_again(ep);
    antk_unlock(&ep->lock);
    uint64_t due_ns = since_ns ? since_ns + watchdog_ns : ANTK_NEVER;
    if (due_ns <= antk_now(ep->core->machine)) {
        due_ns = ANTK_NEVER;
        if (antk_process_force(ep, -ETIMEDOUT, since_ns, NULL) == 0)
            antk_log(&ep->core->log, ANT_LOG_WARNING,
                     "process %u (%s): more than %llu us for one message: it hangs, and is ended",
                     ep->index, ep->name, (unsigned long long)(watchdog_ns / ANT_NS_PER_US));
    }
    if (body)
        antk_unpin(ep);
    return due_ns;
}

uint64_t antk_interrupt_again(struct antk_core *core)
{
    uint64_t due_ns = atomic_load(&core->stop_due_ns);
    if (antk_now(core->machine) < due_ns) /* woken for something else: that is no try */
        return due_ns;
    if (!core->config.contain_faults || antk_interrupt_all(core) == 0)
        return ANTK_NEVER;
    uint32_t tries = atomic_fetch_add(&core->stop_tries, 1) + 1;
    if (tries > RETRIES)
        return ANTK_NEVER; /* given up, until somebody else is to be stopped */
    due_ns = antk_now(core->machine) + RETRY_NS * (1 + tries / 8);
    atomic_store(&core->stop_due_ns, due_ns);
    return due_ns;
}

static int watch(struct antk_body *self)
{
    struct antk_core *core = self->core;
    while (!atomic_load(&self->stop)) {
        atomic_store(&core->watchdog_due_ns, ANTK_NEVER);
        uint64_t due_ns = antk_interrupt_again(core);
        for (uint32_t i = 0; i < core->config.max_processes; i++) {
            uint64_t server_due_ns = look_at(&core->endpoints[i]);
            due_ns = server_due_ns < due_ns ? server_due_ns : due_ns;
        }
        atomic_store(&core->watchdog_due_ns, due_ns);
        antk_wait_park(self, due_ns, (struct antk_wait){"servers that take too long", -1, true, false});
    }
    return 0;
}

int antk_watchdog_ensure(struct antk_core *core)
{
    if (atomic_load(&core->watchdog))
        return 0;
    struct antk_endpoint *ep, *none = NULL;
    int rc = antk_endpoint_open(core, "watchdog", ANT_PRIORITY_MAX, &ep);
    if (rc != 0)
        return rc;
    struct antk_body_start start = {
        .priority = ANT_PRIORITY_MAX,
        .raised_priority = ANTK_LEVELS - 1,
        .stack_bytes = core->config.stack_bytes,
        .entry = watch,
    };
    struct antk_body *body;
    bool first = atomic_compare_exchange_strong(&core->watchdog, &none, ep);
    if (first)
        rc = antk_body_start(ep, &start, &body);
    if (first && rc != 0)
        atomic_store(&core->watchdog, NULL);
    antk_unpin(ep); /* with no body, that was its last */
    return rc;
}
