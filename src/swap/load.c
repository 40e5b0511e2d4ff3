/*
 * Loading a program: the file is opened and copied into a memory file that nobody can write to any more; the copy is looked at; the copy is what the loader gets.
 */
#include "core/candidate.h"
#include "core/object.h"
#include "swap/elf.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3; the headers of Debian 12 do not have it */
#endif

/* What one load has in its hands. */
struct load {
    const char *path;
    const struct ant_load_options *options;
    int file, copy; /* descriptors, or -1 */
    size_t bytes;
    char name[128]; /* of the copy, for the loader */
    struct antk_elf elf;
};

/* Writes the message. */
__attribute__((format(printf, 3, 4))) static int failed(const struct load *l, int error,
                                                        const char *format, ...)
{
    const struct ant_load_options *o = l->options;
    if (o->message_bytes == 0)
        return error;
    va_list arguments;
    va_start(arguments, format);
    int length = snprintf(o->message, o->message_bytes, "%s: ", l->path);
    if (length >= 0 && (size_t)length < o->message_bytes)
        vsnprintf(o->message + length, o->message_bytes - (size_t)length, format, arguments);
    va_end(arguments);
    return error;
}

static int system_failed(const struct load *l, int error, const char *what)
{
    return failed(l, -error, "%s: %s", what, strerror(error));
}

/* ---- the file ---- */

