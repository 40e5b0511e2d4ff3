/* ctest: machines=virtual movers=strict,flat */
/*
 * The virtual machine: who runs when, times exact to the nanosecond, deadlocks, and runs that repeat.
 */
#include "child.h"
#include "fixture.h"
#include "puppet.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define FN 7u

/* What happened, as a text: one letter an event. Processes run one at a time, so no lock. */
static char story[512];
static size_t story_length;

static void tell(char letter)
{
    if (story_length < sizeof story - 1)
        story[story_length++] = letter;
    story[story_length] = 0;
}

/* The clock begins at 1 us. Times below count from the beginning of the test. */
static uint64_t begin_ns;

static uint64_t elapsed_ns(void)
{
    return ant_now() - begin_ns;
}

static int setup(void **state)
{
    story_length = 0;
    story[0] = 0;
    fixture_setup(state);
    begin_ns = ant_now();
    return 0;
}

#define virtual_test(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

/* What a process does: each line of its script once, with its letter before and after. */
enum { END, WORK, SLEEP_UNTIL, SLEEP_FOR, TELL };

struct line {
    int what;
    uint64_t number;
};

struct actor {
    char letter;
    const struct line *script;
    uint64_t end_ns;
};

static int act(void *arg)
{
    struct actor *a = arg;
    for (const struct line *line = a->script; line->what != END; line++) {
        switch (line->what) {
        case WORK:
            expect_ok(ant_work(line->number));
            break;
        case SLEEP_UNTIL:
            expect_ok(ant_sleep(begin_ns + line->number));
            break;
        case SLEEP_FOR:
            expect_ok(ant_sleep(ant_now() + line->number));
            break;
        case TELL:
            tell((char)(line->number ? (char)line->number : a->letter));
            break;
        default:
            break;
        }
    }
    a->end_ns = elapsed_ns();
    return 0;
}

static ant_pid start(struct actor *actor, int priority)
{
    return spawn("actor", priority, act, actor);
}

/* ---- who runs ---- */

static void the_highest_priority_ready_process_runs(void **state)
{
    (void)state;
    static const struct line script[] = {{TELL, 0}, {WORK, 10}, {TELL, 0}, {END, 0}};
    struct actor a = {'a', script, 0}, b = {'b', script, 0}, c = {'c', script, 0};
    ant_pid pid[] = {start(&a, 3), start(&b, 5), start(&c, 4)};
    assert_string_equal(story, ""); /* all below this process */
    for (int i = 0; i < 3; i++)
        join(pid[i]);
    assert_string_equal(story, "bbccaa");
    assert_true(b.end_ns == 10 && c.end_ns == 20 && a.end_ns == 30);
}

static void equals_are_first_in_first_out(void **state)
{
    (void)state;
    static const struct line script[] = {{TELL, 0},      {WORK, 10}, {TELL, 0},
                                         {SLEEP_FOR, 5}, {TELL, 0},  {END, 0}};
    struct actor a = {'a', script, 0}, b = {'b', script, 0}, c = {'c', script, 0};
    ant_pid pid[] = {start(&a, 3), start(&b, 3), start(&c, 3)};
    for (int i = 0; i < 3; i++)
        join(pid[i]);
    /* a works to 10 and sleeps to 15; b to 20, and is not interrupted by its equal; c waits before a, which came at 15 */
    assert_string_equal(story, "aabbccabc");
    assert_true(a.end_ns == 30);
    assert_true(b.end_ns == 30);
    assert_true(c.end_ns == 35);
}

static void a_timer_preempts_work_at_its_instant(void **state)
{
    (void)state;
    static const struct line low[] = {{TELL, 0}, {WORK, 100}, {TELL, 0}, {END, 0}};
    static const struct line high[] = {{SLEEP_UNTIL, 37}, {TELL, 0}, {WORK, 13}, {TELL, 0}, {END, 0}};
    struct actor l = {'l', low, 0}, h = {'h', high, 0};
    ant_pid pid[] = {start(&l, 3), start(&h, 4)};
    join(pid[0]);
    join(pid[1]);
    assert_string_equal(story, "lhhl");
    assert_true(h.end_ns == 50);
    assert_true(l.end_ns == 113); /* its own 100, and the 13 of the other */
}

