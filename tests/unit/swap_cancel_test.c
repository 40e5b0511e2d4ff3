/* ctest: machines=virtual,real movers=strict,flat */
/* ant_swap_cancel: at each of the twelve steps, wherever the parties are; and when it comes too late. */
#include "mortal.h"

#include <pthread.h>

static ant_pid requester;

static int setup(void **state)
{
    mortal_setup(state);
    assert_int_equal(ask(FN, OP_COUNT).count, 0);
    requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
    return 0;
}

#define cancel_test(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

static void assert_cancelled(const struct ant_swap_report *report, enum ant_swap_step step)
{
    assert_int_equal(report->error, -ECANCELED);
    assert_int_equal(report->step, step);
    assert_int_equal(report->generation, 1);
    assert_false(report->restarted);
    assert_true(report->step_time_ns[ANT_SWAP_HAND_OVER] == 0);
    assert_adds_up(report);
}

/* The old server serves on, with all that it had, and can be swapped. */
static void assert_untouched(uint32_t count)
{
    mortal.hook = NULL;
    assert_int_equal(ask(FN, OP_COUNT).count, count);
    assert_serves(1, 1);
    assert_soon(info_of(mortal_pid).pages == MORTAL_STATE_PAGES);
    assert_error(ant_swap_cancel(FN), ENOENT);
    struct ant_swap_report report;
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, &report));
    assert_adds_up(&report);
    assert_int_equal(ask(FN, OP_COUNT).count, count + 2);
    assert_serves(2, 2);
}

static void a_swap_that_waits_for_the_old_server_can_be_cancelled(void **state)
{
    (void)state;
    struct ant_swap_report report, last;
    struct ant_request *busy = make_obey(), *queued = send_op(OP_COUNT, 2);
    puppet_begin_swap(requester, FN, &mortal_one_again, NULL, &report);
    assert_soon(steps_in_trace(ANT_SWAP_NOTIFY, 2) > 0);
    assert_ok(ant_swap_cancel(FN));
    assert_was(ant_swap, puppet_end(requester), ECANCELED);
    assert_cancelled(&report, ANT_SWAP_LOOK);
    assert_true(report.blackout_ns == 0);
    assert_ok(ant_swap_last(FN, &last));
    assert_int_equal(last.error, -ECANCELED);
    puppet_release(mortal_pid); /* the notice is gone when it looks */
    take_answer(busy, 1);
    take_answer(queued, 1);
    assert_untouched(3);
}

static int prepare_and_obey(struct ant_server *self)
{
    void *area;
    (void)self;
    expect_ok(ant_ica_alloc(5, &area));
    expect_ok(ant_function_add(FN_EXTRA));
    puppet_obey();
    expect(false); /* it was ended there */
    return 0;
}

static int sleep_in_start(struct ant_server *self)
{
    (void)self;
    ant_sleep(UINT64_MAX);
    expect(false);
    return 0;
}

static int work_in_start(struct ant_server *self)
{
    (void)self;
    ant_work(UINT64_C(3600) * ANT_NS_PER_S);
    expect(false);
    return 0;
}

static void a_start_that_waits_in_the_core_is_ended_at_once(void **state)
{
    (void)state;
    static int (*const hooks[])(struct ant_server *) = {prepare_and_obey, sleep_in_start, work_in_start};
    for (size_t i = 0; i < 3; i++) {
        struct ant_swap_report report;
        ant_pid found;
        mortal.hook = hooks[i];
        struct ant_swap_options options = {.start_timeout_ns = ANT_FOREVER};
        assert_ok(ant_priority_set(mortal_pid, FIXTURE_PRIORITY - 1));
        puppet_begin_swap(requester, FN, &mortal_one_again, &options, &report);
        if (i == 0)
            puppet_await(mortal_pid);
        assert_soon(mortal.starts == i + 2);
        assert_ok(ant_swap_cancel(FN));
        assert_was(ant_swap, puppet_end(requester), ECANCELED);
        puppet_bury(mortal_pid);
        assert_cancelled(&report, ANT_SWAP_START);
        assert_true(report.step_time_ns[ANT_SWAP_START] != 0);
        if (on_virtual() || i == 0) /* else it may not be in the core yet */
            assert_false(report.abandoned);
        assert_error(ant_lookup(FN_EXTRA, &found), ESRCH);
    }
    assert_untouched(1);
}

