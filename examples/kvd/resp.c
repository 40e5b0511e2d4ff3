/* RESP2, the requests' half. See resp.h. */
#include "resp.h"

#include <string.h>

static enum resp_outcome fail(struct resp_scan *scan, const char *error)
{
    scan->error = error;
    return RESP_ERROR;
}

/*
 * Reads the line "<type><number>\r\n" at scan->at. On RESP_COMPLETE `number` has it and scan->at is behind it. A number that does
 * not fit, or is none, is an error, for which `error` is the text.
 */
static enum resp_outcome number_line(struct resp_scan *scan, const char *data, size_t bytes,
                                     int64_t *number, const char *error)
{
    size_t at = (size_t)scan->at + 1; /* behind the type */
    bool negative = at < bytes && data[at] == '-';
    int64_t value = 0;
    at += negative;
    size_t first = at;
    while (at < bytes && data[at] >= '0' && data[at] <= '9') {
        if (at - first == 18) { /* a further digit might not fit */
            return fail(scan, error);
        }
        value = value * 10 + (data[at] - '0');
        at++;
    }
    if (at + 1 >= bytes) {
        return at < bytes && data[at] != '\r' ? fail(scan, error) : RESP_MORE;
    }
    if (at == first || data[at] != '\r' || data[at + 1] != '\n') {
        return fail(scan, error);
    }
    scan->at = (uint32_t)(at + 2);
    *number = negative ? -value : value;
    return RESP_COMPLETE;
}

static void keep(struct resp_scan *scan, size_t offset, size_t bytes)
{
    if (scan->argc < RESP_KEPT_SPANS) {
        scan->spans[scan->argc] = (struct resp_span){(uint32_t)offset, (uint32_t)bytes};
    }
    scan->argc++;
}

/* An argument: "$<bytes>\r\n<bytes>\r\n". */
static enum resp_outcome scan_bulk(struct resp_scan *scan, const char *data, size_t bytes)
{
    if (!scan->in_bulk) {
        int64_t length = 0;
        if (scan->at >= bytes) {
            return RESP_MORE;
        }
        if (data[scan->at] != '$') {
            return fail(scan, "Protocol error: expected '$'");
        }
        enum resp_outcome outcome =
            number_line(scan, data, bytes, &length, "Protocol error: invalid bulk length");
        if (outcome != RESP_COMPLETE) {
            return outcome;
        }
        if (length < 0 || length > RESP_MAX_BULK_BYTES) {
            return fail(scan, "Protocol error: invalid bulk length");
        }
        if (scan->at + (uint64_t)length + 2 > RESP_MAX_COMMAND_BYTES) {
            return fail(scan, "Protocol error: too big command");
        }
        scan->bulk = (uint32_t)length;
        scan->in_bulk = true;
    }
    size_t end = (size_t)scan->at + scan->bulk;
    if (bytes < end + 2) {
        return RESP_MORE;
    }
    if (data[end] != '\r' || data[end + 1] != '\n') {
        return fail(scan, "Protocol error: expected CRLF behind a bulk string");
    }
    keep(scan, scan->at, scan->bulk);
    scan->at = (uint32_t)(end + 2);
    scan->in_bulk = false;
    return RESP_COMPLETE;
}

static enum resp_outcome scan_array(struct resp_scan *scan, const char *data, size_t bytes)
{
    enum resp_outcome outcome = RESP_COMPLETE;
    if (!scan->in_array) {
        int64_t count = 0;
        outcome = number_line(scan, data, bytes, &count, "Protocol error: invalid multibulk length");
        if (outcome == RESP_COMPLETE && count > RESP_MAX_ARGS) {
            return fail(scan, "Protocol error: invalid multibulk length");
        }
        scan->in_array = outcome == RESP_COMPLETE;
        scan->expected = count > 0 ? (uint32_t)count : 0;
    }
    while (outcome == RESP_COMPLETE && scan->argc < scan->expected) {
        outcome = scan_bulk(scan, data, bytes);
    }
    return outcome;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* Takes the next word of an inline command from `at`; false: there is none. */
static bool next_word(const char *data, size_t end, size_t *at, struct resp_span *word)
{
    while (*at < end && is_blank(data[*at])) {
        (*at)++;
    }
    size_t first = *at;
    while (*at < end && !is_blank(data[*at])) {
        (*at)++;
    }
    *word = (struct resp_span){(uint32_t)first, (uint32_t)(*at - first)};
    return *at > first;
}

/* A line of words, as people type them. */
static enum resp_outcome scan_inline(struct resp_scan *scan, const char *data, size_t bytes)
{
    size_t limit = bytes < RESP_MAX_INLINE_BYTES ? bytes : RESP_MAX_INLINE_BYTES;
    const char *newline = limit > scan->at ? memchr(data + scan->at, '\n', limit - scan->at) : NULL;
    if (newline == NULL) {
        scan->at = (uint32_t)limit;
        return limit == RESP_MAX_INLINE_BYTES ? fail(scan, "Protocol error: too big inline request")
                                              : RESP_MORE;
    }
    size_t end = (size_t)(newline - data);
    size_t at = 0;
    struct resp_span word;
    while (next_word(data, end, &at, &word)) {
        if (data[word.offset] == '"' || data[word.offset] == '\'') {
            return fail(scan, "Protocol error: quotes are for arrays of bulk strings, not for inline requests");
        }
        keep(scan, word.offset, word.bytes);
    }
    scan->at = (uint32_t)(end + 1);
    return RESP_COMPLETE;
}

enum resp_outcome resp_scan(struct resp_scan *scan, const char *data, size_t bytes)
{
    if (bytes == 0) {
        return RESP_MORE;
    }
    return data[0] == '*' ? scan_array(scan, data, bytes) : scan_inline(scan, data, bytes);
}

void resp_spans(const struct resp_scan *scan, const char *data, struct resp_span *spans)
{
    if (scan->argc <= RESP_KEPT_SPANS) {
        memcpy(spans, scan->spans, scan->argc * sizeof *spans);
        return;
    }
    size_t at = 0;
    if (data[0] != '*') {
        for (uint32_t i = 0; i < scan->argc; i++) {
            (void)next_word(data, scan->at, &at, &spans[i]);
        }
        return;
    }
    struct resp_scan again = {0};
    int64_t count;
    (void)number_line(&again, data, scan->at, &count, ""); /* all of it was good before */
    for (uint32_t i = 0; i < scan->argc; i++) {
        again.argc = 0;
        (void)scan_bulk(&again, data, scan->at);
        spans[i] = again.spans[0];
    }
}
