/*
 * Faults: where they strike, and how.
 *
 * A role says before and after each of its core calls that it makes it. The faults of the plan that are meant for that call
 * count, and strike when their turn has come: on the spot, or later, by the reaper, so that they meet whatever a swap is at then.
 */
#include "run.h"

#include <stdlib.h>

/* What a role holds of the pool while it is exhausted; until after the call. */
static _Thread_local struct hog {
    void *areas[64];
    uint32_t count;
} hog;

/* ---- whose thread it is ---- */

static _Thread_local int lent; /* the highest priority of those who call on this thread; 0: nobody does */

int call_and_lend(struct ant_request *rq, int64_t timeout_ns, int priority)
{
    struct hog own = hog;
    int before = lent;
    hog.count = 0;
    lent = priority > before ? priority : before;
    int rc = ant_call(rq, timeout_ns);
    hog = own;
    lent = before;
    return rc;
}

bool is_lent(void)
{
    return lent != 0;
}

int lent_priority(void)
{
    return lent;
}

/* ---- an exhausted pool ---- */

static void hog_take(void)
{
    struct ant_ica_stats stats;
    while (hog.count < 64 && ant_ica_stats(&stats) == 0 && stats.largest_free_run > 0)
        if (ant_ica_alloc(stats.largest_free_run, &hog.areas[hog.count]) == 0)
            hog.count++;
        else
            break; /* another fault lay in wait */
}

void hog_free(void)
{
    while (hog.count > 0)
        ant_ica_free(hog.areas[--hog.count]);
}

/* ---- the record of a strike ---- */

static struct history_record *record_strike(enum history_fault fault, enum history_party party,
                                            uint32_t victim)
{
    struct history_record *record = record_add(HISTORY_STRIKE, 0);
    record->strike = (struct history_strike){run.strikes++, fault, party, victim};
    return record;
}

static enum history_party party_of(enum role role)
{
    static const enum history_party parties[ROLES] = {
        [ROLE_CLIENT] = HISTORY_CLIENT,     [ROLE_PLAIN] = HISTORY_SERVER,
        [ROLE_ASKING] = HISTORY_SERVER,     [ROLE_DRIVER] = HISTORY_DRIVER,
        [ROLE_NEW] = HISTORY_NEW_SERVER,    [ROLE_REPLACER] = HISTORY_REPLACER,
        [ROLE_SWAPPER] = HISTORY_REQUESTER,
    };
    return parties[role];
}

/* ---- crashes ---- */

#if defined(__SANITIZE_ADDRESS__)
#define NO_CHECKS __attribute__((noinline, no_sanitize("address", "undefined")))
#else
#define NO_CHECKS __attribute__((noinline))
#endif

static volatile uintptr_t nowhere = 8;
static volatile int zero;

#ifndef __SANITIZE_ADDRESS__ /* its frames are larger, and its own checks come first */
/* Deep, but not for ever as the compiler sees it. */
NO_CHECKS static int overflow(volatile char *above, uint64_t depth)
{
    volatile char room[4096];
    room[0] = above ? above[0] : 1;
    return depth == 0 ? 0 : overflow(room, depth - 1) + room[0];
}
#endif

NO_CHECKS static void crash(uint32_t how)
{
    switch ((enum crash)(how % CRASHES)) {
    case CRASH_NULL_WRITE:
        *(volatile int *)nowhere = 1;
        break;
    case CRASH_WILD_READ:
        zero = *(volatile int *)(nowhere << 20);
        break;
    case CRASH_DIVISION:
        zero = 1 / zero;
        break;
    case CRASH_TRAP:
        __builtin_trap();
    case CRASH_STACK:
#ifndef __SANITIZE_ADDRESS__
        zero = overflow(NULL, UINT64_MAX);
        break;
#endif
    case CRASH_ABORT:
    case CRASHES:
        abort();
    }
}

/* ---- faults of the host ---- */

static void lay(enum wrap_kind kind, uint32_t amount, enum history_fault fault)
{
    static const int move_errors[] = {0, EAGAIN, EBUSY};
    struct laid *laid = &run.laid[kind];
    faults_look();
    if (laid->waiting)
        return;
    uint32_t strike = record_strike(fault, HISTORY_PARTIES, 0)->strike.number;
    *laid = (struct laid){true, strike, wrap_failed(kind)};
    wrap_move_error(move_errors[amount % 3]);
    wrap_fail(kind, 1 + amount % 4, false);
}

void faults_look(void)
{
    for (int kind = 0; kind < WRAP_KINDS; kind++)
        if (run.laid[kind].waiting && wrap_failed((enum wrap_kind)kind) != run.laid[kind].failed_before) {
            run.laid[kind].waiting = false;
            record_add(HISTORY_HIT, 0)->strike.number = run.laid[kind].strike;
        }
}

void faults_heal(void)
{
    faults_look();
    wrap_reset();
    for (int kind = 0; kind < WRAP_KINDS; kind++)
        run.laid[kind].waiting = false;
}

/* ---- deaths ---- */

static ant_pid pid_of(enum history_party party, uint32_t victim)
{
    switch (party) {
    case HISTORY_CLIENT:
        return run.clients[victim];
    case HISTORY_SERVER:
        return run.servers[victim];
    case HISTORY_DRIVER:
        return run.servers[DRIVER];
    case HISTORY_REQUESTER:
        return run.swapper;
    case HISTORY_REPLACER:
        return run.replacer;
    default:
        return 0;
    }
}

