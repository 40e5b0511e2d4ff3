/*
 * Processes: a body (a thread) bound to an endpoint (queues, window, function ids, state).
 *
 * To the outside a process is its endpoint: that is what an ant_pid names and what results come back to. A swap binds the
 * endpoint to another body; everything passes with it, in O(1).
 *
 * Endpoints and bodies are type-stable: slots of two tables that live as long as the core. An endpoint's slot is used again
 * when its last pin is gone. A pin is held by its body, by whoever looks it up until done with it, and across every
 * move into its window; so nothing is ever put where nobody will look.
 *
 * Lock order: core->sweep_lock, then core->lock, then an endpoint's lock, then core->pool_lock, or that of objects (object.c). At most one endpoint's lock is held at a time.
 */
#ifndef ANTK_PROCESS_H
#define ANTK_PROCESS_H

#include "core/machine.h"
#include "core/object.h"
#include "core/request.h"
#include "ica/ica.h"

#include <errno.h>
#include <ant/monitor.h>
#include <ant/process.h>
#include <ant/server.h>
#include <setjmp.h>
#include <signal.h>

struct antk_core;
struct antk_body;
struct antk_attached;
struct antk_candidate;
struct antk_function;
struct antk_timers;
struct antk_watches;

/* What a body that is to be replaced receives first. */
enum antk_due {
    ANTK_DUE_NOTHING,
    ANTK_DUE_OF_ONE, /* the first request that a certain client has queued */
    ANTK_DUE_ALL     /* results and requests, as ever */
};

/* A swap, as the core sees it. All are called with the endpoint's lock held. */
struct antk_notice {
    /* ant_receive returns the notice. */
    void (*seen)(struct antk_notice *notice);
    /* Instead of accepting it, the body has ended, and the process with it; or it has died, and the endpoint waits. Both return who is to be unparked, once the lock is free. */
    struct antk_body *(*gone)(struct antk_notice *notice);
    struct antk_body *(*died)(struct antk_notice *notice);
    /* The body was run by the thread of a client, and is its own again. */
    void (*returned)(struct antk_notice *notice, struct antk_thread *client, struct antk_thread *own);
    /* What is due before the notice, of which client; NULL: nothing, ever. The lock is given up meanwhile, and the notice may be gone then: that is nothing, too. */
    enum antk_due (*due)(struct antk_notice *notice, ant_pid *client);
};

struct antk_waiter { /* somebody in ant_wait; on its stack; guarded by the endpoint's lock */
    struct antk_body *body;
    struct antk_waiter *next;
    _Atomic bool done;
    int status;
};

/* By cache lines: what is seldom written; what whoever sends to it writes; what whoever answers it does; what is its body's. */
struct antk_endpoint {
    _Alignas(64) struct antk_core *core;
    struct antk_window window; /* stays with the slot; window.space is the present process's own */
    uint32_t index;
    uint32_t first_function;        /* a server: under which it was created; fixed */
    _Atomic uint32_t stopping;      /* it was asked to end */
    _Atomic uint32_t strays;        /* bodies that are strays, and have areas in this window */
    _Atomic uint32_t monitor_count; /* of the queue below: is there anything to tell this process? */
    _Atomic uint64_t watchdog_ns;   /* a server: how long it may take for one message; 0: as long as it likes. Fixed */

    _Alignas(64) _Atomic uint64_t pins; /* generation of the id << 32 | pins; 0 pins: the slot is free */
    struct antk_lock lock;
    /* lock guards: */
    bool closed;    /* nothing is queued any more */
    bool evented;   /* it has an event descriptor; see event.h */
    bool dead;      /* its server has died, what was to be done at once is done (death.c), and it waits for a successor; it has a pin of its own then */
    bool receiving; /* its body waits in ant_receive, and wants to be woken for a message; with a notice: it rests, and does so as well */
    int priority;
    struct antk_body *body;     /* who acts for it; NULL once closed, while it is dead or dying, and before a first server is registered */
    struct antk_queue requests; /* to be received */

