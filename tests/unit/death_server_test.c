/* ctest: machines=virtual,real movers=strict,flat timeout=240 */
/* The death of a server: what it keeps, what becomes of what it had in service and had sent, and how it is replaced. */
#include "mortal.h"

/* ---- the death of a server ---- */

static void a_dead_server_keeps_its_place(void **state)
{
    (void)state;
    assert_int_equal(ask(FN, OP_COUNT).count, 0);
    struct ant_process_info before = info_of(mortal_pid);
    mortal_kill();
    struct ant_process_info info = info_of(mortal_pid);
    assert_true(info.dead);
    assert_false(before.dead);
    assert_int_equal(info.generation, 1);
    assert_int_equal(info.version, 1);
    assert_int_equal(info.priority, before.priority);
    assert_int_equal(info.pages, MORTAL_STATE_PAGES);
    ant_pid found = 0;
    assert_ok(ant_lookup(FN, &found));
    assert_true(found == mortal_pid);
    assert_error(ant_function_add(FN), EEXIST);
    assert_error(ant_wait(mortal_pid, 0, NULL), ETIMEDOUT); /* it has not ended */
    assert_error(ant_serve(FN, &mortal_one, NULL, NULL), EEXIST);
}

static void a_server_may_be_killed_wherever_it_is(void **state)
{
    (void)state;
    static const uint32_t places[] = {OP_SLEEP, OP_WORK, OP_ASK, OP_OBEY, OP_DIE};
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    assert_ok(ant_priority_set(mortal_pid, FIXTURE_PRIORITY - 1));
    for (uint32_t i = 0; i < sizeof places / sizeof *places; i++) {
        mortal.time_ns = UINT64_C(3600) * ANT_NS_PER_S;
        struct ant_request *rq = send_op(places[i], i);
        assert_soon(info_of(mortal_pid).dead || info_of(mortal_pid).in_service == 1);
        if (places[i] == OP_OBEY)
            puppet_await(mortal_pid);
        if (places[i] == OP_ASK) /* before it is sent, the errand is an area like others, and stays */
            assert_soon(info_of(driver).queued_requests == 1);
        if (places[i] == OP_DIE)
            await_death(mortal_pid);
        else
            mortal_kill();
        take_error(rq, -EOWNERDEAD);
        assert_int_equal(info_of(mortal_pid).in_service, 0);
        assert_int_equal(info_of(mortal_pid).outstanding, 0);
        assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
        assert_ok(ant_swap(FN, &mortal_one, &(struct ant_swap_options){.trust_state = true}, NULL));
        assert_serves(1, 2 + i);
    }
    assert_false(atomic_load(&mortal.lived_on));
    assert_int_equal(info_of(driver).queued_requests, 0);
}

static void a_loop_of_its_own_dies_as_well(void **state)
{
    (void)state;
    assert_ok(ant_swap(FN, &mortal_loop, NULL, NULL));
    struct ant_request *busy = make_obey(), *behind = send_op(OP_COUNT, 2);
    mortal_kill();
    take_error(busy, -EOWNERDEAD);
    assert_ok(ant_swap(FN, &mortal_loop, NULL, NULL));
    take_answer(behind, 5);
    mortal_kill(); /* in its ant_receive */
    assert_ok(ant_swap(FN, &mortal_one, NULL, NULL));
    assert_serves(1, 4);
}

static void requests_wait_for_the_successor_in_order(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0), waiting = puppet_create("waiting", 0);
    struct ant_request *busy = make_obey(), *rq[10], *others[10];
    for (uint64_t i = 0; i < 10; i++) {
        if (i == 5)
            mortal_kill();
        rq[i] = send_op(OP_COUNT, i);
        others[i] = puppet_new_request(client, FN);
        others[i]->cookie = 100 + i;
        assert_ok(puppet_send(client, others[i]));
    }
    struct ant_request *sync = puppet_new_request(waiting, FN);
    puppet_begin_call(waiting, sync, ANT_FOREVER);
    assert_soon(info_of(mortal_pid).queued_requests == 21);
    take_error(busy, -EOWNERDEAD);
    mortal.seen_count = 0;
    struct ant_swap_report report;
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, &report));
    assert_restarted(&report, 2);
    assert_int_equal(report.queued_requests.handed_over, 21);
    for (uint32_t i = 0; i < 10; i++)
        take_answer(rq[i], 2);
    for (uint32_t i = 0; i < 10; i++) {
        assert_ptr_equal(puppet_take_result(client), others[i]);
        assert_int_equal(others[i]->error, 0);
        assert_int_equal(mortal.seen[2 * i].cookie, i);
        assert_int_equal(mortal.seen[2 * i + 1].cookie, 100 + i);
    }
    assert_int_equal(puppet_end(waiting), 0);
    assert_int_equal(sync->error, 0);
}

