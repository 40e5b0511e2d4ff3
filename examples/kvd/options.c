/* The command line, by argp. */
#include "options.h"

#include "option.h"

#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, DEFAULT_PORT = 6380, MIB_SHIFT = 20 };

const char *argp_program_version = "kvd, of libant " ANT_VERSION;

static const char description[] =
    "A key-value server that speaks RESP2, the protocol of Redis, and whose store can be replaced while it serves.\n"
    "\n"
    "KVD.SWAP v1|v2|broken replaces the store by that version; SIGHUP by what now lies in the file of the one that serves."
    "\v"
    "Exit status: 0 after SIGTERM or SIGINT; 1 if it cannot serve; 2 if the command line makes no sense.";

enum {
    KEY_BIND = 256,
    KEY_DIR,
    KEY_STORE,
    KEY_FSYNC,
    KEY_PATHS,
    KEY_CONNECTIONS,
    KEY_BUFFERS,
    KEY_MEMORY,
    KEY_TIMEOUT,
    KEY_MACHINE,
    KEY_MOVER
};

static const struct argp_option argp_options[] = {
    {"port", 'p', "N", 0, "where to listen; 0: a free one, which is printed; default 6380", 0},
    {"bind", KEY_BIND, "ADDRESS", 0, "IPv4; default 127.0.0.1. Whoever can connect can do everything", 0},
    {"max-connections", KEY_CONNECTIONS, "N", 0, "1 to 65536 at once; default 1000", 0},
    {"buffers", KEY_BUFFERS, "MIB", 0,
     "what all connections together may take beyond 16 KiB each; default 256", 0},
    {"journal", 'j', "FILE", 0,
     "what is changed is appended there, and replayed at the next start; none: nothing is kept; default none",
     1},
    {"fsync", KEY_FSYNC, "WHEN", 0, "always, before the answer; everysec; no; default everysec", 1},
    {"memory", KEY_MEMORY, "MIB", 0, "for all keys, values and batches; 64 up; default 256", 1},
    {"dir", KEY_DIR, "DIRECTORY", 0, "of the files kv_store_VERSION.so; default: that of this program", 2},
    {"store", KEY_STORE, "VERSION", 0, "to begin with; default v1", 2},
    {"swap-paths", KEY_PATHS, NULL, 0,
     "KVD.SWAP takes a path, too: whoever can connect can run whatever files this user or root has", 2},
    {"start-timeout", KEY_TIMEOUT, "MS", 0, "how long a new store's start may take; default 1000", 2},
    {"machine", KEY_MACHINE, "NAME", 0, "auto, fifo or other; default other", 3},
    {"mover", KEY_MOVER, "NAME", 0,
     "auto, strict, strict-mremap, flat or copy; default: ANT_MOVER in the environment, or auto", 3},
    {0},
};

static const char *const fsync_names[] = {
    [FSYNC_ALWAYS] = "always",
    [FSYNC_EVERY_SECOND] = "everysec",
    [FSYNC_NEVER] = "no",
    NULL,
};

static const char *const machine_names[] = {
    [ANT_MACHINE_AUTO] = "auto",
    [ANT_MACHINE_FIFO] = "fifo",
    [ANT_MACHINE_OTHER] = "other",
    NULL,
};

static const char *const mover_names[] = {
    [ANT_MOVER_AUTO] = "auto",
    [ANT_MOVER_STRICT] = "strict",
    [ANT_MOVER_STRICT_MREMAP] = "strict-mremap",
    [ANT_MOVER_FLAT] = "flat",
    [ANT_MOVER_COPY] = "copy",
    NULL,
};

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;
    struct in_addr address;
    switch (key) {
    case 'p':
        options->port = (uint16_t)option_number(state, "--port", text, 0, UINT16_MAX);
        return 0;
    case KEY_BIND:
        options->bind = text;
        if (inet_pton(AF_INET, text, &address) != 1) {
            argp_error(state, "--bind: '%s' is no IPv4 address", text);
        }
        return 0;
    case KEY_CONNECTIONS:
        options->max_connections = (unsigned)option_number(state, "--max-connections", text, 1, 65536);
        return 0;
    case KEY_BUFFERS:
        options->buffer_bytes = (size_t)option_number(state, "--buffers", text, 0, 1 << 20) << MIB_SHIFT;
        return 0;
    case 'j':
        options->journal = strcmp(text, "none") == 0 ? NULL : text;
        return 0;
    case KEY_FSYNC:
        options->fsync = (enum fsync_policy)option_choice(state, "--fsync", text, fsync_names);
        return 0;
    case KEY_MEMORY:
        options->memory_bytes = (size_t)option_number(state, "--memory", text, 64, 1 << 20) << MIB_SHIFT;
        return 0;
    case KEY_DIR:
        options->directory = text;
        return 0;
    case KEY_STORE:
        options->store = text;
        return 0;
    case KEY_PATHS:
        options->swap_paths = true;
        return 0;
    case KEY_TIMEOUT:
        options->start_timeout_ns =
            (int64_t)(option_number(state, "--start-timeout", text, 1, 3600000) * ANT_NS_PER_MS);
        return 0;
    case KEY_MACHINE:
        options->machine = (enum ant_machine)option_choice(state, "--machine", text, machine_names);
        return 0;
    case KEY_MOVER:
        options->mover = (enum ant_mover)option_choice(state, "--mover", text, mover_names);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "what is '%s'? All arguments are options", text);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Where this program is. */
static const char *own_directory(void)
{
    static char path[PATH_MAX];
    ssize_t bytes = readlink("/proc/self/exe", path, sizeof path - 1);
    char *slash = bytes > 0 ? strrchr(path, '/') : NULL;
    if (slash == NULL) {
        return ".";
    }
    *slash = '\0';
    return path;
}

void options_parse(struct options *options, int argc, char **argv)
{
    static const struct argp argp = {argp_options, parse, NULL, description, NULL, NULL, NULL};
    *options = (struct options){
        .bind = "127.0.0.1",
        .port = DEFAULT_PORT,
        .directory = own_directory(),
        .store = "v1",
        .fsync = FSYNC_EVERY_SECOND,
        .max_connections = 1000,
        .buffer_bytes = (size_t)256 << MIB_SHIFT,
        .memory_bytes = (size_t)256 << MIB_SHIFT,
        .start_timeout_ns = (int64_t)ANT_NS_PER_S,
        .machine = ANT_MACHINE_OTHER,
    };
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, options);
}
