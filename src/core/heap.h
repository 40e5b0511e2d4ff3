/*
 * Heaps: how they lie in memory, and what their files share.
 *
 * A heap is a chain of segments, each an area of the process's. A segment is its header (the first one's is that of the heap as well), then blocks without a gap,
 * then an end mark. A block is a header of 16 bytes, one unit, and an object, or, while it is free, two links. Free blocks are never neighbours. They are listed by
 * their length (two-level segregated fit: M. Masmano and others, "TLSF: a new dynamic memory allocator for real-time systems", ECRTS 2004): a row for each
 * power of two, in 16 classes each, and a bitmap over both; so nothing is ever searched for.
 *
 * All of this lies in memory that the program may have written to. So whatever leads on says whether it still is what was written: headers of segments and blocks carry
 * a check over themselves and where they are, links one over what they name. Each call checks all that it will follow or change, and then changes it, in
 * functions that cannot fail. Whoever uses a heap is inside the core: whoever ends the process by force leaves it whole.
 */
#ifndef ANTK_HEAP_H
#define ANTK_HEAP_H

#include "core/core.h"

#include <ant/heap.h>

#define ANTK_HEAP_LAYOUT 1u
#define ANTK_HEAP_UNIT ((size_t)16)
#define ANTK_HEAP_MOST ((size_t)16 << 30) /* bytes of an object: the last row is for those of 2^30 units and a little more */
#define ANTK_HEAP_ROWS 28u
#define ANTK_HEAP_CLASSES 16u
#define ANTK_BLOCK_LEAST 2u /* units: a header, and room for two links */

enum {
    ANTK_BLOCK_FREE = 0x66,
    ANTK_BLOCK_USED = 0x75, /* and, << 8, how many of its bytes the object does not use */
    ANTK_BLOCK_END = 0x65
};

struct antk_block {
    uint32_t units; /* its length, this header included */
    uint32_t use;
    union {
        struct {
            uint32_t before; /* the units of the block before it; 0: it is the segment's first */
            uint32_t check;
        };
        struct antk_block *moves_to; /* while the heap is compacted, in the part that nothing interrupts */
    };
};
static_assert(sizeof(struct antk_block) == ANTK_HEAP_UNIT, "a header is a unit");

struct antk_free {
    struct antk_block block;
    uint64_t next, prev; /* sealed */
};

struct antk_segment {
    struct ant_heap *heap;
    struct antk_segment *next; /* NULL: it is the last */
    uint64_t pages;
    uint64_t check;
};

struct antk_compaction;

struct ant_heap {
    struct antk_segment segment;
    uint64_t magic; /* it and the heap's own address */
    uint32_t layout;
    uint32_t incarnation; /* of the body that compacts it */
    struct antk_compaction *compaction;
    void *root;
    uint64_t segments, pages, objects, object_bytes, free_bytes;
    uint32_t rows;                                     /* bit i: row i has a class with a block in it */
    uint32_t classes[ANTK_HEAP_ROWS];                  /* bit j of row i: class j has one */
    uint64_t heads[ANTK_HEAP_ROWS][ANTK_HEAP_CLASSES]; /* sealed */
};
static_assert(sizeof(struct ant_heap) % ANTK_HEAP_UNIT == 0 &&
                  sizeof(struct ant_heap) + 3 * ANTK_HEAP_UNIT <= ANT_PAGE_BYTES,
              "a page has room for a heap");

/* ---- checks and seals ---- */

static inline uint64_t antk_heap_mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) ^ b;
    x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return x ^ x >> 32;
}

static inline uint32_t antk_block_check(const struct antk_block *b)
{
    return (uint32_t)antk_heap_mix((uintptr_t)b ^ (uint64_t)b->use << 48, (uint64_t)b->units << 32 | b->before);
}

static inline bool antk_block_ok(const struct antk_block *b)
{
    return b->check == antk_block_check(b);
}

static inline bool antk_block_is(const struct antk_block *b, uint32_t kind)
{
    return (b->use & 0xff) == kind;
}

static inline uint64_t antk_segment_check(const struct antk_segment *s)
{
    return antk_heap_mix(antk_heap_mix((uintptr_t)s, (uintptr_t)s->heap), (uintptr_t)s->next ^ s->pages << 32);
}

static inline uint64_t antk_heap_magic(const struct ant_heap *heap)
{
    return UINT64_C(0x7061656820746e61) ^ (uintptr_t)heap; /* "ant heap" */
}

/*
 * A link: the block's address in units, 44 bits, and 20 that are left of a mixture of that and of where the link lies. So one that was overwritten is
 * taken for a link in one case of a million.
 */
#define ANTK_LINK_BITS 44

