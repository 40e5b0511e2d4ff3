/*
 * Clients. Each draws what to do next and keeps its ledger: what it has out is in its slots, so that a result that fits no slot
 * is one too many, and a slot that is never emptied one too few.
 *
 * Order is seen by the stamps that a request gets when a server takes it, and when it takes it again after a death: of two requests of one client
 * to one function, the one sent later has the later stamps, whatever died meanwhile.
 */
#include "torture.h"

#define FUNCTIONS (2 * SERVERS_MAX + DRIVERS_MAX)
#define PATIENCE_NS INT64_C(40000000000)

struct slot {
    struct ant_request *rq; /* NULL: free */
    void *data;
    uint64_t sequence, cookie, deaths, ends;
    struct order order; /* as sent */
    uint32_t function, operation, flags;
    bool troubled; /* when it was made, somebody was about to end the server */
};

struct stamp {
    uint64_t sequence, first, again;
};

/* Each process has its own: one that has been killed may run on for an instant while the next of its number begins. */
struct client {
    struct actor *actor;
    struct slot slots[OUT_MAX];
    uint32_t busy; /* slots in use */
    bool stopped;
    uint64_t sent, results, withdrawn;
    uint64_t sequence[FUNCTIONS];
    struct stamp recent[FUNCTIONS][RECENT];
};

static uint32_t index_of(uint32_t function)
{
    return function >= FN_DRIVER   ? 2 * SERVERS_MAX + function - FN_DRIVER
           : function >= FN_SECOND ? SERVERS_MAX + function - FN_SECOND
                                   : function - FN_SERVER;
}

static uint32_t client_below(struct client *client, uint32_t below)
{
    return stress_below(&client->actor->random, below);
}

/* --- Sending ----------------------------------------------------------------------------------------------------------- */

static void draw_order(struct client *client, struct slot *slot)
{
    uint64_t draw = stress_random(&client->actor->random);
    uint32_t kind = (uint32_t)(draw % 3);

    slot->function = kind == 0   ? FN_SECOND + client_below(client, round_now.servers)
                     : kind == 1 ? FN_SERVER + client_below(client, round_now.servers)
                                 : FN_DRIVER + client_below(client, round_now.drivers);
    slot->flags = (draw >> 8) % 2 == 0 ? ANT_REPEATABLE : 0;
    slot->operation = (uint32_t)(draw >> 16) % OP_MISHAP;
    slot->order = (struct order){.key = draw};
    if ((draw >> 24) % 3 != 0) {
        slot->order.pages = 1 + (uint32_t)(draw >> 32) % 3;
        if (round_now.huge_one_in > 0 && client_below(client, round_now.huge_one_in) == 0) {
            slot->order.pages = 300;
        }
    }
    if (client_below(client, 200) == 0) {
        slot->operation = OP_MISHAP;
        slot->order.mishap = client_below(client, round_now.contain ? MISHAPS : MISHAP_FATAL);
        slot->order.always = client_below(client, 4) == 0;
    }
}

/* A request in a free slot, not sent yet. NULL: no slot, or no memory, which is no failure: new servers take all there is. */
static struct slot *client_prepare(struct client *client)
{
    struct slot *slot = NULL;

