/* ctest: machines=virtual,real movers=strict,strict-mremap,flat,copy */
/*
 * Swaps with 10,000 requests queued, and with 5,000 results queued: all are handed over at once, and the new server
 * answers every one of them, once, in order.
 *
 * How the queue comes to be full, without a sleep: the old server is held in its `request` callback, in a call of its own
 * that the test's process, under HOLD_GATE, does not answer before the trace shows that the swap has been notified.
 */
#include "stress.h"

#include <errno.h>

#define FN_QUEUE 301u
#define FN_GATE 302u
#define FN_SINK 303u

#define SENDERS 4u
#define REQUESTS 10000u
#define RESULTS 5000u
#define ROUNDS 5u
#define SWAPS_IN_A_ROUND 10u

enum { NUMBERED = 1, HOLD, FAN_OUT };

struct state {
    uint64_t taken, results;
    uint64_t last[SENDERS];
    struct ant_request *fan_out; /* waits until all results are in */
};

struct sender {
    uint32_t number, count;
    ant_pid pid;
    uint32_t sent;
    uint32_t answered;
    uint32_t first_generation, last_generation; /* that answered */
};

static struct {
    uint32_t round, fanned_out;
    struct sender senders[SENDERS];
    _Atomic uint32_t all_sent; /* senders that have sent everything */
    _Atomic bool stop;
    ant_pid boot;
} now;

/* --- The server ------------------------------------------------------------------------------------------------------ */

static int start(struct ant_server *self)
{
    void *state;

    if (self->reason == ANT_START_SWAP) {
        return self->state != NULL ? 0 : -EINVAL;
    }
    int error = ant_ica_alloc(1, &state);
    if (error == 0) {
        memset(state, 0, sizeof(struct state));
        error = ant_state_set(state);
    }
    return error;
}

/* Asks for something and waits, in the middle of a request; or sends many errands and keeps the request. */
static void hold(void)
{
    struct ant_request *rq;

    STRESS_OK(ant_request_new(FN_GATE, &rq));
    STRESS_OK(ant_call(rq, ANT_FOREVER));
    STRESS_OK(ant_request_free(rq));
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    struct state *state = ant_state();

    if (rq->operation == FAN_OUT) {
        for (uint32_t i = 0; i < now.fanned_out; i++) {
            struct ant_request *errand;
            STRESS_OK(ant_request_new(FN_SINK, &errand));
            errand->cookie = i;
            STRESS_OK(ant_send(errand));
        }
        state->fan_out = rq;
        state->results = 0;
        hold();
        return;
    }
    if (rq->operation == HOLD) {
        hold();
    } else {
        uint64_t *last = &state->last[rq->cookie >> 32];
        uint64_t sequence = rq->cookie & UINT32_MAX;
        STRESS_CHECK(sequence == *last + 1, "sender %u: %" PRIu64 " after %" PRIu64,
                     (uint32_t)(rq->cookie >> 32), sequence, *last);
        *last = sequence;
        state->taken++;
    }
    memcpy(rq->payload, &self->generation, sizeof self->generation);
    STRESS_OK(ant_reply(rq, 0));
}

static void result(struct ant_server *self, struct ant_request *errand)
{
    struct state *state = ant_state();

    STRESS_CHECK(errand->error == 0 && errand->cookie == state->results,
                 "result %" PRIu64 " came as %" PRIu64, errand->cookie, state->results);
    STRESS_OK(ant_request_free(errand));
    if (++state->results == now.fanned_out) {
        memcpy(state->fan_out->payload, &self->generation, sizeof self->generation);
        STRESS_OK(ant_reply(state->fan_out, 0));
        state->fan_out = NULL;
    }
}

#define PROGRAM(number)                                                                            \
    {                                                                                              \
        .abi = ANT_ABI, .version = (number), .state_version = 1, .name = "queue", .start = start,  \
        .request = request, .result = result                                                       \
    }

static const struct ant_program programs[2] = {PROGRAM(1), PROGRAM(2)};

/* --- Those around it -------------------------------------------------------------------------------------------------- */

static int sink(struct ant_server *unused)
{
    struct ant_message message;
    (void)unused;

    while (ant_receive(&message, ANT_FOREVER) == 0 && message.kind == ANT_REQUEST) {
        STRESS_OK(ant_reply(message.request, 0));
    }
    return 0;
}

static const struct ant_program sink_program = {
    .abi = ANT_ABI, .version = 1, .state_version = 1, .name = "sink", .run = sink};

