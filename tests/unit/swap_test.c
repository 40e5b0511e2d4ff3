/* ctest: machines=virtual,real movers=strict,strict-mremap,flat,copy timeout=240 */
/*
 * Swap: every outcome and every error of swap.h, what passes to the new server, and what a rollback leaves.
 *
 * The programs below count requests in their state. The requester is mostly a puppet, so that the test can do things
 * while the swap waits; OP_OBEY makes the server itself a puppet in the middle of a request.
 */
#include "fixture.h"
#include "puppet.h"

#define FN 7u
#define FN_EXTRA 8u
#define FN_DRIVER 9u
#define FN_RAW 10u
#define FN_OTHER 11u

enum {
    OP_COUNT,
    OP_OBEY,
    OP_KEEP,
    OP_LET_GO,
    OP_ERRAND,
    OP_WORK,
    OP_SWAP_SELF,
    OP_SWAP_OTHER,
    OP_EXIT
};

/* ---- the programs ---- */

struct state_one { /* state version 1 */
    uint32_t magic;
    uint32_t count;
    struct state_one *self; /* a pointer that must stay valid */
    uint32_t *more;         /* another area of the server's */
};

struct state_two { /* state version 2 */
    uint64_t padding;
    uint64_t count;
    uint32_t *more;
};

#define MAGIC 0x1234abcdu

struct answer { /* the payload of a result */
    uint32_t version, count, generation;
};

static struct {
    int (*hook)(struct ant_server *self); /* what `start` does during a swap */
    int starts, stops;
    struct ant_server seen; /* by the last start */
    const struct ant_program *swap_to;
    struct ant_swap_report report; /* of a swap that a server asked for */
    int swap_rc;
    uint32_t transforms, transforms_seen;
} plan;

static const struct ant_program one, one_again, two, broken;

static uint32_t next_count(struct ant_server *self)
{
    if (self->program->state_version == 1) {
        struct state_one *s = ant_state();
        expect(s->magic == MAGIC && s->self == s);
        return s->count++;
    }
    struct state_two *s = ant_state();
    return (uint32_t)s->count++;
}

static void answer(struct ant_server *self, struct ant_request *rq)
{
    struct answer *a = (struct answer *)(void *)rq->payload;
    a->version = self->program->version;
    a->generation = self->generation;
    a->count = next_count(self);
    expect_ok(ant_reply(rq, 0));
}

static int start(struct ant_server *self)
{
    plan.starts++;
    plan.seen = *self;
    if (plan.transforms != plan.transforms_seen)
        expect(ant_state() != NULL && ant_state() == self->state); /* the transformer's: its own */
    else
        expect(ant_state() == NULL); /* none yet, or the predecessor's */
    plan.transforms_seen = plan.transforms;
    if (self->reason == ANT_START_SWAP)
        return plan.hook ? plan.hook(self) : 0;
    void *area, *more;
    expect_ok(ant_ica_alloc(2, &area));
    expect_ok(ant_ica_alloc(1, &more));
    if (self->program->state_version == 1) {
        *(struct state_one *)area = (struct state_one){.magic = MAGIC, .self = area, .more = more};
    } else {
        *(struct state_two *)area = (struct state_two){.more = more};
    }
    *(uint32_t *)more = 4711;
    return ant_state_set(area);
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    switch (rq->operation) {
    case OP_OBEY:
        expect_ok(puppet_obey());
        answer(self, rq);
        break;
    case OP_KEEP:
        break;
    case OP_LET_GO: { /* answers whatever is in service, oldest first, itself last */
        struct ant_pending items[16];
        size_t count = 0;
        expect_ok(ant_pending(ANT_IN_SERVICE, items, 16, &count));
        for (size_t i = 0; i < count; i++)
            answer(self, items[i].request);
        break;
    }
    case OP_ERRAND: {
        struct ant_request *errand;
        expect_ok(ant_request_new(FN_DRIVER, &errand));
        errand->cookie = rq->cookie;
        expect_ok(ant_send(errand));
        break; /* rq is found again by its cookie: by this server or by its successor */
    }
    case OP_WORK:
        expect_ok(ant_work(MS(10)));
        answer(self, rq);
        break;
    case OP_SWAP_SELF:
        plan.swap_rc = ant_swap(FN, plan.swap_to, NULL, &plan.report);
        answer(self, rq); /* only if it failed */
        break;
    case OP_SWAP_OTHER:
        plan.swap_rc = ant_swap(FN_OTHER, plan.swap_to, NULL, &plan.report);
        answer(self, rq);
        break;
    case OP_EXIT:
        ant_exit(3);
        break;
    default:
        answer(self, rq);
    }
}

static void result(struct ant_server *self, struct ant_request *errand)
{
    struct ant_pending items[16];
    size_t count = 0;
    expect_ok(ant_pending(ANT_IN_SERVICE, items, 16, &count));
    if (errand->operation == OP_WORK)
        expect_ok(ant_work(MS(10)));
    for (size_t i = 0; i < count; i++)
        if (items[i].operation == OP_ERRAND && items[i].cookie == errand->cookie)
            answer(self, items[i].request);
    expect_ok(ant_request_free(errand));
}

static void stop(struct ant_server *self)
{
    (void)self;
    plan.stops++;
}

static int one_from_two(struct ant_server *self, const void *old, size_t bytes, void **new_state)
{
    (void)self;
    plan.transforms++;
    const struct state_two *from = old;
    expect(bytes == 2 * ANT_PAGE_BYTES);
    void *area;
    int rc = ant_ica_alloc(2, &area);
    if (rc != 0)
        return rc;
    *(struct state_one *)area = (struct state_one){
        .magic = MAGIC, .count = (uint32_t)from->count, .self = area, .more = from->more};
    *new_state = area;
    return 0;
}

static int two_from_one(struct ant_server *self, const void *old, size_t bytes, void **new_state)
{
    expect(self->reason == ANT_START_SWAP);
    plan.transforms++;
    const struct state_one *from = old;
    expect(bytes == 2 * ANT_PAGE_BYTES);
    void *area;
    int rc = ant_ica_alloc(2, &area);
    if (rc != 0)
        return rc;
    *(struct state_two *)area = (struct state_two){.count = from->count, .more = from->more};
    *new_state = area;
    return 0;
}

static int failing_transform(struct ant_server *self, const void *old, size_t bytes, void **new_state)
{
    (void)self, (void)old, (void)bytes, (void)new_state;
    void *area;
    expect_ok(ant_ica_alloc(20, &area));
    return -EDOM;
}

static const struct ant_transformer to_one[] = {{2, 1, one_from_two}},
                                    to_two[] = {{1, 2, two_from_one}};

#define COMMON .abi = ANT_ABI, .start = start, .request = request, .result = result, .stop = stop
static const struct ant_program one = {
    COMMON, .name = "one", .version = 1, .state_version = 1, .transformers = to_one, .transformer_count = 1};
static const struct ant_program one_again = {COMMON, .name = "one again", .version = 2,
                                             .state_version = 1};
static const struct ant_program two = {
    COMMON, .name = "two", .version = 3, .state_version = 2, .transformers = to_two, .transformer_count = 1};
/* Another layout, and no way to it. */
static const struct ant_program broken = {COMMON, .name = "strange", .version = 4, .state_version = 3};

/* ---- the test's side ---- */

static ant_pid server, requester;
static size_t pages_in_use; /* by the server with its state */

static int setup(void **state)
{
    fixture_setup(state);
    memset(&plan, 0, sizeof plan);
    server = serve(FN, &one, NULL);
    pages_in_use = 3;
    assert_int_equal(info_of(server).pages, pages_in_use);
    requester = puppet_create("requester", FIXTURE_PRIORITY + 10);
    return 0;
}

#define swap_test(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

static struct ant_request *send_op(uint32_t operation, uint64_t cookie)
{
    struct ant_request *rq = new_request(FN);
    rq->operation = operation;
    rq->cookie = cookie;
    assert_ok(ant_send(rq));
    return rq;
}

static struct answer *answer_in(struct ant_request *rq)
{
    return (struct answer *)(void *)rq->payload;
}

static struct answer ask(uint32_t function, uint32_t operation)
{
    struct ant_request *rq = new_request(function);
    rq->operation = operation;
    assert_ok(ant_call(rq, SOON));
    struct answer a = *answer_in(rq);
    assert_ok(ant_request_free(rq));
    return a;
}

static void assert_serves(uint32_t version, uint32_t generation)
{
    struct answer a = ask(FN, OP_COUNT);
    assert_int_equal(a.version, version);
    assert_int_equal(a.generation, generation);
    struct ant_process_info info = info_of(server);
    assert_int_equal(info.version, version);
    assert_int_equal(info.generation, generation);
    ant_pid found = 0;
    assert_ok(ant_lookup(FN, &found));
    assert_true(found == server); /* it keeps its id through everything */
}

static void assert_balanced(struct ant_swap_count c)
{
    assert_int_equal(c.at_notice + c.arrived - c.left, c.handed_over);
}

static void assert_count(struct ant_swap_count c, uint32_t at_notice, uint32_t arrived,
                         uint32_t left, uint32_t handed_over)
{
    assert_int_equal(c.at_notice, at_notice);
    assert_int_equal(c.arrived, arrived);
    assert_int_equal(c.left, left);
    assert_int_equal(c.handed_over, handed_over);
}

