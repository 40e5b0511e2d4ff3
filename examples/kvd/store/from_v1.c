/* From version 1's state to version 2's: version 2 uses it, and the broken one. */
#include "expiry.h"
#include "store.h"

#include <errno.h>

/* Room for the times: twice as many as there are, in a power of two. */
static uint32_t room_for(uint64_t timed)
{
    uint32_t room = 256;
    while (room < 2 * timed) {
        room *= 2;
    }
    return room;
}

int store_v2_from_v1(struct ant_server *self, const void *old_state, size_t old_bytes, void **new_state)
{
    const struct state_v1 *old = old_state;
    const uint32_t room = room_for(old->core.timed);
    struct state_v2 *state;
    void *area, *slots, *expiries;
    (void)self;
    (void)old_bytes;
    if (old->spare.count + 1 > SPARE_AREAS) {
        return -EAGAIN; /* swapped again and again, so soon that not one callback has come between */
    }
    int error = ant_ica_alloc(kvd_pages(sizeof *state), &area);
    if (error == 0) {
        error = ant_ica_alloc(kvd_pages(((size_t)old->mask + 1) * sizeof *state->slots), &slots);
    }
    if (error == 0) {
        error = ant_ica_alloc(kvd_pages(room * sizeof *state->expiries), &expiries);
    }
    if (error != 0) {
        return error; /* the inner core frees what was allocated */
    }
    state = area;
    *state = (struct state_v2){
        .slots = slots,
        .expiries = expiries,
        .mask = old->mask,
        .expiry_room = room,
        .spare = old->spare,
        .core = old->core,
    };
    for (size_t i = 0; i <= old->mask; i++) {
        struct kv_item *item = old->slots[i].item;
        state->slots[i] = (struct slot_v2){item != NULL ? item->hash : 0, item};
        if (item != NULL && item->expire_ms != 0) {
            state->expiries[state->expiry_count++] = (struct expiry_v2){item->expire_ms, item->hash};
        }
    }
    expiries_order(state->expiries, state->expiry_count);
    state->spare.areas[state->spare.count++] = old->slots;
    *new_state = state;
    return 0;
}
