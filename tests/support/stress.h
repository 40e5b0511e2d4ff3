/*
 * What every stress test needs: sizes that scale, random numbers with a seed, and failures recorded by any thread.
 *
 * cmocka asserts on the test's own thread only. A worker says STRESS_CHECK(condition, ...), which records; the test asks
 * stress_assert_clean() when its workers have ended. The first failures are kept with their text, all are counted.
 */
#ifndef STRESS_H
#define STRESS_H

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants setjmp.h before it. */
#include <setjmp.h>

#include <cmocka.h>

#include <ant/ant.h>

/* --- Sizes -------------------------------------------------------------------------------------------------------- */

/* A full size, divided by ANT_STRESS_DIVISOR (default 1), but at least `least`. */
static inline uint32_t stress_size(uint32_t full, uint32_t least)
{
    const char *text = getenv("ANT_STRESS_DIVISOR");
    unsigned long divisor = text ? strtoul(text, NULL, 10) : 1;
    uint32_t size = full / (uint32_t)(divisor > 0 ? divisor : 1);

    return size > least ? size : least;
}

/* --- Random numbers: splitmix64 ------------------------------------------------------------------------------------ */

static inline uint64_t stress_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t stress_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return stress_mix(*state);
}

/* 0 to below - 1. */
static inline uint32_t stress_below(uint64_t *state, uint32_t below)
{
    return (uint32_t)(stress_random(state) % below);
}

/* --- Failures ------------------------------------------------------------------------------------------------------ */

#define STRESS_KEPT 8

struct stress_record {
    _Atomic uint32_t count;
    _Atomic uint32_t written; /* texts that are complete */
    char text[STRESS_KEPT][240];
};

/* One per program: tests run one after another, and each ends with stress_assert_clean. */
extern struct stress_record stress_record;

/* Records one; always false. */
__attribute__((format(printf, 3, 4))) static inline bool stress_fail(const char *file, int line, const char *format, ...)
{
    uint32_t slot = atomic_fetch_add(&stress_record.count, 1);
    if (slot >= STRESS_KEPT) {
        return false;
    }
    char *text = stress_record.text[slot];
    size_t room = sizeof stress_record.text[slot];
    int used = snprintf(text, room, "%s:%d: ", file, line);
    if (used > 0 && (size_t)used < room) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text + used, room - (size_t)used, format, arguments);
        va_end(arguments);
    }
    atomic_fetch_add(&stress_record.written, 1);
    return false;
}

/* Records a failure unless the condition holds; its value is the condition's. Any thread. */
#define STRESS_CHECK(condition, ...) ((condition) ? true : stress_fail(__FILE__, __LINE__, __VA_ARGS__))

/* Records a failure. */
#define STRESS_FAIL(...) stress_fail(__FILE__, __LINE__, __VA_ARGS__)

/* A libant call that must succeed. */
#define STRESS_OK(call)                                                               \
    do {                                                                              \
        int stress_error = (call);                                                    \
        STRESS_CHECK(stress_error == 0, "%s: %s", #call, ant_strerror(stress_error)); \
    } while (0)

static inline void stress_forget(void)
{
    atomic_store(&stress_record.count, 0);
    atomic_store(&stress_record.written, 0);
}

/* On the test's own thread, when every worker has ended. */
static inline void stress_assert_clean(void)
{
    uint32_t count = atomic_load(&stress_record.count);
    uint32_t written = atomic_load(&stress_record.written);

    for (uint32_t i = 0; i < written && i < STRESS_KEPT; i++) {
        print_error("%s\n", stress_record.text[i]);
    }
    stress_forget();
    if (count > 0) {
        fail_msg("%u checks failed; the first ones are above", count);
    }
}

/* --- A core for the test ------------------------------------------------------------------------------------------- */

/* Boots, on the machine and the mover that the environment names, and says which they are. */
static inline void stress_boot(const struct ant_config *config)
{
    struct ant_info info;
    int error = ant_boot(config);

    if (error == -ENOTSUP || error == -EPERM) { /* a mover that this kernel does not have, or no right to fifo */
        print_message("skipped: %s\n", ant_strerror(error));
        exit(77);
    }
    if (error != 0) {
        fail_msg("ant_boot: %s", ant_strerror(error));
    }
    assert_int_equal(ant_info(&info), 0);
    print_message("machine %s (%s), mover %s (%s)\n", info.machine_name, info.machine_reason, info.mover_name,
                  info.mover_reason);
}

/* Shuts down; nothing may be left over. */
static inline void stress_shutdown(void)
{
    struct ant_shutdown_report report;
    int error = ant_shutdown(&report);

    if (error != 0) {
        fail_msg("ant_shutdown: %s", ant_strerror(error));
    }
    if (report.processes_asked || report.processes_abandoned || report.areas_held || report.pages_held ||
        report.requests_unanswered) {
        fail_msg("left over: %u processes asked, %u abandoned, %u areas (%zu pages), %u requests",
                 report.processes_asked, report.processes_abandoned, report.areas_held, report.pages_held,
                 report.requests_unanswered);
    }
}

/*
 * Waiting until a swap has come to a step: the only thing that shows one while it goes on is the trace. Boot with
 * STRESS_TRACE_EVENTS. A mark is the place in the trace from which on the step is looked for.
 */
#define STRESS_TRACE_EVENTS 16384u
uint64_t stress_trace_mark(void);
void stress_wait_for_step(enum ant_swap_step step, uint64_t mark);

static inline size_t stress_free_pages(void)
{
    struct ant_ica_stats stats;
    int error = ant_ica_stats(&stats);

    return STRESS_CHECK(error == 0, "ant_ica_stats: %s", ant_strerror(error)) ? stats.free_pages : 0;
}

#endif
