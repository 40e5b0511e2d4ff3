/*
 * The operator: loads versions of the store, and has the one that serves replaced; also when it has died. The successor of the dead does not get its
 * state, which may be damaged, but the journal.
 */
#include "kvd.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PRIORITY_STORE = 20, PATH_BYTES = 4096 };

/* One that dies sooner after another has died is not replaced by the same again: clients wait for KVD.SWAP. */
static const uint64_t restart_every_ns = ANT_NS_PER_S;

static const struct options *options;
static char path_now[PATH_BYTES]; /* of the store that serves */
static bool filled;               /* it has what is in the journal */
static bool watched;              /* a monitor is out */
static uint64_t restarted_ns;     /* when the last one that died was replaced; 0: none */

/* Where a version is. A name is that of a file in the directory; anything else is a path, if that is allowed. */
static int find(const char *what, char *path, char *text, size_t text_bytes)
{
    size_t bytes = strlen(what);
    bool is_name = bytes > 0;
    for (size_t i = 0; i < bytes; i++) {
        is_name = is_name && (isalnum((unsigned char)what[i]) || what[i] == '_');
    }
    int length = bytes == 0 ? snprintf(path, PATH_BYTES, "%s", path_now)
                 : is_name ? snprintf(path, PATH_BYTES, "%s/kv_store_%s.so", options->directory, what)
                           : snprintf(path, PATH_BYTES, "%s", what);
    if (bytes > 0 && !is_name && !options->swap_paths) {
        snprintf(text, text_bytes, "a path is taken only with --swap-paths");
        return -EPERM;
    }
    if (length >= PATH_BYTES) {
        snprintf(text, text_bytes, "the path is too long");
        return -ENAMETOOLONG;
    }
    return 0;
}

static int load(const char *path, char *text, size_t text_bytes, struct ant_loaded **loaded)
{
    const struct ant_load_options load_options = {
        .check_owner = true,
        .message = text,
        .message_bytes = text_bytes,
    };
    return ant_program_load(path, &load_options, loaded);
}

/* A store that begins with nothing answers when the journal has been replayed. */
static int fill(void)
{
    struct ant_request *rq;
    int error = ant_request_new(options->journal != NULL ? FN_JOURNAL : FN_STORE, &rq);
    if (error != 0) {
        return error;
    }
    rq->operation = options->journal != NULL ? (uint32_t)JOURNAL_REPLAY : (uint32_t)STORE_LOADED;
    error = ant_call(rq, ANT_FOREVER);
    if (error == 0) {
        error = rq->status;
    }
    (void)ant_request_free(rq);
    filled = error == 0;
    return error;
}

/* From now on deaths are told. */
static int watch(void)
{
    struct ant_request *rq;
    int error = watched ? 0 : ant_request_new(FN_STORE, &rq);
    if (!watched && error == 0) {
        error = ant_monitor(rq, FN_STORE);
        watched = error == 0;
    }
    return error;
}

void operator_init(const struct options *o)
{
    options = o;
}

int operator_first(void)
{
    const struct ant_server_options server_options = {.priority = PRIORITY_STORE};
    struct ant_loaded *loaded;
    char text[256] = "";
    int error = find(options->store, path_now, text, sizeof text);
    if (error == 0) {
        error = load(path_now, text, sizeof text, &loaded);
    }
    if (error != 0) {
        fprintf(stderr, "kvd: store %s: %s\n", options->store, text);
        return error;
    }
    error = ant_serve(FN_STORE, ant_loaded_program(loaded), &server_options, NULL);
    (void)ant_program_unload(loaded); /* the server holds it */
    if (error == 0) {
        error = fill();
    }
    if (error != 0) {
        fprintf(stderr, "kvd: store %s does not start: %s\n", path_now, ant_strerror(error));
    }
    return error;
}

static double us(uint64_t ns)
{
    return (double)ns / 1000;
}

/* Else it was refused: nothing was touched. */
static bool has_begun(const struct ant_swap_report *report)
{
    return report->function != 0 && report->step > ANT_SWAP_REQUEST;
}

