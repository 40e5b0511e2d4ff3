/* ctest: machines=virtual,real movers=strict,strict-mremap,flat,copy */
/*
 * Requests and results: what comes back, in which order, to whom, and what happens when it cannot.
 *
 * Client and server are puppets (puppet.h): the test chooses every interleaving. Errors of a host without memory are in
 * host_test.c.
 */
#include "fixture.h"
#include "puppet.h"

#define FN 7u
#define FN_OTHER 8u

/* A client that may be above or below the server does not matter here; order of events is the test's. */
static ant_pid client, server;

static int setup(void **state)
{
    fixture_setup(state);
    client = puppet_create("client", 0);
    server = puppet_create("server", 0);
    assert_ok(puppet_function_add(server, FN));
    return 0;
}

#define request_test(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

/* Sent by the client, and received by the server: the request, as the server sees it. */
static struct ant_request *put_in_service(struct ant_request *rq)
{
    assert_ok(puppet_send(client, rq));
    return puppet_take_request(server);
}

/* What is not in a puppet's own talk with the boss. */
static uint32_t out_of(ant_pid puppet)
{
    puppet_await(puppet);
    return info_of(puppet).outstanding - 1;
}

/* ---- a request and its result ---- */

static void request_header_is_clear_but_for_function(void **state)
{
    (void)state;
    struct ant_request *rq = new_request(FN);
    assert_true((uintptr_t)rq % ANT_PAGE_BYTES == 0);
    assert_int_equal(rq->function, FN);
    assert_int_equal(rq->operation, 0);
    assert_int_equal(rq->cookie, 0);
    assert_null(rq->data);
    assert_int_equal(rq->data_bytes, 0);
    assert_true(rq->peer == 0);
    assert_int_equal(rq->payload_bytes, 0);
    assert_int_equal(rq->status, 0);
    assert_int_equal(rq->error, 0);
    memset(rq, 0xff, sizeof *rq);
    assert_ok(ant_request_free(rq));
    struct ant_request *again = new_request(FN_OTHER);
    assert_ptr_equal(again, rq); /* the page that this process left */
    assert_int_equal(again->function, FN_OTHER);
    assert_int_equal(again->operation, 0);
    assert_int_equal(again->cookie, 0);
    assert_null(again->data);
    assert_int_equal(again->data_bytes, 0);
    assert_true(again->peer == 0);
    assert_int_equal(again->payload_bytes, 0);
    assert_int_equal(again->status, 0);
    assert_int_equal(again->error, 0);
    assert_int_equal(again->flags | again->reserved[0] | again->reserved[1], 0);
    assert_ok(ant_request_free(again));
}

static void a_request_fits_its_page_exactly(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct ant_request), ANT_PAGE_BYTES);
    assert_int_equal(offsetof(struct ant_request, payload), ANT_REQUEST_HEADER_BYTES);
}

static void synchronous_call_brings_status_and_payload_back(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    rq->operation = 42;
    rq->cookie = UINT64_C(0x1122334455667788);
    rq->payload_bytes = ANT_PAYLOAD_BYTES;
    for (size_t i = 0; i < ANT_PAYLOAD_BYTES; i++)
        rq->payload[i] = (unsigned char)(i * 7);
    puppet_begin_call(client, rq, SOON);
    struct ant_request *at_server = puppet_take_request(server);
    assert_int_equal(at_server->function, FN);
    assert_int_equal(at_server->operation, 42);
    assert_true(at_server->cookie == UINT64_C(0x1122334455667788));
    assert_true(at_server->peer == client);
    assert_int_equal(at_server->payload_bytes, ANT_PAYLOAD_BYTES);
    assert_null(at_server->data);
    for (size_t i = 0; i < ANT_PAYLOAD_BYTES; i++)
        assert_int_equal(at_server->payload[i], (unsigned char)(i * 7));
    at_server->payload[0] = 0xee;
    at_server->payload[ANT_PAYLOAD_BYTES - 1] = 0xdd;
    at_server->payload_bytes = 2;
    assert_ok(puppet_reply(server, at_server, -77));
    assert_int_equal(puppet_end(client), 0);
    assert_int_equal(rq->status, -77);
    assert_int_equal(rq->error, 0);
    assert_int_equal(rq->payload_bytes, 2);
    assert_int_equal(rq->payload[0], 0xee);
    assert_int_equal(rq->payload[1], 7);
    assert_int_equal(rq->payload[ANT_PAYLOAD_BYTES - 1], 0xdd);
    assert_true(rq->peer == server);
    assert_ok(puppet_request_free(client, rq));
}

static void asynchronous_result_comes_by_receive_with_its_cookie(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    rq->cookie = 99;
    struct ant_request *at_server = put_in_service(rq);
    assert_int_equal(out_of(client), 1);
    assert_int_equal(info_of(server).in_service, 1);
    assert_ok(puppet_reply(server, at_server, 5));
    assert_int_equal(info_of(server).in_service, 0);
    assert_int_equal(info_of(client).queued_results, 1);
    struct ant_request *result = puppet_take_result(client);
    assert_ptr_equal(result, rq);
    assert_true(rq->cookie == 99);
    assert_int_equal(rq->status, 5);
    assert_int_equal(rq->error, 0);
    assert_int_equal(out_of(client), 0);
    struct ant_message message;
    assert_error(puppet_receive(client, &message, 0), ETIMEDOUT); /* one result, not two */
    assert_ok(puppet_request_free(client, rq));
}

static void a_request_can_be_sent_again_after_its_result(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    for (int round = 0; round < 20; round++) {
        rq->cookie = (uint64_t)round;
        rq->function = FN;
        struct ant_request *at_server = put_in_service(rq);
        assert_true(at_server->cookie == (uint64_t)round);
        assert_int_equal(at_server->status, 0);
        assert_ok(puppet_reply(server, at_server, round));
        assert_ptr_equal(puppet_take_result(client), rq);
        assert_int_equal(rq->status, round);
    }
    assert_ok(puppet_request_free(client, rq));
}

