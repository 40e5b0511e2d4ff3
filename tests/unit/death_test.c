/* ctest: machines=virtual,real movers=strict,flat timeout=240 */
/*
 * Death: who may be killed, and where; what becomes of requests, results and areas; what a dead server keeps, and how it is
 * replaced, alone or in the middle of a swap.
 */
#include "mortal.h"

#include <pthread.h>
#include <semaphore.h>

/* ---- the death of a process that is no server ---- */

static int end_of(ant_pid pid)
{
    assert_ok(ant_kill(pid));
    int status = join(pid);
    puppet_bury(pid);
    return status;
}

static void what_a_killed_client_had_queued_is_withdrawn(void **state)
{
    (void)state;
    size_t before = free_pages();
    ant_pid driver = puppet_create("driver", 0), client = puppet_create("client", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    for (int i = 0; i < 3; i++) {
        struct ant_request *rq = puppet_new_request(client, FN_DRIVER);
        rq->data = puppet_new_area(client, 2);
        assert_ok(puppet_send(client, rq));
    }
    assert_int_equal(info_of(driver).queued_requests, 3);
    assert_int_equal(end_of(client), -EOWNERDEAD);
    assert_int_equal(info_of(driver).queued_requests, 0);
    puppet_dismiss(driver);
    assert_soon(free_pages() == before);
}

static void what_serves_a_killed_client_is_answered_to_nobody(void **state)
{
    (void)state;
    size_t before = free_pages();
    ant_pid driver = puppet_create("driver", 0), client = puppet_create("client", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    struct ant_request *rq = puppet_new_request(client, FN_DRIVER);
    rq->data = puppet_new_area(client, 2);
    puppet_begin_call(client, rq, ANT_FOREVER);
    struct ant_request *taken = puppet_take_request(driver);
    assert_int_equal(end_of(client), -EOWNERDEAD);
    assert_int_equal(info_of(driver).in_service, 1);
    size_t pages = info_of(driver).pages;
    assert_ok(puppet_reply(driver, taken, 0));
    assert_int_equal(info_of(driver).pages, pages - 3);
    puppet_dismiss(driver);
    assert_soon(free_pages() == before);
}

static void a_result_that_a_killed_client_has_not_taken_is_freed(void **state)
{
    (void)state;
    size_t before = free_pages();
    ant_pid client = puppet_create("client", 0), driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    struct ant_request *async = puppet_new_request(client, FN_DRIVER),
                       *sync = puppet_new_request(client, FN_DRIVER);
    async->data = puppet_new_area(client, 2);
    sync->data = puppet_new_area(client, 4);
    assert_ok(puppet_send(client, async));
    assert_ok(puppet_reply(driver, puppet_take_request(driver), 0));
    puppet_begin_call(client, sync, ANT_FOREVER);
    struct ant_request *taken = puppet_take_request(driver);
    assert_ok(ant_priority_set(client, ANT_PRIORITY_MIN));
    assert_ok(ant_sleep(ant_now() + MS(1))); /* on `virtual` it waits now, and has not run since when it is killed */
    assert_ok(puppet_reply(driver, taken, 0));
    assert_int_equal(end_of(client), -EOWNERDEAD);
    puppet_dismiss(driver);
    assert_soon(free_pages() == before);
}

static void whom_a_killed_process_served_gets_eownerdead(void **state)
{
    (void)state;
    size_t before = free_pages();
    ant_pid worker = puppet_create("worker", 0), client[3], found;
    struct ant_request *rq[3];
    assert_ok(puppet_function_add(worker, FN_DRIVER));
    for (int i = 0; i < 3; i++) {
        client[i] = puppet_create("client", 0);
        rq[i] = puppet_new_request(client[i], FN_DRIVER);
        rq[i]->data = puppet_new_area(client[i], 1);
        rq[i]->flags = ANT_REPEATABLE; /* nobody will come to do it */
        puppet_begin_call(client[i], rq[i], ANT_FOREVER);
        assert_soon(info_of(worker).queued_requests == 1);
        if (i < 2)
            puppet_take_request(worker);
    }
    struct ant_request *async = send_to(FN_DRIVER, 0, 5, 0);
    assert_int_equal(end_of(worker), -EOWNERDEAD);
    for (int i = 0; i < 3; i++) {
        assert_was(ant_call, puppet_end(client[i]), EOWNERDEAD);
        assert_int_equal(rq[i]->error, -EOWNERDEAD);
        assert_non_null(rq[i]->data);
        puppet_dismiss(client[i]);
    }
    take_error(async, -EOWNERDEAD);
    assert_error(ant_lookup(FN_DRIVER, &found), ESRCH);
    assert_soon(free_pages() == before);
}

static int obey_in_start(struct ant_server *self)
{
    (void)self;
    expect_ok(puppet_obey());
    return 0;
}

static const struct ant_program slow_to_start = {
    .abi = ANT_ABI, .name = "slow", .start = obey_in_start, .run = NULL, .request = NULL};

static void a_client_may_be_killed_wherever_it_waits(void **state)
{
    (void)state;
    enum { SLEEP, WORK, RECEIVE, CALL_QUEUED, CALL_SERVED, WAIT, STOP, PLACES };
    size_t before = free_pages();
    for (int place = 0; place < PLACES; place++) {
        ant_pid driver = puppet_create("driver", 0),
                client = puppet_create("client", FIXTURE_PRIORITY - 1);
        assert_ok(puppet_function_add(driver, FN_DRIVER));
        struct ant_message message;
        int status;
        puppet_await(client);
        if (place == SLEEP)
            puppet_begin_sleep(client, UINT64_MAX);
        else if (place == WORK)
            puppet_begin_work(client, UINT64_C(3600) * ANT_NS_PER_S);
        else if (place == RECEIVE)
            puppet_begin_receive(client, &message, ANT_FOREVER);
        else if (place == CALL_QUEUED || place == CALL_SERVED)
            puppet_begin_call(client, puppet_new_request(client, FN_DRIVER), ANT_FOREVER);
        else if (place == WAIT)
            puppet_begin_wait(client, driver, ANT_FOREVER, &status);
        else
            puppet_begin_stop(client, driver, ANT_FOREVER, &status);
        struct ant_request *taken = place == CALL_SERVED ? puppet_take_request(driver) : NULL;
        assert_ok(ant_sleep(ant_now() + MS(1))); /* so that it is, as a rule, where it is to be killed; right either way */
        assert_int_equal(end_of(client), -EOWNERDEAD);
        if (taken)
            assert_ok(puppet_reply(driver, taken, 0));
        puppet_dismiss(driver);
        assert_soon(free_pages() == before);
    }
}

static void a_process_may_be_killed_while_its_server_starts(void **state)
{
    (void)state;
    static struct ant_program program;
    program = slow_to_start;
    program.request = mortal_one.request;
    size_t before = free_pages();
    ant_pid client = puppet_create("client", FIXTURE_PRIORITY + 1), made = 0, found;
    puppet_begin_serve(client, FN_OTHER, &program, NULL, &made);
    assert_soon(!puppet_is_idle(client));
    assert_int_equal(end_of(client), -EOWNERDEAD);
    assert_error(ant_lookup(FN_OTHER, &found), ESRCH);
    puppet_fini(); /* what the new server asked */
    assert_soon(free_pages() == before);
}

static _Atomic bool lived_on;

static int kill_oneself(void *arg)
{
    (void)arg;
    ant_kill(ant_self());
    atomic_store(&lived_on, true);
    return 0;
}

static void who_kills_himself_does_not_return(void **state)
{
    (void)state;
    atomic_store(&lived_on, false);
    assert_int_equal(join(spawn("suicide", 0, kill_oneself, NULL)), -EOWNERDEAD);
    assert_false(atomic_load(&lived_on));
}

static void who_is_killed_before_he_ran_never_runs(void **state)
{
    (void)state;
    if (!on_virtual())
        skip(); /* nobody knows there who runs first */
    atomic_store(&lived_on, false);
    ant_pid pid = spawn("late", ANT_PRIORITY_MIN, kill_oneself, NULL);
    assert_ok(ant_kill(pid));
    assert_ok(ant_kill(pid)); /* no harm: it has not ended yet */
    assert_int_equal(join(pid), -EOWNERDEAD);
    assert_false(atomic_load(&lived_on));
}

static void *kill_from_outside(void *pid)
{
    expect_error(ant_kill(*(ant_pid *)pid), EPERM);
    return NULL;
}

static void some_cannot_be_killed(void **state)
{
    (void)state;
    ant_pid boss = ant_self(), puppet = puppet_create("puppet", 0);
    assert_error(ant_kill(boss), EPERM);
    assert_error(puppet_kill(puppet, boss), EPERM);
    assert_error(ant_kill(0), ESRCH);
    assert_error(ant_kill(puppet + (UINT64_C(1) << 32)), ESRCH);
    assert_error(ant_kill(UINT64_MAX), ESRCH);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, kill_from_outside, &boss), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    mortal_kill();
    assert_error(ant_kill(mortal_pid), ESRCH); /* no body lies there to be killed again */
    assert_int_equal(end_of(puppet), -EOWNERDEAD);
    assert_error(ant_kill(puppet), ESRCH);
}

/* ---- outside the core ---- */

static sem_t gate;
static _Atomic bool ran_on;

static int spin_or_block(void *arg)
{
    bool blocks = arg != NULL;
    void *area;
    expect_ok(ant_ica_alloc(5, &area));
    atomic_store(&mortal.spins, true);
    while (blocks ? sem_wait(&gate) != 0 : atomic_load(&mortal.spin))
        ;
    atomic_store(&mortal.left, true);
    ant_now();
    atomic_store(&ran_on, true);
    return 0;
}

static void who_is_killed_outside_the_core_is_dead_to_it_at_once(void **state)
{
    (void)state;
    if (on_virtual())
        skip(); /* there a process that never calls the core stops the world */
    for (int blocks = 0; blocks < 2; blocks++) {
        memset(&mortal, 0, sizeof mortal);
        atomic_store(&mortal.spin, true);
        atomic_store(&ran_on, false);
        assert_int_equal(sem_init(&gate, 0, 0), 0);
        size_t before = free_pages();
        ant_pid pid = spawn("outside", FIXTURE_PRIORITY - 1, spin_or_block, blocks ? &gate : NULL);
        assert_soon(atomic_load(&mortal.spins));
        assert_ok(ant_kill(pid));
        assert_error(ant_kill(pid), ESRCH);
        assert_int_equal(join(pid), -EOWNERDEAD); /* and its thread goes on */
        assert_false(atomic_load(&mortal.left));
        assert_int_equal(free_pages(), before - 5); /* which it may still touch */
        atomic_store(&mortal.spin, false);
        assert_int_equal(sem_post(&gate), 0);
        assert_soon(free_pages() == before);
        assert_true(atomic_load(&mortal.left));
        assert_false(atomic_load(&ran_on));
        sem_destroy(&gate);
    }
}

static void a_server_that_spins_is_replaced_while_it_spins(void **state)
{
    (void)state;
    if (on_virtual())
        skip();
    assert_ok(ant_priority_set(mortal_pid, FIXTURE_PRIORITY - 1));
    atomic_store(&mortal.spin, true);
    struct ant_request *rq = send_op(OP_SPIN, 1), *behind = send_op(OP_COUNT, 2);
    assert_soon(atomic_load(&mortal.spins));
    assert_ok(ant_kill(mortal_pid));
    assert_true(is_dead(mortal_pid)); /* at once */
    take_error(rq, -EOWNERDEAD);
    struct ant_swap_report report;
    assert_ok(ant_swap(FN, &mortal_one_again, &(struct ant_swap_options){.trust_state = true}, &report));
    assert_restarted(&report, 2);
    take_answer(behind, 2);
    assert_serves(2, 2);
    assert_false(atomic_load(&mortal.left));
    atomic_store(&mortal.spin, false);
    assert_soon(atomic_load(&mortal.left));
    assert_serves(2, 2);
    assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
    assert_false(atomic_load(&mortal.ran_on));
}

static pthread_key_t thread_ends; /* its destructor tells that the thread of generation 1 is through */
static _Atomic bool thread_ended;

static void note_end(void *unused)
{
    (void)unused;
    atomic_store(&thread_ended, true);
}

/* Generation 1 spins, and answers 1 when it may go on; its successor obeys, and answers 2. */
static void linger(struct ant_server *self, struct ant_request *rq)
{
    if (self->generation > 1) {
        puppet_obey();
        expect_ok(ant_reply(rq, 2));
        return;
    }
    pthread_setspecific(thread_ends, rq);
    atomic_store(&mortal.spins, true);
    while (atomic_load(&mortal.spin))
        ;
    ant_reply(rq, 1);
}

static void who_is_dead_to_the_core_cannot_answer_what_its_successor_serves(void **state)
{
    (void)state;
    if (on_virtual())
        skip();
    static const struct ant_program lingering = {
        .abi = ANT_ABI, .name = "lingering", .version = 1, .request = linger};
    assert_int_equal(pthread_key_create(&thread_ends, note_end), 0);
    atomic_store(&thread_ended, false);
    atomic_store(&mortal.spin, true);
    ant_pid pid =
        serve(FN_OTHER, &lingering, &(struct ant_server_options){.priority = FIXTURE_PRIORITY - 1});
    struct ant_request *rq = send_to(FN_OTHER, 0, 1, ANT_REPEATABLE);
    assert_soon(atomic_load(&mortal.spins));
    assert_ok(ant_kill(pid));
    assert_ok(ant_swap(FN_OTHER, &lingering, NULL, NULL));
    puppet_await(pid); /* the successor has it, at the same address */
    atomic_store(&mortal.spin, false);
    assert_soon(atomic_load(&thread_ended));
    assert_true(boss_has_no_result());
    puppet_release(pid);
    assert_ptr_equal(boss_result(), rq);
    assert_int_equal(rq->status, 2);
    assert_ok(ant_request_free(rq));
    assert_int_equal(pthread_key_delete(thread_ends), 0);
}

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

static int fail_to_start(struct ant_server *self)
{
    void *area;
    expect(self->reason == ANT_START_RESTART);
    expect_ok(ant_ica_alloc(5, &area));
    return -EDOM;
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

/* ---- death in the midst of a swap ---- */

static void begin_swap(ant_pid requester, const struct ant_swap_options *options,
                       struct ant_swap_report *report)
{
    uint32_t generation = info_of(mortal_pid).generation + 1;
    size_t before = steps_in_trace(ANT_SWAP_NOTIFY, generation);
    puppet_begin_swap(requester, FN, &mortal_one_again, options, report);
    assert_soon(steps_in_trace(ANT_SWAP_NOTIFY, generation) > before);
}

static void a_server_that_dies_before_it_rests_is_replaced_as_a_dead_one(void **state)
{
    (void)state;
    for (uint32_t trust = 0; trust < 2; trust++) {
        ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
        struct ant_swap_report report;
        struct ant_swap_options options = {.trust_state = trust != 0};
        struct ant_request *busy = make_obey(), *queued = send_op(OP_COUNT, 2);
        begin_swap(requester, &options, &report);
        assert_ok(ant_kill(mortal_pid));
        assert_int_equal(puppet_end(requester), 0);
        puppet_bury(mortal_pid);
        take_error(busy, -EOWNERDEAD);
        take_answer(queued, 2);
        assert_restarted(&report, 2 + trust);
        assert_true(report.step_time_ns[ANT_SWAP_NOTIFY] != 0);
        assert_true(report.step_time_ns[ANT_SWAP_LOOK] == 0);
        assert_int_equal(report.in_service.at_notice, 1);
        assert_int_equal(report.in_service.left, 1);
        assert_int_equal(report.outstanding.at_notice, 1); /* to the boss */
        assert_int_equal(report.outstanding.left, 1);
        assert_int_equal(mortal.started.reason, ANT_START_RESTART);
        assert_true((mortal.started.state != NULL) == (trust != 0));
        assert_serves(2, 2 + trust);
        assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
        puppet_dismiss(requester);
    }
}

static void what_was_to_be_transformed_is_not_if_its_server_dies(void **state)
{
    (void)state;
    ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
    struct ant_swap_report report;
    struct ant_request *busy = make_obey();
    puppet_begin_swap(requester, FN, &mortal_two, NULL, &report);
    assert_soon(steps_in_trace(ANT_SWAP_NOTIFY, 2) > 0);
    assert_ok(ant_kill(mortal_pid));
    assert_int_equal(puppet_end(requester), 0);
    puppet_bury(mortal_pid);
    take_error(busy, -EOWNERDEAD);
    assert_restarted(&report, 2);
    assert_int_equal(mortal.transforms, 0);
    assert_ptr_equal(mortal.started.state, NULL);
    assert_serves(3, 2);
}

static void a_server_that_ends_before_it_rests_is_esrch(void **state)
{
    (void)state;
    ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
    struct ant_swap_report report;
    struct ant_request *busy = make_obey(), *queued = send_op(OP_EXIT, 2);
    (void)queued;
    int status = 0;
    begin_swap(requester, NULL, &report);
    assert_error(ant_stop(mortal_pid, 0, NULL), ETIMEDOUT); /* asked to end, it is not dead when it is killed */
    assert_ok(ant_kill(mortal_pid));
    assert_was(ant_swap, puppet_end(requester), ESRCH);
    assert_ok(ant_wait(mortal_pid, SOON, &status));
    assert_int_equal(status, -EOWNERDEAD);
    puppet_bury(mortal_pid);
    take_error(busy, -ESHUTDOWN);
    take_error(queued, -ESHUTDOWN);
}

static int obey_and_fail(struct ant_server *self)
{
    (void)self;
    expect_ok(puppet_obey());
    return -EDOM;
}

static void a_kill_of_the_resting_server_counts_if_it_goes_on(void **state)
{
    (void)state;
    for (int commits = 0; commits < 2; commits++) {
        ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
        struct ant_swap_report report;
        mortal.hook = commits ? obey_in_start : obey_and_fail;
        puppet_begin_swap(requester, FN, &mortal_one_again, NULL, &report);
        puppet_await(mortal_pid); /* that is the new one */
        assert_ok(ant_kill(mortal_pid));
        puppet_release(mortal_pid);
        assert_int_equal(puppet_end(requester), commits ? 0 : -EDOM);
        assert_false(report.restarted);
        mortal.hook = NULL;
        if (commits) {
            assert_serves(2, 3);
        } else {
            await_death(mortal_pid);
            assert_ok(ant_swap(FN, &mortal_one, &trusted, NULL));
            assert_serves(1, 2);
        }
        puppet_dismiss(requester);
    }
}

static void a_requester_that_is_killed_cancels_its_swap(void **state)
{
    (void)state;
    for (int started = 0; started < 2; started++) {
        ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
        struct ant_swap_report report, last;
        struct ant_request *busy = started ? NULL : make_obey();
        mortal.hook = started ? obey_in_start : NULL;
        begin_swap(requester, NULL, &report);
        if (started)
            puppet_await(mortal_pid);
        assert_ok(ant_kill(requester));
        assert_int_equal(join(requester), -EOWNERDEAD);
        puppet_bury(requester);
        if (started) {
            puppet_bury(mortal_pid); /* the new server's */
        } else {
            puppet_release(mortal_pid);
            take_answer(busy, 1);
        }
        assert_ok(ant_swap_last(FN, &last));
        assert_was(ant_swap, last.error, EINTR);
        assert_int_equal(last.step, started ? ANT_SWAP_START : ANT_SWAP_LOOK);
        assert_adds_up(&last);
        mortal.hook = NULL;
        assert_serves(1, 1);
        assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
    }
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    assert_serves(2, 2);
}

static void a_requester_that_is_killed_leaves_the_dead_dead(void **state)
{
    (void)state;
    ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
    struct ant_swap_report last;
    mortal_kill();
    mortal.hook = obey_in_start;
    puppet_begin_swap(requester, FN, &mortal_one_again, NULL, NULL);
    puppet_await(mortal_pid);
    assert_int_equal(end_of(requester), -EOWNERDEAD);
    puppet_bury(mortal_pid);
    assert_ok(ant_swap_last(FN, &last));
    assert_int_equal(last.error, -EINTR);
    assert_true(is_dead(mortal_pid));
    mortal.hook = NULL;
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    assert_serves(2, 2);
}

static void a_server_that_swaps_another_may_die_of_it(void **state)
{
    (void)state;
    ant_pid other = serve(FN_OTHER, &mortal_one, NULL);
    mortal.hook = obey_in_start;
    struct ant_request *rq = send_op(OP_SWAP_OTHER, 1);
    puppet_await(other); /* its successor in start */
    mortal_kill();
    puppet_bury(other);
    take_error(rq, -EOWNERDEAD);
    mortal.hook = NULL;
    struct ant_swap_report last;
    assert_ok(ant_swap_last(FN_OTHER, &last));
    assert_int_equal(last.error, -EINTR);
    assert_int_equal(ask(FN_OTHER, OP_COUNT).generation, 1);
    assert_ok(ant_swap(FN_OTHER, &mortal_one_again, NULL, NULL));
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    assert_serves(2, 2);
}

static void force_ends_a_server_that_does_not_come_to_rest(void **state)
{
    (void)state;
    static const uint32_t places[] = {OP_OBEY, OP_SLEEP, OP_WORK, OP_ASK};
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_DRIVER));
    assert_ok(ant_priority_set(mortal_pid, FIXTURE_PRIORITY - 1));
    uint32_t generation = 1;
    for (uint32_t i = 0; i < sizeof places / sizeof *places; i++) {
        ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
        struct ant_swap_report report;
        struct ant_swap_options options = {.quiesce_timeout_ns = A_WHILE, .trust_state = true};
        mortal.time_ns = UINT64_C(3600) * ANT_NS_PER_S;
        struct ant_request *busy = send_op(places[i], 1);
        assert_soon(info_of(mortal_pid).in_service == 1);
        if (places[i] == OP_OBEY)
            puppet_await(mortal_pid);
        assert_error(puppet_swap(requester, FN, &mortal_one_again, &options, &report), ETIMEDOUT);
        assert_int_equal(report.step, ANT_SWAP_LOOK);
        assert_false(report.restarted);
        assert_false(is_dead(mortal_pid));
        options.force = true;
        uint64_t from_ns = ant_now();
        assert_int_equal(puppet_swap(requester, FN, &mortal_one_again, &options, &report), 0);
        assert_true(ant_now() >= from_ns + (uint64_t)A_WHILE);
        assert_restarted(&report, ++generation);
        puppet_bury(mortal_pid);
        take_error(busy, -EOWNERDEAD);
        assert_serves(2, generation);
        assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
        puppet_dismiss(requester);
    }
}

