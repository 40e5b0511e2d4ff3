/* The figures of an evaluation, drawn from its runs. */
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int response_statistics(const struct paper_run *run, struct statistics *statistics)
{
    uint64_t *ns = malloc((run->response_count + 1) * sizeof *ns); /* + 1: not 0 bytes */

    if (ns == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < run->response_count; i++) {
        ns[i] = run->responses[i].got_ns - run->responses[i].sent_ns;
    }
    *statistics = statistics_of(ns, run->response_count);
    free(ns);
    return 0;
}

static int swap_statistics(const struct paper_run *run, struct statistics *swap, struct statistics *blackout)
{
    uint64_t *ns = malloc((run->swap_count + 1) * sizeof *ns);

    if (ns == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < run->swap_count; i++) {
        ns[i] = run->swaps[i].swap_ns;
    }
    *swap = statistics_of(ns, run->swap_count);
    for (size_t i = 0; i < run->swap_count; i++) {
        ns[i] = run->swaps[i].blackout_ns;
    }
    *blackout = statistics_of(ns, run->swap_count);
    free(ns);
    return 0;
}

static struct swap_shares mean_shares(const struct paper_run *run)
{
    struct swap_shares sum = {0};
    double count = (double)run->swap_count;

    for (size_t i = 0; i < run->swap_count; i++) {
        const struct ant_swap_report *swap = &run->swaps[i];
        sum.base += (double)swap->base_ns;
        sum.request_work += (double)swap->request_work_ns;
        sum.result_work += (double)swap->result_work_ns;
        sum.higher_priority += (double)swap->higher_priority_ns;
    }
    return run->swap_count == 0
               ? sum
               : (struct swap_shares){sum.base / count, sum.request_work / count,
                                      sum.result_work / count, sum.higher_priority / count};
}

static size_t count_violations(const struct paper_run *run, uint64_t jitter_ns)
{
    size_t count = 0;

    for (size_t i = 0; i < run->swap_count; i++) {
        count += run->swaps[i].swap_ns > run->bounds_ns[i] + jitter_ns;
    }
    return count;
}

/* A number that Linux tells in a file. */
static bool setting(const char *path, long *value)
{
    char text[32], *end = text;
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return false;
    }
    if (fgets(text, sizeof text, file) != NULL) {
        *value = strtol(text, &end, 10);
    }
    (void)fclose(file);
    return end != text;
}

static void add_run(const struct paper_run *run, struct figures *figures)
{
    figures->ledger.sent += run->ledger.sent;
    figures->ledger.answered += run->ledger.answered;
    figures->ledger.lost += run->ledger.lost;
    figures->ledger.duplicated += run->ledger.duplicated;
    figures->simulated_ns += run->simulated_ns;
}

int figures_of(const struct evaluation *evaluation, struct figures *figures)
{
    const struct paper_run *calm = &evaluation->calm;
    bool swapping = evaluation->options->params.swaps > 0;
    const struct paper_run *run = swapping ? &evaluation->busy : calm;

    *figures = (struct figures){.run = run};
    if (response_statistics(calm, &figures->response_calm) != 0 ||
        response_statistics(run, &figures->response) != 0 ||
        swap_statistics(run, &figures->swap, &figures->blackout) != 0) {
        return -ENOMEM;
    }
    figures->has_difference = calm->response_count > 0 && run->response_count > 0;
    figures->difference_ns = (int64_t)(paper_longest_ns(run) - paper_longest_ns(calm));
    figures->has_swaps = run->swap_count > 0;
    figures->swap_shares = mean_shares(run);
    figures->has_longest = swapping && run->response_count > 0;
    figures->has_bound = run->bound_error == 0;
    figures->violations = count_violations(run, evaluation->jitter.max_ns);
    figures->real_time = run->machine == ANT_MACHINE_FIFO;
    figures->has_throttling = evaluation->options->params.real &&
                              setting("/proc/sys/kernel/sched_rt_runtime_us", &figures->rt_runtime_us) &&
                              setting("/proc/sys/kernel/sched_rt_period_us", &figures->rt_period_us);
    add_run(calm, figures);
    if (swapping) {
        add_run(run, figures);
    }
    return 0;
}
