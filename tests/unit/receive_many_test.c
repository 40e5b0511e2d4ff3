/* ctest: machines=virtual,real movers=strict,strict-mremap,flat,copy */
/*
 * Many messages at once: what ant_receive_many takes, in which order, what it leaves, and whose it is then.
 *
 * Client and server are puppets (puppet.h), as in request_test.c.
 */
#include "mortal.h"

#include <pthread.h>

enum { ROOM = 8 };

static ant_pid client, server;

static int setup(void **state)
{
    fixture_setup(state);
    client = puppet_create("client", 0);
    server = puppet_create("server", 0);
    assert_ok(puppet_function_add(server, FN));
    return 0;
}

#define many_test(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

/* ---- the call, made by a puppet ---- */

struct many {
    struct ant_message *messages;
    size_t capacity;
    size_t *count;
    int64_t timeout_ns;
};

static int act_receive_many(void *arg)
{
    struct many *m = arg;
    return ant_receive_many(m->messages, m->capacity, m->count, m->timeout_ns);
}

static int puppet_receive_many(ant_pid pid, struct ant_message *messages, size_t capacity,
                               size_t *count, int64_t timeout_ns)
{
    return puppet_do(pid, act_receive_many, &(struct many){messages, capacity, count, timeout_ns});
}

/* What a puppet has received last, at the places where its messages were put. */
static struct ant_message got[ROOM];
static size_t got_count;

static void forget_got(void)
{
    for (int i = 0; i < ROOM; i++)
        got[i] = (struct ant_message){(enum ant_message_kind)77, NULL};
    got_count = 55;
}

/* Asserts that so many came, and that nothing was written behind them. */
static void receive_many(ant_pid pid, size_t capacity, size_t count)
{
    forget_got();
    assert_ok(puppet_receive_many(pid, got, capacity, &got_count, SOON));
    assert_int_equal(got_count, count);
    for (size_t i = count; i < ROOM; i++)
        assert_int_equal(got[i].kind, 77);
}

static void assert_got(size_t at, enum ant_message_kind kind, uint64_t cookie)
{
    assert_int_equal(got[at].kind, kind);
    assert_non_null(got[at].request);
    assert_true(got[at].request->cookie == cookie);
}

/* ---- the client's side ---- */

/* Sends count requests to a function, the first with this cookie, the next with the next. */
static void send_some(struct ant_request **rq, uint32_t function, int count, uint64_t cookie)
{
    for (int i = 0; i < count; i++) {
        rq[i] = puppet_new_request(client, function);
        rq[i]->cookie = cookie + (uint64_t)i;
        assert_ok(puppet_send(client, rq[i]));
    }
}

/* The results of requests, in the order in which they were answered, here that in which they were sent. */
static void take_results(struct ant_request **rq, int count)
{
    for (int i = 0; i < count; i++) {
        assert_ptr_equal(puppet_take_result(client), rq[i]);
        assert_ok(puppet_request_free(client, rq[i]));
    }
}

static void answer_got(ant_pid pid)
{
    for (size_t i = 0; i < got_count; i++)
        assert_ok(puppet_reply(pid, got[i].request, 0));
}

/* ---- what it takes ---- */

static void all_that_are_queued_come_at_once_in_the_order_sent(void **state)
{
    (void)state;
    struct ant_request *rq[5];
    for (int round = 0; round < 3; round++) {
        send_some(rq, FN, 5, 10);
        assert_int_equal(info_of(server).queued_requests, 5);
        receive_many(server, ROOM, 5);
        for (size_t i = 0; i < 5; i++) {
            assert_got(i, ANT_REQUEST, 10 + i);
            assert_true(got[i].request->peer == client);
        }
        assert_int_equal(info_of(server).queued_requests, 0);
        answer_got(server);
        take_results(rq, 5);
    }
}

