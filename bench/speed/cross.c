/*
 * A call across two CPUs: the client on one, the echo server on the other, and both look for a while before they sleep. The
 * limit is a ping-pong of two cache lines between the same two CPUs, in turns with it: how far apart they are is the hypervisor's to
 * say, and changes from run to run.
 */
#include "ours.h"
#include "quiet.h"

#include <stdlib.h>

enum { BATCH = 100, BYTES = 64, SPIN_NS = 50000 };

struct cross {
    struct ours_call call;
    struct quiet quiet;
};

/* Where the server that is being opened is to run. */
static int server_cpu;

static int start(struct ant_server *self)
{
    (void)self;
    return ours_bind(server_cpu);
}

static void echo(struct ant_server *self, struct ant_request *rq)
{
    ours_echo.request(self, rq);
}

static const struct ant_program program = {
    .abi = ANT_ABI, .version = 1, .name = "echo elsewhere", .start = start, .request = echo};

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct cross *self = limit_new(sizeof *self);

    (void)subject;
    server_cpu = setting->other_cpu;
    must("sched_setaffinity", ours_bind(setting->cpu)); /* until the group ends */
    ours_call_open(&self->call, &program, BYTES, setting);
    return self;
}

static void enter(void *argument)
{
    struct cross *self = argument;

    quiet_look(&self->quiet);
    ours_call(&self->call, 0); /* both are awake */
}

static void sample(void *argument, uint64_t *values)
{
    struct cross *self = argument;
    uint64_t begin_ns = now_ns();

    for (int i = 0; i < BATCH; i++) {
        ours_call(&self->call, begin_ns);
    }
    values[0] = now_ns() - begin_ns;
}

static void destroy(void *argument)
{
    struct cross *self = argument;

    ours_call_close(&self->call);
    quiet_tell(&self->quiet, "call_cross");
    free(self);
}

static const struct subject call_cross = {.names = {"call_cross"},
                                          .batch = BATCH,
                                          .create = create,
                                          .enter = enter,
                                          .sample = sample,
                                          .destroy = destroy};
static const struct subject *const subjects[] = {&call_cross, &limit_pingpong, NULL};
static const struct row rows[] = {
    {"call_cross", NULL, UNIT_US, {"pingpong"}, RATIO_AT_MOST, 2},
};

const struct group group_cross = {.mover = ANT_MOVER_FLAT,
                                  .cpus = 2,
                                  .wants_other_cpu = true,
                                  .spin_ns = SPIN_NS,
                                  .client_priority = LOWER_PRIORITY,
                                  .server_priority = LOWER_PRIORITY,
                                  .subjects = subjects,
                                  GROUP_ROWS(rows)};
