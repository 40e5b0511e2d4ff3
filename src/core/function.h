/*
 * The function table: function id -> who serves it. Read under RCU on every request, written seldom.
 *
 * An entry may be reserved: the id is taken, but nobody finds it until the server that reserved it is registered.
 */
#ifndef ANTK_FUNCTION_H
#define ANTK_FUNCTION_H

#include "core/core.h"

struct antk_function {
    struct cds_lfht_node node;
    struct rcu_head rcu;
    uint32_t function;
    ant_pid pid;
    _Atomic bool reserved;
    uint32_t incarnation;       /* endpoint's lock: the body that added it */
    struct antk_function *next; /* endpoint's lock: further ids of the same endpoint */
};

/* The calling thread will look up, or will not any more. */
void antk_functions_enter_thread(void);
void antk_functions_leave_thread(void);

int antk_functions_init(struct antk_core *core);
void antk_functions_fini(struct antk_core *core);

/*
 * Pins the endpoint that serves a function; NULL if nobody does. The calling process remembers the last one that it asked for: who serves a function changes
 * only when an entry is removed (a swap changes none).
 */
struct antk_endpoint *antk_function_pin(struct antk_body *self, uint32_t function);
/* -EEXIST, -ENOMEM. -ESHUTDOWN: the process has ended. */
int antk_function_enter(struct antk_endpoint *ep, uint32_t function, uint32_t incarnation, bool reserved);
/* Makes what an incarnation has reserved visible. Cannot fail. Endpoint's lock held. */
void antk_functions_publish_locked(struct antk_endpoint *ep, uint32_t incarnation);
/* Removes the ids that an incarnation added (0: all). */
void antk_functions_remove(struct antk_endpoint *ep, uint32_t incarnation);

#endif
