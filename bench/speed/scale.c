/* What must not grow, and what must: a call among 1,000 idle processes; two pairs on two CPUs. */
#include "idle.h"
#include "ours.h"
#include "quiet.h"

#include <stdlib.h>

enum { BYTES = 64, MANY_TURNS = 10, PAIR_CALLS = 1000 };

/* --- A call among many ---------------------------------------------------------------------------------------------------- */

struct crowd {
    struct ours_call call;
    struct idle idle;
};

static void *create_crowd(const struct subject *subject, const struct setting *setting)
{
    struct crowd *self = limit_new(sizeof *self);

    (void)subject;
    ours_call_open(&self->call, &ours_echo, BYTES, setting);
    return self;
}

static void enter_crowd(void *argument)
{
    struct crowd *self = argument;

    idle_start(&self->idle, IDLE_MAX);
}

static void leave_crowd(void *argument)
{
    struct crowd *self = argument;

    idle_stop(&self->idle);
}

static void sample_call(void *argument, uint64_t *values)
{
    struct crowd *self = argument;
    uint64_t begin_ns = now_ns();

    ours_call(&self->call, begin_ns);
    values[0] = now_ns() - begin_ns;
}

static void destroy_crowd(void *argument)
{
    struct crowd *self = argument;

    ours_call_close(&self->call);
    free(self);
}

#define CROWD .create = create_crowd, .sample = sample_call, .destroy = destroy_crowd
static const struct subject call_2 = {.names = {"call_2"}, CROWD};
static const struct subject call_1000 = {
    .names = {"call_1000"}, .enter = enter_crowd, .leave = leave_crowd, CROWD};
static const struct subject *const crowd_subjects[] = {&call_2, &call_1000, NULL};
static const struct row crowd_rows[] = {
    {"call_1000", NULL, UNIT_US, {"call_2"}, RATIO_AT_MOST, 1.05},
};

const struct group group_crowd = {.mover = ANT_MOVER_FLAT,
                                  .cpus = 1,
                                  .client_priority = LOWER_PRIORITY,
                                  .server_priority = UPPER_PRIORITY,
                                  .max_processes = 1100,
                                  .turns = MANY_TURNS,
                                  .subjects = crowd_subjects,
                                  GROUP_ROWS(crowd_rows)};

/* --- Two pairs on two CPUs ------------------------------------------------------------------------------------------------- */

/*
 * A pair is a client and an echo server, bound to one CPU. The client is a server itself: asked to, it makes PAIR_CALLS calls. A sample
 * asks one or both of them, and takes the time from the first call of whoever began first to the last of whoever ended last.
 */
struct pair {
    int cpu;
    ant_pid client, server;
    struct ant_request *request; /* to the client */
    uint32_t server_function;
    struct ant_request *call; /* the client's own, to its server */
    uint64_t begin_ns, end_ns;
};

struct pairs {
    const char *name;
    struct pair pairs[2];
    unsigned count;
    struct quiet quiet;
};

/* The pair that is being opened: whoever starts belongs to it. */
static struct pair *opened;

static int start_server(struct ant_server *self)
{
    (void)self;
    return ours_bind(opened->cpu);
}

static void echo(struct ant_server *self, struct ant_request *rq)
{
    ours_echo.request(self, rq);
}

static int start_client(struct ant_server *self)
{
    self->context = opened;
    int error = ant_request_new(opened->server_function, &opened->call);
    if (error == 0) {
        opened->call->payload_bytes = BYTES;
        error = ours_bind(opened->cpu);
    }
    return error;
}

static void make_calls(struct ant_server *self, struct ant_request *rq)
{
    struct pair *pair = self->context;
    struct ours_call call = {
        .request = pair->call, .data = pair->call->payload, .bytes = BYTES, .timeout_ns = ANT_FOREVER};

    pair->begin_ns = now_ns();
    for (int i = 0; i < PAIR_CALLS; i++) {
        ours_call(&call, (uint64_t)i);
    }
    pair->end_ns = now_ns();
    must("ant_reply", ant_reply(rq, 0));
}

