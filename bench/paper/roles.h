/* The four roles of the model, as processes of one core: what each does, and what they share while a run goes on. */
#ifndef PAPER_ROLES_H
#define PAPER_ROLES_H

#include "model.h"
#include "timeline.h"

#include <stdatomic.h>

enum {
    FN_SERVER = 1,
    FN_DRIVER,
    FN_REQUESTER
};

/* The ends of its WAITs, first-in first-out, of a driver that overlaps them. */
struct paper_waits {
    struct paper_wait {
        struct ant_request *request;
        uint64_t until_ns;
    } * waits;
    size_t first, count, capacity;
};

struct paper_client {
    struct paper_model *model;
    unsigned number;
    ant_pid pid;
    struct paper_response *responses;
    size_t count, capacity;
    struct paper_ledger ledger;
};

/* A program, and the model that it belongs to. */
struct paper_program {
    struct ant_program program; /* first */
    struct paper_model *model;
};

struct paper_model {
    const struct paper_params *params;
    struct paper_program servers[2], driver; /* the server is replaced by the other one, in turn */
    struct ant_timing server_timing;
    struct ant_driver_timing driver_timing;
    struct paper_client *clients;
    struct paper_waits waits;
    struct paper_log server_log, driver_log;
    _Atomic unsigned warming;       /* clients that have not done their warm-up yet */
    _Atomic enum paper_aim awaited; /* where the requester wants to be told, once */
    _Atomic bool done;              /* all swaps are: the clients may end */
    _Atomic uint64_t patience_ns;   /* until when the requester must have got on, for the clients to go on */
    _Atomic bool starved;           /* it had not */
    _Atomic bool failed;            /* something did not work that had to */
};

/* Fills in programs, timings, clients. -ENOMEM. */
int paper_model_init(struct paper_model *model, const struct paper_params *params, uint64_t wait_max_ns);
void paper_model_fini(struct paper_model *model);

/* What a client's process runs; arg is its struct paper_client. */
int paper_client_main(void *arg);
/* The bound of a swap that would begin now; 0: none, run->bound_error says why. */
uint64_t paper_note_bound(struct paper_model *model, struct paper_run *run);
/* The calling process swaps the server, so many times, and writes down how that went. */
void paper_requester(struct paper_model *model, unsigned swaps, uint64_t t0_ns, struct paper_run *run);

#endif
