/* ctest: machines=virtual,other,real movers=strict,flat timeout=240 */
/* Direct calls: when they are made, as whom and at which priority the callback runs, and what it may do. */
#include "lent.h"

#include <pthread.h>

#define ABOVE (FIXTURE_PRIORITY + 10)
#define BELOW (FIXTURE_PRIORITY - 10)

/* ---- who runs the callback, and as whom ---- */

static void it_runs_on_the_client_s_thread_in_the_server_s_identity(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    struct where own = where_is(client);
    void *served_state = NULL;
    struct ant_request *rq = lend(client);
    struct where there = where_is(mortal_pid);
    assert_int_equal(there.thread, own.thread);
    assert_true(there.pid == mortal_pid);
    assert_true(there.stack < own.stack && own.stack - there.stack < 64 << 10);
    served_state = puppet_state(mortal_pid);
    assert_int_equal(((struct mortal_state *)served_state)->magic, MORTAL_MAGIC);
    struct ant_process_info before = info_of(mortal_pid);
    assert_int_equal(before.in_service, 1);
    assert_int_equal(before.queued_requests, 0);
    assert_int_equal(before.outstanding, 1); /* to the boss */
    void *area = puppet_new_area(mortal_pid, 3);
    assert_int_equal(info_of(mortal_pid).pages, before.pages + 3);
    assert_int_equal(info_of(client).outstanding, 1);
    assert_ok(puppet_ica_free(mortal_pid, area));
    struct ant_pending item;
    size_t count = 0;
    assert_ok(puppet_pending(mortal_pid, ANT_IN_SERVICE, &item, 1, &count));
    assert_int_equal(count, 1);
    assert_true(item.peer == client);
    take_back(client, rq);
    assert_int_equal(info_of(mortal_pid).in_service, 0);
    assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
    assert_int_equal(where_is(client).thread, own.thread);
    assert_true(lends(client, FN, mortal_pid, ANT_FOREVER)); /* again */
}

static void the_process_that_booted_may_be_the_client(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 100; i++) {
        struct ant_request *rq = new_request(FN);
        rq->data = new_area(1 + i % 3);
        rq->cookie = 1000 + i;
        void *data = rq->data;
        *(uint32_t *)data = i;
        assert_ok(ant_call(rq, ANT_FOREVER));
        assert_int_equal(answer_in(rq)->count, i);
        assert_true(rq->cookie == 1000 + i && rq->peer == mortal_pid);
        assert_ptr_equal(rq->data, data);
        assert_int_equal(*(uint32_t *)data, i);
        assert_true(ant_self() != mortal_pid);
        assert_ok(ant_ica_free(data));
        assert_ok(ant_request_free(rq));
    }
}

static pthread_t booted, served;

static void note_thread(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    served = pthread_self();
    if (rq->operation == OP_EXIT)
        ant_exit(3);
    expect_error(ant_shutdown(NULL), EPERM); /* the thread is the first process's, but this is not it */
    expect_ok(ant_reply(rq, 0));
}

static bool boss_lends(ant_pid server)
{
    await_rest(server);
    struct ant_request *rq = new_request(FN_OTHER);
    booted = pthread_self();
    assert_ok(ant_call(rq, ANT_FOREVER));
    assert_ok(ant_request_free(rq));
    return pthread_equal(booted, served);
}

static void the_callback_may_not_end_the_core_and_its_exit_is_not_the_first_process_s(void **state)
{
    (void)state;
    static const struct ant_program noting = {
        .abi = ANT_ABI, .name = "noting", .request = note_thread, .direct = true};
    ant_pid pid = serve(FN_OTHER, &noting, NULL);
    assert_true(boss_lends(pid));
    struct ant_request *rq = new_request(FN_OTHER);
    rq->operation = OP_EXIT;
    assert_error(ant_call(rq, ANT_FOREVER), EOWNERDEAD);
    assert_ok(ant_request_free(rq));
    assert_int_equal(join(pid), 3);
}

/* ---- when it is not made ---- */