static void what_waits_for_a_successor_can_be_taken_back(void **state)
{
    (void)state;
    mortal_kill();
    struct ant_request *rq = new_request(FN), *sent = send_op(OP_COUNT, 2);
    rq->data = new_area(3);
    void *data = rq->data;
    assert_error(ant_call(rq, A_WHILE), ETIMEDOUT);
    assert_int_equal(rq->error, -ETIMEDOUT);
    assert_ptr_equal(rq->data, data);
    assert_int_equal(info_of(mortal_pid).queued_requests, 1);
    assert_ok(ant_cancel(sent));
    assert_int_equal(info_of(mortal_pid).queued_requests, 0);
    assert_ok(ant_ica_free(data));
    assert_ok(ant_request_free(rq));
    assert_ok(ant_request_free(sent));
    assert_int_equal(own_pages(), 0);
}

static void death_fail_answers_and_refuses(void **state)
{
    (void)state;
    fixture_boot(NULL);
    mortal_begin(&(struct ant_server_options){.on_death = ANT_DEATH_FAIL});
    struct ant_request *busy = send_to(FN, OP_OBEY, 1, ANT_REPEATABLE),
                       *queued = send_to(FN, OP_COUNT, 2, ANT_REPEATABLE);
    puppet_await(mortal_pid);
    mortal_kill();
    take_error(busy, -EOWNERDEAD);
    take_error(queued, -EOWNERDEAD);
    struct ant_request *rq = new_request(FN);
    void *data = rq->data = new_area(2);
    rq->cookie = 77;
    assert_error(ant_send(rq), EOWNERDEAD);
    assert_error(ant_call(rq, SOON), EOWNERDEAD);
    assert_ptr_equal(rq->data, data);
    assert_true(rq->cookie == 77);
    assert_int_equal(rq->error, 0); /* nothing was sent */
    assert_int_equal(own_pages(), 3);
    assert_int_equal(info_of(mortal_pid).queued_requests, 0);
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    assert_ok(ant_call(rq, SOON));
    assert_int_equal(answer_in(rq)->version, 2);
    assert_ok(ant_ica_free(rq->data));
    assert_ok(ant_request_free(rq));
    mortal_kill(); /* its successor has the same options */
    rq = new_request(FN);
    assert_error(ant_send(rq), EOWNERDEAD);
    assert_ok(ant_request_free(rq));
}

/* ---- what it had in service ---- */

static struct ant_request *send_marked(uint32_t operation, uint64_t cookie, uint32_t flags)
{
    struct ant_request *rq = new_request(FN);
    rq->operation = operation;
    rq->cookie = cookie;
    rq->flags = flags;
    rq->data = new_area(2);
    *(uint32_t *)rq->data = (uint32_t)(1000 + cookie);
    *(uint32_t *)(void *)rq->payload = (uint32_t)(2000 + cookie);
    assert_ok(ant_send(rq));
    return rq;
}

