/*
 * Observation: how long a server's callbacks take, if its program wants to know it. Each message costs two readings of the
 * thread's processor clock then; servers that are not observed pay for none.
 */
#include "core/core.h"

ANTK_APART void antk_observe_begin(struct antk_body *self)
{
    self->core->machine->ops->times(self->thread, &self->work_from);
}

/* Processor time and blocked time, whatever it was booked under: time in which others had the processor does not count. */
ANTK_APART void antk_observe_end(struct antk_body *self)
{
    uint8_t activity = atomic_load_explicit(&self->thread->activity, memory_order_relaxed);
    struct antk_endpoint *ep = self->endpoint;
    struct antk_times now;
    if (activity == ANTK_IDLE)
        return;
    self->core->machine->ops->times(self->thread, &now);
    uint64_t work_ns = now.observed_blocked_ns - self->work_from.observed_blocked_ns;
    for (int i = 0; i < ANTK_ACTIVITIES; i++)
        work_ns += now.cpu_ns[i] - self->work_from.cpu_ns[i];
    antk_lock(&ep->lock);
    if (work_ns > ep->longest_ns[activity])
        ep->longest_ns[activity] = work_ns;
    antk_unlock(&ep->lock);
}
