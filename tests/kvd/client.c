/* A connection to a RESP server. See client.h. */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void *resized(void *bytes, size_t room)
{
    void *new = realloc(bytes, room);
    if (new == NULL) {
        fprintf(stderr, "no memory\n");
        exit(2);
    }
    return new;
}

bool client_open(struct client *client, uint16_t port)
{
    static const int on = 1;
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    *client = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (client->fd < 0 || connect(client->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        client_close(client);
        return false;
    }
    (void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return true;
}

void client_close(struct client *client)
{
    if (client->fd >= 0) {
        (void)close(client->fd);
    }
    free(client->in);
    free(client->out);
    *client = (struct client){.fd = -1};
}

void client_put(struct client *client, const void *bytes, size_t count)
{
    if (client->out_bytes + count > client->out_room) {
        client->out_room = (client->out_bytes + count) * 2;
        client->out = resized(client->out, client->out_room);
    }
    if (count > 0) {
        memcpy(client->out + client->out_bytes, bytes, count);
    }
    client->out_bytes += count;
}

void client_put_head(struct client *client, size_t arguments)
{
    char line[32];
    client_put(client, line, (size_t)snprintf(line, sizeof line, "*%zu\r\n", arguments));
}

void client_put_bulk(struct client *client, const void *bytes, size_t count)
{
    char line[32];
    client_put(client, line, (size_t)snprintf(line, sizeof line, "$%zu\r\n", count));
    client_put(client, bytes, count);
    client_put(client, "\r\n", 2);
}

bool client_send(struct client *client)
{
    for (size_t at = 0; at < client->out_bytes;) {
        ssize_t sent = send(client->fd, client->out + at, client->out_bytes - at, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            client->out_bytes = 0;
            return false;
        }
        at += sent > 0 ? (size_t)sent : 0;
    }
    client->out_bytes = 0;
    return true;
}

static bool fill(struct client *client)
{
    if (client->in_begin == client->in_end) {
        client->in_begin = client->in_end = 0;
    }
    if (client->in_end == client->in_room) {
        client->in_room = client->in_room == 0 ? 1 << 16 : client->in_room * 2;
        client->in = resized(client->in, client->in_room);
    }
    ssize_t got;
    do {
        got = recv(client->fd, client->in + client->in_end, client->in_room - client->in_end, 0);
    } while (got < 0 && errno == EINTR);
    client->in_end += got > 0 ? (size_t)got : 0;
    return got > 0;
}

/* Where the line at in_begin ends (its \r), relative to that; -1: the connection is gone first. */
static ssize_t line_end(struct client *client)
{
    size_t from = 0;
    for (;;) {
        size_t there = client->in_end - client->in_begin;
        char *at = there > from ? memchr(client->in + client->in_begin + from, '\n', there - from) : NULL;
        if (at != NULL) {
            ssize_t end = at - (client->in + client->in_begin) - 1;
            return end >= 0 && at[-1] == '\r' ? end : -1;
        }
        from = there;
        if (!fill(client)) {
            return -1;
        }
    }
}

bool client_read(struct client *client, struct reply *reply)
{
    ssize_t end = line_end(client);
    if (end < 1) {
        return false;
    }
    const char *line = client->in + client->in_begin;
    *reply = (struct reply){.type = line[0], .bytes = line + 1, .length = (size_t)end - 1};
    client->in_begin += (size_t)end + 2;
    switch (line[0]) {
    case '+':
    case '-':
        return true;
    case ':':
    case '*':
        reply->number = strtoll(line + 1, NULL, 10);
        return true;
    case '$':
        break;
    default:
        return false;
    }
    long long length = strtoll(line + 1, NULL, 10);
    if (length < 0) {
        reply->type = '_';
        return length == -1;
    }
    while (client->in_end - client->in_begin < (size_t)length + 2) {
        if (!fill(client)) {
            return false;
        }
    }
    reply->bytes = client->in + client->in_begin;
    reply->length = (size_t)length;
    client->in_begin += (size_t)length + 2;
    return memcmp(reply->bytes + length, "\r\n", 2) == 0;
}

uint64_t client_draw(uint64_t *random, uint64_t below)
{
    uint64_t z = *random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % below;
}
