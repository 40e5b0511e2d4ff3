/* ctest: machines=virtual,real */
/*
 * What the demo promises to programs: one object on stdout, whose members say what was done, and a status that is 0 only
 * if all is well. How it becomes another one is verdict_test.c's.
 */
#include "run.h"

#include <nettle/sha2.h>

enum { SWAPS = 20, CLIENTS = 5 };

/* The run that most tests look at, and the members of its object. */
static struct run run;
static json_t *object;
static struct {
    const char *machine, *machine_reason, *mover, *kernel, *file, *sha256, *rollback_step;
    json_int_t clients, file_bytes, swaps_requested, swaps, swaps_under_load, rollbacks, rollback_error;
    json_int_t sent, answered, lost, duplicated;
    json_t *client_sha256, *swap_us, *blackout_us, *response_us, *steps;
} it;

struct times {
    json_int_t count;
    double min, median, p99, max;
};

static int run_the_demo(void **state)
{
    (void)state;
    RUN(&run, "--json", "--swaps", "20", "--clients", "5", "--disk-us", "500", "--file", PROGRAM);
    object = one_object(&run);
    return 0;
}

static int forget_the_run(void **state)
{
    (void)state;
    json_decref(object);
    run_fini(&run);
    return 0;
}

/* First of all: it fills `it` for the others. */
static void the_object_has_the_members_promised_and_no_other(void **state)
{
    (void)state;
    assert_unpacks(object,
                   "{s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:s, s:o, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, "
                   "s:o, s:o, s:o, s:o}",
                   "machine", &it.machine, "machine_reason", &it.machine_reason, "mover", &it.mover,
                   "kernel", &it.kernel, "clients", &it.clients, "file", &it.file, "file_bytes",
                   &it.file_bytes, "sha256", &it.sha256, "client_sha256", &it.client_sha256,
                   "swaps_requested", &it.swaps_requested, "swaps", &it.swaps, "swaps_under_load",
                   &it.swaps_under_load, "rollbacks", &it.rollbacks, "rollback_step",
                   &it.rollback_step, "rollback_error", &it.rollback_error, "requests_sent",
                   &it.sent, "requests_answered", &it.answered, "requests_lost", &it.lost,
                   "requests_duplicated", &it.duplicated, "swap_us", &it.swap_us, "blackout_us",
                   &it.blackout_us, "response_us", &it.response_us, "steps", &it.steps);
}

static void all_is_well_on_the_machine_asked_for(void **state)
{
    const char *asked = getenv("ANT_MACHINE");
    (void)state;
    if (run.status != 0 || strstr(run.err, "NOT WELL"))
        fail_msg("status %d; stderr:\n%s", run.status, run.err);
    if (asked && strcmp(asked, "auto") != 0)
        assert_string_equal(it.machine, asked);
    assert_true(it.machine_reason[0] && it.mover[0] && it.kernel[0]);
}

static void every_client_has_read_the_bytes_that_this_test_reads(void **state)
{
    struct sha256_ctx sha256;
    uint8_t digest[SHA256_DIGEST_SIZE];
    char hex[2 * SHA256_DIGEST_SIZE + 1];
    size_t bytes;
    (void)state;
    char *file = contents(fopen(PROGRAM, "re"), &bytes);
    sha256_init(&sha256);
    sha256_update(&sha256, bytes, (const uint8_t *)file);
    sha256_digest(&sha256, sizeof digest, digest);
    free(file);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);

    assert_string_equal(it.file, PROGRAM);
    assert_int_equal(it.file_bytes, bytes);
    assert_string_equal(it.sha256, hex);
    assert_int_equal(it.clients, CLIENTS);
    assert_int_equal(json_array_size(it.client_sha256), CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++)
        assert_string_equal(json_string_value(json_array_get(it.client_sha256, i)), hex);
}

static void every_request_is_answered_once(void **state)
{
    (void)state;
    assert_true(it.sent > 0);
    assert_int_equal(it.answered, it.sent);
    assert_int_equal(it.lost, 0);
    assert_int_equal(it.duplicated, 0);
}

static void all_swaps_are_done_and_the_version_that_does_not_start_is_rolled_back(void **state)
{
    (void)state;
    assert_int_equal(it.swaps_requested, SWAPS);
    assert_int_equal(it.swaps, SWAPS);
    assert_in_range(it.swaps_under_load, 0, SWAPS);
    assert_int_equal(it.rollbacks, 1);
    assert_string_equal(it.rollback_step, "start");
    assert_int_equal(it.rollback_error, -EIO);
}

