/*
 * Driver and server of the stress model. Every order is checked against the state, and the state against what the core
 * says is in service and outstanding, whenever a new server starts.
 */
#include "stress_inside.h"

#include <errno.h>

/* --- The driver ------------------------------------------------------------------------------------------------------ */

static void driver_reply(struct ant_request *rq)
{
    if (rq->data != NULL) {
        struct order *order = order_of(rq);
        STRESS_CHECK(model_matches(rq->data, order->pages, order->key, false),
                     "the driver got other bytes, cookie %" PRIx64, rq->cookie);
        model_answer(rq->data, order->pages);
    }
    STRESS_OK(ant_reply(rq, 0));
}

/* Holds up to four requests and answers the latest first. */
int driver_main(void *unused)
{
    struct ant_request *held[4];
    uint32_t count = 0;
    (void)unused;

    STRESS_OK(ant_function_add(MODEL_DRIVER));
    for (;;) {
        struct ant_message message;
        int error = ant_receive(&message, count > 0 ? 0 : ANT_FOREVER);
        bool flush = true;

        if (error == 0 && message.kind == ANT_REQUEST) {
            held[count++] = message.request;
            if (message.request->cookie % 3 == 0) {
                some_wait(message.request->cookie);
            }
            flush = count == 4;
        } else if (error != -ETIMEDOUT && !(error == 0 && message.kind == ANT_STOP)) {
            STRESS_FAIL("driver: ant_receive: %s, kind %d", ant_strerror(error),
                        error ? -1 : (int)message.kind);
            return 1;
        }
        while (flush && count > 0) {
            driver_reply(held[--count]);
        }
        if (error == 0 && message.kind == ANT_STOP) {
            return 0;
        }
    }
}

/* --- The server ------------------------------------------------------------------------------------------------------ */

/* Marks the slots of what was sent to the driver. -> how many there are; they must be in the order sent, if `ordered`. */
static size_t mark_errands(uint32_t layout, const void *state, enum ant_pending_kind kind,
                           bool ordered, bool *marks)
{
    static struct ant_pending errands[KEPT_MAX]; /* one new server at a time */
    uint64_t before = 0;
    size_t count = 0;

    STRESS_OK(ant_pending(kind, errands, KEPT_MAX, &count));
    for (size_t i = 0; i < count && i < KEPT_MAX; i++) {
        uint64_t ticket = errands[i].cookie & ~MODEL_ERRAND;
        uint32_t slot = (uint32_t)(errands[i].cookie % KEPT_MAX);
        STRESS_CHECK(kept_at(layout, state, slot).ticket == ticket && errands[i].function == MODEL_DRIVER,
                     "kind %d: cookie %" PRIx64 ", function %u: nothing is kept for it", (int)kind,
                     errands[i].cookie, errands[i].function);
        STRESS_CHECK(!ordered || ticket > before, "outstanding: ticket %" PRIu64 " after %" PRIu64,
                     ticket, before);
        before = ticket;
        marks[slot] = true;
    }
    return count;
}

/*
 * Does what the core says is in service, outstanding and answered agree with what the state says is kept, one by one, in
 * order? The driver goes on meanwhile, so what is outstanding is looked at before what is answered: nothing is missed.
 */
static void check_inheritance(uint32_t layout, const void *state)
{
    static struct ant_pending in_service[KEPT_MAX];
    static bool out[KEPT_MAX];
    uint32_t kept = kept_count(layout, state), found = 0;
    uint64_t before = 0;
    size_t serving = 0;

    memset(out, 0, sizeof out);
    size_t outstanding = mark_errands(layout, state, ANT_OUTSTANDING, true, out);
    size_t answered = mark_errands(layout, state, ANT_ANSWERED, false, out);
    STRESS_OK(ant_pending(ANT_IN_SERVICE, in_service, KEPT_MAX, &serving));
    STRESS_CHECK(serving == kept && outstanding + answered >= kept,
                 "%zu in service, %zu outstanding, %zu answered, but the state keeps %u", serving,
                 outstanding, answered, kept);
    for (size_t i = 0; i < serving && i < KEPT_MAX; i++) {
        for (uint32_t slot = 0; slot < KEPT_MAX; slot++) {
            struct kept entry = kept_at(layout, state, slot);
            if (entry.rq == in_service[i].request) {
                STRESS_CHECK(out[slot] && entry.cookie == in_service[i].cookie && entry.ticket > before,
                             "in service %zu: ticket %" PRIu64 " after %" PRIu64 ", its errand is %s",
                             i, entry.ticket, before, out[slot] ? "out" : "lost");
                before = entry.ticket;
                found++;
            }
        }
    }
    STRESS_CHECK(found == kept, "%u of %u kept requests are in service", found, kept);
}

