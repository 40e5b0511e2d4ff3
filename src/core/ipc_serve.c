/*
 * One request's way, its server's side: received, answered. Results are received here, too.
 *
 * Each call first decodes, then acts, as in ipc.c.
 */
#include "core/candidate.h"
#include "core/core.h"
#include "core/direct.h"
#include "core/ipc.h"

#include <errno.h>
#include <limits.h>

/* ---- it is received ---- */

/* It is the body's from here on. */
static void receive(struct antk_body *self, uint32_t frame, enum antk_request_state state,
                    enum antk_activity activity, enum ant_event_kind event)
{
    struct antk_record *record = antk_record(self->core, frame);
    antk_receive_data(self, record->data);
    antk_set_state(record, state, state == ANTK_SERVICE ? self->endpoint->index : 0);
    atomic_store_explicit(&self->own_thread.activity, activity, memory_order_relaxed);
    if (ANTK_RARELY(self->core->trace != NULL)) {
        uint32_t function =
            state == ANTK_SERVICE ? antk_asked_function(self->core, frame) : record->function;
        antk_trace_record(self->core, self->endpoint->index, event, function, (int64_t)record->cookie);
    }
}

static struct ant_message take_request_locked(struct antk_body *self, uint32_t frame)
{
    struct antk_endpoint *ep = self->endpoint;
    struct antk_record *records = self->core->records;
    antk_queue_unlink(records, &ep->requests, frame);
    antk_queue_push(records, &ep->service, frame);
    receive(self, frame, ANTK_SERVICE, ANTK_REQUEST_WORK, ANT_EVENT_RECEIVE);
    return (struct ant_message){ANT_REQUEST, antk_view(ep, frame)};
}

/* Takes results, then requests, as many as there are and there is room for. Endpoint's lock held. */
static size_t take_locked(struct antk_body *self, struct ant_message *messages, size_t capacity)
{
    struct antk_endpoint *ep = self->endpoint;
    struct antk_record *records = self->core->records;
    size_t count = 0;
    uint32_t frame;
    while (count < capacity &&
           (frame = antk_first_sent_locked(ep, &ep->results, self->incarnation)) != ANTK_NO_FRAME) {
        antk_queue_unlink(records, &ep->results, frame);
        receive(self, frame, ANTK_HELD, ANTK_RESULT_WORK, ANT_EVENT_RESULT);
        messages[count++] = (struct ant_message){ANT_RESULT, antk_view(ep, frame)};
    }
    while (count < capacity && (frame = ep->requests.head) != ANTK_NO_FRAME)
        messages[count++] = take_request_locked(self, frame);
    antk_event_settle_locked(ep);
    return count;
}

/* The first request that a client has queued. */
static uint32_t first_request_locked(struct antk_endpoint *ep, ant_pid client)
{
    struct antk_record *records = ep->core->records;
    uint32_t frame = ep->requests.head;
    while (frame != ANTK_NO_FRAME && atomic_load(&records[frame].client) != client)
        frame = records[frame].link[ANTK_LINK_QUEUE].next;
    return frame;
}

bool antk_has_due_locked(struct antk_body *self, enum antk_due due, ant_pid client)
{
    struct antk_endpoint *ep = self->endpoint;
    if (due == ANTK_DUE_ALL)
        return ep->requests.count > 0 ||
               antk_first_sent_locked(ep, &ep->results, self->incarnation) != ANTK_NO_FRAME;
    return due == ANTK_DUE_OF_ONE && first_request_locked(ep, client) != ANTK_NO_FRAME;
}

/* Takes what is due before the notice, if anything is. Endpoint's lock held, and given up meanwhile. */
ANTK_APART static size_t take_due_locked(struct antk_body *self, struct ant_message *messages,
                                         size_t capacity)
{
    struct antk_endpoint *ep = self->endpoint;
    ant_pid client = 0;
    enum antk_due due = ep->notice->due(ep->notice, &client);
    if (!antk_has_due_locked(self, due, client))
        return 0;
    if (due == ANTK_DUE_ALL)
        return take_locked(self, messages, capacity);
    messages[0] = take_request_locked(self, first_request_locked(ep, client));
    antk_event_settle_locked(ep);
    return 1;
}

