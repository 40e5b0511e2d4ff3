/* ctest: machines=virtual,real movers=strict,flat */
/*
 * Processes: creation, ids, exit, wait, stop, priorities, work and sleep.
 */
#include "fixture.h"
#include "puppet.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#define FN 7u

static int return_arg(void *arg)
{
    return *(int *)arg;
}

/* ---- creation ---- */

struct born {
    ant_pid pid;
    int priority;
    char name[ANT_NAME_BYTES];
    uint64_t now_ns;
    _Atomic bool done;
};

static int note_birth(void *arg)
{
    struct born *born = arg;
    struct ant_process_info info;
    born->pid = ant_self();
    born->now_ns = ant_now();
    if (expect_ok(ant_process_info(ant_self(), &info)) == 0) {
        born->priority = info.priority;
        memcpy(born->name, info.name, sizeof born->name);
    }
    atomic_store(&born->done, true);
    return 33;
}

static void a_process_runs_its_entry_and_leaves_its_status(void **state)
{
    (void)state;
    struct born born = {0};
    struct ant_process_options options = {.name = "worker", .priority = 5};
    ant_pid pid = 0;
    int status = -1;
    uint64_t before_ns = ant_now();
    assert_ok(ant_process_create(&options, note_birth, &born, &pid));
    assert_ok(ant_wait(pid, SOON, &status));
    assert_int_equal(status, 33);
    assert_true(born.pid == pid);
    assert_int_equal(born.priority, 5);
    assert_string_equal(born.name, "worker");
    assert_true(born.now_ns >= before_ns);
    assert_true(pid != ant_self());
}

static void defaults_are_the_caller_s_priority_and_a_name(void **state)
{
    (void)state;
    struct born born = {0};
    ant_pid pid = 0;
    assert_ok(ant_process_create(NULL, note_birth, &born, &pid));
    assert_ok(ant_wait(pid, SOON, NULL));
    assert_int_equal(born.priority, FIXTURE_PRIORITY);
    assert_string_equal(born.name, "process");
    atomic_store(&born.done, false);
    assert_ok(ant_process_create(NULL, note_birth, &born, NULL)); /* nobody wants to know its id */
    assert_soon(atomic_load(&born.done));
    assert_true(born.pid != pid);
    assert_int_equal(join(born.pid), 33);
}

static void long_names_are_cut(void **state)
{
    (void)state;
    struct born born = {0};
    struct ant_process_options options = {
        .name = "a name that is much longer than the bytes that there are for it"};
    ant_pid pid;
    assert_ok(ant_process_create(&options, note_birth, &born, &pid));
    assert_ok(ant_wait(pid, SOON, NULL));
    assert_int_equal(strnlen(born.name, sizeof born.name), ANT_NAME_BYTES - 1);
    assert_memory_equal(born.name, options.name, ANT_NAME_BYTES - 1);
}

static int read_pid(void *arg)
{
    ant_pid *pid = arg;
    return *pid == ant_self() ? 1 : 0;
}

static void the_id_is_written_before_the_new_process_runs(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        static ant_pid pid;
        int status = -1;
        struct ant_process_options options = {.priority = FIXTURE_PRIORITY + 5};
        pid = 0;
        assert_ok(ant_process_create(&options, read_pid, &pid, &pid));
        assert_ok(ant_wait(pid, SOON, &status));
        assert_int_equal(status, 1);
    }
}

