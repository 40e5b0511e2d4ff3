/* ctest: machines=virtual movers=flat timeout=600 long */
/*
 * The paper's evaluation, value by value: everything that its text states (docs/evaluation.md has the list), on an
 * exact model. Suprema by swaps issued at the worst instant, to the microsecond; bounds and minima by random ones.
 */
#include "eval.h"

static const struct pair {
    unsigned exec_ms, result_ms;
} pairs[] = {{10, 1}, {15, 1}, {20, 1}, {1, 10}, {1, 15}, {1, 20}};
enum {
    PAIRS = sizeof pairs / sizeof *pairs,
    MOST_CLIENTS = 7,
    RANDOM_SWAPS = 50,
    MANY_SWAPS = 1000,
    AIMED_SWAPS = 200
};

static struct paper_params params_of(const struct pair *pair, unsigned clients)
{
    struct paper_params params = paper_defaults();
    params.exec_ns = MS(pair->exec_ms);
    params.result_ns = MS(pair->result_ms);
    params.clients = clients;
    return params;
}

/* The longest swap that the paper states for so many clients; 0: it states none. */
static uint64_t stated_longest_ns(const struct pair *pair, unsigned clients)
{
    unsigned io_pu_ms = 5, io_wait_ms = 15;
    uint64_t longest_ns =
        BASE_NS + MS(pair->exec_ms > pair->result_ms ? pair->exec_ms : pair->result_ms);
    if (pair->result_ms == 1)
        return longest_ns + MS(io_pu_ms);
    if (clients <= 2)
        return longest_ns;
    return clients >= 5 ? longest_ns + MS(io_pu_ms * ((pair->result_ms + io_wait_ms - 1) / io_wait_ms))
                        : 0;
}

static void without_clients_each_swap_takes_the_base_time(void **state)
{
    (void)state;
    struct paper_params params = params_of(&pairs[0], 0);
    struct paper_run run = play(&params, RANDOM_SWAPS);
    assert_int_equal(run.swap_count, RANDOM_SWAPS);
    for (size_t i = 0; i < run.swap_count; i++) {
        assert_int_equal(run.swaps[i].swap_ns, BASE_NS);
        assert_int_equal(run.swaps[i].base_ns, BASE_NS);
    }
    assert_int_equal(run.bound_ns, BASE_NS);
    paper_run_fini(&run);
}

static void fifty_random_swaps_stay_within_what_the_paper_states(void **state)
{
    (void)state;
    for (size_t i = 0; i < PAIRS; i++) {
        for (unsigned clients = 1; clients <= MOST_CLIENTS; clients++) {
            struct paper_params params = params_of(&pairs[i], clients);
            struct paper_run run = play(&params, RANDOM_SWAPS);
            uint64_t stated_ns = stated_longest_ns(&pairs[i], clients);
            struct spread swaps = swap_times(&run);
            assert_int_equal(run.swap_count, RANDOM_SWAPS);
            assert_in_range(swaps.min, BASE_NS, BASE_NS + MS(1));
            assert_true(swaps.max <= run.bound_ns);
            assert_true(stated_ns == 0 || swaps.max <= stated_ns);
            paper_run_fini(&run);
        }
    }
}

static void means_and_medians_of_the_swap_time_grow_with_the_clients(void **state)
{
    (void)state;
    for (size_t i = 0; i < PAIRS; i++) {
        struct spread swaps[MOST_CLIENTS + 1];
        for (unsigned clients = 1; clients <= MOST_CLIENTS; clients++) {
            struct paper_params params = params_of(&pairs[i], clients);
            struct paper_run run = play(&params, MANY_SWAPS);
            swaps[clients] = swap_times(&run);
            paper_run_fini(&run);
        }
        assert_true(swaps[1].mean < swaps[2].mean && swaps[2].mean < swaps[7].mean);
        assert_true(swaps[1].median < swaps[2].median && swaps[2].median < swaps[7].median);
    }
}

/* Right when the longer of the two kinds of work begins. */
static uint64_t longest_aimed_ns(const struct pair *pair, unsigned clients, uint64_t *bound_ns)
{
    struct paper_params params = params_of(pair, clients);
    params.aim = pair->exec_ms > pair->result_ms ? PAPER_AIM_EXEC_START : PAPER_AIM_RESULT_START;
    struct paper_run run = play(&params, AIMED_SWAPS);
    uint64_t longest_ns = swap_times(&run).max;
    *bound_ns = run.bound_ns;
    paper_run_fini(&run);
    return longest_ns;
}

static void the_longest_swap_takes_exactly_what_the_paper_states(void **state)
{
    (void)state;
    for (size_t i = 0; i < PAIRS; i++) {
        for (unsigned clients = 1; clients <= MOST_CLIENTS; clients++) {
            uint64_t stated_ns = stated_longest_ns(&pairs[i], clients), bound_ns;
            uint64_t longest_ns = longest_aimed_ns(&pairs[i], clients, &bound_ns);
            assert_true(longest_ns <= bound_ns);
            if (stated_ns != 0)
                assert_int_equal(longest_ns, stated_ns);
        }
    }
}

