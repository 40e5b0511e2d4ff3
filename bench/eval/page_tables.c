/* The two long tables of the page: what the paper states beside what was measured, and all runs. */
#include "page.h"

#include "html.h"
#include "judge.h"

#include <math.h>
#include <string.h>

/* --- What the paper states ------------------------------------------------------------------------------------------------- */

static const char *mark_of(enum verdict verdict)
{
    static const char *const marks[] = {
        [VERDICT_NOT_RUN] = "not run", [VERDICT_EQUAL] = "=", [VERDICT_ROUNDS] = "≈",
        [VERDICT_WITHIN] = "±",        [VERDICT_HOLDS] = "✓", [VERDICT_DIFFERS] = "✗",
    };
    return marks[verdict];
}

/* One measured value: the one that is judged, and below it what 50 swaps came to, if that is another. */
static void stated_cell(FILE *file, const struct stated *it)
{
    if (it->verdict == VERDICT_NOT_RUN) {
        fprintf(file, "<td><small>not run</small></td>");
        return;
    }
    fprintf(file, "<td class=\"%s\" title=\"%s%s%s\">%.3f %s", stated_is_met(it) ? "met" : "differs",
            stated_verdict_name(it->verdict), it->why != NULL ? ": " : "",
            it->why != NULL ? it->why : "", judge_value(it), mark_of(it->verdict));
    if (it->statement->relation == RELATION_GROWS) {
        fprintf(file, "<small>&gt; %.3f</small>", it->stated_ms);
    } else if (!isnan(it->extreme_ms) && !isnan(it->measured_ms)) {
        fprintf(file, "<small>%.3f</small>", it->measured_ms);
    }
    fprintf(file, "</td>");
}

/* What a row of the table has in common: statement, work times and, if it does not hang on the measured ones, the value. */
static bool same_row(const struct stated *a, const struct stated *b)
{
    return a->statement == b->statement && a->exec_ms == b->exec_ms && a->result_ms == b->result_ms;
}

static void value_cell(FILE *file, const struct stated *it)
{
    enum relation relation = it->statement->relation;
    if (relation == RELATION_GROWS) {
        fprintf(file, "<td>grows</td>");
    } else {
        fprintf(file, "<td>%s%g</td>", relation == RELATION_EXCEEDS ? "&gt; " : "", it->stated_ms);
    }
}

/* A row, with a cell for each number of clients from least to most: from list->at[i] on. Returns where the next one begins. */
static size_t stated_row(FILE *file, const struct stated_list *list, size_t i, unsigned least,
                         unsigned most)
{
    const struct stated *first = &list->at[i];
    fprintf(file, "<tr><td>%u</td><td>%u</td>", first->exec_ms, first->result_ms);
    value_cell(file, first);
    for (unsigned clients = least; clients <= most; clients++) {
        if (i < list->count && same_row(&list->at[i], first) && list->at[i].clients == clients) {
            stated_cell(file, &list->at[i++]);
        } else {
            fprintf(file, "<td></td>");
        }
    }
    fprintf(file, "</tr>\n");
    return i;
}

/* The table of the statement of list->at[i]. Returns where the next one begins. */
static size_t stated_table(FILE *file, const struct stated_list *list, size_t i)
{
    const struct statement *statement = list->at[i].statement;
    unsigned least = PAPER_CLIENTS, most = 0;

    for (size_t j = i; j < list->count && list->at[j].statement == statement; j++) {
        unsigned clients = list->at[j].clients;
        least = clients < least ? clients : least;
        most = clients > most ? clients : most;
    }
    fprintf(file, "<h3>");
    html_text(file, statement->text);
    fprintf(file, " <span class=\"soft\">section ");
    html_text(file, statement->section);
    fprintf(file, "</span></h3>\n<div class=\"wide\"><table>\n<tr><th>E</th><th>R</th><th>paper</th>");
    for (unsigned clients = least; clients <= most; clients++) {
        fprintf(file, "<th>n = %u</th>", clients);
    }
    fprintf(file, "</tr>\n");
    while (i < list->count && list->at[i].statement == statement) {
        i = stated_row(file, list, i, least, most);
    }
    fprintf(file, "</table></div>\n");
    return i;
}

static void write_reasons(FILE *file, const struct stated_list *list)
{
    const char *said[MAX_STATED];
    size_t count = 0;

    for (size_t i = 0; i < list->count; i++) {
        const char *why = list->at[i].why;
        bool known = why == NULL;
        for (size_t j = 0; j < count && !known; j++) {
            known = strcmp(said[j], why) == 0;
        }
        if (!known) {
            said[count++] = why;
        }
    }
    if (count == 0) {
        return;
    }
    fprintf(file, "<p>Why values that are not equal may differ (each cell says which, where a pointer rests on it):</p>\n<ul>\n");
    for (size_t i = 0; i < count; i++) {
        size_t within = 0, differs = 0;
        for (size_t j = 0; j < list->count; j++) {
            const struct stated *it = &list->at[j];
            bool same = it->why != NULL && strcmp(it->why, said[i]) == 0;
            within += same && it->verdict == VERDICT_WITHIN;
            differs += same && it->verdict == VERDICT_DIFFERS;
        }
        fprintf(file, "<li>");
        html_text(file, said[i]);
        fprintf(file, " (%zu ±, %zu ✗)</li>\n", within, differs);
    }
    fprintf(file, "</ul>\n");
}

