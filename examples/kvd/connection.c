/* One connection: its buffers, and when it is read, written and closed. See network.h. */
#include "network.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t held(const struct buffer *buffer)
{
    return buffer->end - buffer->begin;
}

/* What of a buffer counts: the first bytes are everybody's, so that those who need much are not in the way of those who do not. */
static size_t charge(size_t room)
{
    return room > INPUT_BYTES ? room - INPUT_BYTES : 0;
}

/* Makes a buffer `room` bytes large, 0 for none, and moves what it holds to its beginning. False: it is as it was. */
static bool resize(struct network *network, struct buffer *buffer, size_t room)
{
    char *bytes = NULL;
    size_t total = network->buffer_bytes - charge(buffer->room) + charge(room);
    if (room > buffer->room && total > network->options->buffer_bytes) {
        return false;
    }
    if (room > 0) {
        bytes = malloc(room);
        if (bytes == NULL) {
            return false;
        }
        if (buffer->bytes != NULL) {
            memcpy(bytes, buffer->bytes + buffer->begin, held(buffer));
        }
    }
    free(buffer->bytes);
    network->buffer_bytes = total;
    *buffer = (struct buffer){.bytes = bytes, .begin = 0, .end = held(buffer), .room = room};
    return true;
}

void connection_open(struct network *network, int fd)
{
    struct connection *connection = network->free;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (connection == NULL) {
        static const char full[] = "-ERR max number of clients reached\r\n";
        (void)send(fd, full, sizeof full - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        network->figures.connections_refused++;
        (void)close(fd);
        return;
    }
    if (epoll_ctl(network->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        network->figures.connections_refused++;
        (void)close(fd);
        return;
    }
    network->free = connection->next;
    *connection = (struct connection){.fd = fd, .events = event.events};
    network->figures.connections++;
    network->figures.connections_accepted++;
}

void connection_close(struct network *network, struct connection *connection)
{
    if (connection->fd < 0) {
        return;
    }
    (void)close(connection->fd); /* which takes it out of the epoll, too */
    connection->fd = -1;
    connection->in.end = connection->in.begin;
    connection->out.end = connection->out.begin;
    (void)resize(network, &connection->in, 0);
    (void)resize(network, &connection->out, 0);
    network->figures.connections--;
}

/* We close it, and not because it asked for that. */
static void turn_out(struct network *network, struct connection *connection)
{
    network->figures.connections_closed++;
    connection_close(network, connection);
}

bool connection_may_go_on(const struct connection *connection)
{
    return connection->fd >= 0 && !connection->closing && !connection->at_operator &&
           held(&connection->out) < OUTPUT_PAUSE_BYTES;
}

static void list(struct network *network, struct connection *connection)
{
    if (connection->listed) {
        return;
    }
    connection->listed = true;
    connection->next = NULL;
    if (network->last != NULL) {
        network->last->next = connection;
    } else {
        network->first = connection;
    }
    network->last = connection;
}

static void look_for(struct network *network, struct connection *connection, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (events != connection->events) {
        connection->events = events;
        (void)epoll_ctl(network->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
    }
}

/* Is more input wanted? Only a command that is known to be incomplete gets more room than everybody. */
static bool may_read(const struct connection *connection)
{
    return !connection->ended && !connection->closing &&
           (held(&connection->in) < INPUT_BYTES || connection->incomplete);
}

void connection_settle(struct network *network, struct connection *connection)
{
    if (connection->fd >= 0 && connection->last_words != NULL && connection->pending == 0) {
        char line[128];
        int bytes = snprintf(line, sizeof line, "-ERR %s\r\n", connection->last_words);
        connection->last_words = NULL;
        network->figures.connections_closed++;
        connection_write(network, connection, line, (size_t)bytes);
    }
    if (connection->fd >= 0 && connection->closing && connection->pending == 0 &&
        held(&connection->out) == 0) {
        connection_close(network, connection);
    }
    if (connection->fd < 0) {
        if (connection->pending == 0 && !connection->listed) {
            connection->next = network->free;
            network->free = connection;
        }
        return;
    }
    if (!connection->incomplete && (held(&connection->in) > 0 || connection->ended) &&
        connection_may_go_on(connection)) {
        list(network, connection);
    }
    look_for(network, connection,
             (may_read(connection) ? (uint32_t)EPOLLIN : 0) |
                 (held(&connection->out) > 0 ? (uint32_t)EPOLLOUT : 0));
}

/* --- Input ------------------------------------------------------------------------------------------------------------- */

/* Room for what comes next: at least a byte. */
static bool make_room(struct network *network, struct connection *connection)
{
    struct buffer *in = &connection->in;
    if (held(in) == 0) {
        in->begin = in->end = 0;
        if (in->room > INPUT_BYTES && !resize(network, in, 0)) {
            return false;
        }
    }
    if (in->end < in->room) {
        return true;
    }
    if (in->begin > 0) {
        memmove(in->bytes, in->bytes + in->begin, held(in));
        in->end = held(in);
        in->begin = 0;
        return true;
    }
    /* The command is longer than the buffer. (Only what has come makes it larger, not what was announced.) */
    size_t room = in->room == 0 ? INPUT_BYTES : in->room * 2;
    room = room > INPUT_MOST_BYTES ? INPUT_MOST_BYTES : room;
    return room > in->room && resize(network, in, room);
}

static void read_input(struct network *network, struct connection *connection)
{
    struct buffer *in = &connection->in;
    if (!make_room(network, connection)) {
        turn_out(network, connection);
        return;
    }
    ssize_t got = recv(connection->fd, in->bytes + in->end, in->room - in->end, MSG_DONTWAIT);
    if (got > 0) {
        in->end += (size_t)got;
        connection->incomplete = false;
    } else if (got == 0) {
        connection->ended = true;
        connection->incomplete = false;
    } else if (errno != EAGAIN && errno != EINTR) {
        connection_close(network, connection);
    }
}

/* --- Output ------------------------------------------------------------------------------------------------------------ */

/* Sends what it can; returns how much, or -1 if the connection is gone. */
static ssize_t try_to_send(struct network *network, struct connection *connection,
                           const char *bytes, size_t count)
{
    ssize_t sent = send(connection->fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
        return sent;
    }
    if (errno == EAGAIN || errno == EINTR) {
        return 0;
    }
    connection_close(network, connection);
    return -1;
}

void connection_write(struct network *network, struct connection *connection, const char *bytes,
                      size_t count)
{
    struct buffer *out = &connection->out;
    if (connection->fd < 0 || count == 0) {
        return;
    }
    if (held(out) == 0) {
        ssize_t sent = try_to_send(network, connection, bytes, count);
        if (sent < 0 || (size_t)sent == count) {
            return;
        }
        bytes += sent;
        count -= (size_t)sent;
    }
    if (out->room - out->end < count) {
        size_t room = held(out) + count;
        if (!resize(network, out, room + room / 2)) {
            turn_out(network, connection); /* it does not read, and there is no room to wait for it */
            return;
        }
    }
    if (out->bytes != NULL) { /* there is room, so there are bytes: which clang-tidy cannot see */
        memcpy(out->bytes + out->end, bytes, count);
        out->end += count;
    }
}

static void write_output(struct network *network, struct connection *connection)
{
    struct buffer *out = &connection->out;
    ssize_t sent = try_to_send(network, connection, out->bytes + out->begin, held(out));
    if (sent > 0) {
        out->begin += (size_t)sent;
        if (held(out) == 0) {
            (void)resize(network, out, 0); /* making it smaller cannot fail */
        }
    }
}

void connection_event(struct network *network, struct connection *connection, uint32_t events)
{
    if (events & (EPOLLERR | EPOLLHUP)) { /* a client that only sends no more is EPOLLIN and an end */
        connection_close(network, connection);
    }
    if (connection->fd >= 0 && events & EPOLLOUT) {
        write_output(network, connection);
    }
    if (connection->fd >= 0 && events & EPOLLIN) {
        read_input(network, connection);
    }
    connection_settle(network, connection);
}
