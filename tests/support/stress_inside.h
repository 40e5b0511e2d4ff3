/*
 * What the files of the stress model share; tests use stress_model.h.
 *
 *   stress_state.c   the server's state, in two layouts
 *   stress_server.c  driver and server
 *   stress_fault.c   servers that fail
 *   stress_client.c  clients and their ledgers
 *   stress_model.c   opening, joining, closing; swapping; patterns in data areas
 */
#ifndef STRESS_INSIDE_H
#define STRESS_INSIDE_H

#include "stress_model.h"

#define KEPT_MAX (MODEL_CLIENTS_MAX * MODEL_OUTSTANDING_MAX)
#define ANNEX_PAGES 2u
#define ANNEX_KEY UINT64_C(0xa44e)

/* What a client's request carries in its payload. */
struct order {
    uint64_t key; /* of the pattern in the data area */
    uint32_t pages;
    uint32_t version;    /* of the server that took it: written by the server */
    uint32_t generation; /* likewise */
    uint32_t taken;      /* how often it was taken: must come back as 1 */
};

static inline struct order *order_of(struct ant_request *rq)
{
    return (struct order *)(void *)rq->payload;
}

/* What MODEL_TOTALS answers. */
struct totals {
    uint64_t served[MODEL_FUNCTIONS];
    uint64_t last[MODEL_CLIENTS_MAX][MODEL_FUNCTIONS];
    uint32_t kept;
};

/* --- State of the server: layout 1 or 2 ------------------------------------------------------------------------------ */

/* A client's request that waits for the driver. */
struct kept {
    struct ant_request *rq; /* NULL: free */
    uint64_t cookie;        /* the client's */
    uint64_t ticket;        /* counts up; names it to the driver */
};

size_t layout_bytes(uint32_t layout);
size_t pages_of(size_t bytes);
/* Does the state say of itself that it has this layout? */
bool layout_is(uint32_t layout, const void *state);
/* The latest number of a client's for a function. */
uint64_t *last_at(uint32_t layout, void *state, uint32_t client, uint32_t function);
/* The latest ticket given out. */
uint64_t *tickets_at(uint32_t layout, void *state);
/* Another area of the server's, to which the state points through every swap. */
void *annex_at(uint32_t layout, const void *state);
/* How many requests for a function it has taken. */
uint64_t served_at(uint32_t layout, const void *state, uint32_t function);
void served_set(uint32_t layout, void *state, uint32_t function, uint64_t served);
/* The slots for requests that wait for the driver: 0 to KEPT_MAX - 1. */
struct kept kept_at(uint32_t layout, const void *state, uint32_t slot);
void kept_set(uint32_t layout, void *state, uint32_t slot, struct kept kept);
uint32_t kept_count(uint32_t layout, const void *state);
/* The transformer. */
int layout_convert(uint32_t from, uint32_t to, const void *old_state, size_t old_bytes, void **new_state);
/* A fresh state in an area of zeros. */
void layout_begin(uint32_t layout, void *state, void *annex);

/* --- The model ------------------------------------------------------------------------------------------------------- */

/* A request of a client's that is out. */
struct slot {
    struct ant_request *rq; /* NULL: free */
    void *data;
    size_t pages;
    uint64_t cookie;
    uint64_t key;
    uint32_t function;
    bool late;
};

struct client {
    uint32_t number;
    ant_pid pid;
    uint64_t random;
    uint32_t busy; /* slots in use */
    uint64_t sequence[MODEL_FUNCTIONS];
    struct slot slots[MODEL_OUTSTANDING_MAX];
    struct model_ledger ledger;
};

struct model {
    struct model_config config;
    size_t free_before;
    ant_pid driver, server;
    struct client clients[MODEL_CLIENTS_MAX];
    _Atomic bool stop;
    uint64_t errands_of_the_failed; /* by one new server at a time */
    uint32_t layout;                /* of the state of the server that serves now */
    int probe_file;                 /* where a byte from a stale address would go */
};

extern struct model model;

/* PU work, and WAIT, for up to what the config says; the key decides. */
void some_work(uint64_t key);
void some_wait(uint64_t key);

int driver_main(void *unused);
int client_main(void *client);

/* The callbacks of the model's server, for those that fail at first. */
void server_request(struct ant_server *self, struct ant_request *rq);
void server_result(struct ant_server *self, struct ant_request *errand);

#endif
