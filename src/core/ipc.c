/*
 * One request's way: made, sent, received, answered, its result taken.
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

/* Something has come for an endpoint: its body, if that waits for messages. Lock held; the caller unparks it without. */
static struct antk_body *receiver_locked(struct antk_endpoint *ep)
{
    if (!ep->receiving)
        return NULL;
    ep->receiving = false;
    return ep->body;
}

static void wake(struct antk_core *core, struct antk_body *body)
{
    if (body)
        antk_unpark(core->machine, body->thread);
}

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
    *request = (struct ant_request){.function = function};
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

/* The data area named in a request or a reply, for the way out of the caller's window. */
static int find_data(struct antk_body *self, const void *data, uint32_t *frame)
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

/* Spends what it costs (costs.h) to move a request and its data to the window of another. */
static void spend_remaps(struct antk_body *self, const struct antk_endpoint *to, uint32_t data)
{
    uint64_t cost_ns = self->core->costs.remap_page_ns;
    if (ANTK_RARELY(cost_ns != 0) && to != self->endpoint)
        antk_spend(self, cost_ns * (data == ANTK_NO_FRAME
                                        ? 1
                                        : 1 + antk_pool_area(self->core->pool, data)->pages));
}

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
    int level;                /* ... at this level */
};

/* The server's thread waits, and the client's may take its place. Server's lock held. */
static bool begin_directly_locked(struct antk_body *self, struct antk_endpoint *server,
                                  uint32_t frame, struct sent *sent)
{
    struct antk_core *core = self->core;
    struct antk_record *record = antk_record(core, frame);
    if (!antk_direct_begin_locked(self, server, &sent->level))
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
    int rc = 0;
    antk_lock(&server->lock);
    if (ANTK_RARELY(server->closed)) {
        rc = -ESRCH;
    } else if (ANTK_RARELY(!server->body && server->on_death == ANT_DEATH_FAIL)) {
        rc = -EOWNERDEAD;
    } else if (ANTK_RARELY(server->queue_limit != 0 && server->requests.count >= server->queue_limit)) {
        rc = -EAGAIN;
    } else {
        antk_trace_add(core, client->index, ANT_EVENT_SEND, record->function, (int64_t)record->cookie);
        if (style != DIRECT || !begin_directly_locked(self, server, frame, sent)) {
            antk_set_state(record, ANTK_QUEUED, server->index);
            antk_queue_push(core->records, &server->requests, frame);
            receiver = receiver_locked(server);
        }
    }
    antk_unlock(&server->lock);
    wake(core, receiver);
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
__attribute__((cold)) static void refuse(struct antk_body *self, struct antk_endpoint *server,
                                         uint32_t frame, uint32_t data, const struct ant_request *header)
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

static int dispatch(struct antk_body *self, struct antk_endpoint *server, uint32_t frame, uint32_t data,
                    const struct ant_request *header, enum style style, struct sent *sent)
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

static int submit(struct antk_body *self, struct ant_request *rq, enum style style, struct sent *sent)
{
    uint32_t frame;
    int rc = antk_find_request(self, rq, &frame);
    if (ANTK_RARELY(rc != 0))
        return rc;
    if (ANTK_RARELY(antk_state_of(antk_record(self->core, frame)) == ANTK_SERVICE))
        return -EBUSY;
    struct ant_request header = {.function = rq->function,
                                 .operation = rq->operation,
                                 .cookie = rq->cookie,
                                 .data = rq->data,
                                 .peer = rq->peer,
                                 .status = rq->status,
                                 .error = rq->error,
                                 .flags = rq->flags};
    if (ANTK_RARELY(header.function == 0))
        return -EINVAL;
    uint32_t data;
    rc = find_data(self, header.data, &data);
    if (ANTK_RARELY(rc != 0))
        return rc;
    struct antk_endpoint *server = antk_function_pin(self, header.function);
    if (ANTK_RARELY(!server))
        return -ESRCH;
    spend_remaps(self, server, data);
    rc = ANTK_RARELY(style != ASYNCHRONOUS && server == self->endpoint)
             ? -EDEADLK
             : dispatch(self, server, frame, data, &header, style, sent);
    antk_unpin(server);
    return rc;
}

int ant_send(struct ant_request *rq)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    struct sent sent;
    return submit(self, rq, ASYNCHRONOUS, &sent);
}

/* ---- it is received ---- */

static void take_request(struct antk_body *self, uint32_t frame, struct ant_message *message)
{
    struct antk_record *record = antk_record(self->core, frame);
    antk_receive_data(self, record->data);
    atomic_store_explicit(&self->own_thread.activity, ANTK_REQUEST_WORK, memory_order_relaxed);
    antk_trace_add(self->core, self->endpoint->index, ANT_EVENT_RECEIVE, record->function,
                   (int64_t)record->cookie);
    *message = (struct ant_message){ANT_REQUEST, antk_view(self->endpoint, frame)};
}

