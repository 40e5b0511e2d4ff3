/* ctest: machines=virtual,fifo,other movers=strict,strict-mremap,flat,copy */
/*
 * Swaps that fail, at each step in turn, while requests arrive: the old server serves on, nothing is lost, every page
 * comes back, and the next swap works.
 */
#include "stress_model.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRIES 12u /* of each way to fail */
#define DEADLINE_NS                                                                                \
    INT64_C(2000000) /* of swaps that are to miss it: what hangs, hangs for much longer */
#define LONG_DEADLINE_NS INT64_C(20000000) /* time enough to come to where it hangs */

static const struct model_config under_load = {
    .clients = 6,
    .outstanding = 6,
    .pages_max = 4,
    .work_ns = 2000,
    .wait_ns = 60000,
    .seed = 4,
};

static uint32_t version; /* index in model_programs of the server that serves */
static uint32_t generation;

static void open_core(const struct model_config *config)
{
    stress_boot(&(struct ant_config){
        .max_processes = 64, .pool_bytes = 32 << 20, .trace_events = STRESS_TRACE_EVENTS});
    version = 0;
    generation = 1;
    model_open(config, version);
    model_start();
}

static void close_core(void)
{
    model_join();
    model_quiet_pages();
    print_message("%" PRIu64 " requests\n", model_sum().sent);
    model_close();
    stress_shutdown();
    stress_assert_clean();
}

static bool on_virtual(void)
{
    struct ant_info info = {0};

    return ant_info(&info) == 0 && info.machine == ANT_MACHINE_VIRTUAL;
}

static void pause_a_little(uint64_t *random)
{
    STRESS_OK(ant_sleep(ant_now() + stress_below(random, 200000)));
}

/* The server answers, within a time that nobody needs who runs at all. */
static void check_served(const char *when)
{
    struct ant_request *rq;

    STRESS_OK(ant_request_new(MODEL_TOTALS, &rq));
    int error = ant_call(rq, (int64_t)(2 * ANT_NS_PER_S));
    STRESS_CHECK(error == 0, "%s: the old server does not serve: %s", when, ant_strerror(error));
    if (error != -EINPROGRESS) {
        STRESS_OK(ant_request_free(rq));
    }
}

/* A good swap. */
static void check_next_swap(const char *after)
{
    struct ant_swap_report report;
    struct model_swaps counted = {0};
    uint32_t to = (version + 1) % MODEL_PROGRAMS;
    int error = model_swap(to, NULL, &report);

    if (STRESS_CHECK(error == 0, "%s: the next swap fails in step %s: %s", after,
                     ant_swap_step_name(report.step), ant_strerror(error))) {
        version = to;
        generation++;
        STRESS_CHECK(report.generation == generation, "%s: generation %u, not %u", after,
                     report.generation, generation);
        model_check_report(&report, &counted);
    }
}

static void check_rolled_back(const char *what, int error, const struct ant_swap_report *report,
                              int expected, enum ant_swap_step first, enum ant_swap_step last)
{
    ant_pid nobody;

    STRESS_CHECK(error == expected, "%s: %s", what, ant_strerror(error));
    STRESS_CHECK(report->error == error, "%s: the report says %s", what, ant_strerror(report->error));
    STRESS_CHECK(report->step >= first && report->step <= last, "%s: failed in step %s", what,
                 ant_swap_step_name(report->step));
    STRESS_CHECK(report->generation == generation, "%s: generation %u, not %u", what,
                 report->generation, generation);
    STRESS_CHECK(ant_lookup(MODEL_EXTRA, &nobody) == -ESRCH,
                 "%s: the function id that it reserved is registered", what);
}

/* What abandoned servers hold comes back when they have called into the core. */
static void wait_for_pages(const char *what)
{
    struct ant_process_info info = {0};
    ant_pid server = 0;

    STRESS_OK(ant_lookup(MODEL_STORE, &server));
    for (int tries = 0; tries < 5000; tries++) {
        STRESS_OK(ant_process_info(server, &info));
        if (info.pages == model_server_pages()) {
            return;
        }
        STRESS_OK(ant_sleep(ant_now() + ANT_NS_PER_MS));
    }
    STRESS_FAIL("%s: the server still has %zu pages, not %zu", what, info.pages, model_server_pages());
}

/* --- Each way in which a new server may fail --------------------------------------------------------------------------- */

static uint32_t abandonments;

