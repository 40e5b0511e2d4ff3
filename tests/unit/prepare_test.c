/* ctest: machines=virtual,real movers=strict,flat */
/* `prepare`: what it may do, that the old server serves meanwhile, and what becomes of the swap, and of both servers, when it fails, hangs, or the old one ends. */
#include "mortal.h"

/* Of mortal_one and mortal_one_again. */
static struct ant_program before, after;
static ant_pid requester;

static struct {
    int (*hook)(struct ant_server *self);
    int (*start)(struct ant_server *self);
    _Atomic uint32_t calls;
    enum ant_start_reason reason, start_reason; /* as they were told */
    _Atomic bool begun;
} plan;

static char context;

static int prepare(struct ant_server *self)
{
    plan.calls++;
    plan.reason = self->reason;
    expect(!self->state && self->state_bytes == 0 && !ant_state() && !self->context);
    self->context = &context;
    return plan.hook ? plan.hook(self) : 0;
}

static int start(struct ant_server *self)
{
    plan.start_reason = self->reason;
    expect(self->context == &context);
    return plan.start(self);
}

/* In the core that was booted. */
static void begin(void)
{
    mortal_begin(NULL);
    memset(&plan, 0, sizeof plan);
    plan.start = mortal_one_again.start;
    before = mortal_one;
    before.prepare = prepare;
    after = mortal_one_again;
    after.prepare = prepare;
    after.start = start;
    requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
}

static int setup(void **state)
{
    fixture_setup(state);
    begin();
    return 0;
}
#define prepare_test(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

/* The new server obeys in its `prepare`. It has the old one's id; that one obeys nobody. */
static void begin_obeying(struct ant_swap_report *report)
{
    plan.hook = obey_in_start;
    puppet_begin_swap(requester, FN, &after, NULL, report);
    puppet_await(mortal_pid);
}

static void end_obeying(void)
{
    puppet_release(mortal_pid);
    assert_was(ant_swap, puppet_end(requester), 0);
}

static void the_old_server_serves_while_the_new_one_prepares(void **state)
{
    (void)state;
    struct ant_swap_report report;
    begin_obeying(&report);
    for (uint32_t i = 0; i < 5; i++) {
        struct answer a = ask(FN, OP_COUNT);
        assert_true(a.version == 1 && a.generation == 1 && a.count == i);
    }
    assert_int_equal(steps_in_trace(ANT_SWAP_NOTIFY, 2), 0);
    end_obeying();
    assert_int_equal(ask(FN, OP_COUNT).count, 5);
    assert_serves(2, 2);
    assert_int_equal(plan.calls, 1);
    assert_int_equal(plan.reason, ANT_START_SWAP);
    assert_true(report.prepare_ns > 0 || on_virtual());
    assert_adds_up(&report);
}

static int nothing_of_the_predecessor(void *old_state)
{
    size_t count = 77;
    void *area;
    struct ant_request *rq;
    struct ant_message message;
    struct ant_ica_info info;
    for (int kind = ANT_IN_SERVICE; kind <= ANT_ANSWERED; kind++) {
        struct ant_pending item;
        expect_ok(ant_pending((enum ant_pending_kind)kind, &item, 1, &count));
        expect(count == 0);
    }
    expect_ok(ant_ica_list(NULL, 0, &count));
    expect(count == 1); /* what it talks to the boss with */
    expect_error(ant_ica_info(old_state, &info), EPERM);
    expect_ok(ant_ica_alloc(2, &area));
    expect_error(ant_state_set(area), EPERM);
    expect_error(ant_state_set(NULL), EPERM);
    expect_error(ant_receive(&message, 0), EPERM);
    expect_ok(ant_request_new(FN_DRIVER, &rq));
    expect_error(ant_reply(rq, 0), EPERM);
    expect_error(ant_forward(rq, FN_DRIVER), EPERM);
    expect_error(ant_swap(FN, &after, NULL, NULL), EBUSY);
    rq->cookie = 5;
    expect_ok(ant_send(rq));
    expect_ok(ant_pending(ANT_OUTSTANDING, NULL, 0, &count));
    expect(count == 1);
    expect_ok(ant_cancel(rq));
    expect_ok(ant_request_free(rq));
    expect_ok(ant_ica_info(area, &info));
    expect_ok(ant_ica_free(area));
    expect_ok(ant_function_add(FN_EXTRA));
    return 0;
}

