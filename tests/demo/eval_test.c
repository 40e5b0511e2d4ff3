/* ctest: machines=virtual timeout=120 */
/* What bench/eval promises: a tiny sweep runs through and writes everything; nonsense is refused; nothing half-done is left. */
#include "run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PATH_BYTES = 256,
    STATED = 146,
    JUDGED = 48,
    RUNS = 61
}; /* 1 without clients, and 6 pairs times 2 clients, each in 5 ways */

static char folder[PATH_BYTES];
static struct run tiny; /* the sweep that most tests look at */

static const char *path(const char *name)
{
    static char text[2 * PATH_BYTES];
    snprintf(text, sizeof text, "%s/%s", folder, name);
    return text;
}

static bool exists(const char *name)
{
    return access(path(name), F_OK) == 0;
}

static char *text_of(const char *name)
{
    FILE *file = fopen(path(name), "re");
    if (!file)
        fail_msg("there is no %s", path(name));
    return contents(file, NULL);
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    for (; (text = strstr(text, what)); text += strlen(what))
        count++;
    return count;
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/eval_test.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", folder, NULL);
        _exit(127);
    }
    int status;
    return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

/* --- A sweep: run once, looked at by several tests --------------------------------------------------------------------- */

static int run_tiny_sweep(void **state)
{
    int error = make_folder(state);
    if (error == 0)
        RUN(&tiny, "--clients", "2", "--swaps", "5", "--requests", "10", "--out", folder, "--seed", "7");
    return error;
}

static int end_tiny_sweep(void **state)
{
    run_fini(&tiny);
    return remove_folder(state);
}

static json_t *tiny_json(void)
{
    json_error_t error;
    json_t *object = json_load_file(path("eval.json"), JSON_REJECT_DUPLICATES, &error);
    if (!object)
        fail_msg("status %d; eval.json: %s; stderr:\n%s", tiny.status, error.text, tiny.err);
    return object;
}

static void check_stated(json_t *stated)
{
    const char *section, *statement, *quantity, *comparison, *verdict;
    json_int_t exec_ms, result_ms, clients;
    json_t *stated_ms, *measured_ms, *extreme_ms, *why;
    assert_unpacks(stated, "{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:o, s:o, s:o, s:s, s:o}",
                   "section", &section, "statement", &statement, "exec_ms", &exec_ms, "result_ms",
                   &result_ms, "clients", &clients, "quantity", &quantity, "comparison",
                   &comparison, "stated_ms", &stated_ms, "measured_ms", &measured_ms, "extreme_ms",
                   &extreme_ms, "verdict", &verdict, "why", &why);
    bool run = clients <= 2;
    assert_int_equal(strcmp(verdict, "not run") != 0, run);
    assert_int_equal(json_is_number(measured_ms) || json_is_number(extreme_ms), run);
    /* Swaps that are aimed hit the supremum, however few there are. */
    if (run && strcmp(comparison, "supremum") == 0 && strncmp(quantity, "swap_ms.max", 11) == 0) {
        assert_string_equal(verdict, "equal");
        assert_true(fabs(json_number_value(extreme_ms) - json_number_value(stated_ms)) <= 0.001);
    }
    assert_int_equal(json_is_string(why), strcmp(verdict, "differs") == 0);
}

static void a_tiny_sweep_judges_every_value_that_it_can(void **state)
{
    size_t i;
    json_t *value;
    (void)state;
    json_t *object = tiny_json();
    json_t *stated = json_object_get(object, "stated");
    json_int_t judged = json_integer_value(json_object_get(object, "stated_judged"));
    json_int_t met = json_integer_value(json_object_get(object, "stated_met"));
    assert_int_equal(tiny.status, met == judged ? 0 : 1);
    assert_int_equal(json_array_size(stated), STATED);
    assert_int_equal(judged, JUDGED);
    json_array_foreach(stated, i, value)
    {
        check_stated(value);
    }
    char lines[3 * PATH_BYTES];
    snprintf(lines, sizeof lines, "%d of %d stated values met (%d more need what was not run)\n%s\n",
             (int)met, JUDGED, STATED - JUDGED, path("index.html"));
    const char *end = strstr(tiny.out, lines);
    assert_true(end && end[strlen(lines)] == 0);
    json_decref(object);
}

