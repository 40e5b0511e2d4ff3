/* ctest: machines=virtual,other movers=strict,flat */
/*
 * Faults in the callback of a direct call, contained: the server dies, and the thread, its client's, goes on with its own signal mask and alternate stack.
 *
 * Each test is a child of fork with a core of its own: see fault_test.c.
 */
#include "child.h"
#include "lent.h"

#include <pthread.h>
#include <signal.h>

/* A crime is the code that faults. The sanitizers are to let it. */
#define CRIME __attribute__((noinline, no_sanitize("address,undefined,thread"))) static int

static char *volatile nowhere = (char *)8;
static _Atomic bool spins;

CRIME write_nowhere(void)
{
    *nowhere = 1;
    return 0;
}

CRIME run_no_instruction(void)
{
#if defined(__x86_64__)
    __asm__ volatile("ud2");
#else
    __asm__ volatile(".inst 0");
#endif
    return 0;
}

CRIME call_abort(void)
{
    abort();
}

CRIME dig(volatile int depth)
{
    volatile int waste[128] = {depth};
    return depth < 0 ? 0 : dig(depth + 1) + waste[depth % 128];
}

CRIME overflow_the_stack(void)
{
    return dig(0);
}

static volatile size_t few = 3;

CRIME copy_to_nowhere(void)
{
    char room[8] = {0};
    memcpy(nowhere, room, few);
    return 0;
}

CRIME read_stale(void)
{
    void *area = NULL;
    expect_ok(ant_ica_alloc(1, &area));
    expect_ok(ant_ica_free(area));
    if (mover() == ANT_MOVER_FLAT)
        area = nowhere;
    return *(volatile char *)area;
}

CRIME spin(void)
{
    atomic_store(&spins, true);
    while (atomic_load(&spins))
        ;
    return 0;
}

static int (*const crimes[])(void) = {write_nowhere,   run_no_instruction, call_abort,
                                      copy_to_nowhere, read_stale,         overflow_the_stack};
#define CRIMES ((uint32_t)(sizeof crimes / sizeof *crimes))

enum { /* operations; below: crimes */
       OP_PASS_ON = 100, /* asks FN_OTHER for the same, less this, by a direct call; what that came to is the status */
       OP_BE_GOOD = 200,
       OP_BE_STUCK, /* outside the core, until it is stopped */
};

static pthread_t runner; /* of the last callback */

static int request_of(uint32_t function, uint32_t operation, int32_t *status)
{
    struct ant_request *rq;
    expect_ok(ant_request_new(function, &rq));
    rq->operation = operation;
    expect_ok(ant_ica_alloc(2, &rq->data));
    int rc = ant_call(rq, ANT_FOREVER);
    expect(rq->error == rc);
    if (status)
        *status = rq->status;
    if (expect(rq->data != NULL))
        expect_ok(ant_ica_free(rq->data));
    expect_ok(ant_request_free(rq));
    return rc;
}

static void serve_well_or_not(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    int rc = 0;
    runner = pthread_self();
    if (rq->operation < CRIMES)
        rc = crimes[rq->operation]();
    else if (rq->operation == OP_BE_STUCK)
        rc = spin();
    else if (rq->operation != OP_BE_GOOD)
        rc = request_of(FN_OTHER, rq->operation - OP_PASS_ON, NULL);
    expect_ok(ant_reply(rq, rc));
}

static const struct ant_program villain = {
    .abi = ANT_ABI, .name = "villain", .request = serve_well_or_not, .direct = true};

static void boot(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct ant_config config = lent_config();
    config.contain_faults = true;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) /* cmocka has handlers of its own */
        signal(signals[i], SIG_DFL);
    fixture_boot(&config);
    await_rest(serve(FN, &villain, NULL));
    await_rest(serve(FN_OTHER, &villain, NULL));
}

/* ---- what the thread has ---- */

struct signals {
    sigset_t mask;
    stack_t stack;
};

static struct signals signals_of_thread(void)
{
    struct signals s;
    memset(&s, 0, sizeof s);
    expect(pthread_sigmask(SIG_BLOCK, NULL, &s.mask) == 0);
    expect(sigaltstack(NULL, &s.stack) == 0);
    return s;
}

static void expect_signals(const struct signals *before)
{
    struct signals now = signals_of_thread();
    for (int number = 1; number < NSIG; number++)
        expect(sigismember(&now.mask, number) == sigismember(&before->mask, number));
    expect(now.stack.ss_sp == before->stack.ss_sp);
    expect(now.stack.ss_size == before->stack.ss_size);
    expect(now.stack.ss_flags == before->stack.ss_flags);
}

static bool is_waiting(uint32_t function)
{
    ant_pid pid;
    expect_ok(ant_lookup(function, &pid));
    return is_at_rest(pid);
}

