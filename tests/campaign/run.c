/*
 * A run, as the process that boots sees it: everything is created, watched until the clients have ended, asked once more
 * whether it serves, ended in order, and counted.
 */
#include "run.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <urcu.h>

struct run run;

#define TICK_NS (200 * US)
/* On the virtual clock; nothing that ends takes so long. */
#define LIMIT_NS (100 * MS)
#define POOL_BYTES ((size_t)2 << 20)

/* ---- what the Linux process holds ---- */

#ifdef __SANITIZE_THREAD__
#define LIVE_BLOCKS 0 /* see settle_memory */
#else
#define LIVE_BLOCKS (uint64_t) wrap_live()
#endif

static void record_host(void)
{
    struct stat task;
    int file = dup(STDIN_FILENO); /* the lowest number that is free */
    struct history_record *record = record_add(HISTORY_HOST, 0);
    if (file >= 0)
        close(file);
    if (stat("/proc/self/task", &task) != 0)
        memset(&task, 0, sizeof task);
    record->host = (struct history_host){LIVE_BLOCKS, task.st_nlink, (uint64_t)file};
}

static void record_pages(void)
{
    struct ant_ica_stats stats;
    int rc = ant_ica_stats(&stats);
    if (rc != 0)
        record_call("ant_ica_stats", rc);
    else
        record_add(HISTORY_PAGES, 0)->pages = (struct history_pages){stats.free_pages, stats.own_pages};
}

/* ---- it begins ---- */

/* What this host, or a sanitizer, does not have is left out: containment, then the mover. */
static int boot(const struct plan *plan)
{
    struct ant_config config = {
        .machine = ANT_MACHINE_VIRTUAL,
        .mover = run.mover = plan->mover,
        .log = run.trace_fd >= 0 ? ANT_LOG_WARNING : ANT_LOG_QUIET,
        .pool_bytes = POOL_BYTES,
        .max_processes = 32,
        .stack_bytes = (size_t)128 << 10,
        .priority = 50,
        .seed = plan->seed | 1,
        .costs = &plan->costs,
        .trace_events = run.trace_fd >= 0 ? 1u << 14 : 0,
        .shutdown_timeout_ns = (int64_t)(20 * MS),
        .contain_faults = run.contained = true,
        .direct_on_virtual = plan->direct,
    };
    int rc = ant_boot(&config);
    if (rc == -ENOTSUP) {
        config.contain_faults = run.contained = false;
        rc = ant_boot(&config);
    }
    if (rc == -ENOTSUP) {
        config.mover = run.mover = ANT_MOVER_FLAT;
        rc = ant_boot(&config);
    }
    return rc;
}

static void describe(const struct plan *plan, struct history_begin *begin)
{
    begin->seed = plan->seed;
    memcpy(begin->step_ns, plan->costs.step_ns, sizeof begin->step_ns);
    begin->switch_ns = plan->costs.switch_ns;
    begin->pages = (uint32_t)(POOL_BYTES / ANT_PAGE_BYTES);
    begin->strict = run.mover == ANT_MOVER_STRICT;
    begin->small = plan->pool_pages_taken > 0;
    begin->limited = plan->queue_limit > 0;
}

/* *pid stays 0 if the host has no thread or no memory: then it is for the next time. */
static void create(const char *name, int priority, int (*entry)(void *), uintptr_t arg, ant_pid *pid)
{
    struct ant_process_options options = {.name = name, .priority = priority};
    int rc = ant_process_create(&options, entry, (void *)arg, pid);
    if (rc != 0 && rc != -EAGAIN && rc != -ENOMEM)
        record_call("ant_process_create", rc);
}

