/*
 * The pool as a whole: creation, windows, addresses, how full it is. What happens to single areas is in area.c.
 *
 * Addresses: home is the first `bytes` of the reservation and window i lies i * bytes on (with a mover that has one
 * window, that is home). Nothing here moves once the pool has been created.
 */
#include "ica/mover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define POOL_BYTES_MAX (UINT64_C(1) << 40)
#define WINDOWS_MAX 65535u

static void free_books(struct antk_pool *pool)
{
    antk_runs_fini(&pool->free_frames);
    antk_runs_fini(&pool->free_blocks);
    free(pool->taken_frames);
    free(pool->areas);
    free(pool->last);
    free(pool->starts);
    free(pool->block_state);
    free(pool->window_open);
    free(pool);
}

/* Everything that is counted per frame and per block; large zeroed pieces stay untouched until used. */
static int make_books(struct antk_pool *pool)
{
    pool->taken_frames = calloc(pool->blocks, sizeof(*pool->taken_frames));
    pool->areas = calloc(pool->pages, sizeof(*pool->areas));
    pool->last = calloc(pool->pages, sizeof(*pool->last));
    pool->starts = calloc(pool->pages / 64, sizeof(*pool->starts));
    pool->block_state = calloc(pool->blocks, sizeof(*pool->block_state));
    pool->window_open = calloc((size_t)pool->max_windows + 1, sizeof(*pool->window_open));
    int error = antk_runs_init(&pool->free_frames, pool->pages);
    if (error == 0)
        error = antk_runs_init(&pool->free_blocks, pool->blocks);
    bool complete = pool->taken_frames && pool->areas && pool->last && pool->starts &&
                    pool->block_state && pool->window_open;
    return error != 0 || !complete ? -ENOMEM : 0;
}

int antk_pool_create(const struct antk_pool_config *config, struct antk_pool **created,
                     char *reason, size_t reason_bytes)
{
    if (config->bytes == 0 || config->bytes > POOL_BYTES_MAX || config->bytes % ANTK_HUGE_BYTES != 0) {
        snprintf(reason, reason_bytes, "a pool has 2 MiB to 1 TiB, in steps of 2 MiB");
        return -EINVAL;
    }
    if (config->max_windows == 0 || config->max_windows > WINDOWS_MAX) {
        snprintf(reason, reason_bytes, "a pool has 1 to %u windows", WINDOWS_MAX);
        return -EINVAL;
    }
    if ((unsigned)config->mover > ANT_MOVER_COPY) {
        snprintf(reason, reason_bytes, "there is no mover number %d", (int)config->mover);
        return -EINVAL;
    }

    int error = -ENOMEM;
    struct antk_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL) {
        snprintf(reason, reason_bytes, "no memory for a pool");
        return error;
    }
    pool->bytes = config->bytes;
    pool->pages = pool->free_pages = (uint32_t)(config->bytes / ANT_PAGE_BYTES);
    pool->blocks = pool->pages / ANTK_HUGE_PAGES;
    pool->max_windows = config->max_windows;
    pool->uffd = -1;
    if (make_books(pool) != 0) {
        antk_no_memory(pool, "keep books", (size_t)pool->pages * 21, ENOMEM, reason, reason_bytes);
        goto no_books;
    }

    pool->pagemap = antk_pagemap_open();
    error = antk_mover_start(pool, config->mover, reason, reason_bytes);
    if (error != 0)
        goto no_mover;
    for (uint32_t block = 0; config->prefault && error == 0 && block < pool->blocks; block++)
        error = antk_block_populate(pool, block);
    if (error != 0) {
        antk_no_memory(pool, "populate the pool", pool->bytes, -error, reason, reason_bytes);
        goto not_populated;
    }
    *created = pool;
    return 0;

not_populated:
    antk_mover_stop(pool);
no_mover:
    if (pool->pagemap >= 0)
        close(pool->pagemap);
no_books:
    free_books(pool);
    return error;
}

void antk_pool_destroy(struct antk_pool *pool)
{
    if (!pool)
        return;
    antk_mover_stop(pool);
    if (pool->pagemap >= 0)
        close(pool->pagemap);
    free_books(pool);
}

int antk_block_populate(struct antk_pool *pool, uint32_t block)
{
    if ((atomic_load_explicit(&pool->block_state[block], memory_order_relaxed) & ANTK_BLOCK_POPULATED) != 0)
        return 0;
    bool huge = false;
    int error = pool->mover->populate(pool, block, &huge);
    if (error != 0)
        return error;
    uint8_t state = huge ? ANTK_BLOCK_POPULATED | ANTK_BLOCK_HUGE : ANTK_BLOCK_POPULATED;
    atomic_store_explicit(&pool->block_state[block], state, memory_order_relaxed);
    return 0;
}

int antk_block_cut(struct antk_pool *pool, uint32_t block)
{
    uint8_t state = atomic_load_explicit(&pool->block_state[block], memory_order_relaxed);
    if (pool->mover->cut == NULL || (state & ANTK_BLOCK_CUT) != 0)
        return 0;
    int error = pool->mover->cut(pool, block);
    if (error == 0)
        atomic_fetch_or_explicit(&pool->block_state[block], ANTK_BLOCK_CUT, memory_order_relaxed);
    return error;
}

enum ant_mover antk_pool_mover(const struct antk_pool *pool)
{
    return pool->mover->mover;
}

bool antk_pool_one_window(const struct antk_pool *pool)
{
    return pool->mover->one_window;
}

size_t antk_pool_pages(const struct antk_pool *pool)
{
    return pool->pages;
}

void antk_pool_stats(struct antk_pool *pool, size_t *free_pages, size_t *largest_free_run)
{
    *free_pages = pool->free_pages;
    *largest_free_run = antk_runs_largest(&pool->free_frames);
}

int antk_window_create(struct antk_pool *pool, uint32_t id, struct antk_window *window)
{
    if (id == 0 || id > pool->max_windows)
        return -EINVAL;
    window->id = id;
    window->base = pool->base + (pool->mover->one_window ? 0 : id * pool->bytes);
    if (pool->mover->open_window != NULL && !pool->window_open[id])
        pool->mover->open_window(pool, window->base);
    pool->window_open[id] = true;
    return 0;
}

bool antk_pool_locate(const struct antk_pool *pool, const void *address, uint32_t *window_id,
                      uint32_t *frame)
{
    uintptr_t offset = (uintptr_t)address - (uintptr_t)pool->base;
    if (offset >= pool->span_bytes)
        return false;
    *window_id = pool->mover->one_window ? 1 : (uint32_t)(offset / pool->bytes);
    *frame = (uint32_t)(offset % pool->bytes / ANT_PAGE_BYTES);
    return true;
}
