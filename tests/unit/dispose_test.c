/* ctest: machines=virtual,real movers=strict,flat */
/* `dispose`: once for each generation that began, when and where it is said to be called; and not when one ended by force. */
#include "mortal.h"

#include <pthread.h>
#include <sched.h>

#define GENERATIONS 32u

/* What a generation made, and has to dispose of. */
struct thing {
    pthread_t thread;
    uint32_t generation;
    int level; /* of the thread, as the host says */
};
static struct thing things[64];
static _Atomic uint32_t thing_count;

/* Of mortal_one and mortal_one_again. */
static struct ant_program before, after;
static ant_pid requester;

static struct {
    int (*prepare)(struct ant_server *self);
    int (*start)(struct ant_server *self);
    _Atomic uint32_t began[GENERATIONS], disposed[GENERATIONS]; /* by generation */
    _Atomic int fall; /* the last one that was disposed of: how far its thread's level had fallen */
    _Atomic bool spin, spins, left;
} plan;

static int level(void)
{
    struct sched_param param = {0};
    sched_getparam(0, &param);
    return param.sched_priority;
}

static void notice(struct ant_server *self)
{
    struct thing *thing = &things[atomic_fetch_add(&thing_count, 1) % 64];
    expect(!self->context);
    *thing = (struct thing){pthread_self(), self->generation, level()};
    self->context = thing;
    plan.began[self->generation]++;
}

static int prepare(struct ant_server *self)
{
    notice(self);
    return plan.prepare ? plan.prepare(self) : 0;
}

static int start(struct ant_server *self)
{
    if (!self->program->prepare)
        notice(self);
    return plan.start(self);
}

static void dispose(struct ant_server *self)
{
    void *area;
    ant_pid pid;
    const struct thing *thing = self->context;
    expect(thing->generation == self->generation && pthread_equal(thing->thread, pthread_self()));
    expect(!self->state && self->state_bytes == 0 && !ant_state());
    expect(ant_self() == 0);
    expect_error(ant_ica_alloc(1, &area), EPERM);
    expect_error(ant_lookup(FN, &pid), EPERM);
    expect_error(ant_boot(NULL), EPERM);
    expect_error(ant_thread_attach(0, NULL, &pid), EPERM);
    plan.fall = thing->level - level();
    plan.disposed[self->generation]++;
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    if (rq->operation == OP_EXIT) /* not as a call of the core would */
        pthread_exit(NULL);
    mortal_one.request(self, rq);
}

static int run(struct ant_server *self)
{
    mortal_loop.run(self);
    return 5;
}

static void begin(const struct ant_server_options *options)
{
    memset(&plan, 0, sizeof plan);
    memset(&mortal, 0, sizeof mortal);
    plan.start = mortal_one.start;
    before = mortal_one;
    before.start = start;
    before.dispose = dispose;
    before.request = request;
    after = before;
    after.version = 2;
    mortal_pid = serve(FN, &before, options);
    requester = puppet_create("requester", FIXTURE_PRIORITY + 5);
    assert_int_equal(plan.began[1], 1);
}

static int setup(void **state)
{
    fixture_setup(state);
    begin(NULL);
    return 0;
}
#define dispose_test(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

static void assert_disposed(uint32_t generation)
{
    assert_int_equal(plan.began[generation], 1);
    assert_int_equal(plan.disposed[generation], 1);
}

static void each_generation_is_disposed_of_once(void **state)
{
    (void)state;
    for (uint32_t generation = 2; generation < 12; generation++) {
        assert_ok(ant_swap(FN, generation % 2 ? &before : &after, NULL, NULL));
        assert_soon(plan.disposed[generation - 1] == 1); /* with step 12 or after it */
        assert_int_equal(plan.disposed[generation], 0);
        assert_int_equal(plan.fall, on_fifo()); /* below its successor */
        assert_int_equal(ask(FN, OP_COUNT).count, generation - 2);
    }
    assert_ok(ant_stop(mortal_pid, SOON, NULL));
    for (uint32_t generation = 1; generation < 12; generation++)
        assert_disposed(generation);
}

static void whoever_waits_for_the_end_waits_for_it(void **state)
{
    (void)state;
    int status = 77;
    assert_ok(ant_stop(mortal_pid, SOON, &status));
    assert_int_equal(status, 0);
    assert_disposed(1);
    assert_int_equal(plan.fall, 0);
}

static void a_server_that_leaves_by_pthread_exit_is_disposed_of(void **state)
{
    (void)state;
    struct ant_request *rq = send_op(OP_EXIT, 0);
    take_error(rq, -EOWNERDEAD);
    join(mortal_pid);
    assert_disposed(1);
}

static void a_server_that_exits_or_leaves_its_loop_is_disposed_of(void **state)
{
    (void)state;
    struct ant_program loop = mortal_loop;
    loop.start = start;
    loop.run = run;
    loop.dispose = dispose;
    before.request = mortal_one.request;
    memset(&plan.began, 0, sizeof plan.began);
    ant_pid server = serve(FN_OTHER, &before, NULL), looping = serve(FN_EXTRA, &loop, NULL);
    assert_int_equal(plan.began[1], 2);
    struct ant_request *rq = send_to(FN_OTHER, OP_EXIT, 0, 0);
    take_error(rq, -EOWNERDEAD);
    assert_int_equal(join(server), 3);
    assert_int_equal(plan.disposed[1], 1);
    int status = 77;
    assert_ok(ant_stop(looping, SOON, &status));
    assert_int_equal(status, 5);
    assert_int_equal(plan.disposed[1], 2);
}

static int leave(struct ant_server *self)
{
    (void)self;
    ant_exit(0);
    return 0;
}

