/* ctest: machines=virtual,real movers=strict,flat */
/* Monitors: what is told, to whom, once; what becomes of a monitor when its process ends, dies or is replaced. */
#include "mortal.h"

#include <pthread.h>
#include <signal.h>

static struct ant_monitor_report *report_in(struct ant_request *rq)
{
    return (struct ant_monitor_report *)(void *)rq->payload;
}

static struct ant_request *lend(uint32_t function, uint64_t cookie)
{
    struct ant_request *rq = new_request(1);
    rq->cookie = cookie;
    rq->operation = 77;
    assert_ok(ant_monitor(rq, function));
    return rq;
}

static void assert_told(struct ant_request *rq, enum ant_change change, int error,
                        uint32_t generation, uint32_t version)
{
    const struct ant_monitor_report *r = report_in(rq);
    assert_int_equal(r->change, change);
    assert_int_equal(r->error, error);
    assert_int_equal(r->signal, 0);
    assert_int_equal(r->function, FN);
    assert_int_equal(r->generation, generation);
    assert_int_equal(r->version, version);
    assert_true(r->pid == mortal_pid);
    assert_true(rq->peer == mortal_pid);
    assert_int_equal(rq->payload_bytes, sizeof *r);
    assert_int_equal(rq->error, 0);
    assert_ptr_equal(rq->data, NULL);
}

/* The boss's next result is this monitor, and tells this; it is freed. */
static void take_told(struct ant_request *rq, enum ant_change change, int error,
                      uint32_t generation, uint32_t version)
{
    assert_ptr_equal(boss_result(), rq);
    assert_told(rq, change, error, generation, version);
    assert_ok(ant_request_free(rq));
}

static void a_death_is_told_once(void **state)
{
    (void)state;
    uint64_t from_ns = ant_now();
    struct ant_request *rq = lend(FN, 5);
    mortal_kill();
    assert_ptr_equal(boss_result(), rq);
    assert_told(rq, ANT_CHANGE_DIED, -EOWNERDEAD, 1, 1);
    assert_true(report_in(rq)->time_ns >= from_ns && report_in(rq)->time_ns <= ant_now());
    assert_true(rq->cookie == 5);
    assert_int_equal(rq->operation, 77);
    assert_int_equal(rq->function, 1);
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    assert_true(boss_has_no_result()); /* once */
    assert_ok(ant_monitor(rq, FN));    /* again */
    mortal_kill();
    take_told(rq, ANT_CHANGE_DIED, -EOWNERDEAD, 2, 2);
}

static void a_death_before_is_told_at_once(void **state)
{
    (void)state;
    struct ant_request *early = lend(FN, 1);
    mortal_kill();
    assert_ptr_equal(boss_result(), early);
    uint64_t died_ns = report_in(early)->time_ns;
    assert_ok(ant_sleep(ant_now() + MS(1)));
    struct ant_request *late = lend(FN, 2);
    assert_ptr_equal(boss_result(), late);
    assert_told(late, ANT_CHANGE_DIED, -EOWNERDEAD, 1, 1);
    assert_true(report_in(late)->time_ns == died_ns);
    struct ant_request *any = lend(0, 3);
    take_told(any, ANT_CHANGE_DIED, -EOWNERDEAD, 1, 1);
    assert_ok(ant_swap(FN, &mortal_one, NULL, NULL));
    struct ant_request *mended = lend(FN, 4), *all = lend(0, 5);
    assert_true(boss_has_no_result());
    assert_ok(ant_cancel(mended));
    assert_ok(ant_cancel(all));
    assert_ok(ant_request_free(early));
    assert_ok(ant_request_free(late));
    assert_ok(ant_request_free(mended));
    assert_ok(ant_request_free(all));
}