static void a_timer_at_the_very_end_of_work_fires_first(void **state)
{
    (void)state;
    static const struct line low[] = {{WORK, 50}, {TELL, 0}, {END, 0}};
    static const struct line high[] = {{SLEEP_UNTIL, 50}, {TELL, 0}, {END, 0}};
    struct actor l = {'l', low, 0}, h = {'h', high, 0};
    ant_pid pid[] = {start(&l, 3), start(&h, 4)};
    join(pid[0]);
    join(pid[1]);
    assert_string_equal(story, "hl");
}

static void timers_of_one_instant_fire_in_the_order_set(void **state)
{
    (void)state;
    static const struct line script[] = {{SLEEP_UNTIL, 50}, {TELL, 0}, {END, 0}};
    struct actor a = {'a', script, 0}, b = {'b', script, 0}, c = {'c', script, 0};
    ant_pid pid[] = {start(&a, 3), start(&b, 3), start(&c, 3)};
    for (int i = 0; i < 3; i++)
        join(pid[i]);
    assert_string_equal(story, "abc");
}

static void a_preempted_process_stands_at_the_head_of_its_level(void **state)
{
    (void)state;
    static const struct line work[] = {{TELL, 0}, {WORK, 100}, {TELL, 0}, {END, 0}};
    static const struct line high[] = {{SLEEP_UNTIL, 10}, {TELL, 0}, {WORK, 5}, {END, 0}};
    struct actor a = {'a', work, 0}, b = {'b', work, 0}, h = {'h', high, 0};
    ant_pid pid[] = {start(&a, 3), start(&b, 3), start(&h, 4)};
    for (int i = 0; i < 3; i++)
        join(pid[i]);
    assert_string_equal(story, "ahabb");
    assert_true(a.end_ns == 105);
    assert_true(b.end_ns == 205);
}

static void nested_preemption_unwinds_in_order(void **state)
{
    (void)state;
    static const struct line low[] = {{WORK, 100}, {TELL, 0}, {END, 0}};
    static const struct line middle[] = {{SLEEP_UNTIL, 10}, {WORK, 50}, {TELL, 0}, {END, 0}};
    static const struct line high[] = {{SLEEP_UNTIL, 20}, {WORK, 7}, {TELL, 0}, {SLEEP_UNTIL, 40},
                                       {WORK, 2},         {TELL, 0}, {END, 0}};
    struct actor l = {'l', low, 0}, m = {'m', middle, 0}, h = {'h', high, 0};
    ant_pid pid[] = {start(&l, 3), start(&m, 4), start(&h, 5)};
    for (int i = 0; i < 3; i++)
        join(pid[i]);
    assert_string_equal(story, "hhml");
    assert_true(h.end_ns == 42);
    assert_true(m.end_ns == 10 + 50 + 7 + 2);
    assert_true(l.end_ns == 159);
}

static void the_clock_begins_at_a_microsecond(void **state)
{
    (void)state;
    assert_true(ant_now() == US(1));
}

static void wait_is_absolute_and_does_not_drift(void **state)
{
    (void)state;
    for (uint64_t tick = 1; tick <= 100; tick++) {
        assert_ok(ant_work(3));
        assert_ok(ant_sleep(begin_ns + tick * 1000));
        assert_true(elapsed_ns() == tick * 1000);
    }
    assert_ok(ant_sleep(50)); /* long gone */
    assert_true(elapsed_ns() == 100000);
}

static void calls_cost_no_time(void **state)
{
    (void)state;
    ant_pid server = puppet_create("server", 0);
    assert_ok(puppet_function_add(server, FN));
    struct ant_request *rq = new_request(FN);
    rq->data = new_area(40);
    void *data = rq->data;
    assert_ok(ant_send(rq));
    assert_ok(puppet_reply(server, puppet_take_request(server), 0));
    assert_ptr_equal(boss_result(), rq);
    assert_ok(ant_ica_free(data));
    assert_ok(ant_request_free(rq));
    assert_true(elapsed_ns() == 0);
}

