/*
 * The floor under a swap; see swap_floor.h.
 *
 * Each party waits on a word of its own, 0: wait, 1: go on, in a cache line of its own. A server that has been told to go
 * on looks why: `end`, or else it is being replaced. Nothing is checked twice and nothing is kept that is not needed.
 */
#include "swap_floor.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct word {
    _Alignas(64) _Atomic uint32_t go;
};

struct server {
    struct word word;
    struct floor *floor;
    pthread_t thread;
};

struct floor {
    struct word requester;
    struct server servers[2]; /* the one that serves, and the one that is to be, in turns */
    unsigned serving;
    bool end;
    uint64_t gave_up_ns, could_receive_ns;
    pthread_attr_t attributes;
};

static inline uint64_t now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static inline void await(struct word *word)
{
    while (atomic_load_explicit(&word->go, memory_order_acquire) == 0) {
        syscall(SYS_futex, &word->go, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
    atomic_store_explicit(&word->go, 0, memory_order_relaxed);
}

static inline void wake(struct word *word)
{
    atomic_store_explicit(&word->go, 1, memory_order_release);
    syscall(SYS_futex, &word->go, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *server_main(void *argument)
{
    struct server *self = argument;
    struct floor *floor = self->floor;

    await(&self->word); /* step 6: it is started */
    struct server *old = &floor->servers[self == &floor->servers[0]];
    wake(&old->word); /* 9 */
    floor->could_receive_ns = now_ns();
    wake(&floor->requester); /* 10 */
    await(&self->word);      /* it serves, until there is a notice: 4 */
    if (floor->end) {
        return NULL;
    }
    floor->gave_up_ns = now_ns();
    wake(&floor->requester); /* 5 */
    await(&self->word);
    return NULL; /* 12 */
}

static int create_server(struct floor *floor, unsigned which)
{
    struct server *server = &floor->servers[which];

    atomic_store_explicit(&server->word.go, 0, memory_order_relaxed);
    return pthread_create(&server->thread, &floor->attributes, server_main, server);
}

struct floor *floor_create(const struct floor_config *config)
{
    struct floor *floor = aligned_alloc(64, sizeof *floor);

    if (floor == NULL) {
        return NULL;
    }
    *floor = (struct floor){.serving = 0};
    floor->servers[0].floor = floor->servers[1].floor = floor;
    pthread_attr_init(&floor->attributes);
    pthread_attr_setstacksize(&floor->attributes, config->stack_bytes);
    pthread_attr_setinheritsched(&floor->attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&floor->attributes, config->realtime ? SCHED_FIFO : SCHED_OTHER);
    pthread_attr_setschedparam(
        &floor->attributes,
        &(struct sched_param){.sched_priority = config->realtime ? config->priority : 0});
    if (create_server(floor, 0) != 0) {
        pthread_attr_destroy(&floor->attributes);
        free(floor);
        return NULL;
    }
    wake(&floor->servers[0].word);
    await(&floor->requester);
    return floor;
}

int floor_swap(struct floor *floor, struct floor_times *times)
{
    unsigned old = floor->serving, new = !old;
    pthread_t thread = floor->servers[old].thread;

    uint64_t begin_ns = now_ns();         /* 1 */
    if (create_server(floor, new) != 0) { /* 2 */
        return -1;
    }
    wake(&floor->servers[old].word); /* 3 */
    await(&floor->requester);        /* 4, 5: the old one */
    wake(&floor->servers[new].word); /* 6 */
    await(&floor->requester);        /* 7 to 10: the new one */
    uint64_t end_ns = now_ns();      /* 11 */

    floor->serving = new;
    pthread_join(thread, NULL);
    times->swap_ns = end_ns - begin_ns;
    times->blackout_ns = floor->could_receive_ns - floor->gave_up_ns;
    return 0;
}

void floor_destroy(struct floor *floor)
{
    floor->end = true;
    wake(&floor->servers[floor->serving].word);
    pthread_join(floor->servers[floor->serving].thread, NULL);
    pthread_attr_destroy(&floor->attributes);
    free(floor);
}
