/* ctest: machines=virtual,real movers=strict,flat */
/* The event descriptor of a process: readable exactly while there is something to receive, through swaps and deaths, in any loop. */
#include "fixture.h"
#include "puppet.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef HAVE_LIBUV
#include <uv.h>
#endif

#define FN 7u
#define FN_ECHO 8u
#define FN_OTHER 9u

static bool readable(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, 0) == 1 && one.revents == POLLIN;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static int ask_fd(void *fd)
{
    return ant_event_fd(fd);
}

static int puppet_event_fd(ant_pid pid, int *fd)
{
    return puppet_do(pid, ask_fd, fd);
}

/* A receive that does not wait agrees with what its descriptor has said. */
static void assert_empty(ant_pid pid, int fd)
{
    struct ant_message message;
    assert_false(readable(fd));
    assert_error(puppet_receive(pid, &message, 0), ETIMEDOUT);
    assert_false(readable(fd));
}

static void assert_told_of(ant_pid pid, int fd, enum ant_message_kind kind)
{
    struct ant_message message;
    assert_true(readable(fd));
    assert_true(readable(fd)); /* looking takes nothing */
    assert_ok(puppet_receive(pid, &message, 0));
    assert_int_equal(message.kind, kind);
}

/* A puppet under FN, and its descriptor. */
static ant_pid create(int *fd)
{
    ant_pid pid = puppet_create("looker", 0);
    assert_ok(puppet_function_add(pid, FN));
    assert_ok(puppet_event_fd(pid, fd));
    return pid;
}

static struct ant_request *send_one(void)
{
    struct ant_request *rq = new_request(FN);
    assert_ok(ant_send(rq));
    return rq;
}

/* The boss has its answer, whatever it was. */
static void take_back(struct ant_request *rq)
{
    assert_ptr_equal(boss_result(), rq);
    assert_ok(ant_request_free(rq));
}

/* ---- what it tells ---- */

static void it_tells_of_requests(void **state)
{
    (void)state;
    int fd = -1, again = -1;
    ant_pid pid = create(&fd);
    assert_empty(pid, fd);
    struct ant_request *first = send_one(), *second = send_one(), *third = send_one();
    assert_true(readable(fd));
    struct ant_request *rq = puppet_take_request(pid);
    assert_true(readable(fd)); /* two are left */
    assert_ok(ant_cancel(second));
    assert_true(readable(fd));
    assert_ok(ant_cancel(third));
    assert_empty(pid, fd);
    assert_ok(puppet_reply(pid, rq, 0));
    assert_empty(pid, fd);
    take_back(first);
    assert_ok(puppet_event_fd(pid, &again));
    assert_int_equal(again, fd);
    struct ant_request *late = new_request(FN);
    assert_error(ant_call(late, on_virtual() ? 0 : A_WHILE), ETIMEDOUT); /* it came, and was withdrawn */
    assert_empty(pid, fd);
    assert_ok(ant_request_free(second));
    assert_ok(ant_request_free(third));
    assert_ok(ant_request_free(late));
    puppet_dismiss(pid);
    assert_false(is_open(fd));
}

static int forward_act(void *rq)
{
    return ant_forward(rq, FN);
}

static void it_tells_of_what_is_passed_on(void **state)
{
    (void)state;
    int fd = -1;
    ant_pid pid = create(&fd), other = puppet_create("other", 0);
    assert_ok(puppet_function_add(other, FN_OTHER));
    struct ant_request *rq = new_request(FN_OTHER);
    assert_ok(ant_send(rq));
    struct ant_request *served = puppet_take_request(other);
    assert_empty(pid, fd);
    assert_ok(puppet_do(other, forward_act, served));
    assert_told_of(pid, fd, ANT_REQUEST);
    assert_empty(pid, fd);
    puppet_dismiss(pid);
    take_back(rq);
}

/* Who asks when something is there already sees it at once. */
static void it_tells_of_what_was_there_before(void **state)
{
    (void)state;
    int fd = -1;
    ant_pid pid = puppet_create("looker", 0);
    assert_ok(puppet_function_add(pid, FN));
    struct ant_request *rq = send_one();
    assert_ok(puppet_event_fd(pid, &fd));
    assert_told_of(pid, fd, ANT_REQUEST);
    assert_empty(pid, fd);
    puppet_dismiss(pid);
    take_back(rq); /* -EOWNERDEAD */
}

