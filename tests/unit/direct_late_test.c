/* ctest: machines=other movers=flat timeout=60 */
/*
 * Direct calls while the server's own thread is on its way: woken by a permit that was left over it looks for messages again, and before
 * it has the lock for that a client has lent itself, and the callback has left its process.
 *
 * The thread is held where it is about to take that lock, through tests/support/wrap.h.
 */
#include "lent.h"
#include "wrap.h"

#include "core/core.h"
#include "core/direct.h"

#include <pthread.h>
#include <semaphore.h>

static sem_t held, free_to_go;
static _Atomic(struct antk_body *) late; /* whose own thread is to be held; NULL: nobody's any more */

/* On the thread that is about to take a lock. Nobody but the server's own thread writes receiving while that is awake and nobody is lent. */
static void hold(const void *lock)
{
    struct antk_body *body = atomic_load(&late);
    if (!body || lock != &body->endpoint->lock ||
        !pthread_equal(pthread_self(), body->own_thread.pthread) || !body->endpoint->receiving)
        return;
    atomic_store(&late, NULL);
    sem_post(&held);
    sem_wait(&free_to_go);
}

/* The server makes a direct call itself, whose answer leaves its own thread a permit: so that looks for messages once more. There it is held. */
static struct antk_body *hold_own_thread(void)
{
    ant_pid driver = serve(FN_DRIVER, &lent_one, NULL);
    await_rest(mortal_pid);
    await_rest(driver);
    struct antk_endpoint *ep = antk_pin(antk_self->core, mortal_pid);
    assert_non_null(ep);
    antk_unpin(ep);
    sem_init(&held, 0, 0);
    sem_init(&free_to_go, 0, 0);
    struct antk_body *body = ep->body;
    atomic_store(&late, body);
    wrap_lock_seen(hold);
    struct ant_request *rq = send_op(OP_ASK, 0); /* sent, not called: it is served by its own thread */
    take_answer(rq, 1);
    sem_wait(&held);
    return body;
}

/* A direct call has ended, and the callback with its process. */
static bool has_been_left(struct antk_body *body)
{
    antk_lock(&body->endpoint->lock);
    bool left = !antk_is_lent(body) && body->left; /* while it is lent, that thread writes it without the lock */
    antk_unlock(&body->endpoint->lock);
    return left;
}

static void let_go(void)
{
    wrap_lock_seen(NULL);
    sem_post(&free_to_go);
}

static void what_exits_in_a_direct_call_serves_nobody_any_more(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    struct antk_body *body = hold_own_thread();
    struct ant_request *rq = begin_call(client, FN, OP_EXIT);
    assert_soon(has_been_left(body));
    struct ant_request *queued = send_op(OP_COUNT, 1);
    let_go();
    int status = 0;
    assert_ok(ant_wait(mortal_pid, SOON, &status));
    assert_int_equal(status, 3);
    take_error(queued, -EOWNERDEAD);
    assert_int_equal(end_call(client, rq), -EOWNERDEAD);
    puppet_dismiss(client);
}

static void what_replaces_itself_in_a_direct_call_serves_nobody_any_more(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    struct ant_request *obeying = make_obey();
    assert_ok(puppet_function_add(mortal_pid, FN_OTHER));
    puppet_release(mortal_pid);
    take_answer(obeying, 1);
    struct antk_body *body = hold_own_thread();
    struct ant_request *rq = begin_call(client, FN, OP_SWAP_OTHER);
    assert_soon(has_been_left(body));
    obeying = make_obey(); /* its successor, which is busy so */
    struct ant_request *queued = send_op(OP_COUNT, 0);
    let_go();
    assert_soon(atomic_load(&antk_self->core->live_threads) == 3); /* the client, the driver, the successor */
    assert_int_equal(info_of(mortal_pid).queued_requests, 1);
    puppet_release(mortal_pid);
    take_answer(obeying, 2);
    take_answer(queued, 2);
    assert_int_equal(ant_stop(mortal_pid, SOON, NULL), 0);
    assert_int_equal(end_call(client, rq), -ESHUTDOWN);
    puppet_dismiss(client);
}

static void the_successor_of_the_dead_is_woken(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    hold_own_thread();
    atomic_store(&mortal.spin, true);
    struct ant_request *rq = begin_call(client, FN, OP_SPIN);
    assert_soon(atomic_load(&mortal.spins));
    assert_ok(ant_kill(mortal_pid)); /* outside the core: it is dead at once */
    await_death(mortal_pid);
    assert_ok(ant_swap(FN, &lent_one_again, NULL, NULL));
    await_rest(mortal_pid);
    atomic_store(&mortal.spin, false);
    assert_int_equal(puppet_end(client), -EOWNERDEAD);
    let_go();
    assert_soon(atomic_load(&antk_self->core->live_threads) == 3); /* the client, the driver, the successor */
    assert_true(is_at_rest(mortal_pid));
    assert_int_equal(end_call(client, rq), -EOWNERDEAD);
    puppet_dismiss(client);
}

/* On the client's thread, which has left the callback and is itself again, and is about to give the server back. */
static void hold_giver(const void *lock)
{
    struct antk_body *body = atomic_load(&late);
    if (!body || lock != &body->endpoint->lock || antk_self == body ||
        !pthread_equal(pthread_self(), atomic_load(&body->thread)->pthread) || !antk_is_lent(body))
        return;
    atomic_store(&late, NULL);
    sem_post(&held);
    sem_wait(&free_to_go);
}

/* Who kills it has nobody to wake but the client's thread. */
static void killed_when_the_callback_is_over_it_dies_all_the_same(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    struct antk_endpoint *ep = antk_pin(antk_self->core, mortal_pid);
    assert_non_null(ep);
    antk_unpin(ep);
    await_rest(mortal_pid);
    sem_init(&held, 0, 0);
    sem_init(&free_to_go, 0, 0);
    atomic_store(&late, ep->body);
    wrap_lock_seen(hold_giver);
    struct ant_request *rq = begin_call(client, FN, OP_COUNT);
    sem_wait(&held);
    assert_ok(ant_kill(mortal_pid));
    assert_false(is_dead(mortal_pid));
    let_go();
    await_death(mortal_pid);
    assert_int_equal(end_call(client, rq), 0);
    assert_ok(ant_swap(FN, &lent_one_again, NULL, NULL));
    assert_serves(2, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        lent_test(what_exits_in_a_direct_call_serves_nobody_any_more),
        lent_test(what_replaces_itself_in_a_direct_call_serves_nobody_any_more),
        lent_test(the_successor_of_the_dead_is_woken),
        lent_test(killed_when_the_callback_is_over_it_dies_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
