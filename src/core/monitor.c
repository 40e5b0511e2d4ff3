/*
 * Monitors: requests that processes lend to the core, to be told of deaths and swaps; see ant/monitor.h.
 *
 * A lent request stays where it is, in its process's window, in the endpoint's queue of monitors; its record says LENT, and nobody touches it. Its
 * sending's server is whom it asks about; 0: everybody. Whoever has something to tell takes it from there and puts it among the results, under the
 * lock of the process that lent it.
 */
#include "core/core.h"
#include "core/event.h"
#include "core/function.h"
#include "core/ipc.h"

#include <errno.h>
#include <string.h>

static_assert(sizeof(struct ant_monitor_report) <= ANT_PAYLOAD_BYTES, "a report fits a request");

/* ---- lending ---- */

static void lend(struct antk_body *self, uint32_t frame, ant_pid about)
{
    struct antk_endpoint *ep = self->endpoint;
    struct antk_record *record = antk_record(self->core, frame);
    const struct ant_request *request = antk_view(ep, frame);
    record->function = request->function;
    record->operation = request->operation;
    record->cookie = request->cookie;
    record->flags = request->flags;
    atomic_store(&record->client, antk_endpoint_pid(ep));
    record->incarnation = self->incarnation;
    antk_sending(self->core, frame)->server = about;
    record->data = ANTK_NO_FRAME;
    record->waiter = 0;
    record->swallowed = false;
    antk_lock(&ep->lock);
    antk_set_state(record, ANTK_LENT, 0);
    antk_queue_push(self->core->records, &ep->monitors, frame);
    atomic_fetch_add(&ep->monitor_count, 1);
    atomic_fetch_add(&self->core->monitors, 1);
    antk_sending(self->core, frame)->lending = atomic_fetch_add(&self->core->lendings, 1) + 1;
    antk_unlock(&ep->lock);
}

/* Off the queue; the endpoint's lock is held. */
static void take_off_locked(struct antk_endpoint *ep, uint32_t frame)
{
    antk_queue_unlink(ep->core->records, &ep->monitors, frame);
    atomic_fetch_sub(&ep->monitor_count, 1);
    atomic_fetch_sub(&ep->core->monitors, 1);
}

int antk_monitor_withdraw(struct antk_endpoint *ep, uint32_t frame)
{
    struct antk_record *record = antk_record(ep->core, frame);
    antk_lock(&ep->lock);
    bool lent = antk_state_of(record) == ANTK_LENT;
    if (lent) {
        take_off_locked(ep, frame);
        antk_set_state(record, ANTK_HELD, 0);
    }
    antk_unlock(&ep->lock);
    return lent ? 0 : -EALREADY;
}

void antk_monitors_free(struct antk_endpoint *ep)
{
    for (;;) {
        antk_lock(&ep->lock);
        uint32_t frame = ep->monitors.head;
        if (frame != ANTK_NO_FRAME) {
            take_off_locked(ep, frame);
            antk_set_state(antk_record(ep->core, frame), ANTK_CARRIED, 0); /* no sweep's */
        }
        antk_unlock(&ep->lock);
        if (frame == ANTK_NO_FRAME)
            return;
        antk_area_drop(ep, frame);
    }
}

/* ---- telling ---- */

void antk_monitor_news_locked(struct antk_endpoint *ep, enum ant_change change, int error,
                              struct antk_news *news)
{
    bool died = change == ANT_CHANGE_DIED;
    news->lendings = atomic_load(&ep->core->lendings);
    news->report = (struct ant_monitor_report){
        .change = change,
        .error = !died           ? error
                 : ep->death < 0 ? ep->death
                                 : -EOWNERDEAD,
        .signal = died && ep->death > 0 ? ep->death : 0,
        .function = ep->first_function,
        .generation = ep->generation,
        .version = ep->program ? ep->program->version : 0,
        .pid = antk_endpoint_pid(ep),
        .time_ns = died ? ep->died_ns : antk_now(ep->core->machine),
    };
}

/* A monitor comes back. The lock of the process that lent it is held. */
static void come_back_locked(struct antk_endpoint *ep, uint32_t frame,
                             const struct ant_monitor_report *report)
{
    struct antk_core *core = ep->core;
    struct antk_record *record = antk_record(core, frame);
    take_off_locked(ep, frame);
    antk_sending(core, frame)->server = report->pid;
    struct ant_request *request = antk_write_header(ep, frame, report->pid);
    request->status = (int32_t)report->change;
    request->payload_bytes = sizeof *report;
    memcpy(request->payload, report, sizeof *report);
    antk_set_state(record, ANTK_RESULT, 0);
    antk_queue_push(core->records, &ep->results, frame);
    antk_event_settle_locked(ep);
}

