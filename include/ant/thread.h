/*
 * Threads that join: a thread that the program has made becomes a process of a core, and leaves again.
 *
 * So the thread with the program's own event loop can call servers, serve functions and replace servers, and stays what it is: its stack, its signal mask and,
 * unless asked otherwise, its scheduling policy, priority and CPUs are its own. It does what any process does, but for this: nobody ends it by force, since it has
 * no place in the core to go back to. ant_stop and ant_shutdown ask it; ant_kill of it is -EPERM, ant_exit in it does nothing, and a fault in it ends the program
 * (config.contain_faults), as in the process that booted the core. See docs/machine.md.
 */
#ifndef ANT_THREAD_H
#define ANT_THREAD_H

#include <ant/base.h>
#include <ant/process.h>

ANT_BEGIN_DECLS

/*
 * Names a core of this Linux process, for threads that are none of its processes. Never used again: an id whose core has ended is found out. 0 names no core.
 */
typedef uint64_t ant_core_id;

/*
 * Tells which core the calling process is of.
 *
 * core: gets its id, which may be given to any thread. Never blocks.
 *
 * Errors:
 *   -EINVAL core is NULL
 *   -EPERM  the calling thread is no process
 */
ANT_API int ant_core_self(ant_core_id *core);

/*
 * Makes the calling thread, which is no process, a process of a core.
 *
 * core: from ant_core_self. options: NULL for all defaults; borrowed during the call. The name is "thread" by default; stack_bytes must be 0.
 * options->priority: 0 keeps the thread's own scheduling. Its priority is then a number (that of config.priority, for what it creates) which the machine does not enforce and nobody
 *   changes; on `fifo` no server runs on this thread (ant_program.direct), and a time limit of a swap that it asks for holds as well as its own scheduling lets it.
 *   ANT_PRIORITY_MIN to ANT_PRIORITY_MAX makes it a process like those that the core creates: on `fifo` a SCHED_FIFO thread on the core's CPUs, until it leaves.
 * pid: gets its id, if not NULL.
 * Any thread of the Linux process, also its first, and again after it has left. Does not wait. A thread that is a reader of liburcu's default flavour already may not join: that can register it but once.
 *
 * The thread must leave before the core can end: when its ant_receive returns ANT_STOP, or a call -ESHUTDOWN. ant_shutdown waits for that for as long as for any process,
 * then abandons it: what it waits for in the core ends with -ESHUTDOWN, or with what its call returns when it was asked to stop; each later call returns -EPERM (ant_self 0),
 * and the core's memory stays, its areas among it, until it leaves. A thread that ends without leaving leaves then, by a destructor of thread-specific data.
 *
 * Errors:
 *   -EBUSY     the calling thread is a process already, or has been one and was abandoned, and has not left
 *   -EINVAL    an option has a value that is not allowed; or, with a priority on `fifo`, the thread may not run on the core's CPUs
 *   -ESRCH     core names no core that runs; in a child of fork none does that the parent has booted
 *   -ENOTSUP   the core is on `virtual`, which runs one thread at a time: when others come to it would not be the same twice
 *   -EPERM     a priority was asked for on `fifo`, and is not permitted to this thread (CAP_SYS_NICE or RLIMIT_RTPRIO is needed); or it is the child that a process has forked, or in `dispose` (server.h), or a constructor (load.h)
 *   -EAGAIN    max_processes run already, or the host has no room for thread-specific data
 *   -ENOMEM    no memory or no addresses for its window
 *   -ESHUTDOWN the core is shutting down
 */
ANT_API int ant_thread_attach(ant_core_id core, const struct ant_process_options *options, ant_pid *pid);

/*
 * Ends the process that the calling thread has joined as; the thread goes on, and may join again, here or elsewhere.
 *
 * The process ends as by ant_exit(0): requests queued at it or in its service get the result -EOWNERDEAD (-ESHUTDOWN, if it was asked to end), those that it has out are withdrawn, or their
 * results are freed when they come; its areas are freed, its function ids removed; whoever waits for its end (ant_wait, ant_stop) goes on, with the status 0. A thread that got a
 * priority has its policy, its own priority and its CPUs back. Also for a thread that was abandoned by ant_shutdown: the last one frees the core.
 *
 * Errors:
 *   -EPERM the calling thread is no process, or one that has not joined (created by the core, or the one that booted it); or it runs a server's callback in a direct call
 */
ANT_API int ant_thread_detach(void);

ANT_END_DECLS

#endif