static void a_call_leaves_other_results_queued(void **state)
{
    (void)state;
    struct ant_request *first = puppet_new_request(client, FN);
    struct ant_request *second = puppet_new_request(client, FN);
    assert_ok(puppet_reply(server, put_in_service(first), 1));
    puppet_begin_call(client, second, SOON);
    assert_ok(puppet_reply(server, puppet_take_request(server), 2));
    assert_int_equal(puppet_end(client), 0);
    assert_int_equal(second->status, 2);
    assert_ptr_equal(puppet_take_result(client), first);
    assert_int_equal(first->status, 1);
    assert_ok(puppet_request_free(client, first));
    assert_ok(puppet_request_free(client, second));
}

static void requests_of_one_client_are_received_in_the_order_sent(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    struct ant_request *rq[COUNT];
    for (int i = 0; i < COUNT; i++) {
        rq[i] = puppet_new_request(client, FN);
        rq[i]->cookie = (uint64_t)i;
        assert_ok(puppet_send(client, rq[i]));
    }
    assert_int_equal(info_of(server).queued_requests, COUNT);
    for (int i = 0; i < COUNT; i++) {
        struct ant_request *at_server = puppet_take_request(server);
        assert_true(at_server->cookie == (uint64_t)i);
        assert_ok(puppet_reply(server, at_server, i));
    }
    assert_int_equal(info_of(server).queued_requests, 0);
    for (int i = 0; i < COUNT; i++) {
        assert_ptr_equal(puppet_take_result(client), rq[i]);
        assert_int_equal(rq[i]->status, i);
        assert_ok(puppet_request_free(client, rq[i]));
    }
}

static void a_server_may_answer_in_any_order(void **state)
{
    (void)state;
    struct ant_request *rq[4], *at_server[4];
    static const int order[4] = {2, 0, 3, 1};
    for (int i = 0; i < 4; i++) {
        rq[i] = puppet_new_request(client, FN);
        at_server[i] = put_in_service(rq[i]);
    }
    for (int i = 0; i < 4; i++)
        assert_ok(puppet_reply(server, at_server[order[i]], order[i]));
    for (int i = 0; i < 4; i++) {
        assert_ptr_equal(puppet_take_result(client), rq[order[i]]);
        assert_ok(puppet_request_free(client, rq[order[i]]));
    }
}

static void results_are_received_before_requests(void **state)
{
    (void)state;
    /* both directions at once: the server is the other's client, too */
    assert_ok(puppet_function_add(client, FN_OTHER));
    struct ant_request *up = puppet_new_request(client, FN),
                       *down = puppet_new_request(server, FN_OTHER);
    struct ant_request *up_at_server = put_in_service(up);
    assert_ok(puppet_send(server, down));             /* a request waits for the client */
    assert_ok(puppet_reply(server, up_at_server, 0)); /* then a result */
    assert_ptr_equal(puppet_take_result(client), up);
    assert_ok(puppet_reply(client, puppet_take_request(client), 0));
    assert_ptr_equal(puppet_take_result(server), down);
    assert_ok(puppet_request_free(client, up));
    assert_ok(puppet_request_free(server, down));
}

static void receive_wakes_for_a_request_that_comes_later(void **state)
{
    (void)state;
    struct ant_message message = {0};
    puppet_begin_receive(server, &message, SOON);
    struct ant_request *rq = puppet_new_request(client, FN);
    assert_ok(puppet_send(client, rq));
    assert_int_equal(puppet_end(server), 0);
    assert_int_equal(message.kind, ANT_REQUEST);
    assert_ok(puppet_reply(server, message.request, 0));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_ok(puppet_request_free(client, rq));
}

static void receive_gives_up_at_its_time_limit(void **state)
{
    (void)state;
    struct ant_message message = {.kind = (enum ant_message_kind)77};
    assert_error(puppet_receive(server, &message, 0), ETIMEDOUT);
    uint64_t before_ns = ant_now();
    assert_error(puppet_receive(server, &message, A_WHILE), ETIMEDOUT);
    assert_true(ant_now() - before_ns >= (uint64_t)A_WHILE);
    assert_int_equal(message.kind, 77); /* outputs only on success */
    assert_error(puppet_receive(server, NULL, 0), EINVAL);
}

static void a_process_may_send_to_itself(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(server, FN);
    rq->cookie = 3;
    assert_ok(puppet_send(server, rq));
    struct ant_request *served = puppet_take_request(server);
    assert_true(served->peer == server);
    assert_true(served->cookie == 3);
    assert_ok(puppet_reply(server, served, 8));
    assert_ptr_equal(puppet_take_result(server), rq);
    assert_int_equal(rq->status, 8);
    assert_ok(puppet_request_free(server, rq));
}

static void a_process_may_not_call_itself(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(server, FN);
    assert_error(puppet_call(server, rq, SOON), EDEADLK);
    assert_int_equal(info_of(server).queued_requests, 0);
    assert_ok(puppet_request_free(server, rq));
}

/* ---- data areas ---- */

static void fill(void *area, size_t pages, unsigned seed)
{
    unsigned char *bytes = area;
    for (size_t i = 0; i < pages * ANT_PAGE_BYTES; i++)
        bytes[i] = (unsigned char)(i * 31 + (i >> 12) + seed);
}

static void assert_filled(const void *area, size_t pages, unsigned seed)
{
    const unsigned char *bytes = area;
    for (size_t i = 0; i < pages * ANT_PAGE_BYTES; i++)
        if (bytes[i] != (unsigned char)(i * 31 + (i >> 12) + seed))
            fail_msg("byte %zu differs", i);
}

