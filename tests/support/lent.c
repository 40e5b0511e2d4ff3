/* Mortals that are lent threads: see lent.h. */
#include "lent.h"

#include "core/core.h"

#include <sched.h>
#include <unistd.h>

struct ant_program lent_one, lent_one_again, lent_two;

struct ant_config lent_config(void)
{
    struct ant_config config = fixture_config();
    config.direct_on_virtual = true;
    return config;
}

static struct ant_program lent(const struct ant_program *as)
{
    struct ant_program program = *as;
    program.direct = true;
    return program;
}

void lent_begin(const struct ant_config *config, const struct ant_server_options *options)
{
    struct ant_config standard = lent_config();
    lent_one = lent(&mortal_one);
    lent_one_again = lent(&mortal_one_again);
    lent_two = lent(&mortal_two);
    fixture_boot(config ? config : &standard);
    memset(&mortal, 0, sizeof mortal);
    mortal_pid = serve(FN, &lent_one, options);
}

int lent_setup(void **state)
{
    fixture_no_core(state);
    lent_begin(NULL, NULL);
    return 0;
}

int where_am_i(void *arg)
{
    struct where *where = arg;
    struct sched_param param = {0};
    expect(sched_getparam(0, &param) == 0);
    *where = (struct where){.thread = gettid(),
                            .pid = ant_self(),
                            .level = atomic_load(&atomic_load(&antk_self->thread)->priority),
                            .real_time = param.sched_priority,
                            .stack = __builtin_frame_address(0)};
    return 0;
}

struct where where_is(ant_pid puppet)
{
    struct where where;
    assert_int_equal(puppet_do(puppet, where_am_i, &where), 0);
    assert_true(where.pid == puppet);
    if (on_fifo())
        assert_int_equal(where.real_time, ANT_RT_BASE_DEFAULT + where.level);
    return where;
}

bool is_at_rest(ant_pid server)
{
    struct antk_endpoint *ep = antk_pin(antk_self->core, server);
    if (!ep)
        return false;
    antk_lock(&ep->lock);
    bool receiving = ep->receiving;
    antk_unlock(&ep->lock);
    antk_unpin(ep);
    return receiving;
}

void await_rest(ant_pid server)
{
    assert_soon(is_at_rest(server));
}

struct ant_request *begin_call(ant_pid client, uint32_t function, uint32_t operation)
{
    struct ant_request *rq = puppet_new_request(client, function);
    rq->operation = operation;
    puppet_begin_call(client, rq, ANT_FOREVER);
    return rq;
}

int end_call(ant_pid client, struct ant_request *rq)
{
    int rc = puppet_end(client);
    if (rq->data)
        assert_int_equal(puppet_ica_free(client, rq->data), 0);
    assert_int_equal(puppet_request_free(client, rq), 0);
    return rc;
}

struct ant_request *lend(ant_pid client)
{
    pid_t thread = where_is(client).thread;
    await_rest(mortal_pid);
    struct ant_request *rq = begin_call(client, FN, OP_OBEY);
    puppet_await(mortal_pid);
    assert_int_equal(where_is(mortal_pid).thread, thread);
    return rq;
}

void take_back(ant_pid client, struct ant_request *rq)
{
    puppet_release(mortal_pid);
    assert_int_equal(end_call(client, rq), 0);
}

bool lends(ant_pid client, uint32_t function, ant_pid server, int64_t timeout_ns)
{
    pid_t thread = where_is(client).thread;
    struct ant_request *rq = puppet_new_request(client, function);
    rq->operation = OP_OBEY;
    await_rest(server);
    puppet_begin_call(client, rq, timeout_ns);
    puppet_await(server);
    bool lent = where_is(server).thread == thread;
    puppet_release(server);
    assert_int_equal(end_call(client, rq), 0);
    return lent;
}