static void fail_once(enum model_fault fault, uint64_t *random)
{
    const char *name = model_fault_name(fault);
    struct ant_swap_options options = {.start_timeout_ns =
                                           fault < MODEL_FAULTS ? DEADLINE_NS : LONG_DEADLINE_NS};
    struct ant_swap_report report = {0};
    bool abandoned;
    int expected;
    const struct ant_program *program = model_faulty(fault, version, &expected, &abandoned);

    pause_a_little(random);
    int error = ant_swap(MODEL_STORE, program, expected == -ETIMEDOUT ? &options : NULL, &report);
    check_rolled_back(name, error, &report, expected, ANT_SWAP_START, ANT_SWAP_REGISTER);
    /* One that is inside the core at its deadline ends at once; a busy host may find any of them there. */
    STRESS_CHECK(!report.abandoned || expected == -ETIMEDOUT, "%s: abandoned", name);
    abandonments += report.abandoned;
    check_served(name);
    model_release();
}

static void new_servers_fail(enum model_fault first, enum model_fault end)
{
    uint32_t tries = stress_size(TRIES, 2);
    uint64_t random = first;

    for (enum model_fault fault = first; fault < end; fault++) {
        struct model_config config = under_load;
        config.short_of_memory = fault == MODEL_START_EXHAUSTS;
        open_core(&config);
        if (fault >= MODEL_FAULTS && on_virtual()) {
            close_core();
            print_message("%s: not on the virtual machine\n", model_fault_name(fault));
            continue;
        }
        print_message("%s\n", model_fault_name(fault));
        for (uint32_t i = 0; i < tries; i++) {
            fail_once(fault, &random);
            if (i % 3 == 2) {
                check_next_swap(model_fault_name(fault));
            }
        }
        check_next_swap(model_fault_name(fault));
        model_join();
        print_message("%u abandoned\n", abandonments);
        abandonments = 0;
        wait_for_pages(model_fault_name(fault));
        close_core();
    }
}

static void a_new_server_that_fails_leaves_the_old_one_serving(void **unused)
{
    (void)unused;
    new_servers_fail(0, MODEL_FAULTS);
}

static void a_new_server_that_hangs_outside_the_core_leaves_the_old_one_serving(void **unused)
{
    (void)unused;
    new_servers_fail(MODEL_FAULTS, MODEL_FAULTS_REAL);
}

/* --- Before anything is touched: step 1 -------------------------------------------------------------------------------- */

static void a_swap_that_cannot_be_begun_touches_nothing(void **unused)
{
    (void)unused;
    uint32_t tries = stress_size(TRIES, 2);
    uint64_t random = 1;
    struct ant_program other_abi, no_way;

    open_core(&under_load);
    for (uint32_t i = 0; i < tries; i++) {
        other_abi = no_way = model_programs[version];
        other_abi.abi = ANT_ABI + 1;
        no_way.state_version = 77;
        no_way.transformer_count = 0;
        no_way.transformers = NULL;
        pause_a_little(&random);
        int error = ant_swap(MODEL_STORE, &other_abi, NULL, NULL);
        STRESS_CHECK(error == -EPROTO, "another ABI: %s", ant_strerror(error));
        error = ant_swap(MODEL_STORE, &no_way, NULL, NULL);
        STRESS_CHECK(error == -ENOTSUP, "no transformer: %s", ant_strerror(error));
        error = ant_swap(MODEL_EXTRA, &model_programs[1], NULL, NULL);
        STRESS_CHECK(error == -ESRCH, "nobody's function: %s", ant_strerror(error));
        error = ant_swap(MODEL_DRIVER, &model_programs[1], NULL, NULL);
        STRESS_CHECK(error == -ENOTSUP, "a server that ant_serve did not make: %s", ant_strerror(error));
        error = ant_swap(MODEL_STORE, NULL, NULL, NULL);
        STRESS_CHECK(error == -EINVAL, "no program: %s", ant_strerror(error));
        check_served("step 1");
        check_next_swap("step 1");
    }
    close_core();
}

/* --- The old server does not come, or the requester leaves: steps 3 and 4 ----------------------------------------------- */

/* A server that is held in the middle of a request. */
struct hold {
    struct ant_request *rq;   /* by which it was told to */
    struct ant_request *gate; /* by which it says that it waits */
};

static void hold_server(struct hold *hold, uint32_t operation)
{
    struct ant_message message = {0};

    STRESS_OK(ant_function_add(MODEL_GATE));
    STRESS_OK(ant_request_new(MODEL_TOTALS, &hold->rq));
    hold->rq->operation = operation;
    STRESS_OK(ant_send(hold->rq));
    int error = ant_receive(&message, ANT_FOREVER);
    STRESS_CHECK(error == 0 && message.kind == ANT_REQUEST && message.request->function == MODEL_GATE,
                 "the gate: %s", ant_strerror(error));
    hold->gate = message.request;
}

