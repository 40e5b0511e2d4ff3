/* ctest: machines=other,real movers=strict,flat */
/*
 * Threads that the program has made join a core, do what a process does, and leave again as what they were.
 *
 * A guest is such a thread. In the core it is a puppet: it obeys the boss until it is released, and leaves.
 */
#include "child.h"
#include "lent.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PRIORITY 30
#define NICE 7

/* ---- guests ---- */

/* What is a thread's own. */
struct own {
    int policy;
    int priority;
    int nice;
    cpu_set_t cpus;
    sigset_t mask;
};

struct guest {
    pthread_t thread;
    ant_core_id core;
    struct ant_process_options options;
    int (*instead)(void *arg); /* of obeying */
    void *arg;
    bool stays; /* until its thread ends */
    _Atomic ant_pid pid;
    struct own before, inside, after;
};

static void look(struct own *own)
{
    struct sched_param param;
    memset(own, 0, sizeof *own);
    own->policy = sched_getscheduler(0);
    expect(sched_getparam(0, &param) == 0);
    own->priority = param.sched_priority;
    own->nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    expect(sched_getaffinity(0, sizeof own->cpus, &own->cpus) == 0);
    expect(pthread_sigmask(SIG_SETMASK, NULL, &own->mask) == 0);
}

/* Something that nobody has by chance: as many CPUs as there are, another policy, a nice value, a signal blocked. */
static void be_somebody(void)
{
    struct sched_param param = {0};
    sigset_t blocked;
    cpu_set_t all;
    memset(&all, 0xff, sizeof all);
    expect(sched_setaffinity(0, sizeof all, &all) == 0);
    expect(sched_setscheduler(0, SCHED_BATCH, &param) == 0);
    expect(setpriority(PRIO_PROCESS, (id_t)gettid(), NICE) == 0);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    expect(pthread_sigmask(SIG_SETMASK, &blocked, NULL) == 0);
}

static void *guest_main(void *arg)
{
    struct guest *guest = arg;
    ant_pid pid = 0;
    be_somebody();
    look(&guest->before);
    expect_ok(ant_thread_attach(guest->core, &guest->options, &pid));
    look(&guest->inside);
    atomic_store(&guest->pid, pid);
    if (guest->instead)
        guest->instead(guest->arg);
    else
        expect(puppet_obey() == 0);
    if (guest->stays)
        return NULL;
    expect_ok(ant_thread_detach());
    expect(ant_self() == 0);
    look(&guest->after);
    return NULL;
}

static ant_core_id core_id(void)
{
    ant_core_id id = 0;
    assert_ok(ant_core_self(&id));
    assert_true(id != 0);
    return id;
}

static ant_pid begin(struct guest *guest)
{
    guest->core = core_id();
    assert_int_equal(pthread_create(&guest->thread, NULL, guest_main, guest), 0);
    assert_soon(atomic_load(&guest->pid) != 0);
    if (!guest->instead)
        puppet_await(guest->pid);
    return guest->pid;
}

static void await_thread(struct guest *guest)
{
    assert_int_equal(pthread_join(guest->thread, NULL), 0);
}

static void end(struct guest *guest)
{
    puppet_release(guest->pid);
    await_thread(guest);
}

/* ---- it is a process ---- */

static void a_thread_joins_and_calls_a_server(void **state)
{
    (void)state;
    struct guest guest = {0};
    ant_pid pid = begin(&guest);
    struct ant_process_info info = info_of(pid);
    assert_string_equal(info.name, "thread");
    assert_int_equal(info.priority, fixture_config().priority);
    assert_int_equal(info.generation, 0);
    struct ant_request *rq = puppet_new_request(pid, FN);
    rq->data = puppet_new_area(pid, 3);
    assert_ok(puppet_call(pid, rq, ANT_FOREVER));
    assert_int_equal(answer_in(rq)->count, 0);
    assert_ok(puppet_send(pid, rq));
    struct ant_request *result = puppet_take_result(pid);
    assert_int_equal(answer_in(result)->count, 1);
    assert_ok(puppet_ica_free(pid, result->data));
    assert_ok(puppet_request_free(pid, result));
    ant_pid server = 0;
    assert_ok(puppet_serve(pid, FN_OTHER, &mortal_one, NULL, &server));
    assert_int_equal(info_of(server).priority, info.priority);
    assert_ok(puppet_stop(pid, server, SOON, NULL));
    end(&guest);
    int status = -1;
    assert_ok(ant_wait(pid, SOON, &status));
    assert_int_equal(status, 0);
}

