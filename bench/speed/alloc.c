/*
 * Areas: allocated and freed again.
 *
 * Own pages: the same process had them last, nothing has to be cleared. Foreign pages: before each sample a server has
 * allocated the same pages, written to all of them and freed them. They are allocated and freed twice, all of them each time. The
 * first time as a whole is held against clearing as many in the same way (limits/memcpy.c); the second time they are own ones, and
 * the difference, what it costs that they were not, is shown too.
 */
#include "ours.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 100 };

#define MIB ((size_t)1 << 20)

struct alloc {
    size_t pages, areas; /* of an area; at a time */
    void *held[BATCH];
    struct ours_call others; /* foreign: to the server that makes pages its own */
};

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct alloc *self = limit_new(sizeof *self);

    (void)setting;
    self->pages = subject->bytes / ANT_PAGE_BYTES;
    self->areas = subject->batch != 0 ? subject->batch : 1;
    return self;
}

static void destroy(void *self)
{
    free(self);
}

/* --- Own pages ------------------------------------------------------------------------------------------------------------ */

static void once(struct alloc *self)
{
    void *area;

    must("ant_ica_alloc", ant_ica_alloc(self->pages, &area));
    must("ant_ica_free", ant_ica_free(area));
}

static void make_own(void *self)
{
    once(self);
}

static void sample(void *argument, uint64_t *values)
{
    struct alloc *self = argument;
    uint64_t begin_ns = now_ns();

    for (size_t i = 0; i < self->areas; i++) {
        once(self);
    }
    values[0] = now_ns() - begin_ns;
}

/* --- Foreign pages -------------------------------------------------------------------------------------------------------- */

static void alloc_all(struct alloc *self)
{
    for (size_t i = 0; i < self->areas; i++) {
        must("ant_ica_alloc", ant_ica_alloc(self->pages, &self->held[i]));
    }
}

static void free_all(struct alloc *self)
{
    for (size_t i = 0; i < self->areas; i++) {
        must("ant_ica_free", ant_ica_free(self->held[i]));
    }
}

/* What the server has had. */
static struct alloc others;

/* What a process has freed is kept for it (docs/ica.md) until somebody asks how much is free. */
static void empty_shelves(void)
{
    struct ant_ica_stats stats;

    must("ant_ica_stats", ant_ica_stats(&stats));
}

/* The request says how many areas (its operation) of how many pages (its cookie). */
static void make_foreign(struct ant_server *server, struct ant_request *rq)
{
    (void)server;
    others.areas = rq->operation;
    others.pages = rq->cookie;
    empty_shelves(); /* so that it gets the caller's, and the caller then the same from it */
    alloc_all(&others);
    for (size_t i = 0; i < others.areas; i++) {
        memset(others.held[i], 1, others.pages * ANT_PAGE_BYTES);
    }
    free_all(&others);
    empty_shelves();
    must("ant_reply", ant_reply(rq, 0));
}

static const struct ant_program program = {
    .abi = ANT_ABI, .version = 1, .name = "others", .request = make_foreign};

static void *create_foreign(const struct subject *subject, const struct setting *setting)
{
    struct alloc *self = create(subject, setting);

    ours_call_open(&self->others, &program, 0, setting);
    self->others.request->operation = (uint32_t)self->areas;
    self->others.request->cookie = self->pages;
    return self;
}

static uint64_t time_all(struct alloc *self)
{
    uint64_t begin_ns = now_ns();

    alloc_all(self);
    free_all(self);
    return now_ns() - begin_ns;
}

static void sample_foreign(void *argument, uint64_t *values)
{
    struct alloc *self = argument;

    ours_call(&self->others, 0);
    uint64_t foreign_ns = time_all(self);
    if (memcmp(self->held, others.held, self->areas * sizeof *self->held) != 0) {
        fail("pages that another process has freed", -ENOENT); /* with `flat` they have one address */
    }
    uint64_t own_ns = time_all(self);
    values[0] = foreign_ns;
    values[1] = foreign_ns > own_ns ? foreign_ns - own_ns : 0;
}

static void destroy_foreign(void *argument)
{
    struct alloc *self = argument;

    ours_call_close(&self->others);
    free(self);
}

/* --- Rows ----------------------------------------------------------------------------------------------------------------- */

#define OWN .create = create, .enter = make_own, .sample = sample, .destroy = destroy
#define FOREIGN                                                                                    \
    .raw = {false, true}, .create = create_foreign, .sample = sample_foreign, .destroy = destroy_foreign

static const struct subject alloc_1 = {
    .names = {"alloc_1_flat"}, .bytes = ANT_PAGE_BYTES, .batch = BATCH, OWN};
static const struct subject alloc_256 = {.names = {"alloc_256_flat"}, .bytes = MIB, .batch = BATCH, OWN};
static const struct subject alloc_1_foreign = {
    .names = {"alloc_1_flat_foreign", "alloc_1_flat_foreign_more"},
    .bytes = ANT_PAGE_BYTES,
    .batch = BATCH,
    .rarity = 5,
    FOREIGN};
static const struct subject alloc_256_foreign = {
    .names = {"alloc_256_flat_foreign", "alloc_256_flat_foreign_more"}, .bytes = MIB, .rarity = 10, FOREIGN};
static const struct subject *const flat_subjects[] = {
    &limit_clear_1,   &limit_clear_256,   &alloc_1, &alloc_256,
    &alloc_1_foreign, &alloc_256_foreign, NULL};
static const struct row flat_rows[] = {
    {"alloc_1_flat", NULL, UNIT_NS, {NULL}, FIGURE_AT_MOST, 150},
    {"alloc_256_flat", NULL, UNIT_NS, {NULL}, FIGURE_AT_MOST, 300},
    {"alloc_1_flat_foreign", NULL, UNIT_NS, {"clear_1"}, RATIO_AT_MOST, 1.3},
    {"alloc_256_flat_foreign", NULL, UNIT_NS, {"clear_256"}, RATIO_AT_MOST, 1.3},
    {"alloc_1_flat_foreign_more", NULL, UNIT_NS, {"clear_1"}, JUDGED_NOT, 0},
    {"alloc_256_flat_foreign_more", NULL, UNIT_NS, {"clear_256"}, JUDGED_NOT, 0},
};

const struct group group_alloc_flat = {.mover = ANT_MOVER_FLAT,
                                       .cpus = 1,
                                       .client_priority = LOWER_PRIORITY,
                                       .server_priority = UPPER_PRIORITY,
                                       .subjects = flat_subjects,
                                       GROUP_ROWS(flat_rows)};

static const struct subject alloc_1_strict = {.names = {"alloc_1_strict"}, .bytes = ANT_PAGE_BYTES, OWN};
static const struct subject *const strict_subjects[] = {&limit_uffd_move_64, &alloc_1_strict, NULL};
static const struct row strict_rows[] = {
    {"alloc_1_strict", NULL, UNIT_NS, {"uffd_move_64"}, RATIO_AT_MOST, 1.5},
};

const struct group group_alloc_strict = {.mover = ANT_MOVER_STRICT,
                                         .cpus = 1,
                                         .client_priority = LOWER_PRIORITY,
                                         .server_priority = UPPER_PRIORITY,
                                         .subjects = strict_subjects,
                                         GROUP_ROWS(strict_rows)};
