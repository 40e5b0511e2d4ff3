/* Promises 1, 4 and 5 for swaps: what the reports say, and whether the answers that clients had agree with it. */
#include "check.h"

static const struct history_swap *swap_of[CHECK_VERSIONS];
static uint32_t received_late[CHECK_VERSIONS]; /* after the notice of the swap to this version */

static struct check_version *version_of(struct check *c, uint32_t version)
{
    static struct check_version none;
    return version < CHECK_VERSIONS ? &c->versions[version] : &none;
}

/* ---- each report by itself ---- */

static void check_ledgers(struct check *c, const struct history_swap *s)
{
    static const char *const names[] = {"queued requests", "queued results", "requests in service",
                                        "requests outstanding"};
    for (int i = 0; i < 4; i++) {
        const struct history_count *n = &s->counts[i];
        if (n->at_notice + n->arrived - n->left != n->handed_over)
            check_violation(c, 1, "the swap to version %u had %u %s, %u came, %u went, and it handed over %u",
                            s->version, n->at_notice, names[i], n->arrived, n->left, n->handed_over);
    }
}

static void check_times(struct check *c, const struct history_swap *s)
{
    uint64_t before_ns = 0;
    for (uint32_t step = 1; step <= 10; step++) {
        uint64_t time_ns = s->step_time_ns[step];
        if (time_ns != 0 && time_ns < before_ns)
            check_violation(c, 4, "the swap to version %u came to step %u before the one ahead of it",
                            s->version, step);
        before_ns = time_ns != 0 ? time_ns : before_ns;
    }
    uint64_t shares_ns = s->base_ns + s->request_work_ns + s->result_work_ns + s->higher_priority_ns;
    if (s->step_time_ns[1] != 0 && s->step_time_ns[11] != 0 && shares_ns != s->swap_ns)
        check_violation(c, 5, "the shares of the swap to version %u are %llu ns, but it took %llu",
                        s->version, (unsigned long long)shares_ns, (unsigned long long)s->swap_ns);
}

/* Whatever was queued: the pause is the steps' own time, and what had a higher priority meanwhile. */
static void check_blackout(struct check *c, const struct history_swap *s)
{
    uint64_t bound_ns = s->transform_ns + s->start_ns + s->higher_priority_ns + 16 * c->begin->switch_ns;
    for (int step = 4; step <= 10; step++)
        bound_ns += c->begin->step_ns[step];
    if (s->error == 0 && !s->restarted && s->returned != 1 && s->blackout_ns > bound_ns)
        check_violation(
            c, 5, "nobody served for %llu ns in the swap to version %u, of which %llu have a reason",
            (unsigned long long)s->blackout_ns, s->version, (unsigned long long)bound_ns);
}

/* ---- who serves when ---- */

static void learn_swap(struct check *c, const struct history_record *r)
{
    const struct history_swap *s = &r->swap;
    struct check_version *v = version_of(c, s->version);
    c->verdict.swaps += s->error == 0;
    c->verdict.rollbacks += s->error != 0 && s->step != 0;
    c->verdict.restarts += s->error == 0 && s->restarted;
    if (v->fate == CHECK_FAILED || v->fate == CHECK_COMMITTED)
        check_violation(c, 4, "the swap to version %u has ended twice", s->version);
    v->fate = s->error == 0 ? CHECK_COMMITTED : CHECK_FAILED;
    v->generation = s->generation;
    v->commit_ns = s->step_time_ns[8];
    if (s->error == 0 && v->commit_ns == 0)
        check_violation(c, 4, "the swap to version %u has succeeded without step 8", s->version);
    if (s->error != 0 && v->commit_ns != 0)
        check_violation(c, 4, "the swap to version %u has failed after step 8: %d", s->version, s->error);
    if (s->version < CHECK_VERSIONS)
        swap_of[s->version] = s;
    check_ledgers(c, s);
    check_times(c, s);
    check_blackout(c, s);
}

static void learn(struct check *c, const struct history_record *r, uint32_t *lives)
{
    struct check_version *v;
    switch ((enum history_kind)r->kind) {
    case HISTORY_SWAPPING:
        v = version_of(c, r->swapping.version);
        v->fate = CHECK_UNKNOWN;
        v->function = r->actor;
        v->commit_ns = r->time_ns;
        v->anew = r->swapping.anew != 0;
        break;
    case HISTORY_SERVED:
        v = version_of(c, r->served.version);
        v->fate = r->served.error == 0 ? CHECK_COMMITTED : CHECK_FAILED;
        v->generation = 1;
        v->life = ++*lives;
        break;
    case HISTORY_SWAP:
        learn_swap(c, r);
        break;
    default:
        break;
    }
}

