/* ctest: machines=real movers=strict,strict-mremap */
/*
 * 100,000 stale accesses, each of which must fault: reads, writes, and system calls given a stale address.
 *
 * The test's process, the prober, sends areas to a keeper, takes some back, frees some, and meanwhile touches random
 * places in whatever has left it. The areas do not lie still: the keeper hands those that it has to a partner and gets
 * them back, all the time, on another CPU, and both allocate and free areas of their own. In the second test the pair
 * that moves areas belongs to another core in the same Linux process. Movers and prober note on which CPU they are, so
 * that a test in which nothing moved while the prober touched fails (unless there is but one CPU).
 *
 * One access that does not fault, be it a read of zeros, fails the test; so does a write that arrived in somebody's area.
 */
#include "stress_model.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#define ACCESSES 100000u
#define FN_KEEP 401u
#define FN_PARTNER 402u
#define AREAS 12u /* that the prober hands out in a round */
#define PROBES_A_ROUND 500u
#define MOVES_ONE_IN 100u /* one move on another CPU, at least, for so many accesses */
#define PATIENCE 20u      /* so many times the accesses, for the moves to come */

enum { GIVE, ANSWER, BACK };

/* --- An access that is expected to fault --------------------------------------------------------------------------- */

static _Thread_local sigjmp_buf escape;
static _Thread_local volatile sig_atomic_t armed;
static _Thread_local volatile sig_atomic_t fault_signal;
static _Thread_local void *volatile fault_address;

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    if (!armed) {
        static const char text[] = "stale_test: a fault that no probe asked for\n";
        ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
        (void)written;
        signal(signal_number, SIG_DFL); /* it comes again, and kills */
        return;
    }
    armed = 0;
    fault_signal = signal_number;
    fault_address = info->si_addr;
    siglongjmp(escape, 1);
}

static void catch_faults(struct sigaction before[2])
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &before[0]);
    sigaction(SIGBUS, &action, &before[1]);
}

static void catch_no_faults(const struct sigaction before[2])
{
    sigaction(SIGSEGV, &before[0], NULL);
    sigaction(SIGBUS, &before[1], NULL);
}

enum access { READ, WRITE, SYSTEM_WRITE, SYSTEM_READ, ACCESSES_KINDS };

/* What the accesses came to. */
static struct {
    uint64_t tried[ACCESSES_KINDS];
    int expected_signal;
    int pipe[2], zeros;
} probes;

static void probe_memory(volatile unsigned char *address, bool write, const char *what)
{
    unsigned char value = 0;

    if (sigsetjmp(escape, 1) == 0) {
        armed = 1;
        if (write) {
            *address = 0x5a;
        } else {
            value = *address;
        }
        armed = 0;
        STRESS_FAIL("%s of %s at %p did not fault, value %u", write ? "write" : "read", what,
                    (void *)(uintptr_t)address, value);
        return;
    }
    STRESS_CHECK(fault_signal == probes.expected_signal, "%s raised signal %d", what, (int)fault_signal);
    STRESS_CHECK(fault_address == (void *)(uintptr_t)address, "%s at %p: fault at %p", what,
                 (void *)(uintptr_t)address, fault_address);
}

static void probe(unsigned char *address, size_t room, uint64_t *random, const char *what)
{
    uint32_t draw = stress_below(random, 10);
    enum access kind = draw < 5 ? READ : draw < 8 ? WRITE : draw < 9 ? SYSTEM_WRITE : SYSTEM_READ;
    size_t bytes = 1 + stress_below(random, (uint32_t)(room < 8192 ? room : 8192));
    ssize_t done;

    probes.tried[kind]++;
    switch (kind) {
    case READ:
    case WRITE:
        probe_memory(address, kind == WRITE, what);
        break;
    case SYSTEM_WRITE:
        done = write(probes.pipe[1], address, bytes);
        STRESS_CHECK(done == -1 && errno == EFAULT, "write(2) of %zu bytes of %s: %zd, %s", bytes,
                     what, done, strerror(errno));
        break;
    default:
        done = read(probes.zeros, address, bytes);
        STRESS_CHECK(done == -1 && errno == EFAULT, "read(2) of %zu bytes into %s: %zd, %s", bytes,
                     what, done, strerror(errno));
        break;
    }
}

