/*
 * The paper's evaluation as a sweep over its configurations: the order of things.
 *
 * What can be refused is refused before anything runs. Nothing is written before all runs are done, and index.html last: so an
 * interrupted sweep leaves the folder as it was.
 */
#include "folder.h"
#include "judge.h"
#include "options.h"
#include "page.h"
#include "plots.h"
#include "progress.h"
#include "tables.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The path of paper, so that no search for it depends on where we are. */
static int find_paper(const char *given, char *path)
{
    if (realpath(given, path) == NULL || access(path, X_OK) != 0) {
        fprintf(stderr,
                "eval: %s: %s. It does the runs: build the target bench_paper, or say where it is with --paper\n",
                given, strerror(errno));
        return -1;
    }
    return 0;
}

static void announce(const struct sweep *sweep)
{
    char time[16];
    const struct options *options = sweep->options;
    if (options->real) {
        fprintf(stderr,
                "eval: %u runs on the real clock, about %s (h:mm:ss) in all; what else runs on this computer disturbs them\n",
                sweep->run_count, progress_time(sweep_expected_s(sweep), time));
    } else {
        fprintf(stderr, "eval: %u runs on the virtual clock, %u at a time\n", sweep->run_count,
                options->jobs);
    }
}

/* A report of another sweep must not look like this one's while the folder is half of each. */
static int write_report(const struct sweep *sweep, const struct stated_list *list, const struct host *host)
{
    const char *folder = sweep->options->out;
    if (folder_remove(folder, "index.html") != 0 || folder_remove(folder, "eval.json") != 0 ||
        plots_write(folder, sweep) != 0 || tables_write(folder, sweep, list, host) != 0) {
        return -1;
    }
    return page_write(folder, sweep, list, host);
}

static void print_differences(const struct stated_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct stated *it = &list->at[i];
        if (it->verdict == VERDICT_DIFFERS) {
            printf("differs: E = %u, R = %u, n = %u, section %s, %s: stated %g ms, measured %g ms\n  %s\n",
                   it->exec_ms, it->result_ms, it->clients, it->statement->section,
                   it->statement->text, it->stated_ms, judge_value(it), it->why);
        }
    }
}

/* Returns the exit status. */
static int print_summary(const struct sweep *sweep, const struct stated_list *list)
{
    struct ledger sum = tables_ledger(sweep);
    bool good = sum.lost == 0 && sum.duplicated == 0 && sum.failed == 0;

    print_differences(list);
    if (sweep_is_not_real_time(sweep)) {
        printf("NOT REAL-TIME: measured on the machine %s\n", sweep_first(sweep)->machine);
    }
    printf("%" JSON_INTEGER_FORMAT " requests sent, %" JSON_INTEGER_FORMAT
           " lost, %" JSON_INTEGER_FORMAT " duplicated\n",
           sum.sent, sum.lost, sum.duplicated);
    if (sum.failed > 0) {
        printf("%u runs failed, see above\n", sum.failed);
    }
    if (sweep->options->real) {
        printf("%" JSON_INTEGER_FORMAT " swaps longer than their bound\n", sum.violations);
    }
    printf("%zu of %zu stated values met", list->met, list->judged);
    if (list->judged < list->count) {
        printf(" (%zu more need what was not run)", list->count - list->judged);
    }
    printf("\n%s/index.html\n", sweep->options->out);
    return good && (sweep->options->real || list->met == list->judged) ? 0 : 1;
}

static int report(const struct sweep *sweep)
{
    struct stated_list list;
    struct host host;

    stated_judge(&list, sweep);
    host_describe(&host);
    if (write_report(sweep, &list, &host) != 0) {
        return 1;
    }
    int status = print_summary(sweep, &list);
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        fprintf(stderr, "eval: standard output: %s\n", strerror(errno));
        return 1;
    }
    return status;
}

int main(int count, char **values)
{
    struct options options;
    struct sweep sweep;
    char paper[PATH_MAX];

    options_parse(&options, count, values);
    if (plots_check() != 0 || find_paper(options.paper, paper) != 0 || folder_make(options.out) != 0) {
        return 1;
    }
    setenv("ANT_LOG", "error", 0); /* one and the same warning from each run is too much */
    sweep_init(&sweep, &options);
    announce(&sweep);
    int error = sweep_run(&sweep, paper);
    int status = error == 0 ? report(&sweep) : 1;
    sweep_fini(&sweep);
    free(options.command);
    if (error > 0) {
        fprintf(stderr, "eval: interrupted; nothing was written\n");
        (void)raise(error);
    }
    return status;
}
