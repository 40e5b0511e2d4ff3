/* What the objects of unit.load and that test tell each other. */
#ifndef OBJECTS_H
#define OBJECTS_H

#include <ant/ant.h>
#include <stdatomic.h>

/* Defined by the test, whose program the objects find it in. */
extern struct objects {
    _Atomic int constructed, destructed; /* how often; -1 for each that could do what a process may */
    _Atomic int threads_over;            /* destructors of thread-local variables */
    /* What their programs do: */
    _Atomic int start_result;
    _Atomic bool start_spins;
    _Atomic bool keeps_pointer; /* the state names a function of the object, from the next change on */
    _Atomic bool copies_state;  /* `start` makes itself a state of its own in a swap */
} objects;

enum {
    OP_COUNT,  /* replies with struct answer */
    OP_CRASH,  /* reads what is not there */
    OP_HELPER, /* creates a process of the object's; its id is in cookie_of_helper */
    OP_POINTER /* calls the function that the state names */
};

struct answer {
    uint32_t version, count;
    ant_pid helper;
};

#endif
