/* The server of the exploration in all its versions, and its driver. */
#include "book.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define MAGIC 0x51a7e001u

/* The two layouts of its state: the number of the last request served, by client. */
struct narrow_state {
    uint32_t magic;
    uint32_t last[CLIENTS_MAX];
};

struct wide_state {
    uint64_t magic;
    uint64_t last[CLIENTS_MAX];
};

static _Thread_local bool is_a_server_s; /* the thread, its own */

/* ---- serving ---- */

/* again: it was served before, by one that died; those after it may have been, too. */
static void note_order(struct ant_server *self, uint32_t client, uint32_t number, bool again)
{
    void *state = ant_state();
    CHECK(state, "a server has no state");
    if (!state)
        return;
    uint64_t last = 0;
    if (self->program->state_version == 1) {
        struct narrow_state *narrow = state;
        CHECK(narrow->magic == MAGIC, "a state is not what it was");
        last = narrow->last[client];
        narrow->last[client] = number + 1;
    } else {
        struct wide_state *wide = state;
        CHECK(wide->magic == MAGIC, "a state is not what it was");
        last = wide->last[client];
        wide->last[client] = number + 1;
    }
    CHECK(number + 1 > last || again, "request %u of client %u is served after request %u", number,
          client, (uint32_t)last - 1);
}

static void answer(struct ant_request *rq)
{
    if (rq->data)
        memset(rq->data, DATA_SERVED, ANT_PAGE_BYTES);
    int rc = ant_reply(rq, (int32_t)rq->cookie);
    CHECK(rc == 0, "a reply is refused: %s", ant_strerror(rc));
}

static void forward(struct ant_request *rq)
{
    struct ant_request *asked;
    int rc = ant_request_new(FN_DRIVER, &asked);
    CHECK(rc == 0, "no request for the driver: %s", ant_strerror(rc));
    if (rc != 0)
        return;
    asked->cookie = rq->cookie;
    rc = ant_send(asked);
    CHECK(rc == 0, "the driver cannot be asked: %s", ant_strerror(rc));
}

static void ask(struct ant_request *rq)
{
    struct ant_request *asked;
    int rc = ant_request_new(FN_DRIVER, &asked);
    CHECK(rc == 0, "no request for the driver: %s", ant_strerror(rc));
    if (rc != 0)
        return;
    rc = ant_call(asked, ANT_FOREVER);
    CHECK(rc == 0, "the driver does not answer: %s", ant_strerror(rc));
    rc = ant_request_free(asked);
    CHECK(rc == 0, "a result cannot be freed: %s", ant_strerror(rc));
    answer(rq);
}

static void on_request(struct ant_server *self, struct ant_request *rq)
{
    struct entry *entry = entry_of(rq->cookie);
    if (!entry)
        return;
    entry->served++;
    book.direct += !is_a_server_s;
    bool again = entry->served == 2 && book.scenario->mortal && plan_of(rq->cookie)->repeatable;
    CHECK(entry->served == 1 || again, "request %llx is served twice", (unsigned long long)rq->cookie);
    note_order(self, (uint32_t)(rq->cookie >> 8) - 1, (uint32_t)rq->cookie & 0xff, again);
    if (rq->operation == OP_FORWARD) {
        (book.scenario->asks_and_waits ? ask : forward)(rq);
        return;
    }
    if (rq->operation == OP_WORK)
        ant_work(5 * ANT_NS_PER_US);
    answer(rq);
}

/* The driver's answer to what this server, or its predecessor, has forwarded. */
static void on_result(struct ant_server *self, struct ant_request *asked)
{
    (void)self;
    struct ant_pending serving[CLIENTS_MAX * REQUESTS_MAX];
    size_t count = 0, i = 0;
    int rc = ant_pending(ANT_IN_SERVICE, serving, sizeof serving / sizeof *serving, &count);
    CHECK(rc == 0, "ant_pending: %s", ant_strerror(rc));
    CHECK(asked->error == 0, "a driver's result: %s", ant_strerror(asked->error));
    while (i < count && serving[i].cookie != asked->cookie)
        i++;
    CHECK(i < count, "what was forwarded is not in service any more");
    if (i < count)
        answer(serving[i].request);
    rc = ant_request_free(asked);
    CHECK(rc == 0, "a result cannot be freed: %s", ant_strerror(rc));
}

/* ---- starting ---- */

