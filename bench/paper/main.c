/*
 * The paper's evaluation, one configuration: a run of the model without swaps, one with them, and what came of both.
 *
 * The phases: the command line; the files that were asked for, before anything runs; on the real clock, how late this
 * machine is; the run without swaps; t0, which that run gives; the run with swaps; output.
 */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NO_FILE = -1 };

static uint64_t now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * ANT_NS_PER_S + (uint64_t)time.tv_nsec;
}

/* Says so if there is an error. */
static bool is_fine(const char *what, int error)
{
    if (error != 0) {
        fprintf(stderr, "paper: %s: %s\n", what, ant_strerror(error));
    }
    return error == 0;
}

/* Returns NO_FILE for none; ends the program if it cannot be had. */
static int create_file(const char *option, const char *path)
{
    if (path == NULL) {
        return NO_FILE;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        fprintf(stderr, "paper: %s: %s: %s\n", option, path, strerror(errno));
        exit(EXIT_FAILURE);
    }
    return fd;
}

/* --- Runs ---------------------------------------------------------------------------------------------------------------- */

static bool run_model(const struct evaluation *evaluation, unsigned swaps, int trace_fd,
                      struct paper_run *run)
{
    const struct paper_params *params = &evaluation->options->params;
    uint64_t late_ns = params->real ? evaluation->jitter.max_ns : 0;
    int error = paper_run(params, swaps, evaluation->t0_ns, params->io_wait_ns + late_ns, trace_fd, run);

    if (error == -ETIMEDOUT) {
        fprintf(stderr,
                "paper: with these priorities some process never gets the processor: there is no end to it\n");
        return false;
    }
    if (!is_fine(swaps > 0 ? "the run with swaps" : "the run without swaps", error)) {
        return false;
    }
    if (run->swap_errors > 0) {
        fprintf(stderr, "paper: %u of %u swaps failed, the first with: %s\n", run->swap_errors,
                swaps, ant_strerror(run->swap_error));
        return false;
    }
    return true;
}

static bool run_all(struct evaluation *evaluation, int trace_fd)
{
    const struct paper_params *params = &evaluation->options->params;
    bool swapping = params->swaps > 0;

    if (params->real &&
        !is_fine("the measurement of jitter", paper_jitter_measure(params, &evaluation->jitter))) {
        return false;
    }
    if (!run_model(evaluation, 0, swapping ? NO_FILE : trace_fd, &evaluation->calm)) {
        return false;
    }
    if (params->t0_given) {
        evaluation->t0_ns = params->t0_ns;
    } else {
        evaluation->t0_ns =
            params->clients > 0 ? paper_longest_ns(&evaluation->calm) : paper_unloaded_ns(params);
    }
    return !swapping || run_model(evaluation, params->swaps, trace_fd, &evaluation->busy);
}

/* --- Output -------------------------------------------------------------------------------------------------------------- */

static void warn(const struct evaluation *evaluation, const struct figures *figures)
{
    if (evaluation->options->params.real && !figures->real_time) {
        fprintf(stderr, "paper: these numbers are NOT real-time, as the machine is %s: %s\n",
                figures->run->machine_name, figures->run->machine_reason);
    }
    if (!figures->has_bound) {
        fprintf(stderr, "paper: no bound: %s\n", report_why_no_bound(evaluation, figures));
    }
    if (figures->ledger.lost > 0 || figures->ledger.duplicated > 0) {
        fprintf(stderr, "paper: %" PRIu64 " requests lost, %" PRIu64 " duplicated\n",
                figures->ledger.lost, figures->ledger.duplicated);
    }
}

static bool print(const struct evaluation *evaluation, const struct figures *figures)
{
    bool written = true;

    if (evaluation->options->json) {
        written = report_json(evaluation, figures) == 0;
    } else {
        report_text(evaluation, figures);
    }
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        fprintf(stderr, "paper: standard output could not be written\n");
        written = false;
    }
    return written;
}

/* Whether all was written, and every request answered once. */
static bool output(struct evaluation *evaluation, uint64_t begin_ns, int samples_fd)
{
    struct figures figures;

    if (!is_fine("the figures", figures_of(evaluation, &figures))) {
        return false;
    }
    warn(evaluation, &figures);
    bool written =
        samples_fd == NO_FILE || is_fine("--samples", report_samples(evaluation, samples_fd));
    evaluation->wall_ns = now_ns() - begin_ns;
    written = print(evaluation, &figures) && written;
    return written && figures.ledger.lost == 0 && figures.ledger.duplicated == 0;
}

int main(int argc, char **argv)
{
    uint64_t begin_ns = now_ns();
    struct options options;
    struct evaluation evaluation = {.options = &options};

    options_parse(&options, argc, argv);
    int samples_fd = create_file("--samples", options.samples_path);
    int trace_fd = create_file("--trace", options.trace_path);
    bool fine = run_all(&evaluation, trace_fd);
    if (trace_fd != NO_FILE && close(trace_fd) != 0) {
        fine = is_fine("--trace", -errno);
    }
    fine = fine && output(&evaluation, begin_ns, samples_fd);
    paper_run_fini(&evaluation.busy);
    paper_run_fini(&evaluation.calm);
    return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}
