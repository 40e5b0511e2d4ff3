/* The JSON object of the program paper, member by member. */
#include "result.h"

#include <math.h>
#include <stdio.h>

double result_number(const json_t *value)
{
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static struct summary summary_of(const json_t *object)
{
    return (struct summary){
        .count = json_integer_value(json_object_get(object, "count")),
        .min = result_number(json_object_get(object, "min")),
        .median = result_number(json_object_get(object, "median")),
        .mean = result_number(json_object_get(object, "mean")),
        .p99 = result_number(json_object_get(object, "p99")),
        .max = result_number(json_object_get(object, "max")),
    };
}

/* What only the real clock has. */
static void read_real(struct result *it, json_t *object)
{
    json_t *jitter = json_object_get(object, "jitter_us");
    json_t *violations = json_object_get(object, "violations");

    it->machine_reason = json_string_value(json_object_get(object, "machine_reason"));
    it->real_time = json_is_true(json_object_get(object, "real_time"));
    it->violations = json_is_integer(violations) ? json_integer_value(violations) : -1;
    it->jitter_p999_us = result_number(json_object_get(jitter, "p999"));
    it->jitter_max_us = result_number(json_object_get(jitter, "max"));
}

int result_read(struct result *result, const char *text, char *error, size_t error_bytes)
{
    json_error_t where;
    json_t *without, *response, *swap, *blackout, *bound;
    struct result it = {0};

    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    if (object == NULL ||
        json_unpack_ex(object, &where, 0,
                       "{s:F, s:o, s:o, s:o, s:o, s:o, s:{s:I, s:I, s:I, s:I}, s:s, s:s}", "t0_ms",
                       &it.t0_ms, "response_without_swaps_ms", &without, "response_ms", &response,
                       "swap_ms", &swap, "blackout_ms", &blackout, "bound_ms", &bound, "ledger",
                       "sent", &it.sent, "answered", &it.answered, "lost", &it.lost, "duplicated",
                       &it.duplicated, "machine", &it.machine, "mover", &it.mover) != 0) {
        snprintf(error, error_bytes, "%s (line %d)", where.text, where.line);
        json_decref(object);
        return -1;
    }
    it.object = object;
    it.response_without = summary_of(without);
    it.response = summary_of(response);
    it.swap = summary_of(swap);
    it.blackout = summary_of(blackout);
    it.bound_ms = result_number(bound);
    read_real(&it, object);
    *result = it;
    return 0;
}

void result_fini(struct result *result)
{
    json_decref(result->object);
    *result = (struct result){0};
}
