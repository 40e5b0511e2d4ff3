/* What the machines share: choosing one, locks, starting and joining threads, deadlines. */
#include "core/machine.h"
#include "ica/ica.h"
#include "ica/sanitizer.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *antk_machine_name(enum ant_machine kind)
{
    static const char *const names[] = {"auto", "fifo", "other", "virtual"};
    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "?";
}

/* Why `auto` does not take fifo, or NULL. */
static const char *against_fifo(int rt_base)
{
    if (antk_under_asan())
        return "AddressSanitizer's own spin locks never end on SCHED_FIFO threads of one CPU";
    if (antk_under_tsan())
        return "ThreadSanitizer's own spin locks never end on SCHED_FIFO threads of one CPU";
    if (antk_fifo_permitted(rt_base + ANTK_LEVELS - 1) != 0)
        return "SCHED_FIFO is not permitted (root, CAP_SYS_NICE or RLIMIT_RTPRIO is needed): priorities are not enforced";
    return NULL;
}

/* ---- fences ---- */

bool antk_fences_are_light;

static void learn_fences(void)
{
    antk_fences_are_light =
        syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void antk_fence_heavy(void)
{
    if (antk_fences_are_light)
        syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

int antk_machine_create(const struct antk_machine_config *config, struct antk_machine **machine)
{
    static antk_once_flag learned = ANTK_ONCE; /* a child of fork is registered as its parent was */
    antk_once(&learned, learn_fences);
    struct antk_machine_config chosen = *config;
    const char *reason = "asked for";
    if (config->kind == ANT_MACHINE_AUTO) {
        const char *against = against_fifo(config->rt_base);
        chosen.kind = against ? ANT_MACHINE_OTHER : ANT_MACHINE_FIFO;
        reason = against ? against : "SCHED_FIFO is permitted";
    }
    int rc = chosen.kind == ANT_MACHINE_VIRTUAL ? antk_virtual_create(&chosen, machine)
                                                : antk_real_create(&chosen, machine);
    if (rc == 0)
        snprintf((*machine)->reason, sizeof(*machine)->reason, "%s", reason);
    return rc;
}

/* ---- locks ---- */

static _Thread_local uint32_t thread_id; /* the kernel's, of the calling thread; 0: it has taken no lock yet */

/* A child of fork has another. */
static void forget_thread_id(void)
{
    thread_id = 0;
}

static void watch_forks(void)
{
    antk_at_fork(forget_thread_id);
}

void antk_lock_init(struct antk_machine *m, struct antk_lock *lock)
{
    static antk_once_flag watched = ANTK_ONCE;
    antk_once(&watched, watch_forks);
    lock->machine = m->kind == ANT_MACHINE_VIRTUAL ? m : NULL;
    lock->held = false;
    atomic_store(&lock->word, 0);
}

/*
 * The kernel hands the lock over, to waiting threads by their priorities, and writes the word itself; ThreadSanitizer does not see that, but it
 * sees the accesses beside it. EAGAIN: the holder is about to end; ENOMEM: no memory just now.
 */
static void ask_kernel(struct antk_lock *lock, int operation)
{
    while (syscall(SYS_futex, &lock->word, operation, 0, NULL, NULL, 0) != 0) {
        if (errno == EAGAIN || errno == ENOMEM) {
            sched_yield();
        } else if (errno != EINTR) { /* no kernel that has such locks, or somebody has written there */
            fprintf(stderr, "ant: the kernel refuses a lock: %s\n", strerror(errno));
            abort();
        }
    }
}

static bool change(struct antk_lock *lock, uint32_t from, uint32_t to, memory_order order)
{
    return atomic_compare_exchange_strong_explicit(&lock->word, &from, to, order, memory_order_relaxed);
}

static void lock_virtually(struct antk_lock *lock)
{
    assert(!lock->held);
    lock->held = true;
    lock->machine->locks_held++;
}

static void unlock_virtually(struct antk_lock *lock)
{
    lock->held = false;
    lock->machine->locks_held--;
}

ANTK_APART static void lock_in_kernel(struct antk_lock *lock)
{
    ask_kernel(lock, FUTEX_LOCK_PI_PRIVATE);
    (void)atomic_load_explicit(&lock->word, memory_order_acquire);
}

ANTK_APART static void unlock_in_kernel(struct antk_lock *lock)
{
    atomic_fetch_or_explicit(&lock->word, 0, memory_order_release);
    ask_kernel(lock, FUTEX_UNLOCK_PI_PRIVATE);
}

ANTK_APART static void lock_first(struct antk_lock *lock)
{
    thread_id = (uint32_t)gettid();
    if (!change(lock, 0, thread_id, memory_order_acquire))
        lock_in_kernel(lock);
}

inline void antk_lock(struct antk_lock *lock)
{
    uint32_t self = thread_id;
    if (ANTK_RARELY(lock->machine != NULL))
        lock_virtually(lock);
    else if (ANTK_RARELY(self == 0))
        lock_first(lock);
    else if (ANTK_RARELY(!change(lock, 0, self, memory_order_acquire)))
        lock_in_kernel(lock);
}

inline void antk_unlock_last(struct antk_lock *lock)
{
    if (ANTK_RARELY(lock->machine != NULL))
        unlock_virtually(lock);
    else if (ANTK_RARELY(!change(lock, thread_id, 0, memory_order_release)))
        unlock_in_kernel(lock);
}

inline void antk_unlock(struct antk_lock *lock)
{
    struct antk_machine *m = lock->machine; /* real: the lock may be gone as soon as it is free */
    antk_unlock_last(lock);
    if (ANTK_RARELY(m != NULL))
        antk_boundary(m);
}

void antk_once(antk_once_flag *once, void (*function)(void))
{
    pthread_once(once, function);
}

bool antk_at_end_create(antk_at_end *at_end, void (*function)(void *arg))
{
    return pthread_key_create(at_end, function) == 0;
}

bool antk_at_end_set(antk_at_end at_end, void *arg)
{
    return pthread_setspecific(at_end, arg) == 0;
}

void antk_at_fork(void (*in_child)(void))
{
    pthread_atfork(NULL, NULL, in_child);
}

void antk_set_priority_unlock(struct antk_thread *t, int priority, struct antk_lock *lock)
{
    struct antk_machine *m = t->machine;
    if (lock->machine)
        antk_unlock_last(lock);
    m->ops->set_priority(t, priority);
    if (lock->machine)
        antk_boundary(m);
    else
        antk_unlock(lock);
}

ANTK_APART static int park_virtually(struct antk_thread *t, uint64_t deadline_ns, struct antk_wait wait)
{
    antk_boundary(t->machine);
    t->wait = wait;
    int rc = antk_virtual_park(t, deadline_ns);
    t->wait.what = NULL;
    return rc;
}

ANTK_APART static void unpark_virtually(struct antk_machine *m, struct antk_thread *t)
{
    assert(m->locks_held == 0);
    antk_boundary(m);
    antk_virtual_unpark(m, t);
}

inline int antk_park(struct antk_thread *t, uint64_t deadline_ns, struct antk_wait wait)
{
    return ANTK_RARELY(t->machine->kind == ANT_MACHINE_VIRTUAL)
               ? park_virtually(t, deadline_ns, wait)
               : antk_real_park(t, deadline_ns, wait.soon);
}

inline void antk_unpark(struct antk_machine *m, struct antk_thread *t)
{
    if (ANTK_RARELY(m->kind == ANT_MACHINE_VIRTUAL))
        unpark_virtually(m, t);
    else
        antk_real_unpark(t);
}

uint64_t antk_deadline_from(uint64_t from_ns, int64_t timeout_ns)
{
    return timeout_ns < 0 || (uint64_t)timeout_ns >= ANTK_NEVER - from_ns
               ? ANTK_NEVER
               : from_ns + (uint64_t)timeout_ns;
}

inline uint64_t antk_deadline(struct antk_machine *m, int64_t timeout_ns)
{
    return timeout_ns < 0 ? ANTK_NEVER : antk_deadline_from(antk_now(m), timeout_ns);
}
