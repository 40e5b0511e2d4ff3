/*
 * The descriptors that a server watches: see watch.h.
 *
 * What epoll gives back with an event is the descriptor and the number of its watch. One that was closed without ant_unwatch, and lives on as a copy (dup, fork), cannot be
 * taken off the set any more; when its event comes with a number that is not the table's, the set is made anew from the table.
 */
#include "core/watch.h"

#include "core/candidate.h"
#include "core/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP))

struct watched {
    uint32_t events; /* 0: it is not watched */
    uint32_t number;
    uint64_t cookie;
};

struct antk_watches {
    int epoll;
    size_t count;
    uint32_t number; /* of the last watch */
    int capacity;
    struct watched *by_fd;
};

/* ---- the set ---- */

bool antk_watches_any(const struct antk_watches *w)
{
    return w && w->count > 0;
}

int antk_watches_fd(const struct antk_watches *w)
{
    return w->epoll;
}

void antk_watches_destroy(struct antk_watches *w)
{
    if (!w)
        return;
    if (w->epoll >= 0)
        close(w->epoll);
    free(w->by_fd);
    free(w);
}

static int control(int epoll, int operation, int fd, const struct watched *watched)
{
    struct epoll_event event = {.events = watched->events,
                                .data.u64 = (uint64_t)watched->number << 32 | (uint32_t)fd};
    return epoll_ctl(epoll, operation, fd, &event) == 0 ? 0 : errno;
}

/* The program's errors are its own; the host's are all for want of something. */
static int error_of(int error)
{
    switch (error) {
    case 0:
    case EBADF:
    case EPERM:
        return -error;
    case ELOOP:
    case EINVAL:
        return -EINVAL;
    default:
        return -ENOMEM;
    }
}

/* Puts all that it watches into another set. What was closed meanwhile is forgotten. */
static int fill(struct antk_watches *w, int epoll)
{
    for (int fd = 0; fd < w->capacity; fd++) {
        if (w->by_fd[fd].events == 0)
            continue;
        int error = control(epoll, EPOLL_CTL_ADD, fd, &w->by_fd[fd]);
        if (error == EBADF || error == EPERM) {
            w->by_fd[fd].events = 0;
            w->count--;
        } else if (error != 0) {
            return -ENOMEM;
        }
    }
    return 0;
}

/* Its table only; from: NULL is an empty one. NULL: no memory. */
static struct antk_watches *copy(const struct antk_watches *from)
{
    struct antk_watches *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->epoll = -1;
    if (!from || from->capacity == 0)
        return w;
    w->by_fd = calloc((size_t)from->capacity, sizeof *w->by_fd);
    if (!w->by_fd) {
        free(w);
        return NULL;
    }
    memcpy(w->by_fd, from->by_fd, (size_t)from->capacity * sizeof *w->by_fd);
    w->capacity = from->capacity;
    w->count = from->count;
    w->number = from->number;
    return w;
}

/* And its set. -EMFILE, -ENOMEM. */
static int open_set(struct antk_watches *w)
{
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (w->epoll < 0)
        return errno == ENOMEM ? -ENOMEM : -EMFILE;
    return fill(w, w->epoll);
}

static void renew(struct antk_watches *w)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        return; /* tried again when the event comes again */
    int rc = fill(w, epoll);
    close(rc == 0 ? w->epoll : epoll);
    w->epoll = rc == 0 ? epoll : w->epoll;
}

bool antk_watches_next(struct antk_watches *w, struct ant_watch *ready)
{
    struct epoll_event event;
    if (epoll_wait(w->epoll, &event, 1, 0) != 1)
        return false;
    int fd = (int)(uint32_t)event.data.u64;
    const struct watched *watched = fd < w->capacity ? &w->by_fd[fd] : NULL;
    if (!watched || watched->events == 0 || watched->number != event.data.u64 >> 32) {
        renew(w);
        return false;
    }
    *ready = (struct ant_watch){fd, event.events, watched->cookie};
    return true;
}

/* ---- the calls ---- */

/* A new server sees its predecessor's, until it has changed anything; the lock is held then: it goes with unsee. */
static struct antk_watches *see(struct antk_body *self)
{
    struct antk_candidate *c = self->candidate;
    if (c && !c->own_watches)
        antk_loop_lock_inherited(c);
    return c && c->own_watches ? c->watches : self->endpoint->watches;
}

