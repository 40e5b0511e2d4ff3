/*
 * Shows the traces of seeds of the small model, so that two builds can be compared byte for byte (same_trace.sh).
 *
 *     seed_trace SEED          the text of its trace
 *     seed_trace FIRST LAST    a line for each seed: how many bytes its text has, and their hash
 *
 * Exit status 1 if a promise was broken; what was broken goes to standard error. 77: this kernel has not the mover.
 */
#include "stress_seed.h"

#include <sys/mman.h>
#include <unistd.h>

/* -> was every promise kept? */
static bool run(uint64_t seed, int file, struct seed_outcome *outcome)
{
    seed_run(seed, seed, file, outcome);
    for (uint32_t i = 0; i < atomic_load(&stress_record.written) && i < STRESS_KEPT; i++) {
        fprintf(stderr, "seed %" PRIu64 ": %s\n", seed, stress_record.text[i]);
    }
    bool clean = atomic_load(&stress_record.count) == 0;
    stress_forget();
    return clean;
}

static bool show_line(uint64_t seed)
{
    struct seed_outcome outcome;
    int file = memfd_create("trace", MFD_CLOEXEC);
    bool clean = run(seed, file, &outcome);

    printf("%" PRIu64 " %lld %016" PRIx64 "\n", seed, (long long)lseek(file, 0, SEEK_END), outcome.hash);
    close(file);
    return clean;
}

int main(int count, char **arguments)
{
    struct seed_outcome outcome;
    bool clean = true;

    if (count != 2 && count != 3) {
        fprintf(stderr, "usage: %s SEED | FIRST LAST\n", arguments[0]);
        return 1;
    }
    uint64_t first = strtoull(arguments[1], NULL, 10);
    if (count == 2) {
        return run(first, STDOUT_FILENO, &outcome) ? 0 : 1;
    }
    uint64_t last = strtoull(arguments[2], NULL, 10);
    for (uint64_t seed = first; seed <= last; seed++) {
        clean = show_line(seed) && clean;
    }
    return clean ? 0 : 1;
}
