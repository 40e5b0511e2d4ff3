/*
 * Direct calls: the echo server permits its clients to run its callback on their own threads. A client that is not below the
 * server does so at once; one below it must be raised to the server's priority for the call, which takes two system calls.
 */
#include "ours.h"

#include <stdlib.h>

enum { BATCH = 100, BYTES = 64 };

static void echo(struct ant_server *self, struct ant_request *rq)
{
    ours_echo.request(self, rq);
}

static const struct ant_program direct_echo = {
    .abi = ANT_ABI, .version = 1, .name = "direct echo", .request = echo, .direct = true};

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct ours_call *self = limit_new(sizeof *self);

    (void)subject;
    ours_call_open(self, &direct_echo, BYTES, setting);
    return self;
}

static void sample_one(void *self, uint64_t *values)
{
    uint64_t begin_ns = now_ns();

    ours_call(self, begin_ns);
    values[0] = now_ns() - begin_ns;
}

static void sample_batch(void *self, uint64_t *values)
{
    uint64_t begin_ns = now_ns();

    for (int i = 0; i < BATCH; i++) {
        ours_call(self, begin_ns);
    }
    values[0] = now_ns() - begin_ns;
}

static void destroy(void *self)
{
    ours_call_close(self);
    free(self);
}

/* --- At equal priorities -------------------------------------------------------------------------------------------------- */

static const struct subject call_direct_flat = {.names = {"call_direct_flat"},
                                                .batch = BATCH,
                                                .create = create,
                                                .sample = sample_batch,
                                                .destroy = destroy};
static const struct subject *const equal_subjects[] = {&call_direct_flat, NULL};
static const struct row equal_rows[] = {
    {"call_direct_flat", NULL, UNIT_US, {NULL}, FIGURE_AT_MOST, 0.2},
};

const struct group group_direct_equal = {.mover = ANT_MOVER_FLAT,
                                         .cpus = 1,
                                         .client_priority = LOWER_PRIORITY,
                                         .server_priority = LOWER_PRIORITY,
                                         .subjects = equal_subjects,
                                         GROUP_ROWS(equal_rows)};

/* --- The server above the client ------------------------------------------------------------------------------------------ */

static const struct subject call_direct_boost = {
    .names = {"call_direct_boost"}, .create = create, .sample = sample_one, .destroy = destroy};
static const struct subject *const boost_subjects[] = {&limit_futex, &call_direct_boost, NULL};
static const struct row boost_rows[] = {
    {"call_direct_boost", NULL, UNIT_US, {"futex"}, RATIO_AT_MOST, 0.8},
};

const struct group group_direct_boost = {.mover = ANT_MOVER_FLAT,
                                         .cpus = 1,
                                         .client_priority = LOWER_PRIORITY,
                                         .server_priority = UPPER_PRIORITY,
                                         .subjects = boost_subjects,
                                         GROUP_ROWS(boost_rows)};
