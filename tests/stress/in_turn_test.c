/* ctest: machines=virtual,other movers=strict,strict-mremap,flat,copy long */
/*
 * Whatever the host may refuse is refused in turn: the Nth allocation, mapping, page move, thread creation, for N from 1 until
 * the scenario meets no refusal any more; once, and from there on for good.
 *
 * The scenario is a list of acts, each of which undoes what it has done when a call fails. A call may fail with an error that
 * its contract names, and what takes nothing from the host may not fail at all. Refused once, the same act succeeds
 * when it is done again. In the end nothing is left over, and the whole scenario succeeds on the same core.
 */
#include "turn.h"

#include <dirent.h>
#include <inttypes.h>
#include <sched.h>
#include <time.h>

#define POOL_BYTES ((size_t)8 << 20)
#define PROCESSES 8u

/* --- What is refused ---------------------------------------------------------------------------------------------- */

static const struct way {
    const char *name;
    bool for_good;
    bool to_the_end; /* the core is shut down under it */
    bool half;       /* moves: half of it is done */
    int error;       /* moves: this one; 0: ENOMEM */
} ways[] = {
    {.name = "once"},
    {.name = "for good", .for_good = true},
    {.name = "to the end", .for_good = true, .to_the_end = true},
    {.name = "once, half done", .half = true},
    {.name = "for good, half done", .for_good = true, .half = true},
    {.name = "once, EBUSY", .error = EBUSY},
    {.name = "to the end, EBUSY", .for_good = true, .to_the_end = true, .error = EBUSY},
};

static const struct way *way;

static struct ant_config config_here(void)
{
    return (struct ant_config){
        .log = ANT_LOG_QUIET,
        .pool_bytes = POOL_BYTES,
        .max_processes = PROCESSES,
        .priority = TURN_PRIORITY,
        .trace_events = 512,
    };
}

/* --- What must be as it was --------------------------------------------------------------------------------------- */

static size_t entries(const char *folder)
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static size_t idle_threads, idle_files; /* while there is no core */

/* A thread that was joined shows a little longer: the fewest that are seen in a while. */
static size_t lasting_threads(void)
{
    size_t fewest = SIZE_MAX;
    for (unsigned look = 0; look < 1000; look++) {
        size_t now = entries("/proc/self/task");
        fewest = now < fewest ? now : fewest;
        sched_yield();
    }
    return fewest;
}

/* With the thread that liburcu keeps from the first boot on. */
static void count_idle(void)
{
    struct ant_config config = config_here();
    int rc = ant_boot(&config);
    if (rc == -ENOTSUP)
        exit(77);
    assert_int_equal(rc, 0);
    assert_int_equal(ant_shutdown(NULL), 0);
    idle_threads = lasting_threads();
    idle_files = entries("/proc/self/fd");
}

/* What the host, and liburcu's thread, get round to in a moment. */
#define assert_before_long(condition)                                                              \
    do {                                                                                           \
        for (time_t end_ = time(NULL) + 20; !(condition) && time(NULL) < end_;)                    \
            sched_yield();                                                                         \
        assert_true(condition);                                                                    \
    } while (0)

/* There is no core. */
static void assert_nothing_is_left(void)
{
    assert_int_equal(wrap_mapped_bytes(), 0);
    assert_int_equal(entries("/proc/self/fd"), idle_files);
    assert_before_long(entries("/proc/self/task") == idle_threads); /* one that was joined shows a little longer */
}

static int idle_entry(void *arg)
{
    (void)arg;
    ant_sleep(ant_now() + 1000 * (uint64_t)SOON);
    return 0;
}

