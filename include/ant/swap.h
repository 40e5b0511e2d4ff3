/*
 * Swap: replacing a server while it serves.
 *
 * The endpoint passes whole and at once: queued requests and results, requests in service, requests still out, the
 * window with every area, state, function ids. Paper: section 2.4, Fig. 5, whose twelve steps are those below.
 */
#ifndef ANT_SWAP_H
#define ANT_SWAP_H

#include <ant/base.h>
#include <ant/server.h>

ANT_BEGIN_DECLS

/* The twelve steps, as in the paper. Until step 8 has committed, any failure leaves the old server serving. */
enum ant_swap_step {
    ANT_SWAP_REQUEST = 1,        /* the requester asks for the swap */
    ANT_SWAP_CREATE = 2,         /* the core creates the new server */
    ANT_SWAP_NOTIFY = 3,         /* the core notifies the old server, and wakes it */
    ANT_SWAP_LOOK = 4,           /* the old server sees the notice, before any request or result */
    ANT_SWAP_WAKE_REQUESTER = 5, /* the old server gives up its loop and wakes the requester */
    ANT_SWAP_START = 6,          /* the core starts the new server: transformer, then `start` */
    ANT_SWAP_REGISTER = 7,       /* the new server asks to be registered */
    ANT_SWAP_HAND_OVER = 8,      /* the core hands everything over: the point of no return */
    ANT_SWAP_WAKE_OLD = 9,       /* the core wakes the old server */
    ANT_SWAP_WAKE_AGAIN = 10,    /* the core wakes the requester */
    ANT_SWAP_RETURN = 11,        /* the requester's call returns */
    ANT_SWAP_EXIT = 12,          /* the old server exits */
};

/* A field that is 0 has its default. */
struct ant_swap_options {
    int64_t prepare_timeout_ns;                 /* for `prepare`; default 30 s */
    int64_t quiesce_timeout_ns;                 /* from the notice until the old server gives up its loop; default 5 s */
    int64_t start_timeout_ns;                   /* for transformer and `start` together; default 5 s */
    const struct ant_transformer *transformers; /* looked at before the program's own */
    size_t transformer_count;
    int64_t deadline_ns;   /* above 0, from the call, the time of `prepare` not counted: refused (-ETIME) if the swap's bound (bound.h) is longer; rolled back if it passes before step 8; default: none */
    bool trust_state;      /* of a server that died or hung: its state is whole, the successor is to have it, and all areas; default: they are freed */
    bool keep_old_objects; /* the object of the old program (load.h) stays loaded as long as this server lives, so its state may point there; default: the state is looked through, see -ESTALE */
    bool force;            /* a server that does not come to its quiescent point within quiesce_timeout_ns is ended as by ant_kill, and replaced as a dead one, unless it has not died 5 s later (its thread runs a direct call that hangs); default: -ETIMEDOUT */
};

/*
 * Of one kind of thing that is handed over: at_notice + arrived - left = handed_over. A swap that was rolled back hands nothing over:
 * there handed_over is what the old server goes on with or, with -ESRCH, has left to the core to answer.
 */
struct ant_swap_count {
    uint32_t at_notice;   /* there when the old server was notified */
    uint32_t arrived;     /* come since */
    uint32_t left;        /* gone since: taken, answered, withdrawn */
    uint32_t handed_over; /* in the queue that the new server took over */
};

struct ant_swap_report {
    int error;               /* 0: the new server serves; else why the old one still does, or is dead, or (-ESRCH) nobody serves */
    enum ant_swap_step step; /* the step that failed; ANT_SWAP_EXIT or ANT_SWAP_RETURN when none did */
    uint32_t function;
    uint32_t generation; /* of the server that serves now */
    uint32_t old_version, new_version;
    uint64_t step_time_ns[13]; /* [1] to [12]: when each step was reached; 0: not (yet). [0] is unused */
    uint64_t swap_ns;          /* from step 1 to step 11: the paper's swap time */
    uint64_t blackout_ns;      /* from the moment the old server gave up its loop until the new one (or, rolled back, the old) could receive; 0: it did not give it up, or is dead still */
    uint64_t transform_ns;     /* of the blackout: in the transformer */
    uint64_t start_ns;         /* of the blackout: in `start`, and in looking through the state (-ESTALE) */
    /* Where swap_ns went; the five add up to it. */
    uint64_t prepare_ns;         /* the new server was in `prepare`; the old one served */
    uint64_t base_ns;            /* the swap's own work, `start` and transformer included */
    uint64_t request_work_ns;    /* the old server was finishing a request */
    uint64_t result_work_ns;     /* ... a result */
    uint64_t higher_priority_ns; /* others ran, or the parties waited for the processor */
    struct ant_swap_count queued_requests, queued_results, in_service, outstanding;
    uint64_t bound_ns;  /* of a swap with a deadline: the longest that it may take, without prepare_ns; else 0 */
    size_t state_bytes; /* of the state handed over */
    bool abandoned;     /* the new server hung in `prepare` or `start`: its thread and areas are held until it next calls into the core */
    uint32_t swallowed; /* rolled back: requests that the new server had sent, whose results will be dropped */
    bool restarted;     /* the old server was dead, or died before it came to rest: steps 3 to 5, 9 and 12 that it has not done have no time, and the blackout began with its death */
};

