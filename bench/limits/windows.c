/* Two windows and what lies in them; see windows.h. */
#include "windows.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not in Debian 12's headers. */
#define MOVE_FEATURE (UINT64_C(1) << 16)
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

#define WINDOW_BYTES (2 * WINDOWS_HUGE_BYTES)
#define MAPPING_BYTES                                                                              \
    (2 * WINDOW_BYTES + WINDOWS_HUGE_BYTES) /* there is a place in it where both are aligned to huge pages */

/* Addresses without memory for two windows; *mapping: to unmap. */
static char *reserve(char **mapping)
{
    *mapping = mmap(NULL, MAPPING_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    limit_must(*mapping != MAP_FAILED, "memory");
    return *mapping + (WINDOWS_HUGE_BYTES - (uintptr_t)*mapping % WINDOWS_HUGE_BYTES) % WINDOWS_HUGE_BYTES;
}

static bool open_uffd(struct windows *windows)
{
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_SIGBUS | MOVE_FEATURE};

    windows->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    if (windows->uffd < 0) {
        return false;
    }
    if (ioctl(windows->uffd, UFFDIO_API, &api) != 0) {
        int error = errno;
        close(windows->uffd);
        errno = error;
        return false;
    }
    return true;
}

/* From memory that is not registered, as a pool is filled at boot. */
static void fill(struct windows *windows)
{
    char *mapping, *staging = reserve(&mapping);

    madvise(staging, WINDOWS_HUGE_BYTES, MADV_NOHUGEPAGE);
    madvise(windows_huge(staging), WINDOWS_HUGE_BYTES, MADV_HUGEPAGE);
    memset(staging, 1, WINDOWS_PAGE_BYTES);
    memset(windows_huge(staging), 1, WINDOWS_HUGE_BYTES);
    windows_move(windows, staging, windows->one, WINDOWS_PAGE_BYTES);
    windows_move(windows, windows_huge(staging), windows_huge(windows->one), WINDOWS_HUGE_BYTES);
    munmap(mapping, MAPPING_BYTES);
}

bool windows_open(struct windows *windows)
{
    if (!open_uffd(windows)) {
        return false;
    }
    windows->one = reserve(&windows->mapping);
    windows->other = windows->one + WINDOW_BYTES;
    struct uffdio_register all = {
        .range = {.start = (uintptr_t)windows->mapping, .len = MAPPING_BYTES},
        .mode = UFFDIO_REGISTER_MODE_MISSING,
    };
    limit_must(ioctl(windows->uffd, UFFDIO_REGISTER, &all) == 0, "UFFDIO_REGISTER");
    fill(windows);
    return true;
}

void windows_close(struct windows *windows)
{
    munmap(windows->mapping, MAPPING_BYTES);
    close(windows->uffd);
}
