/*
 * The clients: they ask, in every way there is, and record what they asked and what became of it. What they have out
 * at one time is in their slots.
 */
#include "body.h"
#include "run.h"

#include <unistd.h>

#define SLOTS 6u

struct slot {
    struct ant_request *rq; /* NULL: free */
    void *data;
    uint32_t pages;
    uint32_t number;
};

struct client {
    uint32_t number;
    uint32_t next; /* request */
    uint64_t random;
    struct slot slots[SLOTS];
};

/* ---- what it records ---- */

/* The data area that belongs to a request which has come back. */
static struct history_data look(const struct client *c, const struct slot *s)
{
    struct history_data seen = {.sent_pages = s->pages};
    if (s->rq && s->rq->data)
        data_look(s->rq->data, s->pages, COOKIE(c->number, s->number), &seen);
    return seen;
}

static void record_back(struct client *c, struct slot *s, enum history_kind kind, int error)
{
    record_add(kind, c->number)->refused = (struct history_refused){s->number, error, look(c, s)};
}

static void record_result(struct client *c, struct slot *s)
{
    struct ant_request *rq = s->rq;
    struct body *body = body_of(rq);
    struct history_record *record = record_add(HISTORY_RESULT, c->number);
    record->result = (struct history_result){
        .number = (uint32_t)rq->cookie,
        .at = s->number,
        .status = rq->status,
        .error = rq->error,
        .data = look(c, s),
        .data_gone = s->pages > 0 && !rq->data,
        .echo = (uint32_t)body->cookie,
        .service = body->service,
    };
}

/* ---- a slot ---- */

static void empty(struct client *c, struct slot *s)
{
    int rc = 0;
    if (s->rq->data) {
        data_wipe(s->rq->data, s->pages);
        AROUND(ROLE_CLIENT, CALL_FREE, c->number, rc, ant_ica_free(s->rq->data));
    }
    if (rc != 0)
        record_call("ant_ica_free", rc);
    data_wipe(s->rq, 1);
    AROUND(ROLE_CLIENT, CALL_REQUEST_FREE, c->number, rc, ant_request_free(s->rq));
    if (rc != 0)
        record_call("ant_request_free", rc);
    *s = (struct slot){0};
}

static int fill(struct client *c, struct slot *s, uint32_t function, bool repeatable)
{
    int rc;
    AROUND(ROLE_CLIENT, CALL_REQUEST_NEW, c->number, rc, ant_request_new(function, &s->rq));
    if (rc != 0) {
        s->rq = NULL;
        s->pages = 0;
        return rc;
    }
    s->rq->cookie = COOKIE(c->number, s->number);
    s->rq->flags = repeatable ? ANT_REPEATABLE : 0;
    *body_of(s->rq) = (struct body){.cookie = s->rq->cookie, .pages = s->pages};
    if (s->pages == 0)
        return 0;
    AROUND(ROLE_CLIENT, CALL_ALLOC, c->number, rc, ant_ica_alloc(s->pages, &s->data));
    if (rc != 0) {
        s->pages = 0;
        return rc;
    }
    if (!data_clear(s->data, s->pages))
        record_call("bytes of others", 0);
    data_fill(s->data, s->pages, s->rq->cookie);
    s->rq->data = s->data;
    return 0;
}

/* Nothing was sent: everything is as it was. */
static void refused(struct client *c, struct slot *s, int rc)
{
    record_back(c, s, HISTORY_REFUSED, rc);
    if (s->rq)
        empty(c, s);
    *s = (struct slot){0};
}

/* ---- it asks ---- */

static bool is_outstanding(const struct ant_request *rq)
{
    struct ant_pending items[SLOTS];
    size_t count = 0;
    bool there = false;
    if (ant_pending(ANT_OUTSTANDING, items, SLOTS, &count) == 0)
        for (size_t i = 0; i < count && i < SLOTS; i++)
            there = there || items[i].request == rq;
    return there;
}

/* What is left of an area that it has sent? */
static void probe(struct client *c, struct slot *s)
{
    struct ant_ica_info info;
    bool outstanding = is_outstanding(s->rq);
    int said = ant_ica_info(s->data, &info);
    bool read = pwrite(run.scratch, s->data, 8, 0) == 8;
    record_add(HISTORY_PROBE, c->number)->probe =
        (struct history_probe){s->number, outstanding, said, read ? 0 : errno};
}

static void ask_and_go_on(struct client *c, struct slot *s)
{
    before(ROLE_CLIENT, CALL_SEND, c->number);
    int rc = ant_send(s->rq);
    if (rc != 0)
        refused(c, s, rc);
    else if (s->pages > 0)
        probe(c, s);
    after(ROLE_CLIENT, CALL_SEND, c->number);
}

static void ask_and_wait(struct client *c, struct slot *s)
{
    bool patient = plan_once_in(&c->random, 2) || (run.plan->direct && plan_once_in(&c->random, 2));
    int64_t timeout_ns = patient ? ANT_FOREVER : (int64_t)(US * (10 + plan_below(&c->random, 500)));
    before(ROLE_CLIENT, CALL_CALL, c->number);
    int rc = call_and_lend(s->rq, timeout_ns, run.plan->client_priority[c->number]);
    if (rc == -ETIMEDOUT || rc == -EDEADLK) {
        record_back(c, s, HISTORY_WITHDRAWN, rc);
        empty(c, s);
    } else if (rc == 0 || (rc != -EINPROGRESS && s->rq->error == rc)) {
        record_result(c, s);
        empty(c, s);
    } else if (rc != -EINPROGRESS) {
        refused(c, s, rc);
    }
    after(ROLE_CLIENT, CALL_CALL, c->number);
}