static void unsee(struct antk_body *self)
{
    if (self->candidate && !self->candidate->own_watches)
        antk_unlock(&self->endpoint->lock);
}

/* What the caller may change: a new server, in `start`, a copy. */
static int watches_to_change(struct antk_body *self, struct antk_watches **watches)
{
    struct antk_candidate *c = self->candidate;
    *watches = see(self);
    if (c ? c->own_watches : *watches != NULL)
        return 0;
    struct antk_watches *w = copy(c && !c->disinherited ? *watches : NULL);
    unsee(self);
    int rc = w ? open_set(w) : -ENOMEM;
    if (rc != 0) {
        antk_watches_destroy(w);
        return rc;
    }
    if (c) {
        c->watches = w;
        c->own_watches = true;
    } else {
        antk_loop_adopt(self->endpoint, w, NULL);
    }
    *watches = w;
    return 0;
}

static bool knows(const struct antk_watches *w, int fd)
{
    return w && fd >= 0 && fd < w->capacity && w->by_fd[fd].events != 0;
}

static int reserve(struct antk_watches *w, int fd)
{
    int capacity = w->capacity ? w->capacity : 64;
    if (fd < w->capacity)
        return 0;
    while (capacity <= fd)
        capacity *= 2;
    struct watched *by_fd = calloc((size_t)capacity, sizeof *by_fd);
    if (!by_fd)
        return -ENOMEM;
    if (w->by_fd)
        memcpy(by_fd, w->by_fd, (size_t)w->capacity * sizeof *by_fd);
    free(w->by_fd);
    w->by_fd = by_fd;
    w->capacity = capacity;
    return 0;
}

/* The table may know one that the set has lost since it was closed, or the other way round. */
static int add(struct antk_watches *w, int fd, uint32_t events, uint64_t cookie)
{
    struct watched watched = {events, w->number + 1, cookie};
    bool again = w->by_fd[fd].events != 0;
    int error = control(w->epoll, again ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &watched);
    if (error == ENOENT || error == EEXIST)
        error = control(w->epoll, again ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &watched);
    if (error != 0)
        return error_of(error);
    w->number++;
    w->count += !again;
    w->by_fd[fd] = watched;
    return 0;
}

int ant_watch(int fd, uint32_t events, uint64_t cookie)
{
    ANTK_ENTER(self);
    if (!self || antk_is_preparing(self))
        return -EPERM;
    if (events == 0 || events & ~EVENTS || !self->server.program || !self->server.program->ready)
        return -EINVAL;
    if (self->machine->kind == ANT_MACHINE_VIRTUAL)
        return -ENOTSUP;
    if (fcntl(fd, F_GETFD) < 0)
        return -EBADF;
    struct antk_watches *w;
    int rc = antk_real_prepare_poll(&self->own_thread);
    if (rc == 0)
        rc = watches_to_change(self, &w);
    if (rc == 0)
        rc = reserve(w, fd);
    if (rc == 0)
        rc = add(w, fd, events, cookie);
    antk_loop_changed(self);
    return rc;
}

int ant_unwatch(int fd)
{
    ANTK_ENTER(self);
    if (!self || antk_is_preparing(self))
        return -EPERM;
    struct antk_watches *w = see(self);
    bool known = knows(w, fd);
    unsee(self);
    if (!known)
        return -ENOENT;
    int rc = watches_to_change(self, &w);
    if (rc != 0)
        return rc;
    if (knows(w, fd)) { /* else it is one that is not inherited */
        control(w->epoll, EPOLL_CTL_DEL, fd, &w->by_fd[fd]); /* fails if it is closed: see above */
        w->by_fd[fd].events = 0;
        w->count--;
    }
    return 0;
}

int ant_watch_list(struct ant_watch *items, size_t capacity, size_t *count)
{
    ANTK_ENTER(self);
    if (!self || antk_is_preparing(self))
        return -EPERM;
    if (!count || (!items && capacity > 0))
        return -EINVAL;
    const struct antk_watches *w = see(self);
    size_t listed = 0;
    for (int fd = 0; w && fd < w->capacity && listed < capacity; fd++)
        if (w->by_fd[fd].events != 0)
            items[listed++] = (struct ant_watch){fd, w->by_fd[fd].events, w->by_fd[fd].cookie};
    size_t some = w ? w->count : 0;
    unsee(self);
    *count = some;
    return 0;
}
