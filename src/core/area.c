/* Areas of processes: the ICA calls, and what the rest of the core does with areas. */
#include "core/candidate.h"

#include <assert.h>
#include <errno.h>

/* ---- for the rest of the core ---- */

/*
 * What is detached is nobody's request any more. Whoever sees this tag sees, too, that the area has left its window: therefore release. The next owner of the frame
 * gets it by way of a lock or a shelf, and says so by the area's owner.
 */
static void set_plain(struct antk_core *core, uint32_t frame)
{
    struct antk_record *record = antk_record(core, frame);
    uint64_t tag = atomic_load_explicit(&record->tag, memory_order_relaxed);
    atomic_store_explicit(&record->client, 0, memory_order_relaxed);
    atomic_store_explicit(&antk_sending(core, frame)->sent_with, 0, memory_order_relaxed);
    atomic_store_explicit(&record->tag, antk_tag(ANTK_PLAIN, 0, (uint32_t)(tag >> 32)),
                          memory_order_release);
}

/* For assertions: is the record of a free area as set_plain, or the core's beginning, has left it? */
static inline bool is_plain(struct antk_core *core, uint32_t frame)
{
    return antk_tag_state(atomic_load(&antk_record(core, frame)->tag)) == ANTK_PLAIN &&
           atomic_load(&antk_record(core, frame)->client) == 0 &&
           atomic_load(&antk_sending(core, frame)->sent_with) == 0;
}

static int take_from_pool(struct antk_core *core, size_t pages, uint32_t *frame)
{
    antk_lock(&core->pool_lock);
    int rc = antk_area_take(core->pool, pages, frame);
    if (rc == -ENOMEM) {
        antk_shelves_close_locked(core);
        rc = antk_area_take(core->pool, pages, frame);
        antk_shelves_open_locked(core);
    }
    antk_unlock(&core->pool_lock);
    return rc;
}

static void give_to_pool(struct antk_core *core, uint32_t frame)
{
    antk_lock(&core->pool_lock);
    antk_area_put(core->pool, frame);
    antk_unlock(&core->pool_lock);
}

int antk_area_new(struct antk_endpoint *ep, size_t pages, uint32_t incarnation, uint32_t *frame)
{
    struct antk_core *core = ep->core;
    int rc = antk_shelf_take(antk_shelf(ep), pages, frame) ? 0 : take_from_pool(core, pages, frame);
    if (rc != 0)
        return rc;
    assert(is_plain(core, *frame));
    /* seen by whoever sees the owner, which is written behind it */
    atomic_store_explicit(&antk_pool_area(core->pool, *frame)->tag, incarnation, memory_order_relaxed);
    rc = antk_area_attach(core->pool, &ep->window, *frame);
    if (rc != 0) {
        give_to_pool(core, *frame);
        return rc;
    }
    atomic_fetch_add_explicit(&ep->pages, pages, memory_order_relaxed);
    antk_trace_add(core, ep->index, ANT_EVENT_ALLOC, *frame, (int64_t)pages);
    return 0;
}

int antk_area_drop(struct antk_endpoint *ep, uint32_t frame)
{
    struct antk_core *core = ep->core;
    uint32_t pages = antk_pool_area(core->pool, frame)->pages;
    int rc = antk_area_bring_home(core->pool, &ep->window, frame);
    if (rc != 0) {
        antk_log(&core->log, ANT_LOG_ERROR, "process %u (%s): the area at frame %u cannot be detached: %s",
                 ep->index, ep->name, frame, ant_strerror(rc));
        return rc;
    }
    set_plain(core, frame);
    atomic_fetch_sub_explicit(&ep->pages, pages, memory_order_relaxed);
    if (!antk_shelf_put(core, antk_shelf(ep), frame, pages))
        give_to_pool(core, frame);
    antk_trace_add(core, ep->index, ANT_EVENT_FREE, frame, (int64_t)pages);
    return 0;
}

inline int antk_area_hand(struct antk_endpoint *from, struct antk_endpoint *to, uint32_t frame,
                          uint32_t data, bool must)
{
    if (from == to)
        return 0;
    struct antk_pool *pool = from->core->pool;
    size_t pages = antk_pool_area(pool, frame)->pages;
    if (data != ANTK_NO_FRAME)
        pages += antk_pool_area(pool, data)->pages;
    int rc =
        (must ? antk_areas_return : antk_areas_remap)(pool, &from->window, &to->window, frame, data);
    if (rc == 0) {
        atomic_fetch_sub_explicit(&from->pages, pages, memory_order_relaxed);
        atomic_fetch_add_explicit(&to->pages, pages, memory_order_relaxed);
    }
    return rc;
}

