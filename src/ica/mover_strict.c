/*
 * `strict`: UFFDIO_MOVE (Linux 6.8) moves page table entries between windows; a stale access raises SIGBUS.
 *
 * Home and all windows are one readable and writable mapping, registered as a whole with a userfaultfd whose handler
 * is "raise SIGBUS" (a system call gets EFAULT). So a page that is not there is never filled in by the kernel, whoever
 * touches it and however: this is what makes a stale address fault. Memory comes in by UFFDIO_MOVE and UFFDIO_COPY only.
 *
 * Rules that keep it so
 * - No mmap, mremap or mprotect in the mapping after it has been registered: a merge with an unregistered neighbour
 *   would silently drop the registration.
 * - New memory is made in `staging`, which is not registered, and moved to home as one huge page. The kernel's own
 *   collapsing of small pages into huge ones is off: huge pages that pieces are cut from would come and go unseen.
 * - Before the first piece of a huge page moves alone, strict_cut splits it. The kernel would do so by itself, but then it
 *   replaces every page that is all zero by the shared zero page (since Linux 6.12), and contiguous memory is lost.
 * - A page that cannot move (pinned by direct I/O, in a mapping that the program has split by mlock or madvise) is
 *   copied by UFFDIO_COPY, and its source thrown away.
 */
#include "ica/mover.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not in Debian 12's headers. */
#define MOVE_FEATURE (UINT64_C(1) << 16)
#define MOVE_NUMBER 0x05
#define MOVE_DONTWAKE UINT64_C(1)
struct uffd_move {
    uint64_t dst, src, len, mode;
    int64_t move; /* bytes moved, or a negative errno value */
};
#define UFFD_MOVE _IOWR(0xAA, MOVE_NUMBER, struct uffd_move)
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define ADVICE_DONTNEED_LOCKED 24 /* MADV_DONTNEED that also works on locked pages; Linux 5.18 */

#define BUSY_TRIES 4     /* a pinned page may be let go soon, but rarely is */
#define AGAIN_TRIES 1000 /* a page that migrates comes to rest */

static int refuse(const char *what, int error, char *reason, size_t reason_bytes)
{
    snprintf(reason, reason_bytes, "%s (%s)", what, strerror(error));
    return -ENOTSUP;
}

static int open_userfaultfd(struct antk_pool *pool, char *reason, size_t reason_bytes)
{
    pool->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    if (pool->uffd < 0)
        return refuse("userfaultfd is not permitted here, by seccomp or by the kernel", errno,
                      reason, reason_bytes);
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_SIGBUS | MOVE_FEATURE};
    if (ioctl(pool->uffd, UFFDIO_API, &api) != 0)
        return refuse("this kernel has no UFFDIO_MOVE, which came with Linux 6.8", errno, reason,
                      reason_bytes);
    return 0;
}

/* Registers, then opens: from its first readable moment on nothing is filled in. */
static int open_registered(struct antk_pool *pool, char *run, size_t bytes, char *reason,
                           size_t reason_bytes)
{
    struct uffdio_register all = {
        .range = {.start = (uintptr_t)run, .len = bytes},
        .mode = UFFDIO_REGISTER_MODE_MISSING,
    };
    if (ioctl(pool->uffd, UFFDIO_REGISTER, &all) != 0)
        return refuse("the windows cannot be registered with userfaultfd", errno, reason, reason_bytes);
    if ((all.ioctls & UINT64_C(1) << MOVE_NUMBER) == 0)
        return refuse("this kernel's UFFDIO_MOVE does not work on the windows", ENOTSUP, reason,
                      reason_bytes);
    if (mprotect(run, bytes, PROT_READ | PROT_WRITE) != 0)
        return antk_no_memory(pool, "open the windows", bytes, errno, reason, reason_bytes);
    madvise(run, bytes, MADV_NOHUGEPAGE);
    return 0;
}

/* Behind the staging block lies a registered one, where strict_cut puts a page for a moment. */
#define STAGING_BYTES (2 * ANTK_HUGE_BYTES)