/* A line about a swap. */
static void tell(char *text, size_t bytes, int error, const struct ant_swap_report *report)
{
    if (error == 0) {
        snprintf(text, bytes,
                 "version %u replaced version %u: generation %u, blackout %.1f us, of it transformer %.1f us; prepared in %.1f us",
                 report->new_version, report->old_version, report->generation,
                 us(report->blackout_ns), us(report->transform_ns), us(report->prepare_ns));
    } else if (!has_begun(report)) {
        snprintf(text, bytes, "not swapped: %s", ant_strerror(error));
    } else {
        snprintf(text, bytes, "rolled back in step %d (%s), version %u serves on: %s; blackout %.1f us",
                 (int)report->step, ant_swap_step_name(report->step), report->old_version,
                 ant_strerror(error), us(report->blackout_ns));
    }
}

static int swap(struct kvd_swap *swap)
{
    const struct ant_swap_options swap_options = {.start_timeout_ns = options->start_timeout_ns};
    struct ant_swap_report report = {0};
    struct ant_loaded *loaded;
    char path[PATH_BYTES];
    swap->what[sizeof swap->what - 1] = '\0';
    swap->rolled_back = false;
    swap->blackout_ns = 0;
    int error = find(swap->what, path, swap->text, sizeof swap->text);
    if (error == 0) {
        error = load(path, swap->text, sizeof swap->text, &loaded);
    }
    if (error != 0) {
        return error;
    }
    error = ant_swap(FN_STORE, ant_loaded_program(loaded), &swap_options, &report);
    (void)ant_program_unload(loaded); /* the server holds it, if it serves */
    tell(swap->text, sizeof swap->text, error, &report);
    swap->rolled_back = error != 0 && has_begun(&report);
    swap->blackout_ns = report.blackout_ns;
    if (error != 0) {
        return error;
    }
    memcpy(path_now, path, sizeof path_now);
    if (report.restarted || !filled) {
        error = fill();
    }
    if (error != 0) {
        snprintf(swap->text, sizeof swap->text, "restarted, but the journal is not replayed: %s",
                 ant_strerror(error));
    }
    (void)watch(); /* should it fail, the next death is not mended by itself */
    return error;
}

/* What a text must not hold, as it is a line for a client. */
static void clean(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\r' || *text == '\n') {
            *text = ' ';
        }
    }
}

/* --- Deaths ------------------------------------------------------------------------------------------------------------- */

/* Returns false if it is left dead. */
static bool restart(void)
{
    struct kvd_swap again = {.what = ""};
    uint64_t now_ns = ant_now();
    if (restarted_ns != 0 && now_ns - restarted_ns < restart_every_ns) {
        fprintf(stderr, "kvd: the store has died again: its clients wait for KVD.SWAP\n");
        return false;
    }
    restarted_ns = now_ns;
    int error = swap(&again);
    fprintf(stderr, "kvd: the store has died: %s\n", again.text);
    return error == 0;
}

/* The monitor is back: something has become of the store. Somebody may have replaced the dead before. Lent again, it would tell of the same dead at once. */
static void result(struct ant_server *self, struct ant_request *rq)
{
    const struct ant_monitor_report *report = (const void *)rq->payload;
    struct ant_process_info info;
    bool died = rq->error == 0 && report->change == ANT_CHANGE_DIED &&
                ant_process_info(report->pid, &info) == 0 && info.dead;
    (void)self;
    (void)ant_request_free(rq);
    watched = false;
    if (!died || restart()) {
        (void)watch();
    }
}

/* --- The server --------------------------------------------------------------------------------------------------------- */

static void request(struct ant_server *self, struct ant_request *rq)
{
    int status = -EINVAL;
    (void)self;
    switch (rq->operation) {
    case OPERATOR_SWAP:
        status = swap(kvd_swap(rq));
        clean(kvd_swap(rq)->text);
        break;
    case OPERATOR_WATCH:
        status = watch();
        break;
    default:
        break;
    }
    (void)ant_reply(rq, status);
}

const struct ant_program operator_program = {
    .abi = ANT_ABI,
    .version = 1,
    .name = "operator",
    .request = request,
    .result = result,
};
