/*
 * Mortals: servers for the tests of death, watchdogs, monitors and cancelled swaps. What a request asks of them is its operation;
 * OP_OBEY makes the server a puppet in the middle of a request.
 */
#ifndef MORTAL_H
#define MORTAL_H

#include "fixture.h"
#include "puppet.h"

#define FN 7u
#define FN_EXTRA 8u
#define FN_DRIVER 9u
#define FN_OTHER 11u

enum {
    OP_COUNT,      /* answers, with how many requests it has answered */
    OP_OBEY,       /* obeys, then answers */
    OP_KEEP,       /* keeps it in service */
    OP_KEEP_FIRST, /* generation 1 keeps it and spoils its header, the others answer */
    OP_SLEEP,      /* for mortal.time_ns, then answers */
    OP_WORK,       /* the same, computing */
    OP_ASK,        /* asks FN_DRIVER synchronously, then answers */
    OP_ERRAND,     /* asks FN_DRIVER asynchronously, with a data area of a page, and keeps the request */
    OP_SPIN,       /* outside the core, as long as mortal.spin; then answers */
    OP_DIE,        /* by its own hand */
    OP_EXIT,       /* ends, with the status 3 */
    OP_SWAP_OTHER, /* swaps FN_OTHER, then answers */
};

struct answer { /* the payload of a result */
    uint32_t version, count, generation;
};

#define MORTAL_MAGIC 0x1234abcdu
#define MORTAL_STATE_PAGES 2u /* of a state; nothing else is attached to an idle mortal */
#define MORTAL_SEEN 64u

struct mortal_state { /* state version 1 */
    uint32_t magic;
    uint32_t count;
    struct mortal_state *self; /* a pointer that must stay valid */
};

struct mortal_state_two { /* state version 2 */
    uint64_t padding;
    uint64_t count;
};

struct mortal_request { /* as a server saw it */
    uint32_t function, operation, generation, flags;
    uint64_t cookie;
    uint32_t first_data, first_payload; /* 0: no data */
};

struct mortal_plan {
    int (*hook)(struct ant_server *self); /* what `start` does in a swap, before anything else */
    int (*when_stopped)(void);            /* what `stop` does */
    struct ant_server started;            /* by the last start */
    _Atomic uint32_t starts, transforms;
    uint64_t time_ns;
    _Atomic bool spin;     /* as long as this is set, OP_SPIN spins */
    _Atomic bool spins;    /* it does */
    _Atomic bool left;     /* it has left its loop */
    _Atomic bool ran_on;   /* it has come back from a call after that */
    _Atomic bool lived_on; /* somebody came back from killing himself */
    _Atomic size_t seen_count;
    struct mortal_request seen[MORTAL_SEEN]; /* requests received, in their order */
};
extern struct mortal_plan mortal;

/* one and one_again: state version 1. two: version 2, with transformers both ways. strange: version 3, and no way to it. */
extern const struct ant_program mortal_one, mortal_one_again, mortal_two, mortal_strange;
/* With a loop of its own, state version 1. */
extern const struct ant_program mortal_loop;

/* The server of FN, made by mortal_setup. */
extern ant_pid mortal_pid;
/* Boots, and serves FN by mortal_one. */
int mortal_setup(void **state);
void mortal_begin(const struct ant_server_options *options);
#define mortal_test(f) cmocka_unit_test_setup_teardown(f, mortal_setup, fixture_teardown)
#define bare_mortal_test(f) cmocka_unit_test_setup_teardown(f, fixture_no_core, fixture_teardown)

/* For `hook`: it does what the boss says, from within `start`; it fails, with an area allocated. */
int obey_in_start(struct ant_server *self);
int fail_to_start(struct ant_server *self);

/* Kills a puppet; what it ended with. */
int end_of(ant_pid puppet);
bool is_dead(ant_pid pid);
void await_death(ant_pid pid);
/* Kills the server, and waits until it is dead. */
void mortal_kill(void);
/* It serves: version, generation, at its old id. */
void assert_serves(uint32_t version, uint32_t generation);

/* Sent by the boss. */
struct ant_request *send_op(uint32_t operation, uint64_t cookie);
struct ant_request *send_to(uint32_t function, uint32_t operation, uint64_t cookie, uint32_t flags);
struct answer ask(uint32_t function, uint32_t operation);
struct answer *answer_in(struct ant_request *rq);
/* The boss's next result is this one: answered by that version, or by the core with an error. It is freed, its data too. */
void take_answer(struct ant_request *rq, uint32_t version);
void take_error(struct ant_request *rq, int error);
/* The server obeys in a request that the boss has sent. */
struct ant_request *make_obey(void);

/* The ledgers balance, and the shares add up to the swap time. */
void assert_adds_up(const struct ant_swap_report *report);
void assert_restarted(const struct ant_swap_report *report, uint32_t generation);
/* How often this step is in the trace. */
size_t steps_in_trace(enum ant_swap_step step, uint32_t generation);

#endif