static void create_refuses_nonsense(void **state)
{
    (void)state;
    ant_pid pid = 77;
    int arg = 0;
    assert_error(ant_process_create(NULL, NULL, NULL, &pid), EINVAL);
    struct ant_process_options wrong[] = {
        {.priority = -1},        {.priority = ANT_PRIORITY_MAX + 1},
        {.priority = INT32_MIN}, {.stack_bytes = 1},
        {.stack_bytes = 65535},  {.stack_bytes = SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_error(ant_process_create(&wrong[i], return_arg, &arg, &pid), EINVAL);
    assert_true(pid == 77);
    struct ant_process_options extremes[] = {
        {.priority = ANT_PRIORITY_MIN, .stack_bytes = 65536},
        {.priority = ANT_PRIORITY_MAX, .stack_bytes = (size_t)8 << 20},
    };
    for (size_t i = 0; i < 2; i++) {
        assert_ok(ant_process_create(&extremes[i], return_arg, &arg, &pid));
        assert_ok(ant_wait(pid, SOON, NULL));
    }
}

static void no_more_than_max_processes_run(void **state)
{
    (void)state;
    ant_pid pid[FIXTURE_PROCESSES], extra = 77;
    uint32_t count = 0;
    int arg = 4, rc;
    while (count < FIXTURE_PROCESSES - 1)
        pid[count++] = puppet_create("crowd", 0);
    rc = assert_error(ant_process_create(NULL, return_arg, &arg, &extra), EAGAIN);
    assert_int_equal(rc, -EAGAIN);
    assert_true(extra == 77);
    puppet_dismiss(pid[3]);
    assert_ok(ant_process_create(NULL, return_arg, &arg, &extra)); /* its place is free again */
    assert_int_equal(join(extra), 4);
}

static void a_stack_that_no_host_has_is_eagain(void **state)
{
    (void)state;
    if (SANITIZED)
        skip(); /* they check the size themselves */
    struct ant_process_options options = {.stack_bytes = (size_t)1 << 46};
    int arg = 0;
    ant_pid pid = 77;
    struct ant_ica_stats before, after;
    assert_ok(ant_ica_stats(&before));
    for (uint32_t i = 0; i < 2 * FIXTURE_PROCESSES; i++) /* no place is lost by it */
        assert_error(ant_process_create(&options, return_arg, &arg, &pid), EAGAIN);
    assert_true(pid == 77);
    assert_ok(ant_ica_stats(&after));
    assert_int_equal(before.free_pages, after.free_pages);
    assert_ok(ant_process_create(NULL, return_arg, &arg, &pid));
    assert_int_equal(join(pid), 0);
}

/* ---- exit, wait, ids ---- */

static int exit_deep(int depth)
{
    if (depth > 0)
        return exit_deep(depth - 1) + 1;
    ant_exit(-5);
    return 0;
}

static int exit_entry(void *arg)
{
    (void)arg;
    void *area;
    expect_ok(ant_ica_alloc(5, &area)); /* freed with the process */
    return exit_deep(10);
}

static void exit_ends_the_process_from_any_depth(void **state)
{
    (void)state;
    assert_int_equal(join(spawn("deep", 0, exit_entry, NULL)), -5);
    assert_int_equal(free_pages(), FIXTURE_POOL_PAGES); /* ended: its areas are free */
}

static void exit_does_nothing_in_the_process_that_booted(void **state)
{
    (void)state;
    ant_exit(3);
    assert_true(ant_self() != 0);
    void *area = new_area(1);
    assert_ok(ant_ica_free(area));
}

static void the_status_can_be_asked_later_and_often(void **state)
{
    (void)state;
    int value = 9, status;
    ant_pid pid = spawn("brief", FIXTURE_PRIORITY + 1, return_arg, &value);
    for (int i = 0; i < 3; i++) {
        status = -1;
        assert_ok(ant_wait(pid, SOON, &status));
        assert_int_equal(status, 9);
    }
    assert_ok(ant_wait(pid, 0, NULL));
    assert_error(ant_process_info(pid, &(struct ant_process_info){0}), ESRCH);
    assert_error(ant_priority_set(pid, 5), ESRCH);
    assert_error(ant_stop(pid, SOON, NULL), ESRCH);
}

static void several_may_wait_for_one(void **state)
{
    (void)state;
    ant_pid subject = puppet_create("subject", 0), waiter[3];
    int status[3] = {-1, -1, -1};
    for (int i = 0; i < 3; i++) {
        waiter[i] = puppet_create("waiter", 0);
        puppet_begin_wait(waiter[i], subject, SOON, &status[i]);
    }
    puppet_dismiss(subject);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(puppet_end(waiter[i]), 0);
        assert_int_equal(status[i], 0);
    }
}

static void a_stale_id_is_told_from_the_one_that_has_its_place(void **state)
{
    (void)state;
    int value = 1;
    ant_pid first = spawn("first", 0, return_arg, &value);
    assert_int_equal(join(first), 1);
    static ant_pid later[3 * FIXTURE_PROCESSES];
    for (size_t i = 0; i < 3 * FIXTURE_PROCESSES; i++) { /* every place is used again */
        later[i] = puppet_create("later", 0);
        for (size_t j = 0; j < i; j++)
            assert_true(later[j] != later[i]);
        assert_true(later[i] != first);
        bool in_its_place = (uint32_t)later[i] == (uint32_t)first;
        if (in_its_place && i >= 2 * FIXTURE_PROCESSES)
            break; /* that one stays */
        assert_in_range(i, 0, 3 * FIXTURE_PROCESSES - 2);
        puppet_dismiss(later[i]);
    }
    int status = -7;
    assert_error(ant_wait(first, SOON, &status), ESRCH); /* so long ago that its place was needed */
    assert_int_equal(status, -7);
    assert_error(ant_process_info(first, &(struct ant_process_info){0}), ESRCH);
    assert_error(ant_stop(first, SOON, NULL), ESRCH);
    assert_error(ant_priority_set(first, 9), ESRCH);
}

static void ids_that_never_were_are_refused(void **state)
{
    (void)state;
    ant_pid wrong[] = {
        0, UINT64_MAX, 1, ant_self() + 1, ant_self() ^ (UINT64_C(1) << 63), ant_self() ^ (UINT64_C(1) << 33)};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (wrong[i] == ant_self())
            continue;
        assert_error(ant_wait(wrong[i], SOON, NULL), ESRCH);
        assert_error(ant_stop(wrong[i], SOON, NULL), ESRCH);
        assert_error(ant_priority_set(wrong[i], 9), ESRCH);
        assert_error(ant_process_info(wrong[i], &(struct ant_process_info){0}), ESRCH);
    }
}

