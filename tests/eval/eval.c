/* Runs of the paper's model for tests: see eval.h. */
#include "eval.h"

struct paper_params paper_defaults(void)
{
    struct paper_params params = {
        .exec_ns = MS(10),
        .result_ns = MS(1),
        .io_pu_ns = MS(5),
        .io_wait_ns = MS(15),
        .ap_wait_ns = MS(10),
        .clients = 1,
        .requests = 100,
        .warmup = 3,
        .interval_lo = 1,
        .interval_hi = 2,
        .requester_priority = 40,
        .driver_priority = 30,
        .server_priority = 20,
        .ap_priority = 10,
        .profile = "ant-paper",
        .seed = 1,
    };
    uint64_t *step_ns = params.costs.step_ns;
    step_ns[ANT_SWAP_CREATE] = MS(4);
    step_ns[ANT_SWAP_LOOK] = step_ns[ANT_SWAP_WAKE_REQUESTER] = US(100);
    step_ns[ANT_SWAP_START] = step_ns[ANT_SWAP_RETURN] = US(200);
    for (int step = ANT_SWAP_REGISTER; step <= ANT_SWAP_WAKE_AGAIN; step++)
        step_ns[step] = US(700);
    return params;
}

/* The shares of a swap add up to it; and, as what is left over is one of them, the others are looked at by themselves. */
static void check_swap(const struct paper_params *params, const struct ant_swap_report *swap)
{
    const struct ant_costs *costs = &params->costs;
    uint64_t own_ns = costs->create_ns, move_ns = costs->remap_page_ns;
    for (int step = ANT_SWAP_REQUEST; step <= ANT_SWAP_RETURN; step++)
        own_ns += costs->step_ns[step];
    assert_int_equal(swap->base_ns + swap->request_work_ns + swap->result_work_ns + swap->higher_priority_ns,
                     swap->swap_ns);
    if (costs->switch_ns != 0)
        return; /* a switch is booked to whoever it leads to */
    assert_int_equal(swap->base_ns, own_ns);
    assert_in_range(swap->request_work_ns, 0, params->exec_ns + move_ns);
    assert_in_range(swap->result_work_ns, 0, params->result_ns + move_ns);
}

static void check(const struct paper_params *params, const struct paper_run *run)
{
    assert_int_equal(run->ledger.answered, run->ledger.sent);
    assert_int_equal(run->ledger.lost, 0);
    assert_int_equal(run->ledger.duplicated, 0);
    for (size_t i = 0; i < run->swap_count; i++)
        check_swap(params, &run->swaps[i]);
    const struct paper_shares *shares = &run->longest;
    assert_int_equal(shares->own_ns + shares->driver_ns + shares->other_ns + shares->swap_ns,
                     paper_longest_ns(run));
}

struct paper_run play(const struct paper_params *params, unsigned swaps)
{
    struct paper_run run;
    assert_int_equal(paper_run(params, 0, 0, params->io_wait_ns, -1, &run), 0);
    check(params, &run);
    if (swaps > 0) {
        uint64_t t0_ns = params->t0_given ? params->t0_ns : paper_longest_ns(&run);
        paper_run_fini(&run);
        assert_int_equal(paper_run(params, swaps, t0_ns ? t0_ns : paper_unloaded_ns(params),
                                   params->io_wait_ns, -1, &run),
                         0);
        assert_int_equal(run.swap_count, swaps);
        check(params, &run);
    }
    return run;
}

static int by_size(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* values is sorted. The median of an even number is the mean of the middle two. */
static struct spread spread_of(uint64_t *values, size_t count)
{
    struct spread spread = {0};
    double sum = 0;
    if (count == 0)
        return spread;
    qsort(values, count, sizeof *values, by_size);
    for (size_t i = 0; i < count; i++)
        sum += (double)values[i];
    spread.min = values[0];
    spread.median = (values[(count - 1) / 2] + values[count / 2]) / 2;
    spread.max = values[count - 1];
    spread.mean = sum / (double)count;
    return spread;
}

struct spread swap_times(const struct paper_run *run)
{
    uint64_t *values = calloc(run->swap_count + 1, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < run->swap_count; i++)
        values[i] = run->swaps[i].swap_ns;
    struct spread spread = spread_of(values, run->swap_count);
    free(values);
    return spread;
}

struct spread response_times(const struct paper_run *run)
{
    uint64_t *values = calloc(run->response_count + 1, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < run->response_count; i++)
        values[i] = run->responses[i].got_ns - run->responses[i].sent_ns;
    struct spread spread = spread_of(values, run->response_count);
    free(values);
    return spread;
}