static void repeatable_requests_are_served_again_before_the_queued_ones(void **state)
{
    (void)state;
    struct ant_request *kept[3], *lost, *queued[2];
    void *data[3];
    for (uint64_t i = 0; i < 3; i++)
        kept[i] = send_marked(OP_KEEP_FIRST, i, ANT_REPEATABLE);
    lost = send_marked(OP_KEEP_FIRST, 9, 0);
    struct ant_request *busy = make_obey();
    for (uint64_t i = 0; i < 2; i++)
        queued[i] = send_marked(OP_COUNT, 10 + i, 0);
    assert_int_equal(info_of(mortal_pid).in_service, 5);
    mortal_kill();
    assert_int_equal(info_of(mortal_pid).in_service, 0);
    assert_int_equal(info_of(mortal_pid).queued_requests, 5);
    take_error(busy, -EOWNERDEAD); /* the latest first */
    assert_ptr_equal(boss_result(), lost);
    assert_int_equal(lost->error, -EOWNERDEAD);
    assert_true(lost->cookie == 9 && lost->function == FN && lost->operation == OP_KEEP_FIRST);
    assert_int_equal(*(uint32_t *)lost->data, 1009);
    assert_ok(ant_ica_free(lost->data));
    assert_ok(ant_request_free(lost));
    assert_true(boss_has_no_result());
    mortal.seen_count = 0;
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(boss_result(), kept[i]);
        assert_int_equal(kept[i]->error, 0);
        assert_true(kept[i]->cookie == (uint64_t)i && kept[i]->function == FN);
        assert_int_equal(kept[i]->operation, OP_KEEP_FIRST);
        assert_int_equal(kept[i]->flags, ANT_REPEATABLE);
        assert_int_equal(answer_in(kept[i])->count, i);
        data[i] = kept[i]->data;
        assert_int_equal(*(uint32_t *)data[i], 1000 + i);
        assert_ok(ant_ica_free(data[i]));
        assert_ok(ant_request_free(kept[i]));
    }
    take_answer(queued[0], 2);
    take_answer(queued[1], 2);
    for (uint32_t i = 0; i < 5; i++) {
        struct mortal_request *seen = &mortal.seen[i];
        uint32_t cookie = i < 3 ? i : 10 + i - 3;
        assert_int_equal(seen->cookie, cookie);
        assert_int_equal(seen->function, FN);
        assert_int_equal(seen->operation, i < 3 ? OP_KEEP_FIRST : OP_COUNT);
        assert_int_equal(seen->flags, i < 3 ? ANT_REPEATABLE : 0);
        assert_int_equal(seen->first_data, 1000 + cookie);
        assert_int_equal(seen->first_payload, 2000 + cookie);
    }
    assert_int_equal(mortal.seen_count, 5);
    assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
}

static void a_request_is_repeated_once(void **state)
{
    (void)state;
    struct ant_request *rq = send_marked(OP_OBEY, 1, ANT_REPEATABLE);
    puppet_await(mortal_pid);
    mortal_kill();
    assert_true(boss_has_no_result());
    assert_ok(ant_swap(FN, &mortal_one, NULL, NULL));
    puppet_await(mortal_pid);
    mortal_kill();
    assert_ptr_equal(boss_result(), rq);
    assert_int_equal(rq->error, -EOWNERDEAD);
    assert_int_equal(*(uint32_t *)rq->data, 1001);
    assert_ok(ant_swap(FN, &mortal_one, NULL, NULL));
    assert_ok(ant_send(rq)); /* sent again, it is another request */
    puppet_await(mortal_pid);
    mortal_kill();
    assert_true(boss_has_no_result());
    assert_ok(ant_swap(FN, &mortal_one, NULL, NULL));
    puppet_await(mortal_pid);
    puppet_release(mortal_pid);
    take_answer(rq, 1);
    assert_serves(1, 4);
}

static void a_repeated_request_can_be_withdrawn_or_time_out(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    struct ant_request *sync = puppet_new_request(client, FN),
                       *rq = send_marked(OP_KEEP, 1, ANT_REPEATABLE);
    sync->data = puppet_new_area(client, 1);
    sync->operation = OP_KEEP;
    sync->flags = ANT_REPEATABLE;
    puppet_begin_call(client, sync, on_virtual() ? (int64_t)MS(20) : (int64_t)MS(200));
    assert_soon(info_of(mortal_pid).in_service == 2);
    assert_error(ant_cancel(rq), EINPROGRESS);
    mortal_kill();
    assert_int_equal(info_of(mortal_pid).queued_requests, 2);
    assert_ok(ant_cancel(rq));
    assert_int_equal(*(uint32_t *)rq->data, 1001);
    assert_was(ant_call, puppet_end(client), ETIMEDOUT);
    assert_non_null(sync->data);
    assert_int_equal(info_of(mortal_pid).queued_requests, 0);
    assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
    assert_ok(ant_ica_free(rq->data));
    assert_ok(ant_request_free(rq));
}

static int set_data(void *arg)
{
    struct ant_request *rq = arg;
    rq->data = NULL;
    return 0;
}

