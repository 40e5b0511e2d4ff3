/* A transformer in a shared object of its own, whose fault is to be contained as if it lay in the program. */
#include "elsewhere.h"

__attribute__((no_sanitize("address,undefined,thread"))) int
elsewhere_transform(struct ant_server *self, const void *old, size_t old_bytes, void **state)
{
    static const volatile int *volatile null;
    (void)self;
    (void)old;
    (void)old_bytes;
    (void)state;
    return *null;
}
