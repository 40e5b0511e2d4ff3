/*
 * Processes: threads of the emulated machine, each with an endpoint (queues, window, function ids) and a priority.
 *
 * A process created here runs on a thread of its own with all asynchronous signals blocked, so that the program's
 * signals go to its other threads. Where the thread calls pthread_exit, its process ends, with the status 0; it may not be
 * cancelled (pthread_cancel). Paper: section 2.1.
 */
#ifndef ANT_PROCESS_H
#define ANT_PROCESS_H

#include <ant/base.h>

ANT_BEGIN_DECLS

/* Longer names are cut. */
#define ANT_NAME_BYTES 24

/* A field that is 0 has its default. */
struct ant_process_options {
    const char *name;   /* copied; default "process" */
    int priority;       /* ANT_PRIORITY_MIN to ANT_PRIORITY_MAX; default: the caller's */
    size_t stack_bytes; /* 64 KiB to 64 TiB; default: the core's config */
};

struct ant_process_info {
    ant_pid pid;
    char name[ANT_NAME_BYTES];
    int priority;
    uint32_t generation; /* 0: no server; 1: a server never swapped; then one more for each swap */
    uint32_t version;    /* of the program that serves; 0: no server */
    size_t pages;        /* attached to it */
    uint32_t queued_requests;
    uint32_t queued_results;
    uint32_t in_service;  /* received and not yet answered */
    uint32_t outstanding; /* sent and not yet answered */
    bool dead;            /* a server that has died, and whose place and queue wait for a successor (ant_swap) */
};

/*
 * Creates a process that runs entry(arg) and ends when it returns, with what it returned as its exit status.
 *
 * options: NULL for all defaults; borrowed during the call.
 * entry, arg: what the new process runs; arg stays the caller's.
 * pid: gets the id, if not NULL, before the new process runs.
 * Does not wait for the new process; on a machine that enforces priorities a higher one runs before this call returns.
 *
 * Errors:
 *   -EINVAL    entry is NULL, or an option has a value that is not allowed
 *   -EAGAIN    max_processes run already, or the host has no thread to give
 *   -ENOMEM    no memory or no addresses for its window
 *   -ESHUTDOWN the core is shutting down
 *   -EPERM     the calling thread is no process
 */
ANT_API int ant_process_create(const struct ant_process_options *options, int (*entry)(void *arg),
                               void *arg, ant_pid *pid);

/*
 * Ends the calling process at once, as returning from its entry does.
 *
 * Its queued requests and those in service get the result -EOWNERDEAD; requests it still has out are withdrawn, or
 * their results are freed when they come; its areas are freed, its function ids removed. C++ destructors and cleanup
 * handlers of the thread do not run. In a new server's `start` it is a failure of the swap (-EOWNERDEAD).
 *
 * status: for ant_wait.
 * Never returns, except in the process that booted the core (which ends by ant_shutdown), in a thread that has joined (which
 * leaves by ant_thread_detach), and in a thread that is no process: there it does nothing.
 */
ANT_API void ant_exit(int status);

/*
 * Waits until a process has ended.
 *
 * pid: any process but the caller. A server has ended when it stops serving; neither a swap nor its death ends it.
 * status: gets its exit status, if not NULL. The status of a process is kept until its place is needed for another.
 *
 * Errors:
 *   -ESRCH     pid names no process, or one that ended so long ago that its place was reused
 *   -ETIMEDOUT it still runs after timeout_ns
 *   -EDEADLK   pid is the caller; or (`virtual`) nobody is ready and no timer is set
 *   -ESHUTDOWN the caller was asked to stop
 *   -EPERM     the calling thread is no process
 */
ANT_API int ant_wait(ant_pid pid, int64_t timeout_ns, int *status);

