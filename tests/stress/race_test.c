/* ctest: machines=virtual,fifo,other movers=strict,strict-mremap,flat,copy */
/*
 * Swaps whose time limit passes at any instant of `start`, by two requesters at once, while processes come and go: whoever
 * is given up, whoever takes his place, and whoever was served before, none of them harms another.
 *
 * A new server leaves in each way there is within microseconds of its time limit: it returns, fails, is inside the core, or is not. Its
 * body and its pages are used again at once, by the short-lived processes and by the clients of the model.
 */
#include "stress_model.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#define SWAPS 6000u
#define LIMIT_NS INT64_C(150000)
#define SENDINGS 20000u
#define MAYFLY_STATUS 4711

static struct ant_program racing; /* model_programs[0], but for its start */
static _Atomic bool over;
static _Atomic uint64_t draws; /* what a start does is drawn from here: it runs on many threads */
static _Atomic uint32_t committed, rolled_back, abandoned;
static bool spins; /* a process may be busy without the core's knowledge: not on `virtual` */

static uint64_t draw(void)
{
    return stress_mix(atomic_fetch_add(&draws, 1));
}

static uint64_t real_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * ANT_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void be_busy(uint64_t busy_ns)
{
    if (!spins) {
        ant_work(busy_ns);
        return;
    }
    for (uint64_t end_ns = real_ns() + busy_ns; real_ns() < end_ns;) {
    }
}

/* A call to the driver, which may be withdrawn, answered, or go on. False: it goes on. */
static bool ask_driver(void)
{
    struct ant_request *rq;

    if (ant_request_new(MODEL_DRIVER, &rq) != 0) {
        return true;
    }
    rq->cookie = MODEL_SWALLOWED | (draw() >> 8);
    if (ant_call(rq, (int64_t)(draw() % 200000)) == -EINPROGRESS) {
        return false;
    }
    STRESS_OK(ant_request_free(rq));
    return true;
}

static pthread_key_t thread_end;
static _Atomic uint32_t racers; /* threads that have begun to race, and not ended */

static void note_thread_end(void *value)
{
    (void)value;
    atomic_fetch_sub(&racers, 1);
}

static int race(struct ant_server *self)
{
    uint64_t kind = draw();
    void *area;
    (void)self;

    atomic_fetch_add(&racers, 1);
    pthread_setspecific(thread_end, &racing);
    if (ant_ica_alloc(1 + draw() % 3, &area) != 0) {
        return -ENOMEM;
    }
    memset(area, 0xee, ANT_PAGE_BYTES);
    if (kind % 2 == 0 && !ask_driver()) {
        return -EIO; /* its result shall not come to a server that does not know of it */
    }
    if (kind % 3 != 0) {
        be_busy(draw() % (2 * (uint64_t)LIMIT_NS));
    }
    if (kind % 5 == 0) {
        return -EIO;
    }
    STRESS_OK(ant_ica_free(area));
    return 0; /* it does not look at the state: it may have been given up, and then that changes under it */
}

static int requester_main(void *argument)
{
    uint32_t swaps = *(const uint32_t *)argument;

    for (uint32_t i = 0; i < swaps; i++) {
        /* One in four has time enough, on a busy processor too: some must commit, for others to come upon them. */
        struct ant_swap_options options = {.start_timeout_ns = i % 4 == 0 ? 100 * LIMIT_NS : LIMIT_NS};
        struct ant_swap_report report = {0};
        int error = ant_swap(MODEL_STORE, &racing, &options, &report);
        if (error == 0) {
            atomic_fetch_add(&committed, 1);
        } else if (error != -EBUSY) {
            STRESS_CHECK(error == -ETIMEDOUT || error == -EIO || error == -EAGAIN,
                         "a swap: %s in step %s", ant_strerror(error), ant_swap_step_name(report.step));
            atomic_fetch_add(&rolled_back, 1);
            atomic_fetch_add(&abandoned, report.abandoned);
        }
        STRESS_OK(ant_sleep(ant_now() + draw() % 300000)); /* for the clients */
    }
    return 0;
}

