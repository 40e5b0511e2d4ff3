/*
 * The servers: one that answers at once, one that asks a driver first, and the driver. All count what they receive in their
 * state, and say in each answer which state and which count it was, and which program answered.
 */
#include "body.h"
#include "run.h"

#define MAGIC UINT64_C(0x74686520636f756e)

struct state {
    uint64_t magic;
    uint64_t epoch;
    uint64_t serial;
};

static uint32_t which_of(const struct ant_server *self)
{
    return WHICH(self->function);
}

static enum role role_of(const struct ant_server *self)
{
    static const enum role roles[FUNCTIONS] = {ROLE_PLAIN, ROLE_ASKING, ROLE_DRIVER};
    return roles[which_of(self)];
}

static void compute(struct ant_server *self, uint64_t work_ns)
{
    uint32_t which = which_of(self);
    before(role_of(self), CALL_WORK, which);
    work(self->function, work_ns, run.plan->server_priority[which]);
    after(role_of(self), CALL_WORK, which);
}

/* ---- it starts ---- */

static int new_state(const struct state *from, struct state **made, uint32_t which)
{
    void *area;
    int rc;
    AROUND(ROLE_NEW, CALL_ALLOC, which, rc, ant_ica_alloc(1, &area));
    if (rc != 0)
        return rc;
    *made = area;
    **made = from ? *from : (struct state){.magic = MAGIC, .epoch = ++run.epochs};
    return 0;
}

static int prepare(struct ant_server *self, enum history_fault kind)
{
    uint32_t which = which_of(self);
    const struct fault *f = fault_here(ROLE_NEW, CALL_WORK, kind);
    if (f)
        return f->amount % 2 ? -EIO : 5; /* 5: no errno value; counts as -EINVAL */
    before(ROLE_NEW, CALL_WORK, which);
    ant_work(2 * US);
    after(ROLE_NEW, CALL_WORK, which);
    const struct state *state = self->state;
    if (state && state->magic != MAGIC)
        record_call("state", (int)self->reason);
    if (self->reason != ANT_START_SWAP)
        run.littered[which] = self->reason == ANT_START_RESTART;
    return 0;
}

/* What it sends before it serves comes to nothing if it fails. */
static void send_ahead(struct ant_server *self)
{
    struct ant_request *ask;
    void *data;
    if (self->program->version % 2 != 0 || ant_request_new(FUNCTION_ID(DRIVER), &ask) != 0)
        return;
    *body_of(ask) = (struct body){.pages = 0};
    if (ant_ica_alloc(1, &data) == 0)
        ask->data = data;
    int rc;
    AROUND(ROLE_NEW, CALL_SEND, which_of(self), rc, ant_send(ask));
    if (rc != 0 && ask->data)
        ant_ica_free(ask->data);
    if (rc != 0)
        ant_request_free(ask);
}

static int start(struct ant_server *self)
{
    struct state *state;
    if (which_of(self) == ASKING)
        send_ahead(self);
    int rc = prepare(self, HISTORY_START_ERROR);
    if (rc != 0 || self->state)
        return rc;
    rc = new_state(NULL, &state, which_of(self));
    if (rc == 0)
        AROUND(ROLE_NEW, CALL_STATE_SET, which_of(self), rc, ant_state_set(state));
    return rc;
}

static int transform(struct ant_server *self, const void *old_state, size_t old_bytes, void **made)
{
    struct state *state;
    (void)old_bytes;
    int rc = prepare(self, HISTORY_TRANSFORM_ERROR);
    if (rc == 0)
        rc = new_state(old_state, &state, which_of(self));
    if (rc == 0)
        *made = state;
    return rc;
}

/* ---- it serves ---- */

/*
 * A successor of the dead has all areas of theirs: those that the state does not name are of no use. Before the first request is worked on; which may
 * be its own successor's.
 */
static void clean(struct ant_server *self, const struct ant_request *rq)
{
    void *areas[64];
    size_t count = 0;
    if (!run.littered[which_of(self)] || ant_ica_list(areas, 64, &count) != 0)
        return;
    run.littered[which_of(self)] = false;
    for (size_t i = 0; i < count && i < 64; i++)
        if (areas[i] != ant_state() && areas[i] != rq && areas[i] != rq->data &&
            ant_ica_free(areas[i]) == -EINVAL)
            ant_request_free(areas[i]);
}

