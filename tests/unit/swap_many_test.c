/* ctest: machines=virtual,other,real movers=strict,flat */
/* ant_swap_many: several servers swapped as one, or none of them; how they come to rest together, and what may go wrong with each. */
#include "fixture.h"
#include "puppet.h"
#include "wrap.h"

#include <pthread.h>

#define FN 7u /* FN + i: the i-th member */
#define FN_APART 20u
#define FN_NEW 30u /* FN_NEW + i: added by the i-th new server */
#define MEMBERS 3u
#define ABOVE (FIXTURE_PRIORITY + 20)

enum {
    OP_COUNT, /* answers */
    OP_OBEY,  /* obeys, then answers */
    OP_CALL,  /* asks the function in its cookie, then answers */
    OP_RELAY, /* asks the function in its cookie asynchronously, and answers when that has */
};

struct answer {
    uint32_t version, count, generation;
};

struct node_state {
    struct node_state *self;
    uint32_t count;
};

static struct {
    uint32_t function;                    /* whose new server does this in `start`: */
    int (*hook)(struct ant_server *self); /* NULL: nothing */
    _Atomic uint32_t starts;
    bool fails_to_prepare; /* the same function's */
    _Atomic uint64_t prepared_ns;
} plan;

static ant_pid pids[MEMBERS], requester;

/* ---- the servers ---- */

static void answer(struct ant_server *self, struct ant_request *rq)
{
    struct node_state *state = ant_state();
    struct answer *a = (struct answer *)(void *)rq->payload;
    expect(state->self == state);
    *a = (struct answer){self->program->version, state->count++, self->generation};
    expect_ok(ant_reply(rq, 0));
}

static void call(uint32_t function)
{
    struct ant_request *rq;
    expect_ok(ant_request_new(function, &rq));
    expect_ok(ant_call(rq, ANT_FOREVER));
    expect_ok(ant_request_free(rq));
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    struct ant_request *errand;
    switch (rq->operation) {
    case OP_OBEY:
        expect_ok(puppet_obey());
        break;
    case OP_CALL:
        call((uint32_t)rq->cookie);
        break;
    case OP_RELAY:
        expect_ok(ant_request_new((uint32_t)rq->cookie, &errand));
        errand->cookie = (uintptr_t)rq;
        expect_ok(ant_send(errand));
        return;
    default:
        break;
    }
    answer(self, rq);
}

static void result(struct ant_server *self, struct ant_request *errand)
{
    struct ant_request *rq = (struct ant_request *)(uintptr_t)errand->cookie;
    expect_ok(ant_request_free(errand));
    if (rq)
        answer(self, rq);
}

static int start(struct ant_server *self)
{
    void *area;
    if (self->reason != ANT_START_FRESH)
        atomic_fetch_add(&plan.starts, 1);
    int rc = self->reason != ANT_START_FRESH && plan.hook && self->function == plan.function
                 ? plan.hook(self)
                 : 0;
    if (rc != 0 || self->state)
        return rc;
    expect_ok(ant_ica_alloc(1, &area));
    *(struct node_state *)area = (struct node_state){.self = area};
    return ant_state_set(area);
}

/* The old servers serve meanwhile, its own apart. */
static int prepare(struct ant_server *self)
{
    ant_work(US(100));
    call(FN + (self->function - FN + 1) % MEMBERS);
    atomic_store(&plan.prepared_ns, ant_now());
    return plan.fails_to_prepare && self->function == plan.function ? -EDOM : 0;
}

static int transform(struct ant_server *self, const void *old, size_t bytes, void **state)
{
    void *area;
    (void)self, (void)bytes;
    expect_ok(ant_ica_alloc(1, &area));
    *(struct node_state *)area =
        (struct node_state){.self = area, .count = ((const struct node_state *)old)->count};
    *state = area;
    return 0;
}

static const struct ant_transformer ways[] = {{1, 2, transform}};

#define NODE .abi = ANT_ABI, .name = "node", .start = start, .request = request, .result = result
static const struct ant_program one = {NODE, .version = 1, .state_version = 1},
                                two = {NODE, .version = 2, .state_version = 1},
                                three = {NODE, .version = 3, .state_version = 2,
                                         .transformers = ways, .transformer_count = 1},
                                prepared = {NODE, .version = 2, .state_version = 1, .prepare = prepare},
                                strange = {NODE, .version = 4, .state_version = 9},
                                direct_one = {NODE, .version = 1, .state_version = 1, .direct = true},
                                direct_two = {NODE, .version = 2, .state_version = 1, .direct = true};

/* Its loop is its own. */
static int run(struct ant_server *self)
{
    struct ant_message message;
    for (;;) {
        if (ant_receive(&message, ANT_FOREVER) != 0)
            continue;
        if (message.kind == ANT_STOP)
            return 0;
        if (message.kind == ANT_SWAP)
            expect_error(ant_swap_accept(), EAGAIN);
        else
            request(self, message.request);
    }
}

static const struct ant_program loop = {
    .abi = ANT_ABI, .name = "loop", .version = 1, .state_version = 1, .start = start, .run = run};