static void data_goes_with_the_request_and_comes_back_to_its_address(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 3, 7, 64, 255, 256, 300, 512, 513};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t pages = sizes[i];
        struct ant_request *rq = puppet_new_request(client, FN);
        void *data = puppet_new_area(client, pages);
        fill(data, pages, 1);
        rq->data = data;
        rq->data_bytes = pages * ANT_PAGE_BYTES - 5;
        size_t before = info_of(client).pages, server_before = info_of(server).pages;
        struct ant_request *at_server = put_in_service(rq);
        assert_int_equal(info_of(client).pages, before - pages - 1);
        assert_int_equal(info_of(server).pages, server_before + pages + 1);
        assert_true(at_server->data_bytes == pages * ANT_PAGE_BYTES - 5);
        struct ant_ica_info info;
        assert_ok(puppet_ica_info(server, at_server->data, &info));
        assert_int_equal(info.pages, pages);
        assert_filled(at_server->data, pages, 1);
        fill(at_server->data, pages, 2);
        assert_ok(puppet_reply(server, at_server, 0));
        assert_ptr_equal(puppet_take_result(client), rq);
        assert_ptr_equal(rq->data, data);
        assert_filled(data, pages, 2);
        assert_int_equal(info_of(client).pages, before);
        assert_ok(puppet_ica_free(client, data));
        assert_ok(puppet_request_free(client, rq));
    }
}

static void a_reply_may_bring_another_area_than_came(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    void *data = puppet_new_area(client, 2);
    fill(data, 2, 1);
    rq->data = data;
    struct ant_request *at_server = put_in_service(rq);
    void *came = at_server->data, *other = puppet_new_area(server, 5);
    fill(other, 5, 9);
    at_server->data = other;
    assert_ok(puppet_reply(server, at_server, 0));
    assert_filled(came, 2, 1); /* still the server's */
    assert_ok(puppet_ica_free(server, came));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_non_null(rq->data);
    struct ant_ica_info info;
    assert_ok(puppet_ica_info(client, rq->data, &info));
    assert_int_equal(info.pages, 5);
    assert_filled(rq->data, 5, 9);
    assert_ok(puppet_ica_free(client, rq->data));
    assert_ok(puppet_request_free(client, rq));
}

static void a_reply_without_data_leaves_what_came_with_the_server(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    rq->data = puppet_new_area(client, 2);
    struct ant_request *at_server = put_in_service(rq);
    void *came = at_server->data;
    at_server->data = NULL;
    assert_ok(puppet_reply(server, at_server, 0));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_null(rq->data);
    assert_ok(puppet_ica_free(server, came));
    assert_ok(puppet_request_free(client, rq));
}

static void a_reply_may_add_data_to_a_request_without(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    struct ant_request *at_server = put_in_service(rq);
    at_server->data = puppet_new_area(server, 3);
    fill(at_server->data, 3, 4);
    assert_ok(puppet_reply(server, at_server, 0));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_filled(rq->data, 3, 4);
    assert_ok(puppet_ica_free(client, rq->data));
    assert_ok(puppet_request_free(client, rq));
}

static void a_server_may_free_the_data_that_came(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    rq->data = puppet_new_area(client, 2);
    void *stale = rq->data;
    struct ant_request *at_server = put_in_service(rq);
    assert_ok(puppet_ica_free(server, at_server->data));
    assert_error(puppet_reply(server, at_server, 0), EFAULT); /* it names what is no more */
    at_server->data = NULL;
    assert_ok(puppet_reply(server, at_server, 0));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_null(rq->data);
    assert_error(puppet_ica_free(client, stale), EFAULT);
    assert_ok(puppet_request_free(client, rq));
}

static void freeing_a_request_leaves_the_data_it_names(void **state)
{
    (void)state;
    struct ant_request *rq = new_request(FN);
    void *data = new_area(2);
    rq->data = data;
    assert_ok(ant_request_free(rq));
    struct ant_ica_info info;
    assert_ok(ant_ica_info(data, &info));
    assert_ok(ant_ica_free(data));
}

/* ---- nothing in a page is trusted ---- */

static void a_server_cannot_change_what_the_core_restores(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    rq->operation = 11;
    rq->cookie = 12;
    struct ant_request *at_server = put_in_service(rq);
    void *data = at_server->data;
    memset(at_server, 0xa5, ANT_REQUEST_HEADER_BYTES);
    at_server->data = data;
    assert_ok(puppet_reply(server, at_server, 0));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_int_equal(rq->function, FN);
    assert_int_equal(rq->operation, 11);
    assert_true(rq->cookie == 12);
    assert_int_equal(rq->status, 0);
    assert_int_equal(rq->error, 0);
    assert_true(rq->peer == server);
    assert_null(rq->data);
    assert_ok(puppet_request_free(client, rq));
}

static void a_server_that_scribbles_a_data_pointer_is_refused(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    void *clients = puppet_new_area(client, 2);
    struct ant_request *at_server = put_in_service(rq);
    void *servers = puppet_new_area(server, 2);
    at_server->data = (void *)(uintptr_t)0xa5a5a5a5a5a5a5a5;
    assert_error(puppet_reply(server, at_server, 0), EFAULT);
    at_server->data = &rq;
    assert_error(puppet_reply(server, at_server, 0), EFAULT);
    at_server->data = clients;
    assert_error(puppet_reply(server, at_server, 0), EPERM);
    at_server->data = (char *)servers + ANT_PAGE_BYTES;
    assert_error(puppet_reply(server, at_server, 0), EINVAL);
    at_server->data = (char *)servers + 1;
    assert_error(puppet_reply(server, at_server, 0), EINVAL);
    at_server->data = at_server; /* the request itself */
    assert_error(puppet_reply(server, at_server, 0), EINVAL);
    assert_int_equal(info_of(server).in_service, 1); /* nothing has changed */
    at_server->data = NULL;
    assert_ok(puppet_reply(server, at_server, 0));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_ok(puppet_request_free(client, rq));
    assert_ok(puppet_ica_free(server, servers));
    assert_ok(puppet_ica_free(client, clients));
}