static void it_is_shown_nothing_of_its_predecessor(void **state)
{
    (void)state;
    struct ant_swap_report report;
    ant_pid driver = puppet_create("driver", 0), found;
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    send_op(OP_OBEY, 2);
    void *old_state = puppet_state(mortal_pid);
    puppet_release(mortal_pid);
    assert_ok(ant_request_free(boss_result()));
    struct ant_request *kept = send_op(OP_ERRAND, 1);
    struct ant_request *errand = puppet_take_request(driver);
    begin_obeying(&report);
    assert_ok(puppet_do(mortal_pid, nothing_of_the_predecessor, old_state));
    assert_error(ant_lookup(FN_EXTRA, &found), ESRCH); /* reserved */
    assert_ok(puppet_reply(driver, errand, 0));
    end_obeying();
    assert_ok(ant_lookup(FN_EXTRA, &found));
    assert_int_equal(report.in_service.handed_over, 1);
    assert_ok(ant_stop(mortal_pid, SOON, NULL));
    take_error(kept, -ESHUTDOWN);
}

static int fail_oddly(struct ant_server *self)
{
    (void)self;
    return 7;
}

static int leave(struct ant_server *self)
{
    (void)self;
    ant_exit(0);
    return 0;
}

static int kill_itself(struct ant_server *self)
{
    (void)self;
    ant_kill(ant_self());
    return 0;
}

static int hang(struct ant_server *self)
{
    struct ant_request *rq;
    void *area;
    (void)self;
    expect_ok(ant_ica_alloc(5, &area));
    expect_ok(ant_function_add(FN_EXTRA));
    expect_ok(ant_request_new(BOSS, &rq));
    expect_ok(ant_send(rq));
    atomic_store(&plan.begun, true);
    ant_sleep(UINT64_MAX);
    expect(false);
    return 0;
}

static void assert_untouched(const struct ant_swap_report *report, uint32_t count)
{
    ant_pid found;
    assert_int_equal(report->step, ANT_SWAP_CREATE);
    assert_int_equal(report->generation, 1);
    assert_true(report->blackout_ns == 0 && report->start_ns == 0);
    assert_true(report->step_time_ns[ANT_SWAP_NOTIFY] == 0);
    assert_adds_up(report);
    assert_int_equal(ask(FN, OP_COUNT).count, count);
    assert_error(ant_lookup(FN_EXTRA, &found), ESRCH);
    assert_soon(info_of(mortal_pid).pages == MORTAL_STATE_PAGES);
    assert_int_equal(info_of(mortal_pid).outstanding, 0);
}

static const struct {
    int (*hook)(struct ant_server *self);
    int error;
} failures[] = {{fail_to_start, EDOM},
                {fail_oddly, EINVAL},
                {leave, EOWNERDEAD},
                {kill_itself, EOWNERDEAD},
                {hang, ETIMEDOUT}};
#define FAILURES (sizeof failures / sizeof *failures)

/* Short, if it is to pass. */
static int64_t limit_of(int error)
{
    return error == ETIMEDOUT ? A_WHILE : SOON;
}

static void one_that_fails_is_rolled_back_and_the_old_server_not_even_told(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < FAILURES; i++) {
        struct ant_swap_report report;
        struct ant_swap_options options = {.prepare_timeout_ns = limit_of(failures[i].error)};
        plan.hook = failures[i].hook;
        assert_error(ant_swap(FN, &after, &options, &report), failures[i].error);
        assert_int_equal(report.error, -failures[i].error);
        assert_true(report.prepare_ns > 0 || on_virtual());
        assert_false(report.abandoned);
        assert_untouched(&report, i);
    }
    plan.hook = NULL;
    assert_ok(ant_swap(FN, &after, NULL, NULL));
    assert_serves(2, 2);
}

