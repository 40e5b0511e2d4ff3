/* ctest: machines=virtual,real movers=flat */
/* Timers of servers: when they expire, in which order, what is counted, and what becomes of them in swaps and deaths. */
#include "fixture.h"
#include "puppet.h"
#include "wrap.h"

#define FN 7u
#define FN_ECHO 8u

enum {
    OP_ECHO,
    OP_OBEY /* a puppet until it is released; no timer is called meanwhile */
};

/* What `timer` was called with. The server writes, and counts last. */
static struct {
    struct {
        uint32_t id, version;
        uint64_t expirations, at_ns;
    } call[4096];
    _Atomic unsigned calls;
    int (*_Atomic start)(struct ant_server *self);
    void (*_Atomic hook)(struct ant_server *self, uint32_t id); /* what `timer` does, beside */
    _Atomic int started;
} seen;

static int start(struct ant_server *self)
{
    atomic_fetch_add(&seen.started, 1);
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

static void note(struct ant_server *self, uint32_t id, uint64_t expirations)
{
    unsigned n = atomic_load(&seen.calls);
    if (n < sizeof seen.call / sizeof *seen.call) {
        seen.call[n].id = id;
        seen.call[n].version = self->program->version;
        seen.call[n].expirations = expirations;
        seen.call[n].at_ns = ant_now();
        atomic_store(&seen.calls, n + 1);
    }
    void (*hook)(struct ant_server *, uint32_t) = atomic_load(&seen.hook);
    if (hook)
        hook(self, id);
}

static void fail_ready(struct ant_server *self, int fd, uint32_t events, uint64_t cookie)
{
    (void)self, (void)fd, (void)events, (void)cookie;
    expect(!"anything watched");
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

#define PROGRAM(n) .abi = ANT_ABI, .version = n, .name = "timed", .start = start
static const struct ant_program one = {PROGRAM(1), .request = answer, .timer = note};
static const struct ant_program two = {PROGRAM(2), .request = answer, .timer = note};
static const struct ant_program deaf = {PROGRAM(3), .request = answer};
static const struct ant_program own = {PROGRAM(4), .run = run_on_its_own};
static const struct ant_program lent = {PROGRAM(5), .request = answer, .timer = note, .direct = true};

static ant_pid pid;

static int setup(void **state)
{
    memset(&seen, 0, sizeof seen);
    int rc = fixture_setup(state);
    pid = serve(FN, &one, NULL);
    return rc;
}

#define timer_test(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

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

static int set_act(void *arg)
{
    const struct ant_timer *t = arg;
    return ant_timer_set(t->id, t->at_ns, t->period_ns);
}

static int puppet_timer_set(uint32_t id, uint64_t at_ns, uint64_t period_ns)
{
    struct ant_timer timer = {id, at_ns, period_ns};
    return puppet_do(pid, set_act, &timer);
}

static int cancel_act(void *arg)
{
    return ant_timer_cancel(*(uint32_t *)arg);
}

static int puppet_timer_cancel(uint32_t id)
{
    return puppet_do(pid, cancel_act, &id);
}

static struct ant_timer listed[8];
static size_t listed_count;

static int list_act(void *arg)
{
    (void)arg;
    return ant_timer_list(listed, 8, &listed_count);
}

static bool lists(uint32_t id, uint64_t at_ns, uint64_t period_ns)
{
    bool found = false;
    for (size_t i = 0; i < listed_count && i < 8; i++)
        found |= listed[i].id == id && listed[i].at_ns == at_ns && listed[i].period_ns == period_ns;
    return found;
}

static void await_calls(unsigned calls)
{
    assert_soon(atomic_load(&seen.calls) >= calls);
}

/* On a real machine the processor may be somebody else's: so not before, and on `virtual` exactly then. */
static void assert_called(unsigned n, uint32_t id, uint64_t at_ns)
{
    assert_int_equal(seen.call[n].id, id);
    if (on_virtual())
        assert_true(seen.call[n].at_ns == at_ns);
    else
        assert_true(seen.call[n].at_ns >= at_ns);
}

/* A call is answered, so what it had to do before has been done. */
static void ask(uint32_t function)
{
    struct ant_request *rq = new_request(function);
    assert_ok(ant_call(rq, SOON));
    assert_ok(ant_request_free(rq));
}

/* ---- when ---- */

/* All of them before the first is due, however slow the machine is: else what has passed would count as now. */
static int set_four_act(void *arg)
{
    uint64_t *from_ns = arg;
    do {
        *from_ns = ant_now() + MS(2);
        expect_ok(ant_timer_set(3, *from_ns + MS(3), 0));
        expect_ok(ant_timer_set(1, *from_ns + MS(2), 0));
        expect_ok(ant_timer_set(2, *from_ns + MS(2), 0)); /* an equal, set later */
        expect_ok(ant_timer_set(4, *from_ns + MS(1), 0));
        expect_ok(ant_timer_set(4, *from_ns + MS(4), 0)); /* changed */
        expect_ok(ant_timer_set(5, *from_ns + MS(1), 0));
        expect_ok(ant_timer_cancel(5));
    } while (ant_now() > *from_ns);
    return ant_timer_cancel(5);
}

static void timers_expire_once_in_order(void **state)
{
    uint64_t now_ns = 0;
    (void)state;
    hold();
    assert_was(ant_timer_cancel, puppet_do(pid, set_four_act, &now_ns), ENOENT);
    assert_ok(puppet_do(pid, list_act, NULL));
    assert_int_equal(listed_count, 4);
    assert_true(lists(4, now_ns + MS(4), 0));
    let_go();
    await_calls(4);
    assert_called(0, 1, now_ns + MS(2));
    assert_called(1, 2, now_ns + MS(2));
    assert_called(2, 3, now_ns + MS(3));
    assert_called(3, 4, now_ns + MS(4));
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(seen.call[i].expirations, 1);
    hold();
    assert_error(puppet_timer_cancel(1), ENOENT);
    assert_ok(puppet_do(pid, list_act, NULL));
    assert_int_equal(listed_count, 0);
    let_go();
    assert_int_equal(atomic_load(&seen.calls), 4);
}

/* What has passed is now; periods that were missed are counted, and the phase is kept. */
static void periods_are_counted(void **state)
{
    (void)state;
    hold();
    assert_ok(puppet_timer_set(1, ant_now() + MS(1), MS(1)));
    assert_ok(puppet_do(pid, list_act, NULL));
    uint64_t from_ns = listed[0].at_ns; /* on a slow machine it had passed */
    while (ant_now() < from_ns + MS(5)) /* it is busy for so long */
        assert_ok(ant_sleep(from_ns + MS(5)));
    assert_ok(puppet_timer_set(2, 0, 0));
    let_go();
    await_calls(4);
    assert_int_equal(seen.call[0].id, 1);
    assert_int_equal(seen.call[1].id, 2);
    assert_true(seen.call[0].expirations >= 6);
    uint64_t sum = seen.call[0].expirations;
    for (unsigned i = 2; i < 4; i++) {
        assert_int_equal(seen.call[i].id, 1);
        assert_true(seen.call[i].at_ns >= from_ns + sum * MS(1));
        if (on_virtual())
            assert_true(seen.call[i].at_ns == from_ns + sum * MS(1));
        sum += seen.call[i].expirations;
    }
    hold();
    assert_ok(puppet_do(pid, list_act, NULL));
    assert_int_equal(listed_count, 1);
    for (unsigned i = 4; i < atomic_load(&seen.calls); i++)
        sum += seen.call[i].expirations;
    assert_true(lists(1, from_ns + sum * MS(1), MS(1)));
    assert_ok(puppet_timer_set(1, UINT64_MAX, 1)); /* never */
    let_go();
}

static void never_ending(struct ant_server *self, uint32_t id)
{
    (void)self;
    expect_ok(ant_work(10)); /* else the time of `virtual` stands still */
    if (id == 9)
        expect_ok(ant_timer_set(9, 0, 0));
}

/* Nor do timers keep messages, or each other, waiting, nor messages them. Such a server keeps all below it from the processor, and so has to be the lowest. */
static void timers_and_messages_take_turns(void **state)
{
    struct ant_server_options options = {.priority = FIXTURE_PRIORITY - 5};
    (void)state;
    assert_ok(ant_stop(pid, SOON, NULL));
    pid = serve(FN, &one, &options);
    seen.hook = never_ending;
    hold();
    assert_ok(puppet_timer_set(9, 0, 0));
    assert_ok(puppet_timer_set(8, 0, 1));
    let_go();
    for (int i = 0; i < 100; i++)
        ask(FN);
    await_calls(100);
    unsigned nines = 0, eights = 0;
    for (unsigned i = 0; i < 100; i++) {
        nines += seen.call[i].id == 9;
        eights += seen.call[i].id == 8;
    }
    assert_in_range(nines, 40, 60);
    assert_int_equal(nines + eights, 100);
    hold(); /* or the time of `virtual` has no end */
    seen.hook = NULL;
    assert_ok(puppet_timer_cancel(9));
    assert_ok(puppet_timer_cancel(8));
    let_go();
}

/* ---- the heap and its table, against a list ---- */

#define IDS 300u

static uint64_t model[IDS]; /* at_ns; 0: not set */

static void compare(void)
{
    static struct ant_timer all[IDS];
    size_t count, wanted = 0;
    expect_ok(ant_timer_list(all, IDS, &count));
    for (unsigned id = 0; id < IDS; id++)
        wanted += model[id] != 0;
    expect(count == wanted);
    for (size_t i = 0; i < count; i++)
        expect(all[i].id % 7 == 0 && model[all[i].id / 7] == all[i].at_ns);
}

static int model_act(void *arg)
{
    uint64_t random = 1, far_ns = ant_now() + 3600 * ANT_NS_PER_S;
    (void)arg;
    for (unsigned i = 0; i < 20000; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint32_t id = (uint32_t)(random >> 33) % IDS;
        if (random >> 62 == 0) {
            int rc = ant_timer_cancel(id * 7);
            expect(rc == (model[id] ? 0 : -ENOENT));
            model[id] = 0;
        } else {
            model[id] = far_ns + (random >> 40);
            expect_ok(ant_timer_set(id * 7, model[id], 0));
        }
        if (i % 1000 == 0)
            compare();
    }
    compare();
    for (unsigned id = 0; id < IDS; id++)
        if (model[id])
            expect_ok(ant_timer_set(id * 7, model[id] - far_ns, 0)); /* all are due, now one after the other */
    return 0;
}

static void many_timers_are_what_they_were_set_to(void **state)
{
    unsigned set = 0;
    (void)state;
    memset(model, 0, sizeof model);
    hold();
    assert_ok(puppet_do(pid, model_act, NULL));
    let_go();
    for (unsigned id = 0; id < IDS; id++)
        set += model[id] != 0;
    await_calls(set);
    for (unsigned i = 0; i < set; i++) {
        assert_true(model[seen.call[i].id / 7] != 0); /* each once */
        model[seen.call[i].id / 7] = 0;
    }
    assert_int_equal(atomic_load(&seen.calls), set);
}

static int fill_act(void *arg)
{
    uint32_t id = 0;
    (void)arg;
    while (id < ANT_TIMERS_MAX && ant_timer_set(id, UINT64_MAX - id, 0) == 0)
        id++;
    expect(id == ANT_TIMERS_MAX);
    return ant_timer_set(0, UINT64_MAX, 5); /* one that is there may change */
}

static int null_list_act(void *arg)
{
    return ant_timer_list(arg, 1, NULL);
}

static int no_room_act(void *arg)
{
    size_t count = 0;
    (void)arg;
    expect_error(ant_timer_list(NULL, 1, &count), EINVAL);
    expect(count == 0);
    expect_ok(ant_timer_list(NULL, 0, &count));
    expect(count == ANT_TIMERS_MAX);
    return 0;
}

static int poor_act(void *arg)
{
    (void)arg;
    wrap_fail(WRAP_ALLOCATION, 1, false);
    int rc = ant_timer_set(1, 1, 0);
    wrap_heal();
    return rc;
}

static void a_call_is_refused_with_a_reason(void **state)
{
    struct ant_timer item;
    size_t count = 5;
    (void)state;
    hold();
    assert_was(ant_timer_set, puppet_do(pid, poor_act, NULL), ENOMEM);
    assert_ok(puppet_do(pid, fill_act, NULL));
    assert_error(puppet_timer_set(ANT_TIMERS_MAX, 1, 0), ENOSPC);
    assert_was(ant_timer_list, puppet_do(pid, null_list_act, &item), EINVAL);
    assert_ok(puppet_do(pid, no_room_act, NULL));
    let_go();
    assert_error(ant_timer_set(1, 1, 0), EINVAL); /* no server */
    assert_error(ant_timer_cancel(1), ENOENT);
    assert_ok(ant_timer_list(NULL, 0, &count));
    assert_int_equal(count, 0);
    struct ant_program both = own;
    both.timer = note;
    assert_error(ant_serve(FN_ECHO, &both, NULL, NULL), EINVAL);
    pid = 0;
    fixture_shutdown();
    assert_error(ant_timer_set(1, 1, 0), EPERM);
    assert_error(ant_timer_cancel(1), EPERM);
    assert_error(ant_timer_list(NULL, 0, &count), EPERM);
}

/* ---- the time that a callback takes ---- */

static void obey_in_timer(struct ant_server *self, uint32_t id)
{
    (void)self, (void)id;
    expect_ok(puppet_obey());
}

static void a_swap_waits_for_the_end_of_a_callback(void **state)
{
    (void)state;
    struct ant_swap_report report;
    ant_pid requester = puppet_create("requester", 0);
    seen.hook = obey_in_timer;
    hold();
    assert_ok(puppet_timer_set(1, 0, 0));
    assert_ok(puppet_timer_set(2, 0, 0));
    let_go();
    puppet_await(pid); /* in the first one's callback */
    puppet_begin_swap(requester, FN, &two, NULL, &report);
    assert_soon(ant_swap_cancel(FN) == 0); /* it has begun, and does not get its turn */
    assert_int_equal(puppet_end(requester), -ECANCELED);
    puppet_begin_swap(requester, FN, &two, NULL, &report);
    struct ant_request *rq = new_request(FN_ECHO);
    seen.hook = NULL; /* of the second one */
    assert_error(ant_send(rq), ESRCH);
    assert_ok(ant_request_free(rq));
    puppet_release(pid);
    assert_ok(puppet_end(requester));
    await_calls(2);
    assert_int_equal(seen.call[0].version, 1);
    assert_int_equal(seen.call[1].id, 2);
    assert_int_equal(seen.call[1].version, on_virtual() ? 2u : seen.call[1].version);
}

/* Both are there when the request is through. The requester is above the test, so the notice is there when that goes on; on ordinary threads it may be. */
static void a_notice_comes_before_what_is_due(void **state)
{
    (void)state;
    ant_pid requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
    hold();
    assert_ok(puppet_timer_set(1, 0, 0));
    puppet_begin_swap(requester, FN, &two, NULL, NULL);
    puppet_release(pid);
    assert_ok(puppet_end(requester));
    await_calls(1);
    if (on_virtual() || on_fifo())
        assert_int_equal(seen.call[0].version, 2);
    assert_ptr_equal(boss_result(), obeying);
    assert_ok(ant_request_free(obeying));
}

static void hang(struct ant_server *self, uint32_t id)
{
    (void)self, (void)id;
    ant_work(3600 * ANT_NS_PER_S);
}

static int set_in_start(struct ant_server *self)
{
    (void)self;
    expect_ok(ant_timer_set(1, 0, 0));
    return 0;
}

static void a_watchdog_watches_callbacks(void **state)
{
    (void)state;
    struct ant_server_options options = {.watchdog_ns = (int64_t)MS(20)};
    seen.start = set_in_start;
    seen.hook = hang;
    ant_pid hung = serve(FN_ECHO, &one, &options);
    assert_soon(info_of(hung).dead);
}

/* ---- swaps ---- */

static int work_in_start(struct ant_server *self)
{
    (void)self;
    size_t count = 0;
    expect_ok(ant_timer_list(listed, 8, &count));
    expect(count == 2);
    return ant_sleep(ant_now() + MS(10));
}

static int change_in_start(struct ant_server *self)
{
    uint64_t now_ns = ant_now();
    expect_ok(ant_timer_cancel(1));
    expect_error(ant_timer_cancel(1), ENOENT);
    expect_ok(ant_timer_set(2, now_ns + MS(1), 0));
    expect_ok(ant_timer_set(3, now_ns + MS(2), 0));
    expect_ok(ant_timer_list(listed, 8, &listed_count));
    expect(listed_count == 2);
    return self->program == &two ? 0 : -EIO;
}

static int cancel_all_in_start(struct ant_server *self)
{
    (void)self;
    expect_ok(ant_timer_cancel(1));
    return ant_timer_cancel(2);
}

static int poor_in_start(struct ant_server *self)
{
    (void)self;
    wrap_fail(WRAP_ALLOCATION, 1, false);
    int rc = expect_error(ant_timer_cancel(1), ENOMEM);
    wrap_heal();
    return rc;
}

static void what_expired_while_nobody_served_is_told_by_the_new_server(void **state)
{
    (void)state;
    hold();
    uint64_t now_ns = ant_now();
    assert_ok(puppet_timer_set(1, now_ns + MS(1), MS(1)));
    assert_ok(puppet_timer_set(2, UINT64_MAX - 1, 0));
    seen.start = work_in_start;
    puppet_release(pid);
    assert_ok(ant_swap(FN, &two, NULL, NULL));
    assert_ptr_equal(boss_result(), obeying);
    assert_ok(ant_request_free(obeying));
    uint64_t expirations = 0;
    for (unsigned n = 0;; n++) {
        await_calls(n + 1);
        if (seen.call[n].version == 2)
            expirations = seen.call[n].expirations;
        if (expirations)
            break;
    }
    assert_true(expirations >= 10); /* in one call */
}

static void what_a_new_server_changes_is_its_own(void **state)
{
    (void)state;
    uint64_t far_ns = UINT64_MAX - 7;
    hold();
    assert_ok(puppet_timer_set(1, far_ns, 0));
    assert_ok(puppet_timer_set(2, far_ns - 1, 5));
    let_go();
    seen.start = change_in_start;
    assert_error(ant_swap(FN, &one, NULL, NULL), EIO);
    seen.start = poor_in_start;
    assert_int_equal(ant_swap(FN, &two, NULL, NULL), -ENOMEM);
    hold();
    assert_ok(puppet_do(pid, list_act, NULL));
    assert_int_equal(listed_count, 2);
    assert_true(lists(1, far_ns, 0));
    assert_true(lists(2, far_ns - 1, 5));
    let_go();
    assert_int_equal(atomic_load(&seen.calls), 0);
    seen.start = change_in_start;
    assert_ok(ant_swap(FN, &two, NULL, NULL));
    await_calls(2);
    assert_int_equal(seen.call[0].id, 2);
    assert_int_equal(seen.call[1].id, 3);
    assert_int_equal(seen.call[1].version, 2);
}

static int prepare(struct ant_server *self)
{
    size_t count = 5;
    (void)self;
    expect_error(ant_timer_set(1, 1, 0), EPERM);
    expect_error(ant_timer_cancel(1), EPERM);
    expect_error(ant_timer_list(NULL, 0, &count), EPERM);
    expect_error(ant_watch(0, 1, 0), EPERM);
    expect_error(ant_unwatch(0), EPERM);
    expect_error(ant_watch_list(NULL, 0, &count), EPERM);
    expect(count == 5);
    return 0;
}

static const struct ant_program preparing = {PROGRAM(6), .prepare = prepare, .request = answer,
                                             .timer = note, .ready = fail_ready};

/* The old server may still change it all. */
static void nothing_of_it_is_seen_in_prepare(void **state)
{
    (void)state;
    hold();
    assert_ok(puppet_timer_set(1, UINT64_MAX - 1, 0));
    let_go();
    assert_ok(ant_swap(FN, &preparing, NULL, NULL));
    hold();
    assert_ok(puppet_timer_cancel(1));
    let_go();
}

static void who_cannot_be_called_back_is_not_registered(void **state)
{
    struct ant_swap_report report;
    (void)state;
    hold();
    assert_ok(puppet_timer_set(1, UINT64_MAX - 1, 0));
    assert_ok(puppet_timer_set(2, UINT64_MAX - 1, 0));
    let_go();
    assert_error(ant_swap(FN, &deaf, NULL, &report), ENOTSUP);
    assert_int_equal(report.step, ANT_SWAP_START);
    assert_int_equal(report.error, -ENOTSUP);
    assert_error(ant_swap(FN, &own, NULL, NULL), ENOTSUP);
    seen.start = cancel_all_in_start;
    assert_ok(ant_swap(FN, &own, NULL, NULL));
    ask(FN);
    seen.start = NULL;
    assert_ok(ant_swap(FN, &deaf, NULL, NULL));
    ask(FN);
}

/* What a server does all the time, with timers of its own. */
static void set_others(struct ant_server *self, uint32_t id)
{
    (void)self;
    for (uint32_t i = 10; i < 20; i++)
        expect_ok(ant_timer_set(i, ant_now() + MS(1) * (id + i), 0));
    expect_ok(ant_timer_cancel(15));
}

static int list_and_set_in_start(struct ant_server *self)
{
    struct ant_timer all[32];
    size_t count;
    (void)self;
    expect_ok(ant_timer_list(all, 32, &count));
    expect_ok(ant_timer_cancel(1));
    expect_ok(ant_timer_set(1, 0, US(10)));
    expect_ok(ant_timer_list(all, 32, &count));
    expect(count >= 1 && count <= 10); /* those of its predecessor that have not expired, and its own */
    return ant_sleep(ant_now() + US(20));
}

/* The new server looks at what is its predecessor's, who may go on at any instant, and changes it. */
static void a_swap_may_be_cancelled_while_a_new_server_looks(void **state)
{
    (void)state;
    fixture_shutdown();
    for (uint64_t seed = 0; fixture_explores(seed, 60); seed++) {
        fixture_boot_seed(seed);
        pid = serve(FN, &one, NULL);
        hold();
        assert_ok(puppet_timer_set(1, 0, US(10)));
        let_go();
        seen.hook = set_others;
        await_calls(atomic_load(&seen.calls) % 2048 + 1);
        ant_pid requester = puppet_create("requester", 0);
        seen.start = list_and_set_in_start;
        for (int i = 0; i < (on_virtual() ? 3 : 40); i++) {
            atomic_store(&seen.calls, 0);
            await_calls(1);
            puppet_begin_swap(requester, FN, i % 2 ? &one : &two, NULL, NULL);
            for (int yields = 0; yields < i % 7; yields++)
                assert_ok(ant_sleep(ant_now() + US(5)));
            int cancelled = ant_swap_cancel(FN);
            assert_true(cancelled == 0 || cancelled == -ENOENT || cancelled == -EALREADY);
            int rc = puppet_end(requester);
            assert_int_equal(rc, cancelled == 0 ? -ECANCELED : 0);
        }
        seen.start = NULL;
        seen.hook = NULL;
        fixture_shutdown();
    }
}

/* ---- deaths ---- */

static int list_in_start(struct ant_server *self)
{
    expect(self->reason == ANT_START_RESTART);
    return ant_timer_list(listed, 8, &listed_count);
}

static void kill_with_timers(void)
{
    hold();
    assert_ok(puppet_timer_set(1, UINT64_MAX - 1, 0));
    assert_ok(puppet_timer_set(2, UINT64_MAX - 1, 0));
    assert_ok(ant_kill(pid));
    puppet_bury(pid);
    assert_ptr_equal(boss_result(), obeying);
    assert_ok(ant_request_free(obeying));
    listed_count = 9;
}

static void a_trusted_death_leaves_timers_to_the_successor(void **state)
{
    (void)state;
    struct ant_swap_options trust = {.trust_state = true};
    kill_with_timers();
    seen.start = list_in_start;
    assert_ok(ant_swap(FN, &one, NULL, NULL));
    assert_int_equal(listed_count, 2); /* it saw them ... */
    hold();
    assert_ok(puppet_do(pid, list_act, NULL));
    assert_int_equal(listed_count, 0); /* ... and has none of them */
    let_go();
    kill_with_timers();
    assert_ok(ant_swap(FN, &two, &trust, NULL));
    assert_int_equal(listed_count, 2);
    hold();
    assert_ok(puppet_do(pid, list_act, NULL));
    assert_int_equal(listed_count, 2);
    let_go();
    kill_with_timers();
    seen.start = change_in_start; /* only what it has set itself */
    assert_ok(ant_swap(FN, &two, NULL, NULL));
    await_calls(2);
    kill_with_timers();
    seen.start = NULL;
    assert_ok(ant_swap(FN, &deaf, NULL, NULL)); /* there is nothing to be called back for */
}

static void fault(struct ant_server *self, uint32_t id)
{
    (void)self, (void)id;
    abort();
}

static void a_fault_in_a_callback_is_contained(void **state)
{
    struct ant_config config = fixture_config();
    (void)state;
    fixture_shutdown();
    config.contain_faults = true;
    fixture_boot(&config);
    seen.start = set_in_start;
    seen.hook = fault;
    pid = serve(FN, &one, NULL);
    assert_soon(info_of(pid).dead);
    seen.start = list_in_start;
    seen.hook = NULL;
    assert_ok(ant_swap(FN, &two, NULL, NULL));
    ask(FN);
}

/* ---- direct calls ---- */

static void set_in_request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    expect_ok(ant_timer_set(rq->operation, ant_now() + MS(1), 0));
    expect_ok(ant_reply(rq, 0));
}

/* The request sets it on its client's thread; the server's own, which waits already, learns of it, and is called back. */
static void a_timer_may_be_set_in_a_direct_call(void **state)
{
    (void)state;
    struct ant_program program = lent;
    struct ant_config config = fixture_config();
    program.request = set_in_request;
    fixture_shutdown();
    config.direct_on_virtual = true;
    fixture_boot(&config);
    serve(FN, &program, NULL);
    struct ant_request *rq = new_request(FN);
    for (uint32_t i = 0; i < 20; i++) {
        rq->operation = i;
        assert_ok(ant_call(rq, ANT_FOREVER));
        if (i % 3 == 0) /* else the next one finds one that runs */
            await_calls(i + 1);
    }
    await_calls(20);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(seen.call[i].id, i);
    assert_ok(ant_request_free(rq));
    fixture_shutdown(); /* before its program is gone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        timer_test(timers_expire_once_in_order),
        timer_test(periods_are_counted),
        timer_test(timers_and_messages_take_turns),
        timer_test(many_timers_are_what_they_were_set_to),
        timer_test(a_call_is_refused_with_a_reason),
        timer_test(a_swap_waits_for_the_end_of_a_callback),
        timer_test(a_notice_comes_before_what_is_due),
        timer_test(a_watchdog_watches_callbacks),
        timer_test(what_expired_while_nobody_served_is_told_by_the_new_server),
        timer_test(what_a_new_server_changes_is_its_own),
        timer_test(nothing_of_it_is_seen_in_prepare),
        timer_test(who_cannot_be_called_back_is_not_registered),
        timer_test(a_swap_may_be_cancelled_while_a_new_server_looks),
        timer_test(a_trusted_death_leaves_timers_to_the_successor),
        timer_test(a_fault_in_a_callback_is_contained),
        timer_test(a_timer_may_be_set_in_a_direct_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