    for (uint32_t i = 0; i < OUT_MAX && slot == NULL; i++) {
        slot = client->slots[i].rq == NULL ? &client->slots[i] : NULL;
    }
    if (slot == NULL) {
        return NULL;
    }
    *slot = (struct slot){0};
    draw_order(client, slot);
    struct ant_request *rq;
    int error = ant_request_new(slot->function, &rq);
    if (error == 0 && slot->order.pages > 0) {
        error = ant_ica_alloc(slot->order.pages, &slot->data);
        if (error != 0) {
            STRESS_OK(ant_request_free(rq));
        }
    }
    if (error != 0) {
        STRESS_CHECK(error == -ENOMEM, "client %u: no request: %s", client->actor->number,
                     ant_strerror(error));
        return NULL;
    }
    if (slot->data != NULL) {
        model_fill(slot->data, slot->order.pages, slot->order.key);
    }
    slot->sequence = ++client->sequence[index_of(slot->function)];
    slot->cookie = (uint64_t)client->actor->number << 56 |
                   (uint64_t)(atomic_load(&client->actor->incarnation) & 0xffff) << 40 | slot->sequence;
    rq->operation = slot->operation;
    rq->cookie = slot->cookie;
    rq->flags = slot->flags;
    rq->data = slot->data;
    rq->data_bytes = slot->order.pages * (uint64_t)ANT_PAGE_BYTES;
    rq->payload_bytes = sizeof(struct order);
    *order_of(rq) = slot->order;
    const struct server *server = server_of(slot->function);
    slot->deaths = atomic_load(&server->deaths);
    slot->ends = atomic_load(&server->ends);
    slot->troubled = atomic_load(&server->unsettled) || atomic_load(&server->attempts) > 0;
    slot->rq = rq;
    client->busy++;
    return slot;
}

/* The request is the client's again: its slot is freed, with all that it holds. */
static void client_drop(struct client *client, struct slot *slot)
{
    struct ant_request *rq = slot->rq;

    if (slot->data != NULL) {
        STRESS_OK(ant_ica_free(slot->data));
    }
    STRESS_OK(ant_request_free(rq));
    slot->rq = NULL;
    client->busy--;
}

/* It was not sent. Is that allowed? */
static void client_refused(struct client *client, struct slot *slot, int error)
{
    const struct server *server = server_of(slot->function);
    bool allowed = error == -ENOMEM || (error == -ESRCH && atomic_load(&server->ends) > 0) ||
                   (error == -EAGAIN && server->options.queue_limit > 0) ||
                   (error == -EOWNERDEAD && server->options.on_death == ANT_DEATH_FAIL) ||
                   (round_now.abrupt && atomic_load(&round_now.over));

    STRESS_CHECK(allowed, "client %u: function %u refuses: %s", client->actor->number,
                 slot->function, ant_strerror(error));
    STRESS_CHECK(slot->rq->data == slot->data, "client %u: refused, and its data area is gone",
                 client->actor->number);
    client_drop(client, slot);
}

/* --- Results ----------------------------------------------------------------------------------------------------------- */

static bool in_order(const struct stamp *one, const struct stamp *other)
{
    bool before = one->sequence < other->sequence;

    return (one->first < other->first) == before &&
           (one->again == 0 || other->again == 0 || (one->again < other->again) == before);
}

/* Promise 2. */
static void check_order(struct client *client, const struct slot *slot, const struct order *order)
{
    struct stamp *recent = client->recent[index_of(slot->function)];
    struct stamp now = {slot->sequence, order->first, order->again};

    for (uint32_t i = 0; i < RECENT; i++) {
        STRESS_CHECK(recent[i].sequence == 0 || in_order(&now, &recent[i]),
                     "client %u, function %u: request %" PRIu64 " was taken at %" PRIu64
                     ", again at %" PRIu64 "; request %" PRIu64 " at %" PRIu64 ", again at %" PRIu64,
                     client->actor->number, slot->function, now.sequence, now.first, now.again,
                     recent[i].sequence, recent[i].first, recent[i].again);
    }
    recent[slot->sequence % RECENT] = now;
}

