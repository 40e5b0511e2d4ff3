/* A pair of stream sockets; for long messages their buffers hold a whole one. */
#include "stream.h"

#include <sys/socket.h>

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct stream *self = limit_new(sizeof *self);
    int ends[2], buffer = (int)(4 * subject->bytes);

    limit_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
    for (int i = 0; i < 2 && subject->bytes > 4096; i++) {
        /* The first is for root only; else what the system allows has to do. */
        if (setsockopt(ends[i], SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer) != 0) {
            setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
        }
    }
    self->client = (struct stream_end){.in = ends[0], .out = ends[0]};
    self->server = (struct stream_end){.in = ends[1], .out = ends[1]};
    stream_start(self, subject, setting);
    return self;
}

#define SOCKETPAIR .create = create, .sample = stream_sample, .destroy = stream_destroy
const struct subject limit_socketpair_64 = {.names = {"socketpair_64"}, .bytes = 64, SOCKETPAIR};
const struct subject limit_socketpair_1m = {
    .names = {"socketpair_1m"}, .bytes = (size_t)1 << 20, .rarity = 10, SOCKETPAIR};