static int sender(void *argument)
{
    struct sender *me = argument;
    struct ant_message message;

    for (uint32_t i = 0; i < me->count; i++) {
        struct ant_request *rq;
        STRESS_OK(ant_request_new(FN_QUEUE, &rq));
        rq->operation = NUMBERED;
        rq->cookie = (uint64_t)me->number << 32 | ++me->sent;
        STRESS_OK(ant_send(rq));
    }
    atomic_fetch_add(&now.all_sent, 1);
    for (uint32_t i = 0; i < me->count; i++) {
        int error = ant_receive(&message, ANT_FOREVER);
        if (!STRESS_CHECK(error == 0 && message.kind == ANT_RESULT, "ant_receive: %s",
                          ant_strerror(error))) {
            return 1;
        }
        uint32_t generation;
        memcpy(&generation, message.request->payload, sizeof generation);
        STRESS_CHECK(message.request->error == 0 &&
                         message.request->cookie ==
                             ((uint64_t)me->number << 32 | (me->sent - me->count + i + 1)),
                     "sender %u: result %" PRIx64 ": %s", me->number, message.request->cookie,
                     ant_strerror(message.request->error));
        STRESS_CHECK(generation >= me->last_generation, "generation %u after %u", generation,
                     me->last_generation);
        me->first_generation = me->first_generation ? me->first_generation : generation;
        me->last_generation = generation;
        me->answered++;
        STRESS_OK(ant_request_free(message.request));
    }
    return 0;
}

/* The requester: swaps once while the queue is full, then while it drains. */
static struct {
    uint32_t swaps;
    struct ant_swap_report first;
    uint32_t generation;
} requested;

static int requester(void *unused)
{
    uint64_t random = now.round;
    (void)unused;

    for (uint32_t i = 0; i < requested.swaps; i++) {
        struct ant_swap_report report;
        int error = ant_swap(FN_QUEUE, &programs[requested.generation % 2], NULL, &report);
        if (!STRESS_CHECK(error == 0, "swap %u: %s", i, ant_strerror(error))) {
            return 1;
        }
        requested.generation++;
        STRESS_CHECK(report.generation == requested.generation, "generation %u", report.generation);
        if (i == 0) {
            requested.first = report;
        }
        STRESS_OK(ant_sleep(ant_now() + stress_below(&random, 500000)));
    }
    return 0;
}

/* The server has been told to hold: the request by which it does so is here. */
static struct ant_request *held(void)
{
    struct ant_message message = {0};
    int error = ant_receive(&message, ANT_FOREVER);

    return STRESS_CHECK(error == 0 && message.kind == ANT_REQUEST && message.request->function == FN_GATE,
                        "waiting for the server: %s", ant_strerror(error))
               ? message.request
               : NULL;
}

/* Starts the requester and comes back when the server, still held, has its notice. */
static ant_pid swap_behind_the_hold(uint32_t swaps)
{
    struct ant_process_options options = {.name = "requester", .priority = 40};
    uint64_t mark = stress_trace_mark();
    ant_pid pid = 0;

    requested.swaps = swaps;
    STRESS_OK(ant_process_create(&options, requester, NULL, &pid));
    stress_wait_for_step(ANT_SWAP_NOTIFY, mark);
    return pid;
}

static void free_result(uint32_t generation)
{
    struct ant_message message;
    uint32_t answered_by = 0;
    int error = ant_receive(&message, ANT_FOREVER);

    if (STRESS_CHECK(error == 0 && message.kind == ANT_RESULT && message.request->error == 0,
                     "ant_receive: %s", ant_strerror(error))) {
        memcpy(&answered_by, message.request->payload, sizeof answered_by);
        STRESS_CHECK(answered_by >= generation, "answered by generation %u, not %u", answered_by,
                     generation);
        STRESS_OK(ant_request_free(message.request));
    }
}

static void send_operation(uint32_t operation)
{
    struct ant_request *rq;

    STRESS_OK(ant_request_new(FN_QUEUE, &rq));
    rq->operation = operation;
    STRESS_OK(ant_send(rq));
}

/* --- The tests -------------------------------------------------------------------------------------------------------- */

static ant_pid server_pid, sink_pid;
static size_t free_before;

static int open_core(void **unused)
{
    (void)unused;
    stress_forget();
    memset(&now, 0, sizeof now);
    memset(&requested, 0, sizeof requested);
    stress_boot(&(struct ant_config){
        .pool_bytes = 96 << 20, .max_processes = 32, .trace_events = STRESS_TRACE_EVENTS, .priority = 30});
    free_before = stress_free_pages();
    requested.generation = 1;
    now.boot = ant_self();
    STRESS_OK(ant_function_add(FN_GATE));
    STRESS_OK(ant_serve(FN_SINK, &sink_program, &(struct ant_server_options){.priority = 25}, &sink_pid));
    STRESS_OK(ant_serve(FN_QUEUE, &programs[0], &(struct ant_server_options){.priority = 10},
                        &server_pid));
    return 0;
}

