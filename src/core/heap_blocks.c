/* Objects in a heap: allocated, resized, freed. See heap.h; what it is called there: first all checks, then effects that cannot fail. */
#include "core/heap.h"

#include <assert.h>
#include <string.h>

#define GROW_LEAST_PAGES ((size_t)16)
#define GROW_MOST_PAGES ((size_t)1024)
#define NEAR_MISSES 8u /* blocks of the class below that are looked at before the heap grows */

/* ---- the lists ---- */

/* Below 16 units each length is a class of its own, in row 0; above, each power of two has a row. */
struct antk_class antk_heap_class(uint32_t units)
{
    if (units < ANTK_HEAP_CLASSES)
        return (struct antk_class){0, units};
    uint32_t power = 31 - (uint32_t)__builtin_clz(units);
    return (struct antk_class){power - 3, units >> (power - 4) & (ANTK_HEAP_CLASSES - 1)};
}

/* The shortest length that is no shorter, and with which a class begins. */
static uint32_t rounded_up(uint32_t units)
{
    if (units < ANTK_HEAP_CLASSES)
        return units;
    uint32_t step = UINT32_C(1) << (27 - (uint32_t)__builtin_clz(units));
    return (units + step - 1) & ~(step - 1);
}

static uint64_t *head_of(struct ant_heap *heap, uint32_t units)
{
    struct antk_class c = antk_heap_class(units);
    return &heap->heads[c.row][c.column];
}

void antk_heap_clear_lists(struct ant_heap *heap)
{
    heap->free_bytes = 0;
    heap->rows = 0;
    memset(heap->classes, 0, sizeof heap->classes);
    for (uint32_t row = 0; row < ANTK_HEAP_ROWS; row++)
        for (uint32_t column = 0; column < ANTK_HEAP_CLASSES; column++)
            heap->heads[row][column] = antk_link_seal(&heap->heads[row][column], NULL);
}

static struct antk_free *as_free(struct antk_block *b)
{
    return (struct antk_free *)(void *)b;
}

static bool is_free(const struct antk_block *b)
{
    return antk_block_ok(b) && antk_block_is(b, ANTK_BLOCK_FREE);
}

bool antk_block_may_list(struct ant_heap *heap, uint32_t units)
{
    uint64_t *head = head_of(heap, units);
    if (!antk_link_ok(head))
        return false;
    struct antk_free *first = antk_link_to(*head);
    return !first || (is_free(&first->block) && antk_link_ok(&first->prev));
}

bool antk_block_may_unlist(struct ant_heap *heap, struct antk_block *b)
{
    struct antk_free *f = as_free(b);
    if (!antk_link_ok(&f->next) || !antk_link_ok(&f->prev))
        return false;
    struct antk_free *next = antk_link_to(f->next), *prev = antk_link_to(f->prev);
    if (next && !(is_free(&next->block) && next->prev == antk_link_seal(&next->prev, f)))
        return false;
    uint64_t *link = prev ? &prev->next : head_of(heap, b->units);
    return (!prev || is_free(&prev->block)) && *link == antk_link_seal(link, f);
}

static void set_link(uint64_t *link, struct antk_free *to)
{
    *link = antk_link_seal(link, to);
}

void antk_block_list(struct ant_heap *heap, struct antk_block *b)
{
    struct antk_class c = antk_heap_class(b->units);
    struct antk_free *f = as_free(b), *first = antk_link_to(heap->heads[c.row][c.column]);
    set_link(&f->next, first);
    set_link(&f->prev, NULL);
    set_link(&heap->heads[c.row][c.column], f);
    if (first)
        set_link(&first->prev, f);
    heap->free_bytes += (b->units - 1) * ANTK_HEAP_UNIT;
    heap->rows |= UINT32_C(1) << c.row;
    heap->classes[c.row] |= UINT32_C(1) << c.column;
}

void antk_block_unlist(struct ant_heap *heap, struct antk_block *b)
{
    struct antk_class c = antk_heap_class(b->units);
    struct antk_free *f = as_free(b), *next = antk_link_to(f->next), *prev = antk_link_to(f->prev);
    heap->free_bytes -= (b->units - 1) * ANTK_HEAP_UNIT;
    if (next)
        set_link(&next->prev, prev);
    if (prev) {
        set_link(&prev->next, next);
        return;
    }
    set_link(&heap->heads[c.row][c.column], next);
    if (next)
        return;
    heap->classes[c.row] &= ~(UINT32_C(1) << c.column);
    if (heap->classes[c.row] == 0)
        heap->rows &= ~(UINT32_C(1) << c.row);
}

