/*
 * The machines on the real clock: `fifo`, SCHED_FIFO threads on the configured CPUs, and `other`, ordinary threads.
 *
 * A thread's permit word: NONE, GIVEN, or, when its thread sleeps (or is about to) in the kernel, WAITED if it does so on this word, POLLED if for a
 * descriptor as well. The thread itself moves NONE -> WAITED or POLLED and takes GIVEN; wakers move anything -> GIVEN, and call the kernel only if it was one of these. No
 * wake-up is lost: between the waiter's NONE -> WAITED and its futex call, a waker makes the word GIVEN, and the futex call refuses to sleep; after POLLED a waker
 * writes to the thread's eventfd, which is among those that it polls. It may do so late: that wakes the thread once too often, sometime.
 */
#include "core/machine.h"
#include "ica/ica.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PERMIT_NONE, PERMIT_GIVEN, PERMIT_WAITED, PERMIT_POLLED };

#ifndef PR_FUTEX_HASH
#define PR_FUTEX_HASH 78
#define PR_FUTEX_HASH_SET_SLOTS 1
#endif

struct real_machine {
    struct antk_machine base;
    struct timespec boot;
    int rt_base;
    cpu_set_t cpus;
    /* what ant_shutdown gives back */
    struct antk_scheduling before;
    sigset_t old_mask;
};

static uint64_t ns_between(const struct timespec *from, const struct timespec *to)
{
    return (uint64_t)((to->tv_sec - from->tv_sec) * (int64_t)ANT_NS_PER_S + (to->tv_nsec - from->tv_nsec));
}

static uint64_t real_now(struct antk_machine *base)
{
    struct real_machine *m = (struct real_machine *)base;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return ns_between(&m->boot, &now);
}

int antk_fifo_permitted(int rt_priority)
{
    int policy = sched_getscheduler(0);
    struct sched_param old, wanted = {.sched_priority = rt_priority};
    if (policy < 0 || sched_getparam(0, &old) != 0)
        return -errno;
    if (sched_setscheduler(0, SCHED_FIFO, &wanted) != 0) /* without the flag: an ordinary user could not take it back */
        return -errno;
    return sched_setscheduler(0, policy, &old) != 0 ? -errno : 0;
}

int antk_last_cpu(void)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return 0;
    int last = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((size_t)cpu, &allowed))
            last = cpu;
    return last;
}

/*
 * The kernel's name of a thread, which is part of that of its clock. Whoever gives another a priority above his own may lose the processor in
 * the middle of it; pthread_setschedparam holds a lock of that thread's then, which inherits no priority, and who needs it next waits for him.
 */
static pid_t kernel_id(const struct antk_thread *t)
{
    clockid_t clock;
    return pthread_getcpuclockid(t->pthread, &clock) == 0 ? (pid_t) ~(clock >> 3) : -1;
}

/* The flag keeps children ordinary. */
static int apply_priority(struct real_machine *m, struct antk_thread *t, int priority)
{
    struct sched_param param = {.sched_priority = m->rt_base + priority};
    int policy = SCHED_FIFO | SCHED_RESET_ON_FORK;
    if (priority == ANTK_LEVEL_LOWEST) {
        param.sched_priority = 0;
        policy = SCHED_OTHER;
    }
    return sched_setscheduler(kernel_id(t), policy, &param) != 0 ? errno : 0;
}

/* The calling thread becomes one of the machine's. -EINVAL: it may not run on its CPUs. */
static int take(struct real_machine *m, struct antk_thread *t, struct antk_scheduling *before)
{
    before->policy = sched_getscheduler(0);
    if (before->policy < 0 || sched_getparam(0, &before->param) != 0 ||
        sched_getaffinity(0, sizeof before->cpus, &before->cpus) != 0)
        return -errno;
    if (sched_setaffinity(0, sizeof m->cpus, &m->cpus) != 0)
        return -EINVAL;
    int rc = apply_priority(m, t, atomic_load(&t->priority));
    if (rc != 0)
        sched_setaffinity(0, sizeof before->cpus, &before->cpus);
    return -rc;
}

static void give_back(const struct antk_scheduling *before)
{
    /* an ordinary user cannot take the flag back */
    if (sched_setscheduler(0, before->policy, &before->param) != 0)
        sched_setscheduler(0, before->policy | SCHED_RESET_ON_FORK, &before->param);
    sched_setaffinity(0, sizeof before->cpus, &before->cpus);
}

