/* ctest: machines=virtual,other,real movers=strict,flat timeout=240 */
/* Death and direct calls: whoever dies in the callback is the server, and its client's thread goes on as before. */
#include "lent.h"

#include <pthread.h>

#define BELOW (FIXTURE_PRIORITY - 10)
#define HOUR (UINT64_C(3600) * ANT_NS_PER_S)

static struct ant_request *call_without_end(ant_pid client, uint32_t operation, uint32_t flags)
{
    struct ant_request *rq = puppet_new_request(client, FN);
    rq->operation = operation;
    rq->flags = flags;
    rq->data = puppet_new_area(client, 2);
    *(uint32_t *)rq->data = 4711;
    await_rest(mortal_pid);
    puppet_begin_call(client, rq, ANT_FOREVER);
    return rq;
}

/* The client has its thread back as it was, and a successor can be had and lent it. */
static void assert_client_lives(ant_pid client, const struct where *own,
                                const struct ant_swap_options *options)
{
    struct where now = where_is(client);
    assert_int_equal(now.thread, own->thread);
    assert_int_equal(now.level, own->level);
    uint32_t generation = info_of(mortal_pid).generation;
    puppet_bury(mortal_pid);
    assert_int_equal(info_of(mortal_pid).in_service, 0);
    assert_ok(ant_swap(FN, &lent_one_again, options, NULL));
    assert_serves(2, generation + 1);
    assert_true(lends(client, FN, mortal_pid, ANT_FOREVER));
    assert_int_equal(where_is(client).level, own->level);
    assert_soon(info_of(mortal_pid).pages == MORTAL_STATE_PAGES);
}

static void assert_call_died(ant_pid client, struct ant_request *rq)
{
    assert_was(ant_call, puppet_end(client), EOWNERDEAD);
    assert_int_equal(rq->error, -EOWNERDEAD);
    assert_int_equal(*(uint32_t *)rq->data, 4711);
    assert_int_equal(end_call(client, rq), -EOWNERDEAD);
}

/* ---- the server is killed ---- */

static void killed_in_the_core_it_dies_on_its_client_s_thread(void **state)
{
    (void)state;
    static const uint32_t places[] = {OP_SLEEP, OP_WORK, OP_ASK, OP_OBEY, OP_DIE};
    static const int priorities[] = {BELOW, FIXTURE_PRIORITY + 10};
    ant_pid driver = puppet_create("driver", FIXTURE_PRIORITY + 11);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    mortal.time_ns = HOUR;
    for (size_t i = 0; i < 2 * sizeof places / sizeof *places; i++) {
        ant_pid client = puppet_create("client", priorities[i % 2]);
        uint32_t place = places[i / 2];
        struct where own = where_is(client);
        /* one that computes at this priority leaves the processor to nobody */
        if (place == OP_WORK) {
            assert_ok(ant_priority_set(client, BELOW));
            assert_ok(ant_priority_set(mortal_pid, BELOW));
            own = where_is(client);
        }
        struct ant_request *rq = call_without_end(client, place, 0);
        if (place == OP_OBEY)
            puppet_await(mortal_pid);
        else if (place == OP_ASK)
            assert_soon(info_of(driver).queued_requests == 1);
        else if (place != OP_DIE)
            assert_soon(info_of(mortal_pid).in_service == 1);
        if (place != OP_DIE)
            assert_ok(ant_kill(mortal_pid));
        await_death(mortal_pid);
        assert_call_died(client, rq);
        assert_client_lives(client, &own, &(struct ant_swap_options){.trust_state = true});
        assert_ok(ant_priority_set(mortal_pid, FIXTURE_PRIORITY));
        puppet_dismiss(client);
    }
    assert_false(atomic_load(&mortal.lived_on));
    assert_int_equal(info_of(driver).queued_requests, 0);
}

