/*
 * Objects that are not to be loaded; WHAT is the compiler's option. Whose constructor must not run says so.
 */
#include "objects.h"

#define OTHER_ABI 1
#define NO_NOTE 2
#define NO_SYMBOL 3
#define UNDEFINED 4
#define OTHER_COPY 5
#define NO_NAME 6
#define NOT_ITS_OWN 7

__attribute__((constructor)) static void construct(void)
{
    atomic_fetch_add(&objects.constructed, 1);
}

__attribute__((destructor)) static void destruct(void)
{
    atomic_fetch_add(&objects.destructed, 1);
}

#if WHAT == OTHER_ABI
#undef ANT_ABI
#define ANT_ABI 99u
#endif

static void request(struct ant_server *self, struct ant_request *rq)
{
#if WHAT == UNDEFINED
    extern void what_nobody_defines(void);
    what_nobody_defines();
#endif
    (void)self;
    ant_reply(rq, 0);
}

#if WHAT == OTHER_COPY /* of libant, as an object has that was linked with ant_static */
const char *ant_version(void)
{
    return "0.0.0";
}
#endif

#if WHAT != NO_NAME
#define NAME "wrong"
#else
#define NAME NULL
#endif

const struct ant_program wrong = {.abi = ANT_ABI, .name = NAME, .request = request};

#if WHAT == NOT_ITS_OWN
extern const struct ant_program somebody_s_program;
ANT_PROGRAM_EXPORT(somebody_s_program);
#elif WHAT == NO_SYMBOL
__attribute__((section(".note.ant"), used, aligned(4))) static const uint32_t note[] = {
    sizeof "libant", 4, 1, 'l' | 'i' << 8 | 'b' << 16 | 'a' << 24, 'n' | 't' << 8, ANT_ABI};
#elif WHAT != NO_NOTE
ANT_PROGRAM_EXPORT(wrong);
#endif
