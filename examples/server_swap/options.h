/* What the command line says. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <ant/ant.h>

struct options {
    const char *file;
    unsigned swaps, clients;
    size_t block_bytes;
    uint64_t disk_us;
    uint64_t seed;
    enum ant_machine machine;
    enum ant_mover mover;
    bool json;
};

/* Ends the program if the command line makes no sense (status 2), or only asks for help (status 0). */
void options_parse(struct options *options, int argc, char **argv);

#endif
