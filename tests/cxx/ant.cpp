/* The whole interface, seen by a C++ compiler: only compiled. */
#include <ant/ant.h>

const char *ant_cxx_version()
{
    return ant_version();
}

/* A program in C++, as for a file of its own. */
static void answer(struct ant_server *, struct ant_request *rq)
{
    ant_reply(rq, 0);
}

static struct ant_program make_program()
{
    struct ant_program made = ant_program();
    made.abi = ANT_ABI;
    made.name = "in C++";
    made.request = answer;
    return made;
}

static const struct ant_program program = make_program();

ANT_PROGRAM_EXPORT(program);
