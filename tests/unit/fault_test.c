/* ctest: machines=virtual,other movers=strict,flat */
/*
 * What a fault ends: the process whose own code it lies in, where the core contains it; else the program, as it always did.
 *
 * Each test is a child of fork with a core of its own, so that what it says can be read, and since some are to die. No core is ever
 * booted in this process.
 */
#include "child.h"
#include "core/fault.h"
#include "core/core.h"
#include "elsewhere.h"
#include "fixture.h"

#include <assert.h>
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FN 7u

/* A crime is the code that faults. The sanitizers are to let it. */
#define CRIME __attribute__((noinline, no_sanitize("address,undefined,thread"))) static int

typedef int crime_act(void *arg);

static char *volatile nowhere = (char *)8;
static volatile int none;

/* ---- crimes of a process's own code ---- */

CRIME read_null(void *arg)
{
    char *volatile null = NULL;
    (void)arg;
    return *null;
}

CRIME write_nowhere(void *arg)
{
    (void)arg;
    *nowhere = 1;
    return 0;
}

CRIME call_null(void *arg)
{
    crime_act *volatile null = NULL;
    return 1 + null(arg); /* no tail call: it is to return here */
}

CRIME call_data(void *arg)
{
    static char data[64];
    crime_act *volatile wild = (crime_act *)(uintptr_t)data;
    return 1 + wild(arg);
}

#if defined(__x86_64__)
/* No address at all: the processor does not even get there. */
CRIME call_far_away(void *arg)
{
    crime_act *volatile wild = (crime_act *)((uintptr_t)1 << 62);
    return 1 + wild(arg);
}

CRIME divide_by_zero(void *arg)
{
    (void)arg;
    return INT_MAX / none;
}
#endif

CRIME run_no_instruction(void *arg)
{
    (void)arg;
#if defined(__x86_64__)
    __asm__ volatile("ud2");
#else
    __asm__ volatile(".inst 0");
#endif
    return 0;
}

CRIME call_abort(void *arg)
{
    (void)arg;
    abort();
}

/* cmocka has an assert of its own. */
CRIME fail_an_assertion(void *arg)
{
    (void)arg;
    __assert_fail("none", __FILE__, __LINE__, __func__);
}

CRIME dig(volatile int depth)
{
    volatile int waste[128] = {depth};
    return depth < 0 ? 0 : dig(depth + 1) + waste[depth % 128];
}

CRIME overflow_the_stack(void *arg)
{
    (void)arg;
    return dig(0);
}

static char room[5000], *volatile somewhere = room;
static volatile size_t few = 3, many = sizeof room;

CRIME copy_from_nowhere(void *arg)
{
    (void)arg;
    memcpy(somewhere, nowhere, few);
    return 0;
}

CRIME copy_much_to_nowhere(void *arg)
{
    (void)arg;
    memcpy(nowhere, somewhere, many);
    return 0;
}

CRIME fill_nowhere(void *arg)
{
    (void)arg;
    memset(nowhere, 1, many);
    return 0;
}

CRIME measure_nowhere(void *arg)
{
    (void)arg;
    return (int)strlen(nowhere);
}

#if !SANITIZED
CRIME compare_with_nowhere(void *arg)
{
    (void)arg;
    return strcmp("nowhere", nowhere) + memcmp(nowhere, "nowhere", few);
}
#endif

CRIME read_stale(void *arg)
{
    void *area = NULL;
    (void)arg;
    expect_ok(ant_ica_alloc(1, &area));
    expect_ok(ant_ica_free(area));
    return *(volatile char *)area;
}