/* A server that has been killed, and does not know it yet, is not lent: what is asked of it is its successor's. */
static void who_has_been_killed_is_not_lent(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", FIXTURE_PRIORITY + 10);
    puppet_await(client);
    assert_ok(ant_priority_set(mortal_pid, BELOW));
    await_rest(mortal_pid);
    assert_ok(ant_kill(mortal_pid));
    struct ant_request *rq = begin_call(client, FN, OP_COUNT);
    await_death(mortal_pid);
    assert_soon(info_of(mortal_pid).queued_requests == 1);
    assert_ok(ant_swap(FN, &lent_one_again, NULL, NULL));
    assert_int_equal(puppet_end(client), 0);
    assert_int_equal(answer_in(rq)->generation, 2);
    assert_int_equal(end_call(client, rq), 0);
}

static int call_once(void *arg)
{
    struct ant_request *rq;
    (void)arg;
    expect_ok(ant_request_new(FN, &rq));
    int rc = ant_call(rq, ANT_FOREVER);
    expect_ok(ant_request_free(rq));
    return rc;
}

static int kill_once(void *arg)
{
    (void)arg;
    expect_ok(ant_kill(mortal_pid));
    return 0;
}

/* Before the call, in it, on its way back: the kill is not forgotten, and the call has its one result. */
static void killed_at_any_instant_it_dies(void **state)
{
    (void)state;
    for (uint64_t seed = 0; fixture_explores(seed, 400); seed++) {
        struct ant_config config = lent_config();
        config.pct_depth = seed == 0 ? 0 : 1 + (uint32_t)(seed % 3);
        config.pct_steps = 120;
        config.seed = seed;
        lent_begin(&config, NULL);
        await_rest(mortal_pid);
        ant_pid client = spawn("client", 0, call_once, NULL),
                killer = spawn("killer", 0, kill_once, NULL);
        assert_int_equal(join(killer), 0);
        await_death(mortal_pid);
        assert_ok(ant_swap(FN, &lent_one_again, NULL, NULL));
        int rc = join(client);
        assert_true(rc == 0 || rc == -EOWNERDEAD);
        assert_serves(2, 2);
        fixture_shutdown();
    }
}

static void killed_outside_it_is_dead_at_once_and_its_client_waits_for_the_callback(void **state)
{
    (void)state;
    if (on_virtual())
        skip(); /* there whoever never calls the core stops the world */
    ant_pid client = puppet_create("client", BELOW), other = puppet_create("other", 0);
    assert_ok(ant_priority_set(mortal_pid, BELOW));
    struct where own = where_is(client);
    atomic_store(&mortal.spin, true);
    struct ant_request *rq = call_without_end(client, OP_SPIN, 0);
    assert_soon(atomic_load(&mortal.spins));
    assert_ok(ant_kill(mortal_pid));
    await_death(mortal_pid);
    assert_ok(ant_swap(FN, &lent_one_again, NULL, NULL));
    assert_serves(2, 2);
    assert_true(lends(other, FN, mortal_pid, ANT_FOREVER)); /* the successor has a thread of its own, and may be lent another's */
    assert_false(puppet_is_idle(client));
    assert_false(atomic_load(&mortal.left));
    atomic_store(&mortal.spin, false);
    assert_call_died(client, rq);
    assert_false(atomic_load(&mortal.ran_on));
    assert_client_lives(client, &own, NULL);
}

static void its_watchdog_ends_it(void **state)
{
    (void)state;
    static const uint32_t places[] = {OP_SLEEP, OP_WORK, OP_OBEY};
    uint64_t limit_ns = on_virtual() ? MS(20) : MS(300);
    lent_begin(NULL, &(struct ant_server_options){.watchdog_ns = (int64_t)limit_ns,
                                                  .priority = FIXTURE_PRIORITY - 1});
    ant_pid client = puppet_create("client", BELOW);
    struct where own = where_is(client);
    mortal.time_ns = HOUR;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        uint64_t from_ns = ant_now();
        struct ant_request *rq = call_without_end(client, places[i], 0);
        assert_call_died(client, rq);
        assert_true(ant_now() >= from_ns + limit_ns);
        await_death(mortal_pid);
        assert_client_lives(client, &own, NULL);
    }
    assert_true(lends(client, FN, mortal_pid, ANT_FOREVER));
    assert_ok(ant_sleep(ant_now() + 3 * limit_ns)); /* between calls no time counts */
    assert_true(lends(client, FN, mortal_pid, ANT_FOREVER));
}

