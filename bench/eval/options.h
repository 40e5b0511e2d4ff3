/* What the command line says. */
#ifndef EVAL_OPTIONS_H
#define EVAL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PAPER_CLIENTS = 7,
    PAPER_SWAPS = 50,
    PAPER_REQUESTS = 100,
    MAX_JOBS = 64
};

struct options {
    bool real;         /* the clock */
    const char *out;   /* the folder for the report */
    unsigned clients;  /* the sweep goes from 1 to here */
    unsigned swaps;    /* of a run that measures as the paper did */
    unsigned requests; /* of each client */
    uint64_t seed;
    const char *mover; /* NULL: what libant takes by itself */
    const char *paper; /* the path of the program `paper` */
    unsigned jobs;     /* how many of it run at a time */
    char *command;     /* the whole command line, for a shell */
};

/* Ends the program, with status 2 if the command line makes no sense, 1 if there is no memory. */
void options_parse(struct options *options, int argc, char **argv);

/* All numbers are the paper's; else the report says that it is a trial. */
bool options_are_the_papers(const struct options *options);

#endif