static void the_bound_is_what_the_paper_states_where_its_own_argument_holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < PAIRS; i++) {
        for (unsigned clients = 1; clients <= MOST_CLIENTS; clients++) {
            uint64_t stated_ns = stated_longest_ns(&pairs[i], clients), bound_ns;
            longest_aimed_ns(&pairs[i], clients, &bound_ns);
            bool looser = pairs[i].result_ms == 15 && clients > 2; /* see docs/evaluation.md */
            if (stated_ns != 0 && !looser)
                assert_int_equal(bound_ns, stated_ns);
        }
    }
}

/*
 * The paper's swaps come at least t0 apart. R = WAIT = 15 ms then keeps server and driver in step: a result's work begins with the
 * driver's WAIT. A swap puts them out of step, by its own time, and with several in a row the second burst fits in too.
 */
static void swaps_in_a_row_can_take_longer_than_the_paper_states_but_not_than_the_bound(void **state)
{
    (void)state;
    static const struct pair pair = {1, 15};
    struct paper_params params = params_of(&pair, 12);
    params.aim = PAPER_AIM_RESULT_START;
    params.interval_lo = 0;
    params.interval_hi = 0.1;
    struct paper_run run = play(&params, AIMED_SWAPS);
    assert_int_equal(swap_times(&run).max, US(32400));
    assert_int_equal(run.bound_ns, US(32400));
    paper_run_fini(&run);
}

static void with_twelve_milliseconds_and_four_clients_a_swap_takes_more_than_the_simple_sum(void **state)
{
    (void)state;
    static const struct pair pair = {12, 1};
    uint64_t bound_ns;
    assert_int_equal(longest_aimed_ns(&pair, 4, &bound_ns), US(29400));
    assert_int_equal(bound_ns, US(29400));
}

static void a_lone_client_waits_31_ms_without_swaps_and_up_to_one_base_time_more_with_them(void **state)
{
    (void)state;
    struct paper_params params = params_of(&pairs[0], 1);
    struct paper_run without = play(&params, 0), with = play(&params, RANDOM_SWAPS);
    struct spread responses = response_times(&without), delayed = response_times(&with);
    assert_int_equal(without.response_count, params.requests);
    assert_int_equal(responses.min, MS(31));
    assert_int_equal(responses.max, MS(31));
    assert_int_equal(delayed.min, MS(31));
    assert_int_equal(delayed.max, MS(31) + BASE_NS);
    paper_run_fini(&without);
    paper_run_fini(&with);
}

/* ---- extremes that no random swap reaches ---- */

/* What is to be extreme of a run: the greater, the better. */
typedef uint64_t (*objective)(const struct paper_run *run);

static uint64_t long_response(const struct paper_run *run)
{
    return paper_longest_ns(run);
}

static uint64_t short_swap(const struct paper_run *run)
{
    return UINT64_MAX - swap_times(run).min;
}

static uint64_t value_with(struct paper_params *params, const struct paper_run *run, objective value)
{
    params->pauses_ns = run->pauses_ns;
    struct paper_run again = play(params, (unsigned)run->swap_count);
    uint64_t result = value(&again);
    params->pauses_ns = NULL;
    paper_run_fini(&again);
    return result;
}

/* Moves one swap by so much, and, if together is not set, those after it back again. Does that better the run? Else it stays. */
static bool move(struct paper_params *params, struct paper_run *run, size_t swap, int64_t by_ns,
                 bool together, objective value, uint64_t *best)
{
    bool back = !together && swap + 1 < run->swap_count;
    run->pauses_ns[swap] += (uint64_t)by_ns;
    run->pauses_ns[swap + 1] -= back ? (uint64_t)by_ns : 0;
    uint64_t now = value_with(params, run, value);
    if (now > *best) {
        *best = now;
        return true;
    }
    run->pauses_ns[swap] -= (uint64_t)by_ns;
    run->pauses_ns[swap + 1] += back ? (uint64_t)by_ns : 0;
    return false;
}

/* Moves the last swaps of a run until no move of a microsecond makes it better. */
static uint64_t climb(struct paper_params *params, struct paper_run *run, objective value)
{
    uint64_t best = value(run);
    for (int64_t step_ns = US(512); step_ns >= (int64_t)US(1); step_ns /= 2) {
        bool moved = true;
        while (moved) {
            moved = false;
            for (size_t i = run->swap_count; i-- > 0 && run->swap_count - i <= 4;)
                for (int way = 0; way < 4 && !moved; way++)
                    moved = move(params, run, i, way % 2 ? step_ns : -step_ns, way < 2, value, &best);
        }
    }
    return best;
}

