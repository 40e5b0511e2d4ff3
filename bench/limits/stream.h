/*
 * Two threads that send each other messages of a fixed length over file descriptors: the part that pipes and socket pairs
 * share.
 */
#ifndef LIMIT_STREAM_H
#define LIMIT_STREAM_H

#include "subject.h"

struct stream_end {
    int in, out; /* the same one for a socket */
    char *data;
};

struct stream {
    struct stream_end client, server;
    size_t bytes;
    pthread_t thread;
};

/* Once the descriptors are there: memory for the messages, and the server's thread. */
void stream_start(struct stream *stream, const struct subject *subject, const struct setting *setting);
void stream_sample(void *stream, uint64_t *values);
/* Closes the descriptors, which ends the server's thread, and frees the stream. */
void stream_destroy(void *stream);

#endif
