/*
 * The file server: what its versions have in common, and the two layouts of its state.
 *
 * From one version to the next pass, besides the state:
 * - the clients' requests that are queued, or in service because the disk has not answered yet;
 * - the server's own requests that are out at the disk. Each has as its cookie the address of the client's request that it
 *   is for, and carries the client's data area. The next version inherits the window, so that address is as good for it.
 * All versions must agree on that cookie. They may disagree on everything in the state; that is what transformers are for.
 */
#ifndef FILE_SERVER_H
#define FILE_SERVER_H

#include <ant/ant.h>
#include <errno.h>

#include "protocol.h"

enum {
    CACHE_BLOCKS = 64
};

/* The clients' open files, and the disk's sizes. */
struct file_table {
    uint64_t file_bytes;
    uint32_t block_bytes;
    uint32_t open_count;
    struct {
        ant_pid client;         /* 0: this handle is free */
        uint64_t next_sequence; /* of the request whose turn it is */
    } open[MAX_CLIENTS];
};

/* State version 1: no cache. */
struct file_state_v1 {
    struct file_table files;
    uint32_t spare_count;
    void *spare[CACHE_BLOCKS]; /* areas of its predecessor's cache, of no use to it: freed with the first request or result */
};

/* State version 2: a cache of blocks, each in an area of its own. Block n is in entry n % CACHE_BLOCKS or nowhere. */
struct cache_entry {
    void *area;     /* NULL: none yet */
    uint64_t block; /* which one it holds; meaningless while bytes is 0 */
    uint32_t bytes; /* of that block; 0: empty */
};

struct file_state_v2 {
    struct cache_entry cache[CACHE_BLOCKS];
    uint64_t hits, misses;
    struct file_table files;
};

extern const struct ant_program file_server_v1, file_server_v2;
extern const struct ant_program file_server_broken; /* does not start, but returns this: */
#define FILE_SERVER_BROKEN_ERROR (-EIO)

/* From v1's state to v2's; v2 and the broken version use it. */
extern const struct ant_transformer file_state_v2_from_v1;

/* How much PU work one request costs the server, beside what it really computes; 0 but on the virtual machine. */
extern uint64_t file_server_work_ns;

/* --- What the versions share; see file_server.c --- */

/* Asks the disk for the sizes: the beginning of a fresh server. */
int file_table_init(struct file_table *files);

/* Begins to serve any request: OPEN and CLOSE are answered; true: it is a READ that can be served, as can its area. */
bool file_begin(struct ant_server *self, struct file_table *files, struct ant_request *rq);

/* Sends the disk a request for the block that rq asks for, with rq's own area; answers rq if that fails. */
void file_ask_disk(struct ant_server *self, const struct file_table *files, struct ant_request *rq);

/* Takes the client's request and its area out of a result of the disk's, which is freed. status: the disk's, or an error. */
struct ant_request *file_take_from_disk(struct ant_request *down, int32_t *status);

/* Replies to a READ. */
void file_reply(struct ant_server *self, struct ant_request *rq, int32_t status, bool cached);

/* How long a block of the file is, in bytes: the last one may be shorter. */
uint32_t file_block_length(const struct file_table *files, uint64_t block);

#endif
