/*
 * Compaction of a heap, by sliding: every object goes to the lowest place that is left, in the order in which they lie.
 *
 * While the program tells where its pointers are, nothing changes. Then all that it has told is checked; and then, in one go that nothing interrupts, a place is
 * planned for each object and written into its header, the pointers are changed where they are, and the objects slide. An object never goes up, and where
 * it goes to, everything has left.
 */
#include "core/heap.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct antk_compaction {
    char **pointers; /* where they are */
    size_t count, capacity;
    int error; /* of ant_heap_moved, the first; 0: none */
};

/* ---- what the program tells ---- */

static int grow(struct antk_compaction *c)
{
    size_t capacity = c->capacity > 0 ? 2 * c->capacity : 512;
    char **pointers = malloc(capacity * sizeof *pointers);
    if (!pointers)
        return -ENOMEM;
    if (c->count > 0)
        memcpy(pointers, c->pointers, c->count * sizeof *pointers);
    free(c->pointers);
    c->pointers = pointers;
    c->capacity = capacity;
    return 0;
}

static void *load(const char *pointer) /* it may lie anywhere */
{
    void *object;
    memcpy(&object, pointer, sizeof object);
    return object;
}

static int note(struct antk_body *self, struct ant_heap *heap, char *pointer, const void *object)
{
    struct antk_compaction *c = heap->compaction;
    struct antk_block *block;
    int rc = antk_heap_object(self, heap, object, &block);
    if (rc == 0 && c->count == c->capacity)
        rc = grow(c);
    if (rc == 0)
        c->pointers[c->count++] = pointer;
    return rc;
}

int ant_heap_moved(struct ant_heap *heap, void *pointer)
{
    const void *object = pointer ? load(pointer) : NULL;
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    int rc = antk_heap_own(self, heap);
    if (rc != -EBUSY)
        return rc != 0 ? rc : -EINVAL;
    rc = !pointer ? -EINVAL : object ? note(self, heap, pointer, object) : 0;
    if (rc != 0 && heap->compaction->error == 0)
        heap->compaction->error = rc;
    return rc;
}

/* ---- is it consistent? ---- */

static int by_address(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return (x > y) - (x < y);
}

static int check_distinct(const struct antk_compaction *c)
{
    for (size_t i = 1; i < c->count; i++)
        if (c->pointers[i] - c->pointers[i - 1] < (ptrdiff_t)sizeof(void *))
            return -EEXIST;
    return 0;
}

/* Pointers that lie in this segment lie in its objects. at: the first one that does not lie before it; goes behind it. */
static int check_places(const struct antk_compaction *c, struct antk_segment *segment, size_t *at)
{
    char *limit = (char *)segment + segment->pages * ANT_PAGE_BYTES;
    struct antk_block *b = antk_segment_first(segment), *end = antk_segment_end(segment);
    for (; *at < c->count && c->pointers[*at] < limit; ++*at) {
        char *pointer = c->pointers[*at];
        while (b != end && (char *)antk_block_after(b) <= pointer)
            b = antk_block_after(b);
        char *object = (char *)(b + 1);
        if (b == end || !antk_block_is(b, ANTK_BLOCK_USED) || pointer < object ||
            pointer + sizeof(void *) > object + antk_block_bytes(b))
            return -EINVAL;
    }
    return 0;
}

