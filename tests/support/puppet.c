/* Puppets: see puppet.h. */
#include "puppet.h"

/* --- What a puppet and the boss say to each other: the payload of a request for BOSS ------------------------------- */

struct orders {
    puppet_act *act; /* boss: what to do; NULL: go */
    void *arg;
    int returned; /* puppet: what the last act returned */
};

static struct orders *orders(struct ant_request *rq)
{
    return (struct orders *)(void *)rq->payload;
}

/* --- The puppet's side --------------------------------------------------------------------------------------------- */

int puppet_obey(void)
{
    struct ant_request *rq;
    int rc = ant_request_new(BOSS, &rq);
    if (rc != 0)
        return rc;
    orders(rq)->returned = 0;
    for (;;) {
        rc = ant_call(rq, ANT_FOREVER);
        struct orders now = *orders(rq);
        if (rc != 0 || !now.act)
            break;
        orders(rq)->returned = now.act(now.arg);
    }
    ant_request_free(rq);
    return rc;
}

static int puppet_main(void *arg)
{
    (void)arg;
    return puppet_obey();
}

/* --- The boss's side ----------------------------------------------------------------------------------------------- */

/* Puppets that wait for orders, and results that came meanwhile. Only the boss looks. */
static struct {
    ant_pid pid;
    struct ant_request *rq;
} waiting[128];
static size_t waiting_count;
static struct ant_request *results[1024];
static size_t results_head, results_count;
static ant_pid puppets[128];
static size_t puppet_count;

/* One more message for the boss. false: none came. */
static bool hear(int64_t timeout_ns)
{
    struct ant_message message;
    int rc = ant_receive(&message, timeout_ns);
    if (rc == -ETIMEDOUT)
        return false;
    assert_int_equal(rc, 0);
    if (message.kind == ANT_RESULT) {
        assert_in_range(results_count, 0, 1023);
        results[(results_head + results_count++) % 1024] = message.request;
        return true;
    }
    assert_int_equal(message.kind, ANT_REQUEST);
    assert_int_equal(message.request->function, BOSS);
    assert_in_range(waiting_count, 0, 127);
    waiting[waiting_count].pid = message.request->peer;
    waiting[waiting_count++].rq = message.request;
    return true;
}

static struct ant_request *find(ant_pid pid, bool take)
{
    for (size_t i = 0; i < waiting_count; i++) {
        if (waiting[i].pid == pid) {
            struct ant_request *rq = waiting[i].rq;
            if (take)
                waiting[i] = waiting[--waiting_count];
            return rq;
        }
    }
    return NULL;
}

static struct ant_request *await(ant_pid pid, bool take)
{
    struct ant_request *rq;
    uint64_t deadline_ns = ant_now() + (uint64_t)SOON;
    while (!(rq = find(pid, take))) {
        uint64_t now_ns = ant_now();
        if (now_ns >= deadline_ns || !hear((int64_t)(deadline_ns - now_ns)))
            fail_msg("puppet %llx does not ask for orders", (unsigned long long)pid);
    }
    return rq;
}

static void order(ant_pid pid, puppet_act *act, void *arg)
{
    struct ant_request *rq = await(pid, true);
    orders(rq)->act = act;
    orders(rq)->arg = arg;
    assert_int_equal(ant_reply(rq, 0), 0);
}

ant_pid puppet_create(const char *name, int priority)
{
    struct ant_process_options options = {.name = name, .priority = priority};
    ant_pid pid = 0;
    assert_int_equal(ant_process_create(&options, puppet_main, NULL, &pid), 0);
    assert_in_range(puppet_count, 0, 127);
    puppets[puppet_count++] = pid;
    return pid;
}

void puppet_begin(ant_pid pid, puppet_act *act, void *arg)
{
    order(pid, act, arg);
}

int puppet_end(ant_pid pid)
{
    return orders(await(pid, false))->returned;
}

int puppet_do(ant_pid pid, puppet_act *act, void *arg)
{
    order(pid, act, arg);
    return puppet_end(pid);
}

void puppet_await(ant_pid pid)
{
    await(pid, false);
}

bool puppet_is_idle(ant_pid pid)
{
    while (hear(0))
        ;
    return find(pid, false) != NULL;
}

