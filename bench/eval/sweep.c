/* Which configurations there are, and how each one is run. */
#include "sweep.h"

#include "run.h"

#include <string.h>

/* A run in the model, with its unloaded times: AP WAIT 10, driver PU 5 and WAIT 15, the base swap time 7.4. */
static const double ap_wait_ms = 10, io_pu_ms = 5, io_ms = 20, base_ms = 7.4;
static const double jitter_s = 2.5;      /* paper measures the jitter apart, on the real clock */
static const double pause_t0 = 1.5;      /* the mean pause before a swap, in units of t0 */
static const unsigned warmup_rounds = 3; /* paper's default */

const struct pair sweep_pairs[PAIRS] = {{10, 1}, {15, 1}, {20, 1}, {1, 10}, {1, 15}, {1, 20}};

/*
 * The suprema are found by aimed swaps, most of them at once; the response times' are found by random ones. With the
 * paper's 50 swaps these are 2,000 and 3 * 300 for each configuration, and the whole takes half a minute on two CPUs.
 */
static const struct kind {
    const char *name, *title, *profile, *aim;
    unsigned swaps; /* times those of the options */
    bool real, is_virtual;
} kinds[RUN_KINDS] = {
    [RUN_PAPER] = {"paper", "as the paper measured", "ant-paper", NULL, 1, true, true},
    [RUN_OWN] = {"own", "libant's own swap", "none", NULL, 1, true, false},
    [RUN_RANDOM] = {"random", "many random swaps", "ant-paper", NULL, 40, false, true},
    [RUN_EXEC_START] = {"exec-start", "aimed at request work", "ant-paper", "exec-start", 6, false, true},
    [RUN_RESULT_START] = {"result-start", "aimed at result work", "ant-paper", "result-start", 6,
                          false, true},
    [RUN_IO_START] = {"io-start", "aimed at the driver", "ant-paper", "io-start", 6, false, true},
};

const char *sweep_kind_name(enum run_kind kind)
{
    return kinds[kind].name;
}

const char *sweep_kind_title(enum run_kind kind)
{
    return kinds[kind].title;
}

/* Nothing is there to aim at, and nothing to be found, where no client is. */
static bool is_run(const struct options *options, const struct point *point, enum run_kind kind)
{
    bool on_clock = options->real ? kinds[kind].real : kinds[kind].is_virtual;
    return on_clock && (point->clients > 0 || kind == RUN_PAPER || kind == RUN_OWN);
}

void sweep_init(struct sweep *sweep, const struct options *options)
{
    *sweep = (struct sweep){.options = options, .point_count = 1};
    sweep->points[0] =
        (struct point){.exec_ms = sweep_pairs[0].exec_ms, .result_ms = sweep_pairs[0].result_ms};
    for (size_t i = 0; i < PAIRS; i++) {
        for (unsigned clients = 1; clients <= options->clients; clients++) {
            sweep->points[sweep->point_count++] =
                (struct point){sweep_pairs[i].exec_ms, sweep_pairs[i].result_ms, clients, {{0}}};
        }
    }
    for (size_t i = 0; i < sweep->point_count; i++) {
        for (int kind = 0; kind < RUN_KINDS; kind++) {
            sweep->run_count += is_run(options, &sweep->points[i], (enum run_kind)kind);
        }
    }
}

void sweep_fini(struct sweep *sweep)
{
    for (size_t i = 0; i < sweep->point_count; i++) {
        for (int kind = 0; kind < RUN_KINDS; kind++) {
            result_fini(&sweep->points[i].runs[kind]);
        }
    }
}

/* What the server and the driver's processor take for a request. */
static double work_ms(const struct point *point)
{
    return point->exec_ms + io_pu_ms + point->result_ms;
}

/*
 * Where all wait for the driver, the requests never drain, and a swap with nothing in its way is rare: it takes more random ones to
 * come near the infimum.
 */
static unsigned swaps_of(const struct options *options, const struct point *point, enum run_kind kind)
{
    bool rare = kind == RUN_RANDOM && point->clients > 2 && work_ms(point) < io_ms;
    return kinds[kind].swaps * options->swaps * (rare ? 4 : 1);
}

/* How long the clients take for a request each, once they queue for whoever is the slowest. */
static double round_ms(const struct point *point)
{
    double alone_ms = ap_wait_ms + point->exec_ms + io_ms + point->result_ms;
    double queued_ms = point->clients * (work_ms(point) > io_ms ? work_ms(point) : io_ms);
    return alone_ms > queued_ms ? alone_ms : queued_ms;
}

/* What a run simulates, or takes on the real clock: the run without swaps, and the one with. */
static double run_s(const struct options *options, const struct point *point, enum run_kind kind)
{
    double requests_ms = point->clients > 0 ? (options->requests + warmup_rounds) * round_ms(point) : 0;
    double swaps_ms = swaps_of(options, point, kind) * (pause_t0 * round_ms(point) + 2 * base_ms);
    double second_ms = swaps_ms > requests_ms ? swaps_ms : requests_ms;
    return (requests_ms + second_ms) / 1000 + (options->real ? jitter_s : 0);
}

/* On the virtual clock what takes time is requests and swaps, whatever they take of the clock. */
static double run_weight(const struct options *options, const struct point *point, enum run_kind kind)
{
    double s = run_s(options, point, kind);
    return options->real
               ? s
               : swaps_of(options, point, kind) + point->clients * 1000 * s / round_ms(point);
}

double sweep_expected_s(const struct sweep *sweep)
{
    double s = 0;
    for (size_t i = 0; i < sweep->point_count; i++) {
        for (int kind = 0; kind < RUN_KINDS; kind++) {
            if (is_run(sweep->options, &sweep->points[i], (enum run_kind)kind)) {
                s += run_s(sweep->options, &sweep->points[i], (enum run_kind)kind);
            }
        }
    }
    return s;
}

int sweep_run(struct sweep *sweep, char *paper)
{
    struct run runs[MAX_POINTS * RUN_KINDS];
    size_t count = 0;

    for (size_t i = 0; i < sweep->point_count; i++) {
        for (int kind = 0; kind < RUN_KINDS; kind++) {
            struct point *point = &sweep->points[i];
            if (is_run(sweep->options, point, (enum run_kind)kind)) {
                runs[count++] = (struct run){
                    .point = point,
                    .kind = (enum run_kind)kind,
                    .profile = kinds[kind].profile,
                    .aim = kinds[kind].aim,
                    .swaps = swaps_of(sweep->options, point, (enum run_kind)kind),
                    .weight = run_weight(sweep->options, point, (enum run_kind)kind),
                };
            }
        }
    }
    return run_all(runs, count, sweep->options, paper, &sweep->wall_s);
}

const struct point *sweep_point(const struct sweep *sweep, unsigned exec_ms, unsigned result_ms,
                                unsigned clients)
{
    for (size_t i = 0; i < sweep->point_count; i++) {
        const struct point *point = &sweep->points[i];
        bool same_work = point->exec_ms == exec_ms && point->result_ms == result_ms;
        if (point->clients == clients && (same_work || clients == 0)) {
            return point;
        }
    }
    return NULL;
}

const struct result *sweep_first(const struct sweep *sweep)
{
    return &sweep->points[0].runs[RUN_PAPER];
}

bool sweep_is_not_real_time(const struct sweep *sweep)
{
    return sweep->options->real && !sweep_first(sweep)->real_time;
}
