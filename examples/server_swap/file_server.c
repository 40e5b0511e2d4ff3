/*
 * What the versions of the file server share: its table of open files, the way to the disk and back.
 *
 * The table keeps the sequence number that is each client's turn. As it is part of the state, it tells over any number of
 * swaps whether a request was lost, doubled or overtaken on its way to the server.
 */
#include "file_server.h"

#include <errno.h>
#include <stdio.h>

uint64_t file_server_work_ns;

int file_table_init(struct file_table *files)
{
    struct ant_request *rq;
    int error = ant_request_new(FN_DISK, &rq);
    if (error != 0) {
        return error;
    }
    rq->operation = DISK_INFO;
    error = ant_call(rq, (int64_t)ANT_NS_PER_S);
    if (error == -EINPROGRESS) {
        return error; /* the disk still has it */
    }
    if (error == 0) {
        error = rq->status;
    }
    if (error == 0) {
        files->file_bytes = disk_message(rq)->bytes;
        files->block_bytes = disk_message(rq)->block_bytes;
    }
    (void)ant_request_free(rq);
    return error;
}

uint32_t file_block_length(const struct file_table *files, uint64_t block)
{
    if (block >= (files->file_bytes + files->block_bytes - 1) / files->block_bytes) {
        return 0;
    }
    uint64_t left = files->file_bytes - block * files->block_bytes;
    return left < files->block_bytes ? (uint32_t)left : files->block_bytes;
}

static int file_open(struct file_table *files, struct ant_request *rq)
{
    struct file_message *message = file_message(rq);
    for (uint32_t handle = 0; handle < MAX_CLIENTS; handle++) {
        if (files->open[handle].client == 0) {
            files->open[handle].client = rq->peer;
            files->open[handle].next_sequence = message->sequence + 1;
            files->open_count++;
            message->expected = message->sequence;
            message->handle = handle;
            message->file_bytes = files->file_bytes;
            message->block_bytes = files->block_bytes;
            return 0;
        }
    }
    return -EMFILE;
}

/* Is this the client's handle? Then notes that its turn has come. What a client writes is not trusted; rq->peer is the core's. */
static int file_turn(struct file_table *files, struct ant_request *rq)
{
    struct file_message *message = file_message(rq);
    if (message->handle >= MAX_CLIENTS || files->open[message->handle].client != rq->peer) {
        return -EBADF;
    }
    message->expected = files->open[message->handle].next_sequence;
    files->open[message->handle].next_sequence = message->sequence + 1;
    return 0;
}

/* Is there such a block, and room for it? */
static int file_check_block(const struct file_table *files, struct ant_request *rq)
{
    struct ant_ica_info area;
    uint32_t bytes = file_block_length(files, file_message(rq)->block);
    if (bytes == 0) {
        return -EINVAL;
    }
    if (rq->data == NULL) {
        return -EFAULT;
    }
    int error = ant_ica_info(rq->data, &area);
    return error == 0 && area.pages * ANT_PAGE_BYTES < bytes ? -EMSGSIZE : error;
}

bool file_begin(struct ant_server *self, struct file_table *files, struct ant_request *rq)
{
    int error;
    if (file_server_work_ns > 0) {
        (void)ant_work(file_server_work_ns);
    }
    switch (rq->operation) {
    case FILE_OPEN:
        error = file_open(files, rq);
        break;
    case FILE_READ:
        error = file_turn(files, rq);
        if (error == 0) {
            error = file_check_block(files, rq);
        }
        if (error == 0) {
            return true;
        }
        break;
    case FILE_CLOSE:
        error = file_turn(files, rq);
        if (error == 0) {
            files->open[file_message(rq)->handle].client = 0;
            files->open_count--;
        }
        break;
    default:
        error = -ENOSYS;
    }
    file_reply(self, rq, error, false);
    return false;
}

void file_ask_disk(struct ant_server *self, const struct file_table *files, struct ant_request *rq)
{
    const struct file_message *message = file_message(rq);
    struct ant_request *down;
    int error = ant_request_new(FN_DISK, &down);
    if (error != 0) {
        file_reply(self, rq, error, false);
        return;
    }
    down->operation = DISK_READ;
    down->cookie = (uintptr_t)rq; /* whom it is for: `result` will ask, perhaps that of the next version */
    *disk_message(down) = (struct disk_message){
        .offset = message->block * files->block_bytes,
        .bytes = file_block_length(files, message->block),
    };
    down->data = rq->data; /* the client's own area goes on to the disk */
    rq->data = NULL;
    error = ant_send(down);
    if (error != 0) {
        rq->data = down->data; /* nothing was sent: both are still here */
        (void)ant_request_free(down);
        file_reply(self, rq, error, false);
    }
}

struct ant_request *file_take_from_disk(struct ant_request *down, int32_t *status)
{
    struct ant_request *rq = (struct ant_request *)(uintptr_t)down->cookie;
    *status = down->error != 0 ? down->error : down->status;
    rq->data = down->data;
    (void)ant_request_free(down);
    return rq;
}

void file_reply(struct ant_server *self, struct ant_request *rq, int32_t status, bool cached)
{
    file_message(rq)->version = self->program->version;
    file_message(rq)->cached = cached;
    rq->data_bytes = status > 0 ? (uint64_t)status : 0;
    int error = ant_reply(rq, status);
    if (error != 0) { /* the client will say that it misses an answer */
        fprintf(stderr, "%s: ant_reply: %s\n", self->program->name, ant_strerror(error));
    }
}
