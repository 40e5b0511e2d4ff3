/* What each of the paper's figures shows, out of the sweep. */
#include "plot_data.h"

#include <math.h>
#include <stdio.h>

static void put(struct plot_data *data, unsigned panel, unsigned clients, unsigned column, double value)
{
    data->at[panel][clients][column] = value;
    data->highest = fmax(data->highest, value);
}

/* The longest of all runs on the virtual clock. */
static double longest(const struct point *point, bool of_swaps)
{
    double ms = NAN;
    for (int kind = 0; kind < RUN_KINDS; kind++) {
        const struct result *it = &point->runs[kind];
        if (it->object != NULL && kind != RUN_OWN) {
            ms = fmax(ms, of_swaps ? it->swap.max : it->response.max);
        }
    }
    return ms;
}

/* Of Fig. 7 to 9; those of Fig. 10 are the pairs. */
enum { COLUMN_MIN, COLUMN_MEDIAN, COLUMN_MEAN, COLUMN_MAX, COLUMN_DASHED = DASHED_COLUMN, COLUMNS };

static void put_summary(struct plot_data *data, unsigned panel, unsigned clients,
                        const struct summary *it, double dashed)
{
    put(data, panel, clients, COLUMN_MIN, it->min);
    put(data, panel, clients, COLUMN_MEDIAN, it->median);
    put(data, panel, clients, COLUMN_MEAN, it->mean);
    put(data, panel, clients, COLUMN_MAX, it->max);
    put(data, panel, clients, COLUMN_DASHED, dashed);
}

static void fill_swaps(struct plot_data *data, const struct sweep *sweep, const struct pair *pairs,
                       enum run_kind kind)
{
    data->panels = 3;
    data->columns = COLUMNS;
    for (unsigned panel = 0; panel < data->panels; panel++) {
        snprintf(data->titles[panel], TITLE_BYTES, "(%c) E = %u ms, R = %u ms", 'A' + (int)panel,
                 pairs[panel].exec_ms, pairs[panel].result_ms);
        for (unsigned clients = 1; clients <= sweep->options->clients; clients++) {
            const struct point *point =
                sweep_point(sweep, pairs[panel].exec_ms, pairs[panel].result_ms, clients);
            const struct result *it = &point->runs[kind];
            put_summary(data, panel, clients, &it->swap,
                        sweep->options->real ? it->bound_ms : longest(point, true));
        }
    }
}

static void fill_responses(struct plot_data *data, const struct sweep *sweep, enum run_kind kind)
{
    data->panels = 2;
    data->columns = sweep->options->real ? COLUMN_DASHED : COLUMNS;
    snprintf(data->titles[0], TITLE_BYTES, "(A) without swaps");
    snprintf(data->titles[1], TITLE_BYTES, "(B) with swaps");
    for (unsigned clients = 1; clients <= sweep->options->clients; clients++) {
        const struct point *point =
            sweep_point(sweep, sweep_pairs[0].exec_ms, sweep_pairs[0].result_ms, clients);
        put_summary(data, 0, clients, &point->runs[kind].response_without, NAN);
        put_summary(data, 1, clients, &point->runs[kind].response,
                    sweep->options->real ? NAN : longest(point, false));
    }
}

static void fill_differences(struct plot_data *data, const struct sweep *sweep, enum run_kind kind)
{
    data->panels = sweep->options->real ? 1 : 2;
    data->columns = PAIRS;
    snprintf(data->titles[0], TITLE_BYTES, sweep->options->real ? "50 swaps" : "(A) 50 swaps");
    snprintf(data->titles[1], TITLE_BYTES, "(B) all swaps, many of them aimed");
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        for (unsigned clients = 1; clients <= sweep->options->clients; clients++) {
            const struct point *point =
                sweep_point(sweep, sweep_pairs[pair].exec_ms, sweep_pairs[pair].result_ms, clients);
            double without_ms = point->runs[kind].response_without.max;
            put(data, 0, clients, pair, point->runs[kind].response.max - without_ms);
            put(data, 1, clients, pair, longest(point, false) - without_ms);
        }
    }
}

void plot_data_fill(struct plot_data *data, const struct sweep *sweep, unsigned number, enum run_kind kind)
{
    *data = (struct plot_data){0};
    switch (number) {
    case 7:
        fill_swaps(data, sweep, sweep_pairs, kind);
        return;
    case 8:
        fill_swaps(data, sweep, sweep_pairs + PAIRS / 2, kind);
        return;
    case 9:
        fill_responses(data, sweep, kind);
        return;
    default:
        fill_differences(data, sweep, kind);
    }
}

void plot_data_column(char *title, unsigned number, unsigned column, bool real)
{
    static const char *const names[COLUMN_DASHED] = {"minimum", "median", "mean", "maximum"};
    if (number == 10) {
        snprintf(title, TITLE_BYTES, "E = %u, R = %u", sweep_pairs[column].exec_ms,
                 sweep_pairs[column].result_ms);
    } else if (column == COLUMN_DASHED) {
        snprintf(title, TITLE_BYTES, real ? "bound" : "longest");
    } else {
        snprintf(title, TITLE_BYTES, "%s", names[column]);
    }
}
