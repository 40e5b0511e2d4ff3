/*
 * How one's own code fails: it crashes, hangs, ends, kills itself; and new servers whose start does, all of which must be rolled back.
 */
#include "torture.h"

#include <poll.h>

#define TURNS_MAX 20000000u /* of a loop; about a twentieth of a second */
#define WAIT_MAX_MS 100u

/* --- Mishaps ---------------------------------------------------------------------------------------------------------------- */

void hang(bool computing)
{
    struct pollfd end = {.fd = round_now.pipe[0], .events = POLLIN};

    tally(T_HANGS);
    if (!computing || atomic_exchange(&round_now.computing, true)) {
        poll(&end, 1, (int)(round_draw() % WAIT_MAX_MS));
        return;
    }
    uint32_t turns = (uint32_t)(round_draw() % TURNS_MAX);
    for (volatile uint32_t i = 0; i < turns; i = i + 1) {
        if (i % 1024 == 0 && atomic_load_explicit(&round_now.over, memory_order_relaxed)) {
            break;
        }
    }
    atomic_store(&round_now.computing, false);
}

/* Nothing is touched meanwhile, and the core is called at once. */
static void hang_in_section(bool computing, _Atomic uint32_t *section)
{
    uint32_t opened = actor_open(section);

    hang(computing);
    actor_close(section, opened);
    ant_self();
    ant_sleep(0);
}

static void stand(_Atomic uint32_t *section)
{
    uint32_t opened = actor_open(section);

    ant_sleep(ant_now() + round_draw() % (5 * ANT_NS_PER_MS));
    actor_close(section, opened);
}

static void swap_itself(uint32_t function)
{
    int error = ant_swap(function, server_program(round_draw()), NULL, NULL);

    STRESS_CHECK(error != 0, "a server went on after it had swapped itself");
}

#define RAW __attribute__((noinline, no_sanitize("address", "undefined", "thread")))

RAW static void write_to(volatile uint64_t *nowhere)
{
    *nowhere = 1;
}

RAW static int divide(volatile int by)
{
    return 4711 / by;
}

RAW static uint64_t overflow(uint64_t depth)
{
    volatile uint64_t room[256];

    room[0] = depth;
    return depth == 0 ? 0 : overflow(depth - 1) + room[0];
}

/* An area that has left. Without strict windows nobody would notice. */
static void touch_stale(void)
{
    void *area;

    if (round_now.mover != ANT_MOVER_FLAT && ant_ica_alloc(1, &area) == 0) {
        ant_ica_free(area);
        write_to(area);
    }
    write_to((volatile uint64_t *)(uintptr_t)8);
}

static void crash(enum mishap mishap)
{
    switch (mishap) {
    case MISHAP_STALE:
        touch_stale();
        break;
    case MISHAP_DIVISION: /* not every processor minds */
        if (divide(0) == 0) {
            __builtin_trap();
        }
        break;
    case MISHAP_TRAP:
        __builtin_trap();
        break;
    case MISHAP_ABORT:
        abort();
    case MISHAP_OVERFLOW:
        overflow(UINT64_MAX);
        break;
    default:
        write_to((volatile uint64_t *)(uintptr_t)8);
    }
}

/* Before it happens: afterwards nobody can. */
static void count_mishap(enum mishap mishap, struct server *server)
{
    if (server != NULL && mishap == MISHAP_EXIT) {
        server_attempt(server, &server->ends);
        server_attempted(server);
    } else if (server != NULL && mishap > MISHAP_EXIT) {
        server_attempt(server, &server->deaths);
        server_attempted(server);
        tally(mishap == MISHAP_KILL ? T_KILLS_SERVER : T_CRASHES);
    }
}

void mishap_happens(enum mishap mishap, uint32_t function, _Atomic uint32_t *section)
{
    count_mishap(mishap, function != 0 ? server_of(function) : NULL);
    switch (mishap) {
    case MISHAP_SPIN:
    case MISHAP_WAIT:
        hang_in_section(mishap == MISHAP_SPIN, section);
        return;
    case MISHAP_SELF_SWAP:
        swap_itself(function);
        return;
    case MISHAP_STAND:
        stand(section);
        return;
    case MISHAP_EXIT:
        ant_exit(STATUS_STOPPED);
        break;
    case MISHAP_KILL:
        ant_kill(ant_self());
        break;
    default:
        crash(mishap);
    }
    STRESS_FAIL("a process survived mishap %d", (int)mishap);
}

/* --- New servers that fail ----------------------------------------------------------------------------------------------------- */

enum fault {
    FAULT_ERROR,
    FAULT_EXIT,
    FAULT_SLEEP,
    FAULT_WORK,
    FAULT_EXHAUST,
    FAULT_SPIN,
    FAULT_WAIT,
    FAULT_KILL,
    FAULT_TRANSFORM,
    FAULT_FATAL, /* from here on: only where faults are contained */
    FAULT_SEGV = FAULT_FATAL,
    FAULT_STALE,
    FAULT_ABORT,
    FAULT_OVERFLOW,
    FAULTS
};

