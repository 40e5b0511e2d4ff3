/* The command line, by argp. */
#include "options.h"

#include "option.h"

#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, SAMPLES = 5000, LEAST_SAMPLES = 10, MOST_SAMPLES = 1000000 };

const char *argp_program_version = "speed, of libant " ANT_VERSION;

static const char description[] =
    "libant's speed beside the limits of this machine and beside its peers, measured in turns in one run."
    "\v"
    "Exit status: 0 if all was measured, with --check if all targets hold; 1 if not; 2 if the command line makes no sense.";

enum { KEY_JSON = 'j', KEY_CHECK = 'c', KEY_SAMPLES = 'n', KEY_ONLY = 'o' };

static const struct argp_option argp_options[] = {
    {"json", KEY_JSON, NULL, 0, "print an array of objects, one for each row", 0},
    {"check", KEY_CHECK, NULL, 0,
     "measure all of it five times, and hold the median of the five against each target", 0},
    {"samples", KEY_SAMPLES, "N", 0,
     "how many samples of each, 10 to 1000000; default 5000. Fewer are taken of what is slow", 0},
    {"only", KEY_ONLY, "NAME[,NAME]", 0, "these rows only", 0},
    {0},
};

/* The length of the name at the start of a list. */
static size_t name_length(const char *list)
{
    return strcspn(list, ",");
}

static bool is_name(const char *list, const char *name)
{
    size_t length = name_length(list);

    return strlen(name) == length && strncmp(list, name, length) == 0;
}

static bool is_row(const char *list)
{
    for (int i = 0; groups[i] != NULL; i++) {
        for (size_t row = 0; row < groups[i]->row_count; row++) {
            if (is_name(list, groups[i]->rows[row].name)) {
                return true;
            }
        }
    }
    return false;
}

static const char *next_name(const char *list)
{
    size_t length = name_length(list);

    return list[length] == ',' ? list + length + 1 : NULL;
}

static void check_names(struct argp_state *state, const char *list)
{
    for (const char *name = list; name != NULL; name = next_name(name)) {
        if (!is_row(name)) {
            argp_error(state, "--only: there is no row '%.*s'", (int)name_length(name), name);
        }
    }
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case KEY_JSON:
        options->json = true;
        return 0;
    case KEY_CHECK:
        options->check = true;
        return 0;
    case KEY_SAMPLES:
        options->samples =
            (unsigned)option_number(state, "--samples", text, LEAST_SAMPLES, MOST_SAMPLES);
        return 0;
    case KEY_ONLY:
        check_names(state, text);
        options->only = text;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "what is '%s'? All arguments are options", text);
        return 0;
    case ARGP_KEY_END:
        if (options->json && options->check) {
            argp_error(state, "--json and --check: one of them");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void options_parse(struct options *options, int count, char **values)
{
    static const struct argp argp = {argp_options, parse, NULL, description, NULL, NULL, NULL};

    *options = (struct options){.samples = SAMPLES};
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, count, values, 0, NULL, options);
}

bool options_want(const struct options *options, const struct row *row)
{
    for (const char *name = options->only; name != NULL; name = next_name(name)) {
        if (is_name(name, row->name)) {
            return true;
        }
    }
    return options->only == NULL;
}
