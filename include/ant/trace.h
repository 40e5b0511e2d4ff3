/*
 * The trace: the latest events of a core, in order, with their times. Off unless config.trace_events is set.
 *
 * On `virtual` the text of a trace is the same for the same seed, in every build.
 */
#ifndef ANT_TRACE_H
#define ANT_TRACE_H

#include <ant/base.h>

ANT_BEGIN_DECLS

enum ant_event_kind {
    ANT_EVENT_CREATE,   /* a = index of the new process, b = its priority */
    ANT_EVENT_EXIT,     /* a = exit status */
    ANT_EVENT_DISPATCH, /* `virtual` only: the process runs from now on. a = the one that ran before (its index), b = priority */
    ANT_EVENT_ALLOC,    /* a = frame, b = pages */
    ANT_EVENT_FREE,     /* a = frame, b = pages */
    ANT_EVENT_SEND,     /* a = function, b = cookie */
    ANT_EVENT_RECEIVE,  /* a request. a = function (passed on: the one asked now), b = cookie */
    ANT_EVENT_REPLY,    /* a = status, b = cookie */
    ANT_EVENT_RESULT,   /* the client has its result. a = function, b = cookie */
    ANT_EVENT_CANCEL,   /* withdrawn. a = function, b = cookie */
    ANT_EVENT_STEP,     /* a = step of a swap (1 to 12), b = generation that it is to have */
    ANT_EVENT_ROLLBACK, /* a = step that failed, b = error */
    ANT_EVENT_DEATH,    /* told by whoever found it. a = index of the process that died, b = signal, or the negative errno value that it was ended with */
    ANT_EVENT_FORWARD,  /* passed on. a = the function that is asked now, b = cookie */
};

struct ant_event {
    uint64_t time_ns;
    uint64_t number;  /* counts up from 0 at boot; a gap: that event was overwritten while it was read */
    uint32_t process; /* index of the process that made it */
    enum ant_event_kind kind;
    int64_t a, b;
};

/*
 * Copies the latest events, oldest first.
 *
 * events: gets up to capacity of them. count: gets how many were copied.
 *
 * Errors:
 *   -EINVAL   count is NULL, or events is NULL and capacity is not 0
 *   -ENOENT   the core keeps no trace
 *   -EPERM    the calling thread is no process
 */
ANT_API int ant_trace_read(struct ant_event *events, size_t capacity, size_t *count);

/*
 * Writes the latest events to a file descriptor, one a line: number, time in ns, process index and name, event, arguments.
 *
 * Errors:
 *   -ENOENT   the core keeps no trace
 *   -ENOMEM   no memory to copy them
 *   -EIO      the descriptor refused them; some may have been written
 *   -EPERM    the calling thread is no process
 */
ANT_API int ant_trace_write(int fd);

/*
 * The name of an event kind, in lower case; "?" for any other value. Any thread. The text is constant.
 */
ANT_API const char *ant_event_name(enum ant_event_kind kind);

ANT_END_DECLS

#endif
