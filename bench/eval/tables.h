/* The report for programs: runs.csv, stated.csv, eval.json. */
#ifndef EVAL_TABLES_H
#define EVAL_TABLES_H

#include "host.h"
#include "stated.h"

/* These say on stderr what went wrong; they return 0 or -1. eval.json is written last, and appears whole or not at all. */
int tables_write(const char *folder, const struct sweep *sweep, const struct stated_list *list, const struct host *host);

/* All requests and swaps of all runs. */
struct ledger {
    json_int_t sent, answered, lost, duplicated, violations;
    unsigned failed; /* runs */
};
struct ledger tables_ledger(const struct sweep *sweep);

#endif
