/* ctest: machines=real */
/* What bench/speed promises to programs: an array on stdout, whose objects' members docs/measurements.md lists, as it does the rows. */
#include "run.h"

static void is_documented(const char *document, const char *word)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "`%s`", word);
    if (!strstr(document, quoted))
        fail_msg("%s is not in %s", quoted, DOCUMENT);
}

static bool is_absent_or_real(const json_t *value)
{
    return json_is_null(value) || json_is_real(value);
}

/* No time is asserted: only that figures are there, and do not contradict each other. */
static void check_row(const char *document, json_t *row)
{
    const char *name, *unit, *machine, *mover;
    json_int_t samples, cpus;
    double median, p99;
    json_t *limit_name, *limit, *ratio, *target, *holds;
    assert_unpacks(row, "{s:s, s:s, s:f, s:f, s:I, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:I}", "name",
                   &name, "unit", &unit, "median", &median, "p99", &p99, "samples", &samples,
                   "limit_name", &limit_name, "limit", &limit, "ratio", &ratio, "target", &target,
                   "holds", &holds, "machine", &machine, "mover", &mover, "cpus", &cpus);
    assert_true(median >= 0 && samples >= 3 && (cpus == 1 || cpus == 2) && mover[0]);
    assert_true(strcmp(unit, "requests/s") == 0 ? p99 <= median : p99 >= median);
    assert_true(is_absent_or_real(limit) && is_absent_or_real(ratio) && is_absent_or_real(target));
    assert_int_equal(json_is_null(limit), json_is_null(limit_name));
    assert_int_equal(json_is_null(limit), json_is_null(ratio));
    assert_int_equal(json_is_boolean(holds), json_is_real(target) && strcmp(machine, "fifo") == 0);
    if (json_is_real(limit)) {
        double quotient = median / json_real_value(limit), value = json_real_value(ratio);
        assert_true(fabs(value / quotient - 1) < 0.001 || fabs(value * quotient - 1) < 0.001);
    }
    is_documented(document, name);
}

static json_t *array_of(const struct run *run)
{
    json_error_t error;
    json_t *array = json_loads(run->out, 0, &error);
    if (!array)
        fail_msg("%s, in:\n%s", error.text, run->out);
    assert_true(json_is_array(array));
    return array;
}

static void the_array_has_the_rows_and_the_members_documented(void **state)
{
    struct run run;
    const char *key;
    json_t *value;
    (void)state;
    char *document = contents(fopen(DOCUMENT, "re"), NULL);
    RUN(&run, "--json", "--samples", "10");
    json_t *array = array_of(&run);
    assert_true(run.status == 0 || run.err[0]); /* it says what it could not measure here */
    assert_in_range(json_array_size(array), 10, 100);
    for (size_t i = 0; i < json_array_size(array); i++)
        check_row(document, json_array_get(array, i));
    json_object_foreach(json_array_get(array, 0), key, value) is_documented(document, key);
    json_decref(array);
    free(document);
    run_fini(&run);
}

static void only_the_rows_named_are_measured(void **state)
{
    struct run run;
    (void)state;
    RUN(&run, "--json", "--samples", "10", "--only", "pipe_64,call_64_flat");
    assert_int_equal(run.status, 0);
    json_t *array = array_of(&run);
    assert_int_equal(json_array_size(array), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(array, 0), "name")),
                        "call_64_flat");
    assert_string_equal(json_string_value(json_object_get(json_array_get(array, 1), "name")), "pipe_64");
    json_decref(array);
    run_fini(&run);
}

static void the_last_line_of_a_check_counts_targets_and_the_exit_status_agrees(void **state)
{
    struct run run;
    unsigned holding, targets;
    int end = 0;
    (void)state;
    RUN(&run, "--check", "--samples", "10", "--only", "call_64_flat,call_1m_flat,pipe_64");
    if (strstr(run.err, "NOT REAL-TIME")) { /* fifo is not permitted here: no target is judged */
        assert_refused(&run, 1);
        return;
    }
    assert_int_equal(run.out[strlen(run.out) - 1], '\n');
    run.out[strlen(run.out) - 1] = 0;
    const char *line = strrchr(run.out, '\n');
    assert_non_null(line);
    assert_int_equal(sscanf(line, "\n%u of %u targets hold%n", &holding, &targets, &end), 2);
    assert_int_equal(line[end], 0);
    assert_int_equal(targets, 2);
    assert_in_range(holding, 0, 2);
    assert_int_equal(run.status, holding == targets ? 0 : 1);
    run_fini(&run);
}

static void what_makes_no_sense_is_refused_with_2_and_a_virtual_clock_with_1(void **state)
{
    static const char *const senseless[][2] = {
        {"--nonsense"},         {"stray"},           {"--samples", "9"},
        {"--samples", "10x"},   {"--samples", "-1"}, {"--only", "no"},
        {"--only", "pipe_64,"}, {"--only", ""},      {"--json", "--check"},
    };
    struct run refused;
    (void)state;
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++) {
        RUN(&refused, senseless[i][0], senseless[i][1]);
        assert_refused(&refused, 2);
    }
    setenv("ANT_MACHINE", "virtual", 1);
    RUN(&refused, "--json");
    assert_refused(&refused, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_array_has_the_rows_and_the_members_documented),
        cmocka_unit_test(only_the_rows_named_are_measured),
        cmocka_unit_test(the_last_line_of_a_check_counts_targets_and_the_exit_status_agrees),
        cmocka_unit_test(what_makes_no_sense_is_refused_with_2_and_a_virtual_clock_with_1),
    };
    return cmocka_run_group_tests_name("demo.bench", tests, NULL, NULL);
}
