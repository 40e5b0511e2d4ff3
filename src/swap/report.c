/* The report of a swap: the ledger that shows that nothing was lost, how long things took, and where the swap time went. */
#include "swap/swap.h"

#include "core/core.h"

#include <assert.h>
#include <errno.h>

/* ---- the ledger ---- */

void antk_ledger_take_locked(struct antk_endpoint *ep, struct antk_ledger *ledger)
{
    ledger->requests = ep->requests;
    ledger->results = ep->results;
    ledger->service = ep->service;
    ledger->out = ep->out;
}

static struct ant_swap_count since(const struct antk_queue *before, const struct antk_queue *now)
{
    return (struct ant_swap_count){
        .at_notice = before->count,
        .arrived = now->arrived - before->arrived,
        .left = now->left - before->left,
        .handed_over = now->count,
    };
}

void antk_report_ledger_locked(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    assert(antk_queue_intact(ep->core->records, &ep->requests) &&
           antk_queue_intact(ep->core->records, &ep->results) &&
           antk_queue_intact(ep->core->records, &ep->service) &&
           antk_queue_intact(ep->core->records, &ep->out));
    s->report.queued_requests = since(&s->at_notice.requests, &ep->requests);
    s->report.queued_results = since(&s->at_notice.results, &ep->results);
    s->report.in_service = since(&s->at_notice.service, &ep->service);
    s->report.outstanding = since(&s->at_notice.out, &ep->out);
}

/* ---- times ---- */

uint64_t antk_blocked_ns(struct antk_body *body)
{
    struct antk_times times;
    antk_times_of(body, &times);
    return times.blocked_ns;
}

bool antk_times_exact(struct antk_swap *s)
{
    return s->c.endpoint->core->machine->kind == ANT_MACHINE_VIRTUAL;
}

bool antk_old_is_measured(struct antk_swap *s)
{
    return s->old && s->old != s->c.requester && s->activity != ANTK_IDLE;
}

void antk_report_notice_cost(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    uint64_t cost_ns = ep->core->costs.step_ns[ANT_SWAP_NOTIFY];
    if (cost_ns == 0)
        return;
    antk_lock(&ep->lock);
    if (ep->body && ep->body == s->old && !s->accepted && antk_old_is_measured(s)) {
        uint64_t waited_ns = antk_blocked_ns(s->old) - s->old_at_notice.blocked_ns;
        s->notice_ns = waited_ns < cost_ns ? waited_ns : cost_ns;
    }
    antk_unlock(&ep->lock);
}

void antk_report_new_times(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    uint64_t *cpu_ns = &s->new_after.cpu_ns[ANTK_IDLE], before_ns = s->new_before.cpu_ns[ANTK_IDLE];
    const uint64_t *time_ns = s->report.step_time_ns;
    antk_lock(&ep->lock);
    if (ep->body && ep->body == s->c.body) {
        antk_times_of(s->c.body, &s->new_after);
        uint64_t limit_ns =
            before_ns + s->quiescent_ns + s->report.blackout_ns - time_ns[ANT_SWAP_START];
        *cpu_ns = *cpu_ns < limit_ns ? *cpu_ns : limit_ns; /* it may have served meanwhile */
    } else {
        *cpu_ns = before_ns + s->report.transform_ns + s->report.start_ns;
    }
    antk_unlock(&ep->lock);
}

bool antk_swap_begun(struct antk_swap *s)
{
    return atomic_load(&s->transformer_time_ns) != 0 || atomic_load(&s->start_time_ns) != 0;
}

/* From when on; 0: not yet. It may be a little ahead of a clock that was read before. */
static uint64_t elapsed_ns(uint64_t from_ns, uint64_t to_ns)
{
    return from_ns != 0 && to_ns > from_ns ? to_ns - from_ns : 0;
}

void antk_report_callbacks_locked(struct antk_swap *s, uint64_t now_ns)
{
    uint64_t transformer_ns = atomic_load(&s->transformer_time_ns),
             start_ns = atomic_load(&s->start_time_ns);
    s->report.transform_ns = elapsed_ns(transformer_ns, start_ns ? start_ns : now_ns);
    s->report.start_ns = elapsed_ns(start_ns, now_ns);
}

