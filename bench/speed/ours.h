/* What libant's own subjects share. */
#ifndef SPEED_OURS_H
#define SPEED_OURS_H

#include "group.h"

/* Ends the program: a call of libant has failed. */
_Noreturn void fail(const char *what, int error);

static inline void must(const char *what, int error)
{
    if (error != 0) {
        fail(what, error);
    }
}

/* A function id that nobody has used in this core. */
uint32_t ours_function(void);

/* The priority of a server of the setting, in libant's numbers. */
int ours_priority(const struct setting *setting);

/* Binds the calling thread to one CPU; 0 or a negative errno value, for `start`. */
int ours_bind(int cpu);

/* Answers a request: reads what came with it and writes an answer of the same length, as limits and peers do. */
extern const struct ant_program ours_echo;

/* Starts a server of a program; returns its function id. */
uint32_t ours_serve(const struct ant_program *program, const struct setting *setting, ant_pid *server);

/* A client's end of round trips to a server of its own. */
struct ours_call {
    ant_pid server;
    struct ant_request *request;
    void *data; /* that is written and read; the payload, or an area */
    size_t bytes;
    int64_t timeout_ns;
};

void ours_call_open(struct ours_call *call, const struct ant_program *program, size_t bytes,
                    const struct setting *setting);
void ours_call_close(struct ours_call *call);

/* One round trip. */
static inline void ours_call(struct ours_call *call, uint64_t value)
{
    data_write(call->data, call->bytes, value);
    must("ant_call", ant_call(call->request, call->timeout_ns));
    data_read(call->data, call->bytes);
}

#endif
