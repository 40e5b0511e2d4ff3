/*
 * Movers: the ways to carry the pages of an area from one window to another. One table of operations each.
 *
 * A mover keeps two promises. All or nothing: an operation that fails has put every page back. Exclusive: in no moment
 * do the pages show at two addresses, and (but for `flat`) an address that they have left faults.
 */
#ifndef ANTK_MOVER_H
#define ANTK_MOVER_H

#include "ica/pool.h"

/* An undo needs what was there a moment ago (page tables, mappings), but another thread may have it for a while. */
#define ANTK_UNDO_TRIES 100000u

/* Carries the pages of an area; bytes is their length. 0 or a negative errno value. */
typedef int antk_move(struct antk_pool *pool, char *from, char *to, size_t bytes);

struct antk_mover {
    enum ant_mover mover;
    const char *promise; /* half a sentence: what a stale access does */
    bool one_window;     /* every window is home */
    bool whole_huge;     /* areas of ANTK_HUGE_FROM pages and more take whole huge frames */
    bool keeps_bytes;    /* free frames keep what was left in them; otherwise they are zero when they are attached */

    /* Makes the reservation (PROT_NONE until now) into home and windows. -ENOTSUP or -ENOMEM, with the reason. */
    int (*create)(struct antk_pool *pool, char *reason, size_t reason_bytes);
    /* Gives back what create took, except the reservation; also after create has failed. */
    void (*destroy)(struct antk_pool *pool);
    /* [pool] Makes a window ready, once, while it is empty; may be NULL. */
    void (*open_window)(struct antk_pool *pool, char *window);
    /* [pool] Puts memory, all zero, into a block of home that has none; huge: is it one huge page? -ENOMEM. */
    int (*populate)(struct antk_pool *pool, uint32_t block, bool *huge);

    /* [pool] Called once for a populated block, all at home, before any piece of it moves alone; may be NULL. -ENOMEM. */
    int (*cut)(struct antk_pool *pool, uint32_t block);

    antk_move *attach; /* home -> window */
    antk_move *detach; /* window -> home */
    antk_move *remap;  /* window -> window */

    /* Gives up what is held back for an undo, for the next move; may be NULL. */
    void (*spend_reserve)(struct antk_pool *pool);
};

extern const struct antk_mover antk_mover_strict, antk_mover_strict_mremap, antk_mover_flat,
    antk_mover_copy;

/*
 * Chooses, by name or AUTO, reserves addresses and makes the windows; sets mover, base and span_bytes of a pool whose
 * sizes are set. Errors as antk_pool_create, with the reason.
 */
int antk_mover_start(struct antk_pool *pool, enum ant_mover wanted, char *reason, size_t reason_bytes);
void antk_mover_stop(struct antk_pool *pool);

/* For movers. Addresses without access, 2 MiB aligned, that no child inherits; NULL and errno. bytes: whole 2 MiB. */
char *antk_reserve(size_t bytes);
/* For movers. Does the system charge writable addresses, used or not (vm.overcommit_memory 2)? */
bool antk_charges_addresses(void);
/* For movers. Fills one block of writable memory; -ENOMEM. */
int antk_populate(char *block);
/* For movers. Writes why the system refused what; returns -ENOMEM. error: the errno value. */
int antk_no_memory(const struct antk_pool *pool, const char *what, size_t bytes, int error,
                   char *reason, size_t reason_bytes);
/* For movers, in an undo. Sets the protection that a run had before, however often that is refused at first. */
void antk_protect_again(char *run, size_t bytes, int protection);
/* For movers. The pages of an area cannot be brought back together: no promise holds any more. Does not return. */
_Noreturn void antk_mover_torn(void);

#endif