static size_t first_not_before(const struct antk_compaction *c, const char *address)
{
    size_t low = 0, high = c->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->pointers[middle] + sizeof(void *) <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int check_told(struct antk_body *self, struct ant_heap *heap)
{
    struct antk_compaction *c = heap->compaction;
    if (c->count > 0)
        qsort(c->pointers, c->count, sizeof *c->pointers, by_address);
    int rc = check_distinct(c);
    for (struct antk_segment *segment = &heap->segment; rc == 0 && segment; segment = segment->next) {
        size_t at = first_not_before(c, (const char *)segment);
        rc = check_places(c, segment, &at);
    }
    struct antk_block *block;
    for (size_t i = 0; rc == 0 && i < c->count; i++) /* once more: trace may have written to them */
        rc = antk_heap_object(self, heap, load(c->pointers[i]), &block);
    return rc;
}

/* ---- places ---- */

/* Where the next object goes. The plan and the slide go the same way. */
struct place {
    struct antk_segment *segment;
    struct antk_block *to;
    uint32_t before; /* the units of the block before it */
};

static struct place place_in(struct antk_segment *segment)
{
    return (struct place){segment, antk_segment_first(segment), 0};
}

static uint32_t room_at(const struct place *p)
{
    return (uint32_t)(antk_segment_end(p->segment) - p->to);
}

/* The units that it will have there: one more, if that were left over at the end. */
static uint32_t units_at(const struct place *p, size_t bytes)
{
    uint32_t units = antk_units_of(bytes), rest = room_at(p) - units;
    return rest < ANTK_BLOCK_LEAST ? units + rest : units;
}

static void go_behind(struct place *p, uint32_t units)
{
    p->to += units;
    p->before = units;
}

static void plan(struct ant_heap *heap)
{
    struct place p = place_in(&heap->segment);
    for (struct antk_segment *s = &heap->segment; s; s = s->next) {
        for (struct antk_block *b = antk_segment_first(s), *end = antk_segment_end(s); b != end;
             b = antk_block_after(b)) {
            if (!antk_block_is(b, ANTK_BLOCK_USED))
                continue;
            while (room_at(&p) < antk_units_of(antk_block_bytes(b)))
                p = place_in(p.segment->next);
            b->moves_to = p.to;
            go_behind(&p, units_at(&p, antk_block_bytes(b)));
        }
    }
}

static void *moved(const void *object)
{
    return ((const struct antk_block *)object - 1)->moves_to + 1;
}

static void change_pointers(struct ant_heap *heap)
{
    struct antk_compaction *c = heap->compaction;
    for (size_t i = 0; i < c->count; i++) {
        void *object = moved(load(c->pointers[i]));
        memcpy(c->pointers[i], &object, sizeof object);
    }
    if (heap->root)
        heap->root = moved(heap->root);
}

/* Nothing more goes to this segment: what is left of it is one free block. (Former headers in it have had their check overwritten by where the object went.) */
static void close_segment(struct ant_heap *heap, struct place *p)
{
    uint32_t room = room_at(p);
    if (room > 0) {
        antk_block_write(p->to, room, p->before, ANTK_BLOCK_FREE);
        antk_block_list(heap, p->to);
        go_behind(p, room);
    }
    antk_block_write(p->to, 1, p->before, ANTK_BLOCK_END);
}

static void slide_one(struct place *p, struct antk_block *b, size_t bytes)
{
    uint32_t units = units_at(p, bytes);
    size_t slack = (units - 1) * ANTK_HEAP_UNIT - bytes;
    memmove(p->to + 1, b + 1, bytes);
    memset((char *)(p->to + 1) + bytes, 0, slack);
    antk_block_write(p->to, units, p->before, ANTK_BLOCK_USED | (uint32_t)slack << 8);
    go_behind(p, units);
}

static void slide(struct ant_heap *heap)
{
    struct place p = place_in(&heap->segment);
    antk_heap_clear_lists(heap);
    for (struct antk_segment *s = &heap->segment; s; s = s->next) {
        struct antk_block *b = antk_segment_first(s), *end = antk_segment_end(s), *next;
        for (; b != end; b = next) {
            next = antk_block_after(b); /* its header may be gone then */
            if (!antk_block_is(b, ANTK_BLOCK_USED))
                continue;
            while (room_at(&p) < antk_units_of(antk_block_bytes(b))) {
                struct antk_segment *after = p.segment->next;
                close_segment(heap, &p);
                p = place_in(after);
            }
            assert(p.to == b->moves_to);
            slide_one(&p, b, antk_block_bytes(b));
        }
    }
    for (struct antk_segment *s = p.segment; s;) {
        s = p.segment->next;
        close_segment(heap, &p);
        if (s)
            p = place_in(s);
    }
}

/* ---- the call ---- */

static int tell(struct antk_body *self, struct ant_heap *heap,
                void (*trace)(struct ant_heap *heap, void *context), void *context)
{
    antk_go_outside(self);
    trace(heap, context);
    antk_come_back(self);
    int rc = heap->compaction->error;
    return rc == 0 ? antk_heap_check(self, heap, NULL) : rc;
}

int ant_heap_compact(struct ant_heap *heap, void (*trace)(struct ant_heap *heap, void *context),
                     void *context)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!trace)
        return -EINVAL;
    int rc = antk_heap_own(self, heap);
    if (rc == 0)
        rc = antk_heap_check(self, heap, NULL);
    if (rc != 0)
        return rc;
    struct antk_compaction compaction = {.count = 0};
    heap->compaction = &compaction;
    heap->incarnation = self->incarnation;
    rc = tell(self, heap, trace, context);
    if (rc == 0)
        rc = check_told(self, heap);
    if (rc == 0) {
        plan(heap);
        change_pointers(heap);
        slide(heap);
        rc = antk_heap_give_back(self, heap);
    }
    heap->compaction = NULL;
    free(compaction.pointers);
    return rc;
}
