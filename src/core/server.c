/* Servers: creating one, the loop that runs a program's callbacks, state. */
#include "core/candidate.h"
#include "core/contain.h"
#include "core/function.h"
#include "core/ipc.h"
#include "core/loop.h"

#include <errno.h>
#include <ant/swap.h>
#include <stdlib.h>

#define START_TIMEOUT_NS ((int64_t)(10 * ANT_NS_PER_S))

/* ---- the loop ---- */

static void result(struct antk_body *self, struct ant_request *rq)
{
    if (self->server.program->result) {
        antk_go_outside(self);
        self->server.program->result(&self->server, rq);
        antk_come_back(self);
        return;
    }
    if (rq->data)
        ant_ica_free(rq->data);
    ant_request_free(rq);
}

/*
 * ant_swap_accept returns when the swap was rolled back, or this server has to go on for another: in both cases there is more to receive.
 */
static int callback_loop(struct antk_body *self)
{
    const struct ant_program *program = self->server.program;
    struct antk_loop loop = {.ready = true};
    for (;;) {
        struct ant_message message;
        antk_loop_receive(self, &loop, &message);
        switch (message.kind) {
        case ANT_SWAP:
            ant_swap_accept();
            break;
        case ANT_STOP:
            if (program->stop) {
                antk_go_outside(self);
                program->stop(&self->server);
                antk_come_back(self);
            }
            return 0;
        case ANT_RESULT:
            result(self, message.request);
            break;
        case ANT_REQUEST:
            antk_go_outside(self);
            program->request(&self->server, message.request);
            antk_come_back(self);
            break;
        }
    }
}

int antk_server_loop(struct antk_body *self)
{
    const struct ant_program *program = self->server.program;
    if (!program->run)
        return callback_loop(self);
    antk_go_outside(self);
    int status = program->run(&self->server);
    antk_come_back(self);
    return status;
}

/* ---- creating one ---- */

static bool timing_ok(const struct ant_timing *t)
{
    if (t->driver_count > ANT_TIMED_DRIVERS_MAX || (t->driver_count > 0 && !t->drivers))
        return false;
    bool ok = t->request_ns <= ANT_TIMING_MAX_NS && t->result_ns <= ANT_TIMING_MAX_NS &&
              t->start_ns <= ANT_TIMING_MAX_NS && t->request_min_ns <= ANT_TIMING_MAX_NS;
    for (size_t i = 0; i < t->driver_count; i++) {
        const struct ant_driver_timing *d = &t->drivers[i];
        ok = ok && d->burst_ns <= ANT_TIMING_MAX_NS && d->burst_min_ns <= d->burst_ns &&
             d->wait_ns <= ANT_TIMING_MAX_NS && (d->wait_max_ns == 0 || d->wait_max_ns >= d->wait_ns) &&
             d->wait_max_ns <= ANT_TIMING_MAX_NS && d->reply_ns <= ANT_TIMING_MAX_NS;
    }
    return ok;
}

int antk_program_check(const struct ant_program *program)
{
    if (!program)
        return -EINVAL;
    if (program->abi != ANT_ABI)
        return -EPROTO;
    if (!program->name || (program->request != NULL) == (program->run != NULL))
        return -EINVAL;
    if (program->run && (program->direct || program->ready || program->timer))
        return -EINVAL;
    if (program->transformer_count > 0 && !program->transformers)
        return -EINVAL;
    return program->timing && !timing_ok(program->timing) ? -EINVAL : 0;
}

static int bring_no_state(struct antk_candidate *c)
{
    (void)c;
    return 0;
}

static void enroll_fresh(struct antk_candidate *c)
{
    struct antk_endpoint *ep = c->endpoint;
    antk_lock(&ep->lock);
    bool committed = antk_candidate_commit(c);
    if (committed)
        antk_candidate_succeed_locked(c, 1);
    antk_unlock(&ep->lock);
    if (committed)
        antk_body_raise(antk_self, 0);
    antk_unpark(ep->core->machine, c->requester->thread);
}

static void cancelled_fresh(struct antk_candidate *c)
{
    (void)c; /* nobody served before */
}

static void destroy_fresh(struct antk_candidate *c)
{
    free(c);
}

static const struct antk_candidate_ops fresh_ops = {bring_no_state, enroll_fresh, cancelled_fresh,
                                                    destroy_fresh};

