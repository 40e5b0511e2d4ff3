/* The function table: see function.h. */
#include "core/function.h"

#include <errno.h>
#include <stdlib.h>

/* ThreadSanitizer cannot see the hand-over inside liburcu's uninstrumented table. */
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define PUBLISHED(entry) __tsan_release(entry)
#define FOUND(entry) __tsan_acquire(entry)
#else
#define PUBLISHED(entry) ((void)(entry))
#define FOUND(entry) ((void)(entry))
#endif

/* A fixed number of buckets: resizing would bring a worker thread with the scheduling of whoever came first. */
#define BUCKETS 1024

static unsigned long hash(uint32_t function)
{
    return (unsigned long)(function * UINT32_C(0x9e3779b1)) >> 8;
}

static int matches(struct cds_lfht_node *node, const void *key)
{
    struct antk_function *entry = caa_container_of(node, struct antk_function, node);
    FOUND(entry);
    int found = entry->function == *(const uint32_t *)key;
    PUBLISHED(entry);
    return found;
}

/*
 * Frees entries when no reader can see them any more: a worker thread, one for all cores, that never ends. It takes the scheduling
 * of whoever creates it, so it is created at the first boot, when that thread is still an ordinary one.
 */
static struct call_rcu_data *reclaimer;
static antk_once_flag reclaimer_once = ANTK_ONCE;

static void create_reclaimer(void)
{
    reclaimer = create_call_rcu_data(0, -1);
}

void antk_functions_enter_thread(void)
{
    rcu_register_thread();
    set_thread_call_rcu_data(reclaimer);
}

void antk_functions_leave_thread(void)
{
    set_thread_call_rcu_data(NULL);
    rcu_unregister_thread();
}

int antk_functions_init(struct antk_core *core)
{
    antk_once(&reclaimer_once, create_reclaimer);
    if (!reclaimer)
        return -ENOMEM;
    core->functions = cds_lfht_new(BUCKETS, BUCKETS, BUCKETS, 0, NULL);
    return core->functions ? 0 : -ENOMEM;
}

void antk_functions_fini(struct antk_core *core)
{
    if (core->functions)
        cds_lfht_destroy(core->functions, NULL);
}

/* Who serves a function; 0: nobody. */
ANTK_APART static ant_pid look_up(struct antk_core *core, uint32_t function)
{
    ant_pid pid = 0;
    struct cds_lfht_iter iterator;
    rcu_read_lock();
    cds_lfht_lookup(core->functions, hash(function), matches, &function, &iterator);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iterator);
    if (node) {
        struct antk_function *entry = caa_container_of(node, struct antk_function, node);
        FOUND(entry);
        if (!atomic_load_explicit(&entry->reserved, memory_order_acquire))
            pid = entry->pid;
        PUBLISHED(entry); /* read before it can be reclaimed */
    }
    rcu_read_unlock();
    return pid;
}

inline struct antk_endpoint *antk_function_pin(struct antk_body *self, uint32_t function)
{
    struct antk_core *core = self->core;
    struct antk_last_function *last = &self->last_function;
    uint32_t removals = atomic_load_explicit(&core->function_removals, memory_order_acquire);
    if (last->function != function || last->removals != removals)
        *last = (struct antk_last_function){function, removals, look_up(core, function)};
    if (last->pid == 0)
        last->function = 0; /* it may be served soon */
    return antk_pin(core, last->pid);
}

static void reclaim(struct rcu_head *head)
{
    struct antk_function *entry = caa_container_of(head, struct antk_function, rcu);
    FOUND(entry);
    free(entry);
}

static void delete_entry(struct antk_core *core, struct antk_function *entry)
{
    rcu_read_lock();
    cds_lfht_del(core->functions, &entry->node);
    rcu_read_unlock();
    atomic_fetch_add(&core->function_removals, 1);
    PUBLISHED(entry);
    call_rcu(&entry->rcu, reclaim);
}

int antk_function_enter(struct antk_endpoint *ep, uint32_t function, uint32_t incarnation, bool reserved)
{
    struct antk_function *entry = calloc(1, sizeof *entry);
    if (!entry)
        return -ENOMEM;
    entry->function = function;
    entry->pid = antk_endpoint_pid(ep);
    entry->incarnation = incarnation;
    atomic_store(&entry->reserved, reserved);
    cds_lfht_node_init(&entry->node);
    PUBLISHED(entry);
    rcu_read_lock();
    struct cds_lfht_node *there =
        cds_lfht_add_unique(ep->core->functions, hash(function), matches, &function, &entry->node);
    rcu_read_unlock();
    if (there != &entry->node) {
        free(entry);
        return -EEXIST;
    }
    antk_lock(&ep->lock);
    bool closed = ep->closed; /* the candidate that it is for has been ended already */
    if (!closed) {
        entry->next = ep->functions;
        ep->functions = entry;
    }
    antk_unlock(&ep->lock);
    if (closed)
        delete_entry(ep->core, entry);
    return closed ? -ESHUTDOWN : 0;
}

void antk_functions_publish_locked(struct antk_endpoint *ep, uint32_t incarnation)
{
    for (struct antk_function *entry = ep->functions; entry; entry = entry->next)
        if (entry->incarnation == incarnation)
            atomic_store_explicit(&entry->reserved, false, memory_order_release);
}

void antk_functions_remove(struct antk_endpoint *ep, uint32_t incarnation)
{
    struct antk_function *gone = NULL;
    antk_lock(&ep->lock);
    for (struct antk_function **link = &ep->functions; *link;) {
        struct antk_function *entry = *link;
        if (incarnation == 0 || entry->incarnation == incarnation) {
            *link = entry->next;
            entry->next = gone;
            gone = entry;
        } else {
            link = &entry->next;
        }
    }
    antk_unlock(&ep->lock);
    while (gone) {
        struct antk_function *entry = gone;
        gone = entry->next;
        delete_entry(ep->core, entry);
    }
}

int ant_function_add(uint32_t function)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (function == 0)
        return -EINVAL;
    return antk_function_enter(self->endpoint, function, self->incarnation, self->candidate != NULL);
}

int ant_function_remove(uint32_t function)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (function == 0)
        return -EINVAL;
    struct antk_endpoint *ep = antk_function_pin(self, function);
    if (!ep)
        return -ESRCH;
    bool own = ep == self->endpoint && !self->candidate;
    antk_unpin(ep);
    if (!own)
        return -EPERM;
    struct antk_function *entry = NULL;
    antk_lock(&self->endpoint->lock);
    for (struct antk_function **link = &self->endpoint->functions; *link; link = &(*link)->next) {
        if ((*link)->function == function) {
            entry = *link;
            *link = entry->next;
            break;
        }
    }
    antk_unlock(&self->endpoint->lock);
    if (!entry)
        return -ESRCH;
    delete_entry(self->core, entry);
    return 0;
}

int ant_lookup(uint32_t function, ant_pid *pid)
{
    ANTK_ENTER(self);
    if (!self)
        return -EPERM;
    if (function == 0 || !pid)
        return -EINVAL;
    struct antk_endpoint *ep = antk_function_pin(self, function);
    if (!ep)
        return -ESRCH;
    *pid = antk_endpoint_pid(ep);
    antk_unpin(ep);
    return 0;
}
