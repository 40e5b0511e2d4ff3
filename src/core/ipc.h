/* What a request's ordinary way (ipc.c: its client's side, ipc_serve.c: its server's), its passing on (ipc_forward.c), its withdrawal (ipc_withdraw.c) and the end of a process (ipc_end.c) share. */
#ifndef ANTK_IPC_H
#define ANTK_IPC_H

#include "core/core.h"
#include "core/event.h"

static inline enum antk_request_state antk_state_of(struct antk_record *record)
{
    return antk_tag_state(atomic_load_explicit(&record->tag, memory_order_acquire));
}

/* By whoever the record belongs to just now: what was written before is seen by whoever finds it so. */
static inline void antk_set_state(struct antk_record *record, enum antk_request_state state, uint32_t server)
{
    uint64_t tag = atomic_load_explicit(&record->tag, memory_order_relaxed);
    atomic_store_explicit(&record->tag, antk_tag(state, server, (uint32_t)(tag >> 32)), memory_order_release);
}

static inline struct ant_request *antk_view(struct antk_endpoint *ep, uint32_t frame)
{
    return antk_area_address(&ep->window, frame);
}

static inline void *antk_data_view(struct antk_endpoint *ep, uint32_t data)
{
    return data == ANTK_NO_FRAME ? NULL : antk_area_address(&ep->window, data);
}

/* Something has come for an endpoint: its body, if that waits for messages. Lock held; the caller unparks it without. */
static inline struct antk_body *antk_receiver_locked(struct antk_endpoint *ep)
{
    antk_event_settle_locked(ep);
    if (!ep->receiving)
        return NULL;
    ep->receiving = false;
    return ep->body;
}

static inline void antk_wake(struct antk_core *core, struct antk_body *body)
{
    if (body)
        antk_unpark(core->machine, body->thread);
}

static inline bool antk_is_later(uint32_t incarnation, uint32_t than)
{
    return (int32_t)(incarnation - than) > 0;
}

/*
 * The first in a queue (out, results) for a body. What a later incarnation has sent is passed over: that is a new server which has not been
 * registered yet, or has failed, and then it is about to be dropped.
 */
static inline uint32_t antk_first_sent_locked(struct antk_endpoint *ep, const struct antk_queue *queue,
                                              uint32_t incarnation)
{
    struct antk_record *records = ep->core->records;
    uint32_t frame = queue->head;
    while (frame != ANTK_NO_FRAME && antk_is_later(records[frame].incarnation, incarnation))
        frame = records[frame].link[queue->kind].next;
    return frame;
}

/* Why a server does not take a request: 0, or -ESRCH, -EOWNERDEAD, -EAGAIN. Its lock is held. */
static inline int antk_refusal_locked(const struct antk_endpoint *server)
{
    if (ANTK_RARELY(server->closed))
        return -ESRCH;
    if (ANTK_RARELY(!server->body && server->on_death == ANT_DEATH_FAIL))
        return -EOWNERDEAD;
    bool full = server->queue_limit != 0 && server->requests.count >= server->queue_limit;
    return ANTK_RARELY(full) ? -EAGAIN : 0;
}

/* The request at an address, as the caller's own or as one that it serves. -EFAULT, -EINVAL, -EPERM. */
int antk_find_request(struct antk_body *self, const struct ant_request *rq, uint32_t *frame);
/* The same, as one that it serves. */
int antk_find_served(struct antk_body *self, const struct ant_request *rq, uint32_t *frame);
/* Moves a request and its data between windows: both, or, on failure, none. Their records say CARRIED meanwhile. must: as in antk_area_hand. */
int antk_carry(struct antk_endpoint *from, struct antk_endpoint *to, uint32_t frame, uint32_t data, bool must);
/* Receiving, in its parts (ant_receive, and the library's loop: loop.c). The caller is through with what it received, or was called back for, last. */
void antk_receive_end(struct antk_body *self);
/*
 * The next messages, if there are any; else 0, and the body is marked as waiting for one, if it is going to (or it is lent, and need not care). idle tells whether
 * it owes anything to anyone.
 */
size_t antk_next_messages(struct antk_body *self, bool will_wait, struct ant_message *messages,
                          size_t capacity, bool *idle);
/* Nobody else runs the body from here on, until it waits for a message again. */
void antk_regain(struct antk_body *self);
/* It is about to be called back for something that is no message: as if that were a request. False: not now, a swap notice or a stop comes first. */
bool antk_claim(struct antk_body *self);
/* Is there what a notice says is due? Endpoint's lock held. */
bool antk_has_due_locked(struct antk_body *self, enum antk_due due, ant_pid client);
/* The data area named in a request or a reply, for the way out of the caller's window: its frame, or ANTK_NO_FRAME. As antk_own_area; -EBUSY: it is the state. */
int antk_find_data(struct antk_body *self, const void *data, uint32_t *frame);
/* Spends what it costs (costs.h) to move a request and its data to another's window. */
void antk_spend_remaps(struct antk_body *self, uint32_t data);
/* A data area has been received, or is back: it is the process's own. */
void antk_receive_data(struct antk_body *self, uint32_t data);
/* What the present server of a request is asked. */
static inline uint32_t antk_asked_function(struct antk_core *core, uint32_t frame)
{
    const struct antk_sending *sending = antk_sending(core, frame);
    return sending->forwards > 0 ? sending->function : antk_record(core, frame)->function;
}
static inline uint32_t antk_asked_operation(struct antk_core *core, uint32_t frame)
{
    const struct antk_sending *sending = antk_sending(core, frame);
    return sending->forwards > 0 ? sending->operation : antk_record(core, frame)->operation;
}
/* Writes the header of a request, in the window in which it is now, from what the core knows of it. */
struct ant_request *antk_write_header(struct antk_endpoint *ep, uint32_t frame, ant_pid peer);
/* The same for its server: what that is asked, which is not what the client has asked, if it was passed on. */
void antk_write_request(struct antk_endpoint *ep, uint32_t frame);
/* A request is not in service any more. */
void antk_leave_service(struct antk_endpoint *ep, uint32_t frame);
/* A request is not out any more. */
void antk_unlist_out(struct antk_endpoint *ep, uint32_t frame);
/*
 * Answers a request in the service of an endpoint, by its server (error 0) or by the inner core. -ENOMEM: nothing has
 * changed. What the client had asked is put right in the page: the server may have written anything there.
 */
int antk_answer(struct antk_endpoint *ep, uint32_t frame, uint32_t data, int32_t status, int error);
/*
 * Brings a request that is still queued, as this tag says, back to its client's window; it is CARRIED then, and still
 * listed as out. -EINPROGRESS: it is not queued any more, or was passed on. -ENOMEM: it is still queued. must: as in antk_area_hand; nobody is
 * there to try again.
 */
int antk_withdraw(struct antk_endpoint *client, uint32_t frame, uint64_t tag, bool must);
/* A request that was withdrawn is the caller's again; error, for rq->error, says why. */
void antk_take_back(struct antk_body *self, uint32_t frame, int error);
/* Frees a request in the endpoint's window, and its data area. */
void antk_drop(struct antk_endpoint *ep, uint32_t frame, uint32_t data);

#endif