static int start_plain(struct ant_server *self)
{
    is_a_server_s = true;
    CHECK(self->state || self->reason != ANT_START_SWAP, "a successor finds no state");
    CHECK(book.scenario->mortal || self->reason != ANT_START_RESTART, "a death that nobody wanted");
    if (self->state)
        return 0;
    void *state;
    int rc = ant_ica_alloc(1, &state);
    if (rc != 0)
        return rc;
    if (self->program->state_version == 1)
        *(struct narrow_state *)state = (struct narrow_state){.magic = MAGIC};
    else
        *(struct wide_state *)state = (struct wide_state){.magic = MAGIC};
    return ant_state_set(state);
}

static int start_works(struct ant_server *self)
{
    ant_work(3 * ANT_NS_PER_US);
    return start_plain(self);
}

static int start_fails(struct ant_server *self)
{
    (void)self;
    return -EIO;
}

static int start_asks_and_fails(struct ant_server *self)
{
    (void)self;
    struct ant_request *asked;
    if (ant_request_new(FN_DRIVER, &asked) == 0)
        ant_send(asked);
    return -EIO;
}

static int start_exits(struct ant_server *self)
{
    (void)self;
    ant_exit(0);
    return 0;
}

static int start_hangs(struct ant_server *self)
{
    (void)self;
    ant_sleep(ant_now() + ANT_NS_PER_MS);
    return -EIO;
}

static int widen(struct ant_server *self, const void *old_state, size_t old_bytes, void **new_state)
{
    (void)self, (void)old_bytes;
    void *area;
    int rc = ant_ica_alloc(1, &area);
    if (rc != 0)
        return rc;
    const struct narrow_state *narrow = old_state;
    struct wide_state *wide = area;
    *wide = (struct wide_state){.magic = narrow->magic};
    for (uint32_t i = 0; i < CLIENTS_MAX; i++)
        wide->last[i] = narrow->last[i];
    *new_state = area;
    return 0;
}

static int narrow(struct ant_server *self, const void *old_state, size_t old_bytes, void **new_state)
{
    (void)self, (void)old_bytes;
    void *area;
    int rc = ant_ica_alloc(1, &area);
    if (rc != 0)
        return rc;
    const struct wide_state *wide = old_state;
    struct narrow_state *made = area;
    *made = (struct narrow_state){.magic = (uint32_t)wide->magic};
    for (uint32_t i = 0; i < CLIENTS_MAX; i++)
        made->last[i] = (uint32_t)wide->last[i];
    *new_state = area;
    return 0;
}

static const struct ant_transformer to_wide[] = {{1, 2, widen}}, to_narrow[] = {{2, 1, narrow}};

/* ---- the driver ---- */

static void drive(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    if (book.scenario->driver_work_ns)
        ant_work(book.scenario->driver_work_ns);
    if (book.scenario->driver_wait_ns)
        ant_sleep(ant_now() + book.scenario->driver_wait_ns);
    int rc = ant_reply(rq, 0);
    CHECK(rc == 0, "a driver's reply is refused: %s", ant_strerror(rc));
}

/* ---- the programs ---- */

static struct ant_program driver, servers[SWAP_WAYS];

void programs_make(bool direct)
{
    static int (*const starts[SWAP_WAYS])(struct ant_server * self) = {
        [SWAP_WORKS] = start_works,
        [SWAP_FAILS] = start_fails,
        [SWAP_ASKS_AND_FAILS] = start_asks_and_fails,
        [SWAP_EXITS] = start_exits,
        [SWAP_HANGS] = start_hangs,
    };
    driver = (struct ant_program){
        .abi = ANT_ABI, .version = 1, .name = "driver", .request = drive, .direct = direct};
    for (int way = 0; way < SWAP_WAYS; way++) {
        uint32_t version = way == SWAP_TRANSFORMS ? 2 : 1;
        servers[way] = (struct ant_program){
            .abi = ANT_ABI,
            .version = version,
            .state_version = version,
            .name = "server",
            .start = starts[way] ? starts[way] : start_plain,
            .request = on_request,
            .result = on_result,
            .transformers = version == 2 ? to_wide : to_narrow,
            .transformer_count = 1,
            .direct = direct && way != SWAP_WORKS,
        };
    }
}

const struct ant_program *driver_program(void)
{
    return &driver;
}

const struct ant_program *server_program(enum swap_way way)
{
    return &servers[way];
}