static int spin_in_start(struct ant_server *self)
{
    void *area;
    (void)self;
    expect_ok(ant_ica_alloc(5, &area));
    atomic_store(&mortal.spins, true);
    while (atomic_load(&mortal.spin))
        ;
    atomic_store(&mortal.left, true);
    return 0;
}

static void a_start_that_spins_is_abandoned(void **state)
{
    (void)state;
    if (on_virtual())
        skip(); /* there a process that never calls the core stops the world */
    struct ant_swap_report report;
    assert_ok(ant_priority_set(mortal_pid, FIXTURE_PRIORITY - 1)); /* with one CPU it would leave none for this process */
    atomic_store(&mortal.spin, true);
    mortal.hook = spin_in_start;
    puppet_begin_swap(requester, FN, &mortal_one_again, NULL, &report);
    assert_soon(atomic_load(&mortal.spins));
    assert_ok(ant_swap_cancel(FN));
    assert_was(ant_swap, puppet_end(requester), ECANCELED);
    assert_cancelled(&report, ANT_SWAP_START);
    assert_true(report.abandoned);
    assert_false(atomic_load(&mortal.left));
    assert_serves(1, 1);
    assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES + 5); /* held */
    atomic_store(&mortal.spin, false);
    assert_soon(atomic_load(&mortal.left)); /* it is too late for it to commit */
    assert_untouched(2);
}

static int dirty_transform(struct ant_server *self, const void *old, size_t bytes, void **state)
{
    (void)old, (void)bytes, (void)state;
    return prepare_and_obey(self);
}

static void a_transformer_can_be_cancelled(void **state)
{
    (void)state;
    static const struct ant_transformer way = {1, 3, dirty_transform};
    struct ant_swap_options options = {.transformers = &way, .transformer_count = 1};
    struct ant_swap_report report;
    puppet_begin_swap(requester, FN, &mortal_strange, &options, &report);
    puppet_await(mortal_pid);
    assert_ok(ant_swap_cancel(FN));
    assert_was(ant_swap, puppet_end(requester), ECANCELED);
    puppet_bury(mortal_pid);
    assert_cancelled(&report, ANT_SWAP_START);
    assert_true(report.start_ns == 0);
    assert_untouched(1);
}

static int cancel_oneself(struct ant_server *self)
{
    (void)self;
    expect_ok(ant_swap_cancel(FN));
    expect_error(ant_swap_cancel(FN), EALREADY);
    return 0;
}

static void a_new_server_may_cancel_its_own_swap(void **state)
{
    (void)state;
    struct ant_swap_report report;
    mortal.hook = cancel_oneself;
    assert_error(puppet_swap(requester, FN, &mortal_one_again, NULL, &report), ECANCELED);
    assert_cancelled(&report, ANT_SWAP_START);
    assert_false(report.abandoned);
    assert_untouched(1);
}

static void a_cancelled_swap_of_the_dead_leaves_it_dead(void **state)
{
    (void)state;
    struct ant_swap_report report;
    mortal_kill();
    struct ant_request *queued = send_op(OP_COUNT, 1);
    mortal.hook = prepare_and_obey;
    puppet_begin_swap(requester, FN, &mortal_one_again, NULL, &report);
    puppet_await(mortal_pid);
    assert_ok(ant_swap_cancel(FN));
    assert_was(ant_swap, puppet_end(requester), ECANCELED);
    puppet_bury(mortal_pid);
    assert_true(report.restarted);
    assert_true(is_dead(mortal_pid));
    assert_int_equal(info_of(mortal_pid).queued_requests, 1);
    assert_error(ant_swap_cancel(FN), ENOENT);
    mortal.hook = NULL;
    assert_ok(ant_swap(FN, &mortal_one_again, &(struct ant_swap_options){.trust_state = true}, NULL));
    assert_ptr_equal(boss_result(), queued);
    assert_int_equal(answer_in(queued)->count, 1);
    assert_ok(ant_request_free(queued));
}