static void a_swap_by_force_ends_it(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", BELOW),
            requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
    struct where own = where_is(client);
    struct ant_swap_report report;
    struct ant_swap_options options = {.force = true, .quiesce_timeout_ns = A_WHILE};
    struct ant_request *rq = call_without_end(client, OP_OBEY, 0);
    puppet_await(mortal_pid);
    struct ant_request *behind = send_op(OP_COUNT, 1);
    assert_int_equal(puppet_swap(requester, FN, &lent_one, &options, &report), 0);
    assert_restarted(&report, 2);
    assert_call_died(client, rq);
    take_answer(behind, 1);
    puppet_bury(mortal_pid);
    assert_serves(1, 2);
    assert_client_lives(client, &own, NULL);
}

static void what_may_be_repeated_is_answered_by_the_successor(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0), other = puppet_create("other", 0);
    struct where own = where_is(client);
    struct ant_request *rq = call_without_end(client, OP_OBEY, ANT_REPEATABLE);
    puppet_await(mortal_pid);
    mortal_kill();
    assert_int_equal(info_of(mortal_pid).queued_requests, 1);
    assert_false(puppet_is_idle(client)); /* it waits, on its own behalf again */
    struct ant_request *behind = puppet_new_request(other, FN);
    puppet_begin_call(other, behind, ANT_FOREVER);
    assert_soon(info_of(mortal_pid).queued_requests == 2);
    assert_ok(ant_swap(FN, &lent_one_again, NULL, NULL));
    puppet_await(mortal_pid);
    assert_int_not_equal(where_is(mortal_pid).thread, own.thread);
    puppet_release(mortal_pid);
    assert_int_equal(puppet_end(client), 0);
    assert_int_equal(answer_in(rq)->generation, 2);
    assert_int_equal(end_call(client, rq), 0);
    assert_int_equal(end_call(other, behind), 0);
    assert_true(lends(client, FN, mortal_pid, ANT_FOREVER));
}

static void death_fail_refuses_what_comes_and_answers_what_waits(void **state)
{
    (void)state;
    lent_begin(NULL, &(struct ant_server_options){.on_death = ANT_DEATH_FAIL});
    ant_pid client = puppet_create("client", 0), other = puppet_create("other", 0);
    struct where own = where_is(client);
    struct ant_request *rq = call_without_end(client, OP_OBEY, ANT_REPEATABLE);
    puppet_await(mortal_pid);
    struct ant_request *behind = puppet_new_request(other, FN);
    puppet_begin_call(other, behind, ANT_FOREVER);
    assert_soon(info_of(mortal_pid).queued_requests == 1);
    mortal_kill();
    assert_call_died(client, rq);
    assert_was(ant_call, puppet_end(other), EOWNERDEAD);
    assert_int_equal(behind->error, -EOWNERDEAD);
    behind->error = 0;
    assert_error(puppet_call(other, behind, ANT_FOREVER), EOWNERDEAD);
    assert_int_equal(behind->error, 0); /* it was not sent */
    assert_ok(puppet_request_free(other, behind));
    assert_client_lives(client, &own, NULL);
}

static void of_calls_within_calls_those_inside_the_dead_one_go_on(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", BELOW), inner = serve(FN_OTHER, &lent_one, NULL);
    struct where own = where_is(client);
    /* the outer one: it dies when it is back in the midst of its call; the inner one: the outer one gets an error */
    for (int outer = 0; outer < 2; outer++) {
        struct ant_request *first = call_without_end(client, OP_OBEY, 0);
        puppet_await(mortal_pid);
        await_rest(inner);
        struct ant_request *second = begin_call(mortal_pid, FN_OTHER, OP_OBEY);
        assert_int_equal(where_is(inner).thread, own.thread);
        assert_ok(ant_kill(outer ? mortal_pid : inner));
        if (!outer) {
            await_death(inner);
            puppet_bury(inner);
            assert_was(ant_call, puppet_end(mortal_pid), EOWNERDEAD);
            assert_ok(puppet_request_free(mortal_pid, second));
            assert_int_equal(where_is(mortal_pid).thread, own.thread);
            assert_ok(ant_swap(FN_OTHER, &lent_one, NULL, NULL));
            puppet_release(mortal_pid);
            assert_int_equal(end_call(client, first), 0);
        } else {
            assert_false(is_dead(mortal_pid));
            puppet_release(inner);
            await_death(mortal_pid);
            assert_call_died(client, first);
            assert_client_lives(client, &own, NULL);
            assert_false(is_dead(inner));
        }
    }
    assert_true(lends(client, FN_OTHER, inner, ANT_FOREVER));
}

