/* A connection to a RESP server, for programs that check one: everything blocks, nothing is forgiven. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client {
    int fd; /* -1: none */
    char *in;
    size_t in_begin, in_end, in_room;
    char *out;
    size_t out_bytes, out_room;
};

struct reply {
    char type;         /* + - : $ *; '_' for $-1 */
    int64_t number;    /* : its value; * how many follow */
    const char *bytes; /* + - $; until the next reply is read */
    size_t length;
};

/* To 127.0.0.1. False: refused. */
bool client_open(struct client *client, uint16_t port);
void client_close(struct client *client);

/* Puts bytes, or a command as an array, to what is to be sent. */
void client_put(struct client *client, const void *bytes, size_t count);
void client_put_head(struct client *client, size_t arguments);
void client_put_bulk(struct client *client, const void *bytes, size_t count);

/* Sends all of that. False: the connection is gone. */
bool client_send(struct client *client);

/* Reads the next reply (of an array: its head; the items follow). False: the connection is gone, or this is no RESP. */
bool client_read(struct client *client, struct reply *reply);

/* splitmix64: a number below `below`. */
uint64_t client_draw(uint64_t *random, uint64_t below);

#endif
