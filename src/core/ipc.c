/*
 * One request's way, its client's side: made, sent, its result taken. What its server does with it is in ipc_serve.c.
 *
 * The functions stand in the order in which a request meets them. Each call first decodes: it looks at everything
 * and changes nothing; then it acts. Areas move before a request is queued, so whoever finds a request finds its
 * areas. While they are between two windows their records say CARRIED, and nobody else touches them.
 */
#include "core/candidate.h"
#include "core/core.h"
#include "core/direct.h"
#include "core/function.h"
#include "core/ipc.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* ---- a request is made ---- */

int ant_request_new(uint32_t function, struct ant_request **rq)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (function == 0 || !rq)
        return -EINVAL;
    uint32_t frame;
    int rc = antk_area_new(self->endpoint, 1, self->incarnation, &frame);
    if (rc != 0)
        return rc;
    antk_set_state(antk_record(self->core, frame), ANTK_HELD, 0);
    struct ant_request *request = antk_view(self->endpoint, frame);
    memset(request, 0, offsetof(struct ant_request, payload));
    request->function = function;
    *rq = request;
    return 0;
}

int antk_find_request(struct antk_body *self, const struct ant_request *rq, uint32_t *frame)
{
    bool request;
    int rc = antk_find_own(self, rq, frame, &request);
    return rc == 0 && !request ? -EINVAL : rc;
}

int ant_request_free(struct ant_request *rq)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    uint32_t frame;
    int rc = antk_find_request(self, rq, &frame);
    if (rc != 0)
        return rc;
    if (antk_state_of(antk_record(self->core, frame)) == ANTK_SERVICE)
        return -EBUSY;
    return antk_area_drop(self->endpoint, frame);
}

/* ---- it is sent ---- */

int antk_find_data(struct antk_body *self, const void *data, uint32_t *frame)
{
    *frame = ANTK_NO_FRAME;
    if (!data)
        return 0;
    int rc = antk_own_area(self, data, frame);
    if (rc != 0)
        return rc;
    return antk_is_state(self, *frame) ? -EBUSY : 0;
}

int antk_carry(struct antk_endpoint *from, struct antk_endpoint *to, uint32_t frame, uint32_t data,
               bool must)
{
    struct antk_core *core = from->core;
    struct antk_record *record = antk_record(core, frame);
    struct antk_record *data_record = data != ANTK_NO_FRAME ? antk_record(core, data) : NULL;
    uint64_t tag = atomic_load_explicit(&record->tag, memory_order_relaxed),
             data_tag = data_record ? atomic_load_explicit(&data_record->tag, memory_order_relaxed) : 0;
    antk_set_state(record, ANTK_CARRIED, 0);
    if (data_record)
        atomic_store_explicit(&data_record->tag,
                              antk_tag(ANTK_CARRIED, 0, (uint32_t)(data_tag >> 32) + 1),
                              memory_order_release);
    int rc = antk_area_hand(from, to, frame, data, must);
    if (ANTK_RARELY(rc != 0)) {
        if (data_record)
            atomic_store(&data_record->tag, data_tag);
        atomic_store(&record->tag, tag);
    }
    return rc;
}

void antk_receive_data(struct antk_body *self, uint32_t data)
{
    if (data == ANTK_NO_FRAME)
        return;
    /* in this order: a sweep that finds it plain must not find its sender's tag */
    atomic_store_explicit(&antk_pool_area(self->core->pool, data)->tag, self->incarnation,
                          memory_order_release);
    antk_set_state(antk_record(self->core, data), ANTK_PLAIN, 0);
}

struct ant_request *antk_write_header(struct antk_endpoint *ep, uint32_t frame, ant_pid peer)
{
    const struct antk_record *record = antk_record(ep->core, frame);
    struct ant_request *request = antk_view(ep, frame);
    request->function = record->function;
    request->operation = record->operation;
    request->cookie = record->cookie;
    request->data = antk_data_view(ep, record->data);
    request->peer = peer;
    request->status = 0;
    request->error = 0;
    request->flags = record->flags;
    return request;
}

