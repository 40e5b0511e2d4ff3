/* ctest: machines=virtual,real movers=strict,flat */
/*
 * Two servers, of which one passes most requests on to the other, while both are replaced again and again, by programs that prepare and dispose:
 * no request is lost, none is served twice, and each client has its own back.
 */
#include "fixture.h"

#define FN_FRONT 1u
#define FN_BACK 2u
#define CLIENTS 3u
#define REQUESTS_MAX 400u

/* What becomes of a request is in its cookie: client << 16 | number. */
enum way {
    ANSWER,       /* by the first server */
    PASS,         /* on to the second */
    PASS_OTHER,   /* the same, with another data area */
    PUT_OFF_PASS, /* to the end of the first one's queue, then on to the second */
    WAYS
};

static enum way way_of(uint64_t cookie)
{
    return (enum way)(cookie * 7 % 5 % WAYS);
}

static uint32_t requests, swaps; /* of each client, of each server */
static _Atomic uint32_t at_front[CLIENTS][REQUESTS_MAX], at_back[CLIENTS][REQUESTS_MAX];
static _Atomic uint32_t clients_left;
static _Atomic uint32_t prepared, disposed, generations;

static _Atomic uint32_t *entry(_Atomic uint32_t (*table)[REQUESTS_MAX], uint64_t cookie)
{
    return &table[cookie >> 16][cookie & 0xffff];
}

/* ---- the servers ---- */

static int prepare(struct ant_server *self)
{
    static _Atomic uint32_t something;
    self->context = &something;
    prepared++;
    generations++;
    return ant_work(US(3));
}

static int start(struct ant_server *self)
{
    expect(self->context != NULL);
    return 0;
}

static void dispose(struct ant_server *self)
{
    expect(self->context != NULL);
    disposed++;
}

/* For the next server a data area that says the same. */
static void replace_data(struct ant_request *rq)
{
    void *old = rq->data, *area;
    expect_ok(ant_ica_alloc(2, &area));
    *(uint64_t *)area = *(uint64_t *)old;
    expect_ok(ant_ica_free(old));
    rq->data = area;
}

static void at_front_request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    enum way way = way_of(rq->cookie);
    bool again = rq->operation == 1;
    expect(rq->function == FN_FRONT);
    if (!again)
        ++*entry(at_front, rq->cookie);
    ant_work(US(2));
    if (way == PASS_OTHER)
        replace_data(rq);
    if (way == ANSWER) {
        expect_ok(ant_reply(rq, 1));
    } else if (way == PUT_OFF_PASS && !again) {
        rq->operation = 1;
        expect_ok(ant_forward(rq, FN_FRONT));
    } else {
        rq->operation = 2;
        expect_ok(ant_forward(rq, FN_BACK));
    }
}

static void at_back_request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    expect(rq->function == FN_BACK && rq->operation == 2 && rq->data);
    expect(*(uint64_t *)rq->data == rq->cookie);
    ++*entry(at_back, rq->cookie);
    ant_work(US(5));
    expect_ok(ant_reply(rq, 2));
}

#define LIFE .abi = ANT_ABI, .prepare = prepare, .start = start, .dispose = dispose
static const struct ant_program fronts[2] = {
    {LIFE, .name = "front 1", .version = 1, .request = at_front_request},
    {LIFE, .name = "front 2", .version = 2, .request = at_front_request}};
static const struct ant_program backs[2] = {
    {LIFE, .name = "back 1", .version = 1, .request = at_back_request},
    {LIFE, .name = "back 2", .version = 2, .request = at_back_request}};

static void expect_balance(struct ant_swap_count count)
{
    expect(count.at_notice + count.arrived - count.left == count.handed_over);
}

static int swap_again_and_again(void *arg)
{
    const struct ant_program *programs = arg;
    uint32_t function = programs == fronts ? FN_FRONT : FN_BACK;
    for (uint32_t i = 0; i < swaps && atomic_load(&clients_left) > 0; i++) {
        struct ant_swap_report report;
        expect_ok(ant_swap(function, &programs[(i + 1) % 2], NULL, &report));
        expect_balance(report.queued_requests);
        expect_balance(report.in_service);
        ant_sleep(ant_now() + US(20));
    }
    return 0;
}

/* ---- the clients ---- */