/*
 * Asks a process to end and waits until it has.
 *
 * From then on its ant_receive returns ANT_STOP (a server's `stop` callback runs, then it ends), its ant_sleep, ant_work
 * and ant_wait return -ESHUTDOWN; an ant_call goes on until it has its result. Requests that it leaves behind get the result
 * -ESHUTDOWN. A dead server ends at once, with the status -EOWNERDEAD; a thread that has joined when it leaves.
 *
 * pid: any process but the caller and the one that booted the core.
 * status: as in ant_wait.
 *
 * Errors:
 *   -ESRCH     pid names no process, or one that has ended
 *   -EDEADLK   pid is the caller; or (`virtual`) nobody is ready and no timer is set
 *   -EPERM     pid is the process that booted the core, or the core's own watchdog; or the calling thread is no process
 *   -ETIMEDOUT it still runs after timeout_ns; it stays asked to end
 *   -ESHUTDOWN the caller was asked to stop itself; pid stays asked to end
 */
ANT_API int ant_stop(ant_pid pid, int64_t timeout_ns, int *status);

/*
 * Ends a process by force, as a fault in its own code would: it does nothing in the core any more.
 *
 * Where it waits or works in the core it ends at once; where it is in the middle of a call, when that is done. Where it runs outside, it is dead
 * to the core from now on; its thread is stopped if it is safe (config.contain_faults; in the program's own code), and else abandoned: it ends when
 * it next calls into the core, and until then can still write to the memory that it can reach. What it served has left it: with a mover that catches stale accesses
 * its next access there is a fault, which ends the program unless it is contained. What becomes of a server, its requests and areas:
 * see enum ant_on_death in server.h. Any other process has ended: whom it served gets -EOWNERDEAD, and its exit status is that too. A server that
 * rests in a swap (from step 5 on) dies if the swap is rolled back; else its successor has its place.
 *
 * pid: any process, the caller included (then the call does not return; in `start` it is a failure of the swap, as ant_exit is). Does not wait for its end: see
 * ant_wait.
 *
 * Errors:
 *   -ESRCH pid names no living process; a dead server is none
 *   -EPERM pid is the process that booted the core, a thread that has joined (thread.h), or the core's own watchdog; or the calling thread is no
 *          process
 */
ANT_API int ant_kill(ant_pid pid);

/*
 * The id of the calling process; 0 from a thread that is no process. Never blocks.
 */
ANT_API ant_pid ant_self(void);

/*
 * Changes the priority of a process, at once.
 *
 * pid: any living process, the caller included. priority: ANT_PRIORITY_MIN to ANT_PRIORITY_MAX.
 * The process goes to the tail of its new level (on `fifo`, a lowered one to the head, as Linux does it). May give up the processor.
 * What a new server sets for itself in `start` is in force once it is registered; if that fails, it never was.
 *
 * Errors:
 *   -EINVAL  priority is out of range
 *   -ESRCH   pid names no living process; a dead server is none
 *   -EPERM   pid is a thread that has joined and keeps its own scheduling; or the calling thread is no process
 */
ANT_API int ant_priority_set(ant_pid pid, int priority);

/*
 * Tells what a process is and holds; a snapshot.
 *
 * pid: any process that has not ended, a dead server included. info: filled. Never blocks.
 *
 * Errors:
 *   -EINVAL  info is NULL
 *   -ESRCH   pid names no process, or one that has ended
 *   -EPERM   the calling thread is no process
 */
ANT_API int ant_process_info(ant_pid pid, struct ant_process_info *info);

/*
 * The time since the core booted, on its machine's clock; 0 from a thread that is no process. Never blocks.
 *
 * The clock of `virtual` begins at 1 us, so that no event has the time 0.
 */
ANT_API uint64_t ant_now(void);

/*
 * PU work: computes for work_ns of the process's own processor time, however often it is preempted meanwhile.
 *
 * On `virtual` only the clock advances. Paper: section 4.1, PU processing.
 *
 * Errors (after some of the work):
 *   -ESHUTDOWN the caller was asked to stop
 *   -EPERM     the calling thread is no process
 */
ANT_API int ant_work(uint64_t work_ns);

/*
 * WAIT: gives the processor up until a time has come. A time that has passed returns at once.
 *
 * time_ns: on the clock of ant_now; absolute, so that a loop of sleeps does not drift. Paper: section 4.1, WAIT.
 *
 * Errors (before the time):
 *   -ESHUTDOWN the caller was asked to stop
 *   -EPERM     the calling thread is no process
 */
ANT_API int ant_sleep(uint64_t time_ns);

ANT_END_DECLS

#endif