void page_stated(FILE *file, const struct stated_list *list, bool real)
{
    fprintf(file, "<h2>What the paper states, and what was measured</h2>\n<p>All in ms. = equal to a microsecond, ≈ equal in the digits "
                  "that the paper gives, ✓ the inequality holds, ");
    fprintf(file,
            real ? "± as near as 50 swaps and this clock can be expected to come (0.3 ms and 1 %% for calls and late WAITs, "
                   "the jitter, and 7 ms, as 50 random swaps can miss it by so much, on the inner side of a maximum or minimum), ✗ differs.</p>\n"
                 : "✗ differs. Maxima and minima are those of all swaps, many of them aimed; the small number below is "
                   "what the paper's 50 random swaps came to. Means and medians that grow are those of many random "
                   "swaps; below is what they are compared with, one of fewer APs. An empty cell: nothing is compared there "
                   "(what grows with n does so from 1 to 2 to 7 APs, not at every step).</p>\n");
    write_reasons(file, list);
    for (size_t i = 0; i < list->count;) {
        i = stated_table(file, list, i);
    }
}

/* --- All runs --------------------------------------------------------------------------------------------------------------- */

static void bound_cell(FILE *file, const struct result *it, double longest_ms, bool real)
{
    bool above = real ? it->violations > 0 : longest_ms > it->bound_ms + 0.0005;
    if (isnan(it->bound_ms)) {
        fprintf(file, "<td>none</td>");
    } else if (above && real) {
        fprintf(file, "<td class=\"differs\">%.3f ✗ %" JSON_INTEGER_FORMAT " above</td>",
                it->bound_ms, it->violations);
    } else {
        fprintf(file, "<td class=\"%s\">%.3f %s</td>", above ? "differs" : "met", it->bound_ms,
                above ? "✗ above" : "✓");
    }
}

static void run_row(FILE *file, const struct point *point, enum run_kind kind, bool real)
{
    const struct result *it = &point->runs[kind];
    bool kept = it->lost == 0 && it->duplicated == 0;

    fprintf(file,
            "<tr><td>%u</td><td>%u</td><td>%u</td><td class=\"text\">%s</td><td>%" JSON_INTEGER_FORMAT
            "</td>",
            point->exec_ms, point->result_ms, point->clients, sweep_kind_title(kind), it->swap.count);
    html_number(file, it->swap.min, 3);
    html_number(file, it->swap.median, 3);
    html_number(file, it->swap.mean, 3);
    html_number(file, it->swap.max, 3);
    bound_cell(file, it, it->swap.max, real);
    html_number(file, it->blackout.median, 3);
    html_number(file, it->blackout.max, 3);
    html_number(file, it->response_without.max, 3);
    html_number(file, it->response.max, 3);
    html_number(file, it->response.max - it->response_without.max, 3);
    fprintf(file, "<td class=\"%s\">%" JSON_INTEGER_FORMAT "</td></tr>\n", kept ? "met" : "differs",
            it->lost + it->duplicated);
}

void page_runs(FILE *file, const struct sweep *sweep)
{
    bool real = sweep->options->real;

    fprintf(file,
            "<h2>All runs</h2>\n<p>All in ms. The bound is libant's: the longest that a swap may take, from the work times, the "
            "driver's bursts and waits, and the number of requests that can be out%s. Blackout: the time in which nobody "
            "serves. The last column counts requests lost or answered twice.</p>\n",
            real ? "; above it counts only what is above by more than the jitter" : "");
    fprintf(file,
            "<div class=\"wide\"><table>\n<tr><th colspan=\"5\"></th><th colspan=\"5\">swap time</th><th colspan=\"2\">blackout</th>"
            "<th colspan=\"3\">longest response</th><th></th></tr>\n"
            "<tr><th>E</th><th>R</th><th>n</th><th class=\"text\">run</th><th>swaps</th><th>min</th><th>median</th><th>mean</th>"
            "<th>max</th><th>bound</th><th>median</th><th>max</th><th>without</th><th>with</th><th>difference</th>"
            "<th>lost</th></tr>\n");
    for (size_t i = 0; i < sweep->point_count; i++) {
        for (int kind = 0; kind < RUN_KINDS; kind++) {
            if (sweep->points[i].runs[kind].object != NULL) {
                run_row(file, &sweep->points[i], (enum run_kind)kind, real);
            }
        }
    }
    fprintf(file, "</table></div>\n");
}
