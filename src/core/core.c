/* A core's life: boot, information, shutdown. */
#include "core/core.h"
#include "core/config.h"
#include "core/contain.h"
#include "core/fault.h"
#include "core/function.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the tables ---- */

static void init_endpoints(struct antk_core *core)
{
    for (uint32_t i = 0; i < core->config.max_processes; i++) {
        struct antk_endpoint *ep = &core->endpoints[i];
        ep->core = core;
        ep->index = i;
        ep->window.id = i + 1;
        ep->closed = true;
        antk_lock_init(core->machine, &ep->lock);
        ep->free_next = i + 1 < core->config.max_processes ? ep + 1 : NULL;
    }
    core->free_endpoints = core->endpoints;
    core->free_endpoints_last = &core->endpoints[core->config.max_processes - 1];
}

static void init_bodies(struct antk_core *core)
{
    for (uint32_t i = core->body_count; i-- > 0;) {
        core->bodies[i].core = core;
        core->bodies[i].index = i;
        core->bodies[i].machine = core->machine;
        core->bodies[i].own_thread.machine = core->machine;
        atomic_store(&core->bodies[i].thread, &core->bodies[i].own_thread);
        core->bodies[i].next = core->free_bodies;
        core->free_bodies = &core->bodies[i];
    }
}

/* The tables whose entries are whole cache lines, or share one with their neighbours only: one piece of zeroed memory, which stays untouched until it is used. */
static void create_lines(struct antk_core *core)
{
    const size_t line = _Alignof(struct antk_record);
    size_t frames = antk_pool_pages(core->pool), processes = core->config.max_processes;
    core->lines = calloc(1, line + frames * (sizeof *core->records + sizeof *core->sendings) +
                                processes * (sizeof *core->endpoints + sizeof *core->shelves) +
                                core->body_count * sizeof *core->bodies);
    if (core->lines) {
        char *first = (char *)core->lines + line - (uintptr_t)core->lines % line;
        core->records = (struct antk_record *)(void *)first;
        core->endpoints = (struct antk_endpoint *)(void *)(core->records + frames);
        core->bodies = (struct antk_body *)(void *)(core->endpoints + processes);
        core->shelves = (struct antk_shelf *)(void *)(core->bodies + core->body_count);
        core->sendings = (struct antk_sending *)(void *)(core->shelves + processes);
    }
}

static int create_tables(struct antk_core *core)
{
    core->body_count = 2 * core->config.max_processes;
    core->shelved = antk_pool_one_window(core->pool);
    create_lines(core);
    if (!core->lines)
        return -ENOMEM;
    antk_lock_init(core->machine, &core->lock);
    antk_lock_init(core->machine, &core->pool_lock);
    antk_lock_init(core->machine, &core->sweep_lock);
    init_endpoints(core);
    init_bodies(core);
    atomic_store(&core->holders, 1);
    return antk_functions_init(core);
}

static int create_pool(struct antk_core *core)
{
    struct antk_pool_config config = {
        .bytes = core->config.pool_bytes,
        .max_windows = core->config.max_processes,
        .mover = core->config.mover,
        .prefault = core->config.prefault,
    };
    int rc = antk_pool_create(&config, &core->pool, core->mover_reason, sizeof core->mover_reason);
    if (rc != 0)
        antk_log(&core->log, ANT_LOG_ERROR, "no pool: %s", core->mover_reason);
    return rc;
}

/* ---- what the virtual machine tells ---- */

static void on_dispatch(void *context, uint32_t index, uint32_t before, int priority)
{
    antk_trace_add(context, index, ANT_EVENT_DISPATCH, before, priority);
}

static void on_deadlock(void *context)
{
    struct antk_core *core = context;
    antk_log(&core->log, ANT_LOG_WARNING,
             "deadlock at %llu ns: nobody is ready and no timer is set; the waits are failed",
             (unsigned long long)antk_now(core->machine));
    for (struct antk_body *body = core->live_bodies; body; body = body->live_next) {
        const struct antk_wait *wait = &body->own_thread.wait;
        if (!wait->what)
            continue;
        if (wait->object >= 0)
            antk_log(&core->log, ANT_LOG_WARNING, "  process %u (%s) waits for %s %lld",
                     body->endpoint->index, body->endpoint->name, wait->what, (long long)wait->object);
        else
            antk_log(&core->log, ANT_LOG_WARNING, "  process %u (%s) waits for %s",
                     body->endpoint->index, body->endpoint->name, wait->what);
    }
}

