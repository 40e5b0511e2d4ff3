/* Containment: see contain.h. */
#include "core/contain.h"
#include "core/core.h"
#include "core/line.h"
#include "core/text.h"
#include "ica/sanitizer.h"

#include <errno.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_BYTES ((size_t)64 << 10)

int antk_contain_prepare(struct antk_core *core)
{
    if (antk_text_learn())
        return 0;
    antk_log(&core->log, ANT_LOG_ERROR,
             "no core: faults are contained only with glibc as a shared library, on x86-64 and aarch64");
    return -ENOTSUP;
}

void antk_contain_learn(struct antk_core *core, uintptr_t callback)
{
    if (core->config.contain_faults)
        antk_text_add((const void *)callback);
}

void antk_contain_learn_program(struct antk_core *core, const struct ant_program *program)
{
    const uintptr_t callbacks[] = {(uintptr_t)program->start,  (uintptr_t)program->request,
                                   (uintptr_t)program->result, (uintptr_t)program->stop,
                                   (uintptr_t)program->run,    (uintptr_t)program->prepare,
                                   (uintptr_t)program->ready,  (uintptr_t)program->timer};
    for (size_t i = 0; i < sizeof callbacks / sizeof *callbacks; i++)
        antk_contain_learn(core, callbacks[i]);
    antk_contain_learn_transformers(core, program->transformers, program->transformer_count);
}

void antk_contain_learn_transformers(struct antk_core *core,
                                     const struct ant_transformer *transformers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        antk_contain_learn(core, (uintptr_t)transformers[i].transform);
}

/* ---- what is contained ---- */

/*
 * glibc's abort (2.36 is what we looked at) gives its lock back while it raises the signal, for handlers that do not return; raise,
 * to its own thread, takes none; and assert has given back what it printed with when it calls abort.
 */
static bool in_program(const struct antk_body *self, int signal, const siginfo_t *info, const void *context)
{
    if (signal == SIGABRT)
        return antk_text_interrupted_abort(context);
    return antk_text_interrupted_program(context) ||
           (signal == SIGSEGV && antk_text_interrupted_call(context, info->si_addr,
                                                            self->frame.stack_high - self->frame.stack_bytes,
                                                            self->frame.stack_high));
}

/* NULL: it is contained. */
static const char *against(const struct antk_body *self, int signal, const siginfo_t *info,
                           const void *context)
{
    if (!self)
        return "on a thread that is no process";
    if (self == self->core->boot)
        return "in the process that booted the core";
    if (self->attached)
        return "in a thread that has joined the core";
    if (atomic_load(&self->inside) != 0)
        return "inside the core";
    if (in_program(self, signal, info, context))
        return NULL;
    return signal == SIGABRT ? "by a library's own abort"
                             : "in the C library or another one, whose locks may be held";
}

static void add_what(struct antk_line *line, int signal, const siginfo_t *info, const void *context)
{
    antk_line_add(line, signal == SIGSEGV  ? "SIGSEGV"
                        : signal == SIGBUS ? "SIGBUS"
                        : signal == SIGFPE ? "SIGFPE"
                        : signal == SIGILL ? "SIGILL"
                                           : "SIGABRT");
    if (signal == SIGABRT)
        return;
    if (signal == SIGSEGV || signal == SIGBUS) {
        antk_line_add(line, " at address ");
        antk_line_add_address(line, info->si_addr);
    }
    antk_line_add(line, " (pc 0x");
    antk_line_add_number(line, antk_text_pc(context), 16);
    antk_line_add(line, ")");
}

static void tell(const struct antk_body *self, const char *reason, int signal,
                 const siginfo_t *info, const void *context)
{
    struct antk_line line = {.length = 0};
    antk_line_add(&line, "ant: ");
    if (self && !reason) {
        antk_line_add_process(&line, self->endpoint);
        antk_line_add(&line, " has died of ");
    }
    add_what(&line, signal, info, context);
    if (reason) {
        antk_line_add(&line, " ");
        antk_line_add(&line, reason);
        antk_line_add(&line, " is not contained");
        if (self) {
            antk_line_add(&line, ": ");
            antk_line_add_process(&line, self->endpoint);
        }
    }
    antk_line_add(&line, "\n");
    antk_line_write(&line);
}

/* Raised by what the thread itself has done, not sent by somebody? abort sends, too. */
static bool is_fault(int signal, const siginfo_t *info)
{
    if (signal == SIGABRT)
        return info->si_code == SI_TKILL && info->si_pid == getpid();
    return info->si_code > 0;
}

bool antk_contain_judge(const struct antk_core *core, int signal, const siginfo_t *info, const void *context)
{
    const struct antk_body *self = antk_self;
    if (self)
        core = self->core;
    if (!core->config.contain_faults || !is_fault(signal, info))
        return false;
    const char *reason = against(self, signal, info, context);
    if (core->log.level != ANT_LOG_QUIET)
        tell(self, reason, signal, info, context);
    return !reason;
}

/* What runs this process may live on, and take signals as before. */
static void restore_signals(const void *context)
{
    pthread_sigmask(SIG_SETMASK, &((const ucontext_t *)context)->uc_sigmask, NULL);
}

void antk_contain_die(int signal, const void *context)
{
    struct antk_body *self = antk_self;
    atomic_store(&self->inside, 1);
    restore_signals(context);
    self->death = signal;
    antk_leave(self, -EOWNERDEAD);
}

/* ThreadSanitizer delivers a signal when it pleases, long after the place that the context tells. */
void antk_contain_stop(const void *context)
{
    struct antk_body *self = antk_self;
    if (self && self != self->core->boot && !self->attached && atomic_load(&self->inside) == 0 &&
        atomic_load(&self->flags) != 0 && !antk_under_tsan() && antk_text_interrupted_program(context)) {
        atomic_store(&self->inside, 1); /* the signal may come again, while AddressSanitizer makes ready for the jump */
        restore_signals(context);
        antk_leave(self, -ESHUTDOWN);
    }
}

/* ---- stacks ---- */

/* Below it, a page that nobody may touch. */
int antk_contain_give_stack(struct antk_body *body)
{
    if (!body->core->config.contain_faults || body->signal_stack)
        return 0;
    char *stack = mmap(NULL, ANT_PAGE_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return -ENOMEM;
    if (mprotect(stack, ANT_PAGE_BYTES, PROT_NONE) != 0) {
        munmap(stack, ANT_PAGE_BYTES + STACK_BYTES);
        return -ENOMEM;
    }
    body->signal_stack = stack + ANT_PAGE_BYTES;
    return 0;
}

void antk_contain_free_stack(struct antk_body *body)
{
    if (body->signal_stack)
        munmap((char *)body->signal_stack - ANT_PAGE_BYTES, ANT_PAGE_BYTES + STACK_BYTES);
}

void antk_contain_enter_thread(struct antk_body *self)
{
    stack_t ours = {.ss_sp = self->signal_stack, .ss_size = STACK_BYTES};
    if (self->signal_stack)
        sigaltstack(&ours, &self->former_stack);
}

/* AddressSanitizer unmaps what it finds there at the end of the thread, which must be its own. */
void antk_contain_leave_thread(struct antk_body *self)
{
    if (self->signal_stack)
        sigaltstack(&self->former_stack, NULL);
}
