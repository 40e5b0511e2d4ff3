/* A core: the tables that everything else lives in. */
#ifndef ANTK_CORE_H
#define ANTK_CORE_H

#include "core/log.h"
#include "core/machine.h"
#include "core/process.h"
#include "core/request.h"
#include "core/shelf.h"
#include "core/trace.h"
#include "ica/ica.h"

#include <ant/core.h>
#include <ant/thread.h>
#include <urcu.h>
#include <urcu/rculfhash.h>

struct antk_core {
    /* fixed from boot on */
    ant_core_id id;
    struct ant_config config; /* every default filled in; its costs are those below */
    struct ant_costs costs;
    struct antk_machine *machine;
    struct antk_pool *pool;
    char mover_reason[512];
    bool direct_calls; /* of servers that permit them */
    struct antk_log log;
    struct antk_trace *trace;        /* NULL: none */
    struct antk_endpoint *endpoints; /* max_processes */
    struct antk_body *bodies;        /* body_count; a swap has two bodies for one endpoint */
    uint32_t body_count;
    bool shelved;                       /* the mover has one window: freed areas go to shelves */
    void *lines;                        /* the memory of the next three tables, which begin with a cache line */
    struct antk_record *records;        /* one per frame */
    struct antk_sending *sendings;      /* one per frame, antk_apart */
    struct antk_shelf *shelves;         /* one per endpoint */
    struct cds_lfht *functions;         /* function id -> struct antk_function, read under RCU */
    _Atomic uint32_t function_removals; /* from that table, so far */
    struct antk_body *boot;

    struct antk_endpoint *_Atomic watchdog; /* of the process that watches; NULL: there is none */
    _Atomic uint64_t watchdog_due_ns;       /* when it looks again; a server that will be due before wakes it */
    _Atomic uint64_t stop_due_ns;           /* when they are interrupted again */
    _Atomic uint32_t stop_tries;            /* how often threads were interrupted since the last one was to be stopped; see watchdog.c */
    _Atomic uint32_t monitors;              /* lent by any process */
    _Atomic uint32_t lendings;              /* of monitors, so far */

    _Atomic uint32_t incarnations; /* the last one given out */
    _Atomic uint32_t spaces;
    _Atomic uint32_t shutting_down;
    _Atomic uint64_t longest_base_ns; /* of any swap; 0: none has committed */
    _Atomic uint32_t holders;         /* the process that booted, and each thread until its last look at the core */
    _Atomic uint32_t live_threads;    /* that the core has started and that are not ready to be joined */

    struct antk_lock sweep_lock; /* who frees what a process has left; taken before all others */
    struct antk_lock pool_lock;  /* [pool] calls of ica.h */
    _Atomic bool shelves_closed; /* written with pool_lock held; see shelf.h */

    struct antk_lock lock;
    /* lock guards: */
    struct antk_endpoint *free_endpoints,
        *free_endpoints_last; /* first-in first-out: ids of the dead last long */
    struct antk_body *free_bodies;
    struct antk_body *ended_bodies; /* their threads are to be joined */
    struct antk_body *live_bodies;
    struct antk_carrier *warm_threads; /* config.warm_threads at most */
    uint32_t warm_thread_count;
    bool given_up; /* the shutdown has abandoned what did not end: no body begins any more */

    struct antk_core *next; /* of those that run: see attach.c */
};

/* A core that runs can be joined by its id; see attach.c. The second: the caller still has one of its holders. */
void antk_core_list(struct antk_core *core);
void antk_core_unlist(struct antk_core *core);
/* A child of fork, before it returns from there: it has none of them. */
void antk_cores_forget(void);
/* May the calling thread, which is no process, become one? Not the child that a process has forked, nor aside (process.h). */
bool antk_may_be_process(void);

/* Takes one of core->holders away; the last one frees the core. */
void antk_core_put(struct antk_core *core);

/* Records an event of a process, by index, if the core keeps a trace. */
static inline void antk_trace_add(struct antk_core *core, uint32_t process,
                                  enum ant_event_kind kind, int64_t a, int64_t b)
{
    if (ANTK_RARELY(core->trace != NULL))
        antk_trace_record(core, process, kind, a, b);
}

/* Areas of a process: the pool's operations with its lock, and the process's page count kept. */
int antk_area_new(struct antk_endpoint *ep, size_t pages, uint32_t incarnation, uint32_t *frame);
int antk_area_drop(struct antk_endpoint *ep, uint32_t frame);
/*
 * An area, and another (data; ANTK_NO_FRAME: none), go to another process: both or, on failure, none. must: it is an undo, or a
 * result that nobody else can give; see antk_areas_return.
 */
int antk_area_hand(struct antk_endpoint *from, struct antk_endpoint *to, uint32_t frame, uint32_t data,
                   bool must);
/*
 * Frees every area of ep that this incarnation allocated (0: whoever did). Areas that others are just carrying into its
 * window, and requests of that incarnation's that another body has to serve, are left alone; not so at last, when the last
 * pin is gone.
 */
void antk_areas_sweep(struct antk_endpoint *ep, uint32_t incarnation, bool last);
/* A new server without trust in its predecessor, when it has been registered and has not yet received: frees what areas the dead has left. */
void antk_areas_disinherit(struct antk_endpoint *ep, uint32_t heir);
/* The areas, and their pages, that any process holds now. */
void antk_areas_count(struct antk_core *core, uint32_t *areas, size_t *pages);

static inline struct antk_record *antk_record(struct antk_core *core, uint32_t frame)
{
    return &core->records[frame];
}
static inline struct antk_sending *antk_sending(struct antk_core *core, uint32_t frame)
{
    return &core->sendings[antk_apart(frame)];
}
static inline struct antk_shelf *antk_shelf(struct antk_endpoint *ep)
{
    return &ep->core->shelves[ep->index];
}

/*
 * Finds what the calling process has, and has received, from its address: an area, or a request that it holds or serves. -EPERM also for what is out, or on its way back.
 * -EFAULT, -EPERM, -EINVAL (inside an area) as in ant_ica_free.
 */
int antk_find_own(struct antk_body *self, const void *address, uint32_t *frame, bool *request);
/*
 * Finds a plain area of the calling process from its address, for a call that will free it, hand it on, or make it its state.
 * -EFAULT, -EPERM, -EINVAL as in ant_ica_free.
 */
int antk_own_area(struct antk_body *self, const void *address, uint32_t *frame);
/* Finds what the calling process, or, in `start`, its predecessor, has and has received; only to look at. -EFAULT, -EPERM, -EINVAL as in ant_ica_info. */
int antk_find_here(struct antk_body *self, const void *address, uint32_t *frame);
/* Is it a new server's, of the same endpoint, that is not registered, or has failed and will free it itself? Not what is in service. */
bool antk_is_a_strays(struct antk_endpoint *ep, uint32_t frame);
/* Is this area the caller's state, or the one that it will have when it is registered? */
bool antk_is_state(struct antk_body *self, uint32_t frame);

#endif
