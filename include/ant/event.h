/*
 * Event loops: a descriptor that tells when there is something to receive, and descriptors and timers that a server watches.
 *
 * A program with a loop of its own (of epoll, poll, libuv) puts ant_event_fd into it, and receives when that is readable. A server whose program
 * has `request` is called back by the library's loop, also for what it watches: `ready` and `timer` (server.h). docs/events.md has both.
 *
 * What a server watches is its endpoint's, as its function ids are: it passes in a swap, at the commit, whole. In `start` a new server sees by
 * ant_watch_list and ant_timer_list what it will take over; what it changes there it changes for itself, from the commit on: its predecessor's, should the swap be
 * rolled back, are as they were. A program without `ready` (or `timer`) that still would inherit descriptors (or timers) when its `start` has returned is refused:
 * ant_swap returns -ENOTSUP, rolled back. The successor of a dead server inherits only with trust_state; without, the lists still show it, until it changes
 * anything, what there was, so that it can close it or watch it anew. In `prepare` a new server neither sees nor changes any of it. The set of descriptors ends with the process; the descriptors themselves stay open.
 */
#ifndef ANT_EVENT_H
#define ANT_EVENT_H

#include <ant/base.h>

ANT_BEGIN_DECLS

/* So many timers a server can have at once. */
#define ANT_TIMERS_MAX 65536u

/*
 * Gives the calling process a descriptor that is readable (EPOLLIN, POLLIN) exactly while ant_receive with the time limit 0 would return
 * something: a result, a request, a swap notice, a stop.
 *
 * fd: gets it. The first call makes it, later ones give the same. It is level-triggered; with EPOLLET, receive until -ETIMEDOUT comes (a new server gets an edge anew). It is there to be
 *   waited for (poll, select, epoll, libuv), in any thread, and for nothing else: whoever reads, writes or sets it makes it tell wrong things; whoever closes it
 *   makes the core write into whatever gets its number next. A receive of what it announced empties it, with no read.
 * It belongs to the process: the same number through every swap, and through the death of a server until it is replaced. In `start` a new server gets its
 *   predecessor's, which until the commit tells of what that would receive. It is closed when the process has ended. It is closed by exec; a
 *   child of fork must only close it. A process that is asked to stop has it readable for good, as ant_receive returns ANT_STOP.
 * Whoever waits for it in a system call is outside the core: a watchdog's time runs until ant_receive was called with nothing to give, and on `virtual` all processes wait
 * with it: there, look at it without waiting.
 *
 * Errors:
 *   -EINVAL  fd is NULL
 *   -EMFILE  the Linux process, or the host, has no descriptor to give
 *   -EPERM   the caller's program permits direct calls (it does not receive by itself), or the calling thread is no process
 */
ANT_API int ant_event_fd(int *fd);

/* A descriptor that a server watches. */
struct ant_watch {
    int fd;
    uint32_t events; /* EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP, of <sys/epoll.h> */
    uint64_t cookie; /* the server's own */
};

/*
 * Has the program's `ready` called while any of these events is there for a descriptor: on the server's own thread, between messages, one call after the other,
 * none with a swap notice or a stop waiting. Messages and descriptors take turns: neither keeps the other waiting.
 *
 * fd: stays the program's, which calls ant_unwatch before it closes it: one that was closed is forgotten when its number is watched again or unwatched. It should
 *   not block: by the time of the call another may have taken what was there.
 * events: one or several of EPOLLIN, EPOLLOUT, EPOLLPRI and EPOLLRDHUP; EPOLLERR and EPOLLHUP are told, too. cookie: for `ready`.
 * Watching a descriptor again changes events and cookie.
 *
 * Errors:
 *   -EINVAL  events is 0 or has others; the caller is no server whose program has `ready`; or fd is an epoll descriptor of too many levels
 *   -EBADF   fd is no open descriptor
 *   -EMFILE  the Linux process, or the host, has no descriptor to give for the set itself
 *   -ENOMEM  no memory, or the host lets this user watch no more (fs.epoll.max_user_watches)
 *   -ENOTSUP (`virtual`) what descriptors do is not deterministic
 *   -EPERM   fd is of a kind that cannot be waited for (a regular file, a directory); the caller is in `prepare`; or the calling thread is no process
 */
ANT_API int ant_watch(int fd, uint32_t events, uint64_t cookie);

/*
 * Ends that: `ready` is not called for the descriptor any more. Also for a program without `ready`, of what it would inherit.
 *
 * Errors:
 *   -ENOENT  the caller does not watch it
 *   -EMFILE, -ENOMEM as in ant_watch (in `start`: what it changes is a copy)
 *   -EPERM   the caller is in `prepare`, or the calling thread is no process
 */
ANT_API int ant_unwatch(int fd);

/*
 * Lists what the calling server watches, by descriptor; in `start`, what it will.
 *
 * items: gets up to capacity entries; may be NULL when capacity is 0.
 * count: gets how many there are, also when that is more than capacity.
 *
 * Errors:
 *   -EINVAL  count is NULL, or items is NULL and capacity is not 0
 *   -EPERM   the caller is in `prepare`, or the calling thread is no process
 */
ANT_API int ant_watch_list(struct ant_watch *items, size_t capacity, size_t *count);

/* A timer of a server's. */
struct ant_timer {
    uint32_t id;
    uint64_t at_ns;     /* when it expires next, on the clock of ant_now */
    uint64_t period_ns; /* and after that again and again; 0: it expires once */
};

/*
 * Has the program's `timer` called at a time, on the server's own thread, between messages, as with ant_watch. On every machine; on `virtual` at
 * exactly that time, if nobody above it runs.
 *
 * id: the server's own, any value. at_ns: on the clock of ant_now; one that has passed counts as now. period_ns: 0 for once.
 * Setting a timer again changes it. One that expires once is gone when `timer` is called for it. Periods that passed while the server was busy, or was being replaced,
 * are counted, not made up for: one call, which is told how many; the next is at the next whole period. Timers that are due are called by time, then in the order in which they were set.
 *
 * Errors:
 *   -EINVAL  the caller is no server whose program has `timer`
 *   -ENOSPC  it has ANT_TIMERS_MAX
 *   -ENOMEM  no memory
 *   -EPERM   the caller is in `prepare`, or the calling thread is no process
 */
ANT_API int ant_timer_set(uint32_t id, uint64_t at_ns, uint64_t period_ns);

/*
 * Cancels a timer. Also for a program without `timer`, of what it would inherit.
 *
 * Errors:
 *   -ENOENT  the caller has no such timer
 *   -ENOMEM  no memory (in `start`: what it changes is a copy)
 *   -EPERM   the caller is in `prepare`, or the calling thread is no process
 */
ANT_API int ant_timer_cancel(uint32_t id);

/*
 * Lists the timers of the calling server, in no order; in `start`, those that it will have.
 *
 * items: gets up to capacity entries; may be NULL when capacity is 0.
 * count: gets how many there are, also when that is more than capacity.
 *
 * Errors:
 *   -EINVAL  count is NULL, or items is NULL and capacity is not 0
 *   -EPERM   the caller is in `prepare`, or the calling thread is no process
 */
ANT_API int ant_timer_list(struct ant_timer *items, size_t capacity, size_t *count);

ANT_END_DECLS

#endif