static void waiting_for_oneself_is_a_deadlock(void **state)
{
    (void)state;
    assert_error(ant_wait(ant_self(), SOON, NULL), EDEADLK);
    assert_error(ant_stop(ant_self(), SOON, NULL), EDEADLK);
    ant_pid puppet = puppet_create("puppet", 0);
    assert_error(puppet_wait(puppet, puppet, SOON, NULL), EDEADLK);
    assert_error(puppet_stop(puppet, puppet, SOON, NULL), EDEADLK);
}

static void wait_gives_up_at_its_time_limit(void **state)
{
    (void)state;
    ant_pid puppet = puppet_create("puppet", 0);
    int status = -7;
    uint64_t before_ns = ant_now();
    assert_error(ant_wait(puppet, A_WHILE, &status), ETIMEDOUT);
    assert_true(ant_now() - before_ns >= (uint64_t)A_WHILE);
    assert_error(ant_wait(puppet, 0, &status), ETIMEDOUT);
    assert_int_equal(status, -7);
}

/* ---- stop ---- */

static int run_to_stop(struct ant_message *last)
{
    int rc;
    do
        rc = ant_receive(last, ANT_FOREVER);
    while (rc == 0 && last->kind != ANT_STOP);
    return rc;
}

struct stopped {
    int receive, again, sleep, work, wait;
    enum ant_message_kind kind, kind_again;
    ant_pid other;
};

static int note_stop(void *arg)
{
    struct stopped *s = arg;
    struct ant_message message = {0};
    s->receive = run_to_stop(&message);
    s->kind = message.kind;
    s->again = ant_receive(&message, 0);
    s->kind_again = message.kind;
    s->sleep = ant_sleep(ant_now() + US(1000000) * 100);
    s->work = ant_work(US(1000000) * 100);
    s->wait = ant_wait(s->other, ANT_FOREVER, NULL);
    return 21;
}

static void stop_reaches_every_way_of_waiting(void **state)
{
    (void)state;
    struct stopped s = {.other = ant_self()};
    ant_pid pid = spawn("stopped", 0, note_stop, &s);
    int status = -1;
    assert_ok(ant_stop(pid, SOON, &status));
    assert_int_equal(status, 21);
    assert_int_equal(s.receive, 0);
    assert_int_equal(s.kind, ANT_STOP);
    assert_int_equal(s.again, 0); /* it comes again */
    assert_int_equal(s.kind_again, ANT_STOP);
    assert_was(ant_sleep, s.sleep, ESHUTDOWN);
    assert_was(ant_work, s.work, ESHUTDOWN);
    assert_was(ant_wait, s.wait, ESHUTDOWN);
}