static void without_permission_the_server_s_own_thread_serves(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0), other = serve(FN_OTHER, &mortal_one, NULL);
    assert_false(lends(client, FN_OTHER, other, ANT_FOREVER));
    assert_true(lends(client, FN, mortal_pid, ANT_FOREVER));
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    assert_false(lends(client, FN, mortal_pid, ANT_FOREVER));
    assert_ok(ant_swap(FN, &lent_one, NULL, NULL));
    assert_true(lends(client, FN, mortal_pid, ANT_FOREVER));
}

static void on_virtual_the_config_must_want_it(void **state)
{
    (void)state;
    struct ant_config config = fixture_config();
    lent_begin(&config, NULL);
    ant_pid client = puppet_create("client", 0);
    assert_int_equal(lends(client, FN, mortal_pid, ANT_FOREVER), !on_virtual());
}

static void with_a_time_limit_it_is_not_made(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    assert_false(lends(client, FN, mortal_pid, SOON));
    assert_false(lends(client, FN, mortal_pid, INT64_MAX));
    assert_true(lends(client, FN, mortal_pid, ANT_FOREVER));
}

static void while_the_server_is_busy_it_is_not_made(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0), other = puppet_create("other", 0);
    pid_t thread = where_is(client).thread;
    struct ant_request *busy = make_obey(), *rq = begin_call(client, FN, OP_OBEY);
    assert_soon(info_of(mortal_pid).queued_requests == 1);
    puppet_release(mortal_pid);
    take_answer(busy, 1);
    puppet_await(mortal_pid);
    assert_int_not_equal(where_is(mortal_pid).thread, thread);
    take_back(client, rq);
    rq = lend(other); /* busy with somebody's thread */
    struct ant_request *second = begin_call(client, FN, OP_OBEY);
    assert_soon(info_of(mortal_pid).queued_requests == 1);
    take_back(other, rq);
    puppet_await(mortal_pid);
    pid_t own = where_is(mortal_pid).thread;
    assert_true(own != thread && own != where_is(other).thread);
    take_back(client, second);
}

static void a_program_that_is_observed_is_served_by_its_own_thread(void **state)
{
    (void)state;
    static const struct ant_timing timing = {.observe = true};
    ant_pid client = puppet_create("client", 0);
    struct ant_program observed = lent_one;
    observed.timing = &timing;
    ant_pid other = serve(FN_OTHER, &observed, NULL);
    assert_false(lends(client, FN_OTHER, other, ANT_FOREVER));
    assert_ok(ant_swap(FN_OTHER, &lent_one, NULL, NULL));
    assert_true(lends(client, FN_OTHER, other, ANT_FOREVER));
    assert_ok(ant_stop(other, SOON, NULL));
}

static void a_new_server_that_is_not_registered_yet_makes_none(void **state)
{
    (void)state;
    ant_pid requester = puppet_create("requester", 0), other = serve(FN_OTHER, &lent_one, NULL);
    mortal.hook = obey_in_start;
    puppet_begin_swap(requester, FN, &lent_one_again, NULL, NULL);
    puppet_await(mortal_pid);
    assert_false(lends(mortal_pid, FN_OTHER, other, ANT_FOREVER));
    puppet_release(mortal_pid);
    assert_int_equal(puppet_end(requester), 0);
    mortal.hook = NULL;
    assert_serves(2, 2);
}

/* Recurses until the stack has less than this left, then obeys. */
static int obey_with(const char *end, size_t left)
{
    volatile char waste[1024] = {0};
    if ((size_t)((const char *)__builtin_frame_address(0) - end) > left)
        return obey_with(end, left) + waste[0];
    return puppet_obey() + waste[1];
}

static int obey_with_little_stack(void *arg)
{
    pthread_attr_t attributes;
    void *low;
    size_t bytes;
    (void)arg;
    expect(pthread_getattr_np(pthread_self(), &attributes) == 0);
    expect(pthread_attr_getstack(&attributes, &low, &bytes) == 0);
    pthread_attr_destroy(&attributes);
    return obey_with(low, *(const size_t *)arg);
}