/* Everything there is, before anything fails. */
static void populate(const struct plan *plan)
{
    void *taken;
    for (uint32_t which = 0; which < FUNCTIONS; which++)
        if (keeper_serve(which) != 0 || ant_request_new(FUNCTION_ID(which), &run.last[which]) != 0)
            record_call("populate", 0);
    if (plan->pool_pages_taken > 0 && ant_ica_alloc(plan->pool_pages_taken, &taken) == 0)
        run.taken = taken;
    create("reaper", ANT_PRIORITY_MAX, reaper_main, 0, &run.reaper);
    create("idler", ANT_PRIORITY_MIN, idler_main, 0, &run.idler);
    create("replacer", plan->replacer_priority, replacer_main, 0, &run.replacer);
    create("swapper", plan->swapper_priority, swapper_main, 0, &run.swapper);
    for (uint32_t i = 0; i < plan->clients; i++)
        create("client", plan->client_priority[i], client_main, i, &run.clients[i]);
}

/* ---- it goes on ---- */

static void record_ended(enum history_party party, uint32_t number, int status)
{
    record_add(HISTORY_ENDED, number)->ended = (struct history_ended){party, status, 0};
}

/* Whoever of the clients has ended since. */
static uint32_t count_ended(uint64_t *ended)
{
    uint32_t count = 0;
    int status;
    for (uint32_t i = 0; i < run.plan->clients; i++) {
        if (!(*ended & UINT64_C(1) << i) && ant_wait(run.clients[i], 0, &status) == 0) {
            *ended |= UINT64_C(1) << i;
            record_ended(HISTORY_CLIENT, i, status);
        }
        count += *ended >> i & 1 ? 1 : 0;
    }
    return count;
}

/* An id of whoever has ended names nobody, whoever has its place now. */
static void check_gone(void)
{
    struct ant_process_info info;
    int rc = run.gone ? ant_process_info(run.gone, &info) : -ESRCH;
    if (rc != -ESRCH)
        record_call("stale id", rc);
}

/* Has it ended? Then its place is free. */
static void bury(enum history_party party, ant_pid *pid)
{
    int status;
    if (*pid && ant_wait(*pid, 0, &status) == 0) {
        record_ended(party, 0, status);
        run.gone = *pid;
        *pid = 0;
    }
}

/* Keepers that have died have successors, as a part of the world in which nobody is indispensable. */
static void renew_keepers(uint32_t *replacers)
{
    bury(HISTORY_REPLACER, &run.replacer);
    bury(HISTORY_REQUESTER, &run.swapper);
    if (!run.replacer && !run.ending)
        create("replacer", run.plan->replacer_priority, replacer_main, ++*replacers, &run.replacer);
    if (!run.swapper && run.live && run.swaps_begun < run.plan->swaps)
        create("swapper", run.plan->swapper_priority, swapper_main, run.swaps_begun, &run.swapper);
    check_gone();
    for (uint32_t which = 0; which < FUNCTIONS; which++)
        keeper_settle(which);
}

/* Until the clients have ended, and the swapper; false: they do not. */
static bool watch(uint32_t *replacers)
{
    uint64_t ended = 0;
    uint64_t limit_ns = ant_now() + LIMIT_NS;
    run.live = true;
    while (count_ended(&ended) < run.plan->clients) {
        if (ant_now() > limit_ns) {
            record_stuck("clients");
            return false;
        }
        renew_keepers(replacers);
        ant_sleep(ant_now() + TICK_NS);
    }
    run.live = false;
    while (run.swapper) {
        if (ant_now() > limit_ns) {
            record_stuck("swapper");
            return false;
        }
        renew_keepers(replacers);
        ant_sleep(ant_now() + TICK_NS);
    }
    return true;
}

/* ---- it ends ---- */

/* What was begun before may still go wrong, a hang be found out: so first there is time for that. */
static void settle(uint32_t *replacers)
{
    for (int i = 0; i < 4; i++) {
        renew_keepers(replacers);
        ant_sleep(ant_now() + 2 * MS);
    }
}

