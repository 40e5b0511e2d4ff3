/* Replies, and numbers as text. See store.h. */
#include "store.h"

#include <string.h>

void reply_raw(struct execution *e, const char *bytes, size_t count)
{
    if (e->too_long || KVD_REPLIES_ROOM - e->reply_bytes < count) {
        e->too_long = true;
        return;
    }
    memcpy(e->batch->replies + e->reply_bytes, bytes, count);
    e->reply_bytes += count;
}

void reply_text(struct execution *e, const char *text)
{
    reply_raw(e, text, strlen(text));
}

char *number_write(char *end, int64_t number)
{
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    *--end = '\n';
    *--end = '\r';
    do {
        *--end = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) {
        *--end = '-';
    }
    return end;
}

void reply_number(struct execution *e, char type, int64_t number)
{
    char line[NUMBER_BYTES];
    char *at = number_write(line + sizeof line, number);
    *--at = type;
    reply_raw(e, at, (size_t)(line + sizeof line - at));
}

void reply_bulk(struct execution *e, const char *bytes, size_t count)
{
    reply_number(e, '$', (int64_t)count);
    reply_raw(e, bytes, count);
    reply_raw(e, "\r\n", 2);
}

bool number_read(const char *text, size_t bytes, int64_t *number)
{
    bool negative = bytes > 0 && text[0] == '-';
    uint64_t value = 0, most = negative ? (uint64_t)1 << 63 : INT64_MAX;
    size_t at = negative;
    if (bytes == at || (text[at] == '0' && bytes > 1)) {
        return false;
    }
    for (; at < bytes; at++) {
        unsigned digit = (unsigned char)text[at] - (unsigned)'0';
        if (digit > 9 || value > (most - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *number = (int64_t)(negative ? 0 - value : value);
    return true;
}
