/*
 * The machine seam: time, threads, blocking, waking, PU work, locks. Nothing else in the library touches a clock, a
 * futex or a pthread primitive.
 *
 * Three machines stand behind it: `fifo` and `other` (machine_real.c) and `virtual` (machine_virtual.c).
 *
 * Parking is a permit, as in LockSupport: antk_unpark leaves one (at most), antk_park takes it or waits for it. So whoever waits
 * re-checks its condition in a loop, a wake-up that comes early is not lost, and one that comes late does no harm:
 *     waiter: loop { check the condition; antk_park }      waker: make the condition true; antk_unpark
 * antk_unpark is called with no lock held, since the woken thread may run at once.
 *
 * On `virtual` threads switch where they park, are unparked, work and change priorities; if it explores (pct.h), also at the other
 * boundaries of the core: where a call begins and ends, before a thread parks or wakes another, and where the last lock is given up.
 */
#ifndef ANTK_MACHINE_H
#define ANTK_MACHINE_H

#include "core/pct.h"

#include <ant/core.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define ANTK_NEVER UINT64_MAX
/* One level above the band of ant_priority_set, for those who must keep deadlines (requesters of swaps, the watchdog, ant_shutdown); one below, for the abandoned. */
#define ANTK_LEVEL_LOWEST 0
#define ANTK_LEVELS (ANT_PRIORITY_MAX + 2)

struct antk_machine;

/* What a process is doing, as ant_receive sees it; decides where its processor time is booked. */
enum antk_activity {
    ANTK_IDLE,
    ANTK_REQUEST_WORK,
    ANTK_RESULT_WORK,
    ANTK_ACTIVITIES
};

/* Processor time by activity (real machines book all of it under ANTK_IDLE), and time spent blocked while watched. */
struct antk_times {
    uint64_t cpu_ns[ANTK_ACTIVITIES];
    uint64_t blocked_ns;
    uint64_t observed_blocked_ns; /* the same, while observed is set */
};

/* What a parked thread waits for, for those who ask. */
struct antk_wait {
    const char *what; /* a noun phrase; NULL: it does not wait */
    int64_t object;   /* function id, process index ...; -1: none */
    bool idle;        /* a server without anything to do: no deadlock is its fault */
    bool soon;        /* it may come soon: with several CPUs, to be looked for before the thread sleeps (spin_ns) */
};

/*
 * A thread of the host's that carries one thread of the core's (below) after the other, if it stays when one has ended. Until it is called for the next it belongs to
 * whoever let it stay.
 */
struct antk_carrier {
    pthread_t pthread;
    size_t stack_bytes;
    uint64_t used_ns;           /* real: its processor time by the end of the processes that it has been */
    bool stays;                 /* its own */
    struct antk_thread *thread; /* what it is called for; NULL: to end */
    _Atomic uint32_t called;    /* futex word */
    struct antk_carrier *next;  /* whoever let it stay: links them */
};

/* What is left of a thread that has ended. */
enum antk_remains {
    ANTK_TO_JOIN, /* a thread of the host's */
    ANTK_STAYING, /* its carrier stays, and is still busy with it */
    ANTK_NOTHING,
};

/* The machine's part of a process. Type-stable: an unpark that comes after its end does no harm. */
struct antk_thread {
    _Alignas(64) struct antk_machine *machine;
    pthread_t pthread;
    _Atomic bool created;         /* real: pthread names it; a priority that was set before is put in force by its creator */
    bool interruptible;           /* set before the start: antk_thread_interrupt may be called */
    bool held;                    /* set before the start: until antk_thread_release */
    bool own_scheduling;          /* real: a thread that has joined, and keeps what it had: its priority is a number */
    _Atomic bool first;           /* from its release on, until it settles */
    struct antk_carrier *carrier; /* set before the start: a thread that has stayed; NULL: a new one */
    size_t stack_bytes;
    uint64_t used_before_ns;  /* real: its carrier's processor time when it began */
    _Atomic uint32_t remains; /* enum antk_remains; futex word */
    int (*entry)(void *arg);
    void (*leave)(void *arg);
    void *arg;
    uint32_t index;                       /* of the process, for traces */
    _Atomic int priority;                 /* in force: the process's own, or raised for a swap */
    _Alignas(64) _Atomic uint32_t permit; /* real: futex word, see machine_real.c. virtual: 0 or 1 */
    bool pollable;                        /* real: wake_fd is there; from when it is first needed until the core ends, as whoever wakes it may be late */
    int wake_fd;                          /* real: an eventfd, for antk_real_poll */
    bool observed;                        /* real: its own: book blocked time */
    _Atomic uint64_t watched_from_ns;     /* real: book blocked time from here on; 0: do not */
    _Alignas(64) _Atomic uint64_t watched_blocked_ns;
    _Atomic uint64_t observed_blocked_ns;
    _Atomic uint8_t activity; /* enum antk_activity; written by the thread itself */
    struct antk_wait wait;    /* virtual: guarded by the baton */

