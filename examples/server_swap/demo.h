/* One run of the demo: what was asked for, who takes part, and what came of it. */
#ifndef DEMO_H
#define DEMO_H

#include <ant/ant.h>
#include <nettle/sha2.h>

#include "client.h"
#include "disk.h"
#include "options.h"
#include "samples.h"

struct demo {
    struct options options;

    /* the file, read directly */
    int fd;
    uint64_t file_bytes;
    uint8_t sha256[SHA256_DIGEST_SIZE];

    /* what runs, and why */
    char kernel[64];
    char machine[16], mover[16];
    char machine_reason[256], mover_reason[256];
    bool is_fifo, is_virtual;

    /* who takes part */
    _Atomic int phase; /* see client.h */
    struct disk disk;
    struct client *clients;
    ant_pid *client_pids;
    ant_pid disk_pid, server_pid;

    /* what came of it */
    struct ant_swap_report *reports; /* of the swaps that committed */
    unsigned swaps;
    unsigned rollbacks;
    struct ant_swap_report rollback; /* of the attempt with the broken version */
    const char *failed;              /* a call that should not have failed; NULL: none */
    int failed_error;
    struct ant_shutdown_report shutdown;
    double seconds;
};

/* The time of the world outside, in seconds. */
double demo_wall_s(void);

/* Remembers the first call that failed and should not have. Returns whether this one did. */
bool demo_failed(struct demo *demo, const char *call, int error);

enum {
    HEX_BYTES = 2 * SHA256_DIGEST_SIZE + 1
};

/* The hexadecimal form of a SHA-256; text has room for HEX_BYTES. */
const char *demo_hex(const uint8_t *sha256, char *text);

/* --- requester.c: does all the swaps that were asked for, and the attempt that must fail --- */
void requester_swap_all(struct demo *demo);

/* --- progress.c: now: at once if stderr is a terminal; otherwise now and then --- */
void progress_show(const struct demo *demo, const char *what, bool now);
void progress_end(void);

/* --- totals.c --- */

/* What the reports are made of: sums over all swaps and clients. */
struct totals {
    unsigned under_load; /* swaps with something queued, in service or outstanding at the notice */
    unsigned unbalanced; /* swaps whose ledger does not add up */
    unsigned to_v2, to_v1;
    uint64_t queued_requests, queued_results, in_service, outstanding; /* handed over */
    uint64_t sent, answered, duplicated, overtaken, cached, by_version[3];
    uint64_t rounds;
    struct samples swap, blackout;
    struct samples response_calm, response_swapping;
    struct samples response_of[3];        /* of response_swapping: by this version */
    const struct ant_swap_report *median; /* of the swaps, by swap time; NULL: none */
};

void totals_init(struct totals *totals, const struct demo *demo);
void totals_fini(struct totals *totals);

/* --- report.c: for people. Prints what will be done before the core boots, and what came of it after it has ended --- */
void report_begin(const struct demo *demo);
void report_end(const struct demo *demo, struct totals *totals);

/* --- report_json.c: for programs. Not 0: it could not be written. What stdout did not take is for the caller to see --- */
int report_json(const struct demo *demo, struct totals *totals);

/* --- verdict.c: is all well? Says on stderr what is not; returns how many things are not --- */
unsigned verdict(const struct demo *demo, const struct totals *totals);

#endif