/* What a new server may do before it fails, so that there is something to undo. */
static void leave_traces(void)
{
    void *area;
    struct ant_request *rq;

    if (ant_ica_alloc(2, &area) == 0) {
        memset(area, 0xee, 2 * ANT_PAGE_BYTES);
    }
    ant_function_add(FN_NOBODY + 1);
    for (int i = 0; i < 2 && ant_request_new(FN_DRIVER, &rq) == 0; i++) {
        *order_of(rq) = (struct order){.key = round_draw(), .pages = 1};
        rq->operation = OP_STORE;
        if (ant_ica_alloc(1, &rq->data) == 0) {
            model_fill(rq->data, 1, order_of(rq)->key);
        } else {
            order_of(rq)->pages = 0;
        }
        if (round_one_in(2)) {
            ant_send(rq);
        } else {
            ant_call(rq, (int64_t)(round_draw() % 300000));
        }
    }
}

static void take_every_page(void)
{
    void *area;

    for (size_t pages = 512; pages > 0; pages /= 2) {
        while (ant_ica_alloc(pages, &area) == 0) {
        }
    }
}

static int fail_start(struct ant_server *self, enum fault fault)
{
    _Atomic uint32_t section = 0; /* of a new server: nobody can have it in mind */

    switch (fault) {
    case FAULT_EXIT:
        ant_exit(3);
        break;
    case FAULT_SLEEP:
        ant_sleep(ant_now() + round_draw() % (20 * ANT_NS_PER_MS));
        break;
    case FAULT_WORK:
        ant_work(round_draw() % (10 * ANT_NS_PER_MS));
        break;
    case FAULT_EXHAUST:
        take_every_page();
        return -ENOMEM;
    case FAULT_SPIN:
    case FAULT_WAIT:
        hang_in_section(fault == FAULT_SPIN, &section);
        break;
    case FAULT_KILL:
        server_attempt(server_of(self->function), &server_of(self->function)->deaths);
        server_attempted(server_of(self->function));
        ant_kill(ant_self());
        break;
    case FAULT_SEGV:
    case FAULT_STALE:
    case FAULT_ABORT:
    case FAULT_OVERFLOW:
        tally(T_CRASHES);
        crash(fault == FAULT_SEGV    ? MISHAP_SEGV
              : fault == FAULT_STALE ? MISHAP_STALE
              : fault == FAULT_ABORT ? MISHAP_ABORT
                                     : MISHAP_OVERFLOW);
        break;
    case FAULT_ERROR:
    case FAULT_TRANSFORM:
    case FAULTS:
        break;
    }
    return -EIO;
}

static int faulty_start(struct ant_server *self)
{
    leave_traces();
    return fail_start(self, (enum fault)(self->program->version % 100));
}

static int faulty_transform(struct ant_server *self, const void *old_state, size_t old_bytes,
                            void **new_state)
{
    (void)self;
    (void)old_state;
    (void)old_bytes;
    leave_traces();
    return round_one_in(2) && ant_ica_alloc(2, new_state) != 0 ? -ENOMEM : -EBADMSG;
}

/* From every layout to every other, and, for layout 3, by one that fails. */
static const struct ant_transformer transformers[] = {{1, 2, server_transform},
                                                      {2, 1, server_transform},
                                                      {1, 3, faulty_transform},
                                                      {2, 3, faulty_transform}};

#define FAULTY(fault, layout)                                                                      \
    {                                                                                              \
        .abi = ANT_ABI, .version = 100 * (layout) + (fault), .state_version = (layout),            \
        .name = "faulty", .start = faulty_start, .request = serve_request, .result = serve_result, \
        .transformers = transformers, .transformer_count = 4                                       \
    }
#define FAULTY_IN_BOTH(fault) [fault] = {FAULTY(fault, 1), FAULTY(fault, 2)}

static const struct ant_program programs[FAULTS][2] = {
    FAULTY_IN_BOTH(FAULT_ERROR),
    FAULTY_IN_BOTH(FAULT_EXIT),
    FAULTY_IN_BOTH(FAULT_SLEEP),
    FAULTY_IN_BOTH(FAULT_WORK),
    FAULTY_IN_BOTH(FAULT_EXHAUST),
    FAULTY_IN_BOTH(FAULT_SPIN),
    FAULTY_IN_BOTH(FAULT_WAIT),
    FAULTY_IN_BOTH(FAULT_KILL),
    [FAULT_TRANSFORM] = {FAULTY(FAULT_TRANSFORM, 3), FAULTY(FAULT_TRANSFORM, 3)},
    FAULTY_IN_BOTH(FAULT_SEGV),
    FAULTY_IN_BOTH(FAULT_STALE),
    FAULTY_IN_BOTH(FAULT_ABORT),
    FAULTY_IN_BOTH(FAULT_OVERFLOW),
};

const struct ant_program *faulty_program(uint64_t which)
{
    uint64_t fault = which % (round_now.contain ? FAULTS : FAULT_FATAL);

    return &programs[fault][round_now.contain ? (which >> 32) % 2 : 0];
}
