/* What the command line says. */
#ifndef PAPER_OPTIONS_H
#define PAPER_OPTIONS_H

#include "model.h"

struct options {
    struct paper_params params;
    const char *samples_path, *trace_path; /* NULL: none */
    bool json;
};

/* The names of values, by their enum; NULL ends a list. That of PAPER_AIM_NONE is "". */
extern const char *const option_drivers[], *const option_aims[], *const option_movers[];

/* Ends the program if the command line makes no sense (status 2), or only asks for help (status 0). */
void options_parse(struct options *options, int argc, char **argv);

#endif