static void more_than_there_is_room_for_stay_queued(void **state)
{
    (void)state;
    struct ant_request *rq[6];
    send_some(rq, FN, 6, 0);
    static const size_t room[] = {1, 3, 2};
    size_t next = 0;
    for (size_t turn = 0; turn < sizeof room / sizeof *room; turn++) {
        receive_many(server, room[turn], room[turn]);
        for (size_t i = 0; i < room[turn]; i++)
            assert_got(i, ANT_REQUEST, next++);
        assert_int_equal(info_of(server).queued_requests, 6 - next);
        assert_int_equal(info_of(server).in_service, room[turn]);
        answer_got(server);
    }
    struct ant_message message;
    assert_error(puppet_receive(server, &message, 0), ETIMEDOUT); /* none came twice */
    take_results(rq, 6);
}

static void what_one_call_leaves_a_plain_one_receives(void **state)
{
    (void)state;
    struct ant_request *rq[3];
    send_some(rq, FN, 3, 0);
    receive_many(server, 2, 2);
    struct ant_request *last = puppet_take_request(server);
    assert_true(last->cookie == 2);
    answer_got(server);
    assert_ok(puppet_reply(server, last, 0));
    take_results(rq, 3);
}

static void results_come_before_requests(void **state)
{
    (void)state;
    /* The server is the client's client, too. */
    struct ant_request *up[3], *down[2];
    assert_ok(puppet_function_add(client, FN_OTHER));
    for (int i = 0; i < 2; i++) {
        down[i] = puppet_new_request(server, FN_OTHER);
        down[i]->cookie = (uint64_t)(100 + i);
        assert_ok(puppet_send(server, down[i]));
    }
    send_some(up, FN, 3, 200);     /* requests first ... */
    receive_many(client, ROOM, 2); /* ... then the answers to what it has asked itself */
    assert_int_equal(got[0].kind, ANT_REQUEST);
    answer_got(client);
    assert_int_equal(info_of(server).queued_requests, 3);
    assert_int_equal(info_of(server).queued_results, 2);

    receive_many(server, 1, 1); /* no room for more */
    assert_got(0, ANT_RESULT, 100);
    assert_ptr_equal(got[0].request, down[0]);
    receive_many(server, 3, 3);
    assert_got(0, ANT_RESULT, 101);
    assert_ptr_equal(got[0].request, down[1]);
    assert_got(1, ANT_REQUEST, 200);
    assert_got(2, ANT_REQUEST, 201);
    assert_int_equal(info_of(server).in_service, 2); /* a result is in nobody's service */
    assert_ok(puppet_reply(server, got[1].request, 0));
    assert_ok(puppet_reply(server, got[2].request, 0));
    receive_many(server, ROOM, 1);
    assert_got(0, ANT_REQUEST, 202);
    answer_got(server);
    take_results(up, 3);
    for (int i = 0; i < 2; i++)
        assert_ok(puppet_request_free(server, down[i]));
}

static void results_of_many_come_at_once_too(void **state)
{
    (void)state;
    struct ant_request *rq[4];
    static const size_t order[4] = {3, 1, 0, 2};
    send_some(rq, FN, 4, 0);
    receive_many(server, ROOM, 4);
    for (int i = 0; i < 4; i++)
        assert_ok(puppet_reply(server, got[order[i]].request, (int32_t)order[i]));
    receive_many(client, ROOM, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_got(i, ANT_RESULT, order[i]);
        assert_ptr_equal(got[i].request, rq[order[i]]);
        assert_int_equal(rq[order[i]]->status, order[i]);
        assert_ok(puppet_request_free(client, rq[order[i]])); /* the client's again */
    }
}

static void one_withdrawn_is_not_among_them(void **state)
{
    (void)state;
    struct ant_request *rq[3];
    send_some(rq, FN, 3, 0);
    assert_ok(puppet_cancel(client, rq[1]));
    receive_many(server, ROOM, 2);
    assert_got(0, ANT_REQUEST, 0);
    assert_got(1, ANT_REQUEST, 2);
    assert_error(puppet_cancel(client, rq[2]), EINPROGRESS);
    answer_got(server);
    assert_ok(puppet_request_free(client, rq[1]));
    rq[1] = rq[2];
    take_results(rq, 2);
}

