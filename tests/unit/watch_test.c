/* ctest: machines=virtual,real,other movers=flat */
/* Descriptors that servers watch: when they are called back, in turn with messages, and what becomes of them in swaps and deaths. */
#include "fixture.h"
#include "puppet.h"
#include "wrap.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define FN 7u
#define FN_BYTES 8u
#define FN_SOURCE 9u

enum {
    OP_ECHO,
    OP_OBEY /* a puppet until it is released; `ready` is not called meanwhile */
};

/* What `ready` was called with. The server writes, and counts last. */
static struct {
    struct {
        int fd;
        uint32_t events, version;
        uint64_t cookie;
    } call[1024];
    _Atomic unsigned calls;
    int (*_Atomic start)(struct ant_server *self);
    void (*_Atomic hook)(int fd); /* what `ready` does beside; NULL: takes a byte */
} seen;

static int start(struct ant_server *self)
{
    int (*start_so)(struct ant_server *) = atomic_load(&seen.start);
    return start_so ? start_so(self) : 0;
}

static void answer(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    if (rq->operation == OP_OBEY)
        expect_ok(puppet_obey());
    expect_ok(ant_reply(rq, 0));
}

static void take_byte(int fd)
{
    char byte;
    if (read(fd, &byte, 1) == 0)
        expect_ok(ant_unwatch(fd)); /* its other end was closed */
}

static void note(struct ant_server *self, int fd, uint32_t events, uint64_t cookie)
{
    unsigned n = atomic_load(&seen.calls);
    if (n < sizeof seen.call / sizeof *seen.call) {
        seen.call[n].fd = fd;
        seen.call[n].events = events;
        seen.call[n].cookie = cookie;
        seen.call[n].version = self->program->version;
        atomic_store(&seen.calls, n + 1);
    }
    void (*hook)(int) = atomic_load(&seen.hook);
    (hook ? hook : take_byte)(fd);
}

static int run_on_its_own(struct ant_server *self)
{
    struct ant_message message;
    (void)self;
    while (ant_receive(&message, ANT_FOREVER) == 0 && message.kind != ANT_STOP)
        if (message.kind == ANT_SWAP)
            ant_swap_accept();
        else
            expect_ok(ant_reply(message.request, 0));
    return 0;
}

#define PROGRAM(n) .abi = ANT_ABI, .version = n, .name = "watcher", .start = start
static const struct ant_program one = {PROGRAM(1), .request = answer, .ready = note};
static const struct ant_program two = {PROGRAM(2), .request = answer, .ready = note};
static const struct ant_program deaf = {PROGRAM(3), .request = answer};
static const struct ant_program own = {PROGRAM(4), .run = run_on_its_own};

static ant_pid pid;
static int out[4], in[4]; /* pipes: the server watches out, the test writes in */

