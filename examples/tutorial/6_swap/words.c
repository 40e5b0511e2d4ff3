/*
 * Step 6: SIGHUP replaces the component by what its file holds by then.
 *
 * ctest: machines=real movers=auto,copy
 */
#include "example.h"
#include "loop.h"

#include <signal.h>
#include <sys/signalfd.h>

enum { FN_COUNTER = 1 };

static unsigned unanswered;

static void ask(const char *line)
{
    struct ant_request *rq;
    must("ant_request_new", ant_request_new(FN_COUNTER, &rq));
    snprintf((char *)rq->payload, sizeof rq->payload, "%s", line);
    must("ant_send", ant_send(rq));
    unanswered++;
}

static void take_answers(void)
{
    struct ant_message message;
    while (ant_receive(&message, 0) == 0) {
        struct ant_request *rq = message.request; /* nobody sends requests to this process, so it is a result */
        puts(rq->error == 0 ? (const char *)rq->payload : ant_strerror(rq->error));
        must("ant_request_free", ant_request_free(rq));
        unanswered--;
    }
}

/* A file that holds a program. Says why if it cannot be loaded. */
static struct ant_loaded *load(const char *path)
{
    char message[256];
    const struct ant_load_options options = {.message = message, .message_bytes = sizeof message};
    struct ant_loaded *loaded = NULL;
    if (ant_program_load(path, &options, &loaded) != 0)
        fprintf(stderr, "%s\n", message);
    return loaded;
}

/* Whatever the file holds by now serves from here on, with the state of what has served so far; or, if that cannot be, nothing has happened. */
static struct ant_loaded *replace(struct ant_loaded *counter, const char *path)
{
    struct ant_loaded *next = load(path);
    if (!next)
        return counter;
    int error = ant_swap(FN_COUNTER, ant_loaded_program(next), NULL, NULL);
    if (error != 0)
        fprintf(stderr, "%s\n", ant_strerror(error));
    must("ant_program_unload", ant_program_unload(error == 0 ? counter : next));
    return error == 0 ? next : counter;
}

static int hangups(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
    struct lines input = {.bytes = 0};
    char line[LINE_BYTES];
    int epoll = epoll_create1(EPOLL_CLOEXEC), answers;
    int hangup = hangups(); /* before ant_boot, whose threads then block SIGHUP, too */
    bool more = true;
    loop_add(epoll, STDIN_FILENO);
    loop_add(epoll, hangup);
    setvbuf(stdout, NULL, _IOLBF, 0);
    must("ant_boot", ant_boot(NULL));
    struct ant_loaded *counter = argc == 2 ? load(argv[1]) : NULL;
    if (!counter)
        return EXIT_FAILURE;
    must("ant_serve", ant_serve(FN_COUNTER, ant_loaded_program(counter), NULL, NULL));
    must("ant_event_fd", ant_event_fd(&answers));
    loop_add(epoll, answers);

    while (more || unanswered > 0) {
        int fd = loop_next(epoll);
        if (fd == answers) {
            take_answers();
        } else if (fd == hangup) {
            struct signalfd_siginfo info;
            if (read(hangup, &info, sizeof info) == sizeof info) {
                counter = replace(counter, argv[1]);
                printf("version %u serves\n", ant_loaded_program(counter)->version);
            }
        } else if (!lines_read(&input, fd)) {
            more = false;
            epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
        }
        while (lines_next(&input, line))
            ask(line);
    }
    must("ant_shutdown", ant_shutdown(NULL));
    must("ant_program_unload", ant_program_unload(counter));
    return EXIT_SUCCESS;
}
