/*
 * The store: what its versions have in common, and the two layouts of its state.
 *
 *     server.c     the callbacks: batches, loading, the timer, fresh starts
 *     commands.c   the commands, by name
 *     reply.c      their replies
 *     info.c       those that tell about the server
 *     keys.c       what a command does to a key, and the record that the journal gets of it
 *     table_vN.c   version N's index of the keys, and how it finds those whose time has come
 *     expiry.h     the order in which version 2 keeps times
 *     store_v1.c   version 1: the program, and the transformer from version 2's state
 *     store_v2.c   version 2
 *     from_v1.c    the transformer from version 1's state to version 2's
 *     broken.c     a version that does not start
 *
 * From one version to the next pass: the state, the heap that it names, with every item in it, the batch that is queued, and the timer. All versions
 * agree on items, on how a key is hashed, and on ../protocol.h. They may disagree on everything else in the state.
 */
#ifndef STORE_H
#define STORE_H

#include "../protocol.h"
#include "../record.h"

#include <ant/ant.h>
#include <ant/heap.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A key and its value: an object of the heap. */
struct kv_item {
    uint64_t hash;
    uint64_t expire_ms; /* on the clock of the world; 0: never */
    uint32_t key_bytes, value_bytes;
    uint32_t room; /* for both */
    char bytes[];  /* the key's, then the value's */
};

/* What every layout has. */
struct store_core {
    struct ant_heap *heap; /* of the items */
    uint64_t seed;         /* of the hashes */
    uint64_t items;
    uint64_t timed;   /* items that expire */
    uint64_t look_ms; /* when the timer is set to look for those that have; 0: it is not */
    uint64_t commands, hits, misses, expired;
    bool loading;                /* the journal is not yet replayed: nothing else is answered, */
    struct ant_request *waiting; /* ... but this batch when it is; NULL: there is none */
};

/* --- Layouts ----------------------------------------------------------------------------------------------------------- */

/*
 * Both keep the index in an area of its own, open addressing with linear probing; an item's place is the first free one from hash & mask on.
 * Areas that the index of the version before has left behind are freed with the first callback: when that runs, the swap has committed, and
 * nobody can roll back to them.
 */
enum {
    SPARE_AREAS = 64
};

struct spare {
    uint32_t count;
    void *areas[SPARE_AREAS];
};

/* State version 1: items alone. Whoever wants to know an item's hash, or when it expires, has to look at the item. */
struct slot_v1 {
    struct kv_item *item; /* NULL: free */
};

struct state_v1 {
    struct store_core core;
    uint32_t mask;
    uint32_t cursor; /* how far the search for expired items has come: it goes round and round */
    struct slot_v1 *slots;
    struct spare spare;
};

/* State version 2: hashes beside the items, and the times of those that expire in a heap (of the other kind), the earliest first. */
struct slot_v2 {
    uint64_t hash;
    struct kv_item *item; /* NULL: free */
};

/* No pointer: the item may be gone, or expire later. Then this entry means nothing. */
struct expiry_v2 {
    uint64_t expire_ms;
    uint64_t hash;
};

struct state_v2 {
    struct slot_v2 *slots;
    struct expiry_v2 *expiries;
    uint32_t mask;
    uint32_t expiry_count, expiry_room;
    struct spare spare;
    struct store_core core;
};

/* --- table_vN.c: version N's index -------------------------------------------------------------------------------------- */

#define TABLE_NONE SIZE_MAX

extern const size_t table_state_bytes;

struct store_core *table_core(void *state);

/* Makes an empty index, in a state whose core is set up. Frees the one that was there. An error: it is as it was. */
int table_reset(void *state);

/* Has something been left behind? Reads only. */
bool table_is_tidy(const void *state);

/* Frees that. */
void table_tidy(void *state);

/* Where a key's item is; TABLE_NONE: nowhere. */
size_t table_find(void *state, uint64_t hash, const char *key, uint32_t key_bytes);

/* The item there. It may be replaced by another with the same key. */
struct kv_item **table_at(void *state, size_t place);

/* Sees to it that there is room for one item more, one that expires if `timed`. */
int table_reserve(void *state, bool timed);

/* Adds an item whose key is not there, and for which there is room. */
void table_add(void *state, struct kv_item *item);

