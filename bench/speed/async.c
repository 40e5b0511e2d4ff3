/* Asynchronous requests, 64 of them out at a time, client and server at equal priorities: how many are answered a second. */
#include "ours.h"

#include <stdlib.h>

enum { OUT = 64, BYTES = 64 };

struct async {
    ant_pid server;
    struct ant_request *requests[OUT];
};

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct async *self = limit_new(sizeof *self);
    uint32_t function = ours_serve(&ours_echo, setting, &self->server);

    (void)subject;
    for (int i = 0; i < OUT; i++) {
        must("ant_request_new", ant_request_new(function, &self->requests[i]));
        self->requests[i]->payload_bytes = BYTES;
    }
    return self;
}

static void sample(void *argument, uint64_t *values)
{
    struct async *self = argument;
    uint64_t begin_ns = now_ns();

    for (int i = 0; i < OUT; i++) {
        data_write(self->requests[i]->payload, BYTES, begin_ns);
        must("ant_send", ant_send(self->requests[i]));
    }
    for (int i = 0; i < OUT; i++) {
        struct ant_message message;
        must("ant_receive", ant_receive(&message, ANT_FOREVER));
        data_read(message.request->payload, BYTES);
    }
    values[0] = now_ns() - begin_ns;
}

static void destroy(void *argument)
{
    struct async *self = argument;

    for (int i = 0; i < OUT; i++) {
        must("ant_request_free", ant_request_free(self->requests[i]));
    }
    must("ant_stop", ant_stop(self->server, ANT_FOREVER, NULL));
    free(self);
}

static const struct subject async_64_flat = {
    .names = {"async_64_flat"}, .batch = OUT, .create = create, .sample = sample, .destroy = destroy};
static const struct subject *const subjects[] = {&async_64_flat, NULL};
static const struct row rows[] = {
    {"async_64_flat", NULL, UNIT_PER_S, {NULL}, FIGURE_AT_LEAST, 3e6},
};

const struct group group_async = {.mover = ANT_MOVER_FLAT,
                                  .cpus = 1,
                                  .client_priority = LOWER_PRIORITY,
                                  .server_priority = LOWER_PRIORITY,
                                  .subjects = subjects,
                                  GROUP_ROWS(rows)};
