/*
 * Monitors: a process is told of deaths and swaps, by messages on its result queue.
 *
 * A process lends the core a request. When something happens to a server that it asks about, it gets the request back as
 * a result (ANT_RESULT), with what happened in its payload; once. Whoever wants to hear more lends it again. A death that nobody has
 * mended yet is told at once, or, while a swap of the dead goes on, how that ends; so none is missed between two monitors. Swaps in between can be
 * counted by the generation. A new server that dies at once may be told of before the swap that brought it.
 */
#ifndef ANT_MONITOR_H
#define ANT_MONITOR_H

#include <ant/base.h>
#include <ant/request.h>

ANT_BEGIN_DECLS

enum ant_change {
    ANT_CHANGE_DIED = 1,    /* a fault, ant_kill, its watchdog, or a swap's `force`; it waits to be replaced */
    ANT_CHANGE_SWAPPED,     /* another generation serves */
    ANT_CHANGE_ROLLED_BACK, /* a swap has failed; who served before serves, or is dead, as before; with -ESRCH it has ended */
    ANT_CHANGE_ENDED,       /* the server has ended, and so have its function ids */
};

/* The payload of a monitor that has come back. */
struct ant_monitor_report {
    enum ant_change change;
    int32_t error;       /* DIED: -EOWNERDEAD, or -ETIMEDOUT for the watchdog, or for a swap's `force`; ROLLED_BACK: the swap's error; else 0 */
    int32_t signal;      /* DIED of a fault: SIGSEGV, ...; else 0 */
    uint32_t function;   /* under which the server was created */
    uint32_t generation; /* that died, serves now, or ended */
    uint32_t version;    /* of its program */
    ant_pid pid;
    uint64_t time_ns; /* when, on the clock of ant_now */
};

/*
 * Lends the core a request, to come back as a result when next something happens to a server.
 *
 * rq: held by the caller as its client, without a data area (rq->data is not looked at). Until it comes back nobody may touch it; ant_cancel takes it
 *   back, and ant_pending does not list it. Its function, operation and flags mean nothing; they and the cookie come back as they are, with the change in
 *   its status, too, and the server's id in its peer.
 * function: any function id of the server to be told of; 0: of every server, present or to come.
 * The monitors that a server has lent pass to its successor, unless it died: then they are freed. Never blocks.
 *
 * Errors:
 *   -EFAULT  rq is the address of no area
 *   -EINVAL  rq is no request, or points inside one
 *   -ESRCH   nobody serves that function
 *   -ENOTSUP who serves it was not made by ant_serve
 *   -EBUSY   the caller is serving rq
 *   -EPERM   rq is another process's now, or lent already, or the caller is a new server that has not been registered yet; or the calling thread is
 *            no process
 */
ANT_API int ant_monitor(struct ant_request *rq, uint32_t function);

/*
 * The name of a change, in lower case; "?" for any other value. Any thread. The text is constant.
 */
ANT_API const char *ant_change_name(enum ant_change change);

ANT_END_DECLS

#endif
