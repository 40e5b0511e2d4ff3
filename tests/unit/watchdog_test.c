/* ctest: machines=virtual,real movers=strict,flat */
/* The watchdog: it ends a server that takes too long for one message, and leaves everybody else alone. */
#include "mortal.h"

/* On real machines so long that a busy one does not make a server hang. */
#define LIMIT limit(MS(300))

static uint64_t limit(uint64_t real_ns)
{
    return on_virtual() ? MS(20) : real_ns;
}

static void begin_with(uint64_t real_ns)
{
    fixture_boot(NULL);
    mortal_begin(&(struct ant_server_options){.watchdog_ns = (int64_t)limit(real_ns),
                                              .priority = FIXTURE_PRIORITY - 1});
}

static void begin(void)
{
    begin_with(MS(300));
}

static struct ant_request *watch_for_death(void)
{
    struct ant_request *rq = new_request(1);
    assert_ok(ant_monitor(rq, FN));
    return rq;
}

/* The monitor tells of the watchdog; when the server died. It is lent again after the server has been replaced. */
static uint64_t take_hung(struct ant_request *monitor)
{
    assert_ptr_equal(boss_result(), monitor);
    const struct ant_monitor_report *r = (void *)monitor->payload;
    assert_int_equal(r->change, ANT_CHANGE_DIED);
    assert_int_equal(r->error, -ETIMEDOUT);
    assert_int_equal(r->signal, 0);
    return r->time_ns;
}

static void restart(const struct ant_program *program)
{
    puppet_bury(mortal_pid);
    assert_ok(ant_swap(FN, program, &(struct ant_swap_options){.trust_state = true}, NULL));
}

static void who_hangs_is_ended_when_its_time_is_over(const struct ant_program *program)
{
    static const uint32_t places[] = {OP_SLEEP, OP_WORK, OP_ASK, OP_OBEY};
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    struct ant_request *monitor = new_request(1);
    for (uint32_t i = 0; i < sizeof places / sizeof *places; i++) { /* a successor is watched as well */
        assert_ok(ant_monitor(monitor, FN));
        mortal.time_ns = UINT64_C(3600) * ANT_NS_PER_S;
        uint64_t sent_ns = ant_now();
        struct ant_request *rq = send_op(places[i], i);
        take_error(rq, -EOWNERDEAD); /* the first to know */
        uint64_t died_ns = take_hung(monitor);
        assert_true(died_ns >= sent_ns + LIMIT);
        if (on_virtual())
            assert_true(died_ns == sent_ns + LIMIT);
        assert_true(is_dead(mortal_pid));
        restart(program);
        assert_serves(program->version, i + 2);
    }
    assert_ok(ant_request_free(monitor));
}

static void a_callback_that_hangs_is_ended(void **state)
{
    (void)state;
    begin();
    who_hangs_is_ended_when_its_time_is_over(&mortal_one);
}

static void a_loop_of_its_own_that_hangs_is_ended(void **state)
{
    (void)state;
    begin();
    assert_ok(ant_swap(FN, &mortal_loop, NULL, NULL));
    mortal_kill();
    restart(&mortal_one);
    assert_ok(ant_stop(mortal_pid, SOON, NULL));
    mortal_pid = serve(FN, &mortal_loop,
                       &(struct ant_server_options){.watchdog_ns = (int64_t)LIMIT,
                                                    .priority = FIXTURE_PRIORITY - 1});
    who_hangs_is_ended_when_its_time_is_over(&mortal_loop);
}

static void many_quick_messages_are_no_slow_one(void **state)
{
    (void)state;
    uint32_t count = 60;
    begin_with(ANT_NS_PER_S); /* a real machine may have much else to run */
    mortal.time_ns = limit(ANT_NS_PER_S) * 3 / 2 / count;
    for (uint32_t i = 0; i < count; i++) {
        struct ant_request *rq = new_request(FN);
        rq->operation = i % 2 ? OP_SLEEP : OP_WORK;
        assert_ok(ant_send(rq));
        if (i % 3 == 0)
            assert_ok(ant_sleep(ant_now() + US(10)));
    }
    for (uint32_t i = 0; i < count; i++) {
        struct ant_request *rq = boss_result();
        assert_int_equal(rq->error, 0);
        assert_int_equal(answer_in(rq)->count, i);
        assert_ok(ant_request_free(rq));
    }
    assert_serves(1, 1);
}

static void at_its_very_limit_a_callback_is_ended_and_before_it_is_not(void **state)
{
    (void)state;
    begin();
    if (!on_virtual())
        skip(); /* only there is anybody exactly in time */
    mortal.time_ns = LIMIT - 1;
    assert_int_equal(ask(FN, OP_SLEEP).count, 0);
    assert_int_equal(ask(FN, OP_WORK).count, 1);
    mortal.time_ns = LIMIT + 1;
    uint64_t from_ns = ant_now();
    take_error(send_op(OP_SLEEP, 1), -EOWNERDEAD);
    assert_true(ant_now() == from_ns + LIMIT);
    await_death(mortal_pid);
}

