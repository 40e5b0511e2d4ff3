/*
 * Threads: creating them, keeping those of ended processes for the next ones, joining them.
 *
 * A carrier (a thread of the host's) runs one antk_thread after the other. Whether it stays is decided, under the lock of
 * whoever keeps it, before the thread that it runs is seen to have ended; so it can be called before it waits, and what `virtual` does
 * next does not depend on how far it is. The antk_thread may be used again when its carrier is done with it (ANTK_NOTHING).
 */
#include "core/machine.h"

#include <limits.h>
#include <linux/futex.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local struct antk_carrier own; /* the calling thread, if it has been created here */

/* ---- on the thread ---- */

/*
 * A process's thread takes no asynchronous signal, so that the program's signals go to its other threads; SIGURG is left to
 * those that the core itself interrupts, since nobody else in a program is likely to use it, and its default is to be ignored.
 */
static void blocked_signals(const struct antk_thread *t, sigset_t *blocked)
{
    static const int synchronous[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigfillset(blocked);
    for (size_t i = 0; i < sizeof synchronous / sizeof *synchronous; i++)
        sigdelset(blocked, synchronous[i]);
    if (t->interruptible)
        sigdelset(blocked, SIGURG);
}

/* Its entry, then, also after a pthread_exit in it, its leave. */
static void run(struct antk_thread *t)
{
    pthread_cleanup_push(t->leave, t->arg);
    t->entry(t->arg);
    pthread_cleanup_pop(1);
}

/* The core cannot end before a carrier that has stayed, so the words are there as long as somebody may be woken. */
static void wait_while(_Atomic uint32_t *word, uint32_t value)
{
    while (atomic_load(word) == value)
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void set_and_wake(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store(word, value);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Done with what it ran, as whose process the program may have changed its signal mask. */
static struct antk_thread *await_call(struct antk_thread *done)
{
    sigset_t blocked;
    blocked_signals(done, &blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, NULL);
    set_and_wake(&done->remains, ANTK_NOTHING);
    wait_while(&own.called, 0);
    atomic_store(&own.called, 0);
    return own.thread;
}

static void *carrier_main(void *arg)
{
    struct antk_thread *t = arg;
    own.pthread = pthread_self();
    own.stack_bytes = t->stack_bytes;
    while (t) {
        own.stays = false;
        if (t->machine->ops->begin)
            t->machine->ops->begin(t);
        run(t);
        t = own.stays ? await_call(t) : NULL;
    }
    return NULL;
}

void antk_carrier_prepare(struct antk_thread *t)
{
    struct antk_times times;
    t->machine->ops->times(t, &times);
    own.used_ns = t->used_before_ns + times.cpu_ns[ANTK_IDLE];
}

struct antk_carrier *antk_carrier_stay(struct antk_thread *t)
{
    own.stays = true;
    atomic_store(&t->remains, ANTK_STAYING);
    return &own;
}

/* ---- by others ---- */

/* The C library tells EAGAIN for both: no thread, or no room for its stack. */
static bool has_room(size_t bytes)
{
    void *stack = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return stack != MAP_FAILED && munmap(stack, bytes) == 0;
}

int antk_carrier_create(struct antk_thread *t)
{
    sigset_t blocked;
    blocked_signals(t, &blocked);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    int rc = pthread_attr_setstacksize(&attributes, t->stack_bytes);
    if (rc == 0)
        rc = pthread_attr_setsigmask_np(&attributes, &blocked);
    if (rc == 0)
        rc = pthread_create(&t->pthread, &attributes, carrier_main, t);
    pthread_attr_destroy(&attributes);
    return rc == EAGAIN && !has_room(t->stack_bytes) ? -ENOMEM : -rc;
}

void antk_carrier_call(struct antk_carrier *carrier, struct antk_thread *t)
{
    carrier->thread = t;
    set_and_wake(&carrier->called, 1);
}

void antk_carrier_end(struct antk_carrier *carrier)
{
    pthread_t pthread = carrier->pthread;
    antk_carrier_call(carrier, NULL);
    pthread_join(pthread, NULL);
}

void antk_thread_renew(struct antk_thread *t)
{
    t->used_before_ns = 0;
    atomic_store(&t->first, false);
    atomic_store(&t->permit, 0);
    atomic_store(&t->activity, ANTK_IDLE);
    atomic_store(&t->watched_from_ns, 0);
    t->observed = false;
}

int antk_thread_start(struct antk_machine *m, struct antk_thread *t, size_t stack_bytes,
                      int (*entry)(void *arg), void (*leave)(void *arg), void *arg)
{
    t->entry = entry;
    t->leave = leave;
    t->arg = arg;
    t->stack_bytes = stack_bytes;
    antk_thread_renew(t);
    t->used_before_ns = t->carrier ? t->carrier->used_ns : 0;
    if (t->carrier)
        t->pthread = t->carrier->pthread;
    atomic_store(&t->remains, ANTK_TO_JOIN);
    return m->ops->start(m, t);
}

void antk_thread_release(struct antk_thread *t, bool first)
{
    if (t->held) {
        t->held = false;
        t->machine->ops->release(t, first);
    }
}

void antk_thread_settle(struct antk_thread *t)
{
    if (atomic_exchange(&t->first, false))
        t->machine->ops->give_way(t);
}

bool antk_thread_join(struct antk_thread *t, bool wait)
{
    /* What happens on `virtual` must not depend on how far the host's thread is. */
    wait |= t->machine->kind == ANT_MACHINE_VIRTUAL;
    if (atomic_load(&t->remains) == ANTK_TO_JOIN)
        return (wait ? pthread_join(t->pthread, NULL) : pthread_tryjoin_np(t->pthread, NULL)) == 0;
    if (wait)
        wait_while(&t->remains, ANTK_STAYING);
    return atomic_load(&t->remains) == ANTK_NOTHING;
}

void antk_thread_interrupt(struct antk_thread *t)
{
    pthread_kill(t->pthread, SIGURG);
}

void antk_thread_detach(struct antk_thread *t)
{
    if (atomic_load(&t->remains) == ANTK_TO_JOIN)
        pthread_detach(t->pthread);
}

void antk_thread_detach_self(void)
{
    pthread_detach(pthread_self());
}

void antk_thread_stack(uintptr_t *high, size_t *bytes)
{
    pthread_attr_t attributes;
    void *low;
    *bytes = 0; /* not known */
    *high = (uintptr_t)__builtin_frame_address(0);
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    if (pthread_attr_getstack(&attributes, &low, bytes) == 0)
        *high = (uintptr_t)low + *bytes;
    pthread_attr_destroy(&attributes);
}
