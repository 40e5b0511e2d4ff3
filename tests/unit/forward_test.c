/* ctest: machines=virtual,other,real movers=strict,strict-mremap,flat,copy */
/* ant_forward: what the next server finds, what the client gets, who answers for it, and that a refusal changes nothing. */
#include "lent.h"

#include <pthread.h>

#define FN_FIRST 21u
#define FN_SECOND 22u

static ant_pid first, second;

static void begin(void)
{
    first = puppet_create("first", 0);
    second = puppet_create("second", 0);
    assert_ok(puppet_function_add(first, FN_FIRST));
    assert_ok(puppet_function_add(second, FN_SECOND));
}

static int setup(void **state)
{
    fixture_setup(state);
    begin();
    return 0;
}
#define forward_test(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

/* ---- acts of a server that passes something on ---- */

struct pass {
    struct ant_request *rq;
    uint32_t function, operation;
    void *data;
    uint8_t payload;
};

/* What it writes, then the call. */
static int pass_on(void *arg)
{
    const struct pass *pass = arg;
    pass->rq->operation = pass->operation;
    pass->rq->data = pass->data;
    pass->rq->payload[0] = pass->payload;
    return ant_forward(pass->rq, pass->function);
}

static int pass_on_as_it_came(void *arg)
{
    const struct pass *pass = arg;
    return ant_forward(pass->rq, pass->function);
}

static int puppet_forward(ant_pid pid, struct ant_request *rq, uint32_t function)
{
    struct pass pass = {.rq = rq, .function = function};
    return puppet_do(pid, pass_on_as_it_came, &pass);
}

struct seen {
    struct ant_request *rq;
    struct ant_request header; /* its payload, too */
    char first_of_data;
};

/* Requests are looked at by whoever has them: with a strict mover nobody else can. */
static int look(void *arg)
{
    struct seen *seen = arg;
    seen->header = *seen->rq;
    seen->first_of_data = seen->rq->data ? *(char *)seen->rq->data : 0;
    return 0;
}

static struct seen seen_by(ant_pid pid, struct ant_request *rq)
{
    static struct seen seen;
    seen.rq = rq;
    assert_ok(puppet_do(pid, look, &seen));
    return seen;
}

static int write_data(void *area)
{
    *(char *)area = 'B';
    return 0;
}

/* ---- what everybody sees ---- */

static struct ant_request *send_first(uint64_t cookie)
{
    struct ant_request *rq = new_request(FN_FIRST);
    rq->operation = 5;
    rq->cookie = cookie;
    rq->payload[0] = 1;
    rq->payload_bytes = 8;
    assert_ok(ant_send(rq));
    return rq;
}

static void take(struct ant_request *rq, int32_t status, ant_pid peer)
{
    assert_ptr_equal(boss_result(), rq);
    assert_int_equal(rq->error, 0);
    assert_int_equal(rq->status, status);
    assert_int_equal(rq->function, FN_FIRST);
    assert_int_equal(rq->operation, 5);
    assert_true(rq->peer == peer);
}

static void take_and_free(struct ant_request *rq, int32_t status, ant_pid peer)
{
    take(rq, status, peer);
    assert_ok(ant_request_free(rq));
}