static void a_client_that_scribbles_its_header_gets_an_error(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    struct ant_request *other = puppet_new_request(client, FN);
    void *data = puppet_new_area(client, 2);
    rq->function = 0;
    assert_error(puppet_send(client, rq), EINVAL);
    assert_error(puppet_call(client, rq, SOON), EINVAL);
    rq->function = FN_OTHER;
    assert_error(puppet_send(client, rq), ESRCH);
    assert_error(puppet_call(client, rq, SOON), ESRCH);
    rq->function = FN;
    rq->data = (char *)data + 8;
    assert_error(puppet_send(client, rq), EINVAL);
    assert_error(puppet_call(client, rq, SOON), EINVAL);
    rq->data = (char *)data + ANT_PAGE_BYTES;
    assert_error(puppet_send(client, rq), EINVAL);
    rq->data = other;
    assert_error(puppet_send(client, rq), EINVAL);
    rq->data = rq;
    assert_error(puppet_send(client, rq), EINVAL);
    rq->data = &state;
    assert_error(puppet_send(client, rq), EFAULT);
    assert_error(puppet_call(client, rq, SOON), EFAULT);
    rq->data = (void *)UINTPTR_MAX;
    assert_error(puppet_send(client, rq), EFAULT);
    rq->data = NULL;
    rq->flags = rq->reserved[0] = rq->reserved[1] = 0xffffffff;
    rq->status = -1;
    rq->error = -1;
    rq->peer = UINT64_MAX;
    struct ant_request *at_server = put_in_service(rq);
    assert_int_equal(at_server->status, 0);
    assert_true(at_server->peer == client);
    assert_ok(puppet_reply(server, at_server, 0));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_int_equal(rq->error, 0);
    assert_ok(puppet_request_free(client, rq));
    assert_ok(puppet_request_free(client, other));
    assert_ok(puppet_ica_free(client, data));
}

static void a_refused_send_changes_nothing(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN_OTHER);
    void *data = puppet_new_area(client, 2);
    fill(data, 2, 6);
    rq->data = data;
    rq->cookie = 1;
    size_t pages = info_of(client).pages;
    assert_error(puppet_send(client, rq), ESRCH);
    assert_error(puppet_call(client, rq, 0), ESRCH);
    assert_int_equal(info_of(client).pages, pages);
    assert_ptr_equal(rq->data, data);
    assert_true(rq->cookie == 1);
    assert_filled(data, 2, 6);
    assert_int_equal(out_of(client), 0);
    assert_ok(puppet_ica_free(client, data));
    assert_ok(puppet_request_free(client, rq));
}

/* ---- misuse of addresses ---- */

static void what_is_no_request_is_refused(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    void *plain = puppet_new_area(client, 2), *nowhere = &state;
    struct ant_request *inside = (struct ant_request *)(void *)((char *)rq + 8);
    assert_error(puppet_send(client, NULL), EFAULT);
    assert_error(puppet_send(client, nowhere), EFAULT);
    assert_error(puppet_call(client, nowhere, SOON), EFAULT);
    assert_error(puppet_reply(client, nowhere, 0), EFAULT);
    assert_error(puppet_request_free(client, nowhere), EFAULT);
    assert_error(puppet_request_free(client, NULL), EFAULT);
    assert_error(puppet_send(client, plain), EINVAL);
    assert_error(puppet_call(client, plain, SOON), EINVAL);
    assert_error(puppet_reply(client, plain, 0), EINVAL);
    assert_error(puppet_request_free(client, plain), EINVAL);
    assert_error(puppet_send(client, inside), EINVAL);
    assert_error(puppet_request_free(client, inside), EINVAL);
    assert_error(puppet_ica_free(client, rq), EINVAL); /* it has its own call */
    assert_ok(puppet_request_free(client, rq));
    assert_error(puppet_request_free(client, rq), EFAULT); /* twice */
    assert_error(puppet_send(client, rq), EFAULT);
    assert_ok(puppet_ica_free(client, plain));
}

static void a_request_that_is_away_cannot_be_used(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN), *second = puppet_new_request(client, FN);
    void *data = puppet_new_area(client, 2);
    rq->data = data;
    assert_ok(puppet_send(client, rq));
    struct ant_request *at_server = NULL;
    for (int stage = 0; stage < 3; stage++) { /* queued, in service, its result queued */
        assert_error(puppet_send(client, rq), EPERM);
        assert_error(puppet_call(client, rq, SOON), EPERM);
        assert_error(puppet_request_free(client, rq), EPERM);
        assert_error(puppet_reply(client, rq, 0), EPERM);
        assert_error(puppet_ica_free(client, data), EPERM);
        second->data = data;
        assert_error(puppet_send(client, second), EPERM);
        assert_error(puppet_call(client, second, SOON), EPERM);
        second->data = NULL;
        if (stage == 0)
            at_server = puppet_take_request(server);
        else if (stage == 1)
            assert_ok(puppet_reply(server, at_server, 0));
    }
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_ok(puppet_ica_free(client, data));
    assert_ok(puppet_request_free(client, rq));
    assert_ok(puppet_request_free(client, second));
}

static void a_queued_request_is_not_yet_the_servers(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    void *data = puppet_new_area(client, 1);
    rq->data = data;
    size_t offset = (size_t)((char *)data - (char *)rq);
    /* the same offset in every window: where it will be is no secret */
    struct ant_request *probe = put_in_service(rq);
    void *probe_data = probe->data;
    assert_true((size_t)((char *)probe_data - (char *)probe) == offset);
    assert_ok(puppet_reply(server, probe, 0));
    assert_ptr_equal(puppet_take_result(client), rq);

    assert_ok(puppet_send(client, rq));
    assert_error(puppet_reply(server, probe, 0), EPERM); /* not received */
    assert_error(puppet_ica_free(server, probe_data), EPERM);
    assert_error(puppet_request_free(server, probe), EPERM);
    struct ant_request *at_server = puppet_take_request(server);
    assert_ptr_equal(at_server, probe);
    assert_ptr_equal(at_server->data, probe_data);
    assert_ok(puppet_reply(server, at_server, 0));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_ok(puppet_ica_free(client, data));
    assert_ok(puppet_request_free(client, rq));
}

static void a_server_cannot_use_a_request_in_service_as_its_own(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    struct ant_request *at_server = put_in_service(rq);
    assert_error(puppet_send(server, at_server), EBUSY);
    assert_error(puppet_call(server, at_server, SOON), EBUSY);
    assert_error(puppet_request_free(server, at_server), EBUSY);
    assert_error(puppet_ica_free(server, at_server), EINVAL);
    assert_ok(puppet_reply(server, at_server, 0));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_ok(puppet_request_free(client, rq));
}

