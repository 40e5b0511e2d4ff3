/* Version 1's index: items alone. See store.h. */
#include "store.h"

#include <errno.h>
#include <string.h>

enum { FIRST_SLOTS = 1024, LOOK_EVERY_MS = 100, LOOKS_A_ROUND = 10 };

const size_t table_state_bytes = sizeof(struct state_v1);

struct store_core *table_core(void *state)
{
    return &((struct state_v1 *)state)->core;
}

static int allocate(size_t count, struct slot_v1 **slots)
{
    void *area;
    int error = ant_ica_alloc(kvd_pages(count * sizeof **slots), &area);
    if (error == 0) {
        memset(area, 0, count * sizeof **slots);
        *slots = area;
    }
    return error;
}

static void put(struct slot_v1 *slots, uint32_t mask, struct kv_item *item)
{
    uint32_t at = (uint32_t)item->hash & mask;
    while (slots[at].item != NULL) {
        at = (at + 1) & mask;
    }
    slots[at].item = item;
}

int table_reset(void *state)
{
    struct state_v1 *s = state;
    struct slot_v1 *slots;
    int error = allocate(FIRST_SLOTS, &slots);
    if (error != 0) {
        return error;
    }
    if (s->slots != NULL) {
        (void)ant_ica_free(s->slots);
    }
    s->slots = slots;
    s->mask = FIRST_SLOTS - 1;
    s->cursor = 0;
    return 0;
}

bool table_is_tidy(const void *state)
{
    return ((const struct state_v1 *)state)->spare.count == 0;
}

void table_tidy(void *state)
{
    struct state_v1 *s = state;
    while (s->spare.count > 0) {
        (void)ant_ica_free(s->spare.areas[--s->spare.count]);
    }
}

size_t table_find(void *state, uint64_t hash, const char *key, uint32_t key_bytes)
{
    const struct state_v1 *s = state;
    for (uint32_t at = (uint32_t)hash & s->mask; s->slots[at].item != NULL; at = (at + 1) & s->mask) {
        const struct kv_item *item = s->slots[at].item;
        if (item->hash == hash && item->key_bytes == key_bytes &&
            memcmp(item->bytes, key, key_bytes) == 0) {
            return at;
        }
    }
    return TABLE_NONE;
}

struct kv_item **table_at(void *state, size_t place)
{
    return &((struct state_v1 *)state)->slots[place].item;
}

int table_reserve(void *state, bool timed)
{
    struct state_v1 *s = state;
    struct slot_v1 *slots;
    size_t count = (size_t)s->mask + 1;
    (void)timed; /* nobody keeps times */
    if (s->core.items + 1 <= count / 4 * 3) {
        return 0;
    }
    int error = allocate(count * 2, &slots);
    if (error != 0) {
        return error;
    }
    for (size_t i = 0; i < count; i++) {
        if (s->slots[i].item != NULL) {
            put(slots, (uint32_t)(count * 2 - 1), s->slots[i].item);
        }
    }
    (void)ant_ica_free(s->slots);
    s->slots = slots;
    s->mask = (uint32_t)(count * 2 - 1);
    return 0;
}

void table_add(void *state, struct kv_item *item)
{
    struct state_v1 *s = state;
    put(s->slots, s->mask, item);
}

/* Those behind it that probing would no longer find move up. */
void table_remove(void *state, size_t place)
{
    struct state_v1 *s = state;
    uint32_t gap = (uint32_t)place;
    for (uint32_t at = (gap + 1) & s->mask; s->slots[at].item != NULL; at = (at + 1) & s->mask) {
        uint32_t home = (uint32_t)s->slots[at].item->hash & s->mask;
        if (((at - home) & s->mask) >= ((at - gap) & s->mask)) {
            s->slots[gap] = s->slots[at];
            gap = at;
        }
    }
    s->slots[gap].item = NULL;
}

void table_expires(void *state, const struct kv_item *item)
{
    (void)state; /* the search will find it */
    (void)item;
}

size_t table_look_steps(void *state)
{
    return ((struct state_v1 *)state)->mask / LOOKS_A_ROUND + FIRST_SLOTS;
}

size_t table_look(void *state, uint64_t now_ms, size_t *steps)
{
    struct state_v1 *s = state;
    for (; *steps > 0; (*steps)--, s->cursor++) {
        s->cursor &= s->mask;
        const struct kv_item *item = s->slots[s->cursor].item;
        if (item != NULL && item->expire_ms != 0 && item->expire_ms <= now_ms) {
            return s->cursor;
        }
    }
    return TABLE_NONE;
}

uint64_t table_look_again(void *state, uint64_t now_ms)
{
    return ((struct state_v1 *)state)->core.timed > 0 ? now_ms + LOOK_EVERY_MS : 0;
}
