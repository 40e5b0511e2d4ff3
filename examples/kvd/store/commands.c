/* The commands, by name. See store.h. Texts of errors are those of Redis, which clients know. */
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { INDEX_ENTRIES = 64, SHOWN_BYTES = 128 };

static const char out_of_memory[] = "-OOM command not allowed: the pool has no memory left for it\r\n";
static const char no_integer[] = "-ERR value is not an integer or out of range\r\n";
static const char syntax[] = "-ERR syntax error\r\n";

static void reply_ok(struct execution *e)
{
    reply_raw(e, "+OK\r\n", 5);
}

static void reply_nothing(struct execution *e)
{
    reply_raw(e, "$-1\r\n", 5);
}

/* What a client has sent, for an error's text: cut, and without what ends a line. */
static void reply_shown(struct execution *e, uint32_t n)
{
    char shown[SHOWN_BYTES];
    uint32_t bytes = e->args[n].bytes < sizeof shown ? e->args[n].bytes : (uint32_t)sizeof shown;
    memcpy(shown, argument(e, n), bytes);
    for (uint32_t i = 0; i < bytes; i++) {
        if (shown[i] == '\r' || shown[i] == '\n' || shown[i] == '\0') {
            shown[i] = ' ';
        }
    }
    reply_raw(e, "'", 1);
    reply_raw(e, shown, bytes);
    reply_raw(e, "'", 1);
}

static bool integer_argument(const struct execution *e, uint32_t n, int64_t *number)
{
    return number_read(argument(e, n), e->args[n].bytes, number);
}

bool argument_is(const struct execution *e, uint32_t n, const char *word)
{
    return e->args[n].bytes == strlen(word) && strncasecmp(argument(e, n), word, e->args[n].bytes) == 0;
}

/* --- Commands about keys -------------------------------------------------------------------------------------------------- */

static void get(struct execution *e, uint32_t n)
{
    size_t place = key_find(e, n);
    if (place == TABLE_NONE) {
        e->core->misses++;
        reply_nothing(e);
        return;
    }
    const struct kv_item *item = *table_at(e->state, place);
    e->core->hits++;
    reply_bulk(e, item->bytes + item->key_bytes, item->value_bytes);
}

static void command_get(struct execution *e)
{
    get(e, 1);
}

static void command_mget(struct execution *e)
{
    reply_number(e, '*', e->argc - 1);
    for (uint32_t n = 1; n < e->argc && !e->too_long; n++) {
        get(e, n);
    }
}

/* SET key value [EX seconds | PX milliseconds] [NX | XX] */
struct set_options {
    uint64_t expire_ms;
    bool timed, only_new, only_old;
};

/* NULL, or an error's text. */
static const char *set_options(const struct execution *e, struct set_options *options)
{
    static const char invalid[] = "-ERR invalid expire time in 'set' command\r\n";
    uint64_t unit_ms = 0;
    uint32_t time_at = 0;
    for (uint32_t n = 3; n < e->argc; n++) {
        if (argument_is(e, n, "NX") && !options->only_old) {
            options->only_new = true;
        } else if (argument_is(e, n, "XX") && !options->only_new) {
            options->only_old = true;
        } else if ((argument_is(e, n, "EX") || argument_is(e, n, "PX")) && !options->timed &&
                   n + 1 < e->argc) {
            options->timed = true;
            unit_ms = argument_is(e, n, "EX") ? 1000 : 1;
            time_at = ++n;
        } else {
            return syntax;
        }
    }
    if (options->timed) {
        int64_t time;
        if (!integer_argument(e, time_at, &time)) {
            return no_integer;
        }
        if (time <= 0 || (uint64_t)time > (INT64_MAX - e->now_ms) / unit_ms) {
            return invalid;
        }
        options->expire_ms = e->now_ms + (uint64_t)time * unit_ms;
    }
    return NULL;
}