static void a_request_whose_data_are_gone_is_not_repeated(void **state)
{
    (void)state;
    enum { FREED, FREED_AND_ITS_PLACE_REUSED, HANDED_ON, FORGOTTEN, REPLACED, WAYS };
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    size_t before = free_pages();
    for (int way = 0; way < WAYS; way++) {
        struct ant_request *rq = send_marked(OP_KEEP, 1, ANT_REPEATABLE), *busy = make_obey(), *errand;
        struct ant_pending item;
        size_t count;
        assert_ok(puppet_pending(mortal_pid, ANT_IN_SERVICE, &item, 1, &count));
        if (way == FREED) {
            assert_ok(puppet_ica_free(mortal_pid, item.request->data));
        } else if (way == FREED_AND_ITS_PLACE_REUSED) {
            assert_ok(puppet_ica_free(mortal_pid, item.request->data));
            while (puppet_new_area(mortal_pid, 1) != item.request->data)
                ;
        } else if (way == HANDED_ON) {
            errand = puppet_new_request(mortal_pid, FN_DRIVER);
            errand->data = item.request->data;
            assert_ok(puppet_send(mortal_pid, errand));
            puppet_take_request(driver);
        } else {
            assert_ok(puppet_do(mortal_pid, set_data, item.request));
            if (way == REPLACED)
                item.request->data = puppet_new_area(mortal_pid, 1);
        }
        mortal_kill();
        take_error(busy, -EOWNERDEAD);
        assert_ptr_equal(boss_result(), rq);
        assert_int_equal(rq->error, -EOWNERDEAD);
        assert_null(rq->data); /* nor does it get what the dead had meant for somebody */
        assert_ok(ant_request_free(rq));
        if (way == HANDED_ON) {
            struct ant_pending taken;
            assert_ok(puppet_pending(driver, ANT_IN_SERVICE, &taken, 1, &count));
            assert_int_equal(count, 1);
            assert_ok(puppet_reply(driver, taken.request, 0));
        }
        assert_ok(ant_swap(FN, &mortal_one, NULL, NULL)); /* what it kept for itself is freed with the rest */
        assert_int_equal(free_pages(), before);
    }
}

static void a_server_that_answers_and_dies_has_answered(void **state)
{
    (void)state;
    struct ant_request *rq = send_marked(OP_KEEP, 1, ANT_REPEATABLE), *busy = make_obey();
    struct ant_pending item;
    size_t count;
    assert_ok(puppet_pending(mortal_pid, ANT_IN_SERVICE, &item, 1, &count));
    assert_ok(puppet_reply(mortal_pid, item.request, 5));
    mortal_kill();
    assert_ptr_equal(boss_result(), rq);
    assert_int_equal(rq->error, 0);
    assert_int_equal(rq->status, 5);
    take_error(busy, -EOWNERDEAD);
    assert_true(boss_has_no_result());
    assert_ok(ant_ica_free(rq->data));
    assert_ok(ant_request_free(rq));
}

/* ---- what it had sent ---- */

static void what_a_dead_server_has_out_is_withdrawn_or_swallowed(void **state)
{
    (void)state;
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    struct ant_request *rq[3], *at_driver[2];
    for (uint64_t i = 0; i < 3; i++)
        rq[i] = send_op(OP_ERRAND, i);
    assert_soon(info_of(driver).queued_requests == 3);
    for (int i = 0; i < 2; i++)
        at_driver[i] = puppet_take_request(driver);
    size_t before = free_pages();
    struct ant_request *busy = make_obey();
    assert_ok(puppet_reply(driver, at_driver[0], 0)); /* this result is queued, and dropped */
    assert_int_equal(info_of(mortal_pid).queued_results, 1);
    mortal_kill();
    take_error(busy, -EOWNERDEAD);
    for (int i = 2; i >= 0; i--)
        take_error(rq[i], -EOWNERDEAD);
    struct ant_process_info info = info_of(mortal_pid);
    assert_int_equal(info.queued_results, 0);
    assert_int_equal(info.outstanding, 0);
    assert_int_equal(info_of(driver).queued_requests, 0);
    assert_int_equal(info_of(driver).in_service, 1);
    assert_int_equal(info.pages, MORTAL_STATE_PAGES + 1); /* of the one that was withdrawn its data are the server's again */
    struct ant_swap_options options = {.trust_state = true};
    assert_ok(ant_swap(FN, &mortal_one_again, &options, NULL));
    assert_ok(puppet_reply(driver, at_driver[1], 0)); /* swallowed: it is not the successor's */
    assert_int_equal(info_of(mortal_pid).queued_results, 0);
    assert_serves(2, 2);
    assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES + 1);
    assert_int_equal(free_pages(), before + 3 + 6 - 1); /* all but the data that were withdrawn */
}