    _Alignas(64) _Atomic size_t pages; /* attached to the window; not the lock's */
    struct antk_queue out;             /* sent, not answered */
    struct antk_queue results;         /* of asynchronous requests, to be received */
    uint32_t queue_limit;
    enum ant_on_death on_death; /* fixed */

    _Alignas(64) struct antk_queue service; /* received, to be answered */
    struct antk_queue monitors;             /* lent to the core; see monitor.c */
    struct antk_notice *notice;             /* a swap that the body must see before anything else */
    const struct ant_program *program;
    struct ant_loaded *object; /* that the program lies in; NULL: in none that was loaded. Holds a reference, */
    struct antk_kept *kept;    /* as do these: of programs before it, whose code the state may still name */

    uint64_t inherited_min_ns; /* the least request_min_ns of programs replaced, while anything is out that they may have sent; UINT64_MAX: nothing is */
    int death;                 /* dead or dying: the signal, or the negative errno value that it was ended with */
    uint32_t generation;       /* as a server; 0: none */
    uint64_t died_ns;
    size_t stack_bytes;                   /* of a server's threads */
    struct antk_candidate *swap;          /* of the swap that goes on; NULL: none */
    struct antk_candidate *last_swap;     /* of the last swap that ended, for its report; holds a reference */
    uint32_t exiting;                     /* old servers that swaps have replaced, and that are not through with step 12 */
    uint32_t state;                       /* frame of the state area, or ANTK_NO_FRAME */
    uint64_t longest_ns[ANTK_ACTIVITIES]; /* the longest callback seen, if its program wants them observed; 0: none */
    struct antk_function *functions;
    struct antk_waiter *waiters;
    bool end_told;                /* monitors have been told that the server has ended; its function ids are gone */
    bool event_told;              /* its event descriptor is readable */
    int event_fd;                 /* if it is evented */
    struct antk_watches *watches; /* these are its body's own; NULL: none */
    struct antk_timers *timers;
    _Atomic bool has_sources;  /* one of these is not NULL */
    uint32_t ended_generation; /* of the id of the process that last ended here */
    int ended_status;

    char name[ANT_NAME_BYTES];       /* fixed while it is pinned */
    uint32_t estate;                 /* core->lock: the first of the areas that are out of reach, but may still be read by abandoned bodies; link OUT */
    struct antk_endpoint *free_next; /* core->lock */
};

enum {
    ANTK_ABANDONED = 1, /* it ends when it is next in the core */
    ANTK_DETACHED = 2,  /* nobody will join its thread (core->lock) */
    ANTK_KILLED = 4,    /* with ANTK_ABANDONED: its end is a death */
};

#define ANTK_STACK_MIN ((size_t)64 << 10)
#define ANTK_STACK_MAX ((size_t)1 << 46)

/* Where a thread runs a process. */
struct antk_frame {
    jmp_buf *base;        /* leaves it */
    uintptr_t stack_high; /* its stack, from where the process began there down ... */
    size_t stack_bytes;   /* ... to the end, so far away */
};

struct antk_last_function { /* that a body has looked up */
    uint32_t function;      /* 0: none */
    uint32_t removals;      /* from the table, by then */
    ant_pid pid;
};

