/* The bound of a swap: gathering what is declared and what was seen, for the analysis; and admission. */
#include "swap/bound.h"

#include "core/candidate.h"
#include "core/function.h"
#include "swap/swap.h"

#include <errno.h>
#include <string.h>

/* What is known of a server, and of the program that is to replace it. */
struct declared {
    struct ant_timing server;
    struct antk_task_driver drivers[ANT_TIMED_DRIVERS_MAX];
    uint64_t start_ns;
    int priority;
    uint32_t exiting; /* whom earlier swaps have replaced: at the server's priority too, and perhaps first */
    uint64_t longest_ns[ANTK_ACTIVITIES]; /* observed */
};

static uint64_t greater(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Drivers whose priority cannot be looked up count as above the server, as bound.h says: that is what drivers are. */
static enum antk_rank rank_of(uint32_t function, int server_priority, int requester_priority)
{
    struct antk_endpoint *ep = function ? antk_function_pin(antk_self, function) : NULL;
    if (!ep)
        return ANTK_ABOVE_SERVER;
    antk_lock(&ep->lock);
    int priority = ep->priority;
    antk_unlock(&ep->lock);
    antk_unpin(ep);
    if (priority >= requester_priority)
        return ANTK_ABOVE_REQUESTER;
    if (priority > server_priority)
        return ANTK_ABOVE_SERVER;
    return priority == server_priority ? ANTK_BESIDE_SERVER : ANTK_BELOW_SERVER;
}

/* What the swap's own steps take: as the core's costs say, and on real machines what more was seen. -ENODATA. */
static int gather_steps(struct antk_core *core, uint64_t start_ns, struct antk_task *task, uint64_t *base_ns)
{
    const struct ant_costs *costs = &core->costs;
    const uint64_t *step_ns = costs->step_ns;
    task->before_ns = step_ns[ANT_SWAP_REQUEST] + step_ns[ANT_SWAP_CREATE] + costs->create_ns +
                      step_ns[ANT_SWAP_NOTIFY];
    task->between_ns = step_ns[ANT_SWAP_START];
    task->after_ns = step_ns[ANT_SWAP_RETURN];
    task->server_ns = step_ns[ANT_SWAP_LOOK] + step_ns[ANT_SWAP_WAKE_REQUESTER] +
                      step_ns[ANT_SWAP_REGISTER] + step_ns[ANT_SWAP_HAND_OVER] +
                      step_ns[ANT_SWAP_WAKE_OLD] + step_ns[ANT_SWAP_WAKE_AGAIN];
    uint64_t costs_ns = task->before_ns + task->between_ns + task->after_ns + task->server_ns;
    task->server_ns += start_ns;
    *base_ns = costs_ns + start_ns;
    if (core->machine->kind == ANT_MACHINE_VIRTUAL) {
        task->switch_ns = costs->switch_ns;
        return 0;
    }
    uint64_t seen_ns = atomic_load(&core->longest_base_ns);
    if (seen_ns == 0)
        return -ENODATA;
    /* The swap that was seen may have had no `start`, or a short one: what this one declares comes on top. */
    uint64_t more_ns = seen_ns - (seen_ns < costs_ns ? seen_ns : costs_ns);
    task->server_ns += more_ns;
    *base_ns += more_ns;
    return 0;
}

/* The server's own work, declared or observed. -ENODATA. */
static int gather_work(const struct declared *declared, struct antk_task *task, struct ant_bound *bound)
{
    const struct ant_timing *timing = &declared->server;
    const uint64_t *seen_ns = declared->longest_ns;
    task->request_ns = greater(timing->request_ns, seen_ns[ANTK_REQUEST_WORK]);
    task->result_ns = greater(timing->result_ns, seen_ns[ANTK_RESULT_WORK]);
    task->request_min_ns = timing->request_min_ns;
    task->requests = timing->requests;
    bound->request_ns = task->request_ns;
    bound->result_ns = task->result_ns;
    bound->observed = task->request_ns > timing->request_ns || task->result_ns > timing->result_ns;
    return timing->observe && task->request_ns == 0 && task->result_ns == 0 ? -ENODATA : 0;
}

/* What the program that serves now declares; copied, as a swap may replace it at any time. -ENOTSUP, -ENODATA. */
static int copy_timing(struct antk_endpoint *ep, const struct ant_program *program,
                       struct declared *declared)
{
    antk_lock(&ep->lock);
    const struct ant_program *old = ep->program;
    bool starts = program->start || (old && old->state_version != program->state_version);
    int rc = !old ? -ENOTSUP : !old->timing || (starts && !program->timing) ? -ENODATA : 0;
    if (rc == 0) {
        declared->server = *old->timing;
        if (ep->out.count > 0 && ep->inherited_min_ns < old->timing->request_min_ns)
            declared->server.request_min_ns = ep->inherited_min_ns;
        for (size_t i = 0; i < old->timing->driver_count; i++)
            declared->drivers[i].timing = old->timing->drivers[i];
        declared->start_ns = starts ? program->timing->start_ns : 0;
        declared->priority = ep->priority;
        declared->exiting = ep->exiting;
        memcpy(declared->longest_ns, ep->longest_ns, sizeof declared->longest_ns);
    }
    antk_unlock(&ep->lock);
    return rc;
}

static int bound_of(struct antk_endpoint *ep, const struct ant_program *program, struct ant_bound *bound)
{
    struct antk_core *core = ep->core;
    struct declared declared;
    struct ant_bound result = {0};
    int requester_priority = atomic_load(&antk_self->base_priority);
    int rc = copy_timing(ep, program, &declared);
    if (rc != 0)
        return rc;
    struct antk_task task = {.drivers = declared.drivers, .driver_count = declared.server.driver_count};
    rc = gather_work(&declared, &task, &result);
    if (rc == 0)
        rc = gather_steps(core, declared.start_ns, &task, &result.base_ns);
    if (rc == 0 && requester_priority <= declared.priority)
        rc = -ERANGE;
    if (rc != 0)
        return rc;
    task.exit_ns = declared.exiting * (core->costs.step_ns[ANT_SWAP_EXIT] + task.switch_ns);
    for (size_t i = 0; i < task.driver_count; i++)
        declared.drivers[i].rank =
            rank_of(declared.drivers[i].timing.function, declared.priority, requester_priority);
    rc = antk_bound_analyse(&task, &result.bound_ns);
    if (rc == 0)
        *bound = result;
    return rc;
}

int antk_bound_admit(struct antk_endpoint *ep, const struct ant_program *program,
                     int64_t deadline_ns, uint64_t *bound_ns)
{
    struct ant_bound bound;
    int rc = bound_of(ep, program, &bound);
    if (rc != 0)
        return rc;
    *bound_ns = bound.bound_ns;
    return bound.bound_ns > (uint64_t)deadline_ns ? -ETIME : 0;
}

int ant_swap_bound(uint32_t function, const struct ant_program *program, struct ant_bound *bound)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    int rc = antk_program_check(program);
    if (rc != 0)
        return rc;
    if (function == 0 || !bound)
        return -EINVAL;
    struct antk_endpoint *ep = antk_function_pin(self, function);
    if (!ep)
        return -ESRCH;
    rc = bound_of(ep, program, bound);
    antk_unpin(ep);
    return rc;
}
