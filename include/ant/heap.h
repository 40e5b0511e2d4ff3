/*
 * Heaps: objects of any size, within areas of the calling process. For a state that consists of lists, hashes and strings.
 *
 * A server's areas keep their addresses through every swap, so do the objects, and pointers between them stay valid as they are. A heap's
 * first area is the heap (the address of the one is that of the other), and what a server makes its state: ant_state_set(heap). It grows by further areas
 * of the same process.
 *
 * A heap belongs to the process that has its areas, and is used by that only, on its own thread. Who may only read it: a new server
 * in `start`, and in a transformer, its predecessor's (ant_heap_open, ant_heap_root, ant_heap_info, ant_heap_check, and all pointers in it). After a
 * swap with a transformer the old state goes, and if it is a heap, all of its areas go with it: the new state may not point into it.
 *
 * What a program does to a heap but by these calls is undefined, but noticed where a header, a link or an area no longer is what it was: the call returns
 * -EBADMSG, and has changed nothing. docs/heap.md says what is not noticed.
 */
#ifndef ANT_HEAP_H
#define ANT_HEAP_H

#include <ant/base.h>

ANT_BEGIN_DECLS

struct ant_heap;

struct ant_heap_info {
    size_t areas;         /* that it consists of */
    size_t bytes;         /* of these, in whole pages */
    size_t objects;       /* allocated, and not freed */
    size_t used_bytes;    /* that these were asked for with */
    size_t free_bytes;    /* in blocks that are free; bytes less both is what headers and rounding take */
    size_t largest_bytes; /* of the largest object that it has room for without growing */
};

/* What ant_heap_check has found. */
struct ant_heap_damage {
    const char *what;  /* in a sentence; constant */
    const void *where; /* the header, link or area that is not as it should be */
};

/*
 * Makes a heap, in an area of the calling process's.
 *
 * bytes: that there shall be room for at first, for objects with 16 bytes of header each; 0: what one page has room for. Takes whole pages.
 * heap: gets its address, which is that of its first area. The caller's until ant_heap_destroy.
 * Blocks as ant_ica_alloc.
 *
 * Errors:
 *   -EINVAL  heap is NULL, or bytes is more than the pool has, or than 16 GiB
 *   -ENOMEM  the pool has no run of that many pages free, or the host no memory or mapping
 *   -EPERM   the calling thread is no process
 */
ANT_API int ant_heap_create(size_t bytes, struct ant_heap **heap);

/*
 * Finds the heap that a state is, after a swap. Looks at its first header, not at every object: see ant_heap_check.
 *
 * state: the first byte of an area, as in self->state. In `start`, and in a transformer, also the predecessor's, whose heap may only be read until the commit.
 * heap: gets its address: that of the state.
 *
 * Errors:
 *   -EINVAL   heap is NULL, or state points into the middle of an area
 *   -EFAULT   state is the address of no area
 *   -EPERM    the area there is another process's; or the calling thread is no process
 *   -EBADMSG  it is no heap, or was one that lay elsewhere, or its header is damaged
 *   -EPROTO   it is a heap of another version of libant, whose layout this one does not know
 */
ANT_API int ant_heap_open(const void *state, struct ant_heap **heap);

/*
 * Frees a heap with all its objects. (ant_ica_free frees the first area only; the others would stay the process's.)
 *
 * heap: not the state of the calling server: set another one first, or none.
 *
 * Errors:
 *   -EFAULT   heap is the address of no area
 *   -EINVAL   heap is no heap
 *   -EPERM    it is another process's, or its predecessor's; or the calling thread is no process
 *   -EBUSY    it is the state of the calling server, or is being compacted
 *   -EBADMSG  it is damaged: it cannot be told which areas it has; they stay the process's (ant_ica_list)
 */
ANT_API int ant_heap_destroy(struct ant_heap *heap);

/*
 * Sets the object from which a program finds all others.
 *
 * object: of this heap, or NULL for none. It stays the root when it is resized or moved, without anybody being told; when it is freed, there is none.
 *
 * Errors:
 *   -EFAULT  heap is the address of no area, or object lies in none of this heap's
 *   -EINVAL  heap is no heap, or object no object of it
 *   -EPERM   it is another process's, or its predecessor's; or the calling thread is no process
 *   -EBUSY   it is being compacted
 *   -EBADMSG  its header is damaged
 */
ANT_API int ant_heap_root_set(struct ant_heap *heap, void *object);

/*
 * The object that was set as root; NULL: none, or heap is NULL.
 *
 * heap: of the caller, or, in `start`, of its predecessor. Only reads; is not checked beyond that.
 */
ANT_API void *ant_heap_root(const struct ant_heap *heap);

/*
 * Allocates an object. Takes a bounded time, but where the heap has to grow.
 *
 * bytes: 1 to as many as the pool has.
 * object: gets its address, a multiple of 16. Every byte is 0. The heap's; ant_heap_free gives it back.
 * Grows the heap if need be, by an area as large as the heap is, but 64 KiB at least and 4 MiB at most unless the object is larger; by less if the pool has not
 * that much. Blocks as ant_ica_alloc.
 *
 * Errors:
 *   -EINVAL   object is NULL, bytes is 0 or more than the pool has, or than 16 GiB; or heap is no heap
 *   -ENOMEM   there is no room, and the pool has not enough pages in one run for more, or the host no memory or mapping
 *   -EFAULT   heap is the address of no area
 *   -EPERM    it is another process's, or its predecessor's; or the calling thread is no process
 *   -EBUSY    it is being compacted
 *   -EBADMSG  it is damaged
 */
