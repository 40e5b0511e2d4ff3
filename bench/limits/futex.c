/*
 * The round trip between two threads: a word there, a word back, and not one system call more than the priorities need.
 *
 * Each end waits on a word of its own (baton.h). With the server above the client that makes one wake and one wait in a round
 * trip (the client is preempted in its wake, and finds the answer when it goes on); at equal priorities two of each.
 *
 * futex_1m: a shared area of 1 MiB lies beside the words, and both ends touch it as data_write and data_read do. Nothing
 * protects it, nothing moves: what is left when handing data over costs nothing.
 */
#include "baton.h"
#include "subject.h"

#include <stdlib.h>

struct futex {
    struct baton client, server;
    bool end;
    size_t bytes;
    char *data;
    pthread_t thread;
};

static void *server(void *argument)
{
    struct futex *self = argument;

    for (;;) {
        baton_take(&self->server);
        if (self->end) {
            return NULL;
        }
        if (self->bytes != 0) {
            data_write(self->data, self->bytes, data_read(self->data, self->bytes));
        }
        baton_give(&self->client);
    }
}

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct futex *self = limit_new(sizeof *self);

    self->bytes = subject->bytes;
    self->data = self->bytes != 0 ? limit_pages(self->bytes) : NULL;
    limit_partner(&self->thread, setting, server, self);
    return self;
}

static void sample(void *argument, uint64_t *values)
{
    struct futex *self = argument;
    uint64_t begin_ns = now_ns();

    if (self->bytes != 0) {
        data_write(self->data, self->bytes, begin_ns);
    }
    baton_give(&self->server);
    baton_take(&self->client);
    if (self->bytes != 0) {
        data_read(self->data, self->bytes);
    }
    values[0] = now_ns() - begin_ns;
}

static void destroy(void *argument)
{
    struct futex *self = argument;

    self->end = true;
    baton_give(&self->server);
    pthread_join(self->thread, NULL);
    if (self->data != NULL) {
        limit_free_pages(self->data, self->bytes);
    }
    free(self);
}

/* One and the same: which priorities it has is the setting's to say, the name is for the table. */
#define FUTEX .create = create, .sample = sample, .destroy = destroy
const struct subject limit_futex = {.names = {"futex"}, FUTEX};
const struct subject limit_futex_equal = {.names = {"futex_equal"}, FUTEX};
const struct subject limit_futex_1m = {.names = {"futex_1m"}, .bytes = (size_t)1 << 20, FUTEX};
