/*
 * The swap: the paper's twelve steps, each a function of its name, in order.
 *
 *   requester               old server                  new server
 *   1 request
 *   2 create                                            (created, waits)
 *   3 notify      ------->  4 look
 *                 <-------  5 wake requester (waits)
 *   6 start       ------------------------------------> transformer, start
 *                                                       7 register
 *                                                       8 hand over      <- the point of no return
 *                           12 exit  <----------------- 9 wake old
 *   11 return     <------------------------------------ 10 wake again
 *
 * One word, the candidate's fate, decides: step 8 commits it; the requester's deadlines, a failure of the new server,
 * and the end of the old one cancel it. Until then the endpoint is the old server's, and nothing in it has been touched; at
 * step 8 it changes its body, and with that everything in it changes hands at once.
 *
 * A dead server makes no steps: the requester goes on with step 6. One that dies before it is at rest lets it do so then, and is dead from there on.
 *
 * From step 3 until it is decided the requester runs above the server's priority, so that its deadlines hold even
 * against a new server that spins, or an old one that a client runs. A server that swaps itself is requester and old server in one.
 *
 * The old server's steps are in accept.c. Several swaps that are one share the fate, and each makes all of these steps: many.c.
 */
#include "swap/swap.h"

#include "core/contain.h"
#include "core/core.h"
#include "core/direct.h"
#include "core/event.h"
#include "core/function.h"
#include "swap/bound.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t reach(struct antk_swap *s, enum ant_swap_step number, const struct antk_endpoint *by)
{
    struct antk_core *core = s->c.endpoint->core;
    uint64_t now_ns = antk_now(core->machine);
    s->report.step_time_ns[number] = now_ns;
    antk_trace_add(core, by->index, ANT_EVENT_STEP, number, s->report.generation);
    return now_ns;
}

uint64_t antk_swap_step(struct antk_swap *s, enum ant_swap_step number)
{
    return reach(s, number, antk_self->endpoint);
}

void antk_swap_spend(struct antk_swap *s, enum ant_swap_step number)
{
    antk_spend(antk_self, s->c.endpoint->core->costs.step_ns[number]);
}

/* The requester has failed before there was a new server to wind up. */
static void give_up(struct antk_swap *s, int error)
{
    antk_candidate_cancel(&s->c, error);
    antk_candidate_await_undone(&s->c);
}

void antk_swap_untake(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    antk_lock(&ep->lock);
    ep->swap = NULL;
    bool dead = ep->dead;
    antk_unlock(&ep->lock);
    if (dead)
        antk_monitors_tell(ep, ANT_CHANGE_DIED, 0); /* those who asked meanwhile: see monitor.c */
    s->report.generation--;
}

/* ---- 1: the requester asks for the swap ---- */

/* May it begin? The endpoint is taken for it: the programs that its bound is made from stay. */
static int admit(struct antk_swap *s, int64_t deadline_ns)
{
    struct antk_endpoint *ep = s->c.endpoint;
    int rc = antk_bound_admit(ep, s->c.program, deadline_ns, &s->report.bound_ns);
    if (rc != 0) {
        give_up(s, rc);
        antk_swap_untake(s);
    }
    return rc;
}

/* Has the successor a way to the state, if it is to have it? A dead server's is left alone unless it is trusted. */
static int plan_state(struct antk_swap *s, const struct ant_swap_options *options)
{
    struct antk_endpoint *ep = s->c.endpoint;
    if (!ep->body && !s->trust_state)
        return 0;
    return antk_state_plan(ep->program, s->c.program, options, &s->transformer);
}

int antk_swap_take(struct antk_swap *s, const struct ant_swap_options *options)
{
    struct antk_endpoint *ep = s->c.endpoint;
    antk_lock(&ep->lock);
    int rc = ep->closed ? -ESRCH : !ep->program ? -ENOTSUP : 0;
    s->report.generation = ep->generation;
    s->report.old_version = ep->program ? ep->program->version : 0;
    if (rc == 0)
        rc = plan_state(s, options);
    if (rc == 0 && ep->swap)
        rc = -EBUSY;
    if (rc == 0) {
        ep->swap = &s->c;
        s->old = ep->body;
        s->report.generation++;
    }
    antk_unlock(&ep->lock);
    return rc;
}