static void let_go(struct hold *hold)
{
    STRESS_OK(ant_reply(hold->gate, 0));
    STRESS_OK(ant_function_remove(MODEL_GATE));
}

static void take_result(struct ant_request *rq, int expected)
{
    struct ant_message message = {0};
    int error = ant_receive(&message, ANT_FOREVER);

    STRESS_CHECK(error == 0 && message.request == rq && rq->error == expected,
                 "the held request: %s, %s", ant_strerror(error), ant_strerror(rq->error));
    STRESS_OK(ant_request_free(rq));
}

static void an_old_server_that_does_not_give_up_its_loop_is_not_replaced(void **unused)
{
    (void)unused;
    uint32_t tries = stress_size(TRIES, 2);
    uint64_t random = 2;

    open_core(&under_load);
    for (uint32_t i = 0; i < tries; i++) {
        struct ant_swap_options options = {.quiesce_timeout_ns = DEADLINE_NS};
        struct ant_swap_report report = {0};
        struct hold hold;

        pause_a_little(&random);
        hold_server(&hold, MODEL_HOLD);
        int error =
            ant_swap(MODEL_STORE, &model_programs[(version + 1) % MODEL_PROGRAMS], &options, &report);
        check_rolled_back("quiesce deadline", error, &report, -ETIMEDOUT, ANT_SWAP_NOTIFY, ANT_SWAP_LOOK);
        STRESS_CHECK(!report.abandoned, "a new server that was never started was abandoned");
        let_go(&hold);
        take_result(hold.rq, 0);
        check_served("quiesce deadline");
        check_next_swap("quiesce deadline");
    }
    close_core();
}

/* Another requester, below the server in priority. */
struct requester {
    ant_pid pid;
    uint32_t to;
    int error;
    struct ant_swap_report report;
};

static int requester_main(void *argument)
{
    struct requester *me = argument;

    me->error = model_swap(me->to, NULL, &me->report);
    return 0;
}

/* Creates it and waits until the old server, which is held, has its notice. */
static void create_requester(struct requester *it, int priority)
{
    uint64_t mark = stress_trace_mark();
    struct ant_process_options options = {.name = "requester", .priority = priority};

    it->to = (version + 1) % MODEL_PROGRAMS;
    it->error = 1;
    STRESS_OK(ant_process_create(&options, requester_main, it, &it->pid));
    stress_wait_for_step(ANT_SWAP_NOTIFY, mark);
}

/* Its swap is over, or about to be: on a slow host those above it may leave it no processor to say so. */
static void await_requester(struct requester *it)
{
    int error = ant_priority_set(it->pid, MODEL_REQUESTER_PRIORITY);

    STRESS_CHECK(error == 0 || error == -ESRCH, "raising a requester: %s", ant_strerror(error));
    STRESS_OK(ant_wait(it->pid, ANT_FOREVER, NULL));
}

static void a_requester_that_is_stopped_leaves_the_old_server_serving(void **unused)
{
    (void)unused;
    uint32_t tries = stress_size(TRIES, 2);
    uint64_t random = 3;

    open_core(&under_load);
    for (uint32_t i = 0; i < tries; i++) {
        static struct requester requester; /* not on this stack: it outlives a failed test */

        pause_a_little(&random);
        struct hold hold;
        hold_server(&hold, MODEL_HOLD);
        create_requester(&requester, MODEL_LOW_CLIENT_PRIORITY + 1);
        STRESS_OK(ant_stop(requester.pid, ANT_FOREVER, NULL));
        check_rolled_back("requester stopped", requester.error, &requester.report, -ESHUTDOWN,
                          ANT_SWAP_NOTIFY, ANT_SWAP_LOOK);
        let_go(&hold);
        take_result(hold.rq, 0);
        check_served("requester stopped");
        check_next_swap("requester stopped");
    }
    close_core();
}

static void of_two_requesters_one_swaps(void **unused)
{
    (void)unused;
    uint32_t tries = stress_size(TRIES, 2);
    uint64_t random = 5;

    open_core(&under_load);
    for (uint32_t i = 0; i < tries; i++) {
        static struct requester requester;
        struct ant_swap_report report;

        pause_a_little(&random);
        struct hold hold;
        hold_server(&hold, MODEL_HOLD);
        create_requester(&requester, MODEL_LOW_CLIENT_PRIORITY + 1);
        int error = ant_swap(MODEL_STORE, &model_programs[version], NULL, &report);
        STRESS_CHECK(error == -EBUSY, "the second requester: %s", ant_strerror(error));
        let_go(&hold);
        take_result(hold.rq, 0);
        await_requester(&requester);
        STRESS_CHECK(requester.error == 0, "the first requester: %s", ant_strerror(requester.error));
        generation++;
        version = requester.to;
        check_served("two requesters");
        check_next_swap("two requesters");
    }
    close_core();
}