static int call_and_work(void *rq)
{
    int rc = ant_call(rq, ANT_FOREVER);
    return rc == -EOWNERDEAD ? ant_work(MS(50)) : -EDOM;
}

/* On `virtual`, where the client that is answered first keeps the dying from the processor until the time is over. */
static void who_is_dying_when_the_time_is_over_is_replaced(void **state)
{
    (void)state;
    if (!on_virtual())
        skip();
    for (int forced = 0; forced < 2; forced++) {
        ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5),
                client = puppet_create("client", FIXTURE_PRIORITY + 10);
        struct ant_request *rq = puppet_new_request(client, FN);
        struct ant_swap_options options = {.quiesce_timeout_ns = (int64_t)MS(20), .force = forced};
        struct ant_swap_report report;
        rq->operation = OP_OBEY;
        puppet_begin(client, call_and_work, rq);
        puppet_await(mortal_pid);
        puppet_begin_swap(requester, FN, &mortal_one_again, &options, &report);
        assert_ok(ant_kill(mortal_pid));
        assert_int_equal(puppet_end(requester), 0);
        assert_restarted(&report, 2 + (uint32_t)forced);
        assert_int_equal(puppet_end(client), 0);
        puppet_bury(mortal_pid);
        assert_ok(puppet_request_free(client, rq));
        puppet_dismiss(requester);
        puppet_dismiss(client);
    }
}