static void it_tells_of_results(void **state)
{
    (void)state;
    int fd = -1;
    ant_pid pid = create(&fd), other = puppet_create("other", 0);
    assert_ok(puppet_function_add(other, FN_OTHER));
    struct ant_request *rq = puppet_new_request(pid, FN_OTHER),
                       *call = puppet_new_request(pid, FN_OTHER);
    assert_ok(puppet_send(pid, rq));
    struct ant_request *served = puppet_take_request(other);
    assert_empty(pid, fd);
    assert_ok(puppet_reply(other, served, 0));
    assert_told_of(pid, fd, ANT_RESULT);
    assert_empty(pid, fd);
    puppet_begin_call(pid, call, SOON); /* what it waits for itself is nothing to receive */
    assert_ok(puppet_reply(other, puppet_take_request(other), 0));
    assert_ok(puppet_end(pid));
    assert_empty(pid, fd);
    assert_ok(puppet_send(pid, rq)); /* answered by the core */
    assert_empty(pid, fd);
    puppet_dismiss(other);
    assert_told_of(pid, fd, ANT_RESULT);
    assert_empty(pid, fd);
    puppet_dismiss(pid);
}

static void it_tells_of_a_stop_until_the_end(void **state)
{
    (void)state;
    int fd = -1, status;
    ant_pid pid = create(&fd), other = puppet_create("other", 0);
    assert_empty(pid, fd);
    puppet_begin_stop(other, pid, SOON, &status);
    assert_soon(readable(fd));
    assert_told_of(pid, fd, ANT_STOP);
    assert_told_of(pid, fd, ANT_STOP); /* it is not used up */
    puppet_release(pid);
    assert_ok(puppet_end(other));
    assert_false(is_open(fd));
}

/* ---- servers ---- */

static struct {
    int (*_Atomic start)(struct ant_server *self);
    _Atomic int fd; /* what the last `start` was given */
} program;

static int obey(struct ant_server *self)
{
    (void)self;
    expect_ok(puppet_obey());
    return 0;
}

static int start(struct ant_server *self)
{
    int (*start_so)(struct ant_server *) = atomic_load(&program.start);
    return start_so ? start_so(self) : 0;
}

static int ask_in_start(struct ant_server *self)
{
    int fd = -1;
    (void)self;
    expect_ok(ant_event_fd(&fd));
    atomic_store(&program.fd, fd);
    return 0;
}

/* What a new server has sent has its result while the old one still serves: that is none of the old one's. */
static int send_and_fail(struct ant_server *self)
{
    struct ant_request *rq, *next;
    ask_in_start(self);
    expect_ok(ant_request_new(FN_ECHO, &rq));
    expect_ok(ant_request_new(FN_ECHO, &next));
    expect_ok(ant_send(rq));
    expect_ok(ant_call(next, SOON)); /* so that the other one has its result by now */
    return -EIO;
}

static const struct ant_program obedient = {
    .abi = ANT_ABI, .version = 1, .name = "obedient", .start = start, .run = obey};

static void reply(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    expect_ok(ant_reply(rq, 0));
}

static const struct ant_program echo = {.abi = ANT_ABI, .version = 1, .name = "echo", .request = reply};

static void it_tells_of_monitors(void **state)
{
    (void)state;
    int fd = -1;
    ant_pid pid = create(&fd);
    serve(FN_ECHO, &echo, NULL);
    struct ant_request *rq = puppet_new_request(pid, FN_ECHO);
    assert_ok(puppet_monitor(pid, rq, FN_ECHO));
    assert_empty(pid, fd);
    assert_ok(ant_swap(FN_ECHO, &echo, NULL, NULL));
    assert_told_of(pid, fd, ANT_RESULT);
    assert_empty(pid, fd);
    puppet_dismiss(pid);
}