static int server_start(struct ant_server *self)
{
    uint32_t layout = self->program->state_version;

    if (self->reason == ANT_START_FRESH) {
        void *state, *annex;
        int error = ant_ica_alloc(pages_of(layout_bytes(layout)), &state);
        if (error == 0) {
            error = ant_ica_alloc(ANNEX_PAGES, &annex);
        }
        if (error != 0) {
            return error;
        }
        model_fill(annex, ANNEX_PAGES, ANNEX_KEY);
        layout_begin(layout, state, annex);
        error = ant_state_set(state);
        if (error == 0) {
            error = ant_function_add(MODEL_READ);
        }
        return error ? error : ant_function_add(MODEL_TOTALS);
    }
    if (!STRESS_CHECK(layout_is(layout, self->state), "generation %u has no state of layout %u",
                      self->generation, layout)) {
        return -EINVAL;
    }
    STRESS_CHECK(model_matches(annex_at(layout, self->state), ANNEX_PAGES, ANNEX_KEY, false),
                 "generation %u: the area that the state points to has other bytes", self->generation);
    check_inheritance(layout, self->state);
    return 0;
}

static void server_totals(struct ant_server *self, struct ant_request *rq)
{
    uint32_t layout = self->program->state_version;
    void *state = ant_state();
    struct totals totals = {.kept = kept_count(layout, state)};

    for (uint32_t f = 0; f < MODEL_FUNCTIONS; f++) {
        totals.served[f] = served_at(layout, state, f);
        for (uint32_t c = 0; c < MODEL_CLIENTS_MAX; c++) {
            totals.last[c][f] = *last_at(layout, state, c, f);
        }
    }
    memcpy(rq->payload, &totals, sizeof totals);
    STRESS_OK(ant_reply(rq, 0));
}

/* Asks the driver on a client's behalf; the answer comes to whichever server there is then. */
static int send_errand(uint32_t layout, void *state, struct ant_request *rq)
{
    uint64_t ticket = *tickets_at(layout, state) + 1;
    struct ant_request *errand;

    while (kept_at(layout, state, (uint32_t)(ticket % KEPT_MAX)).rq != NULL) {
        ticket++; /* an old one still waits in that slot */
    }
    int error = ant_request_new(MODEL_DRIVER, &errand);
    if (error != 0) {
        return error;
    }
    errand->operation = rq->operation;
    errand->cookie = MODEL_ERRAND | ticket;
    errand->data = rq->data;
    errand->data_bytes = rq->data_bytes;
    memcpy(errand->payload, rq->payload, sizeof(struct order));
    error = ant_send(errand);
    if (error != 0) {
        ant_request_free(errand);
        return error;
    }
    rq->data = NULL;
    *tickets_at(layout, state) = ticket;
    kept_set(layout, state, (uint32_t)(ticket % KEPT_MAX), (struct kept){rq, rq->cookie, ticket});
    return 0;
}

static void wait_at_gate(void)
{
    struct ant_request *rq;

    STRESS_OK(ant_request_new(MODEL_GATE, &rq));
    STRESS_OK(ant_call(rq, ANT_FOREVER));
    STRESS_OK(ant_request_free(rq));
}