/* What is open, by the Linux process. */
static int open_count(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int open_before;

static int setup(void **state)
{
    memset(&seen, 0, sizeof seen);
    open_before = open_count();
    for (int i = 0; i < 4; i++) {
        int ends[2];
        assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        out[i] = ends[0];
        in[i] = ends[1];
    }
    int rc = fixture_setup(state);
    pid = serve(FN, &one, NULL);
    return rc;
}

static int teardown(void **state)
{
    int rc = fixture_teardown(state);
    for (int i = 0; i < 4; i++) {
        close(out[i]);
        close(in[i]);
    }
    assert_int_equal(open_count(), open_before);
    return rc;
}

#define watch_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static struct ant_request *obeying;

/* Its callback does what it is told, until it is released. */
static void hold(void)
{
    obeying = puppet_hold(pid, FN, OP_OBEY);
}

static void let_go(void)
{
    puppet_let_go(pid, obeying);
}

static int watch_act(void *arg)
{
    const struct ant_watch *w = arg;
    return ant_watch(w->fd, w->events, w->cookie);
}

static int puppet_watch(int fd, uint32_t events, uint64_t cookie)
{
    struct ant_watch watch = {fd, events, cookie};
    return puppet_do(pid, watch_act, &watch);
}

static int unwatch_act(void *arg)
{
    return ant_unwatch(*(int *)arg);
}

static int puppet_unwatch(int fd)
{
    return puppet_do(pid, unwatch_act, &fd);
}

static struct ant_watch listed[8];
static size_t listed_count;

static int list_act(void *arg)
{
    (void)arg;
    return ant_watch_list(listed, 8, &listed_count);
}

static void watch_now(int fd, uint32_t events, uint64_t cookie)
{
    hold();
    assert_ok(puppet_watch(fd, events, cookie));
    let_go();
}

/* So many are watched now, the first of them this. */
static void assert_watches(size_t count, int fd, uint32_t events, uint64_t cookie)
{
    hold();
    assert_ok(puppet_do(pid, list_act, NULL));
    let_go();
    assert_int_equal(listed_count, count);
    assert_int_equal(listed[0].fd, fd);
    assert_int_equal(listed[0].events, events);
    assert_true(listed[0].cookie == cookie);
}

static void await_calls(unsigned calls)
{
    assert_soon(atomic_load(&seen.calls) >= calls);
}

static void put(int fd)
{
    assert_int_equal(write(fd, "x", 1), 1);
}

static void ask(uint32_t function)
{
    struct ant_request *rq = new_request(function);
    assert_ok(ant_call(rq, SOON));
    assert_ok(ant_request_free(rq));
}

static void only_where_there_are_descriptors(void)
{
    if (on_virtual())
        skip();
}

/* ---- what is told ---- */

static void a_server_is_called_back_while_a_descriptor_is_ready(void **state)
{
    (void)state;
    only_where_there_are_descriptors();
    watch_now(out[0], EPOLLIN, 40);
    put(in[0]);
    put(in[0]); /* one byte a call */
    await_calls(2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(seen.call[i].fd, out[0]);
        assert_int_equal(seen.call[i].events, EPOLLIN);
        assert_true(seen.call[i].cookie == 40);
    }
    ask(FN); /* messages come as ever */
    assert_int_equal(atomic_load(&seen.calls), 2);
    hold();
    assert_ok(puppet_watch(out[1], EPOLLIN | EPOLLRDHUP, 41));
    assert_ok(puppet_watch(out[0], EPOLLIN, 42)); /* another cookie */
    assert_ok(puppet_unwatch(out[1]));
    assert_error(puppet_unwatch(out[1]), ENOENT);
    assert_error(puppet_unwatch(-1), ENOENT);
    put(in[1]);
    let_go();
    assert_watches(1, out[0], EPOLLIN, 42);
    put(in[0]);
    await_calls(3);
    assert_true(seen.call[2].cookie == 42);
    close(in[0]);
    in[0] = -1;
    await_calls(4);
    assert_int_equal(seen.call[3].events, EPOLLHUP); /* unasked */
    assert_int_equal(atomic_load(&seen.calls), 4);
}

/* One that was closed, and whose number is another's now; a copy of it lives on, and is ready. */
static void a_closed_descriptor_is_forgotten(void **state)
{
    (void)state;
    only_where_there_are_descriptors();
    watch_now(out[0], EPOLLIN, 1);
    int copy = dup(out[0]);
    hold();
    assert_int_equal(dup2(out[1], out[0]), out[0]); /* closes it */
    assert_ok(puppet_watch(out[0], EPOLLIN, 2));
    put(in[0]);
    let_go();
    put(in[1]);
    await_calls(1);
    assert_true(seen.call[0].cookie == 2);
    assert_watches(1, out[0], EPOLLIN, 2);
    hold();
    close(out[0]);
    assert_ok(puppet_unwatch(out[0])); /* too late, but no error */
    put(in[1]);
    let_go();
    ask(FN);
    assert_int_equal(atomic_load(&seen.calls), 1);
    close(copy);
}

/* Both are there all the time: each has its turns. A server that is never done has to be below all others. */
static void descriptors_and_messages_take_turns(void **state)
{
    struct ant_server_options options = {.priority = FIXTURE_PRIORITY - 5};
    (void)state;
    only_where_there_are_descriptors();
    assert_ok(ant_stop(pid, SOON, NULL));
    pid = serve(FN, &one, &options);
    int always = eventfd(1, EFD_CLOEXEC), too = eventfd(1, EFD_CLOEXEC); /* a byte cannot be read from these */
    hold();
    assert_ok(puppet_watch(always, EPOLLIN, 1));
    assert_ok(puppet_watch(too, EPOLLIN, 2));
    let_go();
    struct ant_request *rq[20];
    for (int i = 0; i < 20; i++)
        rq[i] = new_request(FN);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 20; i++)
            assert_ok(ant_send(rq[i]));
        for (int i = 0; i < 20; i++)
            assert_ptr_equal(boss_result(), rq[i]);
    }
    await_calls(100);
    unsigned ones = 0;
    for (unsigned i = 0; i < 100; i++)
        ones += seen.call[i].fd == always;
    assert_in_range(ones, 40, 60);
    for (int i = 0; i < 20; i++)
        assert_ok(ant_request_free(rq[i]));
    hold();
    assert_ok(puppet_unwatch(always));
    assert_ok(puppet_unwatch(too));
    let_go();
    close(always);
    close(too);
}

