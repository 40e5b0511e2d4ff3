/*
 * A run of the small model that follows from two numbers; see stress_seed.h.
 *
 * The audit looks at the trace alone, and knows nothing of the clients' ledgers or the server's state: every request
 * that was sent is received at most once and has one result or one withdrawal, in that order (promise 1); the server
 * receives each client's requests for a function in the order sent (promise 2).
 */
#include "stress_seed.h"

#include <errno.h>
#include <unistd.h>

#define EVENTS 65536u
#define ENTRIES                                                                                    \
    16384u /* of the audit's table; a power of two, at least twice the requests of a run */

/* --- The audit ------------------------------------------------------------------------------------------------------- */

/* What the trace says of the request with this cookie. */
struct entry {
    uint64_t cookie; /* 0: free */
    uint8_t sent, received, replied, results, cancelled;
};

static struct entry entries[ENTRIES];
static struct ant_event events[EVENTS];

static struct entry *entry_of(uint64_t cookie)
{
    size_t at = stress_mix(cookie) % ENTRIES;

    while (entries[at].cookie != 0 && entries[at].cookie != cookie) {
        at = (at + 1) % ENTRIES;
    }
    entries[at].cookie = cookie;
    return &entries[at];
}

/* The order in which the server receives: by client and function, from the cookie. */
static void audit_order(uint64_t cookie, uint64_t latest[MODEL_CLIENTS_MAX][MODEL_FUNCTIONS])
{
    uint64_t *last =
        &latest[model_cookie_client(cookie) % MODEL_CLIENTS_MAX][(cookie >> 40) % MODEL_FUNCTIONS];

    STRESS_CHECK(model_cookie_sequence(cookie) > *last,
                 "trace: %" PRIx64 " received after number %" PRIu64, cookie, *last);
    *last = model_cookie_sequence(cookie);
}

static void audit_event(const struct ant_event *event, uint64_t latest[MODEL_CLIENTS_MAX][MODEL_FUNCTIONS])
{
    uint64_t cookie = (uint64_t)event->b;
    bool request = event->kind == ANT_EVENT_SEND || event->kind == ANT_EVENT_RECEIVE ||
                   event->kind == ANT_EVENT_REPLY || event->kind == ANT_EVENT_RESULT ||
                   event->kind == ANT_EVENT_CANCEL;

    if (!request || cookie == 0) {
        return; /* the test's own requests have the cookie 0 */
    }
    struct entry *it = entry_of(cookie);
    switch (event->kind) {
    case ANT_EVENT_SEND:
        it->sent++;
        break;
    case ANT_EVENT_RECEIVE:
        STRESS_CHECK(it->sent == 1 && it->received == 0 && it->cancelled == 0,
                     "trace: %" PRIx64 " received (sent %u)", cookie, it->sent);
        it->received++;
        if ((cookie & (MODEL_SWALLOWED | MODEL_ERRAND)) == 0) {
            audit_order(cookie, latest);
        }
        break;
    case ANT_EVENT_REPLY:
        STRESS_CHECK(it->received == 1 && it->replied == 0,
                     "trace: %" PRIx64 " replied (received %u)", cookie, it->received);
        it->replied++;
        break;
    case ANT_EVENT_RESULT:
        STRESS_CHECK(it->sent == 1 && it->replied == it->received,
                     "trace: %" PRIx64 " has its result (sent %u, replied %u)", cookie, it->sent,
                     it->replied);
        it->results++;
        break;
    default:
        STRESS_CHECK(it->sent == 1 && it->received == 0,
                     "trace: %" PRIx64 " withdrawn (sent %u, received %u)", cookie, it->sent,
                     it->received);
        it->cancelled++;
        break;
    }
}

/* Promises 1 and 2, from the trace. -> how many requests it tells of. */
static uint64_t audit_trace(size_t count)
{
    static uint64_t latest[MODEL_CLIENTS_MAX][MODEL_FUNCTIONS];
    uint64_t requests = 0;

    memset(entries, 0, sizeof entries);
    memset(latest, 0, sizeof latest);
    for (size_t i = 0; i < count; i++) {
        STRESS_CHECK(events[i].number == i, "trace: event %" PRIu64 " as number %zu",
                     events[i].number, i);
        STRESS_CHECK(i == 0 || events[i].time_ns >= events[i - 1].time_ns,
                     "trace: event %zu goes back in time", i);
        audit_event(&events[i], latest);
    }
    for (size_t i = 0; i < ENTRIES; i++) {
        const struct entry *it = &entries[i];
        if (it->cookie == 0) {
            continue;
        }
        bool swallowed = (it->cookie & MODEL_SWALLOWED) != 0;
        uint32_t ends = it->results + it->cancelled;
        STRESS_CHECK(it->sent == 1 && (swallowed ? ends <= 1 : ends == 1),
                     "trace: %" PRIx64 " sent %u, received %u, replied %u, results %u, withdrawn %u",
                     it->cookie, it->sent, it->received, it->replied, it->results, it->cancelled);
        requests += (it->cookie & (MODEL_SWALLOWED | MODEL_ERRAND)) == 0;
    }
    return requests;
}

/* FNV-1a of what a file holds. */
static uint64_t hash_file(int fd)
{
    static unsigned char bytes[65536];
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    off_t at = 0;

    for (ssize_t got; (got = pread(fd, bytes, sizeof bytes, at)) > 0; at += got) {
        for (ssize_t i = 0; i < got; i++) {
            hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
        }
    }
    return hash;
}