/* Removes an item. Other items' places change. */
void table_remove(void *state, size_t place);

/* An item for which room was reserved expires from now on, or at another time. */
void table_expires(void *state, const struct kv_item *item);

/* How many steps a look for expired items may take. */
size_t table_look_steps(void *state);

/* Where an item is whose time has come; TABLE_NONE: none was found in that many steps. */
size_t table_look(void *state, uint64_t now_ms, size_t *steps);

/* When to look again; 0: when there is another item that expires. */
uint64_t table_look_again(void *state, uint64_t now_ms);

/* --- keys.c ------------------------------------------------------------------------------------------------------------- */

/* The execution of a batch. */
struct execution {
    struct ant_server *self;
    void *state;
    struct store_core *core;
    struct kvd_batch *batch;
    uint64_t now_ms;
    size_t reply_bytes, record_bytes;

    /* of the command that is executed now */
    const char *data;
    const struct resp_span *args;
    uint32_t argc;
    bool changed;
    bool too_long; /* its reply has no room */
};

uint64_t store_now_ms(void);
uint64_t store_hash(const struct store_core *core, const char *key, size_t bytes);

static inline const char *argument(const struct execution *e, uint32_t n)
{
    return e->data + e->args[n].offset;
}

/* Finds argument n's item, if it has not expired. */
size_t key_find(struct execution *e, uint32_t n);

/* Sets argument n's value. place: what key_find said. expire_ms: 0 for never. -ENOMEM: nothing has changed. */
int key_set(struct execution *e, uint32_t n, size_t place, const char *value, uint32_t value_bytes, uint64_t expire_ms);

/* Sets when an item expires. -ENOMEM: nothing has changed. */
int key_expire(struct execution *e, size_t place, uint64_t expire_ms);

void key_delete(struct execution *e, size_t place);

/* Deletes all. -ENOMEM: nothing has changed. */
int keys_flush(struct execution *e);

/* Applies a record of the journal's. A negative errno value. */
int keys_load(void *state, const struct record *record);

/* Deletes an item, and frees it; tells nobody. */
void store_drop(void *state, size_t place);

/* --- commands.c --------------------------------------------------------------------------------------------------------- */

struct command {
    const char *name;
    int arity; /* with the name; negative: at least */
    bool writes;
    void (*execute)(struct execution *e);
};

extern const struct command store_commands[];
extern const size_t store_command_count;

/* The commands by name, for this generation. NULL: no memory. */
struct command_index;
struct command_index *command_index_create(void);

/* Executes e's command. */
void command_execute(struct execution *e, const struct command_index *index);

/* Is argument n this word, in small or in capital letters? */
bool argument_is(const struct execution *e, uint32_t n, const char *word);

/* --- reply.c ------------------------------------------------------------------------------------------------------------ */

/* Each adds to the reply of e's command, as long as there is room: too_long. */
void reply_raw(struct execution *e, const char *bytes, size_t count);
void reply_text(struct execution *e, const char *text);
void reply_number(struct execution *e, char type, int64_t number);
void reply_bulk(struct execution *e, const char *bytes, size_t count);

enum {
    NUMBER_BYTES = 32
};

/* Writes a number and an end of line, the last character at end[-1]; returns where it begins. Room: NUMBER_BYTES, less one for a type. */
char *number_write(char *end, int64_t number);

/* An integer as Redis has it: digits, with a minus perhaps, and nothing else. */
bool number_read(const char *text, size_t bytes, int64_t *number);

/* --- info.c ------------------------------------------------------------------------------------------------------------- */

void command_info(struct execution *e);
void command_command(struct execution *e);
void command_config(struct execution *e);

/* --- server.c: what the programs of all versions consist of -------------------------------------------------------------- */

int store_prepare(struct ant_server *self);
int store_start(struct ant_server *self);
void store_request(struct ant_server *self, struct ant_request *rq);
void store_timer(struct ant_server *self, uint32_t id, uint64_t expirations);
void store_dispose(struct ant_server *self);

/* --- from_v1.c ------------------------------------------------------------------------------------------------------------ */

/* A transformer. */
int store_v2_from_v1(struct ant_server *self, const void *old_state, size_t old_bytes, void **new_state);

#endif
