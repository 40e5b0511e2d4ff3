/*
 * Calls: ant_call there and back, between two threads on one CPU, 64 bytes in the request or 1 MiB in an area of its own.
 *
 * The echo server is above its client, but for the rows at equal priorities. Peers and limits have the same priorities on
 * the same CPU, and both their ends touch data in the same way (limits/subject.h).
 */
#include "ours.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { TIMED_NS = 1000000000 };

#define MIB ((size_t)1 << 20)

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct ours_call *self = limit_new(sizeof *self);

    ours_call_open(self, &ours_echo, subject->bytes, setting);
    return self;
}

static void *create_timed(const struct subject *subject, const struct setting *setting)
{
    struct ours_call *self = create(subject, setting);

    self->timeout_ns = TIMED_NS;
    return self;
}

static void sample(void *self, uint64_t *values)
{
    uint64_t begin_ns = now_ns();

    ours_call(self, begin_ns);
    values[0] = now_ns() - begin_ns;
}

static void destroy(void *self)
{
    ours_call_close(self);
    free(self);
}

#define CALL .create = create, .sample = sample, .destroy = destroy
#define TIMED_CALL .create = create_timed, .sample = sample, .destroy = destroy

/* --- flat ---------------------------------------------------------------------------------------------------------------- */

static const struct subject call_64_flat = {.names = {"call_64_flat"}, .bytes = 64, CALL};
static const struct subject call_64_flat_timed = {.names = {"call_64_flat_timed"}, .bytes = 64, TIMED_CALL};
static const struct subject call_1m_flat = {.names = {"call_1m_flat"}, .bytes = MIB, CALL};

static const struct subject *const flat_subjects[] = {&limit_futex,
                                                      &limit_futex_1m,
                                                      &call_64_flat,
                                                      &call_64_flat_timed,
                                                      &call_1m_flat,
                                                      &limit_pipe_64,
                                                      &limit_socketpair_64,
                                                      &limit_posix_mq_64,
#ifdef LIMIT_ZEROMQ
                                                      &limit_zeromq_64,
#endif
#ifdef LIMIT_NNG
                                                      &limit_nng_64,
#endif
                                                      NULL};

static const struct row flat_rows[] = {
    {"call_64_flat", NULL, UNIT_US, {"futex"}, RATIO_AT_MOST, 1.1},
    {"call_64_flat_timed", NULL, UNIT_US, {"futex"}, JUDGED_NOT, 0},
    {"call_1m_flat", NULL, UNIT_US, {"futex_1m"}, RATIO_AT_MOST, 1.15},
    {"pipe_64", NULL, UNIT_US, {"futex"}, JUDGED_NOT, 0},
    {"socketpair_64", NULL, UNIT_US, {"futex"}, JUDGED_NOT, 0},
    {"posix_mq_64", NULL, UNIT_US, {"futex"}, JUDGED_NOT, 0},
#ifdef LIMIT_ZEROMQ
    {"zeromq_64", NULL, UNIT_US, {"futex"}, JUDGED_NOT, 0},
#endif
#ifdef LIMIT_NNG
    {"nng_64", NULL, UNIT_US, {"futex"}, JUDGED_NOT, 0},
#endif
};

const struct group group_calls_flat = {.mover = ANT_MOVER_FLAT,
                                       .cpus = 1,
                                       .client_priority = LOWER_PRIORITY,
                                       .server_priority = UPPER_PRIORITY,
                                       .subjects = flat_subjects,
                                       GROUP_ROWS(flat_rows)};

/* --- flat, equal priorities ---------------------------------------------------------------------------------------------- */

static const struct subject call_64_flat_equal = {.names = {"call_64_flat_equal"}, .bytes = 64, CALL};
static const struct subject *const equal_subjects[] = {&limit_futex_equal, &call_64_flat_equal, NULL};
static const struct row equal_rows[] = {
    {"call_64_flat_equal", NULL, UNIT_US, {"futex_equal"}, JUDGED_NOT, 0},
};

const struct group group_calls_equal = {.mover = ANT_MOVER_FLAT,
                                        .cpus = 1,
                                        .client_priority = LOWER_PRIORITY,
                                        .server_priority = LOWER_PRIORITY,
                                        .subjects = equal_subjects,
                                        GROUP_ROWS(equal_rows)};

/* --- strict -------------------------------------------------------------------------------------------------------------- */

static const struct subject call_64_strict = {.names = {"call_64_strict"}, .bytes = 64, CALL};
static const struct subject call_1m_strict = {.names = {"call_1m_strict"}, .bytes = MIB, CALL};

static const struct subject *const strict_subjects[] = {&limit_futex,
                                                        &limit_futex_1m,
                                                        &limit_futex_move_64,
                                                        &limit_futex_move_1m,
                                                        &limit_uffd_move_64,
                                                        &limit_uffd_move_1m,
                                                        &limit_memcpy_1m,
                                                        &call_64_strict,
                                                        &call_1m_strict,
                                                        &limit_pipe_1m,
                                                        &limit_socketpair_1m,
#ifdef LIMIT_ZEROMQ
                                                        &limit_zeromq_1m,
#endif
#ifdef LIMIT_NNG
                                                        &limit_nng_1m,
#endif
                                                        NULL};