static const struct crime {
    crime_act *act;
    const char *words; /* what is said of it */
} crimes[] = {
    {read_null, "has died of SIGSEGV at address 0x0 "},
    {write_nowhere, "has died of SIGSEGV at address 0x8 "},
    {call_null, "has died of SIGSEGV at address 0x0 (pc 0x0)"},
    {call_data, "has died of SIGSEGV at address 0x"},
#if defined(__x86_64__)
    {call_far_away, "has died of SIGSEGV at address 0x"},
    {divide_by_zero, "has died of SIGFPE (pc 0x"},
#endif
    {run_no_instruction, "has died of SIGILL (pc 0x"},
    {call_abort, "has died of SIGABRT"},
    {fail_an_assertion, "has died of SIGABRT"},
    {overflow_the_stack, "has died of SIGSEGV at address 0x"},
    {copy_from_nowhere, "has died of SIGSEGV at address 0x8"},
    {copy_much_to_nowhere, "has died of SIGSEGV at address 0x"},
    {fill_nowhere, "has died of SIGSEGV at address 0x"},
    {measure_nowhere, "has died of SIGSEGV at address 0x8"},
#if !SANITIZED /* they compare for themselves */
    {compare_with_nowhere, "has died of SIGSEGV at address 0x8"},
#endif
};
#define CRIMES (sizeof crimes / sizeof *crimes)

/* ---- contained ---- */

/* cmocka has handlers of its own, which would go on to the next test. */
static void boot(bool contains)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct ant_config config = fixture_config();
    config.contain_faults = contains;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], SIG_DFL);
    fixture_boot(&config);
}

static int ordinary(void *arg)
{
    char *area = NULL;
    expect_ok(ant_ica_alloc(2, (void **)(void *)&area));
    memset(area, 1, 2 * ANT_PAGE_BYTES);
    return (int)(intptr_t)arg;
}

static void die(crime_act *act)
{
    assert_int_equal(join(spawn("villain", 0, act, NULL)), -EOWNERDEAD);
    assert_int_equal(join(spawn("citizen", 0, ordinary, (void *)3)), 3);
}

static void die_contained(void *arg)
{
    const struct crime *crime = arg;
    boot(true);
    die(crime->act);
    fixture_shutdown();
}

static void a_fault_in_its_own_code_ends_the_process_and_no_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < CRIMES; i++) {
        struct child child;
        child_run(&child, die_contained, (void *)(uintptr_t)&crimes[i]);
        if (child.exit_status != 0 || !strstr(child.errors, crimes[i].words) ||
            !strstr(child.errors, "(villain)"))
            fail_msg("crime %zu: status %d, signal %d, \"%s\" is not said, but:\n%s", i,
                     child.exit_status, child.signal, crimes[i].words, child.errors);
    }
}

static void die_of_a_stale_access(void *arg)
{
    (void)arg;
    boot(true);
    die(read_stale);
    fixture_shutdown();
}

static void a_stale_access_ends_the_process_and_is_told_too(void **state)
{
    (void)state;
    const char *name = getenv("ANT_MOVER");
    if (name && strcmp(name, "flat") == 0)
        skip();
    struct child child;
    child_run(&child, die_of_a_stale_access, NULL);
    child_assert_success(&child);
    assert_non_null(strstr(child.errors, "stale access"));
    assert_non_null(strstr(child.errors, "has died of SIG"));
}

static unsigned long line_of_status(const char *name)
{
    char line[128];
    unsigned long value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtoul(line + strlen(name), NULL, 10);
    fclose(file);
    return value;
}

static unsigned long mappings(void)
{
    unsigned long count = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    assert_non_null(file);
    for (int c; (c = getc(file)) != EOF;)
        count += c == '\n';
    fclose(file);
    return count;
}

static int hold_area_and_die(void *arg)
{
    ordinary(arg);
    return crimes[(uintptr_t)arg % CRIMES].act(NULL);
}