/* --- CPUs -------------------------------------------------------------------------------------------------------------- */

static int cpus[2];
static size_t cpu_count;

static void find_cpus(void)
{
    cpu_set_t set;

    cpu_count = 0;
    sched_getaffinity(0, sizeof set, &set);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && cpu_count < 2; cpu++) {
        if (CPU_ISSET(cpu, &set)) {
            cpus[cpu_count++] = (int)cpu;
        }
    }
}

/* Binds the calling thread. NULL: it stays where the core lets it be. */
static void pin(const int *cpu)
{
    cpu_set_t set;

    if (cpu != NULL) {
        CPU_ZERO(&set);
        CPU_SET((size_t)*cpu, &set);
        STRESS_CHECK(sched_setaffinity(0, sizeof set, &set) == 0, "CPU %d: %s", *cpu, strerror(errno));
    }
}

/* --- The pair that moves areas --------------------------------------------------------------------------------------- */

struct kept_area {
    void *area;
    size_t pages;
    uint64_t key;
    struct ant_request *rq; /* by which it came, until it is answered; a result would be back in the client's space at once */
};

/* What is said of an area, in the payload. */
struct label {
    uint64_t key;
    uint64_t pages;
};

static _Atomic int probing_on = -1; /* the prober's CPU while it touches what it may not; else -1 */
static _Atomic uint64_t moves, moves_elsewhere; /* elsewhere: on another CPU, while it touched */

/* By the thread that has moved an area, or is about to. */
static void note_move(void)
{
    int prober = atomic_load(&probing_on);

    atomic_fetch_add_explicit(&moves, 1, memory_order_relaxed);
    if (prober >= 0 && prober != sched_getcpu()) {
        atomic_fetch_add_explicit(&moves_elsewhere, 1, memory_order_relaxed);
    }
}

/* Checks what it is given, allocates and frees something of its own, gives it back. */
static int partner(void *cpu)
{
    struct ant_message message;
    uint64_t random = 99;
    void *own = NULL;

    pin(cpu);
    STRESS_OK(ant_function_add(FN_PARTNER));
    while (ant_receive(&message, ANT_FOREVER) == 0 && message.kind == ANT_REQUEST) {
        struct label label;
        memcpy(&label, message.request->payload, sizeof label);
        STRESS_CHECK(model_matches(message.request->data, label.pages, label.key, false),
                     "partner: other bytes");
        if (own != NULL) {
            STRESS_OK(ant_ica_free(own));
            own = NULL;
        }
        size_t pages = 1 + stress_below(&random, 40);
        if (ant_ica_alloc(pages, &own) == 0) {
            model_fill(own, pages, pages);
        }
        STRESS_OK(ant_reply(message.request, 0));
        note_move();
    }
    if (own != NULL) {
        STRESS_OK(ant_ica_free(own));
    }
    return 0;
}

static void keep(struct kept_area *kept, struct ant_request *rq)
{
    struct label label;
    memcpy(&label, rq->payload, sizeof label);
    struct kept_area *it = &kept[rq->cookie % AREAS];

    if (rq->operation == GIVE) {
        *it = (struct kept_area){rq->data, label.pages, label.key, rq};
        rq->data = NULL;
        STRESS_CHECK(model_matches(it->area, it->pages, it->key, false), "keeper: other bytes");
        return;
    }
    if (rq->operation == ANSWER) {
        for (uint32_t i = 0; i < AREAS; i++) {
            STRESS_OK(ant_reply(kept[i].rq, 0));
        }
    } else {
        rq->data = it->area;
        it->area = NULL;
    }
    STRESS_OK(ant_reply(rq, 0));
}

/* Hands one of its areas to the partner and takes it back. */
static void move(struct kept_area *it, struct ant_request *rq)
{
    struct label label = {it->key, it->pages};

    rq->data = it->area;
    memcpy(rq->payload, &label, sizeof label);
    note_move();
    STRESS_OK(ant_call(rq, ANT_FOREVER));
    rq->data = NULL;
}