static int close_core(void **unused)
{
    (void)unused;
    STRESS_OK(ant_stop(server_pid, ANT_FOREVER, NULL));
    STRESS_OK(ant_stop(sink_pid, ANT_FOREVER, NULL));
    STRESS_OK(ant_function_remove(FN_GATE));
    size_t free_pages = stress_free_pages();
    STRESS_CHECK(free_pages == free_before, "%zu pages free, %zu before", free_pages, free_before);
    stress_shutdown();
    stress_assert_clean();
    return 0;
}

/* One round: hold, fill the queue, swap, let go, swap on while the queue drains. */
static void round_of_requests(uint32_t requests)
{
    uint32_t generation = requested.generation + 1;

    send_operation(HOLD);
    struct ant_request *gate = held();
    atomic_store(&now.all_sent, 0);
    for (uint32_t i = 0; i < SENDERS; i++) {
        struct sender *it = &now.senders[i];
        it->number = i;
        it->count = requests / SENDERS;
        it->first_generation = 0;
        STRESS_OK(ant_process_create(&(struct ant_process_options){.name = "sender", .priority = 20},
                                     sender, it, &it->pid));
    }
    while (atomic_load(&now.all_sent) < SENDERS) {
        STRESS_OK(ant_sleep(ant_now() + 100000));
    }
    struct ant_process_info info = {0};
    STRESS_OK(ant_process_info(server_pid, &info));
    STRESS_CHECK(info.queued_requests == requests / SENDERS * SENDERS, "%u requests queued",
                 info.queued_requests);
    ant_pid pid = swap_behind_the_hold(SWAPS_IN_A_ROUND);
    STRESS_OK(ant_reply(gate, 0));
    STRESS_OK(ant_wait(pid, ANT_FOREVER, NULL));
    free_result(generation - 1); /* the held one was the old server's */
    for (uint32_t i = 0; i < SENDERS; i++) {
        STRESS_OK(ant_wait(now.senders[i].pid, ANT_FOREVER, NULL));
        STRESS_CHECK(now.senders[i].first_generation >= generation,
                     "the old server, %u, answered a queued request", now.senders[i].first_generation);
    }
    struct ant_swap_count *queued = &requested.first.queued_requests;
    STRESS_CHECK(queued->at_notice == info.queued_requests && queued->arrived == 0 &&
                     queued->left == 0 && queued->handed_over == info.queued_requests,
                 "ledger: %u + %u - %u = %u", queued->at_notice, queued->arrived, queued->left,
                 queued->handed_over);
    STRESS_OK(ant_process_info(server_pid, &info));
    STRESS_CHECK(info.queued_requests == 0 && info.in_service == 0,
                 "left: %u queued, %u in service", info.queued_requests, info.in_service);
}

static void queued_requests_are_answered_by_the_new_server_in_order(void **unused)
{
    (void)unused;
    uint32_t requests = stress_size(REQUESTS, 400);
    uint32_t answered = 0;

    for (now.round = 0; now.round < ROUNDS; now.round++) {
        round_of_requests(requests);
    }
    for (uint32_t i = 0; i < SENDERS; i++) {
        answered += now.senders[i].answered;
    }
    STRESS_CHECK(answered == requests / SENDERS * SENDERS * ROUNDS, "%u answered", answered);
    print_message("%u rounds, %u requests answered, %u generations\n", ROUNDS, answered,
                  requested.generation);
}

static void queued_results_are_taken_by_the_new_server_in_order(void **unused)
{
    (void)unused;
    now.fanned_out = stress_size(RESULTS, 200);

    for (now.round = 0; now.round < ROUNDS; now.round++) {
        uint32_t generation = requested.generation + 1;

        send_operation(FAN_OUT);
        struct ant_request *gate = held();
        struct ant_process_info info = {0};
        do { /* the sink has answered them all */
            STRESS_OK(ant_sleep(ant_now() + 100000));
            STRESS_OK(ant_process_info(server_pid, &info));
        } while (info.queued_results < now.fanned_out);
        ant_pid pid = swap_behind_the_hold(SWAPS_IN_A_ROUND);
        STRESS_OK(ant_reply(gate, 0));
        STRESS_OK(ant_wait(pid, ANT_FOREVER, NULL));
        free_result(generation); /* the new server answered what the old one kept */
        struct ant_swap_report *first = &requested.first;
        STRESS_CHECK(first->queued_results.handed_over == now.fanned_out &&
                         first->in_service.handed_over == 1 && first->outstanding.handed_over == 0,
                     "handed over: %u results, %u in service, %u outstanding",
                     first->queued_results.handed_over, first->in_service.handed_over,
                     first->outstanding.handed_over);
    }
    print_message("%u rounds of %u results, %u generations\n", ROUNDS, now.fanned_out,
                  requested.generation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(queued_requests_are_answered_by_the_new_server_in_order,
                                        open_core, close_core),
        cmocka_unit_test_setup_teardown(queued_results_are_taken_by_the_new_server_in_order,
                                        open_core, close_core),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