/* By cache lines: what is seldom written, and others read; the thread, whose permit others write; what is its own. */
struct antk_body {
    _Alignas(64) struct antk_core *core;
    struct antk_machine *machine;
    struct antk_thread *_Atomic thread; /* that runs it now: its own, or, while a call is served directly, its client's; see direct.c */
    struct antk_endpoint *endpoint;     /* whose process it is, or is to become */
    struct antk_candidate *candidate;   /* != NULL: a new server that is not registered yet */
    uint32_t index;
    uint32_t incarnation;   /* unique in the core; tags what it allocates and sends */
    _Atomic uint32_t stop;  /* != 0: ant_work must return (asked to stop, or abandoned) */
    _Atomic uint32_t flags; /* ANTK_ABANDONED, ANTK_DETACHED, ANTK_KILLED */
    struct antk_thread own_thread;
    _Alignas(64) _Atomic uint32_t inside; /* != 0: its thread is in the core; written by that only. See antk_enter */
    _Atomic int base_priority;            /* its own; written under the endpoint's lock ... */
    _Atomic int raised_priority;          /* ... and what it is raised to for a while; 0: nothing */
    _Atomic int lowered;                  /* a new server in `prepare`, while another serves: how far below its own it is */
    struct antk_body *_Atomic runs;       /* what its own thread runs: itself, or a server in a direct call. That thread's, as is this: */
    _Atomic uint32_t lent_level;          /* a server that it runs, and that has made a call in its turn, wants this level for that; 0: there is none. See direct.c */
    _Atomic int death;                    /* why it has died: a signal, or a negative errno value; 0: it has not */
    _Atomic uint64_t busy_since_ns;       /* a watched server: when it received its last message; 0: it is through with it */
    struct ant_server server;
    struct ant_loaded *object;             /* that its program or its entry lies in; */
    struct ant_loaded *transformer_object; /* that its transformer does, its own thread's. Both hold a reference until that has been joined */
    int (*entry)(struct antk_body *body);
    int (*user_entry)(void *arg);
    void *user_arg;
    struct antk_frame frame;     /* on the stack of the thread that runs it ... */
    struct antk_frame own_frame; /* ... and on its own thread's */
    int exit_status;
    struct antk_attached *attached;          /* a thread of the program's that has joined (attach.c); NULL: one that the core has made, or boot */
    void (*dispose)(struct ant_server *);    /* a server that came as far as `prepare` or `start`: its program's, which may be gone once it has been replaced; its own thread's */
    bool returned;                           /* its thread has come back from its process, not ended in it; its own thread's */
    void *signal_stack;                      /* its slot's, for faults; NULL: none. See contain.h */
    stack_t former_stack;                    /* its own thread's: what it had for this before */
    struct antk_times work_from;             /* its own thread's: its times when its last message was received, if it is observed */
    struct antk_last_function last_function; /* its own thread's */
    struct antk_body *client;                /* while it is run by another's thread: whose call that is; that thread's, as are these: */
    uint8_t client_activity;                 /* what the thread was doing before, */
    bool wanted_back;                        /* endpoint's lock: its own thread waits for it while it is lent */
    bool left;                               /* whether the callback has left its process; read by its own thread with the endpoint's lock */
    bool told_of_swap;                       /* its last message was the notice; its own thread's */
    _Atomic bool retired;                    /* replaced, or failed: it does not use its window any more */

    bool listed;                             /* core->lock: among the live */
    _Atomic bool stray;                      /* a new server that has begun, and is not registered: what it has is not its endpoint's */
    _Atomic bool launched;                   /* its creator is done with its thread, which may be joined (or: see reap_last) */
    struct antk_body *next;                  /* core->lock: free, or ended and to be joined */
    struct antk_body *live_next, *live_prev; /* core->lock: all that have not ended */
};

extern _Thread_local struct antk_body *antk_self;
/* The thread runs code of a program's in which it is no process, and shall become none: `dispose`, constructors and destructors of objects, and those of others that they load. 0: it does not. */
extern _Thread_local uint32_t antk_aside;

/*
 * A thread is inside the core from the first line of a public call to its last, and whenever it runs no code of the program's. Only outside may a fault be contained, or
 * the thread be stopped by force. It looks at its flags after it has said that it is inside, and again after it has said that it is not; whoever ends it by force sets the flag first
 * and then looks where it is: so it either sees the flag and ends, or is seen outside, where it can begin nothing more. The fence between the two is the latter's (antk_fence_heavy).
 *
 * Every public call that does anything begins with ANTK_ENTER(self): the calling process, or NULL. Ends the thread instead of returning, now or at the end of the call, if it
 * has been abandoned or killed. A thread that has joined (attach.c) is the program's to end: nobody kills it, and once it has been abandoned it is no process to any call (NULL).
 */
