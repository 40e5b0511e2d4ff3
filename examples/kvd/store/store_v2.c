/* Version 2 of the store. See store.h. */
#include "store.h"

#include <ant/load.h>

static const struct ant_transformer transformers[] = {{1, 2, store_v2_from_v1}};

static const struct ant_program program = {
    .abi = ANT_ABI,
    .version = 2,
    .state_version = 2,
    .name = "store",
    .prepare = store_prepare,
    .dispose = store_dispose,
    .start = store_start,
    .request = store_request,
    .timer = store_timer,
    .transformers = transformers,
    .transformer_count = 1,
};

ANT_PROGRAM_EXPORT(program);
