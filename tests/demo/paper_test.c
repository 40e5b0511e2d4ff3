/*
 * What bench/paper promises to those who read its JSON, its text and its files. That the model's times are right is not
 * asked here, but that what is printed is what was asked for, adds up, and says the same everywhere.
 */
#include "run.h"

#include <ctype.h>
#include <unistd.h>

enum { CLIENTS = 3, REQUESTS = 20, WARMUP = 2, SWAPS = 10, COLUMNS = 9 };

/* The run that most tests look at, the members of its object, and its files. */
static struct run run;
static json_t *object;
static char samples_path[] = "/tmp/paper_test.samples.XXXXXX",
            trace_path[] = "/tmp/paper_test.trace.XXXXXX";
static struct {
    const char *machine, *mover, *version;
    json_int_t seed;
    double t0_ms, max_difference_ms, bound_ms, simulated_s, wall_s;
    json_t *params, *response_without_swaps_ms, *response_ms, *swap_ms, *blackout_ms,
        *swap_attribution_ms, *response_attribution_ms, *ledger;
} it;

struct times {
    json_int_t count;
    double min, median, mean, p99, max;
};

static int run_the_model(void **state)
{
    (void)state;
    close(mkstemp(samples_path));
    close(mkstemp(trace_path));
    RUN(&run, "--json", "--clients", "3", "--requests", "20", "--warmup", "2", "--swaps", "10",
        "--exec", "12.5", "--result", "0.001", "--io-pu", "4", "--io-wait", "15.25", "--ap-wait",
        "1", "--interval", "0.5:1.25", "--driver", "overlap", "--priorities", "50:31:21:1", "--seed",
        "9223372036854775807", "--mover", "copy", "--samples", samples_path, "--trace", trace_path);
    object = one_object(&run);
    return 0;
}

static int forget_the_run(void **state)
{
    (void)state;
    json_decref(object);
    run_fini(&run);
    return unlink(samples_path) || unlink(trace_path);
}

static struct times times_in_order(json_t *times)
{
    struct times ms;
    assert_unpacks(times, "{s:I, s:f, s:f, s:f, s:f, s:f}", "count", &ms.count, "min", &ms.min,
                   "median", &ms.median, "mean", &ms.mean, "p99", &ms.p99, "max", &ms.max);
    assert_true(0 <= ms.min && ms.min <= ms.median && ms.median <= ms.p99 && ms.p99 <= ms.max);
    assert_true(ms.min <= ms.mean && ms.mean <= ms.max);
    return ms;
}

static void assert_no_times(json_t *times)
{
    json_int_t count;
    assert_unpacks(times, "{s:I, s:n, s:n, s:n, s:n, s:n}", "count", &count, "min", "median",
                   "mean", "p99", "max");
    assert_int_equal(count, 0);
}

static double sum(json_t *shares)
{
    const char *key;
    json_t *share;
    double total = 0;
    json_object_foreach(shares, key, share) total += json_real_value(share);
    return total;
}

#define assert_same(a, b) assert_true(fabs((a) - (b)) < 1e-9)

/* ---- the object ---- */

/* First of all: it fills `it` for the others. */
static void the_object_has_the_members_promised_and_no_other(void **state)
{
    (void)state;
    if (run.status != 0 || run.err[0])
        fail_msg("status %d; stderr:\n%s", run.status, run.err);
    assert_unpacks(
        object, "{s:o, s:f, s:o, s:o, s:o, s:o, s:f, s:o, s:o, s:f, s:o, s:s, s:s, s:I, s:s, s:f, s:f}",
        "params", &it.params, "t0_ms", &it.t0_ms, "response_without_swaps_ms",
        &it.response_without_swaps_ms, "response_ms", &it.response_ms, "swap_ms", &it.swap_ms,
        "blackout_ms", &it.blackout_ms, "max_difference_ms", &it.max_difference_ms, "swap_attribution_ms",
        &it.swap_attribution_ms, "response_attribution_ms", &it.response_attribution_ms, "bound_ms",
        &it.bound_ms, "ledger", &it.ledger, "machine", &it.machine, "mover", &it.mover, "seed",
        &it.seed, "version", &it.version, "simulated_s", &it.simulated_s, "wall_s", &it.wall_s);
    assert_string_equal(it.machine, "virtual");
    assert_string_equal(it.mover, "copy");
    assert_string_equal(it.version, ant_version());
    assert_true(it.simulated_s > 0 && it.wall_s > 0);
}

