/*
 * Servers with state, and the drivers that they ask.
 *
 * A server's state is in one of two layouts, and its programs are of three kinds: with callbacks, which permit direct calls or not, or with a loop of their own. What
 * must outlive a generation is in the state; what a generation must do before its first message is in settle().
 */
#include "torture.h"

#define KEPT_MAX 64u
#define HELD_MAX 8u
#define AREAS_MAX 1024u
#define ANNEX_KEY UINT64_C(0xa44e)

/* A request that waits for a driver. */
struct kept {
    struct ant_request *rq; /* NULL: free */
    uint64_t ticket;        /* names it to the driver */
    uint64_t key, taken;    /* of its order */
};

/* Layout 1: at the beginning of its area; layout 2: at SHIFT. */
#define SHIFT 1024u
struct state {
    uint64_t identity;
    uint64_t served;
    uint64_t tickets;
    uint64_t generation; /* that settled last */
    void *annex;         /* an area of the server's, to which the state points through every swap */
    struct kept kept[KEPT_MAX];
};

#define MAGIC(layout) (UINT64_C(0x5747a7e0) + (layout))
_Static_assert(sizeof(struct state) + SHIFT + sizeof(uint64_t) <= ANT_PAGE_BYTES, "a page is enough");

static _Atomic uint64_t stamps;          /* the clock of all servers */
static _Thread_local bool is_a_server_s; /* the thread, its own */

struct server *server_of(uint32_t function)
{
    if (function >= FN_DRIVER) {
        return function - FN_DRIVER < DRIVERS_MAX ? &round_now.driver[function - FN_DRIVER] : NULL;
    }
    function -= function >= FN_SECOND ? FN_SECOND : FN_SERVER;
    return function < SERVERS_MAX ? &round_now.server[function] : NULL;
}

/* What it marks is seen by whoever sees the count raised. */
void server_attempt(struct server *server, _Atomic uint64_t *count)
{
    atomic_fetch_add(&server->attempts, 1);
    atomic_store(&server->unsettled, true);
    atomic_fetch_add(count, 1);
}

void server_attempted(struct server *server)
{
    atomic_fetch_sub(&server->attempts, 1);
}

/* --- State ------------------------------------------------------------------------------------------------------------- */

static struct state *state_in(void *area)
{
    const uint64_t *magic = area;
    bool second = *magic == MAGIC(2);

    STRESS_CHECK(second || *magic == MAGIC(1), "a state with the magic %" PRIx64, *magic);
    return (struct state *)(void *)((unsigned char *)area + (second ? SHIFT : sizeof *magic));
}

/* A fresh state. False: no memory. */
static bool state_begin(uint32_t layout)
{
    void *area, *annex;

    if (ant_ica_alloc(1, &area) != 0) {
        return false;
    }
    if (ant_ica_alloc(2, &annex) != 0) {
        STRESS_OK(ant_ica_free(area));
        return false;
    }
    memset(area, 0, ANT_PAGE_BYTES);
    *(uint64_t *)area = MAGIC(layout);
    model_fill(annex, 2, ANNEX_KEY);
    struct state *state = state_in(area);
    state->annex = annex;
    state->identity = round_draw() | 1;
    STRESS_OK(ant_state_set(area));
    return true;
}

/* It may have been given up meanwhile, and then the old state changes under it: it looks at nothing but the magic. */
int server_transform(struct ant_server *self, const void *old_state, size_t old_bytes, void **new_state)
{
    uint32_t layout = self->program->state_version;
    size_t from = layout == 2 ? sizeof(uint64_t) : SHIFT, to = layout == 2 ? SHIFT : sizeof(uint64_t);
    void *area;

    if (old_state == NULL || old_bytes < ANT_PAGE_BYTES) {
        return -EINVAL;
    }
    if (ant_ica_alloc(1, &area) != 0) {
        return -ENOMEM;
    }
    memset(area, 0, ANT_PAGE_BYTES);
    memcpy((unsigned char *)area + to, (const unsigned char *)old_state + from, sizeof(struct state));
    *(uint64_t *)area = MAGIC(layout);
    *new_state = area;
    return 0;
}