static int sleep_long(void *arg)
{
    *(int *)arg = ant_sleep(ant_now() + 1000 * ANT_NS_PER_S);
    return 1;
}

static int work_long(void *arg)
{
    *(int *)arg = ant_work(1000 * ANT_NS_PER_S);
    return 2;
}

static int wait_long(void *arg)
{
    *(int *)arg = ant_wait(*(ant_pid *)((int *)arg + 2), ANT_FOREVER, NULL);
    return 3;
}

static int receive_long(void *arg)
{
    struct ant_message message = {0};
    *(int *)arg = ant_receive(&message, ANT_FOREVER);
    expect(message.kind == ANT_STOP);
    return 4;
}

static void stop_wakes_those_who_wait_already(void **state)
{
    (void)state;
    struct {
        int rc, pad;
        ant_pid other;
    } record[4];
    int (*const entry[4])(void *) = {sleep_long, work_long, wait_long, receive_long};
    for (int i = 0; i < 4; i++) {
        record[i].rc = 1;
        record[i].other = ant_self();
        /* above this process, so that (where priorities hold) it waits already; work: below, or it would never end */
        ant_pid pid =
            spawn("waits", FIXTURE_PRIORITY + (entry[i] == work_long ? -1 : 1), entry[i], &record[i]);
        int status = -1;
        assert_ok(ant_stop(pid, SOON, &status));
        assert_int_equal(status, i + 1);
        assert_int_equal(record[i].rc, i == 3 ? 0 : -ESHUTDOWN);
    }
}

static void stop_gives_up_at_its_time_limit_and_the_process_stays_asked(void **state)
{
    (void)state;
    ant_pid puppet = puppet_create("stubborn", 0);
    puppet_await(puppet); /* it waits for orders, and a call is not ended by a stop */
    int status = -7;
    assert_error(ant_stop(puppet, A_WHILE, &status), ETIMEDOUT);
    assert_int_equal(status, -7);
    struct ant_message message = {0};
    assert_ok(puppet_receive(puppet, &message, SOON));
    assert_int_equal(message.kind, ANT_STOP);
    assert_null(message.request);
    puppet_begin_sleep(puppet, ant_now() + 1000 * ANT_NS_PER_S);
    assert_was(ant_sleep, puppet_end(puppet), ESHUTDOWN);
    puppet_begin_work(puppet, 1000 * ANT_NS_PER_S);
    assert_was(ant_work, puppet_end(puppet), ESHUTDOWN);
}

static void the_process_that_booted_cannot_be_stopped(void **state)
{
    (void)state;
    ant_pid puppet = puppet_create("puppet", 0);
    assert_error(puppet_stop(puppet, ant_self(), SOON, NULL), EPERM);
    struct ant_message message;
    assert_error(puppet_wait(puppet, ant_self(), 0, NULL), ETIMEDOUT);
    assert_int_equal(ant_receive(&message, 0), -ETIMEDOUT); /* nothing was asked of it */
}

static void who_stops_another_can_be_stopped_itself(void **state)
{
    (void)state;
    ant_pid stubborn = puppet_create("stubborn", 0), stopper = puppet_create("stopper", 0);
    ant_pid waiter = puppet_create("waiter", 0);
    puppet_await(stubborn);
    puppet_begin_stop(stopper, stubborn, ANT_FOREVER, NULL);
    puppet_begin_wait(waiter, stubborn, ANT_FOREVER, NULL);
    assert_error(ant_stop(waiter, A_WHILE, NULL), ETIMEDOUT); /* it obeys on, though stopped */
    assert_was(ant_wait, puppet_end(waiter), ESHUTDOWN);
    assert_error(ant_stop(stopper, A_WHILE, NULL), ETIMEDOUT);
    assert_was(ant_stop, puppet_end(stopper), ESHUTDOWN);
    struct ant_message message = {0}; /* stubborn stays asked to end */
    assert_ok(puppet_receive(stubborn, &message, SOON));
    assert_int_equal(message.kind, ANT_STOP);
}