static void die_many_times(void *arg)
{
    (void)arg;
    setenv("ANT_LOG", "quiet", 1);
    boot(true);
    unsigned long mapped = 0, threads = line_of_status("Threads:");
    for (uintptr_t i = 0; i < 1000; i++) {
        ant_pid pid;
        assert_ok(ant_process_create(NULL, hold_area_and_die, (void *)i, &pid));
        assert_int_equal(join(pid), -EOWNERDEAD);
        if (i == 100) /* by now every slot has its stack */
            mapped = mappings();
    }
    assert_int_equal(free_pages(), FIXTURE_POOL_PAGES);
    assert_soon(line_of_status("Threads:") <= threads);
    if (!SANITIZED)
        assert_in_range(mappings(), 0, mapped + 100); /* one more for each death would be 900; stacks and arenas come and go */
    fixture_shutdown();
}

static void a_thousand_deaths_leave_nothing_behind(void **state)
{
    (void)state;
    struct child child;
    child_run(&child, die_many_times, NULL);
    child_assert_success(&child);
    assert_null(strstr(child.errors, "died")); /* it was told to be quiet */
}

static int swallow(void *arg)
{
    (void)arg;
    return crimes[0].act(NULL);
}

static void *core_of_its_own(void *contains)
{
    struct ant_config config = fixture_config();
    ant_pid pid;
    config.contain_faults = *(bool *)contains;
    config.machine = ANT_MACHINE_OTHER;
    int status = 0;
    expect_ok(ant_boot(&config));
    expect_ok(ant_process_create(NULL, swallow, NULL, &pid));
    expect_ok(ant_wait(pid, SOON, &status));
    expect(status == -EOWNERDEAD);
    expect_ok(ant_shutdown(NULL));
    return NULL;
}

static void die_in_two_cores(void *contains)
{
    pthread_t thread;
    boot(true);
    die(read_null);
    assert_int_equal(pthread_create(&thread, NULL, core_of_its_own, contains), 0);
    pthread_join(thread, NULL);
    die(read_null);
    fixture_shutdown();
}

static void answer(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    expect_ok(ant_reply(rq, 0));
}

/* The only function of its object that libant is told of. */
static void die_in_a_transformer(void *own)
{
    static const struct ant_transformer faulty = {
        .from_version = 0, .to_version = 1, .transform = elsewhere_transform};
    static const struct ant_program old = {.abi = ANT_ABI, .name = "old", .request = answer};
    struct ant_program new = {.abi = ANT_ABI, .name = "new", .request = answer, .state_version = 1};
    struct ant_swap_options options = {.transformers = &faulty, .transformer_count = 1};
    if (own) {
        new.transformers = &faulty;
        new.transformer_count = 1;
    }
    boot(true);
    ant_pid pid = serve(FN, &old, NULL);
    assert_error(ant_swap(FN, &new, own ? NULL : &options, NULL), EOWNERDEAD);
    struct ant_request *rq = new_request(FN);
    assert_ok(ant_call(rq, SOON));
    assert_ok(ant_request_free(rq));
    assert_ok(ant_stop(pid, SOON, NULL));
    fixture_shutdown();
}

static void a_transformer_elsewhere_is_the_program_s_too(void **state)
{
    (void)state;
    child_must_succeed(die_in_a_transformer, NULL);
    child_must_succeed(die_in_a_transformer, "the program's own");
}

static void several_cores_share_the_handlers(void **state)
{
    (void)state;
    bool contains = true;
    child_must_succeed(die_in_two_cores, &contains);
}

/* ---- stopped by force ---- */

static struct antk_body *_Atomic spinner;

static void *stop_spinner(void *arg)
{
    struct antk_body *body;
    (void)arg;
    while (!(body = atomic_load(&spinner)))
        sched_yield();
    pthread_kill(body->own_thread.pthread, ANTK_STOP_SIGNAL); /* without the flag it is none of the core's */
    atomic_fetch_or(&body->flags, ANTK_ABANDONED);
    pthread_kill(body->own_thread.pthread, ANTK_STOP_SIGNAL);
    return NULL;
}