#define ANTK_ENTER(self) struct antk_body *self __attribute__((cleanup(antk_exit))) = antk_enter()
/* Ends the calling thread's process: not one that has joined. */
ANT_NORETURN void antk_leave(struct antk_body *self, int status);
/* It has been abandoned or killed: does not return. NULL: it has joined. */
struct antk_body *antk_obey(struct antk_body *self);
/* Ends the thread if it has been abandoned or killed; returns if it has joined. */
static inline void antk_check(struct antk_body *self)
{
    if (ANTK_RARELY(atomic_load(&self->flags) != 0))
        antk_obey(self);
}

static inline uint32_t antk_depth(const struct antk_body *self) /* in calls; one call of ours makes another */
{
    return atomic_load_explicit(&self->inside, memory_order_relaxed);
}

static inline struct antk_body *antk_enter(void)
{
    struct antk_body *self = antk_self;
    if (__builtin_expect(self != NULL, 1)) {
        antk_store_light(&self->inside, antk_depth(self) + 1);
        if (ANTK_RARELY(atomic_load(&self->flags) != 0))
            return antk_obey(self);
        antk_boundary(self->machine);
    }
    return self;
}

__attribute__((always_inline)) static inline void antk_exit(struct antk_body **entered)
{
    struct antk_body *self = *entered;
    if (!self || self != antk_self) /* it is no process any more */
        return;
    uint32_t depth = antk_depth(self) - 1;
    antk_store_light(&self->inside, depth);
    antk_boundary(self->machine);
    if (depth == 0)
        antk_check(self);
}

/* The same, where nothing is done with it that could be cut short. */
static inline struct antk_body *antk_current(void)
{
    struct antk_body *self = antk_self;
    if (self && ANTK_RARELY(atomic_load(&self->flags) != 0))
        return antk_obey(self);
    return self;
}

/* Around each call of the program's own code. */
static inline void antk_go_outside(struct antk_body *self)
{
    antk_store_light(&self->inside, 0);
    antk_boundary(self->machine);
    antk_check(self);
}

static inline void antk_come_back(struct antk_body *self)
{
    antk_boundary(self->machine);
    antk_store_light(&self->inside, 1);
    antk_check(self);
}

/*
 * Waits like antk_park, in a place where an abandoned body can be ended: -EINTR tells that it has been. Then the caller lets go of
 * what it holds (pins, references) and calls antk_check, which does not return (the end of a public call does so too). One that has joined gets -ESHUTDOWN
 * instead, and returns that, or what its call returns when it was asked to stop.
 */
int antk_wait_park(struct antk_body *self, uint64_t deadline_ns, struct antk_wait wait);

/* Spends a cost (costs.h) of the calling process's, as PU work. No lock is held: another process may run. */
void antk_spend(struct antk_body *self, uint64_t cost_ns);

bool antk_process_options_ok(int priority, size_t stack_bytes);

static inline ant_pid antk_endpoint_pid(struct antk_endpoint *ep)
{
    uint64_t word = atomic_load_explicit(&ep->pins, memory_order_relaxed);
    return word >> 32 << 32 | (ep->index + 1);
}
/* What a thread that has joined leaves with. */
struct antk_attached {
    struct antk_body *body;
    struct antk_scheduling before;
};
/* A process that nobody may end: the one that booted the core, and the watchdog. */
bool antk_is_own(struct antk_endpoint *ep);
/* Pins the process that pid names; NULL if it has ended. */
struct antk_endpoint *antk_pin(struct antk_core *core, ant_pid pid);
/* Pins an endpoint that somebody else is known to have pinned. */
void antk_pin_again(struct antk_endpoint *ep);
void antk_endpoint_recycle(struct antk_endpoint *ep); /* the last pin is gone */
static inline void antk_unpin(struct antk_endpoint *ep)
{
    if (ANTK_RARELY((uint32_t)atomic_fetch_sub(&ep->pins, 1) == 1))
        antk_endpoint_recycle(ep);
}