static void force_leaves_a_server_alone_that_comes_to_rest(void **state)
{
    (void)state;
    struct ant_swap_report report;
    struct ant_swap_options options = {.force = true};
    assert_int_equal(ask(FN, OP_COUNT).count, 0);
    assert_ok(ant_swap(FN, &mortal_one_again, &options, &report));
    assert_false(report.restarted);
    assert_int_equal(ask(FN, OP_COUNT).count, 1);
}

/* On `virtual`, where it can be said when it has come to rest, and how long the requester does not know. */
static void force_leaves_a_server_alone_that_has_come_to_rest(void **state)
{
    (void)state;
    struct ant_costs costs = {.step_ns[ANT_SWAP_LOOK] = MS(10)};
    struct ant_swap_options options = {.force = true, .quiesce_timeout_ns = (int64_t)MS(5)};
    fixture_boot_exact(&costs);
    mortal_begin(NULL);
    mortal.hook = fail_to_start;
    assert_int_equal(ant_swap(FN, &mortal_one_again, &options, NULL), -ETIMEDOUT);
    assert_serves(1, 1);
    fixture_shutdown();
}

static void force_replaces_a_server_that_spins(void **state)
{
    (void)state;
    if (on_virtual())
        skip();
    assert_ok(ant_priority_set(mortal_pid, FIXTURE_PRIORITY - 1));
    atomic_store(&mortal.spin, true);
    struct ant_request *rq = send_op(OP_SPIN, 1);
    assert_soon(atomic_load(&mortal.spins));
    struct ant_swap_report report;
    struct ant_swap_options options = {.quiesce_timeout_ns = A_WHILE, .force = true};
    assert_ok(ant_swap(FN, &mortal_one_again, &options, &report));
    assert_restarted(&report, 2);
    take_error(rq, -EOWNERDEAD);
    assert_serves(2, 2);
    assert_false(atomic_load(&mortal.left));
    atomic_store(&mortal.spin, false);
    assert_soon(atomic_load(&mortal.left));
    assert_serves(2, 2);
    assert_false(atomic_load(&mortal.ran_on));
}

