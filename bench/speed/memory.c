/*
 * What a core needs of the C library's memory for a page of its pool, and for a process: slopes between two boots.
 *
 * Counted is all that malloc has given out (mallinfo2, mappings of its own included), touched or not. Stacks, page tables
 * and trace rings are no memory of malloc's, or not there. For a process: the difference between a core with room for few
 * processes, which all run, and one with room for many, which all run.
 */
#include "idle.h"
#include "ours.h"

#include <malloc.h>
#include <stdlib.h>

#define MIB ((size_t)1 << 20)
#define SMALL_POOL_BYTES (64 * MIB)
#define LARGE_POOL_BYTES (1024 * MIB)

enum { FEW = 100, MANY = IDLE_MAX, ROOM = 10 };

static size_t given_out(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

/* With so many processes running, besides the one that boots it. */
static size_t core_bytes(size_t pool_bytes, unsigned processes)
{
    struct idle *idle = limit_new(sizeof *idle);
    size_t before = given_out();

    must("ant_boot", ant_boot(&(struct ant_config){.mover = ANT_MOVER_FLAT,
                                                   .log = ANT_LOG_ERROR,
                                                   .pool_bytes = pool_bytes,
                                                   .max_processes = processes + ROOM}));
    idle_start(idle, processes);
    size_t bytes = given_out() - before;
    idle_stop(idle);
    must("ant_shutdown", ant_shutdown(NULL));
    free(idle);
    return bytes;
}

static void *create(const struct subject *subject, const struct setting *setting)
{
    (void)subject, (void)setting;
    return limit_new(1);
}

static void sample_page(void *self, uint64_t *values)
{
    (void)self;
    size_t small = core_bytes(SMALL_POOL_BYTES, 1), large = core_bytes(LARGE_POOL_BYTES, 1);
    size_t pages = (LARGE_POOL_BYTES - SMALL_POOL_BYTES) / ANT_PAGE_BYTES;

    values[0] = (large - small + pages - 1) / pages;
}

static void sample_process(void *self, uint64_t *values)
{
    (void)self;
    size_t few = core_bytes(SMALL_POOL_BYTES, FEW), many = core_bytes(SMALL_POOL_BYTES, MANY);

    values[0] = (many - few + MANY - FEW - 1) / (MANY - FEW);
}

static void destroy(void *self)
{
    free(self);
}

#define MEMORY .rarity = UINT32_MAX, .raw = {true}, .create = create, .destroy = destroy
static const struct subject memory_page = {.names = {"memory_page"}, .sample = sample_page, MEMORY};
static const struct subject memory_process = {.names = {"memory_process"}, .sample = sample_process, MEMORY};
static const struct subject *const subjects[] = {&memory_page, &memory_process, NULL};
static const struct row rows[] = {
    {"memory_page", NULL, UNIT_BYTES, {NULL}, FIGURE_AT_MOST, 128},
    {"memory_process", NULL, UNIT_BYTES, {NULL}, FIGURE_AT_MOST, 8192},
};

const struct group group_memory = {
    .mover = ANT_MOVER_FLAT, .no_core = true, .cpus = 1, .subjects = subjects, GROUP_ROWS(rows)};