    /* virtual only; guarded by the baton */
    enum {
        ANTK_GONE,
        ANTK_READY,
        ANTK_RUNNING,
        ANTK_BLOCKED
    } state;
    _Atomic uint32_t baton; /* futex word: 1 = it is this thread's turn */
    uint64_t rank;          /* exploring: the highest ready one runs */
    bool preempted;         /* it stands at the head of its level because it lost the processor */
    int park_result;
    uint64_t timer_ns; /* ANTK_NEVER: none */
    uint64_t timer_number;
    uint64_t blocked_since_ns;
    struct antk_times times;
    struct antk_thread *ready_next, *ready_prev;
    struct antk_thread *timer_next, *timer_prev;
    struct antk_thread *all_next, *all_prev;
};

/*
 * Real machines: a priority-inheriting futex, as Linux defines its word: the holder's thread id, and FUTEX_WAITERS if others wait. Taken and given up by
 * one compare-and-swap each if nobody does: a third of what glibc's mutex with the same protocol takes (docs/speed.md). `virtual`, where threads
 * switch at unlocked points only, just looks that it is used as it should be.
 */
struct antk_lock {
    _Atomic uint32_t word;
    bool held;                    /* virtual */
    struct antk_machine *machine; /* `virtual`: the one that it is of; else NULL */
};

/* What the machine gives back to a thread that it has not made. */
struct antk_scheduling {
    int policy;
    struct sched_param param;
    cpu_set_t cpus;
};

struct antk_machine_ops {
    int (*adopt)(struct antk_machine *m, struct antk_thread *t); /* boot: the calling thread */
    void (*leave)(struct antk_machine *m, struct antk_thread *t);
    /* real: the calling thread, which the program has made. -EPERM: SCHED_FIFO is not permitted to it. -EINVAL: nor are the core's CPUs */
    int (*join)(struct antk_machine *m, struct antk_thread *t, struct antk_scheduling *before);
    void (*part)(struct antk_machine *m, bool give_back, const struct antk_scheduling *before);
    int (*start)(struct antk_machine *m, struct antk_thread *t);
    void (*release)(struct antk_thread *t, bool first);
    void (*begin)(struct antk_thread *t);    /* virtual: a thread's first act */
    void (*give_way)(struct antk_thread *t); /* itself */
    /* The last act of a thread, after which it may be joined; wakes notify, if that is not NULL. */
    void (*ended)(struct antk_machine *m, struct antk_thread *t, struct antk_thread *notify);
    uint64_t (*now)(struct antk_machine *m);
    void (*work)(struct antk_thread *t, uint64_t work_ns, const _Atomic uint32_t *stop);
    void (*set_priority)(struct antk_thread *t, int priority);
    void (*watch)(struct antk_thread *t);
    void (*times)(struct antk_thread *t, struct antk_times *times);
    /* virtual, exploring: another thread may run now; no lock is held */
    void (*boundary)(struct antk_machine *m);
    void (*destroy)(struct antk_machine *m);
};

struct antk_machine {
    const struct antk_machine_ops *ops;
    enum ant_machine kind; /* never AUTO */
    uint64_t spin_ns;      /* real; 0: not at all */
    char reason[160];
    struct antk_pct *pct; /* virtual that explores; else NULL */
    uint32_t locks_held;  /* virtual: by the running thread */
};

