/*
 * 03. An asynchronous driver: a server that asks somebody else, and does not wait for him.
 *
 * An OS server often cannot answer at once: a file server needs its disk. If it called the disk and waited, all its
 * other clients would wait, too. So it *sends* the disk a request and goes back to its loop; the client's request stays
 * open ("in service"). When the disk has answered, the server's `result` callback runs, and only then it replies.
 *
 * How does `result` know whose answer it holds? Every request carries a *cookie*, which comes back with the result. Ours
 * is the address of the client's request, which the server still holds. Nothing else needs to be remembered.
 *
 *        client --- READ 7 ---> file server --- READ 7 ---> disk
 *               --- READ 3 --->             --- READ 3 --->       the disk takes four at a time and answers
 *               <-- "..." 3 ---             <-- "..." 3 ---       in the order that spares its arm
 *
 * ctest: machines=virtual,real,other
 */
#include "example.h"

#include <errno.h>
#include <string.h>

enum { FN_FILE = 1, FN_DISK = 2 };
enum { READ = 1 };
enum { DISK_BATCH = 4 };

/* The payload of READ, of the file server and of the disk. */
struct read_message {
    uint32_t block; /* which one */
    char text[28];  /* what it holds; filled in by the disk */
};

static struct read_message *read_message(struct ant_request *rq)
{
    return (struct read_message *)(void *)rq->payload;
}

/* --- The file server --- */

static void file_request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    struct ant_request *down;
    int error = ant_request_new(FN_DISK, &down);
    if (error != 0) {
        must("ant_reply", ant_reply(rq, error));
        return;
    }
    down->operation = READ;
    down->cookie = (uintptr_t)rq;
    *read_message(down) = *read_message(rq);
    error = ant_send(down);
    if (error != 0) { /* nothing was sent, so `down` is still ours, and no result will come */
        must("ant_request_free", ant_request_free(down));
        must("ant_reply", ant_reply(rq, error));
    }
    /* Otherwise: no reply yet. The next request may come; any number may be open at a time. */
}

static void file_result(struct ant_server *self, struct ant_request *down)
{
    (void)self;
    struct ant_request *rq = (struct ant_request *)(uintptr_t)down->cookie;

    /* `error` is the inner core's, should the disk be gone; `status` is the disk's. */
    int status = down->error != 0 ? down->error : down->status;
    *read_message(rq) = *read_message(down);
    must("ant_request_free", ant_request_free(down));
    must("ant_reply", ant_reply(rq, status));
}

static const struct ant_program file_server = {
    .abi = ANT_ABI,
    .version = 1,
    .name = "file server",
    .request = file_request,
    .result = file_result,
};

/* --- The disk: a server like any other. It keeps requests until it has a batch, and answers the lowest block first. --- */

static void disk_request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    (void)rq; /* it is the last of those in service, which the inner core keeps a list of */
    struct ant_pending pending[DISK_BATCH];
    size_t count;
    must("ant_pending", ant_pending(ANT_IN_SERVICE, pending, DISK_BATCH, &count));
    if (count < DISK_BATCH) {
        return;
    }
    for (; count > 0; count--) {
        size_t lowest = 0;
        for (size_t i = 1; i < count; i++) {
            if (read_message(pending[i].request)->block < read_message(pending[lowest].request)->block) {
                lowest = i;
            }
        }
        struct read_message *message = read_message(pending[lowest].request);
        snprintf(message->text, sizeof message->text, "the text of block %u", message->block);
        must("ant_reply", ant_reply(pending[lowest].request, 0));
        pending[lowest] = pending[count - 1];
    }
}

static const struct ant_program disk = {
    .abi = ANT_ABI,
    .version = 1,
    .name = "disk",
    .request = disk_request,
};

/* --- The client: it does not wait either, until it has sent all that it wants --- */

int main(void)
{
    static const uint32_t blocks[2 * DISK_BATCH] = {7, 3, 9, 1, 8, 2, 6, 4};
    const size_t count = sizeof blocks / sizeof *blocks;

    must("ant_boot", ant_boot(NULL));
    say_machine();
    must("ant_serve", ant_serve(FN_DISK, &disk, NULL, NULL));
    must("ant_serve", ant_serve(FN_FILE, &file_server, NULL, NULL));

    for (size_t i = 0; i < count; i++) {
        struct ant_request *rq;
        must("ant_request_new", ant_request_new(FN_FILE, &rq));
        rq->operation = READ;
        rq->cookie = i;
        read_message(rq)->block = blocks[i];
        must("ant_send", ant_send(rq));
        printf("request %zu: block %u, please\n", i, blocks[i]);
    }
    for (size_t i = 0; i < count; i++) {
        struct ant_message message; /* a result, a request, a swap notice, a stop: whatever comes next */
        must("ant_receive", ant_receive(&message, ANT_FOREVER));
        if (message.kind != ANT_RESULT) {
            continue;
        }
        must("the result", message.request->error != 0 ? message.request->error : message.request->status);
        printf("result of request %u: %s\n", (unsigned)message.request->cookie,
               read_message(message.request)->text);
        must("ant_request_free", ant_request_free(message.request));
    }
    must("ant_shutdown", ant_shutdown(NULL));
    return EXIT_SUCCESS;
}