static void it_waits_for_the_first_and_for_no_other(void **state)
{
    (void)state;
    struct ant_request *rq[3];
    struct many wait = {got, ROOM, &got_count, SOON};
    forget_got();
    puppet_begin(server, act_receive_many, &wait);
    send_some(rq, FN, 1, 0);
    assert_int_equal(puppet_end(server), 0);
    assert_int_equal(got_count, 1);
    assert_got(0, ANT_REQUEST, 0);
    send_some(rq + 1, FN, 2, 1); /* too late for that call */
    assert_int_equal(got[1].kind, 77);
    assert_int_equal(info_of(server).queued_requests, 2);
    answer_got(server);
    receive_many(server, ROOM, 2);
    answer_got(server);
    take_results(rq, 3);
}

static void it_gives_up_at_its_time_limit(void **state)
{
    (void)state;
    forget_got();
    assert_error(puppet_receive_many(server, got, ROOM, &got_count, 0), ETIMEDOUT);
    uint64_t before_ns = ant_now();
    assert_error(puppet_receive_many(server, got, ROOM, &got_count, A_WHILE), ETIMEDOUT);
    assert_true(ant_now() - before_ns >= (uint64_t)A_WHILE);
    assert_int_equal(got_count, 55); /* outputs only on success */
    assert_int_equal(got[0].kind, 77);
}

/* ---- whose it is then ---- */

static void all_received_are_in_service_and_answered_in_any_order(void **state)
{
    (void)state;
    struct ant_request *rq[4];
    struct ant_pending items[ROOM];
    size_t count;
    static const size_t order[4] = {2, 0, 3, 1};
    send_some(rq, FN, 4, 10);
    assert_ok(puppet_pending(server, ANT_IN_SERVICE, items, ROOM, &count));
    assert_int_equal(count, 0);
    receive_many(server, ROOM, 4);
    assert_int_equal(info_of(server).in_service, 4);
    assert_ok(puppet_pending(server, ANT_IN_SERVICE, items, ROOM, &count));
    assert_int_equal(count, 4);
    for (size_t i = 0; i < 4; i++) { /* oldest first */
        assert_ptr_equal(items[i].request, got[i].request);
        assert_true(items[i].cookie == 10 + i);
        assert_true(items[i].peer == client);
        assert_error(puppet_cancel(client, rq[i]), EINPROGRESS);
    }
    for (uint32_t i = 0; i < 4; i++) {
        assert_ok(puppet_reply(server, got[order[i]].request, (int32_t)order[i]));
        assert_int_equal(info_of(server).in_service, 3 - i);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(puppet_take_result(client), rq[order[i]]);
        assert_int_equal(rq[order[i]]->status, order[i]);
        assert_ok(puppet_request_free(client, rq[order[i]]));
    }
}

static void assert_filled(const unsigned char *area, size_t pages, int value)
{
    for (size_t i = 0; i < pages * ANT_PAGE_BYTES; i++)
        if (area[i] != value)
            fail_msg("byte %zu differs", i);
}

static void the_data_areas_of_all_are_the_receivers(void **state)
{
    (void)state;
    static const size_t pages[] = {1, 3, 256, 0, 7};
    enum { COUNT = sizeof pages / sizeof *pages };
    struct ant_request *rq[COUNT];
    void *data[COUNT];
    struct ant_ica_info info;
    size_t all = COUNT, before = info_of(server).pages;
    for (int i = 0; i < COUNT; i++) {
        rq[i] = puppet_new_request(client, FN);
        data[i] = pages[i] > 0 ? puppet_new_area(client, pages[i]) : NULL;
        if (data[i])
            memset(data[i], 'a' + i, pages[i] * ANT_PAGE_BYTES);
        rq[i]->data = data[i];
        all += pages[i];
        assert_ok(puppet_send(client, rq[i]));
    }
    receive_many(server, ROOM, COUNT);
    assert_int_equal(info_of(server).pages, before + all);
    for (int i = 0; i < COUNT; i++) {
        if (!data[i]) {
            assert_null(got[i].request->data);
            continue;
        }
        assert_ok(puppet_ica_info(server, got[i].request->data, &info));
        assert_int_equal(info.pages, pages[i]);
        assert_filled(got[i].request->data, pages[i], 'a' + i);
        memset(got[i].request->data, 'A' + i, pages[i] * ANT_PAGE_BYTES);
    }
    for (int i = COUNT; i-- > 0;)
        assert_ok(puppet_reply(server, got[i].request, 0));
    for (int i = COUNT; i-- > 0;) {
        assert_ptr_equal(puppet_take_result(client), rq[i]);
        assert_ptr_equal(rq[i]->data, data[i]);
        if (data[i]) {
            assert_filled(data[i], pages[i], 'A' + i);
            assert_ok(puppet_ica_free(client, data[i]));
        }
        assert_ok(puppet_request_free(client, rq[i]));
    }
    assert_int_equal(info_of(server).pages, before);
}

