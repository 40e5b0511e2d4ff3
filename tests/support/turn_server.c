/*
 * The programs of the scenario that in_turn_test.c plays, and how its calls are judged.
 *
 * A server reports what its own calls fail with as the status of its reply, and replies at last.
 */
#include "turn.h"

struct turn_refusal turn_refusal;

bool turn_refused(void)
{
    return turn_refusal.on && wrap_failed(turn_refusal.kind) > 0;
}

int turn_check(int rc, const char *call, const char *file, int line, const int *errors, size_t count)
{
    bool allowed = rc == 0;
    for (size_t i = 0; i < count; i++)
        allowed |= rc == -errors[i] && turn_refused();
    if (!allowed) {
        char text[256];
        snprintf(text, sizeof text, "%s: %s", call, ant_strerror(rc));
        expect_condition(false, text, file, line);
    }
    return rc;
}

void turn_fill(void *area, size_t pages, uint64_t value)
{
    for (size_t page = 0; page < pages; page++)
        ((uint64_t *)area)[page * (ANT_PAGE_BYTES / 8)] = value + page;
}

bool turn_filled(const void *area, size_t pages, uint64_t value)
{
    for (size_t page = 0; page < pages; page++)
        if (((const uint64_t *)area)[page * (ANT_PAGE_BYTES / 8)] != value + page)
            return false;
    return true;
}

void turn_give_back(struct ant_request *rq, void *data)
{
    if (rq)
        must(ant_request_free(rq));
    if (data)
        must(ant_ica_free(data));
}

/* --- The server ---------------------------------------------------------------------------------------------------- */

#define STATE_MAGIC UINT64_C(0x616e742d73746174)

struct state {
    uint64_t magic;
    struct ant_request *held;
    struct ant_request *forwarded; /* whose answer waits for the driver's */
};

bool turn_expects_state;

/* Until the host gives way; a stop ends it, and then the core answers. */
static void reply_at_last(struct ant_request *rq, int32_t status)
{
    while (may(ant_reply(rq, status), ENOMEM) == -ENOMEM)
        if (ant_sleep(ant_now() + US(50)) != 0)
            return;
}

static int server_start(struct ant_server *self)
{
    expect((self->state != NULL) == (self->reason == ANT_START_SWAP ||
                                     (self->reason == ANT_START_RESTART && turn_expects_state)));
    if (self->state) {
        expect(((const struct state *)self->state)->magic == STATE_MAGIC);
        return 0;
    }
    struct state *state;
    int rc = may(ant_ica_alloc(2, (void **)&state), ENOMEM);
    if (rc == 0 && self->reason == ANT_START_FRESH)
        rc = may(ant_function_add(FN_SERVER_TOO), ENOMEM);
    if (rc != 0)
        return rc; /* its areas go with it */
    *state = (struct state){.magic = STATE_MAGIC};
    return must(ant_state_set(state));
}

static void reply_with_other(struct ant_request *rq)
{
    void *other, *came = rq->data;
    int rc = may(ant_ica_alloc(2, &other), ENOMEM);
    if (rc == 0) {
        turn_fill(other, 2, 77);
        must(ant_ica_free(came));
        rq->data = other;
    }
    reply_at_last(rq, rc);
}

static void forward(struct state *state, struct ant_request *rq)
{
    struct ant_request *mine = NULL;
    int rc = may(ant_request_new(FN_DRIVER, &mine), ENOMEM);
    if (rc == 0) {
        mine->data = rq->data;
        mine->operation = OP_TOUCH;
        rc = may(ant_send(mine), ENOMEM, ESRCH);
        if (rc == 0)
            state->forwarded = rq;
        else
            turn_give_back(mine, NULL);
    }
    if (rc != 0)
        reply_at_last(rq, rc);
}