/* The next program of the same function that is known to have served. */
static const struct check_version *next_of(struct check *c, const struct check_version *v)
{
    const struct check_version *next = NULL;
    for (uint32_t i = 1; i < CHECK_VERSIONS; i++) {
        const struct check_version *w = &c->versions[i];
        if (w->fate == CHECK_COMMITTED && w->function == v->function &&
            w->commit_ns > v->commit_ns && (!next || w->commit_ns < next->commit_ns))
            next = w;
    }
    return next;
}

/* Between two programs, may a server have been created anew by somebody who did not live to tell? */
static bool one_untold(struct check *c, const struct check_version *v, const struct check_version *next)
{
    for (uint32_t i = 1; i < CHECK_VERSIONS; i++) {
        const struct check_version *w = &c->versions[i];
        if (w->fate == CHECK_UNKNOWN && w->anew && w->function == v->function &&
            w->commit_ns >= v->commit_ns && w->commit_ns <= next->commit_ns)
            return true;
    }
    return false;
}

/* In a server's life, each program that served had a higher generation than the one before. */
static void check_generations(struct check *c)
{
    for (uint32_t i = 1; i < CHECK_VERSIONS; i++) {
        const struct check_version *v = &c->versions[i];
        const struct check_version *next = v->fate == CHECK_COMMITTED ? next_of(c, v) : NULL;
        if (next && next->life == 0 && next->generation <= v->generation && !one_untold(c, v, next))
            check_violation(c, 4, "generation %u of function %u came after %u", next->generation,
                            v->function, v->generation);
    }
}

/* ---- the answers ---- */

static void check_answer(struct check *c, const struct history_record *r, uint32_t version,
                         uint32_t generation, uint64_t time_ns)
{
    const struct check_version *v = version_of(c, version);
    uint32_t number = r->result.number;
    if (v->fate == CHECK_FAILED || v->fate == CHECK_NOT_TRIED) {
        check_violation(c, 4, "request %u of client %u was served by version %u, which was never to serve",
                        number, r->actor, version);
        return;
    }
    if (v->fate == CHECK_UNKNOWN)
        return;
    const struct check_version *next = next_of(c, v);
    if (generation != v->generation)
        check_violation(c, 4, "request %u of client %u was served by generation %u of version %u, whose generation is %u",
                        number, r->actor, generation, version, v->generation);
    if (time_ns < v->commit_ns || (next && time_ns > next->commit_ns))
        check_violation(c, 4, "request %u of client %u was served by version %u at %llu ns, when another served",
                        number, r->actor, version, (unsigned long long)time_ns);
}

/*
 * The notice comes before any request: at most one is received between steps 3 and 5, the one that the old server had in hand already (it says so
 * a little later, if starting on it wakes the core's watchdog).
 */
static void check_notice_first(struct check *c, const struct history_record *r)
{
    const struct history_service *s = &r->result.service;
    uint32_t function = version_of(c, s->first_version)->function;
    for (uint32_t i = 1; i < CHECK_VERSIONS; i++) {
        const struct history_swap *swap = swap_of[i];
        if (swap && function == c->versions[i].function && swap->step_time_ns[3] != 0 &&
            s->first_time_ns > swap->step_time_ns[3] && s->first_time_ns < swap->step_time_ns[5] &&
            ++received_late[i] > 1)
            check_violation(
                c, 5, "request %u of client %u was received at %llu ns, after the notice of the swap to version %u",
                r->result.number, r->actor, (unsigned long long)s->first_time_ns, swap->version);
    }
}

void check_swaps(struct check *c)
{
    uint32_t lives = 0;
    memset(c->versions, 0, sizeof c->versions);
    memset(swap_of, 0, sizeof swap_of);
    memset(received_late, 0, sizeof received_late);
    for (uint32_t i = 0; i < c->count; i++)
        learn(c, c->records[i], &lives);
    check_generations(c);
    for (uint32_t i = 0; i < c->count; i++) {
        const struct history_record *r = c->records[i];
        if (r->kind != HISTORY_RESULT || r->result.error != 0 || r->result.service.first_serial == 0)
            continue;
        const struct history_service *s = &r->result.service;
        check_answer(c, r, s->first_version, s->first_generation, s->first_time_ns);
        check_answer(c, r, s->reply_version, s->reply_generation, s->reply_time_ns);
        check_notice_first(c, r);
    }
}
