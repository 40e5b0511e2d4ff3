/* Promises 1 to 3, from what the clients recorded: one result each, in order, with its own bytes. */
#include "check.h"

#include <stdlib.h>

struct request {
    const struct history_sent *sent;
    const struct history_result *result;
    uint32_t resolved;
};

struct served {
    uint64_t epoch, serial;
    uint32_t client, number;
};

static struct request requests[HISTORY_CLIENTS][HISTORY_REQUESTS];
static struct served served[HISTORY_CLIENTS * HISTORY_REQUESTS];

static struct request *find(struct check *c, const struct history_record *r, uint32_t number)
{
    if (r->actor >= HISTORY_CLIENTS || number >= HISTORY_REQUESTS) {
        check_violation(c, 1, "a result for a request %u of client %u, which there is not", number,
                        r->actor);
        return NULL;
    }
    return &requests[r->actor][number];
}

/* ---- one by one ---- */

/* One more way in which a request has ended. */
static struct request *resolve(struct check *c, const struct history_record *r, uint32_t number,
                               const char *how)
{
    struct request *q = find(c, r, number);
    if (!q)
        return NULL;
    if (!q->sent)
        check_violation(c, 1, "request %u of client %u is %s, but was never sent", number, r->actor, how);
    else if (++q->resolved > 1)
        check_violation(c, 1, "request %u of client %u is %s, and had ended before", number,
                        r->actor, how);
    return q->sent ? q : NULL;
}

/* It came back unserved, so as it was sent; but one that may be repeated can have been at a server that has died. */
static void check_back(struct check *c, const struct history_record *r, bool withdrawn)
{
    const struct history_refused *back = &r->refused;
    const struct request *q = resolve(c, r, back->number, withdrawn ? "withdrawn" : "refused");
    if (!q)
        return;
    uint32_t whole =
        back->data.same_pages + (withdrawn && q->sent->repeatable ? back->data.done_pages : 0);
    if (whole != back->data.sent_pages)
        check_violation(c, 3, "request %u of client %u came back unserved with %u of %u pages as they were",
                        back->number, r->actor, whole, back->data.sent_pages);
}

static void check_data(struct check *c, const struct history_record *r)
{
    const struct history_result *t = &r->result;
    const struct history_data *d = &t->data;
    if (d->foreign_pages > 0)
        check_violation(c, 3, "request %u of client %u came back with %u pages of others",
                        t->number, r->actor, d->foreign_pages);
    if (t->data_gone && t->error != -EOWNERDEAD)
        check_violation(c, 3, "request %u of client %u came back without its data (error %d)",
                        t->number, r->actor, t->error);
    if (!t->data_gone && d->same_pages + d->done_pages + d->foreign_pages != d->sent_pages)
        check_violation(c, 3, "request %u of client %u came back with other data", t->number, r->actor);
    if (t->error == 0 && t->status == 0 && d->done_pages != d->sent_pages)
        check_violation(c, 3, "request %u of client %u was served, but %u of %u pages do not say so",
                        t->number, r->actor, d->sent_pages - d->done_pages, d->sent_pages);
}

static void check_result(struct check *c, const struct history_record *r)
{
    const struct history_result *t = &r->result;
    struct request *q = resolve(c, r, t->number, "answered");
    c->verdict.results++;
    if (!q)
        return;
    q->result = t;
    c->verdict.direct += t->service.direct > 0;
    if (t->service.direct > 0 && !q->sent->synchronous)
        check_violation(c, 0, "request %u of client %u, which did not wait for it, was served on its thread",
                        t->number, r->actor);
    if (t->at != t->number || t->echo != t->number)
        check_violation(c, 1, "request %u of client %u came back as %u, with the payload of %u",
                        t->at, r->actor, t->number, t->echo);
    if (t->error == 0 && t->service.serial == 0 && t->status == 0)
        check_violation(c, 1, "request %u of client %u has a result, but nobody has served it",
                        t->number, r->actor);
    if (t->service.attempts > 2 || (t->service.attempts > 1 && !q->sent->repeatable))
        check_violation(c, 1, "request %u of client %u was served %u times", t->number, r->actor,
                        t->service.attempts);
    check_data(c, r);
}

static void check_probe(struct check *c, const struct history_record *r)
{
    const struct history_probe *p = &r->probe;
    if (p->outstanding && p->info == 0)
        check_violation(c, 3, "client %u is told of an area that is away (request %u)", r->actor,
                        p->number);
    if (p->outstanding && c->begin->strict && p->system_call != EFAULT)
        check_violation(c, 3, "client %u can read an area that is away (request %u)", r->actor, p->number);
}

/* ---- all of a client ---- */