struct antk_machine_config {
    enum ant_machine kind;
    int rt_base;
    const int *cpus;
    size_t cpu_count;
    uint64_t spin_ns; /* real, if there are several CPUs: how long whoever parks looks for a permit before he sleeps */
    uint64_t seed;
    uint32_t pct_depth; /* virtual: 0 does not explore */
    uint32_t pct_steps;
    uint64_t switch_ns; /* virtual: what it takes to let another thread run */
    /* virtual: called when nobody is ready and no timer is set, before the waits are failed */
    void (*on_deadlock)(void *context);
    /* virtual: called whenever another thread runs from now on */
    void (*on_dispatch)(void *context, uint32_t index, uint32_t before, int priority);
    void *context;
};

/* -EINVAL: a CPU that the caller may not run on. -EPERM: FIFO asked for by name and not permitted. -ENOMEM. */
int antk_machine_create(const struct antk_machine_config *config, struct antk_machine **machine);
const char *antk_machine_name(enum ant_machine kind);

/* For the machines: creates t->pthread, which begins with t. -EAGAIN: the host has no thread to give. */
int antk_carrier_create(struct antk_thread *t);
/* For the machines: calls a carrier that has stayed to t, or, NULL, to its end. */
void antk_carrier_call(struct antk_carrier *carrier, struct antk_thread *t);
int antk_real_create(const struct antk_machine_config *config, struct antk_machine **machine);
int antk_virtual_create(const struct antk_machine_config *config, struct antk_machine **machine);
/*
 * To park and to unpark, not in the table of operations: after a system call the processor has forgotten where indirect calls and returns lead, so that each
 * of them costs 10 ns there (docs/speed.md).
 */
int antk_real_park(struct antk_thread *t, uint64_t deadline_ns, bool soon);
void antk_real_unpark(struct antk_thread *t);
/*
 * As antk_real_park, for who waits for a descriptor of the host's as well: 1 says that it is readable (whatever else has come). Before, on that thread or where it
 * cannot be about to wait: antk_real_prepare_poll. -EMFILE. Only what is really waited for so costs whoever wakes it more than it did.
 */
int antk_real_poll(struct antk_thread *t, uint64_t deadline_ns, int fd);
int antk_real_prepare_poll(struct antk_thread *t);
void antk_real_end_poll(struct antk_thread *t); /* nobody will wake it any more */
int antk_virtual_park(struct antk_thread *t, uint64_t deadline_ns);
void antk_virtual_unpark(struct antk_machine *m, struct antk_thread *t);
/* Why the calling thread may not become SCHED_FIFO at this priority: 0 if it may, else a negative errno value. */
int antk_fifo_permitted(int rt_priority);
/* One CPU of those that the calling thread may run on: the last. */
int antk_last_cpu(void);

void antk_lock_init(struct antk_machine *m, struct antk_lock *lock);
void antk_lock(struct antk_lock *lock);
void antk_unlock(struct antk_lock *lock); /* as soon as it is free, the lock may be gone */
/* Before ops->ended: on `virtual` nobody comes in between, so whoever is found to be at its end there has come to it. */
void antk_unlock_last(struct antk_lock *lock);

/*
 * A fence between two sides that each write and then look at what the other has written: free of charge on the side that comes often, dear on the
 * other. Whoever comes often: antk_store_light, then looks. Whoever comes seldom: stores (sequentially consistent), antk_fence_heavy, then looks.
 */
extern bool antk_fences_are_light; /* the kernel makes fences on all threads (membarrier); written at boot, always the same */
void antk_fence_heavy(void);
static inline void antk_store_light(_Atomic uint32_t *word, uint32_t value)
{
    if (__builtin_expect(antk_fences_are_light, 1)) {
        atomic_store_explicit(word, value, memory_order_release);
        atomic_signal_fence(memory_order_seq_cst);
    } else {
        atomic_store(word, value);
    }
}

