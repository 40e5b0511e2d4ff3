/*
 * The plan of a run: all that is drawn before it begins, from one seed. The same plan gives the same run.
 */
#ifndef PLAN_H
#define PLAN_H

#include "history.h"

#include <ant/ant.h>
#include <stdbool.h>
#include <stdio.h>

/* Who makes a core call. */
enum role {
    ROLE_CLIENT,
    ROLE_PLAIN,  /* the server that answers at once */
    ROLE_ASKING, /* the server that asks the driver first */
    ROLE_DRIVER,
    ROLE_NEW, /* a new server that is not registered yet: `start` and the transformer */
    ROLE_REPLACER,
    ROLE_SWAPPER,
    ROLES,
};

/* Which one. */
enum call {
    CALL_ANY,
    CALL_REQUEST_NEW,
    CALL_REQUEST_FREE,
    CALL_ALLOC,
    CALL_FREE,
    CALL_SEND,
    CALL_CALL,
    CALL_RECEIVE,
    CALL_CANCEL,
    CALL_REPLY,
    CALL_WORK,
    CALL_SLEEP,
    CALL_SWAP,
    CALL_SERVE,
    CALL_MONITOR,
    CALL_INFO,
    CALL_STATE_SET,
    CALLS,
};

/* How a crash is made. */
enum crash {
    CRASH_NULL_WRITE,
    CRASH_WILD_READ,
    CRASH_DIVISION,
    CRASH_TRAP,
    CRASH_ABORT,
    CRASH_STACK,
    CRASHES
};

/* One fault: what, and when. */
struct fault {
    enum history_fault kind;
    enum role role; /* strikes when this role makes that call ... */
    enum call call;
    bool after;               /* ... after it instead of before it ... */
    uint32_t occurrence;      /* ... for the nth time */
    uint32_t delay_ns;        /* 0: at once; else so much later, by the reaper: at whatever step a swap is then */
    uint32_t amount;          /* how: the crash, the nth allocation to fail, how long ... */
    enum history_party party; /* a kill or a stop: whom ... */
    uint32_t victim;          /* ... which client or function */
};

#define PLAN_FAULTS 24u
#define PLAN_CLIENTS 6u

struct plan {
    uint64_t seed;
    enum ant_mover mover;
    struct ant_costs costs;
    uint32_t clients, requests, swaps;
    int client_priority[PLAN_CLIENTS];
    int server_priority[3]; /* plain, asking, driver */
    int replacer_priority, swapper_priority;
    uint32_t tick_ns; /* of the reaper */
    bool fail_on_death[3];
    uint32_t queue_limit;
    uint32_t pool_pages_taken; /* so that the pool is small */
    bool direct;               /* direct calls are made */
    bool plain_has_no_loop;    /* ... of the plain server, too, which has callbacks then */
    bool asks_and_waits;       /* the asking server calls the driver, and so within a call */
    uint32_t fault_count;
    struct fault faults[PLAN_FAULTS];
};

/* splitmix64 */
uint64_t plan_mix(uint64_t x);
uint64_t plan_draw(uint64_t *state);
uint32_t plan_below(uint64_t *state, uint32_t below);
/* True once in n. */
bool plan_once_in(uint64_t *state, uint32_t n);

void plan_make(uint64_t seed, struct plan *plan);
void plan_print(const struct plan *plan, FILE *out);

const char *plan_fault_name(enum history_fault fault);
const char *plan_party_name(enum history_party party);

#endif
