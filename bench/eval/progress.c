/* Progress on stderr: see progress.h. */
#include "progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { TIME_BYTES = 16 };

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

const char *progress_time(double s, char *text)
{
    unsigned seconds = (unsigned)(s + 0.5);
    if (seconds < 3600) {
        snprintf(text, TIME_BYTES, "%u:%02u", seconds / 60, seconds % 60);
    } else {
        snprintf(text, TIME_BYTES, "%u:%02u:%02u", seconds / 3600 % 10000, seconds / 60 % 60,
                 seconds % 60);
    }
    return text;
}

static void show(const struct progress *progress, const struct run *run)
{
    char elapsed[TIME_BYTES], left[TIME_BYTES] = "?";
    double s = now_s() - progress->begin_s;
    const struct point *point = run->point;

    if (progress->weight_done > 0) {
        progress_time(s * (progress->weight / progress->weight_done - 1), left);
    }
    fprintf(stderr, "%s%zu of %zu runs, %s, %s left: E = %u, R = %u, n = %u, %s%s",
            progress->terminal ? "\r\033[K" : "", progress->done, progress->count,
            progress_time(s, elapsed), left, point->exec_ms, point->result_ms, point->clients,
            sweep_kind_title(run->kind), progress->terminal ? "" : "\n");
}

void progress_init(struct progress *progress, const struct run *runs, size_t count)
{
    *progress = (struct progress){
        .terminal = isatty(STDERR_FILENO) == 1,
        .count = count,
        .begin_s = now_s(),
    };
    for (size_t i = 0; i < count; i++) {
        progress->weight += runs[i].weight;
    }
}

void progress_begin(struct progress *progress, const struct run *run)
{
    progress->latest = run;
    progress_tick(progress);
}

void progress_done(struct progress *progress, const struct run *run)
{
    progress->done++;
    progress->weight_done += run->weight;
    if (!progress->terminal) {
        show(progress, run);
    }
}

void progress_tick(struct progress *progress)
{
    if (progress->terminal && progress->latest != NULL) {
        show(progress, progress->latest);
    }
}

void progress_clear(const struct progress *progress)
{
    if (progress->terminal) {
        fprintf(stderr, "\r\033[K");
    }
}

double progress_end(struct progress *progress)
{
    progress_clear(progress);
    return now_s() - progress->begin_s;
}