static void a_reply_happens_once(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    struct ant_request *at_server = put_in_service(rq);
    assert_ok(puppet_reply(server, at_server, 1));
    assert_error(puppet_reply(server, at_server, 2), EPERM);
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_error(puppet_reply(server, at_server, 2), EPERM);
    assert_int_equal(rq->status, 1);
    assert_ok(puppet_request_free(client, rq));
    assert_error(puppet_reply(server, at_server, 2), EFAULT); /* the page is free now */
}

static void a_reply_to_anothers_request_is_refused(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN), *own = new_request(FN);
    struct ant_request *at_server = put_in_service(rq);
    assert_error(ant_reply(at_server, 1), EPERM);      /* by a third party */
    assert_error(puppet_reply(client, rq, 1), EPERM);  /* by its client */
    assert_error(puppet_reply(server, own, 1), EPERM); /* to what was never sent, and is another's */
    assert_error(ant_reply(own, 1), EPERM);            /* ... by its owner */
    assert_error(ant_send(at_server), EPERM);
    assert_error(ant_request_free(at_server), EPERM);
    assert_error(ant_call(at_server, SOON), EPERM);
    assert_ok(puppet_reply(server, at_server, 0));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_ok(puppet_request_free(client, rq));
    assert_ok(ant_request_free(own));
}

static void data_of_another_process_cannot_be_sent(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    void *servers = puppet_new_area(server, 1), *mine = new_area(1);
    rq->data = servers;
    assert_error(puppet_send(client, rq), EPERM);
    assert_error(puppet_call(client, rq, SOON), EPERM);
    rq->data = mine;
    assert_error(puppet_send(client, rq), EPERM);
    rq->data = NULL;
    assert_ok(puppet_request_free(client, rq));
    assert_ok(puppet_ica_free(server, servers));
    assert_ok(ant_ica_free(mine));
}

static void request_new_refuses_nonsense_and_an_exhausted_pool(void **state)
{
    (void)state;
    struct ant_request *rq = (struct ant_request *)(void *)8;
    assert_error(ant_request_new(0, &rq), EINVAL);
    assert_error(ant_request_new(FN, NULL), EINVAL);
    assert_true(rq == (struct ant_request *)(void *)8);
    puppet_await(client);
    puppet_await(server);
    static struct ant_request *all[FIXTURE_POOL_PAGES];
    size_t free_before = free_pages(), count = 0;
    while (count < free_before)
        all[count++] = new_request(FN);
    assert_int_equal(free_pages(), 0);
    assert_error(ant_request_new(FN, &rq), ENOMEM);
    assert_true(rq == (struct ant_request *)(void *)8);
    while (count > 0)
        assert_ok(ant_request_free(all[--count]));
    assert_int_equal(free_pages(), free_before);
}

/* ---- the queue limit ---- */

static int hold(struct ant_server *self)
{
    (void)self;
    return puppet_obey(); /* a server's own loop that does what the test says */
}

static const struct ant_program holder = {.abi = ANT_ABI, .name = "holder", .run = hold};

static void the_queue_limit_refuses_and_loses_nothing(void **state)
{
    (void)state;
    ant_pid limited = serve(FN_OTHER, &holder, &(struct ant_server_options){.queue_limit = 3});
    struct ant_request *rq[5];
    for (int i = 0; i < 5; i++)
        rq[i] = puppet_new_request(client, FN_OTHER);
    for (int i = 0; i < 3; i++)
        assert_ok(puppet_send(client, rq[i]));
    assert_error(puppet_send(client, rq[3]), EAGAIN);
    assert_error(puppet_call(client, rq[3], SOON), EAGAIN);
    struct ant_request *first = puppet_take_request(limited); /* in service does not count as queued */
    assert_ok(puppet_send(client, rq[3]));
    assert_error(puppet_send(client, rq[4]), EAGAIN);
    assert_ok(puppet_cancel(client, rq[3])); /* room again */
    assert_ok(puppet_send(client, rq[4]));
    assert_ok(puppet_reply(limited, first, 0));
    for (int i = 0; i < 3; i++)
        assert_ok(puppet_reply(limited, puppet_take_request(limited), 0));
    assert_ptr_equal(puppet_take_result(client), rq[0]);
    assert_ptr_equal(puppet_take_result(client), rq[1]);
    assert_ptr_equal(puppet_take_result(client), rq[2]);
    assert_ptr_equal(puppet_take_result(client), rq[4]);
    for (int i = 0; i < 5; i++)
        assert_ok(puppet_request_free(client, rq[i]));
    puppet_release(limited);
    join(limited);
}

/* ---- time limits ---- */

static void a_call_that_times_out_while_queued_is_withdrawn(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    void *data = puppet_new_area(client, 3);
    fill(data, 3, 3);
    rq->data = data;
    rq->cookie = 4;
    uint64_t before_ns = ant_now();
    assert_error(puppet_call(client, rq, A_WHILE), ETIMEDOUT);
    assert_true(ant_now() - before_ns >= (uint64_t)A_WHILE);
    assert_int_equal(rq->error, -ETIMEDOUT);
    assert_ptr_equal(rq->data, data);
    assert_filled(data, 3, 3);
    assert_true(rq->cookie == 4);
    assert_int_equal(info_of(server).queued_requests, 0);
    assert_int_equal(out_of(client), 0);
    struct ant_message message;
    assert_error(puppet_receive(client, &message, 0), ETIMEDOUT);
    assert_error(puppet_receive(server, &message, 0), ETIMEDOUT);
    assert_error(puppet_call(client, rq, 0), ETIMEDOUT); /* 0: do not wait */
    assert_ok(puppet_ica_free(client, data));
    assert_ok(puppet_request_free(client, rq));
}

/* Long enough for a server that only has to receive, on a busy real machine. */
#define LIMIT ((int64_t)MS(200))