void antk_step_1_request(struct antk_swap *s)
{
    antk_times_of(s->c.requester, &s->requester_before);
    antk_swap_step(s, ANT_SWAP_REQUEST);
    antk_swap_spend(s, ANT_SWAP_REQUEST);
}

/* ---- 2: the core creates the new server ---- */

int antk_step_2_create(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    s->report.step = ANT_SWAP_CREATE;
    antk_swap_step(s, ANT_SWAP_CREATE);
    antk_swap_spend(s, ANT_SWAP_CREATE);
    antk_spend(antk_self, ep->core->costs.create_ns);
    antk_lock(&ep->lock);
    int priority = ep->priority;
    antk_unlock(&ep->lock);
    s->raised_priority = priority + 1;
    return antk_candidate_create(&s->c, priority, ep->stack_bytes,
                                 s->old ? ANT_START_SWAP : ANT_START_RESTART, ep->first_function,
                                 s->report.generation);
}

/* ---- 3: the core notifies the old server, and wakes it ---- */

static void notify_locked(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    struct antk_body *old = s->old;
    s->report.step = ANT_SWAP_LOOK;
    s->notified = true;
    antk_ledger_take_locked(ep, &s->at_notice);
    ep->notice = &s->notice;
    antk_event_settle_locked(ep);
    if (ep->dead)
        antk_swap_rest_in_peace_locked(s);
    if (!old)
        return; /* dead, or just dying */
    s->activity = (enum antk_activity)atomic_load(&old->thread->activity);
    if (antk_old_is_measured(s)) {
        ep->core->machine->ops->watch(old->thread);
        antk_times_of(old, &s->old_at_notice);
    }
    antk_swap_step(s, ANT_SWAP_NOTIFY);
}

/*
 * If the old server waits for messages, the new thread stands behind it, and has nothing to wait for any more when it comes to run: that makes the swap shorter.
 * If it is at work, the new thread does what every thread has to do first before the old server goes on: that makes the blackout shorter.
 *
 * The server may have ended meanwhile, or the swap have been cancelled: then there is nobody to notify, and nothing to undo. */
void antk_step_3_notify(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    antk_lock(&ep->lock);
    bool ended = ep->closed, going_on = !ended && antk_candidate_fate(&s->c) == ANTK_PENDING;
    if (ep->body != s->old)
        s->old = NULL; /* it has died, or is just dying */
    struct antk_body *old = s->old;
    bool wake = going_on && old && ep->receiving;
    if (going_on)
        notify_locked(s);
    ep->receiving = ep->receiving && !wake;
    antk_unlock(&ep->lock);
    if (going_on) {
        antk_direct_outrank(s->c.requester, old);
        antk_swap_spend(s, ANT_SWAP_NOTIFY);
        antk_report_notice_cost(s);
    }
    if (wake)
        antk_unpark(ep->core->machine, old->thread);
    antk_candidate_release(&s->c, !wake);
    if (ended)
        antk_candidate_cancel(&s->c, -ESRCH);
}

/* ---- 6: the core starts the new server ---- */

/* As with step 7, nothing is written to the report after a cancellation. */
void antk_step_6_start(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    antk_lock(&ep->lock);
    bool open = antk_candidate_fate(&s->c) == ANTK_PENDING;
    if (open)
        antk_swap_step(s, ANT_SWAP_START);
    antk_unlock(&ep->lock);
    if (open) {
        antk_swap_spend(s, ANT_SWAP_START);
        antk_candidate_go(&s->c);
    }
}

/* ---- 7: the new server asks the core to register it ---- */

/* After a cancellation the report is the requester's: nothing is written to it any more. */
static bool step_7_register(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    antk_lock(&ep->lock);
    bool open = antk_candidate_fate(&s->c) == ANTK_PENDING;
    if (open)
        antk_report_callbacks_locked(s, antk_swap_step(s, ANT_SWAP_REGISTER));
    antk_unlock(&ep->lock);
    if (open)
        antk_swap_spend(s, ANT_SWAP_REGISTER);
    return open;
}

