/*
 * The acts of the scenario that in_turn_test.c plays, on the test's own thread: each a call or a few, undone when one fails.
 *
 * What an act leaves for later ones (servers, a request that is held) is remembered here; an act whose servers are missing is
 * skipped. A request that could not be answered in time stays out, and its result is taken by whoever next waits for one.
 */
#include "turn.h"

#include <fcntl.h>
#include <unistd.h>

static ant_pid server_pid, driver_pid, deaf_pid;
static bool holding; /* the server has a request in service that it keeps */
static bool dead;    /* the server */

/* Under a refusal for good a server cannot answer before it is over: that is waited for in tidy. */
static int64_t limit_ns(void)
{
    return turn_refusal.for_good && turn_refused() ? MS(1) : SOON;
}

static int worker_entry(void *arg)
{
    (void)arg;
    void *area;
    int rc = may(ant_ica_alloc(2, &area), ENOMEM);
    if (rc == 0)
        must(ant_ica_free(area));
    if (rc == 0)
        rc = may(ant_function_add(FN_WORKER), ENOMEM);
    if (rc == 0)
        rc = may(ant_ica_alloc(1, &area), ENOMEM); /* for the core to free */
    return rc;
}

static int run_process(void)
{
    ant_pid pid;
    int status = 0;
    int rc = may(ant_process_create(NULL, worker_entry, NULL, &pid), EAGAIN, ENOMEM);
    if (rc != 0)
        return rc;
    must(ant_wait(pid, SOON, &status));
    return status;
}

static int serve_one(uint32_t function, const struct ant_program *program, ant_pid *pid)
{
    struct ant_server_options options = {.priority = TURN_PRIORITY + 5, .watchdog_ns = SOON};
    return may(ant_serve(function, program, &options, pid), EAGAIN, ENOMEM);
}

static int serve_driver(void)
{
    return serve_one(FN_DRIVER, &turn_driver, &driver_pid);
}

static int serve_server(void)
{
    return serve_one(FN_SERVER, &turn_server_v1, &server_pid);
}

static int serve_deaf(void)
{
    return serve_one(FN_DEAF, &turn_deaf, &deaf_pid);
}

/* A request with a data area of so many pages. */
static int prepare(uint32_t function, uint32_t operation, size_t pages, struct ant_request **rq)
{
    void *data;
    int rc = may(ant_ica_alloc(pages, &data), ENOMEM);
    if (rc != 0)
        return rc;
    rc = may(ant_request_new(function, rq), ENOMEM);
    if (rc != 0) {
        turn_give_back(NULL, data);
        return rc;
    }
    turn_fill(data, pages, 1000);
    (*rq)->data = data;
    (*rq)->operation = operation;
    return 0;
}

static int call_with(uint32_t operation, size_t pages)
{
    struct ant_request *rq;
    if (!server_pid)
        return TURN_SKIPPED;
    int rc = prepare(FN_SERVER_TOO, operation, pages, &rq);
    if (rc != 0)
        return rc;
    void *data = rq->data;
    rc = may(ant_call(rq, limit_ns()), ENOMEM, EINPROGRESS, ETIMEDOUT);
    if (rc == -EINPROGRESS)
        return rc;
    if (rc != 0) {
        expect(rq->data == data && turn_filled(data, pages, 1000));
    } else if (rq->status != 0) {
        rc = may(rq->status, ENOMEM, ESRCH);
    } else if (operation == OP_OTHER) {
        expect(turn_filled(rq->data, 2, 77));
    } else {
        --*(uint64_t *)data;
        expect(rq->data == data && turn_filled(data, pages, 1000));
    }
    turn_give_back(rq, rq->data);
    return rc;
}

static int call_small(void)
{
    return call_with(OP_TOUCH, 3);
}

static int call_huge(void)
{
    return call_with(OP_TOUCH, 300);
}

static int call_other(void)
{
    return call_with(OP_OTHER, 2);
}

static int call_forward(void)
{
    return driver_pid ? call_with(OP_FORWARD, 2) : TURN_SKIPPED;
}

/* Waits for the result of rq; frees those of other requests, which were abandoned by acts that failed. */
static int await(const struct ant_request *rq, int64_t timeout_ns)
{
    struct ant_message message;
    for (;;) {
        int rc = may(ant_receive(&message, timeout_ns), ETIMEDOUT);
        if (rc != 0)
            return rc;
        expect(message.kind == ANT_RESULT);
        if (message.request == rq)
            return 0;
        turn_give_back(message.request, message.request->data);
    }
}

