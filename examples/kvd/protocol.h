/*
 * What the processes of kvd say to each other: function ids, operations, and the area in which a batch of commands travels.
 *
 *     network --batch--> store --the same batch, if it changed anything--> journal
 *        ^                 |                                                  |
 *        +---- replies ----+--------------------- replies --------------------+
 *
 * All versions of the store, past and to come, must agree with the network and the journal on this file. What they may disagree
 * on is their state.
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <ant/ant.h>

#include "resp.h"

enum {
    FN_STORE = 1,
    FN_JOURNAL = 2,
    FN_SYNC = 3,
    FN_OPERATOR = 4,
};

/* --- network → store, store → journal: a batch ----------------------------------------------------------------------- */

/*
 * STORE_BATCH    data: a batch. Answered with the status 0, by the store or, where it has changed anything, by the journal.
 * STORE_LOAD     data: records of the journal's (struct kvd_records), to be applied to a store that is loading. Status: 0, or a negative errno value.
 * STORE_LOADED   the journal has been replayed, or there is none: from now on the store answers.
 */
enum store_operation {
    STORE_BATCH = 1,
    STORE_LOAD,
    STORE_LOADED,
};

/* Two huge frames, so that with the mover `strict` an area moves as two page-table entries. */
#define KVD_BATCH_PAGES ((size_t)1024)

enum {
    KVD_MAX_COMMANDS = 4096,
    /* Room for the longest command with the most arguments; for the longest reply; for what the longest command can change. */
    KVD_COMMANDS_ROOM = RESP_MAX_COMMAND_BYTES + 8 * (RESP_MAX_ARGS + 2),
    KVD_REPLIES_ROOM = RESP_MAX_BULK_BYTES + (1 << 17),
    KVD_RECORDS_ROOM = RESP_MAX_COMMAND_BYTES + 4 * RESP_MAX_ARGS + (1 << 12),
};

/*
 * A command, as the network puts it behind the one before, at a multiple of 4: its arguments' places, from the first of the bytes that follow
 * them; these are the command as it came.
 */
struct kvd_command {
    uint32_t bytes; /* of all of this, rounded up to a multiple of 4 */
    uint32_t argc;  /* 1 up */
    struct resp_span args[];
};

/* What the network knows, for INFO. */
struct kvd_figures {
    uint64_t start_ms; /* when the program began, on the clock of the world */
    uint64_t connections;
    uint64_t connections_accepted;
    uint64_t connections_refused;
    uint64_t connections_closed; /* by us: protocol errors, and those who did not read */
    uint64_t batches;
    uint64_t swaps;
    uint64_t swaps_rolled_back;
    uint64_t last_blackout_ns;
    uint64_t longest_blackout_ns;
    uint32_t port;
    uint32_t process; /* Linux's id */
};

/* The records region, and the file behind its head: frames, each of one batch's records. See record.h for what a record is. */
struct kvd_frame {
    uint32_t magic;
    uint32_t bytes; /* of the records, which follow */
    uint32_t crc;   /* of the records; the journal's */
    uint32_t reserved;
};

#define KVD_REPLY_CHANGED UINT32_C(0x80000000) /* in reply_end: the command has changed something */

/* The beginning of the area. Offsets and counts are trusted: network, store and journal are one program. */
struct kvd_batch {
    /* the network's */
    uint32_t count; /* commands */
    uint32_t command_bytes;
    bool journalled;      /* changes go to the journal */
    bool journal_failing; /* its last answer was an error: changes are refused, and the journal tries again */
    struct kvd_figures figures;

    /*
     * The store's. It executes from command `first` on, as far as there is room for replies and records. If executed is less than count, the
     * network takes the replies and sends the batch again.
     */
    uint32_t first;        /* the network's, when it sends: where to begin */
    uint32_t first_offset; /* where in commands; the store keeps it for the next time */
    uint32_t executed;
    uint32_t reply_bytes;
    uint32_t record_bytes;
    uint32_t reply_end[KVD_MAX_COMMANDS]; /* of each command executed this time, where in replies its reply ends, and KVD_REPLY_CHANGED */

    /* the journal's */
    int32_t journal_error; /* 0, or why the records are not in the file: a negative errno value */

    _Alignas(64) char commands[KVD_COMMANDS_ROOM];
    char replies[KVD_REPLIES_ROOM];
    struct kvd_frame frame;
    char records[KVD_RECORDS_ROOM];
};

_Static_assert(sizeof(struct kvd_batch) <= KVD_BATCH_PAGES * ANT_PAGE_BYTES, "a batch fits into its area");

/* --- store → journal, journal → store: records without a batch -------------------------------------------------------- */

/*
 * JOURNAL_BATCH    data: a batch with records, forwarded by the store.
 * JOURNAL_RECORDS  data: struct kvd_records, from the store: what its timer has removed. Status: 0.
 * JOURNAL_REPLAY   the journal sends the file's records to the store, then STORE_LOADED. Status: 0, or a negative errno value.
 */
enum journal_operation {
    JOURNAL_BATCH = 1,
    JOURNAL_RECORDS,
    JOURNAL_REPLAY,
};

struct kvd_records {
    struct kvd_frame frame;
    char records[];
};

/* --- network, kvd.c → operator: a swap ---------------------------------------------------------------------------------------- */

/*
 * OPERATOR_SWAP   payload: struct kvd_swap.
 * OPERATOR_WATCH  from now on it replaces a store that dies. (A server may not monitor before it serves.)
 */
enum operator_operation {
    OPERATOR_SWAP = 1,
    OPERATOR_WATCH,
};

/* In the payload. Status: 0, or a negative errno value; `text` says which and why. */
struct kvd_swap {
    char what[512];       /* network: a version ("v1", "v2", "broken"), a path, or "" for the file that serves now, loaded again */
    char text[512];       /* operator: a line for the client, without + or - */
    bool rolled_back;     /* operator: a swap has begun, and the old store serves on */
    uint64_t blackout_ns; /* operator: of a swap, also of one that was rolled back */
};

_Static_assert(sizeof(struct kvd_swap) <= ANT_PAYLOAD_BYTES, "a swap fits into a payload");

static inline struct kvd_swap *kvd_swap(struct ant_request *rq)
{
    return (struct kvd_swap *)(void *)rq->payload;
}

static inline size_t kvd_pages(size_t bytes)
{
    return (bytes + ANT_PAGE_BYTES - 1) / ANT_PAGE_BYTES;
}

#endif