static void its_name_and_priority_are_the_options(void **state)
{
    (void)state;
    struct guest guest = {.options = {.name = "loop", .priority = PRIORITY}};
    ant_pid pid = begin(&guest);
    assert_string_equal(info_of(pid).name, "loop");
    assert_int_equal(info_of(pid).priority, PRIORITY);
    assert_ok(ant_priority_set(pid, PRIORITY + 1));
    assert_int_equal(info_of(pid).priority, PRIORITY + 1);
    end(&guest);
}

static void it_serves_and_leaves_what_it_owes_unanswered(void **state)
{
    (void)state;
    struct guest guest = {0};
    ant_pid pid = begin(&guest);
    assert_ok(puppet_function_add(pid, FN_EXTRA));
    struct ant_request *answered = send_to(FN_EXTRA, OP_COUNT, 1, 0);
    struct ant_request *served = send_to(FN_EXTRA, OP_COUNT, 2, 0);
    struct ant_request *queued = send_to(FN_EXTRA, OP_COUNT, 3, 0);
    assert_ok(puppet_reply(pid, puppet_take_request(pid), 7));
    struct ant_request *result = boss_result();
    assert_ptr_equal(result, answered);
    assert_int_equal(result->status, 7);
    assert_ok(ant_request_free(result));
    puppet_take_request(pid);
    end(&guest);
    take_error(served, -EOWNERDEAD);
    take_error(queued, -EOWNERDEAD);
    assert_error(ant_lookup(FN_EXTRA, &(ant_pid){0}), ESRCH);
}

static void it_replaces_servers(void **state)
{
    (void)state;
    struct guest guest = {0};
    ant_pid pid = begin(&guest);
    struct ant_swap_report report;
    for (uint32_t generation = 2; generation < 12; generation++) {
        const struct ant_program *program = generation % 2 ? &mortal_one : &mortal_two;
        struct ant_request *rq = send_op(OP_COUNT, generation);
        assert_ok(puppet_swap(pid, FN, program, NULL, &report));
        assert_int_equal(report.generation, generation);
        assert_ptr_equal(boss_result(), rq);
        assert_in_range(answer_in(rq)->generation, generation - 1, generation);
        assert_ok(ant_request_free(rq));
    }
    mortal.hook = fail_to_start;
    assert_true(puppet_swap(pid, FN, &mortal_one, NULL, &report) < 0);
    mortal.hook = NULL;
    assert_serves(1, 11);
    end(&guest);
}

/* ---- whose thread it is ---- */

static bool is_same(const struct own *a, const struct own *b)
{
    return a->policy == b->policy && a->priority == b->priority && a->nice == b->nice &&
           CPU_EQUAL(&a->cpus, &b->cpus) && memcmp(&a->mask, &b->mask, sizeof a->mask) == 0;
}

/* Also through a swap, which raises its requester. */
static void it_keeps_its_own_scheduling(void **state)
{
    (void)state;
    struct guest guest = {0};
    ant_pid pid = begin(&guest);
    assert_ok(puppet_swap(pid, FN, &mortal_two, NULL, NULL));
    assert_error(ant_priority_set(pid, PRIORITY), EPERM);
    assert_int_equal(info_of(pid).priority, FIXTURE_PRIORITY);
    end(&guest);
    assert_true(is_same(&guest.before, &guest.inside));
    assert_true(is_same(&guest.before, &guest.after));
    assert_int_equal(guest.before.policy, SCHED_BATCH);
    assert_int_equal(guest.before.nice, NICE);
}

static void with_a_priority_it_is_scheduled_as_a_process_and_gets_its_own_back(void **state)
{
    (void)state;
    struct guest guest = {.options = {.priority = PRIORITY}};
    struct own boss;
    look(&boss);
    ant_pid pid = begin(&guest);
    assert_int_equal(where_is(pid).level, PRIORITY); /* on `fifo`, in force */
    assert_ok(ant_priority_set(pid, PRIORITY + 2));
    assert_int_equal(where_is(pid).level, PRIORITY + 2);
    assert_ok(puppet_swap(pid, FN, &mortal_two, NULL, NULL));
    assert_int_equal(where_is(pid).level, PRIORITY + 2);
    end(&guest);
    assert_true(is_same(&guest.before, &guest.after));
    assert_memory_equal(&guest.inside.mask, &guest.before.mask, sizeof guest.before.mask);
    if (on_fifo()) {
        assert_int_equal(guest.inside.policy & ~SCHED_RESET_ON_FORK, SCHED_FIFO);
        assert_int_equal(guest.inside.priority, ANT_RT_BASE_DEFAULT + PRIORITY);
        assert_true(CPU_EQUAL(&guest.inside.cpus, &boss.cpus));
    } else {
        assert_true(is_same(&guest.before, &guest.inside));
    }
}