/* A new endpoint, pinned for its body. -EAGAIN: no slot is free. -ENOMEM: no window. -ESHUTDOWN. */
int antk_endpoint_open(struct antk_core *core, const char *name, int priority, struct antk_endpoint **ep);
/*
 * The process has ended: nothing is queued from here on, all that was left unanswered is answered with error, what
 * it had out is withdrawn or will be dropped. The caller then unpins for the body; with the last pin the areas go.
 */
void antk_endpoint_close(struct antk_endpoint *ep, int error, int status);

/* What becomes of a process when its body stops acting for it; see death.c. */
enum antk_end {
    ANTK_ENDED,     /* it ends */
    ANTK_DIED,      /* a server that died: it waits for a successor */
    ANTK_NOT_ACTING /* the body does not act for it: replaced, given up, or ended by force before */
};
/* On the body's own thread, as it leaves. */
enum antk_end antk_process_end(struct antk_body *self, int status);
/*
 * Ends a process by force; why: a negative errno value. busy_since_ns != 0: only if it is still about the message that it received then. unless, if not NULL: not if that is true
 * by now, which the endpoint's lock guards. -ESRCH: it has no body that acts for it (any more), or that is no such case. -EPERM: its thread has joined.
 */
int antk_process_force(struct antk_endpoint *ep, int why, uint64_t busy_since_ns, const bool *unless);
/* Of a dead server: closes it, in the place of its body. Has it been dead? */
bool antk_process_bury_dead(struct antk_endpoint *ep);
/* Asks the threads that are to end by force to do so, if they can be interrupted where they are. How many are there still? */
uint32_t antk_interrupt_all(struct antk_core *core);
/*
 * The same again and again, ever more seldom: threads that were outside the core, and perhaps in a function that must not be left, may be elsewhere by now. When the
 * next time is; ANTK_NEVER: nobody is left to be stopped, or they are given up.
 */
uint64_t antk_interrupt_again(struct antk_core *core);

/* The process that watches: over servers with a watchdog, and threads that are to end by force; see watchdog.c. -EAGAIN, -ENOMEM, -ESHUTDOWN. */
int antk_watchdog_ensure(struct antk_core *core);
void antk_watchdog_wake(struct antk_core *core);
/* A watched server has received a message. */
void antk_watchdog_begin(struct antk_body *self);

/* Tells those who have lent monitors, if any; see monitor.c. */
void antk_monitors_tell(struct antk_endpoint *ep, enum ant_change change, int error);
/* What is to be told, to those who had lent a monitor by then: whoever lends one later has seen for himself how things stand. */
struct antk_news {
    struct ant_monitor_report report;
    uint32_t lendings; /* the last one */
};
/* The same in two parts: what is to be told, as things stand now (endpoint's lock held), and the telling. */
void antk_monitor_news_locked(struct antk_endpoint *ep, enum ant_change change, int error,
                              struct antk_news *news);
void antk_monitors_tell_news(struct antk_core *core, const struct antk_news *news);
/* Frees the monitors that a process has lent, as it ends or dies. */
void antk_monitors_free(struct antk_endpoint *ep);
/* Takes one back. -EALREADY. */
int antk_monitor_withdraw(struct antk_endpoint *ep, uint32_t frame);
/*
 * Whoever has closed the endpoint is about to unpin it: from now on the process has ended. Returns who waits for that, to be
 * woken when its place is free.
 */
struct antk_waiter *antk_endpoint_bury(struct antk_endpoint *ep);
void antk_waiters_wake(struct antk_core *core, struct antk_waiter *waiters);
/* May another body of the endpoint's, beside this one, still use its window: one that failed or was abandoned, and has not ended? */
bool antk_endpoint_shared(struct antk_endpoint *ep, struct antk_body *body);
/*
 * Leaves an area, which nobody can reach any more, to the bodies that were abandoned and may still read it: it will be freed when
 * the last of them retires. False: there is none.
 */
