/* The report for people. */
#include "demo.h"

#include "file_server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES = 32 };

/* 1234567 as 1,234,567; text has room for NUMBER_BYTES. */
static const char *commas(uint64_t number, char *text)
{
    char digits[NUMBER_BYTES];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, number);
    char *end = text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            *end++ = ',';
        }
        *end++ = digits[i];
    }
    *end = '\0';
    return text;
}

/* A number that Linux tells in a file; -1 if it does not. */
static long setting(const char *path)
{
    char text[NUMBER_BYTES];
    long value = -1;
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(text, sizeof text, file) != NULL) {
            value = strtol(text, NULL, 10);
        }
        (void)fclose(file);
    }
    return value;
}

/* What Linux may do to real-time threads belongs to every measurement of them. */
static void print_throttling(void)
{
    long runtime_us = setting("/proc/sys/kernel/sched_rt_runtime_us");
    long period_us = setting("/proc/sys/kernel/sched_rt_period_us");
    if (runtime_us >= 0 && runtime_us < period_us) {
        printf("throttle  Linux may take %ld us of every %ld from busy real-time threads (sched_rt_runtime_us)\n",
               period_us - runtime_us, period_us);
    } else {
        printf("throttle  none (sched_rt_runtime_us %ld)\n", runtime_us);
    }
}

void report_begin(const struct demo *demo)
{
    const struct options *options = &demo->options;
    char bytes[NUMBER_BYTES], block[NUMBER_BYTES];

    printf("machine   %s: %s\n", demo->machine, demo->machine_reason);
    if (demo->is_fifo) {
        print_throttling();
    }
    printf("mover     %s: %s\n", demo->mover, demo->mover_reason);
    printf("kernel    %s\n", demo->kernel);
    printf("file      %s, %s bytes, in blocks of %s\n", options->file,
           commas(demo->file_bytes, bytes), commas(options->block_bytes, block));
    if (options->disk_us > 0) {
        printf("disk      takes %" PRIu64
               " us for each block, though Linux has it in memory (--disk-us)\n",
               options->disk_us);
    } else {
        printf("disk      as fast as Linux reads the file (--disk-us 0)\n");
    }
    printf("clients   %u: %u call and wait, %u keep up to %d requests out\n", options->clients,
           (options->clients + 1) / 2, options->clients / 2, WINDOW);
    printf("swaps     %u: version 1 (no cache), version 2 (cache of %d blocks in its state), and back\n\n",
           options->swaps, CACHE_BLOCKS);
    fflush(stdout);
}

static const char *const step_texts[] = {
    [ANT_SWAP_REQUEST] = "the requester asks for the swap",
    [ANT_SWAP_CREATE] = "the new server is created",
    [ANT_SWAP_NOTIFY] = "the old server is notified, and woken",
    [ANT_SWAP_LOOK] = "it sees the notice, before any request or result",
    [ANT_SWAP_WAKE_REQUESTER] = "it gives up its loop, wakes the requester; blackout begins",
    [ANT_SWAP_START] = "the new server starts: transformer, then start",
    [ANT_SWAP_REGISTER] = "it asks to be registered",
    [ANT_SWAP_HAND_OVER] = "it takes over everything: the point of no return",
    [ANT_SWAP_WAKE_OLD] = "the old server is woken",
    [ANT_SWAP_WAKE_AGAIN] = "the requester is woken",
    [ANT_SWAP_RETURN] = "the requester's call returns: the swap time ends",
    [ANT_SWAP_EXIT] = "the old server has ended",
};

static void print_steps(const struct ant_swap_report *swap)
{
    char title[64];
    snprintf(title, sizeof title, "The median swap (version %u to %u), step by step",
             swap->old_version, swap->new_version);
    printf("%-81s %8s\n", title, "at, us");
    for (int step = ANT_SWAP_REQUEST; step <= ANT_SWAP_EXIT; step++) {
        const char *name = ant_swap_step_name((enum ant_swap_step)step);
        printf("  %2d  %-15s %-59s", step, name, step_texts[step]);
        if (swap->step_time_ns[step] != 0) {
            double us =
                (double)(swap->step_time_ns[step] - swap->step_time_ns[ANT_SWAP_REQUEST]) / 1000.0;
            printf(" %8.1f\n", us);
        } else {
            printf(" %8s\n", "-");
        }
    }
    printf("  of its swap time: the swap itself %.1f, the old server finishing a request %.1f or a result %.1f,\n"
           "  others of higher priority %.1f\n\n",
           (double)swap->base_ns / 1000.0, (double)swap->request_work_ns / 1000.0,
           (double)swap->result_work_ns / 1000.0, (double)swap->higher_priority_ns / 1000.0);
}

