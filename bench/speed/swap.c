/*
 * Swaps, below the requester's priority, beside the floor that any implementation on threads has to pay.
 *
 * An idle small server; and one with 256 MiB of state that is adopted at the same version, which never catches up with its work:
 * 10,000 requests are queued at each swap (but for one or two that the old server still serves), as what it answers between two
 * swaps is sent again. And
 * one to which 10,000 requests have been sent right before the swap: that is long enough ago for caches to have forgotten all
 * that a swap needs, so its floor has the same done to it.
 *
 * The swap time is what the requester sees with its own clock around ant_swap, the blackout is the report's. After a sample
 * the old server's thread has ended, as the floor's has.
 */
#include "ours.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUED 10000u
#define STATE_BYTES ((size_t)256 << 20)
#define POOL_BYTES ((size_t)512 << 20)
#define EXIT_LOOK_NS 20000u
#define SWAP_TURNS 20
#define WARM_THREADS 4
#define SERVED_MEANWHILE                                                                           \
    10u /* by the old server while the requester is in the kernel, to create a thread */

struct swap {
    ant_pid server;
    uint32_t function;
    const struct ant_program *programs; /* two, in turns */
    unsigned number;                    /* how many swaps there were */
    uint32_t queued;
    int priority;
    struct ant_request *requests[QUEUED];
};

/* --- The servers ---------------------------------------------------------------------------------------------------------- */

static int start_loaded(struct ant_server *self)
{
    void *state;

    if (self->reason == ANT_START_SWAP) {
        return 0; /* the state is adopted as it is */
    }
    int error = ant_ica_alloc(STATE_BYTES / ANT_PAGE_BYTES, &state);
    if (error != 0) {
        return error;
    }
    memset(state, 1, STATE_BYTES);
    return ant_state_set(state);
}

static void answer(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    must("ant_reply", ant_reply(rq, 0));
}

static const struct ant_program idle[2] = {
    {.abi = ANT_ABI, .version = 1, .state_version = 1, .name = "idle", .request = answer},
    {.abi = ANT_ABI, .version = 2, .state_version = 1, .name = "idle", .request = answer},
};
static const struct ant_program loaded[2] = {
    {.abi = ANT_ABI, .version = 1, .state_version = 1, .name = "loaded", .start = start_loaded, .request = answer},
    {.abi = ANT_ABI, .version = 2, .state_version = 1, .name = "loaded", .start = start_loaded, .request = answer},
};

/* --- A sample ------------------------------------------------------------------------------------------------------------- */

/* The server is below the caller, so on one CPU under SCHED_FIFO none is served before the caller waits. */
static void fill_queue(void *argument)
{
    struct swap *self = argument;

    for (uint32_t i = 0; i < self->queued; i++) {
        must("ant_send", ant_send(self->requests[i]));
    }
}

static void drain_queue(void *argument)
{
    struct swap *self = argument;

    for (uint32_t i = 0; i < self->queued; i++) {
        struct ant_message message;
        must("ant_receive", ant_receive(&message, ANT_FOREVER));
    }
}

/* What has been answered since is sent again. (The kernel may have blocked the caller for a while, so the server has run.) */
static void refill_queue(void)
{
    struct ant_message message;

    while (ant_receive(&message, 0) == 0) {
        must("ant_send", ant_send(message.request));
    }
}

/* Lets the old server's thread end, by giving the processor away until it has; meanwhile the new one, which has much to do, is below it. */
static void await_exit(const struct swap *self)
{
    struct ant_swap_report report;

    must("ant_priority_set", ant_priority_set(self->server, self->priority - 1));
    do {
        must("ant_sleep", ant_sleep(ant_now() + EXIT_LOOK_NS));
        must("ant_swap_last", ant_swap_last(self->function, &report));
    } while (report.step_time_ns[ANT_SWAP_EXIT] == 0);
    must("ant_priority_set", ant_priority_set(self->server, self->priority));
}

static void sample_swap(struct swap *self, uint64_t *values)
{
    const struct ant_program *program = &self->programs[++self->number % 2];
    struct ant_swap_report report;

    refill_queue();
    uint64_t begin_ns = now_ns();
    int error = ant_swap(self->function, program, NULL, &report);
    values[0] = now_ns() - begin_ns;
    must("ant_swap", error);
    uint32_t queued = report.queued_requests.handed_over;
    if (queued + SERVED_MEANWHILE < self->queued) {
        fprintf(stderr, "speed: a swap with %u requests queued instead of %u\n", queued, self->queued);
    }
    values[1] = report.blackout_ns;
}

static void sample(void *self, uint64_t *values)
{
    sample_swap(self, values);
    await_exit(self);
}

/* Without priorities a server works while its queue is being filled, and the queue is never full. */
static bool can_be_loaded(const struct setting *setting)
{
    errno = ENOTSUP;
    return setting->realtime;
}

static struct swap *open_swap(const struct ant_program *programs, uint32_t queued,
                              const struct setting *setting)
{
    struct swap *self = limit_new(sizeof *self);

    self->programs = programs;
    self->function = ours_serve(&programs[0], setting, &self->server);
    self->priority = ours_priority(setting);
    self->queued = queued;
    for (uint32_t i = 0; i < queued; i++) {
        must("ant_request_new", ant_request_new(self->function, &self->requests[i]));
    }
    return self;
}

static void *create_idle(const struct subject *subject, const struct setting *setting)
{
    (void)subject;
    return open_swap(idle, 0, setting);
}