static void with_little_stack_left_it_is_not_made(void **state)
{
    (void)state;
    static size_t little = ANT_DIRECT_STACK_BYTES, enough = 3 * ANT_DIRECT_STACK_BYTES;
    ant_pid needy = spawn("needy", 0, obey_with_little_stack, &little),
            other = spawn("other", 0, obey_with_little_stack, &enough);
    assert_false(lends(needy, FN, mortal_pid, ANT_FOREVER));
    assert_true(lends(other, FN, mortal_pid, ANT_FOREVER));
    puppet_release(needy);
    puppet_release(other);
}

/* ---- at which priority ---- */

static void assert_level(ant_pid puppet, int level)
{
    assert_int_equal(where_is(puppet).level, level);
}

static void a_client_below_is_raised_for_the_call(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", BELOW);
    struct ant_request *rq = lend(client);
    assert_level(mortal_pid, FIXTURE_PRIORITY);
    assert_int_equal(info_of(client).priority, BELOW);
    take_back(client, rq);
    assert_level(client, BELOW);
}

static void a_client_above_stays_there(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", ABOVE);
    struct ant_request *rq = lend(client);
    assert_level(mortal_pid, ABOVE);
    assert_int_equal(info_of(mortal_pid).priority, FIXTURE_PRIORITY);
    take_back(client, rq);
    assert_level(client, ABOVE);
}

static void what_the_client_s_priority_is_set_to_meanwhile_holds_afterwards(void **state)
{
    (void)state;
    static const int before[] = {BELOW, FIXTURE_PRIORITY, ABOVE},
                     after[] = {BELOW - 1, BELOW + 1, FIXTURE_PRIORITY, ABOVE, ABOVE + 5};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        for (size_t j = 0; j < sizeof after / sizeof *after; j++) {
            ant_pid client = puppet_create("client", before[i]);
            struct ant_request *rq = lend(client);
            assert_ok(ant_priority_set(client, after[j]));
            assert_level(mortal_pid, after[j] > FIXTURE_PRIORITY ? after[j] : FIXTURE_PRIORITY);
            take_back(client, rq);
            assert_level(client, after[j]);
            assert_int_equal(info_of(client).priority, after[j]);
            puppet_dismiss(client);
        }
    }
}

static void what_the_server_s_priority_is_set_to_meanwhile_is_not_the_client_s(void **state)
{
    (void)state;
    static const int own[] = {BELOW, FIXTURE_PRIORITY, ABOVE},
                     set[] = {BELOW - 1, BELOW + 1, FIXTURE_PRIORITY + 1, ABOVE + 5};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        for (size_t j = 0; j < sizeof set / sizeof *set; j++) {
            ant_pid client = puppet_create("client", own[i]);
            struct ant_request *rq = lend(client);
            assert_ok(ant_priority_set(mortal_pid, set[j]));
            assert_level(mortal_pid, set[j] > own[i] ? set[j] : own[i]);
            take_back(client, rq);
            assert_level(client, own[i]);
            assert_false(lends(client, FN, mortal_pid, SOON));
            assert_int_equal(info_of(mortal_pid).priority, set[j]);
            assert_ok(ant_priority_set(mortal_pid, FIXTURE_PRIORITY));
            puppet_dismiss(client);
        }
    }
}

static void in_one_call_priorities_may_change_again_and_again(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", ABOVE), inner = serve(FN_OTHER, &lent_one, NULL);
    struct ant_request *rq = lend(client);
    assert_ok(ant_priority_set(mortal_pid, ABOVE + 5));
    assert_level(mortal_pid, ABOVE + 5);
    assert_ok(ant_priority_set(client, BELOW));
    assert_level(mortal_pid, ABOVE + 5);
    await_rest(inner);
    struct ant_request *second = begin_call(mortal_pid, FN_OTHER, OP_OBEY);
    assert_level(inner, ABOVE + 5);
    assert_ok(ant_priority_set(inner, ABOVE + 7));
    assert_level(inner, ABOVE + 7);
    assert_ok(ant_priority_set(mortal_pid, ABOVE + 6)); /* which waits */
    assert_level(inner, ABOVE + 7);
    assert_ok(ant_priority_set(client, BELOW + 1));
    assert_level(inner, ABOVE + 7);
    puppet_release(inner);
    assert_int_equal(end_call(mortal_pid, second), 0);
    assert_level(mortal_pid, ABOVE + 6);
    assert_ok(ant_priority_set(mortal_pid, BELOW));
    assert_level(mortal_pid, BELOW + 1); /* its client's */
    take_back(client, rq);
    assert_level(client, BELOW + 1);
}