static void command_set(struct execution *e)
{
    struct set_options options = {0};
    const char *error = e->argc > 3 ? set_options(e, &options) : NULL;
    if (error != NULL) {
        reply_text(e, error);
        return;
    }
    size_t place = key_find(e, 1);
    if (place == TABLE_NONE ? options.only_old : options.only_new) {
        reply_nothing(e);
    } else if (key_set(e, 1, place, argument(e, 2), e->args[2].bytes, options.expire_ms) != 0) {
        reply_text(e, out_of_memory);
    } else {
        reply_ok(e);
    }
}

static void command_incr(struct execution *e)
{
    char text[NUMBER_BYTES];
    int64_t number = 0;
    uint64_t expire_ms = 0;
    size_t place = key_find(e, 1);
    if (place != TABLE_NONE) {
        const struct kv_item *item = *table_at(e->state, place);
        if (!number_read(item->bytes + item->key_bytes, item->value_bytes, &number)) {
            reply_text(e, no_integer);
            return;
        }
        expire_ms = item->expire_ms;
    }
    if (number == INT64_MAX) {
        reply_text(e, "-ERR increment or decrement would overflow\r\n");
        return;
    }
    const char *at = number_write(text + sizeof text, number + 1);
    if (key_set(e, 1, place, at, (uint32_t)(text + sizeof text - at - 2), expire_ms) != 0) {
        reply_text(e, out_of_memory);
        return;
    }
    reply_number(e, ':', number + 1);
}

static void command_del(struct execution *e)
{
    int64_t count = 0;
    for (uint32_t n = 1; n < e->argc; n++) {
        size_t place = key_find(e, n);
        if (place != TABLE_NONE) {
            key_delete(e, place);
            count++;
        }
    }
    reply_number(e, ':', count);
}

static void command_exists(struct execution *e)
{
    int64_t count = 0;
    for (uint32_t n = 1; n < e->argc; n++) {
        count += key_find(e, n) != TABLE_NONE;
    }
    reply_number(e, ':', count);
}

static void command_expire(struct execution *e)
{
    int64_t seconds;
    if (!integer_argument(e, 2, &seconds)) {
        reply_text(e, no_integer);
        return;
    }
    if (seconds > (int64_t)((INT64_MAX - e->now_ms) / 1000) || seconds < INT64_MIN / 1000) {
        reply_text(e, "-ERR invalid expire time in 'expire' command\r\n");
        return;
    }
    size_t place = key_find(e, 1);
    if (place == TABLE_NONE) {
        reply_number(e, ':', 0);
    } else if (seconds <= 0) {
        key_delete(e, place);
        reply_number(e, ':', 1);
    } else if (key_expire(e, place, e->now_ms + (uint64_t)seconds * 1000) != 0) {
        reply_text(e, out_of_memory);
    } else {
        reply_number(e, ':', 1);
    }
}

static void command_ttl(struct execution *e)
{
    size_t place = key_find(e, 1);
    if (place == TABLE_NONE) {
        reply_number(e, ':', -2);
        return;
    }
    uint64_t expire_ms = (*table_at(e->state, place))->expire_ms;
    reply_number(e, ':', expire_ms == 0 ? -1 : (int64_t)((expire_ms - e->now_ms + 500) / 1000));
}

static void command_dbsize(struct execution *e)
{
    reply_number(e, ':', (int64_t)e->core->items);
}

static void command_flushall(struct execution *e)
{
    if (e->argc > 2 || (e->argc == 2 && !argument_is(e, 1, "SYNC") && !argument_is(e, 1, "ASYNC"))) {
        reply_text(e, syntax);
    } else if (keys_flush(e) != 0) {
        reply_text(e, out_of_memory);
    } else {
        reply_ok(e);
    }
}

/* --- Commands about the connection ---------------------------------------------------------------------------------------- */

static void command_ping(struct execution *e)
{
    if (e->argc > 2) {
        reply_text(e, "-ERR wrong number of arguments for 'ping' command\r\n");
    } else if (e->argc == 2) {
        reply_bulk(e, argument(e, 1), e->args[1].bytes);
    } else {
        reply_text(e, "+PONG\r\n");
    }
}