static void stop_comes_before_results_and_requests(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0), server = puppet_create("server", 0);
    assert_ok(puppet_function_add(server, FN));
    struct ant_request *rq = puppet_new_request(client, FN);
    assert_ok(puppet_send(client, rq));
    puppet_await(server);
    assert_error(ant_stop(server, 0, NULL), ETIMEDOUT);
    struct ant_message message = {0};
    assert_ok(puppet_receive(server, &message, SOON));
    assert_int_equal(message.kind, ANT_STOP);
    puppet_dismiss(server);
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_int_equal(rq->error, -ESHUTDOWN); /* it was stopped, and left it behind */
    assert_ok(puppet_request_free(client, rq));
}

/* ---- priorities, time ---- */

static void priorities_are_kept_and_told(void **state)
{
    (void)state;
    ant_pid puppet = puppet_create("puppet", 7);
    assert_int_equal(info_of(puppet).priority, 7);
    assert_ok(ant_priority_set(puppet, ANT_PRIORITY_MAX));
    assert_int_equal(info_of(puppet).priority, ANT_PRIORITY_MAX);
    puppet_await(puppet);
    assert_ok(ant_priority_set(puppet, ANT_PRIORITY_MIN));
    assert_int_equal(info_of(puppet).priority, ANT_PRIORITY_MIN);
    puppet_await(puppet);
    assert_error(ant_priority_set(puppet, 0), EINVAL);
    assert_error(ant_priority_set(puppet, ANT_PRIORITY_MAX + 1), EINVAL);
    assert_error(ant_priority_set(puppet, -3), EINVAL);
    assert_int_equal(info_of(puppet).priority, ANT_PRIORITY_MIN);
    assert_ok(ant_priority_set(ant_self(), 33));
    assert_int_equal(info_of(ant_self()).priority, 33);
    assert_ok(ant_priority_set(ant_self(), FIXTURE_PRIORITY));
}

static void info_refuses_nonsense(void **state)
{
    (void)state;
    assert_error(ant_process_info(ant_self(), NULL), EINVAL);
    struct ant_process_info info = info_of(ant_self());
    assert_true(info.pid == ant_self());
    assert_string_equal(info.name, "boot");
    assert_int_equal(info.generation, 0); /* no server */
    assert_int_equal(info.version, 0);
}

static void a_time_that_has_passed_does_not_sleep(void **state)
{
    (void)state;
    assert_ok(ant_sleep(0));
    assert_ok(ant_sleep(ant_now()));
    uint64_t until_ns = ant_now() + MS(5);
    assert_ok(ant_sleep(until_ns));
    assert_true(ant_now() >= until_ns);
}

static void work_takes_the_time_asked_for(void **state)
{
    (void)state;
    assert_ok(ant_work(0));
    uint64_t before_ns = ant_now();
    assert_ok(ant_work(MS(2)));
    assert_true(ant_now() - before_ns >= MS(2) - US(1)); /* CPU time and the clock may differ by rounding */
}

static int sum_of_work(void *arg)
{
    expect_ok(ant_work(MS(20)));
    *(uint64_t *)arg = ant_now();
    return 0;
}

static void work_is_the_process_s_own_processor_time(void **state)
{
    (void)state;
    if (!on_virtual() && !on_fifo())
        skip(); /* two CPUs may work at once */
    uint64_t end_ns[3], start_ns = ant_now();
    ant_pid pid[3];
    for (int i = 0; i < 3; i++)
        pid[i] = spawn("works", FIXTURE_PRIORITY - 1 - i, sum_of_work, &end_ns[i]);
    for (int i = 0; i < 3; i++)
        assert_int_equal(join(pid[i]), 0);
    uint64_t last_ns = start_ns;
    for (int i = 0; i < 3; i++) { /* one CPU: nobody's preemption counts as its work */
        assert_true(end_ns[i] - last_ns >= MS(20) - US(10));
        last_ns = end_ns[i];
    }
}

static int note_order(void *arg)
{
    static _Atomic int next;
    if (!arg) {
        atomic_store(&next, 0);
        return 0;
    }
    *(int *)arg = atomic_fetch_add(&next, 1);
    return 0;
}

/* None may run yet: all are below the caller. */
static void create_in_mixed_order(ant_pid *pid, int *order)
{
    pid[0] = spawn("low", 5, note_order, &order[0]);
    pid[1] = spawn("middle", 10, note_order, &order[1]);
    pid[2] = spawn("middle too", 10, note_order, &order[2]);
    pid[3] = spawn("high", 15, note_order, &order[3]);
}

