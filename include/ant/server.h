/*
 * Servers: processes made from a program and found under function ids.
 *
 * The callbacks below run in a loop of the library's, which is written on ant_receive in a page (src/core/server.c); a
 * program may bring a loop of its own instead (`run`). Paper: sections 2.3 and 2.4.
 */
#ifndef ANT_SERVER_H
#define ANT_SERVER_H

#include <ant/base.h>
#include <ant/bound.h>
#include <ant/request.h>

ANT_BEGIN_DECLS

struct ant_program;

/* Why `start` is called. */
enum ant_start_reason {
    ANT_START_FRESH, /* by ant_serve: there is no state yet */
    ANT_START_SWAP,  /* by ant_swap: state, requests and function ids of a predecessor are waiting */
    /*
     * By ant_swap, after the predecessor died or hung: queued requests and function ids are waiting; its state only if ant_swap was told to trust it.
     * Nothing is in service, and nothing that it had sent will come back.
     */
    ANT_START_RESTART,
};

/*
 * What becomes of the requests of a server that has died: by a fault (config.contain_faults), ant_kill, or its watchdog. Either way the process goes on
 * existing, with its id, function ids, queue, state and areas, until it is replaced (ant_swap) or stopped (ant_stop). What it had in service gets the result
 * -EOWNERDEAD, or goes back to the head of the queue (ANT_REPEATABLE, and ANT_DEATH_WAIT); what it had sent is withdrawn or its result dropped.
 */
enum ant_on_death {
    ANT_DEATH_WAIT, /* queued and new requests wait for the successor, up to their time limits */
    ANT_DEATH_FAIL, /* queued ones get the result -EOWNERDEAD, new ones are refused with it */
};

/* What a program's callbacks are given. The core writes it; context is the program's. */
struct ant_server {
    const struct ant_program *program;
    enum ant_start_reason reason;
    uint32_t function;   /* the function id that it was first created under */
    uint32_t generation; /* 1 for a fresh one; during a swap's `prepare` and `start` the one that it will have */
    const void *state;   /* the state area, or NULL. In `start` after a swap without a transformer it is still the old server's: read only. NULL in `prepare` and `dispose` */
    size_t state_bytes;  /* its length, in whole pages */
    void *context;       /* for whatever does not outlive this generation; NULL at first. `dispose` is there to free it */
};

/*
 * Builds the state of one version from that of another, on the new server's thread, while nobody serves.
 *
 * old_state, old_bytes: read only; NULL and 0 if the old server had none. Its areas may be named in the new state: all of the
 *   old server's areas pass to the new one. The area old_state itself is freed after the swap has committed.
 * new_state: gets an area allocated here with ant_ica_alloc, or NULL for no state.
 * Returns 0 or a negative errno value, which rolls the swap back.
 */
struct ant_transformer {
    uint32_t from_version;
    uint32_t to_version;
    int (*transform)(struct ant_server *self, const void *old_state, size_t old_bytes, void **new_state);
};

/*
 * A program that a server can run. It, and what it points to, must stay valid as long as a server runs it; with a
 * `dispose`, until that has returned.
 *
 * Requests reach it through `request` and `result`, or through its own loop `run`: one of the two ways, not both.
 * A callback may reply at once or keep the request and reply later, from any callback.
 */
struct ant_program {
    uint32_t abi;           /* ANT_ABI */
    uint32_t version;       /* the program's own, for reports */
    uint32_t state_version; /* the layout of its state: same number, same layout */
    const char *name;
    /* Makes it ready: allocates its state (ant_state_set), or takes over its predecessor's. Not 0 (a negative errno value;
     * anything else counts as -EINVAL): it will not serve. May be NULL. */
    int (*start)(struct ant_server *self);
    /* A request to answer. */
    void (*request)(struct ant_server *self, struct ant_request *rq);
    /* The result of a request that it, or its predecessor, sent asynchronously; rq is its own again. NULL: it is freed, its data area too. */
    void (*result)(struct ant_server *self, struct ant_request *rq);
    /* It was asked to end (not: replaced). May still reply. May be NULL. */
    void (*stop)(struct ant_server *self);
    /* Its own loop on ant_receive; what it returns is its exit status. */
    int (*run)(struct ant_server *self);
    /*
     * What takes long before it can serve: opens files, loads tables into self->context. The first callback, on the new server's thread; in a swap while the old server
     * still serves, one priority below it, and nobody waits for it but the requester. What `start` may do it may do, but that it has no state yet (ant_state_set is refused),
     * and sees nothing of its predecessor's; reason is ANT_START_RESTART if that was dead when the swap began. Returns as `start` does: not 0, and it will not serve. May be NULL.
     */
    int (*prepare)(struct ant_server *self);
    /*
     * The last callback of a generation, for freeing self->context: called once for each that came as far as `prepare` or `start`, however that went, on its own
     * thread, when it is no process any more: replaced, failed, rolled back, or ended by itself or a stop. Not called of one that ended by force: death, ant_kill, or abandoned.
     * Every call of the core returns -EPERM there, no area may be touched, and a fault is not contained. It has to return: those who wait for the end of the
     * server (ant_stop, ant_wait, ant_shutdown; ant_swap and ant_serve, if it failed) wait for it. May be NULL.
     */
    void (*dispose)(struct ant_server *self);
    /* A descriptor that it watches (ant_watch) is ready, for these events. With `request` only. */
    void (*ready)(struct ant_server *self, int fd, uint32_t events, uint64_t cookie);
    /* A timer of its own (ant_timer_set) has expired: how often since it was set, or since the last call. With `request` only. */
    void (*timer)(struct ant_server *self, uint32_t id, uint64_t expirations);
    const struct ant_transformer *transformers; /* the versions whose state it can take over, beside its own */
    size_t transformer_count;
    const struct ant_timing *timing; /* how long things take, for ant_swap_bound and swaps with a deadline; NULL: not declared */
    /*
     * Permits direct calls: while the server has nothing to do, ant_call without a time limit may run `request` on its caller's own thread, in the
     * server's identity (its pid, window, areas, state, and whatever it calls), with no context switch. A swap finds it busy meanwhile, as with any request; a
     * fault in it, ant_exit, ant_kill or its watchdog end the server, not the caller. With `request` only. What the program can see of it, and must bear with:
     *   - another thread with other thread-local variables, whose scheduling is the caller's, raised to the server's priority if that is above;
     *   - another stack, of which ANT_DIRECT_STACK_BYTES are left at least;
     *   - it may not end that thread (pthread_exit), or leave the callback by longjmp, and ant_receive is not its to call: -EPERM.
     * And the caller: it ends, if it is to end by force, when the callback is through; a callback that hangs holds it until the server is ended.
     * Not used with a timing that asks for observation.
     */
    bool direct;
};

