/* ctest: machines=virtual,real movers=flat,strict */
/*
 * Costs: what each call spends, by whom and when. `virtual` is exact to the nanosecond; on a real machine, where everything takes
 * time anyway, the same things take at least as long.
 */
#include "child.h"
#include "fixture.h"

#define SERVER_PRIORITY 10 /* the requester is the test's own process, 20 */
#define HIGHEST 30

enum { FN = 7, FN_DRIVER, FN_SELF, FN_LIMITED, FN_NOBODY };

#define CREATE US(13)
/* Another one for each step, so that none can stand for another. */
static const struct ant_costs swap_costs = {.create_ns = CREATE,
                                            .step_ns = {0, US(10), US(21), US(32), US(43), US(54),
                                                        US(65), US(76), US(87), US(98), US(109),
                                                        US(120), US(131)}};
static const struct ant_costs *const costs = &swap_costs;
#define STEP(n) (costs->step_ns[n])

#define cost_test(f) cmocka_unit_test_setup_teardown(f, fixture_no_core, fixture_teardown)

/* Work is measured on a thread's own clock, what it took on the machine's: they need not agree to the last digit. */
static void assert_took(uint64_t took_ns, uint64_t cost_ns)
{
    if (on_virtual())
        assert_int_equal(took_ns, cost_ns);
    else
        assert_true(took_ns >= cost_ns - cost_ns / 100);
}

#define TOOK(call, cost_ns)                                                                        \
    do {                                                                                           \
        uint64_t begin_ns_ = ant_now();                                                            \
        call;                                                                                      \
        assert_took(ant_now() - begin_ns_, (cost_ns));                                             \
    } while (0)

/* ---- programs ---- */

enum { OP_NOTHING, OP_WORK, OP_ASK, OP_SWAP_SELF, OP_KEEP_DATA };

static struct {
    int (*start)(void); /* what `start` does in a swap */
    uint64_t transform_ns;
    uint64_t begun_ns; /* when the last request was begun with */
    const struct ant_program *swap_to;
    int swap_rc;
} plan;

