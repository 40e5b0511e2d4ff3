/* Version 1 of the file server: no cache. Every block comes from the disk, straight into the client's area. */
#include "file_server.h"

static int v1_start(struct ant_server *self)
{
    void *area;
    if (self->reason == ANT_START_SWAP) {
        return 0; /* the state is there, as it was or transformed; requests and results follow */
    }
    int error = ant_ica_alloc(pages_of(sizeof(struct file_state_v1)), &area);
    if (error == 0) {
        error = file_table_init(&((struct file_state_v1 *)area)->files);
    }
    return error != 0 ? error : ant_state_set(area); /* should it fail, the inner core frees the area */
}

/*
 * A transformer may not free what it has no use for: if the swap is rolled back, the old server goes on with it. So the
 * areas of v2's cache travel in the new state, and are freed by the first callback: when that runs, the swap has committed.
 */
static int v1_from_v2(struct ant_server *self, const void *old_state, size_t old_bytes, void **new_state)
{
    (void)self;
    (void)old_bytes;
    const struct file_state_v2 *old = old_state;
    void *area;
    int error = ant_ica_alloc(pages_of(sizeof(struct file_state_v1)), &area);
    if (error != 0) {
        return error;
    }
    struct file_state_v1 *state = area;
    state->files = old->files;
    state->spare_count = 0;
    for (size_t i = 0; i < CACHE_BLOCKS; i++) {
        if (old->cache[i].area != NULL) {
            state->spare[state->spare_count++] = old->cache[i].area;
        }
    }
    *new_state = state;
    return 0;
}

static struct file_state_v1 *v1_state(void)
{
    struct file_state_v1 *state = ant_state();
    while (state->spare_count > 0) {
        (void)ant_ica_free(state->spare[--state->spare_count]);
    }
    return state;
}

static void v1_request(struct ant_server *self, struct ant_request *rq)
{
    struct file_state_v1 *state = v1_state();
    if (file_begin(self, &state->files, rq)) {
        file_ask_disk(self, &state->files, rq);
    }
}

static void v1_result(struct ant_server *self, struct ant_request *down)
{
    int32_t status;
    (void)v1_state();
    struct ant_request *rq = file_take_from_disk(down, &status);
    file_reply(self, rq, status, false);
}

static const struct ant_transformer v1_transformers[] = {{2, 1, v1_from_v2}};

const struct ant_program file_server_v1 = {
    .abi = ANT_ABI,
    .version = 1,
    .state_version = 1,
    .name = "file server",
    .start = v1_start,
    .request = v1_request,
    .result = v1_result,
    .transformers = v1_transformers,
    .transformer_count = 1,
};
