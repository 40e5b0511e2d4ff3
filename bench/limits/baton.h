/*
 * A baton that one thread gives and another takes, by raw futex calls: what a round trip between two threads is made of, and not
 * one instruction more. Whoever gives makes a system call only if the other one sleeps.
 */
#ifndef BATON_H
#define BATON_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    BATON_NOT_GIVEN,
    BATON_GIVEN,
    BATON_ASLEEP
};

struct baton {
    _Alignas(64) _Atomic uint32_t state;
};

static inline void baton_give(struct baton *baton)
{
    if (atomic_exchange_explicit(&baton->state, BATON_GIVEN, memory_order_acq_rel) == BATON_ASLEEP) {
        syscall(SYS_futex, &baton->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

static inline void baton_take(struct baton *baton)
{
    while (atomic_load_explicit(&baton->state, memory_order_acquire) != BATON_GIVEN) {
        uint32_t expected = BATON_NOT_GIVEN;
        atomic_compare_exchange_strong_explicit(&baton->state, &expected, BATON_ASLEEP,
                                                memory_order_acquire, memory_order_acquire);
        if (expected != BATON_GIVEN) {
            syscall(SYS_futex, &baton->state, FUTEX_WAIT_PRIVATE, BATON_ASLEEP, NULL, NULL, 0);
        }
    }
    atomic_store_explicit(&baton->state, BATON_NOT_GIVEN, memory_order_relaxed);
}

#endif