static void a_fresh_server_prepares_first(void **state)
{
    (void)state;
    ant_pid pid;
    before.start = start;
    serve(FN_OTHER, &before, NULL);
    assert_int_equal(plan.calls, 1);
    assert_int_equal(plan.reason, ANT_START_FRESH);
    assert_int_equal(ask(FN_OTHER, OP_COUNT).count, 0);
    for (uint32_t i = 0; i < FAILURES; i++) {
        struct ant_server_options options = {.prepare_timeout_ns = limit_of(failures[i].error)};
        plan.hook = failures[i].hook;
        assert_error(ant_serve(FN_DRIVER, &before, &options, &pid), failures[i].error);
        assert_error(ant_lookup(FN_DRIVER, &pid), ESRCH);
    }
    assert_error(ant_serve(FN, &before, NULL, &pid), EEXIST);
    assert_int_equal(plan.calls, 1 + FAILURES); /* not for one whose place is taken */
}

static int spin(struct ant_server *self)
{
    (void)self;
    atomic_store(&mortal.spins, true);
    while (atomic_load(&mortal.spin))
        ;
    atomic_store(&mortal.left, true);
    return 0;
}

static void one_that_spins_is_below_the_old_server_and_abandoned(void **state)
{
    (void)state;
    if (on_virtual())
        skip(); /* there a process that never calls the core stops the world */
    struct ant_swap_report report;
    atomic_store(&mortal.spin, true);
    plan.hook = spin;
    puppet_begin_swap(requester, FN, &after, NULL, &report);
    assert_soon(atomic_load(&mortal.spins));
    assert_int_equal(ask(FN, OP_COUNT).count, 0);
    assert_ok(ant_swap_cancel(FN));
    assert_was(ant_swap, puppet_end(requester), ECANCELED);
    assert_true(report.abandoned);
    assert_untouched(&report, 1);
    atomic_store(&mortal.spin, false);
    assert_soon(atomic_load(&mortal.left));
}

static void it_can_be_cancelled(void **state)
{
    (void)state;
    struct ant_swap_report report;
    plan.hook = hang;
    puppet_begin_swap(requester, FN, &after, NULL, &report);
    assert_soon(atomic_load(&plan.begun));
    assert_ok(ant_swap_cancel(FN));
    assert_was(ant_swap, puppet_end(requester), ECANCELED);
    assert_false(report.abandoned);
    assert_untouched(&report, 0);
}

static void the_requester_can_be_stopped_and_killed(void **state)
{
    (void)state;
    static struct ant_swap_report report; /* the stopped one may fill it */
    for (uint32_t i = 0; i < 2; i++) {
        ant_pid mortal_requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
        plan.hook = hang;
        atomic_store(&plan.begun, false);
        puppet_begin_swap(mortal_requester, FN, &after, NULL, &report);
        assert_soon(atomic_load(&plan.begun));
        if (i == 0)
            assert_ok(ant_stop(mortal_requester, 0, NULL) == -ETIMEDOUT ? 0 : -1);
        else
            assert_ok(ant_kill(mortal_requester));
        if (i == 0)
            assert_was(ant_swap, puppet_end(mortal_requester), ESHUTDOWN);
        else
            join(mortal_requester);
        puppet_bury(mortal_requester);
        assert_ok(ant_swap_last(FN, &report));
        assert_int_equal(report.error, i == 0 ? -ESHUTDOWN : -EINTR);
        assert_untouched(&report, i);
    }
}

