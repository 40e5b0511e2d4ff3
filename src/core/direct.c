/* Direct calls: see direct.h. */
#include "core/direct.h"

/* Of a stack, for the C library's own data at its end, and for what the core itself puts there. */
#define RESERVE ((size_t)12 << 10)

/* The thread of the calling process, on the machine: its own, or, nested, that of the client of a call that it serves itself. */
static struct antk_body *host_of(struct antk_body *self)
{
    return caa_container_of(atomic_load(&self->thread), struct antk_body, own_thread);
}

static bool has_stack_left(const struct antk_body *self)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return here - (self->frame.stack_high - self->frame.stack_bytes) >= ANT_DIRECT_STACK_BYTES + RESERVE;
}

bool antk_direct_possible(struct antk_body *self, int64_t timeout_ns)
{
    return timeout_ns < 0 && self->core->direct_calls && !self->candidate && has_stack_left(self);
}

bool antk_direct_begin_locked(struct antk_body *self, struct antk_endpoint *server, int *level)
{
    struct antk_body *body = server->body;
    if (!server->receiving || !server->program || !server->program->direct || body->own_thread.observed)
        return false;
    server->receiving = false;
    *level = antk_body_level_locked(body);
    atomic_store(&body->thread, atomic_load(&self->thread));
    return true;
}

/*
 * The server's own thread goes on from here; it is woken if there is something to do. Who ended it by force meanwhile has set its flags, then looked whose thread
 * it is, to wake that: so these are written and read in the other order here.
 */
static void give_back(struct antk_body *server)
{
    struct antk_endpoint *ep = server->endpoint;
    struct antk_thread *client = atomic_load(&server->thread);
    antk_lock(&ep->lock);
    bool acting = ep->body == server;
    if (acting && ep->notice)
        ep->notice->returned(ep->notice, client, &server->own_thread);
    atomic_store_explicit(&client->activity, server->client_activity, memory_order_relaxed);
    atomic_store_explicit(&server->busy_since_ns, 0, memory_order_relaxed);
    server->frame = server->own_frame;
    atomic_store(&server->thread, &server->own_thread);
    bool idle = acting && !server->left && atomic_load(&server->flags) == 0 && !ep->notice &&
                atomic_load(&ep->stopping) == 0 && ep->requests.count == 0 && ep->results.count == 0;
    ep->receiving = idle || (ep->receiving && !acting);
    antk_unlock(&ep->lock);
    if (!idle)
        antk_unpark(server->machine, &server->own_thread);
}

/* A function of its own: what it has on its stack does not change after setjmp. True: the callback left its process. */
static bool call_back(struct antk_body *server, struct ant_request *request)
{
    jmp_buf base;
    server->frame.base = &base;
    if (setjmp(base) != 0)
        return true;
    antk_go_outside(server);
    server->server.program->request(&server->server, request);
    antk_come_back(server);
    return false;
}

void antk_direct_run(struct antk_body *self, struct antk_body *server, int level,
                     struct ant_request *request)
{
    struct antk_body *host = host_of(self);
    int raised = host->raised_priority;
    bool below = atomic_load_explicit(&host->own_thread.priority, memory_order_relaxed) < level;
    if (below)
        antk_body_raise(host, level);
    server->client = self;
    server->client_activity = atomic_load_explicit(&host->own_thread.activity, memory_order_relaxed);
    atomic_store_explicit(&host->own_thread.activity, ANTK_REQUEST_WORK, memory_order_relaxed);
    server->frame = self->frame;
    antk_self = server;
    if (ANTK_RARELY(atomic_load_explicit(&server->endpoint->watchdog_ns, memory_order_relaxed) != 0))
        antk_watchdog_begin(server);
    bool left = call_back(server, request);
    antk_self = self;
    server->left = left;
    give_back(server);
    if (below || left) /* whoever ended it by force may have lowered this thread */
        antk_body_raise(host, raised);
}

void antk_direct_break(struct antk_body *self)
{
    while (antk_self != self) {
        struct antk_body *server = antk_self;
        antk_self = server->client;
        server->left = true;
        server->exit_status = -EOWNERDEAD;
        give_back(server);
    }
}

void antk_direct_await_end(struct antk_body *self)
{
    struct antk_wait wait = {"the end of a direct call, process", self->endpoint->index, true};
    while (antk_is_lent(self))
        antk_park(&self->own_thread, ANTK_NEVER, wait);
    if (self->left)
        antk_leave(self, self->exit_status);
}