static void a_sweep_writes_all_its_files(void **state)
{
    static const char *const figures[] = {"fig7", "fig8", "fig9", "fig10"};
    char name[32];
    (void)state;
    char *runs = text_of("runs.csv"), *stated = text_of("stated.csv"), *page = text_of("index.html");
    assert_int_equal(count_of(runs, "\n"), 1 + RUNS);
    assert_int_equal(count_of(stated, "\n"), 1 + STATED);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        snprintf(name, sizeof name, "%s.dat", figures[i]);
        assert_true(exists(name));
        snprintf(name, sizeof name, "%s.gp", figures[i]);
        assert_true(exists(name));
        snprintf(name, sizeof name, "%s.svg", figures[i]);
        char *svg = text_of(name);
        assert_true(strstr(svg, "</svg>") && strstr(svg, "APs, n"));
        free(svg);
    }
    assert_int_equal(count_of(page, "<svg"), 4);
    assert_int_equal(count_of(page, "</svg>"), 4);
    assert_true(strstr(page, "A trial"));
    assert_null(strstr(page, "src="));
    assert_null(strstr(page, "href=\"http"));
    assert_null(strstr(page, "<script"));
    assert_true(strlen(page) > 7 && strcmp(page + strlen(page) - 8, "</html>\n") == 0);
    assert_false(exists("index.html.unfinished") || exists("eval.json.unfinished"));
    free(runs);
    free(stated);
    free(page);
}

static void the_objects_of_paper_are_in_the_json_as_they_were_printed(void **state)
{
    size_t i;
    json_t *value;
    json_int_t sent = 0;
    (void)state;
    json_t *object = tiny_json();
    json_t *runs = json_object_get(object, "runs");
    assert_int_equal(json_array_size(runs), RUNS);
    json_array_foreach(runs, i, value)
    {
        assert_true(json_is_string(json_object_get(value, "kind")));
        assert_true(json_is_object(json_object_get(value, "params")));
        assert_string_equal(json_string_value(json_object_get(value, "machine")), "virtual");
        sent += json_integer_value(json_object_get(json_object_get(value, "ledger"), "sent"));
    }
    json_t *ledger = json_object_get(object, "ledger");
    assert_true(sent > 0);
    assert_int_equal(json_integer_value(json_object_get(ledger, "sent")), sent);
    assert_int_equal(json_integer_value(json_object_get(ledger, "lost")), 0);
    assert_int_equal(json_integer_value(json_object_get(ledger, "duplicated")), 0);
    json_decref(object);
}

/* --- What is refused, and what fails ---------------------------------------------------------------------------------- */

static void nonsense_is_refused_with_2(void **state)
{
    static const char *const senseless[][2] = {
        {"--nonsense", NULL},
        {"stray", NULL},
        {"--clock", "sundial"},
        {"--clients", "0"},
        {"--clients", "8"},
        {"--swaps", "0"},
        {"--swaps", "5x"},
        {"--requests", "-1"},
        {"--mover", "cart"},
        {"--jobs", "0"},
        {"--jobs", "65"},
        {"--seed", ""},
        {"--seed", "9223372036854775808"},
        {"--out", ""},
        {"--paper", ""},
    };
    struct run run;
    (void)state;
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++) {
        RUN(&run, senseless[i][0], senseless[i][1]);
        assert_refused(&run, 2);
    }
    RUN(&run, "--clock", "real", "--out", folder); /* with ANT_MACHINE=virtual */
    assert_refused(&run, 2);
    setenv("ANT_MACHINE", "other", 1);
    RUN(&run, "--clock", "real", "--jobs", "2", "--out", folder);
    setenv("ANT_MACHINE", "virtual", 1);
    assert_non_null(strstr(run.err, "--jobs"));
    assert_refused(&run, 2);
    assert_int_equal(rmdir(folder), 0); /* nothing was written */
    assert_int_equal(mkdir(folder, 0700), 0);
}

