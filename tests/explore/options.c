/* What the command line says. */
#include "options.h"

#include <argp.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define JOBS_MAX 256

enum {
    KEY_RUNS = 256,
    KEY_SEED,
    KEY_ONLY,
    KEY_TRACE,
    KEY_DEPTH,
    KEY_JOBS,
    KEY_PER_SCENARIO,
};

static const char description[] =
    "Explores libant: runs small scenarios of clients, a server, its driver, and those who replace and stop it, on the virtual "
    "machine, each time in another order, drawn by probabilistic concurrency testing (docs/testing.md). Says what it met, and what the "
    "chance was to meet more. The exit status is 0 if every run kept what libant promises.";

static const struct argp_option argp_options[] = {
    {"runs", KEY_RUNS, "N", 0, "how many runs; default 10000", 0},
    {"seed", KEY_SEED, "S", 0, "what they are drawn from; default 1", 0},
    {"depth", KEY_DEPTH, "D", 0, "look for bugs of this depth, 1 to 4; default: each in turn", 0},
    {"per-scenario", KEY_PER_SCENARIO, "N", 0, "runs of each scenario; default 64", 0},
    {"jobs", KEY_JOBS, "N", 0, "how many at a time; default: as many as there are CPUs", 0},
    {"only", KEY_ONLY, "RUN", 0, "only this one of them", 0},
    {"trace", KEY_TRACE, NULL, 0, "with --only: print the scenario, and the trace of the run", 0},
    {0},
};

static uint64_t number(struct argp_state *state, const char *option, const char *text,
                       uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (!*text || strspn(text, "0123456789") != strlen(text) || errno != 0 || value < least || value > most)
        argp_error(state, "%s: '%s' is no whole number from %llu to %llu", option, text,
                   (unsigned long long)least, (unsigned long long)most);
    return value;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case KEY_RUNS:
        options->runs = number(state, "--runs", text, 1, INT64_MAX);
        return 0;
    case KEY_SEED:
        options->seed = number(state, "--seed", text, 0, UINT64_MAX);
        return 0;
    case KEY_DEPTH:
        options->depth = (uint32_t)number(state, "--depth", text, 1, DEPTH_MAX);
        return 0;
    case KEY_PER_SCENARIO:
        options->per_scenario = number(state, "--per-scenario", text, 1, INT64_MAX);
        return 0;
    case KEY_JOBS:
        options->jobs = (uint32_t)number(state, "--jobs", text, 1, JOBS_MAX);
        return 0;
    case KEY_ONLY:
        options->only = number(state, "--only", text, 0, INT64_MAX);
        return 0;
    case KEY_TRACE:
        options->trace = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "what is '%s'? All arguments are options", text);
        return 0;
    case ARGP_KEY_END:
        if (options->trace && options->only == UINT64_MAX)
            argp_error(state, "--trace wants to know of which run: --only");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static uint32_t cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    return (uint32_t)CPU_COUNT(&set);
}

void options_parse(struct options *options, int argc, char **argv)
{
    static const struct argp argp = {argp_options, parse, NULL, description, NULL, NULL, NULL};
    *options = (struct options){
        .runs = 10000,
        .seed = 1,
        .only = UINT64_MAX,
        .per_scenario = 64,
        .jobs = cpus(),
    };
    argp_err_exit_status = 2;
    argp_parse(&argp, argc, argv, 0, NULL, options);
}
