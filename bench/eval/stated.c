/*
 * The values that section 4 of the paper states, and how each is judged.
 *
 * Maxima and minima are suprema and infima: 50 random swaps stay short of them. On the virtual clock many more swaps are run, some
 * of them aimed, and what these find is compared, to the microsecond. On the real clock there are only the 50.
 */
#include "stated.h"

#include "judge.h"

#include <math.h>

static const double base_ms = 7.4;

/* --- What is looked at in a run ------------------------------------------------------------------------------------------- */

static double swap_min(const struct result *it)
{
    return it->swap.min;
}

static double swap_max(const struct result *it)
{
    return it->swap.max;
}

static double swap_mean(const struct result *it)
{
    return it->swap.mean;
}

static double swap_median(const struct result *it)
{
    return it->swap.median;
}

static double without_min(const struct result *it)
{
    return it->response_without.min;
}

static double without_mean(const struct result *it)
{
    return it->response_without.mean;
}

static double without_max(const struct result *it)
{
    return it->response_without.max;
}

static double response_min(const struct result *it)
{
    return it->response.min;
}

static double response_max(const struct result *it)
{
    return it->response.max;
}

static double difference(const struct result *it)
{
    return it->response.max - it->response_without.max;
}

/* --- What the paper says ---------------------------------------------------------------------------------------------------- */

/* The values of one statement: for each pair of work times, from so many clients to so many. */
struct values {
    unsigned exec_ms, result_ms, least_clients, most_clients;
    double ms;
};

enum { MAX_VALUES = 6 };

static const struct claim {
    struct statement statement;
    double (*of)(const struct result *);
    enum run_kind scope;  /* only this kind of run counts; RUN_KINDS: all do, with AnT's swap */
    double last_digit_ms; /* of the paper's number */
    struct values values[MAX_VALUES];
} claims[] = {
    {{"4.2.1 (1)", "the base swap time, when no AP sends anything", "swap_ms.median", RELATION_EQUALS},
     swap_median,
     RUN_PAPER,
     0.1,
     {{10, 1, 0, 0, 7.4}}},
    {{"4.2.1 (1)", "the minimum swap time is the base, whatever E and n (R = 1)", "swap_ms.min",
      RELATION_LEAST},
     swap_min,
     RUN_KINDS,
     0.1,
     {{10, 1, 1, 7, 7.4}, {15, 1, 1, 7, 7.4}, {20, 1, 1, 7, 7.4}}},
    {{"4.2.1 (2)", "the maximum swap time is base + E + driver's PU work, whatever n (R = 1)",
      "swap_ms.max", RELATION_MOST},
     swap_max,
     RUN_KINDS,
     0.1,
     {{10, 1, 1, 7, 22.4}, {15, 1, 1, 7, 27.4}, {20, 1, 1, 7, 32.4}}},
    {{"4.2.1 (3)", "the mean swap time grows with n (R = 1)", "swap_ms.mean", RELATION_GROWS},
     swap_mean,
     RUN_RANDOM,
     0,
     {{10, 1, 1, 7, 0}, {15, 1, 1, 7, 0}, {20, 1, 1, 7, 0}}},
    {{"4.2.1 (3)", "the median swap time grows with n (R = 1)", "swap_ms.median", RELATION_GROWS},
     swap_median,
     RUN_RANDOM,
     0,
     {{10, 1, 1, 7, 0}, {15, 1, 1, 7, 0}, {20, 1, 1, 7, 0}}},
    {{"4.2.2 (1)", "the minimum swap time is the base, whatever R and n (E = 1)", "swap_ms.min",
      RELATION_LEAST},
     swap_min,
     RUN_KINDS,
     0.1,
     {{1, 10, 1, 7, 7.4}, {1, 15, 1, 7, 7.4}, {1, 20, 1, 7, 7.4}}},
    {{"4.2.2 (2)", "up to 2 APs, the maximum swap time is base + R (E = 1)", "swap_ms.max", RELATION_MOST},
     swap_max,
     RUN_KINDS,
     0.1,
     {{1, 10, 1, 2, 17.4}, {1, 15, 1, 2, 22.4}, {1, 20, 1, 2, 27.4}}},
    {{"4.2.2 (2)", "a swap asked for just when request work starts takes 6 ms (E + driver's PU work) more than the base, not the maximum",
      "swap_ms.max, aimed at exec-start", RELATION_MOST},
     swap_max,
     RUN_EXEC_START,
     0.1,
     {{1, 10, 1, 2, 13.4}, {1, 15, 1, 2, 13.4}, {1, 20, 1, 2, 13.4}}},
    {{"4.2.2 (3)", "from 5 APs on, the maximum swap time is constant: base + R + a multiple of 5 (E = 1)",
      "swap_ms.max", RELATION_MOST},
     swap_max,
     RUN_KINDS,
     0.1,
     {{1, 10, 5, 7, 22.4}, {1, 15, 5, 7, 27.4}, {1, 20, 5, 7, 37.4}}},
    {{"4.3 (1)", "without swaps, one AP's response time is E + 5 + 15 + R: its minimum",
      "response_without_swaps_ms.min", RELATION_EQUALS},
     without_min,
     RUN_PAPER,
     1,
     {{10, 1, 1, 1, 31}}},
    {{"4.3 (1)", "without swaps, one AP's response time is E + 5 + 15 + R: its maximum",
      "response_without_swaps_ms.max", RELATION_EQUALS},
     without_max,
     RUN_PAPER,
     1,
     {{10, 1, 1, 1, 31}}},
    {{"4.3 (1)", "without swaps, with several APs it is longer (the mean)",
      "response_without_swaps_ms.mean", RELATION_EXCEEDS},
     without_mean,
     RUN_PAPER,
     1,
     {{10, 1, 2, 7, 31}}},
    {{"4.3 (2)", "with swaps, one AP's minimum response time is the same", "response_ms.min", RELATION_LEAST},
     response_min,
     RUN_KINDS,
     1,
     {{10, 1, 1, 1, 31}}},
    {{"4.3 (2)", "with swaps, one AP's maximum response time is 7.4 ms more", "response_ms.max",
      RELATION_MOST},
     response_max,
     RUN_KINDS,
     0.1,
     {{10, 1, 1, 1, 38.4}}},
    {{"4.3", "without swaps, the maximum response time with 6 APs", "response_without_swaps_ms.max",
      RELATION_EQUALS},
     without_max,
     RUN_PAPER,
     1,
     {{10, 1, 6, 6, 106}}},
    {{"4.3", "with swaps, the maximum response time with 6 APs", "response_ms.max", RELATION_MOST},
     response_max,
     RUN_KINDS,
     1,
     {{10, 1, 6, 6, 123}}},
    {{"4.3", "the difference of these maxima", "max_difference_ms", RELATION_MOST},
     difference,
     RUN_KINDS,
     1,
     {{10, 1, 6, 6, 17}}},
    {{"4.3, Fig. 10 (1)", "E and R below 15, several APs: the difference of the maxima is more than the base",
      "max_difference_ms", RELATION_EXCEEDS},
     difference,
     RUN_KINDS,
     0.1,
     {{10, 1, 2, 7, base_ms}, {1, 10, 2, 7, base_ms}}},
    {{"4.3, Fig. 10 (2)",
      "E or R of 15 and more, several APs: the difference of the maxima is the base, whatever n",
      "max_difference_ms", RELATION_MOST},
     difference,
     RUN_KINDS,
     0.1,
     {{15, 1, 2, 7, base_ms}, {20, 1, 2, 7, base_ms}, {1, 15, 2, 7, base_ms}, {1, 20, 2, 7, base_ms}}},
};

