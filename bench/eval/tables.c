/*
 * Two CSV tables and one JSON object.
 *
 * A CSV cell is empty where there is no such number. eval.json has the objects of paper as they were printed, each with
 * the member "kind" (sweep_kind_name).
 */
#include "tables.h"

#include "folder.h"

#include <inttypes.h>
#include <math.h>

/* --- CSV ---------------------------------------------------------------------------------------------------------------- */

static void cell(FILE *file, double value)
{
    if (isnan(value)) {
        fprintf(file, ",");
    } else {
        fprintf(file, ",%.6g", value);
    }
}

static void summary_cells(FILE *file, const struct summary *summary)
{
    fprintf(file, ",%" JSON_INTEGER_FORMAT, summary->count);
    cell(file, summary->min);
    cell(file, summary->median);
    cell(file, summary->mean);
    cell(file, summary->p99);
    cell(file, summary->max);
}

static void summary_names(FILE *file, const char *what)
{
    fprintf(file, ",%s_count,%s_min_ms,%s_median_ms,%s_mean_ms,%s_p99_ms,%s_max_ms", what, what,
            what, what, what, what);
}

static void run_line(FILE *file, const struct point *point, enum run_kind kind,
                     const struct options *options)
{
    const struct result *it = &point->runs[kind];
    fprintf(file, "%s,%u,%u,%u,%u", sweep_kind_name(kind), point->exec_ms, point->result_ms,
            point->clients, options->requests);
    cell(file, it->t0_ms);
    summary_cells(file, &it->swap);
    summary_cells(file, &it->blackout);
    summary_cells(file, &it->response_without);
    summary_cells(file, &it->response);
    cell(file, it->response.max - it->response_without.max);
    cell(file, it->bound_ms);
    cell(file, it->violations >= 0 ? (double)it->violations : NAN);
    cell(file, it->jitter_max_us);
    fprintf(file,
            ",%" JSON_INTEGER_FORMAT ",%" JSON_INTEGER_FORMAT ",%" JSON_INTEGER_FORMAT
            ",%" JSON_INTEGER_FORMAT "\n",
            it->sent, it->answered, it->lost, it->duplicated);
}

static int write_runs(const char *folder, const struct sweep *sweep)
{
    FILE *file = folder_open(folder, "runs.csv", "we");
    if (file == NULL) {
        return -1;
    }
    fprintf(file, "kind,exec_ms,result_ms,clients,requests,t0_ms");
    summary_names(file, "swap");
    summary_names(file, "blackout");
    summary_names(file, "response_without_swaps");
    summary_names(file, "response");
    fprintf(file, ",max_difference_ms,bound_ms,violations,jitter_max_us,sent,answered,lost,duplicated\n");
    for (size_t i = 0; i < sweep->point_count; i++) {
        for (int kind = 0; kind < RUN_KINDS; kind++) {
            if (sweep->points[i].runs[kind].object != NULL) {
                run_line(file, &sweep->points[i], (enum run_kind)kind, sweep->options);
            }
        }
    }
    return folder_close(file, folder, "runs.csv");
}

/* No statement has a quote in it. */
static int write_stated(const char *folder, const struct stated_list *list)
{
    FILE *file = folder_open(folder, "stated.csv", "we");
    if (file == NULL) {
        return -1;
    }
    fprintf(file, "section,statement,exec_ms,result_ms,clients,quantity,comparison,stated_ms,measured_ms,extreme_ms,verdict,why\n");
    for (size_t i = 0; i < list->count; i++) {
        const struct stated *it = &list->at[i];
        const struct statement *statement = it->statement;
        fprintf(file, "\"%s\",\"%s\",%u,%u,%u,\"%s\",%s", statement->section, statement->text,
                it->exec_ms, it->result_ms, it->clients, statement->unit,
                stated_relation_name(statement->relation));
        cell(file, it->stated_ms);
        cell(file, it->measured_ms);
        cell(file, it->extreme_ms);
        fprintf(file, ",%s,\"%s\"\n", stated_verdict_name(it->verdict), it->why != NULL ? it->why : "");
    }
    return folder_close(file, folder, "stated.csv");
}

/* --- JSON --------------------------------------------------------------------------------------------------------------- */