void antk_areas_sweep(struct antk_endpoint *ep, uint32_t incarnation, bool last)
{
    struct antk_core *core = ep->core;
    antk_lock(&core->sweep_lock); /* two bodies of one process may end at once */
    for (uint32_t frame = antk_area_next(core->pool, 0); frame != ANTK_NO_FRAME;
         frame = antk_area_next(core->pool, frame + 1)) {
        if (atomic_load(&ep->pages) == 0)
            break;
        struct antk_area *area = antk_pool_area(core->pool, frame);
        if (atomic_load(&area->owner) != ep->window.id)
            continue;
        enum antk_request_state state = antk_tag_state(atomic_load(&antk_record(core, frame)->tag));
        if (incarnation != 0 && atomic_load(&area->tag) != incarnation)
            continue;
        bool served = state == ANTK_QUEUED || state == ANTK_SERVICE;
        if (!last && (state == ANTK_CARRIED || (incarnation != 0 && served)))
            continue;
        uint32_t data = antk_record(core, frame)->data;
        bool answered = state == ANTK_DONE && data != ANTK_NO_FRAME; /* and not taken any more */
        if (answered && atomic_load(&antk_pool_area(core->pool, data)->owner) == ep->window.id)
            antk_area_drop(ep, data); /* else it has been met before */
        antk_area_drop(ep, frame);
    }
    antk_unlock(&core->sweep_lock);
}

void antk_areas_count(struct antk_core *core, uint32_t *areas, size_t *pages)
{
    *areas = 0;
    *pages = 0;
    for (uint32_t frame = antk_area_next(core->pool, 0); frame != ANTK_NO_FRAME;
         frame = antk_area_next(core->pool, frame + 1))
        if (atomic_load(&antk_pool_area(core->pool, frame)->owner) != 0)
            ++*areas;
    for (uint32_t i = 0; i < core->config.max_processes; i++)
        *pages += atomic_load(&core->endpoints[i].pages);
}

/* False: it is in the window already, but on its way. */
static bool received(uint64_t tag)
{
    return (1u << antk_tag_state(tag) & (1u << ANTK_PLAIN | 1u << ANTK_HELD | 1u << ANTK_SERVICE)) != 0;
}

inline bool antk_is_a_strays(struct antk_endpoint *ep, uint32_t frame)
{
    struct antk_core *core = ep->core;
    if (__builtin_expect(atomic_load_explicit(&ep->strays, memory_order_relaxed) == 0, 1))
        return false;
    if (antk_tag_state(atomic_load(&antk_record(core, frame)->tag)) == ANTK_SERVICE)
        return false; /* it has sent it to itself, and the old server has received it */
    uint32_t incarnation = atomic_load(&antk_pool_area(core->pool, frame)->tag);
    antk_lock(&core->lock);
    struct antk_body *body = core->live_bodies;
    while (body && (body->endpoint != ep || body->incarnation != incarnation))
        body = body->live_next;
    bool stray = body && atomic_load(&body->stray);
    antk_unlock(&core->lock);
    return stray;
}

/*
 * For those who look at frame after frame: an area in this window, and received. What is taken back just now, and received there, is not; nor if it is
 * sent here again meanwhile: with each sending its tag is another.
 */
static bool is_here(struct antk_endpoint *ep, uint32_t frame)
{
    struct antk_record *record = antk_record(ep->core, frame);
    uint64_t tag = atomic_load(&record->tag);
    return received(tag) &&
           atomic_load(&antk_pool_area(ep->core->pool, frame)->owner) == ep->window.id &&
           atomic_load(&record->tag) == tag;
}

/* ... and a body's own: a new server's what it has allocated, its predecessor's all the rest. Strays are asked for before, because of the order of locks; nobody becomes one now. */
static bool is_own(struct antk_body *self, uint32_t frame)
{
    struct antk_endpoint *ep = self->endpoint;
    struct antk_area *area = antk_pool_area(ep->core->pool, frame);
    if (atomic_load(&area->owner) != ep->window.id)
        return false;
    bool own = self->candidate ? atomic_load(&area->tag) == self->incarnation
                               : !antk_is_a_strays(ep, frame);
    return own && is_here(ep, frame);
}

/* In `prepare` a new server is shown nothing of its predecessor's, which may free it any moment. */
int antk_find_here(struct antk_body *self, const void *address, uint32_t *frame)
{
    int rc = antk_area_find(self->core->pool, &self->endpoint->window, address, frame);
    if (rc != 0)
        return rc;
    bool shown = antk_is_preparing(self) ? is_own(self, *frame) : is_here(self->endpoint, *frame);
    return shown ? 0 : -EPERM;
}

/* What the dead had: their heir has received nothing yet, and nothing is in service. */
static bool is_estate(struct antk_endpoint *ep, uint32_t frame, uint32_t heir)
{
    struct antk_area *area = antk_pool_area(ep->core->pool, frame);
    return atomic_load(&area->owner) == ep->window.id && atomic_load(&area->tag) != heir &&
           !antk_is_a_strays(ep, frame) && is_here(ep, frame);
}

void antk_areas_disinherit(struct antk_endpoint *ep, uint32_t heir)
{
    struct antk_core *core = ep->core;
    antk_lock(&core->sweep_lock);
    for (uint32_t frame = antk_area_next(core->pool, 0); frame != ANTK_NO_FRAME;
         frame = antk_area_next(core->pool, frame + 1))
        if (is_estate(ep, frame, heir))
            antk_area_drop(ep, frame);
    antk_unlock(&core->sweep_lock);
}

