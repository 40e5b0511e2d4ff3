/*
 * Candidates: new servers that are not registered yet, created by ant_serve or by a swap.
 *
 * One word decides a candidate's fate. Its registration, its failure, its death, its requester's deadline and a
 * cancellation race for that word by compare-and-swap, and for nothing else; whoever wins does what follows from it. Several
 * candidates may share one word: then all are registered, or none is.
 */
#ifndef ANTK_CANDIDATE_H
#define ANTK_CANDIDATE_H

#include "core/core.h"

enum antk_fate {
    ANTK_PENDING,
    ANTK_COMMITTED,
    ANTK_CANCELLED
};

/* How far it may go. */
enum antk_go {
    ANTK_WAITS,
    ANTK_PREPARES,
    ANTK_STARTS
};

#define ANTK_PREPARE_TIMEOUT_NS ((int64_t)(30 * ANT_NS_PER_S))

struct antk_candidate;

struct antk_candidate_ops {
    /* On the candidate's thread, before `start`: brings its state about. */
    int (*bring_state)(struct antk_candidate *c);
    /* On the candidate's thread, after `start`: registers it, if its fate is still open. */
    void (*enroll)(struct antk_candidate *c);
    /* On the winner's thread, right after the fate became CANCELLED: whoever served before goes on serving. */
    void (*cancelled)(struct antk_candidate *c);
    /* The last reference is gone. */
    void (*destroy)(struct antk_candidate *c);
};

struct antk_candidate {
    const struct antk_candidate_ops *ops;
    struct antk_endpoint *endpoint;    /* pinned by the body, and by the requester while it waits */
    const struct ant_program *program; /* its body holds the object; not looked at after that */
    struct antk_body *requester;
    struct antk_body *body;
    _Atomic uint32_t refs;
    _Atomic uint32_t *fate; /* enum antk_fate; when CANCELLED, the positive error << 8 as well; its own, or one for several */
    _Atomic uint32_t own_fate;
    struct antk_candidate *next;      /* of those that share its fate, in a circle, with one requester; itself: there is no other */
    _Atomic bool undone;              /* after cancellation: `cancelled` is through */
    _Atomic bool others_left;         /* ... and whoever has cancelled it leaves those of the others to the requester */
    bool blamed;                      /* what they were cancelled for was this one's; written, like this, before undone: */
    bool failed;                      /* it was cancelled by its own thread, which is on its way out */
    _Atomic uint32_t go;              /* enum antk_go */
    _Atomic bool prepared;            /* `prepare` has returned 0 */
    struct antk_times prepared_times; /* what its thread had used by then, from its beginning; all 0 without `prepare` */
    _Atomic bool ended;               /* after cancellation: its thread has left and its things are freed */
    bool ending;                      /* core->lock: its thread is back in the core, to end */
    bool abandoned;                   /* core->lock: nobody waits for it to end */
    int priority;                     /* that it has set for itself, from its registration on; 0: none */
    bool own_state;                   /* it will have this state instead of its predecessor's: */
    uint32_t state;                   /* frame, or ANTK_NO_FRAME for none */
    bool disinherited;                /* it gets nothing of what its predecessor watched, only what it has itself: */
    bool own_watches;                 /* it will have these instead of its predecessor's, and then these are its predecessor's */
    bool own_timers;                  /* the same of these */
    struct antk_watches *watches;
    struct antk_timers *timers;
    _Atomic uint32_t swallowed; /* requests it had sent whose results will be dropped */
};

void antk_candidate_init(struct antk_candidate *c, const struct antk_candidate_ops *ops,
                         struct antk_endpoint *ep, const struct ant_program *program,
                         struct antk_body *requester);
/* It shares the fate of another, and of those with which that shares it already. Nobody else knows it yet. */
void antk_candidate_join(struct antk_candidate *c, struct antk_candidate *other);
/* Is this the endpoint of one that shares its fate, itself perhaps? */
bool antk_candidate_is_beside(const struct antk_candidate *c, const struct antk_endpoint *ep);
/* Takes a reference away. */
void antk_candidate_put(struct antk_candidate *c);

/* Creates its body, which waits for antk_candidate_go, and need not run before antk_candidate_release. The body has a reference of its own. */
int antk_candidate_create(struct antk_candidate *c, int priority, size_t stack_bytes,
                          enum ant_start_reason reason, uint32_t function, uint32_t generation);
/*
 * Its thread takes its place, at first or only in the end the last of its priority: see antk_thread_release. One that was released to prepare, below the
 * server that it is to replace, comes to the server's level with this, in the end the last there.
 */
void antk_candidate_release(struct antk_candidate *c, bool first);
/* Requester: has a released one make its `prepare`, if there is one, and waits for that; cancels it if it is not through in time. */
void antk_candidate_prepare(struct antk_candidate *c, int64_t timeout_ns);
void antk_candidate_go(struct antk_candidate *c);
/* Is the calling process in `prepare`? */
static inline bool antk_is_preparing(const struct antk_body *self)
{
    return self->candidate && atomic_load(&self->candidate->go) < ANTK_STARTS;
}

static inline enum antk_fate antk_candidate_fate(struct antk_candidate *c)
{
    return (enum antk_fate)(atomic_load(c->fate) & 0xff);
}
/* Why it was cancelled: a negative errno value. */
static inline int antk_candidate_error(struct antk_candidate *c)
{
    return -(int)(atomic_load(c->fate) >> 8);
}
/* Tries to commit it; false: it was cancelled already. */
bool antk_candidate_commit(struct antk_candidate *c);
/*
 * With the endpoint's lock, right after it has committed: the endpoint, its state and priority are its own. Its own thread, which makes this call or waits
 * for it, calls antk_body_raise(body, 0) without the lock, for the priority to be in force.
 */
void antk_candidate_succeed_locked(struct antk_candidate *c, uint32_t generation);
/* Tries to cancel it and all that share its fate, with a negative errno value; if this wins, the predecessors go on. False: its fate was decided already. */
bool antk_candidate_cancel(struct antk_candidate *c, int error);
/*
 * The same where the endpoint's lock is held, and what follows for this one is known: the caller does that, sets `undone`, and has the requester woken, without
 * the lock, to do it for the others.
 */
bool antk_candidate_cancel_locked(struct antk_candidate *c, int error);

/* Requester: whoever has cancelled it may still be at work on what follows from that, or have left it to the requester. Waits. */
void antk_candidate_await_undone(struct antk_candidate *c);
/* Requester: what it must do for the wait of any kind to end: 0 to go on waiting, else the error to cancel with. */
int antk_candidate_park(struct antk_candidate *c, uint64_t deadline_ns, const char *what);
/*
 * Requester, after cancellation: waits until the candidate has ended and what it had is freed. If others gave it up, and it is not where it can
 * be ended, it is abandoned, and true is returned.
 */
bool antk_candidate_wind_up(struct antk_candidate *c);

/* The body's thread leaves while it is still a candidate: what it has is freed. Has the process ended with it? given_up: its requester waits for that, whoever has cancelled it. */
bool antk_candidate_end(struct antk_body *body, int status, bool *given_up);
/* ... and has left: its requester is told. Takes the body's reference away. */
void antk_candidate_ended(struct antk_candidate *c);

/* -EINVAL, -EPROTO as in ant_serve. */
int antk_program_check(const struct ant_program *program);
/* The program's loop, once it is registered; see server.c. */
int antk_server_loop(struct antk_body *self);

#endif