static void what_is_missing_is_told_with_1_before_anything_runs(void **state)
{
    struct run run;
    (void)state;
    RUN(&run, "--paper", "/nowhere/paper", "--out", folder);
    assert_true(strstr(run.err, "/nowhere/paper"));
    assert_refused(&run, 1);
    char *paths = strdup(getenv("PATH"));
    setenv("PATH", "/nowhere", 1);
    RUN(&run, "--clients", "1", "--out", folder);
    setenv("PATH", paths, 1);
    free(paths);
    assert_true(strstr(run.err, "gnuplot-nox"));
    assert_refused(&run, 1);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
}

static void a_paper_that_fails_ends_the_sweep_and_leaves_no_report(void **state)
{
    struct run run;
    (void)state;
    RUN(&run, "--paper", "/bin/false", "--out", folder);
    assert_true(strstr(run.err, "paper failed, with status 1"));
    assert_refused(&run, 1);
    RUN(&run, "--paper", "/bin/echo", "--out", folder);
    assert_true(strstr(run.err, "not the JSON object expected"));
    assert_refused(&run, 1);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
}

/* --- Papers of our own: scripts that run for it ------------------------------------------------------------------------ */

/* Its path is valid until the next call. $paper in it is the real one. */
static const char *make_paper(const char *commands)
{
    static char script[PATH_BYTES + 16];
    snprintf(script, sizeof script, "%s/paper", folder);
    FILE *file = fopen(script, "we");
    assert_non_null(file);
    const char *slash = strrchr(PROGRAM, '/');
    fprintf(file, "#!/bin/sh\npaper=%.*s/paper\ncd %s\n%s\n", (int)(slash - PROGRAM), PROGRAM,
            folder, commands);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(script, 0700), 0);
    return script;
}

static void a_loss_is_shown_and_is_status_1(void **state)
{
    struct run run;
    (void)state;
    RUN(&run, "--clients", "1", "--swaps", "2", "--requests", "3", "--out", folder, "--paper",
        make_paper("$paper \"$@\" | sed 's/\"lost\": 0/\"lost\": 2/'\nexit 1"));
    assert_int_equal(run.status, 1);
    char *page = text_of("index.html");
    assert_true(strstr(run.out, " requests sent, 62 lost, 0 duplicated\n")); /* 2 in each of 31 runs */
    assert_true(strstr(page, "<strong>62 lost, 0 duplicated</strong>"));
    free(page);
    run_fini(&run);
}

/* 10.1 ms of work in place of 10: seen where the paper states tenths, and not where it states whole ms, 31. */
static void a_tenth_of_a_ms_too_much_differs_and_is_status_1(void **state)
{
    struct run run;
    (void)state;
    RUN(&run, "--clients", "1", "--swaps", "5", "--requests", "5", "--out", folder, "--paper",
        make_paper("$paper $(echo \"$@\" | sed s/exec=10/exec=10.1/)"));
    assert_int_equal(run.status, 1);
    char *stated = text_of("stated.csv");
    assert_true(strstr(stated, "10,1,1,\"swap_ms.max\",supremum,22.4,"));
    assert_true(strstr(stated, ",22.5,differs,"));
    assert_true(strstr(stated, "10,1,1,\"response_without_swaps_ms.min\",equals,31,31.1,,rounds to it,"));
    assert_true(strstr(run.out, "differs: E = 10, R = 1, n = 1, section 4.2.1 (2)"));
    free(stated);
    run_fini(&run);
}