void antk_write_request(struct antk_endpoint *ep, uint32_t frame)
{
    struct ant_request *request =
        antk_write_header(ep, frame, atomic_load(&antk_record(ep->core, frame)->client));
    request->function = antk_asked_function(ep->core, frame);
    request->operation = antk_asked_operation(ep->core, frame);
}

ANTK_APART void antk_spend_remaps(struct antk_body *self, uint32_t data)
{
    size_t pages = data == ANTK_NO_FRAME ? 1 : 1 + antk_pool_area(self->core->pool, data)->pages;
    antk_spend(self, pages * self->core->costs.remap_page_ns);
}

/* What the client has written into a request: read once, since it may go on writing. */
struct header {
    uint32_t function, operation, flags;
    int32_t status, error;
    uint64_t cookie;
    void *data;
    ant_pid peer;
};

/* How a request is sent. */
enum style {
    ASYNCHRONOUS,
    SYNCHRONOUS,
    DIRECT /* synchronous, and served by the client's thread, if the server has nothing to do */
};

/* What the sender remembers of a request: its frame may be another's soon, if the sender is a candidate that has failed. */
struct sent {
    uint32_t frame;
    uint32_t function;
    uint64_t tag;             /* while it is queued */
    struct antk_body *server; /* DIRECT: to be run by this thread; NULL: the request is queued */
};

/* The server's thread waits, and the client's may take its place. Server's lock held. */
static bool begin_directly_locked(struct antk_body *self, struct antk_endpoint *server,
                                  uint32_t frame, struct sent *sent)
{
    struct antk_core *core = self->core;
    struct antk_record *record = antk_record(core, frame);
    if (!antk_direct_begin_locked(self, server))
        return false;
    sent->server = server->body;
    antk_queue_push(core->records, &server->service, frame);
    antk_set_state(record, ANTK_SERVICE, server->index);
    return true;
}

/* Puts a carried request on the server's queue, unless that refuses. */
static int enqueue(struct antk_body *self, struct antk_endpoint *server, uint32_t frame,
                   enum style style, struct sent *sent)
{
    struct antk_endpoint *client = self->endpoint;
    struct antk_core *core = server->core;
    struct antk_record *record = antk_record(core, frame);
    struct antk_body *receiver = NULL;
    antk_lock(&server->lock);
    int rc = antk_refusal_locked(server);
    if (!ANTK_RARELY(rc != 0)) {
        antk_trace_add(core, client->index, ANT_EVENT_SEND, record->function, (int64_t)record->cookie);
        if (style != DIRECT || !begin_directly_locked(self, server, frame, sent)) {
            antk_set_state(record, ANTK_QUEUED, server->index);
            antk_queue_push(core->records, &server->requests, frame);
            receiver = antk_receiver_locked(server);
        }
    }
    antk_unlock(&server->lock);
    antk_wake(core, receiver);
    return rc;
}

/* A request is out: listed, unless its sender is a candidate that has failed and does not know it yet. That will not have the result. */
static void list_out(struct antk_body *self, uint32_t frame)
{
    struct antk_endpoint *ep = self->endpoint;
    antk_lock(&ep->lock);
    bool swallowed = ANTK_RARELY(self->candidate != NULL) &&
                     antk_candidate_fate(self->candidate) == ANTK_CANCELLED;
    if (ep->out.count == 0)
        ep->inherited_min_ns = UINT64_MAX;
    antk_record(ep->core, frame)->swallowed = swallowed;
    if (ANTK_RARELY(swallowed))
        atomic_fetch_add(&self->candidate->swallowed, 1);
    else
        antk_queue_push(ep->core->records, &ep->out, frame);
    antk_unlock(&ep->lock);
}

void antk_unlist_out(struct antk_endpoint *ep, uint32_t frame)
{
    antk_lock(&ep->lock);
    if (!antk_record(ep->core, frame)->swallowed)
        antk_queue_unlink(ep->core->records, &ep->out, frame);
    antk_unlock(&ep->lock);
}

