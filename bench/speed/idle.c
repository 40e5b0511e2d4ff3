/* Processes that do nothing; see idle.h. */
#include "idle.h"
#include "ours.h"

#define STACK_BYTES ((size_t)64 << 10)
#define SETTLE_NS (10 * ANT_NS_PER_MS)

static int wait_for_nothing(void *argument)
{
    struct ant_message message;

    (void)argument;
    while (ant_receive(&message, ANT_FOREVER) == 0 && message.kind != ANT_STOP) {
    }
    return 0;
}

void idle_start(struct idle *idle, unsigned count)
{
    struct ant_process_options options = {
        .name = "idle", .priority = ANT_PRIORITY_MIN, .stack_bytes = STACK_BYTES};

    for (unsigned i = 0; i < count; i++) {
        must("ant_process_create",
             ant_process_create(&options, wait_for_nothing, NULL, &idle->processes[i]));
    }
    idle->count = count;
    must("ant_sleep", ant_sleep(ant_now() + SETTLE_NS));
}

void idle_stop(struct idle *idle)
{
    for (unsigned i = 0; i < idle->count; i++) {
        must("ant_stop", ant_stop(idle->processes[i], ANT_FOREVER, NULL));
    }
    idle->count = 0;
}