/* ---- the test's side ---- */

static int setup_with(const struct ant_program *second)
{
    fixture_setup(NULL);
    memset(&plan, 0, sizeof plan);
    for (uint32_t i = 0; i < MEMBERS; i++)
        pids[i] = serve(FN + i, i == 1 ? second : &one, NULL);
    requester = puppet_create("requester", ABOVE);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_with(&one);
}

#define many_test(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)
#define bare_test(f) cmocka_unit_test_setup_teardown(f, fixture_no_core, fixture_teardown)

static struct ant_request *send_op(uint32_t function, uint32_t operation, uint64_t cookie)
{
    struct ant_request *rq = new_request(function);
    rq->operation = operation;
    rq->cookie = cookie;
    assert_ok(ant_send(rq));
    return rq;
}

static struct answer take(struct ant_request *rq)
{
    assert_ptr_equal(boss_result(), rq);
    assert_int_equal(rq->error, 0);
    struct answer a = *(struct answer *)(void *)rq->payload;
    assert_ok(ant_request_free(rq));
    return a;
}

static struct answer ask(uint32_t function)
{
    struct ant_request *rq = new_request(function);
    assert_ok(ant_call(rq, SOON));
    struct answer a = *(struct answer *)(void *)rq->payload;
    assert_ok(ant_request_free(rq));
    return a;
}

static struct ant_request *make_obey(uint32_t i)
{
    struct ant_request *rq = send_op(FN + i, OP_OBEY, 0);
    puppet_await(pids[i]);
    return rq;
}

static struct many {
    struct ant_swap_item items[MEMBERS];
    struct ant_swap_options options[MEMBERS];
    size_t count;
    struct ant_swap_report reports[MEMBERS];
} many;

/* The first `count` servers are to be replaced by this program. */
static void prepare_many(size_t count, const struct ant_program *program)
{
    memset(&many, 0, sizeof many);
    many.count = count;
    for (uint32_t i = 0; i < count; i++)
        many.items[i] = (struct ant_swap_item){FN + i, program, &many.options[i]};
}

static int act_free(void *rq)
{
    return ant_request_free(rq);
}

static int act_exit(void *arg)
{
    (void)arg;
    ant_exit(3);
    return 0;
}

static int act_swap_many(void *arg)
{
    struct many *m = arg;
    return ant_swap_many(m->items, m->count, m->reports);
}

static void begin_many(size_t count, const struct ant_program *program)
{
    prepare_many(count, program);
    puppet_begin(requester, act_swap_many, &many);
}

static void assert_adds_up(const struct ant_swap_report *r)
{
    const struct ant_swap_count *counts[] = {&r->queued_requests, &r->queued_results,
                                             &r->in_service, &r->outstanding};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(counts[i]->at_notice + counts[i]->arrived - counts[i]->left,
                         counts[i]->handed_over);
    assert_true(r->prepare_ns + r->base_ns + r->request_work_ns + r->result_work_ns + r->higher_priority_ns ==
                r->swap_ns);
}

/* All serve, of this version and generation; each has answered so many requests before. */
static void assert_serve(uint32_t version, uint32_t generation, uint32_t count)
{
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct answer a = ask(FN + i);
        assert_int_equal(a.version, version);
        assert_int_equal(a.generation, generation);
        assert_int_equal(a.count, count);
    }
}

static void assert_committed(uint32_t generation)
{
    for (size_t i = 0; i < many.count; i++) {
        struct ant_swap_report last, *r = &many.reports[i];
        assert_int_equal(r->error, 0);
        assert_true(r->step == ANT_SWAP_RETURN || r->step == ANT_SWAP_EXIT);
        assert_int_equal(r->function, FN + i);
        assert_int_equal(r->generation, generation);
        assert_adds_up(r);
        assert_ok(ant_swap_last((uint32_t)(FN + i), &last));
        assert_int_equal(last.generation, generation);
        for (size_t k = 0; k < many.count;
             k++) /* all were at rest before any began, and had begun before any was registered */
            assert_true(r->step_time_ns[ANT_SWAP_WAKE_REQUESTER] <=
                            many.reports[k].step_time_ns[ANT_SWAP_START] &&
                        many.reports[k].step_time_ns[ANT_SWAP_REGISTER] <=
                            r->step_time_ns[ANT_SWAP_HAND_OVER]);
    }
}

/* It was the i-th member's failure. Each old server serves on; each has answered so many requests. The next swap succeeds. */
static void assert_rolled_back(size_t failed, int error, enum ant_swap_step step, uint32_t count)
{
    for (size_t i = 0; i < many.count; i++) {
        assert_int_equal(many.reports[i].error, i == failed ? error : -ECANCELED);
        if (i == failed)
            assert_int_equal(many.reports[i].step, step);
        assert_int_equal(many.reports[i].generation, 1);
        assert_true(many.reports[i].step_time_ns[ANT_SWAP_HAND_OVER] == 0);
        assert_adds_up(&many.reports[i]);
    }
    memset(&plan, 0, sizeof plan);
    assert_serve(1, 1, count);
    for (size_t i = 0; i < MEMBERS; i++)
        assert_soon(info_of(pids[i]).pages == 1);
    prepare_many(MEMBERS, &two);
    assert_ok(ant_swap_many(many.items, many.count, many.reports));
    assert_committed(2);
    assert_serve(2, 2, count + 1);
}

