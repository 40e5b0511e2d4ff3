/*
 * Text: see text.h. Two tables, filled at boot and read by signal handlers: whose the text of an object is, and where the functions
 * lie that are treated in a way of their own.
 */
#include "core/text.h"
#include "core/machine.h"

#include <dlfcn.h>
#include <gnu/lib-names.h>
#include <link.h>
#include <stddef.h>
#include <string.h>
#include <ucontext.h>
#include <unwind.h>

/* ---- whose text ---- */

#define MAX_TEXTS 256

enum owner { NOBODY, PROGRAM, CORE, LIBC, SANITIZER };

/*
 * Found by readers once `to` is not 0. A place is used again for what is mapped where an object was that is gone, and, once it is GONE, for anything. Whoever changes one
 * makes it empty first and then writes `from` last, so a reader that finds the same `to` before and after has read the limits of one text.
 */
#define GONE 1
static struct text {
    _Atomic uintptr_t from, to;
    _Atomic(enum owner) owner;
} texts[MAX_TEXTS];

static enum owner owner_of(uintptr_t pc)
{
    for (int i = 0; i < MAX_TEXTS; i++) {
        uintptr_t to = atomic_load(&texts[i].to);
        if (to == 0)
            break;
        if (pc >= to || pc < atomic_load(&texts[i].from))
            continue;
        enum owner owner = atomic_load(&texts[i].owner);
        if (atomic_load(&texts[i].to) == to)
            return owner;
    }
    return NOBODY;
}

/* By one thread at a time, since the loader's lock is held. Once the table is full no more is learned, and nothing contained there. */
static void add_text(uintptr_t from, uintptr_t to, enum owner owner)
{
    for (int i = 0; i < MAX_TEXTS; i++) {
        struct text *text = &texts[i];
        uintptr_t old_to = atomic_load(&text->to);
        if (old_to > GONE && (from >= old_to || to <= atomic_load(&text->from)))
            continue;
        atomic_store(&text->from, UINTPTR_MAX);
        atomic_store(&text->owner, owner);
        atomic_store(&text->to, to);
        atomic_store(&text->from, from);
        return;
    }
}

struct extent {
    uintptr_t from, to;
};

/* The object that an address lies in; the executable, if that is NULL. */
struct wanted {
    uintptr_t address;
    enum owner owner;
};

static bool is_executable(const ElfW(Phdr) * segment)
{
    return segment->p_type == PT_LOAD && (segment->p_flags & PF_X);
}

static bool lies_in(uintptr_t address, const struct dl_phdr_info *object)
{
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (is_executable(segment) && address - object->dlpi_addr - segment->p_vaddr < segment->p_memsz)
            return true;
    }
    return false;
}