/* Of this class or above, the first that has a block. False: none has. */
static bool first_class(const struct ant_heap *heap, struct antk_class *c)
{
    uint32_t columns = heap->classes[c->row] & ~UINT32_C(0) << c->column;
    if (columns == 0) {
        uint32_t rows = heap->rows & (uint32_t)(~UINT64_C(0) << (c->row + 1));
        rows &= (UINT32_C(1) << ANTK_HEAP_ROWS) - 1;
        if (rows == 0)
            return false;
        c->row = (uint32_t)__builtin_ctz(rows);
        columns = heap->classes[c->row];
    }
    columns &= (UINT32_C(1) << ANTK_HEAP_CLASSES) - 1;
    c->column = columns ? (uint32_t)__builtin_ctz(columns)
                        : 0; /* a bitmap that is damaged leads to an empty list */
    return true;
}

/* A free block of so many units or more: *found, or NULL. -EBADMSG. */
static int find(struct ant_heap *heap, uint32_t units, struct antk_block **found)
{
    *found = NULL;
    struct antk_class c = antk_heap_class(rounded_up(units));
    if (first_class(heap, &c)) {
        if (!antk_link_ok(&heap->heads[c.row][c.column]))
            return -EBADMSG;
        struct antk_free *f = antk_link_to(heap->heads[c.row][c.column]);
        if (!f || !is_free(&f->block) || f->block.units < units)
            return -EBADMSG;
        *found = &f->block;
        return 0;
    }
    const uint64_t *link = head_of(heap, units);
    for (uint32_t tries = 0; tries < NEAR_MISSES; tries++) {
        if (!antk_link_ok(link))
            return -EBADMSG;
        struct antk_free *f = antk_link_to(*link);
        if (!f)
            break;
        if (!is_free(&f->block))
            return -EBADMSG;
        if (f->block.units >= units) {
            *found = &f->block;
            break;
        }
        link = &f->next;
    }
    return 0;
}

/* ---- blocks ---- */

void antk_block_write(struct antk_block *b, uint32_t units, uint32_t before, uint32_t use)
{
    b->units = units;
    b->use = use;
    b->before = before;
    b->check = antk_block_check(b);
}

/* The block behind it is told its length. */
static void tell_next(struct antk_block *b)
{
    struct antk_block *next = antk_block_after(b);
    antk_block_write(next, next->units, b->units, next->use);
}

void antk_segment_init(struct antk_segment *segment, struct ant_heap *heap, size_t pages)
{
    segment->heap = heap;
    segment->next = NULL;
    segment->pages = pages;
    segment->check = antk_segment_check(segment);
    struct antk_block *first = antk_segment_first(segment), *end = antk_segment_end(segment);
    antk_block_write(first, (uint32_t)(end - first), 0, ANTK_BLOCK_FREE);
    antk_block_write(end, 1, first->units, ANTK_BLOCK_END);
}

/*
 * A block that is in no list becomes that of an object; what it does not need becomes a free block, or, if that were too small for one, stays with it.
 */
static void occupy(struct ant_heap *heap, struct antk_block *b, size_t bytes)
{
    uint32_t units = antk_units_of(bytes), rest = b->units - units;
    if (rest < ANTK_BLOCK_LEAST) {
        units = b->units;
        rest = 0;
    }
    antk_block_write(b, units, b->before,
                     ANTK_BLOCK_USED | (uint32_t)((units - 1) * ANTK_HEAP_UNIT - bytes) << 8);
    if (rest > 0) {
        antk_block_write(b + units, rest, units, ANTK_BLOCK_FREE);
        antk_block_list(heap, b + units);
        tell_next(b + units);
    } else {
        tell_next(b);
    }
    heap->objects++;
    heap->object_bytes += bytes;
}

/* May a block be cut, so that the rest becomes a free one? rest: its units. */
static bool may_cut(struct ant_heap *heap, struct antk_block *b, uint32_t rest)
{
    return antk_block_ok(antk_block_after(b)) &&
           (rest < ANTK_BLOCK_LEAST || antk_block_may_list(heap, rest));
}

