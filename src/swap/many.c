/*
 * Several servers swapped as one: each makes the twelve steps (swap.c), and one word decides for all.
 *
 *   requester                      old servers                      new servers
 *   1, 2 for each
 *   waits for the one after the other                               prepare
 *   3 for each
 *   waits until all rest           4, 5; gather.c
 *   6 for each                                                      transformer, start; 7, and each waits for the others
 *                                                                   the last one commits, and makes 8 for each
 *                                  12                               9, 10
 *   woken by the last 10
 *   11 for each
 *
 * So the point of no return is one compare-and-swap for all; and none of them serves before all endpoints have changed hands, function ids included.
 */
#include "core/contain.h"
#include "core/core.h"
#include "core/function.h"
#include "core/object.h"
#include "swap/swap.h"

#include <errno.h>
#include <stdlib.h>

static const struct ant_swap_options *options_of(const struct ant_swap_item *item)
{
    static const struct ant_swap_options defaults;
    return item->options ? item->options : &defaults;
}

/* ---- the group ---- */

void antk_group_put(struct antk_group *g)
{
    if (atomic_fetch_sub(&g->alive, 1) == 1)
        free(g);
}

/* The requester's references, and its pins: of the first `count` members. */
static void let_go(struct antk_group *g, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct antk_endpoint *ep = g->members[i].c.endpoint;
        antk_candidate_put(&g->members[i].c);
        antk_unpin(ep);
    }
}

/* Pinned, by its function. -ESRCH; -EDEADLK: it is the caller; -EINVAL: it is there already. */
static int add_member(struct antk_group *g, size_t i, const struct ant_swap_item *item)
{
    struct antk_swap *s = &g->members[i];
    struct antk_body *self = g->requester;
    struct antk_endpoint *ep = antk_function_pin(self, item->function);
    if (!ep)
        return -ESRCH;
    int rc = ep == self->endpoint ? -EDEADLK : 0;
    if (i > 0 && antk_candidate_is_beside(&g->members[0].c, ep))
        rc = -EINVAL;
    if (rc == 0 && !antk_old_object_prepare(s, options_of(item)))
        rc = -ENOMEM;
    if (rc != 0) {
        antk_unpin(ep);
        return rc;
    }
    antk_contain_learn_program(self->core, item->program);
    antk_contain_learn_transformers(self->core, options_of(item)->transformers,
                                    options_of(item)->transformer_count);
    antk_swap_init(s, ep, self, item->function, item->program, options_of(item));
    s->notice.due = antk_gather_due;
    s->group = g;
    if (i > 0)
        antk_candidate_join(&s->c, &g->members[i - 1].c);
    return 0;
}

/* ---- step 1 ---- */

/* That of the least index above this one: all groups take theirs in this order, so of two that overlap one gets all. */
static size_t next_by_endpoint(const struct antk_group *g, int64_t above)
{
    size_t next = g->count;
    for (size_t i = 0; i < g->count; i++) {
        int64_t index = g->members[i].c.endpoint->index;
        if (index > above && (next == g->count || index < g->members[next].c.endpoint->index))
            next = i;
    }
    return next;
}

/* All are taken, or none; *refused is the one that could not be. */
static int take_all(struct antk_group *g, const struct ant_swap_item *items, size_t *refused)
{
    int rc = 0;
    size_t i;
    for (int64_t index = -1; rc == 0 && (i = next_by_endpoint(g, index)) < g->count;
         index = g->members[i].c.endpoint->index) {
        rc = antk_swap_take(&g->members[i], options_of(&items[i]));
        *refused = i;
    }
    if (rc == 0)
        return 0;
    antk_candidate_cancel(&g->members[*refused].c, rc); /* others may have found it already */
    for (i = 0; i < g->count; i++)
        antk_candidate_await_undone(&g->members[i].c);
    int64_t last = g->members[*refused].c.endpoint->index;
    for (i = 0; i < g->count; i++)
        if (g->members[i].c.endpoint->index < last)
            antk_swap_untake(&g->members[i]);
    return rc;
}

/* ---- steps 2 to 10, as the requester sees them ---- */