void puppet_release(ant_pid pid)
{
    order(pid, NULL, NULL);
}

static void strike(ant_pid pid)
{
    for (size_t i = 0; i < puppet_count; i++)
        if (puppets[i] == pid)
            puppets[i--] = puppets[--puppet_count];
}

void puppet_dismiss(ant_pid pid)
{
    int status = -1;
    puppet_release(pid);
    assert_int_equal(ant_wait(pid, SOON, &status), 0);
    assert_int_equal(status, 0);
    strike(pid);
}

void puppet_bury(ant_pid pid)
{
    while (hear(0))
        ;
    while (find(pid, false))
        puppet_release(pid);
    strike(pid);
}

struct ant_request *boss_result(void)
{
    while (results_count == 0)
        assert_true(hear(SOON));
    results_count--;
    struct ant_request *rq = results[results_head];
    results_head = (results_head + 1) % 1024;
    return rq;
}

struct ant_request *puppet_hold(ant_pid pid, uint32_t function, uint32_t operation)
{
    struct ant_request *held = new_request(function);
    held->operation = operation;
    assert_ok(ant_send(held));
    puppet_await(pid);
    return held;
}

void puppet_let_go(ant_pid pid, struct ant_request *held)
{
    puppet_release(pid);
    assert_ptr_equal(boss_result(), held);
    assert_ok(ant_request_free(held));
}

bool boss_has_no_result(void)
{
    while (hear(0))
        ;
    return results_count == 0;
}

void puppet_init(void)
{
    waiting_count = results_count = puppet_count = 0;
    assert_int_equal(ant_function_add(BOSS), 0);
}

/* Ends the puppets; whoever still obeys (in a server's callback) is released. */
void puppet_fini(void)
{
    struct ant_process_info info;
    while (puppet_count > 0) {
        ant_pid pid = puppets[puppet_count - 1];
        if (ant_process_info(pid, &info) == 0)
            puppet_dismiss(pid);
        strike(pid);
    }
    while (hear(0))
        ;
    while (waiting_count > 0)
        puppet_release(waiting[0].pid);
}

void puppet_forget(void)
{
    if (results_count > 0)
        fail_msg("the test left %zu results of its own", results_count);
    waiting_count = 0;
    ant_function_remove(BOSS);
}

/* --- Calls made by a puppet ---------------------------------------------------------------------------------------- */

/* The arguments of any of the calls. The boss waits for the puppet, or comes back for it with puppet_end. */
struct call {
    const void *in;
    void *out, *out2;
    const void *options;
    uint64_t number;
    int64_t timeout_ns;
    int32_t status;
    uint32_t function;
    size_t size;
};

/* Acts that were begun outlive the call that began them: one place for each. */
static struct call *begun_call(struct call call)
{
    static struct call begun[256];
    static size_t next;
    struct call *place = &begun[next++ % 256];
    *place = call;
    return place;
}

#define ACT(name, result)                                                                          \
    static int act_##name(void *arg)                                                               \
    {                                                                                              \
        struct call *c = arg;                                                                      \
        return result;                                                                             \
    }

ACT(ica_alloc, ant_ica_alloc(c->size, c->out))
ACT(ica_free, ant_ica_free(c->out))
ACT(ica_info, ant_ica_info(c->in, c->out))
ACT(request_new, ant_request_new(c->function, c->out))
ACT(request_free, ant_request_free(c->out))
ACT(call, ant_call(c->out, c->timeout_ns))
ACT(send, ant_send(c->out))
ACT(receive, ant_receive(c->out, c->timeout_ns))
ACT(reply, ant_reply(c->out, c->status))
ACT(cancel, ant_cancel(c->out))
ACT(pending, ant_pending((enum ant_pending_kind)c->status, c->out, c->size, c->out2))
ACT(function_add, ant_function_add(c->function))
ACT(function_remove, ant_function_remove(c->function))
ACT(state_set, ant_state_set(c->out))
ACT(wait, ant_wait(c->number, c->timeout_ns, c->out))
ACT(stop, ant_stop(c->number, c->timeout_ns, c->out))
ACT(shutdown, ant_shutdown(c->out))
ACT(sleep, ant_sleep(c->number))
ACT(work, ant_work(c->number))
ACT(serve, ant_serve(c->function, c->in, c->options, c->out))
ACT(swap, ant_swap(c->function, c->in, c->options, c->out))
ACT(swap_cancel, ant_swap_cancel(c->function))
ACT(kill, ant_kill(c->number))
ACT(monitor, ant_monitor(c->out, c->function))
ACT(ica_list, ant_ica_list(c->out, c->size, c->out2))

