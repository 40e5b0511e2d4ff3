/*
 * Step 2: the function is a server's. The loop asks it by requests.
 *
 * ctest: machines=real movers=auto,copy
 */
#include "example.h"
#include "loop.h"

enum { FN_COUNTER = 1 };

/* --- The component --- */

static unsigned long lines, words;

static unsigned words_in(const char *text)
{
    unsigned count = 0;
    for (const char *at = text; *at; at++)
        count += *at != ' ' && (at == text || at[-1] == ' ');
    return count;
}

static void answer(char *text, size_t bytes)
{
    unsigned count = words_in(text);
    lines++;
    words += count;
    snprintf(text, bytes, "words: %u, in all %lu in %lu lines", count, words, lines);
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    rq->payload[ANT_PAYLOAD_BYTES - 1] = '\0'; /* whatever the client has left there */
    answer((char *)rq->payload, ANT_PAYLOAD_BYTES);
    must("ant_reply", ant_reply(rq, 0));
}

static const struct ant_program counter = {
    .abi = ANT_ABI,
    .version = 1,
    .name = "counter",
    .request = request,
};

/* --- The program --- */

static void ask(const char *line)
{
    struct ant_request *rq;
    must("ant_request_new", ant_request_new(FN_COUNTER, &rq));
    snprintf((char *)rq->payload, sizeof rq->payload, "%s", line);
    must("ant_call", ant_call(rq, ANT_FOREVER));
    puts((const char *)rq->payload);
    must("ant_request_free", ant_request_free(rq));
}

int main(void)
{
    struct lines input = {.bytes = 0};
    char line[LINE_BYTES];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    loop_add(epoll, STDIN_FILENO);
    setvbuf(stdout, NULL, _IOLBF, 0);
    must("ant_boot", ant_boot(NULL));
    must("ant_serve", ant_serve(FN_COUNTER, &counter, NULL, NULL));

    while (loop_next(epoll) == STDIN_FILENO && lines_read(&input, STDIN_FILENO)) {
        while (lines_next(&input, line))
            ask(line);
    }
    must("ant_shutdown", ant_shutdown(NULL));
    return EXIT_SUCCESS;
}
