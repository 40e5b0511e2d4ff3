/*
 * Two windows between which UFFDIO_MOVE moves pages, as those of two processes with the mover `strict`: registered with a userfaultfd
 * of user mode that raises SIGBUS. In the first lie one page, at its start, and one huge page behind it.
 */
#ifndef WINDOWS_H
#define WINDOWS_H

#include "subject.h"

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#define WINDOWS_PAGE_BYTES ((size_t)4096)
#define WINDOWS_HUGE_BYTES ((size_t)2 << 20)

struct windows {
    int uffd;
    char *one, *other;
    char *mapping; /* of both */
};

/* False: there is no userfaultfd that moves pages; errno says why. */
bool windows_open(struct windows *windows);
void windows_close(struct windows *windows);

/* Where in a window the huge page lies. */
static inline char *windows_huge(char *window)
{
    return window + WINDOWS_HUGE_BYTES;
}

/* Not in Debian 12's headers. */
struct windows_uffd_move {
    uint64_t dst, src, len, mode;
    int64_t move;
};
#define WINDOWS_UFFD_MOVE _IOWR(0xAA, 0x05, struct windows_uffd_move)
#define WINDOWS_UFFD_DONTWAKE UINT64_C(1)

static inline void windows_move(const struct windows *windows, char *from, char *to, size_t bytes)
{
    struct windows_uffd_move move = {
        .dst = (uintptr_t)to, .src = (uintptr_t)from, .len = bytes, .mode = WINDOWS_UFFD_DONTWAKE};

    limit_must(ioctl(windows->uffd, WINDOWS_UFFD_MOVE, &move) == 0, "UFFDIO_MOVE");
}

#endif