static void take_result(struct antk_body *self, uint32_t frame, struct ant_message *message)
{
    struct antk_record *record = antk_record(self->core, frame);
    antk_receive_data(self, record->data);
    atomic_store_explicit(&self->own_thread.activity, ANTK_RESULT_WORK, memory_order_relaxed);
    antk_trace_add(self->core, self->endpoint->index, ANT_EVENT_RESULT, record->function,
                   (int64_t)record->cookie);
    *message = (struct ant_message){ANT_RESULT, antk_view(self->endpoint, frame)};
}

/*
 * The first result for a body. Results of what a later incarnation has sent are passed over: that is a new server which has
 * not been registered yet, or has failed, and then they are about to be dropped.
 */
static uint32_t first_result_locked(struct antk_body *self)
{
    struct antk_record *records = self->core->records;
    uint32_t frame = self->endpoint->results.head;
    while (frame != ANTK_NO_FRAME && (int32_t)(records[frame].incarnation - self->incarnation) > 0)
        frame = records[frame].link[ANTK_LINK_QUEUE].next;
    return frame;
}

/*
 * The next message, if there is one; else the body is marked as waiting for it, if it is going to. idle tells whether
 * it owes anything to anyone.
 */
static bool next_message(struct antk_body *self, bool will_wait, struct ant_message *message, bool *idle)
{
    struct antk_endpoint *ep = self->endpoint;
    struct antk_record *records = self->core->records;
    uint32_t result = ANTK_NO_FRAME, request = ANTK_NO_FRAME;
    antk_lock(&ep->lock);
    if (ANTK_RARELY(antk_is_lent(self))) { /* just now */
        antk_unlock(&ep->lock);
        return false;
    }
    struct antk_notice *notice = ep->notice;
    bool stop = atomic_load_explicit(&ep->stopping, memory_order_relaxed);
    if (!ANTK_RARELY(notice || stop)) {
        result = first_result_locked(self);
        if (result != ANTK_NO_FRAME) {
            antk_queue_unlink(records, &ep->results, result);
            antk_set_state(&records[result], ANTK_HELD, 0);
        } else if ((request = ep->requests.head) != ANTK_NO_FRAME) {
            antk_queue_unlink(records, &ep->requests, request);
            antk_queue_push(records, &ep->service, request);
            antk_set_state(&records[request], ANTK_SERVICE, ep->index);
        }
    }
    bool found = notice || stop || result != ANTK_NO_FRAME || request != ANTK_NO_FRAME;
    ep->receiving = !found && will_wait;
    *idle = ep->program && ep->service.count == 0 && ep->out.count == 0;
    if (ANTK_RARELY(notice != NULL))
        notice->seen(notice);
    antk_unlock(&ep->lock);
    if (found)
        self->told_of_swap = notice != NULL;
    if (found && ANTK_RARELY(atomic_load_explicit(&ep->watchdog_ns, memory_order_relaxed) != 0))
        antk_watchdog_begin(self);
    if (found && ANTK_RARELY(self->own_thread.observed))
        antk_observe_begin(self);
    if (ANTK_RARELY(notice != NULL)) {
        *message = (struct ant_message){ANT_SWAP, NULL};
    } else if (ANTK_RARELY(stop)) {
        *message = (struct ant_message){ANT_STOP, NULL};
    } else if (result != ANTK_NO_FRAME) {
        take_result(self, result, message);
    } else if (request != ANTK_NO_FRAME) {
        take_request(self, request, message);
    }
    return found;
}

/* Its own thread waits, that is, even if it is lent. */
static int wait_for_message(struct antk_body *self, uint64_t deadline_ns, bool idle)
{
    int rc = -EINTR;
    if (!(atomic_load(&self->flags) & ANTK_ABANDONED))
        rc = antk_park(&self->own_thread, deadline_ns, (struct antk_wait){"a message", -1, idle});
    antk_direct_await_end(self);
    antk_check(self);
    return rc;
}

int antk_receive(struct antk_body *self, struct ant_message *message, int64_t timeout_ns)
{
    if (ANTK_RARELY(self->own_thread.observed))
        antk_observe_end(self);
    atomic_store_explicit(&self->own_thread.activity, ANTK_IDLE, memory_order_relaxed);
    atomic_store_explicit(&self->busy_since_ns, 0, memory_order_relaxed);
    bool idle = true;
    if (timeout_ns == 0)
        return next_message(self, false, message, &idle) ? 0 : -ETIMEDOUT;
    uint64_t deadline_ns = ANTK_NEVER;
    bool limited = false;
    for (int rc = 0;;) {
        if (next_message(self, rc == 0, message, &idle))
            return 0;
        if (rc != 0)
            return rc;
        if (timeout_ns > 0 && !limited) {
            deadline_ns = antk_deadline(self->machine, timeout_ns);
            limited = true;
        }
        rc = wait_for_message(self, deadline_ns, idle);
    }
}