/* The server has answered: is it all that it must be? */
static void check_answer(struct client *client, struct slot *slot)
{
    struct ant_request *rq = slot->rq;
    const struct order *order = order_of(rq);
    uint32_t number = client->actor->number;
    bool same = rq->data == slot->data, answered = true;

    STRESS_CHECK(order->taken == 1 || (order->taken == 2 && (slot->flags & ANT_REPEATABLE)),
                 "client %u: served %u times", number, order->taken);
    if (rq->status == -EIO) { /* the driver has failed the server */
        STRESS_CHECK(slot->operation == OP_READ && (same || rq->data == NULL),
                     "client %u: operation %u: the driver has failed", number, slot->operation);
        answered = false;
    } else if (rq->status == -ENOMEM) {
        STRESS_CHECK(same && (slot->operation == OP_EXCHANGE || slot->operation == OP_READ),
                     "client %u: operation %u: no memory", number, slot->operation);
        answered = false;
    } else if (slot->operation == OP_KEEP && slot->function < FN_DRIVER) {
        STRESS_CHECK(rq->status == 0 && rq->data == NULL,
                     "client %u: the area that was to be kept is back, status %d", number, rq->status);
    } else {
        STRESS_CHECK(rq->status == 0, "client %u: status %d", number, rq->status);
        STRESS_CHECK(same || (slot->operation == OP_EXCHANGE && rq->data != NULL && slot->data != NULL),
                     "client %u: operation %u: the data area came back elsewhere", number,
                     slot->operation);
    }
    slot->data = rq->data;
    STRESS_CHECK(!answered || slot->data == NULL ||
                     model_matches(slot->data, slot->order.pages, slot->order.key, true),
                 "client %u: wrong bytes in an answer, function %u operation %u cookie %" PRIx64,
                 number, slot->function, slot->operation, slot->cookie);
    check_order(client, slot, order);
}

/* The core has answered in the server's stead: had it a reason to? */
static void check_error(struct client *client, struct slot *slot, int error)
{
    const struct server *server = server_of(slot->function);
    const struct order *order = order_of(slot->rq);
    uint64_t deaths = atomic_load(&server->deaths) - slot->deaths;
    uint64_t ends = atomic_load(&server->ends) - slot->ends;
    bool any = slot->troubled || (round_now.abrupt && atomic_load(&round_now.over));
    bool kept = slot->data == NULL || slot->operation == OP_STORE || slot->operation == OP_MISHAP;

    STRESS_CHECK(any || (error == -EOWNERDEAD && (deaths + ends > 0 || round_now.watchdog)) ||
                     (error == -ESHUTDOWN && ends > 0),
                 "client %u, function %u: answered by the core, for no reason: %s",
                 client->actor->number, slot->function, ant_strerror(error));
    STRESS_CHECK(any || ends > 0 || deaths > 1 || round_now.watchdog || !kept ||
                     !(slot->flags & ANT_REPEATABLE) || server->options.on_death == ANT_DEATH_FAIL,
                 "client %u, function %u: a request was to be served again, and is answered with %s; taken %u times",
                 client->actor->number, slot->function, ant_strerror(error), order->taken);
    if (slot->rq->data == NULL) {
        slot->data = NULL; /* the server had given it away */
    }
    STRESS_CHECK(slot->rq->data == slot->data, "client %u: the data area came back elsewhere",
                 client->actor->number);
    STRESS_CHECK(order->taken > 0 || slot->data == NULL ||
                     model_matches(slot->data, slot->order.pages, slot->order.key, false),
                 "client %u: a data area that nobody took has changed, cookie %" PRIx64
                 ": %s, %u pages, operation %u, %s, %u deaths, %u ends%s",
                 client->actor->number, slot->cookie,
                 area_looks(slot->data, slot->order.pages, slot->order.key), slot->order.pages,
                 slot->operation, ant_strerror(error), (unsigned)deaths, (unsigned)ends,
                 order->key == slot->order.key ? "" : "; nor is its request's payload what it was");
}

static void client_take(struct client *client, struct slot *slot)
{
    struct ant_request *rq = slot->rq;

    STRESS_CHECK(rq->cookie == slot->cookie && rq->function == slot->function &&
                     rq->operation == slot->operation && rq->flags == slot->flags,
                 "client %u: sent cookie %" PRIx64 " to %u, got cookie %" PRIx64 " from %u",
                 client->actor->number, slot->cookie, slot->function, rq->cookie, rq->function);
    client->results++;
    if (rq->error == 0) {
        check_answer(client, slot);
        tally(T_ANSWERED);
        if (order_of(rq)->taken > 1) {
            tally(T_TWICE);
        }
    } else {
        check_error(client, slot, rq->error);
        tally(T_DROPPED);
    }
    client_drop(client, slot);
}

