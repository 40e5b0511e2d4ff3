/*
 * Who replaces servers: the swapper, which does so for no reason, and the replacer, which waits to be told of deaths. Either
 * may die itself; the process that booted then makes another one, and the end of a swap that it had begun is looked up later.
 */
#include "run.h"

#include <string.h>

/* ---- what is recorded of swaps ---- */

static void count(struct history_count *to, const struct ant_swap_count *from)
{
    *to = (struct history_count){from->at_notice, from->arrived, from->left, from->handed_over};
}

static void record_swap(uint32_t which, uint32_t version, const struct ant_swap_report *report, int returned)
{
    struct history_swap *swap = &record_add(HISTORY_SWAP, FUNCTION_ID(which))->swap;
    swap->version = version;
    swap->error = returned == 1 ? report->error : returned;
    swap->returned = returned;
    swap->step = report->step;
    swap->generation = report->generation;
    swap->restarted = report->restarted;
    swap->abandoned = report->abandoned;
    memcpy(swap->step_time_ns, report->step_time_ns, sizeof swap->step_time_ns);
    swap->swap_ns = report->swap_ns;
    swap->blackout_ns = report->blackout_ns;
    swap->transform_ns = report->transform_ns;
    swap->start_ns = report->start_ns;
    swap->base_ns = report->base_ns;
    swap->request_work_ns = report->request_work_ns;
    swap->result_work_ns = report->result_work_ns;
    swap->higher_priority_ns = report->higher_priority_ns;
    count(&swap->counts[0], &report->queued_requests);
    count(&swap->counts[1], &report->queued_results);
    count(&swap->counts[2], &report->in_service);
    count(&swap->counts[3], &report->outstanding);
}

void keeper_settle(uint32_t which)
{
    struct ant_swap_report report;
    uint32_t version = run.open[which];
    struct ant_process_info info;
    if (version != 0 && ant_process_info(run.opener[which], &info) == 0)
        return; /* it lives, and will tell */
    if (version == 0 || ant_swap_last(FUNCTION_ID(which), &report) != 0 || report.new_version != version)
        return;
    record_swap(which, version, &report, 1);
    run.open[which] = 0;
}

static int swap(enum role role, uint32_t which, struct ant_program *program,
                const struct ant_swap_options *options)
{
    struct ant_swap_report report;
    memset(&report, 0, sizeof report);
    before(role, CALL_SWAP, which);
    keeper_settle(which);
    record_add(HISTORY_SWAPPING, FUNCTION_ID(which))->swapping =
        (struct history_swapping){.version = program->version, .force = options->force};
    run.open[which] = program->version;
    run.opener[which] = ant_self();
    run.swaps[which]++;
    int rc = ant_swap(FUNCTION_ID(which), program, options, &report);
    record_swap(which, program->version, &report, rc);
    run.open[which] = 0;
    after(role, CALL_SWAP, which);
    return rc;
}

/* ---- nobody serves ---- */

int keeper_serve(uint32_t which)
{
    struct ant_server_options options = {
        .priority = run.plan->server_priority[which],
        .queue_limit = run.plan->queue_limit,
        .watchdog_ns = (int64_t)(3 * MS),
        .start_timeout_ns = (int64_t)(2 * MS),
        .on_death = run.plan->fail_on_death[which] ? ANT_DEATH_FAIL : ANT_DEATH_WAIT,
    };
    struct ant_program *program = server_program(which, 1);
    if (!program)
        return -ENOMEM;
    ant_pid pid = 0;
    record_add(HISTORY_SWAPPING, FUNCTION_ID(which))->swapping =
        (struct history_swapping){.version = program->version, .anew = true};
    int rc = ant_serve(FUNCTION_ID(which), program, &options, &pid);
    record_add(HISTORY_SERVED, FUNCTION_ID(which))->served =
        (struct history_served){pid, program->version, rc};
    if (rc == 0)
        run.servers[which] = pid;
    return rc;
}

/* ---- the swapper ---- */

static void swap_one(uint64_t *random)
{
    uint32_t which = plan_once_in(random, 4) ? DRIVER : plan_below(random, 2);
    struct ant_program *program = server_program(which, 1 + plan_below(random, 2));
    struct ant_swap_options options = {
        .quiesce_timeout_ns = (int64_t)(US * (plan_once_in(random, 3) ? 20 : 1000)),
        .start_timeout_ns = (int64_t)(US * (plan_once_in(random, 6) ? 30 : 1500)),
        .force = plan_once_in(random, 3),
        .trust_state = plan_once_in(random, 2),
    };
    if (!program)
        return;
    if (plan_once_in(random, 10))
        program->transformer_count = 0;
    swap(ROLE_SWAPPER, which, program, &options);
}