/*
 * Replaces the server of a function by another program, and waits until that is done or rolled back.
 *
 * The new server has the old one's id, priority, window and function ids. The old one is replaced at its quiescent point:
 * when it next looks for a message. While a swap of it goes on, the caller runs above the server's priority, so
 * that its deadlines hold. If the new program has a `prepare`, that runs first, and the old server serves meanwhile (unless it is the caller itself).
 *
 * function: any function id of the server. program: as in ant_serve. options: NULL for all defaults; borrowed during the call.
 * report: filled, if not NULL, on success, on every roll-back, on -ENOTSUP and -ETIME, and where there is no thread (-EAGAIN, or -ENOMEM in step 2). Step 12 may
 *   still be ahead (ant_swap_last).
 * A dead server (ANT_DEATH_WAIT, server.h) is replaced in the same way: its successor gets queue and function ids, and, with trust_state, the state and all
 * areas; `start` is told ANT_START_RESTART. One that dies before it has come to rest is replaced as a dead one. If that fails, the dead stay dead, and may
 * be replaced again.
 *
 * Any process. A server that swaps itself is at its quiescent point: the call returns only if it fails, and what it
 * has in service is handed over.
 *
 * Errors, nothing touched:
 *   -EINVAL    function is 0, the program is not one that ant_serve would take, or an option has a value that is not allowed
 *   -EPROTO    the program was built for another ABI
 *   -ESRCH     nobody serves that function
 *   -ENOTSUP   the server was not made by ant_serve; or the state versions differ and there is no transformer
 *   -EBUSY     a swap of that server is going on, or the caller is a new server that has not been registered yet
 *   -ETIME     it has a deadline, and may take longer: report.bound_ns
 *   -ENODATA, -ERANGE (with a deadline) how long it may take is not known, or has no bound: see ant_swap_bound
 *   -EAGAIN    the host has no thread to give, or no process is free
 *   -ENOMEM    no memory
 *   -EPERM     the calling thread is no process
 * Errors, rolled back: the old server serves, its queues untouched, what the new one had allocated freed (processes and servers
 * that it created go on; it had better create them once it serves):
 *   -ETIMEDOUT a time limit, or the deadline, passed. In step 2: `prepare` hung. In step 4: the old server did not give up its loop (but see `force`). In step 6: `start` or the transformer hung.
 *              Where it waits or works in the core the new server is ended at once; elsewhere it is abandoned: it ends when it next
 *              calls into the core, and cannot commit
 *   -EOWNERDEAD the new server ended or died in `prepare`, `start` or the transformer
 *   -EMFILE    there is no descriptor to give for the thread of a server that inherits descriptors (event.h)
 *   -ENOTSUP   `start` has left descriptors (timers) to be inherited by a program without `ready` (`timer`): event.h
 *   -EDEADLK   (`virtual`) nobody is ready and no timer is set
 *   -ESHUTDOWN the caller was asked to stop
 *   -ECANCELED it was cancelled: ant_swap_cancel
 *   -EINTR     (report only) the caller was ended: ant_kill
 *   -ESTALE    the old program lies in an object from a file (load.h) that the new one does not, and the state that the new server was to have points there: aligned words
 *              are looked at, after `start`, in the blackout. The log says where. See keep_old_objects
 *   any other  what `prepare`, `start` or the transformer returned
 * Error, nobody serves:
 *   -ESRCH     the old server ended (not: died) before it gave up its loop; its function ids are gone
 *
 * Paper: section 2.4, steps 1 to 12.
 */
ANT_API int ant_swap(uint32_t function, const struct ant_program *program,
                     const struct ant_swap_options *options, struct ant_swap_report *report);

/* The most servers that can be swapped as one. */
#define ANT_SWAP_MANY_MAX 64u

/* One of several servers that are swapped as one; function, program, options as in ant_swap. */
struct ant_swap_item {
    uint32_t function;
    const struct ant_program *program;
    const struct ant_swap_options *options; /* no deadline_ns: there is no bound for several */
};

