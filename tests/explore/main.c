/*
 * Exploration: many runs, in several Linux processes (workers), each of which takes whole scenarios.
 *
 * Everything of a run follows from the seed and its number: number / per_scenario is its scenario. Where its change points may lie is
 * measured in a few runs of that scenario without any, which every worker makes before its first run; so a single run is the same again
 * whatever else is run.
 */
#include "draw.h"
#include "options.h"
#include "run.h"
#include "tally.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEASURED_RUNS 3
/* Real time in which a run ends, however slow the build: one that does not has lost its processor for good. */
#define RUN_LIMIT_S 120

/* Shared by a worker and the process that started it. */
struct worker {
    pid_t pid;
    _Atomic uint64_t run; /* that it is making */
    struct tally tally;   /* of those that it has made */
};

static struct options options;

static uint64_t scenario_of(uint64_t run_number)
{
    return run_number / options.per_scenario;
}

static void tell_repeat(uint64_t number)
{
    char depth[32] = "";
    if (options.depth)
        snprintf(depth, sizeof depth, " --depth %u", options.depth);
    char scenario[48] = "";
    if (options.per_scenario != 64)
        snprintf(scenario, sizeof scenario, " --per-scenario %" PRIu64, options.per_scenario);
    fprintf(stderr,
            "run %" PRIu64 ": repeat it by ./dev explore --seed %" PRIu64 "%s%s --only %" PRIu64
            " --trace\n",
            number, options.seed, scenario, depth, number);
}

/* ---- runs ---- */

struct explored {
    uint64_t number; /* of the scenario; UINT64_MAX: none yet */
    struct scenario scenario;
    uint32_t steps;
};

/* How many preemption points has it? */
static void measure(struct explored *e, uint64_t number)
{
    e->number = number;
    e->steps = 1;
    scenario_draw(&e->scenario, draw_of(options.seed, number));
    for (uint64_t i = 0; i < MEASURED_RUNS; i++) {
        struct schedule schedule = {draw_of(~options.seed, number * MEASURED_RUNS + i), 1, 1, -1};
        struct outcome outcome;
        char name[64];
        snprintf(name, sizeof name, "measuring scenario %" PRIu64, number);
        run(&e->scenario, &schedule, name, &outcome);
        if (outcome.points > e->steps)
            e->steps = (uint32_t)outcome.points;
    }
}

static uint32_t depth_of(uint64_t number)
{
    return options.depth ? options.depth : 1 + (uint32_t)(number % DEPTH_MAX);
}

static void make_run(struct explored *e, uint64_t number, int trace_fd, struct tally *tally)
{
    char name[64];
    struct outcome outcome;
    if (e->number != scenario_of(number))
        measure(e, scenario_of(number));
    struct schedule schedule = {draw_of(options.seed ^ 0x5eed, number), depth_of(number), e->steps,
                                trace_fd};
    snprintf(name, sizeof name, "run %" PRIu64, number);
    run(&e->scenario, &schedule, name, &outcome);
    if (outcome.violations > 0 && trace_fd < 0)
        tell_repeat(number);
    tally_run(tally, schedule.depth, &outcome);
}

/* ---- workers ---- */

/* Scenarios are dealt in turn; a worker that takes another's place goes on behind the run of which that died. */
static void work(struct worker *self, uint32_t index)
{
    struct explored explored = {.number = UINT64_MAX};
    const struct timespec pause = {.tv_nsec = 1000000};
    uint64_t number = atomic_load(&self->run);
    while (number < options.runs) {
        if (number % options.per_scenario == 0)
            nanosleep(&pause, NULL); /* if no CPU ever rests, Linux does not come to free what ended threads had: 24 GiB in a minute */
        if (scenario_of(number) % options.jobs != index) {
            number = (scenario_of(number) + 1) * options.per_scenario;
            continue;
        }
        atomic_store(&self->run, number);
        alarm(RUN_LIMIT_S);
        make_run(&explored, number, -1, &self->tally);
        number++;
    }
    alarm(0);
}

/* The machine binds a run to the last CPU that it may use: so each worker is given one. */
static void take_cpu(uint32_t index)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return;
    int skip = (int)index % CPU_COUNT(&set), cpu = 0;
    while (!CPU_ISSET((size_t)cpu, &set) || skip-- > 0)
        cpu++;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static void start(struct worker *worker, uint32_t index)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        take_cpu(index);
        work(worker, index);
        _exit(0);
    }
    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    worker->pid = pid; /* not by the child, whose 0 would be written here too */
}

/* A worker died of a run: that is a violation too. */
static void bury(struct worker *worker, uint32_t index, int status)
{
    uint64_t number = atomic_load(&worker->run);
    if (WIFSIGNALED(status))
        fprintf(stderr, "run %" PRIu64 ": %s\n", number,
                WTERMSIG(status) == SIGALRM ? "does not end" : strsignal(WTERMSIG(status)));
    else
        fprintf(stderr, "run %" PRIu64 ": has ended its program with status %d\n", number,
                WEXITSTATUS(status));
    tell_repeat(number);
    worker->tally.violations++;
    atomic_store(&worker->run, number + 1);
    start(worker, index);
}

static void await_all(struct worker *workers)
{
    int status;
    for (pid_t pid; (pid = wait(&status)) > 0 || errno == EINTR;)
        for (uint32_t i = 0; i < options.jobs; i++)
            if (pid > 0 && workers[i].pid == pid && status != 0)
                bury(&workers[i], i, status);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool explore(void)
{
    double begin_s = now_s();
    struct tally all = {0};
    struct worker *workers = mmap(NULL, options.jobs * sizeof *workers, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (workers == MAP_FAILED) {
        perror("mmap");
        return false;
    }
    for (uint32_t i = 0; i < options.jobs; i++)
        start(&workers[i], i);
    await_all(workers);
    for (uint32_t i = 0; i < options.jobs; i++)
        tally_add(&all, &workers[i].tally);
    return tally_print(&all, now_s() - begin_s);
}

static bool repeat(void)
{
    double begin_s = now_s();
    struct explored explored = {.number = UINT64_MAX};
    struct tally tally = {0};
    alarm(RUN_LIMIT_S);
    measure(&explored, scenario_of(options.only));
    if (options.trace) {
        scenario_print(&explored.scenario);
        fflush(stdout);
    }
    make_run(&explored, options.only, options.trace ? STDOUT_FILENO : -1, &tally);
    return tally_print(&tally, now_s() - begin_s);
}

/* The test that is part of the suite is made smaller for slow builds, as the stress tests are. */
static void divide(void)
{
    const char *text = getenv("ANT_STRESS_DIVISOR");
    uint64_t divisor = text ? strtoull(text, NULL, 10) : 1;
    if (divisor > 1)
        options.runs = options.runs / divisor + 1;
}

int main(int argc, char **argv)
{
    options_parse(&options, argc, argv);
    divide();
    return (options.only == UINT64_MAX ? explore() : repeat()) ? 0 : 1;
}