static int start(struct ant_server *self)
{
    return self->reason == ANT_START_SWAP && plan.start ? plan.start() : 0;
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    struct ant_request *errand;
    plan.begun_ns = ant_now();
    switch (rq->operation) {
    case OP_WORK:
        expect_ok(ant_work(rq->cookie));
        break;
    case OP_ASK: /* and work on the result */
        expect_ok(ant_request_new(FN_DRIVER, &errand));
        errand->cookie = rq->cookie;
        expect_ok(ant_send(errand));
        break;
    case OP_SWAP_SELF:
        plan.swap_rc = ant_swap(FN, plan.swap_to, NULL, NULL);
        break;
    case OP_KEEP_DATA:
        expect_ok(ant_ica_free(rq->data));
        rq->data = NULL;
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

static int transform(struct ant_server *self, const void *old, size_t bytes, void **new_state)
{
    (void)self, (void)old, (void)bytes, (void)new_state;
    return ant_work(plan.transform_ns);
}

static const struct ant_transformer to_two[] = {{1, 2, transform}};
#define PROGRAM .abi = ANT_ABI, .start = start, .request = request, .result = result
static const struct ant_program one = {PROGRAM, .name = "one", .state_version = 1},
                                two = {PROGRAM, .name = "two", .state_version = 2,
                                       .transformers = to_two, .transformer_count = 1};

static void nod(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    expect_ok(ant_reply(rq, 0));
}

static const struct ant_program nodder = {.abi = ANT_ABI, .name = "nodder", .request = nod};

static const struct ant_server_options below = {.priority = SERVER_PRIORITY};

static void boot_server(void)
{
    memset(&plan, 0, sizeof plan);
    fixture_boot_with_costs(costs);
    serve(FN, &one, &below);
}

static void boot_server_virtual(void)
{
    boot_server();
    if (!on_virtual())
        skip();
}

static struct ant_request *send_op(uint32_t operation, uint64_t cookie)
{
    struct ant_request *rq = new_request(FN);
    rq->operation = operation;
    rq->cookie = cookie;
    assert_ok(ant_send(rq));
    return rq;
}

static void take_result(struct ant_request *rq)
{
    struct ant_message message;
    assert_ok(ant_receive(&message, SOON));
    assert_int_equal(message.kind, ANT_RESULT);
    assert_ptr_equal(message.request, rq);
    assert_int_equal(rq->error, 0);
    assert_ok(ant_request_free(rq));
}

static int end_at_once(void *arg)
{
    (void)arg;
    return 0;
}

/* ---- creation ---- */

static void creating_a_process_costs_its_creator(void **state)
{
    (void)state;
    fixture_boot_with_costs(costs);
    TOOK(join(spawn("process", 0, end_at_once, NULL)), CREATE);
    TOOK(serve(FN, &one, &below), CREATE);
    TOOK(assert_error(ant_process_create(NULL, NULL, NULL, NULL), EINVAL), 0);
    TOOK(assert_error(ant_serve(0, &one, NULL, NULL), EINVAL), 0);
}

/* ---- the twelve steps ---- */

#define PREPARED (STEP(1) + STEP(2) + CREATE + STEP(3))
#define RESTED (STEP(4) + STEP(5))
#define ENROLLED (STEP(7) + STEP(8) + STEP(9) + STEP(10))
#define BASE (PREPARED + RESTED + STEP(6) + ENROLLED + STEP(11))

/* From each step to the next, when the old server still works for so long and the new one starts for so long. */
static void assert_steps(const struct ant_swap_report *r, uint64_t work_ns, uint64_t start_ns)
{
    const uint64_t next_ns[] = {0,       STEP(1), STEP(2) + CREATE,   STEP(3) + work_ns,
                                0,       RESTED,  STEP(6) + start_ns, STEP(7),
                                STEP(8), STEP(9), STEP(10) + STEP(11)};
    for (int step = ANT_SWAP_REQUEST; step < ANT_SWAP_RETURN; step++)
        assert_took(r->step_time_ns[step + 1] - r->step_time_ns[step], next_ns[step]);
    assert_took(r->swap_ns, BASE + work_ns + start_ns);
    assert_took(r->blackout_ns, RESTED + STEP(6) + start_ns + ENROLLED);
}

static void assert_shares(const struct ant_swap_report *r, uint64_t base_ns, uint64_t request_ns,
                          uint64_t result_ns, uint64_t higher_ns)
{
    assert_true(r->base_ns + r->request_work_ns + r->result_work_ns + r->higher_priority_ns == r->swap_ns);
    assert_took(r->base_ns, base_ns);
    assert_took(r->request_work_ns, request_ns);
    assert_took(r->result_work_ns, result_ns);
    assert_took(r->higher_priority_ns, higher_ns);
}

static void each_step_costs_what_it_costs(void **state)
{
    (void)state;
    struct ant_swap_report report;
    boot_server();
    TOOK(assert_ok(ant_swap(FN, &one, NULL, &report)), BASE);
    assert_steps(&report, 0, 0);
    assert_shares(&report, BASE, 0, 0, 0);
}

static void step_12_costs_the_old_server_when_the_swap_is_over(void **state)
{
    (void)state;
    struct ant_swap_report report, last;
    boot_server_virtual();
    assert_ok(ant_swap(FN, &one, NULL, &report));
    assert_true(report.step_time_ns[ANT_SWAP_EXIT] == 0 && report.step == ANT_SWAP_RETURN);
    assert_ok(ant_sleep(ant_now() + 1));
    assert_ok(ant_swap_last(FN, &last));
    assert_true(last.step_time_ns[ANT_SWAP_EXIT] == report.step_time_ns[ANT_SWAP_RETURN]);
    /* the new server's equal: whoever asks that waits for the rest */
    struct ant_request *rq = new_request(FN);
    TOOK(assert_ok(ant_call(rq, SOON)), STEP(12) - 1);
    TOOK(assert_ok(ant_call(rq, SOON)), 0);
    assert_ok(ant_request_free(rq));
}

static int work_in_start(void)
{
    return ant_work(US(7));
}

static void work_of_request_and_start_come_on_top(void **state)
{
    (void)state;
    struct ant_swap_report report;
    boot_server_virtual();
    plan.start = work_in_start;
    struct ant_request *rq = send_op(OP_WORK, US(500));
    assert_ok(ant_sleep(ant_now() + US(100)));
    assert_ok(ant_swap(FN, &one, NULL, &report));
    assert_steps(&report, US(400), US(7));
    assert_shares(&report, BASE + US(7), US(400), 0, 0);
    assert_int_equal(report.start_ns, US(7));
    take_result(rq);
}

static void work_of_a_result_comes_on_top(void **state)
{
    (void)state;
    struct ant_swap_report report;
    boot_server_virtual();
    serve(FN_DRIVER, &nodder, &(struct ant_server_options){.priority = SERVER_PRIORITY + 5});
    struct ant_request *rq = send_op(OP_ASK, US(500));
    assert_ok(ant_sleep(ant_now() + US(100)));
    assert_ok(ant_swap(FN, &one, NULL, &report));
    assert_steps(&report, US(400), 0);
    assert_shares(&report, BASE, 0, US(400), 0);
    take_result(rq);
}

static void a_transformer_costs_what_it_works(void **state)
{
    (void)state;
    struct ant_swap_report report;
    boot_server();
    plan.start = work_in_start;
    plan.transform_ns = US(30);
    assert_ok(ant_swap(FN, &two, NULL, &report));
    assert_steps(&report, 0, US(37));
    assert_took(report.transform_ns, US(30));
    assert_took(report.start_ns, US(7));
    assert_shares(&report, BASE + US(37), 0, 0, 0);
}

static void a_server_that_swaps_itself_makes_every_step_but_the_new_one_s(void **state)
{
    (void)state;
    struct ant_swap_report last;
    boot_server();
    plan.swap_to = &one;
    struct ant_request *rq = send_op(OP_SWAP_SELF, 0);
    assert_soon(ant_swap_last(FN, &last) == 0 && last.step_time_ns[ANT_SWAP_EXIT] != 0);
    assert_int_equal(last.error, 0);
    if (on_virtual()) {
        assert_steps(&last, 0, 0);
        assert_shares(&last, BASE, 0, 0, 0);
    }
    assert_took(last.swap_ns, BASE);
    assert_took(last.step_time_ns[ANT_SWAP_EXIT] - last.step_time_ns[ANT_SWAP_REQUEST], BASE);
    assert_int_equal(plan.swap_rc, 0);
    /* what it had in service is the new one's */
    ant_pid server;
    assert_ok(ant_lookup(FN, &server));
    assert_ok(ant_stop(server, SOON, NULL));
    struct ant_message message;
    assert_ok(ant_receive(&message, SOON));
    assert_int_equal(rq->error, -ESHUTDOWN);
    assert_ok(ant_request_free(rq));
}

/* ---- preempted ---- */

struct intruder {
    uint64_t time_ns, work_ns;
};

static int intrude(void *arg)
{
    const struct intruder *i = arg;
    expect_ok(ant_sleep(i->time_ns));
    expect_ok(ant_work(i->work_ns));
    return 0;
}

#define INTRUSION US(1000)

/* Swaps while somebody of this priority works for a while, from this long after step 1 on. */
static struct ant_swap_report swap_intruded(int priority, uint64_t after_ns)
{
    struct intruder intruder = {ant_now() + 2 * CREATE + after_ns, INTRUSION};
    ant_pid pid = spawn("intruder", HIGHEST, intrude, &intruder);
    struct ant_swap_report report;
    assert_ok(ant_priority_set(pid, priority));
    assert_ok(ant_sleep(intruder.time_ns - after_ns));
    assert_ok(ant_swap(FN, &one, NULL, &report));
    assert_ok(ant_sleep(ant_now() + US(5000)));
    assert_int_equal(join(pid), 0);
    return report;
}

/* When each step's cost begins to be spent, from step 1 on, by whom it may. */
static void costs_are_spent_as_work_that_can_be_preempted(void **state)
{
    (void)state;
    boot_server_virtual();
    const uint64_t spent_from_ns[] = {0,
                                      0,
                                      STEP(1),
                                      STEP(1) + STEP(2) + CREATE,
                                      PREPARED,
                                      PREPARED + STEP(4),
                                      PREPARED + RESTED,
                                      PREPARED + RESTED + STEP(6),
                                      PREPARED + RESTED + STEP(6) + STEP(7),
                                      BASE - STEP(11) - STEP(10) - STEP(9),
                                      BASE - STEP(11) - STEP(10),
                                      BASE - STEP(11)};
    for (int step = ANT_SWAP_REQUEST; step <= ANT_SWAP_RETURN; step++) {
        uint64_t after_ns = spent_from_ns[step] + STEP(step) / 2;
        /* above the requester: every step can be preempted */
        struct ant_swap_report report = swap_intruded(HIGHEST, after_ns);
        assert_int_equal(report.swap_ns, BASE + INTRUSION);
        assert_shares(&report, BASE, 0, 0, INTRUSION);
        bool in_blackout = step >= ANT_SWAP_LOOK && step <= ANT_SWAP_WAKE_AGAIN;
        assert_int_equal(report.blackout_ns,
                         RESTED + STEP(6) + ENROLLED + (in_blackout ? INTRUSION : 0));
        /* between server and requester: the requester's last step is not held up, and its other ones are not either */
        report = swap_intruded(SERVER_PRIORITY + 1, after_ns);
        uint64_t delay_ns = step == ANT_SWAP_RETURN ? 0 : INTRUSION;
        assert_int_equal(report.swap_ns, BASE + delay_ns);
        assert_shares(&report, BASE, 0, 0, delay_ns);
        if (step <= ANT_SWAP_NOTIFY)
            assert_int_equal(report.step_time_ns[ANT_SWAP_NOTIFY] - report.step_time_ns[ANT_SWAP_REQUEST],
                             PREPARED - STEP(3));
        /* below the server: nobody waits for it */
        report = swap_intruded(SERVER_PRIORITY - 1, after_ns);
        assert_shares(&report, BASE, 0, 0, 0);
    }
}

/* ---- rolled back ---- */

static int fail_after_work(void)
{
    expect_ok(ant_work(US(7)));
    return -EIO;
}

static int work_for_ever(void)
{
    return ant_work((uint64_t)SOON);
}

static void assert_serves_at_once(void)
{
    struct ant_request *rq = new_request(FN);
    TOOK(assert_ok(ant_call(rq, SOON)), 0); /* no step 12 */
    assert_ok(ant_request_free(rq));
}

static void a_swap_that_fails_costs_the_steps_that_it_made(void **state)
{
    (void)state;
    struct ant_swap_report report;
    static const struct {
        int (*start)(void);
        int64_t timeout_ns;
        uint64_t start_ns;
        int error;
    } ways[] = {{fail_after_work, SOON, US(7), -EIO},
                {work_for_ever, (int64_t)US(77), US(77), -ETIMEDOUT}};
    boot_server();
    for (int i = 0; i < 2; i++) {
        uint64_t blackout_ns = RESTED + STEP(6) + ways[i].start_ns,
                 swap_ns = PREPARED + blackout_ns + STEP(11);
        struct ant_swap_options options = {.start_timeout_ns = ways[i].timeout_ns};
        plan.start = ways[i].start;
        TOOK(assert_int_equal(ant_swap(FN, &one, &options, &report), ways[i].error), swap_ns);
        assert_int_equal(report.step, ANT_SWAP_START);
        assert_took(report.swap_ns, swap_ns);
        assert_took(report.blackout_ns, blackout_ns);
        if (on_virtual() || ways[i].error != -ETIMEDOUT) /* else the limit begins before `start` does: blackout_ns has it all */
            assert_took(report.start_ns, ways[i].start_ns);
        if (on_virtual())
            assert_shares(&report, swap_ns, 0, 0, 0);
        assert_serves_at_once();
    }
}

static void an_old_server_that_does_not_rest_costs_the_requester_s_steps(void **state)
{
    (void)state;
    struct ant_swap_report report;
    struct ant_swap_options options = {.quiesce_timeout_ns = (int64_t)US(300)};
    boot_server_virtual();
    uint64_t begin_ns = ant_now();
    struct ant_request *rq = send_op(OP_WORK, US(500));
    assert_ok(ant_sleep(ant_now() + US(100)));
    assert_int_equal(ant_swap(FN, &one, &options, &report), -ETIMEDOUT);
    assert_int_equal(report.step, ANT_SWAP_LOOK);
    assert_int_equal(report.swap_ns, PREPARED + US(300) + STEP(11));
    assert_shares(&report, PREPARED + STEP(11), US(300), 0, 0);
    assert_int_equal(report.blackout_ns, 0);
    take_result(rq);
    assert_int_equal(ant_now() - begin_ns, US(500) + PREPARED + STEP(11)); /* its own steps were not made */
    assert_serves_at_once();
}

static void a_time_limit_may_pass_while_the_old_server_makes_its_steps(void **state)
{
    (void)state;
    struct ant_swap_report report;
    struct ant_swap_options options = {.quiesce_timeout_ns = (int64_t)US(30)};
    boot_server_virtual();
    assert_int_equal(ant_swap(FN, &one, &options, &report), -ETIMEDOUT);
    assert_int_equal(report.swap_ns, PREPARED + US(30) + STEP(11));
    assert_int_equal(report.blackout_ns, US(30));
    assert_shares(&report, report.swap_ns, 0, 0, 0);
    struct ant_request *rq = new_request(FN);
    TOOK(assert_ok(ant_call(rq, SOON)), RESTED - US(30)); /* it has begun with them */
    assert_ok(ant_request_free(rq));
    assert_ok(ant_swap(FN, &one, NULL, &report));
    assert_steps(&report, 0, 0);
}

/* ---- switches ---- */

static const struct ant_costs slow_switch = {.switch_ns = 10};

struct worker {
    uint64_t work_ns, begun_ns, ended_ns;
};

static int work(void *arg)
{
    struct worker *w = arg;
    w->begun_ns = ant_now();
    expect_ok(ant_work(w->work_ns));
    w->ended_ns = ant_now();
    return 0;
}

static void a_switch_costs_whoever_runs_next(void **state)
{
    (void)state;
    fixture_boot_exact(&slow_switch);
    uint64_t begin_ns = ant_now();
    struct worker low = {.work_ns = 50}, equal = {.work_ns = 5};
    spawn("low", 5, work, &low);
    spawn("equal", 5, work, &equal);
    assert_int_equal(ant_now(), begin_ns); /* nobody else has run */
    assert_ok(ant_sleep(begin_ns + 35));
    /* to the low one 10, its work 25, and 10 back; the rest of its work later, behind another 10 */
    assert_int_equal(low.begun_ns - begin_ns, 10);
    assert_int_equal(ant_now() - begin_ns, 45);
    assert_ok(ant_sleep(begin_ns + 500));
    assert_int_equal(low.ended_ns - begin_ns, 45 + 10 + 25);
    assert_int_equal(equal.begun_ns - begin_ns, 80 + 10);
    assert_int_equal(ant_now() - begin_ns, 510);
}

static void the_same_process_again_costs_nothing(void **state)
{
    (void)state;
    fixture_boot_exact(&slow_switch);
    uint64_t begin_ns = ant_now();
    assert_ok(ant_sleep(begin_ns + 100));
    assert_ok(ant_work(7));
    assert_ok(ant_priority_set(ant_self(), 3));
    assert_ok(ant_sleep(begin_ns + 200));
    assert_int_equal(ant_now() - begin_ns, 200);
}

static void a_timer_waits_for_the_end_of_a_switch(void **state)
{
    (void)state;
    fixture_boot_exact(&slow_switch);
    uint64_t begin_ns = ant_now();
    struct worker low = {.work_ns = 50};
    spawn("low", 5, work, &low);
    assert_ok(ant_sleep(begin_ns + 4)); /* due in the middle of the switch to the low one; then 10 back */
    assert_int_equal(ant_now() - begin_ns, 20);
    assert_int_equal(low.begun_ns, 0);
    assert_ok(ant_sleep(begin_ns + 30)); /* due at its very end */
    assert_int_equal(ant_now() - begin_ns, 40);
    assert_int_equal(low.begun_ns, 0);
    assert_ok(ant_sleep(begin_ns + 51)); /* it has had 1 */
    assert_int_equal(ant_now() - begin_ns, 61);
    assert_int_equal(low.begun_ns - begin_ns, 50);
    assert_ok(ant_sleep(begin_ns + 500));
    assert_int_equal(low.ended_ns - begin_ns, 61 + 10 + 49);
}

static void a_call_costs_two_switches_and_a_swap_six(void **state)
{
    (void)state;
    fixture_boot_exact(&slow_switch);
    struct ant_swap_report report;
    serve(FN, &nodder, &below);
    assert_ok(ant_sleep(ant_now() + US(1)));
    struct ant_request *rq = new_request(FN);
    TOOK(assert_ok(ant_call(rq, SOON)), 20);
    assert_ok(ant_request_free(rq));
    assert_ok(ant_sleep(ant_now() + US(1)));
    /* to the new thread, the old server, back, the old server's wait, the new server, back */
    TOOK(assert_ok(ant_swap(FN, &nodder, NULL, &report)), 60);
    assert_int_equal(report.swap_ns, 60);
    assert_shares(&report, 40, 0, 0, 20); /* the idle old server's time is not kept */
}

static void boot_with_slow_switches(void *arg)
{
    (void)arg;
    static const struct ant_costs slow = {.switch_ns = ANT_COST_MAX_NS};
    fixture_boot_with_costs(&slow);
    serve(FN, &nodder, &below);
    struct ant_request *rq = new_request(FN);
    assert_ok(ant_call(rq, SOON)); /* two of them would take as long as its time limit */
    assert_ok(ant_request_free(rq));
    fixture_shutdown();
}

static void a_real_machine_says_that_it_ignores_switches(void **state)
{
    (void)state;
    fixture_boot_with_costs(NULL);
    bool is_virtual = on_virtual();
    fixture_shutdown();
    if (is_virtual || SANITIZED) /* ThreadSanitizer starts no threads in a child of fork */
        skip();
    struct child child;
    child_run(&child, boot_with_slow_switches, NULL);
    child_assert_success(&child);
    assert_non_null(strstr(child.errors, "switch_ns"));
}

/* ---- remapping ---- */

#define PAGE US(11)
static const struct ant_costs remap_costs = {.remap_page_ns = PAGE};

static void each_page_that_moves_costs(void **state)
{
    (void)state;
    memset(&plan, 0, sizeof plan);
    fixture_boot_with_costs(&remap_costs);
    serve(FN, &one, &below);
    static const size_t pages[] = {0, 1, 2, 40};
    for (int i = 0; i < 4; i++) {
        struct ant_request *rq = new_request(FN);
        uint64_t way_ns = (1 + pages[i]) * PAGE, begin_ns = ant_now();
        rq->data = pages[i] ? new_area(pages[i]) : NULL;
        TOOK(assert_ok(ant_call(rq, SOON)), 2 * way_ns); /* there and back */
        assert_took(plan.begun_ns - begin_ns, way_ns);
        if (rq->data) { /* the server keeps it */
            rq->operation = OP_KEEP_DATA;
            TOOK(assert_ok(ant_call(rq, SOON)), way_ns + PAGE);
            assert_null(rq->data);
        }
        rq->data = NULL;
        rq->operation = OP_NOTHING;
        TOOK(assert_ok(ant_send(rq)), PAGE); /* the caller's; the reply is the server's */
        take_result(rq);
    }
}

static void what_moves_to_no_other_window_costs_nothing(void **state)
{
    (void)state;
    fixture_boot_exact(&remap_costs);
    assert_ok(ant_function_add(FN_SELF));
    struct ant_request *rq = new_request(FN_SELF);
    struct ant_message message;
    void *data = new_area(5);
    uint64_t begin_ns = ant_now();
    rq->data = data;
    assert_error(ant_call(rq, SOON), EDEADLK);
    assert_ok(ant_send(rq));
    assert_ok(ant_receive(&message, SOON));
    assert_ok(ant_reply(message.request, 0));
    assert_ok(ant_receive(&message, SOON));
    /* and what is refused */
    rq->function = FN_NOBODY;
    assert_error(ant_send(rq), ESRCH);
    rq->function = 0;
    assert_error(ant_send(rq), EINVAL);
    rq->function = FN_SELF;
    rq->data = (char *)data + 8;
    assert_error(ant_send(rq), EINVAL);
    assert_error(ant_reply(rq, 0), EPERM);
    assert_int_equal(ant_now(), begin_ns);
    assert_ok(ant_ica_free(data));
    assert_ok(ant_request_free(rq));
    assert_ok(ant_function_remove(FN_SELF));
}

static void a_full_queue_costs_the_way_there(void **state)
{
    (void)state;
    fixture_boot_exact(&remap_costs);
    serve(FN_LIMITED, &nodder,
          &(struct ant_server_options){.priority = SERVER_PRIORITY, .queue_limit = 1});
    struct ant_request *first = new_request(FN_LIMITED), *second = new_request(FN_LIMITED);
    second->data = new_area(3);
    TOOK(assert_ok(ant_send(first)), PAGE);
    TOOK(assert_error(ant_send(second), EAGAIN), 4 * PAGE);
    assert_ok(ant_ica_free(second->data));
    assert_ok(ant_request_free(second));
    take_result(first);
}

/* ---- what costs do not change ---- */

static void costs_change_neither_order_nor_number(void **state)
{
    (void)state;
    enum { COUNT = 12 };
    struct ant_costs all = swap_costs;
    all.remap_page_ns = US(3);
    all.switch_ns = US(2);
    memset(&plan, 0, sizeof plan);
    fixture_boot_with_costs(&all);
    serve(FN, &one, &below);
    struct ant_request *rq[COUNT];
    for (int round = 0; round < 3; round++) {
        struct ant_swap_report report;
        for (int i = 0; i < COUNT; i++) {
            rq[i] = send_op(OP_WORK, US(10));
            if (i % 4 == 3)
                assert_ok(ant_swap(FN, &one, NULL, &report));
        }
        struct ant_swap_count c = report.queued_requests;
        assert_int_equal(c.at_notice + c.arrived - c.left, c.handed_over);
        for (int i = 0; i < COUNT; i++)
            take_result(rq[i]);
    }
}

/* ---- the config ---- */

static void costs_that_are_too_much_are_refused(void **state)
{
    (void)state;
    struct ant_config config = fixture_config();
    struct ant_costs bad;
    uint64_t *fields[] = {&bad.create_ns,   &bad.switch_ns,   &bad.remap_page_ns, bad.step_ns + 1,
                          bad.step_ns + 2,  bad.step_ns + 3,  bad.step_ns + 4,    bad.step_ns + 5,
                          bad.step_ns + 6,  bad.step_ns + 7,  bad.step_ns + 8,    bad.step_ns + 9,
                          bad.step_ns + 10, bad.step_ns + 11, bad.step_ns + 12,   bad.step_ns};
    config.costs = &bad;
    config.log = ANT_LOG_QUIET;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        memset(&bad, 0, sizeof bad);
        *fields[i] = fields[i] == bad.step_ns ? 1 : ANT_COST_MAX_NS + 1;
        assert_error(ant_boot(&config), EINVAL);
        assert_int_equal(ant_self(), 0);
        *fields[i] = UINT64_MAX;
        assert_error(ant_boot(&config), EINVAL);
        *fields[i] = fields[i] == bad.step_ns
                         ? 0
                         : ANT_COST_MAX_NS; /* the most: the next boot finds nothing in its way */
        fixture_boot(&config);
        fixture_shutdown();
    }
}

static void the_caller_s_costs_may_change_after_the_boot(void **state)
{
    (void)state;
    struct ant_costs mine = swap_costs;
    fixture_boot_with_costs(&mine);
    mine.create_ns = ANT_COST_MAX_NS;
    struct ant_costs none = {0};
    TOOK(join(spawn("process", 0, end_at_once, NULL)), CREATE);
    mine = none;
    TOOK(join(spawn("process", 0, end_at_once, NULL)), CREATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first, while this process has no other thread: fork does not copy those */
        cost_test(a_real_machine_says_that_it_ignores_switches),
        cost_test(creating_a_process_costs_its_creator),
        cost_test(each_step_costs_what_it_costs),
        cost_test(step_12_costs_the_old_server_when_the_swap_is_over),
        cost_test(work_of_request_and_start_come_on_top),
        cost_test(work_of_a_result_comes_on_top),
        cost_test(a_transformer_costs_what_it_works),
        cost_test(a_server_that_swaps_itself_makes_every_step_but_the_new_one_s),
        cost_test(costs_are_spent_as_work_that_can_be_preempted),
        cost_test(a_swap_that_fails_costs_the_steps_that_it_made),
        cost_test(an_old_server_that_does_not_rest_costs_the_requester_s_steps),
        cost_test(a_time_limit_may_pass_while_the_old_server_makes_its_steps),
        cost_test(a_switch_costs_whoever_runs_next),
        cost_test(the_same_process_again_costs_nothing),
        cost_test(a_timer_waits_for_the_end_of_a_switch),
        cost_test(a_call_costs_two_switches_and_a_swap_six),
        cost_test(each_page_that_moves_costs),
        cost_test(what_moves_to_no_other_window_costs_nothing),
        cost_test(a_full_queue_costs_the_way_there),
        cost_test(costs_change_neither_order_nor_number),
        cost_test(costs_that_are_too_much_are_refused),
        cost_test(the_caller_s_costs_may_change_after_the_boot),
    };
    return cmocka_run_group_tests_name("costs", tests, NULL, NULL);
}
