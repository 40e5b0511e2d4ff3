/*
 * Which mover runs: the choice, the reservation, and sentences about what was refused.
 *
 * The reservation is one mapping without access, 2 MiB aligned, that no child inherits and that no earlier
 * mlockall populates. Its flags are set before a mover opens parts of it: so all mappings cut from it are alike, and merge again.
 */
#include "ica/mover.h"
#include "ica/sanitizer.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

const char *antk_mover_name(enum ant_mover mover)
{
    switch (mover) {
    case ANT_MOVER_AUTO:
        return "auto";
    case ANT_MOVER_STRICT:
        return "strict";
    case ANT_MOVER_STRICT_MREMAP:
        return "strict-mremap";
    case ANT_MOVER_FLAT:
        return "flat";
    case ANT_MOVER_COPY:
        return "copy";
    }
    return "?";
}

static const struct antk_mover *named(enum ant_mover mover)
{
    switch (mover) {
    case ANT_MOVER_STRICT:
        return &antk_mover_strict;
    case ANT_MOVER_STRICT_MREMAP:
        return &antk_mover_strict_mremap;
    case ANT_MOVER_FLAT:
        return &antk_mover_flat;
    case ANT_MOVER_COPY:
        return &antk_mover_copy;
    default:
        return NULL;
    }
}

bool antk_charges_addresses(void)
{
    FILE *file = fopen("/proc/sys/vm/overcommit_memory", "re");
    int mode = file != NULL ? fgetc(file) : EOF;
    if (file != NULL)
        fclose(file);
    return mode == '2';
}

/* "; NAME is N MiB", or nothing where there is no limit. */
static const char *limit_text(const struct rlimit *limit, const char *name, char *text, size_t text_bytes)
{
    text[0] = '\0';
    if (limit->rlim_cur != RLIM_INFINITY)
        snprintf(text, text_bytes, "; %s is %" PRIu64 " MiB", name, (uint64_t)limit->rlim_cur >> 20);
    return text;
}

int antk_no_memory(const struct antk_pool *pool, const char *what, size_t bytes, int error,
                   char *reason, size_t reason_bytes)
{
    struct rlimit addresses = {.rlim_cur = RLIM_INFINITY}, data = {.rlim_cur = RLIM_INFINITY};
    getrlimit(RLIMIT_AS, &addresses);
    getrlimit(RLIMIT_DATA, &data);
    char addresses_text[64], data_text[64];
    snprintf(reason, reason_bytes,
             "cannot %s, %zu MiB for a pool of %zu MiB and %" PRIu32 " windows: %s%s%s%s%s; "
             "make the pool smaller (pool_bytes) or the windows fewer (max_processes)",
             what, bytes >> 20, pool->bytes >> 20, pool->max_windows, strerror(error),
             limit_text(&addresses, "RLIMIT_AS (ulimit -v)", addresses_text, sizeof(addresses_text)),
             limit_text(&data, "RLIMIT_DATA (ulimit -d)", data_text, sizeof(data_text)),
             antk_charges_addresses() ? "; vm.overcommit_memory is 2, which charges all writable addresses"
                                      : "",
             error == EAGAIN ? "; mlockall(MCL_FUTURE) is in force, use MCL_ONFAULT or lock after the boot"
                             : "");
    return -ENOMEM;
}

void antk_mover_torn(void)
{
    static const char text[] = "libant: the pages of an area are torn between two windows; aborting\n";
    fputs(text, stderr);
    abort();
}

void antk_protect_again(char *run, size_t bytes, int protection)
{
    for (unsigned tries = 0; mprotect(run, bytes, protection) != 0; tries++) {
        if (tries == ANTK_UNDO_TRIES)
            antk_mover_torn();
        sched_yield();
    }
}

int antk_populate(char *block)
{
    if (madvise(block, ANTK_HUGE_BYTES, MADV_POPULATE_WRITE) == 0)
        return 0;
    if (errno != EINVAL)
        return -ENOMEM;
    /* Before Linux 5.14: touch every page. */
    for (size_t at = 0; at < ANTK_HUGE_BYTES; at += ANT_PAGE_BYTES)
        *(volatile char *)(block + at) = 0;
    return 0;
}

char *antk_reserve(size_t bytes)
{
    size_t loose_bytes = bytes + ANTK_HUGE_BYTES; /* to cut an aligned piece out of */
    char *loose =
        mmap(NULL, loose_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (loose == MAP_FAILED)
        return NULL;
    size_t head = (ANTK_HUGE_BYTES - (uintptr_t)loose % ANTK_HUGE_BYTES) % ANTK_HUGE_BYTES;
    if (head > 0)
        munmap(loose, head);
    munmap(loose + head + bytes, ANTK_HUGE_BYTES - head);

    char *base = loose + head;
    munlock(base, bytes); /* after mlockall(MCL_FUTURE), opening it would populate it */
    madvise(base, bytes, MADV_HUGEPAGE); /* a kernel without huge pages refuses, and does without */
    madvise(base, bytes, MADV_DONTFORK); /* a fork would make pages shared for ever: UFFDIO_MOVE refuses those */
    return base;
}

/* Reserves and opens with one mover. */
static int start(struct antk_pool *pool, const struct antk_mover *mover, char *reason, size_t reason_bytes)
{
    size_t windows = mover->one_window ? 1 : (size_t)pool->max_windows + 1;
    pool->span_bytes = windows * pool->bytes;
    pool->base = antk_reserve(pool->span_bytes);
    if (pool->base == NULL)
        return antk_no_memory(pool, "reserve addresses", pool->span_bytes, errno, reason, reason_bytes);
    pool->mover = mover;
    int error = mover->create(pool, reason, reason_bytes);
    if (error != 0)
        antk_mover_stop(pool);
    return error;
}

int antk_mover_start(struct antk_pool *pool, enum ant_mover wanted, char *reason, size_t reason_bytes)
{
    char refused[512] = "";
    const char *why = "asked for by name";
    const struct antk_mover *mover = named(wanted);
    if (mover == NULL) {
        mover = antk_under_tsan() ? &antk_mover_copy : &antk_mover_strict;
        why = antk_under_tsan() ? "ThreadSanitizer cannot follow pages that move" : "the default";
    }

    int error = start(pool, mover, refused, sizeof(refused));
    if (error != 0 && wanted == ANT_MOVER_AUTO && mover == &antk_mover_strict) {
        char again[512] = "";
        mover = &antk_mover_strict_mremap;
        why = refused;
        error = start(pool, mover, again, sizeof(again));
        if (error != 0)
            memcpy(refused, again, sizeof(refused));
    }
    if (error != 0)
        snprintf(reason, reason_bytes, "the mover %s cannot run: %s", antk_mover_name(mover->mover),
                 refused);
    else
        snprintf(reason, reason_bytes, "%s: %s", why, mover->promise);
    return error;
}

void antk_mover_stop(struct antk_pool *pool)
{
    pool->mover->destroy(pool);
    munmap(pool->base, pool->span_bytes);
}
