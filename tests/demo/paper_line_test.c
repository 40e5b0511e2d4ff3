/* What bench/paper's command line takes, and what it refuses, cost profiles included: with which status, and what it says. */
#include "run.h"

#include <unistd.h>

static char profile_path[] = "/tmp/paper_line_test.XXXXXX";

static int make_a_file(void **state)
{
    (void)state;
    return close(mkstemp(profile_path));
}

static int remove_the_file(void **state)
{
    (void)state;
    return unlink(profile_path);
}

/* ---- what is refused, and what is accepted ---- */

static void what_makes_no_sense_is_refused_with_2_and_the_message_names_the_option(void **state)
{
    static const char *const bad[][6] = {
        {"--nonsense"},
        {"stray"},
        {"--exec"},
        {"--machine", "virtual"},
        {"--clock", "sun"},
        {"--clock", ""},
        {"--driver", "parallel"},
        {"--mover", "cart"},
        {"--mover", "Flat"},
        {"--exec", ""},
        {"--exec", "-1"},
        {"--exec", "+1"},
        {"--exec", " 1"},
        {"--exec", "1 "},
        {"--exec", "1ms"},
        {"--exec", "0x10"},
        {"--exec", "1e3"},
        {"--exec", "nan"},
        {"--exec", "inf"},
        {"--exec", ".5"},
        {"--exec", "5."},
        {"--exec", "1.2345"},
        {"--exec", "1.2.3"},
        {"--exec", "1,5"},
        {"--exec", "1000000.001"},
        {"--exec", "1000001"},
        {"--exec", "99999999999999999999999"},
        {"--result", "x"},
        {"--io-pu", "x"},
        {"--io-wait", "x"},
        {"--ap-wait", "x"},
        {"--t0", "x"},
        {"--t0", "-0"},
        {"--clients", "257"},
        {"--clients", "-1"},
        {"--clients", "1.0"},
        {"--clients", ""},
        {"--requests", "0"},
        {"--requests", "1000001"},
        {"--swaps", "1000001"},
        {"--swaps", "18446744073709551617"},
        {"--warmup", "10001"},
        {"--seed", "9223372036854775808"},
        {"--seed", "-1"},
        {"--seed", "one"},
        {"--interval", "1"},
        {"--interval", "2:1"},
        {"--interval", "1:1001"},
        {"--interval", "-1:1"},
        {"--interval", "1:2:3"},
        {"--interval", ":"},
        {"--interval", "0:0.0000001"},
        {"--interval", "1 :2"},
        {"--priorities", "40:30:20"},
        {"--priorities", "40:30:20:10:5"},
        {"--priorities", "61:30:20:10"},
        {"--priorities", "40:30:20:0"},
        {"--priorities", "40:30:20:"},
        {"--priorities", "40:30:2.5:1"},
        {"--aim", ""},
        {"--aim", "start"},
        {"--aim", "io-start", "--clock", "real"},
        {"--aim", "io-start", "--clients", "0"},
        {"--aim", "io-start", "--swaps", "0"},
        {"--samples", "/tmp/paper_test.same", "--trace", "/tmp/paper_test.same"},
        {"--samples", "/tmp/paper_test.\xff", "--json"},
    };
    struct run refused;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        RUN(&refused, bad[i][0], bad[i][1], bad[i][2], bad[i][3]);
        if (!strstr(refused.err, bad[i][0]))
            fail_msg("%s %s: not named in: %s", bad[i][0], bad[i][1] ? bad[i][1] : "", refused.err);
        assert_refused(&refused, 2);
    }
    RUN(&refused, "--exec", "0", "--result", "0", "--io-pu", "0.000", "--io-wait", "0", "--ap-wait", "0");
    assert_non_null(strstr(refused.err, "nothing takes time"));
    assert_refused(&refused, 2);
}