/* Runs a function once in the life of this Linux process, whoever comes first. */
typedef pthread_once_t antk_once_flag;
#define ANTK_ONCE PTHREAD_ONCE_INIT
void antk_once(antk_once_flag *once, void (*function)(void));

/* While the calling thread has something set (not NULL), the function is called with it when the thread ends. False: the host has no room for that. */
typedef pthread_key_t antk_at_end;
bool antk_at_end_create(antk_at_end *at_end, void (*function)(void *arg));
bool antk_at_end_set(antk_at_end at_end, void *arg);

/* From now on a child of fork runs this, in its only thread, before fork returns there. */
void antk_at_fork(void (*in_child)(void));

/*
 * Changes a thread's priority and gives up the lock that proves that the thread exists and orders such changes. Real machines
 * do it in this order; `virtual`, where the change may switch threads and nothing can come in between, in the other.
 */
void antk_set_priority_unlock(struct antk_thread *t, int priority, struct antk_lock *lock);

/* A place where threads of real machines may lose the processor to any other: so can those of a `virtual` that explores, if they hold no lock. */
static inline void antk_boundary(struct antk_machine *m)
{
    if (__builtin_expect(m->pct != NULL, 0) && m->locks_held == 0)
        m->ops->boundary(m);
}

static inline uint64_t antk_now(struct antk_machine *m)
{
    return m->ops->now(m);
}

/*
 * Starts entry(arg) on t->carrier, or on a new thread, at the priority in t->priority. However that ends, leave(arg) is run there after it; when that has called ops->ended the
 * thread is gone, and antk_thread_join may be called. -EAGAIN, -ENOMEM.
 */
int antk_thread_start(struct antk_machine *m, struct antk_thread *t, size_t stack_bytes,
                      int (*entry)(void *arg), void (*leave)(void *arg), void *arg);
/* A thread begins here that had another life before, or none. */
void antk_thread_renew(struct antk_thread *t);
/*
 * A thread that is held has been created, but need not run yet: only here it takes its place among the ready ones of its priority, the last. It is known to exist.
 * first: what every new thread has to do first shall be done before they go on, so it is the first of them until antk_thread_settle; if that is of use:
 * a thread that has stayed has no such things to do. Its priority is not the highest level then. (On `virtual`, where creating a thread takes no time, it has had the
 * last place from the start.)
 */
void antk_thread_release(struct antk_thread *t, bool first);
void antk_thread_settle(struct antk_thread *t); /* on the thread */

/* Frees what is left of a thread that has ended. wait: for its very last instructions; else false if they are still ahead. */
bool antk_thread_join(struct antk_thread *t, bool wait);

/*
 * Before its leave calls ops->ended the calling thread, t, may be made to stay, if its entry has returned: prepare, then (with the lock that guards the list of those
 * that have stayed) stay, which returns the carrier to be put there. Taken off the list it can be t->carrier of another thread at once, or is ended.
 */
void antk_carrier_prepare(struct antk_thread *t);
struct antk_carrier *antk_carrier_stay(struct antk_thread *t);
void antk_carrier_end(struct antk_carrier *carrier);

/* Sends SIGURG to a thread that was started interruptible and is known to exist (it has not been joined or detached). */
void antk_thread_interrupt(struct antk_thread *t);

/* The calling thread's stack, whoever has made it. */
void antk_thread_stack(uintptr_t *high, size_t *bytes);

/* Nobody will join it; it cleans up after itself. The second: the calling thread. */
void antk_thread_detach(struct antk_thread *t);
void antk_thread_detach_self(void);

/* 0: a permit was there or came. -ETIMEDOUT: deadline_ns (ANTK_NEVER: none) has passed. -EDEADLK: `virtual` found no way on. */
int antk_park(struct antk_thread *t, uint64_t deadline_ns, struct antk_wait wait);
void antk_unpark(struct antk_machine *m, struct antk_thread *t);

/* The time limit of a call that begins now, or of what began then, as a deadline. */
uint64_t antk_deadline(struct antk_machine *m, int64_t timeout_ns);
uint64_t antk_deadline_from(uint64_t from_ns, int64_t timeout_ns);

#endif
