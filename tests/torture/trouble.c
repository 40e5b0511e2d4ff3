/*
 * Those who make trouble (they swap, cancel swaps, kill, stop, come and go) and those who mend what has died or ended.
 */
#include "torture.h"

static uint32_t below(struct actor *actor, uint32_t limit)
{
    return stress_below(&actor->random, limit);
}

/* A server, or a driver. */
static uint32_t any_function(struct actor *actor)
{
    uint32_t which = below(actor, 4 * round_now.servers + round_now.drivers);

    if (which < round_now.drivers) {
        return FN_DRIVER + which;
    }
    return (which % 2 == 0 ? FN_SERVER : FN_SECOND) + which % round_now.servers;
}

/* Lets time go by. False: the caller is to end. */
static bool pause_ns(struct actor *actor, uint32_t limit_ns)
{
    uint32_t opened = actor_open(&actor->section);
    int error = ant_sleep(ant_now() + below(actor, limit_ns));

    actor_close(&actor->section, opened);
    if (error == -ESHUTDOWN) {
        STRESS_CHECK(round_now.abrupt || actor_harmed(actor), "%s %u: nobody has stopped it",
                     actor_name(actor->kind), actor->number);
    }
    return error == 0 && !atomic_load(&round_now.over);
}

/* --- Swaps -------------------------------------------------------------------------------------------------------------------- */

static void check_count(const char *what, const struct ant_swap_count *count)
{
    STRESS_CHECK(count->at_notice + count->arrived - count->left == count->handed_over,
                 "%s: %u at the notice, %u arrived, %u left, %u handed over", what,
                 count->at_notice, count->arrived, count->left, count->handed_over);
}

static void check_report(const struct ant_swap_report *report, int error)
{
    STRESS_CHECK(report->error == error, "ant_swap returns %s, its report says %s",
                 ant_strerror(error), ant_strerror(report->error));
    check_count("queued requests", &report->queued_requests);
    check_count("queued results", &report->queued_results);
    check_count("in service", &report->in_service);
    check_count("outstanding", &report->outstanding);
    if (error == 0) {
        STRESS_CHECK(report->step == ANT_SWAP_EXIT || report->step == ANT_SWAP_RETURN,
                     "a swap that has committed failed in step %s", ant_swap_step_name(report->step));
        STRESS_CHECK(report->base_ns + report->request_work_ns + report->result_work_ns +
                             report->higher_priority_ns ==
                         report->swap_ns,
                     "the shares of a swap do not add up to %" PRIu64 " ns", report->swap_ns);
    }
    if (report->abandoned) {
        tally(T_ABANDONED);
    }
}

static void tally_swap(const struct ant_swap_report *report, int error, bool trust)
{
    tally(T_SWAPS);
    tally(error == 0             ? T_COMMITTED
          : error == -ECANCELED  ? T_CANCELLED
          : error == -ETIMEDOUT  ? T_TIMED_OUT
          : error == -EOWNERDEAD ? T_OWNER_DEAD
          : error == -ESRCH      ? T_SERVER_GONE
          : error == -EIO        ? T_START_ERROR
          : error == -EBADMSG    ? T_START_ERROR
          : error == -ENOMEM     ? T_START_ERROR
                                 : T_OTHER_ERROR);
    if (error == 0 && report->restarted) {
        tally(T_RESTARTS);
        if (trust) {
            tally(T_TRUSTED);
        }
    }
}