static void a_server_that_ends_meanwhile_ends_the_swap(void **state)
{
    (void)state;
    struct ant_swap_report report;
    plan.hook = hang;
    puppet_begin_swap(requester, FN, &after, NULL, &report);
    assert_soon(atomic_load(&plan.begun));
    assert_ok(ant_stop(mortal_pid, SOON, NULL));
    assert_was(ant_swap, puppet_end(requester), ESRCH);
    assert_true(report.blackout_ns == 0);
    assert_false(report.abandoned);
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* What the new server has asked, and waits for, is its own: the dead one's is withdrawn. */
static void a_server_that_dies_meanwhile_is_replaced_as_a_dead_one(void **state)
{
    (void)state;
    for (uint64_t seed = 0; fixture_explores(seed, 100); seed++) {
        fixture_boot_seed(seed);
        begin();
        struct ant_swap_report report;
        struct ant_request *kept = send_op(OP_KEEP, 1);
        begin_obeying(&report);
        assert_soon(info_of(mortal_pid).in_service == 1);
        puppet_begin(mortal_pid, do_nothing, NULL); /* perhaps it has not yet taken that when the old one dies */
        assert_ok(ant_kill(mortal_pid));
        await_death(mortal_pid);
        take_error(kept, -EOWNERDEAD);
        assert_int_equal(puppet_end(mortal_pid), 0);
        struct ant_request *queued = send_op(OP_COUNT, 1);
        assert_int_equal(info_of(mortal_pid).outstanding, 1); /* to the boss */
        puppet_new_area(mortal_pid, 3);
        end_obeying();
        take_answer(queued, 2);
        assert_int_equal(plan.reason, ANT_START_SWAP);
        assert_int_equal(plan.start_reason, ANT_START_RESTART);
        assert_restarted(&report, 2);
        assert_serves(2, 2);
        assert_int_equal(info_of(mortal_pid).pages,
                         MORTAL_STATE_PAGES + 3); /* its own was not freed with the dead one's */
        fixture_shutdown();
    }
}

static void the_successor_of_a_dead_server_prepares_too(void **state)
{
    (void)state;
    struct ant_swap_report report;
    mortal_kill();
    plan.hook = fail_to_start;
    assert_error(ant_swap(FN, &after, NULL, &report), EDOM);
    assert_true(is_dead(mortal_pid));
    assert_int_equal(plan.reason, ANT_START_RESTART);
    plan.hook = NULL;
    assert_ok(ant_swap(FN, &after, NULL, &report));
    assert_restarted(&report, 2);
    assert_serves(2, 2);
}

static int swap_itself(void *report)
{
    return ant_swap(FN, &after, NULL, report);
}

static void a_server_that_swaps_itself_waits_for_it(void **state)
{
    (void)state;
    static struct ant_swap_report report;
    plan.hook = fail_to_start;
    struct ant_request *busy = make_obey();
    assert_was(ant_swap, puppet_do(mortal_pid, swap_itself, &report), EDOM);
    assert_int_equal(report.step, ANT_SWAP_CREATE);
    plan.hook = NULL;
    puppet_begin(mortal_pid, swap_itself, &report);
    assert_soon(info_of(mortal_pid).generation == 2);
    puppet_bury(mortal_pid);
    assert_int_equal(plan.calls, 2);
    assert_int_equal(info_of(mortal_pid).in_service, 1);
    assert_serves(2, 2);
    assert_ok(ant_stop(mortal_pid, SOON, NULL));
    take_error(busy, -ESHUTDOWN);
}

static void serve_child(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    expect_ok(ant_reply(rq, 0));
}

static const struct ant_program child = {.abi = ANT_ABI, .name = "child", .request = serve_child};
static ant_pid child_pid;

static int have_child(struct ant_server *self)
{
    (void)self;
    expect_ok(ant_serve(FN_OTHER, &child, NULL, &child_pid));
    return 0;
}

static void what_it_creates_has_the_server_s_priority(void **state)
{
    (void)state;
    assert_ok(ant_priority_set(mortal_pid, ANT_PRIORITY_MIN)); /* there is a level below that, but no priority */
    plan.hook = have_child;
    assert_ok(ant_swap(FN, &after, NULL, NULL));
    assert_int_equal(info_of(child_pid).priority, ANT_PRIORITY_MIN);
    assert_int_equal(info_of(mortal_pid).priority, ANT_PRIORITY_MIN);
    assert_serves(2, 2);
    assert_ok(ant_stop(child_pid, SOON, NULL));
}

/* ---- times, where they are exact ---- */

#define PREPARE_NS MS(10)
#define SWITCH_NS US(3)

static int work(struct ant_server *self)
{
    (void)self;
    return ant_work(PREPARE_NS);
}

static const struct ant_timing timing = {.request_ns = MS(2), .start_ns = MS(1)};

static int take_a_while(struct ant_server *self)
{
    expect_ok(ant_work(MS(1)));
    return mortal_one_again.start(self);
}

/* A swap to `after`, begun by a process above all others; what that one's report says. */
static struct ant_swap_report swap_after(const struct ant_swap_options *options)
{
    static struct ant_swap_report report;
    puppet_await(requester);
    puppet_begin_swap(requester, FN, &after, options, &report);
    if (after.prepare) {
        assert_ok(ant_sleep(ant_now() + MS(1))); /* it is in the midst of it, then */
        uint64_t from_ns = ant_now();
        mortal.time_ns = MS(2);
        ask(FN, OP_WORK);
        assert_true(ant_now() - from_ns == MS(2) + 2 * SWITCH_NS); /* as ever */
    }
    assert_ok(puppet_end(requester));
    assert_adds_up(&report);
    return report;
}

static void it_is_no_part_of_blackout_base_bound_and_deadline(void **state)
{
    (void)state;
    const struct ant_costs costs = {.switch_ns = SWITCH_NS};
    struct ant_swap_report with, without = {0};
    struct ant_bound bound = {0};
    (void)state;
    for (int prepares = 0; prepares <= 1; prepares++) {
        fixture_boot_exact(&costs);
        begin();
        before.timing = after.timing = &timing;
        after.prepare = prepares ? prepare : NULL;
        after.start = take_a_while;
        plan.hook = work;
        before.prepare = NULL;
        assert_ok(ant_stop(mortal_pid, SOON, NULL));
        mortal_pid = serve(FN, &before, &(struct ant_server_options){.priority = 10});
        assert_ok(ant_swap_bound(FN, &after, &bound));
        struct ant_swap_options options = {.deadline_ns = (int64_t)bound.bound_ns};
        with = swap_after(&options);
        uint64_t least_ns = prepares ? PREPARE_NS + MS(2) : 0; /* and the switches between those two */
        assert_in_range(with.prepare_ns, least_ns, least_ns + (uint64_t)prepares * 10 * SWITCH_NS);
        assert_true(with.swap_ns - with.prepare_ns <= bound.bound_ns);
        assert_true(with.bound_ns == bound.bound_ns);
        if (!prepares)
            without = with;
        fixture_shutdown();
    }
    assert_true(with.blackout_ns == without.blackout_ns && with.start_ns == MS(1));
    assert_true(with.base_ns + SWITCH_NS ==
                without.base_ns); /* its thread need not run once to begin with its waiting */
    assert_true(with.swap_ns - with.prepare_ns <= without.swap_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        prepare_test(the_old_server_serves_while_the_new_one_prepares),
        prepare_test(it_is_shown_nothing_of_its_predecessor),
        prepare_test(one_that_fails_is_rolled_back_and_the_old_server_not_even_told),
        prepare_test(a_fresh_server_prepares_first),
        prepare_test(one_that_spins_is_below_the_old_server_and_abandoned),
        prepare_test(it_can_be_cancelled),
        prepare_test(the_requester_can_be_stopped_and_killed),
        prepare_test(a_server_that_ends_meanwhile_ends_the_swap),
        bare_mortal_test(a_server_that_dies_meanwhile_is_replaced_as_a_dead_one),
        prepare_test(the_successor_of_a_dead_server_prepares_too),
        prepare_test(a_server_that_swaps_itself_waits_for_it),
        prepare_test(what_it_creates_has_the_server_s_priority),
        bare_mortal_test(it_is_no_part_of_blackout_base_bound_and_deadline),
    };
    return cmocka_run_group_tests_name("prepare", tests, NULL, NULL);
}