static void the_next_server_answers_the_client(void **state)
{
    (void)state;
    struct ant_request *rq = new_request(FN_FIRST);
    char *data = rq->data = new_area(2);
    *data = 'A';
    rq->operation = 5;
    rq->cookie = 99;
    rq->flags = ANT_REPEATABLE;
    rq->payload_bytes = 8;
    assert_ok(ant_send(rq));
    struct ant_request *at_first = puppet_take_request(first);
    struct seen seen = seen_by(first, at_first);
    void *other = puppet_new_area(first, 3);
    assert_ok(puppet_do(first, write_data, other));
    assert_ok(puppet_ica_free(first, seen.header.data)); /* it is the server's to keep */
    struct pass pass = {at_first, FN_SECOND, 6, other, 2};
    assert_ok(puppet_do(first, pass_on, &pass));
    assert_int_equal(info_of(first).in_service, 0);
    assert_int_equal(info_of(first).pages, 0);
    assert_error(puppet_reply(first, at_first, 0), EPERM);
    struct ant_request *at_second = puppet_take_request(second);
    seen = seen_by(second, at_second);
    assert_int_equal(seen.header.function, FN_SECOND);
    assert_int_equal(seen.header.operation, 6);
    assert_true(seen.header.cookie == 99 && seen.header.peer == ant_self());
    assert_int_equal(seen.header.flags, ANT_REPEATABLE);
    assert_int_equal(seen.header.payload[0], 2);
    assert_int_equal(seen.header.payload_bytes, 8);
    assert_int_equal(seen.header.status, 0);
    assert_int_equal(seen.first_of_data, 'B');
    assert_ok(puppet_reply(second, at_second, 7));
    take(rq, 7, second);
    assert_true(rq->cookie == 99 && rq->flags == ANT_REPEATABLE && rq->payload[0] == 2);
    assert_int_equal(*(char *)rq->data, 'B');
    assert_ok(ant_ica_free(rq->data));
    assert_ok(ant_request_free(rq));
}

static void who_looks_what_is_under_way_sees_it(void **state)
{
    (void)state;
    struct ant_pending item;
    size_t count;
    struct ant_request *rq = send_first(3), *at_first = puppet_take_request(first);
    struct pass pass = {at_first, FN_SECOND, 6, NULL, 2};
    assert_ok(puppet_do(first, pass_on, &pass));
    assert_ok(ant_pending(ANT_OUTSTANDING, &item, 1, &count));
    assert_int_equal(count, 1);
    assert_ptr_equal(item.request, rq);
    assert_true(item.function == FN_FIRST && item.operation == 5 && item.peer == second);
    assert_int_equal(info_of(second).queued_requests, 1);
    struct ant_request *at_second = puppet_take_request(second);
    assert_ok(puppet_pending(second, ANT_IN_SERVICE, &item, 1, &count));
    assert_int_equal(count, 1);
    assert_ptr_equal(item.request, at_second);
    assert_true(item.function == FN_SECOND && item.operation == 6 && item.peer == ant_self());
    assert_ok(puppet_reply(second, at_second, 0));
    take_and_free(rq, 0, second);
}

static void a_client_that_waits_gets_the_result(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    struct ant_request *rq = puppet_new_request(client, FN_FIRST);
    puppet_begin_call(client, rq, ANT_FOREVER);
    assert_ok(puppet_forward(first, puppet_take_request(first), FN_SECOND));
    assert_ok(puppet_reply(second, puppet_take_request(second), 4));
    assert_int_equal(puppet_end(client), 0);
    struct seen seen = seen_by(client, rq);
    assert_true(seen.header.status == 4 && seen.header.function == FN_FIRST && seen.header.peer == second);
    assert_ok(puppet_request_free(client, rq));
}

static void it_goes_to_the_end_of_the_queue(void **state)
{
    (void)state;
    struct ant_request *queued = new_request(FN_SECOND);
    queued->cookie = 1;
    assert_ok(ant_send(queued));
    struct ant_request *rq[3];
    for (uint64_t i = 0; i < 3; i++)
        rq[i] = send_first(2 + i);
    for (uint64_t i = 0; i < 3; i++)
        assert_ok(puppet_forward(first, puppet_take_request(first), FN_SECOND));
    for (uint64_t i = 0; i < 4; i++) {
        struct ant_request *next = puppet_take_request(second);
        assert_true(seen_by(second, next).header.cookie == 1 + i);
        assert_ok(puppet_reply(second, next, 0));
    }
    assert_ptr_equal(boss_result(), queued);
    assert_ok(ant_request_free(queued));
    for (uint64_t i = 0; i < 3; i++)
        take_and_free(rq[i], 0, second);
}