static const struct row strict_rows[] = {
    {"call_64_strict", NULL, UNIT_US, {"futex"}, RATIO_AT_MOST, 1.9},
    {"call_64_strict_moves", "call_64_strict", UNIT_US, {"futex_move_64"}, JUDGED_NOT, 0},
    {"call_1m_strict", NULL, UNIT_US, {"futex_move_1m"}, RATIO_AT_MOST, 1.2},
    {"call_1m_strict_sum", "call_1m_strict", UNIT_US, {"futex_1m", "uffd_move_1m"}, JUDGED_NOT, 0},
    {"call_1m_strict_pipe", "call_1m_strict", UNIT_US, {"pipe_1m"}, TIMES_AT_LEAST, 20},
    {"call_1m_strict_socketpair", "call_1m_strict", UNIT_US, {"socketpair_1m"}, TIMES_AT_LEAST, 12},
    {"pipe_1m", NULL, UNIT_US, {"futex_1m"}, JUDGED_NOT, 0},
    {"socketpair_1m", NULL, UNIT_US, {"futex_1m"}, JUDGED_NOT, 0},
#ifdef LIMIT_ZEROMQ
    {"zeromq_1m", NULL, UNIT_US, {"futex_1m"}, JUDGED_NOT, 0},
#endif
#ifdef LIMIT_NNG
    {"nng_1m", NULL, UNIT_US, {"futex_1m"}, JUDGED_NOT, 0},
#endif
    {"memcpy_1m", NULL, UNIT_US, {NULL}, JUDGED_NOT, 0},
    {"uffd_move_64", NULL, UNIT_US, {NULL}, JUDGED_NOT, 0},
    {"uffd_move_1m", NULL, UNIT_US, {NULL}, JUDGED_NOT, 0},
};

const struct group group_calls_strict = {.mover = ANT_MOVER_STRICT,
                                         .cpus = 1,
                                         .client_priority = LOWER_PRIORITY,
                                         .server_priority = UPPER_PRIORITY,
                                         .subjects = strict_subjects,
                                         GROUP_ROWS(strict_rows)};

/* --- strict, with the other CPU busy in the same program ------------------------------------------------------------------ */

/*
 * A thread on the other CPU that computes, above all that is ordinary there, while it is this subject's turn: every page table
 * changed here has to be made known there.
 */
struct busy {
    struct ours_call call;
    sem_t begin;
    atomic_bool computes, rest, end;
    pthread_t thread;
};

static void *keep_busy(void *argument)
{
    struct busy *self = argument;

    for (;;) {
        while (sem_wait(&self->begin) != 0) {
        }
        if (atomic_load(&self->end)) {
            return NULL;
        }
        atomic_store(&self->computes, true);
        while (!atomic_load_explicit(&self->rest, memory_order_relaxed)) {
        }
        atomic_store(&self->computes, false);
    }
}

static void *create_busy(const struct subject *subject, const struct setting *setting)
{
    struct busy *self = limit_new(sizeof *self);

    ours_call_open(&self->call, &ours_echo, subject->bytes, setting);
    limit_must(sem_init(&self->begin, 0, 0) == 0, "sem_init");
    limit_thread_on(&self->thread, setting->other_cpu, setting, keep_busy, self);
    return self;
}

static void enter_busy(void *argument)
{
    struct busy *self = argument;

    atomic_store(&self->rest, false);
    sem_post(&self->begin);
    while (!atomic_load(&self->computes)) { /* on the other CPU, so that it will */
    }
}

static void leave_busy(void *argument)
{
    struct busy *self = argument;

    atomic_store(&self->rest, true);
    while (atomic_load(&self->computes)) {
    }
}

static void destroy_busy(void *argument)
{
    struct busy *self = argument;

    atomic_store(&self->end, true);
    sem_post(&self->begin);
    pthread_join(self->thread, NULL);
    sem_destroy(&self->begin);
    destroy(self); /* the call is its first member */
}

static const struct subject call_64_strict_busy = {.names = {"call_64_strict_busy"},
                                                   .bytes = 64,
                                                   .create = create_busy,
                                                   .enter = enter_busy,
                                                   .sample = sample,
                                                   .leave = leave_busy,
                                                   .destroy = destroy_busy};
static const struct subject *const busy_subjects[] = {&limit_futex, &call_64_strict_busy, NULL};
static const struct row busy_rows[] = {
    {"call_64_strict_busy", NULL, UNIT_US, {"futex"}, JUDGED_NOT, 0},
};

const struct group group_calls_busy = {.mover = ANT_MOVER_STRICT,
                                       .cpus = 1,
                                       .wants_other_cpu = true,
                                       .client_priority = LOWER_PRIORITY,
                                       .server_priority = UPPER_PRIORITY,
                                       .subjects = busy_subjects,
                                       GROUP_ROWS(busy_rows)};

/* --- strict-mremap -------------------------------------------------------------------------------------------------------- */

static const struct subject call_64_mremap = {.names = {"call_64_strict_mremap"}, .bytes = 64, CALL};
static const struct subject *const mremap_subjects[] = {&limit_futex, &limit_mremap_64,
                                                        &call_64_mremap, NULL};
static const struct row mremap_rows[] = {
    {"call_64_strict_mremap", NULL, UNIT_US, {"futex", "mremap_64"}, JUDGED_NOT, 0},
    {"mremap_64", NULL, UNIT_US, {NULL}, JUDGED_NOT, 0},
};

const struct group group_calls_mremap = {.mover = ANT_MOVER_STRICT_MREMAP,
                                         .cpus = 1,
                                         .client_priority = LOWER_PRIORITY,
                                         .server_priority = UPPER_PRIORITY,
                                         .subjects = mremap_subjects,
                                         GROUP_ROWS(mremap_rows)};
