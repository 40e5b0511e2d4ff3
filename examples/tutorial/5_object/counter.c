/* Step 5: the component, in an object of its own. */
#include <ant/ant.h>
#include <stdio.h>

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
    ant_reply(rq, 0);
}

static const struct ant_program counter = {
    .abi = ANT_ABI,
    .version = 1,
    .state_version = 1, /* of struct state */
    .name = "counter",
    .start = start,
    .request = request,
};

ANT_PROGRAM_EXPORT(counter);
