/*
 * Requests when a process ends: those it leaves unanswered, those it had sent, and results that nobody will take.
 *
 * So every request gets its one result: from here, if its server cannot give it any more.
 */
#include "core/core.h"
#include "core/ipc.h"

#include <errno.h>

/* The data area that came with a request in service, if the server's page still names it and it still is the server's; else none goes back. */
static uint32_t data_as_it_came(struct antk_endpoint *ep, uint32_t frame)
{
    struct antk_core *core = ep->core;
    struct ant_request *request = antk_area_address(&ep->window, frame);
    uint32_t data = antk_record(core, frame)->data, named;
    if (data == ANTK_NO_FRAME || !request->data ||
        antk_area_find(core->pool, &ep->window, request->data, &named) != 0 || named != data)
        return ANTK_NO_FRAME;
    bool plain = antk_tag_state(atomic_load(&antk_record(core, data)->tag)) == ANTK_PLAIN;
    /* The owner once more: a result that nobody wants may just have been freed there. */
    bool own = atomic_load(&antk_pool_area(core->pool, data)->owner) == ep->window.id;
    /* And not another that lies in its place by now. */
    bool same = atomic_load(&antk_sending(core, data)->sent_with) == frame + 1;
    return plain && own && same && data != ep->state ? data : ANTK_NO_FRAME;
}

/* Moves the first queued request into service, as receiving it would. */
static bool serve_next(struct antk_endpoint *ep)
{
    struct antk_core *core = ep->core;
    antk_lock(&ep->lock);
    uint32_t frame = ep->requests.head;
    if (frame != ANTK_NO_FRAME) {
        antk_queue_unlink(core->records, &ep->requests, frame);
        antk_queue_push(core->records, &ep->service, frame);
        antk_set_state(antk_record(core, frame), ANTK_SERVICE, ep->index);
        uint32_t data = antk_record(core, frame)->data;
        if (data != ANTK_NO_FRAME) { /* no sweep of a body's own may take it */
            atomic_store(&antk_pool_area(core->pool, data)->tag, 0);
            antk_set_state(antk_record(core, data), ANTK_PLAIN, 0);
        }
    }
    antk_unlock(&ep->lock);
    return frame != ANTK_NO_FRAME;
}

/* A request in service gets its result from the core. */
static void answer_one(struct antk_endpoint *ep, uint32_t frame, int error)
{
    if (antk_answer(ep, frame, data_as_it_came(ep, frame), 0, error) == 0 ||
        antk_answer(ep, frame, ANTK_NO_FRAME, 0, error) == 0)
        return;
    antk_log(&ep->core->log, ANT_LOG_ERROR,
             "process %u (%s) ended, and a request it served cannot be moved back", ep->index, ep->name);
    antk_lock(&ep->lock);
    antk_queue_unlink(ep->core->records, &ep->service, frame);
    antk_unlock(&ep->lock);
}

static void answer_all(struct antk_endpoint *ep, int error)
{
    while (serve_next(ep))
        ;
    for (;;) {
        antk_lock(&ep->lock);
        uint32_t frame = ep->service.head;
        antk_unlock(&ep->lock);
        if (frame == ANTK_NO_FRAME)
            return;
        answer_one(ep, frame, error);
    }
}

/* May a request in service be served again, as this is its first death? Endpoint's lock held. */
static bool repeatable_locked(struct antk_endpoint *ep, uint32_t frame)
{
    struct antk_record *record = antk_record(ep->core, frame);
    bool whole = record->data == ANTK_NO_FRAME || data_as_it_came(ep, frame) != ANTK_NO_FRAME;
    return record->flags & ANT_REPEATABLE && !antk_sending(ep->core, frame)->repeated && whole;
}

/* Puts a request in service before all that is queued, as it came. Endpoint's lock held. */
static void repeat_locked(struct antk_endpoint *ep, uint32_t frame)
{
    struct antk_core *core = ep->core;
    struct antk_record *record = antk_record(core, frame);
    antk_queue_unlink(core->records, &ep->service, frame);
    antk_sending(core, frame)->repeated = true;
    antk_write_request(ep, frame);
    if (record->data != ANTK_NO_FRAME)
        antk_set_state(antk_record(core, record->data), ANTK_CARRIED, 0);
    antk_set_state(record, ANTK_QUEUED, ep->index);
    antk_queue_push_front(core->records, &ep->requests, frame);
}

/* The latest first, so that they stand in the queue as they came. */
static void repeat_or_answer(struct antk_endpoint *ep)
{
    for (;;) {
        antk_lock(&ep->lock);
        uint32_t frame = ep->service.tail;
        bool repeat = frame != ANTK_NO_FRAME && repeatable_locked(ep, frame);
        if (repeat)
            repeat_locked(ep, frame);
        antk_unlock(&ep->lock);
        if (frame == ANTK_NO_FRAME)
            return;
        if (!repeat)
            answer_one(ep, frame, -EOWNERDEAD);
    }
}