/* The object's block is its own no more; in no list yet. Its header, which may soon lie within a longer block, is never taken for an object's again. */
static void vacate(struct ant_heap *heap, struct antk_block *b)
{
    heap->objects--;
    heap->object_bytes -= antk_block_bytes(b);
    antk_block_write(b, b->units, b->before, ANTK_BLOCK_FREE);
}

/* What is free behind a block in no list becomes part of it. */
static void join_next(struct ant_heap *heap, struct antk_block *b)
{
    struct antk_block *next = antk_block_after(b);
    if (!antk_block_is(next, ANTK_BLOCK_FREE))
        return;
    antk_block_unlist(heap, next);
    antk_block_write(b, b->units + next->units, b->before, b->use);
    tell_next(b);
}

static uint32_t free_units(struct antk_block *b)
{
    return antk_block_is(b, ANTK_BLOCK_FREE) ? b->units : 0;
}

/* The block behind is sound, and, if it is free, can be joined. */
static bool may_join_next(struct ant_heap *heap, struct antk_block *b)
{
    struct antk_block *next = antk_block_after(b);
    if (!antk_block_ok(next))
        return false;
    return free_units(next) == 0 ||
           (antk_block_may_unlist(heap, next) && antk_block_ok(antk_block_after(next)));
}

static bool may_release(struct ant_heap *heap, struct antk_block *b)
{
    if (!may_join_next(heap, b))
        return false;
    uint32_t units = b->units + free_units(antk_block_after(b));
    if (b->before > 0) {
        struct antk_block *before = antk_block_before(b);
        if (!antk_block_ok(before) || before->units != b->before ||
            (free_units(before) > 0 && !antk_block_may_unlist(heap, before)))
            return false;
        units += free_units(before);
    }
    return antk_block_may_list(heap, units);
}

static void release(struct ant_heap *heap, struct antk_block *b)
{
    vacate(heap, b);
    join_next(heap, b);
    struct antk_block *before = b->before > 0 ? antk_block_before(b) : b;
    if (before != b && antk_block_is(before, ANTK_BLOCK_FREE)) {
        antk_block_unlist(heap, before);
        antk_block_write(before, before->units + b->units, before->before, ANTK_BLOCK_FREE);
        tell_next(before);
        b = before;
    }
    antk_block_list(heap, b);
}

/* ---- growing ---- */

/* How many pages a segment for such a block needs, and how many it shall have if there are as many: whole huge frames, if it is that large (`strict`). */
static size_t pages_for(uint32_t units)
{
    return ((size_t)units * ANTK_HEAP_UNIT + sizeof(struct antk_segment) + ANTK_HEAP_UNIT +
            ANT_PAGE_BYTES - 1) /
           ANT_PAGE_BYTES;
}

static size_t pages_wanted(const struct ant_heap *heap, size_t least)
{
    size_t pages = heap->pages;
    if (pages < GROW_LEAST_PAGES)
        pages = GROW_LEAST_PAGES;
    if (pages > GROW_MOST_PAGES)
        pages = GROW_MOST_PAGES;
    if (pages < least)
        pages = least;
    return pages < ANTK_HUGE_FROM ? pages
                                  : (pages + ANTK_HUGE_PAGES - 1) / ANTK_HUGE_PAGES * ANTK_HUGE_PAGES;
}

static int take_area(struct antk_body *self, const struct ant_heap *heap, size_t least,
                     size_t *pages, uint32_t *frame)
{
    size_t wanted = pages_wanted(heap, least);
    for (;;) {
        int rc = antk_area_new(self->endpoint, wanted, self->incarnation, frame);
        if (rc != -ENOMEM || wanted == least) {
            *pages = wanted;
            return rc;
        }
        wanted = wanted / 2 > least ? wanted / 2 : least;
    }
}

/* By a segment that has room for so many units: all of its room, in no list. -ENOMEM, -EBADMSG. */
static int grow(struct antk_body *self, struct ant_heap *heap, uint32_t units, struct antk_block **block)
{
    struct antk_endpoint *ep = self->endpoint;
    size_t least = pages_for(units), pages;
    struct antk_segment *last = &heap->segment;
    if (!antk_heap_has_its_segments(self, heap))
        return -EBADMSG;
    while (last->next)
        last = last->next;
    uint32_t frame;
    int rc = take_area(self, heap, least, &pages, &frame);
    if (rc != 0)
        return rc;
    struct antk_segment *segment = antk_area_address(&ep->window, frame);
    memset(segment, 0, pages * ANT_PAGE_BYTES); /* of a heap that lay there before, headers of objects may be left */
    antk_segment_init(segment, heap, pages);
    *block = antk_segment_first(segment);
    if (!may_cut(heap, *block, (*block)->units - units)) {
        antk_area_drop(ep, frame);
        return -EBADMSG;
    }
    last->next = segment;
    last->check = antk_segment_check(last);
    heap->segments++;
    heap->pages += pages;
    return 0;
}

