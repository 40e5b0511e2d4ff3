/*
 * The checker: reads what clients and public calls said of a run, and judges it by the promises. It shares nothing with libant and
 * the campaign but the form of the history.
 */
#ifndef CHECK_H
#define CHECK_H

#include "history.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define CHECK_VERSIONS 512u
#define CHECK_FUNCTIONS 3u
#define CHECK_FUNCTION_FIRST 100u
#define CHECK_RECORDS 200000u

enum check_fate {
    CHECK_NOT_TRIED,
    CHECK_UNKNOWN,
    CHECK_FAILED,
    CHECK_COMMITTED
};

/* A program of a function: it serves from commit_ns until the next one's. */
struct check_version {
    enum check_fate fate;
    uint32_t function;
    uint32_t generation;
    uint64_t commit_ns; /* a server that was created serves from here on, or a little later */
    bool anew;          /* it is a server that was created, if it ever served */
    uint32_t life;      /* counts servers of that function that were created anew */
};

struct check {
    const struct history_record *records[CHECK_RECORDS];
    uint32_t count;
    const struct history_begin *begin;
    struct check_version versions[CHECK_VERSIONS];
    struct history_verdict verdict;
};

/* One more violation; the text of the first is kept. Which promise of DESIGN.md: 1 to 7; 0: of the run itself. */
__attribute__((format(printf, 3, 4))) void check_violation(struct check *c, int promise, const char *format, ...);

/* Exactly one result for each request, in the order sent, with its own bytes: promises 1 to 3. */
void check_requests(struct check *c);
/* Who serves when, reports of swaps, the blackout: promises 1, 4 and 5. */
void check_swaps(struct check *c);
/* What the highest and the lowest priority saw: promise 6. */
void check_priority(struct check *c);
/* Every error has a cause: promise 7; and what came of each fault. */
void check_causes(struct check *c);
void check_outcomes(struct check *c);
/* Nothing is left over. */
void check_end(struct check *c);

#endif
