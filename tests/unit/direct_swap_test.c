/* ctest: machines=virtual,other,real movers=strict,flat timeout=240 */
/* Swaps and direct calls: a server that is lent a thread is a busy one. */
#include "lent.h"

#define ABOVE (FIXTURE_PRIORITY + 20)

/* The swap of FN has begun, and its server knows it, or would if it looked. */
static void await_notice(void)
{
    struct ant_process_info info = info_of(mortal_pid);
    assert_soon(steps_in_trace(ANT_SWAP_NOTIFY, info.generation + 1) > 0);
}

/* Answers what is in service, but for the last, which the server is working on. */
static void answer_kept(int32_t status)
{
    struct ant_pending items[8];
    size_t count = 0;
    assert_ok(puppet_pending(mortal_pid, ANT_IN_SERVICE, items, 8, &count));
    assert_in_range(count, 1, 8);
    for (size_t i = 0; i + 1 < count; i++)
        assert_ok(puppet_reply(mortal_pid, items[i].request, status));
}

static void a_swap_waits_for_the_callback_and_hands_all_over(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0), keeper = puppet_create("keeper", 0),
            driver = puppet_create("driver", 0), requester = puppet_create("requester", ABOVE);
    struct ant_swap_report report;
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    struct ant_request *kept = begin_call(keeper, FN, OP_KEEP);
    assert_soon(info_of(mortal_pid).in_service == 1);
    struct ant_request *rq = lend(client), *errand = puppet_new_request(mortal_pid, FN_DRIVER);
    assert_ok(puppet_send(mortal_pid, errand));
    struct ant_request *queued[3] = {send_op(OP_COUNT, 0), send_op(OP_COUNT, 1)};
    puppet_begin_swap(requester, FN, &lent_one_again, NULL, &report);
    await_notice();
    queued[2] = send_op(OP_COUNT, 2);
    puppet_begin_work(mortal_pid, MS(3));
    assert_int_equal(puppet_end(mortal_pid), 0);
    puppet_begin_sleep(mortal_pid, ant_now() + MS(2)); /* that counts as well */
    assert_int_equal(puppet_end(mortal_pid), 0);
    assert_false(puppet_is_idle(requester));
    assert_int_equal(info_of(mortal_pid).generation, 1);
    take_back(client, rq);
    assert_int_equal(puppet_end(requester), 0);
    for (int i = 0; i < 3; i++)
        take_answer(queued[i], 2);
    assert_false(report.restarted);
    assert_adds_up(&report);
    assert_int_equal(report.queued_requests.at_notice, 2);
    assert_int_equal(report.queued_requests.arrived, 1);
    assert_int_equal(report.queued_requests.handed_over, 3);
    assert_int_equal(report.in_service.at_notice, 2);
    assert_int_equal(report.in_service.arrived, 0);
    assert_int_equal(report.in_service.handed_over, 1);
    assert_int_equal(report.outstanding.handed_over, 1);
    assert_true(report.request_work_ns >= MS(3)); /* by the processor's clock */
    if (on_virtual()) {                           /* nothing else takes any time there */
        assert_true(report.request_work_ns == MS(5));
        assert_true(report.swap_ns == MS(5));
        assert_true(report.blackout_ns == 0);
    }
    rq = lend(client);
    answer_kept(7);
    assert_int_equal(puppet_end(keeper), 0);
    assert_int_equal(kept->status, 7);
    assert_ok(puppet_request_free(keeper, kept));
    take_back(client, rq);
    assert_ok(puppet_reply(driver, puppet_take_request(driver), 0));
    assert_soon(info_of(mortal_pid).pages == MORTAL_STATE_PAGES); /* it was received by the successor */
    assert_serves(2, 2);
}

static void the_state_passes_on_from_a_callback_elsewhere(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0), requester = puppet_create("requester", 0);
    const struct ant_program *versions[] = {&lent_two, &lent_one, &lent_one_again, &lent_two};
    for (uint32_t i = 0; i < 4; i++) {
        struct ant_request *rq = lend(client);
        puppet_begin_swap(requester, FN, versions[i], NULL, NULL);
        await_notice();
        puppet_release(mortal_pid);
        assert_int_equal(puppet_end(client), 0);
        assert_int_equal(answer_in(rq)->count, i);
        assert_int_equal(answer_in(rq)->generation, i + 1);
        assert_int_equal(end_call(client, rq), 0);
        assert_int_equal(puppet_end(requester), 0);
        assert_int_equal(info_of(mortal_pid).version, versions[i]->version);
    }
}

