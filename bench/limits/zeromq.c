/*
 * ZeroMQ, inproc, a pair of PAIR sockets. One message travels there and back again and again: ZeroMQ passes its pointer, so
 * nothing is copied or allocated in a round trip (and nothing protected).
 */
#include "subject.h"

#include <stdlib.h>
#include <zmq.h>

static const char address[] = "inproc://libant-speed";

struct zeromq {
    void *context, *client, *server;
    zmq_msg_t message;
    size_t bytes;
    pthread_t thread;
};

static void must(bool good, const char *what)
{
    limit_must(good || zmq_errno() == 0, what); /* ZeroMQ sets errno, with numbers of its own among them */
}

static void send_message(void *socket, zmq_msg_t *message)
{
    must(zmq_msg_send(message, socket, 0) >= 0, "zmq_msg_send");
}

static void receive_message(void *socket, zmq_msg_t *message)
{
    must(zmq_msg_recv(message, socket, 0) >= 0, "zmq_msg_recv");
}

/* A message without bytes ends it. */
static void *server(void *argument)
{
    struct zeromq *self = argument;
    zmq_msg_t message;

    zmq_msg_init(&message);
    for (;;) {
        receive_message(self->server, &message);
        if (zmq_msg_size(&message) == 0) {
            break;
        }
        char *data = zmq_msg_data(&message);
        data_write(data, self->bytes, data_read(data, self->bytes));
        send_message(self->server, &message);
    }
    zmq_msg_close(&message);
    return NULL;
}

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct zeromq *self = limit_new(sizeof *self);

    self->bytes = subject->bytes;
    self->context = zmq_ctx_new();
    limit_must(self->context != NULL && zmq_ctx_set(self->context, ZMQ_IO_THREADS, 0) == 0, "zmq_ctx_new");
    self->server = zmq_socket(self->context, ZMQ_PAIR);
    self->client = zmq_socket(self->context, ZMQ_PAIR);
    must(self->server != NULL && self->client != NULL, "zmq_socket");
    must(zmq_bind(self->server, address) == 0, "zmq_bind");
    must(zmq_connect(self->client, address) == 0, "zmq_connect");
    must(zmq_msg_init_size(&self->message, self->bytes) == 0, "zmq_msg_init_size");
    limit_partner(&self->thread, setting, server, self);
    return self;
}

static void sample(void *argument, uint64_t *values)
{
    struct zeromq *self = argument;
    uint64_t begin_ns = now_ns();

    data_write(zmq_msg_data(&self->message), self->bytes, begin_ns);
    send_message(self->client, &self->message);
    receive_message(self->client, &self->message);
    data_read(zmq_msg_data(&self->message), self->bytes);
    values[0] = now_ns() - begin_ns;
}

static void destroy(void *argument)
{
    struct zeromq *self = argument;

    zmq_msg_close(&self->message);
    zmq_msg_init(&self->message);
    send_message(self->client, &self->message);
    pthread_join(self->thread, NULL);
    zmq_close(self->client);
    zmq_close(self->server);
    zmq_ctx_term(self->context);
    free(self);
}

#define ZEROMQ .create = create, .sample = sample, .destroy = destroy
const struct subject limit_zeromq_64 = {.names = {"zeromq_64"}, .bytes = 64, ZEROMQ};
const struct subject limit_zeromq_1m = {.names = {"zeromq_1m"}, .bytes = (size_t)1 << 20, ZEROMQ};