static size_t steps_in_trace(enum ant_swap_step step)
{
    static struct ant_event events[8192];
    size_t count = 0, found = 0;
    assert_ok(ant_trace_read(events, 8192, &count));
    for (size_t i = 0; i < count; i++)
        found += events[i].kind == ANT_EVENT_STEP && events[i].a == (int64_t)step;
    return found;
}

/* ---- all at once ---- */

static void all_are_replaced_and_keep_their_states(void **state)
{
    (void)state;
    for (size_t count = 2; count <= MEMBERS; count++) {
        uint32_t before = (uint32_t)(count - 2), generation = (uint32_t)count;
        assert_serve(before == 0 ? 1 : 2, before + 1, before);
        for (size_t i = count; i < MEMBERS; i++)
            assert_ok(ant_swap((uint32_t)(FN + i), &two, NULL, NULL));
        prepare_many(count, &two);
        assert_ok(ant_swap_many(many.items, count, many.reports));
        assert_committed(generation);
    }
    prepare_many(MEMBERS, &three);
    assert_ok(ant_swap_many(many.items, MEMBERS, many.reports));
    assert_committed(MEMBERS + 1);
    assert_serve(3, MEMBERS + 1, 2);
}

static void one_is_an_ordinary_swap(void **state)
{
    (void)state;
    prepare_many(1, &two);
    assert_ok(ant_swap_many(many.items, 1, many.reports));
    assert_committed(2);
    many.items[0].options = NULL;
    assert_ok(ant_swap_many(many.items, 1, NULL));
    assert_int_equal(ask(FN).generation, 3);
}

static int add_function(struct ant_server *self)
{
    ant_pid pid;
    expect_ok(ant_function_add(FN_NEW + self->function));
    expect_error(ant_lookup(FN_NEW + self->function, &pid), ESRCH);
    return 0;
}

static void what_was_queued_passes_and_new_functions_appear(void **state)
{
    (void)state;
    plan.function = FN + 1;
    plan.hook = add_function;
    ant_pid client = puppet_create("client", 0);
    struct ant_request *busy = make_obey(0);
    begin_many(MEMBERS, &two);
    assert_soon(steps_in_trace(ANT_SWAP_WAKE_REQUESTER) == MEMBERS - 1);
    for (uint32_t i = 0; i < MEMBERS; i++)
        assert_ok(puppet_send(client, puppet_new_request(client, FN + i)));
    puppet_release(pids[0]);
    assert_int_equal(puppet_end(requester), 0);
    assert_int_equal(take(busy).version, 1);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct ant_request *rq = puppet_take_result(client);
        assert_int_equal(((struct answer *)(void *)rq->payload)->version, 2);
    }
    assert_committed(2);
    assert_int_equal(many.reports[1].queued_requests.handed_over, 1);
    assert_int_equal(ask(FN_NEW + FN + 1).version, 2);
}

static void all_prepare_before_any_is_told(void **state)
{
    (void)state;
    prepare_many(MEMBERS, &prepared);
    assert_ok(ant_swap_many(many.items, MEMBERS, many.reports));
    assert_committed(2);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_true(many.reports[i].prepare_ns >= US(100));
        assert_true(many.reports[i].step_time_ns[ANT_SWAP_NOTIFY] >= atomic_load(&plan.prepared_ns));
        assert_int_equal(ask(FN + i).count, 1); /* the preparing one's was before */
    }
}

static void one_that_fails_to_prepare_leaves_all_in_peace(void **state)
{
    (void)state;
    plan.function = FN + 1;
    plan.fails_to_prepare = true;
    prepare_many(MEMBERS, &prepared);
    assert_int_equal(ant_swap_many(many.items, MEMBERS, many.reports), -EDOM);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(many.reports[i].step, ANT_SWAP_CREATE);
        assert_true(many.reports[i].step_time_ns[ANT_SWAP_NOTIFY] == 0 &&
                    many.reports[i].blackout_ns == 0);
    }
    ask(FN); /* which neither of the two has called */
    assert_rolled_back(1, -EDOM, ANT_SWAP_CREATE, 1);
}

/* ---- coming to rest together ---- */

static struct answer call_by(uint32_t caller, uint32_t function, uint32_t operation, uint64_t cookie)
{
    struct ant_request *rq = puppet_new_request(pids[caller], function);
    rq->operation = operation;
    rq->cookie = cookie;
    puppet_begin_call(pids[caller], rq, ANT_FOREVER);
    assert_int_equal(puppet_end(pids[caller]), 0);
    struct answer a = *(struct answer *)(void *)rq->payload;
    assert_ok(puppet_do(pids[caller], act_free, rq));
    return a;
}

