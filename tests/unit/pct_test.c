/* ctest: machines=virtual movers=flat */
/*
 * Exploration on the virtual machine (probabilistic concurrency testing): everything follows from the seed, priorities count for
 * nothing, and a race that needs one preemption at the right place is found as soon as the bound says.
 */
#include "fixture.h"

#include <sys/mman.h>
#include <unistd.h>

#define FN 7u

static void boot(uint64_t seed, uint32_t depth, uint32_t steps)
{
    struct ant_config config = fixture_config();
    config.seed = seed;
    config.pct_depth = depth;
    config.pct_steps = steps;
    fixture_boot(&config);
}

/* As fixture_shutdown does, but for what it says of the exploration. */
static struct ant_shutdown_report shutdown_and_report(void)
{
    struct ant_shutdown_report report;
    assert_ok(ant_shutdown(&report));
    assert_int_equal(report.processes_asked, 0);
    assert_int_equal(report.areas_held, 0);
    assert_int_equal(report.requests_unanswered, 0);
    assert_expectations(); /* the next boot forgets them */
    return report;
}

/* --- Everything follows from the seed -------------------------------------------------------------------------------- */

static void serve_request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    ant_reply(rq, 0);
}

static const struct ant_program server_program = {
    .abi = ANT_ABI,
    .name = "server",
    .request = serve_request,
};

static int call_thrice(void *unused)
{
    (void)unused;
    struct ant_request *rq;
    expect_ok(ant_request_new(FN, &rq));
    for (int i = 0; i < 3; i++)
        expect_ok(ant_call(rq, ANT_FOREVER));
    return ant_request_free(rq);
}

static int swap_twice(void *unused)
{
    (void)unused;
    expect_ok(ant_swap(FN, &server_program, NULL, NULL));
    return ant_swap(FN, &server_program, NULL, NULL);
}

/* Clients and swaps; the text of the trace, in a file. */
static int trace_of(uint64_t seed, uint32_t depth)
{
    int fd = memfd_create("trace", MFD_CLOEXEC);
    assert_true(fd >= 0);
    boot(seed, depth, 300);
    ant_pid server = serve(FN, &server_program, NULL);
    ant_pid one = spawn("one", 0, call_thrice, NULL), two = spawn("two", 0, call_thrice, NULL),
            swapper = spawn("swapper", 0, swap_twice, NULL);
    assert_int_equal(join(one), 0);
    assert_int_equal(join(two), 0);
    assert_int_equal(join(swapper), 0);
    assert_ok(ant_stop(server, ANT_FOREVER, NULL));
    assert_ok(ant_trace_write(fd));
    fixture_shutdown();
    return fd;
}

static bool same_text(int one, int two)
{
    off_t size = lseek(one, 0, SEEK_END);
    if (size != lseek(two, 0, SEEK_END))
        return false;
    void *a = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, one, 0);
    void *b = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, two, 0);
    assert_true(a != MAP_FAILED && b != MAP_FAILED && size > 1000);
    bool same = memcmp(a, b, (size_t)size) == 0;
    munmap(a, (size_t)size);
    munmap(b, (size_t)size);
    return same;
}

static void the_same_seed_gives_the_same_trace(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        uint32_t depth = 1 + (uint32_t)seed % 4;
        int one = trace_of(seed, depth), two = trace_of(seed, depth);
        assert_true(same_text(one, two));
        close(one);
        close(two);
    }
}

static void other_seeds_give_other_traces(void **state)
{
    (void)state;
    int different = 0, first = trace_of(1, 3);
    for (uint64_t seed = 2; seed < 22; seed++) {
        int other = trace_of(seed, 3);
        different += !same_text(first, other);
        close(other);
    }
    close(first);
    assert_in_range(different, 15, 20);
}

/* --- A race of the program's own --------------------------------------------------------------------------------------- */

static int counter;

/* Reads, calls the core (which takes no lock for that), and writes: whoever comes between loses his increment. */
static int increment(void *unused)
{
    (void)unused;
    struct ant_info info;
    int read = counter;
    expect_ok(ant_info(&info));
    counter = read + 1;
    return 0;
}

/* Is the increment of one of them lost? */
static bool is_lost(uint64_t seed, uint32_t depth, uint32_t steps, struct ant_shutdown_report *report)
{
    counter = 0;
    boot(seed, depth, steps);
    ant_pid one = spawn("one", 0, increment, NULL), two = spawn("two", 0, increment, NULL);
    join(one);
    join(two);
    *report = shutdown_and_report();
    return counter != 2;
}

static void a_race_is_found_within_the_number_of_runs_that_the_bound_says(void **state)
{
    (void)state;
    struct ant_shutdown_report report;
    assert_false(is_lost(0, 1, 0, &report));
    assert_int_equal(report.pct_threads, 3);
    assert_true(report.pct_points > 10);
    uint32_t steps = (uint32_t)report.pct_points, found = 0;
    /* Of depth 2: one of the two is preempted at one place. So many times 1/bound fail with a probability of e^-7 at most. */
    uint64_t runs = 7 * 3 * (uint64_t)steps;
    for (uint64_t seed = 1; seed <= runs; seed++)
        found += is_lost(seed, 2, steps, &report);
    assert_true(found >= 1);
    assert_true(found < runs / 2); /* else it was not preemption that did it */
}