/* ---- stops and swaps ---- */

static int obey(struct ant_server *self)
{
    (void)self;
    return puppet_obey(); /* a server's own loop that does what the test says */
}

static const struct ant_program holder = {.abi = ANT_ABI, .name = "holder", .version = 1, .run = obey},
                                successor = {
                                    .abi = ANT_ABI, .name = "successor", .version = 2, .run = obey};

static void a_stop_comes_alone_and_first_and_is_not_used_up(void **state)
{
    (void)state;
    struct ant_request *rq[3];
    ant_pid stopped = serve(FN_OTHER, &holder, NULL), stopper = puppet_create("stopper", 0);
    puppet_begin_sleep(stopped, UINT64_MAX);
    send_some(rq, FN_OTHER, 3, 0);
    puppet_begin_stop(stopper, stopped, SOON, NULL);
    assert_int_equal(puppet_end(stopped), -ESHUTDOWN); /* now it has been asked to */
    for (int i = 0; i < 2; i++) {
        receive_many(stopped, ROOM, 1);
        assert_int_equal(got[0].kind, ANT_STOP);
        assert_null(got[0].request);
    }
    assert_int_equal(info_of(stopped).queued_requests, 3);
    puppet_release(stopped);
    assert_int_equal(puppet_end(stopper), 0);
    receive_many(client, ROOM, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_got(i, ANT_RESULT, i);
        assert_int_equal(rq[i]->error, -ESHUTDOWN);
        assert_ok(puppet_request_free(client, rq[i]));
    }
}

static void a_swap_comes_alone_and_first_and_hands_over_what_is_received_and_what_is_queued(void **state)
{
    (void)state;
    struct ant_request *rq[5];
    struct ant_pending items[ROOM];
    struct ant_swap_report report;
    size_t count;
    ant_pid swapped = serve(FN_OTHER, &holder, NULL), requester = puppet_create("requester", 0);
    send_some(rq, FN_OTHER, 5, 0);
    receive_many(swapped, 2, 2);
    struct ant_request *first[2] = {got[0].request, got[1].request};
    puppet_begin_swap(requester, FN_OTHER, &successor, NULL, &report);
    assert_soon(steps_in_trace(ANT_SWAP_NOTIFY, 2) == 1);
    for (int i = 0; i < 2; i++) {
        receive_many(swapped, ROOM, 1);
        assert_int_equal(got[0].kind, ANT_SWAP);
        assert_null(got[0].request);
    }
    puppet_begin_swap_accept(swapped);
    assert_int_equal(puppet_end(requester), 0);
    assert_int_equal(report.queued_requests.handed_over, 3);
    assert_int_equal(report.in_service.handed_over, 2);

    assert_ok(puppet_pending(swapped, ANT_IN_SERVICE, items, ROOM, &count)); /* by the successor */
    assert_int_equal(count, 2);
    for (int i = 0; i < 2; i++) {
        assert_ptr_equal(items[i].request, first[i]);
        assert_ok(puppet_reply(swapped, first[i], 0));
    }
    receive_many(swapped, ROOM, 3);
    for (size_t i = 0; i < 3; i++)
        assert_got(i, ANT_REQUEST, 2 + i);
    answer_got(swapped);
    take_results(rq, 5);
}