/* Else a supervisor that somebody has forestalled would hear of the death again and again, and keep him from the processor. */
static void while_a_death_is_being_mended_the_end_of_that_is_told(void **state)
{
    (void)state;
    ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
    mortal_kill();
    mortal.hook = obey_in_start;
    puppet_begin_swap(requester, FN, &mortal_one_again, NULL, NULL);
    puppet_await(mortal_pid);
    struct ant_request *rq = lend(FN, 1), *any = lend(0, 2);
    assert_true(boss_has_no_result());
    assert_ok(ant_swap_cancel(FN));
    assert_int_equal(puppet_end(requester), -ECANCELED);
    take_told(rq, ANT_CHANGE_ROLLED_BACK, -ECANCELED, 1, 1);
    take_told(any, ANT_CHANGE_ROLLED_BACK, -ECANCELED, 1, 1);
    rq = lend(FN, 1);
    take_told(rq, ANT_CHANGE_DIED, -EOWNERDEAD, 1, 1);
    mortal.hook = NULL;
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
}

static void swaps_are_told(void **state)
{
    (void)state;
    struct ant_request *rq = lend(FN, 1);
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    take_told(rq, ANT_CHANGE_SWAPPED, 0, 2, 2);
    rq = lend(FN, 1);
    mortal.hook = fail_to_start;
    assert_int_equal(ant_swap(FN, &mortal_one, NULL, NULL), -EDOM);
    take_told(rq, ANT_CHANGE_ROLLED_BACK, -EDOM, 2, 2);
    rq = lend(FN, 1);
    mortal_kill();
    take_told(rq, ANT_CHANGE_DIED, -EOWNERDEAD, 2, 2);
    /* of the dead: a monitor that was lent before its death was told, and one lent now is told of that */
    rq = lend(FN, 1);
    take_told(rq, ANT_CHANGE_DIED, -EOWNERDEAD, 2, 2);
    assert_int_equal(ant_swap(FN, &mortal_one, NULL, NULL), -EDOM);
    mortal.hook = NULL;
    assert_ok(ant_swap(FN, &mortal_one, NULL, NULL));
    assert_true(boss_has_no_result());
    assert_serves(1, 3);
}

static void an_end_is_told(void **state)
{
    (void)state;
    struct ant_request *stopped = lend(FN, 1), *all = lend(0, 2);
    assert_ok(ant_stop(mortal_pid, SOON, NULL));
    assert_ptr_equal(boss_result(), stopped);
    assert_told(stopped, ANT_CHANGE_ENDED, 0, 1, 1);
    take_told(all, ANT_CHANGE_ENDED, 0, 1, 1);
    assert_error(ant_monitor(stopped, FN), ESRCH);
    mortal_pid = serve(FN, &mortal_one, NULL);
    assert_ok(ant_monitor(stopped, FN));
    struct ant_request *rq = send_op(OP_EXIT, 1); /* by itself */
    assert_ptr_equal(boss_result(), rq);
    assert_int_equal(rq->error, -EOWNERDEAD);
    assert_ok(ant_request_free(rq));
    take_told(stopped, ANT_CHANGE_ENDED, 0, 1, 1);
}

static void the_end_of_a_dead_server_is_told(void **state)
{
    (void)state;
    struct ant_request *rq = lend(FN, 1);
    mortal_kill();
    take_told(rq, ANT_CHANGE_DIED, -EOWNERDEAD, 1, 1);
    rq = lend(FN, 1);
    take_told(rq, ANT_CHANGE_DIED, -EOWNERDEAD, 1, 1);
    ant_pid other = puppet_create("other", 0);
    struct ant_request *before = puppet_new_request(other, 1);
    mortal_pid = serve(FN_OTHER, &mortal_one, NULL);
    assert_ok(puppet_monitor(other, before, FN_OTHER));
    assert_ok(ant_kill(mortal_pid));
    assert_ptr_equal(puppet_take_result(other), before);
    assert_int_equal(report_in(before)->change, ANT_CHANGE_DIED);
    assert_int_equal(report_in(before)->function, FN_OTHER);
    assert_ok(ant_stop(mortal_pid, SOON, NULL));
    ant_pid found;
    assert_error(ant_lookup(FN_OTHER, &found), ESRCH);
}