/* ---- the calls ---- */

static bool bytes_ok(const struct antk_body *self, size_t bytes)
{
    return bytes > 0 && bytes <= self->core->config.pool_bytes && bytes <= ANTK_HEAP_MOST;
}

/* A block for so many bytes, which is occupied then. */
static int obtain(struct antk_body *self, struct ant_heap *heap, size_t bytes, struct antk_block **block)
{
    uint32_t units = antk_units_of(bytes);
    int rc = find(heap, units, block);
    if (rc != 0)
        return rc;
    if (*block) {
        if (!antk_block_may_unlist(heap, *block) || !may_cut(heap, *block, (*block)->units - units))
            return -EBADMSG;
        antk_block_unlist(heap, *block);
    } else {
        rc = grow(self, heap, units, block);
        if (rc != 0)
            return rc;
    }
    occupy(heap, *block, bytes);
    memset(*block + 1, 0, ((*block)->units - 1) * ANTK_HEAP_UNIT);
    return 0;
}

int ant_heap_alloc(struct ant_heap *heap, size_t bytes, void **object)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!object || !bytes_ok(self, bytes))
        return -EINVAL;
    int rc = antk_heap_own(self, heap);
    if (rc != 0)
        return rc;
    struct antk_block *block;
    rc = obtain(self, heap, bytes, &block);
    if (rc == 0)
        *object = block + 1;
    return rc;
}

/* Longer or shorter where it is, with what is free behind it. */
static void resize_here(struct ant_heap *heap, struct antk_block *b, size_t bytes)
{
    size_t former = antk_block_bytes(b);
    vacate(heap, b);
    join_next(heap, b);
    occupy(heap, b, bytes);
    if (bytes > former)
        memset((char *)(b + 1) + former, 0, (b->units - 1) * ANTK_HEAP_UNIT - former);
}

static int resize(struct antk_body *self, struct ant_heap *heap, size_t bytes, struct antk_block **block)
{
    struct antk_block *b = *block, *other;
    uint32_t units = antk_units_of(bytes);
    if (!may_join_next(heap, b))
        return -EBADMSG;
    uint32_t room = b->units + free_units(antk_block_after(b));
    if (units <= room) {
        if (room - units >= ANTK_BLOCK_LEAST && !antk_block_may_list(heap, room - units))
            return -EBADMSG;
        resize_here(heap, b, bytes);
        return 0;
    }
    int rc = obtain(self, heap, bytes, &other);
    if (rc != 0)
        return rc;
    if (!may_release(heap, b)) { /* its neighbours may be others now, so not before */
        if (may_release(heap, other))
            release(heap, other);
        return -EBADMSG;
    }
    size_t former = antk_block_bytes(b);
    memcpy(other + 1, b + 1, former < bytes ? former : bytes);
    if (heap->root == b + 1)
        heap->root = other + 1;
    release(heap, b);
    *block = other;
    return 0;
}

int ant_heap_resize(struct ant_heap *heap, size_t bytes, void **object)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!object || !bytes_ok(self, bytes))
        return -EINVAL;
    int rc = antk_heap_own(self, heap);
    if (rc != 0)
        return rc;
    struct antk_block *block;
    if (*object)
        rc = antk_heap_object(self, heap, *object, &block);
    if (rc == 0)
        rc = *object ? resize(self, heap, bytes, &block) : obtain(self, heap, bytes, &block);
    if (rc == 0)
        *object = block + 1;
    return rc;
}

int ant_heap_free(struct ant_heap *heap, void *object)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    int rc = antk_heap_own(self, heap);
    if (rc != 0 || !object)
        return rc;
    struct antk_block *block;
    rc = antk_heap_object(self, heap, object, &block);
    if (rc != 0)
        return rc;
    if (!may_release(heap, block))
        return -EBADMSG;
    if (heap->root == object)
        heap->root = NULL;
    release(heap, block);
    return 0;
}