static int sleep_for_ever(struct ant_server *self)
{
    (void)self;
    atomic_store(&plan.spins, true);
    ant_sleep(UINT64_MAX);
    expect(false);
    return 0;
}

/* Whoever fails, and waits in the core when its time is over, is through with it when the call returns. */
static void one_that_fails_is_disposed_of_before_the_call_returns(void **state)
{
    (void)state;
    static const struct {
        int (*hook)(struct ant_server *self);
        int error;
    } failures[] = {{fail_to_start, EDOM}, {leave, EOWNERDEAD}, {sleep_for_ever, ETIMEDOUT}};
    struct ant_program preparing = after, starting = after;
    preparing.prepare = prepare;
    for (size_t i = 0; i < 3; i++) {
        int64_t limit_ns = failures[i].error == ETIMEDOUT ? A_WHILE : SOON;
        struct ant_swap_options options = {.prepare_timeout_ns = limit_ns, .start_timeout_ns = limit_ns};
        struct ant_server_options server_options = {.prepare_timeout_ns = limit_ns,
                                                    .start_timeout_ns = limit_ns};
        uint32_t so_far = plan.disposed[1];
        plan.start = failures[i].hook;
        assert_error(ant_swap(FN, &starting, &options, NULL), failures[i].error);
        assert_int_equal(plan.disposed[2], 2 * i + 1);
        assert_error(ant_serve(FN_OTHER, &starting, &server_options, NULL), failures[i].error);
        assert_int_equal(plan.disposed[1], so_far + 1);
        plan.start = mortal_one.start;
        plan.prepare = failures[i].hook;
        assert_error(ant_swap(FN, &preparing, &options, NULL), failures[i].error);
        assert_int_equal(plan.disposed[2], 2 * i + 2);
        assert_error(ant_serve(FN_OTHER, &preparing, &server_options, NULL), failures[i].error);
        assert_int_equal(plan.disposed[1], so_far + 2);
    }
    assert_int_equal(plan.began[2], 6);
    assert_serves(1, 1);
}

static void one_that_never_began_is_not(void **state)
{
    (void)state;
    struct ant_request *busy = make_obey();
    struct ant_program preparing = after;
    preparing.prepare = prepare;
    const struct ant_swap_options options = {.quiesce_timeout_ns = A_WHILE};
    assert_was(ant_swap, puppet_swap(requester, FN, &after, &options, NULL), ETIMEDOUT);
    assert_int_equal(plan.began[2] + plan.disposed[2], 0);
    assert_was(ant_swap, puppet_swap(requester, FN, &preparing, &options, NULL), ETIMEDOUT);
    assert_disposed(2); /* but one that has prepared is */
    puppet_release(mortal_pid);
    take_answer(busy, 1);
    assert_serves(1, 1);
}

static void one_that_died_is_not(void **state)
{
    (void)state;
    mortal_kill();
    assert_ok(ant_swap(FN, &after, NULL, NULL));
    assert_serves(2, 2);
    struct ant_request *rq = send_op(OP_DIE, 0);
    take_error(rq, -EOWNERDEAD);
    await_death(mortal_pid);
    assert_ok(ant_stop(mortal_pid, SOON, NULL));
    assert_int_equal(plan.disposed[1] + plan.disposed[2], 0);
}

static int spin(struct ant_server *self)
{
    (void)self;
    atomic_store(&plan.spins, true);
    while (atomic_load(&plan.spin))
        ;
    atomic_store(&plan.left, true);
    return 0;
}

static void one_that_was_abandoned_is_not(void **state)
{
    (void)state;
    if (on_virtual())
        skip(); /* there a process that never calls the core stops the world */
    struct ant_swap_report report;
    assert_ok(ant_priority_set(mortal_pid, FIXTURE_PRIORITY - 1));
    atomic_store(&plan.spin, true);
    plan.start = spin;
    puppet_begin_swap(requester, FN, &after, NULL, &report);
    assert_soon(atomic_load(&plan.spins));
    assert_ok(ant_swap_cancel(FN));
    assert_was(ant_swap, puppet_end(requester), ECANCELED);
    assert_true(report.abandoned);
    atomic_store(&plan.spin, false);
    assert_soon(atomic_load(&plan.left));
    plan.start = mortal_one.start;
    assert_ok(ant_stop(mortal_pid, SOON, NULL));
    assert_int_equal(plan.disposed[2], 0);
    assert_disposed(1);
}

/* AddressSanitizer sees whoever looks at it. */
static void a_program_without_one_may_be_gone_when_it_has_been_replaced(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct ant_program *program = malloc(sizeof *program);
        assert_non_null(program);
        *program = mortal_one;
        ant_pid server = serve(FN_OTHER, program, NULL);
        assert_ok(ant_swap(FN_OTHER, &mortal_one, NULL, NULL));
        memset(program, 0x5a, sizeof *program);
        free(program);
        assert_ok(ant_stop(server, SOON, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        dispose_test(each_generation_is_disposed_of_once),
        dispose_test(whoever_waits_for_the_end_waits_for_it),
        dispose_test(a_server_that_leaves_by_pthread_exit_is_disposed_of),
        dispose_test(a_server_that_exits_or_leaves_its_loop_is_disposed_of),
        dispose_test(one_that_fails_is_disposed_of_before_the_call_returns),
        dispose_test(one_that_never_began_is_not),
        dispose_test(one_that_died_is_not),
        dispose_test(one_that_was_abandoned_is_not),
        dispose_test(a_program_without_one_may_be_gone_when_it_has_been_replaced),
    };
    return cmocka_run_group_tests_name("dispose", tests, NULL, NULL);
}
