/* A heap of times: an array in which none is earlier than that in the middle of the places before it, (n - 1) / 2. So the first is the earliest. */
#ifndef EXPIRY_H
#define EXPIRY_H

#include "store.h"

/* The one at `at`, all else being in order, goes where it belongs among those before it. */
static inline void expiry_rise(struct expiry_v2 *all, uint32_t at)
{
    struct expiry_v2 entry = all[at];
    for (; at > 0 && all[(at - 1) / 2].expire_ms > entry.expire_ms; at = (at - 1) / 2) {
        all[at] = all[(at - 1) / 2];
    }
    all[at] = entry;
}

/* ... among those behind it. */
static inline void expiry_sink(struct expiry_v2 *all, uint32_t count, uint32_t at)
{
    struct expiry_v2 entry = all[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < count && all[child + 1].expire_ms < all[child].expire_ms) {
            child++;
        }
        if (child >= count || all[child].expire_ms >= entry.expire_ms) {
            break;
        }
        all[at] = all[child];
        at = child;
    }
    all[at] = entry;
}

static inline void expiries_order(struct expiry_v2 *all, uint32_t count)
{
    for (uint32_t at = count / 2; at-- > 0;) {
        expiry_sink(all, count, at);
    }
}

#endif
