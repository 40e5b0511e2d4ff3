/*
 * A host that fails or dawdles when it is told to: every call that libant makes for memory, mappings, page moves and
 * threads passes through here, and so do its locks and futexes.
 *
 * A program gets it by ant_use_wrap(target) in tests/CMakeLists.txt: it is then linked with a libant whose references to
 * the calls below have been renamed. So only libant's own calls are counted and fail, never the test's. What liburcu does
 * inside its shared library (cds_lfht_new and the reclaiming thread, both at boot) is out of reach.
 *
 *   WRAP_ALLOCATION  malloc, calloc                                    NULL, ENOMEM
 *   WRAP_MAPPING     mmap, mremap, mprotect, madvise(POPULATE_WRITE)   ENOMEM
 *   WRAP_MOVE        ioctls of userfaultfd                             ENOMEM, or what wrap_move_error says
 *   WRAP_THREAD      pthread_create                                    EAGAIN
 *
 * All functions may be called from any thread at any time; those that arm a failure are for one thread.
 */
#ifndef WRAP_H
#define WRAP_H

#include <stdbool.h>
#include <stdint.h>

enum wrap_kind {
    WRAP_ALLOCATION,
    WRAP_MAPPING,
    WRAP_MOVE,
    WRAP_THREAD,
    WRAP_KINDS
};

/*
 * "For good" relents after so many refusals in a row to one thread, for so many calls of that thread: an undo, and a result that
 * must arrive, are tried for a while, because the host can give again what has just been given back to it, libant's own reserve
 * among that. libant promises no more, and its patience (RETURN_TRIES in src/ica/area.c) is longer than this one.
 */
#define WRAP_RELENTS 500u
#define WRAP_MERCY 2048u

/* The nth call of this kind from now fails (1: the next); for good: all after it too. Replaces what was armed for the kind, and its mercy. */
void wrap_fail(enum wrap_kind kind, uint64_t nth, bool for_good);
/* From now on page moves that fail do so with this errno value; 0: ENOMEM. */
void wrap_move_error(int error);
/* A page move of several pages that is to fail carries half of them (EAGAIN), and the call after it fails: something to undo. */
void wrap_move_half(bool half);
/* Nothing fails any more. */
void wrap_heal(void);
/* Heals, and counts from 0 again (not what libant holds). Also the error and the halves are as at first. */
void wrap_reset(void);

/* Calls seen, and failures delivered, since wrap_reset. */
uint64_t wrap_count(enum wrap_kind kind);
uint64_t wrap_failed(enum wrap_kind kind);
/* Blocks of memory, and bytes of addresses, that libant holds now. */
int64_t wrap_live(void);
int64_t wrap_mapped_bytes(void);
/* "allocation", "mapping", "move", "thread". */
const char *wrap_kind_name(enum wrap_kind kind);

/* From now on seen(lock) is called whenever a thread is about to take a lock of libant's, on that thread; NULL: nobody is. */
void wrap_lock_seen(void (*seen)(const void *lock));

/*
 * So many in a thousand of these are delayed: before taking a lock of libant, after giving it up, before and after a futex call,
 * after creating a thread; by spinning for 0.2 to 50 us, or now and then by sched_yield. Drawn from seed, by each thread by
 * itself. 0: none.
 */
void wrap_delays(uint64_t seed, unsigned per_thousand);
/* Delays made since wrap_delays. */
uint64_t wrap_delayed(void);

#endif