static int keeper(void *cpu)
{
    struct kept_area kept[AREAS] = {{0}};
    struct ant_request *rq;
    uint32_t next = 0;

    pin(cpu);
    STRESS_OK(ant_function_add(FN_KEEP));
    STRESS_OK(ant_request_new(FN_PARTNER, &rq));
    for (;;) {
        struct ant_message message;
        uint32_t held = 0;
        for (uint32_t i = 0; i < AREAS; i++) {
            held += kept[i].area != NULL;
        }
        int error = ant_receive(&message, held > 0 ? 0 : ANT_FOREVER);

        if (error == 0 && message.kind == ANT_STOP) {
            break;
        }
        if (error == 0) {
            keep(kept, message.request);
        } else if (STRESS_CHECK(error == -ETIMEDOUT, "keeper: %s", ant_strerror(error))) {
            while (kept[next].area == NULL) {
                next = (next + 1) % AREAS;
            }
            move(&kept[next], rq);
            next = (next + 1) % AREAS;
        } else {
            break;
        }
    }
    STRESS_OK(ant_request_free(rq));
    return 0;
}

/* --- The prober ------------------------------------------------------------------------------------------------------- */

struct lost {
    struct ant_request *rq;
    struct kept_area held;
    bool gone; /* the data area is not the prober's */
    bool sent; /* nor is the request */
};

static void give(struct lost *it, uint32_t number, uint64_t *random)
{
    uint32_t draw = stress_below(random, 16);
    size_t pages = draw == 0   ? 512 + stress_below(random, 200)
                   : draw == 1 ? 300
                               : 1 + stress_below(random, 24);
    struct label label = {stress_random(random), pages};

    *it = (struct lost){.held = {.pages = pages, .key = label.key}};
    STRESS_OK(ant_request_new(FN_KEEP, &it->rq));
    STRESS_OK(ant_ica_alloc(pages, &it->held.area));
    model_fill(it->held.area, pages, label.key);
    it->rq->operation = GIVE;
    it->rq->cookie = number;
    it->rq->data = it->held.area;
    memcpy(it->rq->payload, &label, sizeof label);
    STRESS_OK(ant_send(it->rq));
    it->gone = it->sent = true;
}

/* Touches random places of what has left. */
static void probe_some(struct lost *lost, uint32_t count, uint64_t *random, const char *what)
{
    for (uint32_t i = 0; i < count; i++) {
        struct lost *it = &lost[stress_below(random, AREAS)];
        atomic_store(&probing_on, sched_getcpu());
        if (it->sent && stress_below(random, 8) == 0) {
            size_t at = stress_below(random, ANT_PAGE_BYTES);
            probe((unsigned char *)it->rq + at, ANT_PAGE_BYTES - at, random, "a request that was sent");
        } else if (it->gone) {
            size_t at = stress_below(random, (uint32_t)(it->held.pages * ANT_PAGE_BYTES));
            probe((unsigned char *)it->held.area + at, it->held.pages * ANT_PAGE_BYTES - at, random, what);
        }
    }
    atomic_store(&probing_on, -1);
}

static void receive_all(struct lost *lost)
{
    for (uint32_t i = 0; i < AREAS; i++) {
        struct ant_message message = {0};
        int error = ant_receive(&message, ANT_FOREVER);
        if (!STRESS_CHECK(error == 0 && message.kind == ANT_RESULT, "prober: %s", ant_strerror(error))) {
            return;
        }
        struct lost *it = &lost[message.request->cookie];
        it->sent = false;
        if (message.request->operation == BACK) {
            it->gone = false;
            STRESS_CHECK(message.request->data == it->held.area, "an area came back elsewhere");
            STRESS_CHECK(model_matches(it->held.area, it->held.pages, it->held.key, false),
                         "an area came back with other bytes");
        }
    }
}

/* Has the keeper answer what it was given. */
static void ask_for_answers(void)
{
    struct ant_request *rq;

    STRESS_OK(ant_request_new(FN_KEEP, &rq));
    rq->operation = ANSWER;
    STRESS_OK(ant_call(rq, ANT_FOREVER));
    STRESS_OK(ant_request_free(rq));
}

