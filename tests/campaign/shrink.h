/* The shortest plan that still breaks a promise. */
#ifndef SHRINK_H
#define SHRINK_H

#include "plan.h"

/* Takes away from a plan whatever it does not need to break a promise; verdict: what the shortest one breaks. -> how many runs that took */
uint32_t shrink(struct plan *plan, uint32_t *keep, struct history_verdict *verdict);

#endif