static void an_old_server_that_dies_takes_the_swap_with_it(void **unused)
{
    (void)unused;
    uint32_t tries = stress_size(TRIES, 2);
    struct model_config config = under_load;
    uint64_t random = 6;

    config.server_dies = true;
    stress_boot(&(struct ant_config){
        .max_processes = 64, .pool_bytes = 32 << 20, .trace_events = STRESS_TRACE_EVENTS});
    model_open(&config, 0);
    for (uint32_t i = 0; i < tries; i++) {
        static struct requester requester;
        struct hold hold;
        ant_pid nobody;

        version = 0;
        generation = 1;
        model_start();
        pause_a_little(&random);
        if (i % 2 == 0) { /* it dies after its notice */
            hold_server(&hold, MODEL_DIE);
            create_requester(&requester, MODEL_REQUESTER_PRIORITY);
            let_go(&hold);
            take_result(hold.rq, -EOWNERDEAD);
            STRESS_OK(ant_wait(requester.pid, ANT_FOREVER, NULL));
            check_rolled_back("old server dead", requester.error, &requester.report, -ESRCH,
                              ANT_SWAP_NOTIFY, ANT_SWAP_LOOK);
        } else { /* it is replaced, and its successor takes the request to die */
            struct ant_request *die;
            hold_server(&hold, MODEL_HOLD);
            STRESS_OK(ant_request_new(MODEL_TOTALS, &die));
            die->operation = MODEL_END;
            STRESS_OK(ant_send(die));
            create_requester(&requester, MODEL_REQUESTER_PRIORITY);
            let_go(&hold);
            take_result(hold.rq, 0);
            take_result(die, -EOWNERDEAD);
            STRESS_OK(ant_wait(requester.pid, ANT_FOREVER, NULL));
            STRESS_CHECK(requester.error == 0, "swapped before it could die: %s",
                         ant_strerror(requester.error));
        }
        int error = ant_swap(MODEL_STORE, &model_programs[1], NULL, NULL);
        STRESS_CHECK(error == -ESRCH && ant_lookup(MODEL_STORE, &nobody) == -ESRCH,
                     "a dead server: %s", ant_strerror(error));
        model_join();
        model_serve_again(0);
    }
    model_quiet_pages();
    model_close();
    stress_shutdown();
    stress_assert_clean();
}

/* --- A server that swaps itself ------------------------------------------------------------------------------------------ */

#define FN_SELF 150u

static int self_error;

static void self_request(struct ant_server *self, struct ant_request *rq)
{
    const struct ant_program *to;

    memcpy(&to, rq->payload, sizeof to);
    if (to != NULL && self->generation == rq->operation) {
        self_error = ant_swap(FN_SELF, to, NULL,
                              NULL); /* returns only on failure; else the new one finds rq in service */
    }
    STRESS_OK(ant_reply(rq, (int32_t)self->generation));
}

static int self_start(struct ant_server *self)
{
    if (self->program->version == 9) {
        return -EIO;
    }
    return 0;
}

/* The new one answers what it took over as soon as it may: at its next request. */
static void self_request_two(struct ant_server *self, struct ant_request *rq)
{
    struct ant_pending pending[2];
    size_t count = 0;

    STRESS_OK(ant_pending(ANT_IN_SERVICE, pending, 2, &count));
    STRESS_CHECK(count == 2, "%zu in service", count);
    for (size_t i = 0; i < count && i < 2; i++) {
        STRESS_OK(ant_reply(pending[i].request, (int32_t)self->generation));
    }
    (void)rq;
}

