/*
 * A call with the mover `strict` by bare system calls: a futex round trip of client and server, each of whom moves what goes along
 * into the other's window before giving. Both touch it as everywhere (subject.h).
 *
 * futex_move_64: a page with 64 bytes. futex_move_1m: a page, of which one word is written and read, and a huge page with 1 MiB.
 * This is more than futex_1m + uffd_move_1m: whoever touches the data here finds it moved, so its addresses are not in the
 * TLB and its page tables not in the nearest cache.
 */
#include "baton.h"
#include "windows.h"

#include <stdlib.h>

struct call {
    struct baton client, server;
    struct windows windows; /* one: the client's, other: the server's */
    size_t page_bytes, huge_bytes;
    bool end;
    pthread_t thread;
};

static inline void write_all(const struct call *self, char *window, uint64_t value)
{
    data_write(window, self->page_bytes, value);
    if (self->huge_bytes != 0) {
        data_write(windows_huge(window), self->huge_bytes, value);
    }
}

static inline uint64_t read_all(const struct call *self, const char *window)
{
    uint64_t sum = data_read(window, self->page_bytes);

    if (self->huge_bytes != 0) {
        sum += data_read(window + WINDOWS_HUGE_BYTES, self->huge_bytes);
    }
    return sum;
}

static inline void move_all(const struct call *self, char *from, char *to)
{
    windows_move(&self->windows, from, to, WINDOWS_PAGE_BYTES);
    if (self->huge_bytes != 0) {
        windows_move(&self->windows, windows_huge(from), windows_huge(to), WINDOWS_HUGE_BYTES);
    }
}

static void *server(void *argument)
{
    struct call *self = argument;
    char *own = self->windows.other;

    for (;;) {
        baton_take(&self->server);
        if (self->end) {
            return NULL;
        }
        write_all(self, own, read_all(self, own));
        move_all(self, own, self->windows.one);
        baton_give(&self->client);
    }
}

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct call *self = limit_new(sizeof *self);

    if (!windows_open(&self->windows)) {
        free(self);
        return NULL;
    }
    bool huge = subject->bytes > WINDOWS_PAGE_BYTES;
    self->page_bytes = huge ? sizeof(uint64_t) : subject->bytes;
    self->huge_bytes = huge ? subject->bytes : 0;
    limit_partner(&self->thread, setting, server, self);
    return self;
}

static void sample(void *argument, uint64_t *values)
{
    struct call *self = argument;
    char *own = self->windows.one;
    uint64_t begin_ns = now_ns();

    write_all(self, own, begin_ns);
    move_all(self, own, self->windows.other);
    baton_give(&self->server);
    baton_take(&self->client);
    read_all(self, own);
    values[0] = now_ns() - begin_ns;
}

static void destroy(void *argument)
{
    struct call *self = argument;

    self->end = true;
    baton_give(&self->server);
    pthread_join(self->thread, NULL);
    windows_close(&self->windows);
    free(self);
}

#define FUTEX_MOVES .create = create, .sample = sample, .destroy = destroy
const struct subject limit_futex_move_64 = {.names = {"futex_move_64"}, .bytes = 64, FUTEX_MOVES};
const struct subject limit_futex_move_1m = {
    .names = {"futex_move_1m"}, .bytes = (size_t)1 << 20, FUTEX_MOVES};