/*
 * Replaces several servers as one, and waits until that is done or rolled back: all come to their quiescent points, all new servers start, and all are registered; or
 * all old ones serve on.
 *
 * items: count of them, 1 to ANT_SWAP_MANY_MAX; borrowed during the call. With one it is ant_swap, in all things. The order decides nothing but when each is notified:
 *   if callers stand before those that they call, the blackout is shorter.
 * reports: NULL, or count of them, filled as by ant_swap, and where a server is refused (-ESRCH, -EBUSY, -EDEADLK, or twice the same) as well. If it fails, what the call returns stands in the report
 *   of the server for which it did so, with its step (a stop of the caller, say, in that of any), and -ECANCELED in all others.
 *
 * Any process that is not one of them. All new servers prepare, one after the other in the order of items, before any old one is told. Until all old servers are at rest
 * at the same time, each of them goes on for the others: it serves the requests of those that are not at rest yet and wait for it in ant_call, themselves or through other
 * processes; ant_swap_accept then returns -EAGAIN. The blackout of each begins with its last rest.
 * When all are at rest all new servers start, each on its own thread; one whose `start` has returned waits for the others. From `start` or a transformer
 * ant_call to one of these servers is -EDEADLK at once; ant_send is served after the commit. Function ids that they add become visible together, before any of them serves.
 *
 * The time limits of each are its own, as in ant_swap: for coming to rest, from its notice; for starting, from when all were at rest. If one passes, all are rolled back; with `force` a
 * server that does not come to rest is ended instead, and replaced as a dead one, as in ant_swap. A dead server may be among them. One that waits for a dead one, which is to be replaced with it, does not
 * come to rest.
 *
 * Errors, nothing touched:
 *   -EINVAL    items is NULL, or count 0 or above ANT_SWAP_MANY_MAX; an item is as ant_swap would not have it, or has a deadline; or two name the same server
 *   -EPROTO    a program was built for another ABI
 *   -ESRCH     nobody serves one of the functions
 *   -ENOTSUP   one of the servers was not made by ant_serve; or its state version differs and there is no transformer
 *   -EBUSY     a swap of one of them is going on (of two calls that overlap not both are refused because of each other), or the caller is a new server that has not been registered yet
 *   -EDEADLK   the caller is one of them
 *   -EAGAIN    the host has no thread to give, or no process is free
 *   -ENOMEM    no memory
 *   -EPERM     the calling thread is no process
 * Errors, rolled back: the old servers serve on, as after ant_swap:
 *   -ETIMEDOUT a time limit of one of them passed
 *   -EOWNERDEAD a new server ended or died in `prepare`, `start` or the transformer
 *   -EDEADLK   (`virtual`) nobody is ready and no timer is set
 *   -ESHUTDOWN the caller was asked to stop
 *   -ECANCELED it was cancelled: ant_swap_cancel, of any of them
 *   any other  what a `prepare`, a `start` or a transformer returned, or ant_swap would have been rolled back with
 * Error, one of them does not serve any more, the others do:
 *   -ESRCH     that old server ended (not: died) before it gave up its loop; its function ids are gone
 *
 * Paper: none; section 2.4 for each of them.
 */
ANT_API int ant_swap_many(const struct ant_swap_item *items, size_t count,
                          struct ant_swap_report *reports);

/*
 * Gives up the calling server's loop, after ant_receive returned ANT_SWAP. For programs with a loop of their own.
 *
 * If the swap commits, the call never returns: the process goes on as the new server, and this thread ends (no C++
 * destructors or cleanup handlers run). It returns only if the swap was rolled back, or has to wait for something that this server has to do.
 *
 * Errors:
 *   -ECANCELED the swap was rolled back, now or before this call; go on serving
 *   -EAGAIN    the swap goes on (ant_swap_many), but a message is to be received before: go on receiving, ANT_SWAP comes again
 *   -EINVAL    the caller's last message was not ANT_SWAP
 *   -EPERM     the calling thread is no process
 *
 * Paper: section 2.4, steps 5, 9 and 12.
 */
ANT_API int ant_swap_accept(void);

/*
 * Cancels the swap of a server that goes on: it is rolled back, and ant_swap returns -ECANCELED to the process that waits in it.
 *
 * function: any function id of the server. Any process (the requester itself waits). Does not wait for the roll-back.
 *
 * Errors:
 *   -EINVAL   function is 0
 *   -ESRCH    nobody serves that function
 *   -ENOENT   no swap of that server goes on
 *   -EALREADY it has been decided already: committed, or failed otherwise
 *   -EPERM    the calling thread is no process
 */
ANT_API int ant_swap_cancel(uint32_t function);

/*
 * The report of the last swap of a server that ended, committed or rolled back; with step 12, once it has happened.
 *
 * function: any function id of the server. report: filled. Any process; never blocks.
 *
 * Errors:
 *   -EINVAL  function is 0, or report is NULL
 *   -ESRCH   nobody serves that function
 *   -ENOENT  it was never swapped
 *   -EPERM   the calling thread is no process
 */
ANT_API int ant_swap_last(uint32_t function, struct ant_swap_report *report);

/*
 * The name of a step, "request" to "exit"; "?" for any other value. Any thread. The text is constant.
 */
ANT_API const char *ant_swap_step_name(enum ant_swap_step step);

ANT_END_DECLS

#endif
