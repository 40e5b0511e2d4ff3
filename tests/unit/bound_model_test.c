/* ctest: machines=virtual movers=flat */
/*
 * Bounds hold: models of a server, its drivers and its clients are drawn, and swaps of it asked for at any time, or at the very
 * beginning of something. None may take longer than its bound, or miss a deadline that is its bound.
 */
#include "fixture.h"
#include "puppet.h"

#define SERVER_PRIORITY 10

enum { FN = 7, FN_DRIVER };

enum { CLIENTS_MAX = 5, DRIVERS_MAX = 2, MODELS = 150, SWAPS = 40 };

/* When a swap is asked for: after a pause, or at the very beginning of something. */
enum moment { ANY_TIME, AT_REQUEST, AT_RESULT, AT_BURST };

/* Drawn; the server's programs, its drivers and clients follow it. */
static struct {
    uint64_t random; /* state of the draw */
    struct ant_costs costs;
    uint64_t work_ns, rest_ns; /* in `request`, before and after its driver is asked */
    uint64_t result_ns, start_ns;
    struct ant_driver_timing drivers[DRIVERS_MAX];
    int driver_priority[DRIVERS_MAX];
    uint32_t driver_count, clients;
    enum moment moment; /* that the requester waits for */
    bool over;
} model;

static struct ant_timing model_timing;

/* splitmix64; below n */
static uint64_t draw(uint64_t n)
{
    uint64_t z = (model.random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % n;
}

/* The requester, above the others, runs at this instant; a driver above it lets it run first. */
static void begins(enum moment moment)
{
    if (model.moment != moment)
        return;
    struct ant_request *rq;
    model.moment = ANY_TIME;
    expect_ok(ant_request_new(BOSS, &rq));
    expect_ok(ant_call(rq, ANT_FOREVER));
    expect_ok(ant_request_free(rq));
}

static void model_request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    struct ant_request *io;
    begins(AT_REQUEST);
    expect_ok(ant_work(model.work_ns));
    expect_ok(ant_request_new(FN_DRIVER + (uint32_t)(rq->cookie % model.driver_count), &io));
    *(struct ant_request **)(void *)io->payload = rq;
    expect_ok(ant_send(io));
    expect_ok(ant_work(model.rest_ns));
}

static void model_result(struct ant_server *self, struct ant_request *io)
{
    (void)self;
    begins(AT_RESULT);
    expect_ok(ant_work(model.result_ns));
    struct ant_request *rq = *(struct ant_request **)(void *)io->payload;
    expect_ok(ant_request_free(io));
    expect_ok(ant_reply(rq, 0));
}

static int model_start(struct ant_server *self)
{
    return self->reason == ANT_START_SWAP ? ant_work(model.start_ns) : 0;
}

static const struct ant_driver_timing *driver_of(const struct ant_server *self)
{
    return &model.drivers[self->function - FN_DRIVER];
}

static void burst(const struct ant_driver_timing *d)
{
    begins(AT_BURST);
    expect_ok(ant_work(d->burst_min_ns + draw(d->burst_ns - d->burst_min_ns + 1)));
}

static uint64_t wait_of(const struct ant_driver_timing *d)
{
    return d->wait_max_ns ? d->wait_ns + draw(d->wait_max_ns - d->wait_ns + 1) : d->wait_ns;
}

static void reply(const struct ant_driver_timing *d, struct ant_request *io)
{
    expect_ok(ant_work(d->reply_ns - model.costs.remap_page_ns)); /* the reply's own cost is part of it */
    expect_ok(ant_reply(io, 0));
}

static void serial_request(struct ant_server *self, struct ant_request *io)
{
    const struct ant_driver_timing *d = driver_of(self);
    burst(d);
    expect_ok(ant_sleep(ant_now() + wait_of(d)));
    reply(d, io);
}

/* Takes the next request while earlier ones wait; they wait equally long, so the first is the first to be due. */
static int overlap_run(struct ant_server *self)
{
    const struct ant_driver_timing *d = driver_of(self);
    struct ant_message message = {0};
    struct ant_request *waiting[CLIENTS_MAX];
    uint64_t due_ns[CLIENTS_MAX];
    size_t count = 0;
    for (;;) {
        uint64_t now_ns = ant_now();
        bool due = count > 0 && due_ns[0] <= now_ns;
        if (due) {
            reply(d, waiting[0]);
            count--;
            memmove(waiting, waiting + 1, count * sizeof *waiting);
            memmove(due_ns, due_ns + 1, count * sizeof *due_ns);
            continue;
        }
        int rc = ant_receive(&message, count > 0 ? (int64_t)(due_ns[0] - now_ns) : ANT_FOREVER);
        if (rc != 0)
            continue;
        if (message.kind != ANT_REQUEST)
            return 0;
        burst(d);
        waiting[count] = message.request;
        due_ns[count++] = ant_now() + d->wait_ns;
    }
}

static const struct ant_program serial_driver = {.abi = ANT_ABI, .name = "serial", .request = serial_request},
                                overlap_driver = {.abi = ANT_ABI, .name = "overlap", .run = overlap_run};
static const struct ant_program model_server = {.abi = ANT_ABI,
                                                .name = "server",
                                                .start = model_start,
                                                .request = model_request,
                                                .result = model_result,
                                                .timing = &model_timing};

