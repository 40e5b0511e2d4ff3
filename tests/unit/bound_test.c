/* ctest: machines=virtual,real movers=flat */
/*
 * Bounds: every error of bound.h, values computed by hand, what is observed, swaps with a deadline.
 *
 * Computed by hand, in nanoseconds: W is the longest work that is left, own what runs at the server's priority. "Period 50: 111 has 3"
 * means that in an own time of 111 three bursts may begin, one every 50, the first and the last instant included. The values are
 * those of `virtual`; a real machine adds the longest base that it has seen.
 */
#include "fixture.h"
#include "puppet.h"

enum { FN = 7, FN_TOP, FN_LEVEL, FN_ABOVE, FN_BESIDE, FN_BELOW, FN_NOBODY };

#define SERVER_PRIORITY 10 /* the requester is the test's own process, 20 */

/*
 * before: step 1, step 2, creation, step 3: 1 + 2 + 3 + 4 = 10. Between: step 6: 5. After: step 11: 6. By the server, in
 * steps 4, 5, 7 to 10: 6. So own = W + 11, base = 27, and without drivers the bound is W + 27.
 */
static const struct ant_costs unit_costs = {.create_ns = 3,
                                            .step_ns = {0, 1, 2, 4, 1, 1, 5, 1, 1, 1, 1, 6, 0}};
#define BASE UINT64_C(27)

/* Section 4.2, with the requester's steps 1 and 3 for nothing: before 4.0, between 0.2, after 0.2, by the server 3.0 ms. */
#define PAPER_NS(tenths) (UINT64_C(tenths) * ANT_NS_PER_MS / 10)
static const struct ant_costs paper_costs = {.step_ns = {[2] = PAPER_NS(40),
                                                         [4] = PAPER_NS(1),
                                                         [5] = PAPER_NS(1),
                                                         [6] = PAPER_NS(2),
                                                         [7] = PAPER_NS(7),
                                                         [8] = PAPER_NS(7),
                                                         [9] = PAPER_NS(7),
                                                         [10] = PAPER_NS(7),
                                                         [11] = PAPER_NS(2)}};

/* ---- programs ---- */

enum { OP_NOTHING, OP_WORK, OP_SLEEP, OP_ASK };

static void request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    uint64_t time_ns = rq->cookie;
    struct ant_request *errand;
    switch (rq->operation) {
    case OP_WORK:
        expect_ok(ant_work(time_ns));
        break;
    case OP_SLEEP:
        expect_ok(ant_sleep(ant_now() + time_ns));
        break;
    case OP_ASK: /* itself; the result works */
        expect_ok(ant_request_new(FN_BELOW, &errand));
        errand->cookie = time_ns;
        expect_ok(ant_send(errand));
        break;
    default:
        break;
    }
    expect_ok(ant_reply(rq, 0));
}

static void result(struct ant_server *self, struct ant_request *errand)
{
    (void)self;
    expect_ok(ant_work(errand->cookie));
    expect_ok(ant_request_free(errand));
}

static struct {
    uint64_t start_work_ns;
    uint32_t starts;
} plan;

static int start(struct ant_server *self)
{
    plan.starts++;
    return self->reason == ANT_START_SWAP ? ant_work(plan.start_work_ns) : 0;
}

static int transform(struct ant_server *self, const void *old, size_t bytes, void **new_state)
{
    (void)self, (void)old, (void)bytes, (void)new_state;
    return 0;
}

static const struct ant_transformer from_one[] = {{1, 2, transform}};
static const struct ant_timing starts_in_50 = {.start_ns = 50}, no_time;

#define PROGRAM .abi = ANT_ABI, .state_version = 1, .request = request, .result = result
static const struct ant_program plain = {PROGRAM, .name = "plain", .version = 2},
                                silent_start = {PROGRAM, .name = "silent start", .start = start},
                                slow_start = {PROGRAM, .name = "slow start", .start = start,
                                              .timing = &starts_in_50},
                                ready = {PROGRAM, .name = "ready", .timing = &starts_in_50};
static const struct ant_program other_state = {.abi = ANT_ABI,
                                               .state_version = 2,
                                               .name = "other state",
                                               .request = request,
                                               .transformers = from_one,
                                               .transformer_count = 1,
                                               .timing = &starts_in_50};

/* ---- the test's side ---- */

static const struct ant_server_options below_requester = {.priority = SERVER_PRIORITY};

static int no_core(void **state)
{
    memset(&plan, 0, sizeof plan);
    return fixture_no_core(state);
}

#define bound_test(f) cmocka_unit_test_setup_teardown(f, no_core, fixture_teardown)

static void serve_drivers(void)
{
    static const int priorities[] = {
        [FN_TOP] = FIXTURE_PRIORITY + 10, [FN_LEVEL] = FIXTURE_PRIORITY, [FN_ABOVE] = SERVER_PRIORITY + 5, [FN_BESIDE] = SERVER_PRIORITY, [FN_BELOW] = SERVER_PRIORITY - 5};
    for (uint32_t function = FN_TOP; function <= FN_BELOW; function++)
        serve(function, &plain, &(struct ant_server_options){.priority = priorities[function]});
}

/* A server that declares this; borrowed until the next one. */
static const struct ant_program *declares(const struct ant_timing *timing)
{
    static struct ant_timing kept;
    static struct ant_driver_timing drivers[ANT_TIMED_DRIVERS_MAX];
    static struct ant_program program;
    kept = *timing;
    memcpy(drivers, timing->drivers ? timing->drivers : drivers, timing->driver_count * sizeof *drivers);
    kept.drivers = drivers;
    program = (struct ant_program){PROGRAM, .name = "declares", .version = 1, .timing = &kept};
    return &program;
}

