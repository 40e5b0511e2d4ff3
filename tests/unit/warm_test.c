/* ctest: machines=virtual,real,other movers=flat */
/*
 * Warm threads: the thread of a process that has ended is the body of the next one, where config.warm_threads asks for it; what passes
 * with it, and which threads are not kept.
 *
 * Whoever waits for the end of a process is told before its thread is through, so on real machines the next process may be too early for it:
 * what should be seen is looked for in one process after the other.
 */
#include "fixture.h"
#include "puppet.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { FN = 7 };

static void boot_warm(uint32_t warm_threads)
{
    struct ant_config config = fixture_config();
    config.warm_threads = warm_threads;
    fixture_boot(&config);
}

/* ---- threads, as the host sees them ---- */

static int count_threads(void)
{
    char line[256];
    int count = -1;
    FILE *status = fopen("/proc/self/status", "r");
    assert_non_null(status);
    while (fgets(line, sizeof line, status))
        if (sscanf(line, "Threads: %d", &count) == 1)
            break;
    fclose(status);
    return count;
}

/* A thread that has been joined may still be counted for a moment. */
static void assert_threads_become(int count)
{
    time_t begin = time(NULL);
    while (count_threads() != count && time(NULL) - begin < 20)
        sched_yield();
    assert_int_equal(count_threads(), count);
}

/* ---- processes that say on which thread they run ---- */

struct seen {
    int (*act)(void);
    _Atomic pid_t thread;
    int before;           /* how many processes this thread has been the body of */
    int policy, priority; /* of the thread, as the host has it */
    bool mask_is_ours;
};

static _Thread_local int processes; /* which outlives them */

