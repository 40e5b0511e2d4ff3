/*
 * Shelves: see shelf.h.
 *
 * Whoever closes them says so and then looks at every slot; whoever puts an area into a slot then looks whether they have
 * been closed. Both in one order (seq_cst): so either the former finds the area, or the latter takes it away again.
 */
#include "core/shelf.h"
#include "core/core.h"

bool antk_shelf_take(struct antk_shelf *shelf, size_t pages, uint32_t *frame)
{
    for (uint32_t i = 0; i < ANTK_SHELF_AREAS; i++) {
        uint64_t area = atomic_load_explicit(&shelf->slots[i], memory_order_relaxed);
        /* If it has been taken and put back meanwhile, it is as good. */
        if (area >> 32 == pages && atomic_compare_exchange_strong(&shelf->slots[i], &area, 0)) {
            *frame = (uint32_t)area;
            return true;
        }
    }
    return false;
}

static void clear_locked(struct antk_core *core, struct antk_shelf *shelf)
{
    for (uint32_t i = 0; i < ANTK_SHELF_AREAS; i++) {
        uint64_t area = atomic_load(&shelf->slots[i]);
        if (area != 0 && (area = atomic_exchange(&shelf->slots[i], 0)) != 0)
            antk_area_put(core->pool, (uint32_t)area);
    }
}

void antk_shelf_clear(struct antk_core *core, struct antk_shelf *shelf)
{
    antk_lock(&core->pool_lock);
    clear_locked(core, shelf);
    antk_unlock(&core->pool_lock);
}

static bool put_into_empty_slot(struct antk_shelf *shelf, uint64_t area)
{
    for (uint32_t i = 0; i < ANTK_SHELF_AREAS; i++) {
        uint64_t nothing = 0;
        if (atomic_load_explicit(&shelf->slots[i], memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong(&shelf->slots[i], &nothing, area))
            return true;
    }
    return false;
}

/* What has lain there for long makes room for what has just been in use. Under the lock: else, for a moment, whoever closes the shelves would find it nowhere. */
static void displace(struct antk_core *core, struct antk_shelf *shelf, uint64_t area)
{
    antk_lock(&core->pool_lock);
    uint64_t displaced = atomic_exchange(&shelf->slots[area % ANTK_SHELF_AREAS], area);
    if (displaced != 0)
        antk_area_put(core->pool, (uint32_t)displaced);
    antk_unlock(&core->pool_lock);
}

bool antk_shelf_put(struct antk_core *core, struct antk_shelf *shelf, uint32_t frame, uint32_t pages)
{
    if (!core->shelved || pages > ANTK_SHELF_PAGES)
        return false;
    uint64_t area = (uint64_t)pages << 32 | frame;
    if (!put_into_empty_slot(shelf, area))
        displace(core, shelf, area);
    else if (atomic_load(&core->shelves_closed))
        antk_shelf_clear(core, shelf);
    return true;
}

void antk_shelves_close_locked(struct antk_core *core)
{
    if (!core->shelved)
        return;
    atomic_store(&core->shelves_closed, true);
    for (uint32_t i = 0; i < core->config.max_processes; i++)
        clear_locked(core, &core->shelves[i]);
}

void antk_shelves_open_locked(struct antk_core *core)
{
    atomic_store(&core->shelves_closed, false);
}