/* --- Measured beside stated ----------------------------------------------------------------------------------------------- */

/* The least or largest of the runs that count; NAN if only the paper's own run does, or was done. */
static double extreme_of(const struct claim *claim, const struct point *point)
{
    double extreme = NAN;
    bool least = claim->statement.relation == RELATION_LEAST;

    for (int kind = 0; kind < RUN_KINDS; kind++) {
        const struct result *run = &point->runs[kind];
        bool counts = claim->scope == RUN_KINDS ? kind != RUN_OWN : kind == (int)claim->scope;
        if (counts && run->object != NULL) {
            double ms = claim->of(run);
            extreme = least ? fmin(extreme, ms) : fmax(extreme, ms);
        }
    }
    bool more = claim->scope != RUN_PAPER && point->runs[RUN_RANDOM].object != NULL;
    return more ? extreme : NAN;
}

static void measure(struct stated *it, const struct claim *claim, const struct point *point)
{
    bool aimed = claim->scope == RUN_EXEC_START;
    it->measured_ms = aimed ? NAN : claim->of(&point->runs[RUN_PAPER]);
    it->extreme_ms = extreme_of(claim, point);
}

/* The paper's curves are plotted for every n, but its text only says that they grow: n = 1 < 2 < 7. */
static bool is_compared(const struct claim *claim, unsigned clients)
{
    return claim->statement.relation != RELATION_GROWS || clients == 2 || clients == 7;
}

static void add(struct stated_list *list, const struct claim *claim, const struct values *values,
                unsigned clients, const struct sweep *sweep)
{
    struct stated *it = &list->at[list->count++];
    const struct point *point = sweep_point(sweep, values->exec_ms, values->result_ms, clients);

    *it = (struct stated){
        .statement = &claim->statement,
        .exec_ms = values->exec_ms,
        .result_ms = values->result_ms,
        .clients = clients,
        .stated_ms = values->ms,
        .measured_ms = NAN,
        .extreme_ms = NAN,
    };
    if (point != NULL) {
        measure(it, claim, point);
    }
    if (claim->statement.relation == RELATION_GROWS) {
        struct stated before = {.statement = &claim->statement, .measured_ms = NAN, .extreme_ms = NAN};
        const struct point *fewer =
            sweep_point(sweep, values->exec_ms, values->result_ms, clients == 2 ? 1 : 2);
        if (fewer != NULL) {
            measure(&before, claim, fewer);
        }
        it->stated_ms = judge_value(&before);
    }
    judge(it, claim->last_digit_ms, point, sweep->options);
    list->judged += it->verdict != VERDICT_NOT_RUN;
    list->met += stated_is_met(it);
}

void stated_judge(struct stated_list *list, const struct sweep *sweep)
{
    *list = (struct stated_list){.count = 0};
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        for (size_t j = 0; j < MAX_VALUES && claims[i].values[j].exec_ms > 0; j++) {
            const struct values *values = &claims[i].values[j];
            for (unsigned clients = values->least_clients; clients <= values->most_clients; clients++) {
                if (is_compared(&claims[i], clients)) {
                    add(list, &claims[i], values, clients, sweep);
                }
            }
        }
    }
}