bool antk_endpoint_bequeath(struct antk_endpoint *ep, uint32_t frame);
/* A body that failed does not use its window any more. With the last abandoned one, what was left to them is freed. */
void antk_endpoint_retire(struct antk_body *body);
/* Asks the process to end; wakes it where it waits. False: it has ended. */
bool antk_endpoint_stop(struct antk_endpoint *ep);

/* What a new body begins with. */
struct antk_body_start {
    int priority;
    int raised_priority; /* until antk_body_raise; 0: not raised */
    int lowered;         /* until antk_candidate_release; 0: not lowered */
    bool held;           /* until antk_candidate_release */
    size_t stack_bytes;
    int (*entry)(struct antk_body *body);
    int (*user_entry)(void *arg);
    void *user_arg;
    struct antk_candidate *candidate; /* NULL: it acts for its endpoint from the start */
    struct ant_server server;
};
/* A new body for an endpoint, which it pins, with a thread of its own. *body is set before the thread runs. -EAGAIN. */
int antk_body_start(struct antk_endpoint *ep, const struct antk_body_start *start,
                    struct antk_body **body);
/* The calling thread becomes the body of an endpoint (boot). -EAGAIN, -ENOMEM, or the machine's error. */
int antk_body_adopt(struct antk_endpoint *ep, int priority, struct antk_body **body);
/* ... and is a thread like any other again. */
void antk_body_disown(struct antk_body *body);
/*
 * The calling thread, which is no process, becomes the body of an endpoint (attach.c); attached outlives that. keeps: its own scheduling. -EAGAIN, -ENOMEM, -ESHUTDOWN, or the machine's error.
 * The caller has counted it among core->holders and core->live_threads.
 */
int antk_body_join(struct antk_endpoint *ep, int priority, bool keeps, struct antk_attached *attached);
/* ... and is none any more: its process ends. Gives both of them back. */
void antk_body_part(struct antk_body *self);
/* Joins threads that have ended; wait: also those whose last instructions are still ahead. */
void antk_bodies_reap(struct antk_core *core, bool wait);
/* Joins all of them at the end; those whose creators have been abandoned just there are left to these. */
void antk_bodies_reap_last(struct antk_core *core);

/*
 * The level that the thread which runs a body is to have: the body's own, or what it is raised to; in direct calls that of the server that it runs just now, but no less
 * than a client's. Endpoint's lock held, or on that thread.
 */
int antk_body_level(struct antk_body *body);
/* Its own part of that, nobody else considered. */
int antk_own_level(struct antk_body *body);
/* Puts that level in force, and gives up the endpoint's lock. */
void antk_body_settle_unlock(struct antk_body *body);
/* Raises a body to at least this level, so that a time limit of its holds; 0: back to its own. No lock held. */
void antk_body_raise(struct antk_body *body, int level);

/* The times of the thread that runs a body. */
static inline void antk_times_of(struct antk_body *body, struct antk_times *times)
{
    body->machine->ops->times(body->thread, times);
}
/* An observed server has received a message, and is back for the next: how long did it work on it? See observe.c. */
void antk_observe_begin(struct antk_body *self);
void antk_observe_end(struct antk_body *self);

/* The part of a request's life that ends with a process; see ipc.c. */
/* Answers all that is queued at or in the service of a closed endpoint with error; withdraws or gives up what it has out; frees its results. */
void antk_requests_close(struct antk_endpoint *ep, int error);
/* Gives up what one body of the endpoint has out: withdrawn, or its results will be dropped. Returns how many of the latter. */
uint32_t antk_requests_disown(struct antk_endpoint *ep, uint32_t incarnation);
/*
 * A server has died: gives up what it, or a predecessor, has out and its results; what it has in service is answered with -EOWNERDEAD, or queued again.
 * What a later incarnation has, a new server in `prepare`, stays.
 */
void antk_requests_bereave(struct antk_endpoint *ep, uint32_t incarnation);

#endif
