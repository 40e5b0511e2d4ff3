/*
 * One run of the exploration: a small scenario of clients, a server, its driver, and those who replace, stop and come and go, on a
 * `virtual` that explores.
 *
 * A scenario says who takes part and what each does; it follows from one number. In which order they do it follows from another.
 */
#ifndef EXPLORE_RUN_H
#define EXPLORE_RUN_H

#include <ant/ant.h>

#define CLIENTS_MAX 3
#define REQUESTS_MAX 4
#define SWAPPERS_MAX 2
#define SWAPS_MAX 2
#define KILLS_MAX 2

#define FN_SERVER 1u
#define FN_DRIVER 2u

/* What a server does with a request. */
enum operation {
    OP_ANSWER,
    OP_WORK,    /* ... after some PU work */
    OP_FORWARD, /* ... when its driver has answered what it asks that */
    OPERATIONS
};

/* What a client does with a request. */
enum way {
    WAY_CALL,
    WAY_CALL_IN_TIME, /* with a time limit that may pass */
    WAY_SEND,
    WAY_CANCEL, /* sends it, and would have it back */
    WAYS
};

struct request_plan {
    enum operation operation;
    enum way way;
    bool data;
    bool repeatable;
    int64_t timeout_ns;
};

struct client_plan {
    uint32_t requests;
    struct request_plan request[REQUESTS_MAX];
    bool leaves; /* without waiting for its last results */
};

/* How a swap goes in the new server's start. */
enum swap_way {
    SWAP_PLAIN,
    SWAP_WORKS,
    SWAP_TRANSFORMS, /* or goes back from there */
    SWAP_FAILS,
    SWAP_ASKS_AND_FAILS, /* the driver */
    SWAP_EXITS,
    SWAP_HANGS,
    SWAP_HURRIES, /* the old server has next to no time to come to rest */
    SWAP_FORCES,  /* ... and is ended if it does not */
    SWAP_WAYS
};

struct swapper_plan {
    uint32_t swaps;
    enum swap_way swap[SWAPS_MAX];
    bool trust[SWAPS_MAX]; /* the state of one that died */
};

/* Whom the killer ends. */
enum victim {
    VICTIM_SERVER,
    VICTIM_CLIENT,  /* the first */
    VICTIM_SWAPPER, /* the first, if there is one */
    VICTIMS
};

struct killer_plan {
    uint32_t kills;
    enum victim victim[KILLS_MAX];
    uint64_t wait_ns[KILLS_MAX]; /* before it */
};

struct scenario {
    uint32_t clients, swappers;
    struct client_plan client[CLIENTS_MAX];
    struct swapper_plan swapper[SWAPPERS_MAX];
    struct killer_plan killer;
    bool mortal;         /* the server may die; then there is somebody who replaces it */
    bool direct;         /* direct calls are made */
    bool asks_and_waits; /* the server calls its driver, and so within a call; else it sends, and answers later */
    enum ant_on_death on_death;
    int64_t watchdog_ns;
    uint32_t cancels; /* of swaps, by a process that does nothing else */
    uint32_t queue_limit;
    uint64_t driver_work_ns, driver_wait_ns;
    bool stopper;   /* the server is stopped while the others work */
    bool bystander; /* creates, watches and stops processes of its own, and looks at the server */
};

void scenario_draw(struct scenario *scenario, uint64_t number);
void scenario_print(const struct scenario *scenario);

/* How the scenario is run. */
struct schedule {
    uint64_t seed;
    uint32_t depth, steps; /* as pct_depth and pct_steps of the config */
    int trace_fd;          /* -1: no trace */
};

struct outcome {
    uint32_t violations;
    uint32_t threads; /* n */
    uint64_t points;  /* k */
    uint32_t direct;  /* requests served by direct calls */
};

/* name: of the run, where violations are told, on standard error. */
void run(const struct scenario *scenario, const struct schedule *schedule, const char *name, struct outcome *outcome);

#endif
