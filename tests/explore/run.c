/* One run: a core is booted, the scenario's processes do what it says, and what is left is looked at; see run.h. */
#include "book.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* No scenario needs so many: a time limit of seconds had to end a wait. */
#define POINTS_MAX 10000

struct book book;

void violation(const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (book.violations++ < 4)
        fprintf(stderr, "%s: %s\n", book.name, text);
}

struct entry *entry_of(uint64_t cookie)
{
    uint64_t client = (cookie >> 8) - 1, number = cookie & 0xff;
    bool known = client < book.scenario->clients && number < book.scenario->client[client].requests;
    CHECK(known, "request %llx is nobody's", (unsigned long long)cookie);
    return known ? &book.entry[client][number] : NULL;
}

/* ---- the cast ---- */

#define CAST_MAX (CLIENTS_MAX + SWAPPERS_MAX + 4)

struct cast {
    ant_pid pid[CAST_MAX];
    uint32_t count;
};

static bool is_victim(const struct scenario *s, ant_pid pid)
{
    bool is = false;
    for (uint32_t i = 0; i < s->killer.kills; i++)
        is |= (s->killer.victim[i] == VICTIM_CLIENT && pid == book.client[0]) ||
              (s->killer.victim[i] == VICTIM_SWAPPER && pid == book.swapper[0]);
    return is;
}

/* pid: where others find it; it is written before the process runs. */
static void enter(struct cast *cast, const char *name, int (*entry)(void *), uintptr_t index, ant_pid *pid)
{
    struct ant_process_options options = {.name = name};
    int rc = ant_process_create(&options, entry, (void *)index, pid);
    CHECK(rc == 0, "no process for a %s: %s", name, ant_strerror(rc));
    if (rc == 0)
        cast->pid[cast->count++] = *pid;
}

static void enter_all(const struct scenario *s, struct cast *cast)
{
    ant_pid other;
    for (uint32_t i = 0; i < s->clients; i++)
        enter(cast, "client", client_main, i, &book.client[i]);
    for (uint32_t i = 0; i < s->swappers; i++)
        enter(cast, "swapper", swapper_main, i, &book.swapper[i]);
    if (s->stopper)
        enter(cast, "stopper", stopper_main, 0, &other);
    if (s->bystander)
        enter(cast, "bystander", bystander_main, 0, &other);
    if (s->killer.kills > 0)
        enter(cast, "killer", killer_main, 0, &other);
    if (s->cancels > 0)
        enter(cast, "canceller", canceller_main, 0, &other);
}

static void play(const struct scenario *s)
{
    struct cast cast = {.count = 0};
    enter_all(s, &cast);
    for (uint32_t i = 0; i < cast.count; i++) {
        int status = 0, rc = ant_wait(cast.pid[i], ANT_FOREVER, &status);
        bool killed = status == -EOWNERDEAD && is_victim(s, cast.pid[i]);
        CHECK(rc == 0 && (status == 0 || killed), "process %u of the scenario: %s, status %d", i,
              ant_strerror(rc), status);
        for (uint32_t j = 0; j < s->clients; j++)
            book.killed[j] |= killed && cast.pid[i] == book.client[j];
    }
}

/* ---- what is left ---- */

static void check_book(const struct scenario *s)
{
    for (uint32_t i = 0; i < s->clients; i++) {
        for (uint32_t j = 0; j < s->client[i].requests; j++) {
            const struct entry *entry = &book.entry[i][j];
            CHECK(entry->results <= 1, "request %u of client %u has %u results", j, i, entry->results);
            CHECK(!entry->request || s->client[i].leaves || book.killed[i],
                  "request %u of client %u has no result", j, i);
        }
    }
}

static void check_pages(void)
{
    struct ant_ica_stats stats;
    int rc = ant_sleep(ant_now() + ANT_NS_PER_MS); /* nobody is ready before that has passed */
    CHECK(rc == 0, "a sleep: %s", ant_strerror(rc));
    rc = ant_ica_stats(&stats);
    CHECK(rc == 0 && stats.free_pages == stats.page_count, "%zu of %zu pages are free in the end",
          stats.free_pages, stats.page_count);
}

static void check_end(const struct ant_shutdown_report *end)
{
    CHECK(end->processes_asked == 0, "%u processes still run", end->processes_asked);
    CHECK(end->processes_abandoned == 0, "%u threads are abandoned", end->processes_abandoned);
    CHECK(end->areas_held == 0, "%u areas are held", end->areas_held);
    CHECK(end->requests_unanswered == 0, "%u requests are unanswered", end->requests_unanswered);
    CHECK(end->servers_dead == 0, "%u servers are dead", end->servers_dead);
}

static void stop(ant_pid pid, const char *what)
{
    int rc = ant_stop(pid, ANT_FOREVER, NULL);
    CHECK(rc == 0, "the %s cannot be stopped: %s", what, ant_strerror(rc));
}

/* It has ended by itself if it has seen the server end. */
static void stop_replacer(ant_pid pid)
{
    int status = 0, rc = ant_stop(pid, ANT_FOREVER, &status);
    if (rc == -ESRCH)
        rc = ant_wait(pid, ANT_FOREVER, &status);
    CHECK(rc == 0 && status == 0, "the replacer: %s, status %d", ant_strerror(rc), status);
}

/* ---- the run ---- */

static bool boot(const struct schedule *schedule)
{
    struct ant_config config = {
        .machine = ANT_MACHINE_VIRTUAL,
        .mover = ANT_MOVER_FLAT,
        .log = ANT_LOG_QUIET,
        .pool_bytes = (size_t)2 << 20,
        .max_processes = 16,
        .stack_bytes = (size_t)256 << 10,
        .seed = schedule->seed,
        .pct_depth = schedule->depth,
        .pct_steps = schedule->steps,
        .trace_events = schedule->trace_fd >= 0 ? (size_t)1 << 16 : 0,
        .direct_on_virtual = true,
    };
    int rc = ant_boot(&config);
    CHECK(rc == 0, "no core: %s", ant_strerror(rc));
    return rc == 0;
}

void run(const struct scenario *s, const struct schedule *schedule, const char *name,
         struct outcome *outcome)
{
    book = (struct book){.scenario = s, .name = name};
    struct ant_shutdown_report end = {0};
    if (boot(schedule)) {
        struct ant_server_options options = {
            .queue_limit = s->queue_limit, .on_death = s->on_death, .watchdog_ns = s->watchdog_ns};
        struct cast replacer = {.count = 0};
        ant_pid driver = 0, other;
        programs_make(s->direct);
        int rc = ant_serve(FN_DRIVER, driver_program(), NULL, &driver);
        CHECK(rc == 0, "no driver: %s", ant_strerror(rc));
        rc = ant_serve(FN_SERVER, server_program(SWAP_PLAIN), &options, &book.server);
        CHECK(rc == 0, "no server: %s", ant_strerror(rc));
        if (s->mortal)
            enter(&replacer, "replacer", replacer_main, 0, &other);
        play(s);
        check_book(s);
        book.stopping = true;
        if (!s->stopper)
            stop(book.server, "server");
        if (s->mortal)
            stop_replacer(replacer.pid[0]);
        stop(driver, "driver");
        check_pages();
        if (schedule->trace_fd >= 0)
            ant_trace_write(schedule->trace_fd);
        ant_shutdown(&end);
        check_end(&end);
        CHECK(end.pct_points <= POINTS_MAX,
              "%llu preemption points: somebody waits for what does not come by itself",
              (unsigned long long)end.pct_points);
    }
    *outcome = (struct outcome){book.violations, end.pct_threads, end.pct_points, book.direct};
}
