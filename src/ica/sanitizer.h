/*
 * Is a sanitizer's runtime in this Linux process? Asked while it runs, since the program may be built with one where the
 * library is not.
 */
#ifndef ANTK_SANITIZER_H
#define ANTK_SANITIZER_H

#include <stdbool.h>

/* Defined by the runtimes, if they are there. */
extern void __asan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));

static inline bool antk_under_asan(void)
{
    return __asan_init != 0;
}

static inline bool antk_under_tsan(void)
{
    return __tsan_init != 0;
}

#endif
