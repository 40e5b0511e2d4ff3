/*
 * Swap time and blackout, beside the floor that any implementation on threads has to pay, in one run, in turns.
 *
 * Rows: an idle small server; a server with 10,000 requests queued and 256 MiB of state that is adopted at the same
 * version. Before each swap and before each floor the same is done (the queue is filled, or nothing), and which of the
 * two comes first alternates. A sample is what the requester sees with its own clock around ant_swap; the blackout is the
 * report's. Medians and p99 of all samples; none is left out but the first WARM_UPS of both.
 */
#include "swap_floor.h"

#include <ant/ant.h>
#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#define FN_SERVER 1u
#define WARM_UPS 20u
#define QUEUED 10000u
#define STATE_BYTES ((size_t)256 << 20)
#define POOL_BYTES ((size_t)512 << 20)
#define STACK_BYTES ((size_t)1 << 20) /* the library's default, and the floor's */

/* The top of the band: real-time processes of another program on this CPU would hit the lower of server and floor only. */
#define REQUESTER_PRIORITY ANT_PRIORITY_MAX
#define SERVER_PRIORITY (ANT_PRIORITY_MAX - 2)

const char *argp_program_version = "swap (libant " ANT_VERSION ")";
const char *argp_program_bug_address = NULL;

struct arguments {
    unsigned samples;
    bool json;
    enum ant_mover mover;
    enum ant_machine machine;
};

/* A kind of server that is swapped, and what came of it. */
struct row {
    const char *name;
    uint32_t queued;
    size_t state_bytes;
    unsigned samples;
    double *swap_us, *blackout_us, *floor_swap_us, *floor_blackout_us; /* one a sample */
    uint32_t queued_at_notice;            /* the fewest that were there */
    struct ant_swap_report last, slowest; /* to show the steps of */
};

static void die(const char *what, int error)
{
    fprintf(stderr, "swap: %s: %s\n", what, ant_strerror(error));
    exit(1);
}

static void must(const char *what, int error)
{
    if (error != 0) {
        die(what, error);
    }
}

