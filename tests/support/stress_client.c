/*
 * A client of the stress model: it draws what to do next, and keeps its ledger. What it has out is in its slots; a result
 * that fits no slot is one too many, a slot that is never emptied one too few.
 */
#include "stress_inside.h"

#include <errno.h>
#include <unistd.h>

/* Fills a free slot with a request that has not been sent yet. NULL: no memory, or no slot. */
static struct slot *client_prepare(struct client *client)
{
    const struct model_config *config = &model.config;
    struct slot *slot = NULL;

    for (uint32_t i = 0; i < config->outstanding && slot == NULL; i++) {
        slot = client->slots[i].rq == NULL ? &client->slots[i] : NULL;
    }
    if (slot == NULL) {
        return NULL;
    }
    uint32_t function = stress_below(&client->random, MODEL_FUNCTIONS);
    uint64_t draw = stress_random(&client->random);
    *slot = (struct slot){.function = MODEL_STORE + function, .key = draw};
    if (config->pages_max > 0 && draw % 3 != 0) {
        slot->pages = (draw >> 8) % 4 != 0 ? 1 : 1 + (draw >> 16) % config->pages_max;
        if (config->huge_one_in > 0 && (draw >> 24) % config->huge_one_in == 0) {
            slot->pages = 300;
        }
    }
    int error = ant_request_new(slot->function, &slot->rq);
    if (error == 0 && slot->pages > 0) {
        error = ant_ica_alloc(slot->pages, &slot->data);
        if (error != 0) {
            ant_request_free(slot->rq);
        }
    }
    if (error != 0) {
        STRESS_CHECK(error == -ENOMEM && config->short_of_memory, "client %u: no memory: %s",
                     client->number, ant_strerror(error));
        slot->rq = NULL;
        return NULL;
    }
    slot->cookie =
        (uint64_t)client->number << 48 | (uint64_t)function << 40 | (client->sequence[function] + 1);
    if (slot->data != NULL) {
        model_fill(slot->data, slot->pages, slot->key);
    }
    slot->rq->operation = (uint32_t)slot->key;
    slot->rq->cookie = slot->cookie;
    slot->rq->data = slot->data;
    slot->rq->data_bytes = slot->pages * ANT_PAGE_BYTES;
    slot->rq->payload_bytes = sizeof(struct order);
    *order_of(slot->rq) = (struct order){.key = slot->key, .pages = (uint32_t)slot->pages};
    client->busy++;
    return slot;
}

/* Promise 3: a system call given a stale address fails. (It takes no virtual time, and the probe needs no signal handler.) */
static void client_probe(struct client *client, const void *stale, uint64_t *count)
{
    if (model.config.probes) {
        ssize_t written = write(model.probe_file, stale, 1);
        STRESS_CHECK(written == -1 && errno == EFAULT,
                     "client %u: write(2) of a byte of what it has %s: %zd", client->number,
                     count == &client->ledger.probed_sent ? "sent" : "freed", written);
        ++*count;
    }
}

/* Of what was sent, by clients above the server: it has not run yet. Below it, the result may be back already. */
static void client_probe_sent(struct client *client, const struct slot *slot)
{
    if (client->number % 2 == 1) {
        client_probe(client, slot->rq, &client->ledger.probed_sent);
        if (slot->data != NULL) {
            client_probe(client, slot->data, &client->ledger.probed_sent);
        }
    }
}

/* The request is the client's again: its slot is freed, with all that it holds. */
static void client_drop(struct client *client, struct slot *slot)
{
    if (slot->data != NULL) {
        STRESS_OK(ant_ica_free(slot->data));
        client_probe(client, slot->data, &client->ledger.probed_freed);
    }
    STRESS_OK(ant_request_free(slot->rq));
    client_probe(client, slot->rq, &client->ledger.probed_freed);
    slot->rq = NULL;
    client->busy--;
}

/* Nothing has touched a request that nobody served. */
static void client_check_untouched(struct client *client, struct slot *slot)
{
    STRESS_CHECK(slot->rq->cookie == slot->cookie && slot->rq->data == slot->data &&
                     order_of(slot->rq)->taken == 0,
                 "client %u: a request came back changed, cookie %" PRIx64, client->number,
                 slot->cookie);
    STRESS_CHECK(slot->data == NULL || model_matches(slot->data, slot->pages, slot->key, false),
                 "client %u: a data area came back changed, cookie %" PRIx64, client->number,
                 slot->cookie);
}

/* A result: is it all that it must be? */
static void client_take(struct client *client, struct slot *slot)
{
    struct ant_request *rq = slot->rq;

    STRESS_CHECK(rq->cookie == slot->cookie && rq->function == slot->function &&
                     rq->operation == (uint32_t)slot->key,
                 "client %u: sent cookie %" PRIx64 " function %u, got cookie %" PRIx64 " function %u",
                 client->number, slot->cookie, slot->function, rq->cookie, rq->function);
    if (rq->error != 0 && rq->data == NULL && slot->function == MODEL_READ) {
        slot->data = NULL; /* it was at the driver when the server died: that was the server's to keep or lose */
    }
    STRESS_CHECK(rq->data == slot->data, "client %u: the data area came back elsewhere", client->number);
    if (rq->error != 0) {
        STRESS_CHECK(model.config.server_dies && (rq->error == -EOWNERDEAD || rq->error == -ESHUTDOWN),
                     "client %u: answered by the core: %s", client->number, ant_strerror(rq->error));
        client->ledger.dropped++;
    } else if (rq->status == -ENOMEM && model.config.short_of_memory) {
        client->ledger.refused++;
    } else {
        STRESS_CHECK(rq->status == (int32_t)client->number, "client %u: status %d", client->number,
                     rq->status);
        STRESS_CHECK(order_of(rq)->taken == 1, "client %u: served %u times", client->number,
                     order_of(rq)->taken);
        STRESS_CHECK(slot->data == NULL || model_matches(slot->data, slot->pages, slot->key, true),
                     "client %u: wrong bytes in an answer, cookie %" PRIx64, client->number,
                     slot->cookie);
        client->ledger.answered++;
        client->ledger.late += slot->late;
    }
    client_drop(client, slot);
}

