/*
 * Areas: taken from the pool, carried between windows, found again by address, given back.
 *
 * Each call checks, then moves the pages, which is all or nothing, then writes what can no longer fail.
 *
 * Invariants
 * - A frame lies in one taken run or in none. A run's `starts` bit is set at its first frame, and only there; owner is
 *   not 0 only at the first frame of an attached one.
 * - taken_frames of a block counts its frames in taken runs; the block is free in free_blocks exactly if that is 0.
 * - last[] of a frame at home names the space whose bytes lie in it; 0 means that all its bytes are 0.
 */
#include "ica/mover.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

/* A lock may be held meanwhile. */
#define RETURN_TRIES 1000u

inline struct antk_area *antk_pool_area(struct antk_pool *pool, uint32_t frame)
{
    return &pool->areas[antk_apart(frame)];
}

static void set_start(struct antk_pool *pool, uint32_t frame)
{
    atomic_fetch_or_explicit(&pool->starts[frame / 64], UINT64_C(1) << frame % 64, memory_order_release);
}

static void clear_start(struct antk_pool *pool, uint32_t frame)
{
    atomic_fetch_and_explicit(&pool->starts[frame / 64], ~(UINT64_C(1) << frame % 64),
                              memory_order_release);
}

/* The nearest start at or below a frame; ANTK_NO_FRAME if there is none. */
static uint32_t start_before(struct antk_pool *pool, uint32_t frame)
{
    uint32_t word = frame / 64;
    uint64_t bits = atomic_load_explicit(&pool->starts[word], memory_order_acquire);
    bits &= ~UINT64_C(0) >> (63 - frame % 64);
    while (bits == 0) {
        if (word == 0)
            return ANTK_NO_FRAME;
        bits = atomic_load_explicit(&pool->starts[--word], memory_order_acquire);
    }
    return word * 64 + 63 - (uint32_t)__builtin_clzll(bits);
}