static void a_result_that_it_did_not_live_to_take_is_freed(void **state)
{
    (void)state;
    size_t before = free_pages();
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    assert_ok(ant_priority_set(mortal_pid, ANT_PRIORITY_MIN));
    struct ant_request *rq = send_op(OP_ASK, 1), *at_driver = puppet_take_request(driver);
    at_driver->data = puppet_new_area(driver, 3);
    assert_ok(ant_sleep(ant_now() + MS(1))); /* on `virtual` it waits now, and has not run since when it is killed */
    assert_ok(puppet_reply(driver, at_driver, 0));
    mortal_kill();
    if (on_virtual())
        take_error(rq, -EOWNERDEAD);
    else
        assert_ok(ant_request_free(boss_result()));
    puppet_dismiss(driver);
    if (on_virtual())
        assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
    assert_ok(ant_swap(FN, &mortal_one, NULL, NULL));
    assert_int_equal(free_pages(), before);
}

/* ---- its end ---- */

static void a_dead_server_can_be_stopped(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0), waiter = puppet_create("waiter", 0), found;
    struct ant_request *sync = puppet_new_request(client, FN);
    int status = 0, seen = 0;
    mortal_kill();
    puppet_begin_call(client, sync, ANT_FOREVER);
    puppet_begin_wait(waiter, mortal_pid, ANT_FOREVER, &seen);
    struct ant_request *async = send_marked(OP_COUNT, 2, ANT_REPEATABLE);
    assert_soon(info_of(mortal_pid).queued_requests == 2);
    assert_ok(ant_stop(mortal_pid, SOON, &status));
    assert_int_equal(status, -EOWNERDEAD);
    assert_was(ant_call, puppet_end(client), ESHUTDOWN);
    assert_int_equal(puppet_end(waiter), 0);
    assert_int_equal(seen, -EOWNERDEAD);
    take_error(async, -ESHUTDOWN);
    assert_error(ant_lookup(FN, &found), ESRCH);
    assert_error(ant_stop(mortal_pid, SOON, &status), ESRCH);
    struct ant_process_info info;
    assert_error(ant_process_info(mortal_pid, &info), ESRCH);
    assert_ok(ant_wait(mortal_pid, SOON, &status));
    assert_int_equal(status, -EOWNERDEAD);
    mortal_pid = serve(FN, &mortal_one, NULL); /* its function id is free */
    assert_serves(1, 1);
}

static void a_shutdown_tells_of_dead_servers(void **state)
{
    (void)state;
    struct ant_shutdown_report report;
    fixture_boot(NULL);
    mortal_begin(NULL);
    ant_pid client = puppet_create("client", 0);
    mortal_kill();
    assert_ok(puppet_send(client, puppet_new_request(client, FN)));
    assert_int_equal(end_of(client), -EOWNERDEAD); /* and so is its request */
    struct ant_request *rq = send_op(OP_COUNT, 1);
    assert_int_equal(info_of(mortal_pid).queued_requests, 1);
    (void)rq;
    puppet_fini();
    assert_ok(ant_shutdown(&report));
    assert_int_equal(report.servers_dead, 1);
    assert_int_equal(report.processes_asked, 0);
    assert_int_equal(report.processes_abandoned, 0);
    assert_int_equal(report.requests_unanswered, 1);
    assert_int_equal(report.areas_held, 2);
    assert_int_equal(report.pages_held, MORTAL_STATE_PAGES + 1);
}

static void a_thousand_deaths_leak_nothing(void **state)
{
    (void)state;
    enum { DEATHS = 1000 };
#if defined(__SANITIZE_THREAD__)
    if (!on_virtual())
        skip(); /* nobody is interrupted there: who is killed reads on in what is another's, which is a race, and tested by others */
#endif
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    size_t before = free_pages();
    for (uint32_t i = 0; i < DEATHS; i++) {
        struct ant_request *rq = send_op(i % 2 ? OP_KEEP : OP_ERRAND, i);
        mortal_kill();
        if (boss_has_no_result()) {
            assert_ok(ant_cancel(rq)); /* it had not got so far */
            assert_ok(ant_request_free(rq));
        } else {
            take_error(rq, -EOWNERDEAD);
        }
        struct ant_swap_options options = {.trust_state = i % 3 == 0};
        assert_ok(ant_swap(FN, i % 5 == 0 ? &mortal_loop : &mortal_one_again, &options, NULL));
        if (i % 3 != 0)
            assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
    }
    mortal_kill();
    assert_ok(ant_swap(FN, &mortal_one, NULL, NULL));
    assert_serves(1, DEATHS + 2);
    assert_int_equal(free_pages(), before);
}