static inline uint64_t antk_link_seal(const uint64_t *link, const void *to)
{
    uint64_t units = (uintptr_t)to / ANTK_HEAP_UNIT;
    return antk_heap_mix((uintptr_t)link, units) << ANTK_LINK_BITS | units;
}

static inline struct antk_free *antk_link_to(uint64_t link)
{
    return (struct antk_free *)((link & ((UINT64_C(1) << ANTK_LINK_BITS) - 1)) * ANTK_HEAP_UNIT);
}

static inline bool antk_link_ok(const uint64_t *link)
{
    return *link == antk_link_seal(link, antk_link_to(*link));
}

/* ---- ways ---- */

static inline struct antk_block *antk_block_after(struct antk_block *b)
{
    return b + b->units;
}
static inline struct antk_block *antk_block_before(struct antk_block *b)
{
    return b - b->before;
}
static inline size_t antk_block_bytes(const struct antk_block *b) /* of its object */
{
    return (b->units - 1) * ANTK_HEAP_UNIT - (b->use >> 8);
}
static inline uint32_t antk_units_of(size_t bytes) /* of the block of an object */
{
    return (uint32_t)((bytes + ANTK_HEAP_UNIT - 1) / ANTK_HEAP_UNIT) + 1;
}
static inline struct antk_block *antk_segment_first(struct antk_segment *s)
{
    size_t header = &s->heap->segment == s ? sizeof(struct ant_heap) : sizeof(struct antk_segment);
    return (struct antk_block *)(void *)((char *)s + header);
}
static inline struct antk_block *antk_segment_end(struct antk_segment *s)
{
    return (struct antk_block *)(void *)((char *)s + s->pages * ANT_PAGE_BYTES) - 1;
}
static inline bool antk_segment_is_empty(struct antk_segment *s)
{
    struct antk_block *first = antk_segment_first(s);
    return antk_block_is(first, ANTK_BLOCK_FREE) && antk_block_after(first) == antk_segment_end(s);
}

/* ---- heap.c ---- */

/* The calling process's own heap, to be changed. -EFAULT, -EINVAL, -EPERM as in ant_heap_free; -EBUSY: it is being compacted; -EBADMSG. */
int antk_heap_own(struct antk_body *self, struct ant_heap *heap);
/*
 * The block of an object. -EFAULT: object lies in no area of this heap's. -EINVAL: it is not the first byte of an object. Looks at no memory but that of the heap's areas.
 */
int antk_heap_object(struct antk_body *self, struct ant_heap *heap, const void *object, struct antk_block **block);
/* The area that begins there, if it is plainly a segment of this heap's, in the window of ep; ANTK_NO_FRAME. */
uint32_t antk_heap_segment_frame(struct antk_endpoint *ep, const struct ant_heap *heap,
                                 const struct antk_segment *segment);
/* Is every segment of the chain there? */
bool antk_heap_has_its_segments(struct antk_body *self, const struct ant_heap *heap);
/* Frees segments without an object; they have been found to be there. -EBADMSG. */
int antk_heap_give_back(struct antk_body *self, struct ant_heap *heap);
/*
 * The areas of a state that is a heap, and as much as that as is sound: the one behind `frame`, which begins with the state itself. ANTK_NO_FRAME: it is the last, or the state
 * is no heap. For those that follow the chain in a state that they do not trust: it has an end if each area visited is taken out of the process's hands (its record is not plain
 * any more), or if they count.
 */
uint32_t antk_heap_area_after(struct antk_endpoint *ep, uint32_t state, uint32_t frame);

/* ---- heap_blocks.c ---- */

/* The memory of a new segment becomes one free block; it need not be listed. */
void antk_segment_init(struct antk_segment *segment, struct ant_heap *heap, size_t pages);
void antk_heap_clear_lists(struct ant_heap *heap);
/* Writes a header. */
void antk_block_write(struct antk_block *b, uint32_t units, uint32_t before, uint32_t use);
/* ... and lists the block, as free. */
void antk_block_list(struct ant_heap *heap, struct antk_block *b);
void antk_block_unlist(struct ant_heap *heap, struct antk_block *b);
/* May it be listed, or unlisted? Else a header or a link that this would follow or change is damaged. */
bool antk_block_may_list(struct ant_heap *heap, uint32_t units);
bool antk_block_may_unlist(struct ant_heap *heap, struct antk_block *b);
/* Which list blocks of this length are in. */
struct antk_class {
    uint32_t row, column;
};
struct antk_class antk_heap_class(uint32_t units);

/* ---- heap_check.c ---- */

/* ant_heap_check, of a heap in the calling process's window. */
int antk_heap_check(struct antk_body *self, struct ant_heap *heap, struct ant_heap_damage *damage);

#endif
