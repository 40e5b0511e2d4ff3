/*
 * What the clients, the file server and the disk say to each other: function ids, operations, payloads.
 *
 * A payload lies behind the header in the request's own page, which belongs to one process at a time: nobody changes it
 * while the server reads it.
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <ant/ant.h>

enum {
    FN_FILE = 1,
    FN_DISK = 2
};

/* Higher runs first, as in the paper: swap requester, driver, OS server, clients. */
enum {
    PRIORITY_CLIENT = 10,
    PRIORITY_SERVER = 20,
    PRIORITY_DISK = 30,
    PRIORITY_REQUESTER = 40
};

enum {
    MAX_CLIENTS = 256,
    MAX_BLOCK_BYTES = 1 << 20
};

/*
 * To the file server.
 * OPEN   answers with a handle and the sizes.
 * READ   fills the data area with one block; the status is how many bytes that are, or a negative errno value.
 * CLOSE  gives the handle back.
 */
enum file_operation {
    FILE_OPEN = 1,
    FILE_READ,
    FILE_CLOSE
};

struct file_message {
    uint64_t sequence;    /* client: 1, 2, 3, ... over everything it asks for */
    uint64_t expected;    /* server: the sequence number whose turn it was, by the server's own books */
    uint64_t block;       /* client, READ */
    uint64_t file_bytes;  /* server, OPEN */
    uint32_t block_bytes; /* server, OPEN */
    uint32_t handle;      /* server, OPEN; client, READ and CLOSE */
    uint32_t version;     /* server: which version of it answered */
    uint32_t cached;      /* server, READ: 1 if no disk was needed */
};

/*
 * To the disk.
 * INFO  answers with the sizes.
 * READ  fills the data area; the status is how many bytes were read, or a negative errno value.
 */
enum disk_operation {
    DISK_INFO = 1,
    DISK_READ
};

struct disk_message {
    uint64_t offset;      /* READ: where */
    uint64_t bytes;       /* READ: how many; INFO, answered: those of the file */
    uint32_t block_bytes; /* INFO, answered: the largest READ */
};

static inline struct file_message *file_message(struct ant_request *rq)
{
    return (struct file_message *)(void *)rq->payload;
}

static inline struct disk_message *disk_message(struct ant_request *rq)
{
    return (struct disk_message *)(void *)rq->payload;
}

static inline size_t pages_of(size_t bytes)
{
    return (bytes + ANT_PAGE_BYTES - 1) / ANT_PAGE_BYTES;
}

#endif
