/*
 * One child for each run: what is run next, what is awaited, and what ends all of it.
 *
 * Signals that end this program are blocked but for the wait, so that none is seen between the start of a child and the
 * note that there is one.
 */
#include "run.h"

#include "child.h"
#include "progress.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { MAX_WORDS = 40, WORDS_BYTES = 1024, STATUS_LOST = 1 };

struct slot {
    const struct run *run; /* NULL: free */
    struct child child;
    int cpu;
};

struct runner {
    const struct run *runs;
    size_t count, started, ended;
    const struct options *options;
    char *paper;
    struct slot slots[MAX_JOBS];
    struct progress progress;
};

static volatile sig_atomic_t caught;

static void catch (int signal)
{
    caught = signal;
}

/* --- A command line --------------------------------------------------------------------------------------------------- */

struct words {
    char *at[MAX_WORDS + 1];
    size_t count;
    char text[WORDS_BYTES];
    size_t bytes;
};

/* The numbers of options and digits are ours: there is always room. */
__attribute__((format(printf, 2, 3))) static void word(struct words *words, const char *format, ...)
{
    va_list values;
    char *text = words->text + words->bytes;
    va_start(values, format);
    words->bytes += 1 + (size_t)vsnprintf(text, WORDS_BYTES - words->bytes, format, values);
    va_end(values);
    words->at[words->count++] = text;
}

static void command_of(struct words *words, const struct run *run, const struct options *options,
                       char *paper)
{
    *words = (struct words){.at = {paper}, .count = 1};
    word(words, "--json");
    word(words, "--clock=%s", options->real ? "real" : "virtual");
    word(words, "--exec=%u", run->point->exec_ms);
    word(words, "--result=%u", run->point->result_ms);
    word(words, "--clients=%u", run->point->clients);
    word(words, "--requests=%u", options->requests);
    word(words, "--swaps=%u", run->swaps);
    word(words, "--profile=%s", run->profile);
    /* Other seeds, so that the swaps beyond the paper's do not begin with the paper's own. */
    uint64_t offset = run->kind == RUN_PAPER || run->kind == RUN_OWN ? 0 : run->kind;
    word(words, "--seed=%" PRIu64, (options->seed + offset) & INT64_MAX);
    if (options->mover != NULL) {
        word(words, "--mover=%s", options->mover);
    }
    if (run->aim != NULL) {
        word(words, "--aim=%s", run->aim);
    }
    if (run->kind == RUN_OWN) { /* the same pauses as with AnT's swap */
        word(words, "--t0=%.3f", run->point->runs[RUN_PAPER].t0_ms);
    }
}

/* --- What a child has done ---------------------------------------------------------------------------------------------- */

static void say_failed(const struct runner *runner, const struct run *run, const char *why)
{
    struct words words;
    progress_clear(&runner->progress);
    command_of(&words, run, runner->options, runner->paper);
    fprintf(stderr, "eval: %s\n  in:", why);
    for (size_t i = 0; i < words.count; i++) {
        fprintf(stderr, " %s", words.at[i]);
    }
    fprintf(stderr, "\n");
}

