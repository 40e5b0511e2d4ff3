/*
 * Batches: complete commands of all connections go to the store together, and their replies come back together.
 *
 * There are two. One is out at most; the other gathers meanwhile. So the more there is to do, the more is done at once, and nobody
 * waits for a batch to fill.
 */
#include "network.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const died =
    "-ERR the store has died before it answered; it may or may not have done this\r\n";
static const char *const refused = "-ERR there is no store to ask\r\n";
static const char *const not_kept =
    "-MISCONF done, but not written to the journal: its file cannot be written. Changes are refused until it can\r\n";

int batch_create(struct batch **batch)
{
    struct batch *b = calloc(1, sizeof *b);
    void *area;
    int error = b == NULL ? -ENOMEM : ant_request_new(FN_STORE, &b->request);
    if (error == 0) {
        error = ant_ica_alloc(KVD_BATCH_PAGES, &area);
    }
    if (error != 0) {
        free(b);
        return error;
    }
    b->area = area;
    *batch = b;
    return 0;
}

/* --- Commands ---------------------------------------------------------------------------------------------------------- */

static bool is_word(const char *data, struct resp_span span, const char *word)
{
    return span.bytes == strlen(word) && strncasecmp(data + span.offset, word, span.bytes) == 0;
}

/* Adds the connection's scanned command. False: there is no room. */
static bool add(struct batch *batch, struct connection *connection, const char *data)
{
    const struct resp_scan *scan = &connection->scan;
    struct kvd_batch *area = batch->area;
    size_t head = sizeof(struct kvd_command) + scan->argc * sizeof(struct resp_span);
    size_t bytes = (head + scan->at + 3) & ~(size_t)3;
    if (batch->count == KVD_MAX_COMMANDS || KVD_COMMANDS_ROOM - area->command_bytes < bytes) {
        return false;
    }
    struct kvd_command *command = (struct kvd_command *)(void *)(area->commands + area->command_bytes);
    command->bytes = (uint32_t)bytes;
    command->argc = scan->argc;
    resp_spans(scan, data, command->args);
    memcpy((char *)command + head, data, scan->at);
    area->command_bytes += (uint32_t)bytes;

    struct run *run = batch->run_count > 0 ? &batch->runs[batch->run_count - 1] : NULL;
    if (run == NULL || run->connection != connection) {
        run = &batch->runs[batch->run_count++];
        *run = (struct run){connection, batch->count, 0};
        connection->pending++;
    }
    run->count++;
    batch->count++;
    return true;
}

/* KVD.SWAP is the network's own, since the store cannot answer while it is replaced. It waits for all that the client asked before. */
static bool swap(struct network *network, struct connection *connection, const char *data)
{
    struct resp_span spans[RESP_KEPT_SPANS];
    const struct resp_scan *scan = &connection->scan;
    if (connection->pending > 0) {
        return false;
    }
    if (scan->argc != 2) {
        static const char usage[] = "-ERR wrong number of arguments for 'kvd.swap' command\r\n";
        connection_write(network, connection, usage, sizeof usage - 1);
        return true;
    }
    resp_spans(scan, data, spans);
    network_swap(network, connection, data + spans[1].offset, spans[1].bytes);
    return true;
}

/* Takes commands from a connection's input. False: there is one more, but no room for it. */
static bool take(struct network *network, struct batch *batch, struct connection *connection)
{
    struct buffer *in = &connection->in;
    while (connection_may_go_on(connection)) {
        struct resp_scan *scan = &connection->scan;
        const char *data = in->bytes + in->begin;
        switch (resp_scan(scan, data, in->end - in->begin)) {
        case RESP_MORE:
            connection->incomplete = true;
            connection->closing = connection->ended;
            return true;
        case RESP_ERROR:
            connection->last_words = scan->error;
            connection->closing = true;
            return true;
        case RESP_COMPLETE:
            break;
        }
        if (scan->argc > 0) {
            if (is_word(data, scan->spans[0], "post") || is_word(data, scan->spans[0], "host:")) {
                /* A browser, sent here by somebody else's page: what it sends further on might be commands. */
                connection->last_words = "Protocol error: this is no web server";
                connection->closing = true;
                return true;
            }
            if (is_word(data, scan->spans[0], "kvd.swap")) {
                if (!swap(network, connection, data)) {
                    return true; /* again, when what is out is back */
                }
            } else if (!add(batch, connection, data)) {
                return false;
            } else {
                connection->closing = is_word(data, scan->spans[0], "quit");
            }
        }
        in->begin += scan->at;
        *scan = (struct resp_scan){0};
    }
    return true;
}

/*
 * The scan is complete where a command has to wait, and a complete scan cannot go on: it begins again. That is cheap, as whoever waits has just
 * filled a batch, or waits for one.
 */
static void gather(struct network *network)
{
    struct batch *batch = network->gathering;
    bool room = batch->area != NULL;
    struct connection *last = network->last;
    while (room && network->first != NULL) {
        struct connection *connection = network->first;
        network->first = connection->next;
        if (network->first == NULL) {
            network->last = NULL;
        }
        connection->listed = false;
        room = take(network, batch, connection);
        if (!connection->incomplete) {
            connection->scan = (struct resp_scan){0};
        }
        connection_settle(network, connection); /* which lists it again, at the end, if it has more */
        if (connection == last) {
            break;
        }
    }
}

/* --- There and back ---------------------------------------------------------------------------------------------------- */

