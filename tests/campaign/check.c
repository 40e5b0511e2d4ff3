/*
 * campaign_check: histories come on standard input, verdicts go to standard output, one for each, until the end of input.
 * Exit status 0; 2 if what came is no history.
 */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void check_violation(struct check *c, int promise, const char *format, ...)
{
    if (c->verdict.violations++ > 0)
        return;
    char *text = c->verdict.text;
    size_t room = sizeof c->verdict.text;
    int used = snprintf(text, room, "promise %d: ", promise);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, room - (size_t)used, format, arguments);
    va_end(arguments);
}

/* ---- in and out ---- */

/* False: the end. */
static bool read_all(void *to, size_t bytes)
{
    for (size_t have = 0; have < bytes;) {
        ssize_t got = read(STDIN_FILENO, (char *)to + have, bytes - have);
        if (got <= 0 && !(got < 0 && errno == EINTR))
            return false;
        have += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static bool write_all(const void *from, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t put = write(STDOUT_FILENO, (const char *)from + done, bytes - done);
        if (put < 0 && errno != EINTR)
            return false;
        done += put > 0 ? (size_t)put : 0;
    }
    return true;
}

static bool split(struct check *c, const unsigned char *bytes, uint32_t length)
{
    c->count = 0;
    for (uint32_t at = 0; at < length;) {
        const struct history_record *record = (const struct history_record *)(const void *)(bytes + at);
        if (record->bytes < HISTORY_HEADER_BYTES || record->bytes > length - at ||
            record->bytes % 8 != 0 || record->kind > HISTORY_END || c->count == CHECK_RECORDS)
            return false;
        c->records[c->count++] = record;
        at += record->bytes;
    }
    if (c->count < 2 || c->records[0]->kind != HISTORY_BEGIN)
        return false;
    c->begin = &c->records[0]->begin;
    return true;
}

/* ---- what is left ---- */

static void check_host(struct check *c, const struct history_host *before, const struct history_host *after)
{
    if (after->blocks != before->blocks)
        check_violation(c, 7, "%lld blocks of memory have leaked",
                        (long long)(after->blocks - before->blocks));
    if (after->threads > before->threads)
        check_violation(c, 7, "%lld threads have leaked", (long long)(after->threads - before->threads));
    if (after->files != before->files)
        check_violation(c, 7, "a file descriptor has leaked");
}

static void check_shutdown(struct check *c, const struct history_shutdown *s)
{
    if (s->asked || s->abandoned || s->areas || s->pages || s->unanswered || s->dead)
        check_violation(c, 1, "left over: %u processes, %u abandoned, %u areas (%u pages), %u requests, %u dead servers",
                        s->asked, s->abandoned, s->areas, s->pages, s->unanswered, s->dead);
}

void check_end(struct check *c)
{
    const struct history_host *before = NULL;
    bool ended = false;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct history_record *r = c->records[i];
        switch ((enum history_kind)r->kind) {
        case HISTORY_PAGES:
            if (r->pages.free != c->begin->pages || r->pages.own != 0)
                check_violation(c, 1, "%llu of %u pages are free, %llu are the first process's",
                                (unsigned long long)r->pages.free, c->begin->pages,
                                (unsigned long long)r->pages.own);
            break;
        case HISTORY_SHUTDOWN:
            check_shutdown(c, &r->shutdown);
            break;
        case HISTORY_HOST:
            if (before)
                check_host(c, before, &r->host);
            before = &r->host;
            break;
        case HISTORY_CALL:
            check_violation(c, 7, "%s: %d", r->call.name, r->call.returned);
            break;
        case HISTORY_STUCK:
            check_violation(c, 0, "%s did not end", r->stuck.what);
            break;
        case HISTORY_END:
            ended = true;
            break;
        default:
            break;
        }
        if (r->time_ns > c->verdict.simulated_ns)
            c->verdict.simulated_ns = r->time_ns;
    }
    if (!ended)
        check_violation(c, 0, "the history has no end");
}

int main(void)
{
    static struct check check;
    static unsigned char *bytes;
    uint32_t length;
    while (read_all(&length, sizeof length)) {
        bytes = realloc(bytes, length);
        if (!bytes || !read_all(bytes, length) || !split(&check, bytes, length))
            return 2;
        memset(&check.verdict, 0, sizeof check.verdict);
        check_swaps(&check);
        check_requests(&check);
        check_priority(&check);
        check_causes(&check);
        check_end(&check);
        check_outcomes(&check);
        if (!write_all(&check.verdict, sizeof check.verdict))
            return 0;
    }
    return 0;
}
