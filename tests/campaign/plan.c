/* What is drawn for a run: its workload, its costs, its faults. */
#include "plan.h"

#include <string.h>

uint64_t plan_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t plan_draw(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return plan_mix(*state);
}

uint32_t plan_below(uint64_t *state, uint32_t below)
{
    return (uint32_t)(plan_draw(state) % below);
}

bool plan_once_in(uint64_t *state, uint32_t n)
{
    return plan_below(state, n) == 0;
}

/* ---- the workload ---- */

/* Each step takes a time of its own, so that whatever has a higher priority can strike at it. */
static void draw_costs(uint64_t *r, struct ant_costs *costs)
{
    bool dear = !plan_once_in(r, 4);
    for (int step = 1; step <= 12; step++)
        costs->step_ns[step] = dear ? 5000 + 500 * plan_below(r, 30) : 1000;
    costs->create_ns = 1000 * plan_below(r, 10);
    costs->remap_page_ns = plan_once_in(r, 3) ? 500 : 0;
    costs->switch_ns = plan_once_in(r, 4) ? 700 : 0;
}

static void draw_workload(uint64_t *r, struct plan *p)
{
    p->mover = plan_once_in(r, 2) ? ANT_MOVER_STRICT : ANT_MOVER_FLAT;
    draw_costs(r, &p->costs);
    p->clients = 1 + plan_below(r, 4);
    p->requests = 6 + plan_below(r, 14);
    p->swaps = 2 + plan_below(r, 5);
    for (uint32_t i = 0; i < PLAN_CLIENTS; i++)
        p->client_priority[i] = 5 + (int)plan_below(r, 30);
    for (int i = 0; i < 3; i++) {
        p->server_priority[i] = 10 + (int)plan_below(r, 20);
        p->fail_on_death[i] = plan_once_in(r, 4);
    }
    if (plan_once_in(r, 3)) /* equals */
        for (uint32_t i = 0; i < PLAN_CLIENTS + 3; i++)
            *(i < PLAN_CLIENTS ? &p->client_priority[i] : &p->server_priority[i - PLAN_CLIENTS]) = 20;
    p->replacer_priority = plan_once_in(r, 3) ? 8 : 40;
    p->swapper_priority = plan_once_in(r, 3) ? 9 : 38;
    p->tick_ns = 15000 + 1000 * plan_below(r, 40);
    p->queue_limit = plan_once_in(r, 6) ? 2 : 0;
    p->pool_pages_taken = plan_once_in(r, 4) ? 440 + plan_below(r, 40) : 0;
}

/* ---- the faults ---- */

#define MAY(role) (1u << (role))
#define SERVERS (MAY(ROLE_PLAIN) | MAY(ROLE_ASKING) | MAY(ROLE_DRIVER))
#define ALL (SERVERS | MAY(ROLE_CLIENT) | MAY(ROLE_NEW) | MAY(ROLE_REPLACER) | MAY(ROLE_SWAPPER))

/* Who is struck by which kind, and how often that is drawn. */
static const struct {
    uint32_t weight;
    uint32_t roles;
} kinds[HISTORY_FAULTS] = {
    [HISTORY_START_ERROR] = {6, MAY(ROLE_NEW)},
    [HISTORY_TRANSFORM_ERROR] = {3, MAY(ROLE_NEW)},
    [HISTORY_EXIT] = {4, ALL},
    [HISTORY_CRASH] = {14, ALL},
    [HISTORY_HANG] = {6, SERVERS | MAY(ROLE_NEW)},
    [HISTORY_ALLOCATION] = {6, ALL},
    [HISTORY_MAPPING] = {6, ALL},
    [HISTORY_MOVE] = {8, ALL},
    [HISTORY_THREAD] = {4, MAY(ROLE_SWAPPER) | MAY(ROLE_REPLACER)},
    [HISTORY_POOL] = {6, ALL},
    [HISTORY_KILL] = {24, ALL},
    [HISTORY_STOP] = {4, ALL},
    [HISTORY_CANCEL] = {6, MAY(ROLE_SWAPPER)},
    [HISTORY_LATE_REPLY] = {4, MAY(ROLE_DRIVER)},
    [HISTORY_DOUBLE_REPLY] = {4, MAY(ROLE_DRIVER)},
};