static void an_idle_server_is_not_watched(void **state)
{
    (void)state;
    begin();
    struct ant_request *rq = watch_for_death();
    assert_serves(1, 1);
    assert_ok(ant_sleep(ant_now() + LIMIT * 3 / 2));
    assert_true(boss_has_no_result());
    assert_serves(1, 1);
    struct ant_request *kept = send_op(OP_KEEP, 1); /* nor one that owes an answer and waits for messages */
    assert_ok(ant_sleep(ant_now() + LIMIT * 3 / 2));
    assert_serves(1, 1);
    assert_ok(ant_cancel(rq));
    assert_ok(ant_request_free(rq));
    mortal_kill();
    take_error(kept, -EOWNERDEAD);
}

static int hang_in_stop(void)
{
    ant_work(UINT64_C(3600) * ANT_NS_PER_S); /* comes back: it was asked to stop */
    struct ant_request *rq;
    expect_ok(ant_request_new(FN_DRIVER, &rq));
    ant_call(rq, ANT_FOREVER);
    expect(false);
    return 0;
}

static void a_stop_that_hangs_is_ended_and_so_is_the_server(void **state)
{
    (void)state;
    begin();
    int status = 0;
    ant_pid driver = puppet_create("driver", 0), found;
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    mortal.when_stopped = hang_in_stop;
    uint64_t from_ns = ant_now();
    assert_ok(ant_stop(mortal_pid, SOON, &status));
    assert_true(ant_now() >= from_ns + LIMIT);
    assert_int_equal(status, -EOWNERDEAD);
    assert_error(ant_lookup(FN, &found), ESRCH);
}

static void a_server_that_spins_is_abandoned_and_replaced(void **state)
{
    (void)state;
    begin();
    if (on_virtual())
        skip(); /* there a process that never calls the core stops the world */
    struct ant_request *monitor = watch_for_death(), *behind;
    atomic_store(&mortal.spin, true);
    struct ant_request *rq = send_op(OP_SPIN, 1);
    behind = send_op(OP_COUNT, 2);
    take_error(rq, -EOWNERDEAD);
    take_hung(monitor);
    assert_true(atomic_load(&mortal.spins) && !atomic_load(&mortal.left));
    restart(&mortal_one_again);
    take_answer(behind, 2);
    assert_serves(2, 2);
    assert_false(atomic_load(&mortal.left));
    atomic_store(&mortal.spin, false);
    assert_soon(atomic_load(&mortal.left));
    assert_serves(2, 2);
    assert_soon(info_of(mortal_pid).pages == MORTAL_STATE_PAGES);
    assert_false(atomic_load(&mortal.ran_on));
    assert_ok(ant_request_free(monitor));
}

static void a_server_that_hangs_in_a_swap_is_replaced_by_it(void **state)
{
    (void)state;
    begin();
    ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
    struct ant_swap_report report;
    struct ant_request *busy = make_obey();
    assert_int_equal(puppet_swap(requester, FN, &mortal_one_again, NULL, &report), 0);
    assert_restarted(&report, 2);
    puppet_bury(mortal_pid);
    take_error(busy, -EOWNERDEAD);
    assert_serves(2, 2);
}

static int start_result;

static int sleep_long(struct ant_server *self)
{
    (void)self;
    expect_ok(ant_sleep(ant_now() + LIMIT * 3 / 2));
    return start_result;
}

static void a_server_that_rests_for_long_is_not_ended(void **state)
{
    (void)state;
    begin();
    struct ant_swap_report report;
    mortal.hook = sleep_long;
    start_result = -EDOM;
    assert_int_equal(ant_swap(FN, &mortal_one_again, NULL, &report), -EDOM);
    assert_serves(1, 1);
    start_result = 0;
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, &report));
    assert_false(report.restarted);
    assert_serves(2, 2);
}

static void one_that_swaps_itself_is_not_ended_while_it_rests_but_when_it_hangs_after_that(void **state)
{
    (void)state;
    begin();
    struct ant_request *busy = make_obey();
    mortal.hook = sleep_long;
    start_result = -EDOM;
    puppet_begin_swap(mortal_pid, FN, &mortal_one_again, NULL, NULL);
    assert_int_equal(puppet_end(mortal_pid), -EDOM);
    puppet_begin_sleep(mortal_pid, ant_now() + UINT64_C(3600) * ANT_NS_PER_S);
    take_error(busy, -EOWNERDEAD);
    start_result = 0;
    restart(&mortal_one_again);
    assert_serves(2, 2);
}

