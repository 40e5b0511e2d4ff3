/*
 * The moves of a call with the mover `strict-mremap`, and nothing else: a page there and back between two mappings without
 * access; the source is closed, its page tables are carried over, the destination is opened. One word is read where it is
 * now, as in uffd_move.c.
 */
#include "subject.h"

#include <stdlib.h>
#include <sys/mman.h>

#define PAGE_BYTES ((size_t)4096)
#define WINDOW_BYTES ((size_t)2 << 20)

struct mover {
    char *windows[2];
};

static inline void move(char *from, char *to)
{
    limit_must(mprotect(from, PAGE_BYTES, PROT_NONE) == 0 &&
                   mremap(from, PAGE_BYTES, PAGE_BYTES,
                          MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) != MAP_FAILED &&
                   mprotect(to, PAGE_BYTES, PROT_READ | PROT_WRITE) == 0,
               "mremap");
    (void)*(volatile uint64_t *)to;
}

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct mover *self = limit_new(sizeof *self);

    (void)subject, (void)setting;
    for (int i = 0; i < 2; i++) {
        self->windows[i] =
            mmap(NULL, WINDOW_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        limit_must(self->windows[i] != MAP_FAILED, "memory");
        madvise(self->windows[i], WINDOW_BYTES, MADV_NOHUGEPAGE);
    }
    limit_must(mprotect(self->windows[0], PAGE_BYTES, PROT_READ | PROT_WRITE) == 0, "mprotect");
    *(volatile uint64_t *)self->windows[0] = 1;
    return self;
}

static void sample(void *argument, uint64_t *values)
{
    struct mover *self = argument;
    uint64_t begin_ns = now_ns();

    move(self->windows[0], self->windows[1]);
    move(self->windows[1], self->windows[0]);
    values[0] = now_ns() - begin_ns;
}

static void destroy(void *argument)
{
    struct mover *self = argument;

    munmap(self->windows[0], WINDOW_BYTES);
    munmap(self->windows[1], WINDOW_BYTES);
    free(self);
}

const struct subject limit_mremap_64 = {
    .names = {"mremap_64"}, .bytes = 64, .create = create, .sample = sample, .destroy = destroy};