static void params_are_those_asked_for(void **state)
{
    static const char expected[] =
        "{'clock': 'virtual', 'exec_ms': 12.5, 'result_ms': 0.001, 'io_pu_ms': 4.0, 'io_wait_ms': 15.25, 'ap_wait_ms': 1.0,"
        " 'clients': 3, 'driver': 'overlap', 'requests': 20, 'warmup': 2, 'swaps': 10, 'interval': [0.5, 1.25],"
        " 't0_ms': null, 'aim': null, 'priorities': {'requester': 50, 'driver': 31, 'server': 21, 'ap': 1},"
        " 'profile': 'ant-paper', 'mover': 'copy', 'seed': 9223372036854775807, 'costs': {'create_ms': 0.0, 'steps_ms': {"
        "   'request': 0.0, 'create': 4.0, 'notify': 0.0, 'look': 0.1, 'wake-requester': 0.1, 'start': 0.2,"
        "   'register': 0.7, 'hand-over': 0.7, 'wake-old': 0.7, 'wake-again': 0.7, 'return': 0.2, 'exit': 0.0},"
        "  'switch_us': 0.0, 'remap_page_us': 0.0}}";
    char text[sizeof expected];
    (void)state;
    for (size_t i = 0; i < sizeof expected; i++)
        text[i] = expected[i] == '\'' ? '"' : expected[i];
    json_t *params = json_loads(text, 0, NULL);
    assert_int_equal(json_object_set_new(params, "samples", json_string(samples_path)), 0);
    assert_int_equal(json_object_set_new(params, "trace", json_string(trace_path)), 0);
    if (!json_equal(it.params, params))
        fail_msg("params are\n%s", json_dumps(it.params, JSON_INDENT(1)));
    json_decref(params);
    assert_non_null(strstr(run.out, "\"result_ms\": 0.001,"));
    assert_non_null(strstr(run.out, "\"look\": 0.1,"));
}

static void times_are_counted_in_order_and_add_up(void **state)
{
    (void)state;
    struct times without = times_in_order(it.response_without_swaps_ms),
                 with = times_in_order(it.response_ms);
    struct times swap = times_in_order(it.swap_ms), blackout = times_in_order(it.blackout_ms);
    assert_true(without.count >= CLIENTS * REQUESTS && with.count >= CLIENTS * REQUESTS);
    assert_int_equal(swap.count, SWAPS);
    assert_int_equal(blackout.count, SWAPS);
    assert_true(blackout.max < swap.max);
    assert_true(swap.max <= it.bound_ms);
    assert_same(it.t0_ms, without.max);
    assert_same(it.max_difference_ms, with.max - without.max);
    assert_same(sum(it.swap_attribution_ms), swap.mean);
    assert_same(sum(it.response_attribution_ms), with.max);

    double part;
    assert_unpacks(it.swap_attribution_ms, "{s:f, s:f, s:f, s:f}", "base", &part, "request_work",
                   &part, "result_work", &part, "higher_priority", &part);
    assert_unpacks(it.response_attribution_ms, "{s:f, s:f, s:f, s:f}", "own", &part, "driver",
                   &part, "other_requests", &part, "swap", &part);
}

static void every_request_of_both_runs_is_answered_once(void **state)
{
    json_int_t sent, answered, lost, duplicated;
    (void)state;
    assert_unpacks(it.ledger, "{s:I, s:I, s:I, s:I}", "sent", &sent, "answered", &answered, "lost",
                   &lost, "duplicated", &duplicated);
    assert_true(sent >= 2 * CLIENTS * (WARMUP + REQUESTS));
    assert_int_equal(answered, sent);
    assert_int_equal(lost, 0);
    assert_int_equal(duplicated, 0);
}

/* ---- the files ---- */

static double *column_ms; /* the values of a kind, in the order of the file */
static size_t value_count;

/* "12.000345", and nothing that is less exact. */
static double exact_ms(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    assert_true(isdigit((unsigned char)text[0]) && *end == '\0' && end - strchr(text, '.') == 7);
    return value;
}