static struct times times_in_order(json_t *times)
{
    struct times us;
    assert_unpacks(times, "{s:I, s:f, s:f, s:f, s:f}", "count", &us.count, "min", &us.min, "median",
                   &us.median, "p99", &us.p99, "max", &us.max);
    assert_true(0 <= us.min && us.min <= us.median && us.median <= us.p99 && us.p99 <= us.max);
    return us;
}

static void times_are_counted_and_in_order(void **state)
{
    (void)state;
    assert_int_equal(times_in_order(it.swap_us).count, SWAPS);
    assert_int_equal(times_in_order(it.blackout_us).count, SWAPS);
    assert_in_range(times_in_order(it.response_us).count, 1, it.answered); /* not those without swaps */
}

static void the_steps_are_the_twelve_of_the_median_swap(void **state)
{
    double us = 0;
    (void)state;
    assert_int_equal(json_array_size(it.steps), 12);
    for (size_t i = 0; i < 12; i++) {
        double before = us;
        const char *name;
        json_t *at;
        assert_unpacks(json_array_get(it.steps, i), "{s:s, s:o}", "name", &name, "us", &at);
        assert_string_equal(name, ant_swap_step_name((enum ant_swap_step)(i + 1)));
        if (i + 1 == ANT_SWAP_EXIT) /* at its own time: perhaps after all of the others, when nobody looks any more */
            assert_true(json_is_real(at) || json_is_null(at));
        else
            assert_true(json_is_real(at) && (us = json_real_value(at)) >= before);
    }
    assert_true(fabs(us - times_in_order(it.swap_us).median) < 0.001);
}

/* ---- other runs ---- */

/* Linux makes up another UUID for each who reads it: no client gets what the demo itself got. */
static void a_file_that_changes_is_not_well_and_the_object_tells(void **state)
{
    struct run changed;
    const char *sha256, *client_sha256;
    (void)state;
    RUN(&changed, "--json", "--swaps", "2", "--clients", "1", "--disk-us", "5000", "--file",
        "/proc/sys/kernel/random/uuid");
    assert_int_equal(changed.status, 1);
    assert_non_null(strstr(changed.err, "NOT WELL: client 1 got something else than the file"));
    json_t *report = one_object(&changed);
    assert_int_equal(
        json_unpack(report, "{s:s, s:[s]}", "sha256", &sha256, "client_sha256", &client_sha256), 0);
    assert_string_not_equal(client_sha256, sha256);
    json_decref(report);
    run_fini(&changed);
}

static void a_report_that_cannot_be_written_is_not_well(void **state)
{
    const char *const forms[] = {"--json", NULL};
    struct run unread;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        run_program(&unread, "/dev/full",
                    (const char *const[]){PROGRAM, "--swaps", "0", "--clients", "1", "--disk-us",
                                          "5000", "--file", "/proc/version", forms[i], NULL});
        assert_refused(&unread, 1);
    }
}

static void what_makes_no_sense_is_refused_with_2_and_a_file_that_cannot_be_read_with_1(void **state)
{
    static const struct {
        int status;
        const char *option, *value;
    } bad[] = {
        {2, "--nonsense", NULL}, {2, "stray", NULL},        {2, "--clients", NULL},
        {2, "--clients", "0"},   {2, "--clients", "257"},   {2, "--swaps", "twenty"},
        {2, "--swaps", "20x"},   {2, "--swaps", "-1"},      {2, "--mover", "cart"},
        {1, "--file", "/"},      {1, "--file", "/nowhere"}, {1, "--file", ""},
    };
    struct run refused;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        RUN(&refused, "--json", bad[i].option, bad[i].value);
        assert_refused(&refused, bad[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_object_has_the_members_promised_and_no_other),
        cmocka_unit_test(all_is_well_on_the_machine_asked_for),
        cmocka_unit_test(every_client_has_read_the_bytes_that_this_test_reads),
        cmocka_unit_test(every_request_is_answered_once),
        cmocka_unit_test(all_swaps_are_done_and_the_version_that_does_not_start_is_rolled_back),
        cmocka_unit_test(times_are_counted_and_in_order),
        cmocka_unit_test(the_steps_are_the_twelve_of_the_median_swap),
        cmocka_unit_test(a_file_that_changes_is_not_well_and_the_object_tells),
        cmocka_unit_test(a_report_that_cannot_be_written_is_not_well),
        cmocka_unit_test(what_makes_no_sense_is_refused_with_2_and_a_file_that_cannot_be_read_with_1),
    };
    return cmocka_run_group_tests_name("demo.json", tests, run_the_demo, forget_the_run);
}