static pthread_t runner;

static void note_runner(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    runner = pthread_self();
    if (rq->operation == OP_EXIT)
        pthread_exit(NULL);
    expect_ok(ant_reply(rq, 0));
}

static const struct ant_program noter = {
    .abi = ANT_ABI, .name = "noter", .version = 1, .request = note_runner, .direct = true};

/* On `fifo` a thread that keeps its own scheduling would run the server below its priority. */
static void it_lends_itself_to_servers_unless_they_would_run_below_their_priority(void **state)
{
    (void)state;
    ant_pid server = serve(FN_OTHER, &noter, NULL);
    for (int priority = 0; priority <= PRIORITY; priority += PRIORITY) {
        struct guest guest = {.options = {.priority = priority}};
        ant_pid pid = begin(&guest);
        await_rest(server);
        struct ant_request *rq = puppet_new_request(pid, FN_OTHER);
        assert_ok(puppet_call(pid, rq, ANT_FOREVER));
        bool lent = pthread_equal(runner, guest.thread);
        assert_int_equal(lent, priority != 0 || !on_fifo());
        assert_ok(puppet_request_free(pid, rq));
        end(&guest);
    }
}

/* ---- it leaves ---- */

/* Each time with an area, a function id and a request out: nothing is left of them. */
static int come_and_go(void *arg)
{
    struct guest *guest = arg;
    for (int i = 0; i < 1000; i++) {
        struct ant_request *rq = NULL;
        void *area = NULL;
        ant_pid before = ant_self();
        expect_ok(ant_ica_alloc(1, &area));
        expect_ok(ant_function_add(FN_EXTRA));
        if (expect_ok(ant_request_new(FN, &rq)) != 0)
            break;
        rq->operation = OP_COUNT;
        expect_ok(i % 2 ? ant_call(rq, ANT_FOREVER) : ant_send(rq));
        expect_ok(ant_thread_detach());
        expect(ant_self() == 0);
        expect_ok(ant_thread_attach(guest->core, &guest->options, NULL));
        expect(ant_self() != before);
    }
    return 0;
}

static void a_thousand_times_leave_nothing(void **state)
{
    (void)state;
    struct guest guest = {.instead = come_and_go};
    guest.arg = &guest;
    begin(&guest);
    await_thread(&guest);
    assert_true(is_same(&guest.before, &guest.after));
}

static int call_pthread_exit(void *arg)
{
    (void)arg;
    pthread_exit(NULL);
}

static int lend_and_exit(void *arg)
{
    struct ant_request *rq = NULL;
    (void)arg;
    expect_ok(ant_request_new(FN_OTHER, &rq));
    rq->operation = OP_EXIT;
    ant_call(rq, ANT_FOREVER);
    expect(!"the call returned");
    return 0;
}

static int return_zero(void *arg)
{
    (void)arg;
    return 0;
}

/* Its functions are gone with its thread, whatever that ended by. */
static void who_ends_without_leaving_leaves(void **state)
{
    (void)state;
    static int (*const ends[])(void *) = {return_zero, call_pthread_exit, NULL};
    for (size_t i = 0; i < 3; i++) {
        struct guest guest = {.instead = ends[i], .stays = true};
        ant_pid pid = begin(&guest);
        if (!ends[i]) {
            assert_ok(puppet_function_add(pid, FN_EXTRA));
            puppet_new_area(pid, 2);
            puppet_release(pid);
        }
        await_thread(&guest);
        int status = -1;
        assert_ok(ant_wait(pid, SOON, &status));
        assert_int_equal(status, 0);
        assert_error(ant_lookup(FN_EXTRA, &(ant_pid){0}), ESRCH);
    }
}

