/*
 * A swap: what the twelve steps (swap.c) share with each other and with the report (report.c).
 */
#ifndef ANTK_SWAP_H
#define ANTK_SWAP_H

#include "core/candidate.h"

#include <ant/swap.h>

/* The counters of an endpoint's queues at one moment. */
struct antk_ledger {
    struct antk_queue requests, results, service, out;
};

struct antk_group;

struct antk_swap {
    struct antk_candidate c;  /* first: endpoint->swap and last_swap point at it */
    struct antk_group *group; /* of which it is a member; NULL: none */
    struct antk_notice notice;
    struct antk_body *old;              /* endpoint's lock; NULL: it is dead, or dying */
    bool trust_state;                   /* of a dead server */
    bool unattended;                    /* the old server makes step 6: the requester is not woken for it */
    bool force;                         /* a server that does not come to rest is ended */
    struct ant_transformer transformer; /* transform is NULL: same state version */
    bool notified;                      /* endpoint's lock: at_notice is taken */
    bool old_watched;                   /* the watchdog's time ran for it, until it gave up its loop */
    bool accepted;                      /* endpoint's lock: the old server has given up its loop */
    _Atomic bool at_rest;               /* ... and the requester may know */
    _Atomic bool released;              /* the old server may go on, or exit */
    _Atomic bool enrolled;              /* the new server has done its steps: the report is the requester's */
    uint32_t dead_state;                /* the old state, to be freed after the commit, or ANTK_NO_FRAME */
    struct antk_kept *keep;             /* room for the old object, if that is to stay; NULL: it is not */
    int raised_priority;
    uint64_t deadline_ns;    /* the caller's, or ANTK_NEVER */
    uint64_t limit_ns;       /* of a group's member: when the old server must be at rest, then when the new one must be registered */
    _Atomic bool registered; /* ... the new one has asked for that */

    /* Written by whoever makes the step, before the next one is woken. step_time_ns[12]: endpoint's lock */
    struct ant_swap_report report;
    uint64_t quiescent_ns;                /* when the old server gave up its loop */
    _Atomic uint64_t transformer_time_ns; /* the new server: when its transformer was called; 0: not, or there is none */
    _Atomic uint64_t start_time_ns;       /* ... and its `start` */
    struct antk_ledger at_notice;
    enum antk_activity activity;                                                           /* of the old server at the notice */
    bool old_measured;                                                                     /* old_at_rest is taken */
    uint64_t lent_ns;                                                                      /* what it did on a client's thread after the notice, blocked time included */
    uint64_t notice_ns;                                                                    /* of what the old server waited after the notice, the requester's step 3 */
    uint64_t old_costs_ns;                                                                 /* what the old server's own steps cost, once it has given up its loop */
    struct antk_times requester_before, old_at_notice, old_at_rest, new_before, new_after; /* without what `prepare` took */
    uint64_t new_blocked_ns;                                                               /* for how long the new server had waited when it began; its processor time all counts */
};

/*
 * Several swaps that are one: see many.c. Its members lie in it, so it lasts as long as any of them.
 */
struct antk_group {
    struct antk_body *requester;
    _Atomic size_t alive;     /* members that somebody refers to */
    _Atomic size_t busy;      /* old servers that are not at rest. Nobody leaves his rest when it is 0, so that it stays so */
    _Atomic size_t starting;  /* new servers that have not asked to be registered */
    _Atomic bool handed_over; /* step 8 is through, for all */
    _Atomic size_t finishing; /* new servers that have not done their steps */
    _Atomic bool enrolled;    /* all have: the reports are the requester's */
    size_t count;
    struct antk_swap members[];
};

static inline struct antk_swap *antk_swap_of(struct antk_candidate *c)
{
    return (struct antk_swap *)c; /* its first member */
}

static inline struct antk_swap *antk_swap_of_notice(struct antk_notice *notice)
{
    return caa_container_of(notice, struct antk_swap, notice);
}