/* --- The first thing that a generation does ------------------------------------------------------------------------------- */

static bool is_mine(void *area, const struct state *state, const struct ant_pending *served, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (area == served[i].request || area == served[i].request->data) {
            return true;
        }
    }
    return area == ant_state() || area == state->annex;
}

/* The dead have left areas that the state does not name: requests that never left, areas that were kept. */
static void sweep(const struct ant_server *self, const struct state *state,
                  const struct ant_request *message)
{
    void *areas[AREAS_MAX];
    struct ant_pending served[KEPT_MAX + 1];
    size_t count = 0, serving = 0;

    STRESS_OK(ant_ica_list(areas, AREAS_MAX, &count));
    STRESS_OK(ant_pending(ANT_IN_SERVICE, served, KEPT_MAX + 1, &serving));
    STRESS_CHECK(serving <= 1 || self->reason == ANT_START_SWAP,
                 "a successor of the dead has %zu requests in service", serving);
    for (size_t i = 0; i < count && i < AREAS_MAX && serving <= KEPT_MAX + 1; i++) {
        bool came = message != NULL && (areas[i] == message || areas[i] == message->data);
        if (!came && !is_mine(areas[i], state, served, serving)) {
            int error = ant_ica_free(areas[i]);
            if (error == -EINVAL) {
                error = ant_request_free(areas[i]);
            }
            STRESS_CHECK(error == 0, "an area of the dead is not freed: %s", ant_strerror(error));
        }
    }
}

/* Is it this very request, and has it not been taken again since? */
static bool is_kept(const struct kept *kept)
{
    const struct order *order = order_of(kept->rq);

    return order->key == kept->key && order->taken == kept->taken;
}

/* What the state says is kept must be in service. Where the dead come between, some of it may not be: it is forgotten. */
static void check_kept(const struct ant_server *self, struct state *state, bool whole)
{
    struct ant_pending served[KEPT_MAX + 1];
    size_t serving = 0;

    STRESS_OK(ant_pending(ANT_IN_SERVICE, served, KEPT_MAX + 1, &serving));
    for (uint32_t i = 0; i < KEPT_MAX; i++) {
        size_t at = 0;
        while (at < serving && at <= KEPT_MAX && served[at].request != state->kept[i].rq) {
            at++;
        }
        if (state->kept[i].rq != NULL && (at >= serving || !is_kept(&state->kept[i]))) {
            STRESS_CHECK(!whole, "function %u: a request that is kept is not in service", self->function);
            state->kept[i].rq = NULL;
        }
    }
}

/* At its first message: the state must be what the predecessor has left; nothing that the dead had begun goes on. */
static void settle(struct ant_server *self, struct state *state, const struct ant_request *message)
{
    struct server *server = server_of(self->function);
    /* Else one in between has taken no message, and may have come after the dead. */
    bool whole = self->reason == ANT_START_SWAP && state->generation + 1 == self->generation;

    STRESS_CHECK(model_matches(state->annex, 2, ANNEX_KEY, false),
                 "function %u: the annex has changed", self->function);
    STRESS_CHECK(!whole || atomic_load(&server->identity) != state->identity ||
                     atomic_load(&server->served) == state->served,
                 "function %u: generation %u finds %" PRIu64 " served, not %" PRIu64,
                 self->function, self->generation, state->served, atomic_load(&server->served));
    check_kept(self, state, whole);
    if (!whole && self->reason != ANT_START_FRESH) {
        sweep(self, state, message);
    }
    if (self->reason != ANT_START_SWAP && message != NULL) { /* else it is ending */
        atomic_store(&server->unsettled, false);
    }
    atomic_store(&server->identity, 0);
    atomic_store(&server->served, state->served);
    atomic_store(&server->identity, state->identity);
    state->generation = self->generation;
}

