/* The command line, by argp. */
#include "options.h"

#include "option.h"

#include "protocol.h"

#include <argp.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, MAX_SWAPS = 1000000, MIN_BLOCK_BYTES = 512, MAX_DISK_US = 1000000 };

const char *argp_program_version = "server_swap, of libant " ANT_VERSION;

static const char description[] =
    "Reads a file through an OS server and a disk driver, and replaces the server while it serves.\n"
    "\n"
    "Clients read FILE in blocks, again and again. The server that they ask is replaced N times, in turn by a version with "
    "a block cache and by one without, and once by a version that does not start. Every client compares the SHA-256 "
    "of what it got with the file's, and counts its requests and their answers."
    "\v"
    "Exit status: 0 if every request was answered once, in order, and rightly; 1 if not, or if the file cannot be read, "
    "the core not booted, or the report not written; 2 if the command line makes no sense.";

enum { KEY_JSON = 'j', KEY_MACHINE = 'm', KEY_MOVER = 256, KEY_SEED, KEY_BLOCK, KEY_DISK_US };

static const struct argp_option argp_options[] = {
    {"file", 'f', "PATH", 0, "the file to serve; default: the C library of this system", 0},
    {"swaps", 'n', "N", 0, "how often to replace the server, 0 to 1000000; default 300", 0},
    {"clients", 'c', "N", 0,
     "how many clients read, 1 to 256; default 8. Every second one keeps several requests out", 0},
    {"block", KEY_BLOCK, "BYTES", 0, "how much one request reads, 512 to 1048576; default 16384", 0},
    {"disk-us", KEY_DISK_US, "US", 0,
     "how long the disk takes for a block at least, 0 to 1000000; default 50", 0},
    {"seed", KEY_SEED, "N", 0,
     "draws the pauses between swaps, and choices of the virtual machine; default 1", 0},
    {"machine", KEY_MACHINE, "NAME", 0,
     "auto, fifo, other or virtual; default: ANT_MACHINE in the environment, or auto", 1},
    {"mover", KEY_MOVER, "NAME", 0,
     "auto, strict, strict-mremap, flat or copy; default: ANT_MOVER in the environment, or auto", 1},
    {"json", KEY_JSON, NULL, 0, "print one JSON object and nothing else on standard output", 2},
    {0},
};

static const char *const machine_names[] = {
    [ANT_MACHINE_AUTO] = "auto",
    [ANT_MACHINE_FIFO] = "fifo",
    [ANT_MACHINE_OTHER] = "other",
    [ANT_MACHINE_VIRTUAL] = "virtual",
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
    switch (key) {
    case 'f':
        options->file = text;
        return 0;
    case 'n':
        options->swaps = (unsigned)option_number(state, "--swaps", text, 0, MAX_SWAPS);
        return 0;
    case 'c':
        options->clients = (unsigned)option_number(state, "--clients", text, 1, MAX_CLIENTS);
        return 0;
    case KEY_BLOCK:
        options->block_bytes = option_number(state, "--block", text, MIN_BLOCK_BYTES, MAX_BLOCK_BYTES);
        return 0;
    case KEY_DISK_US:
        options->disk_us = option_number(state, "--disk-us", text, 0, MAX_DISK_US);
        return 0;
    case KEY_SEED:
        options->seed = option_number(state, "--seed", text, 0, UINT64_MAX);
        return 0;
    case KEY_MACHINE:
        options->machine = (enum ant_machine)option_choice(state, "--machine", text, machine_names);
        return 0;
    case KEY_MOVER:
        options->mover = (enum ant_mover)option_choice(state, "--mover", text, mover_names);
        return 0;
    case KEY_JSON:
        options->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "what is '%s'? All arguments are options", text);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* A file that every machine has, and whose name one can give to sha256sum: that of the C library in use. */
static const char *default_file(void)
{
    Dl_info info;
    void *symbol = dlsym(RTLD_DEFAULT, "gnu_get_libc_version");
    bool found = symbol != NULL && dladdr(symbol, &info) != 0 && info.dli_fname != NULL &&
                 info.dli_fname[0] == '/';
    return found ? info.dli_fname : "/proc/self/exe";
}

void options_parse(struct options *options, int argc, char **argv)
{
    static const struct argp argp = {argp_options, parse, NULL, description, NULL, NULL, NULL};
    *options = (struct options){
        .file = default_file(),
        .swaps = 300,
        .clients = 8,
        .block_bytes = 16384,
        .disk_us = 50,
        .seed = 1,
    };
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, options);
}
