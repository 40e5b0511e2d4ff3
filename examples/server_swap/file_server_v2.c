/*
 * Version 2 of the file server: keeps blocks in a cache, which is part of its state.
 *
 * A hit is copied from the cache into the client's area. A miss goes to the disk with the client's area, as in version 1,
 * and is copied into the cache on its way back. (It has no `start`: here it only ever succeeds version 1, whose state it
 * transforms. A version that can also be started afresh would set up its state there, as version 1 does.)
 */
#include "file_server.h"

#include <string.h>

/* v1 may not have come to free the areas of an earlier cache: then this cache begins with them. */
static int v2_from_v1(struct ant_server *self, const void *old_state, size_t old_bytes, void **new_state)
{
    (void)self;
    (void)old_bytes;
    const struct file_state_v1 *old = old_state;
    void *area;
    int error = ant_ica_alloc(pages_of(sizeof(struct file_state_v2)), &area);
    if (error != 0) {
        return error;
    }
    struct file_state_v2 *state = area;
    *state = (struct file_state_v2){.files = old->files};
    for (size_t i = 0; i < old->spare_count; i++) {
        state->cache[i].area = old->spare[i];
    }
    *new_state = state;
    return 0;
}

static void cache_put(struct file_state_v2 *state, uint64_t block, const void *data, uint32_t bytes)
{
    struct cache_entry *entry = &state->cache[block % CACHE_BLOCKS];
    if (entry->area == NULL && ant_ica_alloc(pages_of(state->files.block_bytes), &entry->area) != 0) {
        return; /* no room: not every block can be kept */
    }
    memcpy(entry->area, data, bytes);
    entry->block = block;
    entry->bytes = bytes;
}

static void v2_request(struct ant_server *self, struct ant_request *rq)
{
    struct file_state_v2 *state = ant_state();
    if (!file_begin(self, &state->files, rq)) {
        return;
    }
    uint64_t block = file_message(rq)->block;
    const struct cache_entry *entry = &state->cache[block % CACHE_BLOCKS];
    if (entry->bytes > 0 && entry->block == block) {
        state->hits++;
        memcpy(rq->data, entry->area, entry->bytes);
        file_reply(self, rq, (int32_t)entry->bytes, true);
    } else {
        state->misses++;
        file_ask_disk(self, &state->files, rq);
    }
}

static void v2_result(struct ant_server *self, struct ant_request *down)
{
    struct file_state_v2 *state = ant_state();
    int32_t status;
    struct ant_request *rq = file_take_from_disk(down, &status);
    if (status > 0) {
        cache_put(state, file_message(rq)->block, rq->data, (uint32_t)status);
    }
    file_reply(self, rq, status, false);
}

const struct ant_transformer file_state_v2_from_v1 = {1, 2, v2_from_v1};

const struct ant_program file_server_v2 = {
    .abi = ANT_ABI,
    .version = 2,
    .state_version = 2,
    .name = "file server",
    .request = v2_request,
    .result = v2_result,
    .transformers = &file_state_v2_from_v1,
    .transformer_count = 1,
};
