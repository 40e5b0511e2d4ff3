/*
 * `copy`: windows without access, opened page by page where an area is; a move copies the bytes.
 *
 * For ThreadSanitizer, which follows bytes and not pages. A stale access raises SIGSEGV. Home is never used: a free
 * frame has no memory at all, and an area begins with zero pages.
 *
 * An area that is opened or closed costs up to two mappings; Linux allows a process 65,530. Closing may fail for that
 * reason, so it is tried before anything is thrown away.
 */
#include "ica/mover.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static int copy_create(struct antk_pool *pool, char *reason, size_t reason_bytes)
{
    (void)pool, (void)reason, (void)reason_bytes;
    return 0;
}

static void copy_destroy(struct antk_pool *pool)
{
    (void)pool;
}

static int copy_populate(struct antk_pool *pool, uint32_t block, bool *huge)
{
    (void)pool, (void)block;
    *huge = false;
    return 0;
}

static int open_run(char *run, size_t bytes)
{
    if (mprotect(run, bytes, PROT_READ | PROT_WRITE) == 0)
        return 0;
    int error = -errno;
    antk_protect_again(run, bytes, PROT_NONE); /* a run of several mappings may have been opened in part */
    return error;
}

static void empty_run(char *run, size_t bytes)
{
    if (madvise(run, bytes, MADV_DONTNEED) != 0) { /* refused where the program has locked its pages */
        munlock(run, bytes);
        madvise(run, bytes, MADV_DONTNEED);
    }
}

static int close_run(char *run, size_t bytes)
{
    if (mprotect(run, bytes, PROT_NONE) != 0) {
        int error = -errno;
        antk_protect_again(run, bytes, PROT_READ | PROT_WRITE);
        return error;
    }
    empty_run(run, bytes);
    return 0;
}

static int copy_attach(struct antk_pool *pool, char *from, char *to, size_t bytes)
{
    (void)pool, (void)from;
    return open_run(to, bytes);
}

static int copy_detach(struct antk_pool *pool, char *from, char *to, size_t bytes)
{
    (void)pool, (void)to;
    return close_run(from, bytes);
}

static int copy_remap(struct antk_pool *pool, char *from, char *to, size_t bytes)
{
    (void)pool;
    int error = open_run(to, bytes);
    if (error != 0)
        return error;
    memcpy(to, from, bytes);
    error = close_run(from, bytes);
    if (error != 0) {
        antk_protect_again(to, bytes, PROT_NONE);
        empty_run(to, bytes);
    }
    return error;
}

const struct antk_mover antk_mover_copy = {
    .mover = ANT_MOVER_COPY,
    .promise = "a move copies the bytes, a stale access raises SIGSEGV",
    .create = copy_create,
    .destroy = copy_destroy,
    .populate = copy_populate,
    .attach = copy_attach,
    .detach = copy_detach,
    .remap = copy_remap,
};
