/*
 * The journal's records, as the store writes them and reads them again: what has become of a key, in absolute terms, so that to apply
 * a record twice, or all of them from the beginning, gives the same.
 *
 *     SET       word, value's length (4 bytes), value's and key's bytes
 *     SET_TIMED word, value's length, when it expires (8 bytes), value's and key's bytes
 *     EXPIRE    word, when it expires, key's bytes
 *     DELETE    word, key's bytes
 *     FLUSH     word
 *
 * word: the kind, and the key's length in its upper 24 bits. Numbers are in the machine's own order. What a command changes takes no more bytes than
 * it had itself, 4 for each of its arguments, and RECORD_MOST_EXTRA.
 */
#ifndef RECORD_H
#define RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum record_kind {
    RECORD_SET = 1,
    RECORD_SET_TIMED,
    RECORD_EXPIRE,
    RECORD_DELETE,
    RECORD_FLUSH,
};

enum {
    RECORD_MOST_EXTRA = 64
};

struct record {
    enum record_kind kind;
    const char *key, *value;
    uint32_t key_bytes, value_bytes;
    uint64_t expire_ms; /* on the clock of the world, in ms since 1970; 0: never */
};

/* Writes a record, for which there is room; returns its length. */
static inline size_t record_write(char *to, const struct record *record)
{
    const uint32_t word = (uint32_t)record->kind | record->key_bytes << 8;
    char *at = to;
    memcpy(at, &word, 4);
    at += 4;
    if (record->kind == RECORD_SET || record->kind == RECORD_SET_TIMED) {
        memcpy(at, &record->value_bytes, 4);
        at += 4;
    }
    if (record->kind == RECORD_SET_TIMED || record->kind == RECORD_EXPIRE) {
        memcpy(at, &record->expire_ms, 8);
        at += 8;
    }
    if (record->kind == RECORD_SET || record->kind == RECORD_SET_TIMED) {
        memcpy(at, record->value, record->value_bytes);
        at += record->value_bytes;
    }
    if (record->key_bytes > 0) {
        memcpy(at, record->key, record->key_bytes);
    }
    return (size_t)(at + record->key_bytes - to);
}

/* Reads the record at `from`, of which there are `bytes`; returns its length, or 0 if there is none. Its strings stay where they are. */
static inline size_t record_read(const char *from, size_t bytes, struct record *record)
{
    uint32_t word;
    size_t at = 4;
    if (bytes < at) {
        return 0;
    }
    memcpy(&word, from, 4);
    *record = (struct record){.kind = (enum record_kind)(word & 255), .key_bytes = word >> 8};
    const bool is_set = record->kind == RECORD_SET || record->kind == RECORD_SET_TIMED;
    const bool is_timed = record->kind == RECORD_SET_TIMED || record->kind == RECORD_EXPIRE;
    if (record->kind < RECORD_SET || record->kind > RECORD_FLUSH ||
        bytes < at + (is_set ? 4u : 0u) + (is_timed ? 8u : 0u)) {
        return 0;
    }
    if (is_set) {
        memcpy(&record->value_bytes, from + at, 4);
        at += 4;
    }
    if (is_timed) {
        memcpy(&record->expire_ms, from + at, 8);
        at += 8;
    }
    if (bytes - at < (size_t)record->value_bytes + record->key_bytes) {
        return 0;
    }
    record->value = from + at;
    record->key = record->value + record->value_bytes;
    return at + record->value_bytes + record->key_bytes;
}

#endif