static void a_server_that_swaps_itself_can_be_cancelled(void **state)
{
    (void)state;
    static struct ant_swap_report report;
    struct ant_request *busy = make_obey();
    mortal.hook = sleep_in_start;
    puppet_begin_swap(mortal_pid, FN, &mortal_one_again, NULL, &report);
    assert_soon(mortal.starts == 2);
    assert_ok(ant_swap_cancel(FN));
    assert_was(ant_swap, puppet_end(mortal_pid), ECANCELED);
    assert_cancelled(&report, ANT_SWAP_START);
    puppet_release(mortal_pid);
    take_answer(busy, 1);
    assert_untouched(2);
}

/* ---- at each step: on `virtual` every step takes a while, and this process wakes in the midst of it ---- */

#define STEP_NS US(100)

static void boot_slowly(void)
{
    struct ant_costs costs = {0};
    for (int step = ANT_SWAP_REQUEST; step <= ANT_SWAP_EXIT; step++)
        costs.step_ns[step] = STEP_NS;
    struct ant_config config = fixture_config();
    config.costs = &costs;
    config.priority = 40; /* above the requester, while it hastens the swap too */
    fixture_boot(&config);
    mortal_begin(&(struct ant_server_options){.priority = 10});
    requester = puppet_create("requester", 20);
}

static void every_step_can_be_cancelled_until_the_eighth(void **state)
{
    (void)state;
    for (int step = 0; step <= 13; step++) {
        boot_slowly();
        if (!on_virtual())
            skip(); /* only there is it known who is where, when */
        struct ant_swap_report report;
        assert_int_equal(ask(FN, OP_COUNT).count, 0);
        struct ant_request *queued = NULL;
        puppet_await(requester);
        uint64_t from_ns = ant_now();
        puppet_begin_swap(requester, FN, &mortal_one_again, NULL, &report);
        assert_ok(ant_sleep(from_ns + (uint64_t)step * STEP_NS + STEP_NS / 2));
        queued = send_op(OP_COUNT, 1);
        int rc = ant_swap_cancel(FN);
        int swapped = puppet_end(requester);
        if (report.step_time_ns[ANT_SWAP_HAND_OVER] == 0) {
            assert_int_equal(rc, 0);
            assert_int_equal(swapped, -ECANCELED);
            assert_int_equal(report.error, -ECANCELED);
            assert_adds_up(&report);
            take_answer(queued, 1);
            assert_untouched(2);
        } else {
            assert_true(rc == -EALREADY || rc == -ENOENT);
            assert_int_equal(swapped, 0);
            assert_adds_up(&report);
            take_answer(queued, 2);
            assert_int_equal(ask(FN, OP_COUNT).count, 2);
            assert_serves(2, 2);
        }
        if (step < 7)
            assert_int_equal(rc, 0);
        if (step == 8)
            assert_was(ant_swap_cancel, rc, EALREADY);
        fixture_shutdown();
    }
}

static void too_late_is_ealready(void **state)
{
    (void)state;
    boot_slowly();
    if (!on_virtual())
        skip();
    puppet_await(requester);
    puppet_begin_swap(requester, FN, &mortal_one_again, NULL, NULL);
    while (steps_in_trace(ANT_SWAP_HAND_OVER, 2) == 0)
        assert_ok(ant_sleep(ant_now() + STEP_NS / 10));
    assert_error(ant_swap_cancel(FN), EALREADY);
    assert_int_equal(puppet_end(requester), 0);
    assert_error(ant_swap_cancel(FN), ENOENT);
    assert_serves(2, 2);
}

