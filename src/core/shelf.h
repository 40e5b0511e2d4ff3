/*
 * Shelves: areas that a process has freed and is likely to allocate again, kept for it out of the pool.
 *
 * An area on a shelf is free to everybody who asks: it is detached, its owner is 0, its record is plain. But the pool still
 * counts it as taken, so its process gets it back without the pool's lock, and with its own bytes in it. When the pool is
 * exhausted, and before anybody is told how full it is, all that lies on shelves goes back to the pool; so nobody sees a
 * difference, except in where areas lie.
 *
 * Only with movers that have one window (`flat`): where pages move, that costs far more, and the pool's order decides which
 * areas lie in whole huge frames.
 *
 * Lock-free: an area belongs to whoever has taken it out of its slot. Whose bytes lie in it the pool knows, as of any that is
 * detached; a shelf is emptied when its process is gone only because nobody else would take from it.
 */
#ifndef ANTK_SHELF_H
#define ANTK_SHELF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANTK_SHELF_AREAS 8
#define ANTK_SHELF_PAGES 256u /* of an area; with larger ones the host's memory counts for more than the time */

struct antk_core;

struct antk_shelf {
    _Alignas(64) _Atomic uint64_t slots[ANTK_SHELF_AREAS]; /* pages << 32 | frame; 0: nothing */
};

/* Lays a detached area there; if there is no room, another one goes to the pool. False: it does not belong there (many windows, too large), and is still the caller's. pool_lock is not held. */
bool antk_shelf_put(struct antk_core *core, struct antk_shelf *shelf, uint32_t frame, uint32_t pages);
/* Takes an area of exactly so many pages from there, detached. False: there is none. */
bool antk_shelf_take(struct antk_shelf *shelf, size_t pages, uint32_t *frame);
/* Gives all that lies there to the pool. pool_lock is not held. */
void antk_shelf_clear(struct antk_core *core, struct antk_shelf *shelf);

/*
 * Gives all that lies on any shelf to the pool, and keeps it that way until they are opened again: meanwhile whoever frees
 * an area waits for the pool's lock, which the caller holds. Then the pool knows of every area that had been freed before.
 */
void antk_shelves_close_locked(struct antk_core *core);
void antk_shelves_open_locked(struct antk_core *core);

#endif
