/* index.html from top to bottom. */
#include "page.h"

#include "folder.h"
#include "html.h"
#include "judge.h"
#include "plots.h"
#include "tables.h"

#include <math.h>

static const char title[] = "OS-server swap in AnT: the paper's evaluation, repeated on libant";
static const char unfinished[] = "index.html.unfinished";

static void write_marks(FILE *file, const struct sweep *sweep)
{
    const struct options *options = sweep->options;
    if (sweep_is_not_real_time(sweep)) {
        fprintf(file,
                "<p class=\"mark\">NOT REAL-TIME. These numbers were measured without real-time priorities, and mean "
                "little: other programs ran in between. Run it as root, or with RLIMIT_RTPRIO.</p>\n");
    }
    if (!options_are_the_papers(options)) {
        fprintf(file,
                "<p class=\"mark\">A trial: up to %u of %d clients, %u swaps (the paper: %d), %u requests each (the paper: "
                "%d).</p>\n",
                options->clients, PAPER_CLIENTS, options->swaps, PAPER_SWAPS, options->requests,
                PAPER_REQUESTS);
    }
}

static void write_introduction(FILE *file, const struct sweep *sweep)
{
    fprintf(file,
            "<p>The paper (Sawada, Yamauchi, Taniguchi: swap time and response time of OS-server replacement in AnT) measures how "
            "long it takes to replace an OS server while 1 to 7 application processes (APs) use it. Here its model "
            "runs on libant, and the steps of a swap cost what AnT's do, 7.4 ms of the processor; E is the server's "
            "work on a request, R its work on a result, n the number of APs. ");
    if (sweep->options->real) {
        fprintf(file, "All of it was measured on the real clock, and once more with libant's own swap in place of AnT's.</p>\n");
    } else {
        fprintf(file, "All of it ran on the virtual clock, on which computing and waiting take exactly their time, and calls nothing "
                      "but what the model says.</p>\n");
    }
}

static void write_summary(FILE *file, const struct sweep *sweep, const struct stated_list *list)
{
    struct ledger sum = tables_ledger(sweep);
    fprintf(file, "<p class=\"summary\"><strong>%zu of %zu stated values met</strong>", list->met,
            list->judged);
    if (list->judged < list->count) {
        fprintf(file, " (%zu more need what was not run)", list->count - list->judged);
    }
    fprintf(file,
            "; %" JSON_INTEGER_FORMAT " requests sent, <strong>%" JSON_INTEGER_FORMAT
            " lost, %" JSON_INTEGER_FORMAT " duplicated</strong>",
            sum.sent, sum.lost, sum.duplicated);
    if (sum.failed > 0) {
        fprintf(file, "; <strong>%u runs failed</strong>", sum.failed);
    }
    if (sweep->options->real) {
        fprintf(file, "; %" JSON_INTEGER_FORMAT " swaps longer than their bound", sum.violations);
    }
    fprintf(file, ".</p>\n");
}

static void item(FILE *file, const char *name, const char *value)
{
    fprintf(file, "<dt>%s</dt><dd>", name);
    html_text(file, value);
    fprintf(file, "</dd>\n");
}

/* What the real clock's measurements hang on. Jitter: the worst of all runs. */
static void write_real_machine(FILE *file, const struct sweep *sweep)
{
    double p999_us = NAN, max_us = NAN;
    char text[160];
    const json_t *throttling = json_object_get(sweep_first(sweep)->object, "rt_throttling");

    for (size_t i = 0; i < sweep->point_count; i++) {
        for (int kind = 0; kind < RUN_KINDS; kind++) {
            if (sweep->points[i].runs[kind].object != NULL) {
                p999_us = fmax(p999_us, sweep->points[i].runs[kind].jitter_p999_us);
                max_us = fmax(max_us, sweep->points[i].runs[kind].jitter_max_us);
            }
        }
    }
    snprintf(text, sizeof text,
             "a thread runs up to %.1f us late, 999 in 1000 times no more than %.1f us (the worst of all runs)",
             max_us, p999_us);
    item(file, "jitter", isnan(max_us) ? "not measured" : text);
    snprintf(text, sizeof text, "real-time threads may run for %.0f us of every %.0f",
             result_number(json_object_get(throttling, "runtime_us")),
             result_number(json_object_get(throttling, "period_us")));
    item(file, "throttling", json_is_object(throttling) ? text : "none");
}

static void write_machine(FILE *file, const struct sweep *sweep, const struct host *host)
{
    const struct result *first = sweep_first(sweep);
    char text[256];

    fprintf(file, "<h2>The machine</h2>\n<dl>\n");
    snprintf(text, sizeof text, "%s%s%s", first->machine, first->machine_reason != NULL ? ": " : "",
             first->machine_reason != NULL ? first->machine_reason
             : sweep->options->real        ? ""
                                           : ": a clock of its own, the same on every computer");
    item(file, "machine", text);
    item(file, "mover", first->mover);
    if (sweep->options->real) {
        write_real_machine(file, sweep);
    }
    item(file, "kernel", host->kernel);
    item(file, "processor", host->cpu);
    snprintf(text, sizeof text, "%d, of which this could use %d", host->cpus, host->cpus_allowed);
    item(file, "CPUs", text);
    snprintf(text, sizeof text, "%s, in %.0f s", host->date, sweep->wall_s);
    item(file, "finished", text);
    fprintf(file, "<dt>again</dt><dd><code>");
    html_text(file, sweep->options->command);
    fprintf(file, "</code></dd>\n</dl>\n");
}

static int write_figures(FILE *file, const char *folder, const struct sweep *sweep)
{
    const struct figure *figures;
    size_t count = plots_figures(sweep->options, &figures);
    int error = 0;

    fprintf(file, "<h2>The figures</h2>\n<div class=\"figures\">\n");
    for (size_t i = 0; i < count && error == 0; i++) {
        fprintf(file, "<figure>\n");
        error = html_svg(file, folder, figures[i].name);
        fprintf(file, "<figcaption>Fig. %u: %s. %s%s</figcaption>\n</figure>\n", figures[i].number,
                figures[i].title, figures[i].caption,
                sweep_is_not_real_time(sweep) ? " NOT REAL-TIME." : "");
    }
    fprintf(file, "</div>\n");
    return error;
}

static int write_all(FILE *file, const char *folder, const struct sweep *sweep,
                     const struct stated_list *list, const struct host *host)
{
    html_begin(file, title);
    fprintf(file, "<h1>%s</h1>\n", title);
    write_marks(file, sweep);
    write_introduction(file, sweep);
    write_summary(file, sweep, list);
    write_machine(file, sweep, host);
    if (write_figures(file, folder, sweep) != 0) {
        return -1;
    }
    page_stated(file, list, sweep->options->real);
    page_runs(file, sweep);
    fprintf(file, "<p class=\"soft\">Beside this page: runs.csv, stated.csv and eval.json have the numbers; figN.gp and figN.dat are "
                  "what gnuplot made the figures from. What had to be assumed, because the paper does not say it, is in "
                  "libant's docs/evaluation.md.</p>\n");
    html_end(file);
    return 0;
}

int page_write(const char *folder, const struct sweep *sweep, const struct stated_list *list,
               const struct host *host)
{
    FILE *file = folder_open(folder, unfinished, "we");
    if (file == NULL) {
        return -1;
    }
    int error = write_all(file, folder, sweep, list, host);
    if (folder_close(file, folder, unfinished) != 0 || error != 0) {
        return -1;
    }
    return folder_rename(folder, unfinished, "index.html");
}