static void a_server_may_put_it_off_but_not_for_ever(void **state)
{
    (void)state;
    struct ant_request *rq = send_first(1), *later = send_first(2), *next;
    next = puppet_take_request(first);
    assert_ok(puppet_forward(first, next, FN_FIRST));
    struct ant_request *of_later = puppet_take_request(first);
    assert_true(seen_by(first, of_later).header.cookie == 2);
    assert_ok(puppet_reply(first, of_later, 0));
    take_and_free(later, 0, first);
    for (uint32_t i = 1; i < ANT_FORWARDS_MAX; i++) {
        next = puppet_take_request(first);
        assert_ok(puppet_forward(first, next, FN_FIRST));
    }
    next = puppet_take_request(first);
    assert_error(puppet_forward(first, next, FN_FIRST), ELOOP);
    assert_error(puppet_forward(first, next, FN_SECOND), ELOOP);
    assert_ok(puppet_reply(first, next, 8));
    take(rq, 8, first);
    assert_ok(ant_send(rq)); /* sent again, it can be passed on again */
    assert_ok(puppet_forward(first, puppet_take_request(first), FN_SECOND));
    assert_ok(puppet_reply(second, puppet_take_request(second), 9));
    take_and_free(rq, 9, second);
}

/* ---- refusals ---- */

struct refused {
    struct ant_request *rq;
    struct ant_request before, after;
    char first_of_data;
    uint32_t function;
    int result;
};

static int be_refused(void *arg)
{
    struct refused *r = arg;
    r->before = *r->rq;
    r->result = ant_forward(r->rq, r->function);
    r->after = *r->rq;
    r->first_of_data = r->rq->data ? *(char *)r->rq->data : 0;
    return r->result;
}

static struct refused refused;

/* Refused, and as it was. */
static int forward_in_vain(ant_pid pid, struct ant_request *rq, uint32_t function)
{
    refused.rq = rq;
    refused.function = function;
    int rc = puppet_do(pid, be_refused, &refused);
    assert_memory_equal(&refused.before, &refused.after, sizeof refused.before);
    return rc;
}
#define assert_refused(pid, rq, function, error_name)                                              \
    assert_was(ant_forward, forward_in_vain(pid, rq, function), error_name)

static void a_refusal_changes_nothing(void **state)
{
    (void)state;
    ant_pid full, pid;
    struct ant_server_options one = {.queue_limit = 1}, failing = {.on_death = ANT_DEATH_FAIL};
    mortal_begin(&one);
    full = mortal_pid;
    struct ant_request *busy = send_op(OP_OBEY, 0);
    puppet_await(full);
    struct ant_request *queued = send_op(OP_COUNT, 0);
    assert_ok(ant_serve(FN_OTHER, &mortal_one, &failing, &pid));
    assert_ok(ant_kill(pid));
    await_death(pid);
    struct ant_request *rq[3], *there[3];
    for (uint64_t i = 0; i < 3; i++)
        rq[i] = send_first(i);
    for (uint64_t i = 0; i < 3; i++)
        there[i] = puppet_take_request(first);
    void *data = puppet_new_area(first, 2);
    assert_ok(puppet_do(first, write_data, data));
    struct pass pass = {there[1], 0, 77, data, 3};
    assert_was(ant_forward, puppet_do(first, pass_on, &pass), EINVAL);
    assert_refused(first, there[1], 0, EINVAL);
    assert_refused(first, there[1], FN_EXTRA, ESRCH);
    assert_refused(first, there[1], FN, EAGAIN);
    assert_int_equal(refused.first_of_data, 'B');
    assert_refused(first, there[1], FN_OTHER, EOWNERDEAD);
    assert_int_equal(refused.first_of_data, 'B');
    assert_int_equal(info_of(first).in_service, 3);
    struct ant_pending items[5];
    size_t count, found = 0;
    assert_ok(puppet_pending(first, ANT_IN_SERVICE, items, 5, &count));
    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(items[i].request == there[i] && items[i].function == FN_FIRST &&
                    items[i].operation == 5);
    assert_ok(ant_pending(ANT_OUTSTANDING, items, 5, &count));
    for (size_t i = 0; i < count; i++)
        found += items[i].function == FN_FIRST && items[i].peer == first;
    assert_true(count == 5 && found == 3);
    assert_ok(puppet_reply(first, there[1], 4));
    take(rq[1], 4, first);
    assert_int_equal(*(char *)rq[1]->data, 'B');
    assert_ok(ant_ica_free(rq[1]->data));
    assert_ok(ant_request_free(rq[1]));
    assert_ok(puppet_reply(first, there[0], 0));
    take_and_free(rq[0], 0, first);
    assert_ok(puppet_reply(first, there[2], 0));
    take_and_free(rq[2], 0, first);
    puppet_release(full);
    take_answer(busy, 1);
    take_answer(queued, 1);
    assert_ok(ant_stop(pid, SOON, NULL));
}