static void the_ends_of_the_ranges_are_allowed(void **state)
{
    static const char *const good[][6] = {
        {"--exec", "0", "--result", "0", "--io-pu", "0"},
        {"--t0", "1000000", "--interval", "0:0"},
        {"--interval", "0.000001:1000", "--t0", "0"},
        {"--priorities", "60:60:60:60"},
        {"--seed", "0", "--warmup", "0"},
        {"--exec", "0000012.500", "--driver", "serial"},
        {"--aim", "result-start", "--mover", "flat"},
        {"--clients", "256", "--requests", "1"},
    };
    struct run allowed;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        RUN(&allowed, "--swaps", "2", "--requests", "2", good[i][0], good[i][1], good[i][2],
            good[i][3], good[i][4], good[i][5]);
        if (allowed.status != 0)
            fail_msg("%s %s: status %d, %s", good[i][0], good[i][1], allowed.status, allowed.err);
        run_fini(&allowed);
    }
}

static void files_that_cannot_be_written_are_refused_with_1(void **state)
{
    static const char *const bad[][2] = {
        {"--samples", "/"}, {"--samples", "/nowhere/file"}, {"--samples", ""}, {"--trace", "/"},
        {"--trace", ""},
    };
    struct run refused;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        RUN(&refused, "--json", bad[i][0], bad[i][1]);
        assert_non_null(strstr(refused.err, bad[i][0]));
        assert_refused(&refused, 1);
    }
    RUN(&refused, "--samples", "/dev/full");
    assert_int_equal(refused.status, 1);
    assert_non_null(strstr(refused.err, "--samples"));
    run_fini(&refused);
    const char *const forms[] = {"--json", NULL};
    for (size_t i = 0; i < 2; i++) {
        run_program(&refused, "/dev/full",
                    (const char *const[]){PROGRAM, "--swaps", "0", forms[i], NULL});
        assert_refused(&refused, 1);
    }
}

/* ---- profiles ---- */

static void the_example_profile_is_in_force(void **state)
{
    struct run slow;
    double create_ms, hand_over_ms, switch_us, remap_page_us, base_ms;
    const char *name;
    (void)state;
    RUN(&slow, "--json", "--clients", "0", "--swaps", "1", "--profile", PROFILES "/example.json");
    assert_int_equal(slow.status, 0);
    json_t *report = one_object(&slow);
    assert_int_equal(json_unpack(report, "{s:{s:s, s:{s:f, s:{s:f}, s:f, s:f}}, s:{s:f}}", "params",
                                 "profile", &name, "costs", "create_ms", &create_ms, "steps_ms",
                                 "hand-over", &hand_over_ms, "switch_us", &switch_us,
                                 "remap_page_us", &remap_page_us, "swap_ms", "min", &base_ms),
                     0);
    assert_string_equal(name, "embedded-200mhz");
    assert_true(create_ms == 0.35);
    assert_true(hand_over_ms == 0.06);
    assert_true(switch_us == 12.5);
    assert_true(remap_page_us == 2.4);
    assert_true(base_ms >= 0.35); /* creating the new server is in every swap */
    json_decref(report);
    run_fini(&slow);
}

