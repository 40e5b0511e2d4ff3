/* What the command line says. */
#ifndef EXPLORE_OPTIONS_H
#define EXPLORE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define DEPTH_MAX 4

struct options {
    uint64_t runs, seed;
    uint64_t only;         /* UINT64_MAX: all */
    uint64_t per_scenario; /* runs of each scenario */
    uint32_t depth;        /* 0: from 1 to DEPTH_MAX in turn */
    uint32_t jobs;
    bool trace;
};

/* Ends the program if the command line makes no sense (status 2), or only asks for help (status 0). */
void options_parse(struct options *options, int argc, char **argv);

#endif
