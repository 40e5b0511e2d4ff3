/* ctest: machines=virtual,real movers=strict,flat timeout=240 */
/* Death in the midst of a swap: of the old server, of its requester, by force. */
#include "mortal.h"

static const struct ant_swap_options trusted = {.trust_state = true};

static void begin_swap(ant_pid requester, const struct ant_swap_options *options,
                       struct ant_swap_report *report)
{
    uint32_t generation = info_of(mortal_pid).generation + 1;
    size_t before = steps_in_trace(ANT_SWAP_NOTIFY, generation);
    puppet_begin_swap(requester, FN, &mortal_one_again, options, report);
    assert_soon(steps_in_trace(ANT_SWAP_NOTIFY, generation) > before);
}

static void a_server_that_dies_before_it_rests_is_replaced_as_a_dead_one(void **state)
{
    (void)state;
    for (uint32_t trust = 0; trust < 2; trust++) {
        ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
        struct ant_swap_report report;
        struct ant_swap_options options = {.trust_state = trust != 0};
        struct ant_request *busy = make_obey(), *queued = send_op(OP_COUNT, 2);
        begin_swap(requester, &options, &report);
        assert_ok(ant_kill(mortal_pid));
        assert_int_equal(puppet_end(requester), 0);
        puppet_bury(mortal_pid);
        take_error(busy, -EOWNERDEAD);
        take_answer(queued, 2);
        assert_restarted(&report, 2 + trust);
        assert_true(report.step_time_ns[ANT_SWAP_NOTIFY] != 0);
        assert_true(report.step_time_ns[ANT_SWAP_LOOK] == 0);
        assert_int_equal(report.in_service.at_notice, 1);
        assert_int_equal(report.in_service.left, 1);
        assert_int_equal(report.outstanding.at_notice, 1); /* to the boss */
        assert_int_equal(report.outstanding.left, 1);
        assert_int_equal(mortal.started.reason, ANT_START_RESTART);
        assert_true((mortal.started.state != NULL) == (trust != 0));
        assert_serves(2, 2 + trust);
        assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
        puppet_dismiss(requester);
    }
}

static void what_was_to_be_transformed_is_not_if_its_server_dies(void **state)
{
    (void)state;
    ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
    struct ant_swap_report report;
    struct ant_request *busy = make_obey();
    puppet_begin_swap(requester, FN, &mortal_two, NULL, &report);
    assert_soon(steps_in_trace(ANT_SWAP_NOTIFY, 2) > 0);
    assert_ok(ant_kill(mortal_pid));
    assert_int_equal(puppet_end(requester), 0);
    puppet_bury(mortal_pid);
    take_error(busy, -EOWNERDEAD);
    assert_restarted(&report, 2);
    assert_int_equal(mortal.transforms, 0);
    assert_ptr_equal(mortal.started.state, NULL);
    assert_serves(3, 2);
}

static void a_server_that_ends_before_it_rests_is_esrch(void **state)
{
    (void)state;
    ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
    struct ant_swap_report report;
    struct ant_request *busy = make_obey(), *queued = send_op(OP_EXIT, 2);
    (void)queued;
    int status = 0;
    begin_swap(requester, NULL, &report);
    assert_error(ant_stop(mortal_pid, 0, NULL), ETIMEDOUT); /* asked to end, it is not dead when it is killed */
    assert_ok(ant_kill(mortal_pid));
    assert_was(ant_swap, puppet_end(requester), ESRCH);
    assert_ok(ant_wait(mortal_pid, SOON, &status));
    assert_int_equal(status, -EOWNERDEAD);
    puppet_bury(mortal_pid);
    take_error(busy, -ESHUTDOWN);
    take_error(queued, -ESHUTDOWN);
}

static int obey_and_fail(struct ant_server *self)
{
    (void)self;
    expect_ok(puppet_obey());
    return -EDOM;
}

static void a_kill_of_the_resting_server_counts_if_it_goes_on(void **state)
{
    (void)state;
    for (int commits = 0; commits < 2; commits++) {
        ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
        struct ant_swap_report report;
        mortal.hook = commits ? obey_in_start : obey_and_fail;
        puppet_begin_swap(requester, FN, &mortal_one_again, NULL, &report);
        puppet_await(mortal_pid); /* that is the new one */
        assert_ok(ant_kill(mortal_pid));
        puppet_release(mortal_pid);
        assert_int_equal(puppet_end(requester), commits ? 0 : -EDOM);
        assert_false(report.restarted);
        mortal.hook = NULL;
        if (commits) {
            assert_serves(2, 3);
        } else {
            await_death(mortal_pid);
            assert_ok(ant_swap(FN, &mortal_one, &trusted, NULL));
            assert_serves(1, 2);
        }
        puppet_dismiss(requester);
    }
}

