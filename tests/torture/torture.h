/*
 * Torture: what the files of the program share.
 *
 *   torture.c   the command: options, rounds until the time is over, what is printed
 *   round.c     a round: a core is booted, filled, kept full, emptied, and looked at when it has ended
 *   actor.c     processes that may be ended by force, when they may be, and what they are once they have been
 *   client.c    clients and their ledgers
 *   server.c    servers with state, and the drivers that they ask
 *   faulty.c    new servers that fail, and mishaps: how one's own code crashes, hangs, ends
 *   trouble.c   those who swap, cancel, kill, stop, and those who mend
 *   host.c      what the host sees: threads, descriptors, addresses; the last words of a program that hangs
 *
 * Nothing here is reproducible but the parameters of a round. What must hold is checked by whoever sees it (STRESS_CHECK), in
 * plain memory that outlives the process: a process may end between any two instructions.
 *
 * Two kinds of rounds. In a rough one (faults are contained, stale accesses fault) everybody may be ended at any instant. In a gentle
 * one who is ended by force, and runs outside the core, goes on for a while, and what he touches is no longer his: there clients
 * and servers are only killed where they say that they touch nothing (actor_open).
 */
#ifndef TORTURE_H
#define TORTURE_H

#include "stress_model.h"

#define CLIENTS_MAX 32u
#define SERVERS_MAX 4u
#define DRIVERS_MAX 2u
#define OTHERS_MAX 24u
#define OUT_MAX 10u
#define RECENT 32u
#define HARMED_KEPT 8u

/* Function ids: each server has two, each driver one. */
#define FN_SERVER 100u
#define FN_SECOND 200u
#define FN_DRIVER 300u
#define FN_NOBODY 999u
#define FN_MONITOR 998u

enum tally {
    T_ROUNDS,
    T_REQUESTS,  /* accepted by the core */
    T_ANSWERED,  /* ... by a server */
    T_DROPPED,   /* ... by the core: -EOWNERDEAD, -ESHUTDOWN */
    T_WITHDRAWN, /* ... or taken back: cancelled, or timed out while queued */
    T_TWICE,     /* served again after a death */
    T_DIRECT,    /* taken on the thread of a client */
    T_SWAPS,     /* calls of ant_swap that were not refused at once */
    T_COMMITTED,
    T_CANCELLED,
    T_TIMED_OUT,
    T_OWNER_DEAD,
    T_START_ERROR, /* what the new server itself returned */
    T_SERVER_GONE,
    T_OTHER_ERROR,
    T_RESTARTS, /* of the committed: the old server was dead */
    T_TRUSTED,  /* of those: with its state */
    T_FORCED,   /* swaps that were told to use force */
    T_ABANDONED,
    T_KILLS_CLIENT,
    T_KILLS_SERVER,
    T_KILLS_DRIVER,
    T_KILLS_REQUESTER,
    T_KILLS_OTHER,
    T_STOPS,
    T_CRASHES, /* faults, contained */
    T_HANGS,   /* of those who hung, however it ended */
    T_DEATHS_TOLD,
    T_CHANGES_TOLD,
    T_SERVED_AGAIN, /* servers that had ended, and were created again */
    T_COME_AND_GONE,
    TALLIES
};

extern _Atomic uint64_t tallies[TALLIES];

static inline void tally(enum tally which)
{
    atomic_fetch_add_explicit(&tallies[which], 1, memory_order_relaxed);
}

/* --- actor.c --------------------------------------------------------------------------------------------------------- */

enum actor_kind {
    ACTOR_CLIENT,
    ACTOR_SWAPPER,
    ACTOR_CANCELLER,
    ACTOR_KILLER,
    ACTOR_BREEDER,
    ACTOR_MENDER, /* is told of deaths by a monitor */
    ACTOR_WARDEN, /* looks for himself; nobody harms him */
    ACTOR_KINDS
};