static void check_sample(char *const *column, const char *kind, double last_begin_ms)
{
    bool is_swap = strcmp(kind, "swap") == 0;
    double shares_ms = 0;
    assert_true(exact_ms(column[3]) >= 0 && (!is_swap || exact_ms(column[3]) > last_begin_ms));
    if (strncmp(kind, "response", 8) == 0)
        assert_true(isdigit((unsigned char)column[1][0]) && atoi(column[1]) < CLIENTS);
    else
        assert_string_equal(column[1], "");
    for (int i = 5; i < COLUMNS; i++) {
        if (is_swap)
            shares_ms += exact_ms(column[i]);
        else
            assert_string_equal(column[i], "");
    }
    if (is_swap)
        assert_same(shares_ms, exact_ms(column[4]));
}

/* Reads the samples of a kind into column_ms. */
static void read_samples(const char *kind)
{
    char *text = contents(fopen(samples_path, "re"), NULL), *rest = text, *line;
    double last_begin_ms = -1;
    column_ms = realloc(column_ms, strlen(text) * sizeof *column_ms);
    value_count = 0;
    assert_string_equal(strsep(&rest, "\n"), "kind,client,number,begin_ms,value_ms,base_ms,request_work_ms,"
                                             "result_work_ms,higher_priority_ms");
    while ((line = strsep(&rest, "\n")) && *line) {
        char *column[COLUMNS];
        for (int i = 0; i < COLUMNS; i++)
            assert_non_null(column[i] = strsep(&line, ","));
        assert_null(line);
        if (strcmp(column[0], kind) == 0) {
            check_sample(column, kind, last_begin_ms);
            last_begin_ms = exact_ms(column[3]);
            column_ms[value_count++] = exact_ms(column[4]);
        }
    }
    assert_true(line && !rest);
    free(text);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void the_samples_have_the_same_statistics_as_the_object(void **state)
{
    static const char *const kinds[] = {"response_without_swaps", "response", "swap", "blackout"};
    json_t *const objects[] = {it.response_without_swaps_ms, it.response_ms, it.swap_ms, it.blackout_ms};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct times ms = times_in_order(objects[i]);
        double mean = 0;
        read_samples(kinds[i]);
        size_t n = value_count, rank99 = n - n / 100; /* all but the hundredth part that is above it */
        assert_int_equal(n, ms.count);
        qsort(column_ms, n, sizeof *column_ms, compare);
        for (size_t j = 0; j < n; j++)
            mean += column_ms[j] / (double)n;
        assert_same(ms.min, column_ms[0]);
        assert_same(ms.median, n % 2 ? column_ms[n / 2] : (column_ms[n / 2 - 1] + column_ms[n / 2]) / 2);
        assert_same(ms.mean, mean);
        assert_same(ms.p99, column_ms[rank99 - 1]);
        assert_same(ms.max, column_ms[n - 1]);
    }
    free(column_ms);
    column_ms = NULL;
}

static void the_trace_is_written_with_and_without_swaps(void **state)
{
    struct run calm;
    size_t bytes;
    (void)state;
    free(contents(fopen(trace_path, "re"), &bytes));
    assert_true(bytes > 0);
    assert_int_equal(truncate(trace_path, 0), 0);
    RUN(&calm, "--swaps", "0", "--trace", trace_path);
    assert_int_equal(calm.status, 0);
    free(contents(fopen(trace_path, "re"), &bytes));
    assert_true(bytes > 0);
    run_fini(&calm);
}

/* ---- other runs ---- */

static void without_clients_swaps_take_the_base_swap_time_and_t0_is_what_a_response_would_take(void **state)
{
    struct run base;
    double t0_ms;
    json_t *swap_ms, *without, *with, *difference, *attribution;
    (void)state;
    RUN(&base, "--json", "--clients", "0", "--swaps", "5", "--exec", "12.345");
    assert_int_equal(base.status, 0);
    json_t *report = one_object(&base);
    assert_int_equal(json_unpack(report, "{s:f, s:o, s:o, s:o, s:o, s:o}", "t0_ms", &t0_ms,
                                 "swap_ms", &swap_ms, "response_without_swaps_ms", &without,
                                 "response_ms", &with, "max_difference_ms", &difference,
                                 "response_attribution_ms", &attribution),
                     0);
    assert_same(t0_ms, 33.345);
    struct times swap = times_in_order(swap_ms);
    assert_int_equal(swap.count, 5);
    assert_same(swap.min, 7.4);
    assert_same(swap.max, 7.4);
    assert_non_null(strstr(base.out, "\"max\": 7.4\n"));
    assert_no_times(without);
    assert_no_times(with);
    assert_true(json_is_null(difference) && json_is_null(attribution));
    json_decref(report);
    run_fini(&base);
}