static void what_ends_by_stop_while_dead_is_told_to_who_asks_about_all(void **state)
{
    (void)state;
    mortal_kill();
    struct ant_request *told = lend(0, 1); /* of the death */
    take_told(told, ANT_CHANGE_DIED, -EOWNERDEAD, 1, 1);
    ant_pid dead = mortal_pid;
    mortal.hook = NULL;
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    struct ant_request *rq = lend(0, 2);
    assert_ok(ant_kill(dead));
    await_death(dead);
    take_told(rq, ANT_CHANGE_DIED, -EOWNERDEAD, 2, 2);
}

static void a_function_s_monitor_hears_of_no_other(void **state)
{
    (void)state;
    ant_pid other = serve(FN_OTHER, &mortal_one, NULL);
    struct ant_request *mine = lend(FN, 1), *all = lend(0, 2), *its = lend(FN_OTHER, 3);
    assert_ok(ant_swap(FN_OTHER, &mortal_one_again, NULL, NULL));
    assert_ptr_equal(boss_result(), all); /* in the order in which they were lent */
    assert_ptr_equal(boss_result(), its);
    assert_true(boss_has_no_result());
    assert_int_equal(report_in(all)->function, FN_OTHER);
    assert_true(report_in(all)->pid == other);
    assert_int_equal(report_in(its)->generation, 2);
    mortal_kill();
    take_told(mine, ANT_CHANGE_DIED, -EOWNERDEAD, 1, 1);
    assert_ok(ant_request_free(all));
    assert_ok(ant_request_free(its));
}

static void every_monitor_of_a_process_is_told(void **state)
{
    (void)state;
    struct ant_request *rq[4];
    for (uint32_t i = 0; i < 4; i++)
        rq[i] = lend(i % 2 ? FN : 0, i);
    mortal_kill();
    for (uint32_t i = 0; i < 4; i++)
        take_told(rq[i], ANT_CHANGE_DIED, -EOWNERDEAD, 1, 1);
}

static void the_monitor_lent_after_a_death_is_the_one_that_is_told(void **state)
{
    (void)state;
    ant_pid other = serve(FN_OTHER, &mortal_one, NULL);
    struct ant_request *living = lend(FN_OTHER, 1);
    mortal_kill();
    struct ant_request *rq = lend(0, 2), *its = lend(FN, 3);
    take_told(rq, ANT_CHANGE_DIED, -EOWNERDEAD, 1, 1);
    take_told(its, ANT_CHANGE_DIED, -EOWNERDEAD, 1, 1);
    assert_true(boss_has_no_result());
    assert_ok(ant_kill(other));
    assert_ptr_equal(boss_result(), living);
    assert_true(report_in(living)->pid == other);
    assert_ok(ant_request_free(living));
}

/* The requester and the new server may be faster than the dying thread: so on many CPUs, which `virtual` explores. */
static void a_death_in_a_swap_is_told_before_the_swap(void **state)
{
    (void)state;
    for (uint64_t seed = 0; fixture_explores(seed, 100); seed++) {
        fixture_boot_seed(seed);
        mortal_begin(NULL);
        ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5),
                watcher = puppet_create("watcher", 0);
        struct ant_request *busy = make_obey(), *rq = puppet_new_request(watcher, 1);
        assert_ok(puppet_monitor(watcher, rq, FN));
        puppet_begin_swap(requester, FN, &mortal_one_again, NULL, NULL);
        assert_soon(steps_in_trace(ANT_SWAP_NOTIFY, 2) > 0);
        assert_ok(ant_kill(mortal_pid));
        assert_int_equal(puppet_end(requester), 0);
        puppet_bury(mortal_pid);
        take_error(busy, -EOWNERDEAD);
        assert_ptr_equal(puppet_take_result(watcher), rq);
        assert_told(rq, ANT_CHANGE_DIED, -EOWNERDEAD, 1, 1);
        assert_serves(2, 2);
        fixture_shutdown();
    }
}