/* ---- 8: the core hands everything over ---- */

void antk_step_8_hand_over_locked(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    reach(s, ANT_SWAP_HAND_OVER, ep);
    antk_report_ledger_locked(s);
    bool inherits = antk_swap_inherits(s);
    s->dead_state = inherits && s->transformer.transform ? ep->state : ANTK_NO_FRAME;
    if (!inherits)
        ep->state = ANTK_NO_FRAME; /* to be freed with all the rest */
    antk_old_object_keep_locked(s);
    ep->notice = NULL;
    ep->receiving = false; /* in a group the old server, at rest, may have wanted messages */
    antk_candidate_succeed_locked(&s->c, s->report.generation);
    if (ep->state != ANTK_NO_FRAME)
        s->report.state_bytes = antk_pool_area(ep->core->pool, ep->state)->pages * (size_t)ANT_PAGE_BYTES;
    if (s->old) {
        atomic_store(&s->old->retired, true);
        ep->exiting++;
    }
    ep->dead = false;
}

static bool step_8_hand_over(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    bool committed;
    if (s->group) {
        committed = antk_group_hand_over(s);
    } else {
        antk_lock(&ep->lock);
        committed = antk_candidate_commit(&s->c);
        if (committed)
            antk_step_8_hand_over_locked(s);
        antk_unlock(&ep->lock);
    }
    if (committed) {
        antk_state_leave_behind(s);
        antk_body_raise(antk_self, 0); /* in case the server's priority has changed meanwhile */
        antk_swap_spend(s, ANT_SWAP_HAND_OVER);
    }
    return committed;
}

/* ---- 9: the core wakes the old server ---- */

static void step_9_wake_old(struct antk_swap *s)
{
    if (!s->old)
        return;
    antk_swap_step(s, ANT_SWAP_WAKE_OLD);
    antk_swap_spend(s, ANT_SWAP_WAKE_OLD);
    atomic_store(&s->released, true);
    antk_unpark(s->c.endpoint->core->machine, s->old->thread);
}

/* ---- 10: the core wakes the requester; the new server can receive ---- */

static void step_10_wake_again(struct antk_swap *s)
{
    struct antk_body *requester = s->c.requester;
    struct antk_machine *machine = requester->core->machine;
    if (!s->group)
        antk_body_raise(requester, 0); /* no deadline is left to keep: it shall not hold the new server up */
    uint64_t end_ns = antk_swap_step(s, ANT_SWAP_WAKE_AGAIN);
    if (requester->core->costs.step_ns[ANT_SWAP_WAKE_AGAIN] != 0) {
        antk_swap_spend(s, ANT_SWAP_WAKE_AGAIN);
        end_ns = antk_now(machine);
    }
    if (antk_times_exact(s))
        antk_times_of(antk_self, &s->new_after);
    s->report.blackout_ns = end_ns - s->quiescent_ns;
    if (s->group) {
        antk_group_wake_again(s->group);
        return;
    }
    atomic_store(&s->enrolled, true);
    antk_unpark(machine, requester->thread);
}

static void enroll(struct antk_candidate *c)
{
    struct antk_swap *s = antk_swap_of(c);
    int rc = antk_old_object_look(s);
    if (rc != 0) {
        antk_candidate_cancel(c, rc);
        return;
    }
    if (!step_7_register(s) || !step_8_hand_over(s))
        return;
    if (!antk_swap_inherits(s))
        antk_areas_disinherit(c->endpoint, antk_self->incarnation);
    step_9_wake_old(s);
    step_10_wake_again(s);
}

/* ---- 11: the swap is over; the requester's call returns ---- */

static void report_failure(struct antk_swap *s, int error)
{
    struct antk_endpoint *ep = s->c.endpoint;
    s->report.error = error;
    s->report.generation--;
    s->report.swallowed = atomic_load(&s->c.swallowed);
    antk_trace_add(ep->core, antk_self->endpoint->index, ANT_EVENT_ROLLBACK, s->report.step, error);
}