/* Of a swap of a server that declares this. */
static int bound_to(const struct ant_timing *timing, const struct ant_program *to, struct ant_bound *bound)
{
    ant_pid server;
    assert_ok(ant_serve(FN, declares(timing), &below_requester, &server));
    int rc = ant_swap_bound(FN, to, bound);
    assert_ok(ant_stop(server, SOON, NULL));
    return rc;
}

static uint64_t bound_ns_to(const struct ant_timing *timing, const struct ant_program *to)
{
    struct ant_bound bound;
    assert_ok(bound_to(timing, to, &bound));
    return bound.bound_ns;
}

static void ask(uint32_t operation, uint64_t time_ns)
{
    struct ant_request *rq = new_request(FN);
    rq->operation = operation;
    rq->cookie = time_ns;
    assert_ok(ant_call(rq, SOON));
    assert_ok(ant_request_free(rq));
    assert_ok(ant_sleep(ant_now() + 1)); /* it comes back for the next one */
}

static void assert_unswapped(void)
{
    struct ant_swap_report last;
    assert_error(ant_swap_last(FN, &last), ENOENT);
    assert_int_equal(plan.starts, 0);
}

/* ---- errors ---- */

static void a_bound_is_refused_to_nonsense(void **state)
{
    (void)state;
    fixture_boot_with_costs(&unit_costs);
    struct ant_bound bound, untouched;
    memset(&bound, 0x5a, sizeof bound);
    untouched = bound;
    struct ant_program foreign = plain, nameless = plain;
    foreign.abi = ANT_ABI + 1;
    nameless.name = NULL;
    serve(FN, declares(&no_time), &below_requester);
    assert_error(ant_swap_bound(0, &plain, &bound), EINVAL);
    assert_error(ant_swap_bound(FN, &plain, NULL), EINVAL);
    assert_error(ant_swap_bound(FN, NULL, &bound), EINVAL);
    assert_error(ant_swap_bound(FN, &nameless, &bound), EINVAL);
    assert_error(ant_swap_bound(FN, &foreign, &bound), EPROTO);
    assert_error(ant_swap_bound(FN_NOBODY, &plain, &bound), ESRCH);
    assert_error(ant_swap_bound(BOSS, &plain, &bound), ENOTSUP);
    assert_error(ant_swap_bound(FN, &silent_start, &bound), ENODATA);
    assert_memory_equal(&bound, &untouched, sizeof bound);
}

static void no_bound_is_known_outside_a_core(void **state)
{
    (void)state;
    struct ant_bound bound;
    assert_error(ant_swap_bound(FN, &plain, &bound), EPERM);
}