/* As where any client's thread is ended by what it runs: both end. */
static void who_ends_in_a_server_s_callback_ends_the_server(void **state)
{
    (void)state;
    ant_pid server = 0, pid;
    assert_ok(ant_serve(FN_OTHER, &noter, NULL, &server));
    await_rest(server);
    struct guest guest = {.options = {.priority = PRIORITY}, .instead = lend_and_exit};
    pid = begin(&guest);
    await_thread(&guest);
    assert_true(pthread_equal(runner, guest.thread));
    assert_ok(ant_wait(pid, SOON, NULL));
    assert_ok(ant_wait(server, SOON, NULL));
}

static int exit_in_vain(void *arg)
{
    (void)arg;
    ant_exit(5);
    return expect(ant_self() != 0) ? 0 : 1;
}

static void it_is_asked_to_end_and_not_forced(void **state)
{
    (void)state;
    struct guest guest = {0};
    ant_pid pid = begin(&guest), stopper = puppet_create("stopper", 0);
    assert_ok(puppet_do(pid, exit_in_vain, NULL));
    assert_error(ant_kill(pid), EPERM);
    assert_int_equal(puppet_kill(pid, pid), -EPERM);
    int status = -1;
    puppet_begin_stop(stopper, pid, SOON, &status);
    struct ant_message message = {0};
    assert_ok(puppet_receive(pid, &message, ANT_FOREVER));
    assert_int_equal(message.kind, ANT_STOP);
    puppet_begin_sleep(pid, ant_now() + (uint64_t)SOON);
    assert_int_equal(puppet_end(pid), -ESHUTDOWN);
    end(&guest);
    assert_ok(puppet_end(stopper));
    assert_int_equal(status, 0);
}

/* ---- its own event loop ---- */

#define ROUNDS 100u

static struct {
    int bytes[2]; /* a pipe */
    _Atomic uint32_t read, served;
} loop;

/* False: it was asked to stop. */
static bool take_messages(void)
{
    struct ant_message message;
    int rc;
    while ((rc = ant_receive(&message, 0)) == 0 && message.kind == ANT_REQUEST) {
        expect_ok(ant_reply(message.request, 0));
        atomic_fetch_add(&loop.served, 1);
    }
    return rc == -ETIMEDOUT;
}

/* As a program of anybody's has it: the core is one descriptor among others. */
static int run_event_loop(void *arg)
{
    (void)arg;
    int core = -1, set = epoll_create1(EPOLL_CLOEXEC);
    expect_ok(ant_function_add(FN_EXTRA));
    expect_ok(ant_event_fd(&core));
    const int watched[] = {core, loop.bytes[0]};
    for (size_t i = 0; i < 2; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = watched[i]};
        expect(epoll_ctl(set, EPOLL_CTL_ADD, watched[i], &event) == 0);
    }
    for (bool goes_on = true; goes_on;) {
        struct epoll_event event;
        char byte;
        int count = epoll_wait(set, &event, 1, -1);
        if (count == 1 && event.data.fd == core)
            goes_on = take_messages();
        else if (count == 1 && read(loop.bytes[0], &byte, 1) == 1)
            atomic_fetch_add(&loop.read, 1);
    }
    close(set);
    return 0;
}

static void its_event_loop_has_the_core_as_one_descriptor_more(void **state)
{
    (void)state;
    struct guest guest = {.instead = run_event_loop};
    int status = -1;
    ant_pid found;
    memset(&loop, 0, sizeof loop);
    assert_int_equal(pipe(loop.bytes), 0);
    ant_pid pid = begin(&guest);
    assert_soon(ant_lookup(FN_EXTRA, &found) == 0);
    struct ant_request *rq = new_request(FN_EXTRA);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        assert_int_equal(write(loop.bytes[1], "x", 1), 1);
        assert_ok(ant_call(rq, SOON));
    }
    assert_soon(atomic_load(&loop.read) == ROUNDS);
    assert_soon(atomic_load(&loop.served) == ROUNDS); /* counted after the reply */
    assert_ok(ant_request_free(rq));
    assert_ok(ant_stop(pid, SOON, &status));
    assert_int_equal(status, 0);
    await_thread(&guest);
    close(loop.bytes[0]);
    close(loop.bytes[1]);
}

/* ---- which core ---- */

static int wait_for_stop(void *arg)
{
    struct ant_message message;
    (void)arg;
    expect_ok(ant_receive(&message, ANT_FOREVER));
    return 0;
}