/* ---- the server ends ---- */

static void its_exit_is_the_server_s(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", BELOW), found;
    struct where own = where_is(client);
    struct ant_request *rq = call_without_end(client, OP_EXIT, 0);
    assert_int_equal(join(mortal_pid), 3);
    assert_call_died(client, rq);
    assert_error(ant_lookup(FN, &found), ESRCH);
    struct where now = where_is(client);
    assert_int_equal(now.thread, own.thread);
    assert_int_equal(now.level, own.level);
    rq = puppet_new_request(client, FN);
    assert_error(puppet_call(client, rq, ANT_FOREVER), ESRCH);
    assert_ok(puppet_request_free(client, rq));
}

static void it_is_stopped_when_the_callback_is_over(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    struct ant_request *rq = lend(client);
    assert_error(ant_stop(mortal_pid, A_WHILE, NULL), ETIMEDOUT);
    puppet_begin_sleep(mortal_pid, HOUR);
    assert_was(ant_sleep, puppet_end(mortal_pid), ESHUTDOWN);
    take_back(client, rq);
    assert_int_equal(join(mortal_pid), 0);
}

static int end_thread(void *arg)
{
    (void)arg;
    pthread_exit(NULL);
}

static void a_callback_that_ends_the_thread_ends_all_that_it_ran(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", BELOW), inner = serve(FN_OTHER, &lent_one, NULL), found;
    await_rest(inner);
    lend(client);
    begin_call(mortal_pid, FN_OTHER, OP_OBEY);
    puppet_await(inner);
    puppet_begin(inner, end_thread, NULL);
    assert_int_equal(join(client), 0);
    assert_int_equal(join(mortal_pid), -EOWNERDEAD);
    assert_int_equal(join(inner), -EOWNERDEAD);
    assert_error(ant_lookup(FN, &found), ESRCH);
    puppet_bury(client);
    puppet_bury(mortal_pid);
    puppet_bury(inner);
}

/* ---- the client ends ---- */

static void a_client_that_is_killed_ends_when_its_call_is_over(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    struct ant_request *rq = lend(client);
    (void)rq;
    assert_ok(ant_kill(client));
    assert_error(ant_wait(client, A_WHILE, NULL), ETIMEDOUT);
    assert_int_equal(puppet_do(mortal_pid, where_am_i, &(struct where){0}), 0);
    puppet_release(mortal_pid);
    assert_int_equal(join(client), -EOWNERDEAD);
    puppet_bury(client);
    assert_serves(1, 1);
    assert_soon(info_of(mortal_pid).pages == MORTAL_STATE_PAGES);
}

static void a_client_that_is_stopped_has_its_result_before_it_ends(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    struct ant_request *rq = lend(client);
    assert_error(ant_stop(client, 0, NULL), ETIMEDOUT);
    puppet_begin_sleep(mortal_pid, ant_now() + US(10)); /* the stop is not the server's */
    assert_int_equal(puppet_end(mortal_pid), 0);
    take_back(client, rq);
    puppet_dismiss(client);
    assert_serves(1, 1);
}

static void both_may_be_killed(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    lend(client);
    assert_ok(ant_kill(client));
    mortal_kill();
    assert_int_equal(join(client), -EOWNERDEAD);
    puppet_bury(client);
    assert_ok(ant_swap(FN, &lent_one_again, NULL, NULL));
    assert_serves(2, 2);
}

/* ---- the core ends ---- */

enum place { SLEEPING, IN_A_CIRCLE, SPINNING, PLACES };

static pthread_key_t thread_end;
static _Atomic int threads_ended;
static _Atomic bool spins, may_spin;

static void note_thread_end(void *value)
{
    (void)value;
    atomic_fetch_add(&threads_ended, 1);
}

static int note_server_s_thread(struct ant_server *self)
{
    (void)self;
    pthread_setspecific(thread_end, &spins);
    return 0;
}