static void timings_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    fixture_boot_with_costs(NULL);
    serve(FN, &plain, &below_requester);
    static const uint64_t too_long = ANT_TIMING_MAX_NS + 1;
    static const struct ant_driver_timing fine[ANT_TIMED_DRIVERS_MAX + 1];
    static const struct ant_driver_timing bad[] = {
        {.burst_ns = too_long},    {.burst_ns = 4, .burst_min_ns = 5},
        {.wait_ns = too_long},     {.wait_ns = too_long, .wait_max_ns = too_long},
        {.wait_max_ns = too_long}, {.wait_ns = 5, .wait_max_ns = 4},
        {.reply_ns = too_long}};
    struct ant_timing cases[6 + sizeof bad / sizeof *bad] = {
        {.request_ns = too_long}, {.result_ns = too_long},
        {.start_ns = too_long},   {.request_min_ns = too_long},
        {.driver_count = 1},      {.drivers = fine, .driver_count = ANT_TIMED_DRIVERS_MAX + 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cases[6 + i] = (struct ant_timing){.drivers = &bad[i], .driver_count = 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ant_program program = plain;
        struct ant_bound bound;
        program.timing = &cases[i];
        assert_error(ant_serve(FN_NOBODY, &program, &below_requester, NULL), EINVAL);
        assert_error(ant_swap(FN, &program, NULL, NULL), EINVAL);
        assert_error(ant_swap_bound(FN, &program, &bound), EINVAL);
    }
    struct ant_timing most = {.drivers = fine, .driver_count = ANT_TIMED_DRIVERS_MAX};
    serve(FN_NOBODY, declares(&most), &below_requester);
}

static void what_is_not_declared_is_not_known(void **state)
{
    (void)state;
    fixture_boot_exact(&unit_costs);
    struct ant_bound bound;
    ant_pid server = serve(FN, &plain, &below_requester);
    assert_error(ant_swap_bound(FN, &ready, &bound), ENODATA); /* by the old one */
    assert_ok(ant_stop(server, SOON, NULL));
    assert_int_equal(bound_to(&no_time, &silent_start, &bound), -ENODATA); /* by the new one, that has a start */
    struct ant_program without = other_state;
    without.timing = NULL;
    assert_int_equal(bound_to(&no_time, &without, &bound), -ENODATA); /* ... or a transformer */
    assert_int_equal(bound_to(&no_time, &plain, &bound), 0);
    assert_int_equal(bound.bound_ns, BASE);
    assert_int_equal(bound_to(&(struct ant_timing){.observe = true}, &plain, &bound), -ENODATA); /* nor seen */
    assert_int_equal(bound_to(&(struct ant_timing){.observe = true, .result_ns = 3}, &plain, &bound), 0);
    assert_false(bound.observed);
}

static void a_real_machine_must_have_seen_a_swap(void **state)
{
    (void)state;
    fixture_boot_with_costs(&unit_costs);
    if (on_virtual())
        skip();
    static const struct ant_timing timing = {.request_ns = US(10), .result_ns = US(20)};
    struct ant_swap_options options = {.deadline_ns = SOON};
    struct ant_bound bound;
    struct ant_swap_report report;
    const struct ant_program *program = declares(&timing); /* once: a server reads it as long as it lives */
    serve(FN, program, &below_requester);
    assert_error(ant_swap_bound(FN, &plain, &bound), ENODATA);
    assert_error(ant_swap(FN, &plain, &options, &report), ENODATA);
    assert_ok(ant_swap(FN, program, NULL, &report));
    assert_ok(ant_swap_bound(FN, &plain, &bound));
    assert_true(bound.base_ns >= report.base_ns);
    assert_true(bound.bound_ns >= bound.base_ns + US(20));
    assert_ok(ant_swap(FN, &plain, &options, &report));
    assert_true(report.bound_ns == bound.bound_ns);
}

static void on_a_real_machine_a_declared_start_comes_on_top_of_the_base_that_was_seen(void **state)
{
    (void)state;
    fixture_boot_with_costs(&unit_costs);
    if (on_virtual())
        skip();
    static const struct ant_timing starts_long = {.start_ns = ANT_NS_PER_S};
    struct ant_program starter = silent_start;
    struct ant_bound bound;
    struct ant_swap_report report;
    const struct ant_program *program = declares(&no_time);
    serve(FN, program, &below_requester);
    assert_ok(ant_swap(FN, program, NULL, &report)); /* without `start` */
    starter.timing = &starts_long;
    assert_ok(ant_swap_bound(FN, &starter, &bound));
    assert_true(bound.base_ns >= report.base_ns + ANT_NS_PER_S);
    assert_true(bound.bound_ns >= bound.base_ns);
}

static void whoever_is_not_above_the_server_has_no_bound(void **state)
{
    (void)state;
    fixture_boot_exact(NULL);
    struct ant_swap_options options = {.deadline_ns = SOON};
    struct ant_bound bound;
    ant_pid server = serve(FN, declares(&no_time), &below_requester);
    for (int priority = FIXTURE_PRIORITY; priority <= FIXTURE_PRIORITY + 1; priority++) {
        assert_ok(ant_priority_set(server, priority));
        assert_error(ant_swap_bound(FN, &plain, &bound), ERANGE);
        assert_error(ant_swap(FN, &plain, &options, NULL), ERANGE);
    }
    assert_ok(ant_priority_set(server, FIXTURE_PRIORITY - 1));
    assert_ok(ant_swap_bound(FN, &plain, &bound));
    assert_unswapped();
}

/* ---- computed by hand ---- */

struct by_hand {
    struct ant_timing server;
    struct ant_driver_timing driver;
    uint64_t bound_ns; /* 0: none, -ERANGE */
};

static void assert_by_hand(const struct by_hand *c, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ant_timing timing = c[i].server;
        struct ant_bound bound = {0};
        timing.drivers = &c[i].driver;
        timing.driver_count = 1;
        int rc = bound_to(&timing, &plain, &bound);
        if (rc != (c[i].bound_ns ? 0 : -ERANGE) || bound.bound_ns != c[i].bound_ns)
            fail_msg("case %zu: %d, %llu ns instead of %llu", i, rc,
                     (unsigned long long)bound.bound_ns, (unsigned long long)c[i].bound_ns);
        if (rc == 0) {
            assert_true(bound.request_ns == timing.request_ns && bound.result_ns == timing.result_ns);
            assert_false(bound.observed);
        }
    }
}

#define BY_HAND(cases) assert_by_hand((cases), sizeof(cases) / sizeof *(cases))
#define WORK .request_ns = 100, .result_ns = 60 /* own 111, or 71 */
#define SERIAL .burst_ns = 10, .burst_min_ns = 10, .wait_ns = 40

static void a_server_without_drivers_is_waited_for_once(void **state)
{
    (void)state;
    fixture_boot_exact(&unit_costs);
    struct ant_bound bound;
    assert_int_equal(bound_to(&(struct ant_timing){WORK}, &plain, &bound), 0);
    assert_int_equal(bound.bound_ns, 100 + BASE);
    assert_int_equal(bound.base_ns, BASE);
    assert_int_equal(bound_ns_to(&(struct ant_timing){.request_ns = 60, .result_ns = 100}, &plain),
                     100 + BASE);
    assert_int_equal(bound_ns_to(&no_time, &plain), BASE);
    /* the new program's start, or its transformer; but not what it declares of a start that it does not have */
    assert_int_equal(bound_to(&no_time, &slow_start, &bound), 0);
    assert_int_equal(bound.bound_ns, BASE + 50);
    assert_int_equal(bound.base_ns, BASE + 50);
    assert_int_equal(bound_ns_to(&no_time, &other_state), BASE + 50);
    assert_int_equal(bound_ns_to(&no_time, &ready), BASE);
}