uint32_t antk_area_next(struct antk_pool *pool, uint32_t from)
{
    uint32_t words = (uint32_t)(pool->pages / 64), word = from / 64;
    if (word >= words)
        return ANTK_NO_FRAME;
    uint64_t bits = atomic_load_explicit(&pool->starts[word], memory_order_acquire);
    bits &= ~UINT64_C(0) << from % 64;
    while (bits == 0) {
        if (++word == words)
            return ANTK_NO_FRAME;
        bits = atomic_load_explicit(&pool->starts[word], memory_order_acquire);
    }
    return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

/* Adds a run's frames to, or takes them from, what is counted per block; [*from, *to): blocks that changed to or from 0. */
static void count_frames(struct antk_pool *pool, uint32_t first, uint32_t frames, bool taken,
                         uint32_t *from, uint32_t *to)
{
    *from = *to = 0;
    for (uint32_t at = first; at < first + frames;) {
        uint32_t block = at / ANTK_HUGE_PAGES, end = (block + 1) * ANTK_HUGE_PAGES;
        uint32_t here = (end < first + frames ? end : first + frames) - at;
        uint16_t before = pool->taken_frames[block];
        uint16_t after = (uint16_t)(taken ? before + here : before - here);
        pool->taken_frames[block] = after;
        if (before == 0 || after == 0) { /* inner blocks always do: what changes is one run */
            if (*from == *to)
                *from = block;
            *to = block + 1;
        }
        at += here;
    }
}

static void occupy(struct antk_pool *pool, uint32_t first, uint32_t frames)
{
    uint32_t from, to;
    antk_runs_take(&pool->free_frames, first, frames);
    count_frames(pool, first, frames, true, &from, &to);
    antk_runs_take(&pool->free_blocks, from, to - from);
    pool->free_pages -= frames;
}

static void vacate(struct antk_pool *pool, uint32_t first, uint32_t frames)
{
    uint32_t from, to;
    antk_runs_give(&pool->free_frames, first, frames);
    count_frames(pool, first, frames, false, &from, &to);
    antk_runs_give(&pool->free_blocks, from, to - from);
    pool->free_pages += frames;
}

/* Where an area should lie: huge ones in whole huge frames from the top, all others as low as they fit. */
static uint32_t place(struct antk_pool *pool, uint32_t pages, uint32_t *frames)
{
    if (pool->mover->whole_huge && pages >= ANTK_HUGE_FROM) {
        uint32_t blocks = (pages + ANTK_HUGE_PAGES - 1) / ANTK_HUGE_PAGES;
        uint32_t block = antk_runs_highest(&pool->free_blocks, blocks);
        if (block != ANTK_NO_RUN) {
            *frames = blocks * ANTK_HUGE_PAGES;
            return block * ANTK_HUGE_PAGES;
        }
    }
    *frames = pages;
    return antk_runs_lowest(&pool->free_frames, pages);
}

/* Puts memory under a run, ready to be moved. */
static int populate(struct antk_pool *pool, uint32_t first, uint32_t frames)
{
    for (uint32_t block = first / ANTK_HUGE_PAGES; block * ANTK_HUGE_PAGES < first + frames; block++) {
        uint32_t start = block * ANTK_HUGE_PAGES;
        int error = antk_block_populate(pool, block);
        if (error == 0 && (start < first || start + ANTK_HUGE_PAGES > first + frames))
            error = antk_block_cut(pool, block);
        if (error != 0)
            return error;
    }
    return 0;
}

int antk_area_take(struct antk_pool *pool, size_t pages, uint32_t *frame)
{
    if (pages == 0)
        return -EINVAL;
    if (pages > pool->pages)
        return -ENOMEM;
    uint32_t frames, first = place(pool, (uint32_t)pages, &frames);
    if (first == ANTK_NO_RUN)
        return -ENOMEM;
    int error = populate(pool, first, frames);
    if (error != 0)
        return error;

    occupy(pool, first, frames);
    struct antk_area *area = antk_pool_area(pool, first);
    /* Atomic for the sake of antk_pool_covering, which any thread may be in the middle of. */
    __atomic_store_n(&area->pages, (uint32_t)pages, __ATOMIC_RELAXED);
    __atomic_store_n(&area->frames, frames, __ATOMIC_RELAXED);
    area->tag = 0;
    set_start(pool, first);
    *frame = first;
    return 0;
}

void antk_area_put(struct antk_pool *pool, uint32_t frame)
{
    if (frame >= pool->pages || start_before(pool, frame) != frame ||
        atomic_load_explicit(&antk_pool_area(pool, frame)->owner, memory_order_relaxed) != 0)
        return;
    clear_start(pool, frame);
    vacate(pool, frame, antk_pool_area(pool, frame)->frames);
}

/* Most often an area's pages were all its new owner's own. */
static bool all_are(const uint32_t *last, uint32_t pages, uint32_t space)
{
    return last[0] == space && memcmp(last, last + 1, (pages - 1) * sizeof(*last)) == 0;
}

/*
 * Makes zero what may not be seen in an area that has just come into this window: what other spaces have left in its
 * pages, and what anybody has left in the frames behind them, which travel with it.
 */
static void clear_foreign(struct antk_pool *pool, const struct antk_window *window, uint32_t frame)
{
    uint32_t pages = antk_pool_area(pool, frame)->pages, frames = antk_pool_area(pool, frame)->frames;
    uint32_t *last = &pool->last[frame];
    for (uint32_t at = all_are(last, pages, window->space) ? pages : 0; at < frames;) {
        uint32_t from = at;
        while (at < frames && last[at] != 0 && (at >= pages || last[at] != window->space))
            last[at++] = 0;
        if (at > from)
            memset(antk_area_address(window, frame + from), 0, (size_t)(at - from) * ANT_PAGE_BYTES);
        else
            at++;
    }
}

int antk_area_attach(struct antk_pool *pool, const struct antk_window *window, uint32_t frame)
{
    struct antk_area *area = antk_pool_area(pool, frame);
    if (atomic_load_explicit(&area->owner, memory_order_relaxed) != 0)
        return -EPERM;
    size_t bytes = (size_t)area->frames * ANT_PAGE_BYTES;
    int error =
        pool->mover->attach(pool, antk_home(pool, frame), antk_area_address(window, frame), bytes);
    if (error != 0)
        return error;
    if (pool->mover->keeps_bytes)
        clear_foreign(pool, window, frame);
    atomic_store_explicit(&area->owner, window->id, memory_order_release);
    return 0;
}

int antk_area_detach(struct antk_pool *pool, const struct antk_window *window, uint32_t frame)
{
    struct antk_area *area = antk_pool_area(pool, frame);
    if (atomic_load_explicit(&area->owner, memory_order_relaxed) != window->id)
        return -EPERM;
    size_t bytes = (size_t)area->frames * ANT_PAGE_BYTES;
    int error =
        pool->mover->detach(pool, antk_area_address(window, frame), antk_home(pool, frame), bytes);
    if (error != 0)
        return error;
    uint32_t *last = &pool->last[frame];
    if (!all_are(last, area->pages, window->space))
        for (uint32_t at = 0; at < area->pages; at++)
            last[at] = window->space;
    atomic_store_explicit(&area->owner, 0, memory_order_release);
    return 0;
}

/* Moves a run that may be several areas. */
static int move_run(struct antk_pool *pool, const struct antk_window *from,
                    const struct antk_window *to, uint32_t frame, uint32_t frames)
{
    size_t bytes = (size_t)frames * ANT_PAGE_BYTES;
    return pool->mover->remap(pool, antk_area_address(from, frame), antk_area_address(to, frame), bytes);
}

/* Makes room for a move that must not fail. */
static void await_host(struct antk_pool *pool)
{
    if (pool->mover->spend_reserve != NULL)
        pool->mover->spend_reserve(pool);
    sched_yield(); /* to whoever has what is missing */
}

/* Moves two areas that are no neighbours. The first one has just moved, so it can move back; only the host may be short for a while. */
static int move_one_by_one(struct antk_pool *pool, const struct antk_window *from,
                           const struct antk_window *to, uint32_t first, uint32_t second)
{
    uint32_t frames = antk_pool_area(pool, first)->frames;
    int error = move_run(pool, from, to, first, frames);
    if (error != 0)
        return error;
    error = move_run(pool, from, to, second, antk_pool_area(pool, second)->frames);
    for (unsigned tries = 0; error != 0 && move_run(pool, to, from, first, frames) != 0; tries++) {
        if (tries == ANTK_UNDO_TRIES)
            antk_mover_torn();
        await_host(pool);
    }
    return error;
}

static bool is_in(const struct antk_window *window, const struct antk_area *area)
{
    return atomic_load_explicit(&area->owner, memory_order_relaxed) == window->id;
}

static int remap_two(struct antk_pool *pool, const struct antk_window *from,
                     const struct antk_window *to, uint32_t low, uint32_t high)
{
    struct antk_area *area = antk_pool_area(pool, low), *other = antk_pool_area(pool, high);
    if (!is_in(from, area) || !is_in(from, other))
        return -EPERM;
    if (from->id == to->id)
        return 0;
    int error = low + area->frames == high ? move_run(pool, from, to, low, area->frames + other->frames)
                                           : move_one_by_one(pool, from, to, low, high);
    if (error != 0)
        return error;
    atomic_store_explicit(&area->owner, to->id, memory_order_release);
    atomic_store_explicit(&other->owner, to->id, memory_order_release);
    return 0;
}

inline int antk_areas_remap(struct antk_pool *pool, const struct antk_window *from,
                            const struct antk_window *to, uint32_t first, uint32_t second)
{
    if (second != ANTK_NO_FRAME)
        return first < second ? remap_two(pool, from, to, first, second)
                              : remap_two(pool, from, to, second, first);
    struct antk_area *area = antk_pool_area(pool, first);
    if (!is_in(from, area))
        return -EPERM;
    int error = from->id == to->id ? 0 : move_run(pool, from, to, first, area->frames);
    if (error == 0)
        atomic_store_explicit(&area->owner, to->id, memory_order_release);
    return error;
}

int antk_areas_return(struct antk_pool *pool, const struct antk_window *from,
                      const struct antk_window *to, uint32_t first, uint32_t second)
{
    int error = antk_areas_remap(pool, from, to, first, second);
    for (unsigned tries = 0; error == -ENOMEM && tries < RETURN_TRIES; tries++) {
        await_host(pool);
        error = antk_areas_remap(pool, from, to, first, second);
    }
    return error;
}

int antk_area_bring_home(struct antk_pool *pool, const struct antk_window *window, uint32_t frame)
{
    int error = antk_area_detach(pool, window, frame);
    for (unsigned tries = 0; error == -ENOMEM && tries < RETURN_TRIES; tries++) {
        await_host(pool);
        error = antk_area_detach(pool, window, frame);
    }
    return error;
}

/* antk_area_find for an address where no area of the window begins: says what is there instead. */
static int explain(struct antk_pool *pool, const struct antk_window *window, const void *address)
{
    uint32_t id, frame, first, pages, owner;
    if (!antk_pool_locate(pool, address, &id, &frame) || id == 0)
        return -EFAULT;
    if (!antk_pool_covering(pool, frame, &first, &pages, &owner))
        return -EFAULT;
    if (owner != window->id || (!pool->mover->one_window && id != window->id))
        return -EPERM;
    /* One that begins there has come just now, and was not there when it was looked for. */
    return address == antk_area_address(window, first) ? -EPERM : -EINVAL;
}

inline int antk_area_find(struct antk_pool *pool, const struct antk_window *window,
                          const void *address, uint32_t *frame)
{
    uintptr_t offset = (uintptr_t)address - (uintptr_t)window->base;
    if (offset >= pool->bytes || offset % ANT_PAGE_BYTES != 0)
        return explain(pool, window, address);
    uint32_t here = (uint32_t)(offset / ANT_PAGE_BYTES);
    if (atomic_load_explicit(&antk_pool_area(pool, here)->owner, memory_order_acquire) != window->id)
        return explain(pool, window, address);
    *frame = here;
    return 0;
}

bool antk_pool_covering(struct antk_pool *pool, uint32_t frame, uint32_t *first, uint32_t *pages,
                        uint32_t *owner)
{
    if (frame >= pool->pages)
        return false;
    uint32_t start = start_before(pool, frame);
    if (start == ANTK_NO_FRAME)
        return false;
    struct antk_area *area = antk_pool_area(pool, start);
    uint32_t holder = atomic_load_explicit(&area->owner, memory_order_acquire);
    if (holder == 0 || frame - start >= __atomic_load_n(&area->frames, __ATOMIC_RELAXED))
        return false;
    *first = start;
    *pages = __atomic_load_n(&area->pages, __ATOMIC_RELAXED);
    *owner = holder;
    return true;
}