static void *forward_from_outside(void *rq)
{
    expect_error(ant_forward(rq, FN_SECOND), EPERM);
    return NULL;
}

static char no_area[ANT_PAGE_BYTES];

static int forward_wrong_data(void *arg)
{
    struct ant_request *rq = arg, *held;
    char *area;
    expect_ok(ant_ica_alloc(2, (void **)&area));
    expect_ok(ant_request_new(FN_SECOND, &held));
    rq->data = no_area;
    expect_error(ant_forward(rq, FN_SECOND), EFAULT);
    rq->data = area + 64;
    expect_error(ant_forward(rq, FN_SECOND), EINVAL);
    rq->data = held;
    expect_error(ant_forward(rq, FN_SECOND), EINVAL);
    expect_error(ant_forward(held, FN_SECOND), EPERM); /* it is its client */
    expect_error(ant_forward((struct ant_request *)(void *)area, FN_SECOND), EINVAL);
    expect_error(ant_forward((struct ant_request *)(void *)no_area, FN_SECOND), EFAULT);
    rq->data = NULL;
    expect_ok(ant_request_free(held));
    expect_ok(ant_ica_free(area));
    return 0;
}

static int forward_state(void *arg)
{
    struct ant_request *rq = arg;
    rq->data = ant_state();
    expect_error(ant_forward(rq, FN_SECOND), EBUSY);
    rq->data = NULL;
    return 0;
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    pthread_t thread;
    struct ant_request *rq = send_first(1), *there = puppet_take_request(first);
    assert_error(ant_forward(rq, FN_SECOND), EPERM); /* it is out */
    assert_int_equal(pthread_create(&thread, NULL, forward_from_outside, there), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_ok(puppet_do(first, forward_wrong_data, there));
    assert_ok(puppet_forward(first, there, FN_SECOND));
    assert_error(puppet_forward(first, there, FN_SECOND), EPERM);
    assert_ok(puppet_reply(second, puppet_take_request(second), 0));
    take_and_free(rq, 0, second);
    mortal_begin(NULL);
    struct ant_request *busy = send_op(OP_OBEY, 0), *kept = send_op(OP_COUNT, 0);
    puppet_await(mortal_pid);
    struct ant_pending item;
    size_t count;
    assert_ok(puppet_pending(mortal_pid, ANT_IN_SERVICE, &item, 1, &count));
    assert_ok(puppet_do(mortal_pid, forward_state, item.request));
    puppet_release(mortal_pid);
    take_answer(busy, 1);
    take_answer(kept, 1);
}

static void a_client_cannot_be_made_to_wait_for_itself(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    assert_ok(puppet_function_add(client, FN_EXTRA));
    struct ant_request *rq = puppet_new_request(client, FN_FIRST);
    puppet_begin_call(client, rq, ANT_FOREVER);
    struct ant_request *there = puppet_take_request(first);
    assert_refused(first, there, FN_EXTRA, EDEADLK);
    assert_ok(puppet_reply(first, there, 3));
    assert_int_equal(puppet_end(client), 0);
    assert_ok(puppet_send(client, rq)); /* one that does not wait may be asked */
    assert_ok(puppet_forward(first, puppet_take_request(first), FN_EXTRA));
    assert_ok(puppet_reply(client, puppet_take_request(client), 4));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_int_equal(seen_by(client, rq).header.status, 4);
    assert_ok(puppet_request_free(client, rq));
}

/* ---- it is not withdrawn any more ---- */

static void a_time_limit_does_not_withdraw_it(void **state)
{
    (void)state;
    ant_pid client = puppet_create("client", 0);
    for (uint32_t function = FN_FIRST; function <= FN_SECOND;
         function++) { /* also if it is at the same server again */
        struct ant_request *rq = puppet_new_request(client, FN_FIRST);
        ant_pid server = function == FN_FIRST ? first : second;
        puppet_await(client);
        puppet_await(first);
        puppet_begin_call(client, rq, A_WHILE * 5);
        assert_ok(puppet_forward(first, puppet_take_request(first), function));
        assert_was(ant_call, puppet_end(client), EINPROGRESS);
        assert_int_equal(info_of(server).queued_requests, 1);
        assert_ok(puppet_reply(server, puppet_take_request(server), 5));
        assert_ptr_equal(puppet_take_result(client), rq);
        struct seen seen = seen_by(client, rq);
        assert_true(seen.header.status == 5 && seen.header.error == 0 && seen.header.peer == server);
        assert_ok(puppet_request_free(client, rq));
    }
}

static void it_cannot_be_cancelled(void **state)
{
    (void)state;
    struct ant_request *rq = send_first(1);
    assert_ok(puppet_forward(first, puppet_take_request(first), FN_SECOND));
    assert_error(ant_cancel(rq), EINPROGRESS);
    struct ant_request *there = puppet_take_request(second);
    assert_error(ant_cancel(rq), EINPROGRESS);
    assert_ok(puppet_reply(second, there, 0));
    take_and_free(rq, 0, second);
}

static void a_client_s_end_does_not_withdraw_it(void **state)
{
    (void)state;
    size_t free_before = free_pages();
    for (uint32_t early = 0; early <= 1; early++) {
        ant_pid client = puppet_create("client", 0);
        struct ant_request *rq = puppet_new_request(client, FN_FIRST);
        assert_ok(puppet_send(client, rq));
        struct ant_request *there = puppet_take_request(first);
        if (early)
            puppet_dismiss(client);
        assert_ok(puppet_forward(first, there, FN_SECOND));
        if (!early)
            puppet_dismiss(client);
        there = puppet_take_request(second);
        assert_true(seen_by(second, there).header.peer == client);
        assert_ok(puppet_reply(second, there, 0));
        assert_int_equal(free_pages(), free_before);
    }
}

/* ---- the next server ends, dies, is replaced ---- */

static void when_the_next_server_ends_the_client_is_told(void **state)
{
    (void)state;
    struct ant_request *queued = send_first(1), *served = send_first(2);
    assert_ok(puppet_forward(first, puppet_take_request(first), FN_SECOND));
    assert_ok(puppet_forward(first, puppet_take_request(first), FN_SECOND));
    puppet_take_request(second);
    puppet_dismiss(second);
    for (int i = 0; i < 2; i++) {
        struct ant_request *rq = boss_result();
        assert_true(rq == queued || rq == served);
        assert_int_equal(rq->error, -EOWNERDEAD);
        assert_true(rq->function == FN_FIRST && rq->operation == 5 && rq->peer == second);
        assert_ok(ant_request_free(rq));
    }
}

static void one_that_may_be_repeated_is_put_to_the_successor_as_it_was_passed_on(void **state)
{
    (void)state;
    mortal_begin(NULL);
    struct ant_request *rq = send_to(FN_FIRST, 5, 31, ANT_REPEATABLE), *once = send_first(32);
    for (int i = 0; i < 2; i++) {
        struct ant_request *there = puppet_take_request(first);
        struct pass pass = {there, FN, OP_KEEP_FIRST, NULL, 2};
        assert_ok(puppet_do(first, pass_on, &pass));
    }
    assert_soon(info_of(mortal_pid).in_service == 2);
    mortal_kill();
    assert_ptr_equal(boss_result(), once);
    assert_int_equal(once->error, -EOWNERDEAD);
    assert_ok(ant_request_free(once));
    assert_ok(ant_swap(FN, &mortal_one_again, NULL, NULL));
    take(rq, 0, mortal_pid);
    assert_int_equal(answer_in(rq)->version, 2);
    assert_ok(ant_request_free(rq));
    assert_int_equal(mortal.seen_count, 3);
    const struct mortal_request *again = &mortal.seen[2];
    assert_true(again->function == FN && again->operation == OP_KEEP_FIRST && again->cookie == 31);
    assert_int_equal(again->generation, 2);
}

static void a_swap_of_the_next_server_hands_it_over(void **state)
{
    (void)state;
    struct ant_swap_report report;
    ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
    mortal_begin(NULL);
    struct ant_request *rq = send_first(1), *there = puppet_take_request(first), *busy = make_obey();
    puppet_begin_swap(requester, FN, &mortal_one_again, NULL, &report);
    assert_soon(steps_in_trace(ANT_SWAP_NOTIFY, 2) > 0);
    struct pass pass = {there, FN, OP_COUNT, NULL, 2};
    assert_ok(puppet_do(first, pass_on, &pass));
    puppet_release(mortal_pid);
    assert_int_equal(puppet_end(requester), 0);
    assert_int_equal(report.queued_requests.arrived, 1);
    assert_int_equal(report.queued_requests.handed_over, 1);
    assert_adds_up(&report);
    take_answer(busy, 1);
    take(rq, 0, mortal_pid);
    assert_int_equal(answer_in(rq)->version, 2);
    assert_ok(ant_request_free(rq));
}

static void it_is_in_the_trace(void **state)
{
    (void)state;
    static struct ant_event events[4096];
    size_t count, found = 0, received = 0;
    struct ant_request *rq = send_first(77);
    assert_ok(puppet_forward(first, puppet_take_request(first), FN_SECOND));
    assert_ok(puppet_reply(second, puppet_take_request(second), 0));
    take_and_free(rq, 0, second);
    assert_ok(ant_trace_read(events, 4096, &count));
    for (size_t i = 0; i < count; i++) {
        found += events[i].kind == ANT_EVENT_FORWARD && events[i].a == FN_SECOND && events[i].b == 77;
        received += events[i].kind == ANT_EVENT_RECEIVE && events[i].a == FN_SECOND && events[i].b == 77;
    }
    assert_true(found == 1 && received == 1);
}

/* ---- direct calls ---- */

static void pass_on_at_once(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    expect_ok(ant_forward(rq, FN_SECOND));
}

static const struct ant_program direct = {
    .abi = ANT_ABI, .name = "direct", .request = pass_on_at_once, .direct = true};

static void a_direct_call_waits_for_the_next_server(void **state)
{
    (void)state;
    struct ant_config config = lent_config();
    fixture_boot(&config);
    begin();
    ant_pid client = puppet_create("client", 0), server = serve(FN, &direct, NULL);
    for (int i = 0; i < 3; i++) {
        struct ant_request *rq = puppet_new_request(client, FN);
        await_rest(server);
        puppet_begin_call(client, rq, ANT_FOREVER);
        assert_ok(puppet_reply(second, puppet_take_request(second), i));
        assert_int_equal(puppet_end(client), 0);
        struct seen seen = seen_by(client, rq);
        assert_true(seen.header.status == i && seen.header.peer == second && seen.header.function == FN);
        assert_ok(puppet_request_free(client, rq));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        forward_test(the_next_server_answers_the_client),
        forward_test(who_looks_what_is_under_way_sees_it),
        forward_test(a_client_that_waits_gets_the_result),
        forward_test(it_goes_to_the_end_of_the_queue),
        forward_test(a_server_may_put_it_off_but_not_for_ever),
        forward_test(a_refusal_changes_nothing),
        forward_test(nonsense_is_refused),
        forward_test(a_client_cannot_be_made_to_wait_for_itself),
        forward_test(a_time_limit_does_not_withdraw_it),
        forward_test(it_cannot_be_cancelled),
        forward_test(a_client_s_end_does_not_withdraw_it),
        forward_test(when_the_next_server_ends_the_client_is_told),
        forward_test(one_that_may_be_repeated_is_put_to_the_successor_as_it_was_passed_on),
        forward_test(a_swap_of_the_next_server_hands_it_over),
        forward_test(it_is_in_the_trace),
        cmocka_unit_test_setup_teardown(a_direct_call_waits_for_the_next_server, fixture_no_core,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
