/*
 * Programs from files: a shared object that holds one program, loaded while the core runs, and unloaded when nobody can reach it any more.
 *
 * Each load makes a private copy of the file and looks at that before anything in it runs: so the file may be replaced at any time, and the same path loaded again
 * gives what lies there now, even if the former object is still in use. docs/load.md says how to write such an object, and what its state must not hold.
 */
#ifndef ANT_LOAD_H
#define ANT_LOAD_H

#include <ant/base.h>
#include <ant/server.h>

ANT_BEGIN_DECLS

/* A program that has been loaded, and its loader's hold on it. */
struct ant_loaded;

/* A field that is 0 has its default. */
struct ant_load_options {
    /*
     * The file must belong to root or to the effective user, and nobody else may write to it, by its mode. What is looked at is the file that has been opened, whatever symbolic
     * links lead there. The folders on the way are not: who may write there can only choose among such files.
     */
    bool check_owner;
    char *message; /* gets a sentence for people that says what is wrong, ended by a 0, when the call fails and message_bytes is not 0 */
    size_t message_bytes;
};

/* No file may be longer. */
#define ANT_LOAD_BYTES_MAX ((size_t)256 << 20)

/*
 * Loads a program from a shared object (ANT_PROGRAM_EXPORT), with all symbols resolved at once (RTLD_NOW) and shown to no other object (RTLD_LOCAL). What the object asks for and does not
 * define itself comes from the running program and its libraries, libant among them.
 *
 * path: of a regular file; a relative one begins at the current folder (no search path). options: NULL for all defaults; borrowed during the call.
 * loaded: gets what has been loaded; give it up with ant_program_unload.
 *
 * Any thread, also one that is no process. Blocks for as long as the file system and the loader take. The object's constructors run on the calling thread, and so
 * may the destructors of others that nobody can reach any more. While they do, the thread is no process: each call of libant's that they make returns -EPERM, no fault is contained, and
 * (`virtual`) no other process runs, so they must not wait for one.
 *
 * What is checked before anything of the object runs: headers, segments, dynamic section, and the ABI that it was built for. A file that is damaged elsewhere is not
 * found out; no more than by dlopen.
 *
 * Errors:
 *   -EINVAL   path or loaded is NULL, message is NULL with a length, or the program in it is none that ant_serve would take, or lies in another object
 *   -ENOENT   there is no such file
 *   -EACCES   the file may not be read, or memory files may not be executed here (vm.memfd_noexec, a security module)
 *   -EPERM    check_owner: its owner or mode is not as asked
 *   -EFBIG    it is longer than ANT_LOAD_BYTES_MAX
 *   -ENOEXEC  it is no regular file, no shared object for this machine, exports no program, has changed while it was read, or is damaged
 *   -EPROTO   it was built for another ABI; or it calls another copy of libant than this one (by a library that it was linked with)
 *   -ENOLINK  the loader refuses it: a symbol that nobody defines, a library that is missing; the message says which
 *   -ENOTSUP  there are no memory files here (memfd_create), or no /proc
 *   -ENOMEM   no memory
 *   any other what the system said when the file was opened or read, or the copy made
 * Up to -EPROTO for the ABI nothing of the object has run; with another copy of libant, and -EINVAL for what lies in it, its constructors and destructors have.
 */
ANT_API int ant_program_load(const char *path, const struct ant_load_options *options, struct ant_loaded **loaded);

/*
 * The program that was loaded. It may be served and swapped like any other, as often as one likes, as long as the caller has not given up loaded; a server that runs it
 * holds the object by itself from then on.
 *
 * loaded: not given up. Any thread; never blocks.
 */
ANT_API const struct ant_program *ant_loaded_program(const struct ant_loaded *loaded);

/*
 * Gives up the loader's hold. The object is unloaded when no server, dead ones included, has its program, and each thread on which a process with code of it has run has ended and been
 * joined: then in the next call of ant_program_load, ant_program_unload, ant_process_create, ant_serve, ant_swap or ant_shutdown, whose thread runs the
 * object's destructors as ant_program_load runs constructors. A hundred generations one after the other so never hold more than the last few.
 *
 * Held are objects that a server's program (the one of ant_loaded_program, or another with its `request` or `run`), a transformer, or the entry of ant_process_create lies in. A
 * thread that the object has created by itself holds nothing: it must end before (`dispose`). The thread of an abandoned process holds its objects for ever.
 *
 * loaded: is not valid any more. Any thread, also one that is no process.
 *
 * Errors:
 *   -EINVAL  loaded is NULL, or is no loaded program, or has been given up already
 */
ANT_API int ant_program_unload(struct ant_loaded *loaded);

/* What an object exports; see the macro. */
struct ant_program_export {
    const struct ant_program *program;
    const char *(*version)(void); /* of the libant that the object's calls go to */
};

/*
 * At file scope at the end of a source of the object, once, and followed by a semicolon: exports a struct ant_program of static duration. The symbol is `ant_program`; an ELF note (owner
 * "libant", type 1) tells the ABI before the object is loaded.
 */
#define ANT_PROGRAM_EXPORT(exported)                                                \
    ANT_BEGIN_DECLS                                                                 \
    extern ANT_API const struct ant_program_export ant_program;                     \
    const struct ant_program_export ant_program = {&(exported), ant_version};       \
    ANT_END_DECLS                                                                   \
    __attribute__((section(".note.ant"), used, aligned(4))) static const struct {   \
        uint32_t owner_bytes, bytes, type;                                          \
        char owner[8];                                                              \
        uint32_t abi;                                                               \
    } ant_program_note = {sizeof "libant", sizeof(uint32_t), 1, "libant", ANT_ABI}; \
    struct ant_program_export

ANT_END_DECLS

#endif