static void a_swap_that_is_rolled_back_leaves_the_callback_alone(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0), requester = puppet_create("requester", 0);
    struct ant_swap_report report;
    struct ant_swap_options hasty = {.quiesce_timeout_ns = A_WHILE};
    struct ant_request *rq = lend(client);
    pid_t thread = where_is(mortal_pid).thread;
    assert_error(puppet_swap(requester, FN, &lent_one_again, &hasty, &report), ETIMEDOUT);
    assert_int_equal(report.step, ANT_SWAP_LOOK);
    assert_adds_up(&report);
    puppet_begin_swap(requester, FN, &lent_one_again, NULL, &report);
    assert_soon(steps_in_trace(ANT_SWAP_NOTIFY, 2) == 2);
    assert_ok(ant_swap_cancel(FN));
    assert_was(ant_swap, puppet_end(requester), ECANCELED);
    assert_adds_up(&report);
    assert_int_equal(where_is(mortal_pid).thread, thread);
    take_back(client, rq);
    assert_serves(1, 1);
    rq = lend(client);
    mortal.hook = fail_to_start; /* after the callback */
    puppet_begin_swap(requester, FN, &lent_one_again, NULL, &report);
    assert_soon(steps_in_trace(ANT_SWAP_NOTIFY, 2) == 3);
    take_back(client, rq);
    assert_int_equal(puppet_end(requester), -EDOM);
    assert_adds_up(&report);
    assert_true(lends(client, FN, mortal_pid, ANT_FOREVER));
    assert_serves(1, 1);
}

/* With the time limit of a swap, for a callback that computes at its client's priority. */
static void the_requester_s_time_limit_holds_against_a_client_above_it(void **state)
{
    (void)state;
    if (!on_virtual())
        skip(); /* only there it is exact */
    ant_pid client = puppet_create("client", ABOVE), requester = puppet_create("requester", 0);
    struct ant_swap_report report;
    struct ant_swap_options hasty = {.quiesce_timeout_ns = (int64_t)MS(5)};
    struct ant_request *rq = lend(client);
    puppet_begin_swap(requester, FN, &lent_one_again, &hasty, &report);
    await_notice();
    puppet_begin_work(mortal_pid, MS(50));
    assert_was(ant_swap, puppet_end(requester), ETIMEDOUT);
    assert_true(report.swap_ns < MS(6));
    assert_int_equal(puppet_end(mortal_pid), 0);
    take_back(client, rq);
}

static void the_callback_may_swap_its_own_server(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", FIXTURE_PRIORITY + 5);
    struct where own = where_is(client);
    struct ant_request *rq = lend(client), *queued = send_op(OP_COUNT, 1);
    mortal.hook = fail_to_start;
    puppet_begin_swap(mortal_pid, FN, &lent_one_again, NULL, NULL);
    assert_int_equal(puppet_end(mortal_pid), -EDOM);
    assert_int_equal(where_is(mortal_pid).thread, own.thread);
    assert_int_equal(where_is(mortal_pid).level, own.level);
    mortal.hook = NULL;
    puppet_begin_swap(mortal_pid, FN, &lent_one_again, NULL, NULL);
    take_answer(queued, 2);
    assert_int_equal(info_of(mortal_pid).in_service, 1); /* handed over */
    assert_false(puppet_is_idle(client));
    struct ant_swap_report report;
    assert_soon(ant_swap_last(FN, &report) == 0 && report.step == ANT_SWAP_EXIT);
    assert_adds_up(&report);
    assert_int_equal(report.in_service.handed_over, 1);
    assert_int_equal(report.queued_requests.handed_over, 1);
    puppet_bury(mortal_pid);
    struct ant_request *busy = make_obey();
    answer_kept(11);
    assert_int_equal(puppet_end(client), 0);
    assert_int_equal(rq->status, 11);
    assert_ok(puppet_request_free(client, rq));
    struct where after = where_is(client);
    assert_int_equal(after.thread, own.thread);
    assert_int_equal(after.level, own.level);
    puppet_release(mortal_pid);
    take_answer(busy, 2);
    assert_true(lends(client, FN, mortal_pid, ANT_FOREVER));
    assert_serves(2, 2);
}

static void the_client_is_swapped_when_its_call_is_over(void **state)
{
    (void)state;
    ant_pid outer = serve(FN_OTHER, &lent_one, NULL), client = puppet_create("client", 0),
            requester = puppet_create("requester", 0);
    struct ant_swap_report report;
    struct ant_swap_options hasty = {.quiesce_timeout_ns = A_WHILE};
    pid_t thread = where_is(client).thread;
    for (uint32_t round = 0; round < 2; round++) {
        /* the server of FN_OTHER calls FN: on its own thread; on a client's */
        struct ant_request *first = round == 0 ? send_to(FN_OTHER, OP_OBEY, 1, 0) : NULL;
        if (!first) {
            await_rest(outer);
            first = begin_call(client, FN_OTHER, OP_OBEY);
        }
        pid_t outer_thread = where_is(outer).thread;
        assert_int_equal(outer_thread == thread, round == 1);
        await_rest(mortal_pid);
        struct ant_request *second = begin_call(outer, FN, OP_OBEY);
        assert_int_equal(where_is(mortal_pid).thread, outer_thread);
        assert_error(puppet_swap(requester, FN_OTHER, &lent_one_again, &hasty, &report), ETIMEDOUT);
        assert_adds_up(&report);
        puppet_begin_swap(requester, FN_OTHER, &lent_one_again, NULL, &report);
        puppet_release(mortal_pid);
        assert_int_equal(end_call(outer, second), 0);
        puppet_release(outer);
        if (round == 0)
            take_answer(first, 1);
        else
            assert_int_equal(end_call(client, first), 0);
        assert_int_equal(puppet_end(requester), 0);
        assert_adds_up(&report);
        assert_int_equal(report.outstanding.handed_over, 0);
        assert_int_equal(info_of(outer).generation, 2 + round);
    }
}

