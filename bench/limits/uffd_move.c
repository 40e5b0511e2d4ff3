/*
 * The moves of a call with the mover `strict`, and nothing else: UFFDIO_MOVE between two registered windows.
 *
 * uffd_move_64: one page there and back. uffd_move_1m: one page and one huge page there, then both back (areas of 1 MiB lie
 * in whole huge pages). After each move one word of what has moved is read where it is now, as somebody does in every
 * call: a page that nobody has touched moves more cheaply, as no processor can know it.
 */
#include "subject.h"
#include "windows.h"

#include <stdlib.h>

struct mover {
    struct windows windows;
    bool huge;
};

static inline void move(struct mover *self, char *from, char *to, size_t bytes)
{
    windows_move(&self->windows, from, to, bytes);
    (void)*(volatile uint64_t *)to;
}

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct mover *self = limit_new(sizeof *self);

    (void)setting;
    self->huge = subject->bytes > WINDOWS_PAGE_BYTES;
    if (!windows_open(&self->windows)) {
        free(self);
        return NULL;
    }
    return self;
}

static void sample(void *argument, uint64_t *values)
{
    struct mover *self = argument;
    char *one = self->windows.one, *other = self->windows.other;
    uint64_t begin_ns = now_ns();

    move(self, one, other, WINDOWS_PAGE_BYTES);
    if (self->huge) {
        move(self, windows_huge(one), windows_huge(other), WINDOWS_HUGE_BYTES);
    }
    move(self, other, one, WINDOWS_PAGE_BYTES);
    if (self->huge) {
        move(self, windows_huge(other), windows_huge(one), WINDOWS_HUGE_BYTES);
    }
    values[0] = now_ns() - begin_ns;
}

static void destroy(void *argument)
{
    struct mover *self = argument;

    windows_close(&self->windows);
    free(self);
}

#define UFFD_MOVES .create = create, .sample = sample, .destroy = destroy
const struct subject limit_uffd_move_64 = {.names = {"uffd_move_64"}, .bytes = 64, UFFD_MOVES};
const struct subject limit_uffd_move_1m = {.names = {"uffd_move_1m"}, .bytes = (size_t)1 << 20, UFFD_MOVES};
