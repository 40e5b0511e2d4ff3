/* ctest: machines=virtual,real movers=strict,strict-mremap,flat,copy */
/*
 * A core: boot, configuration, environment, what it says of itself, shutdown, and calls from threads that are no process.
 */
#include "child.h"
#include "fixture.h"
#include "puppet.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define FN 7u
#define FN_BOOT 8u

static struct ant_config small(void)
{
    return (struct ant_config){.pool_bytes = (size_t)2 << 20, .max_processes = 8};
}

/* ---- boot ---- */

static void boot_makes_the_caller_the_first_process(void **state)
{
    (void)state;
    struct ant_config config = small();
    assert_true(ant_self() == 0);
    assert_true(ant_now() == 0);
    assert_ok(ant_boot(&config));
    assert_true(ant_self() != 0);
    struct ant_process_info info = info_of(ant_self());
    assert_string_equal(info.name, "boot");
    assert_int_equal(info.priority, ANT_PRIORITY_MIN);
    assert_int_equal(info.pages, 0);
    assert_ok(ant_shutdown(NULL));
    assert_true(ant_self() == 0);
    assert_true(ant_now() == 0);
}

static void a_process_cannot_boot(void **state)
{
    (void)state;
    struct ant_config config = small();
    assert_ok(ant_boot(&config));
    ant_pid self = ant_self();
    assert_error(ant_boot(&config), EBUSY);
    assert_error(ant_boot(NULL), EBUSY);
    assert_true(ant_self() == self);
    assert_ok(ant_shutdown(NULL));
}

static void all_defaults_boot(void **state)
{
    (void)state;
    struct ant_info info;
    assert_ok(ant_boot(NULL));
    assert_ok(ant_info(&info));
    assert_int_equal(info.pool_bytes, (size_t)64 << 20);
    assert_int_equal(info.max_processes, 1024);
    assert_int_equal(info.seed, 0);
    struct ant_ica_stats stats;
    assert_ok(ant_ica_stats(&stats));
    assert_int_equal(stats.page_count, ((size_t)64 << 20) / ANT_PAGE_BYTES);
    size_t count;
    assert_error(ant_trace_read(NULL, 0, &count), ENOENT); /* no trace unless asked for */
    assert_ok(ant_shutdown(NULL));
}

static void info_says_what_runs_and_why(void **state)
{
    (void)state;
    struct ant_config config = small();
    struct ant_info info;
    assert_ok(ant_boot(&config));
    assert_error(ant_info(NULL), EINVAL);
    assert_ok(ant_info(&info));
    static const char *const machines[] = {"auto", "fifo", "other", "virtual"};
    static const char *const movers[] = {"auto", "strict", "strict-mremap", "flat", "copy"};
    assert_in_range(info.machine, ANT_MACHINE_FIFO, ANT_MACHINE_VIRTUAL);
    assert_in_range(info.mover, ANT_MOVER_STRICT, ANT_MOVER_COPY);
    assert_string_equal(info.machine_name, machines[info.machine]);
    assert_string_equal(info.mover_name, movers[info.mover]);
    assert_true(strlen(info.machine_reason) > 3);
    assert_true(strlen(info.mover_reason) > 3);
    /* what the environment asked for */
    const char *machine = getenv("ANT_MACHINE"), *asked_mover = getenv("ANT_MOVER");
    if (machine && strcmp(machine, "auto") != 0)
        assert_string_equal(info.machine_name, machine);
    if (asked_mover && strcmp(asked_mover, "auto") != 0)
        assert_string_equal(info.mover_name, asked_mover);
    assert_ok(ant_shutdown(NULL));
}

static void sizes_are_rounded_up_and_taken(void **state)
{
    (void)state;
    struct ant_config config = small();
    struct ant_info info;
    config.pool_bytes = ((size_t)2 << 20) + 1;
    config.max_processes = 2;
    config.priority = 33;
    config.prefault = true;
    config.seed = 99;
    config.stack_bytes = 65536;
    assert_ok(ant_boot(&config));
    assert_ok(ant_info(&info));
    assert_int_equal(info.pool_bytes, (size_t)4 << 20);
    assert_int_equal(info.max_processes, 2);
    assert_int_equal(info_of(ant_self()).priority, 33);
    void *all;
    assert_ok(ant_ica_alloc(1024, &all));
    memset(all, 1, (size_t)4 << 20);
    assert_ok(ant_ica_free(all));
    assert_ok(ant_shutdown(NULL));
}

