/*
 * An outside program: boots a core, calls a server, replaces it, calls it again; and once more, by a program from the file that is its argument, if there is one. Uses only
 * what is installed.
 */
#include <ant/ant.h>
#include <stdio.h>

enum { FN_VERSION = 1 };

/* Answers with the version of the program that serves. */
static void answer(struct ant_server *self, struct ant_request *rq)
{
    ant_reply(rq, (int32_t)self->program->version);
}

static const struct ant_program version_1 = {
    .abi = ANT_ABI,
    .version = 1,
    .name = "version",
    .request = answer,
};

static const struct ant_program version_2 = {
    .abi = ANT_ABI,
    .version = 2,
    .name = "version",
    .request = answer,
};

/* The version that serves, or a negative error. */
static int ask(void)
{
    struct ant_request *rq;
    int error = ant_request_new(FN_VERSION, &rq);
    if (error)
        return error;
    error = ant_call(rq, ANT_FOREVER);
    int version = error ? error : rq->status;
    ant_request_free(rq);
    return version;
}

static int check(const char *what, int got, int expected)
{
    if (got == expected)
        return 0;
    fprintf(stderr, "%s: %d (%s), expected %d\n", what, got, got < 0 ? ant_strerror(got) : "", expected);
    return 1;
}

/* Swaps the program in a file in. */
static int swap_file(const char *path)
{
    char message[256];
    struct ant_load_options options = {.message = message, .message_bytes = sizeof message};
    struct ant_loaded *loaded;
    int error = ant_program_load(path, &options, &loaded);
    if (error) {
        fprintf(stderr, "%s\n", message);
        return error;
    }
    error = ant_swap(FN_VERSION, ant_loaded_program(loaded), NULL, NULL);
    ant_program_unload(loaded); /* the server holds it */
    return error;
}

int main(int argc, char **argv)
{
    if (check("ant_boot", ant_boot(NULL), 0))
        return 1;
    int failed = check("ant_serve", ant_serve(FN_VERSION, &version_1, NULL, NULL), 0) ||
                 check("ant_call", ask(), 1) ||
                 check("ant_swap", ant_swap(FN_VERSION, &version_2, NULL, NULL), 0) ||
                 check("ant_call after the swap", ask(), 2);
    if (argc > 1)
        failed = failed || check("the swap to a file's", swap_file(argv[1]), 0) ||
                 check("ant_call after that", ask(), 3);
    if (check("ant_shutdown", ant_shutdown(NULL), 0) || failed)
        return 1;
    printf("libant %s: served, swapped, served%s\n", ant_version(),
           argc > 1 ? ", loaded, swapped, served" : "");
    return 0;
}
