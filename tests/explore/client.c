/* A client of the exploration: sends, waits, withdraws, and holds what comes back against its book. */
#include "book.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static uint32_t index_of(void *arg)
{
    return (uint32_t)(uintptr_t)arg;
}

/* May a request be answered, or refused, with this error in this run? */
static bool is_explained(int error)
{
    bool stopped = book.scenario->stopper && book.stopping;
    return (stopped && (error == -ESHUTDOWN || error == -ESRCH || error == -EOWNERDEAD)) ||
           (error == -EOWNERDEAD && book.scenario->mortal) ||
           (error == -EAGAIN && book.scenario->queue_limit != 0);
}

static void free_all(struct entry *entry, struct ant_request *rq)
{
    int rc = entry->data && rq->data ? ant_ica_free(rq->data) : 0;
    CHECK(rc == 0, "data cannot be freed: %s", ant_strerror(rc));
    rc = ant_request_free(rq);
    CHECK(rc == 0, "a request cannot be freed: %s", ant_strerror(rc));
    entry->request = NULL;
}

/* It is the client's own again: served, or not. */
static void take_back(uint64_t cookie, struct ant_request *rq, bool served)
{
    struct entry *entry = entry_of(cookie);
    if (!entry)
        return;
    CHECK(entry->request == rq, "request %llx came back elsewhere, or twice", (unsigned long long)cookie);
    if (entry->request != rq)
        return;
    entry->results++;
    CHECK(rq->cookie == cookie, "a cookie is not what it was");
    bool again = book.scenario->mortal && plan_of(cookie)->repeatable;
    CHECK(served ? entry->served >= 1
                 : entry->served == 0 || again || rq->error == -EOWNERDEAD || rq->error == -ESHUTDOWN,
          "request %llx was served %u times, says its client", (unsigned long long)cookie,
          entry->served);
    if (served)
        CHECK(rq->status == (int32_t)cookie, "a status is not what the server said");
    if (entry->data && rq->data) {
        CHECK(rq->data == entry->data, "data came back elsewhere");
        CHECK(entry->data[1] == (served ? DATA_SERVED : DATA_SENT) || (!served && entry->served > 0),
              "data are not what they were");
    }
    CHECK(!entry->data || rq->data || rq->error != 0, "data are lost");
    free_all(entry, rq);
}

static void take_result(struct ant_request *rq)
{
    CHECK(rq->error == 0 || is_explained(rq->error), "a result: %s", ant_strerror(rq->error));
    take_back(rq->cookie, rq, rq->error == 0);
}

/* False: it was refused, and is freed. */
static bool was_sent(uint64_t cookie, struct ant_request *rq, int rc)
{
    if (rc == 0)
        return true;
    struct entry *entry = entry_of(cookie);
    CHECK(is_explained(rc), "a request is refused: %s", ant_strerror(rc));
    CHECK(entry->served == 0, "a refused request was served");
    free_all(entry, rq);
    return false;
}

/* How many are out more than before? */
static uint32_t call(uint64_t cookie, struct ant_request *rq, int64_t timeout_ns)
{
    int rc = ant_call(rq, timeout_ns);
    if (rc == -EINPROGRESS) {
        CHECK(timeout_ns >= 0, "a call without a limit has run out of time");
        return 1;
    }
    if (rc == -ETIMEDOUT) {
        CHECK(timeout_ns >= 0, "a call without a limit has run out of time");
        take_back(cookie, rq, false);
    } else if (rc == 0 || rq->error == rc) {
        CHECK(rc == 0 || is_explained(rc), "a call: %s", ant_strerror(rc));
        take_back(cookie, rq, rc == 0);
    } else {
        was_sent(cookie, rq, rc);
    }
    return 0;
}

static uint32_t withdraw(uint64_t cookie, struct ant_request *rq)
{
    int rc = ant_cancel(rq);
    CHECK(rc == 0 || rc == -EINPROGRESS || rc == -EALREADY, "a withdrawal: %s", ant_strerror(rc));
    if (rc == 0)
        take_back(cookie, rq, false);
    return rc != 0;
}

static uint32_t do_request(uint32_t client, uint32_t number)
{
    const struct request_plan *plan = &book.scenario->client[client].request[number];
    struct entry *entry = &book.entry[client][number];
    struct ant_request *rq;
    uint64_t cookie = cookie_of(client, number);
    int rc = ant_request_new(FN_SERVER, &rq);
    CHECK(rc == 0, "no request: %s", ant_strerror(rc));
    if (rc != 0)
        return 0;
    entry->request = rq;
    rq->cookie = cookie;
    rq->operation = plan->operation;
    rq->flags = plan->repeatable ? ANT_REPEATABLE : 0;
    if (plan->data && ant_ica_alloc(1, &rq->data) == 0) {
        entry->data = rq->data;
        memset(rq->data, DATA_SENT, ANT_PAGE_BYTES);
    }
    if (plan->way == WAY_CALL || plan->way == WAY_CALL_IN_TIME)
        return call(cookie, rq, plan->way == WAY_CALL ? ANT_FOREVER : plan->timeout_ns);
    if (!was_sent(cookie, rq, ant_send(rq)))
        return 0;
    return plan->way == WAY_CANCEL ? withdraw(cookie, rq) : 1;
}

int client_main(void *arg)
{
    uint32_t client = index_of(arg), out = 0;
    const struct client_plan *plan = &book.scenario->client[client];
    for (uint32_t number = 0; number < plan->requests; number++)
        out += do_request(client, number);
    while (out > 0 && !plan->leaves) {
        struct ant_message message;
        int rc = ant_receive(&message, ANT_FOREVER);
        CHECK(rc == 0, "a client waits in vain: %s", ant_strerror(rc));
        if (rc != 0)
            return 1;
        CHECK(message.kind == ANT_RESULT, "a client receives a message of kind %d", (int)message.kind);
        if (message.kind != ANT_RESULT)
            return 1;
        take_result(message.request);
        out--;
    }
    return 0;
}
