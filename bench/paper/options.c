/* The command line, by argp: what may be asked, what it means, and what makes no sense. */
#include "options.h"

#include "options_values.h"
#include "profile.h"

#include <argp.h>

enum {
    EXIT_USAGE = 2,
    MAX_CLIENTS = 256,
    MAX_COUNT = 1000000, /* of requests, and of swaps */
    MAX_WARMUP = 10000,
    MAX_ERROR_BYTES = 512,
};

const char *argp_program_version = "paper (libant " ANT_VERSION ")";

static const char description[] =
    "The paper's evaluation of swap time and response time, one configuration at a time.\n"
    "\n"
    "Clients (APs) wait and then ask an OS server. It works on the request, asks a driver, works on the driver's result and "
    "replies. The driver works and waits. A requester replaces the server again and again. The model runs first without swaps, "
    "then with them. The defaults are the paper's. MS is a time in milliseconds, from 0 to 1000000, down to a microsecond: 12, "
    "0.5, 12.345."
    "\v"
    "Built-in profiles: 'none' costs nothing; 'ant-paper' spends the 7.4 ms of AnT's swap as the paper's figures demand.\n"
    "\n"
    "On the real clock processes are SCHED_FIFO threads on one CPU where that is permitted; elsewhere, or with ANT_MACHINE=other, the "
    "numbers are not real-time, and the program says so.\n"
    "\n"
    "Exit status: 0 if all was run and written, and every request was answered once; 1 if not; 2 if the command line "
    "makes no sense.";

enum {
    KEY_CLOCK = 256, /* none has a short name */
    KEY_EXEC,
    KEY_RESULT,
    KEY_IO_PU,
    KEY_IO_WAIT,
    KEY_AP_WAIT,
    KEY_CLIENTS,
    KEY_DRIVER,
    KEY_REQUESTS,
    KEY_WARMUP,
    KEY_PRIORITIES,
    KEY_SWAPS,
    KEY_INTERVAL,
    KEY_T0,
    KEY_AIM,
    KEY_PROFILE,
    KEY_MOVER,
    KEY_SEED,
    KEY_SAMPLES,
    KEY_TRACE,
    KEY_JSON,
};

static const struct argp_option argp_options[] = {
    {NULL, 0, NULL, 0, "The model:", 1},
    {"exec", KEY_EXEC, "MS", 0, "the server's work on a request; default 10", 1},
    {"result", KEY_RESULT, "MS", 0, "the server's work on the driver's result; default 1", 1},
    {"io-pu", KEY_IO_PU, "MS", 0, "the driver's work on a request; default 5", 1},
    {"io-wait", KEY_IO_WAIT, "MS", 0, "how long the driver then waits; default 15", 1},
    {"ap-wait", KEY_AP_WAIT, "MS", 0, "how long a client waits before each request; default 10", 1},
    {"clients", KEY_CLIENTS, "N", 0,
     "how many clients, 0 to 256; default 1. Without any, swaps take the base swap time", 1},
    {"requests", KEY_REQUESTS, "N", 0,
     "how many requests each client sends at least, 1 to 1000000; default 100. Clients go on until all swaps are done, and all of these count",
     1},
    {"warmup", KEY_WARMUP, "ROUNDS", 0,
     "how many requests each client sends before those, 0 to 10000; default 3. They do not count, and nothing is swapped",
     1},
    {"driver", KEY_DRIVER, "KIND", 0,
     "serial: it takes the next request after its wait; overlap: while it waits; default serial", 1},
    {"priorities", KEY_PRIORITIES, "REQUESTER:DRIVER:SERVER:AP", 0,
     "of the four roles, each 1 to 60, higher runs first; default 40:30:20:10", 1},

    {NULL, 0, NULL, 0, "Swaps:", 2},
    {"swaps", KEY_SWAPS, "N", 0, "how many, 0 to 1000000; default 50. 0: only the run without swaps", 2},
    {"interval", KEY_INTERVAL, "LO:HI", 0,
     "the pause before a swap, from the end of the one before, is drawn between LO and HI times t0; 0 <= LO <= HI <= 1000, "
     "fractions down to a millionth; default 1:2",
     2},
    {"t0", KEY_T0, "MS", 0,
     "the unit of the interval; default: the longest response without swaps, or without clients the sum of exec, result, "
     "io-pu and io-wait",
     2},
    {"aim", KEY_AIM, "POINT", 0,
     "issue each swap, after its pause, exactly when the server next begins with a request (exec-start) or a result "
     "(result-start), or the driver with its work (io-start); default: at once. Only on the virtual clock, with clients and swaps",
     2},

    {NULL, 0, NULL, 0, "What it runs on:", 3},
    {"clock", KEY_CLOCK, "NAME", 0,
     "virtual: simulated, exact, needs no rights; real: this machine's processor works and waits; default virtual",
     3},
    {"profile", KEY_PROFILE, "NAME|FILE", 0,
     "what calls into the inner core cost: none, ant-paper, or a JSON file (docs/evaluation.md); default ant-paper",
     3},
    {"mover", KEY_MOVER, "NAME", 0,
     "how areas move between windows: auto, strict, strict-mremap, flat or copy; default auto: ANT_MOVER in the environment "
     "if it is set, else flat on the virtual clock, where no figure depends on it",
     3},
    {"seed", KEY_SEED, "N", 0, "draws the pauses, 0 to 9223372036854775807; default 1", 3},

    {NULL, 0, NULL, 0, "Output:", 4},
    {"json", KEY_JSON, NULL, 0, "print one JSON object and nothing else on standard output", 4},
    {"samples", KEY_SAMPLES, "FILE", 0,
     "write every response, swap and blackout to FILE, as CSV; default: none", 4},
    {"trace", KEY_TRACE, "FILE", 0,
     "write the trace of the run with swaps (with --swaps 0: of the run without) to FILE; default: none",
     4},
    {0},
};