static void call_back(void)
{
    struct ant_request *rq;
    expect_ok(ant_request_new(FN_OTHER, &rq));
    ant_call(rq, ANT_FOREVER);
    expect(!"a call that cannot end ended");
}

static void dawdle(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    if (rq->operation == SLEEPING)
        expect_error(ant_sleep(HOUR), ESHUTDOWN);
    if (rq->operation == IN_A_CIRCLE)
        call_back();
    atomic_store(&spins, rq->operation == SPINNING);
    while (rq->operation == SPINNING && atomic_load(&may_spin))
        ;
    ant_reply(rq, 0);
}

static const struct ant_program dawdler = {
    .abi = ANT_ABI, .name = "dawdler", .start = note_server_s_thread, .request = dawdle, .direct = true};

static int call_dawdler(void *operation)
{
    struct ant_request *rq;
    pthread_setspecific(thread_end, &spins);
    expect_ok(ant_function_add(FN_OTHER));
    expect_ok(ant_request_new(FN, &rq));
    rq->operation = (uint32_t)(uintptr_t)operation;
    expect_ok(ant_call(rq, ANT_FOREVER));
    expect(operation == SLEEPING);
    expect_ok(ant_request_free(rq));
    return 0;
}

static void a_shutdown_ends_a_callback_and_its_client_wherever_they_are(void **state)
{
    (void)state;
    assert_int_equal(pthread_key_create(&thread_end, note_thread_end), 0);
    for (enum place place = 0; place < PLACES; place++) {
        struct ant_config config = lent_config();
        struct ant_shutdown_report report;
        config.shutdown_timeout_ns = place == SLEEPING ? 0 : A_WHILE;
        fixture_boot(&config);
        if (place == SPINNING && on_virtual()) { /* that would stop the world */
            fixture_shutdown();
            break;
        }
        atomic_store(&threads_ended, 0);
        atomic_store(&may_spin, true);
        ant_pid server = 0, client = 0;
        assert_ok(ant_serve(FN, &dawdler, &(struct ant_server_options){.priority = BELOW}, &server));
        await_rest(server);
        assert_ok(ant_process_create(&(struct ant_process_options){.priority = BELOW}, call_dawdler,
                                     (void *)(uintptr_t)place, &client));
        assert_soon(info_of(server).in_service == 1 &&
                    info_of(server).outstanding == (place == IN_A_CIRCLE));
        assert_soon(place != SPINNING || atomic_load(&spins));
        assert_ok(ant_shutdown(&report));
        assert_int_equal(report.processes_asked, 2);
        assert_int_equal(report.processes_abandoned, place == SLEEPING ? 0 : 2);
        assert_int_equal(report.requests_unanswered, place == IN_A_CIRCLE ? 2 : 1);
        fixture_boot(NULL);
        atomic_store(&may_spin, false);
        assert_soon(atomic_load(&threads_ended) == 2);
        fixture_shutdown();
    }
    pthread_key_delete(thread_end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        lent_test(killed_in_the_core_it_dies_on_its_client_s_thread),
        lent_test(who_has_been_killed_is_not_lent),
        bare_mortal_test(killed_at_any_instant_it_dies),
        lent_test(killed_outside_it_is_dead_at_once_and_its_client_waits_for_the_callback),
        bare_mortal_test(its_watchdog_ends_it),
        lent_test(a_swap_by_force_ends_it),
        lent_test(what_may_be_repeated_is_answered_by_the_successor),
        bare_mortal_test(death_fail_refuses_what_comes_and_answers_what_waits),
        lent_test(of_calls_within_calls_those_inside_the_dead_one_go_on),
        lent_test(its_exit_is_the_server_s),
        lent_test(it_is_stopped_when_the_callback_is_over),
        lent_test(a_callback_that_ends_the_thread_ends_all_that_it_ran),
        lent_test(a_client_that_is_killed_ends_when_its_call_is_over),
        lent_test(a_client_that_is_stopped_has_its_result_before_it_ends),
        lent_test(both_may_be_killed),
        bare_mortal_test(a_shutdown_ends_a_callback_and_its_client_wherever_they_are),
    };
    return cmocka_run_group_tests_name("direct_death", tests, NULL, NULL);
}
