/*
 * Asynchronous requests, 64 of them out at a time, client and server at equal priorities: how many are answered a second. The
 * results are received one by one, or as many at once as there are.
 */
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

static void send_all(struct async *self, uint64_t value)
{
    for (int i = 0; i < OUT; i++) {
        data_write(self->requests[i]->payload, BYTES, value);
        must("ant_send", ant_send(self->requests[i]));
    }
}

static void sample(void *argument, uint64_t *values)
{
    uint64_t begin_ns = now_ns();

    send_all(argument, begin_ns);
    for (int i = 0; i < OUT; i++) {
        struct ant_message message;
        must("ant_receive", ant_receive(&message, ANT_FOREVER));
        data_read(message.request->payload, BYTES);
    }
    values[0] = now_ns() - begin_ns;
}

static void sample_many(void *argument, uint64_t *values)
{
    uint64_t begin_ns = now_ns();

    send_all(argument, begin_ns);
    for (size_t received = 0, count; received < OUT; received += count) {
        struct ant_message messages[OUT];
        must("ant_receive_many", ant_receive_many(messages, OUT, &count, ANT_FOREVER));
        for (size_t i = 0; i < count; i++) {
            data_read(messages[i].request->payload, BYTES);
        }
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
static const struct subject async_64_flat_many = {
    .names = {"async_64_flat_many"}, .batch = OUT, .create = create, .sample = sample_many, .destroy = destroy};
static const struct subject *const subjects[] = {&async_64_flat, &async_64_flat_many, NULL};
static const struct row rows[] = {
    {"async_64_flat", NULL, UNIT_PER_S, {NULL}, FIGURE_AT_LEAST, 3e6},
    {"async_64_flat_many", NULL, UNIT_PER_S, {NULL}, JUDGED_NOT, 0},
};

const struct group group_async = {.mover = ANT_MOVER_FLAT,
                                  .cpus = 1,
                                  .client_priority = LOWER_PRIORITY,
                                  .server_priority = LOWER_PRIORITY,
                                  .subjects = subjects,
                                  GROUP_ROWS(rows)};
