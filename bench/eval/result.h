/* What one run of the program paper printed. */
#ifndef EVAL_RESULT_H
#define EVAL_RESULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* All NAN if there are no samples. */
struct summary {
    json_int_t count;
    double min, median, mean, p99, max;
};

struct result {
    json_t *object; /* as printed; NULL: there was no such run */
    bool failed;    /* though there is an object: something was lost, or a swap failed */
    double t0_ms;
    struct summary response_without, response, swap, blackout; /* ms */
    double bound_ms;                                           /* NAN: there is none */
    json_int_t sent, answered, lost, duplicated;
    const char *machine, *mover; /* these and the next are object's */
    const char *machine_reason;  /* NULL on the virtual clock, as are: */
    bool real_time;
    json_int_t violations;                /* swaps longer than the bound by more than the jitter; -1: not counted */
    double jitter_p999_us, jitter_max_us; /* NAN: not measured */
};

/* Reads one JSON object. Returns 0, or -1 with a sentence in error: then result is as it was. */
int result_read(struct result *result, const char *text, char *error, size_t error_bytes);
void result_fini(struct result *result);

/* The number, or NAN for a NULL or another kind of value. */
double result_number(const json_t *value);

#endif