/* Nothing has touched a request that nobody served. */
static void client_withdrawn(struct client *client, struct slot *slot)
{
    bool again = (slot->flags & ANT_REPEATABLE) && order_of(slot->rq)->taken > 0;

    STRESS_CHECK(slot->rq->cookie == slot->cookie && slot->rq->data == slot->data,
                 "client %u: a request came back changed, cookie %" PRIx64, client->actor->number,
                 slot->cookie);
    STRESS_CHECK(again || (order_of(slot->rq)->taken == 0 &&
                           (slot->data == NULL ||
                            model_matches(slot->data, slot->order.pages, slot->order.key, false))),
                 "client %u: a withdrawn request was served, cookie %" PRIx64,
                 client->actor->number, slot->cookie);
    client->withdrawn++;
    tally(T_WITHDRAWN);
    client_drop(client, slot);
}

/* False: nothing came. */
static bool client_receive(struct client *client, int64_t timeout_ns)
{
    struct ant_message message;
    uint32_t opened = actor_open(&client->actor->section);
    int error = ant_receive(&message, timeout_ns);
    actor_close(&client->actor->section, opened);

    if (error != 0) {
        STRESS_CHECK(error == -ETIMEDOUT, "client %u: ant_receive: %s", client->actor->number,
                     ant_strerror(error));
        return false;
    }
    if (message.kind != ANT_RESULT) {
        client->stopped = STRESS_CHECK(message.kind == ANT_STOP, "client %u: a message of kind %d",
                                       client->actor->number, (int)message.kind);
        return false;
    }
    for (uint32_t i = 0; i < OUT_MAX; i++) {
        if (client->slots[i].rq == message.request) {
            client_take(client, &client->slots[i]);
            return true;
        }
    }
    STRESS_FAIL("client %u: a result that it does not wait for, cookie %" PRIx64,
                client->actor->number, message.request->cookie);
    return true;
}

/* --- What it does ------------------------------------------------------------------------------------------------------ */

static void client_call(struct client *client)
{
    static const int64_t limits_ns[] = {ANT_FOREVER, ANT_FOREVER, ANT_FOREVER, ANT_FOREVER,
                                        0,           50000,       400000,      3000000};
    struct slot *slot = client_prepare(client);

    if (slot == NULL) {
        return;
    }
    struct ant_request *rq = slot->rq;
    uint32_t opened = actor_open(&client->actor->section);
    int error = ant_call(rq, limits_ns[client_below(client, 8)]);
    actor_close(&client->actor->section, opened);

    if (error == 0 || error == -EINPROGRESS || error == -ETIMEDOUT || (error == rq->error)) {
        client->sent++;
        tally(T_REQUESTS);
    }
    if (error == -EINPROGRESS) {
        return;
    } else if (error == -ETIMEDOUT) {
        client_withdrawn(client, slot);
    } else if (error == rq->error) {
        client_take(client, slot);
    } else {
        client_refused(client, slot, error);
    }
}

static void client_send(struct client *client)
{
    struct slot *slot = client_prepare(client);

    if (slot == NULL) {
        return;
    }
    int error = ant_send(slot->rq);
    if (error == 0) {
        client->sent++;
        tally(T_REQUESTS);
    } else {
        client_refused(client, slot, error);
    }
}

static void client_cancel(struct client *client)
{
    struct slot *slot = &client->slots[client_below(client, OUT_MAX)];

    if (slot->rq != NULL) {
        int error = ant_cancel(slot->rq);
        STRESS_CHECK(error == 0 || error == -EINPROGRESS || error == -EALREADY,
                     "client %u: ant_cancel: %s", client->actor->number, ant_strerror(error));
        if (error == 0) {
            client_withdrawn(client, slot);
        }
    }
}

