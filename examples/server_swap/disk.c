/*
 * The disk driver. Serial, as the paper's: it takes a request, reads, waits as long as its disk takes, replies.
 *
 * The page cache of Linux answers a read within microseconds, a disk does not; wait_ns makes up for that.
 */
#include "disk.h"

#include "protocol.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static const struct disk *drive;

void disk_insert(const struct disk *disk)
{
    drive = disk;
}

static int32_t disk_read(const struct disk_message *message, char *area)
{
    uint64_t begin_ns = ant_now();
    size_t done = 0;
    if (area == NULL) {
        return -EFAULT;
    }
    if (message->bytes > drive->block_bytes) {
        return -EINVAL;
    }
    while (done < message->bytes) {
        ssize_t got =
            pread(drive->fd, area + done, message->bytes - done, (off_t)(message->offset + done));
        if (got < 0 && errno != EINTR) {
            return -errno;
        }
        if (got == 0) {
            break; /* the file has shrunk: the client will see that the block is short */
        }
        done += got > 0 ? (size_t)got : 0;
    }
    if (drive->wait_ns > 0) {
        ant_sleep(begin_ns + drive->wait_ns);
    }
    return (int32_t)done;
}

static void disk_request(struct ant_server *self, struct ant_request *rq)
{
    struct disk_message *message = disk_message(rq);
    int32_t status = -ENOSYS;

    switch (rq->operation) {
    case DISK_INFO:
        message->bytes = drive->file_bytes;
        message->block_bytes = drive->block_bytes;
        status = 0;
        break;
    case DISK_READ:
        status = disk_read(message, rq->data);
        break;
    }
    int error = ant_reply(rq, status);
    if (error != 0) {
        fprintf(stderr, "%s: ant_reply: %s\n", self->program->name, ant_strerror(error));
    }
}

const struct ant_program disk_driver = {
    .abi = ANT_ABI,
    .version = 1,
    .name = "disk driver",
    .request = disk_request,
};
