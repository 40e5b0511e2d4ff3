/* ctest: no-core */
/*
 * "Exit status 0 only if all is well": a run is made up in which all is; then one thing is not, and the verdict must find
 * that, and nothing else. That the demo's status follows the verdict is json_test.c's.
 */
#include "demo.h"
#include "fixture.h"

enum { CLIENTS = 2, SWAPS = 2 };

static struct client clients[CLIENTS];
static struct ant_swap_report reports[SWAPS];
static struct demo demo;

static void make_all_well(void)
{
    static const struct ant_swap_count count = {.at_notice = 3, .arrived = 2, .left = 1, .handed_over = 4};
    demo = (struct demo){
        .options = {.swaps = SWAPS, .clients = CLIENTS},
        .sha256 = {1, 2, 3},
        .clients = clients,
        .reports = reports,
        .swaps = SWAPS,
        .rollbacks = 1,
        .rollback = {.step = ANT_SWAP_START, .error = -EIO},
    };
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] =
            (struct client){.name = "client", .rounds = 2, .ledger = {.sent = 10, .answered = 10}};
        memcpy(clients[i].sha256, demo.sha256, sizeof demo.sha256);
    }
    for (unsigned i = 0; i < SWAPS; i++)
        reports[i] = (struct ant_swap_report){.generation = i + 2,
                                              .queued_requests = count,
                                              .queued_results = count,
                                              .in_service = count,
                                              .outstanding = count};
}

static unsigned defects(void)
{
    struct totals totals;
    totals_init(&totals, &demo);
    unsigned found = verdict(&demo, &totals);
    totals_fini(&totals);
    return found;
}

static void a_run_in_which_all_is_well_is_well(void **state)
{
    (void)state;
    make_all_well();
    assert_int_equal(defects(), 0);
}

static void a_run_without_swaps_needs_no_rollback(void **state)
{
    (void)state;
    make_all_well();
    demo.options.swaps = demo.swaps = demo.rollbacks = 0;
    assert_int_equal(defects(), 0);
}

/* ---- one defect each: a test's name, and what it does to the run ---- */

/* clang-format off */
#define DEFECTS(DEFECT) \
    DEFECT(a_call_that_failed_is_not_well, demo.failed = "ant_serve") \
    DEFECT(a_client_that_gave_up_is_not_well, clients[1].failed = "ant_call"; clients[1].error = -EIO) \
    DEFECT(a_client_that_never_read_the_whole_file_is_not_well, clients[1].rounds = 0) \
    DEFECT(one_round_that_gave_something_else_is_not_well, clients[1].wrong_rounds++) \
    DEFECT(a_digest_that_is_not_the_files_is_not_well, clients[1].sha256[31] ^= 1) \
    DEFECT(one_request_lost_is_not_well, clients[1].ledger.answered--) \
    DEFECT(one_answer_too_many_is_not_well, clients[1].ledger.duplicated++) \
    DEFECT(one_request_out_of_order_is_not_well, clients[1].ledger.overtaken++) \
    DEFECT(one_swap_too_few_is_not_well, demo.swaps--) \
    DEFECT(no_rollback_is_not_well, demo.rollbacks--) \
    DEFECT(two_rollbacks_are_not_well, demo.rollbacks++) \
    DEFECT(a_rollback_before_the_broken_version_starts_is_not_well, demo.rollback.step = ANT_SWAP_CREATE) \
    DEFECT(a_rollback_for_another_reason_is_not_well, demo.rollback.error = -ETIMEDOUT) \
    DEFECT(a_queued_request_not_handed_over_is_not_well, reports[1].queued_requests.handed_over--) \
    DEFECT(a_queued_result_not_handed_over_is_not_well, reports[1].queued_results.handed_over--) \
    DEFECT(a_request_in_service_not_handed_over_is_not_well, reports[1].in_service.handed_over--) \
    DEFECT(an_outstanding_request_handed_over_twice_is_not_well, reports[0].outstanding.handed_over++) \
    DEFECT(a_generation_too_many_is_not_well, reports[1].generation++) \
    DEFECT(a_process_that_does_not_end_is_not_well, demo.shutdown.processes_abandoned++) \
    DEFECT(a_request_unanswered_at_the_shutdown_is_not_well, demo.shutdown.requests_unanswered++) \
    DEFECT(an_area_held_at_the_shutdown_is_not_well, demo.shutdown.areas_held++)
/* clang-format on */

#define DEFINE_TEST(name, ...)                                                                     \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        make_all_well();                                                                           \
        __VA_ARGS__;                                                                               \
        assert_int_equal(defects(), 1);                                                            \
    }
#define NAME_TEST(name, ...) cmocka_unit_test(name),

DEFECTS(DEFINE_TEST)

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_run_in_which_all_is_well_is_well),
                                       cmocka_unit_test(a_run_without_swaps_needs_no_rollback),
                                       DEFECTS(NAME_TEST)};
    return cmocka_run_group_tests_name("demo.verdict", tests, NULL, NULL);
}