ANTK_APART static int find_own_slowly(struct antk_body *self, const void *address, uint32_t *frame,
                                      bool *request)
{
    struct antk_core *core = self->core;
    int rc = antk_area_find(core->pool, &self->endpoint->window, address, frame);
    if (rc != 0)
        return rc;
    uint64_t tag = atomic_load(&antk_record(core, *frame)->tag);
    if (!received(tag) || (antk_is_a_strays(self->endpoint, *frame) && !self->candidate))
        return -EPERM;
    if (self->candidate && atomic_load(&antk_pool_area(core->pool, *frame)->tag) != self->incarnation)
        return -EPERM; /* the predecessor's */
    /* Both once more: what was queued here may have been taken back between the two looks, and be its client's. */
    if (atomic_load(&antk_pool_area(core->pool, *frame)->owner) != self->endpoint->window.id ||
        atomic_load(&antk_record(core, *frame)->tag) != tag)
        return -EPERM;
    *request = antk_tag_state(tag) != ANTK_PLAIN;
    return 0;
}

/* With nobody new about, and nothing on its way, three looks tell: see is_here. */
inline int antk_find_own(struct antk_body *self, const void *address, uint32_t *frame, bool *request)
{
    struct antk_core *core = self->core;
    struct antk_endpoint *ep = self->endpoint;
    size_t offset = (uintptr_t)address - (uintptr_t)ep->window.base;
    uint32_t here = (uint32_t)(offset / ANT_PAGE_BYTES);
    if (ANTK_RARELY(offset >= core->config.pool_bytes || offset % ANT_PAGE_BYTES != 0 ||
                    self->candidate || atomic_load_explicit(&ep->strays, memory_order_relaxed) != 0))
        return find_own_slowly(self, address, frame, request);
    struct antk_record *record = antk_record(core, here);
    uint64_t tag = atomic_load_explicit(&record->tag, memory_order_acquire);
    if (ANTK_RARELY(!received(tag) ||
                    atomic_load_explicit(&antk_pool_area(core->pool, here)->owner,
                                         memory_order_acquire) != ep->window.id ||
                    atomic_load_explicit(&record->tag, memory_order_acquire) != tag))
        return find_own_slowly(self, address, frame, request);
    *frame = here;
    *request = antk_tag_state(tag) != ANTK_PLAIN;
    return 0;
}

int antk_own_area(struct antk_body *self, const void *address, uint32_t *frame)
{
    bool request;
    int rc = antk_find_own(self, address, frame, &request);
    return rc == 0 && request ? -EINVAL : rc;
}

/* ---- the calls ---- */

int ant_ica_alloc(size_t pages, void **area)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!area || pages == 0 || pages > antk_pool_pages(self->core->pool))
        return -EINVAL;
    uint32_t frame;
    int rc = antk_area_new(self->endpoint, pages, self->incarnation, &frame);
    if (rc == 0)
        *area = antk_area_address(&self->endpoint->window, frame);
    return rc;
}

int ant_ica_free(void *area)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    uint32_t frame;
    int rc = antk_own_area(self, area, &frame);
    if (rc != 0)
        return rc;
    if (antk_is_state(self, frame))
        return -EBUSY;
    return antk_area_drop(self->endpoint, frame);
}

int ant_ica_info(const void *area, struct ant_ica_info *info)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!info)
        return -EINVAL;
    uint32_t frame;
    int rc = antk_find_here(self, area, &frame);
    if (rc != 0)
        return rc;
    info->pages = antk_pool_area(self->core->pool, frame)->pages;
    info->frame = frame;
    info->contiguity = antk_area_contiguity(self->core->pool, &self->endpoint->window, frame);
    return 0;
}

int ant_ica_list(void **areas, size_t capacity, size_t *count)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!count || (!areas && capacity > 0))
        return -EINVAL;
    struct antk_core *core = self->core;
    struct antk_endpoint *ep = self->endpoint;
    size_t found = 0;
    for (uint32_t frame = antk_area_next(core->pool, 0); frame != ANTK_NO_FRAME;
         frame = antk_area_next(core->pool, frame + 1)) {
        if (!is_own(self, frame))
            continue;
        if (found < capacity)
            areas[found] = antk_area_address(&ep->window, frame);
        found++;
    }
    *count = found;
    return 0;
}

int ant_ica_stats(struct ant_ica_stats *stats)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!stats)
        return -EINVAL;
    stats->page_count = antk_pool_pages(self->core->pool);
    stats->own_pages = atomic_load(&self->endpoint->pages);
    antk_lock(&self->core->pool_lock);
    antk_shelves_close_locked(self->core);
    antk_pool_stats(self->core->pool, &stats->free_pages, &stats->largest_free_run);
    antk_shelves_open_locked(self->core);
    antk_unlock(&self->core->pool_lock);
    return 0;
}
