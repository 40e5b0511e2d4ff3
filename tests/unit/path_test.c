/* ctest: machines=real,other movers=flat */
/*
 * What is on the path of a request: with `flat` no memory is allocated there, no lock is taken that unrelated processes share, and no system
 * call is made but to wait and to wake.
 *
 * What is counted is all that happens in this Linux process while a client and its server exchange requests, the C library and liburcu included. In
 * each test there is a server that does just that, to show that it would be seen.
 */
#include "child.h"
#include "core/core.h"
#include "wrap.h"

#include <assert.h>
#include <dlfcn.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FN 7u /* and the next, of the other pair */
#define PAIRS 2u
#define THREADS (2 * PAIRS)
#define REQUESTS 1000u  /* of each style */
#define OUTSTANDING 50u /* at once, divides REQUESTS */
#define DATA_PAGES 4u

/* ---- what is counted in this Linux process ---- */

#if !SANITIZED && defined(__GLIBC__)
#define COUNTED 1
#else
#define COUNTED 0 /* sanitizers bring an allocator and locks of their own */
#endif

static _Thread_local unsigned thread_number =
    THREADS; /* of pair p: 2p is the client, 2p + 1 the server; THREADS: of none */

#if COUNTED

static _Atomic bool allocations_count;
static _Atomic unsigned allocations; /* calls that take memory or give it back, of any thread */

static void count_allocation(void)
{
    if (atomic_load_explicit(&allocations_count, memory_order_relaxed))
        atomic_fetch_add(&allocations, 1);
}

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t items, size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);
extern void __libc_free(void *memory);

void *malloc(size_t bytes)
{
    count_allocation();
    return __libc_malloc(bytes);
}