static void print_summary(const char *name, struct samples *samples)
{
    struct summary summary = samples_summary(samples);
    char count[NUMBER_BYTES];
    printf("  %-29s %11s", name, commas(summary.count, count));
    if (summary.count > 0) {
        printf(" %10.1f %10.1f %10.1f %10.1f\n", summary.min_us, summary.median_us, summary.p99_us,
               summary.max_us);
    } else {
        printf(" %10s %10s %10s %10s\n", "-", "-", "-", "-");
    }
}

/* Version 2 has answers at once from its cache, and its disk is less busy: so the versions are told apart. */
static void print_times(const struct demo *demo, struct totals *totals)
{
    char title[NUMBER_BYTES];
    snprintf(title, sizeof title, "Times in us%s",
             demo->is_virtual ? ", of a virtual clock"
             : demo->is_fifo  ? ""
                              : ", not real-time");
    printf("%-31s %11s %10s %10s %10s %10s\n", title, "count", "minimum", "median", "p99", "maximum");
    print_summary("swap time", &totals->swap);
    print_summary("blackout: nobody serves", &totals->blackout);
    print_summary("response time without swaps", &totals->response_calm);
    print_summary("response time with swaps", &totals->response_swapping);
    print_summary("  answered by version 1", &totals->response_of[1]);
    print_summary("  answered by version 2", &totals->response_of[2]);
    printf("\n");
}

static void print_swaps(const struct demo *demo, const struct totals *totals)
{
    const struct ant_swap_report *rollback = &demo->rollback;
    char requests[NUMBER_BYTES], results[NUMBER_BYTES], service[NUMBER_BYTES], out[NUMBER_BYTES];

    printf("swaps         %u of %u, %u of them under load; state transformed to version 2 %u times, back %u times\n",
           demo->swaps, demo->options.swaps, totals->under_load, totals->to_v2, totals->to_v1);
    printf("handed over   %s requests queued, %s results queued, %s requests in service, %s out at the disk\n",
           commas(totals->queued_requests, requests), commas(totals->queued_results, results),
           commas(totals->in_service, service), commas(totals->outstanding, out));
    if (demo->rollbacks > 0) {
        const char *error = strerrorname_np(-rollback->error);
        printf("rolled back   %u, to a version that does not start: -%s in step %d (%s); after %.1f us the old one went on\n",
               demo->rollbacks, error != NULL ? error : "?", (int)rollback->step,
               ant_swap_step_name(rollback->step), (double)rollback->blackout_ns / 1000.0);
    }
}

static void print_requests(const struct demo *demo, const struct totals *totals)
{
    char sent[NUMBER_BYTES], answered[NUMBER_BYTES], v1[NUMBER_BYTES], v2[NUMBER_BYTES],
        cached[NUMBER_BYTES];
    char rounds[NUMBER_BYTES], text[HEX_BYTES];
    uint64_t wrong = 0;

    printf("requests      sent %s, answered %s, lost %" PRIu64 ", duplicated %" PRIu64
           ", out of order %" PRIu64 "\n",
           commas(totals->sent, sent), commas(totals->answered, answered),
           totals->sent > totals->answered ? totals->sent - totals->answered : 0,
           totals->duplicated, totals->overtaken);
    printf("answered by   version 1: %s, version 2: %s, of those from its cache: %s\n",
           commas(totals->by_version[1], v1), commas(totals->by_version[2], v2),
           commas(totals->cached, cached));
    for (unsigned i = 0; i < demo->options.clients; i++) {
        wrong += demo->clients[i].wrong_rounds;
    }
    printf("file read     %s times, ", commas(totals->rounds, rounds));
    if (wrong > 0) {
        printf("%s times NOT with ", commas(wrong, text));
    } else {
        printf("every time with ");
    }
    printf("the SHA-256 of the file itself:\n              %s\n", demo_hex(demo->sha256, text));
    printf("shutdown      %u processes abandoned, %u requests unanswered, %u areas held\n\n",
           demo->shutdown.processes_abandoned, demo->shutdown.requests_unanswered,
           demo->shutdown.areas_held);
}

void report_end(const struct demo *demo, struct totals *totals)
{
    if (totals->median != NULL) {
        print_steps(totals->median);
    }
    print_times(demo, totals);
    print_swaps(demo, totals);
    print_requests(demo, totals);
    fflush(stdout);
}