static void check_complete(struct check *c, uint32_t client)
{
    for (uint32_t i = 0; i < HISTORY_REQUESTS; i++)
        if (requests[client][i].sent && requests[client][i].resolved == 0)
            check_violation(c, 1, "request %u of client %u has no result", i, client);
}

/* What one client sent to one function was received in that order. */
static void check_order(struct check *c, uint32_t client, uint32_t function)
{
    const struct history_service *last = NULL;
    for (uint32_t i = 0; i < HISTORY_REQUESTS; i++) {
        const struct request *q = &requests[client][i];
        if (!q->result || q->sent->function != function || q->result->error != 0)
            continue;
        const struct history_service *s = &q->result->service;
        if (last && (s->first_epoch < last->first_epoch ||
                     (s->first_epoch == last->first_epoch && s->first_serial <= last->first_serial)))
            check_violation(
                c, 2, "request %u of client %u to function %u was received before one sent earlier (%llu.%llu after %llu.%llu)",
                i, client, function, (unsigned long long)s->first_epoch,
                (unsigned long long)s->first_serial, (unsigned long long)last->first_epoch,
                (unsigned long long)last->first_serial);
        last = s;
    }
}

/* ---- all of a server ---- */

static int by_serial(const void *left, const void *right)
{
    const struct served *a = left, *b = right;
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    return a->serial < b->serial ? -1 : a->serial > b->serial;
}

/* A count of a state was given once, and none that the state has not come to. */
static void check_serials(struct check *c)
{
    uint32_t count = 0;
    for (uint32_t client = 0; client < HISTORY_CLIENTS; client++)
        for (uint32_t i = 0; i < HISTORY_REQUESTS; i++) {
            const struct history_result *t = requests[client][i].result;
            if (t && t->error == 0 && t->service.serial != 0)
                served[count++] = (struct served){t->service.epoch, t->service.serial, client, i};
        }
    qsort(served, count, sizeof served[0], by_serial);
    for (uint32_t i = 1; i < count; i++)
        if (by_serial(&served[i - 1], &served[i]) == 0)
            check_violation(c, 1, "two requests have the same count %llu of one state: %u of client %u, %u of client %u",
                            (unsigned long long)served[i].serial, served[i - 1].number,
                            served[i - 1].client, served[i].number, served[i].client);
    for (uint32_t r = 0; r < c->count; r++) {
        if (c->records[r]->kind != HISTORY_LAST || c->records[r]->last.error != 0)
            continue;
        const struct history_service *last = &c->records[r]->last.service;
        for (uint32_t i = 0; i < count; i++)
            if (served[i].epoch == last->epoch && served[i].serial >= last->serial)
                check_violation(c, 1, "the state of function %u has lost what it counted for client %u",
                                c->records[r]->actor, served[i].client);
    }
}

/* It served when all was over. */
static void check_last(struct check *c)
{
    const struct history_last *last[CHECK_FUNCTIONS] = {0};
    for (uint32_t i = 0; i < c->count; i++)
        if (c->records[i]->kind == HISTORY_LAST &&
            c->records[i]->actor - CHECK_FUNCTION_FIRST < CHECK_FUNCTIONS)
            last[c->records[i]->actor - CHECK_FUNCTION_FIRST] = &c->records[i]->last;
    for (uint32_t f = 0; f < CHECK_FUNCTIONS; f++)
        if (last[f] && (last[f]->error != 0 || last[f]->status != 0))
            check_violation(c, 0, "function %u does not serve any more: error %d, status %d%s",
                            f + CHECK_FUNCTION_FIRST, last[f]->error, last[f]->status,
                            last[f]->dead ? ", its server is dead" : "");
}

void check_requests(struct check *c)
{
    memset(requests, 0, sizeof requests);
    for (uint32_t i = 0; i < c->count; i++) {
        const struct history_record *r = c->records[i];
        struct request *q;
        switch ((enum history_kind)r->kind) {
        case HISTORY_SENT:
            c->verdict.requests++;
            q = find(c, r, r->sent.number);
            if (q)
                q->sent = &r->sent;
            break;
        case HISTORY_REFUSED:
            check_back(c, r, false);
            break;
        case HISTORY_WITHDRAWN:
            check_back(c, r, true);
            break;
        case HISTORY_RESULT:
            check_result(c, r);
            break;
        case HISTORY_PROBE:
            check_probe(c, r);
            break;
        case HISTORY_ENDED:
            if (r->ended.party == HISTORY_CLIENT && r->ended.status == 0)
                check_complete(c, r->actor % HISTORY_CLIENTS);
            break;
        default:
            break;
        }
    }
    for (uint32_t client = 0; client < HISTORY_CLIENTS; client++)
        for (uint32_t f = 0; f < CHECK_FUNCTIONS; f++)
            check_order(c, client, f + CHECK_FUNCTION_FIRST);
    check_serials(c);
    check_last(c);
}
