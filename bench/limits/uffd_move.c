/*
 * The moves of a call with the mover `strict`, and nothing else: UFFDIO_MOVE between two registered windows.
 *
 * uffd_move_64: one page there and back. uffd_move_1m: one page and one huge page there, then both back (areas of 1 MiB lie
 * in whole huge pages). After each move one word of what has moved is read where it is now, as somebody does in every
 * call: a page that nobody has touched moves more cheaply, as no processor can know it.
 */
#include "subject.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not in Debian 12's headers. */
#define MOVE_FEATURE (UINT64_C(1) << 16)
#define MOVE_DONTWAKE UINT64_C(1)
struct uffd_move {
    uint64_t dst, src, len, mode;
    int64_t move;
};
#define UFFD_MOVE _IOWR(0xAA, 0x05, struct uffd_move)
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

#define PAGE_BYTES ((size_t)4096)
#define HUGE_BYTES ((size_t)2 << 20)
#define WINDOW_BYTES (2 * HUGE_BYTES) /* the page at its start, the huge page behind */

struct mover {
    int uffd;
    bool huge;
    char *windows; /* two, one behind the other */
    char *windows_mapping, *staging_mapping;
};

static inline void move(struct mover *self, char *from, char *to, size_t bytes)
{
    struct uffd_move move = {
        .dst = (uintptr_t)to, .src = (uintptr_t)from, .len = bytes, .mode = MOVE_DONTWAKE};

    limit_must(ioctl(self->uffd, UFFD_MOVE, &move) == 0, "UFFDIO_MOVE");
    (void)*(volatile uint64_t *)to;
}

/* Addresses without memory, aligned to huge pages; *mapping: of bytes + HUGE_BYTES, to unmap. */
static char *reserve(size_t bytes, char **mapping)
{
    *mapping = mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    limit_must(*mapping != MAP_FAILED, "memory");
    return *mapping + (HUGE_BYTES - (uintptr_t)*mapping % HUGE_BYTES) % HUGE_BYTES;
}

/* False: there is no userfaultfd that moves pages. */
static bool open_uffd(struct mover *self)
{
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_SIGBUS | MOVE_FEATURE};

    self->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    return self->uffd >= 0 && ioctl(self->uffd, UFFDIO_API, &api) == 0;
}

static void open_windows(struct mover *self)
{
    self->windows = reserve(2 * WINDOW_BYTES, &self->windows_mapping);
    struct uffdio_register all = {
        .range = {.start = (uintptr_t)self->windows_mapping, .len = 2 * WINDOW_BYTES + HUGE_BYTES},
        .mode = UFFDIO_REGISTER_MODE_MISSING,
    };
    limit_must(ioctl(self->uffd, UFFDIO_REGISTER, &all) == 0, "UFFDIO_REGISTER");
}

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct mover *self = limit_new(sizeof *self);

    (void)setting;
    self->huge = subject->bytes >= HUGE_BYTES / 2;
    if (!open_uffd(self)) {
        if (self->uffd >= 0) {
            close(self->uffd);
        }
        free(self);
        return NULL;
    }
    open_windows(self);
    char *staging = reserve(WINDOW_BYTES, &self->staging_mapping);
    madvise(staging, HUGE_BYTES, MADV_NOHUGEPAGE);
    madvise(staging + HUGE_BYTES, HUGE_BYTES, MADV_HUGEPAGE);
    memset(staging, 1, PAGE_BYTES);
    memset(staging + HUGE_BYTES, 1, HUGE_BYTES);
    move(self, staging, self->windows, PAGE_BYTES);
    move(self, staging + HUGE_BYTES, self->windows + HUGE_BYTES, HUGE_BYTES);
    return self;
}

static void sample(void *argument, uint64_t *values)
{
    struct mover *self = argument;
    char *one = self->windows, *other = self->windows + WINDOW_BYTES;
    uint64_t begin_ns = now_ns();

    move(self, one, other, PAGE_BYTES);
    if (self->huge) {
        move(self, one + HUGE_BYTES, other + HUGE_BYTES, HUGE_BYTES);
    }
    move(self, other, one, PAGE_BYTES);
    if (self->huge) {
        move(self, other + HUGE_BYTES, one + HUGE_BYTES, HUGE_BYTES);
    }
    values[0] = now_ns() - begin_ns;
}

static void destroy(void *argument)
{
    struct mover *self = argument;

    munmap(self->windows_mapping, 2 * WINDOW_BYTES + HUGE_BYTES);
    munmap(self->staging_mapping, WINDOW_BYTES + HUGE_BYTES);
    close(self->uffd);
    free(self);
}

#define UFFD_MOVES .create = create, .sample = sample, .destroy = destroy
const struct subject limit_uffd_move_64 = {.names = {"uffd_move_64"}, .bytes = 64, UFFD_MOVES};
const struct subject limit_uffd_move_1m = {.names = {"uffd_move_1m"}, .bytes = (size_t)1 << 20, UFFD_MOVES};
