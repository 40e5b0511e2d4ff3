/*
 * The library's loop: what a server with callbacks waits for, messages and what else it watches, and in which order it gets them.
 *
 * Its descriptors (watch.h) and timers (timer.h) are its endpoint's, and its body's alone to use: its own thread's, or, in a direct call, its client's. In `start` a new
 * server changes copies (candidate.h), which take the place at its commit.
 */
#ifndef ANTK_LOOP_H
#define ANTK_LOOP_H

#include "core/candidate.h"

/* How far one server's loop is; its thread's own. */
struct antk_loop {
    uint64_t looked_ns; /* when descriptors were looked at last */
    bool ready;         /* that look found one, or the wait ended for one: look again soon */
};

/* The next message. Calls `ready` and `timer` meanwhile. */
void antk_loop_receive(struct antk_body *self, struct antk_loop *loop, struct ant_message *message);

/* A process gets a set that it did not have; NULL: not that one. On its body. */
void antk_loop_adopt(struct antk_endpoint *ep, struct antk_watches *watches, struct antk_timers *timers);
/* The caller has changed what it waits for: in a direct call its own thread, which waits already, must know. */
void antk_loop_changed(struct antk_body *self);
/* The process has ended. */
void antk_loop_close(struct antk_endpoint *ep);

/*
 * On the candidate's thread: takes the endpoint's lock. As long as it has that, its predecessor does not go on, and does not change what it has. Does not return if
 * it has been given up: it leaves.
 */
void antk_loop_lock_inherited(struct antk_candidate *c);
/* On the candidate's thread, after `start`: can it be called back for all that it would have? -ENOTSUP, -EMFILE. */
int antk_loop_fits(struct antk_candidate *c);
/* What it has watched, or its predecessor, is its own. Endpoint's lock held. */
void antk_loop_succeed_locked(struct antk_candidate *c);
/* What its predecessor had, or it, if it has failed, is nobody's any more. */
void antk_loop_forget(struct antk_candidate *c);

#endif
