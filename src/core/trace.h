/*
 * The trace: a ring of the latest events of a core.
 *
 * Writers take a number each and write the slot that it falls on; `number + 1` is stored last, as a seal. A reader
 * takes the slots whose seal is the same before and after it copied them.
 */
#ifndef ANTK_TRACE_H
#define ANTK_TRACE_H

#include <ant/trace.h>
#include <stdatomic.h>

struct antk_body;
struct antk_core;
struct antk_trace;

int antk_trace_create(size_t events, struct antk_trace **trace);
void antk_trace_destroy(struct antk_trace *trace);
/* Records an event of a process, by index; see antk_trace_add. */
void antk_trace_record(struct antk_core *core, uint32_t process, enum ant_event_kind kind, int64_t a,
                       int64_t b);

#endif
