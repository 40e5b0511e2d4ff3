/*
 * Gathering: the old servers of a group (many.c) come to rest, until all are at rest at the same time.
 *
 * A member that rests may be needed by one that is not through with its message yet, and waits in ant_call: for it, for a process whose work waits for it in turn, or for one that
 * keeps the request and has asked it. So it leaves its rest, for what that process has queued, up to what it waits for; or, if it keeps that request itself, for any
 * message, since that may be what the answer depends on. Nothing else is shown to it: all of this is work that had been begun before, and it ends.
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

#define LOOK_AGAIN_NS ANT_NS_PER_MS
#define WAITING_MAX (ANT_SWAP_MANY_MAX + 64u)

/* ---- who needs whom ---- */

/* Processes whose work has to go on for all members to come to rest. Of what they have sent counts what they wait for, or all: */
struct waiting {
    size_t count, looked_at;
    struct {
        ant_pid pid;
        bool all; /* it keeps a request, whose answer may depend on any of them */
    } processes[WAITING_MAX];
};

static void add(struct waiting *w, ant_pid pid, bool all)
{
    size_t i = 0;
    while (i < w->count && !(w->processes[i].pid == pid && w->processes[i].all == all))
        i++;
    if (i == w->count && i < WAITING_MAX) {
        w->processes[i].pid = pid;
        w->processes[i].all = all;
        w->count++;
    }
}

/* Off the list, and at rest, a member is nobody's worry while what it is to do is still queued: it leaves its rest for that. */
static bool rests(const struct antk_group *g, ant_pid pid)
{
    bool found = false;
    for (size_t i = 0; i < g->count; i++)
        found = found || (antk_endpoint_pid(g->members[i].c.endpoint) == pid &&
                          atomic_load(&g->members[i].at_rest));
    return found;
}

/* A request that one of them has sent: is it for the endpoint that asks? Else whoever has it is one of them, too. */
static enum antk_due follow(const struct antk_swap *s, uint32_t frame, struct waiting *w)
{
    struct antk_endpoint *ep = s->c.endpoint;
    ant_pid server = antk_sending(ep->core, frame)->server;
    enum antk_request_state state = antk_state_of(antk_record(ep->core, frame));
    bool kept = state == ANTK_SERVICE;
    if (server == antk_endpoint_pid(ep))
        return kept ? ANTK_DUE_ALL : state == ANTK_QUEUED ? ANTK_DUE_OF_ONE : ANTK_DUE_NOTHING;
    if (kept || !rests(s->group, server))
        add(w, server, kept);
    return ANTK_DUE_NOTHING;
}

/* All that the process has out, or, of its body, the last: it waits for that, or for nothing. Its lock is held. */
static enum antk_due follow_all_locked(const struct antk_swap *s, struct antk_endpoint *from,
                                       bool all, struct waiting *w)
{
    struct antk_record *records = from->core->records;
    enum antk_due due = ANTK_DUE_NOTHING;
    uint32_t frame = from->body || all ? from->out.tail : ANTK_NO_FRAME;
    for (; frame != ANTK_NO_FRAME; frame = records[frame].link[ANTK_LINK_OUT].prev) {
        bool last = !all && atomic_load(&records[frame].incarnation) == from->body->incarnation;
        enum antk_due more =
            all || (last && records[frame].waiter != 0) ? follow(s, frame, w) : ANTK_DUE_NOTHING;
        due = more > due ? more : due;
        if (last || due == ANTK_DUE_ALL)
            break;
    }
    return due;
}

/* What is due, and to whom. No lock is held. */
static enum antk_due due_of(const struct antk_swap *s, ant_pid *client)
{
    struct antk_group *g = s->group;
    struct waiting w = {0};
    enum antk_due due = ANTK_DUE_NOTHING;
    for (size_t i = 0; i < g->count; i++)
        if (&g->members[i] != s && !atomic_load(&g->members[i].at_rest))
            add(&w, antk_endpoint_pid(g->members[i].c.endpoint), false);
    for (; w.looked_at < w.count && due != ANTK_DUE_ALL; w.looked_at++) {
        ant_pid pid = w.processes[w.looked_at].pid;
        struct antk_endpoint *from =
            antk_pin(g->requester->core, pid); /* the swap may be over, and the process too */
        if (!from)
            continue;
        antk_lock(&from->lock);
        enum antk_due more = follow_all_locked(s, from, w.processes[w.looked_at].all, &w);
        antk_unlock(&from->lock);
        antk_unpin(from);
        if (more > due) {
            due = more;
            *client = pid;
        }
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

/* A wait has ended with an error. What follows for the member that is to be at rest first, by now? */
static void stop_waiting(struct antk_group *g, int error)
{
    struct antk_swap *m = first_due(g);
    bool late = error == -ETIMEDOUT;
    if (late && (!m || m->limit_ns > antk_now(g->requester->machine)))
        return;
    if (late && antk_swap_is_ending(m))
        m->limit_ns = antk_deadline(g->requester->machine, ANTK_ENDING_TIMEOUT_NS);
    else
        antk_candidate_cancel(m ? &m->c : &g->members[0].c, error);
}

void antk_gather_await(struct antk_group *g)
{
    struct antk_machine *machine = g->requester->machine;
    uint64_t interval_ns = LOOK_AGAIN_NS, again_ns = antk_now(machine) + interval_ns;
    while (atomic_load(&g->busy) != 0 && antk_candidate_fate(&g->members[0].c) == ANTK_PENDING) {
        struct antk_swap *m = first_due(g);
        uint64_t until_ns = m && m->limit_ns < again_ns ? m->limit_ns : again_ns;
        int rc = antk_candidate_park(m ? &m->c : &g->members[0].c, until_ns,
                                     "several servers to come to rest, at first process");
        if (rc != 0 && atomic_load(&g->busy) != 0)
            stop_waiting(g, rc);
        if (antk_now(machine) < again_ns)
            continue;
        look_again(g);
        interval_ns *= 2;
        again_ns = antk_deadline_from(again_ns, (int64_t)interval_ns);
    }
}
