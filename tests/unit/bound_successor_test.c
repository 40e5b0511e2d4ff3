/* ctest: machines=virtual movers=flat */
/*
 * The bound of a server that has replaced another: what that had asked of its drivers is with them still. A program that gives a
 * driver time enough between two requests finds it busy all the same if the one before did not.
 */
#include "fixture.h"
#include "puppet.h"

enum { FN = 7, FN_DISK, SERVER_PRIORITY = 10, BURST = 5, WAIT = 15, ORDERS = 4 };

static void hasty_request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    struct ant_request *io;
    expect_ok(ant_request_new(FN_DISK, &io));
    *(struct ant_request **)(void *)io->payload = rq;
    expect_ok(ant_send(io));
}

static void steady_request(struct ant_server *self, struct ant_request *rq)
{
    expect_ok(ant_work(WAIT));
    hasty_request(self, rq);
}

static void steady_result(struct ant_server *self, struct ant_request *io)
{
    (void)self;
    expect_ok(ant_work(40));
    struct ant_request *rq = *(struct ant_request **)(void *)io->payload;
    expect_ok(ant_request_free(io));
    expect_ok(ant_reply(rq, 0));
}

static void disk_request(struct ant_server *self, struct ant_request *io)
{
    (void)self;
    expect_ok(ant_work(BURST));
    expect_ok(ant_sleep(ant_now() + WAIT));
    expect_ok(ant_reply(io, 0));
}

static const struct ant_driver_timing disk_timing = {
    .function = FN_DISK, .burst_ns = BURST, .burst_min_ns = BURST, .wait_ns = WAIT};
static const struct ant_timing hasty_timing = {.result_ns = 40,
                                               .requests = ORDERS,
                                               .drivers = &disk_timing,
                                               .driver_count = 1},
                               steady_timing = {.request_ns = WAIT,
                                                .request_min_ns = WAIT,
                                                .result_ns = 40,
                                                .requests = ORDERS,
                                                .drivers = &disk_timing,
                                                .driver_count = 1};
static const struct ant_program hasty = {.abi = ANT_ABI,
                                         .name = "hasty",
                                         .request = hasty_request,
                                         .result = steady_result,
                                         .timing = &hasty_timing},
                                steady = {.abi = ANT_ABI,
                                          .name = "steady",
                                          .request = steady_request,
                                          .result = steady_result,
                                          .timing = &steady_timing},
                                disk = {.abi = ANT_ABI, .name = "disk", .request = disk_request};

static uint64_t bound_ns(void)
{
    struct ant_bound bound;
    assert_ok(ant_swap_bound(FN, &steady, &bound));
    return bound.bound_ns;
}

static void order(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        assert_ok(ant_send(new_request(FN)));
}

static void take_orders(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        assert_ok(ant_request_free(boss_result()));
}

static void what_the_one_before_has_asked_for_still_comes(void **state)
{
    (void)state;
    struct ant_swap_report report;
    serve(FN_DISK, &disk, &(struct ant_server_options){.priority = SERVER_PRIORITY + 5});
    serve(FN, &hasty, &(struct ant_server_options){.priority = SERVER_PRIORITY});
    order(ORDERS);
    assert_ok(ant_sleep(ant_now() + BURST + 1)); /* one waits, the others are behind it */
    assert_ok(ant_swap(FN, &steady, NULL, NULL));
    assert_ok(ant_sleep(ant_now() + WAIT + BURST)); /* the first result has come: its work has just begun */
    uint64_t bound = bound_ns();
    assert_ok(ant_swap(FN, &steady, NULL, &report));
    assert_true(report.result_work_ns > 0 && report.higher_priority_ns == 2 * BURST);
    assert_true(report.swap_ns <= bound);
    assert_int_equal(bound, 40 + 2 * BURST);
    take_orders(ORDERS);
    assert_int_equal(bound_ns(), 40); /* none is left: from here on the driver keeps up */
    order(ORDERS);
    assert_ok(ant_sleep(ant_now() + WAIT + 1));
    assert_int_equal(bound_ns(), 40);
    assert_ok(ant_swap(FN, &hasty, NULL, NULL));
    assert_ok(ant_swap(FN, &steady, NULL, NULL));
    assert_int_equal(bound_ns(), 40 + 2 * BURST);
    take_orders(ORDERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_the_one_before_has_asked_for_still_comes,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests_name("bound of a successor", tests, NULL, NULL);
}