/* message: that it has in hand, or NULL. */
static struct state *state_now(struct ant_server *self, const struct ant_request *message)
{
    struct state *state = state_in(ant_state());

    if (self->context == NULL) {
        self->context = self;
        settle(self, state, message);
    }
    return state;
}

/* --- Serving ------------------------------------------------------------------------------------------------------------ */

static void answer(struct ant_request *rq, int32_t status)
{
    int error = ant_reply(rq, status);

    STRESS_CHECK(error == 0, "ant_reply: %s", ant_strerror(error));
}

/* It may be done twice: the dead may have done half of it. */
static void turn(void *area, const struct order *order)
{
    if (area != NULL) {
        model_fill(area, order->pages, order->key);
        model_answer(area, order->pages);
    }
}

/* Takes a request: its stamp, and what must hold when a request comes to a server. */
const char *area_looks(const void *data, size_t pages, uint64_t key)
{
    const unsigned char *bytes = data;
    size_t zeroes = 0;

    while (zeroes < pages * ANT_PAGE_BYTES && bytes[zeroes] == 0) {
        zeroes++;
    }
    return model_matches(data, pages, key, true)      ? "as a server would have changed it"
           : zeroes == pages * (size_t)ANT_PAGE_BYTES ? "all zeroes"
           : zeroes >= ANT_PAGE_BYTES                 ? "zeroes at first"
                                                      : "neither as it was nor as it will be";
}

static struct order *take(struct ant_request *rq)
{
    struct order *order = order_of(rq);

    if (order->first == 0) {
        order->first = atomic_fetch_add(&stamps, 1) + 1;
    } else {
        order->again = atomic_fetch_add(&stamps, 1) + 1;
    }
    order->taken++;
    STRESS_CHECK(order->taken == 1 || (order->taken == 2 && (rq->flags & ANT_REPEATABLE)),
                 "function %u: a request is taken %u times, flags %u", rq->function, order->taken,
                 rq->flags);
    STRESS_CHECK((rq->data != NULL) == (order->pages > 0),
                 "function %u: a request without its area", rq->function);
    STRESS_CHECK(rq->data == NULL || order->taken > 1 || order->worn ||
                     model_matches(rq->data, order->pages, order->key, false),
                 "function %u: wrong bytes in a request, cookie %" PRIx64 ": %s, %u pages", rq->function,
                 rq->cookie, area_looks(rq->data, order->pages, order->key), order->pages);
    return order;
}

static void ask_driver(struct state *state, struct ant_request *rq, const struct order *order)
{
    struct kept *kept = NULL;
    struct ant_request *errand;

    for (uint32_t i = 0; i < KEPT_MAX && kept == NULL; i++) {
        kept = state->kept[i].rq == NULL ? &state->kept[i] : NULL;
    }
    if (kept == NULL ||
        ant_request_new(FN_DRIVER + (uint32_t)(order->key % round_now.drivers), &errand) != 0) {
        answer(rq, -ENOMEM);
        return;
    }
    errand->cookie = ++state->tickets;
    errand->data = rq->data;
    errand->flags = order->key % 2 == 0 ? ANT_REPEATABLE : 0;
    errand->operation = OP_STORE;
    *order_of(errand) =
        (struct order){.key = order->key, .pages = order->pages, .worn = order->taken > 1};
    *kept = (struct kept){rq, errand->cookie, order->key, order->taken};
    if (ant_send(errand) != 0) {
        kept->rq = NULL;
        STRESS_OK(ant_request_free(errand));
        answer(rq, -EIO);
    }
}

/* The server answers with another area, or with none. */
static void answer_without(struct ant_request *rq, const struct order *order, bool exchange)
{
    void *kept = rq->data, *other = NULL;

    if (exchange && kept != NULL) {
        if (ant_ica_alloc(order->pages, &other) != 0) {
            answer(rq, -ENOMEM);
            return;
        }
        turn(other, order);
    }
    rq->data = other;
    answer(rq, 0);
    if (kept != NULL) {
        STRESS_OK(ant_ica_free(kept));
    }
}

