/* The history of the run that goes on, kept until it is sent. */
#include "run.h"

#include <stdlib.h>
#include <string.h>

#define ROOM (1u << 22)

static struct {
    uint32_t used;
    _Alignas(8) unsigned char bytes[ROOM];
} history;

#define UP_TO(member)                                                                              \
    (uint32_t)(offsetof(struct history_record, member) + sizeof(((struct history_record *)0)->member))

static uint32_t size_of(enum history_kind kind)
{
    static const uint32_t sizes[] = {
        [HISTORY_BEGIN] = UP_TO(begin),       [HISTORY_SERVED] = UP_TO(served),
        [HISTORY_SENT] = UP_TO(sent),         [HISTORY_REFUSED] = UP_TO(refused),
        [HISTORY_RESULT] = UP_TO(result),     [HISTORY_WITHDRAWN] = UP_TO(refused),
        [HISTORY_PROBE] = UP_TO(probe),       [HISTORY_ENDED] = UP_TO(ended),
        [HISTORY_SWAPPING] = UP_TO(swapping), [HISTORY_SWAP] = UP_TO(swap),
        [HISTORY_STRIKE] = UP_TO(strike),     [HISTORY_HIT] = UP_TO(strike),
        [HISTORY_LATE] = UP_TO(late),         [HISTORY_WORKED] = UP_TO(worked),
        [HISTORY_CALL] = UP_TO(call),         [HISTORY_LAST] = UP_TO(last),
        [HISTORY_STUCK] = UP_TO(stuck),       [HISTORY_PAGES] = UP_TO(pages),
        [HISTORY_SHUTDOWN] = UP_TO(shutdown), [HISTORY_HOST] = UP_TO(host),
        [HISTORY_END] = HISTORY_HEADER_BYTES};
    return (sizes[kind] + 7u) & ~7u;
}

void record_reset(void)
{
    history.used = 0;
}

struct history_record *record_add(enum history_kind kind, uint32_t actor)
{
    uint32_t bytes = size_of(kind);
    if (history.used + bytes > ROOM)
        abort(); /* a run that never ends: its worker's death tells */
    struct history_record *record = (struct history_record *)(void *)(history.bytes + history.used);
    memset(record, 0, bytes);
    record->kind = kind;
    record->bytes = bytes;
    record->time_ns = ant_now();
    record->actor = actor;
    history.used += bytes;
    return record;
}

const void *record_bytes(uint32_t *bytes)
{
    *bytes = history.used;
    return history.bytes;
}

void record_call(const char *name, int returned)
{
    struct history_record *record = record_add(HISTORY_CALL, 0);
    strncpy(record->call.name, name, sizeof record->call.name - 1);
    record->call.returned = returned;
}

void record_stuck(const char *what)
{
    strncpy(record_add(HISTORY_STUCK, 0)->stuck.what, what, sizeof((struct history_stuck *)0)->what - 1);
}