/* ---- the shares ---- */

static uint64_t cpu_between(const struct antk_times *from, const struct antk_times *to,
                            enum antk_activity activity)
{
    return to->cpu_ns[activity] - from->cpu_ns[activity];
}

static uint64_t all_cpu_between(const struct antk_times *from, const struct antk_times *to)
{
    uint64_t sum_ns = 0;
    for (int activity = 0; activity < ANTK_ACTIVITIES; activity++)
        sum_ns += cpu_between(from, to, (enum antk_activity)activity);
    return sum_ns;
}

static uint64_t take(uint64_t *rest_ns, uint64_t wanted_ns)
{
    uint64_t share_ns = wanted_ns < *rest_ns ? wanted_ns : *rest_ns;
    *rest_ns -= share_ns;
    return share_ns;
}

/* For the bounds of later swaps. */
static void remember_base(struct antk_swap *s)
{
    _Atomic uint64_t *longest_ns = &s->c.endpoint->core->longest_base_ns;
    uint64_t seen_ns = atomic_load(longest_ns);
    while (s->report.base_ns > seen_ns &&
           !atomic_compare_exchange_weak(longest_ns, &seen_ns, s->report.base_ns))
        ;
}

/*
 * The old server's time until it gave up its loop, blocked time included, went to the request or the result that it was
 * finishing; the parties' own time is the base, the old server's steps included; what remains, others had, or nobody (waiting for a processor). On `virtual`
 * these are exact. On a real machine with several CPUs the parties overlap, and the sum is kept by cutting the later ones.
 */
void antk_report_shares(struct antk_swap *s, const struct antk_times *requester_after)
{
    uint64_t work_ns[ANTK_ACTIVITIES] = {0}, base_ns = 0;
    if (s->old_measured) {
        for (int activity = 0; activity < ANTK_ACTIVITIES; activity++)
            work_ns[activity] =
                cpu_between(&s->old_at_notice, &s->old_at_rest, (enum antk_activity)activity);
        work_ns[s->activity] += s->lent_ns + work_ns[ANTK_IDLE] + s->old_at_rest.blocked_ns -
                                s->old_at_notice.blocked_ns - s->notice_ns;
    }
    if (s->accepted && s->old != s->c.requester)
        base_ns += s->old_costs_ns;
    base_ns += all_cpu_between(&s->requester_before, requester_after) +
               all_cpu_between(&s->new_before, &s->new_after) + s->new_after.blocked_ns -
               s->new_blocked_ns;
    uint64_t rest_ns = s->report.swap_ns - s->report.prepare_ns;
    s->report.request_work_ns = take(&rest_ns, work_ns[ANTK_REQUEST_WORK]);
    s->report.result_work_ns = take(&rest_ns, work_ns[ANTK_RESULT_WORK]);
    s->report.base_ns = take(&rest_ns, base_ns);
    s->report.higher_priority_ns = rest_ns;
    if (s->report.error == 0 && !s->group)
        remember_base(s);
}

/* ---- asked for later ---- */

int ant_swap_last(uint32_t function, struct ant_swap_report *report)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (function == 0 || !report)
        return -EINVAL;
    ant_pid pid;
    int rc = ant_lookup(function, &pid);
    struct antk_endpoint *ep = rc == 0 ? antk_pin(self->core, pid) : NULL;
    if (!ep)
        return -ESRCH;
    antk_lock(&ep->lock);
    struct antk_swap *last = (struct antk_swap *)ep->last_swap;
    if (last)
        *report = last->report;
    antk_unlock(&ep->lock);
    antk_unpin(ep);
    return last ? 0 : -ENOENT;
}

const char *ant_swap_step_name(enum ant_swap_step step)
{
    static const char *const names[] = {"request",        "create",     "notify",   "look",
                                        "wake-requester", "start",      "register", "hand-over",
                                        "wake-old",       "wake-again", "return",   "exit"};
    return step >= ANT_SWAP_REQUEST && step <= ANT_SWAP_EXIT ? names[step - 1] : "?";
}
