/* The event descriptor of a process: see event.h. */
#include "core/event.h"

#include "core/ipc.h"

#include <ant/event.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Would its body receive anything? A dead server has none, and receives nothing. */
static bool has_message_locked(struct antk_endpoint *ep)
{
    if (!ep->body || ep->closed)
        return false;
    return ep->notice || atomic_load(&ep->stopping) || ep->requests.count > 0 ||
           antk_first_sent_locked(ep, &ep->results, ep->body->incarnation) != ANTK_NO_FRAME;
}

/* An eventfd that nobody else uses takes a little, and gives all, without waiting. If the program has closed it, or read it itself: event.h says what that does. */
static void tell(struct antk_endpoint *ep, bool something)
{
    uint64_t count = 1;
    ssize_t bytes = something ? write(ep->event_fd, &count, sizeof count)
                              : read(ep->event_fd, &count, sizeof count);
    (void)bytes;
}

void antk_event_settle_evented_locked(struct antk_endpoint *ep)
{
    bool something = has_message_locked(ep);
    if (something != ep->event_told)
        tell(ep, something);
    ep->event_told = something;
}

void antk_event_renew_locked(struct antk_endpoint *ep)
{
    antk_event_settle_locked(ep);
    if (ep->evented && ep->event_told)
        tell(ep, true);
}

void antk_event_close(struct antk_endpoint *ep)
{
    antk_lock(&ep->lock);
    if (ep->evented)
        close(ep->event_fd);
    ep->evented = false;
    antk_unlock(&ep->lock);
}

int ant_event_fd(int *fd)
{
    ANTK_ENTER(self);
    if (!self || (self->server.program && self->server.program->direct))
        return -EPERM;
    if (!fd)
        return -EINVAL;
    struct antk_endpoint *ep = self->endpoint;
    int rc = 0;
    antk_lock(&ep->lock); /* a new server and its predecessor may both ask */
    if (!ep->evented) {
        ep->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        ep->event_told = false;
        ep->evented = ep->event_fd >= 0;
        rc = ep->evented ? 0 : -EMFILE;
    }
    antk_event_settle_locked(ep);
    if (rc == 0)
        *fd = ep->event_fd;
    antk_unlock(&ep->lock);
    return rc;
}
