/* Two pipes, one each way; for long messages they hold a whole one, so that neither end waits in the middle of it. */
#include "stream.h"

#include <fcntl.h>
#include <unistd.h>

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct stream *self = limit_new(sizeof *self);
    int there[2], back[2];

    limit_must(pipe2(there, O_CLOEXEC) == 0 && pipe2(back, O_CLOEXEC) == 0, "pipe");
    if (subject->bytes > 4096) {
        limit_must(fcntl(there[1], F_SETPIPE_SZ, (int)subject->bytes) >= 0 &&
                       fcntl(back[1], F_SETPIPE_SZ, (int)subject->bytes) >= 0,
                   "pipes of the length of a message");
    }
    self->client = (struct stream_end){.in = back[0], .out = there[1]};
    self->server = (struct stream_end){.in = there[0], .out = back[1]};
    stream_start(self, subject, setting);
    return self;
}

#define PIPE .create = create, .sample = stream_sample, .destroy = stream_destroy
const struct subject limit_pipe_64 = {.names = {"pipe_64"}, .bytes = 64, PIPE};
const struct subject limit_pipe_1m = {.names = {"pipe_1m"}, .bytes = (size_t)1 << 20, .rarity = 10, PIPE};