static const struct ant_program server_program = {
    .abi = ANT_ABI, .version = 1, .name = "pair's server", .start = start_server, .request = echo};
static const struct ant_program client_program = {
    .abi = ANT_ABI, .version = 1, .name = "pair's client", .start = start_client, .request = make_calls};

static void open_pair(struct pair *pair, int cpu, const struct setting *setting)
{
    struct setting below = *setting;

    below.partner_priority--;
    pair->cpu = cpu;
    opened = pair;
    pair->server_function = ours_serve(&server_program, setting, &pair->server);
    uint32_t function = ours_serve(&client_program, &below, &pair->client);
    must("ant_request_new", ant_request_new(function, &pair->request));
}

static void close_pair(struct pair *pair)
{
    must("ant_request_free", ant_request_free(pair->request));
    must("ant_stop", ant_stop(pair->client, ANT_FOREVER, NULL));
    must("ant_stop", ant_stop(pair->server, ANT_FOREVER, NULL));
}

static void *create_pairs(const struct subject *subject, const struct setting *setting)
{
    struct pairs *self = limit_new(sizeof *self);

    self->name = subject->names[0];
    self->count = subject->batch / PAIR_CALLS;
    open_pair(&self->pairs[0], setting->cpu, setting);
    if (self->count > 1) {
        open_pair(&self->pairs[1], setting->other_cpu, setting);
    }
    return self;
}

static void enter_pairs(void *argument)
{
    struct pairs *self = argument;

    quiet_look(&self->quiet);
}

static void sample_pairs(void *argument, uint64_t *values)
{
    struct pairs *self = argument;
    uint64_t begin_ns = UINT64_MAX, end_ns = 0;

    for (unsigned i = 0; i < self->count; i++) {
        must("ant_send", ant_send(self->pairs[i].request));
    }
    for (unsigned i = 0; i < self->count; i++) {
        struct ant_message message;
        must("ant_receive", ant_receive(&message, ANT_FOREVER));
    }
    for (unsigned i = 0; i < self->count; i++) {
        const struct pair *pair = &self->pairs[i];
        begin_ns = pair->begin_ns < begin_ns ? pair->begin_ns : begin_ns;
        end_ns = pair->end_ns > end_ns ? pair->end_ns : end_ns;
    }
    values[0] = end_ns - begin_ns;
}

static void destroy_pairs(void *argument)
{
    struct pairs *self = argument;

    for (unsigned i = 0; i < self->count; i++) {
        close_pair(&self->pairs[i]);
    }
    quiet_tell(&self->quiet, self->name);
    free(self);
}

#define PAIRS                                                                                      \
    .rarity = 50, .create = create_pairs, .enter = enter_pairs, .sample = sample_pairs,            \
    .destroy = destroy_pairs
static const struct subject pairs_1 = {.names = {"pairs_1"}, .batch = PAIR_CALLS, PAIRS};
static const struct subject pairs_2 = {.names = {"pairs_2"}, .batch = 2 * PAIR_CALLS, PAIRS};
static const struct subject *const pair_subjects[] = {&pairs_1, &pairs_2, &limit_futex_pairs_1,
                                                      &limit_futex_pairs_2, NULL};
static const struct row pair_rows[] = {
    {"pairs_2", NULL, UNIT_PER_S, {"pairs_1"}, TIMES_AT_LEAST, 1.8},
    {"futex_pairs_2", NULL, UNIT_PER_S, {"futex_pairs_1"}, JUDGED_NOT, 0},
};

/* The first process is above both pairs, so that it has asked both before they begin. */
const struct group group_pairs = {.mover = ANT_MOVER_FLAT,
                                  .cpus = 2,
                                  .wants_other_cpu = true,
                                  .client_priority = UPPER_PRIORITY,
                                  .server_priority = LOWER_PRIORITY,
                                  .subjects = pair_subjects,
                                  GROUP_ROWS(pair_rows)};
