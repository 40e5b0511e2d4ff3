/* A program in a file of its own, which the outside program loads and swaps in. */
#include <ant/ant.h>

static void answer(struct ant_server *self, struct ant_request *rq)
{
    ant_reply(rq, (int32_t)self->program->version);
}

static const struct ant_program version_3 = {
    .abi = ANT_ABI,
    .version = 3,
    .name = "version",
    .request = answer,
};

ANT_PROGRAM_EXPORT(version_3);