static void ask(struct client *c, struct slot *s)
{
    uint32_t function = FUNCTION_ID(plan_below(&c->random, 2));
    bool waits = plan_once_in(&c->random, 2), repeatable = plan_once_in(&c->random, 2);
    s->number = c->next++;
    s->pages = plan_once_in(&c->random, 3) ? 1 + plan_below(&c->random, 3) : 0;
    record_add(HISTORY_SENT, c->number)->sent =
        (struct history_sent){s->number, function, repeatable, waits};
    int rc = fill(c, s, function, repeatable);
    if (rc != 0)
        refused(c, s, rc);
    else if (waits)
        ask_and_wait(c, s);
    else
        ask_and_go_on(c, s);
}

/* ---- it has its results ---- */

static uint32_t out(const struct client *c)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SLOTS; i++)
        count += c->slots[i].rq != NULL;
    return count;
}

/* False: it is to end. */
static bool take(struct client *c, int64_t timeout_ns)
{
    struct ant_message message;
    int rc;
    before(ROLE_CLIENT, CALL_RECEIVE, c->number);
    rc = ant_receive(&message, timeout_ns);
    if (rc == 0 && message.kind == ANT_RESULT) {
        struct slot *s = c->slots;
        while (s < c->slots + SLOTS && s->rq != message.request)
            s++;
        if (s == c->slots + SLOTS) {
            record_call("unknown result", 0);
        } else {
            record_result(c, s);
            empty(c, s);
        }
    } else if (rc == 0 && message.kind != ANT_STOP) {
        record_call("ant_receive", (int)message.kind);
    } else if (rc != 0 && rc != -ETIMEDOUT) {
        record_call("ant_receive", rc);
        return false;
    }
    after(ROLE_CLIENT, CALL_RECEIVE, c->number);
    return rc != 0 || message.kind != ANT_STOP;
}

static void cancel_one(struct client *c)
{
    struct slot *s = &c->slots[plan_below(&c->random, SLOTS)];
    if (!s->rq)
        return;
    before(ROLE_CLIENT, CALL_CANCEL, c->number);
    int rc = ant_cancel(s->rq);
    if (rc == 0) {
        record_back(c, s, HISTORY_WITHDRAWN, 0);
        empty(c, s);
    } else if (rc != -EINPROGRESS && rc != -EALREADY && rc != -ENOMEM) {
        record_call("ant_cancel", rc);
    }
    after(ROLE_CLIENT, CALL_CANCEL, c->number);
}

static struct slot *free_slot(struct client *c)
{
    for (uint32_t i = 0; i < SLOTS; i++)
        if (!c->slots[i].rq)
            return &c->slots[i];
    return NULL;
}

static bool act(struct client *c)
{
    struct slot *s = free_slot(c);
    switch (plan_below(&c->random, 8)) {
    case 0:
        before(ROLE_CLIENT, CALL_WORK, c->number);
        if (work(c->number, (5 + plan_below(&c->random, 20)) * US,
                 run.plan->client_priority[c->number]) != 0)
            return false;
        after(ROLE_CLIENT, CALL_WORK, c->number);
        return true;
    case 1:
        cancel_one(c);
        return true;
    case 2:
    case 3:
        return take(c, (int64_t)(plan_below(&c->random, 3) * 20 * US));
    default:
        if (!s)
            return take(c, ANT_FOREVER);
        ask(c, s);
        return true;
    }
}

int client_main(void *number)
{
    struct client c = {.number = (uint32_t)(uintptr_t)number};
    c.random = plan_mix(run.plan->seed ^ plan_mix(1000 + c.number));
    while (c.next < run.plan->requests)
        if (!act(&c))
            return -ESHUTDOWN;
    while (out(&c) > 0)
        if (!take(&c, ANT_FOREVER))
            return -ESHUTDOWN;
    hog_free();
    struct ant_ica_stats stats;
    if (ant_ica_stats(&stats) == 0 && stats.own_pages != 0)
        record_call("own pages", (int)stats.own_pages);
    return 0;
}

/* ---- the last question ---- */

/* Its result, if its server has taken it before the time limit passed. */
static int await_last(void)
{
    struct ant_message message;
    int rc = ant_receive(&message, (int64_t)(50 * MS));
    return rc == 0 ? message.request->error : -EINPROGRESS;
}

bool client_ask_last(uint32_t which)
{
    struct ant_request *rq = run.last[which];
    struct ant_process_info info;
    bool dead = ant_process_info(run.servers[which], &info) != 0 || info.dead;
    rq->function = FUNCTION_ID(which);
    rq->cookie = COOKIE(HISTORY_CLIENTS, which);
    rq->flags = 0;
    *body_of(rq) = (struct body){.cookie = rq->cookie};
    int rc = ant_call(rq, (int64_t)(20 * MS));
    if (rc == -EINPROGRESS)
        rc = await_last();
    struct history_record *record = record_add(HISTORY_LAST, FUNCTION_ID(which));
    record->last = (struct history_last){.error = rc, .dead = dead};
    if (rc == -EINPROGRESS) {
        run.last[which] = NULL; /* it is not ours */
        return true;
    }
    record->last.status = rq->status;
    record->last.service = body_of(rq)->service;
    return rc == 0 && rq->status == 0;
}
