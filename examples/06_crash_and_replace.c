/*
 * 06. A server that crashes, and clients that do not notice.
 *
 * Version 1 of a store has a bug: asked for a key that nobody has stored, it calls abort, since that cannot happen. A null pointer
 * that it followed would do as well. With `contain_faults` that ends the server, not the program: its queue, its state and its function id stay where they are. A *supervisor* has lent the core a
 * *monitor*, is told of the death, and replaces the dead server by version 2, which gets the state, since the supervisor trusts it: version
 * 1 writes to it in one place, and crashes in another.
 *
 * Who had asked that question gets an error. Everybody else waits a little longer than usual.
 *
 * ctest: machines=virtual,real,other movers=auto,flat
 */
#include "example.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

enum { FN_STORE = 1 };
enum { ADD = 1, GET = 2 }; /* to the number under a key; the number under a key */

#define KEYS 8u
#define CLIENTS 3u
#define REQUESTS 100u

struct store_message { /* the payload */
    uint32_t key;
    uint32_t number;
};

struct state {
    uint32_t numbers[KEYS];
    bool stored[KEYS];
};

static struct store_message *store_message(struct ant_request *rq)
{
    return (struct store_message *)(void *)rq->payload;
}

/* --- The two versions --- */

static int start(struct ant_server *self)
{
    if (self->reason == ANT_START_RESTART && self->state != NULL) {
        return 0; /* the predecessor died, and its state is ours: it has the layout that we know */
    }
    void *state;
    int error = ant_ica_alloc(1, &state); /* all zero */
    return error != 0 ? error : ant_state_set(state);
}

static uint32_t *number_under(struct state *state, uint32_t key)
{
    return key < KEYS && state->stored[key] ? &state->numbers[key] : NULL;
}

static void add(struct ant_request *rq)
{
    struct state *state = ant_state();
    struct store_message *message = store_message(rq);
    uint32_t key = message->key % KEYS;
    state->stored[key] = true;
    state->numbers[key] += message->number;
    message->number = state->numbers[key];
    must("ant_reply", ant_reply(rq, 0));
}

static void v1_request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    if (rq->operation == ADD) {
        add(rq);
        return;
    }
    const uint32_t *number = number_under(ant_state(), store_message(rq)->key);
    if (number == NULL) {
        abort(); /* the bug */
    }
    store_message(rq)->number = *number;
    must("ant_reply", ant_reply(rq, 0));
}

static void v2_request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    if (rq->operation == ADD) {
        add(rq);
        return;
    }
    const uint32_t *number = number_under(ant_state(), store_message(rq)->key);
    if (number != NULL) {
        store_message(rq)->number = *number;
    }
    must("ant_reply", ant_reply(rq, number != NULL ? 0 : -ENOENT));
}

static const struct ant_program store_v1 = {
    .abi = ANT_ABI, .version = 1, .state_version = 1, .name = "store", .start = start, .request = v1_request};
static const struct ant_program store_v2 = {
    .abi = ANT_ABI, .version = 2, .state_version = 1, .name = "store", .start = start, .request = v2_request};

/* --- The supervisor --- */

static int supervise(void *arg)
{
    (void)arg;
    struct ant_request *monitor;
    struct ant_message message;
    struct ant_swap_report report;
    must("ant_request_new", ant_request_new(FN_STORE, &monitor));
    must("ant_monitor", ant_monitor(monitor, FN_STORE));
    must("ant_receive", ant_receive(&message, ANT_FOREVER));

    struct ant_monitor_report change;
    memcpy(&change, message.request->payload, sizeof change);
    printf("the supervisor is told: version %u %s of %s\n", change.version,
           ant_change_name(change.change), change.signal == SIGABRT ? "SIGABRT" : "?");
    struct ant_swap_options options = {.trust_state = true};
    must("ant_swap", ant_swap(FN_STORE, &store_v2, &options, &report));
    printf("and has it replaced by version %u, generation %u\n", report.new_version, report.generation);
    must("ant_request_free", ant_request_free(monitor));
    return 0;
}

/* --- Clients --- */

static _Atomic uint32_t noticed; /* errors that the clients have seen */

static int client(void *arg)
{
    uint32_t key = (uint32_t)(uintptr_t)arg, last = 0;
    struct ant_request *rq;
    must("ant_request_new", ant_request_new(FN_STORE, &rq));
    for (uint32_t i = 0; i < REQUESTS; i++) {
        rq->operation = ADD;
        *store_message(rq) = (struct store_message){.key = key, .number = 1};
        if (ant_call(rq, ANT_FOREVER) != 0 || rq->status != 0 || store_message(rq)->number != ++last) {
            noticed++;
        }
    }
    must("ant_request_free", ant_request_free(rq));
    return 0;
}

/* A request that asks for what is not there. */
static int ask(uint32_t key)
{
    struct ant_request *rq;
    must("ant_request_new", ant_request_new(FN_STORE, &rq));
    rq->operation = GET;
    *store_message(rq) = (struct store_message){.key = key};
    int error = ant_call(rq, ANT_FOREVER);
    int answer = error != 0 ? error : rq->status;
    must("ant_request_free", ant_request_free(rq));
    return answer;
}

int main(void)
{
    struct ant_config config = {.contain_faults = true};
    ant_pid clients[CLIENTS], supervisor;

    int error = ant_boot(&config);
    if (error == -ENOTSUP) {
        fprintf(stderr, "faults cannot be contained here\n");
        return 77;
    }
    must("ant_boot", error);
    say_machine();
    must("ant_serve", ant_serve(FN_STORE, &store_v1, NULL, NULL));
    must("ant_process_create", ant_process_create(NULL, supervise, NULL, &supervisor));
    for (uint32_t i = 0; i < CLIENTS; i++) {
        must("ant_process_create", ant_process_create(NULL, client, (void *)(uintptr_t)i, &clients[i]));
    }

    int answer = ask(7);
    must("ant_wait", ant_wait(supervisor, ANT_FOREVER, NULL));
    printf("asking for key 7: %s\n",
           answer == -EOWNERDEAD ? "-EOWNERDEAD, the server has died of it" : "?");
    printf("asking again: %s\n", ask(7) == -ENOENT ? "-ENOENT, says the server" : "?");

    for (uint32_t i = 0; i < CLIENTS; i++) {
        must("ant_wait", ant_wait(clients[i], ANT_FOREVER, NULL));
    }
    printf("%u clients, %u requests each: %u errors\n", CLIENTS, REQUESTS, noticed);
    must("ant_shutdown", ant_shutdown(NULL));
    return EXIT_SUCCESS;
}
