/* ctest: machines=virtual,other movers=strict,flat */
/*
 * New servers that prepare for as long as they like, and ask a driver meanwhile, while the old one serves, and is killed, stopped from time to time, and swaps are cancelled: whoever
 * gets in whose way, each request has one result, each server that began is disposed of or ended by force, and no page is lost.
 */
#include "fixture.h"

#define FN 1u
#define FN_DRIVER 2u
#define CLIENTS 2u

static uint32_t requests, rounds;
static _Atomic uint32_t clients_left, begun, disposed, swapped;
static _Atomic bool over;
static bool cancels; /* else a swap that does not come to its end is not helped over that */

/* ---- the server and its driver ---- */

/* With a data area, that goes along and comes back; asynchronously, if somebody later is to have the result. */
static void ask_driver(bool wait)
{
    struct ant_request *rq;
    expect_ok(ant_request_new(FN_DRIVER, &rq));
    expect_ok(ant_ica_alloc(1, &rq->data));
    *(uint64_t *)rq->data = rq->cookie = (uintptr_t)rq;
    if (!wait) {
        expect_ok(ant_send(rq));
        return;
    }
    expect_ok(ant_call(rq, ANT_FOREVER));
    expect(*(uint64_t *)rq->data == rq->cookie);
    expect_ok(ant_ica_free(rq->data));
    expect_ok(ant_request_free(rq));
}

static int prepare(struct ant_server *self)
{
    size_t count = 77;
    begun++;
    self->context = &begun;
    for (uint32_t i = 0; i < 3; i++) {
        ask_driver(true);
        expect_ok(ant_pending(ANT_OUTSTANDING, NULL, 0, &count));
        expect(count == 0);
    }
    ant_work(US(5));
    ask_driver(false);
    return 0;
}

static int start(struct ant_server *self)
{
    void *area;
    expect(self->context == &begun);
    if (self->state)
        return 0;
    expect_ok(ant_ica_alloc(1, &area));
    *(uint64_t *)area = 4711;
    return ant_state_set(area);
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    expect(*(uint64_t *)ant_state() == 4711);
    ask_driver(rq->cookie % 2 == 0);
    expect_ok(ant_reply(rq, (int32_t)rq->cookie));
}

static void result(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    expect(rq->error != 0 || *(uint64_t *)rq->data == rq->cookie);
    expect_ok(ant_ica_free(rq->data));
    expect_ok(ant_request_free(rq));
}

static void dispose(struct ant_server *self)
{
    expect(self->context == &begun);
    disposed++;
}

static const struct ant_program server = {.abi = ANT_ABI,
                                          .name = "server",
                                          .state_version = 1,
                                          .prepare = prepare,
                                          .start = start,
                                          .request = request,
                                          .result = result,
                                          .dispose = dispose};

static void serve_driver(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    ant_work(US(2));
    expect_ok(ant_reply(rq, 0));
}

static const struct ant_program driver = {.abi = ANT_ABI, .name = "driver", .request = serve_driver};

/* ---- those who get in its way ---- */

/* The dead are replaced too, without their state. */
static int replace(void *arg)
{
    (void)arg;
    while (!atomic_load(&over)) {
        int rc = ant_swap(FN, &server, NULL, NULL);
        expect(rc == 0 || (rc == -ECANCELED && cancels));
        swapped += rc == 0;
        ant_sleep(ant_now() + US(10));
    }
    return 0;
}

static int harm(void *arg)
{
    ant_pid pid = *(ant_pid *)arg;
    for (uint32_t i = 0; i < rounds && !atomic_load(&over); i++) {
        ant_sleep(ant_now() + US(7 + i * 13 % 31));
        if (cancels && i % 3)
            ant_swap_cancel(FN);
        else
            ant_kill(pid); /* it may be dead already */
    }
    return 0;
}

static int client(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < requests; i++) {
        struct ant_request *rq;
        expect_ok(ant_request_new(FN, &rq));
        rq->cookie = i;
        int rc = ant_call(rq, ANT_FOREVER);
        expect(rc == -EOWNERDEAD || (rc == 0 && rq->status == (int32_t)i));
        expect_ok(ant_request_free(rq));
    }
    clients_left--;
    return 0;
}

/* ---- ---- */

static void run(void)
{
    ant_pid processes[CLIENTS + 2], pid;
    clients_left = CLIENTS;
    begun = disposed = swapped = 0;
    atomic_store(&over, false);
    serve(FN_DRIVER, &driver, &(struct ant_server_options){.priority = FIXTURE_PRIORITY + 6});
    pid = serve(FN, &server, &(struct ant_server_options){.priority = FIXTURE_PRIORITY + 5});
    for (uint32_t i = 0; i < CLIENTS; i++)
        processes[i] = spawn("client", FIXTURE_PRIORITY + (int)i, client, NULL);
    processes[CLIENTS] = spawn("replacer", FIXTURE_PRIORITY + 10, replace, NULL);
    processes[CLIENTS + 1] = spawn("harm", FIXTURE_PRIORITY + 8, harm, &pid);
    for (uint32_t i = 0; i < CLIENTS; i++)
        assert_ok(ant_wait(processes[i], 3 * SOON, NULL));
    atomic_store(&over, true);
    for (uint32_t i = CLIENTS; i < CLIENTS + 2; i++)
        assert_ok(ant_wait(processes[i], SOON, NULL));
    assert_ok(ant_stop(pid, SOON, NULL));
    assert_true(disposed <= begun);
    fixture_shutdown();
    assert_expectations();
}

static void nobody_harms_another(void **state)
{
    (void)state;
    requests = 400;
    rounds = 100;
    cancels = true;
    fixture_boot(NULL);
    run();
}

static void nor_in_any_order(void **state)
{
    (void)state;
    requests = 5;
    rounds = 6;
    fixture_boot(NULL);
    if (!on_virtual())
        skip();
    fixture_shutdown();
    for (uint64_t seed = 0; fixture_explores(seed, 400); seed++) {
        fixture_boot_seed(seed);
        cancels = seed % 2;
        run();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_harms_another, fixture_no_core, fixture_teardown),
        cmocka_unit_test_setup_teardown(nor_in_any_order, fixture_no_core, fixture_teardown),
    };
    return cmocka_run_group_tests_name("prepare stress", tests, NULL, NULL);
}