/* ---- replacing it ---- */

static const struct ant_swap_options trusted = {.trust_state = true};

static void a_trusted_state_passes_as_it_is(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(ask(FN, OP_COUNT).count, i);
    struct ant_request *busy = make_obey();
    uint32_t *more = puppet_new_area(mortal_pid, 3);
    void *at = puppet_state(mortal_pid), *areas[4];
    *more = 4711;
    mortal_kill();
    take_error(busy, -EOWNERDEAD);
    struct ant_swap_report report;
    uint64_t died_by_ns = ant_now();
    assert_ok(ant_sleep(ant_now() + MS(3)));
    assert_ok(ant_swap(FN, &mortal_one_again, &trusted, &report));
    assert_restarted(&report, 2);
    assert_int_equal(mortal.started.reason, ANT_START_RESTART);
    assert_ptr_equal(mortal.started.state, at);
    assert_int_equal(mortal.started.state_bytes, MORTAL_STATE_PAGES * ANT_PAGE_BYTES);
    assert_int_equal(mortal.started.generation, 2);
    assert_int_equal(mortal.started.function, FN);
    assert_int_equal(report.old_version, 1);
    assert_int_equal(report.new_version, 2);
    assert_int_equal(report.state_bytes, MORTAL_STATE_PAGES * ANT_PAGE_BYTES);
    for (int step = ANT_SWAP_NOTIFY; step <= ANT_SWAP_WAKE_REQUESTER; step++)
        assert_true(report.step_time_ns[step] == 0);
    assert_true(report.blackout_ns >= MS(3));
    assert_true(report.blackout_ns >= report.step_time_ns[ANT_SWAP_WAKE_AGAIN] - died_by_ns);
    assert_true(report.request_work_ns == 0 && report.result_work_ns == 0);
    busy = make_obey();
    size_t count = 0;
    assert_ok(puppet_ica_list(mortal_pid, areas, 4, &count)); /* state, the area, what it serves, what it asks the boss with */
    bool found = false;
    for (size_t i = 0; i < count; i++)
        found |= areas[i] == more;
    assert_true(found);
    assert_int_equal(*more, 4711);
    assert_ok(puppet_ica_free(mortal_pid, more));
    puppet_release(mortal_pid);
    assert_ptr_equal(boss_result(), busy);
    assert_int_equal(answer_in(busy)->count, 3);
    assert_ok(ant_request_free(busy));
}

static void a_trusted_state_of_another_version_is_transformed(void **state)
{
    (void)state;
    struct ant_swap_report report;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(ask(FN, OP_COUNT).count, i);
    mortal_kill();
    assert_ok(ant_swap(FN, &mortal_two, &trusted, &report));
    assert_restarted(&report, 2);
    assert_int_equal(mortal.transforms, 1);
    assert_int_equal(ask(FN, OP_COUNT).count, 3);
    assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES); /* the old one is freed */
    mortal_kill();
    assert_ok(ant_swap(FN, &mortal_one, NULL, &report)); /* not trusted: not transformed */
    assert_int_equal(mortal.transforms, 1);
    assert_int_equal(ask(FN, OP_COUNT).count, 0);
}

static void without_trust_all_areas_of_the_dead_are_freed(void **state)
{
    (void)state;
    struct ant_swap_report report;
    size_t before = free_pages();
    assert_int_equal(ask(FN, OP_COUNT).count, 0);
    struct ant_request *busy = make_obey();
    puppet_new_area(mortal_pid, 7);
    puppet_new_request(mortal_pid, FN_DRIVER);
    mortal_kill();
    take_error(busy, -EOWNERDEAD);
    struct ant_request *queued = send_marked(OP_COUNT, 3, 0); /* what waits is not its */
    assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES + 7 + 1 + 3);
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, &report));
    assert_restarted(&report, 2);
    assert_ptr_equal(mortal.started.state, NULL);
    assert_int_equal(mortal.started.state_bytes, 0);
    assert_ptr_equal(boss_result(), queued);
    assert_int_equal(answer_in(queued)->count, 0);
    assert_int_equal(*(uint32_t *)queued->data, 1003);
    assert_ok(ant_ica_free(queued->data));
    assert_ok(ant_request_free(queued));
    assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
    assert_int_equal(free_pages(), before);
}

static void tell_state(struct ant_server *self, struct ant_request *rq)
{
    expect(self->state == NULL);
    expect(ant_state() == NULL);
    expect_ok(ant_reply(rq, 0));
}

