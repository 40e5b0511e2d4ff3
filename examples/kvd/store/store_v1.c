/* Version 1 of the store, and how it takes over version 2's state. See store.h. */
#include "store.h"

#include <ant/load.h>
#include <errno.h>

/* Places are the same in both, so the items are where they have to be, without a look at any of them. The items themselves pass with their heap. */
static int from_v2(struct ant_server *self, const void *old_state, size_t old_bytes, void **new_state)
{
    const struct state_v2 *old = old_state;
    struct state_v1 *state;
    void *area, *slots;
    (void)self;
    (void)old_bytes;
    if (old->spare.count + 2 > SPARE_AREAS) {
        return -EAGAIN; /* swapped again and again, so soon that not one callback has come between */
    }
    int error = ant_ica_alloc(kvd_pages(sizeof *state), &area);
    if (error == 0) {
        error = ant_ica_alloc(kvd_pages(((size_t)old->mask + 1) * sizeof *state->slots), &slots);
    }
    if (error != 0) {
        return error; /* the inner core frees what was allocated */
    }
    state = area;
    *state =
        (struct state_v1){.core = old->core, .mask = old->mask, .slots = slots, .spare = old->spare};
    for (size_t i = 0; i <= old->mask; i++) {
        state->slots[i].item = old->slots[i].item;
    }
    state->spare.areas[state->spare.count++] = old->slots;
    if (old->expiries != NULL) {
        state->spare.areas[state->spare.count++] = old->expiries;
    }
    *new_state = state;
    return 0;
}

static const struct ant_transformer transformers[] = {{2, 1, from_v2}};

static const struct ant_program program = {
    .abi = ANT_ABI,
    .version = 1,
    .state_version = 1,
    .name = "store",
    .prepare = store_prepare,
    .dispose = store_dispose,
    .start = store_start,
    .request = store_request,
    .timer = store_timer,
    .transformers = transformers,
    .transformer_count = 1,
};

ANT_PROGRAM_EXPORT(program);