static int start_candidate(struct antk_candidate *c, uint32_t function, int priority,
                           const struct ant_server_options *o)
{
    struct antk_endpoint *ep = c->endpoint;
    int rc = antk_candidate_create(c, priority, ep->stack_bytes, ANT_START_FRESH, function, 1);
    if (rc != 0)
        return rc;
    antk_candidate_release(c, false);
    rc = antk_function_enter(ep, function, c->body->incarnation, true);
    if (rc != 0) {
        antk_candidate_cancel(c, rc);
    } else {
        antk_candidate_prepare(c, o->prepare_timeout_ns ? o->prepare_timeout_ns : ANTK_PREPARE_TIMEOUT_NS);
        antk_candidate_go(c);
        uint64_t deadline_ns = antk_deadline(
            ep->core->machine, o->start_timeout_ns ? o->start_timeout_ns : START_TIMEOUT_NS);
        while (antk_candidate_fate(c) == ANTK_PENDING) {
            rc = antk_candidate_park(c, deadline_ns, "the start of server");
            if (rc != 0)
                antk_candidate_cancel(c, rc);
        }
    }
    if (antk_candidate_fate(c) == ANTK_COMMITTED)
        return 0;
    antk_candidate_wind_up(c);
    return antk_candidate_error(c);
}

int ant_serve(uint32_t function, const struct ant_program *program,
              const struct ant_server_options *options, ant_pid *pid)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    static const struct ant_server_options defaults;
    const struct ant_server_options *o = options ? options : &defaults;
    int rc = antk_program_check(program);
    if (rc != 0 || function == 0)
        return rc ? rc : -EINVAL;
    int priority = o->priority ? o->priority : atomic_load(&self->base_priority);
    size_t stack_bytes = o->stack_bytes ? o->stack_bytes : self->core->config.stack_bytes;
    if (!antk_process_options_ok(priority, stack_bytes) || o->watchdog_ns < 0 || o->on_death > ANT_DEATH_FAIL)
        return -EINVAL;
    if (atomic_load(&self->endpoint->stopping))
        return -ESHUTDOWN;
    if (o->watchdog_ns > 0)
        rc = antk_watchdog_ensure(self->core);
    if (rc != 0)
        return rc;
    antk_objects_close(self->core);
    antk_contain_learn_program(self->core, program);
    antk_spend(self, self->core->costs.create_ns);
    struct antk_candidate *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    struct antk_endpoint *ep;
    rc = antk_endpoint_open(self->core, o->name ? o->name : program->name, priority, &ep);
    if (rc != 0) {
        free(c);
        return rc;
    }
    ep->queue_limit = o->queue_limit;
    ep->on_death = o->on_death;
    atomic_store(&ep->watchdog_ns, (uint64_t)o->watchdog_ns);
    ep->stack_bytes = stack_bytes;
    ep->first_function = function;
    antk_candidate_init(c, &fresh_ops, ep, program, self);
    antk_body_raise(self, priority + 1); /* so that its limit holds even if `start` spins */
    rc = start_candidate(c, function, priority, o);
    if (rc == 0 && pid)
        *pid = antk_endpoint_pid(ep);
    antk_candidate_put(c);
    antk_unpin(ep);
    antk_body_raise(self, 0);
    return rc;
}

/* ---- its state ---- */

bool antk_is_state(struct antk_body *self, uint32_t frame)
{
    struct antk_candidate *c = self->candidate;
    return c ? c->own_state && c->state == frame : self->endpoint->state == frame;
}

int ant_state_set(void *state)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!self->server.program)
        return -EINVAL;
    if (antk_is_preparing(self))
        return -EPERM;
    struct antk_candidate *c = self->candidate;
    struct antk_endpoint *ep = self->endpoint;
    uint32_t frame = ANTK_NO_FRAME;
    int rc = state ? antk_own_area(self, state, &frame) : 0;
    if (rc != 0)
        return rc;
    if (c) {
        c->own_state = true;
        c->state = frame;
    } else {
        antk_lock(&ep->lock);
        ep->state = frame;
        antk_unlock(&ep->lock);
    }
    self->server.state = state;
    self->server.state_bytes =
        state ? antk_pool_area(self->core->pool, frame)->pages * (size_t)ANT_PAGE_BYTES : 0;
    return 0;
}

void *ant_state(void)
{
    struct antk_body *self = antk_current();
    if (!self || !self->server.program)
        return NULL;
    struct antk_candidate *c = self->candidate;
    uint32_t frame = !c ? self->endpoint->state : c->own_state ? c->state : ANTK_NO_FRAME;
    return frame == ANTK_NO_FRAME ? NULL : antk_area_address(&self->endpoint->window, frame);
}