static void time_limits_pass_at_their_instant(void **state)
{
    (void)state;
    ant_pid puppet = puppet_create("puppet", 0);
    assert_ok(puppet_function_add(puppet, FN));
    struct ant_message message;
    struct ant_request *rq = new_request(FN);
    puppet_await(puppet);
    assert_error(ant_receive(&message, 1234567), ETIMEDOUT);
    assert_true(elapsed_ns() == 1234567);
    uint64_t before_ns = ant_now();
    assert_error(ant_wait(puppet, 999, NULL), ETIMEDOUT);
    assert_true(ant_now() == before_ns + 999);
    assert_error(ant_call(rq, 1001), ETIMEDOUT);
    assert_true(ant_now() == before_ns + 2000);
    assert_error(ant_stop(puppet, 5, NULL), ETIMEDOUT);
    assert_true(ant_now() == before_ns + 2005);
    assert_error(ant_call(rq, 0), ETIMEDOUT);
    assert_error(ant_receive(&message, 0), ETIMEDOUT);
    assert_true(ant_now() == before_ns + 2005);
    assert_ok(ant_request_free(rq));
}

static void waking_a_higher_process_runs_it_at_once(void **state)
{
    (void)state;
    ant_pid server = puppet_create("server", FIXTURE_PRIORITY + 5);
    assert_ok(puppet_function_add(server, FN));
    struct ant_message message = {0};
    puppet_begin_receive(server, &message, SOON);
    struct ant_request *rq = new_request(FN);
    assert_ok(ant_send(rq));
    assert_non_null(message.request); /* it has received before this process went on */
    assert_int_equal(puppet_end(server), 0);
    assert_ok(puppet_reply(server, message.request, 0));
    assert_ptr_equal(boss_result(), rq);
    assert_ok(ant_request_free(rq));
}

static void waking_a_lower_or_equal_process_does_not(void **state)
{
    (void)state;
    for (int below = 0; below <= 1; below++) {
        ant_pid server = puppet_create("server", FIXTURE_PRIORITY - below);
        assert_ok(puppet_function_add(server, FN));
        struct ant_message message = {0};
        puppet_begin_receive(server, &message, SOON);
        struct ant_request *rq = new_request(FN);
        assert_ok(ant_send(rq));
        assert_null(message.request);
        assert_int_equal(puppet_end(server), 0);
        assert_ok(puppet_reply(server, message.request, 0));
        assert_ptr_equal(boss_result(), rq);
        assert_ok(ant_request_free(rq));
        puppet_dismiss(server);
    }
}

static void a_change_of_priority_acts_at_once(void **state)
{
    (void)state;
    static const struct line script[] = {{TELL, 0}, {WORK, 10}, {END, 0}};
    struct actor a = {'a', script, 0}, b = {'b', script, 0}, c = {'c', script, 0};
    start(&a, 3);
    ant_pid pid_b = start(&b, 3);
    start(&c, 4);
    assert_ok(ant_priority_set(pid_b, 5)); /* still below this one */
    assert_string_equal(story, "");
    assert_ok(ant_priority_set(ant_self(), 4)); /* gives way to b, which is above, and to c, which was there before */
    assert_string_equal(story, "bc");
    assert_ok(ant_priority_set(ant_self(), 1));
    assert_string_equal(story, "bca");
    assert_ok(ant_priority_set(ant_self(), FIXTURE_PRIORITY));
    struct actor d = {'d', script, 0};
    ant_pid pid_d = start(&d, 2);
    assert_ok(ant_priority_set(pid_d, FIXTURE_PRIORITY + 1)); /* above: it runs before the call returns */
    assert_string_equal(story, "bcad");
}

/* ---- deadlock ---- */

struct pair {
    ant_pid other;
    int rc;
};

static int wait_for_other(void *arg)
{
    struct pair *pair = arg;
    pair->rc = ant_wait(pair->other, ANT_FOREVER, NULL);
    return 0;
}