static void look(struct seen *seen)
{
    sigset_t mask;
    struct sched_param param;
    expect(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
    seen->mask_is_ours = sigismember(&mask, SIGUSR1) == 1 && sigismember(&mask, SIGSEGV) == 0;
    seen->policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
    expect(sched_getparam(0, &param) == 0);
    seen->priority = param.sched_priority;
    seen->before = processes++;
    atomic_store(&seen->thread, gettid());
}

static int note(void *arg)
{
    struct seen *seen = arg;
    look(seen);
    return seen->act ? seen->act() : 0;
}

/* Runs a process to its end. Was its thread another's before? */
static bool runs_warm(struct seen *seen, int priority, size_t stack_bytes)
{
    struct ant_process_options options = {.priority = priority, .stack_bytes = stack_bytes};
    ant_pid pid;
    assert_ok(ant_process_create(&options, note, seen, &pid));
    assert_ok(ant_wait(pid, SOON, NULL));
    return seen->before > 0;
}

static pid_t run(int (*act)(void))
{
    struct seen seen = {.act = act};
    runs_warm(&seen, 0, 0);
    return atomic_load(&seen.thread);
}

/* ---- what is kept ---- */

static void the_next_process_runs_on_the_thread_of_one_that_has_ended(void **state)
{
    (void)state;
    struct seen seen = {0};
    pid_t threads[3];
    boot_warm(3);
    for (int i = 0; i < 3; i++) /* so there are three at most */
        threads[i] = run(NULL);
    assert_soon(runs_warm(&seen, 0, 0));
    pid_t thread = atomic_load(&seen.thread);
    assert_true(thread == threads[0] || thread == threads[1] || thread == threads[2]);
}

static void without_being_asked_the_core_keeps_none(void **state)
{
    (void)state;
    boot_warm(0);
    int before = count_threads();
    for (int i = 0; i < 20; i++) {
        struct seen seen = {0};
        assert_false(runs_warm(&seen, 0, 0));
        assert_ok(ant_sleep(ant_now() + US(100)));
    }
    assert_threads_become(before);
}

static _Atomic bool they_go;

static int wait_to_go(void)
{
    while (!atomic_load(&they_go))
        expect_ok(ant_sleep(ant_now() + US(100)));
    return 0;
}

static void no_more_are_kept_than_asked_for(void **state)
{
    (void)state;
    struct seen seen[5];
    boot_warm(2);
    int before = count_threads();
    atomic_store(&they_go, false);
    for (int i = 0; i < 5; i++) {
        seen[i] = (struct seen){.act = wait_to_go};
        spawn("waiter", 0, note, &seen[i]);
    }
    assert_threads_become(before + 5);
    atomic_store(&they_go, true);
    assert_soon(count_threads() == before + 2);
}

static void a_thread_is_kept_for_stacks_of_its_own_size(void **state)
{
    (void)state;
    size_t large = (size_t)2 << 20, small = (size_t)256 << 10;
    struct seen seen = {0};
    boot_warm(8);
    assert_false(runs_warm(&seen, 0, large));
    assert_soon(runs_warm(&seen, 0, large));
    assert_false(runs_warm(&seen, 0, small));
    assert_soon(runs_warm(&seen, 0, small));
    assert_false(runs_warm(&seen, 0, 0));
}

/* ---- what passes with it, and what does not ---- */

static pthread_key_t key;
static _Atomic int destroyed;

static void destroy(void *value)
{
    (void)value;
    expect_error(ant_sleep(0), EPERM);
    atomic_fetch_add(&destroyed, 1);
}

static int set_key(void)
{
    expect(pthread_setspecific(key, &key) == 0);
    return 0;
}

static void destructors_run_when_the_core_ends(void **state)
{
    (void)state;
    struct seen seen = {0};
    boot_warm(4);
    atomic_store(&destroyed, 0);
    assert_int_equal(pthread_key_create(&key, destroy), 0);
    run(set_key);
    assert_soon(runs_warm(&seen, 0, 0));
    assert_int_equal(atomic_load(&destroyed), 0);
    fixture_shutdown();
    assert_int_equal(atomic_load(&destroyed), 1);
    pthread_key_delete(key);
}

static int unblock_all(void)
{
    sigset_t none;
    sigemptyset(&none);
    expect(pthread_sigmask(SIG_SETMASK, &none, NULL) == 0);
    return 0;
}

static void its_signal_mask_is_that_of_a_new_one(void **state)
{
    (void)state;
    struct seen seen = {.act = unblock_all};
    boot_warm(1);
    assert_soon(runs_warm(&seen, 0, 0));
    assert_true(seen.mask_is_ours);
}

static void its_priority_is_that_of_the_next_process(void **state)
{
    (void)state;
    struct seen seen = {0};
    boot_warm(1);
    for (int priority = 1; priority < 40; priority += 6) {
        assert_soon(runs_warm(&seen, priority, 0));
        if (on_fifo()) {
            assert_int_equal(seen.policy, SCHED_FIFO);
            assert_int_equal(seen.priority, ANT_RT_BASE_DEFAULT + priority);
        }
    }
}

/* ---- which are not kept ---- */

static int leave_by_exit(void)
{
    ant_exit(3);
    return 0;
}

static int leave_by_pthread_exit(void)
{
    pthread_exit(NULL);
}

static _Atomic bool sleeps;

static int sleep_long(void)
{
    atomic_store(&sleeps, true);
    expect(ant_sleep(ant_now() + 3600 * ANT_NS_PER_S) == 0);
    return 0;
}

static int fault(void)
{
    __builtin_trap();
}

static void assert_never_runs_again(pid_t thread)
{
    for (int i = 0; i < 20; i++) {
        assert_int_not_equal(run(NULL), thread);
        assert_ok(ant_sleep(ant_now() + US(100)));
    }
}

static void who_exits_leaves_its_thread(void **state)
{
    (void)state;
    struct seen seen = {.act = leave_by_exit};
    boot_warm(1);
    assert_soon(runs_warm(&seen, 0, 0));
}

static void who_ends_its_thread_has_none_to_leave(void **state)
{
    (void)state;
    boot_warm(4);
    assert_never_runs_again(run(leave_by_pthread_exit));
}

static void who_is_killed_does_not_leave_its_thread(void **state)
{
    (void)state;
    struct seen seen = {.act = sleep_long};
    boot_warm(4);
    atomic_store(&sleeps, false);
    ant_pid pid = spawn("sleeper", 0, note, &seen);
    assert_soon(atomic_load(&sleeps));
    assert_ok(ant_kill(pid));
    assert_never_runs_again(atomic_load(&seen.thread));
}

static void who_dies_of_a_fault_does_not_leave_its_thread(void **state)
{
    (void)state;
    struct ant_config config = fixture_config();
    config.warm_threads = 4;
    config.contain_faults = true;
    config.log = ANT_LOG_QUIET;
    fixture_boot(&config);
    assert_never_runs_again(run(fault));
}

/* ---- servers ---- */

static struct seen server_seen;

static int start(struct ant_server *self)
{
    look(&server_seen);
    return self->reason == ANT_START_SWAP && server_seen.act ? server_seen.act() : 0;
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    expect_ok(ant_reply(rq, 0));
}

static const struct ant_program program = {
    .abi = ANT_ABI, .name = "server", .version = 1, .start = start, .request = request};

static int refuse(void)
{
    return -EPROTO;
}

static void begin_server(uint32_t warm_threads)
{
    boot_warm(warm_threads);
    server_seen = (struct seen){0};
    serve(FN, &program, NULL);
}

static bool swaps_warm(int error)
{
    int rc = ant_swap(FN, &program, NULL, NULL);
    assert_int_equal(rc, error);
    return server_seen.before > 0;
}

static void a_new_server_runs_on_the_thread_of_one_that_has_left(void **state)
{
    (void)state;
    begin_server(1);
    pid_t first = atomic_load(&server_seen.thread);
    assert_false(swaps_warm(0));
    assert_int_not_equal(first, atomic_load(&server_seen.thread));
    for (int i = 0; i < 10; i++)
        assert_soon(swaps_warm(0));
}

static void a_thousand_swaps_add_no_thread(void **state)
{
    (void)state;
    int reused = 0;
    begin_server(2);
    int before = count_threads();
    for (int i = 0; i < (SANITIZED ? 200 : 1000); i++) {
        struct ant_request *rq = new_request(FN);
        assert_ok(ant_send(rq));
        assert_ok(ant_swap(FN, &program, NULL, NULL));
        reused += server_seen.before > 0;
        struct ant_message message;
        assert_ok(ant_receive(&message, SOON));
        assert_ok(ant_request_free(rq));
        assert_ok(ant_sleep(ant_now() + US(20)));
    }
    assert_true(reused > 0);
    assert_soon(count_threads() <= before + 2);
}

static void a_server_that_fails_to_start_leaves_its_thread(void **state)
{
    (void)state;
    begin_server(1);
    server_seen.act = refuse;
    assert_soon(swaps_warm(-EPROTO));
}

/* ---- `virtual`: nothing that is seen there depends on them ---- */

static void live(void)
{
    static struct seen seen;
    for (uint32_t i = 0; i < 6; i++) {
        struct ant_request *rq = new_request(FN);
        assert_ok(ant_send(rq));
        spawn("equal", 0, note, &seen);
        assert_ok(ant_swap(FN, &program, NULL, NULL));
        struct ant_message message;
        assert_ok(ant_receive(&message, SOON));
        assert_ok(ant_request_free(rq));
        run(i % 2 ? leave_by_exit : NULL);
        runs_warm(&seen, 5, 0);
        assert_ok(ant_sleep(ant_now() + US(i)));
    }
}

static size_t trace_of(uint32_t warm_threads, uint64_t seed, char *text, size_t size)
{
    struct ant_config config = fixture_config();
    config.warm_threads = warm_threads;
    config.seed = seed;
    fixture_boot(&config);
    server_seen = (struct seen){0};
    serve(FN, &program, NULL);
    live();
    int file = memfd_create("trace", 0);
    assert_true(file >= 0);
    assert_ok(ant_trace_write(file));
    ssize_t bytes = pread(file, text, size, 0);
    assert_true(bytes > 0 && (size_t)bytes < size);
    close(file);
    fixture_shutdown();
    return (size_t)bytes;
}

static void they_change_no_trace(void **state)
{
    static char with[1 << 18], without[1 << 18];
    (void)state;
    boot_warm(0);
    bool is_virtual = on_virtual();
    fixture_shutdown();
    if (!is_virtual)
        skip();
    for (uint64_t seed = 0; seed < 20; seed++) {
        size_t bytes = trace_of(0, seed, without, sizeof without);
        assert_int_equal(trace_of(3, seed, with, sizeof with), bytes);
        assert_memory_equal(with, without, bytes);
    }
}

/* ---- the end ---- */

static void the_core_ends_with_all_its_threads(void **state)
{
    (void)state;
    boot_warm(0);
    fixture_shutdown();
    int before = count_threads();
    for (int i = 0; i < 10; i++) {
        struct seen seen[5];
        begin_server(4);
        assert_ok(ant_swap(FN, &program, NULL, NULL));
        atomic_store(&they_go, true);
        for (int j = 0; j < 5; j++) {
            seen[j] = (struct seen){.act = wait_to_go};
            spawn("process", 1 + 8 * j, note, &seen[j]);
        }
        fixture_shutdown();
        assert_threads_become(before);
    }
}

#define warm_test(f) cmocka_unit_test_setup_teardown(f, fixture_no_core, fixture_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        warm_test(the_next_process_runs_on_the_thread_of_one_that_has_ended),
        warm_test(without_being_asked_the_core_keeps_none),
        warm_test(no_more_are_kept_than_asked_for),
        warm_test(a_thread_is_kept_for_stacks_of_its_own_size),
        warm_test(destructors_run_when_the_core_ends),
        warm_test(its_signal_mask_is_that_of_a_new_one),
        warm_test(its_priority_is_that_of_the_next_process),
        warm_test(who_exits_leaves_its_thread),
        warm_test(who_ends_its_thread_has_none_to_leave),
        warm_test(who_is_killed_does_not_leave_its_thread),
        warm_test(who_dies_of_a_fault_does_not_leave_its_thread),
        warm_test(a_new_server_runs_on_the_thread_of_one_that_has_left),
        warm_test(a_thousand_swaps_add_no_thread),
        warm_test(a_server_that_fails_to_start_leaves_its_thread),
        warm_test(they_change_no_trace),
        warm_test(the_core_ends_with_all_its_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