/* A successor, which is lent the calling thread. */
static void replace(uint32_t function)
{
    expect_ok(ant_swap(function, &villain, NULL, NULL));
    while (!is_waiting(function))
        expect_ok(ant_sleep(ant_now() + US(100)));
    expect_ok(request_of(function, OP_BE_GOOD, NULL));
    expect(pthread_equal(runner, pthread_self()));
    while (!is_waiting(function))
        expect_ok(ant_sleep(ant_now() + US(100)));
}

static void survive(uint32_t crime)
{
    int32_t status = 0;
    struct signals before = signals_of_thread();
    expect_error(request_of(FN, crime, NULL), EOWNERDEAD);
    expect(pthread_equal(runner, pthread_self()));
    expect_signals(&before);
    replace(FN);
    expect_ok(request_of(FN, OP_PASS_ON + crime, &status)); /* within a call */
    expect(status == -EOWNERDEAD);
    expect(pthread_equal(runner, pthread_self()));
    expect_signals(&before);
    replace(FN_OTHER);
    expect_ok(request_of(FN, OP_BE_GOOD, NULL));
    expect_signals(&before);
}

static int survive_as_process(void *crime)
{
    survive((uint32_t)(uintptr_t)crime);
    return 0;
}

/* ---- the tests ---- */

static void let_a_process_be_the_client(void *crime)
{
    boot();
    assert_int_equal(join(spawn("client", 0, survive_as_process, crime)), 0);
    fixture_shutdown();
}

static void let_the_first_be_the_client(void *crime)
{
    boot();
    survive((uint32_t)(uintptr_t)crime);
    fixture_shutdown();
}

static void every_crime(void (*body)(void *))
{
    for (uintptr_t crime = 0; crime < CRIMES; crime++) {
        struct child child;
        child_run(&child, body, (void *)crime);
        if (child.exit_status != 0)
            fail_msg("crime %zu: status %d, signal %d:\n%s", (size_t)crime, child.exit_status,
                     child.signal, child.errors);
        assert_non_null(strstr(child.errors, "(villain) has died of SIG"));
    }
}

static void the_server_dies_and_the_client_s_thread_goes_on(void **state)
{
    (void)state;
    every_crime(let_a_process_be_the_client);
}

static void the_process_that_booted_survives_as_a_client_too(void **state)
{
    (void)state;
    every_crime(let_the_first_be_the_client);
}

static size_t count_lines(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t count = 0;
    assert_non_null(file);
    for (int c; (c = getc(file)) != EOF;)
        count += c == '\n';
    fclose(file);
    return count;
}

static int survive_many_times(void *arg)
{
    for (uint32_t i = 0; i < 300; i++) {
        expect_error(request_of(FN, i % CRIMES, NULL), EOWNERDEAD);
        replace(FN);
    }
    (void)arg;
    return 0;
}

static void let_many_die(void *arg)
{
    setenv("ANT_LOG", "quiet", 1);
    boot();
    assert_int_equal(survive_many_times(arg), 0);
    size_t mapped = count_lines("/proc/self/maps"), free = free_pages();
    for (int round = 0; round < 3; round++)
        assert_int_equal(join(spawn("client", 0, survive_many_times, NULL)), 0);
    assert_int_equal(free_pages(), free);
    if (!SANITIZED)
        assert_in_range(count_lines("/proc/self/maps"), 0, mapped + 100);
    fixture_shutdown();
}

static void a_thousand_deaths_leave_nothing_behind(void **state)
{
    (void)state;
    child_must_succeed(let_many_die, NULL);
}

static int ask_for_ever(void *arg)
{
    struct signals before = signals_of_thread();
    expect_error(request_of(FN, OP_BE_STUCK, NULL), EOWNERDEAD);
    expect(atomic_load(&spins)); /* it was not let go */
    expect_signals(&before);
    atomic_store(&spins, false);
    replace(FN);
    (void)arg;
    return 0;
}

static void let_it_hang(void *arg)
{
    boot();
    (void)arg;
    if (!on_virtual()) {
        ant_pid client, server = 0;
        assert_ok(ant_lookup(FN, &server));
        assert_ok(ant_priority_set(server, FIXTURE_PRIORITY - 1)); /* it must not hold up those who stop it */
        client = spawn("client", FIXTURE_PRIORITY - 1, ask_for_ever, NULL);
        assert_soon(atomic_load(&spins));
        assert_ok(ant_kill(server));
        assert_int_equal(join(client), 0);
    }
    fixture_shutdown();
}

static void a_callback_that_hangs_is_stopped_and_its_client_goes_on(void **state)
{
    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* it delivers signals when it pleases */
#endif
    child_must_succeed(let_it_hang, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_server_dies_and_the_client_s_thread_goes_on),
        cmocka_unit_test(the_process_that_booted_survives_as_a_client_too),
        cmocka_unit_test(a_thousand_deaths_leave_nothing_behind),
        cmocka_unit_test(a_callback_that_hangs_is_stopped_and_its_client_goes_on),
    };
    return cmocka_run_group_tests_name("direct_fault", tests, NULL, NULL);
}