static int strict_create(struct antk_pool *pool, char *reason, size_t reason_bytes)
{
    int error = open_userfaultfd(pool, reason, reason_bytes);
    if (error == 0)
        error = open_registered(pool, pool->base, pool->span_bytes, reason, reason_bytes);
    if (error != 0)
        return error;
    pool->staging = antk_reserve(STAGING_BYTES);
    if (pool->staging == NULL || mprotect(pool->staging, ANTK_HUGE_BYTES, PROT_READ | PROT_WRITE) != 0)
        return antk_no_memory(pool, "map a staging block", STAGING_BYTES, errno, reason, reason_bytes);
    return open_registered(pool, pool->staging + ANTK_HUGE_BYTES, ANTK_HUGE_BYTES, reason, reason_bytes);
}

static void strict_destroy(struct antk_pool *pool)
{
    if (pool->staging != NULL)
        munmap(pool->staging, STAGING_BYTES);
    if (pool->uffd >= 0)
        close(pool->uffd);
    pool->staging = NULL;
    pool->uffd = -1;
}

/* Fills an empty piece of a window with a copy of bytes; as copied, or a negative errno value with nothing filled. */
static int fill(struct antk_pool *pool, char *to, const char *bytes, size_t length)
{
    size_t done = 0;
    for (unsigned tries = 0; done < length;) {
        struct uffdio_copy copy = {
            .dst = (uintptr_t)to + done,
            .src = (uintptr_t)bytes + done,
            .len = length - done,
            .mode = UFFDIO_COPY_MODE_DONTWAKE,
        };
        if (ioctl(pool->uffd, UFFDIO_COPY, &copy) == 0)
            return 0;
        int error = errno;
        if (copy.copy > 0) {
            done += (size_t)copy.copy;
            tries = 0;
        } else if (error != EAGAIN || ++tries > AGAIN_TRIES) {
            if (done > 0)
                madvise(to, done, ADVICE_DONTNEED_LOCKED);
            return -error;
        }
    }
    return 0;
}

/* Carries by copying what cannot be moved from here on: a whole huge frame or a page. The bytes carried, or -errno. */
static ssize_t copy_piece(struct antk_pool *pool, char *from, char *to, size_t bytes)
{
    static const char zero_page[ANT_PAGE_BYTES];
    bool whole = ((uintptr_t)from | (uintptr_t)to) % ANTK_HUGE_BYTES == 0 && bytes >= ANTK_HUGE_BYTES;
    size_t length = whole ? ANTK_HUGE_BYTES : ANT_PAGE_BYTES;

    int error = fill(pool, to, from, length);
    if (error != 0 && error != -ENOMEM && whole) {
        length = ANT_PAGE_BYTES;
        error = fill(pool, to, from, length);
    }
    if (error == -EFAULT && length == ANT_PAGE_BYTES) /* the program has thrown this page away itself */
        error = fill(pool, to, zero_page, length);
    if (error != 0)
        return error;
    madvise(from, length, ADVICE_DONTNEED_LOCKED);
    uint32_t window, frame;
    if (antk_pool_locate(pool, to, &window, &frame)) {
        _Atomic uint8_t *state = &pool->block_state[frame / ANTK_HUGE_PAGES];
        atomic_fetch_and_explicit(state, (uint8_t)~ANTK_BLOCK_HUGE, memory_order_relaxed);
    }
    return (ssize_t)length;
}

/*
 * EEXIST, though destinations are empty: Linux 6.18, which moves pages in batches, forgets to clear its own EAGAIN after
 * it has tried again with success; it tries once more, finds the pages there, and counts none of them. So a page that is
 * there, and here no more, has moved.
 */
static bool moved_unseen(const struct antk_pool *pool, const char *from, const char *to)
{
    return !antk_page_present(pool, from) && antk_page_present(pool, to);
}

