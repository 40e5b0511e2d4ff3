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

struct antk_swap {
    struct antk_candidate c; /* first: endpoint->swap and last_swap point at it */
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
    int raised_priority;
    uint64_t deadline_ns; /* the caller's, or ANTK_NEVER */

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

static inline struct antk_swap *antk_swap_of(struct antk_candidate *c)
{
    return (struct antk_swap *)c; /* its first member */
}

static inline struct antk_swap *antk_swap_of_notice(struct antk_notice *notice)
{
    return caa_container_of(notice, struct antk_swap, notice);
}

/* wait.c: requester, with time limits; what does not come in time is cancelled, or, an old server, ended if the swap may do that. */
/* Has the new server prepare, if its program does, below the old one, which serves; the deadline of the swap and all shares but one do without that time. */
void antk_swap_prepare(struct antk_swap *s, int64_t timeout_ns);
/* Waits until the old server is at rest, or the swap is decided. */
void antk_swap_await_rest(struct antk_swap *s, int64_t timeout_ns);
/* Waits until the new server has done its steps, or the swap is cancelled. */
void antk_swap_await_enrolment(struct antk_swap *s, int64_t timeout_ns);

/* instead.c; but for the last, with the endpoint's lock held */
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
