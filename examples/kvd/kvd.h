/* The processes of kvd, as kvd.c starts them. */
#ifndef KVD_H
#define KVD_H

#include "options.h"
#include "protocol.h"

#include <sys/types.h>

/* --- network.c --- */

struct network_start {
    const struct options *options;
    int listen_fd; /* not blocking */
    int signal_fd; /* of SIGHUP, SIGTERM and SIGINT */
    uint16_t port;
};

/* The network process's entry: serves clients until it is told to end. arg: struct network_start. */
int network_main(void *arg);

/* --- journal.c --- */

/* Opens the file, for journal_program. Returns 0, or -1 with a message written. */
int journal_open(const struct options *options);

/* Closes it, when the journal's server has ended. */
void journal_close(void);

extern const struct ant_program journal_program; /* FN_JOURNAL */
extern const struct ant_program sync_program;    /* FN_SYNC */

/* --- operator.c --- */

/* For operator_program, and for the first store. */
void operator_init(const struct options *options);

/* Serves FN_STORE from the file of options->store. Returns 0, or a negative errno value with a message written. */
int operator_first(void);

extern const struct ant_program operator_program; /* FN_OPERATOR */

#endif
