/*
 * What the kernel's page map says about the pages of the pool: are they there, are they one huge page, which frames of
 * real memory are they?
 *
 * /proc/self/pagemap tells everyone whether a page is there; frame numbers only those with CAP_SYS_ADMIN, all others
 * read 0. PAGEMAP_SCAN (Linux 6.7) tells everyone which pages belong to a mapped huge page. Where the page map cannot
 * be had, nothing is claimed that is not known otherwise.
 */
#include "ica/pool.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_FRAME ((UINT64_C(1) << 55) - 1)

/* Not in Debian 12's headers. */
#define SCAN_PAGE_IS_HUGE (UINT64_C(1) << 6)
struct scan_region {
    uint64_t start, end, categories;
};
struct scan {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN _IOWR('f', 16, struct scan)

int antk_pagemap_open(void)
{
    return open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
}

/* Reads the entries of count pages; false when it cannot. */
static bool read_entries(const struct antk_pool *pool, const char *address, uint64_t *entries, size_t count)
{
    size_t bytes = count * sizeof(*entries);
    off_t offset = (off_t)((uintptr_t)address / ANT_PAGE_BYTES * sizeof(*entries));
    return pool->pagemap >= 0 && pread(pool->pagemap, entries, bytes, offset) == (ssize_t)bytes;
}

bool antk_page_present(const struct antk_pool *pool, const char *address)
{
    uint64_t entry;
    if (read_entries(pool, address, &entry, 1))
        return (entry & (ENTRY_PRESENT | ENTRY_SWAPPED)) != 0;
    unsigned char resident = 0; /* without /proc: right but for pages in swap */
    return mincore((char *)(uintptr_t)address, ANT_PAGE_BYTES, &resident) == 0 && (resident & 1) != 0;
}

/* Do whole huge pages cover these bytes? */
static bool scan_huge(const struct antk_pool *pool, const char *address, size_t bytes)
{
    struct scan_region region = {0};
    struct scan scan = {
        .size = sizeof(scan),
        .start = (uintptr_t)address,
        .end = (uintptr_t)address + bytes,
        .vec = (uintptr_t)&region,
        .vec_len = 1,
        .category_mask = SCAN_PAGE_IS_HUGE,
        .return_mask = SCAN_PAGE_IS_HUGE,
    };
    return pool->pagemap >= 0 && ioctl(pool->pagemap, SCAN, &scan) == 1 &&
           region.start == scan.start && region.end == scan.end;
}

bool antk_mapped_huge(const struct antk_pool *pool, const char *block)
{
    return scan_huge(pool, block, ANTK_HUGE_BYTES);
}

enum page_map {
    MAP_HIDDEN,    /* not available, or available without frame numbers */
    MAP_SCATTERED, /* several runs of frames, or pages missing */
    MAP_ONE_RUN,
};

static enum page_map ask_page_map(const struct antk_pool *pool, const char *address, size_t pages)
{
    uint64_t entries[ANTK_HUGE_PAGES], first = 0;
    bool hidden = false;
    for (size_t done = 0; done < pages;) {
        size_t count = pages - done < ANTK_HUGE_PAGES ? pages - done : ANTK_HUGE_PAGES;
        if (!read_entries(pool, address + done * ANT_PAGE_BYTES, entries, count))
            return MAP_HIDDEN;
        if (done == 0)
            first = entries[0] & ENTRY_FRAME;
        for (size_t page = 0; page < count; page++) {
            uint64_t frame = entries[page] & ENTRY_FRAME;
            if ((entries[page] & ENTRY_PRESENT) == 0)
                return MAP_SCATTERED;
            hidden |= frame == 0;
            if (!hidden && frame != first + done + page)
                return MAP_SCATTERED;
        }
        done += count;
    }
    return hidden ? MAP_HIDDEN : MAP_ONE_RUN;
}

enum ant_contiguity antk_area_contiguity(struct antk_pool *pool, const struct antk_window *window,
                                         uint32_t frame)
{
    const struct antk_area *area = antk_pool_area(pool, frame);
    const char *address = antk_area_address(window, frame);
    switch (ask_page_map(pool, address, area->pages)) {
    case MAP_ONE_RUN:
        return ANT_CONTIGUITY_VERIFIED;
    case MAP_SCATTERED:
        return ANT_CONTIGUITY_NO;
    case MAP_HIDDEN:
        break;
    }

    uint32_t block = frame / ANTK_HUGE_PAGES, last_block = (frame + area->pages - 1) / ANTK_HUGE_PAGES;
    if (block != last_block)
        return ANT_CONTIGUITY_NO; /* two huge pages are neighbours by chance only */
    uint8_t state = atomic_load_explicit(&pool->block_state[block], memory_order_relaxed);
    if (area->pages == 1 || (state & ANTK_BLOCK_HUGE) != 0 ||
        scan_huge(pool, address, (size_t)area->pages * ANT_PAGE_BYTES))
        return ANT_CONTIGUITY_EXPECTED;
    return ANT_CONTIGUITY_NO;
}
