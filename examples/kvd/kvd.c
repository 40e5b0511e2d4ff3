/*
 * kvd: a key-value server that speaks RESP2, the protocol of Redis. Its store is a server of libant's from a .so, and is replaced
 * while clients ask it.
 *
 *     clients --RESP--> network --a batch of commands--> store --what it changed--> journal --> FILE
 *                          ^                               ^                           |
 *                          |                               | ant_swap                  | fdatasync
 *                          +---- KVD.SWAP, SIGHUP -----> operator                     sync
 *
 * docs/kvd.md says how a command flows, how the store is swapped, and how fast it all is. Where to look: protocol.h is what the processes say to
 * each other; store/store_v1.c and store_v2.c are what a user of libant writes to be replaceable; network.h is an epoll loop with
 * ant_event_fd in it; operator.c does the swaps.
 */
#include "kvd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PROCESSES = 32,
    OWN_DESCRIPTORS = 64,
    PRIORITY_NETWORK = 10,
    PRIORITY_JOURNAL = 30,
    PRIORITY_OPERATOR = 40
};

static bool failed(const char *what, int error)
{
    if (error != 0) {
        fprintf(stderr, "kvd: %s: %s\n", what, ant_strerror(error));
    }
    return error != 0;
}

/* Room for all connections' descriptors; fewer connections, if the system gives no more. */
static void limit_connections(struct options *options)
{
    struct rlimit limit;
    rlim_t wanted = options->max_connections + (rlim_t)OWN_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) {
        return;
    }
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted) {
        options->max_connections =
            limit.rlim_cur > OWN_DESCRIPTORS ? (unsigned)limit.rlim_cur - OWN_DESCRIPTORS : 1;
        fprintf(stderr, "kvd: the limit on open files leaves room for %u connections\n",
                options->max_connections);
    }
}

/* Bound, so that it is known soon whether that can be; nobody can connect before it listens. */
static int bound_socket(const struct options *options, uint16_t *port)
{
    static const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options->port)};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)inet_pton(AF_INET, options->bind, &address.sin_addr);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &bytes) != 0) {
        fprintf(stderr, "kvd: cannot listen on %s:%u: %s\n", options->bind, options->port,
                strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

/* Signals are the network's to take, from this descriptor. */
static int signal_descriptor(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    int fd = pthread_sigmask(SIG_BLOCK, &set, NULL) == 0
                 ? signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)
                 : -1;
    if (fd < 0) {
        fprintf(stderr, "kvd: signalfd: %s\n", strerror(errno));
    }
    return fd;
}

static int boot(const struct options *options)
{
    const struct ant_config config = {
        .machine = options->machine,
        .mover = options->mover,
        .pool_bytes = options->memory_bytes,
        .max_processes = PROCESSES,
        .contain_faults = true, /* a new store that crashes as it starts is rolled back */
    };
    return ant_boot(&config);
}

static int watch_store(void)
{
    struct ant_request *rq;
    int error = ant_request_new(FN_OPERATOR, &rq);
    if (error == 0) {
        rq->operation = OPERATOR_WATCH;
        error = ant_call(rq, ANT_FOREVER);
        if (error == 0) {
            error = rq->status;
        }
        (void)ant_request_free(rq);
    }
    return error;
}

static int start_servers(const struct options *options)
{
    const struct ant_server_options journal_options = {.priority = PRIORITY_JOURNAL};
    const struct ant_server_options operator_options = {.priority = PRIORITY_OPERATOR};
    if (options->journal != NULL &&
        (journal_open(options) != 0 ||
         failed("the journal does not start",
                ant_serve(FN_JOURNAL, &journal_program, &journal_options, NULL)) ||
         failed("the journal does not start", ant_serve(FN_SYNC, &sync_program, &journal_options, NULL)))) {
        return -1;
    }
    operator_init(options);
    if (operator_first() != 0 ||
        failed("the operator does not start",
               ant_serve(FN_OPERATOR, &operator_program, &operator_options, NULL)) ||
        failed("the operator does not watch the store", watch_store())) {
        return -1;
    }
    return 0;
}

/* Serves until a signal ends it. */
static int serve(const struct options *options, struct network_start *start)
{
    const struct ant_process_options network_options = {.name = "network", .priority = PRIORITY_NETWORK};
    ant_pid network;
    int status = 0;
    if (start_servers(options) != 0 ||
        failed("cannot listen", listen(start->listen_fd, SOMAXCONN) == 0 ? 0 : -errno) ||
        failed("the network does not start",
               ant_process_create(&network_options, network_main, start, &network))) {
        return -1;
    }
    printf("kvd: ready on %s:%u\n", options->bind, start->port);
    (void)fflush(stdout);
    return failed("the network", ant_wait(network, ANT_FOREVER, &status)) || status != 0 ? -1 : 0;
}

/* Those who ask before those who are asked. */
static void stop_servers(void)
{
    static const uint32_t functions[] = {FN_OPERATOR, FN_STORE, FN_JOURNAL, FN_SYNC};
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        ant_pid pid;
        if (ant_lookup(functions[i], &pid) == 0) {
            (void)ant_stop(pid, (int64_t)ANT_NS_PER_S, NULL);
        }
    }
}

int main(int argc, char **argv)
{
    struct options options;
    struct network_start start = {.options = &options};
    options_parse(&options, argc, argv);
    limit_connections(&options);
    start.signal_fd = signal_descriptor();
    start.listen_fd = bound_socket(&options, &start.port);
    if (start.signal_fd < 0 || start.listen_fd < 0 || failed("the core does not boot", boot(&options))) {
        return EXIT_FAILURE;
    }
    int error = serve(&options, &start);
    stop_servers();
    failed("ant_shutdown", ant_shutdown(NULL));
    journal_close();
    (void)close(start.listen_fd);
    (void)close(start.signal_fd);
    return error != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
