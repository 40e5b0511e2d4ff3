/* Heaps: made, found again, freed, and what they are asked. Their objects are in heap_blocks.c; how all of it lies in memory, in heap.h. */
#include "core/heap.h"

#include "core/loop.h"

#include <string.h>

/* ---- is it one? ---- */

static bool is_heap(const struct ant_heap *heap)
{
    return heap->magic == antk_heap_magic(heap) && heap->segment.heap == heap;
}

/* ... whose header is that of this area, in this layout. */
static bool is_sound(struct antk_endpoint *ep, const struct ant_heap *heap, uint32_t frame)
{
    return heap->layout == ANTK_HEAP_LAYOUT && antk_heap_segment_frame(ep, heap, &heap->segment) == frame;
}

int antk_heap_own(struct antk_body *self, struct ant_heap *heap)
{
    uint32_t frame;
    int rc = antk_own_area(self, heap, &frame);
    if (rc != 0)
        return rc;
    if (!is_heap(heap))
        return -EINVAL;
    if (heap->layout != ANTK_HEAP_LAYOUT)
        return -EBADMSG;
    bool busy = heap->compaction &&
                heap->incarnation == self->incarnation; /* of a body that died meanwhile it is none */
    return busy ? -EBUSY : 0;
}

/* ... or its predecessor's, to be looked at. */
static int here(struct antk_body *self, const struct ant_heap *heap)
{
    uint32_t frame;
    int rc = antk_find_here(self, heap, &frame);
    if (rc != 0)
        return rc;
    if (!is_heap(heap))
        return -EINVAL;
    return is_sound(self->endpoint, heap, frame) ? 0 : -EBADMSG;
}

/*
 * A new server looks at its predecessor's: as long as it has that one's lock, the swap is not rolled back, so nobody goes on and frees what is looked at. Not with one that has
 * been given up: it leaves.
 */
static void hold_still(struct antk_body *self)
{
    if (self->candidate)
        antk_loop_lock_inherited(self->candidate);
}

static void let_go(struct antk_body *self)
{
    if (self->candidate)
        antk_unlock(&self->endpoint->lock);
}

/* ---- segments ---- */

uint32_t antk_heap_segment_frame(struct antk_endpoint *ep, const struct ant_heap *heap,
                                 const struct antk_segment *segment)
{
    struct antk_core *core = ep->core;
    uint32_t frame;
    if (antk_area_find(core->pool, &ep->window, segment, &frame) != 0 ||
        antk_tag_state(atomic_load(&antk_record(core, frame)->tag)) != ANTK_PLAIN)
        return ANTK_NO_FRAME;
    bool is = segment->heap == heap && segment->check == antk_segment_check(segment) &&
              segment->pages == antk_pool_area(core->pool, frame)->pages;
    return is ? frame : ANTK_NO_FRAME;
}

uint32_t antk_heap_area_after(struct antk_endpoint *ep, uint32_t state, uint32_t frame)
{
    const struct ant_heap *heap = antk_area_address(&ep->window, state);
    const struct antk_segment *segment = antk_area_address(&ep->window, frame);
    if (frame == state && (!is_heap(heap) || heap->layout != ANTK_HEAP_LAYOUT ||
                           segment->check != antk_segment_check(segment)))
        return ANTK_NO_FRAME;
    return segment->next ? antk_heap_segment_frame(ep, heap, segment->next) : ANTK_NO_FRAME;
}

bool antk_heap_has_its_segments(struct antk_body *self, const struct ant_heap *heap)
{
    uint64_t count = 1, most = antk_pool_pages(self->core->pool);
    if (antk_heap_segment_frame(self->endpoint, heap, &heap->segment) == ANTK_NO_FRAME)
        return false;
    for (const struct antk_segment *s = &heap->segment; s->next; s = s->next, count++)
        if (count == most || antk_heap_segment_frame(self->endpoint, heap, s->next) == ANTK_NO_FRAME)
            return false;
    return count == heap->segments;
}