static void without_a_change_point_nobody_is_preempted_by_his_equals(void **state)
{
    (void)state;
    struct ant_shutdown_report report;
    for (uint64_t seed = 1; seed <= 100; seed++)
        assert_false(is_lost(seed, 1, 0, &report));
}

static void without_exploration_the_race_stays_hidden(void **state)
{
    (void)state;
    struct ant_shutdown_report report;
    for (uint64_t seed = 1; seed <= 100; seed++)
        assert_false(is_lost(seed, 0, 0, &report));
    assert_int_equal(report.pct_threads, 0);
    assert_int_equal(report.pct_points, 0);
}

/* --- Priorities ---------------------------------------------------------------------------------------------------------- */

static char first;

static int come_first(void *name)
{
    first = first ? first : *(const char *)name;
    return 0;
}

static int come_late(void *unused)
{
    (void)unused;
    return ant_sleep(ant_now() + US(1));
}

static void priorities_count_for_nothing(void **state)
{
    (void)state;
    int low_first = 0, high_first = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        first = 0;
        boot(seed, 1, 0);
        ant_pid low = spawn("low", ANT_PRIORITY_MIN, come_first, "l"),
                high = spawn("high", ANT_PRIORITY_MAX, come_first, "h");
        assert_ok(ant_sleep(ant_now() + US(1)));
        join(low);
        join(high);
        low_first += first == 'l';
        high_first += first == 'h';
        shutdown_and_report();
    }
    assert_true(low_first > 5);
    assert_true(high_first > 5);
}

/* --- Threads that end -------------------------------------------------------------------------------------------------------- */

/*
 * Few places, and preemption nearly everywhere: a thread must have been joined before its place is used again, and it may have been preempted
 * anywhere on its way out. Somebody may find no place; nobody may stand still.
 */
static void processes_come_and_go_in_every_order(void **state)
{
    (void)state;
    uint32_t created = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct ant_config config = fixture_config();
        config.seed = seed;
        config.pct_depth = 100;
        config.pct_steps = 200;
        config.max_processes = 2;
        config.log = ANT_LOG_QUIET;
        fixture_boot(&config);
        for (int i = 0; i < 12; i++) {
            ant_pid pid;
            int rc = ant_process_create(NULL, come_late, NULL, &pid);
            assert_true(rc == 0 || rc == -EAGAIN);
            if (rc == 0)
                assert_ok(ant_wait(pid, ANT_FOREVER, NULL));
            created += rc == 0;
        }
        shutdown_and_report();
    }
    assert_in_range(created, 600, 1200);
}

/* --- Configuration ------------------------------------------------------------------------------------------------------------ */

static void exploration_wants_the_virtual_machine_and_a_depth_within_bounds(void **state)
{
    (void)state;
    struct ant_config config = fixture_config();
    config.log = ANT_LOG_QUIET;
    config.pct_depth = 1;
    config.machine = ANT_MACHINE_OTHER;
    assert_error(ant_boot(&config), EINVAL);
    config.machine = ANT_MACHINE_VIRTUAL;
    config.pct_depth = 101;
    assert_error(ant_boot(&config), EINVAL);
    config.pct_depth = 100;
    fixture_boot(&config);
    fixture_shutdown();
    config.pct_depth = 0;
    config.pct_steps = 200;
    fixture_boot(&config);
    fixture_shutdown();
}

#define pct_test(f) cmocka_unit_test_setup_teardown(f, fixture_no_core, fixture_teardown)

/* --- A monitor that comes with the end of what it asks about --------------------------------------------------------- */

static int supervise(void *unused)
{
    (void)unused;
    struct ant_request *rq;
    struct ant_message message;
    expect_ok(ant_request_new(FN, &rq));
    int rc = ant_monitor(rq, FN);
    if (expect(rc == 0 || rc == -ESRCH) && rc == 0)
        expect(ant_receive(&message, (int64_t)ANT_NS_PER_S) == 0 && message.request == rq &&
               rq->status == ANT_CHANGE_ENDED);
    return ant_request_free(rq);
}

static void whoever_asks_as_a_server_ends_is_told_or_refused(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        boot(seed, 3, 120);
        ant_pid server = serve(FN, &server_program, NULL);
        ant_pid supervisor = spawn("supervisor", 0, supervise, NULL);
        assert_ok(ant_stop(server, ANT_FOREVER, NULL));
        assert_int_equal(join(supervisor), 0);
        fixture_shutdown();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pct_test(the_same_seed_gives_the_same_trace),
        pct_test(other_seeds_give_other_traces),
        pct_test(a_race_is_found_within_the_number_of_runs_that_the_bound_says),
        pct_test(without_a_change_point_nobody_is_preempted_by_his_equals),
        pct_test(without_exploration_the_race_stays_hidden),
        pct_test(priorities_count_for_nothing),
        pct_test(processes_come_and_go_in_every_order),
        pct_test(exploration_wants_the_virtual_machine_and_a_depth_within_bounds),
        pct_test(whoever_asks_as_a_server_ends_is_told_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