static void end_party(const struct fault *f, uint32_t function)
{
    struct ant_process_info info;
    uint32_t victim = f->party == HISTORY_SERVER && function < FUNCTIONS ? function : f->victim;
    ant_pid pid = pid_of(f->party, victim);
    if (ant_process_info(pid, &info) != 0 || (info.dead && f->kind == HISTORY_KILL))
        return;
    if (f->kind == HISTORY_STOP && pid == ant_self())
        return;
    struct history_record *record = record_strike(f->kind, f->party, victim);
    int rc = f->kind == HISTORY_KILL ? ant_kill(pid) : ant_stop(pid, 0, NULL);
    if (rc == -ESRCH) /* it is dying already */
        record->strike.fault = HISTORY_FAULTS;
    else if (rc != 0 && !(f->kind == HISTORY_STOP && (rc == -ETIMEDOUT || rc == -ESHUTDOWN)))
        record_call(f->kind == HISTORY_KILL ? "ant_kill" : "ant_stop", rc);
}

static void cancel(uint32_t function)
{
    if (function < FUNCTIONS && ant_swap_cancel(FUNCTION_ID(function)) == 0)
        record_strike(HISTORY_CANCEL, HISTORY_PARTIES, function);
}

static void put_off(const struct fault *f, uint32_t function)
{
    if (run.due_count < RUN_DUE)
        run.due[run.due_count++] = (struct due){ant_now() + f->delay_ns, f, function};
}

uint64_t faults_next_ns(void)
{
    uint64_t next_ns = UINT64_MAX;
    for (uint32_t i = 0; i < run.due_count; i++)
        if (run.due[i].time_ns < next_ns)
            next_ns = run.due[i].time_ns;
    return next_ns;
}

void faults_due(void)
{
    for (uint32_t i = 0; i < run.due_count;) {
        struct due due = run.due[i];
        if (due.time_ns > ant_now()) {
            i++;
            continue;
        }
        run.due[i] = run.due[--run.due_count];
        if (!run.live)
            continue;
        if (due.fault->kind == HISTORY_CANCEL)
            cancel(due.function);
        else
            end_party(due.fault, due.function);
    }
}

/* ---- where they strike ---- */

static void hang(const struct fault *f)
{
    if (f->amount % 2 == 0)
        ant_sleep(ant_now() + 1000 * ANT_NS_PER_S);
    else
        ant_work(1000 * ANT_NS_PER_S);
}

static void strike(const struct fault *f, uint32_t who)
{
    switch (f->kind) {
    case HISTORY_EXIT:
        record_strike(f->kind, party_of(f->role), who);
        ant_exit(7);
        break;
    case HISTORY_CRASH:
        record_strike(f->kind, party_of(f->role), who);
        if (run.contained)
            crash(f->amount);
        else
            ant_kill(ant_self());
        break;
    case HISTORY_HANG:
        record_strike(f->kind, party_of(f->role), who);
        hang(f);
        break;
    case HISTORY_ALLOCATION:
        lay(WRAP_ALLOCATION, f->amount, f->kind);
        break;
    case HISTORY_MAPPING:
        lay(WRAP_MAPPING, f->amount, f->kind);
        break;
    case HISTORY_MOVE:
        lay(WRAP_MOVE, f->amount, f->kind);
        break;
    case HISTORY_THREAD:
        lay(WRAP_THREAD, f->amount % 2, f->kind);
        break;
    case HISTORY_POOL:
        record_strike(f->kind, HISTORY_PARTIES, 0);
        hog_take();
        break;
    case HISTORY_KILL:
    case HISTORY_STOP:
    case HISTORY_CANCEL:
        if (f->delay_ns > 0)
            put_off(f, who);
        else
            end_party(f, FUNCTIONS);
        break;
    default:
        break; /* their role carries them out: fault_here */
    }
}

static bool by_role(enum history_fault kind)
{
    return kind == HISTORY_START_ERROR || kind == HISTORY_TRANSFORM_ERROR ||
           kind == HISTORY_LATE_REPLY || kind == HISTORY_DOUBLE_REPLY;
}

/* Has its turn come? Then it is used up. */
static bool its_turn(uint32_t i, enum role role, enum call call)
{
    const struct fault *f = &run.plan->faults[i];
    if (run.struck[i] || f->role != role || f->call != call || ++run.seen[i] < f->occurrence)
        return false;
    run.struck[i] = true;
    return true;
}

static void pass(enum role role, enum call call, uint32_t who, bool after_it)
{
    faults_look();
    if (after_it)
        hog_free();
    for (uint32_t i = 0; run.live && i < run.plan->fault_count; i++) {
        const struct fault *f = &run.plan->faults[i];
        if (f->after == after_it && !by_role(f->kind) && its_turn(i, role, call))
            strike(f, who);
    }
}

void before(enum role role, enum call call, uint32_t who)
{
    pass(role, call, who, false);
}

void after(enum role role, enum call call, uint32_t who)
{
    pass(role, call, who, true);
}

const struct fault *fault_here(enum role role, enum call call, enum history_fault kind)
{
    for (uint32_t i = 0; run.live && i < run.plan->fault_count; i++)
        if (run.plan->faults[i].kind == kind && its_turn(i, role, call)) {
            record_strike(kind, HISTORY_PARTIES, 0);
            return &run.plan->faults[i];
        }
    return NULL;
}
