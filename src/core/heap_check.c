/* A heap looked through, header by header and link by link. Reads nothing that has not been found to lie in the heap's own areas. */
#include "core/heap.h"

#include <string.h>

struct look {
    struct antk_body *self;
    struct ant_heap *heap;
    struct ant_heap_damage damage; /* what is NULL: none so far */
    uint64_t segments, pages, objects, object_bytes, free_blocks, free_bytes;
};

static bool found(struct look *look, const char *what, const void *where)
{
    look->damage = (struct ant_heap_damage){what, where};
    return false;
}

/* ---- along the segments ---- */

static bool look_at_block(struct look *look, struct antk_block *b, struct antk_block *end,
                          struct antk_block *before)
{
    if (!antk_block_ok(b))
        return found(look, "a block's header was overwritten", b);
    if (b->before != (before ? before->units : 0))
        return found(look, "a block does not know the one before it", b);
    if (b == end)
        return antk_block_is(b, ANTK_BLOCK_END) || found(look, "an area has no end mark", b);
    if (b->units > end - b)
        return found(look, "a block is longer than its area", b);
    if (antk_block_is(b, ANTK_BLOCK_FREE)) {
        if (b->units < ANTK_BLOCK_LEAST || (before && antk_block_is(before, ANTK_BLOCK_FREE)))
            return found(look, "a free block is too short, or was not joined with the one before it", b);
        look->free_blocks++;
        look->free_bytes += (b->units - 1) * ANTK_HEAP_UNIT;
        return true;
    }
    if (!antk_block_is(b, ANTK_BLOCK_USED) || b->units < ANTK_BLOCK_LEAST ||
        b->use >> 8 >= 2 * ANTK_HEAP_UNIT || b->use >> 8 >= (b->units - 1) * ANTK_HEAP_UNIT)
        return found(look, "a block is neither free nor an object's", b);
    look->objects++;
    look->object_bytes += antk_block_bytes(b);
    return true;
}

static bool look_at_segment(struct look *look, struct antk_segment *segment)
{
    struct antk_block *b = antk_segment_first(segment), *end = antk_segment_end(segment), *before = NULL;
    look->segments++;
    look->pages += segment->pages;
    for (;; before = b, b = antk_block_after(b)) {
        if (!look_at_block(look, b, end, before))
            return false;
        if (b == end)
            return true;
    }
}

static bool look_along_segments(struct look *look)
{
    struct antk_endpoint *ep = look->self->endpoint;
    uint64_t most = antk_pool_pages(look->self->core->pool);
    for (struct antk_segment *segment = &look->heap->segment; segment; segment = segment->next) {
        if (look->segments == most || (segment != &look->heap->segment &&
                                       antk_heap_segment_frame(ep, look->heap, segment) == ANTK_NO_FRAME))
            return found(look, "an area of the heap is not there any more, or its header was overwritten",
                         segment);
        if (!look_at_segment(look, segment))
            return false;
    }
    return true;
}

/* ---- along the lists ---- */

/* Is it a free block within a segment? Every header there is sound by now. */
static bool is_free_block(struct look *look, const struct antk_free *f)
{
    for (struct antk_segment *segment = &look->heap->segment; segment; segment = segment->next) {
        const struct antk_block *first = antk_segment_first(segment), *end = antk_segment_end(segment);
        if (&f->block >= first && &f->block < end)
            return antk_block_ok(&f->block) && antk_block_is(&f->block, ANTK_BLOCK_FREE);
    }
    return false;
}

static bool look_along_list(struct look *look, uint32_t row, uint32_t column)
{
    struct ant_heap *heap = look->heap;
    const uint64_t *link = &heap->heads[row][column];
    const struct antk_free *before = NULL;
    for (;; look->free_blocks--) {
        if (!antk_link_ok(link))
            return found(look, "the link to a free block was overwritten", link);
        const struct antk_free *f = antk_link_to(*link);
        if (!f)
            break;
        if (look->free_blocks == 0 || !is_free_block(look, f))
            return found(look, "a list of free blocks has one that is none, or one twice", link);
        struct antk_class c = antk_heap_class(f->block.units);
        if (c.row != row || c.column != column || f->prev != antk_link_seal(&f->prev, before))
            return found(look, "a free block is in a wrong list, or its link back was overwritten", f);
        before = f;
        link = &f->next;
    }
    bool marked = (heap->classes[row] >> column & 1) != 0;
    return marked == (before != NULL) ||
           found(look, "the bitmap of lists was overwritten", &heap->classes[row]);
}

static bool look_along_row(struct look *look, uint32_t row)
{
    struct ant_heap *heap = look->heap;
    for (uint32_t column = 0; column < ANTK_HEAP_CLASSES; column++)
        if (!look_along_list(look, row, column))
            return false;
    bool marked = (heap->rows >> row & 1) != 0;
    return marked == (heap->classes[row] != 0) ||
           found(look, "the bitmap of rows was overwritten", &heap->rows);
}

static bool look_along_lists(struct look *look)
{
    for (uint32_t row = 0; row < ANTK_HEAP_ROWS; row++)
        if (!look_along_row(look, row))
            return false;
    return look->free_blocks == 0 || found(look, "a free block is in no list", look->heap);
}

/* ---- */

static bool look_at_header(struct look *look)
{
    struct ant_heap *heap = look->heap;
    struct antk_block *block;
    if (heap->segments != look->segments || heap->pages != look->pages || heap->objects != look->objects ||
        heap->object_bytes != look->object_bytes || heap->free_bytes != look->free_bytes)
        return found(look, "the heap's own counts are wrong", &heap->segments);
    if (heap->root && antk_heap_object(look->self, heap, heap->root, &block) != 0)
        return found(look, "the root is no object", &heap->root);
    return true;
}

int antk_heap_check(struct antk_body *self, struct ant_heap *heap, struct ant_heap_damage *damage)
{
    struct look look = {.self = self, .heap = heap};
    if (look_along_segments(&look) && look_along_lists(&look) && look_at_header(&look))
        return 0;
    if (damage)
        *damage = look.damage;
    return -EBADMSG;
}
