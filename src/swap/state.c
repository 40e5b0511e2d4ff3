/* The state in a swap: which way it takes to the new program, what that is shown of it, and the end of an old one. */
#include "swap/swap.h"

#include "core/heap.h"
#include "core/ipc.h"

#include <errno.h>

static const struct ant_transformer *find_transformer(const struct ant_transformer *transformers,
                                                      size_t count, uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < count; i++)
        if (transformers[i].from_version == from && transformers[i].to_version == to &&
            transformers[i].transform)
            return &transformers[i];
    return NULL;
}

int antk_state_plan(const struct ant_program *old, const struct ant_program *new,
                    const struct ant_swap_options *options, struct ant_transformer *found)
{
    if (old->state_version == new->state_version)
        return 0;
    uint32_t from = old->state_version, to = new->state_version;
    const struct ant_transformer *way =
        find_transformer(options->transformers, options->transformer_count, from, to);
    if (!way)
        way = find_transformer(new->transformers, new->transformer_count, from, to);
    if (way)
        *found = *way; /* copied: the options are the caller's only during the call */
    return way ? 0 : -ENOTSUP;
}

static void show(struct antk_body *self, uint32_t frame)
{
    struct antk_endpoint *ep = self->endpoint;
    bool some = frame != ANTK_NO_FRAME;
    self->server.state = some ? antk_area_address(&ep->window, frame) : NULL;
    self->server.state_bytes =
        some ? antk_pool_area(ep->core->pool, frame)->pages * (size_t)ANT_PAGE_BYTES : 0;
}

int antk_state_bring(struct antk_candidate *c)
{
    struct antk_swap *s = antk_swap_of(c);
    struct antk_body *self = antk_self;
    struct antk_machine *machine = self->core->machine;
    if (antk_times_exact(s))
        s->new_blocked_ns = antk_blocked_ns(self);
    s->new_before = c->prepared_times;
    if (s->report.restarted)
        self->server.reason = ANT_START_RESTART;
    bool inherits = antk_swap_inherits(s);
    c->disinherited = !inherits;
    show(self, inherits ? c->endpoint->state : ANTK_NO_FRAME);
    if (inherits && s->transformer.transform) {
        void *state = NULL;
        self->transformer_object = antk_object_of((const void *)(uintptr_t)s->transformer.transform);
        atomic_store(&s->transformer_time_ns, antk_now(machine));
        antk_go_outside(self);
        int rc = s->transformer.transform(&self->server, self->server.state,
                                          self->server.state_bytes, &state);
        antk_come_back(self);
        if (rc == 0)
            rc = ant_state_set(state);
        if (rc != 0)
            return rc;
    }
    atomic_store(&s->start_time_ns, antk_now(machine));
    return 0;
}

/* The areas of an old state that was a heap are listed from it on, by the link that a dead area does not need. Each is in the list once, as only a plain one gets there. */
static void take_out_of_reach(struct antk_core *core, uint32_t last, uint32_t frame)
{
    antk_record(core, frame)->link[ANTK_LINK_OUT].next = ANTK_NO_FRAME;
    if (last != ANTK_NO_FRAME)
        antk_record(core, last)->link[ANTK_LINK_OUT].next = frame;
    antk_set_state(antk_record(core, frame), ANTK_CARRIED, 0);
}

/* What another new server has, or this one has allocated, is no part of the old state, whatever that says. */
static bool is_of_the_old(struct antk_endpoint *ep, uint32_t frame)
{
    return atomic_load(&antk_pool_area(ep->core->pool, frame)->tag) != antk_self->incarnation &&
           !antk_is_a_strays(ep, frame);
}

void antk_state_leave_behind(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    uint32_t last = ANTK_NO_FRAME, frame = s->dead_state, state = frame;
    while (frame != ANTK_NO_FRAME) {
        take_out_of_reach(ep->core, last, frame);
        last = frame;
        frame = antk_heap_area_after(ep, state, frame);
        if (frame != ANTK_NO_FRAME && !is_of_the_old(ep, frame))
            frame = ANTK_NO_FRAME;
    }
}

void antk_state_free_old(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    for (uint32_t frame = s->dead_state, next; frame != ANTK_NO_FRAME; frame = next) {
        next = antk_record(ep->core, frame)->link[ANTK_LINK_OUT].next;
        if (!antk_endpoint_bequeath(ep, frame))
            antk_area_drop(ep, frame);
    }
}