static void server_request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    struct state *state = ant_state();
    expect(state && state->magic == STATE_MAGIC);
    switch (rq->operation) {
    case OP_TOUCH:
        ++*(uint64_t *)rq->data;
        reply_at_last(rq, 0);
        break;
    case OP_OTHER:
        reply_with_other(rq);
        break;
    case OP_FORWARD:
        forward(state, rq);
        break;
    case OP_HOLD:
        state->held = rq; /* again, if the server that held it died */
        break;
    case OP_RELEASE:
        if (state->held)
            reply_at_last(state->held, 0);
        state->held = NULL;
        reply_at_last(rq, 0);
        break;
    default:
        expect(false);
    }
}

static void server_result(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    struct state *state = ant_state();
    struct ant_request *forwarded = state->forwarded;
    expect(forwarded != NULL);
    if (!forwarded)
        return;
    state->forwarded = NULL;
    int error = rq->error;
    forwarded->data = rq->data;
    turn_give_back(rq, NULL);
    reply_at_last(forwarded, error);
}

static int to_longer_state(struct ant_server *self, const void *old_state, size_t old_bytes,
                           void **new_state)
{
    (void)self;
    expect(old_bytes == 2 * ANT_PAGE_BYTES);
    void *state;
    int rc = may(ant_ica_alloc(5, &state), ENOMEM);
    if (rc != 0)
        return rc;
    memcpy(state, old_state, sizeof(struct state));
    *new_state = state;
    return 0;
}

/* It has an area and a request out, and its function is reserved, when it gives up. */
static int start_in_vain(struct ant_server *self)
{
    (void)self;
    void *area;
    struct ant_request *rq;
    int rc = may(ant_ica_alloc(3, &area), ENOMEM);
    if (rc == 0)
        rc = may(ant_function_add(FN_WORKER), ENOMEM);
    if (rc == 0)
        rc = may(ant_request_new(FN_DRIVER, &rq), ENOMEM);
    if (rc != 0)
        return rc;
    rq->data = area;
    rq->operation = OP_TOUCH;
    rc = may(ant_send(rq), ENOMEM, ESRCH);
    return rc != 0 ? rc : -EIO;
}

static const struct ant_transformer lengthen = {
    .from_version = 1, .to_version = 2, .transform = to_longer_state};
const struct ant_program turn_server_v1 = {
    .abi = ANT_ABI,
    .version = 1,
    .state_version = 1,
    .name = "server",
    .start = server_start,
    .request = server_request,
    .result = server_result,
};
const struct ant_program turn_server_v2 = {
    .abi = ANT_ABI,
    .version = 2,
    .state_version = 1,
    .name = "server v2",
    .start = server_start,
    .request = server_request,
    .result = server_result,
};
const struct ant_program turn_server_v3 = {
    .abi = ANT_ABI,
    .version = 3,
    .state_version = 2,
    .name = "server v3",
    .transformers = &lengthen,
    .transformer_count = 1,
    .request = server_request,
    .result = server_result,
};
const struct ant_program turn_server_v4 = {
    .abi = ANT_ABI,
    .version = 4,
    .state_version = 2,
    .name = "server v4",
    .start = server_start,
    .transformers = &lengthen,
    .transformer_count = 1,
    .request = server_request,
    .result = server_result,
};
const struct ant_program turn_server_in_vain = {
    .abi = ANT_ABI,
    .version = 9,
    .state_version = 1,
    .name = "in vain",
    .start = start_in_vain,
    .request = server_request,
};

static void driver_request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    ++*(uint64_t *)rq->data;
    reply_at_last(rq, 0);
}

const struct ant_program turn_driver = {
    .abi = ANT_ABI,
    .version = 1,
    .name = "driver",
    .request = driver_request,
};

/* Never looks at its queue. */
static int deaf_run(struct ant_server *self)
{
    (void)self;
    while (ant_sleep(ant_now() + 1000 * (uint64_t)SOON) == 0)
        ;
    return 0;
}

const struct ant_program turn_deaf = {.abi = ANT_ABI, .version = 1, .name = "deaf", .run = deaf_run};
