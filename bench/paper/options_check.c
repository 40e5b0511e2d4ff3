/* What makes no sense together, though each option by itself does. */
#include "options_values.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void check_aim(struct argp_state *state, const struct paper_params *params)
{
    if (params->aim == PAPER_AIM_NONE) {
        return;
    }
    if (params->real) {
        argp_error(state,
                   "--aim: only with --clock virtual; on the real clock nothing can be issued exactly there");
    }
    if (params->clients == 0) {
        argp_error(state, "--aim: needs --clients 1 or more; without any, the server never begins");
    }
    if (params->swaps == 0) {
        argp_error(state, "--aim: needs --swaps 1 or more");
    }
}

static void check_times(struct argp_state *state, const struct paper_params *params)
{
    bool none = params->exec_ns == 0 && params->result_ns == 0 && params->io_pu_ns == 0 &&
                params->io_wait_ns == 0 && params->ap_wait_ns == 0;

    if (params->clients > 0 && none) {
        argp_error(state, "--exec, --result, --io-pu, --io-wait, --ap-wait: one of them must be above 0 if there are clients, or "
                          "nothing takes time");
    }
}

static void check_clock(struct argp_state *state, const struct paper_params *params)
{
    const char *machine = getenv("ANT_MACHINE");

    if (params->real && machine != NULL && strcasecmp(machine, "virtual") == 0) {
        argp_error(state, "--clock: real is not to be had with ANT_MACHINE=virtual in the environment; unset it, or set it to "
                          "auto, fifo or other");
    }
}

/* The object has the names in it. */
static void check_utf8(struct argp_state *state, const char *option, const char *path)
{
    json_t *string = path != NULL ? json_string(path) : json_null();

    if (string == NULL) {
        argp_error(state, "%s: with --json the name must be UTF-8", option);
    }
    json_decref(string);
}

static void check_files(struct argp_state *state, const struct options *options)
{
    const char *samples = options->samples_path, *trace = options->trace_path;

    if (samples != NULL && trace != NULL && strcmp(samples, trace) == 0) {
        argp_error(state, "--samples, --trace: must be two files, not both '%s'", trace);
    }
    if (options->json) {
        check_utf8(state, "--samples", samples);
        check_utf8(state, "--trace", trace);
    }
}

void options_check(struct argp_state *state, const struct options *options)
{
    check_aim(state, &options->params);
    check_times(state, &options->params);
    check_clock(state, &options->params);
    check_files(state, options);
}
