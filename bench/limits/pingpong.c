/*
 * Two CPUs that look at two cache lines: one writes the first and waits for the second, the other the other way about. No
 * round trip between two CPUs can be shorter. The partner spins only while it is this subject's turn.
 */
#include "subject.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#define REST UINT32_MAX /* in place of the next number: the turn is over */

struct line {
    _Alignas(64) _Atomic uint32_t number;
};

struct pingpong {
    struct line there, back;
    uint32_t number;
    bool end;
    sem_t begin;
    pthread_t thread;
};

static inline uint32_t await_other(struct line *line, uint32_t number)
{
    uint32_t seen;

    do {
        seen = atomic_load_explicit(&line->number, memory_order_acquire);
    } while (seen == number);
    return seen;
}

static void *partner(void *argument)
{
    struct pingpong *self = argument;

    for (;;) {
        while (sem_wait(&self->begin) != 0) {
        }
        if (self->end) {
            return NULL;
        }
        uint32_t number = 0;
        do {
            number = await_other(&self->there, number);
            atomic_store_explicit(&self->back.number, number, memory_order_release);
        } while (number != REST);
    }
}

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct pingpong *self = limit_new(sizeof *self);

    (void)subject;
    limit_must(sem_init(&self->begin, 0, 0) == 0, "sem_init");
    limit_thread_on(&self->thread, setting->other_cpu, setting, partner, self);
    return self;
}

/* There and back once. */
static inline void exchange(struct pingpong *self, uint32_t number)
{
    uint32_t before = atomic_load_explicit(&self->back.number, memory_order_relaxed);

    atomic_store_explicit(&self->there.number, number, memory_order_release);
    await_other(&self->back, before);
}

static void enter(void *argument)
{
    struct pingpong *self = argument;

    self->number = 0;
    atomic_store(&self->there.number, 0);
    atomic_store(&self->back.number, 0);
    sem_post(&self->begin);
    exchange(self, ++self->number); /* it is awake */
}

static void leave(void *argument)
{
    exchange(argument, REST);
}

enum { BATCH = 100 };

static void sample(void *argument, uint64_t *values)
{
    struct pingpong *self = argument;
    uint64_t begin_ns = now_ns();

    for (int i = 0; i < BATCH; i++) {
        exchange(self, ++self->number);
    }
    values[0] = now_ns() - begin_ns;
}

static void destroy(void *argument)
{
    struct pingpong *self = argument;

    self->end = true;
    sem_post(&self->begin);
    pthread_join(self->thread, NULL);
    sem_destroy(&self->begin);
    free(self);
}

const struct subject limit_pingpong = {.names = {"pingpong"},
                                       .batch = BATCH,
                                       .create = create,
                                       .enter = enter,
                                       .sample = sample,
                                       .leave = leave,
                                       .destroy = destroy};