static void assert_adds_up(const struct ant_swap_report *r)
{
    assert_balanced(r->queued_requests);
    assert_balanced(r->queued_results);
    assert_balanced(r->in_service);
    assert_balanced(r->outstanding);
    assert_true(r->base_ns + r->request_work_ns + r->result_work_ns + r->higher_priority_ns == r->swap_ns);
    assert_true(r->swap_ns == r->step_time_ns[ANT_SWAP_RETURN] - r->step_time_ns[ANT_SWAP_REQUEST]);
    assert_true(r->transform_ns + r->start_ns <= r->blackout_ns);
    assert_true(r->blackout_ns <= r->swap_ns || !on_virtual());
}

static void assert_committed(const struct ant_swap_report *r, uint32_t generation, uint32_t from,
                             uint32_t to)
{
    assert_int_equal(r->error, 0);
    assert_in_range(r->step, ANT_SWAP_RETURN, ANT_SWAP_EXIT);
    assert_int_equal(r->function, FN);
    assert_int_equal(r->generation, generation);
    assert_int_equal(r->old_version, from);
    assert_int_equal(r->new_version, to);
    assert_false(r->abandoned);
    assert_int_equal(r->swallowed, 0);
    assert_adds_up(r);
}

static void assert_rolled_back(const struct ant_swap_report *r, int error, enum ant_swap_step step)
{
    assert_int_equal(r->error, error);
    assert_int_equal(r->step, step);
    assert_int_equal(r->function, FN);
    assert_int_equal(r->generation, 1);
    assert_int_equal(r->old_version, 1);
    assert_true(r->step_time_ns[ANT_SWAP_HAND_OVER] == 0);
    assert_true(r->step_time_ns[ANT_SWAP_EXIT] == 0);
}

static struct ant_event events[4096];

/* Where in the trace is this step of the swap to this generation? SIZE_MAX: nowhere. */
static size_t step_in_trace(enum ant_swap_step step, uint32_t generation)
{
    size_t count = 0, found = SIZE_MAX;
    assert_ok(ant_trace_read(events, 4096, &count));
    for (size_t i = 0; i < count; i++) {
        if (events[i].kind == ANT_EVENT_STEP && events[i].a == (int64_t)step && events[i].b == generation) {
            assert_true(found == SIZE_MAX || generation == 2); /* once, but for a swap tried again */
            found = i;
        }
    }
    return found;
}

/* The server obeys the boss within a request, and the requester's swap waits for it. */
static struct ant_request *begin_swap_of_busy_server(const struct ant_program *program,
                                                     const struct ant_swap_options *options,
                                                     struct ant_swap_report *report)
{
    struct ant_request *busy = send_op(OP_OBEY, 0);
    puppet_await(server);
    puppet_begin_swap(requester, FN, program, options, report);
    assert_soon(step_in_trace(ANT_SWAP_NOTIFY, 2) != SIZE_MAX);
    return busy;
}

static void take_answer(struct ant_request *rq, uint32_t version)
{
    assert_ptr_equal(boss_result(), rq);
    assert_int_equal(rq->error, 0);
    assert_int_equal(rq->status, 0);
    assert_int_equal(answer_in(rq)->version, version);
    assert_ok(ant_request_free(rq));
}

/* ---- success ---- */

static void a_swap_replaces_the_program_and_nothing_else(void **state)
{
    (void)state;
    struct ant_swap_report report;
    int priority = info_of(server).priority;
    assert_serves(1, 1);
    assert_ok(ant_swap(FN, &one_again, NULL, &report));
    assert_committed(&report, 2, 1, 2);
    assert_serves(2, 2);
    assert_int_equal(info_of(server).priority, priority);
    assert_int_equal(info_of(ant_self()).priority, FIXTURE_PRIORITY); /* the requester's is its own again */
    assert_int_equal(info_of(server).pages, pages_in_use);
    assert_int_equal(plan.stops, 0); /* it was replaced, not stopped */
    assert_int_equal(plan.starts, 2);
    assert_int_equal(plan.seen.reason, ANT_START_SWAP);
    assert_int_equal(plan.seen.function, FN);
    assert_int_equal(plan.seen.generation, 2);
    assert_ptr_equal(plan.seen.program, &one_again);
    assert_ok(ant_swap(FN, &one_again, NULL, NULL)); /* a report is not needed; the same program again is no harm */
    assert_serves(2, 3);
}

static void the_twelve_steps_happen_in_order(void **state)
{
    (void)state;
    struct ant_swap_report report, last;
    assert_int_equal(puppet_swap(requester, FN, &one_again, NULL, &report), 0);
    assert_soon(ant_swap_last(FN, &last) == 0 && last.step_time_ns[ANT_SWAP_EXIT] != 0);
    assert_int_equal(last.step, ANT_SWAP_EXIT);
    for (int step = ANT_SWAP_REQUEST; step <= ANT_SWAP_EXIT; step++) {
        assert_true(last.step_time_ns[step] != 0);
        size_t at = step_in_trace((enum ant_swap_step)step, 2);
        assert_true(at != SIZE_MAX);
        if (on_virtual()) /* elsewhere each reads the clock for itself */
            assert_true(events[at].time_ns == last.step_time_ns[step]);
        int before = step == ANT_SWAP_EXIT ? ANT_SWAP_WAKE_OLD
                                           : step - 1; /* 12 needs 9; 10 and 11 are the requester's */
        if (before >= ANT_SWAP_REQUEST) {
            assert_true(last.step_time_ns[step] >= last.step_time_ns[before]);
            assert_true(at > step_in_trace((enum ant_swap_step)before, 2));
        }
    }
    for (int step = ANT_SWAP_REQUEST; step <= ANT_SWAP_RETURN; step++)
        assert_true(report.step_time_ns[step] == last.step_time_ns[step]);
    assert_true(report.swap_ns == last.swap_ns);
    assert_int_equal(report.generation, last.generation);
}

static void everything_passes_to_the_new_server(void **state)
{
    (void)state;
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    struct ant_request *keep[2], *errand[2], *queued[5], *late, *at_driver[2];
    for (uint64_t i = 0; i < 2; i++)
        keep[i] = send_op(OP_KEEP, 10 + i);
    for (uint64_t i = 0; i < 2; i++) {
        errand[i] = send_op(OP_ERRAND, 20 + i);
        at_driver[i] = puppet_take_request(driver);
    }
    struct ant_request *busy = send_op(OP_OBEY, 30);
    puppet_await(server);
    assert_ok(puppet_reply(driver, at_driver[0], 0)); /* its result is queued */
    for (uint64_t i = 0; i < 5; i++)
        queued[i] = send_op(OP_COUNT, 40 + i);
    struct ant_swap_report report;
    puppet_begin_swap(requester, FN, &one_again, NULL, &report);
    assert_soon(step_in_trace(ANT_SWAP_NOTIFY, 2) != SIZE_MAX);
    late = send_op(OP_COUNT, 50);
    puppet_release(server);
    assert_int_equal(puppet_end(requester), 0);
    take_answer(busy, 1); /* the old one finished what it was about, and nothing else */
    assert_committed(&report, 2, 1, 2);

    assert_int_equal(report.queued_requests.at_notice, 5);
    assert_int_equal(report.queued_requests.arrived, 1);
    assert_int_equal(report.queued_requests.left, 0);
    assert_int_equal(report.queued_requests.handed_over, 6);
    assert_int_equal(report.queued_results.at_notice, 1);
    assert_int_equal(report.queued_results.handed_over, 1);
    assert_int_equal(report.in_service.at_notice, 5);
    assert_int_equal(report.in_service.left, 1); /* the busy one */
    assert_int_equal(report.in_service.handed_over, 4);
    assert_int_equal(report.outstanding.handed_over, 1);
    assert_int_equal(report.state_bytes, 2 * ANT_PAGE_BYTES);

    take_answer(errand[0], 2); /* the result that was queued comes first, to the new server */
    for (int i = 0; i < 5; i++)
        take_answer(queued[i], 2); /* in the order sent */
    take_answer(late, 2);
    assert_ok(puppet_reply(driver, at_driver[1], 0)); /* a late one finds the new server */
    take_answer(errand[1], 2);
    struct ant_request *key = send_op(OP_LET_GO, 0);
    take_answer(keep[0], 2);
    take_answer(keep[1], 2);
    take_answer(key, 2);
    assert_true(boss_has_no_result());
}

static struct ant_pending taken_over[3][16];
static size_t taken_over_count[3];

static int list_what_is_taken_over(struct ant_server *self)
{
    (void)self;
    for (int kind = 0; kind < 3; kind++)
        expect_ok(ant_pending((enum ant_pending_kind)kind, taken_over[kind], 16, &taken_over_count[kind]));
    return 0;
}

