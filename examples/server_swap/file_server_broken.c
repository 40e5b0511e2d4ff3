/*
 * A version of the file server that does not come up, and that notices half way: after the state was transformed, after it
 * has allocated read-ahead buffers and sent the disk a first request of its own.
 *
 * It cleans nothing up. That is the inner core's affair: it frees what the new server had allocated, drops the result of
 * what it had sent, and lets the old server go on. When `start` runs, nobody serves: the clients' requests wait.
 */
#include "file_server.h"

#include <errno.h>
#include <stdio.h>

enum { READ_AHEAD = 8, READ_AHEAD_PAGES = 4 };

static int broken_start(struct ant_server *self)
{
    (void)self;
    struct ant_request *rq;
    void *buffer = NULL;
    int error = 0;

    for (int i = 0; i < READ_AHEAD && error == 0; i++) {
        error = ant_ica_alloc(READ_AHEAD_PAGES, &buffer);
    }
    if (error == 0) {
        error = ant_request_new(FN_DISK, &rq);
    }
    if (error == 0) {
        rq->operation = DISK_READ;
        rq->data = buffer;
        *disk_message(rq) = (struct disk_message){.offset = 0, .bytes = 1};
        error = ant_send(rq);
    }
    return error != 0 ? error : FILE_SERVER_BROKEN_ERROR; /* "the index of the read-ahead is damaged" */
}

static void broken_request(struct ant_server *self, struct ant_request *rq)
{
    fprintf(stderr, "%s: served, though it never started\n", self->program->name);
    file_reply(self, rq, -EIO, false);
}

const struct ant_program file_server_broken = {
    .abi = ANT_ABI,
    .version = 3,
    .state_version = 2,
    .name = "broken file server",
    .start = broken_start,
    .request = broken_request,
    .transformers = &file_state_v2_from_v1,
    .transformer_count = 1,
};