CRIME spin(void *arg)
{
    sigset_t stop;
    (void)arg;
    sigemptyset(&stop);
    sigaddset(&stop, ANTK_STOP_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
    atomic_store(&spinner, antk_self);
    while (none == 0)
        ;
    return 0;
}

static _Atomic int others_stops;

static void on_others_stop(int signal)
{
    (void)signal;
    atomic_fetch_add(&others_stops, 1);
}

static void be_stopped(void *arg)
{
    pthread_t thread;
    (void)arg;
    signal(ANTK_STOP_SIGNAL, on_others_stop);
    boot(true);
    assert_int_equal(raise(ANTK_STOP_SIGNAL), 0); /* the program's own use of it */
    assert_int_equal(atomic_load(&others_stops), 1);
    ant_pid pid = spawn("spinner", 0, spin, NULL);
    assert_int_equal(pthread_create(&thread, NULL, stop_spinner, NULL), 0);
    join(pid);
    pthread_join(thread, NULL);
    assert_int_equal(join(spawn("citizen", 0, ordinary, (void *)3)), 3);
    fixture_shutdown();
}

static void a_process_given_up_is_stopped_where_it_computes(void **state)
{
    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* it delivers signals when it pleases */
#endif
    child_must_succeed(be_stopped, NULL);
}

static int never_written[2];
static _Atomic int stops_sent, outside;

/* Stands before the C library's, for libant too: what is sent while an earlier one has not arrived does not arrive. */
int pthread_kill(pthread_t thread, int number)
{
    int (*next)(pthread_t, int);
    *(void **)&next = dlsym(RTLD_NEXT, "pthread_kill");
    int error = next(thread, number);
    if (number == ANTK_STOP_SIGNAL)
        atomic_fetch_add(&stops_sent, 1);
    return error;
}

static int be_stuck(void *arg)
{
    char byte;
    (void)arg;
    atomic_fetch_add(&outside, 1);
    while (read(never_written[0], &byte, 1) <= 0)
        ;
    return 0;
}

/* In the C library whenever it is to be stopped, until so many stops have been sent. */
static int be_stubborn(void *times)
{
    const struct timespec hour = {.tv_sec = 3600};
    atomic_fetch_add(&outside, 1);
    while (atomic_load(&stops_sent) < *(const int *)times)
        nanosleep(&hour, NULL);
    while (none == 0)
        ;
    return 0;
}

static void be_stopped_late(void *arg)
{
    (void)arg;
    assert_int_equal(pipe(never_written), 0);
    signal(ANTK_STOP_SIGNAL, on_others_stop);
    boot(true);
    if (on_virtual()) { /* nobody is interrupted there */
        fixture_shutdown();
        return;
    }
    ant_pid stuck = spawn("stuck", 0, be_stuck, NULL);
    assert_soon(atomic_load(&outside) == 1);
    assert_ok(ant_kill(stuck));
    for (int tries = 50; tries <= 200; tries += 50) /* then it is given up */
        assert_soon(atomic_load(&stops_sent) >= tries);
    int times = atomic_load(&stops_sent) + 3;
    ant_pid pid = spawn("stubborn", 0, be_stubborn, &times);
    assert_soon(atomic_load(&outside) == 2);
    assert_ok(ant_kill(pid));
    assert_soon(atomic_load(&stops_sent) >= times);
    assert_int_equal(write(never_written[1], "", 1), 1);
    fixture_shutdown();
}

static void one_that_cannot_be_stopped_leaves_others_their_tries(void **state)
{
    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* nobody is interrupted there */
#endif
    child_must_succeed(be_stopped_late, NULL);
}

static pthread_key_t at_thread_end;
static atomic_bool thread_ended;

static void note_end(void *value)
{
    (void)value;
    atomic_store(&thread_ended, true);
}

/* In the C library until this is written. */
static atomic_bool may_be_stopped;

static int be_stubborn_for_a_while(void *arg)
{
    const struct timespec hour = {.tv_sec = 3600};
    pthread_setspecific(at_thread_end, arg);
    atomic_fetch_add(&outside, 1);
    while (!atomic_load(&may_be_stopped))
        nanosleep(&hour, NULL);
    while (none == 0)
        ;
    return 0;
}

static void be_stopped_while_others_work(void *arg)
{
    assert_int_equal(pthread_key_create(&at_thread_end, note_end), 0);
    boot(true);
    if (on_virtual()) {
        fixture_shutdown();
        return;
    }
    ant_pid pid = spawn("stubborn", 0, be_stubborn_for_a_while, &arg);
    assert_soon(atomic_load(&outside) == 1);
    assert_ok(ant_kill(pid));
    /* it looks more often than it would try, in less time than its tries take, 1.3 s, also on a machine that is busy with others */
    struct antk_core *core = antk_self->core;
    for (int looks = 0; looks < 250; looks++) {
        atomic_store(&core->watchdog_due_ns, 0);
        antk_watchdog_wake(core);
        while (atomic_load(&core->watchdog_due_ns) == 0)
            sched_yield(); /* to it */
    }
    atomic_store(&may_be_stopped, true);
    assert_soon(atomic_load(&thread_ended));
    fixture_shutdown();
}

static void what_else_wakes_the_watchdog_is_no_try(void **state)
{
    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* nobody is interrupted there */
#endif
    child_must_succeed(be_stopped_while_others_work, NULL);
}

static void be_stopped_by_the_shutdown(void *arg)
{
    int times = 240; /* more than the watchdog's tries */
    struct ant_shutdown_report report;
    (void)arg;
    signal(ANTK_STOP_SIGNAL, on_others_stop);
    boot(true);
    if (on_virtual()) {
        fixture_shutdown();
        return;
    }
    ant_pid pid = spawn("stubborn", 0, be_stubborn, &times);
    assert_soon(atomic_load(&outside) == 1);
    assert_ok(ant_kill(pid));
    for (int tries = 50; tries <= 200; tries += 50)
        assert_soon(atomic_load(&stops_sent) >= tries);
    assert_ok(ant_shutdown(&report));
    assert_int_equal(report.processes_abandoned, 0);
    assert_true(atomic_load(&stops_sent) > times);
}

static void the_shutdown_tries_again_to_stop_who_was_killed(void **state)
{
    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* nobody is interrupted there */
#endif
    child_must_succeed(be_stopped_by_the_shutdown, NULL);
}

/* ---- not contained ---- */

static void die_as_a_process(crime_act *act, bool contains)
{
    boot(contains);
    spawn("villain", 0, act, NULL);
    assert_ok(ant_sleep(ant_now() + (uint64_t)SOON)); /* virtual: so that it runs */
}

static void assert_dies(void (*body)(void *arg), void *arg, int number, const char *words)
{
    struct child child;
    child_run(&child, body, arg);
    if (child.signal != number)
        fail_msg("not dead of signal %d, but status %d, signal %d:\n%s", number, child.exit_status,
                 child.signal, child.errors);
    if (words && !strstr(child.errors, words))
        fail_msg("\"%s\" is not said, but:\n%s", words, child.errors);
    assert_null(strstr(child.errors, "has died of"));
}

CRIME write_to_a_file_from_nowhere(void *arg)
{
    FILE *file = fopen("/dev/null", "w");
    (void)arg;
    expect(file && fputc('x', file) == 'x');
    return (int)fwrite(nowhere, 1, few, file); /* the C library's own memory function calls */
}

CRIME read_a_number_nowhere(void *arg)
{
    (void)arg;
    return (int)strtol(nowhere, NULL, 10);
}

CRIME free_twice(void *arg)
{
    char *volatile block = malloc(100), *volatile again = block;
    (void)arg;
    free(block);
    free(again);
    free(again);
    return 0;
}

CRIME receive_nowhere(void *arg)
{
    (void)arg;
    return ant_request_new(FN, (struct ant_request **)(void *)nowhere);
}

static void die_contained_or_not(void *act)
{
    die_as_a_process(*(crime_act **)act, true);
}

static void assert_process_dies(crime_act *act, int number, const char *words)
{
    assert_dies(die_contained_or_not, &act, number, words);
}

static void a_fault_in_the_rest_of_the_c_library_ends_the_program(void **state)
{
    (void)state;
    if (SANITIZED)
        skip(); /* they look first */
    assert_process_dies(write_to_a_file_from_nowhere, SIGSEGV, "in the C library");
    assert_process_dies(read_a_number_nowhere, SIGSEGV, "in the C library");
}

static void heap_corruption_that_malloc_has_found_ends_the_program(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    assert_process_dies(free_twice, SIGABRT, "by a library's own abort");
}

static void a_fault_inside_the_core_ends_the_program(void **state)
{
    (void)state;
    assert_process_dies(receive_nowhere, SIGSEGV, "inside the core");
}

static void *send_to_spinner(void *arg)
{
    struct antk_body *body;
    (void)arg;
    while (!(body = atomic_load(&spinner)))
        sched_yield();
    pthread_kill(body->own_thread.pthread, SIGSEGV);
    return NULL;
}

static void be_sent_a_signal(void *arg)
{
    pthread_t thread;
    (void)arg;
    assert_int_equal(pthread_create(&thread, NULL, send_to_spinner, NULL), 0);
    die_as_a_process(spin, true);
}

static void a_signal_that_was_sent_is_no_fault(void **state)
{
    (void)state;
    assert_dies(be_sent_a_signal, NULL, SIGSEGV, NULL);
}

static void *commit(void *act)
{
    return (void *)(intptr_t)(*(crime_act **)act)(NULL);
}

static void die_on_another_thread(void *act)
{
    pthread_t thread;
    boot(true);
    assert_int_equal(pthread_create(&thread, NULL, commit, act), 0);
    pthread_join(thread, NULL);
}

static void die_in_the_first_process(void *act)
{
    boot(true);
    commit(act);
}

static void a_fault_on_a_thread_that_is_no_process_ends_the_program(void **state)
{
    (void)state;
    crime_act *segv = write_nowhere, *abrt = call_abort;
    assert_dies(die_on_another_thread, &segv, SIGSEGV, "on a thread that is no process");
    assert_dies(die_on_another_thread, &abrt, SIGABRT, "on a thread that is no process");
}

static void a_fault_in_the_process_that_booted_ends_the_program(void **state)
{
    (void)state;
    crime_act *segv = write_nowhere, *ill = run_no_instruction;
    assert_dies(die_in_the_first_process, &segv, SIGSEGV, "in the process that booted");
    assert_dies(die_in_the_first_process, &ill, SIGILL, "in the process that booted");
}

static void die_where_nothing_is_contained(void *act)
{
    die_as_a_process(*(crime_act **)act, false);
}

static void by_default_a_fault_ends_the_program(void **state)
{
    (void)state;
    for (size_t i = 0; i < CRIMES; i++) {
        crime_act *act = crimes[i].act;
        struct child child;
        child_run(&child, die_where_nothing_is_contained, &act);
        if (child.signal == 0 || strstr(child.errors, "ant:"))
            fail_msg("crime %zu: status %d, signal %d, saying:\n%s", i, child.exit_status,
                     child.signal, child.errors);
    }
}

static void one_core_contains_for_itself_only(void **state)
{
    (void)state;
    bool contains = false;
    struct child child;
    child_run(&child, die_in_two_cores, &contains);
    assert_int_equal(child.signal, SIGSEGV);
}

/* ---- the handlers that the program had ---- */

static const char *_Atomic handled_where;

static void program_s_handler(int number, siginfo_t *info, void *context)
{
    (void)context;
    const char *where = atomic_load(&handled_where);
    sigset_t blocked;
    sigemptyset(&blocked);
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    if (!sigismember(&blocked, SIGURG)) /* what was interrupted may hold the C library's locks, and this is the program's text */
        where = "HANDLED WHERE IT MAY BE STOPPED";
    if (info->si_signo == number && write(STDERR_FILENO, where, strlen(where)) > 0)
        syscall(SYS_exit_group, 100 + number); /* ThreadSanitizer would look for threads that nobody has joined */
}

static void install_program_s_handlers(void)
{
    struct sigaction action = {.sa_sigaction = program_s_handler, .sa_flags = SA_SIGINFO};
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        assert_int_equal(sigaction(signals[i], &action, NULL), 0);
}

static void die_with_a_handler(void *act)
{
    struct ant_config config = fixture_config();
    config.contain_faults = true;
    install_program_s_handlers();
    atomic_store(&handled_where, "HANDLED TOO EARLY");
    fixture_boot(&config);
    die(read_null);
    die(call_abort);
    atomic_store(&handled_where, "HANDLED IN THE CORE'S LIFE");
    commit(act);
}

static void die_with_a_handler_after_shutdown(void *act)
{
    struct ant_config config = fixture_config();
    config.contain_faults = true;
    install_program_s_handlers();
    atomic_store(&handled_where, "HANDLED TOO EARLY");
    fixture_boot(&config);
    die(read_null);
    fixture_shutdown();
    atomic_store(&handled_where, "HANDLED AFTERWARDS");
    commit(act);
}

static void what_is_not_contained_goes_to_the_handler_from_before(void **state)
{
    (void)state;
    static const struct {
        crime_act *act;
        int number;
    } cases[] = {{write_nowhere, SIGSEGV}, {call_abort, SIGABRT}, {run_no_instruction, SIGILL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        crime_act *act = cases[i].act;
        struct child child;
        child_run(&child, die_with_a_handler, &act);
        assert_int_equal(child.exit_status, 100 + cases[i].number);
        assert_non_null(strstr(child.errors, "HANDLED IN THE CORE'S LIFE"));
        assert_non_null(strstr(child.errors, "is not contained: process 0 (boot)"));
        child_run(&child, die_with_a_handler_after_shutdown, &act);
        assert_int_equal(child.exit_status, 100 + cases[i].number);
        assert_non_null(strstr(child.errors, "HANDLED AFTERWARDS"));
        assert_null(strstr(child.errors, "not contained"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_in_its_own_code_ends_the_process_and_no_other),
        cmocka_unit_test(a_stale_access_ends_the_process_and_is_told_too),
        cmocka_unit_test(a_thousand_deaths_leave_nothing_behind),
        cmocka_unit_test(a_transformer_elsewhere_is_the_program_s_too),
        cmocka_unit_test(several_cores_share_the_handlers),
        cmocka_unit_test(a_process_given_up_is_stopped_where_it_computes),
        cmocka_unit_test(one_that_cannot_be_stopped_leaves_others_their_tries),
        cmocka_unit_test(the_shutdown_tries_again_to_stop_who_was_killed),
        cmocka_unit_test(what_else_wakes_the_watchdog_is_no_try),
        cmocka_unit_test(a_fault_in_the_rest_of_the_c_library_ends_the_program),
        cmocka_unit_test(heap_corruption_that_malloc_has_found_ends_the_program),
        cmocka_unit_test(a_fault_inside_the_core_ends_the_program),
        cmocka_unit_test(a_signal_that_was_sent_is_no_fault),
        cmocka_unit_test(a_fault_on_a_thread_that_is_no_process_ends_the_program),
        cmocka_unit_test(a_fault_in_the_process_that_booted_ends_the_program),
        cmocka_unit_test(by_default_a_fault_ends_the_program),
        cmocka_unit_test(one_core_contains_for_itself_only),
        cmocka_unit_test(what_is_not_contained_goes_to_the_handler_from_before),
    };
    return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
