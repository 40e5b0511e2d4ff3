/*
 * Timers of a server: a heap by time, and a table that finds a timer by its id. Both are its own; whoever has such a set is its only user.
 */
#ifndef ANTK_TIMER_H
#define ANTK_TIMER_H

#include "core/core.h"

#include <ant/event.h>

struct antk_timers;

/* Has it any? timers may be NULL. */
bool antk_timers_any(const struct antk_timers *timers);
void antk_timers_destroy(struct antk_timers *timers); /* NULL: nothing */
/* When the next one expires; ANTK_NEVER: there is none. timers may be NULL. */
uint64_t antk_timers_next(const struct antk_timers *timers);
/* The first one, which has expired by now: its id, how often, and what follows from that. */
uint32_t antk_timers_expire(struct antk_timers *timers, uint64_t now_ns, uint64_t *expirations);

#endif