static void who_rests_serves_the_others_and_nobody_else(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    struct ant_request *busy = make_obey(0), *outside = puppet_new_request(client, FN + 1);
    begin_many(MEMBERS, &two);
    assert_soon(steps_in_trace(ANT_SWAP_WAKE_REQUESTER) == MEMBERS - 1);
    puppet_begin_call(client, outside, ANT_FOREVER);
    assert_soon(info_of(pids[1]).queued_requests == 1);
    for (uint32_t k = 0; k < 3; k++) {
        struct answer a = call_by(0, FN + 1, OP_COUNT, 0);
        assert_int_equal(a.version, 1);
        assert_int_equal(a.count, k);
    }
    assert_int_equal(call_by(0, FN + 1, OP_CALL, FN + 2).version, 1); /* which rests, too */
    assert_int_equal(info_of(pids[1]).queued_requests, 1);
    puppet_release(pids[0]);
    assert_int_equal(puppet_end(requester), 0);
    assert_committed(2);
    assert_int_equal(puppet_end(client), 0);
    assert_int_equal(((struct answer *)(void *)outside->payload)->version, 2);
    assert_int_equal(take(busy).version, 1);
    assert_true(many.reports[1].blackout_ns <= many.reports[1].swap_ns);
}

static void the_order_of_a_clients_requests_is_kept(void **state)
{
    (void)state;
    struct ant_request *busy = make_obey(0), *sent[2];
    begin_many(2, &two);
    assert_soon(steps_in_trace(ANT_SWAP_WAKE_REQUESTER) == 1);
    for (int k = 0; k < 2; k++) { /* asynchronous ones alone wake nobody */
        sent[k] = puppet_new_request(pids[0], FN + 1);
        assert_ok(puppet_send(pids[0], sent[k]));
    }
    assert_int_equal(call_by(0, FN + 1, OP_COUNT, 0).count, 2);
    puppet_release(pids[0]);
    assert_int_equal(puppet_end(requester), 0);
    assert_committed(2);
    assert_int_equal(take(busy).version, 1);
    assert_int_equal(ask(FN + 1).count, 3);
}

static void an_answer_that_depends_on_a_result_comes(void **state)
{
    (void)state;
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_APART));
    struct ant_request *busy = make_obey(0), *rq = puppet_new_request(pids[0], FN + 1);
    rq->operation = OP_RELAY;
    rq->cookie = FN_APART;
    puppet_begin_call(pids[0], rq, ANT_FOREVER);
    struct ant_request *errand = puppet_take_request(driver);
    begin_many(2, &two);
    assert_soon(steps_in_trace(ANT_SWAP_WAKE_REQUESTER) == 1); /* with the request in its service */
    assert_ok(puppet_reply(driver, errand, 0));
    assert_int_equal(puppet_end(pids[0]), 0);
    assert_int_equal(((struct answer *)(void *)rq->payload)->version, 1);
    puppet_release(pids[0]);
    assert_int_equal(puppet_end(requester), 0);
    assert_committed(2);
    take(busy);
}

static void an_answer_that_depends_on_another_member_comes(void **state)
{
    (void)state;
    struct ant_request *busy = make_obey(0);
    begin_many(MEMBERS, &two);
    assert_soon(steps_in_trace(ANT_SWAP_WAKE_REQUESTER) == MEMBERS - 1);
    assert_int_equal(call_by(0, FN + 1, OP_RELAY, FN + 2).version, 1); /* both rest while the other works */
    puppet_release(pids[0]);
    assert_int_equal(puppet_end(requester), 0);
    assert_committed(2);
    take(busy);
}

/* FN + 2 is no member: it is waited for, and waits for one; whichever comes first. */
static void a_member_waits_through_another_process(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    for (int before = 0; before <= 1; before++) {
        struct ant_request *busy = make_obey(0), *chain = puppet_new_request(client, FN + 2);
        size_t rests = steps_in_trace(ANT_SWAP_WAKE_REQUESTER);
        begin_many(2, before ? &one : &two);
        assert_soon(steps_in_trace(ANT_SWAP_WAKE_REQUESTER) == rests + 1);
        chain->operation = OP_CALL;
        chain->cookie = FN + 1;
        if (before) { /* it waits for the member at rest already, for nobody's sake */
            puppet_begin_call(client, chain, ANT_FOREVER);
            assert_soon(info_of(pids[1]).queued_requests == 1);
        }
        assert_int_equal(call_by(0, FN + 2, OP_CALL, FN + 1).version, 1);
        puppet_release(pids[0]);
        assert_int_equal(puppet_end(requester), 0);
        assert_committed(before ? 3 : 2);
        if (before)
            assert_int_equal(puppet_end(client), 0);
        take(busy);
    }
}

static void a_direct_server_at_rest_is_not_lent_but_serves(void **state)
{
    (void)state;
    setup_with(&direct_one);
    struct ant_request *busy = make_obey(0);
    prepare_many(2, &two);
    many.items[1].program = &direct_two;
    puppet_begin(requester, act_swap_many, &many);
    assert_soon(steps_in_trace(ANT_SWAP_WAKE_REQUESTER) == 1);
    for (uint32_t k = 0; k < 3; k++)
        assert_int_equal(call_by(0, FN + 1, OP_COUNT, 0).count, k);
    puppet_release(pids[0]);
    assert_int_equal(puppet_end(requester), 0);
    assert_committed(2);
    take(busy);
    assert_int_equal(ask(FN + 1).version, 2);
}