static void without_swaps_the_run_without_is_the_one_reported(void **state)
{
    struct run calm;
    double t0_ms, given_ms, difference_ms, bound_ms;
    json_int_t sent;
    json_t *swap_ms, *blackout_ms, *without, *with, *swap_shares, *response_shares;
    (void)state;
    RUN(&calm, "--json", "--swaps", "0", "--t0", "17.25", "--requests", "4", "--samples", samples_path);
    assert_int_equal(calm.status, 0);
    json_t *report = one_object(&calm);
    assert_int_equal(json_unpack(report, "{s:f, s:{s:f}, s:o, s:o, s:o, s:o, s:f, s:f, s:o, s:o, s:{s:I}}",
                                 "t0_ms", &t0_ms, "params", "t0_ms", &given_ms, "swap_ms", &swap_ms,
                                 "blackout_ms", &blackout_ms, "response_without_swaps_ms", &without,
                                 "response_ms", &with, "max_difference_ms", &difference_ms,
                                 "bound_ms", &bound_ms, "swap_attribution_ms", &swap_shares,
                                 "response_attribution_ms", &response_shares, "ledger", "sent", &sent),
                     0);
    assert_same(t0_ms, 17.25);
    assert_same(given_ms, 17.25);
    assert_int_equal(times_in_order(without).count, 4);
    assert_true(json_equal(without, with));
    assert_no_times(swap_ms);
    assert_no_times(blackout_ms);
    assert_true(json_is_null(swap_shares) && json_is_null(response_shares));
    assert_true(difference_ms == 0 && bound_ms > 7.4);
    assert_int_equal(sent, 3 + 4); /* one run, with its warm-up */
    read_samples("response_without_swaps");
    assert_int_equal(value_count, 4);
    read_samples("response");
    assert_int_equal(value_count, 0);
    json_decref(report);
    run_fini(&calm);
}

/* A client that never waits keeps the processor from the requester, and from the client beside it. */
static void priorities_with_which_it_would_never_end_are_found_out(void **state)
{
    static const char *const warmups[] = {"0", "3"};
    struct run endless;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        RUN(&endless, "--clients", "2", "--ap-wait", "0", "--io-wait", "0", "--priorities",
            "10:30:20:15", "--warmup", warmups[i]);
        assert_non_null(strstr(endless.err, "never gets the processor"));
        assert_refused(&endless, 1);
    }
}

static void the_same_seed_gives_the_same_numbers(void **state)
{
    struct run twice[2];
    json_t *reports[2];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        RUN(&twice[i], "--json", "--clients", "4", "--seed", "7", "--aim", "exec-start", "--swaps", "5");
        assert_int_equal(twice[i].status, 0);
        reports[i] = one_object(&twice[i]);
        assert_int_equal(json_object_del(reports[i], "wall_s"), 0);
    }
    assert_true(json_equal(reports[0], reports[1]));
    assert_string_equal(json_string_value(json_object_get(json_object_get(reports[0], "params"), "aim")),
                        "exec-start");
    for (size_t i = 0; i < 2; i++) {
        json_decref(reports[i]);
        run_fini(&twice[i]);
    }
}

static void the_text_says_the_same(void **state)
{
    static const char *const lines[] = {"\nresponse with swaps  ", "\nswap time  ", "\nblackout  ",
                                        "\nbound of a swap  ", ", lost 0, duplicated 0\n"};
    struct run text;
    (void)state;
    RUN(&text, "--clients", "0", "--swaps", "5");
    assert_int_equal(text.status, 0);
    assert_string_equal(text.err, "");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(text.out, lines[i]))
            fail_msg("no '%s' in\n%s", lines[i], text.out);
    assert_non_null(strstr(text.out, "  5       7.400       7.400       7.400       7.400       7.400\n"));
    run_fini(&text);
}