static void a_new_server_can_list_what_it_takes_over(void **state)
{
    (void)state;
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    struct ant_request *errand[3], *at_driver[3];
    for (uint64_t i = 0; i < 3; i++) {
        errand[i] = send_op(OP_ERRAND, 70 + i);
        at_driver[i] = puppet_take_request(driver);
    }
    struct ant_request *busy = send_op(OP_OBEY, 80);
    puppet_await(server);
    assert_ok(puppet_reply(driver, at_driver[1], 0));
    struct ant_swap_report report;
    plan.hook = list_what_is_taken_over;
    puppet_begin_swap(requester, FN, &one_again, NULL, &report);
    assert_soon(step_in_trace(ANT_SWAP_NOTIFY, 2) != SIZE_MAX);
    puppet_release(server);
    assert_int_equal(puppet_end(requester), 0);
    take_answer(busy, 1);
    assert_int_equal(taken_over_count[ANT_IN_SERVICE], 3);
    for (uint64_t i = 0; i < 3; i++) {
        assert_true(taken_over[ANT_IN_SERVICE][i].cookie == 70 + i);
        assert_int_equal(taken_over[ANT_IN_SERVICE][i].operation, OP_ERRAND);
        assert_int_equal(taken_over[ANT_IN_SERVICE][i].function, FN);
        assert_true(taken_over[ANT_IN_SERVICE][i].peer == ant_self());
    }
    assert_int_equal(taken_over_count[ANT_OUTSTANDING], 2);
    assert_true(taken_over[ANT_OUTSTANDING][0].cookie == 70);
    assert_true(taken_over[ANT_OUTSTANDING][1].cookie == 72);
    assert_int_equal(taken_over[ANT_OUTSTANDING][0].function, FN_DRIVER);
    assert_true(taken_over[ANT_OUTSTANDING][0].peer == driver);
    assert_int_equal(taken_over_count[ANT_ANSWERED], 1);
    assert_true(taken_over[ANT_ANSWERED][0].cookie == 71);
    assert_ok(puppet_reply(driver, at_driver[2], 0));
    assert_ok(puppet_reply(driver, at_driver[0], 0));
    take_answer(errand[1], 2);
    take_answer(errand[2], 2);
    take_answer(errand[0], 2);
}

static const struct state_one *adopted;

static int look_at_old_state(struct ant_server *self)
{
    adopted = self->state;
    expect(self->state_bytes == 2 * ANT_PAGE_BYTES);
    expect(adopted->magic == MAGIC && adopted->self == adopted);
    expect(adopted->count == 3);
    expect(*adopted->more == 4711); /* an area that the state points to */
    expect(ant_state() == NULL);    /* not to be written yet */
    return 0;
}

static void the_same_state_version_is_adopted_in_place(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(ask(FN, OP_COUNT).count, i);
    plan.hook = look_at_old_state;
    struct ant_swap_report report;
    assert_ok(ant_swap(FN, &one_again, NULL, &report));
    assert_int_equal(ask(FN, OP_COUNT).count, 3); /* next_count checks that its pointers are valid */
    assert_int_equal(plan.transforms, 0);
    assert_true(report.transform_ns == 0);
    struct ant_request *busy = send_op(OP_OBEY, 0);
    puppet_await(server);
    assert_ptr_equal(puppet_state(server), adopted); /* the same address; the page has not moved */
    puppet_release(server);
    take_answer(busy, 2);
}

static void another_state_version_is_transformed_both_ways(void **state)
{
    (void)state;
    struct ant_swap_report report;
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(ask(FN, OP_COUNT).count, i);
    for (uint32_t round = 0; round < 6; round++) {
        const struct ant_program *to = round % 2 ? &one : &two;
        assert_ok(ant_swap(FN, to, NULL, &report));
        assert_int_equal(report.error, 0);
        assert_int_equal(report.state_bytes, 2 * ANT_PAGE_BYTES);
        assert_adds_up(&report);
        assert_int_equal(plan.transforms, round + 1);
        struct answer a = ask(FN, OP_COUNT);
        assert_int_equal(a.version, to->version);
        assert_int_equal(a.count, 5 + round);
        assert_soon(info_of(server).pages == pages_in_use); /* the old state is freed, what it names is kept */
    }
}

static void transformers_of_the_options_come_first(void **state)
{
    (void)state;
    struct ant_transformer failing = {1, 2, failing_transform}, good = {1, 3, two_from_one};
    struct ant_swap_options options = {.transformers = &failing, .transformer_count = 1};
    struct ant_swap_report report;
    assert_int_equal(ant_swap(FN, &two, &options, &report), -EDOM);
    assert_rolled_back(&report, -EDOM, ANT_SWAP_START);
    assert_serves(1, 1);
    options.transformers = &good; /* a way to where the program itself knows none */
    assert_ok(ant_swap(FN, &broken, &options, &report));
    assert_int_equal(report.new_version, 4);
    assert_serves(4, 2);
}

static int start_with_new_state(struct ant_server *self)
{
    void *area;
    expect(self->state != NULL);
    expect_ok(ant_ica_alloc(2, &area));
    const struct state_one *old = self->state;
    *(struct state_one *)area =
        (struct state_one){.magic = MAGIC, .count = old->count + 100, .self = area, .more = old->more};
    return ant_state_set(area);
}

static void start_may_bring_a_state_of_its_own(void **state)
{
    (void)state;
    struct ant_swap_report report;
    plan.hook = start_with_new_state;
    assert_ok(ant_swap(FN, &one_again, NULL, &report));
    assert_int_equal(ask(FN, OP_COUNT).count, 100);
}

static void a_client_that_waits_notices_nothing(void **state)
{
    (void)state;
    struct ant_swap_report report;
    ant_pid client = puppet_create("client", FIXTURE_PRIORITY - 5);
    struct ant_request *rq = puppet_new_request(client, FN);
    struct ant_request *busy = begin_swap_of_busy_server(&one_again, NULL, &report);
    puppet_begin_call(client, rq, SOON);
    assert_soon(info_of(server).queued_requests == 1);
    puppet_release(server);
    assert_int_equal(puppet_end(requester), 0);
    assert_int_equal(puppet_end(client), 0);
    assert_int_equal(answer_in(rq)->version, 2);
    take_answer(busy, 1);
    assert_ok(puppet_request_free(client, rq));
}

static void two_hundred_swaps_lose_nothing(void **state)
{
    (void)state;
    enum { SWAPS = 200 };
    uint32_t sent = 0;
    struct ant_swap_report report;
    for (uint32_t round = 0; round < SWAPS; round++) {
        struct ant_request *rq[4];
        for (int i = 0; i < 4; i++)
            rq[i] = send_op(OP_COUNT, round);
        const struct ant_program *to = round % 3 == 0 ? &two : &one;
        assert_ok(ant_swap(FN, to, NULL, &report));
        assert_int_equal(report.generation, round + 2);
        assert_adds_up(&report);
        for (int i = 0; i < 4; i++) {
            assert_ptr_equal(boss_result(), rq[i]);
            assert_int_equal(rq[i]->error, 0);
            assert_int_equal(answer_in(rq[i])->count, sent++); /* once each, in order */
            assert_ok(ant_request_free(rq[i]));
        }
    }
    assert_soon(info_of(server).pages == pages_in_use);
    assert_int_equal(info_of(server).generation, SWAPS + 1);
}

static void a_low_priority_process_may_swap_a_high_priority_server(void **state)
{
    (void)state;
    ant_pid low = puppet_create("low", ANT_PRIORITY_MIN);
    assert_ok(ant_priority_set(server, 40));
    struct ant_swap_report report;
    assert_int_equal(puppet_swap(low, FN, &one_again, NULL, &report), 0);
    assert_committed(&report, 2, 1, 2);
    assert_int_equal(info_of(server).priority, 40);
    assert_int_equal(info_of(low).priority, ANT_PRIORITY_MIN);
    assert_serves(2, 2);
}

static void any_function_of_the_server_will_do(void **state)
{
    (void)state;
    struct ant_request *busy = send_op(OP_OBEY, 0);
    assert_ok(puppet_function_add(server, FN_EXTRA));
    puppet_release(server);
    take_answer(busy, 1);
    struct ant_swap_report report, last;
    assert_ok(ant_swap(FN_EXTRA, &one_again, NULL, &report));
    assert_int_equal(report.function, FN_EXTRA);
    assert_int_equal(plan.seen.function, FN);             /* that it was first created under */
    assert_int_equal(ask(FN_EXTRA, OP_COUNT).version, 2); /* both pass */
    assert_serves(2, 2);
    assert_ok(ant_swap_last(FN, &last));
    assert_int_equal(last.generation, 2);
    assert_ok(ant_swap_last(FN_EXTRA, &last));
    assert_int_equal(last.generation, 2);
}

static void new_priorities_given_during_a_swap_hold_after_it(void **state)
{
    (void)state;
    struct ant_swap_report report;
    struct ant_request *busy = begin_swap_of_busy_server(&one_again, NULL, &report);
    assert_ok(ant_priority_set(server, FIXTURE_PRIORITY - 7));
    assert_ok(ant_priority_set(requester, FIXTURE_PRIORITY + 3));
    puppet_release(server);
    assert_int_equal(puppet_end(requester), 0);
    take_answer(busy, 1);
    assert_int_equal(info_of(server).priority, FIXTURE_PRIORITY - 7);
    assert_int_equal(info_of(requester).priority, FIXTURE_PRIORITY + 3);
}

/* ---- a server swaps itself, or another ---- */

static void a_server_may_swap_itself(void **state)
{
    (void)state;
    struct ant_swap_report last;
    plan.swap_to = &two;
    struct ant_request *rq = send_op(OP_SWAP_SELF, 5), *behind = send_op(OP_COUNT, 6);
    take_answer(behind, 3);
    /* what it had in service is handed over: the new server answers it */
    struct ant_request *key = send_op(OP_LET_GO, 0);
    take_answer(rq, 3);
    take_answer(key, 3);
    assert_int_equal(plan.swap_rc, 0); /* the call did not return */
    assert_soon(ant_swap_last(FN, &last) == 0 && last.step_time_ns[ANT_SWAP_EXIT] != 0);
    assert_int_equal(last.error, 0);
    assert_int_equal(last.in_service.handed_over, 1);
    assert_serves(3, 2);
}

