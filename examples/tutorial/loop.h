/* What the program has that is made replaceable in docs/tutorial.md, and that stays as it is: an epoll loop, and lines from a descriptor. Nothing of libant. */
#ifndef LOOP_H
#define LOOP_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define LINE_BYTES 1024

struct lines {
    char text[LINE_BYTES];
    size_t bytes;
};

static inline void loop_add(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        perror("epoll_ctl");
        exit(EXIT_FAILURE);
    }
}

/* Waits for a descriptor to be readable. */
static inline int loop_next(int epoll)
{
    struct epoll_event event;
    int count;
    do {
        count = epoll_wait(epoll, &event, 1, -1);
    } while (count < 0 && errno == EINTR);
    return count == 1 ? event.data.fd : -1;
}

/* Reads what is there. False: there will be no more. */
static inline bool lines_read(struct lines *lines, int fd)
{
    if (lines->bytes == sizeof lines->text)
        lines->bytes = 0; /* a line that is too long is dropped */
    ssize_t count = read(fd, lines->text + lines->bytes, sizeof lines->text - lines->bytes);
    lines->bytes += count > 0 ? (size_t)count : 0;
    return count > 0;
}

/* Takes the next whole line, if there is one, without its end. */
static inline bool lines_next(struct lines *lines, char line[LINE_BYTES])
{
    const char *end = memchr(lines->text, '\n', lines->bytes);
    if (!end)
        return false;
    size_t length = (size_t)(end - lines->text);
    memcpy(line, lines->text, length);
    line[length] = '\0';
    lines->bytes -= length + 1;
    memmove(lines->text, end + 1, lines->bytes);
    return true;
}

#endif
