/* The descriptors that a server watches: an epoll set, and a table by descriptor. Whoever has such a set is its only user. */
#ifndef ANTK_WATCH_H
#define ANTK_WATCH_H

#include "core/core.h"

#include <ant/event.h>

struct antk_watches;

/* Does it watch any? watches may be NULL. */
bool antk_watches_any(const struct antk_watches *watches);
void antk_watches_destroy(struct antk_watches *watches); /* NULL: nothing */
/* Readable while one of them is ready. */
int antk_watches_fd(const struct antk_watches *watches);
/* One that is ready now, in turn, with the events that are there; false: none. Never waits. */
bool antk_watches_next(struct antk_watches *watches, struct ant_watch *ready);

#endif