/* ant_swap and ant_serve raise their callers for a while. */
static void a_callback_that_swaps_or_serves_leaves_the_client_s_priority_alone(void **state)
{
    (void)state;
    static const int own[] = {BELOW, FIXTURE_PRIORITY, ABOVE};
    serve(FN_OTHER, &mortal_one, &(struct ant_server_options){.priority = BELOW});
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        ant_pid client = puppet_create("client", own[i]), pid = 0;
        int level = own[i] > FIXTURE_PRIORITY ? own[i] : FIXTURE_PRIORITY;
        struct ant_request *rq = lend(client);
        assert_ok(puppet_swap(mortal_pid, FN_OTHER, &mortal_one_again, NULL, NULL));
        assert_level(mortal_pid, level);
        assert_ok(puppet_serve(mortal_pid, FN_EXTRA, &mortal_one,
                               &(struct ant_server_options){.priority = BELOW}, &pid));
        assert_level(mortal_pid, level);
        assert_error(puppet_serve(mortal_pid, FN_EXTRA, &mortal_one, NULL, NULL), EEXIST);
        assert_level(mortal_pid, level);
        take_back(client, rq);
        assert_level(client, own[i]);
        assert_ok(ant_stop(pid, SOON, NULL));
        puppet_dismiss(client);
    }
}

/* ---- calls within calls ---- */

static void calls_within_calls_run_on_one_thread(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", BELOW),
            second = serve(FN_OTHER, &lent_one, &(struct ant_server_options){.priority = ABOVE}),
            third = serve(FN_EXTRA, &lent_one, NULL);
    pid_t thread = where_is(client).thread;
    await_rest(second);
    await_rest(third);
    struct ant_request *first_rq = lend(client), *second_rq = begin_call(mortal_pid, FN_OTHER, OP_OBEY);
    assert_int_equal(where_is(second).thread, thread);
    assert_level(second, ABOVE);
    struct ant_request *third_rq = begin_call(second, FN_EXTRA, OP_OBEY);
    assert_int_equal(where_is(third).thread, thread);
    assert_level(third, ABOVE); /* as its client */
    puppet_release(third);
    assert_int_equal(end_call(second, third_rq), 0);
    assert_level(second, ABOVE);
    puppet_release(second);
    assert_int_equal(end_call(mortal_pid, second_rq), 0);
    assert_level(mortal_pid, FIXTURE_PRIORITY);
    take_back(client, first_rq);
    assert_level(client, BELOW);
}

static void in_a_circle_the_last_call_is_queued(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0), other = serve(FN_OTHER, &lent_one, NULL);
    struct ant_request *first = lend(client), *second = begin_call(mortal_pid, FN_OTHER, OP_OBEY);
    puppet_await(other);
    struct ant_request *third = puppet_new_request(other, FN);
    assert_error(puppet_call(other, third, A_WHILE), ETIMEDOUT);
    third->function = FN_OTHER;
    assert_error(puppet_call(other, third, ANT_FOREVER), EDEADLK); /* itself */
    third->function = FN;
    assert_ok(puppet_send(other, third));
    assert_int_equal(info_of(mortal_pid).queued_requests, 1);
    puppet_release(other);
    assert_int_equal(end_call(mortal_pid, second), 0);
    take_back(client, first);
    assert_soon(info_of(other).outstanding == 0);
}

/* ---- what the callback may do ---- */