static const char *const clocks[] = {"virtual", "real", NULL};
const char *const option_drivers[] = {
    [PAPER_SERIAL] = "serial",
    [PAPER_OVERLAP] = "overlap",
    NULL,
};
const char *const option_aims[] = {
    [PAPER_AIM_NONE] = "",
    [PAPER_AIM_EXEC_START] = "exec-start",
    [PAPER_AIM_RESULT_START] = "result-start",
    [PAPER_AIM_IO_START] = "io-start",
    NULL,
};
const char *const option_movers[] = {
    [ANT_MOVER_AUTO] = "auto",
    [ANT_MOVER_STRICT] = "strict",
    [ANT_MOVER_STRICT_MREMAP] = "strict-mremap",
    [ANT_MOVER_FLAT] = "flat",
    [ANT_MOVER_COPY] = "copy",
    NULL,
};

static void find_profile(struct argp_state *state, const char *name, struct paper_params *params)
{
    char error[MAX_ERROR_BYTES];

    if (paper_profile_find(name, params->profile, &params->costs, error, sizeof error) != 0) {
        argp_error(state, "--profile: %s", error);
    }
}

static error_t parse_model(int key, char *text, struct argp_state *state)
{
    struct paper_params *params = &((struct options *)state->input)->params;

    switch (key) {
    case KEY_EXEC:
        params->exec_ns = option_time_ns(state, "--exec", text);
        return 0;
    case KEY_RESULT:
        params->result_ns = option_time_ns(state, "--result", text);
        return 0;
    case KEY_IO_PU:
        params->io_pu_ns = option_time_ns(state, "--io-pu", text);
        return 0;
    case KEY_IO_WAIT:
        params->io_wait_ns = option_time_ns(state, "--io-wait", text);
        return 0;
    case KEY_AP_WAIT:
        params->ap_wait_ns = option_time_ns(state, "--ap-wait", text);
        return 0;
    case KEY_CLIENTS:
        params->clients = (unsigned)option_number(state, "--clients", text, 0, MAX_CLIENTS);
        return 0;
    case KEY_REQUESTS:
        params->requests = (unsigned)option_number(state, "--requests", text, 1, MAX_COUNT);
        return 0;
    case KEY_WARMUP:
        params->warmup = (unsigned)option_number(state, "--warmup", text, 0, MAX_WARMUP);
        return 0;
    case KEY_DRIVER:
        params->driver = (enum paper_driver)option_choice(state, "--driver", text, option_drivers);
        return 0;
    case KEY_PRIORITIES:
        option_priorities(state, text, params);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_run(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;
    struct paper_params *params = &options->params;

    switch (key) {
    case KEY_SWAPS:
        params->swaps = (unsigned)option_number(state, "--swaps", text, 0, MAX_COUNT);
        return 0;
    case KEY_INTERVAL:
        option_interval(state, text, params);
        return 0;
    case KEY_T0:
        params->t0_given = true;
        params->t0_ns = option_time_ns(state, "--t0", text);
        return 0;
    case KEY_AIM:
        /* "" is a name in the list only, so that the others stand at their places. */
        params->aim = (enum paper_aim)(option_choice(state, "--aim", text, option_aims + 1) + 1);
        return 0;
    case KEY_CLOCK:
        params->real = option_choice(state, "--clock", text, clocks) == 1;
        return 0;
    case KEY_PROFILE:
        find_profile(state, text, params);
        return 0;
    case KEY_MOVER:
        params->mover = (enum ant_mover)option_choice(state, "--mover", text, option_movers);
        return 0;
    case KEY_SEED:
        params->seed = option_number(state, "--seed", text, 0, INT64_MAX);
        return 0;
    case KEY_SAMPLES:
        options->samples_path = text;
        return 0;
    case KEY_TRACE:
        options->trace_path = text;
        return 0;
    case KEY_JSON:
        options->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        find_profile(state, "ant-paper", &options->params);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "what is '%s'? All arguments are options", text);
        return 0;
    case ARGP_KEY_END:
        options_check(state, options);
        return 0;
    default:
        return parse_model(key, text, state) == 0 ? 0 : parse_run(key, text, state);
    }
}

void options_parse(struct options *options, int argc, char **argv)
{
    static const struct argp argp = {argp_options, parse, NULL, description, NULL, NULL, NULL};

    *options = (struct options){
        .params =
            {
                .exec_ns = 10 * ANT_NS_PER_MS,
                .result_ns = 1 * ANT_NS_PER_MS,
                .io_pu_ns = 5 * ANT_NS_PER_MS,
                .io_wait_ns = 15 * ANT_NS_PER_MS,
                .ap_wait_ns = 10 * ANT_NS_PER_MS,
                .clients = 1,
                .driver = PAPER_SERIAL,
                .requests = 100,
                .warmup = 3,
                .swaps = 50,
                .interval_lo = 1,
                .interval_hi = 2,
                .requester_priority = 40,
                .driver_priority = 30,
                .server_priority = 20,
                .ap_priority = 10,
                .seed = 1,
            },
    };
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, options);
}
