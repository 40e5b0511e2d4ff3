/* ctest: movers=strict,flat no-core */
/*
 * A thousand seeds of the small model on the virtual machine: promises 1 to 4 hold in each, the same seed gives the same
 * trace byte for byte, different seeds give different traces. (no-core: it wants no real-time processor for itself.)
 */
#include "stress_seed.h"

#include <sys/mman.h>
#include <unistd.h>

#define SEEDS 1000u
#define AGAIN_ONE_IN 10u /* of the seeds, one in so many is run twice */

static int new_file(void)
{
    int fd = memfd_create("trace", MFD_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

/* Where two texts differ first, for whoever must find out why. */
static void show_difference(uint64_t seed, int first, int second)
{
    FILE *a = fdopen(dup(first), "r"), *b = fdopen(dup(second), "r");
    char line[2][256] = {"", ""};
    unsigned number = 0;

    rewind(a);
    rewind(b);
    do {
        number++;
        if (fgets(line[0], sizeof line[0], a) == NULL) {
            line[0][0] = '\0';
        }
        if (fgets(line[1], sizeof line[1], b) == NULL) {
            line[1][0] = '\0';
        }
    } while (line[0][0] != '\0' && strcmp(line[0], line[1]) == 0);
    print_error("seed %" PRIu64 ", line %u:\n  %s  %s", seed, number, line[0], line[1]);
    fclose(a);
    fclose(b);
}

static bool same_bytes(int first, int second)
{
    off_t size = lseek(first, 0, SEEK_END);

    if (size != lseek(second, 0, SEEK_END) || size <= 0) {
        return false;
    }
    void *a = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, first, 0);
    void *b = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, second, 0);
    bool same = a != MAP_FAILED && b != MAP_FAILED && memcmp(a, b, (size_t)size) == 0;
    munmap(a, (size_t)size);
    munmap(b, (size_t)size);
    return same;
}

static void run_again(uint64_t seed, int first, uint64_t hash)
{
    struct seed_outcome outcome;
    int second = new_file();

    seed_run(seed, second, &outcome);
    if (outcome.hash != hash || !same_bytes(first, second)) {
        show_difference(seed, first, second);
        STRESS_FAIL("seed %" PRIu64 " gives another trace the second time", seed);
    }
    close(second);
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void a_thousand_seeds_keep_the_promises(void **unused)
{
    (void)unused;
    static uint64_t hashes[SEEDS];
    uint32_t seeds = stress_size(SEEDS, 20);
    struct seed_outcome outcome, sum = {0};

    for (uint32_t seed = 1; seed <= seeds; seed++) {
        int file = new_file();
        seed_run(seed, file, &outcome);
        hashes[seed - 1] = outcome.hash;
        sum.swaps += outcome.swaps;
        sum.rollbacks += outcome.rollbacks;
        sum.events += outcome.events;
        sum.ledger.sent += outcome.ledger.sent;
        sum.ledger.answered += outcome.ledger.answered;
        sum.ledger.withdrawn += outcome.ledger.withdrawn;
        sum.ledger.late += outcome.ledger.late;
        if (seed % AGAIN_ONE_IN == 0) {
            run_again(seed, file, outcome.hash);
        }
        close(file);
        if (atomic_load(&stress_record.count) > 0) {
            print_error("seed %u\n", seed);
            stress_assert_clean();
        }
    }
    qsort(hashes, seeds, sizeof hashes[0], compare_hashes);
    for (uint32_t i = 1; i < seeds; i++) {
        assert_true(hashes[i] != hashes[i - 1]);
    }
    print_message("%u seeds: %u swaps, %u rollbacks, %" PRIu64 " requests, %" PRIu64
                  " answered (%" PRIu64 " late), %" PRIu64 " withdrawn, %zu events\n",
                  seeds, sum.swaps, sum.rollbacks, sum.ledger.sent, sum.ledger.answered,
                  sum.ledger.late, sum.ledger.withdrawn, sum.events);
    assert_true(sum.swaps > seeds && sum.rollbacks > seeds && sum.ledger.withdrawn > seeds / 4 &&
                sum.ledger.late > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_thousand_seeds_keep_the_promises)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