static void one_that_hangs_after_a_swap_that_was_cancelled_is_ended(void **state)
{
    (void)state;
    begin();
    ant_pid requester = puppet_create("requester", 0);
    struct ant_request *busy = make_obey();
    struct ant_message message;
    puppet_begin_swap(requester, FN, &mortal_one_again, NULL, NULL);
    assert_ok(puppet_receive(mortal_pid, &message, SOON));
    assert_int_equal(message.kind, ANT_SWAP);
    assert_ok(ant_swap_cancel(FN));
    assert_was(ant_swap, puppet_end(requester), ECANCELED);
    assert_error(puppet_swap_accept(mortal_pid), ECANCELED);
    puppet_begin_sleep(mortal_pid, ant_now() + UINT64_C(3600) * ANT_NS_PER_S);
    take_error(busy, -EOWNERDEAD);
    restart(&mortal_one_again);
    assert_serves(2, 2);
}

static void several_servers_are_each_watched_by_their_own_limit(void **state)
{
    (void)state;
    begin();
    ant_pid slow = serve(FN_OTHER, &mortal_one,
                         &(struct ant_server_options){.watchdog_ns = (int64_t)(3 * LIMIT),
                                                      .priority = FIXTURE_PRIORITY - 1}),
            free = serve(FN_EXTRA, &mortal_one,
                         &(struct ant_server_options){.priority = FIXTURE_PRIORITY - 1});
    mortal.time_ns = UINT64_C(3600) * ANT_NS_PER_S;
    uint64_t from_ns = ant_now();
    struct ant_request *third = send_to(FN_EXTRA, OP_SLEEP, 3, 0),
                       *second = send_to(FN_OTHER, OP_SLEEP, 2, 0), *first = send_op(OP_SLEEP, 1);
    take_error(first, -EOWNERDEAD);
    assert_true(ant_now() >= from_ns + LIMIT);
    take_error(second, -EOWNERDEAD);
    assert_true(ant_now() >= from_ns + 3 * LIMIT);
    if (on_virtual())
        assert_true(ant_now() == from_ns + 3 * LIMIT);
    await_death(mortal_pid);
    await_death(slow);
    assert_false(is_dead(free));
    assert_ok(ant_kill(free));
    take_error(third, -EOWNERDEAD);
}

static void a_deadlock_is_found_although_somebody_watches(void **state)
{
    (void)state;
    begin();
    if (!on_virtual())
        skip();
    struct ant_message message;
    assert_error(ant_receive(&message, ANT_FOREVER), EDEADLK);
    assert_serves(1, 1);
}

static void the_watchdog_counts_in_no_report(void **state)
{
    (void)state;
    begin();
    struct ant_shutdown_report report;
    ant_pid watchdog = 0;
    assert_serves(1, 1);
    for (ant_pid index = 1; index <= FIXTURE_PROCESSES; index++) {
        struct ant_process_info info;
        ant_pid pid = UINT64_C(1) << 32 | index;
        if (ant_process_info(pid, &info) == 0 && strcmp(info.name, "watchdog") == 0)
            watchdog = pid;
    }
    assert_true(watchdog != 0);
    assert_error(ant_kill(watchdog), EPERM);
    assert_error(ant_stop(watchdog, SOON, NULL), EPERM);
    puppet_fini();
    assert_ok(ant_shutdown(&report));
    assert_int_equal(report.processes_asked, 1); /* the server */
    assert_int_equal(report.processes_abandoned, 0);
    assert_int_equal(report.servers_dead, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bare_mortal_test(a_callback_that_hangs_is_ended),
        bare_mortal_test(a_loop_of_its_own_that_hangs_is_ended),
        bare_mortal_test(many_quick_messages_are_no_slow_one),
        bare_mortal_test(at_its_very_limit_a_callback_is_ended_and_before_it_is_not),
        bare_mortal_test(an_idle_server_is_not_watched),
        bare_mortal_test(a_stop_that_hangs_is_ended_and_so_is_the_server),
        bare_mortal_test(a_server_that_spins_is_abandoned_and_replaced),
        bare_mortal_test(a_server_that_hangs_in_a_swap_is_replaced_by_it),
        bare_mortal_test(a_server_that_rests_for_long_is_not_ended),
        bare_mortal_test(one_that_swaps_itself_is_not_ended_while_it_rests_but_when_it_hangs_after_that),
        bare_mortal_test(one_that_hangs_after_a_swap_that_was_cancelled_is_ended),
        bare_mortal_test(several_servers_are_each_watched_by_their_own_limit),
        bare_mortal_test(a_deadlock_is_found_although_somebody_watches),
        bare_mortal_test(the_watchdog_counts_in_no_report),
    };
    return cmocka_run_group_tests_name("watchdog", tests, NULL, NULL);
}
