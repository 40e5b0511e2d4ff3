/*
 * The floor under a swap: what thread creation and the hand-overs of its twelve steps cost when nothing else is done.
 *
 * The hand-overs are those of a swap: requester → old → requester → new → old, requester, by raw futex calls on one word a
 * party. That is what any implementation on Linux threads that creates the new server in the swap has to pay.
 *   swap_floor     from before the thread is created until the requester goes on
 *   handover_floor from the moment the old server gives up until the new one could take a request
 *
 * Each party waits on its word, 0: wait, 1: go on, in a cache line of its own. A server that has been told to go on looks
 * why: `end`, or else it is being replaced. Nothing is checked twice and nothing is kept that is not needed. After a
 * sample the old server's thread has ended, too (not measured).
 */
#include "subject.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

struct word {
    _Alignas(64) _Atomic uint32_t go;
};

struct floor;

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

static void create_server(struct floor *floor, unsigned which)
{
    struct server *server = &floor->servers[which];

    atomic_store_explicit(&server->word.go, 0, memory_order_relaxed);
    errno = pthread_create(&server->thread, &floor->attributes, server_main, server);
    limit_must(errno == 0, "a thread");
}

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct floor *floor = limit_new(sizeof *floor);
    struct sched_param param = {.sched_priority = setting->realtime ? setting->partner_priority : 0};

    (void)subject;
    floor->servers[0].floor = floor->servers[1].floor = floor;
    pthread_attr_init(&floor->attributes);
    pthread_attr_setstacksize(&floor->attributes, setting->stack_bytes);
    pthread_attr_setinheritsched(&floor->attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&floor->attributes, setting->realtime ? SCHED_FIFO : SCHED_OTHER);
    pthread_attr_setschedparam(&floor->attributes, &param);
    create_server(floor, 0);
    wake(&floor->servers[0].word);
    await(&floor->requester);
    return floor;
}

static void sample(void *argument, uint64_t *values)
{
    struct floor *floor = argument;
    unsigned old = floor->serving, new = !old;
    pthread_t thread = floor->servers[old].thread;

    uint64_t begin_ns = now_ns();    /* 1 */
    create_server(floor, new);       /* 2 */
    wake(&floor->servers[old].word); /* 3 */
    await(&floor->requester);        /* 4, 5: the old one */
    wake(&floor->servers[new].word); /* 6 */
    await(&floor->requester);        /* 7 to 10: the new one */
    values[0] = now_ns() - begin_ns; /* 11 */
    values[1] = floor->could_receive_ns - floor->gave_up_ns;
    floor->serving = new;
    pthread_join(thread, NULL);
}

static void destroy(void *argument)
{
    struct floor *floor = argument;

    floor->end = true;
    wake(&floor->servers[floor->serving].word);
    pthread_join(floor->servers[floor->serving].thread, NULL);
    pthread_attr_destroy(&floor->attributes);
    free(floor);
}

const struct subject limit_swap_floor = {.names = {"swap_floor", "handover_floor"},
                                         .rarity = 5,
                                         .create = create,
                                         .sample = sample,
                                         .destroy = destroy};