void serve_request(struct ant_server *self, struct ant_request *rq)
{
    if (!is_a_server_s) {
        tally(T_DIRECT);
    }
    struct order *order = take(rq); /* before the state is looked at: see is_kept */
    struct state *state = state_now(self, rq);
    struct server *server = server_of(self->function);

    state->served++;
    atomic_store(&server->served, state->served);
    if (rq->operation == OP_MISHAP && (order->taken == 1 || order->always)) {
        if (order->mishap == MISHAP_SELF_SWAP) { /* what it had in service then nobody would answer */
            turn(rq->data, order);
            answer(rq, 0);
            mishap_happens(MISHAP_SELF_SWAP, self->function, &server->section);
            return;
        }
        mishap_happens((enum mishap)order->mishap, self->function, &server->section);
    }
    switch (rq->operation) {
    case OP_READ:
        ask_driver(state, rq, order);
        break;
    case OP_KEEP:
    case OP_EXCHANGE:
        answer_without(rq, order, rq->operation == OP_EXCHANGE);
        break;
    default:
        turn(rq->data, order);
        answer(rq, 0);
    }
}

void serve_result(struct ant_server *self, struct ant_request *errand)
{
    struct state *state = state_now(self, errand);
    struct kept *kept = NULL;

    for (uint32_t i = 0; i < KEPT_MAX && kept == NULL; i++) {
        bool his = state->kept[i].rq != NULL && state->kept[i].ticket == errand->cookie;
        kept = his ? &state->kept[i] : NULL;
    }
    if (!STRESS_CHECK(kept != NULL, "function %u: a result that nobody waits for, ticket %" PRIu64,
                      self->function, errand->cookie)) {
        return;
    }
    struct ant_request *rq = kept->rq;
    rq->data = errand->data;
    kept->rq = NULL;
    answer(rq, errand->error != 0 ? -EIO : errand->status);
    STRESS_OK(ant_request_free(errand));
}

/* Some of those who wait for a driver it answers itself; the core does the others. */
static void server_stop(struct ant_server *self)
{
    struct state *state = state_now(self, NULL);

    for (uint32_t i = 0; i < KEPT_MAX; i += 2) {
        struct ant_request *rq = state->kept[i].rq;
        if (rq != NULL && rq->operation == OP_READ) {
            state->kept[i].rq = NULL;
            rq->data = NULL;
            answer(rq, -EIO);
        }
    }
}

static int server_start(struct ant_server *self)
{
    bool fresh = self->state == NULL && ant_state() == NULL;

    is_a_server_s = true;
    if (self->reason == ANT_START_FRESH) {
        int error = ant_function_add(self->function - FN_SERVER + FN_SECOND);
        STRESS_CHECK(error == 0 || error == -ENOMEM || error == -EEXIST, "ant_function_add: %s",
                     ant_strerror(error));
        if (error != 0) { /* EEXIST: a predecessor that is just ending has it yet */
            return error;
        }
    }
    return fresh && !state_begin(self->program->state_version) ? -ENOMEM : 0;
}

static int server_run(struct ant_server *self)
{
    for (;;) {
        struct ant_message message;
        int error = ant_receive(&message, (int64_t)(round_draw() % 2000000));
        if (error == -ETIMEDOUT) {
            continue;
        } else if (error != 0) {
            STRESS_FAIL("function %u: ant_receive: %s", self->function, ant_strerror(error));
            return error;
        } else if (message.kind == ANT_SWAP) {
            error = ant_swap_accept();
            STRESS_CHECK(error == -ECANCELED, "ant_swap_accept: %s", ant_strerror(error));
        } else if (message.kind == ANT_STOP) {
            server_stop(self);
            return 0;
        } else if (message.kind == ANT_REQUEST) {
            serve_request(self, message.request);
        } else {
            serve_result(self, message.request);
        }
    }
}