/* How many new servers there are; less than all: it is cancelled. */
static size_t create_all(struct antk_group *g)
{
    size_t created = 0;
    int rc = 0;
    while (rc == 0 && created < g->count) {
        rc = antk_step_2_create(&g->members[created]);
        if (rc == 0)
            created++;
        else
            antk_candidate_cancel(&g->members[created].c, rc);
    }
    return created;
}

/* One after the other, while all old servers serve. */
static void prepare_all(struct antk_group *g, const struct ant_swap_item *items)
{
    for (size_t i = 0; i < g->count; i++)
        if (antk_candidate_fate(&g->members[i].c) == ANTK_PENDING)
            antk_swap_prepare(&g->members[i], antk_swap_prepare_timeout(options_of(&items[i])));
}

static void notify_all(struct antk_group *g, const struct ant_swap_item *items, size_t created)
{
    int level = 0;
    for (size_t i = 0; i < created; i++)
        level = g->members[i].raised_priority > level ? g->members[i].raised_priority : level;
    antk_body_raise(g->requester, level);
    for (size_t i = 0; i < created; i++) {
        antk_step_3_notify(&g->members[i]);
        g->members[i].limit_ns =
            antk_deadline(g->requester->machine, antk_swap_quiesce_timeout(options_of(&items[i])));
    }
}

static void start_all(struct antk_group *g, const struct ant_swap_item *items)
{
    for (size_t i = 0; i < g->count; i++) {
        g->members[i].limit_ns =
            antk_deadline(g->requester->machine, antk_swap_start_timeout(options_of(&items[i])));
        antk_step_6_start(&g->members[i]);
    }
}

/* The new server whose time limit passes first; NULL: all have asked to be registered. */
static struct antk_swap *first_to_register(struct antk_group *g)
{
    struct antk_swap *first = NULL;
    for (size_t i = 0; i < g->count; i++) {
        struct antk_swap *m = &g->members[i];
        if (!atomic_load(&m->registered) && (!first || m->limit_ns < first->limit_ns))
            first = m;
    }
    return first;
}

static void await_enrolment(struct antk_group *g)
{
    struct antk_wait wait = {"the last steps of several swaps", -1, false, false};
    struct antk_swap *any = &g->members[0];
    while (antk_candidate_fate(&any->c) == ANTK_PENDING) {
        struct antk_swap *m = first_to_register(g);
        int rc = antk_candidate_park(m ? &m->c : &any->c, m ? m->limit_ns : ANTK_NEVER,
                                     "several new servers to start, at first that of process");
        m = first_to_register(g);
        if (rc == -ETIMEDOUT && (!m || m->limit_ns > antk_now(g->requester->machine)))
            continue;
        if (rc != 0)
            antk_candidate_cancel(m ? &m->c : &any->c, rc);
    }
    while (antk_candidate_fate(&any->c) == ANTK_COMMITTED && !atomic_load(&g->enrolled))
        antk_park(g->requester->thread, ANTK_NEVER, wait);
}

static int run_all(struct antk_group *g, const struct ant_swap_item *items)
{
    struct antk_candidate *any = &g->members[0].c;
    size_t created = create_all(g);
    prepare_all(g, items);
    notify_all(g, items, created);
    if (created == g->count)
        antk_gather_await(g);
    if (antk_candidate_fate(any) == ANTK_PENDING)
        start_all(g, items);
    await_enrolment(g);
    if (antk_candidate_fate(any) == ANTK_COMMITTED)
        return 0;
    for (size_t i = 0; i < g->count; i++)
        antk_candidate_await_undone(&g->members[i].c);
    for (size_t i = 0; i < created; i++)
        g->members[i].report.abandoned = antk_candidate_wind_up(&g->members[i].c);
    return antk_candidate_error(any);
}

/* ---- steps 8 and 10, on the new servers' threads ---- */

static void hand_all_over(struct antk_group *g)
{
    for (size_t i = 0; i < g->count; i++) {
        struct antk_endpoint *ep = g->members[i].c.endpoint;
        antk_lock(&ep->lock);
        antk_step_8_hand_over_locked(&g->members[i]);
        antk_unlock(&ep->lock);
    }
    atomic_store(&g->handed_over, true);
    for (size_t i = 0; i < g->count; i++)
        if (g->members[i].c.body != antk_self)
            antk_unpark(g->requester->core->machine, g->members[i].c.body->thread);
}

