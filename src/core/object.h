/*
 * Objects: shared objects that programs were loaded from (load.h), and who still needs them.
 *
 * An object lives as long as anybody has a reference to it: whoever loaded it; an endpoint whose server has its program; a body whose thread runs code of it, until that thread has
 * been joined, since the destructors of its thread-local variables run in its last instructions. Nobody else keeps pointers into it: a swap reads what it needs of the programs while
 * a body or the endpoint holds them, and reports, monitors and traces hold numbers.
 *
 * The last reference may go anywhere, under any lock. The object is closed later, by antk_objects_close, at a place where the loader's locks can be taken and its destructors run.
 */
#ifndef ANTK_OBJECT_H
#define ANTK_OBJECT_H

#include <ant/load.h>
#include <stdatomic.h>

struct antk_core;

struct ant_loaded {
    struct ant_loaded *next; /* the registry's */
    void *handle;            /* dlopen's */
    uintptr_t from, to;      /* where it is mapped */
    const struct ant_program *program;
    bool given_up; /* the registry's lock: by its loader */
    _Atomic uint32_t references;
};

/* Enters it with one reference, the loader's. */
void antk_object_add(struct ant_loaded *object);
/* The loader's reference goes. False: there is no such object, or it went before. */
bool antk_object_give_up(struct ant_loaded *object);

/* The object that an address lies in, with a reference; NULL: it lies in none that was loaded here. The same for a program. */
struct ant_loaded *antk_object_of(const void *address);
struct ant_loaded *antk_object_of_program(const struct ant_program *program);
/* One more reference, from somebody who has one; and one less. NULL is allowed. */
struct ant_loaded *antk_object_get(struct ant_loaded *object);
void antk_object_put(struct ant_loaded *object);

/*
 * Unloads what nobody has a reference to. Calling thread: in a public call, no lock held. core: whose ended threads are joined first; NULL: none.
 */
void antk_objects_close(struct antk_core *core);

/* Constructors and destructors run between these two: the calling thread is no process meanwhile. */
struct antk_body *antk_object_step_aside(void);
void antk_object_step_back(struct antk_body *self);

/* Objects that an endpoint's servers still need although they have been replaced. */
struct antk_kept {
    struct ant_loaded *object;
    struct antk_kept *next;
};
void antk_objects_drop(struct antk_kept *kept);

#endif