static unsigned served_when_ready;
static unsigned served;

static void note_served(int fd)
{
    served_when_ready = served;
    take_byte(fd);
}

static void work_long(struct ant_server *self, struct ant_request *rq)
{
    if (rq->operation == OP_OBEY) {
        answer(self, rq);
        return;
    }
    served++;
    expect_ok(ant_work(MS(1)));
    expect_ok(ant_reply(rq, 0));
}

/* A few messages that take long are no less in the way than many. */
static void long_requests_do_not_keep_descriptors_waiting(void **state)
{
    struct ant_program slow = one;
    struct ant_request *rq[10];
    (void)state;
    only_where_there_are_descriptors();
    slow.request = work_long;
    assert_ok(ant_stop(pid, SOON, NULL));
    pid = serve(FN, &slow, NULL);
    watch_now(out[0], EPOLLIN, 1);
    ask(FN); /* it has looked at them by now, and found nothing */
    seen.hook = note_served;
    hold();
    served = 0;
    put(in[0]);
    for (int i = 0; i < 10; i++) {
        rq[i] = new_request(FN);
        assert_ok(ant_send(rq[i]));
    }
    let_go();
    for (int i = 0; i < 10; i++) {
        assert_ptr_equal(boss_result(), rq[i]);
        assert_ok(ant_request_free(rq[i]));
    }
    await_calls(1);
    assert_in_range(served_when_ready, 0, 5);
    assert_ok(ant_stop(pid, SOON, NULL)); /* before its program is gone */
}

/* ---- who may ---- */

static int with_no_files_act(void *arg)
{
    const struct rlimit *limit = arg;
    struct rlimit none = {0, limit->rlim_max};
    expect(setrlimit(RLIMIT_NOFILE, &none) == 0);
    int rc = ant_watch(out[0], EPOLLIN, 1);
    expect(setrlimit(RLIMIT_NOFILE, limit) == 0);
    return rc;
}

static int with_no_memory_act(void *arg)
{
    (void)arg;
    wrap_fail(WRAP_ALLOCATION, 1, false);
    int rc = ant_watch(out[0], EPOLLIN, 1);
    wrap_heal();
    return rc;
}

static int null_list_act(void *arg)
{
    size_t count = 5;
    (void)arg;
    expect_error(ant_watch_list(NULL, 1, &count), EINVAL);
    expect(count == 5);
    return ant_watch_list(listed, 8, NULL);
}

static void refused_on_virtual(void)
{
    hold();
    assert_error(puppet_watch(out[0], EPOLLIN, 1), ENOTSUP);
    assert_ok(puppet_do(pid, list_act, NULL));
    assert_int_equal(listed_count, 0);
    let_go();
}

static void a_call_is_refused_with_a_reason(void **state)
{
    struct rlimit limit;
    size_t count = 5;
    (void)state;
    if (on_virtual()) {
        refused_on_virtual();
        return;
    }
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC),
        regular = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    hold();
    assert_was(ant_watch, puppet_do(pid, with_no_files_act, &limit), EMFILE);
    assert_was(ant_watch, puppet_do(pid, with_no_memory_act, NULL), ENOMEM);
    assert_ok(puppet_do(pid, list_act, NULL));
    assert_int_equal(listed_count, 0);
    assert_error(puppet_watch(out[0], 0, 1), EINVAL);
    assert_error(puppet_watch(out[0], EPOLLIN | (uint32_t)EPOLLET, 1), EINVAL);
    assert_error(puppet_watch(-1, EPOLLIN, 1), EBADF);
    assert_error(puppet_watch(1000, EPOLLIN, 1), EBADF);
    assert_error(puppet_watch(regular, EPOLLIN, 1), EPERM);
    assert_was(ant_watch_list, puppet_do(pid, null_list_act, NULL), EINVAL);
    assert_ok(puppet_do(pid, list_act, NULL));
    assert_int_equal(listed_count, 0);
    let_go();
    close(file);
    close(regular);
    assert_error(ant_watch(out[0], EPOLLIN, 1), EINVAL); /* no server */
    assert_error(ant_unwatch(out[0]), ENOENT);
    assert_ok(ant_watch_list(NULL, 0, &count));
    assert_int_equal(count, 0);
    struct ant_program both = own;
    both.ready = note;
    assert_error(ant_serve(FN_BYTES, &both, NULL, NULL), EINVAL);
    fixture_shutdown();
    assert_error(ant_watch(out[0], EPOLLIN, 1), EPERM);
    assert_error(ant_unwatch(out[0]), EPERM);
    assert_error(ant_watch_list(NULL, 0, &count), EPERM);
}

