/*
 * Containment: a fault in a process's own code ends the process, not the program (config.contain_faults), and so does the stop signal
 * where the core has given the process up.
 *
 * The thread leaves by longjmp, from the signal handler to the place where it entered its process. That is safe where no lock is held that others
 * need, so it is done only outside the core (antk_body.inside) and in the program's own text (text.h). What the program itself has
 * locked stays locked, as does what a library has locked that calls the program back (a stream of fopencookie's, pthread_once).
 */
#ifndef ANTK_CONTAIN_H
#define ANTK_CONTAIN_H

#include <ant/base.h>
#include <signal.h>
#include <stdbool.h>

struct antk_body;
struct antk_core;
struct ant_program;
struct ant_transformer;

/* Can it be done here? -ENOTSUP, and the log says why not. Before any fault is to be contained. */
int antk_contain_prepare(struct antk_core *core);

/* A callback of the program's: what lies beside it is the program's too. */
void antk_contain_learn(struct antk_core *core, uintptr_t callback);
void antk_contain_learn_program(struct antk_core *core, const struct ant_program *program);
void antk_contain_learn_transformers(struct antk_core *core, const struct ant_transformer *transformers,
                                     size_t count);

/* ---- in signal handlers ---- */

/* Is the calling thread's process to die of this fault? Says so, or why not. core: one that contains faults; not always the thread's. */
bool antk_contain_judge(const struct antk_core *core, int signal, const siginfo_t *info, const void *context);
/* It dies. */
ANT_NORETURN void antk_contain_die(int signal, const void *context);
/* The calling thread, if it has been ended by force, leaves its process where that is safe; else it goes on. */
void antk_contain_stop(const void *context);

/* ---- a stack for the handlers, since a process's own may be what has run out ---- */

/* Gives a body one, if its core contains faults; it keeps that. -ENOMEM. */
int antk_contain_give_stack(struct antk_body *body);
void antk_contain_free_stack(struct antk_body *body);
/* The calling thread uses it until it leaves. */
void antk_contain_enter_thread(struct antk_body *self);
void antk_contain_leave_thread(struct antk_body *self);

#endif
