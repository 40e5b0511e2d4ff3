/* The command line. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <ant/ant.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fsync_policy {
    FSYNC_ALWAYS,
    FSYNC_EVERY_SECOND,
    FSYNC_NEVER
};

struct options {
    const char *bind;      /* an IPv4 address */
    uint16_t port;         /* 0: one that is free */
    const char *directory; /* of the kv_store_*.so */
    const char *store;     /* the version to begin with */
    const char *journal;   /* a file; NULL: none */
    enum fsync_policy fsync;
    bool swap_paths; /* KVD.SWAP may name any file */
    unsigned max_connections;
    size_t buffer_bytes; /* of all connections together */
    size_t memory_bytes; /* the pool */
    int64_t start_timeout_ns;
    enum ant_machine machine;
    enum ant_mover mover;
};

/* Ends the program, with a message, where the command line makes no sense. Texts are borrowed from argv. */
void options_parse(struct options *options, int argc, char **argv);

#endif
