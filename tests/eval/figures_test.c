/* ctest: machines=virtual movers=flat */
/* The figures that bench/paper draws from its runs, from runs that are written down here. */
#include "eval.h"
#include "options.h"
#include "report.h"

enum { SAMPLES = 200 };

static struct ant_swap_report swaps[SAMPLES];
static uint64_t bounds_ns[SAMPLES];
static struct options options;

/* Swaps of 1 to 200 us, the longest first, each with a bound of 100 us. */
static struct evaluation written_down(void)
{
    struct evaluation evaluation = {.options = &options};
    options.params = paper_defaults();
    options.params.swaps = SAMPLES;
    for (size_t i = 0; i < SAMPLES; i++) {
        swaps[i] = (struct ant_swap_report){
            .swap_ns = US(SAMPLES - i), .base_ns = US(1), .request_work_ns = US(SAMPLES - i) - US(1)};
        bounds_ns[i] = US(100);
    }
    evaluation.busy = (struct paper_run){
        .swaps = swaps, .swap_count = SAMPLES, .bounds_ns = bounds_ns, .bound_ns = US(100)};
    return evaluation;
}

static struct figures figures_now(const struct evaluation *evaluation)
{
    struct figures figures;
    assert_int_equal(figures_of(evaluation, &figures), 0);
    return figures;
}

static void statistics_are_those_of_the_samples(void **state)
{
    (void)state;
    struct evaluation evaluation = written_down();
    struct figures figures = figures_now(&evaluation);
    assert_int_equal(figures.swap.count, SAMPLES);
    assert_int_equal(figures.swap.min_ns, US(1));
    assert_int_equal(figures.swap.max_ns, US(SAMPLES));
    assert_true(figures.swap.median_ns == (double)US(100) + (double)US(1) / 2);
    assert_true(figures.swap.mean_ns == (double)US(100) + (double)US(1) / 2);
    assert_int_equal(figures.swap.p99_ns, US(198)); /* not below 99 % of 200 */
    assert_true(figures.swap_shares.base == (double)US(1));
    assert_true(figures.swap_shares.request_work == (double)US(99) + (double)US(1) / 2);
}

static void a_swap_violates_its_own_bound_if_it_is_longer_by_more_than_the_jitter(void **state)
{
    (void)state;
    struct evaluation evaluation = written_down();
    assert_int_equal(figures_now(&evaluation).violations, 100);
    evaluation.jitter.max_ns = US(60);
    assert_int_equal(figures_now(&evaluation).violations, 40);
    bounds_ns[0] = US(140); /* the longest: just within now */
    assert_int_equal(figures_now(&evaluation).violations, 39);
}

static void without_samples_there_are_no_statistics(void **state)
{
    (void)state;
    struct evaluation evaluation = written_down();
    evaluation.busy.swap_count = 0;
    struct figures figures = figures_now(&evaluation);
    assert_int_equal(figures.swap.count, 0);
    assert_false(figures.has_swaps);
    assert_int_equal(figures.violations, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_are_those_of_the_samples),
        cmocka_unit_test(a_swap_violates_its_own_bound_if_it_is_longer_by_more_than_the_jitter),
        cmocka_unit_test(without_samples_there_are_no_statistics),
    };
    return cmocka_run_group_tests_name("eval.figures", tests, NULL, NULL);
}