static void two_that_wait_for_each_other_are_told(void **state)
{
    (void)state;
    struct pair one = {0}, two = {0};
    ant_pid first = spawn("first", 5, wait_for_other, &one);
    ant_pid second = spawn("second", 5, wait_for_other, &two);
    one.other = second;
    two.other = first;
    assert_int_equal(ant_wait(first, ANT_FOREVER, NULL), -EDEADLK); /* this one waits as well */
    assert_int_equal(join(first), 0);
    assert_int_equal(join(second), 0);
    /* Whoever ran first was told, and ended; so the other's wait has come true after all. */
    assert_true(one.rc == -EDEADLK || one.rc == 0);
    assert_true(two.rc == -EDEADLK || two.rc == 0);
    assert_true(one.rc == -EDEADLK || two.rc == -EDEADLK);
}

static void receive_that_nothing_can_end_is_told(void **state)
{
    (void)state;
    struct ant_message message = {.kind = (enum ant_message_kind)77};
    assert_error(ant_receive(&message, ANT_FOREVER), EDEADLK);
    assert_int_equal(message.kind, 77);
    assert_error(ant_receive(&message, ANT_FOREVER), EDEADLK); /* and again: it is an error, not an end */
}

struct stuck {
    bool receives; /* the request first */
    ant_pid other;
    int rc;
};

/* A server that waits for its client: never to end. */
static int serve_and_wait(void *arg)
{
    struct stuck *stuck = arg;
    struct ant_message message = {0};
    expect_ok(ant_function_add(FN));
    if (stuck->receives)
        expect_ok(ant_receive(&message, ANT_FOREVER));
    stuck->rc = ant_wait(stuck->other, ANT_FOREVER, NULL);
    if (message.request)
        expect_ok(ant_reply(message.request, 4));
    return 0;
}

static void a_call_that_is_queued_for_ever_is_withdrawn(void **state)
{
    (void)state;
    struct stuck stuck = {.other = ant_self()};
    ant_pid server = spawn("stuck", FIXTURE_PRIORITY - 1, serve_and_wait,
                           &stuck);      /* below: this process is told first */
    assert_ok(ant_sleep(ant_now() + 1)); /* it adds its function */
    struct ant_request *rq = new_request(FN);
    void *data = new_area(2);
    rq->data = data;
    assert_error(ant_call(rq, ANT_FOREVER), EDEADLK);
    assert_int_equal(rq->error, -EDEADLK);
    assert_ptr_equal(rq->data, data);
    assert_ok(ant_ica_free(data));
    assert_ok(ant_request_free(rq));
    join(server);
    assert_was(ant_wait, stuck.rc, EDEADLK);
}

static void a_call_that_is_in_service_for_ever_goes_on_as_asynchronous(void **state)
{
    (void)state;
    struct stuck stuck = {.other = ant_self(), .receives = true};
    ant_pid server = spawn("stuck", FIXTURE_PRIORITY - 1, serve_and_wait, &stuck);
    assert_ok(ant_sleep(ant_now() + 1)); /* it adds its function */
    struct ant_request *rq = new_request(FN);
    assert_error(ant_call(rq, ANT_FOREVER), EINPROGRESS);
    struct ant_message message;
    assert_ok(ant_receive(&message, SOON));
    assert_int_equal(message.kind, ANT_RESULT);
    assert_ptr_equal(message.request, rq);
    assert_int_equal(rq->status, 4);
    assert_ok(ant_request_free(rq));
    join(server);
    assert_was(ant_wait, stuck.rc, EDEADLK);
}

static int ignore_stop(void *arg)
{
    struct stuck *stuck = arg;
    struct ant_request *rq;
    expect_ok(ant_request_new(FN, &rq)); /* a call is not ended by a stop */
    stuck->rc = ant_call(rq, ANT_FOREVER);
    expect_ok(ant_request_free(rq));
    return 9;
}

static void a_stop_that_cannot_end_is_told(void **state)
{
    (void)state;
    assert_ok(ant_function_add(FN));
    struct stuck stuck = {0};
    ant_pid pid = spawn("stubborn", FIXTURE_PRIORITY - 1, ignore_stop, &stuck);
    assert_error(ant_stop(pid, ANT_FOREVER, NULL), EDEADLK);
    int status = 0;
    assert_ok(ant_wait(pid, SOON, &status));
    assert_int_equal(status, 9);
    assert_was(ant_call, stuck.rc, EDEADLK);
    assert_ok(ant_function_remove(FN));
}

