/*
 * Counts requests in its state. VERSION and STATE_VERSION are the compiler's options: from this one source come the generations of unit.load.
 */
#include "objects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct state {
    uint64_t padding[100 * STATE_VERSION]; /* another layout each */
    uint32_t (*version)(void);
    uint32_t count;
};

/* ---- constructor, destructor, thread-local variables ---- */

extern int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *dso);
extern void *__dso_handle;

static _Thread_local bool marked;

static void count_thread(void *object)
{
    (void)object;
    atomic_fetch_add(&objects.threads_over, 1);
}

/* What C++ does for a thread-local object with a destructor. */
static void mark_thread(void)
{
    if (!marked)
        __cxa_thread_atexit_impl(count_thread, &marked, &__dso_handle);
    marked = true;
}

static int one_if_no_process(void)
{
    struct ant_ica_stats stats;
    return ant_self() == 0 && ant_ica_stats(&stats) == -EPERM ? 1 : -1;
}

__attribute__((constructor)) static void construct(void)
{
    atomic_fetch_add(&objects.constructed, one_if_no_process());
}

__attribute__((destructor)) static void destruct(void)
{
    atomic_fetch_add(&objects.destructed, one_if_no_process());
}

/* ---- the program ---- */

static uint32_t version(void)
{
    return VERSION;
}

static int new_state(uint32_t count, struct state **made)
{
    void *area;
    int rc = ant_ica_alloc(1, &area);
    if (rc != 0)
        return rc;
    *made = memset(area, 0, ANT_PAGE_BYTES); /* what a former state has left there would count */
    (*made)->count = count;
    (*made)->version = objects.keeps_pointer ? version : NULL;
    return 0;
}

static int start(struct ant_server *self)
{
    const struct state *old = self->state;
    struct state *own;
    mark_thread();
    while (objects.start_spins)
        ;
    if (objects.start_result != 0 || (old && !objects.copies_state))
        return objects.start_result;
    int rc = new_state(old ? old->count : 0, &own);
    return rc ? rc : ant_state_set(own);
}

static int help(void *arg)
{
    struct ant_message message;
    (void)arg;
    mark_thread();
    return ant_receive(&message, ANT_FOREVER) == 0 && message.kind == ANT_STOP ? 0 : 1;
}

__attribute__((no_sanitize("address,undefined,thread"))) static void crash(void)
{
    static volatile int *volatile nowhere;
    *nowhere = 1;
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    struct state *own = ant_state();
    struct answer *answer = (void *)rq->payload;
    (void)self;
    mark_thread();
    own->count++;
    own->version = objects.keeps_pointer ? (own->version ? own->version : version) : NULL;
    *answer = (struct answer){VERSION, own->count, 0};
    if (rq->operation == OP_CRASH)
        crash();
    if (rq->operation == OP_HELPER && ant_process_create(NULL, help, NULL, &answer->helper) != 0)
        abort();
    if (rq->operation == OP_POINTER)
        answer->version = own->version();
    ant_reply(rq, 0);
}

/* ---- from and to the other layout ---- */

struct other {
    uint64_t padding[100 * (3 - STATE_VERSION)];
    uint32_t (*version)(void);
    uint32_t count;
};

static int transform(struct ant_server *self, const void *old_state, size_t bytes, void **state)
{
    const struct other *old = old_state;
    struct state *own;
    (void)self, (void)bytes;
    int rc = new_state(old->count, &own);
    if (rc != 0)
        return rc;
    if (!objects.copies_state)
        own->version = old->version;
    *state = own;
    return 0;
}

static const struct ant_transformer transformers[] = {{3 - STATE_VERSION, STATE_VERSION, transform}};

static const struct ant_program count = {
    .abi = ANT_ABI,
    .name = "count",
    .version = VERSION,
    .state_version = STATE_VERSION,
    .start = start,
    .request = request,
    .transformers = transformers,
    .transformer_count = 1,
};

ANT_PROGRAM_EXPORT(count);
