/*
 * A core: boot, configuration, what runs and why, shutdown.
 *
 * A core is the inner core of AnT inside this Linux process. Several may live in one Linux process; what runs on one
 * is not seen by another. They share the handlers for stale accesses and faults, and one thread that frees old table entries, which
 * the first boot creates and which takes that thread's scheduling.
 * A child of fork is no process of any core: its calls return -EPERM.
 *
 * Environment, read by ant_boot where the config field has its default; this is the one list of them:
 *   ANT_MACHINE  auto | fifo | other | virtual
 *   ANT_MOVER    auto | strict | strict-mremap | flat | copy
 *   ANT_LOG      quiet | error | warning | info | debug
 */
#ifndef ANT_CORE_H
#define ANT_CORE_H

#include <ant/base.h>
#include <ant/costs.h>

ANT_BEGIN_DECLS

/* What runs the processes: see docs/machine.md. */
enum ant_machine {
    ANT_MACHINE_AUTO,    /* fifo where it is permitted, else other; under AddressSanitizer and ThreadSanitizer, other */
    ANT_MACHINE_FIFO,    /* SCHED_FIFO threads on the configured CPUs; -EPERM where it is not permitted */
    ANT_MACHINE_OTHER,   /* ordinary scheduling: priorities are kept but not enforced */
    ANT_MACHINE_VIRTUAL, /* one thread at a time, deterministic, on a virtual clock */
};

/* How areas are carried between windows, and what a stale access does: see docs/ica.md. */
enum ant_mover {
    ANT_MOVER_AUTO,          /* strict; where the kernel refuses it, strict-mremap; under ThreadSanitizer, copy */
    ANT_MOVER_STRICT,        /* UFFDIO_MOVE (Linux 6.8): a stale access raises SIGBUS, a system call given one gets EFAULT */
    ANT_MOVER_STRICT_MREMAP, /* mprotect and mremap: a stale access raises SIGSEGV, a system call given one gets EFAULT */
    ANT_MOVER_FLAT,          /* one window for all: nothing moves, ownership is checked in calls only, stale accesses are not caught */
    ANT_MOVER_COPY,          /* copies the bytes; a stale access raises SIGSEGV */
};

enum ant_log_level {
    ANT_LOG_DEFAULT, /* warning */
    ANT_LOG_QUIET,   /* nothing at all, stale accesses neither */
    ANT_LOG_ERROR,
    ANT_LOG_WARNING,
    ANT_LOG_INFO,
    ANT_LOG_DEBUG,
};

/* The lowest and the highest priority of a process. Higher runs first. */
#define ANT_PRIORITY_MIN 1
#define ANT_PRIORITY_MAX 60

/* With `fifo`, ant priority p is the real-time priority rt_base + p; one more level above the band is the core's own. */
#define ANT_RT_BASE_DEFAULT 10

/* What may be chosen at boot. A field that is 0 has its default, so a zeroed struct is a valid config. */
struct ant_config {
    enum ant_machine machine;
    enum ant_mover mover;
    enum ant_log_level log;
    size_t pool_bytes;             /* 2 MiB up to 1 TiB, rounded up to whole 2 MiB; default 64 MiB */
    bool prefault;                 /* populate the whole pool at boot instead of 2 MiB at a time as it is used */
    uint32_t max_processes;        /* 2 to 65,535 processes at once; default 1,024. Each reserves addresses for a window as large as the pool */
    size_t stack_bytes;            /* stack of a process unless its options say otherwise; 64 KiB to 64 TiB; default 1 MiB of addresses, resident as used */
    int priority;                  /* of the first process; default ANT_PRIORITY_MIN */
    int rt_base;                   /* `fifo`: 1 to 38; default ANT_RT_BASE_DEFAULT */
    const int *cpus;               /* `fifo`: the CPUs to run on (borrowed during the call); default: one, the last that the caller may run on */
    size_t cpu_count;              /* how many; at most 64 */
    int64_t spin_ns;               /* `fifo` on several CPUs, and `other` where there are several: how long a process that waits for a result or a message looks for it before it sleeps, 1 ms at most: waking a sleeping CPU takes longer than most answers do; default 0: not at all */
    uint64_t seed;                 /* `virtual`: draws choices among equals; 0: first-in first-out */
    uint32_t pct_depth;            /* `virtual`: explores as on many CPUs, by probabilistic concurrency testing, for bugs of this depth, 100 at most: see docs/machine.md; default 0: not */
    uint32_t pct_steps;            /* ... in a run of so many preemption points; default 1,000 */
    bool direct_on_virtual;        /* `virtual`: programs that permit direct calls (ant_program.direct) get them; default: they are served by their own threads, so that a trace does not depend on it */
    const struct ant_costs *costs; /* what calls cost; copied during the call; default: nothing */
    size_t trace_events;           /* how many of the latest events to keep; default 0: no trace */
    int64_t shutdown_timeout_ns;   /* how long ant_shutdown waits for the other processes to end; default 5 s */
    bool contain_faults;           /* a fault in the own code of a process, but for the first and threads that have joined, ends that process, not the program: see docs/death.md; default: it ends the program */
    uint32_t warm_threads;         /* how many threads of ended processes are kept, to be the bodies of the next ones with stacks of the same size: thread-local variables of the program outlive the process in them, and destructors run only when the core ends, see docs/machine.md; default 0 */
};

