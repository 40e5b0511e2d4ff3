/*
 * ICA: areas of contiguous pages that are handed, not copied, from one process to another.
 *
 * An area is attached to one virtual space at a time: that of the process that allocated it, until a request or a
 * reply hands it on. It has the same offset in every window, so an area that comes back is where it was. A pointer
 * kept after the area has left is stale; what an access through it does depends on the mover (see core.h).
 *
 * Paper: section 2.2.
 */
#ifndef ANT_ICA_H
#define ANT_ICA_H

#include <ant/base.h>

ANT_BEGIN_DECLS

/* Is an area contiguous in the real memory of the host? (In the pool, the emulated machine's real memory, it always is.) */
enum ant_contiguity {
    ANT_CONTIGUITY_NO,       /* it lies in several runs of host frames, or is not wholly resident */
    ANT_CONTIGUITY_EXPECTED, /* it was cut from one transparent huge page; this user may not look at frame numbers */
    ANT_CONTIGUITY_VERIFIED, /* one run of host frames, read from the kernel's page map just now */
};

struct ant_ica_info {
    size_t pages;                   /* length, in pages of ANT_PAGE_BYTES */
    size_t frame;                   /* first frame in the pool */
    enum ant_contiguity contiguity; /* in the host's real memory */
};

struct ant_ica_stats {
    size_t page_count;       /* pages in the pool */
    size_t free_pages;       /* pages in no area */
    size_t largest_free_run; /* the longest area that could be allocated now, in pages */
    size_t own_pages;        /* pages attached to the calling process */
};

/*
 * Allocates an area of contiguous pages, attached to the calling process.
 *
 * pages: 1 to the pool's page count. With the mover `strict`, areas of 256 pages and more are rounded up to whole
 *   huge frames of 512 pages; ant_ica_info still tells the length asked for.
 * area: gets the address of the first byte, page-aligned. Every byte is 0, or what this very process left there.
 * Blocks only while the pool's lock is held by another (bounded). The process owns the area until it frees it or hands it on.
 *
 * Errors:
 *   -EINVAL  area is NULL, or pages is 0 or more than the pool has
 *   -ENOMEM  no run of that many pages is free, or the host has no memory or mapping left for it
 *   -EPERM   the calling thread is no process
 *
 * Paper: section 2.2 (1) and (2).
 */
ANT_API int ant_ica_alloc(size_t pages, void **area);

/*
 * Frees an area of the calling process. From then on its address is stale.
 *
 * area: the first byte of an area attached to the calling process that is not a request (see ant_request_free).
 *
 * Errors:
 *   -EFAULT  area is the address of no area: outside the window, never allocated, or freed before
 *   -EPERM   the area there is another process's now, or belongs to the predecessor that a swap has not yet replaced;
 *            or the calling thread is no process
 *   -EINVAL  area points into the middle of an area, or at a request
 *   -EBUSY   area is the state of the calling server
 *   -ENOMEM  the host cannot move the area now; it is still the caller's
 *
 * Paper: section 2.2 (1).
 */
ANT_API int ant_ica_free(void *area);

/*
 * Tells the length and the place of an area of the calling process.
 *
 * area: the first byte of an area attached to the calling process, a request included.
 * info: filled. Reading the kernel's page map takes some microseconds.
 *
 * Errors:
 *   -EFAULT  area is the address of no area
 *   -EPERM   the area there is another process's now, or the calling thread is no process
 *   -EINVAL  info is NULL, or area points into the middle of an area
 */
ANT_API int ant_ica_info(const void *area, struct ant_ica_info *info);

/*
 * Lists the areas of the calling process, its state and the requests that it holds or serves included, by frame. A successor of the dead that was trusted
 * with the state finds here what its predecessor had and the state does not name, once it serves: in `start` a new server has only what it has
 * allocated. Takes time in proportion to the pool.
 *
 * areas: gets the addresses of up to capacity of them; may be NULL when capacity is 0.
 * count: gets how many there are, also when that is more than capacity.
 *
 * Errors:
 *   -EINVAL  count is NULL, or areas is NULL and capacity is not 0
 *   -EPERM   the calling thread is no process
 */
ANT_API int ant_ica_list(void **areas, size_t capacity, size_t *count);

/*
 * Tells how full the pool is.
 *
 * stats: filled; a snapshot.
 *
 * Errors:
 *   -EINVAL  stats is NULL
 *   -EPERM   the calling thread is no process
 */
ANT_API int ant_ica_stats(struct ant_ica_stats *stats);

ANT_END_DECLS

#endif
