/* Version 2's index: hashes beside the items, and a heap of times. See store.h. */
#include "expiry.h"
#include "store.h"

#include <errno.h>
#include <string.h>

enum { FIRST_SLOTS = 1024, FIRST_EXPIRIES = 256, LOOK_STEPS = 4096 };

const size_t table_state_bytes = sizeof(struct state_v2);

struct store_core *table_core(void *state)
{
    return &((struct state_v2 *)state)->core;
}

static int allocate(size_t count, struct slot_v2 **slots)
{
    void *area;
    int error = ant_ica_alloc(kvd_pages(count * sizeof **slots), &area);
    if (error == 0) {
        memset(area, 0, count * sizeof **slots);
        *slots = area;
    }
    return error;
}

static void put(struct slot_v2 *slots, uint32_t mask, struct slot_v2 slot)
{
    uint32_t at = (uint32_t)slot.hash & mask;
    while (slots[at].item != NULL) {
        at = (at + 1) & mask;
    }
    slots[at] = slot;
}

int table_reset(void *state)
{
    struct state_v2 *s = state;
    struct slot_v2 *slots;
    int error = allocate(FIRST_SLOTS, &slots);
    if (error != 0) {
        return error;
    }
    if (s->slots != NULL) {
        (void)ant_ica_free(s->slots);
    }
    s->slots = slots;
    s->mask = FIRST_SLOTS - 1;
    s->expiry_count = 0;
    return 0;
}

bool table_is_tidy(const void *state)
{
    return ((const struct state_v2 *)state)->spare.count == 0;
}

void table_tidy(void *state)
{
    struct state_v2 *s = state;
    while (s->spare.count > 0) {
        (void)ant_ica_free(s->spare.areas[--s->spare.count]);
    }
}

size_t table_find(void *state, uint64_t hash, const char *key, uint32_t key_bytes)
{
    const struct state_v2 *s = state;
    for (uint32_t at = (uint32_t)hash & s->mask; s->slots[at].item != NULL; at = (at + 1) & s->mask) {
        const struct kv_item *item = s->slots[at].item;
        if (s->slots[at].hash == hash && item->key_bytes == key_bytes &&
            memcmp(item->bytes, key, key_bytes) == 0) {
            return at;
        }
    }
    return TABLE_NONE;
}

struct kv_item **table_at(void *state, size_t place)
{
    return &((struct state_v2 *)state)->slots[place].item;
}

/* --- Times -------------------------------------------------------------------------------------------------------------- */

/* Entries of items that are gone, or expire at another time by now, are most of them: only the others are kept. */
static void collect(struct state_v2 *s, struct expiry_v2 *all)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i <= s->mask; i++) {
        const struct kv_item *item = s->slots[i].item;
        if (item != NULL && item->expire_ms != 0) {
            all[count++] = (struct expiry_v2){item->expire_ms, item->hash};
        }
    }
    expiries_order(all, count);
    s->expiry_count = count;
}

static int reserve_expiry(struct state_v2 *s)
{
    void *area;
    if (s->expiry_count < s->expiry_room) {
        return 0;
    }
    if (s->core.timed < s->expiry_room / 2) {
        collect(s, s->expiries);
        return 0;
    }
    uint32_t room = s->expiry_room == 0 ? FIRST_EXPIRIES : s->expiry_room * 2;
    int error = ant_ica_alloc(kvd_pages(room * sizeof *s->expiries), &area);
    if (error != 0) {
        return error;
    }
    if (s->expiries != NULL) {
        memcpy(area, s->expiries, s->expiry_count * sizeof *s->expiries);
        (void)ant_ica_free(s->expiries);
    }
    s->expiries = area;
    s->expiry_room = room;
    return 0;
}

void table_expires(void *state, const struct kv_item *item)
{
    struct state_v2 *s = state;
    s->expiries[s->expiry_count] = (struct expiry_v2){item->expire_ms, item->hash};
    expiry_rise(s->expiries, s->expiry_count++);
}

size_t table_look_steps(void *state)
{
    (void)state;
    return LOOK_STEPS;
}

/* Where an item with this hash is whose time has come. (Two keys can have one hash: then both have entries.) */
static size_t due(const struct state_v2 *s, uint64_t hash, uint64_t now_ms)
{
    for (uint32_t at = (uint32_t)hash & s->mask; s->slots[at].item != NULL; at = (at + 1) & s->mask) {
        const struct kv_item *item = s->slots[at].item;
        if (s->slots[at].hash == hash && item->expire_ms != 0 && item->expire_ms <= now_ms) {
            return at;
        }
    }
    return TABLE_NONE;
}

size_t table_look(void *state, uint64_t now_ms, size_t *steps)
{
    struct state_v2 *s = state;
    size_t place = TABLE_NONE;
    for (; place == TABLE_NONE && *steps > 0; (*steps)--) {
        if (s->expiry_count == 0 || s->expiries[0].expire_ms > now_ms) {
            break;
        }
        place = due(s, s->expiries[0].hash, now_ms);
        s->expiries[0] = s->expiries[--s->expiry_count];
        expiry_sink(s->expiries, s->expiry_count, 0);
    }
    return place;
}

uint64_t table_look_again(void *state, uint64_t now_ms)
{
    const struct state_v2 *s = state;
    (void)now_ms;
    return s->expiry_count > 0 ? s->expiries[0].expire_ms : 0;
}

/* --- Changes ------------------------------------------------------------------------------------------------------------ */

int table_reserve(void *state, bool timed)
{
    struct state_v2 *s = state;
    struct slot_v2 *slots;
    size_t count = (size_t)s->mask + 1;
    int error = timed ? reserve_expiry(s) : 0;
    if (error != 0 || s->core.items + 1 <= count / 4 * 3) {
        return error;
    }
    error = allocate(count * 2, &slots);
    if (error != 0) {
        return error;
    }
    for (size_t i = 0; i < count; i++) {
        if (s->slots[i].item != NULL) {
            put(slots, (uint32_t)(count * 2 - 1), s->slots[i]);
        }
    }
    (void)ant_ica_free(s->slots);
    s->slots = slots;
    s->mask = (uint32_t)(count * 2 - 1);
    return 0;
}

void table_add(void *state, struct kv_item *item)
{
    struct state_v2 *s = state;
    put(s->slots, s->mask, (struct slot_v2){item->hash, item});
}

/* Those behind it that probing would no longer find move up. */
void table_remove(void *state, size_t place)
{
    struct state_v2 *s = state;
    uint32_t gap = (uint32_t)place;
    for (uint32_t at = (gap + 1) & s->mask; s->slots[at].item != NULL; at = (at + 1) & s->mask) {
        uint32_t home = (uint32_t)s->slots[at].hash & s->mask;
        if (((at - home) & s->mask) >= ((at - gap) & s->mask)) {
            s->slots[gap] = s->slots[at];
            gap = at;
        }
    }
    s->slots[gap].item = NULL;
}