static void *create_loaded(const struct subject *subject, const struct setting *setting)
{
    (void)subject;
    return can_be_loaded(setting) ? open_swap(loaded, QUEUED, setting) : NULL;
}

static void *create_filled(const struct subject *subject, const struct setting *setting)
{
    (void)subject;
    return can_be_loaded(setting) ? open_swap(idle, QUEUED, setting) : NULL;
}

static void sample_filled(void *self, uint64_t *values)
{
    fill_queue(self);
    sample_swap(self, values);
    drain_queue(self);
    await_exit(self);
}

static void destroy(void *argument)
{
    struct swap *self = argument;

    for (uint32_t i = 0; i < self->queued; i++) {
        must("ant_request_free", ant_request_free(self->requests[i]));
    }
    must("ant_stop", ant_stop(self->server, ANT_FOREVER, NULL));
    free(self);
}

/* --- The floor, after the queue of a server has been filled ----------------------------------------------------------------- */

struct filled_floor {
    struct swap *filled;
    void *floor;
};

/* The floor's parties are above the server, which would else do its work in the middle. */
static void *create_filled_floor(const struct subject *subject, const struct setting *setting)
{
    struct swap *filled = create_filled(subject, setting);
    struct setting above = *setting;

    if (filled == NULL) {
        return NULL;
    }
    struct filled_floor *self = limit_new(sizeof *self);
    above.partner_priority++;
    self->filled = filled;
    self->floor = limit_swap_floor.create(&limit_swap_floor, &above);
    return self;
}

static void sample_filled_floor(void *argument, uint64_t *values)
{
    struct filled_floor *self = argument;

    fill_queue(self->filled);
    limit_swap_floor.sample(self->floor, values);
    drain_queue(self->filled);
}

static void destroy_filled_floor(void *argument)
{
    struct filled_floor *self = argument;

    limit_swap_floor.destroy(self->floor);
    destroy(self->filled);
    free(self);
}

/* --- Rows ----------------------------------------------------------------------------------------------------------------- */

static const struct subject swap_idle = {.names = {"swap_idle", "blackout_idle"},
                                         .rarity = 5,
                                         .create = create_idle,
                                         .sample = sample,
                                         .destroy = destroy};
static const struct subject swap_loaded = {.names = {"swap_loaded", "blackout_loaded"},
                                           .rarity = 5,
                                           .create = create_loaded,
                                           .enter = fill_queue,
                                           .sample = sample,
                                           .leave = drain_queue,
                                           .destroy = destroy};
static const struct subject swap_filled = {.names = {"swap_filled", "blackout_filled"},
                                           .rarity = 200,
                                           .create = create_filled,
                                           .sample = sample_filled,
                                           .destroy = destroy};
static const struct subject filled_floor = {.names = {"swap_filled_floor", "handover_filled_floor"},
                                            .rarity = 200,
                                            .create = create_filled_floor,
                                            .sample = sample_filled_floor,
                                            .destroy = destroy_filled_floor};
static const struct subject *const subjects[] = {
    &swap_filled, &filled_floor, &limit_swap_floor, &swap_idle, &swap_loaded, &limit_dlopen, NULL};
static const struct row rows[] = {
    {"swap_idle", NULL, UNIT_US, {"swap_floor"}, RATIO_AT_MOST, 1.0},
    {"blackout_idle", NULL, UNIT_US, {"handover_floor"}, RATIO_AT_MOST, 1.2},
    {"swap_loaded", NULL, UNIT_US, {"swap_idle"}, RATIO_AT_MOST, 1.2},
    {"blackout_loaded", NULL, UNIT_US, {"blackout_idle"}, RATIO_AT_MOST, 1.2},
    {"swap_filled", NULL, UNIT_US, {"swap_filled_floor"}, JUDGED_NOT, 0},
    {"blackout_filled", NULL, UNIT_US, {"handover_filled_floor"}, JUDGED_NOT, 0},
    {"dlopen", NULL, UNIT_US, {NULL}, JUDGED_NOT, 0},
};

const struct group group_swap = {.mover = ANT_MOVER_STRICT,
                                 .cpus = 1,
                                 .client_priority = ANT_PRIORITY_MAX,
                                 .server_priority = LOWER_PRIORITY,
                                 .pool_bytes = POOL_BYTES,
                                 .max_processes = 64,
                                 .turns = SWAP_TURNS,
                                 .subjects = subjects,
                                 GROUP_ROWS(rows)};

/* --- With warm threads ---------------------------------------------------------------------------------------------------- */

static const struct subject swap_idle_warm = {.names = {"swap_idle_warm", "blackout_idle_warm"},
                                              .rarity = 5,
                                              .create = create_idle,
                                              .sample = sample,
                                              .destroy = destroy};
static const struct subject *const warm_subjects[] = {&limit_swap_floor, &swap_idle_warm, NULL};
static const struct row warm_rows[] = {
    {"swap_idle_warm", NULL, UNIT_US, {"swap_floor"}, RATIO_AT_MOST, 0.6},
    {"blackout_idle_warm", NULL, UNIT_US, {"handover_floor"}, JUDGED_NOT, 0},
};

const struct group group_swap_warm = {.mover = ANT_MOVER_STRICT,
                                      .cpus = 1,
                                      .client_priority = ANT_PRIORITY_MAX,
                                      .server_priority = LOWER_PRIORITY,
                                      .pool_bytes = POOL_BYTES,
                                      .max_processes = 64,
                                      .warm_threads = WARM_THREADS,
                                      .turns = SWAP_TURNS,
                                      .subjects = warm_subjects,
                                      GROUP_ROWS(warm_rows)};
