/*
 * The model that the stress tests share: clients with a ledger each, a server with state in two layouts, a driver.
 *
 * - A client asks two functions of the server, synchronously and asynchronously, with data areas and without, and keeps
 *   its own ledger: what it sent, under which number, what must come back. It checks ids, addresses, cookies and bytes.
 * - The server counts per client and function, and so sees order, loss and duplicates for itself. It answers
 *   MODEL_STORE at once; for MODEL_READ it asks the driver, data area and all, and answers when the result has come.
 * - The driver holds some requests for a while, and answers in another order.
 * - model_programs are four versions of the server: 0 and 1 share one layout of state, 2 and 3 another, so that 0 → 1 and
 *   2 → 3 adopt the state in place, and 1 → 2 and 3 → 0 transform it. model_faulty makes one that fails.
 *
 * The clients' errors are recorded (stress.h); the test asserts. One model at a time in a Linux process.
 */
#ifndef STRESS_MODEL_H
#define STRESS_MODEL_H

#include "stress.h"

#define MODEL_STORE 101u
#define MODEL_READ 102u
#define MODEL_TOTALS 103u
#define MODEL_EXTRA 104u /* reserved by new servers that then fail; never registered */
#define MODEL_DRIVER 200u
#define MODEL_GATE 201u

/* Operations of MODEL_TOTALS. */
#define MODEL_COUNT 0u /* answers what the server has counted */
#define MODEL_HOLD 1u  /* first calls MODEL_GATE, which the test may serve, to hold the server for as long as it likes */
#define MODEL_DIE 2u   /* likewise; then the server ends its process */
#define MODEL_END 3u   /* the server ends its process */

#define MODEL_FUNCTIONS 2u
#define MODEL_CLIENTS_MAX 16u
#define MODEL_OUTSTANDING_MAX 32u
#define MODEL_PROGRAMS 4u

/* Marks the cookies of what a failing server sent: their results are dropped by the core, and nobody waits for them. */
#define MODEL_SWALLOWED (UINT64_C(1) << 63)
/* Marks the cookies of what the server sent to the driver. */
#define MODEL_ERRAND (UINT64_C(1) << 62)

struct model_config {
    uint32_t clients;     /* 1 to MODEL_CLIENTS_MAX; every second one has a priority above the server's */
    uint32_t outstanding; /* of one client at once, 1 to MODEL_OUTSTANDING_MAX */
    uint32_t requests;    /* each client sends so many; 0: until model_join */
    uint32_t pages_max;   /* of a data area */
    uint32_t huge_one_in; /* one data area in so many has 300 pages; 0: none */
    uint32_t work_ns;     /* PU work of client and server, at most, a request */
    uint32_t wait_ns;     /* WAIT of the driver and of clients, at most */
    bool rests;           /* clients below the server wait too: some processor is left for others */
    bool withdraw;        /* time limits and cancellation too */
    bool short_of_memory; /* -ENOMEM is no failure: it is tried again */
    bool server_dies;     /* -ESRCH, -EOWNERDEAD and -ESHUTDOWN are no failures: the client ends */
    bool probes;          /* clients touch what has left them: for `virtual`, where nothing comes back meanwhile */
    uint64_t seed;
};

/* Priorities; the test's own process is the requester. */
#define MODEL_REQUESTER_PRIORITY 50
#define MODEL_DRIVER_PRIORITY 40
#define MODEL_HIGH_CLIENT_PRIORITY 30
#define MODEL_SERVER_PRIORITY 20
#define MODEL_LOW_CLIENT_PRIORITY 10

struct model_ledger {
    uint64_t sent;                      /* accepted by the core */
    uint64_t answered;                  /* by the server */
    uint64_t refused;                   /* by the server, for lack of memory */
    uint64_t withdrawn;                 /* cancelled, or timed out while queued */
    uint64_t dropped;                   /* answered by the core in the server's stead */
    uint64_t late;                      /* of the answered: their ant_call had passed its time limit */
    uint64_t probed_sent, probed_freed; /* stale addresses given to a system call, by why they are stale */
};

/* What the swaps of a test came to. */
struct model_swaps {
    uint32_t count, under_load, with_queued, with_results, in_service, outstanding;
};

extern const struct ant_program model_programs[MODEL_PROGRAMS];

/* Creates driver and server (version `program`); notes how many pages were free before. */
void model_open(const struct model_config *config, uint32_t program);
/* Creates the clients. */
void model_start(void);
/* Tells the clients to end, waits for them, checks ledgers against each other and against the server's own count. */
void model_join(void);
/* Stops server and driver; every page must be free again. */
void model_close(void);
/* The server is gone: serve again from the beginning. */
void model_serve_again(uint32_t program);

/* The ledgers of all clients, added. */
struct model_ledger model_sum(void);
/* Free pages when no client runs. */
size_t model_quiet_pages(void);
/* Pages that the server has when it keeps no request. */
size_t model_server_pages(void);

/* Swaps to model_programs[to] and checks the report. */
int model_swap(uint32_t to, const struct ant_swap_options *options, struct ant_swap_report *report);
/* Is the report of a committed swap complete, and do its sums come out? Counts it. */
void model_check_report(const struct ant_swap_report *report, struct model_swaps *swaps);

/* How a new server fails. */
enum model_fault {
    MODEL_START_ERROR,                 /* `start` returns -EIO */
    MODEL_START_EXIT,                  /* `start` ends its process */
    MODEL_START_SLEEPS,                /* `start` sleeps past any deadline */
    MODEL_START_WORKS,                 /* `start` computes past any deadline */
    MODEL_START_EXHAUSTS,              /* `start` takes all pages there are, and returns -ENOMEM */
    MODEL_TRANSFORM_ERROR,             /* the transformer returns -EBADMSG */
    MODEL_TRANSFORM_EXIT,              /* the transformer ends its process */
    MODEL_TRANSFORM_SLEEPS,            /* the transformer sleeps past any deadline */
    MODEL_FAULTS,                      /* how many of them run on every machine; those below do not call the core: not on `virtual` */
    MODEL_START_BLOCKS = MODEL_FAULTS, /* `start` waits outside the core until model_release, then calls the core */
    MODEL_START_SPINS,                 /* `start` computes without the core's knowledge until model_release, then calls the core */
    MODEL_START_LATE,                  /* `start` waits outside the core until model_release, then returns 0 */
    MODEL_FAULTS_REAL,
};

const char *model_fault_name(enum model_fault fault);
/* A program for a server whose state has the layout of `program`, which fails thus; its error, and whether it is abandoned. */
const struct ant_program *model_faulty(enum model_fault fault, uint32_t program, int *error, bool *abandoned);
/* Lets go those who wait outside the core. */
void model_release(void);

/* Client number, function, sequence number of a client's cookie. */
static inline uint32_t model_cookie_client(uint64_t cookie)
{
    return (uint32_t)(cookie >> 48) & 0x3fff;
}
static inline uint64_t model_cookie_sequence(uint64_t cookie)
{
    return cookie & ((UINT64_C(1) << 40) - 1);
}

/* Patterns in data areas: some words of every page. model_answer is what the server or the driver makes of a pattern. */
void model_fill(void *area, size_t pages, uint64_t key);
bool model_matches(const void *area, size_t pages, uint64_t key, bool answered);
void model_answer(void *area, size_t pages);

#endif