static void a_server_s_swap_of_itself_returns_if_it_fails(void **state)
{
    (void)state;
    plan.swap_to = &broken;
    struct answer a = ask(FN, OP_SWAP_SELF);
    assert_int_equal(a.version, 1);
    assert_int_equal(plan.swap_rc, -ENOTSUP);
    plan.swap_to = &one_again;
    plan.hook = list_what_is_taken_over; /* harmless; but now fail in start */
    static const struct ant_transformer failing[] = {{1, 3, failing_transform}};
    static const struct ant_program failing_program = {COMMON,
                                                       .name = "fails",
                                                       .version = 5,
                                                       .state_version = 3,
                                                       .transformers = failing,
                                                       .transformer_count = 1};
    plan.swap_to = &failing_program;
    a = ask(FN, OP_SWAP_SELF);
    assert_int_equal(a.version, 1);
    assert_int_equal(plan.swap_rc, -EDOM);
    assert_rolled_back(&plan.report, -EDOM, ANT_SWAP_START);
    assert_int_equal(info_of(server).pages, pages_in_use);
    assert_serves(1, 1);
}

static void a_server_may_swap_another(void **state)
{
    (void)state;
    ant_pid other = serve(FN_OTHER, &two, NULL);
    plan.swap_to = &two;
    ask(FN, OP_SWAP_OTHER);
    assert_int_equal(plan.swap_rc, 0);
    assert_int_equal(plan.report.function, FN_OTHER);
    assert_int_equal(info_of(other).generation, 2);
    assert_int_equal(ask(FN_OTHER, OP_COUNT).generation, 2);
    assert_serves(1, 1);
}

/* ---- errors before anything is touched ---- */

static void nonsense_is_refused_and_nothing_touched(void **state)
{
    (void)state;
    struct ant_swap_report report;
    memset(&report, 0x5a, sizeof report);
    struct ant_program p = one_again;
    assert_error(ant_swap(0, &one_again, NULL, &report), EINVAL);
    assert_error(ant_swap(FN, NULL, NULL, &report), EINVAL);
    p.name = NULL;
    assert_error(ant_swap(FN, &p, NULL, &report), EINVAL);
    p = one_again;
    p.request = NULL;
    assert_error(ant_swap(FN, &p, NULL, &report), EINVAL);
    p = one_again;
    p.transformer_count = 3;
    assert_error(ant_swap(FN, &p, NULL, &report), EINVAL);
    struct ant_swap_options options = {.transformer_count = 1};
    assert_error(ant_swap(FN, &one_again, &options, &report), EINVAL);
    p = one_again;
    p.abi = ANT_ABI + 1;
    assert_error(ant_swap(FN, &p, NULL, &report), EPROTO);
    assert_error(ant_swap(FN_EXTRA, &one_again, NULL, &report), ESRCH);
    unsigned char untouched[sizeof report];
    memset(untouched, 0x5a, sizeof untouched);
    assert_memory_equal(&report, untouched, sizeof report);
    assert_int_equal(plan.starts, 1);
    assert_error(ant_swap_last(FN, &report), ENOENT);
    assert_serves(1, 1);
}

static void no_way_from_the_old_state_is_enotsup(void **state)
{
    (void)state;
    struct ant_swap_report report = {.error = 1};
    struct ant_request *busy = send_op(OP_OBEY, 0); /* it cannot even be asked: this must not wait for it */
    puppet_await(server);
    assert_error(ant_swap(FN, &broken, NULL, &report), ENOTSUP);
    assert_int_equal(report.error, -ENOTSUP);
    assert_int_equal(report.generation, 1);
    assert_int_equal(report.old_version, 1);
    assert_int_equal(report.new_version, 4);
    struct ant_message message;
    assert_error(puppet_receive(server, &message, 0), ETIMEDOUT); /* it was told nothing */
    puppet_release(server);
    take_answer(busy, 1);
    assert_int_equal(plan.starts, 1);
    assert_serves(1, 1);
}

static void a_server_not_made_by_ant_serve_cannot_be_swapped(void **state)
{
    (void)state;
    struct ant_swap_report report;
    ant_pid puppet = puppet_create("puppet", 0);
    assert_ok(puppet_function_add(puppet, FN_OTHER));
    assert_error(ant_swap(FN_OTHER, &one_again, NULL, &report), ENOTSUP);
    assert_error(ant_swap(BOSS, &one_again, NULL, &report), ENOTSUP); /* nor the caller itself */
    assert_error(ant_swap_last(FN_OTHER, &report), ENOENT);
    struct ant_message message;
    assert_error(puppet_receive(puppet, &message, 0), ETIMEDOUT);
}

static void swap_last_refuses_nonsense(void **state)
{
    (void)state;
    struct ant_swap_report report;
    assert_error(ant_swap_last(0, &report), EINVAL);
    assert_error(ant_swap_last(FN, NULL), EINVAL);
    assert_error(ant_swap_last(FN_EXTRA, &report), ESRCH);
    assert_error(ant_swap_last(FN, &report), ENOENT);
}

/* ---- rollback ---- */

static int allocate_and_fail(struct ant_server *self)
{
    struct ant_request *rq;
    void *area;
    expect_ok(ant_ica_alloc(50, &area));
    expect_ok(ant_ica_alloc(1, &area));
    expect_ok(ant_request_new(FN_DRIVER, &rq));
    expect_ok(ant_function_add(FN_EXTRA));
    expect(self->reason == ANT_START_SWAP);
    return -EIO;
}

static int allocate_and_exit(struct ant_server *self)
{
    allocate_and_fail(self);
    ant_exit(9);
    return 0;
}

static void rollback_case(int (*hook)(struct ant_server *self), const struct ant_program *to, int error)
{
    struct ant_swap_report report;
    struct ant_request *keep = send_op(OP_KEEP, 1);
    plan.hook = hook;
    struct ant_request *busy = begin_swap_of_busy_server(to, NULL, &report);
    struct ant_request *queued[4];
    for (uint64_t i = 0; i < 4; i++)
        queued[i] = send_op(OP_COUNT, i);
    size_t in_use = FIXTURE_POOL_PAGES - free_pages();
    puppet_release(server);
    assert_int_equal(puppet_end(requester), error);
    assert_rolled_back(&report, error, ANT_SWAP_START);
    assert_int_equal(report.new_version, to->version);
    assert_false(report.abandoned);
    assert_adds_up(&report);
    assert_count(report.queued_requests, 0, 4, 0, 4);
    assert_count(report.in_service, 2, 0, 1, 1); /* one was answered before the old server came to rest */
    take_answer(busy, 1);
    for (int i = 0; i < 4; i++)
        take_answer(queued[i], 1); /* by the old server, in the order sent */
    assert_soon(FIXTURE_POOL_PAGES - free_pages() <= in_use); /* the boss holds fewer requests now */
    struct ant_request *key = send_op(OP_LET_GO, 0);
    take_answer(keep, 1);
    take_answer(key, 1);
    assert_soon(info_of(server).pages == pages_in_use); /* what the new one had allocated is freed */
    ant_pid found;
    assert_error(ant_lookup(FN_EXTRA, &found), ESRCH);
    assert_ok(ant_function_add(FN_EXTRA)); /* what it had reserved is free again */
    assert_ok(ant_function_remove(FN_EXTRA));
    assert_serves(1, 1);
    struct ant_swap_report last;
    assert_ok(ant_swap_last(FN, &last));
    assert_int_equal(last.error, error);
    plan.hook = NULL;
    assert_ok(ant_swap(FN, &one_again, NULL, &report)); /* and the next swap finds nothing in its way */
    assert_serves(2, 2);
    assert_int_equal(plan.stops, 0);
}

static void a_start_that_fails_leaves_the_old_server_serving(void **state)
{
    (void)state;
    rollback_case(allocate_and_fail, &one_again, -EIO);
    size_t count = 0, found = 0;
    assert_ok(ant_trace_read(events, 4096, &count));
    for (size_t i = 0; i < count; i++)
        if (events[i].kind == ANT_EVENT_ROLLBACK) {
            assert_int_equal(events[i].a, ANT_SWAP_START);
            assert_int_equal(events[i].b, -EIO);
            found++;
        }
    assert_int_equal(found, 1);
}

static void a_start_that_exits_leaves_the_old_server_serving(void **state)
{
    (void)state;
    rollback_case(allocate_and_exit, &one_again, -EOWNERDEAD);
    struct ant_swap_report report;
    plan.hook = allocate_and_exit;
    assert_error(ant_swap(FN, &one_again, NULL, &report), EOWNERDEAD);
}

static void a_transformer_that_fails_leaves_the_old_server_serving(void **state)
{
    (void)state;
    static const struct ant_transformer failing[] = {{1, 3, failing_transform}};
    static const struct ant_program failing_program = {COMMON,
                                                       .name = "fails",
                                                       .version = 5,
                                                       .state_version = 3,
                                                       .transformers = failing,
                                                       .transformer_count = 1};
    rollback_case(NULL, &failing_program, -EDOM);
}

static int return_positive(struct ant_server *self)
{
    (void)self;
    return 5;
}

static void any_start_result_but_0_is_a_failure(void **state)
{
    (void)state;
    struct ant_swap_report report;
    plan.hook = return_positive;
    int rc = ant_swap(FN, &one_again, NULL, &report);
    assert_int_not_equal(rc, 0); /* "Not 0: it will not serve" */
    assert_int_equal(report.error, rc);
    assert_serves(1, 1);
}

