/* The trace: see trace.h. */
#include "core/trace.h"
#include "core/core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct slot {
    _Atomic uint64_t seal; /* number + 1 of the event in it; 0: being written, or never used */
    _Atomic uint64_t time_ns;
    _Atomic uint64_t what; /* process << 32 | kind */
    _Atomic int64_t a, b;
};

struct antk_trace {
    size_t size;
    _Atomic uint64_t next;
    struct slot slots[];
};

int antk_trace_create(size_t events, struct antk_trace **trace)
{
    if (events > (SIZE_MAX - sizeof **trace) / sizeof(struct slot))
        return -ENOMEM;
    *trace = calloc(1, sizeof **trace + events * sizeof(struct slot));
    if (!*trace)
        return -ENOMEM;
    (*trace)->size = events;
    return 0;
}

void antk_trace_destroy(struct antk_trace *trace)
{
    free(trace);
}

ANTK_APART void antk_trace_record(struct antk_core *core, uint32_t process,
                                  enum ant_event_kind kind, int64_t a, int64_t b)
{
    struct antk_trace *trace = core->trace;
    uint64_t number = atomic_fetch_add_explicit(&trace->next, 1, memory_order_relaxed);
    struct slot *slot = &trace->slots[number % trace->size];
    atomic_store(&slot->seal, 0);
    atomic_store_explicit(&slot->time_ns, antk_now(core->machine), memory_order_relaxed);
    atomic_store_explicit(&slot->what, (uint64_t)process << 32 | (uint64_t)kind, memory_order_relaxed);
    atomic_store_explicit(&slot->a, a, memory_order_relaxed);
    atomic_store_explicit(&slot->b, b, memory_order_relaxed);
    atomic_store_explicit(&slot->seal, number + 1, memory_order_release);
}

static bool read_slot(struct antk_trace *trace, uint64_t number, struct ant_event *event)
{
    struct slot *slot = &trace->slots[number % trace->size];
    if (atomic_load_explicit(&slot->seal, memory_order_acquire) != number + 1)
        return false;
    uint64_t what = atomic_load(&slot->what);
    *event = (struct ant_event){
        .time_ns = atomic_load(&slot->time_ns),
        .number = number,
        .process = (uint32_t)(what >> 32),
        .kind = (enum ant_event_kind)(what & 0xffffffff),
        .a = atomic_load(&slot->a),
        .b = atomic_load(&slot->b),
    };
    return atomic_load(&slot->seal) == number + 1;
}

int ant_trace_read(struct ant_event *events, size_t capacity, size_t *count)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (!count || (!events && capacity > 0))
        return -EINVAL;
    struct antk_trace *trace = self->core->trace;
    if (!trace)
        return -ENOENT;
    uint64_t end = atomic_load(&trace->next);
    uint64_t keep = end < trace->size ? end : trace->size;
    if (keep > capacity)
        keep = capacity;
    size_t copied = 0;
    for (uint64_t number = end - keep; number < end; number++)
        if (read_slot(trace, number, &events[copied]))
            copied++;
    *count = copied;
    return 0;
}

static int write_all(int fd, const char *text, size_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write(fd, text, bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return -EIO;
        text += written;
        bytes -= (size_t)written;
    }
    return 0;
}

int ant_trace_write(int fd)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    struct antk_core *core = self->core;
    if (!core->trace)
        return -ENOENT;
    size_t count = 0, capacity = core->trace->size;
    struct ant_event *events = malloc(capacity * sizeof *events);
    if (!events)
        return -ENOMEM;
    int rc = ant_trace_read(events, capacity, &count);
    for (size_t i = 0; i < count && rc == 0; i++) {
        char line[160];
        const struct ant_event *e = &events[i];
        antk_lock(&core->lock); /* guards the name, if the slot is just being used again */
        int length = snprintf(line, sizeof line, "%llu %llu %u %s %s %lld %lld\n",
                              (unsigned long long)e->number, (unsigned long long)e->time_ns,
                              e->process, core->endpoints[e->process].name, ant_event_name(e->kind),
                              (long long)e->a, (long long)e->b);
        antk_unlock(&core->lock);
        rc = write_all(fd, line, (size_t)length);
    }
    free(events);
    return rc;
}

const char *ant_event_name(enum ant_event_kind kind)
{
    static const char *const names[] = {"create", "exit",     "dispatch", "alloc",  "free",
                                        "send",   "receive",  "reply",    "result", "cancel",
                                        "step",   "rollback", "death",    "forward"};
    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "?";
}