static void command_echo(struct execution *e)
{
    reply_bulk(e, argument(e, 1), e->args[1].bytes);
}

static void command_quit(struct execution *e)
{
    reply_ok(e); /* the network closes the connection behind it */
}

static void command_select(struct execution *e)
{
    int64_t number;
    if (!integer_argument(e, 1, &number)) {
        reply_text(e, no_integer);
    } else if (number != 0) {
        reply_text(e, "-ERR DB index is out of range\r\n");
    } else {
        reply_ok(e);
    }
}

/* --- By name -------------------------------------------------------------------------------------------------------------- */

const struct command store_commands[] = {
    {"command", -1, false, command_command}, {"config", -2, false, command_config},
    {"dbsize", 1, false, command_dbsize},    {"del", -2, true, command_del},
    {"echo", 2, false, command_echo},        {"exists", -2, false, command_exists},
    {"expire", 3, true, command_expire},     {"flushall", -1, true, command_flushall},
    {"get", 2, false, command_get},          {"incr", 2, true, command_incr},
    {"info", -1, false, command_info},       {"mget", -2, false, command_mget},
    {"ping", -1, false, command_ping},       {"quit", -1, false, command_quit},
    {"select", 2, false, command_select},    {"set", -3, true, command_set},
    {"ttl", 2, false, command_ttl},
};

const size_t store_command_count = sizeof store_commands / sizeof store_commands[0];

struct command_index {
    const struct command *entries[INDEX_ENTRIES];
};

static unsigned index_of(const char *name, size_t bytes)
{
    unsigned first = (unsigned char)name[0] | 0x20u; /* small letters */
    unsigned last = (unsigned char)name[bytes - 1] | 0x20u;
    return (first * 7 + last * 3 + (unsigned)bytes) % INDEX_ENTRIES;
}

struct command_index *command_index_create(void)
{
    struct command_index *index = calloc(1, sizeof *index);
    for (size_t i = 0; index != NULL && i < store_command_count; i++) {
        unsigned at = index_of(store_commands[i].name, strlen(store_commands[i].name));
        while (index->entries[at] != NULL) {
            at = (at + 1) % INDEX_ENTRIES;
        }
        index->entries[at] = &store_commands[i];
    }
    return index;
}

static const struct command *find_command(const struct execution *e, const struct command_index *index)
{
    if (e->args[0].bytes == 0) {
        return NULL;
    }
    unsigned at = index_of(argument(e, 0), e->args[0].bytes);
    while (index->entries[at] != NULL && !argument_is(e, 0, index->entries[at]->name)) {
        at = (at + 1) % INDEX_ENTRIES;
    }
    return index->entries[at];
}

static void reply_unknown(struct execution *e)
{
    static const uint32_t most_shown = 4; /* so that this is a short reply */
    reply_text(e, "-ERR unknown command ");
    reply_shown(e, 0);
    reply_text(e, ", with args beginning with: ");
    for (uint32_t n = 1; n < e->argc && n <= most_shown; n++) {
        reply_shown(e, n);
        reply_raw(e, " ", 1);
    }
    reply_raw(e, "\r\n", 2);
}

void command_execute(struct execution *e, const struct command_index *index)
{
    const struct command *command = find_command(e, index);
    if (command == NULL) {
        reply_unknown(e);
    } else if (command->arity < 0 ? e->argc < (uint32_t)-command->arity
                                  : e->argc != (uint32_t)command->arity) {
        reply_text(e, "-ERR wrong number of arguments for '");
        reply_text(e, command->name);
        reply_text(e, "' command\r\n");
    } else if (command->writes && e->batch->journal_failing) {
        reply_text(e, "-MISCONF not done: the journal's file cannot be written\r\n");
    } else {
        command->execute(e);
    }
}