static void once_cancelled_is_ealready(void **state)
{
    (void)state;
    if (!on_virtual())
        skip(); /* elsewhere the requester may be through already */
    struct ant_request *busy = make_obey();
    ant_pid low = puppet_create("low", FIXTURE_PRIORITY - 5);
    assert_ok(ant_priority_set(mortal_pid, FIXTURE_PRIORITY - 7));
    puppet_begin_swap(low, FN, &mortal_one_again, NULL, NULL);
    assert_soon(steps_in_trace(ANT_SWAP_NOTIFY, 2) > 0);
    assert_ok(ant_swap_cancel(FN));
    assert_error(ant_swap_cancel(FN), EALREADY);
    assert_error(ant_swap(FN, &mortal_one_again, NULL, NULL), EBUSY); /* it is not over yet */
    assert_was(ant_swap, puppet_end(low), ECANCELED);
    puppet_release(mortal_pid);
    take_answer(busy, 1);
    assert_untouched(2);
}

static _Atomic bool sent_to_itself;

static int send_to_itself_and_wait(struct ant_server *self)
{
    struct ant_request *rq;
    (void)self;
    expect_ok(ant_request_new(FN, &rq));
    rq->operation = OP_COUNT;
    expect_ok(ant_send(rq));
    atomic_store(&sent_to_itself, true);
    ant_sleep(ant_now() + UINT64_C(3600) * ANT_NS_PER_S);
    return 0;
}

/* If it is faster than what takes the request back: so on many CPUs, which `virtual` explores. */
static void the_old_server_answers_what_a_cancelled_start_has_sent_it(void **state)
{
    (void)state;
    for (uint64_t seed = 0; fixture_explores(seed, 200); seed++) {
        fixture_boot_seed(seed);
        mortal_begin(NULL);
        requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
        atomic_store(&sent_to_itself, false);
        mortal.hook = send_to_itself_and_wait;
        puppet_begin_swap(requester, FN, &mortal_one_again, NULL, NULL);
        assert_soon(atomic_load(&sent_to_itself));
        assert_ok(ant_swap_cancel(FN));
        assert_was(ant_swap, puppet_end(requester), ECANCELED);
        assert_serves(1, 1);
        assert_int_equal(info_of(mortal_pid).in_service, 0);
        assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
        fixture_shutdown();
    }
}

static void *cancel_from_outside(void *arg)
{
    (void)arg;
    expect_error(ant_swap_cancel(FN), EPERM);
    return NULL;
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    pthread_t thread;
    assert_error(ant_swap_cancel(0), EINVAL);
    assert_error(ant_swap_cancel(FN_DRIVER), ESRCH);
    assert_error(ant_swap_cancel(FN), ENOENT);
    assert_error(ant_swap_cancel(BOSS), ENOENT);
    assert_int_equal(pthread_create(&thread, NULL, cancel_from_outside, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_untouched(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cancel_test(a_swap_that_waits_for_the_old_server_can_be_cancelled),
        cancel_test(a_start_that_waits_in_the_core_is_ended_at_once),
        cancel_test(a_start_that_spins_is_abandoned),
        cancel_test(a_transformer_can_be_cancelled),
        cancel_test(a_new_server_may_cancel_its_own_swap),
        cancel_test(a_cancelled_swap_of_the_dead_leaves_it_dead),
        cancel_test(a_server_that_swaps_itself_can_be_cancelled),
        bare_mortal_test(every_step_can_be_cancelled_until_the_eighth),
        bare_mortal_test(too_late_is_ealready),
        cancel_test(once_cancelled_is_ealready),
        bare_mortal_test(the_old_server_answers_what_a_cancelled_start_has_sent_it),
        cancel_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests_name("swap_cancel", tests, NULL, NULL);
}
