/*
 * A round: a core is booted and filled, and kept full while its processes harm each other; then it is emptied, or shut down in the
 * middle of everything, and what is left over is counted.
 */
#include "torture.h"

#include "wrap.h"

#include <time.h>
#include <unistd.h>

#define LEFT_OVER_TRIES 20000u

struct round round_now;

static uint64_t real_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * ANT_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* --- What it is like -------------------------------------------------------------------------------------------------------- */

static void draw_server(struct server *server, uint64_t *random, int priority)
{
    server->options.priority = priority;
    server->options.on_death = stress_below(random, 4) == 0 ? ANT_DEATH_FAIL : ANT_DEATH_WAIT;
    server->options.queue_limit = stress_below(random, 4) == 0 ? 4 + stress_below(random, 40) : 0;
    server->options.watchdog_ns = round_now.watchdog ? 10 * round_now.shortest_force_ns : 0;
}

static void draw_others(uint64_t *random)
{
    static const enum actor_kind kinds[] = {ACTOR_SWAPPER, ACTOR_SWAPPER,   ACTOR_KILLER,
                                            ACTOR_BREEDER, ACTOR_CANCELLER, ACTOR_SWAPPER,
                                            ACTOR_KILLER,  ACTOR_BREEDER};
    struct actor *other = round_now.other;

    other[0].kind = ACTOR_WARDEN;
    other[1].kind = ACTOR_MENDER;
    for (uint32_t i = 2; i < round_now.others; i++) {
        other[i].kind =
            i < 7 ? kinds[i - 2] : kinds[stress_below(random, sizeof kinds / sizeof kinds[0])];
    }
    for (uint32_t i = 0; i < OTHERS_MAX; i++) {
        other[i].number = i;
        other[i].random = stress_random(random);
    }
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        round_now.client[i] =
            (struct actor){.kind = ACTOR_CLIENT, .number = i, .random = stress_random(random)};
    }
}

/* Whatever a thread of the round before has still in hand has ended with its core. */
static void draw_round(uint64_t seed, enum ant_machine machine, enum ant_mover mover, bool contain)
{
    uint64_t random = seed;

    memset(&round_now, 0, sizeof round_now);
    round_now.seed = seed;
    round_now.machine = machine;
    round_now.mover = mover;
    round_now.contain = contain;
    round_now.rough = contain && mover != ANT_MOVER_FLAT && stress_below(&random, 4) != 0;
    round_now.watchdog = contain && stress_below(&random, 3) == 0;
    round_now.abrupt = stress_below(&random, 4) == 0;
    /* Gentle: whoever is ended shall not be just running. */
    round_now.shortest_force_ns = round_now.rough ? 100000 : (int64_t)(20 * ANT_NS_PER_MS);
    round_now.servers = 2 + stress_below(&random, SERVERS_MAX - 1);
    round_now.drivers = 1 + stress_below(&random, DRIVERS_MAX);
    round_now.clients = 8 + stress_below(&random, CLIENTS_MAX - 7);
    round_now.others = 7 + stress_below(&random, OTHERS_MAX - 6);
    round_now.huge_one_in = stress_below(&random, 3) == 0 ? 50 : 0;
    for (uint32_t i = 0; i < SERVERS_MAX; i++) {
        draw_server(&round_now.server[i], &random, MODEL_SERVER_PRIORITY);
    }
    for (uint32_t i = 0; i < DRIVERS_MAX; i++) {
        draw_server(&round_now.driver[i], &random, MODEL_DRIVER_PRIORITY);
    }
    draw_others(&random);
    if (stress_below(&random, 3) == 0) { /* servers that have nothing to do are asked by direct calls */
        round_now.clients = 2;
    }
}