int antk_heap_object(struct antk_body *self, struct ant_heap *heap, const void *object,
                     struct antk_block **block)
{
    struct antk_endpoint *ep = self->endpoint;
    uintptr_t offset = (uintptr_t)object - (uintptr_t)ep->window.base;
    uint32_t first, pages, owner;
    if (offset >= self->core->config.pool_bytes ||
        !antk_pool_covering(self->core->pool, (uint32_t)(offset / ANT_PAGE_BYTES), &first, &pages, &owner) ||
        owner != ep->window.id)
        return -EFAULT;
    struct antk_segment *segment = antk_area_address(&ep->window, first);
    if (antk_heap_segment_frame(ep, heap, segment) == ANTK_NO_FRAME)
        return -EFAULT;
    struct antk_block *b = (struct antk_block *)(uintptr_t)object - 1;
    if (offset % ANTK_HEAP_UNIT != 0 || b < antk_segment_first(segment) ||
        b >= antk_segment_end(segment) || !antk_block_ok(b) || !antk_block_is(b, ANTK_BLOCK_USED))
        return -EINVAL;
    *block = b;
    return 0;
}

/* May it be freed: is it the process's own still, and no state? */
static bool may_drop(struct antk_body *self, struct antk_segment *segment, uint32_t *frame)
{
    return antk_own_area(self, segment, frame) == 0 && !antk_is_state(self, *frame);
}

int antk_heap_give_back(struct antk_body *self, struct ant_heap *heap)
{
    struct antk_segment *before = &heap->segment;
    while (before->next) {
        struct antk_segment *segment = before->next, *next = segment->next;
        struct antk_block *first = antk_segment_first(segment);
        uint32_t frame;
        if (!antk_block_ok(first))
            return -EBADMSG;
        if (!antk_segment_is_empty(segment) || !may_drop(self, segment, &frame)) {
            before = segment;
            continue;
        }
        if (!antk_block_may_unlist(heap, first))
            return -EBADMSG;
        uint64_t pages = segment->pages;
        antk_block_unlist(heap, first);
        if (antk_area_drop(self->endpoint, frame) != 0) {
            antk_block_list(heap, first);
            before = segment;
            continue;
        }
        before->next = next;
        before->check = antk_segment_check(before);
        heap->segments--;
        heap->pages -= pages;
    }
    return 0;
}

/* ---- the calls ---- */

int ant_heap_create(size_t bytes, struct ant_heap **heap)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!heap || bytes > self->core->config.pool_bytes || bytes > ANTK_HEAP_MOST)
        return -EINVAL;
    struct antk_endpoint *ep = self->endpoint;
    size_t pages =
        (sizeof(struct ant_heap) + bytes + ANTK_HEAP_UNIT + ANT_PAGE_BYTES - 1) / ANT_PAGE_BYTES;
    if (pages > antk_pool_pages(self->core->pool))
        return -ENOMEM;
    uint32_t frame;
    int rc = antk_area_new(ep, pages, self->incarnation, &frame);
    if (rc != 0)
        return rc;
    struct ant_heap *made = antk_area_address(&ep->window, frame);
    memset(made, 0, pages * ANT_PAGE_BYTES);
    made->magic = antk_heap_magic(made);
    made->layout = ANTK_HEAP_LAYOUT;
    made->segments = 1;
    made->pages = pages;
    antk_heap_clear_lists(made);
    antk_segment_init(&made->segment, made, pages);
    antk_block_list(made, antk_segment_first(&made->segment));
    *heap = made;
    return 0;
}

static int open_here(struct antk_body *self, const void *state, struct ant_heap **heap)
{
    uint32_t frame;
    int rc = antk_find_here(self, state, &frame);
    if (rc != 0)
        return rc;
    struct ant_heap *found = antk_area_address(&self->endpoint->window, frame);
    if (!is_heap(found))
        return -EBADMSG;
    if (found->layout != ANTK_HEAP_LAYOUT)
        return -EPROTO;
    if (!is_sound(self->endpoint, found, frame))
        return -EBADMSG;
    *heap = found;
    return 0;
}