int ant_receive(struct ant_message *message, int64_t timeout_ns)
{
    ANTK_ENTER(self);
    if (!self || self->candidate || (self->server.program && self->server.program->direct))
        return -EPERM;
    if (!message)
        return -EINVAL;
    return antk_receive(self, message, timeout_ns);
}

/* ---- it is answered ---- */

void antk_drop(struct antk_endpoint *ep, uint32_t frame, uint32_t data)
{
    if (data != ANTK_NO_FRAME)
        antk_area_drop(ep, data);
    antk_area_drop(ep, frame);
}

/* Gives a carried result to the client's endpoint. False: that does not want it. */
static bool give_result(struct antk_endpoint *client, uint32_t frame)
{
    struct antk_core *core = client->core;
    struct antk_record *record = antk_record(core, frame);
    struct antk_body *receiver = NULL;
    antk_lock(&client->lock);
    bool wanted = !client->closed && !record->swallowed;
    if (!record->swallowed)
        antk_queue_unlink(core->records, &client->out, frame);
    if (wanted && record->waiter != 0) {
        receiver = &core->bodies[record->waiter - 1];
        antk_set_state(record, ANTK_DONE, 0);
    } else if (wanted) {
        antk_set_state(record, ANTK_RESULT, 0);
        antk_queue_push(core->records, &client->results, frame);
        receiver = receiver_locked(client);
    }
    antk_unlock(&client->lock);
    wake(core, receiver);
    return wanted;
}

static void leave_service(struct antk_endpoint *ep, uint32_t frame)
{
    antk_lock(&ep->lock);
    antk_queue_unlink(ep->core->records, &ep->service, frame);
    antk_unlock(&ep->lock);
}

int antk_answer(struct antk_endpoint *ep, uint32_t frame, uint32_t data, int32_t status, int error)
{
    struct antk_core *core = ep->core;
    struct antk_record *record = antk_record(core, frame);
    uint64_t cookie = record->cookie;
    struct antk_endpoint *client = antk_pin(core, atomic_load(&record->client));
    if (ANTK_RARELY(!client)) {
        leave_service(ep, frame);
        antk_drop(ep, frame, data);
    } else {
        int rc = antk_carry(ep, client, frame, data, error != 0);
        if (ANTK_RARELY(rc != 0)) {
            antk_unpin(client);
            return rc;
        }
        record->data = data;
        struct ant_request *request = antk_write_header(client, frame, antk_endpoint_pid(ep));
        request->status = status;
        request->error = error;
        leave_service(ep, frame);
        antk_trace_add(core, ep->index, ANT_EVENT_REPLY, error ? error : status, (int64_t)cookie);
        if (ANTK_RARELY(!give_result(client, frame)))
            antk_drop(client, frame, data);
        antk_unpin(client);
    }
    return 0;
}

static void spend_way_back(struct antk_body *self, uint32_t frame, uint32_t data)
{
    if (atomic_load(&antk_record(self->core, frame)->client) != antk_endpoint_pid(self->endpoint))
        spend_remaps(self, NULL, data);
}

int ant_reply(struct ant_request *rq, int32_t status)
{
    ANTK_ENTER(self);
    if (ANTK_RARELY(!self || self->candidate))
        return -EPERM;
    uint32_t frame, data;
    int rc = antk_find_request(self, rq, &frame);
    if (ANTK_RARELY(rc != 0))
        return rc;
    if (ANTK_RARELY(antk_state_of(antk_record(self->core, frame)) != ANTK_SERVICE))
        return -EPERM;
    rc = find_data(self, rq->data, &data);
    if (ANTK_RARELY(rc != 0))
        return rc;
    if (ANTK_RARELY(self->core->costs.remap_page_ns != 0))
        spend_way_back(self, frame, data);
    return antk_answer(self->endpoint, frame, data, status, 0);
}

/* ---- its result is taken ---- */

/* A candidate that has failed: its request may be disowned any moment, and the frame be somebody else's. */
static bool disowned(struct antk_body *self)
{
    return self->candidate && antk_candidate_fate(self->candidate) == ANTK_CANCELLED;
}

/* The wait of a synchronous request ended without its result: what becomes of it? */
__attribute__((cold)) static int give_up_waiting(struct antk_body *self, const struct sent *sent, int error)
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
    antk_direct_run(self, server, sent->level, antk_view(server->endpoint, sent->frame));
}

int ant_call(struct ant_request *rq, int64_t timeout_ns)
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
    struct antk_wait wait = {"the result of function", sent.function, false};
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
