/* ctest: machines=real */
/* What bench/swap promises to programs: one object on stdout, whose members docs/measurements.md lists. */
#include "run.h"

/* Of a few samples no time is asserted: only that figures are there, and do not contradict each other. */
static void check_row(json_t *row, json_int_t samples)
{
    const char *name;
    json_int_t count, queued, state_bytes;
    double min, median, p99, floor_min, floor_median, floor_p99, ratio;
    assert_unpacks(row, "{s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I}", "name", &name,
                   "samples", &count, "min_us", &min, "median_us", &median, "p99_us", &p99, "floor_min_us",
                   &floor_min, "floor_median_us", &floor_median, "floor_p99_us", &floor_p99,
                   "ratio", &ratio, "queued_at_notice_min", &queued, "state_bytes", &state_bytes);
    assert_int_equal(count, samples);
    assert_true(0 < min && min <= median && median <= p99);
    assert_true(0 < floor_min && floor_min <= floor_median && floor_median <= floor_p99);
    assert_true(ratio > 0 && fabs(ratio * floor_median / median - 1) < 0.001);
    bool idle = strncmp(name, "idle ", 5) == 0;
    assert_in_range(queued, 0, idle ? 0 : 10000);
    assert_int_equal(state_bytes, idle ? 0 : 256 << 20);
}

static void every_member_is_documented(json_t *object)
{
    char *text = contents(fopen(DOCUMENT, "re"), NULL);
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        char quoted[64];
        snprintf(quoted, sizeof quoted, "`%s`", key);
        if (!strstr(text, quoted))
            fail_msg("%s is not in %s", quoted, DOCUMENT);
    }
    free(text);
}

static void the_object_has_the_members_documented_and_no_other(void **state)
{
    static const char *const names[] = {"idle swap", "idle blackout", "10,000 queued and 256 MiB swap",
                                        "10,000 queued and 256 MiB blackout"};
    struct run run;
    const char *machine, *reason, *mover, *kernel;
    json_int_t samples;
    double growth_swap, growth_blackout;
    json_t *rows;
    (void)state;
    RUN(&run, "--json", "--samples", "10");
    assert_int_equal(run.status, 0);
    json_t *object = one_object(&run);
    assert_unpacks(object, "{s:s, s:s, s:s, s:s, s:I, s:f, s:f, s:o}", "machine", &machine,
                   "machine_reason", &reason, "mover", &mover, "kernel", &kernel, "samples", &samples,
                   "growth_swap", &growth_swap, "growth_blackout", &growth_blackout, "rows", &rows);
    assert_true(machine[0] && reason[0] && mover[0] && kernel[0]);
    assert_int_equal(samples, 10);
    assert_true(growth_swap > 0 && growth_blackout > 0);
    assert_int_equal(json_array_size(rows), 4);
    every_member_is_documented(object);
    for (size_t i = 0; i < 4; i++) {
        json_t *row = json_array_get(rows, i);
        assert_string_equal(json_string_value(json_object_get(row, "name")), names[i]);
        check_row(row, samples);
        every_member_is_documented(row);
    }
    json_decref(object);
    run_fini(&run);
}

static void what_makes_no_sense_is_refused_with_2_and_a_virtual_clock_with_1(void **state)
{
    static const char *const senseless[][2] = {
        {"--nonsense"},       {"stray"},           {"--samples", "9"},
        {"--samples", "10x"}, {"--samples", "-1"}, {"--machine", "virtual"},
    };
    struct run refused;
    (void)state;
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++) {
        RUN(&refused, "--json", senseless[i][0], senseless[i][1]);
        assert_refused(&refused, 2);
    }
    setenv("ANT_MACHINE", "virtual", 1);
    RUN(&refused, "--json");
    assert_refused(&refused, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_object_has_the_members_documented_and_no_other),
        cmocka_unit_test(what_makes_no_sense_is_refused_with_2_and_a_virtual_clock_with_1),
    };
    return cmocka_run_group_tests_name("demo.bench", tests, NULL, NULL);
}