/* False: it was refused at once. */
static bool swap(struct actor *actor, uint32_t function, bool faulty, const struct ant_swap_options *options)
{
    const struct ant_program *program = function >= FN_DRIVER
                                            ? driver_program(stress_random(&actor->random))
                                        : faulty ? faulty_program(stress_random(&actor->random))
                                                 : server_program(stress_random(&actor->random));
    struct ant_swap_report report = {0};
    uint32_t opened = actor_open(&actor->section);
    int error = ant_swap(function, program, options, &report);

    actor_close(&actor->section, opened);
    if (error == -EBUSY || (report.step == 0 && error != 0)) {
        STRESS_CHECK(error == -EBUSY || error == -ESRCH || error == -ESHUTDOWN || error == -ENOMEM,
                     "ant_swap refuses: %s", ant_strerror(error));
        return false;
    }
    bool allowed = error == 0 || error == -ETIMEDOUT || error == -EOWNERDEAD ||
                   error == -ECANCELED || error == -EAGAIN || error == -ENOMEM || error == -ESRCH ||
                   (faulty && (error == -EIO || error == -EBADMSG)) ||
                   (error == -ESHUTDOWN && (round_now.abrupt || actor_harmed(actor)));
    STRESS_CHECK(allowed, "ant_swap: %s in step %s", ant_strerror(error),
                 ant_swap_step_name(report.step));
    STRESS_CHECK(error != 0 || !faulty || function >= FN_DRIVER,
                 "a server whose start fails (version %u) serves", program->version);
    STRESS_CHECK(error != -ESRCH || atomic_load(&server_of(function)->ends) > 0 ||
                     (round_now.abrupt && atomic_load(&round_now.over)),
                 "function %u is gone in step %s, and its server has not ended", function,
                 ant_swap_step_name(report.step));
    check_report(&report, error);
    tally_swap(&report, error, options->trust_state);
    return true;
}

int swapper_main(void *argument)
{
    struct actor *actor = argument;

    while (pause_ns(actor, 400000)) {
        uint64_t draw = stress_random(&actor->random);
        uint32_t function = any_function(actor);
        struct ant_swap_options options = {.trust_state = draw % 4 != 0};
        if ((draw >> 8) % 4 == 0) {
            options.quiesce_timeout_ns = 1 + (int64_t)((draw >> 16) % 300000);
        }
        if ((draw >> 32) % 4 == 0) {
            options.start_timeout_ns = 1 + (int64_t)((draw >> 40) % 300000);
        }
        if (round_now.contain && below(actor, 8) == 0) {
            options.force = true;
            options.quiesce_timeout_ns = round_now.shortest_force_ns + below(actor, 3000000);
            server_attempt(server_of(function), &server_of(function)->deaths);
            tally(T_FORCED);
        }
        swap(actor, function, below(actor, 3) == 0, &options);
        if (options.force) {
            server_attempted(server_of(function));
        }
    }
    return STATUS_DONE;
}

int canceller_main(void *argument)
{
    struct actor *actor = argument;

    while (pause_ns(actor, 1000000)) {
        int error = ant_swap_cancel(any_function(actor));
        STRESS_CHECK(error == 0 || error == -ENOENT || error == -ESRCH || error == -EALREADY,
                     "ant_swap_cancel: %s", ant_strerror(error));
    }
    return STATUS_DONE;
}

/* --- Killing and stopping -------------------------------------------------------------------------------------------------------- */

static void check_kill(int error)
{
    STRESS_CHECK(error == 0 || error == -ESRCH, "ant_kill: %s", ant_strerror(error));
}

static void kill_server(uint32_t function)
{
    struct server *server = server_of(function);
    ant_pid pid;

    if (actor_claim(&server->section)) {
        server_attempt(server, &server->deaths);
        if (ant_lookup(function, &pid) == 0) {
            check_kill(ant_kill(pid));
            tally(function >= FN_DRIVER ? T_KILLS_DRIVER : T_KILLS_SERVER);
        }
        server_attempted(server);
        actor_release(&server->section);
    }
}

static void stop_server(uint32_t function)
{
    struct server *server = server_of(function);
    ant_pid pid;

    server_attempt(server, &server->ends);
    if (ant_lookup(function, &pid) == 0) {
        int error = ant_stop(pid, (int64_t)(20 * ANT_NS_PER_MS), NULL);
        STRESS_CHECK(error == 0 || error == -ESRCH || error == -ETIMEDOUT || error == -ESHUTDOWN,
                     "ant_stop of a server: %s", ant_strerror(error));
        tally(T_STOPS);
    }
    atomic_store(&server->unsettled, true); /* it may yet be about to end, whoever has settled meanwhile */
    server_attempted(server);
}