/* The server has not taken a request that was carried to its window: it is the client's as before. */
ANTK_APART static void refuse(struct antk_body *self, struct antk_endpoint *server, uint32_t frame,
                              uint32_t data, const struct header *header)
{
    struct antk_endpoint *ep = self->endpoint;
    struct antk_core *core = self->core;
    struct antk_record *record = antk_record(core, frame);
    struct ant_request *request = antk_view(server, frame);
    antk_unlist_out(ep, frame);
    request->data = header->data;
    request->peer = header->peer;
    request->status = header->status;
    request->error = header->error;
    if (antk_carry(server, ep, frame, data, true) != 0)
        antk_log(&core->log, ANT_LOG_ERROR, "a refused request of process %u cannot be moved back",
                 ep->index);
    antk_set_state(record, ANTK_HELD, 0);
    if (data != ANTK_NO_FRAME)
        antk_set_state(antk_record(core, data), ANTK_PLAIN, 0);
}

static int dispatch(struct antk_body *self, struct antk_endpoint *server, uint32_t frame,
                    uint32_t data, const struct header *header, enum style style, struct sent *sent)
{
    struct antk_endpoint *ep = self->endpoint;
    struct antk_core *core = self->core;
    struct antk_record *record = antk_record(core, frame);
    record->cookie = header->cookie;
    atomic_store_explicit(&record->client, antk_endpoint_pid(ep), memory_order_relaxed);
    record->function = header->function;
    record->operation = header->operation;
    atomic_store_explicit(&record->incarnation, self->incarnation, memory_order_relaxed);
    antk_sending(core, frame)->server = antk_endpoint_pid(server);
    record->data = data;
    record->flags = header->flags;
    antk_sending(core, frame)->repeated = false;
    antk_sending(core, frame)->forwards = 0;
    record->waiter = style != ASYNCHRONOUS ? (self->index + 1) & ANTK_WAITER_MAX : 0;
    if (data != ANTK_NO_FRAME)
        atomic_store_explicit(&antk_sending(core, data)->sent_with, frame + 1, memory_order_relaxed);
    int rc = antk_carry(ep, server, frame, data, false);
    if (ANTK_RARELY(rc != 0))
        return rc;
    /* another sending of this frame: a tag remembered from an earlier one will not match */
    uint64_t tag = atomic_load_explicit(&record->tag, memory_order_relaxed) + (UINT64_C(1) << 32);
    atomic_store_explicit(&record->tag, tag, memory_order_release);
    *sent = (struct sent){.frame = frame,
                          .function = header->function,
                          .tag = antk_tag(ANTK_QUEUED, server->index, (uint32_t)(tag >> 32))};
    antk_write_header(server, frame, antk_endpoint_pid(ep));
    list_out(self, frame);
    rc = enqueue(self, server, frame, style, sent);
    if (ANTK_RARELY(rc != 0))
        refuse(self, server, frame, data, header);
    return rc;
}

/* A server's answer to itself would never come; nor one to a new server, in `start`, of those that are swapped together with it. */
static inline bool nobody_answers(const struct antk_body *self, const struct antk_endpoint *server)
{
    return server == self->endpoint ||
           (ANTK_RARELY(self->candidate != NULL) && !antk_is_preparing(self) &&
            antk_candidate_is_beside(self->candidate, server));
}