static void nod(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    expect_ok(ant_reply(rq, 0));
}

static const struct ant_program nodder = {.abi = ANT_ABI, .name = "nodder", .request = nod};

static void servers_that_only_wait_for_work_are_left_alone(void **state)
{
    (void)state;
    ant_pid server = serve(FN, &nodder, NULL);
    struct ant_message message;
    struct ant_request *rq = new_request(FN);
    for (int i = 0; i < 3; i++) {
        assert_error(ant_receive(&message, ANT_FOREVER), EDEADLK);
        assert_ok(ant_call(rq, ANT_FOREVER)); /* it serves on */
    }
    assert_ok(ant_request_free(rq));
    assert_ok(ant_stop(server, ANT_FOREVER, NULL));
}

static ant_pid boot_pid;

static int start_waits(struct ant_server *self)
{
    (void)self;
    int rc = ant_wait(boot_pid, ANT_FOREVER, NULL);
    expect(rc == -EDEADLK || rc == -ESHUTDOWN);
    return ant_wait(boot_pid, (int64_t)MS(1), NULL); /* or it is abandoned meanwhile */
}

static void a_start_that_cannot_end_is_told(void **state)
{
    (void)state;
    static const struct ant_program program = {
        .abi = ANT_ABI, .name = "waits", .start = start_waits, .request = nod};
    struct ant_server_options options = {.start_timeout_ns = ANT_FOREVER};
    ant_pid found;
    boot_pid = ant_self();
    assert_error(ant_serve(FN, &program, &options, NULL), EDEADLK);
    assert_error(ant_lookup(FN, &found), ESRCH);
    assert_ok(ant_sleep(ant_now() + MS(10)));
}

static void wait_for_boot(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    expect_error(ant_wait(boot_pid, ANT_FOREVER, NULL), EDEADLK);
    expect_ok(ant_reply(rq, 0));
}

static void a_swap_that_cannot_end_is_rolled_back(void **state)
{
    (void)state;
    static const struct ant_program program = {.abi = ANT_ABI, .name = "waits", .request = wait_for_boot};
    struct ant_swap_options options = {.quiesce_timeout_ns = ANT_FOREVER, .start_timeout_ns = ANT_FOREVER};
    struct ant_swap_report report;
    boot_pid = ant_self();
    serve(FN, &program, &(struct ant_server_options){.priority = FIXTURE_PRIORITY + 1});
    struct ant_request *rq = new_request(FN);
    assert_ok(ant_send(rq)); /* now it waits, in its callback */
    assert_error(ant_swap(FN, &nodder, &options, &report), EDEADLK);
    assert_int_equal(report.error, -EDEADLK);
    assert_int_equal(report.generation, 1);
    assert_ptr_equal(boss_result(), rq);
    assert_ok(ant_request_free(rq));
    assert_ok(ant_swap(FN, &nodder, &options, &report)); /* the next one has its way */
}

static int start_fails(struct ant_server *self)
{
    (void)self;
    return -EIO;
}

static void a_requester_has_its_own_priority_again_after_a_swap(void **state)
{
    (void)state;
    static const struct ant_program failing = {
        .abi = ANT_ABI, .name = "fails", .start = start_fails, .request = nod};
    static const struct line script[] = {{SLEEP_FOR, 100}, {TELL, 0}, {END, 0}};
    serve(FN, &nodder, &(struct ant_server_options){.priority = 30}); /* raised above this for the swap */
    for (int fails = 0; fails <= 1; fails++) {
        struct actor m = {'m', script, 0};
        story_length = 0;
        start(&m, 10);
        assert_ok(ant_priority_set(ant_self(), 2));
        assert_int_equal(ant_swap(FN, fails ? &failing : &nodder, NULL, NULL), fails ? -EIO : 0);
        assert_ok(ant_work(200)); /* preempted at 100 by the one in the middle */
        tell('b');
        assert_string_equal(story, "mb");
        assert_ok(ant_priority_set(ant_self(), FIXTURE_PRIORITY));
    }
}

