/*
 * What the numbered examples share: they say which machine runs them, and they give up with a message when a call fails
 * that has no reason to.
 */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <ant/ant.h>
#include <stdio.h>
#include <stdlib.h>

/* Every call of libant returns 0 or a negative errno value. A real program would know better what to do with it. */
static inline void must(const char *call, int error)
{
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", call, ant_strerror(error));
        exit(EXIT_FAILURE);
    }
}

/* On stderr: it differs from machine to machine, and the tests compare stdout. */
static inline void say_machine(void)
{
    struct ant_info info;
    must("ant_info", ant_info(&info));
    fprintf(stderr, "machine: %s (%s)\n", info.machine_name, info.machine_reason);
    fprintf(stderr, "mover:   %s (%s)\n", info.mover_name, info.mover_reason);
}

#endif