/* What runs, and why. The texts live as long as the core. */
struct ant_info {
    enum ant_machine machine;   /* never AUTO */
    enum ant_mover mover;       /* never AUTO */
    const char *machine_name;   /* "fifo", "other", "virtual" */
    const char *machine_reason; /* a sentence: why this one */
    const char *mover_name;     /* "strict", "strict-mremap", "flat", "copy" */
    const char *mover_reason;   /* a sentence: why this one */
    size_t pool_bytes;
    uint32_t max_processes;
    uint64_t seed;
};

/* What was still there when a core ended. The first process's own areas count too. */
struct ant_shutdown_report {
    uint32_t processes_asked;     /* processes that still ran and were asked to end */
    uint32_t processes_abandoned; /* of those, and of new servers given up by a swap: threads that did not end in time */
    uint32_t areas_held;          /* areas that some process still held when the shutdown began, requests included */
    size_t pages_held;
    uint32_t requests_unanswered; /* requests that were queued or in service when the shutdown began */
    uint32_t servers_dead;        /* servers that had died and that nobody had replaced; not among those asked */
    uint32_t pct_threads;         /* `virtual` with pct_depth: how many threads there were (n) ... */
    uint64_t pct_points;          /* ... and preemption points (k): a bug of depth d is met by 1 run in n * k^(d-1) at least */
};

/*
 * Boots a core and makes the calling thread its first process, named "boot".
 *
 * config: what to choose; NULL for all defaults. Borrowed during the call.
 * Any thread that is no process of another core. With `fifo` the thread becomes a SCHED_FIFO thread on the configured CPUs.
 * What was chosen, and what had to fall back, is logged and can be asked with ant_info.
 *
 * Errors:
 *   -EBUSY       the calling thread is a process already
 *   -EINVAL      a field of config, or one of the environment variables above, has a value that is not allowed
 *   -EPERM       `fifo` was asked for by name and is not permitted (root, CAP_SYS_NICE or RLIMIT_RTPRIO is needed); or the calling
 *                thread is the child that a process has forked, or in `dispose` (server.h), or a constructor (load.h)
 *   -ENOTSUP     a mover was asked for by name that cannot run here (kernel, seccomp); or contain_faults was, where the C library is not
 *                glibc as a shared library, or the processor neither x86-64 nor aarch64
 *   -ENOMEM      no memory or no addresses; the log says which (overcommit, ulimit -v) and what to make smaller
 *
 * Paper: section 2.1, the inner core.
 */
ANT_API int ant_boot(const struct ant_config *config);

/*
 * Ends the core that the calling thread booted: asks every process to end, waits for them, frees everything, and gives
 * the thread its scheduling policy, CPUs and signal mask back.
 *
 * A server's `stop` callback runs; requests still queued or in service get the result -ESHUTDOWN; ant_receive returns
 * ANT_STOP, ant_sleep, ant_work and ant_wait return -ESHUTDOWN. Meanwhile the caller runs above all priorities, so that
 * its limit holds. A process that has not ended after shutdown_timeout_ns is abandoned: its thread ends when it next calls into the core, whose memory is kept until then (one that has
 * joined goes on, as no process: see thread.h).
 *
 * report: filled, if not NULL.
 * Only the process that booted the core. Blocks for up to shutdown_timeout_ns (on `virtual`, where every process is in the core
 * then and can be ended, until all have). Afterwards the thread is no process.
 *
 * Errors:
 *   -EPERM  the calling thread is not the process that booted the core
 */
ANT_API int ant_shutdown(struct ant_shutdown_report *report);

/*
 * Tells what the calling process's core runs on, and why.
 *
 * info: filled. Never blocks.
 *
 * Errors:
 *   -EINVAL  info is NULL
 *   -EPERM   the calling thread is no process
 */
ANT_API int ant_info(struct ant_info *info);

ANT_END_DECLS

#endif
