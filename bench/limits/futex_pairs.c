/*
 * One pair of threads, or two, a CPU each, that make futex round trips as fast as they can: what a second CPU adds where nothing is
 * shared. Where the two are one core to the hypervisor, that is far less than as much again.
 *
 * A sample is PAIR_TRIPS round trips of each pair, client below server, from the first of whoever began first to the last of
 * whoever ended last.
 */
#include "baton.h"
#include "subject.h"

#include <stdlib.h>

enum { PAIR_TRIPS = 1000 };

struct pair {
    struct baton begin, client, server;
    struct baton *done; /* the caller's, and nobody else's */
    bool end;
    uint64_t begin_ns, end_ns;
    pthread_t client_thread, server_thread;
};

struct pairs {
    struct baton done[2];
    struct pair pairs[2];
    unsigned count;
};

static void *server(void *argument)
{
    struct pair *self = argument;

    for (;;) {
        baton_take(&self->server);
        if (self->end) {
            return NULL;
        }
        baton_give(&self->client);
    }
}

static void *client(void *argument)
{
    struct pair *self = argument;

    for (;;) {
        baton_take(&self->begin);
        if (self->end) {
            return NULL;
        }
        self->begin_ns = now_ns();
        for (int i = 0; i < PAIR_TRIPS; i++) {
            baton_give(&self->server);
            baton_take(&self->client);
        }
        self->end_ns = now_ns();
        baton_give(self->done);
    }
}

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct pairs *self = limit_new(sizeof *self);
    struct setting below = *setting;

    below.partner_priority--;
    self->count = subject->batch / PAIR_TRIPS;
    for (unsigned i = 0; i < self->count; i++) {
        struct pair *pair = &self->pairs[i];
        int cpu = i == 0 ? setting->cpu : setting->other_cpu;
        pair->done = &self->done[i];
        limit_thread_on(&pair->server_thread, cpu, setting, server, pair);
        limit_thread_on(&pair->client_thread, cpu, &below, client, pair);
    }
    return self;
}

static void sample(void *argument, uint64_t *values)
{
    struct pairs *self = argument;
    uint64_t begin_ns = UINT64_MAX, end_ns = 0;

    for (unsigned i = 0; i < self->count; i++) {
        baton_give(&self->pairs[i].begin);
    }
    for (unsigned i = 0; i < self->count; i++) {
        baton_take(&self->done[i]);
    }
    for (unsigned i = 0; i < self->count; i++) {
        const struct pair *pair = &self->pairs[i];
        begin_ns = pair->begin_ns < begin_ns ? pair->begin_ns : begin_ns;
        end_ns = pair->end_ns > end_ns ? pair->end_ns : end_ns;
    }
    values[0] = end_ns - begin_ns;
}

static void destroy(void *argument)
{
    struct pairs *self = argument;

    for (unsigned i = 0; i < self->count; i++) {
        struct pair *pair = &self->pairs[i];
        pair->end = true;
        baton_give(&pair->begin);
        baton_give(&pair->server);
        pthread_join(pair->client_thread, NULL);
        pthread_join(pair->server_thread, NULL);
    }
    free(self);
}

#define FUTEX_PAIRS .rarity = 50, .create = create, .sample = sample, .destroy = destroy
const struct subject limit_futex_pairs_1 = {.names = {"futex_pairs_1"}, .batch = PAIR_TRIPS, FUTEX_PAIRS};
const struct subject limit_futex_pairs_2 = {
    .names = {"futex_pairs_2"}, .batch = 2 * PAIR_TRIPS, FUTEX_PAIRS};
