/* Samples of several subjects, taken in turns; medians and quantiles of them. */
#ifndef SPEED_SAMPLING_H
#define SPEED_SAMPLING_H

#include "subject.h"

/* How often subjects take turns unless their group says otherwise. */
enum {
    TURNS = 50
};

/* What is known of one value of a subject: of one operation, in nanoseconds, or as counted. */
struct series {
    const char *name;
    double *values; /* sorted once all are there */
    unsigned count;
};

/* A subject that takes part. */
struct player {
    const struct subject *subject;
    void *self; /* created */
    struct series series[SUBJECT_VALUES];
};

/*
 * Samples all players in turns. In each turn every player takes an equal part of its samples, the first player being
 * another each time; before the first turn come warm-ups, which are dropped. Nothing else is left out.
 *
 * samples: of each, divided by its rarity. clock_ns: taken off each sample. The values are sorted on return.
 */
void sampling_run(struct player *players, size_t count, unsigned samples, unsigned turns, double clock_ns);
void sampling_free(struct player *players, size_t count);

/* What a quarter of a microsecond of code would be blamed for: the time between two successive looks at the clock. */
double sampling_clock_ns(void);

/* q: 0 to 1; of sorted values, by nearest rank. */
double quantile(const double *sorted, unsigned count, double q);
double median_of(double *values, unsigned count);

#endif