/* All commands of a batch, from the first that is not yet answered, get this answer. */
static void answer_all(struct network *network, struct batch *batch, const char *answer)
{
    for (uint32_t i = 0; i < batch->run_count; i++) {
        struct run *run = &batch->runs[i];
        for (uint32_t n = run->first; n < run->first + run->count; n++) {
            if (n >= batch->delivered) {
                connection_write(network, run->connection, answer, strlen(answer));
            }
        }
    }
}

/* What of a run has been executed now, and is not delivered yet: its replies lie next to each other. */
static void deliver_run(struct network *network, struct batch *batch, const struct run *run)
{
    const struct kvd_batch *area = batch->area;
    uint32_t first = run->first > area->first ? run->first : area->first;
    uint32_t end = run->first + run->count < area->executed ? run->first + run->count : area->executed;
    uint32_t begin_at = first > area->first ? area->reply_end[first - 1] & ~KVD_REPLY_CHANGED : 0;
    if (first >= end) {
        return;
    }
    if (area->journal_error == 0) {
        uint32_t end_at = area->reply_end[end - 1] & ~KVD_REPLY_CHANGED;
        connection_write(network, run->connection, area->replies + begin_at, end_at - begin_at);
        return;
    }
    for (uint32_t n = first; n < end; n++) {
        uint32_t end_at = area->reply_end[n] & ~KVD_REPLY_CHANGED;
        if (area->reply_end[n] & KVD_REPLY_CHANGED) {
            connection_write(network, run->connection, not_kept, strlen(not_kept));
        } else {
            connection_write(network, run->connection, area->replies + begin_at, end_at - begin_at);
        }
        begin_at = end_at;
    }
}

/* All its commands have been answered. */
static void finish(struct network *network, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->run_count; i++) {
        batch->runs[i].connection->pending--;
        connection_settle(network, batch->runs[i].connection);
    }
    batch->count = 0;
    batch->run_count = 0;
    batch->delivered = 0;
}

/* Sends the batch that is not out. `delivered` of its commands have been answered already. */
static int launch(struct network *network, struct batch *batch)
{
    struct kvd_batch *area = batch->area;
    area->count = batch->count;
    area->first = batch->delivered;
    area->executed = batch->delivered;
    area->journalled = network->options->journal != NULL;
    area->journal_failing = network->journal_failing;
    area->journal_error = 0;
    area->figures = network->figures;
    batch->request->operation = STORE_BATCH;
    batch->request->data = area;
    batch->request->data_bytes = KVD_BATCH_PAGES * ANT_PAGE_BYTES;
    batch->request->cookie = 0;
    network->flying = batch;
    int error = ant_send(batch->request);
    if (error != 0) {
        network->flying = NULL;
        return error;
    }
    batch->area = NULL;
    network->figures.batches++;
    return 0;
}

/* Makes the batch ready to gather again. */
static void clear(struct batch *batch)
{
    if (batch->area == NULL) {
        void *area;
        if (ant_ica_alloc(KVD_BATCH_PAGES, &area) != 0) {
            return; /* the dead store has kept it; tried again before the next gathering */
        }
        batch->area = area;
    }
    batch->area->command_bytes = 0;
    batch->area->first_offset = 0;
}

/* Gathers, and sends what is gathered if nothing is out. False: it could not be sent, and is network->spare, to be refused. */
static bool go_on(struct network *network)
{
    if (network->gathering->count == 0) {
        clear(network->gathering);
    }
    if (!network->stopping) {
        gather(network);
    }
    if (network->flying != NULL || network->gathering->count == 0) {
        return true;
    }
    struct batch *batch = network->gathering;
    network->gathering = network->spare;
    network->spare = NULL;
    if (launch(network, batch) != 0) {
        network->spare = batch;
        return false;
    }
    return true;
}

static void refuse(struct network *network, struct batch *batch)
{
    answer_all(network, batch, refused);
    finish(network, batch);
}

void batches_go_on(struct network *network)
{
    if (!go_on(network)) {
        refuse(network, network->spare);
    }
}

/* All of a batch has been executed. The next one is sent before the replies are written, so that the store works meanwhile. */
static void deliver_last(struct network *network, struct batch *batch)
{
    network->spare = batch;
    bool sent = go_on(network);
    for (uint32_t i = 0; i < batch->run_count; i++) {
        deliver_run(network, batch, &batch->runs[i]);
    }
    finish(network, batch);
    if (!sent) {
        refuse(network, network->spare);
    }
}

/* There was no room for the replies to all of it. */
static void deliver_some(struct network *network, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->run_count; i++) {
        deliver_run(network, batch, &batch->runs[i]);
    }
    batch->delivered = batch->area->executed;
    if (launch(network, batch) != 0) {
        network->spare = batch;
        refuse(network, batch);
    }
}

void batch_back(struct network *network, struct ant_request *rq)
{
    struct batch *batch = network->flying;
    network->flying = NULL;
    batch->request = rq;
    batch->area = rq->data;
    if (rq->error != 0 || rq->status != 0) {
        network->spare = batch;
        answer_all(network, batch, rq->error == -EOWNERDEAD ? died : refused);
        finish(network, batch);
        return;
    }
    network->journal_failing = batch->area->journal_error != 0;
    if (batch->area->executed == batch->count) {
        deliver_last(network, batch);
    } else {
        deliver_some(network, batch);
    }
}