static void it_may_answer_later(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0), other = puppet_create("other", 0);
    struct ant_pending item;
    size_t count = 0;
    for (int way = 0; way < 2; way++) {
        struct ant_request *kept = begin_call(client, FN, OP_KEEP);
        assert_soon(info_of(mortal_pid).in_service == 1);
        /* from its own thread; from another client's */
        struct ant_request *rq = way == 0 ? make_obey() : lend(other);
        assert_false(puppet_is_idle(client));
        assert_ok(puppet_pending(mortal_pid, ANT_IN_SERVICE, &item, 1, &count));
        assert_int_equal(count, 2);
        assert_true(item.peer == client);
        assert_ok(puppet_reply(mortal_pid, item.request, 5));
        assert_int_equal(puppet_end(client), 0);
        assert_int_equal(kept->status, 5);
        assert_ok(puppet_request_free(client, kept));
        if (way == 0) {
            puppet_release(mortal_pid);
            take_answer(rq, 1);
        } else {
            take_back(other, rq);
        }
    }
}

static void results_of_what_it_sends_come_to_the_server(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0), driver = puppet_create("driver", 0);
    struct ant_pending item;
    size_t count = 0;
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    puppet_await(client);
    size_t before = free_pages();
    struct ant_request *rq = begin_call(client, FN, OP_ERRAND);
    assert_soon(info_of(driver).queued_requests == 1 && info_of(mortal_pid).outstanding == 1);
    assert_ok(puppet_reply(driver, puppet_take_request(driver), 0));
    assert_soon(info_of(mortal_pid).outstanding == 0 && info_of(mortal_pid).queued_results == 0);
    assert_soon(info_of(mortal_pid).pages == MORTAL_STATE_PAGES + 1); /* its `result` has freed them */
    struct ant_request *busy = make_obey();
    assert_ok(puppet_pending(mortal_pid, ANT_IN_SERVICE, &item, 1, &count));
    assert_ok(puppet_reply(mortal_pid, item.request, 0));
    puppet_release(mortal_pid);
    take_answer(busy, 1);
    assert_int_equal(end_call(client, rq), 0);
    assert_int_equal(free_pages(), before);
}

static void results_that_come_meanwhile_wait(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0), driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    struct ant_request *rq = lend(client), *errand = puppet_new_request(mortal_pid, FN_DRIVER);
    assert_ok(puppet_send(mortal_pid, errand));
    assert_ok(puppet_reply(driver, puppet_take_request(driver), 0));
    assert_int_equal(info_of(mortal_pid).queued_results, 1);
    struct ant_request *queued = send_op(OP_COUNT, 1);
    assert_int_equal(info_of(mortal_pid).queued_requests, 1);
    take_back(client, rq);
    take_answer(queued, 1); /* its own thread was woken for both */
    assert_int_equal(info_of(mortal_pid).queued_results, 0);
    assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
    assert_true(lends(client, FN, mortal_pid, ANT_FOREVER));
}

static void it_may_sleep_and_compute_and_call(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0), driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    mortal.time_ns = US(300);
    struct ant_request *rq = begin_call(client, FN, OP_SLEEP);
    assert_int_equal(end_call(client, rq), 0);
    rq = begin_call(client, FN, OP_WORK);
    assert_int_equal(end_call(client, rq), 0);
    rq = begin_call(client, FN, OP_ASK); /* a server with a thread of its own */
    assert_soon(info_of(driver).queued_requests == 1);
    assert_ok(puppet_reply(driver, puppet_take_request(driver), 0));
    assert_int_equal(end_call(client, rq), 0);
    rq = lend(client);
    struct ant_request *question = puppet_new_request(mortal_pid, FN_DRIVER);
    assert_error(puppet_call(mortal_pid, question, A_WHILE), ETIMEDOUT);
    puppet_begin_call(mortal_pid, question, SOON);
    assert_ok(puppet_reply(driver, puppet_take_request(driver), 9));
    assert_int_equal(puppet_end(mortal_pid), 0);
    assert_int_equal(question->status, 9);
    assert_error(puppet_call(mortal_pid, question, 0), ETIMEDOUT);
    puppet_begin_call(mortal_pid, question, A_WHILE); /* in service when its time is over */
    struct ant_request *at_driver = puppet_take_request(driver);
    assert_was(ant_call, puppet_end(mortal_pid), EINPROGRESS);
    assert_ok(puppet_reply(driver, at_driver, 0));
    take_back(client, rq);
    assert_soon(info_of(mortal_pid).pages == MORTAL_STATE_PAGES); /* `result` has freed the question */
}

