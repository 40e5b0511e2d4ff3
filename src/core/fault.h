/*
 * Faults: what a stale access prints before its signal takes its ordinary course.
 *
 * Handlers for SIGBUS and SIGSEGV are installed at boot, if they are not there already, and pass every signal on to the handler that
 * was there before.
 */
#ifndef ANTK_FAULT_H
#define ANTK_FAULT_H

struct antk_core;

/* The core's windows are looked up from now on. */
void antk_fault_watch(struct antk_core *core);
void antk_fault_unwatch(struct antk_core *core);

#endif
