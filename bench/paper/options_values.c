/* Values that only this program's options have: times, the interval, the priorities. */
#include "options_values.h"

enum {
    MAX_TIME_MS = 1000000,
    TIME_PLACES = 3, /* a microsecond of a millisecond */
    MAX_INTERVAL = 1000,
    INTERVAL_PLACES = 6,
};

uint64_t option_time_ns(struct argp_state *state, const char *option, const char *text)
{
    uint64_t us;

    if (option_decimal(text, TIME_PLACES, MAX_TIME_MS * (ANT_NS_PER_MS / ANT_NS_PER_US), '\0', &us) ==
        NULL) {
        argp_error(state,
                   "%s: '%s' is no time in ms from 0 to %d, down to a microsecond (as 12, 0.5 or 12.345)",
                   option, text, MAX_TIME_MS);
    }
    return us * ANT_NS_PER_US;
}

void option_interval(struct argp_state *state, const char *text, struct paper_params *params)
{
    static const uint64_t unit = 1000000, most = MAX_INTERVAL * unit;
    uint64_t lo, hi;
    const char *second = option_decimal(text, INTERVAL_PLACES, most, ':', &lo);

    if (second == NULL || option_decimal(second, INTERVAL_PLACES, most, '\0', &hi) == NULL || lo > hi) {
        argp_error(state,
                   "--interval: '%s' is not LO:HI with 0 <= LO <= HI <= %d, fractions down to a millionth (as 1:2 or 0.5:1.5)",
                   text, MAX_INTERVAL);
        return;
    }
    params->interval_lo = (double)lo / (double)unit;
    params->interval_hi = (double)hi / (double)unit;
}

void option_priorities(struct argp_state *state, const char *text, struct paper_params *params)
{
    int *const roles[] = {&params->requester_priority, &params->driver_priority,
                          &params->server_priority, &params->ap_priority};
    const char *next = text;

    for (size_t i = 0; i < 4 && next != NULL; i++) {
        uint64_t value;
        next = option_decimal(next, 0, ANT_PRIORITY_MAX, i < 3 ? ':' : '\0', &value);
        if (next != NULL && value < ANT_PRIORITY_MIN) {
            next = NULL;
        }
        *roles[i] = (int)value;
    }
    if (next == NULL) {
        argp_error(state,
                   "--priorities: '%s' is not REQUESTER:DRIVER:SERVER:AP, each from %d to %d (as 40:30:20:10)",
                   text, ANT_PRIORITY_MIN, ANT_PRIORITY_MAX);
    }
}
