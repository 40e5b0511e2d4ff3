/* The sweep: which configurations are run, in which ways, and what came of them. */
#ifndef EVAL_SWEEP_H
#define EVAL_SWEEP_H

#include "options.h"
#include "result.h"

/* In which ways a configuration is run. */
enum run_kind {
    RUN_PAPER,        /* as the paper measured it, with AnT's slow swap */
    RUN_OWN,          /* the same with libant's own swap: on the real clock only */
    RUN_RANDOM,       /* many more swaps, to find suprema; this and the next on the virtual clock only */
    RUN_EXEC_START,   /* swaps issued exactly when the server begins with a request */
    RUN_RESULT_START, /* ... with a result */
    RUN_IO_START,     /* ... when the driver begins with its PU work */
    RUN_KINDS,
};

/* A configuration: work times, number of clients. */
struct point {
    unsigned exec_ms, result_ms, clients;
    struct result runs[RUN_KINDS];
};

enum {
    PAIRS = 6,
    MAX_POINTS = 1 + PAIRS * PAPER_CLIENTS
};

/* The paper's pairs of work times: the first three are Fig. 7's, the others Fig. 8's. */
extern const struct pair {
    unsigned exec_ms, result_ms;
} sweep_pairs[PAIRS];

struct sweep {
    const struct options *options;
    struct point points[MAX_POINTS]; /* the first one has no clients: the base swap time */
    size_t point_count;
    unsigned run_count; /* how many runs there are to do */
    double wall_s;      /* what they took */
};

/* What is to be run, nothing run yet. */
void sweep_init(struct sweep *sweep, const struct options *options);
void sweep_fini(struct sweep *sweep);

/* How long it takes on the real clock. */
double sweep_expected_s(const struct sweep *sweep);

/*
 * Runs all of it: paper is the program's path. Shows progress on stderr.
 *
 * Returns 0; -1 after it has said on stderr what failed; or the number of the signal (SIGINT, SIGTERM, SIGHUP) that ended
 * it. No child is left in any case.
 */
int sweep_run(struct sweep *sweep, char *paper);

/* The configuration, or NULL if it is not part of this sweep. clients 0: the base, whatever the work times. */
const struct point *sweep_point(const struct sweep *sweep, unsigned exec_ms, unsigned result_ms, unsigned clients);

/* A word for programs, and words for people. */
const char *sweep_kind_name(enum run_kind kind);
const char *sweep_kind_title(enum run_kind kind);

/* The first run that was done: its machine and mover are those of all. */
const struct result *sweep_first(const struct sweep *sweep);

/* On the real clock, but without real-time priorities: no number of it means what the paper's mean. */
bool sweep_is_not_real_time(const struct sweep *sweep);

#endif
