/*
 * What the host sees: threads, descriptors, addresses. And the watch: a thread that is no process, prints what goes on, and has the
 * last word when nothing does.
 */
#include "torture.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 60u
#define SETTLE_TRIES 2000u         /* of 10 ms */
#define FIRST_ROUNDS 12u           /* after which the address space has all that it needs ... */
#define SLACK_BYTES (1024ul << 20) /* ... but for what allocators keep */

static void rest(long ns)
{
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* --- Left over ---------------------------------------------------------------------------------------------------------------- */

static uint32_t entries(const char *path)
{
    DIR *directory = opendir(path);
    uint32_t count = 0;

    while (directory != NULL && readdir(directory) != NULL) {
        count++;
    }
    if (directory != NULL) {
        closedir(directory);
    }
    return count;
}

struct host host_look(void)
{
    struct host host = {.threads = entries("/proc/self/task"), .descriptors = entries("/proc/self/fd")};
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;

    if (file != NULL && fscanf(file, "%lu", &pages) == 1) {
        host.address_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    }
    if (file != NULL) {
        fclose(file);
    }
    return host;
}

void host_check(const struct host *before)
{
    struct host now = host_look();

    for (uint32_t i = 0;
         i < SETTLE_TRIES && (now.threads > before->threads || now.descriptors != before->descriptors);
         i++) {
        rest(10000000);
        now = host_look();
    }
    if (!STRESS_CHECK(now.threads <= before->threads, "%u threads, %u before the round",
                      now.threads, before->threads)) {
        host_print_threads();
    }
    STRESS_CHECK(now.descriptors == before->descriptors, "%u descriptors, %u before the round",
                 now.descriptors, before->descriptors);
}

static uint64_t first_bytes, last_bytes; /* of the address space: the most after one of the first rounds; now */

void host_check_growth(uint32_t rounds)
{
    last_bytes = host_look().address_bytes;
    if (rounds <= FIRST_ROUNDS) {
        first_bytes = last_bytes > first_bytes ? last_bytes : first_bytes;
    } else {
        STRESS_CHECK(last_bytes <= first_bytes + SLACK_BYTES,
                     "the address space has grown: %" PRIu64 " MiB, %" PRIu64
                     " MiB after the first rounds",
                     last_bytes >> 20, first_bytes >> 20);
    }
}

void host_print_growth(void)
{
    printf("%-34s %12" PRIu64 " MiB, after the first rounds %" PRIu64 "\n", "address space",
           last_bytes >> 20, first_bytes >> 20);
}

/* --- Last words --------------------------------------------------------------------------------------------------------------- */

/* Prints a file of one line; only what may be called after a signal. */
static void print_file(const char *path)
{
    char text[512];
    FILE *file = fopen(path, "re");
    size_t length = file != NULL ? fread(text, 1, sizeof text, file) : 0;

    if (file != NULL) {
        fclose(file);
    }
    fprintf(stderr, "  %.*s\n", (int)length, text);
}

static void print_threads_by_proc(void)
{
    static const char *const files[] = {"stat", "wchan", "syscall"};
    DIR *directory = opendir("/proc/self/task");
    struct dirent *entry;
    char path[300];

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        for (unsigned i = 0; i < 3 && entry->d_name[0] != '.'; i++) {
            snprintf(path, sizeof path, "/proc/self/task/%s/%s", entry->d_name, files[i]);
            print_file(path);
        }
    }
}

void host_print_threads(void)
{
    char pid[16];
    int status = 1;

    fprintf(stderr, "%s\n", round_now.text);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    /* Not fork, which takes the locks of malloc: nobody knows who has them. */
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execlp("gdb", "gdb", "-p", pid, "-nx", "-batch", "-ex", "thread apply all bt 24", (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        print_threads_by_proc();
    }
}

static void end_badly(int signal)
{
    static _Atomic bool once;

    if (atomic_exchange(&once, true)) {
        for (;;) { /* somebody is at it already */
            pause();
        }
    }
    fprintf(stderr, "torture: signal %d\n", signal);
    host_print_violations();
    host_print_threads();
    _exit(1);
}

void host_catch_signals(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM};
    struct sigaction action = {.sa_handler = end_badly, .sa_flags = SA_ONSTACK | SA_NODEFER};

    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        sigaction(signals[i], &action, NULL);
    }
}

/* --- The watch ------------------------------------------------------------------------------------------------------------------ */

void host_print_violations(void)
{
    static _Atomic uint32_t printed;
    uint32_t written = atomic_load(&stress_record.written);

    for (uint32_t i; (i = atomic_load(&printed)) < written && i < STRESS_KEPT;) {
        if (atomic_compare_exchange_strong(&printed, &i, i + 1)) {
            fprintf(stderr, "violation: %s\n  in %s\n", stress_record.text[i], round_now.text);
        }
    }
}

static uint64_t all_tallies(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < TALLIES; i++) {
        sum += atomic_load(&tallies[i]);
    }
    return sum;
}

static void print_minute(uint32_t minute)
{
    printf("minute %u: %" PRIu64 " rounds, %" PRIu64 " requests, %" PRIu64 " swaps, %" PRIu64
           " kills, %" PRIu64 " crashes, %u violations\n",
           minute, atomic_load(&tallies[T_ROUNDS]), atomic_load(&tallies[T_REQUESTS]),
           atomic_load(&tallies[T_SWAPS]),
           atomic_load(&tallies[T_KILLS_CLIENT]) + atomic_load(&tallies[T_KILLS_SERVER]) +
               atomic_load(&tallies[T_KILLS_DRIVER]) + atomic_load(&tallies[T_KILLS_REQUESTER]) +
               atomic_load(&tallies[T_KILLS_OTHER]),
           atomic_load(&tallies[T_CRASHES]), atomic_load(&stress_record.count));
    fflush(stdout);
}

static void *watch_main(void *unused)
{
    uint64_t last = 0;
    uint32_t still = 0, minutes = 0;
    time_t begin = time(NULL);

    for (;;) {
        rest(999999999);
        host_print_violations();
        uint64_t now = all_tallies();
        still = now == last ? still + 1 : 0;
        last = now;
        if (still >= PATIENCE_S) {
            fprintf(stderr, "torture: nothing has gone on for %u s\n", still);
            host_print_threads();
            _exit(1);
        }
        if (time(NULL) - begin >= 60 * ((time_t)minutes + 1)) {
            print_minute(++minutes);
        }
    }
    return unused;
}

void host_watch(void)
{
    pthread_t watch;

    if (pthread_create(&watch, NULL, watch_main, NULL) != 0) {
        STRESS_FAIL("no thread to watch");
    }
}
