/*
 * Gathering: the old servers of a group (many.c) come to rest, until all are at rest at the same time.
 *
 * A member that rests may be waited for by one that is not through with its message yet, and calls it. So it leaves its rest when one that does not rest waits for it, itself
 * or through others that do: for the requests which that caller has queued, up to the one it waits for; or, if it has received this one and keeps it, for any
 * message, since that may be what the answer depends on. Nothing else is shown to it, so all of this is work that had been begun before, and it ends.
 *
 * Who may have to go on looks for it when he comes to rest, and when anything is queued for him; what waits are strung together between others meanwhile
 * is seen by looking again, ever more seldom.
 *
 * No wake-up is lost: it first says that it wants to be woken (receiving), with the endpoint's lock, and then looks. And none leaves when all rest: the last to come makes
 * the count of the busy 0, and to leave one has to find it above.
 */
#include "core/ipc.h"
#include "swap/swap.h"

#include <errno.h>

#define HOPS_MAX 16
#define LOOK_AGAIN_NS ANT_NS_PER_MS

/* ---- who waits for whom ---- */

/* Whom a process waits for in ant_call, and where its request is; 0: for nobody. What it has sent last it is that it waits for. */
static ant_pid waits_for(struct antk_endpoint *ep, enum antk_request_state *state)
{
    struct antk_record *records = ep->core->records;
    ant_pid server = 0;
    antk_lock(&ep->lock);
    uint32_t frame = ep->body ? ep->out.tail : ANTK_NO_FRAME;
    while (frame != ANTK_NO_FRAME && atomic_load(&records[frame].incarnation) != ep->body->incarnation)
        frame = records[frame].link[ANTK_LINK_OUT].prev;
    if (frame != ANTK_NO_FRAME && records[frame].waiter != 0) {
        server = antk_sending(ep->core, frame)->server;
        *state = antk_state_of(&records[frame]);
    }
    antk_unlock(&ep->lock);
    return server;
}

static bool is_member(const struct antk_group *g, ant_pid pid)
{
    bool found = false;
    for (size_t i = 0; i < g->count; i++)
        found = found || antk_endpoint_pid(g->members[i].c.endpoint) == pid;
    return found;
}

/* Does a member wait for this endpoint, itself or through others? Who asks there, and what is due to him. */
static enum antk_due due_to(const struct antk_swap *m, struct antk_endpoint *ep, ant_pid *client)
{
    struct antk_core *core = ep->core;
    ant_pid waiting = antk_endpoint_pid(m->c.endpoint);
    for (int hops = 0; waiting != 0 && hops < HOPS_MAX; hops++) {
        enum antk_request_state state = ANTK_PLAIN;
        struct antk_endpoint *at = antk_pin(core, waiting); /* the swap may be over, and the process too */
        ant_pid server = at ? waits_for(at, &state) : 0;
        if (at)
            antk_unpin(at);
        *client = waiting;
        if (server == antk_endpoint_pid(ep))
            return state == ANTK_SERVICE  ? ANTK_DUE_ALL
                   : state == ANTK_QUEUED ? ANTK_DUE_OF_ONE
                                          : ANTK_DUE_NOTHING;
        waiting = is_member(m->group, server) ? 0 : server; /* that one's waits are looked at by themselves */
    }
    return ANTK_DUE_NOTHING;
}

/* What is due to members that do not rest. No lock is held. */
static enum antk_due due_of(const struct antk_swap *s, ant_pid *client)
{
    struct antk_group *g = s->group;
    enum antk_due due = ANTK_DUE_NOTHING;
    for (size_t i = 0; i < g->count && due != ANTK_DUE_ALL; i++) {
        const struct antk_swap *m = &g->members[i];
        ant_pid asks;
        enum antk_due more =
            m == s || atomic_load(&m->at_rest) ? ANTK_DUE_NOTHING : due_to(m, s->c.endpoint, &asks);
        if (more == ANTK_DUE_NOTHING)
            continue;
        due = more;
        *client = asks;
    }
    return due;
}

/* ---- an old server ---- */

enum antk_due antk_gather_due(struct antk_notice *notice, ant_pid *client)
{
    struct antk_swap *s = antk_swap_of_notice(notice);
    struct antk_endpoint *ep = s->c.endpoint;
    atomic_fetch_add(&s->c.refs, 1);
    antk_unlock(&ep->lock);
    enum antk_due due = due_of(s, client);
    antk_lock(&ep->lock);
    if (ep->notice != notice)
        due = ANTK_DUE_NOTHING;
    antk_candidate_put(&s->c);
    return due;
}

