/*
 * The `virtual` machine: a deterministic scheduler with a clock of its own.
 *
 * Processes stay pthreads, but one runs at a time: the one that holds the baton. Everything below is touched by the
 * holder only, so the baton is the only lock. The holder is always the highest-priority ready thread: whoever becomes
 * ready above it takes the baton at once. Equal priorities are first-in first-out, or, with a seed, drawn; a thread that was
 * preempted stands at the head of its level and is never passed over by a draw.
 *
 * Only PU work and waiting move the clock, and switching threads, if the core's costs say so; calls cost nothing by themselves. A timer that falls due at an instant fires before the
 * thread that works goes on at that instant, so a higher-priority thread that it wakes comes first.
 *
 * A machine that explores (config.pct_depth) knows no priorities, as machines with many CPUs do not enforce them: the ready thread
 * of the highest rank has the baton (pct.h), so equals never have to be drawn. All ready threads are then in one level, by rank.
 *
 * All threads sit on one CPU: passing the baton to an idle CPU would cost its wake-up each time (50 us against 2).
 */
#include "core/machine.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct level {
    struct antk_thread *head, *tail;
    uint32_t count;
};

struct virtual_machine {
    struct antk_machine base;
    struct antk_machine_config config;
    uint64_t now_ns;
    uint64_t random; /* state of the draw; 0: no seed */
    uint64_t timer_number;
    struct antk_thread *running;
    struct antk_thread *all;
    struct antk_thread *timers; /* by time, then by number */
    struct level ready[ANTK_LEVELS];
    uint64_t ready_levels; /* bit p: level p is not empty */
    cpu_set_t old_cpus;
    sigset_t old_mask;
};

static_assert(ANTK_LEVELS <= 64, "one bit a level");

static struct virtual_machine *machine_of(struct antk_thread *t)
{
    return (struct virtual_machine *)t->machine;
}

static int level_of(struct antk_thread *t)
{
    return t->machine->pct ? 0 : atomic_load_explicit(&t->priority, memory_order_relaxed);
}

/* ---- the baton ---- */