ANT_API int ant_heap_alloc(struct ant_heap *heap, size_t bytes, void **object);

/*
 * Makes an object longer or shorter; it may then lie elsewhere. Bytes that it has before and after are kept, those that it gains are 0.
 *
 * object: points to the address of an object of this heap, and gets the new one; to NULL: as ant_heap_alloc.
 * bytes: 1 to as many as the pool has.
 *
 * Errors:
 *   -EFAULT   heap is the address of no area, or the object lies in none of this heap's
 *   -EINVAL   object is NULL, bytes is 0 or more than the pool has, or than 16 GiB; heap is no heap; or it is no object of it: freed before, or inside one
 *   -ENOMEM   as ant_heap_alloc; the object is as it was
 *   -EPERM    it is another process's, or its predecessor's; or the calling thread is no process
 *   -EBUSY    it is being compacted
 *   -EBADMSG  it is damaged
 */
ANT_API int ant_heap_resize(struct ant_heap *heap, size_t bytes, void **object);

/*
 * Frees an object. Takes a bounded time. The heap keeps its areas: see ant_heap_trim.
 *
 * object: of this heap; NULL: nothing is done.
 *
 * Errors:
 *   -EFAULT   heap is the address of no area, or the object lies in none of this heap's
 *   -EINVAL   heap is no heap; or it is no object of it: freed before, or inside one
 *   -EPERM    it is another process's, or its predecessor's; or the calling thread is no process
 *   -EBUSY    it is being compacted
 *   -EBADMSG  it is damaged
 */
ANT_API int ant_heap_free(struct ant_heap *heap, void *object);

/*
 * Gives areas that hold no object back to the pool; never the first. Takes time in proportion to their number. An area that the host cannot take now stays.
 *
 * Errors:
 *   -EFAULT   heap is the address of no area
 *   -EINVAL   heap is no heap
 *   -EPERM    it is another process's, or its predecessor's; or the calling thread is no process
 *   -EBUSY    it is being compacted
 *   -EBADMSG  it is damaged
 */
ANT_API int ant_heap_trim(struct ant_heap *heap);

/*
 * Tells how full a heap is. Takes time in proportion to the free blocks of about the greatest length.
 *
 * heap: of the caller, or, in `start`, of its predecessor.
 * info: filled.
 *
 * Errors:
 *   -EINVAL   info is NULL, or heap is no heap
 *   -EFAULT   heap is the address of no area
 *   -EPERM    it is another process's; or the calling thread is no process
 *   -EBADMSG  it is damaged
 */
ANT_API int ant_heap_info(const struct ant_heap *heap, struct ant_heap_info *info);

/*
 * Looks at every header and every link of a heap. Takes time in proportion to its objects.
 *
 * heap: of the caller, or, in `start`, of its predecessor.
 * damage: gets the first thing found, with -EBADMSG only; may be NULL.
 *
 * Errors:
 *   -EFAULT   heap is the address of no area
 *   -EINVAL   heap is no heap
 *   -EPERM    it is another process's; or the calling thread is no process
 *   -EBADMSG  it is damaged
 */
ANT_API int ant_heap_check(const struct ant_heap *heap, struct ant_heap_damage *damage);

/*
 * Moves all objects together, so that what is free is in one piece at the end of each area, and gives areas back that then hold none. Nothing is thrown away.
 *
 * trace: is called once, before anything has moved, and calls ant_heap_moved for every pointer to an object of this heap that the program keeps, wherever it
 *   keeps it: in objects, in other areas, in variables. It may not allocate or free in this heap. context: handed to it.
 *   Addresses that the program has made something else of (a hash of an address, an order by address, an index) are its own to rebuild.
 *   When it returns, all those pointers are changed, and everything has moved, unless an error is returned: then nothing has.
 * A pointer that it is not told of points to where its object was. That cannot be noticed.
 * Takes time in proportion to the heap's bytes; takes memory of the host's, 8 bytes for each pointer, until it returns. (If the process dies in trace, that is lost.)
 *
 * Errors:
 *   -EINVAL   trace is NULL, or heap is no heap; or ant_heap_moved was told of what is no object, or of a pointer that lies between objects
 *   -EEXIST   ant_heap_moved was told of a pointer twice, or of two that overlap
 *   -EFAULT   heap is the address of no area; or ant_heap_moved was told of an object that lies in none of this heap's
 *   -EPERM    it is another process's, or its predecessor's; or the calling thread is no process
 *   -EBUSY    it is being compacted: the call was made by trace
 *   -EBADMSG  it is damaged
 *   -ENOMEM   the host has no memory for the list of pointers
 */
ANT_API int ant_heap_compact(struct ant_heap *heap, void (*trace)(struct ant_heap *heap, void *context),
                             void *context);

/*
 * Tells of a pointer to an object that ant_heap_compact is about to move. Called by trace only, exactly once for each pointer. The compaction is given up if this
 * fails.
 *
 * pointer: the address of the pointer, which must stay where it is until ant_heap_compact has changed it; or of one that is NULL, which is left alone.
 *
 * Errors:
 *   -EINVAL  pointer is NULL, heap is no heap, is not being compacted, or what it points to is no object of it
 *   -EFAULT  heap is the address of no area, or what it points to lies in none of this heap's
 *   -EPERM   heap is another process's, or its predecessor's; or the calling thread is no process
 *   -EBADMSG  the heap's header is damaged
 *   -ENOMEM  the host has no memory for the list of pointers
 */
ANT_API int ant_heap_moved(struct ant_heap *heap, void *pointer);

ANT_END_DECLS

#endif
