/*
 * The scenario of in_turn_test.c: a little of everything that a core does, in acts that may be refused something by the host.
 *
 * A call may fail with an error that its contract names, if something was refused; what takes nothing from the host may not
 * fail at all.
 */
#ifndef TURN_H
#define TURN_H

#include "fixture.h"
#include "wrap.h"

#define TURN_PRIORITY 20 /* of the boot process; the servers are above it */

enum {
    FN_SERVER = 1,
    FN_SERVER_TOO,
    FN_DRIVER,
    FN_DEAF,
    FN_WORKER,
    FN_OWN
};
enum {
    OP_TOUCH = 1,
    OP_OTHER,
    OP_FORWARD,
    OP_HOLD,
    OP_RELEASE
};

/* What the host refuses now. */
extern struct turn_refusal {
    enum wrap_kind kind;
    bool for_good;
    _Atomic bool on;
} turn_refusal;

/* Has it refused anything? */
bool turn_refused(void);

/* --- Calls. They return what the call returned, and record an error that may not be ------------------------------- */

int turn_check(int rc, const char *call, const char *file, int line, const int *errors, size_t count);
/* With the errors that it may have. */
#define may(call, ...)                                                        \
    turn_check((call), #call, __FILE__, __LINE__, (const int[]){__VA_ARGS__}, \
               sizeof((const int[]){__VA_ARGS__}) / sizeof(int))
#define must(call) turn_check((call), #call, __FILE__, __LINE__, NULL, 0)

/* --- Areas with something in them; frees, either may be NULL ------------------------------------------------------- */

void turn_fill(void *area, size_t pages, uint64_t value);
bool turn_filled(const void *area, size_t pages, uint64_t value);
void turn_give_back(struct ant_request *rq, void *data);

/* --- Programs ------------------------------------------------------------------------------------------------------ */

/* v1 and v2 have the same state; v3 and v4 another, and a transformer; in vain fails in `start`. */
extern const struct ant_program turn_server_v1, turn_server_v2, turn_server_v3, turn_server_v4, turn_server_in_vain;
extern const struct ant_program turn_driver;
extern const struct ant_program turn_deaf; /* never looks at its queue */
/* Of a server that replaces a dead one. */
extern bool turn_expects_state;

/* --- Acts, in this order ------------------------------------------------------------------------------------------- */

#define TURN_SKIPPED 1 /* what it works on is not there, because an earlier act has failed */

struct turn_act {
    const char *name;
    int (*act)(void); /* 0, TURN_SKIPPED, or the error of the call that failed */
};

extern const struct turn_act turn_acts[];
extern const size_t turn_act_count;

/* Before the first act on a new core. */
void turn_begin(void);
/* Under no refusal: ends what acts that failed have left, and takes every result. */
void turn_tidy(void);

#endif