void server_request(struct ant_server *self, struct ant_request *rq)
{
    uint32_t layout = self->program->state_version;
    void *state = ant_state();

    if (rq->function == MODEL_TOTALS) {
        if (rq->operation == MODEL_HOLD || rq->operation == MODEL_DIE) {
            wait_at_gate();
        }
        if (rq->operation == MODEL_DIE || rq->operation == MODEL_END) {
            ant_exit(1);
        }
        server_totals(self, rq);
        return;
    }
    uint32_t function = rq->function - MODEL_STORE;
    uint32_t client = model_cookie_client(rq->cookie);
    uint64_t sequence = model_cookie_sequence(rq->cookie);
    if (!STRESS_CHECK(layout_is(layout, state) && function < MODEL_FUNCTIONS && client < MODEL_CLIENTS_MAX,
                      "function %u, cookie %" PRIx64, rq->function, rq->cookie)) {
        ant_reply(rq, -EINVAL);
        return;
    }
    uint64_t *last = last_at(layout, state, client, function);
    STRESS_CHECK(model.config.withdraw ? sequence > *last : sequence == *last + 1,
                 "client %u, function %u: %" PRIu64 " was served after %" PRIu64, client, function,
                 sequence, *last);
    *last = sequence;
    served_set(layout, state, function, served_at(layout, state, function) + 1);

    struct order *order = order_of(rq);
    order->taken++;
    order->version = self->program->version;
    order->generation = self->generation;
    some_work(rq->cookie);
    if (rq->data != NULL) {
        STRESS_CHECK(model_matches(rq->data, order->pages, order->key, false),
                     "the server got other bytes, cookie %" PRIx64, rq->cookie);
    }
    if (rq->function == MODEL_STORE) {
        if (rq->data != NULL) {
            model_answer(rq->data, order->pages);
        }
        STRESS_OK(ant_reply(rq, (int32_t)client));
        return;
    }
    int error = send_errand(layout, state, rq);
    if (error != 0) {
        STRESS_CHECK(error == -ENOMEM && model.config.short_of_memory, "request to the driver: %s",
                     ant_strerror(error));
        STRESS_OK(ant_reply(rq, -ENOMEM));
    }
}

void server_result(struct ant_server *self, struct ant_request *errand)
{
    uint32_t layout = self->program->state_version;
    void *state = ant_state();
    uint32_t slot = (uint32_t)(errand->cookie % KEPT_MAX);
    struct kept kept = kept_at(layout, state, slot);

    if (!STRESS_CHECK(kept.rq != NULL && (kept.ticket | MODEL_ERRAND) == errand->cookie,
                      "generation %u: a result that nobody waits for, cookie %" PRIx64,
                      self->generation, errand->cookie)) {
        return;
    }
    STRESS_CHECK(errand->error == 0 && errand->function == MODEL_DRIVER, "driver: %s, function %u",
                 ant_strerror(errand->error), errand->function);
    kept_set(layout, state, slot, (struct kept){0});
    some_work(errand->cookie);
    kept.rq->data = errand->data;
    STRESS_OK(ant_request_free(errand));
    STRESS_OK(ant_reply(kept.rq, (int32_t)model_cookie_client(kept.cookie)));
}

static int one_to_two(struct ant_server *self, const void *old_state, size_t old_bytes, void **new_state)
{
    (void)self;
    return layout_convert(1, 2, old_state, old_bytes, new_state);
}

static int two_to_one(struct ant_server *self, const void *old_state, size_t old_bytes, void **new_state)
{
    (void)self;
    return layout_convert(2, 1, old_state, old_bytes, new_state);
}

static const struct ant_transformer transformers[] = {{1, 2, one_to_two}, {2, 1, two_to_one}};

#define PROGRAM(number, layout)                                                                    \
    {                                                                                              \
        .abi = ANT_ABI, .version = (number), .state_version = (layout), .name = "model",           \
        .start = server_start, .request = server_request, .result = server_result,                 \
        .transformers = transformers, .transformer_count = 2,                                      \
    }

const struct ant_program model_programs[MODEL_PROGRAMS] = {PROGRAM(1, 1), PROGRAM(2, 1),
                                                           PROGRAM(3, 2), PROGRAM(4, 2)};