struct host { /* a core that another thread has booted */
    pthread_t thread;
    enum ant_machine machine;
    ant_core_id core;
    sem_t up, enough;
};

static void *host_main(void *arg)
{
    struct host *host = arg;
    struct ant_config config = fixture_config();
    config.machine = host->machine;
    config.max_processes = 2;
    expect_ok(ant_boot(&config));
    expect_ok(ant_core_self(&host->core));
    sem_post(&host->up);
    while (sem_wait(&host->enough) != 0)
        ;
    struct ant_shutdown_report report = {0};
    expect_ok(ant_shutdown(&report));
    expect(report.areas_held == 0 && report.processes_asked == 0 && report.processes_abandoned == 0);
    return NULL;
}

static void begin_host(struct host *host, enum ant_machine machine)
{
    host->machine = machine;
    sem_init(&host->up, 0, 0);
    sem_init(&host->enough, 0, 0);
    assert_int_equal(pthread_create(&host->thread, NULL, host_main, host), 0);
    while (sem_wait(&host->up) != 0)
        ;
}

static void end_host(struct host *host)
{
    sem_post(&host->enough);
    assert_int_equal(pthread_join(host->thread, NULL), 0);
    sem_destroy(&host->up);
    sem_destroy(&host->enough);
}

static void the_test_s_thread_joins_one_core_after_the_other(void **state)
{
    (void)state;
    static struct host hosts[2];
    ant_core_id id = 77;
    assert_error(ant_core_self(&id), EPERM);
    assert_error(ant_thread_detach(), EPERM);
    for (int i = 0; i < 2; i++)
        begin_host(&hosts[i], ANT_MACHINE_OTHER);
    assert_true(hosts[0].core != hosts[1].core);
    for (int i = 0; i < 4; i++) {
        ant_pid pid = 0;
        assert_ok(ant_thread_attach(hosts[i % 2].core, NULL, &pid));
        assert_true(pid == ant_self());
        assert_ok(ant_core_self(&id));
        assert_true(id == hosts[i % 2].core);
        assert_error(ant_thread_attach(hosts[1].core, NULL, NULL), EBUSY);
        assert_error(ant_boot(NULL), EBUSY);
        assert_error(ant_shutdown(NULL), EPERM);
        assert_error(ant_process_create(NULL, return_zero, NULL, NULL), EAGAIN); /* it counts */
        assert_error(ant_core_self(NULL), EINVAL);
        assert_ok(ant_thread_detach());
    }
    end_host(&hosts[0]);
    assert_error(ant_thread_attach(hosts[0].core, NULL, NULL), ESRCH); /* stale */
    assert_error(ant_thread_attach(0, NULL, NULL), ESRCH);
    assert_ok(ant_thread_attach(hosts[1].core, NULL, NULL));
    assert_ok(ant_thread_detach());
    end_host(&hosts[1]);
    assert_error(ant_thread_attach(hosts[1].core, NULL, NULL), ESRCH);
}

static void not_on_virtual(void **state)
{
    (void)state;
    static struct host host;
    ant_pid pid = 77;
    begin_host(&host, ANT_MACHINE_VIRTUAL);
    assert_error(ant_thread_attach(host.core, NULL, &pid), ENOTSUP);
    assert_true(pid == 77 && ant_self() == 0);
    end_host(&host);
}

/* ---- refused ---- */

static void *try_in_vain(void *arg)
{
    const ant_core_id *core = arg;
    static const struct ant_process_options wrong[] = {
        {.priority = -1}, {.priority = ANT_PRIORITY_MAX + 1}, {.stack_bytes = (size_t)1 << 20}};
    ant_pid pid = 77;
    for (size_t i = 0; i < 3; i++)
        expect_error(ant_thread_attach(*core, &wrong[i], &pid), EINVAL);
    expect_error(ant_thread_attach(*core, NULL, &pid), EAGAIN);
    expect(pid == 77 && ant_self() == 0);
    return NULL;
}

