/*
 * Its state is a heap, with one object so large that it has a segment of its own; the last word of that names a function of ours, if the state is to do so.
 */
#include "objects.h"

#include <string.h>

#define WORDS ((size_t)40000)

static int start(struct ant_server *self)
{
    struct ant_heap *heap;
    void *object;
    if (self->state)
        return 0;
    int rc = ant_heap_create(0, &heap);
    if (rc == 0)
        rc = ant_heap_alloc(heap, WORDS * sizeof(uintptr_t), &object);
    if (rc != 0)
        return rc;
    uintptr_t *words = memset(object, 0, WORDS * sizeof *words);
    words[WORDS - 1] = objects.keeps_pointer ? (uintptr_t)start : 0;
    return ant_state_set(heap);
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    ant_reply(rq, 0);
}

static const struct ant_program heap = {
    .abi = ANT_ABI, .name = "heap", .version = 1, .state_version = 1, .start = start, .request = request};

ANT_PROGRAM_EXPORT(heap);
