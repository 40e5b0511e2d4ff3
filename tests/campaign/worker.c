/* Workers and their checkers: processes, pipes, and what is shared. */
#include "worker.h"

#include "run.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- what is shared ---- */

static void *share(size_t bytes)
{
    void *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return shared;
}

struct totals *totals_new(void)
{
    return share(sizeof(struct totals));
}

void totals_violation(struct totals *t, uint64_t seed, const char *text)
{
    uint32_t at = atomic_fetch_add(&t->violations, 1);
    if (at >= WORKER_VIOLATIONS)
        return;
    fprintf(stderr, "campaign: violation with seed %llu: %s\n", (unsigned long long)seed, text);
    t->violation[at].seed = seed;
    snprintf(t->violation[at].text, sizeof t->violation[at].text, "%s", text);
}

void totals_add(struct totals *t, uint64_t seed, const struct history_verdict *v)
{
    for (uint32_t i = 0; i < v->strikes; i++) {
        if (v->outcome[i] == HISTORY_NOT_REACHED)
            continue;
        atomic_fetch_add(&t->faults, 1);
        atomic_fetch_add(&t->reached[v->fault[i]], 1);
        atomic_fetch_add(v->outcome[i] == HISTORY_RECOVERED ? &t->recovered[v->fault[i]]
                                                            : &t->clean_errors[v->fault[i]],
                         1);
        if (v->party[i] < HISTORY_PARTIES)
            atomic_fetch_add(&t->deaths[v->party[i]][v->step[i]], 1);
    }
    uint64_t runs = atomic_fetch_add(&t->runs, 1) + 1;
    if (runs % WORKER_SAYS == 0)
        fprintf(stderr, "campaign: %llu runs, %llu faults, %u violations\n",
                (unsigned long long)runs, (unsigned long long)t->faults, t->violations);
    atomic_fetch_add(&t->simulated_ns, v->simulated_ns);
    atomic_fetch_add(&t->requests, v->requests);
    atomic_fetch_add(&t->results, v->results);
    atomic_fetch_add(&t->direct, v->direct);
    atomic_fetch_add(&t->swaps, v->swaps);
    atomic_fetch_add(&t->rollbacks, v->rollbacks);
    atomic_fetch_add(&t->restarts, v->restarts);
    if (v->violations > 0)
        totals_violation(t, seed, v->text);
}

/* ---- the checker beside a worker ---- */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void become_checker(int fd)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof "_check");
    if (length < 0)
        die("/proc/self/exe");
    strcpy(path + length, "_check");
    if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
        die("dup2");
    execl(path, "campaign_check", (char *)NULL);
    die(path);
}

/* -> what it is spoken to through. */
static int start_checker(void)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        die("socketpair");
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0)
        become_checker(ends[1]);
    close(ends[1]);
    return ends[0];
}

static void put(int fd, const void *from, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t sent = write(fd, (const char *)from + done, bytes - done);
        if (sent < 0 && errno != EINTR)
            die("write to the checker");
        done += sent > 0 ? (size_t)sent : 0;
    }
}

static void get(int fd, void *to, size_t bytes)
{
    for (size_t have = 0; have < bytes;) {
        ssize_t got = read(fd, (char *)to + have, bytes - have);
        if (got == 0 || (got < 0 && errno != EINTR))
            die("read from the checker");
        have += got > 0 ? (size_t)got : 0;
    }
}

static void judge(int checker, struct history_verdict *verdict)
{
    uint32_t bytes;
    const void *history = record_bytes(&bytes);
    put(checker, &bytes, sizeof bytes);
    put(checker, history, bytes);
    get(checker, verdict, sizeof *verdict);
}

/* ---- a worker ---- */

#define JOBS_MAX 64u