static void nonsense_and_one_too_many_are_refused(void **state)
{
    (void)state;
    struct ant_config config = fixture_config();
    config.max_processes = 2;
    fixture_boot(&config);
    ant_core_id core = core_id();
    pthread_t thread;
    assert_ok(ant_process_create(NULL, wait_for_stop, NULL, NULL));
    assert_int_equal(pthread_create(&thread, NULL, try_in_vain, &core), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_error(ant_thread_attach(core, NULL, NULL), EBUSY);
    assert_error(ant_thread_detach(), EPERM); /* it booted the core, and did not join it */
    assert_ok(ant_shutdown(NULL));
}

static ant_core_id core_of_child;

static void *attach_with_priority(void *arg)
{
    struct ant_process_options options = {.priority = PRIORITY};
    (void)arg;
    child_forbid(SYS_sched_setscheduler, EPERM);
    expect_error(ant_thread_attach(core_of_child, &options, NULL), EPERM);
    expect(ant_self() == 0);
    expect_ok(ant_thread_attach(core_of_child, NULL, NULL)); /* it needs no right for that */
    expect_ok(ant_thread_detach());
    return NULL;
}

static void *attach_without_memory(void *arg)
{
    (void)arg;
    child_exhaust_memory();
    expect_error(ant_thread_attach(core_of_child, NULL, NULL), ENOMEM);
    child_refill_memory();
    expect_ok(ant_thread_attach(core_of_child, NULL, NULL));
    expect_ok(ant_thread_detach());
    return NULL;
}

static void run_as_guest(void *arg)
{
    void *(*body)(void *) = *(void *(**)(void *))arg;
    pthread_t thread;
    struct ant_config config = fixture_config();
    config.mover = ANT_MOVER_FLAT;
    fixture_boot(&config);
    core_of_child = core_id();
    if (body != attach_with_priority || on_fifo()) {
        assert_int_equal(pthread_create(&thread, NULL, body, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    fixture_shutdown();
}

static void a_host_that_refuses_is_an_error(void **state)
{
    (void)state;
    static void *(*bodies[])(void *) = {attach_with_priority, attach_without_memory};
    for (size_t i = 0; i < 2; i++)
        if (!SANITIZED) /* their malloc does not fail, and there is no `fifo` */
            child_must_succeed(run_as_guest, &bodies[i]);
}

/* What expect_error would note goes to this child's file. */
static int attach_in_child(void *arg)
{
    const int *error = arg;
    pid_t child = fork();
    if (child == 0) {
        bool right = *error == EPERM
                         ? expect_error(ant_thread_attach(core_of_child, NULL, NULL), EPERM) == -EPERM
                         : expect_error(ant_thread_attach(core_of_child, NULL, NULL), ESRCH) == -ESRCH;
        right &= ant_thread_detach() == -EPERM;
        _exit(right ? 0 : 1);
    }
    int status = -1;
    expect(waitpid(child, &status, 0) == child);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return 0;
}

static void *fork_outside(void *arg)
{
    attach_in_child(arg);
    return NULL;
}

static void a_child_of_fork_joins_no_core_of_its_parent_s(void **state)
{
    (void)state;
    static const int inside = EPERM, outside = ESRCH;
    struct guest guest = {.instead = attach_in_child, .arg = (void *)(uintptr_t)&inside};
    pthread_t thread;
    core_of_child = core_id();
    begin(&guest);
    await_thread(&guest);
    assert_int_equal(pthread_create(&thread, NULL, fork_outside, (void *)(uintptr_t)&outside), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- the core's end ---- */

static sem_t asked, go_on;

static void await(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        ;
}

/* It leaves when it is asked, but not before another has tried to join. */
static int leave_when_asked(void *arg)
{
    struct ant_message message = {0};
    (void)arg;
    expect_ok(ant_receive(&message, ANT_FOREVER));
    expect(message.kind == ANT_STOP);
    sem_post(&asked);
    await(&go_on);
    return 0;
}

static void *join_late(void *arg)
{
    const ant_core_id *core = arg;
    await(&asked);
    expect_error(ant_thread_attach(*core, NULL, NULL), ESHUTDOWN);
    sem_post(&go_on);
    return NULL;
}

static void shutdown_waits_for_those_that_have_joined_and_nobody_joins_any_more(void **state)
{
    (void)state;
    sem_init(&asked, 0, 0);
    sem_init(&go_on, 0, 0);
    struct guest guest = {.instead = leave_when_asked};
    struct ant_shutdown_report report;
    pthread_t late;
    begin(&guest);
    assert_int_equal(pthread_create(&late, NULL, join_late, &guest.core), 0);
    assert_ok(ant_shutdown(&report));
    assert_int_equal(report.processes_asked, 2); /* and the mortal */
    assert_int_equal(report.processes_abandoned, 0);
    await_thread(&guest);
    assert_int_equal(pthread_join(late, NULL), 0);
    assert_error(ant_thread_attach(guest.core, NULL, NULL), ESRCH);
}

static void assert_no_process_any_more(ant_core_id core)
{
    void *area;
    struct ant_message message;
    expect(ant_self() == 0 && ant_now() == 0 && ant_state() == NULL);
    expect_error(ant_ica_alloc(1, &area), EPERM);
    expect_error(ant_receive(&message, ANT_FOREVER), EPERM);
    expect_error(ant_sleep(UINT64_MAX), EPERM);
    expect_error(ant_thread_attach(core, NULL, NULL), EBUSY); /* before it has left */
}

/* How a guest spends the shutdown that does not wait for it any longer. */
enum { OUTSIDE, IN_CALL, IN_RECEIVE, IN_WAIT, IN_SWAP, WORKING, WAYS };

static int hang_in_start(struct ant_server *self)
{
    if (self->reason == ANT_START_SWAP)
        await(&go_on);
    return 0;
}

static const struct ant_program hanging = {
    .abi = ANT_ABI, .name = "hanging", .version = 2, .start = hang_in_start, .request = note_runner};

struct stubborn {
    struct guest guest;
    int way;
    ant_pid other;
    _Atomic bool begun;
};

static int be_stubborn(void *arg)
{
    struct stubborn *stubborn = arg;
    struct ant_request *rq = NULL;
    struct ant_message message;
    void *area;
    int rc = 0;
    expect_ok(ant_ica_alloc(1, &area));
    expect_ok(ant_request_new(FN_EXTRA, &rq));
    if (stubborn->way != OUTSIDE)
        atomic_store(&stubborn->begun, true);
    switch (stubborn->way) {
    case OUTSIDE:
        expect_ok(ant_function_add(FN_EXTRA));
        atomic_store(&stubborn->begun, true);
        await(&go_on);
        break;
    case IN_CALL: /* of a guest that hangs */
        rc = ant_call(rq, ANT_FOREVER);
        expect(rc == -ESHUTDOWN || rc == -EINPROGRESS);
        break;
    case IN_RECEIVE: /* deaf to what it is told */
        while ((rc = ant_receive(&message, ANT_FOREVER)) == 0)
            expect(message.kind == ANT_STOP);
        expect(rc == -EPERM);
        break;
    case IN_WAIT:
        while ((rc = ant_wait(stubborn->other, ANT_FOREVER, NULL)) == -ESHUTDOWN)
            ;
        expect(rc == -EPERM || rc == -ESRCH);
        break;
    case IN_SWAP:
        while ((rc = ant_swap(FN_OTHER, &hanging, NULL, NULL)) == -ESHUTDOWN)
            ;
        expect(rc == -EPERM || rc == -ESRCH);
        break;
    case WORKING:
        while ((rc = ant_work(UINT64_MAX)) == -ESHUTDOWN)
            ;
        expect(rc == -EPERM);
        break;
    }
    while (ant_self() != 0) /* it may not have been abandoned yet */
        sched_yield();
    assert_no_process_any_more(stubborn->guest.core);
    return 0;
}

static void who_does_not_leave_is_abandoned_and_is_no_process_until_it_has(void **state)
{
    (void)state;
    static struct stubborn stubborn[WAYS];
    struct ant_config config = fixture_config();
    struct ant_shutdown_report report;
    config.shutdown_timeout_ns = (int64_t)MS(50);
    memset(stubborn, 0, sizeof stubborn);
    sem_init(&go_on, 0, 0);
    fixture_boot(&config);
    assert_ok(ant_serve(FN_OTHER, &noter, NULL, NULL));
    for (int way = 0; way < WAYS; way++) {
        stubborn[way].way = way;
        stubborn[way].other = ant_self();
        stubborn[way].guest.instead = be_stubborn;
        stubborn[way].guest.arg = &stubborn[way];
        begin(&stubborn[way].guest);
        assert_soon(atomic_load(&stubborn[way].begun));
    }
    assert_ok(ant_shutdown(&report));
    assert_true(report.processes_abandoned > 0); /* also the old server, and as many new ones as were tried */
    assert_true(report.areas_held >= WAYS);
    fixture_boot(NULL); /* the other core is still there, and is none of this one's business */
    for (int i = 0; i < WAYS; i++)
        sem_post(&go_on);
    for (int way = 0; way < WAYS; way++)
        await_thread(&stubborn[way].guest);
    fixture_shutdown();
}

/* ---- faults ---- */

static char *volatile nowhere = (char *)8;

__attribute__((noinline, no_sanitize("address,undefined,thread"))) static void write_nowhere(void)
{
    *nowhere = 1;
}

static void fault_in_callback(struct ant_server *self, struct ant_request *rq)
{
    (void)self, (void)rq;
    runner = pthread_self();
    write_nowhere();
}

static const struct ant_program faulty = {
    .abi = ANT_ABI, .name = "faulty", .version = 1, .request = fault_in_callback, .direct = true};

static int lend_to_the_faulty(void *arg)
{
    struct ant_request *rq = NULL;
    (void)arg;
    expect_ok(ant_request_new(FN_OTHER, &rq));
    expect_error(ant_call(rq, ANT_FOREVER), EOWNERDEAD);
    expect_ok(ant_request_free(rq));
    return 0;
}

static void boot_containing(void)
{
    struct ant_config config = fixture_config();
    config.contain_faults = true;
    fixture_boot(&config);
}

static void run_the_faulty(void *arg)
{
    struct guest guest = {.options = {.priority = PRIORITY}, .instead = lend_to_the_faulty};
    struct ant_server_options fail = {.on_death = ANT_DEATH_FAIL};
    ant_pid server = 0;
    (void)arg;
    boot_containing();
    assert_ok(ant_serve(FN_OTHER, &faulty, &fail, &server));
    await_rest(server);
    begin(&guest);
    await_thread(&guest);
    assert_true(pthread_equal(runner, guest.thread));
    assert_true(is_dead(server));
    assert_expectations();
    assert_ok(ant_shutdown(NULL));
}

static void a_server_s_fault_on_its_thread_ends_the_server_only(void **state)
{
    (void)state;
    child_must_succeed(run_the_faulty, NULL);
}

static int fault(void *arg)
{
    (void)arg;
    write_nowhere();
    return 0;
}

static void run_faulty_guest(void *arg)
{
    struct guest guest = {.instead = fault};
    (void)arg;
    signal(SIGSEGV, SIG_DFL); /* cmocka's */
    boot_containing();
    begin(&guest);
    await_thread(&guest);
}

static void its_own_fault_is_not_contained(void **state)
{
    (void)state;
    struct child child;
    child_run(&child, run_faulty_guest, NULL);
    assert_true(child.signal == SIGSEGV || (SANITIZED && child.exit_status != 0));
    assert_non_null(strstr(child.errors, "has joined"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first, in children: once a core has been booted here ThreadSanitizer lets those have no threads */
        bare_mortal_test(a_host_that_refuses_is_an_error),
        bare_mortal_test(a_server_s_fault_on_its_thread_ends_the_server_only),
        bare_mortal_test(its_own_fault_is_not_contained),
        lent_test(a_thread_joins_and_calls_a_server),
        mortal_test(its_name_and_priority_are_the_options),
        mortal_test(it_serves_and_leaves_what_it_owes_unanswered),
        mortal_test(it_replaces_servers),
        mortal_test(it_keeps_its_own_scheduling),
        mortal_test(with_a_priority_it_is_scheduled_as_a_process_and_gets_its_own_back),
        core_test(it_lends_itself_to_servers_unless_they_would_run_below_their_priority),
        mortal_test(a_thousand_times_leave_nothing),
        core_test(who_ends_without_leaving_leaves),
        core_test(who_ends_in_a_server_s_callback_ends_the_server),
        core_test(it_is_asked_to_end_and_not_forced),
        core_test(its_event_loop_has_the_core_as_one_descriptor_more),
        bare_mortal_test(the_test_s_thread_joins_one_core_after_the_other),
        bare_mortal_test(not_on_virtual),
        bare_mortal_test(nonsense_and_one_too_many_are_refused),
        core_test(a_child_of_fork_joins_no_core_of_its_parent_s),
        mortal_test(shutdown_waits_for_those_that_have_joined_and_nobody_joins_any_more),
        bare_mortal_test(who_does_not_leave_is_abandoned_and_is_no_process_until_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
