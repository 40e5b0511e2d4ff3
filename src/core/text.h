/*
 * Text: which code is whose. A fault may be contained, and a thread be stopped by force, in the program's own code only: anywhere else it
 * may hold a lock that nobody would ever give back (malloc's, stdio's, the loader's).
 *
 * The program's is the text of the executable and of other objects that its callbacks were found in. Where the core is linked statically it lies in the executable
 * too: antk_body.inside tells them apart. The C library's memory functions take no lock: what happens there is their caller's doing.
 */
#ifndef ANTK_TEXT_H
#define ANTK_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* Before anything else here, as often as one likes. False: this program's C library or processor is not known, and all else says no. */
bool antk_text_learn(void);
/* Learns the object that a callback of the program's lies in, unless that is the core's or a system library. */
void antk_text_add(const void *function);
/* An object is about to be unmapped from there. */
void antk_text_forget(uintptr_t from, uintptr_t to);

/* Those below are async-signal-safe. */
bool antk_text_is_program(uintptr_t pc);
bool antk_text_is_memory_function(uintptr_t pc);

/*
 * Was a context (the third argument of the signal handler that this is called from) interrupted in the program's own code, or in a
 * memory function that it has called?
 */
bool antk_text_interrupted_program(const void *context);
/* ... in abort(), called by the program's own code, or by an assert() there? */
bool antk_text_interrupted_abort(const void *context);
/*
 * ... by a call through a wild pointer, to address, from the program's own code, or from the core's when it calls a callback? The stack
 * is the thread's; what lies outside it is not read.
 */
bool antk_text_interrupted_call(const void *context, const void *address, uintptr_t stack_low, uintptr_t stack_high);
uintptr_t antk_text_pc(const void *context);

#endif
