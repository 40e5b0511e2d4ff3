/*
 * Faults: what a stale access prints before its signal takes its ordinary course, and which signals may end a process only (contain.h).
 *
 * Handlers for SIGBUS and SIGSEGV are installed at boot, if they are not there already, and those that containment needs when a core boots
 * that wants it. They stay, and pass every signal on to the handler that was there before. One set serves all cores of the program.
 */
#ifndef ANTK_FAULT_H
#define ANTK_FAULT_H

#include <signal.h>

struct antk_core;

/* Sent by the core to a thread of its own that is to end by force, and does not come into the core. By default it is ignored, and the C library has no use for it. */
#define ANTK_STOP_SIGNAL SIGURG

/* The core's windows are looked up from now on, and its processes' faults contained if it wants that. */
void antk_fault_watch(struct antk_core *core);
void antk_fault_unwatch(struct antk_core *core);

#endif
