/* ctest: machines=virtual,real movers=strict,strict-mremap,flat,copy */
/*
 * A program that forks while areas move: fork, system() and posix_spawn, from a thread that is no process and from a
 * process of the core. All moves go on, all bytes are right, no child is real-time or sees the windows.
 */
#include "stress_model.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKS 100u /* of each kind */

extern char **environ;

static struct {
    _Atomic bool go, done;
    _Atomic uint32_t forked, spawned, ran;
    void *area; /* the test's own, in its window */
    int pipe[2];
} forks;

static bool exited_with_0(pid_t child, int status)
{
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* 0, or which promise the child found broken. Only calls that are safe after fork. */
static int child_main(void)
{
    int policy = sched_getscheduler(0);

    if (policy != SCHED_OTHER) {
        return 2;
    }
    if (write(forks.pipe[1], forks.area, 1) != -1 || errno != EFAULT) {
        return 3;
    }
    return 0;
}

static void fork_once(void)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        _exit(child_main());
    }
    pid_t waited = waitpid(child, &status, 0);
    STRESS_CHECK(exited_with_0(waited, status),
                 "fork: %d, status %x (0x200: the child is real-time, 0x300: it has the windows)",
                 (int)waited, (unsigned)status);
    atomic_fetch_add(&forks.forked, 1);
}

static void spawn_once(void)
{
    char *arguments[] = {(char[]){"true"}, NULL};
    int status = -1;
    pid_t child = 0;
    int error = posix_spawnp(&child, "true", NULL, NULL, arguments, environ);

    STRESS_CHECK(error == 0, "posix_spawnp: %s", strerror(error));
    pid_t waited = error == 0 ? waitpid(child, &status, 0) : -1;
    STRESS_CHECK(exited_with_0(waited, status), "posix_spawn: %d, status %x", (int)waited,
                 (unsigned)status);
    atomic_fetch_add(&forks.spawned, 1);
}

static void run_once(void)
{
    int status = system("true"); /* NOLINT: that a program does this is the point */

    STRESS_CHECK(status == 0, "system: %x", (unsigned)status);
    atomic_fetch_add(&forks.ran, 1);
}

/* A thread that is no process of the core. */
static void *outsider(void *argument)
{
    uint32_t count = *(uint32_t *)argument;

    while (!atomic_load(&forks.go)) {
        sched_yield();
    }
    for (uint32_t i = 0; i < count; i++) {
        fork_once();
        run_once();
        spawn_once();
    }
    atomic_store(&forks.done, true);
    return NULL;
}

/* A process of the core that forks: its child must not be real-time. */
static int insider(void *argument)
{
    uint32_t count = *(uint32_t *)argument;

    for (uint32_t i = 0; i < count; i++) {
        fork_once();
        run_once();
        spawn_once();
        STRESS_OK(ant_sleep(ant_now() + 100000));
    }
    return 0;
}

static void areas_move_on_while_the_program_forks(void **unused)
{
    (void)unused;
    const struct model_config config = {
        .clients = 4,
        .outstanding = 6,
        .pages_max = 6,
        .huge_one_in = 100,
        .work_ns = 1000,
        .wait_ns = 100000,
        .rests = true,
        .seed = 5,
    };
    uint32_t outside = stress_size(FORKS, 5), inside = stress_size(FORKS / 4, 3), swaps = 0;
    struct model_swaps counted = {0};
    pthread_t thread;
    ant_pid pid;

    memset(&forks, 0, sizeof forks);
    assert_int_equal(pipe2(forks.pipe, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(pthread_create(&thread, NULL, outsider, &outside), 0); /* before the boot: ordinary scheduling */
    stress_boot(&(struct ant_config){.max_processes = 64});
    assert_int_equal(ant_ica_alloc(1, &forks.area), 0);
    model_open(&config, 0);
    model_start();
    STRESS_OK(ant_process_create(
        &(struct ant_process_options){.name = "insider", .priority = MODEL_LOW_CLIENT_PRIORITY},
        insider, &inside, &pid));
    atomic_store(&forks.go, true);
    while (!atomic_load(&forks.done)) {
        struct ant_swap_report report;
        int error = model_swap((swaps + 1) % MODEL_PROGRAMS, NULL, &report);
        if (!STRESS_CHECK(error == 0, "swap %u: %s", swaps, ant_strerror(error))) {
            break;
        }
        model_check_report(&report, &counted);
        swaps++;
        STRESS_OK(ant_sleep(ant_now() + ANT_NS_PER_MS));
    }
    STRESS_OK(ant_wait(pid, ANT_FOREVER, NULL));
    model_join();
    model_quiet_pages();
    struct model_ledger sum = model_sum();
    model_close();
    STRESS_OK(ant_ica_free(forks.area));
    stress_shutdown();
    pthread_join(thread, NULL);
    close(forks.pipe[0]);
    close(forks.pipe[1]);
    stress_assert_clean();
    print_message("%u forks, %u spawned, %u system(); %u swaps, %" PRIu64 " requests meanwhile\n",
                  forks.forked, forks.spawned, forks.ran, swaps, sum.sent);
    assert_int_equal(forks.forked, outside + inside);
    assert_true(sum.sent > outside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(areas_move_on_while_the_program_forks)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