static void a_serial_driver_comes_once_a_period_at_most(void **state)
{
    (void)state;
    fixture_boot_exact(&unit_costs);
    serve_drivers();
    static const struct by_hand cases[] = {
        /* period 50: 111 has 3, 141 has 3: 141 + 16 */
        {{WORK}, {.function = FN_ABOVE, SERIAL}, 157},
        {{WORK}, {.function = FN_NOBODY, SERIAL}, 157}, /* nobody, or not said: counts as above */
        {{WORK}, {SERIAL}, 157},
        {{WORK}, {.function = FN_BESIDE, SERIAL}, 157},
        {{WORK}, {.function = FN_BELOW, SERIAL}, 127},
        /* above the requester before and after count too: 127 has 3, 157 has 4, 167 has 4: 151 + 16 */
        {{WORK}, {.function = FN_TOP, SERIAL}, 167},
        {{WORK}, {.function = FN_LEVEL, SERIAL}, 167},
        /* period 40, as the burst may be short: 111 has 3, 141 has 4, 151 has 4 */
        {{WORK}, {.function = FN_ABOVE, .burst_ns = 10, .wait_ns = 40}, 167},
        /* 15 each time, reply included: 111 has 3, 156 has 4, 171 has 4 */
        {{WORK}, {.function = FN_ABOVE, SERIAL, .reply_ns = 5}, 187},
        {{WORK}, {.function = FN_ABOVE, .wait_ns = 40}, 127}, /* it computes nothing */
        /* an instant longer and the timer falls due at the very end of the window: own 120, 150 has 4, 160 has 4 */
        {{.request_ns = 108}, {.function = FN_ABOVE, SERIAL}, 165},
        {{.request_ns = 109}, {.function = FN_ABOVE, SERIAL}, 176},
    };
    BY_HAND(cases);
}

static void no_more_bursts_than_requests(void **state)
{
    (void)state;
    fixture_boot_exact(&unit_costs);
    serve_drivers();
    static const struct by_hand cases[] = {
        {{WORK, .requests = 1}, {.function = FN_ABOVE, SERIAL}, 137},
        {{WORK, .requests = 2}, {.function = FN_ABOVE, SERIAL}, 147},
        {{WORK, .requests = 3}, {.function = FN_ABOVE, SERIAL}, 157},
        {{WORK, .requests = 99}, {.function = FN_ABOVE, SERIAL}, 157}, /* the period has it */
        {{WORK, .requests = 2}, {.function = FN_BESIDE, SERIAL}, 147},
        {{WORK, .requests = 3}, {.function = FN_TOP, SERIAL}, 157},
        {{WORK, .requests = 2}, {.function = FN_ABOVE, SERIAL, .reply_ns = 5}, 157},
        /* while it works on a result of 100, that request is not with the driver, and of one the burst is behind it */
        {{.result_ns = 100, .requests = 1}, {.function = FN_ABOVE, SERIAL}, 127},
        {{.result_ns = 100, .requests = 2}, {.function = FN_ABOVE, SERIAL}, 127},
        {{.result_ns = 100, .requests = 3}, {.function = FN_ABOVE, SERIAL}, 137},
        {{.result_ns = 100, .requests = 5}, {.function = FN_ABOVE, SERIAL}, 157},
        {{.result_ns = 100}, {.function = FN_ABOVE, SERIAL}, 157},
        /* beside it, the driver may not yet have begun with any */
        {{.result_ns = 100, .requests = 1}, {.function = FN_BESIDE, SERIAL}, 127},
        {{.result_ns = 100, .requests = 2}, {.function = FN_BESIDE, SERIAL}, 137},
        {{.result_ns = 100, .requests = 3}, {.function = FN_BESIDE, SERIAL}, 147},
    };
    BY_HAND(cases);
}

static void a_driver_that_keeps_up_computes_only_for_the_request_at_hand(void **state)
{
    (void)state;
    fixture_boot_exact(&unit_costs);
    serve_drivers();
    static const struct by_hand cases[] = {
        {{WORK, .request_min_ns = 39}, {.function = FN_ABOVE, SERIAL}, 157},
        {{WORK, .request_min_ns = 40}, {.function = FN_ABOVE, SERIAL}, 137},
        {{WORK, .request_min_ns = 41, .requests = 9}, {.function = FN_ABOVE, SERIAL}, 137},
        {{WORK, .request_min_ns = 40}, {.function = FN_TOP, SERIAL}, 137},
        {{WORK, .request_min_ns = 40}, {.function = FN_BESIDE, SERIAL}, 157}, /* it may not have had its turn */
        {{WORK, .request_min_ns = 59}, {.function = FN_ABOVE, SERIAL, .wait_max_ns = 60}, 157},
        {{WORK, .request_min_ns = 60}, {.function = FN_ABOVE, SERIAL, .wait_max_ns = 60}, 137},
        {{.result_ns = 100, .request_min_ns = 40}, {.function = FN_ABOVE, SERIAL}, 127},
        /* one that does not wait has always kept up */
        {{WORK}, {.function = FN_ABOVE, .burst_ns = 10, .burst_min_ns = 10}, 137},
        {{WORK}, {.function = FN_ABOVE, .burst_ns = 10, .burst_min_ns = 10, .wait_max_ns = 1}, 0}, /* this one may */
        {{WORK, .requests = 4},
         {.function = FN_ABOVE, .burst_ns = 10, .burst_min_ns = 10, .wait_max_ns = 1},
         167},
        {{WORK}, {.function = FN_ABOVE, .burst_ns = 10, .wait_max_ns = 1}, 0},
    };
    BY_HAND(cases);
}

static void an_overlapping_driver_has_nothing_left_but_its_replies(void **state)
{
    (void)state;
    fixture_boot_exact(&unit_costs);
    serve_drivers();
    static const struct by_hand cases[] = {
        {{WORK}, {.function = FN_ABOVE, .overlaps = true, SERIAL}, 137},
        {{WORK, .requests = 7}, {.function = FN_TOP, .overlaps = true, SERIAL}, 137},
        {{.result_ns = 100}, {.function = FN_ABOVE, .overlaps = true, SERIAL}, 127},
        {{WORK}, {.function = FN_BELOW, .overlaps = true, SERIAL}, 127},
        {{WORK, .requests = 3}, {.function = FN_BESIDE, .overlaps = true, SERIAL}, 157}, /* all of them, one after the other */
        {{.result_ns = 100, .requests = 3}, {.function = FN_BESIDE, .overlaps = true, SERIAL}, 147},
        {{WORK}, {.function = FN_BESIDE, .overlaps = true, SERIAL}, 0},
        /* 10 + 3 * 5 */
        {{WORK, .requests = 3}, {.function = FN_ABOVE, .overlaps = true, SERIAL, .reply_ns = 5}, 152},
        {{.result_ns = 100, .requests = 3},
         {.function = FN_ABOVE, .overlaps = true, SERIAL, .reply_ns = 5},
         142},
        {{WORK}, {.function = FN_ABOVE, .overlaps = true, SERIAL, .reply_ns = 5}, 0},
    };
    BY_HAND(cases);
}