void *calloc(size_t items, size_t bytes)
{
    count_allocation();
    return __libc_calloc(items, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    count_allocation();
    return __libc_realloc(memory, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    count_allocation();
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    count_allocation();
    void *taken = __libc_memalign(alignment, bytes);
    if (!taken)
        return ENOMEM;
    *memory = taken;
    return 0;
}

void free(void *memory)
{
    count_allocation();
    __libc_free(memory);
}

#define LOCKS_MAX 64u

/* The locks that each thread of the pairs has taken while they were noted: libant's own (wrap.h) and mutexes. */
static _Atomic bool locks_noted;
static struct {
    const void *locks[LOCKS_MAX];
    _Atomic unsigned count;
} taken[THREADS];

static bool took(unsigned thread, const void *lock)
{
    for (unsigned i = 0; i < atomic_load(&taken[thread].count); i++)
        if (taken[thread].locks[i] == lock)
            return true;
    return false;
}

static void note_lock(const void *lock)
{
    unsigned thread = thread_number;
    if (thread == THREADS || !atomic_load(&locks_noted) || took(thread, lock))
        return;
    unsigned count = atomic_load(&taken[thread].count);
    if (!expect(count < LOCKS_MAX))
        return;
    taken[thread].locks[count] = lock;
    atomic_store(&taken[thread].count, count + 1);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static int (*_Atomic next)(pthread_mutex_t *);
    int (*lock)(pthread_mutex_t *) = atomic_load(&next);
    if (!lock) {
        *(void **)&lock = dlsym(RTLD_NEXT, "pthread_mutex_lock");
        atomic_store(&next, lock);
    }
    note_lock(mutex);
    return lock(mutex);
}

#endif

/* ---- the servers ---- */

enum operation {
    ANSWER,
    TRADE,    /* answer with another area than the one that came */
    POSTPONE, /* answer after the next one */
    TRESPASS  /* do all that must not be done, and answer */
};

static struct {
    void *spare;
    struct ant_request *postponed;
} servers[PAIRS];

static pthread_mutex_t common = PTHREAD_MUTEX_INITIALIZER;

static void trespass(void)
{
    void *volatile memory = malloc(100);
    struct ant_ica_stats stats;
    free(memory);
    syscall(SYS_getppid);
    pthread_mutex_lock(&common);
    pthread_mutex_unlock(&common);
    expect_ok(ant_ica_stats(&stats)); /* takes the pool's lock */
}

/* In the test of system calls: what the child tells its tracer, in memory that they share; NULL elsewhere. */
static struct told {
    uintptr_t endpoints_from, endpoints_to; /* each endpoint with its lock */
    pid_t client, server;
} * told;

static int start(struct ant_server *self)
{
    if (told)
        told->server = gettid();
    thread_number = 2 * (self->function - FN) + 1;
    return ant_ica_alloc(DATA_PAGES, &servers[self->function - FN].spare);
}

static void trade(unsigned pair, struct ant_request *rq)
{
    void *came = rq->data;
    rq->data = servers[pair].spare;
    servers[pair].spare = came;
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    unsigned pair = self->function - FN;
    struct ant_request *postponed = servers[pair].postponed;
    servers[pair].postponed = NULL;
    switch ((enum operation)rq->operation) {
    case ANSWER:
        break;
    case TRADE:
        trade(pair, rq);
        break;
    case POSTPONE:
        if (postponed)
            break;
        servers[pair].postponed = rq;
        return;
    case TRESPASS:
        trespass();
        break;
    }
    expect_ok(ant_reply(rq, 0));
    if (postponed)
        expect_ok(ant_reply(postponed, 0));
}

static const struct ant_program program = {
    .abi = ANT_ABI, .name = "server", .start = start, .request = request};

/* ---- styles: how a client asks ---- */

struct kit {
    uint32_t function;
    struct ant_request *requests[OUTSTANDING];
    void *data;
};

static void kit_take(struct kit *kit, uint32_t function)
{
    kit->function = function;
    for (unsigned i = 0; i < OUTSTANDING; i++)
        expect_ok(ant_request_new(function, &kit->requests[i]));
    expect_ok(ant_ica_alloc(DATA_PAGES, &kit->data));
}

static void kit_give(struct kit *kit)
{
    for (unsigned i = 0; i < OUTSTANDING; i++)
        expect_ok(ant_request_free(kit->requests[i]));
    expect_ok(ant_ica_free(kit->data));
}

static struct ant_request *ready(struct kit *kit, unsigned i, enum operation operation, void *data)
{
    struct ant_request *rq = kit->requests[i];
    rq->operation = operation;
    rq->data = data;
    return rq;
}

static void call(struct kit *kit)
{
    expect_ok(ant_call(ready(kit, 0, ANSWER, NULL), ANT_FOREVER));
}

static void call_with_data(struct kit *kit)
{
    expect_ok(ant_call(ready(kit, 0, ANSWER, kit->data), ANT_FOREVER));
}

static void call_and_trade(struct kit *kit)
{
    expect_ok(ant_call(ready(kit, 0, TRADE, kit->data), ANT_FOREVER));
    kit->data = kit->requests[0]->data;
}

static void call_a_trespasser(struct kit *kit)
{
    expect_ok(ant_call(ready(kit, 0, TRESPASS, NULL), ANT_FOREVER));
}

static void send_and_receive(struct kit *kit, unsigned count, enum operation operation)
{
    struct ant_message message;
    for (unsigned i = 0; i < count; i++)
        expect_ok(ant_send(ready(kit, i, operation, NULL)));
    for (unsigned i = 0; i < count; i++)
        expect(ant_receive(&message, ANT_FOREVER) == 0 && message.kind == ANT_RESULT);
}

static void send(struct kit *kit)
{
    send_and_receive(kit, 1, ANSWER);
}

static void send_many(struct kit *kit)
{
    send_and_receive(kit, OUTSTANDING, ANSWER);
}

static void send_two(struct kit *kit)
{
    send_and_receive(kit, 2, POSTPONE);
}

static void call_afresh(struct kit *kit)
{
    struct ant_request *rq;
    void *data;
    expect_ok(ant_request_new(kit->function, &rq));
    expect_ok(ant_ica_alloc(DATA_PAGES, &data));
    rq->data = data;
    expect_ok(ant_call(rq, ANT_FOREVER));
    expect_ok(ant_ica_free(rq->data));
    expect_ok(ant_request_free(rq));
}

struct style {
    const char *name;
    void (*round)(struct kit *kit);
    unsigned requests; /* a round */
};

static const struct style styles[] = {
    {"a call", call, 1},
    {"a call with data", call_with_data, 1},
    {"a call answered with other data", call_and_trade, 1},
    {"a request sent, its result received", send, 1},
    {"many sent, then their results received", send_many, OUTSTANDING},
    {"two sent, answered in the other order", send_two, 2},
    {"a call with a new request and new data", call_afresh, 1},
};
#define STYLES (sizeof styles / sizeof *styles)

static const struct style trespassing = {"a call of a trespasser", call_a_trespasser, 1};

/* A failure that lets the test go on, to the other styles and to its end. */
static __attribute__((format(printf, 2, 3))) void blame(const struct style *style, const char *format, ...)
{
    char text[256];
    int length = snprintf(text, sizeof text, "%s: ", style->name);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
    va_end(arguments);
    expect_condition(false, text, __FILE__, __LINE__);
}

static void exchange(struct kit *kit, const struct style *style, unsigned requests)
{
    for (unsigned done = 0; done < requests; done += style->requests)
        style->round(kit);
}

/* What a process does for the first time (pages of a pool that nobody has used, stacks) is not the path of a request. */
static void warm_up(struct kit *kit, const struct style *style)
{
    exchange(kit, style, 2 * OUTSTANDING);
}

/* ---- pairs: a server, and a client that does in its own process what it is told ---- */

static struct pair {
    unsigned number;
    ant_pid client;
    const struct style *style; /* NULL: that was all */
    bool warm;
    sem_t go, done;
} pairs[PAIRS];

static void await(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        ;
}

/* Not longer than SOON. */
static bool await_soon(sem_t *semaphore)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(SOON / (int64_t)ANT_NS_PER_S);
    int rc;
    do
        rc = sem_timedwait(semaphore, &until);
    while (rc != 0 && errno == EINTR);
    return rc == 0;
}

static int client(void *arg)
{
    struct pair *pair = arg;
    struct kit kit;
    thread_number = 2 * pair->number;
    kit_take(&kit, FN + pair->number);
    for (;;) {
        await(&pair->go);
        if (!pair->style)
            break;
        if (pair->warm)
            exchange(&kit, pair->style, REQUESTS);
        else
            warm_up(&kit, pair->style);
        sem_post(&pair->done);
    }
    kit_give(&kit);
    return 0;
}

/* No trace: an event of it tells the time, and not every host tells that without a system call. */
static void boot(void)
{
    struct ant_config config = fixture_config();
    config.trace_events = 0;
    fixture_boot(&config);
}

static void serve_pair(unsigned number)
{
    serve(FN + number, &program, &(struct ant_server_options){.priority = FIXTURE_PRIORITY + 1});
}

static void pair_begin(unsigned number)
{
    struct pair *pair = &pairs[number];
    serve_pair(number);
    pair->number = number;
    sem_init(&pair->go, 0, 0);
    sem_init(&pair->done, 0, 0);
    pair->client = spawn("client", 0, client, pair);
}

static void pair_go(struct pair *pair, const struct style *style, bool warm)
{
    pair->style = style;
    pair->warm = warm;
    sem_post(&pair->go);
}

static void pair_warm_up(struct pair *pair, const struct style *style)
{
    pair_go(pair, style, false);
    await(&pair->done);
}

static void pair_end(struct pair *pair)
{
    pair_go(pair, NULL, false);
    join(pair->client);
    sem_destroy(&pair->go);
    sem_destroy(&pair->done);
}

/* ---- system calls ---- */

static struct {
    unsigned waits, wakes, others;
    long other;     /* one of them */
} seen[STYLES + 1]; /* sections 1 to STYLES, and that of the trespasser */

/*
 * To wait for an endpoint's lock, and to wake who waits for it, is allowed too: the two who meet there deal with each other. How often that happens on two CPUs
 * is chance.
 */
static bool is_wait(const struct child_call *call, bool *wake)
{
    if (call->number != SYS_futex)
        return false;
    int operation = (int)call->arguments[1] & FUTEX_CMD_MASK;
    *wake = operation == FUTEX_WAKE || operation == FUTEX_UNLOCK_PI;
    if (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET || operation == FUTEX_WAKE)
        return true;
    return (operation == FUTEX_LOCK_PI || operation == FUTEX_UNLOCK_PI) &&
           call->arguments[0] >= told->endpoints_from && call->arguments[0] < told->endpoints_to;
}

/* liburcu's own thread, which frees what was removed before, and has no part in a request, is left out. */
static void see(void *context, const struct child_call *call)
{
    (void)context;
    unsigned section = call->section - 1;
    bool wake;
    if (call->thread != told->client && call->thread != told->server)
        return;
    if (!is_wait(call, &wake)) {
        seen[section].others++;
        seen[section].other = call->number;
    } else if (wake) {
        seen[section].wakes++;
    } else {
        seen[section].waits++;
    }
}

static void exchange_in_sections(void *arg)
{
    (void)arg;
    struct kit kit;
    boot();
    struct antk_core *core = antk_self->core;
    *told = (struct told){.endpoints_from = (uintptr_t)core->endpoints,
                          .endpoints_to = (uintptr_t)(core->endpoints + core->config.max_processes),
                          .client = gettid()};
    serve_pair(0);
    kit_take(&kit, FN);
    for (unsigned i = 0; i <= STYLES; i++) {
        const struct style *style = i < STYLES ? &styles[i] : &trespassing;
        warm_up(&kit, style);
        child_section(i + 1);
        exchange(&kit, style, REQUESTS);
        child_section(0);
    }
    kit_give(&kit);
    fixture_shutdown();
}

static void no_system_call_but_to_wait_and_to_wake(void **state)
{
    (void)state;
    if (SANITIZED) {
        print_message("skipped: sanitizers make system calls of their own\n");
        skip();
    }
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(told != MAP_FAILED);
    struct child child;
    if (!child_run_traced(&child, exchange_in_sections, NULL, see, NULL)) {
        print_message("skipped: ptrace is not permitted here\n");
        skip();
    }
    child_assert_success(&child);
    munmap(told, sizeof *told);
    told = NULL;
    for (unsigned i = 0; i < STYLES; i++) {
        print_message("%s: %.2f waits, %.2f wakes\n", styles[i].name,
                      (double)seen[i].waits / REQUESTS, (double)seen[i].wakes / REQUESTS);
        if (seen[i].others > 0)
            blame(&styles[i], "%u other system calls, number %ld among them", seen[i].others,
                  seen[i].other);
    }
    expect(seen[STYLES].others == REQUESTS && seen[STYLES].other == SYS_getppid);
}

/* ---- memory ---- */

#if COUNTED
static unsigned count_allocations(const struct style *style)
{
    pair_warm_up(&pairs[0], style);
    atomic_store(&allocations, 0);
    atomic_store(&allocations_count, true);
    pair_go(&pairs[0], style, true);
    await(&pairs[0].done);
    atomic_store(&allocations_count, false);
    return atomic_load(&allocations);
}
#endif

static void no_memory_is_allocated(void **state)
{
    (void)state;
#if COUNTED
    boot();
    pair_begin(0);
    for (unsigned i = 0; i < STYLES; i++) {
        unsigned count = count_allocations(&styles[i]);
        if (count > 0)
            blame(&styles[i], "memory was taken or given back %u times", count);
    }
    expect(count_allocations(&trespassing) == 2 * REQUESTS);
    pair_end(&pairs[0]);
#else
    skip();
#endif
}

/* ---- locks ---- */

#if COUNTED
static void note_locks(const struct style *style)
{
    for (unsigned p = 0; p < PAIRS; p++)
        pair_warm_up(&pairs[p], style);
    for (unsigned t = 0; t < THREADS; t++)
        atomic_store(&taken[t].count, 0);
    atomic_store(&locks_noted, true);
    for (unsigned p = 0; p < PAIRS; p++)
        pair_go(&pairs[p], style, true);
    for (unsigned p = 0; p < PAIRS; p++)
        await(&pairs[p].done);
    atomic_store(&locks_noted, false);
}

static bool both_took(const void *lock)
{
    return (took(0, lock) || took(1, lock)) && (took(2, lock) || took(3, lock));
}

/* NULL: there is none. */
static const void *common_lock(void)
{
    for (unsigned t = 0; t < THREADS; t++)
        for (unsigned i = 0; i < atomic_load(&taken[t].count); i++)
            if (both_took(taken[t].locks[i]))
                return taken[t].locks[i];
    return NULL;
}
#endif

static void unrelated_pairs_take_no_lock_in_common(void **state)
{
    (void)state;
#if COUNTED
    static_assert(PAIRS == 2, "both_took");
    boot();
    struct antk_core *core = antk_self->core;
    for (unsigned p = 0; p < PAIRS; p++)
        pair_begin(p);
    wrap_lock_seen(note_lock);
    for (unsigned i = 0; i < STYLES; i++) {
        note_locks(&styles[i]);
        const void *lock = common_lock();
        if (lock)
            blame(&styles[i], "both pairs took the lock at %p; the core is at %p", lock, (void *)core);
    }
    note_locks(&trespassing);
    expect(both_took(&common) && both_took(&core->pool_lock));
    wrap_lock_seen(NULL);
    for (unsigned p = 0; p < PAIRS; p++)
        pair_end(&pairs[p]);
#else
    skip();
#endif
}

/* Another process, this one, has been interrupted in the middle of something. */
static bool passes_while_kept(struct antk_lock *lock, const struct style *style)
{
    struct pair *pair = &pairs[0];
    pair_warm_up(pair, style);
    antk_lock(lock);
    pair_go(pair, style, true);
    bool passed = await_soon(&pair->done);
    antk_unlock(lock);
    if (!passed)
        await(&pair->done);
    return passed;
}

static void requests_pass_while_another_process_keeps_a_lock_of_the_core(void **state)
{
    (void)state;
    boot();
    struct antk_core *core = antk_self->core;
    struct {
        const char *name;
        struct antk_lock *lock;
    } locks[] = {
        {"lock", &core->lock}, {"pool_lock", &core->pool_lock}, {"sweep_lock", &core->sweep_lock}};
    pair_begin(0);
    for (unsigned i = 0; i < sizeof locks / sizeof *locks; i++) {
        bool passed = true;
        for (unsigned s = 0; passed && s < STYLES; s++) {
            passed = passes_while_kept(locks[i].lock, &styles[s]);
            if (!passed)
                blame(&styles[s], "waits for the core's %s", locks[i].name);
        }
    }
    pair_end(&pairs[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_system_call_but_to_wait_and_to_wake, fixture_no_core,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(no_memory_is_allocated, fixture_no_core, fixture_teardown),
        cmocka_unit_test_setup_teardown(unrelated_pairs_take_no_lock_in_common, fixture_no_core,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(requests_pass_while_another_process_keeps_a_lock_of_the_core,
                                        fixture_no_core, fixture_teardown),
    };
    return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
