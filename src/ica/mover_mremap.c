/*
 * `strict-mremap`: mprotect and mremap move whole mappings, for kernels without UFFDIO_MOVE (before Linux 6.8) and
 * where userfaultfd is forbidden; a stale access raises SIGSEGV.
 *
 * A move closes the source, carries its page tables to the destination with MREMAP_DONTUNMAP, and opens the
 * destination. At no time do both answer, and at no time is there a hole for another thread's mmap: the destination
 * is replaced in one step, the source stays behind as an empty mapping without access.
 *
 * Invariants
 * - A window's addresses are open exactly where an area is; all else in it is without access and empty.
 * - All mappings of one frame, in home and in every window, carry home's page offset and anon_vma, or none yet. So pieces
 *   merge again wherever they meet: when all areas are at home, home is one mapping and so is each window; and an area's
 *   pages always lie in one mapping. A program that splits its own area by mlock or madvise breaks this for that
 *   area, and for the frames of it when they are free again: carry() then moves them in halves.
 *
 * Undo needs mappings too, and Linux allows a process only 65,530: some are held back as ballast, given up for an undo.
 * Where a page lies, the page map knows; so undo keeps no books.
 */
#include "ica/mover.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>

#define BALLAST_PAGES 64u
#define BALLAST_BYTES ((size_t)BALLAST_PAGES * ANT_PAGE_BYTES)

/* Every second page readable: as many mappings as pages. */
static void hold_ballast(struct antk_pool *pool)
{
    bool complete = true;
    for (uint32_t page = 0; page < BALLAST_PAGES; page += 2)
        complete &=
            mprotect(pool->ballast + (size_t)page * ANT_PAGE_BYTES, ANT_PAGE_BYTES, PROT_READ) == 0;
    atomic_store_explicit(&pool->ballast_spent, !complete, memory_order_relaxed);
}

static void drop_ballast(struct antk_pool *pool)
{
    atomic_store_explicit(&pool->ballast_spent, true, memory_order_relaxed);
    mprotect(pool->ballast, BALLAST_BYTES, PROT_NONE);
}

static int mremap_populate(struct antk_pool *pool, uint32_t block, bool *huge)
{
    char *memory = antk_home(pool, block * ANTK_HUGE_PAGES);
    int error = antk_populate(memory);
    if (error == 0)
        *huge = antk_mapped_huge(pool, memory);
    return error;
}

/* Carries closed pages. An error leaves some here and some there. */
static int carry(char *from, char *to, size_t bytes)
{
    if (mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) != MAP_FAILED)
        return 0;
    int error = -errno;
    if (error != -EFAULT || bytes == ANT_PAGE_BYTES)
        return error;
    /* Several mappings (before Linux 6.17): cut until no cut spans two. */
    size_t half = bytes / 2 / ANT_PAGE_BYTES * ANT_PAGE_BYTES;
    error = carry(from, to, half);
    return error == 0 ? carry(from + half, to + half, bytes - half) : error;
}

/*
 * Gives a window home's page offsets, which only a mapping that has held a page carries to another address: so one with a
 * page, the mould, goes there and back. Without (no memory, charged memory) mappings merge less, and all else is the same.
 */
static void make_mould(struct antk_pool *pool)
{
    char *mould = antk_charges_addresses() ? NULL : antk_reserve(pool->bytes);
    if (mould == NULL)
        return;
    if (mprotect(pool->base, pool->bytes, PROT_NONE) == 0 && carry(pool->base, mould, pool->bytes) == 0)
        pool->mould = mould;
    else
        munmap(mould, pool->bytes);
}

static void mremap_open_window(struct antk_pool *pool, char *window)
{
    if (pool->mould != NULL && carry(pool->mould, window, pool->bytes) == 0)
        carry(window, pool->mould, pool->bytes);
}

static int mremap_create(struct antk_pool *pool, char *reason, size_t reason_bytes)
{
    if (mprotect(pool->base, pool->bytes, PROT_READ | PROT_WRITE) != 0)
        return antk_no_memory(pool, "open home", pool->bytes, errno, reason, reason_bytes);
    *(volatile char *)pool->base = 0; /* gives home its anon_vma while it is one mapping */
    make_mould(pool);
    if (mprotect(pool->base, pool->bytes, PROT_READ | PROT_WRITE) != 0)
        return antk_no_memory(pool, "open home again", pool->bytes, errno, reason, reason_bytes);
    *(volatile char *)pool->base = 0;

    char *ballast =
        mmap(NULL, BALLAST_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ballast == MAP_FAILED)
        return antk_no_memory(pool, "map the ballast", BALLAST_BYTES, errno, reason, reason_bytes);
    pool->ballast = ballast;
    hold_ballast(pool);
    return 0;
}

static void mremap_destroy(struct antk_pool *pool)
{
    if (pool->ballast != NULL)
        munmap(pool->ballast, BALLAST_BYTES);
    if (pool->mould != NULL)
        munmap(pool->mould, pool->bytes);
    pool->ballast = pool->mould = NULL;
}

/* A failed mremap may have unmapped its destination. Puts a reservation into holes, and only there. */
static void heal(char *run, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += ANT_PAGE_BYTES) {
        char *page = mmap(run + at, ANT_PAGE_BYTES, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
        if (page == MAP_FAILED)
            continue;
        madvise(page, ANT_PAGE_BYTES, MADV_HUGEPAGE);
        madvise(page, ANT_PAGE_BYTES, MADV_DONTFORK);
    }
}

/* Makes a failed move undone, however far it got. */
static void bring_back(struct antk_pool *pool, char *from, char *to, size_t bytes)
{
    drop_ballast(pool);
    for (size_t at = 0; at < bytes; at += ANT_PAGE_BYTES) {
        if (!antk_page_present(pool, to + at))
            continue;
        for (unsigned tries = 0; carry(to + at, from + at, ANT_PAGE_BYTES) != 0; tries++) {
            if (tries == ANTK_UNDO_TRIES)
                antk_mover_torn();
            sched_yield(); /* other threads have taken the ballast's mappings too */
        }
    }
    antk_protect_again(from, bytes, PROT_READ | PROT_WRITE);
    heal(to, bytes);
    hold_ballast(pool);
}

static int mremap_move(struct antk_pool *pool, char *from, char *to, size_t bytes)
{
    int error = 0;
    if (mprotect(from, bytes, PROT_NONE) != 0)
        error = -errno;
    if (error == 0)
        error = carry(from, to, bytes);
    if (error == 0 && mprotect(to, bytes, PROT_READ | PROT_WRITE) != 0)
        error = -errno;
    if (error != 0)
        bring_back(pool, from, to, bytes);
    else if (atomic_load_explicit(&pool->ballast_spent, memory_order_relaxed))
        hold_ballast(pool);
    return error;
}

const struct antk_mover antk_mover_strict_mremap = {
    .mover = ANT_MOVER_STRICT_MREMAP,
    .promise = "mremap moves pages, a stale access raises SIGSEGV",
    .keeps_bytes = true,
    .create = mremap_create,
    .open_window = mremap_open_window,
    .destroy = mremap_destroy,
    .populate = mremap_populate,
    .attach = mremap_move,
    .detach = mremap_move,
    .remap = mremap_move,
    .spend_reserve = drop_ballast,
};