static void harm_actor(struct actor *killer, struct actor *victim)
{
    bool safe = victim->kind == ACTOR_WARDEN || (victim->kind == ACTOR_KILLER && !round_now.rough);

    if (victim == killer || safe) {
        return;
    }
    if (victim->kind != ACTOR_MENDER && below(killer, 4) == 0) {
        int error = ant_stop(actor_harm(victim), (int64_t)below(killer, 5000000), NULL);
        STRESS_CHECK(error == 0 || error == -ESRCH || error == -ETIMEDOUT || error == -ESHUTDOWN,
                     "ant_stop of a %s: %s", actor_name(victim->kind), ant_strerror(error));
        tally(T_STOPS);
    } else if (actor_claim(&victim->section)) {
        check_kill(ant_kill(actor_harm(victim)));
        tally(victim->kind == ACTOR_CLIENT    ? T_KILLS_CLIENT
              : victim->kind == ACTOR_SWAPPER ? T_KILLS_REQUESTER
                                              : T_KILLS_OTHER);
        /* its section stays claimed until it is created again */
    }
}

static void disturb(struct actor *killer)
{
    struct actor *client = &round_now.client[below(killer, round_now.clients)];
    int priority = MODEL_LOW_CLIENT_PRIORITY + (int)below(killer, 20);
    int error = ant_priority_set(atomic_load(&client->pid), priority);

    STRESS_CHECK(error == 0 || error == -ESRCH, "ant_priority_set: %s", ant_strerror(error));
}

int killer_main(void *argument)
{
    struct actor *actor = argument;

    while (pause_ns(actor, 3000000)) {
        uint32_t draw = below(actor, 32);
        if (draw < 8) {
            harm_actor(actor, &round_now.client[below(actor, round_now.clients)]);
        } else if (draw < 14) {
            harm_actor(actor, &round_now.other[below(actor, round_now.others)]);
        } else if (draw < 26) {
            kill_server(any_function(actor));
        } else if (draw < 27) {
            stop_server(any_function(actor));
        } else {
            disturb(actor);
        }
    }
    return STATUS_DONE;
}

/* --- Coming and going ------------------------------------------------------------------------------------------------------------- */

static int mayfly_main(void *breeder)
{
    void *area;
    (void)breeder;

    if (ant_ica_alloc(1 + round_draw() % 3, &area) == 0) {
        *(uint64_t *)area = round_draw();
        if (round_one_in(2)) {
            STRESS_OK(ant_ica_free(area));
        }
    }
    if (round_one_in(3)) {
        ant_exit(STATUS_DONE);
    }
    ant_sleep(ant_now() + round_draw() % 2000000);
    return STATUS_DONE;
}

int breeder_main(void *argument)
{
    struct actor *actor = argument;
    ant_pid *mayfly = &round_now.mayfly[actor->number];

    if (*mayfly != 0) { /* of the breeder before, who was killed */
        ant_wait(*mayfly, ANT_FOREVER, NULL);
    }
    while (pause_ns(actor, 500000)) {
        int error = ant_process_create(NULL, mayfly_main, NULL, mayfly);
        if (error != 0) {
            STRESS_CHECK(error == -EAGAIN || error == -ENOMEM || error == -ESHUTDOWN,
                         "ant_process_create: %s", ant_strerror(error));
            continue;
        }
        uint32_t draw = below(actor, 4);
        uint32_t opened = actor_open(&actor->section);
        error = draw == 0                      ? ant_stop(*mayfly, ANT_FOREVER, NULL)
                : draw == 1 && round_now.rough ? ant_kill(*mayfly)
                                               : 0;
        error = error == 0 ? ant_wait(*mayfly, ANT_FOREVER, NULL) : error;
        actor_close(&actor->section, opened);
        STRESS_CHECK(error == 0 || error == -ESRCH || error == -ESHUTDOWN,
                     "the end of a mayfly: %s", ant_strerror(error));
        tally(T_COME_AND_GONE);
    }
    return STATUS_DONE;
}

/* --- Mending ---------------------------------------------------------------------------------------------------------------------- */

/* A server, by its number: servers first, then drivers. */
static uint32_t function_at(uint32_t number)
{
    return number < round_now.servers ? FN_SERVER + number : FN_DRIVER + number - round_now.servers;
}

static void serve_again(uint32_t function)
{
    int error = function >= FN_DRIVER ? driver_create(function - FN_DRIVER)
                                      : server_create(function - FN_SERVER);

    STRESS_CHECK(error == 0 || error == -EEXIST || error == -EAGAIN || error == -ENOMEM ||
                     error == -ETIMEDOUT || error == -ESHUTDOWN || error == -EOWNERDEAD,
                 "ant_serve of function %u: %s", function, ant_strerror(error));
    if (error == 0) {
        tally(T_SERVED_AGAIN);
    }
}

