/* The tables at the end of a campaign. */
#include "report.h"

#include <stdio.h>

static void print_kinds(const struct totals *t, const uint64_t *blamed)
{
    printf("%-24s %12s %12s %12s %12s\n", "fault", "reached", "recovered", "clean error", "violations");
    for (uint32_t k = 0; k < HISTORY_FAULTS; k++)
        printf("%-24s %12llu %12llu %12llu %12llu\n", plan_fault_name((enum history_fault)k),
               (unsigned long long)t->reached[k], (unsigned long long)t->recovered[k],
               (unsigned long long)t->clean_errors[k], (unsigned long long)blamed[k]);
}

static void print_deaths(const struct totals *t)
{
    printf("\n%-24s %8s", "deaths at step", "none");
    for (int step = 1; step < (int)HISTORY_STEPS; step++)
        printf(" %7d", step);
    printf("\n");
    for (uint32_t party = 0; party < HISTORY_PARTIES; party++) {
        printf("%-24s %8llu", plan_party_name((enum history_party)party),
               (unsigned long long)t->deaths[party][0]);
        for (uint32_t step = 1; step < HISTORY_STEPS; step++)
            printf(" %7llu", (unsigned long long)t->deaths[party][step]);
        printf("\n");
    }
}

void report_print(const struct totals *t, const uint64_t *blamed, double wall_s)
{
    print_kinds(t, blamed);
    print_deaths(t);
    printf("\nruns %llu, requests %llu (results %llu, of direct calls %llu), swaps %llu (of the dead %llu), rolled back %llu\n",
           (unsigned long long)t->runs, (unsigned long long)t->requests,
           (unsigned long long)t->results, (unsigned long long)t->direct, (unsigned long long)t->swaps,
           (unsigned long long)t->restarts, (unsigned long long)t->rollbacks);
    printf("faults %llu violations %u simulated %.1f s wall %.1f s\n",
           (unsigned long long)t->faults, t->violations, (double)t->simulated_ns / 1e9, wall_s);
}
