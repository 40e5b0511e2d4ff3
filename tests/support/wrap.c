/*
 * What libant's calls for memory, mappings, moves, threads, locks and futexes become in a program with ant_use_wrap: the
 * same call, unless it was told to fail or to dawdle. The names are those that tests/CMakeLists.txt gives them.
 */
#include "wrap.h"

#include "core/machine.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Linux 6.8; the headers of Debian 12 do not have it. */
struct wrap_uffd_move {
    uint64_t dst, src, len, mode;
    int64_t move;
};
#define WRAP_UFFD_MOVE _IOWR(UFFDIO, 0x05, struct wrap_uffd_move)

/* --- What is to fail --------------------------------------------------------------------------------------------- */

static struct {
    _Atomic uint64_t seen;
    _Atomic uint64_t failed;
    _Atomic uint64_t from; /* the call, as counted by seen, that fails; 0: none */
    _Atomic bool for_good;
    _Atomic uint64_t armed; /* how often */
} kinds[WRAP_KINDS];

static _Atomic int move_error;
static _Atomic bool move_half;
static _Atomic int64_t live;
static _Atomic int64_t mapped_bytes;

/* What this thread has met since a kind was armed: refusals in a row, and how many calls are let through then. */
static _Thread_local struct {
    uint64_t armed;
    unsigned refused;
    unsigned mercy;
} met[WRAP_KINDS];

void wrap_fail(enum wrap_kind kind, uint64_t nth, bool for_good)
{
    atomic_store(&kinds[kind].from, 0);
    atomic_store(&kinds[kind].for_good, for_good);
    atomic_fetch_add(&kinds[kind].armed, 1);
    atomic_store(&kinds[kind].from, atomic_load(&kinds[kind].seen) + nth);
}

void wrap_move_error(int error)
{
    atomic_store(&move_error, error);
}

void wrap_move_half(bool half)
{
    atomic_store(&move_half, half);
}

void wrap_heal(void)
{
    for (int kind = 0; kind < WRAP_KINDS; kind++)
        atomic_store(&kinds[kind].from, 0);
}

void wrap_reset(void)
{
    wrap_heal();
    for (int kind = 0; kind < WRAP_KINDS; kind++) {
        atomic_store(&kinds[kind].seen, 0);
        atomic_store(&kinds[kind].failed, 0);
    }
    wrap_move_error(0);
    wrap_move_half(false);
}

uint64_t wrap_count(enum wrap_kind kind)
{
    return atomic_load(&kinds[kind].seen);
}

uint64_t wrap_failed(enum wrap_kind kind)
{
    return atomic_load(&kinds[kind].failed);
}

int64_t wrap_live(void)
{
    return atomic_load(&live);
}

int64_t wrap_mapped_bytes(void)
{
    return atomic_load(&mapped_bytes);
}

const char *wrap_kind_name(enum wrap_kind kind)
{
    static const char *const names[WRAP_KINDS] = {"allocation", "mapping", "move", "thread"};
    return kind < WRAP_KINDS ? names[kind] : "?";
}

/* Is a call that was to be refused let through after all? */
static bool relents(enum wrap_kind kind)
{
    uint64_t armed = atomic_load(&kinds[kind].armed);
    if (met[kind].armed != armed) {
        met[kind].armed = armed;
        met[kind].refused = met[kind].mercy = 0;
    }
    if (met[kind].mercy == 0 && ++met[kind].refused > WRAP_RELENTS) {
        met[kind].refused = 0;
        met[kind].mercy = WRAP_MERCY;
    }
    if (met[kind].mercy == 0)
        return false;
    met[kind].mercy--;
    return true;
}

/* Counts a call; is it to fail? */
static bool fails(enum wrap_kind kind)
{
    uint64_t number = atomic_fetch_add(&kinds[kind].seen, 1) + 1;
    uint64_t from = atomic_load(&kinds[kind].from);
    bool refuse =
        from != 0 && (number == from || (number > from && atomic_load(&kinds[kind].for_good)));
    if (!refuse || relents(kind))
        return false;
    atomic_fetch_add(&kinds[kind].failed, 1);
    return true;
}

