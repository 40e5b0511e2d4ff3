/*
 * 04. A counter that survives its own replacement.
 *
 * Version 1 of a counter serves. Its *state* is an area with one number. Version 2 keeps its state in another layout, so it
 * brings a *transformer*, a function that builds the new state from the old one. ant_swap replaces the one by the other
 * while requests wait in the queue and one is half done. The clients notice nothing; the swap's report has the proof.
 *
 * And should the new version not come up, the old one just goes on: first we try one that is broken.
 *
 * ctest: machines=virtual,real,other movers=auto,copy
 */
#include "example.h"

#include <errno.h>
#include <string.h>

enum { FN_COUNTER = 1 };
enum { ADD = 1, AWAIT = 2 }; /* add a number; be answered once the total has reached a number */

struct counter_message { /* the payload */
    uint64_t number;     /* asked: how much to add, or what to wait for; answered: the total */
    uint32_t version;    /* answered: which version of the counter did */
};

struct state_v1 {
    uint32_t total;
};

struct state_v2 { /* another layout: another state version */
    uint64_t largest;
    uint64_t total;
};

static struct counter_message *counter_message(struct ant_request *rq)
{
    return (struct counter_message *)(void *)rq->payload;
}

static void answer(struct ant_server *self, struct ant_request *rq, uint64_t total)
{
    counter_message(rq)->number = total;
    counter_message(rq)->version = self->program->version;
    must("ant_reply", ant_reply(rq, 0));
}

/* Those who wait are "in service", and the inner core keeps the list. It passes to the next version with everything else. */
static void answer_those_who_wait(struct ant_server *self, uint64_t total)
{
    struct ant_pending pending[8];
    size_t count;
    must("ant_pending", ant_pending(ANT_IN_SERVICE, pending, 8, &count));
    for (size_t i = 0; i < count && i < 8; i++) {
        if (counter_message(pending[i].request)->number <= total) {
            answer(self, pending[i].request, total);
        }
    }
}

/* --- Version 1 --- */

static int v1_start(struct ant_server *self)
{
    (void)self;
    void *state;
    int error = ant_ica_alloc(1, &state); /* all zero */
    return error != 0 ? error : ant_state_set(state);
}

static void v1_request(struct ant_server *self, struct ant_request *rq)
{
    struct state_v1 *state = ant_state();
    if (rq->operation == ADD) {
        state->total += (uint32_t)counter_message(rq)->number;
        answer(self, rq, state->total);
    }
    answer_those_who_wait(self, state->total);
}

static const struct ant_program counter_v1 = {
    .abi = ANT_ABI,
    .version = 1,
    .state_version = 1,
    .name = "counter",
    .start = v1_start,
    .request = v1_request,
};

/* --- Version 2 --- */

/* Runs on the new server while nobody serves. The old state is read only; the inner core frees it after the swap. */
static int v2_from_v1(struct ant_server *self, const void *old_state, size_t old_bytes, void **new_state)
{
    (void)self;
    (void)old_bytes;
    const struct state_v1 *old = old_state;
    void *area;
    int error = ant_ica_alloc(1, &area);
    if (error != 0) {
        return error;
    }
    *(struct state_v2 *)area = (struct state_v2){.total = old->total};
    *new_state = area;
    return 0;
}

static void v2_request(struct ant_server *self, struct ant_request *rq)
{
    struct state_v2 *state = ant_state();
    if (rq->operation == ADD) {
        uint64_t number = counter_message(rq)->number;
        state->total += number;
        state->largest = number > state->largest ? number : state->largest;
        answer(self, rq, state->total);
    }
    answer_those_who_wait(self, state->total);
}

static const struct ant_transformer v2_transformers[] = {{1, 2, v2_from_v1}};

static const struct ant_program counter_v2 = {
    .abi = ANT_ABI,
    .version = 2,
    .state_version = 2,
    .name = "counter",
    .request = v2_request,
    .transformers = v2_transformers,
    .transformer_count = 1,
};

static int broken_start(struct ant_server *self)
{
    (void)self;
    return -EIO; /* at this moment the old server has given up its loop, and nobody serves */
}

static const struct ant_program counter_broken = {
    .abi = ANT_ABI,
    .version = 3,
    .state_version = 2,
    .name = "counter",
    .start = broken_start,
    .request = v2_request,
    .transformers = v2_transformers,
    .transformer_count = 1,
};

/* --- The client, which is the requester of the swaps, too --- */

static void send(uint32_t operation, uint64_t number)
{
    struct ant_request *rq;
    must("ant_request_new", ant_request_new(FN_COUNTER, &rq));
    rq->operation = operation;
    counter_message(rq)->number = number;
    must("ant_send", ant_send(rq));
}

static void receive(const char *what)
{
    struct ant_message message;
    must("ant_receive", ant_receive(&message, ANT_FOREVER));
    struct ant_request *rq = message.request;
    must(what, rq->error != 0 ? rq->error : rq->status);
    printf("%s: the total is %u\n", what, (unsigned)counter_message(rq)->number);
    if (rq->operation == AWAIT) {
        printf("... and version %u says so\n", counter_message(rq)->version);
    }
    must("ant_request_free", ant_request_free(rq));
}

static const char *balance(struct ant_swap_count count)
{
    return count.at_notice + count.arrived - count.left == count.handed_over ? "balanced"
                                                                             : "NOT BALANCED";
}

int main(void)
{
    struct ant_swap_report report;

    must("ant_boot", ant_boot(NULL));
    say_machine();
    must("ant_serve", ant_serve(FN_COUNTER, &counter_v1, NULL, NULL));

    send(AWAIT, 12);
    send(ADD, 1);
    receive("add 1"); /* requests are served in the order sent: so AWAIT is in service, and waits */

    int error = ant_swap(FN_COUNTER, &counter_broken, NULL, &report);
    printf("\nA broken version: %s in step %d (%s), generation %u serves\n", error == -EIO ? "-EIO" : "?",
           (int)report.step, ant_swap_step_name(report.step), report.generation);
    send(ADD, 2);
    receive("add 2");

    /* How many of these are still queued when the swap begins depends on the machine; what comes of them does not. */
    send(ADD, 3);
    send(ADD, 4);
    must("ant_swap", ant_swap(FN_COUNTER, &counter_v2, NULL, &report));
    printf("\nVersion %u was replaced by version %u, generation %u serves\n", report.old_version,
           report.new_version, report.generation);
    printf("  requests queued:     %s\n", balance(report.queued_requests));
    printf("  requests in service: %s, %u handed over\n", balance(report.in_service),
           report.in_service.handed_over);
    receive("add 3");
    receive("add 4");

    send(ADD, 5);
    receive("add 5");
    receive("await 12");
    must("ant_shutdown", ant_shutdown(NULL));
    return EXIT_SUCCESS;
}