/* Waiting for the others is no part of a member's own time. */
static bool await_others(struct antk_swap *s)
{
    struct antk_group *g = s->group;
    struct antk_body *self = antk_self;
    struct antk_wait wait = {"the others that are swapped with it", -1, true, false};
    uint64_t from_ns = antk_times_exact(s) ? antk_blocked_ns(self) : 0;
    while (antk_candidate_fate(&s->c) != ANTK_CANCELLED && !atomic_load(&g->handed_over))
        antk_park(self->thread, ANTK_NEVER, wait);
    if (antk_times_exact(s))
        s->new_blocked_ns += antk_blocked_ns(self) - from_ns;
    return antk_candidate_fate(&s->c) == ANTK_COMMITTED;
}

bool antk_group_hand_over(struct antk_swap *s)
{
    struct antk_group *g = s->group;
    atomic_store(&s->registered, true);
    if (atomic_fetch_sub(&g->starting, 1) != 1)
        return await_others(s);
    bool committed = antk_candidate_commit(&s->c);
    if (committed)
        hand_all_over(g);
    return committed;
}

void antk_group_wake_again(struct antk_group *g)
{
    struct antk_body *requester = g->requester;
    if (atomic_fetch_sub(&g->finishing, 1) != 1)
        return;
    antk_body_raise(requester, 0); /* no time limit is left to keep */
    atomic_store(&g->enrolled, true);
    antk_unpark(requester->core->machine, requester->thread);
}

/* ---- the call ---- */

static int check_items(const struct ant_swap_item *items, size_t count)
{
    int rc = items && count > 0 && count <= ANT_SWAP_MANY_MAX ? 0 : -EINVAL;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = antk_swap_check(items[i].function, items[i].program, options_of(&items[i]));
        if (rc == 0 && options_of(&items[i])->deadline_ns != 0 && count > 1)
            rc = -EINVAL;
    }
    return rc;
}

/* Nothing was touched: one of them could not be taken. */
static void report_refusal(struct antk_group *g, const struct ant_swap_item *items, size_t refused,
                           int error, struct ant_swap_report *reports)
{
    for (size_t i = 0; reports && i < g->count; i++) {
        reports[i] = g->members[i].report;
        reports[i].error = i == refused ? error : -ECANCELED;
        reports[i].step = ANT_SWAP_REQUEST;
        reports[i].function = items[i].function;
        reports[i].new_version = items[i].program->version;
    }
}

static int swap_all(struct antk_group *g, const struct ant_swap_item *items, struct ant_swap_report *reports)
{
    size_t refused = 0;
    int rc = take_all(g, items, &refused);
    if (rc != 0) {
        report_refusal(g, items, refused, rc, reports);
        return rc;
    }
    for (size_t i = 0; i < g->count; i++)
        antk_step_1_request(&g->members[i]);
    rc = run_all(g, items);
    for (size_t i = 0; i < g->count; i++) {
        struct antk_swap *s = &g->members[i];
        antk_swap_conclude(s, rc == 0 || s->c.blamed ? rc : -ECANCELED, reports ? &reports[i] : NULL);
    }
    if (rc != 0)
        antk_body_raise(g->requester, 0);
    return rc;
}

int ant_swap_many(const struct ant_swap_item *items, size_t count, struct ant_swap_report *reports)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    int rc = check_items(items, count);
    if (rc != 0)
        return rc;
    if (count == 1)
        return ant_swap(items->function, items->program, items->options, reports);
    if (self->candidate)
        return -EBUSY;
    struct antk_group *g = calloc(1, sizeof *g + count * sizeof g->members[0]);
    if (!g)
        return -ENOMEM;
    g->requester = self;
    g->count = count;
    size_t added = 0;
    while (added < count && (rc = add_member(g, added, &items[added])) == 0)
        added++;
    atomic_store(&g->alive, added + 1); /* this call's */
    atomic_store(&g->busy, count);
    atomic_store(&g->starting, count);
    atomic_store(&g->finishing, count);
    if (added == count)
        rc = swap_all(g, items, reports);
    else
        report_refusal(g, items, added, rc, reports);
    let_go(g, added);
    antk_group_put(g);
    antk_objects_close(self->core);
    return rc;
}