/* All processes but this one and the core's watchdog have a place. */
static void assert_every_place_is_free(void)
{
    ant_pid pids[PROCESSES];
    uint32_t places = 0;
    for (; places < PROCESSES - 2; places++) /* the thread of the last may need a moment to leave its place */
        assert_soon(ant_process_create(NULL, idle_entry, NULL, &pids[places]) == 0);
    assert_int_equal(ant_process_create(NULL, idle_entry, NULL, NULL), -EAGAIN);
    for (uint32_t i = 0; i < places; i++)
        assert_ok(ant_stop(pids[i], SOON, NULL));
}

static void assert_nothing_is_held(void)
{
    struct ant_ica_stats stats;
    assert_soon(ant_ica_stats(&stats) == 0 && stats.free_pages == stats.page_count);
    for (uint32_t function = FN_SERVER; function <= FN_OWN; function++)
        assert_int_equal(ant_lookup(function, &(ant_pid){0}), -ESRCH);
}

/* --- One run ------------------------------------------------------------------------------------------------------- */

static void arm(uint64_t nth)
{
    turn_refusal.for_good = way->for_good;
    wrap_reset();
    wrap_move_half(way->half);
    wrap_move_error(way->error);
    turn_refusal.on = true;
    wrap_fail(turn_refusal.kind, nth, way->for_good);
}

/* For good means for each act: what it was let do in the end, because it must be done, is over with it. */
static void refuse_again(void)
{
    if (way->for_good && wrap_failed(turn_refusal.kind) > 0)
        wrap_fail(turn_refusal.kind, 1, true);
}

static void heal(void)
{
    wrap_heal();
    turn_refusal.on = false;
}

static void act_under_refusal(const struct turn_act *act)
{
    struct ant_ica_stats before, after;
    refuse_again();
    must(ant_ica_stats(&before));
    int rc = act->act();
    if (rc >= 0 || way->for_good)
        return;
    assert_soon(ant_ica_stats(&after) == 0 && after.free_pages == before.free_pages);
    rc = act->act();
    if (rc != 0)
        fail_msg("done again, it fails: %s", ant_strerror(rc));
}

static void all_acts_succeed(void)
{
    for (size_t i = 0; i < turn_act_count; i++) {
        int rc = turn_acts[i].act();
        if (rc != 0)
            fail_msg("%s: %s, though nothing is refused any more", turn_acts[i].name, ant_strerror(rc));
    }
}

static void boot_here(void)
{
    struct ant_config config = config_here();
    int rc = ant_boot(&config);
    if (rc == -ENOTSUP)
        exit(77);
    assert_int_equal(rc, 0);
    turn_begin();
}

/* False: nothing was refused, since the run has not so many calls. */
static bool run(uint64_t nth)
{
    struct ant_shutdown_report report = {0};
    boot_here();
    arm(nth);
    for (size_t i = 0; i < turn_act_count; i++) {
        act_under_refusal(&turn_acts[i]);
        if (expect_failures() > 0)
            print_error("in \"%s\", %s %" PRIu64 " refused %s\n", turn_acts[i].name,
                        wrap_kind_name(turn_refusal.kind), nth, way->name);
        assert_expectations();
    }
    if (!way->to_the_end) {
        heal();
        turn_tidy();
        assert_nothing_is_held();
        all_acts_succeed();
        assert_nothing_is_held();
        assert_every_place_is_free();
    }
    assert_expectations();
    if (way->to_the_end)
        refuse_again();
    assert_ok(ant_shutdown(&report));
    heal();
    bool reached = wrap_failed(turn_refusal.kind) > 0;
    assert_int_equal(report.processes_abandoned, 0);
    if (!way->to_the_end)
        assert_int_equal(report.processes_asked + report.areas_held + report.requests_unanswered, 0);
    assert_nothing_is_left();
    assert_expectations();
    return reached;
}