static void a_client_that_is_replaced_by_force_ends_when_its_call_is_over(void **state)
{
    (void)state;
    ant_pid outer = serve(FN_OTHER, &lent_one, NULL), requester = puppet_create("requester", 0);
    struct ant_swap_report report;
    struct ant_swap_options options = {.force = true, .quiesce_timeout_ns = A_WHILE};
    struct ant_request *first = send_to(FN_OTHER, OP_OBEY, 1, 0);
    pid_t thread = where_is(outer).thread;
    await_rest(mortal_pid);
    begin_call(outer, FN, OP_OBEY);
    assert_int_equal(where_is(mortal_pid).thread, thread);
    puppet_begin_swap(requester, FN_OTHER, &lent_one_again, &options, &report);
    assert_ok(ant_sleep(ant_now() + 3 * (uint64_t)A_WHILE)); /* its time is over, and it is to end */
    assert_false(puppet_is_idle(requester));
    assert_false(is_dead(outer));
    assert_int_equal(where_is(mortal_pid).thread, thread);
    puppet_release(mortal_pid);
    assert_int_equal(puppet_end(requester), 0);
    assert_true(report.restarted);
    assert_adds_up(&report);
    take_error(first, -EOWNERDEAD);
    puppet_bury(outer);
    assert_int_equal(info_of(outer).generation, 2);
    assert_serves(1, 1);
}

/* A member of the group, dead, is what that call waits for: only this swap could replace it. */
static void a_client_that_does_not_end_by_force_is_waited_for_no_longer(void **state)
{
    (void)state;
    if (!on_virtual())
        skip(); /* takes seconds */
    static const struct ant_swap_options options = {.force = true};
    ant_pid outer = serve(FN_OTHER, &lent_one, NULL);
    for (int members = 1; members <= 2; members++) {
        struct ant_swap_item items[] = {{FN_OTHER, &lent_one_again, &options},
                                        {FN_EXTRA, &mortal_one_again, NULL}};
        struct ant_swap_report reports[2];
        ant_pid dead = serve(FN_EXTRA, &mortal_one, NULL);
        struct ant_request *first = send_to(FN_OTHER, OP_OBEY, 1, 0);
        puppet_await(outer);
        await_rest(mortal_pid);
        begin_call(outer, FN, OP_OBEY);
        puppet_await(mortal_pid);
        assert_ok(ant_kill(dead));
        assert_soon(is_dead(dead));
        struct ant_request *in_vain = puppet_new_request(mortal_pid, FN_EXTRA);
        puppet_begin_call(mortal_pid, in_vain, ANT_FOREVER);
        uint64_t begin_ns = ant_now();
        assert_error(ant_swap_many(items, (size_t)members, reports), ETIMEDOUT);
        assert_int_equal(reports[0].error, -ETIMEDOUT);
        assert_true(ant_now() - begin_ns == 10 * ANT_NS_PER_S);
        assert_ok(ant_swap(FN_EXTRA, &mortal_one_again, NULL, NULL));
        assert_int_equal(puppet_end(mortal_pid), 0);
        assert_ok(puppet_request_free(mortal_pid, in_vain));
        puppet_release(mortal_pid);
        take_error(first, -EOWNERDEAD);
        puppet_bury(outer);
        assert_true(is_dead(outer));
        assert_ok(ant_swap(FN_OTHER, &lent_one, NULL, NULL));
        assert_ok(ant_stop(dead, SOON, NULL));
    }
}

static void the_callback_cannot_await_the_end_of_its_client(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    lend(client);
    assert_error(puppet_wait(mortal_pid, client, A_WHILE, NULL), ETIMEDOUT);
    assert_error(puppet_stop(mortal_pid, client, A_WHILE, NULL), ETIMEDOUT);
    assert_ok(puppet_kill(mortal_pid, client));
    assert_error(puppet_wait(mortal_pid, client, A_WHILE, NULL), ETIMEDOUT);
    puppet_release(mortal_pid);
    assert_int_equal(join(client), -EOWNERDEAD);
    puppet_bury(client);
    assert_serves(1, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        lent_test(a_swap_waits_for_the_callback_and_hands_all_over),
        lent_test(the_state_passes_on_from_a_callback_elsewhere),
        lent_test(a_swap_that_is_rolled_back_leaves_the_callback_alone),
        lent_test(the_requester_s_time_limit_holds_against_a_client_above_it),
        lent_test(the_callback_may_swap_its_own_server),
        lent_test(the_client_is_swapped_when_its_call_is_over),
        lent_test(a_client_that_is_replaced_by_force_ends_when_its_call_is_over),
        lent_test(a_client_that_does_not_end_by_force_is_waited_for_no_longer),
        lent_test(the_callback_cannot_await_the_end_of_its_client),
    };
    return cmocka_run_group_tests_name("direct_swap", tests, NULL, NULL);
}
