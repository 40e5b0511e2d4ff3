/*
 * RESP2, the requests' half: where the next command in a stream of bytes ends, and where its arguments lie.
 *
 * A scan is incremental. It keeps how far it has come, so that a client that sends a byte at a time costs no more than one that
 * sends everything at once. Nothing is copied or changed: arguments are spans of the bytes that came, relative to the command's
 * first byte. Everything is bounded by the limits below; what is beyond them is a protocol error.
 */
#ifndef RESP_H
#define RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RESP_MAX_ARGS = 1 << 15,
    RESP_MAX_BULK_BYTES = 1 << 20,
    RESP_MAX_INLINE_BYTES = 1 << 16,
    RESP_MAX_COMMAND_BYTES = RESP_MAX_BULK_BYTES + (1 << 16), /* all of it, as it is sent */
    RESP_KEPT_SPANS = 16,                                     /* arguments whose places a scan remembers; see resp_spans */
};

struct resp_span {
    uint32_t offset; /* from the command's first byte */
    uint32_t bytes;
};

enum resp_outcome {
    RESP_COMPLETE, /* a command: `bytes` long, with `argc` arguments (0: an empty line or array, to be skipped) */
    RESP_MORE,     /* not all of it is there */
    RESP_ERROR,    /* no RESP, or beyond a limit: `error` says what; the stream has no next command */
};

/* A scan of one command. All zero: at its first byte. */
struct resp_scan {
    uint32_t at;       /* how far it has come; a complete command: its length in bytes */
    uint32_t argc;     /* of a complete command: its arguments; else how many have been seen */
    uint32_t expected; /* arguments in its array */
    uint32_t bulk;     /* the argument that begins at `at` is so long ... */
    bool in_array;     /* the array's head has been read */
    bool in_bulk;      /* ... if its head has been read */
    const char *error; /* after RESP_ERROR: a sentence for the client */
    struct resp_span spans[RESP_KEPT_SPANS];
};

/*
 * Goes on with a scan.
 *
 * data, bytes: what there is of the stream, from the command's first byte on: what was there before, and perhaps more.
 * After RESP_COMPLETE the scan is good for resp_spans; set it to zero for the next command.
 */
enum resp_outcome resp_scan(struct resp_scan *scan, const char *data, size_t bytes);

/* The places of a complete command's arguments. spans: room for scan->argc of them. */
void resp_spans(const struct resp_scan *scan, const char *data, struct resp_span *spans);

#endif
