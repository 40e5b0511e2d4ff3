/* ctest: machines=virtual movers=flat */
/* Where the longest response went: values that follow from the model, as that the shares add up says nothing of which is whose. */
#include "eval.h"

static struct paper_shares shares_of(const struct paper_params *params, unsigned swaps)
{
    struct paper_run run = play(params, swaps);
    struct paper_shares shares = run.longest;
    paper_run_fini(&run);
    return shares;
}

static void a_lone_client_has_server_and_driver_for_itself(void **state)
{
    (void)state;
    struct paper_params params = paper_defaults();
    struct paper_shares shares = shares_of(&params, 0);
    assert_int_equal(shares.own_ns, MS(11));
    assert_int_equal(shares.driver_ns, MS(20));
    assert_int_equal(shares.other_ns + shares.swap_ns, 0);
    shares = shares_of(&params, 50);
    assert_int_equal(shares.own_ns, MS(11));
    assert_int_equal(shares.driver_ns, MS(20));
    assert_int_equal(shares.swap_ns, BASE_NS);
}

static void work_on_others_is_not_its_own(void **state)
{
    (void)state;
    struct paper_params params = paper_defaults();
    params.clients = 6;
    for (unsigned swaps = 0; swaps <= 50; swaps += 50) {
        struct paper_shares shares = shares_of(&params, swaps);
        assert_int_equal(shares.own_ns, MS(11));
        assert_true(shares.other_ns > 0 && shares.driver_ns >= MS(20));
        assert_true(swaps == 0 ? shares.swap_ns == 0 : shares.swap_ns > 0);
    }
}

/* The requester computes for 4.0 ms before the notice: so long the driver cannot begin. The rest passes in its WAIT. */
static void a_swap_that_holds_up_the_driver_is_the_swap_s(void **state)
{
    (void)state;
    struct paper_params params = paper_defaults();
    params.aim = PAPER_AIM_IO_START;
    struct paper_shares shares = shares_of(&params, 5);
    assert_int_equal(shares.own_ns, MS(11));
    assert_int_equal(shares.driver_ns, MS(20));
    assert_int_equal(shares.swap_ns, MS(4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_client_has_server_and_driver_for_itself),
        cmocka_unit_test(work_on_others_is_not_its_own),
        cmocka_unit_test(a_swap_that_holds_up_the_driver_is_the_swap_s),
    };
    return cmocka_run_group_tests_name("eval.shares", tests, NULL, NULL);
}
