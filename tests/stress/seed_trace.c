/*
 * Prints the trace of seeds of the small model, so that two builds can be compared byte for byte (same_trace.sh).
 *
 *     seed_trace SEED...
 *
 * Exit status 1 if a promise was broken; what was broken goes to standard error.
 */
#include "stress_seed.h"

#include <unistd.h>

static bool print_seed(uint64_t seed)
{
    struct seed_outcome outcome;

    seed_run(seed, STDOUT_FILENO, &outcome);
    for (uint32_t i = 0; i < atomic_load(&stress_record.written); i++) {
        fprintf(stderr, "seed %" PRIu64 ": %s\n", seed, stress_record.text[i]);
    }
    bool clean = atomic_load(&stress_record.count) == 0;
    stress_forget();
    return clean;
}

int main(int count, char **arguments)
{
    bool clean = count > 1;

    if (!clean) {
        fprintf(stderr, "usage: %s SEED...\n", arguments[0]);
    }
    for (int i = 1; i < count; i++) {
        printf("seed %s\n", arguments[i]);
        fflush(stdout);
        clean = print_seed(strtoull(arguments[i], NULL, 10)) && clean;
    }
    return clean ? 0 : 1;
}