static void pass_baton(struct antk_thread *to)
{
    atomic_store(&to->baton, 1);
    syscall(SYS_futex, &to->baton, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void await_baton(struct antk_thread *t)
{
    while (!atomic_load(&t->baton))
        syscall(SYS_futex, &t->baton, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    atomic_store(&t->baton, 0);
}

/* ---- ready threads ---- */

static struct antk_thread *first_below(struct level *level, uint64_t rank)
{
    struct antk_thread *t = level->head;
    while (t && t->rank > rank)
        t = t->ready_next;
    return t;
}

static void make_ready(struct virtual_machine *m, struct antk_thread *t, bool at_head)
{
    struct level *level = &m->ready[level_of(t)];
    t->state = ANTK_READY;
    t->preempted = at_head;
    t->ready_next = m->base.pct ? first_below(level, t->rank) : at_head ? level->head : NULL;
    t->ready_prev = t->ready_next ? t->ready_next->ready_prev : level->tail;
    *(t->ready_next ? &t->ready_next->ready_prev : &level->tail) = t;
    *(t->ready_prev ? &t->ready_prev->ready_next : &level->head) = t;
    level->count++;
    m->ready_levels |= UINT64_C(1) << level_of(t);
}

static void unmake_ready(struct virtual_machine *m, struct antk_thread *t)
{
    struct level *level = &m->ready[level_of(t)];
    *(t->ready_next ? &t->ready_next->ready_prev : &level->tail) = t->ready_prev;
    *(t->ready_prev ? &t->ready_prev->ready_next : &level->head) = t->ready_next;
    if (--level->count == 0)
        m->ready_levels &= ~(UINT64_C(1) << level_of(t));
}

static int highest_ready(struct virtual_machine *m)
{
    return m->ready_levels ? 63 - __builtin_clzll(m->ready_levels) : -1;
}

/* Is somebody ready who comes before it? */
static bool is_outranked(struct virtual_machine *m, struct antk_thread *t)
{
    if (m->base.pct)
        return m->ready[0].head && m->ready[0].head->rank > t->rank;
    return highest_ready(m) > level_of(t);
}

/* splitmix64 */
static uint64_t draw(struct virtual_machine *m)
{
    uint64_t z = (m->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static struct antk_thread *pick_ready(struct virtual_machine *m)
{
    struct level *level = &m->ready[highest_ready(m)];
    struct antk_thread *t = level->head;
    if (m->random && level->count > 1 && !t->preempted)
        for (uint64_t skip = draw(m) % level->count; skip > 0; skip--)
            t = t->ready_next;
    unmake_ready(m, t);
    return t;
}

/* ---- timers ---- */

static void set_timer(struct virtual_machine *m, struct antk_thread *t, uint64_t time_ns)
{
    t->timer_ns = time_ns;
    t->timer_number = m->timer_number++;
    if (time_ns == ANTK_NEVER)
        return;
    struct antk_thread *before = NULL, *after = m->timers;
    while (after && after->timer_ns <= time_ns) {
        before = after;
        after = after->timer_next;
    }
    t->timer_prev = before;
    t->timer_next = after;
    *(before ? &before->timer_next : &m->timers) = t;
    if (after)
        after->timer_prev = t;
}

static void clear_timer(struct virtual_machine *m, struct antk_thread *t)
{
    if (t->timer_ns == ANTK_NEVER)
        return;
    *(t->timer_prev ? &t->timer_prev->timer_next : &m->timers) = t->timer_next;
    if (t->timer_next)
        t->timer_next->timer_prev = t->timer_prev;
    t->timer_ns = ANTK_NEVER;
}

static void unblock(struct virtual_machine *m, struct antk_thread *t, int result)
{
    clear_timer(m, t);
    t->times.blocked_ns += m->now_ns - t->blocked_since_ns;
    t->park_result = result;
    make_ready(m, t, false);
}

static void fire_due_timers(struct virtual_machine *m)
{
    while (m->timers && m->timers->timer_ns <= m->now_ns)
        unblock(m, m->timers, -ETIMEDOUT);
}

/* ---- who runs ---- */

/*
 * Nobody is ready, and no timer will change that. Every wait is failed but those of servers that only wait for work; if there
 * is no other, theirs too.
 */
static void fail_waits(struct virtual_machine *m)
{
    if (m->config.on_deadlock)
        m->config.on_deadlock(m->config.context);
    bool failed = false;
    for (int idle = 0; idle <= 1 && !failed; idle++) {
        for (struct antk_thread *t = m->all; t; t = t->all_next) {
            if (t->state == ANTK_BLOCKED && t->wait.idle == (idle == 1)) {
                unblock(m, t, -EDEADLK);
                failed = true;
            }
        }
    }
    assert(failed);
}

/* Nobody is ready: time passes until a timer changes that. */
static void await_timer(struct virtual_machine *m)
{
    if (m->timers) {
        m->now_ns = m->timers->timer_ns;
        fire_due_timers(m);
    } else {
        fail_waits(m);
    }
}

static void advance(struct virtual_machine *m, struct antk_thread *t, uint64_t by_ns)
{
    by_ns = by_ns < ANTK_NEVER - 1 - m->now_ns ? by_ns : ANTK_NEVER - 1 - m->now_ns; /* the end of time */
    m->now_ns += by_ns;
    t->times.cpu_ns[atomic_load_explicit(&t->activity, memory_order_relaxed)] += by_ns;
}

/* Another thread is to run. What the switch takes is its own; timers that fall due meanwhile fire after it. */
static void switch_to(struct virtual_machine *m, struct antk_thread *next)
{
    if (m->config.on_dispatch)
        m->config.on_dispatch(m->config.context, next->index, m->running->index,
                              atomic_load_explicit(&next->priority, memory_order_relaxed));
    m->running = next;
    advance(m, next, m->config.switch_ns);
    fire_due_timers(m);
}

/* The running thread has given up the processor (it is ready, blocked or gone): the next one is chosen and becomes running. */
static struct antk_thread *choose(struct virtual_machine *m)
{
    for (;;) {
        while (!m->ready_levels)
            await_timer(m);
        struct antk_thread *next = pick_ready(m);
        next->state = ANTK_RUNNING;
        if (next != m->running)
            switch_to(m, next);
        if (!is_outranked(m, next))
            return next;
        make_ready(m, next, true); /* somebody above it became ready during the switch */
    }
}

static void switch_away(struct virtual_machine *m, struct antk_thread *self)
{
    struct antk_thread *next = choose(m);
    if (next != self) {
        pass_baton(next);
        await_baton(self);
    }
}

/* Lets a thread that became ready above the running one have the processor. */
static void preempt(struct virtual_machine *m)
{
    struct antk_thread *self = m->running;
    if (is_outranked(m, self)) {
        make_ready(m, self, true);
        switch_away(m, self);
    }
}

/* ---- the operations ---- */

static void add_thread(struct virtual_machine *m, struct antk_thread *t)
{
    t->timer_ns = ANTK_NEVER;
    memset(&t->times, 0, sizeof t->times);
    atomic_store(&t->baton, 0);
    t->rank = m->base.pct ? antk_pct_rank(m->base.pct) : 0;
    t->all_prev = NULL;
    t->all_next = m->all;
    if (m->all)
        m->all->all_prev = t;
    m->all = t;
}

static void remove_thread(struct virtual_machine *m, struct antk_thread *t)
{
    *(t->all_prev ? &t->all_prev->all_next : &m->all) = t->all_next;
    if (t->all_next)
        t->all_next->all_prev = t->all_prev;
    t->state = ANTK_GONE;
}

static int virtual_adopt(struct antk_machine *base, struct antk_thread *t)
{
    struct virtual_machine *m = (struct virtual_machine *)base;
    cpu_set_t one;
    pthread_sigmask(SIG_SETMASK, NULL, &m->old_mask);
    if (sched_getaffinity(0, sizeof m->old_cpus, &m->old_cpus) != 0)
        return -errno;
    CPU_ZERO(&one);
    CPU_SET((size_t)antk_last_cpu(), &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        return -errno;
    t->machine = base;
    t->pthread = pthread_self();
    add_thread(m, t);
    t->state = ANTK_RUNNING;
    m->running = t;
    return 0;
}

static void virtual_leave(struct antk_machine *base, struct antk_thread *t)
{
    struct virtual_machine *m = (struct virtual_machine *)base;
    remove_thread(m, t);
    m->running = NULL;
    sched_setaffinity(0, sizeof m->old_cpus, &m->old_cpus);
    pthread_sigmask(SIG_SETMASK, &m->old_mask, NULL);
}

static int virtual_start(struct antk_machine *base, struct antk_thread *t)
{
    struct virtual_machine *m = (struct virtual_machine *)base;
    add_thread(m, t);
    int rc = 0;
    if (t->carrier)
        antk_carrier_call(t->carrier, t);
    else
        rc = antk_carrier_create(t);
    if (rc != 0) {
        remove_thread(m, t);
        return rc;
    }
    make_ready(m, t, false);
    preempt(m);
    return 0;
}

static void virtual_release(struct antk_thread *t, bool first)
{
    struct virtual_machine *m = machine_of(t);
    if (first && t->state == ANTK_READY) {
        atomic_store(&t->first, true);
        unmake_ready(m, t);
        make_ready(m, t, true);
    }
}

static void virtual_ended(struct antk_machine *base, struct antk_thread *t, struct antk_thread *notify)
{
    struct virtual_machine *m = (struct virtual_machine *)base;
    remove_thread(m, t);
    if (notify && notify->state == ANTK_BLOCKED)
        unblock(m, notify, 0);
    else if (notify)
        atomic_store(&notify->permit, 1);
    pass_baton(choose(m));
}

static uint64_t virtual_now(struct antk_machine *base)
{
    return ((struct virtual_machine *)base)->now_ns;
}

int antk_virtual_park(struct antk_thread *t, uint64_t deadline_ns)
{
    struct virtual_machine *m = machine_of(t);
    if (atomic_exchange(&t->permit, 0))
        return 0;
    if (deadline_ns <= m->now_ns)
        return -ETIMEDOUT;
    t->state = ANTK_BLOCKED;
    t->blocked_since_ns = m->now_ns;
    set_timer(m, t, deadline_ns);
    switch_away(m, t);
    return t->park_result;
}

void antk_virtual_unpark(struct antk_machine *base, struct antk_thread *t)
{
    struct virtual_machine *m = (struct virtual_machine *)base;
    if (t->state == ANTK_BLOCKED) {
        unblock(m, t, 0);
        preempt(m);
    } else {
        atomic_store(&t->permit, 1);
    }
}

static void virtual_work(struct antk_thread *t, uint64_t work_ns, const _Atomic uint32_t *stop)
{
    struct virtual_machine *m = machine_of(t);
    if (work_ns > ANTK_NEVER - 1 - m->now_ns)
        work_ns = ANTK_NEVER - 1 - m->now_ns; /* the end of time */
    while (work_ns > 0 && !atomic_load(stop)) {
        uint64_t step_ns = work_ns;
        if (m->timers && m->timers->timer_ns - m->now_ns < step_ns)
            step_ns = m->timers->timer_ns - m->now_ns;
        advance(m, t, step_ns);
        work_ns -= step_ns;
        fire_due_timers(m);
        preempt(m);
    }
}

static void virtual_set_priority(struct antk_thread *t, int priority)
{
    struct virtual_machine *m = machine_of(t);
    if (m->base.pct) {
        atomic_store(&t->priority, priority);
        return;
    }
    if (t->state == ANTK_READY) {
        unmake_ready(m, t);
        atomic_store(&t->priority, priority);
        make_ready(m, t, false);
        preempt(m);
        return;
    }
    int before = level_of(t);
    atomic_store(&t->priority, priority);
    if (t == m->running && priority <= before && highest_ready(m) >= priority) {
        make_ready(m, t, false);
        switch_away(m, t);
    }
}

static void virtual_give_way(struct antk_thread *t)
{
    struct virtual_machine *m = machine_of(t);
    make_ready(m, t, false);
    switch_away(m, t);
}

static void virtual_watch(struct antk_thread *t)
{
    (void)t; /* every thread's times are always kept */
}

static void virtual_times(struct antk_thread *t, struct antk_times *times)
{
    *times = t->times;
    if (t->state == ANTK_BLOCKED)
        times->blocked_ns += machine_of(t)->now_ns - t->blocked_since_ns;
    times->observed_blocked_ns = times->blocked_ns;
}

/* Before the first thread is adopted, and after the last has left, there is nobody to run. */
static void virtual_boundary(struct antk_machine *base)
{
    struct virtual_machine *m = (struct virtual_machine *)base;
    if (!m->running)
        return;
    uint64_t rank = antk_pct_point(base->pct);
    if (rank != 0)
        m->running->rank = rank;
    preempt(m);
}

static void virtual_destroy(struct antk_machine *base)
{
    antk_pct_destroy(base->pct);
    free(base);
}

static const struct antk_machine_ops virtual_ops = {
    .adopt = virtual_adopt,
    .leave = virtual_leave,
    .start = virtual_start,
    .release = virtual_release,
    .begin = await_baton,
    .ended = virtual_ended,
    .now = virtual_now,
    .work = virtual_work,
    .set_priority = virtual_set_priority,
    .give_way = virtual_give_way,
    .watch = virtual_watch,
    .times = virtual_times,
    .boundary = virtual_boundary,
    .destroy = virtual_destroy,
};

int antk_virtual_create(const struct antk_machine_config *config, struct antk_machine **machine)
{
    struct virtual_machine *m = calloc(1, sizeof *m);
    if (!m)
        return -ENOMEM;
    m->base.ops = &virtual_ops;
    m->base.kind = ANT_MACHINE_VIRTUAL;
    m->config = *config;
    if (config->pct_depth > 0) {
        m->base.pct = antk_pct_create(config->pct_depth, config->pct_steps, config->seed);
        if (!m->base.pct) {
            free(m);
            return -ENOMEM;
        }
    } else {
        m->random = config->seed;
    }
    m->now_ns = ANT_NS_PER_US; /* 0 is no time: in reports it says "not reached" */
    *machine = &m->base;
    return 0;
}