/* A process of the torture; it comes again when it has ended. */
struct actor {
    enum actor_kind kind;
    uint32_t number; /* among its kind */
    uint64_t random;
    _Atomic uint32_t incarnation;
    _Atomic ant_pid pid; /* 0: not created yet */
    _Atomic uint32_t section;
    _Atomic uint32_t harmed[HARMED_KEPT]; /* incarnations that somebody has killed or stopped, or they themselves: they may leave anything undone */
};

#define STATUS_DONE 0
#define STATUS_STOPPED 17

/* Creates its process. False: no place, for now. */
bool actor_create(struct actor *actor);
/* Marks whoever it is now as harmed, before that is done; his id. And is he? */
ant_pid actor_harm(struct actor *actor);
bool actor_harmed(const struct actor *actor);
/* Has it ended? With `wait`, waits for that. Checks how. */
bool actor_ended(struct actor *actor, bool wait);

/*
 * Gentle rounds: between the two it touches neither areas nor requests, and may be ended. The second, given what the first
 * returned, does not return once somebody is about to end it. In rough rounds they do nothing.
 */
uint32_t actor_open(_Atomic uint32_t *section);
void actor_close(_Atomic uint32_t *section, uint32_t opened);
/* May it be ended by force now? If so it must be, and then released. */
bool actor_claim(_Atomic uint32_t *section);
void actor_release(_Atomic uint32_t *section);
const char *actor_name(enum actor_kind kind);

int client_main(void *actor);
int swapper_main(void *actor);
int canceller_main(void *actor);
int killer_main(void *actor);
int breeder_main(void *actor);
int mender_main(void *actor);
int warden_main(void *actor);

/* --- server.c, faulty.c ---------------------------------------------------------------------------------------------- */

/* What clients ask for. */
enum operation {
    OP_STORE,    /* answered at once */
    OP_READ,     /* by way of a driver, data area and all */
    OP_KEEP,     /* the server keeps the data area, and answers without */
    OP_EXCHANGE, /* the server answers with another area */
    OP_MISHAP,   /* something happens to the server; if it survives that, as OP_STORE */
    OPERATIONS
};

enum mishap {
    MISHAP_SPIN, /* hangs, in its own text */
    MISHAP_WAIT, /* hangs, in a system call */
    MISHAP_SELF_SWAP,
    MISHAP_STAND, /* waits in the core, and may be killed there */
    MISHAP_HARMLESS,
    MISHAP_EXIT = MISHAP_HARMLESS, /* from here on whoever has it is gone */
    MISHAP_KILL,                   /* by its own ant_kill */
    MISHAP_FATAL,
    MISHAP_SEGV = MISHAP_FATAL, /* from here on: only where faults are contained */
    MISHAP_STALE,
    MISHAP_DIVISION,
    MISHAP_TRAP,
    MISHAP_ABORT,
    MISHAP_OVERFLOW,
    MISHAPS
};

/* What a request carries in its payload. */
struct order {
    uint64_t key;   /* of the pattern in the data area */
    uint64_t first; /* when it was first taken, on the clock of all servers; 0: not yet */
    uint64_t again; /* when it was taken again */
    uint32_t pages;
    uint32_t taken;  /* how often */
    uint32_t worn;   /* an errand: what it carries may have been answered before, in part */
    uint32_t mishap; /* OP_MISHAP */
    uint32_t always; /* ... every time that it is taken, not the first time only */
};

static inline struct order *order_of(struct ant_request *rq)
{
    return (struct order *)(void *)rq->payload;
}

/* A server as the torture sees it, through all its generations. */
struct server {
    struct ant_server_options options;
    _Atomic uint32_t section;
    _Atomic uint64_t deaths;   /* attempts to end it by force, counted when they begin */
    _Atomic uint64_t ends;     /* attempts to end it otherwise */
    _Atomic uint32_t attempts; /* that go on, by others */
    _Atomic bool unsettled;    /* there was one, and whoever came after it has not yet taken a message */
    _Atomic uint64_t identity; /* of the state that is served with ... */
    _Atomic uint64_t served;   /* ... and what that should have counted; 0 again when nobody can tell */
};