/* The core calls that a role makes. */
static const struct {
    uint32_t count;
    enum call calls[12];
} calls_of[ROLES] = {
    [ROLE_CLIENT] = {9,
                     {CALL_REQUEST_NEW, CALL_REQUEST_FREE, CALL_ALLOC, CALL_FREE, CALL_SEND,
                      CALL_CALL, CALL_RECEIVE, CALL_CANCEL, CALL_WORK}},
    [ROLE_PLAIN] = {4, {CALL_WORK, CALL_REPLY, CALL_ALLOC, CALL_FREE}},
    [ROLE_ASKING] = {5, {CALL_WORK, CALL_REPLY, CALL_REQUEST_NEW, CALL_SEND, CALL_REQUEST_FREE}},
    [ROLE_DRIVER] = {3, {CALL_WORK, CALL_SLEEP, CALL_REPLY}},
    [ROLE_NEW] = {4, {CALL_WORK, CALL_ALLOC, CALL_STATE_SET, CALL_SEND}},
    [ROLE_REPLACER] = {5, {CALL_SWAP, CALL_RECEIVE, CALL_MONITOR, CALL_SERVE, CALL_INFO}},
    [ROLE_SWAPPER] = {3, {CALL_SWAP, CALL_SLEEP, CALL_SWAP}},
};

static enum history_fault draw_kind(uint64_t *r)
{
    uint32_t sum = 0;
    for (uint32_t k = 0; k < HISTORY_FAULTS; k++)
        sum += kinds[k].weight;
    uint32_t at = plan_below(r, sum), k = 0;
    while (at >= kinds[k].weight)
        at -= kinds[k++].weight;
    return (enum history_fault)k;
}

static enum role draw_role(uint64_t *r, uint32_t roles)
{
    enum role role;
    do
        role = (enum role)plan_below(r, ROLES);
    while (!(roles & MAY(role)));
    return role;
}

static void draw_victim(uint64_t *r, const struct plan *p, struct fault *f)
{
    static const enum history_party parties[] = {HISTORY_CLIENT,    HISTORY_SERVER,
                                                 HISTORY_SERVER,    HISTORY_DRIVER,
                                                 HISTORY_REQUESTER, HISTORY_REPLACER};
    f->party = parties[plan_below(r, 6)];
    if (f->kind == HISTORY_STOP && (f->party == HISTORY_REQUESTER || f->party == HISTORY_REPLACER))
        f->party = HISTORY_CLIENT;
    f->victim = f->party == HISTORY_CLIENT ? plan_below(r, p->clients) : plan_below(r, 2);
}

static void draw_fault(uint64_t *r, const struct plan *p, struct fault *f)
{
    *f = (struct fault){.kind = draw_kind(r)};
    f->role = draw_role(r, kinds[f->kind].roles);
    f->call = calls_of[f->role].calls[plan_below(r, calls_of[f->role].count)];
    f->after = plan_once_in(r, 2);
    f->occurrence = 1 + plan_below(r, 1 + plan_below(r, 8));
    f->amount = plan_below(r, 1000);
    draw_victim(r, p, f);
    switch (f->kind) {
    case HISTORY_START_ERROR:
    case HISTORY_TRANSFORM_ERROR:
        f->call = CALL_WORK;
        f->after = false;
        break;
    case HISTORY_LATE_REPLY:
    case HISTORY_DOUBLE_REPLY:
        f->call = CALL_REPLY;
        f->after = f->kind == HISTORY_DOUBLE_REPLY;
        break;
    case HISTORY_CANCEL:
        f->call = CALL_SWAP;
        f->after = false;
        f->delay_ns = 1 + plan_below(r, 200000);
        break;
    case HISTORY_KILL:
    case HISTORY_STOP:
        if (plan_below(r, 3) != 0) { /* mostly while a swap goes on */
            f->role = plan_once_in(r, 5) ? ROLE_REPLACER : ROLE_SWAPPER;
            f->call = CALL_SWAP;
            f->after = false;
            f->delay_ns = 1 + plan_below(r, 250000);
        }
        break;
    case HISTORY_POOL:
        f->after = false; /* else it would be exhausted from one callback to the next */
        break;
    default:
        break;
    }
}