static void drivers_add_up(void **state)
{
    (void)state;
    fixture_boot_exact(&unit_costs);
    serve_drivers();
    static const struct ant_driver_timing drivers[] = {
        {.function = FN_ABOVE, SERIAL},
        {.function = FN_NOBODY, .overlaps = true, .burst_ns = 7},
        {.function = FN_TOP, .burst_ns = 20, .burst_min_ns = 20, .wait_ns = 180},
        {.function = FN_BELOW, .burst_ns = 5000}};
    /* 111 has 3 of 10 and one of 7: 148 has 3: 148 */
    struct ant_timing timing = {WORK, .drivers = drivers, .driver_count = 2};
    assert_int_equal(bound_ns_to(&timing, &plain), 148 + 16);
    /* and of 20 one in 127, 184; 168 has 4 of 10: 178, and 194 has one; 178 has 4 */
    timing.driver_count = 4;
    assert_int_equal(bound_ns_to(&timing, &plain), 178 + 16);
}

static void switches_are_in_the_bound(void **state)
{
    (void)state;
    struct ant_costs costs = unit_costs;
    costs.switch_ns = 2;
    costs.remap_page_ns = 1000; /* in no swap, and what callbacks send they declare */
    fixture_boot_exact(&costs);
    serve_drivers();
    static const struct by_hand cases[] = {
        /* to the new thread, the old server, the requester, the old server (which waits), the new server, the requester */
        {{WORK}, {.function = FN_BELOW, SERIAL}, 100 + BASE + 12},
        /* one burst of 10, two replies of 0, with a way there and back each */
        {{WORK, .requests = 2},
         {.function = FN_ABOVE, .overlaps = true, SERIAL},
         100 + BASE + 12 + 14 + 2 * 4},
        {{WORK}, {.function = FN_ABOVE, .overlaps = true, SERIAL}, 0}, /* any number of replies */
        /* 18 a period of 50: 123 has 3, 177 has 4, 195 has 4 */
        {{WORK}, {.function = FN_ABOVE, SERIAL}, 195 + 16},
    };
    BY_HAND(cases);
}

static void whoever_was_replaced_before_may_still_have_to_exit(void **state)
{
    (void)state;
    struct ant_costs costs = unit_costs;
    costs.switch_ns = 2;
    costs.step_ns[ANT_SWAP_EXIT] = 99;
    fixture_boot_exact(&costs);
    struct ant_bound bound;
    struct ant_swap_report report;
    serve(FN, declares(&no_time), &below_requester);
    for (int i = 0; i < 3; i++) { /* at once: each but the first has to wait for the exit of the one before */
        assert_ok(ant_swap_bound(FN, &plain, &bound));
        assert_int_equal(bound.bound_ns, BASE + 6 * 2 + (i == 0 ? 0 : 99 + 2));
        assert_int_equal(bound.base_ns, BASE); /* it is another swap's */
        assert_ok(ant_swap(FN, &ready, NULL, &report));
        assert_int_equal(report.swap_ns, bound.bound_ns);
    }
    assert_ok(ant_sleep(ant_now() + 50)); /* not through yet */
    assert_ok(ant_swap_bound(FN, &plain, &bound));
    assert_int_equal(bound.bound_ns, BASE + 6 * 2 + 99 + 2);
    assert_ok(ant_sleep(ant_now() + 100));
    assert_ok(ant_swap_bound(FN, &plain, &bound));
    assert_int_equal(bound.bound_ns, BASE + 6 * 2);
}