static void a_loop_of_its_own_is_told_to_go_on(void **state)
{
    (void)state;
    setup_with(&loop);
    struct ant_request *busy = make_obey(0);
    begin_many(2, &two);
    assert_soon(steps_in_trace(ANT_SWAP_WAKE_REQUESTER) == 1);
    assert_int_equal(call_by(0, FN + 1, OP_COUNT, 0).version, 1);
    puppet_release(pids[0]);
    assert_int_equal(puppet_end(requester), 0);
    assert_committed(2);
    take(busy);
    assert_int_equal(ask(FN + 1).version, 2);
}

/* ---- what goes wrong ---- */

static int fail_to_start(struct ant_server *self)
{
    void *area;
    (void)self;
    expect_ok(ant_ica_alloc(5, &area));
    return -EDOM;
}

static int die(struct ant_server *self)
{
    (void)self;
    ant_kill(ant_self());
    return 0;
}

static int sleep_long(struct ant_server *self)
{
    (void)self;
    ant_sleep(UINT64_MAX);
    return 0;
}

static void each_start_may_fail_for_all(void **state)
{
    (void)state;
    static const struct {
        int (*hook)(struct ant_server *);
        int error;
    } ways_to_fail[] = {{fail_to_start, EDOM}, {die, EOWNERDEAD}, {sleep_long, ETIMEDOUT}};
    for (uint32_t failed = 0; failed < MEMBERS; failed++) {
        for (size_t way = 0; way < 3; way++) {
            setup(NULL);
            plan.function = FN + failed;
            plan.hook = ways_to_fail[way].hook;
            prepare_many(MEMBERS, failed == 1 ? &three : &two);
            many.options[failed].start_timeout_ns = ways_to_fail[way].error == ETIMEDOUT ? A_WHILE : 0;
            puppet_begin(requester, act_swap_many, &many);
            int rc = puppet_end(requester);
            assert_int_equal(rc, -ways_to_fail[way].error);
            if (way == 1)
                assert_was(ant_swap_many, rc, EOWNERDEAD);
            assert_rolled_back(failed, -ways_to_fail[way].error, ANT_SWAP_START, 0);
            fixture_shutdown();
        }
    }
}

static void one_that_does_not_come_to_rest_keeps_all(void **state)
{
    (void)state;
    for (uint32_t late = 0; late < MEMBERS; late++) {
        setup(NULL);
        struct ant_request *busy = make_obey(late);
        prepare_many(MEMBERS, &two);
        many.options[late].quiesce_timeout_ns = A_WHILE;
        puppet_begin(requester, act_swap_many, &many);
        assert_was(ant_swap_many, puppet_end(requester), ETIMEDOUT);
        puppet_release(pids[late]);
        take(busy);
        for (uint32_t i = 0; i < MEMBERS; i++)
            if (i != late)
                ask(FN + i);
        assert_rolled_back(late, -ETIMEDOUT, ANT_SWAP_LOOK, 1);
        fixture_shutdown();
    }
}

static void one_that_does_not_come_to_rest_may_be_ended(void **state)
{
    (void)state;
    struct ant_request *busy = make_obey(1);
    prepare_many(MEMBERS, &two);
    many.options[1].quiesce_timeout_ns = A_WHILE;
    many.options[1].force = true;
    puppet_begin(requester, act_swap_many, &many);
    assert_int_equal(puppet_end(requester), 0);
    puppet_bury(pids[1]);
    assert_ptr_equal(boss_result(), busy);
    assert_int_equal(busy->error, -EOWNERDEAD);
    assert_ok(ant_request_free(busy));
    assert_true(many.reports[1].restarted);
    assert_false(many.reports[0].restarted);
    assert_serve(2, 2, 0);
}

static void cancelling_one_cancels_all(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        setup(NULL);
        struct ant_request *busy = make_obey(0);
        begin_many(MEMBERS, &two);
        assert_soon(steps_in_trace(ANT_SWAP_WAKE_REQUESTER) == MEMBERS - 1);
        assert_error(ant_swap(FN + 1, &two, NULL, NULL), EBUSY);
        assert_ok(ant_swap_cancel(FN + i));
        assert_was(ant_swap_many, puppet_end(requester), ECANCELED);
        puppet_release(pids[0]);
        take(busy);
        ask(FN + 1);
        ask(FN + 2);
        assert_rolled_back(i, -ECANCELED, i == 0 ? ANT_SWAP_LOOK : ANT_SWAP_START, 1);
        fixture_shutdown();
        setup(NULL);
        plan.function = FN + 1;
        plan.hook = sleep_long;
        begin_many(MEMBERS, &two);
        assert_soon(atomic_load(&plan.starts) == MEMBERS);
        assert_ok(ant_swap_cancel(FN + i));
        assert_was(ant_swap_many, puppet_end(requester), ECANCELED);
        assert_rolled_back(i, -ECANCELED, ANT_SWAP_START, 0);
        fixture_shutdown();
    }
}