int ant_heap_open(const void *state, struct ant_heap **heap)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!heap)
        return -EINVAL;
    hold_still(self);
    int rc = open_here(self, state, heap);
    let_go(self);
    return rc;
}

int ant_heap_destroy(struct ant_heap *heap)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    int rc = antk_heap_own(self, heap);
    if (rc != 0)
        return rc;
    if (!antk_heap_has_its_segments(self, heap))
        return -EBADMSG;
    uint32_t frame;
    for (struct antk_segment *segment = &heap->segment; segment; segment = segment->next)
        if (!may_drop(self, segment, &frame))
            return -EBUSY;
    for (struct antk_segment *segment = &heap->segment, *next; segment; segment = next) {
        next = segment->next;
        if (antk_own_area(self, segment, &frame) == 0)
            antk_area_drop(self->endpoint, frame); /* what the host cannot take now stays the process's, and goes with it */
    }
    return 0;
}

int ant_heap_root_set(struct ant_heap *heap, void *object)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    int rc = antk_heap_own(self, heap);
    struct antk_block *block;
    if (rc == 0 && object)
        rc = antk_heap_object(self, heap, object, &block);
    if (rc == 0)
        heap->root = object;
    return rc;
}

void *ant_heap_root(const struct ant_heap *heap)
{
    return heap ? heap->root : NULL;
}

int ant_heap_trim(struct ant_heap *heap)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    int rc = antk_heap_own(self, heap);
    if (rc != 0)
        return rc;
    return antk_heap_has_its_segments(self, heap) ? antk_heap_give_back(self, heap) : -EBADMSG;
}

/* Of the list that has the longest free blocks, the longest. -EBADMSG. */
static int longest_free(const struct ant_heap *heap, uint32_t *units)
{
    *units = 0;
    if (heap->rows == 0)
        return 0;
    uint32_t row = 31 - (uint32_t)__builtin_clz(heap->rows);
    if (row >= ANTK_HEAP_ROWS || heap->classes[row] == 0 || heap->classes[row] >> ANTK_HEAP_CLASSES != 0)
        return -EBADMSG;
    const struct antk_free *before = NULL;
    const uint64_t *link = &heap->heads[row][31 - (uint32_t)__builtin_clz(heap->classes[row])];
    while (antk_link_ok(link) && antk_link_to(*link)) {
        const struct antk_free *f = antk_link_to(*link);
        if (!antk_block_ok(&f->block) || f->prev != antk_link_seal(&f->prev, before))
            return -EBADMSG;
        if (f->block.units > *units)
            *units = f->block.units;
        before = f;
        link = &f->next;
    }
    return antk_link_ok(link) && before ? 0 : -EBADMSG;
}

static int tell(struct antk_body *self, const struct ant_heap *heap, struct ant_heap_info *info)
{
    int rc = here(self, heap);
    uint32_t longest;
    if (rc == 0)
        rc = longest_free(heap, &longest);
    if (rc != 0)
        return rc;
    info->areas = heap->segments;
    info->bytes = heap->pages * ANT_PAGE_BYTES;
    info->objects = heap->objects;
    info->used_bytes = heap->object_bytes;
    info->free_bytes = heap->free_bytes;
    info->largest_bytes = longest > 0 ? (longest - 1) * ANTK_HEAP_UNIT : 0;
    return 0;
}

int ant_heap_info(const struct ant_heap *heap, struct ant_heap_info *info)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!info)
        return -EINVAL;
    hold_still(self);
    int rc = tell(self, heap, info);
    let_go(self);
    return rc;
}

int ant_heap_check(const struct ant_heap *heap, struct ant_heap_damage *damage)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    hold_still(self);
    int rc = here(self, heap);
    if (rc == 0)
        rc = antk_heap_check(self, (struct ant_heap *)heap, damage);
    else if (rc == -EBADMSG && damage)
        *damage = (struct ant_heap_damage){"the header of the heap does not agree with its area", heap};
    let_go(self);
    return rc;
}