static void write_profile(const char *text)
{
    FILE *file = fopen(profile_path, "we");
    assert_true(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void a_profile_of_nothing_but_a_name_costs_nothing(void **state)
{
    struct run free_of_cost;
    (void)state;
    write_profile("{\"name\": \"free\"}");
    RUN(&free_of_cost, "--json", "--clients", "0", "--swaps", "2", "--profile", profile_path);
    assert_int_equal(free_of_cost.status, 0);
    json_t *report = one_object(&free_of_cost);
    assert_true(json_real_value(json_object_get(json_object_get(report, "swap_ms"), "max")) == 0);
    json_decref(report);
    run_fini(&free_of_cost);
}

/* 1.001 is a little less as a double. */
static void costs_are_rounded_to_whole_nanoseconds(void **state)
{
    struct run odd;
    double exit_ms, switch_us, remap_page_us;
    (void)state;
    write_profile(
        "{\"name\": \"odd\", \"steps_ms\": {\"exit\": 1.001}, \"switch_us\": 1.001, \"remap_page_us\": 0.0004}");
    RUN(&odd, "--json", "--swaps", "0", "--clients", "0", "--profile", profile_path);
    assert_int_equal(odd.status, 0);
    json_t *report = one_object(&odd);
    assert_int_equal(json_unpack(report, "{s:{s:{s:{s:f}, s:f, s:f}}}", "params", "costs",
                                 "steps_ms", "exit", &exit_ms, "switch_us", &switch_us,
                                 "remap_page_us", &remap_page_us),
                     0);
    assert_true(exit_ms == 1.001 && switch_us == 1.001 && remap_page_us == 0);
    json_decref(report);
    run_fini(&odd);
}

static void profiles_that_make_no_sense_are_refused_and_the_message_says_what_and_where(void **state)
{
    static const struct {
        const char *text, *said;
    } bad[] = {
        {"", "line 1"},
        {"{\"name\": \"x\",\n \"create_ms\": 1,}", "line 2"},
        {"{\"name\": \"x\", \"create_ms\": 1, \"create_ms\": 1}", "create_ms"},
        {"{\"name\": \"x\", \"create_ms\": 1e999}", "line 1"},
        {"[1]", "an object"},
        {"{\"create_ms\": 1}", "name is missing"},
        {"{\"name\": \"\"}", "name must be text of 1 to 63 bytes"},
        {"{\"name\": 7}", "name must be text of 1 to 63 bytes"},
        {"{\"name\": \"a\\nb\"}", "name must be text"},
        {"{\"name\": \"0123456789012345678901234567890123456789012345678901234567890123\"}",
         "1 to 63 bytes"},
        {"{\"name\": \"x\", \"creat_ms\": 1}", "'creat_ms'"},
        {"{\"name\": \"x\", \"create_ms\": \"1\"}",
         "create_ms is text; allowed is a number from 0 to 10000"},
        {"{\"name\": \"x\", \"create_ms\": null}", "create_ms is null"},
        {"{\"name\": \"x\", \"create_ms\": -1}", "create_ms is -1"},
        {"{\"name\": \"x\", \"create_ms\": 10000.5}", "from 0 to 10000"},
        {"{\"name\": \"x\", \"switch_us\": 10000001}", "from 0 to 10000000"},
        {"{\"name\": \"x\", \"remap_page_us\": true}", "remap_page_us is true or false"},
        {"{\"name\": \"x\", \"steps_ms\": 1}", "steps_ms is a number; allowed is an object"},
        {"{\"name\": \"x\", \"steps_ms\": {\"leap\": 1}}", "'leap'; the steps are request, create"},
        {"{\"name\": \"x\", \"steps_ms\": {\"exit\": -0.001}}", "steps_ms.exit is -0.001"},
    };
    struct run refused;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_profile(bad[i].text);
        RUN(&refused, "--profile", profile_path);
        if (!strstr(refused.err, bad[i].said) || !strstr(refused.err, profile_path))
            fail_msg("%s: '%s' and the file are not named in: %s", bad[i].text, bad[i].said, refused.err);
        assert_refused(&refused, 2);
    }
    const char *const unreadable[] = {"", "/", "/nowhere", "ant-papers"};
    for (size_t i = 0; i < 4; i++) {
        RUN(&refused, "--profile", unreadable[i]);
        assert_refused(&refused, 2);
    }
}

static void a_profile_may_have_a_mebibyte_and_no_more(void **state)
{
    enum { LIMIT = 1 << 20 };
    static char text[LIMIT + 2] = "{\"name\": \"wide\"}";
    struct run wide;
    (void)state;
    memset(text + strlen(text), ' ', LIMIT - strlen(text));
    write_profile(text);
    RUN(&wide, "--swaps", "0", "--clients", "0", "--profile", profile_path);
    assert_int_equal(wide.status, 0);
    run_fini(&wide);
    text[LIMIT] = ' ';
    write_profile(text);
    RUN(&wide, "--profile", profile_path);
    assert_non_null(strstr(wide.err, "is too big; allowed is 1 MiB"));
    assert_refused(&wide, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makes_no_sense_is_refused_with_2_and_the_message_names_the_option),
        cmocka_unit_test(the_ends_of_the_ranges_are_allowed),
        cmocka_unit_test(files_that_cannot_be_written_are_refused_with_1),
        cmocka_unit_test(the_example_profile_is_in_force),
        cmocka_unit_test(a_profile_of_nothing_but_a_name_costs_nothing),
        cmocka_unit_test(costs_are_rounded_to_whole_nanoseconds),
        cmocka_unit_test(profiles_that_make_no_sense_are_refused_and_the_message_says_what_and_where),
        cmocka_unit_test(a_profile_may_have_a_mebibyte_and_no_more),
    };
    return cmocka_run_group_tests_name("demo.paper_line", tests, make_a_file, remove_the_file);
}
