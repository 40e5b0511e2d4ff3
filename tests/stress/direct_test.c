/* ctest: machines=other movers=flat,strict */
/*
 * Direct calls on several processors: servers are killed, and priorities set, at any instant of a call. (In what order else things may happen, the exploration tries.)
 *
 * Those who are to meet start at once, spinning; what lies between their steps changes from round to round.
 */
#include "core/core.h"
#include "lent.h"
#include "stress.h"

#include <sched.h>

static _Atomic uint32_t round_now, rounds;

/* Until the boss says so, and a little longer. False: that was the last round. */
static bool await_round(uint32_t number, uint32_t delay)
{
    while (atomic_load(&round_now) < number)
        sched_yield();
    for (volatile uint32_t i = 0; i < delay; i++)
        ;
    return number <= atomic_load(&rounds);
}

/* ---- deaths ---- */

static int call_in_each_round(void *arg)
{
    struct ant_request *rq;
    (void)arg;
    for (uint32_t i = 1; await_round(i, i * 11 % 300); i++) {
        expect_ok(ant_request_new(FN, &rq));
        int rc = ant_call(rq, ANT_FOREVER);
        expect(rc == 0 || rc == -EOWNERDEAD);
        expect_ok(ant_request_free(rq));
    }
    return 0;
}

static int kill_in_each_round(void *arg)
{
    (void)arg;
    for (uint32_t i = 1; await_round(i, i * 7 % 700); i++)
        expect_ok(ant_kill(mortal_pid));
    return 0;
}

/*
 * Nobody asks the server for anything after that: it must die by itself. One that is killed in the midst of its callback has lost its request: with a strict mover
 * it faults when it goes on to write its answer there.
 */
static void no_death_is_forgotten(void **state)
{
    (void)state;
    struct ant_config config = lent_config();
    config.contain_faults = true;
    lent_begin(&config, NULL); /* here: before a test cmocka sets handlers of its own */
    uint32_t count = stress_size(3000, 100);
    atomic_store(&round_now, 0);
    atomic_store(&rounds, count);
    ant_pid client = spawn("client", 0, call_in_each_round, NULL),
            killer = spawn("killer", 0, kill_in_each_round, NULL);
    for (uint32_t i = 1; i <= count; i++) {
        await_rest(mortal_pid);
        atomic_store(&round_now, i);
        await_death(mortal_pid);
        assert_ok(ant_swap(FN, &lent_one_again, NULL, NULL));
    }
    atomic_store(&round_now, count + 1);
    assert_int_equal(join(client), 0);
    assert_int_equal(join(killer), 0);
    assert_serves(2, 1 + count);
}

/* ---- priorities ---- */

static _Atomic uint32_t set_in_round, called_in_round;
static _Atomic int client_priority, server_priority;

static int level_of_thread(void)
{
    return atomic_load(&atomic_load(&antk_self->thread)->priority);
}

/* When all has been set that is to be in this round. */
static void look(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    while (atomic_load(&set_in_round) < rq->operation)
        sched_yield();
    expect(level_of_thread() >= atomic_load(&server_priority));
    expect(level_of_thread() >= atomic_load(&client_priority));
    expect_ok(ant_reply(rq, 0));
}

static int call_and_look(void *arg)
{
    struct ant_request *rq;
    (void)arg;
    for (uint32_t i = 1; await_round(i, i * 11 % 300); i++) {
        expect_ok(ant_request_new(FN_OTHER, &rq));
        rq->operation = i;
        expect_ok(ant_call(rq, ANT_FOREVER));
        expect_ok(ant_request_free(rq));
        while (atomic_load(&set_in_round) < i)
            sched_yield();
        expect(level_of_thread() == atomic_load(&client_priority));
        atomic_store(&called_in_round, i);
    }
    return 0;
}

static ant_pid looked_at;

/* First the one, then the other, up and down. */
static int set_priorities(void *client)
{
    uint64_t random = 1;
    for (uint32_t i = 1; await_round(i, i * 7 % 700); i++) {
        for (int j = 0; j < 2; j++) {
            bool first = (i + (uint32_t)j) % 2 == 0;
            int priority = ANT_PRIORITY_MIN + (int)stress_below(&random, 50);
            expect_ok(ant_priority_set(first ? *(ant_pid *)client : looked_at, priority));
            atomic_store(first ? &client_priority : &server_priority, priority);
        }
        atomic_store(&set_in_round, i);
    }
    return 0;
}

static void priorities_set_at_any_instant_hold_in_the_call_and_after_it(void **state)
{
    (void)state;
    static const struct ant_program looker = {
        .abi = ANT_ABI, .name = "looker", .request = look, .direct = true};
    uint32_t count = stress_size(10000, 500);
    ant_pid client = 0;
    atomic_store(&round_now, 0);
    atomic_store(&rounds, count);
    atomic_store(&set_in_round, 0);
    atomic_store(&called_in_round, 0);
    looked_at = serve(FN_OTHER, &looker, NULL);
    client = spawn("client", 0, call_and_look, NULL);
    ant_pid setter = spawn("setter", 0, set_priorities, &client);
    for (uint32_t i = 1; i <= count; i++) {
        await_rest(looked_at);
        atomic_store(&round_now, i);
        while (atomic_load(&called_in_round) < i)
            sched_yield();
    }
    atomic_store(&round_now, count + 1);
    assert_int_equal(join(client), 0);
    assert_int_equal(join(setter), 0);
    assert_int_equal(info_of(looked_at).priority, atomic_load(&server_priority));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_death_is_forgotten, fixture_no_core, fixture_teardown),
        lent_test(priorities_set_at_any_instant_hold_in_the_call_and_after_it),
    };
    return cmocka_run_group_tests_name("direct", tests, NULL, NULL);
}
