/*
 * A client. A round is OPEN, READ of every block in order, CLOSE; the SHA-256 of what came must be the file's.
 *
 * One kind calls and waits. The other keeps several requests out: the server may answer them in another order than it
 * took them in (a block in the cache overtakes one from the disk), so block n waits in slot n % WINDOW for its turn.
 */
#include "client.h"

#include "protocol.h"

#include <errno.h>
#include <string.h>

/* No answer for so long: it is lost. */
static const int64_t answer_timeout_ns = 20 * (int64_t)ANT_NS_PER_S;

static int fail(struct client *client, const char *what, int error)
{
    if (client->error == 0) {
        client->error = error;
        client->failed = what;
    }
    return error;
}

/* Fills in a request and enters it in the books: it is about to be sent. */
static void prepare(struct client *client, struct client_slot *slot, uint32_t operation, uint64_t block)
{
    slot->rq->operation = operation;
    slot->rq->cookie = ++client->sequence;
    slot->rq->data = operation == FILE_READ ? slot->area : NULL;
    *file_message(slot->rq) = (struct file_message){
        .sequence = client->sequence,
        .block = block,
        .handle = client->handle,
    };
    slot->rq->payload_bytes = sizeof(struct file_message);
    slot->sequence = client->sequence;
    slot->block = block;
    slot->out = true;
    slot->sent_ns = ant_now();
    atomic_fetch_add_explicit(&client->ledger.sent, 1, memory_order_relaxed);
}

/* Enters a result in the books. Returns an error if there is anything wrong with it. */
static int settle(struct client *client, struct client_slot *slot)
{
    struct file_message *message = file_message(slot->rq);
    uint32_t version = message->version < 3 ? message->version : 0;

    samples_add(&client->response[atomic_load(client->phase)][version], ant_now() - slot->sent_ns);
    slot->out = false;
    client->ledger.answered++;
    if (slot->rq->error != 0) {
        return fail(client, "the inner core answered", slot->rq->error);
    }
    client->ledger.overtaken += message->expected != slot->sequence;
    client->ledger.cached += message->cached;
    client->ledger.by_version[version]++;
    return slot->rq->status < 0 ? fail(client, "the file server answered", slot->rq->status) : 0;
}

/* Sends a request and waits for its result. */
static int call(struct client *client, struct client_slot *slot, uint32_t operation, uint64_t block)
{
    prepare(client, slot, operation, block);
    int error = ant_call(slot->rq, answer_timeout_ns);
    return error != 0 ? fail(client, "ant_call", error) : settle(client, slot);
}

/* Takes the next message. Whatever is no result of a request that is out is one too many. */
static int take_result(struct client *client)
{
    struct ant_message message;
    int error = ant_receive(&message, answer_timeout_ns);
    if (error != 0) {
        return fail(client, "ant_receive", error);
    }
    if (message.kind == ANT_STOP) {
        return fail(client, "asked to stop", -ESHUTDOWN);
    }
    for (size_t i = 0; message.kind == ANT_RESULT && i < WINDOW; i++) {
        struct client_slot *slot = &client->slots[i];
        if (slot->out && slot->rq == message.request && slot->sequence == message.request->cookie) {
            return settle(client, slot);
        }
    }
    client->ledger.duplicated++;
    return 0;
}

static int ask_for_block(struct client *client, uint64_t block)
{
    struct client_slot *slot = &client->slots[block % WINDOW];
    if (client->waits) {
        return call(client, slot, FILE_READ, block);
    }
    prepare(client, slot, FILE_READ, block);
    int error = ant_send(slot->rq);
    return error != 0 ? fail(client, "ant_send", error) : 0;
}

/* Waits for a block if it is still out, then hashes it. */
static int hash_block(struct client *client, struct sha256_ctx *sha256, uint64_t block)
{
    struct client_slot *slot = &client->slots[block % WINDOW];
    uint64_t left = client->file_bytes - block * client->block_bytes;
    uint64_t length = left < client->block_bytes ? left : client->block_bytes;
    int error = 0;

    while (slot->out && error == 0) {
        error = take_result(client);
    }
    if (error != 0) {
        return error;
    }
    if (slot->rq->data != slot->area || (uint64_t)slot->rq->status != length) {
        return fail(client, "a block came back short, or in another area", -EIO);
    }
    sha256_update(sha256, length, slot->area);
    return client->work_ns > 0 ? ant_work(client->work_ns) : 0;
}

/* One round. */
static int read_file(struct client *client)
{
    struct sha256_ctx sha256;
    uint64_t asked = 0;
    uint64_t window = client->waits ? 1 : WINDOW;
    int error = call(client, &client->slots[0], FILE_OPEN, 0);
    if (error != 0) {
        return error;
    }
    const struct file_message *message = file_message(client->slots[0].rq);
    client->file_bytes = message->file_bytes;
    client->block_bytes = message->block_bytes;
    client->handle = message->handle;

    sha256_init(&sha256);
    uint64_t blocks = (client->file_bytes + client->block_bytes - 1) / client->block_bytes;
    for (uint64_t block = 0; block < blocks && error == 0; block++) {
        while (error == 0 && asked < blocks && asked < block + window) {
            error = ask_for_block(client, asked++);
        }
        if (error == 0) {
            error = hash_block(client, &sha256, block);
        }
    }
    if (error == 0) {
        error = call(client, &client->slots[0], FILE_CLOSE, 0);
    }
    if (error == 0) {
        uint8_t digest[SHA256_DIGEST_SIZE];
        sha256_digest(&sha256, sizeof digest, digest);
        bool wrong = memcmp(digest, client->expected_sha256, sizeof digest) != 0;
        if (client->wrong_rounds == 0) {
            memcpy(client->sha256, digest, sizeof digest);
        }
        client->wrong_rounds += wrong;
        client->rounds++;
    }
    return error;
}

/* All requests have been answered. Does anything else come? */
static void look_for_more(struct client *client)
{
    struct ant_message message;
    while (ant_receive(&message, (int64_t)ANT_NS_PER_MS) == 0 && message.kind != ANT_STOP) {
        client->ledger.duplicated++;
    }
}

int client_main(void *arg)
{
    struct client *client = arg;
    int error = 0;

    for (size_t i = 0; i < WINDOW && error == 0; i++) {
        error = ant_request_new(FN_FILE, &client->slots[i].rq);
        if (error == 0) {
            error = ant_ica_alloc(client->area_pages, &client->slots[i].area);
        }
    }
    if (error != 0) {
        return fail(client, "memory for requests", error);
    }
    do {
        error = read_file(client);
    } while (error == 0 && atomic_load(client->phase) != PHASE_LAST);

    if (error == 0) {
        look_for_more(client);
        for (size_t i = 0; i < WINDOW; i++) {
            (void)ant_ica_free(client->slots[i].area);
            (void)ant_request_free(client->slots[i].rq);
        }
    }
    return error; /* its areas are freed when it ends, should there be any left */
}

void client_fini(struct client *client)
{
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
        for (int version = 0; version < 3; version++) {
            samples_fini(&client->response[phase][version]);
        }
    }
}
