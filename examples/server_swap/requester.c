/*
 * The requester: has the file server replaced again and again, under whatever load there is.
 *
 * The pauses are drawn evenly from a range, so that a swap meets the server in whatever it happens to be doing.
 */
#include "demo.h"
#include "file_server.h"

#include <errno.h>
#include <stdio.h>

static const uint64_t least_pause_ns = 1 * ANT_NS_PER_MS;
static const uint64_t most_pause_ns = 9 * ANT_NS_PER_MS;

/* The next of a sequence of random numbers (splitmix64). */
static uint64_t draw(uint64_t *random)
{
    uint64_t z = *random += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static void pause_for(uint64_t ns)
{
    (void)ant_sleep(ant_now() + ns);
}

/* Step 12 may come after the requester's call has returned: it is looked up a little later. */
static void complete(struct ant_swap_report *report)
{
    struct ant_swap_report last;
    for (int i = 0; i < 100; i++) {
        if (ant_swap_last(FN_FILE, &last) != 0 || last.generation != report->generation) {
            return;
        }
        if (last.step_time_ns[ANT_SWAP_EXIT] != 0) {
            *report = last;
            return;
        }
        pause_for(ANT_NS_PER_MS);
    }
}

/* It must fail, and leave everything as it was. */
static bool try_broken_version(struct demo *demo)
{
    int error = ant_swap(FN_FILE, &file_server_broken, NULL, &demo->rollback);
    if (error == 0) {
        return !demo_failed(demo, "the version that does not start has started", -EINVAL);
    }
    demo->rollbacks++;
    return true;
}

void requester_swap_all(struct demo *demo)
{
    uint64_t random = demo->options.seed;
    for (unsigned i = 0; i < demo->options.swaps; i++) {
        struct ant_swap_report *report = &demo->reports[i];
        pause_for(least_pause_ns + draw(&random) % (most_pause_ns - least_pause_ns));
        if (i > 0) {
            complete(&demo->reports[i - 1]);
        }
        if (i == demo->options.swaps / 2) {
            if (!try_broken_version(demo)) {
                return;
            }
            pause_for(least_pause_ns);
        }
        const struct ant_program *next = i % 2 == 0 ? &file_server_v2 : &file_server_v1;
        if (demo_failed(demo, "a swap failed", ant_swap(FN_FILE, next, NULL, report))) {
            fprintf(stderr, "server_swap: swap %u failed in step %d (%s)\n", i + 1,
                    (int)report->step, ant_swap_step_name(report->step));
            return;
        }
        demo->swaps++;
        progress_show(demo, "swapping", false);
    }
    pause_for(least_pause_ns);
    if (demo->swaps > 0) {
        complete(&demo->reports[demo->swaps - 1]);
    }
}