static void begin(struct ant_server *self, struct ant_request *rq)
{
    struct history_service *s = &body_of(rq)->service;
    clean(self, rq);
    struct state *state = ant_state();
    s->epoch = state->epoch;
    s->serial = ++state->serial;
    s->attempts++;
    s->direct += is_lent();
    if (s->first_serial != 0)
        return;
    s->first_epoch = s->epoch;
    s->first_serial = s->serial;
    s->first_time_ns = ant_now();
    s->first_version = self->program->version;
    s->first_generation = self->generation;
}

/* A failure of the host to move it is no reason to keep it for ever. */
static void answer(struct ant_server *self, struct ant_request *rq, int32_t status)
{
    int rc;
    for (int attempt = 0; attempt < 20; attempt++) {
        before(role_of(self), CALL_REPLY, which_of(self));
        rc = ant_reply(rq, status);
        bool gone = rc == 0;
        after(role_of(self), CALL_REPLY, which_of(self));
        if (gone)
            return;
        if (rc != -ENOMEM)
            break;
    }
    record_call("ant_reply", rc);
}

static void finish(struct ant_server *self, struct ant_request *rq, int32_t status)
{
    struct body *body = body_of(rq);
    if (rq->data && status == 0)
        data_work(rq->data, body->pages, rq->cookie);
    body->service.reply_time_ns = ant_now();
    body->service.reply_version = self->program->version;
    body->service.reply_generation = self->generation;
    answer(self, rq, status);
}

static void plain_request(struct ant_server *self, struct ant_request *rq)
{
    uint32_t which = which_of(self);
    void *area = NULL;
    int rc = -1;
    begin(self, rq);
    if (rq->cookie % 3 == 0)
        AROUND(ROLE_PLAIN, CALL_ALLOC, which, rc, ant_ica_alloc(2, &area));
    compute(self, (2 + rq->cookie % 7) * US);
    finish(self, rq, 0);
    if (rc == 0)
        AROUND(ROLE_PLAIN, CALL_FREE, which, rc, ant_ica_free(area));
}

/* It has a loop of its own, and takes its time between the notice of a swap and giving up: steps 4 and 5. */
static int plain_run(struct ant_server *self)
{
    struct ant_message message;
    for (;;) {
        int rc = ant_receive(&message, ANT_FOREVER);
        if (rc != 0) {
            record_call("ant_receive", rc);
            return rc;
        }
        if (message.kind == ANT_STOP)
            return 0;
        if (message.kind == ANT_REQUEST)
            plain_request(self, message.request);
        if (message.kind != ANT_SWAP)
            continue;
        compute(self, 40 * US);
        rc = ant_swap_accept();
        if (rc != -ECANCELED || ++run.notices[PLAIN] > run.swaps[PLAIN])
            record_call("ant_swap_accept", rc);
    }
}

/* It waits for the driver; a direct call is not made with a limit. */
static int ask_and_wait(struct ant_server *self, struct ant_request *ask)
{
    uint32_t which = which_of(self);
    before(ROLE_ASKING, CALL_SEND, which);
    int rc = call_and_lend(ask, ANT_FOREVER, run.plan->server_priority[which]);
    after(ROLE_ASKING, CALL_SEND, which);
    return rc != 0 || ask->status != 0 ? -EIO : 0;
}

static void waiting_request(struct ant_server *self, struct ant_request *rq)
{
    struct ant_request *ask;
    int rc;
    begin(self, rq);
    AROUND(ROLE_ASKING, CALL_REQUEST_NEW, which_of(self), rc, ant_request_new(FUNCTION_ID(DRIVER), &ask));
    if (rc == 0) {
        *body_of(ask) = (struct body){.cookie = rq->cookie};
        ask->flags = rq->cookie % 2 ? ANT_REPEATABLE : 0;
        rc = ask_and_wait(self, ask);
        int freed;
        AROUND(ROLE_ASKING, CALL_REQUEST_FREE, which_of(self), freed, ant_request_free(ask));
        if (freed != 0)
            record_call("ant_request_free", freed);
    }
    compute(self, US);
    finish(self, rq, rc != 0 ? EIO : 0);
}