/* All monitors of a process that ask about this server, and did so before, come back. */
static void tell(struct antk_endpoint *ep, const struct antk_news *news)
{
    const struct ant_monitor_report *report = &news->report;
    struct antk_core *core = ep->core;
    struct antk_body *body = NULL;
    uint32_t next;
    antk_lock(&ep->lock);
    for (uint32_t frame = ep->closed ? ANTK_NO_FRAME : ep->monitors.head; frame != ANTK_NO_FRAME;
         frame = next) {
        next = antk_record(core, frame)->link[ANTK_LINK_QUEUE].next;
        const struct antk_sending *lent = antk_sending(core, frame);
        if ((lent->server != 0 && lent->server != report->pid) ||
            (int32_t)(lent->lending - news->lendings) > 0)
            continue;
        come_back_locked(ep, frame, report);
        if (ep->receiving)
            body = ep->body;
        ep->receiving = false;
    }
    antk_unlock(&ep->lock);
    if (body)
        antk_unpark(core->machine, body->thread);
}

void antk_monitors_tell_news(struct antk_core *core, const struct antk_news *news)
{
    if (atomic_load(&core->monitors) == 0)
        return;
    for (uint32_t i = 0; i < core->config.max_processes; i++)
        if (atomic_load(&core->endpoints[i].monitor_count) != 0)
            tell(&core->endpoints[i], news);
}

void antk_monitors_tell(struct antk_endpoint *ep, enum ant_change change, int error)
{
    struct antk_news news;
    if (atomic_load(&ep->core->monitors) == 0)
        return;
    antk_lock(&ep->lock);
    antk_monitor_news_locked(ep, change, error, &news);
    antk_unlock(&ep->lock);
    antk_monitors_tell_news(ep->core, &news);
}

/*
 * A monitor that was lent after the death is told of it at once, unless it has been told of something meanwhile; or while a swap goes on, which will be told when
 * it is over: a supervisor that would be told of the death again and again could keep that swap's requester from the processor. A pinned server may have
 * ended since it was found; one that is about to will tell.
 */
static void tell_if_late(struct antk_body *self, struct antk_endpoint *ep, bool pinned, uint32_t frame)
{
    struct antk_endpoint *own = self->endpoint;
    struct antk_news news;
    antk_lock(&ep->lock);
    bool unmended = ep->dead && !ep->swap, ended = pinned && ep->end_told;
    if (unmended || ended)
        antk_monitor_news_locked(ep, ended ? ANT_CHANGE_ENDED : ANT_CHANGE_DIED, 0, &news);
    antk_unlock(&ep->lock);
    if (!unmended && !ended)
        return;
    antk_lock(&own->lock);
    if (antk_state_of(antk_record(self->core, frame)) == ANTK_LENT)
        come_back_locked(own, frame, &news.report);
    antk_unlock(&own->lock);
}

/* ---- the call ---- */

static int monitor_one(struct antk_body *self, uint32_t frame, uint32_t function)
{
    struct antk_endpoint *about = antk_function_pin(self, function);
    if (!about)
        return -ESRCH;
    antk_lock(&about->lock);
    bool server = about->program != NULL;
    antk_unlock(&about->lock);
    if (server) {
        lend(self, frame, antk_endpoint_pid(about));
        tell_if_late(self, about, true, frame);
    }
    antk_unpin(about);
    return server ? 0 : -ENOTSUP;
}

int ant_monitor(struct ant_request *rq, uint32_t function)
{
    ANTK_ENTER(self);
    if (!self || self->candidate)
        return -EPERM;
    struct antk_core *core = self->core;
    uint32_t frame;
    int rc = antk_find_request(self, rq, &frame);
    if (rc != 0)
        return rc;
    if (antk_state_of(antk_record(core, frame)) == ANTK_SERVICE)
        return -EBUSY;
    if (function)
        return monitor_one(self, frame, function);
    lend(self, frame, 0);
    for (uint32_t i = 0; i < core->config.max_processes; i++)
        tell_if_late(self, &core->endpoints[i], false, frame);
    return 0;
}

const char *ant_change_name(enum ant_change change)
{
    static const char *const names[] = {"died", "swapped", "rolled-back", "ended"};
    return change >= ANT_CHANGE_DIED && change <= ANT_CHANGE_ENDED ? names[change - 1] : "?";
}
