/*
 * libant's speed: each row beside the physical limit and the peers, measured in the same run, in turns.
 *
 * How it is measured
 * - Limits, peers and ours are subjects (limits/subject.h) of a group, which share one core, one CPU, one policy and the same
 *   relative priorities: the caller of all of them is one thread, the group's first process, and who answers it (a server
 *   of ours, or the thread of a limit or a peer) is above it, equal or below as the group says.
 * - The subjects of a group take turns, fifty times, and each time another begins: so all see the same weather. A turn is an
 *   equal part of a subject's samples.
 * - What takes a microsecond or more is timed one by one, what is faster in batches of a hundred (of 64 for asynchronous
 *   requests), by CLOCK_MONOTONIC; what a look at the clock takes is measured at the start and taken off.
 * - Before the turns come warm-ups (20 samples, fewer of what is slow), which are dropped. Nothing else is left out.
 * - Shown are the median and the 99th percentile of all samples; ratios are of medians. For rates, p99 is the rate that 99 of
 *   100 samples reach.
 *
 * What is the same on both sides
 * - 64 bytes: the client writes every word of them, the server reads them and writes an answer of 64 bytes, the client reads
 *   it. Peers get and give them by their own calls; where a peer can pass a message on without copying it, it does.
 *   The futex round trip that is the limit of these rows carries nothing at all. (futex_move_64 moves a page with them.)
 * - 1 MiB: the same with one word of each page, in another cache line each (subject.h says why); so what is measured is the
 *   handing over, to somebody who looks at every page of it. The data goes there and back, also with the peers. Here the
 *   limits touch the data in the same way: with futex_1m it lies in a shared area, with futex_move_1m it moves.
 * - Clearing: pages that another thread of the same CPU has just written, as those that another process has just freed.
 * - Rows on two CPUs, and their limits, have the same two; and what runs on both at once also says on standard error if other
 *   programs wanted a processor (quiet.h).
 * - A swap's floor creates a thread in each sample, whether the core has a warm one or not.
 *
 * `--check` measures everything five times and judges the medians of the five, as one run of a noisy machine proves nothing.
 */
#include "figures.h"
#include "sampling.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { CHECK_RUNS = 5 };

/* The last CPU that we may run on, as the library would take, and another one. */
static void find_cpus(struct place *place)
{
    cpu_set_t allowed;

    place->cpu = place->other_cpu = -1;
    limit_must(sched_getaffinity(0, sizeof allowed, &allowed) == 0, "sched_getaffinity");
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && place->other_cpu < 0; cpu--) {
        if (CPU_ISSET((size_t)cpu, &allowed)) {
            *(place->cpu < 0 ? &place->cpu : &place->other_cpu) = cpu;
        }
    }
}

/* What the library takes here: fifo if it is permitted, or what ANT_MACHINE says. False: it is no use. */
static bool find_machine(struct place *place)
{
    struct ant_info info;
    int error = ant_boot(&(struct ant_config){.log = ANT_LOG_ERROR, .mover = ANT_MOVER_FLAT});

    if (error == 0) {
        error = ant_info(&info);
    }
    if (error != 0) {
        fprintf(stderr, "speed: no core boots here: %s\n", ant_strerror(error));
        return false;
    }
    place->machine = info.machine;
    snprintf(place->reason, sizeof place->reason, "%s", info.machine_reason);
    place->clock_ns = sampling_clock_ns(); /* where and as all the rest is measured */
    ant_shutdown(NULL);
    if (place->machine == ANT_MACHINE_VIRTUAL) {
        fprintf(stderr, "speed: on the virtual machine calls take no time\n");
        return false;
    }
    if (place->machine != ANT_MACHINE_FIFO) {
        fprintf(stderr, "speed: NOT REAL-TIME: measured on the machine other (%s); no target is judged\n",
                place->reason);
    }
    return true;
}

static bool all_measured(const struct figures *figures)
{
    bool all = true;

    for (size_t at = 0; at < figures->count; at++) {
        all = all && (figures->at[at].measured || !figures->at[at].wanted);
    }
    return all;
}

static int show(const struct options *options, const struct place *place)
{
    struct figures figures;

    figures_measure(&figures, options, place);
    (options->json ? figures_json : figures_table)(&figures, place);
    int status = all_measured(&figures) ? 0 : 1;
    figures_free(&figures);
    return status;
}

static int check(const struct options *options, const struct place *place)
{
    struct figures runs[CHECK_RUNS], median;
    unsigned targets;

    if (place->machine != ANT_MACHINE_FIFO) {
        fprintf(stderr, "speed: the targets are for the machine fifo, which is not to be had here: %s\n",
                place->reason);
        return 1;
    }
    for (int run = 0; run < CHECK_RUNS; run++) {
        fprintf(stderr, "speed: run %d of %d\n", run + 1, CHECK_RUNS);
        figures_measure(&runs[run], options, place);
    }
    figures_median(&median, runs, CHECK_RUNS);
    figures_table(&median, place);
    unsigned holding = figures_holding(&median, &targets);
    printf("\n%u of %u targets hold\n", holding, targets);
    for (int run = 0; run < CHECK_RUNS; run++) {
        figures_free(&runs[run]);
    }
    figures_free(&median);
    return holding == targets ? 0 : 1;
}

int main(int count, char **values)
{
    struct options options;
    struct place place;

    options_parse(&options, count, values);
    find_cpus(&place);
    if (!find_machine(&place)) {
        return 1;
    }
    int status = (options.check ? check : show)(&options, &place);
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        fprintf(stderr, "speed: standard output: %s\n", strerror(errno));
        return 1;
    }
    return status;
}
