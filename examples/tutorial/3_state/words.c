/*
 * Step 3: what the component remembers is in an area of its own, its state.
 *
 * ctest: machines=real movers=auto,copy
 */
#include "example.h"
#include "loop.h"

enum { FN_COUNTER = 1 };

/* --- The component --- */

struct state {
    unsigned long lines, words;
};

static unsigned words_in(const char *text)
{
    unsigned count = 0;
    for (const char *at = text; *at; at++)
        count += *at != ' ' && (at == text || at[-1] == ' ');
    return count;
}

static void answer(struct state *state, char *text, size_t bytes)
{
    unsigned count = words_in(text);
    state->lines++;
    state->words += count;
    snprintf(text, bytes, "words: %u, in all %lu in %lu lines", count, state->words, state->lines);
}

static int start(struct ant_server *self)
{
    void *state;
    if (self->state)
        return 0;                         /* there is one already */
    int error = ant_ica_alloc(1, &state); /* a page, all zero */
    return error != 0 ? error : ant_state_set(state);
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    rq->payload[ANT_PAYLOAD_BYTES - 1] = '\0'; /* whatever the client has left there */
    answer(ant_state(), (char *)rq->payload, ANT_PAYLOAD_BYTES);
    must("ant_reply", ant_reply(rq, 0));
}

static const struct ant_program counter = {
    .abi = ANT_ABI,
    .version = 1,
    .state_version = 1, /* of struct state */
    .name = "counter",
    .start = start,
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