static int real_adopt(struct antk_machine *base, struct antk_thread *t)
{
    struct real_machine *m = (struct real_machine *)base;
    t->machine = base;
    t->pthread = pthread_self();
    atomic_store(&t->created, true);
    pthread_sigmask(SIG_SETMASK, NULL, &m->old_mask);
    return base->kind == ANT_MACHINE_FIFO ? take(m, t, &m->before) : 0;
}

static void real_leave(struct antk_machine *base, struct antk_thread *t)
{
    struct real_machine *m = (struct real_machine *)base;
    (void)t;
    if (base->kind == ANT_MACHINE_FIFO)
        give_back(&m->before);
    pthread_sigmask(SIG_SETMASK, &m->old_mask, NULL);
}

static int real_join(struct antk_machine *base, struct antk_thread *t, struct antk_scheduling *before)
{
    t->pthread = pthread_self();
    atomic_store(&t->created, true);
    bool asked = base->kind == ANT_MACHINE_FIFO && !t->own_scheduling;
    return asked ? take((struct real_machine *)base, t, before) : 0;
}

static void real_part(struct antk_machine *base, bool asked, const struct antk_scheduling *before)
{
    if (base->kind == ANT_MACHINE_FIFO && asked)
        give_back(before);
}

/*
 * Who comes to a level from above stands first in it, from below last. Again, if the priority was changed meanwhile: whoever changes it writes it, and
 * then looks whether the thread is created.
 */
static void put_in_force(struct real_machine *m, struct antk_thread *t, int applied)
{
    while (applied != atomic_load(&t->priority)) {
        applied = atomic_load(&t->priority);
        apply_priority(m, t, applied);
    }
}

static void real_release(struct antk_thread *t, bool first)
{
    struct real_machine *m = (struct real_machine *)t->machine;
    if (m->base.kind == ANT_MACHINE_FIFO) {
        if (first && !t->carrier) {
            atomic_store(&t->first, true);
            apply_priority(m, t, atomic_load(&t->priority) + 1);
        }
        put_in_force(m, t, t->carrier ? -1 : ANTK_LEVEL_LOWEST);
    }
    if (t->carrier)
        antk_carrier_call(t->carrier, t);
}

/*
 * A new thread inherits the CPUs of its creator, and ordinary scheduling (reset on fork). It gets its priority from the creator,
 * who may be far above it: so it never has to win the processor at ordinary priority first.
 */
static int real_start(struct antk_machine *base, struct antk_thread *t)
{
    (void)base;
    int rc = t->carrier ? 0 : antk_carrier_create(t);
    if (rc != 0)
        return rc;
    atomic_store(&t->created, true);
    if (!t->held)
        real_release(t, false);
    return 0;
}

static void add_ns(struct timespec *time, uint64_t ns)
{
    time->tv_sec += (time_t)(ns / ANT_NS_PER_S);
    time->tv_nsec += (long)(ns % ANT_NS_PER_S);
    if (time->tv_nsec >= (long)ANT_NS_PER_S) {
        time->tv_sec++;
        time->tv_nsec -= (long)ANT_NS_PER_S;
    }
}

/* Taking a permit that was given is an exchange: what all wakers did before is seen, who gives it once more now wakes for later. Only the thread itself takes it. */
static inline bool take_permit(struct antk_thread *t, bool waiting)
{
    uint32_t permit = atomic_load_explicit(&t->permit, memory_order_relaxed);
    if (permit == PERMIT_NONE && waiting)
        atomic_compare_exchange_strong(&t->permit, &permit, PERMIT_WAITED);
    return permit == PERMIT_GIVEN && atomic_exchange(&t->permit, PERMIT_NONE) == PERMIT_GIVEN;
}

static inline int sleep_for_permit(struct antk_thread *t, uint64_t deadline_ns)
{
    struct timespec until, *limit = NULL;
    if (ANTK_RARELY(deadline_ns != ANTK_NEVER)) {
        until = ((struct real_machine *)t->machine)->boot;
        add_ns(&until, deadline_ns);
        limit = &until;
    }
    while (!take_permit(t, true)) {
        long rc = syscall(SYS_futex, &t->permit, FUTEX_WAIT_BITSET_PRIVATE, PERMIT_WAITED, limit,
                          NULL, FUTEX_BITSET_MATCH_ANY);
        if (ANTK_RARELY(rc != 0) && errno == ETIMEDOUT) /* a permit that came with the deadline counts */
            return atomic_exchange(&t->permit, PERMIT_NONE) == PERMIT_GIVEN ? 0 : -ETIMEDOUT;
    }
    return 0;
}

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Looks for a permit for a while, not beyond the deadline: with several CPUs, whoever will give it may be running. */
ANTK_APART static void look_for_permit(struct antk_thread *t, uint64_t deadline_ns)
{
    uint64_t end_ns = real_now(t->machine) + t->machine->spin_ns;
    end_ns = deadline_ns < end_ns ? deadline_ns : end_ns;
    do {
        for (int i = 0; i < 16; i++) {
            if (atomic_load_explicit(&t->permit, memory_order_relaxed) == PERMIT_GIVEN)
                return;
            relax();
        }
    } while (real_now(t->machine) < end_ns);
}

