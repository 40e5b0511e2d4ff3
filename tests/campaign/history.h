/*
 * The history of one run, as its clients and the public calls of libant tell it: the only thing that the campaign and its
 * checker share. A run is sent as its length in bytes (uint32_t) and then its records, each as long as it says; the
 * checker answers with one verdict.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdint.h>

#define HISTORY_CLIENTS 16u   /* clients are 0 to 15 ... */
#define HISTORY_REQUESTS 256u /* ... and number their requests from 0 */
#define HISTORY_STRIKES 64u   /* faults of a run */
#define HISTORY_STEPS 13u     /* [1] to [12] */

enum history_kind {
    HISTORY_BEGIN,     /* the first record */
    HISTORY_SERVED,    /* ant_serve has returned */
    HISTORY_SENT,      /* a client is about to send */
    HISTORY_REFUSED,   /* nothing was sent */
    HISTORY_RESULT,    /* a client has a result */
    HISTORY_WITHDRAWN, /* a request came back without one */
    HISTORY_PROBE,     /* a client has looked at an area that it has sent */
    HISTORY_ENDED,     /* a process has ended: ant_wait has told */
    HISTORY_SWAPPING,  /* ant_swap, or ant_serve, is about to be called */
    HISTORY_SWAP,      /* a swap has ended: what its report says */
    HISTORY_STRIKE,    /* a fault strikes */
    HISTORY_HIT,       /* one that lay in wait (a failed allocation, say) has been met */
    HISTORY_LATE,      /* the process of the highest priority has woken */
    HISTORY_WORKED,    /* a process has computed for a while */
    HISTORY_CALL,      /* a call has returned what its contract does not allow then */
    HISTORY_LAST,      /* when all was over: does a function still serve? */
    HISTORY_STUCK,     /* something did not end */
    HISTORY_PAGES,     /* what the pool and the calling process hold */
    HISTORY_SHUTDOWN,  /* what ant_shutdown reports */
    HISTORY_HOST,      /* what the Linux process holds, before boot and after shutdown */
    HISTORY_END,       /* the last record */
};

/* What a server says of itself in its answer: `first` when it first received the request, the others when it answered. */
struct history_service {
    uint64_t epoch, serial;             /* which state, and the count in it */
    uint64_t first_epoch, first_serial; /* serial 0: nobody has received it */
    uint64_t first_time_ns, reply_time_ns;
    uint32_t first_version, reply_version; /* a number of its own for each ant_serve and ant_swap of a run */
    uint32_t first_generation, reply_generation;
    uint32_t attempts; /* how often it was received */
    uint32_t direct;   /* how often on the thread of a client */
};

/* Of the data area that went along. */
struct history_data {
    uint32_t sent_pages;
    uint32_t same_pages;    /* back as they were sent */
    uint32_t done_pages;    /* back as the server writes them */
    uint32_t foreign_pages; /* back as neither */
};

struct history_count {
    uint32_t at_notice, arrived, left, handed_over;
};

/* How a fault strikes, for what may follow from it. */
enum history_fault {
    HISTORY_START_ERROR,
    HISTORY_TRANSFORM_ERROR,
    HISTORY_EXIT,
    HISTORY_CRASH,
    HISTORY_HANG,
    HISTORY_ALLOCATION,
    HISTORY_MAPPING,
    HISTORY_MOVE,
    HISTORY_THREAD,
    HISTORY_POOL,
    HISTORY_KILL,
    HISTORY_STOP,
    HISTORY_CANCEL,
    HISTORY_LATE_REPLY,
    HISTORY_DOUBLE_REPLY,
    HISTORY_FAULTS,
};

/* Whom. */
enum history_party {
    HISTORY_CLIENT,
    HISTORY_SERVER, /* of the function in the record */
    HISTORY_DRIVER,
    HISTORY_NEW_SERVER,
    HISTORY_REQUESTER, /* the swapper */
    HISTORY_REPLACER,  /* of the dead */
    HISTORY_PARTIES,
};