static int send_and_receive(void)
{
    struct ant_request *rq;
    if (!driver_pid)
        return TURN_SKIPPED;
    int rc = prepare(FN_DRIVER, OP_TOUCH, 4, &rq);
    if (rc != 0)
        return rc;
    rc = may(ant_send(rq), ENOMEM);
    if (rc == 0)
        rc = await(rq, limit_ns());
    if (rc == -ETIMEDOUT)
        return rc; /* it is out still */
    if (rc == 0) {
        expect(rq->error == 0 && rq->status == 0);
        --*(uint64_t *)rq->data;
    }
    expect(turn_filled(rq->data, 4, 1000));
    turn_give_back(rq, rq->data);
    return rc;
}

static int send_and_cancel(void)
{
    struct ant_request *rq;
    if (!deaf_pid)
        return TURN_SKIPPED;
    int rc = prepare(FN_DEAF, OP_TOUCH, 2, &rq);
    if (rc != 0)
        return rc;
    rc = may(ant_send(rq), ENOMEM);
    if (rc == 0) {
        rc = may(ant_cancel(rq), ENOMEM);
        if (rc != 0 && (turn_refusal.for_good || must(ant_cancel(rq)) != 0))
            return rc; /* it stays queued */
    }
    expect(turn_filled(rq->data, 2, 1000));
    turn_give_back(rq, rq->data);
    return rc;
}

static int call_too_long(void)
{
    struct ant_request *rq;
    if (!deaf_pid)
        return TURN_SKIPPED;
    int rc = prepare(FN_DEAF, OP_TOUCH, 2, &rq);
    if (rc != 0)
        return rc;
    rc = ant_call(rq, US(100));
    if (rc == -ETIMEDOUT)
        rc = 0;
    else
        expect(may(rc, ENOMEM) != 0);
    expect(turn_filled(rq->data, 2, 1000));
    turn_give_back(rq, rq->data);
    return rc;
}

/* The request outlives its call, and passes through the swaps that follow. */
static int hold(void)
{
    struct ant_request *rq;
    if (!server_pid || holding)
        return TURN_SKIPPED;
    int rc = prepare(FN_SERVER, OP_HOLD, 2, &rq);
    if (rc != 0)
        return rc;
    rq->flags = ANT_REPEATABLE;
    do
        rc = ant_call(rq, US(100));
    while (rc == -ETIMEDOUT); /* a server that has not run yet */
    if (rc == -EINPROGRESS) {
        holding = true;
        return 0;
    }
    expect(may(rc, ENOMEM) != 0);
    turn_give_back(rq, rq->data);
    return rc;
}

static int release(void)
{
    struct ant_request *rq;
    struct ant_message message;
    if (!holding)
        return TURN_SKIPPED;
    int rc = may(ant_request_new(FN_SERVER, &rq), ENOMEM);
    if (rc != 0)
        return rc;
    rq->operation = OP_RELEASE;
    rc = may(ant_call(rq, limit_ns()), ENOMEM, EINPROGRESS, ETIMEDOUT);
    if (rc == -EINPROGRESS) {
        holding = false;
        return rc;
    }
    turn_give_back(rq, NULL);
    if (rc != 0)
        return rc;
    holding = false;
    do { /* what was abandoned before comes too */
        must(ant_receive(&message, SOON));
        rq = message.request;
        if (rq->operation == OP_HOLD)
            expect(rq->error == 0 && rq->status == 0 && turn_filled(rq->data, 2, 1000));
        rc = rq->operation == OP_HOLD;
        turn_give_back(rq, rq->data);
    } while (!rc);
    return 0;
}

static int add_function(void)
{
    int rc = may(ant_function_add(FN_OWN), ENOMEM);
    if (rc == 0)
        must(ant_function_remove(FN_OWN));
    return rc;
}

static int write_trace(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int rc = may(ant_trace_write(fd), ENOMEM);
    close(fd);
    return rc;
}

/* On a machine with much to do nothing may be late. */
static const struct ant_swap_options patient = {.quiesce_timeout_ns = SOON, .start_timeout_ns = SOON};

static int swap_to(const struct ant_program *program)
{
    struct ant_swap_report report;
    if (!server_pid)
        return TURN_SKIPPED;
    return may(ant_swap(FN_SERVER, program, &patient, &report), EAGAIN, ENOMEM);
}

static int swap_same(void)
{
    return swap_to(&turn_server_v2);
}

static int swap_in_vain(void)
{
    struct ant_swap_report report;
    struct ant_ica_stats before, after;
    if (!server_pid || !driver_pid)
        return TURN_SKIPPED;
    must(ant_ica_stats(&before));
    int rc = ant_swap(FN_SERVER, &turn_server_in_vain, &patient, &report);
    if (rc == -EIO) { /* what it had sent is freed when the driver has answered it */
        assert_soon(ant_ica_stats(&after) == 0 && after.free_pages == before.free_pages);
        return 0;
    }
    expect(may(rc, EAGAIN, ENOMEM) != 0);
    return rc;
}