/* The endpoint is free for the next swap, and remembers this one. */
static void close_swap(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    antk_lock(&ep->lock);
    struct antk_candidate *before = ep->last_swap;
    atomic_fetch_add(&s->c.refs, 1);
    ep->last_swap = &s->c;
    ep->swap = NULL;
    antk_unlock(&ep->lock);
    if (before)
        antk_candidate_put(before);
}

static void step_11_return(struct antk_swap *s, int error)
{
    struct antk_body *self = s->c.requester;
    struct antk_endpoint *ep = s->c.endpoint;
    struct antk_times after;
    if (error != 0)
        report_failure(s, error);
    else
        antk_state_free_old(s);
    antk_swap_spend(s, ANT_SWAP_RETURN);
    antk_lock(&ep->lock);
    if (error == 0)
        s->report.step = s->report.step_time_ns[ANT_SWAP_EXIT] ? ANT_SWAP_EXIT : ANT_SWAP_RETURN;
    uint64_t end_ns = antk_swap_step(s, ANT_SWAP_RETURN);
    antk_unlock(&ep->lock);
    s->report.swap_ns = end_ns - s->report.step_time_ns[ANT_SWAP_REQUEST];
    antk_times_of(self, &after);
    if (!antk_times_exact(s))
        antk_report_new_times(s);
    antk_report_shares(s, &after);
    close_swap(s);
}

/* ---- the call ---- */

static void destroy(struct antk_candidate *c)
{
    struct antk_swap *s = antk_swap_of(c);
    antk_objects_drop(s->keep);
    if (s->group)
        antk_group_put(s->group);
    else
        free(s);
}

static const struct antk_candidate_ops swap_ops = {antk_state_bring, enroll, antk_swap_cancelled, destroy};

/*
 * Would the requester be woken in step 5 for nothing but to make step 6? It has to be if that costs it something, or to keep a time limit that ends before the one
 * that it waits for. `virtual` keeps to the letter of the protocol, unless it explores.
 */
static bool may_be_unattended(struct antk_swap *s, int64_t quiesce_timeout_ns, int64_t start_timeout_ns)
{
    struct antk_core *core = s->c.endpoint->core;
    bool to_the_letter = core->machine->kind == ANT_MACHINE_VIRTUAL && !core->machine->pct;
    bool in_time =
        start_timeout_ns < 0 || (quiesce_timeout_ns >= 0 && quiesce_timeout_ns <= start_timeout_ns);
    return !to_the_letter && in_time && core->costs.step_ns[ANT_SWAP_START] == 0;
}

/* Steps 2 to 10, as the requester sees them. */
static int run_steps(struct antk_swap *s, int64_t prepare_timeout_ns, int64_t quiesce_timeout_ns,
                     int64_t start_timeout_ns)
{
    int rc = antk_step_2_create(s);
    if (rc != 0) {
        give_up(s, rc);
        return antk_candidate_error(&s->c);
    }
    antk_swap_prepare(s, prepare_timeout_ns);
    bool itself = s->old == s->c.requester; /* from step 3 on, who dies is no old server any more */
    s->unattended = !itself && may_be_unattended(s, quiesce_timeout_ns, start_timeout_ns);
    antk_body_raise(s->c.requester, s->raised_priority);
    antk_step_3_notify(s);
    if (itself && antk_candidate_fate(&s->c) == ANTK_PENDING)
        antk_swap_rest_at_once(s);
    else
        antk_swap_await_rest(s, quiesce_timeout_ns);
    if (antk_candidate_fate(&s->c) == ANTK_PENDING && s->report.step_time_ns[ANT_SWAP_START] == 0)
        antk_step_6_start(s);
    if (antk_candidate_fate(&s->c) != ANTK_CANCELLED)
        antk_swap_await_enrolment(s, start_timeout_ns);
    if (antk_candidate_fate(&s->c) == ANTK_COMMITTED)
        return 0;
    s->report.abandoned = antk_candidate_wind_up(&s->c);
    return antk_candidate_error(&s->c);
}