static int boot(void)
{
    uint64_t random = ~round_now.seed;
    struct ant_config config = {
        .machine = round_now.machine,
        .mover = round_now.mover,
        .log = ANT_LOG_QUIET,
        .priority = 55,
        .contain_faults = round_now.contain,
        .pool_bytes = round_now.huge_one_in > 0 ? 64 << 20 : (size_t)(2 + stress_below(&random, 30)) << 20,
        .max_processes = round_now.clients + round_now.others + 16 + stress_below(&random, 64),
        .trace_events = stress_below(&random, 2) == 0 ? 4096 : 0,
        .shutdown_timeout_ns = (int64_t)(20 * ANT_NS_PER_S),
    };
    struct ant_info info;
    int error = ant_boot(&config);

    if (error != 0) {
        snprintf(round_now.text, sizeof round_now.text, "not booted: %s", ant_strerror(error));
        return error;
    }
    STRESS_OK(ant_info(&info));
    snprintf(round_now.text, sizeof round_now.text,
             "round %" PRIu64 ": %s, %s, %s%s%s%s, seed %" PRIu64
             ": %u clients, %u servers, %u drivers, %u others",
             atomic_load(&tallies[T_ROUNDS]), info.machine_name, info.mover_name,
             round_now.rough ? "rough" : "gentle", round_now.contain ? ", contained" : "",
             round_now.watchdog ? ", watchdog" : "", round_now.abrupt ? ", abrupt" : "", round_now.seed,
             round_now.clients, round_now.servers, round_now.drivers, round_now.others);
    return 0;
}

/* --- Full --------------------------------------------------------------------------------------------------------------------- */

static void fill(void)
{
    for (uint32_t i = 0; i < round_now.drivers; i++) {
        STRESS_OK(driver_create(i));
    }
    for (uint32_t i = 0; i < round_now.servers; i++) {
        STRESS_OK(server_create(i));
    }
}

static void create_again(struct actor *actor)
{
    if (actor_ended(actor, false)) {
        actor_create(actor);
    }
}

static void keep_full(double seconds)
{
    uint64_t end_ns = real_ns() + (uint64_t)(seconds * (double)ANT_NS_PER_S);

    for (uint32_t turn = 0; real_ns() < end_ns && atomic_load(&stress_record.count) == 0; turn++) {
        for (uint32_t i = 0; i < round_now.clients; i++) {
            create_again(&round_now.client[i]);
        }
        for (uint32_t i = 0; i < round_now.others; i++) {
            create_again(&round_now.other[i]);
        }
        if (turn % 16 == 0) {
            atomic_store(&round_now.computing, false);
        }
        STRESS_OK(ant_sleep(ant_now() + 2 * ANT_NS_PER_MS));
    }
}

/* --- Empty -------------------------------------------------------------------------------------------------------------------- */

static bool mends(const struct actor *actor)
{
    return actor->kind == ACTOR_MENDER || actor->kind == ACTOR_WARDEN;
}

/* One more request: whoever has come after the dead frees what they have left. False: nobody answers it just now. */
static bool ask(uint32_t function)
{
    struct ant_request *rq;

    if (ant_request_new(function, &rq) != 0) {
        return false;
    }
    *order_of(rq) = (struct order){0};
    rq->operation = OP_STORE;
    int error = ant_call(rq, ANT_NS_PER_S); /* whoever is to replace the dead may be about to end */
    if (error == -EINPROGRESS) {
        struct ant_message result;
        STRESS_OK(ant_receive(&result, ANT_FOREVER));
        error = rq->error;
    }
    STRESS_OK(ant_request_free(rq));
    return error == 0;
}

/* It may have been killed last, and be about to end only now. */
static void create_mender_again(void)
{
    create_again(&round_now.other[1]);
}

/* A server that nobody asks anything has its state, and nothing else, as soon as all are through that it had to do with. */
static void check_server_pages(uint32_t function)
{
    struct ant_process_info info = {0};
    ant_pid pid;

    for (uint32_t i = 0; i < LEFT_OVER_TRIES && info.pages != SERVER_PAGES; i++) {
        create_mender_again();
        if (!ask(function) || ant_lookup(function, &pid) != 0 ||
            ant_process_info(pid, &info) != 0 || info.pages != SERVER_PAGES) {
            STRESS_OK(ant_sleep(ant_now() + ANT_NS_PER_MS / 2));
        }
    }
    STRESS_CHECK(info.pages == SERVER_PAGES, "the server of function %u has %zu pages, not %u",
                 function, info.pages, SERVER_PAGES);
}

