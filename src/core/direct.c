/* Direct calls: see direct.h. */
#include "core/direct.h"

/* Of a stack, for the C library's own data at its end, and for what the core itself puts there. */
#define RESERVE ((size_t)12 << 10)

/*
 * What the C library has put on a thread's stack above the frame where its process begins, static thread-local variables first of all: the same for every thread that the
 * core starts. Asked once, by the first of them to make such a call.
 */
static size_t bytes_above(const struct antk_body *host)
{
    static _Atomic size_t learned;
    size_t above = atomic_load_explicit(&learned, memory_order_relaxed);
    if (host == host->core->boot || host->attached)
        return 0; /* whose stack is known from end to end */
    if (ANTK_RARELY(above == 0)) {
        uintptr_t high;
        size_t bytes;
        antk_thread_stack(&high, &bytes);
        above = high - host->own_frame.stack_high;
        atomic_store_explicit(&learned, above, memory_order_relaxed);
    }
    return above;
}

/* Not on a stack that the program has made for itself, either: nobody knows that one's end. */
static bool has_stack_left(struct antk_body *self)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    size_t left = here - (self->frame.stack_high - self->frame.stack_bytes);
    return left >= ANT_DIRECT_STACK_BYTES + RESERVE + bytes_above(antk_host_of(self)) &&
           left <= self->frame.stack_bytes;
}

bool antk_direct_possible(struct antk_body *self, int64_t timeout_ns)
{
    return timeout_ns < 0 && self->core->direct_calls && !self->candidate && has_stack_left(self);
}

bool antk_direct_begin_locked(struct antk_body *self, struct antk_endpoint *server)
{
    struct antk_body *body = server->body;
    if (!server->receiving || server->notice || !server->program || !server->program->direct ||
        body->own_thread.observed || atomic_load(&body->flags) != 0)
        return false;
    server->receiving = false;
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
    bool idle = acting && !server->left && !server->wanted_back &&
                atomic_load(&server->flags) == 0 && !ep->notice &&
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

/*
 * From here on the thread runs this body, and has its level. Who changes a priority meanwhile writes it and then looks who is run, here it is the other way round (the
 * fence between is theirs: ant_priority_set): so one of the two sees what the other has done.
 */
static void run(struct antk_body *host, struct antk_body *body, uint32_t lent_level)
{
    atomic_store_explicit(&host->runs, body, memory_order_release);
    antk_store_light(&host->lent_level, lent_level);
    while (ANTK_RARELY(atomic_load(&host->own_thread.priority) != antk_body_level(host))) {
        antk_lock(&host->endpoint->lock);
        antk_body_settle_unlock(host);
    }
}

/* What a client that is a server itself, and run by another, wants for the call; the outermost one's level is looked at as it is. */
static uint32_t wanted_by(struct antk_body *client, struct antk_body *host, uint32_t before)
{
    uint32_t level = client == host ? 0 : (uint32_t)antk_own_level(client);
    return level > before ? level : before;
}

void antk_direct_run(struct antk_body *self, struct antk_body *server, struct ant_request *request)
{
    struct antk_body *host = antk_host_of(self);
    uint32_t before = atomic_load_explicit(&host->lent_level, memory_order_relaxed);
    server->client = self;
    server->client_activity = atomic_load_explicit(&host->own_thread.activity, memory_order_relaxed);
    atomic_store_explicit(&host->own_thread.activity, ANTK_REQUEST_WORK, memory_order_relaxed);
    server->frame = self->frame;
    run(host, server, wanted_by(self, host, before));
    antk_self = server;
    if (ANTK_RARELY(atomic_load_explicit(&server->endpoint->watchdog_ns, memory_order_relaxed) != 0))
        antk_watchdog_begin(server);
    server->left = call_back(server, request);
    antk_self = self;
    give_back(server);
    run(host, self, before); /* whoever ended the server by force may have lowered it */
}

void antk_direct_outrank(struct antk_body *waiting, struct antk_body *server)
{
    struct antk_body *host = server ? antk_host_of(server) : antk_host_of(waiting);
    if (host == server || host == antk_host_of(waiting))
        return;
    int level = antk_body_level(host);
    if (level >= atomic_load(&waiting->raised_priority))
        antk_body_raise(waiting, level < ANTK_LEVELS - 1 ? level + 1 : level);
}

int antk_direct_level_without(struct antk_body *body)
{
    if (!antk_is_lent(body))
        return ANTK_LEVEL_LOWEST;
    int level = antk_body_level(body), server = antk_own_level(body);
    return level > server ? level : server - 1;
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

ANTK_APART void antk_direct_await_end(struct antk_body *self)
{
    struct antk_wait wait = {"the end of a direct call, process", self->endpoint->index, true, false};
    while (antk_is_lent(self))
        antk_park(&self->own_thread, ANTK_NEVER, wait);
}
