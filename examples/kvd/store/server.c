/* The callbacks of every version. See store.h. */
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { LOOK_TIMER = 1, TIDY_TIMER, REPLY_LEAST_ROOM = 1024, REMOVED_PAGES = 16, RETRY_MS = 100 };

static const size_t removed_bytes = (size_t)REMOVED_PAGES * ANT_PAGE_BYTES;

/* --- Beginning and end of a generation ------------------------------------------------------------------------------------ */

/* While the predecessor serves: what need not be done in the blackout. */
int store_prepare(struct ant_server *self)
{
    self->context = command_index_create();
    return self->context != NULL ? 0 : -ENOMEM;
}

void store_dispose(struct ant_server *self)
{
    free(self->context);
}

/*
 * After a swap everything is there: the state as it was, or transformed; and the timer. What a transformer has left behind is freed by the first callback: a timer sees to it that
 * there is one, even if nobody asks for anything. After a death there is nothing: the journal is replayed.
 */
int store_start(struct ant_server *self)
{
    void *state;
    if (self->reason == ANT_START_SWAP) {
        return table_is_tidy(self->state) ? 0 : ant_timer_set(TIDY_TIMER, ant_now(), 0);
    }
    int error = ant_ica_alloc(kvd_pages(table_state_bytes), &state);
    if (error != 0) {
        return error;
    }
    memset(state, 0, table_state_bytes);
    struct store_core *core = table_core(state);
    core->loading = true;
    if (getrandom(&core->seed, sizeof core->seed, 0) != (ssize_t)sizeof core->seed) {
        return -EIO;
    }
    error = ant_heap_create(0, &core->heap);
    if (error == 0) {
        error = table_reset(state);
    }
    return error != 0 ? error : ant_state_set(state); /* should it fail, the inner core frees the areas */
}

/* --- Expiry --------------------------------------------------------------------------------------------------------------- */

/* Sets the timer, if it is not set for that time already. What is set passes with the state. */
static void look_at(struct store_core *core, uint64_t when_ms, uint64_t now_ms)
{
    if (when_ms == core->look_ms) {
        return;
    }
    if (when_ms == 0) {
        (void)ant_timer_cancel(LOOK_TIMER);
    } else {
        uint64_t wait_ms = when_ms > now_ms ? when_ms - now_ms : 0;
        if (ant_timer_set(LOOK_TIMER, ant_now() + wait_ms * ANT_NS_PER_MS, 0) != 0) {
            return; /* tried again after the next batch */
        }
    }
    core->look_ms = when_ms;
}

/* After a batch: is there something to expire that the timer does not know? */
static void look_later(void *state, uint64_t now_ms)
{
    struct store_core *core = table_core(state);
    uint64_t when_ms = table_look_again(state, now_ms);
    if (when_ms == 0 || core->look_ms == 0 || when_ms < core->look_ms) {
        look_at(core, when_ms, now_ms);
    }
}

/*
 * Removes what has expired, and tells the journal in a request of its own, which nobody waits for (its result is freed by the library's loop). It
 * takes its place between the batches, in the journal as here. False: there is no memory for that now.
 */
static bool remove_expired(void *state, uint64_t now_ms)
{
    struct store_core *core = table_core(state);
    struct ant_request *rq = NULL;
    struct kvd_records *removed;
    void *area = NULL;
    ant_pid journal;
    size_t place, room, used = 0, steps = table_look_steps(state);
    if (ant_lookup(FN_JOURNAL, &journal) == 0) {
        if (ant_request_new(FN_JOURNAL, &rq) != 0) {
            return false;
        }
        if (ant_ica_alloc(REMOVED_PAGES, &area) != 0) {
            (void)ant_request_free(rq);
            return false;
        }
    }
    removed = area;
    room = removed_bytes - sizeof *removed;
    while ((place = table_look(state, now_ms, &steps)) != TABLE_NONE) {
        const struct kv_item *item = *table_at(state, place);
        struct record record = {.kind = RECORD_DELETE, .key = item->bytes, .key_bytes = item->key_bytes};
        if (removed != NULL && item->key_bytes + RECORD_MOST_EXTRA <= room - used) {
            used += record_write(removed->records + used, &record);
        } /* else the journal will have it as expired, which is as good while the clock goes forwards */
        store_drop(state, place);
        core->expired++;
    }
    if (used > 0) {
        removed->frame.bytes = (uint32_t)used;
        rq->operation = JOURNAL_RECORDS;
        rq->data = area;
        if (ant_send(rq) == 0) {
            return true;
        }
    }
    if (area != NULL) {
        (void)ant_ica_free(area);
        (void)ant_request_free(rq);
    }
    return true;
}

