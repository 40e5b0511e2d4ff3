/* Objects: see object.h. */
#include "core/object.h"
#include "core/core.h"
#include "core/text.h"

#include <dlfcn.h>
#include <stdlib.h>

/* One for all cores of the program, as the loader is. Its lock is a real one on every machine, and the last in the order of locks. */
static struct {
    struct antk_lock lock;
    struct ant_loaded *first;
    _Atomic uint32_t count;
} registry;

/* In a child of fork nobody holds it. */
static void free_lock(void)
{
    struct antk_machine real = {.kind = ANT_MACHINE_OTHER};
    antk_lock_init(&real, &registry.lock);
}

static void prepare(void)
{
    free_lock();
    antk_at_fork(free_lock);
}

void antk_object_add(struct ant_loaded *object)
{
    static antk_once_flag prepared = ANTK_ONCE;
    antk_once(&prepared, prepare);
    object->given_up = false;
    atomic_store(&object->references, 1);
    antk_lock(&registry.lock);
    object->next = registry.first;
    registry.first = object;
    atomic_fetch_add(&registry.count, 1);
    antk_unlock(&registry.lock);
}

/* Before the first one there is nothing to find, and no lock either. */
static bool some(void)
{
    return atomic_load(&registry.count) != 0;
}

bool antk_object_give_up(struct ant_loaded *object)
{
    if (!some())
        return false;
    antk_lock(&registry.lock);
    struct ant_loaded *known = registry.first;
    while (known && known != object)
        known = known->next;
    bool held = known && !known->given_up;
    if (held)
        known->given_up = true;
    antk_unlock(&registry.lock);
    if (held)
        antk_object_put(object);
    return held;
}

/* ---- references ---- */

struct ant_loaded *antk_object_of(const void *address)
{
    uintptr_t at = (uintptr_t)address;
    if (!some())
        return NULL;
    antk_lock(&registry.lock);
    struct ant_loaded *object = registry.first;
    while (object && (at < object->from || at >= object->to))
        object = object->next;
    antk_object_get(object);
    antk_unlock(&registry.lock);
    return object;
}

struct ant_loaded *antk_object_of_program(const struct ant_program *program)
{
    struct ant_loaded *object = antk_object_of(program);
    if (!object && program->request)
        object = antk_object_of((const void *)(uintptr_t)program->request);
    if (!object && program->run)
        object = antk_object_of((const void *)(uintptr_t)program->run);
    return object;
}

struct ant_loaded *antk_object_get(struct ant_loaded *object)
{
    if (object)
        atomic_fetch_add(&object->references, 1);
    return object;
}

void antk_object_put(struct ant_loaded *object)
{
    if (object)
        atomic_fetch_sub(&object->references, 1);
}

void antk_objects_drop(struct antk_kept *kept)
{
    while (kept) {
        struct antk_kept *next = kept->next;
        antk_object_put(kept->object);
        free(kept);
        kept = next;
    }
}

/* ---- the end of one ---- */

struct antk_body *antk_object_step_aside(void)
{
    struct antk_body *self = antk_self;
    antk_self = NULL;
    antk_aside++;
    return self;
}

void antk_object_step_back(struct antk_body *self)
{
    antk_aside--;
    antk_self = self;
}

/* Takes one that nobody has a reference to out of the registry: then nobody can come by one any more. */
static struct ant_loaded *take_unreferenced(void)
{
    antk_lock(&registry.lock);
    struct ant_loaded **link = &registry.first;
    while (*link && atomic_load(&(*link)->references) != 0)
        link = &(*link)->next;
    struct ant_loaded *object = *link;
    if (object) {
        *link = object->next;
        atomic_fetch_sub(&registry.count, 1);
    }
    antk_unlock(&registry.lock);
    return object;
}

void antk_objects_close(struct antk_core *core)
{
    struct ant_loaded *object;
    if (!some())
        return;
    if (core)
        antk_bodies_reap(core, false);
    while (some() && (object = take_unreferenced()) != NULL) {
        antk_text_forget(object->from, object->to);
        struct antk_body *self = antk_object_step_aside();
        dlclose(object->handle);
        antk_object_step_back(self);
        free(object);
    }
}