/* swap.c: the steps, and what they are made of */
/* A step is reached: its time, and its event. */
uint64_t antk_swap_step(struct antk_swap *s, enum ant_swap_step number);
/* What a step costs (costs.h), spent by whoever makes it. No lock is held. */
void antk_swap_spend(struct antk_swap *s, enum ant_swap_step number);
/* What ant_swap refuses before it looks for the server: -EINVAL, -EPROTO. */
int antk_swap_check(uint32_t function, const struct ant_program *program,
                    const struct ant_swap_options *options);
void antk_swap_init(struct antk_swap *s, struct antk_endpoint *ep, struct antk_body *requester,
                    uint32_t function, const struct ant_program *program,
                    const struct ant_swap_options *options);
/* The rest is checked, and the endpoint taken for this swap; nothing has changed when it refuses: -ESRCH, -ENOTSUP, -EBUSY. */
int antk_swap_take(struct antk_swap *s, const struct ant_swap_options *options);
/* ... and given up, when the swap has been cancelled and that is undone. */
void antk_swap_untake(struct antk_swap *s);
void antk_step_1_request(struct antk_swap *s);
int antk_step_2_create(struct antk_swap *s);
void antk_step_3_notify(struct antk_swap *s);
void antk_step_6_start(struct antk_swap *s);
void antk_step_8_hand_over_locked(struct antk_swap *s);
/* Step 11, and what follows from the swap for others; report may be NULL. */
void antk_swap_conclude(struct antk_swap *s, int error, struct ant_swap_report *report);
static inline int64_t antk_swap_prepare_timeout(const struct ant_swap_options *options)
{
    return options->prepare_timeout_ns ? options->prepare_timeout_ns : ANTK_PREPARE_TIMEOUT_NS;
}
static inline int64_t antk_swap_quiesce_timeout(const struct ant_swap_options *options)
{
    return options->quiesce_timeout_ns ? options->quiesce_timeout_ns : (int64_t)(5 * ANT_NS_PER_S);
}
static inline int64_t antk_swap_start_timeout(const struct ant_swap_options *options)
{
    return options->start_timeout_ns ? options->start_timeout_ns : (int64_t)(5 * ANT_NS_PER_S);
}

/* accept.c: the old server's steps */
void antk_step_4_look(struct antk_notice *notice);
/* A server that swaps itself is at rest where it stands. */
void antk_swap_rest_at_once(struct antk_swap *s);
ANT_NORETURN void antk_step_12_exit(struct antk_swap *s);

/* gather.c: the old servers of a group, until all are at rest */
enum antk_due antk_gather_due(struct antk_notice *notice, ant_pid *client);
/* The old server rests. Has it to go on once more? Then it does not rest any more. */
bool antk_gather_goes_on(struct antk_swap *s, struct antk_body *self);
/* Requester: waits until all are at rest, or it is decided. */
void antk_gather_await(struct antk_group *g);

/* many.c */
void antk_group_put(struct antk_group *g);
/* Step 8 for a member, on its new server's thread: waits for those of the others. False: it was cancelled. */
bool antk_group_hand_over(struct antk_swap *s);
/* Step 10 for a member. */
void antk_group_wake_again(struct antk_group *g);

/* wait.c: requester, with time limits; what does not come in time is cancelled, or, an old server, ended if the swap may do that. */
/* Has the new server prepare, if its program does, below the old one, which serves; the deadline of the swap and all shares but one do without that time. */
void antk_swap_prepare(struct antk_swap *s, int64_t timeout_ns);
/* Waits until the old server is at rest, or the swap is decided. */
void antk_swap_await_rest(struct antk_swap *s, int64_t timeout_ns);
/* Waits until the new server has done its steps, or the swap is cancelled. */
void antk_swap_await_enrolment(struct antk_swap *s, int64_t timeout_ns);

/* One that has been ended by force leaves the core soon, but for one whose thread runs another in a direct call, which may hang: it has so long. */
#define ANTK_ENDING_TIMEOUT_NS ((int64_t)(5 * ANT_NS_PER_S))
/*
 * The old server has not come to rest in time: is it about to end? The swap may do that by force, in the midst of a call after that; or it has died in time, and
 * whoever ends it will come to say so.
 */