/* Lives for a few calls, in a place that somebody else has just left. */
static int mayfly_main(void *unused)
{
    void *area;
    (void)unused;

    if (ant_ica_alloc(1, &area) != 0) {
        return 0;
    }
    *(uint64_t *)area = draw();
    if (ant_work(draw() % 20000) != 0 || ant_ica_free(area) != 0) {
        return 0;
    }
    return MAYFLY_STATUS;
}

static int breeder_main(void *unused)
{
    struct ant_process_options options = {.name = "mayfly", .priority = MODEL_HIGH_CLIENT_PRIORITY};
    (void)unused;

    while (!atomic_load(&over)) {
        ant_pid pid;
        int status = 0, error = ant_process_create(&options, mayfly_main, NULL, &pid);
        if (error == 0) {
            STRESS_OK(ant_wait(pid, (int64_t)(20 * ANT_NS_PER_S), &status));
            STRESS_CHECK(status == MAYFLY_STATUS,
                         "a process that nobody had asked to end ended with %d", status);
        } else {
            STRESS_CHECK(error == -EAGAIN, "ant_process_create: %s", ant_strerror(error));
        }
        STRESS_OK(ant_sleep(ant_now() + 10000 + draw() % 50000));
    }
    return 0;
}

static void new_servers_that_are_given_up_at_any_instant_harm_nobody(void **unused)
{
    (void)unused;
    static const struct model_config config = {.clients = 6,
                                               .outstanding = 6,
                                               .pages_max = 3,
                                               .work_ns = 2000,
                                               .wait_ns = 60000,
                                               .rests = true,
                                               .seed = 9};
    uint32_t swaps = stress_size(SWAPS, 40) / 2;
    struct ant_process_options above = {.name = "requester", .priority = MODEL_REQUESTER_PRIORITY};
    struct ant_info info;
    ant_pid requesters[2], breeder;

    stress_boot(&(struct ant_config){.max_processes = 64, .pool_bytes = 32 << 20, .log = ANT_LOG_ERROR});
    STRESS_OK(ant_info(&info));
    spins = info.machine != ANT_MACHINE_VIRTUAL;
    racing = model_programs[0];
    racing.start = race;
    atomic_store(&over, false);
    model_open(&config, 0);
    model_start();
    STRESS_OK(ant_process_create(&above, breeder_main, NULL, &breeder));
    for (int i = 0; i < 2; i++) {
        STRESS_OK(ant_process_create(&above, requester_main, &swaps, &requesters[i]));
    }
    for (int i = 0; i < 2; i++) {
        int error = ant_wait(requesters[i], ANT_FOREVER, NULL);
        STRESS_CHECK(error == 0 || error == -ESRCH, "ant_wait: %s",
                     ant_strerror(error)); /* its place was used again */
    }
    int error;
    while ((error = model_swap(1, NULL, NULL)) == -EAGAIN) { /* the abandoned have all the places yet */
        STRESS_OK(ant_sleep(ant_now() + ANT_NS_PER_MS));
    }
    STRESS_OK(error); /* after all that the next swap works */
    atomic_fetch_add(&committed, 1);
    atomic_store(&over, true);
    STRESS_OK(ant_wait(breeder, ANT_FOREVER, NULL));
    model_join();
    while (atomic_load(&racers) > 0) { /* those who were abandoned */
        STRESS_OK(ant_sleep(ant_now() + ANT_NS_PER_MS));
    }
    model_quiet_pages();
    print_message("%u swaps committed, %u rolled back, %u new servers abandoned, %" PRIu64 " requests\n",
                  atomic_load(&committed), atomic_load(&rolled_back), atomic_load(&abandoned),
                  model_sum().sent);
    assert_true(atomic_load(&committed) > 0 && atomic_load(&rolled_back) > 0);
    model_close();
    stress_shutdown();
    stress_assert_clean();
}

/* --- The end of a core in the middle of everything ---------------------------------------------------------------------- */

#define ROUNDS 150u
#define FN_BUSY 120u

static void answer_some(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    if (draw() % 16 == 0) {
        ant_exit(1);
    }
    ant_work(draw() % 5000);
    ant_reply(rq, 0);
}

static const struct ant_program busy = {
    .abi = ANT_ABI, .version = 1, .name = "busy", .start = race, .request = answer_some};

