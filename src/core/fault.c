/* Faults: see fault.h. Everything in the handlers is async-signal-safe. */
#include "core/fault.h"
#include "core/contain.h"
#include "core/core.h"
#include "core/line.h"

#include <errno.h>
#include <signal.h>

#define MAX_CORES 64

static _Atomic(struct antk_core *) watched[MAX_CORES];

/* ---- what happened ---- */

static void add_owner(struct antk_line *line, struct antk_core *core, uint32_t frame)
{
    uint32_t first, pages, owner;
    if (!antk_pool_covering(core->pool, frame, &first, &pages, &owner)) {
        antk_line_add(line, " of frame ");
        antk_line_add_number(line, frame, 10);
        antk_line_add(line, ", which is free now\n");
        return;
    }
    antk_line_add(line, " of the area of ");
    antk_line_add_number(line, pages, 10);
    antk_line_add(line, " pages at frame ");
    antk_line_add_number(line, first, 10);
    antk_line_add(line, ", which ");
    antk_line_add_process(line, &core->endpoints[owner - 1]);
    antk_line_add(line, " has now\n");
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
        struct antk_line line = {.length = 0};
        antk_line_add(&line, "ant: stale access (");
        antk_line_add(&line, signal == SIGBUS ? "SIGBUS" : "SIGSEGV");
        antk_line_add(&line, ") at ");
        antk_line_add_address(&line, address);
        antk_line_add(&line, " by ");
        if (self && self->core == core)
            antk_line_add_process(&line, self->endpoint);
        else
            antk_line_add(&line, "a thread that is no process of this core");
        if (window > 0 && (!self || self->endpoint->index != window - 1)) {
            antk_line_add(&line, " in the window of ");
            antk_line_add_process(&line, &core->endpoints[window - 1]);
            antk_line_add(&line, ",");
        }
        add_owner(&line, core, frame);
        antk_line_write(&line);
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

/* The first core, if there is one, that wants faults contained. */
static struct antk_core *containing(void)
{
    for (int i = 0; i < MAX_CORES; i++) {
        struct antk_core *core = atomic_load(&watched[i]);
        if (core && core->config.contain_faults)
            return core;
    }
    return NULL;
}

/* Tells what happened; true: its process is to die of it. A fault in here takes its ordinary course. */
static bool kills_process(int signal, siginfo_t *info, void *context)
{
    static _Thread_local bool telling;
    if (telling)
        return false;
    telling = true;
    if (info->si_code > 0 && (signal == SIGBUS || signal == SIGSEGV))
        report(signal, info->si_addr);
    struct antk_core *core = containing();
    bool contained = core && antk_contain_judge(core, signal, info, context);
    telling = false;
    return contained;
}

static void on_fault(int signal, siginfo_t *info, void *context);
static void on_stop(int signal, siginfo_t *info, void *context);

/* Whose place our handlers took, by signal. */
static struct chained {
    int signal;
    bool for_containment; /* installed when the first core boots that wants it */
    void (*handler)(int signal, siginfo_t *info, void *context);
    struct sigaction before;
} chain[] = {
    {.signal = SIGBUS, .handler = on_fault},
    {.signal = SIGSEGV, .handler = on_fault},
    {.signal = SIGFPE, .for_containment = true, .handler = on_fault},
    {.signal = SIGILL, .for_containment = true, .handler = on_fault},
    {.signal = SIGABRT, .for_containment = true, .handler = on_fault},
    {.signal = ANTK_STOP_SIGNAL, .for_containment = true, .handler = on_stop},
};
#define CHAINED (sizeof chain / sizeof *chain)

static const struct sigaction *before(int signal)
{
    size_t i = 0;
    while (chain[i].signal != signal)
        i++;
    return &chain[i].before;
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
    int error = errno;
    if (kills_process(signal, info, context))
        antk_contain_die(signal, context);
    errno = error;
    passed_on = info;
    passed_on_from = frame;
    pass_on(before(signal), signal, info, context);
}

/* By default it is ignored. */
static void on_stop(int signal, siginfo_t *info, void *context)
{
    int error = errno;
    antk_contain_stop(context);
    errno = error;
    const struct sigaction *other = before(signal);
    if ((other->sa_flags & SA_SIGINFO) || (other->sa_handler != SIG_DFL && other->sa_handler != SIG_IGN))
        pass_on(other, signal, info, context);
}

/*
 * Puts our handler before whatever is there, unless that is ours. While it runs, nobody is stopped: a handler that has interrupted
 * the C library must not be jumped out of because its own text is the program's.
 */
static void install(struct chained *chained)
{
    struct sigaction present, ours = {.sa_sigaction = chained->handler,
                                      .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART};
    sigemptyset(&ours.sa_mask);
    sigaddset(&ours.sa_mask, ANTK_STOP_SIGNAL);
    if (sigaction(chained->signal, NULL, &present) == 0 && present.sa_sigaction != chained->handler) {
        chained->before = present;
        sigaction(chained->signal, &ours, NULL);
    }
}

void antk_fault_watch(struct antk_core *core)
{
    for (size_t i = 0; i < CHAINED; i++)
        if (core->config.contain_faults || !chain[i].for_containment)
            install(&chain[i]);
    for (int i = 0; i < MAX_CORES; i++) {
        struct antk_core *none = NULL;
        if (atomic_compare_exchange_strong(&watched[i], &none, core))
            return;
    }
    antk_log(&core->log, ANT_LOG_WARNING,
             "more than %d cores in one program: stale accesses to this one's areas are not told, nor "
             "faults contained",
             MAX_CORES);
}

void antk_fault_unwatch(struct antk_core *core)
{
    for (int i = 0; i < MAX_CORES; i++) {
        struct antk_core *this = core;
        atomic_compare_exchange_strong(&watched[i], &this, NULL);
    }
}