static int create_machine(struct antk_core *core)
{
    struct antk_machine_config config = {
        .kind = core->config.machine,
        .rt_base = core->config.rt_base,
        .cpus = core->config.cpus,
        .cpu_count = core->config.cpu_count,
        .spin_ns = (uint64_t)core->config.spin_ns,
        .seed = core->config.seed,
        .pct_depth = core->config.pct_depth,
        .pct_steps = core->config.pct_steps,
        .switch_ns = core->costs.switch_ns,
        .on_deadlock = on_deadlock,
        .on_dispatch = on_dispatch,
        .context = core,
    };
    int rc = antk_machine_create(&config, &core->machine);
    if (rc == 0)
        core->direct_calls = core->machine->kind != ANT_MACHINE_VIRTUAL || core->config.direct_on_virtual;
    if (rc == -EPERM)
        antk_log(&core->log, ANT_LOG_ERROR,
                 "SCHED_FIFO is not permitted: it needs root, CAP_SYS_NICE, or RLIMIT_RTPRIO of at least %d",
                 core->config.rt_base + ANTK_LEVELS - 1);
    return rc;
}

/* ---- boot ---- */

/* Whatever of it has been created. */
static void destroy(struct antk_core *core)
{
    antk_functions_fini(core);
    antk_pool_destroy(core->pool);
    for (uint32_t i = 0; core->bodies && i < core->body_count; i++) {
        antk_contain_free_stack(&core->bodies[i]);
        antk_real_end_poll(&core->bodies[i].own_thread);
    }
    free(core->lines);
    antk_trace_destroy(core->trace);
    if (core->machine)
        core->machine->ops->destroy(core->machine);
    free(core);
}

void antk_core_put(struct antk_core *core)
{
    if (atomic_fetch_sub(&core->holders, 1) == 1)
        destroy(core);
}

static int adopt_caller(struct antk_core *core)
{
    struct antk_endpoint *ep;
    int rc = antk_endpoint_open(core, "boot", core->config.priority, &ep);
    if (rc == 0)
        rc = antk_body_adopt(ep, core->config.priority, &core->boot);
    return rc;
}

/* What fell back is a warning, what was chosen is information. */
static void tell(struct antk_core *core)
{
    bool fell_back = core->config.machine == ANT_MACHINE_AUTO && core->machine->kind == ANT_MACHINE_OTHER;
    antk_log(&core->log, fell_back ? ANT_LOG_WARNING : ANT_LOG_INFO, "machine %s: %s",
             antk_machine_name(core->machine->kind), core->machine->reason);
    if (core->machine->kind != ANT_MACHINE_VIRTUAL && core->costs.switch_ns != 0)
        antk_log(&core->log, ANT_LOG_WARNING,
                 "costs.switch_ns is not spent: no context switch of a real machine is the core's to delay");
    fell_back = core->config.mover == ANT_MOVER_AUTO &&
                antk_pool_mover(core->pool) == ANT_MOVER_STRICT_MREMAP;
    antk_log(&core->log, fell_back ? ANT_LOG_WARNING : ANT_LOG_INFO, "mover %s: %s",
             antk_mover_name(antk_pool_mover(core->pool)), core->mover_reason);
}

/* A child of fork has neither the windows nor the other threads, but the userfaultfd of the parent's windows: it is no process. */
static _Thread_local bool forked;

static void leave_to_parent(void)
{
    forked = antk_self != NULL;
    antk_self = NULL;
    antk_cores_forget();
}

bool antk_may_be_process(void)
{
    return !forked && antk_aside == 0;
}

static void watch_forks(void)
{
    antk_at_fork(leave_to_parent);
}

int ant_boot(const struct ant_config *given)
{
    static antk_once_flag watched = ANTK_ONCE;
    if (antk_self)
        return -EBUSY;
    if (!antk_may_be_process())
        return -EPERM; /* what the thread of a child of fork has in liburcu is the parent's */
    antk_once(&watched, watch_forks);
    struct antk_core *core = calloc(1, sizeof *core);
    if (!core)
        return -ENOMEM;
    const char *wrong;
    int rc = antk_config_fill(given, &core->config, &wrong);
    core->log.level = core->config.log ? core->config.log : ANT_LOG_WARNING;
    if (wrong)
        antk_log(&core->log, ANT_LOG_ERROR, "no core: config.%s has a value that is not allowed", wrong);
    if (rc == 0 && core->config.costs)
        core->costs = *core->config.costs;
    core->config.costs = &core->costs;
    if (rc == 0 && core->config.contain_faults)
        rc = antk_contain_prepare(core);
    if (rc == 0)
        rc = create_machine(core);
    if (rc == 0)
        rc = create_pool(core);
    if (rc == 0)
        rc = create_tables(core);
    if (rc == 0 && core->config.trace_events > 0)
        rc = antk_trace_create(core->config.trace_events, &core->trace);
    if (rc == 0)
        rc = adopt_caller(core);
    if (rc != 0) {
        destroy(core);
        return rc;
    }
    antk_fault_watch(core);
    antk_core_list(core);
    tell(core);
    return 0;
}

int ant_info(struct ant_info *info)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!info)
        return -EINVAL;
    struct antk_core *core = self->core;
    *info = (struct ant_info){
        .machine = core->machine->kind,
        .mover = antk_pool_mover(core->pool),
        .machine_name = antk_machine_name(core->machine->kind),
        .machine_reason = core->machine->reason,
        .mover_name = antk_mover_name(antk_pool_mover(core->pool)),
        .mover_reason = core->mover_reason,
        .pool_bytes = core->config.pool_bytes,
        .max_processes = core->config.max_processes,
        .seed = core->config.seed,
    };
    return 0;
}

