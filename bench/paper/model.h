/*
 * The paper's evaluation model (section 4.1, Fig. 6) on libant: what it is made of, one run of it, and what came of that.
 *
 * Clients (APs) wait and then ask the OS server; that works (exec), asks the driver, works on its result, and replies. The
 * driver works and waits. The requester replaces the server, after random pauses. All numbers are parameters.
 */
#ifndef PAPER_MODEL_H
#define PAPER_MODEL_H

#include <ant/ant.h>

enum paper_driver {
    PAPER_SERIAL,  /* it blocks in its own WAIT, and takes the next request after it */
    PAPER_OVERLAP, /* it takes the next request while earlier ones wait */
};

/* Where a swap is issued, after its pause. */
enum paper_aim {
    PAPER_AIM_NONE,         /* at once */
    PAPER_AIM_EXEC_START,   /* when the server next begins with a request */
    PAPER_AIM_RESULT_START, /* ... with a result */
    PAPER_AIM_IO_START,     /* when the driver next begins with its PU work */
};

struct paper_params {
    bool real; /* the clock */
    uint64_t exec_ns, result_ns, io_pu_ns, io_wait_ns, ap_wait_ns;
    unsigned clients;
    enum paper_driver driver;
    unsigned requests; /* of each client, that count */
    unsigned warmup;   /* of each client before those: they do not count, and nothing is swapped */
    unsigned swaps;
    double interval_lo, interval_hi; /* the pause before a swap, from the end of the one before, in units of t0 */
    bool t0_given;
    uint64_t t0_ns; /* if it is given; else the longest response without swaps */
    enum paper_aim aim;
    int requester_priority, driver_priority, server_priority, ap_priority;
    char profile[64]; /* its name */
    struct ant_costs costs;
    enum ant_mover mover;
    uint64_t seed;             /* draws the pauses */
    const uint64_t *pauses_ns; /* instead: exactly these, one for each swap, as another run noted them; NULL: drawn */
};

struct paper_response {
    unsigned client, number; /* from 0; without those of the warm-up */
    uint64_t sent_ns, got_ns;
    uint64_t io_begin_ns, io_end_ns; /* with the driver */
};

/* Counted by the clients, warm-up included. */
struct paper_ledger {
    uint64_t sent, answered, lost, duplicated;
};

/* Where a response time went; the four add up to it. */
struct paper_shares {
    uint64_t own_ns;    /* the server worked on it */
    uint64_t driver_ns; /* it was with the driver, or driver's PU work held it up */
    uint64_t other_ns;  /* the server worked on other requests meanwhile */
    uint64_t swap_ns;   /* a swap went on meanwhile */
};

struct paper_run {
    enum ant_machine machine;
    char machine_name[16], machine_reason[160], mover_name[16];
    struct paper_response *responses;
    size_t response_count;
    struct ant_swap_report *swaps; /* those that succeeded */
    size_t swap_count;
    uint64_t *pauses_ns;  /* before each swap */
    unsigned swap_errors; /* swaps that failed; swap_error is the first one's */
    int swap_error;
    struct paper_ledger ledger;
    struct paper_shares longest; /* of the longest response; zero if there is none */
    int bound_error;             /* why there is no bound; 0: bound_ns is it */
    uint64_t bound_ns;           /* the greatest of any of the swaps, and of one more at the end */
    uint64_t *bounds_ns;         /* of each swap, as it was asked for; one that had none yet has that of the end */
    uint64_t simulated_ns;       /* on the machine's clock, from boot to end */
};

/*
 * Runs the model in a core of its own. swaps: how many (0: a run without). t0_ns: the unit of the pauses. wait_max_ns: the longest
 * that io_wait_ns may take on this clock. trace_fd: gets the trace of the run, -1: none.
 *
 * Returns 0, what ant_boot or the creation of a process returned, or -ETIMEDOUT: the requester, or a client, never got the processor. run is to be freed with paper_run_fini in any case.
 */
int paper_run(const struct paper_params *params, unsigned swaps, uint64_t t0_ns,
              uint64_t wait_max_ns, int trace_fd, struct paper_run *run);
void paper_run_fini(struct paper_run *run);

/* What a single response takes when nothing is in its way. */
uint64_t paper_unloaded_ns(const struct paper_params *params);
/* The longest response of a run; 0 if there is none. */
uint64_t paper_longest_ns(const struct paper_run *run);

#endif