/* A run in which something was lost has status 1, but it is a result: the report shows the loss. */
static int take_result(const struct runner *runner, const struct run *run,
                       const struct child *child, int status)
{
    const char *text = child->text;
    char error[256], why[320];
    bool ended = WIFEXITED(status) && WEXITSTATUS(status) <= STATUS_LOST;

    if (!ended && WIFSIGNALED(status)) {
        snprintf(why, sizeof why, "paper was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    } else if (!ended || (text[0] == '\0' && WEXITSTATUS(status) != 0)) {
        snprintf(why, sizeof why, "paper failed, with status %d", WEXITSTATUS(status));
    } else if (result_read(&run->point->runs[run->kind], text, error, sizeof error) != 0) {
        snprintf(why, sizeof why, "what paper printed is not the JSON object expected: %s", error);
    } else {
        run->point->runs[run->kind].failed = WEXITSTATUS(status) != 0;
        if (WEXITSTATUS(status) != 0) {
            say_failed(runner, run, "paper has status 1, though it printed a result");
            child_complain(child);
        }
        return 0;
    }
    say_failed(runner, run, why);
    child_complain(child);
    return -1;
}

/* Early, so that nobody waits for an hour for numbers that they do not want. */
static void warn_if_not_real_time(const struct runner *runner, const struct result *result)
{
    if (runner->options->real && !result->real_time) {
        progress_clear(&runner->progress);
        fprintf(stderr, "eval: NOT REAL-TIME, the numbers will be marked so. Machine %s: %s\n",
                result->machine,
                result->machine_reason != NULL ? result->machine_reason : "no reason given");
    }
}

static int slot_read(struct runner *runner, struct slot *slot)
{
    int status;
    int error = child_read(&slot->child, &status);
    if (error == 0) {
        return 0;
    }
    if (error < 0) {
        say_failed(runner, slot->run, strerror(-error));
        return -1;
    }
    const struct run *run = slot->run;
    error = take_result(runner, run, &slot->child, status);
    child_stop(&slot->child);
    slot->run = NULL;
    runner->ended++;
    if (error == 0) {
        if (runner->ended == 1) {
            warn_if_not_real_time(runner, &run->point->runs[run->kind]);
        }
        progress_done(&runner->progress, run);
    }
    return error;
}

/* --- All of them -------------------------------------------------------------------------------------------------------- */

static int start_next(struct runner *runner, struct slot *slot)
{
    const struct run *run = &runner->runs[runner->started];
    struct words words;

    command_of(&words, run, runner->options, runner->paper);
    int error = child_start(&slot->child, words.at, slot->cpu);
    if (error != 0) {
        say_failed(runner, run, strerror(-error));
        return -1;
    }
    slot->run = run;
    runner->started++;
    progress_begin(&runner->progress, run);
    return 0;
}

/* Waits until a child has written or ended, with the signals let through. */
static int await(struct runner *runner, const sigset_t *unblocked)
{
    struct pollfd polls[MAX_JOBS];
    struct slot *slots[MAX_JOBS];
    nfds_t count = 0;

    for (unsigned i = 0; i < runner->options->jobs; i++) {
        if (runner->slots[i].run != NULL) {
            slots[count] = &runner->slots[i];
            polls[count++] = (struct pollfd){.fd = runner->slots[i].child.fd, .events = POLLIN};
        }
    }
    struct timespec second = {.tv_sec = 1}; /* for the time left on a terminal */
    int ready = ppoll(polls, count, &second, unblocked);
    if (caught != 0) {
        return caught;
    }
    if (ready < 0 && errno != EINTR) {
        perror("eval: ppoll");
        return -1;
    }
    for (nfds_t i = 0; i < count && ready > 0; i++) {
        if (polls[i].revents != 0 && slot_read(runner, slots[i]) != 0) {
            return -1;
        }
    }
    progress_tick(&runner->progress);
    return 0;
}

/* On the real clock libant chooses the CPU itself. */
static void choose_cpus(struct runner *runner)
{
    cpu_set_t cpus;
    int cpu = -1;
    bool known = !runner->options->real && sched_getaffinity(0, sizeof cpus, &cpus) == 0;

    for (unsigned i = 0; i < runner->options->jobs; i++) {
        do {
            cpu = known ? (cpu + 1) % CPU_SETSIZE : -1;
        } while (known && !CPU_ISSET((unsigned)cpu, &cpus));
        runner->slots[i].cpu = cpu;
    }
}

static int run_slots(struct runner *runner, const sigset_t *unblocked)
{
    int error = 0;
    while (error == 0 && runner->ended < runner->count) {
        for (unsigned i = 0; i < runner->options->jobs && error == 0; i++) {
            if (runner->slots[i].run == NULL && runner->started < runner->count) {
                error = start_next(runner, &runner->slots[i]);
            }
        }
        if (error == 0) {
            error = await(runner, unblocked);
        }
    }
    for (unsigned i = 0; i < runner->options->jobs; i++) {
        if (runner->slots[i].run != NULL) {
            child_stop(&runner->slots[i].child);
        }
    }
    return error;
}

int run_all(const struct run *runs, size_t count, const struct options *options, char *paper,
            double *wall_s)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    enum { SIGNALS = sizeof signals / sizeof signals[0] };
    struct runner runner = {.runs = runs, .count = count, .options = options, .paper = paper};
    struct sigaction action = {.sa_handler = catch}, before[SIGNALS];
    sigset_t blocked, unblocked;

    sigemptyset(&blocked);
    for (size_t i = 0; i < SIGNALS; i++) {
        sigaddset(&blocked, signals[i]);
    }
    sigprocmask(SIG_BLOCK, &blocked, &unblocked);
    for (size_t i = 0; i < SIGNALS; i++) {
        sigaction(signals[i], &action, &before[i]);
    }
    choose_cpus(&runner);
    progress_init(&runner.progress, runs, count);
    int error = run_slots(&runner, &unblocked);
    *wall_s = progress_end(&runner.progress);
    for (size_t i = 0; i < SIGNALS; i++) {
        sigaction(signals[i], &before[i], NULL);
    }
    sigprocmask(SIG_SETMASK, &unblocked, NULL);
    return error;
}