static void a_successor_that_makes_no_state_has_none(void **state)
{
    (void)state;
    static const struct ant_program stateless = {
        .abi = ANT_ABI, .name = "stateless", .version = 6, .state_version = 1, .request = tell_state};
    struct ant_swap_report report;
    mortal_kill();
    assert_ok(ant_swap(FN, &stateless, NULL, &report));
    assert_restarted(&report, 2);
    assert_int_equal(report.state_bytes, 0);
    take_error(send_op(OP_COUNT, 1), 0);
    assert_int_equal(info_of(mortal_pid).pages, 0);
    mortal_kill();
    assert_ok(ant_swap(FN, &mortal_one, &trusted, NULL)); /* there is nothing to trust */
    assert_ptr_equal(mortal.started.state, NULL);
    assert_serves(1, 3);
}

static void function_ids_survive_death(void **state)
{
    (void)state;
    struct ant_request *busy = make_obey();
    assert_ok(puppet_function_add(mortal_pid, FN_EXTRA));
    mortal_kill();
    take_error(busy, -EOWNERDEAD);
    assert_ok(ant_swap(FN_EXTRA, &mortal_one_again, NULL, NULL));
    assert_int_equal(mortal.started.function, FN);
    assert_int_equal(ask(FN_EXTRA, OP_COUNT).version, 2);
    assert_serves(2, 2);
}

static int leave(struct ant_server *self)
{
    (void)self;
    ant_exit(4);
    return 0;
}

static int sleep_for_ever(struct ant_server *self)
{
    (void)self;
    ant_sleep(UINT64_MAX);
    return 0;
}

static int die_in_start(struct ant_server *self)
{
    (void)self;
    ant_kill(ant_self()); /* itself, not the dead whose id it has */
    expect(false);
    return -EDOM;
}

static void a_successor_that_fails_leaves_it_dead(void **state)
{
    (void)state;
    static const struct {
        int (*hook)(struct ant_server *self);
        int error;
    } ways[] = {{fail_to_start, -EDOM},
                {leave, -EOWNERDEAD},
                {sleep_for_ever, -ETIMEDOUT},
                {die_in_start, -EOWNERDEAD}};
    assert_int_equal(ask(FN, OP_COUNT).count, 0);
    struct ant_request *kept = send_op(OP_KEEP_FIRST, 1),
                       *repeated = send_marked(OP_KEEP_FIRST, 2, ANT_REPEATABLE);
    assert_soon(info_of(mortal_pid).in_service == 2);
    mortal_kill();
    struct ant_request *queued = send_op(OP_COUNT, 3);
    take_error(kept, -EOWNERDEAD);
    size_t before = free_pages();
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct ant_swap_report report;
        struct ant_swap_options options = {
            .trust_state = i % 2 == 0, .start_timeout_ns = ways[i].error == -ETIMEDOUT ? A_WHILE : SOON};
        mortal.hook = ways[i].hook;
        assert_int_equal(ant_swap(FN, &mortal_one_again, &options, &report), ways[i].error);
        assert_int_equal(report.error, ways[i].error);
        assert_int_equal(report.generation, 1);
        assert_true(report.restarted);
        assert_int_equal(report.step, ANT_SWAP_START);
        assert_adds_up(&report);
        assert_int_equal(report.queued_requests.handed_over, 2);
        assert_true(is_dead(mortal_pid));
        assert_int_equal(info_of(mortal_pid).queued_requests, 2);
        assert_int_equal(info_of(mortal_pid).generation, 1);
        assert_int_equal(free_pages(), before);
    }
    mortal.hook = NULL;
    assert_ok(ant_swap(FN, &mortal_one_again, &trusted, NULL));
    take_answer(repeated, 2);
    assert_ptr_equal(boss_result(), queued);
    assert_int_equal(answer_in(queued)->count, 2); /* the state is what it was */
    assert_ok(ant_request_free(queued));
}

static void only_a_trusted_state_needs_a_way(void **state)
{
    (void)state;
    struct ant_swap_report report;
    mortal_kill();
    assert_error(ant_swap(FN, &mortal_strange, &trusted, &report), ENOTSUP);
    assert_true(is_dead(mortal_pid));
    assert_ok(ant_swap(FN, &mortal_strange, NULL, NULL));
    assert_int_equal(info_of(mortal_pid).version, 4);
    assert_false(is_dead(mortal_pid));
}