static void deadlock_in_a_child(void *arg)
{
    (void)arg;
    fixture_boot(NULL);
    struct pair one = {0}, two = {0};
    ant_pid first = spawn("romeo", 5, wait_for_other, &one);
    ant_pid second = spawn("juliet", 5, wait_for_other, &two);
    one.other = second;
    two.other = first;
    expect_error(ant_wait(first, ANT_FOREVER, NULL), EDEADLK);
    join(first);
    join(second);
    struct stuck stuck = {.other = ant_self()};
    ant_pid server = spawn("montague", FIXTURE_PRIORITY - 1, serve_and_wait, &stuck);
    assert_ok(ant_sleep(ant_now() + 1));
    struct ant_request *rq = new_request(FN);
    expect_error(ant_call(rq, ANT_FOREVER), EDEADLK);
    join(server);
    assert_ok(ant_request_free(rq));
    fixture_shutdown();
}

static void the_log_says_who_waits_for_what(void **state)
{
    (void)state;
    struct child child;
    child_run(&child, deadlock_in_a_child, NULL);
    child_assert_success(&child);
    assert_non_null(strstr(child.errors, "romeo"));
    assert_non_null(strstr(child.errors, "juliet"));
    assert_non_null(strstr(child.errors, "montague"));
    assert_non_null(strstr(child.errors, "function 7")); /* what the call of the test waits for */
    /* whom montague waits for is process 0 */
    char *line = strstr(child.errors, "(montague)");
    assert_non_null(line);
    char *end = strchr(line, '\n');
    assert_non_null(end);
    *end = 0;
    if (!strstr(line, "process 0") && !strstr(line, "boot"))
        fail_msg("whom does it wait for? %s", line);
}

/* ---- runs that repeat ---- */

enum { ACTORS = 6, ROUNDS = 5 };

static int mingle(void *arg)
{
    uint64_t number = *(uint64_t *)arg;
    struct ant_request *rq;
    expect_ok(ant_request_new(FN, &rq));
    for (uint64_t round = 0; round < ROUNDS; round++) {
        rq->cookie = number * 100 + round;
        tell((char)('a' + number));
        expect_ok(ant_work(number * 7 + 3));
        expect_ok(ant_call(rq, ANT_FOREVER));
        expect_ok(ant_sleep(ant_now() + 10));
    }
    expect_ok(ant_request_free(rq));
    return 0;
}

/* The text of the trace, and in story who came when. */
static char *run_with_seed(uint64_t seed)
{
    static char texts[4][1 << 18];
    static int next;
    char *text = texts[next++ % 4];
    struct ant_config config = fixture_config();
    config.machine = ANT_MACHINE_VIRTUAL;
    config.seed = seed;
    fixture_boot(&config);
    struct ant_info info;
    assert_ok(ant_info(&info));
    assert_true(info.seed == seed);
    story_length = 0;
    serve(FN, &nodder, &(struct ant_server_options){.priority = 10});
    static uint64_t numbers[ACTORS];
    ant_pid pid[ACTORS];
    for (uint64_t i = 0; i < ACTORS; i++) {
        numbers[i] = i;
        pid[i] = spawn("mingles", 5, mingle, &numbers[i]);
    }
    for (int i = 0; i < ACTORS; i++)
        join(pid[i]);
    int file = memfd_create("trace", MFD_CLOEXEC);
    assert_true(file >= 0);
    assert_ok(ant_trace_write(file));
    ssize_t bytes = pread(file, text, sizeof texts[0] - 1, 0);
    assert_true(bytes > 1000);
    text[bytes] = 0;
    close(file);
    fixture_shutdown();
    assert_expectations();
    return text;
}

static void the_same_seed_gives_the_same_trace(void **state)
{
    (void)state;
    static const uint64_t seeds[] = {0, 1, 42, UINT64_MAX};
    for (size_t i = 0; i < 4; i++) {
        const char *first = run_with_seed(seeds[i]);
        assert_string_equal(run_with_seed(seeds[i]), first);
        assert_string_equal(run_with_seed(seeds[i]), first);
    }
}