/* Those who wait for what a dead server has queued need those who mend. */
static void let_end(void)
{
    for (uint32_t i = 0; i < round_now.others; i++) {
        if (!mends(&round_now.other[i])) {
            actor_ended(&round_now.other[i], true);
        }
    }
    for (uint32_t i = 0; i < OTHERS_MAX; i++) {
        if (round_now.mayfly[i] != 0) {
            ant_wait(round_now.mayfly[i], ANT_FOREVER, NULL);
        }
    }
    for (uint32_t i = 0; i < round_now.clients; i++) {
        while (!actor_ended(&round_now.client[i], false)) {
            create_mender_again();
            STRESS_OK(ant_sleep(ant_now() + ANT_NS_PER_MS));
        }
    }
    for (uint32_t i = 0; i < round_now.servers; i++) {
        check_server_pages(FN_SERVER + i);
    }
    atomic_store(&round_now.mended, true);
    actor_ended(&round_now.other[0], true);
    actor_ended(&round_now.other[1], true);
}

static void stop_server(uint32_t function)
{
    ant_pid pid;

    if (ant_lookup(function, &pid) == 0) {
        int error = ant_stop(pid, ANT_FOREVER, NULL);
        STRESS_CHECK(error == 0, "ant_stop of the server of function %u: %s", function,
                     ant_strerror(error));
    }
}

/* A new server that was abandoned has its areas until it next calls the core. */
static void check_pages(size_t expected)
{
    size_t pages = 0;

    for (uint32_t i = 0; i < LEFT_OVER_TRIES && (pages = stress_free_pages()) != expected; i++) {
        STRESS_OK(ant_sleep(ant_now() + ANT_NS_PER_MS / 2));
    }
    STRESS_CHECK(pages == expected, "%zu pages are free, %zu were before", pages, expected);
}

static void empty(size_t free_before)
{
    struct ant_shutdown_report report;

    let_end();
    for (uint32_t i = 0; i < round_now.servers; i++) {
        stop_server(FN_SERVER + i);
    }
    for (uint32_t i = 0; i < round_now.drivers; i++) {
        stop_server(FN_DRIVER + i);
    }
    check_pages(free_before);
    STRESS_OK(ant_shutdown(&report));
    STRESS_CHECK(report.processes_asked + report.processes_abandoned + report.areas_held +
                         report.requests_unanswered + report.servers_dead ==
                     0,
                 "left over: %u processes asked, %u abandoned, %u areas (%zu pages), %u requests, %u dead",
                 report.processes_asked, report.processes_abandoned, report.areas_held,
                 report.pages_held, report.requests_unanswered, report.servers_dead);
}

static void end_abruptly(void)
{
    struct ant_shutdown_report report;

    STRESS_OK(ant_shutdown(&report));
    STRESS_CHECK(report.processes_abandoned == 0, "%u processes have not ended",
                 report.processes_abandoned);
}

int round_run(uint64_t seed, enum ant_machine machine, enum ant_mover mover, bool contain, double seconds)
{
    struct host before = host_look();

    draw_round(seed, machine, mover, contain);
    int error = boot();
    if (error != 0) {
        bool missing = error == -ENOTSUP || error == -EPERM;
        return STRESS_CHECK(missing, "ant_boot: %s", ant_strerror(error)) ? 77 : 1;
    }
    if (pipe(round_now.pipe) != 0) {
        STRESS_FAIL("no pipe");
    }
    size_t free_before = stress_free_pages();
    wrap_delays(seed, seed % 2 == 0 ? 0 : (unsigned)(seed >> 8) % 60);
    fill();
    keep_full(seconds);
    atomic_store(&round_now.over, true);
    close(round_now.pipe[1]);
    if (round_now.abrupt) {
        end_abruptly();
    } else {
        empty(free_before);
    }
    close(round_now.pipe[0]);
    host_check(&before);
    tally(T_ROUNDS);
    return 0;
}
