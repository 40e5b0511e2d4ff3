/*
 * The ICA room: a pool of page frames, windows that show areas of it, and movers that carry areas between windows.
 *
 * This room knows windows, not processes. It takes no lock of its own: calls marked [pool] are serialised by the
 * caller for the whole pool; the others touch one area and may run at once for different areas.
 *
 * An area at frame f is at base(window) + f * ANT_PAGE_BYTES in whichever window holds it. Free frames lie in the
 * pool's own window, `home`, which no program knows. All windows lie in one reservation of (max_windows + 1) *
 * pool bytes, so an address tells its window by arithmetic (also in a signal handler).
 *
 * Errors are 0 or negative errno values; an operation that fails has changed nothing.
 */
#ifndef ANTK_ICA_H
#define ANTK_ICA_H

#include <ant/core.h>
#include <ant/ica.h>
#include <stdatomic.h>

/* A condition that no request meets on its ordinary way: what is done then shall lie apart from that. */
#define ANTK_RARELY(condition) __builtin_expect((condition) ? 1 : 0, 0)

/*
 * The public calls of a request's way are compiled as a whole: every call and return, after the kernel has been at work, costs the processor
 * a look at a table that it has lost (docs/speed.md). What they seldom call is kept out of them.
 */
#define ANTK_WHOLE __attribute__((flatten))
#define ANTK_APART __attribute__((noinline, cold))

#define ANTK_NO_FRAME UINT32_MAX
#define ANTK_HUGE_PAGES 512u /* pages of one transparent huge page */
#define ANTK_HUGE_FROM 256u  /* `strict`: areas of this many pages and more take whole huge frames */

/* What the pool knows of an area; one per frame, meaningful at an area's first frame. */
struct antk_area {
    _Atomic uint32_t owner; /* id of the window that it is attached to (1 up); 0: no area begins here */
    uint32_t pages;         /* as asked for; read only by whoever owns the area */
    uint32_t frames;        /* as taken from the pool: pages, or whole huge frames */
    _Atomic uint32_t tag;   /* the caller's (the core: the incarnation that allocated it) */
};

struct antk_window {
    char *base;     /* NULL until created */
    uint32_t id;    /* 1 up; 0 is home */
    uint32_t space; /* who the window belongs to now, 1 up: another number for each new process; decides what must be cleared */
};

struct antk_mover;
struct antk_pool;

struct antk_pool_config {
    size_t bytes;         /* a multiple of 2 MiB */
    uint32_t max_windows; /* window ids 1 to max_windows */
    enum ant_mover mover; /* ANT_MOVER_AUTO: strict, else strict-mremap (copy under ThreadSanitizer) */
    bool prefault;        /* populate the whole pool at creation */
};

/*
 * Reserves addresses, chooses the mover. reason (of reason_bytes) gets a sentence: on success which mover runs and
 * why, on failure what was refused and what could help (overcommit, RLIMIT_AS, userfaultfd, smaller pool or fewer windows).
 * -ENOMEM: no room. -ENOTSUP: the mover asked for by name cannot run here. -EINVAL: config.
 */
int antk_pool_create(const struct antk_pool_config *config, struct antk_pool **pool, char *reason,
                     size_t reason_bytes);
/* Unmaps everything; nothing for NULL. No thread may touch the pool or any window any more. */
void antk_pool_destroy(struct antk_pool *pool);

enum ant_mover antk_pool_mover(const struct antk_pool *pool); /* the one that runs; never AUTO */
bool antk_pool_one_window(const struct antk_pool *pool);      /* no pages move: all windows are one */
const char *antk_mover_name(enum ant_mover mover);            /* "strict", "strict-mremap", "flat", "copy", "auto" */
size_t antk_pool_pages(const struct antk_pool *pool);
void antk_pool_stats(struct antk_pool *pool, size_t *free_pages, size_t *largest_free_run); /* [pool] */

/* [pool] Makes the window with this id usable; sets base and id, not space; again and again, if liked. -EINVAL: no such id. Stays until the pool is destroyed. */
int antk_window_create(struct antk_pool *pool, uint32_t id, struct antk_window *window);