/* ---- shutdown ---- */

static void count_held(struct antk_core *core, struct ant_shutdown_report *report)
{
    antk_areas_count(core, &report->areas_held, &report->pages_held);
    for (uint32_t i = 0; i < core->config.max_processes; i++) {
        struct antk_endpoint *ep = &core->endpoints[i];
        antk_lock(&ep->lock);
        if (!ep->closed)
            report->requests_unanswered += ep->requests.count + ep->service.count;
        report->servers_dead += ep->dead;
        antk_unlock(&ep->lock);
    }
}

static uint32_t stop_all(struct antk_core *core)
{
    uint32_t asked = 0;
    for (uint32_t i = 0; i < core->config.max_processes; i++) {
        struct antk_endpoint *ep = &core->endpoints[i];
        if (ep == core->boot->endpoint)
            continue;
        antk_lock(&ep->lock);
        bool dead = ep->dead;
        antk_unlock(&ep->lock);
        bool living = antk_endpoint_stop(ep);
        asked += living && !dead && !antk_is_own(ep);
    }
    return asked;
}

static bool all_ended(struct antk_core *core)
{
    return atomic_load(&core->live_threads) == 0;
}

static void await_all(struct antk_core *core, uint64_t deadline_ns)
{
    struct antk_wait wait = {"the end of all processes", -1, false, false};
    uint64_t again_ns = ANTK_NEVER;
    while (!all_ended(core)) { /* each that ends wakes it */
        if (again_ns == ANTK_NEVER || antk_now(core->machine) >= again_ns)
            again_ns = antk_interrupt_again(core);
        uint64_t until_ns = again_ns < deadline_ns ? again_ns : deadline_ns;
        if (antk_park(core->boot->thread, until_ns, wait) != 0 && until_ns == deadline_ns)
            break;
    }
}

/*
 * What has not ended in time ends when it is next in the core, at once if it waits there. Real machines do not wait for it; it keeps
 * the core's memory until then. On `virtual` it is in the core (where else could it have lost the processor?) and is waited for.
 */
static uint32_t abandon_rest(struct antk_core *core)
{
    bool waits = core->machine->kind == ANT_MACHINE_VIRTUAL;
    uint32_t abandoned = 0;
    antk_lock(&core->lock);
    core->given_up = true;
    for (struct antk_body *body = core->live_bodies; body; body = body->live_next) {
        if (body == core->boot)
            continue;
        atomic_fetch_or(&body->flags, waits ? ANTK_ABANDONED : ANTK_ABANDONED | ANTK_DETACHED);
        atomic_store(&body->stop, 1);
        if (!waits && !body->attached) /* that one is the program's, and has its own back when it leaves */
            core->machine->ops->set_priority(&body->own_thread, ANTK_LEVEL_LOWEST);
        antk_log(&core->log, ANT_LOG_WARNING, "process %u (%s) did not end and is abandoned",
                 body->endpoint->index, body->endpoint->name);
        abandoned++;
    }
    antk_unlock(&core->lock);
    for (uint32_t i = 0; i < core->body_count; i++)
        if (atomic_load(&core->bodies[i].flags) & ANTK_ABANDONED)
            antk_unpark(core->machine, &core->bodies[i].own_thread);
    if (waits)
        await_all(core, ANTK_NEVER);
    return abandoned;
}

int ant_shutdown(struct ant_shutdown_report *report)
{
    ANTK_ENTER(self);
    if (!self || self != self->core->boot)
        return -EPERM;
    struct antk_core *core = self->core;
    struct ant_shutdown_report held = {0};
    uint64_t deadline_ns = antk_deadline(core->machine, core->config.shutdown_timeout_ns);
    antk_body_raise(self, ANTK_LEVELS - 1); /* so that its limit holds */
    count_held(core, &held);
    atomic_store(&core->shutting_down, 1);
    held.processes_asked = stop_all(core);
    struct antk_endpoint *ep = self->endpoint;
    antk_endpoint_close(ep, -ESHUTDOWN, 0); /* first: others may wait for what it owes them */
    atomic_store(&core->stop_due_ns, 0);
    atomic_store(&core->stop_tries, 0); /* the watchdog, which tried again, ends too */
    await_all(core, deadline_ns);
    held.processes_abandoned = all_ended(core) ? 0 : abandon_rest(core);
    antk_core_unlist(core);
    antk_fault_unwatch(core);
    if (core->machine->pct) {
        held.pct_threads = core->machine->pct->threads;
        held.pct_points = core->machine->pct->points;
    }
    antk_body_disown(self);
    antk_unpin(ep);
    antk_bodies_reap_last(core);
    antk_objects_close(NULL);
    antk_core_put(core);
    if (report)
        *report = held;
    return 0;
}
