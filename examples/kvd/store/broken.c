/*
 * A version of the store that does not start, by turns in each of the ways in which a program can fail: it returns an error, it crashes,
 * it hangs. By then the state has been transformed, and memory allocated, which is for the inner core to clean up.
 */
#include "store.h"

#include <ant/load.h>
#include <errno.h>
#include <time.h>

enum { ERROR, CRASH, HANG, WAYS };

/* Outside of the core, where nobody can end it; not for ever, so that a kvd that ends does not wait for it. */
static void hang(void)
{
    const struct timespec while_ = {.tv_sec = 2};
    (void)nanosleep(&while_, NULL);
}

static int broken_start(struct ant_server *self)
{
    void *area;
    (void)ant_ica_alloc(16, &area);
    switch (self->generation % WAYS) { /* the one that it will not come to be */
    case CRASH:
        __builtin_trap();
    case HANG:
        hang();
        break;
    default:
        break;
    }
    return -EIO;
}

/* Never called. */
static void broken_request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    (void)ant_reply(rq, -EIO);
}

static void broken_timer(struct ant_server *self, uint32_t id, uint64_t expirations)
{
    (void)self;
    (void)id;
    (void)expirations;
}

static const struct ant_transformer transformers[] = {{1, 2, store_v2_from_v1}};

static const struct ant_program program = {
    .abi = ANT_ABI,
    .version = 3,
    .state_version = 2,
    .name = "broken store",
    .start = broken_start,
    .request = broken_request,
    .timer = broken_timer,
    .transformers = transformers,
    .transformer_count = 1,
};

ANT_PROGRAM_EXPORT(program);
