/*
 * A call across two CPUs: the client on one, the echo server on the other, and both look for a while before they sleep. The
 * limit is a ping-pong of two cache lines between the same CPUs.
 */
#include "ours.h"

#include <stdlib.h>

enum { BYTES = 64, SPIN_NS = 50000 };

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
    struct ours_call *self = limit_new(sizeof *self);

    (void)subject;
    server_cpu = setting->other_cpu;
    must("sched_setaffinity", ours_bind(setting->cpu)); /* until the group ends */
    ours_call_open(self, &program, BYTES, setting);
    return self;
}

static void sample(void *self, uint64_t *values)
{
    uint64_t begin_ns = now_ns();

    ours_call(self, begin_ns);
    values[0] = now_ns() - begin_ns;
}

static void destroy(void *self)
{
    ours_call_close(self);
    free(self);
}

static const struct subject call_cross = {
    .names = {"call_cross"}, .create = create, .sample = sample, .destroy = destroy};
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