/* ---- swaps ---- */

static int change_in_start(struct ant_server *self)
{
    expect_ok(ant_watch_list(listed, 8, &listed_count));
    expect(listed_count == 2);
    expect_ok(ant_watch(out[1], EPOLLIN, 77));
    expect_ok(ant_unwatch(out[0]));
    expect_error(ant_unwatch(out[0]), ENOENT);
    expect_ok(ant_watch(out[2], EPOLLIN, 78));
    expect_ok(ant_watch_list(listed, 8, &listed_count));
    expect(listed_count == 2);
    return self->program == &two ? 0 : -EIO;
}

static int unwatch_all_in_start(struct ant_server *self)
{
    (void)self;
    expect_ok(ant_watch_list(listed, 8, &listed_count));
    for (size_t i = 0; i < listed_count; i++)
        expect_ok(ant_unwatch(listed[i].fd));
    return 0;
}

/* Errors are noted in a file: so not here. */
static int unwatch_without_files(struct ant_server *self)
{
    struct rlimit limit, none;
    (void)self;
    expect(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none = (struct rlimit){0, limit.rlim_max};
    expect(setrlimit(RLIMIT_NOFILE, &none) == 0);
    int rc = ant_unwatch(out[0]);
    expect(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    return rc;
}

static int unwatch_without_memory(struct ant_server *self)
{
    (void)self;
    wrap_fail(WRAP_ALLOCATION, 1, false);
    int rc = expect_error(ant_unwatch(out[0]), ENOMEM);
    wrap_heal();
    return rc;
}

static void watch_two(void)
{
    hold();
    assert_ok(puppet_watch(out[0], EPOLLIN, 1));
    assert_ok(puppet_watch(out[1], EPOLLIN, 2));
    let_go();
}

static int watch_and_fail(struct ant_server *self)
{
    (void)self;
    expect_ok(ant_watch(out[0], EPOLLIN, 1));
    return -EIO;
}

/* Nor is anything of its left open: see teardown. */
static void a_server_that_does_not_start_watches_nothing(void **state)
{
    (void)state;
    only_where_there_are_descriptors();
    seen.start = watch_and_fail;
    put(in[0]);
    assert_error(ant_serve(FN_BYTES, &one, NULL, NULL), EIO);
    assert_int_equal(atomic_load(&seen.calls), 0);
}

static void what_is_watched_passes_in_a_swap(void **state)
{
    (void)state;
    only_where_there_are_descriptors();
    watch_two();
    assert_ok(ant_swap(FN, &two, NULL, NULL));
    put(in[0]);
    await_calls(1);
    assert_int_equal(seen.call[0].version, 2);
    assert_true(seen.call[0].cookie == 1);
    assert_watches(2, out[0], EPOLLIN, 1);
}

static void what_a_new_server_changes_is_its_own(void **state)
{
    (void)state;
    only_where_there_are_descriptors();
    watch_two();
    seen.start = change_in_start;
    assert_error(ant_swap(FN, &one, NULL, NULL), EIO); /* rolled back */
    seen.start = unwatch_without_files;
    assert_was(ant_unwatch, ant_swap(FN, &one, NULL, NULL), EMFILE);
    seen.start = unwatch_without_memory;
    assert_int_equal(ant_swap(FN, &one, NULL, NULL), -ENOMEM);
    assert_watches(2, out[0], EPOLLIN, 1);
    put(in[2]); /* nobody watches it */
    put(in[0]);
    await_calls(1);
    assert_int_equal(seen.call[0].version, 1);
    seen.start = change_in_start;
    assert_ok(ant_swap(FN, &two, NULL, NULL));
    await_calls(2);
    assert_true(seen.call[1].cookie == 78);
    put(in[0]); /* nobody watches it any more */
    put(in[1]);
    await_calls(3);
    assert_true(seen.call[2].cookie == 77);
    assert_watches(2, out[1], EPOLLIN, 77);
    assert_int_equal(atomic_load(&seen.calls), 3);
}

static void who_cannot_be_called_back_is_not_registered(void **state)
{
    struct ant_swap_report report;
    (void)state;
    only_where_there_are_descriptors();
    watch_two();
    assert_error(ant_swap(FN, &deaf, NULL, &report), ENOTSUP);
    assert_int_equal(report.step, ANT_SWAP_START);
    assert_error(ant_swap(FN, &own, NULL, NULL), ENOTSUP);
    put(in[0]);
    await_calls(1);
    assert_int_equal(seen.call[0].version, 1);
    seen.start = unwatch_all_in_start;
    assert_ok(ant_swap(FN, &own, NULL, NULL));
    ask(FN);
    assert_ok(ant_swap(FN, &deaf, NULL, NULL));
    ask(FN);
}

static struct rlimit usual_files;

/* The thread of the new server needs a descriptor to wait with. */
static int leave_no_files(struct ant_server *self)
{
    struct rlimit none = {0, usual_files.rlim_max};
    (void)self;
    return setrlimit(RLIMIT_NOFILE, &none);
}

static void a_swap_needs_a_descriptor_for_its_thread(void **state)
{
    (void)state;
    only_where_there_are_descriptors();
    watch_two();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual_files), 0);
    seen.start = leave_no_files;
    int rc = ant_swap(FN, &two, NULL, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual_files), 0);
    assert_was(ant_swap, rc, EMFILE);
    put(in[0]);
    await_calls(1);
    assert_int_equal(seen.call[0].version, 1);
}