static int act_swap_accept(void *arg)
{
    (void)arg;
    return ant_swap_accept();
}

static int act_state(void *arg)
{
    *(void **)arg = ant_state();
    return 0;
}

int puppet_ica_alloc(ant_pid pid, size_t pages, void **area)
{
    return puppet_do(pid, act_ica_alloc, &(struct call){.size = pages, .out = area});
}

int puppet_ica_free(ant_pid pid, void *area)
{
    return puppet_do(pid, act_ica_free, &(struct call){.out = area});
}

int puppet_ica_info(ant_pid pid, const void *area, struct ant_ica_info *info)
{
    return puppet_do(pid, act_ica_info, &(struct call){.in = area, .out = info});
}

int puppet_request_new(ant_pid pid, uint32_t function, struct ant_request **rq)
{
    return puppet_do(pid, act_request_new, &(struct call){.function = function, .out = rq});
}

int puppet_request_free(ant_pid pid, struct ant_request *rq)
{
    return puppet_do(pid, act_request_free, &(struct call){.out = rq});
}

int puppet_call(ant_pid pid, struct ant_request *rq, int64_t timeout_ns)
{
    return puppet_do(pid, act_call, &(struct call){.out = rq, .timeout_ns = timeout_ns});
}

int puppet_send(ant_pid pid, struct ant_request *rq)
{
    return puppet_do(pid, act_send, &(struct call){.out = rq});
}

int puppet_receive(ant_pid pid, struct ant_message *message, int64_t timeout_ns)
{
    return puppet_do(pid, act_receive, &(struct call){.out = message, .timeout_ns = timeout_ns});
}

int puppet_reply(ant_pid pid, struct ant_request *rq, int32_t status)
{
    return puppet_do(pid, act_reply, &(struct call){.out = rq, .status = status});
}

int puppet_cancel(ant_pid pid, struct ant_request *rq)
{
    return puppet_do(pid, act_cancel, &(struct call){.out = rq});
}

int puppet_pending(ant_pid pid, enum ant_pending_kind kind, struct ant_pending *items,
                   size_t capacity, size_t *count)
{
    return puppet_do(
        pid, act_pending,
        &(struct call){.status = (int32_t)kind, .out = items, .size = capacity, .out2 = count});
}

int puppet_function_add(ant_pid pid, uint32_t function)
{
    return puppet_do(pid, act_function_add, &(struct call){.function = function});
}

int puppet_function_remove(ant_pid pid, uint32_t function)
{
    return puppet_do(pid, act_function_remove, &(struct call){.function = function});
}

int puppet_state_set(ant_pid pid, void *state)
{
    return puppet_do(pid, act_state_set, &(struct call){.out = state});
}

void *puppet_state(ant_pid pid)
{
    void *state = NULL;
    puppet_do(pid, act_state, &state);
    return state;
}

int puppet_wait(ant_pid pid, ant_pid whom, int64_t timeout_ns, int *status)
{
    return puppet_do(pid, act_wait,
                     &(struct call){.number = whom, .timeout_ns = timeout_ns, .out = status});
}

int puppet_stop(ant_pid pid, ant_pid whom, int64_t timeout_ns, int *status)
{
    return puppet_do(pid, act_stop,
                     &(struct call){.number = whom, .timeout_ns = timeout_ns, .out = status});
}

int puppet_shutdown(ant_pid pid, struct ant_shutdown_report *report)
{
    return puppet_do(pid, act_shutdown, &(struct call){.out = report});
}

int puppet_serve(ant_pid pid, uint32_t function, const struct ant_program *program,
                 const struct ant_server_options *options, ant_pid *server)
{
    return puppet_do(
        pid, act_serve,
        &(struct call){.function = function, .in = program, .options = options, .out = server});
}

