/* Messages over file descriptors; see stream.h. */
#include "stream.h"

#include <stdlib.h>
#include <unistd.h>

/* False: the other end is closed. */
static bool read_all(int file, char *data, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        ssize_t got = read(file, data + at, bytes - at);
        limit_must(got >= 0, "read");
        if (got == 0) {
            return false;
        }
        at += (size_t)got;
    }
    return true;
}

static void write_all(int file, const char *data, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        ssize_t put = write(file, data + at, bytes - at);
        limit_must(put > 0, "write");
        at += (size_t)put;
    }
}

static void *server(void *argument)
{
    struct stream *self = argument;
    struct stream_end *end = &self->server;

    while (read_all(end->in, end->data, self->bytes)) {
        data_write(end->data, self->bytes, data_read(end->data, self->bytes));
        write_all(end->out, end->data, self->bytes);
    }
    return NULL;
}

void stream_start(struct stream *self, const struct subject *subject, const struct setting *setting)
{
    self->bytes = subject->bytes;
    self->client.data = limit_pages(self->bytes);
    self->server.data = limit_pages(self->bytes);
    limit_partner(&self->thread, setting, server, self);
}

void stream_sample(void *argument, uint64_t *values)
{
    struct stream *self = argument;
    struct stream_end *end = &self->client;
    uint64_t begin_ns = now_ns();

    data_write(end->data, self->bytes, begin_ns);
    write_all(end->out, end->data, self->bytes);
    limit_must(read_all(end->in, end->data, self->bytes), "the server's end");
    data_read(end->data, self->bytes);
    values[0] = now_ns() - begin_ns;
}

static void close_end(struct stream_end *end)
{
    close(end->out);
    if (end->in != end->out) {
        close(end->in);
    }
}

void stream_destroy(void *argument)
{
    struct stream *self = argument;

    close_end(&self->client);
    pthread_join(self->thread, NULL);
    close_end(&self->server);
    limit_free_pages(self->client.data, self->bytes);
    limit_free_pages(self->server.data, self->bytes);
    free(self);
}