static bool is_timed(struct antk_thread *t)
{
    return t->observed || atomic_load_explicit(&t->watched_from_ns, memory_order_relaxed) != 0;
}

/*
 * While it is watched (a swap waits for it) a thread books the time for which it is blocked, from the start of the watch; and always
 * if it is observed.
 */
ANTK_APART static void book_blocked(struct antk_thread *t, uint64_t parked_ns)
{
    uint64_t watched_ns = atomic_load(&t->watched_from_ns), now_ns = real_now(t->machine);
    if (watched_ns)
        atomic_fetch_add(&t->watched_blocked_ns,
                         now_ns - (parked_ns > watched_ns ? parked_ns : watched_ns));
    if (t->observed)
        atomic_fetch_add(&t->observed_blocked_ns, now_ns - parked_ns);
}

inline int antk_real_park(struct antk_thread *t, uint64_t deadline_ns, bool soon)
{
    if (soon && ANTK_RARELY(t->machine->spin_ns != 0))
        look_for_permit(t, deadline_ns);
    uint64_t parked_ns = ANTK_RARELY(is_timed(t)) ? real_now(t->machine)
                                                  : 0; /* what came before is processor time */
    int rc = sleep_for_permit(t, deadline_ns);
    if (ANTK_RARELY(is_timed(t)))
        book_blocked(t, parked_ns);
    return rc;
}

ANTK_APART static void wake_poller(struct antk_thread *t)
{
    const uint64_t one = 1;
    ssize_t bytes = write(t->wake_fd, &one, sizeof one);
    (void)bytes; /* it is there, and never full */
}