/* ---- watched and observed servers ---- */

static uint64_t piece_ns;
static size_t batch;

/* Takes piece_ns for each message. */
static int work_off(struct ant_server *self)
{
    (void)self;
    for (;;) {
        struct ant_message messages[ROOM];
        size_t count;
        if (expect_ok(ant_receive_many(messages, batch, &count, ANT_FOREVER)) != 0)
            return -1;
        for (size_t i = 0; i < count; i++) {
            if (messages[i].kind == ANT_STOP)
                return 0;
            if (ant_work(piece_ns) == 0)
                expect_ok(ant_reply(messages[i].request, 0));
        }
    }
}

static const struct ant_program worker = {.abi = ANT_ABI, .name = "worker", .version = 1, .run = work_off};

/* The boss sends so many requests to FN, below him, before any is received; each has this error in the end. */
static void assert_worked_off(int count, const int *errors)
{
    struct ant_request *rq[ROOM];
    for (int i = 0; i < count; i++) {
        rq[i] = new_request(FN);
        assert_ok(ant_send(rq[i]));
    }
    for (int i = 0; i < count; i++) {
        assert_ptr_equal(boss_result(), rq[i]);
        assert_int_equal(rq[i]->error, errors[i]);
        assert_ok(ant_request_free(rq[i]));
    }
}

static void a_watchdog_s_time_runs_for_all_of_them(void **state)
{
    (void)state;
    fixture_boot_exact(NULL); /* only there is the time of each known */
    int64_t limit_ns = 10 * (int64_t)ANT_NS_PER_MS;
    piece_ns = (uint64_t)limit_ns * 2 / 5;
    ant_pid watched =
        serve(FN, &worker,
              &(struct ant_server_options){.watchdog_ns = limit_ns, .priority = FIXTURE_PRIORITY - 1});
    batch = 2; /* within the limit, and the next two have one of their own */
    assert_worked_off(6, (int[6]){0});
    batch = 3; /* not within it, although each by itself is */
    uint64_t sent_ns = ant_now();
    assert_worked_off(3, (int[3]){0, 0, -EOWNERDEAD});
    assert_true(ant_now() == sent_ns + (uint64_t)limit_ns);
    await_death(watched);
}

static const struct ant_timing observing = {.observe = true};
static const struct ant_program observed = {
    .abi = ANT_ABI, .name = "observed", .version = 1, .run = obey, .timing = &observing};

static void an_observed_server_gets_one_at_a_time(void **state)
{
    (void)state;
    struct ant_request *rq[3];
    ant_pid timed = serve(FN_OTHER, &observed, NULL);
    send_some(rq, FN_OTHER, 3, 0);
    for (uint64_t i = 0; i < 3; i++) {
        receive_many(timed, ROOM, 1);
        assert_got(0, ANT_REQUEST, i);
        answer_got(timed);
    }
    take_results(rq, 3);
}

/* ---- what is refused ---- */

static void nonsense_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    struct ant_request *rq[2];
    send_some(rq, FN, 2, 0);
    forget_got();
    assert_error(puppet_receive_many(server, NULL, ROOM, &got_count, 0), EINVAL);
    assert_error(puppet_receive_many(server, got, 0, &got_count, 0), EINVAL);
    assert_error(puppet_receive_many(server, got, ROOM, NULL, 0), EINVAL);
    assert_int_equal(got_count, 55);
    assert_int_equal(got[0].kind, 77);
    assert_int_equal(info_of(server).queued_requests, 2);
    receive_many(server, ROOM, 2);
    answer_got(server);
    take_results(rq, 2);
}

static void a_room_as_large_as_can_be_is_no_nonsense(void **state)
{
    (void)state;
    struct ant_request *rq[2];
    send_some(rq, FN, 2, 0);
    receive_many(server, SIZE_MAX, 2); /* two there are, and they have room */
    answer_got(server);
    take_results(rq, 2);
}

static void a_deadlock_is_found(void **state)
{
    (void)state;
    fixture_boot_exact(NULL);
    forget_got();
    assert_error(ant_receive_many(got, ROOM, &got_count, ANT_FOREVER), EDEADLK);
    assert_int_equal(got_count, 55);
}

