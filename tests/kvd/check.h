/* Inside kvd_check: what it knows of each key, and who asks. See kvd_check.c. */
#ifndef CHECK_H
#define CHECK_H

#include "client.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    KEYS = 200,
    COUNTERS = 20,
    SHARED = 8,
    MOST_CONNECTIONS = 64,
    MOST_PIPELINE = 64,
    MOST_VALUE = 300000,
    SHOWN = 5
};

struct options {
    uint16_t port;
    unsigned connections, pipeline;
    uint64_t operations; /* of each connection */
    int64_t ms;          /* ends it earlier; 0: does not */
    uint64_t seed;
    bool killed; /* the server will be killed: a connection that drops then is none of its faults */
    const char *save, *verify;
};

/* What a key must hold. A value is known by its length and a number from which its bytes are made. */
struct key {
    bool unknown; /* the connection dropped while a command for it was out */
    bool exists;
    bool expires;
    uint32_t length;
    uint64_t made_from;
    int64_t number;                    /* of a counter */
    int64_t least_end_ms, most_end_ms; /* it expires between these */
};

struct model {
    struct key keys[KEYS];   /* the first COUNTERS of them are counters */
    int64_t shared[SHARED];  /* how often this connection has incremented these */
    int64_t perhaps[SHARED]; /* how often besides: the connection dropped before the answer */
};

enum kind {
    GET,
    SET,
    SET_TIMED,
    SET_NEW,
    SET_OLD,
    DEL,
    EXISTS,
    MGET,
    INCR,
    INCR_SHARED,
    EXPIRE,
    TTL,
    KINDS
};

struct operation {
    enum kind kind;
    uint32_t key, other; /* keys; INCR_SHARED: which */
    uint32_t length;
    uint64_t made_from;
    int64_t ms; /* SET_TIMED, EXPIRE: so long */
};

struct worker {
    struct client client;
    struct model *model;
    unsigned number;
    uint64_t random, serial;
    int64_t sent_ms, received_ms; /* the round that is out */
    struct operation operations[MOST_PIPELINE];
    char *value;
    int64_t last_shared[SHARED];
    uint64_t done, errors, wrong, dropped;
    double slowest_ms;
    pthread_t thread;
};

extern struct options options;

int64_t now_ms(void);

/* --- answers.c ------------------------------------------------------------------------------------------------------------ */

extern const char *const operation_names[KINDS];

/* Names of keys: of each seed others. Room: 64 bytes; return the length. */
size_t key_name(char *name, unsigned worker, uint32_t key);
size_t shared_name(char *name, uint32_t n);

/* Room: MOST_VALUE + 8. */
void make_value(char *value, uint64_t made_from, uint32_t length);

/* Counts an answer that must not be, and tells of the first few. */
void complain(struct worker *w, const struct operation *op, const struct reply *reply, const char *what);

/* Reads the answer to a command, and holds it against the model. False: the connection is gone. */
bool check(struct worker *w, const struct operation *op);

#endif