static void higher_priorities_run_first_and_equals_in_turn(void **state)
{
    (void)state;
    if (!on_virtual() && !on_fifo())
        skip(); /* `other` does not enforce them */
#if defined(__SANITIZE_THREAD__)
    if (on_fifo())
        skip(); /* its pthread_create waits for the new thread, which so runs too early */
#endif
    int order[4];
    ant_pid pid[4];
    bool early;
    int tries = on_virtual() ? 1 : 5; /* the kernel may block this thread in an mmap for a moment, and then they run early */
    do {
        early = false;
        note_order(NULL);
        memset(order, -1, sizeof order);
        create_in_mixed_order(pid, order);
        for (int i = 0; i < 4; i++)
            early |= order[i] != -1;
        for (int i = 0; i < 4; i++)
            join(pid[i]);
    } while (early && --tries > 0);
    assert_false(early);
    assert_int_equal(order[3], 0);
    assert_int_equal(order[1], 1);
    assert_int_equal(order[2], 2);
    assert_int_equal(order[0], 3);
    int at_once = -1;
    note_order(NULL);
    ant_pid above = spawn("above", FIXTURE_PRIORITY + 1, note_order, &at_once);
    assert_int_equal(at_once, 0); /* it ran before create returned */
    join(above);
}

/* ---- threads and signals ---- */

static int note_mask(void *arg)
{
    return pthread_sigmask(SIG_SETMASK, NULL, arg);
}

static void processes_take_no_asynchronous_signals(void **state)
{
    (void)state;
    sigset_t mask;
    assert_int_equal(join(spawn("masked", 0, note_mask, &mask)), 0);
    static const int asynchronous[] = {SIGTERM, SIGINT,  SIGHUP, SIGUSR1, SIGUSR2,
                                       SIGALRM, SIGCHLD, SIGIO,  SIGPIPE, SIGWINCH};
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof asynchronous / sizeof *asynchronous; i++)
        assert_int_equal(sigismember(&mask, asynchronous[i]), 1);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        assert_int_equal(sigismember(&mask, faults[i]), 0);
}

static void a_thousand_processes_come_and_go(void **state)
{
    (void)state;
    int value = 5;
    for (int i = 0; i < 1000; i++) {
        ant_pid pid;
        assert_ok(ant_process_create(NULL, return_arg, &value, &pid));
        assert_int_equal(join(pid), 5);
    }
    assert_int_equal(free_pages(), FIXTURE_POOL_PAGES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        core_test(a_process_runs_its_entry_and_leaves_its_status),
        core_test(defaults_are_the_caller_s_priority_and_a_name),
        core_test(long_names_are_cut),
        core_test(the_id_is_written_before_the_new_process_runs),
        core_test(create_refuses_nonsense),
        core_test(no_more_than_max_processes_run),
        core_test(a_stack_that_no_host_has_is_eagain),
        core_test(exit_ends_the_process_from_any_depth),
        core_test(exit_does_nothing_in_the_process_that_booted),
        core_test(the_status_can_be_asked_later_and_often),
        core_test(several_may_wait_for_one),
        core_test(a_stale_id_is_told_from_the_one_that_has_its_place),
        core_test(ids_that_never_were_are_refused),
        core_test(waiting_for_oneself_is_a_deadlock),
        core_test(wait_gives_up_at_its_time_limit),
        core_test(stop_reaches_every_way_of_waiting),
        core_test(stop_wakes_those_who_wait_already),
        core_test(stop_gives_up_at_its_time_limit_and_the_process_stays_asked),
        core_test(the_process_that_booted_cannot_be_stopped),
        core_test(who_stops_another_can_be_stopped_itself),
        core_test(stop_comes_before_results_and_requests),
        core_test(priorities_are_kept_and_told),
        core_test(info_refuses_nonsense),
        core_test(a_time_that_has_passed_does_not_sleep),
        core_test(work_takes_the_time_asked_for),
        core_test(work_is_the_process_s_own_processor_time),
        core_test(higher_priorities_run_first_and_equals_in_turn),
        core_test(processes_take_no_asynchronous_signals),
        core_test(a_thousand_processes_come_and_go),
    };
    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
