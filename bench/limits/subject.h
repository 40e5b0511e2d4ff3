/*
 * What is measured: limits of the machine, peers, and, in bench/speed/, libant's own rows. All of them are subjects: created,
 * sampled again and again in turns with others, destroyed.
 *
 * The limits and peers, one in each file of this folder, use nothing of libant. Each does its job with what it needs and no
 * more; where a peer can be set up in several ways, it is set up in the one that is fastest for it.
 */
#ifndef SUBJECT_H
#define SUBJECT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Where and how the two ends of a subject run. The caller, who samples, is there already. */
struct setting {
    int cpu;              /* both ends' */
    int other_cpu;        /* for a subject that needs a second one; -1: there is none */
    bool realtime;        /* SCHED_FIFO with the priorities below; else ordinary scheduling */
    int caller_priority;  /* real-time priority of the caller */
    int partner_priority; /* ... and of the thread that the subject makes, or of its servers */
    size_t stack_bytes;   /* of the threads that a subject makes */
};

/* The values that a sample may have: a swap's are its time and its blackout. */
enum {
    SUBJECT_VALUES = 2
};

struct subject {
    const char *names[SUBJECT_VALUES];                                             /* of the values; NULL: there is no second one */
    size_t bytes;                                                                  /* of its data; 0: it has none */
    unsigned batch;                                                                /* operations that one sample times together; 0: 1 */
    unsigned rarity;                                                               /* one sample where others take so many, for what is slow; 0: 1 */
    bool raw[SUBJECT_VALUES];                                                      /* no look at the clock is in this value: it is no time, or a difference of times */
    void *(*create)(const struct subject *subject, const struct setting *setting); /* NULL: this system has no such thing; errno says why */
    void (*enter)(void *self);                                                     /* before its turn; may be NULL */
    /* Does it once, or `batch` times. values: nanoseconds of all of the batch, between two looks at the clock. */
    void (*sample)(void *self, uint64_t *values);
    void (*leave)(void *self); /* after its turn; may be NULL */
    void (*destroy)(void *self);
};

/* Round trips between two threads; see the files. */
extern const struct subject limit_futex, limit_futex_1m, limit_futex_equal, limit_pingpong;
extern const struct subject limit_pipe_64, limit_pipe_1m, limit_socketpair_64, limit_socketpair_1m;
extern const struct subject limit_posix_mq_64, limit_zeromq_64, limit_zeromq_1m, limit_nng_64, limit_nng_1m;
/* Many round trips of one pair of threads, and of two on two CPUs. */
extern const struct subject limit_futex_pairs_1, limit_futex_pairs_2;
/* What the movers need. */
extern const struct subject limit_uffd_move_64, limit_uffd_move_1m, limit_mremap_64;
/* Both in one: a round trip in which what goes along moves. */
extern const struct subject limit_futex_move_64, limit_futex_move_1m;
/* What needs one thread. */
extern const struct subject limit_memcpy_1m, limit_clear_1, limit_clear_256, limit_dlopen;
/* Thread creation and the hand-overs of a swap. */
extern const struct subject limit_swap_floor;

/* --- For those who write a subject --------------------------------------------------------------------------------------- */

static inline uint64_t now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/*
 * Both ends of all subjects with data touch it by these two, whether it was copied, moved or neither. Up to a page: every
 * word. More: one word of every page, another cache line in each, so that a few sets of the caches do not decide.
 */
static inline size_t data_stride(size_t bytes)
{
    return bytes <= 4096 ? sizeof(uint64_t) : 4096 + 64;
}

static inline void data_write(void *data, size_t bytes, uint64_t value)
{
    size_t stride = data_stride(bytes);

    for (size_t at = 0; at < bytes; at += stride) {
        *(volatile uint64_t *)((char *)data + at) = value + at;
    }
}

static inline uint64_t data_read(const void *data, size_t bytes)
{
    size_t stride = data_stride(bytes);
    uint64_t sum = 0;

    for (size_t at = 0; at < bytes; at += stride) {
        sum += *(const volatile uint64_t *)((const char *)data + at);
    }
    return sum;
}

/* Ends the program, with what could not be done and errno's reason. */
_Noreturn void limit_fail(const char *what);

static inline void limit_must(bool good, const char *what)
{
    if (!good) {
        limit_fail(what);
    }
}

/* Zeroed memory in cache lines of its own. */
void *limit_new(size_t bytes);
/* Memory that has been written to, in huge pages if the kernel has some: as a pool's is. */
void *limit_pages(size_t bytes);
void limit_free_pages(void *pages, size_t bytes);
/* A thread on the setting's CPU with the partner's priority. */
void limit_partner(pthread_t *thread, const struct setting *setting, void *(*entry)(void *self), void *self);
/* A thread on any one CPU, as above. */
void limit_thread_on(pthread_t *thread, int cpu, const struct setting *setting, void *(*entry)(void *self), void *self);

#endif