/* ---- the areas of a process ---- */

static void a_process_can_list_its_areas(void **state)
{
    (void)state;
    void *areas[8], *one = new_area(1), *two = new_area(3);
    size_t count = 77;
    struct ant_request *rq = new_request(FN), *sent = send_op(OP_KEEP, 1);
    assert_ok(ant_ica_list(NULL, 0, &count));
    assert_int_equal(count, 3); /* not what it has sent */
    assert_soon(info_of(mortal_pid).in_service == 1);
    areas[2] = NULL;
    assert_ok(ant_ica_list(areas, 2, &count));
    assert_int_equal(count, 3);
    assert_ptr_equal(areas[2], NULL);
    assert_ok(ant_ica_list(areas, 8, &count));
    assert_int_equal(count, 3);
    assert_true((char *)areas[0] < (char *)areas[1] && (char *)areas[1] < (char *)areas[2]);
    for (size_t i = 0; i < 3; i++)
        assert_true(areas[i] == one || areas[i] == two || areas[i] == rq);
    assert_error(ant_ica_list(areas, 8, NULL), EINVAL);
    assert_error(ant_ica_list(NULL, 1, &count), EINVAL);
    mortal_kill();
    take_error(sent, -EOWNERDEAD);
    assert_ok(ant_ica_free(one));
    assert_ok(ant_ica_free(two));
    assert_ok(ant_request_free(rq));
}

