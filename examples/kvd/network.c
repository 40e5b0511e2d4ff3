/* The network process: its loop. See network.h. */
#include "network.h"

#include "kvd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, RETRY_MS = 10 };

/* How long a batch that is out is waited for when kvd is to end: there may be no store that answers. */
static const uint64_t stop_most_ns = ANT_NS_PER_S;

/* --- Swaps ------------------------------------------------------------------------------------------------------------- */

void network_swap(struct network *network, struct connection *connection, const char *what, size_t bytes)
{
    static const char too_long[] = "-ERR no such version of the store\r\n";
    static const char no_memory[] = "-ERR no memory for a swap\r\n";
    struct ant_request *rq;
    if (bytes >= sizeof kvd_swap(NULL)->what || memchr(what, '\0', bytes) != NULL) {
        connection_write(network, connection, too_long, sizeof too_long - 1);
        return;
    }
    int error = ant_request_new(FN_OPERATOR, &rq);
    if (error == 0) {
        rq->operation = OPERATOR_SWAP;
        rq->cookie = (uintptr_t)connection;
        memcpy(kvd_swap(rq)->what, what, bytes);
        kvd_swap(rq)->what[bytes] = '\0';
        error = ant_send(rq);
        if (error != 0) {
            (void)ant_request_free(rq);
        }
    }
    if (connection == NULL) {
        return;
    }
    if (error != 0) {
        connection_write(network, connection, no_memory, sizeof no_memory - 1);
        return;
    }
    connection->pending++;
    connection->at_operator = true;
}

/* The operator's answer. */
static void swapped(struct network *network, struct ant_request *rq)
{
    struct connection *connection = (struct connection *)(uintptr_t)rq->cookie;
    const struct kvd_swap *swap = kvd_swap(rq);
    int error = rq->error != 0 ? rq->error : rq->status;
    char line[sizeof swap->text + 16];
    int bytes = snprintf(line, sizeof line, "%s%s\r\n", error == 0 ? "+" : "-ERR ",
                         rq->error != 0 ? ant_strerror(rq->error) : swap->text);
    if (rq->error == 0 && (error == 0 || swap->rolled_back)) {
        uint64_t *counter = error == 0 ? &network->figures.swaps : &network->figures.swaps_rolled_back;
        (*counter)++;
    }
    if (error == 0) {
        network->figures.last_blackout_ns = swap->blackout_ns;
        if (swap->blackout_ns > network->figures.longest_blackout_ns) {
            network->figures.longest_blackout_ns = swap->blackout_ns;
        }
    }
    (void)ant_request_free(rq);
    if (connection == NULL) {
        fprintf(stderr, "kvd: SIGHUP: %.*s\n", bytes - 2, line);
        return;
    }
    connection->pending--;
    connection->at_operator = false;
    connection_write(network, connection, line, (size_t)bytes);
    connection_settle(network, connection);
}

/* --- Events ------------------------------------------------------------------------------------------------------------ */

static void listen_for_clients(struct network *network, bool on)
{
    struct epoll_event event = {.events = on ? (uint32_t)EPOLLIN : 0, .data.ptr = &network->listen_fd};
    (void)epoll_ctl(network->epoll_fd, EPOLL_CTL_MOD, network->listen_fd, &event);
    network->listening = on;
}

static void accept_all(struct network *network)
{
    for (int i = 0; i < EVENTS; i++) {
        static const int on = 1;
        int fd = accept4(network->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                listen_for_clients(network, false);
            }
            return;
        }
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connection_open(network, fd);
    }
}

static void take_signals(struct network *network)
{
    struct signalfd_siginfo info;
    while (read(network->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            network_swap(network, NULL, "", 0);
        } else {
            network->stopping = true;
        }
    }
}

/* Takes all results that are there. */
static void take_messages(struct network *network)
{
    struct ant_message message;
    while (ant_receive(&message, 0) == 0) {
        switch (message.kind) {
        case ANT_RESULT:
            if (message.request->function == FN_STORE) {
                batch_back(network, message.request);
            } else {
                swapped(network, message.request);
            }
            break;
        case ANT_STOP:
            network->stopping = true;
            return;
        case ANT_REQUEST:
        case ANT_SWAP:
            break; /* nobody asks the network */
        }
    }
}

static void handle(struct network *network, const struct epoll_event *event)
{
    if (event->data.ptr == &network->listen_fd) {
        accept_all(network);
    } else if (event->data.ptr == &network->signal_fd) {
        take_signals(network);
    } else if (event->data.ptr != &network->event_fd) {
        connection_event(network, event->data.ptr, event->events);
    }
}

static void loop(struct network *network)
{
    static struct epoll_event events[EVENTS];
    uint64_t end_ns = UINT64_MAX;
    while (!network->stopping || (network->flying != NULL && ant_now() < end_ns)) {
        /* No memory for a batch, or no descriptor for a client: nobody will tell when there is. */
        bool retry = (network->flying == NULL && network->first != NULL) || !network->listening ||
                     network->stopping;
        int count = epoll_wait(network->epoll_fd, events, EVENTS, retry ? RETRY_MS : -1);
        for (int i = 0; i < count; i++) {
            handle(network, &events[i]);
        }
        take_messages(network);
        batches_go_on(network);
        if (!network->listening) {
            listen_for_clients(network, true);
        }
        if (network->stopping && end_ns == UINT64_MAX) {
            end_ns = ant_now() + stop_most_ns;
        }
    }
}

/* --- Beginning and end ------------------------------------------------------------------------------------------------- */

static int watch(struct network *network, int *fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = fd};
    return epoll_ctl(network->epoll_fd, EPOLL_CTL_ADD, *fd, &event) == 0 ? 0 : -errno;
}

static int init(struct network *network, const struct network_start *start)
{
    struct timespec now;
    unsigned connections = start->options->max_connections;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    *network = (struct network){
        .options = start->options,
        .listen_fd = start->listen_fd,
        .signal_fd = start->signal_fd,
        .listening = true,
        .figures = {.start_ms = (uint64_t)now.tv_sec * 1000,
                    .port = start->port,
                    .process = (uint32_t)getpid()},
        .connections = calloc(connections, sizeof *network->connections),
        .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
    };
    if (network->epoll_fd < 0) {
        return -errno;
    }
    if (network->connections == NULL) {
        return -ENOMEM;
    }
    for (unsigned i = connections; i-- > 0;) {
        network->connections[i].fd = -1;
        network->connections[i].next = network->free;
        network->free = &network->connections[i];
    }
    int error = batch_create(&network->gathering);
    if (error == 0) {
        error = batch_create(&network->spare);
    }
    if (error == 0) {
        error = ant_event_fd(&network->event_fd);
    }
    if (error == 0) {
        error = watch(network, &network->listen_fd);
    }
    if (error == 0) {
        error = watch(network, &network->signal_fd);
    }
    if (error == 0) {
        error = watch(network, &network->event_fd);
    }
    return error;
}

static void fini(struct network *network)
{
    for (unsigned i = 0; network->connections != NULL && i < network->options->max_connections; i++) {
        connection_close(network, &network->connections[i]);
    }
    free(network->gathering);
    free(network->spare);
    free(network->connections);
    if (network->epoll_fd >= 0) {
        (void)close(network->epoll_fd);
    }
}

int network_main(void *arg)
{
    static struct network network;
    int error = init(&network, arg);
    if (error == 0) {
        loop(&network);
    } else {
        fprintf(stderr, "kvd: the network does not start: %s\n", ant_strerror(error));
    }
    fini(&network);
    return error;
}