static void a_requester_that_is_killed_cancels_its_swap(void **state)
{
    (void)state;
    for (int started = 0; started < 2; started++) {
        ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
        struct ant_swap_report report, last;
        struct ant_request *busy = started ? NULL : make_obey();
        mortal.hook = started ? obey_in_start : NULL;
        begin_swap(requester, NULL, &report);
        if (started)
            puppet_await(mortal_pid);
        assert_ok(ant_kill(requester));
        assert_int_equal(join(requester), -EOWNERDEAD);
        puppet_bury(requester);
        if (started) {
            puppet_bury(mortal_pid); /* the new server's */
        } else {
            puppet_release(mortal_pid);
            take_answer(busy, 1);
        }
        assert_ok(ant_swap_last(FN, &last));
        assert_was(ant_swap, last.error, EINTR);
        assert_int_equal(last.step, started ? ANT_SWAP_START : ANT_SWAP_LOOK);
        assert_adds_up(&last);
        mortal.hook = NULL;
        assert_serves(1, 1);
        assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
    }
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    assert_serves(2, 2);
}

static void a_requester_that_is_killed_leaves_the_dead_dead(void **state)
{
    (void)state;
    ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
    struct ant_swap_report last;
    mortal_kill();
    mortal.hook = obey_in_start;
    puppet_begin_swap(requester, FN, &mortal_one_again, NULL, NULL);
    puppet_await(mortal_pid);
    assert_int_equal(end_of(requester), -EOWNERDEAD);
    puppet_bury(mortal_pid);
    assert_ok(ant_swap_last(FN, &last));
    assert_int_equal(last.error, -EINTR);
    assert_true(is_dead(mortal_pid));
    mortal.hook = NULL;
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    assert_serves(2, 2);
}

static void a_server_that_swaps_another_may_die_of_it(void **state)
{
    (void)state;
    ant_pid other = serve(FN_OTHER, &mortal_one, NULL);
    mortal.hook = obey_in_start;
    struct ant_request *rq = send_op(OP_SWAP_OTHER, 1);
    puppet_await(other); /* its successor in start */
    mortal_kill();
    puppet_bury(other);
    take_error(rq, -EOWNERDEAD);
    mortal.hook = NULL;
    struct ant_swap_report last;
    assert_ok(ant_swap_last(FN_OTHER, &last));
    assert_int_equal(last.error, -EINTR);
    assert_int_equal(ask(FN_OTHER, OP_COUNT).generation, 1);
    assert_ok(ant_swap(FN_OTHER, &mortal_one_again, NULL, NULL));
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    assert_serves(2, 2);
}

static void force_ends_a_server_that_does_not_come_to_rest(void **state)
{
    (void)state;
    static const uint32_t places[] = {OP_OBEY, OP_SLEEP, OP_WORK, OP_ASK};
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    assert_ok(ant_priority_set(mortal_pid, FIXTURE_PRIORITY - 1));
    uint32_t generation = 1;
    for (uint32_t i = 0; i < sizeof places / sizeof *places; i++) {
        ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
        struct ant_swap_report report;
        struct ant_swap_options options = {.quiesce_timeout_ns = A_WHILE, .trust_state = true};
        mortal.time_ns = UINT64_C(3600) * ANT_NS_PER_S;
        struct ant_request *busy = send_op(places[i], 1);
        assert_soon(info_of(mortal_pid).in_service == 1);
        if (places[i] == OP_OBEY)
            puppet_await(mortal_pid);
        assert_error(puppet_swap(requester, FN, &mortal_one_again, &options, &report), ETIMEDOUT);
        assert_int_equal(report.step, ANT_SWAP_LOOK);
        assert_false(report.restarted);
        assert_false(is_dead(mortal_pid));
        options.force = true;
        uint64_t from_ns = ant_now();
        assert_int_equal(puppet_swap(requester, FN, &mortal_one_again, &options, &report), 0);
        assert_true(ant_now() >= from_ns + (uint64_t)A_WHILE);
        assert_restarted(&report, ++generation);
        puppet_bury(mortal_pid);
        take_error(busy, -EOWNERDEAD);
        assert_serves(2, generation);
        assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
        puppet_dismiss(requester);
    }
}

