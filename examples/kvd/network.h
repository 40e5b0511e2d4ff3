/*
 * The network process: connections on one side, batches of commands on the other. Inside of it; kvd.h has what others see.
 *
 *     network.c     the loop: epoll, the listening socket, signals, results
 *     connection.c  one connection: its input and output buffers, when it is read, written, closed
 *     batch.c       complete commands of all connections become a batch; its replies go back to them
 *
 * Order: the commands of a connection go into batches in the order in which they came, and one batch is out at a time. So replies go out as
 * they come in.
 *
 * Bounds: a connection's input buffer holds one command at most, or whatever fits into 16 KiB; its output buffer is no reason to execute
 * another command once OUTPUT_PAUSE_BYTES wait in it; and all buffers beyond 16 KiB together have a limit, at which the connection that
 * would pass it is closed.
 */
#ifndef NETWORK_H
#define NETWORK_H

#include "options.h"
#include "protocol.h"
#include "resp.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    INPUT_BYTES = 1 << 14,
    INPUT_MOST_BYTES = RESP_MAX_COMMAND_BYTES + 64, /* so that whatever is beyond a limit is seen to be */
    OUTPUT_PAUSE_BYTES = 1 << 20,
};

struct buffer {
    char *bytes;
    size_t begin, end, room;
};

struct connection {
    int fd;          /* -1: gone; the entry waits for what still refers to it */
    uint32_t events; /* that epoll looks for */
    struct buffer in, out;
    struct resp_scan scan;   /* of the command at in.begin */
    unsigned pending;        /* runs of its commands in batches, and errands at the operator */
    bool listed;             /* in network.first ... last */
    bool incomplete;         /* what `in` holds has been scanned: the beginning of a command */
    bool at_operator;        /* its next command waits for the operator's answer */
    bool ended;              /* the client sends no more */
    bool closing;            /* no further command; closed when all that is due to it has been written */
    const char *last_words;  /* ... after this protocol error */
    struct connection *next; /* listed, or free */
};

/* Some commands of one connection, next to each other in a batch. */
struct run {
    struct connection *connection;
    uint32_t first, count;
};

struct batch {
    struct ant_request *request;
    struct kvd_batch *area; /* NULL while it is out, and if there is no memory */
    uint32_t count;
    uint32_t run_count;
    uint32_t delivered; /* commands whose replies have gone out */
    struct run runs[KVD_MAX_COMMANDS];
};

struct network {
    const struct options *options;
    int listen_fd, signal_fd, epoll_fd, event_fd;
    bool listening; /* epoll looks at listen_fd */
    bool stopping;
    bool journal_failing;
    struct kvd_figures figures;
    struct connection *connections; /* options->max_connections of them */
    struct connection *free;
    struct connection *first, *last; /* those that may have complete commands */
    size_t buffer_bytes;             /* of all buffers, INPUT_BYTES of each not counted */
    struct batch *gathering;         /* what comes in now */
    struct batch *flying;            /* what the store has; NULL: nothing */
    struct batch *spare;             /* the other one, while nothing flies */
};

/* --- connection.c ------------------------------------------------------------------------------------------------------ */

void connection_open(struct network *network, int fd);

/* What epoll says of it. */
void connection_event(struct network *network, struct connection *connection, uint32_t events);

/* Sends this, or keeps what cannot be sent now. */
void connection_write(struct network *network, struct connection *connection, const char *bytes, size_t count);

/* After anything has changed: closes it, or looks for what has to be looked for next. */
void connection_settle(struct network *network, struct connection *connection);

/* Closes it at once. */
void connection_close(struct network *network, struct connection *connection);

/* May its next command be executed? */
bool connection_may_go_on(const struct connection *connection);

/* --- batch.c ----------------------------------------------------------------------------------------------------------- */

/* Allocates a batch's request and area. A negative errno value if there is no memory. */
int batch_create(struct batch **batch);

/* Takes complete commands from listed connections, as many as fit, and sends the batch if none is out. */
void batches_go_on(struct network *network);

/* The batch that was out is back. */
void batch_back(struct network *network, struct ant_request *rq);

/* --- network.c --------------------------------------------------------------------------------------------------------- */

/* Asks the operator for a swap. connection: who wants to know; NULL: nobody. what: as in struct kvd_swap. */
void network_swap(struct network *network, struct connection *connection, const char *what, size_t bytes);

#endif
