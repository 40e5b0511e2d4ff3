/* What commands, the journal and time do to keys. See store.h. */
#include "store.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum {
    WASTE_BYTES = 64
}; /* an item that has more room than it needs, and this, and as much again, is replaced */

uint64_t store_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Two words multiplied, both halves of the product: each bit of them moves many. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The seed is drawn at random, so that nobody outside can prepare keys that collide. */
uint64_t store_hash(const struct store_core *core, const char *key, size_t bytes)
{
    static const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t hash = core->seed ^ bytes * odd;
    uint64_t words[2];
    for (; bytes > 16; bytes -= 16, key += 16) {
        memcpy(words, key, 16);
        hash = mix(words[0] ^ hash, words[1] ^ core->seed ^ odd);
    }
    words[0] = words[1] = 0;
    memcpy(words, key, bytes);
    hash = mix(words[0] ^ hash, words[1] ^ core->seed ^ odd);
    return mix(hash ^ core->seed, odd);
}

/* --- Records -------------------------------------------------------------------------------------------------------------- */

/* There is room: store_request has looked, before the command. */
static void note(struct execution *e, const struct record *record)
{
    if (e->batch->journalled) {
        e->record_bytes += record_write(e->batch->records + e->record_bytes, record);
    }
}

static void note_deleted(struct execution *e, const struct kv_item *item)
{
    note(e, &(struct record){.kind = RECORD_DELETE, .key = item->bytes, .key_bytes = item->key_bytes});
}

/* --- Items ---------------------------------------------------------------------------------------------------------------- */

void store_drop(void *state, size_t place)
{
    struct store_core *core = table_core(state);
    struct kv_item *item = *table_at(state, place);
    table_remove(state, place);
    core->items--;
    core->timed -= item->expire_ms != 0;
    (void)ant_heap_free(core->heap, item);
}

static bool is_due(const struct kv_item *item, uint64_t now_ms)
{
    return item->expire_ms != 0 && item->expire_ms <= now_ms;
}

/* One that may not change the state now, because the journal fails, leaves what has expired where it is. */
size_t key_find(struct execution *e, uint32_t n)
{
    const char *key = argument(e, n);
    uint32_t bytes = e->args[n].bytes;
    size_t place = table_find(e->state, store_hash(e->core, key, bytes), key, bytes);
    if (place == TABLE_NONE || !is_due(*table_at(e->state, place), e->now_ms)) {
        return place;
    }
    if (!e->batch->journal_failing) {
        note_deleted(e, *table_at(e->state, place));
        store_drop(e->state, place);
        e->core->expired++;
    }
    return TABLE_NONE;
}

static void set_expiry(void *state, struct kv_item *item, uint64_t expire_ms)
{
    struct store_core *core = table_core(state);
    bool is_news = expire_ms != 0 && expire_ms != item->expire_ms;
    core->timed += (expire_ms != 0);
    core->timed -= (item->expire_ms != 0);
    item->expire_ms = expire_ms;
    if (is_news) {
        table_expires(state, item);
    }
}

struct setting {
    const char *key, *value;
    uint32_t key_bytes, value_bytes;
    uint64_t hash, expire_ms;
};

static int new_item(struct store_core *core, const struct setting *setting, struct kv_item **item)
{
    void *object;
    uint32_t room = setting->key_bytes + setting->value_bytes;
    int error = ant_heap_alloc(core->heap, sizeof **item + room, &object);
    if (error != 0) {
        return error;
    }
    *item = object;
    **item = (struct kv_item){.hash = setting->hash, .key_bytes = setting->key_bytes, .room = room};
    memcpy((*item)->bytes, setting->key, setting->key_bytes);
    return 0;
}