void store_timer(struct ant_server *self, uint32_t id, uint64_t expirations)
{
    void *state = ant_state();
    struct store_core *core = table_core(state);
    uint64_t now_ms = store_now_ms();
    (void)self;
    (void)expirations;
    table_tidy(state);
    if (id != LOOK_TIMER) {
        return;
    }
    core->look_ms = 0;
    if (core->loading) {
        return;
    }
    if (!remove_expired(state, now_ms)) {
        look_at(core, now_ms + RETRY_MS, now_ms);
        return;
    }
    look_at(core, table_look_again(state, now_ms), now_ms);
}

/* --- Batches -------------------------------------------------------------------------------------------------------------- */

/* Is there room for what this command can change, and for its reply if it is short? The first of a batch finds that always. */
static bool has_room(const struct execution *e, const struct kvd_command *command)
{
    size_t records = command->bytes + 4 * (size_t)command->argc + RECORD_MOST_EXTRA -
                     command->argc * sizeof(struct resp_span);
    return KVD_RECORDS_ROOM - e->record_bytes >= records &&
           KVD_REPLIES_ROOM - e->reply_bytes >= REPLY_LEAST_ROOM;
}

/* Executes one; false: its reply has no room behind those of others. (Only commands that change nothing have long replies.) */
static bool execute(struct execution *e, const struct kvd_command *command, bool is_first)
{
    size_t begin = e->reply_bytes;
    e->args = command->args;
    e->argc = command->argc;
    e->data = (const char *)&command->args[command->argc];
    e->changed = false;
    e->too_long = false;
    command_execute(e, e->self->context);
    if (e->too_long) {
        e->reply_bytes = begin;
        if (!is_first) {
            return false;
        }
        e->too_long = false;
        reply_text(e, "-ERR the reply would be too long\r\n");
    }
    return true;
}

static void execute_all(struct execution *e)
{
    struct kvd_batch *batch = e->batch;
    uint32_t offset = batch->first_offset;
    uint32_t n = batch->first;
    for (; n < batch->count; n++) {
        const struct kvd_command *command =
            (const struct kvd_command *)(const void *)(batch->commands + offset);
        if (!has_room(e, command) || !execute(e, command, n == batch->first)) {
            break;
        }
        batch->reply_end[n] = (uint32_t)e->reply_bytes | (e->changed ? KVD_REPLY_CHANGED : 0);
        offset += command->bytes;
    }
    e->core->commands += n - batch->first;
    batch->executed = n;
    batch->first_offset = offset;
    batch->reply_bytes = (uint32_t)e->reply_bytes;
    batch->record_bytes = (uint32_t)e->record_bytes;
}

/* The answer goes to the network: from here, or by way of the journal. */
static void batch_request(struct ant_server *self, struct ant_request *rq)
{
    struct kvd_batch *batch = rq->data;
    void *state = ant_state();
    struct execution e = {
        .self = self,
        .state = state,
        .core = table_core(state),
        .batch = batch,
        .now_ms = store_now_ms(),
    };
    execute_all(&e);
    look_later(state, e.now_ms);
    if (e.record_bytes > 0 || batch->journal_failing) {
        rq->operation = JOURNAL_BATCH;
        int error = ant_forward(rq, FN_JOURNAL);
        if (error == 0) {
            return;
        }
        batch->journal_error = error;
    }
    (void)ant_reply(rq, 0);
}

static int load(void *state, const struct kvd_records *records)
{
    size_t at = 0;
    while (at < records->frame.bytes) {
        struct record record;
        size_t bytes = record_read(records->records + at, records->frame.bytes - at, &record);
        int error = bytes > 0 ? keys_load(state, &record) : -EBADMSG;
        if (error != 0) {
            return error;
        }
        at += bytes;
    }
    return 0;
}

void store_request(struct ant_server *self, struct ant_request *rq)
{
    void *state = ant_state();
    struct store_core *core = table_core(state);
    int status = -EINVAL;
    table_tidy(state);
    switch (rq->operation) {
    case STORE_BATCH:
        if (core->loading) {
            core->waiting = rq; /* the network has one out at a time */
        } else {
            batch_request(self, rq);
        }
        return;
    case STORE_LOAD:
        if (core->loading) {
            status = load(state, rq->data);
        }
        break;
    case STORE_LOADED:
        core->loading = false;
        look_later(state, store_now_ms());
        if (core->waiting != NULL) {
            struct ant_request *waiting = core->waiting;
            core->waiting = NULL;
            batch_request(self, waiting);
        }
        status = 0;
        break;
    default:
        break;
    }
    (void)ant_reply(rq, status);
}
