/* The one record of failures that stress.h speaks of, and waiting for a step of a swap by way of the trace. */
#include "stress.h"

#include <errno.h>

struct stress_record stress_record;

static struct ant_event events[STRESS_TRACE_EVENTS]; /* the test's own process only */

uint64_t stress_trace_mark(void)
{
    size_t count = 0;

    STRESS_OK(ant_trace_read(events, STRESS_TRACE_EVENTS, &count));
    return count > 0 ? events[count - 1].number + 1 : 0;
}

void stress_wait_for_step(enum ant_swap_step step, uint64_t mark)
{
    for (;;) {
        size_t count = 0;
        int error = ant_trace_read(events, STRESS_TRACE_EVENTS, &count);
        if (!STRESS_CHECK(error == 0, "ant_trace_read: %s", ant_strerror(error))) {
            return;
        }
        for (size_t i = count; i > 0 && events[i - 1].number >= mark; i--) {
            if (events[i - 1].kind == ANT_EVENT_STEP && events[i - 1].a == (int64_t)step) {
                return;
            }
        }
        STRESS_OK(ant_sleep(ant_now() + 100000));
    }
}
