/* ctest: machines=virtual,other movers=strict,strict-mremap,flat,copy */
/*
 * A request and its data area, which lie beside each other in the pool, move with one system call where the mover needs one for
 * an area.
 */
#include "fixture.h"
#include "puppet.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FN 7u

/* --- System calls, counted ---------------------------------------------------------------------------------------- */

/* These take the place of the C library's for the whole program: how many of those that move pages has this thread made? */
static _Thread_local unsigned calls;

int ioctl(int file, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    calls += (request >> 8 & 0xFF) == 0xAA; /* userfaultfd's */
    return (int)syscall(SYS_ioctl, file, request, argument);
}

void *mremap(void *from, size_t old_bytes, size_t new_bytes, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    void *to = (flags & MREMAP_FIXED) != 0 ? va_arg(arguments, void *) : NULL;
    va_end(arguments);
    calls++;
    return (void *)syscall(SYS_mremap, from, old_bytes, new_bytes, flags, to); // NOLINT(performance-no-int-to-ptr)
}

int mprotect(void *address, size_t bytes, int protection)
{
    calls++;
    return (int)syscall(SYS_mprotect, address, bytes, protection);
}

/* What moving one area takes. */
static unsigned calls_of_a_move(void)
{
    switch (mover()) {
    case ANT_MOVER_STRICT:
        return 1; /* UFFDIO_MOVE */
    case ANT_MOVER_STRICT_MREMAP:
        return 3; /* closed, moved, opened */
    case ANT_MOVER_COPY:
        return 2; /* opened, closed */
    default:
        return 0;
    }
}

/* --- Requests ----------------------------------------------------------------------------------------------------- */

static unsigned calls_of_send(struct ant_request *rq)
{
    calls = 0;
    assert_ok(ant_send(rq));
    return calls;
}

struct reply {
    struct ant_request *rq;
    unsigned calls;
};

static int reply(void *arg)
{
    struct reply *reply = arg;
    calls = 0;
    int rc = ant_reply(reply->rq, 0);
    reply->calls = calls;
    return rc;
}

static unsigned calls_of_reply(ant_pid server, struct ant_request *at_server)
{
    struct reply it = {.rq = at_server};
    assert_int_equal(puppet_do(server, reply, &it), 0);
    return it.calls;
}

static unsigned calls_of_cancel(struct ant_request *rq)
{
    calls = 0;
    assert_ok(ant_cancel(rq));
    return calls;
}

/* Sends a request there and back, and once more, withdrawn this time. moves: how many it takes each way. */
static void there_and_back(ant_pid server, struct ant_request *rq, char *data, size_t pages, unsigned moves)
{
    rq->data = data;
    memset(data, 'a', pages * ANT_PAGE_BYTES);
    assert_int_equal(calls_of_send(rq), moves * calls_of_a_move());
    struct ant_request *at_server = puppet_take_request(server);
    char *there = at_server->data;
    for (size_t page = 0; page < pages; page++)
        assert_int_equal(there[page * ANT_PAGE_BYTES + 77], 'a');
    there[0] = 'b';
    assert_int_equal(calls_of_reply(server, at_server), moves * calls_of_a_move());
    assert_ptr_equal(boss_result(), rq);
    assert_ptr_equal(rq->data, data);
    assert_int_equal(data[0], 'b');
    assert_int_equal(calls_of_send(rq), moves * calls_of_a_move());
    assert_int_equal(calls_of_cancel(rq), moves * calls_of_a_move());
    assert_int_equal(data[pages * ANT_PAGE_BYTES - 1], 'a');
}

static ant_pid server_of_fn(void)
{
    ant_pid server = puppet_create("server", 0);
    assert_ok(puppet_function_add(server, FN));
    return server;
}

static void data_behind_its_request_moves_with_it(void **state)
{
    (void)state;
    ant_pid server = server_of_fn();
    struct ant_request *rq = new_request(FN);
    char *data = new_area(40);
    assert_ptr_equal(data, (char *)rq + ANT_PAGE_BYTES);
    there_and_back(server, rq, data, 40, 1);
    assert_ok(ant_ica_free(data));
    assert_ok(ant_request_free(rq));
}

static void data_before_its_request_moves_with_it(void **state)
{
    (void)state;
    ant_pid server = server_of_fn();
    char *data = new_area(40);
    struct ant_request *rq = new_request(FN);
    assert_ptr_equal((char *)rq, data + 40 * ANT_PAGE_BYTES);
    there_and_back(server, rq, data, 40, 1);
    assert_ok(ant_ica_free(data));
    assert_ok(ant_request_free(rq));
}

static void data_elsewhere_moves_by_itself(void **state)
{
    (void)state;
    ant_pid server = server_of_fn();
    struct ant_request *rq = new_request(FN);
    char *between = new_area(1), *data = new_area(40);
    there_and_back(server, rq, data, 40, 2);
    assert_ok(ant_ica_free(data));
    assert_ok(ant_ica_free(between));
    assert_ok(ant_request_free(rq));
}

/* The client gets another area back than it has sent. */
static void what_comes_back_moves_as_it_lies(void **state)
{
    (void)state;
    ant_pid server = server_of_fn();
    struct ant_request *rq = new_request(FN);
    char *data = new_area(3);
    rq->data = data;
    assert_int_equal(calls_of_send(rq), calls_of_a_move());
    struct ant_request *at_server = puppet_take_request(server);
    char *kept = at_server->data;
    at_server->data = puppet_new_area(server, 2);
    assert_int_equal(calls_of_reply(server, at_server), 2 * calls_of_a_move());
    assert_ptr_equal(boss_result(), rq);
    assert_ptr_not_equal(rq->data, data);
    assert_ok(puppet_ica_free(server, kept));
    assert_ok(ant_ica_free(rq->data));
    assert_ok(ant_request_free(rq));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        core_test(data_behind_its_request_moves_with_it),
        core_test(data_before_its_request_moves_with_it),
        core_test(data_elsewhere_moves_by_itself),
        core_test(what_comes_back_moves_as_it_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