static void other_seeds_give_other_orders_among_equals(void **state)
{
    (void)state;
    run_with_seed(0);
    char fifo[sizeof story], other[sizeof story];
    memcpy(fifo, story, sizeof story);
    assert_memory_equal(fifo, "abcdef", 6); /* without a seed: first in, first out */
    int different = 0;
    memcpy(other, fifo, sizeof story);
    for (uint64_t seed = 1; seed <= 8; seed++) {
        run_with_seed(seed);
        different += strcmp(story, other) != 0;
        memcpy(other, story, sizeof story);
        size_t count[ACTORS] = {0};
        for (size_t i = 0; i < story_length; i++)
            count[story[i] - 'a']++;
        for (int i = 0; i < ACTORS; i++)
            assert_int_equal(count[i], ROUNDS);
    }
    assert_in_range(different, 6, 8); /* that two neighbours agree is a rare chance */
}

static void a_seed_never_passes_a_preempted_process_over(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 16; seed++) {
        static const struct line work[] = {{TELL, 0}, {WORK, 100}, {TELL, 0}, {END, 0}};
        static const struct line high[] = {{SLEEP_UNTIL, 10}, {TELL, 0}, {WORK, 5}, {END, 0}};
        struct ant_config config = fixture_config();
        config.seed = seed;
        fixture_boot(&config);
        begin_ns = ant_now();
        story_length = 0;
        struct actor a = {'a', work, 0}, b = {'b', work, 0}, c = {'c', work, 0}, h = {'h', high, 0};
        ant_pid pid[] = {start(&a, 3), start(&b, 3), start(&c, 3), start(&h, 4)};
        for (int i = 0; i < 4; i++)
            join(pid[i]);
        assert_int_equal(story_length, 7);
        assert_int_equal(story[1], 'h');
        assert_int_equal(story[2], story[0]); /* whoever was preempted goes on */
        assert_int_equal(story[4], story[3]);
        assert_int_equal(story[6], story[5]);
        fixture_shutdown();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first, while this process has no other thread: fork does not copy those */
        cmocka_unit_test(the_log_says_who_waits_for_what),
        virtual_test(the_highest_priority_ready_process_runs),
        virtual_test(equals_are_first_in_first_out),
        virtual_test(a_timer_preempts_work_at_its_instant),
        virtual_test(a_timer_at_the_very_end_of_work_fires_first),
        virtual_test(timers_of_one_instant_fire_in_the_order_set),
        virtual_test(a_preempted_process_stands_at_the_head_of_its_level),
        virtual_test(nested_preemption_unwinds_in_order),
        virtual_test(the_clock_begins_at_a_microsecond),
        virtual_test(wait_is_absolute_and_does_not_drift),
        virtual_test(calls_cost_no_time),
        virtual_test(time_limits_pass_at_their_instant),
        virtual_test(waking_a_higher_process_runs_it_at_once),
        virtual_test(waking_a_lower_or_equal_process_does_not),
        virtual_test(a_change_of_priority_acts_at_once),
        virtual_test(two_that_wait_for_each_other_are_told),
        virtual_test(receive_that_nothing_can_end_is_told),
        virtual_test(a_call_that_is_queued_for_ever_is_withdrawn),
        virtual_test(a_call_that_is_in_service_for_ever_goes_on_as_asynchronous),
        virtual_test(a_stop_that_cannot_end_is_told),
        virtual_test(servers_that_only_wait_for_work_are_left_alone),
        virtual_test(a_start_that_cannot_end_is_told),
        virtual_test(a_swap_that_cannot_end_is_rolled_back),
        virtual_test(a_requester_has_its_own_priority_again_after_a_swap),
        cmocka_unit_test(the_same_seed_gives_the_same_trace),
        cmocka_unit_test(other_seeds_give_other_orders_among_equals),
        cmocka_unit_test(a_seed_never_passes_a_preempted_process_over),
    };
    return cmocka_run_group_tests_name("virtual", tests, NULL, NULL);
}