static int call_and_work(void *rq)
{
    int rc = ant_call(rq, ANT_FOREVER);
    return rc == -EOWNERDEAD ? ant_work(MS(50)) : -EDOM;
}

/* On `virtual`, where the client that is answered first keeps the dying from the processor until the time is over. */
static void who_is_dying_when_the_time_is_over_is_replaced(void **state)
{
    (void)state;
    if (!on_virtual())
        skip();
    for (int forced = 0; forced < 2; forced++) {
        ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5),
                client = puppet_create("client", FIXTURE_PRIORITY + 10);
        struct ant_request *rq = puppet_new_request(client, FN);
        struct ant_swap_options options = {.quiesce_timeout_ns = (int64_t)MS(20), .force = forced};
        struct ant_swap_report report;
        rq->operation = OP_OBEY;
        puppet_begin(client, call_and_work, rq);
        puppet_await(mortal_pid);
        puppet_begin_swap(requester, FN, &mortal_one_again, &options, &report);
        assert_ok(ant_kill(mortal_pid));
        assert_int_equal(puppet_end(requester), 0);
        assert_restarted(&report, 2 + (uint32_t)forced);
        assert_int_equal(puppet_end(client), 0);
        puppet_bury(mortal_pid);
        assert_ok(puppet_request_free(client, rq));
        puppet_dismiss(requester);
        puppet_dismiss(client);
    }
}

static void force_leaves_a_server_alone_that_comes_to_rest(void **state)
{
    (void)state;
    struct ant_swap_report report;
    struct ant_swap_options options = {.force = true};
    assert_int_equal(ask(FN, OP_COUNT).count, 0);
    assert_ok(ant_swap(FN, &mortal_one_again, &options, &report));
    assert_false(report.restarted);
    assert_int_equal(ask(FN, OP_COUNT).count, 1);
}

/* On `virtual`, where it can be said when it has come to rest, and how long the requester does not know. */
static void force_leaves_a_server_alone_that_has_come_to_rest(void **state)
{
    (void)state;
    struct ant_costs costs = {.step_ns[ANT_SWAP_LOOK] = MS(10)};
    struct ant_swap_options options = {.force = true, .quiesce_timeout_ns = (int64_t)MS(5)};
    fixture_boot_exact(&costs);
    mortal_begin(NULL);
    mortal.hook = fail_to_start;
    assert_int_equal(ant_swap(FN, &mortal_one_again, &options, NULL), -ETIMEDOUT);
    assert_serves(1, 1);
    fixture_shutdown();
}

static void force_replaces_a_server_that_spins(void **state)
{
    (void)state;
    if (on_virtual())
        skip();
    assert_ok(ant_priority_set(mortal_pid, FIXTURE_PRIORITY - 1));
    atomic_store(&mortal.spin, true);
    struct ant_request *rq = send_op(OP_SPIN, 1);
    assert_soon(atomic_load(&mortal.spins));
    struct ant_swap_report report;
    struct ant_swap_options options = {.quiesce_timeout_ns = A_WHILE, .force = true};
    assert_ok(ant_swap(FN, &mortal_one_again, &options, &report));
    assert_restarted(&report, 2);
    take_error(rq, -EOWNERDEAD);
    assert_serves(2, 2);
    assert_false(atomic_load(&mortal.left));
    atomic_store(&mortal.spin, false);
    assert_soon(atomic_load(&mortal.left));
    assert_serves(2, 2);
    assert_false(atomic_load(&mortal.ran_on));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        mortal_test(a_server_that_dies_before_it_rests_is_replaced_as_a_dead_one),
        mortal_test(what_was_to_be_transformed_is_not_if_its_server_dies),
        mortal_test(a_server_that_ends_before_it_rests_is_esrch),
        mortal_test(a_kill_of_the_resting_server_counts_if_it_goes_on),
        mortal_test(a_requester_that_is_killed_cancels_its_swap),
        mortal_test(a_requester_that_is_killed_leaves_the_dead_dead),
        mortal_test(a_server_that_swaps_another_may_die_of_it),
        mortal_test(force_ends_a_server_that_does_not_come_to_rest),
        mortal_test(who_is_dying_when_the_time_is_over_is_replaced),
        mortal_test(force_leaves_a_server_alone_that_comes_to_rest),
        bare_mortal_test(force_leaves_a_server_alone_that_has_come_to_rest),
        mortal_test(force_replaces_a_server_that_spins),
    };
    return cmocka_run_group_tests_name("death_swap", tests, NULL, NULL);
}