/* Its swap is begun, and it has seen the notice. Nothing else is there for it. */
static void begin_swap(ant_pid requester, ant_pid pid, int fd)
{
    puppet_begin_swap(requester, FN, &obedient, NULL, NULL);
    assert_soon(readable(fd));
    assert_told_of(pid, fd, ANT_SWAP);
    assert_true(readable(fd)); /* a notice is not used up */
}

static void it_stays_through_swaps(void **state)
{
    (void)state;
    int fd = -1, fresh;
    program.start = ask_in_start;
    ant_pid pid = serve(FN, &obedient, NULL), requester = puppet_create("requester", 0);
    serve(FN_ECHO, &echo, NULL);
    fresh = atomic_load(&program.fd);
    assert_ok(puppet_event_fd(pid, &fd));
    assert_int_equal(fd, fresh);

    program.start = send_and_fail;
    begin_swap(requester, pid, fd);
    assert_error(puppet_swap_accept(pid), ECANCELED); /* rolled back */
    assert_int_equal(puppet_end(requester), -EIO);
    assert_int_equal(atomic_load(&program.fd), fd);
    assert_empty(pid, fd);

    program.start = ask_in_start;
    begin_swap(requester, pid, fd);
    struct ant_request *rq = send_one();
    puppet_begin_swap_accept(pid);
    assert_ok(puppet_end(requester));
    puppet_await(pid);
    assert_int_equal(atomic_load(&program.fd), fd);
    assert_true(is_open(fd));
    assert_told_of(pid, fd, ANT_REQUEST); /* which was queued all the time */
    assert_empty(pid, fd);

    puppet_begin_swap(requester, FN, &obedient, NULL, NULL); /* cancelled before it is accepted */
    assert_soon(readable(fd));
    assert_ok(ant_swap_cancel(FN));
    assert_int_equal(puppet_end(requester), -ECANCELED);
    assert_empty(pid, fd);
    puppet_release(pid);
    take_back(rq);
    join(pid);
    assert_false(is_open(fd));
}

/* Nobody would receive anything: so it is quiet until there is a successor. */
static void a_dead_server_keeps_it(void **state)
{
    (void)state;
    int fd = -1;
    program.start = ask_in_start;
    ant_pid pid = serve(FN, &obedient, NULL);
    puppet_await(pid);
    fd = atomic_load(&program.fd);
    struct ant_request *rq = send_one();
    assert_true(readable(fd));
    assert_ok(ant_kill(pid));
    puppet_bury(pid);
    assert_soon(info_of(pid).dead);
    assert_true(is_open(fd));
    assert_false(readable(fd));
    assert_ok(ant_swap(FN, &obedient, NULL, NULL));
    puppet_await(pid);
    assert_int_equal(atomic_load(&program.fd), fd);
    assert_told_of(pid, fd, ANT_REQUEST);
    assert_empty(pid, fd);
    puppet_release(pid);
    take_back(rq);
    join(pid);
    assert_false(is_open(fd));
}

/* ---- loops ---- */

#define ROUNDS (SANITIZED ? 100u : 400u)

static int poller_epoll;
static _Atomic unsigned poller_starts;

/* Its epoll is its successors' too: it is one of the program's own descriptors. */
static int poll_and_serve(struct ant_server *self)
{
    struct ant_message message;
    struct epoll_event event;
    (void)self;
    for (;;) {
        if (epoll_wait(poller_epoll, &event, 1, -1) < 0)
            expect(errno == EINTR);
        while (ant_receive(&message, 0) == 0) {
            if (message.kind == ANT_STOP)
                return 0;
            if (message.kind == ANT_SWAP)
                expect_error(ant_swap_accept(), ECANCELED);
            else
                expect_ok(ant_reply(message.request, 0));
        }
    }
}

