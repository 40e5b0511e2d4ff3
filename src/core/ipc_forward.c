/*
 * One request's way, with a turn in it: its server passes it on to another, who answers in its place.
 *
 * The client's bookkeeping stays: it has the request out, and what it asked stays in the record. What the next server is asked is in the
 * request's sending. From then on nobody withdraws it any more (antk_withdraw): it has been in service, so that would tell its client that nothing was done.
 */
#include "core/core.h"
#include "core/function.h"
#include "core/ipc.h"

#include <errno.h>
#include <string.h>

/* A request and where it is to go. */
struct passing {
    struct antk_endpoint *from, *to;
    uint32_t frame, data;
    uint32_t function, operation;
};

/* What is put right if it is not taken there. */
struct before {
    unsigned char header[ANT_REQUEST_HEADER_BYTES];
    uint32_t data, sent_with;
    uint32_t function, operation;
    uint8_t forwards;
};

/* Whoever looks what the client has out finds another server there. A client that is gone does not look. -EDEADLK: the client waits, and would wait for itself. */
static int redirect(struct antk_core *core, uint32_t frame, struct antk_endpoint *server)
{
    struct antk_record *record = antk_record(core, frame);
    struct antk_endpoint *client = antk_pin(core, atomic_load(&record->client));
    if (!client)
        return 0;
    antk_lock(&client->lock);
    bool waits = record->waiter != 0 && !record->swallowed;
    int rc = waits && client == server ? -EDEADLK : 0;
    if (rc == 0)
        antk_sending(core, frame)->server = antk_endpoint_pid(server);
    antk_unlock(&client->lock);
    antk_unpin(client);
    return rc;
}

/* It lies in the other's window: the header is written for that, and what it was is kept. */
static void address(const struct passing *p, struct before *before)
{
    struct antk_core *core = p->from->core;
    struct antk_record *record = antk_record(core, p->frame);
    struct antk_sending *sending = antk_sending(core, p->frame);
    memcpy(before->header, antk_view(p->to, p->frame), sizeof before->header);
    before->data = record->data;
    before->function = sending->function;
    before->operation = sending->operation;
    before->forwards = sending->forwards;
    record->data = p->data;
    if (p->data != ANTK_NO_FRAME)
        before->sent_with = atomic_exchange(&antk_sending(core, p->data)->sent_with, p->frame + 1);
    sending->function = p->function;
    sending->operation = p->operation;
    sending->forwards++;
    antk_write_request(p->to, p->frame);
}

/* It is in its server's service as before, and where it stood there. */
static void put_back(const struct passing *p, const struct before *before)
{
    struct antk_core *core = p->from->core;
    struct antk_record *record = antk_record(core, p->frame);
    struct antk_sending *sending = antk_sending(core, p->frame);
    memcpy(antk_view(p->to, p->frame), before->header, sizeof before->header);
    record->data = before->data;
    if (p->data != ANTK_NO_FRAME)
        atomic_store(&antk_sending(core, p->data)->sent_with, before->sent_with);
    sending->function = before->function;
    sending->operation = before->operation;
    sending->forwards = before->forwards;
    if (antk_carry(p->to, p->from, p->frame, p->data, true) != 0)
        antk_log(&core->log, ANT_LOG_ERROR,
                 "a request that process %u (%s) forwards in vain cannot be moved back",
                 p->from->index, p->from->name);
    antk_set_state(record, ANTK_SERVICE, p->from->index);
    if (p->data != ANTK_NO_FRAME)
        antk_set_state(antk_record(core, p->data), ANTK_PLAIN, 0);
    antk_lock(&p->from->lock);
    antk_queue_relink(core->records, &p->from->service, p->frame);
    antk_unlock(&p->from->lock);
}

static int enqueue(const struct passing *p)
{
    struct antk_core *core = p->from->core;
    struct antk_record *record = antk_record(core, p->frame);
    struct antk_body *receiver = NULL;
    antk_lock(&p->to->lock);
    int rc = antk_refusal_locked(p->to);
    if (rc == 0) {
        antk_trace_add(core, p->from->index, ANT_EVENT_FORWARD, p->function, (int64_t)record->cookie);
        antk_set_state(record, ANTK_QUEUED, p->to->index);
        antk_queue_push(core->records, &p->to->requests, p->frame);
        receiver = antk_receiver_locked(p->to);
    }
    antk_unlock(&p->to->lock);
    antk_wake(core, receiver);
    return rc;
}

static int pass_on(const struct passing *p)
{
    struct before before;
    int rc = redirect(p->from->core, p->frame, p->to);
    if (rc != 0)
        return rc;
    rc = antk_carry(p->from, p->to, p->frame, p->data, false);
    if (rc == 0) {
        address(p, &before);
        antk_leave_service(p->from, p->frame);
        rc = enqueue(p);
        if (rc != 0)
            put_back(p, &before);
    }
    if (rc != 0)
        redirect(p->from->core, p->frame, p->from);
    return rc;
}

int ant_forward(struct ant_request *rq, uint32_t function)
{
    ANTK_ENTER(self);
    if (!self || self->candidate)
        return -EPERM;
    if (function == 0)
        return -EINVAL;
    struct passing passing = {.from = self->endpoint, .function = function};
    int rc = antk_find_served(self, rq, &passing.frame);
    if (rc != 0)
        return rc;
    rc = antk_find_data(self, rq->data, &passing.data);
    if (rc != 0)
        return rc;
    if (antk_sending(self->core, passing.frame)->forwards == ANT_FORWARDS_MAX)
        return -ELOOP;
    passing.operation = rq->operation;
    passing.to = antk_function_pin(self, function);
    if (!passing.to)
        return -ESRCH;
    if (self->core->costs.remap_page_ns != 0 && passing.to != passing.from)
        antk_spend_remaps(self, passing.data);
    rc = pass_on(&passing);
    antk_unpin(passing.to);
    return rc;
}