/* [pool] Takes a free run, populates it at home. Its area record gets pages and frames; owner stays 0, tag becomes 0. -ENOMEM; -EINVAL: 0 pages. */
int antk_area_take(struct antk_pool *pool, size_t pages, uint32_t *frame);
/* [pool] Gives a detached run back. Coalesces. Nothing happens if no detached run begins there. */
void antk_area_put(struct antk_pool *pool, uint32_t frame);

/*
 * Where in a table of small entries that of a frame lies, so that those of neighbouring frames, which often belong to processes on
 * different CPUs, do not share a cache line.
 */
static inline uint32_t antk_apart(uint32_t frame)
{
    const uint32_t quarter = ANTK_HUGE_PAGES / 4;
    return frame / ANTK_HUGE_PAGES * ANTK_HUGE_PAGES + frame % quarter * 4 + frame % ANTK_HUGE_PAGES / quarter;
}

/*
 * The moves are all or nothing. -EPERM: the area is not where it is said to be (at home, in `window`, in `from`).
 * -ENOMEM: no memory for page tables, or no mapping left (Linux allows a process 65,530; `strict-mremap`, `copy`).
 */
/* Home -> window; clears what another space left in it; owner becomes the window's. */
int antk_area_attach(struct antk_pool *pool, const struct antk_window *window, uint32_t frame);
/* Window -> home; owner becomes 0; remembers whose bytes lie there. */
int antk_area_detach(struct antk_pool *pool, const struct antk_window *window, uint32_t frame);
/*
 * Window -> window; owner becomes to's. Of one area, or of two (second; ANTK_NO_FRAME: none): both or none. Neighbours, one of
 * which begins where the other ends, go in one move, as if they were one area.
 */
int antk_areas_remap(struct antk_pool *pool, const struct antk_window *from,
                     const struct antk_window *to, uint32_t first, uint32_t second);
static inline int antk_area_remap(struct antk_pool *pool, const struct antk_window *from,
                                  const struct antk_window *to, uint32_t frame)
{
    return antk_areas_remap(pool, from, to, frame, ANTK_NO_FRAME);
}

/*
 * A remap and a detach that must not fail: what is held back for undoing is used too, and it is tried for a while. -ENOMEM: even so.
 */
int antk_areas_return(struct antk_pool *pool, const struct antk_window *from,
                      const struct antk_window *to, uint32_t first, uint32_t second);
int antk_area_bring_home(struct antk_pool *pool, const struct antk_window *window, uint32_t frame);

struct antk_area *antk_pool_area(struct antk_pool *pool, uint32_t frame);
/* The first frame at or behind this one at which an area begins, attached or not; ANTK_NO_FRAME: none does. */
uint32_t antk_area_next(struct antk_pool *pool, uint32_t from);
static inline void *antk_area_address(const struct antk_window *window, uint32_t frame)
{
    return window->base + (size_t)frame * ANT_PAGE_BYTES;
}

/*
 * Which area begins at this address, as seen from this window? With `flat` all windows have one base, and ownership alone decides.
 * -EFAULT: no area there (outside every window, at home, free). -EPERM: the area there is attached to another window now, or is seen through
 * another window's address.
 * -EINVAL: inside an area of this window, but not its first byte.
 */
int antk_area_find(struct antk_pool *pool, const struct antk_window *window, const void *address,
                   uint32_t *frame);

/* Async-signal-safe: the window id and frame of any address of the reservation; false when it is not of this pool. For `flat` the window id is 1. */
bool antk_pool_locate(const struct antk_pool *pool, const void *address, uint32_t *window_id,
                      uint32_t *frame);
/* Async-signal-safe: the attached area that covers this frame now (its rounded-up frames too); false when the frame is free or at home. */
bool antk_pool_covering(struct antk_pool *pool, uint32_t frame, uint32_t *first, uint32_t *pages,
                        uint32_t *owner);

enum ant_contiguity antk_area_contiguity(struct antk_pool *pool, const struct antk_window *window,
                                         uint32_t frame);

#endif
