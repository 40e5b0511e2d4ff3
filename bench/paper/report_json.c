/* The report for programs: one JSON object, whose members docs/evaluation.md explains. */
#include "report.h"

#include <jansson.h>
#include <stdio.h>

/* Digits that every double keeps: whole nanoseconds come out as they are, in times up to eleven days. */
enum { DIGITS = 15 };

static json_t *real_if(bool there, double value)
{
    return there ? json_real(value) : json_null();
}

static double ms(uint64_t ns)
{
    return (double)ns / (double)ANT_NS_PER_MS;
}

static double us(uint64_t ns)
{
    return (double)ns / (double)ANT_NS_PER_US;
}

static json_t *statistics_json(const struct statistics *it)
{
    bool there = it->count > 0;

    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "count", (json_int_t)it->count, "min",
                     real_if(there, ms(it->min_ns)), "median", real_if(there, it->median_ns / 1e6),
                     "mean", real_if(there, it->mean_ns / 1e6), "p99",
                     real_if(there, ms(it->p99_ns)), "max", real_if(there, ms(it->max_ns)));
}

/* In the form of a profile file. */
static json_t *costs_json(const struct ant_costs *costs)
{
    json_t *steps = json_object();

    for (int step = ANT_SWAP_REQUEST; step <= ANT_SWAP_EXIT; step++) {
        json_object_set_new(steps, ant_swap_step_name((enum ant_swap_step)step),
                            json_real(ms(costs->step_ns[step])));
    }
    return json_pack("{s:f, s:o, s:f, s:f}", "create_ms", ms(costs->create_ns), "steps_ms", steps,
                     "switch_us", us(costs->switch_ns), "remap_page_us", us(costs->remap_page_ns));
}

static json_t *params_json(const struct options *options)
{
    const struct paper_params *it = &options->params;
    json_t *params = json_pack(
        "{s:s, s:f, s:f, s:f, s:f, s:f, s:i, s:s, s:i, s:i, s:i, s:[ff], s:o}", "clock",
        it->real ? "real" : "virtual", "exec_ms", ms(it->exec_ns), "result_ms", ms(it->result_ns),
        "io_pu_ms", ms(it->io_pu_ns), "io_wait_ms", ms(it->io_wait_ns), "ap_wait_ms",
        ms(it->ap_wait_ns), "clients", (int)it->clients, "driver", option_drivers[it->driver],
        "requests", (int)it->requests, "warmup", (int)it->warmup, "swaps", (int)it->swaps,
        "interval", it->interval_lo, it->interval_hi, "t0_ms", real_if(it->t0_given, ms(it->t0_ns)));
    json_t *rest = json_pack("{s:s?, s:{s:i, s:i, s:i, s:i}, s:s, s:o, s:s, s:I, s:s?, s:s?}", "aim",
                             it->aim == PAPER_AIM_NONE ? NULL : option_aims[it->aim], "priorities",
                             "requester", it->requester_priority, "driver", it->driver_priority,
                             "server", it->server_priority, "ap", it->ap_priority, "profile",
                             it->profile, "costs", costs_json(&it->costs), "mover",
                             option_movers[it->mover], "seed", (json_int_t)it->seed, "samples",
                             options->samples_path, "trace", options->trace_path);

    json_object_update(params, rest);
    json_decref(rest);
    return params;
}

static json_t *swap_shares_json(const struct figures *figures)
{
    const struct swap_shares *it = &figures->swap_shares;

    return figures->has_swaps
               ? json_pack("{s:f, s:f, s:f, s:f}", "base", it->base / 1e6, "request_work",
                           it->request_work / 1e6, "result_work", it->result_work / 1e6,
                           "higher_priority", it->higher_priority / 1e6)
               : json_null();
}

static json_t *response_shares_json(const struct figures *figures)
{
    const struct paper_shares *it = &figures->run->longest;

    return figures->has_longest
               ? json_pack("{s:f, s:f, s:f, s:f}", "own", ms(it->own_ns), "driver", ms(it->driver_ns),
                           "other_requests", ms(it->other_ns), "swap", ms(it->swap_ns))
               : json_null();
}

/* Only of the real clock: how far its numbers can be trusted. */
static json_t *real_json(const struct evaluation *evaluation, const struct figures *figures)
{
    json_t *throttling = figures->has_throttling
                             ? json_pack("{s:I, s:I}", "runtime_us", (json_int_t)figures->rt_runtime_us,
                                         "period_us", (json_int_t)figures->rt_period_us)
                             : json_null();
    json_t *violations =
        figures->has_bound ? json_integer((json_int_t)figures->violations) : json_null();

    return json_pack("{s:{s:f, s:f}, s:o, s:o, s:b, s:s}", "jitter_us", "p999",
                     us(evaluation->jitter.p999_ns), "max", us(evaluation->jitter.max_ns),
                     "violations", violations, "rt_throttling", throttling, "real_time",
                     figures->real_time, "machine_reason", figures->run->machine_reason);
}

int report_json(const struct evaluation *evaluation, const struct figures *figures)
{
    const struct paper_run *run = figures->run;
    const struct paper_ledger *ledger = &figures->ledger;
    json_t *object = json_pack(
        "{s:o, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:I, s:I, s:I, s:I}, s:s, s:s, s:I, s:s, s:f, s:f}",
        "params", params_json(evaluation->options), "t0_ms", ms(evaluation->t0_ns),
        "response_without_swaps_ms", statistics_json(&figures->response_calm), "response_ms",
        statistics_json(&figures->response), "swap_ms", statistics_json(&figures->swap),
        "blackout_ms", statistics_json(&figures->blackout), "max_difference_ms",
        real_if(figures->has_difference, (double)figures->difference_ns / 1e6), "swap_attribution_ms",
        swap_shares_json(figures), "response_attribution_ms", response_shares_json(figures), "bound_ms",
        real_if(figures->has_bound, ms(run->bound_ns)), "ledger", "sent", (json_int_t)ledger->sent,
        "answered", (json_int_t)ledger->answered, "lost", (json_int_t)ledger->lost, "duplicated",
        (json_int_t)ledger->duplicated, "machine", run->machine_name, "mover", run->mover_name,
        "seed", (json_int_t)evaluation->options->params.seed, "version", ant_version(), "simulated_s",
        (double)figures->simulated_ns / 1e9, "wall_s", (double)evaluation->wall_ns / 1e9);
    json_t *real = evaluation->options->params.real ? real_json(evaluation, figures) : json_object();
    int error = json_object_update(object, real);

    json_decref(real);
    if (error != 0) {
        fprintf(stderr, "paper: no memory for the JSON object\n");
    } else {
        error = json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(DIGITS));
        putchar('\n');
    }
    json_decref(object);
    return error;
}
