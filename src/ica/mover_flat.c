/*
 * `flat`: one window for all. Home is every process's window, an area changes its owner and nothing else.
 *
 * No system call after an area's memory has been made. Ownership is checked by the calls only: a stale pointer reads
 * and writes what is the next owner's by then.
 */
#include "ica/mover.h"

#include <errno.h>
#include <sys/mman.h>

static int flat_create(struct antk_pool *pool, char *reason, size_t reason_bytes)
{
    if (mprotect(pool->base, pool->bytes, PROT_READ | PROT_WRITE) != 0)
        return antk_no_memory(pool, "open the window", pool->bytes, errno, reason, reason_bytes);
    return 0;
}

static void flat_destroy(struct antk_pool *pool)
{
    (void)pool;
}

static int flat_populate(struct antk_pool *pool, uint32_t block, bool *huge)
{
    char *memory = antk_home(pool, block * ANTK_HUGE_PAGES);
    int error = antk_populate(memory);
    if (error == 0)
        *huge = antk_mapped_huge(pool, memory);
    return error;
}

static int flat_move(struct antk_pool *pool, char *from, char *to, size_t bytes)
{
    (void)pool, (void)from, (void)to, (void)bytes;
    return 0;
}

const struct antk_mover antk_mover_flat = {
    .mover = ANT_MOVER_FLAT,
    .promise = "ownership is checked in calls only, stale accesses are not caught",
    .one_window = true,
    .keeps_bytes = true,
    .create = flat_create,
    .destroy = flat_destroy,
    .populate = flat_populate,
    .attach = flat_move,
    .detach = flat_move,
    .remap = flat_move,
};