int puppet_swap(ant_pid pid, uint32_t function, const struct ant_program *program,
                const struct ant_swap_options *options, struct ant_swap_report *report)
{
    return puppet_do(
        pid, act_swap,
        &(struct call){.function = function, .in = program, .options = options, .out = report});
}

int puppet_swap_accept(ant_pid pid)
{
    return puppet_do(pid, act_swap_accept, NULL);
}

int puppet_swap_cancel(ant_pid pid, uint32_t function)
{
    return puppet_do(pid, act_swap_cancel, &(struct call){.function = function});
}

int puppet_kill(ant_pid pid, ant_pid whom)
{
    return puppet_do(pid, act_kill, &(struct call){.number = whom});
}

int puppet_monitor(ant_pid pid, struct ant_request *rq, uint32_t function)
{
    return puppet_do(pid, act_monitor, &(struct call){.out = rq, .function = function});
}

int puppet_ica_list(ant_pid pid, void **areas, size_t capacity, size_t *count)
{
    return puppet_do(pid, act_ica_list,
                     &(struct call){.out = (void *)areas, .size = capacity, .out2 = count});
}

void puppet_begin_call(ant_pid pid, struct ant_request *rq, int64_t timeout_ns)
{
    puppet_begin(pid, act_call, begun_call((struct call){.out = rq, .timeout_ns = timeout_ns}));
}

void puppet_begin_receive(ant_pid pid, struct ant_message *message, int64_t timeout_ns)
{
    puppet_begin(pid, act_receive, begun_call((struct call){.out = message, .timeout_ns = timeout_ns}));
}

void puppet_begin_wait(ant_pid pid, ant_pid whom, int64_t timeout_ns, int *status)
{
    puppet_begin(pid, act_wait,
                 begun_call((struct call){.number = whom, .timeout_ns = timeout_ns, .out = status}));
}

void puppet_begin_stop(ant_pid pid, ant_pid whom, int64_t timeout_ns, int *status)
{
    puppet_begin(pid, act_stop,
                 begun_call((struct call){.number = whom, .timeout_ns = timeout_ns, .out = status}));
}

void puppet_begin_sleep(ant_pid pid, uint64_t time_ns)
{
    puppet_begin(pid, act_sleep, begun_call((struct call){.number = time_ns}));
}

void puppet_begin_work(ant_pid pid, uint64_t work_ns)
{
    puppet_begin(pid, act_work, begun_call((struct call){.number = work_ns}));
}

void puppet_begin_serve(ant_pid pid, uint32_t function, const struct ant_program *program,
                        const struct ant_server_options *options, ant_pid *server)
{
    puppet_begin(pid, act_serve,
                 begun_call((struct call){
                     .function = function, .in = program, .options = options, .out = server}));
}

void puppet_begin_swap(ant_pid pid, uint32_t function, const struct ant_program *program,
                       const struct ant_swap_options *options, struct ant_swap_report *report)
{
    puppet_begin(pid, act_swap,
                 begun_call((struct call){
                     .function = function, .in = program, .options = options, .out = report}));
}

void puppet_begin_swap_accept(ant_pid pid)
{
    puppet_begin(pid, act_swap_accept, NULL);
}

/* --- What the boss needs from a puppet before it can test anything ------------------------------------------------- */

struct ant_request *puppet_new_request(ant_pid pid, uint32_t function)
{
    struct ant_request *rq = NULL;
    assert_int_equal(puppet_request_new(pid, function, &rq), 0);
    assert_non_null(rq);
    return rq;
}

void *puppet_new_area(ant_pid pid, size_t pages)
{
    void *area = NULL;
    assert_int_equal(puppet_ica_alloc(pid, pages, &area), 0);
    assert_non_null(area);
    return area;
}

static struct ant_request *take(ant_pid pid, enum ant_message_kind kind)
{
    struct ant_message message = {0};
    assert_int_equal(puppet_receive(pid, &message, SOON), 0);
    assert_int_equal(message.kind, kind);
    assert_non_null(message.request);
    return message.request;
}

struct ant_request *puppet_take_request(ant_pid pid)
{
    return take(pid, ANT_REQUEST);
}

struct ant_request *puppet_take_result(ant_pid pid)
{
    return take(pid, ANT_RESULT);
}
