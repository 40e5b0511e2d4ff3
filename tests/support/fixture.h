/*
 * What every test of the contract begins with: a core that is booted before it and, after it, must hold nothing.
 *
 * cmocka's assertions work on the test's own thread only, which is the core's first process. Other threads, and children
 * of fork, say expect*(...): a failure is recorded, and the teardown (or the child's exit status) makes it the test's.
 *
 * assert_error and expect_error note the error that they saw in $ANT_ERRORS_SEEN, for the ctest contract.errors. The name
 * noted is that of the call in the expression; `puppet_x(...)` (puppet.h) counts as `ant_x`.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ant/ant.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define US(n) ((n)*ANT_NS_PER_US)
#define MS(n) ((n)*ANT_NS_PER_MS)
/* Longer than anything takes that does happen; a test that waits this long fails. */
#define SOON ((int64_t)(20 * ANT_NS_PER_S))
/* Long enough for a time limit that is to pass, on a machine where time is real. */
#define A_WHILE ((int64_t)(20 * ANT_NS_PER_MS))

/* --- Checks ------------------------------------------------------------------------------------------------------- */

/* Evaluates once. On the test's own thread: asserts. */
#define assert_ok(call) check_call((call), 0, #call, "0", __FILE__, __LINE__, true)
#define assert_error(call, error_name) check_call((call), -(error_name), #call, #error_name, __FILE__, __LINE__, true)

/* For a result that another thread has recorded, or puppet_end: of which call it was. */
#define assert_was(call_name, result, error_name) \
    check_call((result), -(error_name), #call_name, #error_name, __FILE__, __LINE__, true)

/* The same anywhere: record. expect returns what the condition was, the others what the call returned. */
#define expect(condition) expect_condition((condition), #condition, __FILE__, __LINE__)
#define expect_ok(call) check_call((call), 0, #call, "0", __FILE__, __LINE__, false)
#define expect_error(call, error_name) check_call((call), -(error_name), #call, #error_name, __FILE__, __LINE__, false)

int check_call(int result, int wanted, const char *call, const char *error_name, const char *file, int line, bool fatal);
bool expect_condition(bool condition, const char *text, const char *file, int line);
/* How many expectations have failed; the first ones have been printed. */
unsigned expect_failures(void);
/* Fails the test if any expectation failed. */
void assert_expectations(void);

/* Asserts that a condition becomes true, looking again from time to time (by ant_sleep). */
#define assert_soon(condition)                                   \
    do {                                                         \
        uint64_t deadline_ns_ = ant_now() + (uint64_t)SOON;      \
        while (!(condition)) {                                   \
            assert_true(ant_now() < deadline_ns_);               \
            assert_int_equal(ant_sleep(ant_now() + US(100)), 0); \
        }                                                        \
    } while (0)

/* --- The core ------------------------------------------------------------------------------------------------------ */

#define FIXTURE_POOL_BYTES ((size_t)8 << 20)
#define FIXTURE_POOL_PAGES (FIXTURE_POOL_BYTES / ANT_PAGE_BYTES)
#define FIXTURE_PROCESSES 32u
#define FIXTURE_PRIORITY 20 /* of the test's own process: there is room above and below it */

/* Small, with a trace; machine and mover are for the environment to choose. */
struct ant_config fixture_config(void);

/* Boots and asserts; NULL: fixture_config. */
void fixture_boot(const struct ant_config *config);
/* Ends puppets and servers, asserts that every page is free and nobody held anything, ends the core. */
void fixture_shutdown(void);

int fixture_setup(void **state);
/* For tests that boot themselves; ends what a test that failed has left. */
int fixture_no_core(void **state);
/* Boots a core whose calls cost something. */
void fixture_boot_with_costs(const struct ant_costs *costs);
/* ... on a clock that tells exactly; elsewhere the test is skipped. */
void fixture_boot_exact(const struct ant_costs *costs);
/*
 * Boots for a test that goes through seeds, 0 first: `virtual` explores with each but that. What only threads on many CPUs come to is found so.
 *     for (uint64_t seed = 0; fixture_explores(seed, 300); seed++) { fixture_boot_seed(seed); ... fixture_shutdown(); }
 */
void fixture_boot_seed(uint64_t seed);
bool fixture_explores(uint64_t seed, uint64_t seeds);
int fixture_teardown(void **state);
#define core_test(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

bool on_virtual(void);
bool on_fifo(void);
enum ant_mover mover(void);
/* Do accesses through stale pointers fault? */
bool mover_is_strict(void);

size_t free_pages(void);
size_t own_pages(void);
struct ant_process_info info_of(ant_pid pid);

/* Serves and remembers the server for the teardown to stop. options may be NULL. */
ant_pid serve(uint32_t function, const struct ant_program *program, const struct ant_server_options *options);
/* Creates and remembers. priority 0: the caller's. */
ant_pid spawn(const char *name, int priority, int (*entry)(void *arg), void *arg);
/* Waits for its end, and returns its exit status. */
int join(ant_pid pid);

struct ant_request *new_request(uint32_t function);
void *new_area(size_t pages);

#endif
