/* Servers that echo, and calls to them; see ours.h. */
#include "ours.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

void fail(const char *what, int error)
{
    fprintf(stderr, "speed: %s: %s\n", what, ant_strerror(error));
    exit(1);
}

uint32_t ours_function(void)
{
    static uint32_t last;

    return ++last;
}

int ours_priority(const struct setting *setting)
{
    return setting->partner_priority - ANT_RT_BASE_DEFAULT;
}

int ours_bind(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : -errno;
}

static void echo(struct ant_server *self, struct ant_request *rq)
{
    void *data = rq->data != NULL ? rq->data : rq->payload;
    size_t bytes = rq->data != NULL ? rq->data_bytes : rq->payload_bytes;

    (void)self;
    data_write(data, bytes, data_read(data, bytes));
    must("ant_reply", ant_reply(rq, 0));
}

const struct ant_program ours_echo = {.abi = ANT_ABI, .version = 1, .name = "echo", .request = echo};

uint32_t ours_serve(const struct ant_program *program, const struct setting *setting, ant_pid *server)
{
    uint32_t function = ours_function();
    struct ant_server_options options = {.priority = ours_priority(setting)};

    must("ant_serve", ant_serve(function, program, &options, server));
    return function;
}

void ours_call_open(struct ours_call *call, const struct ant_program *program, size_t bytes,
                    const struct setting *setting)
{
    uint32_t function = ours_serve(program, setting, &call->server);

    must("ant_request_new", ant_request_new(function, &call->request));
    call->bytes = bytes;
    call->timeout_ns = ANT_FOREVER;
    if (bytes <= ANT_PAYLOAD_BYTES) {
        call->data = call->request->payload;
        call->request->payload_bytes = (uint32_t)bytes;
        return;
    }
    must("ant_ica_alloc", ant_ica_alloc((bytes + ANT_PAGE_BYTES - 1) / ANT_PAGE_BYTES, &call->data));
    call->request->data = call->data;
    call->request->data_bytes = bytes;
}

void ours_call_close(struct ours_call *call)
{
    if (call->bytes > ANT_PAYLOAD_BYTES) {
        must("ant_ica_free", ant_ica_free(call->data));
    }
    must("ant_request_free", ant_request_free(call->request));
    must("ant_stop", ant_stop(call->server, ANT_FOREVER, NULL));
}