static void the_paper_s_swaps_take_what_the_paper_says(void **state)
{
    (void)state;
    fixture_boot_exact(&paper_costs);
    serve_drivers();
    static const struct ant_driver_timing disk = {
        .function = FN_ABOVE, .burst_ns = MS(5), .burst_min_ns = MS(5), .wait_ns = MS(15)};
    static const struct {
        uint64_t exec_ms, result_ms;
        uint32_t requests;
        uint64_t bound_ns;
    } rows[] = {
        {10, 1, 1, PAPER_NS(224)},
        {15, 1, 1, PAPER_NS(274)},
        {20, 1, 1, PAPER_NS(324)}, /* 7.4 + E + one burst */
        {15, 1, 4, PAPER_NS(274)},
        {20, 1, 4, PAPER_NS(324)}, /* E is the WAIT or more: the driver keeps up */
        {12, 1, 4, PAPER_NS(294)}, /* it does not: a second burst falls into 15.2 + 5 */
        {20, 1, 1, PAPER_NS(324)},
        {1, 20, 5, PAPER_NS(374)}, /* 7.4 + R + two bursts */
        {1, 20, 2, PAPER_NS(274)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ant_timing timing = {.request_ns = MS(rows[i].exec_ms),
                                    .request_min_ns = MS(rows[i].exec_ms),
                                    .result_ns = MS(rows[i].result_ms),
                                    .requests = rows[i].requests,
                                    .drivers = &disk,
                                    .driver_count = 1};
        assert_int_equal(bound_ns_to(&timing, &plain), rows[i].bound_ns);
    }
}

static void the_largest_times_have_a_bound_or_none_at_once(void **state)
{
    (void)state;
    fixture_boot_exact(&(struct ant_costs){.switch_ns = MS(100), .step_ns = {[11] = ANT_COST_MAX_NS}});
    serve_drivers();
    static const uint64_t hour = ANT_TIMING_MAX_NS;
    for (int kind = 0; kind < 64; kind++) {
        struct ant_driver_timing drivers[ANT_TIMED_DRIVERS_MAX];
        for (size_t i = 0; i < ANT_TIMED_DRIVERS_MAX; i++)
            drivers[i] = (struct ant_driver_timing){.function = kind & 1 ? FN_BESIDE : FN_TOP,
                                                    .overlaps = (kind & 2) != 0,
                                                    .burst_ns = hour,
                                                    .burst_min_ns = kind & 4 ? hour : 0,
                                                    .wait_ns = kind & 8 ? hour : 0,
                                                    .wait_max_ns = hour,
                                                    .reply_ns = hour};
        struct ant_timing timing = {
            hour, hour, hour, 0, kind & 16 ? UINT32_MAX : 0, false, drivers, kind & 32 ? ANT_TIMED_DRIVERS_MAX : 1};
        struct ant_bound bound;
        int rc = bound_to(&timing, &plain, &bound);
        assert_true(rc == -ERANGE || (rc == 0 && bound.bound_ns > hour));
    }
}

static void an_hour_of_everything_has_a_bound(void **state)
{
    (void)state;
    fixture_boot_exact(&unit_costs);
    static const uint64_t hour = ANT_TIMING_MAX_NS;
    static const struct by_hand cases[] = {
        /* period 2 h: 1 h has 1, 2 h have 2, 3 h have 2 */
        {{.request_ns = hour}, {.burst_ns = hour, .burst_min_ns = hour, .wait_ns = hour}, 3 * hour + BASE},
        {{.request_ns = hour, .requests = UINT32_MAX},
         {.burst_ns = hour, .burst_min_ns = hour, .wait_ns = hour},
         3 * hour + BASE},
        {{.request_ns = hour, .requests = 998}, {.burst_ns = hour, .wait_max_ns = 1}, 999 * hour + BASE},
        {{.request_ns = hour, .requests = UINT32_MAX}, {.burst_ns = hour, .wait_max_ns = 1}, 0},
        {{.request_ns = hour, .requests = UINT32_MAX},
         {.burst_ns = 1, .wait_max_ns = 1},
         hour + UINT32_MAX + BASE},
    };
    BY_HAND(cases);
}

/* Nobody waits for an analysis that goes on nanosecond by nanosecond. */
static void a_driver_that_leaves_nothing_has_no_bound_at_once(void **state)
{
    (void)state;
    fixture_boot_exact(NULL);
    static const struct by_hand cases[] = {
        {{0}, {.burst_ns = 1, .burst_min_ns = 1, .wait_max_ns = 1}, 0},
        {{.request_ns = 1}, {.burst_ns = 1000, .burst_min_ns = 1000, .wait_max_ns = 1}, 0},
        {{.request_ns = 1}, {.burst_ns = 1000, .burst_min_ns = 999, .wait_ns = 1}, 0},
        {{.request_ns = 1}, {.burst_ns = 1001, .burst_min_ns = 999, .wait_ns = 1}, 0},
        /* period 101: 1 has 1, 100 has 1 */
        {{.request_ns = 1}, {.burst_ns = 99, .burst_min_ns = 99, .wait_ns = 2}, 100},
    };
    BY_HAND(cases);
}

/* ---- observed ---- */

static const struct ant_timing observing = {.observe = true};
static const struct ant_program observed = {PROGRAM, .name = "observed", .timing = &observing},
                                observed_too = {PROGRAM, .name = "observed too", .timing = &observing};

/* On real machines a callback takes longer than its work. */
static void assert_saw(uint64_t request_ns, uint64_t result_ns)
{
    struct ant_bound bound;
    assert_ok(ant_swap_bound(FN, &plain, &bound));
    assert_true(bound.observed);
    if (on_virtual()) {
        assert_int_equal(bound.request_ns, request_ns);
        assert_int_equal(bound.result_ns, result_ns);
    } else {
        assert_true(bound.request_ns >= request_ns && bound.result_ns >= result_ns);
    }
    assert_true(bound.bound_ns >= bound.base_ns + request_ns &&
                bound.bound_ns >= bound.base_ns + result_ns);
}

static void the_longest_callback_seen_counts(void **state)
{
    (void)state;
    fixture_boot_with_costs(NULL);
    serve(FN_BELOW, &plain, &below_requester);
    serve(FN, &observed, &below_requester);
    struct ant_bound bound;
    assert_error(ant_swap_bound(FN, &plain, &bound), ENODATA);
    assert_ok(ant_swap(FN, &observed, NULL, NULL)); /* real machines must have seen one */
    ask(OP_WORK, US(300));
    assert_soon(ant_swap_bound(FN, &plain, &bound) == 0);
    assert_saw(US(300), 0);
    ask(OP_WORK, US(200));
    ask(OP_SLEEP, US(500)); /* WAIT counts */
    ask(OP_ASK, US(700));
    assert_soon(ant_swap_bound(FN, &plain, &bound) == 0 && bound.result_ns >= US(700));
    assert_saw(US(500), US(700));
}

static void what_is_declared_counts_until_more_is_seen(void **state)
{
    (void)state;
    fixture_boot_exact(&unit_costs);
    static const struct ant_timing timing = {.observe = true, .request_ns = 400};
    struct ant_bound bound;
    serve(FN, declares(&timing), &below_requester);
    ask(OP_WORK, 400);
    assert_ok(ant_swap_bound(FN, &plain, &bound));
    assert_false(bound.observed);
    assert_int_equal(bound.bound_ns, 400 + BASE);
    ask(OP_WORK, 401);
    assert_ok(ant_swap_bound(FN, &plain, &bound));
    assert_true(bound.observed);
    assert_int_equal(bound.bound_ns, 401 + BASE);
}

static void a_server_that_does_not_want_it_is_not_observed(void **state)
{
    (void)state;
    fixture_boot_exact(NULL);
    struct ant_bound bound;
    serve(FN, declares(&no_time), &below_requester);
    ask(OP_WORK, 400);
    assert_ok(ant_swap_bound(FN, &plain, &bound));
    assert_int_equal(bound.bound_ns, 0);
}

static int preempt(void *arg)
{
    expect_ok(ant_sleep(ant_now() + 50));
    return ant_work(*(uint64_t *)arg);
}

static void time_that_others_had_is_not_observed(void **state)
{
    (void)state;
    fixture_boot_exact(NULL);
    serve(FN, &observed, &below_requester);
    uint64_t work_ns = 1000;
    ant_pid intruder = spawn("intruder", SERVER_PRIORITY + 1, preempt, &work_ns);
    ask(OP_WORK, 120);
    assert_true(ant_now() == US(1) + 1121);
    assert_saw(120, 0);
    assert_int_equal(join(intruder), 0);
}

static void another_program_is_observed_anew(void **state)
{
    (void)state;
    fixture_boot_exact(NULL);
    struct ant_bound bound;
    serve(FN, &observed, &below_requester);
    ask(OP_WORK, 120);
    assert_ok(ant_swap(FN, &observed, NULL, NULL)); /* the same program: what was seen still says something */
    assert_saw(120, 0);
    plan.start_work_ns = (uint64_t)SOON;
    assert_int_equal(ant_swap(FN, &slow_start, &(struct ant_swap_options){.start_timeout_ns = 5}, NULL),
                     -ETIMEDOUT);
    assert_saw(120, 0); /* rolled back: the same too */
    assert_ok(ant_swap(FN, &observed_too, NULL, NULL));
    assert_error(ant_swap_bound(FN, &plain, &bound), ENODATA);
    ask(OP_WORK, 30);
    assert_saw(30, 0);
}

/* ---- deadlines ---- */

static void a_swap_that_may_take_too_long_is_refused_and_nothing_touched(void **state)
{
    (void)state;
    fixture_boot_exact(&unit_costs);
    static const struct ant_timing timing = {.request_ns = 100};
    ant_pid server = serve(FN, declares(&timing), &below_requester);
    ask(OP_NOTHING, 0);
    struct ant_request *queued = new_request(FN);
    assert_ok(ant_send(queued));
    static struct ant_event events[4096];
    size_t events_before, events_after, pages = free_pages();
    uint64_t now_ns = ant_now();
    assert_ok(ant_trace_read(events, 4096, &events_before));
    struct ant_swap_report report;
    struct ant_swap_options options = {.deadline_ns = 100 + BASE - 1};
    assert_error(ant_swap(FN, &plain, &options, &report), ETIME);
    assert_int_equal(report.error, -ETIME);
    assert_int_equal(report.step, ANT_SWAP_REQUEST);
    assert_int_equal(report.function, FN);
    assert_int_equal(report.generation, 1);
    assert_int_equal(report.old_version, 1);
    assert_int_equal(report.new_version, 2);
    assert_int_equal(report.bound_ns, 100 + BASE);
    assert_error(ant_swap(FN, &plain, &options, NULL), ETIME);
    assert_ok(ant_trace_read(events, 4096, &events_after));
    assert_int_equal(events_after, events_before); /* no step, no thread */
    assert_true(ant_now() == now_ns);
    assert_int_equal(free_pages(), pages);
    assert_int_equal(info_of(server).queued_requests, 1);
    assert_int_equal(info_of(server).generation, 1);
    assert_unswapped();
    assert_ptr_equal(boss_result(), queued); /* the server was not told */
    assert_ok(ant_request_free(queued));
    options.deadline_ns++;
    assert_ok(ant_swap(FN, &plain, &options, &report)); /* and the next one finds nothing in its way */
    assert_int_equal(report.bound_ns, 100 + BASE);
    assert_int_equal(report.generation, 2);
}

static void nonsense_with_a_deadline_is_told_as_without(void **state)
{
    (void)state;
    fixture_boot_exact(&unit_costs);
    struct ant_swap_options options = {.deadline_ns = -1};
    struct ant_swap_report report = {0};
    struct ant_program broken = other_state;
    broken.transformer_count = 0;
    ant_pid server = serve(FN, declares(&no_time), &below_requester);
    assert_error(ant_swap(FN, &plain, &options, NULL), EINVAL);
    options.deadline_ns = INT64_MIN;
    assert_error(ant_swap(FN, &plain, &options, NULL), EINVAL);
    options.deadline_ns = 1; /* too little: but this comes first */
    assert_error(ant_swap(FN, &broken, &options, &report), ENOTSUP);
    assert_int_equal(report.error, -ENOTSUP);
    assert_int_equal(report.old_version, 1);
    report.error = 0;
    assert_error(ant_swap(BOSS, &plain, &options, &report), ENOTSUP);
    assert_int_equal(report.error, -ENOTSUP);
    assert_error(ant_swap(FN, &silent_start, &options, &report), ENODATA);
    assert_unswapped();
    options.deadline_ns = INT64_MAX;
    assert_ok(ant_swap(FN, &plain, &options, &report));
    assert_int_equal(report.bound_ns, BASE);
    assert_ok(ant_swap(FN, &plain, NULL, &report));
    assert_int_equal(report.bound_ns, 0); /* no deadline, no bound */
    assert_int_equal(info_of(server).generation, 3);
}

/* Sends a request that works for so long, lets it begin, and swaps; what came of it. */
static int swap_while_it_works(uint64_t work_ns, const struct ant_program *to, int64_t deadline_ns,
                               struct ant_swap_report *report)
{
    struct ant_request *rq = new_request(FN);
    rq->operation = OP_WORK;
    rq->cookie = work_ns + 1;
    assert_ok(ant_send(rq));
    assert_ok(ant_sleep(ant_now() + 1));
    int rc = ant_swap(FN, to, &(struct ant_swap_options){.deadline_ns = deadline_ns}, report);
    assert_ptr_equal(boss_result(), rq);
    assert_ok(ant_request_free(rq));
    return rc;
}

static void a_deadline_that_is_the_bound_is_kept_by_the_longest_swap(void **state)
{
    (void)state;
    static const struct ant_timing timing = {.request_ns = 100};
    static const struct ant_costs only_before = {.step_ns = {0, 7}};
    const struct ant_costs *costs[] = {&unit_costs, &only_before, NULL};
    for (int i = 0; i < 3; i++) {
        fixture_boot_with_costs(costs[i]);
        if (!on_virtual())
            skip();
        struct ant_swap_report report;
        serve(FN, declares(&timing), &below_requester);
        plan.start_work_ns = 50;
        uint64_t bound_ns = 150 + (i == 0 ? BASE : i == 1 ? 7 : 0);
        assert_int_equal(swap_while_it_works(100, &slow_start, (int64_t)bound_ns, &report), 0);
        assert_true(report.bound_ns == bound_ns && report.swap_ns == bound_ns);
        fixture_shutdown();
    }
}

static void a_deadline_passes_when_too_little_was_declared(void **state)
{
    (void)state;
    fixture_boot_exact(&unit_costs);
    static const struct ant_timing timing = {.request_ns = 10};
    struct ant_swap_report report;
    ant_pid server = serve(FN, declares(&timing), &below_requester);
    plan.start_work_ns = 50;
    /* in the old server: from the request of the swap on, whatever the other time limits */
    uint64_t begin_ns = ant_now() + 1;
    assert_int_equal(swap_while_it_works(1000, &slow_start, 90, &report), -ETIMEDOUT);
    assert_int_equal(report.step, ANT_SWAP_LOOK);
    assert_int_equal(report.bound_ns, 60 + BASE);
    assert_true(report.step_time_ns[ANT_SWAP_REQUEST] == begin_ns);
    uint64_t over_ns = report.step_time_ns[ANT_SWAP_RETURN] - begin_ns;
    assert_in_range(over_ns, 90 + 6, 90 + 6 + 1); /* step 11's own cost comes after it */
    assert_int_equal(info_of(server).generation, 1);
    /* in the new one */
    plan.start_work_ns = 1000;
    assert_int_equal(swap_while_it_works(10, &slow_start, 90, &report), -ETIMEDOUT);
    assert_int_equal(report.step, ANT_SWAP_START);
    assert_in_range(report.swap_ns, 90 + 6, 90 + 6 + 1);
    assert_int_equal(info_of(server).generation, 1);
    plan.start_work_ns = 50;
    assert_int_equal(swap_while_it_works(10, &slow_start, 90, &report), 0);
    assert_int_equal(info_of(server).generation, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bound_test(a_bound_is_refused_to_nonsense),
        bound_test(no_bound_is_known_outside_a_core),
        bound_test(timings_that_make_no_sense_are_refused),
        bound_test(what_is_not_declared_is_not_known),
        bound_test(a_real_machine_must_have_seen_a_swap),
        bound_test(on_a_real_machine_a_declared_start_comes_on_top_of_the_base_that_was_seen),
        bound_test(whoever_is_not_above_the_server_has_no_bound),
        bound_test(a_server_without_drivers_is_waited_for_once),
        bound_test(a_serial_driver_comes_once_a_period_at_most),
        bound_test(no_more_bursts_than_requests),
        bound_test(a_driver_that_keeps_up_computes_only_for_the_request_at_hand),
        bound_test(an_overlapping_driver_has_nothing_left_but_its_replies),
        bound_test(drivers_add_up),
        bound_test(switches_are_in_the_bound),
        bound_test(whoever_was_replaced_before_may_still_have_to_exit),
        bound_test(the_paper_s_swaps_take_what_the_paper_says),
        bound_test(the_largest_times_have_a_bound_or_none_at_once),
        bound_test(an_hour_of_everything_has_a_bound),
        bound_test(a_driver_that_leaves_nothing_has_no_bound_at_once),
        bound_test(the_longest_callback_seen_counts),
        bound_test(what_is_declared_counts_until_more_is_seen),
        bound_test(a_server_that_does_not_want_it_is_not_observed),
        bound_test(time_that_others_had_is_not_observed),
        bound_test(another_program_is_observed_anew),
        bound_test(a_swap_that_may_take_too_long_is_refused_and_nothing_touched),
        bound_test(nonsense_with_a_deadline_is_told_as_without),
        bound_test(a_deadline_that_is_the_bound_is_kept_by_the_longest_swap),
        bound_test(a_deadline_passes_when_too_little_was_declared),
    };
    return cmocka_run_group_tests_name("bound", tests, NULL, NULL);
}