/* A callback may be a function of such a library, but its locks are not the program's. */
static bool is_system_library(const char *path)
{
    static const char *const names[] = {"libc.",   "ld-",      "libpthread", "libdl.",
                                        "libm.",   "libgcc_s", "libstdc++",  "liburcu",
                                        "libasan", "libtsan",  "libubsan",   "liblsan"};
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(file, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* The loader shows the executable first. */
static int visit(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size;
    const struct wanted *wanted = arg;
    if (wanted->address != 0 && !lies_in(wanted->address, object))
        return 0;
    if (owner_of(wanted->address) != NOBODY ||
        (wanted->owner == PROGRAM && is_system_library(object->dlpi_name)))
        return 1;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t from = object->dlpi_addr + segment->p_vaddr;
        if (is_executable(segment))
            add_text(from, from + segment->p_memsz, wanted->owner);
    }
    return 1;
}

/* Also with the loader's lock, for the same reason. */
static int forget(struct dl_phdr_info *any, size_t size, void *arg)
{
    (void)any, (void)size;
    const struct extent *gone = arg;
    for (int i = 0; i < MAX_TEXTS; i++) {
        struct text *text = &texts[i];
        uintptr_t to = atomic_load(&text->to);
        if (to > GONE && atomic_load(&text->from) < gone->to && to > gone->from) {
            atomic_store(&text->from, UINTPTR_MAX);
            atomic_store(&text->to, GONE);
        }
    }
    return 1;
}

static void learn_object(const void *inside, enum owner owner)
{
    struct wanted wanted = {(uintptr_t)inside, owner};
    dl_iterate_phdr(visit, &wanted);
}

/* ---- where some functions lie ---- */

#define MAX_EXTENTS 64

struct extents {
    struct extent of[MAX_EXTENTS];
    int count;
};

static struct extents memory_functions, aborts, asserts;

static bool within(const struct extents *extents, uintptr_t pc)
{
    for (int i = 0; i < extents->count; i++)
        if (pc >= extents->of[i].from && pc < extents->of[i].to)
            return true;
    return false;
}

/* The unwinder looks for the byte before the one that it is given. */
static uintptr_t start_of(uintptr_t pc)
{
    return (uintptr_t)_Unwind_FindEnclosingFunction((void *)(pc + 1));
}

/* The first address behind a function, no further than 1 MiB: it lies between one that is in it and one that is not. */
static uintptr_t end_of(uintptr_t start)
{
    uintptr_t in = start, out = start + ((uintptr_t)1 << 20);
    for (uintptr_t step = 16; step < out - start; step *= 2) {
        if (start_of(start + step) == start) {
            in = start + step;
        } else {
            out = start + step;
            break;
        }
    }
    while (out - in > 1) {
        uintptr_t middle = in + (out - in) / 2;
        *(start_of(middle) == start ? &in : &out) = middle;
    }
    return out;
}

static void add_extent(struct extents *extents, const void *function)
{
    uintptr_t start = start_of((uintptr_t)function);
    if (!function || start == 0 || extents->count == MAX_EXTENTS || within(extents, start))
        return;
    extents->of[extents->count].from = start;
    extents->of[extents->count++].to = end_of(start);
}

static bool learned;

#if defined(__x86_64__) || defined(__aarch64__)
/* They are learned as resolved for this processor, and not as what a sanitizer has put in their place. */
static const char *const memory_names[] = {
    "memcpy",        "memmove",       "mempcpy",       "memset",        "memcmp",
    "memchr",        "memrchr",       "rawmemchr",     "memmem",        "memccpy",
    "bcmp",          "bcopy",         "bzero",         "strlen",        "strnlen",
    "strcpy",        "strncpy",       "stpcpy",        "stpncpy",       "strcat",
    "strncat",       "strcmp",        "strncmp",       "strchr",        "strchrnul",
    "strrchr",       "strstr",        "strspn",        "strcspn",       "strpbrk",
    "__memcpy_chk",  "__memmove_chk", "__mempcpy_chk", "__memset_chk",  "__strcpy_chk",
    "__strncpy_chk", "__stpcpy_chk",  "__strcat_chk",  "__strncat_chk", "explicit_bzero",
};

static _Unwind_Reason_Code stop_at_once(struct _Unwind_Context *frame, void *arg)
{
    (void)frame;
    (void)arg;
    return _URC_END_OF_STACK;
}

static void learn(void)
{
    void *libc = dlopen(LIBC_SO, RTLD_LAZY | RTLD_NOLOAD);
    if (!libc)
        return;
    learn_object(dlsym(libc, "abort"), LIBC); /* an address that is no stub in the executable, as &abort may be */
    learn_object(NULL, PROGRAM);
    learn_object((const void *)(uintptr_t)antk_text_learn, CORE); /* unless that is the executable */
    if (dlsym(RTLD_DEFAULT, "__asan_init"))
        learn_object(dlsym(RTLD_DEFAULT, "__asan_init"), SANITIZER);
    if (dlsym(RTLD_DEFAULT, "__tsan_init"))
        learn_object(dlsym(RTLD_DEFAULT, "__tsan_init"), SANITIZER);
    for (size_t i = 0; i < sizeof memory_names / sizeof *memory_names; i++)
        add_extent(&memory_functions, dlsym(libc, memory_names[i]));
    add_extent(&aborts, dlsym(libc, "abort"));
    add_extent(&asserts, dlsym(libc, "__assert_fail"));
    add_extent(&asserts, dlsym(libc, "__assert_perror_fail"));
    _Unwind_Backtrace(stop_at_once, NULL); /* its own first-time work is not for a handler to do */
    dlclose(libc);
    learned = true;
}
#else
static void learn(void)
{
}
#endif

bool antk_text_learn(void)
{
    static antk_once_flag once = ANTK_ONCE;
    antk_once(&once, learn);
    return learned;
}

void antk_text_add(const void *function)
{
    if (learned && function && owner_of((uintptr_t)function) == NOBODY)
        learn_object(function, PROGRAM);
}

void antk_text_forget(uintptr_t from, uintptr_t to)
{
    struct extent gone = {from, to};
    if (learned)
        dl_iterate_phdr(forget, &gone);
}

bool antk_text_is_program(uintptr_t pc)
{
    return owner_of(pc) == PROGRAM;
}

bool antk_text_is_memory_function(uintptr_t pc)
{
    return within(&memory_functions, pc);
}

/* ---- what was interrupted ---- */

#if defined(__x86_64__)
#define PC(c) ((uintptr_t)(c)->uc_mcontext.gregs[REG_RIP])
#elif defined(__aarch64__)
#define PC(c) ((uintptr_t)(c)->uc_mcontext.pc)
#else
#define PC(c) ((void)(c), (uintptr_t)0)
#endif

uintptr_t antk_text_pc(const void *context)
{
    const ucontext_t *interrupted = context;
    return PC(interrupted);
}

/* Where the functions were that the context was interrupted in, the innermost first; then 0, which is nobody's. */
#define MAX_FRAMES 16
struct frames {
    uintptr_t interrupted_at;
    uintptr_t pc[MAX_FRAMES + 2];
    int count;
};

/* The handler's own frames come first. A frame that was not interrupted has called: its pc is behind the call, maybe behind the function. */
static _Unwind_Reason_Code take_frame(struct _Unwind_Context *frame, void *arg)
{
    struct frames *frames = arg;
    int interrupted = 0;
    uintptr_t pc = _Unwind_GetIPInfo(frame, &interrupted);
    if (frames->count > 0 || (interrupted && pc == frames->interrupted_at))
        frames->pc[frames->count++] = interrupted ? pc : pc - 1;
    return frames->count == MAX_FRAMES ? _URC_END_OF_STACK : _URC_NO_REASON;
}

/* Since glibc 2.35 and gcc 12 the unwinder takes no lock. */
static void take_frames(struct frames *frames, const void *context)
{
    *frames = (struct frames){.interrupted_at = antk_text_pc(context)};
    _Unwind_Backtrace(take_frame, frames);
}

/* The first frame from i on in none of these functions, nor in a sanitizer's, which stand between them and their callers. */
static int skip(const struct frames *frames, int i, const struct extents *functions)
{
    while (within(functions, frames->pc[i]) || owner_of(frames->pc[i]) == SANITIZER)
        i++;
    return i;
}

bool antk_text_interrupted_program(const void *context)
{
    uintptr_t pc = antk_text_pc(context);
    if (!antk_text_is_memory_function(pc))
        return antk_text_is_program(pc);
    struct frames frames;
    take_frames(&frames, context);
    return antk_text_is_program(frames.pc[skip(&frames, 0, &memory_functions)]);
}

/*
 * From the inside: raise and what it calls; abort; perhaps __assert_fail, with a helper of its. Heap corruption found by malloc,
 * or a smashed stack, come from elsewhere in the C library.
 */
bool antk_text_interrupted_abort(const void *context)
{
    struct frames frames;
    take_frames(&frames, context);
    int i = 0;
    while (owner_of(frames.pc[i]) == LIBC && !within(&aborts, frames.pc[i]))
        i++;
    if (!within(&aborts, frames.pc[i]))
        return false;
    i = skip(&frames, i, &aborts);
    if (owner_of(frames.pc[i]) == LIBC && within(&asserts, frames.pc[i + 1]))
        i++;
    return antk_text_is_program(frames.pc[skip(&frames, i, &asserts)]);
}

/* The address to which a call just made would have returned; 0: it cannot be told. */
__attribute__((no_sanitize("address"))) static uintptr_t
return_address(const ucontext_t *interrupted, uintptr_t stack_low, uintptr_t stack_high)
{
    uintptr_t address = 0;
#if defined(__x86_64__)
    uintptr_t sp = (uintptr_t)interrupted->uc_mcontext.gregs[REG_RSP];
    if (sp >= stack_low && sp <= stack_high - sizeof sp && sp % sizeof sp == 0)
        address = *(const uintptr_t *)sp;
#elif defined(__aarch64__)
    address = (uintptr_t)interrupted->uc_mcontext.regs[30];
#endif
    (void)interrupted, (void)stack_low, (void)stack_high;
    return address;
}

bool antk_text_interrupted_call(const void *context, const void *address, uintptr_t stack_low,
                                uintptr_t stack_high)
{
    uintptr_t pc = antk_text_pc(context);
    if (pc != (uintptr_t)address || owner_of(pc) != NOBODY)
        return false;
    enum owner caller = owner_of(return_address(context, stack_low, stack_high) - 1);
    return caller == PROGRAM || caller == CORE;
}
