/*
 * nng, inproc, a pair of pair0 sockets. One message travels there and back again and again: nng passes its pointer. Its own
 * threads, by which every message goes, inherit policy, priority and CPU of the partner, who starts them.
 */
#include "subject.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <semaphore.h>
#include <stdlib.h>

static const char address[] = "inproc://libant-speed";

struct nng {
    nng_socket client, server;
    nng_msg *message;
    size_t bytes;
    sem_t ready;
    pthread_t thread;
};

static void must(int error, const char *what)
{
    errno = error == NNG_ENOMEM ? ENOMEM : EIO;
    limit_must(error == 0, what);
}

static void *server(void *argument)
{
    struct nng *self = argument;
    nng_msg *message;

    must(nng_pair0_open(&self->server), "nng_pair0_open");
    must(nng_listen(self->server, address, NULL, 0), "nng_listen");
    sem_post(&self->ready);
    while (nng_recvmsg(self->server, &message, 0) == 0) { /* until it is closed */
        char *data = nng_msg_body(message);
        data_write(data, self->bytes, data_read(data, self->bytes));
        must(nng_sendmsg(self->server, message, 0), "nng_sendmsg");
    }
    return NULL;
}

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct nng *self = limit_new(sizeof *self);

    self->bytes = subject->bytes;
    limit_must(sem_init(&self->ready, 0, 0) == 0, "sem_init");
    limit_partner(&self->thread, setting, server, self);
    while (sem_wait(&self->ready) != 0) {
    }
    must(nng_pair0_open(&self->client), "nng_pair0_open");
    must(nng_dial(self->client, address, NULL, 0), "nng_dial");
    must(nng_msg_alloc(&self->message, self->bytes), "nng_msg_alloc");
    return self;
}

static void sample(void *argument, uint64_t *values)
{
    struct nng *self = argument;
    uint64_t begin_ns = now_ns();

    data_write(nng_msg_body(self->message), self->bytes, begin_ns);
    must(nng_sendmsg(self->client, self->message, 0), "nng_sendmsg");
    must(nng_recvmsg(self->client, &self->message, 0), "nng_recvmsg");
    data_read(nng_msg_body(self->message), self->bytes);
    values[0] = now_ns() - begin_ns;
}

static void destroy(void *argument)
{
    struct nng *self = argument;

    nng_close(self->server);
    pthread_join(self->thread, NULL);
    nng_close(self->client);
    nng_msg_free(self->message);
    nng_fini();
    sem_destroy(&self->ready);
    free(self);
}

#define NNG .create = create, .sample = sample, .destroy = destroy
const struct subject limit_nng_64 = {.names = {"nng_64"}, .bytes = 64, NNG};
const struct subject limit_nng_1m = {.names = {"nng_1m"}, .bytes = (size_t)1 << 20, NNG};