/* If it has been ended, by force or in a direct call, it leaves: from here on nobody runs it any more but this thread. Endpoint's lock held, and given up then. */
static inline void leave_if_ended_locked(struct antk_body *self)
{
    struct antk_endpoint *ep = self->endpoint;
    if (ANTK_RARELY((self->left || atomic_load(&self->flags) != 0) && !self->attached)) {
        ep->receiving = ep->receiving && ep->body != self; /* a successor may wait there already */
        antk_unlock(&ep->lock);
        antk_leave(self, self->left ? self->exit_status : -ESHUTDOWN);
    }
}

/* It has something to do now: its time is watched, and observed. */
static inline void begin_work(struct antk_body *self)
{
    if (ANTK_RARELY(atomic_load_explicit(&self->endpoint->watchdog_ns, memory_order_relaxed) != 0))
        antk_watchdog_begin(self);
    if (ANTK_RARELY(self->own_thread.observed))
        antk_observe_begin(self);
}

void antk_regain(struct antk_body *self)
{
    struct antk_endpoint *ep = self->endpoint;
    for (;;) {
        antk_lock(&ep->lock);
        self->wanted_back = antk_is_lent(self);
        if (!self->wanted_back)
            break;
        antk_unlock(&ep->lock);
        antk_direct_await_end(self);
    }
    leave_if_ended_locked(self);
    ep->receiving = false;
    antk_unlock(&ep->lock);
}

bool antk_claim(struct antk_body *self)
{
    struct antk_endpoint *ep = self->endpoint;
    antk_lock(&ep->lock);
    leave_if_ended_locked(self);
    bool claimed = !ep->notice && !atomic_load(&ep->stopping);
    antk_unlock(&ep->lock);
    if (claimed) {
        atomic_store_explicit(&self->own_thread.activity, ANTK_REQUEST_WORK, memory_order_relaxed);
        begin_work(self);
    }
    return claimed;
}

size_t antk_next_messages(struct antk_body *self, bool will_wait, struct ant_message *messages,
                          size_t capacity, bool *idle)
{
    struct antk_endpoint *ep = self->endpoint;
    size_t count = 0;
    antk_lock(&ep->lock);
    if (ANTK_RARELY(antk_is_lent(self))) { /* just now */
        antk_unlock(&ep->lock);
        return 0;
    }
    leave_if_ended_locked(self);
    if (ANTK_RARELY(ep->notice && ep->notice->due))
        count = take_due_locked(self, messages, capacity);
    struct antk_notice *notice = count == 0 ? ep->notice : NULL;
    bool stop = count == 0 && atomic_load_explicit(&ep->stopping, memory_order_relaxed) != 0;
    if (!ANTK_RARELY(notice || stop || count > 0))
        count = take_locked(self, messages, capacity);
    ep->receiving = count == 0 && !notice && !stop && will_wait;
    *idle = ep->program && ep->service.count == 0 && ep->out.count == 0;
    if (ANTK_RARELY(notice != NULL))
        notice->seen(notice);
    antk_unlock(&ep->lock);
    if (ANTK_RARELY(notice || stop))
        messages[count++] = (struct ant_message){notice ? ANT_SWAP : ANT_STOP, NULL};
    if (count > 0)
        self->told_of_swap = notice != NULL;
    if (count > 0)
        begin_work(self);
    return count;
}

/* Its own thread waits, that is, even if it is lent. */
static int wait_for_message(struct antk_body *self, uint64_t deadline_ns, bool idle)
{
    int rc = -EINTR;
    if (!(atomic_load(&self->flags) & ANTK_ABANDONED))
        rc = antk_park(&self->own_thread, deadline_ns, (struct antk_wait){"a message", -1, idle, true});
    if (ANTK_RARELY(antk_is_lent(self)))
        antk_direct_await_end(self);
    return rc;
}