static void check(struct ant_request *rq, uint64_t cookie)
{
    bool passed = way_of(cookie) != ANSWER;
    expect(rq->error == 0 && rq->status == (passed ? 2 : 1));
    expect(rq->function == FN_FRONT && rq->operation == 0 && rq->cookie == cookie);
    expect(rq->data && *(uint64_t *)rq->data == cookie);
    expect(*entry(at_front, cookie) == 1 && *entry(at_back, cookie) == passed);
}

static void dismiss(struct ant_request *rq)
{
    expect_ok(ant_ica_free(rq->data));
    expect_ok(ant_request_free(rq));
}

static void await_result(uint64_t cookie)
{
    struct ant_message message;
    int rc;
    while ((rc = ant_receive(&message, ANT_FOREVER)) == -EDEADLK)
        ;
    expect_ok(rc);
    expect(message.kind == ANT_RESULT);
    check(message.request, cookie);
    dismiss(message.request);
}

static void ask(uint64_t cookie)
{
    struct ant_request *rq;
    expect_ok(ant_request_new(FN_FRONT, &rq));
    expect_ok(ant_ica_alloc(1, &rq->data));
    *(uint64_t *)rq->data = rq->cookie = cookie;
    int rc = 0;
    if (cookie % 3 == 2) {
        expect_ok(ant_send(rq));
        rc = cookie % 2 ? ant_cancel(rq) : -EALREADY;
        rc = rc == 0 ? -ETIMEDOUT : -EINPROGRESS; /* withdrawn, or not */
    } else {
        rc = ant_call(rq, cookie % 3 ? (int64_t)US(cookie % 16) : ANT_FOREVER);
    }
    if (rc == -EINPROGRESS) {
        await_result(cookie);
    } else if (rc == -ETIMEDOUT) {
        expect(*entry(at_front, cookie) == 0);
        dismiss(rq);
    } else {
        expect_ok(rc);
        check(rq, cookie);
        dismiss(rq);
    }
}

static int client(void *arg)
{
    uint64_t number = (uint64_t)(uintptr_t)arg;
    for (uint32_t i = 0; i < requests; i++)
        ask(number << 16 | i);
    clients_left--;
    return 0;
}

/* ---- ---- */

static void run(void)
{
    static const struct ant_server_options high = {.priority = FIXTURE_PRIORITY + 5};
    memset(at_front, 0, sizeof at_front);
    memset(at_back, 0, sizeof at_back);
    clients_left = CLIENTS;
    prepared = disposed = generations = 0;
    ant_pid front = serve(FN_FRONT, &fronts[0], &high), back = serve(FN_BACK, &backs[0], &high);
    ant_pid processes[CLIENTS + 2];
    for (uintptr_t i = 0; i < CLIENTS; i++)
        processes[i] = spawn("client", FIXTURE_PRIORITY + (int)i, client, (void *)i);
    processes[CLIENTS] =
        spawn("swapper", FIXTURE_PRIORITY + 10, swap_again_and_again, (void *)(uintptr_t)fronts);
    processes[CLIENTS + 1] =
        spawn("swapper", FIXTURE_PRIORITY + 3, swap_again_and_again, (void *)(uintptr_t)backs);
    for (uint32_t i = 0; i < CLIENTS + 2; i++)
        assert_ok(ant_wait(processes[i], 3 * SOON, NULL));
    assert_ok(ant_stop(front, SOON, NULL));
    assert_ok(ant_stop(back, SOON, NULL));
    assert_int_equal(prepared, generations);
    assert_soon(disposed == prepared);
    fixture_shutdown();
    assert_expectations();
}

static void nothing_is_lost_or_doubled(void **state)
{
    (void)state;
    requests = REQUESTS_MAX;
    swaps = 100;
    fixture_boot(NULL);
    run();
}

static void nor_in_any_order(void **state)
{
    (void)state;
    requests = 6;
    swaps = 4;
    fixture_boot(NULL);
    if (!on_virtual())
        skip();
    fixture_shutdown();
    for (uint64_t seed = 0; fixture_explores(seed, 400); seed++) {
        fixture_boot_seed(seed);
        run();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_lost_or_doubled, fixture_no_core, fixture_teardown),
        cmocka_unit_test_setup_teardown(nor_in_any_order, fixture_no_core, fixture_teardown),
    };
    return cmocka_run_group_tests_name("forward stress", tests, NULL, NULL);
}