static int hang_in_call(struct ant_server *self)
{
    (void)self;
    struct ant_request *rq;
    expect_ok(ant_request_new(FN_DRIVER, &rq));
    ant_call(rq, ANT_FOREVER);
    expect(!"an abandoned server ran on");
    return 0;
}

static int work_too_long(struct ant_server *self)
{
    (void)self;
    ant_work(MS(100000));
    return 0; /* late: it cannot commit */
}

static void a_start_that_hangs_in_the_core_is_ended_at_its_deadline(void **state)
{
    (void)state;
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    struct ant_swap_options options = {.start_timeout_ns = (int64_t)MS(50)};
    struct ant_swap_report report;
    static int (*const hooks[])(struct ant_server *) = {hang_in_call, work_too_long};
    for (int i = 0; i < 2; i++) {
        plan.hook = hooks[i];
        uint64_t before_ns = ant_now();
        assert_error(ant_swap(FN, &one_again, &options, &report), ETIMEDOUT);
        assert_true(ant_now() - before_ns >= MS(50));
        assert_rolled_back(&report, -ETIMEDOUT, ANT_SWAP_START);
        assert_adds_up(&report);
        if (on_virtual()) {
            assert_true(ant_now() - before_ns == MS(50));
            assert_true(report.start_ns == MS(50));
            assert_true(report.base_ns == MS(50)); /* nobody of a higher priority ran */
            assert_true(report.blackout_ns == MS(50));
        }
        assert_false(report.abandoned); /* where it waited it could be ended: nothing is held any more */
        assert_serves(1, 1);
        struct ant_message message = {0};
        if (puppet_receive(driver, &message, 0) == 0)
            assert_ok(puppet_reply(driver, message.request, 0)); /* into the void */
        assert_soon(info_of(server).pages == pages_in_use);
        assert_serves(1, 1);
    }
    plan.hook = NULL;
    assert_ok(ant_swap(FN, &one_again, NULL, &report));
    assert_serves(2, 2);
}

static int hog(void *arg)
{
    (void)arg;
    return ant_work(MS(500));
}

/* Between the server and its requester: the new server must not have to wait for it, to be ended. */
static void a_deadline_holds_against_processes_between_server_and_requester(void **state)
{
    (void)state;
    if (!on_virtual() && !on_fifo())
        skip();
    struct ant_swap_options options = {.start_timeout_ns = (int64_t)MS(50)};
    struct ant_swap_report report;
    assert_ok(ant_priority_set(server, 5));
    plan.hook = work_too_long;
    puppet_begin_swap(requester, FN, &one_again, &options, &report);
    assert_soon(plan.starts == 2);
    ant_pid between = spawn("between", 10, hog, NULL);
    assert_was(ant_swap, puppet_end(requester), ETIMEDOUT);
    int status;
    assert_error(ant_wait(between, 0, &status), ETIMEDOUT); /* it still runs */
    assert_rolled_back(&report, -ETIMEDOUT, ANT_SWAP_START);
    assert_true(!on_virtual() || report.swap_ns == MS(50));
    assert_int_equal(join(between), 0);
    assert_serves(1, 1);
}

/* The new server has not even come up when the old one's time is over. */
static void a_quiesce_limit_holds_against_processes_between_server_and_requester(void **state)
{
    (void)state;
    if (!on_virtual())
        skip();
    struct ant_swap_options options = {.quiesce_timeout_ns = (int64_t)MS(5)};
    struct ant_swap_report report;
    assert_ok(ant_priority_set(server, 5));
    struct ant_request *rq = send_op(OP_WORK, 0); /* 10 ms */
    assert_ok(ant_sleep(ant_now() + MS(1)));
    ant_pid between = spawn("between", 10, hog, NULL);
    assert_error(ant_swap(FN, &one_again, &options, &report), ETIMEDOUT);
    assert_rolled_back(&report, -ETIMEDOUT, ANT_SWAP_LOOK);
    assert_true(report.swap_ns == MS(5));
    assert_int_equal(join(between), 0);
    take_answer(rq, 1);
    assert_serves(1, 1);
}

static uint64_t start_takes_ns;

static int work_so_long(struct ant_server *self)
{
    (void)self;
    ant_work(start_takes_ns);
    return 0;
}

static void at_the_very_deadline_a_swap_commits_or_does_not(void **state)
{
    (void)state;
    if (!on_virtual())
        skip();
    struct ant_swap_options options = {.start_timeout_ns = (int64_t)MS(50)};
    uint32_t generation = 1;
    plan.hook = work_so_long;
    for (int late_ns = -1; late_ns <= 1; late_ns++) {
        struct ant_swap_report report;
        start_takes_ns = MS(50) + (uint64_t)(int64_t)late_ns;
        int rc = ant_swap(FN, &one_again, &options, &report);
        assert_true(rc == 0 || rc == -ETIMEDOUT);
        assert_true(late_ns != -1 || rc == 0);
        assert_true(late_ns != 1 || rc == -ETIMEDOUT);
        generation += rc == 0;
        assert_int_equal(report.generation, generation);
        assert_int_equal(report.error, rc);
        assert_true((report.step_time_ns[ANT_SWAP_HAND_OVER] != 0) == (rc == 0));
        assert_serves(2, generation);
        assert_adds_up(&report);
    }
}

static void a_requester_that_is_stopped_during_start_gives_up(void **state)
{
    (void)state;
    struct ant_swap_report report;
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    plan.hook = hang_in_call;
    puppet_begin_swap(requester, FN, &one_again, NULL, &report);
    struct ant_request *errand = puppet_take_request(driver); /* so it is in `start` */
    assert_error(ant_stop(requester, 0, NULL), ETIMEDOUT);
    assert_was(ant_swap, puppet_end(requester), ESHUTDOWN);
    assert_rolled_back(&report, -ESHUTDOWN, ANT_SWAP_START);
    assert_int_equal(report.swallowed, 1);
    assert_ok(puppet_reply(driver, errand, 0)); /* into the void */
    assert_soon(info_of(server).pages == pages_in_use);
    assert_serves(1, 1);
    plan.hook = NULL;
    assert_ok(ant_swap(FN, &one_again, NULL, NULL));
}

static int set_priority_and_fail(struct ant_server *self)
{
    expect_ok(ant_priority_set(ant_self(), 33));
    return self->program == &one_again ? -EIO : 0;
}

static void a_priority_that_start_sets_is_in_force_once_it_has_committed(void **state)
{
    (void)state;
    int before = info_of(server).priority;
    plan.hook = set_priority_and_fail;
    assert_error(ant_swap(FN, &one_again, NULL, NULL), EIO);
    assert_int_equal(info_of(server).priority, before);
    assert_serves(1, 1);
    assert_ok(ant_swap(FN, &two, NULL, NULL));
    assert_int_equal(info_of(server).priority, 33);
    assert_serves(3, 2);
}

static _Atomic bool spin, ran_on;

static int spin_outside_the_core(struct ant_server *self)
{
    (void)self;
    void *area;
    expect_ok(ant_ica_alloc(7, &area));
    while (atomic_load(&spin))
        ;
    expect_ok(ant_ica_free(area)); /* ends it instead of freeing */
    atomic_store(&ran_on, true);
    return 0;
}

static void a_start_that_hangs_elsewhere_is_abandoned_until_it_calls(void **state)
{
    (void)state;
    if (on_virtual())
        skip(); /* there a process that never calls the core stops the world */
    struct ant_swap_options options = {.start_timeout_ns = (int64_t)MS(50)};
    struct ant_swap_report report;
    atomic_store(&spin, true);
    atomic_store(&ran_on, false);
    assert_ok(ant_priority_set(server, FIXTURE_PRIORITY - 1)); /* with one CPU it would leave none for this process */
    plan.hook = spin_outside_the_core;
    assert_error(ant_swap(FN, &one_again, &options, &report), ETIMEDOUT);
    assert_rolled_back(&report, -ETIMEDOUT, ANT_SWAP_START);
    assert_true(report.abandoned);
    assert_int_equal(info_of(server).pages, pages_in_use + 7); /* held */
    atomic_store(&spin, false);
    assert_soon(info_of(server).pages == pages_in_use);
    assert_false(atomic_load(&ran_on));
    assert_serves(1, 1);
    plan.hook = NULL;
    assert_ok(ant_swap(FN, &one_again, NULL, &report));
    assert_serves(2, 2);
}

static int spin_and_return(struct ant_server *self)
{
    (void)self;
    while (atomic_load(&spin))
        ;
    atomic_store(&ran_on, true);
    return 0;
}

static void a_start_that_returns_too_late_cannot_commit(void **state)
{
    (void)state;
    if (on_virtual())
        skip();
    struct ant_swap_options options = {.start_timeout_ns = (int64_t)MS(50)};
    struct ant_swap_report report;
    atomic_store(&spin, true);
    atomic_store(&ran_on, false);
    assert_ok(ant_priority_set(server, FIXTURE_PRIORITY - 1));
    plan.hook = spin_and_return;
    assert_error(ant_swap(FN, &one_again, &options, &report), ETIMEDOUT);
    assert_true(report.abandoned);
    atomic_store(&spin, false);
    assert_soon(atomic_load(&ran_on));
    assert_serves(1, 1);
    assert_serves(1, 1);
}

static int hanging_transform(struct ant_server *self, const void *old, size_t bytes, void **new_state)
{
    (void)old, (void)bytes, (void)new_state;
    return work_too_long(self);
}