static bool boot_refused(uint64_t nth)
{
    struct ant_config config = config_here();
    arm(nth);
    int rc = ant_boot(&config);
    bool reached = wrap_failed(turn_refusal.kind) > 0;
    heal();
    if (rc == 0) /* what it can do without */
        assert_ok(ant_shutdown(NULL));
    else if (rc != -ENOMEM && (rc != -ENOTSUP || turn_refusal.kind != WRAP_MOVE))
        fail_msg("ant_boot: %s", ant_strerror(rc));
    assert_int_equal(ant_self(), 0);
    assert_nothing_is_left();
    return reached;
}

/* --- The tests ---------------------------------------------------------------------------------------------------- */

static bool counts(const struct way *w)
{
    return turn_refusal.kind == WRAP_MOVE || (!w->half && w->error == 0);
}

static struct ant_info info; /* what runs */

/* Each way, each N on the virtual machine; elsewhere, where a run takes its time, every third. */
static void in_turn(bool (*one)(uint64_t nth), const char *what)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        way = &ways[i];
        if (!counts(way))
            continue;
        uint64_t nth = 1, stride = info.machine == ANT_MACHINE_VIRTUAL ? 1 : 3, runs = 0;
        for (; one(nth); nth += stride)
            runs++;
        assert_before_long(wrap_live() == 0); /* entries of the function table wait for a grace period */
        print_message("%s, %s refused %s: %" PRIu64 " in turn\n", what,
                      wrap_kind_name(turn_refusal.kind), way->name, runs);
    }
}

static uint64_t calls[WRAP_KINDS]; /* in all that is done here */

static int warm_up(void **state)
{
    (void)state;
    way = &ways[0];
    count_idle();
    wrap_reset();
    boot_here();
    assert_ok(ant_info(&info));
    all_acts_succeed();
    assert_int_equal(ant_shutdown(NULL), 0);
    for (int i = 0; i < WRAP_KINDS; i++)
        calls[i] = wrap_count((enum wrap_kind)i);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    heal();
    if (ant_self() != 0)
        ant_shutdown(NULL);
    return 0;
}

static void refuse_each(enum wrap_kind which)
{
    turn_refusal.kind = which;
    if (calls[which] == 0)
        skip(); /* this mover has no use for it */
    in_turn(boot_refused, "boot");
    in_turn(run, "scenario");
}

static void every_allocation_is_refused_in_turn(void **state)
{
    (void)state;
    refuse_each(WRAP_ALLOCATION);
}

static void every_mapping_is_refused_in_turn(void **state)
{
    (void)state;
    refuse_each(WRAP_MAPPING);
}

static void every_page_move_is_refused_in_turn(void **state)
{
    (void)state;
    refuse_each(WRAP_MOVE);
}

static void every_thread_is_refused_in_turn(void **state)
{
    (void)state;
    refuse_each(WRAP_THREAD);
}

/* Many more than there are places, on one core. */
static void processes_that_get_no_thread_cost_no_place(void **state)
{
    (void)state;
    way = &ways[0];
    turn_refusal.kind = WRAP_THREAD;
    wrap_reset();
    boot_here();
    for (uint32_t i = 0; i < 4 * PROCESSES; i++) {
        wrap_fail(WRAP_THREAD, 1, false);
        if (i % 2 == 0)
            assert_error(ant_process_create(NULL, idle_entry, NULL, NULL), EAGAIN);
        else
            assert_error(ant_serve(FN_DEAF, &turn_deaf, NULL, NULL), EAGAIN);
    }
    heal();
    all_acts_succeed();
    assert_nothing_is_held();
    assert_every_place_is_free();
    assert_ok(ant_shutdown(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_allocation_is_refused_in_turn, teardown),
        cmocka_unit_test_teardown(every_mapping_is_refused_in_turn, teardown),
        cmocka_unit_test_teardown(every_page_move_is_refused_in_turn, teardown),
        cmocka_unit_test_teardown(every_thread_is_refused_in_turn, teardown),
        cmocka_unit_test_teardown(processes_that_get_no_thread_cost_no_place, teardown),
    };
    return cmocka_run_group_tests(tests, warm_up, NULL);
}