int swapper_main(void *first)
{
    uint64_t random = plan_mix(run.plan->seed ^ plan_mix(2000 + (uint64_t)(uintptr_t)first));
    for (uint32_t i = (uint32_t)(uintptr_t)first; i < run.plan->swaps && run.live; i++) {
        run.swaps_begun = i + 1;
        before(ROLE_SWAPPER, CALL_SLEEP, FUNCTIONS);
        if (ant_sleep(ant_now() + (20 + plan_below(&random, 150)) * US) != 0)
            return 0;
        after(ROLE_SWAPPER, CALL_SLEEP, FUNCTIONS);
        swap_one(&random);
    }
    return 0;
}

/* ---- the replacer ---- */

struct replacer {
    uint64_t random;
    bool stopped; /* it was asked to end */
    struct ant_request *monitors[FUNCTIONS];
    bool lent[FUNCTIONS];
    uint32_t generation[FUNCTIONS]; /* of the server when the monitor was lent */
    ant_pid pid[FUNCTIONS];
};

static void lend(struct replacer *r, uint32_t which)
{
    int rc = 0;
    if (r->lent[which])
        return;
    if (!r->monitors[which])
        AROUND(ROLE_REPLACER, CALL_REQUEST_NEW, which, rc,
               ant_request_new(FUNCTION_ID(which), &r->monitors[which]));
    if (rc != 0)
        return;
    before(ROLE_REPLACER, CALL_MONITOR, which);
    struct ant_process_info info = {0}; /* after whatever strikes here: a swap may have come between */
    r->pid[which] = run.servers[which];
    if (ant_process_info(r->pid[which], &info) != 0)
        return;
    r->generation[which] = info.generation;
    rc = ant_monitor(r->monitors[which], FUNCTION_ID(which));
    r->lent[which] = rc == 0;
    after(ROLE_REPLACER, CALL_MONITOR, which);
    if (rc != 0 && rc != -ESRCH)
        record_call("ant_monitor", rc);
}

/* A monitor has come back, or nothing has. */
static bool told(struct replacer *r, int64_t timeout_ns)
{
    struct ant_message message;
    int rc = ant_receive(&message, timeout_ns);
    r->stopped = rc == 0 && message.kind == ANT_STOP;
    if (rc != 0 || message.kind != ANT_RESULT)
        return false;
    for (uint32_t which = 0; which < FUNCTIONS; which++)
        if (r->monitors[which] == message.request) {
            if (!r->lent[which])
                record_call("monitor twice", 0);
            r->lent[which] = false;
        }
    return true;
}

static void replace(struct replacer *r, uint32_t which)
{
    struct ant_program *program = server_program(which, 1 + plan_below(&r->random, 2));
    struct ant_swap_options options = {
        .start_timeout_ns = (int64_t)(2 * MS),
        .trust_state = plan_below(&r->random, 3) != 0,
    };
    if (program && swap(ROLE_REPLACER, which, program, &options) == 0)
        return;
    ant_sleep(ant_now() + 50 * US); /* another swap goes on, say: a new monitor would tell of the death at once */
}

/* Is all well with a function? Else it is mended. */
static void mend(struct replacer *r, uint32_t which)
{
    struct ant_process_info info;
    ant_pid pid;
    int rc;
    AROUND(ROLE_REPLACER, CALL_INFO, which, rc, ant_lookup(FUNCTION_ID(which), &pid));
    if (rc == -ESRCH) {
        before(ROLE_REPLACER, CALL_SERVE, which);
        rc = keeper_serve(which);
        after(ROLE_REPLACER, CALL_SERVE, which);
        if (rc != 0)
            ant_sleep(ant_now() + MS); /* the pool is exhausted, say: not at once again */
        return;
    }
    if (rc != 0)
        return;
    run.servers[which] = pid;
    if (ant_process_info(pid, &info) != 0 || !info.dead)
        return;
    replace(r, which);
}

/* Of nothing that happened to a server since it lent a monitor may it not have been told. */
static void check_monitors(struct replacer *r)
{
    struct ant_process_info info;
    while (told(r, 0))
        ;
    for (uint32_t which = 0; which < FUNCTIONS; which++) {
        int rc = ant_process_info(r->pid[which], &info);
        if (r->lent[which] &&
            (rc == -ESRCH || (rc == 0 && (info.dead || info.generation != r->generation[which]))))
            record_call("monitor not told", (int)which);
    }
}

int replacer_main(void *number)
{
    struct replacer r = {.random =
                             plan_mix(run.plan->seed ^ plan_mix(3000 + (uint64_t)(uintptr_t)number))};
    while (!run.ending && !r.stopped) {
        for (uint32_t which = 0; which < FUNCTIONS; which++)
            lend(&r, which);
        before(ROLE_REPLACER, CALL_RECEIVE, FUNCTIONS);
        told(&r, (int64_t)(200 * US));
        after(ROLE_REPLACER, CALL_RECEIVE, FUNCTIONS);
        for (uint32_t which = 0; which < FUNCTIONS && !r.stopped; which++)
            mend(&r, which);
    }
    if (!r.stopped)
        check_monitors(&r);
    return 0;
}