static void a_transformer_that_hangs_is_given_up(void **state)
{
    (void)state;
    struct ant_transformer hanging = {1, 2, hanging_transform};
    struct ant_swap_options options = {
        .start_timeout_ns = (int64_t)MS(50), .transformers = &hanging, .transformer_count = 1};
    struct ant_swap_report report;
    assert_error(ant_swap(FN, &two, &options, &report), ETIMEDOUT);
    assert_rolled_back(&report, -ETIMEDOUT, ANT_SWAP_START);
    assert_serves(1, 1);
    assert_int_equal(plan.starts, 1);
}

static struct {
    _Atomic bool let_go[2];
    _Atomic int begun, ended;
    _Atomic uint32_t sum; /* so that the reads are made */
} readers;

/* Reads the old state over and over, outside the core, until it is let go. */
static int read_for_long(struct ant_server *self, const void *old, size_t bytes, void **new_state)
{
    (void)self, (void)new_state;
    int me = atomic_fetch_add(&readers.begun, 1);
    if (me >= 2)
        return two_from_one(self, old, bytes, new_state);
    while (!atomic_load(&readers.let_go[me]))
        atomic_fetch_add(&readers.sum, *(const volatile uint32_t *)old);
    atomic_fetch_add(&readers.ended, 1);
    return -EIO;
}

static void two_abandoned_transformers_may_go_on_reading_after_the_next_swap(void **state)
{
    (void)state;
    if (on_virtual())
        skip();
    struct ant_transformer reading = {1, 2, read_for_long};
    struct ant_swap_options options = {
        .start_timeout_ns = (int64_t)MS(30), .transformers = &reading, .transformer_count = 1};
    struct ant_swap_report report;
    memset(&readers, 0, sizeof readers);
    assert_ok(ant_priority_set(server, FIXTURE_PRIORITY - 1));
    for (int i = 0; i < 2; i++) {
        assert_error(ant_swap(FN, &two, &options, &report), ETIMEDOUT);
        assert_true(report.abandoned);
    }
    options.start_timeout_ns = 0;
    assert_ok(ant_swap(FN, &two, &options, &report)); /* what they read is nobody's now, and there all the same */
    for (int first = 1; first >= 0; first--) { /* the later one ends first */
        atomic_store(&readers.let_go[first], true);
        assert_soon(atomic_load(&readers.ended) == 2 - first);
    }
    assert_soon(info_of(server).pages == pages_in_use);
    assert_serves(3, 2);
}

static void an_old_server_that_does_not_give_up_its_loop_stays(void **state)
{
    (void)state;
    struct ant_swap_options options = {.quiesce_timeout_ns = A_WHILE};
    struct ant_swap_report report;
    struct ant_request *busy = begin_swap_of_busy_server(&one_again, &options, &report);
    assert_was(ant_swap, puppet_end(requester), ETIMEDOUT);
    assert_rolled_back(&report, -ETIMEDOUT, ANT_SWAP_LOOK);
    assert_false(report.abandoned);
    assert_int_equal(plan.starts, 1);
    struct ant_message message;
    assert_error(puppet_receive(server, &message, 0), ETIMEDOUT); /* the notice is gone */
    puppet_release(server);
    take_answer(busy, 1);
    assert_serves(1, 1);
    assert_ok(ant_swap(FN, &one_again, NULL, &report));
    assert_serves(2, 2);
}

static int exit_act(void *arg)
{
    ant_exit(*(int *)arg);
    return 0;
}

static void an_old_server_that_exits_instead_is_esrch(void **state)
{
    (void)state;
    struct ant_swap_report report;
    struct ant_request *busy = begin_swap_of_busy_server(&one_again, NULL, &report);
    static int exit_status = 17;
    struct ant_request *queued = send_op(OP_COUNT, 0);
    puppet_begin(server, exit_act, &exit_status);
    assert_was(ant_swap, puppet_end(requester), ESRCH);
    assert_int_equal(report.error, -ESRCH);
    assert_int_equal(report.step, ANT_SWAP_LOOK);
    ant_pid found;
    assert_error(ant_lookup(FN, &found), ESRCH);
    assert_error(ant_swap_last(FN, &report), ESRCH);
    int status = 0;
    assert_ok(ant_wait(server, SOON, &status));
    assert_int_equal(status, 17);
    for (int i = 0; i < 2; i++) {
        struct ant_request *rq = boss_result();
        assert_true(rq == busy || rq == queued);
        assert_int_equal(rq->error, -EOWNERDEAD);
        assert_ok(ant_request_free(rq));
    }
}

static void of_two_requesters_one_is_busy(void **state)
{
    (void)state;
    struct ant_swap_report report, second = {.function = 99};
    struct ant_request *busy = begin_swap_of_busy_server(&one_again, NULL, &report);
    assert_error(ant_swap(FN, &two, NULL, &second), EBUSY);
    assert_int_equal(second.function, 99);
    puppet_release(server);
    assert_int_equal(puppet_end(requester), 0);
    assert_committed(&report, 2, 1, 2);
    take_answer(busy, 1);
    assert_ok(ant_swap(FN, &two, NULL, &second));
    assert_int_equal(second.generation, 3);
}

static void a_busy_server_cannot_swap_itself_meanwhile(void **state)
{
    (void)state;
    struct ant_swap_report report;
    struct ant_request *busy = begin_swap_of_busy_server(&one_again, NULL, &report);
    assert_error(puppet_swap(server, FN, &two, NULL, NULL), EBUSY);
    puppet_release(server);
    assert_int_equal(puppet_end(requester), 0);
    take_answer(busy, 1);
    assert_serves(2, 2);
}

static void a_requester_that_is_stopped_gives_up(void **state)
{
    (void)state;
    struct ant_swap_report report;
    struct ant_request *busy = begin_swap_of_busy_server(&one_again, NULL, &report);
    assert_error(ant_stop(requester, 0, NULL), ETIMEDOUT);
    assert_was(ant_swap, puppet_end(requester), ESHUTDOWN);
    assert_int_equal(report.error, -ESHUTDOWN);
    assert_int_equal(report.generation, 1);
    puppet_release(server);
    take_answer(busy, 1);
    assert_serves(1, 1);
    assert_int_equal(plan.starts, 1);
}

static void a_stop_during_a_swap_ends_the_server_all_the_same(void **state)
{
    (void)state;
    struct ant_swap_report report;
    ant_pid stopper = puppet_create("stopper", 0);
    struct ant_request *busy = begin_swap_of_busy_server(&one_again, NULL, &report);
    struct ant_request *queued = send_op(OP_COUNT, 0);
    puppet_begin_stop(stopper, server, SOON, NULL);
    puppet_release(server);
    int swapped = puppet_end(requester);
    assert_true(swapped == 0 || swapped == -ESRCH);
    assert_int_equal(puppet_end(stopper), 0);
    for (int i = 0; i < 2; i++) { /* one result each */
        struct ant_request *rq = boss_result();
        assert_true(rq == busy || rq == queued);
        assert_true(rq->error == 0 || rq->error == -ESHUTDOWN);
        assert_ok(ant_request_free(rq));
    }
    ant_pid found;
    assert_error(ant_lookup(FN, &found), ESRCH);
    assert_int_equal(plan.stops, 1);
}

/* ---- what a new server may do before it is registered ---- */

static int obey_in_start(struct ant_server *self)
{
    (void)self;
    return puppet_obey();
}

static void a_candidate_may_not_touch_what_is_not_yet_its_own(void **state)
{
    (void)state;
    struct ant_swap_report report;
    /* the old server has: a state, an area it names, a plain request of its own, one in service */
    struct ant_request *keep = send_op(OP_KEEP, 1);
    struct ant_request *busy = send_op(OP_OBEY, 0);
    puppet_await(server);
    struct state_one *old_state = puppet_state(server);
    struct ant_request *old_request = puppet_new_request(server, FN_DRIVER);
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    struct ant_request *old_errand = puppet_new_request(server, FN_DRIVER);
    assert_ok(puppet_send(server, old_errand));
    void *old_area = puppet_new_area(server, 2);
    struct ant_pending in_service[2];
    size_t count;
    assert_ok(puppet_pending(server, ANT_IN_SERVICE, in_service, 2, &count));
    assert_int_equal(count, 2);
    assert_ok(puppet_function_add(server, FN_EXTRA));
    plan.hook = obey_in_start;
    puppet_begin_swap(requester, FN, &one_again, NULL, &report);
    assert_soon(step_in_trace(ANT_SWAP_NOTIFY, 2) != SIZE_MAX);
    puppet_release(server);
    take_answer(busy, 1);
    puppet_await(server); /* by the new one, in its start: same id, other thread */

    struct ant_message message;
    assert_error(puppet_receive(server, &message, 0), EPERM);
    assert_error(puppet_reply(server, in_service[0].request, 0), EPERM);
    assert_error(puppet_ica_free(server, old_area), EPERM);
    assert_error(puppet_ica_free(server, old_state), EPERM);
    assert_error(puppet_request_free(server, old_request), EPERM);
    assert_error(puppet_cancel(server, old_errand), EPERM); /* queued at the driver */
    assert_error(puppet_send(server, old_request), EPERM);
    assert_error(puppet_call(server, old_request, SOON), EPERM);
    assert_error(puppet_state_set(server, old_state), EPERM);
    assert_error(puppet_state_set(server, old_area), EPERM);
    assert_error(puppet_function_remove(server, FN), EPERM);
    assert_error(puppet_function_remove(server, FN_EXTRA), EPERM);
    assert_error(puppet_swap(server, FN, &two, NULL, NULL), EBUSY);
    assert_error(puppet_swap_accept(server), EINVAL);
    assert_null(puppet_state(server));
    struct ant_ica_info info; /* looking is allowed */
    assert_ok(puppet_ica_info(server, old_state, &info));
    assert_int_equal(info.pages, 2);
    struct ant_request *own = puppet_new_request(server, FN_DRIVER);
    own->data = old_area;
    assert_error(puppet_send(server, own), EPERM);
    assert_error(puppet_call(server, own, SOON), EPERM);
    own->data = NULL;
    assert_ok(puppet_request_free(server, own)); /* its own it may */
    void *area = puppet_new_area(server, 3);
    assert_ok(puppet_ica_free(server, area));
    assert_int_equal(plan.seen.generation, 2);
    puppet_release(server);
    assert_int_equal(puppet_end(requester), 0);

    /* now everything is */
    struct ant_request *again = send_op(OP_OBEY, 0);
    assert_ok(puppet_ica_free(server, old_area));
    assert_ok(puppet_cancel(server, old_errand));
    assert_ok(puppet_request_free(server, old_errand));
    assert_ok(puppet_request_free(server, old_request));
    assert_ok(puppet_function_remove(server, FN_EXTRA));
    puppet_release(server);
    take_answer(again, 2);
    struct ant_request *key = send_op(OP_LET_GO, 0);
    take_answer(keep, 2);
    take_answer(key, 2);
}