static double now_us(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

/* --- The server ------------------------------------------------------------------------------------------------------ */

static size_t state_bytes; /* that a fresh one makes itself */

static int start(struct ant_server *self)
{
    void *state;

    if (self->reason == ANT_START_SWAP || state_bytes == 0) {
        return 0; /* the state, if any, is adopted as it is */
    }
    int error = ant_ica_alloc(state_bytes / ANT_PAGE_BYTES, &state);
    if (error != 0) {
        return error;
    }
    memset(state, 1, state_bytes);
    return ant_state_set(state);
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    ant_reply(rq, 0);
}

static const struct ant_program programs[2] = {
    {.abi = ANT_ABI, .version = 1, .state_version = 1, .name = "one", .start = start, .request = request},
    {.abi = ANT_ABI, .version = 2, .state_version = 1, .name = "two", .start = start, .request = request},
};

/* --- A sample -------------------------------------------------------------------------------------------------------- */

static struct ant_request *requests[QUEUED]; /* as many as the row has queued */

/* The server is below the caller, so on one CPU under SCHED_FIFO none is served before the caller waits. */
static void fill_queue(const struct row *row)
{
    for (uint32_t i = 0; i < row->queued; i++) {
        must("ant_send", ant_send(requests[i]));
    }
}

static void drain_queue(const struct row *row)
{
    for (uint32_t i = 0; i < row->queued; i++) {
        struct ant_message message;
        must("ant_receive", ant_receive(&message, ANT_FOREVER));
    }
}

/* Lets the old server's thread end, as the floor does: by giving the processor away until it has. */
static void await_exit(void)
{
    struct ant_swap_report report;

    do {
        must("ant_sleep", ant_sleep(ant_now() + 20000));
        must("ant_swap_last", ant_swap_last(FN_SERVER, &report));
    } while (report.step_time_ns[ANT_SWAP_EXIT] == 0);
}

static void sample_swap(struct row *row, unsigned number, double *swap_us, double *blackout_us)
{
    struct ant_swap_report report;

    fill_queue(row);
    double begin_us = now_us();
    int error = ant_swap(FN_SERVER, &programs[(number + 1) % 2], NULL, &report);
    *swap_us = now_us() - begin_us;
    must("ant_swap", error);
    *blackout_us = (double)report.blackout_ns / 1e3;
    row->last = report;
    if (number >= WARM_UPS && report.swap_ns > row->slowest.swap_ns) {
        row->slowest = report;
    }
    if (report.queued_requests.handed_over < row->queued_at_notice) {
        row->queued_at_notice = report.queued_requests.handed_over;
    }
    drain_queue(row);
    await_exit();
}

static void sample_floor(const struct row *row, struct floor *floor, double *swap_us, double *blackout_us)
{
    struct floor_times times;

    fill_queue(row);
    if (floor_swap(floor, &times) != 0) {
        die("the floor's thread", -EAGAIN);
    }
    *swap_us = (double)times.swap_ns / 1e3;
    *blackout_us = (double)times.blackout_ns / 1e3;
    drain_queue(row);
    must("ant_sleep", ant_sleep(ant_now() + 20000)); /* as after a swap */
}

static void measure_row(struct row *row, struct floor *floor)
{
    struct ant_server_options options = {.priority = SERVER_PRIORITY};
    double *columns = calloc(4 * (size_t)row->samples, sizeof(double));
    ant_pid server;

    if (columns == NULL) {
        die("memory", -ENOMEM);
    }
    row->swap_us = columns;
    row->blackout_us = columns + row->samples;
    row->floor_swap_us = columns + (size_t)2 * row->samples;
    row->floor_blackout_us = columns + (size_t)3 * row->samples;
    row->queued_at_notice = UINT32_MAX;
    state_bytes = row->state_bytes;
    must("ant_serve", ant_serve(FN_SERVER, &programs[0], &options, &server));
    for (uint32_t i = 0; i < row->queued; i++) {
        must("ant_request_new", ant_request_new(FN_SERVER, &requests[i]));
    }
    for (unsigned i = 0; i < WARM_UPS + row->samples; i++) {
        unsigned at = i < WARM_UPS ? 0 : i - WARM_UPS; /* a warm-up is overwritten by the first sample */
        if (i % 2 == 0) {
            sample_floor(row, floor, &row->floor_swap_us[at], &row->floor_blackout_us[at]);
        }
        sample_swap(row, i, &row->swap_us[at], &row->blackout_us[at]);
        if (i % 2 == 1) {
            sample_floor(row, floor, &row->floor_swap_us[at], &row->floor_blackout_us[at]);
        }
    }
    for (uint32_t i = 0; i < row->queued; i++) {
        must("ant_request_free", ant_request_free(requests[i]));
    }
    must("ant_stop", ant_stop(server, ANT_FOREVER, NULL));
}

/* --- What is shown ----------------------------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double quantile(double *sorted, unsigned count, double q)
{
    double at = q * (double)(count - 1);

    return sorted[(unsigned)(at + 0.5)];
}

struct figures {
    double min, median, p99, floor_min, floor_median, floor_p99, ratio;
};

static struct figures figures_of(double *samples, double *floor, unsigned count)
{
    qsort(samples, count, sizeof *samples, compare_doubles);
    qsort(floor, count, sizeof *floor, compare_doubles);
    struct figures it = {
        .min = samples[0],
        .median = quantile(samples, count, 0.5),
        .p99 = quantile(samples, count, 0.99),
        .floor_min = floor[0],
        .floor_median = quantile(floor, count, 0.5),
        .floor_p99 = quantile(floor, count, 0.99),
    };
    it.ratio = it.median / it.floor_median;
    return it;
}

static json_t *figures_json(const struct row *row, const char *what, const struct figures *it)
{
    return json_pack("{s:s+, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "name", row->name, what,
                     "samples", (int)row->samples, "min_us", it->min, "median_us", it->median,
                     "p99_us", it->p99, "floor_min_us", it->floor_min, "floor_median_us",
                     it->floor_median, "floor_p99_us", it->floor_p99, "ratio", it->ratio);
}

static void show_json(const struct arguments *arguments, struct row *rows, size_t count,
                      struct figures (*figures)[2])
{
    static const char *const whats[2] = {" swap", " blackout"};
    struct ant_info info;
    struct utsname kernel;
    json_t *array = json_array();

    must("ant_info", ant_info(&info));
    uname(&kernel);
    for (size_t i = 0; i < count; i++) {
        for (int j = 0; j < 2; j++) {
            json_t *it = figures_json(&rows[i], whats[j], &figures[i][j]);
            json_object_set_new(it, "queued_at_notice_min", json_integer(rows[i].queued_at_notice));
            json_object_set_new(it, "state_bytes", json_integer((json_int_t)rows[i].last.state_bytes));
            json_array_append_new(array, it);
        }
    }
    json_t *all = json_pack("{s:s, s:s, s:s, s:s, s:i, s:f, s:f, s:o}", "machine", info.machine_name,
                            "machine_reason", info.machine_reason, "mover", info.mover_name, "kernel",
                            kernel.release, "samples", (int)arguments->samples, "growth_swap",
                            figures[count - 1][0].median / figures[0][0].median, "growth_blackout",
                            figures[count - 1][1].median / figures[0][1].median, "rows", array);
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(all);
}

static void show_table(struct row *rows, size_t count, struct figures (*figures)[2])
{
    static const char *const whats[2] = {"swap", "blackout"};
    struct ant_info info;

    must("ant_info", ant_info(&info));
    printf("machine %s: %s\nmover %s: %s\n\n", info.machine_name, info.machine_reason,
           info.mover_name, info.mover_reason);
    printf("%-28s %8s %9s %9s %9s %9s %9s %6s\n", "us", "samples", "min", "median", "p99", "floor",
           "floor p99", "ratio");
    for (size_t i = 0; i < count; i++) {
        for (int j = 0; j < 2; j++) {
            const struct figures *it = &figures[i][j];
            char name[64];
            snprintf(name, sizeof name, "%s, %s", rows[i].name, whats[j]);
            printf("%-28s %8u %9.1f %9.1f %9.1f %9.1f %9.1f %6.2f\n", name, rows[i].samples,
                   it->min, it->median, it->p99, it->floor_median, it->floor_p99, it->ratio);
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct ant_swap_report *last = &rows[i].last, *slowest = &rows[i].slowest;
        printf("\n%s, us from the first step (%u queued, %zu bytes of state):\n", rows[i].name,
               last->queued_requests.handed_over, last->state_bytes);
        printf("  %-19s %9s %9s\n", "step", "last", "slowest");
        for (int step = ANT_SWAP_REQUEST; step <= ANT_SWAP_RETURN; step++) {
            printf("  %2d %-16s %9.1f %9.1f\n", step, ant_swap_step_name((enum ant_swap_step)step),
                   (double)(last->step_time_ns[step] - last->step_time_ns[ANT_SWAP_REQUEST]) / 1e3,
                   (double)(slowest->step_time_ns[step] - slowest->step_time_ns[ANT_SWAP_REQUEST]) / 1e3);
        }
    }
}

/* --- The command line ---------------------------------------------------------------------------------------------------- */

static error_t parse(int key, char *value, struct argp_state *state)
{
    static const char *const machines[] = {"auto", "fifo", "other"};
    static const char *const movers[] = {"auto", "strict", "strict-mremap", "flat", "copy"};
    struct arguments *arguments = state->input;

    switch (key) {
    case 'n': {
        char *end;
        unsigned long samples = strtoul(value, &end, 10);
        if (*end != '\0' || samples < 10 || samples > 1000000) {
            argp_error(state, "samples: 10 to 1,000,000");
        }
        arguments->samples = (unsigned)samples;
        return 0;
    }
    case 'j':
        arguments->json = true;
        return 0;
    case 'm':
        for (unsigned i = 0; i < sizeof machines / sizeof machines[0]; i++) {
            if (strcmp(value, machines[i]) == 0) {
                arguments->machine = (enum ant_machine)i;
                return 0;
            }
        }
        argp_error(state, "no machine %s; auto, fifo or other (on virtual no time passes)", value);
        return EINVAL;
    case 'M':
        for (unsigned i = 0; i < sizeof movers / sizeof movers[0]; i++) {
            if (strcmp(value, movers[i]) == 0) {
                arguments->mover = (enum ant_mover)i;
                return 0;
            }
        }
        argp_error(state, "no mover %s", value);
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void read_arguments(int count, char **values, struct arguments *arguments)
{
    static const struct argp_option options[] = {
        {"samples", 'n', "N", 0,
         "Swaps of an idle server (default 1000); a tenth as many of the loaded one", 0},
        {"json", 'j', NULL, 0, "Print one JSON object", 0},
        {"machine", 'm', "NAME", 0, "auto, fifo or other", 0},
        {"mover", 'M', "NAME", 0, "auto, strict, strict-mremap, flat or copy", 0},
        {0},
    };
    static const struct argp argp = {
        options,
        parse,
        NULL,
        "Swap time and blackout beside the floor.\v"
        "Exit status: 0 if all was measured and written; 1 if not; 2 if the command line makes no sense.",
        NULL,
        NULL,
        NULL};

    argp_err_exit_status = 2;
    argp_parse(&argp, count, values, 0, NULL, arguments);
}

int main(int count, char **values)
{
    struct arguments arguments = {.samples = 1000};
    struct ant_info info;

    read_arguments(count, values, &arguments);
    must("ant_boot", ant_boot(&(struct ant_config){.machine = arguments.machine,
                                                   .mover = arguments.mover,
                                                   .pool_bytes = POOL_BYTES,
                                                   .max_processes = 64,
                                                   .stack_bytes = STACK_BYTES,
                                                   .priority = REQUESTER_PRIORITY}));
    must("ant_info", ant_info(&info));
    if (info.machine == ANT_MACHINE_VIRTUAL) {
        die("on the virtual machine calls cost no time", -ENOTSUP);
    }
    /* Above libant's server, so that one that has requests queued does not run in the middle of a floor. */
    struct floor_config floor_config = {
        .stack_bytes = STACK_BYTES,
        .realtime = info.machine == ANT_MACHINE_FIFO,
        .priority = ANT_RT_BASE_DEFAULT + SERVER_PRIORITY + 1,
    };
    struct floor *floor = floor_create(&floor_config);
    if (floor == NULL) {
        die("the floor's thread", -EAGAIN);
    }
    struct row rows[] = {
        {.name = "idle", .samples = arguments.samples},
        {.name = "10,000 queued and 256 MiB",
         .samples = arguments.samples / 10 > 10 ? arguments.samples / 10 : 10,
         .queued = QUEUED,
         .state_bytes = STATE_BYTES},
    };
    size_t row_count = sizeof rows / sizeof rows[0];
    struct figures figures[sizeof rows / sizeof rows[0]][2];
    for (size_t i = 0; i < row_count; i++) {
        measure_row(&rows[i], floor);
        figures[i][0] = figures_of(rows[i].swap_us, rows[i].floor_swap_us, rows[i].samples);
        figures[i][1] = figures_of(rows[i].blackout_us, rows[i].floor_blackout_us, rows[i].samples);
    }
    floor_destroy(floor);
    if (arguments.json) {
        show_json(&arguments, rows, row_count, figures);
    } else {
        show_table(rows, row_count, figures);
    }
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        die("standard output", -EIO);
    }
    for (size_t i = 0; i < row_count; i++) {
        free(rows[i].swap_us);
    }
    must("ant_shutdown", ant_shutdown(NULL));
    return 0;
}