static void the_end_of_one_leaves_the_others_as_they_are(void **state)
{
    (void)state;
    struct ant_request *busy = make_obey(1);
    begin_many(MEMBERS, &two);
    assert_soon(steps_in_trace(ANT_SWAP_WAKE_REQUESTER) == MEMBERS - 1);
    puppet_begin(pids[1], act_exit, NULL);
    assert_was(ant_swap_many, puppet_end(requester), ESRCH);
    puppet_bury(pids[1]);
    assert_int_equal(many.reports[0].error, -ECANCELED);
    assert_int_equal(many.reports[1].error, -ESRCH);
    assert_int_equal(many.reports[2].error, -ECANCELED);
    assert_ptr_equal(boss_result(), busy);
    assert_int_equal(busy->error, -EOWNERDEAD);
    assert_ok(ant_request_free(busy));
    assert_int_equal(ask(FN).generation, 1);
    assert_int_equal(ask(FN + 2).generation, 1);
    prepare_many(MEMBERS, &two);
    assert_error(ant_swap_many(many.items, MEMBERS, many.reports), ESRCH);
    assert_int_equal(many.reports[1].error, -ESRCH);
    assert_int_equal(many.reports[1].step, ANT_SWAP_REQUEST);
    assert_int_equal(ask(FN).count, 1);
}

static void a_caller_that_is_asked_to_stop_rolls_all_back(void **state)
{
    (void)state;
    struct ant_request *busy = make_obey(2);
    begin_many(MEMBERS, &two);
    assert_soon(steps_in_trace(ANT_SWAP_WAKE_REQUESTER) == MEMBERS - 1);
    assert_error(ant_stop(requester, 0, NULL), ETIMEDOUT);
    assert_was(ant_swap_many, puppet_end(requester), ESHUTDOWN);
    puppet_dismiss(requester);
    puppet_release(pids[2]);
    take(busy);
    ask(FN);
    ask(FN + 1);
    assert_rolled_back(2, -ESHUTDOWN, ANT_SWAP_LOOK, 1);
}

static int wait_for_ever(struct ant_server *self)
{
    struct ant_request *rq;
    (void)self;
    expect_ok(ant_request_new(BOSS, &rq));
    ant_call(rq, ANT_FOREVER);
    return 0;
}

static void who_waits_for_ever_on_virtual_is_told_so(void **state)
{
    (void)state;
    if (!on_virtual())
        skip();
    plan.function = FN + 1;
    plan.hook = wait_for_ever;
    prepare_many(MEMBERS, &two);
    for (size_t i = 0; i < MEMBERS; i++)
        many.options[i].start_timeout_ns = ANT_FOREVER;
    assert_error(ant_swap_many(many.items, MEMBERS, many.reports), EDEADLK);
    assert_rolled_back(1, -EDEADLK, ANT_SWAP_START, 0);
}

static void without_a_thread_for_each_nothing_changes(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth <= MEMBERS; nth++) {
        setup(NULL);
        prepare_many(MEMBERS, &two);
        wrap_fail(WRAP_THREAD, nth, false);
        assert_error(ant_swap_many(many.items, MEMBERS, many.reports), EAGAIN);
        wrap_heal();
        assert_rolled_back(nth - 1, -EAGAIN, ANT_SWAP_CREATE, 0);
        fixture_shutdown();
    }
    setup(NULL);
    wrap_fail(WRAP_ALLOCATION, 1, false);
    assert_error(ant_swap_many(many.items, MEMBERS, many.reports), ENOMEM);
    wrap_heal();
    assert_serve(1, 1, 0);
}

/* ---- the dead ---- */

static void the_dead_may_be_among_them(void **state)
{
    (void)state;
    for (int trust = 0; trust <= 1; trust++) {
        setup(NULL);
        assert_serve(1, 1, 0);
        assert_ok(ant_kill(pids[1]));
        assert_soon(info_of(pids[1]).dead);
        struct ant_request *queued = send_op(FN + 1, OP_COUNT, 0);
        prepare_many(MEMBERS, &two);
        plan.function = FN + 2;
        plan.hook = fail_to_start;
        assert_int_equal(ant_swap_many(many.items, MEMBERS, many.reports), -EDOM);
        assert_true(info_of(pids[1]).dead);
        plan.hook = NULL;
        many.options[1].trust_state = trust;
        assert_ok(ant_swap_many(many.items, MEMBERS, many.reports));
        assert_committed(2);
        assert_true(many.reports[1].restarted);
        assert_false(many.reports[0].restarted);
        assert_int_equal(take(queued).count, trust ? 1 : 0);
        assert_int_equal(ask(FN).count, 1);
        fixture_shutdown();
    }
}