static int list_in_start(struct ant_server *self)
{
    void *areas[4], *mine;
    size_t count = 77;
    expect_ok(ant_ica_list(areas, 4, &count));
    expect(count == 0); /* not the predecessor's */
    if (!expect_ok(ant_ica_alloc(2, &mine))) {
        expect_ok(ant_ica_list(areas, 4, &count));
        expect(count == 1 && areas[0] == mine);
        expect_ok(ant_ica_free(mine));
    }
    (void)self;
    return 0;
}

static void a_new_server_lists_what_it_has_allocated(void **state)
{
    (void)state;
    mortal.hook = list_in_start;
    assert_ok(ant_swap(FN, &mortal_one, NULL, NULL));
    assert_expectations();
}

static void *list_from_outside(void *arg)
{
    size_t count = 0;
    (void)arg;
    expect_error(ant_ica_list(NULL, 0, &count), EPERM);
    return NULL;
}

static void who_is_no_process_has_no_areas(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, list_from_outside, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
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
        core_test(what_a_killed_client_had_queued_is_withdrawn),
        core_test(what_serves_a_killed_client_is_answered_to_nobody),
        core_test(a_result_that_a_killed_client_has_not_taken_is_freed),
        core_test(whom_a_killed_process_served_gets_eownerdead),
        core_test(a_client_may_be_killed_wherever_it_waits),
        core_test(a_process_may_be_killed_while_its_server_starts),
        core_test(who_kills_himself_does_not_return),
        core_test(who_is_killed_before_he_ran_never_runs),
        mortal_test(some_cannot_be_killed),
        core_test(who_is_killed_outside_the_core_is_dead_to_it_at_once),
        mortal_test(a_server_that_spins_is_replaced_while_it_spins),
        mortal_test(who_is_dead_to_the_core_cannot_answer_what_its_successor_serves),
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
        mortal_test(a_server_that_dies_before_it_rests_is_replaced_as_a_dead_one),
        mortal_test(what_was_to_be_transformed_is_not_if_its_server_dies),
        mortal_test(a_server_that_ends_before_it_rests_is_esrch),
        mortal_test(a_kill_of_the_resting_server_counts_if_it_goes_on),
        mortal_test(a_requester_that_is_killed_cancels_its_swap),
        mortal_test(a_requester_that_is_killed_leaves_the_dead_dead),
        mortal_test(a_server_that_swaps_another_may_die_of_it),
        mortal_test(force_ends_a_server_that_does_not_come_to_rest),
        mortal_test(who_is_dying_when_the_time_is_over_is_replaced),
        mortal_test(force_leaves_a_server_alone_that_comes_to_rest),
        bare_mortal_test(force_leaves_a_server_alone_that_has_come_to_rest),
        mortal_test(force_replaces_a_server_that_spins),
        mortal_test(a_process_can_list_its_areas),
        mortal_test(a_new_server_lists_what_it_has_allocated),
        core_test(who_is_no_process_has_no_areas),
        core_test(nonsense_options_are_refused),
    };
    return cmocka_run_group_tests_name("death", tests, NULL, NULL);
}
