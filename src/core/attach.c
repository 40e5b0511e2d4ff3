/*
 * Threads that join: see thread.h; and the cores that they find by their ids.
 *
 * Whoever joins counts among the core's live threads before he looks whether it is shutting down, and ant_shutdown says so before it counts them: so either he is refused, or
 * waited for. A core is on the list as long as the process that booted it holds it, so whoever finds it there can become a holder.
 */
#include "core/core.h"
#include "core/direct.h"

#include <errno.h>
#include <stdlib.h>

static struct antk_lock cores_lock; /* of no machine; taken with no other, and with nothing done under it */
static struct antk_core *cores; /* cores_lock: those that run */
static ant_core_id last_id;     /* cores_lock */

/* ---- cores by their ids ---- */

void antk_core_list(struct antk_core *core)
{
    antk_lock(&cores_lock);
    core->id = ++last_id;
    core->next = cores;
    cores = core;
    antk_unlock(&cores_lock);
}

void antk_core_unlist(struct antk_core *core)
{
    antk_lock(&cores_lock);
    struct antk_core **link = &cores;
    while (*link != core)
        link = &(*link)->next;
    *link = core->next;
    antk_unlock(&cores_lock);
}

/* Another thread of the parent's may have had the lock. */
void antk_cores_forget(void)
{
    atomic_store(&cores_lock.word, 0);
    cores = NULL;
}

/* Makes the calling thread one of its holders and of its live threads. -ESRCH, -ENOTSUP. */
static int find_and_hold(ant_core_id id, struct antk_core **found)
{
    antk_lock(&cores_lock);
    struct antk_core *core = cores;
    while (core && core->id != id)
        core = core->next;
    int rc = !core ? -ESRCH : core->machine->kind == ANT_MACHINE_VIRTUAL ? -ENOTSUP : 0;
    if (rc == 0) {
        atomic_fetch_add(&core->holders, 1);
        atomic_fetch_add(&core->live_threads, 1);
        *found = core;
    }
    antk_unlock(&cores_lock);
    return rc;
}

static void let_go(struct antk_core *core)
{
    atomic_fetch_sub(&core->live_threads, 1);
    if (atomic_load(&core->shutting_down)) /* it may have waited for this thread */
        antk_unpark(core->machine, core->boot->thread);
    antk_core_put(core);
}

int ant_core_self(ant_core_id *core)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!core)
        return -EINVAL;
    *core = self->core->id;
    return 0;
}

/* ---- a thread that ends without leaving ---- */

static antk_at_end at_end; /* its struct antk_attached */
static bool has_at_end;

static void leave(struct antk_attached *attached)
{
    antk_body_part(attached->body);
    antk_at_end_set(at_end, NULL);
    free(attached);
}

/* In a child of fork it is no process, and what its copy says is the parent's. */
static void on_thread_end(void *arg)
{
    struct antk_attached *attached = arg;
    if (antk_self && antk_host_of(antk_self) == attached->body)
        leave(attached);
}

static void watch_ends(void)
{
    has_at_end = antk_at_end_create(&at_end, on_thread_end);
}

/* ---- joining and leaving ---- */

static int join_as(struct antk_core *core, struct antk_attached *attached,
                   const struct ant_process_options *options, ant_pid *pid)
{
    int priority = options->priority ? options->priority : core->config.priority;
    struct antk_endpoint *ep;
    int rc = antk_endpoint_open(core, options->name ? options->name : "thread", priority, &ep);
    if (rc != 0)
        return rc;
    rc = antk_body_join(ep, priority, options->priority == 0, attached);
    if (rc == 0 && pid)
        *pid = antk_endpoint_pid(ep);
    antk_unpin(ep);
    return rc;
}

static int join(struct antk_core *core, const struct ant_process_options *options, ant_pid *pid)
{
    static antk_once_flag watched = ANTK_ONCE;
    antk_once(&watched, watch_ends);
    if (!has_at_end)
        return -EAGAIN;
    struct antk_attached *attached = calloc(1, sizeof *attached);
    if (!attached || !antk_at_end_set(at_end, attached)) {
        free(attached);
        return -ENOMEM;
    }
    int rc = join_as(core, attached, options, pid);
    if (rc != 0) {
        antk_at_end_set(at_end, NULL);
        free(attached);
    }
    return rc;
}

int ant_thread_attach(ant_core_id id, const struct ant_process_options *options, ant_pid *pid)
{
    static const struct ant_process_options defaults;
    const struct ant_process_options *o = options ? options : &defaults;
    if (antk_self)
        return -EBUSY;
    if (!antk_may_be_process())
        return -EPERM; /* as in ant_boot */
    if (o->stack_bytes != 0 ||
        (o->priority != 0 && !antk_process_options_ok(o->priority, ANTK_STACK_MIN)))
        return -EINVAL;
    struct antk_core *core;
    int rc = find_and_hold(id, &core);
    if (rc != 0)
        return rc;
    rc = join(core, o, pid);
    if (rc != 0)
        let_go(core);
    return rc;
}

/* Not by ANTK_ENTER: one that was abandoned is no process there, and may leave all the same. */
int ant_thread_detach(void)
{
    struct antk_body *self = antk_self;
    if (!self || !self->attached)
        return -EPERM;
    leave(self->attached);
    return 0;
}
