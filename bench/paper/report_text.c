/* The report for people: what ran on what, the times as a table, where they went, and whether all requests came back. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static double ms(uint64_t ns)
{
    return (double)ns / (double)ANT_NS_PER_MS;
}

/* --- What ran on what ---------------------------------------------------------------------------------------------------- */

static void print_machine(const struct evaluation *evaluation, const struct figures *figures)
{
    const struct paper_params *params = &evaluation->options->params;
    const struct paper_run *run = figures->run;

    if (params->real && !figures->real_time) {
        printf("NOT REAL-TIME, as the machine is %s: %s\n", run->machine_name, run->machine_reason);
    }
    printf("machine    %s: %s\n", run->machine_name, run->machine_reason);
    if (figures->has_throttling && figures->real_time) {
        printf("throttle   real-time threads get %ld us of every %ld (-1: all)\n",
               figures->rt_runtime_us, figures->rt_period_us);
    }
    printf("mover      %s; profile %s; seed %" PRIu64 "; libant %s\n", run->mover_name,
           params->profile, params->seed, ant_version());
}

/* A line a role, from the highest priority of the paper's to the lowest. */
static void print_model(const struct evaluation *evaluation)
{
    const struct paper_params *it = &evaluation->options->params;

    printf("requester  priority %2d: ", it->requester_priority);
    if (it->swaps > 0) {
        printf("%u swaps, each %g to %g t0 after the one before", it->swaps, it->interval_lo,
               it->interval_hi);
        printf("%s%s\n", it->aim != PAPER_AIM_NONE ? ", then at the next " : "", option_aims[it->aim]);
    } else {
        printf("no swaps\n");
    }
    printf("driver     priority %2d: works %.10g ms, waits %.10g; %s\n", it->driver_priority,
           ms(it->io_pu_ns), ms(it->io_wait_ns), option_drivers[it->driver]);
    printf("server     priority %2d: works %.10g ms on a request, %.10g on a result\n",
           it->server_priority, ms(it->exec_ns), ms(it->result_ns));
    printf("clients    priority %2d: %u, each waits %.10g ms before a request; %u requests or more after %u to warm up\n",
           it->ap_priority, it->clients, ms(it->ap_wait_ns), it->requests, it->warmup);
    printf("t0         %.10g ms, %s\n\n", ms(evaluation->t0_ns),
           it->t0_given      ? "as given"
           : it->clients > 0 ? "the longest response without swaps"
                             : "a response that nothing is in the way of");
}

/* --- The times ------------------------------------------------------------------------------------------------------------ */

static void print_statistics(const char *name, const struct statistics *it)
{
    printf("%-24s %9zu", name, it->count);
    if (it->count > 0) {
        printf(" %11.3f %11.3f %11.3f %11.3f %11.3f\n", ms(it->min_ns), it->median_ns / 1e6,
               it->mean_ns / 1e6, ms(it->p99_ns), ms(it->max_ns));
    } else {
        printf(" %11s %11s %11s %11s %11s\n", "-", "-", "-", "-", "-");
    }
}

static void print_times(const struct evaluation *evaluation, const struct figures *figures)
{
    bool swapping = evaluation->options->params.swaps > 0;

    printf("%-24s %9s %11s %11s %11s %11s %11s\n", "ms", "count", "minimum", "median", "mean",
           "p99", "maximum");
    print_statistics("response without swaps", &figures->response_calm);
    if (swapping) {
        print_statistics("response with swaps", &figures->response);
        print_statistics("swap time", &figures->swap);
        print_statistics("blackout", &figures->blackout);
    }
    printf("\n");
}

static void print_attributions(const struct figures *figures)
{
    const struct swap_shares *swap = &figures->swap_shares;
    const struct paper_shares *longest = &figures->run->longest;

    if (figures->has_swaps) {
        printf("mean swap          %.3f ms = %.3f itself + %.3f rest of a request + %.3f rest of a result + %.3f higher priorities\n",
               figures->swap.mean_ns / 1e6, swap->base / 1e6, swap->request_work / 1e6,
               swap->result_work / 1e6, swap->higher_priority / 1e6);
    }
    if (figures->has_longest) {
        printf("longest response   %.3f ms = %.3f own work + %.3f driver + %.3f other requests + %.3f swap\n",
               ms(figures->response.max_ns), ms(longest->own_ns), ms(longest->driver_ns),
               ms(longest->other_ns), ms(longest->swap_ns));
        printf("swaps added        %.3f ms to the longest response\n",
               (double)figures->difference_ns / 1e6);
    }
}

const char *report_why_no_bound(const struct evaluation *evaluation, const struct figures *figures)
{
    const struct paper_params *params = &evaluation->options->params;
    if (figures->run->bound_error == -ENODATA) {
        return "what a swap itself takes here is not known before one was seen";
    }
    if (figures->run->bound_error != -ERANGE) {
        return ant_strerror(figures->run->bound_error);
    }
    if (params->requester_priority <= params->server_priority) {
        return "the requester's priority is not above the server's";
    }
    bool costly = params->costs.remap_page_ns > 0 || params->costs.switch_ns > 0;
    return params->ap_priority >= params->server_priority && costly
               ? "the calls of clients beside or above the server cost time, which the analysis does not know"
               : "the driver can hold the swap up for ever";
}

static void print_bound(const struct evaluation *evaluation, const struct figures *figures)
{
    if (figures->has_bound) {
        printf("bound of a swap    %.3f ms", ms(figures->run->bound_ns));
    } else {
        printf("bound of a swap    none: %s", report_why_no_bound(evaluation, figures));
    }
    if (figures->has_swaps) {
        printf("; the longest took %.3f", ms(figures->swap.max_ns));
    }
    if (figures->has_bound && figures->violations > 0) {
        printf("; %zu of %zu took LONGER THAN THE BOUND%s", figures->violations,
               figures->swap.count, evaluation->options->params.real ? " and the jitter" : "");
    }
    if (evaluation->options->params.real) {
        printf("\njitter             99.9%% at most %.1f us, all %.1f",
               (double)evaluation->jitter.p999_ns / 1e3, (double)evaluation->jitter.max_ns / 1e3);
    }
    printf("\n");
}

void report_text(const struct evaluation *evaluation, const struct figures *figures)
{
    const struct paper_ledger *ledger = &figures->ledger;

    print_machine(evaluation, figures);
    print_model(evaluation);
    print_times(evaluation, figures);
    print_attributions(figures);
    print_bound(evaluation, figures);
    printf("requests           sent %" PRIu64 ", answered %" PRIu64 ", lost %" PRIu64
           ", duplicated %" PRIu64 "\n",
           ledger->sent, ledger->answered, ledger->lost, ledger->duplicated);
    printf("time               %.3f s simulated in %.3f s\n", (double)figures->simulated_ns / 1e9,
           (double)evaluation->wall_ns / 1e9);
}