/* Not if all are at rest. */
static bool leave(struct antk_group *g)
{
    size_t busy = atomic_load(&g->busy);
    while (busy != 0 && !atomic_compare_exchange_weak(&g->busy, &busy, busy + 1))
        ;
    return busy != 0;
}

/* What it was doing when it was notified it does still; the rest in between counts as others' time. */
static void measure_on_locked(struct antk_swap *s)
{
    if (!s->old_measured)
        return;
    uint64_t so_far_ns = s->old_at_rest.blocked_ns - s->old_at_notice.blocked_ns;
    s->c.endpoint->core->machine->ops->watch(s->old->thread);
    s->old_at_notice.blocked_ns = antk_blocked_ns(s->old) - so_far_ns;
}

/* The swap is as open as ever? Then it wants to be woken for whatever comes. */
static bool listens(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    antk_lock(&ep->lock);
    bool open = ep->notice == &s->notice && antk_candidate_fate(&s->c) == ANTK_PENDING;
    ep->receiving = ep->receiving || open;
    antk_unlock(&ep->lock);
    return open;
}

bool antk_gather_goes_on(struct antk_swap *s, struct antk_body *self)
{
    struct antk_endpoint *ep = s->c.endpoint;
    ant_pid client = 0;
    if (atomic_load(&s->group->busy) == 0 || !listens(s))
        return false;
    enum antk_due due = due_of(s, &client);
    if (due == ANTK_DUE_NOTHING)
        return false;
    antk_lock(&ep->lock);
    bool goes_on = ep->notice == &s->notice && antk_candidate_fate(&s->c) == ANTK_PENDING &&
                   antk_has_due_locked(self, due, client) && leave(s->group);
    if (goes_on) {
        atomic_store(&s->at_rest, false);
        s->accepted = false;
        s->report.step = ANT_SWAP_LOOK;
        ep->receiving = false;
        measure_on_locked(s);
    }
    antk_unlock(&ep->lock);
    if (goes_on && s->old_watched)
        antk_watchdog_begin(self);
    return goes_on;
}

/* ---- the requester ---- */

/* All that rest look once more whether they have to go on. */
static void look_again(struct antk_group *g)
{
    for (size_t i = 0; i < g->count; i++) {
        struct antk_endpoint *ep = g->members[i].c.endpoint;
        antk_lock(&ep->lock);
        struct antk_body *old = ep->notice == &g->members[i].notice ? antk_receiver_locked(ep) : NULL;
        antk_unlock(&ep->lock);
        antk_wake(ep->core, old);
    }
}

/* The member that has to be at rest first; NULL: all are, just now. */
static struct antk_swap *first_due(struct antk_group *g)
{
    struct antk_swap *first = NULL;
    for (size_t i = 0; i < g->count; i++) {
        struct antk_swap *m = &g->members[i];
        if (!atomic_load(&m->at_rest) && (!first || m->limit_ns < first->limit_ns))
            first = m;
    }
    return first;
}

/* What it has to do when a wait for this member has ended with an error. */
static void stop_waiting_for(struct antk_swap *m, int error)
{
    bool late = error == -ETIMEDOUT;
    if (late && (m->limit_ns > antk_now(m->c.requester->machine) || atomic_load(&m->at_rest)))
        return;
    if (late && antk_swap_is_ending(m))
        m->limit_ns = ANTK_NEVER; /* it is dead, or on its way out of the core */
    else
        antk_candidate_cancel(&m->c, error);
}

void antk_gather_await(struct antk_group *g)
{
    struct antk_machine *machine = g->requester->machine;
    uint64_t interval_ns = LOOK_AGAIN_NS, again_ns = antk_now(machine) + interval_ns;
    while (atomic_load(&g->busy) != 0 && antk_candidate_fate(&g->members[0].c) == ANTK_PENDING) {
        struct antk_swap *m = first_due(g);
        uint64_t until_ns = m && m->limit_ns < again_ns ? m->limit_ns : again_ns;
        m = m ? m : &g->members[0];
        int rc = antk_candidate_park(&m->c, until_ns, "several servers to come to rest, first process");
        if (rc != 0 && atomic_load(&g->busy) != 0)
            stop_waiting_for(m, rc);
        if (antk_now(machine) < again_ns)
            continue;
        look_again(g);
        interval_ns *= 2;
        again_ns = antk_deadline_from(again_ns, (int64_t)interval_ns);
    }
}
