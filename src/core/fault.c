/* Faults: see fault.h. Everything in the handlers is async-signal-safe. */
#include "core/fault.h"
#include "core/core.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_CORES 64

static _Atomic(struct antk_core *) watched[MAX_CORES];
static struct sigaction before_bus, before_segv;

/* ---- a line, put together without stdio ---- */

struct line {
    char text[400];
    size_t length;
};

static void add(struct line *line, const char *text)
{
    size_t length = strlen(text), room = sizeof line->text - line->length;
    if (length > room)
        length = room;
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

static void add_number(struct line *line, unsigned long long number, unsigned base)
{
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    add(line, digits + at);
}

static void add_process(struct line *line, struct antk_core *core, uint32_t index)
{
    add(line, "process ");
    add_number(line, index, 10);
    add(line, " (");
    add(line, core->endpoints[index].name);
    add(line, ")");
}

/* ---- what happened ---- */

static void add_owner(struct line *line, struct antk_core *core, uint32_t frame)
{
    uint32_t first, pages, owner;
    if (!antk_pool_covering(core->pool, frame, &first, &pages, &owner)) {
        add(line, " of frame ");
        add_number(line, frame, 10);
        add(line, ", which is free now\n");
        return;
    }
    add(line, " of the area of ");
    add_number(line, pages, 10);
    add(line, " pages at frame ");
    add_number(line, first, 10);
    add(line, ", which ");
    add_process(line, core, owner - 1);
    add(line, " has now\n");
}

static void report(int signal, const void *address)
{
    for (int i = 0; i < MAX_CORES; i++) {
        struct antk_core *core = atomic_load(&watched[i]);
        uint32_t window, frame;
        if (!core || core->log.level == ANT_LOG_QUIET ||
            !antk_pool_locate(core->pool, address, &window, &frame))
            continue;
        struct antk_body *self = antk_self;
        struct line line = {.length = 0};
        add(&line, "ant: stale access (");
        add(&line, signal == SIGBUS ? "SIGBUS" : "SIGSEGV");
        add(&line, ") at 0x");
        add_number(&line, (unsigned long long)(uintptr_t)address, 16);
        add(&line, " by ");
        if (self && self->core == core)
            add_process(&line, core, self->endpoint->index);
        else
            add(&line, "a thread that is no process of this core");
        if (window > 0 && (!self || self->endpoint->index != window - 1)) {
            add(&line, " in the window of ");
            add_process(&line, core, window - 1);
            add(&line, ",");
        }
        add_owner(&line, core, frame);
        ssize_t written = write(STDERR_FILENO, line.text, line.length);
        (void)written;
        return;
    }
}

/* The default action; the access is made again when the handler returns, and ends the program. */
static void take_ordinary_course(int signal, const siginfo_t *info)
{
    struct sigaction ordinary = {.sa_handler = SIG_DFL};
    sigaction(signal, &ordinary, NULL);
    if (info->si_code <= 0) /* sent, not raised by an access: it would not come again by itself */
        raise(signal);
}

static void pass_on(const struct sigaction *before, int signal, siginfo_t *info, void *context)
{
    if (before->sa_flags & SA_SIGINFO)
        before->sa_sigaction(signal, info, context);
    else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN)
        before->sa_handler(signal);
    else
        take_ordinary_course(signal, info);
}

/*
 * A handler that was installed over ours, and then found by a second boot, may pass the signal back to us, deeper on the
 * stack: then everybody has had it.
 */
static void on_fault(int signal, siginfo_t *info, void *context)
{
    static _Thread_local const siginfo_t *passed_on;
    static _Thread_local const void *passed_on_from;
    const void *frame = __builtin_frame_address(0);
    if (frame < passed_on_from && passed_on == info) {
        take_ordinary_course(signal, info);
        return;
    }
    passed_on = info;
    passed_on_from = frame;
    if (info->si_code > 0)
        report(signal, info->si_addr);
    pass_on(signal == SIGBUS ? &before_bus : &before_segv, signal, info, context);
}

/* Puts our handler before whatever is there, unless that is ours. */
static void install(int signal, struct sigaction *before)
{
    struct sigaction present,
        ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&ours.sa_mask);
    if (sigaction(signal, NULL, &present) == 0 && present.sa_sigaction != on_fault) {
        *before = present;
        sigaction(signal, &ours, NULL);
    }
}

void antk_fault_watch(struct antk_core *core)
{
    install(SIGBUS, &before_bus);
    install(SIGSEGV, &before_segv);
    for (int i = 0; i < MAX_CORES; i++) {
        struct antk_core *none = NULL;
        if (atomic_compare_exchange_strong(&watched[i], &none, core))
            return;
    }
    antk_log(&core->log, ANT_LOG_WARNING,
             "more than %d cores in one program: stale accesses to this one's areas are not told",
             MAX_CORES);
}

void antk_fault_unwatch(struct antk_core *core)
{
    for (int i = 0; i < MAX_CORES; i++) {
        struct antk_core *this = core;
        atomic_compare_exchange_strong(&watched[i], &this, NULL);
    }
}