static void one_that_dies_on_the_way_is_replaced_as_a_dead_one(void **state)
{
    (void)state;
    struct ant_request *busy = make_obey(1);
    begin_many(MEMBERS, &two);
    assert_soon(steps_in_trace(ANT_SWAP_WAKE_REQUESTER) == MEMBERS - 1);
    assert_ok(ant_kill(pids[1]));
    assert_int_equal(puppet_end(requester), 0);
    puppet_bury(pids[1]);
    assert_true(many.reports[1].restarted);
    assert_ptr_equal(boss_result(), busy);
    assert_int_equal(busy->error, -EOWNERDEAD);
    assert_ok(ant_request_free(busy));
    assert_serve(2, 2, 0);
}

static void a_dead_one_that_is_stopped_takes_no_other_along(void **state)
{
    (void)state;
    int status = 0;
    assert_ok(ant_kill(pids[1]));
    assert_soon(info_of(pids[1]).dead);
    struct ant_request *busy = make_obey(0);
    begin_many(MEMBERS, &two);
    assert_soon(steps_in_trace(ANT_SWAP_WAKE_REQUESTER) == 1);
    assert_ok(ant_stop(pids[1], SOON, &status));
    assert_int_equal(puppet_end(requester), -ESRCH);
    assert_int_equal(many.reports[1].error, -ESRCH);
    puppet_release(pids[0]);
    take(busy);
    assert_int_equal(ask(FN).generation, 1);
    assert_int_equal(ask(FN + 2).generation, 1);
}

/* At whatever instant: either nobody is replaced, or all are, and its successor is told to end. */
static void stopping_a_dead_one_ends_it_or_its_successor(void **state)
{
    (void)state;
    for (uint64_t seed = 0; fixture_explores(seed, SANITIZED ? 60 : 300); seed++) {
        fixture_boot_seed(seed);
        memset(&plan, 0, sizeof plan);
        for (uint32_t i = 0; i < MEMBERS; i++)
            pids[i] = serve(FN + i, &one, NULL);
        requester = puppet_create("requester", ABOVE);
        int status = 0;
        assert_ok(ant_kill(pids[1]));
        assert_soon(info_of(pids[1]).dead);
        begin_many(MEMBERS, &two);
        assert_ok(ant_stop(pids[1], SOON, &status));
        int rc = puppet_end(requester);
        assert_int_equal(rc, rc == 0 ? 0 : -ESRCH);
        assert_int_equal(status, rc == 0 ? 0 : -EOWNERDEAD);
        for (uint32_t i = 0; i < MEMBERS; i += 2)
            assert_int_equal(ask(FN + i).version, rc == 0 ? 2 : 1);
        fixture_shutdown();
    }
}

/* ---- new servers and the others ---- */

static int call_another(struct ant_server *self)
{
    struct ant_request *rq;
    ant_pid pid;
    expect_ok(ant_lookup(FN, &pid));
    for (uint32_t i = 0; i < MEMBERS; i++) {
        expect_ok(ant_request_new(FN + i, &rq));
        expect_error(ant_call(rq, ANT_FOREVER), EDEADLK);
        expect_ok(ant_request_free(rq));
    }
    expect_ok(ant_request_new(FN + (self->function - FN + 1) % MEMBERS, &rq));
    rq->cookie = 0;
    expect_ok(ant_send(rq)); /* to be served after the commit */
    return 0;
}

static int call_another_and_fail(struct ant_server *self)
{
    call_another(self);
    return -EDOM;
}

static void a_new_server_cannot_call_the_others_but_send(void **state)
{
    (void)state;
    plan.function = FN + 1;
    plan.hook = call_another_and_fail;
    prepare_many(MEMBERS, &two);
    assert_int_equal(ant_swap_many(many.items, MEMBERS, many.reports), -EDOM);
    assert_int_equal(ask(FN).count, 0);
    assert_int_equal(ask(FN + 1).count, 0);
    assert_int_equal(ask(FN + 2).generation, 1); /* which may have been quicker than what takes it back */
    uint32_t before = ask(FN + 2).count;
    plan.hook = call_another;
    assert_ok(ant_swap_many(many.items, MEMBERS, many.reports));
    uint32_t asked = 1; /* each time it looks */
    assert_soon(ask(FN + 2).count == before + 1 + asked++);
    assert_int_equal(ask(FN).count, 1);
}

/* ---- refusals ---- */

static int swap_own_group(void *arg)
{
    return act_swap_many(arg);
}