static void to_receive_is_the_loop_s(void **state)
{
    (void)state;
    struct ant_message message;
    ant_pid client = puppet_create("client", 0);
    struct ant_request *rq = lend(client);
    assert_error(puppet_receive(mortal_pid, &message, 0), EPERM);
    assert_error(puppet_swap_accept(mortal_pid), EINVAL);
    take_back(client, rq);
    rq = make_obey(); /* on the server's own thread as well */
    assert_error(puppet_receive(mortal_pid, &message, ANT_FOREVER), EPERM);
    puppet_release(mortal_pid);
    take_answer(rq, 1);
}

static void a_loop_of_its_own_cannot_permit_it(void **state)
{
    (void)state;
    struct ant_program loop = mortal_loop;
    loop.direct = true;
    assert_error(ant_serve(FN_OTHER, &loop, NULL, NULL), EINVAL);
    assert_error(ant_swap(FN, &loop, NULL, NULL), EINVAL);
}

/* ---- order ---- */

static int send_many_and_call(void *arg)
{
    struct ant_request *rq;
    (void)arg;
    for (uint64_t i = 0; i < 5; i++) {
        expect_ok(ant_request_new(FN, &rq));
        rq->cookie = i;
        if (i < 4)
            expect_ok(ant_send(rq));
    }
    expect_ok(ant_call(rq, ANT_FOREVER));
    expect_ok(ant_request_free(rq));
    return 0;
}

static void what_was_sent_before_is_served_before(void **state)
{
    (void)state;
    static const int priorities[] = {BELOW, FIXTURE_PRIORITY, ABOVE};
    for (size_t i = 0; i < sizeof priorities / sizeof *priorities; i++) {
        ant_pid client = puppet_create("client", priorities[i]);
        mortal.seen_count = 0;
        assert_int_equal(puppet_do(client, send_many_and_call, NULL), 0);
        assert_int_equal(mortal.seen_count, 5);
        for (uint32_t j = 0; j < 5; j++)
            assert_int_equal(mortal.seen[j].cookie, j);
        for (int j = 0; j < 4; j++)
            assert_ok(puppet_request_free(client, puppet_take_result(client)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        lent_test(it_runs_on_the_client_s_thread_in_the_server_s_identity),
        lent_test(the_process_that_booted_may_be_the_client),
        lent_test(the_callback_may_not_end_the_core_and_its_exit_is_not_the_first_process_s),
        lent_test(without_permission_the_server_s_own_thread_serves),
        bare_mortal_test(on_virtual_the_config_must_want_it),
        lent_test(with_a_time_limit_it_is_not_made),
        lent_test(while_the_server_is_busy_it_is_not_made),
        lent_test(a_program_that_is_observed_is_served_by_its_own_thread),
        lent_test(a_new_server_that_is_not_registered_yet_makes_none),
        lent_test(with_little_stack_left_it_is_not_made),
        lent_test(a_client_below_is_raised_for_the_call),
        lent_test(a_client_above_stays_there),
        lent_test(what_the_client_s_priority_is_set_to_meanwhile_holds_afterwards),
        lent_test(what_the_server_s_priority_is_set_to_meanwhile_is_not_the_client_s),
        lent_test(in_one_call_priorities_may_change_again_and_again),
        lent_test(a_callback_that_swaps_or_serves_leaves_the_client_s_priority_alone),
        lent_test(calls_within_calls_run_on_one_thread),
        lent_test(in_a_circle_the_last_call_is_queued),
        lent_test(it_may_answer_later),
        lent_test(results_of_what_it_sends_come_to_the_server),
        lent_test(results_that_come_meanwhile_wait),
        lent_test(it_may_sleep_and_compute_and_call),
        lent_test(to_receive_is_the_loop_s),
        lent_test(a_loop_of_its_own_cannot_permit_it),
        lent_test(what_was_sent_before_is_served_before),
    };
    return cmocka_run_group_tests_name("direct", tests, NULL, NULL);
}
