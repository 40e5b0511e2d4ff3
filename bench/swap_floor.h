/*
 * The floor under a swap: what thread creation and the hand-overs of its twelve steps cost when nothing else is done.
 *
 * This uses nothing of libant: pthread_create, and raw futex calls on one word a party. The hand-overs are those of a
 * swap: requester → old → requester → new → old, requester. What is measured is what any implementation on Linux threads
 * that creates the new server in the swap has to pay on this machine, now.
 */
#ifndef SWAP_FLOOR_H
#define SWAP_FLOOR_H

#include <stddef.h>
#include <stdint.h>

struct floor_config {
    size_t stack_bytes; /* of the threads, as the library's own */
    int realtime;       /* 1: SCHED_FIFO with the priority below; 0: ordinary scheduling */
    int priority;       /* of the old and the new server; the caller, who is the requester, is above. The CPU is the caller's */
};

struct floor_times {
    uint64_t swap_ns;     /* from before the thread is created until the requester goes on */
    uint64_t blackout_ns; /* from the moment the old server gives up until the new one could take a request */
};

struct floor;

/* Creates the first old server; NULL: no thread. */
struct floor *floor_create(const struct floor_config *config);
/* One swap. Returns when the old server's thread has ended, too (not measured). Not 0: no thread. */
int floor_swap(struct floor *floor, struct floor_times *times);
void floor_destroy(struct floor *floor);

#endif