static int poller_start(struct ant_server *self)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    int fd = -1;
    expect_ok(ant_event_fd(&fd));
    if (self->reason == ANT_START_FRESH)
        expect(epoll_ctl(poller_epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    return atomic_fetch_add(&poller_starts, 1) % 5 == 4 ? -EIO : 0;
}

static const struct ant_program poller = {
    .abi = ANT_ABI, .version = 1, .name = "poller", .start = poller_start, .run = poll_and_serve};

static int call_it(void *arg)
{
    struct ant_request *rq;
    (void)arg;
    expect_ok(ant_request_new(FN, &rq));
    for (unsigned i = 0; i < ROUNDS; i++)
        expect_ok(ant_call(rq, SOON));
    return ant_request_free(rq);
}

static void an_edge_triggered_loop_misses_nothing_in_swaps(void **state)
{
    (void)state;
    if (on_virtual())
        skip(); /* who waits outside the core stops everybody */
    poller_epoll = epoll_create1(EPOLL_CLOEXEC);
    ant_pid server = serve(FN, &poller, NULL);
    ant_pid clients[] = {spawn("client", 0, call_it, NULL), spawn("client", 0, call_it, NULL)};
    unsigned failed = 0, swaps = ROUNDS / 10;
    for (unsigned i = 0; i < swaps; i++) {
        int rc = ant_swap(FN, &poller, NULL, NULL);
        assert_true(rc == 0 || rc == -EIO);
        failed += rc != 0;
    }
    assert_int_equal(failed, (swaps + 1) / 5);
    assert_int_equal(join(clients[0]), 0);
    assert_int_equal(join(clients[1]), 0);
    assert_ok(ant_stop(server, SOON, NULL));
    close(poller_epoll);
}

#ifdef HAVE_LIBUV
static unsigned uv_served;

static void on_readable(uv_poll_t *handle, int status, int events)
{
    struct ant_message message;
    assert_int_equal(status, 0);
    assert_int_equal(events, UV_READABLE);
    while (ant_receive(&message, 0) == 0) {
        assert_int_equal(message.kind, ANT_REQUEST);
        assert_ok(ant_reply(message.request, 0));
        uv_served++;
    }
    if (uv_served == ROUNDS)
        uv_poll_stop(handle);
}

static void it_works_with_libuv(void **state)
{
    (void)state;
    int fd = -1;
    uv_loop_t loop;
    uv_poll_t handle;
    if (on_virtual())
        skip();
    assert_ok(ant_function_add(FN));
    assert_ok(ant_event_fd(&fd));
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(uv_poll_init(&loop, &handle, fd), 0);
    assert_int_equal(uv_poll_start(&handle, UV_READABLE, on_readable), 0);
    uv_served = 0;
    ant_pid client = spawn("client", 0, call_it, NULL);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_served, ROUNDS);
    assert_int_equal(join(client), 0);
    uv_close((uv_handle_t *)&handle, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_ok(ant_function_remove(FN));
}
#endif

/* ---- who may not ---- */

static void ask_directly(struct ant_server *self, struct ant_request *rq)
{
    int fd = -2;
    (void)self;
    expect_error(ant_event_fd(&fd), EPERM); /* for such a server the library's loop receives */
    expect(fd == -2);
    expect_ok(ant_reply(rq, 0));
}

static const struct ant_program direct = {
    .abi = ANT_ABI, .version = 1, .name = "direct", .request = ask_directly, .direct = true};

static void it_is_refused_with_a_reason(void **state)
{
    (void)state;
    struct rlimit limit, none;
    int fd = -2;
    assert_error(ant_event_fd(NULL), EINVAL);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){0, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int rc = ant_event_fd(&fd);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_was(ant_event_fd, rc, EMFILE);
    assert_int_equal(fd, -2);
    assert_ok(ant_event_fd(&fd));
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_false(readable(fd));
    serve(FN, &direct, NULL);
    struct ant_request *rq = new_request(FN);
    assert_ok(ant_call(rq, SOON));
    assert_ok(ant_request_free(rq));
    fixture_shutdown();
    assert_false(is_open(fd));
    assert_error(ant_event_fd(&fd), EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        core_test(it_tells_of_requests),
        core_test(it_tells_of_what_is_passed_on),
        core_test(it_tells_of_what_was_there_before),
        core_test(it_tells_of_results),
        core_test(it_tells_of_a_stop_until_the_end),
        core_test(it_tells_of_monitors),
        core_test(it_stays_through_swaps),
        core_test(a_dead_server_keeps_it),
        core_test(an_edge_triggered_loop_misses_nothing_in_swaps),
#ifdef HAVE_LIBUV
        core_test(it_works_with_libuv),
#endif
        core_test(it_is_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