static int model_client(void *arg)
{
    struct ant_request *rq;
    expect_ok(ant_request_new(FN, &rq));
    int rc = 0;
    for (rq->cookie = *(uint64_t *)arg; rc == 0 && !model.over; rq->cookie++) {
        rc = ant_call(rq, ANT_FOREVER);
        if (rc == 0 && draw(2) == 0)
            rc = ant_sleep(ant_now() + draw(60));
    }
    expect(rc == 0);
    expect_ok(ant_request_free(rq));
    return 0;
}

static void draw_driver(struct ant_driver_timing *d, int *priority, uint32_t function)
{
    static const int priorities[] = {SERVER_PRIORITY + 5, SERVER_PRIORITY + 5,
                                     SERVER_PRIORITY,     SERVER_PRIORITY - 2,
                                     FIXTURE_PRIORITY,    FIXTURE_PRIORITY + 5};
    *priority = priorities[draw(6)];
    *d = (struct ant_driver_timing){.function = function, .overlaps = draw(3) == 0};
    d->burst_ns = 1 + draw(20);
    d->burst_min_ns = draw(2) ? d->burst_ns : draw(d->burst_ns + 1);
    d->wait_ns = 1 + draw(40);
    d->wait_max_ns = d->overlaps || draw(2) ? 0 : d->wait_ns + draw(20);
    d->reply_ns = model.costs.remap_page_ns + (draw(3) ? 0 : draw(5));
}

/* What is drawn, and what the server declares of it: sends and replies cost a page each. */
static void draw_model(uint64_t seed)
{
    memset(&model, 0, sizeof model);
    model.random = seed;
    if (draw(3) > 0)
        for (int step = 1; step <= 12; step++)
            model.costs.step_ns[step] = draw(8);
    model.costs.switch_ns = draw(2) ? 0 : 1 + draw(3);
    model.costs.remap_page_ns = draw(2) ? 0 : 1 + draw(3);
    model.work_ns = draw(50);
    model.rest_ns = draw(2) ? 0 : draw(20);
    model.result_ns = draw(50);
    model.start_ns = draw(2) ? 0 : draw(20);
    model.clients = 1 + (uint32_t)draw(CLIENTS_MAX);
    model.driver_count = 1 + (uint32_t)draw(DRIVERS_MAX);
    for (uint32_t i = 0; i < model.driver_count; i++)
        draw_driver(&model.drivers[i], &model.driver_priority[i], FN_DRIVER + i);
    uint64_t page_ns = model.costs.remap_page_ns;
    model_timing = (struct ant_timing){.request_ns = model.work_ns + page_ns + model.rest_ns,
                                       .result_ns = model.result_ns + page_ns,
                                       .start_ns = model.start_ns,
                                       .request_min_ns = model.work_ns,
                                       .requests = model.clients,
                                       .drivers = model.drivers,
                                       .driver_count = model.driver_count};
}

/* At the next moment of the kind, if it comes soon. */
static void await_moment(enum moment moment)
{
    struct ant_message message;
    int64_t pause_ns = (int64_t)draw(draw(3) ? 400 : 2); /* at once: those replaced before have not exited */
    model.moment = moment;
    if (moment == ANY_TIME) {
        assert_ok(ant_sleep(ant_now() + (uint64_t)pause_ns));
        return;
    }
    int rc = ant_receive(&message, pause_ns);
    if (rc != 0 && model.moment == ANY_TIME) /* somebody is just telling it */
        rc = ant_receive(&message, SOON);
    model.moment = ANY_TIME;
    if (rc == 0)
        assert_ok(ant_reply(message.request, 0));
}

static void run_model(uint64_t seed)
{
    static uint64_t numbers[CLIENTS_MAX];
    ant_pid clients[CLIENTS_MAX];
    draw_model(seed);
    struct ant_config config = fixture_config();
    config.costs = &model.costs;
    config.seed = seed % 3;
    fixture_boot(&config);
    for (uint32_t i = 0; i < model.driver_count; i++)
        serve(FN_DRIVER + i, model.drivers[i].overlaps ? &overlap_driver : &serial_driver,
              &(struct ant_server_options){.priority = model.driver_priority[i]});
    serve(FN, &model_server, &(struct ant_server_options){.priority = SERVER_PRIORITY});
    struct ant_bound bound;
    int rc = ant_swap_bound(FN, &model_server, &bound);
    for (uint32_t i = 0; i < model.clients; i++) {
        numbers[i] = i;
        clients[i] = spawn("client", SERVER_PRIORITY - 5, model_client, &numbers[i]);
    }
    for (int i = 0; i < SWAPS && rc == 0; i++) {
        struct ant_swap_report report;
        await_moment((enum moment)draw(4));
        assert_ok(ant_swap_bound(FN, &model_server, &bound)); /* anew: the one before may not have exited */
        assert_ok(ant_swap(FN, &model_server,
                           &(struct ant_swap_options){.deadline_ns = (int64_t)bound.bound_ns}, &report));
        if (report.swap_ns > bound.bound_ns)
            fail_msg("model %llu, swap %d: %llu ns, bound %llu", (unsigned long long)seed, i,
                     (unsigned long long)report.swap_ns, (unsigned long long)bound.bound_ns);
    }
    if (rc != 0)
        assert_int_equal(rc, -ERANGE);
    model.over = true;
    for (uint32_t i = 0; i < model.clients; i++)
        assert_int_equal(join(clients[i]), 0);
    fixture_shutdown();
    assert_expectations();
}

static void no_swap_takes_longer_than_its_bound(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= MODELS; seed++)
        run_model(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_swap_takes_longer_than_its_bound),
    };
    return cmocka_run_group_tests_name("bound models", tests, NULL, NULL);
}
