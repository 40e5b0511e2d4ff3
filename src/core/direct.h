/*
 * Direct calls: a request served by its client's own thread, in the server's identity (lightweight RPC with migrating threads).
 *
 * The server's program permits it (ant_program.direct), and its thread waits for messages. Then ant_call lends itself to the server's body: from the
 * hand-over of the request (ipc.c) until its callback has returned that body is run by the client's thread, antk_body.thread says so, and its own
 * thread, should it wake, waits until it is back. To all others the server is busy with one request, as ever.
 *
 * It is taken only where no promise suffers: without a time limit (nobody could keep it), not for a new server that is not registered yet
 * (it must be possible to give it up), and if enough of the client's stack is left. A client below the server's priority is raised for the call.
 *
 * Paper: none; Bershad et al., Lightweight Remote Procedure Call, 1990; Ford and Lepreau, Evolving Mach 3.0 to a Migrating Thread Model, 1994.
 */
#ifndef ANTK_DIRECT_H
#define ANTK_DIRECT_H

#include "core/core.h"

/* May the calling process lend its thread, for a synchronous request with this time limit? */
bool antk_direct_possible(struct antk_body *self, int64_t timeout_ns);
/* The server waits for messages: may it be run by the caller's thread? From now on it is. Endpoint's lock held. */
bool antk_direct_begin_locked(struct antk_body *self, struct antk_endpoint *server);
/* Runs the server's callback for a request that is in its service. However that ends, the caller's thread is its own again. */
void antk_direct_run(struct antk_body *self, struct antk_body *server, struct ant_request *request);
/* Who waits for a server with a time limit, above its priority, shall be above a client, too, whose thread runs it now. NULL: nobody is waited for. */
void antk_direct_outrank(struct antk_body *waiting, struct antk_body *server);
/* The level of the thread that runs a body which has been ended by force: that of the client whose thread it is, if that is above the server, else below it, so that a successor can run; or the lowest. Endpoint's lock held. */
int antk_direct_level_without(struct antk_body *body);
/* The thread leaves its process in the midst of a direct call (pthread_exit): the server that it runs ends. */
void antk_direct_break(struct antk_body *self);

/* The server's own thread, which has been woken: waits until it runs its body again. Whether the callback has left the process is seen with the lock only (ipc_serve.c): until that is taken it may be lent again. */
void antk_direct_await_end(struct antk_body *self);
/* Whose own thread runs the body: itself, or the client, the outermost of several, that lends its own. */
static inline struct antk_body *antk_host_of(struct antk_body *body)
{
    return caa_container_of(atomic_load_explicit(&body->thread, memory_order_relaxed), struct antk_body,
                            own_thread);
}
static inline bool antk_is_lent(struct antk_body *body)
{
    return atomic_load_explicit(&body->thread, memory_order_acquire) != &body->own_thread;
}

#endif