/* ---- deaths ---- */

static int close_in_start(struct ant_server *self)
{
    expect(self->reason == ANT_START_RESTART);
    return ant_watch_list(listed, 8, &listed_count);
}

static int take_one_in_start(struct ant_server *self)
{
    close_in_start(self);
    expect_ok(ant_unwatch(out[0])); /* it is not inherited anyway */
    expect_error(ant_unwatch(out[1]), ENOENT);
    return ant_watch(out[1], EPOLLIN, 9);
}

static void kill_with_watches(void)
{
    watch_two();
    assert_ok(ant_kill(pid));
    assert_soon(info_of(pid).dead);
    listed_count = 9;
}

static void a_trusted_death_leaves_descriptors_to_the_successor(void **state)
{
    struct ant_swap_options trust = {.trust_state = true};
    (void)state;
    only_where_there_are_descriptors();
    kill_with_watches();
    seen.start = close_in_start;
    assert_ok(ant_swap(FN, &one, NULL, NULL));
    assert_int_equal(listed_count, 2); /* it saw them ... */
    hold();
    assert_ok(puppet_do(pid, list_act, NULL));
    assert_int_equal(listed_count, 0); /* ... and has none of them */
    let_go();
    kill_with_watches();
    assert_ok(ant_swap(FN, &two, &trust, NULL));
    put(in[0]);
    await_calls(1);
    assert_true(seen.call[0].cookie == 1);
    kill_with_watches();
    seen.start = take_one_in_start;
    assert_ok(ant_swap(FN, &two, NULL, NULL));
    assert_watches(1, out[1], EPOLLIN, 9);
    kill_with_watches();
    seen.start = NULL;
    assert_ok(ant_swap(FN, &deaf, NULL, NULL)); /* there is nothing to be called back for */
}

/* ---- many bytes, many swaps ---- */

#define SWAPS 40u

static _Atomic unsigned long taken, wrong, asked, sent, called;
static _Atomic bool enough;

/* Whichever thread a callback runs on, no other one runs meanwhile. */
static _Atomic bool busy;

static void begin_callback(void)
{
    expect(!atomic_exchange(&busy, true));
}

static void end_callback(void)
{
    expect_ok(ant_work(US(5)));
    atomic_store(&busy, false);
}