static uint64_t tried(void)
{
    return probes.tried[READ] + probes.tried[WRITE] + probes.tried[SYSTEM_WRITE] +
           probes.tried[SYSTEM_READ];
}

static void probe_a_round(uint64_t *random)
{
    struct lost lost[AREAS] = {{0}};

    for (uint32_t i = 0; i < AREAS; i++) {
        give(&lost[i], i, random);
    }
    probe_some(lost, PROBES_A_ROUND / 4, random, "an area that was sent");
    ask_for_answers();
    receive_all(lost);
    probe_some(lost, PROBES_A_ROUND / 4, random, "an area that was handed over");
    for (uint32_t i = 0; i < AREAS; i++) {
        lost[i].rq->operation = BACK;
        lost[i].rq->data = NULL;
        STRESS_OK(ant_send(lost[i].rq));
    }
    receive_all(lost);
    for (uint32_t i = 0; i < AREAS; i++) {
        STRESS_OK(ant_ica_free(lost[i].held.area));
        STRESS_OK(ant_request_free(lost[i].rq));
        lost[i].gone = lost[i].sent = true; /* freed: nothing of it may be touched */
    }
    probe_some(lost, PROBES_A_ROUND / 2, random, "an area that was freed");
}

/* Were enough areas moved, on another CPU, while the prober touched? Where there is only one, none can be. */
static bool moved_elsewhere(uint32_t accesses)
{
    return cpu_count < 2 || atomic_load(&moves_elsewhere) >= accesses / MOVES_ONE_IN;
}

static void probe_all(uint32_t accesses)
{
    struct ant_info info;
    uint64_t random = 17;

    STRESS_OK(ant_info(&info));
    probes.expected_signal = info.mover == ANT_MOVER_STRICT ? SIGBUS : SIGSEGV;
    while (tried() < accesses || (!moved_elsewhere(accesses) && tried() < PATIENCE * (uint64_t)accesses)) {
        probe_a_round(&random);
    }
    print_message("%" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64 " + %" PRIu64
                  " system calls on stale addresses, %" PRIu64 " moves, %" PRIu64
                  " of them meanwhile and on another CPU\n",
                  probes.tried[READ], probes.tried[WRITE], probes.tried[SYSTEM_WRITE],
                  probes.tried[SYSTEM_READ], atomic_load(&moves), atomic_load(&moves_elsewhere));
}

/* --- Before and after -------------------------------------------------------------------------------------------------- */

static struct sigaction handlers_before[2];

static int prepare(void **unused)
{
    (void)unused;
    memset(&probes, 0, sizeof probes);
    atomic_store(&moves, 0);
    atomic_store(&moves_elsewhere, 0);
    find_cpus();
    assert_int_equal(pipe2(probes.pipe, O_NONBLOCK | O_CLOEXEC), 0);
    probes.zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert_true(probes.zeros >= 0);
    return 0;
}

static int clean_up(void **unused)
{
    char byte;
    (void)unused;

    assert_int_equal(read(probes.pipe[0], &byte, 1), -1); /* no stale byte went through */
    close(probes.pipe[0]);
    close(probes.pipe[1]);
    close(probes.zeros);
    return 0;
}

struct pair {
    ant_pid keeper, partner;
};

static struct pair create_pair(int priority, int *cpu)
{
    struct ant_process_options options = {.name = "partner", .priority = priority};
    struct pair pair = {0};

    STRESS_OK(ant_process_create(&options, partner, cpu, &pair.partner));
    options.name = "keeper";
    STRESS_OK(ant_process_create(&options, keeper, cpu, &pair.keeper));
    /* Until both serve: a call to a function that nobody serves is refused. */
    ant_pid pid;
    while (ant_lookup(FN_KEEP, &pid) != 0 || ant_lookup(FN_PARTNER, &pid) != 0) {
        STRESS_OK(ant_sleep(ant_now() + 100000));
    }
    return pair;
}