static void nonsense_in_the_config_is_refused(void **state)
{
    (void)state;
    static const int many_cpus[65] = {0};
    const struct ant_config wrong[] = {
        {.machine = (enum ant_machine)4},
        {.machine = (enum ant_machine) - 1},
        {.mover = (enum ant_mover)5},
        {.mover = (enum ant_mover) - 1},
        {.log = (enum ant_log_level)6},
        {.log = (enum ant_log_level) - 1},
        {.pool_bytes = 1},
        {.pool_bytes = ((size_t)2 << 20) - 1},
        {.pool_bytes = ((size_t)1 << 40) + 1},
        {.pool_bytes = SIZE_MAX},
        {.max_processes = 1},
        {.max_processes = 65536},
        {.max_processes = UINT32_MAX},
        {.stack_bytes = 65535},
        {.stack_bytes = SIZE_MAX},
        {.priority = -1},
        {.priority = ANT_PRIORITY_MAX + 1},
        {.rt_base = -1},
        {.rt_base = 39},
        {.cpu_count = 65, .cpus = many_cpus},
        {.cpu_count = 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int rc = assert_error(ant_boot(&wrong[i]), EINVAL);
        assert_int_equal(rc, -EINVAL);
        assert_true(ant_self() == 0);
    }
}

/* ---- the environment ---- */

static void read_the_environment(void *arg)
{
    (void)arg;
    struct ant_config config = small();
    struct ant_info info;
    static const char *const names[] = {"ANT_MACHINE", "ANT_MOVER", "ANT_LOG"};
    for (int i = 0; i < 3; i++)
        unsetenv(names[i]);
    for (int i = 0; i < 3; i++) {
        setenv(names[i], "nonsense", 1);
        expect_error(ant_boot(&config), EINVAL);
        setenv(names[i], "flat,copy", 1);
        expect_error(ant_boot(&config), EINVAL);
        unsetenv(names[i]);
    }
    static const char *const movers[] = {"strict-mremap", "flat", "copy"};
    for (int i = 0; i < 3; i++) {
        setenv("ANT_MOVER", movers[i], 1);
        setenv("ANT_MACHINE", i % 2 ? "other" : "virtual", 1);
        setenv("ANT_LOG", i % 2 ? "error" : "quiet", 1);
        if (expect_ok(ant_boot(&config)) != 0)
            return;
        expect_ok(ant_info(&info));
        expect(strcmp(info.mover_name, movers[i]) == 0);
        expect(strcmp(info.machine_name, i % 2 ? "other" : "virtual") == 0);
        expect_ok(ant_shutdown(NULL));
    }
    /* a field that is set comes before the environment, which is then not even read */
    for (int i = 0; i < 3; i++)
        setenv(names[i], "nonsense", 1);
    config.machine = ANT_MACHINE_VIRTUAL;
    config.mover = ANT_MOVER_FLAT;
    config.log = ANT_LOG_ERROR;
    expect_ok(ant_boot(&config));
    expect_ok(ant_info(&info));
    expect(info.machine == ANT_MACHINE_VIRTUAL && info.mover == ANT_MOVER_FLAT);
    expect_ok(ant_shutdown(NULL));
}

static void the_environment_chooses_where_the_config_does_not(void **state)
{
    (void)state;
    child_must_succeed(read_the_environment, NULL);
}

static void boot_with_log(void *arg)
{
    struct ant_config config = small();
    unsetenv("ANT_LOG");
    config.log = *(enum ant_log_level *)arg;
    expect_ok(ant_boot(&config));
    expect_ok(ant_shutdown(NULL));
}

static void the_log_says_what_was_chosen_to_those_who_ask(void **state)
{
    (void)state;
    struct child child;
    enum ant_log_level level = ANT_LOG_INFO;
    child_run(&child, boot_with_log, &level);
    child_assert_success(&child);
    assert_true(strlen(child.errors) > 0);
    level = ANT_LOG_QUIET;
    child_run(&child, boot_with_log, &level);
    child_assert_success(&child);
    assert_string_equal(child.errors, "");
}

/* ---- shutdown ---- */

static void only_the_process_that_booted_shuts_down(void **state)
{
    (void)state;
    fixture_boot(NULL);
    struct ant_shutdown_report report = {.pages_held = 77};
    ant_pid puppet = puppet_create("puppet", 0);
    assert_error(puppet_shutdown(puppet, &report), EPERM);
    assert_int_equal(report.pages_held, 77);
    fixture_shutdown();
    assert_error(ant_shutdown(&report), EPERM);
    assert_int_equal(report.pages_held, 77);
}

struct ending {
    int rc, again;
    enum ant_message_kind kind;
    ant_pid boot;
    int create;
};

static int end_receiving(void *arg)
{
    struct ending *e = arg;
    struct ant_message message = {0};
    e->rc = ant_receive(&message, ANT_FOREVER);
    e->kind = message.kind;
    e->again = ant_receive(&message, 0);
    e->create = ant_process_create(NULL, end_receiving, arg, NULL);
    return 0;
}

static int end_sleeping(void *arg)
{
    ((struct ending *)arg)->rc = ant_sleep(1000 * ANT_NS_PER_S);
    return 0;
}

static int end_working(void *arg)
{
    ((struct ending *)arg)->rc = ant_work(1000 * ANT_NS_PER_S);
    return 0;
}

static int end_waiting(void *arg)
{
    struct ending *e = arg;
    e->rc = ant_wait(e->boot, ANT_FOREVER, NULL);
    return 0;
}

static int end_calling(void *arg)
{
    struct ending *e = arg;
    struct ant_request *rq;
    expect_ok(ant_request_new(FN, &rq));
    e->rc = ant_call(rq, ANT_FOREVER);
    expect(rq->error == e->rc);
    expect_ok(ant_request_free(rq));
    return 0;
}

static void nod(struct ant_server *self, struct ant_request *rq)
{
    (void)self, (void)rq; /* keeps it in service */
}

static _Atomic int stops;

static void count_stop(struct ant_server *self)
{
    (void)self;
    atomic_fetch_add(&stops, 1);
}

static void shutdown_ends_every_process_and_reports(void **state)
{
    (void)state;
    fixture_boot(NULL);
    static const struct ant_program keeper = {
        .abi = ANT_ABI, .name = "keeper", .request = nod, .stop = count_stop};
    static struct ending ending[5];
    static int (*const entry[5])(void *) = {end_receiving, end_sleeping, end_waiting, end_calling,
                                            end_working};
    memset(ending, 0, sizeof ending);
    atomic_store(&stops, 0);
    assert_ok(ant_serve(FN, &keeper, NULL, NULL));
    for (int i = 0; i < 5; i++) {
        ending[i].boot = ant_self();
        ending[i].rc = 1;
        /* above this process, so they wait already; but who works must be below */
        struct ant_process_options options = {.priority = FIXTURE_PRIORITY + (i < 4 ? 1 : -1)};
        assert_ok(ant_process_create(&options, entry[i], &ending[i], NULL));
    }
    void *held = new_area(5);
    struct ant_request *rq = new_request(FN);
    assert_ok(ant_send(rq));
    (void)held;
    ant_pid server = 0;
    assert_ok(ant_lookup(FN, &server));
    assert_soon(info_of(server).in_service == 2);
    struct ant_shutdown_report report;
    assert_ok(ant_shutdown(&report));
    /* where two CPUs run, the one that calls may have had its answer, and be gone, before it is asked */
    assert_in_range(report.processes_asked, on_virtual() || on_fifo() ? 6 : 5, 6);
    assert_int_equal(report.processes_abandoned, 0);
    assert_int_equal(report.areas_held, 3); /* the area, two requests */
    assert_int_equal(report.pages_held, 7);
    assert_int_equal(report.requests_unanswered, 2);
    assert_int_equal(atomic_load(&stops), 1);
    assert_int_equal(ending[0].rc, 0);
    assert_int_equal(ending[0].kind, ANT_STOP);
    assert_int_equal(ending[0].again, 0);
    assert_was(ant_process_create, ending[0].create, ESHUTDOWN);
    assert_was(ant_sleep, ending[1].rc, ESHUTDOWN);
    assert_was(ant_wait, ending[2].rc, ESHUTDOWN);
    assert_was(ant_call, ending[3].rc, ESHUTDOWN);
    assert_was(ant_work, ending[4].rc, ESHUTDOWN);
    assert_expectations();
}

static int end_calling_boot(void *arg)
{
    struct ending *e = arg;
    struct ant_request *rq[2];
    expect_ok(ant_request_new(FN_BOOT, &rq[0]));
    expect_ok(ant_request_new(FN_BOOT, &rq[1]));
    expect_ok(ant_send(rq[0])); /* is received, and stays in service */
    e->rc = ant_call(rq[1], ANT_FOREVER);
    expect(rq[1]->error == e->rc);
    struct ant_message message = {0};
    e->again = ant_receive(&message, 0);
    e->kind = message.kind;
    return 0;
}

static void shutdown_answers_what_the_process_that_booted_owes(void **state)
{
    (void)state;
    fixture_boot(NULL);
    static struct ending ending;
    memset(&ending, 0, sizeof ending);
    assert_ok(ant_function_add(FN_BOOT));
    assert_ok(ant_process_create(NULL, end_calling_boot, &ending, NULL));
    struct ant_message message = {0};
    assert_ok(ant_receive(&message, SOON));
    assert_soon(info_of(ant_self()).queued_requests == 1);
    struct ant_shutdown_report report;
    assert_ok(ant_shutdown(&report));
    assert_int_equal(report.requests_unanswered, 2);
    assert_int_equal(report.processes_abandoned, 0);
    assert_was(ant_call, ending.rc, ESHUTDOWN);
    assert_int_equal(ending.again, 0);
    assert_int_equal(ending.kind, ANT_STOP);
    assert_expectations();
}

static int exit_the_thread(void *arg)
{
    (void)arg;
    struct ant_message message = {0};
    void *area;
    expect_ok(ant_function_add(FN));
    expect_ok(ant_ica_alloc(2, &area));
    expect_ok(ant_receive(&message, SOON));
    pthread_exit(NULL);
}

static void a_thread_that_leaves_by_pthread_exit_ends_its_process(void **state)
{
    (void)state;
    fixture_boot(NULL);
    ant_pid pid = spawn("leaver", FIXTURE_PRIORITY + 1, exit_the_thread, NULL);
    ant_pid found;
    assert_soon(ant_lookup(FN, &found) == 0);
    struct ant_request *rq = new_request(FN);
    assert_int_equal(ant_call(rq, SOON), -EOWNERDEAD);
    assert_ok(ant_request_free(rq));
    assert_int_equal(join(pid), 0);
    fixture_shutdown(); /* which finds every page free */
    assert_expectations();
}

static pthread_key_t thread_end;
static _Atomic int threads_ended;
static _Atomic bool spin, ran_on;

static void note_thread_end(void *value)
{
    (void)value;
    atomic_fetch_add(&threads_ended, 1);
}

/* Somebody will spin outside the core: until end_spinning, in a core that has been booted since. */
static void begin_to_spin(void)
{
    assert_int_equal(pthread_key_create(&thread_end, note_thread_end), 0);
    atomic_store(&threads_ended, 0);
    atomic_store(&spin, true);
    atomic_store(&ran_on, false);
}

/* His thread ends at his next call, which does not return. */
static void end_spinning(void)
{
    atomic_store(&spin, false);
    assert_soon(atomic_load(&threads_ended) == 1);
    assert_false(atomic_load(&ran_on));
    fixture_shutdown();
    pthread_key_delete(thread_end);
    assert_expectations();
}

static int spin_then_call(void *arg)
{
    (void)arg;
    void *area;
    pthread_setspecific(thread_end, &spin);
    expect_ok(ant_ica_alloc(3, &area));
    while (atomic_load(&spin))
        ;
    ant_now();
    ant_ica_free(area); /* ends the thread */
    atomic_store(&ran_on, true);
    return 0;
}

static void who_does_not_end_is_abandoned(void **state)
{
    (void)state;
    struct ant_config config = fixture_config();
    config.shutdown_timeout_ns = (int64_t)MS(50);
    assert_ok(ant_boot(&config));
    struct ant_info info;
    assert_ok(ant_info(&info));
    if (info.machine == ANT_MACHINE_VIRTUAL) { /* there a process that never calls the core stops the world */
        assert_ok(ant_shutdown(NULL));
        skip();
    }
    begin_to_spin();
    struct ant_process_options options = {.priority = FIXTURE_PRIORITY - 1};
    ant_pid pid;
    assert_ok(ant_process_create(&options, spin_then_call, NULL, &pid));
    assert_soon(info_of(pid).pages == 3);
    struct ant_shutdown_report report;
    assert_ok(ant_shutdown(&report));
    assert_int_equal(report.processes_asked, 1);
    assert_int_equal(report.processes_abandoned, 1);
    assert_int_equal(report.pages_held, 3);
    assert_true(ant_self() == 0);
    fixture_boot(NULL); /* the thread can have another core */
    assert_int_equal(ant_process_info(pid, &(struct ant_process_info){0}), -ESRCH);
    end_spinning();
}

struct pair {
    uint32_t own, other;
};

static int call_each_other(void *arg)
{
    const struct pair *p = arg;
    struct ant_request *rq;
    pthread_setspecific(thread_end, &spin);
    expect_ok(ant_function_add(p->own));
    ant_pid found;
    while (ant_lookup(p->other, &found) != 0)
        expect_ok(ant_sleep(ant_now() + MS(1)));
    expect_ok(ant_request_new(p->other, &rq));
    ant_call(rq, ANT_FOREVER);
    expect(!"a call that cannot end ended");
    return 0;
}

/* Nobody is left to answer them, and asking does not end a call: their threads are ended all the same. */
static void who_waits_in_the_core_for_ever_is_ended_by_the_shutdown(void **state)
{
    (void)state;
    static const struct pair pairs[2] = {{FN, FN_BOOT}, {FN_BOOT, FN}};
    assert_int_equal(pthread_key_create(&thread_end, note_thread_end), 0);
    for (int round = 0; round < 3; round++) {
        struct ant_config config = fixture_config();
        config.shutdown_timeout_ns = (int64_t)MS(20);
        fixture_boot(&config);
        atomic_store(&threads_ended, 0);
        ant_pid pid[2];
        for (int i = 0; i < 2; i++)
            assert_ok(ant_process_create(NULL, call_each_other, (void *)(uintptr_t)&pairs[i], &pid[i]));
        assert_soon(info_of(pid[0]).outstanding == 1 && info_of(pid[1]).outstanding == 1);
        struct ant_shutdown_report report;
        assert_ok(ant_shutdown(&report));
        assert_int_equal(report.processes_abandoned, 2);
        fixture_boot(NULL);
        assert_soon(atomic_load(&threads_ended) == 2);
        fixture_shutdown();
    }
    pthread_key_delete(thread_end);
    assert_expectations();
}

static int spin_in_start(struct ant_server *self)
{
    if (self->reason == ANT_START_FRESH)
        return 0;
    pthread_setspecific(thread_end, &spin);
    while (atomic_load(&spin))
        ;
    ant_now(); /* ends the thread */
    atomic_store(&ran_on, true);
    return 0;
}

static void shutdown_reports_a_new_server_that_a_swap_gave_up(void **state)
{
    (void)state;
    static const struct ant_program hanging = {
        .abi = ANT_ABI, .name = "hanging", .start = spin_in_start, .request = nod};
    struct ant_config config = fixture_config();
    config.shutdown_timeout_ns = (int64_t)MS(50);
    fixture_boot(&config);
    if (on_virtual()) { /* as above */
        fixture_shutdown();
        skip();
    }
    begin_to_spin();
    struct ant_server_options below = {.priority = FIXTURE_PRIORITY - 1};
    struct ant_swap_options soon = {.start_timeout_ns = (int64_t)MS(20)};
    struct ant_swap_report swap;
    assert_ok(ant_serve(FN, &hanging, &below, NULL));
    assert_int_equal(ant_swap(FN, &hanging, &soon, &swap), -ETIMEDOUT);
    assert_true(swap.abandoned);
    struct ant_shutdown_report report;
    assert_ok(ant_shutdown(&report));
    assert_int_equal(report.processes_asked, 1);
    assert_int_equal(report.processes_abandoned, 1);
    fixture_boot(NULL);
    end_spinning();
}

static size_t count_in(const char *path)
{
    size_t count = 0;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static size_t count_maps(void)
{
    size_t lines = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    assert_non_null(file);
    for (int c; (c = getc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

static void boot_use_and_shut_down(void)
{
    fixture_boot(NULL);
    ant_pid server = puppet_create("server", 0);
    assert_ok(puppet_function_add(server, FN));
    struct ant_request *rq = new_request(FN);
    void *data = new_area(300);
    rq->data = data;
    assert_ok(ant_send(rq));
    assert_ok(puppet_reply(server, puppet_take_request(server), 0));
    assert_ptr_equal(boss_result(), rq);
    assert_ok(ant_ica_free(data));
    assert_ok(ant_request_free(rq));
    fixture_shutdown();
}

static void boot_and_shutdown_leak_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) /* what is made once */
        boot_use_and_shut_down();
    size_t files = count_in("/proc/self/fd"), maps = count_maps(), threads = count_in("/proc/self/task");
    for (int i = 0; i < 20; i++)
        boot_use_and_shut_down();
    assert_int_equal(count_in("/proc/self/fd"), files);
    assert_int_equal(count_in("/proc/self/task"), threads);
    if (!SANITIZED)                                 /* they map for themselves */
        assert_in_range(count_maps(), 0, maps + 4); /* malloc may keep some */
}

/* ---- threads that are no process ---- */

static int nothing_entry(void *arg)
{
    (void)arg;
    return 0;
}

static void *call_everything(void *arg)
{
    static const struct ant_program program = {.abi = ANT_ABI, .name = "p", .request = nod};
    struct ant_info info;
    struct ant_ica_info ica;
    struct ant_ica_stats stats;
    struct ant_process_info process;
    struct ant_message message;
    struct ant_swap_report report;
    struct ant_pending pending;
    struct ant_event event;
    struct ant_shutdown_report shutdown;
    struct ant_request *rq = arg, *new_rq;
    void *area;
    size_t count;
    ant_pid pid;
    int status;
    expect_error(ant_shutdown(&shutdown), EPERM);
    expect_error(ant_info(&info), EPERM);
    expect_error(ant_ica_alloc(1, &area), EPERM);
    expect_error(ant_ica_free(rq), EPERM);
    expect_error(ant_ica_info(rq, &ica), EPERM);
    expect_error(ant_ica_stats(&stats), EPERM);
    expect_error(ant_process_create(NULL, nothing_entry, NULL, &pid), EPERM);
    ant_exit(3); /* does nothing */
    expect_error(ant_wait(1, 0, &status), EPERM);
    expect_error(ant_stop(1, 0, &status), EPERM);
    expect(ant_self() == 0);
    expect_error(ant_priority_set(1, 5), EPERM);
    expect_error(ant_process_info(1, &process), EPERM);
    expect(ant_now() == 0);
    expect_error(ant_work(1), EPERM);
    expect_error(ant_sleep(1), EPERM);
    expect_error(ant_request_new(FN, &new_rq), EPERM);
    expect_error(ant_request_free(rq), EPERM);
    expect_error(ant_call(rq, 0), EPERM);
    expect_error(ant_send(rq), EPERM);
    expect_error(ant_receive(&message, 0), EPERM);
    expect_error(ant_reply(rq, 0), EPERM);
    expect_error(ant_cancel(rq), EPERM);
    expect_error(ant_pending(ANT_IN_SERVICE, &pending, 1, &count), EPERM);
    expect_error(ant_serve(FN, &program, NULL, &pid), EPERM);
    expect_error(ant_function_add(FN), EPERM);
    expect_error(ant_function_remove(FN), EPERM);
    expect_error(ant_lookup(FN, &pid), EPERM);
    expect_error(ant_state_set(NULL), EPERM);
    expect(ant_state() == NULL);
    expect_error(ant_swap(FN, &program, NULL, &report), EPERM);
    expect_error(ant_swap_accept(), EPERM);
    expect_error(ant_swap_last(FN, &report), EPERM);
    expect_error(ant_trace_read(&event, 1, &count), EPERM);
    expect_error(ant_trace_write(2), EPERM);
    expect(strcmp(ant_version(), ANT_VERSION) == 0);
    expect(strlen(ant_strerror(-EPERM)) > 0);
    /* and what would be wrong anyway is still that it is no process */
    expect_error(ant_info(NULL), EPERM);
    expect_error(ant_send(NULL), EPERM);
    return NULL;
}

static void a_thread_that_is_no_process_gets_eperm_from_every_call(void **state)
{
    (void)state;
    call_everything(NULL); /* with no core at all */
    fixture_boot(NULL);
    struct ant_request *rq = new_request(FN);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, call_everything, rq), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_ok(ant_request_free(rq));
    fixture_shutdown();
    call_everything(rq); /* after the end */
    assert_expectations();
}

/* ---- two cores at once ---- */

struct neighbour {
    int number;
    pthread_barrier_t *barrier;
    void *_Atomic area; /* for the other to misuse */
    struct neighbour *other;
    unsigned replies;
};

static int echo_server(void *arg)
{
    (void)arg;
    struct ant_message message = {0};
    expect_ok(ant_function_add(FN));
    while (expect_ok(ant_receive(&message, ANT_FOREVER)) == 0 && message.kind != ANT_STOP) {
        message.request->payload[0]++;
        expect_ok(ant_reply(message.request, 0));
    }
    return 0;
}

static void *live_in_a_core(void *arg)
{
    struct neighbour *me = arg;
    struct ant_config config = small();
    config.priority = 5;
    if (expect_ok(ant_boot(&config)) != 0)
        return NULL;
    ant_pid server, found;
    struct ant_process_options options = {.priority = 6};
    struct ant_request *rq;
    void *area;
    expect_ok(ant_process_create(&options, echo_server, NULL, &server));
    while (ant_lookup(FN, &found) != 0)
        expect_ok(ant_sleep(ant_now() + US(100)));
    expect(found == server);
    expect_ok(ant_ica_alloc(2, &area));
    memset(area, me->number, 2 * ANT_PAGE_BYTES);
    atomic_store(&me->area, area);
    pthread_barrier_wait(me->barrier);
    expect_error(ant_ica_free(atomic_load(&me->other->area)), EFAULT); /* not of this core */
    expect_ok(ant_request_new(FN, &rq));
    for (unsigned i = 0; i < 500; i++) {
        rq->payload[0] = (unsigned char)(i + (unsigned)me->number);
        if (expect_ok(ant_call(rq, SOON)) != 0)
            break;
        me->replies += rq->payload[0] == (unsigned char)(i + (unsigned)me->number + 1);
    }
    expect(((unsigned char *)area)[0] == me->number);
    expect_ok(ant_request_free(rq));
    expect_ok(ant_ica_free(area));
    pthread_barrier_wait(me->barrier);
    if (me->number == 1) { /* one ends while the other lives */
        struct ant_shutdown_report report;
        expect_ok(ant_shutdown(&report));
        expect(report.processes_asked == 1 && report.processes_abandoned == 0);
    }
    pthread_barrier_wait(me->barrier);
    if (me->number == 2) {
        expect_ok(ant_ica_alloc(2, &area));
        expect_ok(ant_ica_free(area));
        expect_ok(ant_stop(server, SOON, NULL));
        expect_ok(ant_shutdown(NULL));
    }
    return NULL;
}

static void two_cores_in_two_threads_do_not_disturb_each_other(void **state)
{
    (void)state;
    pthread_barrier_t barrier;
    struct neighbour one = {.number = 1, .barrier = &barrier}, two = {.number = 2, .barrier = &barrier};
    pthread_t thread[2];
    one.other = &two;
    two.other = &one;
    pthread_barrier_init(&barrier, NULL, 2);
    assert_int_equal(pthread_create(&thread[0], NULL, live_in_a_core, &one), 0);
    assert_int_equal(pthread_create(&thread[1], NULL, live_in_a_core, &two), 0);
    pthread_join(thread[0], NULL);
    pthread_join(thread[1], NULL);
    pthread_barrier_destroy(&barrier);
    assert_int_equal(one.replies, 500);
    assert_int_equal(two.replies, 500);
    assert_expectations();
}

/* ---- what the thread gets back; fork ---- */

static void the_thread_gets_policy_cpus_and_signals_back(void **state)
{
    (void)state;
    cpu_set_t cpus, cpus_after;
    sigset_t mask, mask_after, block;
    sigemptyset(&block);
    sigaddset(&block, SIGUSR2);
    sigaddset(&block, SIGWINCH);
    pthread_sigmask(SIG_BLOCK, &block, NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_int_equal(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    int policy = sched_getscheduler(0);
    boot_use_and_shut_down();
    assert_int_equal(sched_getscheduler(0), policy);
    assert_int_equal(sched_getaffinity(0, sizeof cpus_after, &cpus_after), 0);
    assert_true(CPU_EQUAL(&cpus, &cpus_after));
    pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
    for (int number = 1; number < 32; number++)
        assert_int_equal(sigismember(&mask, number), sigismember(&mask_after, number));
    pthread_sigmask(SIG_UNBLOCK, &block, NULL);
}

static void fifo_maps_priorities_to_its_band(void **state)
{
    (void)state;
    struct ant_config config = fixture_config();
    config.rt_base = 20;
    fixture_boot(&config);
    if (!on_fifo()) {
        fixture_shutdown();
        skip();
    }
    struct sched_param param;
    assert_int_equal(sched_getscheduler(0) & ~SCHED_RESET_ON_FORK, SCHED_FIFO);
    assert_int_equal(sched_getparam(0, &param), 0);
    assert_int_equal(param.sched_priority, 20 + FIXTURE_PRIORITY);
    assert_ok(ant_priority_set(ant_self(), 3));
    assert_int_equal(sched_getparam(0, &param), 0);
    assert_int_equal(param.sched_priority, 23);
    cpu_set_t cpus;
    assert_int_equal(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    assert_int_equal(CPU_COUNT(&cpus), 1);
    fixture_shutdown();
}

static int fork_and_look(void *arg)
{
    int *policy = arg;
    int channel[2];
    if (!expect(pipe(channel) == 0))
        return 1;
    pid_t child = fork();
    if (child == 0) {
        int found = sched_getscheduler(0);
        _exit(write(channel[1], &found, sizeof found) == sizeof found ? 0 : 1);
    }
    expect(read(channel[0], policy, sizeof *policy) == sizeof *policy);
    expect(waitpid(child, NULL, 0) == child);
    close(channel[0]);
    close(channel[1]);
    return 0;
}

static void children_of_fork_are_not_real_time(void **state)
{
    (void)state;
    fixture_boot(NULL);
    ant_pid puppet = puppet_create("puppet", 0);
    int policy = -1;
    assert_int_equal(fork_and_look(&policy), 0); /* of the process that booted */
    assert_int_equal(policy & ~SCHED_RESET_ON_FORK, SCHED_OTHER);
    policy = -1;
    assert_int_equal(puppet_do(puppet, fork_and_look, &policy), 0); /* and of one that was created */
    assert_int_equal(policy & ~SCHED_RESET_ON_FORK, SCHED_OTHER);
    fixture_shutdown();
    assert_expectations();
}

/* A child that calls must neither get anything nor harm the parent, whose userfaultfd it has inherited. */
static void a_child_of_fork_is_no_process(void **state)
{
    (void)state;
    fixture_boot(NULL);
    ant_pid server = puppet_create("server", 0);
    assert_ok(puppet_function_add(server, FN));
    struct ant_request *rq = new_request(FN);
    void *freed = new_area(1);
    assert_ok(ant_ica_free(freed));
    pid_t child = fork();
    if (child == 0) {
        call_everything(rq);
        expect_error(ant_boot(NULL), EPERM);
        _exit(expect_failures() != 0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (int i = 0; i < 3; i++) {
        void *area = new_area(1);
        *(char *)area = 1;
        assert_ok(ant_send(rq));
        assert_ok(puppet_reply(server, puppet_take_request(server), 0));
        assert_ptr_equal(boss_result(), rq);
        assert_ok(ant_ica_free(area));
    }
    assert_ok(ant_request_free(rq));
    fixture_shutdown();
    assert_expectations();
}

static void areas_still_move_after_a_fork(void **state)
{
    (void)state;
    fixture_boot(NULL);
    ant_pid server = puppet_create("server", 0);
    assert_ok(puppet_function_add(server, FN));
    struct ant_request *rq = new_request(FN);
    unsigned char *data = new_area(8);
    memset(data, 3, 8 * ANT_PAGE_BYTES);
    rq->data = data;
    int policy;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fork_and_look(&policy), 0);
        assert_int_equal(system("true"), 0);
        assert_ok(ant_send(rq));
        struct ant_request *at_server = puppet_take_request(server);
        assert_int_equal(puppet_do(server, fork_and_look, &policy), 0);
        assert_int_equal(((unsigned char *)at_server->data)[8 * ANT_PAGE_BYTES - 1], 3);
        assert_ok(puppet_reply(server, at_server, 0));
        assert_ptr_equal(boss_result(), rq);
    }
    assert_ok(ant_ica_free(data));
    assert_ok(ant_request_free(rq));
    fixture_shutdown();
    assert_expectations();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first, while this process has no other thread: fork does not copy those */
        cmocka_unit_test(the_environment_chooses_where_the_config_does_not),
        cmocka_unit_test(the_log_says_what_was_chosen_to_those_who_ask),
        cmocka_unit_test(boot_makes_the_caller_the_first_process),
        cmocka_unit_test(a_process_cannot_boot),
        cmocka_unit_test(all_defaults_boot),
        cmocka_unit_test(info_says_what_runs_and_why),
        cmocka_unit_test(sizes_are_rounded_up_and_taken),
        cmocka_unit_test(nonsense_in_the_config_is_refused),
        cmocka_unit_test(only_the_process_that_booted_shuts_down),
        cmocka_unit_test(shutdown_ends_every_process_and_reports),
        cmocka_unit_test(shutdown_answers_what_the_process_that_booted_owes),
        cmocka_unit_test(a_thread_that_leaves_by_pthread_exit_ends_its_process),
        cmocka_unit_test(who_does_not_end_is_abandoned),
        cmocka_unit_test(who_waits_in_the_core_for_ever_is_ended_by_the_shutdown),
        cmocka_unit_test(shutdown_reports_a_new_server_that_a_swap_gave_up),
        cmocka_unit_test(boot_and_shutdown_leak_nothing),
        cmocka_unit_test(a_thread_that_is_no_process_gets_eperm_from_every_call),
        cmocka_unit_test(two_cores_in_two_threads_do_not_disturb_each_other),
        cmocka_unit_test(the_thread_gets_policy_cpus_and_signals_back),
        cmocka_unit_test(fifo_maps_priorities_to_its_band),
        cmocka_unit_test(children_of_fork_are_not_real_time),
        cmocka_unit_test(a_child_of_fork_is_no_process),
        cmocka_unit_test(areas_still_move_after_a_fork),
    };
    return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}
