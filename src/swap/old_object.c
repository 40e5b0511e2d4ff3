/*
 * The old program's object in a swap. It may be unloaded from then on (object.h): so, before a new server is registered, its state is looked through for words that point there.
 * Nobody serves meanwhile. Or it is kept, if the requester wants that.
 *
 * What looks like such a pointer counts as one. Not found is what is not an aligned word with the very address: what is packed, offset, encoded; and what
 * lies in other areas than the state (a heap's further ones belong to it), or in the libraries that the object came with.
 */
#include "swap/swap.h"

#include "core/heap.h"
#include "core/loop.h"

#include <errno.h>
#include <stdlib.h>

/*
 * So many words are looked at at a time, with the endpoint's lock: until it is free the swap is not rolled back, so the old server does not go on, and frees nothing of
 * this. Clients, who queue requests with it, need not wait longer.
 */
#define PIECE_WORDS ((size_t)8192)

/* One branch for eight words: 34 us for a MiB where one for each takes 71 (docs/load.md). */
static bool any_of_eight(const uintptr_t *w, uintptr_t from, uintptr_t bytes)
{
    return (w[0] - from < bytes) | (w[1] - from < bytes) | (w[2] - from < bytes) |
           (w[3] - from < bytes) | (w[4] - from < bytes) | (w[5] - from < bytes) |
           (w[6] - from < bytes) | (w[7] - from < bytes);
}

/* The first word in [from, from + bytes); count, a multiple of eight: none is. */
static size_t find(const uintptr_t *words, size_t count, uintptr_t from, uintptr_t bytes)
{
    size_t at = 0;
    while (at < count && !any_of_eight(words + at, from, bytes))
        at += 8;
    while (at < count && words[at] - from >= bytes)
        at++;
    return at;
}

static int scan_area(struct antk_swap *s, uint32_t frame, const struct ant_loaded *object)
{
    struct antk_endpoint *ep = s->c.endpoint;
    size_t count = antk_pool_area(ep->core->pool, frame)->pages * (ANT_PAGE_BYTES / sizeof(uintptr_t));
    const uintptr_t *words = antk_area_address(&ep->window, frame);
    for (size_t from = 0; from < count; from += PIECE_WORDS) {
        size_t piece = count - from < PIECE_WORDS ? count - from : PIECE_WORDS;
        antk_loop_lock_inherited(&s->c);
        size_t at = find(words + from, piece, object->from, object->to - object->from);
        uintptr_t found = at < piece ? words[from + at] : 0;
        antk_unlock(&ep->lock);
        if (at == piece)
            continue;
        antk_log(&ep->core->log, ANT_LOG_WARNING,
                 "process %u (%s): its state holds, at offset %zu of the area at %p, an address in the object of version %u, which is replaced: 0x%zx",
                 ep->index, ep->name, (from + at) * sizeof(uintptr_t), (const void *)words,
                 s->report.old_version, (size_t)found);
        return -ESTALE;
    }
    return 0;
}

static uint32_t area_after(struct antk_swap *s, uint32_t state, uint32_t frame)
{
    struct antk_endpoint *ep = s->c.endpoint;
    antk_loop_lock_inherited(&s->c);
    uint32_t next = antk_heap_area_after(ep, state, frame);
    antk_unlock(&ep->lock);
    return next;
}

int antk_old_object_look(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    const struct ant_loaded *old = ep->object; /* only a swap changes it, and this is the one that goes on */
    if (!old || old == antk_self->object || s->keep)
        return 0;
    uint32_t frame = s->c.own_state          ? s->c.state
                     : antk_swap_inherits(s) ? ep->state
                                             : ANTK_NO_FRAME;
    uint32_t state = frame;
    int rc = 0;
    for (size_t most = antk_pool_pages(ep->core->pool);
         frame != ANTK_NO_FRAME && rc == 0 && most > 0; most--) {
        rc = scan_area(s, frame, old);
        frame = area_after(s, state, frame);
    }
    return rc;
}

/* ---- to keep it ---- */

bool antk_old_object_prepare(struct antk_swap *s, const struct ant_swap_options *options)
{
    if (options->keep_old_objects)
        s->keep = calloc(1, sizeof *s->keep);
    return s->keep || !options->keep_old_objects;
}

void antk_old_object_keep_locked(struct antk_swap *s)
{
    struct antk_endpoint *ep = s->c.endpoint;
    if (!s->keep)
        return;
    s->keep->object = antk_object_get(ep->object);
    s->keep->next = ep->kept;
    ep->kept = s->keep;
    s->keep = NULL;
}