static void functions_added_in_start_appear_when_it_commits(void **state)
{
    (void)state;
    struct ant_swap_report report;
    plan.hook = obey_in_start;
    puppet_begin_swap(requester, FN, &one_again, NULL, &report);
    puppet_await(server);
    assert_ok(puppet_function_add(server, FN_EXTRA));
    assert_error(puppet_function_add(server, FN_EXTRA), EEXIST);
    ant_pid found;
    assert_error(ant_lookup(FN_EXTRA, &found), ESRCH);
    assert_error(ant_function_add(FN_EXTRA), EEXIST); /* reserved */
    struct ant_request *rq = new_request(FN_EXTRA);
    assert_error(ant_send(rq), ESRCH);
    struct ant_request *queued =
        send_op(OP_COUNT, 0); /* to the old function: it waits for whoever will serve */
    puppet_release(server);
    assert_int_equal(puppet_end(requester), 0);
    assert_ok(ant_lookup(FN_EXTRA, &found));
    assert_true(found == server);
    take_answer(queued, 2);
    assert_ok(ant_call(rq, SOON));
    assert_ok(ant_request_free(rq));
}

static void requests_of_a_failed_start_are_swallowed(void **state)
{
    (void)state;
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    struct ant_swap_report report;
    plan.hook = obey_in_start;
    /* the old server has one out itself, which must not be swallowed */
    struct ant_request *errand = send_op(OP_ERRAND, 3);
    struct ant_request *at_driver = puppet_take_request(driver);
    static const struct ant_program late_failure = {.abi = ANT_ABI,
                                                    .name = "late",
                                                    .version = 6,
                                                    .state_version = 1,
                                                    .start = start,
                                                    .request = request,
                                                    .result = result};
    struct ant_swap_options options = {.start_timeout_ns = (int64_t)MS(200)};
    puppet_begin_swap(requester, FN, &late_failure, &options, &report);
    puppet_await(server);
    struct ant_request *received = puppet_new_request(server, FN_DRIVER),
                       *queued = puppet_new_request(server, FN_DRIVER);
    received->cookie = 100;
    queued->cookie = 101;
    void *data = puppet_new_area(server, 4);
    received->data = data;
    assert_ok(puppet_send(server, received));
    struct ant_request *at_driver_too = puppet_take_request(driver);
    queued->data = puppet_new_area(server, 2);
    assert_ok(puppet_send(server, queued));
    assert_was(ant_swap, puppet_end(requester), ETIMEDOUT); /* nobody tells it to go on */
    assert_int_equal(report.swallowed, 2); /* the driver has one, the boss the other; the queued one was withdrawn */
    struct ant_message message;
    assert_error(puppet_receive(driver, &message, 0), ETIMEDOUT);
    assert_ok(puppet_reply(driver, at_driver_too, 0)); /* dropped */
    assert_ok(puppet_reply(driver, at_driver, 0));
    take_answer(errand, 1); /* the old server's own is not */
    plan.hook = NULL;
    assert_serves(1, 1);
    puppet_release(server); /* what the abandoned one had asked the boss: into the void */
    assert_soon(info_of(server).pages == pages_in_use);
    assert_serves(1, 1);
}

/* ---- programs with a loop of their own ---- */

static _Atomic int accept_rc, accept_without_notice, notices, notices_again;

static int raw_loop(struct ant_server *self)
{
    for (;;) {
        struct ant_message message = {0};
        if (expect_ok(ant_receive(&message, ANT_FOREVER)) != 0)
            return -1;
        switch (message.kind) {
        case ANT_STOP:
            return 66;
        case ANT_SWAP:
            expect(message.request == NULL);
            atomic_fetch_add(&notices, 1);
            /* a notice is not used up */
            if (ant_receive(&message, 0) == 0 && message.kind == ANT_SWAP)
                atomic_fetch_add(&notices_again, 1);
            atomic_store(&accept_rc, ant_swap_accept());
            break;
        case ANT_REQUEST:
            atomic_store(&accept_without_notice, ant_swap_accept());
            ((struct answer *)(void *)message.request->payload)->version = self->program->version;
            expect_ok(ant_reply(message.request, 0));
            break;
        default:
            expect_ok(ant_request_free(message.request));
        }
    }
}

static const struct ant_program raw = {.abi = ANT_ABI, .name = "raw", .version = 11, .run = raw_loop};
static const struct ant_program raw_again = {
    .abi = ANT_ABI, .name = "raw again", .version = 12, .run = raw_loop};
static int start_fails(struct ant_server *self)
{
    (void)self;
    return -EXDEV;
}
static const struct ant_program raw_broken = {
    .abi = ANT_ABI, .name = "raw broken", .version = 13, .start = start_fails, .run = raw_loop};

static void a_loop_of_its_own_accepts_the_swap(void **state)
{
    (void)state;
    struct ant_swap_report report;
    serve(FN_RAW, &raw, NULL);
    atomic_store(&accept_rc, 1);
    atomic_store(&notices, 0);
    assert_int_equal(ask(FN_RAW, 0).version, 11);
    assert_was(ant_swap_accept, atomic_load(&accept_without_notice), EINVAL);
    assert_ok(ant_swap(FN_RAW, &raw_again, NULL, &report));
    assert_int_equal(report.error, 0);
    assert_int_equal(report.state_bytes, 0);
    assert_int_equal(ask(FN_RAW, 0).version, 12);
    assert_int_equal(atomic_load(&accept_rc), 1); /* the call did not return */
    assert_int_equal(atomic_load(&notices_again), 1);
    assert_int_equal(ant_swap(FN_RAW, &raw_broken, NULL, &report), -EXDEV);
    assert_int_equal(ask(FN_RAW, 0).version, 12);
    assert_was(ant_swap_accept, atomic_load(&accept_rc), ECANCELED); /* rolled back: it returned */
    assert_int_equal(atomic_load(&notices), 2); /* and was told of no other since */
    assert_error(ant_swap_accept(), EINVAL);
    atomic_store(&notices_again, 0);
}

static void a_loop_that_ignores_the_notice_keeps_its_place(void **state)
{
    (void)state;
    static const struct ant_program deaf = {
        .abi = ANT_ABI, .name = "deaf", .version = 14, .run = obey_in_start};
    struct ant_swap_options options = {.quiesce_timeout_ns = A_WHILE};
    struct ant_swap_report report;
    ant_pid pid = serve(FN_RAW, &deaf, NULL);
    puppet_await(pid);
    puppet_begin_swap(requester, FN_RAW, &raw, &options, &report);
    struct ant_message message = {0};
    assert_ok(puppet_receive(pid, &message, SOON)); /* it sees the notice, and does not accept */
    assert_int_equal(message.kind, ANT_SWAP);
    assert_was(ant_swap, puppet_end(requester), ETIMEDOUT);
    assert_error(puppet_swap_accept(pid), ECANCELED); /* too late */
    assert_error(puppet_swap_accept(pid), EINVAL);    /* it has been told of no other */
    struct ant_request *rq = new_request(FN_RAW);
    assert_ok(ant_send(rq));
    assert_ok(puppet_reply(pid, puppet_take_request(pid), 0));
    assert_ptr_equal(boss_result(), rq);
    assert_ok(ant_request_free(rq));
    puppet_release(pid);
    join(pid);
}

static void callbacks_and_loops_can_replace_each_other(void **state)
{
    (void)state;
    static const struct ant_program raw_one = {
        .abi = ANT_ABI, .name = "raw", .version = 15, .state_version = 1, .run = raw_loop};
    assert_ok(ant_swap(FN, &raw_one, NULL, NULL));
    assert_int_equal(ask(FN, 0).version, 15);
    assert_ok(ant_swap(FN, &one_again, NULL, NULL));
    assert_int_equal(ask(FN, OP_COUNT).count, 0);
    assert_serves(2, 3);
}

/* ---- where the time went: exact on the virtual machine ---- */

static int work_a_millisecond(struct ant_server *self)
{
    (void)self;
    return ant_work(MS(1));
}

static int swap_later(void *arg)
{
    struct ant_swap_report *report = arg;
    expect_ok(ant_sleep(ant_now() + MS(3)));
    return ant_swap(FN, plan.swap_to, NULL, report);
}