/* Of the stack that a callback is left in a direct call. A caller with less is served by the server's own thread. */
#define ANT_DIRECT_STACK_BYTES ((size_t)32 << 10)

/* A field that is 0 has its default. */
struct ant_server_options {
    const char *name;           /* of the process; default: the program's */
    int priority;               /* default: the caller's */
    size_t stack_bytes;         /* 64 KiB to 64 TiB; default: the core's config */
    uint32_t queue_limit;       /* requests queued at most; default: no limit but the pool */
    int64_t prepare_timeout_ns; /* how long `prepare` may take; default 30 s */
    int64_t start_timeout_ns;   /* how long `start` may take; default 10 s */
    int64_t watchdog_ns;        /* how long it may take from one message to the next ant_receive, before it counts as hung and is ended as by ant_kill (while it rests in a swap, no time counts); default: for ever. A core has a process of its own that watches, one of max_processes, from the first such server on, or, with contain_faults, from the first thread on that has to be stopped */
    enum ant_on_death on_death; /* default: ANT_DEATH_WAIT */
};

/*
 * Creates a server under a function id and waits until its `prepare` and `start` have returned. Until then the caller runs above the server's
 * priority, so that its time limits hold.
 *
 * function: not 0; more ids can be added with ant_function_add.
 * program: borrowed for as long as it serves. options: NULL for all defaults; borrowed during the call.
 * pid: gets the server's id, if not NULL; it stays the same through swaps.
 *
 * Errors:
 *   -EINVAL     function is 0, the program is NULL or has no name, neither `request` nor `run`, or both, direct, `ready` or `timer` with `run`, transformers
 *               NULL with a count, a declared time that makes no sense (a least above its most, too many drivers, more than an hour), or an
 *               option has a value that is not allowed
 *   -EPROTO     the program was built for another ABI
 *   -EEXIST     somebody serves that function already
 *   -EAGAIN     max_processes run already, or the host has no thread to give
 *   -ENOMEM     no memory or no addresses
 *   -EOWNERDEAD it ended or died in `prepare` or `start`
 *   -ETIMEDOUT  `prepare` or `start` took longer than it may; if it hangs outside the core, it is abandoned (see ant_swap)
 *   -EDEADLK    (`virtual`) nobody is ready and no timer is set
 *   -ESHUTDOWN  the core is shutting down, or the caller was asked to stop
 *   -EPERM      the calling thread is no process
 *   any other   what `prepare` or `start` returned
 */
ANT_API int ant_serve(uint32_t function, const struct ant_program *program,
                      const struct ant_server_options *options, ant_pid *pid);

/*
 * Registers a further function id for the calling process. Any process may serve, with ant_receive; only those made by
 * ant_serve can be swapped. In a new server's `start` the id is reserved, and registered when it commits.
 *
 * function: not 0.
 *
 * Errors:
 *   -EINVAL  function is 0
 *   -EEXIST  somebody serves it already, or has reserved it
 *   -ENOMEM  no memory
 *   -EPERM   the calling thread is no process
 */
ANT_API int ant_function_add(uint32_t function);

/*
 * Removes a function id of the calling process. Requests already queued are still served; new ones get -ESRCH.
 *
 * function: one that the caller has added, or was created under.
 *
 * Errors:
 *   -EINVAL  function is 0
 *   -ESRCH   nobody serves it
 *   -EPERM   another process serves it, the caller is a new server that has not been registered yet; or the calling thread is
 *            no process
 */
ANT_API int ant_function_remove(uint32_t function);

/*
 * Tells which process serves a function, be it dead or alive.
 *
 * function: not 0. pid: gets its id. Any process; never blocks.
 *
 * Errors:
 *   -EINVAL  function is 0, or pid is NULL
 *   -ESRCH   nobody serves it
 *   -EPERM   the calling thread is no process
 */
ANT_API int ant_lookup(uint32_t function, ant_pid *pid);

/*
 * Makes an area the state of the calling server: what the next version of it will be given.
 *
 * state: an area of the calling server's, or NULL for none. The area set before stays the server's, as any other.
 *
 * Errors:
 *   -EFAULT  state is the address of no area
 *   -EINVAL  state points inside an area or at a request, or the caller is no server made by ant_serve
 *   -EPERM   the area is another process's, or the predecessor's (which is the state already); the caller is in `prepare`; or the
 *            calling thread is no process
 */
ANT_API int ant_state_set(void *state);

/*
 * The state of the calling server, to write to.
 *
 * NULL when it has none, while it is still the predecessor's (in `prepare`, and in `start` after a swap without a transformer, until that has
 * committed), and from anyone who is no server.
 */
ANT_API void *ant_state(void);

ANT_END_DECLS

#endif
