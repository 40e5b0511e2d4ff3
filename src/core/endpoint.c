/* Endpoints: the slots that processes live in. Opening, pinning, closing, recycling; see process.h. */
#include "core/candidate.h"
#include "core/core.h"
#include "core/event.h"
#include "core/function.h"
#include "core/ipc.h"
#include "core/loop.h"

#include <errno.h>
#include <stdio.h>

static uint32_t pins_of(uint64_t word)
{
    return (uint32_t)word;
}

static uint32_t generation_of(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

bool antk_is_own(struct antk_endpoint *ep)
{
    return ep == ep->core->boot->endpoint || ep == atomic_load(&ep->core->watchdog);
}

inline struct antk_endpoint *antk_pin(struct antk_core *core, ant_pid pid)
{
    uint32_t index = (uint32_t)pid;
    if (index == 0 || index > core->config.max_processes)
        return NULL;
    struct antk_endpoint *ep = &core->endpoints[index - 1];
    uint64_t word = atomic_load(&ep->pins);
    do {
        if (pins_of(word) == 0 || generation_of(word) != (uint32_t)(pid >> 32))
            return NULL;
    } while (!atomic_compare_exchange_weak(&ep->pins, &word, word + 1));
    return ep;
}

void antk_pin_again(struct antk_endpoint *ep)
{
    atomic_fetch_add(&ep->pins, 1);
}

ANTK_APART void antk_endpoint_recycle(struct antk_endpoint *ep)
{
    struct antk_core *core = ep->core;
    antk_lock(&ep->lock);
    ep->closed = true; /* it may never have come to life */
    antk_unlock(&ep->lock);
    antk_event_close(ep); /* a new server may have asked for one when its predecessor had ended */
    antk_areas_sweep(ep, 0, true);
    antk_shelf_clear(core, antk_shelf(ep));
    if (ep->last_swap)
        antk_candidate_put(ep->last_swap);
    ep->last_swap = NULL;
    antk_lock(&ep->lock);
    ep->program = NULL;
    antk_unlock(&ep->lock);
    antk_object_put(ep->object);
    ep->object = NULL;
    antk_objects_drop(ep->kept);
    ep->kept = NULL;
    if (atomic_load(&ep->pages) != 0)
        return; /* an area could not be detached, as the log says: nobody shall find it in his window */
    antk_lock(&core->lock);
    ep->free_next = NULL;
    *(core->free_endpoints ? &core->free_endpoints_last->free_next : &core->free_endpoints) = ep;
    core->free_endpoints_last = ep;
    antk_unlock(&core->lock);
}

/* A slot keeps its window; what a former process left in it is told by window.space, and cleared when it is handed out. */
static int take_slot(struct antk_core *core, const char *name, struct antk_endpoint **taken)
{
    antk_lock(&core->lock);
    struct antk_endpoint *ep = core->free_endpoints;
    int rc = ep ? 0 : -EAGAIN;
    if (rc == 0 && !ep->window.base) {
        antk_lock(&core->pool_lock);
        rc = antk_window_create(core->pool, ep->index + 1, &ep->window);
        antk_unlock(&core->pool_lock);
    }
    if (rc == 0) {
        core->free_endpoints = ep->free_next;
        snprintf(ep->name, sizeof ep->name, "%s", name);
        *taken = ep;
    }
    antk_unlock(&core->lock);
    return rc;
}

int antk_endpoint_open(struct antk_core *core, const char *name, int priority,
                       struct antk_endpoint **opened)
{
    if (atomic_load(&core->shutting_down))
        return -ESHUTDOWN;
    struct antk_endpoint *ep;
    int rc = take_slot(core, name, &ep);
    if (rc != 0)
        return rc;
    ep->window.space = atomic_fetch_add(&core->spaces, 1) + 1;
    atomic_store(&ep->pages, 0);
    antk_lock(&ep->lock);
    ep->closed = false;
    ep->evented = false;
    ep->end_told = false;
    ep->receiving = false;
    ep->dead = false;
    /* a shutdown that began meanwhile may have passed this slot by */
    atomic_store(&ep->stopping, atomic_load(&core->shutting_down));
    ep->priority = priority;
    ep->body = NULL;
    antk_queue_init(&ep->requests, ANTK_LINK_QUEUE);
    antk_queue_init(&ep->results, ANTK_LINK_QUEUE);
    antk_queue_init(&ep->service, ANTK_LINK_QUEUE);
    antk_queue_init(&ep->out, ANTK_LINK_OUT);
    antk_queue_init(&ep->monitors, ANTK_LINK_QUEUE);
    ep->queue_limit = 0;
    ep->on_death = ANT_DEATH_WAIT;
    atomic_store(&ep->watchdog_ns, 0);
    ep->stack_bytes = core->config.stack_bytes;
    ep->notice = NULL;
    ep->swap = NULL;
    ep->generation = 0;
    ep->program = NULL;
    ep->state = ANTK_NO_FRAME;
    ep->functions = NULL;
    ep->waiters = NULL;
    ep->watches = NULL;
    ep->timers = NULL;
    atomic_store(&ep->has_sources, false);
    ep->estate = ANTK_NO_FRAME;
    antk_unlock(&ep->lock);
    uint64_t generation = generation_of(atomic_load(&ep->pins)) + UINT64_C(1);
    atomic_store(&ep->pins, generation << 32 | 1);
    *opened = ep;
    return 0;
}

bool antk_endpoint_stop(struct antk_endpoint *ep)
{
    antk_lock(&ep->lock);
    bool living = !ep->closed;
    struct antk_body *body = ep->body;
    if (living) {
        atomic_store(&ep->stopping, 1);
        ep->receiving = false;
        antk_event_settle_locked(ep);
    }
    if (body)
        atomic_store(&body->stop, 1);
    antk_unlock(&ep->lock);
    if (body)
        antk_unpark(ep->core->machine, body->thread);
    else if (living)
        antk_process_bury_dead(ep); /* it cannot do that itself */
    return living;
}

bool antk_endpoint_shared(struct antk_endpoint *ep, struct antk_body *body)
{
    bool shared = false;
    antk_lock(&ep->core->lock);
    for (struct antk_body *other = ep->core->live_bodies; other && !shared; other = other->live_next)
        shared = other != body && other->endpoint == ep && !atomic_load(&other->retired);
    antk_unlock(&ep->core->lock);
    return shared;
}

static bool has_heir_locked(struct antk_endpoint *ep)
{
    struct antk_body *heir = ep->core->live_bodies;
    while (heir && (heir->endpoint != ep || atomic_load(&heir->retired) ||
                    !(atomic_load(&heir->flags) & ANTK_ABANDONED)))
        heir = heir->live_next;
    return heir != NULL;
}

bool antk_endpoint_bequeath(struct antk_endpoint *ep, uint32_t frame)
{
    struct antk_core *core = ep->core;
    antk_lock(&core->lock);
    bool left = has_heir_locked(ep);
    if (left) {
        antk_record(core, frame)->link[ANTK_LINK_OUT].next = ep->estate;
        ep->estate = frame;
    }
    antk_unlock(&core->lock);
    return left;
}

void antk_endpoint_retire(struct antk_body *body)
{
    struct antk_endpoint *ep = body->endpoint;
    struct antk_core *core = ep->core;
    uint32_t frame = ANTK_NO_FRAME;
    antk_lock(&core->lock);
    atomic_store(&body->retired, true); /* from here on nothing is left to it any more */
    if (!has_heir_locked(ep)) {
        frame = ep->estate;
        ep->estate = ANTK_NO_FRAME;
    }
    antk_unlock(&core->lock);
    while (frame != ANTK_NO_FRAME) {
        uint32_t next = antk_record(core, frame)->link[ANTK_LINK_OUT].next;
        antk_area_drop(ep, frame);
        frame = next;
    }
}

/* Whoever lends a monitor after those were looked through sees that. */
static void tell_end(struct antk_endpoint *ep)
{
    antk_lock(&ep->lock);
    ep->end_told = true;
    antk_unlock(&ep->lock);
    antk_monitors_tell(ep, ANT_CHANGE_ENDED, 0);
}

/* A new server that has not been told of yet, in `prepare` perhaps, will have nobody to replace. */
static void cancel_swap(struct antk_endpoint *ep)
{
    antk_lock(&ep->lock);
    struct antk_candidate *c = ep->swap;
    if (c)
        atomic_fetch_add(&c->refs, 1);
    antk_unlock(&ep->lock);
    if (!c)
        return;
    antk_candidate_cancel(c, -ESRCH);
    antk_candidate_put(c);
}

void antk_endpoint_close(struct antk_endpoint *ep, int error, int status)
{
    antk_lock(&ep->lock);
    ep->closed = true;
    ep->receiving = false;
    antk_unlock(&ep->lock);
    antk_functions_remove(ep, 0); /* now none is entered any more */
    antk_lock(&ep->lock);
    ep->body = NULL;
    struct antk_body *requester = ep->notice ? ep->notice->gone(ep->notice) : NULL;
    ep->notice = NULL;
    antk_unlock(&ep->lock);
    if (requester)
        antk_unpark(ep->core->machine, requester->thread);
    cancel_swap(ep); /* before what it has out is dropped: else it would wait for that */
    antk_event_close(ep);
    antk_loop_close(ep);
    antk_requests_close(ep, error);
    antk_monitors_free(ep);
    if (ep->program)
        tell_end(ep);
    if (!antk_endpoint_shared(ep, antk_self)) /* else it is done with the last pin */
        antk_areas_sweep(ep, 0, false);
    antk_lock(&ep->lock);
    ep->ended_status = status;
    antk_unlock(&ep->lock);
}

struct antk_waiter *antk_endpoint_bury(struct antk_endpoint *ep)
{
    antk_lock(&ep->lock);
    ep->ended_generation = generation_of(atomic_load(&ep->pins));
    struct antk_waiter *waiters = ep->waiters;
    ep->waiters = NULL;
    for (struct antk_waiter *waiter = waiters; waiter; waiter = waiter->next)
        waiter->status = ep->ended_status;
    antk_unlock(&ep->lock);
    return waiters;
}

static int info_of(struct antk_endpoint *ep, struct ant_process_info *info)
{
    antk_lock(&ep->lock);
    int rc = ep->closed ? -ESRCH : 0;
    if (rc == 0) {
        *info = (struct ant_process_info){
            .pid = antk_endpoint_pid(ep),
            .priority = ep->priority,
            .generation = ep->generation,
            .version = ep->program ? ep->program->version : 0,
            .pages = atomic_load(&ep->pages),
            .queued_requests = ep->requests.count,
            .queued_results = ep->results.count,
            .in_service = ep->service.count,
            .outstanding = ep->out.count,
            .dead = ep->dead,
        };
        snprintf(info->name, sizeof info->name, "%s", ep->name);
    }
    antk_unlock(&ep->lock);
    return rc;
}

int ant_process_info(ant_pid pid, struct ant_process_info *info)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!info)
        return -EINVAL;
    struct antk_endpoint *ep = antk_pin(self->core, pid);
    if (!ep)
        return -ESRCH;
    int rc = info_of(ep, info);
    antk_unpin(ep);
    return rc;
}