/* The virtual clock's numbers in the real clock's clothes: what is looked at is the report. */
static void without_real_time_the_page_and_every_figure_say_so(void **state)
{
    static const char *const figures[] = {"fig7",     "fig8",     "fig9",     "fig10",
                                          "fig7_own", "fig8_own", "fig9_own", "fig10_own"};
    struct run run;
    char name[32];
    (void)state;
    setenv("ANT_MACHINE", "other", 1); /* the virtual machine is refused beside a real clock */
    RUN(&run, "--clock", "real", "--clients", "1", "--swaps", "2", "--requests", "3", "--out",
        folder, "--paper",
        make_paper("echo \"$@\" >>arguments\n"
                   "$paper $(echo \"$@\" | sed s/real/virtual/) | sed 's/\"machine\": \"virtual\"/\"machine\": \"other\", "
                   "\"machine_reason\": \"it is a <test>\", \"real_time\": false, \"violations\": 3, "
                   "\"jitter_us\": {\"p999\": 5.5, \"max\": 12.5}, \"rt_throttling\": null/'"));
    setenv("ANT_MACHINE", "virtual", 1);
    assert_int_equal(run.status, 0); /* whatever the values: nothing was lost */
    assert_true(strstr(run.out, "NOT REAL-TIME") && strstr(run.err, "NOT REAL-TIME"));
    assert_true(strstr(run.out, "\n42 swaps longer than their bound\n")); /* 3 in each of 7 times 2 runs */
    char *page = text_of("index.html"), *arguments = text_of("arguments");
    assert_true(strstr(page, "<p class=\"mark\">NOT REAL-TIME") && strstr(page, "it is a &lt;test&gt;"));
    assert_true(strstr(page, "up to 12.5 us late"));
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        snprintf(name, sizeof name, "%s.svg", figures[i]);
        char *svg = text_of(name);
        assert_true(strstr(svg, "NOT REAL-TIME"));
        free(svg);
    }
    assert_int_equal(count_of(page, "<figcaption>"), 8);
    assert_int_equal(count_of(arguments, "\n"), 14);
    assert_int_equal(count_of(arguments, "--profile=none"), 7);
    assert_int_equal(count_of(arguments, "--t0="), 7);
    free(arguments);
    free(page);
    run_fini(&run);
}

static void an_interrupt_ends_the_child_too(void **state)
{
    (void)state;
    const char *script = make_paper("echo $$ >begun\nexec sleep 100");
    char text[32] = {0};
    assert_int_equal(mkfifo(path("begun"), 0600), 0);
    struct pollfd begun = {.fd = open(path("begun"), O_RDONLY | O_NONBLOCK | O_CLOEXEC), .events = POLLIN};
    assert_true(begun.fd >= 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (freopen("/dev/null", "w", stderr))
            execl(PROGRAM, PROGRAM, "--jobs", "1", "--paper", script, "--out", folder, NULL);
        _exit(127);
    }
    assert_int_equal(poll(&begun, 1, 10000), 1);
    assert_true(read(begun.fd, text, sizeof text - 1) > 0);
    close(begun.fd);
    pid_t child = (pid_t)strtol(text, NULL, 10);
    assert_true(child > 0);
    assert_int_equal(kill(pid, SIGINT), 0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    assert_int_equal(kill(child, 0), -1);
    assert_int_equal(errno, ESRCH);
    assert_false(exists("index.html") || exists("eval.json") || exists("runs.csv"));
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest sweep[] = {
        cmocka_unit_test(a_tiny_sweep_judges_every_value_that_it_can),
        cmocka_unit_test(a_sweep_writes_all_its_files),
        cmocka_unit_test(the_objects_of_paper_are_in_the_json_as_they_were_printed),
    };
    const struct CMUnitTest others[] = {
        WITH_FOLDER(nonsense_is_refused_with_2),
        WITH_FOLDER(what_is_missing_is_told_with_1_before_anything_runs),
        WITH_FOLDER(a_paper_that_fails_ends_the_sweep_and_leaves_no_report),
        WITH_FOLDER(a_loss_is_shown_and_is_status_1),
        WITH_FOLDER(a_tenth_of_a_ms_too_much_differs_and_is_status_1),
        WITH_FOLDER(without_real_time_the_page_and_every_figure_say_so),
        WITH_FOLDER(an_interrupt_ends_the_child_too),
    };
    int failed = cmocka_run_group_tests_name("demo.eval", sweep, run_tiny_sweep, end_tiny_sweep);
    return failed + cmocka_run_group_tests_name("demo.eval, refused", others, NULL, NULL);
}
