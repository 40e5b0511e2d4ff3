/* Requests under way: pulling one back that its server has not received yet, and listing them. */
#include "core/candidate.h"
#include "core/core.h"
#include "core/ipc.h"

#include <errno.h>

ANTK_APART int antk_withdraw(struct antk_endpoint *ep, uint32_t frame, uint64_t tag, bool must)
{
    struct antk_core *core = ep->core;
    struct antk_record *record = antk_record(core, frame);
    if (antk_tag_state(tag) != ANTK_QUEUED)
        return -EINPROGRESS;
    struct antk_endpoint *server = &core->endpoints[antk_tag_server(tag)];
    antk_lock(&server->lock);
    bool queued = atomic_load(&record->tag) == tag && antk_sending(core, frame)->forwards == 0;
    int rc = queued ? 0 : -EINPROGRESS;
    if (rc == 0)
        rc = antk_carry(server, ep, frame, record->data, must);
    if (rc == 0) {
        antk_queue_unlink(core->records, &server->requests, frame);
        antk_event_settle_locked(server);
    }
    antk_unlock(&server->lock);
    if (rc == 0)
        antk_trace_add(core, ep->index, ANT_EVENT_CANCEL, record->function, (int64_t)record->cookie);
    return rc;
}

void antk_take_back(struct antk_body *self, uint32_t frame, int error)
{
    struct antk_record *record = antk_record(self->core, frame);
    antk_unlist_out(self->endpoint, frame);
    antk_set_state(record, ANTK_HELD, 0);
    antk_receive_data(self, record->data);
    struct ant_request *request = antk_view(self->endpoint, frame);
    request->data = antk_data_view(self->endpoint, record->data);
    request->error = error;
}

int ant_cancel(struct ant_request *rq)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    struct antk_endpoint *ep = self->endpoint;
    size_t offset = (size_t)((const char *)rq - ep->window.base);
    if ((const char *)rq < ep->window.base || offset / ANT_PAGE_BYTES >= antk_pool_pages(self->core->pool))
        return -EFAULT;
    if (offset % ANT_PAGE_BYTES != 0)
        return -EINVAL;
    uint32_t frame = (uint32_t)(offset / ANT_PAGE_BYTES);
    struct antk_record *record = antk_record(self->core, frame);
    uint64_t tag = atomic_load(&record->tag);
    enum antk_request_state state = antk_tag_state(tag);
    if (atomic_load(&record->client) != antk_endpoint_pid(ep) || state == ANTK_PLAIN || state == ANTK_HELD)
        return -ESRCH;
    if (self->candidate && record->incarnation != self->incarnation)
        return -EPERM;
    if (state == ANTK_RESULT || state == ANTK_DONE)
        return -EALREADY;
    if (state == ANTK_LENT)
        return antk_monitor_withdraw(ep, frame);
    int rc = antk_withdraw(ep, frame, tag, false);
    if (rc == 0)
        antk_take_back(self, frame, 0);
    return rc;
}

/* ---- what is under way ---- */

static void describe(struct antk_endpoint *ep, uint32_t frame, bool as_client, struct ant_pending *item)
{
    struct antk_record *record = antk_record(ep->core, frame);
    item->request = antk_view(ep, frame);
    item->cookie = record->cookie;
    item->function = as_client ? record->function : antk_asked_function(ep->core, frame);
    item->operation = as_client ? record->operation : antk_asked_operation(ep->core, frame);
    item->peer = as_client ? antk_sending(ep->core, frame)->server : atomic_load(&record->client);
}

/* In `prepare` a new server is shown nothing of its predecessor's, which still serves. */
static bool is_shown(struct antk_body *self, uint32_t frame, enum ant_pending_kind kind)
{
    return !antk_is_preparing(self) ||
           (kind != ANT_IN_SERVICE && antk_record(self->core, frame)->incarnation == self->incarnation);
}

int ant_pending(enum ant_pending_kind kind, struct ant_pending *items, size_t capacity, size_t *count)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!count || (!items && capacity > 0) || kind < ANT_IN_SERVICE || kind > ANT_ANSWERED)
        return -EINVAL;
    struct antk_endpoint *ep = self->endpoint;
    struct antk_queue *queue = kind == ANT_IN_SERVICE    ? &ep->service
                               : kind == ANT_OUTSTANDING ? &ep->out
                                                         : &ep->results;
    size_t found = 0;
    antk_lock(&ep->lock);
    for (uint32_t frame = queue->head; frame != ANTK_NO_FRAME;
         frame = antk_record(self->core, frame)->link[queue->kind].next) {
        if (!is_shown(self, frame, kind))
            continue;
        if (found < capacity)
            describe(ep, frame, kind != ANT_IN_SERVICE, &items[found]);
        found++;
    }
    *count = found;
    antk_unlock(&ep->lock);
    return 0;
}