static const struct ant_transformer transformers[] = {{1, 2, server_transform}, {2, 1, server_transform}};

#define CALLBACKS                                                                                  \
    .start = server_start, .request = serve_request, .result = serve_result, .stop = server_stop
#define LOOP .start = server_start, .run = server_run
#define LAYOUT(layout)                                                                             \
    .state_version = (layout), .transformers = transformers, .transformer_count = 2

/* Without containment a transformer that was given up may read a state that has been freed: those of the first layout only. */
static const struct ant_program programs[] = {
    {.abi = ANT_ABI, .version = 1, .name = "server 1", LAYOUT(1), CALLBACKS},
    {.abi = ANT_ABI, .version = 2, .name = "server 2", LAYOUT(1), LOOP},
    {.abi = ANT_ABI, .version = 3, .name = "server 3", LAYOUT(1), CALLBACKS, .direct = true},
    {.abi = ANT_ABI, .version = 4, .name = "server 4", LAYOUT(2), CALLBACKS},
    {.abi = ANT_ABI, .version = 5, .name = "server 5", LAYOUT(2), LOOP},
    {.abi = ANT_ABI, .version = 6, .name = "server 6", LAYOUT(2), CALLBACKS, .direct = true},
};

const struct ant_program *server_program(uint64_t which)
{
    return &programs[which % (round_now.contain ? 6 : 3)];
}

int server_create(uint32_t number)
{
    return ant_serve(FN_SERVER + number, server_program(round_draw()),
                     &round_now.server[number].options, NULL);
}

/* --- Drivers: hold requests for a while, and answer in another order. Before a swap they answer all. ------------------------- */

static void driver_answer(struct ant_request **held, uint32_t *count)
{
    uint32_t which = (uint32_t)(round_draw() % *count);
    struct ant_request *rq = held[which];

    held[which] = held[--*count];
    turn(rq->data, order_of(rq));
    answer(rq, 0);
}

static void driver_take(struct ant_server *self, struct ant_request *rq)
{
    struct order *order = take(rq);

    if (rq->operation == OP_MISHAP && order->mishap != MISHAP_SELF_SWAP &&
        (order->taken == 1 || order->always)) {
        mishap_happens((enum mishap)order->mishap, self->function, &server_of(self->function)->section);
    }
}

static int driver_run(struct ant_server *self)
{
    struct ant_request *held[HELD_MAX];
    uint32_t count = 0;

    if (self->reason != ANT_START_SWAP) {
        atomic_store(&server_of(self->function)->unsettled, false);
    }
    for (;;) {
        struct ant_message message;
        int error = ant_receive(&message, count > 0 ? (int64_t)(round_draw() % 200000) : ANT_FOREVER);
        bool request = error == 0 && message.kind == ANT_REQUEST;
        if (request) {
            held[count++] = message.request;
            driver_take(self, message.request);
        }
        while (count > 0 && (!request || count == HELD_MAX || round_one_in(4))) {
            driver_answer(held, &count);
        }
        if (error == 0 && message.kind == ANT_STOP) {
            return 0;
        } else if (error == 0 && message.kind == ANT_SWAP) {
            error = ant_swap_accept();
            STRESS_CHECK(error == -ECANCELED, "ant_swap_accept: %s", ant_strerror(error));
        } else {
            STRESS_CHECK(error == 0 || error == -ETIMEDOUT, "function %u: ant_receive: %s",
                         self->function, ant_strerror(error));
        }
    }
}

static const struct ant_program drivers[] = {
    {.abi = ANT_ABI, .version = 1, .name = "driver 1", .run = driver_run},
    {.abi = ANT_ABI, .version = 2, .name = "driver 2", .run = driver_run},
};

const struct ant_program *driver_program(uint64_t which)
{
    return &drivers[which % 2];
}

int driver_create(uint32_t number)
{
    return ant_serve(FN_DRIVER + number, driver_program(round_draw()),
                     &round_now.driver[number].options, NULL);
}