/* --- What is done to the model ---------------------------------------------------------------------------------------- */

static struct model_config draw_config(uint64_t seed, uint64_t *random, bool probes)
{
    return (struct model_config){
        .clients = 2 + stress_below(random, 4),
        .outstanding = 1 + stress_below(random, 6),
        .requests = 30 + stress_below(random, 60),
        .pages_max = stress_below(random, 6),
        .work_ns = 1 + stress_below(random, 20000),
        .wait_ns = 1 + stress_below(random, 200000),
        .withdraw = seed % 2 == 0,
        .short_of_memory = seed % 4 == 1,
        .rests = true,
        .probes = probes,
        .seed = seed,
    };
}

/* One swap: good, broken, or good with deadlines that may be too short. */
static void swap_once(uint64_t *random, uint32_t *version, uint32_t *generation,
                      struct seed_outcome *outcome, bool exhaust)
{
    struct ant_swap_options options = {0};
    struct ant_swap_report report = {0};
    struct model_swaps counted = {0};
    uint32_t draw = stress_below(random, 100),
             to = (*version + 1 + stress_below(random, MODEL_PROGRAMS)) % MODEL_PROGRAMS;
    int error, expected = 0;
    bool abandoned = false;

    if (draw < 35) {
        enum model_fault fault = stress_below(random, MODEL_FAULTS);
        if (fault == MODEL_START_EXHAUSTS && !exhaust) {
            fault = MODEL_START_ERROR;
        }
        const struct ant_program *program = model_faulty(fault, *version, &expected, &abandoned);
        options.start_timeout_ns = 1000000;
        error = ant_swap(MODEL_STORE, program, &options, &report);
        STRESS_CHECK(error == expected || error == -ETIMEDOUT, "%s: %s", model_fault_name(fault),
                     ant_strerror(error));
    } else {
        if (draw < 55) {
            options.quiesce_timeout_ns = 1 + (int64_t)stress_below(random, 20000);
            expected = -ETIMEDOUT;
        }
        error = model_swap(to, &options, &report);
        STRESS_CHECK(error == 0 || error == expected || (error == -ENOMEM && exhaust),
                     "swap: %s in step %s", ant_strerror(error), ant_swap_step_name(report.step));
    }
    if (error == 0) {
        *version = to;
        ++*generation;
        outcome->swaps++;
        model_check_report(&report, &counted);
    } else {
        outcome->rollbacks++;
        STRESS_CHECK(report.step < ANT_SWAP_HAND_OVER && report.error == error,
                     "rolled back in step %d: %s", (int)report.step, ant_strerror(report.error));
    }
    STRESS_CHECK(report.generation == *generation, "generation %u, not %u", report.generation,
                 *generation);
}

/* Servers that hang hold on to their pages until they wake, 30 ms later at most. */
static void outlast_the_abandoned(void)
{
    STRESS_OK(ant_sleep(ant_now() + 200 * ANT_NS_PER_MS));
}

void seed_run(uint64_t model_seed, uint64_t order, int trace_fd, struct seed_outcome *outcome)
{
    const struct ant_config config = {
        .machine = ANT_MACHINE_VIRTUAL,
        .log = ANT_LOG_ERROR,
        .pool_bytes = 4 << 20,
        .max_processes = 48,
        .stack_bytes = 256 << 10,
        .seed = order,
        .trace_events = EVENTS,
    };
    uint64_t random = stress_mix(model_seed);
    uint32_t version = 0, generation = 1;
    struct ant_shutdown_report left;
    struct ant_info info = {0};
    size_t count = 0;

    memset(outcome, 0, sizeof *outcome);
    int error = ant_boot(&config);
    if (error == -ENOTSUP) { /* a mover that this kernel does not have */
        exit(77);
    }
    if (!STRESS_CHECK(error == 0, "ant_boot: %s", ant_strerror(error))) {
        return;
    }
    STRESS_OK(ant_info(&info));
    struct model_config model = draw_config(model_seed, &random, info.mover != ANT_MOVER_FLAT);
    uint32_t swaps = 4 + stress_below(&random, 10);
    model_open(&model, version);
    model_start();
    for (uint32_t i = 0; i < swaps; i++) {
        STRESS_OK(ant_sleep(ant_now() + stress_below(&random, 3 * model.wait_ns)));
        swap_once(&random, &version, &generation, outcome, model.short_of_memory);
    }
    model_join();
    outlast_the_abandoned();
    model_quiet_pages();
    outcome->ledger = model_sum();
    model_close();

    STRESS_OK(ant_trace_read(events, EVENTS, &count));
    outcome->events = count;
    uint64_t requests = audit_trace(count);
    STRESS_CHECK(requests == outcome->ledger.sent,
                 "the trace tells of %" PRIu64 " requests, the clients of %" PRIu64, requests,
                 outcome->ledger.sent);
    STRESS_OK(ant_trace_write(trace_fd));
    outcome->hash = hash_file(trace_fd);
    error = ant_shutdown(&left);
    STRESS_CHECK(error == 0 && left.processes_asked == 0 && left.processes_abandoned == 0 &&
                     left.areas_held == 0 && left.requests_unanswered == 0,
                 "ant_shutdown: %s, left over: %u processes, %u abandoned, %u areas, %u requests",
                 ant_strerror(error), left.processes_asked, left.processes_abandoned,
                 left.areas_held, left.requests_unanswered);
}