static void *swap_from_outside(void *arg)
{
    (void)arg;
    expect_error(ant_swap_many(many.items, MEMBERS, many.reports), EPERM);
    return NULL;
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const struct ant_program foreign = {.abi = ANT_ABI + 1, .name = "foreign", .request = request};
    static struct ant_swap_item crowd[ANT_SWAP_MANY_MAX + 1];
    prepare_many(MEMBERS, &two);
    assert_error(ant_swap_many(NULL, 2, NULL), EINVAL);
    assert_error(ant_swap_many(many.items, 0, NULL), EINVAL);
    for (size_t i = 0; i <= ANT_SWAP_MANY_MAX; i++)
        crowd[i] = many.items[0];
    assert_error(ant_swap_many(crowd, ANT_SWAP_MANY_MAX + 1, NULL), EINVAL);
    many.options[2].deadline_ns = 1;
    assert_error(ant_swap_many(many.items, MEMBERS, NULL), EINVAL);
    many.options[2].deadline_ns = 0;
    many.items[2].function = 0;
    assert_error(ant_swap_many(many.items, MEMBERS, NULL), EINVAL);
    many.items[2].function = FN + 1; /* twice the same */
    assert_error(ant_swap_many(many.items, MEMBERS, NULL), EINVAL);
    many.items[2].function = BOSS;
    assert_error(ant_swap_many(many.items, MEMBERS, NULL), EDEADLK);
    many.items[2].function = FN_APART;
    assert_error(ant_swap_many(many.items, MEMBERS, many.reports), ESRCH);
    assert_int_equal(many.reports[2].error, -ESRCH);
    assert_int_equal(many.reports[0].error, -ECANCELED);
    many.items[2] = (struct ant_swap_item){FN + 2, &foreign, NULL};
    assert_error(ant_swap_many(many.items, MEMBERS, NULL), EPROTO);
    many.items[2].program = &strange;
    assert_error(ant_swap_many(many.items, MEMBERS, many.reports), ENOTSUP);
    assert_int_equal(many.reports[2].error, -ENOTSUP);
    assert_int_equal(many.reports[0].error, -ECANCELED);
    assert_int_equal(many.reports[0].generation, 1);
    ant_pid plain = puppet_create("plain", 0);
    assert_ok(puppet_function_add(plain, FN_APART));
    many.items[2] = (struct ant_swap_item){FN_APART, &two, NULL};
    assert_error(ant_swap_many(many.items, MEMBERS, many.reports), ENOTSUP);
    many.items[2].function = FN + 2;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, swap_from_outside, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_serve(1, 1, 0);
    struct ant_request *busy = make_obey(0); /* a member may not ask for it */
    puppet_begin(pids[0], swap_own_group, &many);
    assert_was(ant_swap_many, puppet_end(pids[0]), EDEADLK);
    puppet_release(pids[0]);
    take(busy);
}

static int swap_in_start(struct ant_server *self)
{
    (void)self;
    expect_error(ant_swap_many(many.items, many.count, NULL), EBUSY);
    return 0;
}

static void of_two_that_overlap_one_is_refused(void **state)
{
    (void)state;
    ant_pid second = puppet_create("second", ABOVE);
    static struct many other;
    struct ant_request *busy = make_obey(1);
    begin_many(2, &two);
    assert_soon(steps_in_trace(ANT_SWAP_NOTIFY) == 2);
    other = many;
    other.items[0].function = FN + 2;
    puppet_begin(second, act_swap_many, &other);
    assert_was(ant_swap_many, puppet_end(second), EBUSY);
    assert_int_equal(other.reports[0].error, -ECANCELED);
    assert_int_equal(other.reports[1].error, -EBUSY);
    assert_ok(ant_swap(FN + 2, &two, NULL, NULL)); /* it was let go */
    puppet_release(pids[1]);
    assert_int_equal(puppet_end(requester), 0);
    take(busy);
    assert_committed(2);
    plan.function = FN;
    plan.hook = swap_in_start;
    assert_ok(ant_swap(FN, &two, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        many_test(all_are_replaced_and_keep_their_states),
        many_test(one_is_an_ordinary_swap),
        many_test(what_was_queued_passes_and_new_functions_appear),
        many_test(all_prepare_before_any_is_told),
        many_test(one_that_fails_to_prepare_leaves_all_in_peace),
        many_test(who_rests_serves_the_others_and_nobody_else),
        many_test(the_order_of_a_clients_requests_is_kept),
        many_test(an_answer_that_depends_on_a_result_comes),
        many_test(an_answer_that_depends_on_another_member_comes),
        many_test(a_member_waits_through_another_process),
        bare_test(a_direct_server_at_rest_is_not_lent_but_serves),
        bare_test(a_loop_of_its_own_is_told_to_go_on),
        bare_test(each_start_may_fail_for_all),
        bare_test(one_that_does_not_come_to_rest_keeps_all),
        many_test(one_that_does_not_come_to_rest_may_be_ended),
        bare_test(cancelling_one_cancels_all),
        many_test(the_end_of_one_leaves_the_others_as_they_are),
        many_test(a_caller_that_is_asked_to_stop_rolls_all_back),
        many_test(who_waits_for_ever_on_virtual_is_told_so),
        bare_test(without_a_thread_for_each_nothing_changes),
        bare_test(the_dead_may_be_among_them),
        many_test(one_that_dies_on_the_way_is_replaced_as_a_dead_one),
        many_test(a_dead_one_that_is_stopped_takes_no_other_along),
        bare_test(stopping_a_dead_one_ends_it_or_its_successor),
        many_test(a_new_server_cannot_call_the_others_but_send),
        many_test(nonsense_is_refused),
        many_test(of_two_that_overlap_one_is_refused),
    };
    return cmocka_run_group_tests_name("swap_many", tests, NULL, NULL);
}
