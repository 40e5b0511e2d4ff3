/* ctest: machines=virtual,real movers=strict,flat timeout=240 */
/* Death: who may be killed, and where; what becomes of a process that is no server, and of a thread that is outside the core. */
#include "mortal.h"

#include <pthread.h>
#include <semaphore.h>

/* ---- the death of a process that is no server ---- */

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
    };
    return cmocka_run_group_tests_name("death", tests, NULL, NULL);
}