static int submit(struct antk_body *self, struct ant_request *rq, enum style style, struct sent *sent)
{
    uint32_t frame;
    int rc = antk_find_request(self, rq, &frame);
    if (ANTK_RARELY(rc != 0))
        return rc;
    if (ANTK_RARELY(antk_state_of(antk_record(self->core, frame)) == ANTK_SERVICE))
        return -EBUSY;
    struct header header = {
        .function = rq->function,
        .operation = rq->operation,
        .flags = rq->flags,
        .status = rq->status,
        .error = rq->error,
        .cookie = rq->cookie,
        .data = rq->data,
        .peer = rq->peer,
    };
    if (ANTK_RARELY(header.function == 0))
        return -EINVAL;
    uint32_t data;
    rc = antk_find_data(self, header.data, &data);
    if (ANTK_RARELY(rc != 0))
        return rc;
    struct antk_endpoint *server = antk_function_pin(self, header.function);
    if (ANTK_RARELY(!server))
        return -ESRCH;
    if (ANTK_RARELY(self->core->costs.remap_page_ns != 0) && server != self->endpoint)
        antk_spend_remaps(self, data);
    rc = ANTK_RARELY(style != ASYNCHRONOUS && nobody_answers(self, server))
             ? -EDEADLK
             : dispatch(self, server, frame, data, &header, style, sent);
    antk_unpin(server);
    return rc;
}

ANTK_WHOLE int ant_send(struct ant_request *rq)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    struct sent sent;
    return submit(self, rq, ASYNCHRONOUS, &sent);
}

/* ---- its result is taken ---- */

/* A candidate that has failed: its request may be disowned any moment, and the frame be somebody else's. */
static bool disowned(struct antk_body *self)
{
    return self->candidate && antk_candidate_fate(self->candidate) == ANTK_CANCELLED;
}

/* The wait of a synchronous request ended without its result: what becomes of it? */
ANTK_APART static int give_up_waiting(struct antk_body *self, const struct sent *sent, int error)
{
    struct antk_endpoint *ep = self->endpoint;
    struct antk_record *record = antk_record(self->core, sent->frame);
    if (antk_withdraw(ep, sent->frame, sent->tag, true) == 0) {
        antk_take_back(self, sent->frame, error);
        return error;
    }
    antk_lock(&ep->lock);
    if (disowned(self)) {
        antk_unlock(&ep->lock);
        antk_leave(self, -ESHUTDOWN);
    }
    bool done = antk_state_of(record) == ANTK_DONE;
    record->waiter = 0;
    antk_unlock(&ep->lock);
    return done ? 0 : -EINPROGRESS;
}

static void serve_directly(struct antk_body *self, const struct sent *sent)
{
    struct antk_body *server = sent->server;
    struct antk_record *record = antk_record(self->core, sent->frame);
    antk_receive_data(server, record->data);
    antk_trace_add(self->core, server->endpoint->index, ANT_EVENT_RECEIVE, sent->function,
                   (int64_t)record->cookie);
    antk_direct_run(self, server, antk_view(server->endpoint, sent->frame));
}

ANTK_WHOLE int ant_call(struct ant_request *rq, int64_t timeout_ns)
{
    ANTK_ENTER(self);
    if (ANTK_RARELY(!self))
        return -EPERM;
    uint64_t deadline_ns = antk_deadline(self->core->machine, timeout_ns);
    struct sent sent;
    int rc = submit(self, rq, antk_direct_possible(self, timeout_ns) ? DIRECT : SYNCHRONOUS, &sent);
    if (ANTK_RARELY(rc != 0))
        return rc;
    if (sent.server)
        serve_directly(self, &sent);
    struct antk_record *record = antk_record(self->core, sent.frame);
    struct antk_wait wait = {"the result of function", sent.function, false, true};
    while (antk_state_of(record) != ANTK_DONE) {
        rc = antk_wait_park(self, deadline_ns, wait);
        if (rc == -EINTR)
            antk_check(self);
        if (rc != 0 && antk_state_of(record) != ANTK_DONE) {
            rc = give_up_waiting(self, &sent, rc);
            if (rc != 0)
                return rc;
        }
    }
    if (ANTK_RARELY(disowned(self))) /* looked at after the state: only then it was this request's */
        antk_leave(self, -ESHUTDOWN);
    antk_set_state(record, ANTK_HELD, 0);
    antk_receive_data(self, record->data);
    antk_trace_add(self->core, self->endpoint->index, ANT_EVENT_RESULT, sent.function,
                   (int64_t)record->cookie);
    return rq->error;
}
