/* ctest: machines=virtual,fifo,other movers=strict,strict-mremap,flat,copy */
/*
 * Ten thousand swaps under sixteen clients and a driver: nothing is lost, doubled, reordered or damaged.
 *
 * Versions 0 → 1 → 2 → 3 → 0 ... of the model's server: every second swap adopts the state in place, the others
 * transform it, to and fro. The requester pauses for a random while, so that swaps hit every moment of a request.
 */
#include "stress_model.h"

#include <errno.h>

#define SWAPS 10000u

static void ten_thousand_swaps_lose_nothing(void **unused)
{
    (void)unused;
    const struct model_config config = {
        .clients = 16,
        .outstanding = 8,
        .pages_max = 6,
        .huge_one_in = 500,
        .work_ns = 2000,
        .wait_ns = 60000,
        .seed = 42,
    };
    uint32_t swaps = stress_size(SWAPS, 100);
    struct model_swaps counted = {0};
    uint64_t random = 7;

    stress_boot(&(struct ant_config){.max_processes = 64});
    model_open(&config, 0);
    model_start();
    for (uint32_t i = 0; i < swaps; i++) {
        struct ant_swap_report report;

        STRESS_OK(ant_sleep(ant_now() + stress_below(&random, 200000)));
        int error = model_swap((i + 1) % MODEL_PROGRAMS, NULL, &report);
        if (!STRESS_CHECK(error == 0, "swap %u: %s in step %s", i, ant_strerror(error),
                          ant_swap_step_name(report.step))) {
            break;
        }
        STRESS_CHECK(report.generation == i + 2, "swap %u made generation %u", i, report.generation);
        STRESS_CHECK(report.old_version == model_programs[i % MODEL_PROGRAMS].version &&
                         report.new_version == model_programs[(i + 1) % MODEL_PROGRAMS].version,
                     "swap %u: version %u to %u", i, report.old_version, report.new_version);
        model_check_report(&report, &counted);
    }
    model_join();
    model_quiet_pages();
    struct model_ledger sum = model_sum();
    model_close();
    stress_shutdown();
    stress_assert_clean();

    print_message("%u swaps, %u under load (queued %u, results %u, in service %u, outstanding %u), %" PRIu64
                  " requests\n",
                  counted.count, counted.under_load, counted.with_queued, counted.with_results,
                  counted.in_service, counted.outstanding, sum.sent);
    /* A test that never swaps a busy server would show nothing. */
    assert_true(counted.count == swaps);
    assert_true(counted.under_load > swaps / 10);
    assert_true(counted.in_service > 0 && counted.outstanding > 0 && counted.with_queued > 0);
    assert_true(sum.answered == sum.sent && sum.sent > swaps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ten_thousand_swaps_lose_nothing)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
