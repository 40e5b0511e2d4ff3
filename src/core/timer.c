/*
 * Timers of a server: see timer.h.
 *
 * heap[0] is the next to expire; each entry knows its slot in the table, and the table each entry's place in the heap. The table has twice as many slots as the
 * heap has places, is probed linearly, and holds place + 1; 0 is a free slot.
 */
#include "core/timer.h"

#include "core/candidate.h"
#include "core/direct.h"
#include "core/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    uint64_t at_ns, period_ns;
    uint64_t number; /* of the setting: equals expire in that order */
    uint32_t id;
    uint32_t slot;
};

struct antk_timers {
    uint32_t count, capacity; /* a power of two */
    uint64_t number;
    struct entry *heap;
    uint32_t *table;
};

/* ---- the table ---- */

static uint32_t mask_of(const struct antk_timers *t)
{
    return 2 * t->capacity - 1;
}

static uint32_t home_of(const struct antk_timers *t, uint32_t id)
{
    return (uint32_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & mask_of(t);
}

/* Where it is, or the free slot where it would be. */
static uint32_t slot_of(const struct antk_timers *t, uint32_t id)
{
    uint32_t slot = home_of(t, id);
    while (t->table[slot] != 0 && t->heap[t->table[slot] - 1].id != id)
        slot = (slot + 1) & mask_of(t);
    return slot;
}

/* Those behind it that would not be found any more move up. */
static void free_slot(struct antk_timers *t, uint32_t gap)
{
    for (uint32_t slot = gap;;) {
        slot = (slot + 1) & mask_of(t);
        if (t->table[slot] == 0)
            break;
        struct entry *e = &t->heap[t->table[slot] - 1];
        uint32_t home = home_of(t, e->id);
        if (((slot - home) & mask_of(t)) < ((slot - gap) & mask_of(t)))
            continue;
        t->table[gap] = t->table[slot];
        e->slot = gap;
        gap = slot;
    }
    t->table[gap] = 0;
}

/* ---- the heap ---- */

static bool before(const struct entry *a, const struct entry *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->number < b->number;
}

static void place(struct antk_timers *t, uint32_t at, const struct entry *e)
{
    t->heap[at] = *e;
    t->table[e->slot] = at + 1;
}

/* An entry goes to where it belongs, from a place that is its own to give up. */
static void sift(struct antk_timers *t, uint32_t at, struct entry e)
{
    while (at > 0 && before(&e, &t->heap[(at - 1) / 2])) {
        place(t, at, &t->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < t->count && before(&t->heap[child + 1], &t->heap[child]))
            child++;
        if (child >= t->count || before(&e, &t->heap[child]))
            break;
        place(t, at, &t->heap[child]);
        at = child;
    }
    place(t, at, &e);
}

static void take_out(struct antk_timers *t, uint32_t at)
{
    free_slot(t, t->heap[at].slot);
    struct entry last = t->heap[--t->count];
    if (at < t->count)
        sift(t, at, last);
}

/* ---- the set ---- */

void antk_timers_destroy(struct antk_timers *t)
{
    if (!t)
        return;
    free(t->heap);
    free(t->table);
    free(t);
}

static struct antk_timers *create(uint32_t capacity)
{
    struct antk_timers *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->capacity = capacity;
    t->heap = malloc(capacity * sizeof *t->heap);
    t->table = calloc(2 * (size_t)capacity, sizeof *t->table);
    if (t->heap && t->table)
        return t;
    antk_timers_destroy(t);
    return NULL;
}

/* from: NULL is an empty one. */
static struct antk_timers *copy(const struct antk_timers *from)
{
    struct antk_timers *t = create(from ? from->capacity : 8);
    if (!t || !from)
        return t;
    t->number = from->number;
    t->count = from->count;
    memcpy(t->heap, from->heap, from->count * sizeof *t->heap);
    memcpy(t->table, from->table, 2 * (size_t)from->capacity * sizeof *t->table);
    return t;
}

static int grow(struct antk_timers *t)
{
    struct antk_timers *larger = create(2 * t->capacity), former = *t;
    if (!larger)
        return -ENOMEM;
    for (uint32_t i = 0; i < t->count; i++) {
        struct entry e = t->heap[i];
        larger->count++;
        e.slot = slot_of(larger, e.id);
        place(larger, i, &e);
    }
    larger->number = t->number;
    *t = *larger;
    *larger = former;
    antk_timers_destroy(larger);
    return 0;
}

static int set(struct antk_timers *t, uint32_t id, uint64_t at_ns, uint64_t period_ns)
{
    uint32_t slot = slot_of(t, id);
    if (t->table[slot] == 0 && t->count == ANT_TIMERS_MAX)
        return -ENOSPC;
    if (t->table[slot] == 0 && t->count == t->capacity) {
        int rc = grow(t);
        if (rc != 0)
            return rc;
        slot = slot_of(t, id);
    }
    uint32_t at = t->table[slot] ? t->table[slot] - 1 : t->count++;
    sift(t, at, (struct entry){at_ns, period_ns, t->number++, id, slot});
    return 0;
}

bool antk_timers_any(const struct antk_timers *t)
{
    return t && t->count > 0;
}

uint64_t antk_timers_next(const struct antk_timers *t)
{
    return t && t->count > 0 ? t->heap[0].at_ns : ANTK_NEVER;
}

uint32_t antk_timers_expire(struct antk_timers *t, uint64_t now_ns, uint64_t *expirations)
{
    struct entry e = t->heap[0];
    *expirations = 1;
    if (e.period_ns == 0) {
        take_out(t, 0);
        return e.id;
    }
    uint64_t missed = (now_ns - e.at_ns) / e.period_ns;
    *expirations += missed;
    e.at_ns += missed * e.period_ns; /* not after now */
    e.at_ns = e.period_ns < ANTK_NEVER - e.at_ns ? e.at_ns + e.period_ns : ANTK_NEVER;
    e.number = t->number++;
    sift(t, 0, e);
    return e.id;
}

/* ---- the calls ---- */

/* A new server sees its predecessor's, until it has changed anything; the lock is held then: it goes with unsee. */
static struct antk_timers *see(struct antk_body *self)
{
    struct antk_candidate *c = self->candidate;
    if (c && !c->own_timers)
        antk_loop_lock_inherited(c);
    return c && c->own_timers ? c->timers : self->endpoint->timers;
}

static void unsee(struct antk_body *self)
{
    if (self->candidate && !self->candidate->own_timers)
        antk_unlock(&self->endpoint->lock);
}

/* What the caller may change: a new server, in `start`, a copy. NULL: no memory. */
static struct antk_timers *timers_to_change(struct antk_body *self)
{
    struct antk_candidate *c = self->candidate;
    struct antk_timers *t = see(self);
    if (c ? c->own_timers : t != NULL)
        return t;
    t = copy(c && !c->disinherited ? t : NULL);
    unsee(self);
    if (t && c) {
        c->timers = t;
        c->own_timers = true;
    } else if (t) {
        antk_loop_adopt(self->endpoint, NULL, t);
    }
    return t;
}

int ant_timer_set(uint32_t id, uint64_t at_ns, uint64_t period_ns)
{
    ANTK_ENTER(self);
    if (!self || antk_is_preparing(self))
        return -EPERM;
    if (!self->server.program || !self->server.program->timer)
        return -EINVAL;
    struct antk_timers *t = timers_to_change(self);
    if (!t)
        return -ENOMEM;
    uint64_t now_ns = antk_now(self->machine);
    int rc = set(t, id, at_ns > now_ns ? at_ns : now_ns, period_ns);
    antk_loop_changed(self);
    return rc;
}

int ant_timer_cancel(uint32_t id)
{
    ANTK_ENTER(self);
    if (!self || antk_is_preparing(self))
        return -EPERM;
    struct antk_timers *t = see(self);
    bool found = t && t->table[slot_of(t, id)] != 0;
    unsee(self);
    if (!found)
        return -ENOENT;
    t = timers_to_change(self);
    if (!t)
        return -ENOMEM;
    uint32_t place = t->table[slot_of(t, id)];
    if (place != 0) /* else it was one that is not inherited */
        take_out(t, place - 1);
    return 0;
}

int ant_timer_list(struct ant_timer *items, size_t capacity, size_t *count)
{
    ANTK_ENTER(self);
    if (!self || antk_is_preparing(self))
        return -EPERM;
    if (!count || (!items && capacity > 0))
        return -EINVAL;
    const struct antk_timers *t = see(self);
    size_t some = t ? t->count : 0;
    for (size_t i = 0; i < some && i < capacity; i++)
        items[i] = (struct ant_timer){t->heap[i].id, t->heap[i].at_ns, t->heap[i].period_ns};
    unsee(self);
    *count = some;
    return 0;
}
