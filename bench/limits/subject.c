/* What the limits share: threads where the setting wants them, memory, and the end when something cannot be done. */
#include "subject.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void limit_fail(const char *what)
{
    fprintf(stderr, "speed: %s: %s\n", what, strerror(errno));
    exit(1);
}

void *limit_new(size_t bytes)
{
    size_t lines = (bytes + 63) / 64 * 64;
    void *memory = aligned_alloc(64, lines);

    limit_must(memory != NULL, "memory");
    return memset(memory, 0, lines);
}

#define HUGE_BYTES ((size_t)2 << 20)

static size_t whole_huge(size_t bytes)
{
    return (bytes + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
}

void *limit_pages(size_t bytes)
{
    size_t length = whole_huge(bytes);
    char *all =
        mmap(NULL, length + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    limit_must(all != MAP_FAILED, "memory");
    size_t head = (HUGE_BYTES - (uintptr_t)all % HUGE_BYTES) % HUGE_BYTES;
    char *pages = all + head;
    if (head > 0) {
        munmap(all, head);
    }
    munmap(pages + length, HUGE_BYTES - head);
    madvise(pages, length, MADV_HUGEPAGE);
    memset(pages, 1, length);
    return pages;
}

void limit_free_pages(void *pages, size_t bytes)
{
    munmap(pages, whole_huge(bytes));
}

void limit_thread_on(pthread_t *thread, int cpu, const struct setting *setting,
                     void *(*entry)(void *self), void *self)
{
    pthread_attr_t attributes;
    cpu_set_t cpus;
    struct sched_param param = {.sched_priority = setting->realtime ? setting->partner_priority : 0};

    CPU_ZERO(&cpus);
    CPU_SET((size_t)cpu, &cpus);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, setting->stack_bytes);
    pthread_attr_setaffinity_np(&attributes, sizeof cpus, &cpus);
    pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes, setting->realtime ? SCHED_FIFO : SCHED_OTHER);
    pthread_attr_setschedparam(&attributes, &param);
    errno = pthread_create(thread, &attributes, entry, self);
    limit_must(errno == 0, "a thread");
    pthread_attr_destroy(&attributes);
}

void limit_partner(pthread_t *thread, const struct setting *setting, void *(*entry)(void *self),
                   void *self)
{
    limit_thread_on(thread, setting->cpu, setting, entry, self);
}
