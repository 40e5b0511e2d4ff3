/*
 * The round trip between two threads: a word there, a word back, and not one system call more than the priorities need.
 *
 * Each end waits on a word of its own. It goes to sleep only if the word has not been given yet, and whoever gives it calls
 * the kernel only if its owner sleeps. With the server above the client that makes one wake and one wait in a round trip
 * (the client is preempted in its wake, and finds the answer when it goes on); at equal priorities two of each.
 *
 * futex_1m: a shared area of 1 MiB lies beside the words, and both ends touch it as data_write and data_read do. Nothing
 * protects it, nothing moves: what is left when handing data over costs nothing.
 */
#include "subject.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOT_GIVEN, GIVEN, ASLEEP };

struct word {
    _Alignas(64) _Atomic uint32_t state;
};

struct futex {
    struct word client, server;
    bool end;
    size_t bytes;
    char *data;
    pthread_t thread;
};

static inline void give(struct word *word)
{
    if (atomic_exchange_explicit(&word->state, GIVEN, memory_order_acq_rel) == ASLEEP) {
        syscall(SYS_futex, &word->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

static inline void take(struct word *word)
{
    while (atomic_load_explicit(&word->state, memory_order_acquire) != GIVEN) {
        uint32_t expected = NOT_GIVEN;
        atomic_compare_exchange_strong_explicit(&word->state, &expected, ASLEEP,
                                                memory_order_acquire, memory_order_acquire);
        if (expected != GIVEN) {
            syscall(SYS_futex, &word->state, FUTEX_WAIT_PRIVATE, ASLEEP, NULL, NULL, 0);
        }
    }
    atomic_store_explicit(&word->state, NOT_GIVEN, memory_order_relaxed);
}

static void *server(void *argument)
{
    struct futex *self = argument;

    for (;;) {
        take(&self->server);
        if (self->end) {
            return NULL;
        }
        if (self->bytes != 0) {
            data_write(self->data, self->bytes, data_read(self->data, self->bytes));
        }
        give(&self->client);
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
    give(&self->server);
    take(&self->client);
    if (self->bytes != 0) {
        data_read(self->data, self->bytes);
    }
    values[0] = now_ns() - begin_ns;
}

static void destroy(void *argument)
{
    struct futex *self = argument;

    self->end = true;
    give(&self->server);
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