/* A run without the swaps that follow this one. */
static void cut_after(struct paper_run *run, size_t swap)
{
    run->swap_count = swap + 1;
}

static void the_shortest_swap_takes_the_base_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < PAIRS; i++) {
        for (unsigned clients = 1; clients <= MOST_CLIENTS; clients++) {
            struct paper_params params = params_of(&pairs[i], clients);
            struct paper_run run = play(&params, RANDOM_SWAPS);
            size_t shortest = 0;
            for (size_t j = 0; j < run.swap_count; j++)
                shortest = run.swaps[j].swap_ns < run.swaps[shortest].swap_ns ? j : shortest;
            uint64_t swap_ns = run.swaps[shortest].swap_ns;
            cut_after(&run, shortest);
            if (swap_ns > BASE_NS)
                swap_ns = UINT64_MAX - climb(&params, &run, short_swap);
            assert_in_range(swap_ns, BASE_NS, BASE_NS + US(1));
            paper_run_fini(&run);
        }
    }
}

/* A run whose longest response comes close to the longest there is; the swaps after it are cut off. */
static struct paper_run promising_run(struct paper_params *params, uint64_t close_ns)
{
    struct paper_run run = play(params, RANDOM_SWAPS);
    while (paper_longest_ns(&run) < close_ns) {
        paper_run_fini(&run);
        assert_in_range(params->seed++, 1, 1000);
        run = play(params, RANDOM_SWAPS);
    }
    for (size_t i = 0; i < run.response_count; i++) {
        const struct paper_response *response = &run.responses[i];
        if (response->got_ns - response->sent_ns == paper_longest_ns(&run))
            while (run.swaps[run.swap_count - 1].step_time_ns[ANT_SWAP_REQUEST] > response->got_ns)
                cut_after(&run, run.swap_count - 2);
    }
    return run;
}

static void with_six_clients_the_longest_response_grows_from_106_to_123_4_ms(void **state)
{
    (void)state;
    struct paper_params params = params_of(&pairs[0], 6);
    struct paper_run without = play(&params, 0), with = promising_run(&params, US(122800));
    assert_int_equal(paper_longest_ns(&without), MS(106));
    assert_in_range(climb(&params, &with, long_response), US(123399), US(123400));
    paper_run_fini(&without);
    paper_run_fini(&with);
}

/* All clients ask at once at first: that is why the first rounds do not count. */
static void with_the_first_rounds_the_106_ms_are_114(void **state)
{
    (void)state;
    struct paper_params params = params_of(&pairs[0], 6);
    params.warmup = 0;
    struct paper_run run = play(&params, 0);
    assert_int_equal(paper_longest_ns(&run), MS(114));
    paper_run_fini(&run);
}

/* With E and R below the driver's WAIT of 15 ms more than the base time, else just that. */
static void swaps_lengthen_the_longest_response_by_the_base_time_or_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < PAIRS; i++) {
        for (unsigned clients = 2; clients <= MOST_CLIENTS; clients++) {
            struct paper_params params = params_of(&pairs[i], clients);
            struct paper_run without = play(&params, 0), with = play(&params, MANY_SWAPS);
            uint64_t more_ns = paper_longest_ns(&with) - paper_longest_ns(&without);
            if (pairs[i].exec_ms < 15 && pairs[i].result_ms < 15)
                assert_true(more_ns > BASE_NS);
            else
                assert_int_equal(more_ns, BASE_NS);
            paper_run_fini(&without);
            paper_run_fini(&with);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_clients_each_swap_takes_the_base_time),
        cmocka_unit_test(fifty_random_swaps_stay_within_what_the_paper_states),
        cmocka_unit_test(means_and_medians_of_the_swap_time_grow_with_the_clients),
        cmocka_unit_test(the_longest_swap_takes_exactly_what_the_paper_states),
        cmocka_unit_test(the_bound_is_what_the_paper_states_where_its_own_argument_holds),
        cmocka_unit_test(swaps_in_a_row_can_take_longer_than_the_paper_states_but_not_than_the_bound),
        cmocka_unit_test(with_twelve_milliseconds_and_four_clients_a_swap_takes_more_than_the_simple_sum),
        cmocka_unit_test(a_lone_client_waits_31_ms_without_swaps_and_up_to_one_base_time_more_with_them),
        cmocka_unit_test(with_six_clients_the_longest_response_grows_from_106_to_123_4_ms),
        cmocka_unit_test(the_shortest_swap_takes_the_base_time),
        cmocka_unit_test(with_the_first_rounds_the_106_ms_are_114),
        cmocka_unit_test(swaps_lengthen_the_longest_response_by_the_base_time_or_more),
    };
    return cmocka_run_group_tests_name("eval.values", tests, NULL, NULL);
}
