/*
 * 05. A swap that must be over in time.
 *
 * How long can a swap take at most? A server's program declares its *timing*: how long its callbacks work, and how long the
 * driver it asks computes and waits. From that ant_swap_bound tells the longest, and a swap with a *deadline* is admitted only if
 * its bound is within: else it is refused before anything is touched. One that was admitted because a program promised
 * too much is rolled back when the deadline passes.
 *
 * The machine is `virtual`, so every time is exact. What the swap itself takes there is what the core's *costs* say: here 4 ms.
 *
 * ctest: machines=virtual movers=auto,copy
 */
#include "example.h"

#include <errno.h>

#define MS(n) ((uint64_t)(n)*ANT_NS_PER_S / 1000)

enum { FN_SERVER = 1, FN_DRIVER = 2 };

/* --- The driver: computes 5 ms, waits 15 ms for its device, replies --- */

static void driver_request(struct ant_server *self, struct ant_request *io)
{
    (void)self;
    must("ant_work", ant_work(MS(5)));
    must("ant_sleep", ant_sleep(ant_now() + MS(15)));
    must("ant_reply", ant_reply(io, 0));
}

static const struct ant_program driver = {
    .abi = ANT_ABI, .version = 1, .name = "driver", .request = driver_request};

/* --- The server: works 10 ms on a request, asks the driver, works 1 ms on its result, replies --- */

static void server_request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    struct ant_request *io;
    must("ant_work", ant_work(MS(10)));
    must("ant_request_new", ant_request_new(FN_DRIVER, &io));
    io->cookie = (uint64_t)(uintptr_t)rq; /* a request in service stays at its address, whoever serves */
    must("ant_send", ant_send(io));
}

static void server_result(struct ant_server *self, struct ant_request *io)
{
    (void)self;
    struct ant_request *rq = (struct ant_request *)(uintptr_t)io->cookie;
    must("ant_work", ant_work(MS(1)));
    must("ant_request_free", ant_request_free(io));
    must("ant_reply", ant_reply(rq, 0));
}

static int slow_start(struct ant_server *self)
{
    (void)self;
    return ant_work(MS(50)); /* its timing says 2 ms */
}

static const struct ant_driver_timing drivers[] = {
    {.function = FN_DRIVER, .burst_ns = MS(5), .burst_min_ns = MS(5), .wait_ns = MS(15)}};

/* Declared; `requests`: there is one client, and it waits for its result. */
static const struct ant_timing declared = {
    .request_ns = MS(10), .result_ns = MS(1), .requests = 1, .drivers = drivers, .driver_count = 1};
static const struct ant_timing promised = {.start_ns = MS(2)};
/* Not declared: the core measures the callbacks. */
static const struct ant_timing observed = {
    .observe = true, .requests = 1, .drivers = drivers, .driver_count = 1};

#define SERVER .abi = ANT_ABI, .name = "server", .request = server_request, .result = server_result
static const struct ant_program v1 = {SERVER, .version = 1, .timing = &declared};
static const struct ant_program v2 = {SERVER, .version = 2, .timing = &observed};
static const struct ant_program v3 = {SERVER, .version = 3, .start = slow_start, .timing = &promised};

/* --- The client, which is the requester of the swaps, too --- */

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static void send(void)
{
    struct ant_request *rq;
    must("ant_request_new", ant_request_new(FN_SERVER, &rq));
    must("ant_send", ant_send(rq));
}

static void receive(void)
{
    struct ant_message message;
    must("ant_receive", ant_receive(&message, ANT_FOREVER));
    must("the request", message.request->error);
    must("ant_request_free", ant_request_free(message.request));
}

static void tell_bound(const struct ant_program *next)
{
    struct ant_bound bound;
    int error = ant_swap_bound(FN_SERVER, next, &bound);
    if (error == -ENODATA) {
        printf("To version %u: not known yet (-ENODATA)\n", next->version);
        return;
    }
    must("ant_swap_bound", error);
    printf("To version %u: at most %.3f ms: the swap itself %.3f, a request %.3f (%s), and the driver\n",
           next->version, ms(bound.bound_ns), ms(bound.base_ns), ms(bound.request_ns),
           bound.observed ? "observed" : "declared");
}

/* Asks for the swap 1 ns after the server has begun with a request: at the worst time. */
static void swap(const struct ant_program *next, uint64_t deadline_ns, int expected, const char *outcome)
{
    const struct ant_swap_options options = {.deadline_ns = (int64_t)deadline_ns};
    struct ant_swap_report report = {0};
    send();
    must("ant_sleep", ant_sleep(ant_now() + 1));
    int error = ant_swap(FN_SERVER, next, &options, &report);
    printf("  deadline %.3f ms: %s after %.3f ms, generation %u serves\n", ms(deadline_ns),
           error == expected ? outcome : ant_strerror(error), ms(report.swap_ns), report.generation);
    receive();
}

int main(void)
{
    static const struct ant_costs costs = {
        .step_ns = {[ANT_SWAP_CREATE] = MS(3), [ANT_SWAP_HAND_OVER] = MS(1)}};
    const struct ant_config config = {.machine = ANT_MACHINE_VIRTUAL, .priority = 40, .costs = &costs};

    must("ant_boot", ant_boot(&config));
    say_machine();
    must("ant_serve", ant_serve(FN_DRIVER, &driver, &(struct ant_server_options){.priority = 30}, NULL));
    must("ant_serve", ant_serve(FN_SERVER, &v1, &(struct ant_server_options){.priority = 20}, NULL));

    tell_bound(&v3);
    swap(&v3, MS(21), -ETIMEDOUT, "admitted, rolled back (-ETIMEDOUT)");
    tell_bound(&v2);
    swap(&v2, MS(18), -ETIME, "refused (-ETIME)");
    swap(&v2, MS(19), 0, "admitted, swapped");

    /* Version 2 serves now. Is it known how long its callbacks take? */
    tell_bound(&v1);
    send();
    receive();
    tell_bound(&v1);
    must("ant_shutdown", ant_shutdown(NULL));
    return EXIT_SUCCESS;
}