static void any_function_id_of_a_server_names_it(void **state)
{
    (void)state;
    struct ant_request *busy = make_obey();
    assert_ok(puppet_function_add(mortal_pid, FN_EXTRA));
    struct ant_request *rq = lend(FN_EXTRA, 1);
    mortal_kill();
    take_error(busy, -EOWNERDEAD);
    take_told(rq, ANT_CHANGE_DIED, -EOWNERDEAD, 1, 1);
}

static void every_process_that_asked_is_told(void **state)
{
    (void)state;
    enum { WATCHERS = 5 };
    ant_pid watcher[WATCHERS];
    struct ant_request *rq[WATCHERS], *own = lend(FN, 9);
    struct ant_message message[WATCHERS];
    for (int i = 0; i < WATCHERS; i++) {
        watcher[i] = puppet_create("watcher", 0);
        rq[i] = puppet_new_request(watcher[i], 1);
        assert_ok(puppet_monitor(watcher[i], rq[i], i % 2 ? FN : 0));
        if (i < 2) /* it waits, and is woken */
            puppet_begin_receive(watcher[i], &message[i], SOON);
    }
    mortal_kill();
    for (int i = 0; i < WATCHERS; i++) {
        if (i < 2) {
            assert_int_equal(puppet_end(watcher[i]), 0);
            assert_int_equal(message[i].kind, ANT_RESULT);
            assert_ptr_equal(message[i].request, rq[i]);
        } else {
            assert_ptr_equal(puppet_take_result(watcher[i]), rq[i]);
        }
        assert_told(rq[i], ANT_CHANGE_DIED, -EOWNERDEAD, 1, 1);
    }
    take_told(own, ANT_CHANGE_DIED, -EOWNERDEAD, 1, 1);
}

static void a_monitor_can_be_taken_back(void **state)
{
    (void)state;
    size_t before = free_pages();
    struct ant_request *rq = lend(FN, 1);
    assert_error(ant_request_free(rq), EPERM); /* lent */
    assert_error(ant_send(rq), EPERM);
    assert_error(ant_monitor(rq, FN), EPERM);
    assert_ok(ant_cancel(rq));
    assert_error(ant_cancel(rq), ESRCH);
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    assert_true(boss_has_no_result());
    rq->function = FN;
    assert_ok(ant_call(rq, SOON)); /* a request like any other */
    assert_int_equal(rq->error, 0);
    assert_ok(ant_monitor(rq, FN));
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    assert_error(ant_cancel(rq), EALREADY);
    assert_ptr_equal(boss_result(), rq);
    assert_ok(ant_request_free(rq));
    assert_int_equal(free_pages(), before);
}

static void a_monitor_ends_with_its_process(void **state)
{
    (void)state;
    size_t before = free_pages();
    for (int killed = 0; killed < 3; killed++) {
        ant_pid watcher = puppet_create("watcher", 0);
        for (int i = 0; i < 3; i++)
            assert_ok(puppet_monitor(watcher, puppet_new_request(watcher, 1), i ? FN : 0));
        if (killed == 2) { /* some have been told */
            assert_ok(ant_swap(FN, &mortal_one, NULL, NULL));
            assert_int_equal(info_of(watcher).queued_results, 3);
            assert_ok(puppet_monitor(watcher, puppet_new_request(watcher, 1), FN));
        }
        if (killed) {
            assert_ok(ant_kill(watcher));
            assert_int_equal(join(watcher), -EOWNERDEAD);
            puppet_bury(watcher);
        } else {
            puppet_dismiss(watcher);
        }
        assert_soon(free_pages() == before);
    }
    mortal_kill();
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    assert_int_equal(free_pages(), before);
}

/* FN watches FN_OTHER. */
static struct ant_request *make_a_watching_server(void)
{
    serve(FN_OTHER, &mortal_one, NULL);
    struct ant_request *busy = make_obey(), *rq = puppet_new_request(mortal_pid, 1);
    assert_ok(puppet_monitor(mortal_pid, rq, FN_OTHER));
    puppet_release(mortal_pid);
    take_answer(busy, 1);
    return rq;
}