/* Takes the first of a queue that nobody after this incarnation has sent off it; its frame, or ANTK_NO_FRAME. Nobody else will look for it there. */
static uint32_t pop(struct antk_endpoint *ep, struct antk_queue *queue, uint32_t incarnation,
                    uint64_t *tag)
{
    antk_lock(&ep->lock);
    uint32_t frame = antk_first_sent_locked(ep, queue, incarnation);
    if (frame != ANTK_NO_FRAME) {
        *tag = atomic_load(&antk_record(ep->core, frame)->tag);
        antk_record(ep->core, frame)->swallowed = true;
        antk_queue_unlink(ep->core->records, queue, frame);
        if (queue == &ep->results)
            antk_set_state(antk_record(ep->core, frame), ANTK_CARRIED, 0); /* no sweep's */
    }
    antk_unlock(&ep->lock);
    return frame;
}

static void drop_results(struct antk_endpoint *ep, uint32_t incarnation)
{
    uint32_t frame;
    uint64_t tag;
    while ((frame = pop(ep, &ep->results, incarnation, &tag)) != ANTK_NO_FRAME)
        antk_drop(ep, frame, antk_record(ep->core, frame)->data);
}

/* Gives up all that is out. Whatever cannot be withdrawn is dropped by whoever answers it: it finds this endpoint closed. */
void antk_requests_close(struct antk_endpoint *ep, int error)
{
    uint32_t frame, last = atomic_load(&ep->core->incarnations);
    uint64_t tag;
    answer_all(ep, error);
    while ((frame = pop(ep, &ep->out, last, &tag)) != ANTK_NO_FRAME)
        if (antk_withdraw(ep, frame, tag, true) == 0)
            antk_drop(ep, frame, antk_record(ep->core, frame)->data);
    drop_results(ep, last);
}

/* Data areas that come back are the server's again, whether it named them in its state or had them from a client. */
static void withdraw_all(struct antk_endpoint *ep, uint32_t incarnation)
{
    uint32_t frame;
    uint64_t tag;
    while ((frame = pop(ep, &ep->out, incarnation, &tag)) != ANTK_NO_FRAME) {
        if (antk_withdraw(ep, frame, tag, true) != 0)
            continue;
        uint32_t data = antk_record(ep->core, frame)->data;
        if (data != ANTK_NO_FRAME)
            antk_set_state(antk_record(ep->core, data), ANTK_PLAIN, 0);
        antk_drop(ep, frame, ANTK_NO_FRAME);
    }
}

/* A synchronous request that was answered, but whose result its sender did not live to take. */
static void drop_untaken(struct antk_endpoint *ep, uint32_t incarnation)
{
    struct antk_core *core = ep->core;
    antk_lock(&core->sweep_lock); /* a new server that has failed may be ending, and sweep what is its own */
    for (uint32_t frame = antk_area_next(core->pool, 0); frame != ANTK_NO_FRAME;
         frame = antk_area_next(core->pool, frame + 1))
        if (atomic_load(&antk_pool_area(core->pool, frame)->owner) == ep->window.id &&
            antk_state_of(antk_record(core, frame)) == ANTK_DONE &&
            !antk_is_later(atomic_load(&antk_record(core, frame)->incarnation), incarnation))
            antk_drop(ep, frame, antk_record(core, frame)->data);
    antk_unlock(&core->sweep_lock);
}

void antk_requests_bereave(struct antk_endpoint *ep, uint32_t incarnation)
{
    withdraw_all(ep, incarnation);
    drop_results(ep, incarnation);
    drop_untaken(ep, incarnation);
    if (ep->on_death == ANT_DEATH_FAIL)
        answer_all(ep, -EOWNERDEAD); /* nothing is queued any more: see enqueue */
    else
        repeat_or_answer(ep);
}

/* The first of a queue that this incarnation sent is taken off it. Endpoint's lock held. */
static uint32_t take_of_locked(struct antk_endpoint *ep, struct antk_queue *queue, uint32_t incarnation)
{
    struct antk_record *records = ep->core->records;
    uint32_t frame = queue->head;
    while (frame != ANTK_NO_FRAME && records[frame].incarnation != incarnation)
        frame = records[frame].link[queue->kind].next;
    if (frame != ANTK_NO_FRAME)
        antk_queue_unlink(records, queue, frame);
    return frame;
}

uint32_t antk_requests_disown(struct antk_endpoint *ep, uint32_t incarnation)
{
    struct antk_core *core = ep->core;
    uint32_t swallowed = 0, result, out;
    do {
        uint64_t tag = 0;
        antk_lock(&ep->lock);
        result = take_of_locked(ep, &ep->results, incarnation);
        out = take_of_locked(ep, &ep->out, incarnation);
        if (result != ANTK_NO_FRAME)
            antk_set_state(antk_record(core, result), ANTK_CARRIED, 0); /* no sweep's */
        if (out != ANTK_NO_FRAME) {
            antk_record(core, out)->swallowed = true;
            tag = atomic_load(&antk_record(core, out)->tag);
        }
        antk_unlock(&ep->lock);
        if (result != ANTK_NO_FRAME)
            antk_drop(ep, result, antk_record(core, result)->data);
        if (out != ANTK_NO_FRAME && antk_withdraw(ep, out, tag, true) == 0)
            antk_drop(ep, out, antk_record(core, out)->data);
        else if (out != ANTK_NO_FRAME)
            swallowed++;
    } while (result != ANTK_NO_FRAME || out != ANTK_NO_FRAME);
    return swallowed;
}