struct history_record {
    uint32_t kind;
    uint32_t bytes; /* of this record */
    uint64_t time_ns;
    uint32_t actor; /* a client's number, or a function */
    uint32_t unused;
    union {
        struct history_begin {
            uint64_t seed;
            uint64_t step_ns[HISTORY_STEPS];
            uint64_t switch_ns;
            uint32_t pages; /* in the pool */
            uint32_t strict;
            uint32_t small;   /* the pool may be exhausted without a fault */
            uint32_t limited; /* queues may be full */
        } begin;
        struct history_served {
            uint64_t pid;
            uint32_t version;
            int32_t error;
        } served;
        struct history_sent {
            uint32_t number;
            uint32_t function;
            uint32_t repeatable;
            uint32_t synchronous;
        } sent;
        struct history_refused {
            uint32_t number;
            int32_t error;
            struct history_data data;
        } refused; /* and withdrawn: 0, or -ETIMEDOUT, -EDEADLK */
        struct history_result {
            uint32_t number; /* the cookie's */
            uint32_t at;     /* whose place in the client's window it came back to */
            int32_t status, error;
            struct history_data data;
            uint32_t data_gone; /* no data area came back with it */
            uint32_t echo;      /* the number in the payload, as the client wrote it */
            struct history_service service;
        } result;
        struct history_probe {
            uint32_t number;
            uint32_t outstanding; /* it is at its server's: ant_pending has it */
            int32_t info;         /* what ant_ica_info said */
            int32_t system_call;  /* errno of a system call given the address; 0: it read from there */
        } probe;
        struct history_ended {
            uint32_t party;
            int32_t status;
            uint64_t own_pages; /* a client's, when all its requests were back */
        } ended;
        struct history_swapping {
            uint32_t version;
            uint32_t force; /* the old server may be ended */
            uint32_t anew;  /* ant_serve: nobody serves */
            uint32_t unused;
        } swapping;
        struct history_swap {
            uint32_t version; /* of the new program */
            int32_t error;
            int32_t returned; /* what ant_swap returned; 1: its requester did not live to see it */
            uint32_t step, generation;
            uint32_t restarted, abandoned, unused;
            uint64_t step_time_ns[HISTORY_STEPS];
            uint64_t swap_ns, blackout_ns, transform_ns, start_ns;
            uint64_t base_ns, request_work_ns, result_work_ns, higher_priority_ns;
            struct history_count counts[4]; /* queued requests, queued results, in service, outstanding */
        } swap;
        struct history_strike {
            uint32_t number; /* counts up from 0 */
            uint32_t fault;  /* HISTORY_FAULTS: it has met nobody */
            uint32_t party;  /* whom */
            uint32_t victim; /* a client's number, or a function */
        } strike;            /* and hit: number only */
        struct history_late {
            uint64_t wanted_ns;
        } late; /* time_ns: when it ran */
        struct history_worked {
            uint64_t from_ns; /* to time_ns */
            uint64_t work_ns;
            int32_t priority; /* the least that it had meanwhile */
            uint32_t unused;
        } worked;
        struct history_call {
            char name[24];
            int32_t returned;
            uint32_t unused;
        } call;
        struct history_last {
            int32_t error, status;
            uint32_t dead;
            uint32_t unused;
            struct history_service service;
        } last;
        struct history_stuck {
            char what[24];
        } stuck;
        struct history_pages {
            uint64_t free, own;
        } pages;
        struct history_shutdown {
            uint32_t asked, abandoned, areas, pages, unanswered, dead;
        } shutdown;
        struct history_host {
            uint64_t blocks; /* of memory that libant holds */
            uint64_t threads, files;
        } host;
    };
};

#define HISTORY_HEADER_BYTES 24u

enum history_outcome {
    HISTORY_NOT_REACHED,
    HISTORY_RECOVERED,   /* all that was asked from then on, until the next fault, was served */
    HISTORY_CLEAN_ERROR, /* something ended in an error that says why */
};

struct history_verdict {
    uint32_t violations;
    uint32_t strikes;
    uint8_t fault[HISTORY_STRIKES];   /* enum history_fault */
    uint8_t outcome[HISTORY_STRIKES]; /* enum history_outcome */
    uint8_t party[HISTORY_STRIKES];   /* who died of it; HISTORY_PARTIES: nobody */
    uint8_t step[HISTORY_STRIKES];    /* ... at which step of a swap; 0: at none */
    uint64_t requests, results, direct, swaps, rollbacks, restarts;
    uint64_t simulated_ns;
    char text[512]; /* what was violated first */
};

#endif