static json_t *number_or_null(double value)
{
    return isnan(value) ? json_null() : json_real(value);
}

static json_t *runs_json(const struct sweep *sweep)
{
    json_t *array = json_array();
    for (size_t i = 0; i < sweep->point_count; i++) {
        for (int kind = 0; kind < RUN_KINDS; kind++) {
            json_t *object = sweep->points[i].runs[kind].object;
            if (object != NULL) {
                json_t *run = json_pack("{s:s}", "kind", sweep_kind_name((enum run_kind)kind));
                json_object_update(run, object);
                json_array_append_new(array, run);
            }
        }
    }
    return array;
}

static json_t *stated_json(const struct stated_list *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->count; i++) {
        const struct stated *it = &list->at[i];
        const struct statement *statement = it->statement;
        json_array_append_new(
            array,
            json_pack("{s:s, s:s, s:i, s:i, s:i, s:s, s:s, s:o, s:o, s:o, s:s, s:s?}", "section",
                      statement->section, "statement", statement->text, "exec_ms", (int)it->exec_ms,
                      "result_ms", (int)it->result_ms, "clients", (int)it->clients, "quantity",
                      statement->unit, "comparison", stated_relation_name(statement->relation),
                      "stated_ms", number_or_null(it->stated_ms), "measured_ms",
                      number_or_null(it->measured_ms), "extreme_ms", number_or_null(it->extreme_ms),
                      "verdict", stated_verdict_name(it->verdict), "why", it->why));
    }
    return array;
}

static int write_json(const char *folder, const struct sweep *sweep, const struct stated_list *list,
                      const struct host *host)
{
    static const char unfinished[] = "eval.json.unfinished";
    const struct options *options = sweep->options;
    const struct result *first = sweep_first(sweep);
    struct ledger sum = tables_ledger(sweep);

    json_t *object = json_pack(
        "{s:s, s:s, s:s?, s:b, s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:b, s:I, s:f, s:{s:I, s:I, s:I, s:I}, s:I, s:I, "
        "s:o, s:o}",
        "clock", options->real ? "real" : "virtual", "machine", first->machine, "machine_reason",
        first->machine_reason, "not_real_time", sweep_is_not_real_time(sweep), "mover",
        first->mover, "kernel", host->kernel, "cpu", host->cpu, "cpus", host->cpus, "cpus_allowed",
        host->cpus_allowed, "date", host->date, "command", options->command, "trial",
        !options_are_the_papers(options), "seed", (json_int_t)options->seed, "wall_s",
        sweep->wall_s, "ledger", "sent", sum.sent, "answered", sum.answered, "lost", sum.lost,
        "duplicated", sum.duplicated, "stated_judged", (json_int_t)list->judged, "stated_met",
        (json_int_t)list->met, "runs", runs_json(sweep), "stated", stated_json(list));
    if (object == NULL) {
        fprintf(stderr, "eval: no memory for eval.json, or a command line that is no UTF-8\n");
        return -1;
    }
    FILE *file = folder_open(folder, unfinished, "we");
    if (file == NULL) {
        json_decref(object);
        return -1;
    }
    (void)json_dumpf(object, file, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
    fprintf(file, "\n");
    json_decref(object);
    return folder_close(file, folder, unfinished) != 0
               ? -1
               : folder_rename(folder, unfinished, "eval.json");
}

int tables_write(const char *folder, const struct sweep *sweep, const struct stated_list *list,
                 const struct host *host)
{
    return write_runs(folder, sweep) != 0 || write_stated(folder, list) != 0
               ? -1
               : write_json(folder, sweep, list, host);
}

struct ledger tables_ledger(const struct sweep *sweep)
{
    struct ledger sum = {0};
    for (size_t i = 0; i < sweep->point_count; i++) {
        for (int kind = 0; kind < RUN_KINDS; kind++) {
            const struct result *it = &sweep->points[i].runs[kind];
            sum.sent += it->sent;
            sum.answered += it->answered;
            sum.lost += it->lost;
            sum.duplicated += it->duplicated;
            sum.failed += it->failed;
            sum.violations += it->violations > 0 ? it->violations : 0;
        }
    }
    return sum;
}
