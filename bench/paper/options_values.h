/* Values of this program's options, and what goes together: everything wrong ends it by argp_error, which names the option. */
#ifndef PAPER_OPTIONS_VALUES_H
#define PAPER_OPTIONS_VALUES_H

#include "option.h"
#include "options.h"

/* A time in ms, down to a microsecond, in ns. */
uint64_t option_time_ns(struct argp_state *state, const char *option, const char *text);
/* --interval and --priorities, into params. */
void option_interval(struct argp_state *state, const char *text, struct paper_params *params);
void option_priorities(struct argp_state *state, const char *text, struct paper_params *params);

void options_check(struct argp_state *state, const struct options *options);

#endif
