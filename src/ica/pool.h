/*
 * What the files of this room share: the pool itself. Nobody outside src/ica includes this.
 *
 * Bookkeeping is 21 bytes a page (area record 16, last space 4, run tree less than one); its pages become resident as the
 * pool is used.
 */
#ifndef ANTK_ICA_POOL_H
#define ANTK_ICA_POOL_H

#include "ica/ica.h"
#include "ica/runs.h"

#define ANTK_HUGE_BYTES ((size_t)ANTK_HUGE_PAGES * ANT_PAGE_BYTES)

/*
 * What is known of a block of ANTK_HUGE_PAGES frames. Populated: its frames hold memory, at home or in some window.
 * Huge: that memory was one huge page, and no page of it has been replaced by a copy. Cut: pieces of it may move.
 */
#define ANTK_BLOCK_POPULATED 1u
#define ANTK_BLOCK_HUGE 2u
#define ANTK_BLOCK_CUT 4u

struct antk_pool {
    /* Fixed at creation. */
    const struct antk_mover *mover;
    char *base;        /* the reservation, 2 MiB aligned; its first `bytes` are home, window i lies i * bytes on */
    size_t bytes;      /* of the pool, and of every window */
    size_t span_bytes; /* of the reservation */
    uint32_t pages;    /* frames of the pool */
    uint32_t blocks;   /* whole huge frames of the pool */
    uint32_t max_windows;
    int pagemap;   /* /proc/self/pagemap; -1 where there is none */
    int uffd;      /* `strict`: the userfaultfd that every window is registered with; else -1 */
    char *staging; /* `strict`: one unregistered huge frame, where memory is made; else NULL */
    char *mould;   /* `strict-mremap`: a mapping that gives windows home's page offsets; may be NULL */
    char *ballast; /* `strict-mremap`: mappings to give up when an undo needs some; else NULL */

    /* [pool] */
    struct antk_runs free_frames;
    struct antk_runs free_blocks; /* blocks with taken_frames 0 */
    uint16_t *taken_frames;       /* per block: frames that lie in areas */
    uint32_t free_pages;
    bool *window_open; /* per id: it has been created */

    /* Entries of a frame belong to whoever owns the area that it lies in; free ones are [pool]. */
    struct antk_area *areas; /* per frame, antk_apart; meaningful at an area's first; owner is 0 at all others */
    uint32_t *last;          /* per frame: the space whose bytes lie in it; 0: nobody's, all zero */

    /* Atomic: read by any thread, also in signal handlers. */
    _Atomic uint64_t *starts;     /* a bit per frame: a taken run begins here */
    _Atomic uint8_t *block_state; /* ANTK_BLOCK_ flags */
    _Atomic bool ballast_spent;
};

static inline char *antk_home(const struct antk_pool *pool, uint32_t frame)
{
    return pool->base + (size_t)frame * ANT_PAGE_BYTES;
}

/* pool.c: [pool] puts memory into a block of home, unless it has some; readies it for pieces that move alone. -ENOMEM. */
int antk_block_populate(struct antk_pool *pool, uint32_t block);
int antk_block_cut(struct antk_pool *pool, uint32_t block);

/* contiguity.c: what the kernel's page map says. */
int antk_pagemap_open(void);                                               /* -1: not available */
bool antk_page_present(const struct antk_pool *pool, const char *address); /* memory here, resident or swapped */
bool antk_mapped_huge(const struct antk_pool *pool, const char *block);    /* one huge page, known for sure */

#endif