/* O_NONBLOCK: what is no regular file shall not keep us waiting for somebody at its other end. */
static int open_file(struct load *l)
{
    struct stat file;
    l->file = open(l->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (l->file < 0 || fstat(l->file, &file) != 0)
        return system_failed(l, errno, "it cannot be opened");
    if (!S_ISREG(file.st_mode))
        return failed(l, -ENOEXEC, "it is no regular file");
    if (l->options->check_owner && file.st_uid != 0 && file.st_uid != geteuid())
        return failed(l, -EPERM, "it belongs to user %u, who is neither root nor the one that loads it",
                      (unsigned)file.st_uid);
    if (l->options->check_owner && (file.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return failed(l, -EPERM, "others than its owner may write to it (mode %o)",
                      (unsigned)file.st_mode & 07777);
    if (file.st_size > (off_t)ANT_LOAD_BYTES_MAX)
        return failed(l, -EFBIG, "it is longer than %zu MiB", ANT_LOAD_BYTES_MAX >> 20);
    l->bytes = (size_t)file.st_size;
    return 0;
}

/* ---- the copy ---- */

/* Where the kernel does not know MFD_EXEC, every memory file may be executed. */
static int create_copy(struct load *l)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    const char *slash = strrchr(l->path, '/');
    char name[64];
    snprintf(name, sizeof name, "ant:%s", slash ? slash + 1 : l->path);
    l->copy = memfd_create(name, flags | MFD_EXEC);
    if (l->copy < 0 && errno == EINVAL)
        l->copy = memfd_create(name, flags);
    if (l->copy < 0 && errno == ENOSYS)
        return failed(l, -ENOTSUP, "there are no memory files here (memfd_create)");
    if (l->copy < 0 && errno == EACCES)
        return failed(l, -EACCES, "memory files may not be executed here (vm.memfd_noexec)");
    return l->copy < 0 ? system_failed(l, errno, "no memory file") : 0;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static int fill_copy(struct load *l)
{
    struct stat before, after;
    ssize_t copied = fstat(l->file, &before);
    for (size_t done = 0; copied == 0 && done < l->bytes; done += (size_t)copied, copied = 0) {
        copied = sendfile(l->copy, l->file, NULL, l->bytes - done);
        if (copied == 0)
            return failed(l, -ENOEXEC, "it has become shorter while it was read");
    }
    if (copied != 0 || fstat(l->file, &after) != 0)
        return system_failed(l, errno == ENOSPC ? ENOMEM : errno, "it cannot be copied");
    if (after.st_size != (off_t)l->bytes || !same_time(before.st_mtim, after.st_mtim))
        return failed(l, -ENOEXEC, "it has changed while it was read");
    if (fcntl(l->copy, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return system_failed(l, errno, "its copy cannot be sealed");
    return 0;
}

/* ---- what is in it ---- */

static int look_at_copy(struct load *l)
{
    const char *why = "it is empty";
    if (l->bytes == 0)
        return failed(l, -ENOEXEC, "%s", why);
    void *bytes = mmap(NULL, l->bytes, PROT_READ, MAP_PRIVATE, l->copy, 0);
    if (bytes == MAP_FAILED)
        return system_failed(l, errno, "its copy cannot be mapped");
    int rc = antk_elf_read(bytes, l->bytes, &l->elf, &why);
    munmap(bytes, l->bytes);
    if (rc != 0)
        return failed(l, rc, "%s", why);
    if (l->elf.abi != ANT_ABI)
        return failed(l, -EPROTO, "it was built for ABI %u of libant; this one has %u",
                      (unsigned)l->elf.abi, ANT_ABI);
    bytes = mmap(NULL, ANT_PAGE_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE, l->copy, 0);
    if (bytes == MAP_FAILED && errno != ENOMEM)
        return failed(l, -EACCES, "memory files may not be executed here: %s", strerror(errno));
    if (bytes != MAP_FAILED)
        munmap(bytes, ANT_PAGE_BYTES);
    return 0;
}

/*
 * Of the names that lead to a descriptor, another one each time: the loader takes what has a name that it knows for what it has loaded under that name, be it still there only for the
 * destructors of thread-local variables; and descriptors' numbers are used again. So 32 of the slashes in it have, or have not, a dot behind them.
 */
static int name_copy(struct load *l)
{
    static _Atomic uint32_t loads;
    uint32_t number = atomic_fetch_add(&loads, 1);
    char *end = l->name + snprintf(l->name, sizeof l->name, "/proc/self/fd");
    for (unsigned bit = 0; bit < 32; bit++) {
        *end++ = '/';
        if (number >> bit & 1)
            *end++ = '.';
    }
    snprintf(end, sizeof l->name - (size_t)(end - l->name), "/%d", l->copy);
    return access(l->name, R_OK) == 0 ? 0 : failed(l, -ENOTSUP, "there is no /proc here");
}

/* ---- the loader ---- */

/* The loader's words, without the name that it was given, which tells nobody anything. */
static int refused(const struct load *l)
{
    const char *words = dlerror();
    size_t length = strlen(l->name);
    if (!words)
        words = "no reason given";
    if (strncmp(words, l->name, length) == 0 && words[length] == ':')
        words += length + 1 + strspn(words + length + 1, " ");
    return failed(l, -ENOLINK, "the loader refuses it: %s", words);
}

static bool lies_in(const struct ant_loaded *object, const void *address)
{
    return (uintptr_t)address >= object->from && (uintptr_t)address < object->to;
}

static int look_at_object(const struct load *l, struct ant_loaded *object)
{
    struct link_map *map;
    const struct ant_program_export *export = dlsym(object->handle, "ant_program");
    if (dlinfo(object->handle, RTLD_DI_LINKMAP, &map) != 0)
        return refused(l);
    object->from = map->l_addr + l->elf.low;
    object->to = map->l_addr + l->elf.high;
    if (!export || !lies_in(object, export))
        return failed(l, -ENOEXEC, "it exports no program (ANT_PROGRAM_EXPORT)");
    if (export->version() != ant_version()) /* the text's place, not what it says */
        return failed(l, -EPROTO,
                      "it calls another copy of libant, of version %s: it must not be linked with one",
                      export->version());
    object->program = export->program;
    if (!lies_in(object, object->program))
        return failed(l, -EINVAL, "its program lies in another object");
    int rc = antk_program_check(object->program);
    return rc ? failed(l, rc, "its program cannot be served: %s", ant_strerror(rc)) : 0;
}

static int open_object(const struct load *l, struct ant_loaded *object)
{
    object->handle = dlopen(l->name, RTLD_NOW | RTLD_LOCAL);
    if (!object->handle)
        return refused(l);
    int rc = look_at_object(l, object);
    if (rc != 0)
        dlclose(object->handle);
    return rc;
}

static int load(struct load *l, struct ant_loaded *object)
{
    int rc = open_file(l);
    if (rc == 0)
        rc = create_copy(l);
    if (rc == 0)
        rc = fill_copy(l);
    if (rc == 0)
        rc = look_at_copy(l);
    if (rc == 0)
        rc = name_copy(l);
    if (rc == 0) {
        struct antk_body *self = antk_object_step_aside();
        rc = open_object(l, object);
        antk_object_step_back(self);
    }
    if (l->file >= 0)
        close(l->file);
    if (l->copy >= 0)
        close(l->copy);
    return rc;
}

/* ---- the calls ---- */

int ant_program_load(const char *path, const struct ant_load_options *options, struct ant_loaded **loaded)
{
    ANTK_ENTER(self);
    static const struct ant_load_options defaults;
    struct load l = {.path = path, .options = options ? options : &defaults, .file = -1, .copy = -1};
    if (l.options->message_bytes > 0 && !l.options->message)
        return -EINVAL;
    if (!path || !loaded)
        return failed(&(struct load){.path = "ant_program_load", .options = l.options}, -EINVAL,
                      "path or loaded is NULL");
    antk_objects_close(self ? self->core : NULL);
    struct ant_loaded *object = calloc(1, sizeof *object);
    int rc = object ? load(&l, object) : failed(&l, -ENOMEM, "no memory");
    if (rc != 0) {
        free(object);
        return rc;
    }
    antk_object_add(object);
    *loaded = object;
    return 0;
}

const struct ant_program *ant_loaded_program(const struct ant_loaded *loaded)
{
    return loaded->program;
}

int ant_program_unload(struct ant_loaded *loaded)
{
    ANTK_ENTER(self);
    if (!antk_object_give_up(loaded))
        return -EINVAL;
    antk_objects_close(self ? self->core : NULL);
    return 0;
}
