/*
 * Tests that must not be done in the test's own Linux process: limits, forbidden system calls, death by a signal.
 *
 * The body runs in a child of fork, which boots its own core. It may assert as a test does, and expect. No core may run
 * in the parent.
 */
#ifndef CHILD_H
#define CHILD_H

#include "fixture.h"

#include <sys/types.h>

struct child {
    int exit_status;   /* 0: the body returned, and every expectation held; -1: a signal */
    int signal;        /* that killed it; 0: none */
    char errors[8192]; /* what it wrote to stderr, ended by a 0 */
};

/* Asserts nothing about how it ends. */
void child_run(struct child *child, void (*body)(void *arg), void *arg);
/* Asserts that it ended well; says what it said, if not. */
void child_assert_success(const struct child *child);
/* Both. */
void child_must_succeed(void (*body)(void *arg), void *arg);

/* --- System calls --------------------------------------------------------------------------------------------------- */

/* One that a thread of the child's is about to make. */
struct child_call {
    unsigned section; /* in which: see child_section */
    pid_t thread;
    long number;
    uint64_t arguments[6];
};
typedef void child_call_seen(void *context, const struct child_call *call);

/*
 * As child_run; meanwhile each system call of each of its threads, in each section but 0, is shown to seen(context, ...), which runs in the
 * parent. False: ptrace is not permitted here, and the body has not run. The parent may have no other child.
 */
bool child_run_traced(struct child *child, void (*body)(void *arg), void *arg, child_call_seen *seen, void *context);
/* For the body: from now on, whatever its threads do belongs to this section. At first it is 0. */
void child_section(unsigned section);

/* --- For the body -------------------------------------------------------------------------------------------------- */

/* Gives up root, if it has it, and every right to real-time scheduling. */
void child_become_nobody(void);
/* From now on this system call fails with this errno value, for all threads to come. */
void child_forbid(long number, int error);
/* From now on there is no userfaultfd, neither by its system call nor by its device. */
void child_forbid_userfaultfd(void);
/* From now on there is no new thread, even for root. */
void child_forbid_threads(void);
/* From now on malloc fails on this thread, for any size, and so does mmap; until child_refill_memory. */
void child_exhaust_memory(void);
void child_refill_memory(void);
/* Uses up every mapping that the kernel allows the process; until child_release_maps. */
void child_exhaust_maps(void);
void child_release_maps(void);

#endif