/* Promise 7. */
static void client_errs(struct client *client)
{
    struct slot *slot = &client->slots[client_below(client, OUT_MAX)];
    struct ant_request *nowhere = (struct ant_request *)(void *)client;
    struct ant_request *rq;

    STRESS_CHECK(ant_send(nowhere) == -EFAULT && ant_ica_free(nowhere) == -EFAULT &&
                     ant_reply(nowhere, 0) == -EFAULT && ant_cancel(nowhere) == -EFAULT,
                 "the address of no area is taken for one");
    if (slot->rq != NULL) {
        int error = ant_request_free(slot->rq);
        STRESS_CHECK(error == -EPERM, "ant_request_free of a request that is out: %s",
                     ant_strerror(error));
    }
    if (ant_request_new(FN_NOBODY, &rq) == 0) {
        STRESS_CHECK(ant_reply(rq, 0) == -EPERM, "it answers itself");
        STRESS_CHECK(ant_send(rq) == -ESRCH, "nobody serves that function");
        STRESS_OK(ant_request_free(rq));
    }
}

static void client_suffers(struct client *client)
{
    enum mishap mishap = (enum mishap)client_below(client, round_now.contain ? MISHAPS : MISHAP_FATAL);

    if (mishap == MISHAP_SELF_SWAP) {
        return;
    }
    if (mishap >= MISHAP_HARMLESS) {
        actor_harm(client->actor);
        tally(mishap >= MISHAP_FATAL ? T_CRASHES : T_KILLS_CLIENT);
    }
    mishap_happens(mishap, 0, &client->actor->section);
}

static void client_step(struct client *client)
{
    uint32_t draw = client_below(client, 64);

    if (client->busy == OUT_MAX || draw < 16) {
        client_receive(client, client->busy == OUT_MAX ? (int64_t)ANT_NS_PER_MS : 0);
    } else if (draw < 28) {
        client_call(client);
    } else if (draw < 48) {
        client_send(client);
    } else if (draw < 54) {
        client_cancel(client);
    } else if (draw < 55) {
        client_errs(client);
    } else if (draw < 56) {
        if (client_below(client, 16) == 0) {
            client_suffers(client);
        }
    } else {
        uint32_t opened = actor_open(&client->actor->section);
        int error = draw < 60 ? ant_work(client_below(client, 20000))
                              : ant_sleep(ant_now() + client_below(client, 300000));
        actor_close(&client->actor->section, opened);
        client->stopped |= error == -ESHUTDOWN;
    }
}

int client_main(void *argument)
{
    struct actor *actor = argument;
    struct client own = {.actor = actor}, *client = &own;

    while (!atomic_load(&round_now.over) && !client->stopped) {
        client_step(client);
    }
    while (client->busy > 0 && !client->stopped) {
        if (!client_receive(client, PATIENCE_NS) && !client->stopped) {
            const struct slot *slot = client->slots;
            while (slot->rq == NULL) {
                slot++;
            }
            STRESS_FAIL(
                "client %u: no result of %u requests, one to function %u, operation %u, mishap %u",
                actor->number, client->busy, slot->function, slot->operation, slot->order.mishap);
            return STATUS_DONE;
        }
    }
    if (client->stopped) {
        STRESS_CHECK(round_now.abrupt || actor_harmed(actor), "client %u: nobody has stopped it",
                     actor->number);
        return round_now.abrupt && !actor_harmed(actor) ? STATUS_DONE : STATUS_STOPPED;
    }
    STRESS_CHECK(client->sent == client->results + client->withdrawn,
                 "client %u: sent %" PRIu64 ", %" PRIu64 " results, %" PRIu64 " withdrawn",
                 actor->number, client->sent, client->results, client->withdrawn);
    return STATUS_DONE;
}