static void a_call_that_times_out_in_service_goes_on_as_asynchronous(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    rq->cookie = 17;
    void *data = puppet_new_area(client, 1);
    rq->data = data;
    puppet_begin_call(client, rq, LIMIT);
    struct ant_request *at_server = puppet_take_request(server);
    assert_was(ant_call, puppet_end(client), EINPROGRESS);
    assert_int_equal(out_of(client), 1);
    assert_error(puppet_request_free(client, rq), EPERM); /* not the client's */
    assert_error(puppet_ica_free(client, data), EPERM);
    assert_error(puppet_cancel(client, rq), EINPROGRESS);
    assert_ok(puppet_reply(server, at_server, 6));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_true(rq->cookie == 17);
    assert_int_equal(rq->status, 6);
    assert_int_equal(rq->error, 0);
    assert_ptr_equal(rq->data, data);
    struct ant_message message;
    assert_error(puppet_receive(client, &message, 0), ETIMEDOUT);
    assert_ok(puppet_ica_free(client, data));
    assert_ok(puppet_request_free(client, rq));
}

static void a_request_withdrawn_is_skipped_and_the_order_of_the_rest_kept(void **state)
{
    (void)state;
    struct ant_request *rq[5];
    for (int i = 0; i < 5; i++) {
        rq[i] = puppet_new_request(client, FN);
        rq[i]->cookie = (uint64_t)i;
        assert_ok(puppet_send(client, rq[i]));
    }
    assert_ok(puppet_cancel(client, rq[2])); /* middle, first, last */
    assert_ok(puppet_cancel(client, rq[0]));
    assert_ok(puppet_cancel(client, rq[4]));
    assert_int_equal(info_of(server).queued_requests, 2);
    static const int left[2] = {1, 3};
    for (int i = 0; i < 2; i++) {
        struct ant_request *at_server = puppet_take_request(server);
        assert_true(at_server->cookie == (uint64_t)left[i]);
        assert_ok(puppet_reply(server, at_server, 0));
        assert_ptr_equal(puppet_take_result(client), rq[left[i]]);
    }
    for (int i = 0; i < 5; i++)
        assert_ok(puppet_request_free(client, rq[i]));
}

/* ---- cancellation ---- */

static void cancel_brings_request_and_data_back_at_once(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    void *data = puppet_new_area(client, 4);
    fill(data, 4, 8);
    rq->data = data;
    rq->cookie = 9;
    size_t pages = info_of(client).pages;
    assert_ok(puppet_send(client, rq));
    assert_int_equal(info_of(client).pages, pages - 5);
    assert_ok(puppet_cancel(client, rq));
    assert_int_equal(info_of(client).pages, pages);
    assert_filled(data, 4, 8);
    assert_true(rq->cookie == 9);
    assert_ptr_equal(rq->data, data);
    assert_int_equal(out_of(client), 0);
    struct ant_message message;
    assert_error(puppet_receive(client, &message, 0), ETIMEDOUT); /* no result comes */
    assert_error(puppet_receive(server, &message, 0), ETIMEDOUT);
    assert_error(puppet_cancel(client, rq), ESRCH); /* not out any more */
    assert_ok(puppet_send(client, rq));             /* and good to be sent again */
    assert_ok(puppet_reply(server, puppet_take_request(server), 0));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_ok(puppet_ica_free(client, data));
    assert_ok(puppet_request_free(client, rq));
}

static void cancel_tells_every_state_apart(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    assert_error(puppet_cancel(client, rq), ESRCH); /* never sent */
    struct ant_request *at_server = put_in_service(rq);
    assert_error(puppet_cancel(client, rq), EINPROGRESS);
    assert_ok(puppet_reply(server, at_server, 3));
    assert_error(puppet_cancel(client, rq), EALREADY);
    assert_ptr_equal(puppet_take_result(client), rq); /* the one result is still to be had */
    assert_int_equal(rq->status, 3);
    assert_error(puppet_cancel(client, rq), ESRCH);
    assert_ok(puppet_request_free(client, rq));
    assert_error(puppet_cancel(client, rq), ESRCH); /* a free page of its own window */
}

static void cancel_refuses_nonsense_and_other_peoples_requests(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    struct ant_request *inside = (struct ant_request *)(void *)((char *)rq + 8);
    assert_ok(puppet_send(client, rq));
    assert_error(puppet_cancel(client, inside), EINVAL);
    assert_error(puppet_cancel(client, (struct ant_request *)(void *)&state), EFAULT);
    assert_error(puppet_cancel(client, NULL), EFAULT);
    assert_error(puppet_cancel(client, (struct ant_request *)(void *)(UINTPTR_MAX & ~UINT64_C(4095))),
                 EFAULT);
    int by_boss = ant_cancel(rq); /* with `flat` all windows are one, but it is still not the boss's request */
    assert_int_equal(by_boss, mover() == ANT_MOVER_FLAT ? -ESRCH : -EFAULT);
    assert_int_equal(info_of(server).queued_requests, 1);
    struct ant_request *at_server = puppet_take_request(server);
    int by_server = puppet_cancel(server, at_server);
    assert_int_equal(by_server, -ESRCH);
    assert_ok(puppet_reply(server, at_server, 0));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_ok(puppet_request_free(client, rq));
}

/* ---- somebody is gone ---- */

static int exit_act(void *arg)
{
    ant_exit(*(int *)arg);
    return -1;
}

static void result_for_a_client_that_is_gone_frees_its_areas(void **state)
{
    (void)state;
    puppet_await(client);
    puppet_await(server);
    size_t before = free_pages();
    ant_pid mortal = puppet_create("mortal", 0);
    struct ant_request *rq[2];
    for (int i = 0; i < 2; i++) {
        rq[i] = puppet_new_request(mortal, FN);
        rq[i]->data = puppet_new_area(mortal, 3);
        assert_ok(puppet_send(mortal, rq[i]));
    }
    struct ant_request *at_server = puppet_take_request(server); /* the other one stays queued */
    int status = 12;
    puppet_begin(mortal, exit_act, &status);
    assert_int_equal(join(mortal), 12);
    struct ant_message message;
    assert_error(puppet_receive(server, &message, 0), ETIMEDOUT); /* the queued one was withdrawn */
    struct ant_ica_info info;
    assert_ok(puppet_ica_info(server, at_server->data, &info)); /* the one in service is still good */
    memset(at_server->data, 1, 3 * ANT_PAGE_BYTES);
    assert_ok(puppet_reply(server, at_server, 0));
    assert_error(puppet_reply(server, at_server, 0), EFAULT);
    puppet_await(server);
    assert_soon(free_pages() == before);
}