static void a_server_s_monitors_pass_to_its_successor(void **state)
{
    (void)state;
    struct ant_request *rq = make_a_watching_server();
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    mortal.hook = fail_to_start;
    assert_int_equal(ant_swap(FN, &mortal_one_again, NULL, NULL), -EDOM); /* a rollback leaves them */
    mortal.hook = NULL;
    assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES + 1);
    struct ant_request *busy = make_obey();
    assert_ok(ant_swap(FN_OTHER, &mortal_one_again, NULL, NULL));
    assert_ptr_equal(puppet_take_result(mortal_pid), rq);
    assert_int_equal(report_in(rq)->change, ANT_CHANGE_SWAPPED);
    assert_int_equal(report_in(rq)->function, FN_OTHER);
    assert_ok(puppet_request_free(mortal_pid, rq));
    puppet_release(mortal_pid);
    take_answer(busy, 2);
    assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
}

static void a_dead_server_s_monitors_are_freed(void **state)
{
    (void)state;
    make_a_watching_server();
    assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES + 1);
    mortal_kill();
    assert_int_equal(info_of(mortal_pid).pages, MORTAL_STATE_PAGES);
    assert_ok(ant_swap(FN_OTHER, &mortal_one_again, NULL, NULL));
    assert_int_equal(info_of(mortal_pid).queued_results, 0);
    assert_ok(ant_swap(FN, &mortal_one_again, &(struct ant_swap_options){.trust_state = true}, NULL));
    assert_serves(2, 2);
}

static void a_monitor_that_is_told_while_its_server_dies_is_dropped(void **state)
{
    (void)state;
    for (uint64_t seed = 0; fixture_explores(seed, 300); seed++) {
        fixture_boot_seed(seed);
        mortal_begin(NULL);
        make_a_watching_server();
        ant_pid swapper = puppet_create("swapper", 0);
        puppet_begin_swap(swapper, FN_OTHER, &mortal_one_again, NULL, NULL);
        assert_ok(ant_kill(mortal_pid));
        await_death(mortal_pid);
        assert_int_equal(puppet_end(swapper), 0);
        assert_int_equal(info_of(mortal_pid).queued_results, 0);
        fixture_shutdown();
    }
}

/* The dying may not be through with telling it when the supervisor has mended it already. */
static void a_death_is_not_told_to_who_asks_when_it_is_mended(void **state)
{
    (void)state;
    for (uint64_t seed = 0; fixture_explores(seed, 300); seed++) {
        fixture_boot_seed(seed);
        mortal_begin(NULL);
        assert_ok(ant_kill(mortal_pid));
        await_death(mortal_pid);
        struct ant_request *rq = lend(FN, 1);
        take_told(rq, ANT_CHANGE_DIED, -EOWNERDEAD, 1, 1);
        assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
        rq = lend(FN, 2);
        assert_ok(ant_sleep(ant_now() + 1)); /* on `virtual`, until all others wait */
        assert_true(boss_has_no_result());
        assert_ok(ant_cancel(rq));
        assert_ok(ant_request_free(rq));
        fixture_shutdown();
    }
}

static int lend_in_start(struct ant_server *self)
{
    struct ant_request *rq;
    (void)self;
    expect_ok(ant_request_new(1, &rq));
    expect_error(ant_monitor(rq, FN), EPERM);
    return 0;
}

