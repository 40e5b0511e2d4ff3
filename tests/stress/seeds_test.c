/* ctest: movers=strict,strict-mremap,flat,copy no-core */
/*
 * A thousand seeds of the small model on the virtual machine: promises 1 to 4 hold in each, the same seed gives the same
 * trace byte for byte, different seeds give different traces, and so do different orders of one and the same model.
 * (no-core: it wants no real-time processor for itself.)
 */
#include "stress_seed.h"

#include <sys/mman.h>
#include <unistd.h>

#define SEEDS 1000u
#define ORDERS 200u
#define ONE_MODEL                                                                                  \
    16u /* five clients, so equals to draw among; swaps, rollbacks, requests that are withdrawn */

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

/* -> the hash of its trace, which is the same text both times. Adds what came of the first run to sum. */
static uint64_t run_twice(uint64_t model, uint64_t order, struct seed_outcome *sum)
{
    struct seed_outcome outcome, again;
    int first = new_file(), second = new_file();

    seed_run(model, order, first, &outcome);
    seed_run(model, order, second, &again);
    if (again.hash != outcome.hash || !same_bytes(first, second)) {
        show_difference(order, first, second);
        STRESS_FAIL("seed %" PRIu64 " gives another trace the second time", order);
    }
    close(first);
    close(second);
    if (atomic_load(&stress_record.count) > 0) {
        print_error("model %" PRIu64 ", seed %" PRIu64 "\n", model, order);
        stress_assert_clean();
    }
    sum->swaps += outcome.swaps;
    sum->rollbacks += outcome.rollbacks;
    sum->events += outcome.events;
    sum->ledger.sent += outcome.ledger.sent;
    sum->ledger.answered += outcome.ledger.answered;
    sum->ledger.withdrawn += outcome.ledger.withdrawn;
    sum->ledger.late += outcome.ledger.late;
    sum->ledger.probed_sent += outcome.ledger.probed_sent;
    sum->ledger.probed_freed += outcome.ledger.probed_freed;
    return outcome.hash;
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static uint32_t count_different(uint64_t *hashes, uint32_t count)
{
    uint32_t different = 1;

    qsort(hashes, count, sizeof hashes[0], compare_hashes);
    for (uint32_t i = 1; i < count; i++) {
        different += hashes[i] != hashes[i - 1];
    }
    return different;
}

/* Promise 3: were stale addresses probed? With `flat` there is no such promise. */
static void assert_probed(const struct seed_outcome *sum)
{
    const char *mover = getenv("ANT_MOVER");
    bool strict = mover == NULL || strcmp(mover, "flat") != 0;

    print_message("stale accesses: %" PRIu64 " to what was sent, %" PRIu64 " to what was freed\n",
                  sum->ledger.probed_sent, sum->ledger.probed_freed);
    assert_int_equal(sum->ledger.probed_sent > sum->ledger.sent / 10, strict);
    assert_int_equal(sum->ledger.probed_freed > sum->ledger.sent, strict);
}

static void a_thousand_seeds_keep_the_promises(void **unused)
{
    (void)unused;
    static uint64_t hashes[SEEDS];
    uint32_t seeds = stress_size(SEEDS, 20);
    struct seed_outcome sum = {0};

    for (uint32_t i = 0; i < seeds; i++) {
        hashes[i] = run_twice(i + 1, i + 1, &sum);
    }
    print_message("%u seeds: %u swaps, %u rollbacks, %" PRIu64 " requests, %" PRIu64
                  " answered (%" PRIu64 " late), %" PRIu64 " withdrawn, %zu events\n",
                  seeds, sum.swaps, sum.rollbacks, sum.ledger.sent, sum.ledger.answered,
                  sum.ledger.late, sum.ledger.withdrawn, sum.events);
    assert_int_equal(count_different(hashes, seeds), seeds);
    assert_true(sum.swaps > seeds && sum.rollbacks > seeds && sum.ledger.withdrawn > seeds / 4 &&
                sum.ledger.late > 0);
    assert_probed(&sum);
}

static void orders_of_one_model_keep_the_promises_and_differ(void **unused)
{
    (void)unused;
    static uint64_t hashes[ORDERS];
    uint32_t orders = stress_size(ORDERS, 20);
    struct seed_outcome sum = {0};

    for (uint32_t i = 0; i < orders; i++) {
        hashes[i] = run_twice(ONE_MODEL, i + 1, &sum);
    }
    uint32_t different = count_different(hashes, orders);
    print_message("%u seeds of one model: %u traces\n", orders, different);
    assert_true(different >= orders - orders / 20); /* that the draws among equals agree is a rare chance */
    assert_probed(&sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_seeds_keep_the_promises),
        cmocka_unit_test(orders_of_one_model_keep_the_promises_and_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