static void a_server_that_ends_answers_with_eownerdead(void **state)
{
    (void)state;
    ant_pid mortal = puppet_create("mortal", 0);
    assert_ok(puppet_function_add(mortal, FN_OTHER));
    ant_pid second = puppet_create("second", 0);
    struct ant_request *queued = puppet_new_request(client, FN_OTHER);
    struct ant_request *in_service = puppet_new_request(client, FN_OTHER);
    struct ant_request *called = puppet_new_request(second, FN_OTHER);
    void *data = puppet_new_area(client, 2), *called_data = puppet_new_area(second, 2);
    fill(data, 2, 1);
    fill(called_data, 2, 2);
    in_service->data = data;
    in_service->cookie = 5;
    called->data = called_data;
    assert_ok(puppet_send(client, in_service));
    puppet_take_request(mortal);
    puppet_begin_call(second, called, SOON);
    assert_soon(info_of(mortal).queued_requests == 1);
    assert_ok(puppet_send(client, queued));
    int status = 0;
    puppet_begin(mortal, exit_act, &status);
    assert_int_equal(join(mortal), 0);
    assert_was(ant_call, puppet_end(second), EOWNERDEAD);
    assert_int_equal(called->error, -EOWNERDEAD);
    assert_ptr_equal(called->data, called_data);
    assert_filled(called_data, 2, 2);
    for (int i = 0; i < 2; i++) {
        struct ant_request *result = puppet_take_result(client);
        assert_true(result == queued || result == in_service);
        assert_int_equal(result->error, -EOWNERDEAD);
    }
    assert_true(in_service->cookie == 5);
    assert_ptr_equal(in_service->data, data);
    assert_filled(data, 2, 1);
    assert_error(puppet_send(client, queued), ESRCH); /* its function ids went with it */
    assert_ok(puppet_ica_free(client, data));
    assert_ok(puppet_ica_free(second, called_data));
    assert_ok(puppet_request_free(client, queued));
    assert_ok(puppet_request_free(client, in_service));
    assert_ok(puppet_request_free(second, called));
}

static void a_server_that_is_stopped_answers_with_eshutdown(void **state)
{
    (void)state;
    ant_pid mortal = serve(FN_OTHER, &holder, NULL);
    ant_pid second = puppet_create("second", 0);
    struct ant_request *in_service = puppet_new_request(client, FN_OTHER);
    struct ant_request *called = puppet_new_request(second, FN_OTHER);
    assert_ok(puppet_send(client, in_service));
    puppet_take_request(mortal);
    puppet_begin_call(second, called, SOON);
    assert_soon(info_of(mortal).queued_requests == 1);
    ant_pid stopper = puppet_create("stopper", 0);
    puppet_begin_stop(stopper, mortal, SOON, NULL);
    struct ant_message message = {0};
    for (;;) { /* the queued request comes first where the stopper has not run yet */
        assert_ok(puppet_receive(mortal, &message, SOON));
        if (message.kind != ANT_REQUEST)
            break;
        assert_ok(puppet_reply(mortal, message.request, 44));
    }
    assert_int_equal(message.kind, ANT_STOP);
    assert_ok(puppet_receive(mortal, &message, 0)); /* a stop is not used up */
    assert_int_equal(message.kind, ANT_STOP);
    puppet_release(mortal);
    assert_int_equal(puppet_end(stopper), 0);
    int called_rc = puppet_end(second);
    if (called_rc != 0) { /* usually: the stop comes before the queued request */
        assert_was(ant_call, called_rc, ESHUTDOWN);
        assert_int_equal(called->error, -ESHUTDOWN);
    } else {
        assert_int_equal(called->status, 44);
    }
    assert_ptr_equal(puppet_take_result(client), in_service);
    assert_int_equal(in_service->error, -ESHUTDOWN);
    assert_ok(puppet_request_free(client, in_service));
    assert_ok(puppet_request_free(second, called));
}

static void a_client_of_a_server_gone_can_ask_its_successor(void **state)
{
    (void)state;
    ant_pid mortal = puppet_create("mortal", 0);
    assert_ok(puppet_function_add(mortal, FN_OTHER));
    puppet_dismiss(mortal);
    ant_pid heir = puppet_create("heir", 0);
    struct ant_request *rq = puppet_new_request(client, FN_OTHER);
    assert_error(puppet_send(client, rq), ESRCH);
    assert_ok(puppet_function_add(heir, FN_OTHER));
    assert_ok(puppet_send(client, rq));
    assert_ok(puppet_reply(heir, puppet_take_request(heir), 0));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_ok(puppet_request_free(client, rq));
}

/* ---- lists ---- */