/* Around an attempt to end a server; `count` is its deaths or ends. By its own doing it is only begun. */
void server_attempt(struct server *server, _Atomic uint64_t *count);
void server_attempted(struct server *server);
/* Creates a server, or a driver. */
int server_create(uint32_t number);
int driver_create(uint32_t number);
/* The server or driver of a function; NULL: none. */
/* What has become of an area that nobody was to change, for the text of a violation. */
const char *area_looks(const void *data, size_t pages, uint64_t key);
struct server *server_of(uint32_t function);
/* Programs. `which` is any number. */
const struct ant_program *server_program(uint64_t which);
const struct ant_program *driver_program(uint64_t which);
/* Of a server's state, and what that points to. */
#define SERVER_PAGES 3u
/* For servers that fail after a while: the callbacks, and the layout, of a program that does not. */
void serve_request(struct ant_server *self, struct ant_request *rq);
void serve_result(struct ant_server *self, struct ant_request *errand);
int server_transform(struct ant_server *self, const void *old_state, size_t old_bytes, void **new_state);

/* A program whose start fails, in some way. */
const struct ant_program *faulty_program(uint64_t which);
/* It happens to the caller. */
void mishap_happens(enum mishap mishap, uint32_t function, _Atomic uint32_t *section);
/* Hangs outside the core for at most about a tenth of a second: computing, or waiting. Then the caller must call the core. */
void hang(bool computing);

/* --- round.c --------------------------------------------------------------------------------------------------------- */

struct round {
    uint64_t seed;
    enum ant_machine machine;
    enum ant_mover mover;
    bool contain, rough;
    bool watchdog;
    bool abrupt; /* ends by a shutdown in the middle of everything */
    int64_t shortest_force_ns;
    uint32_t clients, servers, drivers, others, huge_one_in;
    _Atomic bool over;      /* whoever makes trouble ends; clients take what they have out, and end */
    _Atomic bool mended;    /* nobody needs anything any more: whoever mends ends */
    int pipe[2];            /* for those who wait outside the core: the test closes its end */
    _Atomic bool computing; /* somebody hangs in a loop: one is enough for the processor. Forgotten now and then, as he may be dead */
    _Atomic uint64_t draws;
    struct server server[SERVERS_MAX], driver[DRIVERS_MAX];
    struct actor client[CLIENTS_MAX], other[OTHERS_MAX];
    ant_pid mayfly[OTHERS_MAX]; /* of the breeder of that number, the latest */
    char text[200];             /* for last words */
};

extern struct round round_now;

static inline uint64_t round_draw(void)
{
    return stress_mix(round_now.seed + atomic_fetch_add_explicit(&round_now.draws, 1, memory_order_relaxed));
}

/* One in so many. */
static inline bool round_one_in(uint32_t many)
{
    return round_draw() % many == 0;
}

/* Returns 77 when this machine or mover is not to be had here, else 0. */
int round_run(uint64_t seed, enum ant_machine machine, enum ant_mover mover, bool contain, double seconds);

/* --- host.c ---------------------------------------------------------------------------------------------------------- */

struct host {
    uint32_t threads, descriptors;
    uint64_t address_bytes;
};

struct host host_look(void);
/* Waits until there are no more threads and descriptors than before. */
void host_check(const struct host *before);
/* What every thread does, on standard error. */
void host_print_threads(void);
/* Does the address space grow, from round to round, beyond what it had at first? */
void host_check_growth(uint32_t rounds);
void host_print_growth(void);
/* From now on a signal that is nobody's prints what every thread does before the end. */
void host_catch_signals(void);
/* Starts the thread that prints violations, and a line every minute, and ends the program when nothing goes on for a minute. */
void host_watch(void);
/* The violations that it has not printed yet. */
void host_print_violations(void);

#endif
