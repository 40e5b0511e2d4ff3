/* Step 7: a version that remembers more, and so has another layout of its state. */
#include <ant/ant.h>
#include <stdio.h>

struct state_1 {
    unsigned long lines, words;
};

struct state {
    unsigned long lines, words;
    unsigned most; /* in a line */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static unsigned words_in(const char *text)
{
    unsigned count = 0;
    for (const char *at = text; *at; at++)
        count += !is_space(*at) && (at == text || is_space(at[-1]));
    return count;
}

static void answer(struct state *state, char *text, size_t bytes)
{
    unsigned count = words_in(text);
    state->lines++;
    state->words += count;
    state->most = count > state->most ? count : state->most;
    snprintf(text, bytes, "words: %u, in all %lu in %lu lines, at most %u", count, state->words,
             state->lines, state->most);
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

/* Runs on the new server's thread, while nobody serves. The old state is only read; libant frees it when the new server has taken over. */
static int from_1(struct ant_server *self, const void *old_state, size_t old_bytes, void **new_state)
{
    (void)self;
    (void)old_bytes;
    const struct state_1 *old = old_state;
    void *area;
    int error = ant_ica_alloc(1, &area);
    if (error != 0)
        return error;
    *(struct state *)area = (struct state){.lines = old->lines, .words = old->words};
    *new_state = area;
    return 0;
}

static const struct ant_transformer transformers[] = {{1, 2, from_1}};

static const struct ant_program counter = {
    .abi = ANT_ABI,
    .version = 3,
    .state_version = 2, /* of struct state */
    .name = "counter",
    .start = start,
    .request = request,
    .transformers = transformers,
    .transformer_count = 1,
};

ANT_PROGRAM_EXPORT(counter);