static void pending_lists_what_is_in_service_and_out_oldest_first(void **state)
{
    (void)state;
    struct ant_pending items[8];
    size_t count = 77;
    assert_ok(puppet_pending(server, ANT_IN_SERVICE, items, 8, &count));
    assert_int_equal(count, 0);
    struct ant_request *rq[4], *at_server[4];
    for (int i = 0; i < 4; i++) {
        rq[i] = puppet_new_request(client, FN);
        rq[i]->cookie = (uint64_t)(100 + i);
        rq[i]->operation = (uint32_t)(200 + i);
        assert_ok(puppet_send(client, rq[i]));
    }
    for (int i = 0; i < 3; i++)
        at_server[i] = puppet_take_request(server); /* the fourth stays queued: not in service */
    assert_ok(puppet_reply(server, at_server[1], 0));
    assert_ok(puppet_pending(server, ANT_IN_SERVICE, items, 8, &count));
    assert_int_equal(count, 2);
    static const int left[2] = {0, 2};
    for (int i = 0; i < 2; i++) {
        assert_ptr_equal(items[i].request, at_server[left[i]]);
        assert_true(items[i].cookie == (uint64_t)(100 + left[i]));
        assert_int_equal(items[i].operation, 200 + left[i]);
        assert_int_equal(items[i].function, FN);
        assert_true(items[i].peer == client);
    }
    /* For the client three are out, and one is answered. */
    static const int out[3] = {0, 2, 3};
    memset(items, 0, sizeof items);
    assert_ok(puppet_pending(client, ANT_OUTSTANDING, items, 8, &count));
    assert_int_equal(count, 3);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(items[i].request, rq[out[i]]);
        assert_true(items[i].cookie == (uint64_t)(100 + out[i]));
        assert_int_equal(items[i].operation, 200 + out[i]);
        assert_int_equal(items[i].function, FN);
        assert_true(items[i].peer == server);
    }
    assert_ok(puppet_pending(client, ANT_ANSWERED, items, 8, &count));
    assert_int_equal(count, 1);
    assert_ptr_equal(items[0].request, rq[1]);
    assert_true(items[0].cookie == 101);
    assert_int_equal(items[0].operation, 201);
    assert_true(items[0].peer == server);
    /* more than fit */
    memset(items, 0, sizeof items);
    assert_ok(puppet_pending(client, ANT_OUTSTANDING, items, 2, &count));
    assert_int_equal(count, 3);
    assert_ptr_equal(items[1].request, rq[2]);
    assert_null(items[2].request);
    assert_ok(puppet_pending(client, ANT_OUTSTANDING, NULL, 0, &count));
    assert_int_equal(count, 3);
    assert_ptr_equal(puppet_take_result(client), rq[1]);
    assert_ok(puppet_pending(client, ANT_ANSWERED, items, 8, &count));
    assert_int_equal(count, 0);
    assert_ok(puppet_pending(client, ANT_OUTSTANDING, items, 8, &count));
    assert_int_equal(count, 3);
    assert_ok(puppet_reply(server, at_server[2], 0));
    assert_ok(puppet_reply(server, at_server[0], 0));
    assert_ok(puppet_reply(server, puppet_take_request(server), 0));
    for (int i = 0; i < 3; i++)
        puppet_take_result(client);
    for (int i = 0; i < 4; i++)
        assert_ok(puppet_request_free(client, rq[i]));
}

static void pending_shows_the_core_s_own_copy(void **state)
{
    (void)state;
    struct ant_request *rq = puppet_new_request(client, FN);
    rq->cookie = 1;
    rq->operation = 2;
    struct ant_request *at_server = put_in_service(rq);
    at_server->cookie = 555;
    at_server->operation = 666;
    at_server->function = 777;
    struct ant_pending item;
    size_t count;
    assert_ok(puppet_pending(server, ANT_IN_SERVICE, &item, 1, &count));
    assert_int_equal(count, 1);
    assert_true(item.cookie == 1);
    assert_int_equal(item.operation, 2);
    assert_int_equal(item.function, FN);
    assert_ok(puppet_reply(server, at_server, 0));
    assert_ptr_equal(puppet_take_result(client), rq);
    assert_ok(puppet_request_free(client, rq));
}

static void pending_refuses_nonsense(void **state)
{
    (void)state;
    struct ant_pending item;
    size_t count = 5;
    assert_error(ant_pending(ANT_IN_SERVICE, &item, 1, NULL), EINVAL);
    assert_error(ant_pending(ANT_IN_SERVICE, NULL, 1, &count), EINVAL);
    assert_error(ant_pending((enum ant_pending_kind)9, &item, 1, &count), EINVAL);
    assert_int_equal(count, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        request_test(request_header_is_clear_but_for_function),
        request_test(a_request_fits_its_page_exactly),
        request_test(synchronous_call_brings_status_and_payload_back),
        request_test(asynchronous_result_comes_by_receive_with_its_cookie),
        request_test(a_request_can_be_sent_again_after_its_result),
        request_test(a_call_leaves_other_results_queued),
        request_test(requests_of_one_client_are_received_in_the_order_sent),
        request_test(a_server_may_answer_in_any_order),
        request_test(results_are_received_before_requests),
        request_test(receive_wakes_for_a_request_that_comes_later),
        request_test(receive_gives_up_at_its_time_limit),
        request_test(a_process_may_send_to_itself),
        request_test(a_process_may_not_call_itself),
        request_test(data_goes_with_the_request_and_comes_back_to_its_address),
        request_test(a_reply_may_bring_another_area_than_came),
        request_test(a_reply_without_data_leaves_what_came_with_the_server),
        request_test(a_reply_may_add_data_to_a_request_without),
        request_test(a_server_may_free_the_data_that_came),
        request_test(freeing_a_request_leaves_the_data_it_names),
        request_test(a_server_cannot_change_what_the_core_restores),
        request_test(a_server_that_scribbles_a_data_pointer_is_refused),
        request_test(a_client_that_scribbles_its_header_gets_an_error),
        request_test(a_refused_send_changes_nothing),
        request_test(what_is_no_request_is_refused),
        request_test(a_request_that_is_away_cannot_be_used),
        request_test(a_queued_request_is_not_yet_the_servers),
        request_test(a_server_cannot_use_a_request_in_service_as_its_own),
        request_test(a_reply_happens_once),
        request_test(a_reply_to_anothers_request_is_refused),
        request_test(data_of_another_process_cannot_be_sent),
        request_test(request_new_refuses_nonsense_and_an_exhausted_pool),
        request_test(the_queue_limit_refuses_and_loses_nothing),
        request_test(a_call_that_times_out_while_queued_is_withdrawn),
        request_test(a_call_that_times_out_in_service_goes_on_as_asynchronous),
        request_test(a_request_withdrawn_is_skipped_and_the_order_of_the_rest_kept),
        request_test(cancel_brings_request_and_data_back_at_once),
        request_test(cancel_tells_every_state_apart),
        request_test(cancel_refuses_nonsense_and_other_peoples_requests),
        request_test(result_for_a_client_that_is_gone_frees_its_areas),
        request_test(a_server_that_ends_answers_with_eownerdead),
        request_test(a_server_that_is_stopped_answers_with_eshutdown),
        request_test(a_client_of_a_server_gone_can_ask_its_successor),
        request_test(pending_lists_what_is_in_service_and_out_oldest_first),
        request_test(pending_shows_the_core_s_own_copy),
        request_test(pending_refuses_nonsense),
    };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