static int swap_transformed(void)
{
    return swap_to(&turn_server_v3);
}

/* The server dies, and who asked for it is told. */
static int kill_it(void)
{
    struct ant_request *rq;
    const struct ant_monitor_report *report;
    if (!server_pid || dead)
        return TURN_SKIPPED;
    int rc = may(ant_request_new(1, &rq), ENOMEM);
    if (rc != 0)
        return rc;
    must(ant_monitor(rq, FN_SERVER));
    must(ant_kill(server_pid));
    dead = true;
    if (must(await(rq, SOON)) != 0)
        return -EIO;
    report = (const struct ant_monitor_report *)rq->payload;
    expect(report->change == ANT_CHANGE_DIED && report->pid == server_pid);
    turn_give_back(rq, NULL);
    return 0;
}

static int replace(const struct ant_program *program, bool trust_state)
{
    struct ant_swap_options options = patient;
    struct ant_swap_report report;
    if (!dead)
        return TURN_SKIPPED;
    options.trust_state = trust_state;
    turn_expects_state = trust_state;
    int rc = may(ant_swap(FN_SERVER, program, &options, &report), EAGAIN, ENOMEM);
    if (rc == 0) {
        expect(report.restarted);
        dead = false;
    }
    return rc;
}

static int replace_trusted(void)
{
    return replace(&turn_server_v4, true);
}

/* No version of the state that the dead left would do: it begins anew. */
static int replace_untrusted(void)
{
    return replace(&turn_server_v1, false);
}

static int stop_one(ant_pid *pid)
{
    if (!*pid)
        return TURN_SKIPPED;
    must(ant_stop(*pid, SOON, NULL));
    *pid = 0;
    return 0;
}

/* With a request in its queue, which comes back. */
static int stop_deaf(void)
{
    struct ant_request *rq;
    if (!deaf_pid)
        return TURN_SKIPPED;
    int rc = prepare(FN_DEAF, OP_TOUCH, 2, &rq);
    if (rc != 0)
        return rc;
    rc = may(ant_send(rq), ENOMEM);
    if (rc == 0) {
        stop_one(&deaf_pid);
        rc = await(rq, SOON);
        expect(rc == 0 && rq->error == -ESHUTDOWN);
        if (rc != 0)
            return rc;
    }
    expect(turn_filled(rq->data, 2, 1000));
    turn_give_back(rq, rq->data);
    return rc;
}

static int stop_server(void)
{
    holding = dead = false;
    return stop_one(&server_pid);
}

static int stop_driver(void)
{
    return stop_one(&driver_pid);
}

const struct turn_act turn_acts[] = {
    {"run a process", run_process},
    {"serve a driver", serve_driver},
    {"serve a server", serve_server},
    {"serve a deaf one", serve_deaf},
    {"call with a small area", call_small},
    {"call with a huge area", call_huge},
    {"call and get another area", call_other},
    {"call and have it forwarded", call_forward},
    {"send and receive", send_and_receive},
    {"send and cancel", send_and_cancel},
    {"call too long", call_too_long},
    {"call and let it be held", hold},
    {"add a function", add_function},
    {"write the trace", write_trace},
    {"swap to the same state", swap_same},
    {"swap in vain", swap_in_vain},
    {"swap with a transformer", swap_transformed},
    {"call the new one", call_small},
    {"kill it", kill_it},
    {"replace the dead", replace_trusted},
    {"call its successor", call_small},
    {"let go what is held", release},
    {"kill it again", kill_it},
    {"replace the dead, and trust nothing", replace_untrusted},
    {"call the last one", call_other},
    {"stop the deaf one", stop_deaf},
    {"stop the server", stop_server},
    {"stop the driver", stop_driver},
};
const size_t turn_act_count = sizeof turn_acts / sizeof *turn_acts;

void turn_begin(void)
{
    server_pid = driver_pid = deaf_pid = 0;
    holding = dead = false;
}

void turn_tidy(void)
{
    struct ant_message message;
    size_t out, answered;
    stop_one(&deaf_pid);
    stop_server();
    stop_driver();
    for (;;) {
        assert_ok(ant_pending(ANT_OUTSTANDING, NULL, 0, &out));
        assert_ok(ant_pending(ANT_ANSWERED, NULL, 0, &answered));
        if (out + answered == 0)
            break;
        assert_ok(ant_receive(&message, SOON));
        assert_int_equal(message.kind, ANT_RESULT);
        turn_give_back(message.request, message.request->data);
    }
}
