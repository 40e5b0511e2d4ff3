/* The jitter of this machine: see jitter.h. */
#include "jitter.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { ROUNDS = 2000 };

static _Atomic bool over;

/* Four fifths of the time: with more the kernel would throttle it, and that is no jitter. */
static int load_main(void *arg)
{
    uint64_t next_ns = ant_now();
    (void)arg;
    while (!atomic_load(&over)) {
        next_ns += ANT_NS_PER_MS;
        if (ant_work(ANT_NS_PER_MS / 5 * 4) != 0 || ant_sleep(next_ns) != 0) {
            break;
        }
    }
    return 0;
}

static int by_size(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* The calling process is the one that sleeps. */
static int sample(const struct paper_params *params, uint64_t *late_ns)
{
    struct ant_process_options load = {.name = "load", .priority = params->server_priority};
    ant_pid pid;
    atomic_store(&over, false);
    int error = ant_process_create(&load, load_main, NULL, &pid);
    if (error != 0) {
        return error;
    }
    uint64_t due_ns = ant_now();
    for (size_t i = 0; i < ROUNDS && error == 0; i++) {
        due_ns += ANT_NS_PER_MS;
        error = ant_sleep(due_ns);
        uint64_t now_ns = ant_now();
        late_ns[i] = now_ns - due_ns;
        if (now_ns > due_ns + ANT_NS_PER_MS) {
            due_ns = now_ns; /* it does not run after the time that it has lost */
        }
    }
    atomic_store(&over, true);
    ant_wait(pid, ANT_FOREVER, NULL);
    return error;
}

int paper_jitter_measure(const struct paper_params *params, struct paper_jitter *jitter)
{
    struct ant_config config = {.machine = ANT_MACHINE_AUTO,
                                .log = ANT_LOG_ERROR,
                                .pool_bytes = (size_t)2 << 20,
                                .max_processes = 4,
                                .priority = ANT_PRIORITY_MAX};
    uint64_t *late_ns = calloc(ROUNDS, sizeof *late_ns);
    if (late_ns == NULL) {
        return -ENOMEM;
    }
    int error = ant_boot(&config);
    if (error == 0) {
        error = sample(params, late_ns);
        ant_shutdown(NULL);
    }
    if (error == 0) {
        qsort(late_ns, ROUNDS, sizeof *late_ns, by_size);
        jitter->p999_ns = late_ns[ROUNDS * 999 / 1000 - 1]; /* two of 2,000 were later */
        jitter->max_ns = late_ns[ROUNDS - 1];
    }
    free(late_ns);
    return error;
}