void antk_swap_init(struct antk_swap *s, struct antk_endpoint *ep, struct antk_body *requester,
                    uint32_t function, const struct ant_program *program,
                    const struct ant_swap_options *options)
{
    antk_candidate_init(&s->c, &swap_ops, ep, program, requester);
    s->notice = (struct antk_notice){antk_step_4_look, antk_swap_old_ended, antk_swap_old_died,
                                     antk_swap_old_returned, NULL};
    s->deadline_ns = ANTK_NEVER;
    s->trust_state = options->trust_state;
    s->force = options->force;
    s->dead_state = ANTK_NO_FRAME;
    s->report.function = function;
    s->report.new_version = program->version;
}

void antk_swap_conclude(struct antk_swap *s, int error, struct ant_swap_report *report)
{
    struct antk_endpoint *ep = s->c.endpoint;
    bool restarted = error == 0 && s->report.restarted;
    step_11_return(s, error);
    if (restarted)
        antk_unpin(ep); /* which the dead had */
    antk_monitors_tell(ep, error == 0 ? ANT_CHANGE_SWAPPED : ANT_CHANGE_ROLLED_BACK, error);
    if (report) {
        antk_lock(&ep->lock);
        *report = s->report;
        antk_unlock(&ep->lock);
    }
}

static int swap_endpoint(struct antk_body *self, struct antk_endpoint *ep, uint32_t function,
                         const struct ant_program *program, const struct ant_swap_options *o,
                         struct ant_swap_report *report)
{
    struct antk_swap *s = calloc(1, sizeof *s);
    if (!s || !antk_old_object_prepare(s, o)) {
        free(s);
        return -ENOMEM;
    }
    antk_swap_init(s, ep, self, function, program, o);
    s->deadline_ns = antk_deadline(ep->core->machine, o->deadline_ns ? o->deadline_ns : ANT_FOREVER);
    if (s->deadline_ns != ANTK_NEVER)
        s->deadline_ns++; /* a swap that takes as long as that is in time, so the timer must not come before its last step */
    int rc = antk_swap_take(s, o);
    if (rc == 0 && o->deadline_ns)
        rc = admit(s, o->deadline_ns);
    if (rc != 0) {
        s->report.error = rc;
        s->report.step = ANT_SWAP_REQUEST;
        if ((rc == -ENOTSUP || rc == -ETIME) && report)
            *report = s->report;
        antk_candidate_put(&s->c);
        return rc;
    }
    antk_step_1_request(s);
    rc = run_steps(s, antk_swap_prepare_timeout(o), antk_swap_quiesce_timeout(o),
                   antk_swap_start_timeout(o));
    bool replaced = rc == 0 && s->old == self;
    antk_swap_conclude(s, rc, report);
    if (replaced) {
        antk_unpin(ep);
        antk_step_12_exit(s);
    }
    antk_candidate_put(&s->c);
    if (rc != 0)
        antk_body_raise(self, 0);
    return rc;
}

int antk_swap_check(uint32_t function, const struct ant_program *program,
                    const struct ant_swap_options *options)
{
    int rc = antk_program_check(program);
    if (rc != 0)
        return rc;
    bool transformers = options->transformer_count == 0 || options->transformers;
    return function != 0 && transformers && options->deadline_ns >= 0 ? 0 : -EINVAL;
}

int ant_swap(uint32_t function, const struct ant_program *program,
             const struct ant_swap_options *options, struct ant_swap_report *report)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    static const struct ant_swap_options defaults;
    const struct ant_swap_options *o = options ? options : &defaults;
    int rc = antk_swap_check(function, program, o);
    if (rc != 0)
        return rc;
    if (self->candidate)
        return -EBUSY;
    struct antk_endpoint *ep = antk_function_pin(self, function);
    if (!ep)
        return -ESRCH;
    antk_contain_learn_program(self->core, program);
    antk_contain_learn_transformers(self->core, o->transformers, o->transformer_count);
    rc = swap_endpoint(self, ep, function, program, o, report);
    antk_unpin(ep);
    antk_objects_close(self->core);
    return rc;
}