static void *lend_from_outside(void *rq)
{
    expect_error(ant_monitor(rq, FN), EPERM);
    return NULL;
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    struct ant_request *rq = new_request(1), *mine = new_request(BOSS);
    char *area = new_area(2);
    int on_stack;
    assert_error(ant_monitor((void *)&on_stack, FN), EFAULT);
    assert_error(ant_monitor(NULL, FN), EFAULT);
    assert_error(ant_monitor((void *)area, FN), EINVAL);
    assert_error(ant_monitor((void *)(area + 16), FN), EINVAL);
    assert_error(ant_monitor(rq, FN_DRIVER), ESRCH);
    assert_error(ant_monitor(rq, BOSS), ENOTSUP); /* this process */
    assert_ok(ant_send(mine));                    /* to itself */
    struct ant_message message;
    assert_ok(ant_receive(&message, SOON));
    assert_int_equal(message.kind, ANT_REQUEST);
    assert_error(ant_monitor(message.request, FN), EBUSY);
    assert_ok(ant_reply(message.request, 0));
    assert_ptr_equal(boss_result(), mine);
    ant_pid client = puppet_create("client", 0);
    assert_error(puppet_monitor(client, rq, FN), EPERM);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, lend_from_outside, rq), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    mortal.hook = lend_in_start;
    assert_ok(ant_swap(FN, &mortal_one, NULL, NULL));
    assert_ok(ant_request_free(rq));
    assert_ok(ant_request_free(mine));
    assert_ok(ant_ica_free(area));
}

static void a_thousand_monitors_leak_nothing(void **state)
{
    (void)state;
    size_t before = free_pages();
    struct ant_request *rq = lend(FN, 0);
    for (uint32_t i = 0; i < 1000; i++) {
        if (i % 2 == 0) {
            assert_ok(ant_kill(mortal_pid));
            await_death(mortal_pid);
            assert_ptr_equal(boss_result(), rq);
            assert_told(rq, ANT_CHANGE_DIED, -EOWNERDEAD, i + 1, 1);
            assert_ok(ant_swap(FN, &mortal_one, NULL, NULL));
        } else {
            assert_ok(ant_swap(FN, &mortal_one, NULL, NULL));
            assert_ptr_equal(boss_result(), rq);
            assert_told(rq, ANT_CHANGE_SWAPPED, 0, i + 2, 1);
        }
        assert_ok(ant_monitor(rq, i % 3 ? FN : 0));
    }
    assert_ok(ant_cancel(rq));
    assert_ok(ant_request_free(rq));
    assert_int_equal(free_pages(), before);
}

static void changes_have_names(void **state)
{
    (void)state;
    assert_string_equal(ant_change_name(ANT_CHANGE_DIED), "died");
    assert_string_equal(ant_change_name(ANT_CHANGE_SWAPPED), "swapped");
    assert_string_equal(ant_change_name(ANT_CHANGE_ROLLED_BACK), "rolled-back");
    assert_string_equal(ant_change_name(ANT_CHANGE_ENDED), "ended");
    assert_string_equal(ant_change_name((enum ant_change)0), "?");
    assert_string_equal(ant_change_name((enum ant_change)(ANT_CHANGE_ENDED + 1)), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        mortal_test(a_death_is_told_once),
        mortal_test(a_death_before_is_told_at_once),
        mortal_test(while_a_death_is_being_mended_the_end_of_that_is_told),
        mortal_test(swaps_are_told),
        mortal_test(an_end_is_told),
        mortal_test(the_end_of_a_dead_server_is_told),
        mortal_test(what_ends_by_stop_while_dead_is_told_to_who_asks_about_all),
        mortal_test(a_function_s_monitor_hears_of_no_other),
        mortal_test(every_monitor_of_a_process_is_told),
        mortal_test(the_monitor_lent_after_a_death_is_the_one_that_is_told),
        bare_mortal_test(a_death_in_a_swap_is_told_before_the_swap),
        mortal_test(any_function_id_of_a_server_names_it),
        mortal_test(every_process_that_asked_is_told),
        mortal_test(a_monitor_can_be_taken_back),
        mortal_test(a_monitor_ends_with_its_process),
        mortal_test(a_server_s_monitors_pass_to_its_successor),
        mortal_test(a_dead_server_s_monitors_are_freed),
        bare_mortal_test(a_monitor_that_is_told_while_its_server_dies_is_dropped),
        bare_mortal_test(a_death_is_not_told_to_who_asks_when_it_is_mended),
        mortal_test(nonsense_is_refused),
        mortal_test(a_thousand_monitors_leak_nothing),
        cmocka_unit_test(changes_have_names),
    };
    return cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
}