/* Bytes count up; one that was lost or doubled is out of step. In turn with requests, and with swaps in between. */
static void count_byte(struct ant_server *self, int fd, uint32_t events, uint64_t cookie)
{
    unsigned char byte;
    (void)self, (void)events, (void)cookie;
    begin_callback();
    if (read(fd, &byte, 1) == 1 && byte != (unsigned char)(atomic_fetch_add(&taken, 1) % 251))
        atomic_fetch_add(&wrong, 1);
    end_callback();
}

static int start_counting(struct ant_server *self)
{
    if (self->reason == ANT_START_FRESH)
        return ant_watch(out[3], EPOLLIN, 0);
    return self->generation % 3 == 2 ? ant_watch(out[3], EPOLLIN, self->generation) : 0; /* by a copy */
}

static void count_request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    begin_callback();
    atomic_fetch_add(&asked, 1);
    expect_ok(ant_reply(rq, 0));
    end_callback();
}

static const struct ant_program counter = {.abi = ANT_ABI,
                                           .version = 1,
                                           .name = "counter",
                                           .start = start_counting,
                                           .request = count_request,
                                           .ready = count_byte};
static const struct ant_program lent_counter = {.abi = ANT_ABI,
                                                .version = 2,
                                                .name = "counter",
                                                .start = start_counting,
                                                .request = count_request,
                                                .ready = count_byte,
                                                .direct = true};

static int write_bytes(void *arg)
{
    (void)arg;
    while (!atomic_load(&enough)) {
        unsigned char byte = (unsigned char)(atomic_load(&sent) % 251);
        if (atomic_load(&sent) < atomic_load(&taken) + 50 && write(in[3], &byte, 1) == 1)
            atomic_fetch_add(&sent, 1);
        else
            expect_ok(ant_sleep(ant_now() + US(50))); /* enough is under way */
    }
    return 0;
}

static int call_often(void *arg)
{
    struct ant_request *rq;
    (void)arg;
    expect_ok(ant_request_new(FN_BYTES, &rq));
    while (!atomic_load(&enough)) {
        expect_ok(ant_call(rq, ANT_FOREVER));
        atomic_fetch_add(&called, 1);
    }
    return ant_request_free(rq);
}

/* The test is above them all, so that its swaps come in between. */
static void no_byte_is_lost_in_swaps(void **state)
{
    const int below = FIXTURE_PRIORITY - 5;
    struct ant_server_options options = {.priority = below};
    (void)state;
    only_where_there_are_descriptors();
    ant_pid server = serve(FN_BYTES, &counter, &options);
    ant_pid source = spawn("source", below, write_bytes, NULL),
            client = spawn("client", below, call_often, NULL);
    for (unsigned swaps = 0; swaps < SWAPS; swaps++) {
        unsigned long bytes = atomic_load(&taken), calls = atomic_load(&called);
        assert_ok(ant_swap(FN_BYTES, swaps % 2 ? &counter : &lent_counter, NULL, NULL));
        assert_soon(atomic_load(&taken) > bytes + 10 && atomic_load(&called) > calls + 10);
    }
    atomic_store(&enough, true);
    assert_int_equal(join(source), 0);
    assert_int_equal(join(client), 0);
    assert_soon(atomic_load(&taken) == atomic_load(&sent));
    assert_ok(ant_stop(server, SOON, NULL));
    assert_int_equal(atomic_load(&wrong), 0);
    assert_int_equal(atomic_load(&taken), atomic_load(&sent));
    assert_int_equal(atomic_load(&asked), atomic_load(&called));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        watch_test(a_server_is_called_back_while_a_descriptor_is_ready),
        watch_test(a_closed_descriptor_is_forgotten),
        watch_test(descriptors_and_messages_take_turns),
        watch_test(long_requests_do_not_keep_descriptors_waiting),
        watch_test(a_call_is_refused_with_a_reason),
        watch_test(a_server_that_does_not_start_watches_nothing),
        watch_test(what_is_watched_passes_in_a_swap),
        watch_test(what_a_new_server_changes_is_its_own),
        watch_test(who_cannot_be_called_back_is_not_registered),
        watch_test(a_swap_needs_a_descriptor_for_its_thread),
        watch_test(a_trusted_death_leaves_descriptors_to_the_successor),
        watch_test(no_byte_is_lost_in_swaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