static bool all_answer(uint32_t *replacers)
{
    bool all = true;
    for (uint32_t which = FUNCTIONS; which-- > 0;) {
        bool answers = false;
        for (int attempt = 0; attempt < 3 && !answers; attempt++) {
            answers = client_ask_last(which);
            if (!answers)
                settle(replacers);
        }
        all = all && answers;
    }
    return all;
}

/*
 * A few questions, to the driver first, whom others need. The last answer counts. Twice, if need be: a successor that was trusted with the areas of the dead,
 * the whole pool perhaps, frees them when it is first asked.
 */
static void ask_last(uint32_t *replacers)
{
    settle(replacers);
    if (!all_answer(replacers))
        all_answer(replacers);
}

static void stop(const char *what, ant_pid pid)
{
    int rc = pid ? ant_stop(pid, (int64_t)(ANT_NS_PER_S), NULL) : 0;
    if (rc == -ETIMEDOUT)
        record_stuck(what);
    else if (rc != 0 && rc != -ESRCH)
        record_call("ant_stop", rc);
}

static void end_all(uint32_t *replacers)
{
    int status;
    run.ending = true;
    if (run.replacer && ant_wait(run.replacer, (int64_t)ANT_NS_PER_S, &status) != 0)
        record_stuck("replacer");
    renew_keepers(replacers);
    stop("idler", run.idler);
    ant_sleep(ant_now() + MS); /* the abandoned, below all priorities, have their turn at last */
    for (uint32_t which = 0; which < FUNCTIONS; which++) {
        ant_pid pid;
        if (ant_lookup(FUNCTION_ID(which), &pid) == 0)
            stop("server", pid);
        if (run.last[which] && ant_request_free(run.last[which]) != 0)
            record_call("ant_request_free", 0);
    }
    if (run.taken)
        ant_ica_free(run.taken);
    stop("reaper", run.reaper);
}

/* What is freed a grace period later is freed now. */
static void settle_memory(void)
{
#ifndef __SANITIZE_THREAD__ /* it cannot see into liburcu, and takes this for a race */
    rcu_barrier();
#endif
}

static void shut_down(void)
{
    struct ant_shutdown_report report;
    if (run.trace_fd >= 0)
        ant_trace_write(run.trace_fd);
    record_pages();
    int rc = ant_shutdown(&report);
    if (rc != 0)
        record_call("ant_shutdown", rc);
    record_add(HISTORY_SHUTDOWN, 0)->shutdown = (struct history_shutdown){
        report.processes_asked,      report.processes_abandoned, report.areas_held,
        (uint32_t)report.pages_held, report.requests_unanswered, report.servers_dead};
    settle_memory();
    record_host();
    record_add(HISTORY_END, 0);
}

bool run_plan(const struct plan *plan, int trace_fd)
{
    static int scratch = -1;
    uint32_t replacers = 0;
    if (scratch < 0) {
        scratch = memfd_create("scratch", MFD_CLOEXEC);
        struct ant_config small = {.machine = ANT_MACHINE_VIRTUAL,
                                   .mover = ANT_MOVER_FLAT,
                                   .pool_bytes = POOL_BYTES,
                                   .max_processes = 2};
        if (ant_boot(&small) == 0) /* what the first boot makes for all later ones stays */
            ant_shutdown(NULL);
    }
    memset(&run, 0, sizeof run);
    run.plan = plan;
    run.trace_fd = trace_fd;
    run.scratch = scratch;
    wrap_reset();
    record_reset();
    struct history_record *begin = record_add(HISTORY_BEGIN, 0);
    record_host();
    if (boot(plan) != 0)
        return false;
    describe(plan, &begin->begin);
    record_pages();
    populate(plan);
    bool clean = watch(&replacers);
    run.live = false;
    faults_heal();
    if (clean) {
        ask_last(&replacers);
        end_all(&replacers);
    } else { /* whoever ticks would make the wait for the others long */
        stop("idler", run.idler);
        stop("reaper", run.reaper);
    }
    shut_down();
    return true;
}
