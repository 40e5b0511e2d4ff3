/*
 * A client: reads the whole file again and again through the file server, and keeps books about it.
 *
 * The books are its own: it numbers its requests, and counts what it sent and what came back. Nothing in them is learnt
 * from the inner core, whose promises they are to check.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <ant/ant.h>
#include <nettle/sha2.h>
#include <stdatomic.h>

#include "samples.h"

enum {
    WINDOW = 4
}; /* requests that a client keeps out which does not wait for each */

/* What the whole demo is doing; the main thread writes it, the clients read it. */
enum phase {
    PHASE_WARM_UP,
    PHASE_CALM, /* no swaps: response times to compare with */
    PHASE_SWAPPING,
    PHASE_LAST, /* finish the file, and end */
    PHASE_COUNT,
};

struct ledger {
    _Atomic uint64_t sent;  /* written by the client only; the progress line reads it */
    uint64_t answered;      /* results for a request that was out */
    uint64_t duplicated;    /* results for one that was not */
    uint64_t overtaken;     /* of answered: by the server's books, it was another's turn */
    uint64_t cached;        /* of answered: from the block cache */
    uint64_t by_version[3]; /* of answered: by this version of the server; [0]: by another one */
};

struct client_slot { /* one request, with its data area, used over and over */
    struct ant_request *rq;
    void *area;
    bool out;          /* sent, and no result yet */
    uint64_t sequence; /* while it is out */
    uint64_t block;
    uint64_t sent_ns;
};

struct client {
    /* set before it runs */
    char name[ANT_NAME_BYTES];
    _Atomic int *phase;
    bool waits; /* calls, and waits for each answer; or else sends, and receives results as they come */
    size_t area_pages;
    uint64_t work_ns; /* PU work for each block; 0 but on the virtual machine */
    const uint8_t *expected_sha256;

    /* its own while it runs, then the main thread's */
    struct ledger ledger;
    struct samples response[PHASE_COUNT][3]; /* in that phase, by this version of the server */
    uint64_t rounds;                         /* how often it has read the whole file */
    uint64_t wrong_rounds;                   /* and got something else than the file */
    uint8_t sha256[SHA256_DIGEST_SIZE];      /* of the last round, or of the first wrong one */
    int error;                               /* why it gave up; 0: it did not */
    const char *failed;                      /* and what failed */

    /* its own */
    struct client_slot slots[WINDOW];
    uint64_t sequence; /* of its latest request */
    uint64_t file_bytes;
    uint32_t block_bytes, handle;
};

/* The entry of a client's process; arg is its struct client. */
int client_main(void *arg);

/* Frees what it has measured. */
void client_fini(struct client *client);

#endif
