/* Progress and time left, on stderr: a line that is rewritten on a terminal, else a line for each run. */
#ifndef EVAL_PROGRESS_H
#define EVAL_PROGRESS_H

#include "run.h"

struct progress {
    bool terminal;
    size_t count, done;
    double weight, weight_done;
    double begin_s;
    const struct run *latest; /* the one begun last; NULL: none */
};

void progress_init(struct progress *progress, const struct run *runs, size_t count);
void progress_begin(struct progress *progress, const struct run *run);
void progress_done(struct progress *progress, const struct run *run);
/* Time has passed. */
void progress_tick(struct progress *progress);
/* Takes the line away, so that something else can be written. */
void progress_clear(const struct progress *progress);
/* The same for good; returns how long all took, in seconds. */
double progress_end(struct progress *progress);

/* "1:05" or "2:00:10"; text has room for 16 bytes. */
const char *progress_time(double s, char *text);

#endif
