/*
 * dlopen, dlsym and dlclose of a small object: what it takes to bring new code into a process, if its file is in memory.
 * LIMIT_OBJECT, which CMake defines, is its path.
 */
#include "subject.h"

#include <dlfcn.h>
#include <stdlib.h>

static void *create(const struct subject *subject, const struct setting *setting)
{
    (void)subject, (void)setting;
    return limit_new(1);
}

static void sample(void *self, uint64_t *values)
{
    (void)self;
    uint64_t begin_ns = now_ns();
    void *object = dlopen(LIMIT_OBJECT, RTLD_NOW | RTLD_LOCAL);
    limit_must(object != NULL && dlsym(object, "small_object_answer") != NULL, "dlopen of " LIMIT_OBJECT);
    dlclose(object);
    values[0] = now_ns() - begin_ns;
}

static void destroy(void *self)
{
    free(self);
}

const struct subject limit_dlopen = {
    .names = {"dlopen"}, .create = create, .sample = sample, .destroy = destroy};