static void *from_outside(void *arg)
{
    expect_error(ant_receive_many(arg, ROOM, &got_count, 0), EPERM);
    return NULL;
}

static void a_thread_that_is_no_process_is_refused(void **state)
{
    (void)state;
    pthread_t thread;
    forget_got();
    assert_int_equal(pthread_create(&thread, NULL, from_outside, got), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(got_count, 55);
}

static void a_new_server_is_refused_until_it_is_registered(void **state)
{
    (void)state;
    static const struct ant_program slow_start = {
        .abi = ANT_ABI, .name = "slow", .version = 2, .start = obey_in_start, .run = obey};
    struct ant_request *rq[2];
    ant_pid swapped = serve(FN_OTHER, &holder, NULL), requester = puppet_create("requester", 0);
    send_some(rq, FN_OTHER, 2, 0);
    puppet_begin_swap(requester, FN_OTHER, &slow_start, NULL, NULL);
    assert_soon(steps_in_trace(ANT_SWAP_NOTIFY, 2) == 1);
    receive_many(swapped, ROOM, 1);
    assert_int_equal(got[0].kind, ANT_SWAP);
    puppet_begin_swap_accept(swapped);
    puppet_await(swapped); /* the new one, in its start */
    forget_got();
    assert_error(puppet_receive_many(swapped, got, ROOM, &got_count, 0), EPERM);
    assert_int_equal(got_count, 55);
    puppet_release(swapped);
    assert_int_equal(puppet_end(requester), 0);
    receive_many(swapped, ROOM, 2);
    answer_got(swapped);
    take_results(rq, 2);
}

static void obey_and_answer(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    expect_ok(puppet_obey());
    expect_ok(ant_reply(rq, 0));
}

static void a_program_that_permits_direct_calls_leaves_receiving_to_the_library(void **state)
{
    (void)state;
    static const struct ant_program direct = {
        .abi = ANT_ABI, .name = "direct", .version = 1, .request = obey_and_answer, .direct = true};
    struct ant_request *rq[2];
    ant_pid lent = serve(FN_OTHER, &direct, NULL);
    send_some(rq, FN_OTHER, 2, 0); /* the second is there to be taken, but not by the callback */
    forget_got();
    assert_error(puppet_receive_many(lent, got, ROOM, &got_count, 0), EPERM);
    assert_int_equal(got_count, 55);
    assert_int_equal(info_of(lent).queued_requests, 1);
    for (int i = 0; i < 2; i++)
        puppet_release(lent);
    take_results(rq, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        many_test(all_that_are_queued_come_at_once_in_the_order_sent),
        many_test(more_than_there_is_room_for_stay_queued),
        many_test(what_one_call_leaves_a_plain_one_receives),
        many_test(results_come_before_requests),
        many_test(results_of_many_come_at_once_too),
        many_test(one_withdrawn_is_not_among_them),
        many_test(it_waits_for_the_first_and_for_no_other),
        many_test(it_gives_up_at_its_time_limit),
        many_test(all_received_are_in_service_and_answered_in_any_order),
        many_test(the_data_areas_of_all_are_the_receivers),
        many_test(a_stop_comes_alone_and_first_and_is_not_used_up),
        many_test(a_swap_comes_alone_and_first_and_hands_over_what_is_received_and_what_is_queued),
        bare_mortal_test(a_watchdog_s_time_runs_for_all_of_them),
        many_test(an_observed_server_gets_one_at_a_time),
        many_test(nonsense_is_refused_and_changes_nothing),
        many_test(a_room_as_large_as_can_be_is_no_nonsense),
        bare_mortal_test(a_deadlock_is_found),
        many_test(a_thread_that_is_no_process_is_refused),
        many_test(a_new_server_is_refused_until_it_is_registered),
        many_test(a_program_that_permits_direct_calls_leaves_receiving_to_the_library),
    };
    return cmocka_run_group_tests_name("receive_many", tests, NULL, NULL);
}