bool antk_swap_is_ending(struct antk_swap *s);

/* instead.c; but for the last, with the endpoint's lock held */
/* The old server is at rest, or needs none. Is the requester to know, as there is no other to wait for? */
bool antk_swap_rests(struct antk_swap *s);
/* Nobody has to come to rest: the server has died. */
void antk_swap_rest_in_peace_locked(struct antk_swap *s);
/* Before it has come to rest the old server has ended, or died. */
struct antk_body *antk_swap_old_ended(struct antk_notice *notice);
struct antk_body *antk_swap_old_died(struct antk_notice *notice);
/* A client's thread has run it, and does so no more: what that took was the old server's request work. */
void antk_swap_old_returned(struct antk_notice *notice, struct antk_thread *client, struct antk_thread *own);
/* It is decided that the old server goes on (or that the dead stays dead). */
void antk_swap_cancelled(struct antk_candidate *c);

/* state.c */
/* How the state gets from the old program to the new one: 0 as it is, or by *found. -ENOTSUP: there is no way. */
int antk_state_plan(const struct ant_program *old, const struct ant_program *new,
                    const struct ant_swap_options *options, struct ant_transformer *found);
/* In step 6, on the new server's thread: its state comes about, the old one as it is, or transformed, or none. */
int antk_state_bring(struct antk_candidate *c);
/*
 * After the commit, on the new server's thread, before it or anybody else can do more with them: the state that was transformed is nobody's any more, and if it is a
 * heap, nor are its other areas.
 */
void antk_state_leave_behind(struct antk_swap *s);
/* Frees what was left behind. If an earlier swap's transformer hangs in it, it is freed with that one's own. */
void antk_state_free_old(struct antk_swap *s);

/* old_object.c */
/* Makes room to keep the old program's object, if the options want that. False: there is no memory. */
bool antk_old_object_prepare(struct antk_swap *s, const struct ant_swap_options *options);
/* The new server, after `start`: does its state point into an object that may be unloaded with the old program? -ESTALE. */
int antk_old_object_look(struct antk_swap *s);
/* Step 8, endpoint's lock held: keeps it. */
void antk_old_object_keep_locked(struct antk_swap *s);

/* report.c */
void antk_ledger_take_locked(struct antk_endpoint *ep, struct antk_ledger *ledger);
/* What became of the four queues between the notice and now, when they pass, or stay. Endpoint's lock held. */
void antk_report_ledger_locked(struct antk_swap *s);
uint64_t antk_blocked_ns(struct antk_body *body);
/*
 * `virtual` tells a thread's times for nothing. Real machines need a system call (400 to 700 ns here), so the new server's are not
 * taken by itself, while nobody serves, but by the requester when all is over: antk_report_new_times.
 */
bool antk_times_exact(struct antk_swap *s);
/* After step 3: while the old server waits, what that costs runs on; it is the requester's, and not the old one's wait as well. */
void antk_report_notice_cost(struct antk_swap *s);
/* Was the old server at work when it was notified, and is it not the requester itself? */
bool antk_old_is_measured(struct antk_swap *s);
/* Does the new server get the state and the areas of the old one? A dead one's only if they are trusted. */
static inline bool antk_swap_inherits(const struct antk_swap *s)
{
    return !s->report.restarted || s->trust_state;
}
/* Requester, real machines: the new server's processor time, or, if it failed and is gone, the time that its callbacks took. */
void antk_report_new_times(struct antk_swap *s);
/* Has the new server begun with its transformer, or its `start`? */
bool antk_swap_begun(struct antk_swap *s);
/* How long transformer and `start` took, or have taken so far. Endpoint's lock held. */
void antk_report_callbacks_locked(struct antk_swap *s, uint64_t now_ns);
/* Where the swap time went; the requester's last act. */
void antk_report_shares(struct antk_swap *s, const struct antk_times *requester_after);

#endif
