/*
 * The report for programs: one JSON object.
 *
 * rollback_step is a step's name, as in steps; rollback_error a negative errno value; both are null without a rollback.
 * steps are those of the median swap, us counted from step 1; null: not reached. response_us is from the time with swaps.
 * The members of an object of times are null if its count is 0.
 */
#include "demo.h"

#include <jansson.h>
#include <stdio.h>

static json_t *us(bool there, double value)
{
    return there ? json_real(value) : json_null();
}

static json_t *summary_json(struct samples *samples)
{
    struct summary summary = samples_summary(samples);
    bool there = summary.count > 0;
    return json_pack("{s:I, s:o, s:o, s:o, s:o}", "count", (json_int_t)summary.count, "min",
                     us(there, summary.min_us), "median", us(there, summary.median_us), "p99",
                     us(there, summary.p99_us), "max", us(there, summary.max_us));
}

static json_t *steps_json(const struct ant_swap_report *swap)
{
    json_t *steps = json_array();
    for (int step = ANT_SWAP_REQUEST; step <= ANT_SWAP_EXIT; step++) {
        bool there = swap != NULL && swap->step_time_ns[step] != 0;
        uint64_t ns = there ? swap->step_time_ns[step] - swap->step_time_ns[ANT_SWAP_REQUEST] : 0;
        json_array_append_new(steps, json_pack("{s:s, s:o}", "name",
                                               ant_swap_step_name((enum ant_swap_step)step), "us",
                                               us(there, (double)ns / 1000.0)));
    }
    return steps;
}

static json_t *client_sha256_json(const struct demo *demo)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < demo->options.clients; i++) {
        char text[HEX_BYTES];
        bool there = demo->clients[i].rounds > 0;
        json_array_append_new(array, json_string(there ? demo_hex(demo->clients[i].sha256, text) : ""));
    }
    return array;
}

int report_json(const struct demo *demo, struct totals *totals)
{
    char sha256[HEX_BYTES];
    bool rolled_back = demo->rollbacks > 0;
    const char *rollback_step = rolled_back ? ant_swap_step_name(demo->rollback.step) : NULL;
    json_t *rollback_error = rolled_back ? json_integer(demo->rollback.error) : json_null();
    uint64_t lost = totals->sent > totals->answered ? totals->sent - totals->answered : 0;

    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:s, s:I, s:s, s:o, s:i, s:i, s:i, s:i, s:s?, s:o, s:I, s:I, s:I, s:I, s:o, s:o, "
        "s:o, s:o}",
        "machine", demo->machine, "machine_reason", demo->machine_reason, "mover", demo->mover,
        "kernel", demo->kernel, "clients", (int)demo->options.clients, "file", demo->options.file,
        "file_bytes", (json_int_t)demo->file_bytes, "sha256", demo_hex(demo->sha256, sha256),
        "client_sha256", client_sha256_json(demo), "swaps_requested", (int)demo->options.swaps,
        "swaps", (int)demo->swaps, "swaps_under_load", (int)totals->under_load, "rollbacks",
        (int)demo->rollbacks, "rollback_step", rollback_step, "rollback_error", rollback_error,
        "requests_sent", (json_int_t)totals->sent, "requests_answered", (json_int_t)totals->answered,
        "requests_lost", (json_int_t)lost, "requests_duplicated", (json_int_t)totals->duplicated,
        "swap_us", summary_json(&totals->swap), "blackout_us", summary_json(&totals->blackout),
        "response_us", summary_json(&totals->response_swapping), "steps", steps_json(totals->median));
    if (object == NULL) {
        fprintf(stderr, "server_swap: no memory for the JSON object, or a file name that is no UTF-8\n");
        return -1;
    }
    int error = json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    json_decref(object);
    printf("\n");
    return error;
}