/* --- Delays ------------------------------------------------------------------------------------------------------ */

static _Atomic uint64_t delay_seed;
static _Atomic unsigned delay_per_thousand;
static _Atomic uint64_t delay_threads; /* that have drawn since wrap_delays */
static _Atomic uint64_t delays_made;

static _Thread_local struct {
    uint64_t seed; /* for which the draws were begun */
    uint64_t state;
} draws;

void wrap_delays(uint64_t seed, unsigned per_thousand)
{
    atomic_store(&delay_per_thousand, 0);
    atomic_store(&delay_seed, seed + 1); /* 0 is what a thread begins with */
    atomic_store(&delay_threads, 0);
    atomic_store(&delays_made, 0);
    atomic_store(&delay_per_thousand, per_thousand);
}

uint64_t wrap_delayed(void)
{
    return atomic_load(&delays_made);
}

/* splitmix64 */
static uint64_t draw(void)
{
    uint64_t z = draws.state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void dawdle(void)
{
    unsigned per_thousand = atomic_load_explicit(&delay_per_thousand, memory_order_relaxed);
    if (per_thousand == 0)
        return;
    uint64_t seed = atomic_load_explicit(&delay_seed, memory_order_relaxed);
    if (draws.seed != seed) {
        draws.seed = seed;
        draws.state = seed ^ atomic_fetch_add(&delay_threads, 1) << 32;
    }
    if (draw() % 1000 >= per_thousand)
        return;
    atomic_fetch_add_explicit(&delays_made, 1, memory_order_relaxed);
    int error = errno;
    uint64_t drawn = draw();
    if (drawn % 8 == 0) {
        sched_yield();
    } else {
        /* Each doubling from 0.2 us is as likely as the next: most races are short. */
        uint64_t ns = UINT64_C(200) << (drawn >> 8) % 8;
        uint64_t until_ns = clock_ns() + ns + (drawn >> 16) % ns;
        while (clock_ns() < until_ns)
            ;
    }
    errno = error;
}

/* --- Memory ------------------------------------------------------------------------------------------------------ */

void *wrap_malloc(size_t bytes);
void *wrap_calloc(size_t count, size_t bytes);
void wrap_free(void *block);

static void *taken(void *block)
{
    if (block != NULL)
        atomic_fetch_add(&live, 1);
    return block;
}

void *wrap_malloc(size_t bytes)
{
    if (fails(WRAP_ALLOCATION)) {
        errno = ENOMEM;
        return NULL;
    }
    return taken(malloc(bytes));
}

void *wrap_calloc(size_t count, size_t bytes)
{
    if (fails(WRAP_ALLOCATION)) {
        errno = ENOMEM;
        return NULL;
    }
    return taken(calloc(count, bytes));
}

void wrap_free(void *block)
{
    if (block != NULL)
        atomic_fetch_sub(&live, 1);
    free(block);
}

/* --- Mappings ---------------------------------------------------------------------------------------------------- */

void *wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *wrap_mremap(void *from, size_t old_bytes, size_t new_bytes, int flags, ...);
int wrap_munmap(void *at, size_t bytes);
int wrap_mprotect(void *at, size_t bytes, int protection);
int wrap_madvise(void *at, size_t bytes, int advice);

void *wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (fails(WRAP_MAPPING)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *run = mmap(at, bytes, protection, flags, fd, offset);
    if (run != MAP_FAILED)
        atomic_fetch_add(&mapped_bytes, (int64_t)bytes);
    return run;
}

int wrap_munmap(void *at, size_t bytes)
{
    int rc = munmap(at, bytes);
    if (rc == 0)
        atomic_fetch_sub(&mapped_bytes, (int64_t)bytes);
    return rc;
}

void *wrap_mremap(void *from, size_t old_bytes, size_t new_bytes, int flags, ...)
{
    if (fails(WRAP_MAPPING)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *to = NULL;
    if ((flags & MREMAP_FIXED) != 0) {
        va_list more;
        va_start(more, flags);
        to = va_arg(more, void *);
        va_end(more);
    }
    return mremap(from, old_bytes, new_bytes, flags, to);
}

int wrap_mprotect(void *at, size_t bytes, int protection)
{
    if (fails(WRAP_MAPPING)) {
        errno = ENOMEM;
        return -1;
    }
    return mprotect(at, bytes, protection);
}

int wrap_madvise(void *at, size_t bytes, int advice)
{
    if (advice == MADV_POPULATE_WRITE && fails(WRAP_MAPPING)) {
        errno = ENOMEM;
        return -1;
    }
    return madvise(at, bytes, advice);
}

/* --- Moves ------------------------------------------------------------------------------------------------------- */

int wrap_ioctl(int fd, unsigned long request, ...);

/* Carries the first half of what a move was to carry, as Linux does when it is interrupted; false: it is one page. */
static bool half_moved(int fd, struct wrap_uffd_move *move)
{
    struct wrap_uffd_move half = *move;
    half.len = move->len / 2 / 4096 * 4096;
    if (half.len == 0 || ioctl(fd, WRAP_UFFD_MOVE, &half) != 0)
        return false;
    move->move = (int64_t)half.len;
    return true;
}

int wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list more;
    va_start(more, request);
    void *argument = va_arg(more, void *);
    va_end(more);
    if (_IOC_TYPE(request) != UFFDIO || !fails(WRAP_MOVE))
        return ioctl(fd, request, argument);
    if (request == WRAP_UFFD_MOVE && atomic_exchange(&move_half, false) && half_moved(fd, argument)) {
        /* This one counts as failed already; what comes next is to be refused without fail. */
        wrap_fail(WRAP_MOVE, 1, atomic_load(&kinds[WRAP_MOVE].for_good));
        errno = EAGAIN;
        return -1;
    }
    errno = ENOMEM;
    if (request == UFFDIO_COPY)
        ((struct uffdio_copy *)argument)->copy = 0;
    if (request == WRAP_UFFD_MOVE) {
        int error = atomic_load(&move_error);
        ((struct wrap_uffd_move *)argument)->move = 0;
        errno = error != 0 ? error : ENOMEM;
    }
    return -1;
}

/* --- Threads, locks, futexes --------------------------------------------------------------------------------------- */

int wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *),
                        void *arg);
void wrap_antk_lock(struct antk_lock *lock);
void wrap_antk_unlock(struct antk_lock *lock);
long wrap_syscall(long number, ...);

int wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *),
                        void *arg)
{
    if (fails(WRAP_THREAD))
        return EAGAIN;
    int rc = pthread_create(thread, attributes, body, arg);
    dawdle();
    return rc;
}

static void (*_Atomic lock_seen)(const void *lock);

void wrap_lock_seen(void (*seen)(const void *lock))
{
    atomic_store(&lock_seen, seen);
}

void wrap_antk_lock(struct antk_lock *lock)
{
    void (*seen)(const void *) = atomic_load_explicit(&lock_seen, memory_order_relaxed);
    if (seen)
        seen(lock);
    dawdle();
    antk_lock(lock);
}

void wrap_antk_unlock(struct antk_lock *lock)
{
    antk_unlock(lock);
    dawdle();
}

/* Six arguments, whether given or not, as syscall itself takes them. */
long wrap_syscall(long number, ...)
{
    long a[6];
    va_list more;
    va_start(more, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(more, long);
    va_end(more);
    if (number == SYS_futex)
        dawdle();
    long rc = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (number == SYS_futex)
        dawdle();
    return rc;
}
