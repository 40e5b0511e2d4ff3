/* Processes that do nothing: they wait for messages that do not come. */
#ifndef SPEED_IDLE_H
#define SPEED_IDLE_H

#include <ant/ant.h>

enum {
    IDLE_MAX = 1000
};

struct idle {
    ant_pid processes[IDLE_MAX];
    unsigned count;
};

/* Below everybody else, so they wait once the caller has given the processor up for a moment, which it does. */
void idle_start(struct idle *idle, unsigned count);
void idle_stop(struct idle *idle);

#endif