static void a_server_swaps_itself(void **unused)
{
    (void)unused;
    static const struct ant_program one = {
        .abi = ANT_ABI, .version = 1, .name = "self", .start = self_start, .request = self_request};
    static const struct ant_program broken = {
        .abi = ANT_ABI, .version = 9, .name = "self", .start = self_start, .request = self_request};
    static const struct ant_program two = {
        .abi = ANT_ABI, .version = 2, .name = "self", .request = self_request_two};
    const struct ant_program *to[] = {&broken, &two};
    uint32_t tries = stress_size(TRIES, 2);

    stress_boot(&(struct ant_config){.max_processes = 16, .pool_bytes = 4 << 20});
    size_t free_before = stress_free_pages();
    for (uint32_t i = 0; i < tries; i++) {
        struct ant_request *rq, *second;
        struct ant_message message = {0};
        ant_pid pid;

        STRESS_OK(ant_serve(FN_SELF, &one, NULL, &pid));
        STRESS_OK(ant_request_new(FN_SELF, &rq));
        rq->operation = 1;
        memcpy(rq->payload, &to[0], sizeof to[0]);
        self_error = 0;
        STRESS_OK(ant_call(rq, ANT_FOREVER));
        STRESS_CHECK(self_error == -EIO && rq->status == 1, "a broken one: %s, answered by %d",
                     ant_strerror(self_error), rq->status);
        self_error = 0;
        memcpy(rq->payload, &to[1], sizeof to[1]);
        STRESS_OK(ant_request_new(FN_SELF, &second));
        STRESS_OK(ant_send(rq));
        STRESS_OK(ant_send(second));
        for (int j = 0; j < 2; j++) {
            STRESS_OK(ant_receive(&message, ANT_FOREVER));
            STRESS_CHECK(message.request->status == 2 && message.request == (j ? second : rq),
                         "answered by %d", message.request->status);
            STRESS_OK(ant_request_free(message.request));
        }
        STRESS_CHECK(self_error == 0, "a good one: %s", ant_strerror(self_error));
        STRESS_OK(ant_stop(pid, ANT_FOREVER, NULL));
        size_t free_pages = stress_free_pages();
        STRESS_CHECK(free_pages == free_before, "%zu pages free, %zu before", free_pages, free_before);
    }
    stress_shutdown();
    stress_assert_clean();
}

/* --- No thread to be had: step 2 ------------------------------------------------------------------------------------------ */

/* Runs as a user without privileges, in a Linux process of its own: root is never short of threads. */
static void swap_without_threads(void **unused)
{
    (void)unused;
    uint32_t tries = stress_size(TRIES, 2);
    uint64_t random = 8;

    open_core(&under_load);
    for (uint32_t i = 0; i < tries; i++) {
        struct rlimit before, none;
        struct ant_swap_report report = {0};

        pause_a_little(&random);
        STRESS_CHECK(getrlimit(RLIMIT_NPROC, &before) == 0, "getrlimit: %s", strerror(errno));
        none = before;
        none.rlim_cur = 0;
        STRESS_CHECK(setrlimit(RLIMIT_NPROC, &none) == 0, "setrlimit: %s", strerror(errno));
        int error =
            ant_swap(MODEL_STORE, &model_programs[(version + 1) % MODEL_PROGRAMS], NULL, &report);
        STRESS_CHECK(setrlimit(RLIMIT_NPROC, &before) == 0, "setrlimit: %s", strerror(errno));
        check_rolled_back("no thread", error, &report, -EAGAIN, ANT_SWAP_CREATE, ANT_SWAP_CREATE);
        check_served("no thread");
        check_next_swap("no thread");
    }
    close_core();
}

static void a_swap_without_a_thread_to_be_had_leaves_the_old_server_serving(void **unused)
{
    (void)unused;
    fflush(NULL);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        uid_t user = geteuid() == 0 ? (uid_t)(40000 + getpid() % 20000) : geteuid();
        if (geteuid() == 0 && setresuid(user, user, user) != 0) {
            _exit(77);
        }
        const char *machine = getenv("ANT_MACHINE");
        if (machine != NULL && strcmp(machine, "fifo") == 0) {
            setenv("ANT_MACHINE", "auto", 1); /* that user may not have it */
        }
        const struct CMUnitTest inner[] = {cmocka_unit_test(swap_without_threads)};
        int failed = cmocka_run_group_tests_name("as a user without privileges", inner, NULL, NULL);
        fflush(NULL);
        _exit(failed);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        skip();
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_swap_without_a_thread_to_be_had_leaves_the_old_server_serving),
        cmocka_unit_test(a_swap_that_cannot_be_begun_touches_nothing),
        cmocka_unit_test(a_new_server_that_fails_leaves_the_old_one_serving),
        cmocka_unit_test(a_new_server_that_hangs_outside_the_core_leaves_the_old_one_serving),
        cmocka_unit_test(an_old_server_that_does_not_give_up_its_loop_is_not_replaced),
        cmocka_unit_test(a_requester_that_is_stopped_leaves_the_old_server_serving),
        cmocka_unit_test(of_two_requesters_one_swaps),
        cmocka_unit_test(an_old_server_that_dies_takes_the_swap_with_it),
        cmocka_unit_test(a_server_swaps_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
