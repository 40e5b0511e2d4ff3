/*
 * One run of the campaign: what its roles share. The virtual machine runs one of them at a time, so nothing here needs a lock.
 */
#ifndef RUN_H
#define RUN_H

#include "plan.h"
#include "wrap.h"

#include <ant/ant.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PLAIN,
    ASKING,
    DRIVER,
    FUNCTIONS
};
#define FUNCTION_ID(which) ((uint32_t)(which) + 100u)
#define WHICH(function_id) ((function_id)-100u)

#define US ANT_NS_PER_US
#define MS ANT_NS_PER_MS

#define RUN_PROGRAMS 512u
#define RUN_DUE 16u

/* A fault that was put off. */
struct due {
    uint64_t time_ns;
    const struct fault *fault;
    uint32_t function; /* that was being swapped; FUNCTIONS: none */
};

/* A fault of the host that lies in wait. */
struct laid {
    bool waiting;
    uint32_t strike;
    uint64_t failed_before;
};

struct run {
    const struct plan *plan;
    bool live;            /* faults strike */
    bool ending;          /* keepers may go */
    bool contained;       /* a crash ends a process, not the program */
    enum ant_mover mover; /* that runs: the plan's, where there is that */
    int trace_fd;         /* -1: none */
    int scratch;          /* a file to write to from areas */

    ant_pid servers[FUNCTIONS];
    bool littered[FUNCTIONS]; /* the dead have left areas there, and nobody has tidied up yet */
    ant_pid clients[PLAN_CLIENTS];
    ant_pid replacer, swapper, reaper, idler;
    ant_pid gone;                /* of a keeper that has ended */
    uint32_t swaps[FUNCTIONS];   /* that were begun ... */
    uint32_t notices[FUNCTIONS]; /* ... and given up with the old server's consent */

    struct ant_program programs[RUN_PROGRAMS]; /* one for each ant_serve and ant_swap: [version] */
    uint32_t versions;                         /* used so far; 0 is nobody's */
    uint64_t epochs;                           /* states begun so far */
    uint32_t open[FUNCTIONS];                  /* the version of a swap whose end has not been recorded; 0: none */
    ant_pid opener[FUNCTIONS];                 /* who has begun it */

    uint32_t swaps_begun;
    void *taken;                         /* of the pool, for good */
    struct ant_request *last[FUNCTIONS]; /* to ask with when all is over */

    uint32_t strikes;
    uint32_t seen[PLAN_FAULTS]; /* how often the fault's call was made */
    bool struck[PLAN_FAULTS];
    struct laid laid[WRAP_KINDS];
    struct due due[RUN_DUE];
    uint32_t due_count;
};

extern struct run run;

/* ---- run.c ---- */

/* Runs a plan and writes its history. trace_fd: where the trace is written, or -1. False: it could not even begin. */
bool run_plan(const struct plan *plan, int trace_fd);

/* ---- record.c: the history ---- */

void record_reset(void);
/* A new record of that kind, cleared; to be filled at once. */
struct history_record *record_add(enum history_kind kind, uint32_t actor);
/* What has been recorded, and its length. */
const void *record_bytes(uint32_t *bytes);
/* A call returned what it must not. */
void record_call(const char *name, int returned);
void record_stuck(const char *what);

/* ---- faults.c ---- */

/* A role makes a call: around each, before(...) and after(...). Faults strike here. who: the client's number, or the function's index. */
void before(enum role role, enum call call, uint32_t who);
void after(enum role role, enum call call, uint32_t who);
/* Does a fault of this kind strike here? For those that the role carries out itself. -> it or NULL */
const struct fault *fault_here(enum role role, enum call call, enum history_fault kind);
/* Have faults of the host that lie in wait been met? */
void faults_look(void);
/* Nothing fails any more. */
void faults_heal(void);
/* Carries out what was put off and is due; the reaper's. */
void faults_due(void);
/* When the next is due; UINT64_MAX: none. */
uint64_t faults_next_ns(void);
/* Gives back what the calling role has exhausted the pool with; it does so by itself after its next call. */
void hog_free(void);
/*
 * ant_call by a role of that priority, whose thread a server may run on in a direct call: what the thread keeps for its role is put away for so long. The other two
 * tell the server: does it run on a client's thread? How high is that, then (0: it does not)?
 */
int call_and_lend(struct ant_request *rq, int64_t timeout_ns, int priority);
bool is_lent(void);
int lent_priority(void);

#define AROUND(role, call, who, result, expression) \
    do {                                            \
        before(role, call, who);                    \
        (result) = (expression);                    \
        after(role, call, who);                     \
    } while (0)

/* ---- client.c ---- */

int client_main(void *number);
/* The last question to a function, by the process that booted. -> is that all there is to know? */
bool client_ask_last(uint32_t which);

/* ---- server.c ---- */

/* What a new program of a function is to do when it starts. */
struct ant_program *server_program(uint32_t which, uint32_t state_version);

/* ---- keepers.c: who replaces servers, dead ones and others ---- */

/* Records the end of a swap whose requester did not live to see it. */
void keeper_settle(uint32_t which);
int replacer_main(void *unused);
int swapper_main(void *unused);
/* Serves a function that nobody serves. */
int keeper_serve(uint32_t which);

/* ---- watchers.c: the highest and the lowest priority ---- */

int reaper_main(void *unused);
int idler_main(void *unused);
/* PU work, recorded. */
int work(uint32_t actor, uint64_t work_ns, int priority);

/* ---- data.c: what is in the areas ---- */

/* Is there nothing of others in a new area? */
bool data_clear(const void *data, uint32_t pages);
/* Before it is given away: so what is found there later is another's. */
void data_wipe(void *data, uint32_t pages);
void data_fill(void *data, uint32_t pages, uint64_t cookie);
/* As the server writes it. */
void data_work(void *data, uint32_t pages, uint64_t cookie);
void data_look(const void *data, uint32_t pages, uint64_t cookie, struct history_data *seen);

#endif
