/* The command line, by argp. */
#include "options.h"

#include "option.h"

#include <ant/ant.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, MAX_SWAPS = 10000, MAX_REQUESTS = 100000, PATH_BYTES = 4096 };

const char *argp_program_version = "eval, of libant " ANT_VERSION;

static const char description[] =
    "Repeats the paper's evaluation, Figures 7 to 10, and compares every value that the paper states.\n"
    "\n"
    "Runs the program paper for 1 to 7 clients and the paper's six pairs of work times, and writes a folder: CSV, JSON, "
    "the figures with the gnuplot scripts that made them, and index.html, which has all of it on one page."
    "\v"
    "Exit status: 0 if every stated value was met (on the real clock: if no request was lost or duplicated); 1 if not, or "
    "if something failed; 2 if the command line makes no sense.";

enum {
    KEY_CLOCK = 'c',
    KEY_OUT = 'o',
    KEY_JOBS = 'j',
    KEY_CLIENTS = 256,
    KEY_SWAPS,
    KEY_REQUESTS,
    KEY_SEED,
    KEY_MOVER,
    KEY_PAPER
};

static const struct argp_option argp_options[] = {
    {"clock", KEY_CLOCK, "CLOCK", 0,
     "virtual (default): exact, in less than a minute; real: as measured, about half an hour", 0},
    {"out", KEY_OUT, "DIR", 0,
     "the folder to write; default: build/eval/CLOCK where there is a build, else eval-CLOCK", 0},
    {"seed", KEY_SEED, "N", 0, "draws the pauses between swaps, 0 to 9223372036854775807; default 1", 0},
    {"mover", KEY_MOVER, "NAME", 0,
     "auto, strict, strict-mremap, flat or copy; default: ANT_MOVER in the environment, or auto", 0},
    {"jobs", KEY_JOBS, "N", 0,
     "how many runs at a time on the virtual clock, 1 to 64; default: one for each CPU", 0},
    {"paper", KEY_PAPER, "PATH", 0,
     "the program that does the runs; default: paper, beside this program", 0},
    {NULL, 0, NULL, 0, "For trials (the report says that these are not the paper's numbers):", 1},
    {"clients", KEY_CLIENTS, "MAX", 0, "up to how many clients, 1 to 7; default 7", 1},
    {"swaps", KEY_SWAPS, "N", 0,
     "how many swaps a run has, 1 to 10000; default 50. What else is run to find suprema grows with it",
     1},
    {"requests", KEY_REQUESTS, "N", 0, "how many requests each client sends, 1 to 100000; default 100", 1},
    {0},
};

static const char *const clocks[] = {"virtual", "real", NULL};
static const char *const movers[] = {"auto", "strict", "strict-mremap", "flat", "copy", NULL};

static const char *path(struct argp_state *state, const char *option, const char *text)
{
    if (text[0] == '\0') {
        argp_error(state, "%s: a path is wanted", option);
    }
    return text;
}

/* What the options given do not say. The real clock wants one run at a time: two would disturb each other. */
static void complete(struct options *options, struct argp_state *state)
{
    cpu_set_t cpus;
    struct stat status;

    const char *machine = getenv("ANT_MACHINE");
    if (options->real && machine != NULL && strcasecmp(machine, "virtual") == 0) {
        argp_error(state, "--clock: real is not to be had with ANT_MACHINE=virtual in the environment");
    }
    if (options->real && options->jobs > 1) {
        argp_error(state, "--jobs: on the real clock one run at a time");
    }
    if (options->jobs == 0) {
        int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
        options->jobs = options->real ? 1 : count < MAX_JOBS ? (unsigned)count : MAX_JOBS;
    }
    if (options->out == NULL) {
        bool built = stat("build", &status) == 0 && S_ISDIR(status.st_mode);
        options->out = built ? (options->real ? "build/eval/real" : "build/eval/virtual")
                             : (options->real ? "eval-real" : "eval-virtual");
    }
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case KEY_CLOCK:
        options->real = option_choice(state, "--clock", text, clocks) == 1;
        return 0;
    case KEY_OUT:
        options->out = path(state, "--out", text);
        return 0;
    case KEY_SEED:
        options->seed = option_number(state, "--seed", text, 0, INT64_MAX);
        return 0;
    case KEY_MOVER:
        options->mover = movers[option_choice(state, "--mover", text, movers)];
        return 0;
    case KEY_JOBS:
        options->jobs = (unsigned)option_number(state, "--jobs", text, 1, MAX_JOBS);
        return 0;
    case KEY_PAPER:
        options->paper = path(state, "--paper", text);
        return 0;
    case KEY_CLIENTS:
        options->clients = (unsigned)option_number(state, "--clients", text, 1, PAPER_CLIENTS);
        return 0;
    case KEY_SWAPS:
        options->swaps = (unsigned)option_number(state, "--swaps", text, 1, MAX_SWAPS);
        return 0;
    case KEY_REQUESTS:
        options->requests = (unsigned)option_number(state, "--requests", text, 1, MAX_REQUESTS);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "what is '%s'? All arguments are options", text);
        return 0;
    case ARGP_KEY_END:
        complete(options, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* `paper` beside this program, wherever it was called from. */
static const char *default_paper(void)
{
    static char text[PATH_BYTES];
    static const char name[] = "paper";
    ssize_t bytes = readlink("/proc/self/exe", text, sizeof text - sizeof name);
    char *slash = bytes > 0 ? memrchr(text, '/', (size_t)bytes) : NULL;
    memcpy(slash != NULL ? slash + 1 : text, name, sizeof name);
    return text;
}

/* Words that a shell would take apart or change are quoted. */
static char *command_line(int argc, char **argv)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=/.,:@%";
    char *text = NULL;
    size_t bytes;
    FILE *stream = open_memstream(&text, &bytes);
    if (stream == NULL) {
        return NULL;
    }
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        bool quoted = word[0] == '\0' || word[strspn(word, plain)] != '\0';
        fprintf(stream, "%s%s", i > 0 ? " " : "", quoted ? "'" : "");
        for (; *word != '\0'; word++) {
            fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, stream);
        }
        fputs(quoted ? "'" : "", stream);
    }
    return fclose(stream) == 0 ? text : NULL;
}

void options_parse(struct options *options, int argc, char **argv)
{
    static const struct argp argp = {argp_options, parse, NULL, description, NULL, NULL, NULL};
    *options = (struct options){
        .clients = PAPER_CLIENTS,
        .swaps = PAPER_SWAPS,
        .requests = PAPER_REQUESTS,
        .seed = 1,
        .command = command_line(argc, argv),
    };
    if (options->command == NULL) {
        fprintf(stderr, "eval: no memory\n");
        exit(1);
    }
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, options);
    if (options->paper == NULL) {
        options->paper = default_paper();
    }
}

bool options_are_the_papers(const struct options *options)
{
    return options->clients == PAPER_CLIENTS && options->swaps == PAPER_SWAPS &&
           options->requests == PAPER_REQUESTS;
}