/* Was it sent? If not, and if that is allowed, the slot is free again. */
static bool client_was_sent(struct client *client, struct slot *slot, int error)
{
    switch (error) {
    case -ENOMEM:
    case -ESRCH:
        STRESS_CHECK(error == -ENOMEM ? model.config.short_of_memory : model.config.server_dies,
                     "client %u: send: %s", client->number, ant_strerror(error));
        client_check_untouched(client, slot);
        client_drop(client, slot);
        return false;
    case 0:
    case -EOWNERDEAD:
    case -ESHUTDOWN:
    case -ETIMEDOUT:
    case -EINPROGRESS:
        client->sequence[slot->function - MODEL_STORE]++;
        client->ledger.sent++;
        return true;
    default:
        STRESS_FAIL("client %u: send: %s", client->number, ant_strerror(error));
        client_drop(client, slot);
        return false;
    }
}

/* -> false: the function is gone. */
static bool client_call(struct client *client)
{
    struct slot *slot = client_prepare(client);
    int64_t timeout_ns = ANT_FOREVER;

    if (slot == NULL) {
        return true;
    }
    if (model.config.withdraw && stress_below(&client->random, 4) == 0) {
        timeout_ns = (int64_t)stress_below(&client->random, 2 * model.config.wait_ns + 1);
    }
    int error = ant_call(slot->rq, timeout_ns);
    if (!client_was_sent(client, slot, error)) {
        return error != -ESRCH;
    }
    if (error == -EINPROGRESS || error == -ETIMEDOUT) {
        STRESS_CHECK(timeout_ns >= 0, "client %u: %s without a time limit", client->number,
                     ant_strerror(error));
    }
    if (error == -EINPROGRESS) {
        slot->late = true;
        client_probe_sent(client, slot);
    } else if (error == -ETIMEDOUT) {
        STRESS_CHECK(slot->rq->error == error, "client %u: error %d in a request that timed out",
                     client->number, slot->rq->error);
        client_check_untouched(client, slot);
        client_drop(client, slot);
        client->ledger.withdrawn++;
    } else {
        STRESS_CHECK(slot->rq->error == error, "client %u: ant_call %d, error %d", client->number,
                     error, slot->rq->error);
        client_take(client, slot);
    }
    return true;
}

static bool client_send(struct client *client)
{
    struct slot *slot = client_prepare(client);

    if (slot == NULL) {
        return true;
    }
    int error = ant_send(slot->rq);
    bool sent = client_was_sent(client, slot, error);
    if (sent) {
        client_probe_sent(client, slot);
    }
    return sent || error != -ESRCH;
}

/* Takes one result. -> false: none within the limit. */
static bool client_receive(struct client *client, int64_t timeout_ns)
{
    struct ant_message message;
    int error = ant_receive(&message, timeout_ns);

    if (error == -ETIMEDOUT && timeout_ns >= 0) {
        return false;
    }
    if (!STRESS_CHECK(error == 0 && message.kind == ANT_RESULT, "client %u: ant_receive: %s",
                      client->number, ant_strerror(error))) {
        client->busy = 0; /* the test has failed; let it end */
        return false;
    }
    for (uint32_t i = 0; i < MODEL_OUTSTANDING_MAX; i++) {
        if (client->slots[i].rq == message.request) {
            client_take(client, &client->slots[i]);
            return true;
        }
    }
    STRESS_FAIL("client %u: a result that it does not wait for (twice?), cookie %" PRIx64,
                client->number, message.request->cookie);
    return true;
}

static void client_cancel(struct client *client)
{
    struct slot *slot = &client->slots[stress_below(&client->random, model.config.outstanding)];

    if (slot->rq == NULL) {
        return;
    }
    int error = ant_cancel(slot->rq);
    if (error == 0) {
        client_check_untouched(client, slot);
        client_drop(client, slot);
        client->ledger.withdrawn++;
    } else {
        STRESS_CHECK(error == -EINPROGRESS || error == -EALREADY, "client %u: ant_cancel: %s",
                     client->number, ant_strerror(error));
    }
}

int client_main(void *argument)
{
    struct client *client = argument;
    const struct model_config *config = &model.config;
    bool served = true;

    while (served && !atomic_load(&model.stop) &&
           (config->requests == 0 || client->ledger.sent < config->requests)) {
        uint32_t draw = stress_below(&client->random, 100);

        if (client->busy == config->outstanding) {
            client_receive(client, ANT_FOREVER);
        } else if (draw < 35) {
            served = client_call(client);
        } else if (draw < 80) {
            uint32_t batch = 1 + stress_below(&client->random, config->outstanding);
            for (uint32_t i = 0; i < batch && served && client->busy < config->outstanding; i++) {
                served = client_send(client);
            }
        } else if (draw < 90) {
            while (client->busy > 0 && client_receive(client, 0)) {
            }
        } else if (config->withdraw && draw < 95) {
            client_cancel(client);
        } else {
            some_wait(stress_random(&client->random));
        }
        some_work(stress_random(&client->random));
        if (client->number % 2 == 1 || config->short_of_memory || config->rests) {
            some_wait(stress_random(&client->random)); /* those above the server leave some processor to those below */
        }
    }
    while (client->busy > 0) {
        client_receive(client, ANT_FOREVER);
    }
    return 0;
}