/* On `other`, as it is permitted everywhere; so these numbers are none of a real-time system. */
static void the_real_clock_tells_how_far_its_numbers_can_be_trusted(void **state)
{
    static const char *const forms[] = {"--json", NULL};
    struct run real;
    double p999, max;
    json_t *violations, *throttling;
    const char *reason, *machine;
    int real_time;
    (void)state;
    setenv("ANT_MACHINE", "other", 1);
    for (size_t i = 0; i < 2; i++) {
        RUN(&real, "--clock", "real", "--requests", "2", "--swaps", "1", "--warmup", "0",
            "--profile", "none", forms[i]);
        assert_int_equal(real.status, 0);
        assert_non_null(strstr(real.err, "NOT real-time, as the machine is other: "));
        if (forms[i]) {
            json_t *report = one_object(&real);
            assert_int_equal(json_unpack(report, "{s:{s:f, s:f}, s:o, s:o, s:b, s:s, s:s}",
                                         "jitter_us", "p999", &p999, "max", &max, "violations",
                                         &violations, "rt_throttling", &throttling, "real_time",
                                         &real_time, "machine_reason", &reason, "machine", &machine),
                             0);
            assert_true(0 < p999 && p999 <= max && json_is_integer(violations) && !real_time &&
                        reason[0]);
            assert_string_equal(machine, "other");
            json_decref(report);
        } else {
            assert_int_equal(strncmp(real.out, "NOT REAL-TIME, as the machine is other: ", 40), 0);
        }
        run_fini(&real);
    }
    setenv("ANT_MACHINE", "virtual", 1);
    RUN(&real, "--clock", "real");
    assert_refused(&real, 2);
    unsetenv("ANT_MACHINE");
}

/* ---- the documentation ---- */

static void assert_documented(const char *document, const char *before, const char *name,
                              size_t bytes, const char *after)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "`%s%.*s%s", before, (int)bytes, name, after);
    if (!strstr(document, quoted))
        fail_msg("%s is not in %s", quoted, DOCUMENT);
}

static void members_documented(const char *document, json_t *value)
{
    const char *key;
    json_t *member;
    json_object_foreach(value, key, member)
    {
        assert_documented(document, "", key, strlen(key), "`");
        members_documented(document, member);
    }
}

static void every_member_and_every_option_is_documented(void **state)
{
    char *document = contents(fopen(DOCUMENT, "re"), NULL);
    struct run help;
    int options = 0;
    (void)state;
    members_documented(document, object);
    RUN(&help, "--help");
    assert_int_equal(help.status, 0);
    assert_string_equal(help.err, "");
    for (const char *at = help.out; (at = strstr(at, "\n      --")); options++) {
        at += strlen("\n      --");
        assert_documented(document, "--", at, strspn(at, "abcdefghijklmnopqrstuvwxyz0-"), "");
    }
    assert_int_equal(options, 21 + 1); /* with --usage */
    run_fini(&help);
    free(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_object_has_the_members_promised_and_no_other),
        cmocka_unit_test(params_are_those_asked_for),
        cmocka_unit_test(times_are_counted_in_order_and_add_up),
        cmocka_unit_test(every_request_of_both_runs_is_answered_once),
        cmocka_unit_test(the_samples_have_the_same_statistics_as_the_object),
        cmocka_unit_test(the_trace_is_written_with_and_without_swaps),
        cmocka_unit_test(without_clients_swaps_take_the_base_swap_time_and_t0_is_what_a_response_would_take),
        cmocka_unit_test(without_swaps_the_run_without_is_the_one_reported),
        cmocka_unit_test(priorities_with_which_it_would_never_end_are_found_out),
        cmocka_unit_test(the_same_seed_gives_the_same_numbers),
        cmocka_unit_test(the_text_says_the_same),
        cmocka_unit_test(the_real_clock_tells_how_far_its_numbers_can_be_trusted),
        cmocka_unit_test(every_member_and_every_option_is_documented),
    };
    return cmocka_run_group_tests_name("demo.paper", tests, run_the_model, forget_the_run);
}