/* From numbers of its own: a run without them is as it was before there were any. */
static void draw_direct(uint64_t seed, struct plan *p)
{
    uint64_t r = plan_mix(~seed);
    p->direct = plan_once_in(&r, 2);
    p->plain_has_no_loop = p->direct && !plan_once_in(&r, 3);
    p->asks_and_waits = p->direct && plan_once_in(&r, 2);
}

void plan_make(uint64_t seed, struct plan *plan)
{
    uint64_t r = plan_mix(seed);
    memset(plan, 0, sizeof *plan);
    plan->seed = seed;
    draw_workload(&r, plan);
    draw_direct(seed, plan);
    plan->fault_count = 12 + plan_below(&r, PLAN_FAULTS - 12);
    for (uint32_t i = 0; i < plan->fault_count; i++)
        draw_fault(&r, plan, &plan->faults[i]);
}

/* ---- in words ---- */

const char *plan_fault_name(enum history_fault fault)
{
    static const char *const names[] = {"start error",
                                        "transformer error",
                                        "exit",
                                        "crash",
                                        "hang",
                                        "failed allocation",
                                        "failed mapping",
                                        "failed page move",
                                        "failed thread creation",
                                        "exhausted pool",
                                        "kill",
                                        "stop",
                                        "cancelled swap",
                                        "late reply",
                                        "doubled reply"};
    return names[fault];
}

const char *plan_party_name(enum history_party party)
{
    static const char *const names[] = {"client",     "server",    "driver",
                                        "new server", "requester", "replacer"};
    return names[party];
}

static const char *role_name(enum role role)
{
    static const char *const names[] = {"client",     "plain server", "asking server", "driver",
                                        "new server", "replacer",     "swapper"};
    return names[role];
}

static const char *call_name(enum call call)
{
    static const char *const names[] = {
        "any",  "request_new", "request_free", "ica_alloc", "ica_free", "send",
        "call", "receive",     "cancel",       "reply",     "work",     "sleep",
        "swap", "serve",       "monitor",      "info",      "state_set"};
    return names[call];
}

void plan_print(const struct plan *plan, FILE *out)
{
    fprintf(out, "seed %llu: mover %s, %u clients, %u requests each, %u swaps, %u faults%s%s%s\n",
            (unsigned long long)plan->seed, plan->mover == ANT_MOVER_FLAT ? "flat" : "strict",
            plan->clients, plan->requests, plan->swaps, plan->fault_count,
            plan->direct ? ", direct calls" : "",
            plan->plain_has_no_loop ? ", of the plain server, too" : "",
            plan->asks_and_waits ? ", within calls" : "");
    for (uint32_t i = 0; i < plan->fault_count; i++) {
        const struct fault *f = &plan->faults[i];
        fprintf(out, "  %-22s %s %s of the %s, occurrence %u", plan_fault_name(f->kind),
                f->after ? "after" : "before", call_name(f->call), role_name(f->role), f->occurrence);
        if (f->delay_ns > 0)
            fprintf(out, ", %u ns later", f->delay_ns);
        if (f->kind == HISTORY_KILL || f->kind == HISTORY_STOP)
            fprintf(out, ", of the %s (%u)", plan_party_name(f->party), f->victim);
        fprintf(out, ", amount %u\n", f->amount);
    }
}