/* These go on until they are told to stop: by an error, or by the end of their thread. */
static int call_until_stopped(void *unused)
{
    struct ant_request *rq;
    (void)unused;

    while (ant_request_new(FN_BUSY, &rq) == 0) {
        int error = ant_call(rq, draw() % 2 == 0 ? ANT_FOREVER : (int64_t)(draw() % 100000));
        if (error != -EINPROGRESS) {
            ant_request_free(rq);
        }
        if (error == -ESHUTDOWN || ant_sleep(ant_now() + 20000) != 0) {
            return 0;
        }
    }
    return 0;
}

static int swap_until_stopped(void *unused)
{
    struct ant_swap_options options = {.start_timeout_ns = LIMIT_NS};
    struct ant_server_options fresh = {.start_timeout_ns = LIMIT_NS};
    (void)unused;

    while (ant_sleep(ant_now() + draw() % 50000) == 0) {
        ant_pid pid;
        ant_process_create(NULL, mayfly_main, NULL, &pid);
        if (ant_swap(FN_BUSY, &busy, &options, NULL) == -ESRCH) {
            ant_serve(FN_BUSY, &busy, &fresh, NULL);
        }
    }
    return 0;
}

static void a_core_that_ends_at_any_instant_leaves_no_thread(void **unused)
{
    (void)unused;
    static int (*const entries[])(void *) = {call_until_stopped, call_until_stopped, swap_until_stopped};
    uint32_t rounds = stress_size(ROUNDS, 8), abandoned_in_all = 0;

    atomic_store(&racers, 0);
    for (uint32_t round = 0; round < rounds; round++) {
        struct ant_info info;
        struct ant_shutdown_report report;
        int error = ant_boot(&(struct ant_config){.max_processes = 24,
                                                  .pool_bytes = 4 << 20,
                                                  .log = ANT_LOG_QUIET,
                                                  .priority = MODEL_REQUESTER_PRIORITY,
                                                  .shutdown_timeout_ns = (int64_t)(draw() % 400000)});
        if (error == -EPERM || error == -ENOTSUP) {
            skip();
        }
        assert_int_equal(error, 0);
        assert_int_equal(ant_info(&info), 0);
        spins = info.machine != ANT_MACHINE_VIRTUAL;
        for (unsigned i = 0; i < 6; i++) {
            struct ant_process_options options = {.priority =
                                                      MODEL_LOW_CLIENT_PRIORITY + 10 * (int)(i % 3)};
            STRESS_OK(ant_process_create(&options, entries[i % 3], NULL, NULL));
        }
        STRESS_OK(ant_sleep(ant_now() + 200000 + draw() % 2000000));
        STRESS_OK(ant_shutdown(&report));
        abandoned_in_all += report.processes_abandoned;
    }
    stress_boot(&(struct ant_config){.pool_bytes = 2 << 20, .max_processes = 2});
    for (int tries = 0; tries < 10000 && atomic_load(&racers) > 0; tries++) {
        STRESS_OK(ant_sleep(ant_now() + ANT_NS_PER_MS));
    }
    STRESS_CHECK(atomic_load(&racers) == 0, "%u threads have not ended", atomic_load(&racers));
    print_message("%u rounds, %u abandoned\n", rounds, abandoned_in_all);
    stress_shutdown();
    stress_assert_clean();
}

/* ---- a request that comes back while its client errs ---- */

static void answer(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    STRESS_OK(ant_reply(rq, 0));
}

static const struct ant_program answering = {
    .abi = ANT_ABI, .version = 1, .name = "answering", .request = answer};

