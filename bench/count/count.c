/*
 * One operation of libant's, made again and again on the virtual machine, for count.sh, which has valgrind count the instructions.
 *
 * The virtual machine runs one thread at a time, and decides itself which: every run goes the same way. The operations come in segments, so that
 * valgrind can begin at 0 where a segment begins, and write down what it has counted where it ends (it finds the function `segment` by its
 * name): boot, warming up and shutdown are not in it.
 */
#include "option.h"

#include <ant/ant.h>
#include <stdio.h>
#include <stdlib.h>

#define FN 1u
#define OUTSTANDING 64u

/* There is room for a server above and below it. */
#define PRIORITY 20

const char *argp_program_version = "count (libant " ANT_VERSION ")";
const char *argp_program_bug_address = NULL;

static void must(const char *what, int error)
{
    if (error != 0) {
        fprintf(stderr, "count: %s: %s\n", what, ant_strerror(error));
        exit(1);
    }
}

/* --- The server ------------------------------------------------------------------------------------------------------ */

static void request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    must("ant_reply", ant_reply(rq, 0));
}

static const struct ant_program programs[2] = {
    {.abi = ANT_ABI, .version = 1, .name = "one", .request = request},
    {.abi = ANT_ABI, .version = 2, .name = "two", .request = request},
};
static const struct ant_program lends = {
    .abi = ANT_ABI, .version = 1, .name = "lends", .request = request, .direct = true};

/* --- The operations -------------------------------------------------------------------------------------------------- */

static struct ant_request *requests[OUTSTANDING];
static void *data;

static void call(void)
{
    must("ant_call", ant_call(requests[0], ANT_FOREVER));
}

static void call_data(void)
{
    requests[0]->data = data;
    must("ant_call", ant_call(requests[0], ANT_FOREVER));
}

static void send_and_receive(unsigned count)
{
    struct ant_message message;

    for (unsigned i = 0; i < count; i++) {
        must("ant_send", ant_send(requests[i]));
    }
    for (unsigned i = 0; i < count; i++) {
        must("ant_receive", ant_receive(&message, ANT_FOREVER));
    }
}

static void async_1(void)
{
    send_and_receive(1);
}

static void async_64(void)
{
    send_and_receive(OUTSTANDING);
}

static void request_new(void)
{
    struct ant_request *rq;

    must("ant_request_new", ant_request_new(FN, &rq));
    must("ant_request_free", ant_request_free(rq));
}

static void alloc(size_t pages)
{
    void *area;

    must("ant_ica_alloc", ant_ica_alloc(pages, &area));
    must("ant_ica_free", ant_ica_free(area));
}

static void alloc_1(void)
{
    alloc(1);
}

static void alloc_256(void)
{
    alloc(256);
}

static void swap_idle(void)
{
    static unsigned swaps;

    must("ant_swap", ant_swap(FN, &programs[++swaps % 2], NULL, NULL));
}

/*
 * A server above its client: the client runs on when all is done, the old server's thread ended. At equal priorities nobody is preempted: all are sent, all
 * answered, all results received.
 */
static const struct operation {
    void (*once)(void);
    unsigned per_once;
    int server_priority;
    const struct ant_program *program;
} operations[] = {
    {call, 1, PRIORITY + 1, &programs[0]},
    {call_data, 1, PRIORITY + 1, &programs[0]},
    {call, 1, PRIORITY, &lends},
    {async_1, 1, PRIORITY + 1, &programs[0]},
    {async_64, OUTSTANDING, PRIORITY, &programs[0]},
    {request_new, 1, PRIORITY + 1, &programs[0]},
    {alloc_1, 1, PRIORITY + 1, &programs[0]},
    {alloc_256, 1, PRIORITY + 1, &programs[0]},
    {swap_idle, 1, PRIORITY + 1, &programs[0]},
};
static const char *const names[] = {"call",      "call_data",   "call_direct", "async_1",
                                    "async_64",  "request_new", "alloc_1",     "alloc_256",
                                    "swap_idle", NULL};

static void __attribute__((noinline, noclone)) segment(const struct operation *operation, unsigned times)
{
    for (unsigned done = 0; done < times; done += operation->per_once) {
        operation->once();
    }
}

/* --- The command line ------------------------------------------------------------------------------------------------ */

struct arguments {
    const struct operation *operation;
    unsigned times, segments;
    enum ant_mover mover;
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    static const char *const movers[] = {"auto", "strict", "strict-mremap", "flat", "copy", NULL};
    struct arguments *arguments = state->input;

    switch (key) {
    case 'M':
        arguments->mover = (enum ant_mover)option_choice(state, "mover", value, movers);
        return 0;
    case 'n':
        arguments->times = (unsigned)option_number(state, "times", value, 1, 1000000);
        return 0;
    case 's':
        arguments->segments = (unsigned)option_number(state, "segments", value, 1, 1000);
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) {
            argp_usage(state);
        }
        arguments->operation = &operations[option_choice(state, "operation", value, names)];
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int count, char **values)
{
    static const struct argp_option options[] = {
        {"mover", 'M', "NAME", 0, "auto (default), strict, strict-mremap, flat or copy", 0},
        {"times", 'n', "N", 0, "Operations a segment (default 64)", 0},
        {"segments", 's', "N", 0, "Segments (default 1)", 0},
        {0},
    };
    static const struct argp argp = {
        options,
        parse,
        "OPERATION",
        "One operation, again and again, on the virtual machine, for valgrind to count.",
        NULL,
        NULL,
        NULL};
    struct arguments arguments = {.times = 64, .segments = 1};

    argp_err_exit_status = 2;
    argp_parse(&argp, count, values, 0, NULL, &arguments);
    must("ant_boot", ant_boot(&(struct ant_config){.machine = ANT_MACHINE_VIRTUAL,
                                                   .mover = arguments.mover,
                                                   .pool_bytes = (size_t)8 << 20,
                                                   .max_processes = 8,
                                                   .direct_on_virtual = true,
                                                   .priority = PRIORITY}));
    struct ant_server_options server = {.priority = arguments.operation->server_priority};
    must("ant_serve", ant_serve(FN, arguments.operation->program, &server, NULL));
    must("ant_ica_alloc", ant_ica_alloc(1, &data));
    for (unsigned i = 0; i < OUTSTANDING; i++) {
        must("ant_request_new", ant_request_new(FN, &requests[i]));
    }
    for (unsigned i = 0; i < arguments.segments; i++) {
        segment(arguments.operation, arguments.times);
    }
    must("ant_shutdown", ant_shutdown(NULL));
    return 0;
}
