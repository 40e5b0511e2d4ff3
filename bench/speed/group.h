/*
 * Groups: what is measured together, in turns, on one core; and the rows of the table that come of it.
 *
 * A group is data: how its core is booted, which subjects are sampled, and which rows are made from their series. A series
 * is one value of a subject, and has its name.
 */
#ifndef SPEED_GROUP_H
#define SPEED_GROUP_H

#include "subject.h"

#include <ant/ant.h>

enum unit {
    UNIT_NS,
    UNIT_US,
    UNIT_PER_S,
    UNIT_BYTES
};

/* What of a row is held against its target. */
enum judged {
    JUDGED_NOT,
    RATIO_AT_MOST,   /* ours / limit, as times */
    TIMES_AT_LEAST,  /* limit / ours, as times: how much faster ours is */
    FIGURE_AT_MOST,  /* the median itself, in the row's unit */
    FIGURE_AT_LEAST, /* ... */
};

enum {
    ROW_LIMITS = 2
};

struct row {
    const char *name;
    const char *series; /* whose median and p99 are shown; NULL: the one with the row's name */
    enum unit unit;
    const char *limits[ROW_LIMITS]; /* series whose medians, added up, are the limit; NULL: none, or no second */
    enum judged judged;
    double target;
};

struct group {
    enum ant_mover mover;
    bool no_core;         /* its subjects boot cores themselves */
    unsigned cpus;        /* of the core; 1 or 2 */
    bool wants_other_cpu; /* is not measured where there is one only */
    int client_priority;  /* the first process's, which samples */
    int server_priority;  /* of servers, and of the partners of limits */
    size_t pool_bytes;    /* 0: the library's default; so in all that follow */
    uint32_t max_processes;
    uint32_t warm_threads;
    int64_t spin_ns;
    unsigned turns;                        /* how often its subjects take turns; 0: TURNS */
    const struct subject *const *subjects; /* NULL ends them */
    const struct row *rows;
    size_t row_count;
};

#define GROUP_ROWS(array) .rows = (array), .row_count = sizeof(array) / sizeof((array)[0])

/* All groups, in the order of the table; NULL ends them. */
extern const struct group *const groups[];

/* Priorities for the groups: at the top of the band, so that real-time processes of another program disturb least. */
enum {
    LOWER_PRIORITY = ANT_PRIORITY_MAX - 2,
    UPPER_PRIORITY = ANT_PRIORITY_MAX - 1,
};

/* What a run has made of a row. Times are those of the row's unit. */
struct figure {
    const struct row *row;
    const struct group *group;
    bool wanted;   /* by the command line */
    bool measured; /* what it needs was there */
    unsigned samples;
    double median, p99, limit;
    double ratio; /* median / limit; TIMES_AT_LEAST of times: limit / median; 0 without a limit */
};

/* On what all is measured. */
struct place {
    enum ant_machine machine; /* fifo or other */
    char reason[160];         /* why that one */
    int cpu, other_cpu;       /* other_cpu -1: there is one only */
    double clock_ns;          /* what two looks at the clock take, one of which falls between them */
};

/*
 * Boots the core, samples what its wanted rows need, and fills in their figures; those whose series could not be had stay as they
 * were, and standard error says why. samples: of a subject that is not rare.
 */
void group_measure(const struct group *group, const struct place *place, unsigned samples,
                   struct figure *figures);

/* Is the figure as good as its target? Only for rows that have one. */
bool figure_holds(const struct figure *figure);
/* The value that is judged. */
double figure_judged(const struct figure *figure);
/* Writes the names of the row's limits, "futex + uffd_move_1m", as far as there is room. */
void row_limit_name(const struct row *row, char *text, size_t bytes);
const char *unit_name(enum unit unit);

#endif