static void of_two_who_replace_the_dead_one_is_busy(void **state)
{
    (void)state;
    ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
    mortal_kill();
    mortal.hook = obey_in_start;
    puppet_begin_swap(requester, FN, &mortal_one_again, NULL, NULL);
    puppet_await(mortal_pid);
    assert_error(ant_swap(FN, &mortal_one_again, NULL, NULL), EBUSY);
    assert_true(is_dead(mortal_pid));          /* until it has committed */
    assert_error(ant_kill(mortal_pid), ESRCH); /* the new one cannot be addressed */
    puppet_release(mortal_pid);
    assert_int_equal(puppet_end(requester), 0);
    mortal.hook = NULL;
    assert_serves(2, 2);
}

static void a_dead_server_stopped_during_its_swap_is_gone(void **state)
{
    (void)state;
    ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5), found;
    struct ant_swap_report report;
    int status = 0;
    mortal_kill();
    struct ant_request *queued = send_op(OP_COUNT, 1);
    mortal.hook = obey_in_start;
    puppet_begin_swap(requester, FN, &mortal_one_again, NULL, &report);
    puppet_await(mortal_pid);
    assert_ok(ant_stop(mortal_pid, SOON, &status));
    assert_int_equal(status, -EOWNERDEAD);
    take_error(queued, -ESHUTDOWN);
    assert_error(ant_lookup(FN, &found), ESRCH);
    assert_was(ant_swap, puppet_end(requester), ESRCH);
    assert_int_equal(report.error, -ESRCH);
    assert_adds_up(&report);
    puppet_bury(mortal_pid);
}

static void a_dead_server_has_a_bound_or_says_why_not(void **state)
{
    (void)state;
    struct ant_bound bound;
    mortal_kill();
    assert_error(ant_swap_bound(FN, &mortal_one_again, &bound), ENODATA);
    struct ant_swap_options options = {.deadline_ns = (int64_t)ANT_NS_PER_S};
    assert_error(ant_swap(FN, &mortal_one_again, &options, NULL), ENODATA);
    assert_true(is_dead(mortal_pid));
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    assert_serves(2, 2);
}

static void nonsense_options_are_refused(void **state)
{
    (void)state;
    struct ant_server_options options = {.watchdog_ns = -1};
    assert_error(ant_serve(FN, &mortal_one, &options, NULL), EINVAL);
    options = (struct ant_server_options){.on_death = (enum ant_on_death)(ANT_DEATH_FAIL + 1)};
    assert_error(ant_serve(FN, &mortal_one, &options, NULL), EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        mortal_test(a_dead_server_keeps_its_place),
        mortal_test(a_server_may_be_killed_wherever_it_is),
        mortal_test(a_loop_of_its_own_dies_as_well),
        mortal_test(requests_wait_for_the_successor_in_order),
        mortal_test(what_waits_for_a_successor_can_be_taken_back),
        bare_mortal_test(death_fail_answers_and_refuses),
        mortal_test(repeatable_requests_are_served_again_before_the_queued_ones),
        mortal_test(a_request_is_repeated_once),
        mortal_test(a_repeated_request_can_be_withdrawn_or_time_out),
        mortal_test(a_request_whose_data_are_gone_is_not_repeated),
        mortal_test(a_server_that_answers_and_dies_has_answered),
        mortal_test(what_a_dead_server_has_out_is_withdrawn_or_swallowed),
        mortal_test(a_result_that_it_did_not_live_to_take_is_freed),
        mortal_test(a_dead_server_can_be_stopped),
        bare_mortal_test(a_shutdown_tells_of_dead_servers),
        mortal_test(a_thousand_deaths_leak_nothing),
        mortal_test(a_trusted_state_passes_as_it_is),
        mortal_test(a_trusted_state_of_another_version_is_transformed),
        mortal_test(without_trust_all_areas_of_the_dead_are_freed),
        mortal_test(a_successor_that_makes_no_state_has_none),
        mortal_test(function_ids_survive_death),
        mortal_test(a_successor_that_fails_leaves_it_dead),
        mortal_test(only_a_trusted_state_needs_a_way),
        mortal_test(of_two_who_replace_the_dead_one_is_busy),
        mortal_test(a_dead_server_stopped_during_its_swap_is_gone),
        mortal_test(a_dead_server_has_a_bound_or_says_why_not),
        core_test(nonsense_options_are_refused),
    };
    return cmocka_run_group_tests_name("death_server", tests, NULL, NULL);
}