/* What is out stays out until it is received, at whatever instant of its way back the client tries to use it. */
static void what_is_out_cannot_be_used_while_its_result_arrives(void **unused)
{
    (void)unused;
    struct ant_server_options above = {.priority = MODEL_SERVER_PRIORITY};
    struct ant_request *rq;
    ant_pid pid;
    bool out = true;

    stress_boot(&(struct ant_config){
        .pool_bytes = 2 << 20, .max_processes = 4, .priority = MODEL_LOW_CLIENT_PRIORITY});
    STRESS_OK(ant_serve(FN_BUSY, &answering, &above, &pid));
    STRESS_OK(ant_request_new(FN_BUSY, &rq));
    for (uint32_t i = 0; i < stress_size(SENDINGS, 2000) && out; i++) {
        struct ant_process_info info;
        struct ant_message result = {.request = NULL};
        STRESS_OK(ant_send(rq));
        do {
            int freed = ant_request_free(rq);
            out = freed == -EPERM;
            STRESS_CHECK(out, "ant_request_free of a request that is out: %s", ant_strerror(freed));
            STRESS_OK(ant_process_info(ant_self(), &info));
        } while (info.queued_results == 0 && out);
        STRESS_CHECK(!out || (ant_receive(&result, 0) == 0 && result.request == rq), "no result is there");
    }
    STRESS_CHECK(!out || ant_request_free(rq) == 0, "the request is not the client's again");
    STRESS_OK(ant_stop(pid, ANT_FOREVER, NULL));
    stress_shutdown();
    stress_assert_clean();
}

/* ---- requests that come and go while what the dead left is freed ---- */

#define DEATHS 2000u
#define CANCELLERS 3u

/* What it does not get to serve stays as it was, whatever becomes of its servers. */
static int send_and_take_back(void *number)
{
    uint64_t key = (uintptr_t)number << 32;
    struct ant_request *rq;
    struct ant_message result;

    STRESS_OK(ant_request_new(FN_BUSY, &rq));
    while (!atomic_load(&over)) {
        STRESS_OK(ant_ica_alloc(1, &rq->data));
        void *data = rq->data;
        model_fill(data, 1, ++key);
        for (int again = 0; again < 8 && rq->data == data; again++) {
            ant_work(200); /* else no time would pass on `virtual` */
            int sent = ant_send(rq);
            STRESS_CHECK(sent == 0, "ant_send: %s", ant_strerror(sent));
            if (sent == 0 && ant_cancel(rq) != 0) {
                STRESS_OK(ant_receive(&result, ANT_FOREVER));
            }
            STRESS_CHECK(rq->data == NULL || model_matches(data, 1, key, false),
                         "an area that nobody has changed is another");
        }
        if (rq->data != NULL) {
            STRESS_OK(ant_ica_free(rq->data));
        }
    }
    return ant_request_free(rq);
}

static void what_is_taken_back_is_not_freed_with_what_the_dead_left(void **unused)
{
    (void)unused;
    struct ant_server_options options = {.priority = MODEL_SERVER_PRIORITY};
    ant_pid server, clients[CANCELLERS];

    atomic_store(&over, false);
    stress_boot(&(struct ant_config){.pool_bytes = 2 << 20,
                                     .max_processes = 16,
                                     .log = ANT_LOG_ERROR,
                                     .priority = MODEL_REQUESTER_PRIORITY});
    STRESS_OK(ant_serve(FN_BUSY, &answering, &options, &server));
    for (uintptr_t i = 0; i < CANCELLERS; i++) {
        struct ant_process_options low = {.priority = MODEL_LOW_CLIENT_PRIORITY};
        STRESS_OK(ant_process_create(&low, send_and_take_back, (void *)(i + 1), &clients[i]));
    }
    for (uint32_t i = 0; i < stress_size(DEATHS, 50); i++) {
        STRESS_OK(ant_kill(server));
        STRESS_OK(ant_sleep(ant_now() + 20 * ANT_NS_PER_US));
        STRESS_OK(ant_swap(FN_BUSY, &answering, NULL, NULL)); /* without trust */
    }
    atomic_store(&over, true);
    for (uint32_t i = 0; i < CANCELLERS; i++) {
        STRESS_OK(ant_wait(clients[i], ANT_FOREVER, NULL));
    }
    STRESS_OK(ant_stop(server, ANT_FOREVER, NULL));
    stress_shutdown();
    stress_assert_clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_servers_that_are_given_up_at_any_instant_harm_nobody),
        cmocka_unit_test(a_core_that_ends_at_any_instant_leaves_no_thread),
        cmocka_unit_test(what_is_out_cannot_be_used_while_its_result_arrives),
        cmocka_unit_test(what_is_taken_back_is_not_freed_with_what_the_dead_left),
    };

    if (pthread_key_create(&thread_end, note_thread_end) != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