inline void antk_real_unpark(struct antk_thread *t)
{
    uint32_t permit = atomic_exchange(&t->permit, PERMIT_GIVEN);
    if (permit == PERMIT_WAITED)
        syscall(SYS_futex, &t->permit, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    else if (ANTK_RARELY(permit == PERMIT_POLLED))
        wake_poller(t);
}

/* ---- waiting for a descriptor as well ---- */

int antk_real_prepare_poll(struct antk_thread *t)
{
    if (!t->pollable) {
        t->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        t->pollable = t->wake_fd >= 0;
    }
    return t->pollable ? 0 : -EMFILE;
}

void antk_real_end_poll(struct antk_thread *t)
{
    if (t->pollable)
        close(t->wake_fd);
    t->pollable = false;
}

/* Sleeps until either can be read, a signal comes, or the time is over. Is it fd? */
static bool poll_both(struct antk_thread *t, uint64_t deadline_ns, int fd)
{
    struct pollfd both[] = {{.fd = fd, .events = POLLIN}, {.fd = t->wake_fd, .events = POLLIN}};
    uint64_t now_ns = deadline_ns != ANTK_NEVER ? real_now(t->machine) : 0, token;
    struct timespec left = {0};
    add_ns(&left, deadline_ns > now_ns ? deadline_ns - now_ns : 0);
    if (ppoll(both, 2, deadline_ns != ANTK_NEVER ? &left : NULL, NULL) <= 0)
        return false;
    if (both[1].revents != 0) {
        ssize_t bytes = read(t->wake_fd, &token, sizeof token);
        (void)bytes;
    }
    return both[0].revents != 0;
}

int antk_real_poll(struct antk_thread *t, uint64_t deadline_ns, int fd)
{
    uint64_t parked_ns = is_timed(t) ? real_now(t->machine) : 0;
    int rc = -EAGAIN;
    while (rc == -EAGAIN) {
        uint32_t permit = PERMIT_NONE;
        bool readable = false;
        if (atomic_compare_exchange_strong(&t->permit, &permit, PERMIT_POLLED))
            readable = poll_both(t, deadline_ns, fd);
        if (atomic_exchange(&t->permit, PERMIT_NONE) == PERMIT_GIVEN)
            rc = 0;
        else if (deadline_ns != ANTK_NEVER && real_now(t->machine) >= deadline_ns)
            rc = -ETIMEDOUT;
        rc = readable ? 1 : rc;
    }
    if (is_timed(t))
        book_blocked(t, parked_ns);
    return rc;
}

static void real_ended(struct antk_machine *base, struct antk_thread *t, struct antk_thread *notify)
{
    (void)base, (void)t;
    if (notify)
        antk_real_unpark(notify);
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * ANT_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void real_work(struct antk_thread *t, uint64_t work_ns, const _Atomic uint32_t *stop)
{
    (void)t;
    uint64_t begin_ns = thread_cpu_ns();
    while (thread_cpu_ns() - begin_ns < work_ns && !atomic_load_explicit(stop, memory_order_relaxed))
        ;
}

static void real_set_priority(struct antk_thread *t, int priority)
{
    atomic_store(&t->priority, priority);
    if (t->machine->kind == ANT_MACHINE_FIFO && atomic_load(&t->created) && !t->own_scheduling)
        apply_priority((struct real_machine *)t->machine, t, priority);
}

static void real_give_way(struct antk_thread *t)
{
    (void)t;
    sched_yield();
}

static void real_watch(struct antk_thread *t)
{
    atomic_store(&t->watched_blocked_ns, 0);
    atomic_store(&t->watched_from_ns, real_now(t->machine));
}

static void real_times(struct antk_thread *t, struct antk_times *times)
{
    clockid_t clock;
    struct timespec now = {0};
    memset(times, 0, sizeof *times);
    if (pthread_getcpuclockid(t->pthread, &clock) == 0)
        clock_gettime(clock, &now);
    times->cpu_ns[ANTK_IDLE] =
        (uint64_t)now.tv_sec * ANT_NS_PER_S + (uint64_t)now.tv_nsec - t->used_before_ns;
    times->blocked_ns = atomic_load(&t->watched_blocked_ns);
    times->observed_blocked_ns = atomic_load(&t->observed_blocked_ns);
}

static void real_destroy(struct antk_machine *base)
{
    free(base);
}

static const struct antk_machine_ops real_ops = {
    .adopt = real_adopt,
    .leave = real_leave,
    .join = real_join,
    .part = real_part,
    .start = real_start,
    .release = real_release,
    .give_way = real_give_way,
    .ended = real_ended,
    .now = real_now,
    .work = real_work,
    .set_priority = real_set_priority,
    .watch = real_watch,
    .times = real_times,
    .destroy = real_destroy,
};

static int choose_cpus(const struct antk_machine_config *config, cpu_set_t *cpus)
{
    cpu_set_t allowed;
    CPU_ZERO(cpus);
    if (config->cpu_count == 0) {
        CPU_SET((size_t)antk_last_cpu(), cpus);
        return 0;
    }
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return -errno;
    for (size_t i = 0; i < config->cpu_count; i++) {
        if (config->cpus[i] < 0 || config->cpus[i] >= CPU_SETSIZE ||
            !CPU_ISSET((size_t)config->cpus[i], &allowed))
            return -EINVAL;
        CPU_SET((size_t)config->cpus[i], cpus);
    }
    return 0;
}

/* To run on, for the machine's threads. */
static bool has_several_cpus(const struct real_machine *m)
{
    cpu_set_t allowed;
    if (m->base.kind == ANT_MACHINE_FIFO)
        return CPU_COUNT(&m->cpus) > 1;
    return sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) > 1;
}

int antk_real_create(const struct antk_machine_config *config, struct antk_machine **machine)
{
    if (config->kind == ANT_MACHINE_FIFO && antk_fifo_permitted(config->rt_base + ANTK_LEVELS - 1) != 0)
        return -EPERM;
    struct real_machine *m = calloc(1, sizeof *m);
    if (!m)
        return -ENOMEM;
    int rc = choose_cpus(config, &m->cpus);
    if (rc != 0) {
        free(m);
        return rc;
    }
    m->base.ops = &real_ops;
    m->base.kind = config->kind;
    m->rt_base = config->rt_base;
    m->base.spin_ns = has_several_cpus(m) ? config->spin_ns : 0;
    clock_gettime(CLOCK_MONOTONIC, &m->boot);
    /* With many threads the kernel's default of 16 slots slows every futex call (measured: 9 %). Older kernels refuse. */
    prctl(PR_FUTEX_HASH, PR_FUTEX_HASH_SET_SLOTS, 256, 0, 0);
    *machine = &m->base;
    return 0;
}
