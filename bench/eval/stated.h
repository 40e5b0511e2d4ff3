/* Every value that the paper's text states, beside the one measured. */
#ifndef EVAL_STATED_H
#define EVAL_STATED_H

#include "sweep.h"

/* How a statement is compared. */
enum relation {
    RELATION_EQUALS,  /* every run must show the value */
    RELATION_LEAST,   /* a minimum: what many swaps come down to */
    RELATION_MOST,    /* a maximum: what many swaps come up to; 50 stay below it */
    RELATION_EXCEEDS, /* more than the value */
    RELATION_GROWS,   /* more than the same at the number of clients before */
};

/* Something that the paper says about one or more configurations. */
struct statement {
    const char *section; /* of the paper */
    const char *text;    /* in English */
    const char *unit;    /* what is compared, for programs */
    enum relation relation;
};

enum verdict {
    VERDICT_NOT_RUN, /* this sweep does not have what it takes */
    VERDICT_EQUAL,   /* to a microsecond */
    VERDICT_ROUNDS,  /* equal in the digits that the paper gives */
    VERDICT_WITHIN,  /* as near as 50 swaps and this clock can be expected to come */
    VERDICT_HOLDS,   /* an inequality */
    VERDICT_DIFFERS,
};

struct stated {
    const struct statement *statement;
    unsigned exec_ms, result_ms, clients;
    double stated_ms;
    double measured_ms; /* with the paper's number of swaps; NAN: not so measurable */
    double extreme_ms;  /* of all runs, where more were done; else NAN */
    enum verdict verdict;
    const char *why; /* it may differ; NULL if that needs no reason */
};

enum {
    MAX_STATED = 200
};

struct stated_list {
    struct stated at[MAX_STATED];
    size_t count;
    size_t judged, met; /* without those not run; and of these */
};

void stated_judge(struct stated_list *list, const struct sweep *sweep);

bool stated_is_met(const struct stated *stated);
const char *stated_verdict_name(enum verdict verdict);
const char *stated_relation_name(enum relation relation);

#endif