/* Carries pages until all are there or one cannot be carried; *done: bytes that arrived, from the start. */
static int carry(struct antk_pool *pool, char *from, char *to, size_t bytes, size_t *done)
{
    unsigned busy = 0, again = 0;
    for (*done = 0; *done < bytes;) {
        struct uffd_move move = {
            .dst = (uintptr_t)to + *done,
            .src = (uintptr_t)from + *done,
            .len = bytes - *done,
            .mode = MOVE_DONTWAKE,
        };
        if (ioctl(pool->uffd, UFFD_MOVE, &move) == 0) {
            *done = bytes;
            return 0;
        }
        int error = errno;
        if (move.move > 0) {
            *done += (size_t)move.move;
            busy = again = 0;
        } else if (error == EEXIST && moved_unseen(pool, from + *done, to + *done)) {
            *done += ANT_PAGE_BYTES;
            busy = again = 0;
        } else if (error == EAGAIN && again < AGAIN_TRIES) {
            again++;
        } else if (error == EBUSY && busy < BUSY_TRIES) {
            busy++;
        } else if (error == EBUSY || error == EAGAIN || error == EINVAL || error == ENOENT) {
            ssize_t copied = copy_piece(pool, from + *done, to + *done, bytes - *done);
            if (copied < 0)
                return (int)copied;
            *done += (size_t)copied;
            busy = BUSY_TRIES; /* what follows is likely busy too */
            again = 0;
        } else {
            return -error;
        }
    }
    return 0;
}

static int strict_move(struct antk_pool *pool, char *from, char *to, size_t bytes)
{
    size_t done;
    int error = carry(pool, from, to, bytes, &done);
    if (error == 0)
        return 0;
    /* Back: those pages have just moved, so they can; only memory for page tables may be short for a while. */
    size_t back = 0;
    for (unsigned tries = 0; back < done; tries++) {
        size_t part;
        carry(pool, to + back, from + back, done - back, &part);
        back += part;
        if (tries > ANTK_UNDO_TRIES)
            antk_mover_torn();
    }
    return error;
}

static int strict_populate(struct antk_pool *pool, uint32_t block, bool *huge)
{
    char *home = antk_home(pool, block * ANTK_HUGE_PAGES);
    if (antk_populate(pool->staging) != 0)
        return -ENOMEM;
    bool was_huge = antk_mapped_huge(pool, pool->staging);
    size_t done;
    if (carry(pool, pool->staging, home, ANTK_HUGE_BYTES, &done) != 0) {
        /* Nothing moves into staging, which is not registered; there is nothing in it worth keeping either. */
        madvise(home, ANTK_HUGE_BYTES, ADVICE_DONTNEED_LOCKED);
        madvise(pool->staging, ANTK_HUGE_BYTES, ADVICE_DONTNEED_LOCKED);
        return -ENOMEM;
    }
    *huge = was_huge;
    return 0;
}

static int strict_cut(struct antk_pool *pool, uint32_t block)
{
    char *home = antk_home(pool, block * ANTK_HUGE_PAGES), *aside = pool->staging + ANTK_HUGE_BYTES;
    bool marked[ANTK_HUGE_PAGES];
    for (size_t page = 0; page < ANTK_HUGE_PAGES; page++) { /* a page with a byte that is not 0 keeps its frame */
        volatile char *byte = home + page * ANT_PAGE_BYTES;
        marked[page] = *byte == 0;
        if (marked[page])
            *byte = 1;
    }
    int error = strict_move(pool, home, aside, ANT_PAGE_BYTES);
    for (unsigned tries = 0; error == 0 && strict_move(pool, aside, home, ANT_PAGE_BYTES) != 0; tries++)
        if (tries > ANTK_UNDO_TRIES)
            antk_mover_torn();
    for (size_t page = 0; page < ANTK_HUGE_PAGES; page++)
        if (marked[page])
            *(volatile char *)(home + page * ANT_PAGE_BYTES) = 0;
    return error != 0 ? -ENOMEM : 0;
}

const struct antk_mover antk_mover_strict = {
    .mover = ANT_MOVER_STRICT,
    .promise = "UFFDIO_MOVE moves pages, a stale access raises SIGBUS",
    .whole_huge = true,
    .keeps_bytes = true,
    .create = strict_create,
    .destroy = strict_destroy,
    .populate = strict_populate,
    .cut = strict_cut,
    .attach = strict_move,
    .detach = strict_move,
    .remap = strict_move,
};
