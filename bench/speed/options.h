/* What the command line says. */
#ifndef SPEED_OPTIONS_H
#define SPEED_OPTIONS_H

#include "group.h"

struct options {
    bool json, check;
    unsigned samples;
    const char *only; /* names of rows, with commas between them; NULL: all */
};

/* Ends the program, with status 2 if the command line makes no sense. */
void options_parse(struct options *options, int count, char **values);

/* Is this row among those asked for? */
bool options_want(const struct options *options, const struct row *row);

#endif