static void restart(struct actor *actor, uint32_t function)
{
    struct ant_swap_options options = {.trust_state = below(actor, 4) != 0};

    if (!swap(actor, function, below(actor, 4) == 0, &options)) {
        ant_sleep(ant_now() + 200 * ANT_NS_PER_US); /* others are at it: they must come to run */
    }
}

/* Looks whether there is anything to mend. */
static void look_after(struct actor *actor, uint32_t function, bool dead_too)
{
    struct ant_process_info info;
    ant_pid pid;

    if (ant_lookup(function, &pid) == -ESRCH) {
        serve_again(function);
    } else if (dead_too && ant_process_info(pid, &info) == 0 && info.dead) {
        restart(actor, function);
    }
}

int warden_main(void *argument)
{
    struct actor *actor = argument;
    bool dead_too = round_now.seed % 2 == 0; /* else it is the mender's: it must be told of every death */

    while (!atomic_load(&round_now.mended) && ant_sleep(ant_now() + 2 * ANT_NS_PER_MS) == 0) {
        for (uint32_t i = 0; i < round_now.servers + round_now.drivers; i++) {
            look_after(actor, function_at(i), dead_too);
        }
    }
    return STATUS_DONE;
}

struct lent {
    struct ant_request *rq;
    bool out;
};

/* What a monitor says: true, and something that can be. */
static void heed(struct actor *actor, const struct ant_request *rq, uint32_t function)
{
    struct ant_monitor_report report;

    memcpy(&report, rq->payload, sizeof report);
    STRESS_CHECK(report.function == function, "a monitor of function %u tells of %u", function,
                 report.function);
    STRESS_CHECK(report.change >= ANT_CHANGE_DIED && report.change <= ANT_CHANGE_ENDED,
                 "a monitor tells of change %d", (int)report.change);
    STRESS_CHECK(report.time_ns <= ant_now(), "a monitor tells of the future");
    if (report.change == ANT_CHANGE_DIED) {
        STRESS_CHECK(report.error == -EOWNERDEAD ||
                         (report.error == -ETIMEDOUT && round_now.contain), /* watchdog, or force */
                     "a death is told with %s", ant_strerror(report.error));
        STRESS_CHECK(report.signal == 0 || round_now.contain, "a death by signal %d", report.signal);
        tally(T_DEATHS_TOLD);
        restart(actor, function);
    } else {
        tally(T_CHANGES_TOLD);
    }
}

static void lend(struct lent *lent, uint32_t function)
{
    if (lent->rq == NULL && ant_request_new(FN_MONITOR, &lent->rq) != 0) {
        lent->rq = NULL;
        return;
    }
    lent->rq->cookie = function;
    int error = ant_monitor(lent->rq, function);
    STRESS_CHECK(error == 0 || error == -ESRCH, "ant_monitor: %s", ant_strerror(error));
    lent->out = error == 0;
}

static void take_back(struct lent *lent)
{
    if (lent->out) {
        int error = ant_cancel(lent->rq);
        STRESS_CHECK(error == 0 || error == -EALREADY, "ant_cancel of a monitor: %s",
                     ant_strerror(error));
    }
}

int mender_main(void *argument)
{
    struct actor *actor = argument;
    struct lent lent[SERVERS_MAX + DRIVERS_MAX] = {0};
    uint32_t count = round_now.servers + round_now.drivers;

    while (!atomic_load(&round_now.mended)) {
        struct ant_message message;
        for (uint32_t i = 0; i < count; i++) {
            if (!lent[i].out) {
                lend(&lent[i], function_at(i));
            }
        }
        uint32_t opened = actor_open(&actor->section);
        int error = ant_receive(&message, (int64_t)ANT_NS_PER_MS);
        actor_close(&actor->section, opened);
        if (error == 0 && message.kind == ANT_STOP) {
            return STATUS_DONE;
        } else if (error == 0) {
            uint32_t i = 0;
            while (i < count && lent[i].rq != message.request) {
                i++;
            }
            if (STRESS_CHECK(i < count, "a monitor that was not lent comes back")) {
                lent[i].out = false;
                heed(actor, message.request, function_at(i));
            }
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        take_back(&lent[i]);
    }
    return STATUS_DONE;
}