static void asking_request(struct ant_server *self, struct ant_request *rq)
{
    uint32_t which = which_of(self);
    struct ant_request *ask;
    int rc;
    begin(self, rq);
    AROUND(ROLE_ASKING, CALL_REQUEST_NEW, which, rc, ant_request_new(FUNCTION_ID(DRIVER), &ask));
    if (rc == 0) {
        ask->cookie = rq->cookie;
        *body_of(ask) = (struct body){.cookie = rq->cookie};
        ask->flags = rq->cookie % 2 ? ANT_REPEATABLE : 0;
        before(ROLE_ASKING, CALL_SEND, which);
        rc = ant_send(ask);
        after(ROLE_ASKING, CALL_SEND, which);
        if (rc != 0)
            ant_request_free(ask);
    }
    compute(self, US);
    if (rc != 0)
        finish(self, rq, EIO);
}

/* The client's request that a request to the driver was made for. */
static struct ant_request *in_service(uint64_t cookie)
{
    struct ant_pending items[64];
    size_t count = 0;
    if (ant_pending(ANT_IN_SERVICE, items, 64, &count) == 0)
        for (size_t i = 0; i < count && i < 64; i++)
            if (items[i].cookie == cookie)
                return items[i].request;
    return NULL;
}

static void asking_result(struct ant_server *self, struct ant_request *ask)
{
    struct ant_request *rq = ask->cookie != 0 ? in_service(ask->cookie) : NULL;
    int32_t status = ask->error != 0 || ask->status != 0 ? EIO : 0;
    int rc;
    compute(self, US);
    if (rq)
        finish(self, rq, status);
    else if (ask->cookie != 0)
        record_call("request in service", 0);
    else if (ask->data)
        ant_ica_free(ask->data); /* it was sent ahead */
    AROUND(ROLE_ASKING, CALL_REQUEST_FREE, which_of(self), rc, ant_request_free(ask));
    if (rc != 0)
        record_call("ant_request_free", rc);
}

static void driver_request(struct ant_server *self, struct ant_request *rq)
{
    uint32_t which = which_of(self);
    begin(self, rq);
    compute(self, 2 * US);
    before(ROLE_DRIVER, CALL_SLEEP, which);
    ant_sleep(ant_now() + (1 + rq->cookie % 8) * US);
    after(ROLE_DRIVER, CALL_SLEEP, which);
    const struct fault *late = fault_here(ROLE_DRIVER, CALL_REPLY, HISTORY_LATE_REPLY);
    if (late)
        ant_sleep(ant_now() + late->amount * 2 * US);
    const struct fault *doubled = fault_here(ROLE_DRIVER, CALL_REPLY, HISTORY_DOUBLE_REPLY);
    finish(self, rq, 0);
    if (doubled && ant_reply(rq, 0) == 0)
        record_call("second ant_reply", 0);
}

/* ---- its programs ---- */

static const struct ant_transformer transformers[] = {{1, 2, transform}, {2, 1, transform}};

static void (*request_of(uint32_t which))(struct ant_server *self, struct ant_request *rq)
{
    if (which == ASKING)
        return run.plan->asks_and_waits ? waiting_request : asking_request;
    return which == DRIVER ? driver_request : plain_request;
}

struct ant_program *server_program(uint32_t which, uint32_t state_version)
{
    static const char *const names[FUNCTIONS] = {"plain", "asking", "driver"};
    if (run.versions + 1 >= RUN_PROGRAMS)
        return NULL;
    struct ant_program *program = &run.programs[++run.versions];
    bool loop = which == PLAIN && !run.plan->plain_has_no_loop;
    *program = (struct ant_program){
        .abi = ANT_ABI,
        .version = run.versions,
        .state_version = state_version,
        .name = names[which],
        .start = start,
        .request = loop ? NULL : request_of(which),
        .run = loop ? plain_run : NULL,
        .direct = run.plan->direct && !loop,
        .result = which == ASKING ? asking_result : NULL,
        .transformers = transformers,
        .transformer_count = 2,
    };
    return program;
}
