/* The figures of a run, and the medians of several; see figures.h. */
#include "figures.h"
#include "sampling.h"

#include <stdlib.h>

enum { MAX_RUNS = 5 };

static void list_rows(struct figures *figures, const struct options *options)
{
    size_t count = 0;

    for (int i = 0; groups[i] != NULL; i++) {
        count += groups[i]->row_count;
    }
    *figures = (struct figures){.at = limit_new(count * sizeof(struct figure))};
    for (int i = 0; groups[i] != NULL; i++) {
        for (size_t row = 0; row < groups[i]->row_count; row++) {
            const struct row *it = &groups[i]->rows[row];
            figures->at[figures->count++] =
                (struct figure){.row = it, .group = groups[i], .wanted = options_want(options, it)};
        }
    }
}

void figures_measure(struct figures *figures, const struct options *options, const struct place *place)
{
    list_rows(figures, options);
    for (size_t at = 0; at < figures->count; at += figures->at[at].group->row_count) {
        group_measure(figures->at[at].group, place, options->samples, &figures->at[at]);
    }
}

void figures_free(struct figures *figures)
{
    free(figures->at);
}

static void median_row(struct figure *median, const struct figures *runs, unsigned count, size_t at)
{
    double medians[MAX_RUNS], p99s[MAX_RUNS], limits[MAX_RUNS], ratios[MAX_RUNS];

    *median = runs[0].at[at];
    for (unsigned run = 0; run < count; run++) {
        const struct figure *it = &runs[run].at[at];
        median->measured = median->measured && it->measured;
        medians[run] = it->median;
        p99s[run] = it->p99;
        limits[run] = it->limit;
        ratios[run] = it->ratio;
    }
    median->median = median_of(medians, count);
    median->p99 = median_of(p99s, count);
    median->limit = median_of(limits, count);
    median->ratio = median_of(ratios, count);
}

void figures_median(struct figures *median, const struct figures *runs, unsigned count)
{
    median->count = runs[0].count;
    median->at = limit_new(median->count * sizeof(struct figure));
    for (size_t at = 0; at < median->count; at++) {
        median_row(&median->at[at], runs, count, at);
    }
}

unsigned figures_holding(const struct figures *figures, unsigned *targets)
{
    unsigned holding = 0;

    *targets = 0;
    for (size_t at = 0; at < figures->count; at++) {
        const struct figure *it = &figures->at[at];
        if (it->wanted && it->row->judged != JUDGED_NOT) {
            ++*targets;
            holding += figure_holds(it);
        }
    }
    return holding;
}
