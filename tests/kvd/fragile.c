/* A version of the store that serves as version 1 does, but dies of the command DIE: for what becomes of the clients of a store that dies. */
#include "store/store.h"

#include <ant/load.h>
#include <string.h>

/* Not only of the command: of its bytes in the first of a batch. */
static void fragile_request(struct ant_server *self, struct ant_request *rq)
{
    const struct kvd_batch *batch = rq->data;
    if (rq->operation == STORE_BATCH) {
        const struct kvd_command *command = (const struct kvd_command *)(const void *)batch->commands;
        const char *name = (const char *)&command->args[command->argc] + command->args[0].offset;
        if (command->args[0].bytes == 3 && memcmp(name, "DIE", 3) == 0) {
            __builtin_trap();
        }
    }
    store_request(self, rq);
}

static const struct ant_program program = {
    .abi = ANT_ABI,
    .version = 4,
    .state_version = 1,
    .name = "fragile store",
    .prepare = store_prepare,
    .dispose = store_dispose,
    .start = store_start,
    .request = fragile_request,
    .timer = store_timer,
};

ANT_PROGRAM_EXPORT(program);
