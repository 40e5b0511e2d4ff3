/*
 * The event descriptor of a process: an eventfd of its endpoint's, readable while its body has something to receive.
 *
 * Whoever changes what ant_receive would return (requests, results, notice, stopping, body, closed) settles the descriptor before the endpoint's lock is free
 * again; so who looks at it with that lock sees the truth, and who polls it is woken for every message that he does not know of.
 */
#ifndef ANTK_EVENT_H
#define ANTK_EVENT_H

#include "core/core.h"

ANTK_APART void antk_event_settle_evented_locked(struct antk_endpoint *ep);

static inline void antk_event_settle_locked(struct antk_endpoint *ep)
{
    if (ANTK_RARELY(ep->evented))
        antk_event_settle_evented_locked(ep);
}

/* Another body acts for the process: whoever polls for edges (EPOLLET) is told anew, as his predecessor may have had the last one. */
void antk_event_renew_locked(struct antk_endpoint *ep);
/* The process has ended. */
void antk_event_close(struct antk_endpoint *ep);

#endif