static void bind_to(uint32_t number)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    uint32_t skip = number % (uint32_t)CPU_COUNT(&all);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((size_t)cpu, &all) && skip-- == 0)
            CPU_SET((size_t)cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

/* Until enough was reached, or more than enough is wrong. */
static bool goes_on(struct totals *t, uint64_t faults)
{
    return t->faults < faults && t->violations < WORKER_VIOLATIONS && t->lost < WORKER_DEATHS;
}

/* now: the seed of the run that goes on. */
static void work_on(struct totals *t, _Atomic uint64_t *now, uint64_t seed, uint64_t faults)
{
    struct history_verdict verdict;
    struct plan plan;
    int checker = start_checker();
    while (goes_on(t, faults)) {
        uint64_t number = atomic_fetch_add(&t->next_run, 1);
        uint64_t own = plan_mix(seed * UINT64_C(0x9e3779b97f4a7c15) + number) >> 16; /* short enough to type */
        atomic_store(now, own);
        alarm(WORKER_LIMIT_S);
        plan_make(own, &plan);
        if (!run_plan(&plan, -1))
            die("ant_boot");
        judge(checker, &verdict);
        totals_add(t, own, &verdict);
    }
    exit(0);
}

static const char *death_of(int status, char *text, size_t room)
{
    if (WIFSIGNALED(status))
        snprintf(text, room, "the whole program has died of %s",
                 WTERMSIG(status) == SIGALRM ? "never coming to an end" : strsignal(WTERMSIG(status)));
    else
        snprintf(text, room, "the whole program has ended with the status %d", WEXITSTATUS(status));
    return text;
}

/* A worker whose memory is spoilt may not even die of its own alarm: whoever is at one run for too long is ended. */
static void end_the_hung(const pid_t *pids, const _Atomic uint64_t *seeds, uint64_t *seen, time_t *since)
{
    for (uint32_t i = 0; i < JOBS_MAX; i++) {
        uint64_t seed = atomic_load(&seeds[i]);
        if (pids[i] == 0 || seed != seen[i] || since[i] == 0) {
            seen[i] = seed;
            since[i] = time(NULL);
        } else if (time(NULL) - since[i] > (time_t)WORKER_LIMIT_S + 5) {
            kill(pids[i], SIGKILL);
        }
    }
}

/* One has ended; which? SIGCHLD is blocked: it is waited for here. */
static uint32_t await_one(struct totals *t, const pid_t *pids, const _Atomic uint64_t *seeds,
                          const sigset_t *sigchld)
{
    const struct timespec second = {.tv_sec = 1};
    uint64_t seen[JOBS_MAX] = {0};
    time_t since[JOBS_MAX] = {0};
    char text[200];
    int status;
    pid_t ended;
    while ((ended = waitpid(-1, &status, WNOHANG)) == 0) {
        end_the_hung(pids, seeds, seen, since);
        sigtimedwait(sigchld, NULL, &second);
    }
    if (ended < 0)
        die("waitpid");
    uint32_t i = 0;
    while (pids[i] != ended)
        i++;
    if (status != 0) {
        atomic_fetch_add(&t->lost, 1);
        totals_violation(t, atomic_load(&seeds[i]), death_of(status, text, sizeof text));
    }
    return i;
}

void workers_run(struct totals *t, uint64_t seed, uint64_t faults, uint32_t jobs)
{
    _Atomic uint64_t *seeds = share(JOBS_MAX * sizeof *seeds);
    pid_t pids[JOBS_MAX] = {0};
    uint32_t running = 0;
    jobs = jobs < JOBS_MAX ? jobs : JOBS_MAX;
    bool more;
    sigset_t sigchld, before;
    sigemptyset(&sigchld);
    sigaddset(&sigchld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &sigchld, &before);
    fflush(NULL);
    do {
        more = goes_on(t, faults);
        for (uint32_t i = 0; more && i < jobs; i++) {
            if (pids[i] != 0)
                continue;
            pids[i] = fork();
            if (pids[i] < 0)
                die("fork");
            if (pids[i] == 0) {
                bind_to(i);
                work_on(t, &seeds[i], seed, faults);
            }
            running++;
        }
        if (running > 0) {
            pids[await_one(t, pids, seeds, &sigchld)] = 0;
            running--;
        }
    } while (running > 0 || more);
    sigprocmask(SIG_SETMASK, &before, NULL);
    munmap(seeds, JOBS_MAX * sizeof *seeds);
}

/* ---- one run by itself ---- */

/* The program is about to die: where was it? */
static void on_death(int signal_number)
{
    signal(signal_number, SIG_DFL);
    ant_trace_write(run.trace_fd);
    raise(signal_number);
}

void worker_try(const struct plan *plan, int trace_fd, struct history_verdict *verdict)
{
    struct history_verdict *shared = share(sizeof *shared);
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (trace_fd >= 0)
            for (const int *s = (const int[]){SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, 0}; *s; s++)
                signal(*s, on_death);
        int checker = start_checker();
        alarm(WORKER_LIMIT_S);
        if (!run_plan(plan, trace_fd))
            die("ant_boot");
        judge(checker, shared);
        _exit(0);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    *verdict = *shared;
    munmap(shared, sizeof *shared);
    if (status != 0) {
        verdict->violations = 1;
        death_of(status, verdict->text, sizeof verdict->text);
    }
}