static void stop_pair(struct pair pair)
{
    STRESS_OK(ant_stop(pair.keeper, ANT_FOREVER, NULL));
    STRESS_OK(ant_stop(pair.partner, ANT_FOREVER, NULL));
}

/* --- The tests ----------------------------------------------------------------------------------------------------------- */

static void stale_accesses_fault_while_another_cpu_moves_the_areas(void **unused)
{
    uint32_t accesses = stress_size(ACCESSES, 2000);
    (void)unused;

    catch_faults(handlers_before); /* before the boot, and after cmocka's own */
    stress_boot(&(struct ant_config){
        .max_processes = 8, .log = ANT_LOG_QUIET, .cpus = cpus, .cpu_count = cpu_count, .priority = 10});
    pin(&cpus[0]); /* left to itself, the kernel may well keep them all on one CPU */
    struct pair pair = create_pair(10, &cpus[cpu_count - 1]);
    probe_all(accesses);
    stop_pair(pair);
    stress_shutdown();
    catch_no_faults(handlers_before);
    stress_assert_clean();
    assert_true(moved_elsewhere(accesses));
}

/* A core of its own, on another CPU, whose pair moves areas until told to stop. */
static struct {
    pthread_t thread;
    _Atomic bool ready, stop;
    uint64_t moved;
} second;

static void *second_core(void *unused)
{
    struct ant_config config = {
        .max_processes = 8, .log = ANT_LOG_QUIET, .cpus = &cpus[0], .cpu_count = 1, .priority = 20};
    struct ant_shutdown_report report;
    uint64_t random = 3;
    (void)unused;

    int error = ant_boot(&config);
    if (!STRESS_CHECK(error == 0, "the second core: %s", ant_strerror(error))) {
        atomic_store(&second.ready, true);
        return NULL;
    }
    struct pair pair = create_pair(10, NULL);
    struct lost lost[AREAS] = {{0}};
    for (uint32_t i = 0; i < AREAS; i++) {
        give(&lost[i], i, &random);
    }
    ask_for_answers();
    receive_all(lost);
    atomic_store(&second.ready, true);
    while (!atomic_load(&second.stop)) {
        STRESS_OK(ant_sleep(ant_now() + 5 * ANT_NS_PER_MS));
    }
    for (uint32_t i = 0; i < AREAS; i++) {
        lost[i].rq->operation = BACK;
        lost[i].rq->data = NULL;
        STRESS_OK(ant_send(lost[i].rq));
    }
    receive_all(lost);
    for (uint32_t i = 0; i < AREAS; i++) {
        STRESS_OK(ant_ica_free(lost[i].held.area));
        STRESS_OK(ant_request_free(lost[i].rq));
    }
    stop_pair(pair);
    error = ant_shutdown(&report);
    STRESS_CHECK(error == 0 && report.areas_held == 0 && report.processes_abandoned == 0,
                 "the second core: %s, %u areas", ant_strerror(error), report.areas_held);
    return NULL;
}

static void stale_accesses_fault_while_another_core_moves_its_areas(void **unused)
{
    uint32_t accesses = stress_size(ACCESSES, 2000);
    (void)unused;

    if (cpu_count < 2) {
        skip();
    }
    catch_faults(handlers_before);
    memset(&second, 0, sizeof second);
    assert_int_equal(pthread_create(&second.thread, NULL, second_core, NULL), 0);
    while (!atomic_load(&second.ready)) {
        sched_yield();
    }
    stress_boot(&(struct ant_config){
        .max_processes = 8, .log = ANT_LOG_QUIET, .cpus = &cpus[1], .cpu_count = 1, .priority = 10});
    struct pair pair = create_pair(10, NULL);
    probe_all(accesses);
    stop_pair(pair);
    stress_shutdown();
    atomic_store(&second.stop, true);
    pthread_join(second.thread, NULL);
    catch_no_faults(handlers_before);
    stress_assert_clean();
    assert_true(moved_elsewhere(accesses));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stale_accesses_fault_while_another_cpu_moves_the_areas,
                                        prepare, clean_up),
        cmocka_unit_test_setup_teardown(stale_accesses_fault_while_another_core_moves_its_areas,
                                        prepare, clean_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