inline void antk_receive_end(struct antk_body *self)
{
    if (ANTK_RARELY(self->own_thread.observed))
        antk_observe_end(self);
    atomic_store_explicit(&self->own_thread.activity, ANTK_IDLE, memory_order_relaxed);
    atomic_store_explicit(&self->busy_since_ns, 0, memory_order_relaxed);
}

/* As ant_receive_many. Returns how many, or a negative errno value. */
ANTK_WHOLE static int take(struct antk_body *self, struct ant_message *messages, size_t capacity,
                           int64_t timeout_ns)
{
    antk_receive_end(self);
    if (ANTK_RARELY(self->own_thread.observed))
        capacity = 1; /* how long each of them takes shall be seen */
    uint64_t deadline_ns = ANTK_NEVER;
    bool limited = timeout_ns <= 0, idle = true;
    for (int rc = timeout_ns == 0 ? -ETIMEDOUT : 0;;) {
        size_t count = antk_next_messages(self, rc == 0, messages, capacity, &idle);
        if (count > 0)
            return (int)count;
        if (rc != 0)
            return rc;
        if (!limited) {
            deadline_ns = antk_deadline(self->machine, timeout_ns);
            limited = true;
        }
        rc = wait_for_message(self, deadline_ns, idle);
    }
}

static bool may_receive(const struct antk_body *self)
{
    return self && !self->candidate && !(self->server.program && self->server.program->direct);
}

int ant_receive(struct ant_message *message, int64_t timeout_ns)
{
    ANTK_ENTER(self);
    if (ANTK_RARELY(!may_receive(self)))
        return -EPERM;
    if (ANTK_RARELY(!message))
        return -EINVAL;
    int rc = take(self, message, 1, timeout_ns);
    return rc > 0 ? 0 : rc;
}

int ant_receive_many(struct ant_message *messages, size_t capacity, size_t *count, int64_t timeout_ns)
{
    ANTK_ENTER(self);
    if (!may_receive(self))
        return -EPERM;
    if (!messages || capacity == 0 || !count)
        return -EINVAL;
    int rc = take(self, messages, capacity < INT_MAX ? capacity : INT_MAX, timeout_ns);
    if (rc < 0)
        return rc;
    *count = (size_t)rc;
    return 0;
}

/* ---- it is answered ---- */

ANTK_APART void antk_drop(struct antk_endpoint *ep, uint32_t frame, uint32_t data)
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
        receiver = antk_receiver_locked(client);
    }
    antk_unlock(&client->lock);
    antk_wake(core, receiver);
    return wanted;
}

void antk_leave_service(struct antk_endpoint *ep, uint32_t frame)
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
        antk_leave_service(ep, frame);
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
        antk_leave_service(ep, frame);
        antk_trace_add(core, ep->index, ANT_EVENT_REPLY, error ? error : status, (int64_t)cookie);
        if (ANTK_RARELY(!give_result(client, frame)))
            antk_drop(client, frame, data);
        antk_unpin(client);
    }
    return 0;
}

inline int antk_find_served(struct antk_body *self, const struct ant_request *rq, uint32_t *frame)
{
    int rc = antk_find_request(self, rq, frame);
    if (ANTK_RARELY(rc != 0))
        return rc;
    return ANTK_RARELY(antk_state_of(antk_record(self->core, *frame)) != ANTK_SERVICE) ? -EPERM : 0;
}

ANTK_WHOLE int ant_reply(struct ant_request *rq, int32_t status)
{
    ANTK_ENTER(self);
    if (ANTK_RARELY(!self || self->candidate))
        return -EPERM;
    uint32_t frame, data;
    int rc = antk_find_served(self, rq, &frame);
    if (ANTK_RARELY(rc != 0))
        return rc;
    rc = antk_find_data(self, rq->data, &data);
    if (ANTK_RARELY(rc != 0))
        return rc;
    if (ANTK_RARELY(self->core->costs.remap_page_ns != 0) &&
        atomic_load(&antk_record(self->core, frame)->client) != antk_endpoint_pid(self->endpoint))
        antk_spend_remaps(self, data);
    return antk_answer(self->endpoint, frame, data, status, 0);
}