static int set(void *state, size_t place, const struct setting *setting)
{
    struct store_core *core = table_core(state);
    uint32_t needed = setting->key_bytes + setting->value_bytes;
    struct kv_item *item = place == TABLE_NONE ? NULL : *table_at(state, place);
    int error = place == TABLE_NONE || setting->expire_ms != 0
                    ? table_reserve(state, setting->expire_ms != 0)
                    : 0;
    if (error != 0) {
        return error;
    }
    if (place != TABLE_NONE && setting->expire_ms != 0) { /* the index may have grown */
        place = table_find(state, setting->hash, setting->key, setting->key_bytes);
    }
    if (item == NULL || item->room < needed || item->room > 2 * (needed + WASTE_BYTES)) {
        struct kv_item *fresh;
        error = new_item(core, setting, &fresh);
        if (error != 0) {
            return error;
        }
        if (item == NULL) {
            table_add(state, fresh);
            core->items++;
        } else {
            *table_at(state, place) = fresh;
            fresh->expire_ms = item->expire_ms;
            (void)ant_heap_free(core->heap, item);
        }
        item = fresh;
    }
    memcpy(item->bytes + item->key_bytes, setting->value, setting->value_bytes);
    item->value_bytes = setting->value_bytes;
    set_expiry(state, item, setting->expire_ms);
    return 0;
}

/* --- For commands --------------------------------------------------------------------------------------------------------- */

int key_set(struct execution *e, uint32_t n, size_t place, const char *value, uint32_t value_bytes,
            uint64_t expire_ms)
{
    struct setting setting = {
        .key = argument(e, n),
        .key_bytes = e->args[n].bytes,
        .value = value,
        .value_bytes = value_bytes,
        .expire_ms = expire_ms,
    };
    setting.hash = place != TABLE_NONE ? (*table_at(e->state, place))->hash
                                       : store_hash(e->core, setting.key, setting.key_bytes);
    int error = set(e->state, place, &setting);
    if (error != 0) {
        return error;
    }
    e->changed = true;
    note(e, &(struct record){
                .kind = expire_ms != 0 ? RECORD_SET_TIMED : RECORD_SET,
                .key = setting.key,
                .key_bytes = setting.key_bytes,
                .value = value,
                .value_bytes = value_bytes,
                .expire_ms = expire_ms,
            });
    return 0;
}

int key_expire(struct execution *e, size_t place, uint64_t expire_ms)
{
    struct kv_item *item = *table_at(e->state, place);
    int error = table_reserve(e->state, true);
    if (error != 0) {
        return error;
    }
    set_expiry(e->state, item, expire_ms);
    e->changed = true;
    note(e, &(struct record){
                .kind = RECORD_EXPIRE,
                .key = item->bytes,
                .key_bytes = item->key_bytes,
                .expire_ms = expire_ms,
            });
    return 0;
}

void key_delete(struct execution *e, size_t place)
{
    note_deleted(e, *table_at(e->state, place));
    store_drop(e->state, place);
    e->changed = true;
}

static int flush(void *state)
{
    struct store_core *core = table_core(state);
    struct ant_heap *heap;
    int error = ant_heap_create(0, &heap);
    if (error != 0) {
        return error;
    }
    error = table_reset(state);
    if (error != 0) {
        (void)ant_heap_destroy(heap);
        return error;
    }
    (void)ant_heap_destroy(core->heap);
    core->heap = heap;
    core->items = 0;
    core->timed = 0;
    return 0;
}

int keys_flush(struct execution *e)
{
    int error = flush(e->state);
    if (error == 0) {
        e->changed = true;
        note(e, &(struct record){.kind = RECORD_FLUSH});
    }
    return error;
}

int keys_load(void *state, const struct record *record)
{
    const struct store_core *core = table_core(state);
    if (record->kind == RECORD_FLUSH) {
        return flush(state);
    }
    const struct setting setting = {
        .key = record->key,
        .key_bytes = record->key_bytes,
        .value = record->value,
        .value_bytes = record->value_bytes,
        .expire_ms = record->expire_ms,
        .hash = store_hash(core, record->key, record->key_bytes),
    };
    size_t place = table_find(state, setting.hash, record->key, record->key_bytes);
    switch (record->kind) {
    case RECORD_SET:
    case RECORD_SET_TIMED:
        return set(state, place, &setting);
    case RECORD_EXPIRE:
        if (place != TABLE_NONE) {
            struct kv_item *item = *table_at(state, place);
            int error = table_reserve(state, true);
            if (error != 0) {
                return error;
            }
            set_expiry(state, item, record->expire_ms);
        }
        return 0;
    case RECORD_DELETE:
        if (place != TABLE_NONE) {
            store_drop(state, place);
        }
        return 0;
    default:
        return -EBADMSG;
    }
}