static int disturb(void *arg)
{
    (void)arg;
    expect_ok(ant_sleep(ant_now() + MS(5)));
    return ant_work(MS(2));
}

static void the_swap_time_is_attributed_exactly(void **state)
{
    (void)state;
    if (!on_virtual())
        skip();
    static struct ant_swap_report report;
    plan.hook = work_a_millisecond;
    plan.swap_to = &one_again;
    ant_pid later = spawn("later", FIXTURE_PRIORITY + 10, swap_later, &report);
    ant_pid above = spawn("above", FIXTURE_PRIORITY + 20, disturb, NULL);
    struct ant_request *rq = send_op(OP_WORK, 0); /* 10 ms, of which 3 are over when the swap begins */
    assert_int_equal(join(later), 0);
    assert_int_equal(join(above), 0);
    take_answer(rq, 1);
    assert_committed(&report, 2, 1, 2);
    assert_true(report.request_work_ns == MS(7));
    assert_true(report.higher_priority_ns == MS(2));
    assert_true(report.result_work_ns == 0);
    assert_true(report.base_ns == MS(1));
    assert_true(report.swap_ns == MS(10));
    assert_true(report.start_ns == MS(1));
    assert_true(report.transform_ns == 0);
    assert_true(report.blackout_ns == MS(1));
}

static void the_rest_of_result_work_is_told_apart(void **state)
{
    (void)state;
    if (!on_virtual())
        skip();
    static struct ant_swap_report report;
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    struct ant_request *rq = send_op(OP_OBEY, 0);
    struct ant_request *errand = puppet_new_request(server, FN_DRIVER);
    errand->operation = OP_WORK;
    assert_ok(puppet_send(server, errand));
    puppet_release(server);
    take_answer(rq, 1);
    struct ant_request *at_driver = puppet_take_request(driver);
    plan.swap_to = &two;
    ant_pid later = spawn("later", FIXTURE_PRIORITY + 10, swap_later, &report);
    assert_ok(puppet_reply(driver, at_driver, 0)); /* the server works on the result, 10 ms */
    assert_int_equal(join(later), 0);
    assert_int_equal(report.error, 0);
    assert_adds_up(&report);
    assert_true(report.result_work_ns == MS(7));
    assert_true(report.request_work_ns == 0);
    assert_true(report.higher_priority_ns == 0);
    assert_true(report.base_ns == 0);
    assert_true(report.blackout_ns == 0);
}

static int slow_transform(struct ant_server *self, const void *old, size_t bytes, void **new_state)
{
    expect_ok(ant_work(MS(4)));
    return two_from_one(self, old, bytes, new_state);
}

static void transformer_and_start_are_told_apart_in_the_blackout(void **state)
{
    (void)state;
    if (!on_virtual())
        skip();
    struct ant_transformer slow = {1, 2, slow_transform};
    struct ant_swap_options options = {.transformers = &slow, .transformer_count = 1};
    struct ant_swap_report report;
    plan.hook = work_a_millisecond;
    assert_ok(ant_swap(FN, &two, &options, &report));
    assert_committed(&report, 2, 1, 3);
    assert_true(report.transform_ns == MS(4));
    assert_true(report.start_ns == MS(1));
    assert_true(report.blackout_ns == MS(5));
    assert_true(report.base_ns == MS(5));
    assert_true(report.swap_ns == MS(5));
}

/* ---- one client's order, through everything ---- */

static _Atomic bool clients_go_on;

struct order_client {
    uint32_t sent, wrong, errors;
};

static int keep_asking(void *arg)
{
    struct order_client *c = arg;
    struct ant_request *rq[4];
    for (int i = 0; i < 4; i++)
        expect_ok(ant_request_new(FN, &rq[i]));
    while (atomic_load(&clients_go_on)) {
        for (int i = 0; i < 4; i++) {
            rq[i]->cookie = c->sent++;
            expect_ok(ant_send(rq[i]));
        }
        uint32_t last = 0;
        for (int i = 0; i < 4; i++) {
            struct ant_message message = {0};
            if (expect_ok(ant_receive(&message, SOON)) != 0)
                return 1;
            c->errors += message.request->error != 0;
            uint32_t count = answer_in(message.request)->count;
            c->wrong += message.request != rq[i] || (i > 0 && count <= last);
            last = count;
        }
        expect_ok(ant_sleep(ant_now() + US(50)));
    }
    for (int i = 0; i < 4; i++)
        expect_ok(ant_request_free(rq[i]));
    return 0;
}

static void clients_keep_their_order_through_swaps_and_rollbacks(void **state)
{
    (void)state;
    enum { CLIENTS = 4, ROUNDS = 40 };
    static struct order_client client[CLIENTS];
    ant_pid pid[CLIENTS];
    memset(client, 0, sizeof client);
    atomic_store(&clients_go_on, true);
    for (int i = 0; i < CLIENTS; i++)
        pid[i] = spawn("client", FIXTURE_PRIORITY - 2 - i % 2, keep_asking, &client[i]);
    uint32_t generation = 1;
    for (int round = 0; round < ROUNDS; round++) {
        struct ant_swap_report report;
        plan.hook = round % 4 == 3 ? start_fails : NULL;
        int rc = ant_swap(FN, round % 2 ? &one : &two, NULL, &report);
        generation += rc == 0;
        assert_int_equal(rc, round % 4 == 3 ? -EXDEV : 0);
        assert_int_equal(report.generation, generation);
        if (rc == 0)
            assert_adds_up(&report);
        assert_ok(ant_sleep(ant_now() + US(300)));
    }
    atomic_store(&clients_go_on, false);
    uint32_t sent = 0;
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(join(pid[i]), 0);
        assert_int_equal(client[i].wrong, 0);
        assert_int_equal(client[i].errors, 0);
        sent += client[i].sent;
    }
    assert_in_range(sent, 1, UINT32_MAX);
    assert_int_equal(ask(FN, OP_COUNT).count, sent); /* each was counted once */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        swap_test(a_swap_replaces_the_program_and_nothing_else),
        swap_test(the_twelve_steps_happen_in_order),
        swap_test(everything_passes_to_the_new_server),
        swap_test(a_new_server_can_list_what_it_takes_over),
        swap_test(the_same_state_version_is_adopted_in_place),
        swap_test(another_state_version_is_transformed_both_ways),
        swap_test(transformers_of_the_options_come_first),
        swap_test(start_may_bring_a_state_of_its_own),
        swap_test(a_client_that_waits_notices_nothing),
        swap_test(two_hundred_swaps_lose_nothing),
        swap_test(a_low_priority_process_may_swap_a_high_priority_server),
        swap_test(any_function_of_the_server_will_do),
        swap_test(new_priorities_given_during_a_swap_hold_after_it),
        swap_test(a_server_may_swap_itself),
        swap_test(a_server_s_swap_of_itself_returns_if_it_fails),
        swap_test(a_server_may_swap_another),
        swap_test(nonsense_is_refused_and_nothing_touched),
        swap_test(no_way_from_the_old_state_is_enotsup),
        swap_test(a_server_not_made_by_ant_serve_cannot_be_swapped),
        swap_test(swap_last_refuses_nonsense),
        swap_test(a_start_that_fails_leaves_the_old_server_serving),
        swap_test(a_start_that_exits_leaves_the_old_server_serving),
        swap_test(a_transformer_that_fails_leaves_the_old_server_serving),
        swap_test(any_start_result_but_0_is_a_failure),
        swap_test(a_deadline_holds_against_processes_between_server_and_requester),
        swap_test(a_quiesce_limit_holds_against_processes_between_server_and_requester),
        swap_test(at_the_very_deadline_a_swap_commits_or_does_not),
        swap_test(a_requester_that_is_stopped_during_start_gives_up),
        swap_test(a_priority_that_start_sets_is_in_force_once_it_has_committed),
        swap_test(a_start_that_hangs_in_the_core_is_ended_at_its_deadline),
        swap_test(a_start_that_hangs_elsewhere_is_abandoned_until_it_calls),
        swap_test(a_start_that_returns_too_late_cannot_commit),
        swap_test(a_transformer_that_hangs_is_given_up),
        swap_test(two_abandoned_transformers_may_go_on_reading_after_the_next_swap),
        swap_test(an_old_server_that_does_not_give_up_its_loop_stays),
        swap_test(an_old_server_that_exits_instead_is_esrch),
        swap_test(of_two_requesters_one_is_busy),
        swap_test(a_busy_server_cannot_swap_itself_meanwhile),
        swap_test(a_requester_that_is_stopped_gives_up),
        swap_test(a_stop_during_a_swap_ends_the_server_all_the_same),
        swap_test(a_candidate_may_not_touch_what_is_not_yet_its_own),
        swap_test(functions_added_in_start_appear_when_it_commits),
        swap_test(requests_of_a_failed_start_are_swallowed),
        swap_test(a_loop_of_its_own_accepts_the_swap),
        swap_test(a_loop_that_ignores_the_notice_keeps_its_place),
        swap_test(callbacks_and_loops_can_replace_each_other),
        swap_test(the_swap_time_is_attributed_exactly),
        swap_test(the_rest_of_result_work_is_told_apart),
        swap_test(transformer_and_start_are_told_apart_in_the_blackout),
        swap_test(clients_keep_their_order_through_swaps_and_rollbacks),
    };
    return cmocka_run_group_tests_name("swap", tests, NULL, NULL);
}
